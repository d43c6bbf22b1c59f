"""For who cannot use a mouse, sees little, or is made unwell by what moves: the main pages in a real chromium."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.portal.gallery import MAIN
from tests.portal.test_browser import MakePage, base, complaints, make_page, too_wide, world

__all__ = ["base", "complaints", "make_page", "world"]

pytestmark = pytest.mark.browser

OFTEN = [("", "/sign-in"), ("pat", "/messages"), ("pat", "/messages/11"), ("ann", "/sent"), ("ann", "/account")]
MARK = """() => {
  const seen = each => each.tagName === 'SUMMARY' ? each.parentElement.checkVisibility()
    : each.checkVisibility({ visibilityProperty: true }) && !each.closest('[inert], details:not([open])');
  const kinds = 'a[href], button, input:not([type=hidden]), select, textarea, summary, iframe';
  const groups = new Set();  // of radio buttons the keyboard reaches one
  return [...document.querySelectorAll(kinds)].filter(each => {
    if (each.disabled || each.tabIndex < 0 || !seen(each)) return false;
    if (each.type !== 'radio') return true;
    const fresh = !groups.has(each.name);
    groups.add(each.name);
    return fresh;
  }).map((each, at) => { each.dataset.mark = at; return each.outerHTML.slice(0, 120); });
}"""
FOCUS = """() => {
  const each = document.activeElement;
  if (!each || each === document.body) return null;
  const drawn = style => style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0
    || style.boxShadow !== 'none';
  let shown = each.tagName === 'IFRAME' || drawn(getComputedStyle(each, '::after'));  // round a whole row
  for (let around = each; around && !shown; around = around.parentElement) shown = drawn(getComputedStyle(around));
  const same = each.type === 'radio' ? document.querySelector(`[name="${each.name}"][data-mark]`) : each;
  return [same && same.dataset.mark || '', shown, each.outerHTML.slice(0, 120)];
}"""


def walk(page: Page) -> tuple[set[str], list[str]]:
    """Press Tab from the top until the page's end; return the marks of what was reached, and what showed no focus."""
    reached: set[str] = set()
    unseen: list[str] = []
    for _ in range(300):
        page.keyboard.press("Tab")
        found = page.evaluate(FOCUS)
        if found is None or (found[0] and found[0] in reached and found[0] == "0"):
            break
        reached.add(found[0])
        if not found[1]:
            unseen.append(found[2])
    return reached, unseen


@pytest.mark.parametrize(("who", "url"), OFTEN)
def test_the_keyboard_reaches_everything_and_shows_where_it_is(make_page: MakePage, who: str, url: str) -> None:
    page = make_page(who, 1280)
    page.goto(url)
    wanted = page.evaluate(MARK)
    reached, unseen = walk(page)
    assert [words for at, words in enumerate(wanted) if str(at) not in reached] == []
    assert unseen == []


def test_pages_at_twice_their_size_fit_a_laptop(make_page: MakePage) -> None:
    pages = {who: make_page(who, 640, device_scale_factor=2) for who in {who for who, _ in MAIN}}
    found: list[str] = []
    for who, url in MAIN:
        pages[who].goto(url)
        found += too_wide(pages[who], f"{url} for {who or 'nobody'}")
    assert found == []


def test_nothing_moves_for_who_wants_no_motion(make_page: MakePage) -> None:
    pages = {who: make_page(who, reduced_motion="reduce") for who in {who for who, _ in OFTEN}}
    moving = """() => [...document.querySelectorAll('*')].filter(each => {
      const style = getComputedStyle(each);
      const times = [...style.transitionDuration.split(','), ...style.animationDuration.split(',')];
      return times.some(time => parseFloat(time) > 0.01);
    }).map(each => each.outerHTML.slice(0, 100))"""
    for who, url in OFTEN:
        pages[who].goto(url)
        assert pages[who].evaluate(moving) == []


def test_what_can_be_pressed_has_an_edge_where_colours_are_the_readers_own(make_page: MakePage) -> None:
    pages = {who: make_page(who, forced_colors="active") for who in {who for who, _ in OFTEN}}
    edgeless = """() => [...document.querySelectorAll('.button, input.input, select, textarea')].filter(each => {
      const style = getComputedStyle(each);
      const has_edge = parseFloat(style.borderTopWidth) > 0 && style.borderTopStyle !== 'none';
      return each.checkVisibility() && !has_edge && style.textDecorationLine !== 'underline';
    }).map(each => each.outerHTML.slice(0, 100))"""
    for who, url in OFTEN:
        pages[who].goto(url)
        assert pages[who].locator(".button, input.input, select, textarea").count() > 0
        assert pages[who].evaluate(edgeless) == []

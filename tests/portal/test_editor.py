"""The editor of the page for new messages in a real browser: what it makes, what it lets in, and how to do without."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from cryptnsend.config import web_root
from cryptnsend.portal.visits import SESSION_COOKIE
from tests.portal.gallery import PEOPLE, inhabited, served
from tests.portal.test_browser import faults
from tests.portal.world import World

pytestmark = pytest.mark.browser

HOSTILE = (
    '<p style="color:red" onclick="alert(1)">red</p><img src=x onerror="document.title=1">'
    '<script>document.title=2</script><a href="javascript:alert(1)">link</a>'
)
PASTE = """(field, html) => {
    const held = new DataTransfer();
    held.setData('text/html', html);
    held.setData('text/plain', 'only words');
    field.dispatchEvent(new ClipboardEvent('paste', {clipboardData: held, bubbles: true, cancelable: true}));
}"""
DROP = """(field, html) => {
    const held = new DataTransfer();
    held.setData('text/html', html);
    held.setData('text/plain', ' and these');
    const at = field.getBoundingClientRect();
    field.dispatchEvent(new DragEvent('drop', {dataTransfer: held, bubbles: true, cancelable: true,
        clientX: at.left + 12, clientY: at.top + 12}));
}"""


@pytest.fixture(scope="module")
def world() -> World:
    assert (web_root() / "static" / "squire.js").exists(), "web/static/squire.js is missing: run make .venv/.npm"
    return inhabited()


@pytest.fixture(scope="module")
def base(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(world, tmp_path_factory.mktemp("tls")) as address:
        yield address


@pytest.fixture
def page(browser: Browser, base: str, world: World) -> Iterator[Page]:
    """The page for new messages, open on a phone; what the console complains of fails the test."""
    complaints: list[str] = []
    world.sessions["ann"] = PEOPLE["ann"]  # type: ignore[assignment]
    context = browser.new_context(base_url=base, ignore_https_errors=True, viewport={"width": 360, "height": 740})
    context.add_cookies([{"name": SESSION_COOKIE, "value": "ann", "url": base, "secure": True, "httpOnly": True}])
    page = context.new_page()
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto("/write")
    yield page
    context.close()
    assert complaints == []


def made(page: Page) -> tuple[str, str]:
    """Return the markup and the plain words that the form would send."""
    return page.locator("input[name=html]").input_value(), page.locator("#text").input_value().rstrip("\n")


def test_buttons_and_keys_give_words_a_form(page: Page) -> None:
    editor = page.locator("#editor")
    editor.click()
    page.keyboard.type("Dear Pat,")
    page.keyboard.press("Enter")
    assert made(page) == ("", "Dear Pat,")
    bold = page.get_by_role("button", name="Bold")
    bold.click()
    expect(bold).to_have_attribute("aria-pressed", "true")
    page.keyboard.type("all is well")
    page.keyboard.press("Control+b")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="List", exact=True).click()
    page.keyboard.type("iron")
    page.keyboard.press("Enter")
    page.keyboard.type("water")
    html, text = made(page)
    assert "<b>all is well</b>" in html
    assert "<li>" in html
    assert text.split() == ["Dear", "Pat,", "all", "is", "well", "iron", "water"]
    assert faults(page, "the editor") == []
    page.get_by_role("button", name="List", exact=True).click()
    page.get_by_role("button", name="Quote").click()
    assert "<blockquote>" in made(page)[0]
    page.keyboard.press("Control+a")
    page.get_by_role("button", name="Plain").click()
    assert "<b>" not in made(page)[0]
    page.keyboard.press("Tab")
    assert not editor.evaluate("each => each === document.activeElement")


def test_nothing_of_foreign_markup_comes_in_by_pasting_or_dropping(page: Page) -> None:
    editor = page.locator("#editor")
    editor.click()
    editor.evaluate(PASTE, HOSTILE)
    assert made(page) == ("", "only words")
    editor.evaluate(DROP, HOSTILE)
    html, text = made(page)
    assert (html, "".join(text.split())) == ("", "onlywordsandthese")
    assert "New secure message" in page.title()


def test_a_draft_with_a_form_is_gone_on_with(page: Page) -> None:
    page.goto("/write/920")
    editor = page.locator("#editor")
    expect(editor.locator("li b")).to_have_text("in")
    assert "Dear Walter" in made(page)[1]
    assert "<b>in</b>" in made(page)[0]


def test_a_new_message_that_was_kept_is_there_when_the_page_is_loaded_anew(page: Page) -> None:
    page.clock.install()
    page.goto("/write")
    page.fill("input[name=subject]", "Results")
    with page.expect_response("**/write/draft"):
        page.clock.fast_forward(3500)
    page.wait_for_url("**/write/9*")
    page.reload()
    expect(page.locator("input[name=subject]")).to_have_value("Results")


def test_without_the_package_the_plain_field_does(page: Page) -> None:
    page.route("**/squire.js*", lambda route: route.fulfill(body="", content_type="text/javascript"))
    page.goto("/write")
    page.fill("#text", "plain words")
    assert page.locator("#editor").count() == 0
    assert page.locator("#text").is_visible()

"""In a real chromium, without the frame and policy that the portal puts around it: does cleaned markup do anything?"""

from __future__ import annotations

import pytest

from cryptnsend.core.html import sanitize
from tests.core.attacks import ATTACKS

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser):
    context = browser.new_context()
    yield context.new_page()
    context.close()


def happenings(page, pieces: list[str]) -> list[str]:
    """Show each piece on a page of its own; return what ran, what was asked for and where the page went."""
    seen: list[str] = []
    page.on("dialog", lambda dialog: (seen.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.route("**/*", lambda route: (seen.append(f"request {route.request.url}"), route.abort()))
    page.expose_function("ran", lambda what: seen.append(f"ran {what}"))
    for piece in pieces:
        page.set_content(f"<!doctype html><script>window.alert = ran</script><div>{piece}</div>")
        page.mouse.move(5, 5)
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 5)))")
        assert page.url == "about:blank"
    return seen


def test_cleaned_markup_does_nothing_in_a_browser_and_the_same_markup_uncleaned_does(page):
    cleaned = [sanitize(html, cid=lambda _: None).html for html in ATTACKS]
    cleaned += [sanitize(f"<style>p,img{{color:red}}</style>{html}", cid=lambda _: None).html for html in ATTACKS]
    seen = happenings(page, cleaned)
    assert seen == []
    page.set_content("<script>window.alert = ran</script><img src=x onerror=alert(1)>" + ATTACKS[2])
    page.wait_for_function("() => document.images.length === 2")
    page.evaluate("() => new Promise(done => setTimeout(done, 50))")
    assert seen, "the trap itself must work"

"""Ann attaches a large file over a connection that breaks in the middle: in a real browser, against a real server."""

from __future__ import annotations

import hashlib
import os
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from cryptnsend.demo.house import House
from tests.story.test_compose import Desk
from tests.support.relay import Relay

ANN, PASSWORD = "ann.attaches@gmail.example", "harbour violet tractor ninety"
FILM = os.urandom(9_000_000)  # goes up in two requests

pytestmark = pytest.mark.browser


def test_a_file_goes_on_where_the_connection_broke(served: House, browser: Browser) -> None:
    add = ("subscriber", "add", ANN, "--name", "Dr. Ann Ruiz", "--password-stdin")
    served.run(*add, stdin=PASSWORD + "\n")
    target = urlsplit(served.base_url)
    assert target.port
    with Relay(target.port) as relay:
        context = browser.new_context(viewport={"width": 360, "height": 740}, ignore_https_errors=True)
        desk = Desk(served, context, ANN, PASSWORD, base=f"https://{target.hostname}:{relay.port}")
        page = desk.page
        desk.write(ANN, "A film", "See the film.")
        before = relay.up
        relay.cut_after(4_000_000)  # in the middle of the first
        page.set_input_files("#files-field", {"name": "film.mp4", "mimeType": "video/mp4", "buffer": FILM})
        page.get_by_text("It goes on by itself as soon as there is one.").wait_for()
        assert relay.broke.is_set()
        assert page.get_by_role("button", name="Send", exact=True).last.is_disabled()
        page.locator("#subject").click()
        with page.expect_event("dialog", lambda dialog: dialog.type == "beforeunload") as asked:
            page.once("dialog", lambda dialog: dialog.dismiss())  # stay
            page.evaluate("setTimeout(() => location.reload())")
        assert asked.value
        relay.mend()
        expect(page.get_by_role("checkbox", name="film.mp4")).to_be_checked(timeout=60_000)
        assert relay.up - before < len(FILM) + 1_500_000  # what had arrived did not come again
        desk.send()
        page.goto(page.url.replace("/sent/", "/messages/"))
        saved = page.get_by_role("link", name="Download film.mp4").get_attribute("href")
        assert saved
        found = page.request.get(f"https://{target.hostname}:{relay.port}{saved}")
        assert hashlib.sha256(found.body()).digest() == hashlib.sha256(FILM).digest()
        context.close()

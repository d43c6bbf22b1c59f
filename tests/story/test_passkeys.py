"""Passkeys in a real browser on a real server: added, signed in by, asked for after the password, removed, lost."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, CDPSession, expect

from cryptnsend.demo.house import House
from tests.story.test_browser import no_sideways_scroll

ANN_PASSWORD = "harbour violet tractor ninety"
SHOTS = os.environ.get("SHOTS", "")

pytestmark = pytest.mark.browser


class Somebody:
    """A person at a browser with an authenticator, or without."""

    def __init__(self, served: House, browser: Browser, address: str, width: int = 360):
        context = browser.new_context(
            base_url=served.base_url, ignore_https_errors=True, viewport={"width": width, "height": 740}
        )
        self.context, self.served, self.address, self.page = context, served, address, context.new_page()
        self.cdp: CDPSession = context.new_cdp_session(self.page)
        self.authenticator, self.has_button = "", False

    def has(self, **values: Any) -> None:
        """Give the browser an authenticator that recognises its owner."""
        self.cdp.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "ctap2Version": "ctap2_1",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        made = self.cdp.send("WebAuthn.addVirtualAuthenticator", {"options": options | values})
        self.authenticator = made["authenticatorId"]

    def recognised(self, is_so: bool) -> None:
        """Let the authenticator recognise its owner from now on, or not."""
        self.cdp.send("WebAuthn.setUserVerified", {"authenticatorId": self.authenticator, "isUserVerified": is_so})

    def sign_in(self) -> None:
        self.page.goto("/sign-in")
        self.page.fill("#address", self.address)
        self.page.fill("#password", ANN_PASSWORD)
        self.page.get_by_role("button", name="Sign in", exact=True).click()

    def sign_out(self) -> None:
        self.page.goto("/account")
        self.page.locator("main").get_by_role("button", name="Sign out", exact=True).click()
        self.page.wait_for_url("**/signed-out")

    def looks(self, name: str) -> None:
        """Check width and accessibility of the page that is open, also on the narrowest phone."""
        if SHOTS:
            self.page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)
        width = self.page.viewport_size["width"] if self.page.viewport_size else 0
        self.page.set_viewport_size({"width": 320, "height": 740})
        assert no_sideways_scroll(self.page), name
        self.page.set_viewport_size({"width": width, "height": 740})
        assert Axe().run(self.page).response["violations"] == [], name

    def add(self, name: str) -> None:
        """Add a passkey on the page."""
        self.page.goto("/account/passkeys")
        self.page.fill("#name", name)
        self.page.locator("form[aria-labelledby=another] [name=password]").fill(ANN_PASSWORD)
        self.page.get_by_role("button", name="Go on").click()
        self.page.get_by_role("button", name="Make it now").click()
        expect(self.page.get_by_text("The passkey is added.")).to_be_visible()

    def presses(self) -> None:
        """Have a browser from now on that offers no passkeys where an address is typed, so that a button is needed."""
        self.has_button = True
        self.page.add_init_script("delete PublicKeyCredential.isConditionalMediationAvailable")

    def by_passkey(self) -> None:
        """Sign in by a passkey: the browser offers it on the page, or there is a button."""
        self.page.goto("/sign-in")
        if self.has_button:
            self.page.get_by_role("button", name="Sign in with a passkey").click()


Make = Callable[..., Somebody]


@pytest.fixture
def somebody(served: House, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Make]:
    made: list[Somebody] = []

    def make(name: str, width: int = 360) -> Somebody:
        address = f"{name}.passkeys@gmail.example"
        add = ("subscriber", "add", address, "--name", "Dr. Ann Ruiz", "--password-stdin")
        served.run(*add, stdin=ANN_PASSWORD + "\n")
        made.append(Somebody(served, browser, address, width))
        return made[-1]

    yield make
    for each in made:
        each.context.close()


@pytest.mark.parametrize("keeps_keys", [True, False], ids=["with PRF", "without PRF"])
def test_a_passkey_is_added_and_signs_in(somebody: Make, keeps_keys: bool) -> None:
    ann = somebody("ann" if keeps_keys else "una")
    ann.has(hasPrf=keeps_keys)
    if not keeps_keys:
        ann.presses()
    ann.sign_in()
    ann.page.wait_for_url("**/messages*")
    ann.add("My phone")
    words = "opens all your messages" if keeps_keys else "It signs you in."
    expect(ann.page.get_by_role("status").get_by_text(words)).to_be_visible()
    ann.looks(f"passkeys-{keeps_keys}")
    ann.sign_out()
    ann.by_passkey()
    ann.page.wait_for_url("**/messages*")
    ann.page.goto("/account")
    partly = ann.page.get_by_text("You came in by a passkey that does not open everything")
    expect(partly).to_have_count(0 if keeps_keys else 1)
    if not keeps_keys:
        ann.page.get_by_role("link", name="Open them").click()
        ann.looks("unlock-closed")
        ann.page.fill("#password", ANN_PASSWORD)
        ann.page.get_by_role("button", name="Open the messages").click()
        expect(ann.page.get_by_text("That opened it.")).to_be_visible()
        expect(partly).to_have_count(0)


def test_a_passkey_comes_after_the_password_and_stands_for_it(somebody: Make) -> None:
    ann = somebody("bea", width=1280)
    ann.has(hasPrf=False)
    ann.presses()
    ann.sign_in()
    ann.page.wait_for_url("**/messages*")
    ann.add("Key")
    ann.page.goto("/account/passphrase")
    ann.looks("passphrase")
    ann.recognised(False)
    ann.page.get_by_role("button", name="Use a passkey instead").click()
    expect(ann.page.get_by_text("No passkey was shown.")).to_be_visible()
    ann.recognised(True)
    ann.page.get_by_role("button", name="Use a passkey instead").click()
    expect(ann.page.locator("#now-key")).to_be_visible()

    ann.page.goto("/account/passkeys")
    ann.page.locator("#step-password").fill(ANN_PASSWORD)
    ann.page.get_by_role("button", name="Show a passkey").click()
    expect(ann.page.get_by_role("button", name="Passkey shown")).to_be_disabled()
    ann.page.get_by_role("button", name="Ask for a passkey from now on").click()
    recovery = ann.page.locator("#recovery-code").inner_text()
    ann.looks("passkey-step")
    ann.sign_out()
    ann.sign_in()
    ann.page.get_by_role("heading", name="Your passkey").wait_for()
    ann.looks("number-passkey")
    ann.page.get_by_role("button", name="Use a passkey", exact=True).click()
    ann.page.wait_for_url("**/messages*")

    ann.page.goto("/account/passkeys")
    ann.page.get_by_role("link", name="Remove Key").click()
    ann.page.fill("#password", ANN_PASSWORD)
    ann.page.get_by_role("button", name="Remove", exact=True).click()
    expect(ann.page.get_by_text("This is the last passkey")).to_be_visible()
    ann.looks("passkey-remove")
    ann.sign_out()

    ann.sign_in()  # all passkeys are lost: the recovery code does once
    ann.page.fill("#code", recovery)
    ann.page.locator("form.sheet").get_by_role("button", name="Sign in", exact=True).click()
    ann.page.wait_for_url("**/messages*")
    ann.page.goto("/account/passkeys")
    ann.page.get_by_role("link", name="Remove Key").click()
    ann.page.get_by_role("button", name="Use a passkey instead").click()
    expect(ann.page.get_by_text("Removed.")).to_be_visible()
    ann.sign_out()
    ann.by_passkey()
    expect(ann.page.get_by_text("This passkey does not open anything here.")).to_be_visible()
    ann.sign_in()
    ann.page.wait_for_url("**/messages*")


def test_without_scripts_the_password_does_everything(somebody: Make, browser: Browser, served: House) -> None:
    ann = somebody("cleo")
    context = browser.new_context(base_url=served.base_url, ignore_https_errors=True, java_script_enabled=False)
    page = context.new_page()
    page.goto("/sign-in")
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_hidden()
    page.fill("#address", ann.address)
    page.fill("#password", ANN_PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/messages*")
    page.goto("/account/passkeys")
    expect(page.get_by_text("Your password does everything here without them.")).to_be_visible()
    expect(page.get_by_role("button", name="Go on")).to_be_hidden()
    context.close()

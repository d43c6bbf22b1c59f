"""The main ways through the pages in both languages, on a phone without scripts and at a desk with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.story.test_browser import no_sideways_scroll
from tests.support.clockwork import PASSWORD, Reader, Sender, Stage, opened
from tests.support.house import MINUTE, MakeHouse

ANN, PAT, NEW = "ann@gmail.example", "pat@yahoo.example", "new@outlook.example"
PHONE: dict[str, Any] = {"width": 360, "scripts": False}
DESK: dict[str, Any] = {"width": 1280, "scripts": True}
LOOKS = [
    pytest.param("es-MX", PHONE, id="es-phone"),
    pytest.param("en-GB", DESK, id="en-desk"),
    pytest.param("en-GB", PHONE, id="en-phone", marks=pytest.mark.long),
    pytest.param("es-ES", DESK, id="es-desk", marks=pytest.mark.long),
]
TITLES = {"en": {"mine": "Your messages", "in": "Sign in"}, "es": {"mine": "Sus mensajes", "in": "Entrar"}}

pytestmark = pytest.mark.browser


@pytest.fixture
def stage(make_house: MakeHouse, tmp_path: Path, browser: Browser) -> Iterator[Stage]:
    """A house in which Ann sends, and whoever wants to may."""
    house = make_house(server={"hostname": "localhost"}, signup={"mode": "open"})
    house.add_subscriber(ANN, name="Dr. Ann Ruiz")
    with opened(house, tmp_path, browser) as made:
        yield made


class Patient(Reader):
    """A recipient who answers, goes, and comes back."""

    def reply(self, words: str) -> None:
        """Answer the message that is open."""
        self.page.fill("textarea[name=text]", words)
        self.page.locator("form[action$='/reply'] > .actions > .button").first.click()
        self.page.wait_for_url("**/sent")

    def sign_out(self) -> None:
        """Leave."""
        self.page.locator("form[action='/sign-out'] button").first.click()
        self.page.wait_for_load_state()

    def come_back(self) -> None:
        """Sign in with the password that was chosen."""
        self.page.goto("/sign-in")
        self.page.fill("input[name=address]", self.address)
        self.page.fill("input[name=password]", PASSWORD)
        self.page.locator("form.sheet button.button").first.click()
        self.page.wait_for_url("**/messages*")


class Doctor(Sender):
    """A subscriber who thinks twice."""

    def press(self, act: str) -> None:
        """Press the button of the message's page that does this, unfolding what it stands in."""
        form = self.page.locator(f"form[action$='/{act}']:not(:has(input[name=address]))").first
        if not form.is_visible():
            self.page.locator(f"details:has(form[action$='/{act}']) > summary").last.click()
        form.locator("button").first.click()
        self.page.wait_for_load_state()


def speaks(page: Page, language: str) -> None:
    """Check that the page is in a language, and fits."""
    assert page.get_attribute("html", "lang") == language[:2]
    assert no_sideways_scroll(page), page.url


@pytest.mark.parametrize(("language", "look"), LOOKS)
def test_pat_opens_reads_replies_goes_and_comes_back(stage: Stage, language: str, look: dict[str, Any]) -> None:
    house, words = stage.house, TITLES[language[:2]]
    house.submit(ANN, [PAT], house.mail("Results", "All is well."))
    stage.deliver()
    pat = Patient(stage, PAT, language=language, **look)
    pat.follow()
    speaks(pat.page, language)
    pat.tell(house.code(ANN, PAT))
    speaks(pat.page, language)
    pat.choose()
    assert pat.title == "Results"
    speaks(pat.page, language)
    pat.reply("Thank you.")
    speaks(pat.page, language)
    reader = house.session(ANN)
    [reply] = house.pickup.list(reader)
    assert (house.pickup.show(reader, reply.message).text or "").strip() == "Thank you."
    pat.sign_out()
    pat.page.goto("/messages")
    assert pat.title == words["in"]
    pat.come_back()
    assert pat.title == words["mine"]
    assert pat.page.locator("li.unread").count() == 0
    assert pat.page.get_by_role("link", name="Results").count() == 1
    speaks(pat.page, language)


@pytest.mark.parametrize(("language", "look"), LOOKS)
def test_ann_writes_thinks_twice_sends_and_takes_it_back(stage: Stage, language: str, look: dict[str, Any]) -> None:
    house = stage.house
    ann = Doctor(stage, ANN, language=language, **look)
    ann.write(PAT, "Results", "All is well.")
    speaks(ann.page, language)
    ann.page.locator(".end .button").first.click()
    ann.page.wait_for_load_state()
    if "/sent/" not in ann.page.url:
        speaks(ann.page, language)  # it said something about a new person first
        ann.page.locator(".end .button").first.click()
        ann.page.wait_for_url("**/sent/*")
    speaks(ann.page, language)
    ann.press("unsend")
    assert ann.page.input_value("#subject") == "Results"
    message = ann.send()
    stage.deliver()
    assert len(stage.mails(PAT)) == 1  # what was had back told nobody
    ann.sent(message)
    ann.press("expire")
    ann.sent(message)
    assert house.pickup.status(house.session(ANN), message).recipients[0].suspended
    ann.press("restore")
    ann.sent(message)
    assert not house.pickup.status(house.session(ANN), message).recipients[0].suspended
    speaks(ann.page, language)


@pytest.mark.parametrize(("language", "look"), LOOKS)
def test_somebody_signs_up(stage: Stage, language: str, look: dict[str, Any]) -> None:
    page = stage.page(language=language, **look)
    page.goto("/sign-up")
    speaks(page, language)
    page.fill("input[name=name]", "Dr. New")
    page.fill("input[name=address]", NEW)
    page.locator("form.sheet button.button").first.click()
    page.wait_for_load_state()
    speaks(page, language)
    stage.deliver()
    page.fill("input[name=code]", stage.code(NEW))
    page.fill("input[name=password]", PASSWORD)
    page.locator("form:has(input[name=password]) > .actions > button.button, form.sheet button.button").last.click()
    page.wait_for_load_state()
    speaks(page, language)
    page.goto("/write")
    expect(page.locator("#to")).to_be_visible()
    speaks(page, language)
    stage.house.clock.forward(MINUTE)

"""An officer's rules in a real chromium on a phone: with a reason, at work, and taken back; axe looks at each page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.flow.conftest import Desk
from tests.flow.rows import recipients
from tests.flow.test_journals import prove
from tests.portal.gallery import serving
from tests.portal.real import portal
from tests.portal.test_browser import faults
from tests.support.house import PASSWORD, House

pytestmark = pytest.mark.browser

ANN, BOB, OLIVE = "ann@clinic.example", "bob@clinic.example", "officer@clinic.example"
EVE, COPIES, PAT, SAM = "eve@lab.example", "copies@clinic.example", "pat@yahoo.example", "sam@hospital.example"
TYPED = {  # what is chosen or typed, by rule, and how the history spells it
    "plain_people": ("manager", "manager"),
    "friends": ("no", "No"),
    "pdf_token": ("no", "No"),
    "member_domains": ("lab.example\nhospital.example", "lab.example"),
    "members_in_clear": ("no", "No"),
    "visitor_pages": ("no", "No"),
    "file_links": ("yes", "Yes"),
    "code_instead": ("code", "Nothing"),
    "subscriber_domains": ("clinic.example", "clinic.example"),
    "journal_to": (f"clinic.example {COPIES}", COPIES),
}


@pytest.fixture
def desk(house: House) -> Iterator[Desk]:
    made = Desk(house)
    yield made
    made.courier.close()


@pytest.fixture
def clinic(desk: Desk) -> int:
    house = desk.house
    org = house.organisation("Clinic")
    for address, name in ((ANN, "Dr. Ann Ruiz"), (BOB, "Bob"), (COPIES, "Copies")):
        house.add_subscriber(address, organisation=org, name=name)
    lab = house.organisation("Lab")
    house.add_subscriber(EVE, organisation=lab, name="Eve")
    prove(house, org, "clinic.example")
    prove(house, lab, "lab.example")
    house.second(OLIVE)
    return org


class Story:
    """One officer's browser; `found` is what is wrong with the pages that were looked at."""

    def __init__(self, page: Page, house: House, pictures: Path):
        self.page, self.house, self._pictures, self.found = page, house, pictures, list[str]()

    def look(self, where: str) -> None:
        self.found += faults(self.page, where)
        self.page.screenshot(path=self._pictures / f"{where}.png", full_page=True)

    def press(self, words: str) -> None:
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=words, exact=True).click()

    def enter(self) -> None:
        self.page.goto("/sign-in")
        self.page.fill("#address", OLIVE)
        self.page.fill("#password", PASSWORD)
        with self.page.expect_navigation():
            self.page.locator("main form button.button").first.click()
        self.page.fill("#code", self.house.number(OLIVE))
        with self.page.expect_navigation():
            self.page.locator("main form button.button").first.click()

    def save(self, why: str) -> None:
        """Save what stands in the form of the rules, with everything that proves it."""
        self.page.fill("#password", PASSWORD)
        self.page.fill("#code", self.house.number(OLIVE))
        # A browser asks for the reason itself; a form that was tampered with comes without one all the same.
        self.page.evaluate("document.querySelector('#why').removeAttribute('required')")
        self.page.fill("#why", why)
        self.press("Save the rules")


@pytest.mark.long
def test_an_officer_sets_rules_with_a_reason_sees_them_work_and_takes_them_back(
    desk: Desk, clinic: int, browser: Browser, tmp_path: Path
) -> None:
    house = desk.house
    with serving(portal(house), tmp_path) as base:
        context = browser.new_context(
            base_url=base, ignore_https_errors=True, viewport={"width": 320, "height": 740}, color_scheme="dark"
        )
        story = Story(context.new_page(), house, tmp_path)
        story.enter()
        _type(story)
        _without_a_reason(story)
        story.save("The contract with the laboratory")
        assert "The next message goes by these rules." in story.page.inner_text("main")
        story.look("rules-saved")
        _at_work(desk, clinic)
        _history(story)
        _copies(story)
        _taken_back(story)
        context.close()
    assert story.found == []
    assert house.portal.policies.standing(clinic).said == {}


def _type(story: Story) -> None:
    page = story.page
    page.goto("/organisation/policy")
    story.look("rules")
    for rule, (value, _) in TYPED.items():
        field = page.locator(f"#{rule}")
        if field.evaluate("each => each.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)


def _without_a_reason(story: Story) -> None:
    story.save("")
    assert "Say why the rules change." in story.page.inner_text("#why-error")
    assert story.page.input_value("#journal_to") == TYPED["journal_to"][0], "what was typed is still there"
    story.look("rules-without-a-reason")


def _at_work(desk: Desk, clinic: int) -> None:
    house = desk.house
    said = house.portal.policies.standing(clinic).said
    assert set(TYPED) == set(said)
    for to, subject, decision in (
        (EVE, "Results", "handoff member"),
        (SAM, "Results", "vault default-vault"),
        (PAT, ":: Lunch", "vault plain-not-theirs"),
        (PAT, "encrypt/ Results", "vault pdf-not-allowed"),
    ):
        message = house.submit(ANN, [to], house.mail(subject, author=ANN, to=[to]))
        row = recipients(house, message)[to]
        assert f"{row['decision']} {row['reason']}" == decision
    desk.deliver()


def _history(story: Story) -> None:
    page = story.page
    page.goto("/organisation/policy/history")
    told = page.inner_text("main")
    assert "The contract with the laboratory" in told
    assert OLIVE in told
    for _, spelt in TYPED.values():
        assert spelt in told
    story.look("rules-history")


def _copies(story: Story) -> None:
    """What the rule about copies does stands on the page of the archive."""
    story.page.goto("/organisation/archive")
    assert "4 arrived, 0 on their way, 0 failed." in story.page.inner_text("main")
    story.look("archive-copies")


def _taken_back(story: Story) -> None:
    page = story.page
    page.goto("/organisation/policy/compare/0/1")
    story.look("rules-compared")
    page.fill("#password", PASSWORD)
    page.fill("#code", story.house.number(OLIVE))
    with page.expect_navigation():
        page.locator("main form button.button").last.click()
    story.look("rules-brought-back")

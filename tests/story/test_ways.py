"""Ways that not everybody takes, in a real browser: friends, a number, no code, and an alias that gains nothing."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from playwright.sync_api import Browser

from tests.story.test_browser import no_sideways_scroll
from tests.support.clockwork import PASSWORD, Reader, Sender, Stage, opened
from tests.support.house import MINUTE, MakeHouse

ANN, PAT, JOE = "ann@gmail.example", "pat@yahoo.example", "joe@outlook.example"
BOB, RITA = "bob@family.example", "rita@friends.example"

pytestmark = pytest.mark.browser


@pytest.fixture
def stage(make_house: MakeHouse, tmp_path: Path, browser: Browser) -> Iterator[Stage]:
    """A house in which Ann sends, and may do without a code."""
    house = make_house(server={"hostname": "localhost"}, codes={"instead": "none"})
    house.add_subscriber(ANN, name="Dr. Ann Ruiz")
    with opened(house, tmp_path, browser) as made:
        yield made


class Settings:
    """The pages on which people set up their own account; the same for all of them."""

    def __init__(self, stage: Stage, who: Sender | Reader):
        self.stage, self.page = stage, who.page

    def name_friends(self, *addresses: str) -> None:
        """Say who gets ordinary mail."""
        self.page.goto("/account/friends")
        self.page.fill("#friends", ", ".join(addresses))
        self._fill_in(password=PASSWORD)

    def ask_for_a_number(self) -> bytes:
        """Let sign-in ask for a number; return the key that the phone keeps."""
        self.page.goto("/account/number")
        self._fill_in(password=PASSWORD)
        words = "".join(self.page.inner_text("#second-key").split())
        key = base64.b32decode(words + "=" * (-len(words) % 8))
        self._fill_in(code=self.number(key))
        return key

    def number(self, key: bytes) -> str:
        """Return what the phone shows now (RFC 6238)."""
        made = TOTP(key, 6, SHA1(), 30, enforce_key_length=False)  # noqa: S303 - what phones do
        return made.generate(self.stage.house.clock.now() // 1000).decode()

    def claim(self, address: str) -> None:
        """Ask for another address, and type the code that was mailed there."""
        self.page.goto("/account/addresses")
        self._fill_in(address=address)
        self.stage.deliver()
        self._fill_in(code=self.stage.code(address))

    def _fill_in(self, **fields: str) -> None:
        for name, value in fields.items():
            self.page.fill(f"main input[name={name}]", value)
        self.page.locator(f"main form:has(input[name={name}]) > .actions button.button").last.click()
        self.page.wait_for_load_state()
        assert no_sideways_scroll(self.page), self.page.url


def test_friends_get_ordinary_mail_and_nobody_else_does(stage: Stage) -> None:
    ann = Sender(stage, ANN)
    Settings(stage, ann).name_friends(BOB, RITA)
    ann.write(f"{BOB}, {PAT}", "Sunday", "Lunch at one, the usual place.")
    ann.send()
    stage.deliver()
    [ordinary] = stage.mails(BOB)
    assert "the usual place" in ordinary.as_string()
    assert "the usual place" not in "".join(mail.as_string() for mail in stage.mails(PAT))
    assert stage.link(PAT).startswith("/m/")


def test_a_number_from_the_phone_is_asked_for_after_the_password(stage: Stage) -> None:
    ann = Sender(stage, ANN)
    settings = Settings(stage, ann)
    key = settings.ask_for_a_number()
    ann.page.context.clear_cookies()
    stage.house.clock.forward(MINUTE)
    ann.sign_in()
    ann.page.fill("input[name=code]", "000000")
    ann.page.locator("form:has(input[name=code]) button.button").first.click()
    assert ann.page.get_attribute("input[name=code]", "aria-invalid") == "true"
    ann.page.goto("/messages")
    assert ann.page.locator("input[name=address]").count() == 1  # still outside
    ann.sign_in()
    ann.page.fill("input[name=code]", settings.number(key))
    ann.page.locator("form:has(input[name=code]) button.button").first.click()
    ann.page.wait_for_url("**/messages*")
    assert ann.page.get_by_role("link", name="Write", exact=True).count() == 1


def test_a_message_without_a_code_opens_without_one_and_the_next_does_not(stage: Stage) -> None:
    ann = Sender(stage, ANN)
    ann.write(PAT, "Opening hours", "We are closed on Friday.")
    ann.page.check("input[name=instead][value=none]")
    ann.send()
    stage.deliver()
    pat = Reader(stage, PAT)
    pat.follow()
    assert pat.page.locator("input[name=code]").count() == 0
    pat.page.get_by_role("button", name="Continue").click()
    pat.choose()
    assert pat.title == "Opening hours"
    ann.write(PAT, "Your results", "All is well.")
    ann.send()
    stage.deliver()
    pat.follow()
    assert "Your results" not in pat.page.content()
    assert pat.page.locator("input[name=code]").count() == 1


def test_joe_who_reads_pats_mailbox_claims_the_address_and_opens_nothing_of_pats(stage: Stage) -> None:
    house = stage.house
    house.submit(ANN, [PAT], house.mail("For Pat alone", "Private."))
    house.submit(ANN, [JOE], house.mail("For Joe", "Hello."))
    stage.deliver()
    joe = Reader(stage, JOE)
    joe.follow()
    joe.tell(house.code(ANN, JOE))
    joe.choose()
    assert joe.title == "For Joe"
    Settings(stage, joe).claim(PAT)
    assert PAT in joe.page.inner_text("main")
    joe.page.goto("/messages")
    assert joe.page.get_by_role("link", name="For Joe").count() == 1
    assert "For Pat alone" not in joe.page.content()
    joe.page.locator("main a[href^='/messages/'][href$='/code'], main a[href^='/m/']").first.click()
    assert joe.page.locator("input[name=code]").count() == 1
    assert "For Pat alone" not in joe.page.content()

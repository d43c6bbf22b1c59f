"""How replies come, in a real browser: a key is handed in, chosen and tried out; the page shows live how that went."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from cryptnsend.ownkeys.locksmith import Locksmith
from cryptnsend.pdf.press import Press
from tests.story.test_browser import no_sideways_scroll
from tests.support import ownkeys
from tests.support.clockwork import PASSWORD, Sender, Stage, opened
from tests.support.house import MakeHouse
from tests.support.ownkeys import Gnupg, gnupg, locksmith
from tests.support.press import lend as lend_press

__all__ = ["gnupg", "locksmith"]

ANN, PAT = "ann@gmail.example", "pat@yahoo.example"

pytestmark = pytest.mark.browser


@pytest.fixture
def stage(
    make_house: MakeHouse, tmp_path: Path, browser: Browser, locksmith: Locksmith, press: Press
) -> Iterator[Stage]:
    """A house in which Ann sends, and mail may leave locked to keys of those who get it."""
    house = make_house(server={"hostname": "localhost"}, policy={"own_keys": "everybody"})
    ownkeys.lend(locksmith, house.portal, house.courier)
    lend_press(press, house.portal, house.courier)
    house.add_subscriber(ANN, name="Dr. Ann Ruiz")
    with opened(house, tmp_path, browser) as made:
        yield made


def in_order(page: Page) -> None:
    """The page fits, and axe finds nothing in it."""
    assert no_sideways_scroll(page), page.url
    found = Axe().run(page).response["violations"]
    assert [f"{each['id']}: {each['nodes'][0]['html'][:150]}" for each in found] == []


def tried(stage: Stage, page: Page) -> None:
    """Send a test, and see on the page, without loading it again, that it was accepted."""
    page.get_by_role("button", name="Send a test").click()
    expect(page.locator("#trial")).to_contain_text("is on its way")
    in_order(page)
    stage.deliver()
    expect(page.locator("#trial")).to_contain_text("ccepted", timeout=20_000)
    in_order(page)


def test_a_key_is_handed_in_chosen_and_tried_out(stage: Stage, gnupg: Gnupg) -> None:
    page = Sender(stage, ANN, scripts=True).page
    page.goto("/account/replies")
    in_order(page)
    page.fill("#key", gnupg.make(f"Ann <{ANN}>").decode())
    page.fill("#password-new", PASSWORD)
    page.get_by_role("button", name="Hand it in").click()
    expect(page.get_by_text("Your key is kept.")).to_be_visible()
    in_order(page)
    page.get_by_label("Locked to your own OpenPGP key").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Send yourself a test below.")).to_be_visible()
    tried(stage, page)
    [test] = [each for each in stage.mails(ANN) if each.get_content_type() == "multipart/encrypted"]
    _, body = test.iter_parts()
    inside = gnupg.run("--decrypt", octets=body.get_payload(decode=True))
    assert b"replies reach you in the way that you chose" in inside


@pytest.mark.long
def test_a_pdf_is_chosen_and_tried_out_and_its_key_waits(stage: Stage) -> None:
    page = Sender(stage, ANN, scripts=True).page
    page.goto("/account/replies")
    page.get_by_label("As a locked PDF").check()
    page.get_by_role("button", name="Save").click()
    tried(stage, page)
    [test] = [each for each in stage.mails(ANN) if list(each.iter_attachments())]
    [part] = test.iter_attachments()
    assert part.get_content_type() == "application/pdf"


def test_a_private_key_is_refused_loudly(stage: Stage) -> None:
    page = Sender(stage, ANN, scripts=True).page
    page.goto("/account/replies")
    page.fill("#key", ownkeys.private_pem().decode())
    page.fill("#password-new", PASSWORD)
    page.get_by_role("button", name="Hand it in").click()
    expect(page.get_by_role("alert")).to_contain_text("PRIVATE key")
    assert page.input_value("#key") == ""
    in_order(page)


@pytest.mark.long
def test_somebody_elses_key_is_compared_and_kept(stage: Stage, gnupg: Gnupg) -> None:
    page = Sender(stage, ANN, scripts=True).page
    page.goto("/account/keys")
    in_order(page)
    page.fill("#address", PAT)
    page.fill("#key", gnupg.make(f"Pat <{PAT}>").decode())
    page.get_by_role("button", name="Look at it").click()
    expect(page.get_by_text(f"Is this the key of {PAT}?")).to_be_visible()
    in_order(page)
    page.get_by_label("I compared all of the fingerprint with them.").check()
    page.fill("#password-keep", PASSWORD)
    page.get_by_role("button", name="Keep this key").click()
    expect(page.get_by_text("The key is kept.")).to_be_visible()
    in_order(page)

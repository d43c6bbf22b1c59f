"""What Ann and Pat see of stories that take days, in a real browser over a house whose clock is moved by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.story.test_browser import no_sideways_scroll
from tests.support.clockwork import PASSWORD, Reader, Sender, Stage, opened
from tests.support.house import DAY, MINUTE, MakeHouse

ANN, PAT, BOB, OFFICE = "ann@gmail.example", "pat@yahoo.example", "bob@outlook.example", "office@clinic.example"

pytestmark = pytest.mark.browser


@pytest.fixture
def stage(make_house: MakeHouse, tmp_path: Path, browser: Browser) -> Iterator[Stage]:
    """A house in which Ann sends."""
    house = make_house(server={"hostname": "localhost"})
    house.add_subscriber(ANN, name="Dr. Ann Ruiz")
    with opened(house, tmp_path, browser) as made:
        yield made


def test_pat_forgets_a_message_is_reminded_and_reads_it(stage: Stage) -> None:
    house = stage.house
    message = house.submit(ANN, [PAT], house.mail())
    stage.deliver()
    stage.live(3 * DAY)
    ann = Sender(stage, ANN)
    assert "We reminded them on" in ann.sent(message)
    assert no_sideways_scroll(ann.page)
    assert len(stage.mails(PAT)) == 2
    assert "It has not been opened yet." in stage.words(PAT)
    pat = Reader(stage, PAT, language="es-MX")
    pat.follow()
    assert pat.page.get_attribute("html", "lang") == "es"
    pat.tell(house.code(ANN, PAT))
    pat.choose()
    assert pat.title == "Results"
    ann.page.goto(f"/sent/{message}")
    expect(ann.page.locator(".chip.good")).to_be_visible()
    stage.live(27 * DAY)
    assert len(stage.mails(PAT)) == 2  # whoever has read it is left in peace


def test_ann_lets_pat_have_the_code_by_mail_and_pat_reads_that_message_alone(stage: Stage) -> None:
    house, ann = stage.house, Sender(stage, ANN, scripts=True, width=1280)
    ann.write(PAT, "Your results", "All is well.")
    ann.page.get_by_label("Also with a code by e-mail").check()
    message = ann.send()
    assert "You let a code by e-mail open it, too." in ann.sent(message)
    other = house.submit(ANN, [PAT], house.mail("Another one"))
    house.clock.forward(MINUTE)
    stage.deliver()
    pat = Reader(stage, PAT)
    pat.page.goto(f"/m/{house.link(other, PAT)}")
    assert pat.page.get_by_role("button", name="E-mail me a code instead").count() == 0
    pat.page.goto(f"/m/{house.link(message, PAT)}")
    pat.page.get_by_role("button", name="E-mail me a code instead").click()
    assert no_sideways_scroll(pat.page)
    stage.deliver()
    pat.tell(stage.code(PAT))
    pat.choose()
    assert pat.title == "Your results"
    pat.page.goto("/messages")
    assert "Another one" not in pat.page.inner_text("main")  # it waits for Ann's own code
    ann.sent(message)
    ann.page.get_by_role("link", name="Proof").click()
    said = ann.page.inner_text("main")
    assert "You let it be opened with less than your code" in said
    assert "A code was asked for by e-mail, as you allowed" in said


@pytest.mark.long
def test_ann_chooses_which_mails_she_gets(stage: Stage) -> None:
    house, ann = stage.house, Sender(stage, ANN, language="es-MX")
    ann.page.goto("/account/mails")
    ann.page.get_by_label("se abre un mensaje mío").check()
    ann.page.get_by_role("button", name="Guardar").click()
    ann.page.wait_for_url("**/account")
    message = house.submit(ANN, [PAT], house.mail())
    stage.deliver()
    pat = Reader(stage, PAT)
    pat.follow()
    pat.tell(house.code(ANN, PAT))
    pat.choose()
    assert pat.title == "Results"
    stage.deliver()
    assert f"/sent/{message}" in stage.link(ANN, "/sent/")


@pytest.mark.long
def test_bob_reads_the_offices_address_and_asks_to_be_written_to(stage: Stage) -> None:
    house = stage.house
    bob = house.register(BOB, house.submit(ANN, [BOB], house.mail(to=[BOB])))
    house.submit(ANN, [OFFICE], house.mail("For the office", to=[OFFICE]))
    stage.deliver()
    office = Reader(stage, OFFICE, language="es-MX")
    office.follow()
    office.page.get_by_role("link", name="Varias personas leen esta dirección").click()
    assert no_sideways_scroll(office.page)
    office.page.get_by_role("button", name="Entrar con mi propia dirección").click()
    office.page.fill("input[name=address]", bob.address)
    office.page.fill("input[name=password]", PASSWORD)
    office.page.locator("form.sheet button.button").first.click()
    office.page.get_by_role("button", name="write to me").click()  # in the language of their account
    office.page.get_by_text("gets a mail from us").wait_for()
    stage.deliver()
    assert BOB in stage.words(ANN)

"""What Ann and Pat see of stories that take days, in a real browser over a house whose clock is moved by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.story.test_browser import no_sideways_scroll
from tests.support.clockwork import Reader, Sender, Stage, opened
from tests.support.house import DAY, MakeHouse

ANN, PAT = "ann@gmail.example", "pat@yahoo.example"

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

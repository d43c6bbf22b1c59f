"""A webhook in a real browser: it is made, tried out, and the page shows live how that went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from cryptnsend.delivery.outcome import Outcome
from tests.story.test_ownkeys import in_order
from tests.support.clockwork import PASSWORD, Sender, Stage, opened
from tests.support.house import MINUTE, MakeHouse

ANN = "ann@gmail.example"
TAKEN = Outcome("delivered", 204, "2.0.0", "HTTP status 204", "practice.example", route="https")
GONE = Outcome("delayed", None, "4.4.1", "practice.example cannot be reached", "practice.example", route="https")

pytestmark = pytest.mark.browser


@pytest.fixture
def stage(make_house: MakeHouse, tmp_path: Path, browser: Browser) -> Iterator[Stage]:
    house = make_house(server={"hostname": "localhost"})
    house.add_subscriber(ANN, name="Dr. Ann Ruiz")
    with opened(house, tmp_path, browser) as made:
        yield made


def test_a_test_shows_its_result_on_the_page_without_loading_it_again(stage: Stage) -> None:
    answers = [GONE, TAKEN]

    def post(url: str, octets: bytes, headers: Mapping[str, str], *, patient: bool) -> Outcome:
        return answers.pop()

    vars(stage.tray)["post"] = post
    page = Sender(stage, ANN, scripts=True).page
    page.goto("/account/webhooks")
    page.fill("#url", "https://practice.example/hooks")
    page.fill("#password", PASSWORD)
    page.get_by_role("button", name="Make a webhook").click()
    expect(page.locator("#v-secret")).to_contain_text("whsec_")
    loaded: list[str] = []
    page.on("load", lambda one: loaded.append(one.url))
    for words in ("told (HTTP status 204)", "waits for another try (practice.example cannot be reached)"):
        page.get_by_role("button", name="Test").click()
        first = page.locator("[data-live] li").first
        expect(first).to_contain_text("Test, on its way")
        in_order(page)
        before = len(loaded)
        stage.deliver()
        expect(first).to_contain_text(words, timeout=20_000)
        assert len(loaded) == before
        in_order(page)
        stage.house.clock.forward(MINUTE)
    assert answers == []

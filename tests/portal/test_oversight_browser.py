"""An officer's story in a real chromium: audit, recall, a case, a glass break, on a phone; axe looks at each page."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.portal.gallery import serving
from tests.portal.real import portal
from tests.portal.test_browser import faults
from tests.support.house import PASSWORD, House

pytestmark = pytest.mark.browser

ANN, PAT, OLIVE = "ann@clinic.example", "pat@yahoo.example", "officer@clinic.example"
WHY = "Ann is ill and a patient asks."
SECRET = "the canary sings at dawn"


@pytest.mark.long
def test_an_officer_watches_stops_a_leak_keeps_a_case_and_breaks_the_glass(
    house: House, browser: Browser, tmp_path: Path
) -> None:
    org = house.organisation("Clinic")
    house.add_subscriber(ANN, organisation=org)
    message = house.submit(ANN, [PAT], house.mail("Lab result", SECRET, author=ANN))
    house.second(OLIVE)
    found: list[str] = []
    with serving(portal(house), tmp_path) as base:
        context = browser.new_context(
            base_url=base, ignore_https_errors=True, viewport={"width": 360, "height": 740}, color_scheme="dark"
        )
        page = context.new_page()

        def look(where: str) -> None:
            found.extend(faults(page, where))
            page.screenshot(path=tmp_path / f"{where}.png", full_page=True)

        def press(words: str) -> None:
            with page.expect_navigation():
                page.get_by_role("button", name=words, exact=True).click()

        page.goto("/sign-in")
        page.fill("#address", OLIVE)
        page.fill("#password", PASSWORD)
        with page.expect_navigation():
            page.locator("main form button.button").first.click()
        page.fill("#code", house.number(OLIVE))
        with page.expect_navigation():
            page.locator("main form button.button").first.click()
        for place in ("", "/audit", "/recall", "/archive", "/glass"):
            page.goto(f"/organisation{place}")
            look(f"officer{place.replace('/', '-')}")
        _recall(page, message, press, look, house)
        _keep(page, press, look)
        _break(page, press, look, house.number(OLIVE))
        context.close()
    assert found == []


def _recall(page: Page, message: int, press, look, house: House) -> None:  # type: ignore[no-untyped-def]
    page.goto("/organisation/recall")
    page.fill("#message", str(message))
    press("Look what that is")
    look("recall-found")
    page.fill("#reason", WHY)
    press("Take all of it back now")
    assert "Never opened before it was taken back." in page.inner_text("main")
    look("recall-done")
    press("Undo: give it back")
    look("give-back")
    page.set_viewport_size({"width": 320, "height": 640})
    look("give-back-narrow")
    page.set_viewport_size({"width": 360, "height": 740})
    page.fill("#password", PASSWORD)
    page.fill("#code", house.number(OLIVE))
    press("Undo: give it back")
    assert "can be opened again." in page.inner_text("main")
    look("given-back")


def _keep(page: Page, press, look) -> None:  # type: ignore[no-untyped-def]
    page.goto("/organisation/archive")
    page.fill("#name", "Smith v. Clinic")
    page.fill("#what", ANN)
    page.fill("#reason", WHY)
    press("Keep it")
    page.fill("#case", "Smith v. Clinic")
    press("Find")
    assert "for a case" in page.inner_text("main")
    look("archive-found")


def _break(page: Page, press, look, number: str) -> None:  # type: ignore[no-untyped-def]
    page.goto("/organisation/glass")
    page.fill("#mailbox", ANN)
    page.fill("#reason", WHY)
    page.fill("#password", PASSWORD)
    page.fill("#code", number)
    press("Break the glass")
    look("glass-open")
    page.get_by_role("link", name="Lab result").click()
    page.wait_for_selector("h1:has-text('Lab result')")
    assert SECRET in page.inner_text("main")
    look("glass-read")
    page.go_back()
    page.get_by_role("link", name="Export it for a case").click()
    page.wait_for_selector("h1:has-text('Export for a case')")
    look("glass-export")
    page.go_back()
    press("End it now")
    assert "Over" in page.inner_text("main")
    look("glass-over")

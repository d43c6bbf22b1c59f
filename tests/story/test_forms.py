"""Ann makes a form, a stranger fills it in on a phone, Ann reads the answers: in a real browser, on a real server."""

from __future__ import annotations

import csv
import io
import re

import pytest
from playwright.sync_api import Browser, Page

from cryptnsend.demo.house import House
from tests.story.test_browser import no_sideways_scroll

ANN, SOFIA = "ann.forms@gmail.example", "sofia.{}@yahoo.example"
PASSWORD, OTHER = "harbour violet tractor ninety", "lantern otter gravel seventeen"

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module", autouse=True)
def subscriber(served: House) -> None:
    served.run("subscriber", "add", ANN, "--name", "Dr. Ann Ruiz", "--password-stdin", stdin=PASSWORD + "\n")


def sign_in(served: House, page: Page) -> None:
    page.goto(served.base_url + "/sign-in")
    page.fill("input[name=address]", ANN)
    page.fill("input[name=password]", PASSWORD)
    page.click("form.sheet button.button >> nth=0")
    page.wait_for_url("**/messages*")


def make_form(served: House, page: Page, handle: str) -> None:
    """Open a page for visitors, with a form of two questions on it."""
    page.goto(f"{served.base_url}/account/visitors")
    page.fill("#handle", handle)
    page.check("input[name=open]")
    page.click("button:has-text('Save')")
    page.click("a:has-text('Make a form')")
    page.fill("#title-en", "Before your first visit")
    page.fill("#label-q1-en", "Medicines that you take")
    page.select_option("#kind-q1", "long")
    page.check("input[name=required-q1]")
    page.click("button:has-text('Add a question')")
    page.fill("#label-q2-en", "Date of birth")
    page.select_option("#kind-q2", "date")
    page.click("button:has-text('Show how it looks')")
    assert "Medicines that you take" in page.inner_text("#preview-en")
    assert no_sideways_scroll(page)
    page.click("button:has-text('Save') >> visible=true >> nth=-1")
    page.get_by_text("Saved.").wait_for()


@pytest.mark.parametrize(("width", "scripts"), [(320, False), (1280, True)], ids=["phone", "desk"])
def test_a_stranger_fills_in_a_form_and_its_subscriber_reads_a_table(
    served: House, browser: Browser, width: int, scripts: bool
) -> None:
    options = {"viewport": {"width": width, "height": 800}, "ignore_https_errors": True, "java_script_enabled": scripts}
    ann = browser.new_context(**options).new_page()
    sign_in(served, ann)
    handle, sofia = f"ann-forms-{width}", SOFIA.format(width)
    make_form(served, ann, handle)

    page = browser.new_context(**options).new_page()
    page.goto(f"{served.base_url}/to/{handle}")
    page.click("a:has-text('Fill in')")
    page.fill("#name", "Sofia Grant")
    page.fill("#address", sofia)
    page.click("button:has-text('Mail me a code')")
    page.wait_for_url("**/code")
    mail = served.internet.wait_for(sofia).parsed.get_body(("plain",))
    assert mail is not None
    code = re.search(r"(?m)^\s*([0-9](?: ?[0-9]){5})\s*$", mail.get_content())
    assert code, mail.get_content()
    page.fill("#code", code[1])
    page.fill("#password", OTHER)
    page.click("main form button.button:not([name]) >> nth=0")
    page.wait_for_url("**/write?form=*")
    assert no_sideways_scroll(page)
    page.fill("#answer-q1", "Iron 100 mg\n=Aspirin")
    if scripts:  # what was typed is kept, and is in its form when the page is loaded anew
        page.wait_for_url("**/write?draft=*")
        page.reload()
        assert page.input_value("#answer-q1") == "Iron 100 mg\n=Aspirin"
        # What a browser stops by itself is asked again by the server
        page.locator("main form").evaluate("form => { form.noValidate = true; }")
        page.fill("#answer-q2", "1849-01-01")
        page.click("button:has-text('Send it locked')")
        page.get_by_text("Type a year from 1850 to 2200.").wait_for()
        assert page.input_value("#answer-q1") == "Iron 100 mg\n=Aspirin"
    page.fill("#answer-q2", "1984-07-31")
    page.click("button:has-text('Send it locked')")
    page.wait_for_url("**/sent")

    ann.goto(f"{served.base_url}/messages")
    ann.click("a:has-text('Before your first visit') >> nth=0")
    table = ann.frame_locator("iframe.letter-frame").locator("table")
    assert table.locator("td").all_inner_texts() == ["Iron 100 mg\n=Aspirin", "1984-07-31"]
    assert no_sideways_scroll(ann)
    with ann.expect_download() as saved:
        ann.click("ul.attachments a[download]")
    rows = list(csv.reader(io.StringIO(saved.value.path().read_text("utf-8-sig"), newline="")))
    assert rows[0][-2:] == ["Medicines that you take", "Date of birth"]
    assert rows[1][1:3] == ["Sofia Grant", sofia]
    assert rows[1][-2:] == ["Iron 100 mg\n'=Aspirin", "1984-07-31"]
    for each in (ann, page):
        each.context.close()

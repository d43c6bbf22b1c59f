"""Plain mail with a number in it, on a real server: it is held, its sender chooses in a browser, and that happens."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage

import pytest
from playwright.sync_api import BrowserContext, Page

from cryptnsend.demo.house import House
from cryptnsend.demo.visitor import first_link
from tests.dlp.documents import docx, zipped

ANN = "ann.held@gmail.example"
PASSWORD = "harbour violet tractor ninety"
SSN = "219-44-1234"

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def device(served: House) -> str:
    """A device password of Ann's."""
    add = ("subscriber", "add", ANN, "--name", "Dr. Ann Ruiz", "--password-stdin")
    served.run(*add, stdin=PASSWORD + "\n")
    make = ("device", "add", ANN, "--name", "held", "--password-stdin")
    return served.run(*make, stdin=PASSWORD + "\n").splitlines()[-1].strip()


def send(served: House, device: str, recipient: str, text: str, files: dict[str, bytes] | None = None) -> None:
    """Send in plain as Ann's mail program does."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = ANN, recipient, ":: Your papers"
    mail.set_content(text)
    for name, octets in (files or {}).items():
        mail.add_attachment(octets, maintype="application", subtype="octet-stream", filename=name)
    with smtplib.SMTP_SSL("localhost", served.home.ports()["submissions"], context=served.context()) as client:
        client.login(ANN, device)
        client.send_message(mail)


def warned(served: House, number: int) -> str:
    """Return the path of the link in Ann's warning of that number."""

    def is_warning(one: object) -> bool:
        return "waits for your word" in str(getattr(one, "parsed", {}).get("Subject", ""))

    mail = served.internet.wait_for(ANN, number, predicate=is_warning)
    body = mail.parsed.get_body(("plain",))
    assert body is not None
    assert SSN not in mail.parsed.as_string()
    return first_link(body.get_content(), "/held/")


def opened(served: House, context: BrowserContext, path: str) -> Page:
    """Follow the link of a warning as Ann, who has to sign in first."""
    page = context.new_page()
    page.goto(served.base_url + path)
    if "Social Security number" not in page.content():
        page.fill("input[name=address]", ANN)
        page.fill("input[name=password]", PASSWORD)
        page.click("form.sheet button.button >> nth=0")
        page.wait_for_url("**/held/**")
    return page


@pytest.mark.long
def test_what_is_found_waits_for_the_sender_who_chooses_in_a_browser(served: House, device: str, browser) -> None:
    sealed, plain, gone = "seal@yahoo.example", "plain@yahoo.example", "gone@yahoo.example"
    file = zipped({"forms/intake.docx": docx(f"Her SSN is {SSN}.")})
    send(served, device, sealed, "See the form.", {"forms.zip": file})
    first = warned(served, 1)
    send(served, device, plain, f"His SSN is {SSN}.")
    second = warned(served, 2)
    send(served, device, gone, f"Their SSN is {SSN}.")
    third = warned(served, 3)
    assert [served.internet.inbox(each) for each in (sealed, plain, gone)] == [[], [], []]

    context = browser.new_context(ignore_https_errors=True, java_script_enabled=False)
    stranger = browser.new_context(ignore_https_errors=True)
    # Whoever follows links from mail gets a page to sign in, with nothing on it, and nothing happens.
    looked = stranger.new_page()
    for path in (first, second, third):
        looked.goto(served.base_url + path)
        assert "Social Security" not in looked.content()
        assert "/sign-in" in looked.url

    page = opened(served, context, first)
    assert "***-**-**34" in page.content()
    assert "forms.zip > intake.docx" in page.inner_text("main")
    assert SSN not in page.content()
    page.click("button:has-text('Send it encrypted')")
    page.wait_for_url("**/sent/**")
    notice = served.internet.wait_for(sealed).parsed
    assert "secure message" in str(notice["Subject"])
    assert SSN not in notice.as_string()

    page = opened(served, context, second)
    page.click("summary:has-text('Send it as it is')")
    page.fill("input[name=reason]", "no")
    page.click("button:has-text('Send it as it is')")
    assert "from 5 to 300 characters" in page.inner_text("main")
    page.fill("input[name=reason]", "asked for in writing")
    page.click("button:has-text('Send it as it is')")
    page.wait_for_url("**/sent/**")
    left = served.internet.wait_for(plain).parsed
    assert left["Subject"] == "Your papers"
    assert SSN in left.as_string()

    page = opened(served, context, third)
    page.click("summary:has-text('Throw it away')")
    page.click("button:has-text('Throw it away')")
    page.wait_for_url("**/sent/**")
    page.goto(served.base_url + third)
    assert "This is decided" in page.inner_text("h1")
    assert served.internet.inbox(gone) == []
    shown = served.run("hold", "list", "--all", "--json")
    assert '"asked for in writing"' in shown
    assert SSN not in shown
    context.close()
    stranger.close()

"""The story in a real browser on a real server: phone and desktop width, with and without scripts."""

from __future__ import annotations

import smtplib
import zipfile
from email.message import EmailMessage
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page

from cryptnsend.demo.house import House
from cryptnsend.demo.visitor import first_link

ANN = "ann.story@gmail.example"
ANN_PASSWORD = "harbour violet tractor ninety"
PASSWORD = "lantern otter gravel seventeen"
REPORT = b"%PDF-1.7 " + b"a small report " * 500

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def device(served: House) -> str:
    """A device password of Ann's."""
    add = ("subscriber", "add", ANN, "--name", "Dr. Ann Ruiz", "--password-stdin")
    served.run(*add, stdin=ANN_PASSWORD + "\n")
    make = ("device", "add", ANN, "--name", "story", "--password-stdin")
    return served.run(*make, stdin=ANN_PASSWORD + "\n").splitlines()[-1].strip()


def send(served: House, device: str, recipient: str, subject: str) -> str:
    """Send as Ann's mail program does; return the path of the notice's link."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = ANN, recipient, subject
    mail.set_content("All is well.\n")
    mail.add_attachment(REPORT, maintype="application", subtype="pdf", filename="report.pdf")
    port = served.home.ports()["submissions"]
    with smtplib.SMTP_SSL("localhost", port, context=served.context()) as client:
        client.login(ANN, device)
        client.send_message(mail)
    body = served.internet.wait_for(recipient).parsed.get_body(("plain",))
    assert body is not None
    return first_link(body.get_content(), "/m/")


def code_on_page(served: House, context: BrowserContext, subject: str, recipient: str) -> str:
    """Sign in as Ann, open the message under Sent, show the code, and return it."""
    page = context.new_page()
    page.goto(served.base_url + "/sign-in")
    page.fill("input[name=address]", ANN)
    page.fill("input[name=password]", ANN_PASSWORD)
    page.click("form.sheet button.button >> nth=0")
    page.wait_for_url("**/messages*")
    page.goto(served.base_url + "/sent")
    page.click(f"a:has-text('{subject}')")
    page.click("button:has-text('Show the code')")
    code = page.inner_text(".spoken-code").replace(" ", "").replace("\N{NO-BREAK SPACE}", "")
    page.close()
    assert len(code) == 6, recipient
    return code


def no_sideways_scroll(page: Page) -> bool:
    """Say whether the page fits its window's width; asks the browser, so it needs no script of the page."""
    session = page.context.new_cdp_session(page)
    size = session.send("Page.getLayoutMetrics")
    return bool(size["cssContentSize"]["width"] <= size["cssLayoutViewport"]["clientWidth"] + 1)


@pytest.mark.parametrize(("width", "scripts"), [(360, False), (360, True), (1280, True), (320, False)])
def test_pat_opens_reads_downloads_and_replies(served, device, browser, tmp_path: Path, width: int, scripts: bool):
    who = f"pat{width}{'s' if scripts else 'n'}@yahoo.example"
    subject = f"Your test {width} {scripts}"
    link = send(served, device, who, subject)
    options = {"viewport": {"width": width, "height": 800}, "ignore_https_errors": True, "java_script_enabled": scripts}
    ann, pat = browser.new_context(**options), browser.new_context(**options, accept_downloads=True)
    code = code_on_page(served, ann, subject, who)

    page = pat.new_page()
    page.goto(served.base_url + link)
    assert subject not in page.content()
    assert no_sideways_scroll(page)
    page.fill("input[name=code]", code)
    page.click("button:has-text('Continue')")
    page.fill("input[name=password]", PASSWORD)
    page.click("button:has-text('Save the password')")
    page.wait_for_url("**/messages/**")
    assert subject in page.inner_text("h1")
    assert no_sideways_scroll(page)

    with page.expect_download() as saved:
        page.click("ul.attachments a[download]")
    file = tmp_path / "report.pdf"
    saved.value.save_as(file)
    assert file.read_bytes() == REPORT

    page.set_input_files("input[type=file]", {"name": "note.txt", "mimeType": "text/plain", "buffer": b"note " * 100})
    before = sum(bool(locked(mail.parsed)) for mail in served.internet.inbox(ANN))
    page.fill("textarea[name=text]", "Thank you, doctor.")
    page.click("button:has-text('Send reply')")
    page.wait_for_url("**/sent")
    assert "Your reply is with" in page.inner_text("h1")
    reply = served.internet.wait_for(ANN, before + 1, predicate=lambda one: bool(locked(one.parsed)))
    assert zipfile.is_zipfile(tmp(tmp_path, locked(reply.parsed)[0]))

    page.goto(served.base_url + "/messages")
    with page.expect_navigation():
        page.click("button:has-text('Sign out') >> nth=0")
    page.goto(served.base_url + "/messages")
    assert subject not in page.content()
    ann.close()
    pat.close()


def locked(mail: EmailMessage) -> list[bytes]:
    """Return the ZIP files of a mail."""
    return [part.get_content() for part in mail.iter_attachments() if part.get_content_type() == "application/zip"]


def tmp(folder: Path, octets: bytes) -> Path:
    """Write *octets* to a file."""
    file = folder / "reply.zip"
    file.write_bytes(octets)
    return file

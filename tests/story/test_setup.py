"""A subscriber sets up an iPhone by one file, in a real browser on a real server; then all devices are removed."""

from __future__ import annotations

import imaplib
import plistlib
import smtplib
import subprocess
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from cryptnsend.demo.house import House
from tests.story.test_browser import no_sideways_scroll

ANN, PASSWORD = "setup-ann@gmail.example", "velvet acorn harvest dune pickle"

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def ann(served: House) -> str:
    served.run("subscriber", "add", ANN, "--name", "Dr. Ann Ruiz", "--password-stdin", stdin=PASSWORD + "\n")
    return ANN


def signed_in(served: House, page: Page) -> None:
    page.goto(served.base_url + "/sign-in")
    page.fill("input[name=address]", ANN)
    page.fill("input[name=password]", PASSWORD)
    page.click("form.sheet button.button >> nth=0")
    page.wait_for_url("**/messages*")


def mail_of(signed: Path, certificate: Path) -> dict[str, Any]:
    """Return the account in a profile whose signature openssl has verified."""
    command = ["openssl", "cms", "-verify", "-inform", "DER", "-in", signed, "-CAfile", certificate, "-purpose", "any"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    (mail,) = plistlib.loads(done.stdout)["PayloadContent"]
    return dict(mail)


@pytest.mark.parametrize(("width", "scripts"), [(360, False), pytest.param(1280, True, marks=pytest.mark.long)])
def test_one_file_sets_up_a_phone_and_one_button_ends_it(
    served: House, ann: str, browser: Browser, tmp_path: Path, width: int, scripts: bool
) -> None:
    page = browser.new_context(
        viewport={"width": width, "height": 800},
        ignore_https_errors=True,
        java_script_enabled=scripts,
        accept_downloads=True,
    ).new_page()
    signed_in(served, page)
    page.goto(served.base_url + "/setup")
    assert no_sideways_scroll(page)
    page.click("text=iPhone or iPad")
    assert no_sideways_scroll(page)
    page.fill("input[name=device]", "Ann’s iPhone")
    with page.expect_download() as begun:
        page.click("button:has-text('Get the profile')")
    assert begun.value.suggested_filename == "secure-mail.mobileconfig"
    begun.value.save_as(tmp_path / "profile")
    mail = mail_of(tmp_path / "profile", served.config.tls.certificate)
    device, context = mail["IncomingPassword"], served.context()

    host, port = mail["OutgoingMailServerHostName"], mail["OutgoingMailServerPortNumber"]
    with smtplib.SMTP_SSL(host, port, context=context, timeout=60) as client:
        client.login(mail["OutgoingMailServerUsername"], mail["OutgoingPassword"])
        client.sendmail(ann, [ann], f"From: {ann}\r\nTo: {ann}\r\nSubject: From {width}\r\n\r\nFine.\r\n".encode())
    imap = imaplib.IMAP4_SSL(
        mail["IncomingMailServerHostName"], mail["IncomingMailServerPortNumber"], ssl_context=context
    )
    imap.login(mail["IncomingMailServerUsername"], device)
    imap.select("INBOX")
    assert imap.search(None, "SUBJECT", f'"From {width}"')[1] != [b""]

    page.goto(served.base_url + "/account/devices")
    assert "Ann’s iPhone Sends and reads." in " ".join(page.inner_text("main").split())
    assert device not in page.content()
    page.goto(served.base_url + "/setup?program=thunderbird")
    page.fill("input[name=name]", "Front desk")
    page.click("button:has-text('Make a device password')")
    second = page.inner_text("#v-password")
    page.goto(served.base_url + "/account/devices")
    page.click("button:has-text('Remove all of them')")
    page.get_by_text("All removed.").wait_for()
    with pytest.raises(imaplib.IMAP4.abort):
        imap.noop()
    imap.shutdown()
    for password in (device, second):
        with (
            smtplib.SMTP_SSL(host, port, context=context, timeout=60) as client,
            pytest.raises(smtplib.SMTPAuthenticationError),
        ):
            client.login(ann, password)
        with (
            imaplib.IMAP4_SSL(host, mail["IncomingMailServerPortNumber"], ssl_context=context) as reader,
            pytest.raises(imaplib.IMAP4.error),
        ):
            reader.login(ann, password)
    page.context.close()

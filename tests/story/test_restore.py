"""A server is lost and comes back from its backup: what was given out before is dead, what was sent is not.

The whole server runs, before and after: mail program, pages, mails that receivers check by DKIM and DMARC.
"""

from __future__ import annotations

import re
import smtplib

import pytest

from cryptnsend.demo.house import House
from cryptnsend.demo.visitor import Page, Visitor, first_link
from cryptnsend.making import make_dkim_keys
from tests.support.house import OTHER, PASSWORD

ANN, PAT, BOB = "ann@gmail.example", "pat@yahoo.example", "bob@icloud.example"


def send(house: House, recipient: str, subject: str) -> int:
    """Let Ann's mail program send; return the message's id."""
    port = house.home.ports()["submissions"]
    text = f"From: {ANN}\r\nTo: {recipient}\r\nSubject: {subject}\r\n\r\nHaemochroma.\r\n"
    with smtplib.SMTP_SSL("localhost", port, context=house.context(), timeout=30) as client:
        client.login(ANN, PASSWORD)
        client.mail(ANN)
        client.rcpt(recipient)
        code, words = client.data(text)
    assert code == 250, words
    return int(words.split()[3])


def browser(house: House, cookies: dict[str, str] | None = None) -> Visitor:
    """Return a browser at the doors of today, with the cookies of another day."""
    made = Visitor(house.base_url, house.context())
    made._cookies.update(cookies or {})
    return made


def sign_in(who: Visitor) -> Page:
    page = who.get("/sign-in")
    return who.send(page, page.form(with_field="address"), address=ANN, password=PASSWORD)


def code_shown(who: Visitor, message: int) -> str:
    page = who.get(f"/sent/{message}")
    shown = who.send(page, page.form(action="/codes"))
    found = re.search(r"\b(\d{3}) (\d{3})\b", shown.words)
    assert found, shown.words
    return found[1] + found[2]


def notice_link(house: House, recipient: str, number: int = 1) -> str:
    house.internet.wait_for(recipient, number)
    body = house.internet.inbox(recipient)[number - 1].parsed.get_body(("plain",))
    assert body is not None
    link = first_link(str(body.get_content()), "/m/")
    return link[link.index("/m/") :]


def lose(house: House) -> None:
    """Leave of a home what a machine that was set up for a restore has: configuration, master key, journal."""
    for place in (house.home.main_db, house.home.ledger):
        for end in ("", "-wal", "-shm"):
            place.with_name(place.name + end).unlink(missing_ok=True)
    for folder in (house.home.blobs, house.home.dkim):
        for file in folder.iterdir():
            file.unlink()
    make_dkim_keys(house.home)


@pytest.mark.long  # starts a server twice
def test_a_restored_server_keeps_the_mail_and_ends_sessions_and_codes(own_server: House) -> None:
    house = own_server
    house.run("subscriber", "add", ANN, "--name", "Ann", "--own", "--password-stdin", stdin=PASSWORD + "\n")
    message = send(house, PAT, "Results")
    ann = browser(house)
    sign_in(ann)
    code, link = code_shown(ann, message), notice_link(house, PAT)
    assert ann.get("/sent").path.startswith("/sent")
    published = house.run("dns")
    folder = house.path.parent / "backup"
    house.run("backup", str(folder))
    assert b"PRIVATE KEY" not in b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())

    house.stop()
    lose(house)
    assert house.run("dns") != published
    said = house.run("restore", str(folder))
    assert "their DNS records still hold" in said
    assert house.run("dns") == published
    house.start()

    again = browser(house, ann._cookies)
    assert again.get("/sent").path.startswith("/sign-in")
    pat = browser(house)
    page = pat.get(link)
    refused = pat.send(page, page.form(with_field="code"), code=code)
    assert refused.form(with_field="code")
    assert "not the code" in refused.words
    sign_in(again)
    fresh = code_shown(again, message)
    assert fresh != code
    page = pat.send(refused, refused.form(with_field="code"), code=fresh)
    page = pat.send(page, page.form(with_field="password"), password=OTHER)
    assert "Results" in page.words
    # The receivers still know our signature: another one would be refused by their DMARC check.
    send(house, BOB, "More results")
    assert notice_link(house, BOB)
    assert house.internet.refusals() == []

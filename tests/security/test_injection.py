"""
Line ends, sequences that move a terminal's cursor, and JSON that breaks off, typed into forms and said at doors: no
line of a log, no header field and no entry of the trail has them as such.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs

from cryptnsend import logs
from cryptnsend.demo.house import House as Server
from cryptnsend.portal import Portal
from tests.support.house import PASSWORD

from .browser import Browser
from .test_never import MALLORY, OURS, letters, parsed
from .world import ANN, PAT, World

BAD = (
    f'x\r\nBcc: {MALLORY}\r\n\r\n\x1b[2J\x1b]0;y\x07","event":"forged","a":"\u2028\u2029\x85\x0b%0d%0a{{7*7}}${{7*7}}\\'
)
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u0085\u2028\u2029]")
TYPED = {"name", "phone", "text", "subject", "reason", "why", "note", "words", "address", "to", "cc", "bcc"}


def press_everything(browser: Browser) -> set[str]:
    """Type into every field of every form that can be reached, press every button; return the names of the fields."""
    waiting, seen, typed = ["/", "/messages", "/sent", "/setup", "/account", "/write"], {"/sign-out"}, set()
    while waiting:
        path = waiting.pop(0)
        if path in seen or not path.startswith("/") or path.startswith(("/static", "/help", "/messages?before")):
            continue
        seen.add(path)
        page = browser.get(path)
        waiting += [_path(href) for href, _ in page.links]
        for form in page.forms:
            if form.action.endswith("/sign-out"):
                continue
            for button in {name for name, _, _ in form.buttons} or {""}:
                wanted = {name for name, value in form.values if name in TYPED or not value}
                typed |= wanted
                form.values = [(name, BAD if name in wanted else value) for name, value in form.values]
                answer = browser.send(page, form, button=button)
                assert answer.status < 500, (form.action or path, answer.status)
                assert not any(set("\r\n") & set(value) for value in answer.headers.values())
    return typed


def _path(href: str) -> str:
    parts = urlsplit(href)
    return parts.path + (f"?{parts.query}" if parts.query else "") if not parts.scheme or "clinic" in href else ""


@pytest.mark.parametrize(
    "who",
    [pytest.param(ANN, marks=pytest.mark.long, id="a subscriber"), pytest.param(PAT, id="a recipient"),
     pytest.param("", id="a stranger")],
)  # fmt: skip
def test_nothing_typed_into_a_form_breaks_out_of_a_log_line_a_header_or_the_trail(
    world: World, pages: Portal, who: str
) -> None:
    house = world.house
    message = world.write(ANN, PAT)
    link = house.link(world.write(ANN, "new@aol.example"), "new@aol.example")
    browser = Browser(pages)
    with capture_logs() as lines:
        if who:
            browser.sign_in(who, PASSWORD)
            typed = press_everything(browser)
            browser.get(f"/messages/{message}")
        else:
            typed = set()
            for path in ("/sign-in", "/forgot", "/sign-up", f"/m/{link}"):
                page = browser.get(path)
                for form in page.forms:
                    wanted = {name for name, value in form.values if not value}
                    typed |= wanted
                    form.values = [(name, BAD if name in wanted else value) for name, value in form.values]
                    assert browser.send(page, form).status < 500
    assert len(typed) > 3, typed
    for line in lines:
        written = logs._as_json(logs.redact(None, "", dict(line)))
        assert json.loads(written)["event"] == line["event"] != "forged"
        assert not CONTROLS.search(written), written
    for _, letter in letters(house):
        mail = parsed(letter)
        assert {name.lower() for name, _ in mail.items()} <= OURS
        assert MALLORY not in letter.recipient
    for row in house.engine.query("SELECT * FROM audit"):
        assert not CONTROLS.search(json.dumps(row, default=str, ensure_ascii=False))


SAID = {
    "submissions": [
        "EHLO {}", "HELO {}", "AUTH PLAIN {}", "AUTH LOGIN {}", "MAIL FROM:<{}>", "RCPT TO:<{}>", "VRFY {}", "EXPN {}",
        "NOOP {}", "HELP {}", "STARTTLS {}", "BDAT {}", "{}",
    ],
    "inbound": [
        "EHLO {}", "MAIL FROM:<{}@x.example>", "RCPT TO:<{}@cryptnsend.example>", "ETRN {}", "XCLIENT NAME={}",
        "XFORWARD {}", "{}",
    ],
    "imaps": [
        "a LOGIN {} {}", "b AUTHENTICATE {}", "c SELECT {}", "{} NOOP", 'd ID ("name" "{}")', "e ENABLE {}", "{}",
    ],
    "pop3s": ["USER {}", "PASS {}", "AUTH PLAIN {}", "APOP {} x", "UIDL {}", "{}"],
}  # fmt: skip
WORDS = (
    b'x\x1b[2J\x1b]0;y\x07","event":"forged","a":"',
    "x\u2028\u0085y".encode(),
    b"x\x00\x0b\x08y",
    b"\xff\xfe%0d%0aBcc: m@evil",
)


# What is said to who started the server, beside the log.
TOLD = re.compile(rb"(?:The portal is at|Mail clients submit|  or port|  and read at|Other mail servers bring) [ -~]*")


@pytest.mark.parametrize("door", SAID)
def test_nothing_said_at_a_door_breaks_out_of_a_log_line(served: Server, door: str) -> None:
    """Each line of the log stays one line of JSON, and each reply a line of printable characters."""
    begun = served.log.stat().st_size
    for said in SAID[door]:
        for word in WORDS:
            answers = _said(served, door, said.encode().replace(b"{}", word))
            assert not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", answers), answers
            assert b"\n" not in answers.replace(b"\r\n", b"")
    with served.log.open("rb") as log:
        log.seek(begun)
        for octets in log.read().rpartition(b"\n")[0].splitlines():
            if TOLD.fullmatch(octets):
                continue
            line = json.loads(octets)
            assert line["event"] != "forged"
            assert not CONTROLS.search(octets.decode())


def _said(served: Server, door: str, line: bytes) -> bytes:
    """Say hello, one line and goodbye; return everything that was answered."""
    port, heard = served.home.ports()[door], bytearray()
    with socket.create_connection(("127.0.0.1", port), 60) as plain:
        wire = plain if door == "inbound" else served.context().wrap_socket(plain, server_hostname="localhost")
        with suppress(ConnectionResetError, BrokenPipeError, ssl.SSLError):
            wire.sendall(b"EHLO x\r\n" * (door in ("submissions", "inbound")) + line + b"\r\n*\r\nQUIT\r\nz LOGOUT\r\n")
            while octets := wire.recv(4096):
                heard += octets
        if wire is not plain:
            wire.close()
    return bytes(heard)

"""Does the real rspamd say what it takes for spam, and is anything but a clear answer ever taken for a yes?"""

from __future__ import annotations

import json
import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core.contracts import Carried, Finding
from cryptnsend.core.errors import ScannerGone
from cryptnsend.scan.rspamd import ACTIONS, Rspamd, read_answer
from tests.support.scanners import DOUBTFUL, GTUBE, SPAM, FalseScanner, nowhere

MOST = 65_536


def mail(text: str = "All is well.") -> bytes:
    return (
        "From: pat@yahoo.example\r\nTo: ann@gmail.example\r\nSubject: hello\r\nMessage-ID: <1@yahoo.example>\r\n\r\n"
        f"{text}\r\n"
    ).encode()


def judged(
    place: str, *pieces: bytes, carried: Carried | None = None, seconds: float = 60, most: int = MOST
) -> Finding | None:
    scan = Rspamd(place, seconds, most).begin(carried or Carried())
    try:
        for piece in pieces or (mail(),):
            scan.feed(piece)
        return scan.verdict()
    finally:
        scan.close()


# -- the real rspamd --------------------------------------------------------------------------------------------------


def test_the_pattern_that_every_filter_knows_is_spam(rspamd: str) -> None:
    assert judged(rspamd, mail(SPAM)) == Finding("spam", "reject_(15.0)")


def test_a_mail_in_order_has_no_finding(rspamd: str) -> None:
    assert judged(rspamd) is None
    assert judged(rspamd, b"") is None


def test_what_rspamd_would_only_mark_is_doubtful(rspamd: str) -> None:
    found = judged(rspamd, mail(DOUBTFUL))
    assert found is not None
    assert found.kind == "doubtful"
    assert judged(rspamd, mail(f"A{GTUBE}")) is None  # the pattern that is no spam by agreement


def test_the_beginning_of_a_large_mail_is_shown(rspamd: str) -> None:
    head = b"Content-Type: multipart/mixed; boundary=b\r\n" + mail().partition(b"\r\n\r\n")[0]
    pattern, large = f"\r\n--b\r\n\r\n{SPAM}\r\n".encode(), b"\r\n--b\r\n\r\n" + b"word " * 10_000
    found = judged(rspamd, head, b"\r\n", pattern, *[large] * 20)
    assert found is not None
    assert found.kind == "spam"
    assert judged(rspamd, head, b"\r\n", *[large] * 20, pattern) is None


def test_ping_tells_who_is_there(rspamd: str) -> None:
    Rspamd(rspamd, 60, MOST).ping()
    for place in (nowhere(), "/nowhere/rspamd.sock"):
        with pytest.raises(ScannerGone):
            Rspamd(place, 60, MOST).ping()


# -- false ones -------------------------------------------------------------------------------------------------------


def says(body: bytes, *, status: str = "200 OK", length: int | None = None) -> FalseScanner:
    def behave(scanner: FalseScanner, line: socket.socket) -> None:
        scanner.hear(line, b"All is well.\r\n")
        size = len(body) if length is None else length
        line.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\n\r\n".encode() + body)

    return FalseScanner(behave)


def test_it_is_told_how_the_mail_came() -> None:
    carried = Carried("pat@yahoo.example", ("reply@clinic.example", "x@y.example"), "192.0.2.7", "mx.yahoo.example")
    with says(b'{"action": "no action"}') as scanner:
        assert judged(scanner.place, carried=carried) is None
        head = bytes(scanner.got).partition(b"\r\n\r\n")[0].decode().split("\r\n")
    assert head[0] == "POST /checkv2 HTTP/1.1"
    assert {"IP: 192.0.2.7", "Helo: mx.yahoo.example", "From: pat@yahoo.example"} <= set(head)
    assert [each for each in head if each.startswith("Rcpt")] == ["Rcpt: reply@clinic.example", "Rcpt: x@y.example"]
    assert not [each for each in head if each.startswith("User")]


def test_nothing_that_a_stranger_names_becomes_a_field() -> None:
    carried = Carried("a@b.example\r\nSettings: {}", ("päivi@y.example\r\n\r\nGET / HTTP/1.1",), ehlo="x\nUser: ann")
    with says(b'{"action": "no action"}') as scanner:
        assert judged(scanner.place, carried=carried) is None
        head, _, body = bytes(scanner.got).partition(b"\r\n\r\n")
    assert [line.partition(b":")[0] for line in head.split(b"\r\n")[1:]] == [
        b"Host",
        b"Helo",
        b"From",
        b"Rcpt",
        b"Content-Length",
    ]
    assert "päivi@y.example".encode() in head
    assert body == mail()


@pytest.mark.parametrize("action", ACTIONS)
def test_each_advice_means_something(action: str) -> None:
    with says(json.dumps({"action": action, "score": 7.25, "symbols": {"X": {"score": 1}}}).encode()) as scanner:
        found = judged(scanner.place)
    assert (found.kind if found else None) == ACTIONS[action]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"pong",
        b'{"action": null}',
        b'{"action": "NO ACTION"}',
        b'{"action": "hold for the boss"}',
        b'{"action": "no action"',
        b'{"action": "no action\xff"}',
        b'{"error": "too large"}',
        b'{"action": "no action", "x": "' + b"y" * 2_000_000 + b'"}',
    ],
)
def test_an_answer_that_is_not_clear_is_no_yes(body: bytes) -> None:
    with says(body) as scanner, pytest.raises(ScannerGone):
        judged(scanner.place)


@pytest.mark.parametrize("status", ["500 no", "403 no", "204 nothing", "301 elsewhere", "99999 what", "200\x00OK"])
def test_another_status_than_200_is_no_yes(status: str) -> None:
    with says(b'{"action": "no action"}', status=status) as scanner, pytest.raises(ScannerGone):
        judged(scanner.place)


def test_an_answer_that_breaks_off_is_no_yes() -> None:
    with says(b'{"action": "no action"}', length=500) as scanner, pytest.raises(ScannerGone):
        judged(scanner.place)


@pytest.mark.parametrize("flood", [b"HTTP/1.1 100 Continue\r\n\r\n", b"X-Y: z\r\n", b"x" * 1000])
def test_an_endless_head_has_an_end(flood: bytes) -> None:
    def behave(scanner: FalseScanner, line: socket.socket) -> None:
        scanner.hear(line, b"All is well.\r\n")
        line.sendall(b"HTTP/1.1 200 OK\r\n" if flood.startswith(b"X-Y") else b"")
        while True:
            line.sendall(flood)

    with FalseScanner(behave) as scanner, pytest.raises(ScannerGone):
        judged(scanner.place, seconds=1)


@pytest.mark.parametrize("octets", [b"", b"x"], ids=["silence", "a trickle"])
def test_a_filter_that_gives_no_answer_is_waited_for_as_long_as_was_set(octets: bytes) -> None:
    def behave(scanner: FalseScanner, line: socket.socket) -> None:
        scanner.hear(line, b"All is well.\r\n")
        while not scanner.over.wait(0.05):
            line.sendall(octets)

    begun = time.monotonic()
    with FalseScanner(behave) as scanner, pytest.raises(ScannerGone) as gone:
        judged(scanner.place, seconds=0.5)
    assert gone.value.waited
    assert time.monotonic() - begun < 60


def test_a_filter_that_leaves_has_not_said_yes() -> None:
    with FalseScanner(lambda scanner, line: None) as scanner, pytest.raises(ScannerGone):
        judged(scanner.place, *[b"x" * 65_536] * 4, most=1 << 20)


def test_no_more_than_was_set_is_held() -> None:
    scan = Rspamd("127.0.0.1:1", 1, 100).begin(Carried())
    for _ in range(50):
        scan.feed(b"x" * 30)
    assert len(scan._octets) == 100
    scan.close()


@given(st.binary(max_size=300))
def test_nothing_but_a_known_advice_is_an_answer(body: bytes) -> None:
    try:
        found = read_answer(body)
    except ScannerGone:
        return
    assert ACTIONS[json.loads(body)["action"]] == (found.kind if found else None)

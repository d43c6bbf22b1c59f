"""What bounces say, as the many programs that write them say it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryptnsend.core.bounces import READ, WORDS, read_bounce

FILES = sorted((Path(__file__).parent / "bounces").glob("*.eml"))


def octets_of(path: Path) -> tuple[bytes, list[str]]:
    """Return the mail of a file and what its first line expects: action status code host."""
    first, _, rest = path.read_bytes().partition(b"\n")
    return rest.replace(b"\n", b"\r\n"), first.decode().removeprefix("expect: ").split()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_bounce_is_read(path: Path) -> None:
    octets, expected = octets_of(path)
    found = read_bounce(octets)
    if expected == ["none"]:
        assert found is None
        return
    assert found is not None
    assert [found.action, found.status, found.code or "-", found.host or "-"] == expected[:4]
    assert found.standard is (expected[4] == "standard")
    assert found.words.isprintable()
    assert "Canaryvale" not in found.words  # nothing of what was returned


def test_there_is_a_file_for_each_kind() -> None:
    assert len(FILES) >= 14


def report(fields: str, kind: str = "message/delivery-status") -> bytes:
    """Return a report with these fields about its one recipient."""
    return (
        "From: MAILER-DAEMON@mx.example\r\nSubject: Undelivered\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nIt failed.\r\n"
        f"--b\r\nContent-Type: {kind}\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n{fields}\r\n\r\n--b--\r\n"
    ).encode("utf-8", "surrogateescape")


def test_8_bit_octets_in_a_report_are_read_as_they_were_meant() -> None:
    found = read_bounce(
        report(
            "Final-Recipient: utf-8; päт@yahoo.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"
            "Diagnostic-Code: smtp; 550 5.1.1 Empfänger unbekannt"
        )
    )
    assert found is not None
    assert found.words == "550 5.1.1 Empfänger unbekannt"
    latin = report("Action: failed\r\nStatus: 5.2.2\r\nDiagnostic-Code: smtp; 552 Postf\udce4cher voll")
    found = read_bounce(latin)
    assert found is not None
    assert (found.status, found.words) == ("5.2.2", "552 Postfächer voll")


def test_a_report_of_rfc_6533_is_read() -> None:
    found = read_bounce(report("Action: failed\r\nStatus: 5.1.1", "message/global-delivery-status"))
    assert found is not None
    assert found.standard


def test_a_status_that_contradicts_its_action_does_not_count() -> None:
    found = read_bounce(report("Action: failed\r\nStatus: 2.0.0"))
    assert found is not None
    assert (found.action, found.status) == ("failed", "5.0.0")


def test_of_several_recipients_the_one_who_fared_worst_counts() -> None:
    found = read_bounce(report("Action: relayed\r\nStatus: 2.0.0\r\n\r\nAction: failed\r\nStatus: 5.1.1"))
    assert found is not None
    assert (found.action, found.status) == ("failed", "5.1.1")


def test_words_of_strangers_are_one_short_printable_line() -> None:
    found = read_bounce(report("Action: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; \x1b[2J\u202e" + "x" * 5000))
    assert found is not None
    assert len(found.words) <= WORDS
    assert found.words.isprintable()


def test_a_host_is_a_host_name_or_nothing() -> None:
    found = read_bounce(report("Action: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; <script>alert(1)</script>"))
    assert found is not None
    assert found.host == "mx.example"  # the one that reports


def test_only_the_beginning_of_a_huge_bounce_is_looked_at() -> None:
    octets = report("Action: failed\r\nStatus: 5.1.1") + b"x" * 100
    assert read_bounce(b"Subject: " + b" " * READ + octets) is None
    assert read_bounce(octets + b"y" * 4 * READ) == read_bounce(octets)


def test_a_report_inside_a_returned_message_is_not_ours() -> None:
    inner = report("Action: failed\r\nStatus: 5.1.1")
    octets = b"From: pat@yahoo.example\r\nSubject: look\r\nContent-Type: message/rfc822\r\n\r\n" + inner
    assert read_bounce(octets) is None


@settings(max_examples=150, deadline=None)
@given(octets=st.binary(max_size=400))
def test_no_octets_make_it_raise(octets: bytes) -> None:
    failure = b"From: mailer-daemon@x.example\r\nSubject: failure notice\r\n\r\n" + octets
    status = report("").replace(b"Reporting-MTA", octets[:50] + b"Action: failed\r\nStatus: ")
    for mail in (octets, failure, status):
        said = read_bounce(mail)
        assert said is None or (said.action in ("failed", "delayed", "delivered") and said.words.isprintable())

"""Does the real clamd say what is in a mail, and is anything but a clear answer ever taken for a yes?"""

from __future__ import annotations

import base64
import socket
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core.contracts import Carried, Finding
from cryptnsend.core.errors import Refusal, ScannerGone
from cryptnsend.scan.clamd import Clamd, Stream, read_answer
from tests.support.scanners import EICAR, PHRASE, STREAM_MAX, Clam, FalseScanner, nowhere

MIB = 1 << 20
CLEAN = b"From: pat@yahoo.example\r\nSubject: hello\r\n\r\nAll is well.\r\n"


def scanned(place: str, *pieces: bytes, seconds: float = 60) -> Finding | None:
    scan = Clamd(place, seconds).begin(Carried())
    try:
        for piece in pieces:
            scan.feed(piece)
        return scan.verdict()
    finally:
        scan.close()


def packed(first: bytes = b"") -> bytes:
    """Return a mail with the test file as an attachment, and *first* before its header."""
    return (
        first
        + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nSee below.\r\n"
        b"--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(EICAR).replace(b"\n", b"\r\n")
        + b"--b--\r\n"
    )


# -- the real clamd ---------------------------------------------------------------------------------------------------


def test_a_mail_in_order_has_no_finding(clamd: Clam) -> None:
    assert scanned(clamd.path, CLEAN) is None
    assert scanned(clamd.port, CLEAN) is None
    assert scanned(clamd.path) is None


def test_what_is_found_has_its_name(clamd: Clam) -> None:
    found = Finding("virus", "Test.Eicar.UNOFFICIAL")
    assert scanned(clamd.path, EICAR) == found
    assert scanned(clamd.path, packed(b"From: a@b.example\r\n")) == found
    assert scanned(clamd.port, b"Subject: x\r\n\r\n", PHRASE.encode()) == Finding("virus", "Test.Phrase.UNOFFICIAL")


def test_what_is_cut_into_pieces_is_found_all_the_same(clamd: Clam) -> None:
    octets = packed(b"From: a@b.example\r\n")
    pieces = [octets[at : at + 7] for at in range(0, len(octets), 7)]
    assert scanned(clamd.path, *pieces) == Finding("virus", "Test.Eicar.UNOFFICIAL")


@pytest.mark.parametrize("first", [b"Zed: 1\r\n", b"", b"%PDF-1.4: 1\r\n", b"PK\x03\x04: 1\r\nFrom: a@b.example\r\n"])
def test_no_first_field_of_a_header_hides_what_is_in_the_parts(clamd: Clam, first: bytes) -> None:
    assert scanned(clamd.path, packed(first)) == Finding("virus", "Test.Eicar.UNOFFICIAL")


@pytest.mark.parametrize("way", ["path", "port"])
def test_a_mail_larger_than_clamd_takes_is_refused_and_says_so(clamd: Clam, way: str) -> None:
    with pytest.raises(Refusal, match="no message this large") as refused:
        scanned(getattr(clamd, way), *[b"x" * 65_536] * (STREAM_MAX * 16 + 64))
    assert (refused.value.code, refused.value.status) == (552, "5.3.4")


def test_memory_stays_flat_however_large_the_mail_is(clamd: Clam) -> None:
    block = b"x" * 65_536
    tracemalloc.start()
    try:
        assert scanned(clamd.path, *[block] * (STREAM_MAX * 15)) is None
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MIB


def test_ping_tells_who_is_there(clamd: Clam) -> None:
    Clamd(clamd.path, 60).ping()
    Clamd(clamd.port, 60).ping()
    with pytest.raises(ScannerGone, match="does not answer"):
        Clamd(nowhere(), 60).ping()
    with pytest.raises(ScannerGone) as gone:
        Clamd("/nowhere/clamd.sock", 60).ping()
    assert gone.value.why == "No such file or directory"


# -- false ones -------------------------------------------------------------------------------------------------------


def says(octets: bytes, *, ends: bool = True) -> FalseScanner:
    """Return somebody who reads the whole stream and then says this."""

    def behave(scanner: FalseScanner, line: socket.socket) -> None:
        scanner.hear_stream(line)
        line.sendall(octets)
        if not ends:
            scanner.over.wait(120)

    return FalseScanner(behave)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"stream: OK",  # cut off before its NUL
        b"stream: OK\n\0",
        b"stream: OK FOUND me\0",
        b"OK\0",
        b"stream: lstat() failed: no space left. ERROR\0",
        b"COMMAND READ TIMED OUT\0",
        b"HTTP/1.1 200 OK\r\n\r\n\0",
        b"\xff\xfe stream: OK\0",
        b"x" * 100_000,
    ],
)
def test_an_answer_that_is_not_clear_is_no_yes(answer: bytes) -> None:
    with says(answer) as scanner, pytest.raises(ScannerGone):
        scanned(scanner.place, CLEAN)


def test_a_name_is_fit_to_be_shown_whatever_the_scanner_calls_it() -> None:
    with says(b"stream: <b>Eicar</b>\r\n451 4.0.0 \x1b[31m" + b"x" * 500 + b" FOUND\0") as scanner:
        found = scanned(scanner.place, CLEAN)
    assert found is not None
    assert found.name.startswith("_b_Eicar_/b_451_4.0.0_[31m")
    assert len(found.name) == 100


def test_an_endless_answer_is_read_up_to_a_limit() -> None:
    def behave(scanner: FalseScanner, line: socket.socket) -> None:
        scanner.hear_stream(line)
        while True:
            line.sendall(b"stream: " * 1000)

    with FalseScanner(behave) as scanner, pytest.raises(ScannerGone) as gone:
        scanned(scanner.place, CLEAN)
    assert gone.value.why == "its answer has no end"


def test_a_scanner_that_says_nothing_is_waited_for_as_long_as_was_set() -> None:
    with says(b"", ends=False) as scanner, pytest.raises(ScannerGone) as gone:
        scanned(scanner.place, CLEAN, seconds=0.2)
    assert gone.value.waited


def test_an_answer_that_trickles_does_not_prolong_the_wait() -> None:
    def behave(scanner: FalseScanner, line: socket.socket) -> None:
        scanner.hear_stream(line)
        while not scanner.over.wait(0.05):
            line.sendall(b"s")

    begun = time.monotonic()
    with FalseScanner(behave) as scanner, pytest.raises(ScannerGone) as gone:
        scanned(scanner.place, CLEAN, seconds=0.5)
    assert gone.value.waited
    assert time.monotonic() - begun < 60


def test_a_scanner_that_stops_reading_is_not_waited_for_without_end() -> None:
    def behave(scanner: FalseScanner, line: socket.socket) -> None:
        scanner.over.wait(120)

    with FalseScanner(behave) as scanner, pytest.raises(ScannerGone) as gone:
        scanned(scanner.place, *[b"x" * 65_536] * 400, seconds=0.2)
    assert gone.value.waited


@pytest.mark.parametrize("how", [socket.SHUT_WR, socket.SHUT_RDWR])
def test_a_scanner_that_leaves_in_the_middle_has_not_said_yes(how: int) -> None:
    def behave(scanner: FalseScanner, line: socket.socket) -> None:
        scanner.hear(line, b"INSTREAM")
        line.shutdown(how)
        scanner.over.wait(120)

    with FalseScanner(behave) as scanner, pytest.raises(ScannerGone):
        scanned(scanner.place, *[CLEAN] * 1000, seconds=5)


def test_a_scanner_that_says_yes_before_the_end_has_not_seen_the_end() -> None:
    def behave(scanner: FalseScanner, line: socket.socket) -> None:
        scanner.hear(line, b"zINSTREAM\0")
        line.sendall(b"stream: OK\0")
        scanner.over.set()
        while line.recv(65_536):
            pass

    def ask(scanner: FalseScanner) -> None:
        scan = Clamd(scanner.place, 5).begin(Carried())
        try:
            scan.feed(CLEAN)
            assert scanner.over.wait(60)
            scan.verdict()
        finally:
            scan.close()

    with FalseScanner(behave) as scanner, pytest.raises(ScannerGone):
        ask(scanner)


def test_closing_is_safe_at_any_time(clamd: Clam) -> None:
    scan = Clamd(clamd.path, 60).begin(Carried())
    scan.close()
    scan.feed(CLEAN)
    scan.close()
    scan.close()
    assert isinstance(scan, Stream)


@given(st.text(max_size=200))
def test_only_one_answer_means_that_nothing_was_found(answer: str) -> None:
    try:
        found = read_answer(answer)
    except (ScannerGone, Refusal):
        return
    assert (found is None) == (answer == "stream: OK")
    assert found is None or (found.name.isascii() and found.name.isprintable())

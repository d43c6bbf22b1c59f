"""What arrives at the doors: DATA, SMTP, IMAP and POP, octet by octet."""

from __future__ import annotations

import asyncio
import base64
import re
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import structlog

from cryptnsend.core.errors import Refusal, Temporary
from cryptnsend.core.imap import BEFORE_LOGIN, BadCommand, Limits, Line, after_login, decode_base64, parse
from cryptnsend.core.pop import BadLine, Lines, parse_line
from cryptnsend.submission import limits as doors
from cryptnsend.submission import syntax
from cryptnsend.submission.auth import Turnstile
from cryptnsend.submission.connection import Connection, House
from cryptnsend.submission.data import Header
from cryptnsend.submission.inbound import InboundSession, Nobody
from cryptnsend.submission.listener import SubmissionSession
from tests.submission.doubles import HOST, Gate, InMemoryIntake
from tests.submission.inbound_doubles import InMemoryReception
from tests.support.framing import by_pieces, reference
from tests.support.imap_framing import run, said

END = b"\r\n.\r\n"
REPLY = re.compile(rb"(?:[2345]\d\d-[ -~]*\r\n)*[2345]\d\d [ -~]*\r\n")
WHY = re.compile(rb"(?<=5\.5\.2 )The message contains .*")  # of two reasons, which is seen first depends on the pieces
SMALL = Limits(line=300, literal=20, literals=3, held=40, message=50, thrown=400)


def sizes(octets: bytes) -> list[int]:
    """Return sizes of pieces that belong to these octets, so that a seed is nothing but what a client sends."""
    seed = zlib.crc32(octets)
    return [1 + (seed >> shift & 31) for shift in (0, 5, 10, 15)]


def data(octets: bytes) -> None:
    """Whatever follows 354 is cut as a reader of single octets cuts it, and its header block is within the limit."""
    octets += END
    cuts, at = [], 0
    for turn in range(40):
        at += sizes(octets)[turn % 4]
        cuts.append(at)
    expected = reference(octets)
    assert by_pieces(octets, cuts) == by_pieces(octets, []) == expected
    if expected is None:
        return
    content, _ = expected
    header = Header(200)
    try:
        block, rest = header.feed(content)
    except Refusal:
        return
    assert len(block) <= 200
    assert (block or header.finish()) + (rest if block else b"") == content


class Wire:
    """A transport in memory: keeps what is said, and closes at once."""

    def __init__(self) -> None:
        self.said = bytearray()
        self.session: Connection | None = None

    def write(self, octets: bytes) -> None:
        self.said += octets

    def get_extra_info(self, name: str) -> Any:
        return SimpleNamespace(version=lambda: "TLSv1.3") if name == "ssl_object" else None

    def close(self) -> None:
        if self.session is not None:
            asyncio.get_running_loop().call_soon(self.session.connection_lost, None)

    def is_closing(self) -> bool:
        return False

    pause_reading = resume_reading = abort = lambda _: None


Make = Callable[..., Connection]


def talk(octets: bytes, steps: list[int], make: Make) -> tuple[bytes, InMemoryIntake, list[str]]:
    """Let a client that never waits say *octets*; return what it was told, what was kept, and faults of ours."""
    intake, faults = InMemoryIntake(), []

    def note(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
        if event["event"] in {"session failed", "sign-in failed"}:
            faults.append(f"{event.get('error')} {event.get('place')}")
        raise structlog.DropEvent

    async def speak() -> bytes:
        limits = doors.Limits(size=2000, recipients=3, header=500, command_line=200, auth_line=400, auth_delay=0)
        log = structlog.wrap_logger(None, processors=[note])
        turnstile = Turnstile(Gate(), limits, log)
        house = House(HOST, limits, turnstile, intake, None, log)  # type: ignore[arg-type]
        wire = Wire()
        wire.session = session = make(house, intake, source="192.0.2.1", counted_as="192.0.2.1", implicit_tls=True)
        house.connections.arrive("192.0.2.1")
        session.connection_made(wire)  # type: ignore[arg-type]
        at = turn = 0
        while at < len(octets):
            session.data_received(octets[at : at + steps[turn % len(steps)]])
            at, turn = at + steps[turn % len(steps)], turn + 1
            await asyncio.sleep(0)
        session.eof_received()
        await session._handler_coroutine
        await asyncio.sleep(0)
        turnstile.close()
        return bytes(wire.said)

    return asyncio.run(speak()), intake, faults


def held_together(octets: bytes, make: Make) -> None:
    """Assert what holds for each session: good replies, nothing left open, the same however its octets were split."""
    heard, intake, faults = talk(octets, [len(octets) or 1], make)
    assert not faults, faults
    assert not REPLY.sub(b"", heard), heard
    assert intake.inside == 0
    assert len(intake.begun) == len(intake.kept) + len(intake.aborted)
    for kept in intake.kept:
        content = kept.header + kept.body
        assert not re.search(rb"\0|\r(?!\n)|(?<!\r)\n", content)
        for said_by_client in (kept.envelope.reverse_path, *(rcpt.address for rcpt in kept.envelope.recipients)):
            assert said_by_client.isprintable()
        for rcpt in kept.envelope.recipients:
            assert (rcpt.orcpt or "").isprintable()
        assert (kept.envelope.envid or "").isprintable()
        assert kept.envelope.received_from.ehlo.isascii()
        assert kept.envelope.received_from.ehlo.isprintable()
    again, split, faults = talk(octets, sizes(octets), make)
    assert not faults, faults
    assert WHY.sub(b"", again) == WHY.sub(b"", heard)
    assert [(each.header, each.body) for each in split.kept] == [(each.header, each.body) for each in intake.kept]


SIGN_IN = b"EHLO x\r\nAUTH PLAIN " + base64.b64encode(b"\0ann@gmail.example\0correct horse battery") + b"\r\n"


def smtp(octets: bytes) -> None:
    """A session of somebody who signed in, and one of somebody who did not."""
    for line in octets.split(b"\n")[:20]:
        _arguments(line.strip().decode("utf-8", "surrogateescape"))
    held_together(SIGN_IN + octets, lambda house, _, **arrival: SubmissionSession(house, **arrival))
    _, intake, _ = talk(octets, [999], lambda house, _, **arrival: SubmissionSession(house, **arrival))
    assert not intake.kept or b"AUTH" in octets.upper()


def _arguments(text: str) -> None:
    for read in (
        lambda: syntax.read_mail(text, limit=1000, extended=True, tls=True).reverse_path,
        lambda: syntax.read_rcpt(text, hostname=HOST, extended=True, smtputf8=True).address,
    ):
        try:
            address = read()
        except (Refusal, Temporary):
            continue
        assert address.isprintable()


def inbound(octets: bytes) -> None:
    """A session of another server on port 25: nothing is taken for anybody but ours."""
    with ThreadPoolExecutor(1, "inbound") as pool:

        def make(house: House, intake: InMemoryIntake, **arrival: Any) -> Connection:
            house.intake = Nobody()  # nothing is submitted here
            return InboundSession(house, reception=InMemoryReception(intake), pool=pool, **arrival)

        held_together(octets, make)


def imap(octets: bytes) -> None:
    """Commands are the same however they were split, are read or answered in one line, and stay within the limits."""
    for limits in (SMALL, BEFORE_LOGIN, after_login(1000)):
        events = run(octets, limits)
        assert said(run(octets, limits, sizes(octets))) == said(events)
        for event in events:
            if isinstance(event, Line):
                for utf8 in (False, True):
                    _command(event.parts, utf8=utf8)
    try:
        decode_base64(octets)
    except BadCommand as error:
        assert error.answer().count(b"\n") == 1


def _command(parts: tuple[bytes, ...], *, utf8: bool) -> None:
    try:
        command = parse(parts, utf8=utf8)
    except BadCommand as error:
        assert error.answer().endswith(b"\r\n")
        assert error.answer().count(b"\n") == 1
    else:
        assert parts[0].startswith(command.tag)


def pop(octets: bytes) -> None:
    """Lines are the same however they were split, and each is a command or none."""
    whole, split = Lines(), Lines()
    whole.feed(octets)
    expected, found, at, turn = [], [], 0, 0
    try:
        while (line := whole.next()) is not None:
            expected.append(line)
    except BadLine:
        return
    while at < len(octets):
        split.feed(octets[at : at + sizes(octets)[turn % 4]])
        at, turn = at + sizes(octets)[turn % 4], turn + 1
        while (line := split.next()) is not None:
            found.append(line)
    assert found == expected
    for line in expected:
        try:
            parse_line(line)
        except BadLine as error:
            assert str(error).isprintable()

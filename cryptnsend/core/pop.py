"""What does a POP client ask for? RFC 1939 with CAPA (RFC 2449), SASL-IR (RFC 5034) and UTF8 (RFC 6856 §2.1).

One line is one command: there are no literals, and pipelined commands are lines that came early.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from cryptnsend.core.imap_grammar import decode_base64
from cryptnsend.core.imap_text import BadCommand

MAX_LINE = 2048  # octets; RFC 2449 §4 asks for 255, and a SASL response can be longer
_NUMBER = re.compile(rb"[0-9]{1,10}")
_LINES = re.compile(rb"[0-9]{1,100}")  # of TOP: programs that want all ask for the largest number they know
_MECHANISM = re.compile(rb"[A-Za-z0-9_-]{1,20}")


class BadLine(ValueError):
    """A command that cannot be read; the text goes behind -ERR."""


@dataclass(frozen=True, slots=True)
class PopCommand:
    """
    One command; *name* is of NAMES, in capitals.

    *number* is the message of LIST, UIDL, RETR, DELE and TOP (None where LIST and UIDL ask for all), *lines* the second
    argument of TOP, *text* the argument of USER and PASS as sent, and of AUTH the mechanism, *initial* its decoded
    initial response, None without one.
    """

    name: str
    number: int | None = None
    lines: int = 0
    text: bytes = field(default=b"", repr=False)
    initial: bytes | None = field(default=None, repr=False)


def parse_line(line: bytes) -> PopCommand:
    """Read one line without its line end; raise `BadLine` for what is no command."""
    word, _, rest = line.partition(b" ")
    name = word.decode("ascii", "replace").upper()
    if name not in _READERS:
        raise BadLine("This command is not known here.")
    return _READERS[name](name, rest if name == "PASS" else rest.strip(b" "))


def _bare(name: str, rest: bytes) -> PopCommand:
    if rest:
        raise BadLine(f"{name} takes no argument.")
    return PopCommand(name)


def _one(name: str, rest: bytes) -> PopCommand:
    return PopCommand(name, number=_number(rest))


def _maybe(name: str, rest: bytes) -> PopCommand:
    return PopCommand(name, number=_number(rest) if rest else None)


def _top(name: str, rest: bytes) -> PopCommand:
    number, _, lines = rest.partition(b" ")
    lines = lines.strip(b" ")
    if not _LINES.fullmatch(lines):
        raise BadLine("TOP takes a message number and a number of lines.")
    return PopCommand(name, number=_number(number), lines=int(lines))


def _number(octets: bytes) -> int:
    if not _NUMBER.fullmatch(octets) or not int(octets):
        raise BadLine("Expected the number of a message.")
    return int(octets)


def _text(name: str, rest: bytes) -> PopCommand:
    """Take the whole rest of the line: a password may have blanks in it, also at its ends."""
    if not rest:
        raise BadLine(f"{name} takes an argument.")
    return PopCommand(name, text=rest)


def _auth(name: str, rest: bytes) -> PopCommand:
    mechanism, _, response = rest.partition(b" ")
    if not rest:
        return PopCommand(name)  # some clients ask for the list of mechanisms like this
    if not _MECHANISM.fullmatch(mechanism):
        raise BadLine("Expected the name of a mechanism.")
    initial = None
    if response:
        try:
            initial = b"" if response == b"=" else decode_base64(response)
        except BadCommand as error:
            raise BadLine(str(error)) from None
    return PopCommand(name, text=mechanism.upper(), initial=initial)


_READERS: dict[str, Callable[[str, bytes], PopCommand]] = {
    **dict.fromkeys(("CAPA", "NOOP", "QUIT", "RSET", "STAT", "STLS", "UTF8"), _bare),
    **dict.fromkeys(("DELE", "RETR"), _one),
    **dict.fromkeys(("LIST", "UIDL"), _maybe),
    **dict.fromkeys(("PASS", "USER"), _text),
    "AUTH": _auth,
    "TOP": _top,
}
NAMES = frozenset(_READERS)


class Lines:
    """Cuts what a client sends into lines. After each `feed`, call `next` until it returns None."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0

    def feed(self, octets: bytes) -> None:
        """Take what came."""
        self._buffer += octets

    def next(self) -> bytes | None:
        """Return the next line without its line end; raise `BadLine` once one is too long, and cut the connection."""
        end = self._buffer.find(b"\n", self._searched)
        if (end if end >= 0 else len(self._buffer)) > MAX_LINE:
            raise BadLine("This line is too long.")
        if end < 0:
            self._searched = len(self._buffer)
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        return line.removesuffix(b"\r")


# --- answers -------------------------------------------------------------------------------------------------------


def dotted(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a multi-line answer: dots at the beginning of lines doubled, and the line of a single dot (RFC 1939 §3)."""
    begins = True  # whether the next octet begins a line
    for block in blocks:
        if not block:
            continue
        stuffed = block.replace(b"\n.", b"\n..")
        yield b"." + stuffed if begins and block.startswith(b".") else stuffed
        begins = block.endswith(b"\n")
    yield b".\r\n" if begins else b"\r\n.\r\n"


def first_lines(blocks: Iterable[bytes], lines: int) -> Iterator[bytes]:
    """Yield so many lines of a body that comes in blocks, for TOP."""
    for block in blocks:
        at = 0
        while lines > 0 and at < len(block):
            end = block.find(b"\n", at)
            at, lines = (end + 1, lines - 1) if end >= 0 else (len(block), lines)
        yield block[:at]
        if lines <= 0:
            return

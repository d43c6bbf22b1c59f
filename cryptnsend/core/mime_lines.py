"""How does a message travel that has lines longer than others must take? Those parts get an encoding with short lines.

A line has at most 998 octets and its CRLF (RFC 5321 §4.5.3.1.6). Scanners, scripts and attached mails have longer ones,
which some hosts refuse and others break in the middle of a word. `LongLines` finds them while a message passes by,
`changes` says which parts they are in, and `reencoded` yields the message anew: text as quoted-printable (RFC 2045
§6.7), base64 in lines of 76. What is read at the other end is the same to the octet. Signed parts stay as they are,
since every octet of them counts; so do the lines of headers.
"""

from __future__ import annotations

import binascii
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from cryptnsend.core.mime_index import Index, Part

LONGEST = 998  # octets of a line without its CRLF
_WIDTH = 76
_ENCODING = re.compile(rb"(?<=\n)content-transfer-encoding[ \t]*:[^\r\n]*(?:\r\n[ \t][^\r\n]*)*\r\n", re.IGNORECASE)
_MIME_VERSION = re.compile(rb"(?<=\n)mime-version[ \t]*:", re.IGNORECASE)


class LongLines:
    """Watches a message pass by; `found` has where its too long lines begin."""

    def __init__(self) -> None:
        self.found: list[int] = []
        self._start = 0  # of the line that is not at its end
        self._seen = 0

    def watch(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Pass the pieces on."""
        for chunk in chunks:
            *ended, rest = chunk.split(b"\n")
            if ended:
                at = self._seen
                sizes = [self._seen - self._start + len(ended[0]), *map(len, ended[1:])]  # each with its CR
                if max(sizes) > LONGEST + 1:
                    for size, line in zip(sizes, ended, strict=True):
                        at += len(line) + 1
                        self._note(at - 1 - size, size)
                self._start = self._seen + len(chunk) - len(rest)
            self._seen += len(chunk)
            yield chunk
        self._note(self._start, self._seen - self._start + 1)  # a last line without its end

    def _note(self, start: int, size: int) -> None:
        if size > LONGEST + 1:
            self.found.append(start)


class Change(NamedTuple):
    """One part that gets another encoding: where its header, its body and its end are, and the encoding it has."""

    header: int
    body: int
    end: int
    encoding: str
    is_root: bool


def changes(index: Index, starts: Sequence[int]) -> list[Change]:
    """Return the parts in which lines begin at *starts*, ascending, in the order they stand in."""
    found: list[Change] = []
    stack = [index.root]
    while stack:
        part = stack.pop()
        if part.type == "multipart/signed":
            continue
        if part.parts:
            stack += reversed(part.parts)
        elif _has_one(part, starts):
            is_root = part is index.root
            found.append(Change(part.header_start, part.body_start, part.body_end, part.encoding, is_root))
    return found


def _has_one(part: Part, starts: Sequence[int]) -> bool:
    place = bisect_left(starts, part.body_start)
    return place < len(starts) and starts[place] < part.body_end and part.body_start < part.body_end


def reencoded(chunks: Iterable[bytes], plan: Iterable[Change]) -> Iterator[bytes]:
    """Yield a message with those parts encoded anew; memory is flat but for a part's header."""
    reader = _Reader(chunks)
    for change in plan:
        yield from reader.until(change.header)
        header = b"".join(reader.until(change.body))
        yield header if change.encoding in _KEPT else _announced(header, change.is_root)
        encoder = _KEPT.get(change.encoding, QuotedPrintable)()
        for chunk in reader.until(change.end):
            yield encoder.feed(chunk)
        yield encoder.end()
    yield from reader.until(None)


def _announced(header: bytes, is_root: bool) -> bytes:
    """Return a header block that says quoted-printable."""
    fields = _ENCODING.sub(b"", b"\n" + header)[1:]
    if fields and not fields.startswith(b"\r\n") and not fields.endswith(b"\r\n\r\n"):
        fields = fields.removesuffix(b"\r\n") + b"\r\n\r\n"  # the message ended with its header
    own = b"Content-Transfer-Encoding: quoted-printable\r\n"
    if is_root and not _MIME_VERSION.search(b"\n" + fields):
        own += b"MIME-Version: 1.0\r\n"
    return own + fields


class _Reader:
    """Pieces of a message up to given offsets."""

    def __init__(self, chunks: Iterable[bytes]):
        self._chunks, self._held, self._at = iter(chunks), b"", 0

    def until(self, offset: int | None) -> Iterator[bytes]:
        """Yield what stands before *offset*, None for the end."""
        while offset is None or self._at < offset:
            held = self._held or next(self._chunks, b"")
            if not held:
                return
            room = len(held) if offset is None else offset - self._at
            self._held = held[room:]
            self._at += len(held) - len(self._held)
            yield held[:room]


class Encoder(Protocol):
    """Takes a part's body in pieces of any size."""

    def feed(self, octets: bytes) -> bytes: ...

    def end(self) -> bytes: ...


class QuotedPrintable:
    """Text as quoted-printable; line ends stay line ends."""

    def __init__(self) -> None:
        self._cr = b""
        self._open = False  # whether what was said last goes on

    def feed(self, octets: bytes) -> bytes:
        """Encode the next octets."""
        octets = self._cr + octets
        self._cr = b"\r" if octets.endswith(b"\r") else b""
        return self._encoded(octets[: len(octets) - len(self._cr)])

    def end(self) -> bytes:
        """Encode what is left."""
        rest, self._cr = self._cr, b""
        return self._encoded(rest)

    def _encoded(self, octets: bytes) -> bytes:
        if not octets:
            return b""
        # The standard library ends its own lines as the first one ends, and with LF alone if there is none.
        lines = binascii.b2a_qp(octets, istext=True).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        before, self._open = (b"=\r\n" if self._open else b""), not octets.endswith(b"\n")
        if self._open and len(lines) - (lines.rfind(b"\n") + 1) == _WIDTH:  # no room for the break that may follow
            end = len(lines) - (3 if lines[-3:-2] == b"=" else 1)
            lines = lines[:end] + b"=\r\n" + lines[end:]
        return before + lines


class _Base64:
    """Base64 in lines of 76 octets, whatever lines it came in."""

    def __init__(self) -> None:
        self._held = self._last = b""

    def feed(self, octets: bytes) -> bytes:
        self._last = (self._last + octets)[-2:]
        held = self._held + octets.translate(None, b"\r\n")
        whole = len(held) // _WIDTH * _WIDTH
        self._held = held[whole:]
        return b"".join(held[at : at + _WIDTH] + b"\r\n" for at in range(0, whole, _WIDTH))

    def end(self) -> bytes:
        return self._held + (b"\r\n" if self._held and self._last == b"\r\n" else b"")


class _SoftBreaks:
    """Quoted-printable whose lines are too long, with breaks that count for nothing."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, octets: bytes) -> bytes:
        *ended, self._held = (self._held + octets).split(b"\r\n")
        done = [_broken(line) + b"\r\n" for line in ended]
        if len(self._held) > 2 * LONGEST:
            # Whatever is kept has room for an octet written as three, a blank, and the end of the line.
            kept = len(self._held) - _WIDTH
            kept -= _inside(self._held, kept)
            done.append(_broken(self._held[:kept]) + b"=\r\n")
            self._held = self._held[kept:]
        return b"".join(done)

    def end(self) -> bytes:
        return _broken(self._held)


def _broken(line: bytes) -> bytes:
    """Return a line in pieces of at most 76 octets, each but the last with a soft break."""
    pieces, at = [], 0
    while len(line) - at > _WIDTH:
        end = at + _WIDTH - 1
        end -= _inside(line, end)
        pieces.append(line[at:end])
        at = end
    return b"=\r\n".join([*pieces, line[at:]])


def _inside(line: bytes, place: int) -> int:
    """Return how far *place* stands inside an octet that is written as three."""
    for back in (1, 2):
        if line[place - back : place - back + 1] == b"=":
            return back
    return 0


_KEPT: dict[str, type[_Base64] | type[_SoftBreaks]] = {"base64": _Base64, "quoted-printable": _SoftBreaks}

"""What are the octets of a part before they were encoded for mail?

Decoders stream in constant memory, never raise, and give as much as there is: a damaged attachment is still worth
having, and the raw message stays available.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator

from cryptnsend.core.charsets import decode_text, lenient_base64
from cryptnsend.core.mime_index import Part

_LINE = 64 * 1024  # octets of one encoded line that are held back waiting for its end
_RUNS = 10_000  # that end in padding; in what has more, padding means nothing
_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="))


def decode_part(part: Part, raw: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the decoded octets of *part*, whose body comes in blocks as *raw* (RFC 2045 §6); unknown encodings pass."""
    decoder = _DECODERS.get(part.encoding)
    return decoder(_bearable(raw)) if decoder else iter(raw)


def _bearable(raw: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the blocks in pieces: decoders that look at lines hold many objects for each octet of theirs."""
    for block in raw:
        for at in range(0, len(block), _LINE):
            yield block[at : at + _LINE]


def is_decodable(part: Part) -> bool:
    """Say whether the encoding of *part* is known (RFC 2045 §6.1)."""
    return part.encoding in _DECODERS or part.encoding in {"7bit", "8bit", "binary"}


def part_text(part: Part, raw: Iterable[bytes], limit: int) -> str:
    """Return the text of a text part, read no further than *limit* decoded octets."""
    octets = bytearray()
    for chunk in decode_part(part, raw):
        octets += chunk
        if len(octets) >= limit:
            break
    return decode_text(bytes(octets[:limit]), part.params.get("charset", ""))


def _base64(raw: Iterable[bytes]) -> Iterator[bytes]:
    digits, left = b"", _RUNS
    for block in raw:
        digits += block.translate(None, _NOT_BASE64)
        if b"=" in digits and left:
            # Padding ends a run; what follows it was encoded apart (RFC 2045 §6.8 forbids it, mailing lists do it).
            *runs, digits = re.split(rb"=+", digits, maxsplit=left)
            left -= len(runs)
            yield from map(lenient_base64, runs)
        if not left:
            digits = digits.replace(b"=", b"")
        whole = len(digits) & ~3
        if whole:
            yield binascii.a2b_base64(digits[:whole])
            digits = digits[whole:]
    if digits:
        yield lenient_base64(digits)


def _quoted_printable(raw: Iterable[bytes]) -> Iterator[bytes]:
    held = b""
    for block in raw:
        held += block
        cut = held.rfind(b"\n") + 1
        if not cut and len(held) > _LINE:
            cut = len(held) - 3  # "=", "=X" and a CR may go on in the next block
            cut -= held[cut - 2 : cut].count(b"=") and 2
        if cut:
            yield _unquote(held[:cut])
            held = held[cut:]
    if held:
        yield _unquote(held)


def _unquote(octets: bytes) -> bytes:
    if b" \r\n" in octets or b"\t\r\n" in octets:
        # Blanks at the end of a line were added on the way (RFC 2045 §6.7, rule 3).
        lines = octets.split(b"\r\n")
        octets = b"\r\n".join((*(line.rstrip(b" \t") for line in lines[:-1]), lines[-1]))
    return binascii.a2b_qp(octets)


def _uuencode(raw: Iterable[bytes]) -> Iterator[bytes]:
    begun = False
    for line in _lines(raw):
        if not begun:
            begun = line.startswith(b"begin ")
        elif line.rstrip() in {b"end", b"`", b""}:
            return
        else:
            yield _uu_line(line)


def _uu_line(line: bytes) -> bytes:
    count = (line[0] - 32) & 63
    try:
        return binascii.a2b_uu(line)
    except binascii.Error:
        # Some encoders pad a line with too much, others lose its trailing blanks.
        want = 1 + (count + 2) // 3 * 4
        try:
            return binascii.a2b_uu(line[:want].ljust(want, b" "))
        except binascii.Error:
            return b""


def _lines(raw: Iterable[bytes]) -> Iterator[bytes]:
    held = b""
    for block in raw:
        *lines, held = (held + block).split(b"\n")
        yield from (line.rstrip(b"\r") for line in lines)
        held = held[:_LINE]
    yield held.rstrip(b"\r")


_DECODERS = {
    "base64": _base64,
    "quoted-printable": _quoted_printable,
    "x-uuencode": _uuencode,
    "x-uue": _uuencode,
    "uuencode": _uuencode,
}

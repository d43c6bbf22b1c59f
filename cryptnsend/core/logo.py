"""Is this a picture that may stand at the head of our pages? SVG, PNG, JPEG or WebP, checked and written anew.

Nothing is decoded here but the packing of a PNG, within limits. Each kind is taken apart into its pieces, and only
those that draw go along: no place where it was taken, no author, no second file behind the end, no animation. What does
not fit its own figures is refused. Bringing what came out again changes nothing.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass

from cryptnsend.core import svg
from cryptnsend.core.errors import Denied, Sentence

MOST_OCTETS = 200 * 1024
SMALLEST, LARGEST = 16, 4096  # pixels of each side
MOST_PIXELS = 4_000_000
LONGEST = 12  # times as wide as high, or as high as wide
TYPES = {"svg": "image/svg+xml", "png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}
DAMAGED = "This picture is damaged. Save it again, and bring it then."


@dataclass(frozen=True, slots=True)
class Logo:
    """A picture that may be shown; `mark` names it by what it is, so that browsers may keep it for ever."""

    kind: str  # of TYPES
    octets: bytes
    width: float
    height: float
    left_out: tuple[str, ...] = ()  # of a drawing: what was taken out, in words

    @property
    def mark(self) -> str:
        return f"{hashlib.sha256(self.octets).hexdigest()}.{self.kind}"


def take(octets: bytes) -> Logo:
    """Return the logo that somebody brought, as it may be shown; raise Denied with what is wrong with it."""
    if len(octets) > MOST_OCTETS:
        raise Denied("A logo has at most 200 KB. Save it smaller, or as SVG.")
    if octets.startswith(b"\x89PNG\r\n\x1a\n"):
        return _checked("png", *_png(octets))
    if octets.startswith(b"\xff\xd8"):
        return _checked("jpg", *_jpeg(octets))
    if octets[:4] == b"RIFF" and octets[8:12] == b"WEBP":
        return _checked("webp", *_webp(octets))
    if b"<svg" in octets[:4096] or octets.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<":
        drawing = svg.clean(octets)
        _check_shape(drawing.width, drawing.height)
        return Logo("svg", drawing.octets, drawing.width, drawing.height, drawing.left_out)
    raise Denied("This is no picture that we can show. Bring an SVG, PNG, JPEG or WebP file.")


def is_mark(text: str) -> bool:
    """Say whether that can be the name of a logo."""
    digest, _, kind = text.partition(".")
    return kind in TYPES and len(digest) == 64 and all(each in "0123456789abcdef" for each in digest)


def _checked(kind: str, octets: bytes, width: int, height: int) -> Logo:
    if min(width, height) < SMALLEST:
        raise Denied(
            Sentence(
                "This picture is %(width)s by %(height)s pixels; a logo has at least 16 by 16.",
                width=width,
                height=height,
            )
        )
    if max(width, height) > LARGEST or width * height > MOST_PIXELS:
        raise Denied(
            Sentence(
                "This picture is %(width)s by %(height)s pixels; a logo has at most 4 million. Save it smaller.",
                width=width,
                height=height,
            )
        )
    _check_shape(width, height)
    return Logo(kind, octets, width, height)


def _check_shape(width: float, height: float) -> None:
    if max(width, height) > LONGEST * min(width, height):
        raise Denied("This picture is more than 12 times as long as the other way. Cut its edges off.")


# -- PNG (ISO/IEC 15948) ----------------------------------------------------------------------------------------------

_DRAWING = (b"IHDR", b"PLTE", b"tRNS", b"gAMA", b"sRGB", b"cHRM", b"IDAT", b"IEND")
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # in a pixel, by colour type
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
# Of seven passes: first column, first row, and the steps between columns and rows.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def _png(octets: bytes) -> tuple[bytes, int, int]:
    kept, packed, at, header = [octets[:8]], b"", 8, b""
    while True:
        length, kind = int.from_bytes(octets[at : at + 4], "big"), octets[at + 4 : at + 8]
        end = at + 12 + length
        body = octets[at + 8 : end - 4]
        if end > len(octets) or zlib.crc32(kind + body) != int.from_bytes(octets[end - 4 : end], "big"):
            raise Denied(DAMAGED)
        if (kind == b"IHDR") != (at == 8) or (kind == b"IHDR" and length != 13):
            raise Denied(DAMAGED)
        header = body if kind == b"IHDR" else header
        packed += body if kind == b"IDAT" else b""
        if kind in _DRAWING:
            kept.append(octets[at:end])
        elif kind[:1].isupper():
            raise Denied(DAMAGED)  # a critical piece that nobody knows
        at = end
        if kind == b"IEND":
            break
    width, height, depth, colour = (
        int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big"), header[8], header[9],
    )  # fmt: skip
    if depth not in _DEPTHS.get(colour, ()) or header[10:12] != b"\0\0" or header[12] > 1:
        raise Denied(DAMAGED)
    if 0 < max(width, height) <= LARGEST and width * height <= MOST_PIXELS:
        _check_packing(packed, _unpacked(width, height, depth * _SAMPLES[colour], interlaced=header[12] == 1))
    return b"".join(kept), width, height


def _unpacked(width: int, height: int, bits: int, *, interlaced: bool) -> int:
    """Return how many octets the pixels take, with one before each row."""
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    total = 0
    for column, row, across, down in passes:
        columns, rows = -(-(width - column) // across), -(-(height - row) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * bits + 7) // 8)
    return total


def _check_packing(packed: bytes, size: int) -> None:
    """Raise Denied where the pixels are not as many as the header says; never unpacks more than those."""
    unpacking = zlib.decompressobj()
    try:
        found = len(unpacking.decompress(packed, size + 1))
    except zlib.error:
        raise Denied(DAMAGED) from None
    if found != size:
        raise Denied(DAMAGED)


# -- JPEG (ITU-T T.81) ------------------------------------------------------------------------------------------------

_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive: what browsers show
_TABLES = (0xC4, 0xDB, 0xDD)
_JFIF, _ADOBE, _SCAN, _END = 0xE0, 0xEE, 0xDA, 0xD9


def _jpeg(octets: bytes) -> tuple[bytes, int, int]:
    kept, at, size = [octets[:2]], 2, (0, 0)
    while True:
        if octets[at : at + 1] != b"\xff":
            raise Denied(DAMAGED)
        while octets[at + 1 : at + 2] == b"\xff":
            at += 1
        marker = octets[at + 1] if at + 1 < len(octets) else 0
        if marker == _END:
            break
        end = at + 2 + int.from_bytes(octets[at + 2 : at + 4], "big")
        if end > len(octets) or end < at + 4:
            raise Denied(DAMAGED)
        body = octets[at + 4 : end]
        if marker in _FRAMES:
            if size != (0, 0) or len(body) < 6 or body[5] not in (1, 3):
                raise Denied("Save this picture in RGB or grey; this one is made for print, or damaged.")
            size = int.from_bytes(body[3:5], "big"), int.from_bytes(body[1:3], "big")
        if marker == _SCAN:
            end = _end_of_scan(octets, end)
        is_head = (marker == _JFIF and body.startswith(b"JFIF\0")) or (marker == _ADOBE and body.startswith(b"Adobe"))
        if is_head:
            kept.append(octets[at:end] if marker == _ADOBE else octets[at : at + 2] + b"\0\x10" + body[:12] + b"\0\0")
        elif marker in (*_FRAMES, *_TABLES, _SCAN):
            kept.append(octets[at:end])
        elif not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            raise Denied(DAMAGED)
        at = end
    if size == (0, 0):
        raise Denied(DAMAGED)
    return b"".join([*kept, b"\xff\xd9"]), *size


def _end_of_scan(octets: bytes, at: int) -> int:
    """Return where a scan's coded octets end: before the next marker that is neither stuffing nor a restart."""
    while True:
        at = octets.find(b"\xff", at)
        if at < 0 or at + 1 >= len(octets):
            raise Denied(DAMAGED)
        if octets[at + 1] != 0 and not 0xD0 <= octets[at + 1] <= 0xD7:
            return at
        at += 2


# -- WebP (RFC 9649) --------------------------------------------------------------------------------------------------

_ALPHA = 0x10  # flag of VP8X


def _webp(octets: bytes) -> tuple[bytes, int, int]:
    pieces: dict[bytes, bytes] = {}
    at, limit = 12, 8 + int.from_bytes(octets[4:8], "little")
    if limit > len(octets):
        raise Denied(DAMAGED)
    while at < limit:
        kind, length = octets[at : at + 4], int.from_bytes(octets[at + 4 : at + 8], "little")
        if at + 8 + length > limit:
            raise Denied(DAMAGED)
        if kind in (b"ANIM", b"ANMF"):
            raise Denied("This picture moves. Bring one that stands still.")
        if kind in (b"VP8 ", b"VP8L", b"ALPH") and pieces.setdefault(kind, octets[at + 8 : at + 8 + length]) == b"":
            raise Denied(DAMAGED)
        at += 8 + length + length % 2
    if (b"VP8 " in pieces) == (b"VP8L" in pieces):
        raise Denied(DAMAGED)
    if b"VP8L" in pieces:
        coded = pieces[b"VP8L"]
        if coded[:1] != b"\x2f" or len(coded) < 5:
            raise Denied(DAMAGED)
        bits = int.from_bytes(coded[1:5], "little")
        width, height, inside = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, _chunk(b"VP8L", coded)
    else:
        coded = pieces[b"VP8 "]
        if coded[3:6] != b"\x9d\x01\x2a" or len(coded) < 10:
            raise Denied(DAMAGED)
        width, height = (int.from_bytes(coded[start : start + 2], "little") & 0x3FFF for start in (6, 8))
        inside = _chunk(b"VP8 ", coded)
        if b"ALPH" in pieces and width and height:
            size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
            inside = _chunk(b"VP8X", bytes((_ALPHA, 0, 0, 0)) + size) + _chunk(b"ALPH", pieces[b"ALPH"]) + inside
    return b"RIFF" + (4 + len(inside)).to_bytes(4, "little") + b"WEBP" + inside, width, height


def _chunk(kind: bytes, body: bytes) -> bytes:
    return kind + len(body).to_bytes(4, "little") + body + b"\0" * (len(body) % 2)

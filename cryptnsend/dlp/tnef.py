"""What is in Outlook's winmail.dat? The text, and the files with their names (MS-OXTNEF, MS-OXRTFCP)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from cryptnsend.core.charsets import decode_text
from cryptnsend.dlp.budget import NotRead

SIGNATURE = struct.pack("<I", 0x223E9F78)
_TITLE, _DATA, _BEGIN, _PROPERTIES, _SUBJECT, _BODY, _OF_MESSAGE = (
    0x8010, 0x800F, 0x9002, 0x9005, 0x8004, 0x800C, 0x9003,
)  # fmt: skip
_FIXED = {1: 0, 2: 4, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 10: 4, 11: 4, 20: 8, 64: 8, 72: 16}  # MAPI types and their octets
_STRING, _UNICODE, _BINARY, _OBJECT = 0x1E, 0x1F, 0x102, 0x0D
_NAMES = (0x3707, 0x3704)  # the long name, the short one
_CONTENT = 0x3701
_WORDS = {0x1000: "text", 0x0037: "subject", 0x0E1D: "subject", 0x1013: "html", 0x1009: "rtf"}
_MOST = 100_000  # properties


@dataclass(slots=True)
class Enclosed:
    """A file inside."""

    name: str = ""
    octets: bytes = b""
    is_message: bool = False


@dataclass(slots=True)
class Unpacked:
    """What was inside: texts by their kind (text subject html rtf), and files."""

    # Kind, octets, whether UTF-16; besides the message itself whatever its sender or a program wrote as text.
    texts: list[tuple[str, bytes, bool]] = field(default_factory=list)
    files: list[Enclosed] = field(default_factory=list)


def unpack(octets: bytes) -> Unpacked:
    """Return what is inside; raise NotRead for what is damaged, so that nothing of it is passed over."""
    if not octets.startswith(SIGNATURE):
        raise NotRead("no TNEF")
    found, at = Unpacked(), 6
    while at < len(octets):
        if at + 9 > len(octets):
            raise NotRead("cut")
        ident, size = struct.unpack_from("<H2xI", octets, at + 1)
        data = octets[at + 9 : at + 9 + size]
        if len(data) < size or at + 11 + size > len(octets):
            raise NotRead("cut")
        at += 11 + size
        if ident == _BEGIN or (ident in (_TITLE, _DATA, _PROPERTIES) and not found.files):
            found.files.append(Enclosed())
        if ident == _TITLE:
            found.files[-1].name = found.files[-1].name or _text(data)
        elif ident == _DATA:
            found.files[-1].octets = found.files[-1].octets or data
        elif ident == _PROPERTIES:
            found.texts += _describe(found.files[-1], data)
        elif ident == _SUBJECT:
            found.texts.append(("subject", data.rstrip(b"\0"), False))
        elif ident == _BODY:
            found.texts.append(("text", data.rstrip(b"\0"), False))
        elif ident == _OF_MESSAGE:
            for name, kind, value in _properties(data):
                if name in _WORDS or kind in (_STRING, _UNICODE):
                    found.texts.append((_WORDS.get(name, "text"), value, kind == _UNICODE))
    return found


def _describe(file: Enclosed, data: bytes) -> Iterator[tuple[str, bytes, bool]]:
    """Fill in what a file is, and yield what else is said of it."""
    for name, kind, value in _properties(data):
        if kind in (_STRING, _UNICODE):
            yield "text", value, kind == _UNICODE
        if name in _NAMES and (name == _NAMES[0] or not file.name):
            file.name = value.decode("utf-16-le", "replace").rstrip("\0") if kind == _UNICODE else _text(value)
        elif name == _CONTENT and kind in (_OBJECT, _BINARY) and not file.octets:
            # An object has 16 octets before it that say of what class it is.
            file.is_message = kind == _OBJECT and value[16:20] == SIGNATURE
            file.octets = value[16:] if file.is_message else value


def _properties(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield (name, type, value) of each MAPI property."""
    try:
        (count,), at = struct.unpack_from("<I", data), 4
        if count > _MOST:
            raise NotRead("properties")
        for _ in range(count):
            kind, name = struct.unpack_from("<HH", data, at)
            at += 4
            if name >= 0x8000:
                (how,) = struct.unpack_from("<I", data, at + 16)
                (size,) = struct.unpack_from("<I", data, at + 20)
                at += 24 + (_padded(size) if how == 1 else 0)
            is_many, kind = bool(kind & 0x1000), kind & 0xEFFF
            values = 1
            if is_many or kind in (_STRING, _UNICODE, _BINARY, _OBJECT):
                (values,) = struct.unpack_from("<I", data, at)
                at += 4
                if values > _MOST:
                    raise NotRead("values")
            for _ in range(values):
                if kind in _FIXED:
                    size, before = _FIXED[kind], 0
                elif kind in (_STRING, _UNICODE, _BINARY, _OBJECT):
                    (size,), before = struct.unpack_from("<I", data, at), 4
                else:
                    raise NotRead("type of property")
                at += before
                if at + size > len(data):
                    raise NotRead("cut")
                yield name, kind, data[at : at + size]
                at += _padded(size)
    except struct.error:
        raise NotRead("cut") from None


def _padded(size: int) -> int:
    return (size + 3) & ~3


def _text(octets: bytes) -> str:
    return decode_text(octets.partition(b"\0")[0])


# What every compressed Rich Text begins with in mind (MS-OXRTFCP §2.1.2.1).
_KNOWN = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans Serif"
    rb"SymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0"
    + b"\r\n"
    + rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)
_RING = 4096


def rich_text(octets: bytes, most: int) -> bytes:
    """Return Rich Text out of its compressed form, *most* octets at most; raise NotRead for what is damaged."""
    if len(octets) < 16:
        raise NotRead("cut")
    _, raw, how, _ = struct.unpack_from("<II4sI", octets)
    if how == b"MELA":
        return octets[16 : 16 + raw]
    if how != b"LZFu" or raw > most:
        raise NotRead("compressed otherwise")
    ring, write, out, at = bytearray(_KNOWN.ljust(_RING, b"\0")), len(_KNOWN), bytearray(), 16
    while at < len(octets) and len(out) < raw:
        control = octets[at]
        at += 1
        for bit in range(8):
            if control >> bit & 1:
                if at + 2 > len(octets):
                    return bytes(out[:raw])
                word = octets[at] << 8 | octets[at + 1]
                at += 2
                read, size = word >> 4, (word & 15) + 2
                if read == write:
                    return bytes(out[:raw])
                taken = []
                for _ in range(size):
                    sign = ring[read]
                    ring[write] = sign
                    taken.append(sign)
                    read, write = (read + 1) % _RING, (write + 1) % _RING
                out += bytes(taken)
            elif at < len(octets):
                ring[write] = octets[at]
                out.append(octets[at])
                at += 1
                write = (write + 1) % _RING
    return bytes(out[:raw])

"""What of a message does FETCH ask for? RFC 3501 §6.4.5, RFC 3516 BINARY, RFC 7162 MODSEQ."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cryptnsend.core.imap_text import BadCommand, astring
from cryptnsend.core.imap_tokens import LARGEST_64, Scanner

ATTRIBUTES = frozenset({"UID", "FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY", "BODYSTRUCTURE", "MODSEQ"})
_FAST = ("FLAGS", "INTERNALDATE", "RFC822.SIZE")
_MACROS = {"FAST": _FAST, "ALL": (*_FAST, "ENVELOPE"), "FULL": (*_FAST, "ENVELOPE", "BODY")}
MAX_LEVELS = 200  # numbers in one part specifier
_MAX_ITEMS = 500
_MAX_FIELDS = 500


@dataclass(frozen=True, slots=True)
class Attribute:
    """An item that is one value; *name* is of ATTRIBUTES."""

    name: str


@dataclass(frozen=True, slots=True)
class Section:
    """
    An item that is octets of the message: BODY[…], BINARY[…], BINARY.SIZE[…], RFC822 and its kin.

    *path* is the numbers of the part, () for the message; *text* is "", HEADER, HEADER.FIELDS, HEADER.FIELDS.NOT, TEXT
    or MIME; *fields* names header fields in lower case; *partial* is (first octet, how many at most). *label* is how
    the response names the item, with the first octet of a partial one.
    """

    path: tuple[int, ...] = ()
    text: str = ""
    fields: tuple[bytes, ...] = ()
    partial: tuple[int, int] | None = None
    peek: bool = False
    kind: str = "BODY"  # or BINARY, BINARY.SIZE
    label: bytes = b"BODY[]"


FetchItem = Attribute | Section

# Outlook asks for RFC822.PEEK, which no standard has; it means BODY.PEEK[].
_OBSOLETE = {
    "RFC822": Section(label=b"RFC822"),
    "RFC822.PEEK": Section(peek=True, label=b"RFC822"),
    "RFC822.HEADER": Section(text="HEADER", peek=True, label=b"RFC822.HEADER"),
    "RFC822.HEADER.PEEK": Section(text="HEADER", peek=True, label=b"RFC822.HEADER"),
    "RFC822.TEXT": Section(text="TEXT", label=b"RFC822.TEXT"),
    "RFC822.TEXT.PEEK": Section(text="TEXT", peek=True, label=b"RFC822.TEXT"),
}
_NAME = re.compile(rb"[A-Za-z0-9.]+")
_PATH = re.compile(rb"([1-9][0-9]{0,9}(?:\.[1-9][0-9]{0,9})*)(\.)?")
_TEXT = re.compile(rb"[A-Za-z.]+")
_PARTIAL = re.compile(rb"<([0-9]{1,20})\.([0-9]{1,20})>")
_WITH_SECTION = {
    "BODY": ("BODY", False), "BODY.PEEK": ("BODY", True), "BINARY": ("BINARY", False), "BINARY.PEEK": ("BINARY", True),
    "BINARY.SIZE": ("BINARY.SIZE", True),
}  # fmt: skip


def read_fetch_items(scanner: Scanner) -> tuple[FetchItem, ...]:
    """Take the items of a FETCH: a macro, one item, or a list; each is returned once, in the order asked."""
    if scanner.sees(b"("):
        items = scanner.list_of(lambda: _item(scanner))
        if not 0 < len(items) <= _MAX_ITEMS:
            raise BadCommand(f"FETCH takes 1 to {_MAX_ITEMS} items.")
    else:
        items = [_item(scanner)]
    # Some clients put a macro into a list, where the grammar has none: it is spelled out there as well.
    return tuple(dict.fromkeys(one for item in items for one in item))


def _item(scanner: Scanner) -> tuple[FetchItem, ...]:
    name = scanner.match(_NAME, "the name of an item")[0].decode().upper()
    if name in _MACROS:
        return tuple(Attribute(each) for each in _MACROS[name])
    if name in _WITH_SECTION and scanner.skip(b"["):
        return (_section(scanner, *_WITH_SECTION[name]),)
    if name in ATTRIBUTES:
        return (Attribute(name),)
    if name in _OBSOLETE:
        return (_OBSOLETE[name],)
    raise BadCommand("An item of FETCH is not known here.")


def _section(scanner: Scanner, kind: str, peek: bool) -> Section:
    path: tuple[int, ...] = ()
    fields: tuple[bytes, ...] = ()
    text, dotted = "", True
    if not scanner.sees(b"]"):
        found = _PATH.match(scanner.rest())
        if found:
            scanner.match(_PATH, "a part")
            path = tuple(map(int, found[1].split(b".")))
            dotted = bool(found[2])
        if dotted:
            text = scanner.match(_TEXT, "a part of a section")[0].decode().upper()
            fields = _fields(scanner, text, path, kind)
    scanner.expect(b"]")
    if len(path) > MAX_LEVELS or max(path, default=0) > 2**32 - 1:
        raise BadCommand("This part is nested too deep.")
    partial, start = None, b""
    if scanner.sees(b"<"):
        octets = scanner.match(_PARTIAL, "a range like <0.1000>")
        partial = int(octets[1]), int(octets[2])
        if max(partial) > LARGEST_64 or not partial[1] or kind == "BINARY.SIZE":
            raise BadCommand("A range has the form <first octet.number of octets>.")
        start = b"<%d>" % partial[0]
    number = b".".join(b"%d" % level for level in path)
    name = b".".join(filter(None, (number, text.encode())))
    if fields:
        name += b" (" + b" ".join(astring(each.upper()) for each in fields) + b")"
    label = kind.encode() + b"[" + name + b"]" + start
    return Section(path=path, text=text, fields=fields, partial=partial, peek=peek, kind=kind, label=label)


def _fields(scanner: Scanner, text: str, path: tuple[int, ...], kind: str) -> tuple[bytes, ...]:
    """Check the text of a section; take the fields that HEADER.FIELDS names, in lower case, each once."""
    if kind != "BODY" or text not in {"HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT", "TEXT", "MIME"}:
        raise BadCommand("This section is not known here.")
    if text == "MIME" and not path:
        raise BadCommand("MIME goes with the number of a part.")
    if not text.startswith("HEADER.FIELDS"):
        return ()
    scanner.space()
    fields = tuple(dict.fromkeys(name.lower() for name in scanner.list_of(scanner.astring)))
    if not 0 < len(fields) <= _MAX_FIELDS:
        raise BadCommand(f"HEADER.FIELDS takes 1 to {_MAX_FIELDS} names.")
    return fields

"""What does a SEARCH look for? RFC 3501 §6.4.4, RFC 7162 §3.1.5 MODSEQ, RFC 5182 "$".

Keys are values; `imap_match` says what they need to know of a message and whether one fits.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from cryptnsend.core.charsets import decode_text
from cryptnsend.core.imap_sequence import SequenceSet, parse_set
from cryptnsend.core.imap_text import BadCommand, canonical_flag, parse_date
from cryptnsend.core.imap_tokens import LARGEST_64, Scanner

_MAX_DEPTH = 100
_MAX_KEYS = 2000
_MAX_TEXT = 2000  # characters


@dataclass(frozen=True, slots=True)
class All:
    """Every message."""


@dataclass(frozen=True, slots=True)
class HasFlag:
    """Messages with that flag."""

    flag: str


@dataclass(frozen=True, slots=True)
class InSet:
    """Messages of a set of sequence numbers, or of UIDs."""

    messages: SequenceSet
    uid: bool


@dataclass(frozen=True, slots=True)
class Size:
    """Messages of more octets than that, or of fewer."""

    larger: bool
    octets: int


@dataclass(frozen=True, slots=True)
class Dated:
    """Messages whose INTERNALDATE, or Date field if *sent*, is "<", "=" or ">=" the day; the clock does not count."""

    relation: str
    day: date
    sent: bool


@dataclass(frozen=True, slots=True)
class HeaderHas:
    """Messages with that header field (lower case) whose decoded value has *text* in it; "" asks only for the field."""

    field: bytes
    text: str


@dataclass(frozen=True, slots=True)
class TextHas:
    """Messages with *text* in the decoded text of their body, or also in the header if *header*."""

    text: str
    header: bool


@dataclass(frozen=True, slots=True)
class ModSeq:
    """Messages whose modification sequence is at least that."""

    least: int


@dataclass(frozen=True, slots=True)
class Not:
    """Messages that the key does not fit."""

    key: SearchKey


@dataclass(frozen=True, slots=True)
class And:
    """Messages that all the keys fit."""

    keys: tuple[SearchKey, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Messages that one of the keys fits."""

    keys: tuple[SearchKey, ...]


SearchKey = All | HasFlag | InSet | Size | Dated | HeaderHas | TextHas | ModSeq | Not | And | Or

NOTHING = Not(All())


def uses_modseq(key: SearchKey) -> bool:
    """Say whether the key asks for MODSEQ, so that the answer has one as well (RFC 7162 §3.1.5)."""
    if isinstance(key, Not):
        return uses_modseq(key.key)
    return any(map(uses_modseq, key.keys)) if isinstance(key, And | Or) else isinstance(key, ModSeq)


# --- reading -------------------------------------------------------------------------------------------------------

_CHARSET = re.compile(rb"charset +", re.IGNORECASE)
_CHARSETS = ("US-ASCII", "UTF-8", "ISO-8859-1", "ISO-8859-15", "WINDOWS-1252")


def read_charset(scanner: Scanner) -> str:
    """Take CHARSET and its name; return "" without it; raise BadCommand, a NO, for one that is not known."""
    if not _CHARSET.match(scanner.rest()):
        return ""
    scanner.match(_CHARSET, "CHARSET")
    name = scanner.astring().decode("ascii", "replace").upper()
    scanner.space()
    if name not in _CHARSETS:
        code = b"BADCHARSET (" + " ".join(_CHARSETS).encode() + b")"
        raise BadCommand("This charset is not known here.", status="NO", code=code)
    return name


def read_search_keys(scanner: Scanner, charset: str) -> SearchKey:
    """Take the keys up to the end of the command; texts are in *charset*, "" for UTF-8."""
    reader = _Reader(scanner, charset)
    keys = [reader.key()]
    while scanner.more():
        keys.append(reader.key())
    return keys[0] if len(keys) == 1 else And(tuple(keys))


class _Reader:
    """Takes the keys of one SEARCH and counts them."""

    def __init__(self, scanner: Scanner, charset: str):
        self._scanner, self._charset = scanner, charset
        self._depth = self._count = 0

    def key(self) -> SearchKey:
        """Take one key with its arguments."""
        self._depth += 1
        self._count += 1
        if self._depth > _MAX_DEPTH or self._count > _MAX_KEYS:
            raise BadCommand("This search is too long or nested too deep.")
        key = self._key()
        self._depth -= 1
        return key

    def _key(self) -> SearchKey:
        scanner = self._scanner
        if scanner.sees(b"("):
            keys = scanner.list_of(self.key)
            if not keys:
                raise BadCommand("Expected a search key here.")
            return keys[0] if len(keys) == 1 else And(tuple(keys))
        if _SET_START.match(scanner.rest()):
            return InSet(parse_set(scanner.set()), uid=False)
        word = scanner.word()
        if word in _PLAIN:
            return _PLAIN[word]
        if word in _FIELDS:
            return HeaderHas(_FIELDS[word], self._text())
        if word in _WITH_ARGUMENT:
            scanner.space()
            return _WITH_ARGUMENT[word](scanner)
        if word in {"BODY", "TEXT"}:
            return TextHas(self._text(), header=word == "TEXT")
        if word == "HEADER":
            scanner.space()
            field = scanner.astring().lower()
            return HeaderHas(field, self._text())
        if word == "NOT":
            scanner.space()
            return Not(self.key())
        if word == "OR":
            scanner.space()
            left = self.key()
            scanner.space()
            return Or((left, self.key()))
        raise BadCommand("A search key is not known here.")

    def _text(self) -> str:
        self._scanner.space()
        octets = self._scanner.astring()
        if self._charset not in {"", "UTF-8", "US-ASCII"}:
            text = decode_text(octets, self._charset)
        else:
            try:
                text = octets.decode()
            except UnicodeDecodeError:
                raise BadCommand("This text is not in the charset of the search.") from None
        if len(text) > _MAX_TEXT:
            raise BadCommand(f"A text to search for may have at most {_MAX_TEXT} characters.")
        return text


_SET_START = re.compile(rb"[0-9*$]")
# \Recent is on no message here, so NEW finds nothing and OLD everything (RFC 9051 §2.3.2 has dropped all three).
_PLAIN: dict[str, SearchKey] = {
    "ALL": All(), "NEW": NOTHING, "OLD": All(), "RECENT": NOTHING,
    **{flag[1:].upper(): HasFlag(flag) for flag in ("\\Answered", "\\Deleted", "\\Draft", "\\Flagged", "\\Seen")},
    **{
        f"UN{flag[1:].upper()}": Not(HasFlag(flag))
        for flag in ("\\Answered", "\\Deleted", "\\Draft", "\\Flagged", "\\Seen")
    },
}  # fmt: skip
_FIELDS = {"BCC": b"bcc", "CC": b"cc", "FROM": b"from", "SUBJECT": b"subject", "TO": b"to"}


def _dated(relation: str, *, sent: bool) -> Callable[[Scanner], SearchKey]:
    return lambda scanner: Dated(relation, parse_date(scanner.astring()), sent)


def _modseq(scanner: Scanner) -> SearchKey:
    if scanner.sees(b'"'):
        # The flag and whose view of it (RFC 7162 §3.1.5): one number stands for all of a message here.
        scanner.string()
        scanner.space()
        scanner.word()
        scanner.space()
    return ModSeq(scanner.number(LARGEST_64))


_WITH_ARGUMENT: dict[str, Callable[[Scanner], SearchKey]] = {
    "BEFORE": _dated("<", sent=False),
    "ON": _dated("=", sent=False),
    "SINCE": _dated(">=", sent=False),
    "SENTBEFORE": _dated("<", sent=True),
    "SENTON": _dated("=", sent=True),
    "SENTSINCE": _dated(">=", sent=True),
    "KEYWORD": lambda scanner: HasFlag(canonical_flag(scanner.flag())),
    "UNKEYWORD": lambda scanner: Not(HasFlag(canonical_flag(scanner.flag()))),
    "LARGER": lambda scanner: Size(True, scanner.number(LARGEST_64)),
    "SMALLER": lambda scanner: Size(False, scanner.number(LARGEST_64)),
    "UID": lambda scanner: InSet(parse_set(scanner.set()), uid=True),
    "MODSEQ": _modseq,
}

"""What must be known of a message to tell whether a search key fits it, and does it fit?

Keys need the narrow row only, or the sealed index (the header block), or the body. A search runs in steps: what
`weaken` leaves of the key for rows first, then for indexes on what is left, and bodies last and capped.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from enum import IntEnum
from typing import Protocol

from cryptnsend.core.charsets import decode_words, guess_text
from cryptnsend.core.imap_search import (
    NOTHING,
    All,
    And,
    Dated,
    HasFlag,
    HeaderHas,
    InSet,
    ModSeq,
    Not,
    Or,
    SearchKey,
    Size,
    TextHas,
)
from cryptnsend.core.imap_text import MONTHS


class Need(IntEnum):
    """What has to be looked at; each includes the ones before it."""

    ROW = 0
    INDEX = 1
    BODY = 2


class Candidate(Protocol):
    """A message that is asked about. `header` and `texts` are called only for keys that need them."""

    @property
    def uid(self) -> int: ...
    @property
    def number(self) -> int:
        """The sequence number."""

    @property
    def flags(self) -> Iterable[str]:
        """The flags and keywords, case-folded."""

    @property
    def arrived(self) -> int:
        """INTERNALDATE in milliseconds since 1970, UTC."""

    @property
    def size(self) -> int: ...
    @property
    def modseq(self) -> int: ...
    def header(self) -> bytes:
        """Return the header block."""

    def texts(self) -> Iterable[str]:
        """Yield the decoded texts of the body."""


Test = Callable[[Candidate], bool]


def need(key: SearchKey) -> Need:
    """Say what the key needs at most."""
    if isinstance(key, Not):
        return need(key.key)
    if isinstance(key, And | Or):
        return max(map(need, key.keys))
    if isinstance(key, TextHas):
        return Need.BODY
    return Need.INDEX if isinstance(key, HeaderHas) or (isinstance(key, Dated) and key.sent) else Need.ROW


def weaken(key: SearchKey, known: Need) -> SearchKey:
    """Return a key that needs no more than *known* and fits every message that *key* fits, and maybe others."""
    return _bound(key, known, All())


def _bound(key: SearchKey, known: Need, unknown: SearchKey) -> SearchKey:
    """Replace what cannot be known by *unknown*: ALL gives a bound from above, its opposite one from below."""
    if isinstance(key, Not):
        return Not(_bound(key.key, known, NOTHING if unknown == All() else All()))
    if isinstance(key, And):
        return And(tuple(_bound(each, known, unknown) for each in key.keys))
    if isinstance(key, Or):
        return Or(tuple(_bound(each, known, unknown) for each in key.keys))
    return key if need(key) <= known else unknown


def matcher(key: SearchKey, *, exists: int, largest_uid: int, saved: Sequence[int] = ()) -> Test:
    """
    Return the test for a key in a mailbox of *exists* messages; *saved* are the ascending UIDs that "$" stands for.

    What costs least is looked at first.
    """

    def build(key: SearchKey) -> Test:
        match key:
            case All():
                return lambda one: True
            case HasFlag(flag):
                folded = flag.casefold()
                return lambda one: folded in one.flags
            case InSet(messages, uid):
                if messages.saved:
                    uids = frozenset(saved)
                    return lambda one: one.uid in uids
                within = _within(messages.spans(largest_uid if uid else exists))
                return (lambda one: within(one.uid)) if uid else (lambda one: within(one.number))
            case Size(True, octets):
                return lambda one: one.size > octets
            case Size(_, octets):
                return lambda one: one.size < octets
            case ModSeq(least):
                return lambda one: one.modseq >= least
            case Dated(relation, day, sent):
                compare = _RELATIONS[relation]
                when = _sent if sent else _arrived
                return lambda one: compare(when(one), day)
            case HeaderHas(field, text):
                return _header_has(field, text)
            case TextHas(text, header):
                return _text_has(text, header)
            case Not(inner):
                test = build(inner)
                return lambda one: not test(one)
            case And(keys):
                tests = [build(each) for each in sorted(keys, key=need)]
                return lambda one: all(test(one) for test in tests)
            case Or(keys):
                tests = [build(each) for each in sorted(keys, key=need)]
                return lambda one: any(test(one) for test in tests)

    return build(key)


_RELATIONS: dict[str, Callable[[date, date], bool]] = {
    "<": lambda a, b: a < b,
    "=": lambda a, b: a == b,
    ">=": lambda a, b: a >= b,
}


def _within(spans: list[tuple[int, int]]) -> Callable[[int], bool]:
    lows = [low for low, _ in spans]

    def within(number: int) -> bool:
        at = bisect_right(lows, number) - 1
        return at >= 0 and number <= spans[at][1]

    return within


def fold(text: str) -> str:
    """Return *text* as it is compared: composed, without case."""
    return unicodedata.normalize("NFC", text).casefold()


# --- headers -------------------------------------------------------------------------------------------------------

_SENT = re.compile(r"(?<![0-9])([0-9]{1,2})[ \t-]+([A-Za-z]{3})[a-z]*[ \t-]+([0-9]{4}|[0-9]{2})(?![0-9])")
_ENCODED = re.compile(rb"=\?|[\x80-\xff]")


def _field(name: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"(?:\A|\n)" + re.escape(name) + rb"[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)", re.IGNORECASE)


_DATE_FIELD = _field(b"date")


def _arrived(one: Candidate) -> date:
    return datetime.fromtimestamp(one.arrived / 1000, UTC).date()


def _sent(one: Candidate) -> date:
    """Return the day of the Date field; of the arrival, where there is none that can be read."""
    field = _DATE_FIELD.search(one.header())
    found = _SENT.search(guess_text(field[1][:200])) if field else None
    if found and (month := MONTHS.get(found[2].lower())):
        year = int(found[3])
        if year < 100:
            year += 2000 if year < 50 else 1900  # RFC 5322 §4.3
        try:
            return date(year, month, int(found[1]))
        except ValueError:
            pass
    return _arrived(one)


def _header_has(field: bytes, text: str) -> Test:
    pattern, wanted = _field(field), fold(text)
    plain = wanted.encode() if wanted.isascii() else None

    def test(one: Candidate) -> bool:
        for found in pattern.finditer(one.header()):
            value = found[1].replace(b"\r\n", b"").replace(b"\n", b"")
            if _ENCODED.search(value):
                if wanted in fold(decode_words(guess_text(value))):
                    return True
            elif plain is not None and plain in value.lower():
                return True
        return False

    return test


def _text_has(text: str, header: bool) -> Test:
    wanted = fold(text)

    def test(one: Candidate) -> bool:
        if header:
            block = one.header().replace(b"\r\n ", b" ").replace(b"\r\n\t", b"\t")
            if wanted in fold(decode_words(guess_text(block))):
                return True
        return any(wanted in fold(each) for each in one.texts())

    return test

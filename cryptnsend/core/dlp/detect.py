"""What is found in a mail, by which rule, and how is it shown to its sender?

`detect` is pure. A finding has the rule, a masked value and where it stood; the value itself goes nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from cryptnsend.core.dlp import medicine, numbers, own, records
from cryptnsend.core.dlp.own import Own
from cryptnsend.core.dlp.text import Reading

Detector = Callable[[Reading], Iterator[tuple[int, int]]]

DETECTORS: Mapping[str, Detector] = {
    "ssn": numbers.ssns,
    "itin": numbers.itins,
    "card": numbers.cards,
    "npi": numbers.npis,
    "mbi": numbers.mbis,
    "dea": numbers.deas,
    "icd10": medicine.icd10_codes,
    "drug": medicine.drugs,
    "birth-date": records.birth_dates,
    "mrn": records.record_numbers,
}
OWN: Mapping[str, Callable[[Own, Reading], Iterator[tuple[int, int]]]] = {
    "mrn": own.record_numbers,
    "word": own.words,
    "pattern": own.patterns,
}
RULES = (*DETECTORS, "word", "pattern")
REASONS = ("encrypted", "unreadable", "too-much")  # why something could not be looked into
SHOWN = 5  # findings of one rule in one place that are told
NOBODYS = Own()


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found: the *rule* (of RULES or REASONS), the value *masked*, and *where*, in words of the mail."""

    rule: str
    masked: str
    where: str


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of a mail's text, and where it stood."""

    where: str
    text: str


def detect(pieces: Iterable[Piece], ours: Own = NOBODYS, rules: Iterable[str] = RULES) -> list[Finding]:
    """Return what is found by the *rules*, each value once per place, a few of each rule in one place."""
    wanted, found = frozenset(rules), dict[Finding, None]()
    for piece in pieces:
        reading = Reading(piece.text)
        for rule in RULES:
            if rule not in wanted:
                continue
            seen = 0
            for start, end in _spans(rule, reading, ours):
                finding = Finding(rule, masked(rule, reading.text[start:end]), piece.where)
                if finding not in found:
                    found[finding] = None
                    seen += 1
                if seen >= SHOWN:
                    break
    return list(found)


def _spans(rule: str, reading: Reading, ours: Own) -> Iterator[tuple[int, int]]:
    if rule in DETECTORS:
        yield from DETECTORS[rule](reading)
    if rule in OWN:
        yield from OWN[rule](ours, reading)


_KEPT = {"card": 4, "ssn": 2, "itin": 2, "npi": 2, "mbi": 2, "dea": 2, "mrn": 2}  # last characters that are shown


def masked(rule: str, value: str) -> str:
    """Return a value with so little of it that its sender knows which is meant and nobody else learns it."""
    value = value[:60]
    if rule in ("birth-date", "pattern"):
        return re.sub(r"\w", "*", value)
    if rule not in _KEPT:
        return value[:1] + re.sub(r"\w", "*", value[1:])
    signs = [at for at, sign in enumerate(value) if sign.isalnum()]
    shown = set(signs[-_KEPT[rule] :]) if len(signs) > 2 * _KEPT[rule] else set()
    return "".join("*" if sign.isalnum() and at not in shown else sign for at, sign in enumerate(value))

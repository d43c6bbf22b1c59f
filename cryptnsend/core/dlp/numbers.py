"""Which digits are somebody's number? Checks of length, groups, ranges and check digits, and the words beside them.

Sources, all public: the Social Security Administration on numbers never given out, the IRS on ITIN groups, ISO/IEC 7812
on issuers and the Luhn check, CMS on the forms of NPI and MBI, and the DEA's check digit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from cryptnsend.core.dlp.text import Reading, context

Span = tuple[int, int]

# What may stand beside a number: an underline, as in names of files, or its label without a blank.
_GLUED = r"(?:(?<![^\W_])|(?<=ssn)|(?<=itin)|(?<=tin)|(?<=card)|(?<=visa)|(?<=amex))(?<!\d[-./])"
_FREE = r"(?![^\W_])(?![-/.]\d)"
_GROUPED = re.compile(rf"{_GLUED}(\d{{3}})([- .]|[ ]-[ ])(\d{{2}})\2(\d{{4}}){_FREE}", re.IGNORECASE)
_NINE = re.compile(rf"{_GLUED}(\d{{3}})(\d{{2}})(\d{{4}}){_FREE}", re.IGNORECASE)
# Right behind their name, nine digits are that number however they are parted: 2 1 9 4 4 1 2 3 4, 219/44/1234, cells.
_TOLD = re.compile(
    r"(?<![^\W_])(?P<name>ssns?|s\.s\.n\.?|ss ?#|soc(?:ial)?\.? ?sec(?:urity)?\.?|seguro social|itin)"
    r"[\s:#=|(]{0,4}(?:number|num\.?|no\.?|nr\.?|is|es|#)?[\s:#=|(]{0,4}"
    r"(?P<value>\d(?:[-\s./_|\u00b7\u2022*]{0,3}\d){8})(?![-\s./_|]{0,3}\d)(?![^\W_])",
    re.IGNORECASE,
)
_SOCIAL = context(
    r"\bssns?\b|\bs\.s\.n|\bss ?#|\bsoc(?:ial)?[. ]{1,2}sec|\bsocial(?: (?:is|number|no|nr))?[:# ]*$|\bsocial\b"
    r"|seguro social|\bitins?\b|\btax(?:payer)?[ -]?(?:id|identification)|\btin\b"
)
_TAXPAYER = context(r"\bitins?\b|taxpayer|\btax[ -]?(?:id|identification)|\btin\b|\bssns?\b|social")
_OTHER = context(
    r"\b(?:order|invoice|part|tracking|ticket|case|ref(?:erence)?|serial|model|sku|item|p\.?o\.?|confirmation"
    r"|shipment"
    r"|package|parcel|imei|isbn|ean|upc|gtin|catalog(?:ue)?|cat|claim|batch|lot|policy|meeting|conference|extension"
    r"|pedido|factura|rastreo|meter)s?\b[^\n]*$"
)
ADVERTISED = frozenset({"078051120", "219099999"})  # printed in wallets and pamphlets, and nobody's since


def ssns(reading: Reading) -> Iterator[Span]:
    """Yield US Social Security numbers."""
    for found in _GROUPED.finditer(reading.text):
        # With blanks or dots between, meters and prices look the same; it takes a word then.
        sure = _is_meant if found[2] == "-" else _is_named
        if is_ssn(found[1] + found[3] + found[4]) and sure(reading, found.start(), found.end(), _SOCIAL):
            yield found.span()
    for found in _NINE.finditer(reading.text):
        if is_ssn(found[0]) and _is_named(reading, found.start(), found.end(), _SOCIAL):
            yield found.span()
    yield from _told(reading, is_ssn)


def _told(reading: Reading, is_one: Callable[[str], bool]) -> Iterator[Span]:
    for found in _TOLD.finditer(reading.text):
        if is_one(re.sub(r"\D", "", found["value"])):
            yield found.span("value")


def is_ssn(digits: str) -> bool:
    """Say whether nine digits may be a Social Security number."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return "001" <= area <= "899" and area != "666" and group != "00" and serial != "0000" and digits not in ADVERTISED


def itins(reading: Reading) -> Iterator[Span]:
    """Yield US Individual Taxpayer Identification Numbers."""
    for found in _GROUPED.finditer(reading.text):
        sure = _is_meant if found[2] == "-" else _is_named
        if is_itin(found[1] + found[3] + found[4]) and sure(reading, found.start(), found.end(), _TAXPAYER):
            yield found.span()
    for found in _NINE.finditer(reading.text):
        if is_itin(found[0]) and _is_named(reading, found.start(), found.end(), _TAXPAYER):
            yield found.span()
    yield from _told(reading, is_itin)


def is_itin(digits: str) -> bool:
    """Say whether nine digits may be an ITIN."""
    group = int(digits[3:5])
    return digits[0] == "9" and (50 <= group <= 65 or 70 <= group <= 88 or 90 <= group <= 92 or 94 <= group <= 99)


_CARDS = re.compile(
    rf"{_GLUED}(?:"
    r"\d{4}([- .])\d{4}\1\d{4}\1\d{4}(?:\1\d{3})?"  # most
    r"|3[47]\d\d([- .])\d{6}\2\d{5}"  # American Express
    r"|3\d{3}([- .])\d{6}\3\d{4}"  # Diners
    rf"|\d{{13,19}}){_FREE}",
    re.IGNORECASE,
)
# Parted in other ways, by blanks and hyphens that differ or digit by digit, it takes a word beside them.
_LOOSE = re.compile(rf"{_GLUED}\d(?:[- ]{{0,3}}\d){{12,18}}{_FREE}", re.IGNORECASE)
_PAYING = context(
    r"\b(?:card|visa|master ?card|mc|amex|american express|discover|diners|jcb|union ?pay|credit|debit|payment"
    r"|pay|ccn?"
    r"|pan|cvv2?|cvc2?|exp(?:ir(?:y|es|ation))?|tarjeta)\b"
)
# First digits from, to, and the lengths that go with them.
ISSUERS: tuple[tuple[int, int, frozenset[int]], ...] = (
    (4, 4, frozenset({13, 16, 19})),
    (51, 55, frozenset({16})),
    (2221, 2720, frozenset({16})),
    (34, 34, frozenset({15})),
    (37, 37, frozenset({15})),
    (6011, 6011, frozenset(range(16, 20))),
    (622126, 622925, frozenset(range(16, 20))),
    (644, 649, frozenset(range(16, 20))),
    (65, 65, frozenset(range(16, 20))),
    (300, 305, frozenset(range(14, 20))),
    (3095, 3095, frozenset(range(14, 20))),
    (36, 36, frozenset(range(14, 20))),
    (38, 39, frozenset(range(14, 20))),
    (3528, 3589, frozenset(range(16, 20))),
    (62, 62, frozenset(range(16, 20))),
    (81, 81, frozenset(range(16, 20))),
)
USUAL = frozenset({15, 16})  # lengths that need no word beside them


def cards(reading: Reading) -> Iterator[Span]:
    """Yield payment card numbers."""
    for found in _CARDS.finditer(reading.text):
        digits = re.sub(r"\D", "", found[0])
        if not is_card(digits):
            continue
        start, end = found.span()
        is_grouped = len(digits) < len(found[0])
        is_usual = is_grouped or len(digits) in USUAL  # others are more often something else
        if (_is_meant if is_usual else _is_named)(reading, start, end, _PAYING):
            yield start, end
    for found in _LOOSE.finditer(reading.text):
        if is_card(re.sub(r"\D", "", found[0])) and _is_named(reading, *found.span(), _PAYING):
            yield found.span()


def is_card(digits: str) -> bool:
    """Say whether digits lie in an issuer's range, have its length, and pass the Luhn check."""
    return len(set(digits)) > 1 and any(
        low <= int(digits[: len(str(low))]) <= high and len(digits) in lengths for low, high, lengths in ISSUERS
    ) and luhn(digits)  # fmt: skip


def luhn(digits: str) -> bool:
    """Check the last digit by ISO/IEC 7812-1, annex B."""
    total = 0
    for at, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (1 + at % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


_TEN = re.compile(r"(?:(?<![^\W_])|(?<=NPI))(?<!\d[-./])[12]\d{9}(?!\w)(?![-/.]\d)")
_PROVIDER = context(r"\bnpis?\b|\bnational provider\b|\bprovider (?:identifier|id|number)\b")


def npis(reading: Reading) -> Iterator[Span]:
    """Yield National Provider Identifiers; without a word that says so, ten digits are a telephone number."""
    for found in _TEN.finditer(reading.text):
        if luhn(f"80840{found[0]}") and _PROVIDER.search(reading.around(*found.span(), 60, 25)):
            yield found.span()


_L, _AN = "AC-HJKMNP-RT-Y", "0-9AC-HJKMNP-RT-Y"  # neither S, L, O, I, B nor Z
_MBI = re.compile(
    rf"(?<![\w-])[1-9][{_L}][{_AN}]\d([- ]?)[{_L}][{_AN}]\d\1[{_L}]{{2}}\d\d(?![\w])(?!-\w)", re.IGNORECASE
)
_MEDICARE = context(r"\bmbis?\b|\bmedicare\b|\bbeneficiary\b")


def mbis(reading: Reading) -> Iterator[Span]:
    """Yield Medicare Beneficiary Identifiers; as part of a link only where a word says so."""
    for found in _MBI.finditer(reading.text):
        start, end = found.span()
        if not reading.is_in_link(start, end) or _MEDICARE.search(reading.around(start, end, 60, 25)):
            yield start, end


_DEA = re.compile(r"(?<![\w])[A-HJ-MPR-UX][A-Z9][ -]?(\d{7})(?!\w)", re.IGNORECASE)
_ENFORCEMENT = context(r"\bdea\b")


def deas(reading: Reading) -> Iterator[Span]:
    """Yield DEA registration numbers beside the word DEA."""
    for found in _DEA.finditer(reading.text):
        if is_dea(found[1]) and _ENFORCEMENT.search(reading.around(*found.span(), 60, 25)):
            yield found.span()


def is_dea(digits: str) -> bool:
    """Check the seventh digit: odd places once, even places twice."""
    one, two, three, four, five, six, last = map(int, digits)
    return (one + three + five + 2 * (two + four + six)) % 10 == last


def _is_named(reading: Reading, start: int, end: int, words: Any) -> bool:
    """Say whether words beside digits tell what they are."""
    return words.search(reading.around(start, end, 50, 25)) is not None


def _is_meant(reading: Reading, start: int, end: int, words: Any) -> bool:
    """Say whether digits in the form of a number are one: nothing says that they are something else."""
    if _is_named(reading, start, end, words):
        return True
    return not _OTHER.search(reading.sentence(start, 80)) and not reading.is_in_link(start, end)

"""Which dates are of birth, and which numbers those of a patient's record? What their labels say."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cryptnsend.core.dlp.text import Reading, context

Span = tuple[int, int]

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?|enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|octubre|noviembre"
    r"|diciembre)"
)
_YEAR = r"(?:19|20)\d\d"
_DATE = re.compile(
    r"(?<![\w/.-])(?:"
    rf"(?P<a>\d{{1,2}})(?P<s>[/.-] ?)(?P<b>\d{{1,2}})(?P=s)(?:{_YEAR}|'?\d\d)"
    rf"|{_YEAR}(?P<t>[/.-])(?P<c>\d{{1,2}})(?P=t)(?P<d>\d{{1,2}})"
    rf"|{_MONTH}\.? ?\d{{1,2}}(?:st|nd|rd|th)?,? {_YEAR}"
    rf"|{_MONTH}\.? ?\d{{1,2}}(?:st|nd|rd|th)?,? '\d\d"
    rf"|\d{{1,2}}(?:st|nd|rd|th|\.)?(?: of| de)?[ -]{_MONTH}\.?,?(?: de)?[ -](?:{_YEAR}|'?\d\d)"
    r"|(?:0\d|1[0-2])(?:[0-2]\d|3[01])(?:19|20)\d\d"
    r"|(?:19|20)\d\d(?:0\d|1[0-2])(?:[0-2]\d|3[01])"
    r")(?![\w])(?![/-]\d)",
    re.IGNORECASE,
)
_BIRTH = context(
    r"\bd\.? ?o\.? ?b\b|\bb\.?/?d(?:ate|ay)?:|\bdate[- ]of[- ]birth|\bbirth[- ]?(?:date|dt)\b|\bdate born"
    r"|\bfecha de nac(?:imiento|\.)?|\bf\. ?nac\b|\bnacid[oa]\b|\bnaci[oó]|\bborn\b"
)
_BIRTHDAY = context(r"\bbirthday\b[^\d\n]{0,25}$|\bcumplea[nñ]os:? ?(?:es )?(?:el )?$")
_FEAST = context(r"\b(?:party|parties|cards?|cake|lunch|dinner|gifts?|presents?|celebrat\w*|wishes|sale|happy)\b")
_BEHIND = re.compile(r"^[ \t]{0,2}[(\[-]? ?(?:d\.?o\.?b\b|date of birth|birth ?date|born)", re.IGNORECASE)
_NEAR = 40  # characters between the label and the date


def birth_dates(reading: Reading) -> Iterator[Span]:
    """Yield dates that a label beside them, or the heading of their column, calls dates of birth."""
    for found in _DATE.finditer(reading.text):
        if not _is_date(found):
            continue
        start, end = found.span()
        if _labels(reading, start) or _BEHIND.search(reading.after(end, 20)) or _heads(reading, start):
            yield start, end


def _labels(reading: Reading, start: int) -> bool:
    before = reading.before(start, _NEAR)
    if reading.heading(start):
        before = before[before.rfind("\n") + 1 :]  # the line above is another row
    labels = list(_BIRTH.finditer(before))
    if not labels:
        found = _BIRTHDAY.search(before)
        return found is not None and not _FEAST.search(before[max(0, found.start() - 6) :])
    # A label speaks for the first date behind it, not for the date of a visit that follows.
    return _DATE.search(f"{before[labels[-1].end() :]} ") is None


def _heads(reading: Reading, start: int) -> bool:
    """Say whether the date's column is headed as one of birth: others in its row are of visits."""
    heading = reading.heading(start)
    if not _BIRTH.search(heading):
        return False
    line = reading.text[reading.text.rfind("\n", max(0, start - 2000), start) + 1 : start]
    for parting in ("\t", "|", ";", ","):
        if parting in heading:
            cells = heading.split(parting)
            column = line.count(parting)
            return column < len(cells) and _BIRTH.search(cells[column]) is not None
    return True


def _is_date(found: re.Match[str]) -> bool:
    """Say whether day and month, in either order, are possible."""
    one, two = found["a"] or found["c"], found["b"] or found["d"]
    if one is None:
        return True
    low, high = sorted((int(one), int(two)))
    return 1 <= low <= 12 and high <= 31


_RECORD = re.compile(
    r"\b(?:mrn|m\.r\.n\.?|mr ?#|emrn|(?:medical|med\.?|health|patient|clinical) (?:record|rec\.?|chart)s?"
    r"|chart|patient|hospital(?: id)?|n[uú]mero de (?:historia|expediente)|historia cl[ií]nica|expediente)"
    r"[ ]?(?:number|num\.?|no\.?|nr\.?|n[oº]\.?|id(?:entifier)?|#|:)?(?: \(mrn\))?[ ]{0,2}(?:is|es|=|:|#"
    r"|-)?[ \t]{0,4}#?"
    r"(?P<value>[A-Z]{0,4}[-/ ]?\d[\d-]{3,13}[A-Z]?)(?!\w)(?!/\d)",
    re.IGNORECASE,
)
_LONE = context(r"\b(?:mrn|m\.r\.n|medical record|chart (?:number|no)|patient id)")
_NUMBER = re.compile(r"(?<![\w/.$-])[A-Z]{0,4}-?\d[\d-]{3,13}(?!\w)(?![/.]\d)")
_LABELLED = context(
    r"\b(?:mrn|m\.r\.n\.?|mr ?#|emrn|record|rec\.?|id(?:entifier)?|number|num\.?|no\.?|nr\.?|#|chart|historia"
    r"|expediente"
    r"|cl[ií]nica)"
)
_TELEPHONE = re.compile(r"^\d{3}-\d{3}-?\d{4}$|^\d{3}-\d{4}$|^1-\d{3}-\d{3}-\d{4}$")


def record_numbers(reading: Reading) -> Iterator[Span]:
    """Yield numbers that are labelled as those of a medical record."""
    for found in _RECORD.finditer(reading.text):
        label = reading.text[found.start() : found.start("value")]
        value = found["value"]
        if sum(map(str.isdigit, value)) < 4 or _TELEPHONE.match(value) or not _LABELLED.search(label):
            continue  # "the patient 2024-11" is no number of a record
        yield found.span("value")
    for found in _NUMBER.finditer(reading.text):
        heading = reading.heading(found.start())
        if _LONE.search(heading) and _is_below(reading, heading, found.start()):
            yield found.span()


def _is_below(reading: Reading, heading: str, start: int) -> bool:
    """Say whether a number stands in the column that is headed as that of record numbers."""
    line = reading.text[reading.text.rfind("\n", max(0, start - 2000), start) + 1 : start]
    for parting in ("\t", "|", ";", ","):
        if parting in heading:
            cells = heading.split(parting)
            column = line.count(parting)
            return column < len(cells) and _LONE.search(cells[column]) is not None
    return False

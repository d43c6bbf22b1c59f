"""What does an organisation look for besides? Its words, its patterns, and how its record numbers look.

Patterns are for a linear-time engine (RE2): whoever may write one must not be able to stop the mail with it. One that
the engine does not take, or that would find something in every mail, is refused when it is saved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import re2

from cryptnsend.core.dlp.text import Reading, linear, plain_form
from cryptnsend.core.errors import Sentence

Span = tuple[int, int]

MOST_WORDS, LONGEST_WORD = 1000, 100
MOST_PATTERNS, LONGEST_PATTERN = 100, 300
# What every mail has something of; a pattern that finds something here is of no use.
ORDINARY = (
    "Good morning, thank you for your message. The appointment is on Monday at 10:30, please call 555-0100. "
    "Best regards, Ann"
)


class BadPattern(ValueError):
    """A rule that cannot be kept; the text says which, why, and what to do."""

    def __init__(self, text: Sentence):
        super().__init__(text)
        self.text = text


@dataclass(frozen=True, slots=True)
class Own:
    """The rules of one organisation."""

    mrn: str = ""  # a pattern
    words: tuple[str, ...] = field(default=())
    patterns: tuple[str, ...] = field(default=())


def check(own: Own) -> None:
    """Raise BadPattern for the first rule that cannot be kept."""
    if len(own.words) > MOST_WORDS or len(own.patterns) > MOST_PATTERNS:
        raise BadPattern(
            Sentence(
                "At most %(words)s words and %(patterns)s patterns can be kept.",
                words=MOST_WORDS,
                patterns=MOST_PATTERNS,
            )
        )
    for word in own.words:
        if not 2 <= len(word.strip()) <= LONGEST_WORD or not any(map(str.isalnum, word)):
            raise BadPattern(
                Sentence(
                    "The word %(word)s cannot be kept: it needs from 2 to %(most)s characters.",
                    word=repr(word),
                    most=LONGEST_WORD,
                )
            )
    for pattern in (*own.patterns, *([own.mrn] if own.mrn else [])):
        check_pattern(pattern)


def check_pattern(pattern: str) -> None:
    """Raise BadPattern for a pattern that cannot be kept."""
    if not pattern or len(pattern) > LONGEST_PATTERN:
        raise BadPattern(Sentence("A pattern needs from 1 to %(most)s characters.", most=LONGEST_PATTERN))
    try:
        compiled = _compiled(pattern)
    except re2.error as error:
        said = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else str(error)
        raise BadPattern(
            Sentence(
                "The pattern %(pattern)s cannot be kept: %(said)s. Patterns are in RE2 syntax, without look-around and"
                " back references.",
                pattern=repr(pattern),
                said=said,
            )
        ) from None
    if compiled.search("") or compiled.search(ORDINARY):
        raise BadPattern(
            Sentence("The pattern %(pattern)s cannot be kept: it finds something in every mail.", pattern=repr(pattern))
        )


def record_numbers(own: Own, reading: Reading) -> Iterator[Span]:
    """Yield what fits the organisation's own form of a record number, as a whole word."""
    if own.mrn:
        for start, end in _found(_compiled(own.mrn), reading.text):
            if _is_whole(reading.text, start, end):
                yield start, end


def words(own: Own, reading: Reading) -> Iterator[Span]:
    """Yield the organisation's words, as whole words, whatever their case and the blanks between them."""
    if own.words:
        for start, end in _found(_listed(own.words), reading.text):
            if _is_whole(reading.text, start, end):
                yield start, end


def patterns(own: Own, reading: Reading) -> Iterator[Span]:
    """Yield matches of the organisation's patterns."""
    for each in own.patterns:
        yield from _found(_compiled(each), reading.text)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> Any:
    return linear(pattern)


@lru_cache(maxsize=64)
def _listed(listed: Sequence[str]) -> Any:
    each = (r"\s+".join(map(re2.escape, plain_form(word).split())) for word in listed)
    return linear("|".join(each), longest_match=True, case_sensitive=False)


def _found(compiled: Any, text: str) -> Iterator[Span]:
    yield from (found.span() for found in compiled.finditer(text) if found.end() > found.start())


def _is_whole(text: str, start: int, end: int) -> bool:
    return not (text[start - 1 : start].isalnum() and start) and not text[end : end + 1].isalnum()

"""What does a detector read? Text in one form, and what stands around a place in it.

People write one number in many ways: full-width digits, hyphens that do not break, blanks of no width. `Reading` brings
them into one form first. Every question about the surroundings looks at a bounded window, so that detecting takes time
in proportion to the text, whatever is in it.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from functools import cached_property
from typing import Any

import re2

BLANKS = dict.fromkeys(
    map(ord, "\u00a0\u1680\u2800\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"),
    " ",
)
DASHES = dict.fromkeys(map(ord, "\u02d7\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u2212\ufe58\ufe63\uff0d"), "-")
# Controls, soft hyphens, joiners, direction marks, fillers, tags: what a reader does not see does not part a number.
_UNSEEN = (
    (0x00, 0x08), (0x0E, 0x1F), (0x7F, 0x84), (0x86, 0x9F), (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C),
    (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F),
    (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF9, 0xFFFB), (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
NOTHING: dict[int, None] = dict.fromkeys(code for first, last in _UNSEEN for code in range(first, last + 1))
LINE_ENDS = {0x0D: "\n", 0x0B: "\n", 0x0C: "\n", 0x85: "\n", 0x2028: "\n", 0x2029: "\n"}
_FORMS: dict[int, str | None] = {**NOTHING, **BLANKS, **DASHES, **LINE_ENDS}
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f]")
_FOREIGN_DIGIT = re.compile(r"(?![0-9])\d")
# Lines through and below digits, and the frames of emoji keys; other marks make letters.
_MARKED = re.compile("(?<=[0-9-])[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]+")
_CELLS = re.compile(r"\t|  |[|;,]")
_LINK = re.compile(r"(?:://|@|www\.|\.(?:com|org|net|gov|edu)\b)", re.IGNORECASE)
MEMORY = 8 << 20  # octets of an automaton
_SENTENCE = re.compile(r"[.!?][\"')]?\s+(?=[A-Z])|\n")
TABLE = 2000  # lines of a table that its heading speaks for
TOKEN = 200  # characters to either side that belong to one word at most
HEADING = 400  # characters of a heading that are read


def plain_form(text: str) -> str:
    """Return *text* with one form for each blank, dash, digit and line end, and without what cannot be seen."""
    text = text.replace("\r\n", "\n")
    if text.isascii():
        text = text.replace("\r", "\n").replace("\x0b", "\n").replace("\x0c", "\n")
        return _CONTROL.sub("", text) if _CONTROL.search(text) else text
    text = unicodedata.normalize("NFKC", text.translate(_FORMS)).translate(_FORMS)
    return _MARKED.sub("", _FOREIGN_DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), text))


def context(words: str) -> Any:
    """Return a pattern for the surroundings of a match, whatever the case; RE2, since each match asks several."""
    return linear(f"(?m){words}", case_sensitive=False)


def linear(pattern: str, **settings: bool) -> Any:
    """Return a pattern whose search takes time in proportion to the text; raise re2.error for one that has no such."""
    options = re2.Options()
    options.max_mem, options.log_errors = MEMORY, False
    for name, value in settings.items():
        setattr(options, name, value)
    return re2.compile(pattern, options)  # type: ignore[no-untyped-call]


class Reading:
    """One piece of text, as detectors read it."""

    def __init__(self, text: str):
        self.text = plain_form(text)

    def before(self, at: int, most: int) -> str:
        """Return up to *most* characters before a place."""
        return self.text[max(0, at - most) : at]

    def after(self, at: int, most: int) -> str:
        """Return up to *most* characters from a place on."""
        return self.text[at : at + most]

    def sentence(self, at: int, most: int) -> str:
        """Return what stands before a place in its own sentence, up to *most* characters."""
        before = self.before(at, most)
        ends = list(_SENTENCE.finditer(before))
        return before[ends[-1].end() :] if ends else before

    def around(self, start: int, end: int, before: int, after: int) -> str:
        """Return what stands before and behind a match, a line's end in its place, and the heading of its table."""
        return f"{self.before(start, before)}\n{self.after(end, after)}\n{self.heading(start)}"

    def is_in_link(self, start: int, end: int) -> bool:
        """Say whether a match is part of a link or an address rather than of a sentence."""
        before, after = self.before(start, TOKEN), self.after(end, TOKEN)
        word = f"x{before}".split()[-1] if before[-1:].strip() else ""
        rest = f"{after}x".split()[0] if after[:1].strip() else ""
        return bool(_LINK.search(word) or _LINK.search(rest))

    def heading(self, at: int) -> str:
        """Return the first line of the table that a place stands in, "" where there is none."""
        line = bisect_right(self._starts, at) - 1
        first = self._tables[line]
        return "" if first == line else self._line(first)[:HEADING]

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(found.end() for found in re.finditer("\n", self.text))]

    @cached_property
    def _tables(self) -> list[int]:
        """Return for each line the first line of the table it belongs to; that of a line of prose is itself."""
        first, tables = -1, []
        for number in range(len(self._starts)):
            if _CELLS.search(self._line(number)) is None:
                first = -1
            elif first < 0 or number - first > TABLE:
                first = number
            tables.append(number if first < 0 else first)
        return tables

    def _line(self, number: int) -> str:
        start = self._starts[number]
        end = self._starts[number + 1] if number + 1 < len(self._starts) else len(self.text)
        return self.text[start:end]

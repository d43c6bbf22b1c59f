"""Which octets of a file does a request want? RFC 9110 §14: one range of octets, or all of it.

A program that goes on with a download asks for the rest by `Range`, and says by `If-Range` of which file: where that
is another one now, it gets all of it. What is written wrongly, or asks for several ranges at once, is answered as if
nothing had been asked (§14.2 allows both), so that nobody makes us send many small pieces.
"""

from __future__ import annotations

import re
from typing import NamedTuple

LONGEST = 100  # characters of a header that are read; a range of any file here is shorter

_ONE = re.compile(r"[ \t]*bytes[ \t]*=[ \t]*(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))[ \t]*", re.IGNORECASE)


class Range(NamedTuple):
    """Octets from `start` up to, and not with, `end`."""

    start: int
    end: int

    def told(self, size: int) -> str:
        """Return what Content-Range says of this range of *size* octets (§14.4)."""
        return f"bytes {self.start}-{self.end - 1}/{size}"


class Unsatisfiable(Exception):
    """The range begins behind the last octet: the answer is 416, with the size."""


def wanted(asked: str | None, size: int, *, if_range: str | None = None, tag: str = "") -> Range | None:
    """
    Return the range of *size* octets that Range header *asked* for; None for all of them.

    *tag* is the file's strong entity tag in its quotes. An *if_range* that is not the same tag means all of the file;
    weak tags and dates never match (§13.1.5), since a file here has no date. Raises Unsatisfiable.
    """
    if asked is None or len(asked) > LONGEST or (if_range is not None and if_range.strip() != tag):
        return None
    found = _ONE.fullmatch(asked)
    if found is None:
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        if int(suffix) == 0 or size == 0:
            raise Unsatisfiable
        return Range(max(0, size - int(suffix)), size)
    if last and int(last) < int(first):
        return None  # §14.1.1: no range at all, so it is ignored
    if int(first) >= size:
        raise Unsatisfiable
    return Range(int(first), min(int(last) + 1, size) if last else size)

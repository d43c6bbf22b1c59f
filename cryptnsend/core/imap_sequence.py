"""Which messages does a sequence set name? RFC 3501 §9 (sequence-set), RFC 5182 ("$").

The set stays as it was sent until the size of the mailbox is known; what it costs depends on how it was written, never
on how many messages it spans.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from cryptnsend.core.imap_text import BadCommand

LARGEST = 2**32 - 1
STAR = 0  # stands for "*", the largest number in use
_RANGE = re.compile(rb"(?:([1-9][0-9]{0,9})|(\*))(?::(?:([1-9][0-9]{0,9})|(\*)))?")


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """Ranges as sent, either end first, STAR where "*" stood; *saved* if it is "$", the last SEARCH's result."""

    ranges: tuple[tuple[int, int], ...] = ()
    saved: bool = False

    def spans(self, largest: int) -> list[tuple[int, int]]:
        """
        Return the ranges in ascending order, merged, with "*" as *largest*, the largest number in use.

        Numbers beyond *largest* stay in: a UID set may name them, and the caller skips what does not exist. In an
        empty mailbox (*largest* 0) a range with "*" names nothing.
        """
        found: list[tuple[int, int]] = []
        resolved = ((low or largest, high or largest) for low, high in self.ranges)
        for low, high in sorted((min(span), max(span)) for span in resolved if all(span)):
            if found and low <= found[-1][1] + 1:
                found[-1] = (found[-1][0], max(found[-1][1], high))
            else:
                found.append((low, high))
        return found

    def has(self, number: int, largest: int) -> bool:
        """Say whether *number* is in the set; for many numbers take `spans` once."""
        return any(low <= number <= high for low, high in self.spans(largest))


def parse_set(octets: bytes) -> SequenceSet:
    """Read a sequence set like 1:4,7,9:* or $; raise BadCommand for what is none."""
    if octets == b"$":
        return SequenceSet(saved=True)
    ranges = []
    for item in octets.split(b","):
        match = _RANGE.fullmatch(item)
        if match is None:
            raise BadCommand("A set of messages has the form 1:4,7,9:*.")
        low = int(match[1] or STAR)
        high = int(match[3] or STAR) if match[3] or match[4] else low
        if max(low, high) > LARGEST:
            raise BadCommand(f"Message numbers end at {LARGEST}.")
        ranges.append((low, high))
    return SequenceSet(tuple(ranges))


def format_set(numbers: Iterable[int]) -> bytes:
    """Return numbers in their order as a set, neighbours that ascend joined into ranges; b"" for none."""
    pieces: list[bytes] = []
    low = high = 0
    for number in numbers:
        if low and number == high + 1:
            high = number
            continue
        if low:
            pieces.append(_piece(low, high))
        low = high = number
    if low:
        pieces.append(_piece(low, high))
    return b",".join(pieces)


def _piece(low: int, high: int) -> bytes:
    return b"%d" % low if low == high else b"%d:%d" % (low, high)

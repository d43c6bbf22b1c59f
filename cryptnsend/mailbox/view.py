"""What does a program that has selected a mailbox believe to be there? Sequence numbers over UIDs (RFC 9051 §2.3.1.2).

Four octets a message. The view changes only by what the program was told, so that its numbers and ours are the same.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

from cryptnsend.core.imap import SequenceSet
from cryptnsend.flow.mailboxes import FLAGS, Changes
from cryptnsend.store.records.mailboxes import Mailbox
from cryptnsend.store.records.placements import Marks, Placed
from cryptnsend.store.records.serving import Standing

SYSTEM = (("\\Answered", 2), ("\\Flagged", 4), ("\\Deleted", 8), ("\\Seen", 1), ("\\Draft", 16))
assert dict(FLAGS) == {name.casefold(): bit for name, bit in SYSTEM}  # noqa: S101 - one table, written twice


def flag_names(placed: Placed | Standing | Marks) -> list[str]:
    """Return the flags and keywords of a message."""
    names = [name for name, bit in SYSTEM if placed.flags & bit]
    return names + placed.keywords.split() if placed.keywords else names


_TEXTS = [f"({' '.join(name for name, bit in SYSTEM if bits & bit)})".encode() for bits in range(32)]


def flags_text(placed: Placed | Standing | Marks) -> bytes:
    """Return FLAGS as a response has them, with the parentheses."""
    if placed.keywords:
        return f"({' '.join(flag_names(placed))})".encode("ascii", "replace")
    return _TEXTS[placed.flags & 31]


class View:
    """A selected mailbox."""

    def __init__(self, box: Mailbox, uids: Iterable[int], *, read_only: bool):
        self.box, self.read_only = box, read_only
        self.uids = array("I", uids)
        self.modseq = box.modseq  # everything up to it was told
        self.told: dict[int, int] = {}  # uid → sequence of a change that this connection made and knows of
        self.gone: set[int] = set()  # taken away, but not told yet
        self.saved: Sequence[int] = ()  # what "$" stands for (RFC 5182)

    @property
    def exists(self) -> int:
        """Return how many messages there are."""
        return len(self.uids)

    @property
    def largest(self) -> int:
        """Return the largest UID, 0 in an empty mailbox."""
        return self.uids[-1] if self.uids else 0

    def number(self, uid: int) -> int:
        """Return the sequence number of a UID, 0 if it is not here."""
        at = bisect_left(self.uids, uid)
        return at + 1 if at < len(self.uids) and self.uids[at] == uid else 0

    def numbers(self, uids: array[int]) -> dict[int, int]:
        """Return the sequence numbers of UIDs, which come in their order; of those that are here."""
        first = self.number(uids[0])
        if first and self.uids[first - 1 : first - 1 + len(uids)] == uids:
            return dict(zip(uids, range(first, first + len(uids)), strict=True))
        return {uid: number for uid in uids if (number := self.number(uid))}

    def named(self, messages: SequenceSet, *, by_uid: bool) -> array[int]:
        """Return the UIDs that a set names, ascending. Numbers beyond the last are passed over, as elsewhere."""
        if messages.saved:
            return array("I", (uid for uid in self.saved if self.number(uid)))
        found = array("I")
        for low, high in messages.spans(self.largest if by_uid else self.exists):
            if by_uid:
                found.extend(self.uids[bisect_left(self.uids, low) : bisect_right(self.uids, high)])
            else:
                found.extend(self.uids[low - 1 : high])
        return found

    def take_in(self, changes: Changes, *, may_expunge: bool) -> Iterator[tuple[str, int, Placed | None]]:
        """
        Yield what the program has to be told, in order: ("EXPUNGE", number), ("EXISTS", count), ("FETCH", number, row).

        Without *may_expunge* what is gone stays in the count until it may be told (RFC 9051 §7.5.1).
        """
        self.gone.update(uid for uid in changes.expunged if self.number(uid))
        if may_expunge and self.gone:
            for uid in sorted(self.gone, reverse=True):
                number = self.number(uid)
                if number:
                    del self.uids[number - 1]
                    yield "EXPUNGE", number, None
            self.gone.clear()
        largest = self.largest
        new = [each.uid for each in changes.changed if each.uid > largest]
        if new:
            self.uids.extend(new)
            yield "EXISTS", len(self.uids), None
        for each in changes.changed:
            if each.uid <= largest and self.told.get(each.uid) != each.modseq and (number := self.number(each.uid)):
                yield "FETCH", number, each
        self.modseq, self.box = max(self.modseq, changes.box.modseq), changes.box
        self.told.clear()

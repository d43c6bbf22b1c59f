"""What of an answer is kept while a connection lasts? Finished pieces of lists, so that asking again costs little.

Some programs ask for the same list whenever a folder is opened. What a message says of itself never changes under its
UID, so that opening its index a second time can bring nothing new; whether it may still be shown is asked of the store
each time (mailbox/fetch.py). Pieces lie together by the page of UIDs, compressed. They are clear content: they are gone
with their connection, and how much all connections keep together has a limit.
"""

from __future__ import annotations

import threading
import zlib
from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from itertools import pairwise
from typing import NamedTuple

PAGE = 256  # UIDs
MOST = 16 * 1024 * 1024  # octets of all connections of a process
MOST_OF_ONE = 6 * 1024 * 1024  # octets of one connection
_OVERHEAD = 400  # octets that a page takes besides its content
_LEVEL = 1  # lists are so alike that more brings nothing


class _Kept(NamedTuple):
    """Pieces of messages of one page; piece *n* ends where *ends* says, and begins where the one before it ends."""

    uids: array[int]
    ends: array[int]
    octets: bytes  # compressed

    @property
    def size(self) -> int:
        return len(self.octets) + 8 * len(self.uids) + _OVERHEAD


class Room:
    """How much all connections of a process keep; who asked the longest ago makes room for others. Thread-safe."""

    def __init__(self, most: int = MOST):
        self._most, self._used = most, 0
        self._lock = threading.Lock()
        self._owners: OrderedDict[Finished, int] = OrderedDict()  # octets of each, the longest unused first

    @property
    def used(self) -> int:
        """Return how many octets are kept."""
        return self._used

    def get(self, owner: Finished, place: Hashable) -> _Kept | None:
        """Return what *owner* keeps in a place."""
        with self._lock:
            if owner in self._owners:
                self._owners.move_to_end(owner)
            return owner.pages.get(place)

    def put(self, owner: Finished, place: Hashable, kept: _Kept) -> None:
        """Keep something for *owner*, if there is or can be room for it."""
        with self._lock:
            self._take_away(owner, place)
            size = kept.size
            # A list that is longer than there is room for keeps its beginning: going round, nothing would be there.
            if self._owners.get(owner, 0) + size > min(MOST_OF_ONE, self._most):
                return
            while self._used + size > self._most:
                oldest = next(each for each in self._owners if each is not owner)
                self._forget(oldest)
            owner.pages[place] = kept
            self._owners[owner] = self._owners.get(owner, 0) + size
            self._owners.move_to_end(owner)
            self._used += size

    def drop(self, owner: Finished, place: Hashable) -> None:
        """Let go of what is kept in a place."""
        with self._lock:
            self._take_away(owner, place)

    def forget(self, owner: Finished) -> None:
        """Let go of all that *owner* keeps."""
        with self._lock:
            self._forget(owner)

    def _take_away(self, owner: Finished, place: Hashable) -> None:
        kept = owner.pages.pop(place, None)
        if kept is not None:
            self._owners[owner] -= kept.size
            self._used -= kept.size

    def _forget(self, owner: Finished) -> None:
        owner.pages.clear()
        self._used -= self._owners.pop(owner, 0)


class Finished:
    """The finished pieces of one connection."""

    def __init__(self, room: Room):
        self._room = room
        self.pages: dict[Hashable, _Kept] = {}  # the room's to change

    def get(self, place: Hashable, uids: Sequence[int]) -> dict[int, bytes] | None:
        """Return the pieces of these messages, which all lie in one page; None unless all are there."""
        kept = self._room.get(self, place)
        if kept is None:
            return None
        known, ends = kept.uids, kept.ends
        whole = zlib.decompress(kept.octets)
        if known == uids:
            return {uid: whole[start:end] for uid, (start, end) in zip(known, pairwise((0, *ends)), strict=True)}
        found = {}
        for uid in uids:
            at = bisect_left(known, uid)
            if at == len(known) or known[at] != uid:
                return None
            found[uid] = whole[ends[at - 1] if at else 0 : ends[at]]
        return found

    def put(self, place: Hashable, uids: Sequence[int], pieces: Sequence[bytes]) -> None:
        """Keep the pieces of these messages, UIDs ascending."""
        ends, end = array("I"), 0
        for piece in pieces:
            end += len(piece)
            ends.append(end)
        self._room.put(self, place, _Kept(array("I", uids), ends, zlib.compress(b"".join(pieces), _LEVEL)))

    def drop(self, place: Hashable) -> None:
        """Let go of what is kept in a place: something of it may not be shown any more."""
        self._room.drop(self, place)

    def forget(self) -> None:
        """Let go of everything: the connection is over."""
        self._room.forget(self)

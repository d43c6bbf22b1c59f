"""Which messages does a SEARCH find? Rows first, then indexes of what is left, and bodies last (RFC 9051 §6.4.4).

Bodies are opened for the text of a message only. That is capped by count and by time, and a search that reaches the cap
says so instead of finding a part: an empty answer must mean that there is nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cryptnsend.core import imap
from cryptnsend.core.contracts import Clock
from cryptnsend.flow.placing import Between
from cryptnsend.flow.serving import Held
from cryptnsend.flow.sessions import Session
from cryptnsend.mailbox.connection import Rooms
from cryptnsend.mailbox.limits import Limits
from cryptnsend.mailbox.view import View, flag_names
from cryptnsend.store.records.placements import Placed

CHUNK = 200
TEXT = 1024 * 1024  # octets of each text part that are looked through


class One:
    """A message that is asked about; see `core.imap_match.Candidate`."""

    def __init__(self, row: Placed, number: int, held: Held | None):
        self.row, self._held = row, held
        self.number = number
        self.flags = frozenset(each.casefold() for each in flag_names(row))

    @property
    def uid(self) -> int:
        return self.row.uid

    @property
    def arrived(self) -> int:
        return self.row.received

    @property
    def size(self) -> int:
        return self.row.size

    @property
    def modseq(self) -> int:
        return self.row.modseq

    def header(self) -> bytes:
        return self._held.view.header() if self._held else b""

    def texts(self) -> Iterable[str]:
        return self._held.view.texts(TEXT) if self._held else ()


class Searching:
    """One SEARCH command on a selected mailbox; runs in a thread."""

    def __init__(self, rooms: Rooms, session: Session, view: View, key: imap.SearchKey, limits: Limits, clock: Clock):
        self._rooms, self._session, self._view, self._key = rooms, session, view, key
        self._limits, self._clock = limits, clock
        self.highest = 0  # the highest modification sequence of what was found

    def find(self, between: Between) -> list[int]:
        """
        Return the UIDs that fit; raise BadCommand, a NO, if that would take too long.

        *between* is called now and then with how many were looked at; what it raises ends the search.
        """
        view = self._view
        by_row, by_index, by_body = (self._test(step) for step in (imap.Need.ROW, imap.Need.INDEX, imap.Need.BODY))
        needed = imap.need(self._key)
        opens = needed > imap.Need.INDEX
        until = self._clock.monotonic() + (
            self._limits.search_seconds if opens else self._limits.search_headers_seconds
        )
        found: list[int] = []
        opened = 0
        for start in range(0, view.exists, CHUNK):
            between(start)
            uids = view.uids[start : start + CHUNK]
            rows = self._rooms.boxes.rows(view.box, uids[0], uids[-1])
            ones = [One(row, number, None) for row in rows if (number := view.number(row.uid))]
            ones = [one for one in ones if by_row(one)]
            if needed > imap.Need.ROW and ones:
                held = self._rooms.shelf.held(self._session, view.box, [one.row for one in ones])
                ones = [One(one.row, one.number, held.get(one.uid)) for one in ones]
                ones = [one for one in ones if by_index(one)]
            if opens:
                opened += len(ones)
                ones = self._by_body(ones, by_body, opened, until)
            if self._clock.monotonic() > until:
                raise _too_much()
            found += [one.uid for one in ones]
            self.highest = max([self.highest, *(one.modseq for one in ones)])
        if opened:
            self._rooms.shelf.note_searched(self._session, opened)
        return found

    def _test(self, step: imap.Need) -> Callable[[One], bool]:
        view = self._view
        key = imap.weaken(self._key, step)
        return imap.matcher(key, exists=view.exists, largest_uid=view.largest, saved=view.saved)

    def _by_body(self, ones: list[One], test: Callable[[One], bool], opened: int, until: float) -> list[One]:
        if opened > self._limits.search_bodies:
            raise _too_much()
        left = []
        for one in ones:
            if self._clock.monotonic() > until:
                raise _too_much()
            if test(one):
                left.append(one)
        return left


def _too_much() -> imap.BadCommand:
    text = "This search would open too many messages. Narrow it down, by a date or a sender."
    return imap.BadCommand(text, status="NO", code=b"LIMIT")

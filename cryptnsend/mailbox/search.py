"""Which messages does a SEARCH find? Rows first, then indexes of what is left, and bodies last (RFC 9051 §6.4.4).

Bodies are opened for the text of a message only. That is capped by count and by time, and a search that reaches the cap
says so instead of finding a part: an empty answer must mean that there is nothing.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence

from cryptnsend.core import imap
from cryptnsend.core.contracts import Clock
from cryptnsend.core.mime_index import ImapText
from cryptnsend.flow.placing import Between
from cryptnsend.flow.serving import Held
from cryptnsend.flow.sessions import Session
from cryptnsend.mailbox.connection import Rooms
from cryptnsend.mailbox.limits import Limits
from cryptnsend.mailbox.view import View, flag_names
from cryptnsend.store.records.placements import Placed

CHUNK = 200
WITH_BODY = 50  # messages that are brought at once with their content
TEXT = 1024 * 1024  # octets of each text part that are looked through


class One:
    """A message that is asked about; see `core.imap_match.Candidate`."""

    __slots__ = ("_hurry", "flags", "number", "row", "shown")

    def __init__(self, row: Placed, number: int, hurry: Callable[[], None]):
        self.row, self.number, self.flags = row, number, _flags(row)
        self._hurry = hurry  # raises once the search has taken too long: hundreds of keys can ask about one long text
        self.shown: ImapText | Held | None = None  # what is known of it besides; None of what does not open

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
        self._hurry()
        shown = self.shown
        return shown.view.header() if isinstance(shown, Held) else shown.header if shown is not None else b""

    def texts(self) -> Iterator[str]:
        for text in self.shown.view.texts(TEXT) if isinstance(self.shown, Held) else ():
            self._hurry()
            yield text


class Searching:
    """One SEARCH command on a selected mailbox; runs in a thread."""

    def __init__(self, rooms: Rooms, session: Session, view: View, key: imap.SearchKey, limits: Limits, clock: Clock):
        self._rooms, self._session, self._view, self._key = rooms, session, view, key
        self._limits, self._clock = limits, clock
        self._opened = 0  # messages whose text was looked through
        self.highest = 0  # the highest modification sequence of what was found

    def find(self, between: Between) -> list[int]:
        """
        Return the UIDs that fit; raise BadCommand, a NO, if that would take too long.

        *between* is called now and then with how many were looked at; what it raises ends the search.
        """
        view = self._view
        row_key, index_key = (imap.weaken(self._key, step) for step in (imap.Need.ROW, imap.Need.INDEX))
        by_row, by_index, by_body = (self._test(key) for key in (row_key, index_key, self._key))
        opens = imap.need(self._key) > imap.Need.INDEX
        until = self._clock.monotonic() + (
            self._limits.search_seconds if opens else self._limits.search_headers_seconds
        )

        def hurry() -> None:
            if self._clock.monotonic() > until:
                raise _too_much()

        found: list[int] = []
        try:
            for start in range(0, view.exists, CHUNK):
                between(start)
                uids = view.uids[start : start + CHUNK]
                numbers = view.numbers(uids)
                rows = self._rooms.boxes.rows(view.box, uids[0], uids[-1])
                ones = [One(row, numbers[row.uid], hurry) for row in rows if row.uid in numbers]
                ones = [one for one in ones if by_row(one)]
                if ones and index_key != row_key:
                    ones = [one for one in self._with_header(ones) if by_index(one)]
                if opens:
                    ones = self._by_body(ones, by_body, hurry)
                hurry()
                found += [one.uid for one in ones]
                self.highest = max([self.highest, *(one.modseq for one in ones)])
        finally:  # what was opened stands in the trail, also where the search was given up
            if self._opened:
                self._rooms.shelf.note_searched(self._session, self._opened)
        return found

    def _test(self, key: imap.SearchKey) -> Callable[[One], bool]:
        view = self._view
        return imap.matcher(key, exists=view.exists, largest_uid=view.largest, saved=view.saved)

    def _with_header(self, ones: Sequence[One]) -> Iterator[One]:
        """Yield the same with their finished texts, as far as they are still there."""
        asked = {one.uid: one for one in ones}
        for row, shown in self._rooms.shelf.finished(self._session, self._view.box, array("I", asked)):
            one = asked[row.uid]
            one.shown = shown
            yield one

    def _by_body(self, ones: list[One], test: Callable[[One], bool], hurry: Callable[[], None]) -> list[One]:
        if self._opened + len(ones) > self._limits.search_bodies:
            raise _too_much()
        left = []
        for start in range(0, len(ones), WITH_BODY):
            several = ones[start : start + WITH_BODY]
            self._opened += len(several)
            held = self._rooms.shelf.held(self._session, self._view.box, [one.row for one in several], whole=True)
            for one in several:
                hurry()
                one.shown = held.get(one.uid)
                if test(one):
                    left.append(one)
                one.shown = None  # or as many messages would be held as fit
        return left


def _flags(row: Placed) -> frozenset[str]:
    """Return flags and keywords, case-folded."""
    return _folded(flag_names(row)) if row.keywords else _SYSTEM[row.flags & 31]


def _folded(names: Iterable[str]) -> frozenset[str]:
    return frozenset(each.casefold() for each in names)


_SYSTEM = [_folded(flag_names(Placed(0, 0, "", "", 0, bits, "", 0, 0))) for bits in range(32)]


def _too_much() -> imap.BadCommand:
    text = "This search would open too many messages. Narrow it down, by a date or a sender."
    return imap.BadCommand(text, status="NO", code=b"LIMIT")

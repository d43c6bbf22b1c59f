"""What has somebody received? The list, what is unread in it, one line of it, and words looked for in all of it.

Indexes are opened for that, never bodies.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import structlog

from cryptnsend.core.contracts import Row
from cryptnsend.core.errors import NoGrant, SealBroken
from cryptnsend.core.model import account_holder
from cryptnsend.core.subject import peel
from cryptnsend.flow import searching
from cryptnsend.flow.adoption import NEWEST
from cryptnsend.flow.arrival import is_over, sender_name
from cryptnsend.flow.asking import Asking
from cryptnsend.flow.holdings import held, places
from cryptnsend.flow.opening import NOTHING, Opener
from cryptnsend.flow.rendering import files_of
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.views import Entry
from cryptnsend.store.records import folders, grants, listing

PAGE = 100  # messages looked up at once, where all are
MOST_UNREAD, AMONG = 100, 400  # that are counted, among so many of the newest: every page of the menu asks

log = structlog.stdlib.get_logger(__name__)


class Received(Asking):
    """Own messages, in lines. Shared by all requests of a process."""

    _opener: Opener  # that Pickup is made with

    def list(
        self, session: Session, before: int | None = None, limit: int = 50, *, unread: bool = False
    ) -> Sequence[Entry]:
        """
        Return a page of own messages, newest first, older than the message *before*; opens indexes, never bodies.

        *unread*: only those that were not seen, here or in a mail program.
        """
        older = NEWEST if before is None else before
        where = places(self._engine, session.account, session.addresses)
        now = self._clock.now()
        pages = [
            grants.page(
                self._engine, each.holder, "recipient", older, limit, each.contact, now, session.account,
                session.account if unread else None,
            )
            for each in where
        ]  # fmt: skip
        entries: dict[int, Row] = {}
        for row in heapq.merge(*pages, key=lambda each: -int(each["message"])):
            entries.setdefault(row["message"], row)  # of two ways to one message the account's own comes first
        unseen = folders.unseen(self._engine, session.account, [*entries][:limit])
        return [self._entry(session, row, unseen.get(row["message"])) for row in [*entries.values()][:limit]]

    def unread(self, session: Session) -> int:
        """Return how many of the newest messages can be read and were not, `MOST_UNREAD` at most; opens nothing."""
        found: set[int] = set()
        now = self._clock.now()
        for each in places(self._engine, session.account, session.addresses):
            after = grants.nth_newest(self._engine, each.holder, "recipient", AMONG)
            rows = grants.page(
                self._engine, each.holder, "recipient", NEWEST, MOST_UNREAD, each.contact, now, session.account,
                session.account, after,
            )  # fmt: skip
            found |= {row["message"] for row in rows if self._reachable(session, row) != "locked"}
        return min(len(found), MOST_UNREAD)

    def entry(self, session: Session, message: int) -> Entry | None:
        """Return the line that one received message has in a list, wherever it lies; None for what is not theirs."""
        now, where = self._clock.now(), places(self._engine, session.account, session.addresses)
        rows = [row for row in held(self._engine, where, message) if row["role"] == "recipient"]
        started = [row for row in rows if row["starts"] is None or row["starts"] <= now]
        unseen = folders.unseen(self._engine, session.account, [message])
        return self._entry(session, started[0], unseen.get(message)) if started else None

    def search(self, session: Session, typed: str) -> searching.Found:
        """Return own received messages that have all words of *typed*, as `flow.searching` looks for them."""
        words, until = searching.wanted(typed), self._clock.monotonic() + searching.SECONDS
        found: list[Entry] = []
        looked_at, older = 0, NEWEST
        where = places(self._engine, session.account, session.addresses)
        while words and looked_at < searching.MOST and self._clock.monotonic() < until:
            now = self._clock.now()
            pages = [
                grants.page(self._engine, each.holder, "recipient", older, PAGE, each.contact, now) for each in where
            ]
            rows: dict[int, Row] = {}
            for row in heapq.merge(*pages, key=lambda each: -int(each["message"])):
                rows.setdefault(row["message"], row)
            if not rows:
                return searching.Found(found, looked_at, all=True)
            for row in [*rows.values()][:PAGE]:
                older, looked_at = row["message"], looked_at + 1
                if self._has(session, row, words):
                    found.append(self._entry(session, row))
                    if len(found) == searching.SHOWN:
                        return searching.Found(found, looked_at, all=False)
        return searching.Found(found, looked_at, all=False)

    def _has(self, session: Session, row: Row, words: Sequence[str]) -> bool:
        """Say whether a message has these words; one that is locked tells who wrote it and no more."""
        about = listing.message(self._engine, row["message"])
        texts = [sender_name(about), about["display"]] if about else []
        if about and self._entry_state(session, row, about) == "open":
            try:
                index = self._opener.index(row, self._opener.keys(session, row))
            except SealBroken:
                index = None  # its line in the list says that it is damaged
            texts += searching.texts_of(index) if index else []
        return searching.matches(words, *texts)

    def _entry(self, session: Session, row: Row, unseen: bool | None = None) -> Entry:
        """Return a line of a list; *unseen* is what mail programs say of the message, None where they have none."""
        message = listing.message(self._engine, row["message"])
        if message is None:
            raise NoGrant(NOTHING)
        mine = listing.mine(self._engine, session.account, row["message"])
        state = self._entry_state(session, row, message)
        subject, files = None, 0
        if state == "open":
            subject, files = self._gist(session, row)
        return Entry(
            message=message["id"],
            subject=subject,
            sender_name=sender_name(message),
            sender_address=message["display"],
            at=message["created"],
            opened=bool(mine and mine["first_opened"]) if unseen is None else not unseen,
            state=state,
            attachments=files,
            ends=row["ends"] if row["state"] == "active" else None,
        )

    def _entry_state(self, session: Session, row: Row, message: Row) -> str:
        now = self._clock.now()
        if row["state"] != "active" or (row["ends"] is not None and row["ends"] <= now):
            return "expired" if is_over(message, now) else "suspended"
        return self._reachable(session, row)

    def _reachable(self, session: Session, row: Row) -> str:
        if self._opener.opens(session, row):
            return "open"
        # Pending, or withheld since a reset: the sender's code brings it. What is locked needs an older password.
        # So does what an earlier owner of the address left, whatever the rows say of that account's pairs.
        is_left = row["holder"].startswith("account:") and row["holder"] != account_holder(session.account)
        brought = is_left or row["pair_role"] == "pending" or row["pair_state"] == "withheld"
        return "code" if row["contact"] and brought else "locked"

    def _gist(self, session: Session, row: Row) -> tuple[str, int]:
        """Return subject and number of attachments; a damaged index must not take the list away from its reader."""
        try:
            index = self._opener.index(row, self._opener.keys(session, row))
        except SealBroken:
            log.error("index damaged", message=row["message"], organisation=row["org"])
            return "", 0
        return (peel(index.subject).shown, len(files_of(index))) if index else ("", 0)

"""Which folders does a page share with mail programs? Trash, and what was seen: one state, whoever changed it.

A message thrown away on the page lies in the Trash of every program, and the other way round. What a program removed
from all its mailboxes stands in the Trash of the page, too: nothing is destroyed here, and everything can be put back.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptnsend.core.contracts import Clock, Engine, Rows
from cryptnsend.core.errors import NoGrant
from cryptnsend.flow.adoption import NEWEST
from cryptnsend.flow.mailboxes import Flagging, Mailboxes
from cryptnsend.flow.opening import Opener
from cryptnsend.flow.pickup import Pickup
from cryptnsend.flow.placing import Placer
from cryptnsend.flow.sent import Sent
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.views import Thrown
from cryptnsend.store.records import folders, placements
from cryptnsend.store.records.mailboxes import Mailbox
from cryptnsend.store.records.placements import Placing

HOME = {"recipient": "INBOX", "author": "Sent"}
UNSEEN = Flagging.of("-", ["\\Seen"])


class Folders:
    """Moves messages for pages. Shared by all requests of a process."""

    def __init__(
        self,
        *,
        engine: Engine,
        boxes: Mailboxes,
        placer: Placer,
        pickup: Pickup,
        sent: Sent,
        opener: Opener,
        clock: Clock,
    ):
        self._engine, self._boxes, self._placer, self._clock = engine, boxes, placer, clock
        self._pickup, self._sent, self._opener = pickup, sent, opener

    def is_thrown_away(self, session: Session, message: int, role: str = "recipient") -> bool:
        """Say whether a message lies in Trash and nowhere else, or in no mailbox by its reader's wish."""
        lies = folders.lying(self._engine, session.account, message, role)
        if lies:
            return all(row["special"] == "trash" for row in lies)
        return folders.is_put_away(self._engine, session.account, message, role)

    def trash(self, session: Session, before: int | None = None, limit: int = 50) -> Sequence[Thrown]:
        """Return a page of what was thrown away, the newest first; what is gone for good is left out."""
        box = self._boxes.named(session, "Trash")
        older = NEWEST if before is None else before
        found = folders.thrown_away(self._engine, session.account, box.id, older, limit)
        lines = [
            Thrown(row["message"], received=self._pickup.entry(session, row["message"]))
            if row["role"] == "recipient"
            else Thrown(row["message"], sent=self._sent.entry(session, row["message"]))
            for row in found
        ]
        return [each for each in lines if each.received is not None or each.sent is not None]

    def throw_away(self, session: Session, message: int, role: str = "recipient") -> None:
        """Put a message into Trash, in every mailbox where it lies; raise NoGrant for what is not theirs."""
        self._check(session, message, role)
        trash = self._boxes.named(session, "Trash")
        self._settle(session, message, role, trash)

    def put_back(self, session: Session, message: int, role: str = "recipient") -> None:
        """Take a message out of Trash, to where messages of its kind are; raise NoGrant for what is not theirs."""
        self._check(session, message, role)
        account = session.account
        self._engine.write(lambda rows: folders.bring(rows, account, message, role)).result()
        self._settle(session, message, role, self._boxes.named(session, HOME[role]))

    def mark_unread(self, session: Session, message: int) -> None:
        """Let a received message stand as unread again, here and in mail programs; its sender knows what they know."""
        self._check(session, message, "recipient")
        if not folders.lying(self._engine, session.account, message, "recipient"):
            self._settle(session, message, "recipient", self._boxes.named(session, "INBOX"))
        boxes = {each.id: each for each in self._boxes.listing(session)}
        for row in folders.lying(self._engine, session.account, message, "recipient"):
            self._boxes.flag(session, boxes[row["mailbox"]], [row["uid"]], UNSEEN)

    def _check(self, session: Session, message: int, role: str) -> None:
        if role == "author":
            self._opener.as_author(session, message)
        elif self._pickup.entry(session, message) is None:
            raise NoGrant("There is nothing here.")

    def _settle(self, session: Session, message: int, role: str, into: Mailbox) -> None:
        """Let a message lie in one mailbox and in no other."""
        boxes = {each.id: each for each in self._boxes.listing(session)}
        lies = folders.lying(self._engine, session.account, message, role)
        if not lies:
            placing = self._placer.placing_of(session, message, role)
            if placing is not None:
                self._engine.write(lambda rows: _place(rows, into, placing)).result()
            return
        for row in lies:
            if row["mailbox"] == into.id:
                continue
            if any(other["mailbox"] == into.id for other in lies):
                self._boxes.take_away(boxes[row["mailbox"]], [row["uid"]], deleted_only=False)
            else:
                self._boxes.move(boxes[row["mailbox"]], [row["uid"]], into)
                lies = [*lies, {**row, "mailbox": into.id}]


def _place(rows: Rows, into: Mailbox, placing: Placing) -> None:
    if not placements.is_placed(rows, into.account, placing.message, placing.role):
        placements.place(rows, into, [placing])

"""What did somebody begin to write in a mail program? Pages list it beside their own drafts, and go on with it.

A mail program keeps its drafts in the mailbox Drafts. Going on with one makes a draft of the pages of it, words, people
and files; what the program filed goes then, as programs themselves replace a draft that they go on with.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from cryptnsend.core.contracts import Engine
from cryptnsend.core.errors import NoGrant, SealBroken
from cryptnsend.flow.adoption import NEWEST
from cryptnsend.flow.drafting import Drafts
from cryptnsend.flow.mailboxes import Mailboxes
from cryptnsend.flow.passing import Passing
from cryptnsend.flow.serving import Shelf
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.views import Begun
from cryptnsend.store.records import mailboxes, placements
from cryptnsend.store.records.mailboxes import Mailbox
from cryptnsend.store.records.placements import DELETED

MOST = 100  # of them are listed

log = structlog.stdlib.get_logger(__name__)


class BegunElsewhere:
    """Finds drafts of mail programs. Shared by all requests of a process."""

    def __init__(self, *, engine: Engine, boxes: Mailboxes, shelf: Shelf, passing: Passing, drafts: Drafts):
        self._engine, self._boxes, self._shelf, self._passing, self._drafts = engine, boxes, shelf, passing, drafts

    def listing(self, session: Session) -> Sequence[Begun]:
        """Return what lies in the mailbox Drafts and opens, the newest first."""
        box = self._box(session)
        found: list[Begun] = []
        for placed in placements.filed_in(self._engine, box, 0, NEWEST, MOST) if box else ():
            if placed.flags & DELETED:
                continue
            try:
                index, _ = self._shelf.brought(session, placed.message)
            except (NoGrant, SealBroken, ValueError) as error:
                log.warning("a filed draft does not open", message=placed.message, why=type(error).__name__)
                continue
            people = tuple(each.name or each.address for each in (*index.to, *index.cc))
            found.append(Begun(placed.message, index.subject, people, placed.received))
        return found

    def take_up(self, session: Session, ident: int) -> int:
        """
        Go on with one on the pages; return the id of the draft it is from now on.

        Raises NoGrant if there is none such, or none that opens, Refusal if it is too large for a draft.
        """
        box = self._box(session)
        uid = placements.where(self._engine, box.id, ident, "filed") if box else None
        if box is None or uid is None:
            raise NoGrant("There is no such draft here.")
        index, raw = self._shelf.brought(session, ident)
        writing, files = self._passing.brought(session, index, raw)
        draft = self._drafts.save(session, writing, files=files)
        self._boxes.take_away(box, [uid], deleted_only=False)
        return draft

    def _box(self, session: Session) -> Mailbox | None:
        return mailboxes.named(self._engine, session.account, "Drafts")

"""How does somebody look at mail that is kept apart for them? As words only, with the reason, and in no other list.

Nobody vouches for such mail, so it is shown without its layout and its pictures, it cannot be answered from here, and
its files come out with the whole mail or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from cryptnsend.core.contracts import Clock, Engine, Row, Rows
from cryptnsend.core.errors import NoGrant, SealBroken
from cryptnsend.core.mime import safe_filename
from cryptnsend.core.model import account_holder
from cryptnsend.flow import saving
from cryptnsend.flow.adoption import NEWEST
from cryptnsend.flow.opening import NOTHING, Opener
from cryptnsend.flow.rendering import render
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.views import KeptMail, Part
from cryptnsend.keeper.client import Keeper
from cryptnsend.store.records import audit, grants, kept, upkeep

log = structlog.stdlib.get_logger(__name__)


class Kept:
    """Mail that is kept apart. Shared by all requests of a process."""

    def __init__(self, engine: Engine, opener: Opener, keeper: Keeper, clock: Clock):
        self._engine, self._opener, self._keeper, self._clock = engine, opener, keeper, clock

    def any(self, session: Session) -> bool:
        """Say whether something is kept for this account."""
        return bool(grants.page(self._engine, account_holder(session.account), "kept", NEWEST, 1))

    def list(self, session: Session, before: int | None = None, limit: int = 50) -> Sequence[KeptMail]:
        """Return a page of what is kept, newest first, older than the mail *before*; opens indexes, never bodies."""
        older = NEWEST if before is None else before
        rows = grants.page(self._engine, account_holder(session.account), "kept", older, limit)
        return [self._entry(session, row) for row in rows]

    def show(self, session: Session, message: int) -> KeptMail:
        """Open one for reading; raise NoGrant where it is not theirs or still locked, SealBroken for damage."""
        row = self._grant(session, message)
        keys = self._opener.keys(session, row)
        rendered = render(self._opener.index(row, keys), self._opener.raw(row, keys))
        entry = self._entry(session, row)
        return KeptMail(
            entry.message, entry.reason, entry.author, entry.at, entry.answered, entry.subject, entry.size,
            rendered.text, len(rendered.files),
        )  # fmt: skip

    def eml(self, session: Session, message: int) -> Part:
        """Return the mail as a file, as it came."""
        row = self._grant(session, message)
        raw = self._opener.raw(row, self._opener.keys(session, row))
        return saving.whole(safe_filename("kept-mail.eml"), raw, [])

    def delete(self, session: Session, message: int) -> None:
        """Throw it away for good. An organisation's archive keeps what it has to."""
        row, now = self._grant(session, message), self._clock.now()
        self._keeper.ended("shred", [row["id"]])

        def write(rows: Rows) -> None:
            if kept.remove(rows, row["org"], message, row["holder"]):
                audit.append(rows, row["org"], now, row["holder"], "message.kept-deleted", str(message), {})
                upkeep.bury(rows, row["org"], message)

        self._engine.write(write).result()

    def _grant(self, session: Session, message: int) -> Row:
        for row in grants.held(self._engine, account_holder(session.account), message):
            if row["role"] == "kept" and row["state"] == "active":
                return row
        raise NoGrant(NOTHING)

    def _entry(self, session: Session, row: Row) -> KeptMail:
        about = kept.one(self._engine, session.account, row["message"])
        if about is None:
            raise NoGrant(NOTHING)
        return KeptMail(
            about["id"], about["reason"], about["author"], about["created"], about["parent"],
            self._subject(session, row), about["size"],
        )  # fmt: skip

    def _subject(self, session: Session, row: Row) -> str | None:
        """Return the subject as its author wrote it; None where it is locked or damaged."""
        if not self._opener.opens(session, row):
            return None
        try:
            index = self._opener.index(row, self._opener.keys(session, row))
        except SealBroken:
            log.error("index damaged", message=row["message"], organisation=row["org"])
            return None
        return index.subject if index else ""

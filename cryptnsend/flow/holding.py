"""What becomes of a mail that was held? Its author chooses: sent encrypted, sent as it is with a reason, thrown away.

Officers see that there is a held mail, whose, since when, and by which rules; what was found only its author sees. The
owner of the home, and time, can have it sent encrypted, which protects it; nobody but the author lets it leave plain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from cryptnsend.core.contracts import Clock, Engine, Row, Rows
from cryptnsend.core.dlp.detect import Finding, Piece, detect
from cryptnsend.core.errors import Denied, NoGrant, Sentence
from cryptnsend.core.model import account_holder
from cryptnsend.core.names import legible
from cryptnsend.core.subject import peel
from cryptnsend.flow.adoption import NEWEST
from cryptnsend.flow.heldmail import findings_of
from cryptnsend.flow.inspecting import job_of
from cryptnsend.flow.opening import NOTHING, Opener
from cryptnsend.flow.policies import Policies
from cryptnsend.flow.sent import Sent
from cryptnsend.flow.sessions import Session
from cryptnsend.keeper.client import Keeper
from cryptnsend.store.records import audit, deliveries, holds
from cryptnsend.store.records.audit import OPERATOR

Choice = Literal["encrypt", "plain", "discard"]
STATES = {"encrypt": "encrypt", "plain": "plain", "discard": "discarded"}
SHORTEST, LONGEST = 5, 300  # characters of a reason


@dataclass(frozen=True, slots=True)
class HeldMessage:
    """A held message as its author sees it; times are UTC milliseconds."""

    message: int
    subject: str
    recipients: Sequence[str]
    found: Sequence[Finding]
    at: int  # when it was held
    until: int
    state: str  # held, or what became of it: encrypt plain discarded
    may_plain: bool  # whether the organisation lets it be sent as it is


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A held message as officers see it: nothing of its content, not even its subject."""

    message: int
    organisation: int  # the author's
    author: str
    recipients: int
    size: int
    rules: Sequence[str]
    at: int
    until: int
    state: str
    decided: int | None
    decided_by: str  # account:<id>, owner, time, or "" while it waits
    reason: str


class Holding:
    """Held messages, for those who decide and those who watch. Shared by all requests of a process."""

    def __init__(
        self,
        *,
        engine: Engine,
        keeper: Keeper,
        opener: Opener,
        sent: Sent,
        policies: Policies,
        clock: Clock,
        wake: Callable[[], None],
    ):
        self._engine, self._keeper, self._opener, self._sent = engine, keeper, opener, sent
        self._policies, self._clock, self._wake = policies, clock, wake

    def show(self, session: Session, message: int) -> HeldMessage:
        """Return a held message of one's own, also after it was decided. Raises NoGrant for everything else."""
        known = self._own(session, message)
        grant = self._opener.as_author(session, message)
        keys = self._opener.keys(session, grant)
        index = self._opener.index(grant, keys)
        waiting = holds.waiting(self._engine, known["org"], message)
        return HeldMessage(
            message=message,
            subject=peel(index.subject).shown if index else "",
            recipients=[row["canonical"] for row in waiting],
            found=findings_of(known, keys[:32]),
            at=known["created"],
            until=known["until"],
            state=known["state"] if waiting or known["state"] != "held" else "discarded",
            may_plain=self._policies.now(known["house"]).dlp_as_is,
        )

    def is_waiting(self, message: int, org: int) -> bool:
        """Say whether a message waits for its author's word."""
        known = holds.of(self._engine, org, message)
        return known is not None and known["state"] == "held"

    def decide(self, session: Session, message: int, choice: Choice, reason: str = "") -> None:
        """
        Do what the author chooses. Raises NoGrant to everybody else, and Denied for a choice that is not theirs.

        A *reason* is needed for sending it as it is. It stands in the audit trail, so that it may say nothing that
        would hold a mail itself.
        """
        known, words = self._own(session, message), legible(reason)
        if choice == "plain":
            held = self._policies.now(known["house"])
            if not held.dlp_as_is:
                raise Denied("Your organisation does not let a held mail leave as it is. Send it encrypted.")
            if not SHORTEST <= len(words) <= LONGEST:
                raise Denied("Say in a few words why it has to leave as it is: from 5 to 300 characters.")
            wanted = job_of(held, "")  # what the mail was looked through for, the organisation's own words as well
            if detect([Piece("reason", words)], wanted.own, wanted.rules):
                raise Denied("Say why without names or numbers of patients: officers read this reason.")
        self._decide(known, choice, account_holder(session.account), words if choice == "plain" else "", {})

    def encrypt(self, message: int, by: dict[str, object]) -> None:
        """Have a held message sent encrypted on the word of the home's owner; *by* says who that is. Raises NoGrant."""
        found = self._listing(None, waiting=True, before=message + 1, limit=1)
        known = holds.of(self._engine, found[0]["org"], message) if found else None
        if known is None:
            raise NoGrant(Sentence("There is no held message %(number)s.", number=message))
        self._decide(known, "encrypt", OPERATOR, "", by)

    def quarantine(
        self, session: Session, *, waiting: bool = True, before: int | None = None, limit: int = 50
    ) -> Sequence[Quarantined]:
        """Return what is held of the mail of an officer's organisation, the newest first. Raises NoGrant to others."""
        if "officer" not in session.roles:
            raise NoGrant("Only officers see what is held.")
        rows = self._listing(session.organisation, waiting=waiting, before=before or NEWEST, limit=limit)
        return [_quarantined(row) for row in rows]

    def all_held(self, house: int | None, *, waiting: bool, limit: int) -> Sequence[Quarantined]:
        """Return what is held of everybody's mail, or of one organisation's, for the owner of the home."""
        return [_quarantined(row) for row in self._listing(house, waiting=waiting, before=NEWEST, limit=limit)]

    def _listing(self, house: int | None, *, waiting: bool, before: int, limit: int) -> list[Row]:
        return holds.listing(self._engine, house, waiting=waiting, before=before, limit=limit)

    def _own(self, session: Session, message: int) -> Row:
        about = self._sent.owned(session, message)
        known = holds.of(self._engine, about["org"], message)
        if known is None or known["state"] == "clear":
            raise NoGrant(NOTHING)
        return known

    def _decide(self, known: Row, choice: Choice, actor: str, reason: str, by: dict[str, object]) -> None:
        now, org, message = self._clock.now(), known["org"], known["message"]
        waiting = [row["id"] for row in holds.waiting(self._engine, org, message)] if choice == "discard" else []
        if waiting and known["state"] == "held":
            self._keeper.ended("cancel", waiting)  # or a backup that comes back would send it after all

        def write(rows: Rows) -> None:
            if not holds.decide(rows, org, message, STATES[choice], actor, reason, now):
                raise Denied("This was decided already.")
            if choice == "discard":
                count = sum(deliveries.drop(rows, each, now) is not None for each in waiting)
            else:
                count = holds.wake(rows, org, message, now)
            detail: dict[str, object] = {**by, "choice": choice, "deliveries": count}
            if reason:
                detail["reason"] = reason
            audit.append(rows, known["house"], now, actor, "hold.decided", str(message), detail)

        self._engine.write(write).result()
        self._wake()


def _quarantined(row: Row) -> Quarantined:
    return Quarantined(
        message=row["message"],
        organisation=row["house"],
        author=row["author"],
        recipients=row["recipients"],
        size=row["size"],
        rules=row["rules"].split(),
        at=row["created"],
        until=row["until"],
        state=row["state"],
        decided=row["decided"],
        decided_by=row["decided_by"],
        reason=row["reason"],
    )

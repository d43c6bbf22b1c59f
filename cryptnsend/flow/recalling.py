"""How does an officer stop a leak? Every message that fits is taken back at once, and it is said who opened it before.

What is taken back is refused from that moment, kept for some days so that it can be undone, then shredded; the archive
keeps it. What left as ordinary mail, or readable, cannot be taken back, and is named as that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cryptnsend.core.contracts import Clock, Engine, Row
from cryptnsend.core.errors import Denied, NoGrant
from cryptnsend.core.names import legible
from cryptnsend.flow.sent import Sent
from cryptnsend.store.records import audit, listing, recall

REASON = 10  # characters at least
PAGE = recall.MOST  # messages looked for at once
EVER = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Leak:
    """Which messages to take back; what is empty counts for nothing. Times are UTC milliseconds."""

    message: int = 0
    author: str = ""
    number: str = ""  # the short one that stands in mails
    since: int = 0
    until: int = EVER

    @property
    def is_any(self) -> bool:
        """Say whether it names anything: by a time alone everything of an organisation would go."""
        return bool(self.message or self.author or self.number or self.since)


@dataclass(frozen=True, slots=True)
class Reach:
    """One recipient of a message that was taken back."""

    address: str
    state: str  # opened, unopened; fetched by a mail program; left as mail that nobody can take back
    opened: int | None = None
    entry: int | None = None  # of the audit trail, which says that it was opened


@dataclass(frozen=True, slots=True)
class Recalled:
    """What came of one message: whom it had reached before it was taken back, and what answers it."""

    message: int
    author: str
    at: int
    entry: int | None  # of the audit trail, which says that it was taken back
    reached: tuple[Reach, ...]
    answers: tuple[Row, ...]

    @property
    def never_opened(self) -> bool:
        """Say whether nobody has read it, as far as this server can know."""
        return all(each.state == "unopened" for each in self.reached)


class Recalling:
    """Takes back over a whole organisation. Shared by all requests of a process."""

    def __init__(self, *, engine: Engine, sent: Sent, clock: Clock):
        self._engine, self._sent, self._clock = engine, sent, clock

    def find(self, org: int, leak: Leak, limit: int = recall.MOST, older: int = EVER) -> list[Row]:
        """
        Return what would be taken back and is older than the message *older*, newest first, *limit* of it at most.

        Raises Denied where the leak names nothing.
        """
        if not leak.is_any:
            raise Denied("Name a message, its number, its author, or since when.")
        return recall.find(
            self._engine,
            org,
            message=leak.message,
            author=leak.author,
            number=leak.number,
            since=leak.since,
            until=leak.until,
            limit=limit,
            older=older,
        )

    def recall(self, org: int, leak: Leak, reason: str, actor: str, by: Mapping[str, object]) -> list[Recalled]:
        """
        Take back everything that fits, and return for each message whom it had reached.

        Raises Denied without a reason, NoGrant where nothing of the organisation fits. Doing it twice changes nothing.
        """
        why = legible(reason)[:300]
        if len(why) < REASON:
            raise Denied("Say in a sentence why it is taken back. It stands in the audit trail.")
        rows: list[Row] = []
        older = EVER
        while page := self.find(org, leak, PAGE, older):  # a page holds so many only; a leak may be more than one
            for row in page:  # first all of them: each is refused from then on
                about = listing.message(self._engine, row["id"])
                if about is not None and about["org"] == org:
                    self._stop(about, actor, {**by, "reason": why, "by": "officer"})
            rows += page
            older = page[-1]["id"]
        if not rows:
            raise NoGrant("The organisation has no such message.")
        return [self.proof(org, row) for row in rows]

    def undo(self, org: int, message: int, actor: str, by: Mapping[str, object]) -> None:
        """Give back what an officer took back, as an officer. Raises NoGrant, and Denied if nothing is left of it."""
        about = listing.message(self._engine, message)
        if about is None or about["org"] != org:
            raise NoGrant("The organisation has no such message.")
        self._sent.give_back(about, None, actor, {**by, "by": "officer"})

    def _stop(self, about: Row, actor: str, by: Mapping[str, object]) -> None:
        """Take a message back, and keep its author from giving it back, also where the author took it back before."""
        self._sent.take_back(about, None, actor, by)
        org, message = about["org"], about["id"]
        if not audit.recalled_by_officer(self._engine, org, message):
            detail = {**by, "grants": 0, "deliveries": 0}
            self._engine.write(
                lambda rows: audit.append(rows, org, self._clock.now(), actor, "grant.suspended", str(message), detail)
            ).result()

    def proof(self, org: int, row: Row) -> Recalled:
        """Return what is known of one message (id, author): who opened it before it was taken back, who never did."""
        events = audit.about(self._engine, org, str(row["id"]))
        taken = [each for each in events if each["action"] == "grant.suspended"]
        at, entry = (taken[-1]["at"], taken[-1]["seq"]) if taken else (self._clock.now(), None)
        openings = {each["actor"]: each["seq"] for each in reversed(events) if each["action"] == "message.opened"}
        reached = []
        for each in listing.reached(self._engine, org, row["id"]):
            is_out = each["decision"] == "relay" or (each["left_as"] == "tls" and each["state"] == "delivered")
            state = "opened" if each["first_opened"] is not None else "left" if is_out else "unopened"
            if state == "unopened" and each["fetched"] is not None:
                state = "fetched"
            holder = f"account:{each['account']}" if each["account"] is not None else ""
            reached.append(Reach(each["canonical"], state, each["first_opened"], openings.get(holder)))
        answers = tuple(recall.answers(self._engine, org, row["id"]))
        return Recalled(row["id"], row["author"], at, entry, tuple(reached), answers)

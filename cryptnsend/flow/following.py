"""What more may an author do about what they sent? Tell its recipients once more, change its end, prove openings.

Everything here is for its author alone, and each act stands in the audit trail.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from cryptnsend.core.contracts import Clock, Engine, Rows
from cryptnsend.core.errors import Denied
from cryptnsend.core.model import Random, account_holder, new_id
from cryptnsend.flow.noting import note_act
from cryptnsend.flow.policies import Policies
from cryptnsend.flow.sent import Sent
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.views import Event, Evidence
from cryptnsend.store.records import audit, grants, listing, messages, reminders

DAY, MINUTE = 86_400_000, 60_000  # milliseconds
PAUSE = 10 * MINUTE  # between two notices to one recipient
MOST = 6  # notices of one message to one recipient
TOO_SOON = "The last notice left a moment ago, or there were many. Wait, or call them."
MARK = 16  # hexadecimal digits of a hash that are shown
UNTOLD = frozenset({"sender.reported"})  # it would name the only recipient; for officers and who runs the server


class Following:
    """Acts on sent messages. Shared by all requests of a process."""

    def __init__(
        self,
        *,
        engine: Engine,
        sent: Sent,
        policies: Policies,
        clock: Clock,
        random: Random,
        wake: Callable[[], None],
    ):
        self._policies = policies
        self._engine, self._sent, self._clock, self._random, self._wake = engine, sent, clock, random, wake

    def remind(self, session: Session, message: int, address: str | None = None) -> int:
        """
        Send the notice again, to *address* or to all who have not opened the message; return to how many.

        Raises Denied where it would be too soon or too often, or where nobody waits for one.
        """
        about, now = self._sent.owned(session, message), self._clock.now()
        self._sent.check_sent_to(about, address)
        told = {row["recipient"]: row for row in grants.notices(self._engine, about["org"], message)}
        open_to = {one.address for one in self._sent.status(session, message).recipients if not one.suspended}
        waiting = [
            row
            for row in listing.reached(self._engine, about["org"], message)
            if row["canonical"] in open_to
            and address in (None, row["canonical"])
            and row["decision"] != "relay"
            and row["first_opened"] is None
            and row["state"] not in ("checking", "due", "held", "leased", "delayed")
        ]
        if not waiting:
            raise Denied("Nobody waits for a notice: it was opened, has ended, or a notice is on its way.")
        fresh = [
            row
            for row in waiting
            if row["address"] not in told
            or (told[row["address"]]["n"] < MOST and told[row["address"]]["latest"] + PAUSE <= now)
        ]
        if not fresh:
            raise Denied(TOO_SOON)
        deliveries = [
            messages.Delivery(
                new_id(now, self._random), about["org"], "notice", "", message, row["address"], None, "",
                "", "{}", "opportunistic", now, None, None, now, row["canonical"].rpartition("@")[2],
            )
            for row in fresh
        ]  # fmt: skip

        def write(rows: Rows) -> int:
            # The same button may have been pressed twice at once, and only here does one see what the other did.
            since = grants.told_since(rows, about["org"], message, now - PAUSE)
            left = [each for each in deliveries if each.recipient not in since]
            if not left:
                raise Denied(TOO_SOON)
            messages.add_deliveries(rows, left)
            self._note(rows, session, about["org"], message, "notice.repeated", {"recipients": len(left)})
            return len(left)

        count = self._engine.write(write).result()
        self._wake()
        return count

    def extend(self, session: Session, message: int, until: int, address: str | None = None) -> None:
        """
        Let a message be opened until another time (UTC milliseconds), by *address* or by all who can open it now.

        Raises Denied for a time that is over or too far away, and where nobody can open it any more.
        """
        about, now = self._sent.owned(session, message), self._clock.now()
        self._sent.check_sent_to(about, address)
        if until <= now:
            raise Denied("Choose a day to come. To end it now, take it back.")
        most = self._policies.limits(about["org"]).life_most_days
        if until > now + (most + 1) * DAY:  # a day is typed, and ends somewhere
            raise Denied("That is longer than a message may be opened. Choose an earlier day.")
        idents = self._sent.of(about, grants.to_suspend(self._engine, about["org"], message), address)
        if not idents:
            raise Denied("Nobody can open it any more. Give it back first, if that is still possible.")

        def write(rows: Rows) -> None:
            count = grants.set_end(rows, about["org"], idents, until)
            if address is None:
                grants.set_life(rows, about["org"], message, until)
            reminders.sooner(rows, about["org"], message, now)
            self._note(rows, session, about["org"], message, "grant.extended", {"grants": count, "until": until})

        self._engine.write(write).result()

    def proof(self, session: Session, message: int) -> Evidence:
        """Return what the audit trail says of an own message since it was sealed, except that it was reported."""
        about = self._sent.owned(session, message)
        people = {
            account_holder(row["account"]): row["canonical"]
            for row in listing.reached(self._engine, about["org"], message)
            if row["account"] is not None
        }
        people[account_holder(session.account)] = "you"
        head = audit.head(self._engine, about["org"])  # first, so that no event can be newer than what is vouched for
        events = [
            Event(
                row["at"], row["action"], people.get(row["actor"], _somebody(row["actor"])), row["seq"],
                row["hash"].hex()[:MARK],
                "by" in msgspec.json.decode(row["detail"], type=dict[str, object]),
            )
            for row in audit.about(self._engine, about["org"], str(message))
            if row["seq"] <= head.seq and row["action"] not in UNTOLD
        ]  # fmt: skip
        return Evidence(events, head.seq, head.hash.hex()[:MARK])

    def _note(
        self, rows: Rows, session: Session, org: int, message: int, action: str, detail: dict[str, object]
    ) -> None:
        note_act(rows, session, org, self._clock.now(), action, str(message), detail)


def _somebody(actor: str) -> str:
    """Return who did it that is nobody the message was sent to."""
    return "link" if actor.startswith("link:") else "server"

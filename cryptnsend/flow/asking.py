"""How does somebody whose link opens nothing ask the sender? For a new code, or to get an ended message again.

A mail goes to whoever wrote the message: once a day for each recipient of it, however often the button is pressed, by
whomever. It says who asks and which message it is about, and leads to the page where its author decides. Nothing is
opened, extended or replaced by asking.
"""

from __future__ import annotations

from typing import Any

from cryptnsend.core.contracts import Row, Rows
from cryptnsend.core.errors import Ended, NoGrant
from cryptnsend.core.model import address_holder, new_id
from cryptnsend.flow import holdings
from cryptnsend.flow.arrival import DEAD_LINK
from cryptnsend.flow.bymail import ByMail
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.views import Waiting
from cryptnsend.store.records import audit, cards, listing, messages, oversight

DAY = 86_400_000
ASKED = "questions to senders"  # no address, so that it is nobody's count of wrong codes
MOST_ASKED = 20  # that one source may ask a day
CODE, AGAIN, OWN = "asked-code", "asked-again", "asked-own"


class Asking(ByMail):
    """Questions to senders, from a link and from the list of who is signed in."""

    def ask(self, token: str, source: str) -> Waiting:
        """Ask the sender of a link's message for what its reader is missing; raise Ended or Throttled."""
        link, found = self._link(token), self.waiting(token)
        about = listing.message(self._engine, link["message"])
        if about is None or found.state == "left":
            raise Ended(DEAD_LINK)
        self._ask(about, link["address"], AGAIN if found.state in ("expired", "suspended", "closed") else CODE, source)
        return found

    def ask_own(self, session: Session, token: str, source: str) -> None:
        """
        Ask the sender of a link's message to write to who is signed in, at their own address; raise Ended, Throttled.

        For an address that several people read: one account at most has it, and it may be another's.
        """
        link = self._link(token)
        about = listing.message(self._engine, link["message"])
        if about is None or about["author"] == session.account:
            raise Ended(DEAD_LINK)
        self._ask(about, session.address, OWN, source)

    def ask_message(self, session: Session, message: int, source: str) -> None:
        """Ask the sender of a message in the list of who is signed in; raise NoGrant or Throttled."""
        about, mine = listing.message(self._engine, message), listing.mine(self._engine, session.account, message)
        if about is None or mine is None or about["author"] == session.account:
            raise NoGrant("There is nothing here.")
        held = holdings.held(
            self._engine, holdings.at_address(self._engine, mine["canonical"], session.account), message
        )
        ended = not any(row["state"] == "active" and row["role"] == "recipient" for row in held)
        self._ask(about, mine["canonical"], AGAIN if ended else CODE, source)

    def _ask(self, about: Row, address: str, template: str, source: str) -> None:
        self._throttle.ask(ASKED, source, MOST_ASKED)
        now = self._clock.now()

        def write(rows: Rows) -> None:
            known = cards.address(rows, address)
            if known is None or oversight.asked_since(rows, about["id"], known[0], now - DAY):
                return
            values: dict[str, Any] = {"what": template}
            audit.append(rows, about["org"], now, address_holder(address), "sender.asked", str(about["id"]), values)
            mail = messages.Delivery(
                new_id(now, self._random), about["org"], "alert", "", about["id"], known[0], about["author"], template,
                "", "{}", "opportunistic", now, None, None, now,
            )  # fmt: skip
            messages.add_deliveries(rows, [mail])

        self._engine.write(write).result()
        self._wake()

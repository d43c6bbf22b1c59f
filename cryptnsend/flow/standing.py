"""May whoever wrote this mail add to the conversation that they answer? The same rules as for a reply on the page.

A mail that is proven to come from an address says nothing yet about who reads and writes there: as on the page, it
counts only for the thread's own subscriber, for members, and for people who have shown the subscriber's code.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptnsend.core.contracts import Engine, Row, Rows
from cryptnsend.core.model import INSTALLATION, Card, account_holder
from cryptnsend.core.tokens import Claims
from cryptnsend.flow.addressees import is_partner
from cryptnsend.flow.granting import Author
from cryptnsend.flow.holders import Holders
from cryptnsend.flow.policies import Policies
from cryptnsend.store.records import bounces, cards, messages


@dataclass(frozen=True, slots=True)
class Standing:
    """Who may answer, or why nobody may: stranger, weak, no-code, or ended."""

    author: Author | None
    reason: str = ""


class Standings:
    """Looks up how somebody stands. Thread-safe; keeps nothing itself. Asks the keeper, so it may block."""

    def __init__(self, engine: Engine, holders: Holders, policies: Policies):
        self._engine, self._holders, self._policies = engine, holders, policies

    def of(self, author: str, claims: Claims) -> Standing:
        """Return how the canonical address *author* stands in the thread that a token of a reply belongs to."""
        return self._holders.settled(lambda: self._engine.write(lambda rows: self._look(rows, author, claims)).result())

    def told(self, author: str, deliveries: list[int]) -> Claims | None:
        """Return what a mail answers that names one of our own mails to *author*; None if it names none such."""
        return self._engine.write(lambda rows: self._told(rows, author, deliveries)).result()

    def _look(self, rows: Rows, author: str, claims: Claims) -> Standing:
        known = cards.addressed(rows, author, claims.subscriber)
        if known is None or known.account is None:
            return Standing(None, "stranger")
        card = self._holders.account_card_at(rows, known.account, known.card, author)
        state = cards.account_states(rows, known.account)
        if card is None or state is None or state[2] not in ("active", "weak"):
            return Standing(None, "stranger")
        if card.weak or state[2] == "weak":
            return Standing(None, "weak")
        if not self._is_known(rows, card, known, author, claims):
            return Standing(None, "no-code")
        answered = messages.granted(rows, account_holder(card.account), claims.message)
        if answered is None or not _belongs(rows, answered, claims):
            return Standing(None, "ended")
        # What comes in by ordinary mail never asks for less protection, so its author is no subscriber here.
        return Standing(Author(card.account, card.organisation, author, frozenset(card.addresses), subscriber=False))

    def _is_known(self, rows: Rows, card: Card, known: cards.Addressed, author: str, claims: Claims) -> bool:
        if card.account == claims.subscriber:
            return "subscriber" in card.roles
        if self._holders.is_proven(known.statement, card, author, claims.subscriber):
            return True
        owner = self._holders.card(rows, account_holder(claims.subscriber))
        if owner is None or owner.weak or "subscriber" not in owner.roles or "subscriber" not in card.roles:
            return False
        if card.organisation == owner.organisation != INSTALLATION:
            return True
        return is_partner(rows, self._policies.of(rows, owner.organisation), card, author)

    def _told(self, rows: Rows, author: str, deliveries: list[int]) -> Claims | None:
        for ident in deliveries:
            row, address = bounces.delivery(rows, ident), cards.address(rows, author)
            if row is None or address is None or row["recipient"] != address[0] or row["subscriber"] is None:
                continue
            return Claims("reply", author, row["subscriber"], row["message"])
        return None


def _belongs(rows: Rows, answered: Row, claims: Claims) -> bool:
    """Say whether the rows put the answered message where the keeper's token says that it is."""
    thread = messages.thread(rows, answered["thread"])
    return thread is not None and thread[1] == claims.subscriber

"""Who is behind an address, and may something be sealed to them? Only what the keeper signed counts.

Rows of the main database say where to look; the signed card and the signed statement decide. A row that was changed by
anyone but us therefore refuses or delays a message, and never turns it towards somebody else.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache

from cryptnsend.core.cards import read_card, read_statement
from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import SealBroken, Temporary
from cryptnsend.core.model import Card, ContactStatement, Signed, account_holder
from cryptnsend.flow.granting import Anchored
from cryptnsend.keeper.requests import Anchors
from cryptnsend.store.records import cards

CAPACITY = 4096  # verified cards remembered; one is about 4 KiB


class Holders:
    """Verified cards, the newest of each holder, of which the least recently used are forgotten. Thread-safe."""

    def __init__(self, anchors: Callable[[], Anchors]):
        self._anchors = anchors
        self._lock = threading.Lock()
        self._known: OrderedDict[str, Card] = OrderedDict()

    def anchored(self) -> Anchored:
        """Return the keeper's own pairs: for grants that wait for their owner, and for mail that waits to leave."""
        anchors = self._anchors()
        return Anchored(anchors.pending, anchors.queue)

    def card(self, rows: Rows, holder: str) -> Card | None:
        """Return the holder's newest card, or None without one; raise `SealBroken` if the keeper did not sign it."""
        return self.card_at(rows, holder, cards.latest(rows, holder))

    def card_at(self, rows: Rows, holder: str, version: int | None) -> Card | None:
        """Do what `card` does, for somebody who has just read the *version* of the newest card there is."""
        if version is None:
            return None
        key = (holder, version)
        with self._lock:
            known = self._known.get(holder)
            if known is not None:
                self._known.move_to_end(holder)
                if known.version == version:
                    return known
                if known.version > version:
                    # An older card would turn mail back to whoever held the address then.
                    raise Temporary("An account is being changed. Try again in a minute.")
        card = read_card(Signed(*cards.card(rows, holder, version)), self._anchors().card_key)
        if (card.holder, card.version) != key:
            raise SealBroken(f"The card filed under {holder} is another holder's.")
        with self._lock:
            self._known[holder] = card
            while len(self._known) > CAPACITY:
                self._known.popitem(last=False)
        return card

    def account_card(self, rows: Rows, account: int, canonical: str) -> Card | None:
        """Return what `account_card_at` does, for somebody who has not read the version of the newest card."""
        return self.account_card_at(rows, account, cards.latest(rows, account_holder(account)), canonical)

    def account_card_at(self, rows: Rows, account: int, version: int | None, canonical: str) -> Card | None:
        """
        Return the card of the account that an address row names, if the card itself lists that address.

        A row that names somebody else's account is treated like an address that nobody has claimed: what is sealed
        for it waits under the keeper's pending key, and the owner of the address still gets it.
        """
        card = self.card_at(rows, account_holder(account), version)
        if card is None or canonical not in card.addresses:
            return None
        return card

    def is_proven(self, statement: bytes | None, signed: Card, canonical: str, subscriber: int) -> bool:
        """Say whether the keeper's *statement* shows this contact as proven or waived for this very card."""
        if statement is None or signed.weak:
            return False
        said = _statement(statement, self._anchors().card_key)
        return (
            said.address == canonical
            and said.subscriber == subscriber
            and said.account == signed.account
            and said.generation == signed.generation
            and said.state in ("proven", "waived")
        )


@lru_cache(maxsize=CAPACITY)
def _statement(statement: bytes, card_key: bytes) -> ContactStatement:
    """Read a statement. Remembered, because checking the signature costs more than the rest of a message's rows."""
    return read_statement(statement, card_key)

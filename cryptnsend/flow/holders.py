"""Who is behind an address, and may something be sealed to them? Only what the keeper says today counts.

Rows of the main database say where to look; the keeper's own answer decides, and is taken for a minute. Its signature
under a row is not enough: a card or a statement of before was signed too, and one UPDATE puts it back. A row that was
changed by anyone but us therefore refuses or delays a message, and never turns it towards somebody else.

Nothing here waits for the keeper while a transaction is open. What has to be asked first is raised as `Unvouched`; the
caller undoes its rows, lets `learn` ask, and begins again.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

from cryptnsend.core.cards import read_card, read_statement
from cryptnsend.core.contracts import Clock, Engine, Queries, Row, Rows
from cryptnsend.core.errors import SealBroken, Temporary
from cryptnsend.core.model import Card, ContactStatement, Signed, account_holder
from cryptnsend.flow.granting import Anchored
from cryptnsend.keeper.client import Keeper
from cryptnsend.keeper.requests import ContactName
from cryptnsend.store.records import cards

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
CAPACITY = 12_000  # verified cards remembered, of 4 KiB: room for all people of the largest message there can be
LIFE = 60.0  # seconds for which an answer of the keeper is taken as it is
_NONE: dict[str, Any] = {}
_PAGE = 100  # what the keeper answers at once


class Unvouched(Temporary):
    """The keeper has to say what is true of these holders and contacts before anything is sealed to them."""

    def __init__(self, holders: Iterable[tuple[str, int]] = (), contacts: Iterable[tuple[ContactName, bytes]] = ()):
        """Both come with what the rows have: the version of the newest card, the statement."""
        super().__init__("An account is being changed. Try again in a minute.")
        self.holders, self.contacts = dict(holders), dict(contacts)

    def add(self, other: Unvouched) -> None:
        """Ask for what *other* asks for, too."""
        self.holders.update(other.holders)
        self.contacts.update(other.contacts)


@dataclass(slots=True)
class _Said(Generic[T]):
    """What the keeper said, when, and whether anybody wanted to know since."""

    what: T
    at: float
    used: bool = False


@dataclass(slots=True)
class _Known:
    """A holder's card as the keeper has it; None if it knows no such holder."""

    card: Card | None
    digest: bytes  # of signature and body
    looked_for: int  # the newest version that rows had when the keeper was asked
    compared: bool = False  # the row of this version says the same


@dataclass(frozen=True, slots=True)
class _Stated:
    """A contact's statement as the keeper makes it; empty where it makes none."""

    statement: bytes
    looked_for: bytes  # what the row had when the keeper was asked


class _Memory(Generic[K, T]):
    """Answers by name, of which the least recently used are forgotten. Called with the lock held."""

    def __init__(self) -> None:
        self._said: OrderedDict[K, _Said[T]] = OrderedDict()

    def get(self, name: K, now: float) -> T | None:
        said = self._said.get(name)
        if said is None or now - said.at >= LIFE:
            return None
        self._said.move_to_end(name)
        said.used = True
        return said.what

    def put(self, name: K, what: T, now: float) -> None:
        self._said.pop(name, None)
        self._said[name] = _Said(what, now)
        while len(self._said) > CAPACITY:
            self._said.popitem(last=False)

    def earlier(self, name: K) -> T | None:
        """Return what was said last, however long ago."""
        said = self._said.get(name)
        return said.what if said else None

    def ageing(self, now: float) -> list[tuple[K, T]]:
        """Return what is in use and will soon have to be asked for again."""
        return [(name, said.what) for name, said in self._said.items() if said.used and now - said.at >= LIFE / 2]


class Committed:
    """What is committed, read by the statements of a transaction, so that nobody waits for one only to look."""

    def __init__(self, engine: Engine):
        self._engine = engine

    def query(self, sql: str, values: dict[str, Any] = _NONE, /) -> list[Row]:
        """Run one statement that returns rows."""
        return self._engine.query(sql, **values)


class Holders:
    """What the keeper says about holders and contacts. Shared by all messages of a process; thread-safe."""

    def __init__(self, keeper: Keeper, clock: Clock):
        self._keeper, self._clock = keeper, clock
        self._lock, self._refreshing = threading.Lock(), threading.Lock()
        self._cards: _Memory[str, _Known] = _Memory()
        self._statements: _Memory[ContactName, _Stated] = _Memory()

    # -- inside a transaction -----------------------------------------------------------------------------------------

    def anchored(self) -> Anchored:
        """Return the keeper's own pairs: for grants that wait for their owner, and for mail that waits to leave."""
        anchors = self._keeper.anchors()
        return Anchored(anchors.pending, anchors.queue)

    def card(self, rows: Queries, holder: str) -> Card | None:
        """Return the holder's card, or None without one; raise `SealBroken` if the rows have one of another hand."""
        return self.card_at(rows, holder, cards.latest(rows, holder))

    def card_at(self, rows: Queries, holder: str, version: int | None) -> Card | None:
        """
        Do what `card` does, for somebody who has just read the *version* of the newest card there is.

        Raises Unvouched. An older row than the keeper's is passed over: it lags behind, or was put back.
        """
        if version is None:
            return None
        with self._lock:
            known = self._cards.get(holder, self._clock.monotonic())
        if known is None or version > max(known.looked_for, known.card.version if known.card else 0):
            raise Unvouched([(holder, version)])
        card = known.card
        if card is None or version > card.version:
            raise SealBroken(f"The card filed under {holder} is not the keeper's.")
        if version == card.version and not known.compared:
            if _digest(Signed(*cards.card(rows, holder, version))) != known.digest:
                raise SealBroken(f"The card filed under {holder} is not the keeper's.")
            known.compared = True
        return card

    def card_or_none(self, rows: Queries, holder: str) -> Card | None:
        """
        Return the keeper's card of a holder, also where the rows have lost it; None where the keeper has none either.

        Raises Unvouched, and SealBroken for a row that is not the keeper's.
        """
        version = cards.latest(rows, holder)
        return self.card_at(rows, holder, version) if version is not None else self.known_card(holder)

    def known_card(self, holder: str) -> Card | None:
        """Return what the keeper says of a holder of whom the rows have no card; raise Unvouched."""
        with self._lock:
            known = self._cards.get(holder, self._clock.monotonic())
        if known is None:
            raise Unvouched([(holder, 0)])
        return known.card

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
        """
        Say whether the keeper shows this contact as proven or waived for this very card.

        A row without a fitting *statement* settles it, at the price of a code too many; with one the keeper decides.
        Raises Unvouched.
        """
        if not statement or not self._fits(statement, signed, canonical, subscriber):
            return False
        name = ContactName(canonical, subscriber)
        with self._lock:
            said = self._statements.get(name, self._clock.monotonic())
        if said is None or statement not in (said.statement, said.looked_for):
            raise Unvouched(contacts=[(name, statement)])
        return bool(said.statement) and self._fits(said.statement, signed, canonical, subscriber)

    def _fits(self, statement: bytes, signed: Card, canonical: str, subscriber: int) -> bool:
        if signed.weak:
            return False
        said = _statement(statement, self._keeper.anchors().card_key)
        return (
            said.address == canonical
            and said.subscriber == subscriber
            and said.account == signed.account
            and said.generation == signed.generation
            and said.state in ("proven", "waived")
        )

    # -- outside of any transaction -----------------------------------------------------------------------------------

    def settled(self, attempt: Callable[[], T]) -> T:
        """Return what *attempt* does, which ends in a transaction, once everything it needs to know was asked."""
        asked: set[object] = set()
        while True:
            try:
                return attempt()
            except Unvouched as missing:
                self.learn(missing, asked)

    def learn(self, missing: Unvouched, asked: set[object]) -> None:
        """
        Ask the keeper; raise KeeperGone, or *missing* itself if it was *asked* for before in this matter.

        May wait for the keeper, so it is not to be called on an event loop's thread.
        """
        new = {*missing.holders.items(), *missing.contacts.items()} - asked
        if not new:
            raise missing
        asked |= new
        self._ask(missing.holders, missing.contacts)

    def refresh(self) -> None:
        """
        Ask again for what is in use, before its time is over and a message has to wait for it.

        While one thread does, the others go on with what there is.
        """
        if not self._refreshing.acquire(blocking=False):
            return
        try:
            now = self._clock.monotonic()
            with self._lock:
                holders = {name: known.looked_for for name, known in self._cards.ageing(now)}
                contacts = {name: stated.looked_for for name, stated in self._statements.ageing(now)}
            self._ask(holders, contacts)
        finally:
            self._refreshing.release()

    def _ask(self, holders: dict[str, int], contacts: dict[ContactName, bytes]) -> None:
        for start in range(0, max(len(holders), len(contacts)), _PAGE):
            some, names = list(holders)[start : start + _PAGE], list(contacts)[start : start + _PAGE]
            # The time before the question: what changes while it travels is not older than this.
            now = self._clock.monotonic()
            said = self._keeper.vouch(some, names)
            if len(said.cards) != len(some) or len(said.statements) != len(names):
                raise Temporary("The keeper does not answer what it was asked.")
            for holder, signed in zip(some, said.cards, strict=True):
                self._take(holder, signed, holders[holder], now)
            with self._lock:
                for name, statement in zip(names, said.statements, strict=True):
                    self._statements.put(name, _Stated(statement, contacts[name]), now)

    def _take(self, holder: str, signed: Signed | None, looked_for: int, now: float) -> None:
        digest = _digest(signed) if signed else b""
        with self._lock:
            before = self._cards.earlier(holder)
        if before is not None and before.digest == digest:
            known = _Known(before.card, digest, looked_for, before.compared)
        else:
            card = read_card(signed, self._keeper.anchors().card_key) if signed else None
            if card is not None and card.holder != holder:
                raise SealBroken(f"The keeper answered for {holder} with another holder's card.")
            known = _Known(card, digest, looked_for)
        with self._lock:
            self._cards.put(holder, known, now)


def _digest(signed: Signed) -> bytes:
    return hashlib.sha256(signed.signature + signed.body).digest()


@lru_cache(maxsize=CAPACITY)
def _statement(statement: bytes, card_key: bytes) -> ContactStatement:
    """Read a statement. Remembered, because checking the signature costs more than the rest of a message's rows."""
    return read_statement(statement, card_key)

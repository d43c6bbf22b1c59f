"""Who may read by a mail program? Like the SMTP doors' gate, but what signs in here also opens the account's seeds.

The seeds are in the session of one connection and nowhere else: nothing about them is remembered between two.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptnsend.core.contracts import Clock, Engine
from cryptnsend.core.model import Random
from cryptnsend.flow.gate import Gate, Known, Subscriber
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.throttling import Throttle
from cryptnsend.keeper.client import Keeper
from cryptnsend.keeper.requests import Opened


@dataclass(frozen=True, slots=True)
class Reader(Subscriber):
    """Somebody who signed in to read; see mailbox/contract.py."""

    session: Session = field(repr=False)


class MailGate(Gate):
    """Checks user names and passwords for IMAP and POP. Thread-safe; `authenticate` blocks."""

    scope = "read"

    def __init__(self, *, engine: Engine, keeper: Keeper, clock: Clock, throttle: Throttle, random: Random):
        super().__init__(engine=engine, keeper=keeper, clock=clock, throttle=throttle)
        self._random = random

    def authenticate(self, username: str, password: str, source: str) -> Reader:
        """Return whose password it is, with what it opens; errors as `Gate.authenticate`."""
        found = super().authenticate(username, password, source)
        assert isinstance(found, Reader)  # noqa: S101 - `_let_in` made it; this tells the type checker
        return found

    def _checked(self, device: int, secret: bytes) -> Known:
        return self._keeper.open_device(device, secret)

    def _confirmed(self, name: str, k: bytes) -> Known:
        return self._keeper.open(name, k)

    def _let_in(self, who: Known, name: str, device: int | None) -> Reader:
        assert isinstance(who, Opened)  # noqa: S101 - of `_checked` or `_confirmed`
        session = Session(
            account=who.account,
            organisation=who.organisation,
            roles=who.roles,
            address=name,
            addresses=who.addresses,
            name=who.name,
            locale=who.locale,
            weak=who.state == "weak",
            seeds=who.seeds,
            ticket=who.ticket,
            locked_pairs=who.locked,
            id_hash=self._random(32),
            secret=b"",
        )
        addresses = frozenset(who.addresses)
        return Reader(who.account, who.organisation, name, addresses, self._version(who), device, session)

"""What does every request work with? The ledger, the secrets, the clock, and the rules that an operator sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import structlog

from cryptnsend.core.contracts import Clock, Engine, Rows
from cryptnsend.core.model import MANAGED, Random
from cryptnsend.core.passwords import Argon
from cryptnsend.keeper import ledger
from cryptnsend.keeper.journal import Journal
from cryptnsend.keeper.providers import Provider
from cryptnsend.keeper.secrets import Secrets

T = TypeVar("T")
HOUR = 3_600_000  # milliseconds
DAY = 24 * HOUR
WEEK = 7 * DAY


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator sets about the keeper. `uids` are who may connect to each role's socket besides our own."""

    journal: Path
    domain: str = ""  # of our own addresses, where nobody has a mailbox
    origin: Callable[[], str] = str  # of the portal's pages, as browsers write it; passkeys are bound to its host
    uids: Mapping[str, frozenset[int]] = field(default_factory=dict)
    code_rule: str = "new-contact"  # of organisations without one of their own
    digits: int = 6
    next_digits: int = 8
    tries: int = 5
    code_hours: int = 72
    codes_per_week: int = 5
    codes_on_receipt: bool = True
    instead_of_code: str = "mail"  # the most that senders may choose for a message: code, mail, none
    mail_minutes: int = 10
    mail_codes_per_day: int = 20  # for one address, asked for by strangers; after that one an hour
    mail_codes_per_network: int = 4  # of these, in a day
    mail_codes_kept: int = 10  # besides, for networks that the owner has signed in from
    invitation_days: int = 14
    proof_minutes: int = 60
    session_hours: int = 12
    trusted_days: int = 30  # for which a browser may be trusted; 0 is never
    waited_days: int = 7
    signup: str = "invite"  # closed, invite, open
    custody: str = MANAGED  # of organisations of one
    argon: Argon = field(default_factory=Argon)
    passkeys: int = 20  # of one account
    connections: int = 128  # at the same time, on each socket
    frame_seconds: float = 30.0  # for one frame to arrive


@dataclass(frozen=True, slots=True)
class Context:
    """Handed to every request."""

    engine: Engine
    secrets: Secrets
    provider: Provider
    journal: Journal
    clock: Clock
    rng: Random = field(repr=False)
    settings: Settings
    log: structlog.typing.FilteringBoundLogger
    boot: bytes
    decoy: bytes  # a wrap that no password opens, so that unknown addresses cost the same

    @property
    def reads(self) -> ledger.Reads:
        """Return the committed rows."""
        return ledger.Committed(self.engine)

    def commit(self, fn: Callable[[Rows], T]) -> T:
        """Run *fn* in one transaction and return its result once that is durable."""
        return self.engine.write(fn).result()

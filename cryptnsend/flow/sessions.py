"""Who is signed in on a page? Server-side sessions whose seeds rest under a secret that only the cookie has.

    cookie = base64url(id, 32 octets ‖ secret, 32 octets)
    row    = SHA-256(id), seeds and ticket sealed by AES-256-GCM under HKDF(secret)

A thief of the database has rows without secrets; a session ends by time, by sign-out, or with its credential version.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field, replace

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cryptnsend.core.contracts import Clock, Engine, Row
from cryptnsend.core.errors import SealBroken
from cryptnsend.core.keys import box, unbox
from cryptnsend.core.model import INSTALLATION, Random, account_holder
from cryptnsend.core.seal import framed
from cryptnsend.flow.policies import Policies
from cryptnsend.keeper.requests import LockedPair, Opened
from cryptnsend.store.records import accounts, sessions

TOUCH_EVERY = 30_000  # milliseconds; a page more often costs no write
MINUTE = 60_000


class _Kept(msgspec.Struct):
    """What a session remembers, sealed."""

    seeds: dict[int, bytes]
    ticket: bytes
    address: str
    locked: tuple[LockedPair, ...]
    closed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Session:
    """
    Somebody who is signed in. `ticket` is the keeper's; `seeds` open what was granted to them.

    `closed` are pairs that only the password opens, where somebody came in by a passkey that does not.
    """

    account: int
    organisation: int
    roles: tuple[str, ...]
    address: str
    addresses: tuple[str, ...]
    name: str
    locale: str
    weak: bool
    seeds: dict[int, bytes] = field(repr=False)
    ticket: bytes = field(repr=False)
    locked_pairs: tuple[LockedPair, ...] = field(repr=False)
    id_hash: bytes = field(repr=False)
    secret: bytes = field(repr=False)
    closed: tuple[int, ...] = field(default=(), repr=False)
    rest: int = 0  # minutes without a tap after which its owner wants it to end; 0 for as late as may be
    source: str = ""  # the network address of this request or connection
    agent: str = ""  # what its browser calls itself

    @property
    def origin(self) -> dict[str, object]:
        """From where this is done, as a row of the audit trail tells it; empty where nobody knows."""
        told: dict[str, object] = {"source": self.source, "agent": self.agent}
        return {name: value for name, value in told.items() if value}

    @classmethod
    def unkept(cls, opened: Opened, address: str, id_hash: bytes = b"") -> Session:
        """Return a session that has no row: of a connection, or of one command. Nothing comes back to it."""
        return cls(
            account=opened.account,
            organisation=opened.organisation,
            roles=opened.roles,
            address=address,
            addresses=opened.addresses,
            name=opened.name,
            locale=opened.locale,
            weak=opened.state == "weak",
            seeds=opened.seeds,
            ticket=opened.ticket,
            locked_pairs=opened.locked,
            id_hash=id_hash,
            secret=b"",
        )

    @property
    def locked(self) -> tuple[int, ...]:
        """Return the pairs of this account that its present password does not open."""
        return tuple(each.pair for each in self.locked_pairs)


@dataclass(frozen=True, slots=True)
class Away:
    """Somebody whose session ended by time."""

    account: int
    organisation: int


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a session may rest, and last, in milliseconds."""

    recipient_idle: int
    subscriber_idle: int
    absolute: int


class Sessions:
    """Starts, finds and ends sessions."""

    def __init__(self, engine: Engine, clock: Clock, random: Random, limits: Limits, policies: Policies):
        self._engine, self._clock, self._random, self._limits = engine, clock, random, limits
        self._policies = policies

    def start(self, opened: Opened, address: str, agent: str, version: int) -> str:
        """Make a session of what the keeper opened and return the cookie's value; *version* is the main row's."""
        ident, secret = self._random(32), self._random(32)
        id_hash = hashlib.sha256(ident).digest()
        kept = _Kept(opened.seeds, opened.ticket, address, opened.locked, _closed(opened))
        sealed = self._seal(kept, secret, id_hash)
        now = self._clock.now()
        self._engine.write(
            lambda rows: sessions.add(rows, id_hash, opened.organisation, opened.account, sealed, version, now, agent)
        ).result()
        return base64.urlsafe_b64encode(ident + secret).rstrip(b"=").decode()

    def find(self, cookie: str) -> Session | None:
        """Return the session that a cookie names, or None if there is none or it has ended."""
        parts = _parts(cookie)
        if parts is None:
            return None
        ident, secret = parts
        id_hash = hashlib.sha256(ident).digest()
        row = sessions.session(self._engine, id_hash)
        now = self._clock.now()
        if row is None:
            return None
        roles = tuple(row["roles"].split(","))
        idle, absolute = self._times(row["org"], roles, row["rest"])
        if not _still_theirs(row):
            self._engine.write(lambda rows: sessions.end(rows, id_hash)).result()
            return None
        if not (-MINUTE <= now - row["seen"] < idle and -MINUTE <= now - row["created"] < absolute):
            self._engine.write(lambda rows: sessions.rest(rows, id_hash)).result()
            return None
        try:
            kept = msgspec.msgpack.decode(unbox(_key(secret), row["sealed"], _place(id_hash)), type=_Kept)
        except SealBroken:
            return None  # a cookie whose two halves do not belong together
        if now - row["seen"] > TOUCH_EVERY:
            self._engine.write(lambda rows: sessions.touch(rows, id_hash, now)).result()
        return Session(
            row["account"],
            row["org"],
            roles,
            kept.address,
            tuple(accounts.addresses(self._engine, row["account"])),
            row["name"],
            row["locale"],
            row["account_state"] == "weak",
            kept.seeds,
            kept.ticket,
            kept.locked,
            id_hash,
            secret,
            kept.closed,
            row["rest"],
        )

    def _times(self, org: int, roles: tuple[str, ...], rest: int) -> tuple[int, int]:
        """
        Return for how long a session may rest, and last.

        An organisation can only make both shorter, and its owner the first, to *rest* minutes if that is not 0.
        """
        idle = self._limits.recipient_idle if roles == ("recipient",) else self._limits.subscriber_idle
        idle = min(idle, rest * MINUTE) if rest else idle
        if org == INSTALLATION:
            return idle, self._limits.absolute
        held = self._policies.limits(org)
        return min(idle, held.idle_minutes * MINUTE), min(self._limits.absolute, held.absolute_hours * 60 * MINUTE)

    def away(self, cookie: str) -> Away | None:
        """
        Return whose session this cookie named until its time was over, or None.

        Nobody is signed in by it. It says who wrote what a page still holds, so that it can be kept for them; after a
        sign-out, or a new password, it says nothing.
        """
        parts = _parts(cookie)
        row = sessions.rested(self._engine, hashlib.sha256(parts[0]).digest()) if parts else None
        if row is None or not _still_theirs(row):
            return None
        if not -MINUTE <= self._clock.now() - row["seen"] < self._limits.absolute:
            return None
        return Away(row["account"], row["org"])

    def refresh(self, session: Session, opened: Opened, version: int, seeds: dict[int, bytes] | None = None) -> Session:
        """Put a newer answer of the keeper into a session that goes on; *seeds* are added to those it has."""
        merged = session.seeds | opened.seeds | (seeds or {})
        locked = tuple(each for each in opened.locked if each.pair not in merged)
        closed = tuple(pair for pair in session.closed if pair not in merged)
        kept = _Kept(merged, opened.ticket or session.ticket, session.address, locked, closed)
        sealed = self._seal(kept, session.secret, session.id_hash)
        self._engine.write(lambda rows: sessions.replace(rows, session.id_hash, sealed, version)).result()
        return replace(
            session, seeds=merged, ticket=kept.ticket, locked_pairs=locked, closed=closed, weak=opened.state == "weak"
        )

    def add_seeds(self, session: Session, seeds: dict[int, bytes]) -> None:
        """Add what the password opens to a session that began without it, for this request and those to come."""
        session.seeds.update(seeds)
        kept = _Kept(session.seeds, session.ticket, session.address, session.locked_pairs)
        sealed = self._seal(kept, session.secret, session.id_hash)
        self._engine.write(lambda rows: sessions.reseal(rows, session.id_hash, sealed)).result()

    def end(self, cookie: str) -> None:
        """End the session that a cookie names; one that has ended already is fine."""
        parts = _parts(cookie)
        if parts is not None:
            id_hash = hashlib.sha256(parts[0]).digest()
            self._engine.write(lambda rows: sessions.end(rows, id_hash)).result()

    def drop(self, session: Session) -> None:
        """End a session whose place another one takes."""
        self._engine.write(lambda rows: sessions.end(rows, session.id_hash)).result()

    def _seal(self, kept: _Kept, secret: bytes, id_hash: bytes) -> bytes:
        return box(_key(secret), msgspec.msgpack.encode(kept), _place(id_hash), self._random)


def _closed(opened: Opened) -> tuple[int, ...]:
    """Return the pairs of an account that are in use and that this opening did not open."""
    holder = account_holder(opened.account)
    of_account = (pair for pair in opened.pairs if pair.holder == holder and pair.state in ("current", "retired"))
    return tuple(pair.id for pair in of_account if pair.id not in opened.seeds)


def _still_theirs(row: Row) -> bool:
    return row["account_state"] in ("active", "weak") and row["credential_version"] == row["current_version"]


def _parts(cookie: str) -> tuple[bytes, bytes] | None:
    try:
        octets = base64.urlsafe_b64decode(cookie + "=" * (-len(cookie) % 4))
    except (binascii.Error, ValueError):
        return None
    return (octets[:32], octets[32:]) if len(octets) == 64 else None


def _key(secret: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=framed("session")).derive(secret)


def _place(id_hash: bytes) -> bytes:
    return framed("session", id_hash)

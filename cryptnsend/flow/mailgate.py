"""Who may read by a mail program? Like the SMTP doors' gate, but what signs in here also opens the account's seeds.

The seeds are in the session of one connection and nowhere else: nothing about them is remembered between two. What is
remembered is what Argon2id made of a password that opened the account a few minutes ago, since programs connect several
times at once and POP clients every few minutes. It is sealed under that very password, so that memory alone opens
nothing, and the keeper is asked each time all the same: after a change or a disabling it opens nothing either.
"""

from __future__ import annotations

import hmac
import threading
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from cryptnsend.core import passwords
from cryptnsend.core.contracts import Clock, Engine
from cryptnsend.core.errors import Denied
from cryptnsend.core.keys import box, unbox
from cryptnsend.core.model import Random
from cryptnsend.core.seal import framed
from cryptnsend.flow.gate import Gate, Known, Subscriber
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.throttling import Throttle
from cryptnsend.keeper.client import Keeper
from cryptnsend.keeper.requests import Opened, Salt

KEPT = 600.0  # seconds
MOST = 10_000  # passwords


class Place(NamedTuple):
    """Where the outcome for a password is kept, and under which key."""

    name: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Reader(Subscriber):
    """Somebody who signed in to read; see mailbox/contract.py."""

    session: Session = field(repr=False)


class Remembered:
    """What Argon2id made of passwords, each sealed under the password it was made of. Thread-safe."""

    def __init__(self, clock: Clock, random: Random):
        self._clock, self._random = clock, random
        self._key = random(32)  # of this process
        self._lock = threading.Lock()
        self._found: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()

    def place(self, name: str, password: str, salt: Salt) -> Place:
        """Return where the outcome for a password and these parameters is kept, and what it is sealed under."""
        said = framed("remembered", name, password, salt.salt, salt.params)
        made = hmac.digest(self._key, said, "sha512")
        return Place(made[:32], made[32:])

    def get(self, place: Place) -> bytes | None:
        """Return what was made of the password, if that was a moment ago."""
        with self._lock:
            until, sealed = self._found.get(place.name, (0.0, b""))
            if until <= self._clock.monotonic():
                self._found.pop(place.name, None)
                return None
        return unbox(place.key, sealed, place.name)

    def put(self, place: Place, k: bytes) -> None:
        """Keep what opened an account."""
        sealed, now = box(place.key, k, place.name, self._random), self._clock.monotonic()
        with self._lock:
            self._found[place.name] = (now + KEPT, sealed)
            self._found.move_to_end(place.name)
            while len(self._found) > MOST or next(iter(self._found.values()))[0] <= now:
                self._found.popitem(last=False)

    def forget(self, place: Place) -> None:
        """Let go of what opens nothing any more."""
        with self._lock:
            self._found.pop(place.name, None)


class MailGate(Gate):
    """Checks user names and passwords for IMAP and POP. Thread-safe; `authenticate` blocks."""

    scope = "read"

    def __init__(self, *, engine: Engine, keeper: Keeper, clock: Clock, throttle: Throttle, random: Random):
        super().__init__(engine=engine, keeper=keeper, clock=clock, throttle=throttle)
        self._random = random
        self._remembered = Remembered(clock, random)

    def authenticate(self, username: str, password: str, source: str) -> Reader:
        """Return whose password it is, with what it opens; errors as `Gate.authenticate`."""
        found = super().authenticate(username, password, source)
        assert isinstance(found, Reader)  # noqa: S101 - `_let_in` made it; this tells the type checker
        return replace(found, session=replace(found.session, source=source))

    def _by_password(self, name: str, password: str) -> Known:
        salt = self._keeper.salt(name)
        place = self._remembered.place(name, password, salt)
        known = self._remembered.get(place)
        k = known or passwords.derive(password, salt.salt, passwords.Argon.decode(salt.params))
        try:
            who = self._confirmed(name, k)
        except Denied:
            self._remembered.forget(place)
            raise
        # Whoever may not sign in here is told a wrong password, which must not come sooner the second time.
        if known is None and "subscriber" in who.roles:
            self._remembered.put(place, k)
        return who

    def _checked(self, device: int, secret: bytes) -> Known:
        return self._keeper.open_device(device, secret)

    def _confirmed(self, name: str, k: bytes) -> Known:
        return self._keeper.open(name, k)

    def _let_in(self, who: Known, name: str, device: int | None) -> Reader:
        assert isinstance(who, Opened)  # noqa: S101 - of `_checked` or `_confirmed`
        session = Session.unkept(who, name, self._random(32))
        addresses = frozenset(who.addresses)
        return Reader(who.account, who.organisation, name, addresses, self._version(who), device, session)

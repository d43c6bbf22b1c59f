"""Who may submit? The `Gatekeeper` of the SMTP doors: device passwords first, the main password by Argon2id.

The keeper decides; the main database only says which credential version is current, so that a revocation made by one
process counts in all of them at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn, Protocol

from cryptnsend.core import passwords
from cryptnsend.core.addresses import canonical
from cryptnsend.core.contracts import Clock, Engine, Rows
from cryptnsend.core.errors import Denied, Throttled, WrongSecret
from cryptnsend.flow.throttling import NOBODY, Throttle
from cryptnsend.keeper.client import Keeper
from cryptnsend.keeper.requests import Opened, Who
from cryptnsend.store.records import accounts, devices

Known = Who | Opened
USED_EVERY = 3_600_000  # milliseconds; a device that signs in more often costs no write


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Somebody who signed in at an SMTP door; see submission/contract.py."""

    account: int
    organisation: int
    address: str
    aliases: frozenset[str]
    credential_version: int
    device: int | None


class SignedIn(Protocol):
    """What `still_valid` looks at: a `Subscriber`, or what a door made of one."""

    @property
    def account(self) -> int: ...
    @property
    def credential_version(self) -> int: ...
    @property
    def device(self) -> int | None: ...


class Gate:
    """Checks user names and passwords for the SMTP doors. Thread-safe; `authenticate` blocks."""

    scope = "submit"  # what a device password has to be for at this door

    def __init__(self, *, engine: Engine, keeper: Keeper, clock: Clock, throttle: Throttle):
        self._engine, self._keeper, self._clock, self._throttle = engine, keeper, clock, throttle

    def authenticate(self, username: str, password: str, source: str) -> Subscriber:
        """Return whose password it is; see submission/contract.py's `Gatekeeper`."""
        try:
            name = canonical(username)
        except ValueError:
            name = NOBODY  # no address at all: still the same work and the same answer
        self._throttle.check(name, source)
        device = passwords.parse_device_password(password)
        try:
            # A device's secret of 128 bits is nothing that anybody guesses, whatever their network has done.
            judged = name if device else self._throttle.judged(name, source)
            who = self._by_device(name, *device) if device else self._by_password(judged, password)
            if "subscriber" not in who.roles:
                raise Denied(
                    "only subscribers sign in here"
                )  # counted like a wrong password, or guesses could be told apart
        except Throttled:
            raise
        except Denied:
            self._throttle.failed(name, source, password)
            self._wrong()
        self._throttle.forgive(name, source)
        self._throttle.welcome(name, source)
        if device:
            self._used(who, device[0])
        return self._let_in(who, name, device[0] if device else None)

    def _let_in(self, who: Known, name: str, device: int | None) -> Subscriber:
        addresses = frozenset(who.addresses)
        return Subscriber(who.account, who.organisation, name, addresses, self._version(who), device)

    def still_valid(self, subscriber: SignedIn) -> bool:
        """Say whether nothing was changed, revoked or disabled since."""
        row = accounts.account(self._engine, subscriber.account)
        if row is None or row["state"] not in ("active", "weak"):
            return False
        if row["credential_version"] != subscriber.credential_version:
            return False
        return subscriber.device is None or devices.is_live(self._engine, subscriber.account, subscriber.device)

    def _by_device(self, name: str, device: int, secret: bytes) -> Known:
        who = self._checked(device, secret)
        if name not in who.addresses:
            raise WrongSecret("wrong user name")
        known = devices.named(self._engine, device)
        if known is not None and known["revoked"] is not None:
            raise WrongSecret("revoked")
        return who

    def _by_password(self, name: str, password: str) -> Known:
        salt = self._keeper.salt(name)
        return self._confirmed(name, passwords.derive(password, salt.salt, passwords.Argon.decode(salt.params)))

    def _checked(self, device: int, secret: bytes) -> Known:
        return self._keeper.check_device(device, secret, self.scope)

    def _confirmed(self, name: str, k: bytes) -> Known:
        return self._keeper.check_password(name, k)

    def _used(self, who: Known, device: int) -> None:
        """Note when the device signed in, hour by hour, and make good a row that a crash left out."""
        known, now = devices.named(self._engine, device), self._clock.now()
        if known is not None and known["used"] is not None and 0 <= now - known["used"] < USED_EVERY:
            return

        def write(rows: Rows) -> None:
            devices.add(rows, device, who.organisation, who.account, "device", who.scope, now)
            devices.used(rows, device, now)

        self._engine.write(write).result()

    def _version(self, who: Known) -> int:
        """Return the credential version of the main row, which is raised before anything is changed or revoked."""
        row = accounts.account(self._engine, who.account)
        return row["credential_version"] if row is not None else who.credential_version

    @staticmethod
    def _wrong() -> NoReturn:
        raise WrongSecret("That user name and password do not belong together.")

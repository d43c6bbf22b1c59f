"""What does the keeper say of that by which people and programs get in, beside a password? Part of `requests`.

Devices and passkeys of people, tokens of programs, and the webhooks by which programs are told.
"""

from __future__ import annotations

from cryptnsend.keeper.requests import Said, Secret


class NewDevice(Secret, frozen=True):
    """A device's id and secret, this once."""

    id: int
    secret: bytes  # 16 octets


class DeviceRow(Said, frozen=True):
    """A device as the ledger has it."""

    id: int
    account: int
    scope: str
    created: int
    revoked: int | None


class PasskeyAsk(Said, frozen=True):
    """What a browser asks a passkey by, or makes one for."""

    challenge: bytes
    host: str  # that passkeys are bound to
    input: bytes  # of the PRF extension
    user: bytes  # for a new one: stands for the account, and tells nothing of it
    credentials: tuple[bytes, ...]  # that may answer, or that are there already; empty on the sign-in page


class PasskeyRow(Said, frozen=True):
    """A passkey as its owner sees it."""

    id: int
    account: int
    name: str
    kept: str  # device: in one device only; synced: it may be copied; backed-up: it is
    opens: bool  # whether it opens mail by itself
    created: int
    used: int | None
    copied: int | None  # when its counter went back: somebody may have a copy


class SecondWays(Said, frozen=True):
    """What an account asks for after the password, or could."""

    number: bool
    passkey: PasskeyAsk | None  # none where the account has none
    needs_passkey: bool = False  # the account asks for one


class ApiTokenRow(Said, frozen=True):
    """A program's token as the ledger has it."""

    id: int
    account: int
    scopes: str
    created: int
    ends: int
    revoked: int | None
    current: bool  # whether the account's credentials are still those it was made under


class NewHook(Secret, frozen=True):
    """A webhook's id and what signs its events, this once."""

    id: int
    secret: str


class HookPlace(Secret, frozen=True):
    """Where a webhook's events go, what signs them (the newest secret first), and whose events these are."""

    url: str
    secrets: tuple[str, ...]
    account: int  # who made it; its own events, where there is no organisation
    organisation: int | None

"""Is this a device's password? A keyed MAC over account, device, scope and secret: nothing slow, nothing to guess.

Its scope says at which doors it is one: `submit` to send, `read`, or `mail` for both.

A reading device has a pair that grows from its secret, to which the seeds of its account are sealed (openers.py).
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

import msgspec

from cryptnsend.core import keys
from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Denied, NoGrant, WrongSecret
from cryptnsend.core.model import account_holder, new_id
from cryptnsend.core.passwords import DEVICE_SECRET, DEVICE_USES, device_key, serves
from cryptnsend.core.seal import framed
from cryptnsend.keeper import accounts, ledger, openers, tickets
from cryptnsend.keeper.context import Context
from cryptnsend.keeper.credentials import DeviceRow, NewDevice
from cryptnsend.keeper.requests import Opened, Who
from cryptnsend.keeper.rows import Account, Device

SUBMIT, READ = "submit", "read"
WRONG = "This device password is not right, or it was revoked."


def check(context: Context, device: int, secret: bytes, scope: str) -> Who:
    """Return whose device it is; raise `WrongSecret` for anything that is not a live device for this *scope*."""
    row, account = _live(context, device, secret, scope)
    return msgspec.structs.replace(accounts.who(context, account), scope=row.scope)


def _live(context: Context, device: int, secret: bytes, scope: str) -> tuple[Device, Account]:
    """Return a live device for this *scope* and whose it is; raise `WrongSecret` for anything else."""
    reads = context.reads
    row = ledger.device(reads, device)
    account = ledger.account(reads, row.account if row else 0)
    verifier = _verifier(context, row.account if row else 0, device, row.scope if row else scope, secret)
    is_right = row is not None and hmac.compare_digest(verifier, row.verifier) and serves(row.scope, scope)
    if not is_right or row is None or row.revoked is not None or account is None or not account.may_sign_in:
        raise WrongSecret(WRONG)
    if account.is_weak and account.weak_answered is None:
        # Somebody who is not the one that reset the password is about: time alone confirms nothing any more.
        context.commit(lambda rows: ledger.set_account(rows, account.id, weak_answered=context.clock.now()))
    return row, account


def line_of(context: Context, reads: ledger.Reads, account: Account, device: int, secret: bytes) -> int:
    """Return the line that made this device, of whatever scope; raise `WrongSecret` if it is none of the account's."""
    row = ledger.device(reads, device)
    if row is None or row.account != account.id or row.revoked is not None:
        raise WrongSecret(WRONG)
    if not hmac.compare_digest(_verifier(context, account.id, device, row.scope, secret), row.verifier):
        raise WrongSecret(WRONG)
    return row.line


def open_seeds(context: Context, device: int, secret: bytes) -> Opened:
    """
    Open what is sealed to a reading device; raise `WrongSecret` as `check`, `SealBroken` for a damaged ledger.

    The ticket is good for adopting alone. There is none while somebody else may hold the account, since a device of
    before a reset by mail belongs to another line than what waits now.
    """
    row, account = _live(context, device, secret, READ)
    seeds = openers.of_device(context, context.reads, account.id, device, secret)
    opened = accounts.opened(context, account, seeds, with_ticket=row.line == account.line, by_device=True)
    return msgspec.structs.replace(opened, scope=row.scope)


def add(context: Context, ticket: bytes, scope: str, seeds: dict[int, bytes]) -> NewDevice:
    """Make a device password for who is signed in; one that reads opens the pairs of these *seeds*, their own."""
    if scope not in DEVICE_USES:
        raise Denied("There is no such use of a device password.")
    reading = serves(scope, READ)
    account = tickets.signed_in_well(context, context.reads, ticket)
    if not account.has("subscriber") and serves(scope, SUBMIT):
        raise Denied("Only subscribers may send through this server.")
    if reading:
        check_own(context.reads, account, seeds)
    now, secret = context.clock.now(), context.rng(DEVICE_SECRET)
    ident = new_id(now, context.rng)
    row = Device(
        ident, account.id, account.line, scope, _verifier(context, account.id, ident, scope, secret), now, None,
        keys.public_of(device_key(secret)) if reading else None,
    )  # fmt: skip

    def insert(rows: Rows) -> None:
        tickets.signed_in_well(context, rows, ticket)
        ledger.insert(rows, "devices", row)
        if reading:
            openers.reseal(context, rows, account.id, seeds)

    context.commit(insert)
    return NewDevice(ident, secret)


def check_own(reads: ledger.Reads, account: Account, seeds: Mapping[int, bytes]) -> None:
    """Raise `Denied` unless each of these is the seed of a pair of this account."""
    mine = {pair.id: pair for pair in ledger.pairs(reads, account_holder(account.id))}
    for ident, seed in seeds.items():
        if ident not in mine or len(seed) != keys.SEED or keys.public_of(seed) != mine[ident].public:
            raise Denied("This is not the seed of a pair of yours.")


def revoke(context: Context, ticket: bytes, device: int) -> None:
    """Revoke a device of who is signed in; a weak account may, since it only takes away."""
    account = tickets.signed_in(context, context.reads, ticket)
    row = ledger.device(context.reads, device)
    if row is None or row.account != account.id:
        raise NoGrant("There is no such device password.")
    revoke_any(context, device)


def revoke_any(context: Context, device: int) -> None:
    """Revoke a device, journal first; doing it again changes nothing."""
    if ledger.device(context.reads, device) is None:
        raise NoGrant("There is no such device password.")
    context.journal.append(context.clock.now(), "revoke", (device,))
    context.commit(lambda rows: ledger.revoke_device(rows, device, context.clock.now()))


def of(context: Context, account: Account) -> list[DeviceRow]:
    """Return an account's devices."""
    return [
        DeviceRow(row.id, row.account, row.scope, row.created, row.revoked)
        for row in ledger.devices(context.reads, account.id)
    ]


def _verifier(context: Context, account: int, device: int, scope: str, secret: bytes) -> bytes:
    return hmac.digest(context.secrets.key("device"), framed("device", account, device, scope, secret), "sha256")

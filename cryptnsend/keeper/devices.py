"""Is this a device's password? A keyed MAC over account, device, scope and secret: nothing slow, nothing to guess."""

from __future__ import annotations

import hmac

from cryptnsend.core.errors import Denied, NoGrant, WrongSecret
from cryptnsend.core.model import new_id
from cryptnsend.core.passwords import DEVICE_SECRET
from cryptnsend.core.seal import framed
from cryptnsend.keeper import accounts, ledger, tickets
from cryptnsend.keeper.context import Context
from cryptnsend.keeper.requests import DeviceRow, NewDevice, Who
from cryptnsend.keeper.rows import Account, Device

SCOPES = ("submit", "read")
WRONG = "This device password is not right, or it was revoked."


def check(context: Context, device: int, secret: bytes, scope: str) -> Who:
    """Return whose device it is; raise `WrongSecret` for anything that is not a live device of that scope."""
    reads = context.reads
    row = ledger.device(reads, device)
    account = ledger.account(reads, row.account if row else 0)
    verifier = _verifier(context, row.account if row else 0, device, scope, secret)
    is_right = row is not None and hmac.compare_digest(verifier, row.verifier)
    if not is_right or row is None or row.revoked is not None or account is None or not account.may_sign_in:
        raise WrongSecret(WRONG)
    if account.is_weak and account.weak_answered is None:
        # Somebody who is not the one that reset the password is about: time alone confirms nothing any more.
        context.commit(lambda rows: ledger.set_account(rows, account.id, weak_answered=context.clock.now()))
    return accounts.who(context, account)


def line_of(context: Context, reads: ledger.Reads, account: Account, device: int, secret: bytes) -> int:
    """Return the line that made this device, of whatever scope; raise `WrongSecret` if it is none of the account's."""
    row = ledger.device(reads, device)
    if row is None or row.account != account.id or row.revoked is not None:
        raise WrongSecret(WRONG)
    if not hmac.compare_digest(_verifier(context, account.id, device, row.scope, secret), row.verifier):
        raise WrongSecret(WRONG)
    return row.line


def add(context: Context, ticket: bytes, scope: str) -> NewDevice:
    """Make a device password for who is signed in."""
    if scope not in SCOPES:
        raise Denied("There is no such use of a device password.")
    account = tickets.signed_in_well(context, context.reads, ticket)
    if not account.has("subscriber") and scope == "submit":
        raise Denied("Only subscribers may send through this server.")
    now, secret = context.clock.now(), context.rng(DEVICE_SECRET)
    ident = new_id(now, context.rng)
    row = Device(
        ident, account.id, account.line, scope, _verifier(context, account.id, ident, scope, secret), now, None
    )
    context.commit(lambda rows: ledger.insert(rows, "devices", row))
    return NewDevice(ident, secret)


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

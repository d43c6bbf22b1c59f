"""Which program is this? Tokens that let a program act for a subscriber, within narrow limits and for some time.

A token is checked by a keyed MAC over account, token, scopes, end and secret, so that a ledger that was copied gives
none away and a row that was edited widens none. What a check returns is who it is, and neither a ticket nor a seed: a
token opens nothing. It counts as long as the credentials it was made under do, so that whoever changes the password, is
disabled, or is reset by mail ends all of them.
"""

from __future__ import annotations

import hmac

import msgspec

from cryptnsend.core.api_tokens import LONGEST, MOST, SCOPES, write_scopes
from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Denied, NoGrant, Sentence, WrongSecret
from cryptnsend.core.model import new_id
from cryptnsend.core.passwords import DEVICE_SECRET
from cryptnsend.core.seal import framed
from cryptnsend.keeper import accounts, ledger, tickets
from cryptnsend.keeper.context import DAY, Context
from cryptnsend.keeper.credentials import ApiTokenRow, NewDevice
from cryptnsend.keeper.ledger import Reads, one
from cryptnsend.keeper.requests import Who
from cryptnsend.keeper.rows import ApiToken

WRONG = "This token is not right, or it was revoked."


def add(context: Context, ticket: bytes, k: bytes, scopes: list[str], days: int) -> NewDevice:
    """Make a token for who is signed in and has typed their password again; raise `Denied` or `WrongSecret`."""
    account = tickets.signed_in_well(context, context.reads, ticket)
    accounts.confirm_password(context, account, k)
    if not account.has("subscriber"):
        raise Denied("Only subscribers may let a program send for them.")
    wanted = write_scopes(scopes)
    if not wanted or set(scopes) - set(SCOPES):
        raise Denied("Say what the token is for.")
    if not 1 <= days <= LONGEST:
        raise Denied(Sentence("A token works for %(most)s days at most.", most=LONGEST))
    now, secret = context.clock.now(), context.rng(DEVICE_SECRET)
    ident, ends = new_id(now, context.rng), now + days * DAY
    verifier = _verifier(context, account.id, ident, wanted, ends, secret)

    def insert(rows: Rows) -> None:
        current = tickets.signed_in_well(context, rows, ticket)
        if len([each for each in of_account(rows, current.id) if each.revoked is None and each.ends > now]) >= MOST:
            raise Denied(Sentence("There are %(most)s tokens already. Remove one that nobody needs.", most=MOST))
        ledger.insert(
            rows, "api_tokens",
            ApiToken(ident, current.id, wanted, verifier, current.credential_version, now, ends, None),
        )  # fmt: skip

    context.commit(insert)
    return NewDevice(ident, secret)


def check(context: Context, token: int, secret: bytes) -> Who:
    """
    Return whose token it is and what for; raise `WrongSecret` for whatever is no live token of somebody who may send.

    The same work is done for one that never was.
    """
    reads = context.reads
    row = find(reads, token)
    account = ledger.account(reads, row.account if row else 0)
    verifier = _verifier(
        context, row.account if row else 0, token, row.scopes if row else "", row.ends if row else 0, secret
    )
    is_right = row is not None and hmac.compare_digest(verifier, row.verifier)
    if row is None or not is_right or row.revoked is not None or row.ends <= context.clock.now():
        raise WrongSecret(WRONG)
    if account is None or not account.may_sign_in or account.is_weak or not account.has("subscriber"):
        raise WrongSecret(WRONG)
    if account.credential_version != row.version:
        raise WrongSecret(WRONG)
    return msgspec.structs.replace(accounts.who(context, account), scope=row.scopes)


def revoke(context: Context, ticket: bytes, token: int) -> None:
    """Revoke a token of who is signed in; a weak account may, since it only takes away."""
    account = tickets.signed_in(context, context.reads, ticket)
    row = find(context.reads, token)
    if row is None or row.account != account.id:
        raise NoGrant("There is no such token.")
    revoke_any(context, token)


def revoke_any(context: Context, token: int) -> None:
    """Revoke a token, journal first; doing it again changes nothing."""
    if find(context.reads, token) is None:
        raise NoGrant("There is no such token.")
    now = context.clock.now()
    context.journal.append(now, "revoke", (token,))
    context.commit(lambda rows: end(rows, token, now))


def listing(context: Context, address: str) -> list[ApiTokenRow]:
    """Return the tokens of an account, oldest first; raise `NoGrant` without one."""
    account = ledger.account_at(context.reads, address)
    if account is None:
        raise NoGrant("There is no account at this address.")
    return [
        ApiTokenRow(
            each.id, each.account, each.scopes, each.created, each.ends, each.revoked,
            each.version == account.credential_version,
        )
        for each in of_account(context.reads, account.id)
    ]  # fmt: skip


# -- rows ---------------------------------------------------------------------------------------------------------


def find(reads: Reads, ident: int) -> ApiToken | None:
    """Return a token by its id."""
    return one(ApiToken, reads.query("SELECT * FROM api_tokens WHERE id = :id", {"id": ident}))


def of_account(reads: Reads, account: int) -> list[ApiToken]:
    """Return the tokens of an account, oldest first."""
    found = reads.query("SELECT * FROM api_tokens WHERE account = :id ORDER BY id", {"id": account})
    return [ApiToken(**row) for row in found]


def end(rows: Rows, ident: int, now: int) -> None:
    """Mark a token as revoked; one that is stays as it is."""
    rows.execute("UPDATE api_tokens SET revoked = coalesce(revoked, :now) WHERE id = :id", {"now": now, "id": ident})


def end_all(rows: Rows, account: int, now: int) -> None:
    """Mark every token of an account as revoked."""
    values = {"now": now, "id": account}
    rows.execute("UPDATE api_tokens SET revoked = coalesce(revoked, :now) WHERE account = :id", values)


def _verifier(context: Context, account: int, token: int, scopes: str, ends: int, secret: bytes) -> bytes:
    said = framed("api token", account, token, scopes, ends, secret)
    return hmac.digest(context.secrets.key("device"), said, "sha256")

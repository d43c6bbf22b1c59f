"""What does a password that was reset by mail open? Nothing from before, until its owner shows who they are.

A weak reset destroys nothing: managed pairs are withheld (the keeper can still open them, contact by contact, for
whoever tells the senders' codes), strict ones locked (an old password or the recovery code opens them). All proofs of
before count no more.

Anyone who reads the mailbox can reset, so one account may have had several holders. Each weak reset starts a *line*;
what belongs to a line comes back only to who shows something of that same line, and that joins the two.
"""

from __future__ import annotations

import dataclasses

from cryptnsend.core.contracts import Rows
from cryptnsend.core.model import MANAGED, account_holder
from cryptnsend.keeper import accounts, cards, contacts, ledger, wraps
from cryptnsend.keeper.context import Context
from cryptnsend.keeper.rows import Account


def reset(context: Context, rows: Rows, account: Account, password: accounts.Password) -> list[int]:
    """Give the account a new password and fresh pairs; return the subscribers whose codes count no more."""
    shut(rows, account)
    concerned = contacts.unprove(rows, account)
    ledger.set_account(
        rows,
        account.id,
        state="weak",
        weak_since=context.clock.now(),
        weak_answered=None,
        weak_version=account.weak_version if account.is_weak else account.credential_version,
        confirmed=None,
        generation=account.generation + 1,
        line=account.generation + 1,
        trusted_line=account.trusted_line if account.is_weak else account.line,
        credential_version=account.credential_version + 1,
        salt=password.salt,
        params=password.params,
    )
    renewed = dataclasses.replace(account, line=account.generation + 1)
    accounts.make_pairs(context, rows, renewed, password.k)
    cards.renew(context, rows, account_holder(account.id))
    return concerned


def shut(rows: Rows, account: Account) -> None:
    """Withhold or lock every pair that today's password opens; the password is remembered as an earlier one."""
    holder = account_holder(account.id)
    for wrap in ledger.wraps(rows, holder):
        if wrap.kind == wraps.PASSWORD:
            ledger.drop_wrap(rows, wrap)
            earlier = dataclasses.replace(
                wrap, kind=wraps.EARLIER, ref=account.generation, salt=account.salt, params=account.params
            )
            ledger.set_wrap(rows, earlier)
    for pair in ledger.pairs(rows, holder):
        if pair.state in ("current", "retired"):
            ledger.set_pair(rows, pair.id, state="withheld" if pair.custody == MANAGED else "locked")


def take_address(context: Context, rows: Rows, owner: Account, address: str) -> None:
    """
    Take an address from an account. One that has none left cannot sign in any more.

    Its managed pairs are withheld then, not lost: mail of contacts that the new owner proves is adopted from them.
    """
    contacts.unprove(rows, owner, address)
    rest = [each for each in ledger.addresses(rows, owner.id) if each != address]
    ledger.drop_address(rows, address)
    if not rest:
        shut(rows, owner)
        ledger.set_account(rows, owner.id, state="disabled", credential_version=owner.credential_version + 1)
    cards.renew(context, rows, account_holder(owner.id))


def recipient_returned(context: Context, rows: Rows, account: Account) -> Account:
    """
    End the weakness of someone who only receives, as they tell a sender's code again.

    Nothing else is waiting for them to show who they are: their other contacts stay unproven. A subscriber's own
    threads and memberships would come back, and for those a code that any subscriber can give is not enough.
    """
    if not account.is_weak or account.has("subscriber") or account.has("officer") or account.has("manager"):
        return account
    ledger.set_account(rows, account.id, state="active", weak_since=None, weak_answered=None, confirmed=None)
    cards.renew(context, rows, account_holder(account.id))
    return dataclasses.replace(account, state="active", weak_since=None)

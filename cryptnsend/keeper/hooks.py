"""Where are programs told what happened, and by which secret is it signed?

A webhook is a subscriber's own, or one of the organisation, which officers and managers look after. URL and secret rest
here, so that no row that was changed sends events elsewhere. The secret is shown once to whoever made it, and goes to
the courier with what has to be signed.
"""

from __future__ import annotations

from cryptnsend.core import hooks, keys
from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Denied, NoGrant, Sentence
from cryptnsend.core.model import new_id
from cryptnsend.core.seal import framed
from cryptnsend.keeper import accounts, hook_rows, ledger, passkeys, people, second, tickets
from cryptnsend.keeper.context import Context
from cryptnsend.keeper.credentials import HookPlace, NewHook
from cryptnsend.keeper.ledger import Reads
from cryptnsend.keeper.rows import Account, Hook

NONE = "There is no such webhook."


def add(context: Context, ticket: bytes, k: bytes, url: str, events: list[str], whole: bool, code: str) -> NewHook:
    """
    Make a webhook for who is signed in and has typed their password again; raise `Denied` or `WrongSecret`.

    A *whole* organisation's is made by an officer or manager, who shows their second step once more.
    """
    account = _sure(context, ticket, k, whole=whole, code=code)
    if not whole and not account.has("subscriber"):
        raise Denied("Only subscribers may let a program hear of their mail.")
    wanted = hooks.write_events(events)
    if not wanted or set(events) - set(hooks.EVENTS):
        raise Denied("Say what it is to be told.")
    now, secret = context.clock.now(), hooks.new_secret(context.rng)
    ident, org = new_id(now, context.rng), account.org if whole else None
    boxed = _boxed(context, ident, secret)
    row = Hook(ident, account.id, hooks.check_url(url), wanted, boxed, None, None, now, None, org)

    def insert(rows: Rows) -> None:
        current = _current(context, rows, ticket, whole=whole)
        there = hook_rows.live_of_all(rows, current.org) if whole else hook_rows.live(rows, current.id)
        if len(there) >= hooks.MOST:
            raise Denied(
                Sentence("There are %(most)s webhooks already. Remove one that nobody needs.", most=hooks.MOST)
            )
        ledger.insert(rows, "hooks", row)

    context.commit(insert)
    return NewHook(ident, secret)


def rotate(context: Context, ticket: bytes, k: bytes, hook: int, code: str) -> NewHook:
    """Make a new secret; the one before signs beside it for some days."""
    whole = _own(context.reads, tickets.signed_in(context, context.reads, ticket), hook).org is not None
    _sure(context, ticket, k, whole=whole, code=code)
    now, secret = context.clock.now(), hooks.new_secret(context.rng)
    boxed = _boxed(context, hook, secret)

    def put(rows: Rows) -> None:
        row = _own(rows, _current(context, rows, ticket, whole=whole), hook)
        hook_rows.renew(rows, row, boxed, now + hooks.BOTH)

    context.commit(put)
    return NewHook(hook, secret)


def end(context: Context, ticket: bytes, hook: int) -> None:
    """Tell this webhook nothing more, and forget its secret; doing it again raises `NoGrant`."""
    row = _own(context.reads, tickets.signed_in(context, context.reads, ticket), hook)
    if row.org is not None:
        people.staff(context, ticket)
    end_any(context, hook)


def end_any(context: Context, hook: int) -> None:
    """End a webhook, journal first; doing it again changes nothing. Raise `NoGrant` where there never was one."""
    if hook_rows.find(context.reads, hook) is None:
        raise NoGrant(NONE)
    now = context.clock.now()
    context.journal.append(now, "revoke", (hook,))
    context.commit(lambda rows: hook_rows.drop(rows, hook, now))


def place(context: Context, hook: int) -> HookPlace:
    """
    Return where a webhook's events go, whose these are, and what signs them; raise `NoGrant` for one that has ended.

    Of an organisation's, it does not matter what became of who made it: the others see it and can end it.
    """
    row = hook_rows.find(context.reads, hook)
    account = ledger.account(context.reads, row.account if row else 0)
    if row is None or row.ended is not None or account is None:
        raise NoGrant(NONE)
    if row.org is None and (not account.may_sign_in or account.is_weak):
        raise NoGrant(NONE)
    both = row.earlier is not None and row.earlier_until is not None and row.earlier_until > context.clock.now()
    boxed = [row.secret, row.earlier or b""] if both else [row.secret]
    secrets = (keys.unbox(context.secrets.key("outer"), each, _name(hook)).decode() for each in boxed)
    return HookPlace(row.url, tuple(secrets), row.account, row.org)


def _sure(context: Context, ticket: bytes, k: bytes, *, whole: bool, code: str) -> Account:
    """Return who is signed in and showed what this takes."""
    if not whole:
        account = tickets.signed_in_well(context, context.reads, ticket)
        accounts.confirm_password(context, account, k)
        return account
    somebody = people.staff(context, ticket)
    passkeys.confirm(context, somebody, k)
    second.check_fresh(context, somebody, code)
    return somebody


def _current(context: Context, rows: Rows, ticket: bytes, *, whole: bool) -> Account:
    """Return who is signed in as the transaction has them, still with the role that a *whole* organisation's takes."""
    account = tickets.signed_in_well(context, rows, ticket)
    if whole and not people.is_staff(account):
        raise Denied(people.NOT_STAFF)
    return account


def _own(reads: Reads, account: Account, hook: int) -> Hook:
    """Return a webhook that this person may change; to everybody else there is none."""
    row = hook_rows.find(reads, hook)
    if row is None or row.ended is not None:
        raise NoGrant(NONE)
    if (row.account != account.id) if row.org is None else (row.org != account.org or not people.is_staff(account)):
        raise NoGrant(NONE)
    return row


def _boxed(context: Context, hook: int, secret: str) -> bytes:
    return keys.box(context.secrets.key("outer"), secret.encode(), _name(hook), context.rng)


def _name(hook: int) -> bytes:
    return framed("hook", hook)

"""Where are a subscriber's programs told what happened, and by which secret is it signed?

URL and secret rest here, so that no row that was changed sends events elsewhere. The secret is shown once to its owner,
and goes to the courier with what has to be signed.
"""

from __future__ import annotations

from cryptnsend.core import hooks, keys
from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Denied, NoGrant, Sentence
from cryptnsend.core.model import new_id
from cryptnsend.core.seal import framed
from cryptnsend.keeper import accounts, ledger, tickets
from cryptnsend.keeper.context import Context
from cryptnsend.keeper.ledger import Reads, one
from cryptnsend.keeper.requests import HookPlace, NewHook
from cryptnsend.keeper.rows import Hook

NONE = "There is no such webhook."


def add(context: Context, ticket: bytes, k: bytes, url: str, events: list[str]) -> NewHook:
    """Make a webhook for who is signed in and has typed their password again; raise `Denied` or `WrongSecret`."""
    account = tickets.signed_in_well(context, context.reads, ticket)
    accounts.confirm_password(context, account, k)
    if not account.has("subscriber"):
        raise Denied("Only subscribers may let a program hear of their mail.")
    wanted = hooks.write_events(events)
    if not wanted or set(events) - set(hooks.EVENTS):
        raise Denied("Say what it is to be told.")
    now, secret = context.clock.now(), hooks.new_secret(context.rng)
    ident = new_id(now, context.rng)
    row = Hook(ident, account.id, hooks.check_url(url), wanted, _boxed(context, ident, secret), None, None, now, None)

    def insert(rows: Rows) -> None:
        current = tickets.signed_in_well(context, rows, ticket)
        if len(live(rows, current.id)) >= hooks.MOST:
            raise Denied(
                Sentence("There are %(most)s webhooks already. Remove one that nobody needs.", most=hooks.MOST)
            )
        ledger.insert(rows, "hooks", row)

    context.commit(insert)
    return NewHook(ident, secret)


def rotate(context: Context, ticket: bytes, k: bytes, hook: int) -> NewHook:
    """Make a new secret; the one before signs beside it for some days."""
    account = tickets.signed_in_well(context, context.reads, ticket)
    accounts.confirm_password(context, account, k)
    now, secret = context.clock.now(), hooks.new_secret(context.rng)
    boxed = _boxed(context, hook, secret)

    def put(rows: Rows) -> None:
        row = _own(rows, tickets.signed_in_well(context, rows, ticket).id, hook)
        rows.execute(
            "UPDATE hooks SET secret = :secret, earlier = :earlier, earlier_until = :until WHERE id = :id",
            {"secret": boxed, "earlier": row.secret, "until": now + hooks.BOTH, "id": hook},
        )

    context.commit(put)
    return NewHook(hook, secret)


def end(context: Context, ticket: bytes, hook: int) -> None:
    """Tell this webhook nothing more, and forget its secret; doing it again raises `NoGrant`."""
    account = tickets.signed_in(context, context.reads, ticket)
    _own(context.reads, account.id, hook)
    context.journal.append(context.clock.now(), "revoke", (hook,))
    context.commit(lambda rows: drop(rows, hook, context.clock.now()))


def place(context: Context, hook: int) -> HookPlace:
    """Return where a webhook's events go, and what signs them; raise `NoGrant` for one that has ended."""
    row = find(context.reads, hook)
    account = ledger.account(context.reads, row.account if row else 0)
    if row is None or row.ended is not None or account is None or not account.may_sign_in or account.is_weak:
        raise NoGrant(NONE)
    both = row.earlier is not None and row.earlier_until is not None and row.earlier_until > context.clock.now()
    boxed = [row.secret, row.earlier or b""] if both else [row.secret]
    return HookPlace(
        row.url, tuple(keys.unbox(context.secrets.key("outer"), each, _name(hook)).decode() for each in boxed)
    )


# -- rows -------------------------------------------------------------------------------------------------------------


def find(reads: Reads, ident: int) -> Hook | None:
    """Return a webhook by its id."""
    return one(Hook, reads.query("SELECT * FROM hooks WHERE id = :id", {"id": ident}))


def live(reads: Reads, account: int) -> list[Hook]:
    """Return an account's webhooks that have not ended."""
    found = reads.query("SELECT * FROM hooks WHERE account = :id AND ended IS NULL ORDER BY id", {"id": account})
    return [Hook(**row) for row in found]


def drop(rows: Rows, ident: int, now: int) -> None:
    """Mark a webhook as ended, and forget its secrets; one that has stays as it is."""
    rows.execute(
        "UPDATE hooks SET ended = coalesce(ended, :now), secret = x'', earlier = NULL WHERE id = :id",
        {"now": now, "id": ident},
    )


def drop_all(rows: Rows, account: int, now: int) -> None:
    """End every webhook of an account."""
    for each in live(rows, account):
        drop(rows, each.id, now)


def _own(reads: Reads, account: int, hook: int) -> Hook:
    row = find(reads, hook)
    if row is None or row.account != account or row.ended is not None:
        raise NoGrant(NONE)
    return row


def _boxed(context: Context, hook: int, secret: str) -> bytes:
    return keys.box(context.secrets.key("outer"), secret.encode(), _name(hook), context.rng)


def _name(hook: int) -> bytes:
    return framed("hook", hook)

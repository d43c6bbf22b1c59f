"""How do keys give way to new ones, while all from before still opens?

An account's pairs are made anew when its owner next types the password on a page, since only that wraps the new seeds.
The earlier pairs stay under the same password, retired: nothing is sealed to them any more. Devices and passkeys get
the new seeds at once, because their public halves are known here; a recovery code does not, because it is not.

Of the keeper's own keys, those of tokens and of mail that waits leave the old ones for what was made with them.
The key of recovery wraps leaves nothing: they are wrapped anew, and the old key is destroyed.
"""

from __future__ import annotations

from cryptnsend.core import keys
from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Denied
from cryptnsend.core.model import MANAGED, STRICT, account_holder
from cryptnsend.core.seal import framed
from cryptnsend.keeper import accounts, archives, cards, ledger, openers, secrets, wraps
from cryptnsend.keeper.context import Context
from cryptnsend.keeper.requests import Opened, OwnKey
from cryptnsend.keeper.rows import Account

PAGE = 1000  # accounts in one entry of the journal
TOKENS = ("link", "reply", "bounce")
ROTATED: dict[str, tuple[str, ...]] = {
    "link": TOKENS,
    "recovery": ("recovery",),
    "queue": ("queue",),
    "pending": ("pending",),
}


# -- an account's pairs -----------------------------------------------------------------------------------------------


def order(context: Context, address: str) -> int:
    """Let the account at *address*, or all with "", get new pairs at the next sign-in; return how many will."""
    account = ledger.account_at(context.reads, address) if address else None
    found = [account] if account else [] if address else ledger.open_accounts(context.reads)
    chosen = [each for each in found if each.may_sign_in]
    if address and not chosen:
        raise Denied("There is no account at this address that may sign in.")
    for page in range(0, len(chosen), PAGE):
        ids = [number for each in chosen[page : page + PAGE] for number in (each.id, each.credential_version + 1)]
        context.journal.append(context.clock.now(), "renew", ids)
    now = context.clock.now()

    def note(rows: Rows) -> None:
        for each in chosen:
            ledger.set_account(rows, each.id, renew=now)

    context.commit(note)
    return len(chosen)


def signed_in(context: Context, account: Account, k: bytes, seeds: dict[int, bytes]) -> Opened:
    """Return what a password has just opened; with new pairs, where that was ordered for the account."""
    if account.renew is not None and not account.is_weak:
        return _renewed(context, account, k, seeds)
    openers.catch_up(context, account.id, seeds)
    return accounts.opened(context, account, seeds)


def _renewed(context: Context, account: Account, k: bytes, seeds: dict[int, bytes]) -> Opened:
    holder = account_holder(account.id)

    def renew(rows: Rows) -> None:
        now = accounts.row(rows, account.id)
        if now.renew is None or now.credential_version != account.credential_version:
            return  # somebody else signed in just before
        for pair in ledger.pairs(rows, holder):
            if pair.state == "current":
                ledger.set_pair(rows, pair.id, state="retired")
        made = accounts.make_pairs(context, rows, now, k)
        new = {accounts.current_pair(rows, holder, custody).id: made[custody] for custody in (MANAGED, STRICT)}
        # Whoever is signed in has the old seeds only, so they sign in again; a mail program connects again.
        ledger.set_account(rows, now.id, renew=None, credential_version=now.credential_version + 1)
        renewed = accounts.row(rows, account.id)
        openers.reseal(context, rows, account.id, seeds | new)
        archives.reshare(context, rows, renewed, seeds | new)
        cards.renew(context, rows, holder)

    context.commit(renew)
    after = accounts.row(context.reads, account.id)
    return accounts.opened(context, after, wraps.seeds(context, context.reads, after, k), renewed=True)


# -- the keeper's own keys --------------------------------------------------------------------------------------------


def own_keys(context: Context) -> list[OwnKey]:
    """Return which keys of its own the keeper has, and since when; never the keys."""
    newest = {label: context.secrets.key_id(label) for label in (*secrets.LABELS, *secrets.PAIRS)}
    return [
        OwnKey(row["label"], row["key_id"], row["made"], newest.get(row["label"]) == row["key_id"])
        for row in ledger.secret_ids(context.reads)
    ]


def rotate(context: Context, name: str) -> list[OwnKey]:
    """Make a new key in the place of this one of the keeper's own: link, recovery, queue or pending."""
    if name not in ROTATED:
        raise Denied("There is no such key that can be rotated here.")
    with context.secrets.changing:
        for label in ROTATED[name]:
            secrets.add(context.engine, context.provider, context.secrets, label, context.clock, context.rng)
        if name == "recovery":
            _rewrap(context)
    return [each for each in own_keys(context) if each.label in ROTATED[name]]


def _rewrap(context: Context) -> None:
    """Put every recovery wrap under the newest key, and destroy those before it."""
    older = context.secrets.older("recovery")
    newest = context.secrets.key("recovery")

    def write(rows: Rows) -> None:
        for row in ledger.recoverable(rows):
            place = framed("recovery", row["id"], row["holder"])
            seed = wraps.unwrapped(context, row["recovery_wrap"], place)
            ledger.set_pair(rows, row["id"], recovery_wrap=keys.box(newest, seed, place, context.rng))
        for key_id in older:
            ledger.drop_secret(rows, "recovery", key_id)

    context.commit(write)
    for key_id in older:
        context.secrets.forget("recovery", key_id)
    context.engine.checkpoint()

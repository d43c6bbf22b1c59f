"""How does an account that was reset by mail become whole again? Its owner shows something only they have.

An old password, the recovery code, a device password, a passkey, the number of a second step or a browser that was
trusted then, an officer's word; and, for an organisation of one that has none of these, seven days in which nobody
objected. What was shown belongs to a line of the account (see weakness.py); that line's mail comes back, and no
other's.
"""

from __future__ import annotations

from cryptnsend.core import keys
from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Denied, NoGrant, SealBroken, Sentence, WrongSecret
from cryptnsend.core.model import account_holder
from cryptnsend.core.tokens import Claims
from cryptnsend.keeper import (
    accounts,
    archives,
    cards,
    contacts,
    devices,
    ledger,
    links,
    openers,
    passkey_rows,
    passkeys,
    second,
    tickets,
    wraps,
)
from cryptnsend.keeper.context import DAY, Context
from cryptnsend.keeper.requests import Unlocked
from cryptnsend.keeper.rows import Account, Device, Pair, Passkey

KINDS = ("password", "recovery", "device", "passkey", "second", "browser", "officer", "waited")
NOT_KNOWN = "This did not show that it is you. Try another way."


def store_wraps(context: Context, ticket: bytes, kind: str, key: bytes, seeds: dict[int, bytes]) -> tuple[int, ...]:
    """Wrap the pairs that a session has open under another key, so that this opens them too."""
    if kind != wraps.RECOVERY or len(key) != 32:
        raise Denied("A pair cannot be wrapped in this way.")
    account = tickets.signed_in(context, context.reads, ticket)
    devices.check_own(context.reads, account, seeds)

    def store(rows: Rows) -> None:
        tickets.signed_in(context, rows, ticket)
        for ident, seed in seeds.items():
            ledger.set_wrap(rows, wraps.wrap(context, ident, wraps.RECOVERY, key, seed))

    context.commit(store)
    return tuple(sorted(seeds))


def unlock(context: Context, ticket: bytes, kind: str, secret: bytes, current_k: bytes, device: int) -> Unlocked:
    """Open pairs from before a reset, put them under today's password, and end the weakness."""
    if kind not in KINDS:
        raise Denied(NOT_KNOWN)
    account = tickets.signed_in(context, context.reads, ticket)
    current = accounts.confirm_password(context, account, current_k)
    # These are judged before the transaction, since a wrong number has to be counted.
    if kind == "second":
        second.show_number(context, account, secret.decode("ascii", "replace"))
    elif kind == "browser":
        second.show_browser(context, account, secret)
    by = passkeys.shown_after_reset(context, ticket, account, secret) if kind == "passkey" else None

    def bring_back(rows: Rows) -> dict[int, bytes]:
        now = tickets.signed_in(context, rows, ticket)
        locked = [p for p in ledger.pairs(rows, account_holder(now.id)) if p.state in ("withheld", "locked")]
        seeds, lines = (
            _by_passkey(context, rows, locked, *by) if by else _shown(context, rows, now, locked, kind, secret, device)
        )
        for pair in locked:
            # What the recovery code did not cover of its line: the keeper has the seeds of managed pairs.
            if pair.line in lines and pair.state == "withheld" and pair.id not in seeds:
                seeds[pair.id] = wraps.recovered(context, pair)
        for pair in locked:
            if pair.id in seeds:
                _retire(context, rows, pair, seeds[pair.id], current_k)
        returned = _join(rows, now, lines)
        openers.reseal(context, rows, now.id, current | seeds)
        archives.reshare(context, rows, returned, seeds)
        contacts.restore(rows, returned)
        cards.renew(context, rows, account_holder(now.id))
        return seeds

    seeds = context.commit(bring_back)
    account = accounts.row(context.reads, account.id)
    everything = accounts.confirm_password(context, account, current_k)
    return Unlocked(seeds, accounts.opened(context, account, everything))


def confirm(context: Context, ticket: bytes, address: str) -> None:
    """Take an officer's word that a weak member of the organisation is who they say."""
    officer = tickets.signed_in_well(context, context.reads, ticket)
    account = ledger.account_at(context.reads, address)
    if not officer.has("officer") or account is None or account.org != officer.org or account.id == officer.id:
        raise Denied(archives.NOT_OFFICER)
    confirm_any(context, address)


def confirm_any(context: Context, address: str) -> None:
    """Note that somebody entitled to it confirmed a weak account."""

    def note(rows: Rows) -> None:
        account = ledger.account_at(rows, address)
        if account is None or not account.is_weak:
            raise NoGrant("No account at this address waits for a confirmation.")
        ledger.set_account(rows, account.id, confirmed=context.clock.now())

    context.commit(note)


def object_to(context: Context, token: str, claims: Claims) -> None:
    """Note that the owner of an account did not reset it themselves: waiting ends its weakness no more."""
    if claims.purpose != "answer" or not links.is_ours(context, token, claims):
        raise Denied("This link does not work.")

    def note(rows: Rows) -> None:
        account = ledger.account(rows, claims.subscriber)
        if account is not None and account.is_weak and account.weak_answered is None:
            ledger.set_account(rows, account.id, weak_answered=context.clock.now())

    context.commit(note)


def _join(rows: Rows, account: Account, lines: set[int]) -> Account:
    """Make one line of the present one and those that its holder showed to be theirs too, and end the weakness."""
    into = min(lines)
    others = (lines | {account.line}) - {into}
    ledger.join_lines(rows, account.id, account_holder(account.id), sorted(others), into)
    ended = {"state": "active", "weak_since": None, "weak_answered": None, "confirmed": None, "trusted_line": into}
    is_trusted = account.is_weak and account.trusted_line in lines
    ledger.set_account(rows, account.id, line=into, **(ended if is_trusted else {}))
    return ledger.account(rows, account.id) or account


def _shown(
    context: Context, rows: Rows, account: Account, locked: list[Pair], kind: str, secret: bytes, device: int
) -> tuple[dict[int, bytes], set[int]]:
    """Return the seeds that the shown thing opens, and its lines; raise `WrongSecret` or `Denied` if none."""
    if kind in ("password", "recovery"):
        seeds = _by_key(context, rows, account, locked, wraps.EARLIER if kind == "password" else wraps.RECOVERY, secret)
        return seeds, {pair.line for pair in locked if pair.id in seeds}
    if not account.is_weak:
        raise Denied("This account has nothing to confirm.")
    if kind == "device":
        line = devices.line_of(context, rows, account, device, secret)
        known = openers.of_device(context, rows, account.id, device, secret)
        return {pair.id: known[pair.id] for pair in locked if pair.id in known and pair.line == line}, {line}
    if kind == "officer":
        if account.confirmed is None or account.confirmed < (account.weak_since or 0):
            raise Denied("No officer has confirmed this account yet.")
    elif kind == "waited":
        _check_waited(context, rows, account)
    return {}, {account.trusted_line}


def _by_passkey(
    context: Context, rows: Rows, locked: list[Pair], passkey: Passkey, output: bytes
) -> tuple[dict[int, bytes], set[int]]:
    """Return what a passkey from before a reset opens of its own line, and that line."""
    known = openers.of_passkey(context, rows, passkey, output)
    line = passkey.line
    return {pair.id: known[pair.id] for pair in locked if pair.id in known and pair.line == line}, {line}


def _by_key(
    context: Context, rows: Rows, account: Account, locked: list[Pair], kind: str, secret: bytes
) -> dict[int, bytes]:
    if len(secret) != 32:
        raise WrongSecret(NOT_KNOWN)
    of_locked = {pair.id: pair for pair in locked}
    seeds = {}
    for wrap in ledger.wraps(rows, account_holder(account.id)):
        if wrap.kind != kind or wrap.pair not in of_locked:
            continue
        try:
            seed = wraps.unwrap(context, wrap, secret)
        except WrongSecret:
            continue  # from before another reset, under another password
        if keys.public_of(seed) != of_locked[wrap.pair].public:
            raise SealBroken("A seed does not belong to its pair.")
        seeds[wrap.pair] = seed
    if not seeds:
        raise WrongSecret(NOT_KNOWN)
    return seeds


def _check_waited(context: Context, rows: Rows, account: Account) -> None:
    """Raise `Denied` unless seven days passed unanswered for an organisation of one without any other way."""
    organisation = ledger.organisation(rows, account.org)
    holder = account_holder(account.id)
    trusted = {pair.id for pair in ledger.pairs(rows, holder) if pair.line == account.trusted_line}
    has_recovery = any(wrap.kind == wraps.RECOVERY and wrap.pair in trusted for wrap in ledger.wraps(rows, holder))
    has_device = any(_counts(device, account) for device in ledger.devices(rows, account.id))
    has_second = second.is_on(context.reads, account.id)
    has_passkey = any(each.line == account.trusted_line for each in passkey_rows.of(context.reads, account.id))
    if organisation is None or not organisation.single or has_recovery or has_device or has_passkey or has_second:
        raise Denied("Show that it is you by the recovery code, a device password, your number or an officer's word.")
    if account.weak_answered is not None or account.weak_since is None:
        raise Denied("Somebody else uses this account. Ask whoever runs this server to confirm that it is you.")
    if context.clock.now() - account.weak_since < context.settings.waited_days * DAY:
        days = context.settings.waited_days
        raise Denied(Sentence("This has to wait for %(days)s days after the reset.", days=days))


def _counts(device: Device, account: Account) -> bool:
    """Say whether a device of the owner's was good at the reset: whoever reset could have revoked it since."""
    if device.line != account.trusted_line:
        return False
    return device.revoked is None or account.weak_since is None or device.revoked >= account.weak_since


def _retire(context: Context, rows: Rows, pair: Pair, seed: bytes, k: bytes) -> None:
    """Put an old pair under today's password; nothing is sealed to it any more."""
    for wrap in ledger.wraps(rows, pair.holder):
        if wrap.pair == pair.id and wrap.kind == wraps.EARLIER:
            ledger.drop_wrap(rows, wrap)
    ledger.set_wrap(rows, wraps.wrap(context, pair.id, wraps.PASSWORD, k, seed))
    ledger.set_pair(rows, pair.id, state="retired")

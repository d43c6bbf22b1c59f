"""Who is this, and what opens for them? Sign-in, and what an account is made of.

Everything that a session and the main rows need is in one answer, `Opened`, so that whatever was interrupted between
ledger and main database is made good at the next sign-in.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptnsend.core import keys, words
from cryptnsend.core.addresses import check_elsewhere
from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Denied, SealBroken, WrongSecret
from cryptnsend.core.model import MANAGED, STRICT, Signed, account_holder, archive_holder, new_id
from cryptnsend.core.passwords import SALT, Argon
from cryptnsend.core.seal import framed
from cryptnsend.keeper import cards, contacts, ledger, tickets, wraps
from cryptnsend.keeper.context import Context
from cryptnsend.keeper.requests import LockedPair, Opened, Passphrase, RecoveryFile, Salt, Who
from cryptnsend.keeper.rows import Account, Pair, Wrap

DISABLED = "This account has been disabled. Ask whoever runs this server."
NAME = 200  # characters at most
ROLES = frozenset({"recipient", "subscriber", "officer", "manager"})


@dataclass(frozen=True, slots=True)
class Password:
    """A new password as the role that took it derived it."""

    salt: bytes = field(repr=False)
    params: str
    k: bytes = field(repr=False)

    def __post_init__(self) -> None:
        try:
            Argon.decode(self.params)
        except SealBroken:
            raise Denied("The password parameters cannot be used.") from None
        if len(self.salt) != SALT or len(self.k) != 32:
            raise Denied("The password was not derived in the right way.")


# -- the check of a password ------------------------------------------------------------------------------------------


def salt(context: Context, address: str) -> Salt:
    """Return how an address's password becomes K; a stable invention for unknown ones."""
    invented = proof_salt(context, framed("no account", address))
    account = ledger.account_at(context.reads, address)
    if account is None:
        return Salt(invented, context.settings.argon.encode())
    return Salt(account.salt, account.params)


def proof_salt(context: Context, proof: bytes) -> bytes:
    """Return the salt that belongs to a proof, so that a repeated request derives the same K."""
    return hmac.digest(context.secrets.key("form"), framed("salt", proof), "sha256")[:SALT]


def open_password(context: Context, address: str, k: bytes) -> tuple[Account, dict[int, bytes]]:
    """Return account and seeds for a password that is right; raise `WrongSecret`, `SealBroken`, or `Denied`."""
    reads = context.reads
    account = ledger.account_at(reads, address)
    seeds = wraps.seeds(context, reads, account, k)
    if account is None:  # `seeds` has raised; said again for whoever reads this
        raise WrongSecret(wraps.WRONG_PASSWORD)
    if not account.may_sign_in:
        raise Denied(DISABLED)
    return account, seeds


def who(context: Context, account: Account) -> Who:
    """Return what the SMTP door needs of an account."""
    return Who(
        account.id,
        account.org,
        account.role_names,
        account.state,
        account.credential_version,
        ledger.addresses(context.reads, account.id),
    )


def confirm_password(context: Context, account: Account, k: bytes) -> dict[int, bytes]:
    """Return the seeds of who is signed in and has typed their password again; raise `WrongSecret`."""
    if len(k) != 32:  # a passkey that was shown opens no pair
        raise WrongSecret("Here the password itself is needed.")
    try:
        return wraps.seeds(context, context.reads, account, k)
    except WrongSecret:
        raise WrongSecret("This password is not right.") from None


def give_address(context: Context, rows: Rows, address: str, ident: int, proof: str) -> None:
    """Note whose an address is now, by which proof; raise `Denied` for one of our own."""
    check_elsewhere(address, context.settings.domain)
    ledger.give_address(rows, address, ident, proof, context.clock.now())


def row(reads: ledger.Reads, ident: int) -> Account:
    """Return an account that is known to be there."""
    account = ledger.account(reads, ident)
    if account is None:
        raise LookupError(f"no account {ident}")
    return account


# -- what an account is made of ---------------------------------------------------------------------------------------


def create(
    context: Context, rows: Rows, *, org: int, roles: tuple[str, ...], password: Password, name: str, locale: str
) -> Account:
    """Make an account with its two pairs; addresses, contacts and card are the caller's to add."""
    now = context.clock.now()
    ident = new_id(now, context.rng)
    while ledger.account(rows, ident) is not None:
        ident += 1
    account = Account(
        id=ident,
        org=org,
        roles=",".join(roles),
        state="active",
        generation=1,
        line=1,
        trusted_line=1,
        credential_version=1,
        salt=password.salt,
        params=password.params,
        name=name[:NAME],
        locale=locale[:16],
        form="zip" if "subscriber" in roles else "link",
        weak_since=None,
        weak_answered=None,
        confirmed=None,
        created=now,
    )
    ledger.insert(rows, "accounts", account)
    make_pairs(context, rows, account, password.k)
    if "subscriber" in roles:
        add_passphrase(context, rows, account)
    return account


def make_pairs(context: Context, rows: Rows, account: Account, k: bytes) -> dict[str, bytes]:
    """Make a current pair for each custody, open to this password; return the seeds by custody."""
    holder = account_holder(account.id)
    made = {}
    for custody in (MANAGED, STRICT):
        pair, made[custody] = wraps.make_pair(
            context,
            rows,
            org=account.org,
            holder=holder,
            role="account",
            custody=custody,
            line=account.line,
        )
        ledger.set_wrap(rows, wraps.wrap(context, pair.id, wraps.PASSWORD, k, made[custody]))
    return made


def current_pair(reads: ledger.Reads, holder: str, custody: str) -> Pair:
    """Return the current pair of a holder; raise LookupError without one."""
    for pair in ledger.pairs(reads, holder):
        if pair.state == "current" and pair.custody == custody:
            return pair
    raise LookupError(f"{holder} has no current {custody} pair")


def add_passphrase(context: Context, rows: Rows, account: Account) -> None:
    """Make a new delivery passphrase; the earlier ones stay, for mail that was encrypted with them."""
    since = context.clock.now()
    known = ledger.passphrases(rows, account.id)
    if known:
        since = max(since, known[0][0] + 1)
    made = words.passphrase(context.rng, language=account.locale).encode()
    boxed = keys.box(context.secrets.key("outer"), made, framed("passphrase", account.id, since), context.rng)
    ledger.add_passphrase(rows, account.id, since, boxed)


def passphrases(context: Context, account: int) -> list[Passphrase]:
    """Return an account's delivery passphrases, newest first."""
    key = context.secrets.key("outer")
    return [
        Passphrase(since, keys.unbox(key, boxed, framed("passphrase", account, since)).decode())
        for since, boxed in ledger.passphrases(context.reads, account)
    ]


# -- the answer -------------------------------------------------------------------------------------------------------


def opened(
    context: Context,
    account: Account,
    seeds: dict[int, bytes],
    *,
    with_ticket: bool = True,
    by_device: bool = False,
    recovery: RecoveryFile | None = None,
    tell: Sequence[int] | None = None,
    renewed: bool = False,
) -> Opened:
    """
    Return everything about an account that sessions and main rows need; *by_device*, without what main rows need.

    *account* is the row as it was read before the password was checked: were the password changed in between, the
    ticket would be one of before the change, and dead. *tell* is given after a weak reset: the subscribers to tell.
    """
    reads = context.reads
    ident, holder, archive = account.id, account_holder(account.id), archive_holder(account.org)
    pairs = ledger.pairs(reads, holder)
    organisation = ledger.organisation(reads, account.org) if account.org and not by_device else None
    archives = ledger.pairs(reads, archive) if organisation else []
    addresses = ledger.addresses(reads, ident)
    ticket, ends = tickets.session_ticket(context, account, by_device=by_device) if with_ticket else (b"", 0)
    return Opened(
        account=ident,
        organisation=account.org,
        roles=account.role_names,
        state=account.state,
        strength="weak" if account.is_weak else "password",
        credential_version=account.credential_version,
        generation=account.generation,
        name=account.name,
        locale=account.locale,
        addresses=addresses,
        seeds=seeds,
        locked=_locked(reads, holder, pairs),
        ticket=ticket,
        ends=ends,
        # Programs connect again and again, and nobody repairs main rows from what they are told.
        cards=() if by_device else _cards(reads, holder, archive if organisation else ""),
        pairs=() if by_device else tuple(cards.pair_row(pair) for pair in [*pairs, *archives]),
        contacts=() if by_device else contacts.rows_of(context, reads, account),
        organisation_row=cards.organisation_row(organisation) if organisation else None,
        weak_since=account.weak_since if account.is_weak else None,
        recovery=recovery,
        tell_address=addresses[0] if addresses and tell is not None else "",
        tell_subscribers=tuple(tell or ()),
        renewed=renewed,
    )


def _cards(reads: ledger.Reads, *holders: str) -> tuple[Signed, ...]:
    found = (cards.newest(reads, holder) for holder in holders if holder)
    return tuple(card for card in found if card is not None)


def _locked(reads: ledger.Reads, holder: str, pairs: list[Pair]) -> tuple[LockedPair, ...]:
    shut = [pair for pair in pairs if pair.state in ("withheld", "locked")]
    found = ledger.wraps(reads, holder) if shut else []
    locked = []
    for pair in shut:
        of_pair = [each for each in found if each.pair == pair.id]
        earlier: Wrap | None = next((each for each in of_pair if each.kind == wraps.EARLIER), None)
        locked.append(
            LockedPair(
                pair=pair.id,
                custody=pair.custody,
                state=pair.state,
                since=pair.made,
                salt=earlier.salt if earlier else b"",
                params=earlier.params if earlier else "",
                has_recovery=any(each.kind == wraps.RECOVERY for each in of_pair),
            )
        )
    return tuple(locked)

"""How does an account get passkeys, sign in by them, and lose them? Public keys that the keeper checks answers with.

No other role says that a passkey was shown: whoever takes the portal over has challenges without answers. A passkey
recognises its owner, so it stands for a password and what comes after it. It opens what the keeper can open, the
managed pair; with the PRF extension also what is sealed to it (openers.py), and where an organisation keeps
strictly, nothing but that gets in.

A passkey belongs to the line of the account that made it (weakness.py): after a reset by mail it signs in no more, and
shows who its owner is, as a device password does.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

import msgspec

from cryptnsend.core import keys
from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Denied, NoGrant, SealBroken, Sentence, WrongSecret
from cryptnsend.core.model import MANAGED, STRICT, account_holder, new_id
from cryptnsend.core.passwords import SALT
from cryptnsend.core.seal import framed
from cryptnsend.keeper import (
    accounts,
    ceremonies,
    devices,
    ledger,
    openers,
    passkey_rows,
    tickets,
    wraps,
)
from cryptnsend.keeper.context import Context
from cryptnsend.keeper.credentials import PasskeyAsk, PasskeyRow
from cryptnsend.keeper.requests import Opened
from cryptnsend.keeper.rows import Account, Passkey

NAME = 60  # characters at most
SHOWN = 2 * 60_000  # milliseconds for which a passkey that was shown stands for something typed
PREFIX = "passkey:"  # of what stands for something typed; no number begins like this, and no K has its length
PASSWORD, NUMBER = "password", "number"
ADD, SIGN_IN, SECOND, SEAL, UNLOCK = "add", "sign-in", "second", "seal", "unlock"
ASKED = frozenset({PASSWORD, NUMBER, SEAL, UNLOCK})  # of who is signed in
NONE = "There is no such passkey."
RESET = "The password of this account was reset by mail. Sign in with the password, and confirm that it is you."
STRICTLY = "Your organisation keeps keys away from this server, and this passkey has none. Sign in with your password."
LAST = "This is the last passkey, and your account asks for one after the password. End that first."


class _Shown(msgspec.Struct, frozen=True, array_like=True):
    """A passkey that was shown in the place of something typed."""

    account: int
    version: int
    what: str
    ends: int
    nonce: bytes


# -- signing in -------------------------------------------------------------------------------------------------------


def ask_anybody(context: Context, browser: bytes) -> PasskeyAsk:
    """Return the challenge of the sign-in page, for any passkey that the browser knows for this host."""
    return _ask(context, SIGN_IN, browser)


def open_account(context: Context, browser: bytes, answer: bytes, output: bytes) -> Opened:
    """Sign in whoever's passkey answered; raise `WrongSecret`, `Ended`, or `Denied` for who may not by it alone."""
    row = ceremonies.answered(context, SIGN_IN, browser, answer)
    account = accounts.row(context.reads, row.account)
    if not account.may_sign_in:
        raise Denied(accounts.DISABLED)
    if account.is_weak or row.line != account.line:
        raise Denied(RESET)
    seeds = _opens(context, context.reads, account, row, output)
    openers.catch_up(context, account.id, seeds)
    return accounts.opened(context, account, seeds)


def _opens(context: Context, reads: ledger.Reads, account: Account, row: Passkey, output: bytes) -> dict[int, bytes]:
    """Return what is sealed to a passkey, and the account's managed pairs; raise `Denied` where that is not enough."""
    pairs = [pair for pair in ledger.pairs(reads, account_holder(account.id)) if pair.state in ("current", "retired")]
    known = openers.of_passkey(context, reads, row, output)
    seeds = {pair.id: known[pair.id] for pair in pairs if pair.id in known}
    home = ledger.organisation(reads, account.org) if account.org else None
    if home is not None and home.custody == STRICT and any(p.custody == STRICT and p.id not in seeds for p in pairs):
        raise Denied(STRICTLY)
    for pair in pairs:
        if pair.custody == MANAGED and pair.id not in seeds and pair.line == account.line:
            seeds[pair.id] = wraps.recovered(context, pair)
            if not keys.is_seed_of(seeds[pair.id], pair.public):
                raise SealBroken("A seed does not belong to its pair.")
    return seeds


# -- what an account has ----------------------------------------------------------------------------------------------


def begin(context: Context, ticket: bytes, k: bytes) -> PasskeyAsk:
    """Return the challenge for a new passkey of who is signed in and has typed the password again."""
    account = tickets.signed_in_well(context, context.reads, ticket)
    confirm(context, account, k)
    if len(passkey_rows.of(context.reads, account.id)) >= context.settings.passkeys:
        most = context.settings.passkeys
        raise Denied(Sentence("An account has at most %(most)s passkeys. Remove one first.", most=most))
    return _ask(context, ADD, ticket, account)


def add(
    context: Context, ticket: bytes, name: str, answer: bytes, output: bytes, seeds: dict[int, bytes]
) -> PasskeyRow:
    """Take a passkey that was made for a challenge of `begin`; with an *output* it opens the pairs of these *seeds*."""
    account = tickets.signed_in_well(context, context.reads, ticket)
    devices.check_own(context.reads, account, seeds)
    made = ceremonies.made(context, ADD, ticket, account.id, answer)
    now, salt = context.clock.now(), context.rng(SALT)

    def insert(rows: Rows) -> Passkey:
        tickets.signed_in_well(context, rows, ticket)
        ceremonies.use_up(rows, context, made.challenge, made.ends)
        if passkey_rows.by_credential(rows, made.credential) is not None:
            raise Denied(ceremonies.NOT_MADE)
        row = Passkey(
            new_id(now, context.rng), account.id, account.line, _name(name), made.credential, made.public_key,
            made.counter, made.kept, now, None, None, salt, openers.passkey_public(output, salt),
        )  # fmt: skip
        ledger.insert(rows, "passkeys", row)
        openers.reseal(context, rows, account.id, seeds)
        return row

    return _row(context.commit(insert))


def ask(context: Context, ticket: bytes, purpose: str) -> PasskeyAsk:
    """Return a challenge for who is signed in: to show a passkey in the place of something typed, or to seal to it."""
    if purpose not in ASKED:
        raise Denied("A passkey is not asked for this.")
    return _ask(context, purpose, ticket, tickets.signed_in(context, context.reads, ticket))


def seal(context: Context, ticket: bytes, answer: bytes, output: bytes, seeds: dict[int, bytes]) -> PasskeyRow:
    """Let the passkey that answered open the pairs of these *seeds* from now on; `Denied` without an *output*."""
    account = tickets.signed_in_well(context, context.reads, ticket)
    devices.check_own(context.reads, account, seeds)
    row = ceremonies.answered(context, SEAL, ticket, answer, account.id)
    public = openers.passkey_public(output, row.salt)
    if public is None or row.line != account.line:
        raise Denied("This passkey cannot keep keys, or the browser does not let it.")

    def store(rows: Rows) -> Passkey:
        tickets.signed_in_well(context, rows, ticket)
        if public != row.public:  # what was sealed to another pair opens no more
            passkey_rows.forget_seeds(rows, row.id)
            passkey_rows.change(rows, row.id, public=public)
        openers.reseal(context, rows, account.id, seeds)
        return passkey_rows.passkey(rows, row.id) or row

    return _row(context.commit(store))


def of(context: Context, ticket: bytes) -> list[PasskeyRow]:
    """Return the passkeys of who is signed in."""
    account = tickets.signed_in(context, context.reads, ticket)
    return [_row(each) for each in _own(context.reads, account)]


def of_address(context: Context, address: str) -> list[PasskeyRow]:
    """Return the passkeys of an account, on the word of the server's owner."""
    account = ledger.account_at(context.reads, address)
    if account is None:
        raise NoGrant("There is no account at this address.")
    return [_row(each) for each in passkey_rows.of(context.reads, account.id)]


def remove(context: Context, ticket: bytes, k: bytes, passkey: int) -> None:
    """Remove a passkey of who is signed in and typed the password; not the last one that a second step needs."""
    account = tickets.signed_in_well(context, context.reads, ticket)  # else a resetter could take the owner's way back
    confirm(context, account, k)
    mine = _own(context.reads, account)
    if passkey not in [each.id for each in mine]:
        raise NoGrant(NONE)
    if len(mine) == 1 and needs_one(context.reads, account.id):
        raise Denied(LAST)
    _drop(context, account.id, passkey)


def remove_any(context: Context, passkey: int) -> None:
    """Remove a passkey on the word of the server's owner; with the last one ends the step after the password."""
    row = passkey_rows.passkey(context.reads, passkey)
    if row is None:
        raise NoGrant(NONE)
    _drop(context, row.account, passkey)


def _drop(context: Context, account: int, passkey: int) -> None:
    context.journal.append(context.clock.now(), "revoke", (passkey,))

    def drop(rows: Rows) -> None:
        passkey_rows.drop(rows, passkey)
        if not passkey_rows.of(rows, account):
            passkey_rows.drop_step(rows, account)

    context.commit(drop)


# -- in the place of something typed ----------------------------------------------------------------------------------


def show(context: Context, ticket: bytes, what: str, answer: bytes) -> str:
    """
    Return what stands for the password (`password`) or the number (`number`) of who is signed in, for two minutes.

    The first may be shown to the few requests of one form, the second once. It opens no pair.
    """
    if what not in (PASSWORD, NUMBER):
        raise Denied("A passkey does not stand for this.")
    account = tickets.signed_in_well(context, context.reads, ticket)
    row = ceremonies.answered(context, what, ticket, answer, account.id)
    if row.line != account.line:
        raise WrongSecret(ceremonies.WRONG)
    said = _Shown(account.id, account.credential_version, what, context.clock.now() + SHOWN, context.rng(16))
    boxed = keys.box(context.secrets.key("outer"), msgspec.msgpack.encode(said), _place(context), context.rng)
    return PREFIX + base64.urlsafe_b64encode(boxed).decode()


def confirm(context: Context, account: Account, k: bytes) -> None:
    """Check a password that was typed again, or a passkey that was shown in its place; raise `WrongSecret`."""
    if is_shown(k):
        _read(context, account, PASSWORD, k)
    else:
        accounts.confirm_password(context, account, k)


def is_shown(typed: bytes) -> bool:
    """Say whether something stands for what would have been typed."""
    return typed.startswith(PREFIX.encode()) and len(typed) > 32


def take_number(context: Context, account: Account, typed: str) -> None:
    """Take a passkey that was shown in the place of a number, once; raise `WrongSecret`."""
    said = _read(context, account, NUMBER, typed.encode())

    def take(rows: Rows) -> None:
        mark = hashlib.sha256(framed("passkey shown", said.nonce)).digest()
        if not passkey_rows.take(rows, mark, said.ends, context.clock.now()):
            raise WrongSecret(ceremonies.WRONG)

    context.commit(take)


def _read(context: Context, account: Account, what: str, typed: bytes) -> _Shown:
    try:
        boxed = base64.urlsafe_b64decode(typed[len(PREFIX) :])
        said = msgspec.msgpack.decode(keys.unbox(context.secrets.key("outer"), boxed, _place(context)), type=_Shown)
    except (binascii.Error, SealBroken):
        raise WrongSecret(ceremonies.WRONG) from None
    is_theirs = said.account == account.id and said.version == account.credential_version and said.what == what
    if not is_theirs or said.ends <= context.clock.now():
        raise WrongSecret(ceremonies.WRONG)
    return said


def _place(context: Context) -> bytes:
    return framed("passkey", "shown", ledger.era(context.reads))


# -- after the password -----------------------------------------------------------------------------------------------


def needs_one(reads: ledger.Reads, account: int) -> bool:
    """Say whether a passkey is asked for after the password, and no number would do."""
    return passkey_rows.step(reads, account) is not None and not _has_number(reads, account)


def _has_number(reads: ledger.Reads, account: int) -> bool:
    found = ledger.second_step(reads, account)
    return found is not None and found.made is not None


def ask_second(context: Context, held: bytes, account: Account) -> PasskeyAsk | None:
    """Return the challenge that comes after a password, None for an account without passkeys."""
    return _ask(context, SECOND, held, account) if _own(context.reads, account) else None


def ask_number(context: Context, ticket: bytes, account: Account) -> PasskeyAsk | None:
    """Return the challenge that stands for a number of who is signed in, None for an account without passkeys."""
    return _ask(context, NUMBER, ticket, account) if _own(context.reads, account) else None


def answer_second(context: Context, held: bytes, account: Account, answer: bytes) -> Passkey:
    """Take a passkey after the password; raise `WrongSecret` or `Ended`."""
    row = ceremonies.answered(context, SECOND, held, answer, account.id)
    if row.line not in (account.line, account.trusted_line):
        raise WrongSecret(ceremonies.WRONG)
    return row


def used_since(reads: ledger.Reads, account: Account, since: int) -> bool:
    """Say whether a passkey of an account was shown since then."""
    return any(each.used is not None and each.used > since for each in _own(reads, account))


def shown_after_reset(context: Context, ticket: bytes, account: Account, secret: bytes) -> tuple[Passkey, bytes]:
    """Take a passkey that shows who its owner is, after a reset by mail; return it with its output."""
    try:
        answer, output = msgspec.msgpack.decode(secret, type=tuple[bytes, bytes])
    except msgspec.MsgspecError:
        raise WrongSecret(ceremonies.WRONG) from None
    return ceremonies.answered(context, UNLOCK, ticket, answer, account.id), output


# -- inside -----------------------------------------------------------------------------------------------------------


def _ask(context: Context, purpose: str, bound: bytes, account: Account | None = None) -> PasskeyAsk:
    host, _ = ceremonies.place(context)
    ident = account.id if account else 0
    known: list[Passkey] = []
    if account is not None:
        known = passkey_rows.of(context.reads, account.id) if purpose == UNLOCK else _own(context.reads, account)
    key = context.secrets.key("form")
    return PasskeyAsk(
        challenge=ceremonies.challenge(context, purpose, bound, ident),
        host=host,
        # The same for all, since the sign-in page does not know whose passkey answers; each has a salt of its own here.
        input=hmac.digest(key, framed("passkey input"), "sha256"),
        user=hmac.digest(key, framed("passkey user", ident), "sha256") if ident else b"",
        credentials=tuple(each.credential for each in known),
    )


def _own(reads: ledger.Reads, account: Account) -> list[Passkey]:
    """Return the passkeys that belong to the present line of an account, or the one before it became weak."""
    lines = (account.line, account.trusted_line)
    return [each for each in passkey_rows.of(reads, account.id) if each.line in lines]


def _name(name: str) -> str:
    shown = " ".join("".join(each if each.isprintable() else " " for each in name).split())
    return shown[:NAME] or "Passkey"


def _row(row: Passkey) -> PasskeyRow:
    return PasskeyRow(
        id=row.id,
        account=row.account,
        name=row.name,
        kept=row.kept,
        opens=row.public is not None,
        created=row.created,
        used=row.used,
        copied=row.copied,
    )

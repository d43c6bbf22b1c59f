"""Is there a second step after an account's password, and was it taken? A passkey, or a number that changes (RFC 6238).

The secret rests wrapped like everything of the ledger, and leaves it once, to be photographed. A number counts once,
and so do the one before and the one after, since clocks differ; wrong ones are counted here, where passwords are
checked. The account's recovery code stands in for a phone that is lost, and ends the second step.

Between password and number the caller holds a box that only the keeper opens; it has what the password gave.
"""

from __future__ import annotations

import hmac
from contextlib import suppress

import msgspec
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP

from cryptnsend.core import keys
from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Denied, Ended, SealBroken, SecondStep, Throttled, WrongSecret
from cryptnsend.core.model import account_holder
from cryptnsend.core.seal import framed
from cryptnsend.keeper import accounts, ledger, passkey_rows, passkeys, renewing, tickets, wraps
from cryptnsend.keeper.context import DAY, Context
from cryptnsend.keeper.credentials import PasskeyAsk, SecondWays
from cryptnsend.keeper.requests import Opened, SecondSecret
from cryptnsend.keeper.rows import Account, Second

SECRET = 20  # octets, RFC 4226 §4 R6
DIGITS, STEP = 6, 30_000  # milliseconds, RFC 6238 §5.2
HOLDS = 5 * 60_000  # milliseconds between password and number
TRIES, PAUSE = 5, 15 * 60_000  # wrong numbers in that many milliseconds
FRESH = 5 * 60_000  # milliseconds for which a number that was shown stands for the next
AGAIN = "Type the number from your phone, too: the last one was shown more than five minutes ago."
NEEDED = "This account asks for a second step after its password."
WRONG = "That is not the number."
OVER = "This took too long. Sign in again."


class _Held(msgspec.Struct, frozen=True, array_like=True):
    """A password that was right."""

    account: int
    version: int
    k: bytes
    ends: int


class _Trust(msgspec.Struct, frozen=True, array_like=True):
    """A browser whose owner asked for no more numbers on it."""

    account: int
    version: int
    made: int
    ends: int


# -- signing in -------------------------------------------------------------------------------------------------------


def check_off(context: Context, account: Account) -> None:
    """Raise `SecondStep` where the password alone opens nothing."""
    if is_on(context.reads, account.id):
        raise SecondStep(NEEDED)


def is_on(reads: ledger.Reads, account: int) -> bool:
    """Say whether an account asks for a number or a passkey."""
    return _has_number(reads, account) or passkey_rows.step(reads, account) is not None


def _has_number(reads: ledger.Reads, account: int) -> bool:
    found = ledger.second_step(reads, account)
    return found is not None and found.made is not None


def hold(context: Context, address: str, k: bytes) -> bytes:
    """Return a box with a password that is right, good for a few minutes; raise as `open`."""
    account, _ = accounts.open_password(context, address, k)
    held = _Held(account.id, account.credential_version, k, context.clock.now() + HOLDS)
    return keys.box(context.secrets.key("outer"), msgspec.msgpack.encode(held), _place(context, "held"), context.rng)


def open_second(context: Context, held: bytes, code: str) -> Opened:
    """Open an account by what is held and the number of this moment; raise `WrongSecret`, `Throttled`, `Ended`."""
    account, k = _released(context, held)
    _check(context, account, code)
    return _opened(context, account, k)


def ways(context: Context, held: bytes) -> SecondWays:
    """Return what may come after a password that was right; raise `Ended`."""
    account, _ = _released(context, held)
    return SecondWays(_has_number(context.reads, account.id), passkeys.ask_second(context, held, account))


def open_by_passkey(context: Context, held: bytes, answer: bytes) -> Opened:
    """Open an account by what is held and a passkey; raise `WrongSecret` or `Ended`."""
    account, k = _released(context, held)
    passkeys.answer_second(context, held, account, answer)
    return _opened(context, account, k)


def open_recovered(context: Context, held: bytes, key: bytes) -> Opened:
    """Open an account by what is held and its recovery code's key; the second step ends, since its phone is lost."""
    account, k = _released(context, held)
    if ledger.second_step(context.reads, account.id) is not None:
        _count(context, account)
    if not _is_recovery(context, account, key):
        raise WrongSecret("That is not the recovery code.")
    context.commit(lambda rows: forget(rows, account.id))
    return _opened(context, account, k)


def open_trusted(context: Context, address: str, k: bytes, trust: bytes) -> Opened:
    """Open an account from a browser that it trusts; raise `SecondStep` from any other."""
    account, seeds = accounts.open_password(context, address, k)
    since = _trusted_since(context.reads, account.id)
    if since is not None and not _is_trusted(context, account, since, trust):
        raise SecondStep(NEEDED)
    return renewing.signed_in(context, account, k, seeds)


def trust(context: Context, ticket: bytes) -> bytes:
    """Return what a browser shows from now on in the place of a number; empty where policy wants none of it."""
    account, days = tickets.signed_in_well(context, context.reads, ticket), context.settings.trusted_days
    if not days:
        return b""
    now = context.clock.now()
    body = msgspec.msgpack.encode(_Trust(account.id, account.credential_version, now, now + days * DAY))
    return keys.box(context.secrets.key("outer"), body, _place(context, "trust"), context.rng)


# -- its owner --------------------------------------------------------------------------------------------------------


def step_up(context: Context, ticket: bytes, k: bytes) -> None:
    """Check the password of who is signed in, or a passkey in its place, and give nothing; raise `WrongSecret`."""
    passkeys.confirm(context, tickets.signed_in(context, context.reads, ticket), k)


def open_rest(context: Context, ticket: bytes, k: bytes) -> dict[int, bytes]:
    """Return what the password of who is signed in opens, to a session that began without it; raise `WrongSecret`."""
    return accounts.confirm_password(context, tickets.signed_in(context, context.reads, ticket), k)


def begin(context: Context, ticket: bytes, k: bytes) -> SecondSecret:
    """Make the secret of a second step, which counts once `begun` saw its first number; the earlier one goes on."""
    account = tickets.signed_in_well(context, context.reads, ticket)
    passkeys.confirm(context, account, k)
    if _has_number(context.reads, account.id):
        raise Denied("This account has a second step already. End that one first.")
    secret = context.rng(SECRET)
    wrapped = keys.box(context.secrets.key("outer"), secret, framed("second", account.id), context.rng)
    made = Second(account.id, wrapped, None, 0, 0, 0, 0)

    def put(rows: Rows) -> None:
        ledger.drop_second_step(rows, account.id)
        ledger.insert(rows, "second_steps", made)

    context.commit(put)
    return SecondSecret(secret)


def begun(context: Context, ticket: bytes, code: str) -> None:
    """Take the first number: from now on the password alone opens nothing. Raise `WrongSecret` or `Throttled`."""
    account = tickets.signed_in_well(context, context.reads, ticket)
    found = ledger.second_step(context.reads, account.id)
    if found is None:
        raise Ended("This took too long. Begin again.")
    if found.made is not None:
        return
    _check(context, account, code)
    context.commit(lambda rows: ledger.set_second_step(rows, account.id, made=context.clock.now()))


def end(context: Context, ticket: bytes, k: bytes, code: str) -> None:
    """End the second step by numbers, by password and number; raise `WrongSecret` or `Throttled`."""
    account = tickets.signed_in_well(context, context.reads, ticket)
    passkeys.confirm(context, account, k)
    if is_on(context.reads, account.id):
        _check(context, account, code)
    context.commit(lambda rows: ledger.drop_second_step(rows, account.id))


def set_passkey_step(context: Context, ticket: bytes, k: bytes, code: str, on: bool) -> None:
    """
    Ask for a passkey after the password from now on, or no more; either takes the password and a passkey or number.

    Else somebody could be shut out by a passkey that no longer works, or let the next one in by a password alone.
    """
    account = tickets.signed_in_well(context, context.reads, ticket)
    passkeys.confirm(context, account, k)
    _check(context, account, code)

    def put(rows: Rows) -> None:
        if on:
            passkey_rows.set_step(rows, account.id, context.clock.now())
        else:
            passkey_rows.drop_step(rows, account.id)

    context.commit(put)


def forget_browsers(context: Context, ticket: bytes) -> None:
    """Trust no browser of this account any more."""
    account = tickets.signed_in_well(context, context.reads, ticket)  # else a resetter could take the owner's way back

    def note(rows: Rows) -> None:
        since = context.clock.now() + 1
        ledger.set_second_step(rows, account.id, trusted_since=since)
        passkey_rows.trust_since(rows, account.id, since)

    context.commit(note)


def state(context: Context, ticket: bytes) -> bool:
    """Say whether who is signed in has a second step."""
    return is_on(context.reads, tickets.signed_in(context, context.reads, ticket).id)


def state_of(context: Context, ticket: bytes) -> SecondWays:
    """Return what who is signed in could show besides the password, and whether a passkey is asked for."""
    account = tickets.signed_in(context, context.reads, ticket)
    asked: PasskeyAsk | None = passkeys.ask_number(context, ticket, account)
    needs = passkey_rows.step(context.reads, account.id) is not None
    return SecondWays(_has_number(context.reads, account.id), asked, needs)


def forget(rows: Rows, account: int) -> None:
    """End an account's second step, on the word of the server's owner or by the recovery code."""
    ledger.drop_second_step(rows, account)
    passkey_rows.drop_step(rows, account)


def check_number(context: Context, account: Account, code: str) -> None:
    """Take the number of this moment for a grave act; raise `WrongSecret` or `Throttled`."""
    _check(context, account, code)


def shown(context: Context, account: Account, k: bytes, code: str) -> dict[int, bytes]:
    """Return the seeds of somebody who has shown everything again: password, and number where there is one."""
    seeds = accounts.confirm_password(context, account, k)
    if is_on(context.reads, account.id):
        check_number(context, account, code)
    return seeds


def check_fresh(context: Context, account: Account, code: str) -> None:
    """
    Ask for the second step again before an act of officers, unless it was taken in the last five minutes.

    Raise `WrongSecret` or `Throttled` for the number given, `SecondStep` without one that is needed.
    """
    if code:
        _check(context, account, code)
        return
    found, since = ledger.second_step(context.reads, account.id), context.clock.now() - FRESH
    is_fresh = found is not None and found.made is not None and found.step * STEP > since
    if not is_fresh and not passkeys.used_since(context.reads, account, since):
        raise SecondStep(AGAIN)


# -- after a reset by mail --------------------------------------------------------------------------------------------


def show_number(context: Context, account: Account, code: str) -> None:
    """Take a number from the phone that was there before the reset; raise `WrongSecret`, `Throttled` or `Denied`."""
    if not account.is_weak or not _has_number(context.reads, account.id):
        raise Denied("This account asks for no number.")  # none is begun while an account is weak
    _check(context, account, code)


def show_browser(context: Context, account: Account, shown: bytes) -> None:
    """Take a browser that the account trusted when it was reset; raise `WrongSecret`."""
    since = _trusted_since(context.reads, account.id)
    if since is None or not account.is_weak or not _fits(context, account, since, shown, account.weak_version):
        raise WrongSecret("This browser was not trusted when the password was reset. Try another way.")


# -- inside -----------------------------------------------------------------------------------------------------------


def _check(context: Context, account: Account, code: str) -> None:
    """Take a number once, or a passkey in its place. The count goes first, so that two at the same time are two."""
    if passkeys.is_shown(code.encode()):
        passkeys.take_number(context, account, code)
        return
    if ledger.second_step(context.reads, account.id) is None:
        raise WrongSecret(WRONG)  # it has a passkey, and numbers never were
    found = _count(context, account)
    secret = keys.unbox(context.secrets.key("outer"), found.wrapped, framed("second", account.id))
    now = context.clock.now() // STEP
    generator = HOTP(secret, DIGITS, SHA1())  # noqa: S303 - what phones do; the MAC does not rest on collisions
    used = None
    for step in (now - 1, now, now + 1):
        if hmac.compare_digest(generator.generate(step), code.encode()) and step > found.step:
            used = step
    if used is None:
        raise WrongSecret(WRONG)
    step = used

    def take(rows: Rows) -> None:
        again = ledger.second_step(rows, account.id)
        if again is None or again.step >= step:
            raise WrongSecret(WRONG)  # used a moment ago
        ledger.set_second_step(rows, account.id, step=step, tries=0)

    context.commit(take)


def _is_recovery(context: Context, account: Account, key: bytes) -> bool:
    """Say whether this is the owner's recovery code: not one that somebody made after a reset by mail."""
    holder, line = account_holder(account.id), account.trusted_line if account.is_weak else account.line
    own = {pair.id for pair in ledger.pairs(context.reads, holder) if pair.line == line}
    for wrap in ledger.wraps(context.reads, holder):
        if wrap.kind == wraps.RECOVERY and wrap.pair in own:
            with suppress(WrongSecret):  # of a pair that was locked when the newest code was made
                wraps.unwrap(context, wrap, key)
                return True
    return False


def _count(context: Context, account: Account) -> Second:
    def count(rows: Rows) -> Second:
        found, now = ledger.second_step(rows, account.id), context.clock.now()
        if found is None:
            raise Ended(OVER)
        since, tries = (found.tries_since, found.tries) if now - found.tries_since < PAUSE else (now, 0)
        if tries >= TRIES:
            wait = max(1, (since + PAUSE - now) // 1000)
            raise Throttled("Too many wrong numbers. Wait a little.", retry_after=wait)
        ledger.set_second_step(rows, account.id, tries=tries + 1, tries_since=since)
        return found

    return context.commit(count)


def _released(context: Context, held: bytes) -> tuple[Account, bytes]:
    try:
        body = keys.unbox(context.secrets.key("outer"), held, _place(context, "held"))
    except SealBroken:
        raise Ended(OVER) from None
    said = msgspec.msgpack.decode(body, type=_Held)
    account = ledger.account(context.reads, said.account)
    if account is None or not account.may_sign_in or account.credential_version != said.version:
        raise Ended(OVER)
    if said.ends <= context.clock.now():
        raise Ended(OVER)
    return account, said.k


def _opened(context: Context, account: Account, k: bytes) -> Opened:
    return renewing.signed_in(context, account, k, wraps.seeds(context, context.reads, account, k))


def _trusted_since(reads: ledger.Reads, account: int) -> int | None:
    """Return since when an account's browsers may be trusted, None where it has no second step."""
    number, passkey = ledger.second_step(reads, account), passkey_rows.step(reads, account)
    times = [number.trusted_since] if number is not None and number.made is not None else []
    return max(times + ([passkey.trusted_since] if passkey is not None else []), default=None)


def _is_trusted(context: Context, account: Account, since: int, shown: bytes) -> bool:
    return not account.is_weak and _fits(context, account, since, shown, account.credential_version)


def _fits(context: Context, account: Account, since: int, shown: bytes, version: int | None) -> bool:
    """Say whether what a browser shows was given for this account while its credentials had that version."""
    if not context.settings.trusted_days:
        return False
    try:
        said = msgspec.msgpack.decode(
            keys.unbox(context.secrets.key("outer"), shown, _place(context, "trust")), type=_Trust
        )
    except SealBroken:
        return False
    is_current = said.account == account.id and said.version == version
    return is_current and said.made >= since and said.ends > context.clock.now()


def _place(context: Context, what: str) -> bytes:
    return framed("second", what, ledger.era(context.reads))

"""What may somebody who is signed in do with their own account? Change, read out, add to, close."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Denied, Ended, Sentence, WrongSecret
from cryptnsend.core.model import KeyMark, account_holder
from cryptnsend.core.protected import KINDS
from cryptnsend.core.seal import framed
from cryptnsend.keeper import (
    accounts,
    api_tokens,
    archives,
    cards,
    codes,
    contacts,
    glass,
    hook_rows,
    ledger,
    mailed,
    passkey_rows,
    passkeys,
    policies,
    proofs,
    second,
    tickets,
    weakness,
    wraps,
)
from cryptnsend.keeper.context import Context
from cryptnsend.keeper.requests import Code, Opened, Passphrase, RecoveryFile
from cryptnsend.keeper.rows import Account

MOST = 500  # codes in one request
FRIENDS = 100  # addresses on a card
KNOWN_KEYS = 100  # of others, on a card
FORMS = ("zip", "pdf", "link", "tls")
TWO_OFFICERS = (
    "Your organisation opens its archive with two officers, so none of them gets a file that opens it alone. "
    "Whoever runs the server can change that: `cryptnsend archive rule one`."
)
MARK = 32  # octets of SHA-256
NOT_SUBSCRIBER = "Only subscribers may do this."


def change(context: Context, ticket: bytes, old_k: bytes, password: accounts.Password) -> Opened:
    """Put every pair that the old password opens under the new one. Repeated with the same ticket, it is the same."""
    session = tickets.read_session(context, ticket)
    proof = _proof(ticket)
    account = ledger.account(context.reads, session.account)
    if proofs.spent(context.reads, proof) is None and account is not None:
        account = tickets.signed_in(context, context.reads, ticket)
        seeds = accounts.confirm_password(context, account, old_k)
        context.journal.append(context.clock.now(), "credential", (account.id, account.credential_version + 1))

        def rewrap(rows: Rows) -> None:
            now = tickets.signed_in(context, rows, ticket)
            for wrap in ledger.wraps(rows, account_holder(now.id)):
                # A pair that came back between the check and now is under a password that we do not have.
                if wrap.kind == wraps.PASSWORD and wrap.pair not in seeds:
                    raise Ended("Something else changed this account just now. Try again.")
            for pair, seed in seeds.items():
                ledger.set_wrap(rows, wraps.wrap(context, pair, wraps.PASSWORD, password.k, seed))
            set_password(rows, now, password)
            proofs.spend(rows, proof, now.id, context.clock.now())

        context.commit(rewrap)
    elif account is None or account.credential_version != session.credential_version + 1:
        raise Ended(tickets.SIGN_IN_AGAIN)
    try:
        account = accounts.row(context.reads, account.id)
        return accounts.opened(context, account, wraps.seeds(context, context.reads, account, password.k))
    except WrongSecret:
        raise Ended("The password was changed already. Sign in with the new one.") from None


def change_salt(context: Context, ticket: bytes) -> bytes:
    """Return the salt to change the password with, so that a repeated request derives the same K."""
    tickets.read_session(context, ticket)
    return accounts.proof_salt(context, _proof(ticket))


def _proof(ticket: bytes) -> bytes:
    return framed("change", hashlib.sha256(ticket).digest())


def set_password(rows: Rows, account: Account, password: accounts.Password) -> None:
    """Note a new password's salt and parameters; tickets of before end."""
    ledger.set_account(
        rows,
        account.id,
        salt=password.salt,
        params=password.params,
        credential_version=account.credential_version + 1,
    )


def profile(
    context: Context,
    ticket: bytes,
    name: str | None,
    form: str | None,
    locale: str | None,
    k: bytes | None = None,
) -> Opened:
    """
    Change what the account says of itself.

    That replies arrive readable takes the password again, so that nobody turns it on who only found a browser open.
    """
    account = tickets.signed_in(context, context.reads, ticket)
    if form is not None and (account.is_weak or not (form in FORMS or _has_key(account, form))):
        raise Denied("Replies cannot be forwarded in this form now.")
    if form == "tls" and account.form != "tls":
        if k is None:
            raise WrongSecret("Type your password to have replies arrive readable.")
        passkeys.confirm(context, account, k)
    given = {"name": name and name[: accounts.NAME], "form": form, "locale": locale and locale[:16]}
    values = {key: value for key, value in given.items() if value is not None}

    def note(rows: Rows) -> None:
        tickets.signed_in(context, rows, ticket)
        if values:
            ledger.set_account(rows, account.id, **values)
        cards.renew(context, rows, account_holder(account.id))

    context.commit(note)
    return accounts.opened(context, accounts.row(context.reads, account.id), {}, with_ticket=False)


def set_friends(context: Context, ticket: bytes, k: bytes, addresses: Sequence[str]) -> Opened:
    """
    Let what a subscriber sends to these addresses go as ordinary mail, where no rule wants more for it.

    It takes the password again, so that nobody turns it on who only found a browser open.
    """
    account = _owner(context, ticket, k)
    named = tuple(dict.fromkeys(addresses))
    if len(named) > FRIENDS or any(each.split() != [each] for each in named):
        raise Denied(Sentence("Name %(most)s addresses at most.", most=FRIENDS))

    def note(rows: Rows) -> None:
        tickets.signed_in_well(context, rows, ticket)
        ledger.set_account(rows, account.id, friends="\n".join(named))
        cards.renew(context, rows, account_holder(account.id))

    context.commit(note)
    return accounts.opened(context, accounts.row(context.reads, account.id), {}, with_ticket=False)


def set_own_key(context: Context, ticket: bytes, k: bytes, code: str, kind: str, mark: bytes) -> Opened:
    """
    Let replies be encrypted to this key of a subscriber's own, the one of its *kind*; an empty *mark* ends that.

    It takes the password again, and the number where there is a second step: whoever's key it is reads the replies.
    Without the key that they came by, replies come as ZIP again.
    """
    if kind not in KINDS or len(mark) not in (0, MARK):
        raise Denied("This is no key that mail can be locked to.")
    account = _shown(context, ticket, k, code)

    def note(rows: Rows) -> None:
        now = tickets.signed_in_well(context, rows, ticket)
        kept = [each for each in now.own_marks if each.kind != kind]
        marks = [*kept, KeyMark(kind, mark)] if mark else kept
        form = "zip" if now.form == kind and not mark else now.form
        ledger.set_account(rows, now.id, own_keys=_written(marks), form=form)
        cards.renew(context, rows, account_holder(now.id))

    context.commit(note)
    return accounts.opened(context, accounts.row(context.reads, account.id), {}, with_ticket=False)


def set_known_key(context: Context, ticket: bytes, k: bytes, code: str, address: str, kind: str, mark: bytes) -> Opened:
    """
    Let a subscriber's mail to *address* be encrypted to that key, where the rules allow it; an empty *mark* ends that.

    There is one key for an address. It takes what `set_own_key` takes.
    """
    if kind not in KINDS or len(mark) not in (0, MARK) or not address or address.split() != [address]:
        raise Denied("This is no key that mail can be locked to.")
    account = _shown(context, ticket, k, code)

    def note(rows: Rows) -> None:
        now = tickets.signed_in_well(context, rows, ticket)
        marks = [each for each in now.known_marks if each.address != address]
        marks += [KeyMark(kind, mark, address)] if mark else []
        if len(marks) > KNOWN_KEYS:
            raise Denied(Sentence("You know %(most)s keys of others, and more cannot be kept.", most=KNOWN_KEYS))
        ledger.set_account(rows, now.id, known_keys=_written(marks))
        cards.renew(context, rows, account_holder(now.id))

    context.commit(note)
    return accounts.opened(context, accounts.row(context.reads, account.id), {}, with_ticket=False)


def _shown(context: Context, ticket: bytes, k: bytes, code: str) -> Account:
    """Return a subscriber who has shown everything again."""
    account = tickets.signed_in_well(context, context.reads, ticket)
    if not account.has("subscriber"):
        raise Denied(NOT_SUBSCRIBER)
    second.shown(context, account, k, code)
    return account


def _written(marks: Sequence[KeyMark]) -> str:
    return msgspec.json.encode(marks).decode()


def _has_key(account: Account, form: str) -> bool:
    return any(each.kind == form for each in account.own_marks)


def show_codes(context: Context, ticket: bytes, addresses: Sequence[str]) -> list[Code]:
    """Return the codes of a subscriber's contacts."""

    if len(addresses) > MOST:
        raise Denied(Sentence("Ask for at most %(most)s codes at a time.", most=MOST))

    def show(rows: Rows) -> list[Code]:
        subscriber = _teller(context, rows, ticket)
        return [codes.show(context, rows, subscriber, address) for address in dict.fromkeys(addresses)]

    return context.commit(show)


def next_code(context: Context, ticket: bytes, address: str) -> Code:
    """Replace a contact's code by the next."""
    return context.commit(
        lambda rows: codes.following(context, rows, _teller(context, rows, ticket), address),
    )


def passphrase(context: Context, ticket: bytes, k: bytes) -> list[Passphrase]:
    """Return the delivery passphrases to their owner, who has typed the password again."""
    account = _owner(context, ticket, k)
    return accounts.passphrases(context, account.id)


def new_passphrase(context: Context, ticket: bytes, k: bytes) -> list[Passphrase]:
    """Make a new delivery passphrase."""
    account = _owner(context, ticket, k)
    context.commit(lambda rows: accounts.add_passphrase(context, rows, account))
    return accounts.passphrases(context, account.id)


def archive_recovery(context: Context, ticket: bytes, k: bytes, code: str = "") -> RecoveryFile:
    """
    Make a recovery file of the organisation's archive.

    It opens the archive for good, with no reason and nobody's yes, so the rule of two officers leaves none to one.
    """
    account = tickets.signed_in_well(context, context.reads, ticket)
    seeds = second.shown(context, account, k, code)
    if account.org and glass.needs_two(context.reads, account.org):
        raise Denied(TWO_OFFICERS)
    return archives.file(context, context.reads, account, seeds)


def archive_replace(context: Context, ticket: bytes, k: bytes, code: str = "") -> Opened:
    """
    Give the organisation's archive a new key, as an officer who opens it; `recovery` has the file that fits it.

    Where it takes two officers there is none: no officer may hold what opens the archive alone.
    """
    account = _with_step(context, ticket)
    seeds = second.shown(context, account, k, code)
    archives.opened(context.reads, account, seeds)  # refused before anything is written

    def make(rows: Rows) -> RecoveryFile | None:
        now = tickets.signed_in_well(context, rows, ticket)
        made = archives.replace(context, rows, now, seeds)
        if glass.needs_two(rows, now.org):
            return None
        return archives.file_of(context, rows, now, made)

    file = context.commit(make)
    return accounts.opened(context, accounts.row(context.reads, account.id), {}, with_ticket=False, recovery=file)


def officers_recovery(context: Context, ticket: bytes, k: bytes, code: str = "") -> RecoveryFile:
    """
    Make a recovery file as somebody who asks for it on a page.

    Whoever looks after others' mail has a second step, as for a glass break: this opens more, and for longer.
    """
    _with_step(context, ticket)
    return archive_recovery(context, ticket, k, code)


def _with_step(context: Context, ticket: bytes) -> Account:
    """Return who is signed in; raise `Denied` where they look after others' mail and have no second step."""
    account = tickets.signed_in_well(context, context.reads, ticket)
    home = ledger.organisation(context.reads, account.org)
    if account.org and (home is None or not home.single) and not second.is_on(context.reads, account.id):
        raise Denied(policies.SECOND)
    return account


def close(context: Context, ticket: bytes, k: bytes) -> int:
    """
    Close the account for good: its addresses are free again and nothing opens its pairs any more.

    Returns the number by which its owner can be told by mail, at the address that is not the account's any more.

    Not for a weak one: whoever reads the mailbox could destroy what they cannot open.
    """
    account = tickets.signed_in_well(context, context.reads, ticket)
    passkeys.confirm(context, account, k)
    context.journal.append(context.clock.now(), "close", (account.id, account.credential_version + 1))

    def end(rows: Rows) -> int:
        now = tickets.signed_in_well(context, rows, ticket)
        word = mailed.last_word(context, rows, now.id, ledger.addresses(rows, now.id)[0])
        end_for_good(context, rows, now, now.credential_version + 1)
        return word

    return context.commit(end)


def end_for_good(context: Context, rows: Rows, account: Account, version: int) -> None:
    """Take from an account whatever opens it and whatever is its own; *version* is that of its credentials then."""
    now, holder = context.clock.now(), account_holder(account.id)
    contacts.unprove(rows, account)
    ledger.drop_addresses(rows, account.id)
    ledger.drop_wraps(rows, holder)
    ledger.revoke_devices(rows, account.id, now)
    api_tokens.end_all(rows, account.id, now)
    hook_rows.drop_all(rows, account.id, now)
    passkey_rows.drop_all(rows, account.id)
    proofs.forget_networks(rows, account.id)
    ledger.set_account(rows, account.id, state="closed", credential_version=version)
    cards.renew(context, rows, holder)


def reset_by_owner(context: Context, address: str, password: accounts.Password, old_k: bytes | None) -> Opened:
    """Set a password on the word of the server's owner; without the old one it is a weak reset."""
    account = ledger.account_at(context.reads, address)
    if account is None or not account.may_sign_in:
        raise Denied("There is no account at this address that may sign in.")
    if old_k is not None:
        ticket, _ = tickets.session_ticket(context, account)
        return change(context, ticket, old_k, password)
    context.journal.append(context.clock.now(), "weak", (account.id, account.credential_version + 1))

    def make(rows: Rows) -> list[int]:
        now = accounts.row(rows, account.id)
        if not now.may_sign_in:
            raise Denied(accounts.DISABLED)
        second.forget(rows, now.id)  # whoever runs the server looked at them; a lost phone is lost
        return weakness.reset(context, rows, now, password)

    concerned = context.commit(make)
    renewed = accounts.row(context.reads, account.id)
    seeds = wraps.seeds(context, context.reads, renewed, password.k)
    return accounts.opened(context, renewed, seeds, tell=concerned)


def _owner(context: Context, ticket: bytes, k: bytes) -> Account:
    account = tickets.signed_in_well(context, context.reads, ticket)
    if not account.has("subscriber"):
        raise Denied(NOT_SUBSCRIBER)
    passkeys.confirm(context, account, k)
    return account


def _teller(context: Context, rows: Rows, ticket: bytes) -> Account:
    """Return a subscriber who may see codes; after a reset by mail only where codes are mailed anyway."""
    account = tickets.signed_in(context, rows, ticket)
    if account.is_weak and not policies.codes_on_receipt(context, rows, account.org):
        return tickets.signed_in_well(context, rows, ticket)
    if not account.has("subscriber"):
        raise Denied(NOT_SUBSCRIBER)
    return account

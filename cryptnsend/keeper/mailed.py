"""Who proves an address by a code that is mailed to it? Resets, sign-ups, visitors, aliases, invitations.

Such a code shows only that a mailbox is read, so it proves no contact and opens nothing from before. Every request for
one gets the same answer, whether there is an account or not.
"""

from __future__ import annotations

import dataclasses
import hmac

from cryptnsend.core import tokens
from cryptnsend.core.addresses import check_elsewhere
from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import CryptnSendError, Denied, Ended, WrongSecret
from cryptnsend.core.model import account_holder, new_id
from cryptnsend.core.seal import framed
from cryptnsend.keeper import (
    accounts,
    archives,
    budget,
    cards,
    contacts,
    ledger,
    policies,
    proofs,
    tickets,
    weakness,
    wraps,
)
from cryptnsend.keeper.context import DAY, Context
from cryptnsend.keeper.requests import MailProof, Opened, RecoveryFile, Reset
from cryptnsend.keeper.rows import Account, MailCode, Owner

SIGN_UPS = {"closed": (), "invite": ("invite",), "open": ("invite", "signup")}
PURPOSES = ("reset", "signup", "alias", "visit")
# What is mailed to an address that has an account already says so, and what was tried; it carries no code.
HAS_ACCOUNT = {"signup": "exists", "visit": "exists-visit", "alias": "exists-alias"}
CLOSED = "closed"  # what is mailed says only that an account is
MINUTE = 60_000  # milliseconds
LAST_WORD = 7 * DAY  # for which that mail may be under way
OVER = "This code no longer works. Ask for a new one."
KNOWN = "This address has an account already. Sign in with it."


# -- starting ---------------------------------------------------------------------------------------------------------


def start(context: Context, address: str, purpose: str, network: str) -> MailProof:
    """
    Prepare a code; what becomes of it depends on the address, the answer does not.

    *network* is where it was asked for, as budget.py counts it; empty where nobody can say.
    """
    if purpose not in PURPOSES or len(network) > budget.LENGTH:
        raise Denied("There is no such proof by mail.")
    if purpose == "signup" and context.settings.signup != "open":
        raise Denied("Sign-up is not open here. Ask for an invitation.")
    if purpose != "reset":
        check_elsewhere(address, context.settings.domain)
    row = prepared(context, address, purpose)

    def note(rows: Rows) -> None:
        owner = ledger.owner(rows, address)
        add(context, rows, dataclasses.replace(row, purpose=_fitting(owner, purpose)), network, owner.account)

    context.commit(note)
    return MailProof(row.id, row.expires, salt(context, row.id))


def prepared(context: Context, address: str, purpose: str, name: str = "") -> MailCode:
    """Return the row of a code to be mailed now."""
    now = context.clock.now()
    return MailCode(
        id=new_id(now, context.rng),
        purpose=purpose,
        address=address,
        org=0,
        name=name,
        era=ledger.era(context.reads),
        tries=0,
        made=now,
        expires=now + context.settings.mail_minutes * MINUTE,
        state="live",
    )


def add(context: Context, rows: Rows, row: MailCode, network: str, owner: int) -> None:
    """
    Note a code that *network* asks for; beyond the budget nothing is mailed and nothing could be guessed.

    *owner* is the account of the row's address, 0 for none.
    """
    by = budget.asked(context, rows, row.address, network, owner)
    if budget.allows(context, rows, row.address, by):
        # A code that somebody else asked for lives on: a stranger's asking must not end the owner's.
        proofs.replace_mail_codes(rows, row.address, row.purpose, by.network)
        noted = dataclasses.replace(row, network=by.network, known=int(by.known))
        ledger.insert(rows, "mail_codes", noted)
        proofs.drop_old(rows, row.made - DAY)


def invite(context: Context, address: str, organisation: int, name: str) -> MailProof:
    """Prepare an invitation, for the operator; an earlier one for the same address dies."""
    return _invitation(context, address, organisation, name, by_operator=True)


def invite_colleague(context: Context, address: str, organisation: int, name: str) -> MailProof:
    """
    Prepare an invitation as `invite`, for those who look after an organisation.

    That somebody is a subscriber elsewhere is not for them to know: the invitation is mailed, and makes nothing of who
    has an account.
    """
    return _invitation(context, address, organisation, name, by_operator=False)


def _invitation(context: Context, address: str, organisation: int, name: str, *, by_operator: bool) -> MailProof:
    check_elsewhere(address, context.settings.domain)
    now = context.clock.now()
    life = context.settings.invitation_days * DAY
    row = MailCode(
        new_id(now, context.rng),
        "invite",
        address,
        organisation,
        name,
        ledger.era(context.reads),
        0,
        now,
        now + life,
        "live",
    )

    def add(rows: Rows) -> None:
        owner = ledger.account_at(rows, address)
        if owner is not None and owner.has("subscriber") and (by_operator or owner.org == organisation):
            raise Denied("This address belongs to a subscriber already.")
        if ledger.organisation(rows, organisation) is None:
            raise Denied("There is no such organisation.")
        policies.check_subscriber(rows, organisation, address)
        proofs.replace_mail_codes(rows, address, "invite")
        ledger.insert(rows, "mail_codes", row)

    context.commit(add)
    return MailProof(row.id, row.expires, salt(context, row.id))


def last_word(context: Context, rows: Rows, account: int, address: str) -> int:
    """Remember where the owner of an account is told that it is closed; there is no code in that mail."""
    now = context.clock.now()
    row = MailCode(
        new_id(now, context.rng), CLOSED, address, 0, str(account), ledger.era(rows), 0, now, now + LAST_WORD, "live"
    )
    ledger.insert(rows, "mail_codes", row)
    return row.id


def salt(context: Context, ident: int) -> bytes:
    """Return the salt of whatever this mailed proof makes."""
    return accounts.proof_salt(context, _proof(ident))


def code_of(context: Context, row: MailCode) -> str:
    """Return the digits that are mailed."""
    digits = context.settings.next_digits if row.purpose == "invite" else context.settings.digits
    return tokens.code(context.secrets.key("code"), row.era, row.address, 0, row.id, digits)


# -- finishing --------------------------------------------------------------------------------------------------------


def reset(context: Context, ident: int, code: str, password: accounts.Password) -> Opened:
    """Set a new password by mail alone; see weakness.py for what that does not open."""
    row = checked(context, ident, code, ("reset",))
    known = ledger.account_at(context.reads, row.address)
    if proofs.spent(context.reads, _proof(ident)) is None and known is not None:
        context.journal.append(context.clock.now(), "weak", (known.id, known.credential_version + 1))

    def make(rows: Rows) -> int:
        earlier = proofs.spent(rows, _proof(ident))
        if earlier is not None:
            return earlier
        account = ledger.account_at(rows, row.address)
        if account is None or not account.may_sign_in:
            raise Denied(accounts.DISABLED)
        weakness.reset(context, rows, account, password)
        _used(context, rows, row, account.id)
        return account.id

    account, seeds = _reopened(context, context.commit(make), password)
    return accounts.opened(context, account, seeds, tell=contacts.unproven(context.reads, account))


def resets(context: Context) -> list[Reset]:
    """Return the resets by mail of the last day, for whoever looks whether all of them were told."""
    found = []
    for ident in proofs.resets(context.reads, context.clock.now() - DAY):
        account = accounts.row(context.reads, proofs.spent(context.reads, _proof(ident)) or 0)
        at = proofs.spent_at(context.reads, _proof(ident))
        found.append(Reset(account.id, at, account.is_weak, tuple(contacts.unproven(context.reads, account))))
    return found


def signup(context: Context, ident: int, code: str, password: accounts.Password, name: str, locale: str) -> Opened:
    """Make a subscriber, in the inviting organisation or in one of their own."""
    row = checked(context, ident, code, _sign_up_purposes(context))

    def make(rows: Rows) -> int:
        earlier = proofs.spent(rows, _proof(ident))
        if earlier is not None:
            return earlier
        if ledger.address(rows, row.address) is not None:
            raise Denied(KNOWN)
        proof = "mail" if row.purpose == "signup" else "invite"
        account = add_subscriber(
            context, rows, address=row.address, proof=proof, org=row.org, password=password, name=name, locale=locale,
            is_open=row.purpose == "signup",
        )  # fmt: skip
        _used(context, rows, row, account.id)
        return account.id

    account, seeds = _reopened(context, context.commit(make), password)
    return accounts.opened(context, account, seeds, recovery=archive_file(context, account, seeds))


def visit(context: Context, ident: int, code: str, password: accounts.Password, name: str, locale: str) -> Opened:
    """Make the account of who writes to a subscriber by their page: a recipient, whose address its mailbox shows."""
    row = checked(context, ident, code, ("visit",))

    def make(rows: Rows) -> int:
        earlier = proofs.spent(rows, _proof(ident))
        if earlier is not None:
            return earlier
        if ledger.address(rows, row.address) is not None:
            raise Denied(KNOWN)
        account = accounts.create(
            context, rows, org=0, roles=("recipient",), password=password, name=name, locale=locale
        )
        # Proof by mail proves no contact: what others seal for this address still waits for their codes.
        accounts.give_address(context, rows, row.address, account.id, "mail")
        cards.renew(context, rows, account_holder(account.id))
        _used(context, rows, row, account.id)
        return account.id

    account, seeds = _reopened(context, context.commit(make), password)
    return accounts.opened(context, account, seeds)


def subscribe(context: Context, ticket: bytes, k: bytes, ident: int | None, code: str) -> Opened:
    """Make a subscriber of a recipient who is signed in."""
    account = tickets.signed_in_well(context, context.reads, ticket)
    seeds = accounts.confirm_password(context, account, k)
    row = None if ident is None else checked(context, ident, code, _sign_up_purposes(context))
    if row is None and context.settings.signup != "open":
        raise Denied("Sign-up is not open here. Ask for an invitation.")

    def make(rows: Rows) -> None:
        now = tickets.signed_in_well(context, rows, ticket)
        if now.has("subscriber"):
            return
        if row is not None and row.address not in ledger.addresses(rows, now.id):
            raise Denied("This invitation is for another address.")
        invited = row.org if row else 0
        if now.org and invited != now.org:
            raise Denied("This account belongs to another organisation.")
        if row is not None:
            policies.check_subscriber(rows, invited, row.address)
        org, roles = _home(context, rows, invited, now.name)
        ledger.set_account(
            rows, now.id, org=org, roles=",".join(dict.fromkeys([*now.role_names, "subscriber", *roles])), form="zip",
            open_since=context.clock.now() if row is None else None,
        )  # fmt: skip
        _settle(context, rows, now.id)
        if row is not None:
            _used(context, rows, row, now.id)

    context.commit(make)
    made = accounts.row(context.reads, account.id)
    return accounts.opened(context, made, seeds, recovery=archive_file(context, made, seeds))


def alias(context: Context, ticket: bytes, ident: int, code: str) -> Opened:
    """Add an address to who is signed in. It may then stand in From; it proves no contact."""
    tickets.signed_in_well(context, context.reads, ticket)
    row = checked(context, ident, code, ("alias",))

    def make(rows: Rows) -> int:
        account = tickets.signed_in_well(context, rows, ticket)
        owned = ledger.address(rows, row.address)
        if owned is not None and owned.account != account.id:
            raise Denied("This address belongs to another account.")
        if owned is None and account.has("subscriber"):
            policies.check_subscriber(rows, account.org, row.address)
        if owned is None:
            accounts.give_address(context, rows, row.address, account.id, "mail")
            cards.renew(context, rows, account_holder(account.id))
        _used(context, rows, row, account.id)
        return account.id

    return accounts.opened(context, accounts.row(context.reads, context.commit(make)), {}, with_ticket=False)


def add_subscriber(
    context: Context,
    rows: Rows,
    *,
    address: str,
    proof: str,
    org: int,
    password: accounts.Password,
    name: str,
    locale: str,
    roles: tuple[str, ...] = (),
    is_open: bool = False,
) -> Account:
    """
    Make an account that may submit, with *roles* besides; *org* 0 makes an organisation of one.

    *is_open* says that nobody vouches for them: they signed up by themselves, and their card tells since when.
    """
    if not roles or "subscriber" in roles:
        policies.check_subscriber(rows, org, address)
    org, own = _home(context, rows, org, name)
    held = tuple(dict.fromkeys((*(roles or ("subscriber",)), *own)))
    made = accounts.create(context, rows, org=org, roles=held, password=password, name=name, locale=locale)
    accounts.give_address(context, rows, address, made.id, proof)
    if is_open:
        ledger.set_account(rows, made.id, open_since=context.clock.now())
    return _settle(context, rows, made.id)


def archive_file(context: Context, account: Account, seeds: dict[int, bytes]) -> RecoveryFile | None:
    """Return a recovery file for an officer who can open the archive, None for everybody else."""
    if not account.has("officer"):
        return None
    try:
        return archives.file(context, context.reads, account, seeds)
    except Denied:
        return None


def _home(context: Context, rows: Rows, org: int, name: str) -> tuple[int, tuple[str, ...]]:
    """Return the organisation a new account belongs to, and the roles that come with having one's own."""
    if org:
        return org, ()
    custody = context.settings.custody
    made = archives.make_organisation(context, rows, name, single=True, custody=custody, code_rule="")
    return made.id, ("subscriber", "officer")


def _settle(context: Context, rows: Rows, ident: int) -> Account:
    """Give a subscriber what comes with the role: delivery passphrase, archive, card."""
    account = accounts.row(rows, ident)
    if account.has("subscriber") and not ledger.passphrases(rows, ident):
        accounts.add_passphrase(context, rows, account)
    if account.has("officer"):
        archives.welcome_officer(context, rows, account)
    cards.renew(context, rows, account_holder(ident))
    return account


# -- the check of a mailed code ---------------------------------------------------------------------------------------


def checked(context: Context, ident: int, code: str, purposes: tuple[str, ...]) -> MailCode:
    """Return the row of a code that is right, live or used by the same proof before; count a wrong try."""

    def check(rows: Rows) -> MailCode | CryptnSendError:
        row, limit = proofs.mail_code(rows, ident), context.settings.tries
        if row is None or row.state == "replaced" or row.era != ledger.era(rows):
            return Ended(OVER)
        if row.tries >= limit or row.expires <= context.clock.now():
            return Ended(OVER)
        plain = "".join(code.replace("-", " ").split())
        if hmac.compare_digest(plain.encode(), code_of(context, row).encode()) and row.purpose in purposes:
            return row
        proofs.set_mail_code(rows, ident, tries=row.tries + 1, state=row.state)
        if row.tries + 1 >= limit:
            return Ended(OVER)
        return WrongSecret("This is not the code. Look again.", tries_left=limit - row.tries - 1)

    row = context.commit(check)
    if isinstance(row, CryptnSendError):
        raise row
    return row


def _fitting(owner: Owner, purpose: str) -> str:
    """Return what will be mailed: the code, a word that there is an account, or nothing."""
    if purpose == "reset":
        return "reset" if owner.may_sign_in else "nothing"
    return HAS_ACCOUNT[purpose] if owner.account else purpose


def _sign_up_purposes(context: Context) -> tuple[str, ...]:
    return SIGN_UPS[context.settings.signup]


def _reopened(context: Context, ident: int, password: accounts.Password) -> tuple[Account, dict[int, bytes]]:
    """Return account and seeds of what a proof made, now or at an earlier try with the same password."""
    account = accounts.row(context.reads, ident)
    try:
        return account, wraps.seeds(context, context.reads, account, password.k)
    except WrongSecret:
        raise Ended("This code was used already. Sign in with the password you chose then.") from None


def _used(context: Context, rows: Rows, row: MailCode, ident: int) -> None:
    proofs.set_mail_code(rows, row.id, tries=row.tries, state="used")
    proofs.spend(rows, _proof(row.id), ident, context.clock.now())


def _proof(ident: int) -> bytes:
    return framed("mailed", ident)

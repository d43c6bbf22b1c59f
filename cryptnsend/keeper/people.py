"""What may officers and managers order about the people of their organisation? The keeper looks who asks, each time.

Managers look after people, officers besides after roles. Both need a second step after their password, and type the
password again for whatever stops somebody or gives them something. Nobody reaches beyond their own organisation, and no
manager an officer.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Denied, NoGrant
from cryptnsend.core.model import account_holder
from cryptnsend.keeper import (
    accounts,
    archives,
    cards,
    contacts,
    glass_rows,
    ledger,
    mailed,
    owner,
    passkeys,
    policies,
    second,
    tickets,
)
from cryptnsend.keeper.context import Context
from cryptnsend.keeper.requests import MailProof, Opened
from cryptnsend.keeper.rows import Account

GIVEN = frozenset(owner.GIVEN)
NOT_STAFF = "Only officers and managers of the organisation may do this."
NOBODY = "There is no such person in your organisation."
OFFICERS_FIRST = "Only an officer may do this to an officer."
JOURNAL = "Copies of mail go to this mailbox, so only an officer may do this to it."
NOT_YOURSELF = "This cannot be done to oneself. Ask another officer."
LAST_OFFICER = "An organisation keeps at least one officer: nobody could set its rules or open its archive."


def is_staff(account: Account) -> bool:
    """Say whether somebody looks after an organisation, by their roles alone."""
    return bool(account.org) and (account.has("officer") or account.has("manager"))


def staff(context: Context, ticket: bytes) -> Account:
    """Return the officer or manager who is signed in, with a second step; raise `Denied` for everybody else."""
    somebody = tickets.signed_in_well(context, context.reads, ticket)
    if not is_staff(somebody):
        raise Denied(NOT_STAFF)
    if not second.is_on(context.reads, somebody.id):
        raise Denied(policies.SECOND)
    return somebody


def invite(context: Context, ticket: bytes, address: str, name: str) -> MailProof:
    """Invite a subscriber into the organisation of who is signed in, whom nothing tells of subscribers elsewhere."""
    return mailed.invite_colleague(context, address, staff(context, ticket).org, name)


def disable(context: Context, ticket: bytes, k: bytes, address: str) -> Opened:
    """Stop somebody from signing in anywhere."""
    by = _sure(context, ticket, k)
    person = _person(context, by, address)
    if person.has("officer"):
        _check_officers(context, person)
    return owner.disable(context, address)


def enable(context: Context, ticket: bytes, k: bytes, address: str) -> Opened:
    """Let somebody sign in again who was stopped."""
    by = _sure(context, ticket, k)
    person = _person(context, by, address)
    if person.state == "closed":
        raise Denied("This account is closed.")
    return owner.enable(context, address)


def set_roles(context: Context, ticket: bytes, k: bytes, address: str, roles: list[str], code: str) -> Opened:
    """Give somebody these roles; only an officer may, and never to themselves."""
    by = policies.officer_of(context, ticket)
    seeds = accounts.confirm_password(context, by, k)
    person = _person(context, by, address)
    wanted = [role for role in owner.GIVEN if role in roles]
    if not wanted or not set(roles) <= GIVEN:
        raise Denied("An account cannot have these roles.")
    if person.has("officer") and "officer" not in wanted:
        _check_officers(context, person)
    second.check_fresh(context, by, code)
    if "subscriber" in wanted and not person.has("subscriber"):
        policies.check_subscriber(context.reads, by.org, ledger.addresses(context.reads, person.id)[0])
    becomes = "officer" in wanted and not person.has("officer")
    if becomes and person.state != "active":
        raise Denied("Whoever becomes an officer has to be able to sign in.")

    def change(rows: Rows) -> None:
        now = accounts.row(rows, person.id)
        kept = [role for role in now.role_names if role not in GIVEN]
        ledger.set_account(rows, now.id, roles=",".join([*wanted, *kept]))
        renewed = accounts.row(rows, person.id)
        # Whom the server's owner made an officer, or who reset their password, opens no archive until another says so.
        if becomes or ("officer" in wanted and now.state == "active" and not archives.is_shared(rows, renewed)):
            _, seed = archives.opened(rows, by, seeds)
            archives.share(context, rows, seed, renewed)
        elif "officer" not in wanted:
            archives.unshare(rows, renewed)
            glass_rows.end_all(rows, renewed.id, context.clock.now())
        owner.journal_roles(context, rows, renewed)

    context.commit(change)
    return accounts.opened(context, accounts.row(context.reads, person.id), {}, with_ticket=False)


def hand_over(context: Context, ticket: bytes, k: bytes, address: str, to: str, code: str) -> list[Opened]:
    """
    Give a leaver's addresses to a colleague, and stop the leaver from signing in.

    What is sent there from now on reaches the colleague. What was sealed for the leaver stays sealed for them: that is
    for an officer to open, from the archive and in everybody's sight.
    """
    by = _sure(context, ticket, k)
    person, heir = _person(context, by, address), _person(context, by, to, others=False)
    if person.id == heir.id:
        raise Denied("Somebody else has to take this over.")
    if person.has("officer"):
        _check_officers(context, person)
    if heir.state != "active" or not heir.has("subscriber"):
        raise Denied("Whoever takes this over has to be a subscriber who can sign in.")
    second.check_fresh(context, by, code)
    context.journal.append(context.clock.now(), "disable", (person.id, person.credential_version + 1))

    def move(rows: Rows) -> None:
        leaver = accounts.row(rows, person.id)
        for each in ledger.addresses(rows, leaver.id):
            contacts.unprove(rows, leaver, each)
            accounts.give_address(context, rows, each, heir.id, "owner")
        # The pairs stay as they are, under a password that opens nothing any more. Were they withheld, as an address
        # that is taken away leaves them, the keeper would open the leaver's earlier mail for the colleague.
        ledger.set_account(rows, leaver.id, state="disabled", credential_version=leaver.credential_version + 1)
        glass_rows.end_all(rows, leaver.id, context.clock.now())
        cards.renew(context, rows, account_holder(leaver.id))
        cards.renew(context, rows, account_holder(heir.id))

    context.commit(move)
    both = (accounts.row(context.reads, ident) for ident in (person.id, heir.id))
    return [accounts.opened(context, each, {}, with_ticket=False) for each in both]


def _sure(context: Context, ticket: bytes, k: bytes) -> Account:
    somebody = staff(context, ticket)
    passkeys.confirm(context, somebody, k)
    return somebody


def _person(context: Context, by: Account, address: str, *, others: bool = True) -> Account:
    """Return somebody of the organisation; *others*: nobody may do this to themselves, nor a manager to an officer."""
    person = ledger.account_at(context.reads, address)
    if person is None or person.org != by.org:
        raise NoGrant(NOBODY)
    if others and person.id == by.id:
        raise Denied(NOT_YOURSELF)
    if others and person.has("officer") and not by.has("officer"):
        raise Denied(OFFICERS_FIRST)
    if others and not by.has("officer") and policies.is_journal(context.reads, person):
        raise Denied(JOURNAL)
    return person


def _check_officers(context: Context, leaving: Account) -> None:
    officers: Sequence[Account] = ledger.officers(context.reads, leaving.org)
    if not [each for each in officers if each.id != leaving.id and each.state == "active"]:
        raise Denied(LAST_OFFICER)

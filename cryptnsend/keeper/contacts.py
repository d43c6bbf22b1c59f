"""May this account open what this subscriber's thread holds for this address? The rule behind every release of a key.

A contact is proven by the subscriber's own code, or waived by the rule of the subscriber's organisation. Nobody needs
a code in their own threads, nor members of one organisation among themselves, nor people of an organisation that the
subscriber's named as a partner, at the domain that it named. None of that counts while an account is weak, but for
codes told since, and for organisations that ask for no code at all.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from cryptnsend.core import organisation as rules
from cryptnsend.core import partners
from cryptnsend.core.contracts import Rows
from cryptnsend.keeper import cards, ledger
from cryptnsend.keeper.context import Context
from cryptnsend.keeper.requests import ContactRow
from cryptnsend.keeper.rows import Account, Contact

CODE_RULES = ("new-contact", "new-recipient", "always", "never")


@dataclass(frozen=True, slots=True)
class Clearance:
    """
    Why a contact may be opened: proven, or waived.

    *until* limits it to messages made before then, where each message needs a code of its own (rule `always`); such
    a contact gets no statement, so that nothing is sealed past it.
    """

    state: str  # proven, waived
    until: int | None = None


def code_rule(context: Context, reads: ledger.Reads, org: int) -> str:
    """Return when contacts of this organisation's subscribers need a code."""
    organisation = ledger.organisation(reads, org)
    return (organisation.code_rule if organisation else "") or context.settings.code_rule


def clearance(
    context: Context, reads: ledger.Reads, account: Account, address: str, subscriber: Account
) -> Clearance | None:
    """
    Say why *account* may open what *subscriber*'s threads hold for *address*, or None if it may not.

    The address has to be the account's own by the ledger; what a caller says about it counts for nothing.
    """
    owned = ledger.address(reads, address)
    if owned is None or owned.account != account.id or not account.may_sign_in:
        return None
    if not account.is_weak and (
        account.id == subscriber.id
        or are_members(account, subscriber)
        or is_partner(reads, account, address, subscriber)
    ):
        return Clearance("waived")
    rule = code_rule(context, reads, subscriber.org)
    if rule == "never":
        return Clearance("waived")
    row = ledger.contact(reads, address, subscriber.id)
    if row is not None and is_proven(row, account):
        return Clearance("proven", row.proven_at if rule == "always" else None)
    # Proofs for other subscribers of the same organisation count, never those for strangers: whoever reads this
    # mailbox can become a subscriber and tell themselves a code.
    if rule == "new-recipient" and ledger.knows_organisation(
        reads, address, account.id, account.generation, subscriber.org
    ):
        return Clearance("waived")
    return None


def are_members(account: Account, subscriber: Account) -> bool:
    """Say whether both are subscribers of one organisation, neither of them weak."""
    return (
        account.org == subscriber.org != 0
        and account.has("subscriber")
        and subscriber.has("subscriber")
        and not account.is_weak
    )


def is_partner(reads: ledger.Reads, account: Account, address: str, subscriber: Account) -> bool:
    """Say whether the subscriber's organisation named the account's, and the domain of that address, as a partner."""
    if account.org == subscriber.org or not account.org or not subscriber.has("subscriber"):
        return False
    organisation = ledger.organisation(reads, subscriber.org)
    said = rules.read(organisation.policy) if organisation is not None and organisation.policy else {}
    return partners.are_partners(said.get("member_domains"), address, account.org, account.role_names, account.is_weak)


def is_proven(row: Contact, account: Account) -> bool:
    """Say whether this account, as it is since its last weak reset, proved the contact."""
    return row.state == "proven" and row.account == account.id and row.account_generation == account.generation


def note_proof(context: Context, rows: Rows, row: Contact, account: Account) -> None:
    """Note that *account* told the code of this contact."""
    proven = dataclasses.replace(
        row,
        state="proven",
        account=account.id,
        account_generation=account.generation,
        account_line=account.line,
        proven_at=context.clock.now(),
        spent=row.generation,
    )
    ledger.set_contact(rows, proven)


def unprove(rows: Rows, account: Account, address: str = "") -> list[int]:
    """
    Let the account's proofs count no more, all or those of one *address*; return the subscribers concerned.

    Who proved stays noted: when the account's owner shows who they are, the proofs count again (`restore`).
    """
    concerned = set()
    for row in ledger.contacts_of(rows, account.id):
        if row.state == "proven" and address in ("", row.address):
            ledger.set_contact(rows, dataclasses.replace(row, state="new"))
            concerned.add(row.subscriber)
    return sorted(concerned - {account.id})


def restore(rows: Rows, account: Account) -> None:
    """Let proofs count again that were given in the account's line, before a weak reset."""
    for row in ledger.contacts_of(rows, account.id):
        if row.state == "new" and row.account_line == account.line:
            owned = ledger.address(rows, row.address)
            if owned is not None and owned.account == account.id:
                again = dataclasses.replace(row, state="proven", account_generation=account.generation)
                ledger.set_contact(rows, again)


def rows_of(context: Context, reads: ledger.Reads, account: Account) -> tuple[ContactRow, ...]:
    """Return the account's proven contacts with the keeper's statements, for the main database to copy."""
    found = []
    for row in ledger.contacts_of(reads, account.id):
        subscriber = ledger.account(reads, row.subscriber) if is_proven(row, account) else None
        if subscriber is None:
            continue
        stated = row_of(context, reads, account, row.address, subscriber)
        if stated is not None:
            found.append(stated)
    return tuple(found)


def row_of(
    context: Context, reads: ledger.Reads, account: Account, address: str, subscriber: Account
) -> ContactRow | None:
    """Return one contact with the keeper's statement, or None if the keeper cannot make one."""
    cleared = clearance(context, reads, account, address, subscriber)
    if cleared is None or cleared.until is not None:
        return None
    return cards.contact_row(context, account, address, subscriber, cleared.state)


def unproven(reads: ledger.Reads, account: Account) -> list[int]:
    """Return the subscribers whose contacts with this account counted once and count no more."""
    return sorted(
        {row.subscriber for row in ledger.contacts_of(reads, account.id) if row.state == "new"} - {account.id}
    )

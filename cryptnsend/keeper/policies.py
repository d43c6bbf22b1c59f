"""What did an organisation say of its rules? The keeper has the text, and puts its fingerprint on the archive's card.

Whoever seals reads the text in the main database and believes it as far as the fingerprint goes: one row that was
changed would otherwise send everybody's mail in plain. Code rule and custody decide here, so they are taken out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from cryptnsend.core import journals
from cryptnsend.core import organisation as rules
from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Denied, Sentence
from cryptnsend.core.model import Signed, account_holder, archive_holder
from cryptnsend.keeper import accounts, archives, cards, ledger, second, tickets
from cryptnsend.keeper.context import Context
from cryptnsend.keeper.requests import PolicyTaken
from cryptnsend.keeper.rows import Account

SECOND = "Officers and managers need a second step after their password. Set one up under Settings first."


def set_by_officer(context: Context, ticket: bytes, k: bytes, text: str, code: str) -> PolicyTaken:
    """Take an officer's word on the rules of their organisation, who showed password and second step once more."""
    officer = officer_of(context, ticket)
    accounts.confirm_password(context, officer, k)
    second.check_fresh(context, officer, code)
    return take(context, officer.org, text)


def officer_of(context: Context, ticket: bytes) -> Account:
    """Return the officer who is signed in, with a second step; raise `Denied` for everybody else."""
    officer = tickets.signed_in_well(context, context.reads, ticket)
    if not officer.has("officer") or not officer.org:
        raise Denied(archives.NOT_OFFICER)
    if not second.is_on(context.reads, officer.id):
        raise Denied(SECOND)
    return officer


def take(context: Context, organisation: int, text: str) -> PolicyTaken:
    """Take what an organisation says of its rules; raise `Denied` for a text that is not well formed."""
    try:
        said = {name: tuple(value) if isinstance(value, list) else value for name, value in _decoded(text).items()}
        if rules.write(rules.check(said)) != text:
            raise ValueError
    except (msgspec.MsgspecError, ValueError):
        raise Denied("These rules are not well formed.") from None

    def put(rows: Rows) -> list[Signed]:
        known = ledger.organisation(rows, organisation) if organisation else None
        if known is None:
            raise Denied("There is no such organisation.")
        before = rules.read(known.policy or "{}")
        _check_journals(rows, organisation, before, said)
        custody, rule = known.custody, known.code_rule
        # What was never said in a text may have been set when the organisation was made, and stays.
        if "custody" in said or "custody" in before:
            custody = str(said.get("custody", context.settings.custody))
        if "code_rule" in said or "code_rule" in before:
            rule = str(said.get("code_rule", ""))
        ledger.set_policy(rows, organisation, "" if text == "{}" else text, custody, rule)
        holders = [archive_holder(organisation)]
        if custody != known.custody:
            holders += map(account_holder, ledger.members(rows, organisation))
        return [cards.renew(context, rows, holder) for holder in holders]

    signed = context.commit(put)
    taken = ledger.organisation(context.reads, organisation)
    if taken is None:
        raise Denied("There is no such organisation.")
    return PolicyTaken(cards.organisation_row(taken), signed)


def _check_journals(
    reads: ledger.Reads, organisation: int, before: Mapping[str, rules.Value], said: Mapping[str, rules.Value]
) -> None:
    """Raise `Denied` if copies of mail would go to anybody but a subscriber of the organisation itself."""
    for mailbox in journals.added(before.get("journal_to"), said.get("journal_to")).values():
        account = ledger.account_at(reads, mailbox)
        if account is None or account.org != organisation or not account.has("subscriber"):
            raise Denied(
                Sentence(
                    "Copies go to subscribers of this organisation only, and %(address)s is none. Invite that address.",
                    address=mailbox,
                )
            )


def is_journal(reads: ledger.Reads, account: Account) -> bool:
    """Say whether copies of the organisation's mail go to this account."""
    mailboxes = journals.by_domain(said_by(reads, account.org).get("journal_to")).values()
    return bool(set(mailboxes) & set(ledger.addresses(reads, account.id)))


def said_by(reads: ledger.Reads, ident: int) -> dict[str, rules.Value]:
    """Return what an organisation said, by names of settings."""
    known = ledger.organisation(reads, ident)
    return rules.read(known.policy) if known is not None and known.policy else {}


def codes_on_receipt(context: Context, reads: ledger.Reads, organisation: int) -> bool:
    """Say whether codes of this organisation's people are mailed to them; both it and the installation may say no."""
    return context.settings.codes_on_receipt and said_by(reads, organisation).get("code_on_receipt", True) is True


def _decoded(text: str) -> dict[str, Any]:
    return msgspec.json.decode(text, type=dict[str, Any])

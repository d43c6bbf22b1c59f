"""What did an organisation say of its rules? The keeper has the text, and puts its fingerprint on the archive's card.

Whoever seals reads the text in the main database and believes it as far as the fingerprint goes: one row that was
changed would otherwise send everybody's mail in plain. Code rule and custody decide here, so they are taken out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from cryptnsend.core import journals, partners
from cryptnsend.core import organisation as rules
from cryptnsend.core import organisation_typed as typed
from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Denied, Sentence
from cryptnsend.core.model import Signed, account_holder, archive_holder
from cryptnsend.keeper import archives, cards, ledger, passkeys, second, tickets
from cryptnsend.keeper.context import Context
from cryptnsend.keeper.requests import PolicyTaken
from cryptnsend.keeper.rows import Account

MOST_NAMED = 5  # addresses or domains in one sentence
SECOND = "Officers and managers need a second step after their password. Set one up under Settings first."


def set_by_officer(context: Context, ticket: bytes, k: bytes, text: str, code: str) -> PolicyTaken:
    """Take an officer's word on the rules of their organisation, who showed password and second step once more."""
    officer = officer_of(context, ticket)
    passkeys.confirm(context, officer, k)
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


def end_partners(context: Context, organisation: int, text: str) -> PolicyTaken:
    """
    Take the rules of an organisation without the numbers of partners whose domains are proven no more.

    That takes something away and gives nobody anything, so that nobody's word is needed; raise `Denied` for any other
    difference to what is known.
    """
    known = ledger.organisation(context.reads, organisation) if organisation else None
    before, said = rules.read(known.policy if known is not None else "{}"), rules.read(text)
    named, left = (partners.by_domain(each.pop("member_domains", None)) for each in (before, said))
    if before != said or list(named) != list(left) or any(left[each] not in (0, named[each]) for each in left):
        raise Denied("This is more than the end of a partnership.")
    return take(context, organisation, text)


def take(context: Context, organisation: int, text: str) -> PolicyTaken:
    """Take what an organisation says of its rules; raise `Denied` for a text that is not well formed."""
    try:
        said = {name: tuple(value) if isinstance(value, list) else value for name, value in _decoded(text).items()}
        if rules.write(typed.check(said)) != text:
            raise ValueError
    except (msgspec.MsgspecError, ValueError):
        raise Denied("These rules are not well formed.") from None

    def put(rows: Rows) -> list[Signed]:
        known = ledger.organisation(rows, organisation) if organisation else None
        if known is None:
            raise Denied("There is no such organisation.")
        before = rules.read(known.policy or "{}")
        _check_journals(rows, organisation, before, said)
        _check_people(rows, organisation, before, said)
        _check_partners(rows, organisation, before, said)
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


def _check_people(
    reads: ledger.Reads, organisation: int, before: Mapping[str, rules.Value], said: Mapping[str, rules.Value]
) -> None:
    """Raise `Denied` for domains at which subscribers of the organisation are not: nobody is shut out unseen."""
    places = _places(said)
    if places == _places(before):
        return
    accounts_of = (ledger.account(reads, ident) for ident in ledger.members(reads, organisation))
    people = [each for each in accounts_of if each is not None and each.has("subscriber") and each.may_sign_in]
    at = [address for each in people for address in ledger.addresses(reads, each.id)[:1]]
    outside = [address for address in at if not rules.may_subscribe(places, address)]
    if outside:
        raise Denied(
            Sentence(
                "%(people)s would be no subscribers any more. Name their domains or addresses, too, or stop them from"
                " signing in first.",
                people=", ".join(outside[:MOST_NAMED]),
            )
        )


def _check_partners(
    reads: ledger.Reads, organisation: int, before: Mapping[str, rules.Value], said: Mapping[str, rules.Value]
) -> None:
    """Raise `Denied` for a partner that is no other organisation of this server."""
    for domain, number in partners.added(before.get("member_domains"), said.get("member_domains")).items():
        if number and (number == organisation or ledger.organisation(reads, number) is None):
            raise Denied(
                Sentence(
                    "%(domain)s is not the domain of another organisation with the number %(number)s.",
                    domain=domain,
                    number=str(number),
                )
            )


def check_subscriber(reads: ledger.Reads, organisation: int, address: str) -> None:
    """Raise `Denied` for an address that no subscriber of the organisation may have, by what it said of domains."""
    places = _places(said_by(reads, organisation))
    if not rules.may_subscribe(places, address):
        raise Denied(
            Sentence(
                "%(address)s cannot be a subscriber's: this organisation has them only at %(places)s. Take an address"
                " there, or let an officer change the rule.",
                address=address,
                places=", ".join(places[:MOST_NAMED]),
            )
        )


def _places(said: Mapping[str, rules.Value]) -> tuple[str, ...]:
    found = said.get("subscriber_domains", ())
    return found if isinstance(found, tuple) else ()


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


def instead_of_code(context: Context, reads: ledger.Reads, organisation: int) -> str:
    """Return the most that people of this organisation may let stand in for their code; the installation goes first."""
    said = str(said_by(reads, organisation).get("code_instead", context.settings.instead_of_code))
    return rules.less_instead(context.settings.instead_of_code, said)


def _decoded(text: str) -> dict[str, Any]:
    return msgspec.json.decode(text, type=dict[str, Any])

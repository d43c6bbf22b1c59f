"""What does the keeper vouch for? It signs a card per holder and a statement per proven contact.

Nobody can ask for a signature over words of their own: both are made from the ledger's rows. A card gets its next
version exactly when something on it changes.
"""

from __future__ import annotations

import msgspec

from cryptnsend.core import cards
from cryptnsend.core import look as organisation_look
from cryptnsend.core import organisation as organisation_policy
from cryptnsend.core.contracts import Rows
from cryptnsend.core.model import (
    Card,
    ContactStatement,
    PairCard,
    Signed,
    account_holder,
    archive_holder,
)
from cryptnsend.keeper import ledger
from cryptnsend.keeper.context import Context
from cryptnsend.keeper.requests import ContactRow, OrganisationRow, PairRow
from cryptnsend.keeper.rows import Account, Organisation, Pair

_decoder = msgspec.json.Decoder(Card)


def sign(context: Context, label: str, body: bytes) -> Signed:
    """Return *body* with the keeper's signature over it under this label."""
    return Signed(body, context.secrets.signing.sign(cards.signed_octets(label, body)))


def renew(context: Context, rows: Rows, holder: str) -> Signed:
    """Return the holder's card as the ledger has it in this transaction, with a new version if it changed."""
    written = ledger.card(rows, holder)
    version = written[0] if written else 0
    card = _archive_card(rows, holder, version) if holder.startswith("archive:") else _card(rows, holder, version)
    if written and _decoder.decode(written[1]) == card:
        return Signed(written[1], written[2])
    signed = sign(context, cards.CARD, cards.body_of(msgspec.structs.replace(card, version=version + 1)))
    ledger.set_card(rows, holder, version + 1, signed.body, signed.signature)
    return signed


def newest(reads: ledger.Reads, holder: str) -> Signed | None:
    """Return the holder's newest card, or None without one."""
    written = ledger.card(reads, holder)
    return Signed(written[1], written[2]) if written else None


def contact_row(context: Context, account: Account, address: str, subscriber: Account, state: str) -> ContactRow:
    """Return the keeper's word that a contact is proven or waived; the caller has made sure that it is."""
    said = ContactStatement(address, subscriber.id, account.id, account.generation, state)
    packed = cards.packed(sign(context, cards.CONTACT, cards.body_of(said)))
    return ContactRow(address, subscriber.id, subscriber.org, account.id, state, packed)


def pair_row(pair: Pair) -> PairRow:
    """Return a pair as the main database copies it."""
    return PairRow(pair.id, pair.org, pair.holder, pair.role, pair.custody, pair.suite, pair.public, pair.state)


def organisation_row(organisation: Organisation) -> OrganisationRow:
    """Return an organisation as the main database copies it."""
    return OrganisationRow(
        organisation.id,
        organisation.name,
        bool(organisation.single),
        organisation.custody,
        organisation.code_rule,
        organisation.policy,
        organisation.look,
    )


def _card(rows: Rows, holder: str, version: int) -> Card:
    account = ledger.account(rows, int(holder.removeprefix("account:")))
    if account is None or account_holder(account.id) != holder:
        raise LookupError(f"no account is the holder {holder}")
    organisation = ledger.organisation(rows, account.org)
    pairs = _current(rows, holder)
    # Without addresses on the card, mail waits under the keeper's pending key until the account is whole again.
    addresses = ledger.addresses(rows, account.id) if account.may_sign_in and pairs else ()
    return Card(
        holder=holder,
        version=version,
        organisation=account.org,
        account=account.id,
        addresses=addresses,
        roles=account.role_names,
        custody=organisation.custody if organisation else "",
        pairs=pairs,
        reply_address=addresses[0] if addresses else "",
        form=account.form,
        weak=account.is_weak,
        generation=account.generation,
        open_since=account.open_since or 0,
        friends=account.friend_addresses,
        own_keys=account.own_marks,
        known_keys=account.known_marks,
    )


def _archive_card(rows: Rows, holder: str, version: int) -> Card:
    organisation = ledger.organisation(rows, int(holder.removeprefix("archive:")))
    if organisation is None or archive_holder(organisation.id) != holder:
        raise LookupError(f"no organisation is the holder {holder}")
    return Card(
        holder=holder,
        version=version,
        organisation=organisation.id,
        account=0,
        addresses=(),
        roles=("archive",),
        custody=organisation.custody,
        pairs=_current(rows, holder),
        reply_address="",
        form="",
        weak=False,
        generation=0,
        policy=organisation_policy.digest(organisation.policy),
        look=organisation_look.digest(organisation.look),
    )


def _current(rows: Rows, holder: str) -> tuple[PairCard, ...]:
    return tuple(
        PairCard(pair.id, pair.custody, pair.suite, pair.public)
        for pair in ledger.pairs(rows, holder)
        if pair.state == "current"
    )

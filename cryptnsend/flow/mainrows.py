"""How do the keeper's answers become rows of the main database? One transaction, the same each time.

The keeper's ledger commits first. If this process dies before the rows are written, the next sign-in writes them: every
answer of the keeper says everything again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cryptnsend.core import look, words
from cryptnsend.core.cards import read_card
from cryptnsend.core.contracts import Clock, Engine, Rows
from cryptnsend.core.model import KEEPER, Card, Random, Signed, new_id
from cryptnsend.keeper.client import Keeper
from cryptnsend.keeper.requests import ContactRow, Opened
from cryptnsend.store.records import accounts, audit, cards, glass, looks, policies, sessions


def take_opened(
    engine: Engine,
    keeper: Keeper,
    clock: Clock,
    random: Random,
    opened: Opened,
    note: Callable[[Rows], None],
    *,
    ends_sessions: bool = False,
) -> None:
    """Copy the keeper's answer into the main rows, with the audit row that *note* writes, in one transaction."""
    now, key = clock.now(), keeper.anchors().card_key

    def write(rows: Rows) -> None:
        write_opened(rows, opened, key, now, random)
        if ends_sessions:
            sessions.end_all(rows, opened.account)
        note(rows)
        if "officer" not in opened.roles or opened.state == "disabled":
            _end_glass_breaks(rows, opened.account, now)

    engine.write(write).result()


def _end_glass_breaks(rows: Rows, account: int, now: int) -> None:
    """Write down that what somebody asked for as an officer is over: the keeper has ended it, for good."""
    for row in glass.of_officer(rows, account):
        if glass.ended(rows, row["org"], row["id"], now):
            audit.append(rows, row["org"], now, KEEPER, "glass.ended", str(row["id"]), {"reason": "role"})


def write_opened(rows: Rows, opened: Opened, card_key: bytes, now: int, random: Random) -> None:
    """Copy an account with everything that belongs to it, as the keeper says it stands now."""
    org = opened.organisation_row
    if org is not None:
        accounts.put_organisation(rows, org.id, org.name, org.single, now)
        if org.policy and accounts.policy(rows, org.id) != org.policy:
            policies.add(rows, org.id, org.policy, now, KEEPER, "")  # the one who changed it died before writing it
        if org.look and looks.text(rows, org.id) != org.look:
            looks.add(rows, org.id, org.look, look.read(org.look).get("host", ""), now, KEEPER, "")
    accounts.put_account(
        rows,
        opened.account,
        opened.organisation,
        opened.roles,
        opened.state,
        opened.credential_version,
        opened.name,
        opened.locale,
        now,
    )
    for pair in opened.pairs:
        accounts.put_pair(
            rows, pair.id, pair.organisation, pair.holder, pair.role, pair.custody, pair.suite, pair.public, pair.state
        )
    for signed in opened.cards:
        write_card(rows, signed, card_key, now, random, opened.addresses)
    valid = {(each.address, each.subscriber) for each in opened.contacts}
    accounts.forget_contacts(rows, opened.account, valid)
    for contact in opened.contacts:
        write_contact(rows, contact, now, random)


def write_card(rows: Rows, signed: Signed, card_key: bytes, now: int, random: Random, kept: Sequence[str] = ()) -> Card:
    """
    Copy a card, and which addresses it says are its account's; raise `SealBroken` if the keeper did not sign it.

    *kept* stay the account's too: the card of a disabled one lists none, so that nothing is sealed to it.
    """
    card = read_card(signed, card_key)
    accounts.put_card(rows, card.organisation, card.holder, card.version, signed.body, signed.signature)
    if card.account and cards.latest(rows, card.holder) == card.version:
        for address in card.addresses:
            accounts.put_address(rows, new_id(now, random), address, card.account)
        accounts.release_addresses(rows, card.account, (*card.addresses, *kept))
    return card


def write_contact(rows: Rows, contact: ContactRow, now: int, random: Random) -> None:
    """Copy one contact with the keeper's statement."""
    known = cards.address(rows, contact.address)
    if known is None:
        ident = new_id(now, random)
        cards.add_address(rows, ident, contact.address, contact.address)
        known = ident, None
    phrase, earlier = accounts.contact_phrase(rows, known[0], contact.subscriber)
    accounts.put_contact(
        rows,
        new_id(now, random),
        contact.organisation,
        known[0],
        contact.subscriber,
        contact.state,
        contact.account,
        contact.statement,
        now,
    )
    if not phrase or earlier not in (None, contact.account):
        agreed = accounts.own_phrase(rows, contact.account) if not phrase else ""
        accounts.set_phrase(rows, known[0], contact.subscriber, agreed or new_phrase(random, _language(rows, contact)))


def new_phrase(random: Random, language: str) -> str:
    """Return two words that every mail to a recipient carries from their first message on."""
    return words.passphrase(random, 2 * words.BITS, language).replace("-", " ")


def _language(rows: Rows, contact: ContactRow) -> str:
    """Return the language of the mails to a contact: their own, or that of who writes to them."""
    return accounts.language(rows, contact.account) or accounts.language(rows, contact.subscriber)

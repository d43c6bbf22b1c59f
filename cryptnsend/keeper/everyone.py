"""What may every role ask? Public keys, cards, and to note how far an audit chain has come and what has ended."""

from __future__ import annotations

import hmac

from cryptnsend.core import checkpoints
from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Denied, SealBroken, Sentence
from cryptnsend.core.model import Signed
from cryptnsend.core.seal import framed
from cryptnsend.keeper import cards, contacts, ledger
from cryptnsend.keeper.context import DAY, Context
from cryptnsend.keeper.requests import Anchors, ContactName, Vouched, Witnessed, WitnessKeys

ENDINGS = frozenset({"suspend", "undo", "shred", "cancel"})  # the others are the keeper's own to write
MOST = 100  # holders and contacts in one request, so that their cards fit into a frame


def anchors(context: Context) -> Anchors:
    """Return what everything else is checked against."""
    return Anchors(
        context.secrets.card_key,
        context.secrets.pair_card("pending"),
        context.secrets.pair_card("queue"),
        ledger.era(context.reads),
        context.settings.code_rule,
        context.boot,
    )


def card(context: Context, holder: str) -> Signed | None:
    """Return the newest card of a holder."""
    return cards.newest(context.reads, holder)


def vouch(context: Context, holders: list[str], names: list[ContactName]) -> Vouched:
    """
    Return what is true of holders and contacts at this moment: newest cards, statements on contacts.

    Whoever seals asks for it. A card or a statement of before was signed all the same, and one UPDATE puts it back.
    """
    if len(holders) > MOST or len(names) > MOST:
        raise Denied(Sentence("Ask for at most %(most)s at a time.", most=MOST))
    reads = context.reads
    return Vouched(
        [cards.newest(reads, holder) for holder in holders], [_statement(context, reads, each) for each in names]
    )


def _statement(context: Context, reads: ledger.Reads, name: ContactName) -> bytes:
    account, subscriber = ledger.account_at(reads, name.address), ledger.account(reads, name.subscriber)
    if account is None or subscriber is None:
        return b""
    stated = contacts.row_of(context, reads, account, name.address, subscriber)
    return stated.statement if stated else b""


def checkpoint(context: Context, organisation: int, seq: int, head: bytes) -> Witnessed:
    """Note how far an audit chain has come, never backwards, and sign it."""
    if len(head) > checkpoints.HASH:
        raise Denied("This is no hash of an entry.")

    def note(rows: Rows) -> None:
        known = ledger.organisation(rows, organisation)
        if known is None:
            raise Denied("There is no such organisation.")
        if seq < known.head_seq:
            raise Denied("The audit trail has come further than that: entries are missing.")
        if seq == known.head_seq and known.head not in (b"", head):
            raise SealBroken("The audit trail has another entry at this place.")
        if seq > known.head_seq or not known.head:
            ledger.set_head(rows, organisation, seq, head)

    context.commit(note)
    return witness(context, "checkpoint", organisation, seq, head)


def witness(context: Context, label: str, organisation: int, seq: int, head: bytes) -> Witnessed:
    """Sign how far a chain has come, twice; *label* is the kind of chain."""
    now = context.clock.now()
    covered = checkpoints.signed_octets(label, organisation, seq, head, now)
    signing, second = context.secrets.signing, context.secrets.witness
    return Witnessed(organisation, seq, head, now, signing.sign(covered), second.sign(covered))


def witness_keys(context: Context) -> WitnessKeys:
    """Return the public keys that checkpoints are checked with."""
    return WitnessKeys(context.secrets.card_key, context.secrets.witness_key)


def ended(context: Context, kind: str, ids: list[int]) -> None:
    """Write into the journal that something of the main database has ended."""
    if kind not in ENDINGS:
        raise Denied("Nothing ends in this way.")
    context.journal.append(context.clock.now(), kind, ids)


def resend_keys(context: Context) -> dict[int, bytes]:
    """Return the keys by which resent mail is recognised, of today and yesterday, by days since 1970."""
    today, key = context.clock.now() // DAY, context.secrets.key("resend")
    return {day: hmac.digest(key, framed("resend", day), "sha256") for day in (today, today - 1)}

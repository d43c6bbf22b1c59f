"""Who gets a copy of a message besides its recipients? Journals: one mailbox for a domain's mail, in and out.

An organisation names the mailbox in its rules, which count for this only in the words that the keeper vouches for. The
copy goes where the keeper's card of that mailbox says, locked unless its owner chose otherwise. It is no grant, and its
mailbox no recipient: nobody else sees that it was made, and whatever becomes of it, the message goes its way. What
cannot be copied is in the archive all the same, and the officers are told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog

from cryptnsend.core import keys
from cryptnsend.core.contracts import Row, Rows
from cryptnsend.core.errors import SealBroken
from cryptnsend.core.model import INSTALLATION, KEEPER, Card, Random, new_id
from cryptnsend.core.organisation import Policy
from cryptnsend.flow.granting import Author, Person, is_trusted
from cryptnsend.flow.holders import Holders
from cryptnsend.store.records import audit, cards, deliveries, journals, messages

KIND = "journal"  # of deliveries
ALERT = "journal-failed"
TOLD = 86_400_000  # milliseconds in which officers are told once, however many copies fail

log = structlog.get_logger("cryptnsend.journal")


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy to make: the mailbox's card, its address's row, and the address as the rules have it."""

    organisation: int
    mailbox: str  # canonical
    address: int
    card: Card

    @property
    def form(self) -> str:
        """Return how it leaves: readable over a proven way where the mailbox's owner chose that, else locked."""
        return "tls" if self.card.form == "tls" else "zip"


class Journalling:
    """Finds out which copies a message needs. Thread-safe; keeps nothing."""

    def __init__(self, holders: Holders, random: Random):
        self._holders, self._random = holders, random

    def copies(
        self,
        rows: Rows,
        author: Author,
        people: Iterable[Person],
        policy_of: Callable[[int], Policy],
        message: int,
        now: int,
    ) -> list[Copy]:
        """
        Return the copies of a message between subscribers of these organisations, one for each mailbox.

        *policy_of* returns what holds for an organisation. Raises Unvouched; a mailbox that is none any more gets
        nothing, and the officers hear of it.
        """
        wanted: dict[tuple[int, str], None] = {}  # in order
        for org, address in _subscribers(author, people):
            mailbox = policy_of(org).journal_of(address)
            if mailbox:
                wanted[org, mailbox] = None
        made: list[Copy] = []
        for org, mailbox in wanted:
            copy = self._copy(rows, org, mailbox)
            if copy is not None:
                made.append(copy)
            else:
                _missed(rows, org, mailbox, message, now)
                tell_officers(rows, org, now, self._random)
        return made

    def _copy(self, rows: Rows, org: int, mailbox: str) -> Copy | None:
        known = cards.addressed(rows, mailbox, INSTALLATION)
        if known is None or known.account is None:
            return None
        try:
            card = self._holders.account_card_at(rows, known.account, known.card, mailbox)
        except SealBroken:  # somebody changed its row: that must not keep a message from its way
            return None
        if card is None or card.organisation != org or "subscriber" not in card.roles:
            return None
        return Copy(org, mailbox, known.address, card)


def sent(rows: Rows, row: Row, now: int) -> None:
    """Note for the organisation whose copy it is that it left."""
    _note(rows, row, "journal.sent", KEEPER, now)


def failed(rows: Rows, row: Row, actor: str, now: int, random: Random) -> None:
    """Let the officers, and nobody else, know that a copy (a delivery's row) did not arrive."""
    log.error("journal copy failed", delivery=row["id"])
    tell_officers(rows, _note(rows, row, "journal.failed", actor, now), now, random)


def _note(rows: Rows, row: Row, action: str, actor: str, now: int) -> int:
    house = journals.house(rows, row["recipient"])
    org = row["org"] if house is None else house
    audit.append(rows, org, now, actor, action, str(row["message"]), {"delivery": row["id"]})
    return int(org)


def relock(
    rows: Rows,
    row: Row,
    content_key: bytes,
    inbox: str,
    holders: Holders,
    epochs: keys.Epochs,
    now: int,
    random: Random,
) -> bool:
    """
    Let a copy that could not leave readable go locked, at once; False if the delivery is not this worker's any more.

    Its key is bound to the form, so that it is wrapped anew, for the same inbox.
    """
    if not deliveries.become(rows, row["id"], row["fence"], KIND, "zip", "opportunistic", now):
        return False
    pair = holders.anchored().queue
    epoch = epochs.current(pair.id, pair.public, KEEPER, "queue")
    messages.add_pair(rows, pair.id, INSTALLATION, KEEPER, "queue", pair.custody, pair.suite, pair.public, "current")
    messages.add_epochs(
        rows, [messages.EpochRow(epoch.id, INSTALLATION, pair.id, pair.suite, KEEPER, "queue", epoch.sealed)]
    )
    bound = keys.queue_form(KIND, "zip", "opportunistic")
    binding = keys.QueueBinding(row["org"], row["message"], row["id"], inbox, bound)
    deliveries.rekey(rows, row["id"], epoch.id, keys.wrap_content(epoch.key, content_key, binding, random))
    return True


def tell_officers(rows: Rows, org: int, now: int, random: Random) -> None:
    """Let the officers of an organisation know that copies fail, once a day."""
    mails = [
        messages.Delivery(
            new_id(now, random), org, "alert", "", None, None, officer, ALERT, "", "{}", "opportunistic", now, None,
            None, now,
        )
        for officer in journals.untold(rows, org, ALERT, now - TOLD)
    ]  # fmt: skip
    messages.add_deliveries(rows, mails)


def _subscribers(author: Author, people: Iterable[Person]) -> Iterable[tuple[int, str]]:
    """Return everybody whose own organisation may want copies: (organisation, address that was written from or to)."""
    if author.subscriber and author.organisation != INSTALLATION:
        yield author.organisation, author.address
    for person in people:
        card = person.card
        # As with archives: an address that is not theirs for sure must bring nobody copies of what waits for a code.
        if card is not None and "subscriber" in card.roles and card.organisation and is_trusted(person):
            yield card.organisation, person.canonical


def _missed(rows: Rows, org: int, mailbox: str, message: int, now: int) -> None:
    log.error("journal has no mailbox", organisation=org)
    detail = {"mailbox": mailbox, "why": "it is no subscriber of this organisation any more"}
    audit.append(rows, org, now, KEEPER, "journal.failed", str(message), detail)

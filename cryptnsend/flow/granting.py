"""Which rows does an admitted message make? Grants, deliveries, and the epochs both rest on.

`Making` collects rows while the admission walks over the recipients, and writes them table by table, so that a message
costs few statements. It reads nothing: what it needs stands on signed cards.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from cryptnsend.core import keys, mime, policy, tokens
from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Temporary
from cryptnsend.core.model import (
    INSTALLATION,
    KEEPER,
    MANAGED,
    Card,
    Ids,
    PairCard,
    Random,
    address_holder,
    contact_name,
)
from cryptnsend.store.records import messages


@dataclass(frozen=True, slots=True)
class Author:
    """Who submits: an account, signed in."""

    account: int
    organisation: int
    address: str  # canonical, the one they wrote from
    aliases: frozenset[str]  # every canonical address of theirs, `address` among them
    subscriber: bool


@dataclass(frozen=True, slots=True)
class Addressee:
    """One RCPT of an envelope, with what the client asked for it (RFC 3461 §4)."""

    address: str
    notify: str = ""
    orcpt: str = ""


@dataclass(frozen=True, slots=True)
class Envelope:
    """Where a message should go (RFC 5321 §2.3.1); never mixed with its header fields."""

    reverse_path: str
    recipients: tuple[Addressee, ...]
    ret: str = ""
    envid: str = ""
    protocol: str = "ESMTPSA"  # RFC 3848
    requiretls: bool = False  # RFC 8689


@dataclass(slots=True)
class Person:
    """One addressee as the rows and cards show them, inside the transaction."""

    canonical: str
    display: str
    address: int
    card: Card | None
    asked: Addressee
    is_self: bool = False
    is_member: bool = False
    owns_thread: bool = False
    proven: bool = False
    blocked: bool = False
    new_contact: bool = False


@dataclass(slots=True)
class Thread:
    """The thread a message belongs to: its subscriber's organisation, custody and archive hold for all of it."""

    id: int
    organisation: int
    subscriber: int
    custody: str
    new: bool
    parent: int | None = None
    vaulted: bool = False  # an earlier message, this one's or of a thread it answers, was sealed


def is_trusted(person: Person) -> bool:
    """Say whether a grant may be sealed to this person's own pair, without waiting for the subscriber's code."""
    card = person.card
    if card is None or card.weak:
        return False
    return person.is_self or person.owns_thread or person.is_member or person.proven


def needs_code(person: Person, decision: policy.Decision) -> bool:
    """Say whether this person will be asked for the subscriber's code before the message opens."""
    return isinstance(decision, policy.Vault | policy.Pdf) and not is_trusted(person)


class Making:
    """The rows of one message, collected and then written."""

    def __init__(
        self,
        epochs: keys.Epochs,
        ids: Ids,
        random: Random,
        domain: str,
        anchors: Anchored,
        message: int,
        thread: Thread,
        card: Card,
        author: Author,
        content_keys: bytes,
        now: int,
        used: set[int],
    ):
        self._epochs, self._ids, self._random, self._domain, self._anchors = epochs, ids, random, domain, anchors
        self._id, self._thread, self._card, self._author = message, thread, card, author
        self._keys, self._now, self._used = content_keys, now, used
        self._expires: int | None = None
        self._message: messages.Message | None = None
        self._contents: Sequence[messages.Content] = ()
        self._recipients: list[messages.Recipient] = []
        self._grants: dict[tuple[str, str], messages.Grant] = {}  # one per holder and role, whatever their addresses
        self._deliveries: list[messages.Delivery] = []
        self._epoch_rows: dict[int, tuple[messages.EpochRow, PairCard, str]] = {}

    def message(
        self, index: mime.Index, address: int, size: int, origin: str, received: bytes, mac: bytes | None, life: int
    ) -> None:
        """Make the row of the message itself; *life* is milliseconds until recipients' grants end."""
        self._expires = self._now + life
        own = f"<m{self._id}@{self._domain}>"
        self._message = messages.Message(
            self._id,
            self._thread.organisation,
            self._thread.id,
            self._author.account,
            address,
            index.message_id or own,
            self._thread.parent,
            origin,
            size,
            "sealed",
            received,
            mac,
            self._now,
            self._expires,
        )

    def contents(self, contents: Iterable[messages.Content]) -> None:
        """Take the sealed parts, which belong to the organisation of the thread."""
        org = self._thread.organisation
        self._contents = [each if each.org == org else each._replace(org=org) for each in contents]

    def grant_author(self) -> None:
        """Grant the author both keys. A recipient who answers holds it under the contact that let them in."""
        contact = ""
        if self._author.account != self._thread.subscriber:
            contact = contact_name(self._author.address, self._thread.subscriber)
        self._grant(self._card, "author", contact, self._keys, ends=None)

    def recipient(self, person: Person, decision: policy.Decision, disclosed: bool, envelope: Envelope) -> None:
        """
        Make what one decision means: the row, a grant unless it leaves plain, and what has to leave.

        *disclosed* says that the person stands in To or Cc; everybody else is never shown to others.
        """
        form = decision.form if isinstance(decision, policy.Handoff | policy.Encrypt) else ""
        form = "pdf" if isinstance(decision, policy.Pdf) else form
        self._recipients.append(
            messages.Recipient(
                self._thread.organisation,
                self._id,
                person.address,
                type(decision).__name__.lower(),
                form,
                decision.reason,
                int(disclosed),
                tokens.display_id(self._random(8)),
            )
        )
        if isinstance(decision, policy.Relay):
            tls_class = "declared" if decision.tls == "opportunistic" else decision.tls  # proven, cleartext
            self._deliver("relay", "", person, envelope, tls_class, queued_for=person.canonical)
            return
        self._grant_recipient(person)
        if isinstance(decision, policy.Handoff):
            # To the original inbox, whichever address was written to; what is on the card cannot be turned elsewhere.
            inbox = person.card.reply_address if person.card is not None and form != "link" else ""
            way = "proven" if form == "tls" else "opportunistic"
            self._deliver("handoff", form, person, envelope, way, queued_for=inbox)
        elif isinstance(decision, policy.Pdf | policy.Encrypt):
            # A notice with everything in it, locked, to the address that was written to.
            self._deliver("notice", form, person, envelope, "opportunistic", queued_for=person.canonical)
        else:
            self._deliver("notice", "", person, envelope, "opportunistic")

    def archives(self, people: Iterable[Person]) -> list[int]:
        """
        Return the organisations whose archive keeps this message: of the thread, and of every subscriber in it.

        A recipient's organisation counts once the recipient does: else whoever reads somebody's mailbox could become
        a subscriber with that address, and find in an archive of their own what waits for a code.
        """
        found = {self._thread.organisation}
        for card in [self._card, *(each.card for each in people if each.card is not None and is_trusted(each))]:
            if "subscriber" in card.roles:
                found.add(card.organisation)
        return sorted(found - {INSTALLATION})

    def grant_archives(self, cards: Iterable[Card | None]) -> None:
        """Grant each archive that has a pair; who was written to in secret is for the author's own to know."""
        for card in cards:
            if card is not None and card.pairs:
                own = card.organisation == self._card.organisation
                self._grant(card, "archive", "", self._keys if own else self._keys[:32], ends=None)

    def journal(self, address: int, card: Card, form: str) -> None:
        """Let a copy leave for a mailbox, to which the key is bound: the inbox that its card names, in that form."""
        way = "proven" if form == "tls" else "opportunistic"
        self._add_delivery("journal", form, address, card.reply_address, "", "{}", way, card.reply_address)

    def receipt(self, newcomers: Sequence[Person], address: int) -> None:
        """Tell the author which codes to pass on, if anybody is new to them."""
        if newcomers:
            self._add_delivery("receipt", "", address, self._author.address, "codes", "{}", "opportunistic", "")

    def write(self, rows: Rows) -> None:
        """Insert everything, in the order that references ask for."""
        thread = self._thread
        if thread.new:
            messages.add_thread(rows, thread.id, thread.organisation, thread.subscriber, thread.custody)
        for _, pair, holder in self._epoch_rows.values():
            role = holder.partition(":")[0]
            messages.add_pair(
                rows, pair.id, self._thread.organisation, holder, role, pair.custody, pair.suite, pair.public, "current"
            )
        messages.add_epochs(rows, [row for row, _, _ in self._epoch_rows.values()])
        if self._message is None:
            raise RuntimeError("a message has to be made before it is written")
        messages.add(rows, self._message)
        messages.add_contents(rows, list(self._contents))
        messages.add_recipients(rows, self._recipients)
        messages.add_grants(rows, list(self._grants.values()))
        messages.add_deliveries(rows, self._deliveries)

    def _grant_recipient(self, person: Person) -> None:
        first = self._keys[:32]
        if is_trusted(person) and person.card is not None:
            contact = "" if person.owns_thread else self._contact(person)
            self._grant(person.card, "recipient", contact, first, ends=self._ends(person))
            return
        # Nobody has shown this subscriber's code yet, or since a reset by mail: the keeper keeps the key until then.
        contact = "" if person.owns_thread else self._contact(person)
        holder = person.card.holder if person.owns_thread and person.card else address_holder(person.canonical)
        self._wrap(self._anchors.pending, KEEPER, "pending", holder, "recipient", contact, first, self._ends(person))

    def _contact(self, person: Person) -> str:
        return contact_name(person.canonical, self._thread.subscriber)

    def _ends(self, person: Person) -> int | None:
        """Return when a grant ends by itself: never for the thread's own subscriber."""
        return None if person.owns_thread or person.is_self else self._expires

    def _grant(self, card: Card, role: str, contact: str, content: bytes, *, ends: int | None) -> None:
        custody = MANAGED if role == "archive" else self._thread.custody
        try:
            pair = card.pair(custody) if role != "archive" else card.pairs[0]
        except LookupError:
            raise Temporary("An account is being changed. Try again in a minute.") from None
        self._wrap(pair, card.holder, card.holder, card.holder, role, contact, content, ends)

    def _wrap(
        self,
        pair: PairCard,
        owner: str,
        epoch_holder: str,
        holder: str,
        role: str,
        contact: str,
        content: bytes,
        ends: int | None,
    ) -> None:
        if (holder, role) in self._grants:
            return  # two addresses of one account
        org = self._thread.organisation
        epoch = self._epoch(pair, owner, epoch_holder)
        binding = keys.GrantBinding(org, self._id, holder, role, contact, self._thread.custody)
        wrap = keys.wrap_content(epoch.key, content, binding, self._random)
        self._grants[holder, role] = messages.Grant(
            self._ids.new(self._now),
            org,
            self._id,
            holder,
            role,
            contact,
            self._thread.custody,
            epoch.id,
            wrap,
            "active",
            ends,
        )

    def _epoch(self, pair: PairCard, owner: str, holder: str) -> keys.Epoch:
        epoch = self._epochs.current(pair.id, pair.public, owner, holder)
        self._used.add(epoch.id)
        if self._epochs.needs_row(epoch.id):
            row = messages.EpochRow(epoch.id, INSTALLATION, pair.id, pair.suite, owner, holder, epoch.sealed)
            self._epoch_rows[epoch.id] = (row, pair, owner if owner != KEEPER else holder)
        return epoch

    def _deliver(
        self, kind: str, form: str, person: Person, envelope: Envelope, tls_class: str, *, queued_for: str = ""
    ) -> None:
        asked = {
            name: value
            for name, value in (
                ("notify", person.asked.notify),
                ("orcpt", person.asked.orcpt),
                ("ret", envelope.ret),
                ("envid", envelope.envid),
                ("requiretls", "yes" if envelope.requiretls else ""),
            )
            if value
        }
        dsn = msgspec.json.encode(asked).decode() if asked else "{}"
        self._add_delivery(
            kind, form, person.address, person.canonical, "", dsn, tls_class, queued_for, requiretls=envelope.requiretls
        )

    def _add_delivery(
        self,
        kind: str,
        form: str,
        address: int,
        to: str,
        template: str,
        dsn: str,
        tls_class: str,
        queued_for: str,
        *,
        requiretls: bool = False,
    ) -> None:
        ident, org = self._ids.new(self._now), self._thread.organisation
        epoch_id = wrap = None
        if queued_for:
            epoch = self._epoch(self._anchors.queue, KEEPER, "queue")
            bound = keys.queue_form(kind, form, tls_class, requiretls=requiretls)
            binding = keys.QueueBinding(org, self._id, ident, queued_for, bound)
            epoch_id, wrap = epoch.id, keys.wrap_content(epoch.key, self._keys[:32], binding, self._random)
        self._deliveries.append(
            messages.Delivery(
                ident,
                org,
                kind,
                form,
                self._id,
                address,
                None,
                template,
                "",
                dsn,
                tls_class,
                self._now,
                epoch_id,
                wrap,
                self._now,
                to.rpartition("@")[2],
            )
        )


@dataclass(frozen=True, slots=True)
class Anchored:
    """The keeper's own pairs, which it vouches for by being asked: for grants that wait, and for mail that leaves."""

    pending: PairCard
    queue: PairCard

"""Whom does a message address, and which thread does it belong to? Addresses, tokens of ours, ids of earlier mail.

`Addressees` turns what a client wrote into people and a thread. What it is told by rows only says where to look; that
somebody is a member, or has shown a code, counts when the keeper signed it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from cryptnsend.core import mime, tokens
from cryptnsend.core.addresses import canonical
from cryptnsend.core.contracts import Clock, Engine, Row, Rows
from cryptnsend.core.errors import Refusal, Sentence
from cryptnsend.core.model import INSTALLATION, MANAGED, STRICT, Card, Ids, account_holder, contact_name
from cryptnsend.core.organisation import Policy
from cryptnsend.flow.granting import Addressee, Author, Person, Thread
from cryptnsend.flow.holders import Holders
from cryptnsend.keeper.client import Keeper
from cryptnsend.store.records import cards, domains, links, messages

NOBODY_READS = (
    "Whoever this conversation belongs to has closed their account here, so that nobody would read your answer. Reach"
    " them in another way."
)
REFERENCES = 20  # Message-IDs of a References field that are looked at, newest first


class Addressees:
    """Finds people and threads for the messages of one process. Thread-safe; keeps nothing itself."""

    def __init__(self, *, engine: Engine, keeper: Keeper, holders: Holders, clock: Clock, ids: Ids, domain: str):
        self._engine, self._keeper, self._holders = engine, keeper, holders
        self._clock, self.ids, self._domain = clock, ids, domain

    def is_ours(self, address: str) -> bool:
        """Say whether an address is at our own domain, so that it stands for somebody else."""
        return address.rpartition("@")[2].lower() == self._domain

    def resolve(self, addressees: Sequence[Addressee]) -> dict[str, Addressee]:
        """
        Return each addressee under the canonical address of the person meant, token addresses of ours resolved.

        Raises Refusal for an address of ours that stands for nobody: unknown, forged and expired look alike.
        """
        people: dict[str, Addressee] = {}
        for each in addressees:
            try:
                name = canonical(each.address)
            except ValueError as wrong:
                said = Sentence(
                    "The address %(address)s cannot be used: %(wrong)s",
                    address=ascii(each.address[:100]),
                    wrong=str(wrong),
                )
                raise Refusal(said, code=553, status="5.1.3") from None
            if self.is_ours(name):
                name = self._person_behind(name, each.address)
            people.setdefault(name, each)
        return people

    def _person_behind(self, name: str, shown: str) -> str:
        """Return whose address a token of ours stands for, after the keeper's MAC agreed."""
        local = name.partition("@")[0]
        unknown = Refusal(
            Sentence("Nobody can be reached at %(address)s. Answer the newest mail you got.", address=shown[:100]),
            code=550,
            status="5.1.1",
        )
        token = local.removeprefix("r+").removeprefix("u-")
        parts = tokens.split(token) if token != local else None
        if parts is None:
            raise unknown
        row = links.link(self._engine, parts[1])
        if row is None or row["purpose"] != "reply":
            raise unknown
        if row["expires"] is not None and row["expires"] <= self._clock.now():
            raise unknown
        claims = tokens.Claims("reply", row["address"], row["subscriber"], row["message"])
        if not self._keeper.link(token, claims):
            raise unknown
        behind: str = row["address"]
        return behind

    # What follows runs inside the admission's transaction.

    def thread(
        self,
        rows: Rows,
        author: Author,
        card: Card,
        index: mime.Index,
        people: Collection[str],
        parent: int | None,
        now: int,
    ) -> Thread:
        """
        Find the thread that a message of this *author* to these *people* belongs to, or start one.

        Raises Refusal for recipients, who may answer but not start one.
        """
        answered = None
        if parent is not None:
            answered = messages.granted(rows, card.holder, parent)
        elif author.subscriber:
            answered = self._answered(rows, index, card.holder)
        if answered is not None:
            vaulted = messages.is_vaulted(rows, answered["thread"])
            joined = self._joined(rows, author, card, answered, people, is_page=parent is not None)
            if joined is not None:
                joined.vaulted = vaulted
                return joined
        if not author.subscriber:
            raise Refusal("You can answer here, but not start a new conversation.", code=550, status="5.7.1")
        started = Thread(self.ids.new(now), card.organisation, card.account, card.custody, new=True)
        started.vaulted = answered is not None and vaulted  # what is quoted from there does not leave plain
        return started

    def _joined(
        self, rows: Rows, author: Author, card: Card, answered: Row, people: Collection[str], *, is_page: bool
    ) -> Thread | None:
        """
        Return the thread of an answered message, if this author may add to it and the keeper's words agree with it.

        Mail joins a thread of somebody else's only while it stays among the people whom its author knows from there:
        otherwise new recipients would need the code of a person who never wrote to them. The rows of a thread are not
        signed: its subscriber decides whose code opens and whose archive keeps the message, so that person counts
        only if the grant that a page has just opened names them, if the mail is addressed to them anyway, or if the
        keeper's cards say that both belong to one organisation.
        """
        known = messages.thread(rows, answered["thread"])
        if known is None:
            return None
        org, subscriber, custody = known
        owner = card if subscriber == author.account else self._holders.card(rows, account_holder(subscriber))
        if owner is None or owner.organisation != org or "subscriber" not in owner.roles:
            return None
        if owner is not card:
            named = answered["contact"] in {contact_name(each, subscriber) for each in card.addresses}
            if not (named if is_page else set(owner.addresses) & set(people) or _are_members(card, owner)):
                return None
            if not set(people) - set(card.addresses) <= messages.thread_people(rows, answered["thread"], card.holder):
                return None
            if _is_closed(rows, subscriber):
                if author.subscriber:
                    return None  # whoever sends here goes on in a thread of their own
                raise Refusal(NOBODY_READS, code=550, status="5.1.1")
        strictest = STRICT if STRICT in (custody, owner.custody) else MANAGED
        return Thread(answered["thread"], org, subscriber, strictest, new=False, parent=answered["id"])

    def _answered(self, rows: Rows, index: mime.Index, holder: str) -> Row | None:
        """Return the message that In-Reply-To or References name, theirs or one of our own mails about it."""
        named = [*index.in_reply_to, *reversed(index.references)]
        for each in named[:REFERENCES]:
            ours = our_id(each, self._domain)
            if ours is None:
                found = messages.granted_by_message_id(rows, holder, each)
            else:
                kind, ident = ours
                message = ident if kind == "m" else messages.message_of_delivery(rows, ident)
                found = messages.granted(rows, holder, message) if message is not None else None
            if found is not None:
                return found
        return None

    def person(
        self, rows: Rows, name: str, asked: Addressee, author: Card, thread: Thread, of_thread: Policy, now: int
    ) -> Person:
        """
        Return what rows and cards show about the person at the canonical address *name*, who may be new to us.

        *of_thread* is what holds for the organisation that the thread belongs to.
        """
        known = cards.addressed(rows, name, thread.subscriber)
        if known is None:
            ident = self.ids.new(now)
            cards.add_address(rows, ident, name, asked.address if asked.address.lower() == name else name)
            known = cards.Addressed(ident, None, None, None, None)
        person = Person(name, asked.address, known.address, None, asked)
        if name in author.addresses:
            person.card, person.is_self = author, True
        elif known.account is not None:
            person.card = self._holders.account_card_at(rows, known.account, known.card, name)
        card = person.card
        if card is not None:
            person.owns_thread = card.account == thread.subscriber
            is_own = not card.weak and "subscriber" in card.roles and card.organisation == thread.organisation
            person.is_member = is_own or is_partner(rows, of_thread, card, name)
        if not person.owns_thread and not person.is_self:
            self._meet(rows, person, known, thread, now)
        return person

    def _meet(self, rows: Rows, person: Person, known: cards.Addressed, thread: Thread, now: int) -> None:
        """Take up the contact between this person's address and the thread's subscriber, or note that it is new."""
        if known.state is None:
            cards.add_contact(rows, self.ids.new(now), thread.organisation, person.address, thread.subscriber, now)
            person.new_contact = True
            return
        person.blocked = known.state == "blocked"
        card = person.card
        if card is not None and self._holders.is_proven(known.statement, card, person.canonical, thread.subscriber):
            person.proven = True
            person.is_member = person.is_member or "subscriber" in card.roles


def is_partner(rows: Rows, held: Policy, card: Card, address: str) -> bool:
    """
    Say whether a subscriber of another organisation counts as a member at that address where this policy is *held*.

    The keeper vouches for card and rule; the domain has to be proven still, which a row may deny and never grant.
    """
    return held.is_partner(address, card) and domains.is_proven(rows, card.organisation, address.rpartition("@")[2])


def _is_closed(rows: Rows, subscriber: int) -> bool:
    """Say whether a thread's subscriber has closed their account, so that nobody could open what joins it."""
    state = cards.account_states(rows, subscriber)
    return state is not None and state[2] == "closed"


def _are_members(one: Card, other: Card) -> bool:
    """Say whether both are subscribers of one organisation, neither of them weak."""
    both = "subscriber" in one.roles and "subscriber" in other.roles and not one.weak and not other.weak
    return both and one.organisation == other.organisation != INSTALLATION


def canonical_or_none(address: str) -> str | None:
    """Return the canonical form of what stands in a header, or None for what is no address."""
    try:
        return canonical(address)
    except ValueError:
        return None


def our_id(message_id: str, domain: str) -> tuple[str, int] | None:
    """Return ("m", message) or ("d", delivery) if this is a Message-ID that we gave, else None."""
    local, _, host = message_id.strip("<>").rpartition("@")
    if host.lower() != domain or local[:1] not in ("m", "d") or not local[1:].isascii() or not local[1:].isdecimal():
        return None
    ident = int(local[1:])
    return (local[0], ident) if ident < 1 << 63 else None

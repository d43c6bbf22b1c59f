"""Who is everybody in a message, and what happens to it for each of them? Asked inside the transaction that admits it.

Rows say who somebody is only as far as the keeper's cards vouch for it; where they do not, `Unvouched` names all those
about whom the keeper has to be asked first. What follows from the facts is `core.policy`'s to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptnsend.core import mime, policy
from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Temporary
from cryptnsend.core.model import INSTALLATION, Card, account_holder, archive_holder
from cryptnsend.core.organisation import Policy
from cryptnsend.flow import visiting
from cryptnsend.flow.addressees import Addressees
from cryptnsend.flow.granting import Addressee, Author, Person, Thread
from cryptnsend.flow.holders import Holders, Unvouched
from cryptnsend.flow.policies import Policies
from cryptnsend.flow.rules import Settings, check_sender, form_of, rules_of
from cryptnsend.store.records import cards


@dataclass(frozen=True, slots=True)
class Decided:
    """Who everybody is, what happens for each of them, and by which rules: the author's, and those of the thread."""

    card: Card
    thread: Thread
    people: list[Person]
    decisions: dict[str, policy.Decision]
    held: Policy
    of_thread: Policy


class Deciding:
    """Decides about the messages of one process; shared by all of them."""

    def __init__(self, holders: Holders, addressees: Addressees, policies: Policies, settings: Settings):
        self._holders, self._addressees, self._policies, self._settings = holders, addressees, policies, settings
        self._visiting = visiting.Threads(holders, addressees.ids, policies, settings.visitors)

    def sender(self, rows: Rows, author: Author, macs: Sequence[bytes] = ()) -> cards.Sender:
        """Return what the rows say of an author, and whether one of *macs* was submitted before."""
        sender = cards.sender(
            rows,
            author.account,
            account_holder(author.account),
            author.address,
            author.organisation,
            archive_holder(author.organisation),
            macs,
        )
        if sender is None:
            raise Temporary("Your account is not ready yet. Try again in a minute.")
        return sender

    def archive(self, rows: Rows, author: Author, sender: cards.Sender, org: int) -> Card | None:
        """Return the card of an organisation's archive, None if it has none."""
        holder = archive_holder(org)
        if org == author.organisation:
            return self._holders.card_at(rows, holder, sender.archive)
        return self._holders.card(rows, holder)

    def decide(
        self,
        rows: Rows,
        author: Author,
        sender: cards.Sender,
        asked: Mapping[str, Addressee],
        parent: int | None,
        index: mime.Index,
        now: int,
        visits: int | None = None,
        is_trial: bool = False,
    ) -> Decided:
        """
        Decide for everybody in *asked*, the recipients by canonical address; *visits* as in `Admission.begin`.

        Raises Temporary if the author's account is not ready, Refusal for an address that may not send, Unvouched if
        the keeper has to be asked first.
        """
        card = self._holders.card_at(rows, account_holder(author.account), sender.card)
        if card is None or author.address not in card.addresses:
            raise Temporary("Your account is not ready yet. Try again in a minute.")
        held = self._held(rows, author, sender)
        check_sender(held, author, index)
        if visits is not None:
            thread = self._visiting.thread(rows, visits, author.account, sender.address, asked, now)
        else:
            thread = self._addressees.thread(rows, author, card, index, asked, parent, now)
            if not thread.new and thread.subscriber != author.account:
                visiting.check_welcome(rows, thread.subscriber, sender.address)
        own = thread.organisation == author.organisation
        of_thread = held if own else self._policies.of(rows, thread.organisation)
        people, unvouched = [], Unvouched()
        for name, addressee in asked.items():
            try:
                people.append(self._addressees.person(rows, name, addressee, card, thread, of_thread, now))
            except Unvouched as missing:  # all of them in one question
                unvouched.add(missing)
        if unvouched.holders or unvouched.contacts:
            raise unvouched
        submission = policy.Submission(
            author=author.address,
            author_is_subscriber=author.subscriber,
            subject=index.subject,
            recipients=tuple(self._facts(rows, author, card, each, held) for each in people),
            author_is_newcomer=self._settings.is_newcomer(card, now),
            thread_vaulted=thread.vaulted,
            is_trial=is_trial,
        )
        decisions = policy.decide(submission, rules_of(held, card))
        return Decided(card, thread, people, decisions, held, of_thread)

    def _held(self, rows: Rows, author: Author, sender: cards.Sender) -> Policy:
        """Return what holds for the author's organisation, as far as the keeper vouches for what the row says."""
        org = author.organisation
        if org == INSTALLATION:
            return self._policies.installation
        archive = self.archive(rows, author, sender, org)
        if archive is None:
            archive = self._holders.known_card(archive_holder(org))
        return self._policies.of_text(sender.policy, archive)

    def _facts(self, rows: Rows, author: Author, own: Card, person: Person, held: Policy) -> policy.RecipientFacts:
        return policy.RecipientFacts(
            address=person.canonical,
            is_self=person.is_self,
            is_member=person.is_member,
            is_thread_subscriber=person.owns_thread,
            form=form_of(person.card, self._tls_replies(rows, author, person.card, held)),
            blocked=person.blocked,
            at_member_domain=held.is_member_domain(person.canonical) and not (person.card and person.card.weak),
            is_friend=person.canonical in own.friends,
            own_key=known.kind if (known := own.known_key(person.canonical)) else "",
        )

    def _tls_replies(self, rows: Rows, author: Author, card: Card | None, held: Policy) -> bool:
        """Say whether somebody's own organisation lets replies arrive readable; asked only where they do."""
        if card is None or card.form != "tls":
            return True
        own = card.organisation == author.organisation
        return (held if own else self._policies.of(rows, card.organisation)).tls_replies

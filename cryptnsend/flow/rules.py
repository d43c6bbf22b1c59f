"""By which rules is a message judged? The installation's settings, an organisation's own rules, an account's limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptnsend.core import mime, policy
from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Enough, Refusal, Sentence, TooBig
from cryptnsend.core.model import Card
from cryptnsend.core.organisation import Policy
from cryptnsend.core.protected import KINDS
from cryptnsend.flow.addressees import canonical_or_none
from cryptnsend.flow.granting import Author, Person
from cryptnsend.flow.visiting import Limits
from cryptnsend.store.records import messages

DAY = 86_400_000  # milliseconds
MOST_NAMED = 5  # domains in one sentence


@dataclass(frozen=True, slots=True)
class Settings:
    """What an admission needs of the configuration; sizes are octets, times milliseconds."""

    hostname: str
    domain: str
    replies_per_day: int  # of those who only receive
    newcomer: int  # for how long an account from open sign-up is one
    newcomer_recipients_per_day: int
    visitors: Limits

    def is_newcomer(self, card: Card, now: int) -> bool:
        """Say whether this account signed up by itself so lately that it may do less."""
        return bool(card.open_since) and now < card.open_since + self.newcomer

    def most_new_recipients(self, held: Policy, card: Card, now: int) -> int:
        """Return how many people this account may write to for the first time today."""
        if self.is_newcomer(card, now):
            return min(self.newcomer_recipients_per_day, held.new_recipients_per_day)
        return held.new_recipients_per_day


def rules_of(held: Policy, card: Card) -> policy.Rules:
    """Return by which rules mail of who has this *card* is judged, where that policy is *held*."""
    return policy.Rules(
        default=held.default,  # type: ignore[arg-type]  # what is no way is Vault there
        allow_plain=held.plain_token,
        allow_friends=held.may_have_friends(card.addresses, card.roles),
        may_plain=held.may_send_plain(card.addresses, card.roles),
        cleartext=held.cleartext,
        allow_pdf=held.pdf_token,
        members_in_clear=held.members_in_clear,
        tls_replies=held.tls_replies,
        own_keys=held.own_keys,
        marks=held.secure_marks,
    )


def check_sender(held: Policy, author: Author, index: mime.Index) -> None:
    """Raise Refusal for a subscriber who writes from an address at which their organisation has no subscribers."""
    address = canonical_or_none(index.author.address) if index.author else None
    address = address or author.address
    if author.subscriber and not held.may_subscribe(address):
        raise Refusal(
            Sentence(
                "Your organisation has no senders at %(address)s, only at: %(places)s. Send from your address there, or"
                " ask an officer to allow this one.",
                address=address,
                places=", ".join(held.subscriber_domains[:MOST_NAMED]),
            ),
            code=550,
            status="5.7.1",
        )


def form_of(card: Card | None, tls_replies: bool) -> str:
    """Return in which form mail reaches somebody's original inbox; "tls" only while their organisation allows it."""
    if card is None or not card.form:
        return "link"
    if card.form in KINDS and card.own_key(card.form) is None:
        return "link"
    return "link" if card.form == "tls" and not tls_replies else card.form


def check_refused(decisions: Mapping[str, policy.Decision]) -> None:
    """Raise Refusal if there is a recipient who may not be written to, naming everybody it is about."""
    refused = {address: each for address, each in decisions.items() if isinstance(each, policy.Refuse)}
    if refused:
        first = next(iter(refused.values()))
        about = [address for address, each in refused.items() if each == first]
        raise Refusal(first.explain(*about), code=first.code, status=first.status)


def check_caps(
    rows: Rows, settings: Settings, held: Policy, author: Author, card: Card, people: Sequence[Person], now: int
) -> None:
    """
    Count a message against what its author may send in a day; raise Enough beyond that.

    Answers of those who only receive count as well: somebody's disk and mailbox take them.
    """
    org, account = author.organisation, author.account
    most = held.messages_per_day if author.subscriber else settings.replies_per_day
    if messages.count(rows, org, account, now // DAY, "messages", 1) > most:
        raise Enough(Sentence("You have sent %(most)s messages today. Go on tomorrow (UTC).", most=most))
    if not author.subscriber:
        return
    new = sum(1 for each in people if each.new_contact)
    most = settings.most_new_recipients(held, card, now)
    if new and messages.count(rows, org, account, now // DAY, "new-recipients", new) > most:
        if settings.is_newcomer(card, now):
            raise Enough(
                Sentence(
                    "You have written to %(most)s new people today, as many as a new account may."
                    " Go on tomorrow (UTC).",
                    most=most,
                )
            )
        raise Enough(Sentence("You have written to %(most)s new people today. Go on tomorrow (UTC).", most=most))


def life_of(held: Policy, asked: int | None) -> int:
    """Return for how many milliseconds recipients can open a message; *asked* is what its author wants, if anything."""
    usual = held.life_days * DAY
    return usual if asked is None else min(asked, held.life_most_days * DAY)


def check_size(held: Policy, size: int) -> None:
    """Raise TooBig for a message of more octets than the author's organisation takes."""
    if size > held.message_octets:
        raise TooBig(size, held.message_octets)

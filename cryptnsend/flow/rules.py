"""By which rules is a message judged? The installation's settings, an organisation's own rules, an account's limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from cryptnsend.core import policy
from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Enough, Refusal
from cryptnsend.core.model import Card
from cryptnsend.flow.granting import Author, Person
from cryptnsend.store.records import accounts, messages

DAY = 86_400_000  # milliseconds
PROTECTION = {"plain": 0, "tls-or-vault": 1, "vault": 2}  # what an unknown default is read as, is Vault


@dataclass(frozen=True, slots=True)
class Settings:
    """What an admission needs of the configuration; sizes are octets, times milliseconds."""

    hostname: str
    domain: str
    message_octets: int
    life: int
    messages_per_day: int
    replies_per_day: int  # of those who only receive
    new_recipients_per_day: int
    default: str
    plain_token: bool
    newcomer: int  # for how long an account from open sign-up is one
    newcomer_recipients_per_day: int
    cleartext: str = "never"
    tls_replies: bool = True

    def is_newcomer(self, card: Card, now: int) -> bool:
        """Say whether this account signed up by itself so lately that it may do less."""
        return bool(card.open_since) and now < card.open_since + self.newcomer

    def most_new_recipients(self, card: Card, now: int) -> int:
        """Return how many people this account may write to for the first time today."""
        if self.is_newcomer(card, now):
            return min(self.newcomer_recipients_per_day, self.new_recipients_per_day)
        return self.new_recipients_per_day


def rules_of(text: str, settings: Settings) -> policy.Rules:
    """
    Return the rules of an organisation: the installation's, made stricter by its own *text* (JSON).

    Nobody signs that text, so it can ask for more protection and never for less: one changed row would otherwise send
    everybody's mail in plain.
    """
    said = msgspec.json.decode(text, type=dict[str, Any])
    default: Any = settings.default
    asked = str(said.get("default", default))
    if PROTECTION.get(asked, len(PROTECTION)) > PROTECTION.get(default, -1):
        default = asked
    return policy.Rules(
        default=default,
        allow_plain=settings.plain_token and said.get("plain_token", True) is True,
        # Only where the operator leaves it to organisations does a row decide, and then it has to say so.
        cleartext=settings.cleartext != "never" and said.get("cleartext", settings.cleartext == "everybody") is True,
        tls_replies=may_have_tls_replies(text, settings.tls_replies),
    )


def may_have_tls_replies(text: str, installation: bool) -> bool:
    """Say whether an organisation with the rules *text* lets its people have replies arrive readable."""
    return installation and msgspec.json.decode(text, type=dict[str, Any]).get("tls_replies", True) is True


def form_of(rows: Rows, card: Card | None, settings: Settings) -> str:
    """Return in which form mail reaches somebody's original inbox; "tls" only while their organisation allows it."""
    if card is None or not card.form:
        return "link"
    if card.form == "tls" and not may_have_tls_replies(
        accounts.policy(rows, card.organisation) or "{}", settings.tls_replies
    ):
        return "link"
    return card.form


def check_refused(decisions: Mapping[str, policy.Decision]) -> None:
    """Raise Refusal if there is a recipient who may not be written to, naming everybody it is about."""
    refused = {address: each for address, each in decisions.items() if isinstance(each, policy.Refuse)}
    if refused:
        first = next(iter(refused.values()))
        about = [address for address, each in refused.items() if each == first]
        raise Refusal(first.explain(*about), code=first.code, status=first.status)


def check_caps(rows: Rows, settings: Settings, author: Author, card: Card, people: Sequence[Person], now: int) -> None:
    """
    Count a message against what its author may send in a day; raise Enough beyond that.

    Answers of those who only receive count as well: somebody's disk and mailbox take them.
    """
    org, account = author.organisation, author.account
    most = settings.messages_per_day if author.subscriber else settings.replies_per_day
    if messages.count(rows, org, account, now // DAY, "messages", 1) > most:
        raise Enough(f"You have sent {most} messages today. Go on tomorrow (UTC).")
    if not author.subscriber:
        return
    new = sum(1 for each in people if each.new_contact)
    most = settings.most_new_recipients(card, now)
    if new and messages.count(rows, org, account, now // DAY, "new-recipients", new) > most:
        why = ", as many as a new account may" if settings.is_newcomer(card, now) else ""
        raise Enough(f"You have written to {most} new people today{why}. Go on tomorrow (UTC).")

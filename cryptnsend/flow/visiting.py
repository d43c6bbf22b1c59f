"""May a visitor begin a conversation, and whose is it? Asked inside the transaction that admits the letter.

A letter by a subscriber's page starts a thread of that subscriber's: their organisation, custody and archive hold for
it from the first word, and nobody else can be addressed. The limits are a visitor's own, and one of a page for people
who never wrote before, so that a crowd of made-up visitors keeps out nobody who was there already.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Enough, Refusal, Temporary
from cryptnsend.core.model import Ids, account_holder
from cryptnsend.flow.granting import Thread
from cryptnsend.flow.holders import Holders
from cryptnsend.flow.policies import Policies
from cryptnsend.store.records import visitors

DAY = 86_400_000  # milliseconds


def words(text: str) -> str:
    """Mark a sentence that a page says in the reader's language."""
    return text


CLOSED = words("This page takes no letters now. Reach the person in another way.")
BLOCKED = words("This person takes no messages from you here. Reach them in another way.")
OWN = words("This is your own page.")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one page takes in a day: letters of one visitor, and letters of people who never wrote to it before."""

    letters: int
    newcomers: int


class Threads:
    """Threads that visitors start. Keeps nothing itself."""

    def __init__(self, holders: Holders, ids: Ids, policies: Policies, limits: Limits):
        self._holders, self._ids, self._policies, self._limits = holders, ids, policies, limits

    def thread(
        self, rows: Rows, visits: int, author: int, address: int | None, people: Collection[str], now: int
    ) -> Thread:
        """
        Return the thread that account *author* starts with the subscriber *visits*, from an *address* of theirs.

        Raises Refusal where there is no open page or the visitor is blocked, Enough beyond a limit, Unvouched.
        """
        owner = self._holders.card(rows, account_holder(visits))
        if owner is None or "subscriber" not in owner.roles or not set(people) <= set(owner.addresses):
            raise Refusal(CLOSED)
        org = owner.organisation
        if not visitors.is_open(rows, org, visits) or not self._policies.of(rows, org).visitor_pages:
            raise Refusal(CLOSED)
        if visits == author:
            raise Refusal(OWN)
        if address is None:
            raise Temporary("Your address is not ready yet. Try again in a minute.")
        check_welcome(rows, visits, address)
        wrote = visitors.wrote(rows, org, visits, address, now, now // DAY)
        if wrote.letters > self._limits.letters:
            raise Enough(
                words("This page has taken as many letters of yours as it does in a day. Go on tomorrow (UTC).")
            )
        if wrote.since == now and visitors.first_letters(rows, visits, now - DAY) > self._limits.newcomers:
            raise Enough(words("This page takes no more letters from new people today. Try again tomorrow, or call."))
        return Thread(self._ids.new(now), org, visits, owner.custody, new=True)


def check_welcome(rows: Rows, subscriber: int, address: int | None) -> None:
    """Raise Refusal for a visitor whom the thread's subscriber has blocked; said openly, as silence would harm."""
    if address is not None and visitors.is_blocked(rows, subscriber, address):
        raise Refusal(BLOCKED)

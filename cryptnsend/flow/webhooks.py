"""What does a subscriber do about webhooks? Make them, look how telling goes, try one, change the secret, end them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from cryptnsend.core import hooks as said
from cryptnsend.core.contracts import Row, Rows
from cryptnsend.core.errors import Denied, NoGrant
from cryptnsend.flow import hooking
from cryptnsend.flow.api_tokens import FORBIDDEN
from cryptnsend.flow.people import People
from cryptnsend.flow.sessions import Session
from cryptnsend.store.records import hooks

SHOWN = 10  # tries of one webhook
PAUSE = 10_000  # milliseconds between two tests of one webhook


@dataclass(frozen=True, slots=True)
class Try:
    """One event and how telling it went; `state` is a delivery's, "" once that is forgotten."""

    event: str
    at: int
    state: str
    attempts: int
    reply: str


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook as its owner sees it."""

    id: int
    url: str
    events: tuple[str, ...]
    created: int
    tries: Sequence[Try] = ()


@dataclass(frozen=True, slots=True)
class NewWebhook:
    """What signs the events of a webhook, shown this once."""

    id: int
    url: str
    secret: str = field(repr=False)


class Webhooks(People):
    """Shared by all requests of a process."""

    def allowed(self, session: Session) -> bool:
        """Say whether this subscriber may have webhooks, by the rules."""
        return self._policies.now(session.organisation).api

    def listing(self, session: Session) -> Sequence[Webhook]:
        """Return this account's webhooks with their latest tries, newest first."""
        return [
            Webhook(
                row["id"], row["url"], tuple(row["events"].split()), row["created"],
                [_try(each) for each in hooks.tries(self._engine, row["id"], SHOWN)],
            )
            for row in hooks.listing(self._engine, session.account)
        ]  # fmt: skip

    def add(self, session: Session, *, url: str, events: Collection[str], password: str, source: str) -> NewWebhook:
        """Make a webhook. Raises Denied for a URL that events cannot go to, WrongSecret or Throttled."""
        place = said.check_url(url.strip())
        if not events or set(events) - set(said.EVENTS):
            raise Denied("Choose at least one thing that the program is told.")
        if not self.allowed(session):
            raise Denied(FORBIDDEN)
        made = self._keeper.hook_add(session.ticket, self._confirmed(session, password, source), place, list(events))
        now = self._clock.now()

        def write(rows: Rows) -> None:
            hooks.add(rows, made.id, session.organisation, session.account, place, said.write_events(events), now)
            self._append(rows, session.organisation, session.account, "hook.added", {"hook": made.id})

        self._engine.write(write).result()
        self._alert(session.account, "new-hook")
        return NewWebhook(made.id, place, made.secret)

    def rotate(self, session: Session, hook: int, password: str, source: str) -> NewWebhook:
        """Make a new secret; events are signed by both for seven days."""
        row = self._own(session, hook)
        made = self._keeper.hook_rotate(session.ticket, self._confirmed(session, password, source), hook)
        self._note(session, "hook.rotated", {"hook": hook})
        return NewWebhook(hook, row["url"], made.secret)

    def remove(self, session: Session, hook: int) -> None:
        """End a webhook; what was to be told is not."""
        self._own(session, hook)
        self._keeper.hook_end(session.ticket, hook)
        now = self._clock.now()

        def write(rows: Rows) -> None:
            hooks.end(rows, hook, now)
            self._append(rows, session.organisation, session.account, "hook.removed", {"hook": hook})

        self._engine.write(write).result()

    def test(self, session: Session, hook: int) -> None:
        """Send an event that is about nothing; how it went stands in the list. Raises Denied if one just left."""
        row, now = self._own(session, hook), self._clock.now()
        latest = [each for each in hooks.tries(self._engine, hook, 1) if each["event"] == said.TEST]
        if latest and now - latest[0]["created"] < PAUSE:
            raise Denied("A test is on its way. Look how it went before you send another.")
        if not self.allowed(session):
            raise Denied(FORBIDDEN)
        self._engine.write(
            lambda rows: hooking.queue(rows, session.organisation, row["id"], said.TEST, None, now, self._random)
        ).result()
        self._wake()

    def _own(self, session: Session, hook: int) -> Row:
        for row in hooks.listing(self._engine, session.account):
            if row["id"] == hook:
                return row
        raise NoGrant("There is no such webhook.")


def _try(row: Row) -> Try:
    return Try(row["event"], row["created"], row["state"] or "", row["attempts"] or 0, row["reply"] or "")

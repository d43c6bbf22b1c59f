"""What do people do about webhooks? Make them, look how telling goes, try one, change the secret, end them.

Subscribers have webhooks of their own, about their mail; officers and managers look after those of the organisation,
which hear of everybody's.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from cryptnsend.core import hooks as said
from cryptnsend.core.contracts import Row, Rows
from cryptnsend.core.errors import Denied, NoGrant
from cryptnsend.core.model import INSTALLATION
from cryptnsend.flow import hooking
from cryptnsend.flow.api_tokens import FORBIDDEN
from cryptnsend.flow.people import People, numbered
from cryptnsend.flow.sessions import Session
from cryptnsend.store.records import accounts, hooks, messages, oversight

SHOWN = 10  # tries of one webhook
PAUSE = 10_000  # milliseconds between two tests of one webhook
ENDS = frozenset({"delivered", "failed", "parked", "cancelled"})
STAFF = frozenset({"officer", "manager"})


@dataclass(frozen=True, slots=True)
class Try:
    """One event and how telling it went; `state` is a delivery's, "" once that is forgotten."""

    event: str
    at: int
    state: str
    attempts: int
    reply: str

    @property
    def waits(self) -> bool:
        """Whether nothing is known yet of how it went: its first attempt is still to come."""
        return bool(self.state) and self.state not in ENDS and not self.reply


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook as its owner sees it."""

    id: int
    url: str
    events: tuple[str, ...]
    created: int
    tries: Sequence[Try] = ()
    by: str = ""  # who made it, of an organisation's; "" once that account is closed

    @property
    def waits(self) -> bool:
        """Whether the answer to something that was just sent is awaited."""
        return any(each.waits for each in self.tries)


@dataclass(frozen=True, slots=True)
class NewWebhook:
    """What signs the events of a webhook, shown this once."""

    id: int
    url: str
    secret: str = field(repr=False)


class Webhooks(People):
    """A subscriber's own. Shared by all requests of a process."""

    WHOLE = False  # whether they hear of the mail of everybody in the organisation
    ACTION = "hook"  # how the audit calls them

    def allowed(self, session: Session) -> bool:
        """Say whether there may be webhooks, by the rules."""
        return self._policies.now(session.organisation).api

    def listing(self, session: Session) -> Sequence[Webhook]:
        """Return the webhooks with their latest tries, newest first."""
        return [self._shown(row) for row in self._live(session)]

    def one(self, session: Session, hook: int) -> Webhook:
        """Return one of them; raise NoGrant where there is none."""
        return self._shown(self._own(session, hook))

    def add(
        self, session: Session, *, url: str, events: Collection[str], password: str, source: str, code: str = ""
    ) -> NewWebhook:
        """Make a webhook. Raises Denied for a URL that events cannot go to, WrongSecret or Throttled."""
        self._check_who(session)
        place = said.check_url(url.strip())
        if not events or set(events) - set(said.EVENTS):
            raise Denied("Choose at least one thing that the program is told.")
        if not self.allowed(session):
            raise Denied(FORBIDDEN)
        k, ticket = self._confirmed(session, password, source), session.ticket
        made = numbered(
            lambda: self._keeper.hook_add(ticket, k, place, list(events), whole=self.WHOLE, code=code),
        )
        now = self._clock.now()

        def write(rows: Rows) -> None:
            org, wanted = session.organisation, said.write_events(events)
            hooks.add(rows, made.id, org, session.account, place, wanted, now, whole=self.WHOLE)
            self._append(rows, org, session.account, f"{self.ACTION}.added", {"hook": made.id})

        self._engine.write(write).result()
        self._tell(session)
        return NewWebhook(made.id, place, made.secret)

    def rotate(self, session: Session, hook: int, password: str, source: str, code: str = "") -> NewWebhook:
        """Make a new secret; events are signed by both for seven days."""
        row = self._own(session, hook)
        k = self._confirmed(session, password, source)
        made = numbered(lambda: self._keeper.hook_rotate(session.ticket, k, hook, code))
        self._note(session, f"{self.ACTION}.rotated", {"hook": hook})
        return NewWebhook(hook, row["url"], made.secret)

    def remove(self, session: Session, hook: int) -> None:
        """End a webhook; what was to be told is not."""
        self._own(session, hook)
        self._keeper.hook_end(session.ticket, hook)
        now = self._clock.now()

        def write(rows: Rows) -> None:
            hooks.end(rows, hook, now)
            self._did(rows, session, f"{self.ACTION}.removed", {"hook": hook})

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

    # -- whose --------------------------------------------------------------------------------------------------------

    def _check_who(self, session: Session) -> None:
        """Raise NoGrant for who has no such webhooks; of subscribers' own, the keeper says."""

    def _live(self, session: Session) -> list[Row]:
        return hooks.listing(self._engine, session.account)

    def _tell(self, session: Session) -> None:
        """Mail those who should know that there is another webhook."""
        self._alert(session.account, "new-hook")

    def _own(self, session: Session, hook: int) -> Row:
        for row in self._live(session):
            if row["id"] == hook:
                return row
        raise NoGrant("There is no such webhook.")

    def _shown(self, row: Row) -> Webhook:
        tries = [_try(each) for each in hooks.tries(self._engine, row["id"], SHOWN)]
        return Webhook(row["id"], row["url"], tuple(row["events"].split()), row["created"], tries, self._by(row))

    def _by(self, row: Row) -> str:
        return ""


class OrganisationWebhooks(Webhooks):
    """Those of an organisation: they hear of everybody's mail, and stay when who made them leaves."""

    WHOLE = True
    ACTION = "organisation-hook"

    def _check_who(self, session: Session) -> None:
        name = accounts.organisation_name(self._engine, session.organisation)
        if session.organisation == INSTALLATION or not STAFF & set(session.roles) or not name:
            raise NoGrant("There is nothing here.")

    def _live(self, session: Session) -> list[Row]:
        self._check_who(session)
        return hooks.listing_of_all(self._engine, session.organisation)

    def _by(self, row: Row) -> str:
        return next(iter(accounts.addresses(self._engine, row["account"])), "")

    def _tell(self, session: Session) -> None:
        told = {*oversight.officers(self._engine, session.organisation), session.account}
        mails = [self._mail("alert", "new-hook-of-all", each) for each in sorted(told)]
        self._engine.write(lambda rows: messages.add_deliveries(rows, mails)).result()
        self._wake()


def _try(row: Row) -> Try:
    return Try(row["event"], row["created"], row["state"] or "", row["attempts"] or 0, row["reply"] or "")

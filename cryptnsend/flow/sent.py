"""What became of what an account sent? Per recipient, for its author alone; and taking it back, and undoing that.

Recall ends recipients' grants: they are refused at once, kept for some days so that it can be undone, then shredded.
The journal hears of each ending before it is committed, so that a restored backup does not bring it back.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import structlog

from cryptnsend.core.addresses import canonical
from cryptnsend.core.contracts import Clock, Engine, Row, Rows
from cryptnsend.core.errors import Denied, NoGrant, SealBroken, Sentence
from cryptnsend.core.mime import Index
from cryptnsend.core.model import account_holder, contact_name
from cryptnsend.core.organisation import less_instead
from cryptnsend.core.protected import KINDS
from cryptnsend.core.subject import peel
from cryptnsend.flow import searching
from cryptnsend.flow.adoption import NEWEST
from cryptnsend.flow.opening import NOTHING, Opener
from cryptnsend.flow.policies import Policies
from cryptnsend.flow.rendering import files_of
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.views import Reached, SentEntry, Status
from cryptnsend.flow.ways import Way, way_of
from cryptnsend.keeper.client import Keeper
from cryptnsend.store.records import audit, grants, kept, listing, plans

PAGE = 100  # messages looked up at once, where all are
DAY = 86_400_000  # milliseconds
LATE_LASTS = 6 * DAY  # a host that cannot pass a mail on returns it after five days at most

log = structlog.stdlib.get_logger(__name__)
NOTHING_MORE: Mapping[str, object] = MappingProxyType({})


class Sent:
    """The author's view. Shared by all requests of a process."""

    def __init__(
        self,
        *,
        engine: Engine,
        keeper: Keeper,
        opener: Opener,
        clock: Clock,
        undo: int,
        policies: Policies,
        wake: Callable[[], None],
    ):
        """*undo* is for how many milliseconds a recall can be undone."""
        self._engine, self._keeper, self._opener, self._clock = engine, keeper, opener, clock
        self.undo, self._policies, self._wake = undo, policies, wake

    def ring(self) -> None:
        """Let the courier know that something is due."""
        self._wake()

    def list(self, session: Session, before: int | None = None, limit: int = 50) -> Sequence[SentEntry]:
        """Return a page of what was sent, newest first, older than the message *before*."""
        older = NEWEST if before is None else before
        holder = account_holder(session.account)
        rows = grants.page(self._engine, holder, "author", older, limit, kept_by=session.account)
        return [self._entry(session, row) for row in rows]

    def search(self, session: Session, typed: str) -> searching.Found:
        """Return own sent messages that have all words of *typed*, as `flow.searching` looks for them."""
        words, until = searching.wanted(typed), self._clock.monotonic() + searching.SECONDS
        found: list[SentEntry] = []
        looked_at, older, holder = 0, NEWEST, account_holder(session.account)
        while words and looked_at < searching.MOST and self._clock.monotonic() < until:
            rows = grants.page(self._engine, holder, "author", older, PAGE)
            if not rows:
                return searching.Found(found, looked_at, all=True)
            for row in rows:
                older, looked_at = row["message"], looked_at + 1
                index = self._index(session, row)
                if index is not None and searching.matches(words, *searching.texts_of(index)):
                    found.append(self._entry(session, row))
                    if len(found) == searching.SHOWN:
                        return searching.Found(found, looked_at, all=False)
        return searching.Found(found, looked_at, all=False)

    def entry(self, session: Session, message: int) -> SentEntry | None:
        """Return the line that one own message has in a list, wherever it lies; None for others'."""
        rows = grants.held(self._engine, account_holder(session.account), message)
        own = [row for row in rows if row["role"] == "author"]
        return self._entry(session, own[0]) if own else None

    def status(self, session: Session, message: int) -> Status:
        """Return what became of one message. Raises NoGrant to everybody but its author."""
        row = self._opener.as_author(session, message)
        about = self._about(message)
        index = self._index(session, row)
        reached, taken = self._reached(about, index)
        return Status(
            message=message,
            subject=peel(index.subject).shown if index else "",
            at=about["created"],
            recipients=reached,
            ends=about["expires"],
            taken_back=max(max(taken) - self.undo, about["created"]) if taken else None,
            undo_until=max(taken) if taken else None,
            tell=bool((plans.of(self._engine, about["org"], message) or {}).get("tell")),
            instead=self._instead(about),
            locked=not self._opener.opens(session, row),
        )

    def expire(self, session: Session, message: int, address: str | None = None) -> None:
        """
        Take a message back from *address* or from everybody: refused at once, undone for some days, then shredded.

        What has not left yet does not leave. Doing it twice changes nothing.
        """
        self.take_back(self.owned(session, message), address, account_holder(session.account))

    def shred(self, session: Session, message: int, address: str | None = None) -> None:
        """
        Take a message back as `expire` does, for good: nobody can give it back, and upkeep deletes what opens it next.

        What was taken back before goes with it.
        """
        about = self.owned(session, message)
        self.take_back(about, address, account_holder(session.account), {"for": "good"}, for_good=True)

    def take_back(
        self,
        about: Row,
        address: str | None,
        actor: str,
        by: Mapping[str, object] = NOTHING_MORE,
        *,
        for_good: bool = False,
    ) -> None:
        """Do what `expire` does, for *actor* who may: the author, or the owner of the home. *by* is for the audit."""
        self.check_sent_to(about, address)
        taken: set[int] = set()
        # Plain mail may turn into a message in the vault, and a waiting grant into an account's, between the look at
        # what there is and its end. What had been there is not there any more then, so nothing follows a second look.
        while found := self._take_back(about, address, actor, by, taken, for_good=for_good):
            taken.update(found)

    def _take_back(
        self,
        about: Row,
        address: str | None,
        actor: str,
        by: Mapping[str, object],
        taken: Container[int],
        *,
        for_good: bool,
    ) -> Sequence[int]:
        """Take back what there is now but for what was *taken* already; return the ids of grants and deliveries."""
        message, now = about["id"], self._clock.now()
        until = now if for_good else now + self.undo
        past = grants.suspended(self._engine, about["org"], message) if for_good else ()
        kept = [each for each in self.of(about, past, address) if each not in taken]
        coming = self.of(about, grants.to_suspend(self._engine, about["org"], message), address)
        ending = [each for each in coming if each not in taken]
        staying = [
            row["id"]
            for row in grants.waiting_deliveries(self._engine, about["org"], message)
            if row["id"] not in taken and address in (None, row["canonical"])
        ]
        if not ending and not staying and not kept:
            return ()
        if ending:
            self._keeper.ended("suspend", ending)
        if staying:
            self._keeper.ended("cancel", staying)

        def write(rows: Rows) -> None:
            count = grants.suspend(rows, about["org"], ending, until)
            grants.end_now(rows, about["org"], kept, now)
            grants.cancel(rows, about["org"], staying, now)
            self._note(rows, actor, about, "grant.suspended", {**by, "grants": count, "deliveries": len(staying)})

        self._engine.write(write).result()
        return [*kept, *ending, *staying]

    def restore(self, session: Session, message: int, address: str | None = None) -> None:
        """
        Give back what was taken back, or has expired, while it is still kept.

        Raises Denied when there is nothing left to give back, or where an officer stopped a leak by it.
        """
        about = self.owned(session, message)
        if audit.recalled_by_officer(self._engine, about["org"], message):
            raise Denied("An officer of your organisation took this message back. Only an officer can give it back.")
        self.give_back(about, address, account_holder(session.account))

    def check_sent_to(self, about: Row, address: str | None) -> None:
        """Raise Denied for somebody the message was not sent to: a typing error must not pass for a thing done."""
        if address is None:
            return
        reached = listing.reached(self._engine, about["org"], about["id"])
        if all(row["canonical"] != address for row in reached):
            raise Denied(Sentence("This message was not sent to %(address)s.", address=address))

    def give_back(self, about: Row, address: str | None, actor: str, by: Mapping[str, object] = NOTHING_MORE) -> None:
        """Do what `restore` does, for *actor* who may: the author, or the owner of the home. *by* is for the audit."""
        message, now = about["id"], self._clock.now()
        self.check_sent_to(about, address)
        kept = [row for row in grants.suspended(self._engine, about["org"], message) if row["ends"] > now]
        coming = self.of(about, kept, address)
        if not coming:
            raise Denied("There is nothing to give back: nothing was taken back, or the days for that are over.")
        expires = about["expires"]
        if expires is None or expires <= now:
            expires = now + self._policies.limits(about["org"]).life_days * DAY
        self._keeper.ended("undo", coming)

        def write(rows: Rows) -> None:
            count = grants.give_back(rows, about["org"], coming, expires)
            grants.prolong(rows, about["org"], message, expires)
            for row in kept:
                if row["id"] in coming and row["contact"]:
                    grants.resume(rows, about["org"], message, row["contact"].rpartition("|")[0], now)
            self._note(rows, actor, about, "grant.restored", {**by, "grants": count})

        self._engine.write(write).result()
        self._wake()

    def reached(self, about: Row) -> tuple[Sequence[Reached], Sequence[int]]:
        """Return how every recipient of a message stands, and until when its recall can be undone; opens nothing."""
        return self._reached(about, None)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _entry(self, session: Session, row: Row) -> SentEntry:
        about = self._about(row["message"])
        index = self._index(session, row)
        reached, taken = self._reached(about, index)
        return SentEntry(
            message=about["id"],
            subject=peel(index.subject).shown if index else "",
            at=about["created"],
            recipients=reached,
            attachments=len(files_of(index)) if index else 0,
            ends=about["expires"],
            taken_back=bool(taken),
            locked=not self._opener.opens(session, row),
        )

    def _index(self, session: Session, row: Row) -> Index | None:
        """Return the index of an own message; None where it cannot be opened, which must not take the list away."""
        if not self._opener.opens(session, row):
            return None
        try:
            return self._opener.index(row, self._opener.keys(session, row))
        except SealBroken:
            log.error("index damaged", message=row["message"], organisation=row["org"])
            return None

    def _about(self, message: int) -> Row:
        about = listing.message(self._engine, message)
        if about is None:
            raise NoGrant(NOTHING)
        return about

    def _instead(self, about: Row) -> str:
        """Return what stands in for the code of a message, as its author chose and the organisation still allows."""
        return less_instead(about["way"], self._policies.limits(about["org"]).code_instead)

    def owned(self, session: Session, message: int) -> Row:
        """Return an own message that this session opens; raise NoGrant for every other."""
        if not self._opener.opens(session, self._opener.as_author(session, message)):
            # After a reset by mail: who cannot open it might be anybody, and what is taken back is shredded in the end.
            raise NoGrant("This message is locked since the password was reset. Show that it is you first.")
        about = self._about(message)
        if about["author"] != session.account:
            raise NoGrant(NOTHING)
        return about

    @staticmethod
    def of(about: Row, rows: Sequence[Row], address: str | None) -> tuple[int, ...]:
        """Return the ids of those grants that are for *address*, or of all."""
        wanted = None if address is None else contact_name(address, about["subscriber"])
        return tuple(row["id"] for row in rows if wanted is None or row["contact"] == wanted)

    def _reached(self, about: Row, index: Index | None) -> tuple[Sequence[Reached], Sequence[int]]:
        """Return every recipient's state and, if all of them lost the message by recall, until when that is undone."""
        now = self._clock.now()
        names = {_canonical(each.address): each.name for each in (*index.to, *index.cc)} if index else {}
        held = grants.recipients(self._engine, about["org"], about["id"])
        reached, taken, open_to, recalled = [], [], 0, None
        for row in listing.reached(self._engine, about["org"], about["id"]):
            grant = _grant_of(held, row, about["subscriber"])
            over = row["decision"] != "relay" and (grant is None or grant["state"] != "active")
            if grant is not None and grant["state"] == "suspended":
                taken.append(int(grant["ends"]))
            elif not over:
                open_to += 1
            elif recalled is None:
                recalled = audit.was_recalled(self._engine, about["org"], about["id"])
            state, at = _state(row, over)
            reached.append(
                Reached(
                    address=row["canonical"],
                    name=names.get(row["canonical"], ""),
                    state=state,
                    at=at if state != "ended" else _ended(about, grant, self.undo, now),
                    reply=row["reply"] or "" if state in ("bounced", "delayed") else "",
                    needs_code=not over
                    and grant is not None
                    and self._instead(about) != "none"
                    and _needs_code(row, grant),
                    suspended=over,
                    way=self._way(about, row, now),
                    reminded=row["reminded_at"],
                    told=row["notified"] is not None,
                    may_return=grant is not None and grant["state"] == "suspended" and grant["ends"] > now,
                    closed=over and grant is None and not recalled,
                )
            )
        expired = about["expires"] is not None and about["expires"] <= now
        return reached, taken if not open_to and not expired else []

    def _way(self, about: Row, row: Row, now: int) -> Way | None:
        """Return why a delivery went as it did, with what other hosts said of it since, where that matters still."""
        if not row["kind"]:
            return None
        way = way_of(row)
        if way.late_at is not None and (row["first_opened"] is not None or way.late_at + LATE_LASTS <= now):
            way = replace(way, late_at=None, late_by="", late="")  # it arrived, or it would have come back
        if way.automatic is not None and kept.one(self._engine, about["author"], way.automatic) is None:
            way = replace(way, automatic=None)  # thrown away since
        return way

    def _note(self, rows: Rows, actor: str, about: Row, action: str, detail: dict[str, object]) -> None:
        audit.append(rows, about["org"], self._clock.now(), actor, action, str(about["id"]), detail)


def _grant_of(held: Sequence[Row], row: Row, subscriber: int) -> Row | None:
    """Return a recipient's grant: by contact, or by holder, who may have been written to at two addresses."""
    contact = contact_name(row["canonical"], subscriber)
    own = None if row["account"] is None else account_holder(row["account"])
    by_contact = [grant for grant in held if grant["contact"] == contact]
    found = by_contact or [grant for grant in held if grant["holder"] == own]
    return found[0] if found else None


def _state(row: Row, over: bool) -> tuple[str, int | None]:
    """Return how one recipient stands, and since when."""
    if row["first_opened"] is not None:
        return "opened", row["first_opened"]
    if over or row["state"] == "cancelled":
        return "ended", row["settled"]
    if row["fetched"] is not None:
        return "fetched", row["fetched"]
    done = {"notice": "notified", "handoff": "handoff", "relay": "relayed"}
    if row["state"] == "delivered" and row["left_as"] == "tls":
        return "readable", row["settled"]
    if row["state"] == "delivered" and row["left_as"] in KINDS:
        return "handoff", row["settled"]
    if row["state"] == "delivered":
        return done[row["kind"]], row["settled"]
    if row["state"] in ("failed", "parked"):
        return "bounced", row["settled"]
    if row["state"] in ("delayed", "held"):
        return row["state"], row["created"]
    return "waiting", row["created"]


def _ended(about: Row, grant: Row | None, undo: int, now: int) -> int | None:
    if about["expires"] is not None and about["expires"] <= now:
        return int(about["expires"])
    return int(grant["ends"]) - undo if grant is not None and grant["ends"] else None


def _needs_code(row: Row, grant: Row) -> bool:
    """Say whether the recipient opens this only with a code: it is pending, or withheld since their reset."""
    if not grant["contact"]:
        return False
    return bool(grant["pair_role"] == "pending" or grant["pair_state"] in ("withheld", "locked"))


def _canonical(address: str) -> str:
    try:
        return canonical(address)
    except ValueError:
        return address

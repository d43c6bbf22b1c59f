"""How does an officer read the archive in an emergency? A glass break: one mailbox, a reason, a time, all are told.

The keeper gives out what opens the archive for as long as the glass break lasts. It rests under the secret of the
session that asked, so that no other browser and no thief of the database has it, and each page asks the keeper whether
it still holds. Whatever is opened stands in the audit trail before anybody sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeVar

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cryptnsend.core import passwords
from cryptnsend.core.addresses import Mailbox, canonical, parse_mailboxes
from cryptnsend.core.contracts import Clock, Engine, Row, Rows
from cryptnsend.core.errors import Denied, Ended, NoGrant, SealBroken, SecondStep, Sentence, WrongSecret
from cryptnsend.core.keys import box, unbox
from cryptnsend.core.mime import Index
from cryptnsend.core.model import INSTALLATION, Random, account_holder, archive_holder, new_id
from cryptnsend.core.names import legible
from cryptnsend.core.seal import framed
from cryptnsend.core.subject import peel
from cryptnsend.flow import saving
from cryptnsend.flow.archiving import EVER
from cryptnsend.flow.opening import Opener
from cryptnsend.flow.rendering import Rendered, render
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.throttling import Throttle
from cryptnsend.flow.views import Part
from cryptnsend.keeper.client import Keeper
from cryptnsend.keeper.recovery import chain
from cryptnsend.keeper.requests import GlassOpened
from cryptnsend.store.records import accounts, archive, audit, glass, grants, messages, oversight
from cryptnsend.store.records.audit import OPERATOR

DAY = 86_400_000  # milliseconds for which another officer may agree
SHORTEST, LONGEST = 5, 480  # minutes
SHORTEST_REASON, REASON = 10, 300  # characters
TOLD = 500  # people at most who are told that mail between them and somebody outside is open
NOTHING = "The archive has no such message of this mailbox."
ACTOR = "upkeep"
BOTH = 64  # octets of content key and author's key together
T = TypeVar("T")
NOTHING_MORE: Mapping[str, object] = MappingProxyType({})


class _Kept(msgspec.Struct):
    """What opens the archive, sealed into the row of a glass break."""

    ident: int
    mailbox: str
    ends: int
    seeds: dict[int, bytes]


@dataclass(frozen=True, slots=True)
class Broken:
    """A glass break that is open: what may be read through it, until when, and what opens it."""

    id: int
    organisation: int
    mailbox: str
    reason: str
    ends: int
    session: Session = field(repr=False)  # with the archive's seeds

    @property
    def actor(self) -> str:
        """Who the audit trail says it is."""
        return account_holder(self.session.account)

    @property
    def trace(self) -> dict[str, object]:
        """What stands beside each message in the audit trail."""
        return {"glass": str(self.id)}


@dataclass(frozen=True, slots=True)
class Recovered(Broken):
    """A mailbox that a recovery file opened, by a command of who runs the server."""

    pair: int

    @property
    def actor(self) -> str:
        """Who the audit trail says it is."""
        return OPERATOR

    @property
    def trace(self) -> dict[str, object]:
        """What stands beside each message in the audit trail."""
        return {"recovery": str(self.pair)}


@dataclass(frozen=True, slots=True)
class Shown:
    """One message out of the archive, as a page shows it."""

    message: int
    subject: str
    author: Mailbox
    to: tuple[Mailbox, ...]
    cc: tuple[Mailbox, ...]
    bcc: tuple[Mailbox, ...]
    at: int
    body: Rendered


class GlassBreaks:
    """Glass breaks of all organisations. Shared by all requests of a process; keeps nothing."""

    def __init__(
        self,
        *,
        engine: Engine,
        keeper: Keeper,
        opener: Opener,
        throttle: Throttle,
        clock: Clock,
        random: Random,
        wake: Callable[[], None],
        by: Mapping[str, object] = NOTHING_MORE,
    ):
        """*by* is what the audit says of who acts, besides whose password it was."""
        self._engine, self._keeper, self._opener, self._throttle = engine, keeper, opener, throttle
        self._clock, self._random, self._wake, self._by = clock, random, wake, by

    # -- asking -------------------------------------------------------------------------------------------------------

    def ask(
        self,
        session: Session,
        password: str,
        code: str,
        mailbox: str,
        reason: str,
        minutes: int,
        source: str,
        second: str = "",
    ) -> int:
        """
        Ask for the mail of one address, and return the glass break's number; where no second officer is needed it is
        open. Where one is, *second* names them by an address, and the question waits for their yes for a day.

        Raises Denied to everybody but officers and without a reason, WrongSecret, Throttled, NoGrant.
        """
        name, why = _canonical(mailbox), legible(reason)[:REASON]
        named = _canonical(second) if second else ""
        made = self._checked(
            session,
            password,
            source,
            lambda k: self._keeper.glass_ask(session.ticket, k, code, name, why, minutes, named),
        )
        said = made.glass
        holder, officers = account_holder(session.account), oversight.officers(self._engine, said.organisation)
        detail: dict[str, object] = {"mailbox": name, "reason": why, "minutes": minutes}
        if said.second is not None:
            detail["second"] = account_holder(said.second)
        whose, _ = self._concerned(said.organisation, name)

        def write(rows: Rows) -> None:
            glass.put(
                rows, said.id, said.organisation, said.officer, said.mailbox, why, said.minutes, said.asked, said.second
            )
            self._append(rows, said.organisation, holder, "glass.asked", said.id, detail)
            if said.opened is None:
                for each in officers:
                    self._alert(rows, "glass-asked" if each == said.second else "glass-asked-other", each)
                if whose is not None and whose["state"] in ("active", "weak"):
                    self._alert(rows, "glass-asked-yours", whose["id"])

        self._engine.write(write).result()
        self._wake()
        if said.opened is not None:
            self._open(session, made)
        return said.id

    def others(self, session: Session) -> list[str]:
        """Return the addresses of the other officers of one's organisation, one of whom may be named to agree."""
        _check_officer(session)
        others = (each for each in oversight.officers(self._engine, session.organisation) if each != session.account)
        return [found[0] for each in others if (found := accounts.addresses(self._engine, each))]

    def confirm(self, session: Session, password: str, code: str, source: str) -> None:
        """Check that an officer shows password and number again. Raises Denied, WrongSecret, Throttled."""
        self._checked(session, password, source, lambda k: self._keeper.officer_step(session.ticket, k, code))

    def takes_two(self, session: Session) -> bool:
        """Say whether one's archive opens with two officers."""
        _check_officer(session)
        return self._keeper.glass_takes_two(session.ticket)

    def require_two(self, session: Session, password: str, code: str, source: str) -> None:
        """
        Let one's archive open with two officers from now on; all of them are told.

        Raises Denied where there are no two, WrongSecret, Throttled.
        """
        self._checked(session, password, source, lambda k: self._keeper.glass_two(session.ticket, k, code))
        org, holder = session.organisation, account_holder(session.account)

        def write(rows: Rows) -> None:
            self._append(rows, org, holder, "policy.changed", org, {"glass-break": 2})
            for each in oversight.officers(self._engine, org):
                self._alert(rows, "glass-rule-changed", each)

        self._engine.write(write).result()
        self._wake()

    def agree(self, session: Session, password: str, code: str, ident: int, source: str) -> None:
        """Say yes to the glass break of an officer who named this one. Raises Denied, Ended, WrongSecret, Throttled."""
        said = self._checked(
            session, password, source, lambda k: self._keeper.glass_agree(session.ticket, k, code, ident)
        )
        now = self._clock.now()

        def write(rows: Rows) -> None:
            glass.agreed(rows, said.organisation, ident, session.account, now)
            self._append(rows, said.organisation, account_holder(session.account), "glass.agreed", ident, {})

        self._engine.write(write).result()

    def open(self, session: Session, password: str, code: str, ident: int, source: str) -> None:
        """Open what another officer agreed to, or go on in another browser. Raises as `ask`, and Ended."""
        made = self._checked(
            session, password, source, lambda k: self._keeper.glass_open(session.ticket, k, code, ident)
        )
        self._open(session, made)

    def end(self, session: Session, ident: int) -> None:
        """End a glass break before its time. Raises Denied."""
        said = self._keeper.glass_end(session.ticket, ident)
        now, holder = self._clock.now(), account_holder(session.account)

        def write(rows: Rows) -> None:
            if glass.ended(rows, said.organisation, ident, now):
                self._append(rows, said.organisation, holder, "glass.ended", ident, {})

        self._engine.write(write).result()

    def listing(self, session: Session) -> list[Row]:
        """Return the glass breaks of an officer's organisation, the newest first; raises Denied to all others."""
        _check_officer(session)
        return glass.listing(self._engine, session.organisation)

    # -- reading ------------------------------------------------------------------------------------------------------

    def broken(self, session: Session, ident: int) -> Broken:
        """Return a glass break that is open in this session. Raises Denied, Ended."""
        row = glass.one(self._engine, session.organisation, ident)
        if row is None:
            raise Denied("There is no such glass break.")
        said = self._keeper.glass_running(session.ticket, ident)
        if row["session"] != session.id_hash or row["sealed"] is None:
            raise Denied("It was opened in another browser. Open it here with your password.")
        try:
            kept = msgspec.msgpack.decode(unbox(_key(session), row["sealed"], _place(session)), type=_Kept)
        except SealBroken:
            raise Denied("It was opened in another browser. Open it here with your password.") from None
        if kept.ident != ident or kept.ends <= self._clock.now():
            raise Ended("This glass break is over. Ask for another one, with its own reason.")
        return self._seeing(session, said.mailbox, row["reason"], kept)

    def mails(self, broken: Broken, before: int | None = None, limit: int = 50) -> list[tuple[Row, str]]:
        """Return the mail of the mailbox, newest first, each with its subject; a page of them, noted in the trail."""
        rows = archive.search(
            self._engine,
            broken.organisation,
            address=broken.mailbox,
            before=EVER if before is None else before,
            limit=limit,
        )
        if rows:  # subjects say something, too
            page = {"glass": str(broken.id), "messages": len(rows), "newest": str(rows[0]["id"])}
            holder = account_holder(broken.session.account)
            self._engine.write(
                lambda rows: self._append(rows, broken.organisation, holder, "archive.listed", broken.id, page)
            ).result()
        return [(row, self._subject(broken, row["id"])) for row in rows]

    def show(self, broken: Broken, message: int) -> Shown:
        """Return one message, noted in the audit trail before. Raises NoGrant, SealBroken."""
        row, content_keys = self.unlocked(broken, message)
        index = self._opener.index(row, content_keys)
        about = archive.envelope(self._engine, message)
        if about is None:
            raise NoGrant(NOTHING)
        self.note(broken, [message], "archive.opened")
        body = render(index, self._opener.raw(row, content_keys))
        author = index.author if index and index.author else Mailbox("", about[0]["author"])
        return Shown(
            message=message,
            subject=peel(index.subject).shown if index else "",
            author=author,
            to=tuple(index.to) if index else (),
            cc=tuple(index.cc) if index else (),
            bcc=self._bcc(row, content_keys),
            at=about[0]["created"],
            body=body,
        )

    def eml(self, broken: Broken, message: int, *, noted: bool = False) -> Part:
        """Return one message as a mail file: with Bcc where its author is the organisation's."""
        row, content_keys = self.unlocked(broken, message)
        cuts = self._opener.cuts(row, content_keys) if len(content_keys) == BOTH else []
        part = saving.whole(f"{message}.eml", self._opener.raw(row, content_keys), cuts)
        if not noted:
            self.note(broken, [message], "archive.exported")
        return part

    def index(self, broken: Broken, message: int) -> Index | None:
        """Return a message's index. Raises NoGrant, SealBroken."""
        return self._opener.index(*self.unlocked(broken, message))

    def note(self, broken: Broken, found: list[int], action: str, about: Mapping[str, object] = NOTHING_MORE) -> None:
        """Put into the audit trail what is about to be seen."""

        def write(rows: Rows) -> None:
            for message in found:
                detail = {**broken.trace, **about, **self._by}
                audit.append(rows, broken.organisation, self._clock.now(), broken.actor, action, str(message), detail)

        self._engine.write(write).result()

    # -- inside -------------------------------------------------------------------------------------------------------

    def _checked(self, session: Session, password: str, source: str, act: Callable[[bytes], T]) -> T:
        """Do what takes an officer's password; wrong ones are counted like those of a sign-in."""
        _check_officer(session)
        self._throttle.check(session.address, source)
        salt = self._keeper.salt(session.address)
        k = passwords.derive(password, salt.salt, passwords.Argon.decode(salt.params))
        try:
            return act(k)
        except SecondStep:
            raise Denied(
                "Type the number from your phone, too: the last one was shown more than five minutes ago."
            ) from None
        except WrongSecret:
            self._throttle.failed(session.address, source, password)
            raise

    def _open(self, session: Session, made: GlassOpened) -> None:
        said = made.glass
        if said.ends is None or said.opened is None:
            raise Denied("Another officer has to agree first.")
        opened = said.opened
        if not session.secret:
            raise ValueError("what opens an archive rests under a session's secret, and this one has none")
        kept = _Kept(said.id, said.mailbox, said.ends, made.seeds)
        sealed = box(_key(session), msgspec.msgpack.encode(kept), _place(session), self._random)
        holder, officers = account_holder(session.account), oversight.officers(self._engine, said.organisation)
        whose, others = self._concerned(said.organisation, said.mailbox)

        def write(rows: Rows) -> None:
            glass.opened(rows, said.organisation, said.id, opened, kept.ends, session.id_hash, sealed)
            self._append(rows, said.organisation, holder, "glass.opened", said.id, {"mailbox": said.mailbox})
            for each in officers:
                self._alert(rows, "glass-opened", each)
            if whose is not None and whose["state"] in ("active", "weak"):
                self._alert(rows, "glass-opened-yours", whose["id"])
            for each in others:
                self._alert(rows, "glass-opened-between", each)

        self._engine.write(write).result()
        self._wake()

    def recovered(self, ticket: bytes, pair: int, seed: bytes, mailbox: str, reason: str) -> Recovered:
        """
        Open one mailbox with the seed out of a recovery file; everybody is told. Raises Denied without a reason, Ended.

        The keeper says by its *ticket* whose archive this is, and until when.
        """
        name, why = _canonical(mailbox), legible(reason)[:REASON]
        if len(why) < SHORTEST_REASON:
            raise Denied("Say in a sentence why this mailbox has to be opened. It stands in the audit trail.")
        said = self._keeper.recovered(ticket)
        organisation, seeds = said.organisation, chain(pair, seed, said.earlier)
        session = Session(
            account=0, organisation=organisation, roles=(), address="", addresses=(), name="", locale="", weak=False,
            seeds=seeds, ticket=ticket, locked_pairs=(), id_hash=self._random(32), secret=b"",
        )  # fmt: skip
        whose, others = self._concerned(organisation, name)
        detail = {"mailbox": name, "reason": why, "recovery": str(pair)}

        def write(rows: Rows) -> None:
            self._append(rows, organisation, OPERATOR, "archive.recovered", organisation, detail)
            for each in oversight.officers(self._engine, organisation):
                self._alert(rows, "archive-recovered", each)
            for each in [*([whose["id"]] if whose and whose["state"] in ("active", "weak") else []), *others]:
                self._alert(rows, "archive-recovered-yours", each)

        self._engine.write(write).result()
        self._wake()
        return Recovered(0, organisation, name, why, said.ends, session, pair)

    def _concerned(self, organisation: int, mailbox: str) -> tuple[Row | None, list[int]]:
        """Return whose mailbox it is, if an account's, and who of the organisation wrote with somebody outside."""
        whose = accounts.by_address(self._engine, mailbox)
        is_own = whose is not None and whose["org"] == organisation
        return whose, [] if is_own else archive.correspondents(self._engine, organisation, mailbox, TOLD)

    def _seeing(self, session: Session, mailbox: str, reason: str, kept: _Kept) -> Broken:
        seeing = replace(session, seeds=session.seeds | kept.seeds)
        return Broken(kept.ident, session.organisation, mailbox, reason, kept.ends, seeing)

    def unlocked(self, broken: Broken, message: int) -> tuple[Row, bytes]:
        """Return the archive's grant on a message, and its keys; what they open is to be noted. Raises NoGrant."""
        if broken.mailbox and not archive.concerns(self._engine, broken.organisation, message, broken.mailbox):
            raise NoGrant(NOTHING)
        for row in grants.held(self._engine, archive_holder(broken.organisation), message):
            if row["role"] == "archive":
                return row, self._opener.keys(broken.session, row)
        raise NoGrant(NOTHING)

    def _subject(self, broken: Broken, message: int) -> str:
        try:
            index = self.index(broken, message)
        except (NoGrant, SealBroken):
            return ""
        return peel(index.subject).shown if index else ""

    def _bcc(self, row: Row, content_keys: bytes) -> tuple[Mailbox, ...]:
        if len(content_keys) != BOTH:
            return ()
        secret = b"".join(octets for _, octets in self._opener.cuts(row, content_keys)).decode("utf-8", "replace")
        return tuple(parse_mailboxes(secret.partition(":")[2].replace("\r\n", " ")))

    def _append(self, rows: Rows, org: int, actor: str, action: str, about: int, detail: Mapping[str, object]) -> None:
        audit.append(rows, org, self._clock.now(), actor, action, str(about), {**detail, **self._by})

    def _alert(self, rows: Rows, template: str, account: int) -> None:
        now = self._clock.now()
        mail = messages.Delivery(
            new_id(now, self._random), INSTALLATION, "alert", "", None, None, account, template,
            "", "{}", "opportunistic", now, None, None, now,
        )  # fmt: skip
        messages.add_deliveries(rows, [mail])


def finish(engine: Engine, clock: Clock) -> None:
    """Note those that ended by themselves, and forget what opened them."""
    now = clock.now()
    for row in glass.over(engine, now, DAY):

        def write(rows: Rows, row: Row = row) -> None:
            if glass.ended(rows, row["org"], row["id"], now):
                audit.append(rows, row["org"], now, ACTOR, "glass.ended", str(row["id"]), {"reason": "time"})

        engine.write(write).result()


def _check_officer(session: Session) -> None:
    if "officer" not in session.roles:
        raise Denied("Only officers of the organisation may do this.")


def _key(session: Session) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=framed("glass")).derive(session.secret)


def _place(session: Session) -> bytes:
    return framed("glass", session.id_hash)


def _canonical(address: str) -> str:
    try:
        return canonical(address)
    except ValueError:
        raise Denied(Sentence("%(address)s is not a mail address.", address=repr(address))) from None

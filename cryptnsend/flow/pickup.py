"""How does a recipient read? One message and its parts; the list is in received.py, links and codes in arrival.py.

What counts as opened is content shown to somebody who is signed in and whose contact with the sender is proven.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import structlog

from cryptnsend.core import tokens
from cryptnsend.core.addresses import Mailbox, canonical
from cryptnsend.core.contracts import Clock, Engine, Row, Rows
from cryptnsend.core.errors import NoGrant
from cryptnsend.core.mime import Index, titled
from cryptnsend.core.model import Random, account_holder
from cryptnsend.core.names import safe_display_name
from cryptnsend.core.subject import peel
from cryptnsend.flow import saving, searching
from cryptnsend.flow.adoption import NEWEST, Adoption
from cryptnsend.flow.arrival import sender_name
from cryptnsend.flow.documents import Documents
from cryptnsend.flow.filereading import files_beside
from cryptnsend.flow.holdings import held, places
from cryptnsend.flow.kept import Kept
from cryptnsend.flow.opened import note_opened
from cryptnsend.flow.opening import NOTHING, Opener
from cryptnsend.flow.papers import Papers
from cryptnsend.flow.received import PAGE, Received
from cryptnsend.flow.rendering import render
from cryptnsend.flow.sent import Sent
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.throttling import Throttle
from cryptnsend.flow.views import KeptFile, Letter, Part, SentEntry, Status, Turn
from cryptnsend.keeper.client import Keeper
from cryptnsend.store.records import grants, links, listing, placements

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Answering:
    """What a reply needs of the message it answers. `others` are those in To and Cc of its envelope, never Bcc."""

    message: int
    address: str  # of who answers: the one that was written to
    author: Mailbox
    others: tuple[Mailbox, ...]
    subject: str
    message_id: str
    references: tuple[str, ...]


class Pickup(Received):
    """Reading for everybody who is signed in, and the author's view. Shared by all requests of a process."""

    def __init__(
        self,
        *,
        engine: Engine,
        keeper: Keeper,
        opener: Opener,
        adoption: Adoption,
        sent: Sent,
        throttle: Throttle,
        documents: Documents,
        clock: Clock,
        random: Random,
        wake: Callable[[], None],
    ):
        super().__init__(
            engine=engine,
            keeper=keeper,
            adoption=adoption,
            throttle=throttle,
            clock=clock,
            random=random,
            undo=sent.undo,
            wake=wake,
        )
        self._opener, self._sent = opener, sent
        self.kept = Kept(engine, opener, keeper, clock)
        self.papers = Papers(engine, opener, documents, clock, self.show)

    # -- one message --------------------------------------------------------------------------------------------------

    def show(self, session: Session, message: int) -> Letter:
        """
        Open a message for reading and, for a recipient, note that they did.

        Raises NoGrant where it is not theirs or needs its sender's code first, Ended after it was taken back or has
        expired, SealBroken if octets are damaged.
        """
        row, index, content_keys = self._open(session, message)
        about = self._about(message)
        rendered = render(index, self._opener.raw(row, content_keys))
        mine = listing.mine(self._engine, session.account, message)
        is_author = row["role"] == "author"
        others = () if is_author else tuple(each.address for each in self._others(row, index, mine))
        if not is_author:
            self._opened(session, row, mine)
        return Letter(
            message=message,
            subject=peel(index.subject).shown if index else "",
            sender_name=sender_name(about, index),
            sender_address=_author_of(index) or about["display"],
            at=about["created"],
            text=rendered.text,
            html=rendered.html,
            files=rendered.files,
            mine=is_author,
            ends=row["ends"],
            phone=about["phone"],
            organisation=about["organisation"],
            to=tuple(_written(each) for each in (*index.to, *index.cc)) if index else (),
            others=others,
            can_reply=not is_author and _author_of(index) != "",
            may_block=not is_author and about["author"] == about["subscriber"] != session.account,
            display_id=mine["display_id"] if mine and not is_author else "",
            by_mail=about["origin"] == "mail",
            org=about["look_org"],
            left_out=rendered.left_out,
            beside=tuple(
                KeptFile(each.id, each.name, each.media_type, each.size, linked=True)
                for each in files_beside(self._engine, self._opener, row["org"], message, content_keys[:32])
            ),
            as_document=not is_author
            and any(each["is_pdf"] for each in listing.as_documents(self._engine, session.account, message)),
        )

    def part(self, session: Session, message: int, part: str) -> Part:
        """Return one attachment, checked before its first octet goes out; raise NoGrant if there is none such."""
        row, index, content_keys = self._open(session, message)
        found = None if index is None else saving.attachment(index, part)
        if index is None or found is None:
            raise NoGrant("There is no such attachment here.")
        return saving.part(index, found, self._opener.raw(row, content_keys))

    def eml(self, session: Session, message: int) -> Part:
        """Return the message as a mail file: for its author as it was submitted, for recipients without Bcc."""
        _, index, _ = self._open(session, message)  # brings what waits for its reader
        row = self._opener.fullest(session, message)
        content_keys = self._opener.keys(session, row)
        cuts = self._opener.cuts(row, content_keys) if row["role"] == "author" else []
        subject = peel(index.subject).shown if index else ""
        name = titled(subject, ".eml")
        return saving.whole(name, self._opener.raw(row, content_keys), cuts)

    def zip(self, session: Session, message: int, password: str) -> Iterator[bytes]:
        """Return an AES-256 ZIP of the message and its attachments as a stream, checked before it begins."""
        row, index, content_keys = self._open(session, message)
        return saving.zipped(index, self._opener.raw(row, content_keys), password)

    def everything(self, session: Session, password: str) -> Iterator[bytes]:
        """
        Return an AES-256 ZIP of all own messages as mail files: what came, and what was sent, as it was submitted.

        A message that does not open now is left out, and one whose octets are damaged ends the stream early.
        """
        return saving.archive(self._mail_files(session), password)

    def _mail_files(self, session: Session) -> Iterator[tuple[str, Iterator[bytes]]]:
        holder, used = account_holder(session.account), set[str]()
        for role, folder in (("recipient", "received"), ("author", "sent")):
            older = NEWEST
            now = self._clock.now() if role == "recipient" else None
            while found := grants.page(self._engine, holder, role, older, PAGE, now=now):
                older = found[-1]["message"]
                for row in found:
                    if row["state"] != "active" or not self._opener.opens(session, row):
                        continue
                    about = self._about(row["message"])
                    keys = self._opener.keys(session, row)
                    index = self._opener.index(row, keys)
                    raw, cuts = self._opener.raw(row, keys), self._opener.cuts(row, keys) if role == "author" else []
                    name = saving.mail_name(folder, about["created"], peel(index.subject).shown if index else "", used)
                    yield name, saving.whole(name, raw, cuts).chunks

    def answering(self, session: Session, message: int) -> Answering:
        """
        Return what a reply to this message needs; raise as `show`, and NoGrant to its own author.

        Who hears of it stands in what was sealed. Rows could have been changed, and would send the reply elsewhere.
        """
        row, index, _ = self._open(session, message)
        if row["role"] == "author":
            raise NoGrant("This is your own message.")
        author = _author_of(index)
        if index is None or not author:
            raise NoGrant("This message cannot be answered here, because nobody can tell who wrote it.")
        about = self._about(message)
        mine = listing.mine(self._engine, session.account, message)
        name = sender_name(about, index)
        return Answering(
            message=message,
            address=mine["canonical"] if mine else session.address,
            author=Mailbox("" if name == about["display"] else name, author),
            others=self._others(row, index, mine),
            subject=peel(index.subject).rest.strip(),
            message_id=about["message_id"],
            references=tuple(index.references or index.in_reply_to),
        )

    # -- what became of one's own -------------------------------------------------------------------------------------

    def sent(self, session: Session, before: int | None = None, limit: int = 50) -> Sequence[SentEntry]:
        """Return a page of what this account sent; see `Sent.list`."""
        return self._sent.list(session, before, limit)

    def search_sent(self, session: Session, typed: str) -> searching.Found:
        """Find own messages among those that were sent; see `Sent.search`."""
        return self._sent.search(session, typed)

    def status(self, session: Session, message: int) -> Status:
        """Return what became of one message, recipient by recipient; see `Sent.status`."""
        return self._sent.status(session, message)

    def expire(self, session: Session, message: int, address: str | None = None) -> None:
        """Take a message back, from everybody or from one; see `Sent.expire`."""
        self._sent.expire(session, message, address)

    def restore(self, session: Session, message: int, address: str | None = None) -> None:
        """Give a message back that was taken back; see `Sent.restore`."""
        self._sent.restore(session, message, address)

    def shred(self, session: Session, message: int, address: str | None = None) -> None:
        """Take a message back for good; see `Sent.shred`."""
        self._sent.shred(session, message, address)

    def thread(self, session: Session, message: int) -> Sequence[Turn]:
        """Return the conversation that a message of one's own belongs to, oldest first, as far as it may be opened."""
        holder, now = account_holder(session.account), self._clock.now()
        return [
            Turn(
                message=row["id"],
                name=safe_display_name(row["name"]),
                address=row["display"],
                at=row["created"],
                mine=row["author"] == session.account,
                opened=row["author"] == session.account or row["first_opened"] is not None,
            )
            for row in listing.thread(self._engine, holder, session.account, message, now)
        ]

    # -- inside -------------------------------------------------------------------------------------------------------

    def _about(self, message: int) -> Row:
        found = listing.message(self._engine, message)
        if found is None:
            raise NoGrant(NOTHING)
        return found

    def _open(self, session: Session, message: int) -> tuple[Row, Index | None, bytes]:
        """Return grant, index and content key, after bringing what waits if that is what is missing."""
        try:
            row = self._opener.grant(session, message)
            waits = not self._opener.opens(session, row)
        except NoGrant:
            waits = self._waits(session, message)
            if not waits:
                raise
        if waits:
            self.adopt(session)
            try:
                row = self._opener.grant(session, message)
            except NoGrant:
                raise NoGrant("This message needs its sender's code first.") from None
        content_keys = self._opener.keys(session, row)
        return row, self._opener.index(row, content_keys), content_keys

    def _waits(self, session: Session, message: int) -> bool:
        return bool(held(self._engine, places(self._engine, session.account, session.addresses)[1:], message))

    def _others(self, row: Row, index: Index | None, mine: Row | None) -> tuple[Mailbox, ...]:
        """
        Return whom a reply to all reaches besides the author: who stands in To or Cc and was in the envelope.

        The header was sealed, the rows say who was in the envelope; neither alone adds anybody.
        """
        names = self._named(index) if index else {}
        left_out = {_author_of(index), mine["canonical"] if mine else ""}
        return tuple(
            Mailbox(names[each], each)
            for each in listing.disclosed(self._engine, row["org"], row["message"])
            if each in names and each not in left_out
        )

    def _named(self, index: Index) -> dict[str, str]:
        """Return the names of those in To and Cc by canonical address; a token of ours stands for who is behind it."""
        names: dict[str, str] = {}
        for each in (*index.to, *index.cc):
            address = _canonical(each.address)
            token = address.partition("@")[0].removeprefix("r+").removeprefix("u-")
            parts = tokens.split(token)
            link = links.link(self._engine, parts[1]) if parts else None
            if link is not None and link["purpose"] == "reply":
                claims = tokens.Claims("reply", link["address"], link["subscriber"], link["message"])
                if self._keeper.link(token, claims):
                    address = link["address"]
            names[address] = each.name
        return names

    def _opened(self, session: Session, row: Row, mine: Row | None) -> None:
        account, message, now = session.account, row["message"], self._clock.now()
        is_first = mine is not None and mine["first_opened"] is None
        if not is_first and not placements.unseen(self._engine, account, message):
            return

        def write(rows: Rows) -> bool:
            placements.see(rows, account, message)  # what was read on the page is read in every mail program
            if mine is None or not is_first:
                return False
            return note_opened(rows, row["org"], message, mine["address"], session, now, self._random)

        if self._engine.write(write).result():
            self._sent.ring()


def _author_of(index: Index | None) -> str:
    """Return the canonical address of who wrote a message, as they signed it; "" where that cannot be told."""
    return _canonical(index.author.address) if index and index.author else ""


def _written(mailbox: Mailbox) -> str:
    return f"{mailbox.name} <{mailbox.address}>" if mailbox.name else mailbox.address


def _canonical(address: str) -> str:
    try:
        return canonical(address)
    except ValueError:
        return address

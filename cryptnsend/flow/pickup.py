"""How does a recipient come to read? The link, the sender's code, the list of messages, one message and its parts.

No link opens anything and no look at a page changes anything: what counts as opened is content shown to somebody who
is signed in and whose contact with the sender is proven.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import structlog

from cryptnsend.core import tokens
from cryptnsend.core.addresses import Mailbox, canonical
from cryptnsend.core.contracts import Clock, Engine, Row, Rows
from cryptnsend.core.errors import Ended, NoGrant, SealBroken, WrongSecret
from cryptnsend.core.mime import Index, safe_filename
from cryptnsend.core.model import Random, account_holder, address_holder
from cryptnsend.core.names import safe_display_name
from cryptnsend.core.subject import peel
from cryptnsend.flow import saving
from cryptnsend.flow.account import Proof
from cryptnsend.flow.adoption import NEWEST, Adoption
from cryptnsend.flow.mainrows import new_phrase, write_card, write_contact
from cryptnsend.flow.opening import NOTHING, Opener
from cryptnsend.flow.rendering import files_of, render
from cryptnsend.flow.sent import Sent
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.throttling import Throttle
from cryptnsend.flow.views import Entry, Letter, Part, SentEntry, Status, Waiting
from cryptnsend.keeper.client import Keeper
from cryptnsend.store.records import accounts, audit, cards, grants, links, listing

DEAD_LINK = "This link opens nothing. Open the one in the newest message, or ask the sender to send it again."
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


class Pickup:
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
        clock: Clock,
        random: Random,
    ):
        self._engine, self._keeper, self._opener, self._adoption = engine, keeper, opener, adoption
        self._sent, self._throttle, self._clock, self._random = sent, throttle, clock, random

    # -- the link -----------------------------------------------------------------------------------------------------

    def waiting(self, token: str) -> Waiting:
        """
        Return what a link says without any proof. Raises Ended alike for unknown, forged and outdated links.

        Changes nothing, so that mail scanners may follow the link as often as they like.
        """
        link = self._link(token)
        message = listing.message(self._engine, link["message"])
        if message is None:
            raise Ended(DEAD_LINK)
        row = listing.recipient(self._engine, link["message"], link["address"])
        account = row["account"] if row and row["account_state"] in ("active", "weak") else None
        held = grants.held(self._engine, address_holder(link["address"]), link["message"])
        if account is not None:
            held += grants.held(self._engine, account_holder(account), link["message"])
        state, ended = self._state(message, [each for each in held if each["role"] == "recipient"], row)
        return Waiting(
            message=message["id"],
            sender_name=_sender(message),
            sender_address=message["display"],
            phone=message["phone"],
            organisation=message["organisation"],
            sent=message["created"],
            to=link["address"],
            display_id=row["display_id"] if row else "",
            state=state,
            has_account=account is not None,
            phrase=(row["phrase"] or "") if row else "",
            ended=ended,
        )

    def prove(self, token: str, code: str, source: str) -> Proof:
        """Check a sender's code for a newcomer; raise WrongSecret with the tries left, Ended, or Throttled."""
        link = self._link(token)
        self._throttle.check(link["address"], source)
        try:
            proof = self._keeper.prove(token, _claims(link), code)
        except WrongSecret:
            self._wrong(link, code, source)
            raise
        self._proven(link, anew=proof.may_register)
        return Proof.of(proof)

    def prove_as(self, session: Session, token: str, code: str, source: str) -> None:
        """Check a sender's code for somebody signed in, and bring what waited for it; errors as `prove`."""
        link = self._link(token)
        self._throttle.check(link["address"], source)
        try:
            contact = self._keeper.prove_session(session.ticket, token, _claims(link), code)
        except WrongSecret:
            self._wrong(link, code, source)
            raise
        # The address may be new to the account, and the account may be weak no more: the card says both.
        signed, key = self._keeper.card(account_holder(session.account)), self._keeper.anchors().card_key
        now = self._clock.now()

        def write(rows: Rows) -> None:
            if signed is not None:
                card = write_card(rows, signed, key, now, self._random)
                accounts.set_state(rows, card.account, "weak" if card.weak else "active")
            if contact.statement:
                write_contact(rows, contact, now, self._random)
            holder = account_holder(session.account)
            audit.append(rows, link["org"], now, holder, "code.proven", str(link["message"]), {})

        self._engine.write(write).result()
        addresses = {*session.addresses, contact.address}
        self._adoption.adopt(session.account, sorted(addresses), session.seeds, session.ticket)

    def adopt(self, session: Session) -> int:
        """Bring whatever waits for who is signed in; return how many messages came."""
        return self._adoption.adopt(session.account, session.addresses, session.seeds, session.ticket)

    # -- the list -----------------------------------------------------------------------------------------------------

    def list(self, session: Session, before: int | None = None, limit: int = 50) -> Sequence[Entry]:
        """Return a page of own messages, newest first, older than the message *before*; opens indexes, never bodies."""
        older = NEWEST if before is None else before
        holders = [account_holder(session.account), *map(address_holder, session.addresses)]
        pages = [grants.page(self._engine, each, "recipient", older, limit) for each in holders]
        entries: dict[int, Row] = {}
        for row in heapq.merge(*pages, key=lambda each: -int(each["message"])):
            entries.setdefault(row["message"], row)  # of two ways to one message the account's own comes first
        return [self._entry(session, row) for row in [*entries.values()][:limit]]

    def _entry(self, session: Session, row: Row) -> Entry:
        message = listing.message(self._engine, row["message"])
        if message is None:
            raise NoGrant(NOTHING)
        mine = listing.mine(self._engine, session.account, row["message"])
        state = self._entry_state(session, row, message)
        subject, files = None, 0
        if state == "open":
            subject, files = self._gist(session, row)
        return Entry(
            message=message["id"],
            subject=subject,
            sender_name=_sender(message),
            sender_address=message["display"],
            at=message["created"],
            opened=bool(mine and mine["first_opened"]),
            state=state,
            attachments=files,
            ends=row["ends"] if row["state"] == "active" else None,
        )

    def _entry_state(self, session: Session, row: Row, message: Row) -> str:
        if row["state"] != "active":
            return "expired" if _is_over(message, self._clock.now()) else "suspended"
        if self._opener.opens(session, row):
            return "open"
        # Pending, or withheld since a reset: the sender's code brings it. What is locked needs an older password.
        brought = row["pair_role"] == "pending" or row["pair_state"] == "withheld"
        return "code" if row["contact"] and brought else "locked"

    def _gist(self, session: Session, row: Row) -> tuple[str, int]:
        """Return subject and number of attachments; a damaged index must not take the list away from its reader."""
        try:
            index = self._opener.index(row, self._opener.keys(session, row))
        except SealBroken:
            log.error("index damaged", message=row["message"], organisation=row["org"])
            return "", 0
        return (peel(index.subject).shown, len(files_of(index))) if index else ("", 0)

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
            sender_name=_sender(about, index),
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
            display_id=mine["display_id"] if mine and not is_author else "",
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
        row, index, content_keys = self._open(session, message)
        cuts = self._opener.cuts(row, content_keys) if row["role"] == "author" else []
        subject = peel(index.subject).shown if index else ""
        name = safe_filename(f"{subject[:100] or 'message'}.eml")
        return saving.whole(name, self._opener.raw(row, content_keys), cuts)

    def zip(self, session: Session, message: int, password: str) -> Iterator[bytes]:
        """Return an AES-256 ZIP of the message and its attachments as a stream, checked before it begins."""
        row, index, content_keys = self._open(session, message)
        return saving.zipped(index, self._opener.raw(row, content_keys), password)

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
        name = _sender(about, index)
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

    def status(self, session: Session, message: int) -> Status:
        """Return what became of one message, recipient by recipient; see `Sent.status`."""
        return self._sent.status(session, message)

    def expire(self, session: Session, message: int, address: str | None = None) -> None:
        """Take a message back, from everybody or from one; see `Sent.expire`."""
        self._sent.expire(session, message, address)

    def restore(self, session: Session, message: int, address: str | None = None) -> None:
        """Give a message back that was taken back; see `Sent.restore`."""
        self._sent.restore(session, message, address)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _link(self, token: str) -> Row:
        """Return the row of a link that the keeper confirms; raise Ended."""
        parts = tokens.split(token)
        row = links.link(self._engine, parts[1]) if parts else None
        if row is None or row["purpose"] != "open" or not self._keeper.link(token, _claims(row)):
            raise Ended(DEAD_LINK)
        return row

    def _state(self, message: Row, held: Sequence[Row], contact: Row | None) -> tuple[str, int | None]:
        """Return the state of what a link names, and when it ended if it did."""
        if not any(each["state"] == "active" for each in held):
            if _is_over(message, self._clock.now()):
                return "expired", message["expires"]
            taken = [each["ends"] for each in held if each["ends"]]
            return "suspended", max(taken) - self._sent.undo if taken else None
        own = any(each["pair_role"] == "account" and each["pair_state"] in ("current", "retired") for each in held)
        proven = contact is not None and contact["account"] is not None and contact["proven_by"] == contact["account"]
        if own or (proven and contact is not None and contact["contact"] in ("proven", "waived")):
            return "known", None
        return "new", None

    def _proven(self, link: Row, *, anew: bool) -> None:
        """
        Note a proof, and agree on the words that mails to this person will carry, before a password is chosen.

        Who is about to make an account (*anew*) gets words that nobody knows who had the address before.
        """
        now, holder = self._clock.now(), address_holder(link["address"])

        def write(rows: Rows) -> None:
            known = cards.address(rows, link["address"])
            if known is not None:
                phrase, owner = accounts.contact_phrase(rows, known[0], link["subscriber"])
                if anew and (not phrase or owner is not None):
                    accounts.renew_phrase(rows, known[0], link["subscriber"], new_phrase(self._random))
            audit.append(rows, link["org"], now, holder, "code.proven", str(link["message"]), {})

        self._engine.write(write).result()

    def _wrong(self, link: Row, code: str, source: str) -> None:
        self._note(link["org"], address_holder(link["address"]), "code.wrong", link["message"])
        self._throttle.failed(link["address"], source, code)

    def _note(self, org: int, actor: str, action: str, message: int) -> None:
        now = self._clock.now()
        self._engine.write(lambda rows: audit.append(rows, org, now, actor, action, str(message), {})).result()

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
        return any(grants.held(self._engine, address_holder(each), message) for each in session.addresses)

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
        if mine is None or mine["first_opened"] is not None:
            return
        now, holder = self._clock.now(), account_holder(session.account)

        def write(rows: Rows) -> None:
            if listing.opened(rows, row["org"], row["message"], mine["address"], now):
                audit.append(rows, row["org"], now, holder, "message.opened", str(row["message"]), {})

        self._engine.write(write).result()


def _claims(link: Row) -> tokens.Claims:
    return tokens.Claims("open", link["address"], link["subscriber"], link["message"])


def _is_over(message: Row, now: int) -> bool:
    return message["expires"] is not None and message["expires"] <= now


def _sender(message: Row, index: Index | None = None) -> str:
    """Return the author's name from the profile, else as they signed the message, else their address."""
    written = _shown(index.author.name) if index and index.author else ""
    return _shown(message["name"]) or written or str(message["display"])


@lru_cache(maxsize=4096)
def _shown(name: str) -> str:
    """Return a name as it may be shown; remembered, because judging it costs more than the rest of a line of a list."""
    return safe_display_name(name)


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

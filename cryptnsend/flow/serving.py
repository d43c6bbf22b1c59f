"""What does a mail program get of a message? The finished texts of its index, its octets, or a notice in its place.

Messages are looked up many at a time: one query for their grants and indexes, one asymmetric operation for each epoch.
A body is opened only when it is asked for; that is noted in the audit trail before its first octet leaves, and shows
to the sender as fetched by a mail program. It counts as opened when it is seen (flow/mailboxes.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple, TypeVar

import structlog

from cryptnsend.core import keys
from cryptnsend.core.contracts import Clock, Engine, Row, Rows
from cryptnsend.core.errors import NoGrant, SealBroken, StoreBroken
from cryptnsend.core.imap_sections import View
from cryptnsend.core.mime_index import ImapText, Index, imap_text
from cryptnsend.core.mime_indexer import index_blocks, index_message
from cryptnsend.core.model import account_holder
from cryptnsend.core.seal import SeekReader, open_sealed, unpad
from cryptnsend.flow.opening import Opener, Sealed
from cryptnsend.flow.sessions import Session
from cryptnsend.store.records import audit, filed, listing, serving
from cryptnsend.store.records.mailboxes import Mailbox
from cryptnsend.store.records.placements import Placed
from cryptnsend.store.records.serving import Granted, Standing
from cryptnsend.store.vault import Stored, Vault

LABEL, PART, SUMMARY = "filed", "raw", "index"
AT_ONCE = 64 * 1024  # octets up to which a sealed message is opened as a whole, of whatever is read

log = structlog.stdlib.get_logger(__name__)


T = TypeVar("T")


class Fetched(NamedTuple):
    """What the audit trail has to know of a message that a mail program fetches."""

    uid: int
    org: int
    message: int
    role: str


class Held:
    """One message that opens: where it lies, and what can be fetched of it."""

    __slots__ = ("org", "placed", "view")

    def __init__(
        self,
        placed: Placed,
        org: int,
        summary: bytes | Callable[[], bytes],
        load: Callable[[], Sealed | bytes],
        cuts: Sequence[tuple[int, bytes]] = (),
    ):
        """*summary* is the index, or opens it; *load* brings the octets once they are read; *cuts* are the author's."""
        self.placed, self.org = placed, org
        # What an author reads is longer than what was sealed.
        self.view = View(summary, _Source(load).read, cuts, placed.size if placed.role != "author" else None)

    def fetched(self) -> list[Fetched]:
        """Return what is to be noted if it is fetched: nothing of a notice."""
        placed = self.placed
        return [] if placed.served else [Fetched(placed.uid, self.org, placed.message, placed.role)]


class _Source:
    """
    The octets of a message, brought when the first of them are read.

    It knows nothing of who reads: in a circle each message would stay in memory until the collector comes by.
    """

    __slots__ = ("_load", "_reader", "_whole")

    def __init__(self, load: Callable[[], Sealed | bytes]):
        self._load = load
        self._whole: bytes | None = None
        self._reader: SeekReader | None = None

    def read(self, offset: int, length: int) -> bytes:
        """Return octets from *offset* on, fewer than *length* only at the end."""
        if self._whole is None and self._reader is None:
            loaded = self._load()
            if isinstance(loaded, bytes):
                self._whole = loaded
            elif loaded.size() <= AT_ONCE:
                self._whole = loaded.octets()
            else:
                self._reader = loaded.reader()
        if self._whole is not None:
            return self._whole[offset : offset + length]
        assert self._reader is not None  # noqa: S101 - one of the two was made above
        return b"".join(self._reader.read_range(offset, length))


class Shelf:
    """Opens messages for mail programs. Shared by all connections of a process; thread-safe."""

    def __init__(self, engine: Engine, vault: Vault, opener: Opener, clock: Clock):
        self._engine, self._vault, self._opener, self._clock = engine, vault, opener, clock

    def held(self, session: Session, box: Mailbox, rows: Sequence[Placed], *, whole: bool = False) -> dict[int, Held]:
        """
        Return by UID what opens of these messages, at most 500; what has ended, or is locked, is not among it.

        With *whole* small ones are brought at once, since all of each will be read. A damaged index takes nobody's
        message away: it is made anew from the message itself.
        """
        found = {each.uid: self._notice(box, each) for each in rows if each.served}
        for role in ("recipient", "author"):
            asked = [each for each in rows if each.role == role and not each.served]
            if asked:
                found |= self._granted(session, role, asked, whole=whole)
        brought = [each for each in rows if each.role == "filed"]
        if brought:
            found |= self._filed(session, brought)
        return found

    def standing(self, session: Session, box: Mailbox, uids: Sequence[int]) -> list[Standing]:
        """Return what lies under these UIDs, which ascend, and whether it opens as grants stand now."""
        holder, wanted, now = account_holder(session.account), set(uids), self._clock.now()
        found = serving.standing(self._engine, box.id, holder, uids[0], uids[-1], now)
        return [row for row in found if row.uid in wanted]

    def finished(
        self, session: Session, box: Mailbox, uids: Sequence[int]
    ) -> Iterator[tuple[Standing, ImapText | Held | None]]:
        """
        Yield what lies under these UIDs, which ascend and are at most 500, with the finished texts of each.

        None stands for what does not open; where texts alone do not do, with a long header or damage, `Held` stands
        for a message. This is what lists are made of: nothing is looked up, or made, that they do not need.
        """
        for row, one in self._each(session, box, uids, SUMMARY, _texts):
            if isinstance(one, Held):
                try:
                    yield row, one.view.finished() or one
                except SealBroken:
                    yield row, one
            else:
                yield row, one

    def wholes(
        self, session: Session, box: Mailbox, uids: Sequence[int], note: Callable[[Sequence[Fetched]], None]
    ) -> Iterator[tuple[Standing, bytes | Held | None]]:
        """
        Yield the same with the octets of each message; large ones, and what else is not simple, as `Held`.

        *note* is told what opens of these messages before the first is yielded.
        """
        return self._each(session, box, uids, PART, self._octets, note)

    def _octets(self, row: Standing, key: bytes) -> bytes | None:
        if row.size > AT_ONCE:
            return None
        stored = Stored(row.sealed, row.blob_key)
        octets = row.sealed if row.sealed is not None else b"".join(self._vault.open(stored))
        return open_sealed(key, row.message, PART, octets)

    def _each(
        self,
        session: Session,
        box: Mailbox,
        uids: Sequence[int],
        part: str,
        read: Callable[[Standing, bytes], T | None],
        note: Callable[[Sequence[Fetched]], None] | None = None,
    ) -> Iterator[tuple[Standing, T | Held | None]]:
        """Yield what *read* makes of a part of what was sent to an account, and of everything else what it opens."""
        holder, wanted, now = account_holder(session.account), set(uids), self._clock.now()
        found = serving.sealed(self._engine, box.id, holder, uids[0], uids[-1], now, part)
        rows = [row for row in found if row.uid in wanted]
        granted, unwrappers = self._standing_open(session, rows)
        if note is not None:
            note([_fetched(row) for row in granted])
        simple = {row.uid: unwrappers[row.epoch or 0] for row in granted if row.role == "recipient"}
        others = self._others(session, box, [row for row in rows if row.uid not in simple])
        for row in rows:
            unwrapper = simple.get(row.uid)
            if unwrapper is None:
                yield row, others.get(row.uid)
                continue
            bound = keys.grant_aad(row.org or 0, row.message, holder, row.role, row.contact, row.custody)
            try:
                one = read(row, unwrapper.unwrap(row.wrap, bound)[:32])
            except (SealBroken, StoreBroken):
                one = None  # what is damaged is looked at more closely, or told, where it is opened by itself
            yield row, self._others(session, box, [row]).get(row.uid) if one is None else one

    def _others(self, session: Session, box: Mailbox, rows: Sequence[Standing]) -> dict[int, Held]:
        """Return by UID what opens of notices, of what was sent or filed, of what is large or damaged."""
        asked = [Placed(*row[:9]) for row in rows if row.opens]
        return self.held(session, box, asked) if asked else {}

    def forget(self, session: Session) -> None:
        """Let go of what was opened for a session that is over."""
        self._opener.forget(session)

    def opening(self, session: Session, box: Mailbox, uids: Sequence[int]) -> list[Fetched]:
        """Return what is to be noted of these UIDs, at most 500, before what opens of them is fetched."""
        return list(map(_fetched, self._standing_open(session, self.standing(session, box, uids))[0]))

    def _standing_open(
        self, session: Session, rows: Sequence[Standing]
    ) -> tuple[list[Standing], dict[int, keys.Unwrapper]]:
        """Return what of these the session opens by a grant, and by epoch what unwraps their keys."""
        standing = [row for row in rows if row.opens and row.epoch is not None]
        unwrappers = self._opener.unwrappers(session, {row.epoch for row in standing if row.epoch is not None})
        return [row for row in standing if row.epoch in unwrappers], unwrappers

    def note_fetched(self, session: Session, about: Sequence[Fetched]) -> None:
        """Note that the content of these messages, at most 500, is about to leave for a mail program."""
        about = [each for each in about if each.role != "filed"]
        if not about:
            return
        now, actor = self._clock.now(), account_holder(session.account)
        received = [each.message for each in about if each.role == "recipient"]
        by = {"by": "mail program"}

        def write(rows: Rows) -> None:
            if received:
                listing.fetched(rows, session.account, received, now)
            for org, several in groupby(about, attrgetter("org")):
                audit.append_all(rows, org, now, actor, "message.fetched", [str(each.message) for each in several], by)

        self._engine.write(write).result()

    def note_searched(self, session: Session, messages: int) -> None:
        """Note that so many messages were looked through for a text; nothing of them has left."""
        now, actor = self._clock.now(), account_holder(session.account)
        self._engine.write(
            lambda rows: audit.append(
                rows, session.organisation, now, actor, "mailbox.searched", str(session.account), {"messages": messages}
            )
        ).result()

    # -- inside -------------------------------------------------------------------------------------------------------

    def _notice(self, box: Mailbox, placed: Placed) -> Held:
        octets = serving.notice(self._engine, box.id, placed.uid)
        return Held(placed, box.org, index_message(octets).to_octets(), lambda: octets)

    def _granted(self, session: Session, role: str, asked: Sequence[Placed], *, whole: bool) -> dict[int, Held]:
        holder = account_holder(session.account)
        idents, now = sorted({each.message for each in asked}), self._clock.now()
        rows = serving.grants(self._engine, holder, role, idents, now, whole=whole)
        by_message = {row.message: row for row in rows if row.state == "active"}
        unwrappers = self._opener.unwrappers(session, {row.epoch for row in by_message.values()})
        found = {}
        for each in asked:
            row = by_message.get(each.message)
            unwrapper = unwrappers.get(row.epoch) if row is not None else None
            if row is None or unwrapper is None:
                continue
            bound = keys.grant_aad(row.org, row.message, holder, role, row.contact, row.custody)
            content_keys = unwrapper.unwrap(row.wrap, bound)
            load = partial(self._raw, row, content_keys[:32])
            summary = partial(self._summary, row, content_keys, load)
            cuts = self._cuts(row, content_keys) if role == "author" else ()
            found[each.uid] = Held(each, row.org, summary, load, cuts)
        return found

    def _raw(self, row: Granted, key: bytes) -> Sealed:
        if row.body is None and row.blob_key is None:
            return self._opener.content(row.org, row.message, key, PART)
        return Sealed(self._vault, Stored(row.body, row.blob_key), key, row.message, PART)

    def _summary(self, row: Granted, content_keys: bytes, load: Callable[[], Sealed]) -> bytes:
        """Return the index of a message; where it is damaged, one that is made anew from the message itself."""
        sealed = row.summary
        if sealed is None:
            sealed = b"".join(self._vault.open(Stored(None, row.summary_key)))
        try:
            return unpad(open_sealed(content_keys[:32], row.message, SUMMARY, sealed))
        except SealBroken:
            log.error("index damaged", message=row.message, organisation=row.org)
            return index_blocks(load().chunks()).to_octets()

    def _cuts(self, row: Granted, content_keys: bytes) -> Sequence[tuple[int, bytes]]:
        if row.cuts is None and row.cuts_key is None:
            return ()
        stored, key = Stored(row.cuts, row.cuts_key), keys.author_key(content_keys)
        return self._opener.read_cuts(Sealed(self._vault, stored, key, row.message, "author_index"))

    def brought(self, session: Session, ident: int) -> tuple[Index, Sealed]:
        """Return what a mail program filed, with its index; raise NoGrant if it is gone or does not open here."""
        found = filed.several(self._engine, session.account, [ident])
        if not found or found[0]["pair"] not in session.seeds:
            raise NoGrant("There is no such message here.")
        row = found[0]
        key = self._key_of(session, row)
        index = Index.from_octets(unpad(open_sealed(key, ident, SUMMARY, row["summary"])))
        return index, self._brought(session.account, ident, key)

    def _key_of(self, session: Session, row: Row) -> bytes:
        holder, seed = account_holder(session.account), session.seeds[row["pair"]]
        return keys.open_with(seed, row["sealed_key"], label=LABEL, owner=holder, holder=holder, ref=row["id"])

    def _filed(self, session: Session, asked: Sequence[Placed]) -> dict[int, Held]:
        rows = filed.several(self._engine, session.account, sorted({each.message for each in asked}))
        by_id = {row["id"]: row for row in rows if row["pair"] in session.seeds}
        found = {}
        for each in asked:
            row = by_id.get(each.message)
            if row is None:
                continue
            key = self._key_of(session, row)
            summary = unpad(open_sealed(key, each.message, SUMMARY, row["summary"]))
            load = partial(self._brought, session.account, each.message, key)
            found[each.uid] = Held(each, session.organisation, summary, load)
        return found

    def _brought(self, account: int, ident: int, key: bytes) -> Sealed:
        content = filed.content(self._engine, account, ident)
        if content is None:
            raise NoGrant("This message was removed.")
        return Sealed(self._vault, Stored(content["body"], content["blob_key"]), key, ident, PART)


def _fetched(row: Standing) -> Fetched:
    return Fetched(row.uid, row.org or 0, row.message, row.role)


def _texts(row: Standing, key: bytes) -> ImapText | None:
    """Return the finished texts of a sealed index; None where they do not do."""
    if row.sealed is None:
        return None
    text = imap_text(unpad(open_sealed(key, row.message, SUMMARY, row.sealed)))
    return text if text is not None and text.header else None

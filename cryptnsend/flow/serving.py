"""What does a mail program get of a message? The finished texts of its index, its octets, or a notice in its place.

Messages are looked up many at a time: one query for their grants and indexes, one asymmetric operation for each epoch.
A body is opened only when it is asked for; that is noted in the audit trail before its first octet leaves, and shows
to the sender as fetched by a mail program. It counts as opened when it is seen (flow/mailboxes.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import structlog

from cryptnsend.core import keys
from cryptnsend.core.contracts import Clock, Engine, Rows
from cryptnsend.core.errors import NoGrant, SealBroken
from cryptnsend.core.imap_sections import View
from cryptnsend.core.mime_index import ImapText, imap_text
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


Shown = ImapText | Held | None  # of one message: its finished texts, all of it, or nothing


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

    def standing(self, session: Session, box: Mailbox, first: int, last: int) -> list[Standing]:
        """Return what lies under the UIDs from *first* to *last*, at most 500, and whether it opens as grants stand."""
        return serving.standing(self._engine, box.id, account_holder(session.account), first, last, self._clock.now())

    def finished(self, session: Session, box: Mailbox, first: int, last: int) -> Iterator[tuple[Standing, Shown]]:
        """
        Yield what lies under the UIDs from *first* to *last*, at most 500, with the finished texts of each.

        None stands for what does not open; where texts alone do not do, with a long header or damage, `Held` stands
        for a message. This is what lists are made of: nothing is looked up, or made, that they do not need.
        """
        holder = account_holder(session.account)
        rows = serving.summaries(self._engine, box.id, holder, first, last, self._clock.now())
        sent = {row.epoch for row in rows if row.summary is not None and row.opens}
        unwrappers = self._opener.unwrappers(session, sent)
        texts: dict[int, Shown] = {}
        for row in rows:
            if row.summary is not None and row.opens and row.epoch in unwrappers:
                bound = keys.grant_aad(row.org or 0, row.message, holder, row.role, row.contact, row.custody)
                key = unwrappers[row.epoch].unwrap(row.wrap, bound)
                try:
                    text = imap_text(unpad(open_sealed(key[:32], row.message, SUMMARY, row.summary)))
                except SealBroken:
                    continue
                if text is not None and text.header:
                    texts[row.uid] = text
        others = [row for row in rows if row.opens and row.uid not in texts]
        if others:
            texts |= self._others(session, box, others)
        for row in rows:
            yield row, texts.get(row.uid)

    def _others(self, session: Session, box: Mailbox, rows: Sequence[Standing]) -> dict[int, Shown]:
        """Return by UID what opens of notices, of what was sent or filed, and of what is damaged."""
        found: dict[int, Shown] = {}
        for uid, held in self.held(session, box, [Placed(*row[:9]) for row in rows]).items():
            try:
                found[uid] = held.view.finished() or held
            except SealBroken:
                found[uid] = held
        return found

    def forget(self, session: Session) -> None:
        """Let go of what was opened for a session that is over."""
        self._opener.forget(session)

    def note_fetched(self, session: Session, held: Sequence[Held]) -> None:
        """Note that the content of these messages is about to leave for a mail program."""
        about = [each for each in held if each.placed.role != "filed" and not each.placed.served]
        if not about:
            return
        now, actor = self._clock.now(), account_holder(session.account)

        received = [each.placed.message for each in about if each.placed.role == "recipient"]

        def write(rows: Rows) -> None:
            if received:
                listing.fetched(rows, session.account, received, now)
            for each in about:
                what = str(each.placed.message)
                audit.append(rows, each.org, now, actor, "message.fetched", what, {"by": "mail program"})

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

    def _filed(self, session: Session, asked: Sequence[Placed]) -> dict[int, Held]:
        holder = account_holder(session.account)
        rows = filed.several(self._engine, session.account, sorted({each.message for each in asked}))
        by_id = {row["id"]: row for row in rows if row["pair"] in session.seeds}
        found = {}
        for each in asked:
            row = by_id.get(each.message)
            if row is None:
                continue
            seed = session.seeds[row["pair"]]
            key = keys.open_with(seed, row["sealed_key"], label=LABEL, owner=holder, holder=holder, ref=each.message)
            summary = unpad(open_sealed(key, each.message, SUMMARY, row["summary"]))
            load = partial(self._brought, session.account, each.message, key)
            found[each.uid] = Held(each, session.organisation, summary, load)
        return found

    def _brought(self, account: int, ident: int, key: bytes) -> Sealed:
        content = filed.content(self._engine, account, ident)
        if content is None:
            raise NoGrant("This message was removed.")
        return Sealed(self._vault, Stored(content["body"], content["blob_key"]), key, ident, PART)

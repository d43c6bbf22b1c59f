"""What does a mail program get of a message? The finished texts of its index, its octets, or a notice in its place.

Messages are looked up many at a time: one query for their grants and indexes, one asymmetric operation for each epoch.
A body is opened only when it is asked for; that is noted in the audit trail before its first octet leaves, and shows
to the sender as fetched by a mail program. It counts as opened when it is seen (flow/mailboxes.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import structlog

from cryptnsend.core import keys
from cryptnsend.core.contracts import Clock, Engine, Row, Rows
from cryptnsend.core.errors import NoGrant, SealBroken
from cryptnsend.core.imap_sections import View
from cryptnsend.core.mime_indexer import index_blocks, index_message
from cryptnsend.core.model import account_holder
from cryptnsend.core.seal import SeekReader, open_sealed, unpad
from cryptnsend.flow.opening import Opener, Sealed
from cryptnsend.flow.sessions import Session
from cryptnsend.store.records import audit, filed, listing, mailboxes
from cryptnsend.store.records.mailboxes import Mailbox, Placed
from cryptnsend.store.vault import Stored, Vault

LABEL, PART, SUMMARY = "filed", "raw", "index"

log = structlog.stdlib.get_logger(__name__)


class Held:
    """One message that opens: where it lies, and what can be fetched of it."""

    __slots__ = ("_load", "_source", "org", "placed", "view")

    def __init__(
        self,
        placed: Placed,
        org: int,
        summary: bytes,
        load: Callable[[], Sealed | bytes],
        cuts: Sequence[tuple[int, bytes]] = (),
    ):
        """*summary* is the index, opened; *load* brings the octets when they are asked for; *cuts* are the author's."""
        self.placed, self.org = placed, org
        self._load = load
        self._source: SeekReader | bytes | None = None
        self.view = View(summary, self._read, cuts)

    def _read(self, offset: int, length: int) -> bytes:
        if self._source is None:
            loaded = self._load()
            self._source = loaded if isinstance(loaded, bytes) else loaded.reader()
        if isinstance(self._source, bytes):
            return self._source[offset : offset + length]
        return b"".join(self._source.read_range(offset, length))


class Shelf:
    """Opens messages for mail programs. Shared by all connections of a process; thread-safe."""

    def __init__(self, engine: Engine, vault: Vault, opener: Opener, clock: Clock):
        self._engine, self._vault, self._opener, self._clock = engine, vault, opener, clock

    def held(self, session: Session, box: Mailbox, rows: Sequence[Placed]) -> dict[int, Held]:
        """
        Return by UID what opens of these messages, at most 500; what has ended, or is locked, is not among it.

        A damaged index takes nobody's message away: it is made anew from the message itself.
        """
        found = {each.uid: self._notice(box, each) for each in rows if each.served}
        for role in ("recipient", "author"):
            asked = [each for each in rows if each.role == role and not each.served]
            if asked:
                found |= self._granted(session, role, asked)
        brought = [each for each in rows if each.role == "filed"]
        if brought:
            found |= self._filed(session, brought)
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

        def write(rows: Rows) -> None:
            for each in about:
                message = each.placed.message
                if each.placed.role == "recipient":
                    for mine in listing.mine_of(rows, session.account, message):
                        listing.fetched(rows, mine["org"], message, mine["address"], now)
                audit.append(rows, each.org, now, actor, "message.fetched", str(message), {"by": "mail program"})

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
        octets = mailboxes.notice(self._engine, box.id, placed.uid)
        return Held(placed, box.org, index_message(octets).to_octets(), lambda: octets)

    def _granted(self, session: Session, role: str, asked: Sequence[Placed]) -> dict[int, Held]:
        holder = account_holder(session.account)
        grants = mailboxes.grants(self._engine, holder, role, sorted({each.message for each in asked}))
        by_message = {row["message"]: row for row in grants if row["state"] == "active"}
        found = {}
        for each in asked:
            row = by_message.get(each.message)
            if row is None or not self._opener.opens(session, row):
                continue
            content_keys = self._opener.keys(session, row)
            load = partial(self._opener.part, row, content_keys[:32], PART)
            summary = self._summary(row, content_keys, load)
            found[each.uid] = Held(each, row["org"], summary, load, self._cuts(row, content_keys))
        return found

    def _summary(self, row: Row, content_keys: bytes, load: Callable[[], Sealed]) -> bytes:
        """Return the index of a message; where it is damaged, one that is made anew from the message itself."""
        sealed = b"".join(self._vault.open(Stored(row["summary"], row["summary_key"])))
        try:
            return unpad(open_sealed(content_keys[:32], row["message"], SUMMARY, sealed))
        except SealBroken:
            log.error("index damaged", message=row["message"], organisation=row["org"])
            return index_blocks(load().chunks()).to_octets()

    def _cuts(self, row: Row, content_keys: bytes) -> list[tuple[int, bytes]]:
        if row["role"] != "author" or (row["cuts"] is None and row["cuts_key"] is None):
            return []
        return self._opener.cuts(row, content_keys)

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

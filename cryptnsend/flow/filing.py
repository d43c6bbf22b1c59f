"""What becomes of a message that a mail program brings into a mailbox? It is sealed to its owner as it streams in.

Programs put a copy of what they sent into Sent. That message is sealed already: a copy is recognised by the Message-ID
of one's own submission and an equal body, and kept once. Header fields are not compared, since programs keep Bcc and
add fields of their own, nor are line ends.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from cryptnsend.core import keys
from cryptnsend.core.cards import read_card
from cryptnsend.core.contracts import Clock, Engine, Rows
from cryptnsend.core.errors import CryptnSendError, NoGrant, Refusal, SealBroken, StoreBroken
from cryptnsend.core.mime import Index, Indexer
from cryptnsend.core.model import Ids, PairCard, Random, account_holder
from cryptnsend.core.seal import Sealer, pad, seal
from cryptnsend.flow.mailboxes import Mailboxes, parse_flags
from cryptnsend.flow.opening import Opener
from cryptnsend.flow.serving import LABEL, PART, SUMMARY
from cryptnsend.flow.sessions import Session
from cryptnsend.keeper.client import Keeper
from cryptnsend.store.records import filed, grants, listing, mailboxes
from cryptnsend.store.records.mailboxes import Mailbox, Placing
from cryptnsend.store.vault import Stored, Vault

HEADER = 1024 * 1024  # octets of a header block that are looked at for its end
LATEST = 253_370_764_800_000  # UTC milliseconds: the year 9999
LINE_ENDS = 64 * 1024  # at the end of a body that are waited with


class OverQuota(Refusal):
    """What an account filed takes all the room there is."""


class Filing:
    """Takes messages of mail programs. Shared by all connections of a process."""

    def __init__(
        self,
        *,
        engine: Engine,
        vault: Vault,
        keeper: Keeper,
        opener: Opener,
        boxes: Mailboxes,
        clock: Clock,
        random: Random,
        quota: int,
    ):
        """*quota*: sealed octets that all an account filed may take together."""
        self._engine, self._vault, self._keeper, self._opener = engine, vault, keeper, opener
        self._boxes, self._clock, self._random, self._quota = boxes, clock, random, quota
        self._ids = Ids(random)

    def begin(self, session: Session, box: Mailbox, flags: Iterable[str], received: int | None) -> Incoming:
        """Start a message that came at *received* (UTC milliseconds), None for now. Raises KeeperGone."""
        return Incoming(self, session, box, list(flags), received, self._pair(session))

    def _pair(self, session: Session) -> PairCard:
        holder = account_holder(session.account)
        signed = self._keeper.card(holder)
        if signed is None:
            raise NoGrant("There is no such account.")
        card = read_card(signed, self._keeper.anchors().card_key)
        if card.holder != holder:
            raise SealBroken("The keeper answered with another holder's card.")
        return card.pair(card.custody)

    def _known(self, incoming: Incoming, index: Index) -> int | None:
        """Return the message of one's own that this is a copy of, or None."""
        if incoming.box.special != "sent" or not index.message_id:
            return None
        session, holder = incoming.session, account_holder(incoming.session.account)
        for message in mailboxes.submitted(self._engine, session.account, index.message_id):
            for row in grants.held(self._engine, holder, message):
                if row["role"] == "author" and row["state"] == "active" and self._opener.opens(session, row):
                    print_ = Print()
                    for piece in self._opener.raw(row, self._opener.keys(session, row)).chunks():
                        print_.feed(piece)
                    if print_.digest() == incoming.print.digest():
                        return message
        return None

    def _found_in_sent(self, incoming: Incoming, message: int) -> int:
        """Return the UID of a message of one's own in Sent, placing it there if it lies elsewhere by now."""
        box = self._boxes.look(incoming.session, incoming.box)
        uid = mailboxes.where(self._engine, box.id, message, "author")
        if uid is not None:
            return uid
        about = listing.message(self._engine, message)
        size = about["size"] if about else 0
        placing = Placing(message, "author", "", incoming.flags, incoming.keywords, incoming.received, size)
        return self._engine.write(lambda rows: mailboxes.place(rows, box, [placing])[0]).result()


class Incoming:
    """One message on its way in: `feed` as often as there are octets, then `finish` or `abort`."""

    def __init__(
        self, house: Filing, session: Session, box: Mailbox, flags: list[str], received: int | None, pair: PairCard
    ):
        now = house._clock.now()
        self._house, self.session, self.box, self._pair = house, session, box, pair
        self.flags, words = parse_flags(flags)
        self.keywords = " ".join(sorted(words))
        self.received = now if received is None else min(max(received, 0), LATEST)
        self._ident, self._key = house._ids.new(now), keys.new_key(house._random)
        self._sealer, self._writer = Sealer(self._key, self._ident, PART), house._vault.writer()
        self._indexer, self.print = Indexer(), Print()
        self._size = 0

    def feed(self, octets: bytes) -> None:
        """Seal the next octets."""
        self._size += len(octets)
        self._indexer.feed(octets)
        self.print.feed(octets)
        self._writer.write(self._sealer.update(octets))

    def abort(self) -> None:
        """Keep nothing; safe at any time."""
        self._writer.abort()

    def finish(self) -> tuple[int, int]:
        """Return UIDVALIDITY and UID once the message is durable; raise OverQuota, StoreBroken."""
        house, index = self._house, self._indexer.finish()
        known = house._known(self, index)
        if known is not None:
            self.abort()
            return self.box.uidvalidity, house._found_in_sent(self, known)
        self._writer.write(self._sealer.finalize())
        body = self._writer.close()
        row = self._row(index, body)

        def write(rows: Rows) -> int:
            if filed.used(rows, self.session.account) + row.octets > house._quota:
                raise OverQuota("Your drafts and copies take all the room there is for them. Remove some of them.")
            filed.add(rows, row)
            placing = Placing(self._ident, "filed", "", self.flags, self.keywords, self.received, self._size)
            return mailboxes.place(rows, self.box, [placing])[0]

        blobs = [body.blob_key] if body.blob_key else []
        try:
            return self.box.uidvalidity, house._engine.write(write, blobs=blobs).result()
        except CryptnSendError as error:
            if not isinstance(error, StoreBroken):  # then the rows were undone; else upkeep looks for them
                house._vault.discard(*blobs)
            raise

    def _row(self, index: Index, body: Stored) -> filed.Filed:
        house, holder = self._house, account_holder(self.session.account)
        summary = seal(self._key, self._ident, SUMMARY, pad(index.to_octets()))
        return filed.Filed(
            self._ident, self.session.organisation, self.session.account, self._pair.id, keys.SUITE,
            keys.seal_to(self._pair.public, self._key, label=LABEL, owner=holder, holder=holder, ref=self._ident),
            summary, body.body, body.blob_key, house._vault.size(body) + len(summary),
        )  # fmt: skip


class Print:
    """What two copies of a message have in common: the body, whatever ends its lines and follows the last of them."""

    def __init__(self) -> None:
        self._header = bytearray()
        self._in_body = False
        self._held = b""  # line ends that count only if something follows
        self._hash = hashlib.sha256()

    def feed(self, octets: bytes) -> None:
        """Take the next octets of the whole message."""
        if self._in_body:
            self._body(octets)
            return
        self._header += octets
        ends = [at + len(gap) for gap in (b"\r\n\r\n", b"\n\n") if (at := self._header.find(gap)) >= 0]
        if ends or len(self._header) > HEADER:
            self._in_body = True
            rest = bytes(self._header[min(ends, default=HEADER) :])
            self._header.clear()
            self._body(rest)

    def _body(self, octets: bytes) -> None:
        # A CR at the very end may belong to a line end; it waits with the line ends themselves.
        plain = (self._held + octets).replace(b"\r\n", b"\n")
        kept = plain.rstrip(b"\r\n")
        held = plain[len(kept) :]
        self._hash.update(kept)
        if len(held) > LINE_ENDS:
            self._hash.update(held[:-1])
            held = held[-1:]
        self._held = held

    def digest(self) -> bytes:
        """Return the print of what was fed."""
        return self._hash.digest()

"""What becomes of a message that a mail program brings into a mailbox? It is sealed to its owner as it streams in.

Programs put a copy of what they sent into Sent. Where that message is sealed already, nothing more is kept; where the
copy is here first, it goes when the message is placed (flow/copies.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from cryptnsend.core import keys
from cryptnsend.core.cards import read_card
from cryptnsend.core.contracts import Clock, Engine, Rows
from cryptnsend.core.errors import CryptnSendError, NoGrant, Refusal, SealBroken, StoreBroken
from cryptnsend.core.mime import Index, Indexer
from cryptnsend.core.model import Ids, PairCard, Random, account_holder
from cryptnsend.core.seal import Sealer, pad, seal
from cryptnsend.flow.copies import Copies, Print
from cryptnsend.flow.mailboxes import Mailboxes, parse_flags
from cryptnsend.flow.placing import Between, go_on
from cryptnsend.flow.serving import LABEL, PART, SUMMARY
from cryptnsend.flow.sessions import Session
from cryptnsend.keeper.client import Keeper
from cryptnsend.store.records import filed, listing, placements
from cryptnsend.store.records.mailboxes import Mailbox
from cryptnsend.store.records.placements import Placing
from cryptnsend.store.vault import Stored, Vault

_BARE_LF = re.compile(rb"(?<!\r)\n")
LATEST = 253_370_764_800_000  # UTC milliseconds: the year 9999


class OverQuota(Refusal):
    """What an account filed takes all the room there is."""


class _Submitted(CryptnSendError):
    """The message of which this may be a copy was submitted while the copy came in: look again."""


class Filing:
    """Takes messages of mail programs. Shared by all connections of a process."""

    def __init__(
        self,
        *,
        engine: Engine,
        vault: Vault,
        keeper: Keeper,
        copies: Copies,
        boxes: Mailboxes,
        clock: Clock,
        random: Random,
        quota: int,
    ):
        """*quota*: sealed octets that all an account filed may take together."""
        self._engine, self._vault, self._keeper, self._copies = engine, vault, keeper, copies
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

    def _found_in_sent(self, incoming: Incoming, message: int, between: Between) -> int:
        """Return the UID of a message of one's own in Sent, placing it there if it lies elsewhere by now."""
        box = self._boxes.look(incoming.session, incoming.box, between)
        uid = placements.where(self._engine, box.id, message, "author")
        if uid is not None:
            return uid
        about = listing.message(self._engine, message)
        size = about["size"] if about else 0
        placing = Placing(message, "author", "", incoming.flags, incoming.keywords, incoming.received, size)
        return self._engine.write(lambda rows: placements.place(rows, box, [placing])[0]).result()


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
        self._size, self._cr = 0, b""  # octets that were sealed; a CR at their end

    def feed(self, octets: bytes) -> None:
        """Seal the next octets, with a CR before each LF that has none: of other lines no index can be made."""
        before, self._cr = self._cr, b"\r" if octets.endswith(b"\r") else b""
        octets = _BARE_LF.sub(b"\r\n", before + octets)[len(before) :]
        self._size += len(octets)
        self._indexer.feed(octets)
        self.print.feed(octets)
        self._writer.write(self._sealer.update(octets))

    def abort(self) -> None:
        """Keep nothing; safe at any time."""
        self._writer.abort()

    def finish(self, between: Between = go_on) -> tuple[int, int]:
        """Return UIDVALIDITY and UID once the message is durable; raise OverQuota, StoreBroken, or as `look` does."""
        house, index = self._house, self._indexer.finish()
        row: filed.Filed | None = None
        while True:
            asked = house._copies.submitted(self.session, self._message_id(index))
            known = house._copies.original(self.session, asked, self.print.digest())
            if known is not None:
                self._discard(row)
                return self.box.uidvalidity, house._found_in_sent(self, known, between)
            if row is None:
                self._writer.write(self._sealer.finalize())
                row = self._row(index, self._writer.close())
            try:
                return self.box.uidvalidity, self._file(row, self._message_id(index), asked)
            except _Submitted:
                continue
            except CryptnSendError as error:
                if not isinstance(error, StoreBroken):  # then the rows were undone; else upkeep looks for them
                    self._discard(row)
                raise

    def _message_id(self, index: Index) -> str:
        """Return under which Message-ID this may have been submitted; "" where it cannot be a copy."""
        return index.message_id if self.box.special == "sent" else ""

    def _file(self, row: filed.Filed, message_id: str, asked: Sequence[int]) -> int:
        """Write the rows and return the UID; raise _Submitted if there are more submissions by now than *asked*."""
        house = self._house

        def write(rows: Rows) -> int:
            if message_id and placements.submitted_of(rows, self.session.account, message_id) != list(asked):
                raise _Submitted
            if filed.used(rows, self.session.account) + row.octets > house._quota:
                raise OverQuota("Your drafts and copies take all the room there is for them. Remove some of them.")
            filed.add(rows, row)
            placing = Placing(self._ident, "filed", "", self.flags, self.keywords, self.received, self._size)
            return placements.place(rows, self.box, [placing])[0]

        return house._engine.write(write, blobs=[row.blob_key] if row.blob_key else []).result()

    def _discard(self, row: filed.Filed | None) -> None:
        """Throw away what was sealed, durable or not."""
        self.abort()
        if row is not None and row.blob_key:
            self._house._vault.discard(row.blob_key)

    def _row(self, index: Index, body: Stored) -> filed.Filed:
        house, holder = self._house, account_holder(self.session.account)
        summary = seal(self._key, self._ident, SUMMARY, pad(index.to_octets()))
        return filed.Filed(
            self._ident, self.session.organisation, self.session.account, self._pair.id, keys.SUITE,
            keys.seal_to(self._pair.public, self._key, label=LABEL, owner=holder, holder=holder, ref=self._ident),
            summary, body.body, body.blob_key, house._vault.size(body) + len(summary),
        )  # fmt: skip

"""How does a large file come in over a connection that breaks? In pieces, each sealed and durable before it counts.

An upload has a key of its own, sealed to its owner, so that it survives a restart and opens for nobody else. Each piece
is a sealed stream with its place in the context: pieces that are swapped, moved or missing do not open. What is
answered to have arrived is durable. Nothing here is ever held as a whole, whatever the size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import msgspec
import structlog

from cryptnsend.core import keys
from cryptnsend.core.contracts import Clock, Engine, Row, Rows
from cryptnsend.core.errors import CryptnSendError, Denied, NoGrant, Refusal, SealBroken, StoreBroken
from cryptnsend.core.linkedfiles import LinkedFile, piece_part
from cryptnsend.core.model import Ids, Random, account_holder
from cryptnsend.core.seal import Sealer, open_sealed, pad, seal, unpad
from cryptnsend.flow.filereading import FileReading
from cryptnsend.flow.ownpair import own_pair
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.views import Arriving, Upload
from cryptnsend.keeper.client import Keeper
from cryptnsend.store.records import uploads
from cryptnsend.store.vault import Stored, Vault

PIECE = 8 * 1024 * 1024  # octets of a file that are durable together; what a killed server can lose of one request
MOST = 20  # uploads of one account that are under way
EXPIRES = 86_400_000  # milliseconds after the last octet
LABEL = "upload"
ABOUT = "upload"

log = structlog.stdlib.get_logger(__name__)


class Moved(Denied):
    """The file does not go on where somebody wanted to add to it; they have to ask how much of it is here."""


class Crowded(Denied):
    """So much is on its way already that there is no room for another file."""


class _About(msgspec.Struct):
    """What is sealed about a file."""

    v: int
    name: str
    media_type: str
    size: int


@dataclass(frozen=True, slots=True)
class _Opened:
    row: Row
    key: bytes
    about: _About


class Uploads:
    """Takes files in. Shared by all requests of a process; thread-safe."""

    def __init__(
        self,
        *,
        engine: Engine,
        vault: Vault,
        keeper: Keeper,
        clock: Clock,
        random: Random,
        quota: int,
        files_quota: int = 0,
        most: int = MOST,
        piece: int = PIECE,
    ):
        """
        Take files in.

        *quota*: octets that all uploads of one account may have together while they are on their way; *files_quota*:
        those of whoever may share files, with all that rest for their messages; *piece*: octets durable together.
        """
        self._engine, self._vault, self._keeper = engine, vault, keeper
        self._clock, self._random, self._most, self._piece = clock, random, most, piece
        self._quota, self._files_quota = quota, files_quota
        self.reading = FileReading(engine, vault)
        self._ids = Ids(random)

    def begin(
        self,
        session: Session,
        name: str,
        media_type: str,
        size: int,
        *,
        nonce: bytes,
        parent: int = 0,
        may_share: bool = False,
    ) -> Arriving:
        """
        Begin a file of *size* octets, or go on with the one that a request with this *nonce* began.

        *parent* is the message that it is to answer, 0 for none; who *may_share* has room for large files.
        Raises Crowded if there would be too many or too much, Refusal if that one has another size, NoGrant for a
        *parent* that is not theirs, StoreFull when the disk is nearly full.
        """
        self._vault.check_room()
        now = self._clock.now()
        ident, key = self._ids.new(now), keys.new_key(self._random)
        pair, holder = own_pair(self._engine, self._keeper, session, parent), account_holder(session.account)
        about = msgspec.msgpack.encode(_About(1, name, media_type, size))
        row = uploads.UploadRow(
            ident, session.organisation, session.account, nonce, pair.id, keys.SUITE,
            keys.seal_to(pair.public, key, label=LABEL, owner=holder, holder=holder, ref=ident),
            seal(key, ident, ABOUT, pad(about)), size, 0, now, now,
        )  # fmt: skip
        while True:
            there = self._engine.write(partial(self._begin, row, may_share)).result()
            try:
                found = self.look(session, there)
            except NoGrant:  # begun long ago, and over: upkeep was not here yet
                self.drop(session, there)
                continue
            if found.size != size:
                raise Refusal("This is another file than the one that was begun.")
            return found

    def look(self, session: Session, ident: int) -> Arriving:
        """Return how much of a file is here; raise NoGrant if there is none such, or it is over."""
        row = self._row(session, ident)
        return Arriving(ident, row["size"], row["arrived"], row["changed"] + EXPIRES)

    def append(self, session: Session, ident: int, start: int, chunks: Iterable[bytes]) -> Arriving:
        """
        Add octets to a file that goes on at *start*; return how much of it is here then, all of it durable.

        Whatever came before *chunks* broke off stays. Raises Moved if the file goes on elsewhere, Refusal for more
        octets than it has, NoGrant.
        """
        opened = self._opened(session, ident)
        if start != opened.row["arrived"]:
            raise Moved("The file does not go on here.")
        incoming = iter(chunks)
        rest = b""
        while True:
            held, rest = self._take(session, opened, start, rest, incoming)
            start += held
            if held < self._piece:
                break
        return self.look(session, ident)

    def drop(self, session: Session, ident: int) -> None:
        """Forget a file, or what came of it; raise NoGrant if there is none such."""
        gone = self._engine.write(lambda rows: uploads.drop(rows, session.account, ident)).result()
        if gone is None:
            raise NoGrant("There is no such file here.")
        self._vault.discard(*gone)

    def upload(self, session: Session, ident: int) -> Upload:
        """Return a file that is whole; raise NoGrant if there is none such, Refusal if some of it is missing."""
        opened = self._opened(session, ident)
        if opened.row["arrived"] != opened.about.size:
            raise Refusal("This file has not arrived as a whole yet.")
        about = opened.about
        file = LinkedFile(ident, session.organisation, opened.key, about.name, about.media_type, about.size)
        chunks = partial(self.reading.octets, file, 0, about.size)
        return Upload(about.name, about.media_type, about.size, chunks, ident, opened.key)

    def files(self, session: Session, rows: Iterable[Row]) -> list[LinkedFile]:
        """Return these files of an account as far as this session opens them, also those kept for longer."""
        holder, pairs, found = account_holder(session.account), dict[int, keys.Pair](), []
        for row in rows:
            seed = session.seeds.get(row["pair"])
            if seed is None:
                continue
            pair = pairs.get(row["pair"]) or keys.Pair(seed)
            pairs[row["pair"]] = pair
            try:
                key = pair.open(row["sealed_key"], label=LABEL, owner=holder, holder=holder, ref=row["id"])
                octets = unpad(open_sealed(key, row["id"], ABOUT, row["about"]))
                about = msgspec.msgpack.decode(octets, type=_About)
            except (SealBroken, msgspec.MsgspecError):
                log.error("upload damaged", upload=row["id"])
                continue
            found.append(LinkedFile(row["id"], row["org"], key, about.name, about.media_type, about.size))
        return found

    @staticmethod
    def about(file: LinkedFile, name: str) -> bytes:
        """Return what is sealed about a file that is called *name* from now on."""
        return seal(file.key, file.id, ABOUT, pad(msgspec.msgpack.encode(_About(1, name, file.media_type, file.size))))

    # -- inside -------------------------------------------------------------------------------------------------------

    def _begin(self, row: uploads.UploadRow, may_share: bool, rows: Rows) -> int:
        there = uploads.begin(rows, row)
        count, octets, everything = uploads.waiting(rows, row.account)
        if there == row.id and count > self._most:
            raise Crowded(
                "Too many files are on their way at once. Wait until some of them have arrived, or stop some."
            )
        if there == row.id and may_share and everything > self._files_quota:
            raise Crowded(
                "Your files take all the room there is for them. They make room when the messages that they belong to"
                " are not kept any more."
            )
        if there == row.id and not may_share and octets > self._quota:
            raise Crowded(
                "The files on their way are too large together. Wait until some of them have arrived, or stop some."
            )
        return there

    def _take(
        self, session: Session, opened: _Opened, start: int, rest: bytes, incoming: Iterator[bytes]
    ) -> tuple[int, bytes]:
        """Make the next piece durable; return how many octets it has, and those that came along behind it."""
        ident, most = opened.row["id"], min(self._piece, opened.about.size - start)
        sealer, writer, size = Sealer(opened.key, ident, piece_part(start)), self._vault.writer(), 0
        try:
            while size < self._piece:
                chunk, rest = rest or next(incoming, b""), b""
                if not chunk:
                    break
                chunk, rest = chunk[: self._piece - size], chunk[self._piece - size :]
                size += len(chunk)
                if size > most:
                    raise Refusal("More of this file came than it has.")
                writer.write(sealer.update(chunk))
            if size:
                writer.write(sealer.finalize())
                self._keep(session, ident, start, size, writer.close())
        finally:
            writer.abort()
        return size, rest

    def _keep(self, session: Session, ident: int, start: int, size: int, stored: Stored) -> None:
        now = self._clock.now()
        row = uploads.PieceRow(
            self._ids.new(now), session.organisation, ident, start, stored.body, stored.blob_key,
            self._vault.size(stored),
        )  # fmt: skip

        def write(rows: Rows) -> None:
            if not uploads.append(rows, session.account, row, size, now):
                raise Moved("The file does not go on here.")  # another request was faster, or it was dropped

        blobs = [stored.blob_key] if stored.blob_key else []
        try:
            self._engine.write(write, blobs=blobs).result()
        except CryptnSendError as error:
            if not isinstance(error, StoreBroken):  # then the rows were undone; else upkeep looks for them
                self._vault.discard(*blobs)
            raise

    def _row(self, session: Session, ident: int) -> Row:
        row = uploads.upload(self._engine, session.account, ident, self._clock.now() - EXPIRES)
        if row is None:
            raise NoGrant("There is no such file here.")
        return row

    def _opened(self, session: Session, ident: int) -> _Opened:
        """Open what is known of a file; raise NoGrant if there is none such, or this session does not open it."""
        row, holder = self._row(session, ident), account_holder(session.account)
        seed = session.seeds.get(row["pair"])
        if seed is None:
            raise NoGrant("There is no such file here.")
        try:
            key = keys.open_with(seed, row["sealed_key"], label=LABEL, owner=holder, holder=holder, ref=ident)
            octets = unpad(open_sealed(key, ident, ABOUT, row["about"]))
            return _Opened(row, key, msgspec.msgpack.decode(octets, type=_About))
        except (SealBroken, msgspec.MsgspecError):
            log.error("upload damaged", upload=ident)
            raise NoGrant("There is no such file here.") from None

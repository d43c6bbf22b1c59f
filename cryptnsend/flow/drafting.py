"""What becomes of words that are not sent yet? Kept sealed for their writer, found again, gone when they are sent.

A draft rests under a key of its own, sealed to the writer's current pair; each of its files has a key that stands in
the draft. So keeping needs the writer's public card only: what comes from a page whose session has just ended is kept
too, and opens when its writer has signed in again. Reading needs the session's seeds.

Replies from pages are one kind of draft (`parent` is the message answered); new messages are those without a parent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec
import structlog

from cryptnsend.core import keys
from cryptnsend.core.contracts import Clock, Engine, Row, Rows
from cryptnsend.core.errors import CryptnSendError, Ended, NoGrant, Refusal, SealBroken, StoreBroken
from cryptnsend.core.linkedfiles import LinkedFile
from cryptnsend.core.model import Ids, Random, account_holder
from cryptnsend.core.seal import Sealer, open_sealed, open_stream, pad, seal, unpad
from cryptnsend.flow.filereading import FileReading
from cryptnsend.flow.ownpair import Writer, own_pair
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.views import Drafted, Filled, KeptFile, Upload, Wishes, Writing
from cryptnsend.keeper.client import Keeper
from cryptnsend.store.records import drafts, uploads
from cryptnsend.store.vault import Stored, Vault

MOST = 200  # drafts of one account
LABEL = "draft"
PART, FILE_PART = "draft", "upload.0"
IN_PIECES = b""  # a file of a draft that stays where it came: only its row says that it is needed

log = structlog.stdlib.get_logger(__name__)


class _File(msgspec.Struct):
    """A file as its draft remembers it."""

    id: int
    key: bytes
    name: str
    media_type: str
    size: int
    linked: bool = False  # it stays in the pieces in which it came


class _Content(msgspec.Struct):
    """What is sealed."""

    v: int
    text: str
    subject: str
    to: list[str]
    cc: list[str]
    bcc: list[str]
    everybody: bool
    nonce: bytes
    files: list[_File]
    kept: list[int]  # files of earlier drafts of the same reply, which whoever kept this one could not open
    html: str = ""
    sender: str = ""
    about: int = 0
    plain: bool = False
    days: int = 0
    tell: bool = False
    later: int = 0
    at: int = 0
    way: str = ""
    pdf: bool = False
    before: int = 0  # the draft that this one goes on with, which whoever kept it could not open
    visits: str = ""
    form: int = 0
    version: int = 0
    answers: list[tuple[str, str, str]] = []


@dataclass(frozen=True, slots=True)
class _Opened:
    row: Row
    content: _Content


class Sending:
    """What was kept of a message: goes with the rows that make a message of it, so that there is never both."""

    def __init__(self, vault: Vault, session: Session, parent: int, nonce: bytes, now: int, same: Sequence[int] = ()):
        self._vault, self._session, self._parent, self._same = vault, session, parent, same
        self._nonce, self._now = nonce, now
        self._gone: Sequence[str] = ()

    def write(self, rows: Rows) -> None:
        """Delete the rows, and note that the form was sent; may run again after a failed batch."""
        account = self._session.account
        drafts.note_sent(rows, self._session.organisation, account, self._nonce, self._parent, self._now)
        # A script may have kept the form a moment ago, before the page that was sent could hear the draft's id.
        gone = drafts.drop_sent(rows, account, self._parent, self._nonce, self._session.seeds.keys())
        self._gone = [*gone, *(blob for each in self._same for blob in drafts.drop(rows, account, each))]

    def done(self) -> None:
        """Discard the blobs, once the rows are gone for good; upkeep sweeps them otherwise."""
        self._vault.discard(*self._gone)


class Drafts:
    """Keeps and finds drafts. Shared by all requests of a process; thread-safe."""

    def __init__(
        self,
        *,
        engine: Engine,
        vault: Vault,
        keeper: Keeper,
        clock: Clock,
        random: Random,
        quota: int,
        most: int = MOST,
    ):
        """*quota*: sealed octets that all drafts of one account may take together; *most*: how many there may be."""
        self._engine, self._vault, self._keeper = engine, vault, keeper
        self._clock, self._random, self._quota, self._most = clock, random, quota, most
        self._ids = Ids(random)
        self.reading = FileReading(engine, vault)

    # -- keeping ------------------------------------------------------------------------------------------------------

    def save(
        self,
        session: Session,
        writing: Writing,
        *,
        parent: int = 0,
        draft: int = 0,
        files: Iterable[Upload] = (),
        keep: Collection[int] | None = None,
        nonce: bytes = b"",
    ) -> int:
        """
        Keep what is being written, in the place of what was kept before, and return the draft's id.

        *keep* names the files of before that stay, None all of them; *files* come to them, and what of these came in
        pieces before is the draft's from then on, under the same id. Raises NoGrant for a *parent* or *draft* that is
        not the writer's, Ended if the form with this *nonce* was sent meanwhile, Refusal if all drafts together would
        be too many or too large.
        """
        before = self._before(session, parent, draft)
        if draft and draft not in [each.row["id"] for each in before]:
            raise NoGrant("There is no such draft here.")
        known = {each.id: each for one in reversed(before) for each in one.content.files}
        stay = [each for ident, each in known.items() if keep is None or ident in keep]
        return self._keep(session, writing, parent, files, stay, (), before, nonce, 0)

    def save_for_later(
        self,
        writer: Writer,
        writing: Writing,
        *,
        parent: int = 0,
        draft: int = 0,
        files: Iterable[Upload] = (),
        keep: Collection[int] = (),
        nonce: bytes = b"",
    ) -> int:
        """
        Keep a message whose writer's session has ended meanwhile; errors as `save`.

        What was kept before cannot be opened now, so it stays beside it until the writer is back.
        """
        return self._keep(writer, writing, parent, files, (), keep, (), nonce, draft)

    def drop(self, session: Session, draft: int) -> None:
        """
        Throw a draft away; raise NoGrant if there is none such, Refusal if this session does not open it.

        Whoever reset the password by mail may be somebody else, and must not destroy what they cannot read.
        """
        row = drafts.draft(self._engine, session.account, draft)
        if row is None:
            raise NoGrant("There is no such draft here.")
        if self._open(session, row) is None:
            raise Refusal("This draft is locked since the password was replaced. Open it first, then throw it away.")
        self._drop(session.account, [draft, *(each.row["id"] for each in self._before(session, 0, draft)[1:])])

    def sending(self, session: Session, parent: int, nonce: bytes, draft: int = 0) -> Sending:
        """
        Return what throws away, in the transaction of a message, what was kept of it.

        From then on nothing is kept of the form with this *nonce*.
        """
        same = [] if parent else [each.row["id"] for each in self._before(session, 0, draft)]
        return Sending(self._vault, session, parent, nonce, self._clock.now(), same)

    # -- finding again ------------------------------------------------------------------------------------------------

    def listing(self, session: Session) -> Sequence[Drafted]:
        """Return all drafts of an account, the latest first; what its present password does not open is `locked`."""
        found: list[Drafted] = []
        answered, gone_on = set(), set()
        for row in drafts.listing(self._engine, session.account, self._most):
            opened = self._open(session, row)
            if opened is None:
                found.append(_closed(row))
            elif not row["parent"]:
                same = self._before(session, 0, row["id"])
                gone_on |= {each.row["id"] for each in same[1:]}
                if row["id"] not in gone_on:
                    found.append(self._shown(same))
            elif row["parent"] not in answered:
                answered.add(row["parent"])
                found.append(self._shown(self._before(session, row["parent"], 0)))
        return found

    def count(self, session: Session) -> int:
        """Return how many drafts there are, without opening any."""
        return drafts.count(self._engine, session.account)

    def reply_to(self, session: Session, parent: int) -> Drafted | None:
        """Return what was kept of the answer to a message, or None."""
        found = self._before(session, parent, 0)
        return self._shown(found) if found else None

    def draft(self, session: Session, ident: int) -> Drafted:
        """Return one draft; raise NoGrant if there is none such, or none that opens."""
        same = self._before(session, 0, ident)
        if not same:
            raise NoGrant("There is no such draft here.")
        return self._shown(same)

    def uploads(
        self, session: Session, *, parent: int = 0, draft: int = 0, keep: Collection[int] | None = None
    ) -> Sequence[Upload]:
        """Return the files of a draft, or those of them that *keep* names, to be sent with it."""
        before = self._before(session, parent, draft)
        known = {each.id: each for one in reversed(before) for each in one.content.files}
        return [
            Upload(
                each.name, each.media_type, each.size, partial(self._chunks, session, each),
                each.id if each.linked else 0, each.key if each.linked else b"", each.linked,
            )
            for each in known.values()
            if keep is None or each.id in keep
        ]  # fmt: skip

    # -- inside -------------------------------------------------------------------------------------------------------

    def _before(self, session: Session, parent: int, draft: int) -> Sequence[_Opened]:
        """Return the drafts that are one and the same writing, the latest first: those this session opens."""
        if parent:
            same = drafts.answering(self._engine, session.account, parent)
            return [opened for row in same if (opened := self._open(session, row)) is not None]
        found: list[_Opened] = []
        while draft and draft not in [each.row["id"] for each in found]:
            row = drafts.draft(self._engine, session.account, draft)
            one = self._open(session, row) if row else None
            if one is None:
                break
            found.append(one)
            draft = one.content.before
        return found

    def _keep(
        self,
        writer: Writer,
        writing: Writing,
        parent: int,
        files: Iterable[Upload],
        stay: Sequence[_File],
        kept: Collection[int],
        before: Sequence[_Opened],
        nonce: bytes,
        goes_on: int,
    ) -> int:
        now, wishes = self._clock.now(), writing.wishes
        ident = before[0].row["id"] if before else self._ids.new(now)
        pair = own_pair(self._engine, self._keeper, writer, parent)
        sealed: list[tuple[_File, Stored]] = []
        try:
            for each in files:
                sealed.append(self._seal_file(each, now))  # one by one: those before one that fails have to go
            content = _Content(
                1, writing.text, writing.subject, [*writing.to], [*writing.cc], [*writing.bcc], writing.everybody,
                nonce, [*stay, *(file for file, _ in sealed)], sorted(kept), writing.html, writing.sender,
                writing.about, wishes.plain, wishes.days, wishes.tell, wishes.later, wishes.at, wishes.way, wishes.pdf,
                goes_on, writing.visits, writing.filled.form, writing.filled.version, [*writing.filled.answers],
            )  # fmt: skip
            key = keys.new_key(self._random)
            body = self._vault.put([seal(key, ident, PART, pad(msgspec.msgpack.encode(content)))])
        except BaseException:
            self._discard(stored for _, stored in sealed)
            raise
        holder = account_holder(writer.account)
        row = drafts.DraftRow(
            ident, writer.organisation, writer.account, parent or None, pair.id, keys.SUITE,
            keys.seal_to(pair.public, key, label=LABEL, owner=holder, holder=holder, ref=ident),
            body.body, body.blob_key, self._vault.size(body),
            before[0].row["created"] if before else now, now, nonce,
        )  # fmt: skip
        rests = [
            drafts.FileRow(file.id, writer.organisation, ident, to.body, to.blob_key, self._vault.size(to))
            for file, to in sealed
        ]
        others = [each.row["id"] for each in before[1:]]
        stored = [body, *(to for _, to in sealed)]

        def write(rows: Rows) -> list[str]:
            return self._write(rows, row, rests, [each.id for each in stay], others, nonce)

        try:
            gone = self._engine.write(write, blobs=[each.blob_key for each in stored if each.blob_key]).result()
        except CryptnSendError as error:
            if not isinstance(error, StoreBroken):  # then the rows were undone; else upkeep looks for them
                self._discard(stored)
            raise
        self._vault.discard(*gone)
        return ident

    def _write(
        self,
        rows: Rows,
        row: drafts.DraftRow,
        files: Sequence[drafts.FileRow],
        stay: Sequence[int],
        others: Sequence[int],
        nonce: bytes,
    ) -> list[str]:
        """Write the rows of one draft, and return the blobs that nobody names any more."""
        if nonce and drafts.is_sent(rows, row.account, nonce):
            raise Ended("This was sent already.")
        earlier = drafts.put(rows, row)
        gone = [earlier] if earlier else []
        for other in others:
            drafts.move_files(rows, row.account, other, row.id)
            gone += drafts.drop(rows, row.account, other)
        for file in files:
            if file.body != IN_PIECES:
                gone += uploads.drop(rows, row.account, file.id) or ()  # what came in pieces, and is sealed here now
            elif not uploads.is_own(rows, row.account, file.id):
                raise Refusal("A file is not here any more. Choose it once more.")
            if not drafts.put_file(rows, file):
                raise Refusal("This file is in a draft already.")
        gone += drafts.drop_files(rows, row.account, row.id, [*stay, *(file.id for file in files)])
        count, octets = drafts.used(rows, row.account)
        if count > self._most:
            raise Refusal("You have as many drafts as there may be. Send some of them, or throw some away.")
        if octets > self._quota:
            raise Refusal("Your drafts take all the room there is for them. Send some of them, or throw some away.")
        return gone

    def _drop(self, account: int, idents: Sequence[int]) -> None:
        if idents:
            gone = self._engine.write(
                lambda rows: [blob for ident in idents for blob in drafts.drop(rows, account, ident)]
            ).result()
            self._vault.discard(*gone)

    def _seal_file(self, upload: Upload, now: int) -> tuple[_File, Stored]:
        if upload.linked:
            file = _File(upload.id, upload.key, upload.name, upload.media_type, upload.size, linked=True)
            return file, Stored(IN_PIECES, None)
        file = _File(
            upload.id or self._ids.new(now), keys.new_key(self._random), upload.name, upload.media_type, upload.size
        )
        sealer = Sealer(file.key, file.id, FILE_PART)

        def sealed() -> Iterator[bytes]:
            for chunk in upload.chunks():
                yield sealer.update(chunk)
            yield sealer.finalize()

        return file, self._vault.put(sealed())

    def _open(self, session: Session, row: Row) -> _Opened | None:
        """Open a draft, or return None if it rests under a pair that this session does not open, or is damaged."""
        seed, holder = session.seeds.get(row["pair"]), account_holder(session.account)
        if seed is None:
            return None
        try:
            key = keys.open_with(seed, row["sealed_key"], label=LABEL, owner=holder, holder=holder, ref=row["id"])
            octets = b"".join(self._vault.open(Stored(row["body"], row["blob_key"])))
            content = msgspec.msgpack.decode(unpad(open_sealed(key, row["id"], PART, octets)), type=_Content)
        except (SealBroken, msgspec.MsgspecError):
            log.error("draft damaged", draft=row["id"])
            return None
        return _Opened(row, content)

    def _chunks(self, session: Session, file: _File) -> Iterator[bytes]:
        if file.linked:
            resting = LinkedFile(file.id, session.organisation, file.key, file.name, file.media_type, file.size)
            return self.reading.octets(resting, 0, file.size)
        row = drafts.file(self._engine, session.account, file.id)
        if row is None:
            raise NoGrant("A file of this draft is gone.")
        return open_stream(file.key, file.id, FILE_PART, self._vault.open(Stored(row["body"], row["blob_key"])))

    def _shown(self, same: Sequence[_Opened]) -> Drafted:
        """Return one writing as pages show it: the latest words, with the files that belong to them."""
        latest, content = same[0], same[0].content
        earlier = [file for one in same[1:] for file in one.content.files if file.id in content.kept]
        return Drafted(
            id=latest.row["id"],
            parent=latest.row["parent"] or 0,
            writing=Writing(
                content.text,
                content.subject,
                tuple(content.to),
                tuple(content.cc),
                tuple(content.bcc),
                content.everybody,
                content.html,
                content.sender,
                content.about,
                Wishes(content.plain, content.days, content.tell, content.later, content.at, content.way, content.pdf),
                content.visits,
                Filled(content.form, content.version, tuple(content.answers)),
            ),
            files=tuple(
                KeptFile(each.id, each.name, each.media_type, each.size, each.linked)
                for each in (*earlier, *content.files)
            ),
            changed=latest.row["changed"],
            nonce=content.nonce,
        )

    def _discard(self, stored: Iterable[Stored]) -> None:
        self._vault.discard(*(each.blob_key for each in stored if each.blob_key))


def _closed(row: Row) -> Drafted:
    return Drafted(row["id"], row["parent"] or 0, Writing(""), (), row["changed"], b"", locked=True)

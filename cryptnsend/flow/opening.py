"""How does a session open what was granted to it? Seeds open epochs, epochs unwrap content keys, those open streams.

Opened epoch keys are kept for a few minutes, so that a list costs one asymmetric operation per epoch and not per
message. Nothing is rendered or promised before the end of a stream was checked.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from cryptnsend.core import keys
from cryptnsend.core.contracts import Clock, Engine, Row
from cryptnsend.core.errors import Ended, NoGrant, SealBroken
from cryptnsend.core.mime import Index
from cryptnsend.core.model import account_holder
from cryptnsend.core.seal import SeekReader, open_sealed, open_stream, unpad
from cryptnsend.flow.sessions import Session
from cryptnsend.store.records import grants, listing, serving
from cryptnsend.store.vault import Stored, Vault

KEPT_EPOCHS = 2048  # of all sessions of this process together
KEPT_SECONDS = 600.0

NOTHING = "There is no such message here."


class _Bcc(msgspec.Struct):
    """The author's own index: what was cut out of the header, and where (`flow/admit.py` seals it)."""

    v: int
    bcc: list[tuple[int, bytes]]


@dataclass(frozen=True, slots=True)
class Sealed:
    """One sealed part, with the key that opens it."""

    vault: Vault = field(repr=False)
    stored: Stored = field(repr=False)
    key: bytes = field(repr=False)
    message: int
    part: str

    def chunks(self) -> Iterator[bytes]:
        """Yield the content from one end to the other; it is whole only if no `SealBroken` comes at the end."""
        return open_stream(self.key, self.message, self.part, self.vault.open(self.stored))

    def reader(self) -> SeekReader:
        """Return a reader for any range of the content."""
        return SeekReader(
            self.key,
            self.message,
            self.part,
            lambda start: self.vault.open(self.stored, start),
            self.vault.size(self.stored),
        )

    def size(self) -> int:
        """Return how many octets rest, sealed."""
        return self.vault.size(self.stored)

    def octets(self) -> bytes:
        """Return the whole content, checked to its end; for what is small."""
        return open_sealed(self.key, self.message, self.part, b"".join(self.vault.open(self.stored)))

    def ranges(self, wanted: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return these ranges (start, end) after reading, and so checking, all of the content once."""
        found = [bytearray() for _ in wanted]
        at = 0
        for chunk in self.chunks():
            for place, (start, end) in enumerate(wanted):
                if start < at + len(chunk) and end > at:
                    found[place] += chunk[max(start - at, 0) : end - at]
            at += len(chunk)
        return [bytes(each) for each in found]


class Opener:
    """Opens grants for sessions. Shared by all requests of a process; thread-safe."""

    def __init__(self, engine: Engine, vault: Vault, clock: Clock):
        self._engine, self._vault, self._clock = engine, vault, clock
        self._lock = threading.Lock()
        self._epochs: OrderedDict[tuple[bytes, int, bytes], tuple[float, bytes]] = OrderedDict()
        self._unwrappers: OrderedDict[tuple[bytes, int], tuple[float, keys.Unwrapper]] = OrderedDict()

    def grant(self, session: Session, message: int) -> Row:
        """
        Return the grant by which this session's account may open a message: as its recipient, else as its author.

        Raises NoGrant where there is none, and Ended for one that was taken back or has expired.
        """
        now = self._clock.now()
        found = {
            row["role"]: row
            for row in grants.held(self._engine, account_holder(session.account), message)
            if row["role"] == "author" or row["starts"] is None or row["starts"] <= now
        }
        row = found.get("recipient") or found.get("author")
        author = found.get("author")
        if row is not None and author is not None and not self.opens(session, row):
            row = author
        if row is None:
            raise NoGrant(NOTHING)
        if row["state"] != "active" or (row["ends"] is not None and row["ends"] <= now):  # upkeep may be late
            raise Ended("This message can no longer be opened: its time is over, or the sender took it back.")
        return row

    def as_author(self, session: Session, message: int) -> Row:
        """Return the author's grant; raise NoGrant for everybody else."""
        for row in grants.held(self._engine, account_holder(session.account), message):
            if row["role"] == "author" and row["state"] == "active":
                return row
        raise NoGrant(NOTHING)

    def fullest(self, session: Session, message: int) -> Row:
        """
        Return the author's grant, which opens more, before the recipient's of who wrote to themselves.

        Raises as `grant`, and NoGrant where the session cannot open what there is.
        """
        try:
            row = self.as_author(session, message)
        except NoGrant:
            row = self.grant(session, message)
        if not self.opens(session, row):
            raise NoGrant("This message is still locked.")
        return row

    def opens(self, session: Session, row: Row) -> bool:
        """Say whether the session has the seed of the pair that a grant rests under."""
        return row["pair"] in session.seeds

    def forget(self, session: Session) -> None:
        """Drop the epoch keys that were opened for a session."""
        with self._lock:
            for place in [each for each in self._epochs if each[0] == session.id_hash]:
                del self._epochs[place]
            for known in [each for each in self._unwrappers if each[0] == session.id_hash]:
                del self._unwrappers[known]

    def unwrappers(self, session: Session, epochs: Collection[int]) -> dict[int, keys.Unwrapper]:
        """
        Return by epoch what unwraps the grants that rest under it; those that the session has no seed for are left out.

        For lists: rows of epochs are read only where the key is not remembered. At most 500; raises SealBroken.
        """
        now, found = self._clock.monotonic(), {}
        with self._lock:
            for epoch in epochs:
                known = self._unwrappers.get((session.id_hash, epoch))
                if known is not None and now < known[0]:
                    found[epoch] = known[1]
        missing = [each for each in epochs if each not in found]
        if not missing:
            return found
        for ident, pair, owner, holder, sealed in serving.epochs(self._engine, missing):
            if pair in session.seeds:
                seed = session.seeds[pair]
                key = keys.open_with(seed, sealed, label="epoch", owner=owner, holder=holder, ref=ident)
                found[ident] = keys.Unwrapper(key)
        with self._lock:
            for epoch in missing:
                if epoch in found:
                    self._unwrappers[session.id_hash, epoch] = (now + KEPT_SECONDS, found[epoch])
            while len(self._unwrappers) > KEPT_EPOCHS or (
                self._unwrappers and next(iter(self._unwrappers.values()))[0] <= now
            ):
                self._unwrappers.popitem(last=False)
        return found

    def keys(self, session: Session, row: Row) -> bytes:
        """Return the content key, or for authors both keys; raise NoGrant without the seed, SealBroken for damage."""
        if not self.opens(session, row):
            raise NoGrant("This message is still locked.")
        try:
            binding = keys.GrantBinding(
                row["org"], row["message"], row["holder"], row["role"], row["contact"], row["custody"]
            )
        except ValueError:
            raise SealBroken("A grant's row was damaged.") from None
        return keys.unwrap_content(self._epoch(session, row), row["wrap"], binding)

    def index(self, row: Row, content_keys: bytes) -> Index | None:
        """Return a message's index, None if what was sealed is none; raise SealBroken, or NoGrant if it is gone."""
        octets = unpad(self._small(self.part(row, content_keys[:32], "index")))
        try:
            return Index.from_octets(octets)
        except ValueError:
            return None

    def cuts(self, row: Row, content_keys: bytes) -> list[tuple[int, bytes]]:
        """Return what only the author may see and where it stood; raise NoGrant for a recipient's key."""
        key = keys.author_key(content_keys)
        if listing.content(self._engine, row["org"], row["message"], "author_index") is None:
            return []
        return self.read_cuts(self.part(row, key, "author_index"))

    def read_cuts(self, sealed: Sealed) -> list[tuple[int, bytes]]:
        """Return what an author's index says."""
        return msgspec.json.decode(unpad(self._small(sealed)), type=_Bcc).bcc

    def raw(self, row: Row, content_keys: bytes) -> Sealed:
        """Return the message itself, without Bcc."""
        return self.part(row, content_keys[:32], "raw")

    def part(self, row: Row, key: bytes, part: str) -> Sealed:
        """Return a sealed part of a grant's message; raise NoGrant if its content is gone."""
        return self.content(row["org"], row["message"], key, part)

    def content(self, org: int, message: int, key: bytes, part: str) -> Sealed:
        """Return a sealed part of a message, for whoever has its key; raise NoGrant if it is gone."""
        found = listing.content(self._engine, org, message, part)
        if found is None:
            raise NoGrant("The content of this message is gone.")
        return Sealed(self._vault, Stored(found["body"], found["blob_key"]), key, message, part)

    def _small(self, sealed: Sealed) -> bytes:
        whole = b"".join(self._vault.open(sealed.stored))
        return open_sealed(sealed.key, sealed.message, sealed.part, whole)

    def _epoch(self, session: Session, row: Row) -> bytes:
        """Open an epoch with the session's seed, or remember it from a moment ago."""
        place, now = (session.id_hash, row["epoch"], row["sealed"]), self._clock.monotonic()
        with self._lock:
            known = self._epochs.get(place)
            if known is not None and now < known[0]:
                self._epochs.move_to_end(place)
                return known[1]
        key = keys.open_with(
            session.seeds[row["pair"]],
            row["sealed"],
            label="epoch",
            owner=row["owner"],
            holder=row["epoch_holder"],
            ref=row["epoch"],
        )
        with self._lock:
            self._epochs[place] = (now + KEPT_SECONDS, key)
            while self._epochs and (len(self._epochs) > KEPT_EPOCHS or next(iter(self._epochs.values()))[0] <= now):
                self._epochs.popitem(last=False)
        return key

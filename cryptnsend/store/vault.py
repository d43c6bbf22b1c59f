"""Where does a sealed part rest? Small ones in their row, larger ones as a blob that the row names.

Of the promises of this package these are kept here:

- a blob is durable before the row that names it, and rows are durable before any reply or outbound effect;
- a blob without a row is litter, which `sweep` removes once it is old; a row without a blob must not happen, so a
  finished blob is never deleted merely because a commit *seemed* to fail: its row may still have become durable;
- a failed fsync is fatal for that message and never retried into a yes.

The vault sees sealed octets only.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from cryptnsend.core.contracts import Blobs, BlobWriter, Engine
from cryptnsend.core.errors import BlobGone, StoreBroken, StoreFull
from cryptnsend.core.model import Random
from cryptnsend.store.records import upkeep

INLINE = 32 * 1024  # octets; larger bodies in rows made the worst commits ten times slower
LITTER_AGE = 86_400_000  # milliseconds; whoever is about to write a row that names a blob does it long before
_PAGE = 500  # keys looked up at once


class Stored(NamedTuple):
    """Where sealed octets rest: exactly one of the two is set, as in a row of `contents`."""

    body: bytes | None
    blob_key: str | None


class VaultWriter:
    """Sealed octets on their way to rest; spills into a blob when they are too many for a row."""

    def __init__(self, blobs: Blobs, key: Callable[[], str]):
        self._blobs, self._key = blobs, key
        self._held = bytearray()
        self._blob: tuple[str, BlobWriter] | None = None

    @property
    def spilled(self) -> bool:
        """Say whether `close` will wait for a disk, if it is to flush."""
        return self._blob is not None

    def write(self, octets: bytes) -> None:
        """Append sealed octets; raise `StoreFull`/`StoreBroken`."""
        if self._blob is not None:
            self._blob[1].write(octets)
            return
        if len(self._held) + len(octets) <= INLINE:
            self._held += octets
            return
        key, held = self._key(), self._held
        self._blob = key, self._blobs.writer(key)
        self._held = bytearray()
        if held:
            self._blob[1].write(bytes(held))
        self._blob[1].write(octets)

    def close(self, *, flush: bool = True) -> Stored:
        """
        Make the octets durable, but for the blob's name, and say where they rest; raise `StoreBroken`.

        Unless *flush*, octets of a blob become durable with its name.
        """
        if self._blob is None:
            return Stored(bytes(self._held), None)
        key, writer = self._blob
        writer.close(flush=flush)
        return Stored(None, key)

    def abort(self) -> None:
        """
        Throw away what was written; safe at any time.

        A blob that `close` has finished stays: a row that names it may be on its way, and `sweep` finds it if not. If
        it was not flushed either, and is not about to be, that row is refused.
        """
        self._held.clear()
        if self._blob is not None:
            self._blob[1].abort()


class Vault:
    """
    Puts sealed parts to rest and finds them again.

    While somebody holds *hold* (see `hold_deletions`), no blob is deleted: a backup is copying them. What is new is
    refused while the disk of *folder* has less than *reserve* octets left: what is here needs them to be delivered,
    opened and ended.
    """

    def __init__(self, blobs: Blobs, random: Random, hold: Path, *, folder: Path | None = None, reserve: int = 0):
        self._blobs, self._random, self._hold, self._folder, self._reserve = blobs, random, hold, folder, reserve

    def check_room(self) -> None:
        """Raise `StoreFull` if nothing new should begin; asks the file system each time, which takes microseconds."""
        if self._folder is None or not self._reserve:
            return
        try:
            disk = os.statvfs(self._folder)
        except OSError as error:
            raise StoreBroken("The store's disk failed.") from error
        if disk.f_bavail * disk.f_frsize < self._reserve:
            raise StoreFull("The store is almost full.")

    def writer(self) -> VaultWriter:
        """Return a writer for one sealed part."""
        return VaultWriter(self._blobs, self._new_key)

    def put(self, chunks: Iterable[bytes]) -> Stored:
        """Store one sealed part; its blob, if it has one, still has to be settled."""
        writer = self.writer()
        try:
            for chunk in chunks:
                writer.write(chunk)
            return writer.close()
        finally:
            writer.abort()

    def settle(self, keys: Sequence[str]) -> None:
        """Make the names of finished blobs durable, before the COMMIT of the rows that name them."""
        if keys:
            self._blobs.settle(keys)

    def open(self, stored: Stored, start: int = 0) -> Iterator[bytes]:
        """Yield the sealed octets from *start* on in pieces; raise `BlobGone`, `StoreBroken`."""
        if stored.blob_key is None:
            body = stored.body or b""
            return iter((body[start:],) if start < len(body) else ())
        try:
            return self._blobs.open(stored.blob_key, start)
        except KeyError:
            raise BlobGone("The sealed content is missing.") from None

    def size(self, stored: Stored) -> int:
        """Return the number of sealed octets; raise `BlobGone`, `StoreBroken`."""
        if stored.blob_key is None:
            return len(stored.body or b"")
        try:
            return self._blobs.size(stored.blob_key)
        except KeyError:
            raise BlobGone("The sealed content is missing.") from None

    def discard(self, *keys: str) -> None:
        """Delete blobs that no row names, or leave them to `sweep` while deletions are held."""
        with _deleting(self._hold) as allowed:
            if allowed:
                for key in keys:
                    self._blobs.delete(key)

    def sweep(self, engine: Engine, now: int) -> int:
        """Delete blobs that no row names and that are old enough; return how many. 0 while deletions are held."""
        removed = 0
        old = (key for key, changed in self._blobs.keys() if changed <= now - LITTER_AGE)  # noqa: SIM118
        with _deleting(self._hold) as allowed:
            if not allowed:
                return 0
            for page in _pages(old):
                for key in set(page) - upkeep.named_blobs(engine, page):
                    self._blobs.delete(key)
                    removed += 1
        return removed

    def verify(self, engine: Engine) -> Iterator[tuple[str, str]]:
        """
        Compare rows with blobs and yield what is wrong as (what, blob key).

        `missing`: a row names a blob that is not there, or is empty. `litter`: a blob without a row; harmless, and
        normal while mail is arriving.
        """
        for row in upkeep.blobs_in_use(engine):
            key: str = row["blob_key"]
            try:
                size = self._blobs.size(key)
            except KeyError:
                size = 0
            if size == 0:
                yield "missing", key
        for page in _pages(key for key, _ in self._blobs.keys()):  # noqa: SIM118
            for key in sorted(set(page) - upkeep.named_blobs(engine, page)):
                yield "litter", key

    def _new_key(self) -> str:
        return self._random(20).hex()


class _Hold:
    """An advisory lock on the hold file: shared by those who delete, exclusive for the one who copies."""

    def __init__(self, path: Path, kind: int):
        self._path, self._kind, self._fd = path, kind, -1

    def __enter__(self) -> bool:
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise StoreBroken("The store cannot be locked.") from error
        try:
            fcntl.flock(self._fd, self._kind)
        except BlockingIOError:
            return False
        return True

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def _deleting(path: Path) -> _Hold:
    return _Hold(path, fcntl.LOCK_SH | fcntl.LOCK_NB)


def hold_deletions(path: Path) -> _Hold:
    """Return a context in which no process deletes blobs; entering waits until deletions under way are done."""
    return _Hold(path, fcntl.LOCK_EX)


def _pages(keys: Iterable[str]) -> Iterator[list[str]]:
    page: list[str] = []
    for key in keys:
        page.append(key)
        if len(page) == _PAGE:
            yield page
            page = []
    if page:
        yield page

"""Blobs as files of one flat folder.

The row makes a blob real, so a file gets its final, random name at once: no temporary name, no rename. Its octets are
durable when `close` returns, or with the folder entry when `settle` returned, once for a whole batch. A failed fsync is
fatal for that blob: the kernel reports such an error once and then forgets it, so a second try would prove nothing.

Blobs up to `ALONE` octets that a batch settles lie in one file, see `bundles`: its names are their keys with a tilde.
Until then they are held in memory. A file named by the bare key goes first, so that one can be put in place by hand.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from cryptnsend.core.errors import StoreBroken, StoreFull
from cryptnsend.store import bundles

ALONE = 1 << 18  # octets from which on a blob has a file of its own
_HELD = 1 << 23  # octets of all blobs that are held in memory; what comes beyond has files of its own
_BUNDLED = "~"  # ends the name of a blob that shares its file, and is in no key
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{7,127}", re.ASCII)
_PIECE = 1 << 18  # octets per read
_FULL = (errno.ENOSPC, errno.EDQUOT)


class FileBlobs:
    """The `Blobs` in one folder. Any thread may call it; a writer belongs to one thread at a time."""

    def __init__(self, folder: Path, *, mode: int = 0o600):
        """Use *folder*, making it if needed; *mode* is that of the files. Raise `StoreBroken` if it cannot be used."""
        self._mode = mode
        self._guard = threading.Lock()
        self._unsettled: set[str] = set()  # finished here, folder entry not known to be durable
        self._doubtful: set[str] = set()  # an fsync failed after they were finished, or will never come
        self._unflushed: dict[str, int] = {}  # finished files that `settle` has to flush, still open
        self._held: dict[str, list[bytes]] = {}  # finished blobs that `settle` has to write
        self._room = _HELD  # octets that may still be held
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise _broken(error) from error

    def put(self, key: str, chunks: Iterable[bytes]) -> int:
        """Store the chunks under *key* and return how many octets; raise `StoreFull`/`StoreBroken`, leaving nothing."""
        writer = self.writer(key)
        try:
            for chunk in chunks:
                writer.write(chunk)
            return writer.close()
        finally:
            writer.abort()

    def writer(self, key: str) -> FileWriter:
        """Open *key* for streaming; keys are never used twice: `StoreBroken` comes at the latest when it is settled."""
        return FileWriter(self, _checked(key))

    def settle(self, keys: Sequence[str]) -> None:
        """
        Make the names of these finished blobs durable, and octets that were not flushed yet.

        Raise `StoreFull`/`StoreBroken` if one is missing or in doubt.
        """
        with self._guard:
            doubtful = self._doubtful.intersection(keys)
            waiting = set(self._unsettled)
            unflushed = {} if doubtful else {key: self._unflushed.pop(key) for key in keys if key in self._unflushed}
            held = {} if doubtful else {key: self._held.pop(key) for key in keys if key in self._held}
        if doubtful:
            raise StoreBroken("The store's disk failed.")
        try:
            self._flush(unflushed)
        except StoreBroken:
            with self._guard:
                self._doubtful.update(held)
            self._released(held)
            raise
        self._bundle(held)
        try:
            for key in keys:
                if key not in held:
                    self._check(_checked(key))
            os.fsync(self._folder)
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                with self._guard:
                    self._doubtful |= waiting.union(held)
            raise _broken(error) from error
        with self._guard:
            self._unsettled.difference_update(keys)

    def open(self, key: str, start: int = 0) -> Iterator[bytes]:
        """Yield the octets from *start* on in pieces; raise KeyError at once if there is no such blob."""
        try:
            return _Pieces(*self._found(key, start))
        except OSError as error:
            raise _broken(error) from error

    def size(self, key: str) -> int:
        """Return the number of octets stored; raise KeyError if there is no such blob."""
        try:
            fd, begin, end = self._found(key)
            try:
                return max(0, min(end, os.fstat(fd).st_size) - begin)
            finally:
                os.close(fd)
        except OSError as error:
            raise _broken(error) from error

    def delete(self, key: str) -> None:
        """Remove the blob; absent is fine."""
        try:
            for name in (_checked(key), key + _BUNDLED):
                self._remove(name)
        except OSError as error:
            raise _broken(error) from error
        finally:
            with self._guard:
                self._unsettled.discard(key)
                self._doubtful.discard(key)
                fd, held = self._unflushed.pop(key, -1), self._held.pop(key, None)
            if held is not None:
                self._released({key: held})
            if fd >= 0:
                os.close(fd)

    def keys(self) -> Iterator[tuple[str, int]]:
        """Yield every (key, UTC milliseconds of its last change); files of other kinds in the folder are not ours."""
        with os.scandir(self._folder) as entries:
            for entry in entries:
                key = entry.name.removesuffix(_BUNDLED)
                if not _KEY.fullmatch(key):
                    continue
                try:
                    changed = entry.stat(follow_symlinks=False).st_mtime_ns
                except FileNotFoundError:  # deleted since the folder was read
                    continue
                yield key, changed // 1_000_000

    def _flush(self, unflushed: dict[str, int]) -> None:
        left = dict(unflushed)
        try:
            for key, fd in unflushed.items():
                try:
                    os.fsync(fd)
                finally:
                    os.close(fd)
                    del left[key]
        except OSError as error:
            with self._guard:
                self._doubtful.update(left, (key,))
            for fd in left.values():
                os.close(fd)
            raise _broken(error) from error

    def _bundle(self, held: dict[str, list[bytes]]) -> None:
        """Write blobs that were held into files that they share, durable but for the folder's entries."""
        left = dict(held)
        made: list[str] = []
        try:
            while left:
                some = {key: left.pop(key) for key in list(left)[: bundles.MOST]}
                first, *others = some
                if others:
                    name, pieces = first + _BUNDLED, bundles.pack(some)
                else:
                    name, pieces = first, some[first]
                fd = self._create(name)
                made.append(name)
                try:
                    bundles.write(fd, pieces)
                    for key in others:
                        os.link(name, key + _BUNDLED, src_dir_fd=self._folder, dst_dir_fd=self._folder)
                        made.append(key + _BUNDLED)
                    os.fsync(fd)
                finally:
                    os.close(fd)
        except OSError as error:
            with self._guard:
                self._doubtful.update(held)
            for name in made:  # no row may name them any more; what cannot be removed now is litter
                with contextlib.suppress(OSError):
                    self._remove(name)
            raise _broken(error) from error
        finally:
            self._released(held)

    def close(self) -> None:
        """Let go of the folder; safe to call twice."""
        folder, self._folder = self._folder, -1
        if folder >= 0:
            os.close(folder)

    def _create(self, name: str) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(name, flags, self._mode, dir_fd=self._folder)

    def _remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._folder)

    def _check(self, key: str) -> None:
        """Raise FileNotFoundError unless the blob has a name."""
        try:
            os.stat(key, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            os.stat(key + _BUNDLED, dir_fd=self._folder, follow_symlinks=False)

    def _found(self, key: str, start: int = 0) -> tuple[int, int, int]:
        """Return an open file, where in it the blob's octets from *start* on begin and where they end; or KeyError."""
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            return os.open(_checked(key), flags, dir_fd=self._folder), start, sys.maxsize
        except FileNotFoundError:
            pass
        try:
            fd = os.open(key + _BUNDLED, flags, dir_fd=self._folder)
        except FileNotFoundError:
            raise KeyError(key) from None
        place = None
        try:
            place = bundles.place(fd, key)
        finally:
            if place is None:
                os.close(fd)
        if place is None:
            raise KeyError(key)
        begin, end = place
        return fd, min(begin + start, end), end

    def _take(self, octets: int) -> bool:
        """Say whether so many more octets may be held, and count them."""
        with self._guard:
            if octets > self._room:
                return False
            self._room -= octets
            return True

    def _released(self, held: Mapping[str, Sequence[bytes]]) -> None:
        octets = sum(len(piece) for pieces in held.values() for piece in pieces)
        with self._guard:
            self._room += octets

    def _finished(self, key: str, unflushed: int | None = None, held: list[bytes] | None = None) -> None:
        with self._guard:
            if held is not None:
                self._held[key] = held
                return
            self._unsettled.add(key)
            if unflushed is not None:
                self._unflushed[key] = unflushed

    def _given_up(self, key: str) -> None:
        """Let go of a finished blob that nobody has begun to settle; a row must not name it any more."""
        with self._guard:
            fd, held = self._unflushed.pop(key, -1), self._held.pop(key, None)
            if fd >= 0 or held is not None:
                self._doubtful.add(key)
        if held is not None:
            self._released({key: held})
        if fd >= 0:
            os.close(fd)


class FileWriter:
    """A blob being written; it is gone unless `close` returned. While it is small it is in memory."""

    def __init__(self, blobs: FileBlobs, key: str):
        self._blobs, self._key = blobs, key
        self._held: list[bytes] | None = []  # until there is a file
        self._fd, self._size, self._open, self._finished = -1, 0, True, False

    def write(self, octets: bytes) -> None:
        """Append octets; raise `StoreFull`/`StoreBroken`, after which only `abort` is left."""
        self._size += len(octets)
        if self._held is not None and self._size <= ALONE and self._blobs._take(len(octets)):
            self._held.append(octets)
            return
        try:
            self._spill()
            bundles.write(self._fd, [octets])
        except OSError as error:
            self.abort()
            raise _broken(error) from error

    def close(self, *, flush: bool = True) -> int:
        """
        Make the octets durable and return how many there are; raise `StoreBroken`, leaving nothing.

        Unless *flush*, that is left to `settle`, which does it for a whole batch; small blobs are nowhere before.
        """
        if not self._open:
            raise StoreBroken("This blob was given up.")
        if not flush and self._held is not None:
            held, self._held = self._held, None
            self._open, self._finished = False, True
            self._blobs._finished(self._key, held=held)
            return self._size
        try:
            self._spill()
            if flush:
                os.fsync(self._fd)
        except OSError as error:
            self.abort()
            raise _broken(error) from error
        fd, self._fd = self._fd, -1
        self._open, self._finished = False, True
        if flush:
            os.close(fd)
        self._blobs._finished(self._key, None if flush else fd)
        return self._size

    def abort(self) -> None:
        """Throw away what was written; after `close` returned only what nobody has settled or flushed is given up."""
        if self._finished:
            self._blobs._given_up(self._key)
        elif self._open:
            self._open = False
            self._let_go()
            fd, self._fd = self._fd, -1
            if fd >= 0:
                os.close(fd)
                self._blobs.delete(self._key)

    def _spill(self) -> None:
        """Move what is held into a file."""
        if self._held is None:
            return
        self._fd = self._blobs._create(self._key)
        bundles.write(self._fd, self._held)
        self._let_go()

    def _let_go(self) -> None:
        held, self._held = self._held, None
        if held:
            self._blobs._released({self._key: held})


class _Pieces(Iterator[bytes]):
    """The octets of an open file; the file is closed at the end or when nobody holds this any more."""

    def __init__(self, fd: int, at: int, end: int):
        self._fd, self._at, self._end = fd, at, end

    def __next__(self) -> bytes:
        wanted = min(_PIECE, self._end - self._at)
        try:
            piece = os.pread(self._fd, wanted, self._at) if self._fd >= 0 and wanted > 0 else b""
        except OSError as error:
            raise _broken(error) from error
        self._at += len(piece)
        if not piece:
            self.close()
            raise StopIteration
        return piece

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    __del__ = close


def _checked(key: str) -> str:
    """Return *key* if it may be a file name of ours; anything else is a defect of the caller or an attack."""
    if not _KEY.fullmatch(key):
        raise ValueError("not a blob key")
    return key


def _broken(error: OSError) -> StoreBroken:
    if error.errno in _FULL:
        return StoreFull("The store is full.")
    return StoreBroken("The store's disk failed.")

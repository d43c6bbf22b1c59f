"""Blobs as files of one flat folder.

The row makes a blob real, so a file gets its final, random name at once: no temporary name, no rename. Its octets are
durable when `close` returns, or with the folder entry when `settle` returned, once for a whole batch. A failed fsync is
fatal for that blob: the kernel reports such an error once and then forgets it, so a second try would prove nothing.
"""

from __future__ import annotations

import errno
import os
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from cryptnsend.core.errors import StoreBroken, StoreFull

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
        """Open *key* for streaming; raise `StoreBroken` if it exists, for keys are never used twice."""
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            return FileWriter(self, key, os.open(_checked(key), flags, self._mode, dir_fd=self._folder))
        except OSError as error:
            raise _broken(error) from error

    def settle(self, keys: Sequence[str]) -> None:
        """
        Make the names of these finished blobs durable, and octets that were not flushed yet.

        Raise `StoreFull`/`StoreBroken` if one is missing or in doubt.
        """
        with self._guard:
            doubtful = self._doubtful.intersection(keys)
            waiting = set(self._unsettled)
            unflushed = {} if doubtful else {key: self._unflushed.pop(key) for key in keys if key in self._unflushed}
        if doubtful:
            raise StoreBroken("The store's disk failed.")
        self._flush(unflushed)
        try:
            for key in keys:
                os.stat(_checked(key), dir_fd=self._folder, follow_symlinks=False)
            os.fsync(self._folder)
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                with self._guard:
                    self._doubtful |= waiting
            raise _broken(error) from error
        with self._guard:
            self._unsettled.difference_update(keys)

    def open(self, key: str, start: int = 0) -> Iterator[bytes]:
        """Yield the octets from *start* on in pieces; raise KeyError at once if there is no such blob."""
        try:
            return _Pieces(self._open(key), start)
        except OSError as error:
            raise _broken(error) from error

    def size(self, key: str) -> int:
        """Return the number of octets stored; raise KeyError if there is no such blob."""
        try:
            return os.stat(_checked(key), dir_fd=self._folder, follow_symlinks=False).st_size
        except FileNotFoundError:
            raise KeyError(key) from None
        except OSError as error:
            raise _broken(error) from error

    def delete(self, key: str) -> None:
        """Remove the blob; absent is fine."""
        try:
            os.unlink(_checked(key), dir_fd=self._folder)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _broken(error) from error
        finally:
            with self._guard:
                self._unsettled.discard(key)
                self._doubtful.discard(key)
                fd = self._unflushed.pop(key, -1)
            if fd >= 0:
                os.close(fd)

    def keys(self) -> Iterator[tuple[str, int]]:
        """Yield every (key, UTC milliseconds of its last change); files of other kinds in the folder are not ours."""
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if not _KEY.fullmatch(entry.name):
                    continue
                try:
                    changed = entry.stat(follow_symlinks=False).st_mtime_ns
                except FileNotFoundError:  # deleted since the folder was read
                    continue
                yield entry.name, changed // 1_000_000

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

    def close(self) -> None:
        """Let go of the folder; safe to call twice."""
        folder, self._folder = self._folder, -1
        if folder >= 0:
            os.close(folder)

    def _open(self, key: str) -> int:
        try:
            return os.open(_checked(key), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=self._folder)
        except FileNotFoundError:
            raise KeyError(key) from None

    def _finished(self, key: str, unflushed: int | None = None) -> None:
        with self._guard:
            self._unsettled.add(key)
            if unflushed is not None:
                self._unflushed[key] = unflushed

    def _given_up(self, key: str) -> None:
        """Let go of a finished file that nobody has begun to settle; a row must not name it any more."""
        with self._guard:
            fd = self._unflushed.pop(key, -1)
            if fd >= 0:
                self._doubtful.add(key)
        if fd >= 0:
            os.close(fd)


class FileWriter:
    """A file being written; it is gone unless `close` returned."""

    def __init__(self, blobs: FileBlobs, key: str, fd: int):
        self._blobs, self._key, self._fd, self._size, self._finished = blobs, key, fd, 0, False

    def write(self, octets: bytes) -> None:
        """Append octets; raise `StoreFull`/`StoreBroken`, after which only `abort` is left."""
        rest = memoryview(octets)
        try:
            while rest:
                done = os.write(self._fd, rest)
                self._size += done
                rest = rest[done:]
        except OSError as error:
            self.abort()
            raise _broken(error) from error

    def close(self, *, flush: bool = True) -> int:
        """
        Make the octets durable and return how many there are; raise `StoreBroken`, leaving nothing.

        Unless *flush*, that is left to `settle`, which does it for a whole batch.
        """
        if self._fd < 0:
            raise StoreBroken("This blob was given up.")
        fd, self._fd = self._fd, -1
        if not flush:
            self._finished = True
            self._blobs._finished(self._key, fd)
            return self._size
        try:
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            self.abort()
            raise _broken(error) from error
        self._finished = True
        self._blobs._finished(self._key)
        return self._size

    def abort(self) -> None:
        """Throw away what was written; after `close` returned only what nobody has settled or flushed is given up."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
        if self._finished:
            self._blobs._given_up(self._key)
        else:
            self._finished = True
            self._blobs.delete(self._key)


class _Pieces(Iterator[bytes]):
    """The octets of an open file; the file is closed at the end or when nobody holds this any more."""

    def __init__(self, fd: int, at: int):
        self._fd, self._at = fd, at

    def __next__(self) -> bytes:
        try:
            piece = os.pread(self._fd, _PIECE, self._at) if self._fd >= 0 else b""
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

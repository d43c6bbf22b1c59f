"""What has ended, and must stay ended when a backup comes back? An append-only file that is in no backup.

One JSON object a line with its own checksum, durable before anybody is answered, so before the COMMIT of what it
speaks of. An entry for something whose COMMIT then failed ends a thing that was about to end; that is the safe side.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from cryptnsend.core.errors import StoreBroken

# Of the main database: grants and messages, deliveries. Of the ledger: devices, accounts with the credential version
# that the ending leads to, and, for roles, accounts with the version of their card and the roles that are left.
KINDS = frozenset(
    {
        *("suspend", "undo", "shred", "cancel"),
        *("revoke", "disable", "enable", "credential", "weak", "close", "roles", "renew"),
    },
)


class Entry(msgspec.Struct, frozen=True):
    """Something that ended: what kind of ending, and the ids it is about."""

    at: int
    kind: str
    ids: tuple[int, ...]


class _Line(msgspec.Struct):
    at: int
    kind: str
    ids: tuple[int, ...]
    sum: str


@dataclass(frozen=True, slots=True)
class Replay:
    """The journal as it was read: its entries, oldest first, and how many lines were damaged."""

    entries: tuple[Entry, ...]
    damaged: int


_encoder = msgspec.json.Encoder()
_lines = msgspec.json.Decoder(_Line)


class Journal:
    """The journal's writer; one per keeper, shared by its threads."""

    def __init__(self, path: Path):
        """Open or create *path*; what a crash left of an unfinished line is cut off. Raise `StoreBroken`."""
        self.path = path
        self._lock = threading.Lock()
        self._torn = False  # whether the file may end in octets that are no entry
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._size = _whole(self._file)
            os.ftruncate(self._file, self._size)
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise StoreBroken("The journal cannot be opened.") from error

    def append(self, at: int, kind: str, ids: Sequence[int]) -> None:
        """Write one entry, durable on return; raise `StoreBroken`, and then nothing of it stays."""
        if kind not in KINDS:
            raise ValueError(f"nothing ends in the way {kind!r}")
        line = _encoder.encode({"at": at, "kind": kind, "ids": list(ids), "sum": _sum(at, kind, ids)}) + b"\n"
        with self._lock:
            try:
                if self._torn:
                    os.ftruncate(self._file, self._size)
                self._torn = True
                if os.write(self._file, line) != len(line):
                    raise OSError("short write")
                # After a failed fsync the kernel may have dropped the pages: it is never tried again, but the line
                # is cut off before the next one is written.
                os.fsync(self._file)
            except OSError as error:
                raise StoreBroken("The journal cannot be written.") from error
            self._torn = False
            self._size += len(line)

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1


def replay(path: Path) -> Replay:
    """
    Read the journal at *path*; a missing one has no entries.

    Damaged lines are counted and left out, since the endings around them still hold.
    """
    entries, damaged = [], 0
    try:
        with path.open("rb") as stream:
            for line in stream:
                try:
                    read = _lines.decode(line)
                except ValueError:
                    damaged += 1
                    continue
                if read.sum != _sum(read.at, read.kind, read.ids) or not line.endswith(b"\n"):
                    damaged += 1
                    continue
                entries.append(Entry(read.at, read.kind, read.ids))
    except FileNotFoundError:
        return Replay((), 0)
    except OSError as error:
        raise StoreBroken("The journal cannot be read.") from error
    return Replay(tuple(entries), damaged)


def _sum(at: int, kind: str, ids: Sequence[int]) -> str:
    covered = f"cryptnsend/v1 journal {at} {kind} {','.join(map(str, ids))}"
    return hashlib.sha256(covered.encode()).hexdigest()[:32]


def _whole(file: int) -> int:
    """Return how many octets of the file are whole lines."""
    size = os.fstat(file).st_size
    for start, piece in _backwards(file, size):
        newline = piece.rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
    return 0


def _backwards(file: int, size: int) -> Iterator[tuple[int, bytes]]:
    while size > 0:
        start = max(0, size - 65536)
        yield start, os.pread(file, size - start, start)
        size = start

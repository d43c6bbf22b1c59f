"""How is everything copied while the server runs, checked, and put back?

A backup is a folder: copies of the databases, sealed files, `blobs/` and a `manifest` with size and SHA-256 of each
file, written last: a folder without its end line is not a backup. The order matters: deletions are held, then the main
database is copied, then the others, then the blobs that the copied rows name; so no row of the copy misses its blob,
whatever happened meanwhile. Everything in it is as sealed as in the vault; the master key is never part of it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from cryptnsend.core.contracts import Blobs, Reader, Row
from cryptnsend.core.errors import ConfigError, StoreBroken, StoreFull
from cryptnsend.store.connection import broken, connect, dicts
from cryptnsend.store.records import upkeep
from cryptnsend.store.vault import hold_deletions

MAIN = "main.db"  # the database whose rows name the blobs
MANIFEST = "manifest"
Progress = Callable[[str, int, int], None]  # what is copied or checked, how much is done, of how much

_LINE = re.compile(r"([0-9a-f]{64}) ([0-9]+) ((?:blobs/)?[A-Za-z0-9][A-Za-z0-9_.-]*)")
_END = re.compile(r"end ([0-9]+) files ([0-9]+)")
_PAGES = 2048  # pages copied between two words of progress
_PIECE = 1 << 20


class Entry(NamedTuple):
    """One file of a backup: its path in the folder, octets and SHA-256 in hex."""

    path: str
    size: int
    digest: str


MOST_DAMAGES = 100_000  # that are listed of one database
_NULL = re.compile(r"NULL value in (\w+)\.(\w+)")


class Snapshot:
    """A copied database, read where it lies: nothing is written beside it."""

    def __init__(self, path: Path):
        self._db = connect(path, readonly=True)

    def query(self, sql: str, **values: Any) -> list[Row]:
        """Read rows with one statement; values are named (`:name`)."""
        return dicts(self._db.execute(sql, values))

    def close(self) -> None:
        self._db.conn.close()


def create(
    target: Path,
    databases: Mapping[str, Path],
    blobs: Blobs,
    *,
    files: Mapping[str, bytes] = MappingProxyType({}),
    hold: Path,
    at: int,
    progress: Progress = lambda what, done, total: None,
) -> list[Entry]:
    """
    Back up *databases* (name in the backup → file; `main.db` among them, copied first) and the blobs its rows name.

    *files* (name → octets) are written beside them as they are: whoever gives them has sealed them.
    *target* must not exist; *hold* is the vault's hold file; *at* is now, in UTC milliseconds. Raise `StoreFull` or
    `StoreBroken`; what was copied until then stays, without a manifest.
    """
    try:
        target.mkdir(mode=0o700)
    except FileExistsError:
        raise ConfigError(f"{target} exists. Name a folder that does not exist yet.") from None
    except OSError as error:
        words = f"{target} cannot be made: {error.strerror}."
        raise ConfigError(f"{words} Name a new folder inside one that is there and may be written.") from error
    try:
        (target / "blobs").mkdir(mode=0o700)
        with hold_deletions(hold):
            for name in sorted(databases, key=lambda name: name != MAIN):
                snapshot(databases[name], target / name, progress=progress)
            entries = [_entry(target, name) for name in databases]
            entries += [_copy([octets], target / name) for name, octets in files.items()]
            entries += _copy_blobs(target, blobs, progress)
        _write_manifest(target, entries, at)
    except OSError as error:
        raise _failed(error) from error
    return entries


def snapshot(source: Path, target: Path, *, progress: Progress = lambda what, done, total: None) -> None:
    """Copy a database that others are writing, as it is at one moment; *target* becomes a single durable file."""
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        reading, writing = connect(source, readonly=True).conn, sqlite3.connect(target, isolation_level=None)
        try:
            # Inside a transaction of our own the copy cannot be made to start over by those who write meanwhile.
            reading.execute("BEGIN")
            reading.backup(
                writing,
                pages=_PAGES,
                progress=lambda _, left, total: progress(target.name, total - left, total),
            )
            writing.execute("PRAGMA synchronous=FULL")
            writing.execute("PRAGMA journal_mode=DELETE")
        finally:
            reading.close()
            writing.close()
        _sync(target)
        _sync(target.parent)
    except sqlite3.Error as error:
        raise broken(error) or StoreBroken("The database cannot be copied.") from error


def check(folder: Path, *, progress: Progress = lambda what, done, total: None) -> list[str]:
    """Read the whole backup and return what is wrong with it, in words; nothing if it can be restored."""
    try:
        entries = _read_manifest(folder)
    except ConfigError as error:
        return [str(error)]
    problems = []
    for number, entry in enumerate(entries, 1):
        try:
            if _entry(folder, entry.path) != entry:
                problems.append(f"{entry.path} is not what was backed up.")
        except FileNotFoundError:
            problems.append(f"{entry.path} is missing.")
        progress("checking", number, len(entries))
    if problems:
        return problems
    there = {entry.path for entry in entries}
    for name in sorted(path for path in there if path.endswith(".db")):
        problems += _check_database(folder / name, there if name == MAIN else None)
    return problems


def restore(
    folder: Path,
    databases: Mapping[str, Path],
    blobs: Path,
    *,
    begin: Callable[[], None] = lambda: None,
    progress: Progress = lambda what, done, total: None,
) -> None:
    """
    Put a backup back: its databases to the named files, its blobs into the folder *blobs*.

    Call *begin* when everything has been checked, before the first file is written.
    Raise `ConfigError` if the backup is damaged, lacks one of the databases, or anything is at these places already.
    Rows come last, so that an interrupted restore leaves litter and no row without a blob.
    """
    if problems := check(folder, progress=progress):
        raise ConfigError(f"This backup cannot be used: {problems[0]}")
    entries = _read_manifest(folder)
    kept = {entry.path for entry in entries}
    if missing := sorted(set(databases) - kept):
        raise ConfigError(f"This backup has no {missing[0]}.")
    for place in databases.values():
        if any(place.with_name(place.name + end).exists() for end in ("", "-wal", "-shm", "-journal")):
            raise ConfigError(f"{place} exists. Restore into an empty home.")
    if blobs.exists() and any(blobs.iterdir()):
        raise ConfigError(f"{blobs} is not empty. Restore into an empty home.")
    begin()
    try:
        blobs.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number, entry in enumerate(entries, 1):
            if entry.path.startswith("blobs/"):
                _copy(_pieces(folder / entry.path), blobs / entry.path.removeprefix("blobs/"))
            progress("restoring", number, len(entries))
        _sync(blobs)
        for name in sorted(databases, key=lambda name: name == MAIN):
            databases[name].parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _copy(_pieces(folder / name), databases[name])
            _sync(databases[name].parent)
    except OSError as error:
        raise _failed(error) from error


def file(folder: Path, name: str) -> bytes | None:
    """Return one of the files beside the databases, as its entry in the manifest has it; None if there is none."""
    entry = next((each for each in _read_manifest(folder) if each.path == name), None)
    if entry is None:
        return None
    octets = (folder / name).read_bytes()
    if (len(octets), hashlib.sha256(octets).hexdigest()) != (entry.size, entry.digest):
        raise ConfigError(f"This backup cannot be used: {name} is not what was backed up.")
    return octets


def _copy_blobs(target: Path, blobs: Blobs, progress: Progress) -> list[Entry]:
    rows = Snapshot(target / MAIN)
    entries = []
    try:
        keys = [row["blob_key"] for row in upkeep.blobs_in_use(rows)]
    finally:
        rows.close()
    for number, key in enumerate(keys, 1):
        try:
            entries.append(_copy(blobs.open(key), target / "blobs" / key))
        except KeyError:
            raise StoreBroken(f"Blob {key} is missing, though a row names it. Look at `vault verify`.") from None
        progress("blobs", number, len(keys))
    _sync(target / "blobs")
    return [entry._replace(path=f"blobs/{entry.path}") for entry in entries]


def damages(reader: Reader, check: Literal["integrity_check", "quick_check"]) -> list[str]:
    """
    Return what SQLite finds damaged in a database, nothing for a whole one.

    Of a table WITHOUT ROWID whose last column as stored is declared first, SQLite 3.40 and others claim that this
    column has a NULL, for every row, where there is none. So a NULL counts only where a query finds it too.
    """
    found = [str(next(iter(row.values()))) for row in reader.query(f"PRAGMA {check}({MOST_DAMAGES})")]
    return [each for each in found if each != "ok" and not _is_false_alarm(reader, each)]


def _is_false_alarm(reader: Reader, said: str) -> bool:
    named = _NULL.fullmatch(said)
    if named is None:
        return False
    return not upkeep.has_null(reader, *named.groups())


def _check_database(path: Path, there: set[str] | None) -> Iterator[str]:
    """Yield what is wrong inside a copied database and, for the main one, which blobs its rows miss."""
    try:
        rows = Snapshot(path)
        try:
            if found := damages(rows, "integrity_check"):
                yield f"{path.name} is damaged: {found[0]}"
            if dangling := rows.query("PRAGMA foreign_key_check"):
                yield f"{path.name} has {len(dangling)} rows that point at nothing."
            if there is not None:
                for row in upkeep.blobs_in_use(rows):
                    if f"blobs/{row['blob_key']}" not in there:
                        yield f"Message {row['message']} misses its blob {row['blob_key']}."
        finally:
            rows.close()
    except sqlite3.Error as error:
        yield f"{path.name} cannot be read: {error}"


def _copy(pieces: Iterable[bytes], target: Path) -> Entry:
    """Write a new file, durable but for its name; its entry has the bare file name as path."""
    digest, size = hashlib.sha256(), 0
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "wb", buffering=0) as file:
        for piece in pieces:
            digest.update(piece)
            size += len(piece)
            rest = memoryview(piece)
            while rest:
                rest = rest[file.write(rest) :]
        os.fsync(file.fileno())
    return Entry(target.name, size, digest.hexdigest())


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def _entry(folder: Path, path: str) -> Entry:
    digest, size = hashlib.sha256(), 0
    for piece in _pieces(folder / path):
        digest.update(piece)
        size += len(piece)
    return Entry(path, size, digest.hexdigest())


def _write_manifest(folder: Path, entries: list[Entry], at: int) -> None:
    lines = [f"{entry.digest} {entry.size} {entry.path}\n" for entry in entries]
    _copy([*(line.encode() for line in lines), f"end {len(entries)} files {at}\n".encode()], folder / MANIFEST)
    _sync(folder)


def _read_manifest(folder: Path) -> list[Entry]:
    try:
        lines = (folder / MANIFEST).read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"{folder} is no finished backup: it has no readable manifest.") from None
    end = _END.fullmatch(lines[-1]) if lines else None
    found = [_LINE.fullmatch(line) for line in lines[:-1]]
    entries = [Entry(match[3], int(match[2]), match[1]) for match in found if match is not None]
    if end is None or len(entries) != len(found) or int(end[1]) != len(entries):
        raise ConfigError(f"{folder} is no finished backup: its manifest is cut or damaged.")
    return entries


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _failed(error: OSError) -> StoreBroken:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull("There is no room left for this.")
    return StoreBroken(f"A file could not be copied: {error.strerror}.")

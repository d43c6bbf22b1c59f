"""Rows in one SQLite file: the embedded engine.

Reads go through one connection per thread; writes through a group-committing thread, or, for coroutines, through a
`Batcher`. Several processes may share the file. How a transaction stays whole is in `store/connection.py`.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from cryptnsend.core.contracts import Loop, Migration, Row, Rows
from cryptnsend.core.errors import ConfigError, StoreBroken, StoreFull
from cryptnsend.store.batch import Batcher
from cryptnsend.store.connection import PAGE, PATIENCE, SqliteTransaction, broken, connect, dicts
from cryptnsend.store.group import GroupCommit, Settle
from cryptnsend.store.lock import Turnstile

T = TypeVar("T")
SETUP_PATIENCE = 60.0  # seconds to wait while another process migrates


class SqliteEngine:
    """
    The `Engine` on one SQLite file.

    `settle` is `Blobs.settle`: it is called before COMMIT with the keys of the blobs that the rows name. `max_pages`
    caps the file at that many pages of 4 KiB; a write beyond is refused with `StoreFull`.
    """

    def __init__(
        self,
        path: Path,
        *,
        settle: Settle | None = None,
        patience: float = PATIENCE,
        max_pages: int | None = None,
        mode: int = 0o600,
    ):
        """Open or create the database at *path*; raise `StoreBroken` if that fails. *mode* is that of new files."""
        self.path, self._settle, self._patience, self._max_pages, self._mode = path, settle, patience, max_pages, mode
        self._readers = threading.local()
        self._opened: dict[threading.Thread, Database] = {}
        self._guard = threading.Lock()
        self._hooks: list[Callable[[], None]] = []
        self._batchers: list[Batcher] = []
        self._closed = False
        # One connection stays open for as long as the engine is. While it is, a transaction whose flush failed cannot
        # come back from the log's octets: they are overwritten by the next one.
        self._anchor = self._prepare()
        self._group = GroupCommit(
            self._transaction(), settle, self._failed, patience=patience, name=f"writer of {path.name}"
        )

    def query(self, sql: str, **values: Any) -> list[Row]:
        """Read committed rows with one statement; values are named (`:name`). Raise `StoreBroken`."""
        try:
            return dicts(self._reader().conn.execute(sql, values))
        except sqlite3.Error as error:
            if "readonly" in str(error):
                raise ValueError("query() only reads; use write()") from error
            raise broken(error) or error from error

    def tuples(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Read committed rows as tuples; see `Engine.tuples`. Raise `StoreBroken`."""
        try:
            return self._reader().conn.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            if "readonly" in str(error):
                raise ValueError("tuples() only reads; use write()") from error
            raise broken(error) or error from error

    def write(self, fn: Callable[[Rows], T], *, blobs: Sequence[str] = ()) -> Future[T]:
        """Run *fn* inside a group-committed transaction; see `Engine.write`."""
        return self._group.submit(fn, blobs)

    def batcher(self, loop: Loop, *, gather: float = 0.001) -> Batcher:
        """Return a writer for coroutines of *loop*, whose rows are filled on the loop's own thread."""
        batcher = Batcher(loop, self._transaction(), self._settle, self._failed, patience=self._patience, gather=gather)
        self._batchers.append(batcher)
        return batcher

    def on_failed(self, hook: Callable[[], None]) -> None:
        """
        Call *hook* whenever rows of some item were undone, before its future resolves.

        It runs in the thread that commits, or on the loop's thread for a batcher, and must not raise. Sealers forget
        their epochs there: a row they counted on may be gone.
        """
        self._hooks.append(hook)

    def migrate(self, steps: Sequence[Migration]) -> None:
        """
        Apply the steps not yet applied, in order, each in its own transaction; safe with concurrent starters.

        Raise `ConfigError` if the database has steps that we do not know: it was made by a newer version.
        """
        transaction = self._transaction()
        try:
            while self._advance(transaction, steps):
                pass
        finally:
            transaction.close()

    def checkpoint(self) -> bool:
        """
        Copy the log into the database and cut it to nothing, so that deleted rows are gone from the disk.

        Return False if readers or writers were in the way; try again later.
        """
        turnstile = Turnstile(self.path, mode=self._mode)
        try:
            if not turnstile.acquire(self._patience):
                return False
            db = connect(self.path)
            try:
                # Writers stand still while readers are waited for, so not for long.
                db.conn.execute("PRAGMA busy_timeout=250")
                return bool(db.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)
            finally:
                db.conn.close()
        except sqlite3.Error as error:
            raise broken(error) or error from error
        finally:
            turnstile.close()

    def close(self) -> None:
        """Finish what is queued, then release everything; safe to call twice."""
        self._group.close()
        for batcher in self._batchers:
            batcher.close()
        with self._guard:
            self._closed = True
            for db in (*self._opened.values(), self._anchor):
                db.conn.close()
            self._opened.clear()

    def _prepare(self) -> Database:
        """
        Create the file with its mode, durable under its name, and switch it to WAL while nobody else does.

        The first to open it also empties the log that a crash left. What is replayed from it may have been read from
        memory only, if a flush had failed before; copied into the database it is flushed again.
        """
        try:
            # No link: where several users share the folder, one of them might point root's commands elsewhere.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, self._mode))
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
            turnstile = Turnstile(self.path, mode=self._mode)
            try:
                if not turnstile.acquire(SETUP_PATIENCE):
                    raise StoreBroken("The store is busy.")
                db = connect(self.path)
                try:
                    db.conn.execute(f"PRAGMA busy_timeout={int(self._patience * 1000)}")
                    db.conn.execute(f"PRAGMA page_size={PAGE}")  # heeded while the file is empty
                    db.conn.execute("PRAGMA journal_mode=WAL")
                    db.conn.execute("SELECT count(*) FROM sqlite_master").fetchall()
                    db.conn.execute("PRAGMA busy_timeout=0")  # with others at work there was no crash to mend
                    _empty_log(db)
                    db.conn.execute("PRAGMA query_only=ON")
                except BaseException:
                    db.conn.close()
                    raise
                return db
            finally:
                turnstile.close()
        except sqlite3.Error as error:
            raise broken(error) or StoreBroken("The store cannot be opened.") from error
        except OSError as error:
            raise StoreBroken("The store cannot be opened.") from error

    def _transaction(self) -> SqliteTransaction:
        return SqliteTransaction(self.path, mode=self._mode, max_pages=self._max_pages)

    def _reader(self) -> Database:
        db: Database | None = getattr(self._readers, "db", None)
        if db is not None and not self._closed:
            return db
        with self._guard:
            if self._closed:
                raise StoreBroken("The store is closed.")
            for thread in [thread for thread in self._opened if not thread.is_alive()]:
                self._opened.pop(thread).conn.close()
            db = self._opened[threading.current_thread()] = connect(self.path, readonly=True)
        self._readers.db = db
        return db

    def _failed(self) -> None:
        for hook in self._hooks:
            hook()

    def _advance(self, transaction: SqliteTransaction, steps: Sequence[Migration]) -> bool:
        """Apply the first step that is missing and say whether there was one."""
        try:
            # Rebuilding a table needs the checks off; they are made up for before COMMIT. Too late in a transaction.
            transaction.db.conn.execute("PRAGMA foreign_keys=OFF")
            if not transaction.begin(SETUP_PATIENCE):
                raise StoreBroken("The store is busy.")
            known = _as_migrations(steps)
            done = [step.name for step in known.applied(transaction.db)]
            names = [step.name for step in steps]
            if done != names[: len(done)]:
                raise ConfigError(
                    f"{self.path.name} was made by another version: it has steps {done}, we know {names}."
                )
            if len(done) == len(names):
                return False
            known.apply(transaction.db, stop_before=names[len(done) + 1 :])
            if dangling := transaction.db.conn.execute("PRAGMA foreign_key_check").fetchall():
                raise ConfigError(f"Step {names[len(done)]} left {len(dangling)} rows that point at nothing.")
            transaction.commit()
        except sqlite3.Error as error:
            raise broken(error) or error from error
        finally:
            transaction.rollback()
        return True


def _empty_log(db: Database) -> None:
    try:
        db.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.OperationalError as error:
        if not isinstance(broken(error), StoreFull):  # with a full disk, what is there can still be read
            raise


def _as_migrations(steps: Sequence[Migration]) -> Migrations:
    migrations = Migrations("cryptnsend")
    for step in steps:

        def apply(db: Database, statements: Sequence[str] = tuple(step.statements)) -> None:
            for statement in statements:
                db.execute(statement)

        migrations(name=step.name)(apply)
    return migrations

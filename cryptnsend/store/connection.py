"""One connection to an SQLite file: its settings, its errors in our words, its transactions.

What makes it safe, each point learnt from a reproduced failure:

- WAL with `synchronous=FULL`: with NORMAL a power cut lost every acknowledged row.
- Transactions start with our own BEGIN IMMEDIATE: a deferred one fails at once under concurrency, whatever the timeout.
- On a full disk or an I/O error inside one statement SQLite may roll back the *whole* transaction, after which further
  statements would commit one by one. So `in_transaction` is looked at after each item and before COMMIT.
- Writers of all processes queue on a `Turnstile`, not on SQLite's busy handler.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from sqlite_utils import Database

from cryptnsend.core.contracts import Row, Rows
from cryptnsend.core.errors import StoreBroken, StoreFull
from cryptnsend.store.group import TransactionLost
from cryptnsend.store.lock import PACE, Turnstile

T = TypeVar("T")
Values = dict[str, Any] | Sequence[Any]
PATIENCE = 10.0  # seconds a write waits for other processes before it is refused with a 451
STATEMENTS = 512  # remembered per connection
CHECKPOINT = 4000  # pages in the log before it is copied into the database; 1000 costs more and smooths nothing

_BROKEN = {
    sqlite3.SQLITE_BUSY: "The store is busy.",
    sqlite3.SQLITE_LOCKED: "The store is busy.",
    sqlite3.SQLITE_PROTOCOL: "The store is busy.",
    sqlite3.SQLITE_NOMEM: "The store has no memory left.",
    sqlite3.SQLITE_READONLY: "The store cannot be written.",
    sqlite3.SQLITE_PERM: "The store cannot be written.",
    sqlite3.SQLITE_CANTOPEN: "The store cannot be opened.",
    sqlite3.SQLITE_IOERR: "The store's disk failed.",
    sqlite3.SQLITE_CORRUPT: "The store is damaged.",
    sqlite3.SQLITE_NOTADB: "The store is damaged.",
}


def broken(error: sqlite3.Error) -> StoreBroken | None:
    """Say which of our errors a failure of SQLite is, or None if the statement itself was at fault."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low octet is the primary code, the rest says where
    if code == sqlite3.SQLITE_FULL:
        return StoreFull("The store is full.")
    if text := _BROKEN.get(code):
        return StoreBroken(text)
    return None


def connect(path: Path, *, readonly: bool = False, max_pages: int | None = None) -> Database:
    """Open a connection with every setting the design asks for; the caller sees to it that one thread uses it."""
    conn = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=STATEMENTS, timeout=PATIENCE
    )
    try:
        # Plugins would run code that we did not choose; recursive triggers cost and we have none.
        db = Database(conn, execute_plugins=False, recursive_triggers=False, strict=True)
        for pragma in (
            "synchronous=FULL",
            "foreign_keys=ON",
            "secure_delete=ON",
            f"wal_autocheckpoint={CHECKPOINT}",
            "journal_size_limit=67108864",
            "cache_size=-16384",  # a full batch of bodies must fit, or it spills to disk while the lock is held
            "temp_store=MEMORY",
            "trusted_schema=OFF",
        ):
            conn.execute(f"PRAGMA {pragma}")
        if readonly:
            conn.execute("PRAGMA query_only=ON")
        else:
            # From here on waiting is the turnstile's business. Before, it is not: whoever closes the last connection
            # to a file keeps everybody else out for a moment.
            conn.execute("PRAGMA busy_timeout=0")
        if max_pages is not None:
            conn.execute(f"PRAGMA max_page_count={int(max_pages)}")
    except BaseException:
        conn.close()
        raise
    return db


class SqliteRows:
    """Statements inside the open transaction of one connection."""

    def __init__(self, db: Database, names: dict[str, list[str]] | None = None):
        """*names* remembers the columns that statements find; transactions of one connection share it."""
        self._conn = db.conn
        self._names = {} if names is None else names
        self.lost: StoreBroken | None = None

    def execute(self, sql: str, values: Values = ()) -> int:
        """Run one statement that returns no rows; return how many rows it touched."""
        return max(self._run(self._conn.execute, sql, values).rowcount, 0)

    def many(self, sql: str, rows: Iterable[Values]) -> None:
        """Run one statement once per row of values."""
        self._run(self._conn.executemany, sql, rows)

    def query(self, sql: str, values: Values = ()) -> list[Row]:
        """Run one statement that returns rows, as seen inside this transaction."""
        cursor = self._run(self._conn.execute, sql, values)
        try:
            found = cursor.fetchall()
        except sqlite3.Error as error:
            raise self._note(error) from error
        names = self._names.get(sql)
        if names is None:
            if len(self._names) >= STATEMENTS:  # some statements have as many values as there are keys to look for
                self._names.clear()
            names = self._names[sql] = columns(cursor)
        return [dict(zip(names, values, strict=True)) for values in found]

    def _run(self, call: Callable[[str, Any], sqlite3.Cursor], sql: str, values: Any) -> sqlite3.Cursor:
        if self.lost is not None or not self._conn.in_transaction:
            # Whoever swallowed the first error must not go on: the statement would commit by itself.
            self.lost = self.lost or StoreBroken("The store gave up a transaction.")
            raise self.lost
        try:
            return call(sql, values)
        except sqlite3.Error as error:
            raise self._note(error) from error

    def _note(self, error: sqlite3.Error) -> Exception:
        reason = broken(error)
        if not self._conn.in_transaction:
            self.lost = reason or StoreBroken("The store gave up a transaction.")
        return reason or error


class SqliteTransaction:
    """One writing connection and its place in the queue of writers. Opens anew after a failure."""

    def __init__(self, path: Path, *, mode: int, max_pages: int | None):
        self._path, self._max_pages = path, max_pages
        self._turnstile = Turnstile(path, mode=mode)
        self._db: Database | None = None
        self._rows: SqliteRows | None = None
        self._names: dict[str, list[str]] = {}

    @property
    def db(self) -> Database:
        """The connection, for what sqlite-utils does better than SQL; only between `begin` and `commit`."""
        if self._db is None:
            self._db = connect(self._path, max_pages=self._max_pages)
        return self._db

    def begin(self, patience: float) -> bool:
        """Start a transaction within *patience* seconds and say whether that worked; raise `StoreBroken`."""
        deadline = time.monotonic() + patience
        try:
            if not self._turnstile.acquire(patience):
                return False
        except OSError as error:
            raise StoreBroken("The store cannot be locked.") from error
        try:
            if self._begin(deadline):
                self._rows = SqliteRows(self.db, self._names)
                return True
        except sqlite3.Error as error:
            self._drop()
            raise broken(error) or StoreBroken("The store cannot be used.") from error
        except BaseException:
            self._turnstile.release()
            raise
        self._turnstile.release()
        return False

    def _begin(self, deadline: float) -> bool:
        """Wait for writers that do not know our turnstile: a database shell, a restore."""
        while True:
            try:
                self.db.conn.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                if time.monotonic() >= deadline:
                    return False
                time.sleep(PACE)
            else:
                return True

    def run(self, fn: Callable[[Rows], T]) -> T:
        """Run *fn* under a savepoint; raise what it raised, undone, or `TransactionLost` if more than that is gone."""
        rows = self._rows
        if rows is None:
            raise TransactionLost(StoreBroken("There is no transaction."))
        self._control("SAVEPOINT item")
        try:
            result = fn(rows)
        except BaseException:
            self._check(rows)
            self._control("ROLLBACK TO item")
            self._control("RELEASE item")
            raise
        self._check(rows)
        self._control("RELEASE item")
        return result

    def _control(self, sql: str) -> None:
        try:
            self.db.conn.execute(sql)
        except sqlite3.Error as error:
            raise TransactionLost(broken(error) or StoreBroken("The store gave up a transaction.")) from error

    def _check(self, rows: SqliteRows) -> None:
        if rows.lost is not None:
            raise TransactionLost(rows.lost)
        if not self.db.conn.in_transaction:
            raise TransactionLost(StoreBroken("The store gave up a transaction."))

    def commit(self) -> None:
        """Make the transaction durable, or raise `StoreBroken`/`StoreFull` with nothing of it kept."""
        try:
            if not self.db.conn.in_transaction:
                raise StoreBroken("The store gave up a transaction.")
            self.db.conn.execute("COMMIT")
        except sqlite3.Error as error:
            self._drop()
            raise broken(error) or StoreBroken("The store could not commit.") from error
        except StoreBroken:
            self._drop()
            raise
        self._rows = None
        self._turnstile.release()

    def rollback(self) -> None:
        """Drop the transaction, and the connection with it; harmless when there is none."""
        if self._rows is not None:
            self._drop()

    def _drop(self) -> None:
        """Close the connection, which rolls back: after a failure nothing that it has cached is trusted."""
        db, self._db, self._rows = self._db, None, None
        try:
            if db is not None:
                db.conn.close()
        finally:
            self._turnstile.release()

    def close(self) -> None:
        """Let go of connection and locks."""
        self._drop()
        self._turnstile.close()


def dicts(cursor: sqlite3.Cursor) -> list[Row]:
    """Return what a statement found, a dictionary per row; raise ValueError if it is not one that finds rows."""
    names = columns(cursor)
    return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]


def columns(cursor: sqlite3.Cursor) -> list[str]:
    """Return the names of the columns that a statement finds; raise ValueError if it finds none."""
    if cursor.description is None:
        raise ValueError("this statement returns no rows; use execute()")
    return [column[0] for column in cursor.description]

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
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlite_utils import Database

from cryptnsend.core.contracts import Later, Row, Rows
from cryptnsend.core.errors import StoreBroken, StoreFull
from cryptnsend.store.group import Spoiled, TransactionLost
from cryptnsend.store.lock import PACE, Turnstile

T = TypeVar("T")
Values = dict[str, Any] | Sequence[Any]
PATIENCE = 10.0  # seconds a write waits for other processes before it is refused with a 451
STATEMENTS = 512  # remembered per connection
# Octets of a page of a new database. A message touches a page or two of many lists, and what is written for it is their
# number times this: a quarter of SQLite's default halves it. Older databases keep the size they were made with.
PAGE = 1024
CHECKPOINT = 8000  # pages in the log before it is copied into the database: fewer cost more, more make a mail wait

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
            # A full batch of bodies must fit, or it spills to disk while the lock is held. There are many readers.
            f"cache_size=-{2048 if readonly else 16384}",
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


_REMEMBERED = 20_000  # notes and facts handed on, each


class Memory:
    """
    What transactions of one connection hand on: names of columns, and what was read or noted about rows.

    The latter only while no other connection has written, of which SQLite's `data_version` tells.
    """

    def __init__(self) -> None:
        self.names: dict[str, list[str]] = {}
        self.notes: dict[Hashable, Any] = {}
        self.facts: dict[Hashable, Any] = {}
        self._version = -1

    def look(self, conn: sqlite3.Connection) -> None:
        """Forget what may be wrong by now; to be called when the transaction has begun."""
        version: int = conn.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self.forget()
            self._version = version
        if len(self.notes) > _REMEMBERED:
            self.notes.clear()
        if len(self.facts) > _REMEMBERED:
            self.facts.clear()

    def forget(self) -> None:
        """Start with nothing known about rows."""
        self.notes.clear()
        self.facts.clear()


class SqliteRows:
    """
    Statements inside the open transaction of one connection.

    Items take turns: `start`, then their own calls, then `release` or `undo`. An item that only leaves rows for `later`
    needs no savepoint: undoing it means forgetting them.
    """

    def __init__(self, db: Database, memory: Memory | None = None):
        """*memory* is what transactions of one connection hand on to each other."""
        self._conn = db.conn
        self._memory = memory = memory or Memory()
        self._names, self._notes, self._facts = memory.names, memory.notes, memory.facts
        self.lost: StoreBroken | None = None
        self.spoiled = False
        self._waiting: dict[Later, list[Sequence[Any]]] = {}
        self._before: dict[Later, int] = {}  # how many of those are of earlier items
        self._saved = False  # whether the item has a savepoint
        self._overwritten: list[tuple[Hashable, Any]] = []

    # The items' own calls.

    def execute(self, sql: str, values: Values = ()) -> int:
        """Run one statement that returns no rows; return how many rows it touched."""
        self._catch_up()
        self._memory.forget()  # nothing waits any more, so that whoever wants to know can look
        return max(self._run(self._conn.execute, sql, values).rowcount, 0)

    def many(self, sql: str, rows: Iterable[Values]) -> None:
        """Run one statement once per row of values."""
        self._catch_up()
        self._memory.forget()  # nothing waits any more, so that whoever wants to know can look
        self._run(self._conn.executemany, sql, rows)

    def query(self, sql: str, values: Values = ()) -> list[Row]:
        """Run one statement that returns rows, as seen inside this transaction."""
        self._catch_up()
        return self.peek(sql, values)

    def peek(self, sql: str, values: Values = ()) -> list[Row]:
        """Run one statement that returns rows and has nothing to do with those that wait."""
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

    def later(self, statement: Later, rows: Iterable[Sequence[Any]]) -> None:
        """Leave rows to a statement that other items will use too."""
        waiting = self._waiting.get(statement)
        if waiting is None:
            waiting = self._waiting[statement] = []
        waiting.extend(rows)

    def remember(self, key: Hashable, value: object) -> None:
        """Note something for the items of this transaction."""
        self._overwritten.append((key, self._notes.get(key)))
        self._notes[key] = value

    def recall(self, key: Hashable) -> Any:
        """Return what was remembered, or None."""
        return self._notes.get(key)

    def learn(self, key: Hashable, value: object) -> None:
        """Keep what a `peek` found."""
        self._facts[key] = value

    def known(self, key: Hashable) -> Any:
        """Return what was learned, or None."""
        return self._facts.get(key)

    # What the transaction calls around them.

    def start(self, *, alone: bool) -> None:
        """Begin an item; *alone*: with a savepoint at once."""
        self._before = {statement: len(waiting) for statement, waiting in self._waiting.items()}
        self._overwritten = []
        self._saved = False
        if alone:
            self._save()

    def release(self) -> None:
        """End an item that succeeded."""
        if self._saved:
            self._conn.execute("RELEASE item")

    def undo(self) -> None:
        """Take back what the item did and left."""
        for key, value in reversed(self._overwritten):
            self._notes[key] = value
        if self._saved:
            self._facts.clear()  # some may have been read from rows that are undone now
            self._waiting = {}  # those of earlier items went in before the savepoint
            self._conn.execute("ROLLBACK TO item")
            self._conn.execute("RELEASE item")
        else:
            self._waiting = {key: rows[: self._before.get(key, 0)] for key, rows in self._waiting.items()}

    def flush(self) -> None:
        """Run what waits, of whichever items; raise `Spoiled` or `TransactionLost`."""
        try:
            self.settle()
        except Exception as error:
            if self.lost is not None:
                raise TransactionLost(self.lost) from error
            self.spoiled = True
            raise Spoiled from error

    def _catch_up(self) -> None:
        """Run what waits before a statement that may depend on it; from then on the item has a savepoint."""
        if not self._saved:
            self._save()
        if self._waiting:
            self.settle()

    def _save(self) -> None:
        """Set a savepoint between the rows of earlier items and this one's."""
        own: dict[Later, list[Sequence[Any]]] = {}
        if self._waiting:
            waiting, before = self._waiting, self._before
            own = {key: rows[before.get(key, 0) :] for key, rows in waiting.items()}
            self._waiting = {key: rows[: before.get(key, 0)] for key, rows in waiting.items()}
            self.flush()
        self._run(self._conn.execute, "SAVEPOINT item", ())
        self._saved, self._waiting = True, own

    def settle(self) -> None:
        """Run what waits, all of it the item's own; raise what SQLite has against it."""
        for statement in sorted(self._waiting, key=_rank):
            rows = self._waiting[statement]
            if len(rows) == 1:
                self._run(self._conn.execute, statement.sql, rows[0])
            elif rows:
                self._run(self._conn.executemany, statement.sql, rows)
        self._waiting = {}

    def _run(self, call: Callable[[str, Any], sqlite3.Cursor], sql: str, values: Any) -> sqlite3.Cursor:
        if self.spoiled:
            raise Spoiled
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


def _rank(statement: Later) -> int:
    return statement.rank


class SqliteTransaction:
    """One writing connection and its place in the queue of writers. Opens anew after a failure."""

    def __init__(self, path: Path, *, mode: int, max_pages: int | None):
        self._path, self._max_pages = path, max_pages
        self._turnstile = Turnstile(path, mode=mode)
        self._db: Database | None = None
        self._rows: SqliteRows | None = None
        self._memory = Memory()

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
                self._memory.look(self.db.conn)
                self._rows = SqliteRows(self.db, self._memory)
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

    def run(self, fn: Callable[[Rows], T], *, alone: bool = False) -> T:
        """Run *fn* as an item; see `Transaction.run`."""
        rows = self._rows
        if rows is None:
            raise TransactionLost(StoreBroken("There is no transaction."))
        try:
            rows.start(alone=alone)
            result = fn(rows)
            if alone:
                rows.settle()
        except BaseException:
            self._check(rows)
            with self._guarded():
                rows.undo()
            raise
        self._check(rows)
        with self._guarded():
            rows.release()
        return result

    def flush(self) -> None:
        """Run everything that waits; see `Transaction.flush`."""
        if self._rows is None:
            raise TransactionLost(StoreBroken("There is no transaction."))
        self._rows.flush()

    def again(self) -> None:
        """Undo everything and start anew; see `Transaction.again`."""
        with self._guarded():
            self.db.conn.execute("ROLLBACK")
            self.db.conn.execute("BEGIN IMMEDIATE")
        self._memory.forget()
        self._rows = SqliteRows(self.db, self._memory)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Make of a failure at the transaction's own statements that it is lost."""
        try:
            yield
        except sqlite3.Error as error:
            raise TransactionLost(broken(error) or StoreBroken("The store gave up a transaction.")) from error

    def _check(self, rows: SqliteRows) -> None:
        if rows.lost is not None:
            raise TransactionLost(rows.lost)
        if rows.spoiled:
            raise Spoiled
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
        self._memory.forget()
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

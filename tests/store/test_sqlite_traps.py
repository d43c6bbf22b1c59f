"""Controls for the traps that the SQLite engine avoids: without our checks each of them is real, in this very SQLite.

If one of these tests fails after an upgrade, the trap is gone, and so may be the reason for some of our code.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlite_utils import Database

from cryptnsend.core.errors import StoreBroken, StoreFull
from cryptnsend.store.connection import PAGE, broken, connect
from cryptnsend.store.lock import Turnstile
from cryptnsend.store.schema import STEPS
from cryptnsend.store.sqlite import SqliteEngine


@contextlib.contextmanager
def opened(path: Path) -> Iterator[SqliteEngine]:
    engine = SqliteEngine(path)
    try:
        yield engine
    finally:
        engine.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    table = "CREATE TABLE things(id INTEGER PRIMARY KEY, what TEXT) STRICT"
    with opened(tmp_path / "main.db") as engine:
        engine.write(lambda rows: rows.execute(table)).result(10)
    return tmp_path / "main.db"


def test_control_a_full_database_rolls_back_the_whole_transaction_and_later_rows_commit_one_by_one(path: Path) -> None:
    conn = connect(path, max_pages=80).conn
    conn.execute("BEGIN IMMEDIATE")
    conn.execute("SAVEPOINT item")
    conn.execute("INSERT INTO things VALUES (1, 'acknowledged?')")
    conn.execute("RELEASE item")
    conn.execute("SAVEPOINT item")
    with pytest.raises(sqlite3.OperationalError) as full:
        conn.execute("INSERT INTO things VALUES (2, ?)", ("x" * 1_000_000,))
    assert isinstance(broken(full.value), StoreFull)
    assert not conn.in_transaction
    conn.execute("INSERT INTO things VALUES (3, 'committed by itself')")
    other = sqlite3.connect(path)
    assert other.execute("SELECT id FROM things").fetchall() == [(3,)]
    other.close()
    conn.close()


def test_control_deferred_transactions_fail_at_once_under_concurrency(path: Path) -> None:
    first, second = (Database(sqlite3.connect(path, timeout=5), execute_plugins=False) for _ in range(2))
    with contextlib.ExitStack() as stack:
        stack.callback(first.conn.close)
        stack.callback(second.conn.close)
        with first.atomic():
            first.execute("SELECT count(*) FROM things").fetchall()
            second.execute("INSERT INTO things VALUES (1, 'meanwhile')")
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                first.execute("INSERT INTO things VALUES (2, 'too late, whatever the timeout')")


def test_control_a_mistyped_name_makes_a_table(path: Path) -> None:
    db = Database(sqlite3.connect(path), execute_plugins=False)
    db["thingz"].insert({"id": 1})
    assert "thingz" in db.table_names()
    db.conn.close()


def test_every_connection_has_the_settings_that_durability_needs(path: Path) -> None:
    db = connect(path)
    found = {
        name: db.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "wal_autocheckpoint", "temp_store")
    }
    db.conn.close()
    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
        "wal_autocheckpoint": 8000,
        "temp_store": 2,
    }


def test_the_files_are_for_their_owner_only(path: Path) -> None:
    with opened(path) as engine:
        engine.write(lambda rows: rows.execute("INSERT INTO things VALUES (1, 'x')")).result(10)
        assert {each.name: each.stat().st_mode & 0o777 for each in path.parent.iterdir()} == {
            f"main.db{end}": 0o600 for end in ("", "-wal", "-shm", "-turn", "-door")
        }


def test_every_table_is_strict_and_has_its_organisation(tmp_path: Path) -> None:
    with opened(tmp_path / "main.db") as engine:
        engine.migrate(STEPS)
        tables = engine.query(
            "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name <> '_sqlite_migrations'"
        )
        assert tables
        for table in tables:
            assert "STRICT" in table["sql"].rpartition(")")[2], table["name"]
            columns = [row["name"] for row in engine.query("SELECT name FROM pragma_table_info(:t)", t=table["name"])]
            assert "org" in columns or table["name"] == "organisations"


def test_readers_of_ended_threads_do_not_pile_up(path: Path) -> None:
    with opened(path) as engine:
        for _ in range(20):
            thread = threading.Thread(target=lambda: engine.query("SELECT 1 AS one"))
            thread.start()
            thread.join(60)
        engine.query("SELECT 1 AS one")
        assert len(engine._opened) <= 2


def test_a_damaged_file_is_told_apart_from_a_wrong_statement(tmp_path: Path) -> None:
    (tmp_path / "main.db").write_bytes(b"this is not a database " * 500)
    with pytest.raises(StoreBroken, match="damaged"):
        SqliteEngine(tmp_path / "main.db")


def test_a_link_in_the_databases_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "main.db").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreBroken):
        SqliteEngine(tmp_path / "main.db")
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreBroken, match="cannot be opened"):
        SqliteEngine(tmp_path / "nowhere" / "main.db")


def test_the_turnstile_lets_the_one_who_waits_go_first(tmp_path: Path) -> None:
    greedy, patient = Turnstile(tmp_path / "x"), Turnstile(tmp_path / "x")
    assert greedy.acquire(0)
    assert not patient.acquire(0)
    got: list[bool] = []
    waiting = threading.Thread(target=lambda: got.append(patient.acquire(30)))
    waiting.start()
    # As soon as somebody waits, the turn is taken: the greedy one cannot have it back before.
    probe = Turnstile(tmp_path / "x")
    while probe.acquire(0):
        probe.release()
    greedy.release()
    waiting.join(60)
    assert got == [True]
    assert not greedy.acquire(0)
    patient.release()
    assert greedy.acquire(1)
    for each in (greedy, patient, probe):
        each.close()
        each.close()


def test_a_new_database_has_small_pages(path: Path) -> None:
    with contextlib.closing(connect(path, readonly=True).conn) as conn:
        assert conn.execute("PRAGMA page_size").fetchone() == (PAGE,)


@pytest.mark.parametrize("journal", ["WAL", "DELETE"])
def test_an_older_database_keeps_the_size_of_its_pages_and_all_it_holds(tmp_path: Path, journal: str) -> None:
    path = tmp_path / "main.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as old:
        old.execute("PRAGMA page_size=4096")
        old.execute(f"PRAGMA journal_mode={journal}")
        old.execute("CREATE TABLE things(id INTEGER PRIMARY KEY, what TEXT) STRICT")
        old.execute("INSERT INTO things VALUES (1, ?)", ("before " * 1000,))
    with opened(path) as engine:
        engine.write(lambda rows: rows.execute("INSERT INTO things VALUES (2, 'after')")).result(10)
        found = engine.query("SELECT what FROM things")
        assert [row["what"] for row in found] == ["before " * 1000, "after"]
    with contextlib.closing(connect(path, readonly=True).conn) as conn:
        assert conn.execute("PRAGMA page_size").fetchone() == (4096,)
        assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)

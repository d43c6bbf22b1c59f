"""Databases of every release upgrade to the present schema, losing nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cryptnsend.store.records import audit, deliveries, oversight, trail, upkeep
from cryptnsend.store.schema import STEPS
from cryptnsend.store.sqlite import SqliteEngine

SAVED = sorted(Path(__file__).with_name("schemas").glob("v*.sql"), key=lambda path: int(path.stem[1:]))
SCHEMA = (
    "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    " AND name <> '_sqlite_migrations' ORDER BY type, name"
)


def engine_on(path: Path, saved: Path | None) -> SqliteEngine:
    if saved is not None:
        conn = sqlite3.connect(path)
        conn.executescript(saved.read_text("utf-8"))
        conn.close()
    engine = SqliteEngine(path)
    engine.migrate(STEPS)
    return engine


def test_there_is_a_saved_database_to_start_from() -> None:
    assert [path.stem for path in SAVED] == [f"v{number}" for number in range(1, len(SAVED) + 1)]
    assert SAVED


@pytest.mark.parametrize("saved", SAVED, ids=lambda path: path.stem)
def test_a_saved_database_upgrades_to_the_schema_of_a_fresh_one(saved: Path, tmp_path: Path) -> None:
    fresh, old = engine_on(tmp_path / "fresh.db", None), engine_on(tmp_path / "old.db", saved)
    try:
        # Not yet released? Then save it anew: python tests/store/save_schema.py 1
        assert old.query(SCHEMA) == fresh.query(SCHEMA)
    finally:
        fresh.close()
        old.close()


@pytest.mark.parametrize("saved", SAVED, ids=lambda path: path.stem)
def test_the_rows_of_a_saved_database_are_still_there_after_the_upgrade(saved: Path, tmp_path: Path) -> None:
    engine = engine_on(tmp_path / "old.db", saved)
    try:
        assert [row["id"] for row in engine.query("SELECT id FROM messages ORDER BY id")] == [1, 2]
        assert engine.query("SELECT body FROM contents WHERE message = 1") == [{"body": b"sealed"}]
        assert [row["blob_key"] for row in upkeep.blobs_in_use(engine)] == ["f0" * 20]
        assert [row["id"] for row in upkeep.grants_to_suspend(engine, 1000)] == [1]
        assert trail.verify(engine, 7).broken is None
        assert audit.head(engine, 7).seq == 1
        assert engine.query("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
        assert engine.query("PRAGMA foreign_key_check") == []
    finally:
        engine.close()


@pytest.mark.parametrize("saved", SAVED, ids=lambda path: path.stem)
def test_a_queue_of_before_the_upgrade_goes_on_where_it_stopped(saved: Path, tmp_path: Path) -> None:
    """What was due, what waits for its next try, and what a worker held that is gone: tries and fences are kept."""
    path, dead = tmp_path / "old.db", 5_000
    columns = "id, org, kind, form, message, template, reverse_path, dsn, tls_class, state, due, attempts, fence"
    with closing(sqlite3.connect(path)) as conn:
        conn.executescript(saved.read_text("utf-8"))
        conn.execute("UPDATE deliveries SET state = 'cancelled'")
        for ident, state, tries in ((901, "due", 0), (902, "delayed", 3), (903, "leased", 1), (904, "delivered", 1)):
            conn.execute(
                f"INSERT INTO deliveries({columns}, lease_owner, lease_until, outcome, reply, created)"  # noqa: S608
                " VALUES (?, 7, 'notice', '', 1, '', 'b@c.example', '{}', 'opportunistic', ?, 1000, ?, ?, ?, ?, '', '',"
                " 1)",
                (ident, state, tries, tries, *(("worker", dead) if state == "leased" else (None, None))),
            )
        conn.commit()
    with closing(engine_on(path, None)) as engine:
        assert engine.write(lambda rows: deliveries.reap(rows, dead + 1)).result() == []
        claimed = engine.write(lambda rows: deliveries.claim(rows, "new", dead * 1000, 60_000, 10)).result()
        assert {row["id"]: row["attempts"] for row in claimed} == {901: 1, 902: 4, 903: 2}
        assert all(row["fence"] >= row["attempts"] for row in claimed), "who held it before could still settle it"


def test_steps_have_names_in_order() -> None:
    names = [step.name for step in STEPS]
    assert names == sorted(set(names))
    assert [int(name.partition("-")[0]) for name in names] == list(range(1, len(names) + 1))


def test_reports_that_wait_since_before_still_know_what_they_are_about(tmp_path: Path) -> None:
    """Until step 11 each was about one delivery, which stood in its own row."""
    path, v8 = tmp_path / "old.db", Path(__file__).with_name("schemas") / "v8.sql"
    columns = "id, org, kind, form, message, subject_id, template, reverse_path, dsn, tls_class, state, due, attempts"
    with closing(sqlite3.connect(path)) as conn:
        conn.executescript(v8.read_text("utf-8"))
        for ident, kind, about in ((901, "notice", None), (902, "dsn", 901), (903, "dsn", 900), (904, "alert", 901)):
            conn.execute(
                f"INSERT INTO deliveries({columns}, fence, outcome, reply, created)"  # noqa: S608 - from above
                " VALUES (?, 7, ?, '', 1, ?, 'failed', '', '{}', 'opportunistic', 'due', 1, 0, 0, '', '', 1)",
                (ident, kind, about),
            )
        conn.commit()
    with closing(engine_on(path, None)) as engine:
        assert engine.query("SELECT report, delivery, org, action FROM report_entries") == [
            {"report": 902, "delivery": 901, "org": 7, "action": "failed"}
        ]


def test_what_operators_did_before_is_still_found_by_whom_it_concerned(tmp_path: Path) -> None:
    """Until step 12 it was looked for in all that operators ever did."""
    path, v11 = tmp_path / "old.db", Path(__file__).with_name("schemas") / "v11.sql"
    with closing(sqlite3.connect(path)) as conn:
        conn.executescript(v11.read_text("utf-8"))
        (author,) = conn.execute("SELECT author FROM messages WHERE id = 1").fetchone()
        entries = [
            ("owner", "account.disabled", "account:77"), ("owner", "grant.suspended", "1"),
            ("owner", "grant.made", "x"), ("owner", "policy.changed", "7"),
            ("account:77", "account.signed-in", "account:77"),
        ]  # fmt: skip
        for seq, entry in enumerate(entries, 100):
            conn.execute("INSERT INTO audit VALUES (7, ?, ?, ?, ?, ?, '{}', x'00')", (seq, 1000 + seq, *entry))
        conn.commit()
    engine = engine_on(path, None)
    try:
        assert [row["action"] for row in oversight.doings(engine, 77, 9999, 9)] == [
            "account.signed-in", "account.disabled",
        ]  # fmt: skip
        by_operator = [row for row in oversight.doings(engine, author, 9999, 9) if row["actor"] == oversight.OPERATOR]
        assert [row["action"] for row in by_operator] == ["grant.suspended"]
        plan = [row["detail"] for row in engine.query("EXPLAIN QUERY PLAN SELECT 1 FROM concerned WHERE account = 1")]
        assert all("SEARCH" in step for step in plan)
    finally:
        engine.close()

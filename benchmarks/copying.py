"""How does a benchmark come to a vault with a million messages in minutes?

`copy` multiplies the rows of messages that were filled in for real (`filling.py`): each copy has rows of its own in
every table and entries in every index, an id and a time before those of the real ones, a conversation of its own, and
keys that no program has. It cannot be opened: what was sealed is bound to the id it was sealed for, and sealed contents
are cut to `KEPT` octets. So copies are what a page must not look at: a mailbox's older messages. The real ones are its
newest, and everything that is opened is real. `grow` does both for one mailbox.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable

import filling
from generator import Failed
from server import ORGANISATIONS, Server, sender_address

REAL = 1_000  # messages that are sealed for real, unless somebody wants more
KEPT = 256  # octets of each sealed content
ID_BITS = 22  # an id is milliseconds, and so many bits below them
PAUSE = 1000  # milliseconds between one copy of all and the next
# What is another in each copy: by table, column and SQL, in which :ids and :ms are what a copy is earlier by.
OTHERS: dict[str, dict[str, str]] = {
    "threads": {"id": "id - :ids"},
    "messages": {
        "id": "id - :ids",
        "thread": "thread - :ids",
        "parent": "parent - :ids",
        "message_id": "message_id || :ids",
        "resend_mac": "randomblob(length(resend_mac))",
        "created": "created - :ms",
    },
    "contents": {
        "message": "message - :ids",
        "body": f"substr(coalesce(body, randomblob({KEPT})), 1, {KEPT})",
        "blob_key": "NULL",
    },
    "recipients": {"message": "message - :ids"},
    "grants": {"id": "id - :ids", "message": "message - :ids", "wrap": "randomblob(length(wrap))"},
    "deliveries": {
        "id": "id - :ids",
        "message": "message - :ids",
        "state": "'cancelled'",
        "queue_wrap": "NULL",
        "settled": "due - :ms",
        "due": "due - :ms",
        "created": "created - :ms",
    },
}


def grow(server: Server, size: int, *, reader: int = ORGANISATIONS, have: int = 0, real: int = REAL) -> int:
    """
    Let a *reader*, to whom subscriber 0 writes, have *size* messages instead of *have*; return how many they have.

    *real* of them are sealed, by the keeper of the stopped server; the others are copies.
    """
    began = time.monotonic()
    if have < min(size, real):
        roles, server.roles = server.roles, ("keeper",)
        server.start()
        to, author = sender_address(reader), sender_address(0)
        filling.fill(server, 0, to, (filling.mail(number, author, to) for number in range(have, min(size, real))))
        server.stop()
        server.roles = roles
        have = min(size, real)
    if have < size:
        have = copy(server, size - have)
    with contextlib.closing(sqlite3.connect(server.home.main_db)) as rows:
        server.filled = rows.execute("SELECT max(id) FROM messages").fetchone()[0]
    print(f"{have:,} messages after {time.monotonic() - began:.0f} s", flush=True)
    return have


def _statement(rows: sqlite3.Connection, table: str) -> str:
    """Return the SQL that copies a table's rows of all messages from :first on, which are the real ones."""
    others = OTHERS[table]
    columns = [row[1] for row in rows.execute(f"PRAGMA table_info({table})")]
    if missing := others.keys() - set(columns):
        raise Failed(f"{table} has no column {', '.join(sorted(missing))} any more.")
    read = ", ".join(others.get(each, each) for each in columns)
    key = {"threads": "id", "messages": "id"}.get(table, "message")
    wanted = "thread" if table == "threads" else "id"
    return (
        f"INSERT INTO {table}({', '.join(columns)}) SELECT {read} FROM {table}"  # noqa: S608
        f" WHERE {key} IN (SELECT {wanted} FROM messages WHERE id >= :first)"
    )


def copy(server: Server, count: int, told: Callable[[int], None] = lambda _: None) -> int:
    """
    Add about *count* copies of the messages in the stopped server's vault, and return how many there are then in all.

    May be called again for more: only real messages are copied. *told* hears now and then how many there are.
    """
    rows = sqlite3.connect(server.home.main_db, isolation_level=None)
    try:
        # A vault that is thrown away: whether it outlives a power cut does not matter.
        for pragma in ("synchronous = OFF", "cache_size = -600000", "temp_store = MEMORY", "foreign_keys = OFF"):
            rows.execute(f"PRAGMA {pragma}")
        return _copy(rows, count, told)
    finally:
        rows.close()


def _copy(rows: sqlite3.Connection, count: int, told: Callable[[int], None]) -> int:
    # A copy's Message-ID ends in digits behind its last angle bracket.
    real = "message_id LIKE '%>'"
    first, low, each = rows.execute(
        f"SELECT min(id), min(created), count(*) FROM messages WHERE {real}"  # noqa: S608
    ).fetchone()
    last = max(rows.execute(f"SELECT max(id) FROM {table}").fetchone()[0] for table in ("grants", "threads"))  # noqa: S608
    if not each or not 0 <= low - (first >> ID_BITS) < 60 * PAUSE:
        raise Failed("The vault has no messages to copy, or their ids say no time.")
    have = rows.execute("SELECT count(*) FROM messages").fetchone()[0]
    span = (last - first >> ID_BITS) + PAUSE  # ids of grants and conversations are made later than their message's
    statements = [_statement(rows, table) for table in OTHERS]
    turn, want = have // each - 1, have + count
    while have < want:
        turn += 1
        given = {"ids": (turn * span) << ID_BITS, "ms": turn * span, "first": first}
        rows.execute("BEGIN IMMEDIATE")
        for statement in statements:
            rows.execute(statement, given)
        rows.execute("COMMIT")
        have += each
        told(have)
    rows.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return int(have)

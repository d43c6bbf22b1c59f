"""Rows of what was found in mail that was to leave plain, and of what its author decided.

There is one row for each message that was looked at. What was found is sealed under the message's key; the names of the
rules are not, since officers have to see them.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptnsend.core.contracts import Engine, Reader, Row, Rows

_COLUMNS = "message, org, author, house, state, rules, sealed, until, decided, decided_by, reason, created"


def add(
    rows: Rows,
    *,
    org: int,
    message: int,
    author: int,
    house: int,
    rules: Sequence[str],
    sealed: bytes,
    until: int,
    now: int,
) -> None:
    """Write down that a message was looked at; without *rules* nothing was found in it."""
    rows.execute(
        "INSERT INTO holds(message, org, author, house, state, rules, sealed, until, decided_by, reason, created)"
        " VALUES (:message, :org, :author, :house, :state, :rules, :sealed, :until, '', '', :now)",
        {
            "message": message,
            "org": org,
            "author": author,
            "house": house,
            "state": "held" if rules else "clear",
            "rules": " ".join(rules),
            "sealed": sealed,
            "until": until,
            "now": now,
        },
    )


def of(reader: Reader, org: int, message: int) -> Row | None:
    """Return what is known of one message, None if it was not looked at."""
    found = reader.query(
        f"SELECT {_COLUMNS} FROM holds WHERE message = :message AND org = :org",  # noqa: S608 - names of ours
        message=message,
        org=org,
    )
    return found[0] if found else None


def is_known(rows: Rows, message: int) -> bool:
    """Say inside a transaction whether a message was looked at."""
    return bool(rows.query("SELECT 1 AS one FROM holds WHERE message = :message", {"message": message}))


def decide(rows: Rows, org: int, message: int, state: str, by: str, reason: str, now: int) -> bool:
    """Write down what becomes of a held message: encrypt, plain or discarded; False if that was decided before."""
    return bool(
        rows.execute(
            "UPDATE holds SET state = :state, decided = :now, decided_by = :by, reason = :reason"
            " WHERE message = :message AND org = :org AND state = 'held'",
            {"state": state, "now": now, "by": by, "reason": reason, "message": message, "org": org},
        )
    )


def overdue(engine: Engine, now: int, limit: int) -> list[Row]:
    """Return (org, message, house) of held messages whose time is over."""
    return engine.query(
        "SELECT org, message, house FROM holds WHERE state = 'held' AND until <= :now ORDER BY until LIMIT :limit",
        now=now,
        limit=limit,
    )


def rest(rows: Rows, ident: int, fence: int) -> bool:
    """Put a delivery under way to rest until its message is decided; False if it is, or the lease is no longer ours."""
    return bool(
        rows.execute(
            "UPDATE deliveries SET state = 'held', attempts = 0, lease_until = NULL, lease_owner = NULL,"
            " due = (SELECT h.until FROM holds h WHERE h.message = deliveries.message)"
            " WHERE id = :id AND fence = :fence AND state = 'leased'"
            " AND EXISTS (SELECT 1 FROM holds h WHERE h.message = deliveries.message AND h.state = 'held')",
            {"id": ident, "fence": fence},
        )
    )


def wake(rows: Rows, org: int, message: int, now: int) -> int:
    """Let what rests of a message be taken up again; return how many deliveries that are."""
    return rows.execute(
        "UPDATE deliveries SET state = 'due', due = :now WHERE message = :message AND org = :org AND kind = 'relay'"
        " AND state = 'held' AND held = ''",
        {"now": now, "message": message, "org": org},
    )


def waiting(reader: Reader, org: int, message: int) -> list[Row]:
    """Return (id, canonical, state, has_key) of what of a message was to leave plain and has not left."""
    return reader.query(
        "SELECT d.id, a.canonical, d.state, d.queue_wrap IS NOT NULL AS has_key FROM deliveries d"
        " JOIN addresses a ON a.id = d.recipient WHERE d.message = :message AND d.org = :org AND d.kind = 'relay'"
        " AND d.state IN ('due', 'delayed', 'held', 'leased', 'parked') ORDER BY a.canonical",
        message=message,
        org=org,
    )


def listing(reader: Reader, house: int | None, *, waiting: bool, before: int, limit: int) -> list[Row]:
    """
    Return held messages of a *house*'s people, or of everybody's with None, the newest first: no content, no subject.

    With *waiting* only those that nobody decided yet; older than the message *before*.
    """
    return reader.query(
        "SELECT h.message, h.org, h.house, h.state, h.rules, h.until, h.decided, h.decided_by, h.reason, h.created,"
        " a.canonical AS author, m.size, (SELECT count(*) FROM recipients r WHERE r.message = h.message) AS recipients"
        " FROM holds h JOIN messages m ON m.id = h.message JOIN addresses a ON a.id = m.author_address"
        " WHERE h.state <> 'clear' AND (:house IS NULL OR h.house = :house) AND h.message < :before"
        " AND (:waiting = 0 OR h.state = 'held') ORDER BY h.message DESC LIMIT :limit",
        house=house,
        waiting=int(waiting),
        before=before,
        limit=limit,
    )

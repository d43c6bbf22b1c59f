"""Rows of reports to authors: which deliveries one is about, and how long more may be entered.

A report is a delivery of kind dsn. It grows until a worker has claimed it (its fence is 0 before): from then on it is
what it is, so that each attempt at it is the same mail.
"""

from __future__ import annotations

from cryptnsend.core.contracts import Engine, Row, Rows


def growing(rows: Rows, org: int, message: int, action: str) -> int | None:
    """
    Return the report on a message that waits still, None without one.

    Its template becomes *action* if that is worse than what it told so far: failed, delayed, relayed.
    """
    found = rows.query(
        "UPDATE deliveries SET template = CASE WHEN template = 'failed' OR :action = 'failed' THEN 'failed'"
        " WHEN template = 'delayed' OR :action = 'delayed' THEN 'delayed' ELSE 'relayed' END"
        " WHERE org = :org AND message = :message AND kind = 'dsn' AND state = 'due' AND fence = 0 RETURNING id",
        {"action": action, "org": org, "message": message},
    )
    return found[0]["id"] if found else None


def enter(rows: Rows, org: int, report: int, delivery: int, action: str) -> None:
    """Let a report tell of one delivery; what came of it last counts."""
    rows.execute(
        "INSERT INTO report_entries(report, delivery, org, action) VALUES (:report, :delivery, :org, :action)"
        " ON CONFLICT(report, delivery) DO UPDATE SET action = excluded.action",
        {"report": report, "delivery": delivery, "org": org, "action": action},
    )


def let_go(rows: Rows, org: int, message: int, now: int) -> bool:
    """
    Make the report on a message due once nothing else is left that would be tried before it; return whether it is now.

    Until then it waits, but never beyond the time it got when it was made.
    """
    return bool(
        rows.execute(
            "UPDATE deliveries SET due = :now WHERE org = :org AND message = :message AND kind = 'dsn'"
            " AND state = 'due' AND fence = 0 AND due > :now AND NOT EXISTS (SELECT 1 FROM deliveries o"
            " WHERE o.message = deliveries.message AND o.kind IN ('notice', 'handoff', 'relay')"
            " AND (o.state = 'leased' OR (o.state IN ('due', 'delayed') AND o.due <= deliveries.due)))",
            {"now": now, "org": org, "message": message},
        )
    )


def also_late(rows: Rows, org: int, message: int, made: int, after: int) -> list[Row]:
    """
    Return the deliveries (id, dsn) of a message that wait as long, and whose author was not told of it yet.

    Those made until *made* whose next try is later than *after*: what is tried sooner may arrive.
    """
    return rows.query(
        "SELECT id, dsn FROM deliveries WHERE org = :org AND message = :message AND state = 'delayed'"
        " AND kind IN ('notice', 'handoff', 'relay') AND delayed_told IS NULL AND created <= :made AND due > :after",
        {"org": org, "message": message, "made": made, "after": after},
    )


def entries(engine: Engine, org: int, message: int, report: int) -> list[Row]:
    """Return what a report tells: how each delivery stands, and what is told of it as `action`."""
    return engine.query(
        "SELECT e.action, d.kind, d.state, d.attempts, d.outcome, d.reply, d.created, d.dsn, a.canonical AS address"
        " FROM report_entries e JOIN deliveries d ON d.id = e.delivery JOIN addresses a ON a.id = d.recipient"
        " WHERE e.report = :report AND e.org = :org AND d.org = :org AND d.message = :message ORDER BY d.id",
        report=report,
        org=org,
        message=message,
    )

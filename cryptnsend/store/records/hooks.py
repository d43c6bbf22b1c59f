"""Rows of webhooks: who is told what, and what came of it. URLs and secrets that count, the keeper has.

A webhook is an account's own, or (`whole`) hears what happens to the mail of everybody in the organisation.
"""

from __future__ import annotations

from cryptnsend.core.contracts import Engine, Row, Rows


def add(rows: Rows, ident: int, org: int, account: int, url: str, events: str, now: int, *, whole: bool) -> None:
    """Remember a new webhook."""
    rows.execute(
        "INSERT INTO hooks(id, org, account, url, events, created, whole) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT(id) DO NOTHING",
        (ident, org, account, url, events, now, int(whole)),
    )


def end(rows: Rows, ident: int, now: int) -> None:
    """Mark a webhook as ended."""
    rows.execute("UPDATE hooks SET ended = coalesce(ended, :now) WHERE id = :id", {"now": now, "id": ident})


def listing(engine: Engine, account: int) -> list[Row]:
    """Return an account's own webhooks that have not ended, newest first."""
    return engine.query(
        "SELECT id, url, events, created, account FROM hooks"
        " WHERE account = :account AND whole = 0 AND ended IS NULL ORDER BY id DESC",
        account=account,
    )


def listing_of_all(engine: Engine, org: int) -> list[Row]:
    """Return an organisation's webhooks that have not ended, newest first."""
    return engine.query(
        "SELECT id, url, events, created, account FROM hooks WHERE org = :org AND whole = 1 AND ended IS NULL"
        " ORDER BY id DESC",
        org=org,
    )


def named(engine: Engine, ident: int) -> Row | None:
    """Return a webhook, whether it has ended or not, or None."""
    found = engine.query(
        "SELECT id, org, account, url, events, created, ended, whole FROM hooks WHERE id = :id", id=ident
    )
    return found[0] if found else None


def of(rows: Rows, account: int) -> list[Row]:
    """Return the webhooks that hear of an account's mail, its own and its organisation's, inside a transaction."""
    return rows.query(
        "SELECT id, org, events FROM hooks WHERE account = :account AND whole = 0 AND ended IS NULL"
        " UNION ALL SELECT h.id, h.org, h.events FROM accounts c JOIN hooks h ON h.org = c.org AND h.whole = 1"
        " WHERE c.id = :account AND h.ended IS NULL",
        {"account": account},
    )


def author(rows: Rows, message: int) -> int | None:
    """Return whose message it is."""
    found = rows.query("SELECT author FROM messages WHERE id = :id", {"id": message})
    return int(found[0]["author"]) if found else None


def put(rows: Rows, ident: int, org: int, hook: int, event: str, message: int | None, delivery: int, now: int) -> None:
    """Remember an event that is to be told."""
    rows.execute(
        "INSERT INTO hook_events VALUES (?, ?, ?, ?, ?, ?, ?)", (ident, org, hook, event, message, delivery, now)
    )


def event(engine: Engine, ident: int) -> Row | None:
    """Return an event with whose webhook hears of it, None if it or its webhook has ended."""
    found = engine.query(
        "SELECT e.id, e.org, e.hook, e.event, e.message, e.created, h.account, h.org AS of, h.whole FROM hook_events e"
        " JOIN hooks h ON h.id = e.hook WHERE e.id = :id AND h.ended IS NULL",
        id=ident,
    )
    return found[0] if found else None


def tries(engine: Engine, hook: int, limit: int) -> list[Row]:
    """Return the latest events of a webhook and how telling them went, newest first."""
    return engine.query(
        "SELECT e.id, e.event, e.created, d.state, d.attempts, d.reply, d.settled FROM hook_events e"
        " LEFT JOIN deliveries d ON d.id = e.delivery WHERE e.hook = :hook ORDER BY e.id DESC LIMIT :limit",
        hook=hook,
        limit=limit,
    )


def looked_after_by(rows: Rows, org: int) -> list[int]:
    """Return the accounts of an organisation's officers and managers, inside a transaction."""
    found = rows.query(
        "SELECT id FROM accounts WHERE org = :org AND state IN ('active', 'weak') AND (',' || roles || ',' LIKE"
        " '%,officer,%' OR ',' || roles || ',' LIKE '%,manager,%') ORDER BY id",
        {"org": org},
    )
    return [row["id"] for row in found]


def to_tell(rows: Rows, event: int, now: int, every: int) -> Row | None:
    """
    Return the webhook that does not work, with whom to tell: `account`, or who looks after `org` where it is `whole`.

    None if they were told less than *every* ms ago. Notes that they are told.
    """
    found = rows.query(
        "UPDATE hooks SET told = :now WHERE id = (SELECT hook FROM hook_events WHERE id = :event)"
        " AND ended IS NULL AND (told IS NULL OR told <= :before) RETURNING account, org, whole",
        {"now": now, "event": event, "before": now - every},
    )
    return found[0] if found else None

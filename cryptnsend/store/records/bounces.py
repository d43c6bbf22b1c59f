"""Rows of deliveries that came back after the next host had taken them.

A delivery is found by the token that a bounce was sent to, wherever it is used; that is the named exception to "every
query takes its organisation".
"""

from __future__ import annotations

from cryptnsend.core.contracts import Row, Rows


def delivery(rows: Rows, ident: int) -> Row | None:
    """Return how a delivery stands, and whose message it is about."""
    found = rows.query(
        "SELECT d.id, d.org, d.kind, d.state, d.message, d.recipient, d.dsn, d.outcome, m.author, m.author_address,"
        " t.subscriber FROM deliveries d LEFT JOIN messages m ON m.id = d.message"
        " LEFT JOIN threads t ON t.id = m.thread WHERE d.id = :id",
        {"id": ident},
    )
    return found[0] if found else None


def about(rows: Rows, message: int, address: str) -> int | None:
    """Return the newest delivery of a message to a canonical address, None if it never went there."""
    found = rows.query(
        "SELECT max(d.id) AS id FROM deliveries d JOIN addresses a ON a.id = d.recipient"
        " WHERE d.message = :message AND a.canonical = :address AND d.kind IN ('notice', 'handoff', 'relay')",
        {"message": message, "address": address},
    )
    ident: int | None = found[0]["id"]
    return ident


def note(rows: Rows, org: int, ident: int, outcome: str) -> bool:
    """Write more about a delivered mail, JSON; False if it does not stand as delivered."""
    return bool(
        rows.execute(
            "UPDATE deliveries SET outcome = :outcome WHERE org = :org AND id = :id AND state = 'delivered'",
            {"outcome": outcome, "org": org, "id": ident},
        )
    )


def came_back(rows: Rows, org: int, ident: int, outcome: str, reply: str, now: int) -> bool:
    """Mark a delivered mail as failed; False if it does not stand as delivered."""
    return bool(
        rows.execute(
            "UPDATE deliveries SET state = 'failed', outcome = :outcome, reply = :reply, settled = :now"
            " WHERE org = :org AND id = :id AND state = 'delivered'",
            {"outcome": outcome, "reply": reply, "now": now, "org": org, "id": ident},
        )
    )

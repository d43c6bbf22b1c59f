"""Rows of what authors asked for with messages they wrote on a page: when it starts, and whether to be told of it."""

from __future__ import annotations

from cryptnsend.core.contracts import Later, Reader, Row, Rows

_PLANS = Later(5, "INSERT INTO plans(message, org, starts, tell, way) VALUES (?, ?, ?, ?, ?)")


def add(rows: Rows, org: int, message: int, starts: int, tell: bool, way: str) -> None:
    """
    Note that a message is nobody's but its author's before *starts*, and whether they want to hear of openings.

    *way* is what they let stand in for their code, for them to see; what counts is in the keeper's ledger.
    """
    rows.later(_PLANS, [(message, org, starts, int(tell), way)])


def of(reader: Reader, org: int, message: int) -> Row | None:
    """Return what was asked for with a message (starts, tell, way), or None for one that just went."""
    found = reader.query(
        "SELECT starts, tell, way FROM plans WHERE message = :message AND org = :org", message=message, org=org
    )
    return found[0] if found else None


def wants_to_hear(rows: Rows, org: int, message: int) -> int | None:
    """Return the author's account if they want to hear that a message, or each of theirs, was opened; else None."""
    found = rows.query(
        "SELECT m.author FROM messages m LEFT JOIN plans p ON p.message = m.id"
        " LEFT JOIN mail_wishes w ON w.account = m.author AND w.mail = 'opened'"
        " WHERE m.id = :message AND m.org = :org AND (p.tell = 1 OR w.wanted = 1)",
        {"message": message, "org": org},
    )
    author: int | None = found[0]["author"] if found else None
    return author

"""Rows of the tokens that our mails carry: what each stands for. The keeper's MAC decides whether a row is true.

A token is found by its random part alone, wherever it is used; that is the named exception to "every query takes its
organisation".
"""

from __future__ import annotations

from cryptnsend.core.contracts import Engine, Row, Rows


def add(
    rows: Rows,
    ident: bytes,
    org: int,
    purpose: str,
    key_id: int,
    message: int,
    address: str,
    subscriber: int,
    delivery: int | None,
    expires: int | None,
) -> None:
    """Remember what a token stands for; the same token again changes nothing, so a retried mail may add it anew."""
    rows.execute(
        "INSERT INTO links(id, org, purpose, key_id, message, address, subscriber, delivery, expires)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(id) DO NOTHING",
        (ident, org, purpose, key_id, message, address, subscriber, delivery, expires),
    )


def link(engine: Engine, ident: bytes) -> Row | None:
    """Return purpose, message, address, subscriber, delivery and end of a token, or None."""
    found = engine.query(
        "SELECT org, purpose, key_id, message, address, subscriber, delivery, expires FROM links WHERE id = :id",
        id=ident,
    )
    return found[0] if found else None

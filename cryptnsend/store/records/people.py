"""Rows of whom a subscriber wrote to: addresses, the latest first, for suggestions and warnings while they write."""

from __future__ import annotations

from cryptnsend.core.contracts import Reader, Row


def written_to(reader: Reader, org: int, subscriber: int, limit: int) -> list[Row]:
    """Return a subscriber's contacts (canonical, display, name of who has the address, state), the latest first."""
    return reader.query(
        "SELECT a.canonical, a.display, coalesce(k.name, '') AS name, c.state FROM contacts c"
        " JOIN addresses a ON a.id = c.address LEFT JOIN accounts k ON k.id = a.account"
        " WHERE c.subscriber = :subscriber AND c.org = :org ORDER BY c.id DESC LIMIT :limit",
        org=org,
        subscriber=subscriber,
        limit=limit,
    )

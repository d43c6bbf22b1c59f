"""Rows of invitations: whom an organisation asked to join it."""

from __future__ import annotations

from cryptnsend.core.contracts import Engine, Row, Rows


def put(rows: Rows, ident: int, org: int, address: str, name: str, by: int, created: int, expires: int) -> None:
    """Note an invitation; an earlier one to the same address is over."""
    rows.execute("DELETE FROM invitations WHERE org = :org AND address = :address", {"org": org, "address": address})
    rows.execute(
        "INSERT INTO invitations(id, org, address, name, by, created, expires)"
        " VALUES (:id, :org, :address, :name, :by, :created, :expires)",
        {"id": ident, "org": org, "address": address, "name": name, "by": by, "created": created, "expires": expires},
    )


def organisation(engine: Engine, ident: int) -> int:
    """Return which organisation a mailed code invites into; 0 if none."""
    found = engine.query("SELECT org FROM invitations WHERE id = :id", id=ident)
    return int(found[0]["org"]) if found else 0


def waiting(engine: Engine, org: int, now: int) -> list[Row]:
    """Return the invitations (address, name, created, expires) that nobody has taken yet, the newest first."""
    return engine.query(
        "SELECT i.id, i.address, i.name, i.created, i.expires FROM invitations i WHERE i.org = :org"
        " AND i.expires > :now AND NOT EXISTS (SELECT 1 FROM addresses a JOIN accounts c ON c.id = a.account"
        " WHERE a.canonical = i.address AND c.org = i.org) ORDER BY i.created DESC, i.id DESC",
        org=org,
        now=now,
    )


def drop(rows: Rows, org: int, address: str) -> int:
    """Forget an invitation; return how many there were."""
    return rows.execute(
        "DELETE FROM invitations WHERE org = :org AND address = :address", {"org": org, "address": address}
    )


def forget(rows: Rows, before: int) -> None:
    """Forget invitations that were over before then."""
    rows.execute("DELETE FROM invitations WHERE expires < :before", {"before": before})

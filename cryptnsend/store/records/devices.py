"""Rows of device passwords: names and times. Whether a secret is right, the keeper says."""

from __future__ import annotations

from cryptnsend.core.contracts import Engine, Row, Rows


def add(rows: Rows, ident: int, org: int, account: int, name: str, scope: str, now: int) -> None:
    """Remember a new device."""
    rows.execute(
        "INSERT INTO devices(id, org, account, name, scope, created) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT(id) DO NOTHING",
        (ident, org, account, name, scope, now),
    )


def revoke(rows: Rows, account: int, ident: int, now: int) -> bool:
    """Mark a device of this account as revoked; False if it has no such device."""
    return bool(
        rows.execute(
            "UPDATE devices SET revoked = coalesce(revoked, :now) WHERE id = :id AND account = :account",
            {"now": now, "id": ident, "account": account},
        )
    )


def used(rows: Rows, ident: int, now: int) -> None:
    """Remember when a device last signed in."""
    rows.execute("UPDATE devices SET used = :now WHERE id = :id", {"now": now, "id": ident})


def listing(engine: Engine, account: int) -> list[Row]:
    """Return the devices of an account that are not revoked, newest first."""
    return engine.query(
        "SELECT id, name, scope, created, used FROM devices WHERE account = :account AND revoked IS NULL"
        " ORDER BY id DESC",
        account=account,
    )


def is_live(engine: Engine, account: int, ident: int) -> bool:
    """Say whether this is a device of the account that has not been revoked."""
    return bool(
        engine.query(
            "SELECT 1 AS one FROM devices WHERE id = :id AND account = :account AND revoked IS NULL",
            id=ident,
            account=account,
        )
    )


def named(engine: Engine, ident: int) -> Row | None:
    """Return a device's account and name, or None."""
    found = engine.query("SELECT id, org, account, name, scope, used, revoked FROM devices WHERE id = :id", id=ident)
    return found[0] if found else None

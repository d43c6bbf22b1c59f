"""Rows of programs that send for somebody: their tokens, and what was sent under which key of theirs."""

from __future__ import annotations

from cryptnsend.core.contracts import Engine, Row, Rows


def add(
    rows: Rows, ident: int, org: int, account: int, name: str, scopes: str, created: int, ends: int
) -> None:  # fmt: skip
    """Remember a new token."""
    rows.execute(
        "INSERT INTO api_tokens(id, org, account, name, scopes, created, ends) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT(id) DO NOTHING",
        (ident, org, account, name, scopes, created, ends),
    )


def revoke(rows: Rows, ident: int, now: int) -> None:
    """Mark a token as revoked; one that is stays as it is."""
    rows.execute("UPDATE api_tokens SET revoked = coalesce(revoked, :now) WHERE id = :id", {"now": now, "id": ident})


def used(rows: Rows, ident: int, now: int) -> None:
    """Remember when a token was last used."""
    rows.execute("UPDATE api_tokens SET used = :now WHERE id = :id", {"now": now, "id": ident})


def listing(engine: Engine, account: int) -> list[Row]:
    """Return the tokens of an account that are not revoked, newest first."""
    return engine.query(
        "SELECT id, name, scopes, created, ends, used FROM api_tokens WHERE account = :account AND revoked IS NULL"
        " ORDER BY id DESC",
        account=account,
    )


def named(engine: Engine, ident: int) -> Row | None:
    """Return a token's account, name and times, or None."""
    found = engine.query(
        "SELECT id, org, account, name, scopes, created, ends, used, revoked FROM api_tokens WHERE id = :id", id=ident
    )
    return found[0] if found else None


def remember(rows: Rows, message: int, org: int, token: int, said: bytes, now: int) -> None:
    """Remember which request made a message."""
    rows.execute("INSERT INTO api_sent VALUES (?, ?, ?, ?, ?)", (message, org, token, said, now))


def said(engine: Engine, message: int) -> bytes | None:
    """Return the MAC of the request that made a message, or None."""
    found = engine.query("SELECT said FROM api_sent WHERE message = :message", message=message)
    return bytes(found[0]["said"]) if found else None

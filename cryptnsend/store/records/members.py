"""Rows of an organisation's people, as its officers and managers see them: an account with its first address."""

from __future__ import annotations

from cryptnsend.core.contracts import Engine, Row

_ONE = (
    "SELECT c.id, c.roles, c.state, c.name, c.created, a.canonical AS address,"
    " (SELECT count(*) FROM addresses b WHERE b.account = c.id) AS addresses,"
    " (SELECT max(s.seen) FROM sessions s WHERE s.account = c.id) AS seen"
    " FROM accounts c JOIN addresses a ON a.id = (SELECT min(b.id) FROM addresses b WHERE b.account = c.id)"
)


def page(engine: Engine, org: int, words: str, after: str, limit: int) -> list[Row]:
    """Return people by address, those behind *after*; *words* (case-folded) have to stand in address or name."""
    return engine.query(
        f"{_ONE} WHERE c.org = :org AND c.state <> 'closed' AND a.canonical > :after"
        " AND (:words = '' OR instr(a.canonical, :words) > 0 OR instr(lower(c.name), :words) > 0)"
        " ORDER BY a.canonical LIMIT :limit",
        org=org,
        words=words,
        after=after,
        limit=limit,
    )


def count(engine: Engine, org: int) -> int:
    """Return how many people an organisation has."""
    found = engine.query("SELECT count(*) AS n FROM accounts WHERE org = :org AND state <> 'closed'", org=org)
    return int(found[0]["n"])


def one(engine: Engine, org: int, ident: int) -> Row | None:
    """Return one person, or None who is of another organisation or gone."""
    found = engine.query(f"{_ONE} WHERE c.org = :org AND c.state <> 'closed' AND c.id = :id", org=org, id=ident)
    return found[0] if found else None

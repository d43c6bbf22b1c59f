"""Rows of organisations' domains: asked for, and proven by a TXT record."""

from __future__ import annotations

from cryptnsend.core.contracts import Engine, Reader, Row, Rows


def of(engine: Engine, org: int) -> list[Row]:
    """Return an organisation's domains (domain, challenge, created, proven, checked, missing), by name."""
    return engine.query(
        "SELECT domain, challenge, created, proven, checked, missing FROM domains WHERE org = :org ORDER BY domain",
        org=org,
    )


def owner(engine: Engine, domain: str) -> int | None:
    """Return which organisation has proven a domain, or None."""
    found = engine.query("SELECT org FROM domains WHERE domain = :domain AND proven IS NOT NULL", domain=domain)
    return int(found[0]["org"]) if found else None


def is_proven(rows: Rows, org: int, domain: str) -> bool:
    """Say, inside a transaction, whether a domain is proven by this very organisation."""
    return bool(
        rows.query(
            "SELECT 1 FROM domains WHERE org = :org AND domain = :domain AND proven IS NOT NULL",
            {"org": org, "domain": domain},
        )
    )


def ask(rows: Rows, org: int, domain: str, challenge: str, now: int) -> None:
    """Note that an organisation wants to prove a domain; asked again, the challenge stays."""
    rows.execute(
        "INSERT INTO domains(org, domain, challenge, created, proven, checked)"
        " VALUES (:org, :domain, :challenge, :now, NULL, NULL) ON CONFLICT(org, domain) DO NOTHING",
        {"org": org, "domain": domain, "challenge": challenge, "now": now},
    )


def checked(rows: Rows, org: int, domain: str, now: int, *, is_there: bool) -> None:
    """Note what a look at the record found, and since when one that proved the domain is missing."""
    rows.execute(
        "UPDATE domains SET checked = :now, proven = CASE WHEN :there = 1 THEN coalesce(proven, :now) ELSE proven END,"
        " missing = CASE WHEN :there = 1 OR proven IS NULL THEN NULL ELSE coalesce(missing, :now) END"
        " WHERE org = :org AND domain = :domain",
        {"now": now, "there": int(is_there), "org": org, "domain": domain},
    )


def stale(reader: Reader, before: int, limit: int) -> list[Row]:
    """Return proven domains (org, domain) nobody has looked for since *before*. The installation's, for upkeep."""
    return reader.query(
        "SELECT org, domain FROM domains WHERE proven IS NOT NULL AND coalesce(checked, 0) < :before"
        " ORDER BY checked, domain LIMIT :limit",
        before=before,
        limit=limit,
    )


def lapse(rows: Rows, org: int, domain: str) -> int:
    """Let a domain be proven no more; return how many there were."""
    return rows.execute(
        "UPDATE domains SET proven = NULL, missing = NULL WHERE org = :org AND domain = :domain AND proven IS NOT NULL",
        {"org": org, "domain": domain},
    )


def drop(rows: Rows, org: int, domain: str) -> int:
    """Take a domain from an organisation; return how many there were."""
    return rows.execute("DELETE FROM domains WHERE org = :org AND domain = :domain", {"org": org, "domain": domain})

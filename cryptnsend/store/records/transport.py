"""Rows about other people's mail servers: what their domains promise, and what TLS with them came to.

They are the installation's: a domain's promise is the same whoever writes to it.
"""

from __future__ import annotations

from cryptnsend.core.contracts import Reader, Row, Rows

DAYS_KEPT = 14  # a report that nobody could take until then is not written any more


def policy(reader: Reader, domain: str) -> Row | None:
    """Return (ident, body, fetched, expires) of the policy that is kept for *domain*, also if it has ended."""
    found = reader.query("SELECT ident, body, fetched, expires FROM sts_policies WHERE domain = :domain", domain=domain)
    return found[0] if found else None


def keep_policy(rows: Rows, domain: str, ident: str, body: str, fetched: int, expires: int) -> None:
    """Keep a policy instead of the one before."""
    rows.execute(
        "INSERT INTO sts_policies(org, domain, ident, body, fetched, expires)"
        " VALUES (0, :domain, :ident, :body, :fetched, :expires) ON CONFLICT(domain) DO UPDATE SET"
        " ident = :ident, body = :body, fetched = :fetched, expires = :expires",
        {"domain": domain, "ident": ident, "body": body, "fetched": fetched, "expires": expires},
    )


def count(rows: Rows, day: int, domain: str, kind: str, policy: str, result: str, host: str, address: str) -> None:
    """Count one TLS session; *day* is days since 1970, *result* "" for success."""
    rows.execute(
        "INSERT INTO tls_results(org, day, domain, kind, policy, result, host, address, sessions)"
        " VALUES (0, :day, :domain, :kind, :policy, :result, :host, :address, 1)"
        " ON CONFLICT(day, domain, kind, policy, result, host, address)"
        " DO UPDATE SET sessions = tls_results.sessions + 1",
        {
            "day": day,
            "domain": domain,
            "kind": kind,
            "policy": policy,
            "result": result,
            "host": host,
            "address": address,
        },
    )


def unreported(reader: Reader, today: int, limit: int) -> list[Row]:
    """Return (day, domain) of past days on which there were sessions and nobody has looked yet who wants a report."""
    return reader.query(
        "SELECT DISTINCT r.day, r.domain FROM tls_results r WHERE r.day < :today AND NOT EXISTS"
        " (SELECT 1 FROM tls_reports t WHERE t.day = r.day AND t.domain = r.domain)"
        " ORDER BY r.day, r.domain LIMIT :limit",
        today=today,
        limit=limit,
    )


def add_report(rows: Rows, ident: int, day: int, domain: str, rua: str, now: int) -> bool:
    """Note that a report is to go to *rua*, "" for nobody; False if that was noted before."""
    return bool(
        rows.execute(
            "INSERT INTO tls_reports(id, org, day, domain, rua, created) VALUES (:id, 0, :day, :domain, :rua, :now)"
            " ON CONFLICT(day, domain, rua) DO NOTHING",
            {"id": ident, "day": day, "domain": domain, "rua": rua, "now": now},
        )
    )


def report(reader: Reader, ident: int) -> Row | None:
    """Return (id, day, domain, rua, created) of one report."""
    found = reader.query("SELECT id, day, domain, rua, created FROM tls_reports WHERE id = :id", id=ident)
    return found[0] if found else None


def results(reader: Reader, day: int, domain: str) -> list[Row]:
    """Return (kind, policy, result, host, address, sessions) of one domain on one day."""
    return reader.query(
        "SELECT kind, policy, result, host, address, sessions FROM tls_results"
        " WHERE day = :day AND domain = :domain ORDER BY kind, policy, result, host, address",
        day=day,
        domain=domain,
    )


def forget(rows: Rows, now: int) -> None:
    """Delete what is over: ended policies, and what was counted and reported weeks ago."""
    day = now // 86_400_000
    rows.execute("DELETE FROM sts_policies WHERE expires < :now", {"now": now})
    rows.execute("DELETE FROM tls_results WHERE day < :day", {"day": day - DAYS_KEPT})
    rows.execute("DELETE FROM tls_reports WHERE day < :day", {"day": day - DAYS_KEPT})

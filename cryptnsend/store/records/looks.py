"""Rows of how organisations look: every version there was, and the pictures that they name."""

from __future__ import annotations

from cryptnsend.core.contracts import Engine, Row, Rows
from cryptnsend.store.records.versions import Versions

VERSIONS = Versions("looks", "look")


def newest(engine: Engine, org: int) -> int:
    """Return the number of an organisation's newest version, 0 before the first."""
    found = engine.query("SELECT max(version) AS version FROM looks WHERE org = :org", org=org)
    return int(found[0]["version"] or 0)


def text(rows: Rows, org: int) -> str:
    """Return what an organisation says of its look now, JSON text."""
    found = rows.query("SELECT look FROM looks WHERE org = :org ORDER BY version DESC LIMIT 1", {"org": org})
    return str(found[0]["look"]) if found else "{}"


def add(rows: Rows, org: int, look: str, host: str, at: int, actor: str, why: str) -> int:
    """Add a version, which counts from now on; return its number."""
    return VERSIONS.add(rows, org, look, at, actor, why, host=host)


def at_host(engine: Engine, host: str) -> list[int]:
    """Return the organisations whose newest look names that host."""
    found = engine.query(
        "SELECT org FROM looks l WHERE host = :host AND host <> ''"
        " AND version = (SELECT max(version) FROM looks n WHERE n.org = l.org) ORDER BY org",
        host=host,
    )
    return [row["org"] for row in found]


def hosts(engine: Engine) -> list[Row]:
    """Return (org, name, host) of each organisation whose newest look names a host."""
    return engine.query(
        "SELECT l.org, o.name, l.host FROM looks l JOIN organisations o ON o.id = l.org WHERE l.host <> ''"
        " AND l.version = (SELECT max(version) FROM looks n WHERE n.org = l.org) ORDER BY l.org"
    )


def put_logo(rows: Rows, org: int, mark: str, octets: bytes, now: int) -> None:
    """Keep a picture; the same one is kept once."""
    rows.execute(
        "INSERT INTO logos(org, mark, octets, created) VALUES (:org, :mark, :octets, :now)"
        " ON CONFLICT(org, mark) DO NOTHING",
        {"org": org, "mark": mark, "octets": octets, "now": now},
    )


def logo(engine: Engine, mark: str) -> bytes | None:
    """Return the octets of a picture, whoever's it is, or None."""
    found = engine.query("SELECT octets FROM logos WHERE mark = :mark LIMIT 1", mark=mark)
    return bytes(found[0]["octets"]) if found else None


def has_logo(engine: Engine, org: int, mark: str) -> bool:
    """Say whether an organisation has brought that picture."""
    return bool(engine.query("SELECT 1 AS one FROM logos WHERE org = :org AND mark = :mark", org=org, mark=mark))

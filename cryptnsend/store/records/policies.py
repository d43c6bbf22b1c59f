"""Rows of organisations' rules: every version there was, and the newest one beside the organisation."""

from __future__ import annotations

from cryptnsend.core.contracts import Engine, Row, Rows
from cryptnsend.store.records import accounts


def newest(rows: Rows, org: int) -> int:
    """Return the number of an organisation's newest version, 0 before the first."""
    found = rows.query("SELECT max(version) AS version FROM policies WHERE org = :org", {"org": org})
    return int(found[0]["version"] or 0)


def add(rows: Rows, org: int, policy: str, at: int, actor: str, why: str) -> int:
    """Add a version and let it be the one that counts; return its number."""
    version = newest(rows, org) + 1
    rows.execute(
        "INSERT INTO policies(org, version, at, actor, why, policy)"
        " VALUES (:org, :version, :at, :actor, :why, :policy)",
        {"org": org, "version": version, "at": at, "actor": actor, "why": why, "policy": policy},
    )
    accounts.set_policy(rows, org, policy)
    return version


def history(engine: Engine, org: int, before: int, limit: int) -> list[Row]:
    """Return versions (version, at, actor, why, policy) older than *before*, the newest first."""
    return engine.query(
        "SELECT version, at, actor, why, policy FROM policies WHERE org = :org AND version < :before"
        " ORDER BY version DESC LIMIT :limit",
        org=org,
        before=before,
        limit=limit,
    )


def version(engine: Engine, org: int, number: int) -> Row | None:
    """Return one version, or None."""
    found = engine.query(
        "SELECT version, at, actor, why, policy FROM policies WHERE org = :org AND version = :number",
        org=org,
        number=number,
    )
    return found[0] if found else None


def text(engine: Engine, org: int) -> str:
    """Return what an organisation says of its rules now, JSON text."""
    found = engine.query("SELECT policy FROM organisations WHERE id = :org", org=org)
    return str(found[0]["policy"]) if found else "{}"


def organisations(engine: Engine, name: str) -> list[int]:
    """Return the organisations whose rules say something of a setting called *name*."""
    found = engine.query("SELECT id FROM organisations WHERE instr(policy, :name) > 0 ORDER BY id", name=f'"{name}"')
    return [row["id"] for row in found]

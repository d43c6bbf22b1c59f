"""Rows of organisations' rules: every version there was, and the newest one beside the organisation."""

from __future__ import annotations

from cryptnsend.core.contracts import Engine, Rows
from cryptnsend.store.records import accounts
from cryptnsend.store.records.versions import Versions

VERSIONS = Versions("policies", "policy")


def add(rows: Rows, org: int, policy: str, at: int, actor: str, why: str) -> int:
    """Add a version and let it be the one that counts; return its number."""
    version = VERSIONS.add(rows, org, policy, at, actor, why)
    accounts.set_policy(rows, org, policy)
    return version


def text(engine: Engine, org: int) -> str:
    """Return what an organisation says of its rules now, JSON text."""
    found = engine.query("SELECT policy FROM organisations WHERE id = :org", org=org)
    return str(found[0]["policy"]) if found else "{}"


def organisations(engine: Engine, name: str) -> list[int]:
    """Return the organisations whose rules say something of a setting called *name*."""
    found = engine.query("SELECT id FROM organisations WHERE instr(policy, :name) > 0 ORDER BY id", name=f'"{name}"')
    return [row["id"] for row in found]

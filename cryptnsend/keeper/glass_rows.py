"""What does the ledger know of archives? Glass breaks, and how far manifests have come. All SQL about both."""

from __future__ import annotations

from cryptnsend.core.contracts import Rows
from cryptnsend.keeper.ledger import Reads, one
from cryptnsend.keeper.rows import Glass


def set_two_officers(rows: Rows, ident: int, two: bool) -> None:
    """Change whether a glass break of an organisation needs another officer's yes."""
    rows.execute("UPDATE organisations SET two_officers = :two WHERE id = :id", {"two": int(two), "id": ident})


def manifest_head(reads: Reads, org: int) -> tuple[int, bytes] | None:
    """Return how far an archive's manifest has come."""
    found = reads.query("SELECT seq, head FROM manifest_heads WHERE org = :org", {"org": org})
    return (found[0]["seq"], found[0]["head"]) if found else None


def set_manifest_head(rows: Rows, org: int, seq: int, head: bytes) -> None:
    """Note how far an archive's manifest has come."""
    rows.execute(
        "INSERT INTO manifest_heads(org, seq, head) VALUES (:org, :seq, :head)"
        " ON CONFLICT(org) DO UPDATE SET seq = excluded.seq, head = excluded.head",
        {"org": org, "seq": seq, "head": head},
    )


def glass(reads: Reads, ident: int) -> Glass | None:
    """Return a glass break."""
    return one(Glass, reads.query("SELECT * FROM glass_breaks WHERE id = :id", {"id": ident}))


def set_glass(rows: Rows, ident: int, **values: int) -> None:
    """Change columns of a glass break; their names are ours, never a caller's."""
    places = ", ".join(f"{name} = :{name}" for name in values)
    rows.execute(f"UPDATE glass_breaks SET {places} WHERE id = :id", {**values, "id": ident})  # noqa: S608


def end_all(rows: Rows, officer: int, now: int) -> None:
    """End every glass break that an account asked for, open or not yet, because it is no officer any more."""
    rows.execute(
        "UPDATE glass_breaks SET ends = :now WHERE officer = :officer AND (ends IS NULL OR ends > :now)",
        {"officer": officer, "now": now},
    )

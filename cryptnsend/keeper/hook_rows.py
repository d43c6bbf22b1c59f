"""Rows of webhooks in the ledger: an account's own, and those of whole organisations."""

from __future__ import annotations

from cryptnsend.core.contracts import Rows
from cryptnsend.keeper.ledger import Reads, one
from cryptnsend.keeper.rows import Hook


def find(reads: Reads, ident: int) -> Hook | None:
    """Return a webhook by its id."""
    return one(Hook, reads.query("SELECT * FROM hooks WHERE id = :id", {"id": ident}))


def live(reads: Reads, account: int) -> list[Hook]:
    """Return an account's own webhooks that have not ended."""
    found = reads.query(
        "SELECT * FROM hooks WHERE account = :id AND org IS NULL AND ended IS NULL ORDER BY id", {"id": account}
    )
    return [Hook(**row) for row in found]


def live_of_all(reads: Reads, org: int) -> list[Hook]:
    """Return an organisation's webhooks that have not ended, whoever made them."""
    found = reads.query("SELECT * FROM hooks WHERE org = :org AND ended IS NULL ORDER BY id", {"org": org})
    return [Hook(**row) for row in found]


def renew(rows: Rows, row: Hook, secret: bytes, until: int) -> None:
    """Give a webhook another secret; the one it has signs beside it *until* then."""
    rows.execute(
        "UPDATE hooks SET secret = :secret, earlier = :earlier, earlier_until = :until WHERE id = :id",
        {"secret": secret, "earlier": row.secret, "until": until, "id": row.id},
    )


def drop(rows: Rows, ident: int, now: int) -> None:
    """Mark a webhook as ended, and forget its secrets; one that has stays as it is."""
    rows.execute(
        "UPDATE hooks SET ended = coalesce(ended, :now), secret = x'', earlier = NULL WHERE id = :id",
        {"now": now, "id": ident},
    )


def drop_all(rows: Rows, account: int, now: int) -> None:
    """End every webhook of an account's own; what it made for its organisation stays the organisation's."""
    for each in live(rows, account):
        drop(rows, each.id, now)

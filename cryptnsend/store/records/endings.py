"""Rows that had ended before a backup came back, ended again by what the journal remembers.

The journal has ids only, so these statements are the named exception to "every query takes its organisation".
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptnsend.core.contracts import Row, Rows
from cryptnsend.store.records import filelinks
from cryptnsend.store.schema.archive import HELD

HELD_HERE = HELD.format(grant="g")


def end_everything(rows: Rows) -> None:
    """
    End all sessions, what waits to be told about mailed codes, and links by which anybody may have files.

    All belong to the time of the backup: which of the links were revoked since, or used up, nobody knows.
    """
    rows.execute("UPDATE sessions SET state = 'ended', sealed = :none", {"none": b""})
    rows.execute("UPDATE accounts SET credential_version = credential_version + 1")
    rows.execute("UPDATE deliveries SET state = 'cancelled' WHERE kind = 'code' AND state IN ('due', 'delayed')")
    filelinks.end_all(rows)


def suspend(rows: Rows, grants: Sequence[int], until: int) -> None:
    """Suspend grants that are active in the backup."""
    rows.many(
        "UPDATE grants SET state = 'suspended', ends = ? WHERE id = ? AND state = 'active'",
        [(until, ident) for ident in grants],
    )


def undo(rows: Rows, grants: Sequence[int]) -> None:
    """Give grants back that were given back after they had been suspended."""
    rows.many(
        "UPDATE grants SET state = 'active', ends = CASE WHEN role = 'recipient' AND contact <> ''"
        " THEN (SELECT m.expires FROM messages m WHERE m.id = grants.message) END"
        " WHERE id = ? AND state = 'suspended'",
        [(ident,) for ident in grants],
    )


def shred(rows: Rows, grants: Sequence[int], before: int) -> list[Row]:
    """
    Delete grants and return (org, message) of those that were still there.

    An archive's only if its message has an id below *before*, so that the retention is over, and no case needs it:
    every role may write into the journal.
    """
    statement = (
        "DELETE FROM grants AS g WHERE g.id = ? AND (g.role <> 'archive' OR g.message < ? AND g.state = 'suspended'"  # noqa: S608
        f" AND NOT {HELD_HERE}) RETURNING org, message"
    )
    found: list[Row] = []
    for ident in grants:
        found += rows.query(statement, (ident, before))
    return found


def cancel(rows: Rows, deliveries: Sequence[int], at: int) -> None:
    """Keep deliveries from leaving that were cancelled before they did, and destroy their keys."""
    rows.many(
        "UPDATE deliveries SET state = 'cancelled', settled = ?, queue_epoch = NULL, queue_wrap = NULL"
        " WHERE id = ? AND state IN ('checking', 'due', 'held', 'leased', 'delayed', 'parked')",
        [(at, ident) for ident in deliveries],
    )


def revoke(rows: Rows, devices: Sequence[int], at: int) -> None:
    """Mark devices, and tokens and webhooks of programs, as revoked."""
    rows.many("UPDATE hooks SET ended = ? WHERE id = ? AND ended IS NULL", [(at, ident) for ident in devices])
    rows.many("UPDATE api_tokens SET revoked = ? WHERE id = ? AND revoked IS NULL", [(at, ident) for ident in devices])
    rows.many("UPDATE devices SET revoked = ? WHERE id = ? AND revoked IS NULL", [(at, ident) for ident in devices])

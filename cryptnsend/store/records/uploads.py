"""Rows of files on their way in: what arrived of each so far. All content is sealed; rows say whose and how much.

An upload is its owner's and nobody else's, so these statements take the account; those of upkeep walk over all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

from cryptnsend.core.contracts import Reader, Row, Rows


@dataclass(frozen=True, slots=True)
class UploadRow:
    """One upload as it rests, in the order of the table's columns."""

    id: int
    org: int
    account: int
    nonce: bytes
    pair: int
    suite: int
    sealed_key: bytes
    about: bytes
    size: int
    arrived: int
    created: int
    changed: int


@dataclass(frozen=True, slots=True)
class PieceRow:
    """One piece as it rests, in the order of the table's columns."""

    id: int
    org: int
    upload: int
    start: int
    body: bytes | None
    blob_key: str | None
    octets: int


def begin(rows: Rows, row: UploadRow) -> int:
    """Write an upload unless the same request began one before; return the id of the one there is."""
    found = rows.query(
        "SELECT id FROM uploads WHERE account = :account AND nonce = :nonce",
        {"account": row.account, "nonce": row.nonce},
    )
    if found:
        return int(found[0]["id"])
    rows.execute("INSERT INTO uploads VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", astuple(row))
    return row.id


def waiting(rows: Rows, account: int) -> tuple[int, int]:
    """Return how many uploads an account has, and how many octets they have or will have together."""
    found = rows.query(
        "SELECT count(*) AS n, coalesce(sum(size), 0) AS octets FROM uploads WHERE account = :account",
        {"account": account},
    )
    return found[0]["n"], found[0]["octets"]


def append(rows: Rows, account: int, piece: PieceRow, size: int, now: int) -> bool:
    """Add a piece of *size* octets in clear; say False if the upload is gone, or did not end where the piece starts."""
    moved = rows.execute(
        "UPDATE uploads SET arrived = arrived + ?, changed = ? WHERE id = ? AND account = ? AND arrived = ?",
        (size, now, piece.upload, account, piece.start),
    )
    if moved:
        rows.execute("INSERT INTO upload_pieces VALUES (?, ?, ?, ?, ?, ?, ?)", astuple(piece))
    return bool(moved)


def upload(reader: Reader, account: int, ident: int, since: int) -> Row | None:
    """Return an upload of this account that somebody touched since then, or None."""
    found = reader.query(
        "SELECT id, pair, sealed_key, about, size, arrived, changed FROM uploads"
        " WHERE id = :id AND account = :account AND changed >= :since",
        id=ident,
        account=account,
        since=since,
    )
    return found[0] if found else None


def pieces(reader: Reader, account: int, ident: int, start: int, limit: int) -> list[Row]:
    """Return pieces of an upload of this account from *start* on, in their order."""
    return reader.query(
        "SELECT p.start, p.body, p.blob_key, p.octets FROM upload_pieces p JOIN uploads u ON u.id = p.upload"
        " WHERE p.upload = :id AND u.account = :account AND p.start >= :start ORDER BY p.start LIMIT :limit",
        id=ident,
        account=account,
        start=start,
        limit=limit,
    )


def drop(rows: Rows, account: int, ident: int) -> Sequence[str] | None:
    """Delete an upload; return the blobs to discard after COMMIT, or None if this account has no such upload."""
    gone = rows.query(
        "DELETE FROM upload_pieces WHERE upload IN (SELECT id FROM uploads WHERE id = :id AND account = :account)"
        " RETURNING blob_key",
        {"id": ident, "account": account},
    )
    there = rows.execute("DELETE FROM uploads WHERE id = ? AND account = ?", (ident, account))
    return [row["blob_key"] for row in gone if row["blob_key"]] if there else None


def drop_stale(rows: Rows, account: int, ident: int, before: int) -> Sequence[str]:
    """Delete an upload unless something of it arrived after all; return the blobs to discard after COMMIT."""
    still = rows.query("SELECT changed FROM uploads WHERE id = :id", {"id": ident})
    return (drop(rows, account, ident) or ()) if still and still[0]["changed"] < before else ()


def stale(reader: Reader, before: int, limit: int = 500) -> list[Row]:
    """Return uploads (id, account) of all accounts that nothing has come of since then."""
    return reader.query(
        "SELECT id, account FROM uploads WHERE changed < :before ORDER BY changed LIMIT :limit",
        before=before,
        limit=limit,
    )


def of_closed(reader: Reader, limit: int = 500) -> list[Row]:
    """Return uploads (id, account) of closed accounts."""
    return reader.query(
        "SELECT u.id, u.account FROM accounts a JOIN uploads u ON u.account = a.id WHERE a.state = 'closed'"
        " LIMIT :limit",
        limit=limit,
    )

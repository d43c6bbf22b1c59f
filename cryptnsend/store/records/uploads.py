"""Rows of files on their way in: what arrived of each so far. All content is sealed; rows say whose and how much.

An upload is its owner's and nobody else's, so these statements take the account; those of upkeep walk over all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

from cryptnsend.core.contracts import Reader, Row, Rows

# Nothing needs it: no draft, no message, no library.
_FREE = (
    "u.library = 0 AND NOT EXISTS (SELECT 1 FROM draft_files f WHERE f.id = u.id)"
    " AND NOT EXISTS (SELECT 1 FROM message_files m WHERE m.file = u.id)"
)


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
    rows.execute(
        "INSERT INTO uploads(id, org, account, nonce, pair, suite, sealed_key, about, size, arrived, created, changed)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        astuple(row),
    )
    return row.id


def waiting(rows: Rows, account: int) -> tuple[int, int, int]:
    """Return how many uploads of an account are under way, what they have or will have, and what all its files have."""
    found = rows.query(
        f"SELECT count(*) FILTER (WHERE {_FREE}) AS n, coalesce(sum(u.size) FILTER (WHERE {_FREE}), 0) AS octets,"  # noqa: S608
        " coalesce(sum(u.size), 0) AS everything FROM uploads u WHERE u.account = :account",
        {"account": account},
    )
    return found[0]["n"], found[0]["octets"], found[0]["everything"]


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
    """Return an upload of this account that somebody touched since then and that nothing else needs, or None."""
    found = reader.query(
        "SELECT u.id, u.pair, u.sealed_key, u.about, u.size, u.arrived, u.changed FROM uploads u"  # noqa: S608
        f" WHERE u.id = :id AND u.account = :account AND u.changed >= :since AND {_FREE}",
        id=ident,
        account=account,
        since=since,
    )
    return found[0] if found else None


def library(reader: Reader, account: int) -> list[Row]:
    """Return the files that this account keeps to be attached again."""
    return reader.query(
        "SELECT u.id, u.org, u.pair, u.sealed_key, u.about FROM uploads u"
        " WHERE u.account = :account AND u.library = 1 ORDER BY u.id",
        account=account,
    )


def library_count(rows: Rows, account: int) -> int:
    """Return how many they are."""
    found = rows.query(
        "SELECT count(*) AS n FROM uploads WHERE account = :account AND library = 1", {"account": account}
    )
    return int(found[0]["n"])


def keep(rows: Rows, account: int, ident: int) -> bool:
    """Keep a whole file to be attached again; say False if there is none such."""
    return bool(
        rows.execute("UPDATE uploads SET library = 1 WHERE id = ? AND account = ? AND arrived = size", (ident, account))
    )


def unkeep(rows: Rows, account: int, ident: int) -> None:
    """Keep a file no more than whatever else needs it."""
    rows.execute("UPDATE uploads SET library = 0 WHERE id = ? AND account = ?", (ident, account))


def rename(rows: Rows, account: int, ident: int, about: bytes) -> None:
    """Write what is said of a file of the library anew."""
    rows.execute("UPDATE uploads SET about = ? WHERE id = ? AND account = ? AND library = 1", (about, ident, account))


def leave(rows: Rows) -> None:
    """Keep nothing for closed accounts any more: nobody can attach it."""
    rows.execute(
        "UPDATE uploads SET library = 0 WHERE library = 1"
        " AND account IN (SELECT id FROM accounts WHERE state = 'closed')"
    )


def pieces(reader: Reader, org: int, ident: int, place: int, limit: int) -> list[Row]:
    """Return pieces of a file from the one on that holds the octet at *place*, in their order."""
    return reader.query(
        "SELECT p.start, p.body, p.blob_key, p.octets FROM upload_pieces p WHERE p.upload = :id AND p.org = :org"
        " AND p.start >= (SELECT max(q.start) FROM upload_pieces q WHERE q.upload = :id AND q.start <= :place)"
        " ORDER BY p.start LIMIT :limit",
        id=ident,
        org=org,
        place=place,
        limit=limit,
    )


def is_own(rows: Rows, account: int, ident: int) -> bool:
    """Say whether a file is here and this account's."""
    return bool(
        rows.query(
            "SELECT 1 AS one FROM uploads WHERE id = :id AND account = :account", {"id": ident, "account": account}
        )
    )


def drop(rows: Rows, account: int, ident: int) -> Sequence[str] | None:
    """
    Delete a file; return the blobs to discard after COMMIT.

    None if this account has no such file, or if a draft, a message or the library needs it.
    """
    there = rows.query(
        f"SELECT u.id FROM uploads u WHERE u.id = :id AND u.account = :account AND {_FREE}",  # noqa: S608 - from above
        {"id": ident, "account": account},
    )
    if not there:
        return None
    gone = rows.query("DELETE FROM upload_pieces WHERE upload = :id RETURNING blob_key", {"id": ident})
    rows.execute("DELETE FROM uploads WHERE id = ?", (ident,))
    return [row["blob_key"] for row in gone if row["blob_key"]]


def drop_stale(rows: Rows, account: int, ident: int, before: int) -> Sequence[str]:
    """Delete an upload unless something of it arrived after all; return the blobs to discard after COMMIT."""
    still = rows.query("SELECT changed FROM uploads WHERE id = :id", {"id": ident})
    return (drop(rows, account, ident) or ()) if still and still[0]["changed"] < before else ()


def stale(reader: Reader, before: int, limit: int = 500) -> list[Row]:
    """Return uploads (id, account) of all accounts that nothing has come of since then, and that nothing needs."""
    return reader.query(
        f"SELECT u.id, u.account FROM uploads u WHERE u.changed < :before AND {_FREE}"  # noqa: S608 - from above
        " ORDER BY u.changed LIMIT :limit",
        before=before,
        limit=limit,
    )


def of_closed(reader: Reader, limit: int = 500) -> list[Row]:
    """Return files (id, account) of closed accounts; what belongs to a message stays as long as that."""
    return reader.query(
        "SELECT u.id, u.account FROM accounts a JOIN uploads u ON u.account = a.id WHERE a.state = 'closed'"  # noqa: S608
        f" AND {_FREE} LIMIT :limit",
        limit=limit,
    )

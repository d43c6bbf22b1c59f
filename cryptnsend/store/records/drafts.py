"""Rows of what is being written: drafts and their files. All content is sealed; rows say whose, of what, and when.

A draft is its writer's, whatever organisation the answered message belongs to, so these statements take the account.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import astuple, dataclass

from cryptnsend.core.contracts import Reader, Row, Rows

_COLUMNS = "id, org, account, parent, pair, suite, sealed_key, body, blob_key, octets, created, changed"


@dataclass(frozen=True, slots=True)
class DraftRow:
    """One draft as it rests, in the order of the table's columns."""

    id: int
    org: int
    account: int
    parent: int | None
    pair: int
    suite: int
    sealed_key: bytes
    body: bytes | None
    blob_key: str | None
    octets: int
    created: int
    changed: int
    nonce: bytes  # of the form it was kept from


@dataclass(frozen=True, slots=True)
class FileRow:
    """One file of a draft as it rests, in the order of the table's columns."""

    id: int
    org: int
    draft: int
    body: bytes | None
    blob_key: str | None
    octets: int


def put(rows: Rows, draft: DraftRow) -> str | None:
    """Write a draft, in the place of what it was before; return the blob that no row names any more."""
    earlier = rows.query(
        "SELECT blob_key FROM drafts WHERE id = :id AND account = :account", {"id": draft.id, "account": draft.account}
    )
    rows.execute(
        "INSERT INTO drafts(id, org, account, parent, pair, suite, sealed_key, body, blob_key, octets, created,"
        " changed, nonce) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT(id) DO UPDATE SET pair = excluded.pair, suite = excluded.suite, sealed_key = excluded.sealed_key,"
        " body = excluded.body, blob_key = excluded.blob_key, octets = excluded.octets, changed = excluded.changed,"
        " nonce = excluded.nonce"
        " WHERE drafts.account = excluded.account",
        astuple(draft),
    )
    return earlier[0]["blob_key"] if earlier else None


def put_file(rows: Rows, file: FileRow) -> bool:
    """Write a file of a draft; say False if there is one with its id."""
    return bool(
        rows.execute(
            "INSERT INTO draft_files(id, org, draft, body, blob_key, octets) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT(id) DO NOTHING",
            astuple(file),
        )
    )


def move_files(rows: Rows, account: int, source: int, target: int) -> None:
    """Give the files of one draft to another one of the same account."""
    rows.execute(
        "UPDATE draft_files SET draft = :target WHERE draft = :source AND draft IN"
        " (SELECT id FROM drafts WHERE id = :source AND account = :account)",
        {"source": source, "target": target, "account": account},
    )


def drop_files(rows: Rows, account: int, draft: int, but: Sequence[int] = ()) -> list[str]:
    """Delete files of a draft, all but some; return the blobs to discard after COMMIT."""
    found = rows.query(
        "SELECT f.id, f.blob_key FROM draft_files f JOIN drafts d ON d.id = f.draft"
        " WHERE f.draft = :draft AND d.account = :account",
        {"draft": draft, "account": account},
    )
    gone = [row for row in found if row["id"] not in but]
    rows.many("DELETE FROM draft_files WHERE id = ?", [(row["id"],) for row in gone])
    return [row["blob_key"] for row in gone if row["blob_key"]]


def drop(rows: Rows, account: int, draft: int) -> list[str]:
    """Delete a draft with its files, if it is this account's; return the blobs to discard after COMMIT."""
    blobs = drop_files(rows, account, draft)
    found = rows.query(
        "DELETE FROM drafts WHERE id = :id AND account = :account RETURNING blob_key", {"id": draft, "account": account}
    )
    return blobs + [row["blob_key"] for row in found if row["blob_key"]]


def drop_sent(rows: Rows, account: int, parent: int, nonce: bytes, pairs: Collection[int]) -> list[str]:
    """
    Delete an account's drafts that answer one message, or were kept from the form with this *nonce*.

    Returns the blobs to discard after COMMIT. Those under other than these *pairs* stay: whoever sent the message could
    not read them.
    """
    found = rows.query(
        "SELECT id, pair FROM drafts WHERE account = :account"
        " AND (parent = :parent OR parent IS NULL AND nonce = :nonce AND nonce <> :none)",
        {"account": account, "parent": parent, "nonce": nonce, "none": b""},
    )
    return [blob for row in found if row["pair"] in pairs for blob in drop(rows, account, row["id"])]


def drop_stale(rows: Rows, account: int, ident: int, before: int) -> list[str]:
    """Delete a draft unless it was touched since then after all; return the blobs to discard after COMMIT."""
    still = rows.query("SELECT changed FROM drafts WHERE id = :id", {"id": ident})
    return drop(rows, account, ident) if still and still[0]["changed"] < before else []


def current_pair(reader: Reader, holder: str, custody: str) -> Row | None:
    """Return id and suite of a holder's current pair, as the rows have it; the keys are the writer's own."""
    found = reader.query(
        "SELECT id, suite FROM pairs WHERE holder = :holder AND state = 'current' AND custody = :custody",
        holder=holder,
        custody=custody,
    )
    return found[0] if found else None


def draft(reader: Reader, account: int, ident: int) -> Row | None:
    """Return a draft of this account, or None."""
    found = reader.query(
        f"SELECT {_COLUMNS} FROM drafts WHERE id = :id AND account = :account",  # noqa: S608 - columns from above
        id=ident,
        account=account,
    )
    return found[0] if found else None


def listing(reader: Reader, account: int, limit: int) -> list[Row]:
    """Return the drafts of an account, the latest changed first."""
    return reader.query(
        f"SELECT {_COLUMNS} FROM drafts WHERE account = :account ORDER BY changed DESC, id DESC LIMIT :limit",  # noqa: S608
        account=account,
        limit=limit,
    )


def answering(reader: Reader, account: int, parent: int) -> list[Row]:
    """Return an account's drafts that answer one message, the latest changed first."""
    return reader.query(
        f"SELECT {_COLUMNS} FROM drafts WHERE account = :account AND parent = :parent"  # noqa: S608 - as above
        " ORDER BY changed DESC, id DESC",
        account=account,
        parent=parent,
    )


def count(reader: Reader, account: int) -> int:
    """Return how many drafts an account has."""
    found = reader.query("SELECT count(*) AS n FROM drafts WHERE account = :account", account=account)
    number: int = found[0]["n"]
    return number


def file(reader: Reader, account: int, ident: int) -> Row | None:
    """Return where a file of one of this account's drafts rests, or None."""
    found = reader.query(
        "SELECT f.id, f.draft, f.body, f.blob_key FROM draft_files f JOIN drafts d ON d.id = f.draft"
        " WHERE f.id = :id AND d.account = :account",
        id=ident,
        account=account,
    )
    return found[0] if found else None


def used(rows: Rows, account: int) -> tuple[int, int]:
    """Return how many drafts an account has, and how many sealed octets they and their files take."""
    found = rows.query(
        "SELECT count(*) AS n, coalesce(sum(octets), 0) AS octets FROM drafts WHERE account = :account",
        {"account": account},
    )
    files = rows.query(
        "SELECT coalesce(sum(f.octets), 0) AS octets FROM draft_files f JOIN drafts d ON d.id = f.draft"
        " WHERE d.account = :account",
        {"account": account},
    )
    return found[0]["n"], found[0]["octets"] + files[0]["octets"]


def is_sent(rows: Rows, account: int, nonce: bytes) -> bool:
    """Say whether the form with this nonce made a message already."""
    found = rows.query(
        "SELECT 1 AS one FROM form_nonces WHERE account = :account AND nonce = :nonce AND message IS NOT NULL",
        {"account": account, "nonce": nonce},
    )
    return bool(found)


def note_sent(rows: Rows, org: int, account: int, nonce: bytes, parent: int, now: int) -> None:
    """Remember that the form with this nonce, an answer to *parent*, made a message."""
    rows.execute(
        "INSERT INTO form_nonces(org, account, nonce, message, created) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT(account, nonce) DO NOTHING",
        (org, account, nonce, parent, now),
    )


def stale(reader: Reader, before: int, limit: int = 500) -> list[Row]:
    """Return drafts (id, account) of all accounts that nobody has touched since then."""
    return reader.query(
        "SELECT id, account FROM drafts WHERE changed < :before ORDER BY changed LIMIT :limit",
        before=before,
        limit=limit,
    )

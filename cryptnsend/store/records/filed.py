"""Rows of what a mail program brought into a mailbox: drafts, copies. Sealed to their owner, who alone opens them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

from cryptnsend.core.contracts import Reader, Row, Rows


@dataclass(frozen=True, slots=True)
class Filed:
    """One message as it rests, in the order of the table's columns."""

    id: int
    org: int
    account: int
    pair: int
    suite: int
    sealed_key: bytes
    summary: bytes
    body: bytes | None
    blob_key: str | None
    octets: int


def add(rows: Rows, row: Filed) -> None:
    """File a message."""
    rows.execute("INSERT INTO filed VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", astuple(row))


def used(rows: Rows, account: int) -> int:
    """Return how many sealed octets an account has filed."""
    found = rows.query("SELECT coalesce(sum(octets), 0) AS n FROM filed WHERE account = :account", {"account": account})
    return int(found[0]["n"])


def several(reader: Reader, account: int, idents: Sequence[int]) -> list[Row]:
    """Return what an account filed under these ids, without the bodies that rest in rows; at most 500 at once."""
    names = {f"m{number}": each for number, each in enumerate(idents)}
    marks = ", ".join(f":{name}" for name in names)
    return reader.query(
        f"SELECT id, pair, sealed_key, summary FROM filed WHERE id IN ({marks}) AND account = :account",  # noqa: S608
        account=account,
        **names,
    )


def content(reader: Reader, account: int, ident: int) -> Row | None:
    """Return where the octets of something filed rest."""
    found = reader.query(
        "SELECT body, blob_key FROM filed WHERE id = :id AND account = :account", id=ident, account=account
    )
    return found[0] if found else None


def drop(rows: Rows, account: int, ident: int) -> str | None:
    """Remove something filed, and return the blob to discard after COMMIT."""
    found = rows.query(
        "SELECT blob_key FROM filed WHERE id = :id AND account = :account", {"id": ident, "account": account}
    )
    rows.execute("DELETE FROM filed WHERE id = :id AND account = :account", {"id": ident, "account": account})
    return found[0]["blob_key"] if found else None

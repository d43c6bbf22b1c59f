"""Rows of files that rest beside a message: which belong to it, tickets to have them, who had them and when."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

from cryptnsend.core.contracts import Reader, Row, Rows
from cryptnsend.store.records import filelinks


@dataclass(frozen=True, slots=True)
class TicketRow:
    """A download that was begun."""

    id: bytes
    org: int
    message: int
    file: int
    account: int
    session: bytes
    sealed: bytes
    ends: int


@dataclass(frozen=True, slots=True)
class DownloadRow:
    """One download."""

    id: int
    org: int
    message: int
    file: int
    account: int
    at: int


def bind(rows: Rows, org: int, account: int, message: int, file: int) -> bool:
    """Let a whole file of this account belong to a message; say False if there is none such."""
    return bool(
        rows.execute(
            "INSERT INTO message_files(message, file, org) SELECT m.id, u.id, m.org FROM uploads u"
            " JOIN messages m ON m.id = :message WHERE u.id = :file AND u.org = :org AND u.account = :account"
            " AND u.arrived = u.size",
            {"message": message, "file": file, "org": org, "account": account},
        )
    )


def belongs(reader: Reader, org: int, message: int, file: int) -> bool:
    """Say whether a file belongs to a message."""
    return bool(
        reader.query(
            "SELECT 1 AS one FROM message_files WHERE org = :org AND message = :message AND file = :file",
            org=org,
            message=message,
            file=file,
        )
    )


def any_of(reader: Reader, org: int, message: int) -> bool:
    """Say whether files rest beside a message."""
    return bool(
        reader.query(
            "SELECT 1 AS one FROM message_files WHERE org = :org AND message = :message LIMIT 1",
            org=org,
            message=message,
        )
    )


def add_ticket(rows: Rows, ticket: TicketRow) -> None:
    """Write a ticket."""
    rows.execute(
        "INSERT INTO file_tickets(id, org, message, file, account, session, sealed, ends)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        astuple(ticket),
    )


def ticket(reader: Reader, ident: bytes, now: int) -> Row | None:
    """Return a ticket that still holds, or None."""
    found = reader.query(
        "SELECT org, message, file, link, account, session, sealed FROM file_tickets WHERE id = :id AND ends > :now",
        id=ident,
        now=now,
    )
    return found[0] if found else None


def add_download(rows: Rows, download: DownloadRow) -> None:
    """Count a download."""
    rows.execute(
        "INSERT INTO downloads(id, org, message, file, account, at) VALUES (?, ?, ?, ?, ?, ?)",
        astuple(download),
    )


def downloads(reader: Reader, org: int, message: int, limit: int = 500) -> list[Row]:
    """Return who had a file of a message (file, address or None, link or None, at), the latest first."""
    return reader.query(
        "SELECT d.file, d.at, d.link, (SELECT a.canonical"
        "  FROM recipients r JOIN addresses a ON a.id = r.address"
        "  WHERE r.message = d.message AND a.account = d.account LIMIT 1) AS address"
        " FROM downloads d WHERE d.org = :org AND d.message = :message ORDER BY d.at DESC, d.id DESC LIMIT :limit",
        org=org,
        message=message,
        limit=limit,
    )


def forget_tickets(rows: Rows, now: int) -> None:
    """Delete tickets that hold no more."""
    rows.execute("DELETE FROM file_tickets WHERE ends <= ?", (now,))


def release(rows: Rows, messages: Iterable[tuple[int, int]]) -> None:
    """Let (org, id) messages that are gone need no file any more; upkeep finds those that nothing needs."""
    for org, message in messages:
        filelinks.forget(rows, message)
        for table in ("file_tickets", "message_files"):
            rows.execute(f"DELETE FROM {table} WHERE org = ? AND message = ?", (org, message))  # noqa: S608 - from this list


def forget(rows: Rows, message: int) -> None:
    """Delete what the rows say of the files of a message that is forgotten."""
    filelinks.forget(rows, message)
    tables: Sequence[str] = ("file_tickets", "message_files", "downloads")
    for table in tables:
        rows.execute(f"DELETE FROM {table} WHERE message = ?", (message,))  # noqa: S608 - from this list

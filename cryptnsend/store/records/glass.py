"""Rows of glass breaks, as officers see them; the keeper's ledger has the truth about each."""

from __future__ import annotations

from cryptnsend.core.contracts import Reader, Row, Rows

_WHOLE = (
    "SELECT b.id, b.org, b.officer, b.mailbox, b.reason, b.minutes, b.asked, b.agreed_by, b.agreed, b.opened, b.ends,"
    " b.ended, b.session, b.sealed, b.second,"
    " (SELECT min(a.canonical) FROM addresses a WHERE a.account = b.officer) AS asker,"
    " (SELECT min(a.canonical) FROM addresses a WHERE a.account = b.agreed_by) AS agreer,"
    " (SELECT min(a.canonical) FROM addresses a WHERE a.account = b.second) AS named FROM glass_breaks b"
)


def put(
    rows: Rows, ident: int, org: int, officer: int, mailbox: str, reason: str, minutes: int, asked: int,
    second: int | None,
) -> None:  # fmt: skip
    """Note a glass break that somebody asked for, and who is to agree if anybody is."""
    rows.execute(
        "INSERT INTO glass_breaks(id, org, officer, mailbox, reason, minutes, asked, second)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(id) DO NOTHING",
        (ident, org, officer, mailbox, reason, minutes, asked, second),
    )


def agreed(rows: Rows, org: int, ident: int, account: int, now: int) -> None:
    """Note who agreed."""
    rows.execute(
        "UPDATE glass_breaks SET agreed_by = ?, agreed = ? WHERE org = ? AND id = ? AND agreed IS NULL",
        (account, now, org, ident),
    )


def opened(rows: Rows, org: int, ident: int, at: int, ends: int, session: bytes, sealed: bytes) -> None:
    """Note that one is open, for whose session, and what opens the archive under that session's secret."""
    rows.execute(
        "UPDATE glass_breaks SET opened = ?, ends = ?, session = ?, sealed = ? WHERE org = ? AND id = ?",
        (at, ends, session, sealed, org, ident),
    )


def ended(rows: Rows, org: int, ident: int, now: int) -> bool:
    """Note that one is over, and forget what opened the archive; False if it was over already."""
    return bool(
        rows.execute(
            "UPDATE glass_breaks SET ended = ?, session = NULL, sealed = NULL"
            " WHERE org = ? AND id = ? AND ended IS NULL",
            (now, org, ident),
        )
    )


def over(reader: Reader, now: int, waits: int) -> list[Row]:
    """Return (id, org, opened) of those whose time is over, or that nobody agreed to within *waits* milliseconds."""
    return reader.query(
        "SELECT id, org, opened FROM glass_breaks WHERE ended IS NULL"
        " AND (ends <= :now OR ends IS NULL AND asked <= :before)",
        now=now,
        before=now - waits,
    )


def of_officer(rows: Rows, officer: int) -> list[Row]:
    """Return (id, org) of those that an account asked for and that are not over."""
    return rows.query("SELECT id, org FROM glass_breaks WHERE officer = ? AND ended IS NULL", (officer,))


def one(reader: Reader, org: int, ident: int) -> Row | None:
    """Return one glass break of an organisation."""
    found = reader.query(f"{_WHOLE} WHERE b.org = :org AND b.id = :id", org=org, id=ident)
    return found[0] if found else None


def listing(reader: Reader, org: int, limit: int = 100) -> list[Row]:
    """Return an organisation's glass breaks, the newest first."""
    return reader.query(f"{_WHOLE} WHERE b.org = :org ORDER BY b.asked DESC LIMIT :limit", org=org, limit=limit)

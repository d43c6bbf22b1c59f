"""Rows of links by which anybody may have files of a message: whose, until when, how often."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass

from cryptnsend.core.contracts import Reader, Row, Rows

NOTHING = b""  # what is sealed of a link that is over
_COLUMNS = (
    "l.id, l.org, l.message, l.locator, l.way, l.salt, l.params, l.files, l.own, l.pair, l.state, l.most, l.spent,"
    " l.ends, l.created, l.mark, l.guesses"
)
# Whoever takes a message back from everybody, or lets its time run out, ends its links. What a single person sent to
# themselves has no recipient who could lose it.
_HELD = (
    "EXISTS (SELECT 1 FROM grants g WHERE g.message = m.id AND g.role = 'recipient' AND g.state = 'active'"
    " AND (g.ends > :now OR g.ends IS NULL AND (SELECT count(*) FROM recipients r WHERE r.message = m.id) = 1))"
)


@dataclass(frozen=True, slots=True)
class LinkRow:
    """One link as it rests, in the order of the table's columns."""

    id: int
    org: int
    message: int
    locator: bytes
    way: str
    salt: bytes
    params: str
    files: bytes
    own: bytes
    pair: int
    state: str
    most: int
    spent: int
    ends: int
    created: int
    mark: bytes = NOTHING  # of all that never changes, see flow.linkmarks
    guesses: int = 0  # wrong passwords so far


@dataclass(frozen=True, slots=True)
class TicketRow:
    """A link that was opened by a browser, or a download by it that was begun."""

    id: bytes
    org: int
    message: int
    file: int
    link: int
    session: bytes
    sealed: bytes
    ends: int


@dataclass(frozen=True, slots=True)
class DownloadRow:
    """One download by a link."""

    id: int
    org: int
    message: int
    file: int
    link: int
    at: int


def add(rows: Rows, link: LinkRow) -> None:
    """Write a link."""
    rows.execute("INSERT INTO file_links VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", astuple(link))


def count(rows: Rows, org: int, message: int, now: int) -> int:
    """Return how many links of a message hold."""
    found = rows.query(
        "SELECT count(*) AS n FROM file_links WHERE org = :org AND message = :message AND state = 'active'"
        " AND ends > :now",
        {"org": org, "message": message, "now": now},
    )
    return int(found[0]["n"])


def by_locator(reader: Reader, locator: bytes) -> Row | None:
    """Return the link at an address, by its hash: the named exception, since whoever asks has no organisation."""
    found = reader.query(f"SELECT {_COLUMNS} FROM file_links l WHERE l.locator = :locator", locator=locator)  # noqa: S608
    return found[0] if found else None


def by_id(reader: Reader, ident: int) -> Row | None:
    """Return a link by its number, for the owner of the home."""
    found = reader.query(f"SELECT {_COLUMNS} FROM file_links l WHERE l.id = :id", id=ident)  # noqa: S608 - from above
    return found[0] if found else None


def every_active(reader: Reader, page: int = 500) -> Iterator[Row]:
    """Yield the links of all organisations that are not over by their rows, for `vault verify`."""
    last = 0
    while True:
        found = reader.query(
            f"SELECT {_COLUMNS} FROM file_links l WHERE l.state = 'active' AND l.id > :last ORDER BY l.id LIMIT :page",  # noqa: S608
            last=last,
            page=page,
        )
        yield from found
        if not found:
            return
        last = found[-1]["id"]


def guessed(rows: Rows, org: int, ident: int) -> int:
    """Count a wrong password; return how many that are."""
    found = rows.query(
        "UPDATE file_links SET guesses = guesses + 1 WHERE id = :id AND org = :org RETURNING guesses",
        {"id": ident, "org": org},
    )
    return int(found[0]["guesses"]) if found else 0


def of(reader: Reader, org: int, message: int) -> list[Row]:
    """Return the links of a message, the newest first."""
    return reader.query(
        f"SELECT {_COLUMNS} FROM file_links l WHERE l.org = :org AND l.message = :message ORDER BY l.id DESC",  # noqa: S608
        org=org,
        message=message,
    )


def holds(reader: Reader, org: int, ident: int, now: int) -> bool:
    """Say whether a link and the message behind it hold now."""
    return bool(
        reader.query(
            "SELECT 1 AS one FROM file_links l JOIN messages m ON m.id = l.message"  # noqa: S608 - from above
            f" WHERE l.id = :id AND l.org = :org AND l.state = 'active' AND l.ends > :now AND {_HELD}",
            id=ident,
            org=org,
            now=now,
        )
    )


def message_holds(reader: Reader, org: int, message: int, now: int) -> bool:
    """Say whether links of a message could hold now: whether anybody but its author can open it."""
    return bool(
        reader.query(
            f"SELECT 1 AS one FROM messages m WHERE m.id = :message AND m.org = :org AND {_HELD}",  # noqa: S608
            message=message,
            org=org,
            now=now,
        )
    )


def listing(reader: Reader, message: int, limit: int) -> list[Row]:
    """Return links of all organisations, or of one *message* if that is not 0, the newest first: for the owner."""
    return reader.query(
        "SELECT l.id, l.org, l.message, l.way, l.state, l.most, l.spent, l.ends, l.created, a.canonical AS author"
        " FROM file_links l JOIN messages m ON m.id = l.message JOIN addresses a ON a.id = m.author_address"
        " WHERE :message = 0 OR l.message = :message ORDER BY l.id DESC LIMIT :limit",
        message=message,
        limit=limit,
    )


def spend(rows: Rows, org: int, ident: int, now: int) -> bool:
    """Count one download; say False where a link is over or had as often as it may be."""
    return bool(
        rows.execute(
            "UPDATE file_links SET spent = spent + 1 WHERE id = ? AND org = ? AND state = 'active' AND ends > ?"
            " AND (most = 0 OR spent < most)",
            (ident, org, now),
        )
    )


def revoke(rows: Rows, org: int, message: int, ident: int) -> bool:
    """End a link for good: what its address or password opened is deleted. Say False if it was over already."""
    ended = rows.execute(
        "UPDATE file_links SET state = 'revoked', files = ?, own = ? WHERE id = ? AND org = ? AND state = 'active'",
        (NOTHING, NOTHING, ident, org),
    )
    if ended:
        rows.execute("DELETE FROM file_tickets WHERE message = ? AND link = ?", (message, ident))
    return bool(ended)


def end_old(rows: Rows, now: int) -> None:
    """Delete what links opened whose time is over; that they were there stays."""
    rows.execute(
        "UPDATE file_links SET state = 'ended', files = ?, own = ? WHERE state = 'active' AND ends <= ?",
        (NOTHING, NOTHING, now),
    )


def end_all(rows: Rows) -> None:
    """End every link there is."""
    rows.execute("DELETE FROM file_tickets WHERE link IS NOT NULL")
    rows.execute("UPDATE file_links SET state = 'ended', files = ?, own = ? WHERE state = 'active'", (NOTHING, NOTHING))


def add_ticket(rows: Rows, ticket: TicketRow) -> bool:
    """Write a ticket unless the same button made it before; say whether it is new."""
    if rows.query("SELECT 1 AS one FROM file_tickets WHERE id = :id", {"id": ticket.id}):
        return False
    rows.execute(
        "INSERT INTO file_tickets(id, org, message, file, link, session, sealed, ends) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        astuple(ticket),
    )
    return True


def add_download(rows: Rows, download: DownloadRow) -> None:
    """Write down a download."""
    rows.execute(
        "INSERT INTO downloads(id, org, message, file, link, at) VALUES (?, ?, ?, ?, ?, ?)",
        astuple(download),
    )


def forget(rows: Rows, message: int) -> None:
    """Delete the links of a message that is gone, with all that leads to its files."""
    rows.execute("DELETE FROM file_tickets WHERE message = ? AND link IS NOT NULL", (message,))
    rows.execute("DELETE FROM file_links WHERE message = ?", (message,))

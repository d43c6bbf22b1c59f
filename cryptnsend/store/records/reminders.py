"""Rows of recipients who have not opened a message: when to look whether they are to be reminded of it.

Upkeep walks over all organisations at once, a named exception to "every query takes the organisation"; what is acted
upon carries its own along, and says once more, inside the transaction, what it may change.
"""

from __future__ import annotations

from cryptnsend.core.contracts import Reader, Row, Rows

_PAGE = 500
TEMPLATES = ("reminder", "reminder-last")


def due(reader: Reader, now: int, limit: int = _PAGE) -> list[Row]:
    """
    Return the unopened copies to look at by now, each with its grant and its newest notice.

    `state` and `ends` are the grant's, None where there is none any more; `left`, `latest` and `dsn` say how the newest
    notice stands and when it was made.
    """
    return reader.query(
        "SELECT r.org, r.message, r.address, r.notified, r.fetched, r.reminded, a.canonical, g.state, g.ends,"
        " d.state AS left, d.created AS latest, d.dsn FROM recipients r JOIN addresses a ON a.id = r.address"
        " LEFT JOIN grants g ON g.id = (SELECT max(x.id) FROM grants x WHERE x.message = r.message"
        "  AND x.role = 'recipient' AND (x.holder = 'address:' || a.canonical OR x.holder = 'account:' || a.account))"
        " LEFT JOIN deliveries d ON d.id = (SELECT max(n.id) FROM deliveries n WHERE n.message = r.message"
        "  AND n.recipient = r.address AND n.kind IN ('notice', 'handoff', 'relay'))"
        " WHERE r.remind <= :now ORDER BY r.remind LIMIT :limit",
        now=now,
        limit=limit,
    )


def look_again(rows: Rows, copy: Row, at: int | None) -> None:
    """Look at an unopened copy of a message at another time, or never again with None."""
    _set(rows, copy, copy["reminded"], at)


def note(rows: Rows, copy: Row, reminded: int, at: int | None) -> bool:
    """Write how far its reminders have come; False if it was opened, or looked at by another, meanwhile."""
    return _set(rows, copy, reminded, at) == 1


def _set(rows: Rows, copy: Row, reminded: int, at: int | None) -> int:
    return rows.execute(
        "UPDATE recipients SET reminded = :reminded, remind = :at WHERE org = :org AND message = :message"
        " AND address = :address AND reminded = :before AND remind IS NOT NULL AND first_opened IS NULL",
        {
            "reminded": reminded, "at": at, "org": copy["org"], "message": copy["message"], "address": copy["address"],
            "before": copy["reminded"],
        },
    )  # fmt: skip


def sooner(rows: Rows, org: int, message: int, at: int) -> None:
    """Look at the unopened copies of a message at *at*, because their end has moved."""
    rows.execute(
        "UPDATE recipients SET remind = :at WHERE org = :org AND message = :message AND decision IN ('vault', 'pdf')"
        " AND first_opened IS NULL AND notified IS NOT NULL AND reminded < 2",
        {"at": at, "org": org, "message": message},
    )

"""Rows of subscribers' pages for visitors, and of who wrote by them.

A page is looked for by its handle, or by an address, over all organisations: whoever looks knows no other name of it.
"""

from __future__ import annotations

from typing import NamedTuple

from cryptnsend.core.contracts import Reader, Row, Rows

# Whoever closed the account, was disabled or is no subscriber any more has no page; nor while an account is weak, in
# which somebody might read along who has no more than the mailbox.
_PAGE = (
    "SELECT p.account, p.org, p.handle, p.is_open, p.findable, p.greeting_en, p.greeting_es, k.name, k.phone, k.locale,"
    " a.canonical AS address, CASE WHEN o.single = 1 THEN '' ELSE o.name END AS organisation"
    " FROM visitor_pages p JOIN accounts k ON k.id = p.account JOIN organisations o ON o.id = k.org"
    " JOIN addresses a ON a.id = (SELECT min(x.id) FROM addresses x WHERE x.account = k.id)"
)
_OPEN = " AND p.is_open = 1 AND k.state = 'active' AND ',' || k.roles || ',' LIKE '%,subscriber,%'"


class Wrote(NamedTuple):
    """How somebody stands to a page after a letter: when their first one came, and how many came today."""

    since: int
    letters: int


def page(reader: Reader, handle: str) -> Row | None:
    """Return the page with this handle, if visitors may use it."""
    found = reader.query(f"{_PAGE} WHERE p.handle = :handle{_OPEN}", handle=handle)
    return found[0] if found else None


def page_at(reader: Reader, canonical: str) -> Row | None:
    """Return the page of who has this very address, if it may be found in this way."""
    found = reader.query(
        # Whoever has no account has the page of account 0, which is looked for as well: the time tells no difference.
        f"{_PAGE} WHERE p.account = coalesce((SELECT y.account FROM addresses y WHERE y.canonical = :canonical), 0)"  # noqa: S608 - texts of ours
        f" AND p.findable = 1{_OPEN}",
        canonical=canonical,
    )
    return found[0] if found else None


def page_of(reader: Reader, org: int, account: int) -> Row | None:
    """Return the page that a subscriber made, whether it is open or not."""
    found = reader.query(f"{_PAGE} WHERE p.account = :account AND p.org = :org", account=account, org=org)
    return found[0] if found else None


def is_open(rows: Rows, org: int, account: int) -> bool:
    """Say whether visitors may write to this subscriber."""
    return bool(
        rows.query(
            "SELECT 1 AS one FROM visitor_pages p JOIN accounts k ON k.id = p.account"  # noqa: S608 - texts of ours
            f" WHERE p.account = :account AND p.org = :org{_OPEN}",
            {"account": account, "org": org},
        )
    )


def take(rows: Rows, org: int, account: int, handle: str, looks: str, now: int) -> bool:
    """Take a handle for good; False if it was somebody else's at any time, or looks like one that was."""
    found = rows.query("SELECT account, handle FROM visitor_handles WHERE looks = :looks", {"looks": looks})
    if found:
        taken: bool = found[0]["account"] == account and found[0]["handle"] == handle
        return taken
    rows.execute(
        "INSERT INTO visitor_handles(looks, org, account, handle, taken)"
        " VALUES (:looks, :org, :account, :handle, :now)",
        {"looks": looks, "org": org, "account": account, "handle": handle, "now": now},
    )
    return True


def taken(rows: Rows, account: int) -> int:
    """Return how many handles an account has taken so far."""
    found = rows.query("SELECT count(*) AS n FROM visitor_handles WHERE account = :account", {"account": account})
    many: int = found[0]["n"]
    return many


def save(
    rows: Rows,
    org: int,
    account: int,
    handle: str,
    *,
    is_open: bool,
    findable: bool,
    greeting_en: str,
    greeting_es: str,
    now: int,
) -> None:
    """Note what a subscriber's page says, and whether it is open."""
    rows.execute(
        "INSERT INTO visitor_pages(account, org, handle, is_open, findable, greeting_en, greeting_es, changed)"
        " VALUES (:account, :org, :handle, :is_open, :findable, :greeting_en, :greeting_es, :now)"
        " ON CONFLICT(account) DO UPDATE SET handle = excluded.handle, is_open = excluded.is_open,"
        " findable = excluded.findable, greeting_en = excluded.greeting_en, greeting_es = excluded.greeting_es,"
        " changed = excluded.changed",
        {
            "account": account, "org": org, "handle": handle, "is_open": int(is_open), "findable": int(findable),
            "greeting_en": greeting_en, "greeting_es": greeting_es, "now": now,
        },
    )  # fmt: skip


# -- who wrote --------------------------------------------------------------------------------------------------------


def visitor(reader: Reader, org: int, account: int, address: int) -> Row | None:
    """Return what is noted of who wrote to a subscriber by the page."""
    found = reader.query(
        "SELECT since, day, letters, blocked FROM visitors"
        " WHERE account = :account AND address = :address AND org = :org",
        account=account,
        address=address,
        org=org,
    )
    return found[0] if found else None


def first_letters(rows: Rows, account: int, since: int) -> int:
    """Return how many people have written to a subscriber for the first time since then."""
    found = rows.query(
        "SELECT count(*) AS n FROM visitors WHERE account = :account AND since > :since",
        {"account": account, "since": since},
    )
    many: int = found[0]["n"]
    return many


def wrote(rows: Rows, org: int, account: int, address: int, now: int, day: int) -> Wrote:
    """Count a letter of this day."""
    rows.execute(
        "INSERT INTO visitors(account, address, org, since, day, letters, blocked)"
        " VALUES (:account, :address, :org, :now, :day, 1, NULL)"
        " ON CONFLICT(account, address) DO UPDATE SET day = excluded.day,"
        " letters = CASE WHEN visitors.day = excluded.day THEN visitors.letters + 1 ELSE 1 END",
        {"account": account, "address": address, "org": org, "now": now, "day": day},
    )
    found = rows.query(
        "SELECT since, letters FROM visitors WHERE account = :account AND address = :address",
        {"account": account, "address": address},
    )
    return Wrote(found[0]["since"], found[0]["letters"])


def is_blocked(rows: Rows, account: int, address: int) -> bool:
    """Say whether a subscriber takes nothing from this address of a visitor any more."""
    return bool(
        rows.query(
            "SELECT 1 AS one FROM visitors WHERE account = :account AND address = :address AND blocked IS NOT NULL",
            {"account": account, "address": address},
        )
    )


def block(rows: Rows, org: int, account: int, address: int, since: int | None) -> bool:
    """Take nothing from a visitor since then, or again with None; False if they never wrote."""
    return bool(
        rows.execute(
            "UPDATE visitors SET blocked = :since WHERE account = :account AND address = :address AND org = :org",
            {"account": account, "address": address, "org": org, "since": since},
        )
    )


def blocked(reader: Reader, org: int, account: int) -> list[Row]:
    """Return whom a subscriber has blocked, the latest first."""
    return reader.query(
        "SELECT v.address, v.blocked, a.display, coalesce(k.name, '') AS name FROM visitors v"
        " JOIN addresses a ON a.id = v.address LEFT JOIN accounts k ON k.id = a.account"
        " WHERE v.account = :account AND v.org = :org AND v.blocked IS NOT NULL ORDER BY v.blocked DESC",
        account=account,
        org=org,
    )


def author_of(reader: Reader, org: int, message: int) -> Row | None:
    """Return by whom and from which address a message was written that came by such a page."""
    found = reader.query(
        "SELECT m.author, m.author_address AS address, a.display, t.subscriber FROM messages m"
        " JOIN threads t ON t.id = m.thread JOIN addresses a ON a.id = m.author_address"
        " WHERE m.id = :message AND m.org = :org",
        message=message,
        org=org,
    )
    return found[0] if found else None


def letters_of(reader: Reader, holder: str, limit: int) -> list[Row]:
    """Return the latest letters that *holder* wrote by such pages, over all organisations: their author's own list."""
    # Both about the role: the index of lists is of what is no archive's, and only these words lead to it.
    return reader.query(
        "SELECT m.id, m.created, k.name, a.display FROM grants g JOIN messages m ON m.id = g.message"
        " JOIN threads t ON t.id = m.thread JOIN accounts k ON k.id = t.subscriber"
        " LEFT JOIN addresses a ON a.id = (SELECT min(x.id) FROM addresses x WHERE x.account = k.id)"
        " WHERE g.holder = :holder AND g.role = 'author' AND g.role <> 'archive' AND g.state = 'active'"
        " AND m.origin = 'visitor'"
        " ORDER BY g.message DESC LIMIT :limit",
        holder=holder,
        limit=limit,
    )


# -- proofs of work ---------------------------------------------------------------------------------------------------


def use(rows: Rows, challenge: bytes, now: int, ends: int) -> bool:
    """Use a proof of work up; False if it was used before. Those that have ended are forgotten."""
    rows.execute("DELETE FROM visitor_sums WHERE ends <= :now", {"now": now})
    return bool(
        rows.execute(
            "INSERT INTO visitor_sums(challenge, org, ends) VALUES (:challenge, 0, :ends) ON CONFLICT DO NOTHING",
            {"challenge": challenge, "ends": ends},
        )
    )

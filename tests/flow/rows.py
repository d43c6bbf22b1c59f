"""What stands in the rows of an admitted message, for tests to look at."""

from __future__ import annotations

from typing import Any

from tests.support.house import House

Row = dict[str, Any]


def recipients(house: House, message: int) -> dict[str, Row]:
    """Return each addressed person's row by canonical address."""
    found = house.engine.query(
        "SELECT r.*, a.canonical FROM recipients r JOIN addresses a ON a.id = r.address WHERE r.message = :m",
        m=message,
    )
    return {row["canonical"]: row for row in found}


def grants(house: House, message: int) -> dict[tuple[str, str], Row]:
    """Return grants by (holder, role), each with the owner and holder of the epoch it rests under."""
    found = house.engine.query(
        "SELECT g.*, e.owner AS sealed_to, e.holder AS sealed_for, p.custody AS pair_custody FROM grants g"
        " JOIN epochs e ON e.id = g.epoch JOIN pairs p ON p.id = e.pair WHERE g.message = :m",
        m=message,
    )
    return {(row["holder"], row["role"]): row for row in found}


def deliveries(house: House, message: int) -> list[tuple[str, str, str]]:
    """Return (kind, form, recipient) of what has to leave for a message, sorted."""
    found = house.engine.query(
        "SELECT d.kind, d.form, a.canonical FROM deliveries d JOIN addresses a ON a.id = d.recipient"
        " WHERE d.message = :m",
        m=message,
    )
    return sorted((row["kind"], row["form"], row["canonical"]) for row in found)


def thread_of(house: House, message: int) -> Row:
    """Return the thread a message stands in, and its parent."""
    return house.engine.query(
        "SELECT t.*, m.parent FROM messages m JOIN threads t ON t.id = m.thread WHERE m.id = :m", m=message
    )[0]


def count(house: House, table: str) -> int:
    """Return how many rows a table has."""
    return int(house.engine.query(f"SELECT count(*) AS n FROM {table}")[0]["n"])  # noqa: S608 - a test's own words


TABLES = (
    "threads",
    "messages",
    "contents",
    "recipients",
    "grants",
    "deliveries",
    "contacts",
    "counters",
    "form_nonces",
)


def everything(house: House) -> dict[str, int]:
    """Return the sizes of all tables an admission writes, and how many blobs there are."""
    sizes = {table: count(house, table) for table in (*TABLES, "addresses", "audit", "epochs", "links")}
    return sizes | {"blobs": len(list(house.portal.blobs.keys()))}

"""Rows of journals: copies of an organisation's mail on their way to its mailbox for them.

A copy is a delivery of the message's own organisation, which need not be the one that wants the copy; so these are
found by the mailbox, whose account says whose it is.
"""

from __future__ import annotations

from cryptnsend.core.contracts import Queries, Reader, Row, Rows


def house(rows: Queries, address: int) -> int | None:
    """Return the organisation of whoever has an address that copies go to, None where nobody has it."""
    found = rows.query(
        "SELECT k.org FROM addresses a JOIN accounts k ON k.id = a.account WHERE a.id = :address", {"address": address}
    )
    return int(found[0]["org"]) if found else None


def untold(rows: Rows, org: int, template: str, since: int) -> list[int]:
    """Return an organisation's officers for whom no mail of this *template* was made after *since*."""
    found = rows.query(
        "SELECT id FROM accounts WHERE org = :org AND state IN ('active', 'weak')"
        " AND ',' || roles || ',' LIKE '%,officer,%' AND NOT EXISTS (SELECT 1 FROM deliveries d"
        " WHERE d.message IS NULL AND d.created > :since AND d.kind = 'alert' AND d.template = :template"
        " AND d.subject_id = accounts.id) ORDER BY id",
        {"org": org, "since": since, "template": template},
    )
    return [row["id"] for row in found]


def envelope(reader: Reader, org: int, message: int, house: int) -> list[str]:
    """
    Return to whom a message went, as an organisation (*house*) may know: its author's knows all of them.

    Others know those who stand in the message itself, and their own people.
    """
    found = reader.query(
        "SELECT a.canonical FROM recipients r JOIN addresses a ON a.id = r.address"
        " JOIN messages m ON m.id = r.message JOIN accounts w ON w.id = m.author"
        " LEFT JOIN accounts k ON k.id = a.account"
        " WHERE r.org = :org AND r.message = :message AND (r.disclosed = 1 OR w.org = :house OR k.org = :house)"
        " ORDER BY a.canonical",
        org=org,
        message=message,
        house=house,
    )
    return [row["canonical"] for row in found]


def stand(reader: Reader, mailbox: str, since: int) -> Row:
    """Return how many copies to a mailbox (canonical address), made after *since*, arrived, wait and failed."""
    return reader.query(
        "SELECT coalesce(sum(CASE WHEN d.state = 'delivered' THEN 1 ELSE 0 END), 0) AS arrived,"
        " coalesce(sum(CASE WHEN d.state IN ('due', 'delayed', 'leased', 'held') THEN 1 ELSE 0 END), 0) AS waiting,"
        " coalesce(sum(CASE WHEN d.state IN ('failed', 'parked', 'cancelled') THEN 1 ELSE 0 END), 0) AS failed"
        " FROM addresses a JOIN deliveries d ON d.recipient = a.id AND d.kind = 'journal' AND d.created > :since"
        " WHERE a.canonical = :mailbox",
        mailbox=mailbox,
        since=since,
    )[0]


def failures(reader: Reader, mailbox: str, since: int, limit: int) -> list[Row]:
    """Return the newest copies to a mailbox, made after *since*, that failed (message, state, reply, created)."""
    return reader.query(
        "SELECT d.message, d.state, d.reply, d.created FROM addresses a JOIN deliveries d ON d.recipient = a.id"
        " AND d.kind = 'journal' AND d.created > :since WHERE a.canonical = :mailbox"
        " AND d.state IN ('failed', 'parked', 'cancelled') ORDER BY d.created DESC LIMIT :limit",
        mailbox=mailbox,
        since=since,
        limit=limit,
    )

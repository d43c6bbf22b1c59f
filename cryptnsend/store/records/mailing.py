"""What our mails say about people and messages: names, times, states. Never a subject, never a recipient to another.

Deliveries are the installation's work list and each of these starts from one, so the organisation comes with the row.
"""

from __future__ import annotations

from cryptnsend.core.contracts import Engine, Row


def author(engine: Engine, org: int, message: int) -> Row:
    """
    Return name, phone and address of a message's author, and the organisation of the message.

    `look_org` is that organisation if the author is of it, else 0: nobody else writes under its name.
    """
    return engine.query(
        "SELECT c.name, c.phone, a.canonical AS address, a.display, CASE o.single WHEN 1 THEN '' ELSE o.name END AS"
        " organisation, CASE WHEN c.org = m.org THEN m.org ELSE 0 END AS look_org"
        " FROM messages m JOIN accounts c ON c.id = m.author"
        " JOIN addresses a ON a.id = m.author_address JOIN organisations o ON o.id = m.org"
        " WHERE m.org = :org AND m.id = :message",
        org=org,
        message=message,
    )[0]


def subscriber(engine: Engine, org: int, message: int) -> Row:
    """
    Return name, address and state of the subscriber whose thread a message stands in.

    The address is empty if they have none any more: their account is closed.
    """
    return engine.query(
        "SELECT c.name, c.state, coalesce(a.canonical, '') AS address FROM messages m JOIN threads t ON t.id = m.thread"
        " JOIN accounts c ON c.id = t.subscriber LEFT JOIN addresses a ON a.account = c.id"
        " WHERE m.org = :org AND m.id = :message ORDER BY a.id LIMIT 1",
        org=org,
        message=message,
    )[0]


def contact(engine: Engine, org: int, address: int, subscriber: int) -> tuple[bool, str]:
    """Return whether a contact is proven or waived, and the recipient's check phrase, which every sender's mail has."""
    found = engine.query(
        "SELECT c.state, CASE WHEN c.phrase <> '' THEN c.phrase ELSE (SELECT min(x.phrase) FROM contacts x"
        "  WHERE x.account = a.account AND x.phrase <> '') END AS phrase"
        " FROM contacts c JOIN addresses a ON a.id = c.address"
        " WHERE c.org = :org AND c.address = :address AND c.subscriber = :subscriber",
        org=org,
        address=address,
        subscriber=subscriber,
    )
    if not found:
        return False, ""
    return found[0]["state"] in ("proven", "waived"), found[0]["phrase"] or ""


def still_waits(engine: Engine, org: int, message: int, address: int) -> bool:
    """Say whether a recipient can still open a message, so that telling them of it makes sense."""
    found = engine.query(
        "SELECT 1 AS one FROM grants g JOIN addresses a ON a.id = :address WHERE g.org = :org AND g.message = :message"
        " AND g.role = 'recipient' AND g.state = 'active'"
        " AND (g.holder = 'address:' || a.canonical OR g.holder = 'account:' || a.account) LIMIT 1",
        org=org,
        message=message,
        address=address,
    )
    return bool(found)


def ends(engine: Engine, org: int, message: int, address: int) -> int | None:
    """Return until when a recipient can open a message, None where that has no end."""
    found = engine.query(
        "SELECT max(g.ends) AS ends FROM grants g JOIN addresses a ON a.id = :address WHERE g.org = :org"
        " AND g.message = :message AND g.role = 'recipient' AND g.state = 'active'"
        " AND (g.holder = 'address:' || a.canonical OR g.holder = 'account:' || a.account)",
        org=org,
        message=message,
        address=address,
    )
    until: int | None = found[0]["ends"]
    return until


def content(engine: Engine, org: int, message: int, part: str) -> Row | None:
    """Return where a sealed part rests, and how many octets it has unsealed."""
    found = engine.query(
        "SELECT suite, size, body, blob_key FROM contents WHERE org = :org AND message = :message AND part = :part",
        org=org,
        message=message,
        part=part,
    )
    return found[0] if found else None


def answered(engine: Engine, org: int, message: int) -> str | None:
    """Return the Message-ID of the message that this one answers, or None."""
    found = engine.query(
        "SELECT p.message_id FROM messages m JOIN messages p ON p.id = m.parent WHERE m.org = :org AND m.id = :message",
        org=org,
        message=message,
    )
    ident: str | None = found[0]["message_id"] if found else None
    return ident

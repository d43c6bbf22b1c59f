"""What a person sees of messages without opening one: who wrote, when, to whom, and what became of it.

Recipients list over all organisations, the named exception to "every query takes its organisation"; what an author
sees of a message takes the message's.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptnsend.core.contracts import Reader, Row, Rows


def message(reader: Reader, ident: int) -> Row | None:
    """Return a message with its thread and its author's name, number, address and organisation's name."""
    found = reader.query(
        "SELECT m.id, m.org, m.thread, m.author, m.message_id, m.parent, m.origin, m.size, m.state, m.created,"
        " m.expires, t.subscriber, c.name, c.phone, a.canonical AS address, a.display, coalesce(p.way, 'code') AS way,"
        " CASE WHEN c.org = m.org THEN m.org ELSE 0 END AS look_org,"
        " CASE WHEN o.single = 1 OR o.id = 0 THEN '' ELSE o.name END AS organisation"
        " FROM messages m JOIN threads t ON t.id = m.thread JOIN accounts c ON c.id = m.author"
        " JOIN addresses a ON a.id = m.author_address JOIN organisations o ON o.id = c.org"
        " LEFT JOIN plans p ON p.message = m.id WHERE m.id = :id",
        id=ident,
    )
    return found[0] if found else None


def content(reader: Reader, org: int, ident: int, part: str) -> Row | None:
    """Return where a sealed part of a message rests."""
    found = reader.query(
        "SELECT body, blob_key FROM contents WHERE org = :org AND message = :message AND part = :part",
        org=org,
        message=ident,
        part=part,
    )
    return found[0] if found else None


def mine(reader: Reader, account: int, ident: int) -> Row | None:
    """Return how this account stands among a message's recipients, by whichever of its addresses was written to."""
    found = reader.query(
        "SELECT r.address, a.canonical, r.display_id, r.first_opened, r.disclosed FROM addresses a"
        " JOIN recipients r ON r.message = :message AND r.address = a.id WHERE a.account = :account ORDER BY a.id",
        message=ident,
        account=account,
    )
    return found[0] if found else None


def as_documents(reader: Reader, account: int, ident: int) -> list[Row]:
    """Return by which addresses this account got a message, those first to which it went as a PDF (`is_pdf`)."""
    return reader.query(
        "SELECT a.canonical, EXISTS (SELECT 1 FROM deliveries d WHERE d.message = r.message AND d.recipient = r.address"
        "  AND d.form = 'pdf' AND d.state <> 'cancelled') AS is_pdf FROM addresses a"
        " JOIN recipients r ON r.message = :message AND r.address = a.id WHERE a.account = :account"
        " ORDER BY is_pdf DESC, a.id",
        message=ident,
        account=account,
    )


def mine_of(rows: Rows, account: int, ident: int) -> list[Row]:
    """Return (org, address) of this account among a message's recipients, as seen inside the transaction."""
    return rows.query(
        "SELECT r.org, r.address FROM addresses a JOIN recipients r ON r.message = :message AND r.address = a.id"
        " WHERE a.account = :account ORDER BY a.id LIMIT 1",
        {"message": ident, "account": account},
    )


def fetched(rows: Rows, account: int, idents: Sequence[int], now: int) -> None:
    """Note that this recipient's mail program has fetched messages, at most 500, where it had not before."""
    names = {f"m{number}": each for number, each in enumerate(idents)}
    marks = ", ".join(f":{name}" for name in names)
    # Of several addresses of theirs that a message went to it is noted at the first.
    rows.execute(
        "UPDATE recipients SET fetched = :now WHERE fetched IS NULL"  # noqa: S608
        f" AND message IN ({marks}) AND address = (SELECT min(a.id) FROM recipients r JOIN addresses a"
        "  ON a.id = r.address WHERE r.message = recipients.message AND a.account = :account)",
        {"now": now, "account": account, **names},
    )


def disclosed(reader: Reader, org: int, ident: int) -> list[str]:
    """Return the canonical addresses that stand in To or Cc and were in the envelope; never one of Bcc."""
    found = reader.query(
        "SELECT a.canonical FROM recipients r JOIN addresses a ON a.id = r.address"
        " WHERE r.org = :org AND r.message = :message AND r.disclosed = 1 ORDER BY a.canonical",
        org=org,
        message=ident,
    )
    return [row["canonical"] for row in found]


def reached(reader: Reader, org: int, ident: int) -> list[Row]:
    """Return every recipient of a message with their newest delivery, for its author alone."""
    return reader.query(
        "SELECT a.canonical, a.account, r.address, r.decision, r.form, r.reason, r.disclosed, r.notified,"
        " r.first_opened, r.fetched, d.kind, d.form AS left_as, (SELECT max(x.created) FROM deliveries x"
        "  WHERE x.message = r.message AND x.recipient = r.address AND x.kind = 'notice'"
        "  AND x.template IN ('reminder', 'reminder-last')) AS reminded_at,"
        " d.state, d.held AS steered, d.due, d.settled, d.reply, d.attempts, d.created, d.outcome,"
        " c.state AS contact, c.account AS proven_by"
        " FROM recipients r JOIN addresses a ON a.id = r.address JOIN messages m ON m.id = r.message"
        " JOIN threads t ON t.id = m.thread"
        " LEFT JOIN contacts c ON c.address = r.address AND c.subscriber = t.subscriber"
        " LEFT JOIN deliveries d ON d.id = (SELECT max(n.id) FROM deliveries n WHERE n.message = r.message"
        "  AND n.recipient = r.address AND n.kind IN ('notice', 'handoff', 'relay'))"
        " WHERE r.org = :org AND r.message = :message ORDER BY r.disclosed DESC, a.canonical",
        org=org,
        message=ident,
    )


def thread(reader: Reader, holder: str, account: int, ident: int, now: int, limit: int = 200) -> list[Row]:
    """
    Return the messages of one conversation that *holder*, this account, may open by now, oldest first.

    With each its author, and when the account first opened it.
    """
    return reader.query(
        "SELECT m.id, m.created, m.author, c.name, a.display, (SELECT min(r.first_opened) FROM recipients r"
        "  JOIN addresses x ON x.id = r.address WHERE r.message = m.id AND x.account = :account) AS first_opened"
        " FROM messages o JOIN messages m ON m.thread = o.thread"
        " JOIN accounts c ON c.id = m.author JOIN addresses a ON a.id = m.author_address WHERE o.id = :id"
        " AND EXISTS (SELECT 1 FROM grants g WHERE g.message = m.id AND g.holder = :holder"
        "  AND g.role IN ('author', 'recipient') AND g.state = 'active')"
        " AND NOT EXISTS (SELECT 1 FROM plans s WHERE s.message = m.id AND s.starts > :now AND m.author <> :account)"
        " ORDER BY m.id LIMIT :limit",
        id=ident,
        account=account,
        holder=holder,
        now=now,
        limit=limit,
    )


def recipient(reader: Reader, ident: int, canonical: str) -> Row | None:
    """Return how one address stands among a message's recipients: whose it is, when it was told, the contact."""
    found = reader.query(
        "SELECT r.display_id, r.first_opened, a.account, c.state AS contact, c.account AS proven_by,"
        " CASE WHEN c.phrase <> '' THEN c.phrase ELSE (SELECT min(x.phrase) FROM contacts x WHERE x.account = a.account"
        "  AND x.phrase <> '') END AS phrase,"
        " k.state AS account_state FROM addresses a JOIN recipients r ON r.message = :message AND r.address = a.id"
        " JOIN messages m ON m.id = r.message JOIN threads t ON t.id = m.thread"
        " LEFT JOIN contacts c ON c.address = a.id AND c.subscriber = t.subscriber"
        " LEFT JOIN accounts k ON k.id = a.account WHERE a.canonical = :canonical",
        message=ident,
        canonical=canonical,
    )
    return found[0] if found else None


def opened(rows: Rows, org: int, ident: int, address: int, now: int) -> bool:
    """Note that the content was shown to this recipient; False if it was before."""
    return bool(
        rows.execute(
            "UPDATE recipients SET first_opened = :now, remind = NULL WHERE org = :org AND message = :message"
            " AND address = :address AND first_opened IS NULL",
            {"now": now, "org": org, "message": ident, "address": address},
        )
    )

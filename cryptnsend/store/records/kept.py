"""Rows of mail that is kept apart: what arrived for somebody and may not join a conversation.

Such a message stands in a thread of its own and has one grant, of the role "kept", which no list of received or sent
mail looks for. A holder's own kept mail is theirs over all organisations, as `grants.page` is.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptnsend.core.contracts import Reader, Row, Rows

UNNAMED = "unnamed"  # form of a mail that names no author; its row has its holder's address in that place


def put(rows: Rows, org: int, message: int, address: int, reason: str, display_id: str, *, named: bool) -> None:
    """Note for whom a message is kept, and why; *named* says whether it names one author."""
    rows.execute(
        "INSERT INTO recipients(org, message, address, decision, form, reason, disclosed, display_id)"
        " VALUES (?, ?, ?, 'kept', ?, ?, 0, ?)",
        (org, message, address, "" if named else UNNAMED, reason, display_id),
    )


def earlier(rows: Rows, account: int, macs: Sequence[bytes]) -> int | None:
    """Return the mail that is kept for an account and has one of *macs*, today's and yesterday's; None if none has."""
    found = rows.query(
        "SELECT id FROM messages WHERE author = :account AND resend_mac IN (:today, :yesterday) AND state = 'kept'"
        " ORDER BY id LIMIT 1",
        {"account": account, "today": macs[0], "yesterday": macs[-1]},
    )
    ident: int | None = found[0]["id"] if found else None
    return ident


def concerned(rows: Rows, message: int, address: int) -> int | None:
    """Return the organisation of a message if this address wrote or got it, else None."""
    found = rows.query(
        "SELECT org FROM messages WHERE id = :message AND (author_address = :address OR EXISTS"
        " (SELECT 1 FROM recipients r WHERE r.message = messages.id AND r.address = :address))",
        {"message": message, "address": address},
    )
    org: int | None = found[0]["org"] if found else None
    return org


def one(reader: Reader, account: int, message: int) -> Row | None:
    """Return how a message is kept for an account: claimed author or "", reason, what it answers, size, time."""
    found = reader.query(
        "SELECT m.id, m.org, m.parent, m.size, m.created, r.reason, r.first_opened,"
        " CASE WHEN r.form = :unnamed OR r.reason = 'no-author' THEN '' ELSE a.display END AS author"
        " FROM messages m JOIN grants g ON g.message = m.id AND g.holder = 'account:' || :account AND g.role = 'kept'"
        " JOIN addresses a ON a.id = m.author_address JOIN recipients r ON r.message = m.id WHERE m.id = :message",
        account=account,
        message=message,
        unnamed=UNNAMED,
    )
    return found[0] if found else None


def remove(rows: Rows, org: int, message: int, holder: str) -> bool:
    """
    Take the grant on a kept message from its holder; False if it was taken before. The archive keeps its own.

    The message then rests like any other, so that upkeep ends it with its last grant.
    """
    gone = rows.execute(
        "DELETE FROM grants WHERE org = ? AND message = ? AND holder = ? AND role = 'kept'", (org, message, holder)
    )
    if gone:
        rows.execute("UPDATE messages SET state = 'sealed' WHERE org = ? AND id = ? AND state = 'kept'", (org, message))
    return bool(gone)


def first_officer(reader: Reader) -> int | None:
    """Return who has been an officer of an organisation here for longest, or without one the oldest subscriber."""
    found = reader.query(
        "SELECT c.id FROM accounts c JOIN organisations o ON o.id = c.org WHERE c.state = 'active'"
        " AND (',' || c.roles || ',' LIKE '%,officer,%' OR ',' || c.roles || ',' LIKE '%,subscriber,%')"
        " ORDER BY o.single, ',' || c.roles || ',' LIKE '%,officer,%' DESC, c.id LIMIT 1"
    )
    return found[0]["id"] if found else None

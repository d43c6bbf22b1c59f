"""Rows that say where a message lies, as pages ask: is it thrown away, was it seen, what is in Trash?"""

from __future__ import annotations

from collections.abc import Sequence

from cryptnsend.core.contracts import Reader, Row, Rows


def unseen(reader: Reader, account: int, messages: Sequence[int]) -> dict[int, bool]:
    """Say for each of these received messages that lie in a mailbox whether it was not seen; at most 500 at once."""
    if not messages:
        return {}
    names = {f"m{number}": each for number, each in enumerate(messages)}
    marks = ", ".join(f":{name}" for name in names)
    found = reader.query(
        "SELECT message, max(flags & 1) AS seen FROM placed"  # noqa: S608 - names of values
        f" WHERE message IN ({marks}) AND account = :account AND role = 'recipient' AND served = '' GROUP BY message",
        account=account,
        **names,
    )
    return {row["message"]: not row["seen"] for row in found}


def lying(reader: Reader, account: int, message: int, role: str) -> list[Row]:
    """Return where a message lies: (mailbox, uid, special use of the mailbox)."""
    return reader.query(
        "SELECT t.mailbox, t.uid, b.special FROM placed t JOIN mailboxes b ON b.id = t.mailbox"
        " WHERE t.message = :message AND t.account = :account AND t.role = :role ORDER BY t.mailbox, t.uid",
        message=message,
        account=account,
        role=role,
    )


def is_put_away(reader: Reader, account: int, message: int, role: str) -> bool:
    """Say whether the reader of a message wants it in no mailbox."""
    found = reader.query(
        "SELECT 1 AS one FROM put_away WHERE account = :account AND message = :message AND role = :role",
        account=account,
        message=message,
        role=role,
    )
    return bool(found)


def bring(rows: Rows, account: int, message: int, role: str) -> None:
    """Let a message be placed again that its reader wanted in no mailbox."""
    rows.execute(
        "DELETE FROM put_away WHERE account = :account AND message = :message AND role = :role",
        {"account": account, "message": message, "role": role},
    )


def thrown_away(reader: Reader, account: int, trash: int, before: int, limit: int) -> list[Row]:
    """Return what an account threw away (message, role), the newest first, older than *before*."""
    return reader.query(
        "SELECT message, role FROM (SELECT t.message, t.role FROM placed t WHERE t.mailbox = :trash"
        "  AND t.role <> 'filed' AND t.message < :before AND NOT EXISTS (SELECT 1 FROM placed o"
        "   WHERE o.message = t.message AND o.account = :account AND o.role = t.role AND o.mailbox <> :trash)"
        " UNION SELECT y.message, y.role FROM put_away y WHERE y.account = :account AND y.message < :before) AS gone"
        " ORDER BY message DESC, role LIMIT :limit",
        account=account,
        trash=trash,
        before=before,
        limit=limit,
    )

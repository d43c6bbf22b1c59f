"""Rows of mailboxes: which there are, and which numbers were given in them (RFC 9051 §2.3.1).

A mailbox is its account's, over all organisations that wrote to it: the named exception of a recipient's own list.
UIDs and modification sequences are given in the transaction that uses them, so that two connections never give one
twice. What lies in them is in `placements`.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptnsend.core.contracts import Reader, Rows

_COLUMNS = (
    "id, org, account, name, special, uidvalidity, uidnext, modseq, looked, holders, subscribed,"
    " messages, unseen, deleted, octets"
)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One mailbox, as its row stood when it was read; how much lies in it is counted by the database."""

    id: int
    org: int
    account: int
    name: str
    special: str
    uidvalidity: int
    uidnext: int
    modseq: int
    looked: int
    holders: str
    subscribed: int
    messages: int
    unseen: int
    deleted: int
    octets: int


def listing(reader: Reader, account: int) -> list[Mailbox]:
    """Return the mailboxes of an account by name."""
    found = reader.query(f"SELECT {_COLUMNS} FROM mailboxes WHERE account = :account ORDER BY name", account=account)  # noqa: S608
    return [Mailbox(**row) for row in found]


def mailbox(reader: Reader, account: int, ident: int) -> Mailbox | None:
    """Return a mailbox of this account as it is now."""
    found = reader.query(
        f"SELECT {_COLUMNS} FROM mailboxes WHERE id = :id AND account = :account",  # noqa: S608
        id=ident,
        account=account,
    )
    return Mailbox(**found[0]) if found else None


def named(reader: Reader, account: int, name: str) -> Mailbox | None:
    """Return a mailbox by its name, which is compared as it stands."""
    found = reader.query(
        f"SELECT {_COLUMNS} FROM mailboxes WHERE account = :account AND name = :name",  # noqa: S608
        account=account,
        name=name,
    )
    return Mailbox(**found[0]) if found else None


def add(rows: Rows, ident: int, org: int, account: int, name: str, special: str, validity: int) -> bool:
    """Make a mailbox; False if there is one of that name. *validity* is from `next_validity`."""
    return bool(
        rows.execute(
            "INSERT INTO mailboxes(id, org, account, name, special, uidvalidity, uidnext, modseq, looked, holders,"
            " subscribed) VALUES (?, ?, ?, ?, ?, ?, 1, 1, 0, '', 1) ON CONFLICT(account, name) DO NOTHING",
            (ident, org, account, name, special, validity),
        )
    )


def next_validity(rows: Rows, now: int) -> int:
    """
    Return a UIDVALIDITY that no mailbox ever had.

    It follows the clock as far as it can, so that a database that was put back does not give one again.
    """
    rows.execute(
        "INSERT INTO uidvalidities(org, n) VALUES (0, :now) ON CONFLICT(org) DO UPDATE"
        " SET n = CASE WHEN uidvalidities.n < excluded.n THEN excluded.n ELSE uidvalidities.n + 1 END",
        {"now": now // 1000},
    )
    return int(rows.query("SELECT n FROM uidvalidities WHERE org = 0")[0]["n"])


def rename(rows: Rows, account: int, ident: int, name: str) -> None:
    """Give a mailbox another name."""
    rows.execute(
        "UPDATE mailboxes SET name = :name WHERE id = :id AND account = :account",
        {"name": name, "id": ident, "account": account},
    )


def subscribe(rows: Rows, account: int, ident: int, subscribed: bool) -> None:
    """Note whether a mail program wants to show a mailbox."""
    rows.execute(
        "UPDATE mailboxes SET subscribed = :subscribed WHERE id = :id AND account = :account",
        {"subscribed": int(subscribed), "id": ident, "account": account},
    )


def drop(rows: Rows, account: int, ident: int) -> None:
    """Remove an empty mailbox."""
    rows.execute("DELETE FROM gone WHERE mailbox = :id", {"id": ident})
    rows.execute("DELETE FROM mailboxes WHERE id = :id AND account = :account", {"id": ident, "account": account})


def give(rows: Rows, ident: int, uids: int) -> tuple[int, int]:
    """Take *uids* UIDs and one modification sequence of a mailbox; return the first UID and the sequence."""
    rows.execute(
        "UPDATE mailboxes SET uidnext = uidnext + :uids, modseq = modseq + 1 WHERE id = :id",
        {"uids": uids, "id": ident},
    )
    found = rows.query("SELECT uidnext, modseq FROM mailboxes WHERE id = :id", {"id": ident})
    return found[0]["uidnext"] - uids, found[0]["modseq"]


def looked(rows: Rows, ident: int, message: int, holders: str) -> None:
    """Note up to which message, and for which holders, a mailbox was filled."""
    rows.execute(
        "UPDATE mailboxes SET holders = :holders, looked = CASE WHEN looked < :message THEN :message ELSE looked END"
        " WHERE id = :id",
        {"holders": holders, "message": message, "id": ident},
    )


def of_closed(reader: Reader, limit: int = 50) -> list[int]:
    """Return closed accounts that still have mailboxes."""
    found = reader.query(
        "SELECT DISTINCT a.id FROM accounts a JOIN mailboxes b ON b.account = a.id WHERE a.state = 'closed'"
        " LIMIT :limit",
        limit=limit,
    )
    return [row["id"] for row in found]


def clear(rows: Rows, account: int) -> list[str]:
    """Remove all mailboxes of an account and what it filed; return the blobs to discard after COMMIT."""
    own = "mailbox IN (SELECT id FROM mailboxes WHERE account = :account)"
    values = {"account": account}
    for table in ("placed", "stand_ins", "gone"):
        rows.execute(f"DELETE FROM {table} WHERE {own}", values)  # noqa: S608
    blobs = rows.query("SELECT blob_key FROM filed WHERE account = :account AND blob_key IS NOT NULL", values)
    for table in ("put_away", "filed", "mailboxes"):
        rows.execute(f"DELETE FROM {table} WHERE account = :account", values)  # noqa: S608
    return [row["blob_key"] for row in blobs]


def renumber(rows: Rows, now: int) -> None:
    """Let no UID of before count any more, after rows of an earlier time came back (RFC 9051 §2.3.1.1)."""
    validity = next_validity(rows, now)
    rows.execute("UPDATE mailboxes SET uidvalidity = :validity", {"validity": validity})

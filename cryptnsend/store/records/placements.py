"""Rows of what lies in mailboxes: under which UID, with which flags, and what was taken away (RFC 9051 §2.3.1).

Like the mailboxes themselves these are their account's, over all organisations that wrote to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cryptnsend.core.contracts import Engine, Reader, Row, Rows
from cryptnsend.store.records.mailboxes import Mailbox, give

SEEN, ANSWERED, FLAGGED, DELETED, DRAFT = 1, 2, 4, 8, 16
MESSAGE = ""  # what is served: the message itself


class Placed(NamedTuple):
    """One message in one mailbox."""

    uid: int
    message: int
    role: str
    served: str
    modseq: int
    flags: int
    keywords: str
    received: int
    size: int


class Marks(NamedTuple):
    """What changes of one message in one mailbox."""

    uid: int
    modseq: int
    flags: int
    keywords: str


class Placing(NamedTuple):
    """A message that is to be placed."""

    message: int
    role: str
    served: str
    flags: int
    keywords: str
    received: int
    size: int
    notice: bytes | None = None


def unplaced(
    reader: Reader, account: int, holder: str, contact: str, role: str, after: int, limit: int, now: int
) -> list[Row]:
    """
    Return grants of a holder on messages newer than *after* that lie in no mailbox of the account, oldest first.

    Only those whose contact begins with *contact*, and what has started by *now*.
    """
    return reader.query(
        "SELECT g.message, g.state, g.contact, p.role AS pair_role, p.state AS pair_state, m.created, m.expires,"
        " length(c.body) AS inline, c.blob_key, c.size AS submitted,"
        " EXISTS (SELECT 1 FROM recipients r JOIN addresses a ON a.id = r.address WHERE r.message = g.message"
        "  AND a.account = :account AND r.first_opened IS NOT NULL) AS opened"
        " FROM grants g JOIN epochs e ON e.id = g.epoch JOIN pairs p ON p.id = e.pair"
        " JOIN messages m ON m.id = g.message LEFT JOIN contents c ON c.message = g.message AND c.part = 'raw'"
        " WHERE g.holder = :holder AND g.role = :role AND g.role <> 'archive' AND g.message > :after"
        " AND substr(g.contact, 1, :prefix) = :contact"
        " AND NOT EXISTS (SELECT 1 FROM placed x WHERE x.message = g.message AND x.account = :account"
        "  AND x.role = :role)"
        " AND NOT EXISTS (SELECT 1 FROM put_away y WHERE y.message = g.message AND y.account = :account"
        "  AND y.role = :role)"
        " AND NOT EXISTS (SELECT 1 FROM plans s WHERE s.message = g.message AND s.starts > :now)"
        " ORDER BY g.message LIMIT :limit",
        holder=holder,
        role=role,
        account=account,
        contact=contact,
        prefix=len(contact),
        after=after,
        limit=limit,
        now=now,
    )


def granted(reader: Reader, holder: str, role: str, after: int) -> tuple[int, int]:
    """Return a mark of a holder's grants on messages newer than *after*: another one if any came or went."""
    found = reader.query(
        "SELECT count(*) AS n, coalesce(sum(g.message % 1048576), 0) AS mark FROM grants g"
        " WHERE g.holder = :holder AND g.role = :role AND g.role <> 'archive' AND g.message > :after",
        holder=holder,
        role=role,
        after=after,
    )
    return found[0]["n"], found[0]["mark"]


def place(rows: Rows, box: Mailbox, placings: Sequence[Placing]) -> list[int]:
    """Place messages under new UIDs, in their order, and return these."""
    if not placings:
        return []
    first, modseq = give(rows, box.id, len(placings))
    uids = list(range(first, first + len(placings)))
    rows.many(
        "INSERT INTO placed(mailbox, uid, org, account, message, role, served, modseq, flags, keywords, received, size)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                box.id, uid, box.org, box.account, each.message, each.role, each.served, modseq, each.flags,
                each.keywords, each.received, each.size,
            )
            for uid, each in zip(uids, placings, strict=True)
        ],
    )  # fmt: skip
    rows.many(
        "INSERT INTO stand_ins(mailbox, uid, org, octets) VALUES (?, ?, ?, ?)",
        [
            (box.id, uid, box.org, each.notice)
            for uid, each in zip(uids, placings, strict=True)
            if each.notice is not None
        ],
    )
    return uids


def is_placed(rows: Rows, account: int, message: int, role: str) -> bool:
    """Say whether a message lies in some mailbox of an account, or was put away."""
    values = {"message": message, "account": account, "role": role}
    return bool(
        rows.query(
            "SELECT 1 AS one FROM placed WHERE message = :message AND account = :account AND role = :role"
            " UNION ALL SELECT 1 AS one FROM put_away WHERE message = :message AND account = :account AND role = :role"
            " LIMIT 1",
            values,
        )
    )


def placed_among(rows: Rows, account: int, messages: Sequence[int], role: str) -> set[int]:
    """Return for which of these messages, at most 500, `is_placed` says so."""
    names = {f"m{number}": each for number, each in enumerate(messages)}
    marks = ", ".join(f":{name}" for name in names)
    found = rows.query(
        f"SELECT message FROM placed WHERE message IN ({marks}) AND account = :account AND role = :role"  # noqa: S608
        f" UNION ALL SELECT message FROM put_away WHERE message IN ({marks}) AND account = :account AND role = :role",
        {"account": account, "role": role, **names},
    )
    return {row["message"] for row in found}


def uids(engine: Engine, ident: int, after: int = 0) -> list[int]:
    """Return the UIDs of a mailbox in their order, those above *after*."""
    found = engine.tuples("SELECT uid FROM placed WHERE mailbox = ? AND uid > ? ORDER BY uid", ident, after)
    return [uid for (uid,) in found]


def first_unseen(reader: Reader, ident: int) -> int | None:
    """Return the first UID that was not seen."""
    found = reader.query("SELECT uid FROM placed WHERE mailbox = :id AND flags & 1 = 0 ORDER BY uid LIMIT 1", id=ident)
    return found[0]["uid"] if found else None


def between(engine: Engine, ident: int, first: int, last: int) -> list[Placed]:
    """Return what lies under the UIDs from *first* to *last*, in their order."""
    found = engine.tuples(
        "SELECT uid, message, role, served, modseq, flags, keywords, received, size FROM placed"
        " WHERE mailbox = ? AND uid BETWEEN ? AND ? ORDER BY uid",
        ident,
        first,
        last,
    )
    return list(map(Placed._make, found))


def marks(engine: Engine, ident: int, first: int, last: int) -> list[Marks]:
    """Return what changes of what lies under the UIDs from *first* to *last*, in their order."""
    found = engine.tuples(
        "SELECT uid, modseq, flags, keywords FROM placed WHERE mailbox = ? AND uid BETWEEN ? AND ? ORDER BY uid",
        ident,
        first,
        last,
    )
    return list(map(Marks._make, found))


def changed(reader: Reader, ident: int, modseq: int) -> list[Placed]:
    """Return what was placed or flagged after *modseq*; the needless sum keeps SQLite from walking along the UIDs."""
    found = reader.query(
        "SELECT uid, message, role, served, modseq, flags, keywords, received, size FROM placed"
        " WHERE mailbox = :id AND modseq > :modseq ORDER BY uid + 0",
        id=ident,
        modseq=modseq,
    )
    return [Placed(**row) for row in found]


def expunged(reader: Reader, ident: int, modseq: int) -> list[int]:
    """Return the UIDs that were taken away after *modseq*."""
    found = reader.query(
        "SELECT uid FROM gone WHERE mailbox = :id AND modseq > :modseq ORDER BY uid + 0", id=ident, modseq=modseq
    )
    return [row["uid"] for row in found]


def set_flags(rows: Rows, ident: int, changes: Iterable[tuple[int, int, str]]) -> int:
    """Write (uid, flags, keywords) under one new modification sequence, and return it."""
    _, modseq = give(rows, ident, 0)
    rows.many(
        "UPDATE placed SET flags = ?, keywords = ?, modseq = ? WHERE mailbox = ? AND uid = ?",
        [(flags, keywords, modseq, ident, uid) for uid, flags, keywords in changes],
    )
    return modseq


def several(rows: Rows, ident: int, uids: Sequence[int]) -> list[Placed]:
    """Return what lies under these UIDs, as seen inside the transaction, in their order; at most 500 at once."""
    names = {f"u{number}": each for number, each in enumerate(uids)}
    marks = ", ".join(f":{name}" for name in names)
    found = rows.query(
        "SELECT uid, message, role, served, modseq, flags, keywords, received, size FROM placed"  # noqa: S608
        f" WHERE mailbox = :id AND uid IN ({marks}) ORDER BY uid",
        {"id": ident, **names},
    )
    return [Placed(**row) for row in found]


def unseen(reader: Reader, account: int, message: int) -> bool:
    """Say whether a message that this account was sent lies unseen in one of its mailboxes."""
    return bool(reader.query(f"SELECT 1 AS one {_UNSEEN}", message=message, account=account))


_UNSEEN = (
    "FROM placed WHERE message = :message AND account = :account AND role = 'recipient' AND served = ''"
    " AND flags & 1 = 0"
)


def see(rows: Rows, account: int, message: int) -> None:
    """Mark a message that this account was sent as seen, in whatever mailboxes it lies."""
    found = rows.query(f"SELECT mailbox, uid, flags, keywords {_UNSEEN}", {"message": message, "account": account})
    for row in found:
        set_flags(rows, row["mailbox"], [(row["uid"], row["flags"] | SEEN, row["keywords"])])


def take_away(rows: Rows, box: Mailbox, placed: Sequence[Placed], now: int, *, put_away: bool) -> list[int]:
    """
    Take messages out of a mailbox; return the ids of what was filed and lies nowhere any more.

    With *put_away* a message that then lies nowhere is not placed again. Grants and contents are not touched.
    """
    if not placed:
        return []
    _, modseq = give(rows, box.id, 0)
    rows.many("DELETE FROM placed WHERE mailbox = ? AND uid = ?", [(box.id, each.uid) for each in placed])
    rows.many("DELETE FROM stand_ins WHERE mailbox = ? AND uid = ?", [(box.id, each.uid) for each in placed])
    rows.many(
        "INSERT INTO gone(mailbox, uid, org, modseq, at) VALUES (?, ?, ?, ?, ?) ON CONFLICT(mailbox, uid) DO NOTHING",
        [(box.id, each.uid, box.org, modseq, now) for each in placed],
    )
    lost = []
    for each in placed:
        if each.role == "filed":
            if not is_placed(rows, box.account, each.message, each.role):
                lost.append(each.message)
        elif put_away and not is_placed(rows, box.account, each.message, each.role):
            rows.execute(
                "INSERT INTO put_away(account, message, role, org) VALUES (?, ?, ?, ?)"
                " ON CONFLICT(account, message, role) DO NOTHING",
                (box.account, each.message, each.role, box.org),
            )
    return lost


def replace(rows: Rows, box: Mailbox, old: Placed, new: Placing, now: int) -> int | None:
    """Serve something else in the place of a message, under a new UID; None if that was taken away meanwhile."""
    taken = rows.execute(
        "DELETE FROM placed WHERE mailbox = :id AND uid = :uid AND served = :served",
        {"id": box.id, "uid": old.uid, "served": old.served},
    )
    if not taken:
        return None
    take_away(rows, box, [old], now, put_away=False)
    return place(rows, box, [new])[0]


def forget_gone(rows: Rows, before: int) -> int:
    """Forget what was taken away before then (UTC milliseconds): who looks so rarely starts anew."""
    return rows.execute("DELETE FROM gone WHERE at < :before", {"before": before})


def forget(rows: Rows, message: int, now: int) -> None:
    """Take a message of which nothing is left out of every mailbox, with the notices that stood in for it."""
    found = rows.query(
        "SELECT mailbox, uid, org FROM placed WHERE message = :message AND role <> 'filed'", {"message": message}
    )
    for row in found:
        _, modseq = give(rows, row["mailbox"], 0)
        place = (row["mailbox"], row["uid"])
        rows.execute("DELETE FROM placed WHERE mailbox = ? AND uid = ?", place)
        rows.execute("DELETE FROM stand_ins WHERE mailbox = ? AND uid = ?", place)
        rows.execute(
            "INSERT INTO gone(mailbox, uid, org, modseq, at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT(mailbox, uid) DO NOTHING",
            (*place, row["org"], modseq, now),
        )


def forget_put_away(rows: Rows) -> int:
    """Forget which messages their readers want in no mailbox, where nobody is granted them in that role any more."""
    return rows.execute(
        "DELETE FROM put_away WHERE NOT EXISTS (SELECT 1 FROM grants g WHERE g.message = put_away.message"
        " AND g.role = put_away.role)"
    )


def standing_in(reader: Reader, ident: int) -> list[Placed]:
    """Return where a notice stands in for a message."""
    found = reader.query(
        "SELECT uid, message, role, served, modseq, flags, keywords, received, size FROM placed"
        " WHERE mailbox = :id AND served <> '' ORDER BY uid + 0",
        id=ident,
    )
    return [Placed(**row) for row in found]


def ended(reader: Reader, box: Mailbox, holder: str, limit: int) -> list[Placed]:
    """Return messages in a mailbox that are served as they are, though no grant of the holder opens them now."""
    found = reader.query(
        "SELECT uid, message, role, served, modseq, flags, keywords, received, size FROM placed p"
        " WHERE p.mailbox = :id AND p.served = '' AND p.role <> 'filed' AND NOT EXISTS (SELECT 1 FROM grants g"
        "  WHERE g.message = p.message AND g.holder = :holder AND g.role = p.role AND g.state = 'active')"
        " ORDER BY uid LIMIT :limit",
        id=box.id,
        holder=holder,
        limit=limit,
    )
    return [Placed(**row) for row in found]


def notice_of(rows: Rows, ident: int, uid: int) -> bytes | None:
    """Return the octets of a notice, as seen inside the transaction."""
    found = rows.query("SELECT octets FROM stand_ins WHERE mailbox = :id AND uid = :uid", {"id": ident, "uid": uid})
    return bytes(found[0]["octets"]) if found else None


_SUBMITTED = (
    "SELECT id FROM messages WHERE message_id = :message_id AND author = :account AND state = 'sealed'"
    " ORDER BY id DESC LIMIT 4"
)


def submitted(reader: Reader, account: int, message_id: str) -> list[int]:
    """Return the messages that this account submitted under a Message-ID, newest first."""
    return [row["id"] for row in reader.query(_SUBMITTED, message_id=message_id, account=account)]


def submitted_of(rows: Rows, account: int, message_id: str) -> list[int]:
    """Do what `submitted` does, as seen inside the transaction."""
    return [row["id"] for row in rows.query(_SUBMITTED, {"message_id": message_id, "account": account})]


def message_ids(reader: Reader, account: int, messages: Sequence[int]) -> dict[int, str]:
    """Return the Message-IDs of what this account submitted; at most 500 at once."""
    names = {f"m{number}": each for number, each in enumerate(messages)}
    marks = ", ".join(f":{name}" for name in names)
    found = reader.query(
        f"SELECT id, message_id FROM messages WHERE id IN ({marks}) AND author = :account AND message_id <> ''",  # noqa: S608
        account=account,
        **names,
    )
    return {row["id"]: row["message_id"] for row in found}


def filed_in(reader: Reader, box: Mailbox, after: int, until: int, limit: int) -> list[Placed]:
    """Return what a mail program filed in a mailbox between these ids, newest first."""
    found = reader.query(
        "SELECT p.uid, p.message, p.role, p.served, p.modseq, p.flags, p.keywords, p.received, p.size FROM filed f"
        " JOIN placed p ON p.message = f.id WHERE f.account = :account AND f.id > :after AND f.id <= :until"
        " AND p.mailbox = :id AND p.role = 'filed' ORDER BY f.id DESC LIMIT :limit",
        account=box.account,
        after=after,
        until=until,
        id=box.id,
        limit=limit,
    )
    return [Placed(**row) for row in found]


def where(reader: Reader, ident: int, message: int, role: str) -> int | None:
    """Return the UID under which a message lies in a mailbox."""
    found = reader.query(
        "SELECT max(uid) AS uid FROM placed WHERE message = :message AND mailbox = :id AND role = :role",
        message=message,
        id=ident,
        role=role,
    )
    return found[0]["uid"] if found else None

"""Rows of who may open what, as readers find them and as a proof replaces them.

A holder's grants are theirs over all organisations, which makes the first of these the named exception to "every query
takes its organisation": a recipient's own list.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptnsend.core.contracts import Reader, Row, Rows

# A message lies in Trash and nowhere else, or its reader wants it in no mailbox.
THROWN_AWAY = (
    "EXISTS (SELECT 1 FROM placed t JOIN mailboxes b ON b.id = t.mailbox WHERE t.message = g.message"
    "  AND t.account = :kept_by AND t.role = g.role AND b.special = 'trash')"
    " AND NOT EXISTS (SELECT 1 FROM placed t JOIN mailboxes b ON b.id = t.mailbox WHERE t.message = g.message"
    "  AND t.account = :kept_by AND t.role = g.role AND b.special <> 'trash')"
    " OR EXISTS (SELECT 1 FROM put_away y WHERE y.account = :kept_by AND y.message = g.message AND y.role = g.role)"
)

# A message that its reader has not seen: as mail programs have it, or else as the page knows it.
UNREAD = (
    "(g.state = 'active' AND (g.ends IS NULL OR g.ends > :now)"
    " AND CASE WHEN EXISTS (SELECT 1 FROM placed t WHERE t.message = g.message AND t.account = :unread_by"
    "  AND t.role = 'recipient' AND t.served = '') THEN NOT EXISTS (SELECT 1 FROM placed t WHERE t.message = g.message"
    "  AND t.account = :unread_by AND t.role = 'recipient' AND t.served = '' AND t.flags & 1 = 1)"
    " ELSE NOT EXISTS (SELECT 1 FROM recipients r JOIN addresses a ON a.id = r.address WHERE r.message = g.message"
    "  AND a.account = :unread_by AND r.first_opened IS NOT NULL) END)"
)


def held(reader: Reader, holder: str, message: int) -> list[Row]:
    """Return a holder's grants on one message, each with the epoch it rests under."""
    return reader.query(
        "SELECT g.id, g.org, g.message, g.holder, g.role, g.contact, g.custody, g.wrap, g.state, g.ends, e.id AS epoch,"
        " e.pair, e.suite, e.owner, e.holder AS epoch_holder, e.sealed, p.role AS pair_role, p.state AS pair_state,"
        " (SELECT s.starts FROM plans s WHERE s.message = g.message) AS starts"
        " FROM grants g JOIN epochs e ON e.id = g.epoch JOIN pairs p ON p.id = e.pair"
        " WHERE g.message = :message AND g.holder = :holder ORDER BY g.role",
        message=message,
        holder=holder,
    )


def former_owners(reader: Reader, account: int) -> list[Row]:
    """Return who else had the addresses of this account before: (canonical address, account)."""
    return reader.query(
        "SELECT a.canonical, f.account FROM addresses a JOIN former_owners f ON f.address = a.id"
        " WHERE a.account = :account AND f.account <> :account",
        account=account,
    )


def page(
    reader: Reader,
    holder: str,
    role: str,
    before: int,
    limit: int,
    contact: str = "",
    now: int | None = None,
    kept_by: int | None = None,
    unread_by: int | None = None,
    after: int = 0,
) -> list[Row]:
    """
    Return an account's grants of one role on messages older than *before*, newest first, with their epochs.

    Only those whose contact begins with *contact*, with *now* only what has started by then, with *kept_by* only what
    that account has not thrown away, with *unread_by* only what it has not seen, and newer than *after*. *role* is
    author or recipient; the needless look at it is how the index of just these is found.
    """
    return reader.query(
        "SELECT g.id, g.org, g.message, g.holder, g.role, g.contact, g.custody, g.wrap, g.state, g.ends, e.id AS epoch,"  # noqa: S608
        " e.pair, e.suite, e.owner, e.holder AS epoch_holder, e.sealed, p.role AS pair_role, p.state AS pair_state"
        " FROM grants g JOIN epochs e ON e.id = g.epoch JOIN pairs p ON p.id = e.pair"
        " WHERE g.holder = :holder AND g.role = :role AND g.role <> 'archive' AND g.message < :before"
        " AND g.message > :after AND (:contact = '' OR substr(g.contact, 1, length(:contact)) = :contact)"
        " AND (:now IS NULL OR NOT EXISTS (SELECT 1 FROM plans s WHERE s.message = g.message AND s.starts > :now))"
        f" AND (:kept_by IS NULL OR NOT ({THROWN_AWAY})) AND (:unread_by IS NULL OR {UNREAD})"
        " ORDER BY g.message DESC LIMIT :limit",
        holder=holder,
        role=role,
        before=before,
        limit=limit,
        contact=contact,
        now=now,
        kept_by=kept_by,
        unread_by=unread_by,
        after=after,
    )


def nth_newest(reader: Reader, holder: str, role: str, number: int) -> int:
    """Return the message that is *number* places below the newest of a holder's, 0 if there are not so many."""
    found = reader.query(
        "SELECT g.message FROM grants g WHERE g.holder = :holder AND g.role = :role AND g.role <> 'archive'"
        " ORDER BY g.message DESC LIMIT 1 OFFSET :number",
        holder=holder,
        role=role,
        number=number,
    )
    return int(found[0]["message"]) if found else 0


def closed(reader: Reader, holder: str, before: int, limit: int) -> list[Row]:
    """Return a holder's grants as recipient that rest under no pair of theirs that is open, like `page`."""
    return reader.query(
        "SELECT g.id, g.org, g.message, g.holder, g.role, g.contact, g.custody, g.wrap, e.id AS epoch,"
        " e.pair, e.suite, e.owner, e.holder AS epoch_holder, e.sealed"
        " FROM grants g JOIN epochs e ON e.id = g.epoch JOIN pairs p ON p.id = e.pair"
        " WHERE g.holder = :holder AND g.role = 'recipient' AND g.role <> 'archive' AND g.message < :before"
        " AND (p.role <> 'account' OR p.state IN ('withheld', 'locked'))"
        " ORDER BY g.message DESC LIMIT :limit",
        holder=holder,
        before=before,
        limit=limit,
    )


def recipients(reader: Reader, org: int, message: int) -> list[Row]:
    """Return the recipients' grants on a message: who holds them, how they stand, and the state of their pair."""
    return reader.query(
        "SELECT g.id, g.holder, g.contact, g.state, g.ends, p.role AS pair_role, p.state AS pair_state"
        " FROM grants g JOIN epochs e ON e.id = g.epoch JOIN pairs p ON p.id = e.pair"
        " WHERE g.org = :org AND g.message = :message AND g.role = 'recipient'",
        org=org,
        message=message,
    )


def replace(
    rows: Rows, ident: int, org: int, message: int, holder: str, contact: str, custody: str, epoch: int, wrap: bytes,
    old_epoch: int,
) -> bool:  # fmt: skip
    """
    Put a grant under another holder and epoch, as the keeper made it; False if it was replaced or ended meanwhile.

    Where the holder has one on this message already, under another address of theirs, both stay as they are.
    """
    return bool(
        rows.execute(
            "UPDATE grants SET holder = :holder, contact = :contact, custody = :custody, epoch = :epoch, wrap = :wrap"
            " WHERE id = :id AND org = :org AND epoch = :old_epoch AND NOT EXISTS (SELECT 1 FROM grants other"
            "  WHERE other.message = :message AND other.holder = :holder AND other.role = 'recipient'"
            "  AND other.id <> :id)",
            {
                "holder": holder, "contact": contact, "custody": custody, "epoch": epoch, "wrap": wrap, "id": ident,
                "org": org, "message": message, "old_epoch": old_epoch,
            },
        )
    )  # fmt: skip


def to_suspend(reader: Reader, org: int, message: int) -> list[Row]:
    """Return the recipients' grants (id, contact) that recalling a message ends; never the thread's subscriber's."""
    return reader.query(
        "SELECT id, contact FROM grants WHERE org = :org AND message = :message AND role = 'recipient'"
        " AND state = 'active' AND ends IS NOT NULL",
        org=org,
        message=message,
    )


def suspended(reader: Reader, org: int, message: int) -> list[Row]:
    """Return the recipients' grants (id, contact, ends) that can still be given back."""
    return reader.query(
        "SELECT id, contact, ends FROM grants WHERE org = :org AND message = :message AND role = 'recipient'"
        " AND state = 'suspended'",
        org=org,
        message=message,
    )


def suspend(rows: Rows, org: int, idents: Sequence[int], until: int) -> int:
    """Refuse these grants from now on, and keep them until *until*; return how many still were active."""
    return sum(
        rows.execute(
            "UPDATE grants SET state = 'suspended', ends = ? WHERE org = ? AND id = ? AND state = 'active'",
            (until, org, ident),
        )
        for ident in idents
    )


def end_now(rows: Rows, org: int, idents: Sequence[int], now: int) -> None:
    """Let nobody give these suspended grants back any more: upkeep shreds them next."""
    rows.many(
        "UPDATE grants SET ends = ? WHERE org = ? AND id = ? AND state = 'suspended' AND ends > ?",
        [(now, org, ident, now) for ident in idents],
    )


def set_end(rows: Rows, org: int, idents: Sequence[int], ends: int) -> int:
    """Let these grants open until *ends*, sooner or later than before; return how many still were active."""
    return sum(
        rows.execute(
            "UPDATE grants SET ends = ? WHERE org = ? AND id = ? AND state = 'active' AND ends IS NOT NULL",
            (ends, org, ident),
        )
        for ident in idents
    )


def set_life(rows: Rows, org: int, message: int, expires: int) -> None:
    """Let a message end at another time for all its recipients."""
    rows.execute(
        "UPDATE messages SET expires = :expires WHERE org = :org AND id = :message",
        {"expires": expires, "org": org, "message": message},
    )


def notices(reader: Reader, org: int, message: int) -> list[Row]:
    """Return how often each recipient (address id) of a message was written to, and when the latest was made."""
    return reader.query(
        "SELECT recipient, count(*) AS n, max(created) AS latest FROM deliveries"
        " WHERE org = :org AND message = :message AND kind IN ('notice', 'handoff') GROUP BY recipient",
        org=org,
        message=message,
    )


def told_since(rows: Rows, org: int, message: int, since: int) -> set[int]:
    """Return the recipients (address ids) of a message whom something was made for after *since*, to tell them."""
    found = rows.query(
        "SELECT recipient FROM deliveries WHERE org = :org AND message = :message AND kind IN ('notice', 'handoff')"
        " AND created > :since AND recipient IS NOT NULL",
        {"org": org, "message": message, "since": since},
    )
    return {row["recipient"] for row in found}


def give_back(rows: Rows, org: int, idents: Sequence[int], ends: int) -> int:
    """Let these suspended grants open again until *ends*; return how many there still were."""
    return sum(
        rows.execute(
            "UPDATE grants SET state = 'active', ends = ? WHERE org = ? AND id = ? AND state = 'suspended'",
            (ends, org, ident),
        )
        for ident in idents
    )


def prolong(rows: Rows, org: int, message: int, expires: int) -> None:
    """Let a message live until *expires*, for what is given back after its time was over."""
    rows.execute(
        "UPDATE messages SET expires = :expires WHERE org = :org AND id = :message AND expires < :expires",
        {"expires": expires, "org": org, "message": message},
    )


def waiting_deliveries(reader: Reader, org: int, message: int) -> list[Row]:
    """Return what of a message has not left yet: (id, canonical address, state)."""
    return reader.query(
        "SELECT d.id, a.canonical, d.state FROM deliveries d JOIN addresses a ON a.id = d.recipient"
        " WHERE d.org = :org AND d.message = :message AND d.kind IN ('notice', 'handoff', 'relay')"
        " AND d.state IN ('checking', 'due', 'held', 'leased', 'delayed', 'parked')",
        org=org,
        message=message,
    )


def cancel(rows: Rows, org: int, deliveries: Sequence[int], now: int) -> None:
    """Keep these from leaving and destroy their queue keys; one under way just now loses the key for a next try."""
    for ident in deliveries:
        rows.execute(
            "UPDATE deliveries SET queue_epoch = NULL, queue_wrap = NULL,"
            " settled = CASE state WHEN 'leased' THEN settled ELSE :now END,"
            " state = CASE state WHEN 'leased' THEN state ELSE 'cancelled' END"
            " WHERE org = :org AND id = :id AND state IN ('checking', 'due', 'held', 'leased', 'delayed', 'parked')",
            {"now": now, "org": org, "id": ident},
        )


def resume(rows: Rows, org: int, message: int, recipient: str, now: int) -> None:
    """Let a recipient be told after all of what was given back; a handoff whose key is gone goes as a link."""
    rows.execute(
        "UPDATE deliveries SET state = 'due', due = :now, settled = NULL, attempts = 0, crashes = 0,"
        " form = CASE kind WHEN 'handoff' THEN 'link' ELSE '' END"
        " WHERE org = :org AND message = :message AND kind IN ('notice', 'handoff') AND state = 'cancelled'"
        " AND template = ''"  # not the reminders
        " AND recipient = (SELECT id FROM addresses WHERE canonical = :recipient)",
        {"now": now, "org": org, "message": message, "recipient": recipient},
    )

"""What an account's owner sees and says of it: browsers, the access log, marks, blocked senders, its end.

All of it is one account's, over all organisations, which makes these queries an exception like a recipient's own list.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptnsend.core.contracts import Reader, Row, Rows
from cryptnsend.core.model import account_holder
from cryptnsend.store.records.audit import OPERATOR as OPERATOR
from cryptnsend.store.records.audit import WITHHELD

ROUTINE = "message.sealed"  # what everybody who sends does all day; not part of anybody's access log
CLOSING = "closing"  # a mark: the keeper is being asked to close the account, and the rows are to follow
RESET = "reset-told"  # a mark: the mails about a reset by mail are in the queue
RECOVERY_FILE = "recovery-file"  # a mark: the archive's recovery file is in a safe place


def browsers(reader: Reader, account: int) -> list[Row]:
    """Return the sessions of an account that are not over by sign-out, the latest used first."""
    return reader.query(
        "SELECT id_hash, created, seen, agent FROM sessions WHERE account = :account AND state = 'in'"
        " ORDER BY seen DESC, created DESC",
        account=account,
    )


def end_browser(rows: Rows, account: int, id_hash: bytes) -> bool:
    """End one session of this account; False if it has none such."""
    return bool(
        rows.execute(
            "UPDATE sessions SET state = 'ended', sealed = :none WHERE id_hash = :id AND account = :account"
            " AND state = 'in'",
            {"none": b"", "id": id_hash, "account": account},
        )
    )


def doings(reader: Reader, account: int, before: int, limit: int) -> list[Row]:
    """
    Return what an account did, and what the operator did to it or its messages, the latest first.

    All are older than *before*, in UTC milliseconds. What stands in another organisation's chain as well is told once,
    by the row of their own, which says from where.
    """
    return reader.query(
        "SELECT at, actor, action, object, detail FROM ("
        " SELECT * FROM (SELECT at, seq, actor, action, object, detail FROM audit"
        "  WHERE actor = :holder AND at < :before AND action <> 'message.sealed'"
        "  AND detail NOT LIKE :withheld ORDER BY at DESC LIMIT :limit) AS own"
        " UNION ALL SELECT * FROM (SELECT t.at, t.seq, t.actor, t.action, t.object, t.detail FROM concerned k"
        "  JOIN audit t ON t.org = k.org AND t.seq = k.seq WHERE k.account = :account AND k.at < :before"
        "  ORDER BY k.at DESC LIMIT :limit) AS others"
        ") AS both_ ORDER BY at DESC, seq DESC LIMIT :limit",
        holder=account_holder(account),
        withheld=f'%"where":"{WITHHELD}"%',
        account=account,
        before=before,
        limit=limit,
    )


def mark(rows: Rows, org: int, account: int, what: str, at: int) -> None:
    """Note that an account's owner confirmed something."""
    rows.execute(
        "INSERT INTO marks(org, account, what, at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT(account, what) DO UPDATE SET at = excluded.at",
        (org, account, what, at),
    )


def unmark(rows: Rows, account: int, what: str) -> None:
    """Forget a mark."""
    rows.execute("DELETE FROM marks WHERE account = :account AND what = :what", {"account": account, "what": what})


def closings(reader: Reader, before: int) -> list[Row]:
    """Return the accounts (account, org) that somebody began to close before then, and whose rows say nothing of it."""
    return reader.query(
        "SELECT account, org FROM marks WHERE what = :what AND at < :before ORDER BY account",
        what=CLOSING,
        before=before,
    )


def marked_since(reader: Reader, account: int, what: str, since: int) -> bool:
    """Say whether an account has this mark from then or later."""
    found = reader.query("SELECT at FROM marks WHERE account = :account AND what = :what", account=account, what=what)
    return any(row["at"] >= since for row in found)


def marked(reader: Reader, account: int, what: str) -> bool:
    """Say whether an account's owner confirmed this."""
    found = reader.query("SELECT at FROM marks WHERE account = :account AND what = :what", account=account, what=what)
    return bool(found)


def senders(reader: Reader, account: int, state: str) -> list[Row]:
    """Return the subscribers with whom an account's addresses are in this state, by name."""
    return reader.query(
        "SELECT c.id, a.canonical, s.name, (SELECT min(o.display) FROM addresses o WHERE o.account = s.id) AS display"
        " FROM addresses a JOIN contacts c ON c.address = a.id JOIN accounts s ON s.id = c.subscriber"
        " WHERE a.account = :account AND c.state = :state ORDER BY s.name, c.id",
        account=account,
        state=state,
    )


def block(rows: Rows, account: int, subscriber: int) -> int:
    """Let a subscriber's mail to any of this account's addresses be refused; return how many contacts that changed."""
    return rows.execute(
        "UPDATE contacts SET state = 'blocked' WHERE subscriber = :subscriber AND state <> 'blocked'"
        " AND address IN (SELECT id FROM addresses WHERE account = :account)",
        {"subscriber": subscriber, "account": account},
    )


def officers(reader: Reader, org: int) -> list[int]:
    """Return the accounts of an organisation's officers."""
    found = reader.query(
        "SELECT id FROM accounts WHERE org = :org AND state IN ('active', 'weak')"
        " AND ',' || roles || ',' LIKE '%,officer,%' ORDER BY id",
        org=org,
    )
    return [row["id"] for row in found]


def is_reported(rows: Rows, message: int) -> bool:
    """Say whether mails about a report of this message were made before."""
    found = rows.query(
        "SELECT 1 AS one FROM deliveries WHERE message = :message AND template = 'reported' LIMIT 1",
        {"message": message},
    )
    return bool(found)


def password_since(reader: Reader, holder: str) -> int | None:
    """Return when an account's password was set last, as the audit trail has it."""
    found = reader.query(
        "SELECT max(at) AS at FROM audit WHERE actor = :holder AND action <> 'message.sealed' AND action IN"
        " ('account.registered', 'account.subscribed', 'account.added', 'account.reset', 'account.password-changed')",
        holder=holder,
    )
    return found[0]["at"] if found else None


def asked_since(
    rows: Rows,
    message: int,
    address: int,
    since: int,
    templates: Sequence[str] = ("asked-code", "asked-again", "asked-own"),
) -> bool:
    """Say whether the author of this message was told after *since* that a recipient asks for something, or fails."""
    names = {f"t{number}": each for number, each in enumerate(templates)}
    found = rows.query(
        "SELECT 1 AS one FROM deliveries WHERE message = :message AND recipient = :address AND kind = 'alert'"  # noqa: S608
        f" AND template IN ({', '.join(f':{name}' for name in names)}) AND created > :since LIMIT 1",
        {"message": message, "address": address, "since": since, **names},
    )
    return bool(found)


def author_of(rows: Rows, message: int) -> int | None:
    """Return whose message it is, None where it is gone."""
    found = rows.query("SELECT author FROM messages WHERE id = :message", {"message": message})
    author: int | None = found[0]["author"] if found else None
    return author


def unblock(rows: Rows, account: int, contact: int) -> bool:
    """Let a sender's mail in again, as the keeper's words on the contact have it; False if it was not blocked."""
    return bool(
        rows.execute(
            "UPDATE contacts SET state = CASE WHEN statement IS NULL THEN 'new' ELSE 'proven' END"
            " WHERE id = :contact AND state = 'blocked'"
            " AND address IN (SELECT id FROM addresses WHERE account = :account)",
            {"contact": contact, "account": account},
        )
    )


def open_account(rows: Rows, account: int) -> int | None:
    """Return the organisation of an account that is not closed, None for one that is, or is not there."""
    found = rows.query("SELECT org FROM accounts WHERE id = :account AND state <> 'closed'", {"account": account})
    return int(found[0]["org"]) if found else None


def close(rows: Rows, account: int, now: int) -> None:
    """Close an account's rows: nobody signs in to it, no device sends for it, and its addresses are free again."""
    rows.execute(
        "UPDATE accounts SET state = 'closed', credential_version = credential_version + 1, phone = ''"
        " WHERE id = :account",
        {"account": account},
    )
    rows.execute("UPDATE addresses SET account = NULL WHERE account = :account", {"account": account})
    rows.execute(
        "UPDATE devices SET revoked = coalesce(revoked, :now) WHERE account = :account",
        {"account": account, "now": now},
    )
    rows.execute(
        "UPDATE contacts SET statement = NULL, account = NULL, state = CASE state WHEN 'blocked' THEN 'blocked'"
        " ELSE 'new' END WHERE account = :account",
        {"account": account},
    )


def left_by_closed(reader: Reader, limit: int = 500) -> list[Row]:
    """Return grants (id, org, message, holder) of closed accounts: nothing opens them any more."""
    return reader.query(
        "SELECT g.id, g.org, g.message, g.holder FROM accounts a"
        " JOIN grants g ON g.holder = 'account:' || a.id WHERE a.state = 'closed' LIMIT :limit",
        limit=limit,
    )


def shred(rows: Rows, holder: str, ident: int) -> None:
    """Delete one grant of a closed account."""
    rows.execute("DELETE FROM grants WHERE id = :id AND holder = :holder", {"id": ident, "holder": holder})


def drafts_of_closed(reader: Reader, limit: int = 500) -> list[Row]:
    """Return drafts (id, account) of closed accounts."""
    return reader.query(
        "SELECT d.id, d.account FROM accounts a JOIN drafts d ON d.account = a.id WHERE a.state = 'closed'"
        " LIMIT :limit",
        limit=limit,
    )


def entries(reader: Reader, org: int, before: int | None, limit: int, subject: str = "") -> list[Row]:
    """
    Return entries of an organisation's audit trail older than entry *before*, the newest first.

    *subject* leaves only those by one actor or about one thing: a holder as `account:7`, or the id of a message.
    """
    if not subject:
        return reader.query(
            "SELECT seq, at, actor, action, object, detail FROM audit WHERE org = :org AND seq < :before"
            " ORDER BY seq DESC LIMIT :limit",
            org=org,
            before=1 << 62 if before is None else before,
            limit=limit,
        )
    return reader.query(
        "SELECT seq, at, actor, action, object, detail FROM audit WHERE org = :org AND seq < :before"
        " AND (actor = :subject OR object = :subject OR object = :bare) ORDER BY seq DESC LIMIT :limit",
        org=org,
        before=1 << 62 if before is None else before,
        limit=limit,
        subject=subject,
        bare=subject.removeprefix("account:"),
    )


def people(reader: Reader, org: int) -> list[Row]:
    """Return the accounts of an organisation with one address each (account, address)."""
    return reader.query(
        "SELECT c.id AS account, min(a.canonical) AS address FROM accounts c JOIN addresses a ON a.account = c.id"
        " WHERE c.org = :org GROUP BY c.id",
        org=org,
    )

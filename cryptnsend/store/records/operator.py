"""Rows as the operator's commands list them: no content, but over all organisations, which is a named exception."""

from __future__ import annotations

from cryptnsend.core.contracts import Engine, Row


def organisations(engine: Engine) -> list[Row]:
    """Return the organisations of more than one (id, name), oldest first."""
    return engine.query("SELECT id, name FROM organisations WHERE single = 0 AND id <> 0 ORDER BY id")


def chains(engine: Engine) -> list[Row]:
    """
    Return every organisation (id, name, single, address), the installation first: each has an audit chain.

    *address* is that of an organisation of one's subscriber, None for all others and for accounts that are closed.
    """
    return engine.query(
        "SELECT o.id, o.name, o.single, (SELECT min(a.canonical) FROM accounts c JOIN addresses a ON a.account = c.id"
        " WHERE c.org = o.id AND o.single = 1) AS address FROM organisations o ORDER BY o.id"
    )


def messages(engine: Engine, author: str | None, limit: int) -> list[Row]:
    """Return messages without their content, newest first; *author* is a canonical address or None."""
    return engine.query(
        "SELECT m.id, m.org, a.canonical AS author, m.origin, m.size, m.state, m.created, m.expires,"
        " (SELECT count(*) FROM recipients r WHERE r.message = m.id) AS recipients,"
        " (SELECT count(*) FROM recipients r WHERE r.message = m.id AND r.first_opened IS NOT NULL) AS opened"
        " FROM messages m JOIN addresses a ON a.id = m.author_address"
        " WHERE :author IS NULL OR a.canonical = :author ORDER BY m.id DESC LIMIT :limit",
        author=author,
        limit=limit,
    )


def message(engine: Engine, ident: int) -> Row | None:
    """Return one message without its content."""
    found = engine.query(
        "SELECT m.id, m.org, m.thread, m.author AS author_account, a.canonical AS author, m.origin, m.size, m.state,"
        " m.created, m.expires FROM messages m JOIN addresses a ON a.id = m.author_address WHERE m.id = :id",
        id=ident,
    )
    return found[0] if found else None


def reports(engine: Engine, limit: int) -> list[Row]:
    """Return what recipients reported, newest first: when, which message, its author, and who reported it."""
    return engine.query(
        "SELECT r.at, r.org, CAST(r.object AS INTEGER) AS message, a.canonical AS author,"
        " (SELECT min(b.canonical) FROM addresses b WHERE 'account:' || b.account = r.actor) AS reporter"
        " FROM audit r LEFT JOIN messages m ON m.id = CAST(r.object AS INTEGER)"
        " LEFT JOIN addresses a ON a.id = m.author_address"
        " WHERE r.action = 'sender.reported' AND r.action <> 'message.sealed'"
        " ORDER BY r.at DESC, r.seq DESC LIMIT :limit",
        limit=limit,
    )


def recipients(engine: Engine, ident: int) -> list[Row]:
    """Return what became of a message for each recipient."""
    return engine.query(
        "SELECT a.canonical AS address, r.decision, r.form, r.reason, r.notified, r.first_opened AS opened,"
        " (SELECT d.state FROM deliveries d WHERE d.message = r.message AND d.recipient = r.address"
        "  AND d.kind IN ('notice', 'relay', 'handoff') ORDER BY d.id DESC LIMIT 1) AS delivery,"
        " (SELECT g.state FROM grants g WHERE g.message = r.message AND g.role = 'recipient'"
        "  AND g.holder IN ('address:' || a.canonical, 'account:' || a.account)) AS state"
        " FROM recipients r JOIN addresses a ON a.id = r.address WHERE r.message = :id ORDER BY a.canonical",
        id=ident,
    )


def unconfirmed_archives(engine: Engine, what: str) -> list[Row]:
    """
    Return the organisations (id, name, officer) with an archive whose recovery file no officer has said to be safe.

    *what* is the mark by which they say so; *officer* is an address. The name of an organisation of one is None.
    Organisations whose officers are gone are left out: nobody can make the file any more.
    """
    return engine.query(
        "SELECT o.id, CASE WHEN o.single = 0 THEN o.name END AS name, min(a.canonical) AS officer"
        " FROM organisations o JOIN accounts c ON c.org = o.id AND ',' || c.roles || ',' LIKE '%,officer,%'"
        " AND c.state <> 'closed' JOIN addresses a ON a.account = c.id"
        " WHERE EXISTS (SELECT 1 FROM pairs p WHERE p.holder = 'archive:' || o.id AND p.state = 'current')"
        " AND NOT EXISTS (SELECT 1 FROM marks k WHERE k.org = o.id AND k.what = :what)"
        " GROUP BY o.id, o.name, o.single ORDER BY o.single, officer",
        what=what,
    )


def addresses(engine: Engine, account: int) -> list[str]:
    """Return the canonical addresses of an account, the oldest first."""
    found = engine.query("SELECT canonical FROM addresses WHERE account = :account ORDER BY id", account=account)
    return [row["canonical"] for row in found]

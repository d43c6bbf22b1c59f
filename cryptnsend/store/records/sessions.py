"""Rows of who is signed in. Found by the hash of an id that only the cookie has; seeds rest under the cookie's secret.

A session is one browser's, whatever organisations its account has to do with, and is found by its hash alone.
"""

from __future__ import annotations

from cryptnsend.core.contracts import Engine, Row, Rows


def add(rows: Rows, id_hash: bytes, org: int, account: int, sealed: bytes, version: int, now: int, agent: str) -> None:
    """Remember a new session."""
    rows.execute(
        "INSERT INTO sessions(id_hash, org, account, sealed, state, stepped_up, credential_version, created, seen,"
        " agent)"
        " VALUES (?, ?, ?, ?, 'in', NULL, ?, ?, ?, ?)",
        (id_hash, org, account, sealed, version, now, now, agent),
    )


def session(engine: Engine, id_hash: bytes) -> Row | None:
    """Return a session with the account it belongs to as that stands now, or None."""
    found = engine.query(
        "SELECT s.account, s.org, s.sealed, s.credential_version, s.created, s.seen, s.state, c.roles,"
        " c.state AS account_state, c.credential_version AS current_version, c.name, c.locale,"
        " coalesce(r.minutes, 0) AS rest"
        " FROM sessions s JOIN accounts c ON c.id = s.account LEFT JOIN rests r ON r.account = s.account"
        " WHERE s.id_hash = :id_hash AND s.state = 'in'",
        id_hash=id_hash,
    )
    return found[0] if found else None


def set_rest(rows: Rows, org: int, account: int, minutes: int) -> None:
    """Note after how many minutes without a tap an account is to be signed out; 0 for as late as may be."""
    if not minutes:
        rows.execute("DELETE FROM rests WHERE account = :account", {"account": account})
        return
    rows.execute(
        "INSERT INTO rests(account, org, minutes) VALUES (:account, :org, :minutes)"
        " ON CONFLICT(account) DO UPDATE SET org = excluded.org, minutes = excluded.minutes",
        {"account": account, "org": org, "minutes": minutes},
    )


def touch(rows: Rows, id_hash: bytes, now: int) -> None:
    """Remember that the session was used."""
    rows.execute("UPDATE sessions SET seen = :now WHERE id_hash = :id", {"now": now, "id": id_hash})


def replace(rows: Rows, id_hash: bytes, sealed: bytes, version: int) -> None:
    """Put new seeds into a session, after pairs were unlocked or a password changed."""
    rows.execute(
        "UPDATE sessions SET sealed = :sealed, credential_version = :version WHERE id_hash = :id",
        {"sealed": sealed, "version": version, "id": id_hash},
    )


def reseal(rows: Rows, id_hash: bytes, sealed: bytes) -> None:
    """Put another sealed content into a session that goes on as it is."""
    rows.execute(
        "UPDATE sessions SET sealed = :sealed WHERE id_hash = :id AND state = 'in'", {"sealed": sealed, "id": id_hash}
    )


def end(rows: Rows, id_hash: bytes) -> None:
    """End one session: its seeds go at once; that there was such a browser is remembered for a while."""
    rows.execute(
        "UPDATE sessions SET state = 'ended', sealed = :none WHERE id_hash = :id", {"none": b"", "id": id_hash}
    )


def rest(rows: Rows, id_hash: bytes) -> None:
    """End a session by time: its seeds go at once, but what its page still holds may be kept for who it was."""
    rows.execute(
        "UPDATE sessions SET state = 'rested', sealed = :none WHERE id_hash = :id AND state = 'in'",
        {"none": b"", "id": id_hash},
    )


def rested(engine: Engine, id_hash: bytes) -> Row | None:
    """Return a session that ended by time, with the account it belonged to as that stands now, or None."""
    found = engine.query(
        "SELECT s.account, s.org, s.credential_version, s.seen, c.state AS account_state,"
        " c.credential_version AS current_version FROM sessions s JOIN accounts c ON c.id = s.account"
        " WHERE s.id_hash = :id_hash AND s.state = 'rested'",
        id_hash=id_hash,
    )
    return found[0] if found else None


def end_all(rows: Rows, account: int, but: bytes = b"") -> None:
    """End every session of an account, but for one."""
    rows.execute(
        "UPDATE sessions SET state = 'ended', sealed = :none WHERE account = :account AND id_hash <> :but"
        " AND state <> 'ended'",
        {"none": b"", "account": account, "but": but},
    )


def end_old(rows: Rows, before: int) -> None:
    """End the sessions begun before then, which nobody came back to."""
    rows.execute(
        "UPDATE sessions SET state = 'ended', sealed = :none WHERE created < :before AND state = 'in'",
        {"none": b"", "before": before},
    )


def known_agent(engine: Engine, account: int, agent: str) -> bool:
    """Say whether this account was signed in from such a browser before, or never at all."""
    found = engine.query(
        "SELECT count(*) AS n, count(CASE agent WHEN :agent THEN 1 END) AS same FROM sessions WHERE account = :account",
        account=account,
        agent=agent,
    )
    return not found[0]["n"] or bool(found[0]["same"])

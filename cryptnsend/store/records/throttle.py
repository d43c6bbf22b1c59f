"""Counts of failed sign-ins per door, address and source, and networks of an address's sign-ins that were right.

These rows are the installation's, like the accounts they protect.
"""

from __future__ import annotations

from cryptnsend.core.contracts import Engine, Rows


def paused_until(engine: Engine, door: str, subject: str, source: str) -> int:
    """Return until when (UTC milliseconds) this source must wait for this subject; 0 if it need not."""
    found = engine.query(
        "SELECT until FROM throttle WHERE door = :door AND subject = :subject AND source = :source",
        door=door,
        subject=subject,
        source=source,
    )
    until: int = found[0]["until"] if found else 0
    return until


def failed(rows: Rows, door: str, subject: str, source: str, now: int, free: int, pause: int) -> int:
    """
    Count a failure; return until when the next try must wait.

    *free* failures cost nothing; each further one doubles *pause* (milliseconds), at most to a day. A day without
    failures forgets.
    """
    found = rows.query(
        "INSERT INTO throttle(org, door, subject, source, failures, last, until)"
        " VALUES (0, :door, :subject, :source, 1, :now, 0) ON CONFLICT(door, subject, source) DO UPDATE SET"
        " failures = CASE WHEN throttle.last < :forgotten THEN 1 ELSE throttle.failures + 1 END, last = :now"
        " RETURNING failures",
        {"door": door, "subject": subject, "source": source, "now": now, "forgotten": now - 86_400_000},
    )
    return _pause(rows, door, subject, source, now, found[0]["failures"] - free, pause)


def asked(rows: Rows, door: str, subject: str, source: str, now: int, free: int, pause: int) -> int:
    """
    Count something that is no failure, but makes work for others; return until when the next must wait.

    *free* of it in a day cost nothing, however long it goes on: many people may come from one source. Beyond that the
    pauses grow as for failures.
    """
    found = rows.query(
        "INSERT INTO throttle(org, door, subject, source, failures, last, until)"
        " VALUES (0, :door, :subject, :source, 1, :now, 0) ON CONFLICT(door, subject, source) DO UPDATE SET"
        " failures = CASE WHEN throttle.failures > (:now - throttle.last) * :free / 86400000"
        " THEN throttle.failures - (:now - throttle.last) * :free / 86400000 ELSE 0 END + 1, last = :now"
        " RETURNING failures",
        {"door": door, "subject": subject, "source": source, "now": now, "free": free},
    )
    return _pause(rows, door, subject, source, now, found[0]["failures"] - free, pause)


def _pause(rows: Rows, door: str, subject: str, source: str, now: int, beyond: int, pause: int) -> int:
    if beyond < 0:
        return 0
    until = now + min(pause << min(beyond, 10), 86_400_000)
    rows.execute(
        "UPDATE throttle SET until = :until WHERE door = :door AND subject = :subject AND source = :source",
        {"until": until, "door": door, "subject": subject, "source": source},
    )
    return until


def known(rows: Rows, door: str, subject: str, source: str, now: int, until: int) -> None:
    """Note that a source is known to a subject, for a while: the same row, where having to wait means the contrary."""
    rows.execute(
        "INSERT INTO throttle(org, door, subject, source, failures, last, until)"
        " VALUES (0, :door, :subject, :source, 0, :now, :until)"
        " ON CONFLICT(door, subject, source) DO UPDATE SET last = :now, until = :until",
        {"door": door, "subject": subject, "source": source, "now": now, "until": until},
    )


def forget(rows: Rows, door: str, account: int) -> None:
    """Forget what is noted at one door about all addresses of an account."""
    rows.execute(
        "DELETE FROM throttle WHERE door = :door AND subject IN"
        " (SELECT canonical FROM addresses WHERE account = :account)",
        {"door": door, "account": account},
    )


def forgive(rows: Rows, door: str, subject: str, source: str) -> None:
    """Forget the failures of this source for this subject, after a success."""
    rows.execute(
        "DELETE FROM throttle WHERE door = :door AND subject = :subject AND source = :source",
        {"door": door, "subject": subject, "source": source},
    )


def has_failures(engine: Engine, door: str, subject: str, source: str) -> bool:
    """Say whether any failure is counted, so that a success need not write where there is none."""
    return bool(
        engine.query(
            "SELECT 1 AS one FROM throttle WHERE door = :door AND subject = :subject AND source = :source",
            door=door,
            subject=subject,
            source=source,
        )
    )

"""Rows by which an officer finds what leaks: an organisation's messages, whom they reached, and what answers them."""

from __future__ import annotations

from cryptnsend.core.contracts import Reader, Row
from cryptnsend.core.model import first_id

MOST = 1000
DAY = 86_400_000  # milliseconds


def find(
    reader: Reader,
    org: int,
    *,
    message: int = 0,
    author: str = "",
    number: str = "",
    since: int = 0,
    until: int = (1 << 63) - 1,
    limit: int = MOST,
    older: int = (1 << 63) - 1,
) -> list[Row]:
    """
    Return messages of an organisation's own conversations, newest first: id, author, when, recipients, how many opened.

    *number* is the short one that stands in mails about a message, *older* the last message of the page before; times
    are UTC milliseconds.
    """
    return reader.query(
        "SELECT m.id, m.created, a.canonical AS author, m.message_id,"
        " (SELECT count(*) FROM recipients r WHERE r.message = m.id) AS recipients,"
        " (SELECT count(*) FROM recipients r WHERE r.message = m.id AND r.first_opened IS NOT NULL) AS opened,"
        " (SELECT count(*) FROM grants g WHERE g.message = m.id AND g.role = 'recipient' AND g.state = 'active'"
        "  AND g.ends IS NOT NULL) AS open_to"
        " FROM messages m JOIN threads t ON t.id = m.thread JOIN addresses a ON a.id = m.author_address"
        " WHERE t.org = :org AND m.state = 'sealed' AND m.id BETWEEN :least AND :most"
        " AND m.id < :older AND m.created >= :since AND m.created < :until AND (:author = '' OR a.canonical = :author)"
        " AND (:number = '' OR EXISTS (SELECT 1 FROM recipients r WHERE r.message = m.id AND r.display_id = :number))"
        " ORDER BY m.id DESC LIMIT :limit",
        org=org,
        least=message or first_id(since - DAY),  # ids follow the clock, so that only what is that young is walked over
        most=message or (1 << 63) - 1,
        author=author,
        number=number,
        since=since,
        until=until,
        limit=limit,
        older=older,
    )


def answers(reader: Reader, org: int, message: int) -> list[Row]:
    """Return what answers a message, and so may quote it: id, author, when, whether it can be opened by anybody."""
    return reader.query(
        "SELECT m.id, m.created, a.canonical AS author,"
        " (SELECT count(*) FROM grants g WHERE g.message = m.id AND g.role = 'recipient' AND g.state = 'active')"
        "  AS open_to"
        " FROM messages o JOIN messages m ON m.thread = o.thread AND m.id > o.id AND m.parent = o.id"
        " JOIN addresses a ON a.id = m.author_address WHERE o.org = :org AND o.id = :message ORDER BY m.id",
        org=org,
        message=message,
    )

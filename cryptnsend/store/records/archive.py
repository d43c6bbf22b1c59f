"""Rows of archives: what each has, as a hash chain that is signed once a day; legal holds; and finding by metadata.

A row of the chain is made once, after the day on which its message was sealed. Its hash covers the hash of the row
before it, the sealed content as it rests, the envelope and the time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cryptnsend.core.checkpoints import Checkpoint
from cryptnsend.core.contracts import Reader, Row, Rows
from cryptnsend.core.seal import framed
from cryptnsend.store.schema.archive import HELD

START = bytes(32)  # what stands in for the hash before the first row
PAGE = 500


class Listed(NamedTuple):
    """One message in an archive's chain."""

    org: int
    seq: int
    message: int
    at: int
    content: bytes
    envelope: bytes
    hash: bytes


def link(before: bytes, org: int, seq: int, message: int, at: int, content: bytes, envelope: bytes) -> bytes:
    """Return the hash of a row, given that of the row before it and the row's fields."""
    return hashlib.sha256(framed("archived", before, org, seq, message, at, content, envelope)).digest()


def unlisted(reader: Reader, after: int, before: int) -> list[Row]:
    """Return messages (message, org) in archives whose chains have them not yet, by id; a page of them."""
    return reader.query(
        "SELECT g.message, CAST(substr(g.holder, 9) AS INTEGER) AS org FROM grants g"
        " WHERE g.message >= :after AND g.message < :before AND g.role = 'archive' AND NOT EXISTS"
        "  (SELECT 1 FROM archived a WHERE a.message = g.message AND a.org = CAST(substr(g.holder, 9) AS INTEGER))"
        " ORDER BY g.message LIMIT :limit",
        after=after,
        before=before,
        limit=PAGE,
    )


def unlisted_of(reader: Reader, org: int, before: int) -> list[int]:
    """Return messages of one archive, older than *before* (an id), that its chain has not; at most a page of them."""
    found = reader.query(
        "SELECT g.message FROM grants g WHERE g.holder = 'archive:' || :org AND g.role = 'archive'"
        " AND g.message < :before"
        " AND NOT EXISTS (SELECT 1 FROM archived a WHERE a.message = g.message AND a.org = :org)"
        " ORDER BY g.message LIMIT :limit",
        org=org,
        before=before,
        limit=PAGE,
    )
    return [row["message"] for row in found]


def append(rows: Rows, org: int, message: int, at: int, content: bytes, envelope: bytes) -> None:
    """Append one message to an archive's chain; one that is in it already changes nothing."""
    known = rows.query("SELECT 1 AS one FROM archived WHERE org = :org AND message = :id", {"org": org, "id": message})
    if known:
        return
    newest = rows.query("SELECT seq, hash FROM archived WHERE org = :org ORDER BY seq DESC LIMIT 1", {"org": org})
    seq, before = (newest[0]["seq"] + 1, newest[0]["hash"]) if newest else (1, START)
    digest = link(before, org, seq, message, at, content, envelope)
    rows.execute(
        "INSERT INTO archived(org, seq, message, at, content, envelope, hash) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (org, seq, message, at, content, envelope, digest),
    )


def listed_count(reader: Reader, org: int) -> int:
    """Return how many messages an archive's chain lists."""
    return int(reader.query("SELECT count(*) AS n FROM archived WHERE org = :org", org=org)[0]["n"])


def listed(reader: Reader, org: int, after: int = 0) -> Iterator[Listed]:
    """Yield the rows of an archive's chain behind row *after* in order, reading a page at a time."""
    while page := reader.query(
        "SELECT org, seq, message, at, content, envelope, hash FROM archived"
        " WHERE org = :org AND seq > :after ORDER BY seq LIMIT :limit",
        org=org,
        after=after,
        limit=PAGE,
    ):
        yield from (Listed(**row) for row in page)
        after = page[-1]["seq"]


def entry(reader: Reader, org: int, message: int) -> Listed | None:
    """Return a message's row in an archive's chain."""
    found = reader.query(
        "SELECT org, seq, message, at, content, envelope, hash FROM archived WHERE org = :org AND message = :message",
        org=org,
        message=message,
    )
    return Listed(**found[0]) if found else None


def heads(reader: Reader) -> list[Row]:
    """Return (org, seq, hash) of the newest row of every archive's chain that has one."""
    return reader.query(
        "SELECT a.org, a.seq, a.hash FROM organisations o JOIN archived a ON a.org = o.id"
        " AND a.seq = (SELECT max(b.seq) FROM archived b WHERE b.org = o.id)"
    )


def keep_manifest(rows: Rows, day: int, point: Checkpoint) -> None:
    """Keep what the keeper signed of an archive for a day (since 1970, UTC)."""
    rows.execute(
        "INSERT INTO manifests(org, day, seq, hash, at, ed25519, ml_dsa) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT(org, day) DO NOTHING",
        (point.organisation, day, point.seq, point.hash, point.at, point.ed25519, point.ml_dsa),
    )


def manifests(reader: Reader, org: int) -> list[Checkpoint]:
    """Return what was signed of an archive, the earliest first."""
    found = reader.query(
        "SELECT org, seq, hash, at, ed25519, ml_dsa FROM manifests WHERE org = :org ORDER BY day", org=org
    )
    return [Checkpoint(row["org"], row["seq"], row["hash"], row["at"], row["ed25519"], row["ml_dsa"]) for row in found]


def signed_until(reader: Reader, org: int) -> int:
    """Return the newest row of an archive's chain that a manifest covers."""
    found = reader.query("SELECT max(seq) AS seq FROM manifests WHERE org = :org", org=org)
    return int(found[0]["seq"] or 0)


def newest_manifest(reader: Reader) -> int:
    """Return when a manifest was signed last; 0 if never."""
    return int(reader.query("SELECT max(at) AS at FROM manifests")[0]["at"] or 0)


def parts(reader: Reader, message: int) -> list[Row]:
    """Return the sealed parts of a message (part, size, body, blob_key) in a fixed order."""
    return reader.query(
        "SELECT part, size, body, blob_key FROM contents WHERE message = :message ORDER BY part", message=message
    )


def digests(reader: Reader, message: int) -> list[bytes]:
    """Return what archives have listed as the digest of a message's sealed content; nothing of a message without."""
    found = reader.query(
        "SELECT DISTINCT content FROM archived WHERE message = :message AND length(content) = 32", message=message
    )
    return [row["content"] for row in found]


def envelope(reader: Reader, message: int) -> tuple[Row, list[str]] | None:
    """Return a message (message_id, size, created, author) and everybody it was for, Bcc included; None if gone."""
    found = reader.query(
        "SELECT m.org, m.message_id, m.size, m.created, a.canonical AS author FROM messages m"
        " JOIN addresses a ON a.id = m.author_address WHERE m.id = :message",
        message=message,
    )
    people = reader.query(
        "SELECT a.canonical FROM recipients r JOIN addresses a ON a.id = r.address WHERE r.message = :message"
        " ORDER BY a.canonical",
        message=message,
    )
    return (found[0], [row["canonical"] for row in people]) if found else None


def is_kept(reader: Reader, org: int, message: int) -> bool:
    """Say whether an archive opens a message still."""
    found = reader.query(
        "SELECT 1 AS one FROM grants WHERE message = :message AND holder = 'archive:' || :org AND role = 'archive'",
        message=message,
        org=org,
    )
    return bool(found)


# -- finding ----------------------------------------------------------------------------------------------------------


def correspondents(reader: Reader, org: int, address: str, limit: int) -> list[int]:
    """Return the accounts of an organisation in whose conversations an address is, at most *limit*."""
    found = reader.query(
        "SELECT c.id FROM addresses x JOIN contacts k ON k.address = x.id JOIN accounts c ON c.id = k.subscriber"
        " WHERE x.canonical = :address AND c.org = :org AND c.state IN ('active', 'weak') ORDER BY c.id LIMIT :limit",
        address=address,
        org=org,
        limit=limit,
    )
    return [row["id"] for row in found]


def search(
    reader: Reader,
    org: int,
    *,
    address: str = "",
    author: str = "",
    recipient: str = "",
    since: int = 0,
    until: int = (1 << 63) - 1,
    message_id: str = "",
    case: str = "",
    before: int = (1 << 63) - 1,
    least: int = 0,
    limit: int = PAGE,
) -> list[Row]:
    """
    Return what an archive has, by metadata, newest first: id, author, recipients' number, size, when, whether held.

    *address* is author or recipient. Somebody written to in secret by another organisation's author counts only where
    the organisation is theirs: such a search must not tell who stood in Bcc.
    """
    return reader.query(
        "SELECT m.id, m.org, m.message_id, m.created, m.size, m.state, a.canonical AS author,"  # noqa: S608
        " (SELECT count(*) FROM recipients r WHERE r.message = m.id AND (m.org = :org OR r.disclosed = 1))"
        " AS recipients,"
        f" {HELD.format(grant='g')} AS held"
        " FROM grants g JOIN messages m ON m.id = g.message JOIN addresses a ON a.id = m.author_address"
        " WHERE g.holder = 'archive:' || :org AND g.role = 'archive' AND g.message >= :least AND g.message < :before"
        " AND m.created >= :since AND m.created < :until"
        " AND (:author = '' OR a.canonical = :author) AND (:message_id = '' OR m.message_id = :message_id)"
        " AND (:recipient = '' OR EXISTS (SELECT 1 FROM recipients r JOIN addresses x ON x.id = r.address"
        "  WHERE r.message = m.id AND x.canonical = :recipient AND (m.org = :org OR r.disclosed = 1)))"
        " AND (:address = '' OR a.canonical = :address OR EXISTS (SELECT 1 FROM recipients r"
        "  JOIN addresses x ON x.id = r.address WHERE r.message = m.id AND x.canonical = :address"
        "  AND (m.org = :org OR r.disclosed = 1 OR EXISTS (SELECT 1 FROM accounts c WHERE c.id = x.account"
        "   AND c.org = :org))))"
        " AND (:case_name = '' OR EXISTS (SELECT 1 FROM legal_holds h WHERE h.org = :org AND h.name = :case_name"
        "  AND (h.kind = 'message' AND h.subject = m.id OR h.kind = 'account' AND h.subject = m.author"
        "   OR h.kind = 'address' AND (h.subject = m.author_address OR EXISTS (SELECT 1 FROM recipients r"
        "    WHERE r.message = m.id AND r.address = h.subject)))))"
        " ORDER BY g.message DESC LIMIT :limit",
        org=org,
        address=address,
        author=author,
        recipient=recipient,
        since=since,
        until=until,
        message_id=message_id,
        case_name=case,
        before=before,
        least=least,
        limit=limit,
    )


def concerns(reader: Reader, org: int, message: int, address: str) -> bool:
    """Say whether an archive's message is from or to *address*, as far as `search` would tell."""
    found = search(reader, org, address=address, least=message, before=message + 1, limit=1)
    return bool(found)


# -- legal holds ------------------------------------------------------------------------------------------------------


def hold(rows: Rows, ident: int, org: int, name: str, kind: str, subject: int, reason: str, now: int) -> bool:
    """Keep a message, or all of an account or address, for a case; False if that case has it already."""
    known = rows.query(
        "SELECT 1 AS one FROM legal_holds WHERE org = :org AND name = :name AND kind = :kind AND subject = :subject"
        " AND ended IS NULL",
        {"org": org, "name": name, "kind": kind, "subject": subject},
    )
    if known:
        return False
    rows.execute(
        "INSERT INTO legal_holds(id, org, name, kind, subject, reason, since) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (ident, org, name, kind, subject, reason, now),
    )
    return True


def release(rows: Rows, org: int, name: str, now: int) -> int:
    """End a case's holds; return how many there were."""
    return rows.execute(
        "UPDATE legal_holds SET ended = :now WHERE org = :org AND name = :name AND ended IS NULL",
        {"now": now, "org": org, "name": name},
    )


def holds(reader: Reader, org: int) -> list[Row]:
    """Return an organisation's holds that last, by case: name, kind, subject, reason, since, and the address if any."""
    return reader.query(
        "SELECT h.id, h.name, h.kind, h.subject, h.reason, h.since, CASE h.kind"
        " WHEN 'address' THEN (SELECT a.canonical FROM addresses a WHERE a.id = h.subject)"
        " WHEN 'account' THEN (SELECT min(a.canonical) FROM addresses a WHERE a.account = h.subject) END AS address"
        " FROM legal_holds h WHERE h.org = :org AND h.ended IS NULL ORDER BY h.name, h.since, h.id",
        org=org,
    )


def addresses_of(reader: Reader, account: int) -> Sequence[int]:
    """Return the ids of an account's addresses."""
    return [row["id"] for row in reader.query("SELECT id FROM addresses WHERE account = :id", id=account)]

"""Rows that end: grants whose time is up, contents nobody can open, sessions, nonces, counters.

Upkeep walks over all organisations at once, so these queries are the other named exception to "every query takes the
organisation"; rows that are acted upon carry theirs along. What a statement may end it says itself, once more, inside
the transaction: the row may have changed since it was found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from cryptnsend.core.contracts import Reader, Row, Rows
from cryptnsend.store.records import linked
from cryptnsend.store.schema.archive import HELD

_PAGE = 500
NOBODY: Mapping[int, int] = MappingProxyType({})
HELD_HERE = HELD.format(grant="g")


def organisations(reader: Reader) -> list[int]:
    """Return the id of every organisation, the installation (0) among them."""
    return [row["id"] for row in reader.query("SELECT id FROM organisations ORDER BY id")]


def grants_to_suspend(reader: Reader, now: int, limit: int = _PAGE) -> list[Row]:
    """Return recipients' grants (id, org, message, holder) whose life is over but that still open."""
    return reader.query(
        "SELECT id, org, message, holder FROM grants"
        " WHERE state = 'active' AND ends <= :now AND role = 'recipient' ORDER BY ends LIMIT :limit",
        now=now,
        limit=limit,
    )


def suspend(rows: Rows, grants: Iterable[tuple[int, int]], now: int, until: int) -> int:
    """Refuse these (org, id) grants from now on, keeping them until *until*; return how many still were active."""
    return sum(
        rows.execute(
            "UPDATE grants SET state = 'suspended', ends = ?"
            " WHERE org = ? AND id = ? AND state = 'active' AND ends <= ?",
            (until, org, ident, now),
        )
        for org, ident in grants
    )


def grants_to_retire(reader: Reader, before: int, longer: Mapping[int, int] = NOBODY, limit: int = _PAGE) -> list[Row]:
    """
    Return what has no end of its own on messages with ids below *before*: the author's, the owner's, the archive's.

    *longer* has the ids of organisations that keep their messages for longer. Ids follow the clock, so the oldest
    messages come first in the index that every grant is in anyway. What a case needs is left out of an archive's.
    """
    return reader.query(
        "SELECT g.id, g.org, g.message, g.holder FROM grants g"  # noqa: S608 - the conditions are ours
        f" WHERE g.message < :before AND g.state = 'active' AND g.ends IS NULL AND g.message < {_kept_from(longer)}"
        f" AND NOT (g.role = 'archive' AND {HELD_HERE}) ORDER BY g.message LIMIT :limit",
        before=before,
        limit=limit,
    )


def _kept_from(longer: Mapping[int, int]) -> str:
    """
    Return, as SQL, the id from which a grant's message is kept: an archive's own, else that of its thread.

    Whole numbers of ours only, never a caller's text.
    """
    cases = " ".join(f"WHEN {int(org)} THEN {int(ident)}" for org, ident in longer.items())
    whose = "CASE role WHEN 'archive' THEN CAST(substr(holder, 9) AS INTEGER) ELSE org END"
    return f"CASE {whose} {cases} ELSE :before END" if cases else ":before"


def retire(rows: Rows, grants: Iterable[tuple[int, int]], until: int) -> None:
    """Refuse these (org, id) grants from now on, keeping them until *until*."""
    rows.many(
        "UPDATE grants SET state = 'suspended', ends = ? WHERE org = ? AND id = ? AND state = 'active'"
        " AND ends IS NULL",
        [(until, org, ident) for org, ident in grants],
    )


def grants_to_reinstate(
    reader: Reader, before: int, longer: Mapping[int, int] = NOBODY, limit: int = _PAGE
) -> list[Row]:
    """
    Return what was retired though its message is not that old: by a clock that was wrong, or a shorter setting.

    And what of an archive a case needs since.

    A recipient's grant names a contact, unless the recipient owns the thread; all others have no end of their own.
    """
    return reader.query(
        "SELECT g.id, g.org, g.message, g.holder FROM grants g"  # noqa: S608 - the conditions are ours
        " WHERE g.state = 'suspended' AND g.ends IS NOT NULL"
        f" AND (g.message >= {_kept_from(longer)} AND (g.role <> 'recipient' OR g.contact = '')"
        f"  OR g.role = 'archive' AND {HELD_HERE}) LIMIT :limit",
        before=before,
        limit=limit,
    )


def reinstate(rows: Rows, grants: Iterable[tuple[int, int]]) -> None:
    """Let these (org, id) grants open again, without an end."""
    rows.many(
        "UPDATE grants SET state = 'active', ends = NULL WHERE org = ? AND id = ?"
        " AND (role <> 'recipient' OR contact = '')",
        list(grants),
    )


def grants_to_shred(reader: Reader, now: int, limit: int = _PAGE) -> list[Row]:
    """Return suspended grants (id, org, message, holder) whose time for undo is over."""
    return reader.query(
        "SELECT g.id, g.org, g.message, g.holder FROM grants g"  # noqa: S608 - the condition is ours
        " WHERE g.state = 'suspended' AND g.ends <= :now"
        f" AND NOT (g.role = 'archive' AND {HELD_HERE}) ORDER BY g.ends LIMIT :limit",
        now=now,
        limit=limit,
    )


def shred(rows: Rows, grants: Iterable[tuple[int, int]], now: int) -> int:
    """Delete these (org, id) grants unless they were restored meanwhile; return how many are gone."""
    return sum(
        rows.execute(
            "DELETE FROM grants AS g WHERE g.org = ? AND g.id = ? AND g.state = 'suspended' AND g.ends <= ?"  # noqa: S608
            f" AND NOT (g.role = 'archive' AND {HELD_HERE})",
            (org, ident, now),
        )
        for org, ident in grants
    )


def bury(rows: Rows, org: int, message: int) -> list[str]:
    """
    Mark a message gone with its last grant and delete its sealed parts; return the blobs to discard after COMMIT.

    To be called for the messages of shredded grants. Changes nothing while some grant is left: the author's, the
    archive's. Epochs stay: without a wrap under them they open nothing, and looking for the unused ones costs more.
    """
    changed = rows.execute(
        "UPDATE messages SET state = 'gone' WHERE org = ? AND id = ? AND state = 'sealed'"
        " AND NOT EXISTS (SELECT 1 FROM grants g WHERE g.message = messages.id)",
        (org, message),
    )
    if not changed:
        return []
    blobs = rows.query(
        "SELECT blob_key FROM contents WHERE org = :org AND message = :message AND blob_key IS NOT NULL",
        {"org": org, "message": message},
    )
    rows.execute("DELETE FROM contents WHERE org = ? AND message = ?", (org, message))
    linked.release(rows, [(org, message)])
    return [row["blob_key"] for row in blobs]


_UNSETTLED = "d.state IN ('checking', 'due', 'held', 'leased', 'delayed')"
_NOTHING_LEFT = (
    f"m.state = 'gone' AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.message = m.id AND {_UNSETTLED})"  # noqa: S608
    " AND NOT EXISTS (SELECT 1 FROM drafts f WHERE f.parent = m.id)"
    " AND NOT EXISTS (SELECT 1 FROM grants g WHERE g.message = m.id)"
)


def gone(reader: Reader, limit: int = _PAGE) -> list[Row]:
    """Return messages (id, org, thread) of which only rows are left, and about which nothing is under way."""
    return reader.query(
        f"SELECT m.id, m.org, m.thread FROM messages m WHERE {_NOTHING_LEFT} ORDER BY m.id LIMIT :limit",  # noqa: S608
        limit=limit,
    )


def forget(rows: Rows, org: int, message: int, thread: int) -> bool:
    """
    Delete what the rows say of a message that is gone: who wrote to whom and when, its deliveries and its links.

    What the audit trail says of it stays. False if something came up about it meanwhile.
    """
    left = rows.query(
        f"SELECT 1 AS one FROM messages m WHERE m.org = :org AND m.id = :message AND {_NOTHING_LEFT}",  # noqa: S608
        {"org": org, "message": message},
    )
    if not left:
        return False
    values = {"message": message}
    rows.execute("DELETE FROM links WHERE delivery IN (SELECT id FROM deliveries WHERE message = :message)", values)
    rows.execute("DELETE FROM links WHERE message = :message AND purpose <> 'invite'", values)
    rows.execute(
        "DELETE FROM report_entries WHERE report IN (SELECT id FROM deliveries WHERE message = :message)", values
    )
    linked.forget(rows, message)
    rows.execute("DELETE FROM deliveries WHERE message = :message", values)
    rows.execute("DELETE FROM recipients WHERE message = :message", values)
    rows.execute("DELETE FROM plans WHERE message = :message", values)
    rows.execute("DELETE FROM holds WHERE message = :message", values)
    rows.execute("DELETE FROM messages WHERE id = :message", values)
    rows.execute(
        "DELETE FROM threads WHERE id = :thread AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.thread = :thread)",
        {"thread": thread},
    )
    return True


def settled_alone(reader: Reader, before: int, limit: int = _PAGE) -> list[Row]:
    """Return mails about accounts (id) that were made before then and are settled."""
    return reader.query(
        "SELECT d.id FROM deliveries d WHERE d.message IS NULL AND d.created < :before"  # noqa: S608 - from above
        f" AND NOT ({_UNSETTLED}) ORDER BY d.created LIMIT :limit",
        before=before,
        limit=limit,
    )


def forget_alone(rows: Rows, deliveries: Iterable[int]) -> None:
    """Delete mails about accounts, with the links by which they came back."""
    for ident in deliveries:
        rows.execute("DELETE FROM links WHERE delivery = :id", {"id": ident})
        rows.execute(f"DELETE FROM deliveries AS d WHERE d.id = :id AND NOT ({_UNSETTLED})", {"id": ident})  # noqa: S608


def forget_stale(rows: Rows, now: int) -> dict[str, int]:
    """Delete what only mattered for a while and return how many rows of each table; times are milliseconds."""
    day = 86_400_000
    ended = {
        "sessions": ("created < ?", (now - 90 * day,)),  # ended long before; what is left is which browsers were known
        "form_nonces": ("created < ?", (now - 2 * day,)),
        "api_sent": ("created < ?", (now - 2 * day,)),
        "hook_events": ("created < ?", (now - 30 * day,)),
        "throttle": ("until < ? AND last < ?", (now, now - day)),
        "counters": ("day < ?", (now // day - 8,)),
    }
    # Table and condition are from the list above, never from a caller.
    return {
        table: rows.execute(f"DELETE FROM {table} WHERE {condition}", values)  # noqa: S608
        for table, (condition, values) in ended.items()
    }


def stale_links(reader: Reader, now: int, limit: int = _PAGE) -> list[bytes]:
    """Return ids of links that ended a month ago; until then their page still explains itself."""
    found = reader.query(
        "SELECT id FROM links WHERE expires < :before LIMIT :limit", before=now - 30 * 86_400_000, limit=limit
    )
    return [row["id"] for row in found]


def drop_links(rows: Rows, links: Iterable[bytes]) -> None:
    """Delete links by their ids."""
    rows.many("DELETE FROM links WHERE id = ?", [(link,) for link in links])


def named_blobs(reader: Reader, keys: Sequence[str]) -> set[str]:
    """Return which of these blob keys some row names; at most 500 are asked for at once."""
    found: set[str] = set()
    for start in range(0, len(keys), _PAGE):
        page = keys[start : start + _PAGE]
        names = {f"k{number}": key for number, key in enumerate(page)}
        marks = ", ".join(f":{name}" for name in names)
        for table in ("contents", "drafts", "draft_files", "filed", "upload_pieces"):
            asked = f"SELECT blob_key FROM {table} WHERE blob_key IN ({marks})"  # noqa: S608
            found.update(row["blob_key"] for row in reader.query(asked, **names))
    return found


def dangling(reader: Reader) -> int:
    """Return how many rows point at one that is not there."""
    return len(reader.query("PRAGMA foreign_key_check"))


def count_parts(reader: Reader) -> int:
    """Return how many sealed parts of messages there are."""
    return int(reader.query("SELECT count(*) AS n FROM contents")[0]["n"])


def parts(reader: Reader) -> Iterator[Row]:
    """Yield every sealed part (message, part, size, body, blob_key), those of a message together and in order."""
    message, part = -1, ""
    while page := reader.query(
        "SELECT message, part, size, body, blob_key FROM contents"
        " WHERE (message, part) > (:message, :part) ORDER BY message, part LIMIT 100",  # a body has up to 32 KiB
        message=message,
        part=part,
    ):
        yield from page
        message, part = page[-1]["message"], page[-1]["part"]


def is_kept(reader: Reader, message: int) -> bool:
    """Say whether a message has content still."""
    return bool(reader.query("SELECT 1 AS one FROM contents WHERE message = :message LIMIT 1", message=message))


def blobs_in_use(reader: Reader) -> Iterator[Row]:
    """
    Yield (org, message, part, blob_key) of every part that rests in a blob, reading a page at a time.

    What is no message comes too: part `draft`, `draft-file`, `filed` or `upload`, with its own id as message.
    """
    message, part = -1, ""
    while page := reader.query(
        "SELECT org, message, part, blob_key FROM contents WHERE blob_key IS NOT NULL"
        " AND (message, part) > (:message, :part) ORDER BY message, part LIMIT :limit",
        message=message,
        part=part,
        limit=_PAGE,
    ):
        yield from page
        message, part = page[-1]["message"], page[-1]["part"]
    others = {"drafts": "draft", "draft_files": "draft-file", "filed": "filed", "upload_pieces": "upload"}
    for table, part in others.items():
        after = -1
        while page := reader.query(
            f"SELECT org, id AS message, '{part}' AS part, blob_key FROM {table}"  # noqa: S608
            " WHERE blob_key IS NOT NULL AND id > :after ORDER BY id LIMIT :limit",
            after=after,
            limit=_PAGE,
        ):
            yield from page
            after = page[-1]["message"]


def has_null(reader: Reader, table: str, column: str) -> bool:
    """
    Say whether a column of a table, both by names of ours, has a NULL.

    Not by IS NULL: of a column that is NOT NULL, SQLite takes that for false without looking.
    """
    sql = f"""SELECT 1 AS one FROM "{table}" WHERE typeof("{column}") = 'null' LIMIT 1"""  # noqa: S608 - names of ours
    return bool(reader.query(sql))

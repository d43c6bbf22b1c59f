"""Rows that a mail program's answer is made of: grants with sealed indexes, epochs, notices; a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import starmap
from typing import NamedTuple

from cryptnsend.core.contracts import Engine, Reader


class Granted(NamedTuple):
    """A grant with what a list shows of its message: the sealed index, and the author's own where there is one."""

    message: int
    org: int
    contact: str
    custody: str
    wrap: bytes
    state: str
    epoch: int
    summary: bytes | None
    summary_key: str | None
    cuts: bytes | None
    cuts_key: str | None
    body: bytes | None  # of the message itself, if that was asked for
    blob_key: str | None


def grants(
    engine: Engine, holder: str, role: str, messages: Sequence[int], now: int, *, whole: bool = False
) -> list[Granted]:
    """
    Return a holder's grants of one role on these messages, at most 500; with *whole*, what was sealed too.

    One whose time is over by *now* is so, whether or not upkeep has come by since.
    """
    marks = ",".join("?" * len(messages))
    own = role == "author"
    raw = " LEFT JOIN contents r ON r.message = g.message AND r.part = 'raw'" if whole else ""
    cuts = " LEFT JOIN contents a ON a.message = g.message AND a.part = 'author_index'" if own else ""
    found = engine.tuples(
        "SELECT g.message, g.org, g.contact, g.custody, g.wrap,"  # noqa: S608
        " CASE WHEN g.ends <= ? THEN 'over' ELSE g.state END, g.epoch, c.body, c.blob_key,"
        f" {'a.body, a.blob_key' if own else 'NULL, NULL'}, {'r.body, r.blob_key' if whole else 'NULL, NULL'}"
        " FROM grants g LEFT JOIN contents c ON c.message = g.message AND c.part = 'index'"
        f"{cuts}{raw} WHERE g.message IN ({marks}) AND g.holder = ? AND g.role = ?",
        now,
        *messages,
        holder,
        role,
    )
    return list(map(Granted._make, found))


class Standing(NamedTuple):
    """
    One message in one mailbox, as `Placed`, with what opens it where its reader was sent it.

    *opens* is 0 where nothing opens it now; of what is filed, and of notices, it is 1, and there is no grant.
    """

    uid: int
    message: int
    role: str
    served: str
    modseq: int
    flags: int
    keywords: str
    received: int
    size: int
    opens: int
    org: int | None
    epoch: int | None
    contact: str = ""
    custody: str = ""
    wrap: bytes = b""
    sealed: bytes | None = None  # the index or the message, if it rests in its row
    blob_key: str | None = None


_STANDS = (
    "p.uid, p.message, p.role, p.served, p.modseq, p.flags, p.keywords, p.received, p.size,"
    " p.role = 'filed' OR p.served <> '' OR (g.state = 'active' AND (g.ends IS NULL OR g.ends > ?)),"
    " g.org, g.epoch"
)
_GRANT = " LEFT JOIN grants g ON g.message = p.message AND g.holder = ? AND g.role = p.role AND p.served = ''"
_RANGE = " WHERE p.mailbox = ? AND p.uid BETWEEN ? AND ? ORDER BY p.uid"


def standing(engine: Engine, ident: int, holder: str, first: int, last: int, now: int) -> list[Standing]:
    """Return what lies under the UIDs from *first* to *last*, and whether it opens; nothing of what opens it."""
    sql = f"SELECT {_STANDS} FROM placed p{_GRANT}{_RANGE}"  # noqa: S608
    found = engine.tuples(sql, now, holder, ident, first, last)
    return list(starmap(Standing, found))


def sealed(engine: Engine, ident: int, holder: str, first: int, last: int, now: int, part: str) -> list[Standing]:
    """Return what `standing` does, and what its reader was sent with a sealed part of it: `index` or `raw`."""
    found = engine.tuples(
        f"SELECT {_STANDS}, g.contact, g.custody, g.wrap, c.body, c.blob_key FROM placed p{_GRANT}"  # noqa: S608
        f" LEFT JOIN contents c ON c.message = g.message AND c.part = ? AND g.role = 'recipient'{_RANGE}",
        now,
        holder,
        part,
        ident,
        first,
        last,
    )
    return list(map(Standing._make, found))


def epochs(engine: Engine, idents: Sequence[int]) -> list[tuple[int, int, str, str, bytes]]:
    """Return id, pair, owner, holder and sealed key of these epochs; at most 500 at once."""
    marks = ",".join("?" * len(idents))
    found = engine.tuples(f"SELECT id, pair, owner, holder, sealed FROM epochs WHERE id IN ({marks})", *idents)  # noqa: S608
    return [(ident, pair, owner, holder, sealed) for ident, pair, owner, holder, sealed in found]


def notice(reader: Reader, ident: int, uid: int) -> bytes:
    """Return the octets of a notice; none if it was taken away meanwhile."""
    found = reader.query("SELECT octets FROM stand_ins WHERE mailbox = :id AND uid = :uid", id=ident, uid=uid)
    return bytes(found[0]["octets"]) if found else b""

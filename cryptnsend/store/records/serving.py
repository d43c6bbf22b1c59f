"""Rows that a mail program's answer is made of: grants with sealed indexes, epochs, notices; a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
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


def epochs(engine: Engine, idents: Sequence[int]) -> list[tuple[int, int, str, str, bytes]]:
    """Return id, pair, owner, holder and sealed key of these epochs; at most 500 at once."""
    marks = ",".join("?" * len(idents))
    found = engine.tuples(f"SELECT id, pair, owner, holder, sealed FROM epochs WHERE id IN ({marks})", *idents)  # noqa: S608
    return [(ident, pair, owner, holder, sealed) for ident, pair, owner, holder, sealed in found]


def notice(reader: Reader, ident: int, uid: int) -> bytes:
    """Return the octets of a notice; none if it was taken away meanwhile."""
    found = reader.query("SELECT octets FROM stand_ins WHERE mailbox = :id AND uid = :uid", id=ident, uid=uid)
    return bytes(found[0]["octets"]) if found else b""

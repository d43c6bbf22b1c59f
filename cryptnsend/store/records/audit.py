"""Rows of the audit trail: one hash chain per organisation, only ever appended.

The hash of a row is SHA-256 over the hash of the row before it and the row's own fields, each framed by its length.
Editing, removing or reordering a row breaks the chain behind it; cutting off its end shows against the checkpoints
that the keeper has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from cryptnsend.core.contracts import Later, Reader, Row, Rows
from cryptnsend.core.seal import framed, framed_fields

OPERATOR = "owner"  # the actor of what was done on the command line
START = bytes(32)  # what stands in for the hash before the first row
WITHHELD = "withheld"  # value of `where` in a row whose twin, in the chain of the actor's own organisation, says where
_PAGE = 1000  # rows read at once
_AUDIT = Later(9, "INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
_ENCODER = msgspec.json.Encoder(order="sorted")


class Head(NamedTuple):
    """The newest row of a chain: its number (0: none yet) and its hash."""

    seq: int
    hash: bytes


class Verified(NamedTuple):
    """
    What a walk along a chain found; `broken` is the number of the first row that does not fit, else None.

    `how` says in which way: edited, removed, reordered, slipped in, or clock for a row of another time than its place.
    """

    rows: int
    head: Head
    broken: int | None
    how: str = ""


def append(rows: Rows, org: int, at: int, actor: str, action: str, object: str, detail: Mapping[str, object]) -> Head:
    """
    Append one row to the chain of *org*. The head is read inside the transaction, so that chains stay whole.

    *detail* has no content, names, subjects or secrets: ids, counts, addresses at most.
    """
    return append_all(rows, org, at, actor, action, (object,), detail)


def append_all(
    rows: Rows, org: int, at: int, actor: str, action: str, objects: Sequence[str], detail: Mapping[str, object]
) -> Head:
    """Append one row for each of *objects*, at least one, in their order; see `append`."""
    newest = rows.recall(("audit", org))
    if newest is None:
        found = rows.peek("SELECT seq, hash FROM audit WHERE org = :org ORDER BY seq DESC LIMIT 1", {"org": org})
        newest = Head(found[0]["seq"], found[0]["hash"]) if found else Head(0, START)
    seq, digest = newest
    text = _ENCODER.encode(detail).decode()
    # As `link`, with what is the same in each row framed once.
    start, owner = framed("audit", START)[: -len(START)], framed_fields(org)
    doing, end = framed_fields(at, actor, action), framed_fields(text)
    added = []
    for each in objects:
        seq += 1
        place, what = framed_fields(seq), framed_fields(each)
        digest = hashlib.sha256(b"".join((start, digest, owner, place, doing, what, end))).digest()
        added.append((org, seq, at, actor, action, each, text, digest))
    rows.later(_AUDIT, added)
    if actor == OPERATOR:
        for _, number, *_, each, _, _ in added:
            _concern(rows, org, number, at, action, each)
    head = Head(seq, digest)
    rows.remember(("audit", org), head)
    return head


def _concern(rows: Rows, org: int, seq: int, at: int, action: str, object: str) -> None:
    """Note whose account, message or delivery it was that an operator changed, so that they find it in their log."""
    number = object.removeprefix("account:")
    if not (number.isascii() and number.isdecimal()):
        return
    kind = "account" if number != object else action.partition(".")[0]
    account = {
        "account": "SELECT :number AS author",
        "grant": "SELECT author FROM messages WHERE id = :number",
        "hold": "SELECT author FROM messages WHERE id = :number",
        "delivery": "SELECT m.author FROM deliveries d JOIN messages m ON m.id = d.message WHERE d.id = :number",
    }.get(kind)
    if account is not None:
        rows.execute(
            "INSERT INTO concerned(account, at, org, seq)"  # noqa: S608 - one of those above
            f" SELECT author, :at, :org, :seq FROM ({account}) AS found",
            {"number": int(number), "at": at, "org": org, "seq": seq},
        )


def link(before: bytes, org: int, seq: int, at: int, actor: str, action: str, object: str, detail: str) -> bytes:
    """Return the hash of a row, given that of the row before it and the row's fields; *detail* is the stored JSON."""
    return hashlib.sha256(framed("audit", before, org, seq, at, actor, action, object, detail)).digest()


def head(reader: Reader, org: int) -> Head:
    """Return the newest row's number and hash."""
    found = reader.query("SELECT seq, hash FROM audit WHERE org = :org ORDER BY seq DESC LIMIT 1", org=org)
    return Head(found[0]["seq"], found[0]["hash"]) if found else Head(0, START)


def heads(reader: Reader) -> dict[int, Head]:
    """Return the newest row of every organisation's chain, for the keeper's checkpoints; empty chains are left out."""
    found = reader.query(
        "SELECT a.org, a.seq, a.hash FROM organisations o JOIN audit a"
        " ON a.org = o.id AND a.seq = (SELECT max(b.seq) FROM audit b WHERE b.org = o.id)"
    )
    return {row["org"]: Head(row["seq"], row["hash"]) for row in found}


def hash_of(reader: Reader, org: int, seq: int) -> bytes | None:
    """Return the hash of one row, to compare with a checkpoint; None if there is no such row."""
    found = reader.query("SELECT hash FROM audit WHERE org = :org AND seq = :seq", org=org, seq=seq)
    digest: bytes | None = found[0]["hash"] if found else None
    return digest


def entries(reader: Reader, org: int, after: int = 0) -> Iterator[Row]:
    """Yield the rows of a chain behind row *after* in order, reading a page at a time."""
    while page := reader.query(
        "SELECT seq, at, actor, action, object, detail, hash FROM audit"
        " WHERE org = :org AND seq > :after ORDER BY seq LIMIT :limit",
        org=org,
        after=after,
        limit=_PAGE,
    ):
        yield from page
        after = page[-1]["seq"]


def about(reader: Reader, org: int, object: str, limit: int = 500) -> list[Row]:
    """Return what happened to one thing since it was sealed, in order, each with its place in the chain."""
    return reader.query(
        "SELECT seq, at, actor, action, detail, hash FROM audit WHERE org = :org AND object = :object"
        " AND action <> 'message.sealed' ORDER BY seq LIMIT :limit",
        org=org,
        object=object,
        limit=limit,
    )


def was_recalled(reader: Reader, org: int, message: int) -> bool:
    """Say whether somebody ever took a message back, from whomever; what ends by itself gives a reason."""
    found = reader.query(
        "SELECT detail FROM audit WHERE org = :org AND object = :object AND action = 'grant.suspended'",
        org=org,
        object=str(message),
    )
    return any("reason" not in msgspec.json.decode(row["detail"]) for row in found)


def recalled_by_officer(reader: Reader, org: int, message: int) -> bool:
    """Say whether an officer took a message back since it was last given back."""
    found = reader.query(
        "SELECT detail FROM audit WHERE org = :org AND object = :object AND action = 'grant.suspended'"
        " AND seq > coalesce((SELECT max(b.seq) FROM audit b"
        " WHERE b.org = :org AND b.object = :object AND b.action = 'grant.restored'), 0)",
        org=org,
        object=str(message),
    )
    return any(msgspec.json.decode(row["detail"]).get("by") == "officer" for row in found)

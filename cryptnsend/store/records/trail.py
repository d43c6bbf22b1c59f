"""Is an audit chain whole, and if not, where and how does it break? And rows of the checkpoints that were signed.

A walk finds what was edited, removed, slipped in or put in another order, by the hashes alone. That the end was cut
off, or everything written anew, shows against a checkpoint: the keeper's newest, those that rest here day by day, and
those that somebody keeps elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cryptnsend.core.checkpoints import Checkpoint
from cryptnsend.core.contracts import Reader, Row, Rows
from cryptnsend.store.records.audit import START, Head, Verified, entries, hash_of, link

CLOCK = 3_600_000  # milliseconds that times may differ without a word: processes commit in turns, clocks are set
PAGE = 1000
FIRST = -(1 << 62)  # a row slipped in before the first does not fit either


def verify(
    reader: Reader, org: int, progress: Callable[[int], None] = lambda seq: None, now: int | None = None
) -> Verified:
    """
    Walk the chain of *org* from its first row and compare each hash; stops at the first row that does not fit.

    *progress* hears now and then at which row it is. With *now* (UTC milliseconds) rows of the future are found too.
    """
    newest, latest = Head(0, START), 0
    for row in entries(reader, org, after=FIRST):
        if not _fits(newest, org, row):
            return Verified(newest.seq, newest, newest.seq + 1, _how(reader, org, newest, row))
        if row["at"] < latest - CLOCK or (now is not None and row["at"] > now + CLOCK):
            return Verified(newest.seq, newest, row["seq"], "clock")
        latest = max(latest, row["at"])
        newest = Head(row["seq"], row["hash"])
        if not newest.seq % PAGE:
            progress(newest.seq)
    if newest.seq >= PAGE:
        progress(newest.seq)
    return Verified(newest.seq, newest, None)


def against(reader: Reader, org: int, head: Head, points: Iterable[Checkpoint]) -> tuple[int, str] | None:
    """
    Compare a chain that is whole with checkpoints, the earliest first; None if it is the one that was signed.

    Otherwise the first entry that may be another one, and how: cut off, or written anew.
    """
    good = 0
    for point in points:
        if point.seq > head.seq:
            return head.seq + 1, "cut off"
        if point.seq and hash_of(reader, org, point.seq) != point.hash:
            return good + 1, "written anew"
        good = point.seq
    return None


def _fits(before: Head, org: int, row: Row) -> bool:
    return row["seq"] == before.seq + 1 and bool(row["hash"] == _link(before.hash, org, row["seq"], row))


def _link(before: bytes, org: int, seq: int, row: Row) -> bytes:
    return link(before, org, seq, row["at"], row["actor"], row["action"], row["object"], row["detail"])


def _how(reader: Reader, org: int, before: Head, row: Row) -> str:
    """Say what was done at the place behind *before*, where *row* stands and does not belong."""
    wanted = before.seq + 1
    # The row that belongs here may stand elsewhere: numbers were changed, or what stands under them.
    for other in entries(reader, org, after=FIRST):
        if other["seq"] != wanted and other["hash"] == _link(before.hash, org, wanted, other):
            return "reordered"
    if row["seq"] > wanted:
        return "removed"
    if row["seq"] < wanted:
        return "slipped in"
    behind = next(iter(entries(reader, org, after=wanted)), None)
    if behind is not None and behind["hash"] != _link(row["hash"], org, behind["seq"], behind):
        # The next one does not follow from what stands here: with its own number of before, it may.
        for seq in range(behind["seq"] + 1, behind["seq"] + PAGE):
            if behind["hash"] == _link(row["hash"], org, seq, behind):
                return "removed"
        if behind["hash"] == _link(before.hash, org, behind["seq"] - 1, behind):
            return "slipped in"
    return "edited"


# -- checkpoints ------------------------------------------------------------------------------------------------------


def keep(rows: Rows, point: Checkpoint) -> None:
    """Keep a checkpoint beside the chain; one of the same entry stays as it is."""
    rows.execute(
        "INSERT INTO checkpoints(org, seq, hash, at, ed25519, ml_dsa) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT(org, seq) DO NOTHING",
        (point.organisation, point.seq, point.hash, point.at, point.ed25519, point.ml_dsa),
    )


def kept(reader: Reader, org: int) -> list[Checkpoint]:
    """Return the checkpoints of a chain that rest here, the earliest first."""
    found = reader.query(
        "SELECT org, seq, hash, at, ed25519, ml_dsa FROM checkpoints WHERE org = :org ORDER BY seq", org=org
    )
    return [Checkpoint(row["org"], row["seq"], row["hash"], row["at"], row["ed25519"], row["ml_dsa"]) for row in found]


def kept_at(reader: Reader, org: int) -> int:
    """Return when the newest checkpoint of a chain was signed; 0 without one."""
    found = reader.query("SELECT max(at) AS at FROM checkpoints WHERE org = :org", org=org)
    return int(found[0]["at"] or 0)

"""Is the audit trail the one that was written? Every chain walked, and compared with what was signed of it.

What is compared: the chain with itself, the keeper's newest word, the words that rest beside the chain day by day, and
a file of such words that was kept elsewhere. Only the last shows that somebody with everything of this machine wrote
all of it anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cryptnsend.core import checkpoints
from cryptnsend.core.checkpoints import Checkpoint, Keys, Sheet
from cryptnsend.core.contracts import Clock, Engine, Row
from cryptnsend.core.errors import Denied, SealBroken
from cryptnsend.core.model import account_holder
from cryptnsend.flow.trailfiles import exported
from cryptnsend.keeper.client import Keeper
from cryptnsend.keeper.requests import Witnessed
from cryptnsend.store.records import accounts, audit, oversight, trail
from cryptnsend.store.records.audit import Head

MEANS = {
    "edited": "was edited",
    "removed": "is missing, or those behind it were numbered anew",
    "reordered": "stands at another place",
    "slipped in": "was slipped in",
    "clock": "has a time more than an hour away from its place in the order",
    "cut off": "and all behind it were cut off",
    "written anew": "or one behind it was written anew after its checkpoint was signed",
    "other keys": "cannot be told: its checkpoints are by the keys of another keeper",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one chain. `broken` is the first entry that is not as it was written; 0 if all are."""

    organisation: int
    entries: int
    broken: int = 0
    how: str = ""

    @property
    def problem(self) -> str:
        """Return what is wrong in words, "" if nothing is."""
        return f"entry {self.broken} {MEANS[self.how]}" if self.how else ""


class Auditing:
    """Checks audit chains, and has them signed."""

    def __init__(self, engine: Engine, keeper: Keeper, clock: Clock):
        self._engine, self._keeper, self._clock = engine, keeper, clock

    def verify(
        self, organisation: int, sheet: Sheet | None = None, progress: Callable[[int], None] = lambda seq: None
    ) -> Finding:
        """Walk one chain to its end, and compare it with all checkpoints; *sheet* are those kept elsewhere."""
        found = trail.verify(self._engine, organisation, progress, self._clock.now())
        if found.broken is not None:
            return Finding(organisation, found.rows, found.broken, found.how)
        differs = self._differs(organisation, found.head, sheet)
        return Finding(organisation, found.rows, *(differs or (0, "")))

    def sign(self, organisation: int) -> Checkpoint:
        """Have the keeper sign how far a chain has come, and keep that beside it. Raises Denied, SealBroken."""
        head = audit.head(self._engine, organisation)
        return self.keep(self._keeper.checkpoint(organisation, head.seq, head.hash))

    def keep(self, signed: Witnessed) -> Checkpoint:
        """Keep what the keeper signed."""
        point = Checkpoint(signed.organisation, signed.seq, signed.hash, signed.at, signed.signature, signed.second)
        self._engine.write(lambda rows: trail.keep(rows, point)).result()
        return point

    def sheet(self, organisations: Sequence[int]) -> str:
        """Return the text of a file with fresh checkpoints of these chains, and those that rest beside them."""
        points: list[Checkpoint] = []
        for each in organisations:
            point = self.sign(each)
            kept = trail.kept(self._engine, each)
            points += kept if point in kept else [*kept, point]
        return checkpoints.written(self._keys(), points)

    def exported(self, organisation: int, form: str) -> Iterator[str]:
        """Yield a chain line by line, as jsonl or csv; see `trailfiles`."""
        return exported(self._engine, [organisation], 0, form)

    def told_about(self, organisation: int, subject: str) -> Iterator[Row]:
        """Yield the entries about one thing, or by one actor: a message's id, or a holder as `account:7`."""
        for row in audit.entries(self._engine, organisation):
            if subject in (row["object"], row["actor"]) or subject.removeprefix("account:") == row["object"]:
                yield row

    def officers_page(self, organisation: int, before: int | None, limit: int, subject: str = "") -> list[Row]:
        """Return entries of a chain older than entry *before*, the newest first, all or those of one *subject*."""
        return oversight.entries(self._engine, organisation, before, limit, subject)

    def account_of(self, organisation: int, address: str) -> int | None:
        """Return whose an address of this organisation is, None for every other address."""
        row = accounts.by_address(self._engine, address.lower())
        return row["id"] if row is not None and row["org"] == organisation else None

    def people(self, organisation: int) -> dict[str, str]:
        """Return the addresses of an organisation's people by holder, to name actors by."""
        return {account_holder(row["account"]): row["address"] for row in oversight.people(self._engine, organisation)}

    def _differs(self, organisation: int, head: Head, sheet: Sheet | None) -> tuple[int, str] | None:
        points = self._sound(trail.kept(self._engine, organisation))
        if sheet is not None:
            if sheet.keys != self._keys():
                return 1, "other keys"
            points = [*points, *checkpoints.of(sheet, organisation)]
        differs = trail.against(self._engine, organisation, head, sorted(points, key=lambda each: each.seq))
        if differs is not None:
            return differs
        newest = max((each.seq for each in points), default=0)
        try:
            self._keeper.checkpoint(organisation, head.seq, head.hash)
        except Denied:
            return head.seq + 1, "cut off"
        except SealBroken:
            return newest + 1, "written anew"
        return None

    def _sound(self, points: Sequence[Checkpoint]) -> list[Checkpoint]:
        """Return those that the keeper signed: what rests beside the chain is no better protected than the chain."""
        sound, keys = [], self._keys()
        for point in points:
            try:
                checkpoints.check(point, keys)
            except SealBroken:
                continue
            sound.append(point)
        return sound

    def _keys(self) -> Keys:
        keys = self._keeper.witness_keys()
        return Keys(keys.ed25519, keys.ml_dsa)

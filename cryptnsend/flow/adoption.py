"""How do messages that wait come to who has shown the sender's code? The keeper re-wraps, and rows take its answer.

Repeatable: run at each sign-in and after each proof. What the keeper has no proof for stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cryptnsend.core.contracts import Clock, Engine, Row, Rows
from cryptnsend.core.model import INSTALLATION, account_holder
from cryptnsend.flow.holdings import Place, places
from cryptnsend.keeper.client import Keeper
from cryptnsend.keeper.requests import Adopted, EpochRow, SealedGrant
from cryptnsend.store.records import audit, grants, messages

PAGE = 200  # grants in one request
MOST = 20_000  # grants looked at in one go, newest first; the rest comes with the next sign-in
NEWEST = (1 << 63) - 1


class Adoption:
    """Brings grants to an account. Shared by all requests of a process."""

    def __init__(self, engine: Engine, keeper: Keeper, clock: Clock):
        self._engine, self._keeper, self._clock = engine, keeper, clock

    def adopt(self, account: int, addresses: Sequence[str], seeds: Mapping[int, bytes], ticket: bytes) -> int:
        """
        Take up every grant of these *addresses*, or of the account itself, that none of its *seeds* opens yet.

        Returns how many the keeper gave. Raises Temporary if keeper or store are out of reach; what was taken up until
        then stays.
        """
        taken = 0
        for page in self._pages(account, addresses, seeds):
            given = self._keeper.adopt(ticket, [_sealed(row) for row in page])
            if given:
                taken += self._write(account, page, given)
        return taken

    def _pages(self, account: int, addresses: Sequence[str], seeds: Mapping[int, bytes]) -> Iterator[list[Row]]:
        held: list[Row] = []
        for place in places(self._engine, account, addresses):
            before, seen = NEWEST, 0
            while seen < MOST and (rows := self._closed(place, before)):
                before, seen = rows[-1]["message"], seen + len(rows)
                held += [row for row in rows if row["pair"] not in seeds]
                while len(held) >= PAGE:
                    yield held[:PAGE]
                    held = held[PAGE:]
        if held:
            yield held

    def _closed(self, place: Place, before: int) -> list[Row]:
        """Return a page of grants that no pair of who holds them now opens: of a former owner's that is all."""
        if place.is_former:
            return grants.page(self._engine, place.holder, "recipient", before, PAGE, place.contact)
        return grants.closed(self._engine, place.holder, before, PAGE)

    def _write(self, account: int, page: Sequence[Row], given: Sequence[Adopted]) -> int:
        """Put the new grants in the place of those they were made from, in one transaction."""
        before = {(row["message"], row["holder"], row["role"]): row for row in page}

        def write(rows: Rows) -> int:
            epochs = {each.epoch.id: each.epoch for each in given}
            messages.add_epochs(
                rows,
                [
                    messages.EpochRow(
                        epoch.id, INSTALLATION, epoch.pair, epoch.suite, epoch.owner, epoch.holder, epoch.sealed
                    )
                    for epoch in epochs.values()
                ],
            )
            taken: dict[int, int] = {}
            for each in given:
                row = before.get((each.message, each.old_holder, each.role))
                if row is None or row["org"] != each.organisation:
                    continue
                if grants.replace(
                    rows, row["id"], row["org"], row["message"], each.holder, each.contact, each.custody,
                    each.epoch.id, each.wrap, row["epoch"],
                ):  # fmt: skip
                    taken[row["org"]] = taken.get(row["org"], 0) + 1
            for org, count in taken.items():
                audit.append(
                    rows,
                    org,
                    self._clock.now(),
                    account_holder(account),
                    "grant.adopted",
                    str(account),
                    {"grants": count},
                )
            return sum(taken.values())

        return self._engine.write(write).result()


def _sealed(row: Row) -> SealedGrant:
    epoch = EpochRow(row["epoch"], row["pair"], row["suite"], row["owner"], row["epoch_holder"], row["sealed"])
    return SealedGrant(
        row["org"],
        row["message"],
        row["holder"],
        row["role"],
        row["contact"],
        row["custody"],
        epoch,
        row["wrap"],
    )

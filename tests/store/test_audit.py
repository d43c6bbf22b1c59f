"""The audit chain: whatever is edited, removed, reordered or cut off shows."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cryptnsend.core.contracts import Rows
from cryptnsend.store.records import audit, trail

from .conftest import ORG, House


def fill(house: House, count: int, org: int = ORG) -> None:
    def write(rows: Rows) -> None:
        for number in range(count):
            audit.append(rows, org, 1000 + number, "account:70", "message.sealed", str(number), {"size": number})

    house.engine.write(write).result(30)


def test_rows_are_numbered_and_chained_per_organisation(house: House) -> None:
    fill(house, 3)
    fill(house, 2, org=0)
    fill(house, 2)
    assert audit.head(house.engine, ORG).seq == 5
    assert audit.head(house.engine, 0).seq == 2
    for org, count in ((ORG, 5), (0, 2)):
        found = trail.verify(house.engine, org)
        assert (found.rows, found.broken) == (count, None)
        assert found.head == audit.head(house.engine, org)
    assert audit.heads(house.engine) == {org: audit.head(house.engine, org) for org in (0, ORG)}
    assert trail.verify(house.engine, 999) == audit.Verified(0, audit.Head(0, audit.START), None)


def test_a_chain_longer_than_a_page_is_walked_to_its_end(house: House) -> None:
    fill(house, 2500)
    heard: list[int] = []
    assert trail.verify(house.engine, ORG, heard.append).rows == 2500
    assert heard == [1000, 2000, 2500]
    assert [row["seq"] for row in audit.entries(house.engine, ORG, after=1200)] == list(range(1201, 2501))


def test_rows_that_are_appended_together_stand_one_behind_the_other(house: House) -> None:
    fill(house, 1)
    several = ("5", "6", "ä")
    house.engine.write(
        lambda rows: audit.append_all(rows, ORG, 2000, "account:70", "message.fetched", several, {"by": "x"})
    ).result(30)
    fill(house, 1)
    assert trail.verify(house.engine, ORG) == audit.Verified(5, audit.head(house.engine, ORG), None)
    assert [row["object"] for row in audit.entries(house.engine, ORG)] == ["0", *several, "0"]


def test_an_undone_item_leaves_no_gap(house: House) -> None:
    def wrong(rows: Rows) -> None:
        audit.append(rows, ORG, 1, "account:70", "x", "1", {})
        raise ValueError

    fill(house, 1)
    assert house.engine.write(wrong).exception(30) is not None
    fill(house, 1)
    assert trail.verify(house.engine, ORG) == audit.Verified(2, audit.head(house.engine, ORG), None)


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE audit SET detail = '{\"size\":9}' WHERE org = 7 AND seq = 3", 3),
        ("UPDATE audit SET actor = 'account:71' WHERE org = 7 AND seq = 1", 1),
        ("UPDATE audit SET at = at + 1 WHERE org = 7 AND seq = 5", 5),
        ("UPDATE audit SET action = 'message.opened' WHERE org = 7 AND seq = 2", 2),
        ("UPDATE audit SET object = object || '0' WHERE org = 7 AND seq = 2", 2),
        ("UPDATE audit SET hash = zeroblob(32) WHERE org = 7 AND seq = 2", 2),
        ("DELETE FROM audit WHERE org = 7 AND seq = 2", 2),
        ("DELETE FROM audit WHERE org = 7 AND seq = 1", 1),
        ("UPDATE audit SET seq = CASE seq WHEN 2 THEN -3 ELSE -2 END WHERE org = 7 AND seq IN (2, 3)", 1),
        ("UPDATE audit SET org = 0 WHERE org = 7 AND seq = 4", 4),
        ("INSERT INTO audit VALUES (7, 6, 1, 'a', 'b', 'c', '{}', zeroblob(32))", 6),
    ],
)
def test_a_row_edited_removed_moved_or_slipped_in_shows(house: House, statement: str, broken: int) -> None:
    fill(house, 5)
    house.engine.write(lambda rows: rows.execute(statement)).result(30)
    assert trail.verify(house.engine, ORG).broken == broken


def test_two_rows_swapped_show(house: House) -> None:
    fill(house, 5)

    def swap(rows: Rows) -> None:
        for old, new in ((2, -1), (3, 2), (-1, 3)):
            rows.execute("UPDATE audit SET seq = ? WHERE org = 7 AND seq = ?", (new, old))

    house.engine.write(swap).result(30)
    assert trail.verify(house.engine, ORG).broken == 2


def test_a_cut_end_shows_against_a_checkpoint(house: House) -> None:
    fill(house, 5)
    checkpoint = audit.head(house.engine, ORG)
    assert audit.hash_of(house.engine, ORG, checkpoint.seq) == checkpoint.hash
    house.engine.write(lambda rows: rows.execute("DELETE FROM audit WHERE org = 7 AND seq = 5")).result(30)
    assert trail.verify(house.engine, ORG).broken is None
    assert audit.hash_of(house.engine, ORG, checkpoint.seq) is None


def test_a_chain_written_anew_shows_against_a_checkpoint(house: House) -> None:
    fill(house, 5)
    checkpoint = audit.head(house.engine, ORG)
    house.engine.write(lambda rows: rows.execute("DELETE FROM audit WHERE org = 7")).result(30)
    fill(house, 6)
    house.engine.write(lambda rows: rows.execute("DELETE FROM audit WHERE org = 7 AND seq > 3")).result(30)
    house.engine.write(lambda rows: audit.append(rows, ORG, 5, "account:70", "other", "", {})).result(30)
    fill(house, 3)
    assert trail.verify(house.engine, ORG).broken is None
    assert audit.hash_of(house.engine, ORG, checkpoint.seq) != checkpoint.hash


def test_fields_cannot_run_into_each_other() -> None:
    link: Callable[..., bytes] = audit.link
    assert link(audit.START, 1, 1, 1, "ab", "c", "d", "{}") != link(audit.START, 1, 1, 1, "a", "bc", "d", "{}")
    assert link(audit.START, 1, 11, 1, "a", "b", "c", "{}") != link(audit.START, 11, 1, 1, "a", "b", "c", "{}")

"""What an engine promises about rows that wait for those of other writes. The harness `store` is in conftest.py."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from typing import Any

import pytest

from cryptnsend.core.contracts import Engine, Later, Rows
from cryptnsend.core.errors import StoreFull
from tests.contracts.things import Oops, ids, one_batch, thing

from .worker import STEPS

THINGS = Later(1, "INSERT INTO things VALUES (?, ?)")
PARTS = Later(2, "INSERT INTO parts VALUES (?, ?, ?)")


@pytest.fixture
def engine(store: Any) -> Engine:
    opened: Engine = store.engine()
    opened.migrate(STEPS)
    return opened


def waiting(*numbers: int) -> Callable[[Rows], tuple[int, ...]]:
    def write(rows: Rows) -> tuple[int, ...]:
        rows.later(THINGS, [(number, f"thing {number}") for number in numbers])
        return numbers

    return write


def test_rows_that_wait_are_there_after_the_commit(engine: Engine) -> None:
    with one_batch(engine):
        futures = [engine.write(waiting(1)), engine.write(waiting(2, 3)), engine.write(waiting())]
    assert [future.result(10) for future in futures] == [(1,), (2, 3), ()]
    assert ids(engine) == [1, 2, 3]


def test_a_statement_finds_what_waited_before_it(engine: Engine) -> None:
    def look(rows: Rows) -> list[int]:
        rows.later(THINGS, [(2, "own")])
        return [row["id"] for row in rows.query("SELECT id FROM things WHERE id > 0 ORDER BY id")]

    with one_batch(engine):
        earlier, looking = engine.write(waiting(1)), engine.write(look)
    assert earlier.result(10) == (1,)
    assert looking.result(10) == [1, 2]


def test_references_are_kept_whatever_comes_first(engine: Engine) -> None:
    def write(rows: Rows) -> None:
        rows.later(PARTS, [(7, 1, 1)])
        rows.later(THINGS, [(1, "whole")])

    engine.write(write).result(10)
    assert engine.query("SELECT id FROM parts WHERE id = 7") == [{"id": 7}]


def test_what_an_item_left_that_raises_is_forgotten_alone(engine: Engine) -> None:
    def half(rows: Rows) -> None:
        rows.later(THINGS, [(2, "half")])
        raise Oops

    with one_batch(engine):
        before, failing, after = engine.write(waiting(1)), engine.write(half), engine.write(waiting(3))
    assert before.result(10) == (1,)
    assert after.result(10) == (3,)
    with pytest.raises(Oops):
        failing.result(10)
    assert ids(engine) == [1, 3]


def test_what_an_item_left_is_undone_also_after_it_was_run(engine: Engine) -> None:
    def half(rows: Rows) -> None:
        rows.later(THINGS, [(2, "half")])
        rows.query("SELECT 1 AS one")
        rows.later(THINGS, [(4, "more")])
        raise Oops

    with one_batch(engine):
        before, failing, after = engine.write(waiting(1)), engine.write(half), engine.write(waiting(3))
    assert (before.result(10), after.result(10)) == ((1,), (3,))
    with pytest.raises(Oops):
        failing.result(10)
    assert ids(engine) == [1, 3]


@pytest.mark.parametrize("then_query", [False, True])
def test_a_row_that_is_refused_fails_its_own_write_alone(engine: Engine, then_query: bool) -> None:
    engine.write(thing(1)).result(10)

    def after(rows: Rows) -> None:
        waiting(3)(rows)
        if then_query:
            rows.query("SELECT 1 AS one")

    with one_batch(engine):
        futures = [engine.write(fn) for fn in (waiting(2), waiting(1), after)]
    assert futures[0].exception(10) is None
    assert futures[1].exception(10) is not None
    assert futures[2].exception(10) is None
    assert ids(engine) == [1, 2, 3]


def test_an_item_cannot_swallow_that_an_earlier_one_was_refused(engine: Engine) -> None:
    engine.write(thing(1)).result(10)

    def stubborn(rows: Rows) -> None:
        with contextlib.suppress(Exception):
            rows.query("SELECT 1 AS one")
        waiting(3)(rows)

    with one_batch(engine):
        refused, going_on = engine.write(waiting(1)), engine.write(stubborn)
    assert refused.exception(10) is not None
    assert going_on.exception(10) is None
    assert ids(engine) == [1, 3]


def test_full_only_what_was_acknowledged_is_kept(store: Any) -> None:
    engine = store.small_engine()
    engine.migrate(STEPS)

    def big(number: int) -> Callable[[Rows], None]:
        return lambda rows: rows.later(THINGS, [(number, f"{number:08}" * 1_000)])

    futures = []
    for first in range(1, 400, 20):
        with one_batch(engine):
            futures += [(number, engine.write(big(number))) for number in range(first, first + 20)]
    refused = [future.exception(30) for _, future in futures if future.exception(30) is not None]
    assert refused
    assert {type(error) for error in refused} == {StoreFull}
    assert ids(engine) == [number for number, future in futures if future.exception(0) is None]


def test_notes_reach_later_writes_until_they_are_undone(engine: Engine) -> None:
    def note(value: int) -> Callable[[Rows], Any]:
        def write(rows: Rows) -> Any:
            before = rows.recall("head")
            rows.remember("head", value)
            if value < 0:
                raise Oops
            return before

        return write

    with one_batch(engine):
        futures = [engine.write(note(value)) for value in (1, -1, 2, 3)]
    assert [future.result(10) for future in futures if future.exception(10) is None] == [None, 1, 2]


def test_notes_are_forgotten_when_somebody_else_writes(store: Any, engine: Engine) -> None:
    engine.write(lambda rows: rows.remember("head", 1)).result(10)
    assert engine.write(lambda rows: rows.recall("head")).result(10) == 1
    store.engine().write(thing(1)).result(10)
    assert engine.write(lambda rows: rows.recall("head")).result(10) is None


def test_what_was_learned_is_forgotten_when_anybody_writes(store: Any, engine: Engine) -> None:
    def learn(rows: Rows) -> None:
        rows.learn("things", len(rows.peek("SELECT id FROM things")))

    def known(rows: Rows) -> Any:
        return rows.known("things")

    engine.write(learn).result(10)
    held = engine.write(known).result(10)
    engine.write(waiting(1)).result(10)
    assert engine.write(known).result(10) == held, "what waits changes nothing that may be learned"
    engine.write(thing(2)).result(10)
    assert engine.write(known).result(10) is None
    engine.write(learn).result(10)
    store.engine().write(thing(3)).result(10)
    assert engine.write(known).result(10) is None


def test_what_was_learned_from_undone_rows_is_forgotten(engine: Engine) -> None:
    def wrong(rows: Rows) -> None:
        thing(1)(rows)
        rows.learn("things", rows.peek("SELECT id FROM things WHERE id = 1"))
        raise Oops

    assert isinstance(engine.write(wrong).exception(10), Oops)
    assert engine.write(lambda rows: rows.known("things")).result(10) is None


def test_in_any_mixture_what_was_acknowledged_is_exactly_what_is_kept(engine: Engine) -> None:
    chance = random.Random(20261122)

    def write(number: int, way: int) -> Callable[[Rows], None]:
        def fn(rows: Rows) -> None:
            if way % 2:
                rows.later(THINGS, [(number, f"later {number}")])
            else:
                thing(number)(rows)
            if way % 3 == 0:
                rows.query("SELECT count(*) AS n FROM things")
            if way % 5 == 0:
                raise Oops
            if way % 7 == 0:
                rows.later(THINGS, [(number, f"twice {number}")])

        return fn

    futures: list[tuple[int, Any]] = []
    for first in range(1, 300, 15):
        with one_batch(engine):
            futures += [
                (number, engine.write(write(number, chance.randrange(60)))) for number in range(first, first + 15)
            ]
    kept = [number for number, future in futures if future.exception(30) is None]
    assert 0 < len(kept) < len(futures)
    assert ids(engine) == kept

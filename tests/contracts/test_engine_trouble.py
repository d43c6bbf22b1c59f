"""What must an engine keep to when processes die, others hold its lock, or the disk is full?"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from cryptnsend.core.contracts import Engine, Rows
from cryptnsend.core.errors import StoreBroken, StoreFull
from tests.contracts.things import ids, one_batch, thing

from .worker import STEPS


@pytest.fixture
def engine(store: Any) -> Engine:
    opened: Engine = store.engine()
    opened.migrate(STEPS)
    return opened


def test_processes_take_turns(store: Any, engine: Engine) -> None:
    engine.write(lambda rows: rows.execute("INSERT INTO parts VALUES (1, 0, 0)")).result(10)
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(store.process("count", 150)) for _ in range(3)]
        assert [worker.wait(120) for worker in workers] == [0, 0, 0]
    assert engine.query("SELECT n FROM parts WHERE id = 1") == [{"n": 450}]


def test_killed_between_two_steps_what_was_acknowledged_is_there_and_nothing_is_halved(
    store: Any, engine: Engine
) -> None:
    acknowledged: set[int] = set()
    for round_ in range(6):
        with store.process("pour", 1 + round_ * 1_000_000) as worker:
            for heard, line in enumerate(worker.stdout, 1):
                acknowledged.add(int(line))
                if heard == 7 + 13 * round_:  # at another moment of the batch each time
                    os.kill(worker.pid, signal.SIGKILL)
            assert worker.wait(120) == -signal.SIGKILL
        things = set(ids(engine))
        assert acknowledged <= things
        assert things == {row["thing"] for row in engine.query("SELECT thing FROM parts")}
    assert len(acknowledged) > 200


@pytest.mark.parametrize("how", ["ours", "stranger"])
def test_locked_by_another_process_is_refused_in_bounded_time_and_leaves_nothing(
    store: Any, engine: Engine, how: str
) -> None:
    hasty = store.engine(patience=0.3)
    with store.blocked(how):
        started = time.monotonic()
        futures = [hasty.write(thing(number)) for number in (1, 2)]
        for future in futures:
            with pytest.raises(StoreBroken) as refused:
                future.result(30)
            assert refused.value.code == 451
            assert not isinstance(refused.value, StoreFull)
        assert time.monotonic() - started < 60
        assert ids(hasty) == []  # reading goes on
    assert hasty.write(thing(3)).result(30) == 1
    assert ids(engine) == [3]


def test_a_write_waits_for_another_process_that_is_done_in_time(store: Any, engine: Engine) -> None:
    with store.blocked("ours"):
        future = engine.write(thing(1))
        with pytest.raises(TimeoutError):
            future.result(0.2)
    assert future.result(30) == 1


def pour_until_full(engine: Engine) -> list[tuple[int, Future[int]]]:
    """Write things of 10 KiB in batches until the store is full and a little beyond; return ids and futures."""
    futures: list[tuple[int, Future[int]]] = []
    number = 1
    for _ in range(200):
        with one_batch(engine):
            batch = [(number + n, engine.write(thing(number + n, f"{number + n} " + "x" * 10_000))) for n in range(5)]
        number += 5
        futures += batch
        if any(future.exception(30) is not None for _, future in batch):
            return futures
    raise AssertionError("never full")


def test_full_what_was_acknowledged_is_exactly_what_is_kept(store: Any) -> None:
    engine = store.small_engine()
    engine.migrate(STEPS)
    futures = pour_until_full(engine)
    refused = [future.exception(0) for _, future in futures if future.exception(0) is not None]
    assert refused
    assert all(isinstance(error, StoreFull) and error.code == 452 for error in refused)
    assert ids(engine) == [number for number, future in futures if future.exception(0) is None]
    # A transaction that was lost must not have left the rest of its batch committing one by one, nor the engine lame.
    engine.write(lambda rows: rows.execute("DELETE FROM things WHERE id > 1")).result(30)
    assert engine.write(thing(5000)).result(30) == 1
    assert ids(engine) == [1, 5000]


def test_full_an_item_that_swallows_the_error_is_not_acknowledged(store: Any) -> None:
    engine = store.small_engine()
    engine.migrate(STEPS)

    def stubborn(rows: Rows) -> int:
        with contextlib.suppress(StoreFull):
            rows.execute("INSERT INTO things VALUES (1, ?)", ("x" * 1_000_000,))
        return thing(2)(rows)

    with one_batch(engine):
        futures = [engine.write(fn) for fn in (thing(3), stubborn, thing(4))]
    kept = [number for number, future in zip((3, 2, 4), futures, strict=True) if future.exception(30) is None]
    assert ids(engine) == sorted(kept)
    assert engine.write(thing(6)).result(30) == 1


def test_full_disk_what_was_acknowledged_is_exactly_what_is_kept(store: Any, tiny_disk: Path | None) -> None:
    if tiny_disk is None:
        assert os.geteuid() != 0, "root should be able to mount a tmpfs"
        return
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(bytes(200_000))
    engine = store.engine_in(tiny_disk)
    engine.migrate(STEPS)
    futures = pour_until_full(engine)
    refused = [future.exception(0) for _, future in futures if future.exception(0) is not None]
    assert refused
    assert all(isinstance(error, StoreBroken) for error in refused)
    assert ids(engine) == [number for number, future in futures if future.exception(0) is None]
    ballast.unlink()
    assert engine.write(thing(5000)).result(30) == 1
    assert 5000 in ids(engine)
    engine.close()

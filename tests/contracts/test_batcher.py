"""What the writer for coroutines promises, on every engine: the same as `Engine.write`, and where its work is done."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from cryptnsend.core.contracts import Batcher, Engine, Rows
from cryptnsend.core.errors import StoreBroken, StoreFull
from tests.contracts.things import Oops, ids, thing

from .worker import STEPS


@pytest.fixture
def engine(store: Any) -> Engine:
    opened: Engine = store.engine()
    opened.migrate(STEPS)
    return opened


def play(engine: Engine, story: Callable[[Batcher], Coroutine[Any, Any, None]]) -> None:
    """Run *story* in an event loop with a batcher of the engine."""

    async def run() -> None:
        batcher = engine.batcher(asyncio.get_running_loop())
        try:
            await asyncio.wait_for(story(batcher), 60)
        finally:
            batcher.close()

    asyncio.run(run())


async def outcomes(*waiting: Awaitable[Any]) -> list[Any]:
    return await asyncio.gather(*waiting, return_exceptions=True)


async def until(true: Callable[[], bool]) -> None:
    """Let others run until something holds."""
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


def test_a_submission_returns_its_result_once_the_row_is_there(engine: Engine) -> None:
    async def story(batcher: Batcher) -> None:
        assert await batcher.submit(thing(1)) == 1
        assert ids(engine) == [1]

    play(engine, story)


def test_rows_are_filled_on_the_loops_own_thread_even_after_waiting_for_others(store: Any, engine: Engine) -> None:
    async def story(batcher: Batcher) -> None:
        async def where(number: int) -> threading.Thread:
            def fill(rows: Rows) -> threading.Thread:
                thing(number)(rows)
                return threading.current_thread()

            return await batcher.submit(fill)

        assert await where(1) is threading.current_thread()
        with store.blocked("ours"):
            waiting = asyncio.ensure_future(where(2))
            await asyncio.sleep(0.05)  # the loop goes on while the lock is waited for
            assert not waiting.done()
        assert await waiting is threading.current_thread()

    play(engine, story)


def test_an_item_that_raises_is_undone_alone(engine: Engine) -> None:
    def half(rows: Rows) -> None:
        thing(2)(rows)
        raise Oops

    async def story(batcher: Batcher) -> None:
        before, failing, after = await outcomes(
            batcher.submit(thing(1)), batcher.submit(half), batcher.submit(thing(3))
        )
        assert before == after == 1
        assert isinstance(failing, Oops)
        assert ids(engine) == [1, 3]

    play(engine, story)


def test_many_submissions_share_transactions(store: Any) -> None:
    batches: list[list[str]] = []
    engine = store.engine(settle=lambda keys: batches.append(list(keys)))
    engine.migrate(STEPS)

    async def story(batcher: Batcher) -> None:
        found = await outcomes(*(batcher.submit(thing(n), blobs=[str(n)]) for n in range(1, 601)))
        assert found == [1] * 600

    play(engine, story)
    assert sorted(int(key) for batch in batches for key in batch) == list(range(1, 601))
    assert len(batches) < 10
    assert ids(engine) == list(range(1, 601))


def test_a_batch_waits_for_sessions_with_a_message_on_the_way(store: Any) -> None:
    batches: list[list[str]] = []
    engine = store.engine(settle=lambda keys: batches.append(list(keys)))
    engine.migrate(STEPS)

    async def story() -> None:
        batcher = engine.batcher(asyncio.get_running_loop(), gather=20.0)
        first, second, third = batcher.enter(), batcher.enter(), batcher.enter()
        one = asyncio.ensure_future(batcher.submit(thing(1), blobs=["1"], expected=first))
        await asyncio.sleep(0.02)
        two = asyncio.ensure_future(batcher.submit(thing(2), blobs=["2"], expected=second))
        await asyncio.sleep(0.02)
        assert batches == []
        third.leave()  # refused, reset or gone: nobody is missing any more
        third.leave()
        assert await asyncio.wait_for(asyncio.gather(one, two), 10) == [1, 1]
        first.leave()
        assert batches == [["1", "2"]]
        assert batcher.expecting == 0
        batcher.close()

    asyncio.run(story())


def test_a_session_that_never_submits_delays_others_by_the_gathering_time_only(engine: Engine) -> None:
    async def story(batcher: Batcher) -> None:
        batcher.enter()
        assert await asyncio.wait_for(batcher.submit(thing(1)), 10) == 1

    play(engine, story)


def test_a_submission_whose_session_is_gone_before_its_batch_is_not_kept(engine: Engine) -> None:
    async def story(batcher: Batcher) -> None:
        holding = batcher.enter()
        gone = asyncio.ensure_future(batcher.submit(thing(1)))
        kept = asyncio.ensure_future(batcher.submit(thing(2)))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        holding.leave()
        assert await kept == 1
        assert gone.cancelled()
        assert ids(engine) == [2]

    play(engine, story)


def test_what_has_to_be_ready_is_done_for_the_whole_batch_before_its_transaction(engine: Engine) -> None:
    async def story(batcher: Batcher) -> None:
        done: list[str] = []

        def fill(number: int) -> Callable[[Rows], int]:
            def fn(rows: Rows) -> int:
                done.append(f"fill {number}")
                return thing(number)(rows)

            return fn

        holding = batcher.enter()
        both = [
            asyncio.ensure_future(batcher.submit(fill(n), ready=lambda n=n: done.append(f"ready {n}")))  # type: ignore[misc]
            for n in (1, 2)
        ]
        await asyncio.sleep(0)
        holding.leave()
        assert await outcomes(*both) == [1, 1]
        assert done == ["ready 1", "ready 2", "fill 1", "fill 2"]

    play(engine, story)


def test_a_submission_that_does_not_get_ready_is_refused_alone_and_never_filled(engine: Engine) -> None:
    async def story(batcher: Batcher) -> None:
        def refuse() -> None:
            raise Oops

        holding = batcher.enter()
        refused = asyncio.ensure_future(batcher.submit(thing(1), ready=refuse))
        kept = asyncio.ensure_future(batcher.submit(thing(2)))
        await asyncio.sleep(0)
        holding.leave()
        told, result = await outcomes(refused, kept)
        assert isinstance(told, Oops)
        assert result == 1
        assert ids(engine) == [2]

    play(engine, story)


def test_a_session_lost_during_the_commit_takes_nobody_along(engine: Engine) -> None:
    async def story(batcher: Batcher) -> None:
        ran = threading.Event()

        def fill(rows: Rows) -> None:
            thing(1)(rows)
            ran.set()

        lost = asyncio.ensure_future(batcher.submit(fill))
        other = asyncio.ensure_future(batcher.submit(thing(2)))
        await until(ran.is_set)
        lost.cancel()
        assert await other == 1
        assert await batcher.submit(thing(3)) == 1
        assert ids(engine) == [1, 2, 3]

    play(engine, story)


@pytest.mark.parametrize("how", ["ours", "stranger"])
def test_locked_by_another_process_is_refused_in_bounded_time_and_leaves_nothing(
    store: Any, engine: Engine, how: str
) -> None:
    hasty = store.engine(patience=0.3)

    async def story(batcher: Batcher) -> None:
        with store.blocked(how):
            started = time.monotonic()
            found = await outcomes(batcher.submit(thing(1)), batcher.submit(thing(2)))
            assert [type(each) for each in found] == [StoreBroken, StoreBroken]
            assert time.monotonic() - started < 60
        assert await batcher.submit(thing(3)) == 1
        assert ids(engine) == [3]

    play(hasty, story)


def test_threads_and_coroutines_write_side_by_side(engine: Engine) -> None:
    engine.write(lambda rows: rows.execute("INSERT INTO parts VALUES (1, 0, 0)")).result(10)

    def raise_it(rows: Rows) -> int:
        n: int = rows.query("SELECT n FROM parts WHERE id = 1")[0]["n"]
        return rows.execute("UPDATE parts SET n = ? WHERE id = 1", (n + 1,))

    async def story(batcher: Batcher) -> None:
        def write() -> None:
            for _ in range(100):
                engine.write(raise_it).result(30)

        async def submit() -> None:
            for _ in range(50):
                await batcher.submit(raise_it)

        await asyncio.gather(asyncio.to_thread(write), *(submit() for _ in range(4)))

    play(engine, story)
    assert engine.query("SELECT n FROM parts WHERE id = 1") == [{"n": 300}]


def test_full_what_was_acknowledged_is_exactly_what_is_kept(store: Any) -> None:
    engine = store.small_engine()
    engine.migrate(STEPS)
    heard: list[str] = []
    engine.on_failed(lambda: heard.append("failed"))

    async def story(batcher: Batcher) -> None:
        kept: list[int] = []
        refused: list[Exception] = []
        for start in range(1, 1000, 5):
            numbers = range(start, start + 5)
            found = await outcomes(*(batcher.submit(thing(n, f"{n} " + "x" * 10_000)) for n in numbers))
            kept += [number for number, outcome in zip(numbers, found, strict=True) if outcome == 1]
            refused += [outcome for outcome in found if isinstance(outcome, Exception)]
            if refused:
                break
        assert refused
        assert all(isinstance(each, StoreFull) for each in refused)
        assert heard
        assert ids(engine) == kept
        await batcher.submit(lambda rows: rows.execute("DELETE FROM things WHERE id > 1"))
        assert await batcher.submit(thing(5000)) == 1
        assert ids(engine) == [1, 5000]

    play(engine, story)


def test_an_item_that_ends_the_transaction_is_not_acknowledged(engine: Engine) -> None:
    def rogue(rows: Rows) -> None:
        thing(2)(rows)
        rows.execute("ROLLBACK")
        thing(3)(rows)

    async def story(batcher: Batcher) -> None:
        found = await outcomes(batcher.submit(thing(1)), batcher.submit(rogue), batcher.submit(thing(4)))
        assert [type(each) for each in found] == [StoreBroken] * 3
        assert ids(engine) == []
        assert await batcher.submit(thing(5)) == 1

    play(engine, story)


def test_blobs_that_do_not_settle_keep_the_batch_from_being_committed(store: Any) -> None:
    def settle(keys: Any) -> None:
        if "bad" in keys:
            raise StoreBroken("The store's disk failed.")

    engine = store.engine(settle=settle)
    engine.migrate(STEPS)

    async def story(batcher: Batcher) -> None:
        found = await outcomes(batcher.submit(thing(1), blobs=["bad"]), batcher.submit(thing(2)))
        assert [type(each) for each in found] == [StoreBroken, StoreBroken]
        assert await batcher.submit(thing(3), blobs=["good"]) == 1
        assert ids(engine) == [3]

    play(engine, story)


def test_closed_it_refuses_what_was_not_started(engine: Engine) -> None:
    async def story(batcher: Batcher) -> None:
        batcher.enter()
        waiting = asyncio.ensure_future(batcher.submit(thing(1)))
        await asyncio.sleep(0)
        batcher.close()
        batcher.close()
        assert isinstance((await outcomes(waiting))[0], StoreBroken)
        with pytest.raises(StoreBroken):
            await batcher.submit(thing(2))
        assert ids(engine) == []

    play(engine, story)


def test_closed_while_it_waits_for_others_it_refuses_and_lets_go(store: Any, engine: Engine) -> None:
    hasty = store.engine(patience=0.3)

    async def story(batcher: Batcher) -> None:
        with store.blocked("ours"):
            waiting = asyncio.ensure_future(batcher.submit(thing(1)))
            await asyncio.sleep(0.05)
            batcher.close()
            assert isinstance((await outcomes(waiting))[0], StoreBroken)

    play(hasty, story)
    assert engine.write(thing(2)).result(10) == 1
    assert ids(engine) == [2]

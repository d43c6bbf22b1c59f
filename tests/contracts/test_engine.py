"""What every `Engine` promises. The harness `store` is in conftest.py."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from cryptnsend.core.contracts import Engine, Rows
from cryptnsend.core.errors import ConfigError, StoreBroken, StoreFull
from cryptnsend.store.schema import Step

from .worker import STEPS


class Oops(Exception):
    pass


def thing(number: int, what: str | None = None) -> Callable[[Rows], int]:
    text = f"thing {number}" if what is None else what
    return lambda rows: rows.execute("INSERT INTO things VALUES (?, ?)", (number, text))


def ids(engine: Engine) -> list[int]:
    return [row["id"] for row in engine.query("SELECT id FROM things WHERE id > 0 ORDER BY id")]


@contextlib.contextmanager
def one_batch(engine: Engine) -> Any:
    """Keep the writer busy, so that what is written inside the block lands in one batch."""
    started, go = threading.Event(), threading.Event()

    def hold(rows: Rows) -> None:
        started.set()
        assert go.wait(120)

    holding = engine.write(hold)
    assert started.wait(120)
    yield
    go.set()
    holding.result(30)


@pytest.fixture
def engine(store: Any) -> Engine:
    opened: Engine = store.engine()
    opened.migrate(STEPS)
    return opened


def test_tuples_are_read_by_position_and_nothing_is_written_that_way(engine: Engine) -> None:
    engine.write(lambda rows: (thing(1)(rows), thing(2)(rows))).result(30)
    assert engine.tuples("SELECT id, what FROM things WHERE id >= ? ORDER BY id", 1) == [(1, "thing 1"), (2, "thing 2")]
    assert engine.tuples("SELECT id FROM things WHERE id = ?", 3) == []
    with pytest.raises(ValueError, match="only reads"):
        engine.tuples("DELETE FROM things")
    assert ids(engine) == [1, 2]


def test_a_write_resolves_with_its_result_and_its_rows_are_there(engine: Engine) -> None:
    assert engine.write(thing(1)).result(10) == 1
    assert ids(engine) == [1]


def test_rows_come_as_dictionaries_with_values_by_name(engine: Engine) -> None:
    engine.write(thing(1, "ann")).result(10)
    assert engine.query("SELECT what, id FROM things WHERE what = :what", what="ann") == [{"what": "ann", "id": 1}]
    assert engine.query("SELECT id FROM things WHERE what = :what", what="pat") == []


def test_values_may_be_named_or_in_order(engine: Engine) -> None:
    def both(rows: Rows) -> list[dict[str, Any]]:
        rows.execute("INSERT INTO things VALUES (:id, :what)", {"id": 1, "what": "named"})
        rows.many("INSERT INTO things VALUES (?, ?)", [(2, "second"), (3, "third")])
        assert rows.execute("UPDATE things SET what = 'x' || what WHERE id > ?", (1,)) == 2
        return rows.query("SELECT id FROM things WHERE what LIKE ? ORDER BY id", ("x%",))

    assert engine.write(both).result(10) == [{"id": 2}, {"id": 3}]


def test_octets_and_absent_values_come_back_as_they_went_in(engine: Engine) -> None:
    engine.migrate([*STEPS, Step("0003-octets", ("CREATE TABLE octets(o BLOB, n INTEGER, t TEXT) STRICT",))])
    row = {"o": bytes(range(256)), "n": (1 << 63) - 1, "t": "Ännchen \N{PILE OF POO}"}
    engine.write(lambda rows: rows.execute("INSERT INTO octets VALUES (:o, :n, :t)", row)).result(10)
    engine.write(lambda rows: rows.execute("INSERT INTO octets VALUES (?, ?, ?)", (None, None, None))).result(10)
    assert engine.query("SELECT * FROM octets ORDER BY n") == [{"o": None, "n": None, "t": None}, row]


def test_a_write_sees_its_own_rows_and_readers_do_not_until_commit(engine: Engine) -> None:
    inside, go = threading.Event(), threading.Event()

    def slow(rows: Rows) -> int:
        thing(1)(rows)
        inside.set()
        assert go.wait(120)
        return len(rows.query("SELECT id FROM things WHERE id = 1"))

    future = engine.write(slow)
    assert inside.wait(120)
    assert ids(engine) == []
    assert not future.done()
    go.set()
    assert future.result(10) == 1
    assert ids(engine) == [1]


def test_query_only_reads(engine: Engine) -> None:
    with pytest.raises(ValueError, match="write"):
        engine.query("DELETE FROM things")
    with pytest.raises(ValueError, match="write"):
        engine.query("INSERT INTO things VALUES (9, 'x') RETURNING id")
    assert engine.query("SELECT count(*) AS n FROM things") == [{"n": 1}]


def test_an_item_that_raises_is_undone_alone(engine: Engine) -> None:
    def half(rows: Rows) -> None:
        thing(2)(rows)
        raise Oops("half done")

    with one_batch(engine):
        before, failing, after = engine.write(thing(1)), engine.write(half), engine.write(thing(3))
    assert before.result(10) == after.result(10) == 1
    with pytest.raises(Oops, match="half done"):
        failing.result(10)
    assert ids(engine) == [1, 3]


@pytest.mark.parametrize(
    "statement", ["INSERT INTO things VALUES (1, 'again')", "INSERT INTO parts VALUES (1, 77, 1)", "NONSENSE"]
)
def test_a_refused_statement_undoes_its_item_alone(engine: Engine, statement: str) -> None:
    def wrong(rows: Rows) -> None:
        thing(2)(rows)
        rows.execute(statement)

    with one_batch(engine):
        before, failing, after = engine.write(thing(1)), engine.write(wrong), engine.write(thing(3))
    assert before.result(10) == after.result(10) == 1
    assert failing.exception(10) is not None
    assert not isinstance(failing.exception(), StoreBroken)
    assert ids(engine) == [1, 3]


def test_an_item_may_go_on_after_a_refused_statement(engine: Engine) -> None:
    def tries(rows: Rows) -> int:
        with contextlib.suppress(Exception):
            rows.execute("INSERT INTO things VALUES (0, 'taken')")
        return thing(1)(rows)

    assert engine.write(tries).result(10) == 1
    assert ids(engine) == [1]


def test_an_item_that_ends_the_transaction_is_not_acknowledged(engine: Engine) -> None:
    def rogue(rows: Rows) -> None:
        thing(2)(rows)
        rows.execute("ROLLBACK")
        thing(3)(rows)

    with one_batch(engine):
        before, failing, after = engine.write(thing(1)), engine.write(rogue), engine.write(thing(4))
    assert [type(future.exception(10)) for future in (before, failing, after)] == [StoreBroken] * 3
    assert ids(engine) == []
    assert engine.write(thing(5)).result(10) == 1


def test_even_the_end_of_an_iterator_reaches_the_caller(engine: Engine) -> None:
    future = engine.write(lambda rows: next(iter(())))
    assert isinstance(future.exception(10), RuntimeError)


def test_writes_of_one_thread_keep_their_order(engine: Engine) -> None:
    futures = [
        engine.write(lambda rows, n=n: rows.execute("UPDATE things SET what = ?", (f"{n}",))) for n in range(600)
    ]
    for future in futures:
        future.result(30)
    assert engine.query("SELECT what FROM things") == [{"what": "599"}]


def test_many_threads_write_and_read(engine: Engine) -> None:
    engine.write(lambda rows: rows.execute("INSERT INTO parts VALUES (1, 0, 0)")).result(10)

    def raise_it(rows: Rows) -> int:
        n: int = rows.query("SELECT n FROM parts WHERE id = 1")[0]["n"]
        return rows.execute("UPDATE parts SET n = ? WHERE id = 1", (n + 1,))

    def work(seen: list[int]) -> None:
        for _ in range(25):
            engine.write(raise_it).result(30)
            seen.append(engine.query("SELECT n FROM parts WHERE id = 1")[0]["n"])

    seen: list[list[int]] = [[] for _ in range(8)]
    threads = [threading.Thread(target=work, args=(each,)) for each in seen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert engine.query("SELECT n FROM parts WHERE id = 1") == [{"n": 200}]
    assert all(each == sorted(each) and len(each) == 25 for each in seen)


def test_a_cancelled_write_does_not_run(engine: Engine) -> None:
    with one_batch(engine):
        cancelled, kept = engine.write(thing(1)), engine.write(thing(2))
        assert cancelled.cancel()
    assert kept.result(10) == 1
    assert ids(engine) == [2]


def test_close_finishes_what_is_queued_and_refuses_the_rest(store: Any) -> None:
    engine = store.engine()
    engine.migrate(STEPS)
    futures = [engine.write(thing(number)) for number in range(1, 400)]
    engine.close()
    engine.close()
    assert all(future.result(0) == 1 for future in futures)
    with pytest.raises(StoreBroken):
        engine.write(thing(1000))
    with pytest.raises(StoreBroken):
        engine.query("SELECT 1 AS one")
    assert ids(store.engine()) == list(range(1, 400))


def test_deleted_rows_leave_the_disk(engine: Engine, tmp_path: Path) -> None:
    canary = "canary-4711-" * 20
    engine.write(thing(1, canary)).result(10)
    assert engine.checkpoint()
    assert any(canary.encode() in path.read_bytes() for path in tmp_path.iterdir())
    engine.write(lambda rows: rows.execute("DELETE FROM things WHERE id = 1")).result(10)
    assert engine.checkpoint()
    assert not any(b"canary-4711" in path.read_bytes() for path in tmp_path.iterdir())


# Schema steps


def names(engine: Engine) -> list[str]:
    return [row["what"] for row in engine.query("SELECT what FROM things ORDER BY id")]


def test_steps_are_applied_once_and_later_ones_follow(store: Any) -> None:
    engine = store.engine()
    engine.migrate(STEPS)
    engine.migrate(STEPS)
    third = Step("0003-more", ("INSERT INTO things VALUES (3, 'three')",))
    engine.migrate([*STEPS, third])
    engine.migrate([*STEPS, third])
    assert names(engine) == ["none", "three"]


def test_a_step_that_fails_leaves_nothing_and_can_be_mended(store: Any) -> None:
    engine = store.engine()
    with pytest.raises(Exception, match="nowhere"):
        engine.migrate([*STEPS, Step("0003-bad", ("INSERT INTO things VALUES (3, 'x')", "DELETE FROM nowhere"))])
    assert names(engine) == ["none"]
    engine.migrate([*STEPS, Step("0003-bad", ("INSERT INTO things VALUES (3, 'mended')",))])
    assert names(engine) == ["none", "mended"]


def test_a_step_that_breaks_references_is_refused(store: Any) -> None:
    engine = store.engine()
    with pytest.raises(ConfigError, match="point at nothing"):
        engine.migrate([*STEPS, Step("0003-bad", ("INSERT INTO parts VALUES (1, 99, 1)",))])
    assert engine.query("SELECT * FROM parts") == []


def test_data_of_a_newer_version_is_refused(store: Any) -> None:
    engine = store.engine()
    engine.migrate([*STEPS, Step("0003-newer", ("INSERT INTO things VALUES (3, 'x')",))])
    with pytest.raises(ConfigError, match="0003-newer"):
        engine.migrate(STEPS)


def test_steps_in_another_order_are_refused(engine: Engine) -> None:
    with pytest.raises(ConfigError):
        engine.migrate([STEPS[1], STEPS[0]])


def test_concurrent_starters_apply_each_step_once(store: Any) -> None:
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(store.process("migrate")) for _ in range(4)]
        for worker in workers:
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            worker.stdin.write("go\n")
            worker.stdin.flush()
        assert [worker.wait(120) for worker in workers] == [0, 0, 0, 0]
    assert names(store.engine()) == ["none"]


def test_concurrent_threads_apply_each_step_once(store: Any) -> None:
    engines = [store.engine() for _ in range(4)]
    failures: list[BaseException] = []

    def start(engine: Engine) -> None:
        try:
            engine.migrate(STEPS)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=start, args=(engine,)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failures == []
    assert names(engines[0]) == ["none"]


# Several processes


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


# No room


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


# Blobs and hooks


def test_blobs_are_settled_before_their_rows_are_committed(store: Any) -> None:
    seen: list[tuple[list[str], list[int]]] = []
    engine = store.engine(settle=lambda keys: seen.append((list(keys), ids(engine))))
    engine.migrate(STEPS)
    with one_batch(engine):
        futures = [
            engine.write(thing(1), blobs=["a"]),
            engine.write(thing(2)),
            engine.write(thing(3), blobs=["b", "c"]),
        ]
    assert [future.result(10) for future in futures] == [1, 1, 1]
    assert seen == [(["a", "b", "c"], [])]


def test_blobs_that_do_not_settle_fail_only_their_own_items(store: Any) -> None:
    def settle(keys: Any) -> None:
        raise StoreBroken("The store's disk failed.")

    engine = store.engine(settle=settle)
    engine.migrate(STEPS)
    with one_batch(engine):
        with_blob, without = engine.write(thing(1), blobs=["a"]), engine.write(thing(2))
    assert isinstance(with_blob.exception(10), StoreBroken)
    assert without.result(10) == 1
    assert ids(engine) == [2]


def test_a_hook_hears_of_undone_rows_before_the_future_resolves(engine: Engine) -> None:
    heard: list[bool] = []

    def fail(rows: Rows) -> None:
        raise Oops

    engine.write(thing(1)).result(10)
    engine.on_failed(lambda: heard.append(failing.done()))
    with one_batch(engine):
        failing: Future[None] = engine.write(fail)
    assert isinstance(failing.exception(10), Oops)
    assert heard == [False]

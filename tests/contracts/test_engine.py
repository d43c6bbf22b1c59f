"""What every `Engine` promises. The harness `store` is in conftest.py."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from cryptnsend.core.contracts import Engine, Rows
from cryptnsend.core.errors import ConfigError, StoreBroken
from cryptnsend.store.schema import Step
from tests.contracts.things import Oops, ids, one_batch, thing

from .worker import STEPS


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

"""How do many small writes share one flush? Group commit for engines that have transactions with savepoints.

One thread takes what was submitted, up to `LIMIT` items at a time, runs each item under a savepoint of one
transaction, and resolves the futures after COMMIT. An item that raises is undone alone. If the transaction itself is
lost, nothing of the batch was kept and every future of the batch says so.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import StoreBroken

T = TypeVar("T")
Settle = Callable[[Sequence[str]], None]
LIMIT = 256  # items per transaction: enough to make the flush cheap, few enough to keep the last one's wait short


class TransactionLost(Exception):
    """The engine gave up the whole transaction; `reason` is what every item of the batch is told."""

    def __init__(self, reason: StoreBroken):
        super().__init__(str(reason))
        self.reason = reason


class Spoiled(Exception):
    """
    A statement that several items share was refused because of one of them, and nobody can tell whose row it was.

    What was done so far is worth nothing; `Transaction.again` starts anew, and each item runs by itself then.
    """


class Transaction(Protocol):
    """A connection that writes, one transaction at a time; used by one thread at a time."""

    def begin(self, patience: float) -> bool:
        """Start a transaction within *patience* seconds and say whether that worked; raise `StoreBroken`."""

    def run(self, fn: Callable[[Rows], T], *, alone: bool = False) -> T:
        """
        Run *fn* as an item; raise what it raised, undone, or `Spoiled`, or `TransactionLost` if more than that is gone.

        What *fn* left for `later` waits for the other items, unless it runs *alone*.
        """

    def flush(self) -> None:
        """Run everything that waits; raise `Spoiled` or `TransactionLost`."""

    def again(self) -> None:
        """Undo everything and start anew, ahead of whoever else wants to write; raise `TransactionLost`."""

    def commit(self) -> None:
        """Make the transaction durable, or raise `StoreBroken`/`StoreFull` with nothing of it kept."""

    def rollback(self) -> None:
        """Drop the transaction; harmless when there is none."""

    def close(self) -> None: ...


class Promise(Protocol):
    """What the futures of threads and of event loops have in common."""

    def done(self) -> bool: ...

    def set_result(self, result: Any, /) -> None: ...

    def set_exception(self, exception: BaseException, /) -> None: ...


@dataclass(slots=True, eq=False)
class Item:
    """One write on its way: what to run, before and inside the transaction, its blobs, whom to tell, how it went."""

    fn: Callable[[Rows], Any]
    blobs: Sequence[str]
    promise: Promise
    ready: Callable[[], None] | None = None
    result: Any = None
    error: BaseException | None = None

    def prepare(self) -> None:
        """Do what has to be done before the transaction, noting what went wrong."""
        if self.ready is not None:
            try:
                self.ready()
            except Exception as error:
                self.error = error

    def resolve(self) -> None:
        """Tell whoever waits."""
        if self.error is None:
            self.promise.set_result(self.result)
        else:
            self.promise.set_exception(self.error)


def fill(transaction: Transaction, items: Sequence[Item]) -> None:
    """Run the items inside an open transaction, noting each one's result or error; raise `TransactionLost`."""
    waiting = [item for item in items if item.error is None]
    try:
        _run(transaction, waiting, alone=False)
        transaction.flush()
    except Spoiled:
        transaction.again()
        for item in waiting:
            item.error = None
        _run(transaction, waiting, alone=True)


def _run(transaction: Transaction, items: Iterable[Item], *, alone: bool) -> None:
    for item in items:
        try:
            item.result = transaction.run(item.fn, alone=alone)
        except (TransactionLost, Spoiled):
            raise
        except StopIteration as error:  # futures of asyncio refuse to carry it
            item.error = RuntimeError("a write ended in StopIteration")
            item.error.__cause__ = error
        except Exception as error:
            item.error = error


def fail(items: Iterable[Item], reason: StoreBroken) -> None:
    """Note for each item that nothing was kept. Each gets an exception of its own, as tracebacks grow."""
    for item in items:
        item.error = type(reason)(*reason.args)
        item.error.__cause__ = reason


def named_blobs(items: Iterable[Item]) -> list[str]:
    """Return the keys of the blobs that the rows of the successful items name."""
    return [key for item in items if item.error is None for key in item.blobs]


class GroupCommit:
    """The writer thread behind `Engine.write`."""

    def __init__(
        self, transaction: Transaction, settle: Settle | None, failed: Callable[[], None], *, patience: float, name: str
    ):
        self._transaction, self._settle, self._failed, self._patience = transaction, settle, failed, patience
        self._queue: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._gate = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[[Rows], T], blobs: Sequence[str]) -> Future[T]:
        """Queue *fn* and return the future of its result; raise `StoreBroken` after `close`."""
        future: Future[T] = Future()
        with self._gate:
            if self._closed:
                raise StoreBroken("The store is closed.")
            self._queue.put(Item(fn, blobs, future))
        return future

    def close(self) -> None:
        """Finish what is queued and end the thread; safe to call twice."""
        with self._gate:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        going = True
        while going:
            batch, going = self._gather()
            if batch:
                self._commit(batch)
                for item in batch:
                    item.resolve()
        self._transaction.close()

    def _gather(self) -> tuple[list[Item], bool]:
        """Wait for an item, then take what else is there; the flag turns false after the last one."""
        batch: list[Item] = []
        item = self._queue.get()
        while item is not None:
            future = item.promise
            if not isinstance(future, Future) or future.set_running_or_notify_cancel():
                batch.append(item)
            if len(batch) == LIMIT:
                return batch, True
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return batch, True
        return batch, False

    def _commit(self, batch: list[Item]) -> None:
        """Run the batch in one transaction and note in each item how it went. Never raises."""
        try:
            # Folder entries become durable before the lock is taken: others can write meanwhile.
            self._settle_early(batch)
            if not self._transaction.begin(self._patience):
                raise StoreBroken("The store is busy.")
            try:
                fill(self._transaction, batch)
                self._transaction.commit()
            except BaseException:
                self._transaction.rollback()
                raise
        except TransactionLost as lost:
            fail(batch, lost.reason)
        except StoreBroken as reason:
            fail(batch, reason)
        except BaseException as error:  # a defect in here must not end the thread and leave callers waiting for ever
            defect = StoreBroken("The store failed unexpectedly.")
            defect.__cause__ = error
            fail(batch, defect)
        if any(item.error is not None for item in batch):
            self._failed()

    def _settle_early(self, batch: list[Item]) -> None:
        keys = named_blobs(batch)
        if self._settle is None or not keys:
            return
        try:
            self._settle(keys)
        except StoreBroken as reason:
            # Fatal for the messages whose blobs may be gone; the others have nothing to do with it.
            fail([item for item in batch if item.blobs], reason)

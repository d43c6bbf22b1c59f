"""How do coroutines write without paying for a second thread's fight over the interpreter?

Filling rows in a writer thread cost ten times its CPU time, because SQLite's driver hands back the interpreter lock
around every step and has to win it again from the event loop. Here the loop's own thread fills the batch (25-40 us a
message) and a helper thread only flushes: it makes blob names durable, commits, and waits when other processes write.

Batches are gathered: while other sessions have a message on the way, a batch waits for them, at most a millisecond or,
where that is more, what the last batch took. So it does for sessions that were just answered: else eight
sessions settle into two groups of four that commit in turn, and each pays for twice as many flushes.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from cryptnsend.core.contracts import Expected as ExpectedProtocol
from cryptnsend.core.contracts import Loop, Rows, Timer
from cryptnsend.core.errors import StoreBroken
from cryptnsend.store.group import LIMIT, Item, Settle, Transaction, TransactionLost, fail, fill, named_blobs

T = TypeVar("T")
_SLOWEST = 8  # gathering times that a batch waits at most, however slow the disk is


class Expected:
    """A session that will soon submit. Leaving twice is harmless, so every way out may call `leave`."""

    __slots__ = ("_batcher",)

    def __init__(self, batcher: Batcher):
        self._batcher: Batcher | None = batcher

    def leave(self) -> None:
        """Stop waiting for this session: it has submitted, was refused, or is gone."""
        batcher, self._batcher = self._batcher, None
        if batcher is not None:
            batcher._left()


class Batcher:
    """
    Group commit for the coroutines of one event loop. Everything is called on the loop's thread.

    `enter` when a session begins a message (MAIL), `submit(..., expected=...)` when it is complete, `Expected.leave`
    when it will not be (RSET, refusal, lost connection).
    """

    def __init__(
        self,
        loop: Loop,
        transaction: Transaction,
        settle: Settle | None,
        failed: Callable[[], None],
        *,
        patience: float,
        gather: float = 0.001,
    ):
        self._loop, self._transaction, self._settle, self._failed = loop, transaction, settle, failed
        self._patience, self._gather = patience, gather
        self._window = gather
        self._expecting = 0
        self._returning = 0  # sessions answered just now, who may have another message
        self._returned = 0.0  # loop time until which they are waited for
        self._pending: list[Item] = []
        self._since = 0.0  # loop time at which the oldest pending item came
        self._began = 0.0  # loop time at which the batch under way was started
        self._timer: Timer | None = None
        self._busy = False  # a batch is between its start and its end
        self._closed = False
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="batch writer", daemon=True)
        self._thread.start()

    @property
    def expecting(self) -> int:
        """How many sessions have a message on the way that they did not submit yet."""
        return self._expecting

    def enter(self) -> Expected:
        """Announce a message; the batch under way waits for it, at most the gathering time."""
        self._expecting += 1
        if self._returning:
            self._returning -= 1
        return Expected(self)

    async def submit(
        self,
        fn: Callable[[Rows], T],
        *,
        blobs: Sequence[str] = (),
        expected: ExpectedProtocol | None = None,
        ready: Callable[[], None] | None = None,
    ) -> T:
        """
        Run *fn* on this thread inside a shared transaction and return its result once that is durable.

        *ready* runs on this thread before the transaction begins; if it raises, so does this, and *fn* is not run.
        Raise what *fn* raised (its rows are undone, others go on), or `StoreBroken`/`StoreFull` if the commit failed.
        *blobs* are the keys that its rows name, which *ready* may still add to: they are made durable first.
        """
        if self._closed:
            raise StoreBroken("The store is closed.")
        future = self._loop.create_future()
        if not self._pending:
            self._since = self._loop.time()
        self._pending.append(Item(fn, blobs, future, ready))
        if expected is not None:
            expected.leave()
        self._consider()
        result: T = await future
        return result

    def close(self) -> None:
        """
        Finish the commit under way, refuse what was not started, end the thread; safe to call twice.

        On the loop's thread, or when the loop has ended.
        """
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
        self._thread.join()

    def _left(self) -> None:
        self._expecting -= 1
        self._consider()

    def _consider(self) -> None:
        """Start a batch if everybody is here or the oldest has waited enough; else look again then."""
        if self._busy or not self._pending:
            return
        now = self._loop.time()
        wait = self._since + self._window - now
        awaited = self._expecting > 0 or (self._returning > 0 and now < self._returned)
        if not awaited or wait <= 0 or len(self._pending) >= LIMIT:
            self._busy = True
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            # Not at once: others may be about to submit in this same turn of the loop.
            self._loop.call_soon(self._start)
        elif self._timer is None:
            self._timer = self._loop.call_later(wait, self._due)

    def _due(self) -> None:
        self._timer = None
        self._consider()

    def _start(self) -> None:
        batch, self._pending = self._pending[:LIMIT], self._pending[LIMIT:]
        self._since = self._began = self._loop.time()
        if self._closed:
            self._end(batch, StoreBroken("The store is closed."))
            return
        # All of one kind of work in a row: what the first item brings into the processor's caches serves the others.
        for item in batch:
            if not item.promise.done():
                item.prepare()
        try:
            began = self._transaction.begin(0)
        except StoreBroken as reason:
            self._end(batch, reason)
            return
        if began:
            self._fill(batch)
        else:
            # Somebody else writes: the thread queues up, this thread goes on serving.
            self._hand_over(lambda: self._wait(batch), batch)

    def _fill(self, batch: list[Item]) -> None:
        """Run the items here, then leave flush and COMMIT to the thread."""
        alive = [item for item in batch if not item.promise.done()]
        try:
            fill(self._transaction, alive)
        except TransactionLost as lost:
            self._transaction.rollback()
            self._end(batch, lost.reason)
        except BaseException:
            self._transaction.rollback()
            self._end(batch, StoreBroken("The store was interrupted."))
            raise
        else:
            self._hand_over(lambda: self._commit(batch, named_blobs(alive)), batch)

    def _hand_over(self, job: Callable[[], None], batch: list[Item]) -> None:
        if self._closed:
            self._transaction.rollback()
            self._end(batch, StoreBroken("The store is closed."))
        else:
            self._jobs.put(job)

    def _end(self, batch: list[Item], reason: StoreBroken | None) -> None:
        """Tell everybody in the batch, callers' hooks first, and see to the next one."""
        if reason is not None:
            fail(batch, reason)
        if any(item.error is not None for item in batch):
            self._failed()
        for item in batch:
            if not item.promise.done():
                item.resolve()
        self._busy = False
        now = self._loop.time()
        self._window = max(self._gather, min(now - self._began, _SLOWEST * self._gather))
        self._returning, self._returned, self._since = len(batch), now + self._window, now
        self._consider()

    # In the thread

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
        self._transaction.close()

    def _wait(self, batch: list[Item]) -> None:
        try:
            if not self._transaction.begin(self._patience):
                raise StoreBroken("The store is busy.")
        except StoreBroken as reason:
            self._report(lambda reason=reason: self._end(batch, reason))  # type: ignore[misc]
        else:
            self._report(lambda: self._fill(batch))

    def _commit(self, batch: list[Item], blobs: list[str]) -> None:
        reason: StoreBroken | None = None
        try:
            if self._settle is not None and blobs:
                self._settle(blobs)
            self._transaction.commit()
        except StoreBroken as error:
            reason = error
        except BaseException as error:  # a defect in here must not leave sessions waiting for ever
            reason = StoreBroken("The store failed unexpectedly.")
            reason.__cause__ = error
        if reason is not None:
            self._transaction.rollback()
        self._report(lambda: self._end(batch, reason))

    def _report(self, call: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:  # the loop is closed: nobody is left to tell, but the lock must not stay behind
            self._transaction.rollback()

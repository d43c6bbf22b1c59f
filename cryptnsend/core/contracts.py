"""The interfaces that rooms share. Each is tiny and states its contract; implementations live elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

T = TypeVar("T")
Row = dict[str, Any]


class Clock(Protocol):
    """The time of day, injected so that tests and rules need no wall clock."""

    def now(self) -> int:
        """Return UTC milliseconds since 1970."""

    def monotonic(self) -> float:
        """Return seconds that never go backwards; for back-off and deadlines only."""


@dataclass(frozen=True, slots=True, eq=False)
class Later:
    """A statement whose rows can wait for those of other writes; *rank* says which goes first, as references ask."""

    rank: int
    sql: str


class Queries(Protocol):
    """Something that runs statements which return rows: a transaction, or what is committed."""

    def query(self, sql: str, values: dict[str, Any] = ..., /) -> list[Row]:
        """Run one statement that returns rows."""


class Rows(Protocol):
    """What a write sees: statements inside one transaction. Values are named (`:name`)."""

    def execute(self, sql: str, values: dict[str, Any] | Sequence[Any] = ()) -> int:
        """Run one statement that returns no rows; return how many rows it touched."""

    def many(self, sql: str, rows: Iterable[dict[str, Any] | Sequence[Any]]) -> None:
        """Run one statement once per row of values."""

    def query(self, sql: str, values: dict[str, Any] | Sequence[Any] = ()) -> list[Row]:
        """Run one statement that returns rows, as seen inside this transaction."""

    def later(self, statement: Later, rows: Iterable[Sequence[Any]]) -> None:
        """
        Run *statement* once per row, together with the same statement of other writes in this transaction.

        At the latest before the next statement of another method here, or before COMMIT. If it is refused then, this
        write fails as if it had been refused at once, and others go on.
        """

    def peek(self, sql: str, values: dict[str, Any] | Sequence[Any] = ()) -> list[Row]:
        """Do what `query` does, but without what still waits from `later`: see `recall`."""

    def remember(self, key: Hashable, value: object) -> None:
        """Note something about rows given to `later`, for this write and those behind it in this transaction."""

    def recall(self, key: Hashable) -> Any:
        """
        Return what was remembered in this transaction, unless that write was undone; None for nothing.

        Also what earlier transactions of this connection remembered. `execute`, `many` and everybody else's writing
        put an end to it: nothing waits then, and a `peek` finds it all.
        """

    def learn(self, key: Hashable, value: object) -> None:
        """Keep what a `peek` found in rows that no statement for `later` changes, so that it need not be read again."""

    def known(self, key: Hashable) -> Any:
        """Return what was learned, unless something was written since that may have changed it; None for nothing."""


class Reader(Protocol):
    """Something whose committed rows can be read: an engine, or a copy in a backup."""

    def query(self, sql: str, **values: Any) -> list[Row]:
        """Read committed rows with one statement; values are named (`:name`)."""


class Engine(Reader, Protocol):
    """Rows at rest. Every implementation passes tests/contracts/test_engine.py."""

    def tuples(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Read what `query` reads, rows as tuples and values by position (`?`): for lists, at half the cost."""

    def write(self, fn: Callable[[Rows], T], *, blobs: Sequence[str] = ()) -> Future[T]:
        """
        Run *fn* inside a group-committed transaction. *blobs*, the keys its rows name, are settled before COMMIT.

        The future resolves with *fn*'s result after COMMIT is durable; with *fn*'s own exception if it raised (its
        changes are undone, others in the batch go on); with `StoreBroken` or `StoreFull` if the commit failed, in
        which case nothing of the batch was kept. *fn* may be submitted again then, so it has no outside effect.
        """

    def batcher(self, loop: Loop) -> Batcher:
        """Return a writer for the coroutines of *loop*; `close` of the engine closes it."""

    def on_failed(self, hook: Callable[[], None]) -> None:
        """Call *hook* (from any thread; it must not raise) when some rows were undone, before their future resolves."""

    def checkpoint(self) -> bool:
        """Make sure that deleted rows are gone from the disk; False if that has to be tried again later."""

    def migrate(self, steps: Sequence[Migration]) -> None:
        """Apply the steps not yet applied, in order, each in its own transaction; safe with concurrent starters."""

    def close(self) -> None:
        """Finish what is queued, then release everything."""


class Timer(Protocol):
    """Something a loop will call later."""

    def cancel(self) -> None: ...


class Loop(Protocol):
    """What a batcher needs of an event loop, as asyncio's loops have it; the store itself has no colour but plain."""

    def time(self) -> float: ...

    def create_future(self) -> Any: ...

    def call_soon(self, callback: Callable[[], object], /) -> object: ...

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Timer: ...

    def call_soon_threadsafe(self, callback: Callable[[], object], /) -> object: ...


class Expected(Protocol):
    """A session whose message a batch waits for."""

    def leave(self) -> None:
        """Stop waiting for it: it has submitted, was refused or is gone. Safe to call twice."""


class Batcher(Protocol):
    """`Engine.write` for coroutines: *fn* runs on the loop's own thread, which costs a fraction. Loop thread only."""

    def enter(self) -> Expected:
        """Announce a message on the way (MAIL); batches wait for it, at most about a millisecond."""

    async def submit(
        self,
        fn: Callable[[Rows], T],
        *,
        blobs: Sequence[str] = (),
        expected: Expected | None = None,
        ready: Callable[[], None] | None = None,
    ) -> T:
        """
        Run *fn* in a shared transaction, return its result after COMMIT; raise as `Engine.write` does.

        *ready* runs once before the transaction, beside those of the other writes in it; if it raises, *fn* is not run.
        """

    def close(self) -> None:
        """Finish the commit under way, refuse the rest."""


class Migration(Protocol):
    """One appended schema step; never edited once released."""

    @property
    def name(self) -> str: ...

    @property
    def statements(self) -> Sequence[str]: ...


BUNDLE = b"CSBUNDL1"  # how a file that several blobs share begins


class Blobs(Protocol):
    """
    Ciphertext at rest, by random key. Every implementation passes tests/contracts/test_blobs.py.

    `put` returns when the octets are durable under their final name, but for the folder entry: `settle` makes the
    names of all finished puts durable, and the octets that a writer left to it. It is called before the COMMIT of the
    rows that name them.
    """

    def put(self, key: str, chunks: Iterable[bytes]) -> int:
        """Store the chunks under *key* and return how many octets; raise `StoreFull`/`StoreBroken`, leaving nothing."""

    def writer(self, key: str) -> BlobWriter:
        """Open *key* for streaming; it exists once `close` flushed or `settle` returned, and never after `abort`."""

    def settle(self, keys: Sequence[str]) -> None:
        """Make the names of these finished blobs durable, and their octets where `close` left that to be done."""

    def open(self, key: str, start: int = 0) -> Iterator[bytes]:
        """Yield the octets from *start* on in pieces; raise KeyError if there is no such blob."""

    def size(self, key: str) -> int:
        """Return the number of octets stored; raise KeyError if there is no such blob."""

    def delete(self, key: str) -> None:
        """Remove the blob; absent is fine."""

    def keys(self) -> Iterator[tuple[str, int]]:
        """Yield every (key, UTC milliseconds of its last change)."""


class BlobWriter(Protocol):
    """A blob being written by one thread at a time."""

    def write(self, octets: bytes) -> None: ...

    def close(self, *, flush: bool = True) -> int:
        """Make the octets durable, or leave that to `settle` unless *flush*, and return how many there are."""

    def abort(self) -> None:
        """
        Throw away what was written; safe to call twice and after a failure.

        Once `close` returned the blob stays; but octets that were not flushed until now can be settled no more.
        """


@dataclass(frozen=True, slots=True)
class Carried:
    """
    What a scanner may know of a mail besides its octets: no token of ours, no account, no id.

    `source` is the IP address and `ehlo` the name of the server that brought it, both empty for what our own people
    send; of a visitor's letter `source` is where the visitor is. `user` is the address of who signed in, empty for
    strangers, visitors among them.
    """

    reverse_path: str = ""
    recipients: tuple[str, ...] = ()
    source: str = ""
    ehlo: str = ""
    user: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """
    What a scanner says about a mail that is not simply in order. `name` is printable ASCII, at most 100 characters.

    virus and spam are refused, doubtful is taken and kept apart where that is possible, later is asked for again.
    """

    kind: Literal["virus", "spam", "doubtful", "later"]
    name: str


class Scanner(Protocol):
    """Somebody who looks at mail for us, outside our processes. Safe for many threads."""

    @property
    def name(self) -> str:
        """Return a word for logs and the audit trail."""

    def begin(self, carried: Carried) -> Scan:
        """Start to look at a mail. Cheap: nothing is connected before the first octets."""

    def ping(self) -> None:
        """Raise ScannerGone if it would not look at mail now."""

    def takes(self, octets: int) -> bool:
        """Say whether it takes mail as large as this; raise ScannerGone if it does not answer."""

    def cut(self) -> None:
        """End all that it looks at now: whoever waits for it gets ScannerGone, and so does who asks after that."""


class Scan(Protocol):
    """
    One mail before one scanner. Every method may block, and is called by one thread at a time.

    `feed` and `verdict` raise ScannerGone whenever there is no clear answer: never is silence taken for a yes.
    `feed` may raise Refusal, too, where the scanner takes no mail like this.
    """

    def feed(self, octets: bytes) -> None:
        """Hand over the next octets."""

    def verdict(self) -> Finding | None:
        """Say that this was all, and return what was found; None for a mail in order."""

    def close(self) -> None:
        """Let go of everything; safe at any time, also twice."""

"""An engine that fails at a chosen commit: before it, so that nothing is kept, or after it, so that only we know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from cryptnsend.core.contracts import Migration, Row, Rows
from cryptnsend.store.sqlite import SqliteEngine

T = TypeVar("T")


class Crash(Exception):
    """The process would be dead now."""


class FaultyEngine:
    """
    Counts commits once it is armed, and runs *fail* at the chosen one.

    By default that raises, so that the request gets no useful answer; a process of its own can end itself instead.
    """

    def __init__(self, inner: SqliteEngine, fail: Callable[[], None] | None = None):
        self._inner, self._fail = inner, fail
        self._at, self._after, self.seen = 0, False, 0

    def arm(self, at: int, *, after: bool) -> None:
        """Fail at the *at*-th commit from now on; 0 only counts."""
        self._at, self._after, self.seen = at, after, 0

    def write(self, fn: Callable[[Rows], T], *, blobs: Sequence[str] = ()) -> Future[T]:
        self.seen += 1
        if self.seen != self._at:
            return self._inner.write(fn, blobs=blobs)
        if self._after:
            self._inner.write(fn, blobs=blobs).result()
        if self._fail is not None:
            self._fail()
        raise Crash

    def query(self, sql: str, **values: Any) -> list[Row]:
        return self._inner.query(sql, **values)

    def migrate(self, steps: Sequence[Migration]) -> None:
        self._inner.migrate(steps)

    def close(self) -> None:
        self._inner.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

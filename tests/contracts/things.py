"""What the tests of engines write and read."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

from cryptnsend.core.contracts import Engine, Rows


class Oops(Exception):
    """What a write raises that is to be undone."""


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

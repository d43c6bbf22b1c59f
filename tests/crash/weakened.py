"""A role with a flaw, to show that the harness sees it: python -m tests.crash.weakened FLAW serve ROLE ...

No setting of the product makes any of these. They are patched into the process that is started here, and nowhere else.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from cryptnsend.__main__ import main
from cryptnsend.store.batch import Batcher
from cryptnsend.store.files import FileBlobs

LATE = 0.1  # seconds by which the commit comes after the 250


def acknowledge_first() -> None:
    """Say 250 when the rows are written but not committed."""
    private = vars(Batcher)
    hand_over, commit = private["_hand_over"], private["_commit"]

    def hasty(batcher: Batcher, job: Callable[[], None], batch: Sequence[Any]) -> None:
        for item in batch:
            if item.result is not None and not item.promise.done():
                item.resolve()
        hand_over(batcher, job, batch)

    def late(batcher: Batcher, batch: list[Any], blobs: list[str]) -> None:
        threading.Event().wait(LATE)
        commit(batcher, batch, blobs)

    setattr(Batcher, "_hand_over", hasty)  # noqa: B010 - mypy knows no such thing
    setattr(Batcher, "_commit", late)  # noqa: B010


def synchronous_normal() -> None:
    """Commit without a flush, as SQLite's documentation recommends for speed."""

    class Lax(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            return super().execute("PRAGMA synchronous=NORMAL" if sql == "PRAGMA synchronous=FULL" else sql, *values)

    vars(sqlite3)["connect"] = partial(sqlite3.connect, factory=Lax)


def folder_unflushed() -> None:
    """Flush the file of a body, but not the folder that has its name."""

    def careless(blobs: FileBlobs, keys: Sequence[str]) -> None:
        unflushed: dict[str, int] = vars(blobs)["_unflushed"]
        for fd in [unflushed.pop(key) for key in keys if key in unflushed]:
            os.fsync(fd)
            os.close(fd)
        held: dict[str, list[bytes]] = vars(blobs)["_held"]
        blobs._bundle({key: held.pop(key) for key in keys if key in held})
        unsettled: set[str] = vars(blobs)["_unsettled"]
        unsettled.difference_update(keys)

    setattr(FileBlobs, "settle", careless)  # noqa: B010


FLAWS = {each.__name__.replace("_", "-"): each for each in (acknowledge_first, synchronous_normal, folder_unflushed)}

if __name__ == "__main__":
    FLAWS[sys.argv.pop(1)]()
    main()

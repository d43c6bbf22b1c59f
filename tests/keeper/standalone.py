"""A keeper as a process of its own, in the folder it is given; prints "ready"."""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path

import structlog

from cryptnsend.core.passwords import Argon
from cryptnsend.keeper.context import Settings
from cryptnsend.keeper.providers import FileProvider, make_master_key
from cryptnsend.keeper.server import serve
from cryptnsend.store.sqlite import SqliteEngine


class MachineClock:
    """The clock of the machine."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()


def main() -> None:
    folder = Path(sys.argv[1])
    make_master_key(folder / "master.key", os.urandom)
    engine = SqliteEngine(folder / "ledger.db")
    serve(
        engine,
        FileProvider(folder / "master.key", os.urandom),
        folder,
        MachineClock(),
        os.urandom,
        Settings(journal=folder / "journal.log", argon=Argon(64, 1, 1)),
        structlog.wrap_logger(logging.getLogger("keeper")),
        lambda: print("ready", flush=True),
    )
    engine.close()


if __name__ == "__main__":
    main()

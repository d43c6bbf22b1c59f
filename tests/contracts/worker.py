"""What the contract suites do in another process: worker.py STORE TASK ARGUMENTS..., STORE being JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from cryptnsend.core.contracts import Engine, Rows
from cryptnsend.store.schema import Step
from cryptnsend.store.sqlite import SqliteEngine

STEPS = [
    Step("0001-things", ("CREATE TABLE things(id INTEGER PRIMARY KEY, what TEXT NOT NULL UNIQUE) STRICT",)),
    Step(
        "0002-parts",
        (
            "CREATE TABLE parts(id INTEGER PRIMARY KEY, thing INTEGER NOT NULL REFERENCES things, n INTEGER) STRICT",
            "INSERT INTO things VALUES (0, 'none')",
        ),
    ),
]


def opened(store: dict[str, str]) -> Engine:
    return SqliteEngine(Path(store["sqlite"]), patience=60)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def count(engine: Engine, times: int) -> None:
    """Raise a counter that other processes raise too."""

    def raise_it(rows: Rows) -> int:
        n: int = rows.query("SELECT n FROM parts WHERE id = 1")[0]["n"]
        return rows.execute("UPDATE parts SET n = :n WHERE id = 1", {"n": n + 1})

    for future in [engine.write(raise_it) for _ in range(times)]:
        future.result()


def pour(engine: Engine, start: int) -> None:
    """Write pairs of rows until killed, several at a time, and say each pair once it is acknowledged."""
    while True:
        futures = []
        for number in range(start, start + 5):

            def pair(rows: Rows, number: int = number) -> None:
                rows.execute("INSERT INTO things VALUES (?, ?)", (number, f"thing {number}"))
                rows.execute("INSERT INTO parts VALUES (?, ?, 1)", (number, number))

            futures.append((number, engine.write(pair)))
        for number, future in futures:
            future.result()
            say(str(number))
        start += 5


def block(store: dict[str, str], how: str) -> None:
    """Hold the right to write until killed or told to end."""
    if how == "ours":
        from cryptnsend.store.lock import Turnstile

        turnstile = Turnstile(Path(store["sqlite"]))
        assert turnstile.acquire(10)
    else:
        import sqlite3

        stranger = sqlite3.connect(store["sqlite"], isolation_level=None)
        stranger.execute("BEGIN IMMEDIATE")
    say("blocking")
    sys.stdin.read()


def main() -> None:
    store, task, *arguments = sys.argv[1:]
    where = json.loads(store)
    if task.startswith("block-"):
        block(where, task.removeprefix("block-"))
    elif task == "migrate":
        say("ready")
        sys.stdin.readline()
        engine = opened(where)
        engine.migrate(STEPS)
        engine.close()
    elif task == "count":
        engine = opened(where)
        count(engine, int(arguments[0]))
        engine.close()
    elif task == "pour":
        pour(opened(where), int(arguments[0]))


if __name__ == "__main__":
    main()

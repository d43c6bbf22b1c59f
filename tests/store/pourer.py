"""Keeps putting messages into a store and says what became of each: pourer.py FOLDER COUNT SYNCHRONOUS.

Lines are "<number> ok" once a message is acknowledged, or "<number> <error>". Each rests partly in a blob.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cryptnsend.core.errors import StoreBroken
from cryptnsend.store import connection
from cryptnsend.store.files import FileBlobs
from cryptnsend.store.schema import STEPS
from cryptnsend.store.sqlite import SqliteEngine
from cryptnsend.store.vault import Vault
from store.conftest import a_message, people


def octets(number: int) -> bytes:
    """Return the sealed octets of a message; every other one is large enough for a blob."""
    return f"{number:08d}".encode() * (5_000 if number % 2 else 500)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    if sys.argv[3] == "NORMAL":  # the control: what less durable settings would do
        safe = connection.connect

        def unsafe(*args: object, **more: object) -> object:
            db = safe(*args, **more)  # type: ignore[arg-type]
            db.conn.execute("PRAGMA synchronous=NORMAL")
            return db

        connection.connect = unsafe  # type: ignore[assignment]
    blobs = FileBlobs(folder / "blobs")
    engine = SqliteEngine(folder / "main.db", settle=blobs.settle)
    engine.migrate(STEPS)
    if not engine.query("SELECT id FROM accounts"):
        engine.write(people).result()
    engine.checkpoint()
    vault = Vault(blobs, os.urandom, folder / "hold")
    say("ready")
    for number in range(1, count + 1):
        try:
            stored = vault.put([octets(number)])
            named = [stored.blob_key] if stored.blob_key else []
            engine.write(a_message(number, stored, None), blobs=named).result()
        except StoreBroken as error:
            say(f"{number} {error.code}")
        else:
            say(f"{number} ok")
    say("done")
    sys.stdin.read()


if __name__ == "__main__":
    main()

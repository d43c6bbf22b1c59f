"""A small store with the real schema, and a message to put into it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from cryptnsend.core.contracts import Rows
from cryptnsend.store.files import FileBlobs
from cryptnsend.store.schema import STEPS
from cryptnsend.store.sqlite import SqliteEngine
from cryptnsend.store.vault import Stored, Vault

ORG, ANN, PAT = 7, 70, 71


class House(NamedTuple):
    """Rows, blobs and the vault over both."""

    folder: Path
    engine: SqliteEngine
    blobs: FileBlobs
    vault: Vault

    def add(self, message: int, stored: Stored, *, ends: int | None = None) -> None:
        """Write a message with one recipient's grant, as an admission would; raises what the commit raises."""
        blobs = [stored.blob_key] if stored.blob_key else []
        self.engine.write(a_message(message, stored, ends), blobs=blobs).result(30)


def people(rows: Rows) -> None:
    """Insert an organisation with a subscriber, and a recipient who belongs to nobody."""
    rows.execute("INSERT INTO organisations VALUES (?, 'Ruiz Dental', 1, '{}', 1)", (ORG,))
    for account, org in ((ANN, ORG), (PAT, 0)):
        rows.execute("INSERT INTO accounts VALUES (?, ?, 'subscriber', 'active', 1, 'A', '', 'en', 1)", (account, org))
        rows.execute("INSERT INTO addresses VALUES (?, ?, ?, '', ?)", (account, org, f"{account}@example.net", account))
    rows.execute("INSERT INTO threads VALUES (1, ?, ?, 'managed')", (ORG, ANN))
    rows.execute("INSERT INTO pairs VALUES (1, 0, ?, 'account', 'managed', 1, x'00', 'current')", (f"account:{PAT}",))
    rows.execute("INSERT INTO epochs VALUES (1, 0, 1, 1, 'account:71', 'account:71', x'00')")


def a_message(message: int, stored: Stored, ends: int | None) -> Callable[[Rows], None]:
    def write(rows: Rows) -> None:
        rows.execute(
            "INSERT INTO messages VALUES (?, ?, 1, ?, ?, '<x@a.example>', NULL, 'smtp', 1, 'sealed', x'', NULL, 1, ?)",
            (message, ORG, ANN, ANN, ends),
        )
        rows.execute("INSERT INTO contents VALUES (?, ?, 'raw', 1, 1, ?, ?)", (ORG, message, *stored))
        rows.execute(
            "INSERT INTO grants VALUES (?, ?, ?, ?, 'recipient', '', 'managed', 1, x'00', 'active', ?)",
            (message, ORG, message, f"account:{PAT}", ends),
        )

    return write


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    blobs = FileBlobs(tmp_path / "blobs")
    engine = SqliteEngine(tmp_path / "main.db", settle=blobs.settle)
    engine.migrate(STEPS)
    engine.write(people).result(30)
    yield House(tmp_path, engine, blobs, Vault(blobs, os.urandom, tmp_path / "hold"))
    engine.close()
    blobs.close()

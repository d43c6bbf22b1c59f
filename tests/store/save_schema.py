"""Save a database of the first N steps, with a few rows, for the upgrade test: python tests/store/save_schema.py N.

To be run once for each step that is appended. A saved file of a released schema is never written again.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from pathlib import Path

from cryptnsend.store.schema import STEPS
from cryptnsend.store.sqlite import SqliteEngine

SCHEMAS = Path(__file__).with_name("schemas")


def dump(path: Path) -> str:
    """Return a database as SQL text."""
    conn = sqlite3.connect(path)
    try:
        return "\n".join(conn.iterdump()) + "\n"
    finally:
        conn.close()


def main() -> None:
    from conftest import a_message, people

    from cryptnsend.store.records import audit
    from cryptnsend.store.vault import Stored

    with tempfile.TemporaryDirectory() as folder:
        engine = SqliteEngine(Path(folder) / "main.db")
        engine.migrate(STEPS[: int(sys.argv[1])])
        engine.write(people).result()
        engine.write(a_message(1, Stored(b"sealed", None), 1000)).result()
        engine.write(a_message(2, Stored(None, "f0" * 20), None)).result()
        engine.write(lambda rows: audit.append(rows, 7, 1, "account:70", "message.sealed", "1", {"size": 1})).result()
        engine.close()
        SCHEMAS.mkdir(exist_ok=True)
        (SCHEMAS / f"v{int(sys.argv[1])}.sql").write_text(dump(Path(folder) / "main.db"), "utf-8")


if __name__ == "__main__":
    main()

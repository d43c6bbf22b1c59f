"""How does an audit trail leave as a file? One entry a line, with what is needed to check the chain elsewhere."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

from cryptnsend.core.answers import for_scripts
from cryptnsend.core.contracts import Engine
from cryptnsend.store.records import audit

FIELDS = ("organisation", "seq", "at", "actor", "action", "object", "stored", "hash")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # with what a spreadsheet begins to calculate


def exported(engine: Engine, organisations: Iterable[int], after: int, form: str) -> Iterator[str]:
    """
    Yield the entries behind *after* of these chains as lines without their ends: JSON, or with *form* csv a table.

    Ids are text; `stored` is the text of `detail` that went into the hash. In a table, a cell that a spreadsheet would
    calculate begins with an apostrophe.
    """
    return (_csv if form == "csv" else _json)(_entries(engine, organisations, after))


def _entries(engine: Engine, organisations: Iterable[int], after: int) -> Iterator[dict[str, Any]]:
    for org in organisations:
        for row in audit.entries(engine, org, after):
            entry = {"organisation": org, **row, "detail": json.loads(row["detail"]), "stored": row["detail"]}
            yield for_scripts(entry | {"hash": row["hash"].hex()})


def _json(entries: Iterable[dict[str, Any]]) -> Iterator[str]:
    for entry in entries:
        yield json.dumps(entry, ensure_ascii=False)


def _csv(entries: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield ",".join(FIELDS)
    for entry in entries:
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow([_cell(entry[name]) for name in FIELDS])
        yield line.getvalue()


def _cell(value: object) -> str:
    text = str(value)
    return f"'{text}" if text.startswith(FORMULA) else text

"""Rules for all statements at once: they live in `records`, fit the schema, are portable, and find rows by index."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import cryptnsend
from cryptnsend.store.schema import STEPS
from cryptnsend.store.sqlite import SqliteEngine

HOUSE = Path(cryptnsend.__file__).parent
RECORDS = HOUSE / "store" / "records"
SQL = re.compile(r"\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE|ALTER|DROP|PRAGMA|WITH)\s")
# Where else statements may stand: schemas, the engine itself, and the keeper's own database.
ELSEWHERE = {
    "store/schema/api.py",
    "store/schema/first.py",
    "store/schema/files.py",
    "store/schema/holds.py",
    "store/schema/journals.py",
    "store/schema/later.py",
    "store/schema/organisations.py",
    "store/schema/ownkeys.py",
    "store/schema/uploads.py",
    "store/schema/visitors.py",
    "store/schema/wishes.py",
    "store/connection.py",
    "store/sqlite.py",
    "store/backup.py",
    "keeper/schema.py",
    "keeper/ledger.py",
    "keeper/proofs.py",
    "keeper/glass_rows.py",
    "keeper/api_tokens.py",
    "keeper/hook_rows.py",
    "keeper/passkey_rows.py",
    "store/schema/archive.py",
}
# What PostgreSQL would not understand, or would understand otherwise.
UNPORTABLE = re.compile(
    r"\bOR (IGNORE|REPLACE|ABORT)\b|\bREPLACE INTO\b|\bIFNULL\b|\browid\b|\bGLOB\b|\bstrftime\b|\bdatetime\("
    r"|\bzeroblob\b|\bjulianday\b|\blast_insert_rowid\b|\bgroup_concat\b|\bjson_\w+\(|\"|`|\[|\bIS NOT :|\bIS :|==",
    re.IGNORECASE,
)
# Walks over a whole table on purpose: by hand, once in a long while, or over a table that stays small.
WALKS = {
    ("upkeep", "blobs_in_use"),
    ("upkeep", "count_parts"),
    ("upkeep", "organisations"),
    ("upkeep", "forget_stale"),
    ("upkeep", "stale_links"),
    ("accounts", "subscribers"),
    ("deliveries", "listing"),
    ("operator", "messages"),
    ("operator", "reports"),
    ("operator", "unconfirmed_archives"),
    ("recall", "find"),
}
# fmt: off
GROWING = [
    "messages", "contents", "grants", "recipients", "deliveries", "links", "contacts", "addresses", "audit", "epochs",
    "threads",
]
# fmt: on


class Statement(NamedTuple):
    module: str
    function: str
    sql: str


def texts(tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield (function, node) of each text that looks like SQL; docstrings are not texts."""
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for outer in ast.iter_child_nodes(tree):
        name = getattr(outer, "name", "")
        inner: set[int] = set()
        for node in ast.walk(outer):
            if isinstance(node, ast.JoinedStr):
                inner.update(id(value) for value in node.values)
                first = node.values[0] if node.values else None
                if isinstance(first, ast.Constant) and SQL.match(str(first.value)):
                    yield name, node
            elif (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and id(node) not in docs | inner
                and SQL.match(node.value)
            ):
                yield name, node


def statements() -> list[Statement]:
    """Return every statement of `records` that is written out in full."""
    return [
        Statement(path.stem, function, node.value)
        for path in sorted(RECORDS.glob("*.py"))
        for function, node in texts(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def named(statement: Statement) -> str:
    return f"{statement.module}.{statement.function}"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteEngine]:
    made = SqliteEngine(tmp_path_factory.mktemp("schema") / "main.db")
    made.migrate(STEPS)
    yield made
    made.close()


def plan(engine: SqliteEngine, sql: str) -> list[str]:
    """Return the steps that SQLite would take; raises if the statement does not fit the schema."""
    marks = set(re.findall(r":(\w+)", sql))
    values: dict[str, object] | list[object] = dict.fromkeys(marks, 1) if marks else [1] * sql.count("?")

    def explain(rows):  # type: ignore[no-untyped-def]
        return [row["detail"] for row in rows.query("EXPLAIN QUERY PLAN " + sql, values)]

    found: list[str] = engine.write(explain).result(30)
    return found


def test_statements_are_found() -> None:
    assert len(statements()) > 50


def test_statements_live_in_records_and_nowhere_else() -> None:
    strays = [
        f"{path.relative_to(HOUSE)}:{node.lineno}"
        for path in sorted(HOUSE.rglob("*.py"))
        if RECORDS not in path.parents and str(path.relative_to(HOUSE)) not in ELSEWHERE
        for _, node in texts(ast.parse(path.read_text("utf-8")))
        if re.search(r"\b(FROM|INTO|SET|TABLE|INDEX)\b", ast.unparse(node))
    ]
    assert strays == []


REPLACES = re.compile(r"\bREPLACE\s+INTO\b|\b(INSERT|UPDATE)\s+OR\s+REPLACE\b|\bCONFLICT\s+REPLACE\b", re.IGNORECASE)


@pytest.mark.parametrize(
    "sql", ["INSERT OR REPLACE INTO grants", "replace into grants", "update or replace g", "UNIQUE ON CONFLICT REPLACE"]
)
def test_statements_that_replace_are_found(sql: str) -> None:
    assert REPLACES.search(sql)


def test_nothing_replaces_rows_behind_the_triggers_that_keep_the_archive() -> None:
    """SQLite fires no DELETE trigger for a row that REPLACE takes away, unless recursive triggers are on."""
    sources = [path for folder in ("store", "keeper") for path in sorted((HOUSE / folder).rglob("*.py"))]
    assert len(sources) > 50
    assert [str(path.relative_to(HOUSE)) for path in sources if REPLACES.search(path.read_text("utf-8"))] == []


@pytest.mark.parametrize("statement", statements(), ids=named)
def test_each_statement_fits_the_schema(engine: SqliteEngine, statement: Statement) -> None:
    assert plan(engine, statement.sql) is not None


@pytest.mark.parametrize("statement", statements(), ids=named)
def test_each_statement_is_portable(statement: Statement) -> None:
    assert UNPORTABLE.search(statement.sql) is None
    assert not (re.search(r":\w", statement.sql) and "?" in statement.sql)


@pytest.mark.parametrize("statement", statements(), ids=named)
def test_no_statement_walks_over_a_table_that_grows(engine: SqliteEngine, statement: Statement) -> None:
    """Lists and opens stay flat from a thousand to a million messages."""
    if (statement.module, statement.function) in WALKS:
        return
    if statement.sql.startswith("INSERT") and "SELECT" not in statement.sql:
        return  # its plan has scans for references that are only made once a reference is broken
    aliases = dict(re.findall(r"\b(?:FROM|JOIN)\s+(\w+)\s+(?:AS\s+)?([a-z]\w*)\b", statement.sql))
    names = {name for table in GROWING for name in (table, aliases.get(table)) if name}
    walks = [step for step in plan(engine, statement.sql) if re.match(rf"SCAN ({'|'.join(names)})\b", step)]
    assert walks == []

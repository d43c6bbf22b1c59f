"""The house: imports point one way, the core does no I/O, and each library and each kind of code has its room."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "cryptnsend"

# Who stands above whom; a room may import from rooms below it, never from its own level or above.
LEVELS = [
    {"__main__"},
    {"cli"},
    {"demo"},
    {"app", "supervisor", "lending", "monitoring", "reader"},
    {"mailbox"},  # borrows from the SMTP doors how a door is opened
    {"submission", "portal"},
    {"flow"},
    {"store", "delivery", "scan", "dlp", "pdf", "ownkeys", "keeper"},
    {"rights", "making", "typist", "confined"},
    {"home", "hardening", "logs", "metrics", "clock", "languages"},
    {"config"},
    {"settings_doors", "settings_post"},
    {"settings"},
    {"core"},
]
LEVEL = {room: number for number, rooms in enumerate(LEVELS) for room in rooms}

# What the core must not touch: the machine, the clock, chance.
IMPURE = {
    "asyncio", "fcntl", "glob", "http", "logging", "multiprocessing", "os", "pathlib", "random", "secrets", "select",
    "selectors", "shutil", "signal", "smtplib", "socket", "sqlite3", "ssl", "structlog", "subprocess", "sys",
    "tempfile", "time", "urllib.request",
}  # fmt: skip
IMPURE_CALLS = {"open", "print", "input", "now", "utcnow", "today", "urandom"}

# Libraries that only their room may know.
ROOMS_OF = {
    "aiosmtpd": {"submission", "demo"},
    "asyncio": {"submission", "mailbox", "demo", "portal"},  # of the portal, `front` alone: the linter's contract
    "dkim": {"delivery", "demo"},
    "dns": {"delivery", "demo"},
    "flask": {"portal", "demo"},
    "pikepdf": {"pdf"},
    "pypdfium2": {"dlp"},
    "pysequoia": {"ownkeys"},
    "re2": {"core"},
    "granian": {"cli", "app", "portal"},
    "smtplib": {"delivery", "demo", "cli"},
    "sqlite3": {"store", "keeper"},
    "sqlite_utils": {"store", "keeper"},
    "weasyprint": {"pdf"},
    "werkzeug": {"portal", "demo"},
}


@functools.cache
def modules() -> list[tuple[Path, str, ast.Module]]:
    """Return (file, room, syntax tree) of every module in the package."""
    places = {file: file.relative_to(PACKAGE).parts[0].removesuffix(".py") for file in sorted(PACKAGE.rglob("*.py"))}
    return [(file, room, ast.parse(file.read_text())) for file, room in places.items() if room != "__init__"]


def imports(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield (dotted name, line) of everything that a module imports, wherever the statement stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def test_imports_point_one_way():
    wrong = []
    for file, room, tree in modules():
        assert room in LEVEL, f"{file}: which level does this room have?"
        for name, line in imports(tree):
            parts = name.split(".")
            if parts[0] != "cryptnsend" or parts[1] in (room, "__version__"):
                continue
            if LEVEL.get(parts[1], -1) <= LEVEL[room]:
                wrong.append(f"{file.relative_to(ROOT)}:{line} imports {name}")
    assert not wrong


def test_the_contracts_of_the_linter_hold():
    """The same rule, and where asyncio may be, as import-linter sees it over indirect imports."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_core_is_pure():
    wrong = []
    for file, room, tree in modules():
        if room != "core":
            continue
        for name, line in imports(tree):
            roots = {name.rpartition(".")[0], name, name.split(".")[0]}
            if roots & IMPURE:
                wrong.append(f"{file.relative_to(ROOT)}:{line} imports {name}")
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                called = node.func.id if isinstance(node.func, ast.Name) else ""
                if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
                    called = node.func.attr if node.func.value.id in ("datetime", "date", "os", "io") else ""
                if called in IMPURE_CALLS:
                    wrong.append(f"{file.relative_to(ROOT)}:{node.lineno} calls {called}")
    assert not wrong


@pytest.mark.parametrize("library", ROOMS_OF)
def test_a_library_is_known_in_its_room_only(library):
    wrong = [
        f"{file.relative_to(ROOT)}:{line} imports {name}"
        for file, room, tree in modules()
        for name, line in imports(tree)
        if name.split(".")[0] == library and room not in ROOMS_OF[library]
    ]
    assert not wrong


STATEMENT = re.compile(
    r"\s*(SELECT\s.+\sFROM|INSERT\s+(OR\s+\w+\s+)?INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|CREATE\s+(TABLE|INDEX))\s", re.S
)


def test_sql_is_written_in_records_and_schemas_only():
    wrong = []
    for file, room, tree in modules():
        place = file.relative_to(PACKAGE)
        if room == "keeper" or place.parts[:2] == ("store", "records") or place.parts[:2] == ("store", "schema"):
            continue
        for node in ast.walk(tree):
            text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
            if STATEMENT.match(text) and "sqlite_master" not in text:  # that one asks the engine about itself
                wrong.append(f"{file.relative_to(ROOT)}:{node.lineno} {node.value.strip()[:60]}")
    assert not wrong


@pytest.mark.parametrize("name", ["utils", "util", "helpers", "common", "base", "manager", "misc"])
def test_no_module_has_a_name_that_says_nothing(name):
    assert not [file for file, _, _ in modules() if file.stem == name or file.parent.name == name]


def test_every_module_says_which_question_it_answers():
    assert not [str(file.relative_to(ROOT)) for file, _, tree in modules() if not ast.get_docstring(tree)]

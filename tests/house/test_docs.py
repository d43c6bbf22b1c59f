"""Documentation that cannot rot: every setting and command is in it, and everything in examples/ runs somewhere."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import click
import pytest

from cryptnsend.__main__ import main
from cryptnsend.config import Config
from docs import reference

ROOT = Path(__file__).resolve().parents[2]
CONTEXTS = {context.command_path: context for context in reference.walk(main, ("cryptnsend",))}


def test_generated_pages_are_fresh():
    for page, text in reference.pages().items():
        assert page.read_text() == text, f"{page} is stale: run `make docs`"


def test_every_setting_is_documented():
    text = (ROOT / "docs" / "configuration.md").read_text()
    for row in Config.describe():
        section = text.partition(f"### [{row.section}]")[2].partition("\n### ")[0]
        assert f"| `{row.key}` | `{row.default}` |" in section, row


def test_every_setting_is_used():
    """A setting that nothing reads is a promise that nobody keeps."""
    used = set()
    for file in (ROOT / "cryptnsend").rglob("*.py"):
        if file.name not in ("settings.py", "config.py"):
            used |= {node.attr for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Attribute)}
    config = ast.parse((ROOT / "cryptnsend" / "config.py").read_text())
    settled = {node.attr for node in ast.walk(config) if isinstance(node, ast.Attribute)}
    unused = [f"[{row.section}] {row.key}" for row in Config.describe() if row.key not in used | (settled & {"home"})]
    assert not unused


@pytest.mark.parametrize("path", CONTEXTS)
def test_every_command_and_option_says_what_it_does(path):
    command = CONTEXTS[path].command
    assert command.help, path
    assert f"## {path}\n" in (ROOT / "docs" / "commands.md").read_text()
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert parameter.help, f"{path} {parameter.opts}"


@pytest.mark.parametrize("path", CONTEXTS)
def test_no_command_takes_a_secret_as_an_argument(path):
    for parameter in CONTEXTS[path].command.params:
        takes_text = not (isinstance(parameter, click.Option) and parameter.is_flag)
        assert not (takes_text and any(word in (parameter.name or "") for word in ("password", "passphrase", "secret")))


def test_every_example_is_run_by_a_test():
    """A test under tests/examples/ names each file of examples/ that it runs."""
    named: set[str] = set()
    for file in (ROOT / "tests" / "examples").glob("test_*.py"):
        strings = (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Constant))
        named |= {str(node.value) for node in strings}
    examples = [file for file in (ROOT / "examples").rglob("*") if file.is_file() and file.suffix != ".pyc"]
    missing = [str(file.relative_to(ROOT)) for file in examples if file.name not in named and file.name != "README.md"]
    assert not missing


@pytest.mark.parametrize("chore", ["demo", "test", "test-long", "torture", "lint", "bench", "clean"])
def test_the_makefile_has_every_chore(chore):
    assert f"\n{chore}:" in (ROOT / "Makefile").read_text()


OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
TYPED = sorted(set(re.findall(r"(?m)^\$ (?:\S*/)?cryptnsend ((?:[a-z]+ ?)+)", OPERATIONS)))
NAMED = sorted(set(re.findall(r"`([a-z]+/test_[a-z0-9_]+\.py(?:::test_[a-z0-9_]+)?)`", OPERATIONS)))


@pytest.mark.parametrize("named", NAMED)
def test_every_test_that_the_operator_is_told_of_exists(named):
    file, _, test = named.partition("::")
    assert (f"def {test}(" if test else "def test_") in (ROOT / "tests" / file).read_text()


@pytest.mark.parametrize("typed", TYPED)
def test_every_command_that_the_operator_is_told_to_type_exists(typed):
    words = typed.split()
    assert any(" ".join(["cryptnsend", *words[:count]]) in CONTEXTS for count in (1, 2))


def test_what_the_operator_is_told_is_looked_after():
    assert len(NAMED) > 25
    assert {"backup", "restore", "recover installation"} <= {each.strip() for each in TYPED}
    for word in re.findall(r"`((?:keys|dkim|role|queue|device|vault|audit|subscriber) [a-z-]+)", OPERATIONS):
        assert f"cryptnsend {word}" in CONTEXTS, word

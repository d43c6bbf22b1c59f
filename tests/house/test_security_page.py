"""docs/security.md names tests that exist, every safeguard of 45 CFR 164.312, and each chapter of the ASVS."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`([a-z_]+/test_[a-z0-9_]+\.py::test_[a-z0-9_]+)`", PAGE)))
ROWS = re.findall(r"^\| ([0-9.–]+) \| (\w+) \| (.*) \|$", PAGE, re.MULTILINE)
SAFEGUARDS = (
    "(a)(1)", "(a)(2)(i)", "(a)(2)(ii)", "(a)(2)(iii)", "(a)(2)(iv)", "(b)", "(c)(1)", "(c)(2)", "(d)", "(e)(1)",
    "(e)(2)(i)", "(e)(2)(ii)",
)  # fmt: skip


@functools.cache
def named_in(file: str) -> frozenset[str]:
    return frozenset(re.findall(r"^(?:async )?def (test_\w+)", (ROOT / "tests" / file).read_text("utf-8"), re.M))


@pytest.mark.parametrize("named", NAMED)
def test_every_test_that_is_named_exists(named: str) -> None:
    file, _, name = named.partition("::")
    assert name in named_in(file)


def test_nothing_that_looks_like_a_test_escapes_that_check() -> None:
    assert set(re.findall(r"`([^`\s]*::[^`]*)`", PAGE)) - {"folder/file.py::test"} == set(NAMED)
    assert len(NAMED) > 100


@pytest.mark.parametrize("safeguard", SAFEGUARDS)
def test_every_technical_safeguard_has_something_that_does_it_and_a_test(safeguard: str) -> None:
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| {safeguard} ")]
    assert row.count("|") == 4
    assert "::" in row.split("|")[3]


def test_each_requirement_has_one_answer_and_a_test_or_a_reason() -> None:
    idents = [ident for ident, _, _ in ROWS]
    assert len(idents) == len(set(idents)) > 190
    assert {int(ident.partition(".")[0]) for ident in idents} == set(range(1, 18))
    assert {answer for _, answer, _ in ROWS} == {"yes", "none", "open"}
    assert all(len(reason) > 3 for _, _, reason in ROWS)

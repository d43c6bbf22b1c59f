"""The benchmark of memory still runs: what went up comes down the same, and who sits idle lets others through."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.benchmarks.programs import REPOSITORY

PARTS = {
    "submissions": (("--size", "2000000", "--count", "4"), "4 rows for 4 yeses"),
    "file": (
        (
            "--size",
            "60000000",
        ),
        "the same octets",
    ),
    "idle": (("--count", "5"), "1 message taken meanwhile"),
}


@pytest.mark.long
@pytest.mark.parametrize("part", PARTS)
def test_a_little_of_each_part_is_measured(part: str) -> None:
    asked, said = PARTS[part]
    command = [sys.executable, str(REPOSITORY / "benchmarks/memory.py"), "--part", part, *asked]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert said in done.stdout

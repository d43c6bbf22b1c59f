"""The benchmark of pages still runs, and older messages that are copies do not stand in the way of real ones."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.benchmarks.programs import REPOSITORY


@pytest.mark.long
def test_pages_are_looked_at_beside_copies_of_older_messages() -> None:
    command = [sys.executable, str(REPOSITORY / "benchmarks/portal.py")]
    command += ["--size", "60", "--size", "600", "--real", "60", "--rounds", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"^\| ([\w ]+) \| (\d+) \| [\d.]+", done.stdout, re.M)
    assert {page for page, _ in rows} >= {"list of received", "an older page of it", "one message", "list of sent"}
    assert {size for _, size in rows} == {"60", "600"}

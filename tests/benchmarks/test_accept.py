"""The benchmark of accepting still runs, and opens what was stored to compare it with what was sent."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
LITTLE = ("--rounds", "1", "--scale", "0.02", "--people", "20", "--load", "4k-8", "--load", "4k-1", "--load", "1m-4")


def accept(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(REPOSITORY / "benchmarks" / "accept.py"), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.long
def test_a_little_of_every_kind_is_measured_beside_postfix_and_found_as_it_was_sent() -> None:
    done = accept(*LITTLE)
    if os.geteuid():
        assert (done.returncode, "Postfix runs as root only" in done.stderr) == (1, True), done.stderr
        return
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"^\| (\S+) \| [\d.]+ \(", done.stdout, re.M)
    assert rows == ["4k-8", "4k-1", "1m-4"], done.stdout
    ours = re.search(
        r"^Verified: (\d+) rows for \1 yeses; opened and compared: (.*); \d+ audit chains", done.stdout, re.M
    )
    assert ours, done.stdout
    assert int(ours[1]) > 100
    assert {"the author", "the archive"} <= set(re.findall(r"\d+ through ([\w ]+)", ours[2])), ours[2]

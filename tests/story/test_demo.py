"""The demonstration is the acceptance test: every step over real sockets, with passwords as expensive as in earnest."""

from __future__ import annotations

import re
import subprocess
import sys


def test_the_whole_story_plays_unattended():
    done = subprocess.run(
        [sys.executable, "-m", "cryptnsend", "demo", "--check"], capture_output=True, timeout=300, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    steps = re.findall(r"^ok +[\d.]+ s ", done.stdout, re.MULTILINE)
    assert len(steps) > 20
    assert "FAILED" not in done.stdout

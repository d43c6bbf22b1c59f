"""The benchmark of the mailbox still runs, and both servers give the same answers about the same mails."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.long
def test_a_small_mailbox_is_read_beside_dovecot_and_answers_are_the_same() -> None:
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "benchmarks" / "mailbox.py"), "--rounds", "1", "--size", "120"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if os.geteuid():
        assert (done.returncode, "Dovecot runs as root only" in done.stderr) == (1, True), done.stderr
        return
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"^\| 120 \| ([\w ,]+) \| [\d.]+ \(", done.stdout, re.M)
    assert {"FLAGS", "ENVELOPE, cold", "BODYSTRUCTURE, warm", "bodies", "first sync"} <= set(rows), done.stdout
    verified = re.search(r"^Verified: ([\d,]+) answers of ours say what Dovecot's say", done.stdout, re.M)
    assert verified, done.stdout
    assert int(verified[1].replace(",", "")) > 1_000

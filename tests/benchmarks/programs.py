"""How is a benchmark run in small, to see that it still runs?"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def result(beside: str, name: str, *arguments: str) -> str:
    """Return what a benchmark says that runs another program *beside*; "" where that takes root, and it says so."""
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "benchmarks" / f"{name}.py"), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if os.geteuid():
        assert (done.returncode, f"{beside} runs as root only" in done.stderr) == (1, True), done.stderr
        return ""
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

"""
Fuzz one target under atheris, which follows the branches that its inputs take.

    python -m tests.fuzz.run NAME [SECONDS]

The corpus lies in ~/.cache/cryptnsend/fuzz/NAME, or below CRYPTNSEND_CORPUS, and is smaller each time: what adds no
branch goes. An input that fails, takes ten seconds or a GiB is written into tests/vectors/fuzz/NAME, where `make test`
finds it, and this ends with an error.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import atheris

from tests.fuzz.table import FOUND, TARGETS, seeds, target

LONGEST = 20_000  # octets


def corpus(name: str) -> Path:
    """Return the folder in which the inputs of a target are kept, with its seeds in it."""
    home = Path(os.environ.get("CRYPTNSEND_CORPUS") or Path.home() / ".cache" / "cryptnsend" / "fuzz")
    folder = home / name
    folder.mkdir(parents=True, exist_ok=True)
    for number, octets in enumerate(seeds(name)):
        (folder / f"seed-{number:03d}").write_bytes(octets)
    return folder


def fuzz(name: str, seconds: int) -> None:
    """Run until the time is over or an input fails; does not return."""
    with atheris.instrument_imports(include=["cryptnsend"], enable_loader_override=False):
        run = target(name)
    folder, found = corpus(name), FOUND / name
    found.mkdir(parents=True, exist_ok=True)
    limits = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", "-timeout=10", "-rss_limit_mb=1024"]
    arguments = [
        sys.argv[0],
        str(folder),
        f"-artifact_prefix={found}/",
        "-print_final_stats=1",
        "-verbosity=0",
        *limits,
    ]
    atheris.Setup(arguments, run)
    atheris.Fuzz()


def every(seconds: int) -> int:
    """Fuzz all targets one after the other, each in a process of its own; return how many failed."""
    failed = []
    for name in TARGETS:
        print(f"== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", "tests.fuzz.run", name, str(seconds)], check=False).returncode:
            failed.append(name)
        if (FOUND / name).is_dir() and not any((FOUND / name).iterdir()):
            (FOUND / name).rmdir()
    print("Failed: " + ", ".join(failed) if failed else "No target failed.")
    return len(failed)


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] in TARGETS:
        fuzz(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 60)
    sys.exit(every(int(sys.argv[1]) if len(sys.argv) > 1 else 60) > 0)

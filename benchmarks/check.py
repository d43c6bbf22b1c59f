"""Did anything become slower? `make bench-check`: short runs, compared with the ratios that are kept here.

Each ratio is ours divided by that of Postfix or Dovecot in the same minutes, so that a slow minute slows both; that of
a page is its CPU with 50,000 messages in the mailbox, divided by that with 1,000. What is more than 30 % over what is
kept is measured again, up to three times, and its best look counts: other work on a machine makes ratios worse. Some
looks are lucky, too, as the peer's own cost moves; so what is kept is the median of three. Kept ratios are of one kind
of machine; on another kind, or after a change that is meant, `--keep` writes those that were found.

    python benchmarks/check.py              fails if a ratio became worse
    python benchmarks/check.py --keep       keeps the medians of three looks
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
KEPT = HERE / "kept.json"
WORSE, LOOKS = 1.3, 3
RUNS = {
    "accept": ("--rounds", "3", "--scale", "0.5", "--load", "4k-8", "--load", "4k-8-new", "--load", "100k-8"),
    "mailbox": ("--rounds", "3", "--size", "1000"),
    "deliver": ("--rounds", "3", "--messages", "300"),
    "portal": ("--rounds", "40", "--size", "1000", "--size", "50000"),
}  # fmt: skip


def look(program: str) -> dict[str, float]:
    """Run one benchmark and return its ratios by name; exit with what it said if it failed."""
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures.json"
        command = [sys.executable, str(HERE / f"{program}.py"), *RUNS[program], "--figures", str(figures)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{program}.py failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        return {name: each["ratio"] for name, each in json.loads(figures.read_text()).items()}


def typical(program: str) -> dict[str, float]:
    """Look `LOOKS` times and return the median of each ratio."""
    looks = [look(program) for _ in range(LOOKS)]
    return {name: round(statistics.median(each[name] for each in looks), 3) for name in looks[0]}


def worse(found: dict[str, float], kept: dict[str, float]) -> list[str]:
    """Return the names whose ratio is worse than what is kept, and those that are kept and were not found."""
    return [name for name, ratio in kept.items() if name not in found or found[name] > WORSE * ratio]


def compare(program: str, kept: dict[str, float]) -> list[str]:
    """Look up to `LOOKS` times, print a table, and return what to tell of ratios that became worse."""
    best = look(program)
    for _ in range(LOOKS - 1):
        if not worse(best, kept):
            break
        best = {name: min(ratio, best.get(name, ratio)) for name, ratio in look(program).items()}
    bad = worse(best, kept)
    for name, ratio in kept.items():
        mark = "  WORSE" if name in bad else ""
        print(f"  {program:8} {name:34} kept {ratio:6.2f}   now {best.get(name, float('nan')):6.2f}{mark}", flush=True)
    return [f"{program}: {name}" for name in bad]


def main() -> int:
    """Compare, or keep; 1 if something became worse."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", help="look three times and write the medians to kept.json")
    asked = parser.parse_args()
    if asked.keep:
        kept = {program: typical(program) for program in RUNS}
        KEPT.write_text(json.dumps(kept, indent=1) + "\n")
        print(f"Kept {sum(map(len, kept.values()))} ratios.")
        return 0
    kept = json.loads(KEPT.read_text())
    bad = [each for program in RUNS for each in compare(program, kept[program])]
    print(f"Became worse by more than 30 %: {'; '.join(bad)}" if bad else "No ratio became worse by more than 30 %.")
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())

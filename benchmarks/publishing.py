"""How does a result come into `benchmarks/README.md`? By `--publish`, which writes its table and its picture there.

Each result has a place in the README between two comments that name it; what stands between them is replaced, the words
around it are left alone. The picture, beside the README, is drawn from the same figures.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import picture
from generator import Failed
from measuring import conditions

HERE = Path(__file__).resolve().parent
README = HERE / "README.md"


def offer(parser: argparse.ArgumentParser, name: str) -> None:
    """Add `--publish` to a benchmark's options: *name* is the place it writes to, unless the caller names another."""
    parser.add_argument(
        "--publish", nargs="?", const=name, metavar="PLACE", help="write table and picture into benchmarks/README.md"
    )


def between(name: str) -> re.Pattern[str]:
    """Return what finds the place called *name*."""
    begin, end = (re.escape(f"<!-- {name}: {word} -->") for word in ("begin", "end"))
    return re.compile(f"(?<={begin}\n).*?(?={end})", re.S)


def check(name: str | None) -> None:
    """Raise Failed, before anything is measured, if the README has no place of that name."""
    if name is not None and not between(name).search(README.read_text()):
        raise Failed(
            f"benchmarks/README.md has no place called {name}: <!-- {name}: begin --> ... <!-- {name}: end -->"
        )


def publish(
    name: str | None, drawn: str, alt: str, table: Sequence[str], *, rounds: int, peer: str = "", ends: str = ""
) -> None:
    """Write *drawn* (SVG) and *table* (Markdown) into the place called *name*, if any; *ends* is the last sentence."""
    if name is None:
        return
    (HERE / f"{name}.svg").write_text(drawn)
    text = "\n".join([f"{_facts(rounds, peer)}\n", f"![{alt}]({name}.svg)\n", *table, ""])
    if ends:
        text += f"\n{ends}\n"
    README.write_text(between(name).sub(lambda _: text, README.read_text(), count=1))
    print(f"Written to {README.name} and {name}.svg.")


def bars(title: str, figures: picture.Figures, unit: str = "") -> str:
    """Return the picture of *figures*."""
    return picture.draw(title, figures, unit)


def _facts(rounds: int, peer: str) -> str:
    """Say when, on what, at which commit and by which command was measured."""
    said = conditions(rounds, peer or "Postfix")
    if not peer:
        said = said.partition(f"; {rounds} rounds")[0]
    today = datetime.now(UTC)
    command = " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    return f"{today.day} {today:%B %Y}, {_processor()}, {said}; at `{_commit()}`, by `{command}`."


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown processor"
    )


def _commit() -> str:
    asked = ["git", "-C", str(HERE), "describe", "--always", "--dirty"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() or "unknown commit"

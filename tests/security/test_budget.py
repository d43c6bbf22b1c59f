"""A message costs whoever handles it a second of CPU and 64 MiB beside what is there already, whatever is in it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from .worst import WORST

MILLISECONDS, MIB = 1000, 64
USUAL = 85.0  # milliseconds that the known work of `handled.py` takes on a machine with nothing else to do

# One of each kind that once cost too much.
QUICK = (
    "levels of multipart", "parts with long headers", "pages just light enough", "dots", "base64: padding", "uuencode",
    "html: begun tags",
)  # fmt: skip


def handled(names: Iterable[str], folder: Path) -> dict[str, Mapping[str, list[float] | str]]:
    """Return what each message cost, or how it ended; milliseconds are those of a machine at rest."""
    found = {}
    command = [sys.executable, "-m", "tests.security.handled"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        slower = max(1.0, json.loads(child.stdout.readline()) / USUAL)
        for name in names:
            (folder / "m").write_bytes(WORST[name]())
            child.stdin.write(f"{folder / 'm'}\n")
            child.stdin.flush()
            cost = json.loads(child.stdout.readline())
            found[name] = {
                act: [each[0] / slower, each[1]] if isinstance(each, list) else each for act, each in cost.items()
            }
        child.stdin.close()
    return found


def over(found: Mapping[str, Mapping[str, list[float] | str]]) -> dict[str, object]:
    return {
        name: cost
        for name, cost in found.items()
        if any(isinstance(each, str) or each[0] > MILLISECONDS or each[1] > MIB for each in cost.values())
    }


def too_dear(names: Iterable[str], folder: Path) -> dict[str, object]:
    """Return what costs too much each time: neighbours on the machine make dearer, and nothing makes cheaper."""
    found = over(handled(names, folder))
    for _ in range(3):
        found = over(handled(found, folder)) if found else found
    return found


def test_the_worst_messages_cost_a_second_and_64_mib_at_most(tmp_path: Path) -> None:
    assert not too_dear(QUICK, tmp_path)


@pytest.mark.long
def test_no_message_that_we_can_think_of_costs_more(tmp_path: Path) -> None:
    assert not too_dear(WORST.keys() - set(QUICK), tmp_path)


def test_what_costs_more_is_told() -> None:
    assert over({"x": {"door": [1.0, 65.0]}})
    assert over({"x": {"door": [1001.0, 1.0]}})
    assert over({"x": {"failed": "ended by signal 27"}})
    assert not over({"x": {"door": [999.0, 63.0]}})

"""Where do benchmarks work, and how do they say what they found? Shared by all of them."""

from __future__ import annotations

import json
import os
import platform
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path


def work_folder(on: Path | None) -> Path:
    """Make a folder on the disk of *on*, by default under /tmp; sockets are made in it, so its path is short."""
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=on or "/tmp"))  # noqa: S108
    folder.chmod(0o755)  # Postfix gives up root
    return folder


def conditions(rounds: int, peer: str = "Postfix") -> str:
    """Say on what was measured, beside which *peer*, and how busy the machine was with other things."""
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    return (
        f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}, load average {load};"
        f" {rounds} rounds, medians (lowest-highest); ratio: ours by {peer}'s, per round"
    )


def note(file: Path | None, ratios: Mapping[str, Sequence[float]], targets: Mapping[str, float]) -> None:
    """Write what was found to *file*, if one was asked for: medians and ranges of ratios, and targets, as JSON."""
    if file is not None:
        file.write_text(json.dumps(summary(ratios, targets), indent=1) + "\n")


def summary(values: Mapping[str, Sequence[float]], targets: Mapping[str, float]) -> dict[str, dict[str, float | None]]:
    """Return medians, ranges and targets by name, as they are written and drawn."""
    return {
        name: {"ratio": statistics.median(each), "least": min(each), "most": max(each), "target": targets.get(name)}
        for name, each in values.items()
        if each
    }


def spread(values: Sequence[float]) -> str:
    """Write a median and its range with two or three digits that count."""
    if not values:
        return "-"

    def write(value: float) -> str:
        return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"

    return f"{write(statistics.median(values))} ({write(min(values))}-{write(max(values))})"

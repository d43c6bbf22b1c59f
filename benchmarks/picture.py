"""Pictures of what benchmarks found, as SVG: bars with their ranges and targets, and a line of what goes on for long.

python benchmarks/accept.py --figures accept.json
python benchmarks/picture.py accept.json "CPU of accepting a message, Postfix = 1" benchmarks/accept.svg
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

LEFT, WIDE, ROW, HEAD, RIGHT = 310, 420, 26, 56, 80
BETTER, NEITHER, OVER = "#1f7a4d", "#5b6b7b", "#b4541a"
HIGH = 220  # of a line's picture
Figures = Mapping[str, Mapping[str, float | None]]


def draw(title: str, figures: Figures, unit: str = "") -> str:
    """
    Return the SVG: one row for each name, green where the target is kept, orange where not, grey without one.

    Without a *unit* figures are ratios, and a line stands where both would be the same.
    """
    reach = max(max(each["most"] or 0, each["target"] or 0, 0 if unit else 1) for each in figures.values()) or 1.0
    high = HEAD + ROW * len(figures) + 34

    def x(value: float) -> str:
        return f"{LEFT + WIDE * value / reach:.1f}"

    rows = []
    for at, (name, each) in enumerate(figures.items()):
        y = HEAD + ROW * at
        ratio, target = each["ratio"] or 0.0, each["target"]
        colour = NEITHER if target is None else BETTER if ratio <= target else OVER
        rows.append(f'<text x="{LEFT - 10}" y="{y + 16}" text-anchor="end">{escape(name)}</text>')
        rows.append(f'<rect x="{LEFT}" y="{y + 4}" width="{WIDE * ratio / reach:.1f}" height="16" fill="{colour}"/>')
        rows.append(
            f'<path d="M{x(each["least"] or 0)} {y + 12}H{x(each["most"] or 0)}" stroke="#101820" stroke-width="1.5"/>'
        )
        if target is not None:
            rows.append(f'<path d="M{x(target)} {y + 1}v22" stroke="#101820" stroke-width="2" stroke-dasharray="3 2"/>')
        rows.append(f'<text x="{LEFT + WIDE + 8}" y="{y + 16}">{_write(ratio, unit)}</text>')
    bottom = HEAD + ROW * len(figures)
    same = (
        ""
        if unit
        else (
            f'<path d="M{x(1.0)} {HEAD - 6}V{bottom + 4}" stroke="#5b6b7b" stroke-width="1"/>\n'
            f'<text x="{x(1.0)}" y="{bottom + 20}" text-anchor="middle" font-size="11">the same</text>\n'
        )
    )
    words = f'<text x="16" y="{bottom + 20}" font-size="11">dashes: target · line: lowest to highest</text>\n'
    return _frame(title, high, "\n".join(rows) + "\n" + same + words)


def line(title: str, values: Sequence[float], unit: str, step: str) -> str:
    """Return the SVG of *values* one after the other, from 0 up; *step* is what lies between two, such as "day"."""
    reach = max(values) * 1.1 or 1.0
    wide, bottom = LEFT + WIDE + RIGHT - 120, HEAD + HIGH
    points = " ".join(
        f"{80 + wide * at / max(1, len(values) - 1):.1f},{bottom - HIGH * value / reach:.1f}"
        for at, value in enumerate(values)
    )
    drawn = (
        f'<path d="M80 {HEAD}V{bottom}H{80 + wide}" fill="none" stroke="#5b6b7b"/>\n'
        f'<polyline points="{points}" fill="none" stroke="{BETTER}" stroke-width="2"/>\n'
        f'<text x="72" y="{bottom}" text-anchor="end" font-size="11">0</text>\n'
        f'<text x="72" y="{bottom - HIGH * values[-1] / reach:.1f}" text-anchor="end" font-size="11">'
        f"{_write(values[-1], unit)}</text>\n"
        f'<text x="80" y="{bottom + 20}" font-size="11">{escape(step)} 1</text>\n'
        f'<text x="{80 + wide}" y="{bottom + 20}" text-anchor="end" font-size="11">'
        f"{escape(step)} {len(values)}</text>\n"
    )
    return _frame(title, bottom + 34, drawn)


def _write(value: float, unit: str) -> str:
    return f"{value:.2f}" if not unit else f"{value:.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"


def _frame(title: str, high: float, drawn: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDE + RIGHT} {high}" role="img" '
        f'font-family="DejaVu Sans, Verdana, sans-serif" font-size="13" fill="#101820">\n'
        f"<title>{escape(title)}</title>\n"
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n'
        f'<text x="16" y="28" font-size="16" font-weight="bold">{escape(title)}</text>\n'
        f"{drawn}</svg>\n"
    )


def main(figures: Path, title: str, picture: Path) -> None:
    """Draw what *figures* has."""
    picture.write_text(draw(title, json.loads(figures.read_text())))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))

"""A picture of what a benchmark found: bars of ratios with their ranges and targets, as SVG.

python benchmarks/accept.py --figures accept.json
python benchmarks/picture.py accept.json "CPU of accepting a message, Postfix = 1" benchmarks/accept.svg
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.sax.saxutils import escape

LEFT, WIDE, ROW, HEAD, RIGHT = 310, 420, 26, 56, 70
BETTER, NEITHER, OVER = "#1f7a4d", "#5b6b7b", "#b4541a"


def draw(title: str, figures: dict[str, dict[str, float | None]]) -> str:
    """Return the SVG: one row for each name, green where the target is kept, orange where not, grey without one."""
    reach = max(max(each["most"] or 0, each["target"] or 0, 1.0) for each in figures.values())
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
        rows.append(f'<text x="{LEFT + WIDE + 8}" y="{y + 16}">{ratio:.2f}</text>')
    bottom = HEAD + ROW * len(figures)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDE + RIGHT} {high}" role="img" '
        f'font-family="DejaVu Sans, Verdana, sans-serif" font-size="13" fill="#101820">\n'
        f"<title>{escape(title)}</title>\n"
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n'
        f'<text x="16" y="28" font-size="16" font-weight="bold">{escape(title)}</text>\n'
        + "\n".join(rows)
        + f'\n<path d="M{x(1.0)} {HEAD - 6}V{bottom + 4}" stroke="#5b6b7b" stroke-width="1"/>\n'
        f'<text x="{x(1.0)}" y="{bottom + 20}" text-anchor="middle" font-size="11">the same</text>\n'
        f'<text x="16" y="{bottom + 20}" font-size="11">dashes: target · line: lowest to highest round</text>\n'
        "</svg>\n"
    )


def main(figures: Path, title: str, picture: Path) -> None:
    """Draw what *figures* has."""
    picture.write_text(draw(title, json.loads(figures.read_text())))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))

"""Draw the app's icons for phones from web/static/icon.svg, in a real browser: `python docs/icons.py`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.support.chromium import FLAGS  # noqa: E402

FOLDER = ROOT / "web" / "static"
GROUND = "#e4eff3"
# Name, pixels, how much of the width the letter has: what may be masked shows for sure only its middle four fifths.
ICONS = [
    ("icon-180.png", 180, 0.7),  # iOS cuts the corners itself
    ("icon-192.png", 192, 0.8),
    ("icon-512.png", 512, 0.8),
    ("icon-192-maskable.png", 192, 0.56),
    ("icon-512-maskable.png", 512, 0.56),
]


def main() -> None:
    """Write the icons."""
    letter = (FOLDER / "icon.svg").read_text()
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for name, size, share in ICONS:
            round_off = 0 if "maskable" in name or size == 180 else size // 5
            page = browser.new_page(viewport={"width": size, "height": size})
            style = f"width:{size}px;height:{size}px;background:{GROUND};border-radius:{round_off}px;display:grid;"
            drawn = letter.replace("<svg ", f'<svg width="{int(size * share)}" ')
            page.set_content(f'<body style="margin:0"><div style="{style}place-items:center">{drawn}</div></body>')
            page.screenshot(path=FOLDER / name, omit_background=True)
            page.close()
        browser.close()


if __name__ == "__main__":
    main()

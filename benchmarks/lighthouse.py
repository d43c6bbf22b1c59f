"""What does Lighthouse say of the main pages, as on a phone of the middle class over a slow line? `make lighthouse`.

Each page is served over TLS with something on it, as for the tests, and looked at by the npm package lighthouse in a
chromium without windows, with its settings for mobile devices. The run fails if a page has less than 95 points in
performance, accessibility or best practices, and in none of three looks more.

    python benchmarks/lighthouse.py FOLDER                   all pages; FOLDER has node_modules with lighthouse
    python benchmarks/lighthouse.py FOLDER sent account      those whose address has one of these words
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import structlog

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cryptnsend.portal.visits import SESSION_COOKIE
from tests.portal.gallery import inhabited, served

LEAST, LOOKS = 95, 3
CATEGORIES = ("performance", "accessibility", "best-practices")
PAGES = (
    ("", "/"),
    ("", "/m/new"),
    ("", "/m/known"),
    ("", "/sign-in"),
    ("", "/sign-up"),
    ("", "/help"),
    ("pat", "/messages"),
    ("pat", "/messages/11"),
    ("pat", "/messages/18"),
    ("pat", "/account"),
    ("ann", "/messages"),
    ("ann", "/write"),
    ("ann", "/sent"),
    ("ann", "/sent/21"),
    ("ann", "/drafts"),
    ("ann", "/setup"),
    ("ann", "/account"),
)
CHROME = "--headless=new --no-sandbox --ignore-certificate-errors --disable-gpu --disable-quic"


def main(folder: Path, asked: list[str]) -> int:
    """Look at the pages, print a table, and return how many have too few points."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    poor = 0
    with tempfile.TemporaryDirectory() as scratch, served(inhabited(), Path(scratch)) as base:
        print(f"{'page':<28}{'performance':>13}{'accessibility':>15}{'best practices':>16}{'octets':>10}")
        for who, url in PAGES:
            if asked and not any(word in url for word in asked):
                continue
            points, octets, why = best(folder, base + url, who, Path(scratch) / "report.json")
            poor += min(points) < LEAST
            columns = f"{points[0]:>13}{points[1]:>15}{points[2]:>16}{octets:>10,}"
            print(f"{url} {f'({who})' if who else '':<8}".ljust(28) + columns, *why, flush=True)
    if poor:
        print(f"{poor} pages have fewer than {LEAST} points.", file=sys.stderr)
    return poor


def best(folder: Path, url: str, who: str, report: Path) -> tuple[list[int], int, list[str]]:
    """Look up to `LOOKS` times where points are missing: other work on the machine lowers them, and nothing lifts."""
    found = look(folder, url, who, report)
    for _ in range(LOOKS - 1):
        if min(found[0]) >= LEAST:
            break
        found = max(found, look(folder, url, who, report), key=lambda each: each[0])
    return found


def look(folder: Path, url: str, who: str, report: Path) -> tuple[list[int], int, list[str]]:
    """Return points by category, the octets that came over the line, and which audits a poor page failed."""
    arguments = [
        folder / "node_modules" / ".bin" / "lighthouse", url, "--quiet", "--output=json", f"--output-path={report}",
        f"--only-categories={','.join(CATEGORIES)}", f"--chrome-flags={CHROME}", "--max-wait-for-load=60000",
    ]  # fmt: skip
    if who:
        arguments.append(f"--extra-headers={json.dumps({'Cookie': f'{SESSION_COOKIE}={who}'})}")
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("chromium is missing. On Debian: sudo apt-get install chromium")
    for left in reversed(range(LOOKS)):
        done = subprocess.run(
            arguments, env={**os.environ, "CHROME_PATH": chromium},
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        if done.returncode == 0:
            break
        if not left:  # a browser that starts on a busy machine is not always ready to be measured
            raise SystemExit(f"{url}: lighthouse failed: {done.stderr[-500:]}")
    found = json.loads(report.read_text("utf-8"))
    points = [round(100 * (found["categories"][each]["score"] or 0)) for each in CATEGORIES]
    weighed = {ref["id"] for each in CATEGORIES for ref in found["categories"][each]["auditRefs"] if ref["weight"]}
    failed = [
        name for name, audit in found["audits"].items()
        if name in weighed and audit["score"] is not None and audit["score"] < 0.9
    ]  # fmt: skip
    octets = int(found["audits"]["total-byte-weight"].get("numericValue") or 0)
    return points, octets, failed if min(points) < LEAST else []


if __name__ == "__main__":
    sys.exit(bool(main(Path(sys.argv[1]), sys.argv[2:])))

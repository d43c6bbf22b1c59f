"""Take a picture of every page: `make screenshots`, or with words of addresses, `make screenshots ARGS="setup sent"`.

Pictures go to docs/screenshots/all/LANGUAGE/WIDTH-SCHEME/WHO-PAGE.png, which git does not keep; those that README shows
lie beside it, and are taken with all others. Pages are the tests' own, with something on each, in a real browser.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from cryptnsend.portal.visits import SESSION_COOKIE  # noqa: E402
from tests.portal.gallery import PAGES, inhabited, served  # noqa: E402
from tests.support.chromium import FLAGS  # noqa: E402

FOLDER = ROOT / "docs" / "screenshots" / "all"
WIDTHS = (360, 768, 1280)  # CSS pixels: a phone, a tablet, a desk
TALLEST = 2400  # CSS pixels of a page that a picture shows
README = {
    "code": ("", "/m/new", 360),
    "read": ("pat", "/messages/11", 360),
    "sent": ("ann", "/sent/21", 1100),
    "write": ("ann", "/write", 1100),
}
MAIN = re.compile(r"/(m/.*|sign-in|messages(/11)?|sent(/21)?|setup.*|compose.*|account|forgot|)$")  # in all languages


def main(asked: list[str]) -> None:
    """Take the pictures whose address has one of the words *asked*, or all."""
    world = inhabited()
    with tempfile.TemporaryDirectory() as folder, served(world, Path(folder)) as base, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        taken = 0
        for language, width, scheme in _looks():
            for who, page in _pages(browser, base, language, width, scheme, asked):
                name = re.sub(r"[^a-z0-9]+", "-", page.url.removeprefix(base).lower()).strip("-") or "first"
                path = FOLDER / language / f"{width}-{scheme}" / f"{who or 'nobody'}-{name}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                page.screenshot(path=path)
                taken += 1
        if not asked:
            _readme(browser, base)
        browser.close()
    print(f"{taken} pictures in {FOLDER.relative_to(ROOT)}")


def _looks() -> Iterator[tuple[str, int, str]]:
    for language in ("en", "es"):
        for width in WIDTHS:
            yield language, width, "light"
            if language == "en":
                yield language, width, "dark"


def _pages(
    browser: Browser, base: str, language: str, width: int, scheme: str, asked: list[str]
) -> Iterator[tuple[str, Page]]:
    """Yield every page, open, and who looks at it; the window is as tall as the page, so that letters show, too."""
    for who in dict.fromkeys(each for each, _ in PAGES):
        context = browser.new_context(
            base_url=base,
            ignore_https_errors=True,
            viewport={"width": width, "height": 800},
            color_scheme=scheme,  # type: ignore[arg-type]
            locale=language,
        )
        if who:
            context.add_cookies([{"name": SESSION_COOKIE, "value": who, "url": base, "secure": True, "httpOnly": True}])
        page = context.new_page()
        for url in (url for each, url in PAGES if each == who):
            if asked and not any(word in url for word in asked):
                continue
            if language != "en" and not MAIN.fullmatch(url):
                continue
            page.set_viewport_size({"width": width, "height": 800})
            page.goto(url)
            tall = page.evaluate("document.documentElement.scrollHeight")
            page.set_viewport_size({"width": width, "height": min(max(tall, 800), TALLEST)})
            _settle(page)
            yield who, page
        context.close()


def _settle(page: Page) -> None:
    """Wait until frames and pictures are there."""
    for frame in page.frames:
        frame.wait_for_load_state("load")
    page.wait_for_function("[...document.images].every(each => each.complete)")


def _readme(browser: Browser, base: str) -> None:
    """Take the pictures that README shows."""
    for name, (who, url, width) in README.items():
        context = browser.new_context(
            base_url=base, ignore_https_errors=True, viewport={"width": width, "height": 780}, color_scheme="light"
        )
        if who:
            context.add_cookies([{"name": SESSION_COOKIE, "value": who, "url": base, "secure": True, "httpOnly": True}])
        page = context.new_page()
        page.goto(url)
        _settle(page)
        page.screenshot(path=FOLDER.parent / f"{name}.png")
        context.close()


if __name__ == "__main__":
    main(sys.argv[1:])

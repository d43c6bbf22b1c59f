"""Debian's chromium for tests, started once per module: its driver keeps an event loop running in the test's thread."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# How long a page may take for one step on a machine that does much else, in milliseconds.
PATIENCE = 120_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """
    A browser without windows; what it opens waits long before it gives up.

    Its pages get no worker unless a test asks for one: each would be fetched for every context, and one that is closed
    meanwhile complains on its console. Nothing moves, either: a colour on its way to another one has a contrast of
    neither, which whoever looks at that moment finds too low.
    """
    binary = shutil.which("chromium")
    assert binary, "chromium is missing: apt-get install chromium"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=binary, args=FLAGS, timeout=PATIENCE)
        opened.new_context = functools.partial(_patient, opened.new_context)  # type: ignore[method-assign]
        yield opened
        opened.close()


def _patient(new_context: Any, **values: Any) -> BrowserContext:
    defaults = {"service_workers": "block", "reduced_motion": "reduce"}
    context: BrowserContext = new_context(**(defaults | values))
    context.set_default_timeout(PATIENCE)
    return context

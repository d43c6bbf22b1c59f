"""Who left it open? Each test gives back every descriptor and thread that it took, or fails itself.

Without this check something that a test forgot lives until the garbage collector happens to find it, and the
ResourceWarning, an error here, then falls on whichever test runs at that moment.

Fixtures of wider scope live on when a test is over, and may open more at any time: a test that uses one is judged by
what the collector finds alone, and while one lives, sockets and threads of its pools may come and go.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
from collections.abc import Callable, Generator
from typing import Any

import pytest

from tests.support.waiting import wait_for

# The other end of a connection, or a thread that was told to stop, may need a moment after the test is over.
PATIENCE_SECONDS = 10.0


class Leaks:
    """Compares what is open before each test with what is open after it; a pytest plugin."""

    def __init__(self) -> None:
        self._before: set[str] = set()
        self._wider: set[str] = set()  # names of fixtures that outlive the test

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, None, None]:
        self._before = taken()
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        if _outlives_a_test(fixturedef):
            self._wider.add(fixturedef.argname)

    def pytest_fixture_post_finalizer(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        if _outlives_a_test(fixturedef):
            self._wider.discard(fixturedef.argname)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, None, None]:
        yield
        if taken() <= self._before:
            return
        forgotten = collected()
        if forgotten:
            pytest.fail("left to the garbage collector:\n" + "\n".join(forgotten), pytrace=False)
        if self._wider.isdisjoint(getattr(item, "fixturenames", ())):
            with contextlib.suppress(AssertionError):
                wait_for(lambda: not self._left(), "everything to be given back", seconds=PATIENCE_SECONDS)
            if left := self._left():
                pytest.fail(f"left open when the test was over: {', '.join(sorted(left))}", pytrace=False)

    def _left(self) -> set[str]:
        left = taken() - self._before
        if self._wider:
            left = {each for each in left if "socket:" not in each and not each.startswith("thread asyncio_")}
        return left


def taken() -> set[str]:
    """Return what this process holds: a word for each descriptor and each thread."""
    held = {f"thread {each.name} ({each.ident})" for each in threading.enumerate()}
    for number in os.listdir("/proc/self/fd"):
        try:
            place = os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:  # the one by which this very list was read, or one that another thread closed
            continue
        if place != "/dev/urandom":  # qpdf opens it once, and keeps it
            held.add(f"descriptor {number} of {place}")
    return held


def collected() -> list[str]:
    """Collect garbage now; return what was said about things that nobody had closed."""
    said: list[str] = []
    before = sys.unraisablehook
    sys.unraisablehook = _listener(said)
    try:
        gc.collect()
    finally:
        sys.unraisablehook = before
    return said


def _listener(said: list[str]) -> Callable[[sys.UnraisableHookArgs], None]:
    def listen(happened: sys.UnraisableHookArgs) -> None:
        said.append(f"{happened.exc_value} (in {happened.object!r})")

    return listen


def _outlives_a_test(fixturedef: pytest.FixtureDef[Any]) -> bool:
    return fixturedef.scope != "function" and not fixturedef.func.__module__.startswith("_pytest.")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Leaks(), "leaks")

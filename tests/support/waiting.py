"""Waiting for something that another thread or process does: poll with a generous deadline, never sleep and hope."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_pause = threading.Event()  # never set: a pause that needs no sleep


def wait_for(condition: Callable[[], T], what: str, *, seconds: float = 120.0, step: float = 0.02) -> T:
    """Return the first true answer of *condition*; fail with *what* was waited for after *seconds*."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} seconds in vain: {what}")
        _pause.wait(step)

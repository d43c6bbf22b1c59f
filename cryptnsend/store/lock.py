"""Whose turn is it to write, among all processes on one database?

SQLite's own busy handler lets writers guess when to try again; under load the unlucky ones waited for seconds. Here
writers of all processes queue on two advisory file locks beside the database: whoever waits holds the *turn*, whoever
writes holds the *door*. A writer that has just finished has to get the turn again before it can take the door, so it
cannot shut out the one who waits. Both locks vanish with the process that held them.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

PACE = 0.0005  # seconds between two looks; a handover costs half of this on average, and a flush costs more


class Turnstile:
    """
    A lock among processes, and among holders in one process. Not for two threads sharing one instance.

    Waiting is bounded: a process that was stopped while it held the door must cost others a 451, not a standstill.
    """

    def __init__(self, path: Path, *, mode: int = 0o600):
        """Use the files `<path>-turn` and `<path>-door`, making them if needed."""
        self._turn = os.open(f"{path}-turn", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
        try:
            self._door = os.open(f"{path}-door", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
        except OSError:
            os.close(self._turn)
            raise

    def acquire(self, patience: float) -> bool:
        """Take the door within *patience* seconds and say whether that worked; 0 asks once and never waits."""
        deadline = time.monotonic() + patience
        if not _lock(self._turn, deadline):
            return False
        try:
            return _lock(self._door, deadline)
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)

    def release(self) -> None:
        """Give the door back; harmless when it is not held."""
        if self._door >= 0:
            fcntl.flock(self._door, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of everything for good; safe to call twice."""
        turn, door, self._turn, self._door = self._turn, self._door, -1, -1
        for fd in (turn, door):
            if fd >= 0:
                os.close(fd)


def _lock(fd: int, deadline: float) -> bool:
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(PACE)
        else:
            return True

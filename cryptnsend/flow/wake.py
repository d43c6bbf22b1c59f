"""How does the courier hear at once that something is due? A doorbell: a datagram on a Unix socket in the home.

The queue is durable and the courier also looks by itself, so a ring that is missed costs half a second and no more.
"""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

from cryptnsend.home import file_mode


class Wake:
    """The courier's end of the bell, for all threads of its process."""

    def __init__(self, path: Path):
        self._path = path
        self._bell = threading.Condition()
        self._rings = 0
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        os.chmod(path, file_mode(path.parent))

    @property
    def rings(self) -> int:
        """How often it rang; to be read before looking for work, so that no ring is missed in between."""
        return self._rings

    def listen(self, seconds: float) -> None:
        """Wait for a ring from another process, at most so long, and pass it on to the threads."""
        self._socket.settimeout(seconds)
        try:
            self._socket.recv(16)
        except TimeoutError:
            return
        self.notify_all()

    def notify_all(self) -> None:
        """Wake every thread that waits here."""
        with self._bell:
            self._rings += 1
            self._bell.notify_all()

    def wait(self, seconds: float, seen: int) -> None:
        """Rest until it rang more often than *seen* times, at most so long."""
        with self._bell:
            self._bell.wait_for(lambda: self._rings != seen, timeout=seconds)

    def close(self) -> None:
        """Take the bell down."""
        self._socket.close()
        self._path.unlink(missing_ok=True)


class Ringer:
    """Rings the courier's bell; nobody there is fine, since the queue is durable."""

    def __init__(self, path: Path):
        self._path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def __call__(self) -> None:
        """Ring, without waiting. It never fails: what is due is durable before, and must not be taken back by this."""
        try:
            self._socket.sendto(b"!", self._path)
        except OSError:
            return  # no courier is up, its bell rings already, or it is another user's

    def __del__(self) -> None:
        self._socket.close()

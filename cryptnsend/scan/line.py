"""How is a scanner reached, and how long may it take? A socket in the file system, or host and port.

A scanner runs on the operator's word, and may still be broken, full, or somebody else by now: whatever it sends is read
up to a limit, and every wait has an end.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
import threading

REACHED = 10.0  # seconds within which a scanner has to be there; how long it then looks at mail is the operator's word
NAME = 100  # characters of a finding's name that are kept
_UNFIT = re.compile(r"[^A-Za-z0-9._:/+@()\[\]-]+")


class Lines:
    """The connections to one scanner that are open now; safe for many threads."""

    def __init__(self, place: str):
        """*place* is an absolute path or `host:port`."""
        self._place = place
        self._open: set[socket.socket] = set()
        self._is_over = False
        self._guard = threading.Lock()

    def open(self, seconds: float) -> socket.socket:
        """Return a connection whose calls wait *seconds*; raise OSError."""
        line = _connected(self._place, min(seconds, REACHED))
        line.settimeout(seconds)
        with self._guard:
            if not self._is_over:
                self._open.add(line)
                return line
        line.close()
        raise ConnectionAbortedError("this process ends")

    def close(self, line: socket.socket) -> None:
        """End a connection."""
        with self._guard:
            self._open.discard(line)
        line.close()

    def cut(self) -> None:
        """Wake whoever waits on a connection as if its other end had closed it, and open none any more."""
        with self._guard:
            self._is_over = True
            for line in self._open:
                with contextlib.suppress(OSError):  # the other end has gone
                    line.shutdown(socket.SHUT_RDWR)


def _connected(place: str, seconds: float) -> socket.socket:
    if not place.startswith("/"):
        host, _, port = place.rpartition(":")
        return socket.create_connection((host.strip("[]"), int(port)), timeout=seconds)
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        line.settimeout(seconds)
        line.connect(place)
    except BaseException:
        line.close()
        raise
    return line


def is_local(place: str) -> bool:
    """Say whether *place* is on this machine, so that mail to it travels over no network."""
    host = place.rpartition(":")[0].strip("[]")
    if place.startswith("/") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def plain_name(text: str) -> str:
    """Return the name of a finding as it may stand in replies, logs and pages, whatever a scanner put into it."""
    return _UNFIT.sub("_", text.strip())[:NAME] or "something"

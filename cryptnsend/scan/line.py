"""How is a scanner reached, and how long may it take? A socket in the file system, or host and port.

A scanner runs on the operator's word, and may still be broken, full, or somebody else by now: whatever it sends is read
up to a limit, and every wait has an end.
"""

from __future__ import annotations

import ipaddress
import re
import socket

NAME = 100  # characters of a finding's name that are kept
_UNFIT = re.compile(r"[^A-Za-z0-9._:/+@()\[\]-]+")


def connected(place: str, seconds: float) -> socket.socket:
    """Return a connection to *place*, an absolute path or `host:port`, whose calls wait *seconds*; raise OSError."""
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

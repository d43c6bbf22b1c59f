"""Is there something to read? Asked by poll, which has no upper bound on descriptors as select has."""

from __future__ import annotations

import select
import socket


def is_readable(peer: socket.socket, seconds: float = 0.0) -> bool:
    """Say whether *peer* has octets, or its end, to read within *seconds*."""
    poll = select.poll()
    poll.register(peer, select.POLLIN)
    return bool(poll.poll(int(seconds * 1000)))

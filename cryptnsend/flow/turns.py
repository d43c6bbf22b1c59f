"""Whose mail may a thread take up next? No domain has more of the courier's threads than its share.

Without it, all threads would soon wait for the one domain that is slow, or that is back after an outage with thousands
of mails due, while mail for everybody else lies behind them.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable


class Turns:
    """Counts the deliveries under way by domain; *room* says how many a domain may have. Safe for many threads."""

    def __init__(self, room: Callable[[str], int]):
        self._room = room
        self._busy: Counter[str] = Counter()
        self._lock = threading.Lock()

    def crowded(self, leaving: str = "") -> list[str]:
        """Return the domains that have all they may have, once a delivery to *leaving* is done."""
        with self._lock:
            busy = [(domain, count - (domain == leaving)) for domain, count in self._busy.items()]
        return [domain for domain, count in busy if domain and count >= self._room(domain)]

    def take(self, domain: str) -> None:
        """Count a delivery in."""
        with self._lock:
            self._busy[domain] += 1

    def leave(self, domain: str) -> None:
        """Count a delivery out."""
        with self._lock:
            self._busy[domain] -= 1
            if self._busy[domain] <= 0:
                del self._busy[domain]

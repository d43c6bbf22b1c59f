"""How many requests may one token make in a minute? Counted by each process of the portal for itself."""

from __future__ import annotations

import threading

MINUTE = 60_000  # milliseconds
REMEMBERED = 10_000  # tokens


class Rates:
    """Counts requests by token and minute. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._minute = 0
        self._counts: dict[int, int] = {}

    def count(self, token: int, now: int, most: int) -> tuple[int, int]:
        """Count a request at *now* (UTC milliseconds); return how many are left, -1 for none, and the seconds left."""
        minute = now // MINUTE
        with self._lock:
            if minute != self._minute or len(self._counts) > REMEMBERED:
                self._minute, self._counts = minute, {}
            self._counts[token] = self._counts.get(token, 0) + 1
            left = most - self._counts[token]
        return max(left, -1), -(-((minute + 1) * MINUTE - now) // 1000)

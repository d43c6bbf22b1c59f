"""What time is it? The machine's clock, handed to whoever needs one; tests hand another."""

from __future__ import annotations

import time


class SystemClock:
    """The clock of the machine."""

    def now(self) -> int:
        """Return UTC milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return seconds that never go backwards."""
        return time.monotonic()

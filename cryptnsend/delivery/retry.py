"""When do we try again, when is the sender told, and when do we give up? Pure; times are UTC milliseconds.

7.5 minutes, doubling to 16 hours: eight waits make just under 32 hours, the last try is made at 32 hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

SECOND = 1000


@dataclass(frozen=True, slots=True)
class Schedule:
    """The waits of one installation, in milliseconds."""

    first: int = 450 * SECOND
    longest: int = 16 * 3600 * SECOND
    warn: int = 2 * 3600 * SECOND
    give_up: int = 32 * 3600 * SECOND
    jitter: float = 0.1  # of each wait, up or down, so that what failed together does not come back together


DEFAULT = Schedule()


def next_try(attempts: int, first_try: int, now: int, rng: Random, schedule: Schedule = DEFAULT) -> int | None:
    """
    Return when to try again, or None when the last attempt was the last.

    *attempts* counts those made, this one included (so it is at least 1); *first_try* is when the first was made.
    The time is never beyond the end of all tries: the last one falls on it.
    """
    end = first_try + schedule.give_up
    if now >= end:
        return None
    wait = min(schedule.first << min(max(attempts, 1) - 1, 40), schedule.longest)
    wait = round(wait * (1 + schedule.jitter * (2 * rng.random() - 1)))
    return min(now + wait, end)


def delay_is_due(first_try: int, now: int, schedule: Schedule = DEFAULT) -> bool:
    """Say whether the sender should by now have been told of the delay."""
    return now - first_try >= schedule.warn

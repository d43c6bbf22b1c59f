"""When deliveries are tried again, and for how long."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryptnsend.delivery.retry import DEFAULT, Schedule, delay_is_due, next_try

MINUTE = 60_000
EXACT = Schedule(jitter=0)


def test_waits_double_from_seven_and_a_half_minutes_to_sixteen_hours() -> None:
    waits = [next_try(attempts, 0, 0, Random(1), Schedule(jitter=0, give_up=10**12)) for attempts in range(1, 11)]
    assert [wait / MINUTE for wait in waits if wait] == [7.5, 15, 30, 60, 120, 240, 480, 960, 960, 960]


def test_the_last_try_falls_on_the_end_and_nothing_comes_after() -> None:
    tries, now, attempts = [0], 0, 1
    while (following := next_try(attempts, 0, now, Random(1), EXACT)) is not None:
        tries.append(following)
        now, attempts = following, attempts + 1
    assert len(tries) == 10
    assert tries[-1] == 32 * 60 * MINUTE
    assert tries[-2] == (2**8 - 1) * 7.5 * MINUTE


def test_what_was_tried_late_gets_no_try_beyond_the_end() -> None:
    assert next_try(3, 0, DEFAULT.give_up, Random(1)) is None
    assert next_try(3, 0, DEFAULT.give_up - 1, Random(1)) == DEFAULT.give_up


@settings(deadline=None)
@given(st.integers(1, 500), st.integers(0, 2**45), st.integers(0, 2**28), st.integers())
def test_a_next_try_is_later_and_near_its_wait(attempts: int, first: int, passed: int, seed: int) -> None:
    following = next_try(attempts, first, first + passed, Random(seed))
    end = first + DEFAULT.give_up
    if passed >= DEFAULT.give_up:
        assert following is None
    else:
        wait = min(DEFAULT.first * 2 ** (attempts - 1), DEFAULT.longest)
        assert following is not None
        assert first + passed < following <= end
        assert following == end or 0.9 * wait - 1 <= following - first - passed <= 1.1 * wait + 1


def test_jitter_spreads_what_failed_together() -> None:
    assert len({next_try(4, 0, 0, Random(seed)) for seed in range(100)}) > 90


@pytest.mark.parametrize(("passed", "due"), [(0, False), (119 * MINUTE, False), (120 * MINUTE, True), (10**9, True)])
def test_the_sender_is_told_of_a_delay_after_two_hours(passed: int, due: bool) -> None:
    assert delay_is_due(1_000, 1_000 + passed) is due

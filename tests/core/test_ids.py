"""Ids of rows: unlike each other, later ones larger, readable as a time."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core.model import Ids, new_id, time_of

NOW = 1_795_000_000_000


@given(st.lists(st.integers(0, 3), max_size=200), st.binary(min_size=3, max_size=3))
def test_later_ids_are_larger_whatever_the_clock_does(steps, chance):
    """Also with a source of chance that always says the same, and with a clock that is set back."""
    ids = Ids(lambda count: chance[:count])
    made = [ids.new(NOW - 5 + step) for step in steps]
    assert made == sorted(set(made))


def test_threads_never_get_the_same_id():
    ids = Ids(os.urandom)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: ids.new(NOW), range(4000)))
    assert len(set(made)) == len(made)


def test_an_id_tells_its_time_and_fits_63_bits():
    ident = new_id(NOW, os.urandom)
    assert time_of(ident) == NOW
    assert ident < 1 << 63
    assert time_of(Ids(os.urandom).new(NOW)) == NOW

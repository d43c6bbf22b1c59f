"""A whole server for tests: every role as a process, the demo's Internet around it. Started once per worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cryptnsend.demo.house import House
from cryptnsend.demo.internet import Internet

CHEAP = {
    "argon2": {"memory_kib": 64, "iterations": 1, "lanes": 1},
    "metrics": {"listen": "unix:run/courier/metrics.sock"},
}


@pytest.fixture(scope="session")
def served() -> Iterator[House]:
    """A running server that tests share: each uses addresses of its own."""
    with Internet() as internet, House(internet, values=CHEAP) as house:
        yield house


@pytest.fixture
def own_server() -> Iterator[House]:
    """A running server of this test alone."""
    with Internet() as internet, House(internet, values=CHEAP) as house:
        yield house

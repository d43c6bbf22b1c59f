"""A polite mail host, and a courier that finds it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cryptnsend.delivery.courier import Courier
from tests.delivery.peers import Peer, courier


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as host:
        yield host


@pytest.fixture
def sender(peer: Peer) -> Iterator[Courier]:
    made = courier(peer)
    yield made
    made.close()

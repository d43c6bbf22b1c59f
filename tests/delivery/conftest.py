"""A polite mail host, and a courier that finds it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from cryptnsend.delivery.courier import Courier
from tests.delivery.peers import Peer, courier


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path / "ca.pem"


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as host:
        yield host


@pytest.fixture
def sender(peer: Peer) -> Iterator[Courier]:
    made = courier(peer)
    yield made
    made.close()

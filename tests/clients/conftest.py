"""Desks, each with one mail program and an account of its own at a server that runs as in earnest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cryptnsend.demo.house import House
from tests.clients.desk import Desk

MakeDesk = Callable[[str], Desk]


@pytest.fixture
def make_desk(served: House, served_authority: Path, tmp_path: Path) -> MakeDesk:
    """Return a function that makes a desk for the program of that name."""
    return lambda program: Desk.opened(served, served_authority, tmp_path, program)

"""Homes for tests: short paths, free ports on loopback, cheap passwords."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cryptnsend.config import Config
from cryptnsend.home import PORT_NAMES, Home
from cryptnsend.making import create

# Free ports, on loopback; password hashing that costs a millisecond; and nothing that waits for minutes.
TEST_VALUES: Mapping[str, Mapping[str, Any]] = {
    "server": {"hostname": "mail.clinic.example"},
    "ports": {"bind": "127.0.0.1"} | dict.fromkeys(PORT_NAMES, 0),
    "argon2": {"memory_kib": 64, "iterations": 1, "lanes": 1},
    "limits": {"free_octets": 0},  # homes of tests lie in memory or on disks of a few megabytes
}


def make_home(path: Path, values: Mapping[str, Mapping[str, Any]] | None = None) -> Config:
    """Create a home at *path* with the test values, *values* (by section and key) over them."""
    merged = {section: dict(body) for section, body in TEST_VALUES.items()}
    for section, body in (values or {}).items():
        merged.setdefault(section, {}).update(body)
    return create(path, merged)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for the sockets of a home, which pytest's own `tmp_path` does not."""
    path = Path(tempfile.mkdtemp(prefix="cs-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def config(short_folder: Path) -> Config:
    """The configuration of a fresh home."""
    return make_home(short_folder / "home")


@pytest.fixture
def home(config: Config) -> Home:
    """The places in that fresh home."""
    return Home(config.server.home)

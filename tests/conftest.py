"""Fixtures that every test may ask for. Each stands in a module of tests/support/ that says what it is for."""

from __future__ import annotations

pytest_plugins = ["tests.support.homes"]

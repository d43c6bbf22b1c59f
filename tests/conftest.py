"""Fixtures that every test may ask for. Each stands in a module of tests/support/ that says what it is for."""

from __future__ import annotations

from hypothesis import settings

pytest_plugins = ["tests.support.homes", "tests.support.house", "tests.support.served"]

# Properties are about rules, not about how busy the machine is.
settings.register_profile("house", deadline=None)
settings.load_profile("house")

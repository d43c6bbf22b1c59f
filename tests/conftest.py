"""Fixtures that every test may ask for. Each stands in a module of tests/support/ that says what it is for."""

from __future__ import annotations

import structlog
from hypothesis import settings

pytest_plugins = [
    "tests.support.leaks",
    "tests.support.homes",
    "tests.support.house",
    "tests.support.served",
    "tests.support.chromium",
]

# Properties are about rules, not about how busy the machine is.
settings.register_profile("house", deadline=None)
settings.load_profile("house")

# A server is started with `logs.configure`; the pieces that a test builds by itself log as structlog does by default.
# Its pretty tracebacks show every variable of every frame in colours, which takes seconds for one exception.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)

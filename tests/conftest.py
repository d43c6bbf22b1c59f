"""Fixtures that every test may ask for. Each stands in a module of tests/support/ that says what it is for."""

from __future__ import annotations

import gc
import os

import pytest
import structlog
from hypothesis import settings

from tests.support import memory, once

memory.settle()
once.settle()

pytest_plugins = [
    "tests.support.leaks",
    "tests.support.homes",
    "tests.support.house",
    "tests.support.served",
    "tests.support.terminal",
    "tests.support.apart",
    "tests.support.chromium",
    "tests.support.press",
    "tests.support.scanners",
    "tests.support.sinks",
]

# Properties are about rules, not about how busy the machine is. They try the same cases everywhere, so that a change is
# judged by what it changes; CRYPTNSEND_EXPLORE=1 tries others each time.
settings.register_profile("house", deadline=None, derandomize=not os.environ.get("CRYPTNSEND_EXPLORE"))
settings.load_profile("house")

# A server is started with `logs.configure`; the pieces that a test builds by itself log as structlog does by default.
# Its pretty tracebacks show every variable of every frame in colours, which takes seconds for one exception.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)

# What the tests start as root must not depend on which users this machine has, nor make any. tests/support/apart.py has
# the servers whose roles are users of their own.
os.environ["CRYPTNSEND_USERS_SEPARATE"] = "never"


def pytest_collection_finish() -> None:
    """Spare the collector ten thousand collected tests, which it would look through whenever a test asks for it."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly what could not be tested here: a test notes it as the property "not run"."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)]
    for report in reports:
        for name, reason in report.user_properties:
            if name == "not run" and report.when == "call":
                terminalreporter.write_line(f"NOT RUN {report.nodeid}: {reason}", red=True, bold=True)

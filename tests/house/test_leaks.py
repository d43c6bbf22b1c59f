"""What a test leaves open makes that test fail, and no other."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
FORGETFUL = """
import gc, socket, threading
import pytest

held, end = [], threading.Event()

def test_holds():
    held.append(socket.socket())

def test_drops_a_ring():
    ring = type("Ring", (), {})()
    ring.itself, ring.socket = ring, socket.socket()

def test_starts():
    threading.Thread(target=end.wait, args=(60,), name="forgotten").start()

@pytest.fixture
def late():
    with socket.socket() as made:
        yield made

@pytest.fixture(scope="module")
def shared():
    with socket.socket() as made:
        yield made

@pytest.mark.parametrize("turn", range(2))
def test_gives_back(late, shared, turn):
    assert late.fileno() != shared.fileno()

def test_ends():
    held.pop().close()
    end.set()
"""


def test_what_is_left_open_is_told_of_the_test_that_left_it(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("from tests.support import leaks\n\nleaks.PATIENCE_SECONDS = 0.2\n")
    (tmp_path / "test_forgetful.py").write_text(FORGETFUL)
    options = ("-q", "-rE", "-W", "error", "-p", "tests.support.leaks", "-p", "no:cacheprovider", "-c", "/dev/null")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=REPOSITORY,
        check=False,
    )
    blamed = dict(re.findall(r"ERROR at teardown of (\w+) _+\n((?:(?!_).*\n)+)", done.stdout))
    assert set(blamed) == {"test_holds", "test_drops_a_ring", "test_starts"}, done.stdout
    assert re.match(r"left open when the test was over: descriptor \d+ of socket", blamed["test_holds"])
    assert re.match(r"left to the garbage collector:\nunclosed <socket.socket", blamed["test_drops_a_ring"])
    assert re.match(r"left open when the test was over: thread forgotten", blamed["test_starts"])

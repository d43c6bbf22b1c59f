"""The implementations that the contract suites run against: a second one adds a class and a parameter here."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from cryptnsend.core.contracts import Blobs, Engine
from cryptnsend.store.files import FileBlobs
from cryptnsend.store.sqlite import SqliteEngine

WORKER = Path(__file__).with_name("worker.py")


class SqliteHarness:
    """Opens engines on one SQLite file, in this process and in others, and gets in their way."""

    def __init__(self, folder: Path):
        self.path = folder / "main.db"
        self._open: list[Engine] = []

    def engine(self, *, settle: Callable[[Sequence[str]], None] | None = None, patience: float = 10.0) -> Engine:
        """Open the data once more; closed at the end of the test."""
        return self._kept(SqliteEngine(self.path, settle=settle, patience=patience))

    def small_engine(self) -> Engine:
        """Open the data with room for about 200 KiB and no more."""
        return self._kept(SqliteEngine(self.path, max_pages=200))

    def engine_in(self, folder: Path) -> Engine:
        """Open other data, in a folder on a file system that the test controls."""
        return self._kept(SqliteEngine(folder / "main.db"))

    @contextlib.contextmanager
    def blocked(self, how: str) -> Iterator[None]:
        """Have another process hold the right to write, as one of ours (`ours`) or as a stranger would (`stranger`)."""
        with self.process(f"block-{how}") as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "blocking\n"
            yield

    @contextlib.contextmanager
    def process(self, task: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
        """Run a task of worker.py on the same data; killed at the end if it still runs."""
        command = [sys.executable, str(WORKER), json.dumps({"sqlite": str(self.path)}), task, *map(str, arguments)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def close(self) -> None:
        for engine in self._open:
            engine.close()

    def _kept(self, engine: Engine) -> Engine:
        self._open.append(engine)
        return engine


@pytest.fixture(params=[SqliteHarness])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    harness = request.param(tmp_path)
    yield harness
    harness.close()


class FileHarness:
    """Opens blob stores on one folder."""

    def __init__(self, folder: Path):
        self.folder = folder / "blobs"
        self._open: list[FileBlobs] = []

    def blobs(self) -> Blobs:
        """Open the data once more; closed at the end of the test."""
        return self.blobs_in(self.folder)

    def blobs_in(self, folder: Path) -> Blobs:
        """Open other data, in a folder on a file system that the test controls."""
        self._open.append(FileBlobs(folder))
        return self._open[-1]

    def close(self) -> None:
        for blobs in self._open:
            blobs.close()


@pytest.fixture(params=[FileHarness])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    harness = request.param(tmp_path)
    yield harness
    harness.close()


@pytest.fixture
def tiny_disk(tmp_path: Path, record_property: Callable[[str, object], None]) -> Iterator[Path | None]:
    """Mount a file system of 2 MiB, which only root may; None, and a loud word at the end of the run, if impossible."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", folder], capture_output=True, text=True)
    if mounted.returncode:
        record_property("not run", f"a full disk needs the right to mount a tmpfs: {mounted.stderr.strip()}")
        yield None
        return
    yield folder
    deadline = time.monotonic() + 60
    while subprocess.run(["umount", folder], capture_output=True).returncode:
        assert time.monotonic() < deadline, f"{folder} stays busy"

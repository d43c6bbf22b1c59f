"""A disk whose power can be cut: what was not flushed is gone, and so is each name whose folder was not flushed.

The disk is an ext4 image, mounted through a loop device, on a file system of its own. That one is frozen while the
image is copied, so that the copy has what had reached the disk at one moment, neither more nor less.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

MEGABYTES = 384
SOURCE = Path(__file__).with_name("names.c")


class NoDisk(Exception):
    """No image can be mounted here; the text says why."""


class Disk:
    """A mounted image; `path` is where. Use as a context manager."""

    def __init__(self, folder: Path):
        """Mount under *folder*, which has a short path."""
        self.path, self._below, self._after = folder / "disk", folder / "below", folder / "after"
        self._memory = Path("/dev/shm") / f"cryptnsend-power-{os.getpid()}-{folder.name}"
        self._library, self._names = folder / "names.so", folder / "names.log"
        self._stack = ExitStack()

    def __enter__(self) -> Disk:
        try:
            for each in (self.path, self._below, self._after):
                each.mkdir()
            self._make(self._memory, self._below, MEGABYTES + 64)
            self._make(self._image, self.path, MEGABYTES)
            _run("gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", self._library, SOURCE, "-ldl")
            self._names.touch()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *problem: object) -> None:
        self._stack.close()

    @property
    def _image(self) -> Path:
        return self._below / "image"

    @property
    def environment(self) -> Mapping[str, str]:
        """What a role needs in its environment so that names are noted which it makes."""
        return {"LD_PRELOAD": str(self._library), "NAMES_LOG": str(self._names), "NAMES_UNDER": str(self.path)}

    @contextmanager
    def cut(self) -> Iterator[Path]:
        """Yield where the disk is mounted as it is after a power cut at this moment; this one goes on."""
        copy = self._memory.with_name(self._memory.name + "-copy")
        try:
            _run("fsfreeze", "-f", self._below)
            try:
                _run("cp", "--sparse=always", self._image, copy)
                names = self._names.read_text().splitlines()
            finally:
                _run("fsfreeze", "-u", self._below)
            _run("mount", "-o", "loop", copy, self._after)
            try:
                for name in _unflushed(names):
                    (self._after / name.relative_to(self.path)).unlink(missing_ok=True)
                yield self._after
            finally:
                _run("umount", self._after)
        finally:
            copy.unlink(missing_ok=True)

    def turn_read_only(self) -> None:
        """Let the file system find an error, after which it lets nobody write any more."""
        device = os.stat(self.path).st_dev
        block = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve().name
        try:
            Path(f"/sys/fs/ext4/{block}/trigger_fs_error").write_text("for a test")
        except OSError as error:
            raise NoDisk(f"no file system can be given an error here: {error}") from error

    def _make(self, image: Path, folder: Path, megabytes: int) -> None:
        with image.open("wb") as file:
            file.truncate(megabytes << 20)
        self._stack.callback(image.unlink)
        _run("mkfs.ext4", "-q", "-m", "0", "-e", "remount-ro", image)
        _run("mount", "-o", "loop", image, folder)
        self._stack.callback(_run, "umount", folder)


def _unflushed(names: list[str]) -> set[Path]:
    """Return the names whose folder was not flushed after they were made."""
    waiting: set[Path] = set()
    for line in names:
        path = Path(line[1:])
        if line[0] == "+":
            waiting.add(path)
        else:
            waiting = {each for each in waiting if each.parent != path}
    return waiting


def _run(*command: object) -> None:
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    words = [str(each) for each in command]
    if shutil.which(words[0], path=path) is None:
        raise NoDisk(f"{words[0]} is missing")
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "PATH": path})
    if done.returncode:
        raise NoDisk(f"{' '.join(words)}: {done.stderr.strip()}")

"""How often does a server ask the disk to make things durable? Counted by strace, which slows everything down."""

from __future__ import annotations

import shutil
from pathlib import Path


def possible() -> bool:
    """Say whether strace is there."""
    return shutil.which("strace") is not None


class Count:
    """Counts fsync and fdatasync of everything that is started under `wrap`."""

    def __init__(self, folder: Path):
        self._folder = folder
        # -D: the server itself stays the child that was started. One file per process, so that no two mix their lines.
        self.wrap = ["strace", "-f", "-ff", "-D", "-qq", "--seccomp-bpf", "-e", "trace=fsync,fdatasync"]
        self.wrap += ["-o", str(folder / "calls")]

    def __enter__(self) -> Count:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        self._folder.chmod(0o777)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def so_far(self) -> int:
        """Return how many calls there were."""
        return sum(file.read_bytes().count(b"sync(") for file in self._folder.glob("calls.*"))

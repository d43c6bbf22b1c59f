"""What does a tree of processes use? CPU, memory, octets written, all from the kernel's own books."""

from __future__ import annotations

import os
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path

_TICK = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Used:
    """What a tree has used since it began; subtract two of them."""

    cpu: float  # seconds, user and system, of living and of ended processes
    written: int  # octets handed to block devices

    def __sub__(self, earlier: Used) -> Used:
        return Used(self.cpu - earlier.cpu, self.written - earlier.written)


def tree(roots: list[int]) -> list[int]:
    """Return *roots* and everything they started, as far as it lives."""
    parents: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdecimal() and (fields := _stat(int(entry))):
            parents.setdefault(int(fields[1]), []).append(int(entry))
    found, look = [], list(roots)
    while look:
        each = look.pop()
        found.append(each)
        look += parents.get(each, [])
    return found


def used(roots: list[int]) -> Used:
    """Return what the tree has used so far."""
    cpu, written = 0.0, 0
    for each in tree(roots):
        fields = _stat(each)
        if not fields:
            continue
        try:
            # The process's own clock counts nanoseconds, its ended threads included; /proc counts ticks.
            cpu += time.clock_gettime((~each << 3) | 2)
        except OSError:
            continue
        cpu += (int(fields[13]) + int(fields[14])) * _TICK  # children that have ended
        written += _written(each)
    return Used(cpu, written)


def memory(roots: list[int]) -> int:
    """Return the tree's proportional set size: octets, memory shared by several processes counted once."""
    return sum(_rolled_up(each, "Pss:") for each in tree(roots))


def resident(roots: list[int]) -> int:
    """Return the sum of the processes' resident sets in octets; shared memory counts once for each."""
    return sum(_rolled_up(each, "Rss:") for each in tree(roots))


def forget_peaks(roots: list[int]) -> bool:
    """Let `highest` begin anew; False where the kernel does not allow it."""
    try:
        for each in tree(roots):
            Path(f"/proc/{each}/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def highest(roots: list[int]) -> int:
    """Return the highest resident set of any one process of the tree since `forget_peaks`, in octets."""
    found = 0
    for each in tree(roots):
        try:
            lines = Path(f"/proc/{each}/status").read_text(encoding="ascii", errors="replace").splitlines()
        except OSError:
            continue
        found = max([found, *(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))])
    return found


class Peak:
    """The highest memory of a tree while a block runs."""

    def __init__(self, roots: list[int], pace: float = 0.2):
        self._roots, self._pace = roots, pace
        self.proportional = 0
        self.resident = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while True:
            self.proportional = max(self.proportional, memory(self._roots))
            self.resident = max(self.resident, resident(self._roots))
            if self._end.wait(self._pace):
                return


def answers(port: int) -> bool:
    """Say whether somebody listens on that port of loopback."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat behind the name, the state first; empty if the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return []
    return text[text.rindex(")") + 2 :].split()


def _written(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes:"))


def _rolled_up(pid: int, name: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)

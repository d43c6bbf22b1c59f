"""Who reads mail ends with the role it reads for, however that ends; so does the program that reads its pictures."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.dlp.documents import mail
from tests.support.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
ROLE = """
import sys
from cryptnsend.dlp.inspector import Inspector
from cryptnsend.dlp.nursery import Job
Inspector().inspect((sys.stdin.buffer.read(),), Job(ocr=sys.argv[1]))
"""
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(4096)


@pytest.fixture
def endless() -> Iterator[Path]:
    """A program that reads pictures, and never comes to an end."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)  # a reader is nobody
        program = Path(folder) / "slow-eyes"
        program.write_text("#!/bin/sh\nexec /bin/sleep 600\n")
        program.chmod(0o755)
        yield program


def offspring(parent: int) -> dict[int, str]:
    """Return the processes that came from *parent*, with what each runs."""
    parents, names = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                name, _, rest = (folder / "stat").read_text().partition("(")[2].rpartition(")")
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended while we looked
            parents[int(folder.name)], names[int(folder.name)] = int(rest.split()[1]), name
    found: dict[int, str] = {}
    while more := {each: names[each] for each in parents if parents[each] in (parent, *found) and each not in found}:
        found |= more
    return found


def test_whoever_reads_a_mail_ends_when_the_role_is_killed(endless: Path) -> None:
    """By the kernel: a reader that went on would read a mail of which nobody wants to hear any more."""
    with ExitStack() as stack:
        role = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-c", ROLE, str(endless)],
                stdin=subprocess.PIPE,
                env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
            )
        )
        assert role.stdin is not None
        role.stdin.write(mail(files={"scan.png": PICTURE}))
        role.stdin.close()
        wait_for(lambda: "sleep" in offspring(role.pid).values(), "a picture is read")
        everybody = offspring(role.pid)
        assert len(everybody) == 4  # nursery, watcher, reader, and the program
        ended = {os.pidfd_open(each): name for each, name in everybody.items()}
        for each in ended:
            stack.callback(os.close, each)
        role.kill()
        role.wait(60)
        for each, name in ended.items():
            alone = select.poll()
            alone.register(each, select.POLLIN)
            assert alone.poll(60_000), f"{name} goes on"

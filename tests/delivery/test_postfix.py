"""The courier against a program that is not ours: Postfix's smtp-sink, which speaks as Postfix does."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.delivery.peers import ENVELOPE, MESSAGE, courier
from tests.support.waiting import wait_for

SINK = "/usr/sbin/smtp-sink"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that smtp-sink, which gives up root, can write to."""
    path = Path(tempfile.mkdtemp(prefix="sink-", dir="/tmp"))
    path.chmod(0o777)
    yield path
    shutil.rmtree(path)


@contextmanager
def sink(folder: Path, *options: str) -> Iterator[str]:
    """Run smtp-sink on a free port and yield "host:port"; it keeps each message as a file in *folder*."""
    assert Path(SINK).exists(), "smtp-sink is missing: apt-get install postfix"
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    who = ["-u", "nobody"] if os.geteuid() == 0 else []
    command = [SINK, *who, *options, "-d", f"{folder}/%M.", f"127.0.0.1:{port}", "10"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def listening() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), 10).close()
        except OSError:
            return False
        return True

    try:
        wait_for(listening, "smtp-sink listens")
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def dumped(folder: Path) -> list[bytes]:
    """Return the messages that smtp-sink kept, without the lines that it adds in front."""
    return [path.read_bytes() for path in folder.iterdir()]


def test_messages_arrive_as_they_were(folder: Path) -> None:
    with sink(folder) as route:
        made = courier(routes={"peer.example": route})
        outcomes = [made.send(ENVELOPE, "opportunistic", MESSAGE) for _ in range(5)]
        made.close()
        assert [outcome.kind for outcome in outcomes] == ["delivered"] * 5
        wait_for(lambda: len(dumped(folder)) == 5, "five messages in the folder")
    for octets in dumped(folder):
        # smtp-sink ends lines with LF, and one more at the end; it puts the envelope in front.
        assert octets.rstrip(b"\n").endswith(MESSAGE.replace(b"\r\n", b"\n").rstrip(b"\n"))
        assert b"pat@peer.example" in octets


def test_25_megabytes_arrive_whole(folder: Path) -> None:
    line = b"x" * 76 + b"\r\n"
    content = [MESSAGE, *[line * 800] * 420]
    with sink(folder) as route:
        made = courier(routes={"peer.example": route})
        outcome = made.send(ENVELOPE, "opportunistic", lambda: iter(content))
        made.close()
        assert outcome.kind == "delivered"
        wait_for(lambda: len(dumped(folder)) == 1, "the message in the folder")
    assert dumped(folder)[0].count(b"x" * 76) == 336_000


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        (("-f", "RCPT"), "failed"),
        (("-f", "."), "failed"),
        (("-r", "RCPT"), "delayed"),
        (("-r", "."), "delayed"),
        (("-q", "MAIL"), "delayed"),
        (("-q", "."), "delayed"),
        (("-e",), "delivered"),
    ],
)
def test_postfix_ways_of_saying_no_become_outcomes(folder: Path, options: tuple[str, ...], kind: str) -> None:
    with sink(folder, *options) as route:
        made = courier(routes={"peer.example": route})
        assert made.send(ENVELOPE, "opportunistic", MESSAGE).kind == kind
        made.close()

"""Hosts that take any amount of mail: Postfix's smtp-sink, and one of ours that breaks off when it is least welcome."""

from __future__ import annotations

import os
import random
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.delivery.peers import Peer, Wire
from tests.support.waiting import wait_for

SINK = "/usr/sbin/smtp-sink"


class Taken(NamedTuple):
    """What a sink can tell of a mail."""

    message_id: str
    recipient: str


@pytest.fixture
def sink_folder() -> Iterator[Path]:
    """A folder that smtp-sink, which gives up root, can write to."""
    path = Path(tempfile.mkdtemp(prefix="sink-"))
    path.chmod(0o777)
    yield path
    shutil.rmtree(path)


@contextmanager
def smtp_sink(folder: Path, *options: str) -> Iterator[str]:
    """Run smtp-sink on a free port and yield "host:port"; it keeps each message as a file in *folder*."""
    assert Path(SINK).exists(), "smtp-sink is missing: apt-get install postfix"
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    who = ["-u", "nobody"] if os.geteuid() == 0 else []
    command = [SINK, *who, *options, "-d", f"{folder}/%M.", f"127.0.0.1:{port}", "100"]
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
    """Return the messages that smtp-sink kept, each with the envelope in front."""
    return [path.read_bytes() for path in folder.iterdir()]


def taken(folder: Path) -> list[Taken]:
    """Return what smtp-sink kept."""
    return [_taken(octets, rb"^X-Rcpt-Args: <(.*)>") for octets in dumped(folder)]


def _taken(octets: bytes, recipient: bytes) -> Taken:
    found = re.search(recipient, octets, re.MULTILINE)
    ident = re.search(rb"^Message-ID: *(<.*>)", octets, re.MULTILINE | re.IGNORECASE)
    assert found is not None
    assert ident is not None
    return Taken(ident[1].decode(), found[1].decode())


class Breaking(Peer):
    """
    Takes mail, and now and then resets the connection after the final dot, before the answer: some of that mail it has
    kept, some not. Nobody outside can tell which.
    """

    def __init__(self, share: float, seed: int = 1):
        self.taken: list[Taken] = []
        self.resets = 0
        self._share, self._chance, self._lock = share, random.Random(seed), threading.Lock()
        super().__init__(serve=self._take)

    def _take(self, wire: Wire) -> None:
        wire.say("220 peer.example ESMTP")
        recipient = ""
        while line := wire.line():
            verb = line.partition(" ")[0].upper()
            if verb == "RCPT":
                recipient = line
            wire.say(
                {
                    "EHLO": "250-peer.example\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 PIPELINING",
                    "DATA": "354 go on",
                    "QUIT": "221 bye",
                }.get(verb, "250 2.0.0 ok")
            )
            if verb == "QUIT":
                return
            if verb == "DATA" and not self._keeps(wire, recipient, wire.body()):
                return

    def _keeps(self, wire: Wire, command: str, body: bytes) -> bool:
        if not body:
            return False
        with self._lock:
            breaks = self._chance.random() < self._share
            keeps = not breaks or self._chance.random() < 0.5
            self.resets += breaks
            if keeps:
                self.taken.append(_taken(f"{command}\n".encode() + body, rb"^RCPT TO:<(.*?)>"))
        if not breaks:
            wire.say("250 2.0.0 kept")
            return True
        # With no time to linger, closing sends a reset.
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

"""Where mail goes in the benchmark of delivering: Postfix's smtp-sink, which keeps each mail as a file."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import processes
from generator import Failed

PROGRAM = "/usr/sbin/smtp-sink"


@dataclass(frozen=True, slots=True)
class Arrived:
    """One mail with its envelope; `octets` has LF line ends, without what hosts on the way put in front."""

    reverse_path: str
    recipient: str
    octets: bytes

    @property
    def ident(self) -> tuple[bytes, str]:
        """What tells it from all others: its Message-ID and whom it is for."""
        found = re.search(rb"^Message-ID: *(<.*>)", self.octets, re.MULTILINE | re.IGNORECASE)
        if found is None:
            raise Failed("A mail arrived without its Message-ID.")
        return found[1], self.recipient


class Sink:
    """smtp-sink on a free port."""

    def __init__(self, folder: Path):
        if not Path(PROGRAM).exists():
            raise Failed("smtp-sink is missing. On Debian: apt-get install postfix")
        self._folder = folder
        folder.mkdir()
        folder.chmod(0o777)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        command = [PROGRAM, "-u", "nobody", "-d", f"{folder}/%M.", f"127.0.0.1:{self.port}", "200"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while not processes.answers(self.port):
            if time.monotonic() > deadline:
                raise Failed("smtp-sink does not start.")
            time.sleep(0.05)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def count(self) -> int:
        """Return how many mails there are, some of them perhaps still on their way in."""
        return len(os.listdir(self._folder))

    def empty(self) -> list[Arrived]:
        """Return what has arrived, and forget it."""
        found = []
        for file in self._folder.iterdir():
            found.append(_read(file.read_bytes()))
            file.unlink()
        return found


def _read(octets: bytes) -> Arrived:
    sender = re.search(rb"^X-Mail-Args: <(.*?)>", octets, re.MULTILINE)
    recipient = re.search(rb"^X-Rcpt-Args: <(.*?)>", octets, re.MULTILINE)
    begin = octets.find(b"\nDKIM-Signature:")
    if sender is None or recipient is None or begin < 0:
        raise Failed("smtp-sink kept something that is no mail of ours.")
    return Arrived(sender[1].decode(), recipient[1].decode(), octets[begin + 1 :].rstrip(b"\n") + b"\n")

"""A mail program that sends exactly the octets it is told to, and what a server has in its home afterwards."""

from __future__ import annotations

import base64
import re
import socket
import sqlite3
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptnsend.home import Home
from tests.support.waiting import wait_for

TABLES = ("messages", "contents", "grants", "recipients", "deliveries", "threads")


class Wire:
    """One SMTP session over TLS."""

    def __init__(self, port: int, context: ssl.SSLContext, *, timeout: float = 60):
        self.socket = context.wrap_socket(
            socket.create_connection(("127.0.0.1", port), timeout), server_hostname="localhost"
        )
        self.file = self.socket.makefile("rb")

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up without a word."""
        self.file.close()
        self.socket.close()

    def reset(self) -> None:
        """Hang up as a crashed machine does: with a reset, whatever was on the way is lost."""
        raw = socket.socket(fileno=self.socket.detach())
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        raw.close()

    def send(self, octets: bytes) -> None:
        """Send these octets and nothing else."""
        self.socket.sendall(octets)

    def reply(self) -> str:
        """Return one reply, its lines joined by newlines; empty if the server hung up."""
        lines = []
        while True:
            try:
                line = self.file.readline().decode("ascii")
            except (ConnectionResetError, ssl.SSLError, BrokenPipeError):
                return ""
            if not line:
                return ""
            assert line.endswith("\r\n"), "a reply ends with CR LF"
            lines.append(line[:-2])
            if line[3:4] != "-":
                return "\n".join(lines)

    def say(self, command: str | bytes) -> str:
        """Send one command line and return the reply."""
        self.send((command if isinstance(command, bytes) else command.encode()) + b"\r\n")
        return self.reply()

    def greet(self) -> Wire:
        """Read the greeting and say EHLO."""
        assert self.reply().startswith("220 ")
        assert self.say("EHLO there").startswith("250-")
        return self

    def authenticate(self, user: str, password: str) -> str:
        """Return the answer to AUTH PLAIN."""
        return self.say("AUTH PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode()).decode())

    def sign_in(self, user: str, password: str) -> Wire:
        """Greet and sign in; fail if that is refused."""
        answer = self.greet().authenticate(user, password)
        assert answer.startswith("235 "), answer
        return self

    def envelope(self, sender: str, *recipients: str, parameters: str = "") -> Wire:
        """Open a transaction up to the 354."""
        assert self.say(f"MAIL FROM:<{sender}>{parameters}").startswith("250 ")
        for each in recipients:
            assert self.say(f"RCPT TO:<{each}>").startswith("250 ")
        assert self.say("DATA").startswith("354 ")
        return self

    def data(self, octets: bytes) -> str:
        """Send a well-formed content, dots stuffed, and return the answer to its end."""
        self.send(re.sub(rb"(?m)^\.", b"..", octets) + (b"" if octets.endswith(b"\r\n") else b"\r\n") + b".\r\n")
        return self.reply()


@dataclass(frozen=True)
class Kept:
    """How much of everybody's mail is in a home."""

    rows: dict[str, int]
    blobs: int


def kept(home: Home, root: Path = Path("/")) -> Kept:
    """Count rows and blobs; *root* is where the home's paths begin for a process in a world of its own."""
    main, blobs = (root / str(path).lstrip("/") for path in (home.main_db, home.blobs))
    database = sqlite3.connect(main, timeout=30)
    try:
        # Reports on earlier mail come when they come.
        counts = {
            table: database.execute(
                f"SELECT count(*) FROM {table}" + (" WHERE kind <> 'dsn'" if table == "deliveries" else "")  # noqa: S608
            ).fetchone()[0]
            for table in TABLES
        }
    finally:
        database.close()
    return Kept(counts, sum(1 for path in blobs.iterdir()))


def stays(home: Home, before: Kept, root: Path = Path("/")) -> None:
    """Wait until what is in the home is what was there before; fail if it stays different."""
    wait_for(lambda: kept(home, root) == before, f"nothing kept, but there is {kept(home, root)} after {before}")


def pids(home: Home, role: str) -> list[int]:
    """Return the processes that play a role of this home."""
    found, wanted = [], [b"serve", role.encode()]
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it ended while we looked, or is no process
            continue
        if all(word in command for word in wanted) and str(home.path).encode() in b"\0".join(command):
            found.append(int(entry.name))
    return found

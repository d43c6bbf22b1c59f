"""Scanners: the real clamd and rspamd with rules made by hand, and false ones that answer what a test tells them.

clamd starts within a second, because its database has three signatures; nothing is downloaded and nothing is updated.
rspamd starts as fast, without its rules and languages: it knows the test pattern that every spam filter knows.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.waiting import wait_for
from tests.support.zones import found_tool, free_port

# Written in two halves each, so that no scanner takes this file for what it is about.
EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-" + b"ANTIVIRUS-TEST-FILE!$H+H*"
GTUBE = "JS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-" + "ANTI-UBE-TEST-EMAIL*C.34X"
SPAM, DOUBTFUL = f"X{GTUBE}", f"Y{GTUBE}"  # rspamd: reject, and add header
PHRASE = "the marmot hides at noon"  # a virus of our own
STREAM_MAX = 4  # MiB that clamd takes
MISSING = "{} is missing: apt-get install clamav-daemon rspamd"


@dataclass(frozen=True, slots=True)
class Clam:
    """A clamd at a path, and at host and port."""

    path: str
    port: str
    folder: Path


@pytest.fixture(scope="session")
def clamd() -> Iterator[Clam]:
    """The real clamd with a database of three signatures; one for all tests of a worker."""
    assert found_tool("clamd"), MISSING.format("clamd")
    folder = Path(tempfile.mkdtemp(prefix="clamd-"))
    database, port = folder / "db", free_port()
    database.mkdir()
    (folder / "streams").mkdir()
    (database / "own.ndb").write_text(f"Test.Eicar:0:*:{EICAR.hex()}\nTest.Phrase:0:*:{PHRASE.encode().hex()}\n")
    (database / "own.hdb").write_text(f"{hashlib.md5(EICAR).hexdigest()}:{len(EICAR)}:Test.Eicar.Hash\n")  # noqa: S324
    (folder / "clamd.conf").write_text(
        f"LocalSocket {folder}/clamd.sock\nTCPSocket {port}\nTCPAddr 127.0.0.1\nDatabaseDirectory {database}\n"
        f"TemporaryDirectory {folder}/streams\nLogFile {folder}/clamd.log\nForeground yes\n"
        f"StreamMaxLength {STREAM_MAX}M\n"
    )
    with _running(folder, "clamd", "-c", f"{folder}/clamd.conf"):
        wait_for(lambda: _answers(f"{folder}/clamd.sock", b"zPING\0"), "clamd answers", seconds=60)
        yield Clam(f"{folder}/clamd.sock", f"127.0.0.1:{port}", folder)


@pytest.fixture(scope="session")
def rspamd() -> Iterator[str]:
    """The place of a real rspamd; one for all tests of a worker."""
    assert found_tool("rspamd"), MISSING.format("rspamd")
    folder, port = Path(tempfile.mkdtemp(prefix="rspamd-")), free_port()
    (folder / "languages").mkdir()
    (folder / "tld.dat").write_text("example\n")
    (folder / "rspamd.conf").write_text(
        'lua = "/usr/share/rspamd/rules/rspamd.lua"\n'
        f'options {{ filters = ""; tempdir = "{folder}"; pidfile = "{folder}/pid"; url_tld = "{folder}/tld.dat";\n'
        f'  control_socket = "{folder}/control.sock mode=0600"; hs_cache_dir = "{folder}/";\n'
        f'  cache_file = "{folder}/symbols.cache"; history_file = "{folder}/history"; enable_test_patterns = true;\n'
        '  gtube_patterns = "all"; disable_hyperscan = true;'  # the newer name of the same
        ' dns { nameserver = ["127.0.0.1:1"]; timeout = 0.1s; retransmits = 1; } }\n'
        f'lang_detection {{ languages = "{folder}/languages"; }}\n'
        "actions { reject = 15; add_header = 6; greylist = 4; }\n"
        'logging { type = "console"; level = "info"; }\n'
        f'worker "normal" {{ bind_socket = "127.0.0.1:{port}"; count = 1; mime = true; }}\n'
    )
    with _running(folder, "rspamd", "-f", "-i", "-c", f"{folder}/rspamd.conf"):
        ping = b"GET /ping HTTP/1.0\r\n\r\n"
        wait_for(lambda: _answers(f"127.0.0.1:{port}", ping), "rspamd answers", seconds=60)
        yield f"127.0.0.1:{port}"


class _running:
    """A program while it runs; its folder is thrown away behind it."""

    def __init__(self, folder: Path, *command: str):
        self._folder, self._command = folder, command

    def __enter__(self) -> None:
        with (self._folder / "out").open("wb") as out:
            self._process = subprocess.Popen(
                [found_tool(self._command[0]), *self._command[1:]], stdout=out, stderr=out, stdin=subprocess.DEVNULL
            )

    def __exit__(self, *problem: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def _answers(place: str, question: bytes) -> bool:
    try:
        with _line(place) as line:
            line.sendall(question)
            return bool(line.recv(100))
    except OSError:
        return False


def _line(place: str) -> socket.socket:
    if not place.startswith("/"):
        host, _, port = place.rpartition(":")
        return socket.create_connection((host, int(port)), timeout=5)
    line = socket.socket(socket.AF_UNIX)
    line.settimeout(5)
    try:
        line.connect(place)
    except OSError:
        line.close()
        raise
    return line


class FalseScanner:
    """
    Somebody at a port who does with each connection what a test says. Use as a context manager.

    `got` has what was read by `hear`. Connections end with the test, also those that nobody ends.
    """

    def __init__(self, behave: Callable[[FalseScanner, socket.socket], None]):
        self._behave, self.got, self.over = behave, bytearray(), threading.Event()
        self.connections = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._lines: list[socket.socket] = []

    @property
    def place(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> FalseScanner:
        self._start(self._accept)
        return self

    def __exit__(self, *problem: object) -> None:
        self.over.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        for line in list(self._lines):
            with contextlib.suppress(OSError):  # it has ended by itself
                line.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()
        self._listening.close()

    def hear(self, line: socket.socket, until: bytes) -> None:
        """Read up to *until*."""
        start = len(self.got)
        while until not in self.got[start:]:
            piece = line.recv(65536)
            if not piece:
                raise ConnectionError("the other side has gone")
            self.got += piece

    def hear_stream(self, line: socket.socket) -> None:
        """Read the whole of an INSTREAM; `got` has the octets of its chunks."""
        with line.makefile("rb") as said:
            assert said.read(10) == b"zINSTREAM\0"
            while length := int.from_bytes(said.read(4), "big"):
                self.got += said.read(length)

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name="false scanner")
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.over.is_set():
            try:
                line = self._listening.accept()[0]
            except OSError:
                return
            self.connections += 1
            self._lines.append(line)
            self._start(lambda line=line: self._serve(line))  # type: ignore[misc]

    def _serve(self, line: socket.socket) -> None:
        with line, contextlib.suppress(OSError):  # the other side may have had enough
            self._behave(self, line)


def nowhere() -> str:
    """Return a place at which nobody listens."""
    return f"127.0.0.1:{free_port()}"

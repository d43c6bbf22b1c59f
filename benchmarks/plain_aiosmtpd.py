"""A peer: aiosmtpd as it comes, whose handler writes each message to a file and flushes file and folder.

    python benchmarks/plain_aiosmtpd.py PORT FOLDER CERTIFICATE KEY PASSWORDS

That program is the server; the class starts it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import processes
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from generator import Sender
from postfix import free_port, wait

LARGEST = 50 * 1024 * 1024


class Plain:
    """One server of aiosmtpd, from `start` to `stop`."""

    name = "aiosmtpd"

    def __init__(self, folder: Path, certificate: Path, key: Path, senders: Sequence[Sender]):
        self.folder, self._queue = folder, folder / "queue"
        self._certificate, self._key, self._senders = certificate, key, senders
        self._server: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def roots(self) -> list[int]:
        """The processes whose trees are the server."""
        return [self._server.pid] if self._server else []

    def start(self, wrap: Sequence[str] = ()) -> None:
        """Start with an empty folder; *wrap* is a command to run it under, such as strace."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._queue.mkdir(parents=True)
        self.port = free_port()
        passwords = self.folder / "passwords"
        passwords.write_text("".join(f"{each.address} {each.password}\n" for each in self._senders))
        command = [*wrap, sys.executable, __file__, str(self.port)]
        command += [str(each) for each in (self._queue, self._certificate, self._key, passwords)]
        with open(self.folder / "said", "wb") as said:
            self._server = subprocess.Popen(command, stdout=said, stderr=said)
        wait(lambda: processes.answers(self.port), f"aiosmtpd answers (see {self.folder}/said)")

    def stop(self) -> None:
        """End it."""
        if self._server is not None:
            self._server.terminate()
            self._server.wait(30)
            self._server = None

    def held(self) -> int:
        """Return how many messages there are, which is all it took."""
        return sum(1 for _ in self._queue.glob("*.eml"))


class _Writing:
    """The handler: a message is acknowledged once its file and the folder are durable."""

    def __init__(self, folder: Path):
        self._folder, self._number = folder, 0
        self._directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self._number += 1
        number = self._number
        whole, unfinished = self._folder / f"{number}.eml", self._folder / f"{number}.part"
        with open(unfinished, "wb") as file:
            file.write(f"{envelope.mail_from} {' '.join(envelope.rcpt_tos)}\r\n".encode())
            file.write(envelope.content or b"")
            file.flush()
            os.fsync(file.fileno())
        os.rename(unfinished, whole)
        os.fsync(self._directory)
        return f"250 OK {number}"


async def _serve(port: int, folder: Path, certificate: Path, key: Path, passwords: Path) -> None:
    known = dict(line.split(" ", 1) for line in passwords.read_text().splitlines())

    def authenticate(server: SMTP, session: Session, envelope: Envelope, kind: str, data: LoginPassword) -> AuthResult:
        return AuthResult(success=known.get(data.login.decode()) == data.password.decode())

    def door() -> SMTP:
        return SMTP(
            handler,
            hostname="mail.clinic.example",
            data_size_limit=LARGEST,
            enable_SMTPUTF8=True,
            authenticator=authenticate,
            auth_required=True,
            auth_require_tls=False,  # it does not know that the connection has TLS from its first octet
        )

    handler = _Writing(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    server = await loop.create_server(door, "127.0.0.1", port, ssl=context, backlog=200)
    await ended.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), *(Path(each) for each in sys.argv[2:6])))

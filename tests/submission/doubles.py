"""Collaborators of the doors that remember what they were told, and a server of real TLS sockets around them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
import trustme

from cryptnsend.core.addresses import single_author
from cryptnsend.core.errors import NotAuthor, Refusal, Throttled, WrongSecret
from cryptnsend.home import bind
from cryptnsend.submission.connection import no_page
from cryptnsend.submission.limits import Limits
from cryptnsend.submission.listener import Envelope
from cryptnsend.submission.server import Door, Server
from cryptnsend.submission.tls import FixedCertificate, server_context
from tests.support.waiting import wait_for

HOST = "mail.example"
USER, PASSWORD = "ann@gmail.example", "correct horse battery"


@dataclass(frozen=True)
class Ann:
    """A subscriber."""

    account: int = 7
    organisation: int = 3
    address: str = USER
    aliases: frozenset[str] = frozenset({"dr.ruiz@clinic.example"})
    credential_version: int = 1
    device: int | None = None


@dataclass
class Gate:
    """A gatekeeper of one subscriber. `trouble` is raised instead of answering; `asked` are the calls."""

    subscriber: Ann = field(default_factory=Ann)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    trouble: Exception | None = None
    revoked: bool = False
    pause: threading.Event | None = None

    def authenticate(self, username: str, password: str, source: str) -> Ann:
        self.asked.append((username, password, source))
        if self.pause is not None:
            self.pause.wait(60)
        if self.trouble is not None:
            raise self.trouble
        if username == "tired@gmail.example":
            raise Throttled("Too many failures; wait 900 seconds.", retry_after=900)
        if username.casefold() != USER or password != PASSWORD or self.revoked:
            raise WrongSecret("no")
        return self.subscriber

    def still_valid(self, subscriber: Ann) -> bool:
        return not self.revoked


@dataclass
class Kept:
    """A message that was committed."""

    name: str
    envelope: Envelope
    header: bytes
    body: bytes
    digest: str
    size: int


class Draft:
    """A message being taken in; large ones are only hashed when the intake says so."""

    def __init__(self, intake: InMemoryIntake, envelope: Envelope):
        self.intake, self.envelope = intake, envelope
        self.head, self.pieces, self.size = b"", [], 0
        self.digest = hashlib.sha256()
        self.aborted = 0

    def header(self, octets: bytes) -> None:
        assert not self.head
        assert self.size == 0
        self.head = octets
        self._take(octets)
        if single_author(octets).address.lower() != USER:
            raise NotAuthor("You may only send as yourself.")

    def body(self, octets: bytes) -> Awaitable[None] | None:
        assert octets
        self._take(octets)
        if not self.intake.only_hash:
            self.pieces.append(octets)
        return self.intake.slowly() if self.intake.slowly is not None else None

    def _take(self, octets: bytes) -> None:
        self.size += len(octets)
        self.digest.update(octets)

    async def commit(self) -> str:
        if self.intake.before_commit is not None:
            await self.intake.before_commit()
        if self.intake.trouble is not None:
            raise self.intake.trouble
        name = f"m{len(self.intake.kept)}"
        body = b"".join(self.pieces)
        self.intake.kept.append(Kept(name, self.envelope, self.head, body, self.digest.hexdigest(), self.size))
        return name

    def abort(self) -> None:
        self.aborted += 1
        self.intake.aborted.append(self)


class InMemoryIntake:
    """An intake that keeps what was committed, and counts."""

    def __init__(self) -> None:
        self.kept: list[Kept] = []
        self.begun: list[Draft] = []
        self.aborted: list[Draft] = []
        self.inside = self.entered = 0
        self.trouble: Exception | None = None
        self.refuse_to_begin: Exception | None = None
        self.before_commit: Callable[[], Awaitable[None]] | None = None
        self.slowly: Callable[[], Awaitable[None]] | None = None
        self.only_hash = False

    def begin(self, subscriber: Ann, envelope: Envelope) -> Draft:
        assert self.inside > 0
        if self.refuse_to_begin is not None:
            raise self.refuse_to_begin
        draft = Draft(self, envelope)
        self.begun.append(draft)
        return draft

    def enter_transaction(self) -> None:
        self.inside += 1
        self.entered += 1

    def leave_transaction(self) -> None:
        self.inside -= 1
        assert self.inside >= 0


class Doors:
    """A server in a thread, with one door of each kind on loopback."""

    def __init__(self, authority: trustme.CA, limits: Limits, *, help_url: Callable[[str], str] = no_page):
        self.gate, self.intake = Gate(), InMemoryIntake()
        self.events: list[dict[str, Any]] = []
        self.limits = limits
        context = server_context()
        authority.issue_cert(HOST, "127.0.0.1").configure_cert(context)
        self.trust = ssl.create_default_context()
        authority.configure_trust(self.trust)
        sockets = [bind("127.0.0.1", 0), bind("127.0.0.1", 0)]
        self.implicit, self.starttls = (each.getsockname()[1] for each in sockets)
        doors = [Door(sockets[0], implicit_tls=True), Door(sockets[1], implicit_tls=False)]
        self.server = self._make(
            doors,
            certificate=FixedCertificate(context),
            hostname=HOST,
            log=structlog.wrap_logger(None, processors=[self._record]),
            limits=limits,
            help_url=help_url,
        )
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _make(self, doors: list[Door], **more: Any) -> Server:
        return Server(doors, gatekeeper=self.gate, intake=self.intake, **more)

    def _record(self, logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
        self.events.append({"level": method, **event})
        raise structlog.DropEvent

    def _run(self) -> None:
        async def run() -> None:
            self.loop = asyncio.get_running_loop()
            self._end = asyncio.Event()
            await self.server.start()
            self._started.set()
            await self._end.wait()
            await self.server.stop()

        asyncio.run(run())

    def start(self) -> Doors:
        self._started = threading.Event()
        self._thread.start()
        assert self._started.wait(60)
        return self

    def ask_to_stop(self) -> None:
        self.loop.call_soon_threadsafe(self._end.set)

    def stop(self) -> None:
        if self._thread.is_alive():
            self.ask_to_stop()
            self._thread.join(60)
        assert not self._thread.is_alive()

    def call(self, function: Callable[[], Any]) -> None:
        """Run *function* on the loop."""
        self.loop.call_soon_threadsafe(function)

    def settle(self) -> None:
        """Wait until no session is open and none is in a transaction."""
        house = self.server.house
        wait_for(
            lambda: not house.sessions and not self.intake.inside and not house.connections.open, "all sessions to end"
        )


class Client:
    """A raw SMTP client: what is sent is exactly what a test says, and a reply is read line by line."""

    def __init__(self, doors: Doors, *, tls: bool = True, timeout: float = 60):
        self.doors = doors
        self.socket = socket.create_connection(("127.0.0.1", doors.implicit if tls else doors.starttls), timeout)
        if tls:
            self.upgrade()
        else:
            self.file = self.socket.makefile("rb")

    def upgrade(self) -> None:
        self.socket = self.doors.trust.wrap_socket(self.socket, server_hostname=HOST)
        self.file = self.socket.makefile("rb")

    def send(self, octets: bytes) -> None:
        self.socket.sendall(octets)

    def reply(self) -> str:
        """Read one reply, lines joined by newlines; empty when the connection is closed."""
        lines = []
        while True:
            try:
                line = self.file.readline().decode("ascii")
            except (ConnectionResetError, ssl.SSLError):
                return ""
            if not line:
                assert not lines
                return ""
            assert line.endswith("\r\n")
            lines.append(line[:-2])
            if line[3:4] != "-":
                return "\n".join(lines)

    def say(self, command: str | bytes) -> str:
        self.send((command.encode() if isinstance(command, str) else command) + b"\r\n")
        return self.reply()

    def sign_in(self, password: str = PASSWORD) -> Client:
        assert self.reply().startswith("220 ")
        assert self.say("EHLO test").startswith("250-")
        assert self.say(plain(USER, password)) == "235 2.7.0 Welcome."
        return self

    def envelope(self, *recipients: str, parameters: str = "") -> Client:
        assert self.say(f"MAIL FROM:<{USER}>{parameters}") == "250 2.1.0 OK"
        for recipient in recipients or ("pat@yahoo.example",):
            assert self.say(f"RCPT TO:<{recipient}>") == "250 2.1.5 OK"
        return self

    def data(self) -> Client:
        assert self.say("DATA").startswith("354 ")
        return self

    def closed(self) -> bool:
        """Read what is left; true if there was nothing but the end."""
        return self.reply() == ""

    def close(self) -> None:
        self.file.close()
        self.socket.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def plain(username: str, password: str, acts_for: str = "") -> str:
    """Return an AUTH PLAIN line."""
    return "AUTH PLAIN " + base64.b64encode(f"{acts_for}\0{username}\0{password}".encode()).decode()


__all__ = ["HOST", "PASSWORD", "USER", "Ann", "Client", "Doors", "Gate", "InMemoryIntake", "Kept", "Refusal", "plain"]

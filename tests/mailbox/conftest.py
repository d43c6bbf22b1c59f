"""The IMAP and POP doors on a house in one process, and people with mail in it."""

from __future__ import annotations

import asyncio
import imaplib
import os
import poplib
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import pytest
import structlog
import trustme

from cryptnsend.home import bind
from cryptnsend.mailbox.connection import Rooms
from cryptnsend.mailbox.limits import Limits
from cryptnsend.mailbox.server import mailbox_server
from cryptnsend.submission import server
from cryptnsend.submission.tls import FixedCertificate, server_context
from tests.support.house import PASSWORD, House

# As in service, but for the waits that would make every test slow.
QUICK = Limits(auth_delay=0.02, drain=5.0, poll=0.2)
ANN, PAT = "ann@gmail.example", "pat@yahoo.example"


@dataclass
class MailDoors:
    """The doors of a house, on an event loop in a thread."""

    house: House
    authority: trustme.CA
    limits: Limits
    ports: dict[str, int] = field(default_factory=dict)
    lines: list[dict[str, object]] = field(default_factory=list)  # of the log

    def start(self) -> MailDoors:
        context = server_context()
        issued = self.authority.issue_cert("localhost", common_name="localhost", key_type=trustme.KeyType.ECDSA)
        issued.configure_cert(context)
        bound = {name: server.Door(bind("127.0.0.1", 0), True) for name in ("imaps", "pop3s")}
        self.ports = {name: door.socket.getsockname()[1] for name, door in bound.items()}
        app, started = self.house.mailbox, threading.Event()
        kind = structlog.make_filtering_bound_logger(0)
        log = structlog.wrap_logger(None, processors=[self._keep], wrapper_class=kind)

        async def live() -> None:
            self._loop, self._asked = asyncio.get_running_loop(), asyncio.Event()
            with ThreadPoolExecutor(4, "mailbox") as pool:
                self.server = mailbox_server(
                    bound,
                    gate=app.mail_gate,
                    rooms=Rooms(app.mailboxes, app.shelf, app.filing),
                    pool=pool,
                    clock=app.clock,
                    certificate=FixedCertificate(context),
                    hostname="mail.clinic.example",
                    message_octets=self.house.config.limits.message_octets,
                    log=log,
                    limits=self.limits,
                )
                await self.server.start()
                started.set()
                await self._asked.wait()
                await self.server.stop()

        self._thread = threading.Thread(target=lambda: asyncio.run(live()), name="mail doors")
        self._thread.start()
        assert started.wait(60)
        return self

    def _keep(self, _logger: object, _method: str, event: dict[str, object]) -> str:
        self.lines.append(dict(event))
        raise structlog.DropEvent

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._asked.set)
        self._thread.join(60)
        assert not self._thread.is_alive()

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context

    def imap(self) -> imaplib.IMAP4_SSL:
        """Connect, without signing in."""
        return imaplib.IMAP4_SSL("localhost", self.ports["imaps"], ssl_context=self.context(), timeout=60)

    def pop(self) -> poplib.POP3_SSL:
        """Connect, without signing in."""
        return poplib.POP3_SSL("localhost", self.ports["pop3s"], context=self.context(), timeout=60)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


@pytest.fixture
def open_doors(house: House, authority: trustme.CA) -> Iterator[Callable[..., MailDoors]]:
    """Return a function that opens the doors with other limits; no session may fail in a way that is ours."""
    opened: list[MailDoors] = []

    def open_with(**limits: float) -> MailDoors:
        opened.append(MailDoors(house, authority, replace(QUICK, **limits)).start())
        return opened[-1]

    yield open_with
    for doors in opened:
        doors.stop()
        assert [line for line in doors.lines if line["event"] == "session failed"] == []


@pytest.fixture
def doors(open_doors: Callable[..., MailDoors]) -> MailDoors:
    return open_doors()


@pytest.fixture
def ann(house: House) -> str:
    """A subscriber."""
    house.add_subscriber(ANN)
    return ANN


def reply(house: House, text: str = "Thank you.", subject: str = "Results") -> int:
    """Let Pat answer a message of Ann's; return the id of the answer, which lies in Ann's INBOX."""
    message = house.submit(ANN, [PAT], house.mail(subject, "All is well.", author=ANN, to=(PAT,)))
    if house.engine.query("SELECT 1 AS one FROM addresses WHERE canonical = :a AND account IS NOT NULL", a=PAT):
        session = house.session(PAT)
    else:
        session = house.register(PAT, message)
    return house.replies.send(session, message, everybody=False, text=text, files=(), nonce=os.urandom(16))


@pytest.fixture
def client(doors: MailDoors, ann: str) -> Iterator[imaplib.IMAP4_SSL]:
    """A connection that Ann is signed in on, with her main password."""
    made = doors.imap()
    made.login(ann, PASSWORD)
    yield made
    made.shutdown() if made.state == "LOGOUT" else made.logout()

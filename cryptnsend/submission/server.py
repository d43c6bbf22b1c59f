"""How do the doors open, and how do they close? Sockets, accepting, deadlines, certificates, signals."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import ssl
from collections.abc import Callable, Coroutine, Sequence, Set
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
import uvloop

from cryptnsend.submission.auth import Turnstile
from cryptnsend.submission.connection import Connection, no_page
from cryptnsend.submission.contract import Gatekeeper, Intake
from cryptnsend.submission.limits import Admission, Connections, Limits, plain_address, source_of
from cryptnsend.submission.listener import House, SubmissionSession

_AT_ONCE = 64  # connections accepted before the loop does something else
_BACKLOG = 1024
_GARBAGE = 5_000  # objects more than before at which the collector looks; a message leaves some hundreds of them behind
_SWEEP = 0.5  # seconds between two looks at the deadlines
_RENEW = 30.0  # seconds between two looks at the certificate's files

Hurry = tuple[float, Callable[[], None]]  # seconds after the signal to stop, and what then ends what others wait for


class Renewable(Protocol):
    """A TLS context that can be made anew; `tls.Certificate` and `tls.FixedCertificate` are."""

    @property
    def context(self) -> ssl.SSLContext: ...

    def renew(self, *, always: bool = False) -> bool: ...


@dataclass(frozen=True, slots=True)
class Door:
    """A bound socket, and whether TLS starts with its first octet (465) or by STARTTLS (587)."""

    socket: socket.socket
    implicit_tls: bool
    session: Callable[..., Any] | None = None  # makes the protocol of a connection, if not all doors speak the same


class Session(Protocol):
    """One connection, as far as the doors look after it; besides, it is an `asyncio.Protocol`."""

    deadline: float  # loop time; `expire` is called from then on until it is gone

    def expire(self) -> None: ...
    def drain(self) -> None: ...
    def cut(self) -> None: ...


class Household(Protocol):
    """What the sessions of one process share, as far as the doors use it; sessions come and go by themselves."""

    draining: bool

    @property
    def limits(self) -> Limits: ...
    @property
    def turnstile(self) -> Turnstile: ...
    @property
    def connections(self) -> Connections: ...
    @property
    def sessions(self) -> Set[Session]: ...


class Doorkeeper:
    """Opens doors, accepts, keeps deadlines, renews the certificate. All but the constructor runs on the event loop."""

    def __init__(
        self,
        doors: Sequence[Door],
        *,
        house: Household,
        certificate: Renewable,
        log: structlog.typing.FilteringBoundLogger,
        session: Callable[..., Any],
    ):
        """*session* makes the protocol of a connection, unless its door has one of its own."""
        self._doors = doors
        self._certificate = certificate
        self._log = log
        self.house = house
        self._session = session
        self._arriving: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._next_look = 0.0

    async def start(self) -> None:
        """Listen."""
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._unhandled)
        for door in self._doors:
            door.socket.setblocking(False)
            door.socket.listen(_BACKLOG)
            self._loop.add_reader(door.socket, self._accept, door)
        self._sweep()
        self._log.info("doors open", ports=[door.socket.getsockname()[1] for door in self._doors])

    async def stop(self) -> None:
        """Take no more connections, give open transactions `Limits.drain` seconds, then end what is left."""
        house = self.house
        house.draining = True
        for door in self._doors:
            self._loop.remove_reader(door.socket)
            door.socket.close()
        for task in self._arriving:
            task.cancel()
        for session in list(house.sessions):
            session.drain()
        if not await self._empty(within=house.limits.drain):
            for session in list(house.sessions):
                session.cut()
            await self._empty(within=house.limits.linger + 2 * _SWEEP)
        if self._sweeper is not None:
            self._sweeper.cancel()
        house.turnstile.close()
        self._log.info("doors closed", left=len(house.sessions))

    def renew(self, *, always: bool = False) -> None:
        """Look whether the certificate is a new one."""
        self._certificate.renew(always=always)

    async def _empty(self, *, within: float) -> bool:
        until = self._loop.time() + within
        while self.house.sessions and self._loop.time() < until:
            await asyncio.sleep(0.05)
        return not self.house.sessions

    def _sweep(self) -> None:
        # One timer for all sessions: setting and cancelling one per command costs more than this look at them all.
        now = self._loop.time()
        for session in list(self.house.sessions):
            if session.deadline <= now:
                session.expire()
        if now >= self._next_look:
            self._next_look = now + _RENEW
            self._certificate.renew()
        self._sweeper = self._loop.call_later(_SWEEP, self._sweep)

    def _accept(self, door: Door) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, address = door.socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                # Out of file descriptors, most likely. The socket stays readable, so looking again at once would spin.
                self._log.error("cannot accept connections", error=error.strerror)
                self._loop.remove_reader(door.socket)
                self._loop.call_later(1.0, self._listen_again, door)
                return
            connection.setblocking(False)
            source = plain_address(address[0])
            counted_as = source_of(source)
            admission = self.house.connections.arrive(counted_as)
            if admission is Admission.DROPPED:
                connection.close()
                continue
            task = self._loop.create_task(self._welcome(door, connection, source, counted_as, admission))
            self._arriving.add(task)
            task.add_done_callback(self._arriving.discard)

    def _listen_again(self, door: Door) -> None:
        if not self.house.draining:
            self._loop.add_reader(door.socket, self._accept, door)

    async def _welcome(
        self, door: Door, connection: socket.socket, source: str, counted_as: str, admission: Admission
    ) -> None:
        limits = self.house.limits
        session = (door.session or self._session)(
            self.house,
            source=source,
            counted_as=counted_as,
            implicit_tls=door.implicit_tls,
            refused=admission is Admission.REFUSED,
        )
        secured: dict[str, Any] = {}
        if door.implicit_tls:
            secured["ssl"] = self._certificate.context
            secured["ssl_handshake_timeout"] = limits.handshake
            secured["ssl_shutdown_timeout"] = limits.linger
        try:
            await self._loop.connect_accepted_socket(lambda: session, connection, **secured)
        except BaseException as error:
            if session not in self.house.sessions:
                connection.close()
                self.house.connections.leave(counted_as, None)
            if not isinstance(error, OSError):
                raise
            # Port scanners, and clients that do not like our certificate.
            self._log.info("no TLS", source=source, error=type(error).__name__)

    def _unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # The default handler prints representations of whatever was involved.
        self._log.error("event loop", what=context.get("message"), error=type(context.get("exception")).__name__)


class Server(Doorkeeper):
    """The SMTP doors of one process."""

    def __init__(
        self,
        doors: Sequence[Door],
        *,
        gatekeeper: Gatekeeper,
        intake: Intake,
        certificate: Renewable,
        hostname: str,
        log: structlog.typing.FilteringBoundLogger,
        limits: Limits | None = None,
        help_url: Callable[[str], str] = no_page,
        session: Callable[..., Connection] = SubmissionSession,
    ):
        limits = limits or Limits()
        log = log.bind()  # a logger that is not bound is made anew for every line
        turnstile = Turnstile(gatekeeper, limits, log)
        house = House(hostname, limits, turnstile, intake, certificate, log, help_url)
        super().__init__(doors, house=house, certificate=certificate, log=log, session=session)


def serve(
    doors: Sequence[Door],
    *,
    gatekeeper: Gatekeeper,
    intake: Intake | Callable[[asyncio.AbstractEventLoop], Intake],
    certificate: Renewable,
    hostname: str,
    log: structlog.typing.FilteringBoundLogger,
    limits: Limits | None = None,
    help_url: Callable[[str], str] = no_page,
    ready: Callable[[], None] | None = None,
    hurry: Hurry | None = None,
) -> None:
    """
    Keep the doors open until SIGTERM or SIGINT; call in the main thread.

    The first of them drains (`Server.stop`), the second ends at once; SIGHUP reloads the certificate. *ready* is called
    when the doors are open, and *hurry* some time after the first signal. *intake*, or what makes it for the loop, is
    used from this thread only.
    """

    def make(loop: asyncio.AbstractEventLoop) -> Server:
        return Server(
            doors,
            gatekeeper=gatekeeper,
            intake=intake(loop) if callable(intake) else intake,
            certificate=certificate,
            hostname=hostname,
            log=log,
            limits=limits,
            help_url=help_url,
        )

    run(until_stopped(make, ready, hurry))


def run(story: Coroutine[Any, Any, None]) -> None:
    """Run *story* to its end on a loop of its own; call in the main thread."""
    # asyncio's own loop does TLS and transports in Python. That is a quarter of what a connection with one message
    # costs, and three times the memory of an idle one.
    uvloop.run(story)


async def until_stopped(
    make: Callable[[asyncio.AbstractEventLoop], Doorkeeper],
    ready: Callable[[], None] | None = None,
    hurry: Hurry | None = None,
) -> None:
    """Run the server that *make* returns for the loop, until signals end it as `serve` says."""
    loop = asyncio.get_running_loop()
    server = make(loop)
    asked, insisted = asyncio.Event(), asyncio.Event()

    def end() -> None:
        (insisted if asked.is_set() else asked).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    loop.add_signal_handler(signal.SIGHUP, lambda: server.renew(always=True))
    await server.start()
    # What is here now stays for as long as the process does, and need not be looked through again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE, *gc.get_threshold()[1:])
    if ready is not None:
        ready()
    await asked.wait()
    if hurry is not None:
        loop.call_later(*hurry)
    stopping = loop.create_task(server.stop())
    insisting = loop.create_task(insisted.wait())
    await asyncio.wait({stopping, insisting}, return_when=asyncio.FIRST_COMPLETED)
    for task in (stopping, insisting):
        task.cancel()
    await asyncio.gather(stopping, insisting, return_exceptions=True)
    if hurry is not None:
        hurry[1]()  # threads that are waited for after the loop

"""How does one connection of the doors live and end? Octets in and out, the command loop, deadlines.

`Connection` is aiosmtpd's `SMTP` with everything replaced that reads octets or answers: stock reads DATA a line at a
time into memory, keeps bare CR and LF, answers without enhanced codes, and spends more on its timers and log lines than
on small mail. The commands are in listener.py.
"""

from __future__ import annotations

import asyncio
import logging
import math
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Protocol

import structlog
from aiosmtpd.smtp import SMTP

from cryptnsend import metrics
from cryptnsend.core.errors import Refusal, Temporary, Unencrypted
from cryptnsend.core.topics import topic
from cryptnsend.submission.auth import Turnstile
from cryptnsend.submission.contract import Intake, Subscriber
from cryptnsend.submission.limits import Connections, Limits
from cryptnsend.submission.replies import listing, reply
from cryptnsend.submission.wire import Inbox, LineTooLong

# Whatever level somebody sets for the root logger: aiosmtpd logs commands at INFO and content at DEBUG.
logging.getLogger("mail.log").disabled = True

_FULL = 128 * 1024  # octets waiting to be read at which the client has to wait
_QUIET = 0.25  # seconds of silence that show that a client has sent what it wanted to send
_WITHOUT_TLS = frozenset({"EHLO", "HELO", "STARTTLS", "NOOP", "RSET", "HELP", "QUIT"})
_OTHER_PROTOCOLS = frozenset({"GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT"})


Command = Callable[[Any, str | None], Awaitable[None]]


class HasContext(Protocol):
    """Something that has the TLS context for the next handshake."""

    @property
    def context(self) -> ssl.SSLContext: ...


def no_page(_topic: str) -> str:
    """Know no page about anything."""
    return ""


@dataclass
class House:
    """What all sessions of one process share."""

    hostname: str
    limits: Limits
    turnstile: Turnstile
    intake: Intake
    certificate: HasContext
    log: structlog.typing.FilteringBoundLogger
    help_url: Callable[[str], str] = no_page  # URL of the page about a topic of `core.topics`, or ''
    draining: bool = False
    sessions: set[Connection] = field(default_factory=set)

    @cached_property
    def connections(self) -> Connections:
        """Return the count of open connections."""
        return Connections(self.limits)

    @cached_property
    def greeting(self) -> bytes:
        """Return the first line of every session."""
        return reply(220, "", f"{self.hostname} ESMTP CryptnSend")

    @cached_property
    def before_tls(self) -> bytes:
        """Return the answer to EHLO in clear."""
        return listing(250, [*self._keywords, "STARTTLS", "HELP"])

    @cached_property
    def under_tls(self) -> bytes:
        """Return the answer to EHLO under TLS."""
        return listing(250, [*self._keywords, "AUTH PLAIN LOGIN", "REQUIRETLS", "HELP"])

    @property
    def _keywords(self) -> list[str]:
        size = f"SIZE {self.limits.size}"
        return [self.hostname, size, "8BITMIME", "SMTPUTF8", "PIPELINING", "ENHANCEDSTATUSCODES", "DSN"]

    def refusal(self, problem: Refusal | Temporary) -> bytes:
        """Write the reply that refuses: a code, an enhanced code, a sentence, and where to read more."""
        metrics.count("smtp_refusals", code=str(problem.code), status=problem.status)
        return reply(problem.code, problem.status, f"{problem} {self.help_url(topic(problem))}".rstrip())


class Gone(Exception):
    """The client is no longer there."""


class HangUp(Exception):
    """Say this and close the connection."""

    def __init__(self, problem: Refusal | Temporary):
        super().__init__(str(problem))
        self.problem = problem


class _NoHooks:
    """aiosmtpd's handler: we have none, and it is looked through anew for every connection."""

    def __dir__(self) -> list[str]:
        return []


class Connection(SMTP):
    """One connection, from its greeting to its end; a subclass has the commands."""

    commands: ClassVar[dict[str, Command]] = {}  # verb in upper case → method that answers it
    needs_tls: ClassVar[bool] = True  # before anything but greeting and asking for it

    def __init__(self, house: House, *, source: str, counted_as: str, implicit_tls: bool, refused: bool = False):
        # auth_require_tls: stock does not see implicit TLS, and would hide AUTH on 465.
        super().__init__(
            _NO_HOOKS,
            hostname=house.hostname,
            data_size_limit=house.limits.size,
            enable_SMTPUTF8=True,
            auth_require_tls=not implicit_tls,
            loop=asyncio.get_running_loop(),
        )
        self._house = house
        self._limits = house.limits
        self._source, self._counted_as = source, counted_as
        self._refused = refused
        self._tls = ""  # the version in use
        self._subscriber: Subscriber | None = None
        self._busy = False  # in a transaction: between MAIL and the reply to its message
        self._junk = 0
        self._inbox = Inbox()
        self._outbox = bytearray()
        self._waiter: asyncio.Future[None] | None = None  # for input
        self._stalled: asyncio.Future[None] | None = None  # until the client reads our replies
        self._reading, self._eof = True, False
        self._leaving, self._closing = False, False  # said why; transport closed
        self.deadline = math.inf  # loop time; the sweep ends sessions that are past it

    def __dir__(self) -> list[str]:
        # The constructor looks for commands in dir() of every session, twice. Ours are known before, and a stock method
        # that it does not find cannot answer in our place.
        return []

    # --- the connection --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the session; on 465 this is after the handshake."""
        self.transport: Any = transport
        self._note_tls()
        self._house.sessions.add(self)
        self._handler_coroutine = self.loop.create_task(self._handle_client())

    def connection_lost(self, error: Exception | None) -> None:
        """Let the session end by itself: a message whose last dot was read is still finished."""
        self._closing = self._eof = True
        self.deadline = math.inf
        self._wake()
        self.resume_writing()
        if self in self._house.sessions:
            self._house.sessions.discard(self)
            self._house.connections.leave(self._counted_as, self._subscriber.account if self._subscriber else None)

    def data_received(self, data: bytes) -> None:
        """Take what arrived, and stop the client for a while if it is faster than we are."""
        self._inbox.feed(data)
        if self._reading and len(self._inbox) > _FULL:
            self._reading = False
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """End when what is here has been answered; the transport closes by itself."""
        self._eof = True
        self._wake()
        return False

    def pause_writing(self) -> None:
        """Wait with more replies: the client does not read them."""
        if self._stalled is None:
            self._stalled = self.loop.create_future()

    def resume_writing(self) -> None:
        """Go on with replies."""
        if self._stalled is not None:
            self._stalled.set_result(None)
            self._stalled = None

    def expire(self) -> None:
        """End a session whose deadline has passed; called by the sweep until it is gone."""
        if self._closing or self._leaving:
            self.transport.abort()
        else:
            self._goodbye(Temporary("Too slow, closing the connection."), status="4.4.2")

    def drain(self) -> None:
        """Say goodbye, unless a transaction is open: that one may finish."""
        if not self._busy and not self._leaving and not self._closing:
            self._goodbye(Temporary("The server is stopping; try again in a moment."), status="4.3.2")

    def cut(self) -> None:
        """Say goodbye now; a message in DATA is thrown away, one being committed is not touched."""
        if not self._leaving and not self._closing:
            self._goodbye(Temporary("The server is stopping; try again in a moment."), status="4.3.2")

    def _goodbye(self, problem: Temporary, *, status: str) -> None:
        problem.code, problem.status = 421, status
        self.transport.write(self._house.refusal(problem))
        self._close()

    def _close(self) -> None:
        self._closing = True
        self.deadline = self.loop.time() + self._limits.linger  # from then on the sweep aborts
        self.transport.close()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _note_tls(self) -> None:
        secured = self.transport.get_extra_info("ssl_object")
        self._tls = secured.version() or "" if secured is not None else ""

    # --- reading and answering -------------------------------------------------------------------------------------

    async def _flush(self) -> None:
        # Replies to commands that came together leave together (RFC 2920 §3.2): one TLS record, one system call.
        if self._outbox and not self._closing:
            self.transport.write(bytes(self._outbox))
            self._outbox.clear()
            if self._stalled is not None:
                await self._stalled

    async def _more(self) -> None:
        """Wait for input; raise `Gone` if there will be none."""
        before = len(self._inbox)
        await self._flush()
        if len(self._inbox) != before:
            return  # it came while the client had stopped reading
        if self._closing or self._eof:
            raise Gone
        if not self._reading:
            self._reading = True
            self.transport.resume_reading()
        self._waiter = self.loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    async def _line(self, limit: int) -> bytes:
        """Return the next line without its end; raise `Refusal` if it is too long or not well formed."""
        try:
            while (line := self._inbox.line(limit)) is None:
                await self._more()
        except LineTooLong:
            raise Refusal("The line is too long.", code=500, status="5.5.2") from None
        if line[-2:] != b"\r\n" or b"\r" in line[:-2] or b"\0" in line:
            # Who ends a command with LF alone may mean something else by CR LF than we do.
            raise Refusal("Lines end with CR LF, and contain no other CR and no NUL.", code=500, status="5.5.2")
        return line[:-2]

    async def _handle_client(self) -> None:
        try:
            if self._refused:
                raise HangUp(recoded(Temporary("Too many connections; try again later."), 421, "4.3.2"))
            self._outbox += self._house.greeting
            while not self._closing:
                await self._serve_command()
        except Gone:
            pass
        except HangUp as end:
            await self._hang_up(end.problem)
        except Exception as error:
            self._log_failure(error)
        finally:
            self._end_transaction()
            if not self._closing:
                self._close()

    async def _hang_up(self, problem: Refusal | Temporary) -> None:
        """
        Say why and close.

        Closing on octets that were not read makes the system drop what we said last, so a client that still sends is
        listened to for a moment.
        """
        self._outbox += self._house.refusal(problem)
        self._leaving = True
        until = self.loop.time() + self._limits.linger
        self.deadline = until + 2 * _QUIET
        try:
            await self._flush()
            while self.loop.time() < until:
                self._inbox.clear()
                await asyncio.wait_for(self._more(), _QUIET)
        except (Gone, TimeoutError):
            pass

    async def _serve_command(self) -> None:
        """Read one command and answer it."""
        try:
            if self._house.draining and not self._busy:
                raise HangUp(recoded(Temporary("The server is stopping; try again in a moment."), 421, "4.3.2"))
            self.deadline = self.loop.time() + self._limits.idle
            line = await self._line(self._limits.command_line if self._subscriber else self._limits.auth_line)
            # Time spent on the answer is ours, not the client's.
            self.deadline = math.inf
            verb, argument = _split(line)
            if verb != "AUTH" and len(line) + 2 > self._limits.command_line:
                raise Refusal("The line is too long.", code=500, status="5.5.2")
            command = self.commands.get(verb)
            if command is None:
                raise _unknown(verb)
            if self.needs_tls and not self._tls and verb not in _WITHOUT_TLS:
                raise _tls_first(verb)
            await command(self, argument)
        except Refusal as problem:
            self._outbox += self._house.refusal(problem)
            self._count_junk()
        except Temporary as problem:
            self._outbox += self._house.refusal(problem)
        except (Gone, HangUp):
            raise
        except Exception as error:
            self.deadline = math.inf
            self._outbox += (await self.handle_exception(error)).encode("ascii") + b"\r\n"
            self._count_junk()

    async def handle_exception(self, error: Exception) -> str:
        """Return the reply to a fault of ours. What the exception says may be the content of a mail."""
        self._log_failure(error)
        return self._house.refusal(ours()).decode("ascii").rstrip("\r\n")

    def _log_failure(self, error: Exception) -> None:
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""
        self._house.log.error("session failed", error=type(error).__name__, place=place, source=self._source)

    def _count_junk(self) -> None:
        """Count a command that led nowhere; raise `HangUp` when there were too many since the last message."""
        self._junk += 1
        if self._junk >= self._limits.junk:
            self._house.log.info("too many empty commands", source=self._source)
            raise HangUp(recoded(Temporary("Too many commands that lead nowhere."), 421, "4.7.0"))

    def _end_transaction(self) -> None:
        if self._busy:
            self._busy = False
            self._house.intake.leave_transaction()


_NO_HOOKS = _NoHooks()


def _split(line: bytes) -> tuple[str, str | None]:
    """Return (verb in upper case, argument without blanks around it); what is not UTF-8 becomes surrogates."""
    verb, _, argument = line.partition(b" ")
    return verb.upper().decode("latin-1"), argument.decode("utf-8", "surrogateescape").strip() or None


def _unknown(verb: str) -> Exception:
    if verb in _OTHER_PROTOCOLS:
        # A browser that was made to talk to us would go on with a body that contains commands.
        return HangUp(recoded(Temporary("This is a mail server."), 421, "4.7.0"))
    return Refusal("This command is not known here.", code=500, status="5.5.1")


def _tls_first(verb: str) -> Refusal:
    if verb == "AUTH":
        return Refusal("Say STARTTLS first: passwords travel encrypted only.", code=538, status="5.7.11")
    return Unencrypted("Say STARTTLS first.")


def recoded(problem: Temporary, code: int, status: str) -> Temporary:
    """Give *problem* another reply code and enhanced code."""
    problem.code, problem.status = code, status
    return problem


def ours() -> Temporary:
    """Return what a client is told about a fault of ours."""
    return Temporary("Something went wrong here; nothing was kept. Try again later.")

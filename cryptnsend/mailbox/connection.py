"""How does one connection of the mailbox doors live and end? Octets in and out, deadlines, work in threads.

What IMAP and POP have in common. Whatever asks the store or opens a message runs in a thread of a small pool; the
loop's thread only moves octets. What a client has not read yet stops what is written to it, so that no answer is ever
held as a whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar, cast

import structlog

from cryptnsend.core.contracts import Clock
from cryptnsend.core.errors import Temporary, Throttled, WrongSecret
from cryptnsend.flow.filing import Filing
from cryptnsend.flow.mailboxes import Mailboxes
from cryptnsend.flow.mailgate import Reader
from cryptnsend.flow.serving import Shelf
from cryptnsend.mailbox.finished import Room
from cryptnsend.mailbox.limits import Limits
from cryptnsend.submission import auth
from cryptnsend.submission.limits import Connections

T = TypeVar("T")
FULL = 256 * 1024  # octets that wait to be read at which the client has to wait
PIECE = 64 * 1024  # octets written at once
POURED = 256 * 1024  # octets that one turn of a thread brings: each turn costs as much as several messages


@dataclass(frozen=True, slots=True)
class Rooms:
    """The flows that the doors lead to."""

    boxes: Mailboxes
    shelf: Shelf
    filing: Filing


@dataclass
class House:
    """What all connections of one process share."""

    hostname: str
    limits: Limits
    turnstile: auth.Turnstile
    rooms: Rooms
    pool: ThreadPoolExecutor
    log: structlog.typing.FilteringBoundLogger
    clock: Clock
    message_octets: int  # the largest message that is taken
    lists: Room = field(default_factory=Room)  # what connections keep of lists
    draining: bool = False
    sessions: set[Connection] = field(default_factory=set)
    waiting: defaultdict[int, set[asyncio.Event]] = field(default_factory=lambda: defaultdict(set))

    @cached_property
    def connections(self) -> Connections:
        """Return the count of open connections."""
        return Connections(self.limits)

    def poke(self, account: int) -> None:
        """Let who idles on this account look at once: something has changed there."""
        for event in self.waiting.get(account, ()):
            event.set()


class Gone(Exception):
    """The client is no longer there."""


class Farewell(Exception):
    """Say this and close the connection."""


class SignInEnded(Farewell):
    """Who signed in may no longer: revoked, disabled, or the password was changed."""


class Refused(Exception):
    """Signing in did not work; *code* is a response code of RFC 5530."""

    def __init__(self, text: str, code: str):
        super().__init__(text)
        self.code = code


class Connection(asyncio.Protocol):
    """One connection, from its greeting to its end; a subclass speaks."""

    def __init__(self, house: House, *, source: str, counted_as: str, implicit_tls: bool, refused: bool = False):
        self._house, self._limits = house, house.limits
        self._source, self._counted_as, self._refused = source, counted_as, refused
        self._loop = asyncio.get_running_loop()
        self._incoming = bytearray()
        self._outbox = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._stalled: asyncio.Future[None] | None = None
        self._reading, self._eof, self._closing = True, False, False
        self._reader: Reader | None = None
        self._failures = 0
        self._junk = 0
        self._is_at_length = False  # long work is being done, and nothing said of its answer
        self._progress = 0  # how many messages it has done
        self._task: asyncio.Task[None] | None = None
        self.deadline = math.inf  # loop time; the sweep ends connections that are past it

    async def _talk(self) -> None:
        """Speak the protocol until one side has had enough."""
        raise NotImplementedError

    def _farewell(self, text: str, *, is_ended: bool = False) -> bytes:
        """Return the last words of the protocol; *is_ended*: trying again with the same password leads nowhere."""
        raise NotImplementedError

    # -- the connection -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start; this is after the handshake."""
        self._transport = cast(asyncio.Transport, transport)
        self._house.sessions.add(self)
        self._task = self._loop.create_task(self._live())

    def connection_lost(self, error: Exception | None) -> None:
        """Let the task end by itself."""
        self._closing = self._eof = True
        self.deadline = math.inf
        self._wake()
        self.resume_writing()
        if self in self._house.sessions:
            self._house.sessions.discard(self)
            self._house.connections.leave(self._counted_as, self._reader.account if self._reader else None)

    def data_received(self, data: bytes) -> None:
        """Take what arrived, and stop the client for a while if it is faster than we are."""
        self._incoming += data
        if self._reading and len(self._incoming) > FULL:
            self._reading = False
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """End when what is here has been answered."""
        self._eof = True
        self._wake()
        return False

    def pause_writing(self) -> None:
        """Wait with more: the client does not read."""
        if self._stalled is None:
            self._stalled = self._loop.create_future()

    def resume_writing(self) -> None:
        """Go on writing."""
        if self._stalled is not None:
            self._stalled.set_result(None)
            self._stalled = None

    def expire(self) -> None:
        """End a connection whose deadline has passed; called by the sweep until it is gone."""
        if self._closing:
            self._transport.abort()
        else:
            self._leave("Too slow, or silent for too long.")

    def drain(self) -> None:
        """Say goodbye: nothing that was acknowledged is lost by it."""
        if not self._closing:
            self._leave("The server is stopping; come back in a moment.")

    def cut(self) -> None:
        """Say goodbye now."""
        self.drain()

    def _leave(self, text: str) -> None:
        # In the middle of a literal these words would be taken for mail, and a client that does not read gets none.
        if self._stalled is None and not self._outbox and (self._waiter is not None or self._is_at_length):
            self._transport.write(self._farewell(text))
        self._close()

    def _close(self) -> None:
        self._closing = True
        self.deadline = self._loop.time() + self._limits.linger  # from then on the sweep aborts
        self._transport.close()
        self._wake()
        self.resume_writing()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _live(self) -> None:
        try:
            if self._refused:
                raise Farewell("Too many connections; try again later.")
            await self._talk()
        except Gone:
            pass
        except Farewell as end:
            self._outbox += self._farewell(str(end), is_ended=isinstance(end, SignInEnded))
            with contextlib.suppress(Gone):
                await self._flush()
        except Exception as error:
            self._log_failure(error)
        finally:
            self._forget()
            if not self._closing:
                self._close()

    def _forget(self) -> None:
        """Let go of what the connection held."""

    def _log_failure(self, error: Exception) -> None:
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""
        # What an exception says may be the content of a mail.
        self._house.log.error("session failed", error=type(error).__name__, place=place, source=self._source)

    # -- octets -------------------------------------------------------------------------------------------------------

    async def _more(self, seconds: float) -> bytes:
        """Return what came, at least one octet; raise `Gone` if there will be none."""
        await self._flush()
        while not self._incoming:
            if self._closing or self._eof:
                raise Gone
            if not self._reading:
                self._reading = True
                self._transport.resume_reading()
            self.deadline = self._loop.time() + seconds
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        self.deadline = math.inf
        octets = bytes(self._incoming)
        self._incoming.clear()
        if not self._reading and not self._closing:
            self._reading = True
            self._transport.resume_reading()
        return octets

    async def _flush(self) -> None:
        """Write what waits; raise `Gone` if nobody is there to read it."""
        if self._closing:
            raise Gone
        if self._outbox:
            octets = bytes(self._outbox)
            self._outbox.clear()
            await self._send(octets)

    async def _send(self, octets: bytes) -> None:
        self._transport.write(octets)
        if self._stalled is not None:
            before, self.deadline = self.deadline, self._loop.time() + self._limits.trickle
            await self._stalled
            self.deadline = before
        if self._closing:
            raise Gone

    async def _write(self, octets: bytes) -> None:
        """Say something; it leaves when there is enough of it, or with `_flush`."""
        if len(octets) >= PIECE:
            await self._flush()
            await self._send(octets)  # as it is: what is large is not copied once more
            return
        self._outbox += octets
        if len(self._outbox) >= PIECE:
            await self._flush()

    # -- work ---------------------------------------------------------------------------------------------------------

    async def _in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        """Do something that may wait for the store or the keeper."""
        return await self._loop.run_in_executor(self._house.pool, work, *arguments)

    def _between(self, done: int) -> None:
        """Let long work go on, which calls this in its thread now and then; raise `Gone` if nobody waits for it."""
        if self._closing:
            raise Gone
        self._progress = done

    async def _pour(self, pieces: Iterator[bytes]) -> None:
        """Write what an iterator yields, a piece at a time: it runs in a thread, and waits while the client reads."""

        def gathered() -> bytes:
            held, size = [], 0
            for piece in pieces:
                held.append(piece)
                size += len(piece)
                if size >= POURED:
                    break
            return b"".join(held)

        while octets := await self._in_thread(gathered):
            await self._write(octets)

    # -- signing in ---------------------------------------------------------------------------------------------------

    async def _sign_in(self, read: Callable[[], auth.Credentials]) -> Reader:
        """Return who signs in; raise `Refused`, or `Farewell` after too many failures."""
        try:
            reader = cast(Reader, await self._house.turnstile.check(read, self._source))
        except WrongSecret as wrong:
            self._failures += 1
            if self._failures >= self._limits.auth_failures:
                raise Farewell("Too many wrong passwords.") from wrong
            raise Refused(str(wrong), "AUTHENTICATIONFAILED") from wrong
        except Throttled as wait:
            raise Refused(str(wait), "UNAVAILABLE") from wait
        except Temporary as problem:
            raise Refused(str(problem), "UNAVAILABLE") from problem
        if self._closing:
            raise Gone
        if not self._house.connections.sign_in(self._counted_as, reader.account):
            raise Farewell("Too many connections of this account.")
        self._reader = reader
        self._house.log.info("signed in", account=reader.account, device=reader.device, source=self._source)
        return reader

    def _check_valid(self) -> None:
        """Raise `Farewell` if the sign-in has ended: a revoked device must not go on reading."""
        if self._reader is not None:
            try:
                holds = self._house.turnstile.still_valid(self._reader)
            except Temporary:
                return  # what cannot be read now opens nothing either
            if not holds:
                raise SignInEnded("This sign-in has ended; sign in again.")

    def _count_junk(self) -> None:
        self._junk += 1
        if self._junk >= self._limits.junk:
            raise Farewell("Too many commands that lead nowhere.")

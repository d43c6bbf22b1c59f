"""How does a request come to a thread, and its answer to the wire? Whoever is slow makes nobody wait.

granian speaks HTTP in an event loop and calls `Front` for each request (RSGI 1.6). The pages are a WSGI application
(PEP 3333) and want a thread. A thread that waited for the second half of a form would be lost to everybody else, and
sixteen such forms would close the portal. So:

- A form of up to `SMALL` octets arrives whole, in the loop, before it gets a thread.
- What is larger gets one of as many *transfer* threads, which pages never wait for, and of which one source may hold a
  quarter; so does an answer of more than `WHOLE` octets, when its first part is there.
- Such an answer goes to granian through a pipe that is called a file: a stream of granian's takes whatever it is given
  and keeps for a slow reader what did not leave yet, gigabytes if need be; of a file it reads what leaves.
- A peer that sends or takes nothing for `Patience.idle` seconds, or too little on average, is given up.

A body has to say its length (411 otherwise): where one without it breaks off, granian reports an end like any other.
The same holds the other way: only an answer with its length, or of a form that shows its own end, is seen to break off.
"""

from __future__ import annotations

import asyncio
import contextvars
import fcntl
import io
import os
import select
import struct
import sys
import termios
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

from cryptnsend.logs import logger

SMALL = 80 * 1024  # octets; the largest form without files has 64 KiB
WHOLE = 256 * 1024  # octets of an answer that are kept for a slow reader without a thread
PIECE = 128 * 1024  # octets of a body that a thread is given at once
WAITING = 2048  # requests that may wait for a thread
UNOPENED = 64  # pipes that granian was told of and did not come to, whose numbers nothing else gets meanwhile
NAMED = ("server", "web")  # where an answer names no server, granian names itself, and so what to look for holes in
PLAIN = [("content-type", "text/plain; charset=utf-8"), ("cache-control", "no-store"), ("connection", "close"), NAMED]

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a peer may take: *idle* seconds for the next octets, and *octets* a second after *grace* seconds."""

    idle: float = 30.0
    grace: float = 60.0
    octets: float = 1024.0

    def left(self, since: float, now: float, done: int) -> float:
        """Return the seconds for which to wait for more, after *done* octets since *since*; none if it is at most 0."""
        return min(self.idle, since + self.grace + done / self.octets - now)


class Gone(ConnectionError):
    """The peer left, or was too slow to be waited for."""


class Slow(Gone):
    """The peer is there, and too slow."""


class Arriving(io.RawIOBase):
    """A request's body: `begin` in the loop, then read by a thread. Raises Gone where it ends too early."""

    def __init__(self, blocks: AsyncIterator[bytes], length: int, patience: Patience):
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._blocks, self._length, self._patience = blocks, length, patience
        self._since, self._got, self._held = self._loop.time(), 0, bytearray()

    async def begin(self, most: int) -> bool:
        """Take up to *most* octets, and return whether that is all of it."""
        while self._got < self._length and len(self._held) <= most:
            await self._take()
        return self._got >= self._length

    async def _take(self) -> None:
        wait = self._patience.left(self._since, self._loop.time(), self._got)
        try:
            async with asyncio.timeout(max(wait, 0)):
                block = await anext(self._blocks, b"")
        except TimeoutError:
            raise Slow("too slow") from None
        if not block:
            raise Gone("the body broke off")
        self._got += len(block)
        self._held += block

    async def _more(self) -> None:
        while self._got < self._length and len(self._held) < PIECE:
            await self._take()

    def readable(self) -> bool:
        """Return True, as `io` asks."""
        return True

    def readinto(self, into: Any) -> int:
        """Fill *into* as far as what is there goes; wait for the peer when nothing is."""
        if not self._held and self._got < self._length:
            asyncio.run_coroutine_threadsafe(self._more(), self._loop).result()
        count = min(len(into), len(self._held))
        into[:count] = self._held[:count]
        del self._held[:count]
        return count


@dataclass(slots=True)
class Answer:
    """What the application said: its start, and what is left to be fetched of it, if anything."""

    status: int
    headers: list[tuple[str, str]]
    start: list[bytes]
    rest: Iterator[bytes] | None
    close: Callable[[], None]


class Front:
    """The RSGI application around the WSGI application *app*, with *threads* for pages and as many for transfers."""

    def __init__(self, app: Callable[..., Iterable[bytes]], threads: int, patience: Patience | None = None):
        self._app, self._patience = app, patience or Patience()
        self._pages = ThreadPoolExecutor(threads, "page")
        self._transfers = ThreadPoolExecutor(threads, "transfer")
        self._turns, self._waiting = _Turns(max(1, threads // 4), self._patience.idle), 0
        self._unopened: deque[int] = deque()

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        """Answer one request."""
        source = _host(scope.client)
        try:
            length = _length(scope.headers)
        except ValueError as error:
            protocol.response_bytes(411, PLAIN, f"{error}\n".encode())
            return
        body = Arriving(aiter(protocol), length, self._patience)
        try:
            small = await body.begin(SMALL)
        except Slow:
            protocol.response_bytes(408, PLAIN, b"This took too long to arrive. Please send it again.\n")
            return
        except Gone:
            return
        try:
            if small:
                await self._serve(scope, protocol, body, self._pages)
            else:
                async with self._turns.one(source):
                    await self._serve(scope, protocol, body, self._transfers)
        except TimeoutError:
            protocol.response_bytes(503, [*PLAIN, ("retry-after", "5")], b"Too much at once. Please try again soon.\n")

    async def _serve(self, scope: Any, protocol: Any, body: Arriving, pool: ThreadPoolExecutor) -> None:
        """Have the page made, and send it. Raises TimeoutError if too many wait already."""
        if self._waiting >= WAITING:
            raise TimeoutError
        context = contextvars.copy_context()
        environ = _environ(scope, body)
        self._waiting += 1
        try:
            answer = await asyncio.get_running_loop().run_in_executor(pool, context.run, self._make, environ)
        finally:
            self._waiting -= 1
        if answer is None:
            protocol.response_empty(500, [("content-length", "0"), NAMED])
        elif answer.rest is None:
            protocol.response_bytes(answer.status, answer.headers, b"".join(answer.start))
        else:
            await self._transfer(protocol, answer, answer.rest, environ["REMOTE_ADDR"], context)

    def _make(self, environ: dict[str, Any]) -> Answer | None:
        """In a thread: have the application begin its answer, and finish it if it is short. None if it broke."""
        started: list[tuple[int, list[tuple[str, str]]]] = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
            said = [(name.lower(), value) for name, value in headers]
            started.append((int(status[:3]), [*(each for each in said if each[0] != NAMED[0]), NAMED]))
            return _no_write

        try:
            made = self._app(environ, start)
            close: Callable[[], None] = getattr(made, "close", _nothing)
            try:
                rest = iter(made)
                parts: list[bytes] = []
                whole = _fill(parts, rest)
            except BaseException:
                close()
                raise
            if whole:
                close()
            return Answer(*started[-1], parts, None if whole else rest, close)
        except Gone:
            log.info("a request broke off")
        except Exception as error:
            log.critical("a page broke", exc_info=error)
        return None

    async def _transfer(
        self, protocol: Any, answer: Answer, rest: Iterator[bytes], source: str, context: contextvars.Context
    ) -> None:
        """Send a long answer at the pace of its reader, who may be slow, from a thread that no page needs."""
        loop = asyncio.get_running_loop()
        try:
            async with self._turns.one(source):
                sending = _Sending(self._patience, self._unopened)
                try:
                    protocol.response_file(answer.status, answer.headers, sending.place)
                except BaseException:
                    sending.end()
                    raise
                await loop.run_in_executor(self._transfers, context.run, sending.send, answer.start, rest)
        finally:
            await loop.run_in_executor(self._pages, context.run, answer.close)


class _Turns:
    """Of transfers, each source has *each* at once; the others wait *most* seconds for theirs."""

    def __init__(self, each: int, most: float):
        self._each, self._most = each, most
        self._sources: dict[str, tuple[asyncio.Semaphore, list[None]]] = {}

    @asynccontextmanager
    async def one(self, source: str) -> AsyncIterator[None]:
        """Have a turn. Raises TimeoutError where none comes."""
        turns, users = self._sources.setdefault(source, (asyncio.Semaphore(self._each), []))
        users.append(None)
        try:
            async with asyncio.timeout(self._most):
                await turns.acquire()
            try:
                yield
            finally:
                turns.release()
        finally:
            users.pop()
            if not users:
                del self._sources[source]


class _Sending:
    """An answer on its way: a pipe that granian opens at `place` and reads as fast as the reader takes it."""

    def __init__(self, patience: Patience, unopened: deque[int]):
        self._patience, self._unopened = patience, unopened
        self._out, self._in = os.pipe()
        self._is_open = True  # here, too: granian may not have come to it yet
        self.place = f"/proc/self/fd/{self._out}"

    def send(self, start: list[bytes], rest: Iterator[bytes]) -> None:
        """In a thread: fetch and send until the end, or until the reader leaves."""
        since, done = time.monotonic(), 0
        os.set_blocking(self._in, False)
        room = select.poll()
        room.register(self._in, select.POLLOUT)
        try:
            for block in chain(start, rest):
                left = memoryview(block)
                while left:
                    wait = self._patience.left(since, time.monotonic(), done)
                    if wait <= 0 or not room.poll(wait * 1000):
                        raise Gone("the reader is too slow")
                    count = self._put(left)
                    left, done = left[count:], done + count
                    self._leave(done)
        except Gone:
            log.info("an answer broke off")
        except Exception as error:
            log.critical("a page broke", exc_info=error)
        finally:
            self.end()

    def end(self) -> None:
        """Close the pipe. Whoever comes to it late finds it ended, and never what has its number next."""
        os.close(self._in)
        if self._is_open:
            self._is_open = False
            self._unopened.append(self._out)
            if len(self._unopened) > UNOPENED:
                os.close(self._unopened.popleft())

    def _put(self, octets: memoryview) -> int:
        try:
            return os.write(self._in, octets)
        except BlockingIOError:  # less room than a page of memory
            return 0
        except BrokenPipeError:
            raise Gone("the reader left") from None

    def _leave(self, done: int) -> None:
        """Close granian's end of the pipe here, once it has its own, so that its leaving is seen."""
        if not self._is_open:
            return
        (waiting,) = struct.unpack("i", fcntl.ioctl(self._out, termios.FIONREAD, bytes(4)))
        if waiting != done:
            self._is_open = False
            os.close(self._out)


def _fill(parts: list[bytes], rest: Iterator[bytes]) -> bool:
    """Take of *rest* what a short answer has, and return whether that was all."""
    size = 0
    for block in rest:
        parts.append(block)
        size += len(block)
        if size > WHOLE:
            return False
    return True


def _length(headers: Any) -> int:
    """Return the octets of the body; ValueError, in words, where nobody says how many they are."""
    if "transfer-encoding" in headers:
        raise ValueError("Please send the length of what you send (Content-Length).")
    said = headers.get("content-length", "0")
    if not (said.isascii() and said.isdigit()):
        raise ValueError("The length of what you send is not a number.")
    return int(said)


def _host(client: str) -> str:
    """Return the address of *client*, `host:port`, without the brackets of IPv6."""
    return client.rpartition(":")[0].strip("[]")


def _environ(scope: Any, body: Arriving) -> dict[str, Any]:
    """Return the environment of PEP 3333. A field whose name has `_` could pass for another one and is left out."""
    host, _, port = scope.server.rpartition(":")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": scope.path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "SERVER_NAME": host.strip("[]"),
        "SERVER_PORT": port,
        "REMOTE_ADDR": _host(scope.client),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in scope.headers.items():
        if "_" in name:
            continue
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        joint = "; " if key == "HTTP_COOKIE" else ","
        environ[key] = f"{environ[key]}{joint}{value}" if key in environ else value
    return environ


def _no_write(_block: bytes) -> None:
    raise NotImplementedError("the application returns its octets")


def _nothing() -> None:
    """Stand in for an answer that has nothing to be closed."""

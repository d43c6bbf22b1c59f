"""How is work handed to a confined process? `Workers` has one nursery, and hears how each piece went.

What a worker says is not to be trusted: it may have been taken over by what it worked on.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from cryptnsend.confined.nursery import CONFINED, Ending, Order

START = 60.0  # seconds for an interpreter to be ready
SLACK = 15.0  # seconds beyond a worker's own time
FRAME = 64  # octets of an ending around the answer


class Gone(Exception):
    """
    There is nobody to do it: this machine fails, whatever was to be worked on. *why* is for the log.

    *waited* says that it was waited for in vain.
    """

    def __init__(self, why: str, *, waited: bool = False):
        super().__init__(why)
        self.why, self.waited = why, waited


class Workers:
    """Hands out work; safe for many threads. One nursery serves all of them, started when there is the first piece."""

    def __init__(self, module: str, python: str = sys.executable):
        """*module* is what the nursery runs, with the number of its descriptor as the one argument."""
        self._module, self._python = module, python
        self.process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._guard = threading.Lock()
        self._is_over = False

    def run(self, order: Order, octets: Iterable[bytes]) -> bytes:
        """
        Return what came back about one piece of work (`ending_of` reads it), in a thread: it waits for the worker.

        Raises Gone, and what *octets* raises.
        """
        into, out = self._worker()
        with os.fdopen(out, "rb") as answers:
            _feed(into, order, octets)
            return _hear(answers.fileno(), order)

    def close(self) -> None:
        """End the nursery, and with it everybody who works."""
        with self._guard:
            self._stop()

    def cut(self) -> None:
        """Wait for nobody any more: the process ends, and what is still worked on is put off."""
        with self._guard:
            self._is_over = True
            self._stop()

    def _worker(self) -> tuple[int, int]:
        """Have a worker made; return where it takes its work, and where it answers."""
        theirs_in, into = os.pipe()
        out, theirs_out = os.pipe()
        try:
            with self._guard:
                for attempt in (0, 1):
                    try:
                        socket.send_fds(self._nursery(), [b"r"], [theirs_in, theirs_out])
                        break
                    except (BrokenPipeError, ConnectionError):
                        self._stop()  # it died since, which the next one need not
                        if attempt:
                            raise Gone("no process for such work stays alive") from None
        except BaseException:
            os.close(into)
            os.close(out)
            raise
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        return into, out

    def _nursery(self) -> socket.socket:
        if self._is_over:
            raise Gone("this process ends")
        if self._line is not None and self.process is not None and self.process.poll() is None:
            return self._line
        self._stop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # Nothing of ours goes with it: no secret in its environment, no descriptor but its line.
            self.process = subprocess.Popen(
                [self._python, "-m", self._module, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": os.environ.get("PATH", os.defpath)},
                cwd="/",
            )
            self._line = ours
            ours.settimeout(START)
            with theirs:
                pass
            if ours.recv(5) != b"ready":
                raise Gone("the process for such work does not start")
        except OSError as error:
            self._line = ours
            self._stop()
            raise Gone(error.strerror or type(error).__name__) from None
        except Gone:
            self._stop()
            raise
        return ours

    def _stop(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None


def ending_of(said: bytes) -> Ending:
    """Return how a worker ended; raise Gone if it could not begin or nobody can say."""
    try:
        ending = msgspec.msgpack.decode(said, type=Ending)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Gone("the process for such work is gone") from None
    if ending.status == CONFINED:
        raise Gone("this machine cannot confine a process as it has to be")
    return ending


def _feed(into: int, order: Order, octets: Iterable[bytes]) -> None:
    head = msgspec.msgpack.encode(order)
    with contextlib.suppress(BrokenPipeError), os.fdopen(into, "wb") as work:  # a worker that died has no ears
        work.write(len(head).to_bytes(4, "big") + head)
        for piece in octets:
            work.write(piece)


def _hear(out: int, order: Order) -> bytes:
    """Return all that is said until the end."""
    said, until, poll = bytearray(), time.monotonic() + order.wall + SLACK, select.poll()
    poll.register(out, select.POLLIN)
    while True:
        if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
            raise Gone("it does not come to an end", waited=True)
        piece = os.read(out, 65_536)
        if not piece:
            return bytes(said)
        said += piece
        if len(said) > order.answer + (1 << 17) + FRAME:
            raise Gone("its answer has no end")

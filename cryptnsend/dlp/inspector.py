"""How is a mail looked at from outside? `Inspector` hands it to a process that reads it, and hears what was found.

Whatever does not end as it should counts as found: a reader that died, took too long or said nonsense has read a mail
that nobody can vouch for. Only where this machine fails is it told apart (`ScannerGone`), and the mail is put off.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from cryptnsend.core.charsets import one_line
from cryptnsend.core.dlp.detect import REASONS, RULES, Finding
from cryptnsend.core.errors import ScannerGone
from cryptnsend.dlp.budget import Limits, NotRead, TooMuch
from cryptnsend.dlp.nursery import ANSWER, CONFINED, ENDED, Answer, Ending, Job

START = 30.0  # seconds for an interpreter to be ready
SLACK = 15.0  # seconds beyond a reader's own time
LONGEST = 200  # characters of what is shown of a finding


class Inspector:
    """Looks at mail; safe for many threads. One nursery serves all of them, started when there is the first mail."""

    def __init__(self, limits: Limits | None = None, python: str = sys.executable):
        self.limits, self._python = limits or Limits(), python
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._guard = threading.Lock()
        self._is_over = False

    @staticmethod
    def ocr() -> str:
        """Return the program that reads pictures, "" where none is installed."""
        return shutil.which("tesseract") or ""

    def inspect(self, octets: Iterable[bytes], job: Job) -> list[Finding]:
        """
        Return what was found in a mail, [] if nothing, in a thread: it waits as long as a reader may take.

        Raises ScannerGone if it could not be looked at, and what *octets* raises.
        """
        job = msgspec.structs.replace(job, limits=self.limits)
        into, out = self._reader()
        with os.fdopen(out, "rb") as answers:
            self._feed(into, octets, job)
            said = self._hear(answers.fileno())
        return _findings(said)

    def close(self) -> None:
        """End the nursery, and with it everybody who reads."""
        with self._guard:
            self._stop()

    def cut(self) -> None:
        """Wait for nobody any more: the process ends, and what is still looked at is put off."""
        with self._guard:
            self._is_over = True
            self._stop()

    def ping(self) -> None:
        """Look at a mail in which there is something; raise ScannerGone where it is not found."""
        found = self.inspect((b"Subject: ping\r\n\r\nSSN 219-44-1234\r\n",), Job())
        if [each.rule for each in found] != ["ssn"]:
            raise ScannerGone("it does not find what is there")

    def _reader(self) -> tuple[int, int]:
        """Have a reader made; return where it takes the mail, and where it answers."""
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
                            raise ScannerGone("no process to read mail stays alive") from None
        except BaseException:
            os.close(into)
            os.close(out)
            raise
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        return into, out

    def _feed(self, into: int, octets: Iterable[bytes], job: Job) -> None:
        head = msgspec.msgpack.encode(job)
        with contextlib.suppress(BrokenPipeError), os.fdopen(into, "wb") as mail:  # a reader that died has no ears
            mail.write(len(head).to_bytes(4, "big") + head)
            for piece in octets:
                mail.write(piece)

    def _hear(self, out: int) -> bytes:
        """Return all that is said until the end."""
        said, until, poll = b"", time.monotonic() + self.limits.wall + SLACK, select.poll()
        poll.register(out, select.POLLIN)
        while True:
            if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
                raise ScannerGone("it does not come to an end", waited=True)
            piece = os.read(out, 65_536)
            if not piece:
                return said
            said += piece
            if len(said) > 2 * ANSWER:
                raise ScannerGone("its answer has no end")

    def _nursery(self) -> socket.socket:
        if self._is_over:
            raise ScannerGone("this process ends")
        if self._line is not None and self._process is not None and self._process.poll() is None:
            return self._line
        self._stop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # Nothing of ours goes with it: no secret in its environment, no descriptor but its line.
            self._process = subprocess.Popen(
                [self._python, "-m", "cryptnsend.dlp.nursery", str(theirs.fileno())],
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
                raise ScannerGone("the process that reads mail does not start")
        except OSError as error:
            self._line = ours
            self._stop()
            raise ScannerGone(error.strerror or type(error).__name__) from None
        except ScannerGone:
            self._stop()
            raise
        return ours

    def _stop(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


def _findings(said: bytes) -> list[Finding]:
    """
    Return what an ending says was found.

    A reader may have been taken over by what it read, so that its words are cut to what they may be.
    """
    try:
        ending = msgspec.msgpack.decode(said, type=Ending)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise ScannerGone("the process that reads mail is gone") from None
    if ending.status == CONFINED:
        raise ScannerGone("this machine cannot confine a process as it has to be")
    if ending.is_late or ending.signal in (signal.SIGXCPU, signal.SIGKILL):
        return [Finding(TooMuch.rule, "", "")]
    try:
        if ending.status != ENDED or ending.signal:
            raise ValueError
        answer = msgspec.msgpack.decode(ending.answer, type=Answer)
    except ValueError:  # MsgspecError is one
        return [Finding(NotRead.rule, "", "")]
    return [
        Finding(each.rule, one_line(each.masked, LONGEST), one_line(each.where, LONGEST))
        if each.rule in (*RULES, *REASONS)
        else Finding(NotRead.rule, "", "")
        for each in answer.findings
    ]

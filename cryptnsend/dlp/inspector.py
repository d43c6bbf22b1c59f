"""How is a mail looked at from outside? `Inspector` hands it to a process that reads it, and hears what was found.

Whatever does not end as it should counts as found: a reader that died, took too long or said nonsense has read a mail
that nobody can vouch for. Only where this machine fails is it told apart (`ScannerGone`), and the mail is put off.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable

import msgspec

from cryptnsend.confined.nursery import ENDED
from cryptnsend.confined.workers import Gone, Workers, ending_of
from cryptnsend.core.charsets import one_line
from cryptnsend.core.dlp.detect import REASONS, RULES, Finding
from cryptnsend.core.errors import ScannerGone
from cryptnsend.dlp.budget import Limits, NotRead, TooMuch
from cryptnsend.dlp.nursery import Answer, Job

LONGEST = 200  # characters of what is shown of a finding


class Inspector:
    """Looks at mail; safe for many threads."""

    def __init__(self, limits: Limits | None = None, python: str = sys.executable):
        self.limits, self._workers = limits or Limits(), Workers("cryptnsend.dlp.nursery", python)

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        """The nursery of its readers, if there is one now."""
        return self._workers.process

    @staticmethod
    def ocr() -> str:
        """Return the program that reads pictures, "" where none is installed."""
        return shutil.which("tesseract") or ""

    def inspect(self, octets: Iterable[bytes], job: Job) -> list[Finding]:
        """
        Return what was found in a mail, [] if nothing, in a thread: it waits as long as a reader may take.

        Raises ScannerGone if it could not be looked at, and what *octets* raises.
        """
        order = msgspec.structs.replace(job, limits=self.limits).order()
        try:
            return _findings(self._workers.run(order, octets))
        except Gone as gone:
            raise ScannerGone(gone.why, waited=gone.waited) from None

    def close(self) -> None:
        """End the nursery, and with it everybody who reads."""
        self._workers.close()

    def cut(self) -> None:
        """Wait for nobody any more: the process ends, and what is still looked at is put off."""
        self._workers.cut()

    def ping(self, ocr: str = "") -> None:
        """Look at a mail in which there is something; raise ScannerGone if it is not found. *ocr* as in a `Job`."""
        found = self.inspect((b"Subject: ping\r\n\r\nSSN 219-44-1234\r\n",), Job(ocr=ocr))
        if [each.rule for each in found] != ["ssn"]:
            raise ScannerGone("it does not find what is there")


def _findings(said: bytes) -> list[Finding]:
    """
    Return what an ending says was found; raise Gone.

    A reader may have been taken over by what it read, so that its words are cut to what they may be.
    """
    ending = ending_of(said)
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

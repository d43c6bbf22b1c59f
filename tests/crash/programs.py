"""Programs that go on sending whatever dies at the other end, and write down what they were promised."""

from __future__ import annotations

import os
import smtplib
import ssl
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.roles import Roles

ANN = "ann@gmail.example"
PAUSE = 0.02  # seconds; a real program waits longer, which would only cost time here


@dataclass
class Program(ABC):
    """One that never gives up: each mail has a tag, and what was acknowledged is on its own disk."""

    number: int
    roles: Roles
    log: Path
    stop: threading.Event
    acknowledged: dict[str, str] = field(default_factory=dict, kw_only=True)  # tag to a word of the 250
    heard: str = field(default="", kw_only=True)  # when it was last refused or cut off
    gate: threading.Event = field(default_factory=threading.Event, kw_only=True)  # closed: it sends no further mail
    client: smtplib.SMTP | None = field(default=None, kw_only=True)  # which it keeps for as long as it works

    def __post_init__(self) -> None:
        self.gate.set()

    def run(self) -> None:
        """Send until stopped; a mail whose answer was lost is sent again, octet by octet the same."""
        try:
            with self.log.open("ab", buffering=0) as log:
                for count in range(1_000_000):
                    self.gate.wait()
                    mail = self.mail(count)
                    if mail is None:
                        return
                    tag, sender, recipient, octets = mail
                    answer = None
                    while answer is None:
                        if self.stop.is_set():
                            return
                        answer = self._send(sender, recipient, octets)
                    log.write(f"{tag} {answer}\n".encode())
                    os.fsync(log.fileno())
                    self.acknowledged[tag] = answer
        finally:
            self._hang_up()

    @abstractmethod
    def mail(self, count: int) -> tuple[str, str, str, bytes] | None:
        """Return (tag, sender, recipient, octets) of the next mail, None when there is no more."""

    @abstractmethod
    def connect(self) -> smtplib.SMTP:
        """Return a connection that takes MAIL."""

    def _send(self, sender: str, recipient: str, octets: bytes) -> str | None:
        try:
            self.client = self.client or self.connect()
            code, words = self.client.mail(sender)
            if code == 250:
                code, words = self.client.rcpt(recipient)
            if code == 250:
                code, words = self.client.data(octets)
        except (OSError, smtplib.SMTPException) as problem:
            code, words = 0, repr(problem).encode()
        if code != 250:
            self._hang_up()
            self.heard = words.decode()
            self.stop.wait(PAUSE)
            return None
        return words.decode().split()[-1]

    def _hang_up(self) -> None:
        client, self.client = self.client, None
        if client is not None:
            client.close()


@dataclass
class MailProgram(Program):
    """A subscriber's, at the door for submission."""

    context: ssl.SSLContext
    device: str
    sizes: Sequence[int] = (300, 4_000, 60_000)

    def mail(self, count: int) -> tuple[str, str, str, bytes]:
        """Return a mail to somebody new."""
        tag = f"crash-{self.number}-{count}"
        to, size = f"{tag}@yahoo.example", self.sizes[count % len(self.sizes)]
        head = f"From: {ANN}\r\nTo: {to}\r\nSubject: {tag}\r\nMessage-ID: <{tag}@gmail.example>\r\n\r\n"
        octets = (head + (tag + " ").ljust(70, "x") + "\r\n").encode() + b"y" * 70 * (size // 70) + b"\r\n"
        return tag, ANN, to, octets

    def connect(self) -> smtplib.SMTP:
        """Sign in."""
        port = self.roles.home.ports().get("submissions", 1)
        client = smtplib.SMTP_SSL("localhost", port, context=self.context, timeout=20)
        try:
            client.login(ANN, self.device)
        except BaseException:
            client.close()
            raise
        return client


@dataclass
class OtherServer(Program):
    """Another mail server, at the door for our own addresses."""

    def connect(self) -> smtplib.SMTP:
        """Greet."""
        client = smtplib.SMTP("localhost", self.roles.home.ports().get("inbound", 1), timeout=20)
        try:
            client.ehlo()
        except BaseException:
            client.close()
            raise
        return client


@dataclass
class Answering(OtherServer):
    """It brings answers of *author* to addresses of ours."""

    author: str
    to: Sequence[str]

    def mail(self, count: int) -> tuple[str, str, str, bytes]:
        """Return an answer to one of the mails."""
        tag = f"answer-{self.number}-{count}"
        domain = self.author.rpartition("@")[2]
        octets = (
            f"From: {self.author}\r\nTo: us\r\nSubject: {tag}\r\nMessage-ID: <{tag}@{domain}>\r\n\r\n"
            f"{tag}\r\n" + ("z" * 70 + "\r\n") * (count % 3 * 400)
        ).encode()
        return tag, self.author, self.to[count % len(self.to)], octets


@dataclass
class Bouncing(OtherServer):
    """It returns mails of ours, each once; *returned* is the deliveries and where their bounces go."""

    returned: Sequence[tuple[int, str]]

    def mail(self, count: int) -> tuple[str, str, str, bytes] | None:
        """Return a report of failure (RFC 3464)."""
        if count >= len(self.returned):
            return None
        delivery, address = self.returned[count]
        octets = (
            f"From: MAILER-DAEMON@mx.nowhere.example\r\nTo: {address}\r\nSubject: Undelivered\r\n"
            "MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
            "--b\r\nContent-Type: text/plain\r\n\r\nNobody is there.\r\n"
            "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.nowhere.example\r\n\r\n"
            "Final-Recipient: rfc822; x@nowhere.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"
            "Diagnostic-Code: smtp; 550 5.1.1 nobody\r\n\r\n--b--\r\n"
        ).encode()
        return f"bounce-{delivery}", "", address, octets

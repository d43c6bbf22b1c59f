"""One SMTP connection to one peer, on the standard library's client, with limits that a hostile peer cannot stretch.

smtplib brings the commands, the reading of EHLO and AUTH. What it does not bring is here: a deadline and a size for
each reply, one address chosen beforehand (so that what was checked is what is connected to), a STARTTLS that forgets
whatever arrived before it, pipelining that never loses count of the replies, and a body that streams.
"""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from cryptnsend.delivery.tls import NO_TLS, Proof, cipher_of, describe

MAX_REPLY = 64 * 1024  # octets of one reply with all its lines; RFC 5321 §4.5.3.1.5 expects 512 a line
BLOCK = 64 * 1024  # octets per write of a body

Reply = tuple[int, bytes]  # code, and the text of all lines joined by LF
Check = Callable[[ssl.SSLSocket], None]  # looks at a fresh TLS connection; raises what `Session` passes on


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that we wait, from the first octet asked for to the last (RFC 5321 §4.5.3.2 where it says something)."""

    connect: float = 30
    greeting: float = 300
    command: float = 300  # EHLO, STARTTLS, AUTH, MAIL, RCPT
    data: float = 120  # until 354
    block: float = 180  # one write of the body
    dot: float = 600  # the reply to the end of the body
    quit: float = 5  # nothing depends on it
    hosts: float = 120  # after this no further host or address of the domain is tried in this attempt
    transaction: float = 3600  # one message on the whole, whatever the steps


class SessionLost(Exception):
    """The connection is of no more use. The text is for people and holds nothing of the message."""


class Session(smtplib.SMTP):
    """A connection that is open, greeted and through EHLO; `tls`, `cipher` and `proof` describe its protection."""

    ehlo_msg = "EHLO"

    def __init__(self, hostname: str, timeouts: Timeouts, monotonic: Callable[[], float] = time.monotonic):
        super().__init__(local_hostname=hostname)
        # Addresses may hold UTF-8; a command has other octets than ASCII only where the peer offered SMTPUTF8.
        self.command_encoding = "utf-8"
        self.timeouts = timeouts
        self.monotonic = monotonic
        self.tls = NO_TLS
        self.cipher = ""
        self.proof: Proof = "none"
        self.check: Check | None = None  # looks at a TLS connection before a word is said over it
        self.uses = 0
        self.last_used = 0.0
        self.peer_address = ""
        self._unread = bytearray()
        self._used = False  # the peer may still remember something of an earlier message
        self._deadline = float("inf")  # of the transaction
        self._patience = timeouts.command  # for the next reply

    def open(self, address: str, port: int, wrap: ssl.SSLContext | None, name: str) -> Reply:
        """Connect to *address*, at once under TLS if *wrap* is given (RFC 8314), and return the greeting."""
        self.begin()
        try:
            self.sock = socket.create_connection((address, port), timeout=self.timeouts.connect)
        except TimeoutError:
            raise SessionLost(f"no connection to {address} port {port} within {self.timeouts.connect:g} s") from None
        except OSError as error:
            raise SessionLost(f"no connection to {address} port {port}: {_reason(error)}") from None
        # Each of our writes waits for an answer, so that holding back its last packet would only cost time.
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.peer_address = address
        if wrap is not None:
            self._handshake(wrap, name)
        self._patience = self.timeouts.greeting
        return self.getreply()

    def hello(self) -> Reply:
        """Say EHLO, or HELO to a peer that does not know it (RFC 5321 §3.2)."""
        self._patience = self.timeouts.command
        code, text = self.ehlo()
        if 500 <= code < 600:
            self.esmtp_features = {}
            code, text = self.helo()
        return code, text

    def start_tls(self, context: ssl.SSLContext, name: str) -> Reply:
        """
        Turn the connection into TLS (RFC 3207 §4); after a 220 what the peer said before is forgotten.

        Raises `ssl.SSLError` when the handshake fails, what `check` raises, and `SessionLost` when the peer sent more
        than its reply: those octets came over the clear connection and would be read as if they had come protected.
        """
        code, text = self.command("STARTTLS")
        if code != 220:
            return code, text
        if self._unread:
            raise SessionLost("the peer sent more than its reply to STARTTLS")
        self._handshake(context, name)
        self.esmtp_features = {}
        self.ehlo_resp = self.helo_resp = None
        return code, text

    def _handshake(self, context: ssl.SSLContext, name: str) -> None:
        if self.sock is None:
            raise SessionLost("the connection is closed")
        self.sock.settimeout(self._remaining(self.timeouts.command))
        try:
            wrapped = context.wrap_socket(self.sock, server_hostname=name)
        except ssl.SSLError:
            raise
        except OSError as error:
            raise SessionLost(f"the connection ended in the TLS handshake: {_reason(error)}") from None
        self.sock = wrapped
        if self.check is not None:
            self.check(wrapped)
        self.tls, self.cipher = describe(wrapped, self.proof), cipher_of(wrapped)

    def begin(self) -> None:
        """Start the clock of a new transaction."""
        self._deadline = self.monotonic() + self.timeouts.transaction

    def command(self, line: str, wait: float | None = None) -> Reply:
        """Send one command and return the reply to it."""
        self._patience = self.timeouts.command if wait is None else wait
        self.putcmd(line)
        return self.getreply()

    def putcmd(self, cmd: str, args: str = "") -> None:
        """Send a command. Raises `SessionLost` if the peer has said more than it was asked for: whose reply is next?"""
        self._in_step()
        super().putcmd(cmd, args)

    def listens(self) -> bool:
        """
        Say whether a connection that waited is good for another message.

        A peer that takes pipelining is asked together with the next envelope instead, which saves a round trip.
        """
        self.begin()
        if self.sock is None:
            return False
        try:
            return self.offers("pipelining") or self._reset()
        except SessionLost:
            return False

    def _reset(self) -> bool:
        if self.command("RSET")[0] != 250:
            return False
        self._used = False
        return True

    def envelope(self, mail: str, rcpt: str) -> Reply | None:
        """
        Send MAIL, RCPT and DATA, and return the first refusal; None if the peer waits for a body.

        Where the peer offers PIPELINING (RFC 2920), all of it leaves in one write. A peer that wants a body although
        it refused the envelope gets none: a lone dot (RFC 2920 §3.1), after which both sides know again where they are.
        """
        lines = [("RSET", self.timeouts.command)] if self._used else []
        lines += [(mail, self.timeouts.command), (rcpt, self.timeouts.command), ("DATA", self.timeouts.data)]
        self._used = True
        at_once = self.offers("pipelining")
        if at_once:
            self._in_step()
            self.send("".join(f"{line}\r\n" for line, _ in lines))
        refusal: Reply | None = None
        reply: Reply = (0, b"")
        for line, wait in lines:
            if not at_once:
                self.putcmd(line)
            self._patience = wait
            try:
                reply = self.getreply()
            except SessionLost:
                if refusal is None:
                    raise
                return refusal  # which was said before the connection ended
            if line == "RSET":
                if reply[0] != 250:
                    self.close()
                    raise SessionLost("the peer takes no further message over this connection")
            elif reply[0] != 354 if line == "DATA" else reply[0] // 100 != 2:
                refusal = refusal or reply
                if not at_once:
                    break
        if refusal is not None and at_once and reply[0] == 354:
            self._nothing()
        elif refusal is not None and reply[0] // 100 not in (4, 5):
            self.close()  # neither side knows where it is
        return refusal

    def _nothing(self) -> None:
        """End a body that was asked for after a refusal. Whatever is answered, there was no recipient for it."""
        self._patience = self.timeouts.data
        try:
            self._in_step()
            self.send(b".\r\n")
            code, _ = self.getreply()
        except SessionLost:
            return
        if code // 100 not in (2, 4, 5):
            self.close()

    def _in_step(self) -> None:
        if self._unread:
            self.close()
            raise SessionLost("the peer answered before it was asked")

    def send(self, s: str | bytes) -> None:  # type: ignore[override]
        """Write, within the time for one block."""
        if self.sock is None:
            raise SessionLost("the connection is closed")
        octets = s.encode(self.command_encoding) if isinstance(s, str) else s
        try:
            self.sock.settimeout(self._remaining(self.timeouts.block))
            self.sock.sendall(octets)
        except OSError as error:
            self.close()
            raise SessionLost(f"the connection ended while sending: {_reason(error)}") from None

    def getreply(self) -> Reply:
        """
        Read one reply with all its lines (RFC 5321 §4.2.1).

        Raises `SessionLost` for what is no reply, is larger than 64 KiB, or takes longer than it may on the whole: a
        peer that sends an octet every now and then must not hold a thread.
        """
        deadline = self.monotonic() + self._remaining(self._patience)
        self._patience = self.timeouts.command
        lines: list[bytes] = []
        size = 0
        while True:
            line = self._line(deadline, MAX_REPLY - size)
            size += len(line) + 1
            found = re.match(rb"([2-5]\d\d)(?:([ -])(.*))?\Z", line.rstrip(b"\r"), re.DOTALL)
            if found is None:
                self.close()
                raise SessionLost("the peer's answer is not SMTP")
            lines.append(found[3] or b"")
            if found[2] != b"-":
                break
        if found[1] == b"421":
            self.close()  # as the peer does (RFC 5321 §3.8)
        return int(found[1]), b"\n".join(lines)

    def _line(self, deadline: float, room: int) -> bytes:
        while (end := self._unread.find(b"\n", 0, room)) < 0:
            if self.sock is None:
                raise SessionLost("the connection is closed")
            if len(self._unread) >= room:
                self.close()
                raise SessionLost("the peer's reply has no end")
            left = deadline - self.monotonic()
            try:
                self.sock.settimeout(max(left, 0.001))
                octets = self.sock.recv(4096) if left > 0 else None
            except TimeoutError:
                octets = None
            except OSError as error:
                self.close()
                raise SessionLost(f"the connection ended while waiting for a reply: {_reason(error)}") from None
            if octets is None:
                self.close()
                raise SessionLost("the peer did not answer in time")
            if not octets:
                self.close()
                raise SessionLost("the peer closed the connection")
            self._unread += octets
        line = bytes(self._unread[:end])
        del self._unread[: end + 1]
        return line

    def body(self, chunks: Iterable[bytes]) -> Reply:
        """Send a body after a 354 and return the reply to its end. The chunks hold complete CRLFs only."""
        self._in_step()
        for block in stuffed(chunks):
            self.send(block)
        self._patience = self.timeouts.dot
        return self.getreply()

    def leave(self) -> None:
        """Say QUIT if the peer still listens, and close; what it answers no longer matters."""
        self._deadline = float("inf")
        try:
            if self.sock is not None:
                self.command("QUIT", self.timeouts.quit)
        except SessionLost:
            pass  # it has left before us
        finally:
            self.close()

    def close(self) -> None:
        """Close without a word."""
        self._unread.clear()
        super().close()

    def _remaining(self, wait: float) -> float:
        left = self._deadline - self.monotonic()
        if left <= 0:
            self.close()
            raise SessionLost("the transaction took too long")
        return min(wait, left)

    def offers(self, extension: str) -> bool:
        """Say whether EHLO named *extension*."""
        return extension.lower() in self.esmtp_features

    @property
    def peer_name(self) -> str:
        """The name that the peer gives itself in its answer to EHLO, in lower case."""
        words = (self.ehlo_resp or b"").split(None, 1)
        return words[0].decode("ascii", "replace").lower() if words else ""

    @property
    def size_limit(self) -> int | None:
        """The SIZE that the peer announced, octets; None if it named no limit (RFC 1870 §3: 0 is none)."""
        text = self.esmtp_features.get("size", "")
        return int(text) or None if re.fullmatch(r"[0-9]{1,20}", text) else None


def stuffed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """
    Double leading dots and add the end of data (RFC 5321 §4.5.2), in blocks of about 64 KiB.

    A body that does not end in CRLF gets one, since without it there is no end.
    """
    gathered = bytearray()
    last = b"\r\n"  # the two octets before the next: the body begins at the start of a line
    for chunk in chunks:
        if not chunk:
            continue
        # The two octets before the chunk are put in front, so that a line end across the border is seen.
        gathered += (last + chunk).replace(b"\r\n.", b"\r\n..")[2:]
        last = (last + chunk)[-2:]
        if len(gathered) >= BLOCK:
            yield bytes(gathered)
            gathered.clear()
    gathered += b".\r\n" if last == b"\r\n" else b"\r\n.\r\n"
    yield bytes(gathered)


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__

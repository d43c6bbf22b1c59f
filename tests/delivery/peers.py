"""Mail hosts for tests: polite ones that follow a table of replies, and hostile ones that are a function."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection, Mapping
from random import Random
from typing import Any

import trustme

from cryptnsend.delivery.courier import Courier, CourierSettings, Envelope, Timeouts
from cryptnsend.delivery.dns import Answer, Mx, NoSuchDomain, Tlsa

PLAIN_EHLO = (
    "250-peer.example\r\n250-SIZE 10000000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250 ENHANCEDSTATUSCODES"
)
EHLO = PLAIN_EHLO.replace("250-DSN", "250-PIPELINING\r\n250-DSN")
MESSAGE = b"From: a@our.test\r\nTo: pat@peer.example\r\nSubject: hello\r\n\r\nA line.\r\n.\r\n..two\r\n"
ENVELOPE = Envelope("b+1@our.test", "pat@peer.example")
# Generous enough for a busy machine; tests of timeouts set their own.
QUICK = Timeouts(60, 60, 60, 60, 60, 60, 1, 120, 60)


class WallClock:
    """The real time."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()


class Names:
    """
    A resolver that knows what it is told; an exception as a value is raised.

    What stands in *secure* is as if a validating resolver vouched for it: names of any kind of record. *aliases* says
    where a host's addresses really stand.
    """

    def __init__(
        self,
        mx: Mapping[str, Any] | None = None,
        hosts: Mapping[str, Any] | None = None,
        *,
        tlsa: Mapping[str, Any] | None = None,
        txt: Mapping[str, Any] | None = None,
        aliases: Mapping[str, str] | None = None,
        secure: Collection[str] = (),
    ):
        self._mx, self._hosts = mx or {}, hosts or {}
        self.tlsa_records, self.text_records = dict(tlsa or {}), dict(txt or {})
        self._aliases, self._secure = aliases or {}, secure
        self.asked: list[str] = []

    def mx(self, domain: str) -> Answer[Mx]:
        records = self._answer(self._mx, domain)
        return Answer((Mx(*record) for record in records), secure=domain in self._secure, name=domain)

    def addresses(self, host: str) -> Answer[str]:
        name = self._aliases.get(host, host)
        return Answer(self._answer(self._hosts, name), secure=name in self._secure, name=name)

    def alias_is_secure(self, host: str) -> bool:
        return host in self._aliases and host in self._secure

    def tlsa(self, name: str) -> Answer[Tlsa]:
        records = self._answer(self.tlsa_records, name, [])
        return Answer((Tlsa(*record) for record in records), secure=name in self._secure, name=name)

    def texts(self, name: str) -> Answer[str]:
        return Answer(self._answer(self.text_records, name, []), secure=name in self._secure, name=name)

    def _answer(self, table: Mapping[str, Any], name: str, default: Any = None) -> Any:
        self.asked.append(name)
        answer = table.get(name, NoSuchDomain(name) if default is None else default)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Wire:
    """One connection, seen from the host's side."""

    def __init__(self, sock: socket.socket):
        self.sock = sock
        self.is_over = False
        self._buffer = b""

    def say(self, text: str | bytes) -> None:
        octets = text.encode() if isinstance(text, str) else text
        self.sock.sendall(octets + b"\r\n")

    def line(self) -> str:
        """Return the next command without its CRLF; "" at the end of the connection."""
        return self._until(b"\r\n").decode()

    def body(self) -> bytes:
        """Return what comes up to the final dot, still stuffed; nothing if it ends at once, or never."""
        # The line end of DATA counts: a lone dot is an empty body.
        self._buffer = b"\r\n" + self._buffer
        found = self._until(b"\r\n.\r\n")[2:]
        return found + b"\r\n" if found else b""

    def start_tls(self, context: ssl.SSLContext) -> None:
        self.sock = context.wrap_socket(self.sock, server_side=True)
        self._buffer = b""

    def _until(self, end: bytes) -> bytes:
        while end not in self._buffer:
            octets = self.sock.recv(65536)
            if not octets:
                self.is_over, self._buffer = True, b""
                return b""
            self._buffer += octets
        found, _, self._buffer = self._buffer.partition(end)
        return found


class Peer:
    """
    A mail host on loopback. *replies* by verb change the polite dialogue ("." answers the body, "greeting" opens); a
    list gives one reply after the other. *serve* replaces the dialogue altogether.
    """

    def __init__(
        self,
        replies: Mapping[str, str | list[str]] | None = None,
        *,
        serve: Callable[[Wire], None] | None = None,
        context: ssl.SSLContext | None = None,
        implicit: bool = False,
        address: tuple[str, int] = ("127.0.0.1", 0),
    ):
        self.commands: list[str] = []
        self.bodies: list[bytes] = []
        self.connections = 0
        self._replies = {
            key: list(value) if isinstance(value, list) else [value] for key, value in (replies or {}).items()
        }
        self._serve = serve or self.polite
        self._context = context
        self._implicit = implicit
        self._socket = socket.create_server(address)
        self._address = address[0]
        self.port = self._socket.getsockname()[1]
        self._stopping = threading.Event()
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._listen, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *problem: object) -> None:
        # A connection of our own ends `accept`, whatever the platform.
        self._stopping.set()
        socket.create_connection((self._address, self.port)).close()
        self._threads[0].join()
        self._socket.close()
        for sock in self._open:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads:
            thread.join()

    @property
    def route(self) -> str:
        return f"{self._address}:{self.port}"

    def verbs(self) -> list[str]:
        return [command.partition(" ")[0] for command in self.commands]

    def _listen(self) -> None:
        while True:
            sock, _ = self._socket.accept()
            if self._stopping.is_set():
                sock.close()
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            self._open.append(sock)
            thread = threading.Thread(target=self._run, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, sock: socket.socket) -> None:
        wire = Wire(sock)
        try:
            if self._implicit and self._context is not None:
                wire.start_tls(self._context)
            self._serve(wire)
        except OSError:
            pass  # the courier went away, which is what many of these tests are about
        finally:
            wire.sock.close()

    def reply(self, key: str, default: str) -> str:
        """Return the next reply for *key*; the last one is repeated."""
        left = self._replies.get(key, [default])
        return left.pop(0) if len(left) > 1 else left[0]

    def polite(self, wire: Wire) -> None:
        """Follow RFC 5321 with the replies of the table; "drop" as a reply closes the connection instead."""
        if not self._answer(wire, "greeting", "220 peer.example ESMTP"):
            return
        takes = ""  # what was said to RCPT
        while line := wire.line():
            self.commands.append(line)
            verb = line.partition(" ")[0].upper()
            go_on = "354 go on" if takes.startswith("2") else "554 5.5.1 no valid recipients"
            default = {"EHLO": EHLO, "DATA": go_on, "STARTTLS": "220 go", "QUIT": "221 bye"}.get(verb, "250 2.0.0 ok")
            if verb == "EHLO" and self._context is not None and not isinstance(wire.sock, ssl.SSLSocket):
                default = default.replace("250-8BIT", "250-STARTTLS\r\n250-8BIT")
            answer = self._answer(wire, verb, default)
            if verb in ("MAIL", "RCPT", "RSET"):
                takes = answer if verb == "RCPT" else ""
            if verb == "STARTTLS" and answer.startswith("220") and self._context is not None:
                wire.start_tls(self._context)
            elif verb == "DATA" and answer.startswith("354"):
                if body := wire.body():
                    self.bodies.append(body)
                elif wire.is_over:
                    return
                answer = self._answer(wire, ".", "250 2.0.0 kept" if body else "554 5.5.1 nothing to keep")
            if not answer or verb == "QUIT" or answer.startswith("421"):
                return

    def _answer(self, wire: Wire, key: str, default: str) -> str:
        answer = self.reply(key, default)
        if answer == "drop":
            return ""
        wire.say(answer)
        return answer


def courier(peer: Peer | None = None, *, names: Names | None = None, **settings: Any) -> Courier:
    """Make a courier that finds *peer* for peer.example and for all below it."""
    routes = {"peer.example": peer.route} if peer is not None else {}
    values = {"hostname": "our.test", "timeouts": QUICK, "routes": routes, **settings}
    return Courier(names or Names(), CourierSettings(**values), WallClock(), Random(1))


def server_context(authority: trustme.CA, *hosts: str) -> ssl.SSLContext:
    """Return a server context with a certificate for *hosts* from *authority*."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*hosts).configure_cert(context)
    return context

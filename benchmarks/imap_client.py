"""A mail program that asks and takes, as little as the benchmark of the mailbox needs: octets in, answers apart."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator

from generator import Failed

PATIENCE = 900.0  # seconds, as a mailbox of 100,000 messages takes its time to be placed on a busy machine
_READ = 256 * 1024
_LITERAL = re.compile(rb"\{(\d+)\}\r\n$")
_FETCH = re.compile(rb"\* (\d+) FETCH \(")


class Client:
    """One connection over TLS."""

    def __init__(self, port: int):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        plain = socket.create_connection(("127.0.0.1", port), PATIENCE)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = context.wrap_socket(plain)
        self._count = 0
        self._until(b"\r\n")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, command: str, *, may_fail: bool = False) -> bytes:
        """Say one command and return everything up to its tagged answer; raise Failed unless that is an OK."""
        self._count += 1
        tag = b"zq%07dqz" % self._count
        self._socket.sendall(tag + b" " + command.encode() + b"\r\n")
        said = self._until(b"\r\n", after=b"\r\n" + tag + b" ")
        at = said.rindex(tag + b" ")
        if not may_fail and not said.startswith(b"OK", at + len(tag) + 1):
            raise Failed(f"{command[:60]}: {said[at:][:200]!r}")
        return said

    def line(self, line: str, expected: bytes) -> None:
        """Say a line to a door of SMTP; raise Failed unless the reply's last line begins with *expected*."""
        self._socket.sendall(line.encode() + b"\r\n")
        said = b""
        while not re.search(rb"^\d{3} [^\n]*\n\Z", said, re.M):
            said += self._until(b"\r\n")
        if not said.splitlines()[-1].startswith(expected):
            raise Failed(f"{line[:10]}: {said[-200:]!r}")

    def login(self, name: str, password: str) -> None:
        """Sign in."""
        self.ask(f'LOGIN "{name}" "{password}"')

    def _until(self, end: bytes, after: bytes = b"") -> bytes:
        """Read until what came ends with *end*, and has *after* in its last line."""
        held = bytearray()
        while True:
            got = self._socket.recv(_READ)
            if not got:
                raise Failed(f"The server hung up: {bytes(held[-200:])!r}")
            held += got
            if held.endswith(end):
                tail = held[-4096:]
                if not after or after in tail or tail.startswith(after[2:]):
                    return bytes(held)


def fetched(said: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of each FETCH response; literals stand as they came. Other lines are passed over."""
    at = 0
    while at < len(said):
        found = _FETCH.match(said, at)
        if found is None:  # the tagged answer, or a word of Dovecot's in a long one
            at = said.index(b"\r\n", at) + 2
            continue
        end = found.end()
        while True:
            line = said.index(b"\r\n", end) + 2
            literal = _LITERAL.search(said, end, line)
            if literal is None:
                break
            end = line + int(literal[1])
        yield int(found[1]), said[found.end() : line - 3]
        at = line


def normal(content: bytes) -> bytes:
    """Return a response's content in one of the many ways to write it: items, quotes, case, and literals alike."""
    plain = re.sub(rb'"((?:[^"\\]|\\.)*)"', lambda each: b"<" + each[1].replace(b"\\", b"") + b">", content)
    return re.sub(rb"\{(\d+)\}\r\n", b"", plain).lower()

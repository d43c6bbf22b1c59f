"""Asking strangers' web servers: polite ones, and those that redirect, flood, stall or are not who they say."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from cryptnsend.delivery.dns import DnsTrouble
from cryptnsend.delivery.https import Https, HttpsTrouble
from tests.delivery.peers import Names, Peer, Wire, server_context

HOST = "mta-sts.peer.example"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"


class Site:
    """One web server; `requests` are the heads of what it was asked."""

    def __init__(self, answer: bytes | Callable[[Wire], None], context: ssl.SSLContext):
        self.requests: list[str] = []
        self._answer = answer
        self.peer = Peer(serve=self._serve, context=context, implicit=True)

    def _serve(self, wire: Wire) -> None:
        head = []
        while line := wire.line():
            head.append(line)
        self.requests.append("\n".join(head))
        if callable(self._answer):
            self._answer(wire)
        else:
            wire.sock.sendall(self._answer)


MakeSite = Callable[..., Site]


@pytest.fixture
def site(authority: trustme.CA) -> Iterator[MakeSite]:
    """Make web servers that are gone at the test's end."""
    made: list[Site] = []

    def make(answer: bytes | Callable[[Wire], None], host: str = HOST) -> Site:
        made.append(Site(answer, server_context(authority, host)))
        return made[-1]

    yield make
    for each in made:
        each.peer.__exit__()


def https(site: Site | None, ca_file: Path | None, *, allow_private: bool = True, seconds: float = 10.0) -> Https:
    names = Names(hosts={HOST: ["127.0.0.1"]})
    port = site.peer.port if site is not None else 1
    return Https(names, ca_file=ca_file, allow_private=allow_private, port=port, seconds=seconds)


def get(site: Site, ca_file: Path, **more: float) -> bytes:
    return https(site, ca_file, **more).get(HOST, "/file", media_type="text/plain", most=100)  # type: ignore[arg-type]


def trouble(site: Site, ca_file: Path, **more: float) -> HttpsTrouble:
    with pytest.raises(HttpsTrouble) as caught:
        get(site, ca_file, **more)
    return caught.value


def test_a_file_is_fetched(site: MakeSite, ca_file: Path) -> None:
    made = site(OK + b"Content-Length: 5\r\n\r\nhello")
    assert get(made, ca_file) == b"hello"
    assert made.requests[0].startswith("GET /file HTTP/1.1")
    assert f"Host: {HOST}" in made.requests[0]


@pytest.mark.parametrize(("port", "named"), [(443, HOST), (8443, f"{HOST}:8443")])
def test_a_server_at_the_usual_port_is_named_without_it(
    site: MakeSite, ca_file: Path, monkeypatch: pytest.MonkeyPatch, port: int, named: str
) -> None:
    """RFC 9110 §4.2.2: web servers that serve many names go by the exact one."""
    made = site(OK + b"Content-Length: 5\r\n\r\nhello")
    connect = socket.create_connection
    monkeypatch.setattr(socket, "create_connection", lambda to, **more: connect((to[0], made.peer.port), **more))
    asker = Https(Names(hosts={HOST: ["127.0.0.1"]}), ca_file=ca_file, allow_private=True, port=port)
    assert asker.get(HOST, "/file", media_type="text/plain", most=100) == b"hello"
    assert f"Host: {named}" in made.requests[0].split("\n")


def test_a_file_in_chunks_is_put_together(site: MakeSite, ca_file: Path) -> None:
    made = site(OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n")
    assert get(made, ca_file) == b"hello"


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 301 Moved\r\nLocation: https://evil.example/\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n",
        b"HTTP/1.1 404 Not Found\r\n",
        b"HTTP/1.1 500 Oh\r\n",
        b"HTTP/1.1 204 No Content\r\n",
    ],
)
def test_only_200_is_an_answer_and_nothing_is_followed(site: MakeSite, ca_file: Path, head: bytes) -> None:
    """RFC 8461 §3.3."""
    made = site(head + b"Content-Length: 0\r\n\r\n")
    assert trouble(made, ca_file).status == int(head[9:12])
    assert len(made.requests) == 1


@pytest.mark.parametrize("kind", [b"text/html", b"", b"nonsense"])
def test_a_file_of_another_kind_is_not_taken(site: MakeSite, ca_file: Path, kind: bytes) -> None:
    head = OK.replace(b"text/plain; charset=utf-8", kind) if kind else b"HTTP/1.1 200 OK\r\n"
    made = site(head + b"Content-Length: 5\r\n\r\nhello")
    if kind == b"nonsense":  # what cannot be read as a type is text/plain to the standard library (RFC 2045 §5.2)
        assert get(made, ca_file) == b"hello"
    else:
        assert "another kind" in str(trouble(made, ca_file))


@pytest.mark.parametrize("length", [b"Content-Length: 101\r\n", b""])
def test_an_oversized_file_is_not_taken(site: MakeSite, ca_file: Path, length: bytes) -> None:
    assert "more than 100" in str(trouble(site(OK + length + b"\r\n" + b"x" * 101), ca_file))


def test_an_endless_file_is_not_read_to_its_end(site: MakeSite, ca_file: Path) -> None:
    def flood(wire: Wire) -> None:
        wire.sock.sendall(OK + b"\r\n")
        while True:
            wire.sock.sendall(b"x" * 65536)

    assert "more than 100" in str(trouble(site(flood), ca_file))


def drip(wire: Wire) -> None:
    """Send an octet now and then, for ever, until the other side has gone."""
    wire.sock.settimeout(0.05)
    for octet in OK + b"\r\n" + b"x" * 10_000:
        wire.sock.sendall(bytes([octet]))
        try:
            if not wire.sock.recv(1):
                return
        except TimeoutError:
            continue


def stall(wire: Wire) -> None:
    wire.sock.recv(1)


@pytest.mark.parametrize("serve", [drip, stall])
def test_a_slow_server_is_left_after_the_time_on_the_whole(
    site: MakeSite, ca_file: Path, serve: Callable[[Wire], None]
) -> None:
    began = time.monotonic()
    assert "no usable answer" in str(trouble(site(serve), ca_file, seconds=0.5))
    assert time.monotonic() - began < 8


def test_a_file_that_was_cut_short_is_not_taken(site: MakeSite, ca_file: Path) -> None:
    for head in (OK + b"Content-Length: 50\r\n\r\n", OK + b"\r\n"):
        assert str(trouble(site(head + b"hello"), ca_file))


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", OK, b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 500 + b"\r\n"])
def test_what_is_no_http_is_trouble(site: MakeSite, ca_file: Path, answer: bytes) -> None:
    assert str(trouble(site(answer), ca_file))


def test_a_certificate_for_another_name_proves_nothing(site: MakeSite, ca_file: Path) -> None:
    made = site(OK + b"\r\nhello", "www.evil.example")
    assert trouble(made, ca_file).is_certificate
    assert made.requests == []


def test_an_expired_certificate_proves_nothing(authority: trustme.CA, ca_file: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST, not_after=datetime.now(UTC) - timedelta(days=1)).configure_cert(context)
    with Peer(serve=lambda wire: wire.sock.sendall(OK + b"\r\nhello"), context=context, implicit=True) as host:
        asking = Https(Names(hosts={HOST: ["127.0.0.1"]}), ca_file=ca_file, allow_private=True, port=host.port)
        with pytest.raises(HttpsTrouble) as caught:
            asking.get(HOST, "/", media_type="text/plain", most=10)
    assert caught.value.is_certificate


def test_a_certificate_of_nobody_proves_nothing(site: MakeSite, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    assert trouble(site(OK + b"\r\nhello"), tmp_path / "other.pem").is_certificate


def test_a_server_without_tls_is_trouble(ca_file: Path) -> None:
    with Peer(serve=lambda wire: wire.say("this is not TLS")) as host:
        asking = Https(Names(hosts={HOST: ["127.0.0.1"]}), ca_file=ca_file, allow_private=True, port=host.port)
        with pytest.raises(HttpsTrouble):
            asking.get(HOST, "/", media_type="text/plain", most=10)


def test_a_name_that_leads_into_our_own_network_is_not_followed(site: MakeSite, ca_file: Path) -> None:
    """S22."""
    made = site(OK + b"\r\nhello")
    with pytest.raises(HttpsTrouble, match="no address on the public Internet"):
        https(made, ca_file, allow_private=False).get(HOST, "/", media_type="text/plain", most=10)
    assert made.peer.connections == 0


def test_a_host_that_is_not_there_is_trouble(ca_file: Path) -> None:
    with Peer() as gone:
        port = gone.port
    for names in (Names(), Names(hosts={HOST: DnsTrouble("no answer")}), Names(hosts={HOST: ["127.0.0.1"]})):
        asking = Https(names, ca_file=ca_file, allow_private=True, port=port)
        with pytest.raises(HttpsTrouble):
            asking.get(HOST, "/", media_type="text/plain", most=10)


def test_a_report_is_posted(site: MakeSite, ca_file: Path) -> None:
    got: list[bytes] = []

    def take(wire: Wire) -> None:
        got.append(wire.sock.recv(100) if not wire._buffer else wire._buffer)
        wire.sock.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")

    made = site(take)
    status = https(made, ca_file).post(HOST, made.peer.port, "/in?x=1", b"report", {"Content-Type": "application/x"})
    assert (status, got) == (201, [b"report"])
    assert made.requests[0].startswith("POST /in?x=1 HTTP/1.1")
    assert "Content-Type: application/x" in made.requests[0]

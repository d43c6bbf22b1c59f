"""Between granian and the pages: whoever is slow makes nobody wait, and what breaks off is not taken for whole."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import http.client
import json
import os
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.portal.front import SMALL, UNOPENED, WHOLE, Answer, Front, Patience, _Sending
from tests.house.test_portal_server import Portal
from tests.support.homes import make_home
from tests.support.waiting import wait_for


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    home = tmp_path_factory.mktemp("front") / "home"
    make_home(home)
    running = Portal(home)
    yield running
    running.process.terminate()
    running.process.wait(60)
    running.log.close()


@pytest.fixture
def connect(portal: Portal) -> Iterator[Callable[..., ssl.SSLSocket]]:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with ExitStack() as stack:

        def connected(room: int | None = None) -> ssl.SSLSocket:
            plain = stack.enter_context(socket.socket())
            plain.settimeout(60)
            if room is not None:  # octets that the kernel keeps for this side
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
            plain.connect(("127.0.0.1", portal.port))
            return stack.enter_context(context.wrap_socket(plain))

        yield connected


def answered(connection: ssl.SSLSocket, request: bytes) -> tuple[int, bytes]:
    connection.sendall(request)
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return answer.status, answer.read()


def post(path: str, body: bytes, length: int | None = None) -> bytes:
    return b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (
        path.encode(), len(body) if length is None else length,
    ) + body  # fmt: skip


@pytest.mark.parametrize("sent", [0, 5, SMALL + 100_000], ids=["a head", "half a form", "half a file"])
def test_pages_answer_beside_many_who_sent_half_of_something(portal, connect, sent):
    for _ in range(12):  # there are four threads
        connect().sendall(post("/body", b"x" * sent, length=9_000_000))
    assert portal.ask("/")[0] == 200
    assert answered(connect(), post("/digest", b"name=pat"))[0] == 200


def test_pages_answer_beside_many_who_do_not_read(portal, connect):
    for _ in range(12):
        connect().sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
    assert portal.ask("/")[0] == 200


def test_connections_that_say_nothing_are_nobodys_burden(portal, connect):
    with ExitStack() as stack:
        for _ in range(1_100):  # more than may wait to be taken
            stack.enter_context(socket.create_connection(("127.0.0.1", portal.port), 60))
        assert portal.ask("/")[0] == 200


@pytest.mark.parametrize("size", [0, 1, SMALL - 1, SMALL, SMALL + 1, 3_000_001])
def test_every_octet_of_a_body_arrives_whatever_its_size(connect, size):
    body = bytes(range(251)) * (size // 251 + 1)
    body = body[:size]
    expected = f"{size} {hashlib.sha256(body).hexdigest()}".encode()
    assert answered(connect(), post("/digest", body)) == (200, expected)


def test_a_long_answer_arrives_whole_and_is_closed(portal, connect):
    status, body = answered(connect(), b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
    assert status == 200
    assert body == b"".join(bytes([count % 256]) * 65536 for count in range(512))


def test_an_answer_is_made_no_faster_than_its_reader_takes_it(portal, connect):
    slow = connect(65536)
    slow.sendall(b"GET /large/counted HTTP/1.1\r\nHost: x\r\n\r\n")
    assert slow.recv(100)
    for _ in range(30):  # time enough to make all of it, if nobody held it back
        assert answered(connect(), post("/digest", bytes(60_000)))[0] == 200
    ahead = (portal.folder / "made").stat().st_size * 65536
    assert ahead < 16 * 1024 * 1024, "what the kernel keeps for the other side, and little else"
    while (portal.folder / "made").stat().st_size < 512:
        assert slow.recv(1 << 20)


def test_an_answer_is_closed_when_its_reader_leaves(portal, connect):
    (portal.folder / "closed").unlink(missing_ok=True)
    leaving = connect()
    leaving.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
    assert leaving.recv(100)
    leaving.close()
    wait_for((portal.folder / "closed").exists, "the answer to be closed")


def test_an_answer_that_breaks_off_does_not_pass_for_a_whole_one(portal, connect):
    with pytest.raises((http.client.IncompleteRead, OSError)):
        answered(connect(), b"GET /large/breaks HTTP/1.1\r\nHost: x\r\n\r\n")
    assert "kumquat" not in portal.said()


def test_a_body_without_a_length_is_refused_since_nobody_can_tell_its_end_from_its_breaking_off(connect):
    chunked = b"POST /digest HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"
    status, words = answered(connect(), chunked)
    assert (status, b"Content-Length" in words) == (411, True)


def test_fields_come_as_pep_3333_has_them_and_none_passes_for_another(connect):
    status, said = answered(
        connect(),
        b"GET /fields?q=%C3%A9 HTTP/1.1\r\nHost: x\r\nCookie: a=1\r\nCookie: b=2\r\nX-A: 1\r\nX-A: 2\r\n"
        b"Content_Length: 7\r\nX_A: 3\r\n\r\n",
    )
    environ = json.loads(said)
    assert status == 200
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert environ["HTTP_X_A"] == "1,2"
    assert environ["QUERY_STRING"] == "q=%C3%A9"
    assert (environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]) == ("127.0.0.1", "https")
    assert "CONTENT_LENGTH" not in environ


@given(st.floats(0, 1e5), st.integers(0, 10**10))
def test_nobody_is_waited_for_longer_than_their_octets_allow(passed, done):
    patience = Patience()
    left = patience.left(0.0, passed, done)
    assert left <= patience.idle
    assert (left > 0) == (passed < patience.grace + done / patience.octets)


def test_a_pipe_that_is_opened_too_late_has_ended_and_its_number_is_nothing_elses():
    """granian opens it by its number; what had this number by then would leave in its stead."""
    unopened: deque[int] = deque()
    sending = _Sending(Patience(idle=0.01), unopened)
    sending.send([b"a" * 70_000], iter([b"b" * 70_000]))  # more than a pipe takes
    with open("/dev/zero", "rb") as another:
        assert sending.place != f"/proc/self/fd/{another.fileno()}"
        with open(sending.place, "rb") as late:
            octets = late.read()
    assert octets == b"a" * len(octets)
    assert len(octets) < 70_000
    os.close(unopened.pop())


def test_pipes_that_were_never_opened_do_not_add_up():
    before, unopened = len(os.listdir("/proc/self/fd")), deque[int]()
    for _ in range(UNOPENED + 5):
        _Sending(Patience(), unopened).end()
    assert len(os.listdir("/proc/self/fd")) == before + UNOPENED
    while unopened:
        os.close(unopened.pop())


def test_an_answer_whose_head_cannot_be_sent_leaves_no_pipe_open():
    class Refusing:
        def response_file(self, *_said: object) -> None:
            raise ValueError("a head that cannot be sent")

    front = Front(lambda _environ, _start: [bytes(2 * WHOLE), b"more"], threads=4)
    closed: list[str] = []
    answer = Answer(200, [], [bytes(2 * WHOLE)], iter([b"more"]), lambda: closed.append("closed"))
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ValueError, match="a head"):
        asyncio.run(front._transfer(Refusing(), answer, answer.rest, "192.0.2.1", contextvars.copy_context()))
    assert closed == ["closed"]
    assert len(os.listdir("/proc/self/fd")) <= before + 1  # the number of the one that was not opened
    os.close(front._unopened.pop())
    front._pages.shutdown()


@pytest.mark.parametrize(
    ("status", "request_line"),
    [
        (200, b"GET / HTTP/1.1\r\n"),
        (200, b"GET /large HTTP/1.1\r\n"),
        (500, b"GET /broken HTTP/1.1\r\n"),
        (411, b"POST /digest HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"),
        (400, b"GET / HTTP/9.9\r\n"),
    ],
    ids=["a page", "a long answer", "a page that breaks", "a form without length", "no HTTP"],
)
def test_no_answer_names_the_program_that_serves_it(connect, status, request_line):
    connection = connect()
    connection.sendall(request_line + b"Host: x\r\n\r\n")
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    assert answer.status == status
    assert answer.getheader("server") in ("web", None)

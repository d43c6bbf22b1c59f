"""Does the door hold against clients that are slow, many, large or strange?"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from cryptnsend.submission.listener import House, SubmissionSession
from tests.submission.doubles import HOST, PASSWORD, USER, Client, Doors, plain
from tests.support.readable import is_readable
from tests.support.waiting import wait_for

MESSAGE = b"From: ann@gmail.example\r\nTo: pat@yahoo.example\r\nSubject: hello\r\n\r\nHow are you?\r\n"


# --- time and number -----------------------------------------------------------------------------------------------


def test_an_idle_client_is_told_and_closed(open_doors: Callable[..., Doors]) -> None:
    doors = open_doors(idle=1.0)
    with Client(doors) as idle, Client(doors) as trickle:
        assert idle.reply()[:3] == trickle.reply()[:3] == "220"
        trickle.send(b"NO")  # half a command is no command
        for client in (idle, trickle):
            assert client.reply()[:10] == "421 4.4.2 "
            assert client.closed()
    doors.settle()


def test_a_trickle_of_data_ends_at_its_deadline(open_doors: Callable[..., Doors]) -> None:
    doors = open_doors(data_idle=0.8, data_rate=1_000_000)
    with Client(doors) as client:
        client.sign_in().envelope().data()
        client.send(b"From: ann@gmail.example\r\n\r\n")
        begun = time.monotonic()
        pause = threading.Event()
        with contextlib.suppress(OSError):
            while time.monotonic() - begun < 60 and not is_readable(client.socket):
                client.send(b"x")
                pause.wait(0.1)
        assert client.reply()[:10] == "421 4.4.2 "
        assert time.monotonic() - begun < 50
    doors.settle()
    assert len(doors.intake.aborted) == 1


def test_connections_of_one_source_are_capped_until_they_sign_in(open_doors: Callable[..., Doors]) -> None:
    doors = open_doors(per_source=3)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(doors)) for _ in range(3)]
        for client in clients:
            assert client.reply()[:3] == "220"
        refused = stack.enter_context(Client(doors))
        assert refused.reply() == "421 4.3.2 Too many connections; try again later."
        assert refused.closed()
        in_clear = stack.enter_context(Client(doors, tls=False))
        assert in_clear.reply()[:10] == "421 4.3.2 "
        assert clients[0].say("EHLO x")[:3] == "250"
        assert clients[0].say(plain(USER, PASSWORD))[:3] == "235"
        wait_for(lambda: doors.server.house.connections.open == 3, "the refused to leave")
        again = stack.enter_context(Client(doors))
        assert again.reply()[:3] == "220"
    doors.settle()


def test_connections_of_one_account_are_capped(open_doors: Callable[..., Doors]) -> None:
    doors = open_doors(per_account=1)
    with Client(doors) as first, Client(doors) as second:
        first.sign_in()
        assert second.reply()[:3] == "220"
        assert second.say("EHLO x")[:3] == "250"
        assert second.say(plain(USER, PASSWORD)) == "421 4.3.2 Too many connections of this account."
        assert second.closed()
    doors.settle()
    with Client(doors) as third:
        third.sign_in()


def test_far_too_many_connections_are_closed_without_words(open_doors: Callable[..., Doors]) -> None:
    doors = open_doors(per_source=2)
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_connection(("127.0.0.1", doors.starttls), 60)) for _ in range(12)]
        heard = [each.recv(100)[:3] for each in sockets]
        assert heard.count(b"220") == 2
        assert set(heard) == {b"220", b"421", b""}
    doors.settle()


def test_a_client_that_never_starts_its_handshake_is_cut(open_doors: Callable[..., Doors]) -> None:
    doors = open_doors(handshake=0.3)
    with socket.create_connection(("127.0.0.1", doors.implicit), 60) as silent:
        assert silent.recv(100) == b""
    with (
        socket.create_connection(("127.0.0.1", doors.implicit), 60) as noisy,
        contextlib.suppress(ConnectionResetError, BrokenPipeError),
    ):
        noisy.sendall(b"EHLO there\r\n" * 10)
        while noisy.recv(100):
            pass
    with Client(doors, tls=False) as client:
        assert client.reply()[:3] == "220"
        assert client.say("STARTTLS")[:3] == "220"
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            client.send(b"no handshake at all\r\n")
            while client.socket.recv(100):
                pass
    doors.settle()
    assert {event["level"] for event in doors.events} == {"info"}


def test_a_client_that_does_not_read_replies_is_not_answered_without_end(open_doors: Callable[..., Doors]) -> None:
    doors = open_doors(idle=0.5, junk=10**9, linger=0.5)
    with Client(doors) as client:
        client.socket.settimeout(0.5)
        with contextlib.suppress(OSError):
            for _ in range(3000):
                client.send(b"HELP\r\n" * 2000)
        doors.settle()
    assert not doors.server.house.sessions


def test_a_session_that_stays_open_is_looked_at_again_before_a_message(open_doors: Callable[..., Doors]) -> None:
    doors = open_doors(recheck=0.0)
    with Client(doors) as client:
        client.sign_in().envelope()
        assert client.say("RSET")[:3] == "250"
        doors.gate.revoked = True
        assert client.say(f"MAIL FROM:<{USER}>") == "421 4.7.0 This sign-in has ended; sign in again."
        assert client.closed()


def test_back_pressure_reaches_the_client(doors: Doors) -> None:
    """While a blob is being written, at most a few hundred KiB are read ahead."""
    gate = threading.Event()

    async def slowly() -> None:
        while not gate.is_set():
            await asyncio.sleep(0.01)

    doors.intake.slowly = slowly
    with Client(doors) as client:
        client.sign_in().envelope().data()
        client.socket.settimeout(1.0)
        sent = 0
        block = b"x" * 65_534 + b"\r\n"
        client.send(b"From: ann@gmail.example\r\n\r\n")
        with contextlib.suppress(TimeoutError):
            while sent < 200 * 65_536:
                client.send(block)
                sent += len(block)
        assert sent < 200 * 65_536
        wait_for(lambda: doors.intake.begun[0].size < 2_000_000, "little to be read")
        waiting = next(iter(doors.server.house.sessions))._inbox
        assert len(waiting) < 1_000_000
        gate.set()
    doors.settle()
    assert len(doors.intake.aborted) == 1


def test_message_whose_last_dot_was_read_is_kept_though_the_client_left(doors: Doors) -> None:
    """The client will send it again, and gets the same id: losing it would be worse."""
    left = threading.Event()

    async def until_left() -> None:
        while not left.is_set():
            await asyncio.sleep(0.01)

    doors.intake.before_commit = until_left
    with Client(doors) as client:
        client.sign_in().envelope().data()
        client.send(MESSAGE + b".\r\n")
        wait_for(lambda: doors.intake.begun and doors.intake.begun[0].size == len(MESSAGE), "the message to be read")
    wait_for(lambda: not doors.server.house.sessions, "the connection to be lost")
    assert doors.intake.kept == []
    left.set()
    doors.settle()
    assert len(doors.intake.kept) == 1


def test_many_headers_deep_mime_and_a_line_of_a_mebibyte(open_doors: Callable[..., Doors]) -> None:
    doors = open_doors(header=1_048_576)
    fields = b"".join(b"X-%d: y\r\n" % number for number in range(10_000))
    deep = b"".join(b"--%d\r\nContent-Type: multipart/mixed; boundary=%d\r\n\r\n" % (n, n + 1) for n in range(100))
    line = b"z" * 1_048_576 + b"\r\n"
    start = b"From: ann@gmail.example\r\n"
    with Client(doors) as client:
        client.sign_in()
        for message in (start + fields + b"\r\n", start + b"\r\n" + deep, start + b"\r\n" + line):
            client.envelope().data()
            client.send(message + b".\r\n")
            assert client.reply()[:3] == "250"
            assert doors.intake.kept[-1].header + doors.intake.kept[-1].body == message


def test_too_large_a_header_is_refused_cleanly(doors: Doors) -> None:
    fields = b"".join(b"X-%d: yyyyyyyy\r\n" % number for number in range(10_000))
    with Client(doors) as client:
        client.sign_in()
        for end in (b"\r\n", b""):
            client.envelope().data()
            client.send(b"From: ann@gmail.example\r\n" + fields + end + b".\r\n")
            assert client.reply() == "552 5.6.0 The header has more than 102,400 bytes."
    assert doors.intake.kept == []


def test_oversize_message_is_read_to_its_end_in_constant_memory(open_doors: Callable[..., Doors]) -> None:
    doors = open_doors(size=1_000_000)
    block = b"y" * 998 + b"\r\n"
    with Client(doors) as client:
        client.sign_in().envelope().data()
        client.send(b"From: ann@gmail.example\r\n\r\n")
        for _ in range(40):
            client.send(block * 500)
        client.send(b".\r\n")
        assert client.reply()[:10] == "552 5.3.4 "
        assert client.say("NOOP")[:3] == "250"
    assert doors.intake.begun[0].size <= 1_000_000


class SlowReader:
    """A transport whose client stops reading after the greeting."""

    def __init__(self) -> None:
        self.said: list[bytes] = []
        self.session: SubmissionSession | None = None

    def get_extra_info(self, name: str) -> None:
        return None

    def write(self, octets: bytes) -> None:
        self.said.append(octets)
        if len(self.said) == 1:
            assert self.session is not None
            self.session.pause_writing()

    def close(self) -> None:
        self.said.append(b"closed")


def test_a_command_that_comes_while_the_client_does_not_read_is_answered_later(doors: Doors) -> None:
    async def story() -> list[bytes]:
        transport = SlowReader()
        house = House(HOST, doors.limits, doors.server.house.turnstile, doors.intake, None, doors.server.house.log)
        transport.session = SubmissionSession(house, source="192.0.2.1", counted_as="192.0.2.1", implicit_tls=False)
        transport.session.connection_made(transport)
        await asyncio.sleep(0)
        transport.session.data_received(b"NOOP\r\n")
        await asyncio.sleep(0)
        assert len(transport.said) == 1
        transport.session.resume_writing()
        for _ in range(5):
            await asyncio.sleep(0)
        transport.session.eof_received()
        await asyncio.sleep(0)
        return transport.said

    assert asyncio.run(story())[1:] == [b"250 2.0.0 OK\r\n", b"closed"]


WORDS = [
    *(
        b"EHLO x",
        b"HELO x",
        b"AUTH PLAIN",
        b"AUTH LOGIN",
        b"AUTH LOGIN AA==",
        b"*",
        b"=",
        b"NOOP",
        b"RSET",
        b"HELP",
        b"VRFY",
    ),
    *(plain(USER, PASSWORD).encode(), plain(USER, "wrong").encode(), b"STARTTLS", b"BDAT 3", b"DATA", b"DATA", b"."),
    *(
        b"MAIL FROM:<ann@gmail.example>",
        b"MAIL FROM:<ann@gmail.example> SIZE=1",
        b"MAIL FROM:<>",
        b"MAIL FROM:<\xff@x>",
    ),
    *(b"RCPT TO:<pat@yahoo.example>", b"RCPT TO:<pat@yahoo.example> NOTIFY=NEVER", b"RCPT TO:<\xc3\xa9@x.example>"),
    *(b"From: ann@gmail.example", b"", b"..", b"text", b"\0", b"a\rb", b"a\nb", b"\xff\xfe", b"x" * 3000),
]


def test_no_order_of_words_makes_a_session_fail(open_doors: Callable[..., Doors]) -> None:
    """Every line gets an answer that can be read, and nothing is ever logged as our own fault."""
    doors = open_doors(auth_delay=0.0, linger=0.3, auth_failures=100)

    @settings(max_examples=80)
    @given(st.lists(st.sampled_from(WORDS), max_size=25), st.booleans(), st.integers(0, 400))
    def play(words: list[bytes], signed_in: bool, cut: int) -> None:
        octets = b"".join(word + b"\r\n" for word in words)
        with Client(doors, tls=True) as client:
            if signed_in:
                client.sign_in().envelope()
            with contextlib.suppress(OSError):
                for piece in (octets[:cut], octets[cut:], b"\r\n.\r\n*\r\n*\r\nQUIT\r\nQUIT\r\n"):
                    client.send(piece)
            answers = list(iter(client.reply, ""))
        for answer in answers:
            assert re.fullmatch(r"(?:[2345]\d\d[- ][ -~]*\n?)+", answer)
        assert not [event for event in doors.events if event["level"] == "error"]

    play()
    doors.settle()
    assert doors.intake.inside == 0

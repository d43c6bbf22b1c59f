"""Mail hosts that mean harm, or are broken: none holds a thread for long, fills memory, or makes us believe a lie."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

import pytest

from cryptnsend.app import build
from cryptnsend.config import Config
from cryptnsend.delivery.courier import Outcome
from cryptnsend.delivery.session import Timeouts
from tests.delivery.peers import ENVELOPE, MESSAGE, QUICK, Peer, Wire, courier

SHORT = replace(QUICK, greeting=0.3, command=0.3, data=0.3, dot=0.3, quit=0.3)


def send_to(serve: Callable[[Wire], None], timeouts: Timeouts = QUICK) -> Outcome:
    with Peer(serve=serve) as host:
        made = courier(host, timeouts=timeouts)
        outcome = made.send(ENVELOPE, "opportunistic", MESSAGE)
        made.close()
    return outcome


def forever(wire: Wire, octets: bytes) -> None:
    """Send the same octets until the courier hangs up."""
    while True:
        wire.sock.sendall(octets)


def until_data(wire: Wire) -> None:
    """Go along as far as the end of the body."""
    wire.say("220 hello")
    while (line := wire.line()) and not line.startswith("DATA"):
        wire.say("250 ok")
    wire.say("354 go on")
    wire.body()


@pytest.mark.parametrize(
    "octets", [b"220-and another line\r\n", b"220-" + b"x" * 5000, b"\r\n", b"x", b"220-\0\xff\r\n", b"220-a\n"]
)
def test_a_greeting_without_end_is_given_up(octets: bytes) -> None:
    started = time.monotonic()
    outcome = send_to(lambda wire: forever(wire, octets))
    assert (outcome.kind, outcome.status) == ("delayed", "4.4.1")
    assert len(outcome.reply) <= 512
    assert time.monotonic() - started < 40


def test_a_reply_without_end_after_the_body_is_no_delivery() -> None:
    def serve(wire: Wire) -> None:
        until_data(wire)
        forever(wire, b"250-kept, and there is more to say\r\n")

    outcome = send_to(serve)
    assert (outcome.kind, outcome.status, outcome.reply) == ("delayed", "4.4.2", "the peer's reply has no end")


@pytest.mark.parametrize("octets", [b"250-and another line\r\n", b"250 2.0.0 ok\r\n"], ids=["one reply", "replies"])
def test_replies_without_end_to_an_envelope_in_one_write_are_given_up(octets: bytes) -> None:
    def serve(wire: Wire) -> None:
        wire.say("220 hello")
        wire.line()
        wire.say("250-peer.example\r\n250 PIPELINING")
        wire.line()
        forever(wire, octets)

    outcome = send_to(serve)
    assert outcome.kind == "delayed"
    assert outcome.code in (None, 250)


def test_a_reply_of_many_lines_below_the_limit_is_read() -> None:
    def serve(wire: Wire) -> None:
        until_data(wire)
        wire.say("250-2.0.0 " + "x" * 100 + ("\r\n250-2.0.0 " + "y" * 100) * 500 + "\r\n250 2.0.0 kept")
        wire.line()

    outcome = send_to(serve)
    assert outcome.kind == "delivered"
    assert len(outcome.reply) == 512


@pytest.mark.parametrize("silent_after", ["", "EHLO", "MAIL", "RCPT", "DATA", "."])
def test_a_peer_that_falls_silent_is_a_delay(silent_after: str) -> None:
    hung_up = threading.Event()

    def serve(wire: Wire) -> None:
        if silent_after:
            wire.say("220 hello")
        while line := wire.line():
            verb = line.partition(" ")[0]
            if verb == silent_after:
                continue
            wire.say("354 go" if verb == "DATA" else "250 ok")
            if verb == "DATA":
                wire.body()
        hung_up.set()

    with Peer(serve=serve) as host:
        made = courier(host, timeouts=SHORT)
        outcome = made.send(ENVELOPE, "opportunistic", MESSAGE)
        assert hung_up.wait(60)
    assert outcome.kind == "delayed"
    assert outcome.status in ("4.4.1", "4.4.2")


def test_we_wait_at_least_as_long_as_we_should(config: Config) -> None:
    """RFC 5321 §4.5.3.2, in seconds: greeting, MAIL and RCPT, DATA, a block of the body, its end."""
    app = build(config, "courier")
    with closing(app.courier), closing(app.engine), closing(app.blobs):
        timeouts = app.courier._gear.timeouts
    for waits in (Timeouts(), timeouts):
        assert waits.greeting >= 300
        assert waits.command >= 300
        assert waits.data >= 120
        assert waits.block >= 180
        assert waits.dot >= 600


def test_a_peer_that_drips_is_bound_by_one_deadline_per_reply() -> None:
    """Each octet alone comes in time; the reply as a whole does not."""
    stop = threading.Event()

    def serve(wire: Wire) -> None:
        for octet in b"220-" + b"x" * 1000:
            if stop.wait(0.05):
                return
            wire.sock.sendall(bytes([octet]))

    started = time.monotonic()
    outcome = send_to(serve, replace(QUICK, greeting=0.5))
    stop.set()
    assert (outcome.kind, outcome.reply) == ("delayed", "the peer did not answer in time")
    assert time.monotonic() - started < 40


def test_a_peer_that_reads_slowly_is_bound_by_the_transaction() -> None:
    stop = threading.Event()

    def serve(wire: Wire) -> None:
        wire.say("220 hello")
        while (line := wire.line()) and not line.startswith("DATA"):
            wire.say("250 ok")
        wire.say("354 go on")
        stop.wait(120)

    with Peer(serve=serve) as host:
        made = courier(host, timeouts=replace(QUICK, block=120, transaction=1))
        started = time.monotonic()
        outcome = made.send(ENVELOPE, "opportunistic", lambda: iter([MESSAGE, *[b"x" * 70 + b"\r\n"] * 600_000]))
        stop.set()
    assert (outcome.kind, outcome.status) == ("delayed", "4.4.2")
    assert time.monotonic() - started < 60


@pytest.mark.parametrize(
    "greeting", ["SSH-2.0-OpenSSH_9.2", "HTTP/1.1 400 Bad Request", "999 what", "199 x", "2200 x", "220_x", "٢٢٠ hello"]
)
def test_what_is_not_smtp_is_a_delay(greeting: str) -> None:
    def serve(wire: Wire) -> None:
        wire.say(greeting)
        wire.line()

    outcome = send_to(serve)
    assert (outcome.kind, outcome.reply) == ("delayed", "the peer's answer is not SMTP")


def test_a_250_counts_even_if_the_connection_breaks_right_after() -> None:
    def serve(wire: Wire) -> None:
        until_data(wire)
        wire.say("250 2.0.0 kept")

    outcome = send_to(serve)
    assert (outcome.kind, outcome.reply) == ("delivered", "kept")


def test_a_connection_that_breaks_after_the_dot_is_not_believed() -> None:
    outcome = send_to(until_data)
    assert (outcome.kind, outcome.status) == ("delayed", "4.4.2")


def test_a_reply_sent_too_early_does_not_count_for_the_body() -> None:
    """A host that answers everything in advance must not turn an unread body into a delivery by its first words."""

    def serve(wire: Wire) -> None:
        wire.say("220 hello\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n550 5.7.1 and no")
        while wire.line():
            pass

    assert send_to(serve).kind in ("delayed", "failed")


@pytest.mark.parametrize("size", ["", "-5", "1e3", "9" * 400, "٣", " 10", "10 20"])
def test_a_silly_size_is_no_size(size: str) -> None:
    with Peer({"EHLO": f"250-x\r\n250 SIZE {size}"}) as host:
        made = courier(host)
        outcome = made.send(ENVELOPE, "opportunistic", MESSAGE[:9] + MESSAGE[9:])
        made.close()
    assert outcome.kind == "delivered" or (size.strip() == "10" and outcome.status == "5.3.4")


def test_control_characters_of_a_peer_do_not_reach_the_outcome() -> None:
    with Peer({"RCPT": "550 5.1.1 no\x1b[2J \x07\u202esuch\tuser"}) as host:
        made = courier(host)
        outcome = made.send(ENVELOPE, "opportunistic", MESSAGE)
        made.close()
    assert outcome.reply == "no [2J such user"

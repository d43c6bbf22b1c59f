"""Where one command ends never depends on how its octets were split, and nothing announced is believed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryptnsend.core.imap import (
    BEFORE_LOGIN,
    Appended,
    BadCommand,
    Chunk,
    Framer,
    Limits,
    Line,
    Message,
    Overrun,
    Proceed,
    Refused,
    after_login,
)
from tests.support.imap_framing import run, said

TOO_LARGE = b"a NO [TOOBIG] This command is too large.\r\n"
SMALL = Limits(line=300, literal=20, literals=3, held=40, message=50, thrown=400)


pieces = st.sampled_from(
    [b"a ", b"b1 ", b"NOOP", b"\r\n", b"\n", b"\r", b"{3}\r\n", b"{3+}\r\n", b"{0+}\r\n", b"~{4+}\r\n", b"{30+}\r\n",
     b"{99}\r\n", b"{500+}\r\n", b"APPEND INBOX ", b"(\\Seen) ", b"abc", b'"', b" ", b"x" * 90, b"\0", b"\xff"]
)  # fmt: skip
streams = st.lists(pieces | st.binary(max_size=4), max_size=30).map(b"".join)


@settings(max_examples=200)
@given(streams, st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_commands_are_the_same_however_their_octets_were_split(octets, sizes):
    assert said(run(octets, SMALL, sizes)) == said(run(octets, SMALL))


@settings(max_examples=150)
@given(streams)
def test_no_more_is_kept_than_the_limits_allow(octets):
    framer = Framer(SMALL)
    for at in range(0, len(octets), 10):
        framer.feed(octets[at : at + 10])
        while (event := framer.next()) is not None:
            if isinstance(event, Message):
                framer.refuse(BadCommand("Not now.", tag=event.command.tag))
            if isinstance(event, Overrun):
                return
        held = len(framer._buffer) + sum(map(len, framer._parts)) + sum(map(len, framer._literal or ()))
        assert held <= SMALL.line + SMALL.held + 60


def test_a_command_with_literals_comes_out_in_parts():
    events = run(b"a LOGIN {3}\r\nann {4+}\r\npa\r\n\r\nb NOOP\n", BEFORE_LOGIN)
    assert events == [Proceed(), Line((b"a LOGIN {3}", b"ann", b" {4+}", b"pa\r\n", b"")), Line((b"b NOOP",))]


def test_a_message_streams_and_the_next_command_follows():
    first, chunk, end, line = run(b"a APPEND Sent (\\Seen) {5+}\r\nhello\r\nb NOOP\r\n", after_login(100))
    assert isinstance(first, Message)
    assert not first.waits
    assert (first.command.mailbox, first.command.flags, first.command.size) == ("Sent", ("\\Seen",), 5)
    assert (chunk, end, line) == (Chunk(b"hello"), Appended(first.command), Line((b"b NOOP",)))


def test_a_mailbox_name_as_literal_is_no_message():
    events = run(b"a APPEND {4+}\r\nSent {2+}\r\nhi\r\n", after_login(100))
    assert [type(event) for event in events] == [Message, Chunk, Appended]
    assert events[0].command.mailbox == "Sent"


@pytest.mark.parametrize(
    ("octets", "answers"),
    [
        (b"a LOGIN {5000}\r\n", [TOO_LARGE]),
        (b"a LOGIN {4294967296}\r\nb NOOP\r\n", [TOO_LARGE, "line"]),
        (b"a LOGIN {5000+}\r\n" + b"x" * 5000 + b" y\r\nb NOOP\r\n", [TOO_LARGE, "line"]),
        (b"a LOGIN {4294967296+}\r\n", ["cut"]),
        (b"a APPEND INBOX {10}\r\n", [b"a BAD Please sign in first.\r\n"]),
        (b"a APPEND INBOX nonsense {10}\r\n", [b"a BAD Expected a message here, as a literal.\r\n"]),
        (b"a " + b"x" * 9000 + b"\r\nb NOOP\r\n", [b"a BAD This line is too long.\r\n", "line"]),
        (b"x" * 100_000, ["cut"]),
        (b"a LOGIN {1+}\r\na {1+}\r\na {1+}\r\na {1+}\r\na {1+}\r\na\r\n", [TOO_LARGE]),
    ],
)  # fmt: skip
def test_before_login_little_is_taken(octets, answers):
    kinds = {Line: "line", Overrun: "cut"}
    assert [kinds.get(type(each), each) for each in said(run(octets, BEFORE_LOGIN))] == answers


def test_a_message_that_is_too_large_is_refused_before_it_is_sent():
    assert said(run(b"a APPEND INBOX {101}\r\nb NOOP\r\n", after_login(100))) == [
        b"a NO [TOOBIG] A message may have at most 100 bytes.\r\n",
        Line((b"b NOOP",)),
    ]


def test_a_refused_message_that_comes_all_the_same_is_thrown_away():
    framer = Framer(after_login(100))
    framer.feed(b"a APPEND INBOX {5+}\r\nhello\r\nb NOOP\r\n")
    assert isinstance(framer.next(), Message)
    assert framer.next() is None
    framer.refuse(BadCommand("There is no such mailbox.", tag=b"a", status="NO", code=b"TRYCREATE"))
    refused = framer.next()
    assert isinstance(refused, Refused)
    assert refused.error.answer() == b"a NO [TRYCREATE] There is no such mailbox.\r\n"
    assert framer.next() == Line((b"b NOOP",))


def test_a_second_message_in_one_append_is_refused():
    events = said(run(b"a APPEND INBOX {2+}\r\nhi {2+}\r\nho\r\nb NOOP\r\n", after_login(100)))
    assert events[1:] == [Chunk(b"hi"), b"a BAD APPEND takes one message at a time.\r\n", Line((b"b NOOP",))]


def test_lines_that_are_no_commands_come_as_they_are():
    framer = Framer(BEFORE_LOGIN)
    framer.feed(b"AGEAYg==\r")
    assert framer.next_line() is None
    framer.feed(b"\nDONE {5+}\r\n")
    assert [framer.next_line(), framer.next_line(), framer.next_line()] == [b"AGEAYg==", b"DONE {5+}", None]
    framer.feed(b"x" * 10_000)
    assert isinstance(framer.next_line(), Overrun)

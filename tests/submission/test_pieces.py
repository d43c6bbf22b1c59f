"""The small parts of the doors: input by line, replies, the count of connections, limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.submission.limits import Admission, Connections, Limits, plain_address, source_of
from cryptnsend.submission.replies import listing, printable, reply
from cryptnsend.submission.wire import Inbox, LineTooLong

# --- wire -------------------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from([b"a", b"\n", b"\r\n", b"bb\r", b"c" * 9]), max_size=20), st.integers(1, 5))
def test_lines_are_the_same_however_they_arrive(words: list[bytes], size: int) -> None:
    octets = b"".join(words)
    inbox, lines = Inbox(), []
    for start in range(0, len(octets), size):
        inbox.feed(octets[start : start + size])
        while (line := inbox.line(1000)) is not None:
            lines.append(line)
    expected = octets.split(b"\n")
    assert lines == [line + b"\n" for line in expected[:-1]]
    assert inbox.take() == expected[-1]
    assert len(inbox) == 0


def test_long_line_is_skipped_as_it_arrives() -> None:
    inbox = Inbox()
    for _ in range(100):
        inbox.feed(b"x" * 50)
        assert inbox.line(40) is None
        assert len(inbox) <= 40
    inbox.feed(b"\r\nNOOP\r\n")
    with pytest.raises(LineTooLong):
        inbox.line(40)
    assert inbox.line(40) == b"NOOP\r\n"


def test_long_line_that_arrives_whole() -> None:
    inbox = Inbox()
    inbox.feed(b"x" * 39 + b"\r\n" + b"y" * 38 + b"\r\n")
    with pytest.raises(LineTooLong):
        inbox.line(40)
    assert inbox.line(40) == b"y" * 38 + b"\r\n"


def test_unread_octets_come_first() -> None:
    inbox = Inbox()
    inbox.feed(b"DATA\r\nabc")
    assert inbox.line(40) == b"DATA\r\n"
    assert inbox.line(40) is None
    taken = inbox.take()
    inbox.feed(b"def\r\n")
    inbox.unread(taken)
    assert inbox.line(40) == b"abcdef\r\n"
    inbox.feed(b"rest")
    inbox.clear()
    assert inbox.take() == b""


# --- replies ----------------------------------------------------------------------------------------------------------


@given(st.text(max_size=1200))
def test_reply_is_lines_of_ascii_whatever_it_is_made_from(text: str) -> None:
    """RFC 5321 §4.5.3.1.5: 512 octets."""
    octets = reply(550, "5.7.1", text)
    *firsts, last, end = octets.split(b"\r\n")
    assert end == b""
    assert last.startswith(b"550 5.7.1 ")
    assert all(line.startswith(b"550-5.7.1 ") for line in firsts)
    for line in (*firsts, last):
        assert len(line) <= 510
        assert line.decode("ascii").isprintable()


def test_long_replies_are_cut_between_words() -> None:
    words = ["word"] * 200
    lines = reply(250, "2.0.0", " ".join(words)).decode().splitlines()
    assert len(lines) == 3
    assert " ".join(line[10:] for line in lines).split() == words


def test_replies_without_enhanced_code_and_listings() -> None:
    assert reply(354, "", "Go on.") == b"354 Go on.\r\n"
    assert listing(250, ["a", "b\r\nc"]) == b"250-a\r\n250 b?c\r\n"
    assert printable("Jos\u00e9\r\n\x00 \u202e") == "Jos? ?"


# --- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
    ],
)
def test_ipv6_counts_by_network_and_mapped_ipv4_as_ipv4(address: str, counted_as: str) -> None:
    assert source_of(plain_address(address)) == counted_as


def test_source_has_its_cap_until_it_signs_in() -> None:
    count = Connections(Limits(per_source=2, per_account=3, connections=100))
    assert [count.arrive("a") for _ in range(5)] == [
        Admission.WELCOME,
        Admission.WELCOME,
        Admission.REFUSED,
        Admission.REFUSED,
        Admission.DROPPED,
    ]
    assert count.arrive("b") is Admission.WELCOME
    count.leave("a", None)
    count.leave("a", None)
    assert count.sign_in("a", 7)
    assert count.arrive("a") is Admission.WELCOME
    assert count.open == 4


def test_account_has_a_cap_over_all_sources() -> None:
    count = Connections(Limits(per_account=2))
    for source in "abc":
        assert count.arrive(source) is Admission.WELCOME
    assert count.sign_in("a", 7)
    assert count.sign_in("b", 7)
    assert not count.sign_in("c", 7)
    assert count.sign_in("c", 8)
    count.leave("a", 7)
    count.arrive("d")
    assert count.sign_in("d", 7)


def test_process_has_a_cap_and_forgets_who_left() -> None:
    count = Connections(Limits(connections=2))
    answers = [count.arrive(f"source {number}") for number in range(6)]
    assert answers == [Admission.WELCOME] * 2 + [Admission.REFUSED] * 2 + [Admission.DROPPED] * 2
    for number in range(4):
        count.leave(f"source {number}", None)
    assert count.open == 0
    assert not count._sources

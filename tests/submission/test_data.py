"""Framing of DATA: the fast reader against one that looks at every octet."""

from __future__ import annotations

import asyncio
import hashlib
import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cryptnsend.core.errors import Malformed, Refusal, TooBig
from cryptnsend.submission.data import Content, Header, receive
from cryptnsend.submission.limits import Limits
from tests.support.framing import by_pieces, reference

WORDS = [
    b"\r\n",
    b".",
    b"\r\n.",
    b"\r\n..",
    b"\r\n.\r\n",
    b"\r",
    b"\n",
    b"\0",
    b"x",
    b"\r\n\r\n",
    b" ",
    b"\xff",
    b".x.",
]
WELL_FORMED = [b"\r\n", b".", b"\r\n.", b"\r\n..", b"x", b"\r\n\r\n", b"....", b"\xc3\xa9", b"some text. And more."]


CUTS = st.lists(st.integers(0, 10_000), max_size=12)


@settings(max_examples=800)
@given(st.lists(st.sampled_from(WORDS), max_size=14), CUTS, st.binary(max_size=6))
@example([b"."], [1], b"")
@example([b".", b"x"], [1, 2], b"")
@example([b"\r\n.\r"], [4, 5], b"")
@example([], [], b"QUIT\r\n")
def test_every_cut_gives_what_an_octet_wise_reader_gives(words: list[bytes], cuts: list[int], behind: bytes) -> None:
    octets = b"".join(words) + b"\r\n.\r\n" + behind
    expected = reference(octets)
    # What makes a message unfit may stand behind the end that a reader of lines would see, never the other way round.
    assert by_pieces(octets, cuts) == expected


@settings(max_examples=200)
@given(st.binary(min_size=400, max_size=900), CUTS)
def test_text_full_of_dots_takes_the_other_road_to_the_same_place(choices: bytes, cuts: list[int]) -> None:
    words = [WELL_FORMED[choice % len(WELL_FORMED)] for choice in choices]
    octets = b"".join(words) + b"\r\n.\r\nNOOP\r\n"
    assert by_pieces(octets, cuts) == reference(octets)


@pytest.mark.parametrize("cut", range(1, 60))
def test_one_octet_at_a_time_and_all_at_once_agree(cut: int) -> None:
    octets = b"..\r\nA: b\r\n\r\n.\r.\r\n" if cut % 2 else b"..a\r\n.\r\r\n.\r\n"
    assert by_pieces(octets + b"\r\n.\r\n", [cut]) is None
    good = b"..a\r\n...\r\n. b\r\n\r\n.\r\nrest"
    assert by_pieces(good, list(range(len(good)))) == by_pieces(good, [cut]) == (b".a\r\n..\r\n b\r\n\r\n", b"rest")


@pytest.mark.parametrize(
    "ending",
    [
        b"\n.\n",
        b"\n.\r\n",
        b"\r\n.\n",
        b"\r.\r",
        b"\r.\r\n",
        b"\r\n.\rx",
        b"\r\n\x00.\r\n",
        b"\r\n.\x00\r\n",
        b"\r\r\n.\r\n",
        b"\n\r\n.\r\n",
        b"\x00\r\n.\r\n",
        b"\r\n.\r.\r\n",
    ],
)
@pytest.mark.parametrize("cut", range(1, 8))
def test_what_others_may_take_for_the_end_is_refused(ending: bytes, cut: int) -> None:
    octets = b"A: b\r\n\r\nc" + ending + b"MAIL FROM:<x@y>\r\n\r\n.\r\n"
    assert by_pieces(octets, [9 + cut, 10 + cut]) is None


def test_what_stands_behind_the_end_is_not_judged() -> None:
    content = Content()
    assert content.feed(b"a\r\n.\r\nQU\0IT\n") == b"a\r\n"
    assert (content.ended, content.rest) == (True, b"QU\0IT\n")


def test_a_message_of_25_mib_is_not_copied_line_by_line() -> None:
    """A gross bound: the line-wise reader this replaces needs twenty times as long."""
    import time

    line = b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVpBQkNERUZHSElKS0xNTk9QUVJTVFVWV1hZWkFCQ0RFRkdISUpL\r\n"
    block = line * (262_144 // len(line))
    content, begun = Content(), time.process_time()
    total = sum(len(content.feed(block)) for _ in range(100))
    assert total >= 100 * len(block) - 4
    assert time.process_time() - begun < 5


# --- header -----------------------------------------------------------------------------------------------------------


@given(
    st.sampled_from([b"", b"A: b\r\n", b"A: b\r\n c\r\nD: e\r\n"]),
    st.sampled_from([b"", b"\r\n", b"\r\n\r\n", b"\r\nbody\r\n\r\nmore\r\n"]),
    st.lists(st.integers(0, 40), max_size=5),
)
def test_header_block_ends_with_the_first_blank_line(header: bytes, rest: bytes, cuts: list[int]) -> None:
    octets = header + rest
    borders = sorted({0, len(octets), *(cut for cut in cuts if cut < len(octets))})
    splitter, block, body = Header(1000), None, b""
    for start, end in itertools.pairwise(borders):
        if splitter.complete:
            body += octets[start:end]
            continue
        found, body = splitter.feed(octets[start:end])
        block = found if splitter.complete else None
    if block is None:
        block = splitter.finish()
    assert block + body == octets
    assert block == (header + b"\r\n" if rest else header)


def test_header_block_over_the_limit_is_refused_whether_it_ends_or_not() -> None:
    for octets in (b"A: " + b"b" * 100, b"A: " + b"b" * 100 + b"\r\n\r\n"):
        with pytest.raises(Refusal) as refusal:
            Header(50).feed(octets)
        assert (refusal.value.code, refusal.value.status) == (552, "5.6.0")
    assert Header(8).feed(b"A: b\r\n\r\n" + b"c" * 100) == (b"A: b\r\n\r\n", b"c" * 100)


# --- receive ----------------------------------------------------------------------------------------------------------


class Sink:
    """A submission that remembers, and refuses what it is told to refuse."""

    def __init__(self, *, refuse: Exception | None = None, refuse_header: Exception | None = None):
        self.octets, self.calls, self.aborted = bytearray(), 0, 0
        self.refuse, self.refuse_header = refuse, refuse_header

    def header(self, octets: bytes) -> None:
        if self.refuse_header:
            raise self.refuse_header
        self.octets += octets

    def body(self, octets: bytes) -> None:
        self.calls += 1
        if self.refuse:
            raise self.refuse
        self.octets += octets

    async def commit(self) -> str:
        raise AssertionError("receive does not commit")

    def abort(self) -> None:
        self.aborted += 1


def run(sink: Sink, pieces: list[bytes], limits: Limits | None = None) -> tuple[int, bytes, list[bytes]]:
    """Return (size, what was given back, what was not read)."""
    left, unread = list(pieces), bytearray()

    async def read() -> bytes:
        if not left:
            raise ConnectionResetError
        return left.pop(0)

    size = asyncio.run(receive(sink, read=read, unread=unread.extend, limits=limits or Limits()))
    return size, bytes(unread), left


def test_size_counts_content_without_stuffing() -> None:
    """RFC 1870 §5."""
    sink = Sink()
    assert run(sink, [b"A: b\r\n\r\n", b"..x\r\n.\r\nNOOP\r\n"]) == (12, b"NOOP\r\n", [])
    assert bytes(sink.octets) == b"A: b\r\n\r\n.x\r\n"
    exact = Limits(size=12)
    assert run(Sink(), [b"A: b\r\n\r\n", b"..x\r\n.\r\n"], exact)[0] == 12
    with pytest.raises(TooBig):
        run(Sink(), [b"A: b\r\n\r\n", b"..xx\r\n.\r\n"], exact)


@pytest.mark.parametrize("problem", [Refusal("no"), RuntimeError("a fault")])
def test_refused_message_is_read_to_its_end_and_aborted_once(problem: Exception) -> None:
    for sink in (Sink(refuse=problem), Sink(refuse_header=problem)):
        with pytest.raises(type(problem)):
            run(sink, [b"A: b\r\n\r\nx", b"y" * 9, b"z\r\n", b".\r\n"])
        assert (sink.aborted, sink.calls) == (1, 1 if sink.refuse else 0)


def test_bare_line_feed_outranks_an_earlier_refusal_and_stops_reading() -> None:
    sink, left = Sink(refuse_header=Refusal("no")), [b"A: b\r\n\r\nx", b"y\nz", b"\r\n.\r\n"]
    with pytest.raises(Malformed):
        run(sink, left)
    assert sink.aborted == 1


def test_connection_cut_in_data_aborts() -> None:
    sink = Sink()
    with pytest.raises(ConnectionResetError):
        run(sink, [b"A: b\r\n\r\nx"])
    assert sink.aborted == 1


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_content_that_can_be_sent_arrives_octet_for_octet(body: bytes, cuts: list[int]) -> None:
    text = body.replace(b"\r", b"").replace(b"\n", b"\r\n").replace(b"\0", b"")
    sent = b"A: b\r\n\r\n" + text + b"\r\n"
    stuffed = (b"\r\n" + sent).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"
    borders = sorted({0, len(stuffed), *(cut for cut in cuts if cut < len(stuffed))})
    sink = Sink()
    size, unread, _ = run(sink, [stuffed[a:b] for a, b in itertools.pairwise(borders)])
    assert hashlib.sha256(sink.octets).digest() == hashlib.sha256(sent).digest()
    assert (size, unread) == (len(sent), b"")

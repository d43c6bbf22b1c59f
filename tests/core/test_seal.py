"""Does a sealed stream open to what was sealed, only in its place, and from any offset?"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core.errors import SealBroken
from cryptnsend.core.seal import (
    CHUNK,
    HEADER,
    TAG,
    Sealer,
    SeekReader,
    context,
    framed,
    open_sealed,
    open_stream,
    pad,
    plain_size,
    seal,
    sealed_size,
    unpad,
)

KEY = bytes(range(32))
CONTENT = b"".join(n.to_bytes(4, "big") for n in range(4 * CHUNK // 4 + 30))  # no two chunks are alike
EDGES = sorted({max(0, k * CHUNK + d) for k in range(4) for d in (-2, -1, 0, 1, 2)})
sizes = st.one_of(st.sampled_from(EDGES), st.integers(0, 3 * CHUNK + 10))


def pieces(octets: bytes, *sizes: int) -> Iterator[bytes]:
    """Yield *octets* in pieces of the given sizes, again and again."""
    at = 0
    for size in itertools.cycle(sizes):
        if at >= len(octets):
            return
        yield octets[at : at + size]
        at += size


def seeker(sealed: bytes, *, key: bytes = KEY, message: int = 7, part: str = "raw", step: int = 5000) -> SeekReader:
    return SeekReader(key, message, part, lambda start: pieces(sealed[start:], step), len(sealed))


@pytest.mark.parametrize("size", EDGES)
def test_content_of_every_size_around_chunk_borders_comes_back(size):
    sealed = seal(KEY, 7, "raw", CONTENT[:size])
    assert len(sealed) == sealed_size(size)
    assert plain_size(len(sealed)) == size
    assert open_sealed(KEY, 7, "raw", sealed) == CONTENT[:size]


@given(sizes, st.lists(st.integers(1, 40_000), min_size=1, max_size=4), st.lists(st.integers(1, 40_000), min_size=1))
def test_the_borders_of_pieces_do_not_matter(size, sealing, opening):
    sealer = Sealer(KEY, 7, "raw")
    sealed = b"".join(map(sealer.update, pieces(CONTENT[:size], *sealing))) + sealer.finalize()
    assert len(sealed) == sealed_size(size)
    assert b"".join(open_stream(KEY, 7, "raw", pieces(sealed, *opening))) == CONTENT[:size]


def test_what_we_seal_is_the_public_format():
    """The context is all that we add to https://c2sp.org/chunked-encryption."""
    decryptor = Cobblestone256Decryptor(KEY, b"cryptnsend/v1 message 7 raw")
    assert decryptor.update(seal(KEY, 7, "raw", b"hello")) + decryptor.finalize() == b"hello"


def test_every_flipped_bit_is_found():
    for bit in range(len(SMALL) * 8):
        sealed = bytearray(SMALL)
        sealed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SealBroken):
            open_sealed(KEY, 7, "raw", bytes(sealed))
        with pytest.raises(SealBroken):
            list(seeker(bytes(sealed)).read_range(0, 3))


SMALL = seal(KEY, 7, "raw", b"abc")


def test_a_stream_cut_at_any_octet_is_found():
    for length in range(len(SMALL)):
        with pytest.raises(SealBroken):
            open_sealed(KEY, 7, "raw", SMALL[:length])
        with pytest.raises(SealBroken):
            seeker(SMALL[:length]).verify()


@pytest.mark.parametrize(
    ("key", "message", "part"), [(bytes(32), 7, "raw"), (KEY, 8, "raw"), (KEY, 7, "index"), (KEY, 77, "raw")]
)
def test_a_stream_opens_only_under_its_key_and_in_its_place(key, message, part):
    with pytest.raises(SealBroken, match="header"):
        open_sealed(key, message, part, SMALL)
    with pytest.raises(SealBroken, match="header"):
        b"".join(seeker(SMALL, key=key, message=message, part=part).read_range(0, 3))


def test_two_seals_of_the_same_content_are_unlike():
    assert seal(KEY, 7, "raw", b"abc") != SMALL


def test_chunks_come_out_before_the_last_is_checked():
    """The trap that the docstring names: content may come out of a stream that then turns out to be cut."""
    cut = seal(KEY, 7, "raw", CONTENT[: 2 * CHUNK])[:-TAG]
    stream = open_stream(KEY, 7, "raw", [cut])
    assert next(stream) == CONTENT[: 2 * CHUNK]
    with pytest.raises(SealBroken):
        next(stream)


@given(sizes, st.integers(0, 4 * CHUNK), st.integers(0, 4 * CHUNK), st.integers(1, 40_000))
def test_a_range_is_what_a_slice_is(size, start, length, step):
    sealed = seal(KEY, 7, "raw", CONTENT[:size])
    reader = seeker(sealed, step=step)
    assert reader.size == size
    assert b"".join(reader.read_range(start, length)) == CONTENT[:size][start : start + length]


def test_the_reader_agrees_with_the_librarys_own_streams():
    encryptor = Cobblestone256Encryptor(KEY, context(9, "upload.2"))
    sealed = encryptor.update(CONTENT) + encryptor.finalize()
    reader = seeker(sealed, message=9, part="upload.2")
    reader.verify()
    assert b"".join(reader.read_range(0, len(CONTENT))) == CONTENT


def test_a_range_reads_only_the_chunks_it_needs():
    sealed = seal(KEY, 7, "raw", CONTENT)
    starts: list[int] = []
    given_out = 0

    def read(start: int) -> Iterator[bytes]:
        nonlocal given_out
        starts.append(start)
        for piece in pieces(sealed[start:], 1000):
            given_out += len(piece)
            yield piece

    reader = SeekReader(KEY, 7, "raw", read, len(sealed))
    assert b"".join(reader.read_range(2 * CHUNK + 5, 10)) == CONTENT[2 * CHUNK + 5 :][:10]
    assert starts == [0, HEADER + 2 * (CHUNK + TAG)]
    assert given_out <= CHUNK + 3000


def test_a_range_inside_whole_chunks_opens_though_the_end_is_damaged():
    """And that is why downloads verify in a first pass."""
    sealed = seal(KEY, 7, "raw", CONTENT)
    damaged = sealed[:-1] + bytes([sealed[-1] ^ 1])
    reader = seeker(damaged)
    assert b"".join(reader.read_range(0, 100)) == CONTENT[:100]
    with pytest.raises(SealBroken):
        reader.verify()


def test_a_store_that_gives_fewer_octets_than_written_down_is_found():
    sealed = seal(KEY, 7, "raw", CONTENT)
    reader = SeekReader(KEY, 7, "raw", lambda start: pieces(sealed[start:-20000], 999), len(sealed))
    with pytest.raises(SealBroken, match="early"):
        b"".join(reader.read_range(0, len(CONTENT)))
    with pytest.raises(SealBroken):
        reader.verify()


def test_a_shorter_whole_stream_is_not_what_was_written_down():
    short = seal(KEY, 7, "raw", CONTENT[:100])
    reader = SeekReader(KEY, 7, "raw", lambda start: pieces(short[start:], 999), sealed_size(50))
    with pytest.raises(SealBroken, match="size"):
        reader.verify()


@pytest.mark.parametrize(("start", "length"), [(-1, 5), (0, -5)])
def test_a_range_has_no_negative_numbers(start, length):
    with pytest.raises(ValueError, match="negative"):
        list(seeker(SMALL).read_range(start, length))


@pytest.mark.parametrize("sealed", [0, HEADER, HEADER + TAG - 1, HEADER + CHUNK + TAG, HEADER + CHUNK + 2 * TAG - 1])
def test_no_content_has_such_a_sealed_size(sealed):
    with pytest.raises(SealBroken):
        plain_size(sealed)


@given(st.integers(0, 1 << 50))
def test_sizes_are_each_others_inverse(plain):
    assert plain_size(sealed_size(plain)) == plain


def test_a_size_is_not_negative():
    with pytest.raises(ValueError, match="fewer than 0"):
        sealed_size(-1)


@pytest.mark.parametrize("part", ["raw", "index", "author_index", "upload.0", "upload.17"])
def test_the_context_names_message_and_part(part):
    assert context(7, part) == f"cryptnsend/v1 message 7 {part}".encode()


@pytest.mark.parametrize(
    ("message", "part"), [(7, ""), (7, "raw index"), (7, "Raw"), (7, "raw\n"), (7, "upload."), (-7, "raw"), (7, ".1")]
)
def test_a_context_that_could_imitate_another_is_refused(message, part):
    with pytest.raises(ValueError, match="not a place"):
        context(message, part)


@given(st.binary(max_size=600))
def test_padding_hides_the_size_and_comes_off(octets):
    padded = pad(octets)
    assert len(padded) % 256 == 0
    assert len(octets) < len(padded) <= len(octets) + 256
    assert unpad(padded) == octets


@given(st.binary(max_size=600))
def test_what_was_not_padded_is_refused_or_stays_what_it_is(octets):
    try:
        plain = unpad(octets)
    except SealBroken:
        return
    assert pad(plain) == octets


field = st.one_of(st.text(max_size=5), st.binary(max_size=5))


@given(st.lists(field, max_size=4), st.lists(field, max_size=4))
def test_frames_of_other_fields_are_other_octets(one, two):
    def octets(fields):
        return [each if isinstance(each, bytes) else each.encode() for each in fields]

    assert (framed("x", *one) == framed("x", *two)) is (octets(one) == octets(two))

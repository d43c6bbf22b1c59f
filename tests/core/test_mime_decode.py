"""Do decoders give back what was encoded, in any blocks, and as much as there is of what is damaged?"""

from __future__ import annotations

import base64
import binascii
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core.mime import Part, decode_part, part_text


def decoded(octets: bytes, encoding: str, size: int = 10_000) -> bytes:
    blocks = (octets[at : at + size] for at in range(0, len(octets), size))
    return b"".join(decode_part(Part(0, encoding=encoding), blocks))


sizes = st.integers(1, 40)


@given(st.binary(max_size=500), sizes)
def test_base64_comes_back_in_any_blocks(octets, size):
    assert decoded(base64.encodebytes(octets).replace(b"\n", b"\r\n"), "base64", size) == octets


@given(st.binary(max_size=300), sizes)
def test_quoted_printable_comes_back_in_any_blocks(octets, size):
    octets = octets.replace(b"\r", b"").replace(b"\n", b"\r\n")
    encoded = quopri.encodestring(octets.replace(b"\r\n", b"\n"), quotetabs=True).replace(b"\n", b"\r\n")
    assert decoded(encoded, "quoted-printable", size) == octets


@given(st.binary(max_size=300), sizes)
def test_uuencode_comes_back_in_any_blocks(octets, size):
    lines = b"".join(binascii.b2a_uu(octets[at : at + 45]) for at in range(0, len(octets), 45))
    encoded = (b"preamble\nbegin 644 x\n" + lines + b"`\nend\nafter").replace(b"\n", b"\r\n")
    assert decoded(encoded, "x-uuencode", size) == octets


@given(
    st.binary(max_size=300),
    sizes,
    st.sampled_from(["base64", "quoted-printable", "uuencode", "7bit", "binary", "x-odd", ""]),
)
def test_damaged_octets_never_raise_and_blocks_change_nothing(octets, size, encoding):
    octets = b"begin 644 x\r\n" * (encoding == "uuencode") + octets
    assert decoded(octets, encoding, size) == decoded(octets, encoding)
    if encoding in {"7bit", "binary", "x-odd", ""}:
        assert decoded(octets, encoding, size) == octets


@pytest.mark.parametrize(
    ("encoded", "plain"),
    [
        (b"QUJD\r\n", b"ABC"),
        (b"QQ==QkM=", b"ABC"),
        (b"QUJ", b"AB"),
        (b"QUJDR", b"ABC"),
        (b"Q!U@J\x00D", b"ABC"),
        (b"QUJD\r\n-- \r\nlist footer", b"ABC" + base64.b64decode("listfooter==")),
        (b"====", b""),
    ],
)
def test_base64_gives_as_much_as_there_is(encoded, plain):
    assert decoded(encoded, "base64", 3) == plain


@pytest.mark.parametrize(
    ("encoded", "plain"),
    [
        (b"a=3Db", b"a=b"),
        (b"a=\r\nb", b"ab"),
        (b"a=3db=FF", b"a=b\xff"),
        (b"trailing  \t\r\nblanks", b"trailing\r\nblanks"),
        (b"not=zz hex=", b"not=zz hex"),
        (b"8-bit \xc3\xa9", b"8-bit \xc3\xa9"),
    ],
)
def test_quoted_printable_follows_the_rules_and_forgives(encoded, plain):
    assert decoded(encoded, "quoted-printable", 4) == plain


def test_memory_stays_flat_on_endless_lines():
    for encoding in ("quoted-printable", "uuencode", "base64"):
        largest = max(map(len, decode_part(Part(0, encoding=encoding), (b"x" * 4096 for _ in range(500)))), default=0)
        assert largest < 200_000


def test_text_is_read_no_further_than_asked():
    def blocks():
        yield b"=C3=BCabc"
        raise AssertionError("read too far")

    part = Part(0, encoding="quoted-printable", params={"charset": "utf-8"})
    assert part_text(part, iter([b"=C3=BCabc\r\n"]), 4) == "üab"
    endless = (b"line\r\n" for _ in range(10**9))
    assert part_text(Part(0), endless, 9) == "line\r\nlin"
    assert part_text(Part(0), blocks(), 3) == "=C3"

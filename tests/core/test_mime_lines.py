"""A message with lines that are too long for others says the same afterwards, in short ones."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core.mime import index_message
from cryptnsend.core.mime_lines import LONGEST, LongLines, changes, reencoded

HEAD = b"From: ann@gmail.example\r\nSubject: Scan\r\n"


def pieces(octets: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(octets), size):
        yield octets[start : start + size]


def travelled(octets: bytes, size: int = 1000) -> bytes:
    """Return a message as it leaves."""
    lines = LongLines()
    assert b"".join(lines.watch(pieces(octets, size))) == octets
    expected, at = [], 0
    for line in octets.split(b"\n"):
        if len(line.removesuffix(b"\r")) > LONGEST:
            expected.append(at)
        at += len(line) + 1
    assert lines.found == expected
    return b"".join(reencoded(pieces(octets, size), changes(index_message(octets), lines.found)))


def longest(octets: bytes) -> int:
    return max(map(len, octets.split(b"\r\n")))


def leaves(octets: bytes) -> list[bytes]:
    """Return what each part says, by a reader that is not ours."""
    found = []
    for part in email.message_from_bytes(octets, policy=email.policy.compat32).walk():
        if not part.is_multipart():
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            found.append(payload)
    return found


@pytest.mark.parametrize("size", [1, 7, 1000, 1_000_000])
@pytest.mark.parametrize("encoding", ["", "7bit", "8BIT", "binary"])
def test_a_text_with_long_lines_becomes_quoted_printable(encoding: str, size: int) -> None:
    said = f"Content-Transfer-Encoding: {encoding}\r\n".encode() if encoding else b""
    body = b"Short = one.\r\n" + "Größe \t".encode() * 500 + b" \r\n.\r\n\r\nFrom here on.\r\n"
    octets = HEAD + said + b"\r\n" + body
    done = travelled(octets, size)
    assert longest(done) <= 76
    assert leaves(done) == [body]
    parsed = email.message_from_bytes(done)
    assert parsed.get_all("Content-Transfer-Encoding") == ["quoted-printable"]
    assert parsed["MIME-Version"] == "1.0"
    assert parsed["Subject"] == "Scan"


def test_only_the_parts_that_need_it_change() -> None:
    octets = (
        HEAD + b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\nprologue\r\n--b\r\n\r\n'
        b"no header\r\n--b\r\nContent-Type: text/html\r\nContent-Transfer-Encoding:\r\n 8bit\r\n\r\n" + b"<p>" * 400 +
        b"\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\n" + b"y" * 5000 +
        b"\r\n--b\r\n\r\n" + b"z" * 1200 + b"\r\n--b--\r\n"
    )  # fmt: skip
    done = travelled(octets)
    assert longest(done) <= 76
    assert leaves(done) == leaves(octets)
    assert leaves(done) == [b"no header", b"<p>" * 400, b"y" * 5000, b"z" * 1200]
    assert done.startswith(octets[: octets.index(b"Content-Transfer-Encoding") - 27])
    assert done.count(b"quoted-printable") == 3


def test_a_message_that_needs_nothing_is_the_same_to_the_octet() -> None:
    octets = HEAD + b"\r\n" + (b"x" * LONGEST + b"\r\n") * 20 + b"\xff\r\n"
    assert travelled(octets, 7) == octets


@pytest.mark.parametrize("size", [1, 100, 1_000_000])
def test_long_base64_is_wrapped_and_long_quoted_printable_broken_softly(size: int) -> None:
    octets = (
        HEAD + b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n'
        b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b"QUJD" * 1000 +
        b"\r\n--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nshort=\r\n line\r\n" + b"=C3=A4a" * 2000 +
        b"\r\nend=20\r\n--b--\r\n"
    )  # fmt: skip
    done = travelled(octets, size)
    assert leaves(done) == leaves(octets) == [b"ABC" * 1000, b"short line\r\n" + "äa".encode() * 2000 + b"\r\nend "]
    assert longest(done) <= 76


def test_what_is_signed_stays_as_it_is() -> None:
    octets = (
        HEAD + b'MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary="b"\r\n\r\n--b\r\n\r\n' + b"x" * 2000 +
        b"\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\nsignature\r\n--b--\r\n"
    )  # fmt: skip
    assert travelled(octets) == octets


@given(
    st.lists(st.sampled_from([b"a" * 900, b"=", b" ", b"\t", b".", b"\r\n", b"\xc3\xa4" * 60, b"x"]), max_size=30),
    st.sampled_from(["7bit", "quoted-printable", "base64"]),
    st.integers(1, 3000),
)
def test_any_text_says_the_same_afterwards(words: list[bytes], encoding: str, size: int) -> None:
    text = b"".join(words)
    if encoding == "quoted-printable":
        text = text.replace(b"=", b"=3D").replace(b"\xc3\xa4", b"=C3=A4").replace(b" \r\n", b"=20\r\n")
        text = text.replace(b"\t\r\n", b"=09\r\n")
    elif encoding == "base64":
        text = b"QUJD" * (len(text) // 4)
    octets = HEAD + f"MIME-Version: 1.0\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + text + b"\r\n"
    done = travelled(octets, size)
    assert longest(done) <= LONGEST
    assert leaves(done) == leaves(octets)


@given(st.binary(max_size=3000), st.integers(1, 500))
def test_nothing_makes_it_fail_and_the_rest_of_the_message_is_there(octets: bytes, size: int) -> None:
    done = b"".join(reencoded(pieces(octets, size), []))
    assert done == octets
    travelled_lines = LongLines()
    assert b"".join(travelled_lines.watch(pieces(octets, size))) == octets
    plan = changes(index_message(octets), travelled_lines.found)
    assert isinstance(b"".join(reencoded(pieces(octets, size), plan)), bytes)

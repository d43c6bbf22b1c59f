"""What becomes of a peer's words."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryptnsend.delivery.outcome import Outcome, one_line, outcome_of, split_status


@pytest.mark.parametrize(
    ("code", "text", "status", "words"),
    [
        (550, b"5.1.1 no such user", "5.1.1", "no such user"),
        (
            550,
            b"5.7.26 not authenticated\n5.7.26 see https://x.example",
            "5.7.26",
            "not authenticated see https://x.example",
        ),
        (250, b"2.0.0", "2.0.0", ""),
        (550, b"no such user", "5.0.0", "no such user"),
        (451, b"5.1.1 contradiction", "4.0.0", "5.1.1 contradiction"),
        (550, b"5.1.1x not a code", "5.0.0", "5.1.1x not a code"),
        (354, b"go on", "4.0.0", "go on"),
    ],
)
def test_enhanced_codes_are_split_off_once(code: int, text: bytes, status: str, words: str) -> None:
    """RFC 2034 §4, RFC 3463 §2."""
    assert split_status(code, text) == (status, words)


@settings(deadline=None)
@given(st.binary(max_size=3000))
def test_a_peers_words_become_one_short_printable_line(text: bytes) -> None:
    line = one_line(text)
    assert len(line) <= 512
    assert all(unicodedata.category(c)[0] != "C" for c in line)
    assert line == " ".join(line.split())


def test_directions_and_terminal_codes_do_not_survive() -> None:
    assert one_line("a\x1b[31mb\u202ec\u2066d\r\nX: y\u2028z") == "a [31mb c d X: y z"


def test_a_long_reply_is_cut_with_a_mark() -> None:
    line = one_line(b"x" * 70_000)
    assert (len(line), line[-1]) == (512, "…")


@pytest.mark.parametrize(
    ("code", "kind"), [(250, "delivered"), (299, "delivered"), (450, "delayed"), (554, "failed"), (354, "delayed")]
)
def test_the_first_digit_decides(code: int, kind: str) -> None:
    """RFC 5321 §4.2.1."""
    outcome = outcome_of(code, b"x", host="h", tls="none")
    assert (outcome.kind, outcome.final) == (kind, kind != "delayed")


def test_a_delay_can_be_made_the_last() -> None:
    assert Outcome("delayed", final=True).final is True
    assert Outcome("failed").final is True

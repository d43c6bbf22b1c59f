"""Strings, names, dates, flags and sets: what goes out comes back, and what is none is refused in one way."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core.imap import BadCommand, Pattern, SequenceSet, astring, date_time, format_set, parse_set, string
from cryptnsend.core.imap_text import (
    canonical_flag,
    canonical_use,
    decode_mailbox,
    decode_utf7,
    encode_mailbox,
    encode_utf7,
    parse_date,
    parse_date_time,
)
from cryptnsend.core.imap_tokens import Scanner

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def parts(octets: bytes) -> tuple[bytes, ...]:
    """Cut what we write into the parts that the other side's framer would make of it."""
    found = re.fullmatch(rb"(~?\{[0-9]+\})\r\n(.*)", octets, re.DOTALL)
    return (found[1], found[2], b"") if found else (octets,)


@given(st.binary(max_size=50) | st.text(max_size=30).map(str.encode))
def test_strings_come_back_as_they_were(octets):
    for written in (string(octets), astring(octets), string(octets, utf8=True)):
        assert Scanner(parts(written)).astring() == octets
    assert b"\n" not in string(octets).partition(b"}\r\n")[0]


@pytest.mark.parametrize(
    ("octets", "written"),
    [
        (b"", b'""'),
        (b"a", b"a"),
        (b"nil", b'"nil"'),
        (b"a b", b'"a b"'),
        (b'a"\\', b'"a\\"\\\\"'),
        (b"a%", b'"a%"'),
        (b"\xff", b"{1}\r\n\xff"),
        (b"a\r\n", b"{3}\r\na\r\n"),
        (b"\0", b"~{1}\r\n\0"),
    ],
)
def test_a_string_takes_the_shortest_form_that_is_safe(octets, written):
    assert astring(octets) == written


# --- mailbox names -------------------------------------------------------------------------------------------------


@given(names)
def test_names_survive_modified_utf7(name):
    octets = encode_utf7(name)
    assert octets.isascii()
    assert not re.search(rb"[\x00-\x1f\x7f]", octets)
    assert decode_utf7(octets) == name


@pytest.mark.parametrize(
    ("octets", "name"),
    [
        (b"INBOX", "INBOX"),
        (b"inbox", "INBOX"),
        (b"inbox/a", "inbox/a"),
        (b"Entw&APw-rfe", "Entwürfe"),
        (b"~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
        (b"A&-B", "A&B"),
        (b"&2D3eAA-", "\U0001f600"),
        ("Entwürfe".encode(), "Entwürfe"),
        ("Entwu\u0308rfe".encode(), "Entwürfe"),
    ],
)
def test_a_mailbox_name_is_read_as_meant(octets, name):
    assert decode_mailbox(octets) == name
    assert decode_mailbox(encode_mailbox(name).strip(b'"')) == name


@pytest.mark.parametrize(
    "octets",
    [b"", b"A & B", b"&", b"&AO", b"&AO-", b"&A-", b"&AOQ=-", b"&AO/-", b"&2D0-", b"&3gA-", b"a\nb", b"&AAo-", b"\xff",
     b"a" * 501, b"a&IBM"],
)  # fmt: skip
def test_a_name_that_is_none_is_refused_in_words(octets):
    with pytest.raises(BadCommand) as caught:
        decode_mailbox(octets)
    assert caught.value.answer().startswith(b"* BAD ")
    assert octets not in caught.value.answer() or not octets


def test_with_utf8_an_ampersand_is_an_ampersand():
    assert decode_mailbox(b"A & B", utf8=True) == "A & B"
    assert encode_mailbox("Ä & B", utf8=True) == '"Ä & B"'.encode()
    assert encode_mailbox("Ä & B") == b'"&AMQ- &- B"'


@given(st.text("ab/*%.", max_size=12), st.text("ab/.", max_size=12))
def test_patterns_match_like_their_definition(pattern, name):
    expected = re.escape(pattern).replace(r"\*", ".*").replace("%", "[^/]*")
    assert Pattern(pattern).matches(name) is bool(re.fullmatch(expected, name, re.DOTALL))


def test_a_pattern_of_many_wildcards_takes_one_pass():
    assert not Pattern("*a" * 250).matches("a" * 249 + "b" * 200)


# --- dates ---------------------------------------------------------------------------------------------------------


@given(st.integers(0, 4_000_000_000))
def test_points_in_time_come_back(seconds):
    written = date_time(seconds * 1000)
    assert parse_date_time(written.strip(b'"')) == seconds * 1000
    assert len(written) == 28


@pytest.mark.parametrize(
    ("octets", "moment"),
    [
        (b" 1-Feb-2026 12:30:00 +0100", datetime(2026, 2, 1, 11, 30, tzinfo=UTC)),
        (b"01-feb-2026 12:30:00 -0330", datetime(2026, 2, 1, 16, tzinfo=UTC)),
        (b"28-Feb-2026 23:59:60 +0000", datetime(2026, 3, 1, tzinfo=UTC)),
    ],
)
def test_a_point_in_time_is_read_with_its_zone(octets, moment):
    assert parse_date_time(octets) == moment.timestamp() * 1000


@pytest.mark.parametrize(
    "octets",
    [b"", b"30-Feb-2026 00:00:00 +0000", b"1-Foo-2026 00:00:00 +0000", b"1-Feb-2026 24:00:00 +0000", b"1-Feb-26"],
)
def test_what_is_no_date_is_refused(octets):
    with pytest.raises(BadCommand):
        parse_date_time(octets)
    with pytest.raises(BadCommand):
        parse_date(octets)


# --- flags ---------------------------------------------------------------------------------------------------------


def test_flags_are_written_in_one_way():
    assert [canonical_flag(each) for each in (b"\\seen", b"\\DELETED", b"$Forwarded", b"NonJunk")] == [
        "\\Seen",
        "\\Deleted",
        "$Forwarded",
        "NonJunk",
    ]
    assert canonical_use(b"\\sent") == "\\Sent"


@pytest.mark.parametrize("octets", [b"", b"\\Bogus", b"\\Recent", b"a b", b"a(", b"\xff", b"x" * 101, b"a]", b"\\*"])
def test_what_is_no_flag_is_refused(octets):
    with pytest.raises(BadCommand):
        canonical_flag(octets)


# --- sets ----------------------------------------------------------------------------------------------------------

numbers = st.integers(1, 30)
ends = numbers.map(lambda n: str(n).encode()) | st.just(b"*")
sets = st.lists(ends | st.tuples(ends, ends).map(b":".join), min_size=1, max_size=8).map(b",".join)


@given(sets, st.integers(0, 20))
def test_a_set_names_what_its_ranges_span(octets, largest):
    expected = set()
    for item in octets.split(b","):
        low, _, high = item.partition(b":")
        span = [largest if end == b"*" else int(end) for end in (low, high or low)]
        if all(span):
            expected |= set(range(min(span), max(span) + 1))
    found = parse_set(octets)
    spans = found.spans(largest)
    assert {n for low, high in spans for n in range(low, high + 1)} == expected
    assert all(first[1] + 1 < second[0] for first, second in pairwise(spans))
    assert [n for n in range(1, 31) if found.has(n, largest)] == sorted(n for n in expected if n <= 30)


@given(st.lists(st.integers(1, 2**32 - 1), unique=True, max_size=50).map(sorted))
def test_numbers_are_written_as_ranges_and_come_back(found):
    written = format_set(found)
    if found:
        assert [n for low, high in parse_set(written).spans(1) for n in (low, high)] == [
            n for low, high in _runs(found) for n in (low, high)
        ]
    else:
        assert written == b""


def _runs(found: list[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for number in found:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def test_the_saved_result_is_a_set_of_its_own():
    assert parse_set(b"$") == SequenceSet(saved=True)


@pytest.mark.parametrize("octets", [b"", b"0", b"1:", b":1", b"1,,2", b"4294967296", b"1:2:3", b"$,1", b"-1", b"01"])
def test_what_is_no_set_is_refused(octets):
    with pytest.raises(BadCommand):
        parse_set(octets)

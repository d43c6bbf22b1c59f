"""Which messages a search key fits, and that narrowing down by rows and indexes first never loses one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryptnsend.core.imap import Need, matcher, need, parse, parse_set, uses_modseq, weaken
from cryptnsend.core.imap_search import (
    All,
    And,
    Dated,
    HasFlag,
    HeaderHas,
    InSet,
    ModSeq,
    Not,
    Or,
    SearchKey,
    Size,
    TextHas,
)


@dataclass
class One:
    uid: int = 10
    number: int = 1
    flags: frozenset[str] = frozenset()
    arrived: int = int(datetime(2026, 2, 1, 23, 59, tzinfo=UTC).timestamp() * 1000)
    size: int = 1000
    modseq: int = 5
    head: bytes = b""
    body: tuple[str, ...] = ()
    asked: list[str] = field(default_factory=list)

    def header(self) -> bytes:
        self.asked.append("header")
        return self.head

    def texts(self) -> Iterator[str]:
        self.asked.append("body")
        return iter(self.body)


def key(text: str) -> SearchKey:
    return parse((b"a SEARCH " + text.encode(),)).key


def fits(text: str, one: One) -> bool:
    return matcher(key(text), exists=20, largest_uid=200, saved=[10])(one)


ANN = One(
    flags=frozenset({"\\seen", "$forwarded"}),
    head=b"From: =?utf-8?q?J=C3=B6rg?= <ann@x.example>\r\nSubject: A long\r\n subject\r\nsubject : Again\r\n"
    b"Date: Fri, 30 Jan 2026 23:00:00 -0800\r\nX-Empty:\r\nTo: caf\xc3\xa9@x.example\r\n\r\n",
    body=("first text", "Zweiter Stra\u00dfe"),
)


@pytest.mark.parametrize(
    ("text", "fit"),
    [
        ("ALL", True),
        ("SEEN", True),
        ("UNSEEN", False),
        ("KEYWORD $FORWARDED", True),
        ("UNKEYWORD $forwarded", False),
        ("NEW", False),
        ("OLD", True),
        ("1", True),
        ("2:*", False),
        ("UID 10", True),
        ("UID 11:*", False),
        ("$", True),
        ("UID 201:*", False),
        ("LARGER 999", True),
        ("LARGER 1000", False),
        ("SMALLER 1001", True),
        ("SMALLER 1000", False),
        ("ON 1-Feb-2026", True),
        ("BEFORE 1-Feb-2026", False),
        ("SINCE 1-Feb-2026", True),
        ("SINCE 2-Feb-2026", False),
        ("SENTON 30-Jan-2026", True),
        ("SENTBEFORE 30-Jan-2026", False),
        ("SENTSINCE 31-Jan-2026", False),
        ("MODSEQ 5", True),
        ("MODSEQ 6", False),
        ('FROM "J\u00d6RG"', True),
        ("FROM ann@X", True),
        ("FROM bob", False),
        ('SUBJECT "long subject"', True),
        ("SUBJECT again", True),
        ('HEADER X-Empty ""', True),
        ('HEADER X-None ""', False),
        ("TO CAF\u00c9", True),
        ("CC x", False),
        ("BODY First", True),
        ("BODY STRASSE", True),
        ("BODY subject", False),
        ("TEXT again", True),
        ("TEXT nowhere", False),
        ("NOT SEEN", False),
        ("OR UNSEEN FROM ann", True),
        ("(SEEN FROM ann) BODY first", True),
        ('TEXT ""', True),
    ],
)
def test_a_key_fits_a_message(text, fit):
    quoted = text if text.isascii() else text.replace('"', "")
    parts = (b"a SEARCH CHARSET UTF-8 " + quoted.encode(),)
    assert matcher(parse(parts).key, exists=20, largest_uid=200, saved=[10])(ANN) is fit


@pytest.mark.parametrize(
    ("value", "day"),
    [
        (b"Date: 1 Feb 26 00:00:00 GMT", date(2026, 2, 1)),
        (b"Date: Sun, 01-Feb-2026 00:00:00", date(2026, 2, 1)),
        (b"date:\r\n Sun, 1 Feb 2026", date(2026, 2, 1)),
        (b"Date: 1 Feb 99", date(1999, 2, 1)),
        (b"Date: yesterday", date(2026, 2, 1)),
        (b"Date: 31 Feb 2026", date(2026, 2, 1)),
        (b"", date(2026, 2, 1)),
    ],
)
def test_a_date_that_cannot_be_read_is_the_day_of_arrival(value, day):
    one = One(head=value + b"\r\n\r\n")
    assert matcher(Dated("=", day, sent=True), exists=1, largest_uid=1)(one)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SEEN", Need.ROW),
        ("SINCE 1-Jan-2026", Need.ROW),
        ("SENTSINCE 1-Jan-2026", Need.INDEX),
        ("FROM x", Need.INDEX),
        ("NOT FROM x", Need.INDEX),
        ("OR SEEN TEXT x", Need.BODY),
        ("SEEN BODY x", Need.BODY),
    ],
)
def test_a_key_says_what_it_needs(text, expected):
    assert need(key(text)) is expected


def test_what_costs_least_is_looked_at_first():
    one = One(head=b"From: x\r\n\r\n", body=("x",))
    assert not fits("BODY x FROM y UNSEEN", One(flags=frozenset({"\\seen"}), asked=one.asked))
    assert one.asked == []
    assert not fits("BODY x FROM y UNSEEN", one)
    assert one.asked == ["header"]


def test_modseq_is_found_at_any_depth():
    assert uses_modseq(key("NOT (SEEN OR ALL (MODSEQ 5 SEEN))"))
    assert not uses_modseq(key("OR SEEN NOT FROM x"))


leaves = st.one_of(
    st.just(All()),
    st.sampled_from(["\\Seen", "k"]).map(HasFlag),
    st.sampled_from([b"1:3", b"2:*", b"*", b"$"]).flatmap(
        lambda s: st.booleans().map(lambda uid: InSet(parse_set(s), uid))
    ),
    st.builds(Size, st.booleans(), st.integers(0, 3)),
    st.builds(ModSeq, st.integers(0, 3)),
    st.builds(Dated, st.sampled_from(["<", "=", ">="]), st.just(date(2026, 2, 1)), st.booleans()),
    st.builds(HeaderHas, st.sampled_from([b"from", b"to"]), st.sampled_from(["", "a", "b"])),
    st.builds(TextHas, st.sampled_from(["a", "b"]), st.booleans()),
)
keys = st.recursive(
    leaves,
    lambda below: st.one_of(
        below.map(Not),
        st.lists(below, min_size=1, max_size=3).map(lambda found: And(tuple(found))),
        st.lists(below, min_size=1, max_size=3).map(lambda found: Or(tuple(found))),
    ),
    max_leaves=8,
)
ones = st.builds(
    One,
    uid=st.integers(1, 4),
    number=st.integers(1, 4),
    flags=st.frozensets(st.sampled_from(["\\seen", "k"])),
    size=st.integers(0, 3),
    modseq=st.integers(0, 3),
    arrived=st.sampled_from([0, 1_770_000_000_000]),
    head=st.sampled_from([b"From: a\r\n\r\n", b"From: b\r\nTo: a\r\nDate: 1 Feb 2026\r\n\r\n", b""]),
    body=st.sampled_from([(), ("a",), ("b", "a")]),
    asked=st.builds(list),
)


def plainly(key: SearchKey, one: One) -> bool:
    """Say the same as the matcher, by the definitions."""
    match key:
        case Not(inner):
            return not plainly(inner, one)
        case And(inner):
            return all(plainly(each, one) for each in inner)
        case Or(inner):
            return any(plainly(each, one) for each in inner)
        case InSet(messages, uid):
            return one.uid == 2 if messages.saved else messages.has(one.uid if uid else one.number, 4)
        case _:
            return matcher(key, exists=4, largest_uid=4, saved=[2])(one)


@settings(max_examples=150)
@given(keys, ones)
def test_a_search_in_steps_finds_the_same_and_looks_no_further_than_it_may(key, one):
    whole = matcher(key, exists=4, largest_uid=4, saved=[2])(one)
    assert whole is plainly(key, one)
    one.asked.clear()
    for known, allowed in ((Need.ROW, set()), (Need.INDEX, {"header"}), (Need.BODY, {"header", "body"})):
        weaker = weaken(key, known)
        assert need(weaker) <= known
        fit = matcher(weaker, exists=4, largest_uid=4, saved=[2])(one)
        assert fit or not whole
        assert set(one.asked) <= allowed
    assert fit is whole


@given(st.binary(max_size=60), st.sampled_from(["SUBJECT x", "TEXT x", "SENTON 1-Feb-2026", "HEADER From x"]))
def test_no_header_upsets_a_search(head, text):
    assert fits(text, One(head=head)) in {True, False}

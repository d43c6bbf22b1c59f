"""Is a token read only where it cannot mean anything else, and protection wherever it is asked for?"""

from __future__ import annotations

import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core.mime import read_headers
from cryptnsend.core.subject import asked_for, peel, strip_token

TABLE = [
    # subject, token, subject as shown
    (":: lunch", "plain", "lunch"),
    ("::lunch", "plain", "lunch"),
    ("::  lunch", "plain", "lunch"),
    ("::\u00a0lunch", "plain", "lunch"),
    ("  :: lunch", "plain", "lunch"),
    ("::", "plain", ""),
    ("Re: :: lunch", "plain", "Re: lunch"),
    ("RE:Fw: AW: :: lunch", "plain", "RE:Fw: AW: lunch"),
    ("Re[2]: :: lunch", "plain", "Re[2]: lunch"),
    ("WG: Rv: Antw: :: x", "plain", "WG: Rv: Antw: x"),
    ("std::x", None, "std::x"),
    ("fe80::1", None, "fe80::1"),
    ("::1 is down", None, "::1 is down"),
    ("::ffff:10.0.0.1 is down", None, "::ffff:10.0.0.1 is down"),
    ("::1/128 route", None, "::1/128 route"),
    ("::std::move explained", None, "::std::move explained"),
    ("Re:: lunch", None, "Re:: lunch"),
    ("Re::: lunch", None, "Re::: lunch"),
    (":::: lunch", None, ":::: lunch"),
    (": : lunch", None, ": : lunch"),
    ("：： lunch", None, "：： lunch"),
    (":： lunch", None, ":： lunch"),
    ("∷ lunch", None, "∷ lunch"),
    ("lunch ::", None, "lunch ::"),
    ("[list] :: lunch", None, "[list] :: lunch"),
    ("回复: :: lunch", None, "回复: :: lunch"),
    ("\u200b:: lunch", None, "\u200b:: lunch"),
    ("", None, ""),
    ("Re:", None, "Re:"),
    ("secure/ results", "secure", "results"),
    ("secure/results", "secure", "results"),
    ("SECURE/ results", "secure", "results"),
    ("Secure / results", "secure", "results"),
    ("secure／results", "secure", "results"),
    ("Re: secure/ results", "secure", "Re: results"),
    ("回复：secure/ results", "secure", "回复：results"),
    ("[EXT] secure/ results", "secure", "[EXT] results"),
    ("Re:: secure/ x", "secure", "Re:: x"),
    ("insecure/ results", None, "insecure/ results"),
    ("the secure/ token", None, "the secure/ token"),
    ("secure results", None, "secure results"),
    ("encrypt/ results", "pdf", "results"),
    ("Fw: Encrypt/ results", "pdf", "Fw: results"),
    (":: secure/ x", "secure", "x"),
    ("secure/ :: x", "secure", "x"),
    (":: encrypt/ x", "pdf", "x"),
    ("encrypt/ secure/ x", "secure", "x"),
    (":: Re: secure/ x", "secure", "x"),
    ("secure/ Re: :: x", "secure", "x"),
    ("Re: secure/ Fw: encrypt/ x", "secure", "Re: x"),
]


@pytest.mark.parametrize(("subject", "token", "shown"), TABLE)
def test_tokens_are_read_as_the_table_says(subject, token, shown):
    found = peel(subject)
    assert (found.token, found.shown) == (token, shown.strip())


@given(st.text(max_size=60))
def test_peeling_never_raises_and_without_a_token_changes_nothing(subject):
    found = peel(subject)
    assert asked_for(subject) == found.token
    if found.token is None:
        assert found.prefixes + found.rest == subject


@given(st.text(max_size=40), st.sampled_from(["secure/", "encrypt/"]), st.sampled_from(["", " ", "Re: ", "Fw: AW: "]))
def test_a_token_of_protection_at_the_start_always_counts(subject, token, before):
    assert peel(f"{before}{token} {subject}").token in {"secure", "pdf"}
    if token == "secure/":
        assert peel(f"{before}{token} {subject}").token == "secure"


@given(st.text(alphabet="re:fw [2](x)：/ ::secur", max_size=60))
def test_what_is_shown_has_no_token_left(subject):
    assert peel(peel(subject).shown).token is None


@pytest.mark.parametrize("piece", ["Re: ", "Re", "[", "a:", "：", ":: ", "secure/ ", " ", "[x] "])
def test_long_subjects_cost_linear_time(piece):
    started = time.process_time()
    peel(piece * (100_000 // len(piece)))
    assert time.process_time() - started < 20


HEADERS = [
    (b"Subject: :: lunch\r\nTo: b\r\n", "lunch"),
    (b"subject:\r\n :: lunch\r\n\ton Friday\r\nTo: b\r\n", "lunch on Friday"),
    (b"Subject: =?utf-8?q?=3A=3A_gr=C3=BC=C3=9Fe?=\r\nTo: b\r\n", "grüße"),
    (b"Subject: =?utf-8?b?" + base64.b64encode(b"Re: :: a") + b"?=\r\n =?utf-8?q?b?=\r\nTo: b\r\n", "Re: ab"),
    (b"Subject: =?utf-8?q?=3A?= =?utf-8?q?=3A?= x\r\nTo: b\r\n", "x"),
    (b"Subject: Re: secure/ lunch", "Re: lunch"),
]


@pytest.mark.parametrize(("header", "subject"), HEADERS)
def test_the_token_leaves_the_header_however_it_is_written(header, subject):
    left = strip_token(header)
    assert read_headers(left).subject == subject
    assert left.count(b"\r\n") <= header.count(b"\r\n") + 1
    assert header.endswith(b"To: b\r\n") is left.endswith(b"To: b\r\n")


@given(
    st.text(alphabet=st.characters(blacklist_categories=["Cs"]), max_size=40).filter(lambda s: peel(s).token is None)
)
def test_a_subject_without_a_token_keeps_its_octets(subject):
    header = b"From: a\r\nSubject: " + " ".join(subject.split()).encode() + b"\r\n\r\nSubject: :: body\r\n"
    if peel(read_headers(header).subject).token is None:
        assert strip_token(header) == header


@given(st.binary(max_size=80))
def test_stripping_never_raises_and_adds_no_field(value):
    value = value.replace(b"\r", b"").replace(b"\n", b"")
    left = strip_token(b"Subject: :: " + value + b"\r\nTo: b\r\n")
    assert left.endswith(b"\r\nTo: b\r\n")
    assert read_headers(left).count(b"subject") == 1
    assert read_headers(left).count(b"to") == 1

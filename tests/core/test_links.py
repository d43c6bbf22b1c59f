"""Where a link leads is said as it is, and what could deceive a hasty reader is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core.links import target

KNOWN = ("open.cryptnsend.example", "gmail.example")


@pytest.mark.parametrize(
    ("url", "words", "place", "odd"),
    [
        ("https://www.clinic.example/a?b=c", "our page", "www.clinic.example", ""),
        ("https://www.clinic.example/", "clinic.example", "www.clinic.example", ""),
        ("https://portal.clinic.example/", "https://clinic.example/login", "portal.clinic.example", ""),
        ("https://evil.example/", "https://clinic.example/login", "evil.example", "elsewhere"),
        ("https://evil.example/clinic.example", "www.clinic.example", "evil.example", "elsewhere"),
        ("https://evil.example/", "see report.pdf", "evil.example", ""),
        ("https://clinic.example@evil.example/", "sign in", "evil.example", "login"),
        ("https://192.0.2.7/x", "sign in", "192.0.2.7", "number"),
        ("https://[2001:db8::1]/x", "sign in", "2001:db8::1", "number"),
        ("https://3221225991/", "sign in", "3221225991", "number"),
        ("https://open.cryptnsend.example/m/x", "the message", "open.cryptnsend.example", ""),
        ("https://open.cryptn5end.example/m/x", "the message", "open.cryptn5end.example", "alike"),
        ("https://login.gmai1.example/", "mail", "login.gmai1.example", "alike"),
        ("https://gmaіl.example/", "mail", "xn--gmal-n9d.example", "alike"),
        ("https://bücher.example/", "books", "xn--bcher-kva.example", "foreign"),
        ("mailto:desk%40x@clinic.example?subject=x", "write", "desk@x@clinic.example", ""),
        ("tel:+15550100142", "call", "+15550100142", ""),
        ("https://[broken/", "x", "https://[broken/", "elsewhere"),
    ],
)
def test_a_link_says_where_it_leads_and_what_is_odd(url: str, words: str, place: str, odd: str) -> None:
    found = target(url, words, KNOWN)
    assert (found.place, found.odd) == (place, odd)


@given(st.text(), st.text())
def test_no_link_and_no_words_break_the_judgement(url: str, words: str) -> None:
    for scheme in ("", "https://", "mailto:"):
        assert len(target(scheme + url, words, KNOWN).place) <= 300

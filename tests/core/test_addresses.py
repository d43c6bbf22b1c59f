"""Is one mailbox always the same one, and does the author check find exactly one author?"""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core.addresses import (
    Mailbox,
    canonical,
    display_domain,
    fast_path,
    is_address,
    parse_mailboxes,
    single_author,
)
from cryptnsend.core.errors import NotAuthor

SAME = [
    ("Ann@Gmail.Example", "ann@gmail.example"),
    ("a.nn+news@gmail.example", "a.nn+news@gmail.example"),
    (" ann@gmail.example ", "ann@gmail.example"),
    ('"ann"@gmail.example', "ann@gmail.example"),
    ('"Ann Ruiz"@gmail.example', '"ann ruiz"@gmail.example'),
    ('"a\\"b"@x.example', '"a\\"b"@x.example'),
    ("ann@bücher.example", "ann@xn--bcher-kva.example"),
    ("ann@BÜCHER.example", "ann@xn--bcher-kva.example"),
    ("ann@xn--BCHER-kva.example", "ann@xn--bcher-kva.example"),
    ("ann@straße.example", "ann@xn--strae-oqa.example"),
    ("JOSÉ@x.example", "josé@x.example"),
    ("jose\u0301@x.example", "josé@x.example"),
    ("ΑΝΝΑ@x.example", "αννα@x.example"),
    ("postmaster@localhost", "postmaster@localhost"),
    ("x@_dmarc.example", "x@_dmarc.example"),
    ("!#$%&'*+/=?^_`{|}~-@x.example", "!#$%&'*+/=?^_`{|}~-@x.example"),
]


@pytest.mark.parametrize(("text", "expected"), SAME)
def test_an_address_has_one_canonical_form(text, expected):
    assert canonical(text) == expected
    assert canonical(expected) == expected
    assert is_address(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("straße@x.example", "strasse@x.example"),
        ("ſam@x.example", "sam@x.example"),
        ("a.nn@x.example", "ann@x.example"),
        ("ann+a@x.example", "ann@x.example"),
        ("ann@straße.example", "ann@strasse.example"),
        ("аnn@x.example", "ann@x.example"),
    ],
)
def test_two_mailboxes_stay_two(one, other):
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "ann",
        "ann@",
        "@x.example",
        "ann@@x.example",
        "a b@x.example",
        ".ann@x.example",
        "ann.@x.example",
        "a..b@x.example",
        "ann@x..example",
        "ann@-x.example",
        "ann@x.example.",
        "ann@[192.0.2.1]",
        "ann@192.0.2.1",
        "ann@x.123",
        "ann@x_.example",
        "ann\r\n@x.example",
        "ann\0@x.example",
        "a\u202eb@x.example",
        "a\u200bb@x.example",
        '"a\nb"@x.example',
        '""@x.example',
        '"a@x.example',
        "ann@x\u2024\u2024y.example",
        "ann@" + "x" * 64 + ".example",
        "a" * 65 + "@x.example",
        "ann@" + "x." * 130 + "example",
        "é" * 33 + "@x.example",
        "a" * 10_000 + "@x.example",
        "ann@" + "ü" * 10_000,
        "ann(c)@x.example",
        "<ann@x.example>",
        "ann@ex ample.example",
    ],
)
def test_what_is_no_address_is_refused_with_a_sentence(text):
    with pytest.raises(ValueError, match=r"[Aa]ddress.*\.$"):
        canonical(text)
    assert not is_address(text)


@given(st.text(max_size=80))
def test_canonical_is_a_fixed_point_whatever_comes(text):
    try:
        found = canonical(text)
    except ValueError:
        return
    assert canonical(found) == found
    assert not any(c in found for c in "\r\n\0")
    assert fast_path(text) in (None, found)


@given(st.from_regex(r"\A[a-zA-Z0-9.+_-]{1,20}@[a-zA-Z0-9.-]{1,30}\Z"))
def test_the_fast_path_agrees_with_the_slow_one(text):
    fast = fast_path(text)
    assert fast is None or fast == canonical(text)


def test_display_domain_shows_look_alike_letters():
    assert display_domain("gmаil.example") == "xn--gmil-63d.example"
    assert display_domain("Gmail.Example") == "gmail.example"
    assert display_domain("bad domain\u00e9") == "bad domain\\xe9"


FIELDS = [
    ("pat@x.example", [("", "pat@x.example")]),
    ("Pat Doe <pat@x.example>", [("Pat Doe", "pat@x.example")]),
    ('"Doe, Pat" <pat@x.example>, bob@y.example', [("Doe, Pat", "pat@x.example"), ("", "bob@y.example")]),
    (
        "Friends: a@b.example, D <d@e.example>;, c@f.example",
        [("", "a@b.example"), ("D", "d@e.example"), ("", "c@f.example")],
    ),
    ("undisclosed-recipients:;", []),
    ("=?utf-8?q?a=2Cb_=3Cevil=40x=2Eexample=3E?= <p@x.example>", [("a,b <evil@x.example>", "p@x.example")]),
    ('"=?utf-8?b?SsO8?= <x>" <p@x.example>', [("Jü <x>", "p@x.example")]),
    ("pat@x.example (Pat (the) Doe)", [("Pat (the) Doe", "pat@x.example")]),
    ("<@a.example,@b.example:p@x.example>", [("", "p@x.example")]),
    ('"p q"@x.example', [("", '"p q"@x.example')]),
    ('"Ann <ann@x.example>, bob@y.example', [("Ann", "ann@x.example"), ("", "bob@y.example")]),
    ("Pat <pat@x.example, bob@y.example", [("Pat", "pat@x.example"), ("", "bob@y.example")]),
    ("(open comment, bob@y.example", [("open comment", ""), ("", "bob@y.example")]),
    ("a@x.example; b@y.example", [("", "a@x.example"), ("", "b@y.example")]),
    ("mailto:p@x.example", [("", "p@x.example")]),
    ("p @ x.example", [("", "p@x.example")]),
    ("Pat Doe pat@x.example", [("Pat Doe", "pat@x.example")]),
    ("Pat <not an address>, =?utf-8?q?ann=40x=2Eexample?=", []),
    ("Jürgen <j@x.example>, jürgen@x.example", [("Jürgen", "j@x.example"), ("", "jürgen@x.example")]),
    ("a\u202egnp.exe <p@x.example>", [("agnp.exe", "p@x.example")]),
    (", ,, ", []),
]


@pytest.mark.parametrize(("value", "expected"), FIELDS)
def test_an_address_field_is_read_as_well_as_it_can_be(value, expected):
    assert parse_mailboxes(value) == [Mailbox(*pair) for pair in expected if pair[1]]


def test_ten_thousand_recipients_are_all_read():
    value = ", ".join(f'"P, {n}" <p{n}@x.example>' for n in range(10_000))
    assert [m.address for m in parse_mailboxes(value)] == [f"p{n}@x.example" for n in range(10_000)]


@pytest.mark.parametrize("piece", ['"\\', "(", "<", '"', "(\\", '<"', ":", ",", "a@", "=?", "a b ", '\\"', "((a)"])
def test_hostile_fields_cost_linear_time(piece):
    started = time.process_time()
    parse_mailboxes(piece * (50_000 // len(piece)))
    assert time.process_time() - started < 10


@given(st.text(alphabet=st.sampled_from('ab@.x<>"\\(),:;= \t\r\n?=é'), max_size=60) | st.text(max_size=60))
def test_parse_mailboxes_never_raises_and_yields_addresses_only(value):
    for mailbox in parse_mailboxes(value):
        assert is_address(mailbox.address)
        assert mailbox.name.isprintable() or not mailbox.name.isascii()


AUTHORS = [
    (b"From: ann@x.example\r\n", "ann@x.example"),
    (b"To: p@y.example\r\nFROM: Ann Ruiz <ann@x.example>\r\n", "ann@x.example"),
    (b'from:\r\n "Ruiz, Ann"\r\n\t<ann@x.example>\r\n', "ann@x.example"),
    (b"From: =?utf-8?q?Ann_R=C3=BCiz?= <ann@x.example>\r\n", "ann@x.example"),
    (b"From: ann@x.example (Ann Ruiz)\r\n", "ann@x.example"),
    (b'From: "bob@y.example" <ann@x.example>\r\n', "ann@x.example"),
    ("From: Jörg <jörg@x.example>\r\n".encode(), "jörg@x.example"),
    ("From: Jörg <ann@x.example>\r\n".encode("latin-1"), "ann@x.example"),
    (b'From: "a b"@x.example\r\n', '"a b"@x.example'),
    (b"From: O'Neil, Ann <ann@x.example>\r\n", None),
    (b"X-From: bob@y.example\r\nFrom: ann@x.example\r\n\r\nFrom: in the body\r\n", "ann@x.example"),
]


@pytest.mark.parametrize(("header", "address"), AUTHORS)
def test_the_author_is_the_one_mailbox_of_the_one_from_field(header, address):
    if address is None:
        with pytest.raises(NotAuthor, match="exactly one address"):
            single_author(header)
    else:
        assert single_author(header).address == address


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\r\nFrom: ann@x.example\r\n",
        b"To: p@y.example\r\n",
        b"From:\r\n",
        b"From: Ann\r\n",
        b"From: <>\r\n",
        b"From: ann@x.example\r\nFrom: bob@y.example\r\n",
        b"From: ann@x.example\r\nfrom : bob@y.example\r\n",
        b"From: ann@x.example\r\nFrom\r\n : bob@y.example\r\n",
        b"From: ann@x.example\rFrom: bob@y.example\r\n",
        b"From: ann@x.example\nFrom: bob@y.example\r\n",
        b"From: ann@x.example, bob@y.example\r\n",
        b"From: ann@x.example <bob@y.example>\r\n",
        b"From: <ann@x.example> <bob@y.example>\r\n",
        b"From: <ann@x.example>, <bob@y.example>\r\n",
        b"From: Us: ann@x.example;\r\n",
        b"From: Us: ann@x.example, bob@y.example;\r\n",
        b"From: ann@x.example; bob@y.example\r\n",
        b"From: =?utf-8?q?ann=40x=2Eexample?=\r\n",
        b"From: =?utf-8?q?=3Cann=40x=2Eexample=3E?=\r\n",
        b'From: "Ann <ann@x.example>\r\n',
        b"From: Ann <ann@x.example\r\n",
        b"From: Ann (<ann@x.example>\r\n",
        b"From: @relay.example:ann@x.example\r\n",
        b"From: <@relay.example:ann@x.example>\r\n",
        b"From: ann@x.example bob\r\n",
        b"From: ann\\@y.example@x.example\r\n",
        b"From: [ann@x.example]\r\n",
        b"From: bob@y.example (<ann@x.example>) <ann@x.example>\r\n",
        b"From: " + b"a" * 3000 + b"@x.example\r\n",
        b"From: ann@x.example\r\n bob@y.example\r\n",
        b"From: ann@x.example <\r\n",
    ],
)
def test_where_two_readers_could_find_two_authors_there_is_none(header):
    with pytest.raises(NotAuthor):
        single_author(header)


@given(st.binary(max_size=120), st.binary(max_size=120))
def test_the_author_check_raises_nothing_but_its_refusal(before, value):
    try:
        author = single_author(before + b"\r\nFrom: " + value + b"\r\n")
    except NotAuthor:
        return
    assert is_address(author.address)

"""Are headers read as they are meant, and do cut fields come back octet for octet?"""

from __future__ import annotations

import email.header
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core.charsets import decode_text, decode_words, lenient_base64, one_line
from cryptnsend.core.mime import cut_bcc, header_end, parse_parameters, read_headers, restore_bcc, restore_stream

CUT = [
    (b"Bcc: x@y\r\n", b""),
    (b"From: a\r\nBCC:\r\n x@y,\r\n\tz@q\r\nTo: b\r\n", b"From: a\r\nTo: b\r\n"),
    (b"bcc : x\r\nBcc\t: y\r\nTo: b\r\nBcc: z\r\n", b"To: b\r\n"),
    (b"To: b\r\nBcc\r\n : x\r\n", b"To: b\r\n"),
    (b"Resent-Bcc: x\r\nResent-To: y\r\n", b"Resent-To: y\r\n"),
    (b"To: b\r\nBcc: last without an end", b"To: b\r\n"),
    (b"To: b\nBcc: bare LF\nCc: c\n", b"To: b\nCc: c\n"),
    (b"To: b\rBcc: bare CR\rCc: c\r", b"To: b\rCc: c\r"),
    (b"Bcc:\r\n\r\nBcc: of the body\r\n", b"\r\nBcc: of the body\r\n"),
    (b"\r\nBcc: of the body\r\n", b"\r\nBcc: of the body\r\n"),
    (b"Subject: Bcc: no\r\nX-Bcc: keep\r\nBccx: keep\r\n Bcc: folded into the above\r\n", None),
    (
        b"FCC: imap://ann@x/Sent\r\nX-Mozilla-Draft-Info: internal\r\nX-Identity-Key: id1\r\nX-Mailer: M\r\n",
        b"X-Mailer: M\r\n",
    ),
    (
        b"X-Account-Key: a\r\nX-K9mail-Identity: !l=3\r\nX-Google-X: 1\r\nX-Gm-Y:\r\nX-Originating-IP: 1\r\nTo: b\r\n",
        b"To: b\r\n",
    ),
]


@pytest.mark.parametrize(("header", "kept"), CUT)
def test_fields_for_the_author_alone_are_cut_and_come_back(header, kept):
    left, cuts = cut_bcc(header)
    assert left == (header if kept is None else kept)
    assert restore_bcc(left, cuts) == header


fields = st.sampled_from(
    [
        b"Bcc:",
        b"bcc :",
        b"BCC\t:",
        b"Resent-Bcc:",
        b"From:",
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b"a",
        b"X-Mozilla-Y:",
        b":",
    ]
)


@given(st.lists(fields | st.binary(max_size=4), max_size=20).map(b"".join), st.binary(max_size=30), st.integers(1, 9))
def test_cut_and_restore_are_byte_identical_and_leave_no_bcc(header, body, size):
    octets = header + b"\r\n\r\n" + body
    left, cuts = cut_bcc(octets)
    assert restore_bcc(left, cuts) == octets
    assert b"".join(restore_stream((left[at : at + size] for at in range(0, len(left), size)), cuts)) == octets
    if not re.search(rb"\r(?!\n)|(?<!\r)\n", header):  # the doors take no other line ends
        assert cut_bcc(left[: header_end(left)])[1] == []
        assert read_headers(left).count(b"bcc") == 0


def test_the_reader_finds_the_wanted_fields_whatever_their_spelling():
    headers = read_headers(
        b"FROM: Ann <ann@x.example>\r\nsubject : =?utf-8?q?a?=\r\n =?utf-8?q?_b?=\r\nX-Other: no\r\nTo: a@x.example\r\n"
        b"to: b@x.example\r\nMessage-Id:\r\n <1@x>\r\nReferences: <2@x> junk <3@x>\r\nno colon here\r\n\r\nCc: body\r\n"
    )
    assert headers.mailboxes(b"from") == [("Ann", "ann@x.example")]
    assert headers.subject == "a b"
    assert [m.address for m in headers.mailboxes(b"to")] == ["a@x.example", "b@x.example"]
    assert headers.message_ids(b"message-id") == ["<1@x>"]
    assert headers.message_ids(b"references") == ["<2@x>", "<3@x>"]
    assert (headers.count(b"cc"), headers.raw(b"cc"), headers.mailboxes(b"cc")) == (0, b"", [])


@given(st.binary(max_size=400))
def test_reading_a_header_never_raises(octets):
    headers = read_headers(b"Subject:" + octets + b"\r\nContent-Type:" + octets + b"\r\nTo:" + octets)
    assert "\n" not in headers.subject
    assert "\r" not in headers.subject
    kind, params = headers.content_type
    assert "/" in kind
    assert all("\n" not in value for value in params.values())
    assert isinstance(headers.encoding + headers.disposition[0], str)
    assert isinstance(headers.mailboxes(b"to"), list)


def test_ten_thousand_fields_and_folds_are_read_in_linear_time():
    started = time.process_time()
    many = b"".join(b"X-%d: y\r\n" % n for n in range(10_000)) + b"Subject: here\r\n"
    assert read_headers(many).subject == "here"
    folded = b"Subject: here" + b"\r\n x" * 100_000
    assert read_headers(folded).subject.startswith("here x")
    assert cut_bcc(b"Bcc: a" + b"\r\n x" * 100_000 + b"\r\nTo: b\r\n")[0] == b"To: b\r\n"
    assert time.process_time() - started < 20


PARAMETERS = [
    (b" TEXT/Plain", "text/plain", {}),
    (b"text/plain; charset=utf-8", "text/plain", {"charset": "utf-8"}),
    (
        b'text/plain; Charset="utf-8"; format=flowed ; delsp=yes',
        "text/plain",
        {"charset": "utf-8", "format": "flowed", "delsp": "yes"},
    ),
    (b"text/plain (comment); charset=utf-8 (another)", "text/plain", {"charset": "utf-8"}),
    (b'a/b; name="x;y=z"; q="\\"quoted\\" \\\\ back"', "a/b", {"name": "x;y=z", "q": '"quoted" \\ back'}),
    (b"a/b; name*=utf-8'en'%e2%82%ac%20rates", "a/b", {"name": "€ rates"}),
    (b"a/b; name*1*=%bc; name*0*=utf-8''%c3", "a/b", {"name": "ü"}),
    (b'a/b; name*0=one; name*1=" two"; name=plain', "a/b", {"name": "one two"}),
    (b"a/b; name=one; name=two", "a/b", {"name": "one"}),
    (b'a/b; name="never closed; x=y', "a/b", {"name": "never closed; x=y"}),
    (b"a/b;;; =; =x; name", "a/b", {}),
    (b"a/b; name*=''%41; other*=bad'%zz", "a/b", {"name": "A", "other": "bad'%zz"}),
    ("a/b; name=größe".encode("latin-1"), "a/b", {"name": "größe"}),
]


@pytest.mark.parametrize(("value", "kind", "params"), PARAMETERS)
def test_parameters_are_read_as_they_are_sent(value, kind, params):
    assert parse_parameters(value) == (kind, params)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", "text/plain"),
        (b"text", "text/plain"),
        (b"pdf", "application/octet-stream"),
        (b"a/b/c", "application/octet-stream"),
    ],
)
def test_an_unreadable_media_type_is_opaque(value, expected):
    assert read_headers(b"Content-Type: " + value).content_type[0] == expected


@given(st.text(max_size=80), st.sampled_from(["utf-8", "iso-8859-1", "koi8-r", "utf-16", "shift_jis"]))
def test_encoded_words_made_elsewhere_are_decoded(text, charset):
    text = " ".join("".join(c for c in text if c.isprintable()).split())
    try:
        encoded = email.header.Header(text, charset, maxlinelen=10_000).encode()
    except UnicodeError:
        return
    if encoded.startswith("=?"):
        assert decode_words(encoded) == text


WORDS = [
    ("plain", "plain"),
    ("=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
    ("=?utf-8?q?a?= x =?utf-8?q?b?=", "a x b"),
    ("=?utf-8?q?=C3?= =?utf-8?q?=BC?=", "ü"),
    ("=?utf-8?q?=C3?= =?UTF-8?b?vA==?=", "ü"),
    ("=?iso-8859-1*de?q?=FC?=", "ü"),
    ("=?utf-8?q?a b?=", "a b"),
    ("=?utf-8?b?w7w?=", "ü"),
    ("=?nowhere?q?=FC?=", "ü"),
    ("=?idna?q?xn--?= =?punycode?q?a-?= =?unicode_escape?q?=5Cu202e?=", "xn--a-\\u202e"),
    ("=?utf-8?x?a?= =?utf-8?q?a", "=?utf-8?x?a?= =?utf-8?q?a"),
    ("=?us-ascii?q?a=0d=0aBcc:_x?=", "a\r\nBcc: x"),
]


@pytest.mark.parametrize(("text", "expected"), WORDS)
def test_encoded_words_are_decoded_and_what_is_none_stays(text, expected):
    assert decode_words(text) == expected


@given(st.text(alphabet="=?utf-8qbQB aé_\t", max_size=60))
def test_decode_words_never_raises(text):
    assert isinstance(decode_words(text), str)


@given(
    st.binary(max_size=60),
    st.sampled_from(["", "utf-8", "utf-7", "utf-16", "gb2312", "big5", "iso-2022-jp", "hz"]) | st.text(max_size=12),
)
def test_decode_text_never_raises_and_never_yields_half_characters(octets, charset):
    decode_text(octets, charset).encode("utf-8")


@pytest.mark.parametrize(
    ("octets", "charset", "expected"),
    [
        (b"caf\xc3\xa9", "", "café"),
        (b"caf\xe9 \x80", "iso-8859-1", "café €"),
        (b"caf\xe9", "us-ascii", "café"),
        (b"caf\xe9", "utf-8", "café"),
        ("größe".encode() + b"\xc3", "utf-8", "größe\ufffd"),
        (b"\xef\xbb\xbfHi", "utf-8", "Hi"),
        ("中文".encode("gb18030"), "GB2312", "中文"),
        ("日本".encode("shift_jis"), "Shift_JIS", "日本"),
        ("хай".encode("koi8-u"), "KOI8-U", "хай"),
        (b"+2AA-", "utf-7", "?"),
        (b"x", "../../etc/passwd", "x"),
        (b"x", "base64", "x"),
    ],
)
def test_text_is_decoded_as_its_label_says_or_as_it_looks(octets, charset, expected):
    assert decode_text(octets, charset) == expected


@given(st.binary(max_size=50))
def test_lenient_base64_never_raises(octets):
    assert len(lenient_base64(octets)) <= len(octets)


@given(st.text(max_size=100))
def test_one_line_is_one_line(text):
    line = one_line(text, 50)
    assert len(line) <= 50
    assert line.splitlines() in ([], [line])
    assert "\u202e" not in line
    assert line == line.strip()

"""Which octets a section names: always inside the message, the parts and their headers put together are the whole."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryptnsend.core.imap import BadCommand, Section, View, parse
from cryptnsend.core.mime import cut_bcc, index_message, restore_bcc
from tests.core.test_imap_structure import messages, view

MESSAGE = b"""From: ann@x.example\r
Subject: outer\r
 folded\r
Content-Type: multipart/mixed; boundary=b\r
\r
preamble\r
--b\r
Content-Type: text/plain\r
\r
one\r
--b\r
Content-Type: message/rfc822\r
\r
Subject: inner\r
Content-Type: multipart/alternative; boundary=c\r
\r
--c\r
\r
two one\r
--c\r
Content-Type: text/html\r
Content-Transfer-Encoding: quoted-printable\r
\r
<p>=41</p>\r
--c--\r
--b\r
Content-Type: message/rfc822\r
\r
Subject: lone\r
\r
three\r
--b\r
Content-Type: image/png\r
Content-Transfer-Encoding: base64\r
\r
AAEC\r
AwQ=\r
--b--\r
epilogue"""


def section(text: str) -> Section:
    item = parse((b"a FETCH 1 " + text.encode(),)).items[0]
    assert isinstance(item, Section)
    return item


def fetched(seen: View, text: str) -> bytes | None:
    content = seen.fetch(section(text))
    if content is None:
        return None
    assert len(content.octets()) == content.size
    return content.octets()


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("BODY[]", MESSAGE),
        ("RFC822", MESSAGE),
        ("BODY[HEADER]", MESSAGE[: MESSAGE.index(b"preamble")]),
        ("RFC822.TEXT", MESSAGE[MESSAGE.index(b"preamble") :]),
        ("BODY[1]", b"one"),
        ("BODY[1.MIME]", b"Content-Type: text/plain\r\n\r\n"),
        ("BODY[1]<1.1>", b"n"),
        ("BODY[1]<1.100>", b"ne"),
        ("BODY[1]<9.1>", b""),
        ("BODY[1.1]", None),
        ("BODY[1.HEADER]", None),
        ("BODY[1.TEXT]", None),
        ("BODY[2.MIME]", b"Content-Type: message/rfc822\r\n\r\n"),
        ("BODY[2.HEADER]", b"Subject: inner\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n"),
        ("BODY[2.HEADER.FIELDS (SUBJECT X)]", b"Subject: inner\r\n\r\n"),
        ("BODY[2.1]", b"two one"),
        ("BODY[2.1.MIME]", b"\r\n"),
        ("BODY[2.2]", b"<p>=41</p>"),
        ("BINARY[2.2]", b"<p>A</p>"),
        ("BODY[2.3]", None),
        ("BODY[3.1]", b"three"),
        ("BODY[3.TEXT]", b"three"),
        ("BODY[3.1.MIME]", b"Subject: lone\r\n\r\n"),
        ("BODY[3.2]", None),
        ("BODY[3.1.1]", None),
        ("BODY[4]", b"AAEC\r\nAwQ="),
        ("BINARY[4]", b"\0\1\2\3\4"),
        ("BINARY[4]<1.2>", b"\1\2"),
        ("BINARY.SIZE[4]", b"\0\1\2\3\4"),
        ("BODY[5]", None),
        ("BODY[HEADER.FIELDS (SUBJECT FROM)]", b"From: ann@x.example\r\nSubject: outer\r\n folded\r\n\r\n"),
        ("BODY[HEADER.FIELDS (Nothing)]", b"\r\n"),
        ("BODY[HEADER.FIELDS.NOT (Subject content-type)]", b"From: ann@x.example\r\n\r\n"),
        ("BODY[HEADER.FIELDS (SUBJ)]", b"\r\n"),
        ("BODY[HEADER.FIELDS (SUBJECT)]<0.7>", b"Subject"),
    ],
)
def test_a_section_names_these_octets(item, expected):
    assert fetched(view(MESSAGE), item) == expected


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("BODY[1]", b"hi"),
        ("BODY[1.MIME]", b"Subject: s\r\n\r\n"),
        ("BODY[TEXT]", b"hi"),
        ("BODY[2]", None),
        ("BODY[1.1]", None),
    ],
)
def test_the_lone_body_of_a_message_is_its_part_1(item, expected):
    assert fetched(view(b"Subject: s\r\n\r\nhi"), item) == expected


def test_a_message_that_is_nothing_but_another_one():
    seen = view(b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nhi")
    assert fetched(seen, "BODY[1]") == b"Subject: in\r\n\r\nhi"
    assert fetched(seen, "BODY[1.1]") == b"hi"
    assert fetched(seen, "BODY[1.HEADER]") == b"Subject: in\r\n\r\n"


def test_an_unknown_encoding_is_told_from_a_missing_part():
    seen = view(b"Content-Transfer-Encoding: x-odd\r\n\r\nhi")
    with pytest.raises(BadCommand) as caught:
        fetched(seen, "BINARY[1]")
    assert caught.value.code == b"UNKNOWN-CTE"
    assert caught.value.status == "NO"
    assert fetched(seen, "BINARY[2]") is None
    assert fetched(seen, "BINARY[]") == b"Content-Transfer-Encoding: x-odd\r\n\r\nhi"


def in_lines(octets: bytes) -> list[bytes]:
    return [line for each in octets.split(b"\n") if (line := each.rstrip(b"\r"))]


def test_lines_that_are_no_field_are_among_those_that_nobody_named():
    seen = view(b" fold first\r\nno field\r\nTo: a\r\n b\r\n\r\nhi")
    assert fetched(seen, "BODY[HEADER.FIELDS (TO)]") == b"To: a\r\n b\r\n\r\n"
    assert fetched(seen, "BODY[HEADER.FIELDS.NOT (TO)]") == b" fold first\r\nno field\r\n\r\n"


@settings(max_examples=150)
@given(messages)
def test_ranges_lie_inside_the_message_and_the_parts_put_together_are_the_whole(octets):
    asked: list[tuple[int, int]] = []

    def read(at: int, count: int) -> bytes:
        asked.append((at, count))
        return octets[at : at + count]

    index = index_message(octets)
    seen = View(index.to_octets(), read)
    assert fetched(seen, "BODY[]") == octets
    assert seen.size == len(octets)
    assert fetched(seen, "BODY[HEADER]") + fetched(seen, "BODY[TEXT]") == octets
    for path, part in index.walk():
        if path:
            body = fetched(seen, f"BODY[{path}]")
            mime = fetched(seen, f"BODY[{path}.MIME]")
            assert body is not None
            assert mime is not None
            assert body in octets
            assert mime in octets
            assert fetched(seen, f"BODY[{path}.1.1.1.1.1.1]") is None or part.parts
    assert all(at >= 0 and at + count <= len(octets) for at, count in asked)
    chosen = fetched(seen, "BODY[HEADER.FIELDS (SUBJECT TO)]")
    others = fetched(seen, "BODY[HEADER.FIELDS.NOT (SUBJECT TO)]")
    header = fetched(seen, "BODY[HEADER]")
    assert sorted(in_lines(chosen + others)) == sorted(in_lines(header))


@settings(max_examples=200)
@given(messages, st.integers(0, 200), st.integers(1, 200))
def test_a_partial_fetch_is_a_slice(octets, start, count):
    seen = view(octets)
    for item in ("BODY[]", "BODY[HEADER]", "BODY[TEXT]", "BODY[1]", "BINARY[1]"):
        try:
            whole = fetched(seen, item)
        except BadCommand:
            continue
        part = fetched(seen, f"{item}<{start}.{count}>")
        assert part == (whole if whole is None else whole[start : start + count])


bcc_fields = st.sampled_from(
    [b"Bcc: b@y.example\r\n", b"To: a@x.example\r\n", b"FCC: out\r\n", b"bcc: c@z,\r\n d@z\r\n", b"X: y\r\n"]
)


@given(st.lists(bcc_fields, max_size=6).map(b"".join), st.sampled_from([b"\r\n", b"\r\nhello\r\n", b""]))
def test_the_author_sees_the_message_as_it_was_sent(header, rest):
    original = header + rest
    kept, cuts = cut_bcc(original)
    seen = view(kept, cuts)
    assert restore_bcc(kept, cuts) == original
    assert fetched(seen, "BODY[]") == original
    assert seen.size == len(original)
    head = fetched(seen, "BODY[HEADER]")
    assert original.startswith(head)
    assert seen.header() == head
    assert fetched(seen, "BODY[1.MIME]") == head
    assert fetched(seen, "BODY[HEADER.FIELDS (BCC)]").lower().count(b"bcc:") == header.lower().count(b"bcc:")
    assert fetched(seen, "BODY[]<3.20>") == original[3:23]
    assert fetched(seen, "BODY[TEXT]") == original[len(head) :]


def test_a_large_attachment_is_read_in_blocks_and_only_where_it_is_asked_for():
    big = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhi\r\n--b\r\nContent-Type: a/b\r\n\r\n"
        + b"x" * 1_000_000
    )
    asked: list[tuple[int, int]] = []

    def read(at: int, count: int) -> bytes:
        asked.append((at, count))
        return big[at : at + count]

    seen = View(index_message(big).to_octets(), read)
    assert (seen.envelope(), seen.bodystructure(), seen.header()) != ()
    assert not asked
    assert fetched(seen, "BODY[1]") == b"hi"
    assert sum(count for _, count in asked) <= 4
    assert max(map(len, seen.fetch(section("BODY[2]")).blocks())) <= 64 * 1024


def test_a_header_that_the_index_does_not_keep_is_read_from_the_message():
    octets = b"Subject: s\r\n" + b"X: " + b"y" * 20_000 + b"\r\nTo: a@b\r\n\r\nhi"
    seen = view(octets)
    assert seen.header() == octets[:-2]
    assert fetched(seen, "BODY[HEADER.FIELDS (TO SUBJECT)]") == b"Subject: s\r\nTo: a@b\r\n\r\n"


def test_the_texts_to_search_are_decoded_and_attachments_left_out():
    assert [text.strip() for text in view(MESSAGE).texts(1000)] == ["one", "two one", "A", "three"]
    assert next(view(MESSAGE).texts(2)) == "on"

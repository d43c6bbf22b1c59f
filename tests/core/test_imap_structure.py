"""ENVELOPE and BODYSTRUCTURE: what clients stumble over is never sent, whatever a message looks like.

`tests/vectors/imap/NN-name.txt` is what is answered for `tests/vectors/mime/NN-name.eml`, or for the message of the
same name beside it: ENVELOPE, BODYSTRUCTURE and BODY, one a line.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryptnsend.core.imap import View
from cryptnsend.core.imap_envelope import _whole_address_list, address_list
from cryptnsend.core.mime import Index, index_message
from tests.support.imap_reading import check_body, check_envelope, read_value

FOLDER = Path(__file__).parents[1] / "vectors"
CASES = sorted([*(FOLDER / "mime").glob("*.eml"), *(FOLDER / "imap").glob("*.eml")], key=lambda path: path.name)


def view(octets: bytes, cuts: list[tuple[int, bytes]] | None = None) -> View:
    return View(index_message(octets).to_octets(), lambda at, count: octets[at : at + count], cuts or [])


def answers(octets: bytes) -> list[bytes]:
    seen = view(octets)
    return [seen.envelope(), seen.bodystructure(), seen.body()]


def check(octets: bytes) -> None:
    envelope, structure, body = answers(octets)
    check_envelope(read_value(envelope))
    check_body(read_value(structure), extended=True)
    check_body(read_value(body), extended=False)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_message_is_described_as_expected(case):
    expected = (FOLDER / "imap" / f"{case.stem}.txt").read_bytes()
    # Line ends of literals are those of the wire; between the answers there is a single newline.
    assert b"\n".join(answers(case.read_bytes())) + b"\n" == expected
    check(case.read_bytes())


def test_every_expectation_has_its_message():
    texts = {path.stem for path in (FOLDER / "imap").glob("[0-9]*.txt")}
    assert texts == {case.stem for case in CASES}
    assert len(texts) >= 40


lines = st.sampled_from(
    [
        b"From: ", b"To: ", b"Cc: ", b"Subject: ", b"Date: ", b"Message-ID: ", b"In-Reply-To: ", b"Sender: ", b"\r\n ",
        b"Content-Type: ", b"Content-Disposition: ", b"Content-ID: ", b"Content-Description: ", b"Content-MD5: ",
        b"Content-Language: ", b"Content-Location: ", b"Content-Transfer-Encoding: ", b"multipart/mixed; boundary=b",
        b"message/rfc822", b"text/plain; charset=\"x\"", b"message/global", b"; name=\"a\\\"b\"", b"; filename*=u''%41",
        b"attachment", b"\r\n", b"\r\n\r\n", b"--b\r\n", b"--b--\r\n", b"base64", b"<a@b.example>", b'"', b"\\", b"(",
        b")", b":", b";", b",", b"<", b">", b"@", b"group: a@b;", b"caf\xc3\xa9", b"\xff", b"\x00", b"\x01NIL", b"\x02",
        b"\x03", b"=?utf-8?q?=C3=A9?=", b"{5}", b"x" * 300, b"/", b"*", b"%",
    ]
)  # fmt: skip
messages = st.lists(lines | st.binary(max_size=4), max_size=40).map(b"".join)


@settings(max_examples=200)
@given(messages)
def test_every_answer_can_be_read_by_the_grammar_and_has_none_of_the_pitfalls(octets):
    check(octets)


@settings(max_examples=200)
@given(messages)
def test_an_index_keeps_its_answers_and_an_older_one_gets_them_from_the_message(octets):
    index = index_message(octets)
    kept = Index.from_octets(index.to_octets())
    assert kept == index
    assert kept.v == 2
    first, _, _ = index.to_octets().replace(b'"v":2,', b"").partition(b"\0")
    older = View(first, lambda at, count: octets[at : at + count])
    newer = view(octets)
    assert Index.from_octets(first).imap is None
    assert [older.envelope(), older.bodystructure(), older.header()] == [
        newer.envelope(),
        newer.bodystructure(),
        newer.header(),
    ]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (b"Ann <a@x.example>", b'(("Ann" NIL "a" "x.example"))'),
        (b'"Ann \\"R\\"" <a@x>', b'(("Ann \\"R\\"" NIL "a" "x"))'),
        (b"undisclosed-recipients:;", b'((NIL NIL "undisclosed-recipients" NIL)(NIL NIL NIL NIL))'),
        (b"T: a@x, B <b@y>;", b'((NIL NIL "T" NIL)(NIL NIL "a" "x")("B" NIL "b" "y")(NIL NIL NIL NIL))'),
        (b"<@r1,@r2:a@x>", b'((NIL "@r1,@r2" "a" "x"))'),
        (b"pat@x (Pat)", b'(("Pat" NIL "pat" "x"))'),
        (b"nobody", b'((NIL NIL "nobody" "missing-domain.invalid"))'),
        (b"caf\xc3\xa9 <c@x>", b'(("=?utf-8?b?Y2Fmw6k=?=" NIL "c" "x"))'),
        (b"=?utf-8?q?=2C=22?= <c@x>", b'(("=?utf-8?q?=2C=22?=" NIL "c" "x"))'),
        (b"\xc3\xbc@\xc3\xb6.example", b"((NIL NIL {2}\r\n\xc3\xbc {10}\r\n\xc3\xb6.example))"),
        (b'"a b"@x', b'((NIL NIL "a b" "x"))'),
        (b" , ;", b"NIL"),
        (b"", b"NIL"),
        (b"A: b@c", b'((NIL NIL "A" NIL)(NIL NIL "b" "c")(NIL NIL NIL NIL))'),
    ],
)  # fmt: skip
def test_addresses_keep_groups_routes_and_what_is_none(field, expected):
    assert address_list(field) == expected


tokens = st.sampled_from([*b"""a < > @ x.example " Ann . a@x <a@x> (c) : ; \\""".split(), b" ", b"\t"])
people = st.lists(tokens, max_size=8).map(b"".join)


@settings(max_examples=200)
@given(st.lists(people | st.sampled_from([b'"Ann R" <a@x>', b" Ann <a@x> ", b"a@x"]), max_size=4).map(b",".join))
def test_the_short_way_through_an_address_field_leads_where_the_long_one_does(field):
    assert address_list(field) == _whole_address_list(field)


def test_long_address_fields_end_and_open_delimiters_cost_nothing():
    assert address_list(b"a@b, " * 10_000).count(b'(NIL NIL "a" "b")') == 1000
    assert address_list(b'"' * 50_000) == b"NIL"
    assert address_list(b"a:" * 20_000).count(b"(NIL NIL NIL NIL)") <= 1000


def test_the_authors_view_has_bcc_in_its_envelope():
    octets = b"To: a@x\r\n\r\nhi"
    seen = view(octets, [(0, b"Bcc: b@y,\r\n c@z\r\n"), (27, b"Fcc: out\r\n")])
    assert read_value(seen.envelope())[7] == [[None, None, b"b", b"y"], [None, None, b"c", b"z"]]
    assert read_value(view(octets).envelope())[7] is None


def test_many_parts_with_long_names_do_not_make_an_answer_endless():
    part = b'--b\r\nContent-Type: image/png; name="' + b"n" * 5000 + b'"\r\n\r\nx\r\n'
    seen = view(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part * 2000)
    assert len(seen.bodystructure()) < 1_000_000
    check_body(read_value(seen.bodystructure()), extended=True)


@pytest.mark.parametrize(
    "octets", [b'{"root":{"h":0},"size":1,"v":2}\0', b'{"root":{"h":0},"size":1,"v":2}\0\0\0\0\5ab']
)
def test_texts_that_end_too_early_are_refused(octets):
    with pytest.raises(ValueError, match="index"):
        Index.from_octets(octets)

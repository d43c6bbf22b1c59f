"""Does the index point at the right octets, whatever the blocks, and does nothing a stranger sends upset it?"""

from __future__ import annotations

import json
import re
import time
from email.message import EmailMessage
from email.mime.application import MIMEApplication
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import SMTP

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryptnsend.core import mime_indexer
from cryptnsend.core.mime import Index, Indexer, index_message
from cryptnsend.core.mime_indexer import MAX_DEPTH, MAX_PARTS

HEAD = b"From: ann@x.example\r\nSubject: s\r\n"


def in_blocks(octets: bytes, sizes: list[int]) -> Index:
    indexer, at, turn = Indexer(), 0, 0
    while at < len(octets):
        step = sizes[turn % len(sizes)]
        indexer.feed(octets[at : at + step])
        at, turn = at + step, turn + 1
    return indexer.finish()


pieces = st.sampled_from(
    [
        b"\r\n",
        b"--a",
        b"--b",
        b"--a--",
        b"--",
        b"-",
        b"\r",
        b"\n",
        b" ",
        b"text",
        b"Content-Type: text/plain\r\n",
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n",
        b"Content-Type: multipart/digest; boundary=b\r\n\r\n",
        b"Content-Type: multipart/alternative; boundary=ab\r\n\r\n",
        b"--ab\r\n",
        b"--a\r\n",
        b"--b--\r\n",
        b"\r\n\r\n",
        b"Content-Type: message/rfc822\r\n\r\n",
        b'Content-Type: multipart/mixed; boundary=""\r\n\r\n',
        b"\x00",
        b"\xff",
    ]
)
messages = st.lists(pieces | st.binary(max_size=5), max_size=40).map(b"".join)


@settings(max_examples=200)
@given(messages, st.lists(st.integers(1, 30), min_size=1, max_size=5))
def test_blocks_that_hold_no_delimiter_are_passed_over_without_a_difference(octets, sizes):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mime_indexer, "_WORTH_LOOKING", 1)
        passed_over = in_blocks(octets, sizes)
    assert passed_over == index_message(octets)


@pytest.mark.parametrize("cut", range(-8, 12))
def test_a_delimiter_cut_between_two_large_blocks_is_found(cut):
    inner = b"Content-Type: multipart/mixed; boundary=ab\r\n\r\n--ab\r\n\r\n%b\r\n--ab--\r\n" % (b"in\r\n" * 3000)
    head = HEAD + b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n"
    first = head + b"Content-Type: application/pdf\r\n\r\n" + b"A" * 9000
    octets = first + b"\r\n--a\r\n" + inner + b"\r\n--a--\r\n"
    index = in_blocks(octets, [len(first) + cut, 5000])
    assert index == index_message(octets)
    assert [part.type for part in index.root.parts] == ["application/pdf", "multipart/mixed"]
    assert index.root.parts[0].body_end == len(first)


@settings(max_examples=300)
@given(messages, st.lists(st.integers(1, 30), min_size=1, max_size=5))
def test_block_borders_change_nothing_and_offsets_nest(octets, sizes):
    index = index_message(octets)
    assert in_blocks(octets, sizes) == index
    assert Index.from_octets(index.to_octets()) == index
    assert index.size == len(octets)
    for _, part in index.walk():
        assert 0 <= part.header_start <= part.body_start <= part.body_end <= len(octets)
        assert part.type
        at = part.body_start
        for child in part.parts:
            assert at <= child.header_start
            assert child.body_end <= part.body_end
            at = child.body_end
    paths = [path for path, part in index.walk() if not part.parts]
    assert len(paths) == len(set(paths))


bodies = st.text(alphabet="ab-\r\n c.", max_size=30).map(lambda s: s.replace("\r", "").replace("\n", "\r\n"))


def _tree(depth: int) -> st.SearchStrategy[EmailMessage]:
    leaf = st.one_of(
        bodies.map(lambda text: MIMEText(text, "plain", "us-ascii")),
        st.binary(max_size=60).map(lambda octets: MIMEApplication(octets, name="x.bin")),
    )
    if depth == 0:
        return leaf

    def multipart(children: list[EmailMessage]) -> MIMEMultipart:
        found = MIMEMultipart("mixed")
        for child in children:
            found.attach(child)
        return found

    def enclosed(child: EmailMessage) -> MIMEMessage:
        return MIMEMessage(child)

    below = _tree(depth - 1)
    return leaf | st.lists(below, min_size=1, max_size=3).map(multipart) | below.map(enclosed)


@settings(max_examples=100)
@given(_tree(3))
def test_well_formed_messages_are_cut_up_as_the_standard_librarys_generator_put_them_together(message):
    octets = message.as_bytes(policy=SMTP)
    index = index_message(octets)
    expected = list(message.walk())
    found = [part for _, part in index.walk()]
    assert [part.type for part in found] == [part.get_content_type() for part in expected]
    for part, made in zip(found, expected, strict=True):
        if not made.is_multipart():
            body = made.as_bytes(policy=SMTP).partition(b"\r\n\r\n")[2]
            assert octets[part.body_start : part.body_end].rstrip(b"\r\n") == body.rstrip(b"\r\n")


@pytest.mark.parametrize("levels", [50, MAX_DEPTH + 50])
def test_a_hundred_levels_are_followed_and_the_rest_is_opaque(levels):
    octets = HEAD + b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(levels)
    )
    index = index_message(octets + b"\r\ndeep")
    assert len(list(index.walk())) == min(levels, MAX_DEPTH) + 1
    assert index.truncated is (levels > MAX_DEPTH)
    assert Index.from_octets(index.to_octets()) == index


def test_a_hundred_enclosed_messages_are_followed():
    index = index_message(b"Content-Type: message/rfc822\r\n\r\n" * 200 + b"Subject: in\r\n\r\nx")
    assert len(list(index.walk())) == MAX_DEPTH + 1
    assert index.truncated


def test_a_thousand_parts_are_listed_and_the_rest_is_opaque():
    octets = HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 5000 + b"--b--"
    index = index_message(octets)
    assert len(list(index.walk())) == MAX_PARTS
    assert index.truncated
    assert index.root.body_end == len(octets)


HOSTILE = {
    "dashes": b"Content-Type: multipart/mixed; boundary=-\r\n\r\n" + b"\r\n---x" * 1_000_000,
    "delimiters": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n" * 200_000,
    "levels": b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(500)),
    "header": b"X: y\r\n" * 700_000,
    "long line": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b" + b"b" * 4_000_000,
    "empty lines": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"\r\n" * 2_000_000,
    "recipients": b"To: " + b"p@x.example,\r\n " * 20_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_messages_cost_linear_time_and_little_room(name):
    octets, indexer = HOSTILE[name], Indexer()
    started = time.process_time()
    for at in range(0, len(octets), 65536):
        indexer.feed(octets[at : at + 65536])
        assert len(indexer._buffer) < 600_000
    index = indexer.finish()
    assert time.process_time() - started < 30
    assert len(index.to_octets()) < 300_000


def test_an_attachment_passes_through_without_being_kept():
    indexer = Indexer()
    indexer.feed(
        HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/pdf\r\n\r\n"
    )
    for _ in range(100):
        indexer.feed(b"A" * 65536)
        assert len(indexer._buffer) < 1000
    indexer.feed(b"\r\n--b--\r\n")
    index = indexer.finish()
    assert index.part("1").size == 100 * 65536
    with pytest.raises(KeyError):
        index.part("2")


def test_lines_are_counted_where_bodystructure_needs_them():
    inner = b"Subject: i\r\n\r\none\r\ntwo\r\n"
    octets = HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\na\r\nb\r\n\r\n--b\r\n"
    octets += b"Content-Type: message/rfc822\r\n\r\n" + inner + b"\r\n--b--"
    index = in_blocks(octets, [5])
    assert index.part("1").lines == 2
    assert index.part("2").lines == inner.count(b"\n")
    assert index.part("2.1").lines == 2


def test_the_index_never_knows_bcc():
    index = index_message(HEAD + b"Bcc: secret@x.example\r\nTo: p@x.example\r\n\r\nx")
    assert b"secret" not in index.to_octets()


def test_long_lists_of_names_are_kept_short():
    octets = (
        HEAD + b"To: " + b",".join(b"p%d@x.example" % n for n in range(3000)) + b"\r\nReferences: " + b"<a@b> " * 500
    )
    index = index_message(octets)
    assert (len(index.to), len(index.references)) == (1000, 100)


@pytest.mark.parametrize(
    "octets",
    [b"", b"{", b"[]", b'{"root":1}', b'{"root":{"h":0},"size":1,"v":3}', b'{"root":{"h":0},"size":1,"v":0}', b"\xff"],
)
def test_what_is_no_index_is_refused(octets):
    with pytest.raises(ValueError, match="index"):
        Index.from_octets(octets)


def test_an_index_of_this_version_stays_readable():
    """Sealed indexes rest for years: a field may be added with a default, never renamed."""
    octets = (
        b'{"root":{"h":0,"b":10,"e":99,"type":"multipart/mixed","params":{"boundary":"b"},"parts":[{"h":20,"b":30,"e":40,'
        b'"type":"text/html","params":{"charset":"utf-8"},"encoding":"base64","disposition":"inline","disposition_params":'
        b'{"filename":"f"},"name":"f","cid":"c","description":"d","language":"l","location":"o","md5":"m","lines":3,'
        b'"subject":"s"}]},"size":99,"v":1,"subject":"S","author":["Ann","a@x"],"reply_to":[["","r@x"]],"to":[["","t@x"]],'
        b'"cc":[["","c@x"]],"date":"D","message_id":"<1@x>","in_reply_to":["<2@x>"],"references":["<3@x>"],"auto":"no",'
        b'"truncated":true,"later":"a field that this version does not know"}'
    )
    index = Index.from_octets(octets)
    assert (index.subject, index.author, index.truncated) == ("S", ("Ann", "a@x"), True)
    part = index.part("1")
    assert (part.header_start, part.size, part.cid, part.lines, part.disposition_params) == (
        20,
        10,
        "c",
        3,
        {"filename": "f"},
    )


def test_an_index_with_texts_for_imap_stays_readable():
    """Version 2: JSON, an octet 0, and three texts behind their lengths."""
    texts = (
        b"(NIL NIL NIL NIL NIL NIL NIL \x01NIL NIL NIL)",
        b'("text" "plain" NIL NIL NIL "7bit" 1 0\x02 NIL\x03)',
        b"\r\n",
    )
    octets = b'{"root":{"h":0,"b":2,"e":3},"size":3,"v":2}\0'
    for text in texts:
        octets += len(text).to_bytes(4, "big") + text
    index = Index.from_octets(octets)
    assert (index.v, index.size, index.root.body_start) == (2, 3, 2)
    assert index.imap is not None
    assert (index.imap.envelope, index.imap.structure, index.imap.header) == texts


def test_an_index_is_laid_out_as_the_vault_format_says():
    """Read by docs/vault-format.md §2 alone."""
    raw = HEAD + b"\r\nhello\r\n"
    said, _, rest = index_message(raw).to_octets().partition(b"\0")
    texts = []
    while rest:
        size = int.from_bytes(rest[:4], "big")
        texts.append(rest[4 : 4 + size])
        rest = rest[4 + size :]
    envelope, structure, header = texts
    described = json.loads(said)
    assert described["v"] == 2
    assert raw[described["root"]["h"] : described["root"]["b"]] == header == HEAD + b"\r\n"
    assert raw[described["root"]["b"] : described["root"]["e"]] == b"hello\r\n"
    assert envelope.count(b"\x01NIL") == 1
    assert re.sub(rb"\x02[^\x03]*\x03", b"", structure) == b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 7 1)'


def test_a_header_too_long_to_keep_is_left_out_of_the_index():
    index = index_message(b"X: " + b"y" * 16_384 + b"\r\n\r\nhi")
    assert index.imap is not None
    assert index.imap.header == b""

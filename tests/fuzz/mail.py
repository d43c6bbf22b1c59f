"""What stands in mail: header fields, structure, HTML, bounces."""

from __future__ import annotations

import re

from cryptnsend.core import mime
from cryptnsend.core.addresses import canonical, parse_mailboxes, single_author
from cryptnsend.core.automatic import automatic, hops
from cryptnsend.core.bounces import READ, WORDS, read_bounce
from cryptnsend.core.charsets import one_line
from cryptnsend.core.errors import Refusal
from cryptnsend.core.html import sanitize, text_to_html, tidy, to_text
from cryptnsend.core.imap import BadCommand, Section, View
from cryptnsend.core.mime_headers import cut_bcc, header_end, read_headers, restore_bcc
from cryptnsend.core.mime_names import safe_filename
from cryptnsend.core.subject import peel, strip_token
from tests.fuzz.wire import sizes
from tests.support.harmless import harmless
from tests.support.imap_reading import check_body, check_envelope, read_value

ONE_LINE = re.compile(r"[^\r\n\0]*")


def header(octets: bytes) -> None:
    """Every field reads as one line, and what is cut out for the author's eyes is put back octet for octet."""
    found = read_headers(octets)
    for name in (b"from", b"to", b"subject", b"content-type", b"date"):
        assert ONE_LINE.fullmatch(found.text(name))
        found.mailboxes(name)
    assert ONE_LINE.fullmatch(found.subject)
    kind, parameters = found.content_type
    assert "/" in kind
    assert all(map(ONE_LINE.fullmatch, (*parameters, *parameters.values())))
    assert found.disposition is not None
    assert found.encoding is not None
    found.message_ids(b"references")
    assert 0 <= header_end(octets) <= len(octets)
    kept, cuts = cut_bcc(octets)
    assert restore_bcc(kept, cuts) == octets
    assert not read_headers(kept).count(b"bcc") or b"\nbcc" not in kept[: header_end(kept)].lower()
    automatic(octets)
    hops(octets)
    strip_token(octets)
    peel(found.subject)
    for mailbox in parse_mailboxes(octets.decode("utf-8", "surrogateescape")):
        canonical(mailbox.address)
        assert ONE_LINE.fullmatch(mailbox.name)
    try:
        author = single_author(octets)
    except Refusal as refusal:
        assert str(refusal).isprintable()
    else:
        canonical(author.address)


def structure(octets: bytes) -> None:
    """Parts nest, blocks of any size give the same index, and whatever is shown of it can be shown."""
    index = mime.index_message(octets)
    indexer, at, turn = mime.Indexer(), 0, 0
    while at < len(octets):
        step = sizes(octets)[turn % 4]
        indexer.feed(octets[at : at + step])
        at, turn = at + step, turn + 1
    assert indexer.finish() == index
    assert mime.Index.from_octets(index.to_octets()) == index
    for _, part in index.walk():
        assert 0 <= part.header_start <= part.body_start <= part.body_end <= len(octets)
        at = part.body_start
        for child in part.parts:
            assert at <= child.header_start
            assert child.body_end <= part.body_end
            at = child.body_end
        if not part.parts:
            body = octets[part.body_start : part.body_end]
            whole = b"".join(mime.decode_part(part, [body]))
            pieces = (body[n : n + 7] for n in range(0, len(body), 7))
            assert b"".join(mime.decode_part(part, pieces)) == whole
            mime.part_text(part, [body], 1000)
    bodies = mime.bodies(index)
    for attachment in mime.attachments(index, bodies):
        assert safe_filename(attachment.name) == attachment.name
    _described(octets, index)


def _described(octets: bytes, index: mime.Index) -> None:
    """Look at it as IMAP shows it."""
    view = View(index.to_octets(), lambda at, count: octets[at : at + count])
    check_envelope(read_value(view.envelope()))
    check_body(read_value(view.bodystructure()), extended=True)
    check_body(read_value(view.body()), extended=False)
    for path, part in list(index.walk())[:10]:
        numbers = tuple(map(int, filter(None, path.split("."))))
        for text in ("", "MIME", "HEADER", "TEXT"):
            for kind in ("BODY", "BINARY"):
                try:
                    content = view.fetch(Section(path=numbers, text=text, kind=kind))
                except BadCommand:  # an encoding that is not known
                    assert kind == "BINARY"
                    continue
                if content is not None:
                    assert len(content.octets()) <= len(octets) + part.size


def html(octets: bytes) -> None:
    """Nothing that runs, fetches or leads astray is left, and cleaning never fails."""
    text = octets.decode("utf-8", "surrogateescape")
    cleaned = sanitize(text, cid=lambda _: "/cid/1")
    harmless(cleaned.html)
    harmless(text_to_html(text).removeprefix('<div class="text">'))
    to_text(text).encode()
    harmless(tidy(text).replace("<a ", '<a target="_blank" '))


def bounce(octets: bytes) -> None:
    """A bounce has a verdict, a status of its class and one printable line, or it is none."""
    found = read_bounce(octets)
    if found is None:
        return
    assert found.status[0] == {"failed": "5", "delayed": "4", "delivered": "2"}[found.action]
    assert re.fullmatch(r"[245]\.\d{1,3}\.\d{1,3}", found.status)
    assert one_line(found.words, WORDS) == found.words
    assert found.host.isprintable()
    assert read_bounce(octets[:READ]) == found

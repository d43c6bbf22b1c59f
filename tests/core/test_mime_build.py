"""Is what we build a message that others read as we meant it, whatever the values?"""

from __future__ import annotations

import email
import email.policy
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core.addresses import Mailbox
from cryptnsend.core.mime import (
    Enclosure,
    Outgoing,
    attachments,
    build_message,
    choose_bodies,
    decode_part,
    index_message,
    part_text,
    read_headers,
    relay_header,
    rfc_date,
    safe_filename,
)
from cryptnsend.core.mime_words import encode_field, encode_ids, encode_mailboxes, encode_token

ANN, PAT = Mailbox("Ann Ruiz", "ann@gmail.example"), Mailbox("", "pat@yahoo.example")
NOW = 1_795_255_200_000  # 21 Nov 2026 10:00 UTC


def outgoing(**changes) -> Outgoing:
    values = {"author": ANN, "to": [PAT], "subject": "Hello", "date": NOW, "message_id": "<1@x.example>", "text": "Hi"}
    return Outgoing(**{**values, **changes})


names = st.text(st.characters(blacklist_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=80)


@given(
    names,
    names,
    st.text(st.characters(blacklist_categories=["Cs"]), max_size=300),
    names,
    st.binary(max_size=300),
    st.booleans(),
)
def test_what_was_put_in_is_read_out(subject, name, text, file_name, octets, with_html):
    message = outgoing(
        author=Mailbox(name, "ann@gmail.example"),
        subject=subject,
        text=text,
        html="<p>é</p>" if with_html else "",
        enclosures=[Enclosure(file_name, "application/pdf", [octets[:7], octets[7:]])],
        references=["<a@b>"] * 30,
        in_reply_to=["<a@b>"],
    )
    built = b"".join(build_message(message))
    assert b"\n" not in built.replace(b"\r\n", b"")
    assert b"\r" not in built.replace(b"\r\n", b"")
    assert built.isascii()
    index = index_message(built)
    assert index.subject == " ".join(subject.split())
    assert index.author is not None
    assert index.author.address == "ann@gmail.example"
    assert index.references == ["<a@b>"] * 30
    body = choose_bodies(index)
    assert body.text is not None
    assert (body.html is not None) is with_html
    read = part_text(body.text, [built[body.text.body_start : body.text.body_end]], 10_000)
    lines = re.split(r"\r\n|\r|\n", text)
    assert read.split("\r\n")[: len(lines)] == [
        line.removeprefix("\ufeff") if not at else line for at, line in enumerate(lines)
    ]
    (only,) = attachments(index)
    assert only.name == safe_filename(file_name)
    part = index.part(only.path)
    assert b"".join(decode_part(part, [built[part.body_start : part.body_end]])) == octets


def test_the_standard_library_reads_it_without_a_defect():
    message = outgoing(
        author=Mailbox("Änn, “the” Ruiz", "ann@gmail.example"),
        to=[PAT, Mailbox('Doe, "Jo"', "jo@x.example")],
        cc=[Mailbox("Kim", "kim@x.example")],
        reply_to=[Mailbox("", "r+token@our.example")],
        subject="Grüße " * 30,
        text="One.\n.\n> quoted\nFrom here\n" + "long " * 500,
        html="<p>One.</p>",
        enclosures=iter([Enclosure("Befund ä" * 10 + ".pdf", "application/pdf", iter([b"a" * 58, b"b"]))]),
        extra=[("Auto-Submitted", "auto-generated")],
    )
    built = b"".join(build_message(message))
    assert max(map(len, built.split(b"\r\n"))) <= 78
    read = email.message_from_bytes(built, policy=email.policy.default)
    assert [list(part.defects) for part in read.walk()] == [[]] * 5
    assert read["subject"] == "Grüße " * 30
    assert read["from"].addresses[0].display_name == "Änn, “the” Ruiz"
    assert [a.addr_spec for a in read["to"].addresses] == ["pat@yahoo.example", "jo@x.example"]
    assert read["auto-submitted"] == "auto-generated"
    assert read.get_body(("plain",)).get_content().startswith("One.\r\n.\r\n> quoted\r\nFrom here\r\n")
    (attachment,) = read.iter_attachments()
    assert attachment.get_filename() == "Befund ä" * 10 + ".pdf"
    assert attachment.get_content() == b"a" * 58 + b"b"


BREAKS = ["\r\n", "\n", "\r", "\0", "\x0b", "\x0c", "\u2028", "\u2029", "\x85"]


@pytest.mark.parametrize("end", BREAKS)
@pytest.mark.parametrize(
    "change",
    [
        lambda bad: {"subject": bad},
        lambda bad: {"author": Mailbox(bad, "a@x.example")},
        lambda bad: {"author": Mailbox("", f"a@x.example{bad}")},
        lambda bad: {"to": [Mailbox("", f"<{bad}>@x.example")]},
        lambda bad: {"cc": [Mailbox(bad, "a@x.example")]},
        lambda bad: {"message_id": f"<a{bad}@x>"},
        lambda bad: {"in_reply_to": [f"<a{bad}@x>"]},
        lambda bad: {"references": [f"<a@x>{bad}"]},
        lambda bad: {"extra": [("X-A", bad)]},
        lambda bad: {"extra": [(f"X-A:{bad}", "b")]},
    ],
)
def test_a_line_break_in_any_value_is_refused_before_an_octet_is_made(change, end):
    with pytest.raises(ValueError, match=r"\.$"):
        next(build_message(outgoing(**change(f"x{end}Bcc: evil@x.example"))))


def test_names_and_types_of_enclosures_cannot_break_out():
    evil = Enclosure('a"\r\nBcc: x\r\n\r\n.pdf', "text/html\r\nBcc: x", [b"x"])
    built = b"".join(build_message(outgoing(enclosures=[evil, Enclosure("m.eml", "message/rfc822", [b"y"])])))
    assert b"\r\nBcc" not in built
    assert [part.type for _, part in index_message(built).walk()][2:] == ["application/octet-stream"] * 2


@given(st.text(max_size=60))
def test_a_field_is_one_field_or_refused(text):
    try:
        field = encode_field("Subject", text)
    except ValueError:
        return
    headers = read_headers(field)
    assert len(headers.fields) == 1
    assert field.endswith(b"\r\n")
    assert max(map(len, field.split(b"\r\n"))) <= 998
    assert field.isascii()


@given(st.text(max_size=40), st.text(max_size=30))
def test_mailboxes_are_read_back_or_refused(name, address):
    try:
        field = encode_mailboxes("To", [Mailbox(name, address), ANN])
    except ValueError:
        return
    assert read_headers(field).mailboxes(b"to")[-1] == ANN
    assert len(read_headers(field).mailboxes(b"to")) == 2


def test_nothing_but_tokens_and_ids_stands_in_structured_fields():
    with pytest.raises(ValueError, match="not allowed"):
        encode_token("Content-Type", "text/plain; x=y")
    with pytest.raises(ValueError, match="message id"):
        encode_ids("References", ["no brackets"])
    with pytest.raises(ValueError, match="field name"):
        encode_field("Bad Name", "x")


def test_a_date_is_told_in_utc():
    assert rfc_date(NOW) == "Sat, 21 Nov 2026 10:00:00 +0000"


OURS = {
    "author": Mailbox("Ann Ruiz", "u-1@our.example"),
    "reply_to": ANN,
    "date": NOW,
    "message_id": "<new@our.example>",
}


def test_a_plain_message_leaves_with_our_author_and_without_its_traces():
    header = (
        b"Received: from laptop\r\n\tby x\r\nDKIM-Signature: a\r\n b\r\nARC-Seal: x\r\nReturn-Path: <a@b>\r\n"
        b"From: Ann <ann@gmail.example>\r\nfrom: again\r\nSender: ann@gmail.example\r\nReply-To: x@y\r\n"
        b"To: pat@yahoo.example\r\n"
        b"Bcc: secret@x.example\r\nX-Mozilla-Status: 1\r\nSubject: Re: ::\r\n lunch\r\n"
        b"Date: Fri, 20 Nov 2026 10:00:00 +0000\r\n"
        b"Message-ID: <1@gmail.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    )
    assert relay_header(header, **OURS) == (
        b"From: Ann Ruiz <u-1@our.example>\r\nReply-To: Ann Ruiz <ann@gmail.example>\r\nTo: pat@yahoo.example\r\n"
        b"Subject: Re: lunch\r\nDate: Fri, 20 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@gmail.example>\r\n"
        b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    )


def test_a_missing_date_and_message_id_are_added():
    left = relay_header(b"From: a@b.example\r\nSubject: x\r\nDate:\r\nMessage-ID: broken\r\n\r\n", **OURS)
    assert left.endswith(
        b"\r\nSubject: x\r\nMessage-ID: <new@our.example>\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n\r\n"
    )
    assert left.count(b"Message-ID") == left.count(b"Date") == 1


@given(st.binary(max_size=200))
def test_relaying_never_raises_and_keeps_what_follows_the_header(octets):
    left = relay_header(octets + b"\r\n\r\nbody: Bcc: x", **OURS)
    assert left.endswith(b"body: Bcc: x")
    headers = read_headers(left)
    assert headers.count(b"from") == 1
    assert headers.mailboxes(b"from") == [OURS["author"]]
    assert headers.count(b"bcc") == 0

"""Drafts of mail programs on the pages: listed, and gone on with, words, people and files."""

from __future__ import annotations

import pytest

from cryptnsend.core.errors import NoGrant
from cryptnsend.flow.begun import BegunElsewhere
from cryptnsend.flow.sessions import Session
from tests.support.house import House

ANN, BOB = "ann@gmail.example", "bob@gmail.example"
DRAFT = (
    b"From: Ann <ann@gmail.example>\r\nTo: Pat Lee <pat@yahoo.example>\r\nCc: june@example.org\r\n"
    b"Bcc: holm@cardio.example\r\nSubject: =?utf-8?q?M=C3=BCller?=\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n'
    b"<p>Dear <b>Pat</b>,</p><script>alert(1)</script>\r\n--b\r\nContent-Type: application/pdf\r\n"
    b'Content-Disposition: attachment; filename="scan.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    b"JVBERi0=\r\n--b--\r\n"
)


@pytest.fixture
def ann(house: House) -> Session:
    house.add_subscriber(ANN)
    return house.session(ANN)


@pytest.fixture
def begun(house: House) -> BegunElsewhere:
    return house.portal.begun


def file(house: House, session: Session, octets: bytes, name: str = "Drafts") -> None:
    """Put a message into a mailbox, as a mail program does."""
    box = house.mailbox.mailboxes.named(session, name)
    filing = house.mailbox.filing.begin(session, box, ["\\Draft"], None)
    filing.feed(octets)
    filing.finish()


def test_what_a_program_keeps_as_a_draft_is_listed_and_gone_on_with(
    house: House, begun: BegunElsewhere, ann: Session
) -> None:
    assert begun.listing(ann) == []
    file(house, ann, DRAFT)
    file(house, ann, b"Subject: elsewhere\r\n\r\n", "Sent")
    [found] = begun.listing(ann)
    assert (found.subject, found.people) == ("Müller", ("Pat Lee", "june@example.org"))
    drafts = house.portal.drafts
    draft = drafts.draft(ann, begun.take_up(ann, found.id))
    writing = draft.writing
    assert (writing.subject, writing.to, writing.cc, writing.bcc) == (
        "Müller", ("Pat Lee <pat@yahoo.example>",), ("june@example.org",), ("holm@cardio.example",),
    )  # fmt: skip
    assert "<b>Pat</b>" in writing.html
    assert "script" not in writing.html
    assert writing.sender == ANN
    assert [(each.name, b"".join(each.chunks())) for each in drafts.uploads(ann, draft=draft.id)] == [
        ("scan.pdf", b"%PDF-")
    ]
    assert begun.listing(ann) == []
    assert house.engine.query("SELECT count(*) AS n FROM filed")[0]["n"] == 1


def test_a_draft_of_a_program_is_its_owners_alone(house: House, begun: BegunElsewhere, ann: Session) -> None:
    file(house, ann, DRAFT)
    [found] = begun.listing(ann)
    house.add_subscriber(BOB)
    bob = house.session(BOB)
    assert begun.listing(bob) == []
    with pytest.raises(NoGrant):
        begun.take_up(bob, found.id)
    file(house, bob, DRAFT)
    with pytest.raises(NoGrant):
        begun.take_up(bob, found.id)
    assert [each.id for each in begun.listing(ann)] == [found.id]


@pytest.mark.parametrize(
    "octets", [b"", b"\r\n", b"Subject: only\r\n\r\n", b"To: <\r\n\r\n\xff\xfe", b"no header at all"]
)
def test_whatever_was_filed_can_be_gone_on_with(
    house: House, begun: BegunElsewhere, ann: Session, octets: bytes
) -> None:
    file(house, ann, octets)
    [found] = begun.listing(ann)
    assert house.portal.drafts.draft(ann, begun.take_up(ann, found.id))

"""Replies that go to the original inbox, and plain mail."""

from __future__ import annotations

import io
import re
from email.message import EmailMessage

import pytest
import pyzipper

from cryptnsend.core.errors import Refusal
from cryptnsend.flow.parcels import HEADER_MOST, split_header
from cryptnsend.flow.views import Upload
from tests.flow.conftest import Desk, Post, faces, links_in, parsed
from tests.flow.letters import passphrase, sent, upload, words
from tests.flow.rows import recipients
from tests.flow.test_intake import through

ANN, PAT, BOB, CARL, EVE = (
    "ann@gmail.example", "pat@yahoo.example", "bob@icloud.example", "carl@aol.example", "eve@hospital.example",
)  # fmt: skip
DOMAIN = "mail.clinic.example"


@pytest.fixture
def ann(desk: Desk) -> int:
    return desk.house.add_subscriber(ANN, name="Dr. Ann Ruiz")


# -- replies to the original inbox ------------------------------------------------------------------------------------


def replied(desk: Desk, text: str = "Thank you.", *files: Upload, author: str = PAT) -> EmailMessage:
    house = desk.house
    message = house.submit(ANN, [author], house.mail(to=[author]))
    desk.deliver()
    session = house.register(author, message)
    house.replies.send(session, message, everybody=False, text=text, files=files, nonce=b"1" * 16)
    return sent(desk, ANN)


def test_a_reply_arrives_locked_threaded_and_without_its_writers_name(desk: Desk, ann: int) -> None:
    mail = replied(desk)
    assert re.fullmatch(rf"Secure reply via CryptnSend <r\+[a-z2-7]{{39}}@{re.escape(DOMAIN)}>", str(mail["From"]))
    assert str(mail["Subject"]) == "You have a secure reply"
    first = desk.house.engine.query("SELECT message_id FROM messages ORDER BY id")[0]["message_id"]
    assert (str(mail["In-Reply-To"]), str(mail["References"])) == (first, first)
    assert mail["Reply-To"] is None
    assert PAT.encode() not in mail.as_bytes()
    assert PAT not in "".join(faces(mail))
    (link,) = links_in(faces(mail)[0])
    assert link.startswith(f"https://{DOMAIN}/m/")


def test_the_locked_file_has_one_entry_that_says_nothing_and_holds_everything(desk: Desk, ann: int) -> None:
    octets = bytes(range(256)) * 400
    files = (upload("Scan über.pdf", octets), upload("archive.zip", b"PK\x03\x04" + octets, "application/zip"))
    mail = replied(desk, "Grüße\r\nPat", *files)
    (part,) = mail.iter_attachments()
    assert (part.get_filename(), part.get_content_type()) == ("secure-reply.zip", "application/zip")
    with pyzipper.AESZipFile(io.BytesIO(part.get_content())) as archive:
        (entry,) = archive.infolist()
        assert (entry.filename, entry.wz_aes_strength, entry.comment, archive.comment) == ("message.eml", 3, b"", b"")
        with pytest.raises(RuntimeError, match="password"):
            archive.read("message.eml")
        archive.setpassword(passphrase(desk.house))
        whole = archive.read("message.eml")
    inside = parsed(whole)
    body = inside.get_body(("plain",))
    assert body is not None
    assert body.get_content().replace("\r\n", "\n") == "Grüße\nPat\n"
    kept = {each.get_filename(): each.get_payload(decode=True) for each in inside.iter_attachments()}
    assert list(kept.values()) == [octets, b"PK\x03\x04" + octets]
    assert whole.startswith(b"Received: by mail.clinic.example (CryptnSend) with HTTPS id ")
    assert passphrase(desk.house) not in mail.as_bytes()


def test_the_attachment_of_a_handoff_is_what_the_page_saves(desk: Desk, ann: int) -> None:
    house = desk.house
    mail = replied(desk, "x", upload("a.bin", b"\x00\r\n.\r\n" * 1000, "application/octet-stream"))
    (part,) = mail.iter_attachments()
    with pyzipper.AESZipFile(io.BytesIO(part.get_content())) as archive:
        archive.setpassword(passphrase(house))
        locked = archive.read("message.eml")
    message = house.engine.query("SELECT id FROM messages ORDER BY id DESC")[0]["id"]
    saved = b"".join(house.pickup.eml(house.session(ANN), message).chunks)
    assert locked.partition(b"\r\n")[2].endswith(saved)


def test_who_wants_links_gets_a_link_from_the_start(desk: Desk, ann: int) -> None:
    house = desk.house
    opened = house.keeper("portal").profile(house.session(ANN).ticket, form="link")
    assert opened
    house.session(ANN)  # the next sign-in brings the new card
    mail = replied(desk)
    assert mail.get_content_type() == "multipart/alternative"
    assert "did not take" not in words(mail)
    assert desk.row("handoff")["queue_wrap"] is None


def test_a_reply_goes_to_the_original_inbox_whichever_address_was_answered(desk: Desk, ann: int) -> None:
    house, alias = desk.house, "ann@work.example"
    started = house.keeper("portal").mail_proof(alias, "alias")
    house.keeper("portal").alias(
        house.session(ANN).ticket, started.id, house.keeper("courier").mail_code(started.id).code
    )
    house.session(ANN)
    message = house.submit(alias, [PAT], house.mail(author=alias))
    desk.deliver()
    session = house.register(PAT, message)
    house.replies.send(session, message, everybody=False, text="x", files=[], nonce=b"1" * 16)
    mail = sent(desk, ANN)
    assert str(mail["Subject"]) == "You have a secure reply"
    assert list(recipients(house, desk.row("handoff")["message"])) == [alias]
    assert desk.answers.mails(alias) == []
    (link,) = links_in(faces(mail)[0])
    assert house.pickup.waiting(link.rpartition("/")[2]).to == alias


def test_an_odd_message_id_threads_nothing_and_stops_nothing(desk: Desk, ann: int) -> None:
    house = desk.house
    octets = house.mail().replace(b"@client.example>", "ü@client.example>".encode())
    message = house.submit(ANN, [PAT], octets)
    session = house.register(PAT, message)
    house.replies.send(session, message, everybody=False, text="x", files=[], nonce=b"1" * 16)
    mail = sent(desk, ANN)
    assert (str(mail["Subject"]), mail["In-Reply-To"]) == ("You have a secure reply", None)


def test_members_get_new_messages_locked_too(desk: Desk) -> None:
    house = desk.house
    clinic = house.organisation("Clinic")
    house.add_subscriber(ANN, organisation=clinic)
    house.add_subscriber(BOB, organisation=clinic, name="Bob")
    house.submit(BOB, [ANN], house.mail("Canarysubject", author=BOB, to=[ANN]))
    mail = sent(desk, ANN)
    assert (str(mail["Subject"]), mail["In-Reply-To"]) == ("You have a secure message", None)
    assert [part.get_filename() for part in mail.iter_attachments()] == ["secure-message.zip"]
    assert BOB.encode() not in mail.as_bytes()


# -- plain mail -------------------------------------------------------------------------------------------------------


def test_plain_mail_leaves_under_an_address_of_ours_and_answers_go_to_its_author(post: Post) -> None:
    house = post.house
    house.add_subscriber(ANN, name="Dr. Ann Ruiz")
    octets = house.mail(
        ":: We moved", "Füße\r\n.\r\n" + ("x" * 900 + "\r\n") * 110, to=[f"Pat <{PAT}>"], cc=[BOB], bcc=[CARL],
        more="Received: from laptop\r\nDKIM-Signature: v=1; d=gmail.example; b=abc\r\nSender: ann@gmail.example\r\n"
        "X-Originating-IP: 192.0.2.1\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n",
    )  # fmt: skip
    house.submit(ANN, [PAT], octets)
    post.deliver()
    raw, mail = post.mails(PAT)[-1].octets, post.last(PAT)
    author = mail["From"].addresses[0]
    assert author.display_name == "Dr. Ann Ruiz"
    assert re.fullmatch(rf"u-[a-z2-7]{{39}}@{re.escape(DOMAIN)}", author.addr_spec)
    assert str(mail["Reply-To"]) == f'"Dr. Ann Ruiz" <{ANN}>'
    assert (str(mail["Subject"]), str(mail["To"])) == ("We moved", f"Pat <{PAT}>")
    assert (mail["Bcc"], mail["Sender"], mail["X-Originating-IP"]) == (None, None, None)
    assert CARL.encode() not in raw
    assert len(mail.get_all("Received")) == 1
    assert raw.partition(b"\r\n\r\n")[2] == octets.partition(b"\r\n\r\n")[2]
    assert b"client.example" in raw  # the Message-ID is the client's own, so that it threads at both ends
    assert mail["Auto-Submitted"] is None


def test_an_international_header_asks_for_a_host_that_knows_it(desk: Desk, ann: int) -> None:
    octets = desk.house.mail(":: Grüße", to=["päule@mail.example"])
    through(desk.house, lambda door: door.send(octets, EVE, smtputf8=True))
    through(desk.house, lambda door: door.send(octets, CARL))
    desk.deliver()
    assert {each.recipient: each.smtputf8 for each, _, _ in desk.answers.sent} == {EVE: True, CARL: False}


def test_the_answer_to_plain_mail_through_us_reaches_its_author(desk: Desk, ann: int) -> None:
    """The address in From stands for Ann, should somebody here write to it."""
    house = desk.house
    house.add_subscriber(BOB, name="Bob")
    house.submit(ANN, [BOB], house.mail(":: hello", to=[BOB]))
    desk.deliver()
    author = desk.answers.mails(BOB)[-1]["From"].addresses[0].addr_spec
    message = house.submit(BOB, [author], house.mail(author=BOB, to=[author]))
    assert list(recipients(house, message)) == [ANN]


@pytest.mark.parametrize(
    ("whole", "header", "rest"),
    [
        (b"A: b\r\n\r\nbody", b"A: b\r\n\r\n", b"body"),
        (b"A: b\r\n\r\n", b"A: b\r\n\r\n", b""),
        (b"A: b\r\n", b"A: b\r\n\r\n", b""),
        (b"\r\nbody\r\n\r\nmore", b"\r\n", b"body\r\n\r\nmore"),
        (b"", b"\r\n", b""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_header_block_is_found_wherever_pieces_end(whole: bytes, header: bytes, rest: bytes, size: int) -> None:
    chunks = iter([whole[at : at + size] for at in range(0, len(whole), size)])
    found, begun = split_header(chunks)
    assert (found, begun + b"".join(chunks)) == (header, rest)


def test_a_header_block_without_end_is_refused() -> None:
    with pytest.raises(Refusal):
        split_header(iter([b"X: " + b"y" * HEADER_MOST, b"\r\nX: y"]))

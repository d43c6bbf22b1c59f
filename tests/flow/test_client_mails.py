"""What mail programs write, each in its own way: it is sealed as it came, and nothing of it makes anything leave."""

from __future__ import annotations

import email

import pytest

from cryptnsend.core.errors import NotAuthor
from cryptnsend.core.imap_items import Section
from tests.flow.conftest import Post
from tests.support.house import PASSWORD, SOURCE, House

ANN, PAT = "ann@gmail.example", "pat@yahoo.example"
RECEIPTS = ("Disposition-Notification-To", "Return-Receipt-To", "X-Confirm-Reading-To", "X-Pmrqc")

WINMAIL = (
    "MIME-Version: 1.0\r\nX-Unsent: 1\r\nContent-Type: multipart/mixed; boundary=b\r\n",
    "--b\r\nContent-Type: text/plain\r\n\r\nSee the file.\r\n--b\r\nContent-Type: application/ms-tnef;"
    " name=winmail.dat\r\nContent-Disposition: attachment; filename=winmail.dat\r\n"
    "Content-Transfer-Encoding: base64\r\n\r\neJ8+Ig==\r\n--b--",
)
SMIME = (
    "MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\n"
    "Content-Disposition: attachment; filename=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n",
    "MIIBeA==",
)
OPENPGP = (
    'MIME-Version: 1.0\r\nContent-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b\r\n',
    "--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n--b\r\nContent-Type: application/octet-stream;"
    " name=encrypted.asc\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nhQ==\r\n-----END PGP MESSAGE-----\r\n--b--",
)


def served(house: House, folder: str) -> list[bytes]:
    """Return the messages of a folder of Ann's, as her mail program gets them."""
    session = house.mailbox.mail_gate.authenticate(ANN, PASSWORD, SOURCE).session
    boxes = house.mailbox.mailboxes
    box = boxes.look(session, boxes.named(session, folder))
    held = house.mailbox.shelf.held(session, box, boxes.rows(box, 1, box.uidnext))
    contents = [held[uid].view.fetch(Section()) for uid in sorted(held)]
    return [content.octets() for content in contents if content is not None]


@pytest.mark.parametrize(
    "ident",
    [
        "<7F3A2B11-22C4-4D1B-9E55-A0B1C2D3E4F5@gmail.example>",  # Apple
        "<02e201db4f1c$a0aaf410$e200dc30$@gmail.example>",  # Outlook
        "<em3f6c3a5e-0001-4b2d-9c1e-0a1b2c3d4e5f@8hex.example>",  # eM Client
        "<20261122090000.1234-1-root@localhost>",
    ],
)
def test_a_message_id_of_any_form_is_kept_and_its_copy_known_by_it(house: House, ann: int, ident: str) -> None:
    octets = f"From: {ANN}\r\nTo: {PAT}\r\nMessage-ID: {ident}\r\n\r\nFine.\r\n".encode()
    house.submit(ANN, [PAT], octets)
    assert house.engine.query("SELECT message_id FROM messages") == [{"message_id": ident}]
    session = house.mailbox.mail_gate.authenticate(ANN, PASSWORD, SOURCE).session
    incoming = house.mailbox.filing.begin(session, house.mailbox.mailboxes.named(session, "Sent"), [], None)
    incoming.feed(octets)
    incoming.finish()
    assert served(house, "Sent") == [octets]


def test_a_mail_without_date_and_message_id_is_sealed_under_an_id_of_ours(house: House, ann: int) -> None:
    octets = f"From: {ANN}\r\nTo: {PAT}\r\nSubject: Scan\r\n\r\nFine.\r\n".encode()
    message = house.submit(ANN, [PAT], octets)
    (row,) = house.engine.query("SELECT message_id FROM messages")
    assert str(message) in row["message_id"]
    assert served(house, "Sent") == [octets]


def test_asking_for_a_receipt_in_any_of_four_ways_makes_nothing_leave(post: Post) -> None:
    house = post.house
    house.add_subscriber(ANN)
    asked = "".join(f"{name}: {ANN}\r\n" for name in RECEIPTS)
    octets = house.mail(more=asked)
    message = house.submit(ANN, [PAT], octets)
    post.deliver()
    pat = house.register(PAT, message)
    assert house.pickup.show(pat, message).subject == "Results"
    post.deliver()
    for mail in (*post.mails(PAT), *post.mails(ANN)):
        assert [name for name in RECEIPTS if mail.parsed[name] is not None] == []
    assert [len(post.mails(each)) for each in (PAT, ANN)] == [1, 1]  # the notice, and the receipt with the code
    assert served(house, "Sent") == [octets]


@pytest.mark.parametrize("written", [WINMAIL, SMIME, OPENPGP], ids=["winmail.dat", "S/MIME", "OpenPGP"])
def test_what_other_programs_wrapped_or_encrypted_already_is_sealed_as_it_is(
    house: House, ann: int, written: tuple[str, str]
) -> None:
    octets = house.mail(more=written[0], text=written[1])
    message = house.submit(ANN, [PAT], octets)
    assert house.pickup.show(house.register(PAT, message), message).subject == "Results"
    assert served(house, "Sent") == [octets]


def test_outlooks_test_message_to_oneself_is_there_at_once_and_needs_no_code(
    house: House, ann: int, post: Post
) -> None:
    octets = house.mail("Microsoft Outlook Test Message", "This is sent while testing.", to=(ANN,))
    house.submit(ANN, [ANN], octets)
    post.deliver()
    assert served(house, "INBOX") == [octets]
    assert served(house, "Sent") == [octets]
    assert house.queued("receipt") == []
    assert house.alerts() == []


@pytest.mark.parametrize("author", ["Ann@Gmail.Example", "ANN@gmail.example"])
def test_the_author_may_be_written_in_any_case(house: House, ann: int, author: str) -> None:
    assert house.submit(ANN, [PAT], house.mail(author=author))


@pytest.mark.parametrize("author", ["ann@googlemail.example", "a.nn@gmail.example", "ann+news@gmail.example"])
def test_what_a_provider_takes_for_the_same_mailbox_is_another_address_here(
    house: House, ann: int, author: str
) -> None:
    """Which addresses are one mailbox is the provider's to say, and may change; a further address is proven first."""
    with pytest.raises(NotAuthor):
        house.submit(ANN, [PAT], house.mail(author=author))


def test_plain_mail_with_lines_that_are_too_long_leaves_in_short_ones_and_says_the_same(post: Post) -> None:
    """Scanners and scripts write such lines; some hosts refuse them, others break them in the middle of a word."""
    house, line = post.house, "Größe = 7, " * 500
    house.add_subscriber(ANN)
    house.submit(ANN, [PAT], house.mail(":: Lunch", text=f"{line}\r\nAnn"))
    post.deliver()
    (mail,) = post.mails(PAT)  # whose host checks the signature
    assert max(map(len, mail.octets.split(b"\r\n"))) <= 998
    body = email.message_from_bytes(mail.octets).get_payload(decode=True)
    assert body == f"{line}\r\nAnn\r\n".encode()

"""Whole messages, many with one command: each octet of each, each noted once, none that may not be shown."""

from __future__ import annotations

import imaplib

import pytest

from tests.mailbox.conftest import ANN, MailDoors, reply
from tests.mailbox.test_imap_boxes import DRAFT, signed_in
from tests.support.house import House

BOB = "bob@gmail.example"
ALL = "(UID BODY.PEEK[])"


def noted(house: House) -> list[int]:
    """Return the messages whose fetching was noted, in order."""
    rows = house.engine.query("SELECT object FROM audit WHERE action = 'message.fetched' ORDER BY seq")
    return [int(row["object"]) for row in rows]


def bodies(client: imaplib.IMAP4_SSL, which: str = "1:*") -> list[bytes]:
    status, answer = client.fetch(which, ALL)
    assert status == "OK", answer
    return [each[1] for each in answer if isinstance(each, tuple)]


def test_only_what_was_asked_for_is_noted_and_once_in_a_connection(house: House, client: imaplib.IMAP4_SSL) -> None:
    messages = [reply(house, text) for text in ("One.", "Two.", "Three.")]
    client.select("INBOX")
    assert [b"One." in each or b"Three." in each for each in bodies(client, "1,3")] == [True, True]
    assert noted(house) == [messages[0], messages[2]]
    assert len(bodies(client)) == 3
    assert noted(house) == [messages[0], messages[2], messages[1]]


@pytest.mark.parametrize("size", [100, 40_000, 60_000, 300_000], ids=["row", "file", "whole", "streamed"])
def test_a_message_of_any_size_comes_as_it_was_sealed(house: House, doors: MailDoors, ann: str, size: int) -> None:
    house.add_subscriber(BOB, name="Bob")
    lines = b"".join(b"%076d\r\n" % number for number in range(size // 78)).decode()
    mail = house.mail("Size", lines, author=BOB, to=(ANN,))
    house.prove(house.session(ANN), ANN, house.submit(BOB, [ANN], mail))
    client = signed_in(doors)
    client.select("INBOX")
    assert bodies(client) == [mail]
    assert bodies(client) == [mail]
    client.logout()


def test_what_one_sent_filed_and_was_told_comes_with_one_command(house: House, doors: MailDoors, ann: str) -> None:
    reply(house)
    house.add_subscriber(BOB, name="Bob")
    house.submit(BOB, [ANN], house.mail("Hello", author=BOB, to=(ANN,)))
    client = signed_in(doors)
    client.append("INBOX", "", None, DRAFT)
    client.select("INBOX")
    answer, notice, draft = sorted(bodies(client), key=lambda each: (b"Unfinished" in each, b"waits for" in each))
    assert (b"Thank you." in answer, b"waits for its code" in notice, draft) == (True, True, DRAFT)
    assert len(noted(house)) == 1  # of a notice and of one's own draft nobody has to know
    client.select("Sent")
    assert [b"All is well." in each for each in bodies(client)] == [True]
    assert len(noted(house)) == 2
    client.logout()


def test_what_is_damaged_keeps_nothing_back_but_itself(house: House, client: imaplib.IMAP4_SSL) -> None:
    messages = [reply(house, text) for text in ("One.", "Two.", "Three.")]
    house.spoil("UPDATE contents SET body = zeroblob(length(body)) WHERE message = :m AND part = 'raw'", m=messages[1])
    client.select("INBOX")
    status, answer = client.fetch("1:*", ALL)
    assert (status, b"CORRUPTION" in answer[0]) == ("NO", True)
    came = b"".join(each[1] for each in client.untagged_responses["FETCH"] if isinstance(each, tuple))
    assert (b"One." in came, b"Two." in came, b"Three." in came) == (True, False, True)


def test_what_was_taken_back_is_neither_shown_nor_noted(house: House, doors: MailDoors, ann: str) -> None:
    kept = reply(house)
    house.add_subscriber(BOB, name="Bob")
    message = house.submit(BOB, [ANN], house.mail("Hello", author=BOB, to=(ANN,)))
    house.prove(house.session(ANN), ANN, message)
    client = signed_in(doors)
    client.select("INBOX")
    house.pickup.expire(house.session(BOB), message)
    status, answer = client.fetch("1:*", ALL)
    assert (status, b"EXPUNGEISSUED" in answer[0]) == ("NO", True)
    assert noted(house) == [kept]
    client.logout()

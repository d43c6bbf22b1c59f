"""Lists that were asked for before cost little the second time, and show nothing that may not be shown any more."""

from __future__ import annotations

import imaplib
import random
from array import array

import pytest

from cryptnsend.mailbox.finished import MOST_OF_ONE, Finished, Room
from cryptnsend.store.records import serving
from tests.mailbox.conftest import ANN, MailDoors, reply
from tests.mailbox.test_imap_boxes import said, signed_in
from tests.support.house import House
from tests.support.waiting import wait_for

LISTS = [
    "(UID ENVELOPE)",
    "(FLAGS BODYSTRUCTURE)",
    "(BODY)",
    "(RFC822.SIZE INTERNALDATE BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)])",
    "(ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER] BODY.PEEK[HEADER.FIELDS.NOT (TO)])",
]
BOB = "bob@gmail.example"


@pytest.mark.parametrize("what", LISTS)
def test_a_list_says_the_same_again_and_opens_no_index_for_it(
    house: House, client: imaplib.IMAP4_SSL, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text in ("One.", "Two.", "Three."):
        reply(house, text)
    client.select("INBOX")
    first = said(client.fetch("1:*", what))
    monkeypatch.delattr(serving, "sealed")
    assert said(client.fetch("1:*", what)) == first
    assert said(client.fetch("2", what)) in first


def test_flags_in_a_list_are_those_of_now(house: House, client: imaplib.IMAP4_SSL) -> None:
    reply(house)
    client.select("INBOX")
    assert b"FLAGS ()" in said(client.fetch("1", "(FLAGS ENVELOPE)"))
    client.store("1", "+FLAGS", r"(\Flagged)")
    assert rb"FLAGS (\Flagged)" in said(client.fetch("1", "(FLAGS ENVELOPE)"))


def test_what_came_since_is_in_the_list(house: House, client: imaplib.IMAP4_SSL) -> None:
    reply(house, subject="One")
    client.select("INBOX")
    said(client.fetch("1:*", "(UID ENVELOPE)"))
    reply(house, subject="Two")
    client.noop()
    fetched = said(client.fetch("1:*", "(UID ENVELOPE)"))
    assert (b"UID 1 " in fetched, b"UID 2 " in fetched) == (True, True)


def test_a_message_that_was_taken_back_is_in_no_list_any_more(house: House, doors: MailDoors, ann: str) -> None:
    house.add_subscriber(BOB, name="Bob")
    mail = house.mail("Hello there", author=BOB, to=(ANN,))
    message = house.submit(BOB, [ANN], mail)
    house.prove(house.session(ANN), ANN, message)
    house.submit(BOB, [ANN], house.mail("Another", author=BOB, to=(ANN,)))
    client = signed_in(doors)
    client.select("INBOX")
    what = "(UID ENVELOPE)"
    assert b"Hello there" in said(client.fetch("1:*", what))
    assert b"Hello there" in said(client.fetch("1:*", what))
    house.pickup.expire(house.session(BOB), message)
    status, answer = client.fetch("1:*", what)
    assert (status, b"EXPUNGEISSUED" in answer[0]) == ("NO", True)
    shown = b"".join(b"".join(each) if isinstance(each, tuple) else each for each in client.untagged_responses["FETCH"])
    assert (b"Hello there" in shown, b"Another" in shown) == (False, True)
    client.noop()
    fetched = said(client.fetch("1:*", what))
    assert (b"Hello there" in fetched, b"UID 3 " in fetched) == (False, True)
    client.logout()


def test_a_list_with_a_damaged_index_or_a_long_header_is_whole(house: House, client: imaplib.IMAP4_SSL) -> None:
    damaged = reply(house, subject="Damaged")
    reply(house, subject="Good")
    house.spoil("UPDATE contents SET body = zeroblob(length(body)) WHERE message = :m AND part = 'index'", m=damaged)
    client.append("INBOX", "", None, b"Subject: Long\r\nX-Long: " + b"x " * 20_000 + b"\r\n\r\nText.\r\n")
    client.select("INBOX")
    for _ in range(2):
        fetched = said(client.fetch("1:*", "(ENVELOPE BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))
        assert fetched.count(b"ENVELOPE") == 3
        assert b"Subject: Long" in fetched


def test_what_was_kept_is_gone_with_the_connection(house: House, doors: MailDoors, ann: str) -> None:
    reply(house)
    client = signed_in(doors)
    client.select("INBOX")
    said(client.fetch("1:*", "(ENVELOPE)"))
    room = doors.server.house.lists
    assert room.used > 0
    client.logout()
    wait_for(lambda: room.used == 0, "nothing is kept")


# -- the room ---------------------------------------------------------------------------------------------------------


def noise(size: int, seed: int) -> bytes:
    """Return octets that do not get shorter by compression."""
    return random.Random(seed).randbytes(size)


def test_some_of_a_page_are_given_if_all_that_are_asked_for_are_there() -> None:
    kept = Finished(Room())
    kept.put("place", [1, 4, 9], [b"one", b"", b"nine"])
    assert kept.get("place", array("I", [1, 4, 9])) == {1: b"one", 4: b"", 9: b"nine"}
    assert kept.get("place", array("I", [1, 9])) == {1: b"one", 9: b"nine"}
    assert kept.get("place", array("I", [4, 5])) is None
    assert kept.get("another", array("I", [1])) is None
    kept.drop("place")
    assert kept.get("place", array("I", [1])) is None


def test_all_connections_together_keep_no_more_than_there_is_room_for() -> None:
    room = Room(100_000)
    owners = [Finished(room) for _ in range(5)]
    for at, owner in enumerate(owners):
        owner.put("place", [1], [noise(30_000, at)])
        assert room.used <= 100_000
        assert owners[0].get("place", [1]) is not None  # what is in use stays
    assert [owner.get("place", [1]) is not None for owner in owners] == [True, False, False, True, True]
    for owner in owners:
        owner.forget()
    assert room.used == 0


def test_one_connection_keeps_the_beginning_of_what_is_too_long() -> None:
    room = Room()
    owner = Finished(room)
    for page in range(20):
        owner.put(page, [1], [noise(500_000, page)])
    assert room.used <= MOST_OF_ONE
    assert [owner.get(page, [1]) is not None for page in (0, 5, 15)] == [True, True, False]


def test_a_page_that_is_kept_anew_is_counted_once() -> None:
    room = Room()
    owner = Finished(room)
    for _ in range(3):
        owner.put("place", [1], [noise(10_000, 1)])
    assert room.used < 12_000

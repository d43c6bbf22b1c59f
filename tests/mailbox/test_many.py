"""A large mailbox is listed in pieces: what is held at a time does not grow with it."""

from __future__ import annotations

import tracemalloc

import pytest

from cryptnsend.core import imap
from cryptnsend.mailbox.connection import Rooms
from cryptnsend.mailbox.fetch import Fetching
from cryptnsend.mailbox.finished import MOST_OF_ONE, Finished, Room
from cryptnsend.mailbox.view import View
from tests.mailbox.conftest import ANN, reply
from tests.support.house import PASSWORD, SOURCE, House

MIB = 1024 * 1024


def peak_of(house: House, message: int, count: int, what: bytes) -> int:
    """
    Let a mailbox have a message *count* times, fetch *what* of all, and return the most that was held, in octets.

    What is kept for the next time does not count; it has a limit of its own, which is looked at here.
    """
    reader = house.mailbox.mail_gate.authenticate(ANN, PASSWORD, SOURCE)
    boxes = house.mailbox.mailboxes
    box = boxes.named(reader.session, "Trash")
    house.engine.write(
        lambda rows: rows.many(
            "INSERT INTO placed VALUES (?, ?, ?, ?, ?, 'recipient', '', 1, ?, '', 0, 1000)",
            [(box.id, uid, box.org, box.account, message, uid % 4) for uid in range(1, count + 1)],
        )
    ).result()
    view = View(box, boxes.uids(box), read_only=False)
    assert view.exists == count
    assert view.number(count) == count
    command = imap.parse((b"a UID FETCH 1:* " + what,))
    assert isinstance(command, imap.Fetch)
    rooms = Rooms(boxes, house.mailbox.shelf, house.mailbox.filing)
    room = Room()
    fetching = Fetching(rooms, reader.session, view, command, set(), Finished(room), condstore=False)
    uids = view.named(command.messages, by_uid=True)
    tracemalloc.start()
    try:
        told = sum(each.count(b" FETCH (") for each in fetching.lines(uids))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert told == count
    assert fetching.missing == []
    assert room.used <= MOST_OF_ONE
    return peak - room.used


def test_flags_of_many_messages_are_told_in_flat_memory(house: House, ann: str) -> None:
    assert peak_of(house, 1, 20_000, b"(FLAGS)") < 4 * MIB


@pytest.mark.parametrize(
    "what",
    [b"(UID ENVELOPE)", b"(BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (FROM SUBJECT)])", b"(BODY.PEEK[])"],
    ids=["envelope", "structure", "bodies"],
)
def test_what_many_messages_say_is_told_in_flat_memory(house: House, ann: str, what: bytes) -> None:
    assert peak_of(house, reply(house), 2_000, what) < 2 * MIB


@pytest.mark.long
def test_a_hundred_thousand_messages_are_listed_in_flat_memory(house: House, ann: str) -> None:
    assert peak_of(house, reply(house), 100_000, b"(UID FLAGS ENVELOPE)") < 2 * MIB

"""A large mailbox is listed in pieces: what is held at a time does not grow with it."""

from __future__ import annotations

import tracemalloc

from cryptnsend.core import imap
from cryptnsend.mailbox.connection import Rooms
from cryptnsend.mailbox.fetch import Fetching
from cryptnsend.mailbox.view import View
from tests.mailbox.conftest import ANN
from tests.support.house import PASSWORD, SOURCE, House

MANY = 20_000


def test_flags_of_many_messages_are_told_in_flat_memory(house: House, ann: str) -> None:
    reader = house.mailbox.mail_gate.authenticate(ANN, PASSWORD, SOURCE)
    boxes = house.mailbox.mailboxes
    box = boxes.named(reader.session, "Trash")
    house.engine.write(
        lambda rows: rows.many(
            "INSERT INTO placed VALUES (?, ?, ?, ?, ?, 'recipient', '', 1, ?, '', 0, 1000)",
            [(box.id, uid, box.org, box.account, uid, uid % 4) for uid in range(1, MANY + 1)],
        )
    ).result()
    view = View(box, boxes.uids(box), read_only=False)
    assert view.exists == MANY
    assert view.number(MANY) == MANY
    command = imap.parse((b"a UID FETCH 1:* (FLAGS)",))
    assert isinstance(command, imap.Fetch)
    rooms = Rooms(boxes, house.mailbox.shelf, house.mailbox.filing)
    fetching = Fetching(rooms, reader.session, view, command, set(), condstore=False)
    uids = view.named(command.messages, by_uid=True)
    tracemalloc.start()
    try:
        told = sum(1 for _ in fetching.lines(uids))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert told == MANY
    assert peak < 4 * 1024 * 1024

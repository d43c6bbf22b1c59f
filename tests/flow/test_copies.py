"""Whichever is here first, the copy that a mail program puts into Sent or the message itself: it is kept once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cryptnsend.core.imap_items import Section
from cryptnsend.flow.mailgate import Reader
from cryptnsend.flow.sessions import Session
from cryptnsend.store.records import placements
from cryptnsend.store.records.placements import Placed
from tests.support.house import OTHER, PASSWORD, SOURCE, House

ANN, PAT = "ann@gmail.example", "pat@yahoo.example"


@pytest.fixture
def reader(house: House) -> Reader:
    """Ann at the mailbox doors."""
    house.add_subscriber(ANN)
    return house.mailbox.mail_gate.authenticate(ANN, PASSWORD, SOURCE)


def bring(house: House, session: Session, octets: bytes) -> int:
    """Put a copy into Sent; return its UID there."""
    incoming = house.mailbox.filing.begin(session, house.mailbox.mailboxes.named(session, "Sent"), ["\\Seen"], None)
    incoming.feed(octets)
    return incoming.finish()[1]


def sent(house: House, session: Session) -> list[Placed]:
    boxes = house.mailbox.mailboxes
    box = boxes.look(session, boxes.named(session, "Sent"))
    return boxes.rows(box, 1, box.uidnext)


def filed(house: House) -> int:
    return int(house.engine.query("SELECT count(*) AS n FROM filed")[0]["n"])


@pytest.mark.parametrize("looked", [False, True])
@pytest.mark.parametrize("text", ["Small.", "Large. " * 10_000])
def test_a_message_that_is_submitted_while_its_copy_comes_in_is_kept_once(
    house: House, reader: Reader, monkeypatch: pytest.MonkeyPatch, looked: bool, text: str
) -> None:
    octets, copies = house.mail(text=text), house.mailbox.copies
    asked, real = [], copies.submitted

    def before_the_submission(session: Session, message_id: str) -> list[int]:
        found = real(session, message_id)
        if not asked:
            house.submit(ANN, [PAT], octets)
            if looked:
                assert len(sent(house, session)) == 1
        asked.append(found)
        return found

    monkeypatch.setattr(copies, "submitted", before_the_submission)
    uid = bring(house, reader.session, octets)
    assert [len(each) for each in asked] == [0, 1]
    assert [(each.uid, each.role) for each in sent(house, reader.session)] == [(uid, "author")]
    assert filed(house) == 0
    assert len(list(house.portal.blobs.keys())) == (len(text) > 1000)


def test_copy_message_and_look_at_the_same_time_leave_one(house: House, reader: Reader) -> None:
    rounds, start = 15, threading.Barrier(3, timeout=60)
    mails = [house.mail(f"Results {number}", "x" * 40_000 * (number % 2)) for number in range(rounds)]

    def submit() -> None:
        for octets in mails:
            start.wait()
            house.submit(ANN, [PAT], octets)

    def append() -> None:
        for octets in mails:
            start.wait()
            bring(house, reader.session, octets.replace(b"\r\n", b"\n"))

    def look() -> None:
        for _ in mails:
            start.wait()
            sent(house, reader.session)

    with ThreadPoolExecutor(3) as pool:
        for each in [pool.submit(work) for work in (submit, append, look)]:
            each.result()
    assert [each.role for each in sent(house, reader.session)] == ["author"] * rounds
    assert filed(house) == 0


def test_two_copies_of_a_message_that_comes_later_make_place_for_it(house: House, reader: Reader) -> None:
    octets = house.mail()
    for _ in range(2):
        bring(house, reader.session, octets)
    house.submit(ANN, [PAT], octets)
    assert [each.role for each in sent(house, reader.session)] == ["author"]


@pytest.mark.parametrize("block", [1, 7, 100_000])
def test_a_copy_whose_lines_end_as_on_unix_is_read_as_any_other(house: House, reader: Reader, block: int) -> None:
    octets, session = house.mail(text="One\r\n\r\nTwo\r\n"), reader.session
    brought = octets.replace(b"\r\n", b"\n").replace(b"One\n", b"One\r\n")
    boxes = house.mailbox.mailboxes
    incoming = house.mailbox.filing.begin(session, boxes.named(session, "Drafts"), [], None)
    for start in range(0, len(brought), block):
        incoming.feed(brought[start : start + block])
    incoming.finish()
    drafts = boxes.look(session, boxes.named(session, "Drafts"))
    (held,) = house.mailbox.shelf.held(session, drafts, boxes.rows(drafts, 1, 1)).values()
    whole = held.view.fetch(Section())
    assert whole is not None
    assert whole.octets() == octets
    assert held.view.index.subject == "Results"


def test_a_copy_that_was_put_into_another_mailbox_as_well_stays_there(house: House, reader: Reader) -> None:
    session, boxes, octets = reader.session, house.mailbox.mailboxes, house.mail()
    uid = bring(house, session, octets)
    boxes.create(session, "Patients")
    boxes.copy(boxes.named(session, "Sent"), [uid], boxes.named(session, "Patients"))
    house.submit(ANN, [PAT], octets)
    assert [each.role for each in sent(house, session)] == ["author"]
    assert [each.role for each in boxes.rows(boxes.named(session, "Patients"), 1, 9)] == ["filed"]
    assert filed(house) == 1


def test_somebody_elses_message_of_the_same_id_is_no_original(house: House, reader: Reader) -> None:
    house.add_subscriber("ben@gmail.example")
    octets = house.mail()
    house.submit("ben@gmail.example", [PAT], octets.replace(ANN.encode(), b"ben@gmail.example"))
    bring(house, reader.session, octets)
    assert [each.role for each in sent(house, reader.session)] == ["filed"]


def test_a_copy_under_a_key_that_is_locked_by_now_stays_and_sent_opens(house: House, reader: Reader) -> None:
    octets = house.mail()
    bring(house, reader.session, octets)
    house.reset(ANN)
    later = house.mailbox.mail_gate.authenticate(ANN, OTHER, SOURCE).session
    house.submit(ANN, [PAT], octets)
    assert {each.role for each in sent(house, later)} == {"filed", "author"}


def test_a_damaged_copy_does_not_close_sent(house: House, reader: Reader) -> None:
    octets = house.mail()
    bring(house, reader.session, octets)
    house.tamper("UPDATE filed SET body = CAST(substr(body, 1, length(body) - 4) || x'00000000' AS BLOB)")
    house.submit(ANN, [PAT], octets)
    assert {each.role for each in sent(house, reader.session)} == {"filed", "author"}


def test_several_copies_and_messages_find_each_other(house: House, reader: Reader) -> None:
    mails = [house.mail(f"Results {number}", f"Number {number}.") for number in range(6)]
    for octets in mails[::2]:
        bring(house, reader.session, octets)
    for octets in mails:
        house.submit(ANN, [PAT], octets)
    for octets in mails[1::2]:
        bring(house, reader.session, octets)
    assert [each.role for each in sent(house, reader.session)] == ["author"] * 6
    assert filed(house) == 0


def test_without_copies_many_messages_cost_one_look_for_them(
    house: House, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        house.submit(ANN, [PAT], house.mail())
    asked, real = [], placements.filed_in

    def noted(*arguments: Any) -> list[Placed]:
        asked.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(placements, "filed_in", noted)
    assert len(sent(house, reader.session)) == 5
    assert len(asked) == 1

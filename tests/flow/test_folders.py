"""Do pages and mail programs agree on what is in Trash and what was seen?"""

from __future__ import annotations

import pytest

from cryptnsend.core.errors import NoGrant
from cryptnsend.flow.folders import Folders
from cryptnsend.flow.mailboxes import Flagging
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.views import Wishes, Writing
from tests.support.house import MINUTE, House

ANN, PAT, EVE = "ann@gmail.example", "pat@yahoo.example", "eve@mail.example"


@pytest.fixture
def ann(house: House) -> Session:
    house.add_subscriber(ANN)
    return house.session(ANN)


def folders(house: House) -> Folders:
    return house.portal.folders


def listed(house: House, session: Session) -> list[int]:
    return [each.message for each in house.pickup.list(session)]


def in_box(house: House, session: Session, name: str) -> list[int]:
    """Return what a mail program finds in a mailbox."""
    boxes = house.portal.mailboxes
    box = boxes.look(session, boxes.named(session, name))
    return [each.message for each in boxes.rows(box, 1, 1_000_000)]


def test_what_is_thrown_away_on_the_page_is_in_trash_everywhere(house: House, ann: Session) -> None:
    first, second = (house.submit(ANN, [PAT], house.mail(f"Number {n}")) for n in (1, 2))
    pat = house.register(PAT, first)
    folders(house).throw_away(pat, first)
    assert listed(house, pat) == [second]
    assert [each.message for each in folders(house).trash(pat)] == [first]
    assert (in_box(house, pat, "INBOX"), in_box(house, pat, "Trash")) == ([second], [first])
    assert house.pickup.show(pat, first).subject == "Number 1"
    folders(house).put_back(pat, first)
    assert listed(house, pat) == [second, first]
    assert (sorted(in_box(house, pat, "INBOX")), in_box(house, pat, "Trash")) == ([first, second], [])


def test_what_a_program_moves_or_removes_is_in_trash_on_the_page(house: House, ann: Session) -> None:
    messages = [house.submit(ANN, [PAT], house.mail(f"Number {n}")) for n in range(3)]
    pat, boxes = house.register(PAT, messages[0]), house.portal.mailboxes
    inbox = boxes.look(pat, boxes.named(pat, "INBOX"))
    uids = {each.message: each.uid for each in boxes.rows(inbox, 1, 100)}
    boxes.move(inbox, [uids[messages[0]]], boxes.named(pat, "Trash"))
    boxes.take_away(inbox, [uids[messages[1]]], deleted_only=False)
    assert listed(house, pat) == [messages[2]]
    assert [each.message for each in folders(house).trash(pat)] == [messages[1], messages[0]]
    for message in messages[:2]:
        folders(house).put_back(pat, message)
    assert listed(house, pat) == messages[::-1]
    assert sorted(in_box(house, pat, "INBOX")) == messages


def test_what_was_sent_is_thrown_away_and_put_back_too(house: House, ann: Session) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    folders(house).throw_away(ann, message, "author")
    assert house.pickup.sent(ann) == []
    thrown = folders(house).trash(ann)
    assert thrown[0].sent is not None
    assert thrown[0].sent.subject == "Results"
    folders(house).put_back(ann, message, "author")
    assert [each.message for each in house.pickup.sent(ann)] == [message]
    assert in_box(house, ann, "Sent") == [message]


def test_unread_is_one_state(house: House, ann: Session) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    pat = house.register(PAT, message)
    house.pickup.show(pat, message)
    assert house.pickup.list(pat)[0].opened
    folders(house).mark_unread(pat, message)
    assert not house.pickup.list(pat)[0].opened
    boxes = house.portal.mailboxes
    assert boxes.look(pat, boxes.named(pat, "INBOX")).unseen == 1
    assert house.pickup.status(ann, message).recipients[0].state == "opened"  # its author knows what they knew
    house.pickup.show(pat, message)
    assert house.pickup.list(pat)[0].opened
    assert boxes.look(pat, boxes.named(pat, "INBOX")).unseen == 0


def test_nobody_moves_what_is_not_theirs_or_not_there_yet(house: House, ann: Session) -> None:
    house.add_subscriber(EVE)
    message = house.submit(ANN, [PAT], house.mail())
    eve = house.session(EVE)
    for act in (folders(house).throw_away, folders(house).put_back):
        for role in ("recipient", "author"):
            with pytest.raises(NoGrant):
                act(eve, message, role)
    with pytest.raises(NoGrant):
        folders(house).mark_unread(eve, message)
    house.clock.forward(1)
    later = Writing("text", "Later", (EVE,), wishes=Wishes(later=60))
    waiting = house.portal.newmail.send(ann, later, nonce=b"n" * 16)
    house.clock.forward(MINUTE)
    with pytest.raises(NoGrant):
        folders(house).throw_away(eve, waiting)
    assert house.pickup.search(eve, "later").entries == []
    assert house.pickup.entry(eve, waiting) is None


def test_trash_is_read_a_page_at_a_time(house: House, ann: Session) -> None:
    messages = [house.submit(ANN, [PAT], house.mail(f"Number {n}")) for n in range(5)]
    pat = house.register(PAT, messages[0])
    for each in messages:
        folders(house).throw_away(pat, each)
    first = folders(house).trash(pat, limit=3)
    assert [each.message for each in first] == messages[:1:-1]
    assert [each.message for each in folders(house).trash(pat, before=first[-1].message, limit=3)] == messages[1::-1]


def test_what_was_sent_is_found_by_subject_people_and_files(house: House, ann: Session) -> None:
    first = house.submit(ANN, [PAT], house.mail("Vaccination record"))
    second = house.submit(ANN, [EVE], house.mail("Results", to=[EVE]))
    for typed, expected in (("vaccin", [first]), ("EVE@ result", [second]), ("nothing", []), ("ann", [second, first])):
        found = house.pickup.search_sent(ann, typed)
        assert [each.message for each in found.entries] == expected
        assert (found.looked_at, found.all) == (2, True)


def test_what_is_unread_is_counted_and_listed_as_pages_and_programs_see_it(house: House, ann: Session) -> None:
    messages = [house.submit(ANN, [PAT], house.mail(f"Number {n}")) for n in range(4)]
    pat, boxes = house.register(PAT, messages[0]), house.portal.mailboxes

    def unread() -> list[int]:
        found = [each.message for each in house.pickup.list(pat, unread=True)]
        assert house.pickup.unread(pat) == len(found)
        assert found == [each.message for each in house.pickup.list(pat) if not each.opened]
        return found

    assert unread() == messages[::-1]
    house.pickup.show(pat, messages[0])
    assert unread() == messages[:0:-1]
    inbox = boxes.look(pat, boxes.named(pat, "INBOX"))
    uids = {each.message: each.uid for each in boxes.rows(inbox, 1, 100)}
    boxes.flag(pat, inbox, [uids[messages[1]]], Flagging.of("+", ["\\Seen"]))
    folders(house).throw_away(pat, messages[2])
    assert unread() == [messages[3]]
    folders(house).mark_unread(pat, messages[0])
    assert unread() == [messages[3], messages[0]]
    house.pickup.expire(ann, messages[3])
    assert house.pickup.unread(pat) == 1
    assert house.pickup.list(pat, before=messages[1], unread=True)[0].message == messages[0]
    assert house.pickup.unread(ann) == 0


def test_a_message_that_waits_for_its_code_counts_as_unread(house: House, ann: Session) -> None:
    house.add_subscriber(EVE)
    pat = house.register(PAT, house.submit(ANN, [PAT], house.mail()))
    assert house.pickup.unread(pat) == 1
    house.submit(EVE, [PAT], house.mail("From somebody else", author=EVE))
    assert house.pickup.unread(pat) == 2
    assert [each.state for each in house.pickup.list(pat, unread=True)] == ["code", "open"]

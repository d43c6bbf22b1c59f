"""What do the rows of mailboxes do over time? They cost nobody who does not look, and go with what they are about."""

from __future__ import annotations

import os

import pytest

from cryptnsend.flow.mailgate import Reader
from cryptnsend.store.records import mailboxes
from tests.flow.conftest import Desk
from tests.support.house import DAY, HOUR, PASSWORD, SOURCE, House, MakeHouse

ANN, PAT = "ann@gmail.example", "pat@yahoo.example"
TABLES = ("mailboxes", "placed", "gone", "put_away", "stand_ins", "filed")


def reader(house: House) -> Reader:
    """Sign Ann in at the mailbox doors."""
    return house.mailbox.mail_gate.authenticate(ANN, PASSWORD, SOURCE)


def inbox(house: House, who: Reader, name: str = "INBOX") -> mailboxes.Mailbox:
    boxes = house.mailbox.mailboxes
    return boxes.look(who.session, boxes.named(who.session, name))


def replied(house: House, text: str = "Thank you.") -> int:
    message = house.submit(ANN, [PAT], house.mail())
    known = house.engine.query("SELECT 1 AS one FROM addresses WHERE canonical = :a AND account > 0", a=PAT)
    pat = house.session(PAT) if known else house.register(PAT, message)
    return house.replies.send(pat, message, everybody=False, text=text, files=(), nonce=os.urandom(16))


def left(house: House) -> set[str]:
    return {table for table, _ in house.rows()} & set(TABLES)


def test_who_never_reads_by_a_mail_program_costs_no_row(house: House, ann: int) -> None:
    replied(house)
    house.upkeep.once()
    assert left(house) == set()


def test_messages_get_uids_in_their_order_and_keep_them(house: House, ann: int) -> None:
    messages = [replied(house) for _ in range(3)]
    who = reader(house)
    box = inbox(house, who)
    boxes = house.mailbox.mailboxes
    assert [each.message for each in boxes.rows(box, 1, 9)] == messages
    replied(house)
    again = inbox(house, who)
    assert boxes.uids(again) == [1, 2, 3, 4]
    assert again.uidvalidity == box.uidvalidity


def test_a_message_that_was_being_written_while_others_came_is_placed_later(house: House, ann: int) -> None:
    """Its id is of when it was begun, and so smaller than those that were placed before it was committed."""
    pat = house.register(PAT, house.submit(ANN, [PAT], house.mail()))
    message = house.submit(ANN, [PAT], house.mail())
    admission = house.portal.admission
    from cryptnsend.flow.granting import Addressee, Author, Envelope

    author = Author(pat.account, pat.organisation, PAT, frozenset({PAT}), False)
    slow = admission.begin(author, Envelope("", (Addressee(ANN),)), "reply", parent=message, nonce=b"slow" * 4)
    slow.header(house.mail(author=PAT, to=[ANN]).partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
    house.clock.forward(HOUR)
    replied(house)
    who = reader(house)
    assert len(house.mailbox.mailboxes.uids(inbox(house, who))) == 1
    slow.body(b"Late.\r\n")
    slow.commit_now()
    assert len(house.mailbox.mailboxes.uids(inbox(house, who))) == 2


def test_rows_of_a_message_that_is_gone_go_too(make_house: MakeHouse) -> None:
    house = make_house(life={"retention_days": 60, "draft_days": 30})
    house.add_subscriber(ANN)
    Desk(house)
    replied(house)
    inbox(house, reader(house))
    house.courier.deliver.once()
    for _ in range(150):
        house.clock.forward(12 * HOUR)
        house.upkeep.once()
    who = reader(house)
    assert house.mailbox.mailboxes.uids(inbox(house, who)) == []
    house.clock.forward(31 * DAY)
    house.upkeep.once()
    assert left(house) == {"mailboxes"}


def test_a_closed_account_leaves_no_mailbox(house: House, ann: int) -> None:
    replied(house)
    who = reader(house)
    inbox(house, who)
    filing = house.mailbox.filing.begin(who.session, inbox(house, who, "Drafts"), [], None)
    filing.feed(b"Subject: x\r\n\r\n" + b"x" * 100_000)
    filing.finish()
    house.accounts.close(house.session(ANN), PASSWORD, SOURCE)
    house.clock.forward(2 * HOUR)
    house.upkeep.once()
    assert left(house) == set()


def test_after_a_restore_no_uid_of_before_counts(house: House, ann: int) -> None:
    replied(house)
    before = inbox(house, reader(house))
    house.clock.forward(HOUR)
    house.upkeep.restored()
    after = inbox(house, reader(house))
    assert after.uidvalidity > before.uidvalidity


def test_a_mailbox_of_the_same_name_has_another_uidvalidity(house: House, ann: int) -> None:
    who, boxes = reader(house), house.mailbox.mailboxes
    boxes.create(who.session, "Patients")
    first = boxes.named(who.session, "Patients").uidvalidity
    boxes.delete(who.session, "Patients")
    boxes.create(who.session, "Patients")
    assert boxes.named(who.session, "Patients").uidvalidity > first


@pytest.mark.parametrize("sql", ["modseq > 5 ORDER BY uid + 0"])
def test_what_changed_is_found_by_its_sequence_and_not_along_all_uids(house: House, ann: int, sql: str) -> None:
    plan = house.engine.query(f"EXPLAIN QUERY PLAN SELECT uid FROM placed WHERE mailbox = 1 AND {sql}")  # noqa: S608
    assert any("placed_changed" in row["detail"] for row in plan)


def test_what_is_planned_for_later_comes_though_no_grant_changes_then(house: House, ann: int) -> None:
    """Looking again costs little while grants stay as they are; only for so long."""
    who = reader(house)
    message = replied(house)
    assert len(house.mailbox.mailboxes.uids(inbox(house, who))) == 1
    later = replied(house)
    org, now = house.session(ANN).organisation, house.clock.now()
    plan = "INSERT INTO plans(message, org, starts, tell) VALUES (:m, :org, :starts, 0)"
    house.engine.write(lambda rows: rows.execute(plan, {"m": later, "org": org, "starts": now + 5_000})).result()
    for _ in range(2):
        assert [each.message for each in house.mailbox.mailboxes.rows(inbox(house, who), 1, 9)] == [message]
    house.clock.forward(16_000)
    assert [each.message for each in house.mailbox.mailboxes.rows(inbox(house, who), 1, 9)] == [message, later]

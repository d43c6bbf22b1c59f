"""What do people hear whose correspondent has closed their account? Never that all is well."""

from __future__ import annotations

import pytest

from cryptnsend.core.errors import Refusal
from tests.flow.conftest import DELIVERED, LATER, Desk
from tests.support.house import HOUR, PASSWORD, SOURCE

ANN, BOB, PAT = "ann@gmail.example", "bob@icloud.example", "pat@yahoo.example"
NONCE = b"n" * 16


@pytest.fixture
def ann(desk: Desk) -> int:
    return desk.house.add_subscriber(ANN)


def close(desk: Desk) -> None:
    desk.house.accounts.close(desk.house.session(ANN), PASSWORD, SOURCE)


def test_a_notice_of_what_nobody_can_open_any_more_does_not_leave(desk: Desk, ann: int) -> None:
    desk.house.submit(ANN, [PAT], desk.house.mail())
    desk.say(LATER, DELIVERED)
    desk.deliver()
    close(desk)
    desk.house.clock.forward(HOUR)
    desk.deliver()
    assert (desk.row()["state"], desk.row()["crashes"]) == ("cancelled", 0)
    assert "closed the account" in desk.row()["reply"]
    assert len(desk.answers.mails(PAT)) == 1  # the try before


def test_a_notice_to_who_needs_no_code_leaves_all_the_same(desk: Desk, ann: int) -> None:
    house = desk.house
    pat = house.register(PAT, house.submit(ANN, [PAT], house.mail()))
    message = house.submit(ANN, [PAT], house.mail("Second"))
    close(desk)
    desk.deliver()
    assert desk.row()["state"] == "delivered"
    assert house.pickup.show(pat, message).subject == "Second"


def test_an_answer_that_nobody_would_read_is_refused_in_words_and_not_kept(desk: Desk, ann: int) -> None:
    house = desk.house
    message = house.submit(ANN, [PAT], house.mail())
    pat = house.register(PAT, message)
    close(desk)
    with pytest.raises(Refusal, match=r"closed their account here.*Reach them in another way"):
        house.replies.send(pat, message, everybody=False, text="My chest hurts.", files=(), nonce=NONCE)
    assert not house.pickup.sent(pat)
    assert not list(house.portal.blobs.keys())


def test_others_of_a_conversation_are_not_written_to_behind_its_owners_back(desk: Desk, ann: int) -> None:
    house = desk.house
    message = house.submit(ANN, [PAT, BOB], house.mail(to=[PAT, BOB]))
    pat, bob = house.register(PAT, message), house.register(BOB, message)
    answer = house.replies.send(pat, message, everybody=True, text="Thank you", files=(), nonce=NONCE)
    close(desk)
    with pytest.raises(Refusal, match="closed their account"):
        house.replies.send(bob, answer, everybody=False, text="And you?", files=(), nonce=NONCE)


def test_the_page_of_a_link_says_that_no_code_opens_it_any_more(desk: Desk, ann: int) -> None:
    house = desk.house
    read, unread = house.submit(ANN, [PAT], house.mail()), house.submit(ANN, [BOB], house.mail(to=[BOB]))
    house.register(PAT, read)
    links = house.link(read, PAT), house.link(unread, BOB)
    assert [house.pickup.waiting(each).state for each in links] == ["known", "new"]
    close(desk)
    assert [house.pickup.waiting(each).state for each in links] == ["known", "left"]


def test_the_list_of_who_is_signed_in_asks_for_no_code_that_nobody_can_tell(desk: Desk, ann: int) -> None:
    house = desk.house
    other = house.add_subscriber("carl@gmail.example", name="Carl Holm")
    assert other
    message = house.submit("carl@gmail.example", [PAT], house.mail(author="carl@gmail.example"))
    pat = house.register(PAT, message)
    waits = house.submit(ANN, [PAT], house.mail("Waits"))
    assert house.pickup.awaited(pat, waits).state == "new"
    close(desk)
    assert house.pickup.awaited(pat, waits).state == "left"


def test_a_colleague_goes_on_in_a_conversation_of_their_own(desk: Desk) -> None:
    house = desk.house
    clinic = house.organisation("Clinic")
    house.add_subscriber(ANN, organisation=clinic)
    house.add_subscriber(BOB, organisation=clinic, name="Bob Stone")
    message = house.submit(ANN, [BOB], house.mail(to=[BOB]))
    close(desk)
    answer = house.replies.send(house.session(BOB), message, everybody=False, text="Gone?", files=(), nonce=NONCE)
    (row,) = house.engine.query(
        "SELECT t.subscriber FROM messages m JOIN threads t ON t.id = m.thread WHERE m.id = :id", id=answer
    )
    assert row["subscriber"] == house.account(BOB)

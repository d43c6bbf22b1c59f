"""An officer stops a leak: all that fits is refused at once, and it is said who had opened it."""

from __future__ import annotations

import pytest

from cryptnsend.core.errors import Denied, Ended, NoGrant
from cryptnsend.flow import recalling as recalling_module
from cryptnsend.flow.recalling import Leak, Reach, Recalling
from tests.support.house import HOUR, House

ANN, BOB, EVE = "ann@clinic.example", "bob@clinic.example", "eve@other.example"
PAT, CARL = "pat@yahoo.example", "carl@mail.example"
WHY = "It went to the wrong patients."


@pytest.fixture
def clinic(house: House) -> int:
    org = house.organisation("Clinic")
    house.add_subscriber(ANN, organisation=org)
    house.add_subscriber(BOB, organisation=org, name="Bob")
    house.add_subscriber(EVE, name="Eve")
    return org


def recalling(house: House) -> Recalling:
    return house.portal.recalling


def recall(house: House, org: int, leak: Leak):
    return recalling(house).recall(org, leak, WHY, "account:7", {})


def test_a_message_is_refused_at_once_and_the_proof_says_who_had_opened_it(house: House, clinic: int) -> None:
    message = house.submit(ANN, [PAT, CARL], house.mail(author=ANN, to=[PAT], bcc=[CARL]))
    pat = house.register(PAT, message)
    house.pickup.show(pat, message)
    (done,) = recall(house, clinic, Leak(message=message))
    with pytest.raises(Ended):
        house.pickup.show(pat, message)
    opening = house.engine.query(
        "SELECT seq, at FROM audit WHERE action = 'message.opened' AND object = :m", m=str(message)
    )[0]
    by_address = {each.address: each for each in done.reached}
    assert by_address[PAT] == Reach(PAT, "opened", opening["at"], opening["seq"])
    assert by_address[CARL] == Reach(CARL, "unopened")
    assert done.entry is not None
    assert done.entry > opening["seq"]
    assert not done.never_opened


def test_what_nobody_opened_is_said_to_be_never_opened_and_its_notice_does_not_leave(house: House, clinic: int) -> None:
    message = house.submit(ANN, [PAT], house.mail(author=ANN))
    (done,) = recall(house, clinic, Leak(message=message))
    assert done.never_opened
    assert {row["state"] for row in house.queued("notice")} == {"cancelled"}


def test_by_author_by_number_and_since_a_time(house: House, clinic: int) -> None:
    first = house.submit(ANN, [PAT], house.mail(author=ANN))
    house.clock.forward(HOUR)
    start = house.clock.now()
    second = house.submit(ANN, [PAT], house.mail(author=ANN))
    third = house.submit(BOB, [PAT], house.mail(author=BOB))
    number = house.engine.query("SELECT display_id FROM recipients WHERE message = :m", m=first)[0]["display_id"]

    def found(**leak: object) -> list[int]:
        return [row["id"] for row in recalling(house).find(clinic, Leak(**leak))]  # type: ignore[arg-type]

    assert found(author=ANN) == [second, first]
    assert found(author=ANN, since=start) == [second]
    assert found(since=start) == [third, second]
    assert found(since=1, until=start) == [first]
    assert found(number=number) == [first]
    assert {each.message for each in recall(house, clinic, Leak(author=ANN))} == {first, second}
    assert house.pickup.waiting(house.link(third, PAT)).state == "new"
    assert house.pickup.waiting(house.link(first, PAT)).state == "suspended"


def test_replies_that_may_quote_it_are_listed(house: House, clinic: int) -> None:
    message = house.submit(ANN, [PAT], house.mail(author=ANN))
    pat = house.register(PAT, message)
    answer = house.replies.send(pat, message, everybody=False, text="As you wrote: ...", files=[], nonce=b"n" * 16)
    (done,) = recall(house, clinic, Leak(message=message))
    assert [(row["id"], row["author"]) for row in done.answers] == [(answer, PAT)]


def test_what_left_as_ordinary_mail_is_named_as_that(house: House, clinic: int) -> None:
    message = house.submit(ANN, [PAT], house.mail(":: Hello", author=ANN))
    (done,) = recall(house, clinic, Leak(message=message))
    assert [(each.address, each.state) for each in done.reached] == [(PAT, "left")]
    assert not done.never_opened


def test_nothing_of_another_organisation_is_found_or_taken_back(house: House, clinic: int) -> None:
    theirs = house.submit(EVE, [PAT], house.mail(author=EVE))
    for leak in (Leak(message=theirs), Leak(author=EVE)):
        with pytest.raises(NoGrant):
            recall(house, clinic, leak)
    assert house.pickup.waiting(house.link(theirs, PAT)).state == "new"


def test_it_needs_a_reason_and_something_named(house: House, clinic: int) -> None:
    message = house.submit(ANN, [PAT], house.mail(author=ANN))
    for reason in ("", "   ", "oops"):
        with pytest.raises(Denied, match="Say in a sentence"):
            recalling(house).recall(clinic, Leak(message=message), reason, "account:7", {})
    with pytest.raises(Denied, match="Name a message"):
        recall(house, clinic, Leak())


def test_it_stands_in_the_audit_trail_and_only_an_officer_undoes_it(house: House, clinic: int) -> None:
    message = house.submit(ANN, [PAT], house.mail(author=ANN))
    recall(house, clinic, Leak(message=message))
    assert ("account:7", "grant.suspended") in house.audited(clinic)
    assert recall(house, clinic, Leak(message=message))[0].message == message  # twice changes nothing
    assert house.audited(clinic).count(("account:7", "grant.suspended")) == 1
    with pytest.raises(Denied, match="Only an officer"):
        house.pickup.restore(house.session(ANN), message)
    assert house.pickup.waiting(house.link(message, PAT)).state == "suspended"
    with pytest.raises(NoGrant):
        recalling(house).undo(clinic + 1, message, "account:8", {})
    recalling(house).undo(clinic, message, "account:7", {})
    assert house.pickup.waiting(house.link(message, PAT)).state == "new"


def test_what_its_author_took_back_first_stays_with_the_officer_too(house: House, clinic: int) -> None:
    message = house.submit(ANN, [PAT], house.mail(author=ANN))
    house.pickup.expire(house.session(ANN), message)
    recall(house, clinic, Leak(message=message))
    house.pickup.expire(house.session(ANN), message)
    with pytest.raises(Denied, match="Only an officer"):
        house.pickup.restore(house.session(ANN), message)


def test_more_than_one_page_of_messages_is_taken_back(
    house: House, clinic: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = {house.submit(ANN, [PAT], house.mail(author=ANN)) for _ in range(3)}
    monkeypatch.setattr(recalling_module, "PAGE", 2)
    assert {each.message for each in recall(house, clinic, Leak(author=ANN))} == sent

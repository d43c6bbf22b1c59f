"""What may an author do about what they sent: tell once more, change its end, delete for good, prove openings?"""

from __future__ import annotations

from typing import Any

import pytest

from cryptnsend.core.errors import Denied, NoGrant
from cryptnsend.flow import following as flow
from cryptnsend.flow.following import Following
from cryptnsend.flow.sessions import Session
from tests.flow.conftest import Desk
from tests.support.house import DAY, HOUR, MINUTE, House

ANN, PAT, JUNE, EVE = "ann@gmail.example", "pat@yahoo.example", "june@example.org", "eve@mail.example"


@pytest.fixture
def ann(house: House) -> Session:
    house.add_subscriber(ANN)
    return house.session(ANN)


def following(house: House) -> Following:
    return house.portal.following


def states(house: House, ann: Session, message: int) -> dict[str, str]:
    return {each.address: each.state for each in house.pickup.status(ann, message).recipients}


def test_a_notice_is_sent_again_to_those_who_wait_and_not_too_often(desk: Desk) -> None:
    house = desk.house
    house.add_subscriber(ANN)
    ann = house.session(ANN)
    message = house.submit(ANN, [PAT, JUNE], house.mail(to=[PAT, JUNE]))
    with pytest.raises(Denied, match="on its way"):
        following(house).remind(ann, message)
    desk.deliver()
    with pytest.raises(Denied, match="a moment ago"):
        following(house).remind(ann, message)
    house.clock.forward(11 * MINUTE)
    house.pickup.show(house.register(JUNE, message), message)
    desk.answers.sent.clear()
    assert following(house).remind(ann, message) == 1
    desk.deliver()
    assert [envelope.recipient for envelope, _, _ in desk.answers.sent] == [PAT]
    for _ in range(4):
        house.clock.forward(11 * MINUTE)
        following(house).remind(ann, message, PAT)
        desk.deliver()
    house.clock.forward(DAY)
    with pytest.raises(Denied, match="there were many"):
        following(house).remind(ann, message, PAT)


@pytest.mark.parametrize("whom", [None, PAT], ids=["all", "one"])
def test_a_button_pressed_twice_at_once_sends_one_notice(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, whom: str | None
) -> None:
    """Both have looked who waits before either has written; in the second is nothing left, or only who is new."""
    house = desk.house
    house.add_subscriber(ANN)
    ann = house.session(ANN)
    message = house.submit(ANN, [PAT, JUNE], house.mail(to=[PAT, JUNE]))
    desk.deliver()
    house.clock.forward(11 * MINUTE)
    desk.answers.sent.clear()
    counted, make = [], flow.new_id

    def meanwhile(*given: Any) -> int:
        monkeypatch.setattr(flow, "new_id", make)
        counted.append(following(house).remind(ann, message, whom))
        return make(*given)

    monkeypatch.setattr(flow, "new_id", meanwhile)
    if whom is None:
        with pytest.raises(Denied, match="a moment ago"):
            following(house).remind(ann, message)
        assert counted == [2]
    else:
        assert following(house).remind(ann, message) == 1
        assert counted == [1]
    desk.deliver()
    assert sorted(envelope.recipient for envelope, _, _ in desk.answers.sent) == [JUNE, PAT]
    repeated = [action for _, action in house.audited(ann.organisation) if action == "notice.repeated"]
    assert len(repeated) == (1 if whom is None else 2)


def test_a_message_opens_longer_or_shorter_as_its_author_says(house: House, ann: Session) -> None:
    message = house.submit(ANN, [PAT, JUNE], house.mail(to=[PAT, JUNE]))
    pat = house.register(PAT, message)
    following(house).extend(ann, message, house.clock.now() + 60 * DAY)
    assert house.pickup.status(ann, message).ends == house.clock.now() + 60 * DAY
    following(house).extend(ann, message, house.clock.now() + DAY, JUNE)
    house.clock.forward(2 * DAY)
    house.upkeep.once()
    assert states(house, ann, message)[JUNE] == "ended"
    assert house.pickup.show(house.session(PAT), message).ends == house.pickup.status(house.session(ANN), message).ends
    assert pat.account
    for until, why in (
        (house.clock.now() - 1, "a day to come"),
        (house.clock.now() + 4000 * DAY, "longer than a message"),
    ):
        with pytest.raises(Denied, match=why):
            following(house).extend(house.session(ANN), message, until)


def test_what_is_deleted_for_good_is_not_given_back_and_its_key_goes(house: House, ann: Session) -> None:
    message = house.submit(ANN, [PAT, JUNE], house.mail(to=[PAT, JUNE]))
    house.pickup.expire(ann, message, JUNE)
    house.pickup.shred(ann, message, PAT)
    with pytest.raises(Denied, match="nothing to give back"):
        house.pickup.restore(ann, message, PAT)
    house.upkeep.once()
    left = house.engine.query("SELECT holder FROM grants WHERE role = 'recipient' AND message = :m", m=message)
    assert left == [{"holder": f"address:{JUNE}"}]
    house.pickup.shred(ann, message)
    house.upkeep.once()
    assert not house.engine.query("SELECT holder FROM grants WHERE role = 'recipient' AND message = :m", m=message)
    assert house.pickup.show(ann, message).text == "All is well.\n"  # its author and the archive keep it


def test_a_sender_does_not_learn_from_the_proof_that_a_recipient_reported_them(house: House, ann: Session) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    pat = house.register(PAT, message)
    house.pickup.show(pat, message)
    house.accounts.block(pat, message, report=True)
    actions = [each.action for each in following(house).proof(ann, message).events]
    assert "message.opened" in actions
    assert "sender.reported" not in actions
    org = house.engine.query("SELECT org FROM messages")[0]["org"]
    assert (f"account:{pat.account}", "sender.reported") in house.audited(org)  # officers see it


def test_the_trail_proves_who_opened_a_message_and_when(house: House, ann: Session) -> None:
    message = house.submit(ANN, [PAT, JUNE], house.mail(to=[PAT, JUNE]))
    before = following(house).proof(ann, message)
    assert [each.action for each in before.events] == []
    house.clock.forward(HOUR // 4)
    pat = house.register(PAT, message)
    house.pickup.show(pat, message)
    house.pickup.expire(house.session(ANN), message, JUNE)
    found = following(house).proof(house.session(ANN), message)
    said = [(each.action, each.who) for each in found.events]
    assert ("message.opened", PAT) in said
    assert ("grant.suspended", "you") in said
    assert all(who != JUNE for _, who in said)
    assert found.entries > before.entries
    opened = next(each for each in found.events if each.action == "message.opened")
    trail = house.engine.query(
        "SELECT hash FROM audit WHERE seq = :seq AND org = :org", seq=opened.seq, org=ann.organisation
    )
    assert trail[0]["hash"].hex().startswith(opened.mark)


def test_nobody_else_does_any_of_it(house: House, ann: Session) -> None:
    house.add_subscriber(EVE)
    message = house.submit(ANN, [EVE], house.mail(to=[EVE]))
    eve = house.session(EVE)
    acts = [
        lambda: following(house).remind(eve, message),
        lambda: following(house).extend(eve, message, house.clock.now() + DAY),
        lambda: following(house).proof(eve, message),
        lambda: house.pickup.shred(eve, message),
    ]
    for act in acts:
        with pytest.raises(NoGrant):
            act()

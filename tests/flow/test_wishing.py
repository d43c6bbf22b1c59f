"""Which mails does a subscriber get about what they send? What they chose, from the next one on."""

from __future__ import annotations

import pytest

from cryptnsend.core.errors import Denied, Ended, WrongSecret
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.wishing import USUAL
from tests.flow.conftest import REFUSED, Desk, faces
from tests.support.house import DAY, OTHER, PASSWORD, SOURCE

ANN, PAT = "ann@gmail.example", "pat@yahoo.example"


@pytest.fixture
def ann(desk: Desk) -> Session:
    desk.house.add_subscriber(ANN)
    return desk.house.session(ANN)


def without(desk: Desk, ann: Session, mail: str) -> None:
    desk.house.accounts.set_mails(ann, {each for each, usual in USUAL.items() if usual and each != mail})


def alerts(desk: Desk, template: str) -> int:
    return sum(row["template"] == template for row in desk.house.queued("alert"))


def test_each_opening_is_told_to_who_wants_to_hear_of_all(desk: Desk, ann: Session) -> None:
    house = desk.house
    first = house.submit(ANN, [PAT], house.mail())
    pat = house.register(PAT, first)
    house.pickup.show(pat, first)
    assert alerts(desk, "opened") == 0
    house.accounts.set_mails(ann, ["opened", "bounced", "code-failed", "new-sign-in"])
    second = house.submit(ANN, [PAT], house.mail("Again"))
    house.pickup.show(pat, second)
    house.pickup.show(pat, second)
    assert alerts(desk, "opened") == 1
    desk.deliver()
    assert "was opened" in faces(desk.answers.mails(ANN)[-1])[0]


def test_who_wants_no_reports_sees_failures_on_the_page_alone(desk: Desk, ann: Session) -> None:
    house = desk.house
    desk.say(REFUSED)
    house.submit(ANN, [PAT], house.mail())
    desk.deliver()
    assert len(house.queued("dsn")) == 1
    without(desk, ann, "bounced")
    message = house.submit(ANN, [PAT], house.mail("Again"))
    desk.deliver()
    assert len(house.queued("dsn")) == 1
    assert [each.state for each in house.pickup.status(ann, message).recipients] == ["bounced"]


def test_a_used_up_code_is_told_once_a_day_without_the_code(desk: Desk, ann: Session) -> None:
    house = desk.house
    message = house.submit(ANN, [PAT], house.mail())
    token, code = house.link(message, PAT), house.code(ANN, PAT)
    wrong = f"{(int(code) + 1) % 1_000_000:06}"
    for _ in range(4):
        with pytest.raises(WrongSecret):
            house.pickup.prove(token, wrong, SOURCE)
    assert alerts(desk, "code-failed") == 0
    for _ in range(3):
        with pytest.raises(Ended):
            house.pickup.prove(token, wrong, SOURCE)
    assert alerts(desk, "code-failed") == 1
    desk.deliver()
    text = faces(desk.answers.mails(ANN)[-1])[0]
    assert PAT in text
    assert code not in text.replace(" ", "")
    house.clock.forward(DAY + 1)
    with pytest.raises(Ended):
        house.pickup.prove(token, wrong, SOURCE)
    assert alerts(desk, "code-failed") == 2
    without(desk, house.session(ANN), "code-failed")
    house.clock.forward(DAY + 1)
    with pytest.raises(Ended):
        house.pickup.prove(token, wrong, SOURCE)
    assert alerts(desk, "code-failed") == 2


def test_who_turns_off_mails_about_new_devices_is_told_so_once(desk: Desk, ann: Session) -> None:
    house = desk.house
    house.session(ANN, agent="a second browser")
    before = alerts(desk, "new-sign-in")
    assert before == 1  # a first browser is no new one
    without(desk, ann, "new-sign-in")
    without(desk, ann, "new-sign-in")
    house.session(ANN, agent="a third browser")
    assert alerts(desk, "new-sign-in") == before
    assert alerts(desk, "mails-fewer") == 1
    assert house.accounts.mails(ann) == {**USUAL, "new-sign-in": False}


def test_less_than_the_code_as_a_rule_takes_the_password_and_an_account_that_is_whole(desk: Desk, ann: Session) -> None:
    house = desk.house
    with pytest.raises(WrongSecret):
        house.accounts.set_usual_way(ann, "mail", "not the password at all", SOURCE)
    house.accounts.set_usual_way(ann, "mail", PASSWORD, SOURCE)
    assert house.accounts.usual_way(ann) == "mail"
    house.accounts.set_usual_way(ann, "code", "", SOURCE)
    assert house.accounts.usual_way(ann) == "code"
    weak = house.reset(ANN)
    with pytest.raises(Denied):
        house.accounts.set_usual_way(weak, "mail", OTHER, SOURCE)

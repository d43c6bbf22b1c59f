"""Who is reminded of a message, when, how often, and in which words?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.flow.reminding import DAY, FIRST, LAST, Rules, look_at
from tests.flow.conftest import LATER, REFUSED, Desk, faces
from tests.support.house import HOUR

ANN, PAT, JUNE = "ann@gmail.example", "pat@yahoo.example", "june@example.org"
RULES = Rules(3 * DAY, 3 * DAY)


@pytest.fixture
def sent(desk: Desk) -> int:
    """A message to Pat whose notice has left."""
    desk.house.add_subscriber(ANN, name="Dr. Ann Ruiz")
    message = desk.house.submit(ANN, [PAT], desk.house.mail())
    desk.deliver()
    desk.answers.sent.clear()
    return message


def pass_days(desk: Desk, days: int) -> list[int]:
    """Let days pass with upkeep and courier at work; return after how many days something left for Pat."""
    left = []
    for day in range(1, days + 1):
        for _ in range(4):
            before = len(desk.answers.mails(PAT))
            desk.house.clock.forward(6 * HOUR)
            desk.house.upkeep.once()
            desk.deliver()
            left += [day] * (len(desk.answers.mails(PAT)) - before)
    return left


def test_who_opens_nothing_is_reminded_on_day_three_and_three_days_before_the_end(desk: Desk, sent: int) -> None:
    assert pass_days(desk, 40) == [3, 27]
    first, last = (" ".join(faces(each)[0].split()) for each in desk.answers.mails(PAT))
    assert "It has not been opened yet." in first
    assert "This is the last reminder." in last
    assert "This is the last reminder." not in first
    subjects = {str(each["Subject"]) for each in desk.answers.mails(PAT)}
    assert subjects == {"Reminder: a secure message from Dr. Ann Ruiz waits"}
    assert "Results" not in first + last  # no more is said than in the notice
    assert desk.house.link(sent, PAT) in first
    org = desk.house.session(ANN).organisation
    assert [action for _, action in desk.house.audited(org)].count("notice.reminded") == 2


def test_who_has_opened_it_is_not_reminded(desk: Desk, sent: int) -> None:
    desk.house.pickup.show(desk.house.register(PAT, sent), sent)
    assert pass_days(desk, 31) == []


def test_who_opens_it_after_the_reminder_was_made_gets_none(desk: Desk, sent: int) -> None:
    desk.house.clock.forward(3 * DAY)
    desk.house.upkeep.once()
    desk.house.pickup.show(desk.house.register(PAT, sent), sent)
    desk.deliver()
    assert desk.answers.mails(PAT) == []
    assert desk.row()["state"] == "cancelled"


def test_nobody_is_reminded_of_what_was_taken_back_and_again_once_it_is_given_back(desk: Desk, sent: int) -> None:
    desk.house.pickup.expire(desk.house.session(ANN), sent)
    assert pass_days(desk, 5) == []
    desk.house.pickup.restore(desk.house.session(ANN), sent)
    assert pass_days(desk, 2) == [1]
    states = desk.house.pickup.status(desk.house.session(ANN), sent).recipients
    assert [(each.state, each.reminded is not None) for each in states] == [("notified", True)]


def test_nobody_is_reminded_where_the_notice_came_back(desk: Desk) -> None:
    desk.house.add_subscriber(ANN)
    desk.say(REFUSED)
    desk.house.submit(ANN, [PAT], desk.house.mail())
    desk.deliver()
    desk.say(LATER)
    desk.answers.sent.clear()
    assert pass_days(desk, 31) == []


def test_a_notice_that_its_author_repeated_stands_in_for_a_reminder_of_the_same_day(desk: Desk, sent: int) -> None:
    desk.house.clock.forward(3 * DAY - HOUR)
    desk.house.portal.following.remind(desk.house.session(ANN), sent)
    desk.deliver()
    desk.answers.sent.clear()
    assert pass_days(desk, 2) == [1]  # a day later, not an hour


def test_another_end_moves_the_last_reminder(desk: Desk, sent: int) -> None:
    ann = desk.house.session(ANN)
    desk.house.portal.following.extend(ann, sent, desk.house.clock.now() + 10 * DAY)
    assert pass_days(desk, 12) == [3, 7]


def test_an_operator_may_choose_other_days_or_none(desk: Desk) -> None:
    assert look_at(copy(), 40 * DAY, Rules(0, 0)).again is None
    assert look_at(copy(), 8 * DAY, Rules(7 * DAY, 0)).remind == FIRST


def test_a_short_life_gets_one_reminder_or_none() -> None:
    assert moments(copy(ends=2 * DAY)) == []
    assert moments(copy(ends=4 * DAY)) == [(LAST, 1)]
    assert moments(copy(ends=7 * DAY)) == [(FIRST, 3), (LAST, 4)]
    assert moments(copy(ends=None)) == [(FIRST, 3)]


@given(st.integers(0, 400), st.sampled_from([0, 1, 3, 20]), st.sampled_from([0, 1, 3, 20]))
def test_each_reminder_leaves_at_most_once_and_never_after_the_end(days: int, after: int, before: int) -> None:
    found = moments(copy(ends=days * DAY), Rules(after * DAY, before * DAY))
    assert len({kind for kind, _ in found}) == len(found) <= 2
    assert all(day < days for _, day in found)
    assert [kind for kind, _ in found] == sorted(kind for kind, _ in found)


def copy(ends: int | None = 30 * DAY) -> dict[str, object]:
    """An unopened copy whose notice was taken at time 0."""
    return {
        "notified": 0, "fetched": None, "reminded": 0, "state": "active", "ends": ends, "left": "delivered",
        "latest": 0, "dsn": "{}",
    }  # fmt: skip


def moments(row: dict[str, object], rules: Rules = RULES) -> list[tuple[int, int]]:
    """Return (which reminder, on which day) as somebody sees who looks whenever they are to."""
    found, at = [], int(DAY)
    while True:
        look = look_at(row, at, rules)
        if look.remind:
            found.append((look.remind, at // DAY))
            row = {**row, "reminded": int(str(row["reminded"])) | look.remind, "latest": at}
        if look.again is None:
            return found
        assert look.again > at or look.remind
        at = max(look.again, at)

"""When is a mail tried again, who hears of it, and what do the next host and a repeated mail look like?"""

from __future__ import annotations

from itertools import pairwise

import pytest

from cryptnsend.delivery.courier import Outcome
from cryptnsend.delivery.retry import DEFAULT
from cryptnsend.flow.granting import Addressee, Author
from cryptnsend.flow.granting import Envelope as Submitted
from tests.flow.admitting import submit
from tests.flow.conftest import DELIVERED, LATER, REFUSED, Desk, faces, parsed
from tests.flow.due import notice, reply
from tests.flow.rows import recipients
from tests.support.house import DAY, HOUR, MINUTE

ANN, PAT, BOB = "ann@gmail.example", "pat@yahoo.example", "bob@icloud.example"
BUSY = Outcome("delayed", None, "4.3.2", "all in use", reason=Outcome.BUSY)
NOT_ASCII = Outcome("failed", None, "5.6.7", "takes only ASCII", "mx.example", reason=Outcome.NOT_ASCII)


@pytest.fixture
def ann(desk: Desk) -> int:
    return desk.house.add_subscriber(ANN)


# -- later, and at last -----------------------------------------------------------------------------------------------


def test_a_delay_is_tried_again_told_after_two_hours_and_given_up_after_thirty_two(desk: Desk, ann: int) -> None:
    house = desk.house
    notice(desk)
    made, told = house.clock.now(), []
    desk.say(LATER)
    tries = []
    while desk.row()["state"] != "failed":
        tries.append(house.clock.now() - made)
        desk.deliver()
        told += [(row["template"], house.clock.now() - made) for row in house.queued("dsn")[len(told) :]]
        if desk.row()["state"] == "delayed":
            house.clock.forward(desk.row()["due"] - house.clock.now())
    waits = [after - before for before, after in pairwise(tries)]
    assert 8 <= len(waits) <= 10
    assert waits[0] == pytest.approx(DEFAULT.first, rel=0.11)
    assert all(1.5 < after / before < 2.6 for before, after in pairwise(waits[:-1]))
    assert tries[-1] == 32 * HOUR
    assert [what for what, _ in told] == ["delayed", "failed"]
    assert 2 * HOUR <= told[0][1] < 5 * HOUR
    assert told[1][1] == 32 * HOUR


def test_a_jump_of_the_clock_gives_up_nothing_that_was_not_tried(desk: Desk, ann: int) -> None:
    house = desk.house
    notice(desk)
    desk.say(LATER)
    desk.deliver()
    house.clock.jump(400 * DAY)
    tries = 1
    while desk.row()["state"] == "delayed":
        desk.deliver()
        tries += 1
        house.clock.forward(max(0, desk.row()["due"] - house.clock.now()))
    assert (desk.row()["state"], tries) == ("failed", 4)


def test_what_comes_back_is_told_to_its_sender_once(desk: Desk, ann: int) -> None:
    notice(desk)
    desk.say(REFUSED, DELIVERED)
    desk.deliver()
    assert desk.row()["state"] == "failed"
    reports = [mail for mail in desk.answers.mails(ANN) if mail.get_content_type() == "multipart/report"]
    assert len(reports) == 1
    assert desk.deliver() == 0


@pytest.mark.parametrize(
    ("subject", "asked", "outcome", "told"),
    [
        ("hello", "", DELIVERED, []),
        ("hello", "SUCCESS", DELIVERED, ["relayed"]),
        (":: hello", "SUCCESS", DELIVERED, ["relayed"]),
        ("hello", "SUCCESS,FAILURE", REFUSED, ["failed"]),
        (":: hello", "SUCCESS", REFUSED, []),
        ("hello", "NEVER", REFUSED, []),
        ("hello", "DELAY", REFUSED, []),
    ],
)
def test_the_sender_is_told_what_they_asked_for(
    desk: Desk, ann: int, subject: str, asked: str, outcome: Outcome, told: list[str]
) -> None:
    submit(desk.house, desk.house.mail(subject), [Addressee(PAT, asked)])
    desk.say(outcome)
    desk.deliver()
    assert [row["template"] for row in desk.house.queued("dsn")] == told


@pytest.mark.parametrize(("asked", "told"), [("FAILURE", 0), ("DELAY", 1), ("", 1), ("NEVER", 0)])
def test_delays_are_told_unless_something_else_was_asked_for(desk: Desk, ann: int, asked: str, told: int) -> None:
    submit(desk.house, desk.house.mail(), [Addressee(PAT, asked)])
    desk.say(LATER)
    for _ in range(4):
        desk.deliver()
        desk.house.clock.forward(2 * HOUR)
    assert [row["template"] for row in desk.house.queued("dsn")] == ["delayed"] * told


def test_a_notice_that_left_is_noted_with_its_time_and_in_the_audit(desk: Desk, ann: int) -> None:
    message = notice(desk)
    desk.house.clock.forward(MINUTE)
    desk.deliver()
    assert recipients(desk.house, message)[PAT]["notified"] == desk.house.clock.now()
    assert ("keeper", "notice.sent") in desk.house.audited(desk.house.session(ANN).organisation)


def test_own_mail_that_fails_is_told_to_nobody(desk: Desk, ann: int) -> None:
    desk.house.submit(ANN, [PAT], desk.house.mail())
    desk.say(REFUSED)
    desk.deliver()
    assert desk.row("receipt")["state"] == "failed"
    told = desk.house.engine.query("SELECT delivery FROM report_entries")
    assert [row["delivery"] for row in told] == [desk.row("notice")["id"]]
    assert desk.row("dsn")["state"] == "failed"  # a report about a report is never made


def test_no_free_connection_is_no_attempt(desk: Desk, ann: int) -> None:
    notice(desk)
    desk.say(BUSY)
    desk.deliver()
    row = desk.row()
    assert (row["state"], row["attempts"], row["due"]) == ("due", 0, desk.house.clock.now() + 1000)


def test_a_host_that_knows_no_international_mail_is_told_in_words(desk: Desk, ann: int) -> None:
    notice(desk)
    desk.say(NOT_ASCII, DELIVERED)
    desk.deliver()
    text, _ = faces(desk.answers.mails(ANN)[-1])
    assert "cannot take this kind of mail" in " ".join(text.split())


# -- the same mail again ----------------------------------------------------------------------------------------------


def test_a_repeated_mail_is_the_same_octet_for_octet(desk: Desk, ann: int) -> None:
    house = desk.house
    notice(desk)
    desk.say(LATER, DELIVERED)
    desk.deliver()
    house.clock.forward(HOUR)
    desk.deliver()
    (_, _, first), (_, _, second) = desk.answers.sent[-2:]
    assert first == second


def test_a_repeated_relay_is_the_same_octet_for_octet(desk: Desk, ann: int) -> None:
    house = desk.house
    house.submit(ANN, [PAT], house.mail(":: Results", text="x" * 100_000))
    desk.say(LATER, DELIVERED)
    desk.deliver()
    house.clock.forward(HOUR)
    desk.deliver()
    (_, _, first), (_, _, second) = desk.answers.sent[-2:]
    assert first == second


def test_a_repeated_handoff_differs_in_its_salt_only(desk: Desk, ann: int) -> None:
    house = desk.house
    first = house.submit(ANN, [PAT], house.mail())
    desk.deliver()
    reply(house, first)
    desk.say(LATER, DELIVERED)
    desk.deliver()
    house.clock.forward(HOUR)
    desk.deliver()
    one, two = (parsed(octets) for _, _, octets in desk.answers.sent[-2:])
    assert faces(one) == faces(two)
    assert [one[name] for name in ("Message-ID", "Date", "From", "Subject")] == [
        two[name] for name in ("Message-ID", "Date", "From", "Subject")
    ]


# -- envelopes --------------------------------------------------------------------------------------------------------


def test_what_the_next_host_is_asked_is_written_as_it_must_be(desk: Desk, ann: int) -> None:
    house = desk.house
    session = house.session(ANN)
    for notify, orcpt, envid in (
        ("SUCCESS", "rfc822;p at+x=y@old.example", "a+b=c d"),
        ("NEVER", "utf-8;pät@old.example", "ä"),
        ("", "rfc822;" + "x" * 600, "y" * 101),
    ):
        draft = house.door.admission.begin(
            Author(session.account, session.organisation, ANN, frozenset({ANN}), True),
            Submitted(ANN, (Addressee(PAT, notify, orcpt),), "HDRS", envid),
            "smtp",
        )
        draft.header(house.mail(":: hello"))
        draft.commit_now()
    desk.deliver()
    asked = [each for each, _, _ in desk.answers.sent if each.recipient == PAT]
    assert {(each.notify, each.orcpt, each.envid, each.ret) for each in asked} == {
        (None, "rfc822;p+20at+2Bx+3Dy@old.example", "a+2Bb+3Dc+20d", "HDRS"),
        ("NEVER", None, None, "HDRS"),
        (None, None, None, "HDRS"),
    }


def test_reports_about_sealed_mail_are_asked_of_nobody(desk: Desk, ann: int) -> None:
    submit(desk.house, desk.house.mail(), [Addressee(PAT, "SUCCESS", "rfc822;p@old.example")])
    desk.deliver()
    envelope = next(each for each, _, _ in desk.answers.sent if each.recipient == PAT)
    assert (envelope.notify, envelope.orcpt, envelope.ret, envelope.envid) == (None, None, None, None)

"""What does an author see of what became of a message, and what does a recall do?"""

from __future__ import annotations

import pytest

from cryptnsend.core.errors import CryptnSendError, Denied, Ended, NoGrant
from tests.flow.admitting import sent
from tests.support.house import DAY, House

ANN, PAT, BOB, CARL = "ann@gmail.example", "pat@yahoo.example", "bob@outlook.example", "carl@mail.example"


def deliver(house: House, message: int, kind: str, state: str, reply: str = "") -> None:
    house.tamper(
        "UPDATE deliveries SET state = :state, reply = :reply, settled = :now"
        " WHERE message = :message AND kind = :kind",
        state=state, reply=reply, now=house.clock.now(), message=message, kind=kind,
    )  # fmt: skip


def test_the_author_sees_each_recipients_state(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT, CARL], house.mail(to=["Pat Lee <pat@yahoo.example>"], bcc=[CARL]))
    session = house.session(ANN)

    def states() -> list[tuple[str, str, bool]]:
        return [
            (each.address, each.state, each.needs_code) for each in house.pickup.status(session, message).recipients
        ]

    assert states() == [(PAT, "waiting", True), (CARL, "waiting", True)]
    assert house.pickup.status(session, message).recipients[0].name == "Pat Lee"
    deliver(house, message, "notice", "delayed", "450 4.2.1 later")
    assert [each.reply for each in house.pickup.status(session, message).recipients] == ["450 4.2.1 later"] * 2
    deliver(house, message, "notice", "delivered")
    assert states() == [(PAT, "notified", True), (CARL, "notified", True)]
    pat = house.register(PAT, message)
    assert states() == [(PAT, "notified", False), (CARL, "notified", True)]
    house.pickup.show(pat, message)
    assert states() == [(PAT, "opened", False), (CARL, "notified", True)]
    deliver(house, message, "notice", "failed", "550 5.1.1 no such user")
    assert states() == [(PAT, "opened", False), (CARL, "bounced", True)]
    entry = house.pickup.sent(session)[0]
    assert (entry.subject, entry.message, entry.taken_back) == ("Results", message, False)


def test_nobody_but_the_author_sees_who_was_written_to_in_secret(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT, CARL], house.mail(bcc=[CARL]))
    pat, carl = house.register(PAT, message), house.register(CARL, message)
    for reader in (pat, carl):
        letter = house.pickup.show(reader, message)
        assert CARL not in str((letter.to, letter.others, letter.text, letter.html))
        assert letter.to == (PAT,)
        with pytest.raises(NoGrant):
            house.pickup.status(reader, message)
        assert house.pickup.sent(reader) == []


def test_a_recall_counts_at_once_and_can_be_undone_for_a_week(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT, CARL], house.mail(to=[PAT, CARL]))
    pat, carl, session = house.register(PAT, message), house.register(CARL, message), house.session(ANN)
    when = house.clock.now()
    house.pickup.expire(session, message)
    house.pickup.expire(session, message)
    for reader in (pat, carl):
        for reading in (house.pickup.show, house.pickup.eml):
            with pytest.raises(Ended):
                reading(reader, message)
        assert [each.state for each in house.pickup.list(reader)] == ["suspended"]
    status = house.pickup.status(session, message)
    assert (status.taken_back, status.undo_until) == (when, when + 7 * DAY)
    assert house.pickup.sent(session)[0].taken_back
    waiting = house.pickup.waiting(house.link(message, PAT))
    assert (waiting.state, waiting.ended) == ("suspended", when)
    assert house.pickup.show(session, message).mine
    house.pickup.restore(session, message)
    assert house.pickup.show(pat, message).ends == status.ends
    assert house.pickup.status(session, message).taken_back is None
    with pytest.raises(Denied):
        house.pickup.restore(session, message)
    org = session.organisation
    assert [action for _, action in house.audited(org)].count("grant.suspended") == 1


def test_a_recall_from_one_leaves_the_others(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT, CARL], house.mail(to=[PAT, CARL]))
    pat, carl, session = house.register(PAT, message), house.register(CARL, message), house.session(ANN)
    house.pickup.expire(session, message, PAT)
    with pytest.raises(Ended):
        house.pickup.show(pat, message)
    assert house.pickup.show(carl, message).subject == "Results"
    status = house.pickup.status(session, message)
    assert [(each.address, each.suspended) for each in status.recipients] == [(CARL, False), (PAT, True)]
    assert status.taken_back is None
    house.pickup.restore(session, message, PAT)
    assert house.pickup.show(pat, message).subject == "Results"


def test_a_recall_keeps_what_has_not_left_from_leaving_and_undoing_sends_it(house: House, ann: int) -> None:
    message, session = sent(house), house.session(ANN)
    house.pickup.expire(session, message)
    assert [row["state"] for row in house.queued("notice")] == ["cancelled"]
    rings = house.rings
    house.pickup.restore(session, message)
    assert [row["state"] for row in house.queued("notice")] == ["due"]
    assert house.rings == rings + 1
    assert house.pickup.show(house.register(PAT, message), message).subject == "Results"


def test_plain_mail_that_is_recalled_loses_its_key(house: House, ann: int) -> None:
    message, session = house.submit(ANN, [PAT], house.mail(":: Lunch")), house.session(ANN)
    row = house.queued("relay")[0]
    assert row["queue_wrap"] is not None
    house.pickup.expire(session, message)
    row = house.queued("relay")[0]
    assert (row["state"], row["queue_wrap"], row["queue_epoch"]) == ("cancelled", None, None)


def test_a_recall_reaches_a_recipient_who_registers_after_it(house: House, ann: int) -> None:
    message = sent(house)
    other = sent(house)
    house.pickup.expire(house.session(ANN), message)
    pat = house.register(PAT, other)
    with pytest.raises(Ended):
        house.pickup.show(pat, message)
    house.pickup.restore(house.session(ANN), message)
    assert house.pickup.show(pat, message).subject == "Results"


def test_only_the_author_recalls(house: House, ann: int) -> None:
    house.add_subscriber(BOB)
    message = house.submit(ANN, [PAT, BOB], house.mail(to=[PAT, BOB]))
    for somebody in (house.register(PAT, message), house.session(BOB)):
        for acting in (house.pickup.expire, house.pickup.restore, house.pickup.status):
            with pytest.raises(NoGrant):
                acting(somebody, message)


def test_the_journal_hears_of_a_recall_before_it_counts(house: House, ann: int) -> None:
    message, session = sent(house), house.session(ANN)
    pat = house.register(PAT, message)
    house.stop_keeper()
    with pytest.raises(CryptnSendError):
        house.pickup.expire(session, message)
    house.start_keeper()
    assert house.pickup.show(pat, message).subject == "Results"
    house.pickup.expire(session, message)
    kinds = [line.split('"kind":"')[1].split('"')[0] for line in house.home.journal.read_text().splitlines()]
    assert kinds == ["suspend", "cancel"]

"""What is left in the rows when a message is gone? Nothing but the audit trail, and that somebody was written to."""

from __future__ import annotations

import pytest

from cryptnsend.core.errors import CryptnSendError, Ended
from cryptnsend.flow.views import Writing
from cryptnsend.store.records import trail
from tests.flow.conftest import Desk
from tests.support.house import DAY, HOUR, House, MakeHouse

ANN, PAT, HIDDEN = "ann@gmail.example", "pat@yahoo.example", "secret@hidden.example"


@pytest.fixture
def kept(make_house: MakeHouse) -> House:
    """A house that keeps mail for sixty days, with a courier whose mails all arrive."""
    made = make_house(life={"retention_days": 60, "draft_days": 30})
    made.add_subscriber(ANN)
    Desk(made)
    return made


def days(house: House, count: float, *, mailing: bool = False) -> None:
    """Let days pass; *mailing*: what becomes due meanwhile leaves, such as reminders."""
    for _ in range(int(count * 2)):
        house.clock.forward(12 * HOUR)
        house.upkeep.once()
        if mailing:
            house.courier.deliver.once()


def about(house: House, message: int) -> set[str]:
    """Return the tables whose rows name a message, but for the trail and the list of the archive."""
    return {
        table
        for table, row in house.rows()
        if table not in ("audit", "archived") and message in [value for value in row.values() if isinstance(value, int)]
    }


def test_rows_about_a_message_go_once_nobody_can_open_it_and_the_audit_trail_stays(kept: House) -> None:
    message = kept.submit(ANN, [PAT, HIDDEN], kept.mail(bcc=[HIDDEN]))
    pat = kept.register(PAT, message)
    reply = kept.replies.send(pat, message, everybody=False, text="Thank you.", files=(), nonce=b"1" * 16)
    kept.courier.deliver.once()
    org = kept.session(ANN).organisation
    before = kept.audited(org)
    days(kept, 66, mailing=True)
    assert {"messages", "recipients", "deliveries", "links"} <= about(kept, message)
    days(kept, 3, mailing=True)
    assert about(kept, message) == about(kept, reply) == set()
    tables = [table for table, _ in kept.rows()]
    assert not {"messages", "threads", "recipients", "grants", "contents"} & set(tables)
    assert not [row for table, row in kept.rows() if table == "links" and HIDDEN in str(row)]
    assert kept.audited(org)[: len(before)] == before
    assert kept.audited(org).count(("upkeep", "message.removed")) == 2
    assert trail.verify(kept.engine, org).broken is None
    assert kept.engine.query("PRAGMA foreign_key_check") == []


def test_what_is_left_of_a_removed_message_looks_like_nothing_at_all(kept: House) -> None:
    message = kept.submit(ANN, [PAT], kept.mail())
    pat = kept.register(PAT, message)
    token = kept.link(message, PAT)
    kept.courier.deliver.once()
    days(kept, 69, mailing=True)
    session = kept.session(ANN)
    assert kept.pickup.list(kept.session(PAT)) == kept.pickup.sent(session) == []
    with pytest.raises(Ended):
        kept.pickup.waiting(token)
    for somebody in (session, pat):
        with pytest.raises(CryptnSendError):
            kept.pickup.show(somebody, message)
    fresh = kept.submit(ANN, [PAT], kept.mail("Anew"))
    assert kept.pickup.show(kept.session(PAT), fresh).subject == "Anew"  # the contact is as proven as it was


def test_a_thread_stays_for_the_messages_that_are_younger(kept: House) -> None:
    message = kept.submit(ANN, [PAT], kept.mail())
    pat = kept.register(PAT, message)
    kept.courier.deliver.once()
    days(kept, 29)
    reply = kept.replies.send(pat, message, everybody=False, text="Late.", files=(), nonce=b"1" * 16)
    kept.courier.deliver.once()
    days(kept, 40)
    assert about(kept, message) <= {"messages", "threads"}  # a thread has the number of the message that began it
    assert kept.pickup.show(kept.session(ANN), reply).text == "Late.\n"
    assert [row["id"] for table, row in kept.rows() if table == "messages"] == [reply]


def test_what_is_still_under_way_or_being_answered_waits(kept: House) -> None:
    written = kept.submit(ANN, [PAT], kept.mail())
    pat = kept.register(PAT, written)
    kept.courier.deliver.once()
    under_way = kept.submit(ANN, [PAT], kept.mail("Other"))
    days(kept, 10)
    kept.portal.drafts.save(pat, Writing("Not sent yet"), parent=written)
    kept.tamper("UPDATE drafts SET changed = :later", later=kept.clock.now() + 100 * DAY)
    days(kept, 59)
    states = {row["id"]: row["state"] for row in kept.engine.query("SELECT id, state FROM messages")}
    assert states == {written: "gone", under_way: "gone"}
    kept.tamper("UPDATE deliveries SET state = 'cancelled'")
    kept.tamper("DELETE FROM drafts")
    days(kept, 1)
    assert kept.engine.query("SELECT id FROM messages") == []


def test_mails_about_accounts_are_forgotten_after_a_season(kept: House) -> None:
    kept.accounts.add_device(kept.session(ANN), "Outlook", "submit")
    kept.courier.deliver.once()
    assert {row["state"] for row in kept.queued("alert")} == {"delivered"}
    days(kept, 89)
    assert kept.queued("alert")
    days(kept, 2)
    assert kept.queued("alert") == []
    assert kept.engine.query("SELECT id FROM links") == []

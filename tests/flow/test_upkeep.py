"""What ends by itself, what does not, and what stays ended?"""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from cryptnsend.core.errors import CryptnSendError, Denied, Ended, NoGrant
from cryptnsend.flow import closing
from cryptnsend.store.records import audit, oversight
from cryptnsend.store.vault import hold_deletions
from tests.support.house import DAY, HOUR, MINUTE, OTHER, PASSWORD, House, MakeHouse
from tests.support.waiting import wait_for

ANN, PAT = "ann@gmail.example", "pat@yahoo.example"


@pytest.fixture
def ann(house: House) -> int:
    return house.add_subscriber(ANN)


def states(house: House) -> list[tuple[str, str]]:
    return [(row["role"], row["state"]) for row in house.engine.query("SELECT role, state FROM grants ORDER BY role")]


def journal(house: House) -> list[str]:
    return [line.split('"kind":"')[1].split('"')[0] for line in house.home.journal.read_text().splitlines()]


def live_through(house: House, milliseconds: int, step: int = 6 * HOUR) -> None:
    """Let time pass with upkeep at work."""
    for _ in range(-(-milliseconds // step)):
        house.clock.forward(step)
        house.upkeep.once()


def test_recipients_lose_a_message_when_its_time_is_over_and_nobody_else_does(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT, ANN], house.mail(to=[PAT, ANN]))
    house.register(PAT, message)
    live_through(house, 30 * DAY - 6 * HOUR)
    assert ("recipient", "suspended") not in states(house)
    live_through(house, 6 * HOUR)
    assert sorted(states(house)) == [
        ("archive", "active"), ("author", "active"), ("recipient", "active"), ("recipient", "suspended"),
    ]  # fmt: skip
    pat, session = house.session(PAT), house.session(ANN)
    with pytest.raises(Ended):
        house.pickup.show(pat, message)
    assert [each.state for each in house.pickup.list(pat)] == ["expired"]
    waiting = house.pickup.waiting(house.link(message, PAT))
    assert (waiting.state, waiting.ended) == ("expired", house.pickup.status(session, message).ends)
    assert house.pickup.show(session, message).subject == "Results"
    assert journal(house) == ["suspend"]


def test_what_expired_can_be_given_back_for_a_week(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    house.register(PAT, message)
    live_through(house, 31 * DAY)
    session = house.session(ANN)
    house.pickup.restore(session, message)
    letter = house.pickup.show(house.session(PAT), message)
    assert letter.ends == house.clock.now() + 30 * DAY
    assert house.pickup.status(session, message).ends == letter.ends
    live_through(house, 31 * DAY)
    with pytest.raises(Ended):
        house.pickup.show(house.session(PAT), message)


def test_after_a_week_what_was_suspended_is_shredded_for_good(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    house.register(PAT, message)
    row = house.engine.query("SELECT wrap FROM grants WHERE role = 'recipient'")[0]
    house.pickup.expire(house.session(ANN), message)
    live_through(house, 7 * DAY - 6 * HOUR)
    assert ("recipient", "suspended") in states(house)
    live_through(house, 6 * HOUR)
    assert sorted(states(house)) == [("archive", "active"), ("author", "active")]
    with pytest.raises(NoGrant):
        house.pickup.show(house.session(PAT), message)
    with pytest.raises(Denied):
        house.pickup.restore(house.session(ANN), message)
    assert house.pickup.waiting(house.link(message, PAT)).state == "suspended"
    for file in house.home.main_db.parent.glob("main.db*"):
        assert row["wrap"] not in file.read_bytes()
    assert journal(house) == ["suspend", "cancel", "shred"]


@pytest.fixture
def kept(make_house: MakeHouse) -> House:
    """A house that keeps everything for sixty days."""
    made = make_house(life={"retention_days": 60})
    made.add_subscriber(ANN)
    return made


def letters(house: House) -> list[int]:
    return [each.message for each in house.pickup.sent(house.session(ANN))]


def test_the_retention_ends_what_nothing_else_ends_and_the_content_goes(kept: House) -> None:
    message = kept.submit(ANN, [PAT, ANN], kept.mail(text="long ago " * 20_000, to=[PAT, ANN]))
    kept.submit(ANN, [PAT], kept.mail())
    pat = kept.register(PAT, message)
    kept.clock.forward(1)
    kept.replies.send(pat, message, everybody=False, text="Thank you.", files=[], nonce=b"1" * 16)
    live_through(kept, 60 * DAY - 6 * HOUR)
    assert kept.pickup.show(kept.session(ANN), message).subject == "Results"
    live_through(kept, 12 * HOUR)
    with pytest.raises(Ended):
        kept.pickup.show(kept.session(ANN), message)
    assert letters(kept)  # for these days the list still says that there was one
    assert {row["state"] for row in kept.engine.query("SELECT state FROM grants")} == {"suspended"}
    live_through(kept, 7 * DAY)
    assert kept.engine.query("SELECT 1 FROM grants") == kept.engine.query("SELECT 1 FROM contents") == []
    assert {row["state"] for row in kept.engine.query("SELECT state FROM messages")} == {"gone"}
    assert list(kept.portal.blobs.keys()) == []
    assert letters(kept) == []
    with pytest.raises(NoGrant):
        kept.pickup.show(kept.session(ANN), message)
    said = {action for _, action in kept.audited(kept.session(ANN).organisation)}
    assert {"message.sealed", "grant.suspended", "grant.shredded"} <= said  # what happened stays told


def test_a_message_that_may_be_read_longer_than_it_is_kept_stays_for_its_readers(make_house: MakeHouse) -> None:
    house = make_house(life={"retention_days": 10})
    house.add_subscriber(ANN)
    message = house.submit(ANN, [PAT], house.mail())
    pat = house.register(PAT, message)
    live_through(house, 20 * DAY)
    assert house.pickup.show(house.session(PAT), message).subject == "Results"
    assert states(house) == [("recipient", "active")]
    live_through(house, 20 * DAY)
    assert states(house) == []
    assert pat.account


def test_what_a_wrong_clock_retired_comes_back_when_it_is_right(kept: House) -> None:
    """The clock was wrong when the server started, so that nothing told it from the right time."""
    message = kept.submit(ANN, [PAT], kept.mail())
    kept.clock.jump(400 * DAY)
    wrong = kept.process("courier").upkeep
    wrong.once()
    with pytest.raises(Ended):
        kept.pickup.show(kept.session(ANN), message)
    kept.clock.jump(-400 * DAY)
    right = kept.process("courier").upkeep
    right.once()
    assert kept.pickup.show(kept.session(ANN), message).subject == "Results"
    assert [row["ends"] for row in kept.engine.query("SELECT ends FROM grants WHERE role <> 'recipient'")] == [None] * 2


def test_a_longer_retention_comes_in_time_for_what_is_not_shredded_yet(make_house: MakeHouse) -> None:
    house = make_house(life={"retention_days": 60})
    house.add_subscriber(ANN)
    message = house.submit(ANN, [PAT], house.mail())
    live_through(house, 61 * DAY)
    longer = house.process("courier")
    longer.config = replace(longer.config, life=replace(longer.config.life, retention_days=90))
    longer.upkeep.once()
    assert house.pickup.show(house.session(ANN), message).subject == "Results"


def test_what_the_retention_ended_is_ended_again_when_a_backup_comes_back(kept: House) -> None:
    message = kept.submit(ANN, [PAT, ANN], kept.mail(to=[PAT, ANN]))
    before = kept.engine.query("SELECT * FROM grants")
    live_through(kept, 61 * DAY)
    for row in before:
        kept.tamper("UPDATE grants SET state = 'active', ends = :ends WHERE id = :id", ends=row["ends"], id=row["id"])
    kept.upkeep.restored()
    assert {state for _, state in states(kept)} == {"suspended"}
    live_through(kept, 8 * DAY)
    assert states(kept) == []
    assert kept.engine.query("SELECT state FROM messages WHERE id = :m", m=message) == [{"state": "gone"}]


def test_content_goes_with_the_last_grant(house: House, ann: int) -> None:
    large = house.submit(ANN, [PAT], house.mail(text="word " * 20_000))
    assert len(list(house.portal.blobs.keys())) == 1
    house.tamper("DROP TRIGGER archive_stays")
    house.tamper("DELETE FROM grants WHERE role <> 'recipient'")
    live_through(house, 38 * DAY)
    assert house.engine.query("SELECT state FROM messages WHERE id = :m", m=large)[0]["state"] == "gone"
    assert house.engine.query("SELECT * FROM contents") == []
    assert list(house.portal.blobs.keys()) == []


def test_while_somebody_copies_blobs_none_is_deleted_and_later_it_is(house: House, ann: int) -> None:
    house.submit(ANN, [PAT], house.mail(text="word " * 20_000))
    house.tamper("DROP TRIGGER archive_stays")
    house.tamper("DELETE FROM grants WHERE role <> 'recipient'")
    with hold_deletions(house.home.run / "deletions.lock"):
        live_through(house, 38 * DAY)
        assert len(list(house.portal.blobs.keys())) == 1
    for path in house.home.blobs.rglob("*"):
        if path.is_file():
            import os

            os.utime(path, (0, 0))
    live_through(house, DAY)
    assert list(house.portal.blobs.keys()) == []


@pytest.mark.parametrize("days", [1, 400, -1, -400])
def test_no_message_ends_because_the_clock_jumped(house: House, ann: int, days: int) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    house.register(PAT, message)
    house.upkeep.once()
    house.clock.forward(30 * DAY - HOUR)  # an hour before its time is over
    house.upkeep.once()
    house.clock.jump(days * DAY)
    house.upkeep.once()
    assert ("recipient", "suspended") not in states(house)
    house.clock.forward(30 * MINUTE)
    house.upkeep.once()
    assert ("recipient", "suspended") not in states(house)
    house.clock.jump(-days * DAY)
    house.upkeep.once()
    assert ("recipient", "suspended") not in states(house)
    house.clock.forward(31 * MINUTE)
    house.upkeep.once()
    assert ("recipient", "suspended") in states(house)


def test_a_wrong_clock_ends_nothing_however_long_it_stays_wrong(house: House, ann: int) -> None:
    house.submit(ANN, [PAT], house.mail())
    house.upkeep.once()
    house.clock.jump(400 * DAY)
    live_through(house, 3 * DAY, HOUR)
    assert ("recipient", "suspended") not in states(house)


def test_a_machine_that_slept_over_the_weekend_goes_on_after_an_hour(house: House, ann: int) -> None:
    house.submit(ANN, [PAT], house.mail())
    house.clock.forward(29 * DAY)
    house.upkeep.once()
    house.clock.jump(2 * DAY)
    house.upkeep.once()
    assert ("recipient", "suspended") not in states(house)
    live_through(house, 2 * HOUR, HOUR // 2)
    assert ("recipient", "suspended") in states(house)


def test_without_the_keeper_nothing_ends_and_later_it_does(house: House, ann: int) -> None:
    house.submit(ANN, [PAT], house.mail())
    house.clock.forward(31 * DAY)
    house.stop_keeper()
    with pytest.raises(CryptnSendError):
        house.upkeep.once()
    assert ("recipient", "suspended") not in states(house)
    house.start_keeper()
    house.upkeep.once()
    assert ("recipient", "suspended") in states(house)


def test_more_than_a_page_ends_in_one_round(house: House, ann: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(7):
        house.submit(ANN, [PAT], house.mail())
    monkeypatch.setattr("cryptnsend.store.records.upkeep.grants_to_suspend.__defaults__", (3,))
    house.clock.forward(31 * DAY)
    house.upkeep.once()
    assert states(house).count(("recipient", "suspended")) == 7
    assert journal(house) == ["suspend"] * 3


def test_what_only_mattered_for_a_while_is_forgotten(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    pat = house.register(PAT, message)
    house.replies.send(pat, message, everybody=False, text="x", files=[], nonce=b"1" * 16)
    with pytest.raises(Denied):
        house.accounts.sign_in(ANN, "wrong", "198.51.100.9", "")
    live_through(house, 12 * DAY)
    house.clock.forward(90 * DAY)
    live_through(house, 1)
    for table in ("sessions", "form_nonces", "throttle", "counters"):
        assert [name for name, _ in house.rows() if name == table] == []
    assert house.engine.query("SELECT count(*) AS n FROM epochs")[0]["n"] > 0


def test_the_keeper_knows_how_far_each_audit_chain_has_come(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    house.register(PAT, message)
    house.upkeep.once()
    org = house.session(ANN).organisation
    head = audit.head(house.engine, org)
    house.keeper("courier").checkpoint(org, head.seq, head.hash)
    with pytest.raises(Denied):
        house.keeper("courier").checkpoint(org, 1, b"x" * 32)


def test_a_trail_that_was_cut_off_is_reported_and_upkeep_goes_on(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    house.upkeep.once()
    house.tamper("DELETE FROM audit WHERE seq > 1")
    live_through(house, 31 * DAY)
    assert ("recipient", "suspended") in states(house)
    assert house.pickup.status(house.session(ANN), message).subject == "Results"


def test_who_resets_a_password_by_mail_is_reminded_each_day_that_waiting_opens_everything(
    house: House, ann: int
) -> None:
    house.reset(ANN)
    live_through(house, 3 * DAY)
    reminded = house.alerts().count((ANN, "reset-waiting"))
    assert reminded in (3, 4)
    house.accounts.unlock(house.session(ANN, OTHER), "password", PASSWORD, OTHER, "")
    live_through(house, 3 * DAY)
    assert house.alerts().count((ANN, "reset-waiting")) == reminded


def test_it_runs_in_a_thread_until_it_is_stopped(house: House, ann: int) -> None:
    house.submit(ANN, [PAT], house.mail())
    house.clock.forward(1)
    upkeep, stop = house.upkeep, threading.Event()
    house.clock.forward(31 * DAY)
    thread = threading.Thread(target=upkeep.run, args=(stop,))
    thread.start()
    wait_for(lambda: ("recipient", "suspended") in states(house), "the message to end")
    stop.set()
    thread.join(60)
    assert not thread.is_alive()


# -- after a restore --------------------------------------------------------------------------------------------------


def test_an_account_that_was_closed_since_the_backup_leaves_nothing_when_that_comes_back(
    house: House, ann: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    pat = house.register(PAT, message)
    with monkeypatch.context() as backup:  # its rows know nothing of what the keeper has closed
        backup.setattr(closing, "follow", lambda *_: None)
        house.accounts.close(pat, PASSWORD, "203.0.113.9")
        house.engine.write(lambda rows: oversight.unmark(rows, pat.account, oversight.CLOSING)).result()
    house.courier.upkeep.restored()
    house.courier.upkeep.once()
    assert house.engine.query("SELECT state FROM accounts WHERE id = :id", id=pat.account) == [{"state": "closed"}]
    assert not house.engine.query("SELECT id FROM grants WHERE holder = :holder", holder=f"account:{pat.account}")
    assert not house.engine.query("SELECT id FROM addresses WHERE account = :id", id=pat.account)
    assert house.pickup.show(house.session(ANN), message).subject == "Results"
    house.courier.upkeep.restored()
    assert [action for _, action in house.audited(pat.organisation)].count("account.closed") == 1


def test_what_ended_stays_ended_when_a_backup_comes_back(house: House, ann: int) -> None:
    """The rows go back to how they were; the journal, which is in no backup, does not."""
    recalled, shredded, undone, kept = (house.submit(ANN, [PAT], house.mail()) for _ in range(4))
    pat, session = house.register(PAT, recalled), house.session(ANN)
    device = house.accounts.add_device(session, "laptop", "submit")
    saved = {
        table: [row for name, row in house.rows() if name == table] for table in ("grants", "devices", "deliveries")
    }
    cookie = house.accounts.sign_in(ANN, "velvet acorn harvest dune pickle", "", "")

    house.pickup.expire(session, shredded)
    house.accounts.revoke_device(session, device.id)
    live_through(house, 8 * DAY)
    session = house.session(ANN)
    house.pickup.expire(session, recalled)
    house.pickup.expire(session, undone)
    house.pickup.restore(session, undone)
    cookie = house.accounts.sign_in(ANN, "velvet acorn harvest dune pickle", "", "")

    house.tamper("DROP TRIGGER archive_stays")  # a backup comes back as a whole
    for table, rows in saved.items():
        house.tamper(f"DELETE FROM {table}")  # noqa: S608 - one of three names
        for row in rows:
            names = ", ".join(row)
            places = ", ".join(f":{name}" for name in row)
            house.tamper(f"INSERT INTO {table}({names}) VALUES ({places})", **row)  # noqa: S608
    house.courier.upkeep.restored()

    assert house.accounts.session(cookie) is None
    pat = house.session(PAT)
    with pytest.raises(Ended):
        house.pickup.show(pat, recalled)
    with pytest.raises(NoGrant):
        house.pickup.show(pat, shredded)
    assert house.pickup.show(pat, undone).subject == "Results"
    assert house.pickup.show(pat, kept).subject == "Results"
    assert house.accounts.devices(house.session(ANN)) == []
    with pytest.raises(Denied):
        house.sign_in_smtp(ANN, device.password)
    assert {row["state"] for row in house.queued("notice") if row["message"] in (recalled, shredded)} == {"cancelled"}

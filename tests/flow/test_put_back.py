"""An attacker puts a card or a statement of before back into the main rows. The keeper signed it, and says no more so.

The process that seals has just been started, or runs on: either way the keeper is asked, and nothing goes to whoever
held an address then.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cryptnsend.core.errors import KeeperGone, NoGrant
from cryptnsend.flow import holders
from cryptnsend.keeper.client import Keeper
from tests.flow.rows import count, grants, thread_of
from tests.support.house import OTHER, House, MakeHouse

ANN, PAT, BOB, CARL = "ann@clinic.example", "pat@yahoo.example", "bob@clinic.example", "carl@mail.example"


@pytest.fixture
def ann(house: House) -> int:
    return house.add_subscriber(ANN)


def mail(house: House, to: str = PAT, more: str = "") -> bytes:
    return house.mail(author=ANN, to=[to], more=more)


@contextmanager
def restarted(house: House) -> Iterator[None]:
    """Seal in a process that has seen nobody yet."""
    before, house.door = house.door, house.process("submission")
    yield
    house.door.keeper.close()
    house.door = before


def rests_for(house: House, message: int, role: str = "recipient") -> set[str]:
    """Return to whose pair a message's grants of one role are sealed."""
    return {row["sealed_to"] for (_, each), row in grants(house, message).items() if each == role}


def pairs_of(house: House, message: int, role: str) -> set[int]:
    found = house.engine.query(
        "SELECT e.pair FROM grants g JOIN epochs e ON e.id = g.epoch WHERE g.message = :m AND g.role = :role",
        m=message,
        role=role,
    )
    return {row["pair"] for row in found}


def put_back(house: House, holder: str) -> None:
    """Make a holder's first card the newest that the rows have."""
    house.tamper("DELETE FROM cards WHERE holder = :h AND version > 1", h=holder)


def statement_of(house: House) -> dict[str, Any]:
    return house.engine.query("SELECT * FROM contacts WHERE statement IS NOT NULL")[0]


def put_statement_back(house: House, row: dict[str, Any]) -> None:
    house.tamper(
        "UPDATE contacts SET state = :state, account = :account, statement = :statement WHERE id = :id",
        **{name: row[name] for name in ("state", "account", "statement", "id")},
    )


@pytest.mark.parametrize("runs_on", [False, True], ids=["restarted", "running"])
def test_mail_does_not_go_to_the_pairs_of_before_a_reset(house: House, ann: int, runs_on: bool) -> None:
    pat = house.register(PAT, house.submit(ANN, [PAT], mail(house)))
    old = pairs_of(house, house.submit(ANN, [PAT], mail(house)), "recipient")
    proven = statement_of(house)
    house.reset(PAT)  # by whoever reads the mailbox
    put_back(house, f"account:{pat.account}")
    put_statement_back(house, proven)
    if runs_on:
        house.clock.forward(61_000)
        message = house.submit(ANN, [PAT], mail(house))
    else:
        with restarted(house):
            message = house.submit(ANN, [PAT], mail(house))
    assert rests_for(house, message) == {"keeper"}
    assert not old & pairs_of(house, message, "recipient")
    weak = house.session(PAT, OTHER)
    with pytest.raises(NoGrant):
        house.pickup.show(weak, message)
    house.prove(weak, PAT, message)
    assert house.pickup.show(house.session(PAT, OTHER), message).subject == "Results"


def test_ones_own_copy_goes_to_ones_pairs_of_today(house: House, ann: int) -> None:
    old = pairs_of(house, house.submit(ANN, [PAT], mail(house)), "author")
    house.reset(ANN)
    put_back(house, f"account:{ann}")
    with restarted(house):
        message = house.submit(ANN, [PAT], mail(house))
    assert not old & pairs_of(house, message, "author")
    assert house.pickup.show(house.session(ANN, OTHER), message).subject == "Results"


def test_a_statement_counts_no_more_once_its_organisation_asks_for_codes(make_house: MakeHouse) -> None:
    """Nothing on the card changed: only asking for the contact itself shows it."""
    house = make_house(codes={"rule": "never"})
    org = house.organisation("Clinic")
    house.add_subscriber(ANN, organisation=org)
    first = house.submit(ANN, [PAT], mail(house))
    token = house.link(first, PAT)
    ticket = house.pickup.prove(token, "", "192.0.2.9").ticket
    pat = house.found(house.accounts.register(ticket, OTHER, "", "192.0.2.9", "x", "en"))
    row = house.engine.query("SELECT id FROM contacts")[0]
    stated = house.keeper("portal").vouch([], [holders.ContactName(PAT, house.account(ANN))]).statements[0]
    put_statement_back(house, {"id": row["id"], "state": "waived", "account": pat.account, "statement": stated})
    assert rests_for(house, house.submit(ANN, [PAT], mail(house))) == {f"account:{pat.account}"}
    house.keeper("owner").organisation_rule(org, "new-contact")
    with restarted(house):
        assert rests_for(house, house.submit(ANN, [PAT], mail(house))) == {"keeper"}
    house.clock.forward(61_000)
    assert rests_for(house, house.submit(ANN, [PAT], mail(house))) == {"keeper"}


def test_whose_code_counts_for_one_message_only_gets_the_next_under_the_pending_key(make_house: MakeHouse) -> None:
    house = make_house(codes={"rule": "always"})
    house.add_subscriber(ANN)
    house.register(PAT, house.submit(ANN, [PAT], mail(house)))
    second = house.submit(ANN, [PAT], mail(house))
    house.prove(house.session(PAT), PAT, second)
    assert rests_for(house, house.submit(ANN, [PAT], mail(house))) == {"keeper"}


def test_a_colleague_who_reset_by_mail_catches_no_thread(house: House) -> None:
    """Ann answers in Bob's thread only while Bob is surely a colleague; his card of before says so for ever."""
    org = house.organisation("Clinic")
    for address in (ANN, BOB):
        house.add_subscriber(address, organisation=org)
    bob = house.account(BOB)
    written = house.mail("Results", author=BOB, to=[ANN], cc=[CARL])
    first = house.submit(BOB, [ANN, CARL], written)
    ident = house.engine.query("SELECT message_id FROM messages WHERE id = :m", m=first)[0]["message_id"]
    answer = mail(house, CARL, f"In-Reply-To: {ident}\r\n")
    assert thread_of(house, house.submit(ANN, [CARL], answer))["subscriber"] == bob
    house.reset(BOB)
    put_back(house, f"account:{bob}")
    house.clock.forward(1)
    with restarted(house):
        answered = house.submit(ANN, [CARL], answer + b"And so on.\r\n")
    assert thread_of(house, answered)["subscriber"] == house.account(ANN)


def test_rows_that_lag_behind_the_keeper_delay_nothing(house: House, ann: int) -> None:
    """A process that dies between the keeper's answer and its rows leaves the same rows as an attacker does."""
    pat = house.register(PAT, house.submit(ANN, [PAT], mail(house)))
    house.keeper("portal").profile(pat.ticket, name="Pat")  # nobody writes the answer down
    house.clock.forward(61_000)
    message = house.submit(ANN, [PAT], mail(house))
    assert house.pickup.show(house.session(PAT), message).subject == "Results"


def test_without_the_keeper_nothing_is_taken_from_rows_alone(house: House, ann: int) -> None:
    house.register(PAT, house.submit(ANN, [PAT], mail(house)))
    sealed = count(house, "messages")
    house.stop_keeper()
    house.clock.forward(61_000)
    with pytest.raises(KeeperGone):
        house.submit(ANN, [PAT], mail(house))
    assert count(house, "messages") == sealed
    house.start_keeper()
    assert rests_for(house, house.submit(ANN, [PAT], mail(house)))


def test_the_keeper_is_asked_once_about_all_new_people_of_a_message_and_then_no_more(
    house: House, ann: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [f"pat{number}@yahoo.example" for number in range(5)]
    first = house.submit(ANN, people, house.mail(author=ANN, to=people))
    for each in people:
        house.register(each, first)
    asked: list[tuple[int, int]] = []
    vouch = Keeper.vouch

    def counting(keeper: Keeper, some: Any, names: Any) -> Any:
        if some or names:
            asked.append((len(some), len(names)))
        return vouch(keeper, some, names)

    monkeypatch.setattr(Keeper, "vouch", counting)
    house.submit(ANN, people, house.mail(author=ANN, to=people))
    assert asked == [(5, 0), (0, 5)]
    house.submit(ANN, people, house.mail(author=ANN, to=people))
    assert len(asked) == 2
    house.clock.forward(31_000)
    house.submit(ANN, people, house.mail(author=ANN, to=people))
    house.door.holders.refresh()  # what the door does every few seconds, before a message would have to wait
    assert len(asked) == 3
    house.clock.forward(31_000)
    house.submit(ANN, people, house.mail(author=ANN, to=people))
    assert len(asked) == 3


def test_only_one_thread_asks_again_for_what_is_in_use(house: House, ann: int, monkeypatch: pytest.MonkeyPatch) -> None:
    house.submit(ANN, [PAT], mail(house))
    house.submit(ANN, [PAT], mail(house))
    house.clock.forward(31_000)
    asked, go_on = threading.Event(), threading.Event()
    vouch = Keeper.vouch

    def slow(keeper: Keeper, some: Any, names: Any) -> Any:
        asked.set()
        assert go_on.wait(30)
        return vouch(keeper, some, names)

    monkeypatch.setattr(Keeper, "vouch", slow)
    first = threading.Thread(target=house.door.holders.refresh)
    first.start()
    assert asked.wait(30)
    house.door.holders.refresh()  # would wait for ever
    go_on.set()
    first.join(30)
    assert not first.is_alive()


def test_a_message_to_more_people_than_the_keeper_answers_at_once_is_taken(
    make_house: MakeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = make_house()
    house.add_subscriber(ANN)
    people = [f"pat{number}@yahoo.example" for number in range(6)]
    first = house.submit(ANN, people, house.mail(author=ANN, to=people))
    accounts = {house.register(each, first).account for each in people}
    monkeypatch.setattr(holders, "_PAGE", 2)
    message = house.submit(ANN, people, house.mail(author=ANN, to=people))
    assert rests_for(house, message) == {f"account:{each}" for each in accounts}

"""Whose mail goes as ordinary mail? That of a sender's family and friends, as the keeper has them on the card."""

from __future__ import annotations

import json

import pytest

from cryptnsend.core.errors import Denied, Refusal, WrongSecret
from cryptnsend.flow.sessions import Session
from tests.support.house import AGENT, OTHER, PASSWORD, SOURCE, House, MakeHouse

ANN, MUM, PAT = "ann@gmail.example", "mum@home.example", "pat@yahoo.example"


@pytest.fixture
def ann(house: House) -> Session:
    house.add_subscriber(ANN)
    session = house.session(ANN)
    house.accounts.set_friends(session, f"Mum <{MUM.upper()}>, joe@home.example", PASSWORD, SOURCE)
    return session


def ways(house: House, message: int) -> dict[str, tuple[str, str]]:
    rows = house.engine.query(
        "SELECT a.canonical, r.decision, r.reason FROM recipients r JOIN addresses a ON a.id = r.address"
        " WHERE r.message = :m",
        m=message,
    )
    return {row["canonical"]: (row["decision"], row["reason"]) for row in rows}


def test_friends_get_ordinary_mail_and_everybody_else_a_notice(house: House, ann: Session) -> None:
    assert house.accounts.friends(ann) == (MUM, "joe@home.example")
    found = ways(house, house.submit(ANN, [MUM, PAT], house.mail(to=[MUM, PAT])))
    assert found[MUM] == ("relay", "friend")
    assert found[PAT][0] == "vault"
    assert (ANN, "friends-changed") in house.alerts()


def test_the_trail_names_who_was_added_and_who_removed(house: House, ann: Session) -> None:
    house.accounts.set_friends(ann, f"{PAT}, {MUM}", PASSWORD, SOURCE)
    rows = house.engine.query("SELECT detail FROM audit WHERE action = 'account.friends' ORDER BY seq")
    where = {"source": SOURCE, "agent": AGENT}
    assert [json.loads(row["detail"]) for row in rows] == [
        {**where, "count": 2, "added": ["joe@home.example", MUM], "removed": []},
        {**where, "count": 2, "added": [PAT], "removed": ["joe@home.example"]},
    ]


def test_secure_in_the_subject_locks_it_all_the_same(house: House, ann: Session) -> None:
    message = house.submit(ANN, [MUM], house.mail("secure/ Results", to=[MUM]))
    assert ways(house, message)[MUM][0] == "vault"


def test_what_was_once_sealed_stays_sealed_in_its_conversation(house: House, ann: Session) -> None:
    house.accounts.set_friends(ann, "", PASSWORD, SOURCE)
    first = house.submit(ANN, [MUM], house.mail(to=[MUM]))
    ident = house.engine.query("SELECT message_id FROM messages WHERE id = :m", m=first)[0]["message_id"]
    house.accounts.set_friends(ann, MUM, PASSWORD, SOURCE)
    answer = house.mail("Re: Results", to=[MUM], more=f"In-Reply-To: {ident}\r\n")
    assert ways(house, house.submit(ANN, [MUM], answer))[MUM] == ("vault", "thread-vaulted")


def test_where_plain_mail_is_forbidden_friends_get_none(make_house: MakeHouse) -> None:
    house = make_house(policy={"plain_token": False})
    house.add_subscriber(ANN)
    house.accounts.set_friends(house.session(ANN), MUM, PASSWORD, SOURCE)
    assert ways(house, house.submit(ANN, [MUM], house.mail(to=[MUM])))[MUM][0] == "vault"


def test_only_the_owner_with_the_password_names_them(house: House, ann: Session) -> None:
    with pytest.raises(WrongSecret):
        house.accounts.set_friends(ann, PAT, "not the password at all", SOURCE)
    with pytest.raises(Refusal, match="no address"):
        house.accounts.set_friends(ann, "oops", PASSWORD, SOURCE)
    weak = house.reset(ANN)
    with pytest.raises(Denied):
        house.accounts.set_friends(weak, PAT, OTHER, SOURCE)
    assert house.accounts.friends(weak) == ()  # nobody while it is not known whose account it is
    message = house.submit(ANN, [MUM], house.mail(to=[MUM]))
    assert ways(house, message)[MUM][0] == "vault"

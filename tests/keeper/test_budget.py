"""How many codes are mailed to one address, and can somebody with many networks keep its owner out?"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core.errors import Denied, Ended, NoGrant
from cryptnsend.flow.throttling import network_of
from cryptnsend.keeper import requests as q

from .conftest import PARAMS, Make, Person, Running, subscriber

ANN, NEW = "ann@clinic.example", "new@home.example"
HOME, OFFICE, AWAY = "203.0.113.0/24", "2001:db8:1:2::/64", "198.51.100.0/24"


@pytest.fixture
def keeper(make_keeper: Make) -> Running:
    return make_keeper(signup="open")


@pytest.fixture
def ann(keeper: Running) -> Person:
    """Ann, who has signed in from her home."""
    person = subscriber(keeper, ANN)
    keeper.portal.seen(person.ticket, HOME)
    return person


def ask(keeper: Running, network: str, address: str = ANN, purpose: str = "reset") -> q.MailProof:
    return keeper.portal.mail_proof(address, purpose, network)


def is_mailed(keeper: Running, proof: q.MailProof) -> bool:
    try:
        return keeper.courier.mail_code(proof.id).purpose in ("reset", "signup")
    except NoGrant:
        return False


def strange() -> Iterator[str]:
    """Yield one network after another."""
    yield from (f"192.0.{number}.0/24" for number in range(256))


def use_up(keeper: Running, address: str = ANN, purpose: str = "reset") -> int:
    """Ask from many networks until nothing is mailed any more; return how much was."""
    return sum(is_mailed(keeper, ask(keeper, network, address, purpose)) for network in strange())


def test_strangers_from_everywhere_get_a_days_share_and_no_more(keeper: Running, ann: Person) -> None:
    assert use_up(keeper) == 20


def test_one_network_gets_few_of_them(keeper: Running, ann: Person) -> None:
    assert [is_mailed(keeper, ask(keeper, AWAY)) for _ in range(6)] == [True] * 4 + [False] * 2
    assert is_mailed(keeper, ask(keeper, OFFICE))
    keeper.clock.forward(days=1.01)
    assert is_mailed(keeper, ask(keeper, AWAY))


def test_the_owner_gets_a_code_at_home_whatever_strangers_do(keeper: Running, ann: Person) -> None:
    use_up(keeper)
    proof = ask(keeper, HOME)
    code = keeper.courier.mail_code(proof.id).code
    use_up(keeper)
    assert keeper.portal.reset(proof.id, code, proof.salt, PARAMS, os.urandom(32)).account == ann.account


def test_not_even_the_owners_network_is_without_a_limit(keeper: Running, ann: Person) -> None:
    assert sum(is_mailed(keeper, ask(keeper, HOME)) for _ in range(30)) == 10
    assert is_mailed(keeper, ask(keeper, AWAY))  # which takes nothing from the others


def test_in_a_new_place_it_is_slower_and_never_nothing(keeper: Running, ann: Person) -> None:
    use_up(keeper)
    keeper.clock.forward(minutes=61)
    assert is_mailed(keeper, ask(keeper, AWAY))
    assert not is_mailed(keeper, ask(keeper, OFFICE))
    keeper.clock.forward(minutes=61)
    assert is_mailed(keeper, ask(keeper, OFFICE))


def test_who_has_no_account_yet_can_still_sign_up_in_a_while(keeper: Running) -> None:
    assert use_up(keeper, NEW, "signup") == 20
    keeper.clock.forward(minutes=61)
    assert is_mailed(keeper, ask(keeper, AWAY, NEW, "signup"))


def test_a_strangers_asking_does_not_end_the_owners_code(keeper: Running, ann: Person) -> None:
    proof = ask(keeper, HOME)
    code = keeper.courier.mail_code(proof.id).code
    other = ask(keeper, AWAY)
    keeper.portal.reset(proof.id, code, proof.salt, PARAMS, os.urandom(32))
    with pytest.raises(Denied):
        keeper.portal.reset(other.id, code, other.salt, PARAMS, os.urandom(32))


def test_a_newer_code_takes_the_place_of_one_from_the_same_network(keeper: Running, ann: Person) -> None:
    first = ask(keeper, AWAY)
    code = keeper.courier.mail_code(first.id).code
    ask(keeper, AWAY)
    with pytest.raises(Ended):
        keeper.portal.reset(first.id, code, first.salt, PARAMS, os.urandom(32))


def test_a_network_is_known_by_the_owners_own_sign_in_only(keeper: Running, ann: Person) -> None:
    """Whoever reads the mailbox may reset the password and sign in, and gets no share of codes by it."""
    proof = ask(keeper, AWAY)
    code = keeper.courier.mail_code(proof.id).code
    weak = keeper.portal.reset(proof.id, code, proof.salt, PARAMS, os.urandom(32))
    keeper.portal.seen(weak.ticket, AWAY)
    use_up(keeper)
    assert not is_mailed(keeper, ask(keeper, AWAY))
    assert is_mailed(keeper, ask(keeper, HOME))
    with pytest.raises(Ended):
        keeper.portal.seen(ann.ticket, OFFICE)  # a session of before the reset


def test_a_network_is_forgotten_when_it_was_not_used_for_long_or_others_are_newer(keeper: Running, ann: Person) -> None:
    networks = list(strange())[:25]
    for network in networks:
        keeper.clock.forward(minutes=1)
        keeper.portal.seen(ann.ticket, network)
    use_up(keeper, purpose="reset")
    assert not is_mailed(keeper, ask(keeper, HOME))
    keeper.clock.forward(days=2)
    assert is_mailed(keeper, ask(keeper, networks[-1]))
    rows = keeper.engine.query("SELECT mark FROM networks")
    assert len(rows) == 20
    keeper.clock.forward(days=91)
    ann.sign_in(keeper)
    keeper.portal.seen(ann.ticket, OFFICE)
    assert len(keeper.engine.query("SELECT mark FROM networks")) == 1


def test_the_ledger_tells_no_places(keeper: Running, ann: Person) -> None:
    bob = subscriber(keeper, "bob@clinic.example")
    keeper.portal.seen(bob.ticket, HOME)
    ask(keeper, HOME)
    ask(keeper, HOME, bob.address)
    marks = [row["mark"] for row in keeper.engine.query("SELECT mark FROM networks")]
    marks += [row["network"] for row in keeper.engine.query("SELECT network FROM mail_codes")]
    assert len(set(marks)) == 4
    assert all(b"203" not in mark for mark in marks)


def test_the_answer_is_the_same_for_all(keeper: Running, ann: Person) -> None:
    use_up(keeper)
    said = {type(ask(keeper, network, address)) for network in (HOME, AWAY, "") for address in (ANN, "x@y.example")}
    assert said == {q.MailProof}
    with pytest.raises(Denied):
        ask(keeper, "x" * 101)


@pytest.mark.parametrize(
    ("source", "network"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1%eth0", "2001:db8:1:2::/64"),
        ("", ""),
        ("unix", ""),
    ],
)
def test_networks_are_what_one_can_have_all_addresses_of(source: str, network: str) -> None:
    assert network_of(source) == network


@given(st.ip_addresses())
def test_every_address_has_a_network(address: object) -> None:
    assert network_of(str(address))

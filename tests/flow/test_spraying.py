"""What does whoever tries a few passwords at each of many addresses get, and what do those beside them notice?"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cryptnsend.core.errors import Throttled, WrongSecret
from cryptnsend.flow.throttling import KNOWN
from tests.support.house import AGENT, DAY, HOUR, OTHER, PASSWORD, House, MakeHouse

ANN, ZOE = "ann@gmail.example", "zoe@gmail.example"
HOTEL, ROOM, HOME = "198.51.100.9", "198.51.100.77", "192.0.2.7"
FREE = 12

Door = Callable[[str, str, str], object]


@pytest.fixture
def house(make_house: MakeHouse) -> House:
    """A house where twelve wrong passwords a day are what a network may have."""
    house = make_house(limits={"sign_in_failures_per_network": FREE})
    house.add_subscriber(ANN)
    house.add_subscriber(ZOE)
    return house


def doors(house: House) -> list[Door]:
    return [
        lambda name, password, source: house.accounts.sign_in(name, password, source, AGENT),
        lambda name, password, source: house.sign_in_smtp(name, password, source),
        lambda name, password, source: house.mailbox.mail_gate.authenticate(name, password, source),
    ]


def spray(door: Door, source: str = HOTEL, most: int = 10 * FREE) -> int:
    """Try one password at one address after the other; return how many were looked at before the network waits."""
    for number in range(most):
        try:
            door(f"person{number}@clinic.example", "Summer 2026!", source)
        except Throttled:
            return number + 1
        except WrongSecret:
            continue
    return most


@pytest.mark.parametrize("number", range(3), ids=["page", "smtp", "mailbox"])
def test_a_network_is_stopped_that_guesses_at_many_addresses(house: House, number: int) -> None:
    door = doors(house)[number]
    assert spray(door) == FREE
    with pytest.raises(Throttled):
        door("another@clinic.example", "Summer 2026!", ROOM)
    assert door(ANN, PASSWORD, HOME)  # from everywhere else all is as before
    house.clock.forward(DAY)
    with pytest.raises(WrongSecret):
        door("another@clinic.example", "Summer 2026?", ROOM)


def test_whoever_signed_in_from_there_before_still_does(house: House) -> None:
    """A stranger beside the owner, behind the same address even, does not shut them out; device passwords neither."""
    session = house.session(ANN, source=HOTEL)
    device = house.accounts.add_device(session, "Phone", "submit").password
    page, smtp, _ = doors(house)
    for door in (page, smtp):
        assert spray(door) == FREE
        assert door(ANN, PASSWORD, ROOM)
        assert door(ANN, PASSWORD, HOTEL)
    assert house.sign_in_smtp(ANN, device, ROOM)


def test_a_device_password_is_no_guess_wherever_it_comes_from(house: House) -> None:
    session = house.session(ZOE, source=HOME)
    device = house.accounts.add_device(session, "Laptop", "submit").password
    spray(house.sign_in_smtp)
    with pytest.raises(Throttled):
        house.sign_in_smtp(ZOE, PASSWORD, HOTEL)
    assert house.sign_in_smtp(ZOE, device, ROOM)


def test_in_a_network_that_waits_no_answer_tells_anything(house: House) -> None:
    """Whose address it is, whether it was signed in with from there, whether the password was right: all one answer."""
    house.session(ANN, source=HOTEL)
    page = doors(house)[0]
    spray(page)
    told = set()
    for name, password in ((ANN, OTHER), (ZOE, OTHER), (ZOE, PASSWORD), ("nobody@clinic.example", OTHER)):
        for _ in range(2):  # a guess that is made again counts once, and must not be told apart by that
            with pytest.raises(Throttled) as refused:
                page(name, password, ROOM)
            told.add((str(refused.value), refused.value.retry_after))
    assert len(told) == 1


def test_the_password_of_who_is_new_there_is_not_even_looked_at(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise how long an answer takes would tell whether the guess was right."""
    page = doors(house)[0]
    spray(page)
    asked: list[str] = []
    salt = house.keeper("portal").salt

    def noted(name: str) -> object:
        asked.append(name)
        return salt(name)

    monkeypatch.setattr(house.accounts._keeper, "salt", noted)
    with pytest.raises(Throttled):
        page(ZOE, PASSWORD, ROOM)
    assert asked == ["nobody@invalid"]


def test_asking_while_a_network_waits_lets_nobody_wait_longer(house: House) -> None:
    page = doors(house)[0]
    spray(page)
    for number in range(2 * FREE):
        with pytest.raises(Throttled) as refused:
            page(f"late{number}@clinic.example", OTHER, HOTEL)
        assert refused.value.retry_after == 15 * 60
    house.clock.forward(HOUR)
    assert page(ZOE, PASSWORD, HOTEL)


def test_a_network_is_forgotten_when_nobody_signed_in_from_there_for_long(house: House) -> None:
    house.session(ANN, source=HOTEL)
    house.clock.forward(KNOWN + DAY)
    page = doors(house)[0]
    spray(page)
    with pytest.raises(Throttled):
        page(ANN, PASSWORD, HOTEL)
    house.upkeep.once()
    left = house.engine.query("SELECT subject FROM throttle WHERE door = 'known networks'")
    assert ANN not in {row["subject"] for row in left}


def test_who_leaves_leaves_no_networks_behind(house: House) -> None:
    session = house.session(ANN, source=HOTEL)
    house.session(ZOE, source=HOTEL)
    house.accounts.close(session, PASSWORD, HOTEL)
    known = house.engine.query("SELECT subject FROM throttle WHERE door = 'known networks'")
    assert {row["subject"] for row in known} == {ZOE}


def test_an_office_with_many_forgetful_people_does_not_wait(make_house: MakeHouse) -> None:
    """By default a hundred a day, and a program that repeats what is wrong counts once."""
    house = make_house()
    house.add_subscriber(ANN)
    page = doors(house)[0]
    for number in range(60):
        for _ in range(3):
            with pytest.raises(WrongSecret):
                page(f"person{number}@clinic.example", "the password of last year", HOTEL)
    assert page(ANN, PASSWORD, HOTEL)

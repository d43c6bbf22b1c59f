"""What Argon2id made of a password is remembered for minutes, and never opens what was closed since."""

from __future__ import annotations

import pytest

from cryptnsend.core import passwords
from cryptnsend.core.errors import KeeperGone, WrongSecret
from tests.support.house import MINUTE, OTHER, PASSWORD, SOURCE, House

ANN, PAT = "ann@gmail.example", "pat@yahoo.example"


@pytest.fixture
def derived(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the passwords that cost an Argon2id, as they come."""
    found: list[str] = []
    real = passwords.derive

    def derive(password: str, salt: bytes, params: passwords.Argon) -> bytes:
        found.append(password)
        return real(password, salt, params)

    monkeypatch.setattr(passwords, "derive", derive)
    return found


def enter(house: House, password: str = PASSWORD, name: str = ANN) -> None:
    house.mailbox.mail_gate.authenticate(name, password, SOURCE)


def test_a_program_that_connects_again_costs_no_second_hash(house: House, ann: int, derived: list[str]) -> None:
    for _ in range(3):
        enter(house)
    assert derived == [PASSWORD]
    house.clock.forward(11 * MINUTE)
    enter(house)
    assert derived == [PASSWORD, PASSWORD]


def test_another_password_is_hashed_and_refused_each_time(house: House, ann: int, derived: list[str]) -> None:
    enter(house)
    for _ in range(2):
        with pytest.raises(WrongSecret):
            enter(house, OTHER)
    assert derived == [PASSWORD, OTHER, OTHER]


def test_after_a_change_the_old_password_opens_nothing(house: House, ann: int) -> None:
    enter(house)
    house.accounts.change_password(house.session(ANN), PASSWORD, OTHER, SOURCE, "Firefox")
    with pytest.raises(WrongSecret):
        enter(house)
    enter(house, OTHER)


def test_a_disabled_account_opens_nothing_at_once(house: House, ann: int) -> None:
    enter(house)
    house.owner.owner.disable(ANN)
    with pytest.raises(WrongSecret):
        enter(house)


def test_the_keeper_is_asked_each_time(house: House, ann: int) -> None:
    enter(house)
    house.stop_keeper()
    try:
        with pytest.raises(KeeperGone):
            enter(house)
    finally:
        house.start_keeper()
    enter(house)


def test_who_may_not_read_here_costs_a_hash_each_time(house: House, ann: int, derived: list[str]) -> None:
    """Else the second answer would come sooner where the password is right."""
    house.register(PAT, house.submit(ANN, [PAT], house.mail()))
    derived.clear()
    for _ in range(2):
        with pytest.raises(WrongSecret):
            enter(house, PASSWORD, PAT)
    assert derived == [PASSWORD, PASSWORD]


def test_memory_alone_opens_nothing(house: House, ann: int) -> None:
    enter(house)
    gate = house.mailbox.mail_gate
    salt = house.keeper("mailbox").salt(ANN)
    k = passwords.derive(PASSWORD, salt.salt, passwords.Argon.decode(salt.params))
    held = gate._remembered._found
    assert len(held) == 1
    assert not any(k in sealed or PASSWORD.encode() in name + sealed for name, (_, sealed) in held.items())

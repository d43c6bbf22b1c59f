"""A second step over the real rows and keeper: set up, asked for at every door, ended, and in nobody's way."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from cryptnsend.core.errors import SecondStep, WrongSecret
from cryptnsend.flow.sessions import Session
from tests.support.house import AGENT, HOUR, MINUTE, OTHER, PASSWORD, SOURCE, House

ANN, PAT = "ann@gmail.example", "pat@yahoo.example"


def number(house: House, secret: bytes) -> str:
    made = TOTP(secret, 6, SHA1(), 30, enforce_key_length=False)  # noqa: S303 - RFC 6238
    return made.generate(house.clock.now() // 1000).decode()


def enrolled(house: House, session: Session) -> tuple[bytes, str]:
    secret = house.accounts.begin_second_step(session, PASSWORD, SOURCE)
    recovery = house.accounts.begun_second_step(session, number(house, secret))
    house.clock.forward(MINUTE)
    return secret, recovery


def held(house: House, address: str, password: str = PASSWORD) -> bytes:
    with pytest.raises(SecondStep) as asked:
        house.accounts.sign_in(address, password, SOURCE, AGENT)
    return asked.value.held


def test_signing_in_takes_password_and_number(house: House, ann: int) -> None:
    secret, _ = enrolled(house, house.session(ANN))
    assert (ANN, "second-begun") in house.alerts()
    box = held(house, ANN)
    with pytest.raises(WrongSecret):
        house.accounts.second_step(ANN, box, "000000", SOURCE, AGENT)
    session = house.found(house.accounts.second_step(ANN, box, number(house, secret), SOURCE, AGENT))
    assert session.account == ann
    assert house.accounts.has_second_step(session)


def test_mail_programs_need_a_device_password_then(house: House, ann: int) -> None:
    session = house.session(ANN)
    assert house.gate.authenticate(ANN, PASSWORD, SOURCE)
    device = house.accounts.add_device(session, "Desk", "submit")
    enrolled(house, session)
    with pytest.raises(WrongSecret):
        house.gate.authenticate(ANN, PASSWORD, "198.51.100.4")
    assert house.gate.authenticate(ANN, device.password, SOURCE)


def test_what_asks_for_the_password_again_goes_on_working(house: House, ann: int) -> None:
    session = house.session(ANN)
    secret, _ = enrolled(house, session)
    assert house.accounts.passphrases(session, PASSWORD, SOURCE)
    fresh = house.found(house.accounts.change_password(session, PASSWORD, OTHER, SOURCE, AGENT))
    house.clock.forward(HOUR)
    box = held(house, ANN, OTHER)
    assert house.found(house.accounts.second_step(ANN, box, number(house, secret), SOURCE, AGENT)).account == ann
    house.clock.forward(MINUTE)
    house.accounts.end_second_step(fresh, OTHER, number(house, secret), SOURCE)
    assert house.session(ANN, OTHER).account == ann


def test_a_lost_phone_is_made_good_by_the_recovery_code(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    pat = house.register(PAT, message)
    _, recovery = enrolled(house, pat)
    with pytest.raises(WrongSecret):
        house.accounts.second_step(PAT, held(house, PAT), "abcd-efgh-jkmn-pqrs-tvwx", SOURCE, AGENT)
    again = house.found(house.accounts.second_step(PAT, held(house, PAT), recovery, SOURCE, AGENT))
    assert house.pickup.show(again, message).subject == "Results"
    assert (PAT, "second-ended") in house.alerts()
    assert house.session(PAT).account == again.account


def test_a_trusted_browser_signs_in_with_the_password(house: House, ann: int) -> None:
    session = house.session(ANN)
    enrolled(house, session)
    trust = house.accounts.trust(session)
    assert house.accounts.sign_in(ANN, PASSWORD, SOURCE, AGENT, trust)
    house.accounts.forget_browsers(session)
    with pytest.raises(SecondStep):
        house.accounts.sign_in(ANN, PASSWORD, SOURCE, AGENT, trust)

"""Who is signed in on a page, for how long, and what a thief of the rows has of it."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from cryptnsend.flow.sessions import Session
from tests.support.house import AGENT, HOUR, MINUTE, PASSWORD, SOURCE, House, MakeHouse

ANN, PAT = "ann@gmail.example", "pat@yahoo.example"


@pytest.fixture
def cookie(house: House) -> str:
    house.add_subscriber(ANN)
    return house.accounts.sign_in(ANN, PASSWORD, SOURCE, AGENT)


def recipient(house: House) -> str:
    message = house.submit(ANN, [PAT], house.mail())
    house.register(PAT, message)
    return house.accounts.sign_in(PAT, PASSWORD, SOURCE, AGENT)


def test_a_cookie_names_its_session_in_every_process(house: House, cookie: str) -> None:
    other = house.process()
    session = other.accounts.session(cookie)
    assert session is not None
    assert (session.address, session.addresses, session.name) == (ANN, (ANN,), "Ann Ruiz")
    assert "subscriber" in session.roles
    assert not session.weak
    assert len(session.seeds) == 2
    other.keeper.close()


def test_a_session_shows_no_secret_in_a_log(house: House, cookie: str) -> None:
    session = house.found(cookie)
    shown = repr(session)
    assert session.ticket.hex() not in shown
    assert "seeds" not in shown
    assert "secret" not in shown


@pytest.mark.parametrize("wrong", ["", "x", "ä", "A" * 86, "A" * 87, "=" * 88, "\x00"])
def test_what_is_no_cookie_names_nothing(house: House, cookie: str, wrong: str) -> None:
    assert house.accounts.session(wrong) is None


def test_the_two_halves_of_a_cookie_belong_together(house: House, cookie: str) -> None:
    other = house.accounts.sign_in(ANN, PASSWORD, SOURCE, AGENT)
    mine, theirs = (base64.urlsafe_b64decode(each + "==") for each in (cookie, other))
    mixed = base64.urlsafe_b64encode(mine[:32] + theirs[32:]).decode().rstrip("=")
    assert house.accounts.session(mixed) is None
    assert house.accounts.session(cookie) is not None


def test_rows_of_a_session_hold_no_seed_and_no_ticket(house: House, cookie: str) -> None:
    session = house.found(cookie)
    rows: list[dict[str, Any]] = house.engine.query("SELECT * FROM sessions")
    for row in rows:
        for value in row.values():
            octets = value if isinstance(value, bytes) else str(value).encode()
            assert session.ticket not in octets
            assert not any(seed in octets for seed in session.seeds.values())
            assert base64.urlsafe_b64decode(cookie + "==")[32:] not in octets


def test_a_subscriber_may_rest_for_half_an_hour(house: House, cookie: str) -> None:
    house.clock.forward(29 * MINUTE)
    assert house.accounts.session(cookie) is not None
    house.clock.forward(29 * MINUTE)
    assert house.accounts.session(cookie) is not None
    house.clock.forward(30 * MINUTE)
    assert house.accounts.session(cookie) is None
    assert house.engine.query("SELECT state, sealed FROM sessions") == [{"state": "rested", "sealed": b""}]


def test_who_wants_to_be_signed_out_sooner_is_and_nobody_later(house: House, cookie: str) -> None:
    house.accounts.set_rest(house.found(cookie), 10)
    house.clock.forward(9 * MINUTE)
    assert house.found(cookie).rest == 10
    house.clock.forward(10 * MINUTE)
    assert house.accounts.session(cookie) is None
    later = house.accounts.sign_in(ANN, PASSWORD, SOURCE, AGENT)
    house.accounts.set_rest(house.found(later), 120)
    house.clock.forward(31 * MINUTE)
    assert house.accounts.session(later) is None, "the server's half an hour holds"
    again = house.accounts.sign_in(ANN, PASSWORD, SOURCE, AGENT)
    house.accounts.set_rest(house.found(again), 0)
    house.clock.forward(25 * MINUTE)
    assert house.found(again).rest == 0
    assert "account.rest" in [each.action for each in house.accounts.access_log(house.found(again))]


def test_a_recipient_may_rest_for_a_quarter_of_an_hour(house: House, cookie: str) -> None:
    theirs = recipient(house)
    house.clock.forward(14 * MINUTE)
    assert house.accounts.session(theirs) is not None
    house.clock.forward(15 * MINUTE)
    assert house.accounts.session(theirs) is None


def test_nobody_stays_signed_in_for_more_than_twelve_hours(house: House, cookie: str) -> None:
    for _ in range(12 * 60 // 20 - 1):
        house.clock.forward(20 * MINUTE)
        assert house.accounts.session(cookie) is not None
    house.clock.forward(20 * MINUTE)
    assert house.accounts.session(cookie) is None


def test_a_clock_that_goes_back_ends_sessions_instead_of_prolonging_them(house: House, cookie: str) -> None:
    house.clock.jump(-2 * HOUR)
    assert house.accounts.session(cookie) is None


def test_what_a_session_held_goes_with_it(house: House, cookie: str) -> None:
    house.accounts.sign_out(cookie)
    left = house.accounts.sign_in(ANN, PASSWORD, SOURCE, AGENT)
    house.upkeep.once()
    house.clock.forward(26 * HOUR)
    house.upkeep.once()
    assert house.accounts.session(left) is None
    assert {row["sealed"] for row in house.engine.query("SELECT sealed FROM sessions")} == {b""}


def test_a_browser_is_known_for_ninety_days(house: House, cookie: str) -> None:
    house.accounts.sign_out(cookie)
    house.clock.forward(60 * 24 * HOUR)
    house.upkeep.once()
    house.session(ANN)
    assert house.alerts() == []
    house.session(ANN, agent="Another browser")
    assert house.alerts() == [(ANN, "new-sign-in")]


def test_signing_out_ends_this_session_only(house: House, cookie: str) -> None:
    other = house.accounts.sign_in(ANN, PASSWORD, SOURCE, AGENT)
    house.accounts.sign_out(cookie)
    house.accounts.sign_out(cookie)
    assert house.accounts.session(cookie) is None
    assert house.accounts.session(other) is not None


def test_a_password_change_ends_every_other_session(house: House, cookie: str) -> None:
    other = house.accounts.sign_in(ANN, PASSWORD, SOURCE, AGENT)
    fresh = house.accounts.change_password(
        house.found(cookie), PASSWORD, "sparrow lantern cobalt meadow", SOURCE, AGENT
    )
    assert house.accounts.session(cookie) is None
    assert house.accounts.session(other) is None
    assert isinstance(house.accounts.session(fresh.cookie), Session)


@pytest.mark.parametrize("state", ["disabled", "closed"])
def test_an_account_that_may_not_sign_in_is_not_signed_in(house: House, cookie: str, state: str) -> None:
    house.tamper("UPDATE accounts SET state = :state", state=state)
    assert house.accounts.session(cookie) is None


def test_disabling_an_account_ends_its_sessions(house: House, cookie: str) -> None:
    house.owner.owner.disable(ANN)
    assert house.accounts.session(cookie) is None


def test_how_long_sessions_last_can_be_set(make_house: MakeHouse) -> None:
    house = make_house(sessions={"subscriber_idle_minutes": 2})
    house.add_subscriber(ANN)
    cookie = house.accounts.sign_in(ANN, PASSWORD, SOURCE, AGENT)
    house.clock.forward(2 * MINUTE)
    assert house.accounts.session(cookie) is None

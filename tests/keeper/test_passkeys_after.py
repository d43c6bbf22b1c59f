"""A passkey after the password: asked for at every door, instead of a number or beside one, and not the end if lost."""

from __future__ import annotations

import pytest

from cryptnsend.core.errors import Denied, Ended, SecondStep, WrongSecret
from tests.support.authenticator import Passkey

from .conftest import Make, Running, subscriber
from .passkeys import ANN, added, ann_with, shown, stepped
from .test_second import check_the_recovery_code_ends_the_step, number


@pytest.fixture
def keeper(make_keeper: Make) -> Running:
    return make_keeper(origin=lambda: Passkey().origin)


def test_a_passkey_after_the_password_is_asked_for_at_every_door(keeper: Running) -> None:
    ann, passkey = stepped(keeper)
    for ask in (keeper.portal.open, keeper.role("mailbox").open, keeper.role("submission").check_password):
        with pytest.raises(SecondStep):
            ask(ANN, ann.k)
    held = keeper.portal.hold(ANN, ann.k)
    ways = keeper.portal.second_ways(held)
    assert not ways.number
    assert ways.passkey is not None
    assert ways.passkey.credentials == (passkey.id,)
    opened = keeper.portal.open_second_passkey(held, passkey.answer(ways.passkey.challenge))
    assert ann.opened is not None
    assert opened.seeds == ann.opened.seeds


def test_a_passkey_after_the_password_counts_for_that_password_only(keeper: Running) -> None:
    ann, passkey = stepped(keeper)
    ways = keeper.portal.second_ways(keeper.portal.hold(ANN, ann.k))
    assert ways.passkey is not None
    answer = passkey.answer(ways.passkey.challenge)
    other = keeper.portal.hold(ANN, ann.k)
    with pytest.raises(Ended):
        keeper.portal.open_second_passkey(other, answer)
    with pytest.raises(WrongSecret):
        keeper.portal.open_second(other, "123456")  # nobody set up a number
    bob = subscriber(keeper, "bob@law.example")
    bob.sign_in(keeper)
    theirs = added(keeper, bob)
    again = keeper.portal.second_ways(other)
    assert again.passkey is not None
    with pytest.raises(WrongSecret):
        keeper.portal.open_second_passkey(other, theirs.answer(again.passkey.challenge))


def test_number_or_passkey_is_the_second_step_where_there_are_both(keeper: Running) -> None:
    ann, passkey = ann_with(keeper)
    secret = keeper.portal.second_begin(ann.ticket, ann.k).secret
    keeper.portal.second_begun(ann.ticket, number(keeper, secret))
    held = keeper.portal.hold(ANN, ann.k)
    ways = keeper.portal.second_ways(held)
    assert ways.number
    assert ways.passkey is not None
    assert keeper.portal.open_second_passkey(held, passkey.answer(ways.passkey.challenge)).account == ann.account


def test_a_lost_passkey_is_no_end_the_recovery_code_ends_the_step(keeper: Running) -> None:
    ann, _ = stepped(keeper)
    check_the_recovery_code_ends_the_step(keeper, ann)


def test_a_trusted_browser_needs_no_passkey_until_it_is_forgotten(keeper: Running) -> None:
    ann, _ = stepped(keeper)
    keeper.clock.forward(minutes=1)
    trust = keeper.portal.trust(ann.ticket)
    assert keeper.portal.open_trusted(ANN, ann.k, trust).account == ann.account
    keeper.clock.forward(minutes=1)
    keeper.portal.forget_browsers(ann.ticket)
    with pytest.raises(SecondStep):
        keeper.portal.open_trusted(ANN, ann.k, trust)


def test_an_officer_s_second_step_may_be_a_passkey(keeper: Running) -> None:
    clinic = keeper.owner.organisation_add("Clinic", "managed", "new-contact")
    ann = subscriber(keeper, ANN, clinic.id, "subscriber", "officer")
    subscriber(keeper, "bob@clinic.example", clinic.id)
    ann.sign_in(keeper)
    with pytest.raises(Denied, match="second step"):
        keeper.portal.set_roles(ann.ticket, ann.k, "bob@clinic.example", ["subscriber", "manager"])
    passkey = added(keeper, ann)
    keeper.portal.passkey_step(ann.ticket, ann.k, shown(keeper, ann, passkey, "number"), True)
    keeper.clock.forward(minutes=6)
    with pytest.raises(SecondStep):
        keeper.portal.set_roles(ann.ticket, ann.k, "bob@clinic.example", ["subscriber", "manager"])
    code = shown(keeper, ann, passkey, "number")
    bob = keeper.portal.set_roles(ann.ticket, ann.k, "bob@clinic.example", ["subscriber", "manager"], code)
    assert "manager" in bob.roles
    k = shown(keeper, ann, passkey, "password").encode()  # and that was a second step just now
    assert keeper.portal.disable_member(ann.ticket, k, "bob@clinic.example").state == "disabled"

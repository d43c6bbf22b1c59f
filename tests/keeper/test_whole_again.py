"""How does a subscriber become whole again after a reset by mail, and what is a mailed code good for?"""

from __future__ import annotations

import os

import pytest

from cryptnsend.core.errors import Denied, Ended, WrongSecret
from cryptnsend.core.tokens import Claims

from .conftest import (
    PARAMS,
    Make,
    Person,
    Running,
    reset_by_mail,
    subscriber,
)

ANN, PAT = "ann@clinic.example", "pat@home.example"


# -- how a subscriber becomes whole again -----------------------------------------------------------------------------


def test_a_device_password_of_before_ends_the_weakness_and_brings_back_managed_mail(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    assert ann.opened is not None
    device = keeper.portal.device_add(ann.ticket, "submit")
    again = Person(ANN)
    reset_by_mail(keeper, again)
    unlocked = keeper.portal.unlock(again.ticket, "device", device.secret, again.k, device.id)
    managed = {pair.id for pair in ann.opened.pairs if pair.custody == "managed" and pair.role == "account"}
    assert set(unlocked.seeds) == managed
    assert unlocked.opened.state == "active"


def test_an_officers_word_ends_the_weakness_of_a_member(keeper: Running) -> None:
    clinic = keeper.owner.organisation_add("Clinic", "managed", "")
    officer = subscriber(keeper, "dr.o@clinic.example", clinic.id, "subscriber", "officer")
    subscriber(keeper, ANN, clinic.id)
    again = Person(ANN)
    reset_by_mail(keeper, again)
    with pytest.raises(Denied):
        keeper.portal.unlock(again.ticket, "officer", b"", again.k)
    keeper.portal.confirm(officer.ticket, ANN)
    assert keeper.portal.unlock(again.ticket, "officer", b"", again.k).opened.state == "active"


def test_an_officers_word_of_before_the_reset_counts_for_nothing(keeper: Running) -> None:
    clinic = keeper.owner.organisation_add("Clinic", "managed", "")
    officer = subscriber(keeper, "dr.o@clinic.example", clinic.id, "subscriber", "officer")
    subscriber(keeper, ANN, clinic.id)
    reset_by_mail(keeper, Person(ANN))
    keeper.portal.confirm(officer.ticket, ANN)
    keeper.clock.forward(minutes=1)
    again = Person(ANN)
    reset_by_mail(keeper, again)
    with pytest.raises(Denied):
        keeper.portal.unlock(again.ticket, "officer", b"", again.k)


def test_only_an_officer_of_the_same_organisation_can_confirm(keeper: Running) -> None:
    clinic, other = (keeper.owner.organisation_add(name, "managed", "") for name in ("Clinic", "Other"))
    stranger = subscriber(keeper, "o@other.example", other.id, "subscriber", "officer")
    colleague = subscriber(keeper, "bob@clinic.example", clinic.id)
    subscriber(keeper, ANN, clinic.id)
    again = Person(ANN)
    reset_by_mail(keeper, again)
    for person in (stranger, colleague, again):
        with pytest.raises(Denied):
            keeper.portal.confirm(person.ticket, ANN)


def test_an_organisation_of_one_without_any_other_way_waits_seven_days(keeper: Running) -> None:
    subscriber(keeper, ANN)
    again = Person(ANN)
    reset_by_mail(keeper, again)
    keeper.clock.forward(days=6.9)
    again.sign_in(keeper)
    with pytest.raises(Denied):
        keeper.portal.unlock(again.ticket, "waited", b"", again.k)
    keeper.clock.forward(days=0.2)
    again.sign_in(keeper)
    assert keeper.portal.unlock(again.ticket, "waited", b"", again.k).opened.state == "active"


def test_waiting_ends_nothing_where_there_is_a_recovery_code_or_a_device(keeper: Running) -> None:
    ann, bob = subscriber(keeper, ANN), subscriber(keeper, "bob@solo.example")
    assert ann.opened is not None
    keeper.portal.store_wraps(ann.ticket, "recovery", os.urandom(32), ann.opened.seeds)
    keeper.portal.device_add(bob.ticket, "submit")
    for address in (ANN, "bob@solo.example"):
        again = Person(address)
        reset_by_mail(keeper, again)
        keeper.clock.forward(days=8)
        again.sign_in(keeper)
        with pytest.raises(Denied):
            keeper.portal.unlock(again.ticket, "waited", b"", again.k)


def test_an_objection_by_the_link_of_the_warning_stops_the_seven_days(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    again = Person(ANN)
    reset_by_mail(keeper, again)
    warning = keeper.courier.warning(ann.account)
    row = warning.link.row
    keeper.portal.object_to(warning.link.token, Claims(row.purpose, row.address, row.subscriber, row.message))
    keeper.clock.forward(days=8)
    again.sign_in(keeper)
    with pytest.raises(Denied):
        keeper.portal.unlock(again.ticket, "waited", b"", again.k)
    keeper.owner.confirm_account(ANN)
    assert keeper.portal.unlock(again.ticket, "officer", b"", again.k).opened.state == "active"


def test_a_device_that_still_sends_stops_the_seven_days(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    device = keeper.portal.device_add(ann.ticket, "submit")
    again = Person(ANN)
    reset_by_mail(keeper, again)
    assert keeper.submission.check_device(device.id, device.secret, "submit").state == "weak"
    keeper.portal.device_revoke(again.ticket, device.id)
    keeper.clock.forward(days=8)
    again.sign_in(keeper)
    with pytest.raises(Denied):
        keeper.portal.unlock(again.ticket, "waited", b"", again.k)


def test_an_officer_who_comes_back_opens_the_archive_again(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    again = Person(ANN)
    reset_by_mail(keeper, again)
    opened = keeper.portal.unlock(again.ticket, "password", ann.k, again.k).opened
    keeper.portal.archive_recovery(opened.ticket, again.k)
    third = Person(ANN)
    keeper.clock.forward(minutes=1)
    reset_by_mail(keeper, third)
    assert keeper.portal.unlock(third.ticket, "password", again.k, third.k).opened.state == "active"
    assert keeper.portal.archive_recovery(third.sign_in(keeper).ticket, third.k).text


# -- the mailed code --------------------------------------------------------------------------------------------------


def test_a_mailed_code_has_ten_minutes_and_five_tries(keeper: Running) -> None:
    subscriber(keeper, ANN)
    late = keeper.portal.mail_proof(ANN, "reset")
    code = keeper.courier.mail_code(late.id).code
    keeper.clock.forward(minutes=10.1)
    with pytest.raises(Ended):
        keeper.portal.reset(late.id, code, late.salt, PARAMS, os.urandom(32))
    proof = keeper.portal.mail_proof(ANN, "reset")
    code = keeper.courier.mail_code(proof.id).code
    guesses = [f"{(int(code) + n) % 1_000_000:06d}" for n in range(1, 6)]
    for left, guess in zip((4, 3, 2, 1), guesses, strict=False):
        with pytest.raises(WrongSecret) as error:
            keeper.portal.reset(proof.id, guess, proof.salt, PARAMS, os.urandom(32))
        assert error.value.tries_left == left
    with pytest.raises(Ended):
        keeper.portal.reset(proof.id, guesses[4], proof.salt, PARAMS, os.urandom(32))
    with pytest.raises(Ended):
        keeper.portal.reset(proof.id, code, proof.salt, PARAMS, os.urandom(32))


def test_a_newer_mailed_code_ends_the_earlier_one(keeper: Running) -> None:
    subscriber(keeper, ANN)
    first = keeper.portal.mail_proof(ANN, "reset")
    code = keeper.courier.mail_code(first.id).code
    keeper.portal.mail_proof(ANN, "reset")
    with pytest.raises(Ended):
        keeper.portal.reset(first.id, code, first.salt, PARAMS, os.urandom(32))


def test_an_unknown_address_gets_the_same_answer_and_no_mail(keeper: Running) -> None:
    subscriber(keeper, ANN)
    known, unknown = keeper.portal.mail_proof(ANN, "reset"), keeper.portal.mail_proof("x@y.example", "reset")
    assert known.expires == unknown.expires
    with pytest.raises(Denied):
        keeper.courier.mail_code(unknown.id)
    assert keeper.courier.mail_code(known.id).address == ANN
    told = []
    for proof in (known, unknown):
        with pytest.raises(WrongSecret) as error:
            keeper.portal.reset(proof.id, "", proof.salt, PARAMS, os.urandom(32))
        told.append((str(error.value), error.value.tries_left))
    assert told[0] == told[1]


def test_beyond_the_days_limit_nothing_is_mailed_and_the_answer_is_the_same(make_keeper: Make) -> None:
    keeper = make_keeper(mail_codes_per_day=3)
    subscriber(keeper, ANN)
    proofs = [keeper.portal.mail_proof(ANN, "reset") for _ in range(4)]
    assert keeper.courier.mail_code(proofs[2].id).address == ANN
    with pytest.raises(Denied):
        keeper.courier.mail_code(proofs[3].id)
    keeper.clock.forward(days=1.1)
    assert keeper.courier.mail_code(keeper.portal.mail_proof(ANN, "reset").id).code


def test_a_code_for_one_purpose_serves_no_other(make_keeper: Make) -> None:
    keeper = make_keeper(signup="open")
    ann = subscriber(keeper, ANN)
    proof = keeper.portal.mail_proof("new@home.example", "signup")
    code = keeper.courier.mail_code(proof.id).code
    with pytest.raises(WrongSecret):
        keeper.portal.alias(ann.ticket, proof.id, code)
    with pytest.raises(WrongSecret):
        keeper.portal.reset(proof.id, code, proof.salt, PARAMS, os.urandom(32))

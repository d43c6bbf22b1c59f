"""What may stand in for a sender's code? Only what that sender chose, for that message; it proves nothing else."""

from __future__ import annotations

import os

import pytest

from cryptnsend.core.errors import Denied, Ended, WrongSecret
from cryptnsend.keeper import requests as q

from .conftest import (
    PARAMS,
    Mail,
    Make,
    Person,
    Running,
    code_for,
    content_of,
    register,
    reset_by_mail,
    send,
    subscriber,
)

ANN, BOB, PAT = "ann@clinic.example", "bob@lawyer.example", "pat@home.example"


def mailed(keeper: Running, mail: Mail, network: str = "192.0.2.7") -> tuple[q.MailProof, str]:
    """Ask for a code by mail, and read that mail."""
    proof = keeper.portal.mail_open(mail.link.token, mail.claims, network)
    told = keeper.courier.mail_code(proof.id)
    assert (told.address, told.purpose) == (PAT, "open")
    return proof, told.code


def register_by_mail(keeper: Running, mail: Mail, person: Person) -> q.Opened:
    proof, code = mailed(keeper, mail)
    shown = keeper.portal.prove_mailed(mail.link.token, mail.claims, proof.id, code)
    person.opened = keeper.portal.register(shown.ticket, shown.salt, PARAMS, person.k, "Pat", "en")
    return person.opened


def test_a_mailed_code_opens_the_message_whose_sender_allowed_it_and_no_other(keeper: Running) -> None:
    ann, bob, pat = subscriber(keeper, ANN), subscriber(keeper, BOB), Person(PAT)
    allowed, other, bobs = send(keeper, ann, PAT), send(keeper, ann, PAT), send(keeper, bob, PAT)
    keeper.portal.allow(ann.ticket, allowed.message, "mail")
    opened = register_by_mail(keeper, allowed, pat)
    adopted = keeper.portal.adopt(pat.ticket, [allowed.grant, other.grant, bobs.grant])
    assert [each.message for each in adopted] == [allowed.message]
    assert content_of(adopted[0], opened) == allowed.content
    # Nothing is proven: later mail waits, and Ann's code is asked for as ever.
    assert opened.contacts == ()
    later = send(keeper, ann, PAT)
    assert keeper.portal.adopt(pat.ticket, [later.grant]) == []
    code = code_for(keeper, ann, PAT)
    keeper.portal.prove_session(pat.ticket, later.link.token, later.claims, code)
    assert len(keeper.portal.adopt(pat.ticket, [later.grant, other.grant, bobs.grant])) == 2


@pytest.mark.parametrize("way", ["", "code"])
def test_without_the_senders_word_no_code_is_mailed(keeper: Running, way: str) -> None:
    ann = subscriber(keeper, ANN)
    mail = send(keeper, ann, PAT)
    if way:
        keeper.portal.allow(ann.ticket, 0, "mail")  # as a rule, but not for this one
        keeper.portal.allow(ann.ticket, mail.message, way)
    assert keeper.portal.way_of(mail.link.token, mail.claims) == "code"
    with pytest.raises(Denied):
        keeper.portal.mail_open(mail.link.token, mail.claims, "")
    with pytest.raises(WrongSecret):
        keeper.portal.prove(mail.link.token, mail.claims, "")


def test_only_a_messages_own_sender_can_allow_it(keeper: Running) -> None:
    ann, bob = subscriber(keeper, ANN), subscriber(keeper, BOB)
    mail = send(keeper, ann, PAT)
    keeper.portal.allow(bob.ticket, mail.message, "mail")
    assert keeper.portal.way_of(mail.link.token, mail.claims) == "code"
    pat = Person(PAT)
    pats = send(keeper, ann, PAT)
    register(keeper, pats, code_for(keeper, ann, PAT), pat)
    with pytest.raises(Denied):
        keeper.portal.allow(pat.ticket, mail.message, "mail")


def test_the_code_of_one_message_is_no_code_for_another(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    one, two = send(keeper, ann, PAT), send(keeper, ann, PAT)
    keeper.portal.allow(ann.ticket, 0, "mail")
    three = send(keeper, ann, PAT)
    keeper.portal.allow(ann.ticket, one.message, "mail")
    ways = [keeper.portal.way_of(each.link.token, each.claims) for each in (one, two, three)]
    assert ways == ["mail", "code", "mail"]
    proof, code = mailed(keeper, one)
    with pytest.raises(Ended):
        keeper.portal.prove_mailed(three.link.token, three.claims, proof.id, code)


def test_a_mailed_code_takes_no_address_from_anybody(keeper: Running) -> None:
    ann, pat = subscriber(keeper, ANN), Person(PAT)
    first = send(keeper, ann, PAT)
    keeper.portal.allow(ann.ticket, first.message, "mail")
    register_by_mail(keeper, first, pat)
    second = send(keeper, ann, PAT)
    keeper.portal.allow(ann.ticket, second.message, "mail")
    proof, code = mailed(keeper, second)
    shown = keeper.portal.prove_mailed(second.link.token, second.claims, proof.id, code)
    assert (shown.has_account, shown.may_register) == (True, False)
    with pytest.raises(Denied):
        keeper.portal.register(shown.ticket, shown.salt, PARAMS, os.urandom(32), "Eve", "en")
    # Ann's own code outranks it, as it outranks every proof by mail.
    told = keeper.portal.prove(second.link.token, second.claims, code_for(keeper, ann, PAT))
    assert told.may_register


def test_who_is_signed_in_opens_it_by_a_mailed_code_and_only_at_their_own_address(keeper: Running) -> None:
    ann, bob, pat, eve = subscriber(keeper, ANN), subscriber(keeper, BOB), Person(PAT), Person("eve@else.example")
    register(keeper, send(keeper, bob, PAT), code_for(keeper, bob, PAT), pat)
    to_eve = send(keeper, bob, eve.address)
    register(keeper, to_eve, code_for(keeper, bob, eve.address), eve)
    mail = send(keeper, ann, PAT)
    keeper.portal.allow(ann.ticket, mail.message, "mail")
    proof, code = mailed(keeper, mail)
    with pytest.raises(Denied):
        keeper.portal.prove_mailed_session(eve.ticket, mail.link.token, mail.claims, proof.id, code)
    said = keeper.portal.prove_mailed_session(pat.ticket, mail.link.token, mail.claims, proof.id, code)
    assert said.statement == b""
    assert len(keeper.portal.adopt(pat.ticket, [mail.grant])) == 1


def test_after_a_reset_by_mail_what_was_shown_before_counts_no_more(keeper: Running) -> None:
    ann, pat = subscriber(keeper, ANN), Person(PAT)
    mail = send(keeper, ann, PAT)
    keeper.portal.allow(ann.ticket, mail.message, "mail")
    register_by_mail(keeper, mail, pat)
    intruder = Person(PAT)
    reset_by_mail(keeper, intruder)
    assert keeper.portal.adopt(intruder.ticket, [mail.grant]) == []


def test_five_wrong_digits_end_a_mailed_code_and_none_is_mailed_twice_in_two_minutes(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    mail = send(keeper, ann, PAT)
    keeper.portal.allow(ann.ticket, mail.message, "mail")
    proof, code = mailed(keeper, mail)
    again = keeper.portal.mail_open(mail.link.token, mail.claims, "198.51.100.9")
    assert (again.id, again.fresh) == (proof.id, False)
    wrong = f"{(int(code) + 1) % 1_000_000:06}"
    for left in (4, 3, 2, 1):
        with pytest.raises(WrongSecret) as said:
            keeper.portal.prove_mailed(mail.link.token, mail.claims, proof.id, wrong)
        assert said.value.tries_left == left
    with pytest.raises(Ended):
        keeper.portal.prove_mailed(mail.link.token, mail.claims, proof.id, wrong)
    with pytest.raises(Ended):
        keeper.portal.prove_mailed(mail.link.token, mail.claims, proof.id, code)
    keeper.clock.forward(minutes=3)
    fresh, code = mailed(keeper, mail)
    assert fresh.fresh
    keeper.clock.forward(minutes=11)
    with pytest.raises(Ended):
        keeper.portal.prove_mailed(mail.link.token, mail.claims, fresh.id, code)


def test_a_sender_who_thinks_better_of_it_is_heard(keeper: Running) -> None:
    ann, pat = subscriber(keeper, ANN), Person(PAT)
    mail = send(keeper, ann, PAT)
    keeper.portal.allow(ann.ticket, mail.message, "mail")
    proof, code = mailed(keeper, mail)
    shown = keeper.portal.prove_mailed(mail.link.token, mail.claims, proof.id, code)
    keeper.portal.allow(ann.ticket, mail.message, "code")
    with pytest.raises(Denied):
        keeper.portal.register(shown.ticket, shown.salt, PARAMS, pat.k, "Pat", "en")


def test_without_a_code_one_message_opens_and_the_next_asks_for_it(make_keeper: Make) -> None:
    keeper = make_keeper(instead_of_code="none")
    ann, pat = subscriber(keeper, ANN), Person(PAT)
    free, locked = send(keeper, ann, PAT), send(keeper, ann, PAT)
    keeper.portal.allow(ann.ticket, free.message, "none")
    with pytest.raises(WrongSecret):
        keeper.portal.prove(locked.link.token, locked.claims, "")
    opened = register(keeper, free, "", pat)
    adopted = keeper.portal.adopt(pat.ticket, [free.grant, locked.grant])
    assert [each.message for each in adopted] == [free.message]
    assert content_of(adopted[0], opened) == free.content
    again = send(keeper, ann, PAT)
    keeper.portal.allow(ann.ticket, again.message, "none")
    assert len(keeper.portal.adopt(pat.ticket, [again.grant])) == 1  # the password is enough for it
    with pytest.raises(Denied, match="one message at a time"):
        keeper.portal.allow(ann.ticket, 0, "none")


def test_what_the_operator_does_not_let_senders_choose_counts_for_nothing(make_keeper: Make) -> None:
    keeper = make_keeper(instead_of_code="code")
    ann = subscriber(keeper, ANN)
    mail = send(keeper, ann, PAT)
    for way in ("mail", "none", "anything"):
        with pytest.raises(Denied):
            keeper.portal.allow(ann.ticket, mail.message, way)
    assert keeper.portal.usual_way(ann.ticket) == "code"


def test_whose_password_was_reset_by_mail_lets_nothing_be_opened_with_less(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    mail = send(keeper, ann, PAT)
    reset_by_mail(keeper, ann)
    with pytest.raises(Denied):
        keeper.portal.allow(ann.ticket, mail.message, "mail")
    keeper.portal.allow(ann.ticket, mail.message, "code")
    assert keeper.portal.way_of(mail.link.token, mail.claims) == "code"

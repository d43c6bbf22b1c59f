"""From the first link to the last reset: what the keeper answers along the way."""

from __future__ import annotations

import pytest

from cryptnsend.core.cards import read_card, read_statement
from cryptnsend.core.errors import WrongSecret

from .conftest import Person, Running, code_for, content_of, register, send, subscriber


def test_a_recipient_registers_with_the_senders_code_and_opens_what_waited(keeper: Running) -> None:
    ann = subscriber(keeper, "ann@clinic.example")
    mail = send(keeper, ann, "pat@home.example")
    pat = Person("pat@home.example")
    opened = register(keeper, mail, code_for(keeper, ann, pat.address), pat)
    adopted = keeper.portal.adopt(opened.ticket, [mail.grant])
    assert [content_of(each, opened) for each in adopted] == [mail.content]


def test_the_card_and_the_statement_of_a_new_recipient_are_signed(keeper: Running) -> None:
    ann = subscriber(keeper, "ann@clinic.example")
    mail = send(keeper, ann, "pat@home.example")
    pat = Person("pat@home.example")
    opened = register(keeper, mail, code_for(keeper, ann, pat.address), pat)
    key = keeper.portal.anchors().card_key
    card = read_card(opened.cards[0], key)
    said = read_statement(opened.contacts[0].statement, key)
    assert (card.addresses, card.account, card.weak) == (("pat@home.example",), opened.account, False)
    assert {pair.custody for pair in card.pairs} == {"managed", "strict"}
    assert (said.account, said.subscriber, said.generation) == (opened.account, ann.account, card.generation)


def test_signing_in_opens_the_same_seeds_and_a_wrong_password_none(keeper: Running) -> None:
    ann = subscriber(keeper, "ann@clinic.example")
    assert ann.opened is not None
    assert ann.sign_in(keeper).seeds == ann.opened.seeds
    with pytest.raises(WrongSecret):
        keeper.portal.open("ann@clinic.example", bytes(32))

"""Who tries to get by with a passkey that is not theirs, not asked, not recognised, used before, or made elsewhere?"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cryptnsend.core.errors import Denied, Ended, NoGrant, WrongSecret
from tests.support.authenticator import Passkey

from .conftest import Make, Person, Running, subscriber
from .passkeys import ANN, BROWSER, added, ann_with, shown, signed_in


@pytest.fixture
def keeper(make_keeper: Make) -> Running:
    return make_keeper(origin=lambda: Passkey().origin)


WRONGS: dict[str, dict[str, Any]] = {
    "page of another origin": {"origin": "https://secure.clinic.example.evil.example"},
    "another port": {"origin": "https://secure.clinic.example:8443"},
    "no TLS": {"origin": "http://secure.clinic.example"},
    "another host": {"host": "evil.example"},
    "owner not recognised": {"verified": False},
    "another key": {"key": ec.generate_private_key(ec.SECP256R1())},
    "made for making": {"kind": "webauthn.create"},
    "in a frame of another page": {"crossOrigin": True},
}


@pytest.mark.parametrize("wrong", WRONGS.values(), ids=WRONGS)
def test_a_wrong_answer_and_one_of_an_unknown_passkey_are_told_the_same(keeper: Running, wrong: dict[str, Any]) -> None:
    _, passkey = ann_with(keeper)
    with pytest.raises(WrongSecret) as refused:
        signed_in(keeper, passkey, **wrong)
    with pytest.raises(WrongSecret) as unknown:
        signed_in(keeper, Passkey())
    assert str(refused.value) == str(unknown.value)
    assert signed_in(keeper, passkey).addresses == (ANN,)


def test_an_answer_counts_once(keeper: Running) -> None:
    _, passkey = ann_with(keeper, counts=False)
    answer = passkey.answer(keeper.portal.passkey_sign_in(BROWSER).challenge)
    keeper.portal.open_passkey(BROWSER, answer, b"")
    with pytest.raises(Ended):
        keeper.portal.open_passkey(BROWSER, answer, b"")


def test_a_challenge_counts_once_whoever_answers(keeper: Running) -> None:
    ann, passkey = ann_with(keeper)
    other, challenge = added(keeper, ann), keeper.portal.passkey_sign_in(BROWSER).challenge
    keeper.portal.open_passkey(BROWSER, passkey.answer(challenge), b"")
    with pytest.raises(Ended):
        keeper.portal.open_passkey(BROWSER, other.answer(challenge), b"")


def test_a_challenge_ends_after_five_minutes_and_with_a_restore(keeper: Running) -> None:
    _, passkey = ann_with(keeper)
    late = keeper.portal.passkey_sign_in(BROWSER).challenge
    keeper.clock.forward(minutes=5)
    before = keeper.portal.passkey_sign_in(BROWSER).challenge
    keeper.owner.restored()
    for challenge in (late, before):
        with pytest.raises(Ended):
            keeper.portal.open_passkey(BROWSER, passkey.answer(challenge), b"")


def test_a_challenge_of_another_browser_account_session_or_purpose_is_none(keeper: Running) -> None:
    ann, passkey = ann_with(keeper)
    again, bob = Person(ANN, ann.k), subscriber(keeper, "bob@law.example")
    again.sign_in(keeper)
    bob.sign_in(keeper)
    of_sign_in = keeper.portal.passkey_sign_in(BROWSER).challenge
    of_session = keeper.portal.passkey_ask(ann.ticket, "password").challenge
    of_bob = keeper.portal.passkey_ask(bob.ticket, "password").challenge
    asks: list[Callable[[], object]] = [
        lambda: keeper.portal.open_passkey(b"c" * 32, passkey.answer(of_sign_in), b""),
        lambda: keeper.portal.open_passkey(BROWSER, passkey.answer(of_session), b""),
        lambda: keeper.portal.passkey_show(again.ticket, "password", passkey.answer(of_session)),
        lambda: keeper.portal.passkey_show(ann.ticket, "number", passkey.answer(of_session)),
        lambda: keeper.portal.passkey_show(ann.ticket, "password", passkey.answer(of_bob)),
        lambda: keeper.portal.passkey_show(ann.ticket, "password", passkey.answer(of_sign_in)),
    ]
    for ask in asks:
        with pytest.raises(Ended):
            ask()


def test_a_challenge_that_the_keeper_did_not_make_is_none(keeper: Running) -> None:
    _, passkey = ann_with(keeper)
    ours = keeper.portal.passkey_sign_in(BROWSER).challenge
    for forged in (b"", b"x" * 56, ours[:-1] + bytes([ours[-1] ^ 1]), ours + b"x", ours[:-1]):
        with pytest.raises(Ended):
            keeper.portal.open_passkey(BROWSER, passkey.answer(forged), b"")


def test_the_passkey_of_another_account_stands_for_nobody_else(keeper: Running) -> None:
    ann, _ = ann_with(keeper)
    bob = subscriber(keeper, "bob@law.example")
    bob.sign_in(keeper)
    theirs = added(keeper, bob)
    with pytest.raises(WrongSecret):
        shown(keeper, ann, theirs, "password")
    mine = keeper.portal.passkeys(bob.ticket)[0].id
    with pytest.raises(NoGrant):
        keeper.portal.passkey_remove(ann.ticket, ann.k, mine)
    renamed = dataclasses.replace(Passkey(), id=theirs.id)  # a key of one's own under the id of somebody else's
    asked = keeper.portal.passkey_begin(ann.ticket, ann.k)
    with pytest.raises(Denied):
        keeper.portal.passkey_add(ann.ticket, "Phone", renamed.make(asked.challenge), b"", {})


def test_a_counter_that_goes_back_is_a_copy_and_is_told_to_the_owner(keeper: Running) -> None:
    ann, passkey = ann_with(keeper)
    for _ in range(3):
        signed_in(keeper, passkey)
    copy = dataclasses.replace(passkey, counter=1)
    with pytest.raises(WrongSecret, match="copy"):
        signed_in(keeper, copy)
    assert keeper.portal.passkeys(ann.ticket)[0].copied == keeper.clock.now()
    with pytest.raises(WrongSecret, match="copy"):
        signed_in(keeper, passkey, counter=0)


def test_a_passkey_that_was_in_one_device_is_not_suddenly_in_many(keeper: Running) -> None:
    _, passkey = ann_with(keeper)
    with pytest.raises(WrongSecret):
        signed_in(keeper, dataclasses.replace(passkey, synced=True))


@pytest.mark.parametrize(
    "octets",
    [b"", b"{}", b"[]", b"\xff", b'{"id": 1}', b'{"id": "x", "response": {"clientDataJSON": "e30"}}', b"9" * 40_000],
    ids=["nothing", "empty", "list", "no text", "number", "no client data", "huge"],
)
def test_what_is_no_answer_is_a_wrong_one(keeper: Running, octets: bytes) -> None:
    ann, _ = ann_with(keeper)
    with pytest.raises(WrongSecret):
        keeper.portal.open_passkey(BROWSER, octets, b"")
    with pytest.raises(Denied):
        keeper.portal.passkey_add(ann.ticket, "x", octets, b"", {})


@pytest.mark.parametrize("name", ["authenticatorData", "signature"])
@pytest.mark.parametrize("value", ["", "AA", "é", "AAAA" * 400])
def test_damaged_parts_of_an_answer_make_it_a_wrong_one(keeper: Running, name: str, value: str) -> None:
    _, passkey = ann_with(keeper)
    said = json.loads(passkey.answer(keeper.portal.passkey_sign_in(BROWSER).challenge))
    said["response"][name] = value
    with pytest.raises(WrongSecret):
        keeper.portal.open_passkey(BROWSER, json.dumps(said).encode(), b"")


@pytest.mark.parametrize(
    "wrong",
    [{"origin": "https://evil.example"}, {"host": "evil.example"}, {"verified": False}, {"crossOrigin": True}],
    ids=lambda each: next(iter(each)),
)
def test_a_passkey_made_elsewhere_or_without_its_owner_is_not_taken(keeper: Running, wrong: dict[str, Any]) -> None:
    ann = subscriber(keeper, ANN)
    ann.sign_in(keeper)
    asked = keeper.portal.passkey_begin(ann.ticket, ann.k)
    with pytest.raises(Denied):
        keeper.portal.passkey_add(ann.ticket, "Phone", Passkey().make(asked.challenge, **wrong), b"", {})
    assert keeper.portal.passkeys(ann.ticket) == []


def test_a_passkey_is_made_only_by_who_typed_the_password_and_once_for_each_time(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    ann.sign_in(keeper)
    with pytest.raises(WrongSecret):
        keeper.portal.passkey_begin(ann.ticket, b"x" * 32)
    of_page = keeper.portal.passkey_ask(ann.ticket, "seal").challenge
    with pytest.raises(Ended):
        keeper.portal.passkey_add(ann.ticket, "Phone", Passkey().make(of_page), b"", {})
    asked = keeper.portal.passkey_begin(ann.ticket, ann.k)
    keeper.portal.passkey_add(ann.ticket, "Phone", Passkey().make(asked.challenge), b"", {})
    with pytest.raises(Ended):
        keeper.portal.passkey_add(ann.ticket, "Phone", Passkey().make(asked.challenge), b"", {})


def test_no_socket_takes_a_role_s_word_that_a_passkey_was_shown(keeper: Running) -> None:
    """Whoever took the portal over has every request of it, and no answer by a key that it does not have."""
    ann, passkey = ann_with(keeper)
    asked = keeper.portal.passkey_sign_in(BROWSER)
    forged = dataclasses.replace(Passkey(), id=passkey.id).answer(asked.challenge, counter=99)
    with pytest.raises(WrongSecret):
        keeper.portal.open_passkey(BROWSER, forged, b"")
    for claim in ("passkey:" + "A" * 80, "passkey:", "passkey:é"):
        with pytest.raises(WrongSecret):
            keeper.portal.step_up(ann.ticket, claim.encode().ljust(40, b"="))
    for role in ("submission", "mailbox", "courier"):
        with pytest.raises(Denied, match="no such request"):
            keeper.role(role).open_passkey(BROWSER, b"", b"")

"""Passkeys: the keeper alone judges them, each answer counts once, and what they open is what custody lets them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from cryptnsend.core.errors import CryptnSendError, Denied, Ended, NoGrant, SecondStep, WrongSecret
from cryptnsend.core.passwords import new_recovery_code, recovery_key
from cryptnsend.keeper import requests as q
from tests.support.authenticator import Passkey

from .conftest import PARAMS, Make, Person, Running, code_for, register, reset_by_mail, send, subscriber
from .test_second import number

ANN = "ann@clinic.example"
BROWSER = b"b" * 32


@pytest.fixture
def keeper(make_keeper: Make) -> Running:
    return make_keeper(origin=lambda: Passkey().origin)


def added(keeper: Running, somebody: Person, passkey: Passkey | None = None, *, opens: bool = False) -> Passkey:
    """Give somebody who is signed in a passkey."""
    made = passkey or Passkey()
    keeper.clock.forward(minutes=0.1)  # they are listed by when they were made
    asked = keeper.portal.passkey_begin(somebody.ticket, somebody.k)
    assert somebody.opened is not None
    output = made.output(asked.input) if opens else b""
    seeds = somebody.opened.seeds if opens else {}
    keeper.portal.passkey_add(somebody.ticket, "Phone", made.make(asked.challenge), output, seeds)
    return made


def ann_with(keeper: Running, *, opens: bool = False, **values: Any) -> tuple[Person, Passkey]:
    ann = subscriber(keeper, ANN)
    ann.sign_in(keeper)
    return ann, added(keeper, ann, Passkey(**values), opens=opens)


def signed_in(keeper: Running, passkey: Passkey, *, opens: bool = False, **wrong: Any) -> q.Opened:
    asked = keeper.portal.passkey_sign_in(BROWSER)
    output = passkey.output(asked.input) if opens else b""
    return keeper.portal.open_passkey(BROWSER, passkey.answer(asked.challenge, **wrong), output)


def shown(keeper: Running, somebody: Person, passkey: Passkey, what: str) -> str:
    asked = keeper.portal.passkey_ask(somebody.ticket, what)
    return keeper.portal.passkey_show(somebody.ticket, what, passkey.answer(asked.challenge))


def custodies(opened: q.Opened) -> set[str]:
    by_id = {pair.id: pair.custody for pair in opened.pairs}
    return {by_id[pair] for pair in opened.seeds}


# -- signing in -------------------------------------------------------------------------------------------------------


def test_a_passkey_signs_in_and_opens_what_the_keeper_can(keeper: Running) -> None:
    ann, passkey = ann_with(keeper)
    opened = signed_in(keeper, passkey)
    assert opened.account == ann.account
    assert custodies(opened) == {"managed"}
    assert keeper.portal.codes(opened.ticket, ["pat@home.example"])[0].state == "live"


def test_a_passkey_with_an_output_opens_strict_mail_too(keeper: Running) -> None:
    ann, passkey = ann_with(keeper, opens=True)
    opened = signed_in(keeper, passkey, opens=True)
    assert ann.opened is not None
    assert opened.seeds == ann.opened.seeds
    assert custodies(signed_in(keeper, passkey)) == {"managed"}  # of a browser that does not offer the extension


def test_where_keys_are_kept_strictly_only_a_passkey_with_an_output_signs_in_alone(keeper: Running) -> None:
    clinic = keeper.owner.organisation_add("Clinic", "strict", "new-contact")
    ann = subscriber(keeper, ANN, clinic.id)
    ann.sign_in(keeper)
    passkey = added(keeper, ann)
    with pytest.raises(Denied, match="keeps keys away"):
        signed_in(keeper, passkey)
    asked = keeper.portal.passkey_ask(ann.ticket, "seal")
    assert ann.opened is not None
    answer, output = passkey.answer(asked.challenge), passkey.output(asked.input)
    assert keeper.portal.passkey_seal(ann.ticket, answer, output, ann.opened.seeds).opens
    assert signed_in(keeper, passkey, opens=True).seeds == ann.opened.seeds


def test_an_output_of_another_passkey_opens_nothing_of_its_own(keeper: Running) -> None:
    _, passkey = ann_with(keeper, opens=True)
    asked = keeper.portal.passkey_sign_in(BROWSER)
    opened = keeper.portal.open_passkey(BROWSER, passkey.answer(asked.challenge), Passkey().output(asked.input))
    assert custodies(opened) == {"managed"}


def test_a_passkey_opens_what_was_sealed_before_a_password_change_and_after_it(keeper: Running) -> None:
    ann, passkey = ann_with(keeper, opens=True)
    fresh = b"n" * 32
    opened = keeper.portal.change(ann.ticket, ann.k, keeper.portal.change_salt(ann.ticket), PARAMS, fresh)
    assert signed_in(keeper, passkey, opens=True).seeds == opened.seeds


def test_passkey_and_session_of_two_browsers_are_of_one_account(keeper: Running) -> None:
    ann, phone = ann_with(keeper)
    laptop = added(keeper, ann)
    assert {signed_in(keeper, each).account for each in (phone, laptop)} == {ann.account}
    assert [each.name for each in keeper.portal.passkeys(ann.ticket)] == ["Phone", "Phone"]


def test_when_a_passkey_was_used_last_and_how_it_is_kept_are_noted(keeper: Running) -> None:
    ann, passkey = ann_with(keeper)
    added(keeper, ann, Passkey(synced=True, counts=False))
    assert [(each.used, each.kept) for each in keeper.portal.passkeys(ann.ticket)] == [
        (None, "device"),
        (None, "backed-up"),
    ]
    keeper.clock.forward(minutes=1)
    signed_in(keeper, passkey)
    assert keeper.portal.passkeys(ann.ticket)[0].used == keeper.clock.now()


def test_the_sign_in_page_tells_of_no_account(keeper: Running) -> None:
    before = keeper.portal.passkey_sign_in(BROWSER)
    ann_with(keeper)
    after = keeper.portal.passkey_sign_in(BROWSER)
    assert (after.credentials, after.user) == (before.credentials, before.user) == ((), b"")
    assert after.input == before.input
    assert after.challenge != before.challenge


# -- attacks ----------------------------------------------------------------------------------------------------------


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


# -- in the place of something typed ----------------------------------------------------------------------------------


def test_a_passkey_stands_for_the_password_for_two_minutes_and_gives_no_pair(keeper: Running) -> None:
    ann, passkey = ann_with(keeper)
    k = shown(keeper, ann, passkey, "password").encode()
    keeper.portal.step_up(ann.ticket, k)
    assert keeper.portal.passphrase(ann.ticket, k)[0].words
    salt = keeper.portal.change_salt(ann.ticket)
    gives: list[Callable[[], object]] = [
        lambda: keeper.portal.open_rest(ann.ticket, k),
        lambda: keeper.portal.change(ann.ticket, k, salt, PARAMS, b"n" * 32),
        lambda: keeper.portal.open(ANN, k),
    ]
    for ask in gives:
        with pytest.raises(CryptnSendError):
            ask()
    keeper.clock.forward(minutes=2)
    with pytest.raises(WrongSecret):
        keeper.portal.step_up(ann.ticket, k)


def test_a_passkey_stands_for_a_number_once_and_not_for_a_password(keeper: Running) -> None:
    ann, passkey = ann_with(keeper)
    secret = keeper.portal.second_begin(ann.ticket, ann.k).secret
    keeper.portal.second_begun(ann.ticket, number(keeper, secret))
    code = shown(keeper, ann, passkey, "number")
    with pytest.raises(WrongSecret):
        keeper.portal.step_up(ann.ticket, code.encode())
    keeper.portal.passkey_step(ann.ticket, ann.k, code, True)
    with pytest.raises(WrongSecret):
        keeper.portal.second_end(ann.ticket, ann.k, code)


def test_who_signed_in_by_a_passkey_gets_the_rest_by_the_password(keeper: Running) -> None:
    ann, passkey = ann_with(keeper)
    opened = signed_in(keeper, passkey)
    with pytest.raises(WrongSecret):
        keeper.portal.open_rest(opened.ticket, b"x" * 32)
    assert ann.opened is not None
    assert keeper.portal.open_rest(opened.ticket, ann.k) == ann.opened.seeds


# -- after the password -----------------------------------------------------------------------------------------------


def stepped(keeper: Running, **values: Any) -> tuple[Person, Passkey]:
    ann, passkey = ann_with(keeper, **values)
    keeper.portal.passkey_step(ann.ticket, ann.k, shown(keeper, ann, passkey, "number"), True)
    return ann, passkey


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
    assert ann.opened is not None
    code = new_recovery_code(lambda n: b"r" * n)
    keeper.portal.store_wraps(ann.ticket, "recovery", recovery_key(code), ann.opened.seeds)
    held = keeper.portal.hold(ANN, ann.k)
    with pytest.raises(WrongSecret):
        keeper.portal.open_recovered(held, recovery_key(new_recovery_code(lambda n: b"s" * n)))
    assert keeper.portal.open_recovered(held, recovery_key(code)).account == ann.account
    assert keeper.portal.open(ANN, ann.k).account == ann.account


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


# -- losing and ending ------------------------------------------------------------------------------------------------


def test_a_removed_passkey_opens_nothing_not_even_with_a_challenge_from_before(keeper: Running) -> None:
    ann, passkey = ann_with(keeper, opens=True)
    challenge = keeper.portal.passkey_sign_in(BROWSER).challenge
    ident = keeper.portal.passkeys(ann.ticket)[0].id
    with pytest.raises(WrongSecret):
        keeper.portal.passkey_remove(ann.ticket, b"x" * 32, ident)
    keeper.portal.passkey_remove(ann.ticket, ann.k, ident)
    with pytest.raises(WrongSecret):
        keeper.portal.open_passkey(BROWSER, passkey.answer(challenge), b"")
    assert keeper.portal.open(ANN, ann.k).account == ann.account
    assert keeper.engine.query("SELECT * FROM passkey_seeds") == []


def test_the_last_passkey_of_a_second_step_stays_until_that_ends(keeper: Running) -> None:
    ann, passkey = stepped(keeper)
    ident = keeper.portal.passkeys(ann.ticket)[0].id
    with pytest.raises(Denied, match="last passkey"):
        keeper.portal.passkey_remove(ann.ticket, ann.k, ident)
    keeper.portal.passkey_step(ann.ticket, ann.k, shown(keeper, ann, passkey, "number"), False)
    keeper.portal.passkey_remove(ann.ticket, ann.k, ident)
    assert keeper.portal.open(ANN, ann.k).account == ann.account


def test_the_server_s_owner_removes_any_passkey_and_nobody_is_shut_out(keeper: Running) -> None:
    ann, passkey = stepped(keeper)
    (row,) = keeper.owner.passkey_list(ANN)
    keeper.owner.passkey_revoke(row.id)
    with pytest.raises(WrongSecret):
        signed_in(keeper, passkey)
    assert keeper.portal.open(ANN, ann.k).account == ann.account
    with pytest.raises(NoGrant):
        keeper.owner.passkey_revoke(row.id)


def test_a_passkey_that_was_removed_stays_so_when_a_backup_comes_back(keeper: Running) -> None:
    ann, passkey = ann_with(keeper)
    (row,) = keeper.owner.passkey_list(ANN)
    kept = keeper.engine.query("SELECT * FROM passkeys")[0]
    keeper.owner.passkey_revoke(row.id)
    places = ", ".join(f":{name}" for name in kept)
    keeper.engine.write(lambda rows: rows.execute(f"INSERT INTO passkeys VALUES ({places})", kept)).result()  # noqa: S608
    assert signed_in(keeper, passkey).account == ann.account  # what the backup would do
    keeper.owner.restored()
    with pytest.raises(WrongSecret):
        signed_in(keeper, passkey)


def test_a_new_password_leaves_passkeys_and_a_disabled_account_has_none_that_work(keeper: Running) -> None:
    ann, passkey = ann_with(keeper)
    keeper.portal.change(ann.ticket, ann.k, keeper.portal.change_salt(ann.ticket), PARAMS, b"n" * 32)
    assert signed_in(keeper, passkey).account == ann.account
    keeper.owner.disable(ANN)
    with pytest.raises(Denied, match="disabled"):
        signed_in(keeper, passkey)
    keeper.owner.enable(ANN)
    assert signed_in(keeper, passkey).account == ann.account


def test_a_closed_account_has_no_passkey(keeper: Running) -> None:
    ann, passkey = ann_with(keeper, opens=True)
    keeper.portal.close_account(ann.ticket, ann.k)
    with pytest.raises(WrongSecret):
        signed_in(keeper, passkey)
    assert keeper.engine.query("SELECT * FROM passkeys") == []


def test_after_a_reset_by_mail_a_passkey_signs_in_no_more_and_shows_who_its_owner_is(keeper: Running) -> None:
    ann, passkey = ann_with(keeper, opens=True)
    assert ann.opened is not None
    before, mine = ann.opened.seeds, ann.k
    reset = Person(ANN)
    reset_by_mail(keeper, reset)
    assert reset.opened is not None
    with pytest.raises(Denied, match="reset by mail"):
        signed_in(keeper, passkey, opens=True)
    (row,) = keeper.portal.passkeys(reset.ticket)
    with pytest.raises(Denied):  # whoever reads the mailbox cannot take the owner's way back
        keeper.portal.passkey_remove(reset.ticket, reset.k, row.id)
    asked = keeper.portal.passkey_ask(reset.ticket, "unlock")
    secret = msgspec.msgpack.encode((passkey.answer(asked.challenge), passkey.output(asked.input)))
    with pytest.raises(WrongSecret):
        keeper.portal.unlock(reset.ticket, "passkey", b"", reset.k)
    unlocked = keeper.portal.unlock(reset.ticket, "passkey", secret, reset.k)
    assert unlocked.seeds == before
    assert unlocked.opened.state == "active"
    assert signed_in(keeper, passkey, opens=True).seeds == before | reset.opened.seeds
    with pytest.raises(WrongSecret):
        keeper.portal.open(ANN, mine)


def test_who_resets_by_mail_gets_nothing_by_a_passkey_of_their_own(keeper: Running) -> None:
    ann, passkey = ann_with(keeper)
    intruder = Person(ANN)
    reset_by_mail(keeper, intruder)
    with pytest.raises(Denied):
        keeper.portal.passkey_begin(intruder.ticket, intruder.k)
    asked = keeper.portal.passkey_ask(intruder.ticket, "unlock")
    secret = msgspec.msgpack.encode((Passkey().answer(asked.challenge), b""))
    with pytest.raises(WrongSecret):
        keeper.portal.unlock(intruder.ticket, "passkey", secret, intruder.k)
    keeper.clock.forward(days=8)
    again = Person(ANN, intruder.k)
    again.sign_in(keeper)
    with pytest.raises(Denied):  # the owner has a way of their own, so waiting is none
        keeper.portal.unlock(again.ticket, "waited", b"", again.k)
    assert ann.account == again.account
    asked = keeper.portal.passkey_ask(again.ticket, "unlock")
    secret = msgspec.msgpack.encode((passkey.answer(asked.challenge), b""))
    opened = keeper.portal.unlock(again.ticket, "passkey", secret, again.k).opened
    assert opened.state == "active"


def test_an_account_has_few_passkeys_and_their_names_are_plain(make_keeper: Make) -> None:
    keeper = make_keeper(origin=lambda: Passkey().origin, passkeys=2)
    ann = subscriber(keeper, ANN)
    ann.sign_in(keeper)
    for name in ("  My\x00\nphone " + "x" * 90, "\x07"):
        keeper.clock.forward(minutes=0.1)  # they are listed by when they were made
        asked = keeper.portal.passkey_begin(ann.ticket, ann.k)
        keeper.portal.passkey_add(ann.ticket, name, Passkey().make(asked.challenge), b"", {})
    first, second = (each.name for each in keeper.portal.passkeys(ann.ticket))
    assert first.startswith("My phone x")
    assert len(first) == 60
    assert second == "Passkey"
    with pytest.raises(Denied, match="at most 2"):
        keeper.portal.passkey_begin(ann.ticket, ann.k)


def test_a_server_that_knows_no_address_of_its_pages_has_no_passkeys(make_keeper: Make) -> None:
    with pytest.raises(Denied, match="no address"):
        make_keeper().portal.passkey_sign_in(BROWSER)


def test_a_recipient_reads_strict_mail_by_a_passkey_with_an_output(keeper: Running) -> None:
    clinic = keeper.owner.organisation_add("Clinic", "strict", "new-contact")
    ann, pat = subscriber(keeper, ANN, clinic.id), Person("pat@home.example")
    mail = send(keeper, ann, pat.address, "strict")
    register(keeper, mail, code_for(keeper, ann, pat.address), pat)
    passkey = added(keeper, pat, opens=True)
    opened = signed_in(keeper, passkey, opens=True)
    (adopted,) = keeper.portal.adopt(opened.ticket, [mail.grant])
    assert adopted.epoch.pair in opened.seeds
    assert adopted.epoch.pair not in signed_in(keeper, passkey).seeds

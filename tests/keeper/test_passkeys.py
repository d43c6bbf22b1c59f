"""Passkeys: the keeper alone judges them, each answer counts once, and what they open is what custody lets them."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from cryptnsend.core.errors import CryptnSendError, Denied, NoGrant, WrongSecret
from tests.support.authenticator import Passkey

from .conftest import PARAMS, Make, Person, Running, code_for, register, reset_by_mail, send, subscriber
from .passkeys import ANN, BROWSER, added, ann_with, custodies, shown, signed_in, stepped
from .test_second import number


@pytest.fixture
def keeper(make_keeper: Make) -> Running:
    return make_keeper(origin=lambda: Passkey().origin)


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

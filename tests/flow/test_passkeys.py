"""Passkeys over the real rows and keeper: audited, told by mail, and part of every way in and back in."""

from __future__ import annotations

import pytest

from cryptnsend.core.errors import Denied, NoGrant, SecondStep, Throttled, WrongSecret
from cryptnsend.flow import passkeys
from cryptnsend.flow.sessions import Session
from tests.support.authenticator import Passkey
from tests.support.house import AGENT, MINUTE, OTHER, PASSWORD, SOURCE, House

ANN, PAT = "ann@gmail.example", "pat@yahoo.example"
BROWSER = b"of the form cookie"


def added(house: House, session: Session, *, opens: bool = False) -> Passkey:
    made = Passkey()
    ask = house.accounts.begin_passkey(session, PASSWORD, SOURCE)
    output = made.output(ask.input) if opens else b""
    house.accounts.add_passkey(session, "Phone", made.make(ask.challenge), output)
    return made


def entered(house: House, passkey: Passkey, *, opens: bool = False) -> Session:
    ask = house.accounts.ask_any_passkey(BROWSER)
    output = passkey.output(ask.input) if opens else b""
    cookie = house.accounts.passkey_sign_in(BROWSER, passkey.answer(ask.challenge), output, SOURCE, AGENT)
    return house.found(cookie)


def shown(house: House, session: Session, passkey: Passkey, what: str) -> str:
    ask = house.accounts.ask_passkey(session, what)
    return house.accounts.show_passkey(session, what, passkey.answer(ask.challenge))


def refused(house: House) -> type[Denied]:
    with pytest.raises(Denied) as why:
        entered(house, Passkey())
    return why.type


def actions(house: House, session: Session) -> list[str]:
    return [action for _, action in house.audited(session.organisation)]


def test_adding_using_and_removing_one_is_audited_and_told(house: House, ann: int) -> None:
    session = house.session(ANN)
    passkey = added(house, session)
    assert (ANN, "passkey-added") in house.alerts()
    again = entered(house, passkey)
    assert again.account == ann
    (row,) = house.accounts.passkeys(again)
    assert house.accounts.passphrases(again, shown(house, again, passkey, "password"), SOURCE)
    house.accounts.remove_passkey(again, row.id, PASSWORD, SOURCE)
    assert (ANN, "passkey-removed") in house.alerts()
    done = actions(house, session)
    assert {"passkey.added", "account.signed-in", "passkey.shown", "passkey.removed"} <= set(done)
    with pytest.raises(WrongSecret):
        entered(house, passkey)


def test_strict_mail_opens_by_a_passkey_with_an_output_or_by_the_password(make_house, house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    house.register(PAT, message)
    pat = house.session(PAT)
    opening, plain = added(house, pat, opens=True), added(house, pat)
    whole, part = entered(house, opening, opens=True), entered(house, plain)
    assert whole.seeds == pat.seeds
    assert whole.closed == ()
    assert set(part.closed) == set(pat.seeds) - set(part.seeds) != set()
    assert house.pickup.show(part, message).subject == "Results"  # managed, so the keeper opens it
    with pytest.raises(WrongSecret):
        house.accounts.confirm(part, "not the password at all", SOURCE)
    house.accounts.confirm(part, PASSWORD, SOURCE)
    assert part.seeds == pat.seeds


def test_a_recovery_code_made_after_a_passkey_covers_what_only_the_password_opens(house: House, ann: int) -> None:
    passkey = added(house, house.session(ANN))
    session = entered(house, passkey)
    assert session.closed
    code = house.accounts.recovery_code(session, PASSWORD, SOURCE)
    everything = dict(session.seeds)
    weak = house.reset(ANN)
    house.accounts.unlock(weak, "recovery", code, OTHER, SOURCE)
    assert everything.items() <= house.session(ANN, OTHER).seeds.items()


def test_a_session_that_became_whole_stays_so_on_the_next_page(house: House, ann: int) -> None:
    passkey = added(house, house.session(ANN))
    ask = house.accounts.ask_any_passkey(BROWSER)
    cookie = house.accounts.passkey_sign_in(BROWSER, passkey.answer(ask.challenge), b"", SOURCE, AGENT)
    house.accounts.confirm(house.found(cookie), PASSWORD, SOURCE)
    assert house.found(cookie).closed == ()
    assert house.found(cookie).seeds == house.session(ANN).seeds


def test_a_passkey_after_the_password_and_the_way_in_without_it(house: House, ann: int) -> None:
    session = house.session(ANN)
    passkey = added(house, session)
    code = shown(house, session, passkey, "number")
    recovery = house.accounts.begin_passkey_step(session, PASSWORD, code, SOURCE)
    assert (ANN, "passkey-step-begun") in house.alerts()
    with pytest.raises(SecondStep) as asked:
        house.accounts.sign_in(ANN, PASSWORD, SOURCE, AGENT)
    ways = house.accounts.second_ways(asked.value.held)
    assert ways.passkey is not None
    answer = passkey.answer(ways.passkey.challenge)
    assert house.found(house.accounts.second_passkey(ANN, asked.value.held, answer, SOURCE, AGENT)).account == ann
    with pytest.raises(SecondStep) as asked:
        house.accounts.sign_in(ANN, PASSWORD, SOURCE, AGENT)
    house.accounts.second_step(ANN, asked.value.held, recovery, SOURCE, AGENT)
    assert house.session(ANN).account == ann


def test_a_step_that_only_the_server_s_owner_could_end_is_never_left_behind(house: House, ann: int) -> None:
    session = house.session(ANN)
    passkey = added(house, session)
    (row,) = house.accounts.passkeys(session)
    house.accounts.begin_passkey_step(session, PASSWORD, shown(house, session, passkey, "number"), SOURCE)
    with pytest.raises(Denied, match="last passkey"):
        house.accounts.remove_passkey(session, row.id, PASSWORD, SOURCE)
    house.accounts.end_passkey_step(session, PASSWORD, shown(house, session, passkey, "number"), SOURCE)
    house.accounts.remove_passkey(session, row.id, PASSWORD, SOURCE)
    assert house.session(ANN).account == ann


def test_after_a_reset_by_mail_a_passkey_from_before_opens_everything_again(house: House, ann: int) -> None:
    before = house.session(ANN)
    passkey = added(house, before, opens=True)
    weak = house.reset(ANN)
    with pytest.raises(Denied, match="reset by mail"):
        entered(house, passkey)
    with pytest.raises(Denied):
        house.accounts.begin_passkey(weak, OTHER, SOURCE)
    ask = house.accounts.ask_passkey(weak, "unlock")
    answer, output = passkey.answer(ask.challenge), passkey.output(ask.input)
    with pytest.raises(WrongSecret):
        house.accounts.unlock_by_passkey(weak, Passkey().answer(ask.challenge), output, OTHER, SOURCE)
    house.accounts.unlock_by_passkey(weak, answer, output, OTHER, SOURCE)
    assert (ANN, "unlocked") in house.alerts()
    whole = house.session(ANN, OTHER)
    assert not whole.weak
    assert before.seeds.items() <= whole.seeds.items()
    assert entered(house, passkey, opens=True).seeds == whole.seeds


def test_a_late_or_repeated_answer_is_a_wrong_one(house: House, ann: int) -> None:
    session = house.session(ANN)
    passkey = added(house, session)
    late = house.accounts.ask_any_passkey(BROWSER)
    house.clock.forward(5 * MINUTE)
    with pytest.raises(WrongSecret):
        house.accounts.passkey_sign_in(BROWSER, passkey.answer(late.challenge), b"", SOURCE, AGENT)
    ask = house.accounts.ask_passkey(session, "password")
    answer = passkey.answer(ask.challenge)
    house.accounts.show_passkey(session, "password", answer)
    with pytest.raises(WrongSecret):
        house.accounts.show_passkey(session, "password", answer)


def test_one_source_does_not_try_without_end(house: House, ann: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passkeys, "MOST_SHOWN", 3)
    for _ in range(3):
        with pytest.raises(WrongSecret):
            entered(house, Passkey())
    assert any(refused(house) is Throttled for _ in range(5))


def test_a_passkey_that_is_shown_changes_no_password_and_makes_no_recovery_code_that_opens_less(
    house: House, ann: int
) -> None:
    passkey = added(house, house.session(ANN))
    session = entered(house, passkey)
    stands = shown(house, session, passkey, "password")
    with pytest.raises(WrongSecret):
        house.accounts.change_password(session, stands, OTHER, SOURCE, AGENT)
    code = shown(house, session, passkey, "number")
    with pytest.raises(WrongSecret):
        house.accounts.begin_passkey_step(session, stands, code, SOURCE)
    with pytest.raises(WrongSecret):
        house.accounts.recovery_code(session, stands, SOURCE)
    with pytest.raises(WrongSecret):  # typed, it is a password like any other
        house.accounts.confirm(session, str.__str__(stands) + " ", SOURCE)


def test_a_closed_account_leaves_no_passkey(house: House, ann: int) -> None:
    session = house.session(ANN)
    passkey = added(house, session, opens=True)
    house.accounts.close(session, shown(house, session, passkey, "password"), SOURCE)
    with pytest.raises(WrongSecret):
        entered(house, passkey)


def test_the_owner_of_the_server_lists_and_removes_them(house: House, ann: int) -> None:
    added(house, house.session(ANN))
    owner = house.process("owner").owner
    (row,) = owner.passkeys(ANN)
    assert owner.passkey(ANN, "phone") == owner.passkey(ANN, str(row.id)) == row.id
    with pytest.raises(NoGrant, match="There are: 'Phone'"):
        owner.passkey(ANN, "Laptop")
    owner.revoke_passkey(ANN, row.id)
    assert owner.passkeys(ANN) == []
    assert (ANN, "passkey-removed") in house.alerts()

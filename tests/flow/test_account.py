"""How does a person get in, stay in, and get back in?"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import pytest

from cryptnsend.core import passwords
from cryptnsend.core.errors import CryptnSendError, Denied, Ended, KeeperGone, NoGrant, Throttled, WrongSecret
from tests.support.house import AGENT, DAY, HOUR, MINUTE, OTHER, PASSWORD, SOURCE, House, MakeHouse

ANN, PAT, CARL = "ann@gmail.example", "pat@yahoo.example", "carl@outlook.example"
NEW = "sparrow lantern cobalt meadow"


def newcomer(house: House) -> tuple[int, str, bytes]:
    """A message to Pat, its link, and the proof of its code."""
    message = house.submit(ANN, [PAT], house.mail())
    token = house.link(message, PAT)
    return message, token, house.pickup.prove(token, house.code(ANN, PAT), SOURCE).ticket


# -- in and out -------------------------------------------------------------------------------------------------------


def test_unknown_addresses_and_wrong_passwords_get_one_answer(house: House, ann: int) -> None:
    answers = set()
    for address, password in ((ANN, "wrong"), ("nobody@x.example", PASSWORD), ("no address", PASSWORD), ("", "")):
        with pytest.raises(WrongSecret) as refused:
            house.accounts.sign_in(address, password, SOURCE, AGENT)
        answers.add(str(refused.value))
    assert len(answers - {"A password has between 1 and 1024 characters."}) == 1


def test_whoever_has_many_addresses_of_one_network_guesses_no_more_often(house: House, ann: int) -> None:
    for number in range(9):
        with pytest.raises(WrongSecret):
            house.accounts.sign_in(ANN, f"guess {number}", f"2001:db8:1:2::{number + 1:x}", AGENT)
    with pytest.raises(Throttled):
        house.accounts.sign_in(ANN, "another guess", "2001:db8:1:2:ffff::1", AGENT)
    with pytest.raises(Throttled):
        house.accounts.sign_in(ANN, PASSWORD, "2001:db8:1:2:1::1", AGENT)
    assert house.accounts.sign_in(ANN, PASSWORD, "2001:db8:1:3::1", AGENT)
    assert house.accounts.sign_in(ANN, PASSWORD, "::ffff:192.0.2.7", AGENT)


def test_guessing_on_the_page_pauses_its_source_and_not_the_owner(house: House, ann: int) -> None:
    for number in range(9):
        with pytest.raises(WrongSecret):
            house.accounts.sign_in(ANN, f"guess {number}", "198.51.100.9", AGENT)
    with pytest.raises(Throttled):
        house.accounts.sign_in(ANN, "guess 9", "198.51.100.9", AGENT)
    assert house.session(ANN).account == ann


def test_a_sign_in_from_another_browser_is_told_to_the_owner(house: House, ann: int) -> None:
    house.session(ANN)
    house.session(ANN)
    assert house.alerts() == []
    house.session(ANN, agent="Another browser")
    assert house.alerts() == [(ANN, "new-sign-in")]


def test_signing_out_everywhere_leaves_the_devices(house: House, ann: int) -> None:
    cookies = [house.accounts.sign_in(ANN, PASSWORD, SOURCE, AGENT) for _ in range(3)]
    device = house.accounts.add_device(house.found(cookies[0]), "laptop", "submit").password
    house.accounts.sign_out_everywhere(house.found(cookies[0]))
    assert [house.accounts.session(each) for each in cookies] == [None] * 3
    assert house.sign_in_smtp(ANN, device).account == ann


def test_confirming_takes_the_present_password(house: House, ann: int) -> None:
    session = house.session(ANN)
    house.accounts.confirm(session, PASSWORD, SOURCE)
    with pytest.raises(WrongSecret):
        house.accounts.confirm(session, "wrong", SOURCE)


def test_rows_that_a_crash_kept_from_being_written_come_with_the_next_sign_in(
    house: House, ann: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keeper has committed, this process dies before its own rows are written."""
    message, _, ticket = newcomer(house)

    def crash(*_: Any, **__: Any) -> None:
        raise sqlite3.OperationalError("the process died here")

    with monkeypatch.context() as broken:
        broken.setattr("cryptnsend.flow.mainrows.write_opened", crash)
        with pytest.raises(sqlite3.OperationalError):
            house.accounts.register(ticket, PASSWORD, "", SOURCE, AGENT, "en")
    assert house.engine.query("SELECT * FROM accounts WHERE roles = 'recipient'") == []
    pat = house.session(PAT)
    assert pat.addresses == (PAT,)
    assert house.pickup.show(pat, message).subject == "Results"


def test_a_change_that_a_crash_interrupted_is_made_good(
    house: House, ann: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, known = house.session(ANN), house.sign_in_smtp(ANN, PASSWORD)
    with monkeypatch.context() as broken:
        broken.setattr("cryptnsend.flow.mainrows.write_opened", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            house.accounts.change_password(session, PASSWORD, NEW, SOURCE, AGENT)
    assert not house.gate.still_valid(known)  # raised before the keeper acted
    fresh = house.session(ANN, NEW)
    assert house.gate.still_valid(house.sign_in_smtp(ANN, NEW))
    with pytest.raises(WrongSecret):
        house.session(ANN, PASSWORD)
    assert fresh.account == ann


# -- registration -----------------------------------------------------------------------------------------------------


def test_codes_that_are_typed_cost_work_and_are_slowed_per_source(
    house: House, ann: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever makes up numbers and codes must not keep all others from signing in: one password is tried at a time."""
    started = house.accounts.start_reset(ANN, SOURCE)
    derived: list[str] = []
    derive = passwords.derive

    def counted(password: str, *rest: Any) -> bytes:
        derived.append(password)
        return derive(password, *rest)

    monkeypatch.setattr(passwords, "derive", counted)
    stopped = 0
    for number in range(80):
        with pytest.raises(CryptnSendError) as refused:
            house.accounts.finish_reset(started.id + 1 + number, "000000", OTHER, "198.51.100.7", AGENT)
        stopped += isinstance(refused.value, Throttled)
        with pytest.raises(CryptnSendError):
            house.accounts.finish_signup(number, "000000", OTHER, "Eve", "198.51.100.8", AGENT, "en")
    assert stopped >= 19
    assert len(derived) <= 122
    house.accounts.finish_reset(started.id, house.mailed_code(), OTHER, SOURCE, AGENT)


def test_the_code_and_a_password_make_an_account_that_opens_the_message(house: House, ann: int) -> None:
    message, _, ticket = newcomer(house)
    entered = house.accounts.register(ticket, PASSWORD, "Pat Lee", SOURCE, AGENT, "en")
    pat = house.found(entered)
    assert (pat.address, pat.name, pat.roles) == (PAT, "Pat Lee", ("recipient",))
    assert house.pickup.show(pat, message).text == "All is well.\n"


def test_the_same_proof_again_opens_the_same_account(house: House, ann: int) -> None:
    _, _, ticket = newcomer(house)
    first = house.found(house.accounts.register(ticket, PASSWORD, "", SOURCE, AGENT, "en"))
    again = house.found(house.accounts.register(ticket, PASSWORD, "", SOURCE, AGENT, "en"))
    assert first.account == again.account
    with pytest.raises(Denied):
        house.accounts.register(ticket, OTHER, "", SOURCE, AGENT, "en")


def test_a_proof_is_good_for_an_hour(house: House, ann: int) -> None:
    _, _, ticket = newcomer(house)
    house.clock.forward(HOUR + 1)
    with pytest.raises(Ended):
        house.accounts.register(ticket, PASSWORD, "", SOURCE, AGENT, "en")


@pytest.mark.parametrize("damage", [b"", b"\x93", b"nonsense", b"\x93\xc4\x01a\xc4\x01b\xa1c"])
def test_a_damaged_proof_registers_nobody(house: House, ann: int, damage: bytes) -> None:
    with pytest.raises(Denied):
        house.accounts.register(damage, PASSWORD, "", SOURCE, AGENT, "en")
    assert [row["roles"] for row in house.engine.query("SELECT roles FROM accounts")] == ["subscriber,officer"]


def test_a_password_that_would_be_guessed_is_refused_before_anything_happens(house: House, ann: int) -> None:
    _, _, ticket = newcomer(house)
    for weak in ("short", "passwordpassword", f"{PAT} {PAT}", "a" * 20):
        with pytest.raises(Denied):
            house.accounts.register(ticket, weak, "", SOURCE, AGENT, "en")
    assert house.found(house.accounts.register(ticket, PASSWORD, "", SOURCE, AGENT, "en")).address == PAT


# -- sign-up ----------------------------------------------------------------------------------------------------------


def test_open_sign_up_proves_the_address_and_gives_a_recovery_file(make_house: MakeHouse) -> None:
    house = make_house(signup={"mode": "open"})
    started = house.accounts.start_signup(ANN, SOURCE)
    entered = house.accounts.finish_signup(started.id, house.mailed_code(), PASSWORD, "Ann Ruiz", SOURCE, AGENT, "en")
    ann = house.found(entered)
    assert (ann.address, ann.name) == (ANN, "Ann Ruiz")
    assert "subscriber" in ann.roles
    assert entered.recovery_file
    assert entered.recovery_code
    assert entered.recovery_file not in repr(entered)
    assert entered.cookie not in repr(entered)
    message = house.submit(ANN, [PAT], house.mail())
    assert house.pickup.status(ann, message).subject == "Results"


def test_sign_up_answers_the_same_for_an_address_with_an_account(make_house: MakeHouse) -> None:
    house = make_house(signup={"mode": "open"})
    house.add_subscriber(ANN)
    known = house.accounts.start_signup(ANN, SOURCE)
    unknown = house.accounts.start_signup(CARL, SOURCE)
    assert (known.expires, type(known.id)) == (unknown.expires, type(unknown.id))
    said = [house.keeper("courier").mail_code(started.id).purpose for started in (known, unknown)]
    assert said == ["exists", "signup"]
    with pytest.raises(Denied):
        house.accounts.finish_signup(known.id, "000000", PASSWORD, "Ann Ruiz", SOURCE, AGENT, "en")


@pytest.mark.parametrize("mode", ["closed", "invite"])
def test_without_an_invitation_nobody_signs_up_unless_it_is_open(make_house: MakeHouse, mode: str) -> None:
    house = make_house(signup={"mode": mode})
    with pytest.raises(Denied):
        house.accounts.start_signup(ANN, SOURCE)
    assert house.queued("code") == []


def invited(house: House, address: str, organisation: int | None) -> tuple[str, str]:
    """Invite somebody and return what the mail says: token and code."""
    house.owner.owner.invite(address, organisation, "Carl")
    told = house.keeper("courier").invitation(house.queued("code")[-1]["subject_id"])
    house.keep(told.row, told.organisation)
    return told.token, told.code


def test_an_invitation_leads_into_its_organisation(house: House) -> None:
    org = house.organisation("Ruiz Family Practice")
    token, code = invited(house, CARL, org)
    started = house.accounts.start_signup("Carl@Outlook.example", SOURCE, token)
    entered = house.accounts.finish_signup(started.id, code, PASSWORD, "Carl", SOURCE, AGENT, "en", token)
    carl = house.found(entered)
    assert carl.organisation == org
    assert entered.recovery_file == ""
    assert house.accounts.profile(carl).organisation == "Ruiz Family Practice"


def test_an_invitation_is_for_its_address_only_and_not_for_whoever_finds_the_link(house: House) -> None:
    org = house.organisation("Ruiz Family Practice")
    token, _ = invited(house, CARL, org)
    with pytest.raises(Denied):
        house.accounts.start_signup(ANN, SOURCE, token)
    started = house.accounts.start_signup(CARL, SOURCE, token)
    with pytest.raises(WrongSecret):
        house.accounts.finish_signup(started.id, "00000000", PASSWORD, "Carl", SOURCE, AGENT, "en", token)


def test_a_recipient_who_is_invited_sends_from_the_account_they_have(house: House, ann: int) -> None:
    message = house.submit(ANN, [CARL], house.mail())
    carl = house.register(CARL, message)
    org = house.organisation("Ruiz Family Practice")
    token, code = invited(house, CARL, org)
    started = house.accounts.start_signup(CARL, SOURCE, token)
    with pytest.raises(WrongSecret):
        house.accounts.subscribe(carl, "wrong", SOURCE, AGENT, started.id, code)
    again = house.found(house.accounts.subscribe(carl, PASSWORD, SOURCE, AGENT, started.id, code))
    assert (again.account, again.organisation) == (carl.account, org)
    assert "subscriber" in again.roles
    assert house.pickup.show(again, message).subject == "Results"
    assert house.pickup.status(again, house.submit(CARL, [PAT], house.mail(author=CARL))).subject == "Results"


@pytest.mark.parametrize("forged", ["", "x", "a" * 45, "ä" * 45])
def test_a_forged_invitation_is_refused(house: House, forged: str) -> None:
    with pytest.raises(Denied):
        house.accounts.start_signup(CARL, SOURCE, forged)


def test_an_edited_invitation_row_is_refused(house: House) -> None:
    token, _ = invited(house, CARL, house.organisation("Ruiz Family Practice"))
    house.tamper("UPDATE links SET address = 'mallory@evil.example' WHERE purpose = 'invite'")
    with pytest.raises(Ended):
        house.accounts.start_signup("mallory@evil.example", SOURCE, token)


@pytest.mark.parametrize("name", ["", "PayPal Support", "ann@gmail.example", "http://x.example", "555 010 0142"])
def test_a_name_that_cannot_stand_on_a_notice_is_refused(make_house: MakeHouse, name: str) -> None:
    house = make_house(signup={"mode": "open"})
    started = house.accounts.start_signup(ANN, SOURCE)
    with pytest.raises(Denied, match="notice"):
        house.accounts.finish_signup(started.id, house.mailed_code(), PASSWORD, name, SOURCE, AGENT, "en")


# -- codes ------------------------------------------------------------------------------------------------------------


def test_codes_on_the_page_and_in_the_mail_are_one(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT, CARL], house.mail())
    session = house.session(ANN)
    shown = house.accounts.codes(session, [PAT, CARL])
    assert [(each.address, each.state, each.tries_left) for each in shown] == [(PAT, "live", 5), (CARL, "live", 5)]
    assert shown[0].code == house.code(ANN, PAT)
    assert shown[0].code not in repr(shown[0])
    house.register(PAT, message)
    assert [each.state for each in house.accounts.codes(session, [PAT])] == ["none"]


def test_the_next_code_replaces_a_used_up_one_five_times_a_week(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    session, token = house.session(ANN), house.link(message, PAT)
    house.code(ANN, PAT)
    for _ in range(4):
        with pytest.raises(WrongSecret):
            house.pickup.prove(token, "000000", SOURCE)
    with pytest.raises(Ended):
        house.pickup.prove(token, "000000", SOURCE)
    assert house.accounts.codes(session, [PAT])[0].state == "used-up"
    made = []
    for _ in range(6):
        house.clock.forward(60_000)
        made.append(house.accounts.next_code(session, PAT))
    assert [len(each.code or "") for each in made] == [8, 8, 8, 8, 8, 0]
    assert [each.state for each in made] == ["live"] * 5 + ["limit"]
    assert made[5].expires == house.clock.now() - 6 * 60_000 + 7 * DAY
    assert [each.action for each in house.accounts.access_log(session, None, 20)].count("code.replaced") == 5
    assert house.pickup.prove(token, made[4].code or "", SOURCE).may_register


def test_only_subscribers_see_codes(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    with pytest.raises(Denied):
        house.accounts.codes(house.register(PAT, message), [ANN])


# -- devices, profile, passphrase -------------------------------------------------------------------------------------


def test_devices_are_listed_until_they_are_revoked_and_their_owner_is_told(house: House, ann: int) -> None:
    session = house.session(ANN)
    first = house.accounts.add_device(session, "  laptop ", "submit")
    house.clock.forward(1)
    second = house.accounts.add_device(session, "", "submit")
    assert [(each.id, each.name) for each in house.accounts.devices(session)] == [
        (second.id, "device"),
        (first.id, "laptop"),
    ]
    assert first.password not in repr(first)
    house.accounts.revoke_device(session, first.id)
    assert [each.id for each in house.accounts.devices(session)] == [second.id]
    assert sorted(template for _, template in house.alerts()) == ["device-revoked", "new-device", "new-device"]
    with pytest.raises(NoGrant):
        house.accounts.revoke_device(session, first.id)
    with pytest.raises(Denied):
        house.accounts.add_device(session, "x", "everything")


def test_nobody_revokes_the_device_of_somebody_else(house: House, ann: int) -> None:
    house.add_subscriber(CARL)
    made = house.accounts.add_device(house.session(ANN), "laptop", "submit")
    with pytest.raises(NoGrant):
        house.accounts.revoke_device(house.session(CARL), made.id)
    assert house.sign_in_smtp(ANN, made.password).account == ann


def test_the_profile_is_what_notices_say(house: House, ann: int) -> None:
    session = house.session(ANN)
    house.accounts.set_profile(session, name="Dr. Ann Ruiz", phone="+1 (555) 010-0142", form="link")
    profile = house.accounts.profile(session)
    assert (profile.name, profile.phone, profile.form) == ("Dr. Ann Ruiz", "+1 (555) 010-0142", "link")
    message = house.submit(ANN, [PAT], house.mail())
    waiting = house.pickup.waiting(house.link(message, PAT))
    assert (waiting.sender_name, waiting.phone) == ("Dr. Ann Ruiz", "+1 (555) 010-0142")


@pytest.mark.parametrize("phone", ["call me", "1\r\nBcc: x", "<b>1</b>", "1" * 60, "12"])
def test_a_number_that_nobody_can_call_is_refused(house: House, ann: int, phone: str) -> None:
    with pytest.raises(Denied, match="number"):
        house.accounts.set_profile(house.session(ANN), name="Ann", phone=phone, form="zip")


def test_the_delivery_passphrase_is_shown_to_who_types_the_password(house: House, ann: int) -> None:
    session = house.session(ANN)
    first = house.accounts.passphrases(session, PASSWORD, SOURCE)
    house.accounts.new_passphrase(session, PASSWORD, SOURCE)
    both = house.accounts.passphrases(session, PASSWORD, SOURCE)
    assert both[1:] == first
    assert both[0][1] != first[0][1]
    with pytest.raises(WrongSecret):
        house.accounts.passphrases(session, "wrong", SOURCE)
    assert house.alerts() == [(ANN, "passphrase-changed")]


# -- the trail, and a keeper that is gone -----------------------------------------------------------------------------


def test_a_device_password_that_leaves_in_a_profile_is_marked_in_the_audit(house: House, ann: int) -> None:
    made = house.accounts.add_device(house.session(ANN), "iPhone", "mail", by="profile")
    (row,) = house.engine.query("SELECT detail FROM audit WHERE action = 'device.added'")
    assert json.loads(row["detail"]) == {"device": made.id, "by": "profile"}


def test_what_an_account_did_is_in_the_audit_without_secrets(house: House, ann: int) -> None:
    session = house.session(ANN)
    made = house.accounts.add_device(session, "laptop", "submit")
    house.clock.forward(1)
    house.accounts.recovery_code(session, PASSWORD, SOURCE)
    house.accounts.revoke_device(session, made.id)
    actions = [action for _, action in house.audited(session.organisation)]
    assert actions == [
        "account.added", "account.signed-in", "device.added", "account.recovery-made", "device.revoked",
    ]  # fmt: skip
    trail = str(house.engine.query("SELECT detail FROM audit"))
    assert made.password not in trail


def test_without_the_keeper_pages_say_try_later_and_sessions_go_on(house: House, ann: int) -> None:
    cookie = house.accounts.sign_in(ANN, PASSWORD, SOURCE, AGENT)
    house.stop_keeper()
    with pytest.raises(KeeperGone):
        house.accounts.sign_in(ANN, PASSWORD, SOURCE, AGENT)
    with pytest.raises(KeeperGone):
        house.accounts.start_reset(ANN, SOURCE)
    assert house.accounts.session(cookie) is not None
    house.start_keeper()
    house.clock.forward(DAY)
    assert house.session(ANN).account == ann


def test_a_house_full_of_people_is_never_shut_out_for_asking_now_and_then(house: House, ann: int) -> None:
    """All of a clinic come from one network; what counts is how much they ask for in a day, not in all the years."""
    for number in range(120):
        house.clock.forward(2 * HOUR)
        assert house.accounts.start_reset(f"person{number}@clinic.example", f"192.0.2.{number}").id


def test_neighbours_in_a_network_are_counted_together(house: House, ann: int) -> None:
    for number in range(50):
        house.accounts.start_reset(f"person{number}@clinic.example", f"192.0.2.{number}")
    with pytest.raises(Throttled):
        house.accounts.start_reset("one.more@clinic.example", "192.0.2.99")
    assert house.accounts.start_reset("one.more@clinic.example", "192.0.3.99")
    house.clock.forward(16 * MINUTE)
    assert house.accounts.start_reset("one.more@clinic.example", "192.0.2.99")


def test_the_number_alone_is_changed_and_stands_on_notices(house: House, ann: int) -> None:
    message, session = house.submit(ANN, [PAT], house.mail()), house.session(ANN)
    before = house.accounts.profile(session)
    house.accounts.set_number(session, " +1 555  010 0142")
    after = house.accounts.profile(session)
    assert (after.name, after.form, after.phone) == (before.name, before.form, "+1 555 010 0142")
    assert house.pickup.waiting(house.link(message, PAT)).phone == "+1 555 010 0142"
    with pytest.raises(Denied):
        house.accounts.set_number(session, "call me maybe")

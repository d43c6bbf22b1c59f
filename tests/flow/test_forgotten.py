"""What does a forgotten password cost, and whom does a reset help?"""

from __future__ import annotations

import pytest

from cryptnsend.core.errors import Denied, Ended, NoGrant, Throttled, WrongSecret
from tests.support.house import AGENT, DAY, HOUR, OTHER, PASSWORD, SOURCE, House

ANN, PAT = "ann@gmail.example", "pat@yahoo.example"
NEW = "sparrow lantern cobalt meadow"


def test_a_reset_answers_the_same_for_every_address_and_mails_only_accounts(house: House, ann: int) -> None:
    known, unknown = (house.accounts.start_reset(each, SOURCE) for each in (ANN, "nobody@x.example"))
    strange = house.accounts.start_reset("no address at all", SOURCE)
    assert known.expires == unknown.expires == strange.expires
    assert {row["subject_id"] for row in house.queued("code")} == {known.id, unknown.id, strange.id}
    assert house.keeper("courier").mail_code(known.id).address == ANN
    for started in (unknown, strange):
        with pytest.raises(NoGrant):
            house.keeper("courier").mail_code(started.id)


def test_a_reset_is_weak_and_everybody_concerned_is_told(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    pat = house.register(PAT, message)
    weak = house.reset(PAT)
    assert weak.account == pat.account
    assert weak.weak
    assert len(weak.locked) == 2
    assert set(house.alerts()) == {(PAT, "password-reset"), (ANN, "contact-reset")}
    with pytest.raises(WrongSecret):
        house.session(PAT, PASSWORD)


def test_a_reset_ends_every_session(house: House, ann: int) -> None:
    cookie = house.accounts.sign_in(ANN, PASSWORD, SOURCE, AGENT)
    house.reset(ANN)
    assert house.accounts.session(cookie) is None


def test_a_repeated_reset_gives_the_same_answer(house: House, ann: int) -> None:
    started = house.accounts.start_reset(ANN, SOURCE)
    code = house.mailed_code()
    first = house.found(house.accounts.finish_reset(started.id, code, OTHER, SOURCE, AGENT))
    again = house.found(house.accounts.finish_reset(started.id, code, OTHER, SOURCE, AGENT))
    assert first.seeds == again.seeds


def test_a_mailed_code_is_good_for_ten_minutes_and_five_tries(house: House, ann: int) -> None:
    started = house.accounts.start_reset(ANN, SOURCE)
    code = house.mailed_code()
    for left in (4, 3, 2, 1):
        with pytest.raises(WrongSecret) as wrong:
            house.accounts.finish_reset(started.id, "x", OTHER, SOURCE, AGENT)
        assert wrong.value.tries_left == left
    with pytest.raises(Ended):
        house.accounts.finish_reset(started.id, "x", OTHER, SOURCE, AGENT)
    with pytest.raises(Ended):
        house.accounts.finish_reset(started.id, code, OTHER, SOURCE, AGENT)
    house.clock.forward(1)
    late = house.accounts.start_reset(ANN, SOURCE)
    code = house.mailed_code()
    house.clock.forward(10 * 60_000)
    with pytest.raises(Ended):
        house.accounts.finish_reset(late.id, code, OTHER, SOURCE, AGENT)
    assert house.session(ANN).account == ann


def test_the_recovery_code_brings_everything_back_after_a_reset(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    code = house.accounts.recovery_code(house.session(ANN), PASSWORD, SOURCE)
    weak = house.reset(ANN)
    with pytest.raises(NoGrant):
        house.pickup.show(weak, message)
    house.accounts.unlock(weak, "recovery", code.lower().replace("-", " "), OTHER, SOURCE)
    again = house.session(ANN, OTHER)
    assert not again.weak
    assert again.locked == ()
    assert house.pickup.show(again, message).text == "All is well.\n"


def test_an_older_password_brings_everything_back_after_a_reset(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    weak = house.reset(ANN)
    with pytest.raises(WrongSecret):
        house.accounts.unlock(weak, "password", "not that one either", OTHER, SOURCE)
    house.accounts.unlock(weak, "password", PASSWORD, OTHER, SOURCE)
    assert house.pickup.show(house.session(ANN, OTHER), message).subject == "Results"


def test_unlocking_goes_on_in_the_session_that_did_it(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    started = house.accounts.start_reset(ANN, SOURCE)
    cookie = house.accounts.finish_reset(started.id, house.mailed_code(), OTHER, SOURCE, AGENT).cookie
    house.accounts.unlock(house.found(cookie), "password", PASSWORD, OTHER, SOURCE)
    assert house.pickup.show(house.found(cookie), message).subject == "Results"


def test_a_device_password_typed_on_the_page_ends_the_weakness(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    device = house.accounts.add_device(house.session(ANN), "laptop", "submit").password
    weak = house.reset(ANN)
    house.accounts.unlock(weak, "device", device, OTHER, SOURCE)
    again = house.session(ANN, OTHER)
    assert not again.weak
    assert house.pickup.show(again, message).subject == "Results"


def test_unlocking_takes_the_present_password_too(house: House, ann: int) -> None:
    weak = house.reset(ANN)
    with pytest.raises(WrongSecret):
        house.accounts.unlock(weak, "password", PASSWORD, "wrong", SOURCE)
    assert house.session(ANN, OTHER).weak


def test_an_organisation_of_one_without_anything_to_show_waits_seven_days(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    house.reset(ANN)
    house.clock.forward(7 * DAY - HOUR)
    weak = house.session(ANN, OTHER)
    with pytest.raises(Denied, match="7 days"):
        house.accounts.unlock(weak, "waited", "", OTHER, SOURCE)
    house.clock.forward(HOUR)
    assert not house.session(ANN, OTHER).weak  # signing in asks for it by itself
    assert house.pickup.show(house.session(ANN, OTHER), message).subject == "Results"


def test_who_objects_to_a_reset_keeps_waiting_from_opening_anything(house: House, ann: int) -> None:
    house.submit(ANN, [PAT], house.mail())
    house.reset(ANN)
    told = house.keeper("courier").warning(ann)
    house.keep(told.link.row, 0)
    house.accounts.object_to(told.link.token, ANN)
    house.accounts.object_to(told.link.token, ANN)
    house.clock.forward(8 * DAY)
    with pytest.raises(Denied, match="Somebody else"):
        house.accounts.unlock(house.session(ANN, OTHER), "waited", "", OTHER, SOURCE)
    bent = told.link.token[:-2] + ("ba" if told.link.token.endswith("aa") else "aa")
    for forged in ("", "x", bent):
        with pytest.raises(Ended):
            house.accounts.object_to(forged, ANN)


def test_an_officer_confirms_a_member_who_lost_everything(house: House) -> None:
    org = house.organisation("Ruiz Family Practice")
    house.add_subscriber(ANN, organisation=org)
    message = house.submit(ANN, [PAT], house.mail())
    weak = house.reset(ANN)
    with pytest.raises(Denied):
        house.accounts.unlock(weak, "officer", "", OTHER, SOURCE)
    officer = house.session("officer@ruizfamilypractice.example")
    house.keeper("portal").confirm(officer.ticket, ANN)
    house.accounts.unlock(weak, "officer", "", OTHER, SOURCE)
    assert not house.session(ANN, OTHER).weak
    assert house.pickup.show(house.session(ANN, OTHER), message).subject == "Results"


def test_guessing_older_passwords_is_throttled(house: House, ann: int) -> None:
    weak = house.reset(ANN)
    for number in range(9):
        with pytest.raises(WrongSecret):
            house.accounts.unlock(weak, "password", f"guess {number}", OTHER, SOURCE)
    with pytest.raises(Throttled):
        house.accounts.unlock(weak, "password", "guess 9", OTHER, SOURCE)


def test_changing_the_password_keeps_everything_open(house: House, ann: int) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    entered = house.accounts.change_password(house.session(ANN), PASSWORD, NEW, SOURCE, AGENT)
    assert house.pickup.show(house.found(entered), message).subject == "Results"
    assert house.pickup.show(house.session(ANN, NEW), message).subject == "Results"
    assert (ANN, "password-changed") in house.alerts()

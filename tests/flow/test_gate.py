"""Who may submit, and how often may somebody guess?"""

from __future__ import annotations

import pytest

from cryptnsend.core.errors import Denied, KeeperGone, Temporary, Throttled, WrongSecret
from tests.support.house import HOUR, MINUTE, PASSWORD, House

ANN = "ann@gmail.example"
ELSEWHERE = "198.51.100.9"


def device(house: House, name: str = "laptop") -> tuple[int, str]:
    made = house.accounts.add_device(house.session(ANN), name, "submit")
    return made.id, made.password


def test_the_main_password_signs_in_whatever_the_spelling_of_the_address(house: House, ann: int) -> None:
    subscriber = house.sign_in_smtp(" Ann@Gmail.Example", PASSWORD)
    assert (subscriber.account, subscriber.address, subscriber.device) == (ann, ANN, None)
    assert subscriber.aliases == frozenset({ANN})
    assert house.gate.still_valid(subscriber)


@pytest.mark.parametrize(
    "username", ["nobody@gmail.example", "", "ann", "@", "ann@gmail.example\0", "a" * 400 + "@x.y"]
)
def test_unknown_names_are_refused_like_wrong_passwords(house: House, ann: int, username: str) -> None:
    with pytest.raises(WrongSecret) as unknown:
        house.sign_in_smtp(username, PASSWORD)
    with pytest.raises(WrongSecret) as wrong:
        house.sign_in_smtp(ANN, "wrong")
    assert str(unknown.value) == str(wrong.value)


def test_a_recipient_may_not_submit(house: House, ann: int) -> None:
    message = house.submit(ANN, ["pat@yahoo.example"], house.mail())
    house.register("pat@yahoo.example", message)
    with pytest.raises(WrongSecret):
        house.sign_in_smtp("pat@yahoo.example", PASSWORD)


def test_a_device_password_signs_in_for_its_own_account_only(house: House, ann: int) -> None:
    house.add_subscriber("bob@outlook.example")
    ident, password = device(house)
    assert house.sign_in_smtp(ANN, password).device == ident
    assert house.sign_in_smtp(ANN, password.upper().replace("-", " ")).device == ident
    with pytest.raises(WrongSecret):
        house.sign_in_smtp("bob@outlook.example", password)


def test_a_reading_device_may_not_submit(house: House, ann: int) -> None:
    made = house.accounts.add_device(house.session(ANN), "tablet", "read")
    with pytest.raises(WrongSecret):
        house.sign_in_smtp(ANN, made.password)


def test_one_password_for_mail_is_good_at_both_doors_until_it_is_revoked(house: House, ann: int) -> None:
    made = house.accounts.add_device(house.session(ANN), "phone", "mail")
    read = house.mailbox.mail_gate.authenticate(ANN, made.password, "192.0.2.7")
    assert house.sign_in_smtp(ANN, made.password).device == read.device == made.id
    assert read.session.seeds
    house.accounts.revoke_device(house.session(ANN), made.id)
    assert not house.mailbox.mail_gate.still_valid(read)
    with pytest.raises(WrongSecret):
        house.sign_in_smtp(ANN, made.password)
    with pytest.raises(WrongSecret):
        house.mailbox.mail_gate.authenticate(ANN, made.password, "192.0.2.7")


def test_all_devices_are_revoked_at_once_and_their_owner_is_told_once(house: House, ann: int) -> None:
    house.add_subscriber("bob@outlook.example")
    session, bobs = house.session(ANN), house.accounts.add_device(house.session("bob@outlook.example"), "pc", "submit")
    passwords = [house.accounts.add_device(session, name, name).password for name in ("submit", "read", "mail")]
    assert house.accounts.revoke_devices(session) == 3
    assert house.accounts.devices(session) == []
    for password in passwords:
        for gate in (house.gate, house.mailbox.mail_gate):
            with pytest.raises(WrongSecret):
                gate.authenticate(ANN, password, "192.0.2.7")
    assert house.sign_in_smtp("bob@outlook.example", bobs.password).device == bobs.id
    assert [template for who, template in house.alerts() if who == ANN].count("devices-revoked") == 1
    assert house.accounts.revoke_devices(session) == 0
    assert [template for who, template in house.alerts() if who == ANN].count("devices-revoked") == 1


def test_the_page_shows_when_a_device_was_used(house: House, ann: int) -> None:
    ident, password = device(house)
    house.sign_in_smtp(ANN, password)
    first = house.clock.now()
    house.clock.forward(HOUR // 2)
    house.sign_in_smtp(ANN, password)
    assert [(each.id, each.used) for each in house.accounts.devices(house.session(ANN))] == [(ident, first)]
    house.clock.forward(HOUR)
    house.sign_in_smtp(ANN, password)
    assert house.accounts.devices(house.session(ANN))[0].used == house.clock.now()


def test_a_revoked_device_is_refused_at_once_in_every_process(house: House, ann: int) -> None:
    ident, password = device(house)
    other = house.process("submission")
    known = house.sign_in_smtp(ANN, password)
    known_there = other.gate.authenticate(ANN, password, ELSEWHERE)
    house.accounts.revoke_device(house.session(ANN), ident)
    assert not house.gate.still_valid(known)
    assert not other.gate.still_valid(known_there)
    for gate in (house.gate, other.gate):
        with pytest.raises(WrongSecret):
            gate.authenticate(ANN, password, "203.0.113.4")
    other.keeper.close()


def test_a_device_that_the_keeper_could_not_revoke_stays_in_the_list_to_be_tried_again(house: House, ann: int) -> None:
    ident, password = device(house)
    session = house.session(ANN)
    house.stop_keeper()
    with pytest.raises(KeeperGone):
        house.accounts.revoke_device(session, ident)
    with pytest.raises(KeeperGone):
        house.accounts.revoke_devices(session)
    assert [each.id for each in house.accounts.devices(session)] == [ident]
    house.start_keeper()
    house.accounts.revoke_device(session, ident)
    (known,) = house.keeper("owner").device_list(ANN)
    assert known.revoked is not None
    with pytest.raises(WrongSecret):
        house.sign_in_smtp(ANN, password)


def test_revoking_counts_even_if_the_keeper_never_hears_of_it(house: House, ann: int) -> None:
    ident, password = device(house)
    house.tamper("UPDATE devices SET revoked = 1 WHERE id = :id", id=ident)
    with pytest.raises(WrongSecret):
        house.sign_in_smtp(ANN, password)


def test_a_device_whose_row_was_never_written_gets_it_at_its_first_use(house: House, ann: int) -> None:
    ident, password = device(house)
    house.tamper("DELETE FROM devices WHERE id = :id", id=ident)
    assert house.gate.still_valid(house.sign_in_smtp(ANN, password))
    assert [each.id for each in house.accounts.devices(house.session(ANN))] == [ident]


def test_a_password_change_ends_what_was_remembered(house: House, ann: int) -> None:
    known = house.sign_in_smtp(ANN, PASSWORD)
    session = house.session(ANN)
    house.accounts.change_password(session, PASSWORD, "sparrow lantern cobalt meadow", "", "")
    assert not house.gate.still_valid(known)
    with pytest.raises(WrongSecret):
        house.sign_in_smtp(ANN, PASSWORD)
    assert house.gate.still_valid(house.sign_in_smtp(ANN, "sparrow lantern cobalt meadow"))


def test_a_disabled_account_is_refused_at_once(house: House, ann: int) -> None:
    known = house.sign_in_smtp(ANN, PASSWORD)
    _, password = device(house)
    house.owner.owner.disable(ANN)
    assert not house.gate.still_valid(known)
    for secret in (PASSWORD, password):
        with pytest.raises(Denied):
            house.sign_in_smtp(ANN, secret)
    house.owner.owner.enable(ANN)
    assert house.gate.still_valid(house.sign_in_smtp(ANN, password))


def test_ten_wrong_passwords_pause_their_source_and_nobody_else(house: House, ann: int) -> None:
    for number in range(9):
        with pytest.raises(WrongSecret):
            house.sign_in_smtp(ANN, f"guess {number}", ELSEWHERE)
    with pytest.raises(Throttled) as paused:
        house.sign_in_smtp(ANN, "guess 9", ELSEWHERE)
    assert paused.value.retry_after == 15 * 60
    with pytest.raises(Throttled):
        house.sign_in_smtp(ANN, PASSWORD, ELSEWHERE)
    assert house.sign_in_smtp(ANN, PASSWORD).account == ann  # the owner, from where they always are


def test_the_pause_grows_with_each_further_failure(house: House, ann: int) -> None:
    waits = []
    for number in range(13):
        house.clock.forward(max(waits, default=0) * 1000)
        try:
            house.sign_in_smtp(ANN, f"guess {number}", ELSEWHERE)
        except Throttled as paused:
            waits.append(paused.retry_after)
        except WrongSecret:
            continue
    assert waits == [15 * 60, 30 * 60, 60 * 60, 120 * 60]


def test_a_pause_holds_in_other_processes_and_a_day_without_failures_forgets(house: House, ann: int) -> None:
    for number in range(10):
        with pytest.raises(Denied):
            house.sign_in_smtp(ANN, f"guess {number}", ELSEWHERE)
    other = house.process("submission")
    with pytest.raises(Throttled):
        other.gate.authenticate(ANN, PASSWORD, ELSEWHERE)
    house.clock.forward(25 * HOUR)
    with pytest.raises(WrongSecret):
        other.gate.authenticate(ANN, "guess 10", ELSEWHERE)
    other.keeper.close()


def test_a_program_that_tries_one_old_password_over_and_over_is_not_paused(house: House, ann: int) -> None:
    for _ in range(30):
        with pytest.raises(WrongSecret):
            house.sign_in_smtp(ANN, "the password of last year", ELSEWHERE)
    assert house.sign_in_smtp(ANN, PASSWORD, ELSEWHERE).account == ann


def test_a_success_forgives_the_failures_before_it(house: House, ann: int) -> None:
    for number in range(9):
        with pytest.raises(WrongSecret):
            house.sign_in_smtp(ANN, f"guess {number}")
    house.sign_in_smtp(ANN, PASSWORD)
    with pytest.raises(WrongSecret):
        house.sign_in_smtp(ANN, "guess 10")
    house.clock.forward(MINUTE)
    assert house.sign_in_smtp(ANN, PASSWORD).account == ann


def test_without_the_keeper_the_door_says_try_later(house: House, ann: int) -> None:
    house.stop_keeper()
    with pytest.raises(Temporary):
        house.sign_in_smtp(ANN, PASSWORD)
    house.start_keeper()
    assert house.sign_in_smtp(ANN, PASSWORD).account == ann

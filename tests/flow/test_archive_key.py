"""An archive gets a new key: who opens what from then on, what an earlier key is worth, and who hears of it."""

from __future__ import annotations

import pytest

from cryptnsend.core import keys
from cryptnsend.core.errors import Denied, NoGrant, SealBroken, WrongSecret
from cryptnsend.core.model import archive_holder
from cryptnsend.keeper import recovery
from cryptnsend.keeper.requests import Earlier, RecoveryFile
from cryptnsend.store.records import grants, oversight
from tests.support.house import MINUTE, OTHER, PASSWORD, SOURCE, House

ANN, PAT = "ann@clinic.example", "pat@yahoo.example"
OLIVE, OTTO = "officer@clinic.example", "otto@clinic.example"
WHY = "Ann is ill and a patient asks for what she wrote."


@pytest.fixture
def clinic(house: House) -> int:
    """A clinic with Ann and two officers, Olive and Otto, who both open its archive."""
    org = house.organisation("Clinic")
    house.add_subscriber(ANN, organisation=org)
    house.add_subscriber(OTTO, organisation=org, name="Otto", roles=("officer",))
    house.second(OLIVE)
    roles(house, OTTO, "officer")
    house.second(OTTO)
    return org


def roles(house: House, address: str, *named: str) -> None:
    olive, number = house.session(OLIVE), house.number(OLIVE)
    house.portal.organisations.set_roles(olive, house.account(address), list(named), PASSWORD, SOURCE, number)


def replaced(house: House, officer: str = OLIVE) -> RecoveryFile:
    house.clock.forward(MINUTE)
    made = house.accounts.replace_archive_key(house.session(officer), PASSWORD, house.number(officer), SOURCE)
    assert made is not None
    return made


def written(house: House, subject: str) -> int:
    return house.submit(ANN, [PAT], house.mail(subject, author=ANN))


def subjects(house: House, officer: str, password: str = PASSWORD) -> list[str]:
    """Return what an officer reads of Ann's mailbox in a glass break of now, the oldest first."""
    house.clock.forward(MINUTE)
    glass, session = house.portal.glass, house.session(officer, password)
    broken = glass.broken(session, glass.ask(session, password, house.number(officer), ANN, WHY, 30, SOURCE, ""))
    return [glass.show(broken, row["id"]).subject for row, _ in reversed(glass.mails(broken))]


def pair_of(house: House, message: int, clinic: int) -> int:
    (row,) = grants.held(house.engine, archive_holder(clinic), message)
    return int(house.engine.query("SELECT pair FROM epochs WHERE id = :epoch", epoch=row["epoch"])[0]["pair"])


def from_file(house: House, file: RecoveryFile) -> list[str]:
    casework = house.owner.casework
    broken = casework.recovered(file.text, file.code, ANN, WHY)
    return [house.owner.glass.show(broken, row["id"]).subject for row in casework.found(broken)]


def test_officers_open_what_was_kept_before_and_after_however_often_the_key_is_replaced(
    house: House, clinic: int
) -> None:
    messages = [written(house, "first")]
    for subject in ("second", "third"):
        replaced(house)
        messages.append(written(house, subject))
    assert len({pair_of(house, each, clinic) for each in messages}) == 3
    for officer in (OLIVE, OTTO):
        assert subjects(house, officer) == ["first", "second", "third"]


def test_an_officer_who_is_let_in_later_opens_all_of_it(house: House, clinic: int) -> None:
    written(house, "first")
    replaced(house)
    written(house, "second")
    house.add_subscriber("rosa@clinic.example", organisation=clinic, name="Rosa", roles=("officer",))
    house.second("rosa@clinic.example")
    with pytest.raises(NoGrant):
        subjects(house, "rosa@clinic.example")
    house.clock.forward(MINUTE)
    roles(house, "rosa@clinic.example", "officer")
    assert subjects(house, "rosa@clinic.example") == ["first", "second"]


def test_the_seed_that_an_officer_took_along_opens_nothing_that_is_sent_after(house: House, clinic: int) -> None:
    before = written(house, "first")
    file = house.accounts.recovery_file(house.session(OTTO), PASSWORD, house.number(OTTO), SOURCE)
    taken = recovery.read(file.text, file.code)
    house.clock.forward(MINUTE)
    roles(house, OTTO, "subscriber")
    replaced(house)
    after = written(house, "second")
    assert (pair_of(house, before, clinic) == taken.pair, pair_of(house, after, clinic) == taken.pair) == (True, False)
    # All that rests in the ledger, in the hands of who has that seed.
    for wrap in house.wraps(archive_holder(clinic)):
        for holder in (archive_holder(clinic), f"account:{house.account(OTTO)}"):
            with pytest.raises(SealBroken):
                keys.open_with(
                    taken.key, wrap.wrap, label="archive", owner=holder, holder=archive_holder(clinic), ref=wrap.pair
                )
    with pytest.raises(Denied):
        house.portal.glass.ask(house.session(OTTO), PASSWORD, house.number(OTTO), ANN, WHY, 30, SOURCE, "")


def test_the_new_file_opens_all_and_the_one_before_opens_nothing_here(house: House, clinic: int) -> None:
    written(house, "first")
    old = house.accounts.recovery_file(house.session(OLIVE), PASSWORD, house.number(OLIVE), SOURCE)
    assert from_file(house, old) == ["first"]
    middle = replaced(house)
    written(house, "second")
    new = replaced(house)
    assert from_file(house, new) == ["first", "second"]
    for stale in (old, middle):
        with pytest.raises(Denied, match="opens no archive that is here"):
            from_file(house, stale)


def test_who_resets_a_password_on_the_way_finds_the_new_key_when_they_are_back(house: House, clinic: int) -> None:
    written(house, "first")
    session = house.session(OTTO)
    code = house.accounts.recovery_code(session, PASSWORD, SOURCE)
    house.reset(OTTO, OTHER)
    replaced(house)
    written(house, "second")
    back = house.session(OTTO, OTHER)
    house.accounts.unlock(back, "recovery", code, OTHER, SOURCE)
    assert subjects(house, OTTO, OTHER) == ["first", "second"]


def test_all_officers_are_told_and_asked_for_a_file_that_fits(house: House, clinic: int) -> None:
    for each in (OLIVE, OTTO):
        house.accounts.confirm_recovery_file(house.session(each))
        house.clock.forward(MINUTE)
    replaced(house)
    assert {(OLIVE, "archive-key"), (OTTO, "archive-key-by-officer")} <= set(house.alerts())
    assert (f"account:{house.account(OLIVE)}", "archive.key-replaced") in house.audited(clinic)
    for each in (OLIVE, OTTO):
        assert house.accounts.recovery_file_is_missing(house.session(each))
        house.clock.forward(MINUTE)


def test_where_it_takes_two_officers_nobody_gets_a_file(house: House, clinic: int) -> None:
    written(house, "first")
    house.owner.owner.glass_rule(clinic, True)
    olive = house.session(OLIVE)
    assert house.accounts.replace_archive_key(olive, PASSWORD, house.number(OLIVE), SOURCE) is None
    written(house, "second")
    house.owner.owner.glass_rule(clinic, False)
    assert subjects(house, OTTO) == ["first", "second"]


def test_only_an_officer_with_password_and_number_who_opens_the_archive_replaces_its_key(
    house: House, clinic: int
) -> None:
    before = house.audited(clinic)
    olive = house.session(OLIVE)
    with pytest.raises(WrongSecret):
        house.accounts.replace_archive_key(olive, OTHER, house.number(OLIVE), SOURCE)
    with pytest.raises(WrongSecret):
        house.accounts.replace_archive_key(olive, PASSWORD, "000000", SOURCE)
    house.add_subscriber("rosa@clinic.example", organisation=clinic, name="Rosa", roles=("officer",))
    with pytest.raises(Denied, match="second step"):
        house.accounts.replace_archive_key(house.session("rosa@clinic.example"), PASSWORD, "", SOURCE)
    house.second("rosa@clinic.example")
    rosa = house.session("rosa@clinic.example")
    with pytest.raises(NoGrant, match="Another officer can share it"):
        house.accounts.replace_archive_key(rosa, PASSWORD, house.number("rosa@clinic.example"), SOURCE)
    with pytest.raises(Denied):
        house.accounts.replace_archive_key(house.session(ANN), PASSWORD, "", SOURCE)
    assert "archive.key-replaced" not in {action for _, action in house.audited(clinic)[len(before) :]}
    assert oversight.officers(house.engine, clinic)


def test_an_officer_who_may_not_sign_in_is_left_out_until_another_lets_them_in(house: House, clinic: int) -> None:
    written(house, "first")
    organisations, otto = house.portal.organisations, house.account(OTTO)
    organisations.disable(house.session(OLIVE), otto, PASSWORD, SOURCE)
    replaced(house)
    written(house, "second")
    organisations.enable(house.session(OLIVE), otto, PASSWORD, SOURCE)
    with pytest.raises(NoGrant):
        subjects(house, OTTO)
    house.clock.forward(MINUTE)
    roles(house, OTTO, "officer")
    assert subjects(house, OTTO) == ["first", "second"]


def test_what_is_chained_wrongly_opens_nothing(house: House, clinic: int) -> None:
    written(house, "first")
    new = replaced(house)
    opened = recovery.read(new.text, new.code)
    (chained,) = [each for each in house.wraps(archive_holder(clinic)) if each.kind == "successor"]
    for sealed in (chained.wrap, chained.wrap[:-1] + bytes([chained.wrap[-1] ^ 1])):
        false = Earlier(chained.pair, opened.pair, archive_holder(clinic), bytes(32), sealed)
        with pytest.raises(SealBroken):
            recovery.chain(opened.pair, opened.key, [false])

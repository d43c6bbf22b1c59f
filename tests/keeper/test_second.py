"""A second step: the password alone opens nothing, a number counts once, guessing is slow, a lost phone is no end."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from cryptnsend.core.errors import Denied, Ended, SecondStep, Throttled, WrongSecret
from cryptnsend.core.passwords import new_recovery_code, recovery_key

from .conftest import PARAMS, Person, Running, reset_by_mail, send, subscriber

ANN = "ann@clinic.example"


def number(keeper: Running, secret: bytes, minutes: float = 0) -> str:
    at = keeper.clock.now() / 1000 + 60 * minutes
    return TOTP(secret, 6, SHA1(), 30, enforce_key_length=False).generate(int(at)).decode()  # noqa: S303 - RFC 6238


def enrolled(keeper: Running) -> tuple[Person, bytes]:
    ann = subscriber(keeper, ANN)
    ann.opened = keeper.portal.open(ANN, ann.k)
    secret = keeper.portal.second_begin(ann.ticket, ann.k).secret
    keeper.portal.second_begun(ann.ticket, number(keeper, secret))
    keeper.clock.forward(minutes=2)
    return ann, secret


def wrong(right: str) -> str:
    return f"{(int(right) + 1) % 1_000_000:06}"


def test_the_password_alone_opens_nothing_at_any_door(keeper: Running) -> None:
    ann, _ = enrolled(keeper)
    for ask in (keeper.portal.open, keeper.role("mailbox").open, keeper.role("submission").check_password):
        with pytest.raises(SecondStep):
            ask(ANN, ann.k)
        with pytest.raises(WrongSecret):
            ask(ANN, b"x" * 32)


def test_password_and_number_open_what_the_password_did(keeper: Running) -> None:
    ann, secret = enrolled(keeper)
    opened = keeper.portal.open_second(keeper.portal.hold(ANN, ann.k), number(keeper, secret))
    assert ann.opened is not None
    assert opened.seeds == ann.opened.seeds
    assert opened.account == ann.account


def test_until_its_first_number_a_second_step_asks_for_nothing(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    ann.opened = keeper.portal.open(ANN, ann.k)
    secret = keeper.portal.second_begin(ann.ticket, ann.k).secret
    with pytest.raises(WrongSecret):
        keeper.portal.second_begun(ann.ticket, wrong(number(keeper, secret)))
    assert keeper.portal.open(ANN, ann.k).account == ann.account
    assert not keeper.portal.second_state(ann.ticket)


def test_a_number_is_good_once_and_for_a_minute(keeper: Running) -> None:
    ann, secret = enrolled(keeper)
    used = number(keeper, secret)
    keeper.portal.open_second(keeper.portal.hold(ANN, ann.k), used)
    held = keeper.portal.hold(ANN, ann.k)
    with pytest.raises(WrongSecret):
        keeper.portal.open_second(held, used)
    late = number(keeper, secret, minutes=1)
    keeper.clock.forward(minutes=4)
    with pytest.raises(WrongSecret):
        keeper.portal.open_second(held, late)
    keeper.portal.open_second(held, number(keeper, secret, minutes=0.5))  # a phone that is fast


def test_guessing_numbers_is_slow_and_ends(keeper: Running) -> None:
    ann, secret = enrolled(keeper)
    held = keeper.portal.hold(ANN, ann.k)
    for _ in range(5):
        with pytest.raises(WrongSecret):
            keeper.portal.open_second(held, wrong(number(keeper, secret)))
    with pytest.raises(Throttled):
        keeper.portal.open_second(held, number(keeper, secret))
    keeper.clock.forward(minutes=16)
    assert keeper.portal.open_second(keeper.portal.hold(ANN, ann.k), number(keeper, secret)).account == ann.account


def test_what_is_held_ends_soon_and_with_the_password(keeper: Running) -> None:
    ann, secret = enrolled(keeper)
    held = keeper.portal.hold(ANN, ann.k)
    with pytest.raises(WrongSecret):
        keeper.portal.hold(ANN, b"x" * 32)
    with pytest.raises(Ended):
        keeper.portal.open_second(held[:-1] + bytes([held[-1] ^ 1]), number(keeper, secret))
    keeper.clock.forward(minutes=6)
    with pytest.raises(Ended):
        keeper.portal.open_second(held, number(keeper, secret))


def test_the_recovery_code_stands_in_for_a_lost_phone_and_ends_the_second_step(keeper: Running) -> None:
    ann, _ = enrolled(keeper)
    check_the_recovery_code_ends_the_step(keeper, ann)


def check_the_recovery_code_ends_the_step(keeper: Running, ann: Person) -> None:
    assert ann.opened is not None
    code = new_recovery_code(lambda n: b"r" * n)
    keeper.portal.store_wraps(ann.ticket, "recovery", recovery_key(code), ann.opened.seeds)
    held = keeper.portal.hold(ANN, ann.k)
    with pytest.raises(WrongSecret):
        keeper.portal.open_recovered(held, recovery_key(new_recovery_code(lambda n: b"s" * n)))
    assert keeper.portal.open_recovered(held, recovery_key(code)).account == ann.account
    assert keeper.portal.open(ANN, ann.k).account == ann.account


def test_only_the_owners_recovery_code_ends_it_after_a_reset_by_mail(keeper: Running) -> None:
    """Whoever reads the mailbox chooses a password and makes a code of their own; the owner's was there before."""
    ann, _ = enrolled(keeper)
    assert ann.opened is not None
    code, theirs = new_recovery_code(lambda n: b"r" * n), new_recovery_code(lambda n: b"e" * n)
    keeper.portal.store_wraps(ann.ticket, "recovery", recovery_key(code), ann.opened.seeds)
    keeper.clock.forward(minutes=1)
    thief = Person(ANN)
    opened = reset_by_mail(keeper, thief)
    keeper.portal.store_wraps(thief.ticket, "recovery", recovery_key(theirs), opened.seeds)
    held = keeper.portal.hold(ANN, thief.k)
    with pytest.raises(WrongSecret):
        keeper.portal.open_recovered(held, recovery_key(theirs))
    with pytest.raises(SecondStep):
        keeper.portal.open(ANN, thief.k)
    assert keeper.portal.open_recovered(held, recovery_key(code)).account == ann.account


def test_the_newest_recovery_code_ends_it_though_older_pairs_rest_under_an_older_one(keeper: Running) -> None:
    clinic = keeper.owner.organisation_add("Clinic", "strict", "new-contact")
    ann = subscriber(keeper, ANN, clinic.id, "subscriber", "officer")
    ann.opened = keeper.portal.open(ANN, ann.k)
    older, newest = new_recovery_code(lambda n: b"o" * n), new_recovery_code(lambda n: b"n" * n)
    keeper.portal.store_wraps(ann.ticket, "recovery", recovery_key(older), ann.opened.seeds)
    device = keeper.portal.device_add(ann.ticket, "submit", None)
    keeper.clock.forward(minutes=1)
    again = Person(ANN)
    reset_by_mail(keeper, again)
    again.opened = keeper.portal.unlock(again.ticket, "device", device.secret, again.k, device.id).opened
    secret = keeper.portal.second_begin(again.ticket, again.k).secret
    keeper.portal.second_begun(again.ticket, number(keeper, secret))
    keeper.portal.store_wraps(again.ticket, "recovery", recovery_key(newest), again.opened.seeds)
    held = keeper.portal.hold(ANN, again.k)
    assert keeper.portal.open_recovered(held, recovery_key(newest)).account == again.account


def test_a_trusted_browser_is_asked_for_its_password_alone_until_it_is_forgotten(keeper: Running) -> None:
    ann, _ = enrolled(keeper)
    trust = keeper.portal.trust(ann.ticket)
    assert keeper.portal.open_trusted(ANN, ann.k, trust).account == ann.account
    with pytest.raises(WrongSecret):
        keeper.portal.open_trusted(ANN, b"x" * 32, trust)
    for other in (b"", b"x" * 80, trust[:-1] + bytes([trust[-1] ^ 1])):
        with pytest.raises(SecondStep):
            keeper.portal.open_trusted(ANN, ann.k, other)
    keeper.portal.forget_browsers(ann.ticket)
    with pytest.raises(SecondStep):
        keeper.portal.open_trusted(ANN, ann.k, trust)


def test_trust_ends_by_time_and_is_nobody_elses(keeper: Running) -> None:
    ann, _ = enrolled(keeper)
    trust = keeper.portal.trust(ann.ticket)
    bob = subscriber(keeper, "bob@clinic.example")
    bob.opened = keeper.portal.open(bob.address, bob.k)
    secret = keeper.portal.second_begin(bob.ticket, bob.k).secret
    keeper.portal.second_begun(bob.ticket, number(keeper, secret))
    with pytest.raises(SecondStep):
        keeper.portal.open_trusted(bob.address, bob.k, trust)
    keeper.clock.forward(days=31)
    with pytest.raises(SecondStep):
        keeper.portal.open_trusted(ANN, ann.k, trust)


def test_it_ends_by_password_and_number_together(keeper: Running) -> None:
    ann, secret = enrolled(keeper)
    with pytest.raises(WrongSecret):
        keeper.portal.second_end(ann.ticket, b"x" * 32, number(keeper, secret))
    with pytest.raises(WrongSecret):
        keeper.portal.second_end(ann.ticket, ann.k, wrong(number(keeper, secret)))
    with pytest.raises(Denied):
        keeper.portal.second_begin(ann.ticket, ann.k)
    keeper.portal.second_end(ann.ticket, ann.k, number(keeper, secret))
    assert keeper.portal.open(ANN, ann.k).account == ann.account


def test_a_reset_by_mail_does_not_end_it(keeper: Running) -> None:
    enrolled(keeper)
    again = Person(ANN)
    reset_by_mail(keeper, again)
    with pytest.raises(SecondStep):
        keeper.portal.open(ANN, again.k)


def test_the_ledger_shows_no_secret(keeper: Running) -> None:
    _, secret = enrolled(keeper)
    octets = b"".join(path.read_bytes() for path in keeper.folder.rglob("*") if path.is_file())
    assert secret not in octets


def test_the_word_of_the_servers_owner_ends_it_with_the_forgotten_password(keeper: Running) -> None:
    enrolled(keeper)
    again = Person(ANN)
    keeper.owner.passwd(ANN, b"s" * 16, PARAMS, again.k, None)
    assert keeper.portal.open(ANN, again.k).state == "weak"


# -- after a reset by mail --------------------------------------------------------------------------------------------


def test_the_phone_of_before_brings_everything_back_after_a_reset_by_mail(keeper: Running) -> None:
    ann, secret = enrolled(keeper)
    assert ann.opened is not None
    mail = send(keeper, ann, ANN)  # in her own thread: it waits while she is weak
    again = Person(ANN)
    reset_by_mail(keeper, again)
    assert keeper.portal.adopt(again.ticket, [mail.grant]) == []
    with pytest.raises(WrongSecret):
        keeper.portal.unlock(again.ticket, "second", wrong(number(keeper, secret)).encode(), again.k)
    unlocked = keeper.portal.unlock(again.ticket, "second", number(keeper, secret).encode(), again.k)
    assert unlocked.opened.state == "active"
    managed = {pair.id for pair in unlocked.opened.pairs if pair.custody == "managed"}
    assert set(unlocked.seeds) == managed & set(ann.opened.seeds)  # strict ones open with a password or the code
    assert len(keeper.portal.adopt(unlocked.opened.ticket, [mail.grant])) == 1


def test_wrong_numbers_after_a_reset_are_counted_and_nothing_comes_back(keeper: Running) -> None:
    _, secret = enrolled(keeper)
    intruder = Person(ANN)
    reset_by_mail(keeper, intruder)
    bad = wrong(number(keeper, secret)).encode()
    for _ in range(5):
        with pytest.raises(WrongSecret):
            keeper.portal.unlock(intruder.ticket, "second", bad, intruder.k)
    with pytest.raises(Throttled):
        keeper.portal.unlock(intruder.ticket, "second", number(keeper, secret).encode(), intruder.k)


def test_who_only_reads_the_mailbox_makes_no_second_step_and_waits_in_vain_where_there_is_one(keeper: Running) -> None:
    enrolled(keeper)
    intruder = Person(ANN)
    reset_by_mail(keeper, intruder)
    with pytest.raises(Denied):
        keeper.portal.second_begin(intruder.ticket, intruder.k)
    with pytest.raises(Denied):
        keeper.portal.forget_browsers(intruder.ticket)
    keeper.clock.forward(hours=11)
    with pytest.raises(Denied):
        keeper.portal.unlock(intruder.ticket, "waited", b"", intruder.k)


def test_a_browser_that_was_trusted_before_the_reset_brings_everything_back(keeper: Running) -> None:
    ann, secret = enrolled(keeper)
    ann.opened = keeper.portal.open_second(keeper.portal.hold(ANN, ann.k), number(keeper, secret))
    trusted = keeper.portal.trust(ann.ticket)
    first, again = Person(ANN), Person(ANN)
    reset_by_mail(keeper, first)  # somebody else's reset between takes nothing away
    reset_by_mail(keeper, again)
    for shown in (b"", trusted[:-1] + b"x"):
        with pytest.raises(WrongSecret):
            keeper.portal.unlock(again.ticket, "browser", shown, again.k)
    assert keeper.portal.unlock(again.ticket, "browser", trusted, again.k).opened.state == "active"


def test_a_browser_that_was_forgotten_or_trusted_under_an_earlier_password_brings_nothing_back(keeper: Running) -> None:
    ann, secret = enrolled(keeper)
    ann.opened = keeper.portal.open_second(keeper.portal.hold(ANN, ann.k), number(keeper, secret))
    trusted, salt = keeper.portal.trust(ann.ticket), keeper.portal.change_salt(ann.ticket)
    ann.opened = keeper.portal.change(ann.ticket, ann.k, salt, PARAMS, bytes(32))
    again = Person(ANN)
    reset_by_mail(keeper, again)
    with pytest.raises(WrongSecret):
        keeper.portal.unlock(again.ticket, "browser", trusted, again.k)


def test_an_account_that_is_whole_has_nothing_to_show(keeper: Running) -> None:
    ann, secret = enrolled(keeper)
    with pytest.raises(Denied):
        keeper.portal.unlock(ann.ticket, "second", number(keeper, secret).encode(), ann.k)

"""A sender's code: computed, shown, told, wrong, used up, replaced."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from cryptnsend.core.errors import Denied, Ended, WrongSecret
from cryptnsend.keeper.requests import Code

from .conftest import Make, Person, Running, code_for, register, reset_by_mail, send, subscriber

ANN, PAT = "ann@clinic.example", "pat@home.example"


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}"


def test_a_code_is_the_same_until_it_is_over(keeper: Running) -> None:
    ann = subscriber(keeper, "ann@clinic.example")
    first = keeper.portal.codes(ann.ticket, [PAT])[0]
    keeper.clock.forward(hours=71)
    keeper.restart()
    ann.sign_in(keeper)
    again = keeper.portal.codes(ann.ticket, [PAT])[0]
    assert (first.code, first.expires, first.digits, first.tries_left) == (again.code, again.expires, 6, 5)


def test_mailing_a_code_starts_its_time_and_shows_the_same_code(keeper: Running) -> None:
    ann = subscriber(keeper, "ann@clinic.example")
    mailed = keeper.courier.receipt(ann.account, [PAT])
    assert mailed.address == "ann@clinic.example"
    keeper.clock.forward(hours=1)
    shown = keeper.portal.codes(ann.ticket, [PAT])[0]
    assert (mailed.codes[0].code, mailed.codes[0].expires) == (shown.code, shown.expires)


def test_two_subscribers_have_different_codes_for_one_recipient(keeper: Running) -> None:
    ann, bob = subscriber(keeper, "ann@clinic.example"), subscriber(keeper, "bob@clinic.example")
    mail = send(keeper, ann, PAT)
    code_for(keeper, ann, PAT)
    with pytest.raises(WrongSecret):
        keeper.portal.prove(mail.link.token, mail.claims, code_for(keeper, bob, PAT))


def test_tries_go_on_when_a_live_code_is_shown_again(keeper: Running) -> None:
    ann = subscriber(keeper, "ann@clinic.example")
    mail = send(keeper, ann, PAT)
    code = code_for(keeper, ann, PAT)
    for left in (4, 3, 2, 1):
        with pytest.raises(WrongSecret) as error:
            keeper.portal.prove(mail.link.token, mail.claims, wrong(code))
        assert error.value.tries_left == left
        assert keeper.portal.codes(ann.ticket, [PAT])[0].tries_left == left
    with pytest.raises(Ended):
        keeper.portal.prove(mail.link.token, mail.claims, wrong(code))
    with pytest.raises(Ended):
        keeper.portal.prove(mail.link.token, mail.claims, code)
    assert keeper.portal.codes(ann.ticket, [PAT])[0].state == "used-up"


def test_what_cannot_be_the_code_is_no_try(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    mail = send(keeper, ann, PAT)
    code_for(keeper, ann, PAT)
    for typed in ("", "12345", "1234567", "abcdef", "１２３４５６", "x" * 400):
        with pytest.raises(WrongSecret) as error:
            keeper.portal.prove(mail.link.token, mail.claims, typed)
        assert error.value.tries_left == 5


def test_after_five_wrong_tries_the_next_code_is_longer_and_nothing_is_lost(keeper: Running) -> None:
    ann = subscriber(keeper, "ann@clinic.example")
    mail = send(keeper, ann, PAT)
    code = code_for(keeper, ann, PAT)
    for _ in range(5):
        with pytest.raises((WrongSecret, Ended)):
            keeper.portal.prove(mail.link.token, mail.claims, wrong(code))
    following = keeper.portal.next_code(ann.ticket, PAT)
    assert (following.digits, len(following.code or ""), following.tries_left) == (8, 8, 5)
    opened = register(keeper, mail, following.code or "", Person(PAT))
    assert len(keeper.portal.adopt(opened.ticket, [mail.grant])) == 1


def test_the_page_asks_for_as_many_digits_as_the_code_has(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    mail = send(keeper, ann, PAT)
    asked = partial(keeper.portal.digits, mail.link.token, mail.claims)
    assert asked() == 6  # nobody has looked at the code yet
    code = code_for(keeper, ann, PAT)
    for _ in range(5):
        assert asked() == 6
        with pytest.raises((WrongSecret, Ended)):
            keeper.portal.prove(mail.link.token, mail.claims, wrong(code))
    following = keeper.portal.next_code(ann.ticket, PAT)
    assert asked() == 8
    register(keeper, mail, following.code or "", Person(PAT))
    assert asked() == 6  # the next code that is told is a first one again
    with pytest.raises(Ended):
        keeper.portal.digits(mail.link.token, replace(mail.claims, message=7))


def test_who_has_the_address_proves_a_further_sender_by_the_code_alone(keeper: Running) -> None:
    ann, bob = subscriber(keeper, ANN), subscriber(keeper, "bob@bank.example")
    mail, other = send(keeper, ann, PAT), send(keeper, bob, PAT)
    opened = register(keeper, mail, code_for(keeper, ann, PAT), Person(PAT))
    code = code_for(keeper, bob, PAT)
    assert keeper.portal.own_digits(opened.ticket, PAT, bob.account) == 6
    with pytest.raises(WrongSecret) as error:
        keeper.portal.prove_own(opened.ticket, PAT, bob.account, wrong(code))
    assert error.value.tries_left == 4
    assert keeper.portal.prove_own(opened.ticket, PAT, bob.account, code).state == "proven"
    assert len(keeper.portal.adopt(opened.ticket, [other.grant])) == 1


def test_without_a_link_nobody_proves_an_address_that_is_not_theirs(keeper: Running) -> None:
    ann, bob = subscriber(keeper, ANN), subscriber(keeper, "bob@bank.example")
    mail = send(keeper, ann, PAT)
    opened = register(keeper, mail, code_for(keeper, ann, PAT), Person(PAT))
    for address in ("nobodys@home.example", "bob@bank.example"):  # of nobody, and of somebody else
        send(keeper, ann, address)
        code = code_for(keeper, ann, address)
        with pytest.raises(Denied, match="another address"):
            keeper.portal.prove_own(opened.ticket, address, ann.account, code)
        with pytest.raises(Denied, match="another address"):
            keeper.portal.own_digits(opened.ticket, address, ann.account)
    assert bob.account


def test_how_many_digits_does_not_tell_whether_there_is_an_account(keeper: Running) -> None:
    ann, bob = subscriber(keeper, ANN), subscriber(keeper, "bob@bank.example")
    mail, other = send(keeper, ann, PAT), send(keeper, bob, PAT)
    before = keeper.portal.digits(other.link.token, other.claims)
    register(keeper, mail, code_for(keeper, ann, PAT), Person(PAT))
    assert keeper.portal.digits(other.link.token, other.claims) == before == 6


def test_a_code_works_for_72_hours_from_its_first_showing(keeper: Running) -> None:
    ann = subscriber(keeper, "ann@clinic.example")
    mail = send(keeper, ann, PAT)
    code = code_for(keeper, ann, PAT)
    keeper.clock.forward(hours=71.9)
    assert keeper.portal.prove(mail.link.token, mail.claims, code).may_register
    keeper.clock.forward(hours=0.2)
    with pytest.raises(Ended):
        keeper.portal.prove(mail.link.token, mail.claims, code)
    ann.sign_in(keeper)
    after = keeper.portal.codes(ann.ticket, [PAT])[0]
    assert (after.state, after.digits) == ("live", 8)


def _pressed(keeper: Running, ticket: bytes) -> Code:
    """Ask for the next code as somebody does who takes their time."""
    keeper.clock.forward(minutes=1)
    return keeper.portal.next_code(ticket, PAT)


def test_a_button_that_is_pressed_twice_makes_one_next_code(keeper: Running) -> None:
    ann = subscriber(keeper, "ann@clinic.example")
    first = code_for(keeper, ann, PAT)
    pressed = [keeper.portal.next_code(ann.ticket, PAT).code for _ in range(2)]
    assert pressed[0] == pressed[1] != first
    assert _pressed(keeper, ann.ticket).code not in (first, pressed[0])


def test_a_contact_gets_at_most_five_next_codes_a_week(keeper: Running) -> None:
    ann = subscriber(keeper, "ann@clinic.example")
    code_for(keeper, ann, PAT)
    assert [_pressed(keeper, ann.ticket).state for _ in range(6)] == ["live"] * 5 + ["limit"]
    live = keeper.portal.codes(ann.ticket, [PAT])[0]
    assert live.state == "live"
    keeper.clock.forward(days=7, minutes=1)
    ann.sign_in(keeper)
    assert keeper.portal.next_code(ann.ticket, PAT).state == "live"


def test_in_a_week_of_guessing_a_contacts_code_is_found_with_a_chance_below_one_in_100_000(keeper: Running) -> None:
    """
    The guesser has the link and all the time there is; the subscriber shows a next code as often as they may.

    Each guess that is looked at has one chance in ten to the number of digits. Two weeks and a day in fast motion; what
    counts is the worst of all periods of seven days.
    """
    ann = subscriber(keeper, ANN)
    mail = send(keeper, ann, PAT)
    guessed: list[tuple[int, float]] = []  # (hour, chance)
    for hour in range(0, 15 * 24, 3):
        ann.sign_in(keeper)
        shown = keeper.portal.codes(ann.ticket, [PAT])[0]
        while shown.state in ("live", "used-up"):
            for guess in range(1, 20):
                try:
                    keeper.portal.prove(mail.link.token, mail.claims, wrong(shown.code or "0" * shown.digits))
                except WrongSecret:
                    guessed.append((hour, 10.0**-shown.digits))
                except Ended:
                    if shown.state == "live":  # the last try was looked at, too
                        guessed.append((hour, 10.0**-shown.digits))
                    break
                assert guess < 6
            shown = _pressed(keeper, ann.ticket)
        keeper.clock.forward(hours=3)
    worst = max(sum(chance for at, chance in guessed if start <= at < start + 168) for start in range(0, 8 * 24, 3))
    assert 5e-6 <= worst < 1e-5
    assert len(guessed) >= 5 + 5 * 10


def test_a_code_that_was_never_shown_cannot_be_told(keeper: Running) -> None:
    ann = subscriber(keeper, "ann@clinic.example")
    mail = send(keeper, ann, PAT)
    for guess in ("000000", "", "123456"):
        with pytest.raises(WrongSecret):
            keeper.portal.prove(mail.link.token, mail.claims, guess)


def test_a_proven_contact_needs_no_code(keeper: Running) -> None:
    ann = subscriber(keeper, "ann@clinic.example")
    mail = send(keeper, ann, PAT)
    register(keeper, mail, code_for(keeper, ann, PAT), Person(PAT))
    told = keeper.portal.codes(ann.ticket, [PAT])[0]
    assert (told.state, told.code) == ("proven", None)
    assert keeper.portal.next_code(ann.ticket, PAT).code is None


def test_after_a_weak_reset_the_old_code_is_dead_and_a_new_one_is_told(keeper: Running) -> None:
    ann = subscriber(keeper, "ann@clinic.example")
    mail = send(keeper, ann, PAT)
    code, pat = code_for(keeper, ann, PAT), Person(PAT)
    register(keeper, mail, code, pat)
    reset_by_mail(keeper, Person(PAT))
    assert code_for(keeper, ann, PAT) != code


def test_a_code_that_was_used_lets_nobody_in_after_a_reset_by_mail(keeper: Running) -> None:
    """Who reads the mailbox may have found the note with the old code; only the sender's new word counts."""
    ann = subscriber(keeper, "ann@clinic.example")
    mail = send(keeper, ann, PAT)
    code = code_for(keeper, ann, PAT)
    register(keeper, mail, code, Person(PAT))
    eve = Person(PAT)
    reset_by_mail(keeper, eve)
    with pytest.raises(Ended, match="used already"):
        keeper.portal.prove_session(eve.ticket, mail.link.token, mail.claims, code)
    with pytest.raises(Ended, match="used already"):
        keeper.portal.prove_own(eve.ticket, PAT, ann.account, code)
    with pytest.raises(Ended, match="used already"):
        keeper.portal.prove(mail.link.token, mail.claims, code)
    fresh = code_for(keeper, ann, PAT)
    assert keeper.portal.prove_session(eve.ticket, mail.link.token, mail.claims, fresh).state == "proven"


def test_a_wrong_code_does_not_tell_that_the_right_one_was_used(keeper: Running) -> None:
    ann = subscriber(keeper, "ann@clinic.example")
    mail = send(keeper, ann, PAT)
    code = code_for(keeper, ann, PAT)
    register(keeper, mail, code, Person(PAT))
    with pytest.raises(WrongSecret):
        keeper.portal.prove(mail.link.token, mail.claims, wrong(code))


def test_spaces_and_hyphens_in_a_told_code_do_not_count(keeper: Running) -> None:
    ann = subscriber(keeper, "ann@clinic.example")
    mail = send(keeper, ann, PAT)
    code = code_for(keeper, ann, PAT)
    assert keeper.portal.prove(mail.link.token, mail.claims, f" {code[:3]}-{code[3:]} ").address == PAT


def test_codes_stay_on_the_portal_where_the_server_says_so(make_keeper: Make) -> None:
    keeper = make_keeper(codes_on_receipt=False)
    ann = subscriber(keeper, "ann@clinic.example")
    receipt = keeper.courier.receipt(ann.account, [PAT])
    assert (receipt.codes, receipt.on_portal) == ((), True)
    assert code_for(keeper, ann, PAT).isdecimal()


def test_a_weak_subscriber_sees_no_codes_that_are_not_mailed(make_keeper: Make) -> None:
    keeper = make_keeper(codes_on_receipt=False)
    subscriber(keeper, "ann@clinic.example")
    intruder = Person("ann@clinic.example")
    reset_by_mail(keeper, intruder)
    with pytest.raises(Denied):
        keeper.portal.codes(intruder.ticket, [PAT])
    with pytest.raises(Denied):
        keeper.portal.next_code(intruder.ticket, PAT)


def test_a_recipient_has_no_codes_to_tell(keeper: Running) -> None:
    ann = subscriber(keeper, "ann@clinic.example")
    mail = send(keeper, ann, PAT)
    opened = register(keeper, mail, code_for(keeper, ann, PAT), Person(PAT))
    with pytest.raises(Denied):
        keeper.portal.codes(opened.ticket, ["ann@clinic.example"])


def test_a_restore_kills_every_code_of_before(keeper: Running) -> None:
    ann = subscriber(keeper, "ann@clinic.example")
    mail = send(keeper, ann, PAT)
    code = code_for(keeper, ann, PAT)
    keeper.owner.restored()
    with pytest.raises(WrongSecret):
        keeper.portal.prove(mail.link.token, mail.claims, code)
    ann.sign_in(keeper)
    fresh = keeper.portal.codes(ann.ticket, [PAT])[0]
    assert (fresh.state, fresh.tries_left) == ("live", 5)
    assert fresh.code != code

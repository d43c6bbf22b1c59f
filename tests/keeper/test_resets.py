"""A password reset by mail alone: what its holder gets, what comes back, and to whom."""

from __future__ import annotations

import os

import pytest

from cryptnsend.core.cards import read_card
from cryptnsend.core.errors import Denied, Ended, WrongSecret
from cryptnsend.core.model import Card, account_holder
from cryptnsend.core.tokens import Claims
from cryptnsend.keeper import requests as q

from .conftest import (
    PARAMS,
    Mail,
    Make,
    Person,
    Running,
    code_for,
    content_of,
    register,
    reset_by_mail,
    send,
    subscriber,
)
from .sealing import sealed_to

ANN, PAT = "ann@clinic.example", "pat@home.example"


def known_pat(keeper: Running) -> tuple[Person, Person, Mail]:
    """Return Ann, Pat who has opened Ann's first message, and that message."""
    ann, pat = subscriber(keeper, ANN), Person(PAT)
    mail = send(keeper, ann, PAT)
    register(keeper, mail, code_for(keeper, ann, PAT), pat)
    return ann, pat, mail


def card_of(keeper: Running, account: int) -> Card:
    signed = keeper.portal.card(account_holder(account))
    assert signed is not None
    return read_card(signed, keeper.portal.anchors().card_key)


def sealed_under(keeper: Running, ann: Person, pat: q.Opened, custody: str) -> tuple[q.SealedGrant, bytes]:
    """Seal a message of Ann's to Pat's own pair, as admission does once the contact is proven."""
    pair = next(each for each in card_of(keeper, pat.account).pairs if each.custody == custody)
    return sealed_to(keeper.clock.now(), pair, pat.account, f"{PAT}|{ann.account}", custody, ann.opened)


def prove(keeper: Running, ann: Person, person: Person) -> q.ContactRow:
    mail = send(keeper, ann, person.address)
    code = code_for(keeper, ann, person.address)
    return keeper.portal.prove_session(person.ticket, mail.link.token, mail.claims, code)


# -- what is lost and what is not -------------------------------------------------------------------------------------


def test_a_weak_reset_opens_no_pair_of_before(keeper: Running) -> None:
    _, pat, _ = known_pat(keeper)
    before = pat.opened
    assert before is not None
    after = reset_by_mail(keeper, Person(PAT))
    assert (after.state, after.strength) == ("weak", "weak")
    assert not set(after.seeds) & set(before.seeds)
    assert {(each.pair, each.state) for each in after.locked} == {
        (pair.id, "withheld" if pair.custody == "managed" else "locked") for pair in before.pairs
    }


def test_a_weak_reset_takes_no_contact_along_and_says_whom_to_tell(keeper: Running) -> None:
    ann, _, _ = known_pat(keeper)
    after = reset_by_mail(keeper, Person(PAT))
    assert after.contacts == ()
    assert (after.tell_address, after.tell_subscribers) == (PAT, (ann.account,))


def test_a_weak_reset_raises_generation_and_credential_version(keeper: Running) -> None:
    _, pat, _ = known_pat(keeper)
    card, before = card_of(keeper, pat.account), pat.opened
    after = reset_by_mail(keeper, Person(PAT))
    again = card_of(keeper, pat.account)
    assert before is not None
    assert (again.generation, after.credential_version) == (card.generation + 1, before.credential_version + 1)
    assert again.weak
    assert again.version > card.version


def test_the_ticket_of_before_a_reset_is_dead(keeper: Running) -> None:
    _, pat, mail = known_pat(keeper)
    reset_by_mail(keeper, Person(PAT))
    with pytest.raises(Ended):
        keeper.portal.adopt(pat.ticket, [mail.grant])


def test_the_old_password_signs_nobody_in_after_a_reset(keeper: Running) -> None:
    _, pat, _ = known_pat(keeper)
    reset_by_mail(keeper, Person(PAT))
    with pytest.raises(WrongSecret):
        pat.sign_in(keeper)


def test_a_recipient_gets_managed_mail_back_contact_by_contact_with_a_new_code(keeper: Running) -> None:
    ann, pat, first = known_pat(keeper)
    assert pat.opened is not None
    old, content = sealed_under(keeper, ann, pat.opened, "managed")
    again = Person(PAT)
    reset_by_mail(keeper, again)
    assert keeper.portal.adopt(again.ticket, [old, first.grant]) == []
    prove(keeper, ann, again)
    opened = again.sign_in(keeper)
    adopted = keeper.portal.adopt(opened.ticket, [old, first.grant])
    assert [content_of(each, opened) for each in adopted] == [content, first.content]
    assert opened.state == "active"


def test_strict_mail_stays_locked_whatever_codes_are_told(keeper: Running) -> None:
    ann, pat, _ = known_pat(keeper)
    assert pat.opened is not None
    old, _ = sealed_under(keeper, ann, pat.opened, "strict")
    again = Person(PAT)
    reset_by_mail(keeper, again)
    prove(keeper, ann, again)
    assert keeper.portal.adopt(again.sign_in(keeper).ticket, [old]) == []


def test_the_old_password_opens_locked_and_withheld_pairs_and_restores_the_contacts(keeper: Running) -> None:
    ann, pat, _ = known_pat(keeper)
    before = pat.opened
    assert before is not None
    again = Person(PAT)
    reset_by_mail(keeper, again)
    unlocked = keeper.portal.unlock(again.ticket, "password", pat.k, again.k)
    assert unlocked.seeds == before.seeds
    assert set(before.seeds) < set(unlocked.opened.seeds)
    assert [(each.address, each.subscriber) for each in unlocked.opened.contacts] == [(PAT, ann.account)]
    assert set(before.seeds) < set(again.sign_in(keeper).seeds)
    assert again.opened is not None
    assert again.opened.locked == ()


def test_unlocking_twice_gives_nothing_new_and_harms_nothing(keeper: Running) -> None:
    _, pat, _ = known_pat(keeper)
    again = Person(PAT)
    reset_by_mail(keeper, again)
    keeper.portal.unlock(again.ticket, "password", pat.k, again.k)
    seeds = again.sign_in(keeper).seeds
    with pytest.raises(WrongSecret):
        keeper.portal.unlock(again.ticket, "password", pat.k, again.k)
    assert again.sign_in(keeper).seeds == seeds


def test_a_wrong_old_password_unlocks_nothing(keeper: Running) -> None:
    _, _, _ = known_pat(keeper)
    again = Person(PAT)
    reset_by_mail(keeper, again)
    for kind in ("password", "recovery", "device", "officer", "waited"):
        with pytest.raises(Denied):
            keeper.portal.unlock(again.ticket, kind, os.urandom(32), again.k)
    assert again.sign_in(keeper).state == "weak"


def test_the_recovery_code_opens_strict_mail_after_a_reset(keeper: Running) -> None:
    _, pat, _ = known_pat(keeper)
    assert pat.opened is not None
    recovery = os.urandom(32)
    assert keeper.portal.store_wraps(pat.ticket, "recovery", recovery, pat.opened.seeds) == tuple(
        sorted(pat.opened.seeds)
    )
    again = Person(PAT)
    after = reset_by_mail(keeper, again)
    assert all(each.has_recovery for each in after.locked)
    assert keeper.portal.unlock(again.ticket, "recovery", recovery, again.k).seeds == pat.opened.seeds


def test_only_seeds_of_ones_own_pairs_can_be_wrapped(keeper: Running) -> None:
    ann, pat, _ = known_pat(keeper)
    assert ann.opened is not None
    assert pat.opened is not None
    with pytest.raises(Denied):
        keeper.portal.store_wraps(pat.ticket, "recovery", os.urandom(32), ann.opened.seeds)
    with pytest.raises(Denied):
        keeper.portal.store_wraps(
            pat.ticket, "recovery", os.urandom(32), dict.fromkeys(pat.opened.seeds, os.urandom(32))
        )


def test_a_password_may_be_reset_again_and_again_and_everything_still_opens(keeper: Running) -> None:
    _, pat, _ = known_pat(keeper)
    first = pat.opened
    assert first is not None
    second, third = Person(PAT), Person(PAT)
    seeds = reset_by_mail(keeper, second).seeds
    reset_by_mail(keeper, third)
    assert keeper.portal.unlock(third.ticket, "password", pat.k, third.k).seeds == first.seeds
    assert keeper.portal.unlock(third.ticket, "password", second.k, third.k).seeds == seeds
    assert third.sign_in(keeper).locked == ()


# -- who reads the mailbox --------------------------------------------------------------------------------------------


def test_an_intruder_who_proves_a_contact_of_their_own_opens_nothing_of_anns(keeper: Running) -> None:
    ann, pat, first = known_pat(keeper)
    assert pat.opened is not None
    old, _ = sealed_under(keeper, ann, pat.opened, "managed")
    mallory, intruder = subscriber(keeper, "mallory@evil.example"), Person(PAT)
    reset_by_mail(keeper, intruder)
    prove(keeper, mallory, intruder)
    assert intruder.sign_in(keeper).state == "active"
    assert keeper.portal.adopt(intruder.ticket, [old, first.grant]) == []


def test_an_intruders_password_of_before_releases_only_what_was_theirs(keeper: Running) -> None:
    """Pat, an intruder, Pat again, and the intruder again, who still has the password of their first time."""
    ann, pat, _ = known_pat(keeper)
    assert pat.opened is not None
    mallory, intruder = subscriber(keeper, "mallory@evil.example"), Person(PAT)
    theirs = reset_by_mail(keeper, intruder)
    prove(keeper, mallory, intruder)
    returned = Person(PAT)
    pats = reset_by_mail(keeper, returned)
    prove(keeper, ann, returned)
    later = Person(PAT)
    reset_by_mail(keeper, later)
    unlocked = keeper.portal.unlock(later.ticket, "password", intruder.k, later.k)
    assert unlocked.seeds == theirs.seeds
    assert not set(unlocked.opened.seeds) & (set(pat.opened.seeds) | set(pats.seeds))
    assert [each.subscriber for each in unlocked.opened.contacts] == [mallory.account]


def test_an_intruders_device_password_releases_only_what_was_theirs(make_keeper: Make) -> None:
    keeper = make_keeper(signup="open")
    _, pat, _ = known_pat(keeper)
    assert pat.opened is not None
    mallory, intruder = subscriber(keeper, "mallory@evil.example"), Person(PAT)
    reset_by_mail(keeper, intruder)
    prove(keeper, mallory, intruder)
    intruder.sign_in(keeper)
    intruder.opened = keeper.portal.subscribe(intruder.ticket, intruder.k, None, "")
    device = keeper.portal.device_add(intruder.ticket, "submit")
    reset_by_mail(keeper, Person(PAT))
    later = Person(PAT)
    reset_by_mail(keeper, later)
    unlocked = keeper.portal.unlock(later.ticket, "device", device.secret, later.k, device.id)
    assert not set(unlocked.seeds) & set(pat.opened.seeds)


def test_an_intruder_at_a_subscribers_mailbox_gets_no_passphrase_no_devices_and_no_threads(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    assert ann.opened is not None
    reply = send(keeper, ann, ANN)  # waits for Ann herself, in her own thread
    intruder = Person(ANN)
    reset_by_mail(keeper, intruder)
    assert keeper.portal.adopt(intruder.ticket, [reply.grant]) == []
    for attempt in (
        lambda: keeper.portal.passphrase(intruder.ticket, intruder.k),
        lambda: keeper.portal.new_passphrase(intruder.ticket, intruder.k),
        lambda: keeper.portal.device_add(intruder.ticket, "submit"),
        lambda: keeper.portal.archive_recovery(intruder.ticket, intruder.k),
        lambda: keeper.portal.profile(intruder.ticket, form="link"),
    ):
        with pytest.raises(Denied):
            attempt()


def test_a_weak_subscriber_is_no_member_and_sees_own_threads_once_whole_again(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    reply = send(keeper, ann, ANN)
    again = Person(ANN)
    reset_by_mail(keeper, again)
    assert keeper.portal.adopt(again.ticket, [reply.grant]) == []
    opened = keeper.portal.unlock(again.ticket, "password", ann.k, again.k).opened
    assert len(keeper.portal.adopt(opened.ticket, [reply.grant])) == 1


# -- how a subscriber becomes whole again -----------------------------------------------------------------------------


def test_a_device_password_of_before_ends_the_weakness_and_brings_back_managed_mail(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    assert ann.opened is not None
    device = keeper.portal.device_add(ann.ticket, "submit")
    again = Person(ANN)
    reset_by_mail(keeper, again)
    unlocked = keeper.portal.unlock(again.ticket, "device", device.secret, again.k, device.id)
    managed = {pair.id for pair in ann.opened.pairs if pair.custody == "managed" and pair.role == "account"}
    assert set(unlocked.seeds) == managed
    assert unlocked.opened.state == "active"


def test_an_officers_word_ends_the_weakness_of_a_member(keeper: Running) -> None:
    clinic = keeper.owner.organisation_add("Clinic", "managed", "")
    officer = subscriber(keeper, "dr.o@clinic.example", clinic.id, "subscriber", "officer")
    subscriber(keeper, ANN, clinic.id)
    again = Person(ANN)
    reset_by_mail(keeper, again)
    with pytest.raises(Denied):
        keeper.portal.unlock(again.ticket, "officer", b"", again.k)
    keeper.portal.confirm(officer.ticket, ANN)
    assert keeper.portal.unlock(again.ticket, "officer", b"", again.k).opened.state == "active"


def test_an_officers_word_of_before_the_reset_counts_for_nothing(keeper: Running) -> None:
    clinic = keeper.owner.organisation_add("Clinic", "managed", "")
    officer = subscriber(keeper, "dr.o@clinic.example", clinic.id, "subscriber", "officer")
    subscriber(keeper, ANN, clinic.id)
    reset_by_mail(keeper, Person(ANN))
    keeper.portal.confirm(officer.ticket, ANN)
    keeper.clock.forward(minutes=1)
    again = Person(ANN)
    reset_by_mail(keeper, again)
    with pytest.raises(Denied):
        keeper.portal.unlock(again.ticket, "officer", b"", again.k)


def test_only_an_officer_of_the_same_organisation_can_confirm(keeper: Running) -> None:
    clinic, other = (keeper.owner.organisation_add(name, "managed", "") for name in ("Clinic", "Other"))
    stranger = subscriber(keeper, "o@other.example", other.id, "subscriber", "officer")
    colleague = subscriber(keeper, "bob@clinic.example", clinic.id)
    subscriber(keeper, ANN, clinic.id)
    again = Person(ANN)
    reset_by_mail(keeper, again)
    for person in (stranger, colleague, again):
        with pytest.raises(Denied):
            keeper.portal.confirm(person.ticket, ANN)


def test_an_organisation_of_one_without_any_other_way_waits_seven_days(keeper: Running) -> None:
    subscriber(keeper, ANN)
    again = Person(ANN)
    reset_by_mail(keeper, again)
    keeper.clock.forward(days=6.9)
    again.sign_in(keeper)
    with pytest.raises(Denied):
        keeper.portal.unlock(again.ticket, "waited", b"", again.k)
    keeper.clock.forward(days=0.2)
    again.sign_in(keeper)
    assert keeper.portal.unlock(again.ticket, "waited", b"", again.k).opened.state == "active"


def test_waiting_ends_nothing_where_there_is_a_recovery_code_or_a_device(keeper: Running) -> None:
    ann, bob = subscriber(keeper, ANN), subscriber(keeper, "bob@solo.example")
    assert ann.opened is not None
    keeper.portal.store_wraps(ann.ticket, "recovery", os.urandom(32), ann.opened.seeds)
    keeper.portal.device_add(bob.ticket, "submit")
    for address in (ANN, "bob@solo.example"):
        again = Person(address)
        reset_by_mail(keeper, again)
        keeper.clock.forward(days=8)
        again.sign_in(keeper)
        with pytest.raises(Denied):
            keeper.portal.unlock(again.ticket, "waited", b"", again.k)


def test_an_objection_by_the_link_of_the_warning_stops_the_seven_days(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    again = Person(ANN)
    reset_by_mail(keeper, again)
    warning = keeper.courier.warning(ann.account)
    row = warning.link.row
    keeper.portal.object_to(warning.link.token, Claims(row.purpose, row.address, row.subscriber, row.message))
    keeper.clock.forward(days=8)
    again.sign_in(keeper)
    with pytest.raises(Denied):
        keeper.portal.unlock(again.ticket, "waited", b"", again.k)
    keeper.owner.confirm_account(ANN)
    assert keeper.portal.unlock(again.ticket, "officer", b"", again.k).opened.state == "active"


def test_a_device_that_still_sends_stops_the_seven_days(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    device = keeper.portal.device_add(ann.ticket, "submit")
    again = Person(ANN)
    reset_by_mail(keeper, again)
    assert keeper.submission.check_device(device.id, device.secret, "submit").state == "weak"
    keeper.portal.device_revoke(again.ticket, device.id)
    keeper.clock.forward(days=8)
    again.sign_in(keeper)
    with pytest.raises(Denied):
        keeper.portal.unlock(again.ticket, "waited", b"", again.k)


def test_an_officer_who_comes_back_opens_the_archive_again(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    again = Person(ANN)
    reset_by_mail(keeper, again)
    opened = keeper.portal.unlock(again.ticket, "password", ann.k, again.k).opened
    keeper.portal.archive_recovery(opened.ticket, again.k)
    third = Person(ANN)
    keeper.clock.forward(minutes=1)
    reset_by_mail(keeper, third)
    assert keeper.portal.unlock(third.ticket, "password", again.k, third.k).opened.state == "active"
    assert keeper.portal.archive_recovery(third.sign_in(keeper).ticket, third.k).text


# -- the mailed code --------------------------------------------------------------------------------------------------


def test_a_mailed_code_has_ten_minutes_and_five_tries(keeper: Running) -> None:
    subscriber(keeper, ANN)
    late = keeper.portal.mail_proof(ANN, "reset")
    code = keeper.courier.mail_code(late.id).code
    keeper.clock.forward(minutes=10.1)
    with pytest.raises(Ended):
        keeper.portal.reset(late.id, code, late.salt, PARAMS, os.urandom(32))
    proof = keeper.portal.mail_proof(ANN, "reset")
    code = keeper.courier.mail_code(proof.id).code
    guesses = [f"{(int(code) + n) % 1_000_000:06d}" for n in range(1, 6)]
    for left, guess in zip((4, 3, 2, 1), guesses, strict=False):
        with pytest.raises(WrongSecret) as error:
            keeper.portal.reset(proof.id, guess, proof.salt, PARAMS, os.urandom(32))
        assert error.value.tries_left == left
    with pytest.raises(Ended):
        keeper.portal.reset(proof.id, guesses[4], proof.salt, PARAMS, os.urandom(32))
    with pytest.raises(Ended):
        keeper.portal.reset(proof.id, code, proof.salt, PARAMS, os.urandom(32))


def test_a_newer_mailed_code_ends_the_earlier_one(keeper: Running) -> None:
    subscriber(keeper, ANN)
    first = keeper.portal.mail_proof(ANN, "reset")
    code = keeper.courier.mail_code(first.id).code
    keeper.portal.mail_proof(ANN, "reset")
    with pytest.raises(Ended):
        keeper.portal.reset(first.id, code, first.salt, PARAMS, os.urandom(32))


def test_an_unknown_address_gets_the_same_answer_and_no_mail(keeper: Running) -> None:
    subscriber(keeper, ANN)
    known, unknown = keeper.portal.mail_proof(ANN, "reset"), keeper.portal.mail_proof("x@y.example", "reset")
    assert known.expires == unknown.expires
    with pytest.raises(Denied):
        keeper.courier.mail_code(unknown.id)
    assert keeper.courier.mail_code(known.id).address == ANN
    told = []
    for proof in (known, unknown):
        with pytest.raises(WrongSecret) as error:
            keeper.portal.reset(proof.id, "", proof.salt, PARAMS, os.urandom(32))
        told.append((str(error.value), error.value.tries_left))
    assert told[0] == told[1]


def test_beyond_the_days_limit_nothing_is_mailed_and_the_answer_is_the_same(make_keeper: Make) -> None:
    keeper = make_keeper(mail_codes_per_day=3)
    subscriber(keeper, ANN)
    proofs = [keeper.portal.mail_proof(ANN, "reset") for _ in range(4)]
    assert keeper.courier.mail_code(proofs[2].id).address == ANN
    with pytest.raises(Denied):
        keeper.courier.mail_code(proofs[3].id)
    keeper.clock.forward(days=1.1)
    assert keeper.courier.mail_code(keeper.portal.mail_proof(ANN, "reset").id).code


def test_a_code_for_one_purpose_serves_no_other(make_keeper: Make) -> None:
    keeper = make_keeper(signup="open")
    ann = subscriber(keeper, ANN)
    proof = keeper.portal.mail_proof("new@home.example", "signup")
    code = keeper.courier.mail_code(proof.id).code
    with pytest.raises(WrongSecret):
        keeper.portal.alias(ann.ticket, proof.id, code)
    with pytest.raises(WrongSecret):
        keeper.portal.reset(proof.id, code, proof.salt, PARAMS, os.urandom(32))

"""A password reset by mail alone: what its holder gets, what comes back, and to whom."""

from __future__ import annotations

import os

import pytest

from cryptnsend.core.cards import read_card
from cryptnsend.core.errors import Denied, Ended, WrongSecret
from cryptnsend.core.model import Card, account_holder
from cryptnsend.keeper import requests as q

from .conftest import (
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

"""What does a reset bring back, and what do intruders in mailboxes read?"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from cryptnsend.core.errors import CryptnSendError, Denied, NoGrant
from cryptnsend.flow.sessions import Session
from tests.flow.admitting import sent
from tests.support.house import OTHER, PASSWORD, SOURCE, House, MakeHouse

ANN, PAT, BOB = "ann@gmail.example", "pat@yahoo.example", "bob@outlook.example"


def test_after_a_reset_each_sender_brings_their_mail_back(house: House, ann: int) -> None:
    house.add_subscriber(BOB)
    from_ann, from_bob = sent(house), sent(house, [PAT], BOB)
    pat = house.register(PAT, from_ann)
    house.prove(pat, PAT, from_bob)
    weak = house.reset(PAT)
    later = sent(house)
    assert [each.state for each in house.pickup.list(weak)] == ["code", "code", "code"]
    assert house.pickup.waiting(house.link(from_ann, PAT)).state == "new"
    for message in (from_ann, from_bob, later):
        with pytest.raises(NoGrant):
            house.pickup.show(weak, message)
    house.prove(weak, PAT, from_ann)
    again = house.session(PAT, OTHER)
    assert house.pickup.show(again, from_ann).subject == house.pickup.show(again, later).subject == "Results"
    with pytest.raises(NoGrant):
        house.pickup.show(again, from_bob)
    house.prove(again, PAT, from_bob)
    assert house.pickup.show(again, from_bob).sender_address == BOB


def test_strict_mail_stays_locked_after_a_reset_until_the_old_password(make_house: MakeHouse) -> None:
    house = make_house(policy={"custody": "strict"})
    house.add_subscriber(ANN)
    message = sent(house)
    house.register(PAT, message)
    weak = house.reset(PAT)
    house.prove(weak, PAT, message)
    session = house.session(PAT, OTHER)
    assert [each.state for each in house.pickup.list(session)] == ["locked"]
    with pytest.raises(NoGrant):
        house.pickup.show(session, message)
    house.accounts.unlock(session, "password", PASSWORD, OTHER, SOURCE)
    assert house.pickup.show(house.session(PAT, OTHER), message).subject == "Results"


def opens_nothing(house: House, session: Session, messages: Sequence[int]) -> bool:
    for message in messages:
        for reading in (house.pickup.show, house.pickup.eml):
            with pytest.raises(CryptnSendError):
                reading(session, message)
    return all(each.subject is None for each in house.pickup.list(session))


def test_who_reads_pats_mailbox_and_subscribes_as_pat_reads_nothing_of_anns(make_house: MakeHouse) -> None:
    """The intruder signs up with Pat's address, writes to it as somebody else, and tells themselves that code."""
    house = make_house(signup={"mode": "open"})
    house.add_subscriber(ANN)
    before = sent(house)
    started = house.accounts.start_signup(PAT, SOURCE)
    entered = house.accounts.finish_signup(started.id, house.mailed_code(), OTHER, "Eve", SOURCE, "", "en")
    intruder = house.found(entered)
    house.add_subscriber("eve@evil.example", OTHER, name="Eve")
    theirs = house.submit("eve@evil.example", [PAT], house.mail(author="eve@evil.example"))
    house.prove(intruder, PAT, theirs)
    intruder = house.session(PAT, OTHER)
    after = sent(house)
    house.pickup.adopt(intruder)
    for message in (before, after):
        with pytest.raises(CryptnSendError):
            house.pickup.show(intruder, message)
    states = {each.message: each.state for each in house.pickup.list(intruder)}
    assert states == {before: "code", after: "code", theirs: "open"}


JOE = "joe@mail.example"


def test_a_proven_patient_who_claims_pats_address_as_an_alias_reads_nothing_of_pats(house: House, ann: int) -> None:
    """Joe has shown Ann's code for himself, reads Pat's mailbox, and proves Pat's address by mail."""
    joe = house.register(JOE, house.submit(ANN, [JOE], house.mail(to=[JOE])))
    before = sent(house)
    started = house.accounts.start_alias(joe, PAT, SOURCE)
    house.accounts.finish_alias(joe, started.id, house.mailed_code())
    joe = house.session(JOE)
    assert PAT in joe.addresses
    after = sent(house)
    house.pickup.adopt(joe)
    for message in (before, after):
        with pytest.raises(CryptnSendError):
            house.pickup.show(joe, message)
        with pytest.raises(CryptnSendError):
            house.pickup.eml(joe, message)
        assert house.pickup.waiting(house.link(message, PAT)).state == "new"
    assert {each.message: each.state for each in house.pickup.list(joe)}.items() >= {
        before: "code",
        after: "code",
    }.items()
    found = {each.message for each in house.pickup.search(joe, "results").entries}
    assert found.isdisjoint({before, after})
    pat = house.register(PAT, before)  # Ann tells Pat the code by phone
    assert house.pickup.show(pat, before).subject == house.pickup.show(pat, after).subject == "Results"
    assert PAT not in house.session(JOE).addresses


def test_who_resets_pats_password_by_mail_reads_nothing_of_before_or_after(house: House, ann: int) -> None:
    before = sent(house)
    pat = house.register(PAT, before)
    reply = house.replies.send(pat, before, everybody=False, text="Thanks", files=[], nonce=b"n" * 16)
    intruder = house.reset(PAT)
    after = sent(house)
    house.pickup.adopt(intruder)
    assert opens_nothing(house, intruder, [before, after, reply])


def test_who_resets_anns_password_by_mail_reads_nothing_and_is_told_to_ann(house: House, ann: int) -> None:
    message = sent(house)
    pat = house.register(PAT, message)
    before = house.replies.send(pat, message, everybody=False, text="Secret", files=[], nonce=b"1" * 16)
    intruder = house.reset(ANN)
    after = house.replies.send(pat, message, everybody=False, text="Secret too", files=[], nonce=b"2" * 16)
    house.pickup.adopt(intruder)
    assert opens_nothing(house, intruder, [message, before, after])
    assert all(each.subject == "" for each in house.pickup.sent(intruder))
    assert (ANN, "password-reset") in house.alerts()
    with pytest.raises(Denied):
        house.accounts.add_device(intruder, "evil", "submit")
    with pytest.raises(Denied):
        house.accounts.passphrases(intruder, OTHER, SOURCE)
    # Ann comes back with her old password: nothing is lost, the reply from meanwhile is there too.
    house.accounts.unlock(intruder, "password", PASSWORD, OTHER, SOURCE)
    session = house.session(ANN, OTHER)
    assert [house.pickup.show(session, each).text for each in (before, after)] == ["Secret\n", "Secret too\n"]


def test_a_senders_code_takes_an_address_back_from_who_only_read_its_mail(make_house: MakeHouse) -> None:
    house = make_house(signup={"mode": "open"})
    house.add_subscriber(ANN)
    started = house.accounts.start_signup(PAT, SOURCE)
    cookie = house.accounts.finish_signup(started.id, house.mailed_code(), OTHER, "Eve", SOURCE, "", "en").cookie
    intruder = house.found(cookie)
    message = sent(house)
    pat = house.register(PAT, message)
    assert pat.account != intruder.account
    assert house.pickup.show(pat, message).subject == "Results"
    with pytest.raises(CryptnSendError):
        house.pickup.show(intruder, message)
    with pytest.raises(CryptnSendError):
        house.session(PAT, OTHER)


def test_what_was_sealed_to_an_account_that_was_taken_over_comes_back_sender_by_sender(house: House) -> None:
    for author in (ANN, "holm@cardio.example"):
        house.add_subscriber(author)
    first = sent(house)
    before = house.register(PAT, first)
    holms = house.submit("holm@cardio.example", [PAT], house.mail("Echo", author="holm@cardio.example"))
    house.prove(before, PAT, holms)
    assert house.pickup.show(before, holms).subject == "Echo"
    intruder = house.reset(PAT)
    again = sent(house)
    with pytest.raises(CryptnSendError):
        house.pickup.show(intruder, first)
    pat = house.register(PAT, again)  # by Ann's new code, and never by the intruder's password
    assert [house.pickup.show(pat, each).subject for each in (first, again)] == ["Results", "Results"]
    states = {each.message: each.state for each in house.pickup.list(pat)}
    assert states == {first: "open", again: "open", holms: "code"}
    with pytest.raises(NoGrant):
        house.pickup.show(pat, holms)
    assert house.pickup.waiting(house.link(holms, PAT)).state == "new"
    house.pickup.prove_message(pat, holms, house.code("holm@cardio.example", PAT), SOURCE)
    assert house.pickup.show(pat, holms).subject == "Echo"


def test_a_former_owners_other_addresses_are_none_of_the_new_owners_business(house: House) -> None:
    house.add_subscriber(ANN)
    first = sent(house)
    eve = house.register(PAT, first)
    started = house.accounts.start_alias(eve, "eve@yahoo.example", SOURCE)
    house.accounts.finish_alias(eve, started.id, house.mailed_code())
    others = house.submit(ANN, ["eve@yahoo.example"], house.mail("For Eve", to=["eve@yahoo.example"]))
    eve = house.session(PAT)
    house.prove(eve, "eve@yahoo.example", others)
    house.reset(PAT)
    pat = house.register(PAT, sent(house))
    assert others not in [each.message for each in house.pickup.list(pat)]
    with pytest.raises(NoGrant):
        house.pickup.show(pat, others)

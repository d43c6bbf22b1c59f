"""Which contact opens for whom: codes, rules of organisations, members, aliases, addresses that change hands."""

from __future__ import annotations

import os

import pytest

from cryptnsend.core.cards import read_card
from cryptnsend.core.errors import Denied, Ended, NoGrant, WrongSecret
from cryptnsend.core.model import account_holder

from .conftest import (
    PARAMS,
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

ANN, BOB, PAT = "ann@clinic.example", "bob@clinic.example", "pat@home.example"


def clinic_of_two(keeper: Running, rule: str) -> tuple[Person, Person]:
    clinic = keeper.owner.organisation_add("Clinic", "managed", rule)
    return subscriber(keeper, ANN, clinic.id), subscriber(keeper, BOB, clinic.id)


# -- one contact, one code --------------------------------------------------------------------------------------------


def test_a_code_of_one_sender_opens_nothing_of_another(keeper: Running) -> None:
    ann, bob, pat = subscriber(keeper, ANN), subscriber(keeper, BOB), Person(PAT)
    first, other = send(keeper, ann, PAT), send(keeper, bob, PAT)
    opened = register(keeper, first, code_for(keeper, ann, PAT), pat)
    adopted = keeper.portal.adopt(opened.ticket, [first.grant, other.grant])
    assert [each.message for each in adopted] == [first.message]


def test_a_second_senders_code_is_told_while_signed_in(keeper: Running) -> None:
    ann, bob, pat = subscriber(keeper, ANN), subscriber(keeper, BOB), Person(PAT)
    register(keeper, send(keeper, ann, PAT), code_for(keeper, ann, PAT), pat)
    mail = send(keeper, bob, PAT)
    row = keeper.portal.prove_session(pat.ticket, mail.link.token, mail.claims, code_for(keeper, bob, PAT))
    assert (row.address, row.subscriber, row.account, row.state) == (PAT, bob.account, pat.account, "proven")
    opened = pat.sign_in(keeper)
    assert [content_of(each, opened) for each in keeper.portal.adopt(opened.ticket, [mail.grant])] == [mail.content]


def test_a_wrong_code_told_while_signed_in_counts_as_a_try(keeper: Running) -> None:
    ann, bob, pat = subscriber(keeper, ANN), subscriber(keeper, BOB), Person(PAT)
    register(keeper, send(keeper, ann, PAT), code_for(keeper, ann, PAT), pat)
    mail, code = send(keeper, bob, PAT), code_for(keeper, bob, PAT)
    with pytest.raises(WrongSecret) as error:
        keeper.portal.prove_session(pat.ticket, mail.link.token, mail.claims, f"{(int(code) + 1) % 10**6:06d}")
    assert error.value.tries_left == 4


def test_a_link_mailed_to_somebody_elses_address_proves_nothing_for_me(keeper: Running) -> None:
    ann, pat, eve = subscriber(keeper, ANN), Person(PAT), Person("eve@home.example")
    register(keeper, send(keeper, ann, PAT), code_for(keeper, ann, PAT), pat)
    register(keeper, send(keeper, ann, eve.address), code_for(keeper, ann, eve.address), eve)
    mail = send(keeper, subscriber(keeper, BOB), PAT)
    with pytest.raises(Denied):
        keeper.portal.prove_session(eve.ticket, mail.link.token, mail.claims, "000000")


def test_link_and_code_together_bring_a_free_address_to_who_is_signed_in(keeper: Running) -> None:
    ann, pat = subscriber(keeper, ANN), Person(PAT)
    register(keeper, send(keeper, ann, PAT), code_for(keeper, ann, PAT), pat)
    second = "pat@work.example"
    mail = send(keeper, ann, second)
    keeper.portal.prove_session(pat.ticket, mail.link.token, mail.claims, code_for(keeper, ann, second))
    assert pat.sign_in(keeper).addresses == (PAT, second)


def test_a_changed_claim_makes_a_link_worthless(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    mail = send(keeper, ann, PAT)
    code = code_for(keeper, ann, "eve@home.example")
    claims = mail.claims
    for changed in (
        type(claims)("open", "eve@home.example", claims.subscriber, claims.message),
        type(claims)("open", PAT, claims.subscriber, claims.message + 1),
        type(claims)("reply", PAT, claims.subscriber, claims.message),
    ):
        with pytest.raises(Ended):
            keeper.portal.prove(mail.link.token, changed, code)
    reply = keeper.courier.reply_token(PAT, ann.account, mail.message)
    with pytest.raises(Ended):
        keeper.portal.prove(reply.token, claims, code_for(keeper, ann, PAT))


def test_an_alias_proven_by_mail_proves_no_contact(make_keeper: Make) -> None:
    keeper = make_keeper(signup="open")
    ann, eve = subscriber(keeper, ANN), subscriber(keeper, "eve@evil.example")
    mail = send(keeper, ann, PAT)
    proof = keeper.portal.mail_proof(PAT, "alias")
    opened = keeper.portal.alias(eve.ticket, proof.id, keeper.courier.mail_code(proof.id).code)
    assert opened.addresses == ("eve@evil.example", PAT)
    assert keeper.portal.adopt(eve.ticket, [mail.grant]) == []


# -- rules of organisations -------------------------------------------------------------------------------------------


def test_under_never_the_link_alone_registers_and_the_contact_is_waived(keeper: Running) -> None:
    ann, _ = clinic_of_two(keeper, "never")
    mail, pat = send(keeper, ann, PAT), Person(PAT)
    assert keeper.portal.codes(ann.ticket, [PAT])[0].state == "waived"
    opened = register(keeper, mail, "", pat)
    assert len(keeper.portal.adopt(opened.ticket, [mail.grant])) == 1
    row = keeper.portal.prove_session(opened.ticket, mail.link.token, mail.claims, "")
    assert row.state == "waived"


def test_under_never_a_link_alone_takes_no_address(keeper: Running) -> None:
    ann, _ = clinic_of_two(keeper, "never")
    mail, pat = send(keeper, ann, PAT), Person(PAT)
    register(keeper, mail, "", pat)
    later = send(keeper, ann, PAT)
    proof = keeper.portal.prove(later.link.token, later.claims, "")
    assert (proof.has_account, proof.may_register) == (True, False)
    with pytest.raises(Denied):
        keeper.portal.register(proof.ticket, proof.salt, PARAMS, os.urandom(32), "Eve", "en")
    passed_on = send(keeper, ann, "pat@work.example")
    with pytest.raises(Denied):
        keeper.portal.prove_session(pat.ticket, passed_on.link.token, passed_on.claims, "")
    assert pat.sign_in(keeper).addresses == (PAT,)


def test_under_new_recipient_one_code_serves_all_subscribers_of_the_organisation(keeper: Running) -> None:
    ann, bob = clinic_of_two(keeper, "new-recipient")
    pat, second = Person(PAT), send(keeper, bob, PAT)
    opened = register(keeper, send(keeper, ann, PAT), code_for(keeper, ann, PAT), pat)
    assert len(keeper.portal.adopt(opened.ticket, [second.grant])) == 1
    assert keeper.portal.codes(bob.ticket, [PAT])[0].state == "waived"


def test_under_new_recipient_a_strangers_code_serves_nobody_else(keeper: Running) -> None:
    ann, _ = clinic_of_two(keeper, "new-recipient")
    mallory, pat = subscriber(keeper, "mallory@evil.example"), Person(PAT)
    mail = send(keeper, ann, PAT)
    opened = register(keeper, send(keeper, mallory, PAT), code_for(keeper, mallory, PAT), pat)
    assert keeper.portal.adopt(opened.ticket, [mail.grant]) == []


def test_under_always_each_message_waits_for_a_code_of_its_own(keeper: Running) -> None:
    ann, _ = clinic_of_two(keeper, "always")
    pat, first = Person(PAT), send(keeper, ann, PAT)
    opened = register(keeper, first, code_for(keeper, ann, PAT), pat)
    assert opened.contacts == ()
    assert len(keeper.portal.adopt(opened.ticket, [first.grant])) == 1
    second = send(keeper, ann, PAT)
    assert keeper.portal.adopt(opened.ticket, [second.grant]) == []
    code = code_for(keeper, ann, PAT)
    row = keeper.portal.prove_session(opened.ticket, second.link.token, second.claims, code)
    assert (row.state, row.statement) == ("proven", b"")
    assert len(keeper.portal.adopt(opened.ticket, [second.grant])) == 1


def test_a_rule_changed_to_stricter_counts_at_once(keeper: Running) -> None:
    clinic = keeper.owner.organisation_add("Clinic", "managed", "never")
    ann, pat = subscriber(keeper, ANN, clinic.id), Person(PAT)
    mail = send(keeper, ann, PAT)
    opened = register(keeper, mail, "", pat)
    keeper.owner.organisation_rule(clinic.id, "new-contact")
    assert keeper.portal.adopt(opened.ticket, [mail.grant]) == []
    assert pat.sign_in(keeper).contacts == ()


def test_members_of_one_organisation_need_no_code_among_themselves(keeper: Running) -> None:
    ann, bob = clinic_of_two(keeper, "")
    mail = send(keeper, ann, BOB)
    opened = bob.sign_in(keeper)
    assert len(keeper.portal.adopt(opened.ticket, [mail.grant])) == 1
    assert keeper.portal.codes(ann.ticket, [BOB])[0].state == "waived"


def test_a_weak_member_needs_a_code(keeper: Running) -> None:
    ann, _ = clinic_of_two(keeper, "")
    mail, intruder = send(keeper, ann, BOB), Person(BOB)
    reset_by_mail(keeper, intruder)
    assert keeper.portal.adopt(intruder.ticket, [mail.grant]) == []
    assert keeper.portal.codes(ann.ticket, [BOB])[0].state == "live"


def test_subscribers_of_two_organisations_of_one_are_no_members(keeper: Running) -> None:
    ann, bob = subscriber(keeper, ANN), subscriber(keeper, BOB)
    mail = send(keeper, ann, BOB)
    assert keeper.portal.adopt(bob.ticket, [mail.grant]) == []


def partners(keeper: Running, domain: str = "clinic.example") -> tuple[Person, Person]:
    """Let Ann's practice name Bob's as a partner by his domain; Bob's has named nobody."""
    practice, other = (keeper.owner.organisation_add(name, "managed", "") for name in ("Practice", "Other"))
    ann, bob = subscriber(keeper, "ann@practice.example", practice.id), subscriber(keeper, BOB, other.id)
    keeper.owner.organisation_policy(practice.id, f'{{"member_domains":["{domain} {other.id}"]}}')
    return ann, bob


def test_people_of_a_partner_need_no_code_and_those_of_who_named_nobody_do(keeper: Running) -> None:
    ann, bob = partners(keeper)
    there, back = send(keeper, ann, BOB), send(keeper, bob, "ann@practice.example")
    assert len(keeper.portal.adopt(bob.ticket, [there.grant])) == 1
    assert keeper.portal.adopt(ann.ticket, [back.grant]) == []
    assert keeper.portal.codes(ann.ticket, [BOB])[0].state == "waived"
    assert keeper.portal.codes(bob.ticket, ["ann@practice.example"])[0].state == "live"


def test_a_partner_is_one_at_the_domain_that_was_named_only(keeper: Running) -> None:
    ann, bob = partners(keeper, domain="elsewhere.example")
    assert keeper.portal.adopt(bob.ticket, [send(keeper, ann, BOB).grant]) == []


def test_a_weak_account_of_a_partner_needs_a_code_as_a_stranger_there_does(keeper: Running) -> None:
    ann, _ = partners(keeper)
    stranger = subscriber(keeper, "eve@clinic.example")
    for_eve, for_bob = send(keeper, ann, "eve@clinic.example"), send(keeper, ann, BOB)
    intruder = Person(BOB)
    reset_by_mail(keeper, intruder)
    assert keeper.portal.adopt(intruder.ticket, [for_bob.grant]) == []
    assert keeper.portal.adopt(stranger.ticket, [for_eve.grant]) == []


# -- addresses that change hands --------------------------------------------------------------------------------------


def squatting(keeper: Running) -> Person:
    """Let somebody who reads Pat's mailbox sign up with Pat's address before Pat ever heard of this server."""
    eve = Person(PAT)
    proof = keeper.portal.mail_proof(PAT, "signup")
    code = keeper.courier.mail_code(proof.id).code
    eve.opened = keeper.portal.signup(proof.id, code, proof.salt, PARAMS, eve.k, "Pat", "en")
    return eve


def test_a_senders_code_takes_an_address_back_from_who_proved_it_by_mail_only(make_keeper: Make) -> None:
    keeper = make_keeper(signup="open")
    eve, ann, pat = squatting(keeper), subscriber(keeper, ANN), Person(PAT)
    mail = send(keeper, ann, PAT)
    proof = keeper.portal.prove(mail.link.token, mail.claims, code_for(keeper, ann, PAT))
    assert (proof.has_account, proof.may_register) == (True, True)
    opened = register(keeper, mail, code_for(keeper, ann, PAT), pat)
    assert opened.account != eve.account
    assert len(keeper.portal.adopt(opened.ticket, [mail.grant])) == 1
    with pytest.raises(WrongSecret):
        eve.sign_in(keeper)
    with pytest.raises(Ended):
        keeper.portal.profile(eve.ticket, name="still here")
    card = keeper.portal.card(account_holder(eve.account))
    assert card is not None
    assert read_card(card, keeper.portal.anchors().card_key).addresses == ()


def test_a_senders_code_does_not_take_an_address_from_a_proven_contact(keeper: Running) -> None:
    ann, bob, pat, eve = subscriber(keeper, ANN), subscriber(keeper, BOB), Person(PAT), Person(PAT)
    register(keeper, send(keeper, ann, PAT), code_for(keeper, ann, PAT), pat)
    mail = send(keeper, bob, PAT)
    proof = keeper.portal.prove(mail.link.token, mail.claims, code_for(keeper, bob, PAT))
    assert (proof.has_account, proof.may_register) == (True, False)
    with pytest.raises(Denied):
        keeper.portal.register(proof.ticket, proof.salt, PARAMS, eve.k, "Eve", "en")
    assert pat.sign_in(keeper).account == pat.account


def test_a_code_of_ones_own_does_not_keep_an_address(make_keeper: Make) -> None:
    keeper = make_keeper(signup="open")
    eve, ann, pat = squatting(keeper), subscriber(keeper, ANN), Person(PAT)
    own = send(keeper, eve, PAT)
    keeper.portal.prove_session(eve.ticket, own.link.token, own.claims, "")  # her own thread needs no code
    assert register(keeper, send(keeper, ann, PAT), code_for(keeper, ann, PAT), pat).addresses == (PAT,)


def test_no_code_takes_an_address_that_the_owner_of_the_server_gave(keeper: Running) -> None:
    ann, mallory, eve = subscriber(keeper, ANN), subscriber(keeper, "mallory@evil.example"), Person(ANN)
    mail = send(keeper, mallory, ANN)
    proof = keeper.portal.prove(mail.link.token, mail.claims, code_for(keeper, mallory, ANN))
    assert not proof.may_register
    with pytest.raises(Denied):
        keeper.portal.register(proof.ticket, proof.salt, PARAMS, eve.k, "Eve", "en")
    assert ann.sign_in(keeper).addresses == (ANN,)


def test_who_lost_a_password_and_registers_anew_gets_managed_mail_of_that_sender_back(keeper: Running) -> None:
    ann, pat = subscriber(keeper, ANN), Person(PAT)
    before = register(keeper, send(keeper, ann, PAT), code_for(keeper, ann, PAT), pat)
    signed = keeper.portal.card(account_holder(before.account))
    assert signed is not None
    pair = next(p for p in read_card(signed, keeper.portal.anchors().card_key).pairs if p.custody == "managed")
    contact = f"{PAT}|{ann.account}"
    old, content = sealed_to(keeper.clock.now(), pair, before.account, contact, "managed", ann.opened)
    reset_by_mail(keeper, Person(PAT))
    anew = Person(PAT)
    opened = register(keeper, send(keeper, ann, PAT), code_for(keeper, ann, PAT), anew)
    assert opened.account != before.account
    assert [content_of(each, opened) for each in keeper.portal.adopt(opened.ticket, [old])] == [content]


# -- what a grant is --------------------------------------------------------------------------------------------------


def test_a_grant_moved_to_another_place_is_left_out(keeper: Running) -> None:
    ann, bob, pat = subscriber(keeper, ANN), subscriber(keeper, BOB), Person(PAT)
    mine, other = send(keeper, ann, PAT), send(keeper, bob, PAT)
    opened = register(keeper, mine, code_for(keeper, ann, PAT), pat)
    import msgspec

    def moved(**values: object) -> object:
        return msgspec.structs.replace(other.grant, **values)

    contact = mine.grant.contact
    for changed in (
        moved(contact=contact),
        moved(contact=contact, organisation=mine.grant.organisation),
        moved(contact=contact, message=mine.message),
        moved(contact="", holder=account_holder(opened.account)),
        moved(contact=contact, role="author"),
        moved(contact=contact, role="archive"),
        moved(contact=contact, role="nothing"),
        moved(contact=contact, custody="strict"),
        moved(contact=contact, epoch=mine.grant.epoch),
        moved(contact="|", holder="address:"),
        moved(contact=f"{PAT}|99999999999999999999999"),
    ):
        assert keeper.portal.adopt(opened.ticket, [changed]) == []
    assert len(keeper.portal.adopt(opened.ticket, [moved(contact="x"), mine.grant])) == 1


def test_adopting_again_gives_the_same_content_again(keeper: Running) -> None:
    ann, pat = subscriber(keeper, ANN), Person(PAT)
    mails = [send(keeper, ann, PAT, custody) for custody in ("managed", "strict", "managed")]
    opened = register(keeper, mails[0], code_for(keeper, ann, PAT), pat)
    for _ in range(2):
        adopted = keeper.portal.adopt(opened.ticket, [each.grant for each in mails])
        assert [content_of(each, opened) for each in adopted] == [each.content for each in mails]
        assert len({each.epoch.id for each in adopted}) == 2
        assert {each.holder for each in adopted} == {account_holder(opened.account)}


# -- closing, disabling -----------------------------------------------------------------------------------------------


def test_a_disabled_account_cannot_sign_in_and_its_tickets_end(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    device = keeper.portal.device_add(ann.ticket, "submit")
    keeper.owner.disable(ANN)
    with pytest.raises(Denied):
        ann.sign_in(keeper)
    with pytest.raises(Ended):
        keeper.portal.codes(ann.ticket, [PAT])
    with pytest.raises(WrongSecret):
        keeper.submission.check_device(device.id, device.secret, "submit")
    with pytest.raises(Denied):
        keeper.submission.check_password(ANN, ann.k)
    with pytest.raises(NoGrant):
        keeper.courier.mail_code(keeper.portal.mail_proof(ANN, "reset").id)
    keeper.owner.enable(ANN)
    assert ann.sign_in(keeper).state == "active"
    assert keeper.submission.check_device(device.id, device.secret, "submit").account == ann.account


def test_a_closed_account_opens_for_nobody_and_its_address_is_free(keeper: Running) -> None:
    ann, pat = subscriber(keeper, ANN), Person(PAT)
    first = register(keeper, send(keeper, ann, PAT), code_for(keeper, ann, PAT), pat)
    with pytest.raises(WrongSecret):
        keeper.portal.close_account(pat.ticket, os.urandom(32))
    keeper.portal.close_account(pat.ticket, pat.k)
    with pytest.raises(WrongSecret):
        pat.sign_in(keeper)
    wraps = keeper.engine.query(
        "SELECT count(*) AS n FROM wraps JOIN pairs ON pairs.id = pair WHERE holder = :h",
        h=account_holder(first.account),
    )
    assert wraps[0]["n"] == 0
    again = register(keeper, send(keeper, ann, PAT), code_for(keeper, ann, PAT), Person(PAT))
    assert again.account != first.account

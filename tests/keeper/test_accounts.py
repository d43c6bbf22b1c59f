"""Sign-up, invitations, passwords, devices, passphrases, archives, and answers that tell nothing."""

from __future__ import annotations

import logging
import os
import statistics
import time

import pytest
import structlog

from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Denied, Ended, NoGrant, SealBroken, WrongSecret
from cryptnsend.core.model import account_holder, archive_holder
from cryptnsend.core.tokens import Claims
from cryptnsend.keeper import accounts
from cryptnsend.keeper import requests as q
from cryptnsend.keeper.recovery import read
from cryptnsend.keeper.server import Desk

from .conftest import PARAMS, Make, Person, Running, card, code_for, register, send, subscriber
from .sealing import queued
from .test_second import number

ANN, BOB, PAT = "ann@clinic.example", "bob@clinic.example", "pat@home.example"


def accept(keeper: Running, invited: q.MailProof, person: Person) -> q.Opened:
    mail = keeper.courier.invitation(invited.id)
    assert mail.address == person.address
    salt = keeper.portal.mail_salt(invited.id)
    person.opened = keeper.portal.signup(invited.id, mail.code, salt, PARAMS, person.k, "Bob", "es")
    return person.opened


# -- sign-up ----------------------------------------------------------------------------------------------------------


def test_open_sign_up_makes_an_organisation_of_one_with_an_archive(make_keeper: Make) -> None:
    keeper = make_keeper(signup="open", custody="strict")
    ann = Person(ANN)
    proof = keeper.portal.mail_proof(ANN, "signup")
    code = keeper.courier.mail_code(proof.id)
    ann.opened = keeper.portal.signup(proof.id, code.code, proof.salt, PARAMS, ann.k, "Ann Ruiz", "es")
    opened = ann.opened
    assert (opened.roles, opened.name, opened.locale) == (("subscriber", "officer"), "Ann Ruiz", "es")
    row = opened.organisation_row
    assert row is not None
    assert (row.single, row.custody, row.name) == (True, "strict", "Ann Ruiz")
    assert card(keeper, account_holder(opened.account)).custody == "strict"
    assert opened.recovery is not None
    found = read(opened.recovery.text, opened.recovery.code)
    archive = card(keeper, archive_holder(opened.organisation))
    assert (found.kind, found.organisation, found.pair) == ("archive", opened.organisation, archive.pairs[0].id)


@pytest.mark.parametrize("mode", ["closed", "invite"])
def test_sign_up_that_is_not_open_is_refused_alike_for_all(make_keeper: Make, mode: str) -> None:
    keeper = make_keeper(signup=mode)
    subscriber(keeper, ANN)
    told = set()
    for address in (ANN, "new@home.example"):
        with pytest.raises(Denied) as error:
            keeper.portal.mail_proof(address, "signup")
        told.add(str(error.value))
    assert len(told) == 1


def test_an_address_with_an_account_gets_a_mail_that_says_so_and_no_code(make_keeper: Make) -> None:
    keeper = make_keeper(signup="open")
    subscriber(keeper, ANN)
    proof = keeper.portal.mail_proof(ANN, "signup")
    mailed = keeper.courier.mail_code(proof.id)
    assert (mailed.purpose, mailed.code) == ("exists", "")


def test_an_invitation_brings_a_subscriber_into_the_organisation(keeper: Running) -> None:
    clinic = keeper.owner.organisation_add("Clinic", "strict", "always")
    invited = keeper.owner.invite(BOB, clinic.id, "Bob Lee")
    mail = keeper.courier.invitation(invited.id)
    assert (mail.organisation_name, mail.name, len(mail.code)) == ("Clinic", "Bob Lee", 8)
    row = mail.row
    assert keeper.portal.link(mail.token, Claims(row.purpose, row.address, row.subscriber, row.message))
    opened = accept(keeper, invited, Person(BOB))
    assert (opened.organisation, opened.roles, opened.recovery) == (clinic.id, ("subscriber",), None)
    with pytest.raises(NoGrant):
        keeper.courier.invitation(invited.id)


def test_an_invitation_dies_with_the_next_one_and_after_14_days(keeper: Running) -> None:
    first = keeper.owner.invite(BOB, 0, "Bob")
    code = keeper.courier.invitation(first.id).code
    second = keeper.owner.invite(BOB, 0, "Bob")
    with pytest.raises(Ended):
        keeper.portal.signup(first.id, code, first.salt, PARAMS, os.urandom(32), "Bob", "en")
    keeper.clock.forward(days=14.1)
    with pytest.raises(NoGrant):
        keeper.courier.invitation(second.id)


def test_a_closed_server_takes_no_invitations(make_keeper: Make) -> None:
    keeper = make_keeper(signup="closed")
    invited = keeper.owner.invite(BOB, 0, "Bob")
    with pytest.raises(Denied):
        accept(keeper, invited, Person(BOB))


def test_a_recipient_becomes_a_subscriber_and_keeps_what_they_have(make_keeper: Make) -> None:
    keeper = make_keeper(signup="open")
    ann, pat = subscriber(keeper, ANN), Person(PAT)
    before = register(keeper, send(keeper, ann, PAT), code_for(keeper, ann, PAT), pat)
    opened = keeper.portal.subscribe(pat.ticket, pat.k, None, "")
    assert opened.account == before.account
    assert opened.roles == ("recipient", "subscriber", "officer")
    assert opened.seeds == before.seeds
    assert len(opened.contacts) == 1
    assert opened.recovery is not None
    assert card(keeper, account_holder(opened.account)).organisation == opened.organisation != 0
    assert keeper.portal.passphrase(opened.ticket, pat.k)
    assert keeper.portal.subscribe(opened.ticket, pat.k, None, "").organisation == opened.organisation


def test_a_recipient_becomes_a_member_by_invitation(keeper: Running) -> None:
    ann, pat = subscriber(keeper, ANN), Person(PAT)
    register(keeper, send(keeper, ann, PAT), code_for(keeper, ann, PAT), pat)
    clinic = keeper.owner.organisation_add("Clinic", "managed", "")
    invited = keeper.owner.invite(PAT, clinic.id, "Pat")
    with pytest.raises(Denied):
        keeper.portal.subscribe(pat.ticket, pat.k, None, "")
    code = keeper.courier.invitation(invited.id).code
    opened = keeper.portal.subscribe(pat.ticket, pat.k, invited.id, code)
    assert (opened.organisation, opened.recovery) == (clinic.id, None)


def test_officers_and_managers_invite_into_their_own_organisation_only_and_with_a_second_step(keeper: Running) -> None:
    clinic = keeper.owner.organisation_add("Clinic", "managed", "")
    officer = subscriber(keeper, ANN, clinic.id, "officer")
    with pytest.raises(Denied, match="second step"):
        keeper.portal.invite_member(officer.ticket, BOB, "Bob")
    secret = keeper.portal.second_begin(officer.ticket, officer.k).secret
    keeper.portal.second_begun(officer.ticket, number(keeper, secret))
    invited = keeper.portal.invite_member(officer.ticket, BOB, "Bob")
    assert keeper.courier.invitation(invited.id).organisation == clinic.id
    opened = accept(keeper, invited, Person(BOB))
    with pytest.raises(Denied, match="Only officers and managers"):
        keeper.portal.invite_member(opened.ticket, "eve@evil.example", "Eve")


def test_an_address_cannot_be_added_twice(keeper: Running) -> None:
    subscriber(keeper, ANN)
    with pytest.raises(Denied):
        subscriber(keeper, ANN)
    with pytest.raises(Denied):
        keeper.owner.add("x@y.example", 12345, ["subscriber"], os.urandom(16), PARAMS, os.urandom(32), "x")
    with pytest.raises(Denied):
        keeper.owner.add("x@y.example", None, ["recipient"], os.urandom(16), PARAMS, os.urandom(32), "x")
    with pytest.raises(Denied):
        keeper.owner.add("x@y.example", None, ["subscriber"], bytes(3), PARAMS, os.urandom(32), "x")
    with pytest.raises(Denied):
        keeper.owner.add("x@y.example", None, ["subscriber"], os.urandom(16), "md5", os.urandom(32), "x")


# -- passwords --------------------------------------------------------------------------------------------------------


def test_a_changed_password_opens_the_same_pairs_and_ends_other_tickets(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    other, k, salt = keeper.portal.open(ANN, ann.k), os.urandom(32), os.urandom(16)
    changed = keeper.portal.change(ann.ticket, ann.k, salt, PARAMS, k)
    assert (changed.seeds, changed.credential_version) == (other.seeds, other.credential_version + 1)
    assert keeper.portal.salt(ANN).salt == salt
    with pytest.raises(Ended):
        keeper.portal.codes(other.ticket, [PAT])
    with pytest.raises(WrongSecret):
        keeper.portal.open(ANN, ann.k)
    assert keeper.portal.open(ANN, k).seeds == other.seeds


def test_a_password_is_changed_only_by_who_knows_it(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    with pytest.raises(WrongSecret):
        keeper.portal.change(ann.ticket, os.urandom(32), os.urandom(16), PARAMS, os.urandom(32))
    assert ann.sign_in(keeper).credential_version == 1


def test_a_sign_in_that_crosses_a_change_of_password_gives_a_dead_ticket(keeper: Running) -> None:
    """The old password was checked, then it was changed, then the answer was made."""
    ann = subscriber(keeper, ANN)
    log = structlog.wrap_logger(logging.getLogger("cryptnsend.test"))
    desk = Desk(keeper.engine, keeper.provider, keeper.clock, os.urandom, keeper.settings, log)
    context = desk.context()
    account, seeds = accounts.open_password(context, ANN, ann.k)
    keeper.portal.change(ann.ticket, ann.k, os.urandom(16), PARAMS, os.urandom(32))
    late = accounts.opened(context, account, seeds)
    with pytest.raises(Ended):
        keeper.portal.codes(late.ticket, [PAT])
    desk.close()


def test_the_owner_sets_a_password_with_the_old_one_or_weakly(keeper: Running) -> None:
    ann, k = subscriber(keeper, ANN), os.urandom(32)
    assert keeper.owner.passwd(ANN, os.urandom(16), PARAMS, k, ann.k).state == "active"
    weak = keeper.owner.passwd(ANN, os.urandom(16), PARAMS, ann.k)
    assert (weak.state, weak.tell_address) == ("weak", ANN)
    with pytest.raises(WrongSecret):
        keeper.owner.passwd(ANN, os.urandom(16), PARAMS, k, os.urandom(32))


def test_a_damaged_wrap_is_told_apart_from_a_wrong_password(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)

    def damage(rows: Rows) -> None:
        first = rows.query("SELECT pair, wrap FROM wraps WHERE kind = 'password' ORDER BY pair")[0]
        changed = first["wrap"][:-1] + bytes([first["wrap"][-1] ^ 1])
        rows.execute(
            "UPDATE wraps SET wrap = :wrap WHERE kind = 'password' AND pair = :pair",
            {"wrap": changed, "pair": first["pair"]},
        )

    keeper.engine.write(damage).result()
    for k in (ann.k, os.urandom(32)):
        with pytest.raises(SealBroken):
            keeper.portal.open(ANN, k)


def test_a_wrap_moved_to_another_pair_is_damage(keeper: Running) -> None:
    ann, bob = subscriber(keeper, ANN), subscriber(keeper, BOB)
    assert ann.opened is not None
    assert bob.opened is not None
    mine, theirs = min(ann.opened.seeds), min(bob.opened.seeds)

    def swap(rows: Rows) -> None:
        rows.execute(
            """UPDATE wraps SET wrap = (SELECT wrap FROM wraps WHERE kind = 'password' AND pair = :mine)
            WHERE kind = 'password' AND pair = :theirs""",
            {"mine": mine, "theirs": theirs},
        )

    keeper.engine.write(swap).result()
    with pytest.raises(SealBroken):
        keeper.portal.open(BOB, ann.k)


# -- answers that tell nothing ----------------------------------------------------------------------------------------


def test_unknown_addresses_have_a_salt_of_their_own_that_stays(keeper: Running) -> None:
    subscriber(keeper, ANN)
    known, first, other = (keeper.portal.salt(each) for each in (ANN, "x@y.example", "z@y.example"))
    assert first == keeper.portal.salt("x@y.example") == keeper.submission.salt("x@y.example")
    assert len({known.salt, first.salt, other.salt}) == 3
    assert {len(each.salt) for each in (known, first, other)} == {16}
    assert first.params == known.params == PARAMS
    keeper.restart()
    assert keeper.portal.salt("x@y.example") == first


def test_a_wrong_password_and_an_unknown_address_say_the_same(keeper: Running) -> None:
    subscriber(keeper, ANN)
    told = set()
    for address in (ANN, "x@y.example"):
        for ask in (keeper.portal.open, keeper.submission.check_password):
            with pytest.raises(WrongSecret) as error:
                ask(address, os.urandom(32))
            told.add((str(error.value), error.value.tries_left))
    assert len(told) == 1


def test_a_wrong_password_and_an_unknown_address_take_the_same_time(keeper: Running) -> None:
    subscriber(keeper, ANN)
    taken: dict[str, list[float]] = {ANN: [], "x@y.example": []}
    for _ in range(150):
        for address, times in taken.items():
            start = time.perf_counter()
            with pytest.raises(WrongSecret):
                keeper.portal.open(address, bytes(32))
            times.append(time.perf_counter() - start)
    # The quicker quarter: what else the machine does makes the slower ones slow.
    known, unknown = (statistics.quantiles(times, n=4)[0] for times in taken.values())
    assert abs(known - unknown) < 0.005


# -- devices and passphrases ------------------------------------------------------------------------------------------


def test_a_device_password_works_for_its_scope_until_it_is_revoked(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    device = keeper.portal.device_add(ann.ticket, "submit")
    who = keeper.submission.check_device(device.id, device.secret, "submit")
    assert (who.account, who.addresses, who.roles) == (ann.account, (ANN,), ("subscriber", "officer"))
    for ident, secret, scope in (
        (device.id, device.secret, "read"),
        (device.id, os.urandom(16), "submit"),
        (device.id, b"", "submit"),
        (device.id + 1, device.secret, "submit"),
    ):
        with pytest.raises(WrongSecret):
            keeper.submission.check_device(ident, secret, scope)
    keeper.portal.device_revoke(ann.ticket, device.id)
    with pytest.raises(WrongSecret):
        keeper.submission.check_device(device.id, device.secret, "submit")
    assert [each.revoked is None for each in keeper.owner.device_list(ANN)] == [False]


def test_a_device_is_revoked_by_its_owner_only(keeper: Running) -> None:
    ann, bob = subscriber(keeper, ANN), subscriber(keeper, BOB)
    device = keeper.portal.device_add(ann.ticket, "submit")
    with pytest.raises(NoGrant):
        keeper.portal.device_revoke(bob.ticket, device.id)
    keeper.owner.revoke(device.id)
    keeper.owner.revoke(device.id)
    with pytest.raises(WrongSecret):
        keeper.submission.check_device(device.id, device.secret, "submit")


def test_a_recipient_gets_no_device_for_sending(keeper: Running) -> None:
    ann, pat = subscriber(keeper, ANN), Person(PAT)
    register(keeper, send(keeper, ann, PAT), code_for(keeper, ann, PAT), pat)
    with pytest.raises(Denied):
        keeper.portal.device_add(pat.ticket, "submit")


def test_a_new_delivery_passphrase_leaves_the_earlier_ones_with_dates(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    first = keeper.portal.passphrase(ann.ticket, ann.k)
    keeper.clock.forward(hours=1)
    now = keeper.portal.new_passphrase(ann.ticket, ann.k)
    assert [each.words for each in now[1:]] == [each.words for each in first]
    assert now[0].since > now[1].since
    assert len(now[0].words.split("-")) == 8
    with pytest.raises(WrongSecret):
        keeper.portal.passphrase(ann.ticket, os.urandom(32))
    leaving, _ = queued(keeper.clock.now(), keeper.courier.anchors().queue, ANN, "zip")
    assert keeper.courier.queue(leaving).passphrase == now[0].words


def test_mail_that_leaves_in_another_form_needs_no_passphrase(keeper: Running) -> None:
    leaving, content = queued(keeper.clock.now(), keeper.courier.anchors().queue, PAT, "relay")
    assert keeper.courier.queue(leaving) == q.Leaving(PAT, content, None)
    zipped, _ = queued(keeper.clock.now(), keeper.courier.anchors().queue, PAT, "zip")
    with pytest.raises(NoGrant):
        keeper.courier.queue(zipped)

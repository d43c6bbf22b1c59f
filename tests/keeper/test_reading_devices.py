"""What does a device password that reads open? All of its account's mail, old and new, and nobody else's."""

from __future__ import annotations

import os

import pytest

from cryptnsend.core import keys
from cryptnsend.core.cards import read_card
from cryptnsend.core.errors import Denied, Ended, WrongSecret
from cryptnsend.core.model import account_holder
from cryptnsend.core.passwords import device_key
from cryptnsend.keeper import credentials
from cryptnsend.keeper import requests as q

from .conftest import (
    PARAMS,
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


def device_of(keeper: Running, person: Person) -> credentials.NewDevice:
    opened = person.sign_in(keeper)
    return keeper.portal.device_add(opened.ticket, "read", opened.seeds)


def opened_by(keeper: Running, device: credentials.NewDevice) -> q.Opened:
    return keeper.role("mailbox").open_device(device.id, device.secret)


def current_pairs(keeper: Running, person: Person) -> set[int]:
    signed = keeper.portal.card(account_holder(person.account))
    assert signed is not None
    return {pair.id for pair in read_card(signed, keeper.portal.anchors().card_key).pairs}


def changed(keeper: Running, person: Person) -> None:
    """Change the password with the old one."""
    fresh, opened = os.urandom(32), person.sign_in(keeper)
    salt = keeper.portal.change_salt(opened.ticket)
    person.opened = keeper.portal.change(opened.ticket, person.k, salt, PARAMS, fresh)
    person.k = fresh


def test_a_reading_device_opens_both_pairs_of_its_account(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    opened = opened_by(keeper, device_of(keeper, ann))
    assert opened.seeds == ann.sign_in(keeper).seeds
    assert opened.account == ann.account
    assert set(opened.seeds) == current_pairs(keeper, ann)
    assert (opened.cards, opened.pairs, opened.contacts, opened.organisation_row) == ((), (), (), None)


def test_a_device_that_submits_opens_nothing_and_no_device_signs_in_at_the_other_door(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    sends, reads = keeper.portal.device_add(ann.ticket, "submit"), device_of(keeper, ann)
    with pytest.raises(WrongSecret):
        opened_by(keeper, sends)
    with pytest.raises(WrongSecret):
        keeper.submission.check_device(reads.id, reads.secret, "submit")
    with pytest.raises(WrongSecret):
        keeper.role("mailbox").open_device(reads.id, os.urandom(16))


def test_a_reading_device_goes_on_after_a_password_change(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    device = device_of(keeper, ann)
    changed(keeper, ann)
    assert opened_by(keeper, device).seeds == ann.sign_in(keeper).seeds


def test_revoking_takes_what_was_sealed_to_the_device(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    device = device_of(keeper, ann)
    keeper.portal.device_revoke(ann.ticket, device.id)
    with pytest.raises(WrongSecret):
        opened_by(keeper, device)
    assert keeper.engine.query("SELECT * FROM device_seeds") == []


def test_after_a_reset_by_mail_old_mail_stays_readable_and_new_mail_comes_when_the_owner_is_back(
    keeper: Running,
) -> None:
    ann = subscriber(keeper, ANN)
    device, before = device_of(keeper, ann), ann.sign_in(keeper).seeds
    back = Person(ANN)
    opened = reset_by_mail(keeper, back)
    weak = opened_by(keeper, device)
    assert weak.seeds == before
    assert weak.ticket == b""
    keeper.portal.unlock(opened.ticket, "password", ann.k, back.k)
    whole = opened_by(keeper, device)
    assert whole.seeds == back.sign_in(keeper).seeds
    assert set(whole.seeds) == set(before) | set(opened.seeds)
    assert whole.ticket


def test_the_reading_device_itself_brings_locked_mail_back(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    device, before = device_of(keeper, ann), ann.sign_in(keeper).seeds
    back = Person(ANN)
    opened = reset_by_mail(keeper, back)
    unlocked = keeper.portal.unlock(opened.ticket, "device", device.secret, back.k, device.id)
    assert unlocked.seeds == before
    assert opened_by(keeper, device).seeds == back.sign_in(keeper).seeds


def test_after_a_reset_by_mail_no_reading_device_is_made(keeper: Running) -> None:
    subscriber(keeper, ANN)
    intruder = Person(ANN)
    opened = reset_by_mail(keeper, intruder)
    with pytest.raises(Denied, match="reset by mail"):
        keeper.portal.device_add(opened.ticket, "read", opened.seeds)


def test_a_device_is_sealed_no_seeds_but_its_own_accounts(keeper: Running) -> None:
    ann, eve = subscriber(keeper, ANN), subscriber(keeper, "eve@evil.example")
    with pytest.raises(Denied, match="of a pair of yours"):
        keeper.portal.device_add(eve.ticket, "read", ann.sign_in(keeper).seeds)
    with pytest.raises(Denied, match="of a pair of yours"):
        keeper.portal.device_add(ann.ticket, "read", dict.fromkeys(ann.sign_in(keeper).seeds, os.urandom(32)))


def test_the_ticket_of_a_device_adopts_and_does_nothing_else(keeper: Running) -> None:
    ann, pat = subscriber(keeper, ANN), Person(PAT)
    first = send(keeper, ann, PAT)
    register(keeper, first, code_for(keeper, ann, PAT), pat)
    opened = opened_by(keeper, device_of(keeper, pat))
    adopted = keeper.role("mailbox").adopt(opened.ticket, [first.grant])
    assert [content_of(each, opened) for each in adopted] == [first.content]
    device = opened_by(keeper, device_of(keeper, ann))
    for attempt in (
        lambda: keeper.portal.codes(device.ticket, [PAT]),
        lambda: keeper.portal.device_add(device.ticket, "read", device.seeds),
        lambda: keeper.portal.device_revoke(device.ticket, 1),
        lambda: keeper.portal.store_wraps(device.ticket, "recovery", os.urandom(32), device.seeds),
        lambda: keeper.portal.profile(device.ticket, name="Eve"),
        lambda: keeper.portal.unlock(device.ticket, "device", b"", ann.k, 1),
    ):
        with pytest.raises(Ended):
            attempt()


def test_nothing_in_the_ledger_opens_what_is_sealed_to_a_device(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    device = device_of(keeper, ann)
    stolen = b"".join(each.read_bytes() for each in keeper.folder.iterdir() if each.is_file())
    for hidden in (device.secret, device_key(device.secret), *ann.sign_in(keeper).seeds.values()):
        assert hidden not in stolen


def test_mail_sealed_to_the_account_opens_by_the_device(keeper: Running) -> None:
    ann, pat = subscriber(keeper, ANN), Person(PAT)
    opened = register(keeper, send(keeper, ann, PAT), code_for(keeper, ann, PAT), pat)
    signed = keeper.portal.card(account_holder(opened.account))
    assert signed is not None
    strict = read_card(signed, keeper.portal.anchors().card_key).pair("strict")
    contact = f"{PAT}|{ann.account}"
    grant, content = sealed_to(keeper.clock.now(), strict, opened.account, contact, "strict", ann.opened)
    epoch, seed = grant.epoch, opened_by(keeper, device_of(keeper, pat)).seeds[strict.id]
    key = keys.open_with(seed, epoch.sealed, label="epoch", owner=epoch.owner, holder=epoch.holder, ref=epoch.id)
    binding = keys.GrantBinding(
        grant.organisation, grant.message, grant.holder, "recipient", grant.contact, grant.custody
    )
    assert keys.unwrap_content(key, grant.wrap, binding) == content


# -- one password for sending and reading -----------------------------------------------------------------------------


def mail_device_of(keeper: Running, person: Person) -> credentials.NewDevice:
    opened = person.sign_in(keeper)
    return keeper.portal.device_add(opened.ticket, "mail", opened.seeds)


def sends_by(keeper: Running, device: credentials.NewDevice) -> q.Who:
    return keeper.submission.check_device(device.id, device.secret, "submit")


def test_a_mail_device_signs_in_at_both_doors_and_opens_its_accounts_pairs(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    device = mail_device_of(keeper, ann)
    assert sends_by(keeper, device).account == ann.account
    assert opened_by(keeper, device).seeds == ann.sign_in(keeper).seeds
    assert sends_by(keeper, device).scope == opened_by(keeper, device).scope == "mail"
    for scope in ("mail", "", "everything"):
        with pytest.raises(WrongSecret):
            keeper.submission.check_device(device.id, device.secret, scope)


def test_a_mail_device_needs_somebody_who_may_send(keeper: Running) -> None:
    ann, pat = subscriber(keeper, ANN), Person(PAT)
    opened = register(keeper, send(keeper, ann, PAT), code_for(keeper, ann, PAT), pat)
    with pytest.raises(Denied, match="Only subscribers"):
        keeper.portal.device_add(opened.ticket, "mail", opened.seeds)


def test_revoking_a_mail_device_ends_it_at_both_doors(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    device = mail_device_of(keeper, ann)
    keeper.portal.device_revoke(ann.ticket, device.id)
    for door in (sends_by, opened_by):
        with pytest.raises(WrongSecret):
            door(keeper, device)
    assert keeper.engine.query("SELECT * FROM device_seeds") == []


def test_a_mail_device_goes_on_after_a_password_change_and_opens_what_comes_later(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    device = mail_device_of(keeper, ann)
    changed(keeper, ann)
    assert sends_by(keeper, device).account == ann.account
    assert opened_by(keeper, device).seeds == ann.sign_in(keeper).seeds


def test_after_a_reset_by_mail_no_mail_device_is_made_and_an_older_one_reads_old_mail_alone(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    device, before = mail_device_of(keeper, ann), ann.sign_in(keeper).seeds
    back = Person(ANN)
    opened = reset_by_mail(keeper, back)
    with pytest.raises(Denied, match="reset by mail"):
        keeper.portal.device_add(opened.ticket, "mail", opened.seeds)
    assert opened_by(keeper, device).seeds == before
    assert opened_by(keeper, device).ticket == b""
    keeper.portal.unlock(opened.ticket, "device", device.secret, back.k, device.id)
    assert opened_by(keeper, device).seeds == back.sign_in(keeper).seeds


def test_a_mail_device_that_sends_stops_the_clock_of_an_intruder(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    device = mail_device_of(keeper, ann)
    reset_by_mail(keeper, Person(ANN))
    sends_by(keeper, device)
    assert keeper.engine.query("SELECT weak_answered FROM accounts WHERE weak_answered IS NOT NULL")

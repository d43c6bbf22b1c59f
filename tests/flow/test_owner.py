"""The owner of a home: adds people, stops them, resets them, manages their devices, and opens nobody's mail."""

from __future__ import annotations

import pytest

from cryptnsend.core.errors import Denied, NoGrant, WrongSecret
from cryptnsend.core.policy import Handoff, Relay, Vault
from cryptnsend.flow.granting import Addressee, Envelope
from cryptnsend.flow.owner import Owner
from cryptnsend.keeper import recovery
from tests.support.house import OTHER, PASSWORD, House

ANN, BOB, PAT = "ann@gmail.example", "bob@gmail.example", "pat@yahoo.example"


@pytest.fixture
def owner(house: House) -> Owner:
    return house.owner.owner


def add(owner: Owner, address: str, organisation: int | None = None, name: str = "") -> object:
    return owner.add(address, PASSWORD, organisation=organisation, roles=("subscriber",), name=name)


# -- organisations ----------------------------------------------------------------------------------------------------


def test_without_an_organisation_a_subscriber_gets_one_of_their_own_with_an_archive_file(house, owner):
    made = add(owner, ANN)
    assert made.recovery is not None
    assert recovery.read(made.recovery.text, made.recovery.code).kind == recovery.ARCHIVE
    assert owner.organisation(None) is None
    assert owner.organisations() == []


def test_the_only_organisation_is_meant_where_none_is_named(house, owner):
    org = owner.add_organisation("Clinic").id
    assert owner.organisation(None) == org
    assert owner.organisation("clinic") == org
    with pytest.raises(Denied, match=r"no organisation 'Other'. There are: Clinic"):
        owner.organisation("Other")


def test_where_several_could_be_meant_one_has_to_be_named(house, owner):
    first, second = owner.add_organisation("Clinic").id, owner.add_organisation("Practice").id
    with pytest.raises(Denied, match="several organisations"):
        owner.organisation(None)
    assert (owner.organisation("Clinic"), owner.organisation("Practice")) == (first, second)


# -- people -----------------------------------------------------------------------------------------------------------


def test_who_was_added_can_sign_in_at_both_doors(house, owner):
    add(owner, "Ann@Gmail.example", name="Dr. Ann Ruiz")
    assert house.session(ANN).name == "Dr. Ann Ruiz"
    assert house.sign_in_smtp(ANN, PASSWORD).address == ANN


@pytest.mark.parametrize("address", ["", "ann", "ann@", "a b@gmail.example", "ann@gmail.example\r\nRCPT TO:<x@y>"])
def test_what_is_no_address_is_refused(owner, address):
    with pytest.raises(Denied, match="is not a mail address"):
        add(owner, address)


def test_a_password_that_would_be_guessed_is_refused_with_advice(owner):
    with pytest.raises(Denied, match="at least 15 characters"):
        owner.add(ANN, "short", organisation=None, roles=("subscriber",), name="")


def test_an_address_that_is_somebodys_is_refused(house, owner):
    add(owner, ANN)
    with pytest.raises(Denied, match="an account at this address already"):
        add(owner, ANN)


def test_an_officer_whose_answer_was_lost_gets_the_archive_file_again(house, owner):
    org = owner.add_organisation("Clinic").id
    first = owner.add(ANN, PASSWORD, organisation=org, roles=("subscriber", "officer"), name="")
    again = owner.add_again(ANN, PASSWORD)
    assert again.account == first.account
    both = [recovery.read(each.recovery.text, each.recovery.code) for each in (first, again)]
    assert both[0].key == both[1].key
    with pytest.raises(WrongSecret):
        owner.add_again(ANN, OTHER)


def test_an_invitation_waits_for_the_courier_and_is_in_the_audit(house, owner):
    rings = house.rings
    ident = owner.invite(PAT, None, "Pat")
    assert [row["subject_id"] for row in house.queued("code")] == [ident]
    assert ("owner", "account.invited") in [(row["actor"], row["action"]) for _, row in audit_rows(house)]
    assert house.rings >= rings


def audit_rows(house: House) -> list[tuple[int, dict[str, object]]]:
    return [(row["org"], row) for row in house.engine.query("SELECT org, actor, action FROM audit ORDER BY at")]


def test_who_is_disabled_is_out_at_once_at_every_door(house, owner):
    add(owner, ANN)
    signed_in, session = house.sign_in_smtp(ANN, PASSWORD), house.accounts.sign_in(ANN, PASSWORD, "192.0.2.1", "x")
    owner.disable(ANN)
    assert house.gate.still_valid(signed_in) is False
    assert house.accounts.session(session) is None
    with pytest.raises(Denied):
        house.accounts.sign_in(ANN, PASSWORD, "192.0.2.1", "x")
    with pytest.raises(Denied):
        house.sign_in_smtp(ANN, PASSWORD)
    assert owner.show(ANN)["state"] == "disabled"
    assert [row["state"] for row in owner.subscribers()] == ["disabled"]
    owner.enable(ANN)
    assert house.session(ANN).address == ANN


def test_with_the_old_password_nothing_is_locked(house, owner):
    add(owner, ANN)
    message = house.submit(ANN, [PAT], house.mail(author=ANN, to=[PAT]))
    owner.set_password(ANN, OTHER, PASSWORD)
    session = house.session(ANN, OTHER)
    assert not session.weak
    assert house.pickup.status(session, message).message == message
    with pytest.raises(WrongSecret):
        house.session(ANN, PASSWORD)


def test_a_wrong_old_password_changes_nothing(house, owner):
    add(owner, ANN)
    with pytest.raises(WrongSecret):
        owner.set_password(ANN, "maple sugar hydrant sixty", OTHER)
    assert house.session(ANN, PASSWORD).address == ANN


def test_without_the_old_password_mail_from_before_stays_closed_and_is_not_lost(house, owner):
    add(owner, ANN)
    message = house.submit(ANN, [PAT], house.mail(author=ANN, to=[PAT]))
    owner.set_password(ANN, OTHER, None)
    session = house.session(ANN, OTHER)
    assert session.weak
    with pytest.raises(NoGrant):
        house.pickup.eml(session, message)
    entered = house.found(house.accounts.sign_in(ANN, OTHER, "192.0.2.1", "x"))
    house.accounts.unlock(entered, "password", PASSWORD, OTHER, "192.0.2.1")
    again = house.session(ANN, OTHER)
    assert b"".join(house.pickup.eml(again, message).chunks)


def test_unknown_people_are_told_as_such(owner):
    for act in (owner.show, owner.disable, owner.devices, owner.author):
        with pytest.raises(NoGrant, match="no account with the address nobody@"):
            act("nobody@gmail.example")


# -- devices ----------------------------------------------------------------------------------------------------------


def test_a_device_needs_the_account_password_and_fails_at_once_when_revoked(house, owner):
    add(owner, ANN)
    with pytest.raises(WrongSecret):
        owner.add_device(ANN, OTHER, "Outlook", "submit")
    device = owner.add_device(ANN, PASSWORD, "Outlook", "submit")
    signed_in = house.sign_in_smtp(ANN, device.password)
    assert [row["name"] for row in owner.devices(ANN)] == ["Outlook"]
    assert owner.show(ANN)["devices"][0]["id"] == device.id
    owner.revoke_device(device.id)
    assert house.gate.still_valid(signed_in) is False
    with pytest.raises(Denied):
        house.sign_in_smtp(ANN, device.password)
    with pytest.raises(Denied, match=f"Device {device.id} is revoked already, since .* November 2026 at .* UTC"):
        owner.revoke_device(device.id)
    with pytest.raises(NoGrant, match="There is no device 7"):
        owner.revoke_device(7)
    assert owner.devices(ANN) == []


def test_a_revoke_that_died_half_way_is_completed_by_the_next_one(house, owner):
    add(owner, ANN)
    device = owner.add_device(ANN, PASSWORD, "Outlook", "submit")
    house.tamper("UPDATE devices SET revoked = 5 WHERE id = :id", id=device.id)
    (known,) = house.keeper("owner").device_list(ANN)
    assert known.revoked is None
    with pytest.raises(Denied, match="revoked already"):
        owner.revoke_device(device.id)
    (known,) = house.keeper("owner").device_list(ANN)
    assert known.revoked is not None


# -- what would happen ------------------------------------------------------------------------------------------------


def explained(house: House, author: str, recipient: str, subject: str) -> object:
    who = house.owner.owner.author(author)
    draft = house.owner.admission.begin(who, Envelope(who.address, (Addressee(recipient),)), "page")
    draft.header(f"From: {author}\r\nTo: {recipient}\r\nSubject: {subject}\r\n\r\n".encode())
    ((_, decision),) = draft.explain().items()
    return decision


def test_what_would_happen_is_told_and_nothing_is_kept(house, owner):
    org = owner.add_organisation("Clinic").id
    add(owner, ANN, org)
    add(owner, BOB, org)
    before = list(house.rows())
    assert isinstance(explained(house, ANN, PAT, "Results"), Vault)
    assert isinstance(explained(house, ANN, PAT, ":: Results"), Relay)
    assert isinstance(explained(house, ANN, BOB, "Results"), Handoff)
    assert explained(house, ANN, ANN, "Results") == Vault("self")
    assert list(house.rows()) == before


def test_only_subscribers_can_be_asked_for(house, owner):
    add(owner, ANN)
    owner.disable(ANN)
    with pytest.raises(Denied, match="no subscriber who may send"):
        owner.author(ANN)


# -- our own domain ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("local", ["ann", "notice", "r+abc", "Postmaster"])
def test_an_address_of_our_own_domain_is_nobodys(make_house, local):
    """Bounces, answers and reports go to these: whoever had one as their own would get them."""
    house = make_house(server={"domain": "xn--klinik-gua.example"}, signup={"mode": "open"})
    ours = f"{local}@KLINIK\u00e4.example"
    owner = house.owner.owner
    for attempt in (
        lambda: add(owner, ours),
        lambda: owner.invite(ours, None, ""),
        lambda: house.accounts.start_signup(ours, "192.0.2.1"),
        lambda: house.keeper("portal").mail_proof(f"{local.lower()}@xn--klinik-gua.example", "alias"),
    ):
        with pytest.raises(Denied, match="the domain of this server's own addresses"):
            attempt()
    assert owner.subscribers() == []
    assert house.queued("code") == []
    assert house.accounts.start_reset(ours, "192.0.2.1")  # the same answer as for everybody


def test_a_domain_below_our_own_is_like_any_other(make_house):
    house = make_house(server={"domain": "secure.example"})
    assert add(house.owner.owner, "ann@mail.secure.example")

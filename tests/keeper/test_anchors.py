"""Cards, archives, recovery files, audit chains, and what the keeper says about mail."""

from __future__ import annotations

import os
import re

import pytest

from cryptnsend.core.errors import Denied, Ended, NoGrant, SealBroken, WrongSecret
from cryptnsend.core.model import account_holder
from cryptnsend.core.tokens import Claims
from cryptnsend.keeper.providers import EnvProvider, FileProvider, NoMasterKey, make_master_key
from cryptnsend.keeper.recovery import read

from .conftest import PARAMS, Make, Person, Running, card, code_for, register, reset_by_mail, send, subscriber
from .test_second import number

ANN, BOB, PAT = "ann@clinic.example", "bob@clinic.example", "pat@home.example"


# -- cards ------------------------------------------------------------------------------------------------------------


def test_a_card_gets_a_new_version_exactly_when_it_changes(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    holder = account_holder(ann.account)
    first = card(keeper, holder)
    keeper.portal.profile(ann.ticket, name="Dr. Ann")
    assert card(keeper, holder) == first
    keeper.portal.profile(ann.ticket, form="link")
    changed = card(keeper, holder)
    assert (changed.form, changed.version) == ("link", first.version + 1)
    keeper.portal.profile(ann.ticket, form="link")
    assert card(keeper, holder).version == changed.version
    assert ann.sign_in(keeper).name == "Dr. Ann"


def test_a_profile_takes_no_form_that_does_not_exist(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    with pytest.raises(Denied):
        keeper.portal.profile(ann.ticket, form="clear")


def test_there_is_no_card_for_nobody(keeper: Running) -> None:
    assert keeper.portal.card("account:1") is None


# -- archives and recovery --------------------------------------------------------------------------------------------


def test_an_archive_is_shared_by_an_officer_with_an_officer(keeper: Running) -> None:
    clinic = keeper.owner.organisation_add("Clinic", "managed", "")
    first, second = (subscriber(keeper, each, clinic.id, "officer") for each in (ANN, BOB))
    assert first.opened is not None
    assert second.opened is not None
    assert (first.opened.recovery is None, second.opened.recovery) == (False, None)
    with pytest.raises(NoGrant):
        keeper.owner.archive_recovery(second.ticket, second.k)
    member = subscriber(keeper, PAT, clinic.id)
    secret = keeper.portal.second_begin(first.ticket, first.k).secret
    keeper.portal.second_begun(first.ticket, number(keeper, secret))
    for outsider in ("nobody@home.example", ANN):
        with pytest.raises(Denied):
            keeper.portal.set_roles(first.ticket, first.k, outsider, ["officer"], "")
    with pytest.raises(Denied):
        keeper.portal.set_roles(member.ticket, member.k, BOB, ["officer"], "")
    keeper.portal.set_roles(first.ticket, first.k, BOB, ["officer"], "")  # the number was shown just now
    keeper.clock.forward(minutes=0.5)
    files = [
        keeper.owner.archive_recovery(each.ticket, each.k, code)
        for each, code in ((first, number(keeper, secret)), (second, ""))
    ]
    assert read(files[0].text, files[0].code).key == read(files[1].text, files[1].code).key
    with pytest.raises(Denied, match="second step"):  # on a page, a password alone gives out no such file
        keeper.portal.archive_recovery(second.ticket, second.k)
    with pytest.raises(Denied, match="no such request"):
        keeper.portal._ask(type(None), "share_archive", ticket=first.ticket, k=first.k, address=BOB, code="")


def test_a_recovery_file_opens_with_its_own_code_only(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    one, two = (keeper.portal.archive_recovery(ann.ticket, ann.k) for _ in range(2))
    for text, code in ((one.text, two.code), (one.text, one.code[:-1]), (one.text, "")):
        with pytest.raises(WrongSecret):
            read(text, code)
    for damaged in ("", "x", one.text.replace("Pair:", "Pear:"), one.text.replace("Wrap 2:", "Wrap 2: A")):
        with pytest.raises(SealBroken):
            read(damaged, one.code)
    assert read("\n  " + one.text.replace("\n", "\r\n"), one.code.lower().replace("-", " ")).key


def test_a_recovery_file_that_was_typed_by_hand_opens_and_one_wrong_letter_is_told(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    made = keeper.portal.archive_recovery(ann.ticket, ann.k)
    first = re.search(r"Wrap 1: (.+)", made.text)[1]
    typed = made.text.replace(first, " ".join(first[at : at + 4] for at in range(0, len(first), 4)))
    assert read(typed, made.code) == read(made.text, made.code)
    for place, letter in enumerate(first):
        wrong = first[:place] + ("a" if letter != "a" else "b") + first[place + 1 :]
        with pytest.raises(SealBroken, match="compare it with the paper"):
            read(made.text.replace(first, wrong), made.code)
    with pytest.raises(SealBroken, match="compare it with the paper"):
        read(re.sub(r"Pair: (\d+)", lambda found: f"Pair: {int(found[1]) + 1}", made.text), made.code)
    older = re.sub(r"Check: .*\n", "", made.text)
    assert read(older, made.code) == read(made.text, made.code)


def test_the_installations_recovery_file_gives_the_master_key_back(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    file = keeper.owner.recovery_file()
    keeper.end()
    (keeper.folder / "master.key").unlink()
    recovered = read(file.text, file.code)
    assert recovered.kind == "master key"
    make_master_key(keeper.folder / "master.key", os.urandom, recovered.key)
    keeper.start()
    assert ann.sign_in(keeper).account == ann.account


def test_the_environment_provider_takes_the_key_out_of_the_environment(make_keeper: Make) -> None:
    import base64

    environ = {"THE_KEY": base64.b64encode(os.urandom(32)).decode()}
    keeper = make_keeper(provider=EnvProvider("THE_KEY", environ, os.urandom))
    assert environ == {}
    assert keeper.portal.health().ok
    for value in ("", "short", base64.b64encode(os.urandom(31)).decode(), "ä"):
        with pytest.raises(NoMasterKey):
            EnvProvider("THE_KEY", {"THE_KEY": value}, os.urandom).wrap("x", b"y")


def test_a_secret_is_bound_to_its_label(keeper: Running) -> None:
    provider = FileProvider(keeper.folder / "master.key", os.urandom)
    wrapped = provider.wrap("code/1", b"octets")
    assert provider.unwrap("code/1", wrapped) == b"octets"
    with pytest.raises(SealBroken):
        provider.unwrap("link/1", wrapped)
    with pytest.raises(FileExistsError):
        make_master_key(keeper.folder / "master.key", os.urandom)


# -- audit chains and resent mail -------------------------------------------------------------------------------------


def test_an_audit_chain_never_goes_backwards(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    assert ann.opened is not None
    organisation = ann.opened.organisation
    keeper.submission.checkpoint(organisation, 5, b"five")
    keeper.portal.checkpoint(organisation, 5, b"five")
    with pytest.raises(SealBroken):
        keeper.courier.checkpoint(organisation, 5, b"other")
    with pytest.raises(Denied):
        keeper.owner.checkpoint(organisation, 4, b"four")
    assert len(keeper.owner.checkpoint(organisation, 6, b"six").signature) == 64
    keeper.owner.checkpoint(0, 1, b"installation")
    with pytest.raises(Denied):
        keeper.owner.checkpoint(77, 1, b"nobody's")


def test_the_keys_of_resent_mail_are_of_today_and_yesterday(keeper: Running) -> None:
    today = keeper.submission.resend_keys()
    assert max(today) == keeper.clock.now() // 86_400_000
    keeper.clock.forward(days=1)
    tomorrow = keeper.submission.resend_keys()
    assert tomorrow[max(today)] == today[max(today)]
    assert len({*today.values(), *tomorrow.values()}) == 3


# -- mails ------------------------------------------------------------------------------------------------------------


def test_a_notice_is_the_same_at_each_try_and_after_a_restart(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    first = keeper.courier.notice(PAT, ann.account, 7, BOB)
    keeper.restart()
    assert keeper.courier.notice(PAT, ann.account, 7, BOB) == first
    assert keeper.courier.notice(PAT, ann.account, 8, BOB).link.token != first.link.token
    assert (first.reply.row.address, len(first.reply.token) + 2 <= 48) == (BOB, True)
    assert keeper.courier.notice(PAT, ann.account, 7).reply.row.address == ANN


def test_a_bounce_token_stands_for_one_delivery(keeper: Running) -> None:
    token = keeper.courier.bounce(12)
    assert keeper.submission.link(token.token, Claims("bounce", "", 0, 12))
    assert not keeper.submission.link(token.token, Claims("bounce", "", 0, 13))


def test_a_contact_row_is_given_again_at_each_sign_in(keeper: Running) -> None:
    ann, pat = subscriber(keeper, ANN), Person(PAT)
    first = register(keeper, send(keeper, ann, PAT), code_for(keeper, ann, PAT), pat)
    again = pat.sign_in(keeper)
    assert (again.contacts, again.cards, again.pairs) == (first.contacts, first.cards, first.pairs)


def test_a_session_ticket_ends_after_twelve_hours(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    keeper.clock.forward(hours=11.9)
    assert keeper.portal.codes(ann.ticket, [PAT])
    keeper.clock.forward(hours=0.2)
    with pytest.raises(Ended):
        keeper.portal.codes(ann.ticket, [PAT])


def test_a_proof_is_good_for_an_hour(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    mail = send(keeper, ann, PAT)
    proof = keeper.portal.prove(mail.link.token, mail.claims, code_for(keeper, ann, PAT))
    keeper.clock.forward(hours=1.1)
    with pytest.raises(Ended):
        keeper.portal.register(proof.ticket, proof.salt, PARAMS, os.urandom(32), "Pat", "en")


def test_a_weak_account_stays_weak_when_it_is_disabled_and_enabled(keeper: Running) -> None:
    subscriber(keeper, ANN)
    again = Person(ANN)
    reset_by_mail(keeper, again)
    keeper.owner.disable(ANN)
    keeper.owner.enable(ANN)
    assert again.sign_in(keeper).state == "weak"


# -- files of a backup ------------------------------------------------------------------------------------------------


def test_a_file_of_a_backup_opens_under_its_own_name_and_at_this_installation_only(
    keeper: Running, make_keeper: Make
) -> None:
    octets = b"-----BEGIN PRIVATE KEY-----"
    sealed = keeper.owner.seal_file("dkim/rsa1.pem", octets)
    assert octets not in sealed
    keeper.restart()
    assert keeper.owner.open_file("dkim/rsa1.pem", sealed) == octets
    for other, name in ((keeper, "dkim/ed1.pem"), (make_keeper(), "dkim/rsa1.pem")):
        with pytest.raises(SealBroken):
            other.owner.open_file(name, sealed)
    for role in ("portal", "submission", "courier"):
        with pytest.raises(Denied):
            keeper.role(role).open_file("dkim/rsa1.pem", sealed)

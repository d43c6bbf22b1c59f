"""Keys that give way to new ones: what was sealed before opens still, what comes later needs the new ones."""

from __future__ import annotations

import os

import pytest

from cryptnsend.core import keys
from cryptnsend.core.cards import read_card
from cryptnsend.core.errors import Denied, Ended, KeeperGone, SealBroken
from cryptnsend.core.model import PairCard, account_holder
from cryptnsend.core.passwords import new_recovery_code, recovery_key
from cryptnsend.keeper import requests as q
from cryptnsend.keeper import secrets
from cryptnsend.keeper.providers import FileProvider, make_master_key

from .conftest import Person, Running, code_for, content_of, register, reset_by_mail, send, subscriber
from .sealing import queued, sealed_to
from .test_glass import clinic as clinic  # an organisation with two officers
from .test_glass import shown
from .test_journal import back_up, restore
from .test_reading_devices import device_of, opened_by

ANN, PAT, BOB = "ann@clinic.example", "pat@home.example", "bob@mail.example"


def card(keeper: Running, person: Person) -> dict[str, PairCard]:
    signed = keeper.portal.card(account_holder(person.account))
    assert signed is not None
    return {pair.custody: pair for pair in read_card(signed, keeper.portal.anchors().card_key).pairs}


def mail_to(keeper: Running, person: Person, custody: str) -> tuple[q.SealedGrant, bytes]:
    pair = card(keeper, person)[custody]
    return sealed_to(keeper.clock.now(), pair, person.account, f"{PAT}|1", custody, None)


def opens(grant: q.SealedGrant, seeds: dict[int, bytes]) -> bytes:
    epoch = grant.epoch
    key = keys.open_with(
        seeds[epoch.pair], epoch.sealed, label="epoch", owner=epoch.owner, holder=epoch.holder, ref=epoch.id
    )
    binding = keys.GrantBinding(
        grant.organisation, grant.message, grant.holder, grant.role, grant.contact, grant.custody
    )
    return keys.unwrap_content(key, grant.wrap, binding)


def renewed(keeper: Running, person: Person) -> q.Opened:
    assert keeper.owner.keys_order(person.address) == 1
    opened = person.sign_in(keeper)
    assert opened.renewed
    return opened


# -- accounts ---------------------------------------------------------------------------------------------------------


def test_after_a_renewal_old_and_new_mail_opens_by_password_and_by_device(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    device = device_of(keeper, ann)
    before = [mail_to(keeper, ann, custody) for custody in ("managed", "strict")]
    old = {pair.id for pair in card(keeper, ann).values()}
    opened = renewed(keeper, ann)
    after = [mail_to(keeper, ann, custody) for custody in ("managed", "strict")]
    assert not old & {grant.epoch.pair for grant, _ in after}
    for seeds in (opened.seeds, ann.sign_in(keeper).seeds, opened_by(keeper, device).seeds):
        assert [opens(grant, seeds) for grant, _ in before + after] == [content for _, content in before + after]
    states = {pair.id: pair.state for pair in opened.pairs if pair.holder == account_holder(ann.account)}
    assert {ident for ident, state in states.items() if state == "retired"} == old
    assert not ann.sign_in(keeper).renewed  # it happens once


def test_nothing_that_was_opened_before_a_renewal_opens_what_comes_after(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    stolen, ticket = dict(ann.sign_in(keeper).seeds), ann.ticket
    renewed(keeper, ann)
    grant, _ = mail_to(keeper, ann, "strict")
    assert grant.epoch.pair not in stolen
    for seed in stolen.values():
        with pytest.raises(SealBroken):
            opens(grant, {grant.epoch.pair: seed})
    with pytest.raises(Ended):  # and whoever was signed in signs in again
        keeper.portal.codes(ticket, [PAT])


def test_a_mail_program_renews_nothing(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    before = card(keeper, ann)
    keeper.owner.keys_order("")
    assert keeper.role("mailbox").open(ANN, ann.k).seeds
    assert keeper.submission.check_password(ANN, ann.k).account == ann.account
    assert card(keeper, ann) == before
    assert ann.sign_in(keeper).renewed


def test_a_recovery_code_opens_what_was_before_and_managed_mail_after(keeper: Running) -> None:
    ann, again = subscriber(keeper, ANN), Person(ANN)
    code = recovery_key(new_recovery_code(os.urandom))
    ann.sign_in(keeper)
    keeper.portal.store_wraps(ann.ticket, "recovery", code, ann.opened.seeds)
    before = mail_to(keeper, ann, "strict")
    renewed(keeper, ann)
    after = mail_to(keeper, ann, "managed")
    reset_by_mail(keeper, again)
    unlocked = keeper.portal.unlock(again.ticket, "recovery", code, again.k)
    for grant, content in (before, after):
        assert opens(grant, unlocked.seeds) == content


def test_an_officer_with_new_keys_opens_the_archive_still(keeper: Running, clinic: tuple[int, Person, Person]) -> None:
    _, first, _ = clinic
    seed = keeper.owner.archive_recovery(first.ticket, first.k, shown(keeper, first))
    assert seed.text
    keeper.owner.keys_order(first.address)
    held = keeper.portal.hold(first.address, first.k)
    first.opened = keeper.portal.open_second(held, shown(keeper, first))
    assert first.opened.renewed
    keeper.clock.forward(minutes=1)
    assert keeper.owner.archive_recovery(first.ticket, first.k, shown(keeper, first)).text


def test_after_a_restore_keys_that_were_renewed_are_renewed_again(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    back_up(keeper, "backup.db")
    renewed(keeper, ann)
    restore(keeper, "backup.db")
    assert ann.sign_in(keeper).renewed
    keeper.owner.restored()
    assert not ann.sign_in(keeper).renewed


def test_nobody_who_may_not_sign_in_gets_new_keys(keeper: Running) -> None:
    subscriber(keeper, ANN)
    keeper.owner.disable(ANN)
    with pytest.raises(Denied):
        keeper.owner.keys_order(ANN)
    with pytest.raises(Denied):
        keeper.portal.keys_order(ANN)
    assert keeper.owner.keys_order("") == 0


# -- the keeper's own -------------------------------------------------------------------------------------------------


def test_links_of_before_work_after_the_key_of_links_is_another(keeper: Running) -> None:
    ann, pat, bob = subscriber(keeper, ANN), Person(PAT), Person(BOB)
    before = send(keeper, ann, PAT)
    made = keeper.owner.keys_rotate("link")
    assert {(each.label, each.key_id, each.is_newest) for each in made} == {
        (label, number, number == 2) for label in ("link", "reply", "bounce") for number in (1, 2)
    }
    after = send(keeper, ann, BOB)
    assert (before.link.row.key_id, after.link.row.key_id) == (1, 2)
    register(keeper, before, code_for(keeper, ann, PAT), pat)
    register(keeper, after, code_for(keeper, ann, BOB), bob)
    keeper.restart()
    assert keeper.portal.link(before.link.token, before.claims)


def test_mail_that_waits_leaves_after_the_key_of_the_queue_is_another(keeper: Running) -> None:
    subscriber(keeper, ANN)
    before, content = queued(keeper.clock.now(), keeper.courier.anchors().queue, PAT, "relay")
    keeper.owner.keys_rotate("queue")
    keeper.restart()
    pair = keeper.courier.anchors().queue
    assert pair.id != before.epoch.pair
    after, other = queued(keeper.clock.now(), pair, PAT, "relay")
    for _ in range(2):
        assert keeper.courier.queue(before).keys == content
        assert keeper.courier.queue(after).keys == other
        keeper.restart()


def test_mail_whose_code_was_not_shown_opens_after_the_key_it_waits_under_is_another(keeper: Running) -> None:
    ann, pat = subscriber(keeper, ANN), Person(PAT)
    before = send(keeper, ann, PAT)
    keeper.owner.keys_rotate("pending")
    keeper.restart()
    after = send(keeper, ann, PAT)
    assert before.grant.epoch.pair != after.grant.epoch.pair
    opened = register(keeper, before, code_for(keeper, ann, PAT), pat)
    adopted = keeper.portal.adopt(opened.ticket, [before.grant, after.grant])
    assert [content_of(each, opened) for each in adopted] == [before.content, after.content]


def test_a_lost_password_loses_no_mail_after_the_recovery_key_is_another(keeper: Running) -> None:
    ann, pat, again = subscriber(keeper, ANN), Person(PAT), Person(PAT)
    mail = send(keeper, ann, PAT)
    register(keeper, mail, code_for(keeper, ann, PAT), pat)
    grant, content = sealed_to(
        keeper.clock.now(), card(keeper, pat)["managed"], pat.account, f"{PAT}|{ann.account}", "managed", ann.opened
    )
    wraps = "SELECT recovery_wrap FROM pairs WHERE recovery_wrap IS NOT NULL ORDER BY id"
    before = keeper.engine.query(wraps)
    (only,) = keeper.owner.keys_rotate("recovery")
    assert (only.key_id, only.is_newest) == (2, True)  # the old one is gone, and nothing is under it
    assert not {row["recovery_wrap"] for row in before} & {row["recovery_wrap"] for row in keeper.engine.query(wraps)}
    keeper.restart()
    reset_by_mail(keeper, again)
    proof = keeper.portal.prove_session(again.ticket, mail.link.token, mail.claims, code_for(keeper, ann, PAT))
    assert proof
    (adopted,) = keeper.portal.adopt(again.ticket, [grant])
    assert content_of(adopted, again.opened) == content


def test_a_recovery_key_whose_replacement_was_cut_short_still_opens(
    keeper: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keeper dies when there is a new key, and before anything is under it."""
    from cryptnsend.keeper import renewing

    ann, again = subscriber(keeper, ANN), Person(ANN)
    seeds = ann.sign_in(keeper).seeds
    with monkeypatch.context() as cut:
        cut.setattr(renewing, "_rewrap", lambda _: (_ for _ in ()).throw(RuntimeError("the process ends here")))
        with pytest.raises(Exception, match="Try again later"):
            keeper.owner.keys_rotate("recovery")
    keeper.restart()
    reset_by_mail(keeper, again)
    unlocked = keeper.portal.unlock(again.ticket, "password", ann.k, again.k)
    assert unlocked.seeds == seeds
    assert [each.key_id for each in keeper.owner.keys_rotate("recovery")] == [3]


def test_under_a_new_master_key_everything_opens_and_under_the_old_one_nothing(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    old = keeper.provider
    make_master_key(keeper.folder / "other.key", os.urandom)
    new = FileProvider(keeper.folder / "other.key", os.urandom)
    keeper.end()
    assert secrets.rewrap(keeper.engine, old, new) == len(secrets.LABELS) + len(secrets.PAIRS)
    assert (secrets.opens(keeper.engine, old), secrets.opens(keeper.engine, new)) == (False, True)
    keeper.start()
    with pytest.raises(KeeperGone):
        ann.sign_in(keeper)
    keeper.end()
    keeper.provider = new
    keeper.start()
    assert ann.sign_in(keeper).seeds
    with pytest.raises(KeeperGone):
        secrets.rewrap(keeper.engine, old, new)


@pytest.mark.parametrize("name", ["outer", "signing", "link/1", ""])
def test_only_keys_that_have_a_successor_are_rotated(keeper: Running, name: str) -> None:
    with pytest.raises(Denied):
        keeper.owner.keys_rotate(name)
    for role in ("portal", "courier", "submission", "mailbox", "inbound"):
        with pytest.raises(Denied):
            keeper.role(role).keys_rotate("link")

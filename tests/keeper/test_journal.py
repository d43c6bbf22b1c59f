"""What ended stays ended: the journal, and what it does to a ledger that comes back from a backup."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core.cards import read_card
from cryptnsend.core.errors import Denied, Ended, StoreBroken, WrongSecret
from cryptnsend.core.model import account_holder
from cryptnsend.keeper.journal import KINDS, Journal, replay

from .conftest import (
    PARAMS,
    Person,
    Running,
    code_for,
    register,
    reset_by_mail,
    send,
    subscriber,
)
from .test_second import number as totp

ANN, PAT = "ann@clinic.example", "pat@home.example"


def test_entries_come_back_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.append(5, "suspend", [1, 2])
    journal.append(6, "weak", [2**62, 3])
    journal.close()
    entries = replay(tmp_path / "j").entries
    assert [(each.at, each.kind, each.ids) for each in entries] == [(5, "suspend", (1, 2)), (6, "weak", (2**62, 3))]


@given(
    cut=st.integers(min_value=1, max_value=60), kinds=st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=5)
)
def test_a_line_torn_by_a_crash_is_cut_off_and_the_others_stay(
    tmp_path_factory: pytest.TempPathFactory, cut: int, kinds: list[str]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "j"
    journal = Journal(path)
    for kind in kinds:
        journal.append(7, kind, [1])
    journal.close()
    whole = path.read_bytes()
    last = len(whole.splitlines(keepends=True)[-1])
    path.write_bytes(whole[: -min(cut, last)])
    assert len(replay(path).entries) == len(kinds) - 1
    again = Journal(path)
    again.append(8, "undo", [9])
    again.close()
    found = replay(path)
    assert [each.kind for each in found.entries] == [*kinds[:-1], "undo"]
    assert found.damaged == 0


def test_damaged_lines_are_counted_and_the_others_hold(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    for number in range(4):
        journal.append(number, "cancel", [number])
    journal.close()
    lines = (tmp_path / "j").read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b"[1]", b"[9]")
    lines[2] = b"\xff" + lines[2]
    (tmp_path / "j").write_bytes(b"".join(lines))
    found = replay(tmp_path / "j")
    assert ([each.at for each in found.entries], found.damaged) == ([0, 3], 2)


def test_a_journal_that_is_not_there_has_no_entries(tmp_path: Path) -> None:
    assert replay(tmp_path / "none").entries == ()


def test_an_ending_that_cannot_be_written_is_not_acknowledged_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "j")
    journal.append(1, "suspend", [1])

    def failing(file: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        with pytest.raises(StoreBroken):
            journal.append(2, "suspend", [2])
    journal.append(3, "suspend", [3])
    journal.close()
    found = replay(tmp_path / "j")
    assert ([each.at for each in found.entries], found.damaged) == ([1, 3], 0)


def test_a_journal_in_a_folder_that_is_gone_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreBroken):
        Journal(tmp_path / "no" / "j")


def test_other_roles_write_only_endings_of_the_main_database(keeper: Running) -> None:
    for role in ("submission", "inbound", "mailbox", "portal", "courier", "owner"):
        keeper.role(role).ended("shred", [4, 5])
        for kind in ("disable", "enable", "credential", "weak", "revoke", "close", "roles", "x"):
            with pytest.raises(Denied):
                keeper.role(role).ended(kind, [1, 99])
    entries = replay(keeper.folder / "journal.log").entries
    assert [(each.kind, each.ids) for each in entries] == [("shred", (4, 5))] * 6


def test_what_the_keeper_ends_is_in_the_journal(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    device = keeper.portal.device_add(ann.ticket, "submit")
    keeper.portal.device_revoke(ann.ticket, device.id)
    ann.opened = keeper.portal.change(ann.ticket, ann.k, os.urandom(16), PARAMS, ann.k)
    keeper.owner.disable(ANN)
    keeper.owner.enable(ANN)
    reset_by_mail(keeper, Person(ANN))
    entries = replay(keeper.folder / "journal.log").entries
    assert [(each.kind, each.ids) for each in entries] == [
        ("revoke", (device.id,)),
        ("credential", (ann.account, 2)),
        ("disable", (ann.account, 3)),
        ("enable", (ann.account, 4)),
        ("weak", (ann.account, 5)),
    ]


# -- a backup that comes back -----------------------------------------------------------------------------------------


def back_up(keeper: Running, to: str) -> None:
    source = sqlite3.connect(keeper.folder / "ledger.db")
    target = sqlite3.connect(keeper.folder / to)
    source.backup(target)
    source.close()
    target.close()


def restore(keeper: Running, backup: str) -> None:
    keeper.end()
    keeper.engine.close()
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        (keeper.folder / name).unlink(missing_ok=True)
    (keeper.folder / backup).rename(keeper.folder / "ledger.db")
    from cryptnsend.store.sqlite import SqliteEngine

    keeper.engine = SqliteEngine(keeper.folder / "ledger.db")
    keeper.start()
    keeper.owner.restored()


def test_after_a_restore_a_revoked_device_stays_revoked(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    device = keeper.portal.device_add(ann.ticket, "submit")
    back_up(keeper, "backup.db")
    keeper.portal.device_revoke(ann.ticket, device.id)
    restore(keeper, "backup.db")
    with pytest.raises(WrongSecret):
        keeper.submission.check_device(device.id, device.secret, "submit")


def test_after_a_restore_a_disabled_account_stays_disabled(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    back_up(keeper, "backup.db")
    keeper.owner.disable(ANN)
    restore(keeper, "backup.db")
    with pytest.raises(Denied):
        ann.sign_in(keeper)
    keeper.owner.enable(ANN)
    assert ann.sign_in(keeper).state == "active"


def test_after_a_restore_a_password_that_was_changed_does_not_sign_in_and_still_unlocks(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    seeds = ann.sign_in(keeper).seeds
    back_up(keeper, "backup.db")
    keeper.portal.change(ann.ticket, ann.k, os.urandom(16), PARAMS, os.urandom(32))
    restore(keeper, "backup.db")
    for attempt in (ann.sign_in, lambda keeper: keeper.submission.check_password(ANN, ann.k)):
        with pytest.raises(WrongSecret):
            attempt(keeper)
    signed = keeper.portal.card(account_holder(ann.account))
    assert signed is not None
    assert read_card(signed, keeper.portal.anchors().card_key).addresses == ()
    again = Person(ANN)
    reset_by_mail(keeper, again)
    unlocked = keeper.portal.unlock(again.ticket, "password", ann.k, again.k)
    assert unlocked.seeds == seeds
    assert unlocked.opened.state == "active"


def test_after_a_restore_a_weak_reset_is_not_undone(keeper: Running) -> None:
    ann, again = subscriber(keeper, ANN), Person(ANN)
    back_up(keeper, "backup.db")
    reset_by_mail(keeper, again)
    restore(keeper, "backup.db")
    for person in (ann, again):
        with pytest.raises(WrongSecret):
            person.sign_in(keeper)


def test_after_a_restore_an_account_that_was_closed_is_opened_by_nobody(keeper: Running) -> None:
    ann, pat = subscriber(keeper, ANN), Person(PAT)
    register(keeper, send(keeper, ann, PAT), code_for(keeper, ann, PAT), pat)
    back_up(keeper, "backup.db")
    keeper.portal.close_account(pat.ticket, pat.k)
    restore(keeper, "backup.db")
    with pytest.raises(WrongSecret):
        pat.sign_in(keeper)
    with pytest.raises(Denied):
        keeper.owner.enable(PAT)
    holder = account_holder(pat.account)
    assert not keeper.engine.query(
        "SELECT w.pair FROM wraps w JOIN pairs p ON p.id = w.pair WHERE holder = :h", h=holder
    )
    assert keeper.engine.query("SELECT recovery_wrap FROM pairs WHERE holder = :h", h=holder) == [
        {"recovery_wrap": None}, {"recovery_wrap": None}
    ]  # fmt: skip


def test_after_a_restore_who_was_made_no_officer_any_more_opens_no_archive(keeper: Running) -> None:
    clinic = keeper.owner.organisation_add("Clinic", "managed", "")
    first, second = (subscriber(keeper, each, clinic.id, "subscriber", "officer") for each in (ANN, PAT))
    secret = keeper.portal.second_begin(first.ticket, first.k).secret
    keeper.portal.second_begun(first.ticket, totp(keeper, secret))
    keeper.portal.set_roles(first.ticket, first.k, PAT, ["subscriber", "officer"], "")
    assert keeper.owner.archive_recovery(second.ticket, second.k).text
    back_up(keeper, "backup.db")
    keeper.portal.set_roles(first.ticket, first.k, PAT, ["subscriber"], "")
    restore(keeper, "backup.db")
    second.sign_in(keeper)
    assert second.opened is not None
    assert second.opened.roles == ("subscriber",)
    with pytest.raises(Denied):
        keeper.owner.archive_recovery(second.ticket, second.k)
    assert len(keeper.engine.query("SELECT ref FROM wraps WHERE kind = 'officer'")) == 1
    keeper.owner.restored()  # once more, over what has it already
    assert second.sign_in(keeper).roles == ("subscriber",)


def test_after_a_restore_a_role_that_was_given_back_is_not_taken(keeper: Running) -> None:
    clinic = keeper.owner.organisation_add("Clinic", "managed", "")
    first, second = (subscriber(keeper, each, clinic.id, "subscriber", "officer") for each in (ANN, PAT))
    secret = keeper.portal.second_begin(first.ticket, first.k).secret
    keeper.portal.second_begun(first.ticket, totp(keeper, secret))
    back_up(keeper, "backup.db")
    for roles in (["subscriber"], ["subscriber", "officer"]):
        keeper.portal.set_roles(first.ticket, first.k, PAT, roles, "")
    restore(keeper, "backup.db")
    assert second.sign_in(keeper).roles == ("subscriber", "officer")


def test_a_restore_ends_tickets_and_mailed_codes_and_raises_the_era(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    proof = keeper.portal.mail_proof(ANN, "reset")
    code = keeper.courier.mail_code(proof.id).code
    mail = send(keeper, ann, PAT)
    ticket = keeper.portal.prove(mail.link.token, mail.claims, code_for(keeper, ann, PAT)).ticket
    assert keeper.owner.restored().era == 2
    with pytest.raises(Ended):
        keeper.portal.codes(ann.ticket, [PAT])
    with pytest.raises(Ended):
        keeper.portal.register(ticket, bytes(16), PARAMS, bytes(32), "x", "en")
    with pytest.raises(Ended):
        keeper.portal.reset(proof.id, code, proof.salt, PARAMS, bytes(32))
    with pytest.raises(Denied):
        keeper.courier.mail_code(proof.id)


def test_replaying_what_the_ledger_has_already_changes_nothing(keeper: Running) -> None:
    ann, pat = subscriber(keeper, ANN), Person(PAT)
    register(keeper, send(keeper, ann, PAT), code_for(keeper, ann, PAT), pat)
    salt, k = keeper.portal.change_salt(ann.ticket), os.urandom(32)
    ann.opened = keeper.portal.change(ann.ticket, ann.k, salt, PARAMS, k)
    ann.k = k
    keeper.owner.disable(PAT)
    keeper.owner.enable(PAT)
    keeper.owner.restored()
    keeper.owner.restored()
    assert ann.sign_in(keeper).state == "active"
    assert pat.sign_in(keeper).state == "active"
    assert keeper.owner.anchors().era == 3

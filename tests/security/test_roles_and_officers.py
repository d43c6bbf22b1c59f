"""DESIGN's table "Who may open what": roles that were taken over, and officers."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from typing import Any

import pytest

from cryptnsend.core.errors import Denied
from cryptnsend.keeper import requests as q
from cryptnsend.rights import ONE_USER
from cryptnsend.store.records import grants
from tests.support.house import OTHER, PASSWORD, SOURCE, House

from .attempts import deliveries_of, refused, reply
from .conftest import MakeWorld
from .world import ANN, BOB, EVE, OFFICER, PAT

CUSTODIES = ("managed", "strict")
STRANGER = "new@aol.example"  # nobody has proven anything for this address


# -- processes taken over ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["portal", "submission", "courier"])
@pytest.mark.parametrize("custody", CUSTODIES)
def test_a_role_taken_over_cannot_adopt_or_open_with_its_socket_and_all_rows(
    make_world: MakeWorld, role: str, custody: str
) -> None:
    """
    Attack code in the role, nobody signed in: every grant there is, presented in every disguise.

    It has the main database and the blobs, and signs in as Eve, whom it knows the password of.
    """
    world = make_world(custody)
    house = world.house
    world.write(ANN, PAT)
    world.write(ANN, STRANGER)
    keeper, eve = house.keeper(role), house.session(EVE)
    rows = house.engine.query(
        "SELECT g.*, e.pair, e.suite, e.owner, e.holder AS epoch_holder, e.sealed FROM grants g"
        " JOIN epochs e ON e.id = g.epoch WHERE g.holder <> :eve",
        eve=f"account:{eve.account}",
    )
    assert rows
    ann = world.people[ANN]
    disguises: list[dict[str, Any]] = [
        {},
        {"holder": f"account:{eve.account}"},
        {"holder": f"address:{EVE}", "contact": f"{EVE}|{ann}"},
        {"contact": f"{EVE}|{ann}"},
        {"contact": ""},
        {"contact": "", "holder": f"account:{eve.account}"},
        {"role": "author"},
        {"custody": "managed"},
    ]
    sealed = []
    for row in rows:
        epoch = q.EpochRow(row["epoch"], row["pair"], row["suite"], row["owner"], row["epoch_holder"], row["sealed"])
        for disguise in disguises:
            told = {name: row[name] for name in ("holder", "role", "contact", "custody")} | disguise
            sealed.append(
                q.SealedGrant(
                    row["org"], row["message"], told["holder"], told["role"], told["contact"], told["custody"],
                    epoch, row["wrap"],
                )
            )  # fmt: skip
    if role == "portal":
        assert keeper.adopt(eve.ticket, sealed) == []
    else:
        assert refused(lambda: keeper.adopt(eve.ticket, sealed)) == "Denied"
    for grant in sealed:
        leaving = q.QueueGrant(grant.organisation, grant.message, 1, EVE, "zip", grant.epoch, grant.wrap)
        assert refused(partial(keeper.queue, leaving)) in ("Denied", "NoGrant", "SealBroken")


def test_a_portal_taken_over_opens_who_is_signed_in_meanwhile(make_world: MakeWorld) -> None:
    """The yes of this row: with Pat's cookie the attacker is Pat, and with nobody's nobody."""
    world = make_world()
    message = world.write(ANN, PAT)
    cookie = world.house.accounts.sign_in(PAT, PASSWORD, SOURCE, "attack")
    found = world.house.accounts.session(cookie)
    assert found is not None
    assert world.reads(found, message)
    assert world.house.accounts.session(cookie[:-8] + "AAAAAAAA") is None


def test_a_portal_taken_over_opens_no_archive_and_nothing_that_waits_to_leave(make_world: MakeWorld) -> None:
    world = make_world()
    house = world.house
    reply(world, house.session(PAT), world.write(ANN, PAT))
    row = house.queued("handoff")[0]
    epoch = house.engine.query("SELECT * FROM epochs WHERE id = :id", id=row["queue_epoch"])[0]
    fields = (epoch["id"], epoch["pair"], epoch["suite"], epoch["owner"], epoch["holder"], epoch["sealed"])
    grant = q.QueueGrant(
        row["org"], row["message"], row["id"], ANN, row["form"], q.EpochRow(*fields), row["queue_wrap"]
    )
    assert refused(lambda: house.keeper("portal").queue(grant)) == "Denied"
    assert refused(lambda: house.keeper("submission").queue(grant)) == "Denied"
    officer = house.session(OFFICER)
    archived = house.engine.query("SELECT pair FROM epochs WHERE holder LIKE 'archive:%'")
    assert archived
    assert not {each["pair"] for each in archived} & (set(officer.seeds) | set(house.session(ANN).seeds))


def test_a_courier_taken_over_opens_what_leaves(make_world: MakeWorld) -> None:
    """The yes of this row, with the passphrase of that delivery; moved to another address it opens no more."""
    world = make_world("strict")
    house = world.house
    reply(world, house.session(PAT), world.write(ANN, PAT))
    row = deliveries_of(house, "handoff")[0]
    assert house.courier.letters.compose(row).recipient == ANN
    stolen = dict(row, recipient_address=EVE)
    assert refused(lambda: house.courier.letters.compose(stolen)) in ("SealBroken", "Moot")


def test_a_courier_taken_over_is_like_an_intruder_at_everybodys_mailbox(make_world: MakeWorld) -> None:
    """Yes: the first mail of a recipient whose code is live. No: where codes stay on the portal, or none is live."""
    world = make_world()
    house = world.house
    first = world.write(ANN, STRANGER)
    courier = house.keeper("courier")
    code = courier.receipt(world.people[ANN], [STRANGER]).codes[0].code
    assert code is not None
    assert courier.receipt(world.people[ANN], [PAT]).codes[0].code is None  # proven: there is none
    proof = house.pickup.prove(house.link(first, STRANGER), code, SOURCE)  # with the portal's help, as anybody may
    intruder = house.found(house.accounts.register(proof.ticket, OTHER, "", SOURCE, "a", "en"))
    assert world.reads(intruder, first)
    assert not world.reads(intruder, world.write(BOB, PAT))


def test_a_submission_process_taken_over_reads_no_mail_that_rests(make_world: MakeWorld) -> None:
    """Its requests give no key of anything; what passes it sees (the yes), and then its epochs end."""
    world = make_world()
    house = world.house
    message = world.write(ANN, PAT)
    keeper, epochs = house.keeper("submission"), house.door.epochs
    held = [live.epoch for live in epochs._live.values()]
    row = grants.held(house.engine, f"account:{world.people[PAT]}", message)[0]
    assert row["epoch"] in {each.id for each in held}  # the yes, for ten minutes
    house.clock.forward(10 * 60_000)
    later = world.write(ANN, PAT)
    fresh = grants.held(house.engine, f"account:{world.people[PAT]}", later)[0]
    assert fresh["epoch"] not in {each.id for each in held}
    for name in ("open", "adopt", "queue", "codes", "passphrase", "notice", "receipt", "register", "reset"):
        with pytest.raises(Denied, match="no such request"):
            keeper._ask(type(None), name)


# -- officers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("custody", CUSTODIES)
def test_an_officer_opens_no_mail_without_a_glass_break(make_world: MakeWorld, custody: str) -> None:
    """Managed, strict, archive: no. Audit and metadata are theirs."""
    world = make_world(custody)
    house = world.house
    message = world.write(ANN, PAT)
    internal = world.write(ANN, BOB)
    officer = house.session(OFFICER)
    house.pickup.adopt(officer)
    assert not world.reads(officer, message)
    assert not world.reads(officer, internal)
    assert refused(lambda: house.accounts.codes(officer, [PAT])) == "Denied"
    assert "message.sealed" in {action for _, action in house.audited(world.clinic)}


def test_the_operator_opens_an_account_only_with_its_password(make_world: MakeWorld) -> None:
    """The home's owner by commands; root on the running server is not defended against, and said so."""
    world = make_world()
    message = world.write(ANN, PAT)
    owner = world.house.keeper("owner")
    assert refused(lambda: owner.open(PAT, bytes(32))) == "WrongSecret"
    row = grants.held(world.house.engine, f"account:{world.people[PAT]}", message)[0]
    epoch = q.EpochRow(row["epoch"], row["pair"], row["suite"], row["owner"], row["epoch_holder"], row["sealed"])
    grant = q.SealedGrant(
        row["org"], message, row["holder"], row["role"], row["contact"], row["custody"], epoch, row["wrap"]
    )
    assert refused(lambda: owner.adopt(world.house.session(PAT).ticket, [grant])) == "Denied"


def test_serve_and_doctor_say_which_rows_do_not_hold_while_all_roles_are_one_user(house: House) -> None:
    said = subprocess.run(
        [sys.executable, "-m", "cryptnsend", "doctor", "--home", str(house.home.path)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    assert ONE_USER in said
    assert "a role that is taken over can read the keeper's files" in ONE_USER

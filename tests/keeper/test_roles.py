"""DESIGN's table of who may open what, the keeper's cells: attack code that runs as a role, with that role's socket.

Each attack has what the thief or the role has, and nothing else. Where the table says yes, that is tried too.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import msgspec
import pytest

from cryptnsend.core import keys, tokens
from cryptnsend.core.cards import read_card, read_statement
from cryptnsend.core.errors import CryptnSendError, Denied, KeeperGone, NoGrant, SealBroken, WrongSecret
from cryptnsend.core.model import STRICT, Signed, account_holder
from cryptnsend.core.passwords import unwrap_seed
from cryptnsend.core.seal import framed
from cryptnsend.core.tokens import Claims
from cryptnsend.keeper import requests as q
from cryptnsend.keeper.client import Keeper
from cryptnsend.keeper.providers import FileProvider
from cryptnsend.keeper.roles import REQUESTS
from cryptnsend.keeper.secrets import load

from .conftest import (
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
from .sealing import queued, sealed_to

ANN, PAT = "ann@clinic.example", "pat@home.example"
RELEASING = {
    "open",
    "open_device",
    "hold",
    "open_second",
    "open_recovered",
    "open_trusted",
    "prove",
    "prove_session",
    "register",
    "reset",
    "signup",
    "adopt",
    "unlock",
    "codes",
    "next_code",
}


def world(keeper: Running) -> tuple[Person, Person, q.SealedGrant, bytes]:
    """Return Ann, Pat who proved the contact, and a message sealed to Pat's own managed pair."""
    ann, pat = subscriber(keeper, ANN), Person(PAT)
    opened = register(keeper, send(keeper, ann, PAT), code_for(keeper, ann, PAT), pat)
    signed = keeper.portal.card(account_holder(opened.account))
    assert signed is not None
    card = read_card(signed, keeper.portal.anchors().card_key)
    grant, content = sealed_to(
        keeper.clock.now(), card.pair("managed"), opened.account, f"{PAT}|{ann.account}", "managed", ann.opened
    )
    return ann, pat, grant, content


def every_octet(folder: Path) -> bytes:
    """Return what a thief of the ledger has: the database, its log, the journal; never the master key."""
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name != "master.key")


# -- the sockets ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["submission", "inbound", "mailbox", "courier", "portal", "owner"])
def test_no_role_reaches_another_roles_requests(keeper: Running, role: str) -> None:
    client = keeper.role(role)
    others = {name for each in REQUESTS.values() for name in each} - set(REQUESTS[role])
    assert others
    for name in sorted(others):
        with pytest.raises(Denied, match="no such request"):
            client._ask(type(None), name)


def test_only_pages_mailboxes_and_the_owner_have_requests_that_release_seeds_or_take_codes() -> None:
    for role in ("submission", "inbound", "courier"):
        assert not RELEASING & set(REQUESTS[role])
    assert {"prove", "adopt", "codes"} & set(REQUESTS["owner"]) == set()
    assert RELEASING & set(REQUESTS["mailbox"]) == {"open", "open_device", "adopt"}


def test_no_list_has_a_request_to_sign_or_to_open_without_a_proof() -> None:
    for listed in REQUESTS.values():
        for name, request in listed.items():
            fields = {field.name for field in msgspec.structs.fields(request.arguments.type)}
            if name in ("open", "check_password", "add", "passwd"):
                assert "k" in fields
            assert not fields & {"body", "public", "seed"}


# -- the thief of database, blobs or backup ---------------------------------------------------------------------------


def test_a_thief_of_the_ledger_finds_no_seed_no_key_no_passphrase_and_no_code(keeper: Running) -> None:
    ann, pat, _, _ = world(keeper)
    assert ann.opened is not None
    assert pat.opened is not None
    words = keeper.portal.passphrase(ann.ticket, ann.k)[0].words
    device = keeper.portal.device_add(ann.ticket, "submit")
    file = keeper.portal.archive_recovery(ann.ticket, ann.k)
    code = code_for(keeper, ann, "new@home.example")
    secrets = load(keeper.engine, keeper.provider, keeper.clock, os.urandom)
    stolen = every_octet(keeper.folder)
    hidden = [*ann.opened.seeds.values(), *pat.opened.seeds.values(), ann.k, pat.k, device.secret, words.encode()]
    hidden += [secrets.key(label) for label in ("recovery", "code", "link", "outer", "ticket", "signing", "pending")]
    hidden += [file.code.encode(), ann.opened.ticket, code.encode() + b"\0"]
    assert PAT.encode() in stolen  # the search itself works
    assert [each for each in hidden if each in stolen] == []


def test_a_thief_of_the_ledger_cannot_check_a_guessed_password(keeper: Running) -> None:
    """Even with the right K: what rests is under the keeper's own key as well."""
    _, pat, _, _ = world(keeper)
    rows = sqlite3.connect(keeper.folder / "ledger.db").execute("SELECT pair, wrap FROM wraps WHERE kind = 'password'")
    found = rows.fetchall()
    assert found
    for pair, wrap in found:
        with pytest.raises(CryptnSendError):
            unwrap_seed(pat.k, wrap, pair=pair, kind="password")


def test_a_thief_with_ledger_and_master_key_opens_managed_mail_but_no_strict_and_no_archive(keeper: Running) -> None:
    """The cell says yes for managed mail, and no for strict mail once the contact is proven, and for archives."""
    _, pat, grant, content = world(keeper)
    secrets = load(keeper.engine, FileProvider(keeper.folder / "master.key", os.urandom), keeper.clock, os.urandom)
    rows = keeper.engine.query("SELECT * FROM pairs")
    opened = {}
    for row in rows:
        if row["recovery_wrap"] is not None:
            aad = framed("recovery", row["id"], row["holder"])
            opened[row["id"]] = keys.unbox(secrets.key("recovery"), row["recovery_wrap"], aad)
    assert {row["custody"] for row in rows if row["id"] in opened} == {"managed"}
    epoch = grant.epoch
    epoch_key = keys.open_with(
        opened[epoch.pair], epoch.sealed, label="epoch", owner=epoch.owner, holder=epoch.holder, ref=epoch.id
    )
    binding = keys.GrantBinding(
        grant.organisation, grant.message, grant.holder, grant.role, grant.contact, grant.custody
    )
    assert keys.unwrap_content(epoch_key, grant.wrap, binding) == content
    strict = [row["id"] for row in rows if row["custody"] == STRICT]
    outer = secrets.key("outer")
    for wrap in keeper.engine.query("SELECT * FROM wraps"):
        if wrap["pair"] in strict and wrap["kind"] == "password":
            inner = keys.unbox(outer, wrap["wrap"], framed("outer", wrap["pair"], "password"))
            with pytest.raises(WrongSecret):
                unwrap_seed(os.urandom(32), inner, pair=wrap["pair"], kind="password")
        if wrap["kind"] == "officer":
            for seed in opened.values():
                with pytest.raises(SealBroken):
                    keys.open_with(
                        seed, wrap["wrap"], label="archive", owner=pat.address, holder="archive", ref=wrap["pair"]
                    )


def test_a_stolen_ledger_without_its_master_key_starts_and_serves_nothing(keeper: Running, make_keeper: Make) -> None:
    world(keeper)
    other = make_keeper()
    keeper.end()
    (keeper.folder / "master.key").write_bytes((other.folder / "master.key").read_bytes())
    keeper.start()
    health = keeper.portal.health()
    assert not health.ok
    assert "not the one" in health.why
    with pytest.raises(KeeperGone):
        keeper.portal.open(PAT, bytes(32))


# -- who reads a mailbox ----------------------------------------------------------------------------------------------


def test_an_intruder_at_the_recipients_mailbox_with_a_subscription_opens_nothing(make_keeper: Make) -> None:
    """They have the link, resets by mail, a sign-up, and codes of their own. They do not have Ann's."""
    keeper = make_keeper(signup="open")
    ann, eve = subscriber(keeper, ANN), Person("eve@evil.example")
    proof = keeper.portal.mail_proof(eve.address, "signup")
    mailed = keeper.courier.mail_code(proof.id)
    eve.opened = keeper.portal.signup(proof.id, mailed.code, proof.salt, "argon2id,m=64,t=1,p=1", eve.k, "Eve", "en")
    first, as_pat = send(keeper, ann, PAT), Person(PAT)
    own = send(keeper, eve, PAT)
    register(keeper, own, code_for(keeper, eve, PAT), as_pat)
    with pytest.raises(WrongSecret):
        keeper.portal.prove_session(as_pat.ticket, first.link.token, first.claims, "123456")
    with pytest.raises(Denied):
        keeper.portal.prove(first.link.token, own.claims, code_for(keeper, eve, "x@home.example"))
    reset_by_mail(keeper, as_pat)
    assert keeper.portal.adopt(as_pat.ticket, [first.grant]) == []
    assert keeper.portal.adopt(eve.ticket, [first.grant]) == []


def test_an_intruder_at_the_subscribers_mailbox_opens_nothing_before_seven_days(keeper: Running) -> None:
    ann, _, _, _ = world(keeper)
    reply = send(keeper, ann, ANN)
    intruder = Person(ANN)
    opened = reset_by_mail(keeper, intruder)
    assert ann.opened is not None
    assert not set(opened.seeds) & set(ann.opened.seeds)
    assert keeper.portal.adopt(intruder.ticket, [reply.grant]) == []
    for kind in ("officer", "waited", "device", "password", "recovery"):
        with pytest.raises(Denied):
            keeper.portal.unlock(intruder.ticket, kind, os.urandom(32), intruder.k)


def test_another_recipient_opens_only_their_own(keeper: Running) -> None:
    ann, _, grant, _ = world(keeper)
    eve = Person("eve@home.example")
    own = send(keeper, ann, eve.address)
    opened = register(keeper, own, code_for(keeper, ann, eve.address), eve)
    adopted = keeper.portal.adopt(opened.ticket, [grant, own.grant])
    assert [each.message for each in adopted] == [own.message]
    assert content_of(adopted[0], opened) == own.content


# -- processes taken over ---------------------------------------------------------------------------------------------


def test_a_portal_taken_over_opens_nobody_who_does_not_sign_in(keeper: Running) -> None:
    ann, pat, grant, _ = world(keeper)
    mail = send(keeper, ann, PAT)
    keeper.courier.receipt(ann.account, [PAT])
    portal = keeper.portal
    forged = os.urandom(32) + msgspec.msgpack.encode([pat.account, "password", 1, 2**53, b"12345678"])
    for ticket in (forged, b"", bytes(64), os.urandom(200)):
        for attempt in (
            lambda ticket=ticket: portal.adopt(ticket, [grant, mail.grant]),
            lambda ticket=ticket: portal.codes(ticket, [PAT]),
            lambda ticket=ticket: portal.passphrase(ticket, os.urandom(32)),
            lambda ticket=ticket: portal.register(ticket, bytes(16), "argon2id,m=64,t=1,p=1", bytes(32), "x", "en"),
        ):
            with pytest.raises(Denied):
                attempt()
    with pytest.raises(WrongSecret):
        portal.open(PAT, os.urandom(32))
    with pytest.raises(CryptnSendError):
        portal.reset(1, "000000", bytes(16), "argon2id,m=64,t=1,p=1", os.urandom(32))


def test_a_session_ticket_is_no_proof_and_a_proof_no_session(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    mail = send(keeper, ann, PAT)
    proof = keeper.portal.prove(mail.link.token, mail.claims, code_for(keeper, ann, PAT))
    with pytest.raises(Denied):
        keeper.portal.codes(proof.ticket, [PAT])
    with pytest.raises(Denied):
        keeper.portal.register(ann.ticket, proof.salt, "argon2id,m=64,t=1,p=1", bytes(32), "x", "en")


def test_a_portal_taken_over_that_guesses_codes_uses_them_up_and_gets_nothing(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    mail = send(keeper, ann, PAT)
    code = code_for(keeper, ann, PAT)
    guesses = [f"{n:06d}" for n in range(50) if f"{n:06d}" != code]
    answers = []
    for guess in guesses:
        with pytest.raises(Denied) as error:
            keeper.portal.prove(mail.link.token, mail.claims, guess)
        answers.append(type(error.value).__name__)
    assert answers == ["WrongSecret"] * 4 + ["Ended"] * (len(guesses) - 4)


def test_a_submission_process_taken_over_cannot_read_keys_codes_or_passphrases(keeper: Running) -> None:
    ann, _, grant, _ = world(keeper)
    grant_out, _ = queued(keeper.clock.now(), keeper.submission.anchors().queue, ANN, "zip")
    submission = keeper.submission
    for name, arguments in (
        ("adopt", {"ticket": ann.ticket, "grants": [grant]}),
        ("queue", {"grant": grant_out}),
        ("codes", {"ticket": ann.ticket, "addresses": [PAT]}),
        ("notice", {"address": PAT, "subscriber": ann.account, "message": 1}),
        ("open", {"address": ANN, "k": ann.k}),
    ):
        with pytest.raises(Denied, match="no such request"):
            submission._ask(type(None), name, **arguments)
    who = submission.check_password(ANN, ann.k)
    assert not hasattr(who, "seeds")


def test_a_courier_taken_over_opens_what_leaves_and_nothing_else(keeper: Running) -> None:
    ann, _, grant, _ = world(keeper)
    waiting = send(keeper, ann, PAT)
    leaving, content = queued(keeper.clock.now(), keeper.courier.anchors().queue, ANN, "zip")
    courier = keeper.courier
    assert courier.queue(leaving).keys == content  # the yes of this cell
    assert courier.queue(leaving).passphrase == keeper.portal.passphrase(ann.ticket, ann.k)[0].words
    for attempt in (
        msgspec.structs.replace(leaving, recipient=PAT),
        msgspec.structs.replace(leaving, form="link"),
        msgspec.structs.replace(leaving, delivery=leaving.delivery + 1),
        msgspec.structs.replace(leaving, message=leaving.message + 1),
        msgspec.structs.replace(leaving, organisation=leaving.organisation + 1),
    ):
        with pytest.raises(SealBroken):
            courier.queue(attempt)
    for stolen in (waiting.grant, grant):
        disguised = q.QueueGrant(stolen.organisation, stolen.message, 1, PAT, "zip", stolen.epoch, stolen.wrap)
        with pytest.raises(NoGrant):
            courier.queue(disguised)
        renamed = msgspec.structs.replace(stolen.epoch, owner="keeper", holder="queue")
        with pytest.raises((NoGrant, SealBroken)):
            courier.queue(msgspec.structs.replace(disguised, epoch=renamed))


def test_a_courier_taken_over_sends_secrets_only_where_the_keeper_says(keeper: Running) -> None:
    ann, _, _, _ = world(keeper)
    assert keeper.courier.receipt(ann.account, ["eve@evil.example"]).address == ANN
    assert keeper.courier.alert(ann.account) == ANN
    assert keeper.courier.notice(PAT, ann.account, 7).address == PAT
    proof = keeper.portal.mail_proof(ANN, "reset")
    assert keeper.courier.mail_code(proof.id).address == ANN


def test_a_courier_taken_over_gets_no_code_where_codes_stay_on_the_portal(make_keeper: Make) -> None:
    keeper = make_keeper(codes_on_receipt=False)
    ann = subscriber(keeper, ANN)
    code_for(keeper, ann, PAT)
    assert keeper.courier.receipt(ann.account, [PAT]).codes == ()


def test_a_courier_cannot_make_the_next_code(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    code = code_for(keeper, ann, PAT)
    for _ in range(3):
        assert keeper.courier.receipt(ann.account, [PAT]).codes[0].code == code


# -- officers and the owner of the home -------------------------------------------------------------------------------


def test_an_officer_opens_no_members_mail(keeper: Running) -> None:
    clinic = keeper.owner.organisation_add("Clinic", "managed", "")
    officer = subscriber(keeper, "o@clinic.example", clinic.id, "officer")
    ann, bob = subscriber(keeper, ANN, clinic.id), subscriber(keeper, "bob@clinic.example", clinic.id)
    mail = send(keeper, ann, bob.address)
    opened = officer.sign_in(keeper)
    assert keeper.portal.adopt(opened.ticket, [mail.grant]) == []
    with pytest.raises(Denied):
        keeper.portal.codes(opened.ticket, [PAT])
    assert ann.opened is not None
    assert not set(opened.seeds) & set(ann.opened.seeds)


def test_the_owner_of_the_home_opens_an_account_only_with_its_password(keeper: Running) -> None:
    _, pat, _, _ = world(keeper)
    with pytest.raises(WrongSecret):
        keeper.owner.open(PAT, os.urandom(32))
    assert keeper.owner.open(PAT, pat.k).account == pat.account


# -- rows of the main database that somebody changed ------------------------------------------------------------------


def test_a_card_or_statement_that_somebody_changed_is_refused(keeper: Running) -> None:
    _, pat, _, _ = world(keeper)
    assert pat.opened is not None
    key = keeper.portal.anchors().card_key
    signed = pat.opened.cards[0]
    changes = {b"pat@home.example": b"eve@evil.example", b'"weak":false': b'"weak":true ', b'"link"': b'"zip" '}
    for word, other in changes.items():
        assert word in signed.body
        with pytest.raises(SealBroken):
            read_card(Signed(signed.body.replace(word, other), signed.signature), key)
    statement = pat.opened.contacts[0].statement
    for changed in (statement[:-1], statement + b" ", b"", statement.replace(b"proven", b"waived"), signed.body):
        with pytest.raises(SealBroken):
            read_statement(changed, key)
    with pytest.raises(SealBroken):
        read_card(Signed(statement[64:], statement[:64]), key)
    with pytest.raises(SealBroken):
        read_card(signed, os.urandom(32))


def test_a_forged_link_is_not_ours(keeper: Running) -> None:
    ann = subscriber(keeper, ANN)
    claims = Claims("open", PAT, ann.account, 7)
    forged = tokens.mint(os.urandom(32), 1, os.urandom(10), claims)
    good = keeper.courier.notice(PAT, ann.account, 7).link.token
    assert keeper.portal.link(good, claims)
    assert keeper.submission.link(good.upper(), claims)
    for token in (forged, "", "x" * 45, good[:-1], good + "a"):
        assert not keeper.portal.link(token, claims)


def test_a_client_of_a_role_cannot_pose_as_another_by_the_arguments(keeper: Running) -> None:
    client = Keeper(keeper.folder / "keeper-courier.sock")
    with pytest.raises(Denied, match="not well formed"):
        client._ask(type(None), "alert", account=1, role="portal")
    with pytest.raises(Denied, match="not well formed"):
        client._ask(type(None), "alert", account="1")
    with pytest.raises(Denied, match="not well formed"):
        client._ask(type(None), "alert", account=2**63)
    with pytest.raises(Denied, match="not an address"):
        client.notice("a@b.example\r\nBcc: eve@evil.example", 1, 1)
    client.close()

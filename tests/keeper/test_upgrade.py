"""Does a ledger of before work after an upgrade? Its schema is that of a fresh one, and everybody still gets in."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cryptnsend.core.cards import read_card
from cryptnsend.core.errors import SecondStep
from cryptnsend.core.model import account_holder
from cryptnsend.core.passwords import Argon
from cryptnsend.core.tokens import Claims
from cryptnsend.keeper import requests as q
from cryptnsend.keeper import schema
from cryptnsend.keeper.context import Settings
from cryptnsend.keeper.providers import FileProvider
from cryptnsend.store.sqlite import SqliteEngine
from tests.support.authenticator import Passkey

from .conftest import PARAMS, HandClock, Running, content_of
from .save_ledger import CARL, DORA, LEDGERS
from .test_second import number

SAVED = sorted(LEDGERS.glob("v*.sql"), key=lambda path: int(path.stem[1:]))
SCHEMA = (
    "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    " AND name <> '_sqlite_migrations' ORDER BY type, name"
)


def restored(saved: Path, ledger: Path) -> SqliteEngine:
    conn = sqlite3.connect(ledger)
    conn.executescript(saved.read_text("utf-8"))
    conn.close()
    return SqliteEngine(ledger)


def test_there_is_a_saved_ledger_to_start_from() -> None:
    assert [path.stem for path in SAVED] == [f"v{number}" for number in range(1, len(SAVED) + 1)]
    assert SAVED


@pytest.mark.parametrize("saved", SAVED, ids=lambda path: path.stem)
def test_a_saved_ledger_upgrades_to_the_schema_of_a_fresh_one(saved: Path, tmp_path: Path) -> None:
    fresh, old = SqliteEngine(tmp_path / "fresh.db"), restored(saved, tmp_path / "old.db")
    try:
        for engine in (fresh, old):
            engine.migrate(schema.STEPS)
        # Not yet released? Then save it anew: python -m tests.keeper.save_ledger 1
        assert old.query(SCHEMA) == fresh.query(SCHEMA)
    finally:
        fresh.close()
        old.close()


@pytest.fixture(params=SAVED, ids=lambda path: path.stem)
def upgraded(request: pytest.FixtureRequest, short_folder: Path) -> Iterator[tuple[Running, dict[str, Any]]]:
    """A keeper of today on a ledger of before, and what its people knew."""
    known = json.loads(request.param.with_suffix(".json").read_text("utf-8"))
    key = short_folder / "master.key"
    key.write_text(known["master_key"])
    key.chmod(0o600)
    engine = restored(request.param, short_folder / "ledger.db")
    keeper = Running(
        short_folder,
        HandClock(),
        Settings(journal=short_folder / "journal.log", argon=Argon(64, 1, 1), origin=lambda: Passkey().origin),
        engine,
        FileProvider(key, os.urandom),
    )
    keeper.clock.at = known["now"] + 60_000
    keeper.start()
    yield keeper, known
    keeper.end()
    engine.close()


def octets(text: str) -> bytes:
    return base64.b64decode(text)


def test_everybody_opens_what_was_theirs(upgraded: tuple[Running, dict[str, Any]]) -> None:
    keeper, known = upgraded
    people = {address: keeper.portal.open(address, octets(k)) for address, k in known["people"].items()}
    assert all(len(each.seeds) >= 2 for each in people.values())
    pat = people["pat@home.example"]
    grant = msgspec.msgpack.decode(octets(known["grant"]), type=q.SealedGrant)
    adopted = keeper.portal.adopt(pat.ticket, [grant])
    assert [content_of(each, pat) for each in adopted] == [octets(known["content"])]


def test_what_was_told_before_still_counts(upgraded: tuple[Running, dict[str, Any]]) -> None:
    keeper, known = upgraded
    ann = keeper.portal.open("ann@clinic.example", octets(known["people"]["ann@clinic.example"]))
    assert keeper.portal.codes(ann.ticket, [CARL])[0].code == known["code"]
    device, secret = known["device"]
    assert keeper.submission.check_device(device, octets(secret), "submit").account == ann.account
    k = octets(known["people"]["ann@clinic.example"])
    assert keeper.portal.passphrase(ann.ticket, k)[0].words == known["passphrase"]
    ident, code = known["invitation"]
    salt = keeper.portal.mail_salt(ident)
    bob = keeper.portal.signup(ident, code, salt, PARAMS, os.urandom(32), "Bob", "en")
    assert bob.organisation == ann.organisation


def test_a_token_of_a_program_still_counts_for_what_it_was_made(upgraded: tuple[Running, dict[str, Any]]) -> None:
    keeper, known = upgraded
    ann = keeper.portal.open("ann@clinic.example", octets(known["people"]["ann@clinic.example"]))
    if "token" not in known:  # from before there were any
        assert keeper.owner.token_list("ann@clinic.example") == []
        return
    if "hook" in known:
        hook, signs = known["hook"]
        assert keeper.courier.hook(hook).secrets == (signs,)
    token, secret = known["token"]
    who = keeper.portal.check_token(token, octets(secret))
    assert (who.account, who.scope) == (ann.account, "send list")


def test_a_second_step_is_asked_for_after_an_upgrade_and_its_phone_still_counts(
    upgraded: tuple[Running, dict[str, Any]],
) -> None:
    keeper, known = upgraded
    if "second" not in known:  # from before there were any: then nobody is asked for one
        assert all(keeper.portal.open(each, octets(k)) for each, k in known["people"].items())
        return
    k, secret = map(octets, known["second"])
    with pytest.raises(SecondStep):
        keeper.portal.open(DORA, k)
    keeper.clock.forward(minutes=2)
    opened = keeper.portal.open_second(keeper.portal.hold(DORA, k), number(keeper, secret))
    assert opened.addresses == (DORA,)


def test_keys_of_ones_own_stay(upgraded: tuple[Running, dict[str, Any]]) -> None:
    keeper, known = upgraded
    ann = keeper.portal.open("ann@clinic.example", octets(known["people"]["ann@clinic.example"]))
    signed = keeper.portal.card(account_holder(ann.account))
    assert signed is not None
    card = read_card(signed, keeper.portal.anchors().card_key)
    kind, mark = known.get("own_key", ("openpgp", ""))
    assert (card.own_key(kind) or b"") == octets(mark)
    assert card.known_keys == ()


def test_what_a_sender_allowed_stays_allowed_and_nothing_else_is(upgraded: tuple[Running, dict[str, Any]]) -> None:
    keeper, known = upgraded
    ann = keeper.portal.open("ann@clinic.example", octets(known["people"]["ann@clinic.example"]))
    assert keeper.portal.usual_way(ann.ticket) == "code"
    if "allowed" in known:
        token, claims = known["allowed"]
        assert keeper.portal.way_of(token, msgspec.convert(claims, Claims)) == "mail"


def test_passkeys_sign_in_after_an_upgrade_and_open_what_they_did(upgraded: tuple[Running, dict[str, Any]]) -> None:
    keeper, known = upgraded
    pat = keeper.portal.open("pat@home.example", octets(known["people"]["pat@home.example"]))
    if "passkeys" not in known:  # from before there were any
        assert keeper.portal.passkeys(pat.ticket) == []
        return
    passkey, step = map(Passkey.back, known["passkeys"])
    asked = keeper.portal.passkey_sign_in(b"browser")
    answer, output = passkey.answer(asked.challenge), passkey.output(asked.input)
    assert keeper.portal.open_passkey(b"browser", answer, output).seeds == pat.seeds
    held = keeper.portal.hold(DORA, octets(known["second"][0]))
    ways = keeper.portal.second_ways(held)
    assert ways.passkey is not None
    assert keeper.portal.open_second_passkey(held, step.answer(ways.passkey.challenge)).addresses == (DORA,)

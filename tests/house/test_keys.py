"""The keys of a server are replaced by commands, and all that was sent before is still read."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from cryptnsend.cli.doctor import master_key
from cryptnsend.config import Config
from cryptnsend.core.errors import NoGrant
from cryptnsend.keeper.recovery import sheet
from tests.support.house import PASSWORD, SOURCE, House
from tests.support.terminal import Operator
from tests.support.tokens import tokens as tokens

ANN, PAT = "ann@gmail.example", "pat@yahoo.example"


@pytest.fixture
def message(house: House) -> int:
    house.add_subscriber(ANN)
    return house.submit(ANN, [PAT], house.mail())


def test_after_new_keys_page_and_mail_program_read_what_was_before_and_what_comes(
    house: House, operator: Operator, message: int
) -> None:
    house.add_subscriber(PAT)
    pat = house.session(PAT)
    house.prove(pat, PAT, message)
    device = house.accounts.add_device(pat, "phone", "read")
    gate = house.process("mailbox").mail_gate
    connected = gate.authenticate(PAT, device.password, SOURCE)
    assert operator("keys", "renew", PAT) == "1 accounts get new keys at their next sign-in.\n"
    assert gate.still_valid(connected)
    entered = house.accounts.sign_in(PAT, PASSWORD, SOURCE, "")
    assert not gate.still_valid(connected)  # it connects anew, with both keys
    assert house.accounts.session(entered) is not None
    later = house.submit(ANN, [PAT], house.mail("Later"))
    for session in (house.session(PAT), gate.authenticate(PAT, device.password, SOURCE).session):
        assert {house.pickup.show(session, each).subject for each in (message, later)} == {"Results", "Later"}
    with pytest.raises(NoGrant):
        house.pickup.show(connected.session, later)
    assert (PAT, "keys-renewed") in house.alerts()
    assert "account.keys-renewed" in {action for _, action in house.audited(pat.organisation)}
    assert operator.json("vault", "verify")["wrong"] == []


def test_everybody_or_one_is_named(house: House, operator: Operator, message: int) -> None:
    house.register(PAT, message)
    assert operator.json("keys", "renew", "--all") == {"accounts": 2}
    operator("keys", "renew", code=2)
    operator("keys", "renew", PAT, "--all", code=2)
    operator("keys", "renew", "nobody@home.example", code=4)


def test_the_keepers_own_keys_are_listed_without_a_key_and_rotated(
    house: House, operator: Operator, message: int
) -> None:
    link = house.link(message, PAT)
    listed = operator.json("keys", "list")
    assert {"link", "recovery", "queue", "pending", "signing", "outer"} <= {row["name"] for row in listed}
    assert all(row["in_use"] for row in listed)
    assert {tuple(sorted(row)) for row in listed} == {("in_use", "made", "name", "number")}
    for name in ("link", "queue", "pending", "recovery"):
        assert "for what is old" in operator("keys", "rotate", name) or name == "recovery"
    operator("keys", "rotate", "signing", code=2)
    assert house.pickup.waiting(link).message == message
    pat = house.register(PAT, message)
    assert house.pickup.show(pat, message).subject == "Results"
    assert [row["object"] for row in audited(operator) if row["action"] == "key.rotated"] == [
        "link", "queue", "pending", "recovery"
    ]  # fmt: skip


def audited(operator: Operator) -> list[dict[str, Any]]:
    return [json.loads(line) for line in operator("audit", "export", "--organisation", 0).splitlines()]


def test_the_master_key_is_replaced_with_the_server_stopped_and_its_recovery_file_opens_it(
    house: House, operator: Operator, message: int
) -> None:
    pat = house.register(PAT, message)
    place = house.config.keeper.key_file
    before = place.read_bytes()
    house.stop_keeper()
    made = operator.json("keys", "master")
    assert place.read_bytes() != before
    assert not place.with_name("master.key.next").exists()
    assert recovered(made) == place.read_bytes()
    house.start_keeper()
    assert house.pickup.show(house.session(PAT), message).subject == "Results"
    assert pat.account

    # A try that ended when everything was under the new key, and that key not in its place yet.
    house.stop_keeper()
    place.rename(place.with_name("master.key.next"))
    place.write_bytes(before)
    place.chmod(0o600)
    operator("keys", "master")
    house.start_keeper()
    assert house.session(PAT).account == pat.account


def recovered(answer: dict[str, Any]) -> bytes:
    """Return the master key that the recovery file of an answer gives back, as a file has it."""
    (kept,) = answer["recovery"]
    return base64.b64encode(sheet(Path(kept["file"]).read_text()).opened(kept["code"]).key) + b"\n"


def test_a_master_key_that_is_not_the_ledgers_is_not_replaced(house: House, operator: Operator, message: int) -> None:
    house.stop_keeper()
    place = house.config.keeper.key_file
    right, other = place.read_bytes(), place.with_name("master.key.next")
    place.unlink()
    operator("keys", "master", code=3)
    other.write_bytes(right)
    other.chmod(0o644)  # unreadable for us as a key, and the only one
    operator("keys", "master", code=3)
    assert other.read_bytes() == right
    other.rename(place)
    place.chmod(0o600)
    house.start_keeper()
    assert house.session(ANN).account


def test_the_master_key_moves_into_a_token_and_out_of_it(
    house: House, operator: Operator, message: int, tokens: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = house.config.keeper.key_file
    before = place.read_bytes()
    monkeypatch.setenv("CRYPTNSEND_KEEPER_PKCS11_KEY", "moved")
    monkeypatch.setenv("CRYPTNSEND_KEEPER_PKCS11_PIN_FILE", str(tokens / "pin"))
    house.stop_keeper()
    assert 'provider = "pkcs11"' in operator("keys", "master", "--to", "pkcs11")
    assert "already" in operator("keys", "master", "--to", "pkcs11", code=3)
    with monkeypatch.context() as settings:
        settings.setenv("CRYPTNSEND_KEEPER_PROVIDER", "pkcs11")
        assert {row["name"] for row in operator.json("keys", "list")} >= {"link"}  # by a keeper of its own
        assert [each.level for each in master_key(Config.load(house.home.config_file))] == ["ok"]
        place.unlink()
        out = operator.json("keys", "master", "--to", "file")
    assert place.read_bytes() != before
    assert recovered(out) == place.read_bytes()
    house.start_keeper()
    assert house.session(ANN).account


def test_the_master_key_moves_into_the_environment_is_replaced_there_and_moves_out(
    house: House, operator: Operator, message: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, name, coming = house.config.keeper.key_file, "CRYPTNSEND_MASTER_KEY", "CRYPTNSEND_MASTER_KEY_NEXT"
    one, two = (base64.b64encode(bytes([each]) * 32).decode() for each in (1, 2))
    before = place.read_bytes()
    house.stop_keeper()
    assert f"{coming}, which should hold the master key, is empty" in operator("keys", "master", "--to", "env", code=5)

    def moved(to: str, *more: str, code: int = 0, **variables: str) -> str:
        with monkeypatch.context() as settings:
            for variable, key in variables.items():
                settings.setenv(variable, key)
            return operator("keys", "master", "--to", to, *more, code=code)

    said = moved("env", **{coming: one})
    assert "A recovery file is" in said
    assert f"what {coming} holds in {name}" in said
    assert one not in said
    place.unlink()
    monkeypatch.setenv("CRYPTNSEND_KEEPER_PROVIDER", "env")
    assert "a new key" in moved("env", code=4, **{name: one, coming: one})
    moved("env", **{name: one, coming: two})
    moved("env", **{name: one, coming: two})  # as one that was broken off is repeated
    with monkeypatch.context() as settings:
        settings.setenv(name, one)
        operator("keys", "list", code=5)
    with monkeypatch.context() as settings:
        settings.setenv(name, two)
        assert {row["name"] for row in operator.json("keys", "list")} >= {"link"}  # by a keeper of its own
    assert recovered(json.loads(moved("file", "--json", **{name: two}))) == place.read_bytes()
    monkeypatch.delenv("CRYPTNSEND_KEEPER_PROVIDER")
    assert place.read_bytes() not in (before, f"{two}\n".encode())
    house.start_keeper()
    assert house.session(ANN).account

"""What does the operator's command line do, command by command, on a home with people and mail in it?"""

from __future__ import annotations

import json
import os
import pwd
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cryptnsend.__main__ import main
from cryptnsend.core.errors import Denied, Ended, WrongSecret
from cryptnsend.reader import main as reader
from cryptnsend.typist import typist
from tests.support.authenticator import Passkey
from tests.support.house import DAY, PASSWORD, SOURCE, House
from tests.support.terminal import Operator

ANN, BOB, PAT, CARL = "ann@gmail.example", "bob@gmail.example", "pat@yahoo.example", "carl@mail.example"
INDEPENDENT = Path(__file__).parents[1] / "independent_reader.py"


@pytest.fixture
def message(house: House) -> int:
    """A message of Ann's to Pat and, in secret, to Carl."""
    house.add_subscriber(ANN)
    return house.submit(ANN, [PAT, CARL], house.mail(to=[PAT], bcc=[CARL]))


# -- subscribers ------------------------------------------------------------------------------------------------------


def test_subscribers_are_added_listed_and_shown(house: House, operator: Operator) -> None:
    house.organisation("Clinic")
    own = operator.json("subscriber", "add", ANN, "--name", "Ann Ruiz", "--own", passwords=(PASSWORD,))
    assert Path(own["recovery"]["file"]).is_file()
    assert own["recovery"]["code"] not in Path(own["recovery"]["file"]).read_text()
    colleague = operator.json("subscriber", "add", BOB, passwords=(PASSWORD,))
    assert colleague["recovery"] is None
    listed = {row["address"]: row["organisation"] for row in operator.json("subscriber", "list")}
    assert (listed[ANN], listed[BOB]) == (None, "Clinic")
    assert "Ann Ruiz  (own)" in operator("subscriber", "list")
    shown = operator.json("subscriber", "show", ANN)
    assert (shown["name"], shown["state"], shown["devices"]) == ("Ann Ruiz", "active", [])
    assert "active" in operator("subscriber", "show", ANN)
    assert operator("subscriber", "show", ANN).endswith("No device passwords.\n")
    assert house.session(ANN).address == ANN


def test_the_organisation_is_named_or_their_own_and_never_both(house: House, operator: Operator) -> None:
    for name in ("Clinic", "Practice"):
        house.organisation(name)
    assert "several organisations" in operator("subscriber", "add", ANN, passwords=(PASSWORD,), code=4)
    add = ("subscriber", "add", ANN, "--organisation", "Practice")
    assert "exclude each other" in operator(*add, "--own", passwords=(PASSWORD,), code=2)
    operator(*add, passwords=(PASSWORD,))
    assert operator.json("subscriber", "show", ANN)["organisation"] == "Practice"


def test_an_invitation_is_mailed(house: House, operator: Operator) -> None:
    assert "waits to leave" in operator("subscriber", "invite", PAT, "--own")
    assert [row["template"] for row in house.queued("code")] == ["invitation"]


def test_who_is_disabled_stays_out_until_enabled(house: House, operator: Operator) -> None:
    house.add_subscriber(ANN)
    operator("subscriber", "disable", ANN)
    with pytest.raises(Denied):
        house.session(ANN)
    operator("subscriber", "disable", ANN, "--enable")
    assert house.session(ANN).address == ANN
    assert "no account with the address" in operator("subscriber", "disable", PAT, code=4)


def test_no_command_takes_a_password_as_an_argument() -> None:
    """Every user of the machine reads arguments."""
    checked = 0
    for name in main.list_commands(None):  # type: ignore[arg-type]
        command = main.get_command(None, name)  # type: ignore[arg-type]
        for each in [command, *getattr(command, "commands", {}).values()]:
            for parameter in each.params if each else ():
                is_secret = any(word in (parameter.name or "") for word in ("password", "secret", "code"))
                assert not is_secret or getattr(parameter, "is_flag", False), (name, parameter.name)
                checked += 1
    assert checked > 100


def test_nobody_types_a_password_for_what_cannot_be(house: House, operator: Operator, message: int) -> None:
    """Each of these would ask for a password, and there is no line on standard input that could be one."""

    def refused(*arguments: object) -> str:
        return operator(*arguments, "--password-stdin", code=4)

    assert "already" in refused("subscriber", "add", ANN)
    assert "is not a mail address" in refused("subscriber", "add", "ann")
    assert "this server's own addresses" in refused("subscriber", "add", f"zoe@{house.config.server.domain}")
    assert "no organisation 'Other'" in refused("subscriber", "add", BOB, "--organisation", "Other")
    for words in (("passwd", "zoe@nowhere.example"), ("passwd", "zoe@nowhere.example", "--forgotten")):
        assert "no account with the address" in refused("subscriber", *words)
    assert "no account with the address" in refused("device", "add", "zoe@nowhere.example", "--name", "Outlook")
    assert "no account with the address" in refused("message", "export", message, "--account", "zoe@nowhere.example")
    assert "There is no message 1." in refused("message", "export", 1, "--account", ANN)


# -- passkeys ---------------------------------------------------------------------------------------------------------


def test_a_passkey_is_listed_and_removed_by_its_number_or_name(house: House, operator: Operator) -> None:
    house.add_subscriber(ANN)
    session, passkey = house.session(ANN), Passkey()
    for name in ("Phone", "Laptop"):
        passkey = Passkey()
        ask = house.accounts.begin_passkey(session, PASSWORD, SOURCE)
        house.accounts.add_passkey(session, name, passkey.make(ask.challenge), b"")
        house.clock.forward(1000)
    first, second = operator.json("passkey", "list", ANN)
    assert (first["name"], first["kept"], first["opens"], first["used"]) == ("Phone", "device", False, None)
    assert "Laptop" in operator("passkey", "list", ANN)
    assert "There are: 'Phone'" in operator("passkey", "revoke", ANN, "Tablet", code=4)
    assert operator.json("passkey", "revoke", ANN, "laptop")["id"] == second["id"]
    assert "is removed" in operator("passkey", "revoke", ANN, str(first["id"]))
    assert "has no passkey" in operator("passkey", "list", ANN)
    ask = house.accounts.ask_any_passkey(b"browser")
    with pytest.raises(WrongSecret):
        house.accounts.passkey_sign_in(b"browser", passkey.answer(ask.challenge), b"", SOURCE, "a browser")


# -- devices ----------------------------------------------------------------------------------------------------------


def test_a_device_is_made_listed_and_revoked(house: House, operator: Operator) -> None:
    house.add_subscriber(ANN)
    made = operator.json("device", "add", ANN, "--name", "Outlook", passwords=(PASSWORD,))
    signed_in = house.sign_in_smtp(ANN, made["password"])
    assert [row["name"] for row in operator.json("device", "list", ANN)] == ["Outlook"]
    assert made["password"] not in operator("device", "list", ANN)
    assert f"{made['id']}  Outlook  sending" in operator("subscriber", "show", ANN)
    operator("device", "revoke", made["id"])
    assert "is revoked already, since" in operator("device", "revoke", made["id"], code=4)
    assert house.gate.still_valid(signed_in) is False
    assert "has no device password" in operator("device", "list", ANN)
    operator("device", "add", ANN, "--name", "Outlook", passwords=("a wrong password",), code=4)


def test_a_device_is_revoked_by_its_number_or_as_somebodys_by_its_name(house: House, operator: Operator) -> None:
    house.add_subscriber(ANN)
    house.add_subscriber(BOB)

    def made(address: str, name: str) -> str:
        return str(operator.json("device", "add", address, "--name", name, passwords=(PASSWORD,))["id"])

    phone, bobs = made(ANN, "Phone"), made(BOB, "Phone")
    assert operator.json("device", "revoke", ANN, "phone")["id"] == phone
    assert [row["id"] for row in operator.json("device", "list", BOB)] == [bobs], "a name is looked for at one account"
    first, second = made(ANN, "Outlook"), made(ANN, "Outlook")
    said = operator("device", "revoke", ANN, "Outlook", code=4)
    assert f"{min(first, second)}, {max(first, second)}" in said
    assert operator.json("device", "revoke", ANN, second)["id"] == second
    said = operator("device", "revoke", ANN, "Phone", code=4)
    assert f"There are: 'Outlook' ({first})." in said
    assert "has no device" in operator("device", "revoke", ANN, bobs, code=4)
    said = operator("device", "revoke", "Outlook", code=2)
    assert "cryptnsend device revoke ADDRESS NAME" in said
    assert "stands in quotes" in operator("device", "revoke", ANN, "Outlook", "2", code=2)
    assert "no account with the address" in operator("device", "revoke", "zoe@nowhere.example", "x", code=4)


# -- messages ---------------------------------------------------------------------------------------------------------


def test_messages_are_listed_and_shown_without_a_word_of_theirs(house: House, operator: Operator, message: int) -> None:
    said = operator("message", "list") + operator("message", "show", message)
    assert "Results" not in said
    assert "All is well" not in said
    assert [row["id"] for row in operator.json("message", "list", "--author", ANN)] == [str(message)]
    assert operator.json("message", "list", "--author", PAT) == []
    nothing = operator("message", "list", "--author", "Zoe@nowhere.example")
    assert nothing == "No message from zoe@nowhere.example is in the vault, and nobody here has that address.\n"
    house.add_subscriber(BOB)
    assert operator("message", "list", "--author", BOB) == f"No message from {BOB} is in the vault.\n"
    assert operator("queue", "list", "--state", "failed") == "No delivery is like that.\n"
    shown = operator.json("message", "show", message)
    assert {row["address"]: row["decision"] for row in shown["recipients"]} == {PAT: "vault", CARL: "vault"}
    operator("message", "show", 1, code=4)
    assert "the organisation seals everything that nothing else applies to" in operator("message", "show", message)
    assert "'abc' is not a valid number." in operator("message", "show", "abc", code=2)


def test_a_message_is_taken_back_from_one_and_given_back(house: House, operator: Operator, message: int) -> None:
    pat, carl = house.register(PAT, message), house.register(CARL, message)
    operator("message", "expire", message, "--recipient", PAT)
    with pytest.raises(Ended):
        house.pickup.show(pat, message)
    assert house.pickup.show(carl, message).subject == "Results"
    operator("message", "expire", message)
    with pytest.raises(Ended):
        house.pickup.show(carl, message)
    operator("message", "restore", message)
    assert house.pickup.show(pat, message).subject == house.pickup.show(carl, message).subject == "Results"
    assert ("owner", "grant.suspended") in house.audited(house.session(ANN).organisation)
    operator("message", "expire", message, "--recipient", "zoe@nowhere.example", code=4)
    operator("message", "restore", message, "--recipient", "zoe@nowhere.example", code=4)
    operator("message", "show", 1 << 63, code=2)
    operator("message", "expire", 1, code=4)


def test_an_export_is_for_whose_password_it_is_and_never_over_a_file(
    house: House, operator: Operator, tmp_path: Path
) -> None:
    house.add_subscriber(ANN)
    octets = house.mail(to=[PAT], bcc=[CARL])
    message = house.submit(ANN, [PAT, CARL], octets)
    place = tmp_path / "one.eml"
    export = ("message", "export", message, "--account", ANN, "--output", place)
    operator(*export, passwords=("a wrong password",), code=4)
    assert not place.exists()
    operator(*export, passwords=(PASSWORD,))
    assert place.read_bytes() == octets
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert "is there already" in operator(*export, passwords=(PASSWORD,), code=4)
    assert ("message.exported") in {action for _, action in house.audited(house.session(ANN).organisation)}
    house.add_subscriber(BOB)
    operator("message", "export", message, "--account", BOB, "--output", "-", passwords=(PASSWORD,), code=4)


def test_a_sealed_export_opens_without_the_server(
    house: House, operator: Operator, message: int, tmp_path: Path
) -> None:
    house.register(PAT, message)
    place, opened = tmp_path / "one.sealed", tmp_path / "one.eml"
    operator("message", "export", message, "--account", PAT, "--sealed", "--output", place, passwords=(PASSWORD,))
    assert b"All is well" not in place.read_bytes()
    house.stop_keeper()
    read = CliRunner().invoke(reader, [str(place), str(opened), "--password-stdin"], input=PASSWORD + "\n")
    assert read.exit_code == 0, read.output
    assert b"All is well." in opened.read_bytes()
    assert CARL.encode() not in opened.read_bytes()
    theirs = subprocess.run(
        [sys.executable, str(INDEPENDENT), str(place)], input=f"{PASSWORD}\n".encode(), capture_output=True, check=True
    )
    assert theirs.stdout == opened.read_bytes()
    wrong = CliRunner().invoke(reader, [str(place), "--check", "--password-stdin"], input="another one\n")
    assert wrong.exit_code == 4
    house.start_keeper()


# -- the queue --------------------------------------------------------------------------------------------------------


def test_what_waits_is_listed_dropped_for_good_and_tried_again(house: House, operator: Operator, message: int) -> None:
    waiting = {row["kind"]: row for row in operator.json("queue", "list")}
    assert set(waiting) == {"notice", "receipt"}
    assert PAT in operator("queue", "list")
    dropped = waiting["notice"]["id"]
    operator("queue", "drop", dropped)
    assert house.engine.query("SELECT state FROM deliveries WHERE id = :id", id=dropped) == [{"state": "cancelled"}]
    assert f'"kind":"cancel","ids":[{dropped}]' in house.home.journal.read_text().replace(" ", "")
    operator("queue", "drop", dropped, code=4)
    receipt = waiting["receipt"]["id"]
    house.tamper("UPDATE deliveries SET state = 'failed', crashes = 2, due = 1 WHERE id = :id", id=receipt)
    assert [row["id"] for row in operator.json("queue", "list", "--state", "failed")] == [receipt]
    operator("queue", "retry", receipt)
    row = house.engine.query("SELECT state, crashes, due FROM deliveries WHERE id = :id", id=receipt)[0]
    assert (row["state"], row["crashes"]) == ("due", 0)
    assert row["due"] > 1
    operator("queue", "retry", 1, code=4)
    assert {("owner", "delivery.cancelled"), ("owner", "delivery.retried")} <= set(
        house.audited(house.session(ANN).organisation)
    )


def test_what_was_dropped_does_not_leave_after_a_restore(house: House, operator: Operator, message: int) -> None:
    dropped = next(row["id"] for row in operator.json("queue", "list") if row["kind"] == "notice")
    operator("queue", "drop", dropped)
    house.tamper("UPDATE deliveries SET state = 'due', settled = NULL WHERE id = :id", id=dropped)
    house.upkeep.restored()
    assert house.engine.query("SELECT state FROM deliveries WHERE id = :id", id=dropped) == [{"state": "cancelled"}]


def test_the_audit_trail_says_who_typed_a_command(
    house: House, operator: Operator, message: int, tmp_path: Path
) -> None:
    operator("message", "export", message, "--account", ANN, "--output", tmp_path / "one.eml", passwords=(PASSWORD,))
    operator("message", "expire", message)
    operator("subscriber", "invite", "zoe@gmail.example", "--own")
    operator("queue", "hold", operator.json("queue", "list", "--kind", "code")[0]["id"])
    entries = [json.loads(line) for line in operator("audit", "export").splitlines()]
    typed = {each["action"]: each["detail"] for each in entries if "uid" in each["detail"]}
    assert typed.keys() >= {"message.exported", "grant.suspended", "account.invited", "delivery.held"}
    for said in typed.values():
        assert (said["source"], said["uid"]) == ("command line", os.getuid())
        assert said["user"] == pwd.getpwuid(os.getuid()).pw_name
    assert all("uid" in each["detail"] for each in entries if each["actor"] == "owner")


def test_who_signed_in_to_the_machine_is_noted_beside_the_user_they_became(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernel keeps of a sign-in does not change with su and sudo; without a sign-in there is none."""
    for kept, login in (("4294967295", None), (str(os.getuid()), None), ("61004", "61004"), ("", None)):
        monkeypatch.setattr(Path, "read_text", lambda _path, _encoding, kept=kept: kept)
        assert typist().get("login") == login


# -- looking into things ----------------------------------------------------------------------------------------------


def test_policy_explain_says_the_decision_first_and_then_why(house: House, operator: Operator, message: int) -> None:
    ask = ("policy", "explain", "--from", ANN, "--to", PAT, "--subject")
    assert operator(*ask, "Results").splitlines()[0] == "vault"
    assert operator(*ask, ":: lunch").splitlines()[:2] == [
        "relay", "Sent as plain mail, not sealed for this recipient: the subject begins with ::.",
    ]  # fmt: skip
    assert operator.json(*ask, "secure/ lunch")["reason"] == "secure-token"
    operator("policy", "explain", "--from", PAT, "--to", ANN, code=4)


def test_the_audit_trail_is_exported_and_a_changed_entry_is_found(
    house: House, operator: Operator, message: int
) -> None:
    entries = [json.loads(line) for line in operator("audit", "export").splitlines()]
    assert "message.sealed" in {each["action"] for each in entries}
    assert all(len(each["hash"]) == 64 for each in entries)
    org = next(each["organisation"] for each in entries if each["action"] == "message.sealed")
    some = operator("audit", "export", "--organisation", org, "--after", 1).splitlines()
    assert {json.loads(line)["organisation"] for line in some} == {org}
    assert {each["problem"] for each in operator.json("audit", "verify")} == {""}
    assert {each["name"] for each in operator.json("audit", "verify")} == {"the installation", ANN}
    assert f"\n{ANN} ({org}): " in operator("audit", "verify")
    assert operator("audit", "export", "--organisation", 0) == ""  # nothing happened to the installation itself
    assert "There is no organisation 99." in operator("audit", "export", "--organisation", 99, code=4)
    assert "no organisation 'Nope'" in operator("audit", "export", "--organisation", "Nope", code=4)
    house.tamper("UPDATE audit SET actor = 'nobody' WHERE action = 'message.sealed'")
    assert "was edited" in operator("audit", "verify", code=1)


def test_a_missing_blob_is_found(house: House, operator: Operator) -> None:
    house.add_subscriber(ANN)
    house.submit(ANN, [PAT], house.mail(text="long " * 20_000))
    assert operator.json("vault", "verify")["missing"] == []
    ((key, _),) = house.portal.blobs.keys()
    house.portal.blobs.delete(key)
    assert f"missing: blob {key}" in operator("vault", "verify", code=1)


def damage(house: House, octets: bytes) -> None:
    """Let the raw part of the only message rest as these octets, as a disk or somebody with the files leaves it."""
    (row,) = house.engine.query("SELECT blob_key FROM contents WHERE part = 'raw'")
    if row["blob_key"] is None:
        house.spoil("UPDATE contents SET body = :body WHERE part = 'raw'", body=octets)
    else:
        place = next(path for path in house.home.blobs.rglob("*") if path.name == row["blob_key"])
        place.chmod(0o600)
        place.write_bytes(octets)


@pytest.mark.parametrize("words", [1, 20_000], ids=["in its row", "in a blob"])
def test_the_vault_is_verified_to_the_last_octet(house: House, operator: Operator, words: int) -> None:
    house.add_subscriber(ANN)
    message = house.submit(ANN, [PAT], house.mail(text="long " * words))
    for _ in range(2):  # a day later the archive has listed it
        house.clock.forward(DAY)
        house.upkeep.once()
    assert operator.json("vault", "verify") == {"missing": [], "wrong": [], "litter": 0}
    (row,) = house.engine.query("SELECT body, blob_key FROM contents WHERE part = 'raw'")
    octets = row["body"] or b"".join(house.portal.blobs.open(row["blob_key"]))
    damage(house, octets[:-1] + bytes([octets[-1] ^ 1]))
    said = operator("vault", "verify", code=1)
    assert said.startswith(f"changed: message {message}: not what its archive has listed\n1 things are wrong")
    damage(house, octets[:-1])
    assert operator("vault", "verify", code=1).startswith(f"cut: message {message}, raw: ")
    damage(house, octets)
    assert "0 things are wrong" in operator("vault", "verify")


@pytest.mark.parametrize("words", [1, 20_000], ids=["in its row", "in a blob"])
def test_a_message_with_people_in_bcc_is_whole_until_it_is_cut(house: House, operator: Operator, words: int) -> None:
    house.add_subscriber(ANN)
    message = house.submit(
        ANN, [PAT, "carl@icloud.example"], house.mail(text="long " * words, bcc=["carl@icloud.example"])
    )
    assert operator.json("vault", "verify") == {"missing": [], "wrong": [], "litter": 0}
    (row,) = house.engine.query("SELECT body, blob_key FROM contents WHERE part = 'raw'")
    octets = row["body"] or b"".join(house.portal.blobs.open(row["blob_key"]))
    damage(house, octets[:40])
    assert operator("vault", "verify", code=1).startswith(f"cut: message {message}, raw: ")


def test_a_backup_needs_a_folder_that_can_be_made(house: House, operator: Operator, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    assert "exists. Name a folder that does not exist yet" in operator("backup", tmp_path / "there", code=3)
    said = operator("backup", tmp_path / "no" / "such" / "folder", code=3)
    assert f"{tmp_path}/no/such/folder cannot be made: No such file or directory." in said


@pytest.mark.parametrize("local", ["a/b", '"a/../../b"', "x" * 60 + "/é", "%2Fa"])
def test_a_recovery_file_lies_in_its_folder_whatever_the_address(house: House, operator: Operator, local: str) -> None:
    made = operator.json("subscriber", "add", f"{local}@gmail.example", "--own", passwords=(PASSWORD,))
    file = Path(made["recovery"]["file"])
    assert (file.parent, file.is_file()) == (house.home.recovery, True)


def test_without_a_keeper_a_backup_has_all_but_the_signing_keys_and_says_so(
    house: House, operator: Operator, message: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextlib import contextmanager

    from cryptnsend.cli import backup
    from cryptnsend.core.errors import KeeperGone

    @contextmanager
    def gone(_: object) -> Any:
        raise KeeperGone("The keeper does not start.")
        yield

    monkeypatch.setattr(backup, "keeper_running", gone)
    said = operator("backup", tmp_path / "backup")
    assert "The keys that sign mail are not in this backup. The keeper does not start." in said
    assert {each.name for each in (tmp_path / "backup").iterdir()} == {"main.db", "ledger.db", "blobs", "manifest"}
    with closing(sqlite3.connect(tmp_path / "backup" / "main.db")) as rows:
        assert rows.execute("SELECT count(*) FROM messages").fetchone() == (1,)

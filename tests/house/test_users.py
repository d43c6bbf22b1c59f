"""A user for each role: how a home comes to them, what root's commands leave behind, and what is said without them."""

from __future__ import annotations

import dataclasses
import imaplib
import json
import os
import re
import smtplib
import stat
import subprocess
from pathlib import Path

import pytest

from cryptnsend import rights
from cryptnsend.config import Config
from cryptnsend.core.contracts import BUNDLE
from cryptnsend.home import Home, file_mode
from cryptnsend.lending import Lending
from cryptnsend.making import make_certificate
from tests.support.apart import PEOPLE, Apart, MakeApart, modes, with_users
from tests.support.waiting import wait_for

PASSWORD = "harbour violet tractor ninety"
ANN = "ann@gmail.example"


def submit(server: Apart, body: str) -> tuple[int, bytes]:
    port = server.home.ports()["submissions"]
    assert port < 1024
    with smtplib.SMTP_SSL("localhost", port, context=server.context(), timeout=60) as client:
        client.login(ANN, PASSWORD)
        client.mail(ANN)
        client.rcpt("pat@yahoo.example")
        return client.data(f"From: {ANN}\r\nTo: pat@yahoo.example\r\nSubject: Results\r\n\r\n{body}\r\n".encode())


# -- a whole server ---------------------------------------------------------------------------------------------------


def test_mail_is_taken_at_a_port_of_roots_and_roots_command_works_beside(apart: Apart | None) -> None:
    if apart is None:
        return
    apart.done("subscriber", "add", ANN, "--password-stdin", stdin=PASSWORD + "\n")
    assert submit(apart, "x" * 70_000)[0] == 250  # a blob, of the doors' user
    found = modes(apart.config)
    group, users = PEOPLE.gid, {0, *PEOPLE.uids.values()}
    shared = {name: each for name, each in found.items() if name.startswith("data/") and name != "data/blobs"}
    assert {name for name in shared if not name.startswith("data/blobs/")} >= {"data/main.db", "data/main.db-wal"}
    for name, (uid, gid, mode) in shared.items():
        assert (uid in users, gid, mode) == (True, group, "640" if name.startswith("data/blobs/") else "660"), name
    assert {found[name][0] for name in found if name.startswith("keeper/")} == {PEOPLE.uids["keeper"]}


@pytest.mark.long
def test_a_home_of_one_user_is_served_by_several_and_roots_commands_lock_nobody_out(
    make_apart: MakeApart | None, short_folder: Path
) -> None:
    """Made and used by root alone, then served; commands before, meanwhile and after; a backup, restored and served."""
    if make_apart is None:
        return
    server = make_apart()
    assert modes(server.config)["data"] == (0, 0, "700")
    server.done("subscriber", "add", ANN, "--password-stdin", stdin=PASSWORD + "\n")
    server.start()
    assert submit(server, "x" * 70_000)[0] == 250  # a blob, of the doors' user
    server.done("subscriber", "add", "bob@gmail.example", "--password-stdin", stdin=PASSWORD + "\n")
    server.done("vault", "verify")
    server.done("backup", str(short_folder / "backup"))
    server.stop()
    server.done("subscriber", "add", "eve@gmail.example", "--password-stdin", stdin=PASSWORD + "\n")
    server.done("audit", "verify")
    server.start()
    assert submit(server, "x" * 70_000)[0] == 250
    assert not [line for line in server.log.splitlines() if '"level":"error"' in line]
    server.stop()

    other = make_apart()
    (other.home.keeper / "master.key").unlink(missing_ok=True)
    (other.home.keeper / "master.key").write_bytes((server.home.keeper / "master.key").read_bytes())
    (other.home.keeper / "master.key").chmod(0o600)
    other.done("restore", str(short_folder / "backup"))
    other.start()
    assert submit(other, "y" * 70_000)[0] == 250
    other.done("vault", "verify")
    listed = json.loads(other.done("message", "list", "--json"))
    assert len(listed) == 2


def test_doctor_finds_nothing_to_say_about_users_and_rights(apart: Apart | None) -> None:
    if apart is None:
        return
    found = {each["check"]: each for each in json.loads(apart.command("doctor", "--json").stdout)}
    assert {found[each]["level"] for each in ("users", "permissions", "server")} == {"ok"}, found


def test_a_second_server_leaves_the_home_of_the_first_as_it_is(apart: Apart | None) -> None:
    """Also one that would have to play all roles as one user: it would lock the first one's roles out."""
    if apart is None:
        return
    before = {name: mode for name, mode in modes(apart.config).items() if name in ("data", "keeper", "run")}
    for role in ((), ("portal",)):
        refused = subprocess.run(
            [apart.python, "-m", "cryptnsend", "serve", *role, "--home", str(apart.home.path)],
            env=apart.environ | {"CRYPTNSEND_USERS_SEPARATE": "never"},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert (refused.returncode, "a server runs on this home already" in refused.stderr) == (3, True), refused.stderr
        assert before.items() <= modes(apart.config).items()


@pytest.mark.long
def test_a_role_that_comes_back_keeps_its_privileged_port_and_nobody_is_refused_meanwhile(
    make_apart: MakeApart | None,
) -> None:
    if make_apart is None:
        return
    server = make_apart()
    server.start()
    port = server.home.ports()["submissions"]
    os.kill(server.pids()["submission"], 9)
    with smtplib.SMTP_SSL("localhost", port, context=server.context(), timeout=90) as client:
        assert client.noop()[0] == 250
    assert server.home.ports()["submissions"] == port
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        smtplib.SMTP_SSL("localhost", port, context=server.context(), timeout=10)


@pytest.mark.long
def test_processes_that_share_a_port_of_roots_are_all_the_user_of_their_role(make_apart: MakeApart | None) -> None:
    if make_apart is None:
        return
    server = make_apart(submission={"processes": 2})
    server.start()
    server.done("subscriber", "add", ANN, "--password-stdin", stdin=PASSWORD + "\n")
    pids = server.pids()
    uids = {name: Path(f"/proc/{pids[name]}").stat().st_uid for name in ("submission", "submission-2")}
    assert set(uids.values()) == {PEOPLE.uids["submission"]}
    os.kill(pids["submission"], 9)
    assert [submit(server, f"Fine, {number}.")[0] for number in range(6)] == [250] * 6  # by both, or by who is left
    server.stop()


def test_one_role_as_root_is_its_own_user_too(make_apart: MakeApart | None) -> None:
    if make_apart is None:
        return
    server = make_apart()
    log = (server.folder / "keeper.log").open("wb")
    process = subprocess.Popen(
        [server.python, "-m", "cryptnsend", "serve", "keeper", "--home", str(server.home.path)],
        env=server.environ, stdout=log, stderr=log,
    )  # fmt: skip
    try:
        wait_for(lambda: b"keeper.ready" in (server.folder / "keeper.log").read_bytes(), "the keeper", seconds=90)
        server.done("subscriber", "add", ANN, "--password-stdin", stdin=PASSWORD + "\n")
        assert server.home.keeper_socket("owner").stat().st_uid == PEOPLE.uids["keeper"]
        server.environ["CRYPTNSEND_USERS_SEPARATE"] = "never"
        refused = server.command("serve", "courier")
        assert (refused.returncode, "as users of their own, and this one cannot" in refused.stderr) == (3, True)
        assert modes(server.config)["data"] == (0, PEOPLE.gid, "2770")
    finally:
        process.terminate()
        assert process.wait(60) == 0
        log.close()


@pytest.mark.long
def test_a_renewed_certificate_reaches_every_door_though_none_may_read_it(apart: Apart | None) -> None:
    """Its key is root's alone, as the programs that renew certificates leave it. Who is connected stays connected."""
    if apart is None:
        return
    ports = apart.home.ports()
    starttls: dict[str, str | None] = dict.fromkeys(("submission", "inbound"), "smtp")
    assert set(ports) == {"submissions", "submission", "inbound", "imaps", "pop3s", "portal"}
    with imaplib.IMAP4_SSL("localhost", ports["imaps"], ssl_context=apart.context(), timeout=60) as connected:
        make_certificate(apart.config)
        assert stat.S_IMODE(apart.config.tls.key.stat().st_mode) == 0o600
        new = apart.config.tls.certificate.read_text()
        for door, port in ports.items():
            wait_for(
                lambda door=door, port=port: shown(port, starttls.get(door)) == new,
                f"{door} to show it",
                seconds=180,
                step=1,
            )
        assert connected.noop()[0] == "OK"


def shown(port: int, starttls: str | None) -> str:
    """Return the certificate that a door shows, as PEM; *starttls* is the protocol spoken before TLS, if any."""
    upgraded = ["-starttls", starttls] if starttls else []
    said = subprocess.run(
        ["openssl", "s_client", "-connect", f"localhost:{port}", "-servername", "localhost", *upgraded],
        input="", capture_output=True, text=True, timeout=60, check=False,
    ).stdout  # fmt: skip
    found = re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", said, re.DOTALL)
    return found[0] if found else ""


@pytest.mark.long
def test_the_log_file_is_roots_and_every_role_writes_to_it(make_apart: MakeApart | None) -> None:
    if make_apart is None:
        return
    server = make_apart(log={"file": "server.log"})
    log = server.home.path / "server.log"
    process = subprocess.Popen(
        [server.python, "-m", "cryptnsend", "serve", "--home", str(server.home.path)], env=server.environ
    )
    try:
        wait_for(lambda: log.exists() and "all roles are ready" in log.read_text(), "the server", seconds=120)
        roles = {json.loads(line)["role"] for line in log.read_text().splitlines()}
        assert roles >= {"supervisor", "keeper", "submission", "portal"}
        assert (log.stat().st_uid, stat.S_IMODE(log.stat().st_mode)) == (0, 0o600)
    finally:
        process.terminate()
        assert process.wait(60) == 0


# -- a home, arranged -------------------------------------------------------------------------------------------------


def test_what_is_whose(config: Config, as_root: bool) -> None:
    if not as_root:
        return
    home = Home(config.server.home)
    for file in (home.ledger, home.main_db, home.blobs / "a1b2c3d4", home.blobs / "b1b2c3d4~"):
        file.touch(mode=0o600)
    (home.blobs / "b1b2c3d4~").write_bytes(BUNDLE)
    os.link(home.blobs / "b1b2c3d4~", home.blobs / "c1b2c3d4~")  # two blobs in one file
    for name in ("relay.password", "signer.pem", "signer.key"):
        (home.path / name).touch(mode=0o600)
    delivery = dataclasses.replace(config.delivery, smarthost_password_file="relay.password")
    programs = dataclasses.replace(config.programs, profile_certificate="signer.pem", profile_key="signer.key")
    rights.settle(with_users(dataclasses.replace(config, delivery=delivery, programs=programs)), PEOPLE)
    found = modes(config)
    keeper, courier, group = PEOPLE.uids["keeper"], PEOPLE.uids["courier"], PEOPLE.gid
    assert found["."] == (0, group, "750")
    assert found["cryptnsend.toml"] == (0, group, "640")
    assert found["keeper"] == (keeper, group, "700")
    assert found["keeper/ledger.db"] == (keeper, group, "600")
    assert found["data"] == found["data/blobs"] == (0, group, "2770")
    assert found["data/main.db"] == (0, group, "660")
    for name in ("a1b2c3d4", "b1b2c3d4~", "c1b2c3d4~"):
        assert found[f"data/blobs/{name}"] == (0, group, "640")
    assert found["dkim/rsa1.pem"] == (courier, group, "600")
    assert found["relay.password"] == (courier, group, "600")
    assert found["signer.key"] == found["signer.pem"] == (PEOPLE.uids["portal"], group, "600")
    assert found["tls/key.pem"] == (0, group, "600")
    assert found["recovery"] == (0, group, "700")
    assert found["run"] == (0, group, "2750")
    assert found["run/keeper"] == (keeper, group, "2750")
    assert file_mode(home.main_db.parent) == 0o660
    rights.settle(with_users(config), PEOPLE)
    assert modes(config) == found
    rights.settle(dataclasses.replace(config, delivery=delivery, programs=programs), None)
    back = modes(config)
    assert {each[:2] for each in back.values()} == {(0, 0)}
    assert {each[2] for each in back.values()} == {"700", "600"}
    assert file_mode(home.main_db.parent) == 0o600


def test_nothing_that_a_role_puts_in_its_folders_lets_root_give_away_something_else(
    config: Config, as_root: bool, tmp_path: Path
) -> None:
    """Links, second names, and a folder in a file's place."""
    if not as_root:
        return
    home, users = Home(config.server.home), with_users(config)
    rights.settle(users, PEOPLE)
    (home.keeper / "master.key").write_bytes(b"secret")
    (home.keeper / "master.key").chmod(0o600)
    outside = home.path / "root's own"
    outside.write_bytes(b"secret")
    outside.chmod(0o600)
    home.main_db.symlink_to(home.keeper / "master.key")
    (home.blobs / "b1b2b3b4").symlink_to(outside)
    os.link(outside, home.spool / "second-name")
    for name in ("c1c2c3c4~", "d1d2d3d4~"):
        os.link(outside, home.blobs / name)
    (home.main_db.parent / "main.db-wal").mkdir()
    rights.settle(users, PEOPLE, deep=True)
    # As if names of it elsewhere had been counted here, and taken away since.
    (home.blobs / "e1e2e3e4~").write_bytes(b"secret")
    (home.blobs / "e1e2e3e4~").chmod(0o600)
    os.link(home.blobs / "e1e2e3e4~", home.blobs / "f1f2f3f4~")
    rights.settle(users, PEOPLE, deep=True)
    assert stat.S_IMODE((home.blobs / "f1f2f3f4~").stat().st_mode) == 0o600
    for path in (home.keeper / "master.key", outside):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert outside.stat().st_uid == 0
    for name in ("b1b2b3b4", "c1c2c3c4~", "d1d2d3d4~", "e1e2e3e4~", "f1f2f3f4~"):
        (home.blobs / name).unlink()
    home.blobs.rmdir()
    home.blobs.symlink_to(tmp_path)
    with pytest.raises(rights.NotApart, match="cannot be used as a folder"):
        rights.settle(users, PEOPLE)


def test_doctor_names_what_more_people_can_use_than_should(config: Config, as_root: bool) -> None:
    if not as_root:
        return
    home = Home(config.server.home)
    home.config_file.chmod(0o644)
    assert [path for path, _ in rights.exposed(config)] == [home.config_file]
    home.config_file.chmod(0o600)
    users = with_users(config)
    rights.settle(users, PEOPLE)
    assert list(rights.exposed(users)) == []
    (home.keeper / "ledger.db").touch(mode=0o600)
    (home.keeper / "ledger.db").chmod(0o660)
    (home.dkim / "new.pem").touch(mode=0o600)
    found = dict(rights.exposed(users))
    assert set(found) == {home.keeper / "ledger.db", home.dkim / "new.pem"}
    assert found[home.keeper / "ledger.db"].startswith("chmod 600 ")


def test_doors_are_lent_certificate_and_key_and_a_new_one_when_it_comes(config: Config, as_root: bool) -> None:
    if not as_root:
        return
    users = with_users(config)
    rights.settle(users, PEOPLE)
    home, lending = Home(config.server.home), Lending(users, PEOPLE)
    lending.renew()
    for role in ("submission", "portal"):
        for copy, file in zip(home.door_tls(role), (config.tls.certificate, config.tls.key), strict=True):
            assert copy.read_bytes() == file.read_bytes()
            assert (copy.stat().st_uid, stat.S_IMODE(copy.stat().st_mode)) == (PEOPLE.uids[role], 0o400)
    rights.settle(users, PEOPLE)  # a command of root's, meanwhile
    assert stat.S_IMODE(home.door_tls("portal")[1].stat().st_mode) == 0o400
    make_certificate(config)
    lending.renew()
    assert home.door_tls("portal")[1].read_bytes() == config.tls.key.read_bytes()
    kept = home.door_tls("portal")[0].read_bytes()
    config.tls.certificate.unlink()
    lending.renew()
    assert home.door_tls("portal")[0].read_bytes() == kept
    assert lending.environ("courier") == {}
    lending.end()
    assert not list((home.run / "tls").iterdir())

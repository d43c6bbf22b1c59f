"""The whole server from the outside: ports, logs, a missing master key, restarts, commands beside it, backups."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import smtplib
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cryptnsend.demo.house import House
from cryptnsend.demo.internet import Internet
from cryptnsend.home import Home
from tests.support.homes import make_home
from tests.support.waiting import wait_for

PASSWORD = "harbour violet tractor ninety"


def command(home: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cryptnsend", *arguments, "--home", str(home)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def role_pids(house: House) -> dict[str, int]:
    """Return the latest process of each role, from the server's log."""
    found = {}
    for line in house.log.read_text().splitlines():
        if line.startswith("{") and (entry := json.loads(line))["event"] == "a role starts":
            found[entry["name"]] = entry["pid"]
    return found


@pytest.fixture(scope="module")
def subscriber(served: House) -> str:
    """Somebody who may submit, with the password PASSWORD."""
    served.run("subscriber", "add", "house@gmail.example", "--password-stdin", stdin=PASSWORD + "\n")
    return "house@gmail.example"


def submit(house: House, author: str, port: int) -> tuple[int, bytes]:
    with smtplib.SMTP_SSL("localhost", port, context=house.context(), timeout=60) as client:
        client.login(author, PASSWORD)
        client.mail(author)
        client.rcpt("pat@yahoo.example")
        return client.data(f"From: {author}\r\nTo: pat@yahoo.example\r\nSubject: Results\r\n\r\nFine.\r\n".encode())


def page_of(house: House, url: str) -> str:
    """Return a page of the portal as text."""
    with urllib.request.urlopen(url, context=house.context(), timeout=60) as page:  # noqa: S310 - https, of our own
        return str(page.read().decode())


def test_all_ports_are_told_and_answer(served):
    assert set(served.home.ports()) == {"submissions", "submission", "inbound", "imaps", "pop3s", "portal"}
    assert command(served.path, "doctor").stdout.count("all 6 doors answer") == 1


def test_the_door_for_other_servers_knows_our_addresses_only(served):
    port = served.home.ports()["inbound"]
    with smtplib.SMTP("localhost", port, local_hostname="mx.peer.example", timeout=60) as client:
        client.starttls()
        client.ehlo()
        assert not client.has_extn("auth")
        client.mail("eve@evil.example")
        domain = served.config.server.domain
        for address, code in (
            ("pat@yahoo.example", 550), (f"r+{'a' * 39}@{domain}", 550), (f"ghost@{domain}", 550),
        ):  # fmt: skip
            assert client.rcpt(address)[0] == code, address
        assert client.rcpt("postmaster")[0] in (250, 451)  # whether there is somebody yet who reads it


def test_a_second_server_on_the_home_is_refused(served):
    done = command(served.path, "serve")
    assert done.returncode == 3
    assert "a server runs on this home already" in done.stderr


def test_a_single_role_beside_a_whole_server_is_refused_and_disturbs_nothing(served):
    before = served.home.ports()
    for role in ("portal", "keeper"):
        done = command(served.path, "serve", role)
        assert done.returncode == 3, done.stderr
        assert "a server runs on this home already" in done.stderr
    assert served.home.ports() == before


def test_every_line_of_the_log_is_json_or_meant_for_the_person_who_started_it(served, subscriber):
    assert submit(served, subscriber, served.home.ports()["submissions"])[0] == 250
    lines = served.log.read_text().splitlines()
    plain = [line for line in lines if not line.startswith("{")]
    assert all(json.loads(line)["level"] for line in lines if line.startswith("{"))
    begins = ("All roles run", "The portal is at", "Mail clients", "  or port", "  and read at", "Other mail servers")
    assert {begin for begin in begins for line in plain if line.startswith(begin)} == set(begins)
    assert all(line.startswith(begins) for line in plain)
    assert f"answers to port {served.home.ports()['inbound']}." in served.log.read_text()


def test_a_refusal_carries_the_url_of_a_page_that_explains_it(served, subscriber):
    port = served.home.ports()["submissions"]
    with smtplib.SMTP_SSL("localhost", port, context=served.context(), timeout=60) as client:
        client.login(subscriber, PASSWORD)
        code, words = client.mail("somebody.else@gmail.example")
    url = words.decode().split()[-1]
    assert (code, url) == (550, f"{served.base_url}/help/author")
    assert "The sender’s address is not yours here" in page_of(served, url)


def test_the_demo_shows_what_pages_are_made_of(served):
    assert "All components" in page_of(served, f"{served.base_url}/style")


def test_the_journal_of_a_role_that_comes_back_has_the_same_ports(own_server):
    before = own_server.home.ports()
    first = role_pids(own_server)
    doors = own_server.log.read_text().count("doors open")
    os.kill(first["portal"], signal.SIGKILL)
    os.kill(first["submission"], signal.SIGKILL)
    wait_for(
        lambda: (
            own_server.log.read_text().count("the portal is open") == 2
            and own_server.log.read_text().count("doors open") == doors + 1  # those of other roles stayed
        ),
        "both doors to open again",
        seconds=90,
    )
    assert own_server.home.ports() == before
    assert role_pids(own_server)["keeper"] == first["keeper"]


def test_without_a_master_key_the_server_starts_says_why_and_keeps_nothing(short_folder):
    with Internet() as internet:
        house = House(internet, values={"argon2": {"memory_kib": 64, "iterations": 1, "lanes": 1}}, keep=short_folder)
        with house:
            house.run("subscriber", "add", "ann@gmail.example", "--password-stdin", stdin=PASSWORD + "\n")
            house.stop()
            key = house.home.keeper / "master.key"
            key.rename(key.with_suffix(".away"))
            house.start()
            assert "there is no master key here" in house.log.read_text()
            with (
                smtplib.SMTP_SSL(
                    "localhost", house.home.ports()["submissions"], context=house.context(), timeout=60
                ) as client,
                pytest.raises(smtplib.SMTPAuthenticationError) as refused,
            ):
                client.login("ann@gmail.example", PASSWORD)
            assert refused.value.smtp_code in (451, 454)
            key.with_suffix(".away").rename(key)
            code, words = wait_for(lambda: accepted(house), "the keeper to find its key", seconds=60)
            assert (code, words[:12]) == (250, b"2.0.0 Sealed")


def accepted(house: House) -> tuple[int, bytes] | None:
    try:
        return submit(house, "ann@gmail.example", house.home.ports()["submissions"])
    except smtplib.SMTPException:
        return None


def test_commands_at_the_same_time_without_a_server_do_not_stop_each_others_keeper(short_folder):
    home = short_folder / "home"
    make_home(home)
    with ThreadPoolExecutor(3) as pool:
        addresses = [f"{name}@gmail.example" for name in ("ann", "bob", "eve")]
        done = list(
            pool.map(
                lambda address: command(
                    home, "subscriber", "add", address, "--own", "--password-stdin", stdin=PASSWORD + "\n"
                ),
                addresses,
            )
        )
    assert [each.returncode for each in done] == [0, 0, 0], [each.stderr for each in done]
    listed = json.loads(command(home, "subscriber", "list", "--json").stdout)
    assert [row["address"] for row in listed] == addresses


def test_who_watches_a_long_look_at_the_vault_sees_how_far_it_is_and_a_script_does_not(served, subscriber):
    assert submit(served, subscriber, served.home.ports()["submissions"])[0] == 250
    master, terminal = os.openpty()
    with open(master, "rb", buffering=0) as screen:
        asked = [sys.executable, "-m", "cryptnsend", "vault", "verify", "--home", str(served.path)]
        watched = subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=terminal, text=True)
        os.close(terminal)
        shown = b""
        with contextlib.suppress(OSError):  # the terminal's other end is closed
            while part := screen.read(4096):
                shown += part
        said = watched.communicate(timeout=180)[0]
    assert (watched.returncode, "0 things are wrong" in said) == (0, True)
    for what in (b"database", b"content"):
        assert re.search(what + rb"  \[#+\]  100%", shown), shown
    unwatched = command(served.path, "vault", "verify")
    assert (unwatched.returncode, unwatched.stderr) == (0, "")


def test_a_backup_taken_while_mail_arrives_can_be_restored_and_opened(served, subscriber, short_folder):
    port = served.home.ports()["submissions"]
    with ThreadPoolExecutor(1) as pool:
        arriving = pool.submit(lambda: [submit(served, subscriber, port)[0] for _ in range(5)])
        backed_up = command(served.path, "backup", str(short_folder / "backup"))
        assert set(arriving.result()) == {250}
    assert backed_up.returncode == 0, backed_up.stderr
    config = make_home(short_folder / "home", {"server": {"hostname": "localhost"}})
    home = Home(config.server.home)
    assert not list((short_folder / "backup").rglob("master.key"))
    (home.keeper / "master.key").unlink(missing_ok=True)
    too_early = command(home.path, "restore", str(short_folder / "backup"))
    assert "there is no master key yet" in too_early.stderr
    (home.keeper / "master.key").write_bytes((served.home.keeper / "master.key").read_bytes())
    (home.keeper / "master.key").chmod(0o600)
    restored = command(home.path, "restore", str(short_folder / "backup"))
    assert restored.returncode == 0, restored.stderr
    assert "their DNS records still hold" in restored.stdout
    keys = [each for each in served.home.dkim.iterdir() if each.name != "lock"]
    assert keys
    for key in keys:
        assert (home.dkim / key.name).read_bytes() == key.read_bytes()
        assert all(key.read_bytes()[40:80] not in file.read_bytes() for file in (short_folder / "backup").glob("*key*"))
    messages = json.loads(command(home.path, "message", "list", "--author", subscriber, "--json").stdout)
    assert messages
    exported = command(
        home.path,
        *("message", "export", str(messages[0]["id"]), "--account", subscriber, "--output", "-", "--password-stdin"),
        stdin=PASSWORD + "\n",
    )
    assert exported.stdout.endswith("Fine.\n"), exported.stderr
    assert exported.stderr == f"Message {messages[0]['id']} went to standard output.\n"
    assert command(home.path, "audit", "verify").returncode == 0
    assert command(home.path, "vault", "verify").returncode == 0


def test_a_restore_that_was_broken_off_is_repeated_before_anything_else(served, short_folder):
    backup = str(short_folder / "backup")
    assert command(served.path, "backup", backup).returncode == 0
    home = Home(make_home(short_folder / "home", {"server": {"hostname": "localhost"}}).server.home)
    (home.keeper / "master.key").unlink(missing_ok=True)
    shutil.copy(served.home.keeper / "master.key", home.keeper / "master.key")
    home.restoring.touch()
    shutil.copy(short_folder / "backup" / "main.db", home.main_db)
    for refused in (("serve",), ("message", "list")):
        assert "a restore was broken off here" in command(home.path, *refused).stderr
    restored = command(home.path, "restore", backup)
    assert restored.returncode == 0, restored.stderr
    assert not home.restoring.exists()
    assert command(home.path, "message", "list").returncode == 0


def test_a_restore_over_data_is_refused(served, short_folder):
    assert command(served.path, "backup", str(short_folder / "backup")).returncode == 0
    assert "a server runs on this home" in command(served.path, "restore", str(short_folder / "backup")).stderr


@pytest.mark.parametrize("door", ["submissions", "portal"])
@pytest.mark.parametrize(
    ("protocol", "is_taken"), [("-tls1", False), ("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)]
)
def test_the_doors_take_nothing_older_than_tls_1_2(served, door, protocol, is_taken):
    """RFC 8996: 1.0 and 1.1 are not offered any more."""
    place = f"localhost:{served.home.ports()[door]}"
    done = subprocess.run(
        ["openssl", "s_client", "-connect", place, protocol, "-cipher", "ALL:@SECLEVEL=0", "-brief"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ("CONNECTION ESTABLISHED" in done.stderr) is is_taken, done.stderr

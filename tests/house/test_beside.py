"""Several processes that take mail at one port: each gets its share, and where one dies the others go on."""

from __future__ import annotations

import json
import os
import signal
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cryptnsend.demo.house import House
from cryptnsend.demo.internet import Internet
from tests.house.test_serve import PASSWORD, role_pids
from tests.support.homes import make_home
from tests.support.served import CHEAP
from tests.support.waiting import wait_for

CONNECTIONS = 20
TRIES = 64  # a hash decides which process gets a connection: so many times the same one, once in 10^19 runs
ANN = "beside@gmail.example"
LETTER = f"From: {ANN}\r\nTo: pat@yahoo.example\r\nSubject: Results {{}}\r\n\r\nFine.\r\n"


@pytest.fixture(scope="module")
def pair() -> Iterator[House]:
    """A running server with two processes for submission."""
    values = CHEAP | {"submission": {"processes": 2}}
    values["limits"] = dict(values.get("limits", {})) | {"connections": CONNECTIONS}
    with Internet() as internet, House(internet, values=values) as house:
        house.run("subscriber", "add", ANN, "--password-stdin", stdin=PASSWORD + "\n")
        yield house


def connected(house: House) -> smtplib.SMTP_SSL:
    return smtplib.SMTP_SSL("localhost", house.home.ports()["submissions"], context=house.context(), timeout=60)


def server_of(house: House, client: smtplib.SMTP) -> str:
    """Return the name of the process that holds the other end of a connection."""
    assert client.sock is not None
    (_, here, *_), (_, there, *_) = client.sock.getsockname(), client.sock.getpeername()
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()]
    ends = (f":{there:04X}", f":{here:04X}")
    (inode,) = [row[9] for row in rows if row[1].endswith(ends[0]) and row[2].endswith(ends[1])]
    for name, pid in role_pids(house).items():
        if name.startswith("submission"):
            for entry in Path(f"/proc/{pid}/fd").iterdir():
                if entry.is_symlink() and os.readlink(entry) == f"socket:[{inode}]":
                    return name
    raise AssertionError("no process of ours has this connection")


def test_both_take_mail_which_rests_in_one_vault(pair):
    taken: dict[str, str] = {}
    for number in range(TRIES):
        with connected(pair) as client:
            client.login(ANN, PASSWORD)
            client.sendmail(ANN, ["pat@yahoo.example"], LETTER.format(number).encode())
            taken[f"Results {number}"] = server_of(pair, client)
        if len(set(taken.values())) > 1:
            break
    assert set(taken.values()) == {"submission", "submission-2"}
    assert len(json.loads(pair.run("message", "list", "--json"))) == len(taken)
    assert json.loads(pair.run("vault", "verify", "--json")) == {"missing": [], "wrong": [], "litter": 0}


def test_where_one_dies_the_sessions_of_the_other_go_on_and_whoever_knocks_is_served(pair):
    before = role_pids(pair)
    with connected(pair) as client:
        client.login(ANN, PASSWORD)
        other = ({"submission", "submission-2"} - {server_of(pair, client)}).pop()
        os.kill(before[other], signal.SIGKILL)
        assert client.sendmail(ANN, ["pat@yahoo.example"], LETTER.format("that stay").encode()) == {}
        for number in range(8):
            with connected(pair) as knocking:
                knocking.login(ANN, PASSWORD)
                assert knocking.sendmail(ANN, ["pat@yahoo.example"], LETTER.format(f"late {number}").encode()) == {}
    wait_for(lambda: role_pids(pair)[other] != before[other], "the dead one to be started again")
    after = role_pids(pair)
    assert {name: pid for name, pid in after.items() if before[name] != pid}.keys() == {other}


def test_the_limit_of_open_sessions_is_shared_out(pair):
    clients = []
    try:
        codes = []
        for _ in range(CONNECTIONS + 1):
            client = smtplib.SMTP(timeout=60)
            clients.append(client)
            codes.append(client.connect("localhost", pair.home.ports()["submission"])[0])
        assert 421 in codes
        assert codes.count(220) >= CONNECTIONS // 2  # each process takes its half at least
    finally:
        for client in clients:
            client.close()


@pytest.mark.parametrize("waited_for", [1, 3], ids=["while they start", "when all serve"])
def test_one_role_alone_is_played_by_as_many_and_stops_cleanly(short_folder: Path, waited_for: int):
    home = make_home(short_folder / "home", {"submission": {"processes": 3}}).server.home
    log = short_folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "cryptnsend", "serve", "submission", "--home", str(home)],
            stdout=output, stderr=output, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        wait_for(lambda: log.read_text().count('"doors open"') >= waited_for, "the processes")
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()
    names = ("submission", "submission-2", "submission-3")
    assert [log.read_text().count(f'"name":"{name}"') for name in names] == [1, 1, 1], log.read_text()

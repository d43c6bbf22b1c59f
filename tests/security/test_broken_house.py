"""What do the doors say while something behind them is broken? 4xx and nothing kept; afterwards all is well by itself.

Real processes of a real home; each test breaks one thing: the keeper, the room on the disk, the lock of the database,
a device. Nothing is ever delivered in clear because of it, and nothing gets a 250 that is not there afterwards.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cryptnsend.cli.owner import owned
from cryptnsend.config import Config
from cryptnsend.home import Home
from cryptnsend.keeper.providers import make_master_key
from tests.support.homes import make_home
from tests.support.readable import is_readable
from tests.support.roles import START_SECONDS, Roles
from tests.support.waiting import wait_for

from .wire import Wire, kept, stays

ANN, BOB, PAT = "ann@gmail.example", "bob@gmail.example", "pat@yahoo.example"
PASSWORD = "harbour violet tractor ninety"
MAIL = f"From: {ANN}\r\nTo: {PAT}\r\nSubject: s\r\n\r\n".encode()


def fresh(lines: int = 1) -> bytes:
    """Return a mail that was never sent before: the same one again would be recognised."""
    return MAIL + os.urandom(8).hex().encode() + b"\r\n" + b"words\r\n" * lines


class Broken:
    """A home with Ann in it and the roles that take mail."""

    def __init__(self, folder: Path):
        self.config: Config = make_home(folder / "home")
        self.home = Home(self.config.server.home)
        with owned(self.config) as app:
            app.owner.add(ANN, PASSWORD, organisation=None, roles=("subscriber",), name="Ann Ruiz")
            made = app.owner.add_device(ANN, PASSWORD, "test", "submit")
        self.device = made.password
        self.roles = Roles(self.config)

    def wire(self, port: int = 0) -> Wire:
        context = ssl.create_default_context(cafile=str(self.config.tls.certificate))
        return Wire(port or self.home.ports()["submissions"], context)

    def submit(self, octets: bytes) -> str:
        with self.wire().sign_in(ANN, self.device) as wire:
            return wire.envelope(ANN, PAT).data(octets)


@pytest.fixture(scope="module")
def home_of_all() -> Iterator[Broken]:
    folder = Path(tempfile.mkdtemp(prefix="cs-"))
    house = Broken(folder)
    yield house
    house.roles.stop()
    shutil.rmtree(folder)


@pytest.fixture
def broken(home_of_all: Broken) -> Broken:
    """A home whose keeper and door are up, whatever the test before did to them."""
    for role in ("keeper", "submission"):
        if role not in home_of_all.roles.processes:
            home_of_all.roles.start(role)
    return home_of_all


def test_without_its_keeper_the_door_puts_everybody_off_and_recovers(broken: Broken) -> None:
    """
    454 at AUTH, never 535, for right and wrong passwords alike, and 4xx for a message that needs the keeper.

    Who was let in a moment ago is remembered, and may go on: what is sealed without the keeper is sealed.
    """
    assert broken.submit(fresh()).startswith("250 ")
    inside = broken.wire().sign_in(ANN, broken.device)
    before = kept(broken.home)
    broken.roles.kill("keeper")
    with broken.wire().greet() as wire:
        assert wire.authenticate(ANN, PASSWORD).startswith("454 4.7.0 ")
        assert wire.authenticate(ANN, "not the password").startswith("454 4.7.0 ")
        assert wire.authenticate("nobody@nowhere.example", PASSWORD).startswith("454 4.7.0 ")
    token = f"r+{'a' * 45}@{broken.config.server.domain}"
    with inside:
        # An address of ours stands for somebody, and who it is only the keeper can say.
        answer = inside.envelope(ANN, token).data(fresh())
        assert answer[:1] in ("4", "5"), answer
        stays(broken.home, before)
        answer = inside.envelope(ANN, PAT).data(fresh())
        assert answer[:3] in ("250", "451"), answer
    broken.roles.start("keeper")
    taken = answer.startswith("250") + broken.submit(fresh()).startswith("250 ")
    assert taken
    assert kept(broken.home).rows["messages"] == before.rows["messages"] + taken


def test_a_door_that_never_saw_its_keeper_takes_nothing_and_recovers(broken: Broken) -> None:
    before = kept(broken.home)
    broken.roles.kill("keeper")
    broken.roles.kill("submission")
    broken.roles.start("submission")
    with broken.wire().greet() as wire:
        assert wire.authenticate(ANN, broken.device).startswith("454 4.7.0 ")
        assert wire.say(f"MAIL FROM:<{ANN}>").startswith("530 ")
    broken.roles.start("keeper")
    assert broken.submit(fresh()).startswith("250 ")
    assert kept(broken.home).rows["messages"] == before.rows["messages"] + 1


@pytest.mark.parametrize("instead", ["nothing", "another key"])
def test_without_its_master_key_the_house_says_454_and_keeps_everything(broken: Broken, instead: str) -> None:
    assert broken.submit(fresh()).startswith("250 ")
    before = kept(broken.home)
    key = broken.config.keeper.key_file
    aside = key.with_name("aside")
    key.rename(aside)
    if instead == "another key":
        make_master_key(key, os.urandom)
    broken.roles.kill("keeper")
    broken.roles.start("keeper")
    assert key.exists() == (instead != "nothing"), "a new master key was made over an old ledger"
    broken.roles.kill("submission")
    broken.roles.start("submission")
    try:
        with broken.wire().greet() as wire:
            assert wire.authenticate(ANN, broken.device).startswith("454 4.7.0 ")
    finally:
        aside.rename(key)
        broken.roles.kill("keeper")
        broken.roles.start("keeper")
    assert kept(broken.home) == before
    assert broken.submit(fresh()).startswith("250 ")


def test_a_database_that_another_process_holds_gets_451_in_time_and_recovers(broken: Broken) -> None:
    """The lock is held for as long as the test likes; the loop goes on answering others meanwhile."""
    assert broken.submit(fresh()).startswith("250 ")
    before = kept(broken.home)
    holder = sqlite3.connect(broken.home.main_db, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        with broken.wire().sign_in(ANN, broken.device) as wire, broken.wire().greet() as other:
            began = time.monotonic()
            wire.envelope(ANN, PAT).send(fresh() + b".\r\n")
            assert other.say("NOOP").startswith("250 ")
            assert not is_readable(wire.socket), "the loop stood still"
            answer = wire.reply()
            assert answer.startswith("451 4.3.0 "), answer
            assert time.monotonic() - began < 90
    finally:
        holder.execute("ROLLBACK")
        holder.close()
    stays(broken.home, before)
    assert broken.submit(fresh()).startswith("250 ")


def test_a_revoked_device_is_refused_at_the_very_next_sign_in_in_every_process(broken: Broken) -> None:
    """Two submission processes, both of which let the device in a moment ago."""
    with owned(broken.config) as app:
        app.owner.add(BOB, PASSWORD, organisation=None, roles=("subscriber",), name="Bob Stone")
        made = app.owner.add_device(BOB, PASSWORD, "test", "submit")
    ports = [broken.home.ports()["submissions"]]
    second = Roles(broken.config)
    second.start("submission")
    try:
        ports.append(broken.home.ports()["submissions"])
        assert ports[0] != ports[1]
        for port in ports:
            broken.wire(port).sign_in(BOB, made.password).close()
            broken.wire(port).sign_in(BOB, PASSWORD).close()
        with owned(broken.config) as app:
            app.owner.revoke_device(made.id)
        for port in ports:
            with broken.wire(port).greet() as wire:
                assert wire.authenticate(BOB, made.password).startswith("535 5.7.8 ")
            broken.wire(port).sign_in(BOB, PASSWORD).close()
        with owned(broken.config) as app:
            app.owner.disable(BOB)
        for port in ports:
            with broken.wire(port).greet() as wire:
                assert wire.authenticate(BOB, PASSWORD).startswith("535 5.7.8 ")
    finally:
        second.stop()


class SmallDisk:
    """A submission process whose data folder is a small file system of its own, in a mount namespace of its own."""

    def __init__(self, broken: Broken, megabytes: int, **environ: str):
        """*environ* is what the process has in its environment besides ours."""
        self.broken = broken
        data = broken.home.main_db.parent
        script = (
            f"cp -r {data} {data}.copy && mount -t tmpfs -o size={megabytes}m,mode=700 tmpfs {data}"
            f" && cp -r {data}.copy/. {data} && exec {sys.executable} -m cryptnsend serve submission"
            f" --home {broken.home.path} --supervised "
        )
        ours, theirs = socket.socketpair()
        command = ["unshare", "--mount", *([] if os.getuid() == 0 else ["--map-root-user"]), "sh", "-c"]
        self._log = (broken.home.path.parent / "small.log").open("ab")
        self.process = subprocess.Popen(
            [*command, script + str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdout=self._log,
            stderr=self._log,
            env={**os.environ, **environ},
        )
        theirs.close()
        ours.settimeout(START_SECONDS)
        assert ours.recv(64), Path(self._log.name).read_text()
        self._line = ours
        self.root = Path(f"/proc/{self.process.pid}/root")
        self.data = self.root / str(data).lstrip("/")

    def fill(self, leave: int) -> None:
        """Leave at most so many octets."""
        free = shutil.disk_usage(self.data).free
        (self.data / "filler").write_bytes(b"\0" * max(0, free - leave))

    def free(self) -> None:
        (self.data / "filler").unlink()

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self._line.close()
        self._log.close()


def test_a_full_disk_refuses_with_452_keeps_nothing_and_recovers(broken: Broken) -> None:
    """Large and small mail, with some room and with none; free space is all it takes to go on."""
    broken.roles.kill("submission")
    disk = SmallDisk(broken, 32)
    try:
        assert broken.submit(fresh()).startswith("250 ")
        before = kept(broken.home, disk.root)
        for leave in (600_000, 60_000, 0):
            disk.fill(leave)
            answer = broken.submit(fresh(200_000))
            assert answer.startswith("452 4.3.1 "), answer
            stays(broken.home, before, disk.root)
            disk.free()
        disk.fill(0)
        answers = [broken.submit(fresh()) for n in range(4)]
        assert {answer[:3] for answer in answers} <= {"250", "452", "451"}
        taken = sum(answer.startswith("250 ") for answer in answers)
        disk.free()
        assert kept(broken.home, disk.root).rows["messages"] == before.rows["messages"] + taken
        began = time.monotonic()
        assert broken.submit(fresh(200_000)).startswith("250 ")
        assert time.monotonic() - began < 60
    finally:
        disk.close()


def test_a_nearly_full_disk_refuses_before_a_message_comes(broken: Broken) -> None:
    """DATA is refused, so that nobody sends fifty megabytes in vain; room is all it takes to go on."""
    broken.roles.kill("submission")
    disk = SmallDisk(broken, 32, CRYPTNSEND_LIMITS_FREE_OCTETS=str(8 << 20))
    try:
        assert broken.submit(fresh()).startswith("250 ")
        before = kept(broken.home, disk.root)
        disk.fill(4 << 20)
        with broken.wire().sign_in(ANN, broken.device) as wire:
            assert wire.say(f"MAIL FROM:<{ANN}>").startswith("250 ")
            assert wire.say(f"RCPT TO:<{PAT}>").startswith("250 ")
            assert wire.say("DATA").startswith("452 4.3.1 ")
        stays(broken.home, before, disk.root)
        disk.free()
        assert broken.submit(fresh()).startswith("250 ")
    finally:
        disk.close()


def test_many_clients_at_once_meet_a_killed_door_and_lose_nothing(broken: Broken) -> None:
    """Eight clients in the middle of DATA when the process dies: no 250, no row, and what was begun is only litter."""
    before = kept(broken.home)
    wires = [broken.wire().sign_in(ANN, broken.device).envelope(ANN, PAT) for _ in range(8)]
    threads = [threading.Thread(target=_pour, args=(wire,)) for wire in wires]
    for thread in threads:
        thread.start()
    wait_for(lambda: any((broken.home.blobs).iterdir()), "a blob to be begun")
    broken.roles.kill("submission")
    for thread in threads:
        thread.join(120)
    assert [wire.reply() for wire in wires] == [""] * 8
    for wire in wires:
        wire.close()
    broken.roles.start("submission")
    assert kept(broken.home).rows == before.rows
    assert broken.submit(fresh()).startswith("250 ")


def _pour(wire: Wire) -> None:
    try:
        wire.send(MAIL)
        for _ in range(200):
            wire.send(b"poured\r\n" * 8000)
    except OSError:
        return

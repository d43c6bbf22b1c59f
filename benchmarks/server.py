"""The server under test: a real home, the keeper and the roles that are measured as processes of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import processes
from generator import Failed, Sender

from cryptnsend.cli.owner import owned
from cryptnsend.config import Config
from cryptnsend.home import Home
from cryptnsend.keeper.requests import RecoveryFile

PASSWORD = "vast otter blinks seven lamps"
ORGANISATIONS = 20
# What a day's caps and one address of a client would otherwise forbid, and cheap hashes for passwords that are only
# used while the home is made: mail programs have device passwords, which need none.
SETTINGS = {
    "CRYPTNSEND_LIMITS_MESSAGES_PER_DAY": "1000000000",
    "CRYPTNSEND_LIMITS_NEW_RECIPIENTS_PER_DAY": "1000000000",
    "CRYPTNSEND_LIMITS_CONNECTIONS": "10000",
    "CRYPTNSEND_LIMITS_CONNECTIONS_PER_IP": "10000",
    "CRYPTNSEND_ARGON2_MEMORY_KIB": "64",
    "CRYPTNSEND_ARGON2_ITERATIONS": "1",
    "CRYPTNSEND_ARGON2_LANES": "1",
    "CRYPTNSEND_USERS_SEPARATE": "never",  # so that a role is the process that was started, and no child of it
}


class Server:
    """Our keeper and, unless `roles` says otherwise, SMTP doors on one home; `start` and `stop` as often as needed."""

    name = "CryptnSend"

    def __init__(self, folder: Path, **settings: str):
        """*settings* are variables of the environment besides those that every benchmark sets."""
        self.home = Home(folder)
        self.roles: tuple[str, ...] = ("keeper", "submission")
        self._environ = {**os.environ, **SETTINGS, **settings}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.senders: list[Sender] = []
        self.archives: list[RecoveryFile] = []
        self.filled = 0  # what was there before the benchmark has ids up to this one

    @property
    def roots(self) -> list[int]:
        """The processes whose trees are the server."""
        return [each.pid for each in self._processes.values()]

    @property
    def port(self) -> int:
        """Where submissions with TLS from the first octet are taken."""
        return self.home.ports()["submissions"]

    @property
    def config(self) -> Config:
        """The home's settings."""
        return Config.load(self.home.path, self._environ)

    def make(self, people: int) -> None:
        """Make the home with that many subscribers, in at most 20 organisations whose archives are on."""
        shutil.rmtree(self.home.path, ignore_errors=True)
        command = [sys.executable, "-m", "cryptnsend", "init", "--home", str(self.home.path)]
        command += ["--hostname", "mail.clinic.example", "--free-ports"]
        made = subprocess.run(command, env=self._environ, capture_output=True, text=True)
        if made.returncode:
            raise Failed(f"`cryptnsend init` failed: {made.stderr}")
        os.environ.update(SETTINGS)  # also for the keeper that the owner's flows start
        with owned(self.config) as app:
            owner = app.owner
            organisations = [owner.add_organisation(f"Clinic {number}").id for number in range(ORGANISATIONS)]
            for number in range(people):
                address = sender_address(number)
                first = number < ORGANISATIONS
                roles = ("subscriber", "officer") if first else ("subscriber",)
                organisation = organisations[number % ORGANISATIONS]
                account = owner.add(address, PASSWORD, organisation=organisation, roles=roles, name="Ann Ruiz")
                if account.recovery is not None:
                    self.archives.append(account.recovery)
                device = owner.add_device(address, PASSWORD, "Thunderbird", "submit")
                self.senders.append(Sender(address, device.password))

    def start(self, wrap: Sequence[str] = ()) -> None:
        """Start the roles; *wrap* is a command to run them under, such as strace."""
        self.home.forget_ports()
        if "portal" not in self.roles:
            self.home.announce({"portal": 443})  # the courier waits to learn where links lead
        ready: dict[str, Callable[[], bool]] = {
            "keeper": lambda: self.home.keeper_socket("submission").is_socket(),
            "submission": lambda: "submissions" in self.home.ports() and processes.answers(self.port),
            "courier": self.home.courier_wake.is_socket,
            "portal": lambda: "portal" in self.home.ports() and processes.answers(self.home.ports()["portal"]),
            "mailbox": lambda: "imaps" in self.home.ports() and processes.answers(self.home.ports()["imaps"]),
        }
        for role in self.roles:
            self._play(role, wrap)
            self._until(ready[role], f"the {role} is there")

    def stop(self) -> None:
        """Let the roles finish and end."""
        for role in reversed(self.roles):
            process = self._processes.pop(role, None)
            if process is not None:
                process.terminate()
                process.wait(60)

    def _play(self, role: str, wrap: Sequence[str]) -> None:
        command = [*wrap, sys.executable, "-m", "cryptnsend", "serve", role, "--home", str(self.home.path)]
        with open(self.home.run / f"{role}.log", "ab") as log:
            self._processes[role] = subprocess.Popen(command, env=self._environ, stdout=log, stderr=log)

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            ended = [role for role, process in self._processes.items() if process.poll() is not None]
            if ended or time.monotonic() > deadline:
                raise Failed(f"Waited in vain until {what}; {self.home.run} has the logs.")
            time.sleep(0.05)


def sender_address(number: int) -> str:
    """Return a subscriber's address."""
    return f"a{number:05}@clinicx.example"


def colleague(number: int, people: int) -> str:
    """Return the address of somebody in the same organisation."""
    return sender_address((number + ORGANISATIONS) % people)


def outsider(number: int) -> str:
    """Return an address that no account has."""
    return f"p{number:07}@world.example"

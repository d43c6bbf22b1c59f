"""The drill for the worst day: machine and disk are gone, and a backup, a recovery file and the journal are there.

The commands are those of docs/operations.md, each typed as there, on a machine that has seen none of it before.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cryptnsend.__main__ import main
from tests.support.house import DAY, PASSWORD, SOURCE, House
from tests.support.terminal import Operator

ANN, PAT, BOB = "ann@clinic.example", "pat@yahoo.example", "bob@icloud.example"


class Machine:
    """A new machine, and somebody at its terminal."""

    def __init__(self, home: Path):
        self.home = home

    def __call__(self, *arguments: object, typed: str = "", code: int = 0) -> str:
        words = [*map(str, arguments), "--home", str(self.home)]
        done = CliRunner().invoke(main, words, input=typed, prog_name="cryptnsend")
        assert done.exit_code == code, (done.output, done.exception)
        return done.stdout

    def json(self, *arguments: object) -> Any:
        return json.loads(self(*arguments, "--json"))


@pytest.mark.long  # each command starts a keeper of its own
def test_a_server_comes_back_from_nothing_and_what_had_ended_does_not(
    house: House, operator: Operator, short_folder: Path
) -> None:
    clinic = house.organisation("Clinic")
    house.add_subscriber(ANN, organisation=clinic, roles=("subscriber", "officer"))
    mails = [house.mail(author=ANN, text=text) for text in ("Anaemia.", "Haemochroma. " * 10_000)]
    sent = {house.submit(ANN, [PAT], mail): mail for mail in mails}
    shredded = house.submit(ANN, [BOB], house.mail(author=ANN, to=[BOB]))
    house.register(PAT, min(sent))
    bob = house.register(BOB, shredded)
    device = house.accounts.add_device(house.session(ANN), "laptop", "submit")
    for _ in range(2):
        house.clock.forward(DAY)
        house.upkeep.once()
    sheet = house.owner.owner.recovery_file()
    operator("backup", short_folder / "backup")

    # Since the backup: a message and a device end, an account is closed, a password is changed.
    house.pickup.shred(house.session(ANN), shredded)
    house.accounts.revoke_device(house.session(ANN), device.id)
    house.accounts.close(house.session(BOB), PASSWORD, SOURCE)
    house.upkeep.once()

    # The machine is gone. These were elsewhere: the configuration, the sheet, its code, the backup, the journal.
    new = Machine(short_folder / "new")
    new("init", "--hostname", house.config.server.hostname, "--domain", house.config.server.domain, "--for-restore",
        "--one-user", "--free-ports")  # fmt: skip
    (short_folder / "installation.txt").write_text(sheet.text)
    new("recover", short_folder / "installation.txt", "--password-stdin", typed=sheet.code + "\n")
    shutil.copy(house.home.journal, new.home / "keeper" / "journal.log")
    new("restore", short_folder / "backup")

    assert new.json("vault", "verify") == {"missing": [], "wrong": [], "litter": 0}
    assert {tuple(each["problems"]) for each in new.json("archive", "verify")} == {()}
    new("audit", "verify")
    for message, octets in sent.items():
        out = short_folder / f"{message}.eml"
        new("message", "export", message, "--account", ANN, "--output", out, "--password-stdin", typed=PASSWORD + "\n")
        assert out.read_bytes() == octets
    new("message", "export", shredded, "--account", ANN, "--output", "-", "--password-stdin", typed=PASSWORD + "\n")
    with closing(sqlite3.connect(new.home / "data" / "main.db")) as rows:
        assert rows.execute("SELECT role FROM grants WHERE message = ? ORDER BY role", (shredded,)).fetchall() == [
            ("archive",), ("author",)
        ]  # fmt: skip
        assert rows.execute("SELECT state FROM accounts WHERE id = ?", (bob.account,)).fetchall() == [("closed",)]
        assert rows.execute("SELECT revoked IS NOT NULL FROM devices").fetchall() == [(1,)]
    new("subscriber", "disable", BOB, "--enable", code=4)
    with closing(sqlite3.connect(new.home / "keeper" / "ledger.db")) as rows:
        assert rows.execute("SELECT state FROM accounts WHERE state = 'closed'").fetchall() == [("closed",)]
        assert rows.execute("SELECT count(*) FROM devices WHERE revoked IS NULL").fetchall() == [(0,)]

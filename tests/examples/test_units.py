"""The units for systemd: they are well formed, close what they can, and leave the server what it needs."""

from __future__ import annotations

import json
import re
import smtplib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.apart import Apart, MakeApart

UNITS = Path(__file__).resolve().parents[2] / "examples" / "systemd"
SERVICES = ("cryptnsend.service", "cryptnsend-backup.service", "cryptnsend-journal.service")
OTHERS = ("cryptnsend-backup.timer", "cryptnsend-journal.path")
PROGRAM = "/opt/cryptnsend/bin/cryptnsend"
PASSWORD = "harbour violet tractor ninety"
ANN = "ann@gmail.example"
EXPOSED = {"cryptnsend.service": 3.2, "cryptnsend-backup.service": 2.4, "cryptnsend-journal.service": 2.5}  # of 10


def setting(unit: str, name: str) -> list[str]:
    """Return the words of a setting of a unit."""
    found = re.findall(rf"(?m)^{name}=(.*)$", (UNITS / unit).read_text())
    return " ".join(found).split()


def test_the_units_are_well_formed(tmp_path: Path) -> None:
    program = tmp_path / "cryptnsend"
    program.symlink_to(sys.executable)
    for name in (*SERVICES, *OTHERS):
        (tmp_path / name).write_text((UNITS / name).read_text().replace(PROGRAM, str(program)))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *[str(tmp_path / name) for name in (*SERVICES, *OTHERS)]],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if str(tmp_path) in line or "cryptnsend" in line]
    assert (done.returncode, said) == (0, [])
    assert {path.name for path in UNITS.iterdir()} == {*SERVICES, *OTHERS}


@pytest.mark.parametrize("unit", SERVICES)
def test_a_unit_is_not_more_exposed_than_it_was(unit: str) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNITS / unit)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) <= EXPOSED[unit]


def allowed_calls(names: list[str]) -> set[str]:
    """Return the system calls of these names, and of groups of systemd."""
    calls = {name for name in names if not name.startswith("@")}
    for group in (name for name in names if name.startswith("@")):
        done = subprocess.run(["systemd-analyze", "syscall-filter", group], capture_output=True, text=True, check=True)
        lines = [line.strip() for line in done.stdout.splitlines()[1:]]
        calls |= allowed_calls([line for line in lines if line and not line.startswith("#")])
    return calls


def confined() -> list[str]:
    """Return the command under which a program has the rights that the main unit leaves, and no others."""
    rights = [name.removeprefix("CAP_").lower() for name in setting("cryptnsend.service", "CapabilityBoundingSet")]
    bounding = ",".join(["-all", *(f"+{name}" for name in rights)])
    return ["setpriv", "--no-new-privs", "--bounding-set", bounding, "--inh-caps", "-all"]


def used(server: Apart) -> list[str]:
    """Let a server start, take mail and stop; return what it wrote into its log."""
    server.start()
    server.done("subscriber", "add", ANN, "--password-stdin", stdin=PASSWORD + "\n")
    with smtplib.SMTP_SSL("localhost", server.home.ports()["submissions"], context=server.context()) as client:
        client.login(ANN, PASSWORD)
        letter = f"From: {ANN}\r\nTo: pat@yahoo.example\r\nSubject: Results\r\n\r\n{'x' * 70_000}\r\n"
        client.sendmail(ANN, ["pat@yahoo.example"], letter)
    server.stop()
    return [json.loads(line)["event"] for line in server.log.splitlines() if line.startswith("{")]


@pytest.mark.long  # a server of its own
def test_the_server_needs_no_right_that_its_unit_takes(make_apart: MakeApart | None) -> None:
    if make_apart is None:
        return
    server = make_apart()
    server.under = confined()
    events = used(server)
    assert "message taken" in events
    assert "a role died" not in events


@pytest.mark.torture  # with its every call counted, a server takes minutes to start
def test_the_server_makes_no_call_that_its_unit_takes(
    make_apart: MakeApart | None,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if make_apart is None:
        return
    monkeypatch.setattr("tests.support.apart.START_SECONDS", 600.0)
    counted = tmp_path / "calls"
    server = make_apart()
    server.under = ["strace", "-D", "-f", "-c", "-o", str(counted), *confined()]
    assert "message taken" in used(server)
    rows = [line.split() for line in counted.read_text().splitlines()[2:]]
    called = {row[-1] for row in rows if len(row) >= 4 and row[0][0].isdigit() and row[-1] != "total"}
    assert {"execve", "openat", "setgroups"} <= called
    record_property("system calls of a server", len(called))
    assert called - allowed_calls(setting("cryptnsend.service", "SystemCallFilter")) == set()

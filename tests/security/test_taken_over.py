"""The rows "taken over" of who may open what: attack code that runs as the user of a role, on a real server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.apart import PEOPLE, Apart

ATTACK = Path(__file__).with_name("attack.py")
ROLES = ("submission", "inbound", "mailbox", "portal", "courier")
# What a role needs for its work; everything else is refused.
ITS_OWN = {
    "submission": {"read run/tls/submission.key.pem", "add to run/submission"},
    "inbound": {"read run/tls/inbound.key.pem", "add to run/inbound"},
    "mailbox": {"read run/tls/mailbox.key.pem", "add to run/mailbox"},
    "portal": {"read run/tls/portal.key.pem", "add to run/portal"},
    "courier": {
        *("read dkim/rsa1.pem", "write dkim/rsa1.pem", "read dkim/ed1.pem", "write dkim/ed1.pem"),
        *("add to dkim", "add to run/courier"),
    },
}
EVERYBODYS = {"read cryptnsend.toml", "read data/main.db", "change rows"}


def attack(server: Apart, role: str) -> dict[str, str]:
    others = {name: pid for name, pid in server.pids().items() if name != role}
    found: dict[str, str] = json.loads(server.run_as(role, ATTACK, str(server.home.path), role, json.dumps(others)))
    return found


@pytest.mark.parametrize("role", ROLES)
def test_code_in_a_role_reaches_what_the_role_needs_and_nothing_else(apart: Apart | None, role: str) -> None:
    """Not the master key, not the ledger, no other role's keys, memory or socket, and no place to lie in wait."""
    if apart is None:
        return
    came = attack(apart, role)
    assert {name for name, end in came.items() if end == "yes"} == EVERYBODYS | ITS_OWN[role] | {f"ask as {role}"}
    assert len(came) > 80
    refused = {name: end for name, end in came.items() if end != "yes"}
    assert {end for name, end in refused.items() if name.startswith("request ")} == {"Denied"}
    assert {end for name, end in refused.items() if name.startswith("ask as ")} == {"KeeperGone"}
    others = {end for name, end in refused.items() if not name.startswith(("request ", "ask as "))}
    assert others == {"PermissionError"}


def test_the_keeper_notes_who_knocked_at_whose_socket(apart: Apart | None) -> None:
    if apart is None:
        return
    before, role = len(apart.log), "courier"
    attack(apart, role)
    lines = [json.loads(line) for line in apart.log[before:].splitlines() if line.startswith("{")]
    strangers = [line for line in lines if line["event"] == "keeper.stranger" and line["uid"] == PEOPLE.uids[role]]
    assert {line["caller"] for line in strangers} == {
        *("submission", "inbound", "mailbox", "portal", "courier", "owner")
    } - {role}


@pytest.mark.parametrize("role", ["keeper", *ROLES])
def test_a_role_runs_without_any_right_it_could_give_up(apart: Apart | None, role: str) -> None:
    """Its user and group and no others, no capabilities, none to be gained, and no core dumps."""
    if apart is None:
        return
    pid = apart.pids()[role]
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    assert set(status["Uid"].split()) == {str(PEOPLE.uids[role])}
    assert set(status["Gid"].split()) | set(status["Groups"].split()) == {str(PEOPLE.gid)}
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[capabilities], 16) == 0
    assert status["NoNewPrivs"].strip() == "1"
    # What may not be dumped belongs to root in /proc, whoever runs it (proc(5)).
    assert Path(f"/proc/{pid}/mem").stat().st_uid == 0
    assert "Max core file size        0                    0" in Path(f"/proc/{pid}/limits").read_text()


def test_the_portals_worker_has_no_more_rights_than_the_portal(apart: Apart | None) -> None:
    if apart is None:
        return
    portal = apart.pids()["portal"]
    children = Path(f"/proc/{portal}/task/{portal}/children").read_text().split()
    workers = [int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert workers
    for pid in workers:
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        assert set(status["Uid"].split()) == {str(PEOPLE.uids["portal"])}
        assert status["NoNewPrivs"].strip() == "1"
        assert Path(f"/proc/{pid}/mem").stat().st_uid == 0

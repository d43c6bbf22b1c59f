"""The supervisor: the keeper first and last, the dead rise again, stopping drains, and one server per home."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.waiting import wait_for

# A role that writes down what happens to it. `--supervised N` comes last, from the supervisor.
ROLE = """
import os, resource, signal, sys, threading
from cryptnsend.supervisor import Line
diary, name, manner = sys.argv[1:4]
def note(what):
    with open(diary, "a") as file:
        file.write(f"{name} {what} {os.getpid()}\\n")
line = Line(int(sys.argv[5]))
stop = threading.Event()
def on_term(*_):
    note("term")
    if manner != "deaf":
        stop.set()
signal.signal(signal.SIGTERM, on_term)
note("starts")
note(f"core={resource.getrlimit(resource.RLIMIT_CORE)[0]}")
if manner == "slow":
    stop.wait(1)
if manner != "mute":
    note("ready")
    line.ready()
line.watch()
if manner == "family":
    import subprocess
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], close_fds=True)
    note(f"worker={worker.pid}")
if manner == "dies":
    sys.exit(7)
while not stop.wait(0.05):
    pass
note("ends")
"""

SERVER = """
import json, sys
from pathlib import Path
from cryptnsend import logs, supervisor
from cryptnsend.home import Home
logs.configure(role="supervisor")
home, roles, drain, patience = Home(Path(sys.argv[1])), json.loads(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
on_ready = lambda: print("SERVING", flush=True)
server = supervisor.Supervisor(home, roles, drain=drain, patience=patience, on_ready=on_ready)
sys.exit(server.run())
"""


class Server:
    """A supervisor in a process of its own, over roles that keep a diary."""

    def __init__(self, home: Path, manners: dict[str, str], drain: float = 20.0, patience: float = 20.0):
        self.diary = home / "diary"
        self.diary.touch()
        roles = {name: [sys.executable, "-c", ROLE, str(self.diary), name, manner] for name, manner in manners.items()}
        self.log = (home / "log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(home), json.dumps(roles), str(drain), str(patience)],
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )

    def said(self) -> str:
        return Path(self.log.name).read_text()

    def entries(self, what: str = "") -> list[tuple[str, str]]:
        """Return (role, what) in the order written."""
        lines = [line.split() for line in self.diary.read_text().splitlines()]
        return [(name, event) for name, event, _ in lines if not what or event == what]

    def pids(self) -> dict[str, int]:
        """Return the latest process of each role."""
        return {line.split()[0]: int(line.split()[2]) for line in self.diary.read_text().splitlines()}

    def until(self, *entry: str) -> None:
        wait_for(lambda: entry in self.entries(), f"{entry} in {self.diary}: {self.entries()}")

    def until_serving(self) -> None:
        wait_for(lambda: "SERVING" in self.said(), f"readiness: {self.said()}")

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(60)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pid in self.pids().values():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.log.close()


@pytest.fixture
def serve(short_folder: Path) -> Iterator[object]:
    (short_folder / "run").mkdir()
    servers: list[Server] = []

    def start(manners: dict[str, str], drain: float = 20.0, patience: float = 20.0) -> Server:
        servers.append(Server(short_folder, manners, drain, patience))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def is_running(pid: int) -> bool:
    """Say whether *pid* runs; a zombie that waits for its parent does not."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_keeper_is_ready_before_anybody_else_starts_and_stops_last(serve):
    server = serve({"portal": "plain", "keeper": "slow", "courier": "plain"})
    server.until_serving()
    entries = server.entries()
    ready = entries.index(("keeper", "ready"))
    assert ready < entries.index(("portal", "starts"))
    assert ready < entries.index(("courier", "starts"))
    assert server.stop() == 0
    entries = server.entries()
    keeper_told = entries.index(("keeper", "term"))
    assert entries.index(("portal", "ends")) < keeper_told
    assert entries.index(("courier", "ends")) < keeper_told
    assert entries[-1] == ("keeper", "ends")


def test_without_a_keeper_the_doors_start_all_the_same(serve):
    server = serve({"keeper": "mute", "submission": "plain"}, patience=0.5)
    server.until("submission", "ready")
    assert ("keeper", "ready") not in server.entries()
    assert server.stop() == 0


def test_a_role_that_dies_is_started_again_and_the_others_go_on(serve):
    server = serve({"keeper": "plain", "submission": "plain", "portal": "plain"})
    server.until_serving()
    first = server.pids()
    os.kill(first["submission"], signal.SIGKILL)
    wait_for(lambda: len(server.entries("ready")) == 4, "the second start of submission")
    assert server.pids()["submission"] != first["submission"]
    assert server.pids()["portal"] == first["portal"]
    assert server.stop() == 0


def test_a_role_that_keeps_dying_is_started_less_and_less_often(serve):
    server = serve({"keeper": "plain", "portal": "dies"})
    wait_for(lambda: len(server.entries("starts")) >= 4, "three starts of portal")
    deaths = [json.loads(line) for line in server.said().splitlines() if '"a role died"' in line]
    assert [death["again_in"] for death in deaths[:2]] == [0.5, 1.0]
    assert {death["status"] for death in deaths} == {7}
    assert server.stop() == 0


def test_a_second_signal_stops_at_once(serve):
    server = serve({"keeper": "plain", "portal": "deaf"}, drain=600)
    server.until_serving()
    server.process.terminate()
    server.until("portal", "term")
    server.process.terminate()
    assert server.process.wait(60) == 1
    assert not is_running(server.pids()["portal"])


def test_a_role_that_does_not_drain_in_time_is_killed(serve):
    server = serve({"keeper": "plain", "portal": "deaf"}, drain=0.3)
    server.until_serving()
    assert server.stop() == 1
    assert not is_running(server.pids()["portal"])
    assert server.entries()[-1] == ("keeper", "ends")


def test_workers_of_a_killed_role_go_with_it(serve):
    server = serve({"keeper": "plain", "portal": "family"})
    worker = wait_for(lambda: [what for _, what in server.entries() if what.startswith("worker=")], "a worker")
    pid = int(worker[0].partition("=")[2])
    assert is_running(pid)
    os.kill(server.pids()["portal"], signal.SIGKILL)
    wait_for(lambda: not is_running(pid), "the end of the orphaned worker")
    assert server.stop() == 0


def test_a_second_server_on_a_home_is_refused_with_the_first_ones_number(serve):
    first = serve({"keeper": "plain"})
    first.until_serving()
    second = serve({"keeper": "plain"})
    assert second.process.wait(60) != 0
    assert f"a server runs on this home already (process {first.process.pid})" in second.said()
    assert first.stop() == 0


def test_roles_drain_when_their_supervisor_is_killed_and_the_next_server_waits_for_them(serve):
    first = serve({"keeper": "plain", "portal": "plain"})
    first.until_serving()
    orphans = first.pids()
    first.process.kill()
    first.process.wait()
    second = serve({"keeper": "plain", "portal": "plain"})
    wait_for(lambda: len(second.entries("ready")) == 4, "both roles of the second server")
    assert not any(is_running(pid) for pid in orphans.values())
    assert {name for name, _ in second.entries("ends")} == {"keeper", "portal"}
    assert second.stop() == 0


def test_nobody_may_dump_core(serve):
    server = serve({"keeper": "plain"})
    server.until_serving()
    assert ("keeper", "core=0") in server.entries()
    limits = Path(f"/proc/{server.process.pid}/limits").read_text()
    assert "Max core file size        0                    0" in limits
    assert server.stop() == 0

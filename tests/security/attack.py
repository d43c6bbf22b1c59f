"""What somebody tries who runs code of their own as a role's user: python attack.py HOME ROLE PIDS

PIDS are the other processes of the server, by name, as JSON. Prints what came of each attempt: "yes", or the error.
"""

from __future__ import annotations

import ctypes
import json
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from cryptnsend.core.errors import CryptnSendError
from cryptnsend.home import Home
from cryptnsend.keeper.client import Keeper
from cryptnsend.keeper.roles import REQUESTS

PTRACE_ATTACH = 16
FILES = (
    *("cryptnsend.toml", "keeper/master.key", "keeper/ledger.db", "keeper/journal.log", "tls/key.pem"),
    *(
        "dkim/rsa1.pem",
        "dkim/ed1.pem",
        "run/tls/submission.key.pem",
        "run/tls/inbound.key.pem",
        "run/tls/mailbox.key.pem",
        "run/tls/portal.key.pem",
        "data/main.db",
    ),
)
FOLDERS = (
    "keeper",
    "dkim",
    "tls",
    "recovery",
    "run/portal",
    "run/submission",
    "run/inbound",
    "run/mailbox",
    "run/keeper",
    "run/courier",
    "run",
)


def attempts(home: Home, role: str, pids: dict[str, int]) -> Iterator[tuple[str, Callable[[], object]]]:
    for name in FILES:
        yield f"read {name}", (home.path / name).read_bytes
        if name != "data/main.db":
            yield f"write {name}", partial(open_for_writing, home.path / name)
    for name in FOLDERS:
        yield f"add to {name}", partial(add_to, home.path / name)
    for name in ("keeper", "recovery", "tls"):
        yield f"list {name}", partial(os.listdir, home.path / name)
    yield "change rows", partial(change_rows, home.main_db)
    for other in ("submission", "inbound", "mailbox", "portal", "courier", "owner"):
        socket = home.keeper_socket(other)
        yield f"ask as {other}", partial(ask, socket, "health")
        yield f"replace the socket of {other}", socket.unlink
    for name in sorted(set().union(*REQUESTS.values()) - set(REQUESTS[role]) - {"health"}):
        yield f"request {name}", partial(ask, home.keeper_socket(role), name)
    yield "move the keeper's sockets", partial(home.keeper_sockets.rename, home.run / "elsewhere")
    yield "stop the server's lock", partial(open_for_writing, home.serve_lock)
    yield "tell other ports", partial(open_for_writing, home.ports_file)
    for name, pid in pids.items():
        yield f"memory of {name}", Path(f"/proc/{pid}/mem").read_bytes
        yield f"environment of {name}", Path(f"/proc/{pid}/environ").read_bytes
        yield f"descriptors of {name}", partial(os.listdir, f"/proc/{pid}/fd")
        yield f"trace {name}", partial(trace, pid)
        yield f"signal {name}", partial(os.kill, pid, 0)
    yield "become root", partial(os.setuid, 0)
    yield "join root's group", partial(os.setgroups, [0])


def open_for_writing(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY))


def add_to(folder: Path) -> None:
    path = folder / "intruder"
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    path.unlink()


def change_rows(path: Path) -> None:
    rows = sqlite3.connect(path, isolation_level=None, timeout=30)
    try:
        rows.execute("BEGIN IMMEDIATE")
        rows.execute("UPDATE deliveries SET recipient = 1, form = 'tls'")
        rows.execute("UPDATE contacts SET state = 'proven'")
        rows.execute("ROLLBACK")
    finally:
        rows.close()


def ask(socket: Path, request: str) -> None:
    keeper = Keeper(socket)
    try:
        keeper._ask(object, request)
    finally:
        keeper.close()


def trace(pid: int) -> None:
    if ctypes.CDLL(None, use_errno=True).ptrace(PTRACE_ATTACH, pid, None, None):
        raise OSError(ctypes.get_errno(), "ptrace")


def outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except (CryptnSendError, OSError, sqlite3.Error) as error:
        return type(error).__name__
    return "yes"


def main(home: str, role: str, pids: str) -> None:
    tried = attempts(Home(Path(home)), role, json.loads(pids))
    print(json.dumps({name: outcome(attempt) for name, attempt in tried}))


if __name__ == "__main__":
    main(*sys.argv[1:])

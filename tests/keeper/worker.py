"""A process that plays one request against the rules of a keeper and may end itself at a commit, as SIGKILL would.

    worker.py FOLDER REQUEST prepare|play COMMIT

`prepare` writes what the request needs to FOLDER; `play` sends it, and exits with 9 right after commit COMMIT.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from pathlib import Path

import structlog

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from cryptnsend.core.passwords import Argon
from cryptnsend.core.tokens import Claims
from cryptnsend.keeper.client import Keeper
from cryptnsend.keeper.context import Settings
from cryptnsend.keeper.providers import FileProvider, make_master_key
from cryptnsend.keeper.server import serve
from cryptnsend.store.sqlite import SqliteEngine
from tests.keeper.faults import FaultyEngine

PARAMS = Argon(64, 1, 1).encode()
ANN, PAT = "ann@clinic.example", "pat@home.example"


class FixedClock:
    """A time that all runs share, so that no ticket or code ends between them."""

    def now(self) -> int:
        return 1_790_000_000_000

    def monotonic(self) -> float:
        return 0.0


def prepare(folder: Path, request: str, portal: Keeper, courier: Keeper, owner: Keeper) -> None:
    old = os.urandom(32)
    ann = owner.add(ANN, None, ["subscriber"], os.urandom(16), PARAMS, old, "Ann")
    values: dict[str, object] = {"k": os.urandom(32).hex(), "old": old.hex(), "ticket": ann.ticket.hex()}
    if request == "register":
        link = courier.notice(PAT, ann.account, 7).link
        values |= {"token": link.token, "subscriber": ann.account}
        values["code"] = portal.codes(ann.ticket, [PAT])[0].code
    if request == "reset":
        proof = portal.mail_proof(ANN, "reset")
        values |= {"id": proof.id, "salt": proof.salt.hex(), "code": courier.mail_code(proof.id).code}
    (folder / "request.json").write_text(json.dumps(values))


def play(folder: Path, request: str, portal: Keeper) -> None:
    values = json.loads((folder / "request.json").read_text())
    k, ticket = bytes.fromhex(values["k"]), bytes.fromhex(values["ticket"])
    if request == "register":
        claims = Claims("open", PAT, values["subscriber"], 7)
        proof = portal.prove(values["token"], claims, values["code"])
        opened = portal.register(proof.ticket, proof.salt, PARAMS, k, "Pat", "en")
    elif request == "reset":
        opened = portal.reset(values["id"], values["code"], bytes.fromhex(values["salt"]), PARAMS, k)
    else:
        opened = portal.change(ticket, bytes.fromhex(values["old"]), portal.change_salt(ticket), PARAMS, k)
    print("opened", opened.account, len(opened.seeds))


def main() -> None:
    folder, request, what, commit = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    key = folder / "master.key"
    if not key.exists():
        make_master_key(key, os.urandom)
    engine = FaultyEngine(SqliteEngine(folder / "ledger.db"), fail=lambda: os._exit(9))
    ready, stop = threading.Event(), threading.Event()
    settings = Settings(journal=folder / "journal.log", argon=Argon(64, 1, 1))
    log = structlog.wrap_logger(logging.getLogger("worker"))
    provider = FileProvider(key, os.urandom)
    thread = threading.Thread(
        target=serve,
        args=(engine, provider, folder, FixedClock(), os.urandom, settings, log, ready.set),
        kwargs={"stop": stop},
    )
    thread.start()
    ready.wait(60)
    portal, courier, owner = (Keeper(folder / f"keeper-{role}.sock") for role in ("portal", "courier", "owner"))
    if what == "prepare":
        prepare(folder, request, portal, courier, owner)
    else:
        portal.anchors()
        engine.arm(commit, after=True)
        play(folder, request, portal)
    stop.set()
    thread.join()
    engine.close()


if __name__ == "__main__":
    main()

"""Save a ledger of the present schema with people in it, and what they know, for the upgrade test.

python -m tests.keeper.save_ledger N, once for each release that appends steps. A saved file of a released schema is
never written again.
"""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import sys
import tempfile
from pathlib import Path

import msgspec

from cryptnsend.core.passwords import Argon
from cryptnsend.keeper.context import Settings
from cryptnsend.keeper.providers import FileProvider, make_master_key
from cryptnsend.store.sqlite import SqliteEngine
from tests.keeper.conftest import HandClock, Person, Running, code_for, register, send, subscriber
from tests.keeper.test_second import number
from tests.support.authenticator import Passkey

MARK = bytes(range(32))  # of a key of Ann's own
LEDGERS = Path(__file__).with_name("ledgers")
CARL, DORA = "carl@mail.example", "dora@law.example"


def text(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def live(keeper: Running) -> dict[str, object]:
    """Let people do what leaves rows in every table; return what they know afterwards."""
    clinic = keeper.owner.organisation_add("Clinic", "strict", "new-contact")
    ann = subscriber(keeper, "ann@clinic.example", clinic.id, "subscriber", "officer")
    pat = Person("pat@home.example")
    mail = send(keeper, ann, pat.address, "strict")
    register(keeper, mail, code_for(keeper, ann, pat.address), pat)
    send(keeper, ann, CARL)
    device = keeper.portal.device_add(ann.ticket, "submit")
    invited = keeper.owner.invite("bob@clinic.example", clinic.id, "Bob")
    dora = subscriber(keeper, DORA)
    secret = keeper.portal.second_begin(dora.ticket, dora.k).secret
    keeper.portal.second_begun(dora.ticket, number(keeper, secret))
    passkey, step = Passkey(), Passkey()
    asked = keeper.portal.passkey_begin(pat.ticket, pat.k)
    output, seeds = passkey.output(asked.input), pat.opened.seeds if pat.opened else {}
    keeper.portal.passkey_add(pat.ticket, "Phone", passkey.make(asked.challenge), output, seeds)
    asked = keeper.portal.passkey_begin(dora.ticket, dora.k)
    keeper.portal.passkey_add(dora.ticket, "Key", step.make(asked.challenge), b"", {})
    shown = step.answer(keeper.portal.passkey_ask(dora.ticket, "number").challenge)
    code = keeper.portal.passkey_show(dora.ticket, "number", shown)
    keeper.portal.passkey_step(dora.ticket, dora.k, code, True)
    token = keeper.portal.token_add(ann.ticket, ann.k, ["send", "list"], 90)
    hook = keeper.portal.hook_add(ann.ticket, ann.k, "https://practice.example/", ["opened"])
    allowed = send(keeper, ann, pat.address)
    keeper.portal.allow(ann.ticket, allowed.message, "mail")
    keeper.portal.set_own_key(ann.ticket, ann.k, "", "openpgp", MARK)
    return {
        "now": keeper.clock.now(),
        "people": {each.address: text(each.k) for each in (ann, pat)},
        "device": [device.id, text(device.secret)],
        "hook": [hook.id, hook.secret],
        "token": [token.id, text(token.secret)],
        "passphrase": keeper.portal.passphrase(ann.ticket, ann.k)[0].words,
        "code": code_for(keeper, ann, CARL),
        "invitation": [invited.id, keeper.courier.invitation(invited.id).code],
        "grant": text(msgspec.msgpack.encode(mail.grant)),
        "content": text(mail.content),
        "second": [text(dora.k), text(secret)],
        "passkeys": [passkey.kept(), step.kept()],
        "own_key": ["openpgp", text(MARK)],
        "allowed": [allowed.link.token, msgspec.to_builtins(allowed.claims)],
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_master_key(folder / "master.key", os.urandom)
        engine = SqliteEngine(folder / "ledger.db")
        keeper = Running(
            folder,
            HandClock(),
            Settings(journal=folder / "journal.log", argon=Argon(64, 1, 1), origin=lambda: Passkey().origin),
            engine,
            FileProvider(folder / "master.key", os.urandom),
        )
        keeper.start()
        known = live(keeper) | {"master_key": (folder / "master.key").read_text()}
        keeper.end()
        engine.close()
        conn = sqlite3.connect(folder / "ledger.db")
        dumped = "\n".join(conn.iterdump()) + "\n"
        conn.close()
    LEDGERS.mkdir(exist_ok=True)
    number = int(sys.argv[1])
    (LEDGERS / f"v{number}.sql").write_text(dumped, "utf-8")
    (LEDGERS / f"v{number}.json").write_text(json.dumps(known, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()

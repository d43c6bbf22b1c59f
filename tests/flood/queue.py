"""A queue full of deliveries, the courier as a process of its own that works it off, and what came of each."""

from __future__ import annotations

import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptnsend.app import App, build
from cryptnsend.cli.owner import owned
from cryptnsend.config import Config
from cryptnsend.flow.granting import Addressee, Author, Envelope
from cryptnsend.store.records import accounts
from tests.support.homes import make_home
from tests.support.roles import Roles
from tests.support.sinks import Taken
from tests.support.waiting import wait_for

ANN = "ann@gmail.example"
PASSWORD = "harbour violet tractor ninety"
EACH = 20  # recipients of one message
PLAIN = 10  # every tenth message is declared plain
WAITS = "SELECT count(*) AS n FROM deliveries WHERE state NOT IN ('delivered', 'failed', 'parked', 'cancelled')"
UNCAPPED = {"limits": {"messages_per_day": 1_000_000, "new_recipients_per_day": 1_000_000}}


@dataclass(frozen=True)
class Worked:
    """What became of a queue: the mails it should have made, and how often each delivery was tried."""

    expected: Counter[Taken]
    states: Counter[str]
    tries: int
    seconds: float  # from the start of the courier to the empty queue


def flood(folder: Path, host: str, count: int, **delivery: Any) -> Worked:
    """Queue *count* deliveries or more, let a courier send all to *host* ("host:port"), and return what it did."""
    values = {**UNCAPPED, "delivery": {"smarthost": f"smtp://{host}", **delivery}}
    config = make_home(folder / "home", values)
    with owned(config) as app:
        app.owner.add(ANN, PASSWORD, organisation=None, roles=("subscriber",), name="Ann Ruiz")
    roles = Roles(config)
    roles.home.announce({"portal": 443})  # the courier waits to learn where links lead; no portal runs here
    try:
        roles.start("keeper")
        fill(config, count)
        began = time.monotonic()
        roles.start("courier")
        app = build(config, "owner")
        with closing(app.engine), closing(app.blobs):
            patience = max(1200, count // 20)  # a machine with much else to do sends less than a hundred a second
            wait_for(lambda: not app.engine.query(WAITS)[0]["n"], "the queue is empty", seconds=patience, step=0.2)
            return _worked(app, config, time.monotonic() - began)
    finally:
        roles.stop()


def fill(config: Config, count: int) -> None:
    """Admit so many messages that *count* deliveries are due, as the SMTP door admits them."""
    app = build(config, "submission")
    try:
        row = accounts.by_address(app.engine, ANN)
        assert row is not None
        author = Author(row["id"], row["org"], ANN, frozenset({ANN}), True)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: _admit(app, author, number), range(-(-count // EACH))))
    finally:
        app.engine.close()
        app.keeper.close()
        app.blobs.close()


def _admit(app: App, author: Author, number: int) -> None:
    people = tuple(Addressee(f"p{number}-{each}@d{each}.example") for each in range(EACH))
    subject = f":: Plain {number}" if number % PLAIN == 0 else f"Results {number}"
    draft = app.admission.begin(author, Envelope(ANN, people), "smtp")
    draft.header(f"From: {ANN}\r\nTo: undisclosed\r\nSubject: {subject}\r\n\r\n".encode())
    draft.body(b"All is well.\r\n" + os.urandom(1000).hex().encode() + b"\r\n")
    draft.commit_now()


def _worked(app: App, config: Config, seconds: float) -> Worked:
    rows = app.engine.query(
        "SELECT d.id, d.kind, d.message, d.state, d.attempts, a.canonical AS recipient"
        " FROM deliveries d LEFT JOIN addresses a ON a.id = d.recipient"
    )
    domain = config.server.domain
    idents = {row["id"]: f"<m{row['message']}" if row["kind"] == "relay" else f"<d{row['id']}" for row in rows}
    return Worked(
        Counter(Taken(f"{idents[row['id']]}@{domain}>", row["recipient"] or ANN) for row in rows),
        Counter(row["state"] for row in rows),
        sum(row["attempts"] for row in rows),
        seconds,
    )

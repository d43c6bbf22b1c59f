"""A server that starts with a long queue: its doors open and mail leaves at once, and nothing of the queue is lost."""

from __future__ import annotations

import os
import time
from contextlib import closing
from pathlib import Path

import pytest

from cryptnsend.app import build
from cryptnsend.cli.owner import owned
from tests.flood.queue import ANN, PASSWORD, UNCAPPED, WAITS, fill
from tests.support.homes import make_home
from tests.support.roles import Roles
from tests.support.sinks import dumped, smtp_sink
from tests.support.waiting import wait_for


def restart(folder: Path, sink: Path, count: int) -> int:
    """Queue *count* deliveries, start all that mail needs, say how long each took; return how many there are then."""
    with smtp_sink(sink) as host:
        config = make_home(folder / "home", {**UNCAPPED, "delivery": {"smarthost": f"smtp://{host}"}})
        with owned(config) as app:
            app.owner.add(ANN, PASSWORD, organisation=None, roles=("subscriber",), name="Ann Ruiz")
        roles = Roles(config)
        roles.home.announce({"portal": 443})
        roles.start("keeper")
        fill(config, count)
        roles.kill("keeper")
        began = time.monotonic()
        try:
            for role in ("keeper", "submission"):
                roles.start(role)
            listening = time.monotonic() - began
            roles.start("courier")
            wait_for(lambda: dumped(sink), "the first mail leaves")
            first = time.monotonic() - began
        finally:
            roles.stop()
        app = build(config, "owner")
        with closing(app.engine), closing(app.blobs):
            waiting = app.engine.query(WAITS)[0]["n"]
            states = {row["state"] for row in app.engine.query("SELECT DISTINCT state FROM deliveries")}
            delivered = app.engine.query("SELECT count(*) AS n FROM deliveries WHERE state = 'delivered'")[0]["n"]
        assert states <= {"due", "leased", "delivered", "delayed"}
        assert delivered <= len(dumped(sink))
    queued = int(waiting + delivered)
    print(f"{queued} queued: keeper and door ready after {listening:.1f} s, first mail after {first:.1f} s")
    return queued


@pytest.mark.long
def test_a_server_starts_with_two_thousand_queued(short_folder: Path, sink_folder: Path) -> None:
    assert restart(short_folder, sink_folder, 2_000) >= 2_000


@pytest.mark.torture
def test_a_server_starts_with_a_hundred_thousand_queued(short_folder: Path, sink_folder: Path) -> None:
    count = int(os.environ.get("QUEUED", "100000"))
    assert restart(short_folder, sink_folder, count) >= count

"""Roles that are killed at random moments, and what was promised against what is there."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cryptnsend.app import build
from cryptnsend.config import Config
from cryptnsend.core import passwords
from cryptnsend.core.contracts import Row
from cryptnsend.core.keys import GrantBinding, Pair, unwrap_content
from cryptnsend.core.seal import open_sealed
from tests.crash.programs import Program
from tests.support.roles import START_SECONDS, Roles


@dataclass(frozen=True)
class Found:
    """What a server has after all: ids by tag, and tags whose content does not open to what was sent."""

    ids: dict[str, list[int]]
    unreadable: list[str]
    without_delivery: list[str]


def torment(
    roles: Roles, programs: Sequence[Program], weights: Mapping[str, int], kills: int, seed: int = 1
) -> dict[str, str]:
    """Kill roles at random moments under load, *kills* times, by *weights*; return what was acknowledged."""
    chance = random.Random(seed)
    # The courier waits to learn where links lead; no portal runs here.
    roles.home.announce({"portal": 443})
    for role in weights:
        roles.start(role)
    threads = [threading.Thread(target=each.run, name=f"program {each.number}") for each in programs]
    stop = programs[0].stop
    try:
        for thread in threads:
            thread.start()
        for _ in range(kills):
            role = chance.choices(list(weights), list(weights.values()))[0]
            before = sum(len(each.acknowledged) for each in programs)
            stop.wait(chance.uniform(0.0, 0.25))
            roles.kill(role)
            roles.start(role)
            _go_on(programs, before)
    finally:
        stop.set()
        for thread in threads:
            thread.join(120)
        roles.stop()
    # What counts is what the programs wrote to their own disks.
    return dict(line.split() for each in programs for line in each.log.read_text().splitlines())


def _go_on(programs: Sequence[Program], before: int) -> None:
    """Wait until mail flows again, so that every kill meets a server at work."""
    deadline = time.monotonic() + START_SECONDS
    pause = threading.Event()
    while sum(len(each.acknowledged) for each in programs) <= before:
        assert time.monotonic() < deadline, f"no mail was taken after a restart: {[each.heard for each in programs]}"
        pause.wait(0.01)


def find(config: Config, author: str, password: str) -> Found:
    """Open every message of *author* through their own grant, as they would; each has one notice."""
    ids: dict[str, list[int]] = {}
    unreadable, without = [], []
    for row, octets in opened(config, author, password):
        tag = row["message_id"].strip("<>").partition("@")[0]
        ids.setdefault(tag, []).append(row["id"])
        if row["notices"] != 1:
            without.append(tag)
        if f"Subject: {tag}\r\n".encode() not in octets or not octets.endswith(b"\r\n"):
            unreadable.append(tag)
    return Found(ids, unreadable, without)


def opened(config: Config, author: str, password: str) -> Iterator[tuple[Row, bytes]]:
    """Yield the row and the octets of every message of *author*; raise WrongSecret if that is not their password."""
    roles = Roles(config)
    roles.start("keeper")
    app = build(config, "owner")
    try:
        salt = app.keeper.salt(author)
        k = passwords.derive(password, salt.salt, passwords.Argon.decode(salt.params))
        found = app.keeper.open(author, k)
        pairs = {ident: Pair(seed) for ident, seed in found.seeds.items()}
        rows = app.engine.query(
            "SELECT m.id, m.org, m.message_id, g.holder, g.role, g.contact, g.custody, g.wrap, e.id AS epoch, e.owner,"
            " e.holder AS epoch_holder, e.pair, e.sealed, c.body, c.blob_key,"
            " (SELECT count(*) FROM deliveries d WHERE d.message = m.id AND d.kind = 'notice') AS notices"
            " FROM messages m JOIN grants g ON g.message = m.id AND g.role = 'author' JOIN epochs e ON e.id = g.epoch"
            " JOIN contents c ON c.message = m.id AND c.part = 'raw' WHERE m.author = :author",
            author=found.account,
        )
        epochs: dict[int, bytes] = {}
        for row in rows:
            if row["epoch"] not in epochs:
                place = {"label": "epoch", "owner": row["owner"], "holder": row["epoch_holder"], "ref": row["epoch"]}
                epochs[row["epoch"]] = pairs[row["pair"]].open(row["sealed"], **place)
            binding = GrantBinding(row["org"], row["id"], row["holder"], row["role"], row["contact"], row["custody"])
            key = unwrap_content(epochs[row["epoch"]], row["wrap"], binding)[:32]
            sealed = row["body"] or b"".join(app.blobs.open(row["blob_key"]))
            yield row, open_sealed(key, row["id"], "raw", sealed)
    finally:
        app.engine.close()
        app.keeper.close()
        app.blobs.close()
        roles.stop()

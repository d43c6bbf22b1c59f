"""Roles that are killed, mail programs that go on sending, and what was promised against what is there."""

from __future__ import annotations

import os
import random
import smtplib
import ssl
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptnsend.app import build
from cryptnsend.config import Config
from cryptnsend.core import passwords
from cryptnsend.core.keys import GrantBinding, Pair, unwrap_content
from cryptnsend.core.seal import open_sealed
from tests.support.roles import START_SECONDS, Roles

ANN = "ann@gmail.example"
PASSWORD = "harbour violet tractor ninety"
ROLES = ("keeper", "submission", "courier")


@dataclass
class Sender:
    """A mail program that never gives up: each mail has a number, and what was acknowledged is on its own disk."""

    number: int
    roles: Roles
    context: ssl.SSLContext
    log: Path
    stop: threading.Event
    device: str
    sizes: Sequence[int] = (300, 4_000, 60_000)
    acknowledged: dict[str, str] = field(default_factory=dict)  # tag to the id in the 250

    def run(self) -> None:
        """Send until stopped; a mail whose answer was lost is sent again, octet by octet the same."""
        with self.log.open("ab", buffering=0) as log:
            for count in range(1_000_000):
                tag = f"crash-{self.number}-{count}"
                octets = self._mail(tag, self.sizes[count % len(self.sizes)])
                answer = None
                while answer is None:
                    if self.stop.is_set():
                        return
                    answer = self._send(tag, octets)
                log.write(f"{tag} {answer}\n".encode())
                os.fsync(log.fileno())
                self.acknowledged[tag] = answer

    def _mail(self, tag: str, size: int) -> bytes:
        head = f"From: {ANN}\r\nTo: {tag}@yahoo.example\r\nSubject: {tag}\r\nMessage-ID: <{tag}@gmail.example>\r\n\r\n"
        return (head + (tag + " ").ljust(70, "x") + "\r\n").encode() * 1 + b"y" * 70 * (size // 70) + b"\r\n"

    def _send(self, tag: str, octets: bytes) -> str | None:
        port = self.roles.home.ports().get("submissions", 1)
        try:
            with smtplib.SMTP_SSL("localhost", port, context=self.context, timeout=20) as client:
                client.login(ANN, self.device)
                client.mail(ANN)
                client.rcpt(f"{tag}@yahoo.example")
                code, words = client.data(octets)
        except (OSError, smtplib.SMTPException):
            self.stop.wait(0.02)  # the server is down; a mail program waits longer, which would only cost time here
            return None
        return words.decode().split()[3] if code == 250 else None


@dataclass(frozen=True)
class Found:
    """What a server has after all: ids by tag, and tags whose content does not open to what was sent."""

    ids: dict[str, list[int]]
    unreadable: list[str]
    without_delivery: list[str]


def torment(
    config: Config, device: str, kills: int, *, senders: int = 4, seed: int = 1
) -> tuple[dict[str, str], Found]:
    """Kill random roles at random moments under load, *kills* times; return what was acknowledged and what is there."""
    chance = random.Random(seed)
    roles = Roles(config)
    # The courier waits to learn where links lead; no portal runs here.
    roles.home.announce({"portal": 443})
    for role in ROLES:
        roles.start(role)
    context = ssl.create_default_context(cafile=str(config.tls.certificate))
    stop = threading.Event()
    folder = config.server.home.parent
    programs = [Sender(n, roles, context, folder / f"sent-{n}.log", stop, device) for n in range(senders)]
    threads = [threading.Thread(target=each.run, name=f"sender {each.number}") for each in programs]
    try:
        for thread in threads:
            thread.start()
        for _ in range(kills):
            role = chance.choices(ROLES, (1, 5, 1))[0]
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
    # What counts is what the mail programs wrote to their own disks.
    acknowledged = dict(line.split() for each in programs for line in each.log.read_text().splitlines())
    return acknowledged, find(config)


def _go_on(programs: Sequence[Sender], before: int) -> None:
    """Wait until mail flows again, so that every kill meets a server at work."""
    deadline = time.monotonic() + START_SECONDS
    pause = threading.Event()
    while sum(len(each.acknowledged) for each in programs) <= before:
        assert time.monotonic() < deadline, "no mail was taken after a restart"
        pause.wait(0.01)


def find(config: Config) -> Found:
    """Open every message that is there through its author's grant, as the author would."""
    roles = Roles(config)
    roles.start("keeper")
    app = build(config, "owner")
    try:
        salt = app.keeper.salt(ANN)
        k = passwords.derive(PASSWORD, salt.salt, passwords.Argon.decode(salt.params))
        pairs = {ident: Pair(seed) for ident, seed in app.keeper.open(ANN, k).seeds.items()}
        rows = app.engine.query(
            "SELECT m.id, m.org, m.message_id, g.holder, g.role, g.contact, g.custody, g.wrap, e.id AS epoch, e.owner,"
            " e.holder AS epoch_holder, e.pair, e.sealed, c.body, c.blob_key,"
            " (SELECT count(*) FROM deliveries d WHERE d.message = m.id AND d.kind = 'notice') AS notices"
            " FROM messages m JOIN grants g ON g.message = m.id AND g.role = 'author' JOIN epochs e ON e.id = g.epoch"
            " JOIN contents c ON c.message = m.id AND c.part = 'raw'"
        )
        ids: dict[str, list[int]] = {}
        unreadable, without = [], []
        for row in rows:
            tag = row["message_id"].strip("<>").partition("@")[0]
            ids.setdefault(tag, []).append(row["id"])
            if row["notices"] != 1:
                without.append(tag)
            place = {"label": "epoch", "owner": row["owner"], "holder": row["epoch_holder"], "ref": row["epoch"]}
            epoch = pairs[row["pair"]].open(row["sealed"], **place)
            binding = GrantBinding(row["org"], row["id"], row["holder"], row["role"], row["contact"], row["custody"])
            key = unwrap_content(epoch, row["wrap"], binding)[:32]
            sealed = row["body"] or b"".join(app.blobs.open(row["blob_key"]))
            octets = open_sealed(key, row["id"], "raw", sealed)
            if f"Subject: {tag}\r\n".encode() not in octets or not octets.endswith(b"\r\n"):
                unreadable.append(tag)
        return Found(ids, unreadable, without)
    finally:
        app.engine.close()
        app.keeper.close()
        app.blobs.close()
        roles.stop()

"""Is what was answered with 250 really there, and is it what was sent?

Every message is counted, with its parts, grants, delivery and audit row. Samples are opened the way people would open
them, through the author's grant, a colleague's, the archive's recovery file, and for somebody new through the sender's
code, a registration and the keeper's adoption; and compared octet for octet with what the client sent.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from generator import Failed, Message, Taken
from server import PASSWORD, Server

from cryptnsend import app as composition
from cryptnsend.app import App
from cryptnsend.cli.owner import keeper_running
from cryptnsend.core import keys, mime, passwords, seal
from cryptnsend.core.model import account_holder, address_holder
from cryptnsend.core.tokens import Claims
from cryptnsend.keeper import recovery
from cryptnsend.keeper.requests import EpochRow, Opened, SealedGrant
from cryptnsend.store.records import trail
from cryptnsend.store.vault import Stored

NEWCOMERS = 10  # people outside who register and open what waits for them


@dataclass
class Batch:
    """What one run of the client had taken."""

    name: str
    message: Message
    taken: Sequence[Taken]
    sampled: int


@dataclass
class Report:
    """What was found in order."""

    messages: int = 0
    opened: dict[str, int] = field(default_factory=dict)
    chains: int = 0

    def __str__(self) -> str:
        ways = ", ".join(f"{count} through {way}" for way, count in sorted(self.opened.items()))
        return (
            f"{self.messages} rows for {self.messages} yeses; opened and compared: {ways}; {self.chains} audit chains"
        )


def verify(server: Server, batches: Sequence[Batch], chance: random.Random) -> Report:
    """Check everything that *batches* name; raise `Failed` at the first thing that is not as promised."""
    report = Report()
    with ExitStack() as stack:
        stack.enter_context(keeper_running(server.config))
        pieces = {}
        for role in ("owner", "portal", "courier"):
            pieces[role] = composition.build(server.config, role)
            stack.callback(pieces[role].keeper.close)
        stack.callback(pieces["owner"].engine.close)
        opener = _Opener(server, pieces)
        _count(pieces["owner"], batches, server.filled, report)
        for batch in batches:
            for taken in chance.sample(list(batch.taken), min(batch.sampled, len(batch.taken))):
                opener.check(batch, taken, report)
        opener.check_newcomers(batches, report)
        for row in pieces["owner"].engine.query("SELECT id FROM organisations"):
            if trail.verify(pieces["owner"].engine, row["id"]).broken is not None:
                raise Failed(f"The audit chain of organisation {row['id']} is broken.")
            report.chains += 1
    return report


def ident(taken: Taken) -> int:
    """Return the id that the server gave the message."""
    return int(taken.reply.rpartition(" ")[2])


def _count(app: App, batches: Sequence[Batch], filled: int, report: Report) -> None:
    promised = {ident(taken) for batch in batches for taken in batch.taken}
    if len(promised) != sum(len(batch.taken) for batch in batches):
        raise Failed("Two messages got the same id.")
    found = {row["id"] for row in app.engine.query("SELECT id FROM messages WHERE id > :filled", filled=filled)}
    if found != promised:
        raise Failed(
            f"{len(promised)} messages were promised, {len(found)} are there, {len(promised - found)} missing."
        )
    people = {ident(taken): 1 + len(taken.others) for batch in batches for taken in batch.taken}
    asked = {
        "index and content": "SELECT message, count(*) AS n FROM contents"
        " WHERE message > :filled AND part IN ('raw', 'index') GROUP BY 1",
        "author's, recipients' and archive's grants": "SELECT message, count(*) AS n FROM grants"
        " WHERE message > :filled GROUP BY 1",
        "recipients": "SELECT message, count(*) AS n FROM recipients WHERE message > :filled GROUP BY 1",
    }
    for (what, sql), (each, besides) in zip(asked.items(), ((0, 2), (1, 2), (1, 0)), strict=True):
        counts = {row["message"]: row["n"] for row in app.engine.query(sql, filled=filled)}
        if counts != {message: each * count + besides for message, count in people.items()}:
            raise Failed(f"Not every message has its {what}.")
    for what, sql in {
        "notice or handoff": "SELECT count(DISTINCT message) AS n FROM deliveries"
        " WHERE message > :filled AND kind IN ('notice', 'handoff')",
        "audit row": "SELECT count(DISTINCT object) AS n FROM audit"
        " WHERE object > :filled AND action = 'message.sealed'",
    }.items():
        if app.engine.query(sql, filled=filled)[0]["n"] != len(promised):
            raise Failed(f"Not every message has its {what}.")
    report.messages = len(promised)


class _Opener:
    """Opens stored messages with what people have: passwords, recovery files, codes."""

    def __init__(self, server: Server, pieces: Mapping[str, App]):
        self._pieces = pieces
        self._owner = pieces["owner"]
        self._people: dict[str, Opened] = {}
        self._epochs: dict[int, bytes] = {}
        self._archives: dict[int, bytes] = {}
        for file in server.archives:
            recovered = recovery.read(file.text, file.code)
            self._archives[recovered.pair] = recovered.key
        self._turn = 0

    def check(self, batch: Batch, taken: Taken, report: Report) -> None:
        """Open one message through its author, its recipient or its archive in turn, and compare."""
        rows = self._grants(ident(taken))
        grants, author = {row["role"]: row for row in rows}, self._person(taken.sender)
        ways = [("the author", grants["author"], author.seeds), ("the archive", grants["archive"], self._archives)]
        if taken.recipient.startswith("a"):
            colleague = self._person(taken.recipient)
            theirs = next(row for row in rows if row["holder"] == account_holder(colleague.account))
            ways.append(("a colleague", theirs, colleague.seeds))
        way, grant, seeds = ways[self._turn % len(ways)]
        self._turn += 1
        if author.account != self._author(ident(taken)):
            raise Failed(f"{batch.name}: message {taken.number} has another author.")
        self._compare(batch, taken, self._content_key(grant, seeds))
        report.opened[way] = report.opened.get(way, 0) + 1

    def check_newcomers(self, batches: Sequence[Batch], report: Report) -> None:
        """Let some of the people outside register with the sender's code, adopt what waits, and open it."""
        outside = {taken.recipient: (batch, taken) for batch in batches for taken in batch.taken}
        waiting = [address for address in outside if not address.startswith("a")]
        for address in random.Random(1).sample(sorted(waiting), min(NEWCOMERS, len(waiting))):
            batch, taken = outside[address]
            self._compare(batch, taken, self._adopted(taken))
            report.opened["code and adoption"] = report.opened.get("code and adoption", 0) + 1

    def _adopted(self, taken: Taken) -> bytes:
        message, address = ident(taken), taken.recipient
        portal, courier = self._pieces["portal"].keeper, self._pieces["courier"].keeper
        author = self._person(taken.sender)
        token = courier.notice(address, author.account, message).link
        (code,) = portal.codes(author.ticket, [address])
        claims = Claims(token.row.purpose, token.row.address, token.row.subscriber, token.row.message)
        proof = portal.prove(token.token, claims, code.code or "")
        salt, argon = bytes(passwords.SALT), self._owner.argon
        k = passwords.derive(PASSWORD, salt, argon)
        session = portal.register(proof.ticket, salt, argon.encode(), k, "Pat", "en")
        grant = next((row for row in self._grants(message) if row["holder"] == address_holder(address)), None)
        if grant is None:
            raise Failed(f"Message {message} does not wait for {address}.")
        sealed = SealedGrant(
            grant["org"], message, grant["holder"], grant["role"], grant["contact"], grant["custody"],
            EpochRow(grant["epoch"], grant["pair"], 1, grant["owner"], grant["epoch_holder"], grant["sealed"]),
            grant["wrap"],
        )  # fmt: skip
        (given,) = portal.adopt(session.ticket, [sealed])
        if given.holder != account_holder(session.account):
            raise Failed(f"Message {message} was adopted by somebody else.")
        epoch = given.epoch
        key = keys.open_with(
            session.seeds[epoch.pair],
            epoch.sealed,
            label="epoch",
            owner=epoch.owner,
            holder=epoch.holder,
            ref=epoch.id,
        )
        binding = keys.GrantBinding(given.organisation, message, given.holder, given.role, given.contact, given.custody)
        return keys.unwrap_content(key, given.wrap, binding)

    def _person(self, address: str) -> Opened:
        if address not in self._people:
            k = self._owner.owner.k(address, PASSWORD)
            self._people[address] = self._owner.keeper.open(address, k)
        return self._people[address]

    def _author(self, message: int) -> int:
        author: int = self._owner.engine.query("SELECT author FROM messages WHERE id = :id", id=message)[0]["author"]
        return author

    def _grants(self, message: int) -> list[dict[str, Any]]:
        return self._owner.engine.query(
            "SELECT g.*, e.pair, e.owner, e.holder AS epoch_holder, e.sealed FROM grants g"
            " JOIN epochs e ON e.id = g.epoch WHERE g.message = :message AND g.state = 'active'",
            message=message,
        )

    def _content_key(self, grant: Mapping[str, Any], seeds: Mapping[int, bytes]) -> bytes:
        epoch = grant["epoch"]
        if epoch not in self._epochs:
            self._epochs[epoch] = keys.open_with(
                seeds[grant["pair"]],
                grant["sealed"],
                label="epoch",
                owner=grant["owner"],
                holder=grant["epoch_holder"],
                ref=epoch,
            )
        binding = keys.GrantBinding(
            grant["org"], grant["message"], grant["holder"], grant["role"], grant["contact"], grant["custody"]
        )
        return keys.unwrap_content(self._epochs[epoch], grant["wrap"], binding)

    def _compare(self, batch: Batch, taken: Taken, content_keys: bytes) -> None:
        message, sent = ident(taken), batch.message.filled(taken)
        parts = {
            row["part"]: row
            for row in self._owner.engine.query("SELECT * FROM contents WHERE message = :message", message=message)
        }
        raw = parts["raw"]
        stored = self._owner.vault.open(Stored(raw["body"], raw["blob_key"]))
        at = 0
        for piece in seal.open_stream(content_keys[:32], message, "raw", stored):
            if sent[at : at + len(piece)] != piece:
                raise Failed(f"{batch.name}: message {taken.number} is not what was sent, from octet {at} on.")
            at += len(piece)
        if at != len(sent) or raw["size"] != len(sent):
            raise Failed(f"{batch.name}: message {taken.number} has {at} octets, {len(sent)} were sent.")
        index = mime.Index.from_octets(
            seal.unpad(seal.open_sealed(content_keys[:32], message, "index", parts["index"]["body"]))
        )
        if index.subject.split()[-1] != f"{taken.number:012}" or index.size != len(sent):
            raise Failed(f"{batch.name}: message {taken.number} has the index of another.")

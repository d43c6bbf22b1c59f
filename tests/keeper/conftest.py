"""A keeper on real sockets with a ledger of its own, and the people of the stories."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import structlog

from cryptnsend.core import keys
from cryptnsend.core.cards import read_card
from cryptnsend.core.contracts import Engine
from cryptnsend.core.model import KEEPER, Card, address_holder, contact_name, new_id
from cryptnsend.core.passwords import Argon
from cryptnsend.core.tokens import Claims
from cryptnsend.keeper import requests as q
from cryptnsend.keeper.client import Keeper
from cryptnsend.keeper.context import Settings
from cryptnsend.keeper.providers import FileProvider, Provider, make_master_key
from cryptnsend.keeper.server import serve
from cryptnsend.store.sqlite import SqliteEngine

PARAMS = Argon(64, 1, 1).encode()
START = 1_790_000_000_000  # UTC milliseconds


class HandClock:
    """Time that moves when a test says so."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> int:
        return self.at

    def monotonic(self) -> float:
        return self.at / 1000

    def forward(self, *, minutes: float = 0, hours: float = 0, days: float = 0) -> None:
        self.at += int(((days * 24 + hours) * 60 + minutes) * 60_000)


@dataclass
class Running:
    """A keeper that runs in a thread, with a client for each role's socket."""

    folder: Path
    clock: HandClock
    settings: Settings
    engine: Engine
    provider: Provider
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    clients: dict[str, Keeper] = field(default_factory=dict)

    def start(self) -> None:
        ready = threading.Event()
        self.stop = threading.Event()
        log = structlog.wrap_logger(logging.getLogger("cryptnsend.test"))
        self.thread = threading.Thread(
            target=serve,
            args=(self.engine, self.provider, self.folder, self.clock, os.urandom, self.settings, log, ready.set),
            kwargs={"stop": self.stop},
        )
        self.thread.start()
        assert ready.wait(120)

    def end(self) -> None:
        for client in self.clients.values():
            client.close()
        self.clients.clear()
        self.stop.set()
        assert self.thread is not None
        self.thread.join(120)
        assert not self.thread.is_alive()

    def restart(self) -> None:
        self.end()
        self.start()

    def role(self, name: str) -> Keeper:
        if name not in self.clients:
            self.clients[name] = Keeper(self.folder / f"keeper-{name}.sock")
        return self.clients[name]

    @property
    def portal(self) -> Keeper:
        return self.role("portal")

    @property
    def courier(self) -> Keeper:
        return self.role("courier")

    @property
    def submission(self) -> Keeper:
        return self.role("submission")

    @property
    def owner(self) -> Keeper:
        return self.role("owner")


Make = Callable[..., Running]


@pytest.fixture
def make_keeper(short_folder: Path) -> Iterator[Make]:
    """Start keepers with settings of one's own; all of them end with the test."""
    made: list[Running] = []

    def make(
        *,
        provider: Provider | None = None,
        around: Callable[[SqliteEngine], Engine] | None = None,
        **settings: object,
    ) -> Running:
        folder = short_folder / f"k{len(made)}"
        folder.mkdir()
        if provider is None:
            make_master_key(folder / "master.key", os.urandom)
            provider = FileProvider(folder / "master.key", os.urandom)
        engine = SqliteEngine(folder / "ledger.db")
        running = Running(
            folder,
            HandClock(),
            Settings(journal=folder / "journal.log", argon=Argon(64, 1, 1), **settings),
            around(engine) if around else engine,
            provider,
        )
        made.append(running)
        running.start()
        return running

    yield make
    for running in made:
        running.end()
        running.engine.close()


@pytest.fixture
def keeper(make_keeper: Make) -> Running:
    """A keeper with the usual settings."""
    return make_keeper()


@dataclass
class Person:
    """Somebody with an address and a password; `k` stands for what Argon2id would make of it."""

    address: str
    k: bytes = field(default_factory=lambda: os.urandom(32))
    opened: q.Opened | None = None

    @property
    def account(self) -> int:
        assert self.opened is not None
        return self.opened.account

    @property
    def ticket(self) -> bytes:
        assert self.opened is not None
        return self.opened.ticket

    def sign_in(self, keeper: Running) -> q.Opened:
        self.opened = keeper.portal.open(self.address, self.k)
        return self.opened


def subscriber(keeper: Running, address: str, organisation: int | None = None, *roles: str) -> Person:
    """Add a subscriber on the owner's word."""
    person = Person(address)
    given = roles or ("subscriber",)
    person.opened = keeper.owner.add(address, organisation, given, os.urandom(16), PARAMS, person.k, address.title())
    return person


@dataclass
class Mail:
    """A message from a subscriber to an address: its link, and the grant that waits under the pending key."""

    message: int
    link: q.Token
    grant: q.SealedGrant
    content: bytes

    @property
    def claims(self) -> Claims:
        row = self.link.row
        return Claims(row.purpose, row.address, row.subscriber, row.message)


def send(keeper: Running, sender: Person, to: str, custody: str = "managed", *, wait: bool = True) -> Mail:
    """Seal a message as admission does for an address that has not shown the sender's code."""
    if wait:
        keeper.clock.forward(minutes=1)
    message = new_id(keeper.clock.now(), os.urandom)
    organisation = sender.opened.organisation if sender.opened else 0
    pending = keeper.submission.anchors().pending
    ident, epoch_key, content = new_id(keeper.clock.now(), os.urandom), os.urandom(32), os.urandom(32)
    sealed = keys.seal_to(pending.public, epoch_key, label="epoch", owner=KEEPER, holder="pending", ref=ident)
    epoch = q.EpochRow(ident, pending.id, pending.suite, KEEPER, "pending", sealed)
    contact = contact_name(to, sender.account)
    binding = keys.GrantBinding(organisation, message, address_holder(to), "recipient", contact, custody)
    wrap = keys.wrap_content(epoch_key, content, binding, os.urandom)
    grant = q.SealedGrant(organisation, message, address_holder(to), "recipient", contact, custody, epoch, wrap)
    notice = keeper.courier.notice(to, sender.account, message)
    return Mail(message, notice.link, grant, content)


def code_for(keeper: Running, sender: Person, to: str) -> str:
    """Return the code that the sender sees for a recipient."""
    told = keeper.portal.codes(sender.ticket, [to])[0]
    assert told.state == "live", told.state
    assert told.code is not None
    return told.code


def register(keeper: Running, mail: Mail, code: str, person: Person) -> q.Opened:
    """Open the link for the first time: code, then password."""
    proof = keeper.portal.prove(mail.link.token, mail.claims, code)
    person.opened = keeper.portal.register(proof.ticket, proof.salt, PARAMS, person.k, "Pat", "en")
    return person.opened


def content_of(adopted: q.Adopted, opened: q.Opened) -> bytes:
    """Open an adopted grant with the seeds of a session, as the portal does."""
    epoch = adopted.epoch
    seed = opened.seeds[epoch.pair]
    epoch_key = keys.open_with(seed, epoch.sealed, label="epoch", owner=epoch.owner, holder=epoch.holder, ref=epoch.id)
    binding = keys.GrantBinding(
        adopted.organisation, adopted.message, adopted.holder, adopted.role, adopted.contact, adopted.custody
    )
    return keys.unwrap_content(epoch_key, adopted.wrap, binding)


def reset_by_mail(keeper: Running, person: Person) -> q.Opened:
    """Do what somebody can who reads the mailbox: a new password, known to *person* alone."""
    proof = keeper.portal.mail_proof(person.address, "reset")
    code = keeper.courier.mail_code(proof.id)
    assert code.address == person.address
    person.opened = keeper.portal.reset(proof.id, code.code, proof.salt, PARAMS, person.k)
    return person.opened


def card(keeper: Running, holder: str) -> Card:
    """Return what the newest card of a holder says."""
    signed = keeper.portal.card(holder)
    assert signed is not None
    return read_card(signed, keeper.portal.anchors().card_key)

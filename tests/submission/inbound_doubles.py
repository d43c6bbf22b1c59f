"""The door for other servers, with a reception that knows a handful of addresses and keeps what it was given."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import trustme

from cryptnsend.core.errors import Refusal
from cryptnsend.submission.inbound import InThread, inbound_server
from cryptnsend.submission.limits import Limits
from cryptnsend.submission.listener import Envelope
from cryptnsend.submission.server import Door, Server
from tests.submission.doubles import Doors, Draft, InMemoryIntake

DOMAIN = "our.example"


@dataclass(frozen=True)
class Place:
    """What an address stands for."""

    kind: str
    group: str


KNOWN = {
    f"b+good@{DOMAIN}": Place("bounce", "b"),
    f"r+one@{DOMAIN}": Place("reply", "thread"),
    f"r+two@{DOMAIN}": Place("reply", "thread"),
    f"r+else@{DOMAIN}": Place("reply", "another thread"),
    f"postmaster@{DOMAIN}": Place("postmaster", "p"),
    "postmaster@mail.example": Place("postmaster", "p"),
}


class AnyDraft(Draft):
    """A message from whoever says so."""

    def header(self, octets: bytes) -> None:
        self.head = octets
        self._take(octets)
        if self.intake.trouble is not None and isinstance(self.intake.trouble, Refusal):
            raise self.intake.trouble


class InMemoryReception:
    """Takes mail for `KNOWN`. `pause` holds decisions up; `trouble` is raised instead of one."""

    def __init__(self, intake: InMemoryIntake):
        self.intake = intake
        self.asked: list[str] = []
        self.trouble: Exception | None = None
        self.pause: threading.Event | None = None

    def recipient(self, address: str) -> Place:
        self.asked.append(address)
        assert threading.current_thread().name.startswith("inbound")
        if self.pause is not None:
            assert self.pause.wait(10)
        if self.trouble is not None:
            raise self.trouble
        if address.rpartition("@")[2].lower() not in (DOMAIN, "mail.example"):
            raise Refusal("No mail is passed on here.", code=550, status="5.7.1")
        if address.lower() not in KNOWN:
            raise Refusal("Nobody can be reached at this address.", code=550, status="5.1.1")
        return KNOWN[address.lower()]

    def begin(self, envelope: Envelope, destinations: Sequence[Any], in_thread: InThread) -> AnyDraft:
        draft = AnyDraft(self.intake, envelope)
        self.intake.begun.append(draft)
        return draft


class InboundDoors(Doors):
    """Both of its ports are doors for other servers; tests use the one that begins in clear."""

    def __init__(self, authority: trustme.CA, limits: Limits, **more: Any):
        self.pool = ThreadPoolExecutor(4, "inbound")
        super().__init__(authority, limits, **more)

    def _make(self, doors: list[Door], **more: Any) -> Server:
        self.reception = InMemoryReception(self.intake)
        return inbound_server(doors, reception=self.reception, pool=self.pool, **more)

    def stop(self) -> None:
        super().stop()
        self.pool.shutdown()

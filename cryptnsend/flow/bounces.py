"""What follows when a mail of ours comes back? Its delivery has failed after all, and its sender is told.

Which delivery it was is known from the token in the address that the bounce came to; whoever has no such token changes
nothing. Of the bounce itself nothing is kept but a status and one line of words.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from cryptnsend.core import bounces as reading
from cryptnsend.core.automatic import automatic
from cryptnsend.core.contracts import Clock, Engine, Row, Rows
from cryptnsend.core.errors import Temporary
from cryptnsend.core.model import Random
from cryptnsend.flow import journalling, telling
from cryptnsend.flow.keeping import BY_MAIL
from cryptnsend.flow.telling import TELLING
from cryptnsend.store.records import audit, bounces

LATE = ("late_at", "late_by", "late")  # what is known of a delay at the next host

log = structlog.get_logger("cryptnsend.inbound")


class Bounces:
    """Takes bounces. Thread-safe; keeps nothing itself."""

    def __init__(self, *, engine: Engine, clock: Clock, random: Random, wake: Callable[[], None]):
        self._engine, self._clock, self._random, self._wake = engine, clock, random, wake

    def take(self, delivery: int, octets: bytes, *, null_sender: bool = True) -> str:
        """
        Take the beginning of a mail that came back for a delivery, and return what it was.

        That is failed, delayed or delivered for a bounce, what `automatic` says for another program's mail, or person.

        Raises Temporary while the delivery is still under way: a fast peer's bounce may overtake its own 250.
        """
        said = reading.read_bounce(octets)
        if said is None:
            kind = automatic(octets.partition(b"\r\n\r\n")[0], null_sender=null_sender) or "person"
            log.info("no bounce", delivery=delivery, kind=kind)
            return kind
        log.info("bounce", delivery=delivery, action=said.action, status=said.status, standard=said.standard)
        if said.action != "failed":
            # The next host goes on trying, or has passed it on: the delivery stands.
            self._engine.write(lambda rows: self._on_its_way(rows, delivery, said)).result()
            return said.action
        told = self._engine.write(lambda rows: self._failed(rows, delivery, said)).result()
        if told:
            self._wake()
        return "failed"

    def whose(self, delivery: int) -> tuple[int, int] | None:
        """Return (author, message) of a delivery that its author may hear about; None for mail of the house itself."""
        row = self._engine.write(lambda rows: bounces.delivery(rows, delivery)).result()
        if row is None or row["kind"] not in TELLING or row["author"] is None:
            return None
        return row["author"], row["message"]

    def note_automatic(self, delivery: int, kept: int | None) -> None:
        """Remember that a program answered a delivery, and where its answer is kept, for its sender's page."""
        self._engine.write(lambda rows: self._automatic(rows, delivery, kept)).result()

    def note_automatic_from(self, message: int, address: str, kept: int) -> None:
        """Remember the same of an answer that names no delivery: of the newest to who it says it is from, if any."""

        def write(rows: Rows) -> None:
            delivery = bounces.about(rows, message, address)
            if delivery is not None:
                self._automatic(rows, delivery, kept)

        self._engine.write(write).result()

    def _automatic(self, rows: Rows, ident: int, kept: int | None) -> None:
        row = bounces.delivery(rows, ident)
        if row is not None and row["kind"] in TELLING:
            found = {"automatic_at": str(self._clock.now()), "automatic": str(kept or "")}
            bounces.note(rows, row["org"], ident, _with(row, found))

    def _on_its_way(self, rows: Rows, ident: int, said: reading.Bounce) -> None:
        """Write that the next host has not passed it on yet, or that it has."""
        row = _settled(rows, ident)
        if row is not None and row["kind"] in TELLING:
            found = dict.fromkeys(LATE, "")
            if said.action == "delayed":
                found = {"late_at": str(self._clock.now()), "late_by": said.host, "late": _words(said)}
            bounces.note(rows, row["org"], ident, _with(row, found))

    def _failed(self, rows: Rows, ident: int, said: reading.Bounce) -> bool:
        """Write what came back, and return whether its sender is to be told at once."""
        row = _settled(rows, ident)
        if row is None:
            return False
        if not bounces.came_back(rows, row["org"], ident, _how(row, said), _words(said), self._clock.now()):
            return False
        now = self._clock.now()
        if row["kind"] == journalling.KIND:
            journalling.failed(rows, row, BY_MAIL, now, self._random)
            return True
        if row["kind"] not in TELLING:
            log.error("own mail came back", delivery=ident, kind=row["kind"])
            return False
        audit.append(rows, row["org"], now, BY_MAIL, "delivery.failed", str(row["message"]), {"delivery": ident})
        if telling.wants(row, "FAILURE"):
            telling.tell(rows, row, "failed", now, self._random)
        return telling.let_go(rows, row, now)


def _words(said: reading.Bounce) -> str:
    """Return what was said without the codes before it, which stand beside it everywhere."""
    return re.sub(r"\A(?:[45]\d\d[ -]+)?(?:#?[45]\.\d{1,3}\.\d{1,3}[ :]+)?", "", said.words) or said.words


def _how(row: Row, said: reading.Bounce) -> str:
    """Return what is known of the delivery with what the bounce adds, as JSON."""
    found = {"status": said.status, "code": said.code, "returned_by": said.host, "ours": ""}
    return _with(row, found | dict.fromkeys(LATE, ""))


def _with(row: Row, found: dict[str, str]) -> str:
    """Return what is known of a delivery with what was *found*, as JSON; what is found to be empty is known no more."""
    before: dict[str, Any] = msgspec.json.decode(row["outcome"]) if row["outcome"] else {}
    return msgspec.json.encode({name: value for name, value in (before | found).items() if value != ""}).decode()


def _settled(rows: Rows, ident: int) -> Row | None:
    """Return a delivery that is not under way; raise Temporary while it is."""
    row = bounces.delivery(rows, ident)
    if row is not None and row["state"] == "leased":
        raise Temporary("This mail is still on its way. Try again in a moment.")
    return row

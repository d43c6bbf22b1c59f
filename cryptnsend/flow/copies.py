"""Which copy of a message did a mail program put into Sent? It is recognised, and what was submitted is kept once.

A copy has the Message-ID of one's own submission and an equal body. Header fields are not compared, since programs keep
Bcc and add fields of their own, nor are line ends. A copy may be here before or after its message: whoever comes second
looks for the other, and again in the transaction that makes it visible.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from cryptnsend.core.contracts import Engine
from cryptnsend.core.errors import NoGrant, SealBroken, StoreBroken
from cryptnsend.core.imap_items import Section
from cryptnsend.core.model import account_holder, first_id, time_of
from cryptnsend.flow.opening import Opener
from cryptnsend.flow.serving import Held, Shelf
from cryptnsend.flow.sessions import Session
from cryptnsend.store.records import grants, placements
from cryptnsend.store.records.mailboxes import Mailbox
from cryptnsend.store.records.placements import Placed

EARLIER = 86_400_000  # milliseconds that a copy may be older than its message, which a program may have kept back
LATER = 2 * 3_600_000  # milliseconds that a message may take from its id to its commit
MOST = 500  # newest of what was filed in that time that are looked at
HEADER = 1024 * 1024  # octets of a header block that are looked at for its end
LINE_ENDS = 64 * 1024  # at the end of a body that are waited with


class Copies:
    """Finds copies and originals for sessions. Shared by all connections of a process; thread-safe."""

    def __init__(self, engine: Engine, opener: Opener, shelf: Shelf):
        self._engine, self._opener, self._shelf = engine, opener, shelf

    def submitted(self, session: Session, message_id: str) -> list[int]:
        """Return what this account submitted under a Message-ID, newest first; nothing for none."""
        return placements.submitted(self._engine, session.account, message_id) if message_id else []

    def original(self, session: Session, messages: Iterable[int], digest: bytes) -> int | None:
        """Return the first of these messages of one's own whose body has this print, or None."""
        return next((each for each in messages if self._print(session, each) == digest), None)

    def of(self, session: Session, box: Mailbox, messages: Sequence[int]) -> dict[int, list[Placed]]:
        """Return by message the copies in Sent of what the account submitted, at most 500 messages, oldest first."""
        if not messages:
            return {}
        after, until = first_id(time_of(messages[0]) - EARLIER), first_id(time_of(messages[-1]) + LATER)
        brought = placements.filed_in(self._engine, box, after, until, MOST)
        if not brought:
            return {}
        try:
            named: dict[str, list[Held]] = {}
            for held in self._shelf.held(session, box, brought).values():
                named.setdefault(held.view.index.message_id, []).append(held)
            known = placements.message_ids(self._engine, session.account, messages)
            pairs = {message: named[known[message]] for message in messages if known.get(message) in named}
            return {message: self._equal(session, message, copies) for message, copies in pairs.items()}
        except (NoGrant, SealBroken, StoreBroken):
            return {}  # what is damaged, or gone meanwhile, is shown for itself: Sent has to open all the same

    def _equal(self, session: Session, message: int, copies: Sequence[Held]) -> list[Placed]:
        digest = self._print(session, message)
        return [held.placed for held in copies if digest is not None and _print_of(held) == digest]

    def _print(self, session: Session, message: int) -> bytes | None:
        """Return the print of a message of one's own; None if this session cannot open it."""
        for row in grants.held(self._engine, account_holder(session.account), message):
            if row["role"] == "author" and row["state"] == "active" and self._opener.opens(session, row):
                return _print(self._opener.raw(row, self._opener.keys(session, row)).chunks())
        return None


def _print_of(held: Held) -> bytes | None:
    content = held.view.fetch(Section())
    return _print(content.blocks()) if content is not None else None


def _print(pieces: Iterable[bytes]) -> bytes:
    whole = Print()
    for each in pieces:
        whole.feed(each)
    return whole.digest()


class Print:
    """What two copies of a message have in common: the body, whatever ends its lines and follows the last of them."""

    def __init__(self) -> None:
        self._header = bytearray()
        self._in_body = False
        self._held = b""  # line ends that count only if something follows
        self._hash = hashlib.sha256()

    def feed(self, octets: bytes) -> None:
        """Take the next octets of the whole message."""
        if self._in_body:
            self._body(octets)
            return
        self._header += octets
        ends = [at + len(gap) for gap in (b"\r\n\r\n", b"\n\n") if (at := self._header.find(gap)) >= 0]
        if ends or len(self._header) > HEADER:
            self._in_body = True
            rest = bytes(self._header[min(ends, default=HEADER) :])
            self._header.clear()
            self._body(rest)

    def _body(self, octets: bytes) -> None:
        # A CR at the very end may belong to a line end; it waits with the line ends themselves.
        plain = (self._held + octets).replace(b"\r\n", b"\n")
        kept = plain.rstrip(b"\r\n")
        held = plain[len(kept) :]
        self._hash.update(kept)
        if len(held) > LINE_ENDS:
            self._hash.update(held[:-1])
            held = held[-1:]
        self._held = held

    def digest(self) -> bytes:
        """Return the print of what was fed."""
        return self._hash.digest()

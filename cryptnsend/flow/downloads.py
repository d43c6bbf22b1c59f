"""How does somebody have a file that rests beside a message? By a button that counts, then as often as it breaks off.

The button, a POST, makes a ticket: random, short-lived, for one file and for the session that asked. Only its hash
rests here, and name and key of the file under what the ticket gives. With it the file is had by GET, from any place
on; HEAD, ranges and tries again count nothing. Whether its holder may still have the file is asked again for every
request and before every piece, so that what is taken back ends at once.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec

from cryptnsend.core.contracts import Clock, Engine, Row, Rows
from cryptnsend.core.errors import NoGrant, SealBroken
from cryptnsend.core.linkedfiles import LinkedFile
from cryptnsend.core.model import Random, account_holder, new_id
from cryptnsend.core.seal import open_sealed, pad, seal, unpad
from cryptnsend.flow.filereading import FileReading, chosen, files_beside
from cryptnsend.flow.noting import note_act
from cryptnsend.flow.opening import Opener
from cryptnsend.flow.sent import Sent
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.views import Downloaded, KeptFile
from cryptnsend.store.records import audit, grants, linked

TICKET = 12 * 3_600_000  # milliseconds for which a download that broke off can go on
PART = "ticket"
NOTHING = "There is no such file here."


@dataclass(frozen=True, slots=True)
class Download:
    """A file on its way out: octets from any place to any other."""

    name: str
    media_type: str
    size: int
    tag: str  # strong entity tag, in its quotes
    _file: LinkedFile = field(repr=False)
    _reading: partial[Iterator[bytes]] = field(repr=False)

    def octets(self, start: int, end: int) -> Iterator[bytes]:
        """Yield octets; they end early where the file was taken back meanwhile, or is damaged."""
        return self._reading(start=start, end=end)


class Downloads:
    """Gives out files that rest beside messages. Shared by all requests of a process; thread-safe."""

    def __init__(
        self, *, engine: Engine, opener: Opener, reading: FileReading, sent: Sent, clock: Clock, random: Random
    ):
        self._engine, self._opener, self._reading, self._sent = engine, opener, reading, sent
        self._clock, self._random = clock, random

    def beside(self, session: Session, message: int) -> Sequence[KeptFile]:
        """Return the files beside a message that this session may open; raises as `Opener.grant`."""
        return [
            KeptFile(each.id, each.name, each.media_type, each.size, linked=True)
            for each in self._files(session, message)[1]
        ]

    def begin(self, session: Session, message: int, file: int) -> str:
        """
        Count a download, write it down and return the ticket for it.

        An author's own downloads count nothing. Raises as `Opener.grant`, and NoGrant for a file that is none of these.
        """
        row, files = self._files(session, message)
        one, now, secret = chosen(files, file), self._clock.now(), self._random(32)
        ticket = linked.TicketRow(
            ident_of(secret), row["org"], message, one.id, session.account, session.id_hash,
            seal(key_of(secret), message, PART, pad(msgspec.msgpack.encode(one))), now + TICKET,
        )  # fmt: skip

        def write(rows: Rows) -> None:
            linked.add_ticket(rows, ticket)
            if row["role"] == "author":
                return
            ident = new_id(now, self._random)
            linked.add_download(rows, linked.DownloadRow(ident, row["org"], message, one.id, session.account, now))
            note_act(rows, session, row["org"], now, "file.downloaded", str(message), {"file": str(one.id)})

        self._engine.write(write).result()
        return secret.hex()

    def get(self, ticket: str, session: Session | None) -> Download:
        """
        Return the file of a ticket.

        Raises NoGrant for a ticket that is none, is over, or is another session's, and where its holder may not have
        the file any more: all of these look alike.
        """
        secret = typed(ticket)
        row = linked.ticket(self._engine, ident_of(secret), self._clock.now()) if secret else None
        if secret is None or row is None or not self._is_theirs(row, session) or not self._still(row):
            raise NoGrant(NOTHING)
        try:
            octets = unpad(open_sealed(key_of(secret), row["message"], PART, row["sealed"]))
            file = msgspec.msgpack.decode(octets, type=LinkedFile)
        except (SealBroken, msgspec.MsgspecError):
            raise NoGrant(NOTHING) from None
        return download_of(file, self._reading, partial(self._still, row))

    def done(self, session: Session, message: int) -> Sequence[Downloaded]:
        """Return who had a file of an own message, the latest first; raise NoGrant for others."""
        return self.done_of(self._sent.owned(session, message)["org"], message)

    def done_of(self, org: int, message: int) -> Sequence[Downloaded]:
        """Return who had a file of a message, for somebody who may know: its author, or the owner of the home."""
        found = linked.downloads(self._engine, org, message)
        networks = self._networks(org, message) if any(row["link"] for row in found) else {}
        return [
            Downloaded(
                row["file"], row["address"] or "", row["at"], row["link"], networks.get((row["link"], row["at"]), "")
            )
            for row in found
        ]

    # -- inside -------------------------------------------------------------------------------------------------------

    def _networks(self, org: int, message: int) -> dict[tuple[int, int], str]:
        """Return from where files were had by links, by link and time: the audit trail says it, and nothing else."""
        found = {}
        for row in audit.about(self._engine, org, str(message)):
            detail = msgspec.json.decode(row["detail"], type=dict[str, object])
            if row["action"] == "file.downloaded" and "link" in detail:
                found[int(str(detail["link"])), row["at"]] = str(detail.get("network", ""))
        return found

    def _files(self, session: Session, message: int) -> tuple[Row, Sequence[LinkedFile]]:
        row = self._opener.grant(session, message)
        keys = self._opener.keys(session, row)
        return row, files_beside(self._engine, self._opener, row["org"], message, keys[:32])

    @staticmethod
    def _is_theirs(row: Row, session: Session | None) -> bool:
        """Say whether a ticket was made for this very session, and not for whoever has a link."""
        return (
            session is not None
            and row["link"] is None
            and row["session"] == session.id_hash
            and row["account"] == session.account
        )

    def _still(self, row: Row) -> bool:
        """Say whether whoever a ticket was made for may have the file now."""
        now = self._clock.now()
        if not linked.belongs(self._engine, row["org"], row["message"], row["file"]):
            return False
        held = grants.held(self._engine, account_holder(row["account"]), row["message"])
        return any(each["state"] == "active" and (each["ends"] is None or each["ends"] > now) for each in held)


def download_of(file: LinkedFile, reading: FileReading, still: Callable[[], bool]) -> Download:
    """Return a file on its way out, as long as *still* says so."""
    tag = hmac.digest(file.key, b"cryptnsend/v1 entity tag", "sha256")[:16].hex()
    octets = partial(reading.octets, file, still=still)
    return Download(file.name, file.media_type, file.size, f'"{tag}"', file, octets)


def typed(ticket: str) -> bytes | None:
    """Return the secret that a ticket spells, or None if it is none."""
    try:
        secret = bytes.fromhex(ticket)
    except ValueError:
        return None
    return secret if len(secret) == 32 else None


def ident_of(secret: bytes) -> bytes:
    """Return under what a ticket rests."""
    return hashlib.sha256(b"cryptnsend/v1 file ticket id\0" + secret).digest()


def key_of(secret: bytes) -> bytes:
    """Return what a ticket opens by."""
    return hmac.digest(secret, b"cryptnsend/v1 file ticket key", "sha256")

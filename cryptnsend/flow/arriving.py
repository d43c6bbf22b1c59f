"""What has to be known of any mail that other servers bring, and what becomes of bounces and of mail for people here?

One object for each mail. A bounce changes the delivery whose token it was sent to; mail for postmaster and abuse is
kept, sealed, for the account that reads these.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Protocol

from cryptnsend.core.addresses import canonical, single_author
from cryptnsend.core.automatic import MOST_HOPS, hops
from cryptnsend.core.bounces import READ
from cryptnsend.core.contracts import Carried, Finding
from cryptnsend.core.errors import NotAuthor, Refusal
from cryptnsend.flow.admit import InThread
from cryptnsend.flow.destinations import Destination
from cryptnsend.flow.keeping import BY_MAIL, Why
from cryptnsend.flow.scanning import Case, Examination

if TYPE_CHECKING:
    from cryptnsend.flow.inbound import Inbound

TAKEN = "Taken."


class Peer(Protocol):
    """The server that brings a mail."""

    @property
    def source(self) -> str: ...
    @property
    def ehlo(self) -> str: ...
    @property
    def tls(self) -> str: ...


class Envelope(Protocol):
    """An SMTP envelope as the door hands it over."""

    @property
    def reverse_path(self) -> str: ...
    @property
    def received_from(self) -> Peer: ...
    @property
    def smtputf8(self) -> bool: ...


class Arriving(ABC):
    """One mail: `header` once, `body` as often as there are blocks, then `commit` or `abort`; on the door's loop."""

    def __init__(self, house: Inbound, envelope: Envelope, destinations: Sequence[Destination], in_thread: InThread):
        self._house, self._envelope, self._destinations = house, envelope, destinations
        self._in_thread = in_thread
        self._header = b""
        self._scan: Examination | None = None

    def header(self, octets: bytes) -> None:
        """Take the whole header block; raise Refusal for mail that goes in circles, or that is our own."""
        if hops(octets) > MOST_HOPS:
            raise Refusal("This mail has been through too many servers; it goes in circles.", code=554, status="5.4.6")
        self._header = octets

    @abstractmethod
    def body(self, octets: bytes) -> Awaitable[None] | None:
        """Take octets of the body."""

    async def commit(self) -> str:
        """Do what follows from the mail, and return what to say when all of it is durable."""
        await self._in_thread(self._finish)
        return TAKEN

    def abort(self) -> None:
        """Keep nothing."""
        self._header = b""
        if self._scan is not None:
            self._scan.close()

    @abstractmethod
    def _finish(self) -> None:
        """Do what follows from the mail; in a thread."""

    @property
    def _protocol(self) -> str:
        """Return how the mail came, for our Received field (RFC 3848, RFC 6531 §4.3)."""
        with_utf8 = "UTF8SMTP" if self._envelope.smtputf8 else "ESMTP"
        return with_utf8 + ("S" if self._envelope.received_from.tls else "")

    def _start_scan(self, account: int, ident: int, *, in_the_open: bool) -> None:
        """Let the scanners look at what is for *account*, its header first."""
        case, carried = self._case(account, ident), self._carried()
        self._scan = self._house.scanning.begin(case, carried, in_the_open=in_the_open)
        if self._scan is not None:
            self._scan.feed(self._header)

    def _examined(self, octets: bytes) -> Awaitable[None] | None:
        """Let the scanners have octets; what is returned has to be awaited before there are more."""
        wait = self._scan.feed(octets) if self._scan is not None else None
        return None if wait is None else self._in_thread(wait)

    def _doubt(self) -> Finding | None:
        """Hear what the scanners say, and return what makes the mail doubtful; raise as `Examination.finish`."""
        return self._scan.finish() if self._scan is not None else None

    def _case(self, account: int, ident: int) -> Case:
        return Case(account, BY_MAIL, str(ident), "inbound")

    def _carried(self) -> Carried:
        """Return what a spam filter may know. Our own addresses are named by their kind: it keeps a log, too."""
        peer = self._envelope.received_from
        names = (f"{each.kind}@{self._house.domain}" for each in self._destinations)
        return Carried(self._envelope.reverse_path, tuple(names), peer.source, peer.ehlo)

    def _author(self) -> str:
        """Return the canonical address that a mail says it is from, or "" where that is not one address."""
        try:
            author = canonical(single_author(self._header).address)
        except (NotAuthor, ValueError):
            return ""
        if author.rpartition("@")[2] == self._house.domain:
            raise Refusal("Nobody writes from this domain: these are addresses of ours.", code=550, status="5.7.1")
        return author


class Returned(Arriving):
    """A mail to the envelope sender of one of our own mails. Only its beginning is held, and that only for a moment."""

    _octets = b""
    _size = 0

    def header(self, octets: bytes) -> None:
        """Take the header block."""
        super().header(octets)
        self.body(octets)

    def body(self, octets: bytes) -> None:
        """Take octets; most of a bounce is a copy of what we sent, and is passed over."""
        self._size += len(octets)
        if len(self._octets) < READ:
            self._octets += octets[: READ - len(self._octets)]

    def _finish(self) -> None:
        claims = self._destinations[0].claims
        if claims is None:
            raise RuntimeError("a bounce without a delivery")
        kind = self._house.bounces.take(claims.message, self._octets, null_sender=not self._envelope.reverse_path)
        if kind == "person":
            raise no_reader()
        if kind == "auto-replied":
            kept = self._show(claims.message) if self._size <= READ else None
            self._house.bounces.note_automatic(claims.message, kept)

    def _show(self, delivery: int) -> int | None:
        """Keep an absence note for whoever sent the mail that it answers; return its id."""
        about = self._house.bounces.whose(delivery)
        if about is None:
            return None
        author, message = about
        apart = self._house.keeping.begin()
        try:
            self._house.scanning.check(self._case(author, apart.message), lambda: (self._octets,))
            end = len(self._header)
            apart.header(self._octets[:end])
            apart.body(self._octets[end:])
        except BaseException:
            apart.abort()
            raise
        return apart.commit_now(Why(author, "automatic", self._author(), message, self._protocol))


class ForPeople(Arriving):
    """A mail to postmaster or abuse: kept, sealed, for the account that reads these."""

    def __init__(self, house: Inbound, envelope: Envelope, destinations: Sequence[Destination], in_thread: InThread):
        super().__init__(house, envelope, destinations, in_thread)
        self._apart = house.keeping.begin()

    def header(self, octets: bytes) -> None:
        """Take the header block."""
        super().header(octets)
        self._from = self._author()
        self._apart.header(octets)
        # No spam filter: whoever reports spam to abuse sends it along (RFC 2142 §4).
        self._start_scan(self._destinations[0].account, self._apart.message, in_the_open=False)

    def body(self, octets: bytes) -> Awaitable[None] | None:
        """Take octets of the body; raises TooBig."""
        self._apart.body(octets)
        return self._examined(octets)

    def abort(self) -> None:
        """Keep nothing."""
        super().abort()
        self._apart.abort()

    def _finish(self) -> None:
        self._doubt()
        meant = self._destinations[0]
        self._apart.commit_now(Why(meant.account, meant.kind, self._from, None, self._protocol))


def no_reader() -> Refusal:
    """Return what is said where nobody reads what comes to an address."""
    return Refusal(
        "Nobody reads this address. Answer with the Reply button of the mail you got, or open its link.",
        code=550,
        status="5.7.1",
    )

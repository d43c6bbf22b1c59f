"""What becomes of mail that other servers bring to our addresses? Decided before they hear a yes or a no.

A bounce changes the delivery whose token it was sent to. An answer joins its conversation if the domain of its author
vouches for it (DMARC) and its author might have answered on the page; then it is sealed and forwarded like a reply from
there, quoted text included. Any other answer is kept apart for the subscriber, who is told why. What a program wrote is
kept apart, too, and never answered. Nothing is ever mailed to an address that nobody vouches for.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from cryptnsend.core.addresses import canonical, single_author
from cryptnsend.core.automatic import MOST_HOPS, automatic, hops
from cryptnsend.core.bounces import READ
from cryptnsend.core.contracts import Carried, Clock, Engine, Finding, Rows
from cryptnsend.core.errors import NotAuthor, Refusal, Temporary
from cryptnsend.core.mime import read_headers
from cryptnsend.core.model import Random, new_id
from cryptnsend.core.seal import framed
from cryptnsend.core.tokens import Claims
from cryptnsend.delivery.authenticity import Authenticity, evaluate
from cryptnsend.delivery.dkim_check import Signatures
from cryptnsend.delivery.spf import Names, check_spf
from cryptnsend.flow.addressees import our_id
from cryptnsend.flow.admit import Admission, Draft, InThread
from cryptnsend.flow.bounces import Bounces
from cryptnsend.flow.destinations import NOTICE, Destination, Destinations
from cryptnsend.flow.granting import Addressee, Author
from cryptnsend.flow.granting import Envelope as Addressed
from cryptnsend.flow.keeping import BY_MAIL, DAY, Apart, Keeping, Why
from cryptnsend.flow.scanning import Case, Examination, Scanning
from cryptnsend.flow.standing import Standings
from cryptnsend.store.records import cards, kept, messages

TAKEN = "Taken."
LATEST = 47 * 3600  # seconds after which a mail may not be brought by others; forms are remembered a little longer
_MOST_IDS = 20  # of In-Reply-To and References, looked at where an answer carries no token

log = structlog.get_logger("cryptnsend.inbound")


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


class Inbound:
    """Takes mail from other servers, for one process. Its pieces are shared; each mail gets an object of its own."""

    def __init__(
        self,
        *,
        destinations: Destinations,
        bounces: Bounces,
        admission: Admission,
        keeping: Keeping,
        standings: Standings,
        engine: Engine,
        names: Names,
        scanning: Scanning,
        clock: Clock,
        random: Random,
        domain: str,
        wake: Callable[[], None],
    ):
        self.destinations, self.bounces, self.admission, self.keeping = destinations, bounces, admission, keeping
        self.standings, self.names, self.clock, self.domain = standings, names, clock, domain
        self.scanning = scanning
        self._engine, self._random, self._wake = engine, random, wake

    def recipient(self, address: str) -> Destination:
        """Return what an address of ours stands for; see `Destinations.find`."""
        return self.destinations.find(address)

    def begin(self, envelope: Envelope, destinations: Sequence[Destination], in_thread: InThread) -> Arriving:
        """Start a mail for destinations of one group; *in_thread* runs what has to wait."""
        kind = destinations[0].kind
        kinds: dict[str, Callable[..., Arriving]] = {"bounce": Returned, "reply": Answer, NOTICE: Answer}
        return kinds.get(kind, ForPeople)(self, envelope, destinations, in_thread)

    def tell(self, template: str, account: int | None, address: str, message: int, subscriber: int) -> None:
        """Tell whoever answered by ordinary mail what became of it; at most once a day (UTC) for one subscriber."""
        now = self.clock.now()

        def write(rows: Rows) -> bool:
            known = cards.address(rows, address)
            org = kept.concerned(rows, message, known[0]) if known is not None else None
            if known is None or org is None:
                return False
            if messages.count(rows, org, subscriber, now // DAY, f"{template} to {known[0]}", 1) > 1:
                return False
            alert = messages.Delivery(
                new_id(now, self._random), org, "alert", "", message, known[0], account, template,
                "", "{}", "opportunistic", now, None, None, now,
            )  # fmt: skip
            messages.add_deliveries(rows, [alert])
            return True

        if self._engine.write(write).result():
            self._wake()


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
            raise _no_reader()
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


class Answer(Arriving):
    """
    An answer to one of our mails, by its token or to the address that these are from.

    Whether it may join its conversation is known when its last octet was seen. Until then it is sealed for both ends:
    as a reply, and as mail that is kept apart.
    """

    _apart: Apart | None = None
    _draft: Draft | None = None
    _signatures: Signatures | None = None
    _writer: Author | None = None
    _reason = ""

    def header(self, octets: bytes) -> None:
        """Take the header block."""
        super().header(octets)
        self._from = self._author()

    def body(self, octets: bytes) -> Awaitable[None] | None:
        """Take octets of the body; who wrote is looked up before the first, which may take a moment."""
        if self._apart is None:
            return self._begin_with(octets)
        self._feed(octets)
        return self._examined(octets)

    async def commit(self) -> str:
        """Seal the mail where it belongs."""
        if self._apart is None:
            await self._in_thread(self._begin)
        return await super().commit()

    def abort(self) -> None:
        """Keep nothing."""
        super().abort()
        for each in (self._apart, self._draft):
            if each is not None:
                each.abort()

    async def _begin_with(self, octets: bytes) -> None:
        await self._in_thread(self._begin)
        self._feed(octets)
        waiting = self._examined(octets)
        if waiting is not None:
            await waiting

    def _feed(self, octets: bytes) -> None:
        for each in (self._apart, self._draft, self._signatures):
            if each is not None:
                each.body(octets)

    # What follows runs in threads.

    def _begin(self) -> None:
        house = self._house
        self._claims = self._destinations[0].claims or self._named()
        self._signatures = Signatures(self._header)
        self._reason = self._why_not()
        self._apart = house.keeping.begin()
        self._apart.header(self._header)
        self._start_scan(self._claims.subscriber, self._apart.message, in_the_open=True)
        if self._writer is not None:
            people = tuple(Addressee(each.address) for each in self._destinations)
            addressed = Addressed("", people, protocol=self._protocol)
            self._draft = house.admission.begin(
                self._writer, addressed, "mail", parent=self._claims.message, nonce=self._nonce()
            )
            self._draft.header(self._header)

    def _named(self) -> Claims:
        """Return what a mail without a token answers, by the ids that it names; raise Refusal if that is unknown."""
        headers = read_headers(self._header)
        named = [*headers.message_ids(b"in-reply-to"), *reversed(headers.message_ids(b"references"))][:_MOST_IDS]
        ids = [found[1] for each in named if (found := our_id(each, self._house.domain)) and found[0] == "d"]
        claims = self._house.standings.told(self._from, ids) if self._from and ids else None
        if claims is None:
            raise _no_reader()
        return claims

    def _why_not(self) -> str:
        """Return why this mail may not join its conversation, as far as its header tells; "" if it may."""
        if automatic(self._header, null_sender=not self._envelope.reverse_path):
            return "automatic"
        if not self._from:
            return "no-author"
        if self._destinations[0].claims is None:
            return "no-token"
        standing = self._house.standings.of(self._from, self._claims)
        self._writer = standing.author
        return standing.reason

    def _nonce(self) -> bytes | None:
        """Return what is the same when another server brings the same mail again because it lost our answer."""
        ids = read_headers(self._header).message_ids(b"message-id")
        if not ids:
            return None
        people = " ".join(sorted(each.address for each in self._destinations))
        return hashlib.sha256(framed("inbound", ids[0], people, self._claims.message)).digest()[:16]

    def _judge(self) -> Authenticity:
        peer, house = self._envelope.received_from, self._house
        if self._signatures is None or not self._from:
            return Authenticity("none", "none", "none")
        now = house.clock.now() // 1000
        spf = check_spf(house.names, peer.source, self._envelope.reverse_path, peer.ehlo)
        signed = self._signatures.check(house.names.txt, now)
        return evaluate(self._from.rpartition("@")[2], spf, signed, house.names)

    def _finish(self) -> None:
        if self._doubt() is not None:
            self._reason = self._reason or "spam"
        verdict = self._judge()
        log.info("answer", reason=self._reason, **dict(each.split("=") for each in str(verdict).split()))
        if self._destinations[0].claims is None and not verdict.is_proven:
            raise _no_reader()
        if verdict.result == "temperror" and self._draft is not None:
            raise Temporary("It cannot be checked now whose mail this is. Try again later.")
        if verdict.is_proven and not self._reason and not self._was_meant(verdict):
            self._reason = "passed-on"
        draft = self._draft if verdict.is_proven and not self._reason else None
        if draft is not None and self._join(draft, draft.message, verdict):
            return
        self._reason = self._reason or ("refused" if verdict.is_proven else "unproven")
        self._keep(verdict)

    def _was_meant(self, verdict: Authenticity) -> bool:
        """
        Say whether its author sent this mail to where it came, and lately.

        A signature holds wherever the mail goes, and for as long as its key is published: everybody who got a mail can
        bring it here, in answer to something else. So one that no host of its author's domain brings has to name us
        where that was signed, and to be so young that we would know it again.
        """
        now = self._house.clock.now() // 1000
        people = [canonical(each.address) for each in self._destinations]
        return verdict.is_sent or any(
            each.names(person) and (each.at is None or each.at > now - LATEST)
            for each in verdict.signatures
            for person in people
        )

    def _join(self, draft: Draft, message: int, verdict: Authenticity) -> bool:
        """Seal it as a reply in its conversation; False if it does not fit in there."""

        writer, about = self._writer, self._claims.message
        if writer is None:
            raise RuntimeError("an answer of nobody")

        def once(rows: Rows) -> None:
            now = self._house.clock.now()
            for each in verdict.signatures:
                mark = hashlib.sha256(framed("signature", each.mark, about)).digest()[:16]
                earlier = messages.use_nonce(rows, writer.organisation, writer.account, mark, message, now)
                if earlier not in (None, message):
                    raise _Again

        try:
            admitted = draft.commit_now(once)
        except _Again:  # it stands in the conversation already, whoever brings it and whatever else was changed
            if self._apart is not None:
                self._apart.abort()
            return True
        except Refusal as refusal:
            log.info("answer does not fit", status=refusal.status)
            return False
        if self._apart is not None:
            self._apart.abort()
        if not admitted.repeated:
            self._house.tell("by-mail", writer.account, self._from, message, self._claims.subscriber)
        return True

    def _keep(self, verdict: Authenticity) -> None:
        """Keep it apart for the thread's subscriber, and tell its author if their domain vouches for the mail."""
        if self._draft is not None:
            self._draft.abort()
        if self._apart is None:
            raise RuntimeError("an answer that was never begun")
        claims = self._claims
        why = Why(claims.subscriber, self._reason, self._from, claims.message, self._protocol)
        message = self._apart.commit_now(why)
        if self._reason == "automatic" and self._from:
            self._house.bounces.note_automatic_from(claims.message, self._from, message)
        if verdict.is_proven and self._reason in ("no-code", "stranger"):
            self._house.tell("by-mail-kept", None, self._from, claims.message, claims.subscriber)


class _Again(Exception):
    """The same signed mail has joined the same conversation before."""


def _no_reader() -> Refusal:
    return Refusal(
        "Nobody reads this address. Answer with the Reply button of the mail you got, or open its link.",
        code=550,
        status="5.7.1",
    )

"""May an answer by ordinary mail join its conversation, and where does it go otherwise?

It joins if the domain of its author vouches for it (DMARC), its author sent it here lately, and might have answered on
the page; then it is sealed and forwarded like a reply from there. Any other answer is kept apart for the subscriber,
who is told why. What a program wrote is kept apart, too, and never answered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable

import structlog

from cryptnsend.core.addresses import canonical
from cryptnsend.core.automatic import automatic
from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Refusal, Temporary
from cryptnsend.core.mime import read_headers
from cryptnsend.core.seal import framed
from cryptnsend.core.tokens import Claims
from cryptnsend.delivery.authenticity import Authenticity, evaluate
from cryptnsend.delivery.dkim_check import Signatures
from cryptnsend.delivery.spf import check_spf
from cryptnsend.flow.addressees import our_id
from cryptnsend.flow.admit import Draft
from cryptnsend.flow.arriving import Arriving, no_reader
from cryptnsend.flow.granting import Addressee, Author
from cryptnsend.flow.granting import Envelope as Addressed
from cryptnsend.flow.keeping import Apart, Why
from cryptnsend.store.records import messages

LATEST = 47 * 3600  # seconds after which a mail may not be brought by others; forms are remembered a little longer
_MOST_IDS = 20  # of In-Reply-To and References, looked at where an answer carries no token

log = structlog.get_logger("cryptnsend.inbound")


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
            raise no_reader()
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
            raise no_reader()
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

"""Hand one message to one recipient's mail host and say how it ended. The client side of RFC 5321.

A courier is shared by all delivery threads. It knows envelopes, octets and peers, and nothing of vault or keeper.
"""

from __future__ import annotations

import re
import smtplib
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from random import Random, SystemRandom

from cryptnsend.core.contracts import Clock
from cryptnsend.delivery.dns import Resolver
from cryptnsend.delivery.outcome import Envelope, Outcome, one_line, outcome_of
from cryptnsend.delivery.outgoing import Message, Outgoing
from cryptnsend.delivery.pool import Key, Pool
from cryptnsend.delivery.route import SMTP_PORT, Hop, Router, Unroutable, is_loopback
from cryptnsend.delivery.session import Reply, Session, SessionLost, Timeouts
from cryptnsend.delivery.tls import TlsClass, Vouched, checked_context, unchecked_context

__all__ = ["Courier", "CourierSettings", "Envelope", "Message", "Outcome", "Timeouts", "TlsClass"]


@dataclass(frozen=True, slots=True)
class CourierSettings:
    """How this installation sends. Sizes are octets, times seconds."""

    hostname: str = "localhost"  # said in EHLO
    smarthost: str = ""  # smtp://[user@]host[:port], smtps://…; empty looks up MX records
    password_file: Path | None = None  # for a smarthost with a user
    routes: Mapping[str, str] = field(default_factory=dict)  # domain or .domain to host:port
    allow_private: bool = False  # deliver to private addresses found by MX
    mx_port: int = SMTP_PORT
    proven_domains: Collection[str] | Mapping[str, Sequence[str]] = ()  # see tls.Vouched
    ca_file: Path | None = None  # authorities for checked certificates instead of the system's
    max_size: int = 64 * 1024 * 1024
    per_domain: int = 2  # connections at a time; less than the threads, so that one slow domain does not hold them all
    per_relay: int = 20  # the same to a host that the operator named
    slot_wait: float = 1.0  # how long a delivery waits for one of them before it is put back
    rest: float = 30.0  # how long an address that did not answer is left alone
    reuse: int = 50  # messages over one connection
    idle: float = 10.0  # how long a connection waits for the next message
    timeouts: Timeouts = field(default_factory=Timeouts)


class _TryNext(Exception):
    """This host or address does not work out, for a reason that another one may not share."""

    def __init__(self, outcome: Outcome):
        super().__init__(outcome.reply)
        self.outcome = outcome


class Resting:
    """
    Addresses that did not answer a moment ago, and what came of it; safe for many threads.

    Without it every message for a host that swallows connections would hold a thread for minutes.
    """

    def __init__(self, monotonic: Callable[[], float], seconds: float):
        self._monotonic, self._seconds = monotonic, seconds
        self._until: dict[tuple[str, int], tuple[float, Outcome]] = {}
        self._lock = threading.Lock()

    def put(self, place: tuple[str, int], outcome: Outcome) -> None:
        """Leave *place* alone for a while."""
        now = self._monotonic()
        with self._lock:
            self._until = {key: value for key, value in self._until.items() if value[0] > now}
            self._until[place] = (now + self._seconds, outcome)

    def get(self, place: tuple[str, int]) -> Outcome | None:
        """Return what came of the last try if *place* still rests."""
        with self._lock:
            until, outcome = self._until.get(place, (0.0, None))
        return outcome if until > self._monotonic() else None


class Courier:
    """Sends; safe for many threads. `close` ends the connections that wait for more."""

    def __init__(self, resolver: Resolver, settings: CourierSettings, clock: Clock, rng: Random | None = None):
        self._settings = settings
        self._clock = clock
        self._router = Router(
            resolver,
            rng or SystemRandom(),
            smarthost=settings.smarthost,
            routes=settings.routes,
            hostname=settings.hostname,
            allow_private=settings.allow_private,
            port=settings.mx_port,
        )
        self._vouched = Vouched(settings.proven_domains)
        self._unchecked = unchecked_context()
        self._pool = Pool(clock.monotonic, reuse=settings.reuse, idle=settings.idle)
        self._resting = Resting(clock.monotonic, settings.rest)
        self._busy: Counter[str] = Counter()
        self._freed = threading.Condition()

    def send(self, envelope: Envelope, tls_class: TlsClass, message: Message, *, cleartext: bool = False) -> Outcome:
        """
        Try to deliver *message* to the envelope's one recipient, and return how it ended.

        *cleartext* lets class "plain" go out in clear where there is no TLS. Raises `Malformed`, before anything is
        connected, for octets that may not be sent; whatever a peer or the network does becomes an Outcome. What
        *message* itself raises passes through, with the connection closed in the middle, so that nothing partial
        counts as a message.
        """
        try:
            outgoing = Outgoing.of(envelope, message)
            if outgoing.size > self._settings.max_size:
                return _too_large(outgoing.size, self._settings.max_size)
            hops = self._hops(outgoing.domain, tls_class)
        except Unroutable as error:
            return error.outcome
        with self._slot(hops[0], outgoing.domain) as free:
            if not free:
                text = f"all connections to {outgoing.domain} are in use"
                return Outcome("delayed", None, "4.3.2", text, reason=Outcome.BUSY)
            return self._try_all(outgoing, hops, tls_class, cleartext)

    def close(self) -> None:
        """End the connections that wait. Deliveries under way end by themselves."""
        self._pool.close()

    @cached_property
    def _checked(self) -> ssl.SSLContext:
        return checked_context(self._settings.ca_file)

    @contextmanager
    def _slot(self, hop: Hop, domain: str) -> Iterator[bool]:
        """Count a delivery among those of its destination; yield False if there is no room for it."""
        name, room = (hop.host, self._settings.per_relay) if hop.chosen else (domain, self._settings.per_domain)
        with self._freed:
            free = self._freed.wait_for(lambda: self._busy[name] < room, timeout=self._settings.slot_wait)
            self._busy[name] += free
        try:
            yield free
        finally:
            with self._freed:
                self._busy[name] -= free
                if self._busy[name] <= 0:
                    del self._busy[name]
                self._freed.notify_all()

    def _hops(self, domain: str, tls_class: TlsClass) -> list[Hop]:
        """Return the hosts to try; for class "proven" only those that the operator vouches for."""
        if tls_class != "proven":
            return self._router.hops(domain)
        if domain not in self._vouched:
            raise Unroutable(_unproven(f"nobody vouches for the mail hosts of {domain}"))
        hops = self._router.hops(domain)
        if hops[0].relay:
            # A smarthost's certificate says nothing about the way from there.
            raise Unroutable(_unproven("the relay cannot promise protection on the whole way"))
        hops = [hop for hop in hops if hop.chosen or self._vouched.allows(domain, hop.host)]
        if not hops:
            raise Unroutable(_unproven(f"the mail hosts of {domain} are not those that were vouched for"))
        return hops

    def _try_all(self, outgoing: Outgoing, hops: list[Hop], tls_class: TlsClass, cleartext: bool) -> Outcome:
        """Try host after host; a refusal for now counts more than one for good, since another try may find better."""
        until = self._clock.monotonic() + self._settings.timeouts.hosts
        kept: Outcome | None = None
        for outcome in self._outcomes(outgoing, hops, tls_class, cleartext):
            if isinstance(outcome, Outcome):
                return outcome
            if kept is None or (kept.final and not outcome.outcome.final):
                kept = outcome.outcome
            if self._clock.monotonic() > until:
                break
        return kept or Outcome("delayed", None, "4.4.1", f"no mail host of {outgoing.domain} can be reached")

    def _outcomes(
        self, outgoing: Outgoing, hops: list[Hop], tls_class: TlsClass, cleartext: bool
    ) -> Iterator[Outcome | _TryNext]:
        """Yield what each connection came to: an Outcome is the end, a `_TryNext` is not."""
        for hop in hops:
            key: Key = (hop.host, hop.port, tls_class, cleartext)
            waiting = self._pool.take(key)
            if waiting is not None:
                try:
                    yield self._transact(waiting, key, outgoing)
                except _TryNext as error:
                    # It may have waited too long for the peer's taste; a new connection is the fair try.
                    yield error
            try:
                addresses = self._router.addresses(hop)
            except Unroutable as error:
                yield _TryNext(error.outcome)
                continue
            for address in addresses:
                try:
                    session = self._connect(hop, address, tls_class, cleartext)
                    yield self._transact(session, key, outgoing)
                except _TryNext as error:
                    yield error

    def _connect(self, hop: Hop, address: str, tls_class: TlsClass, cleartext: bool) -> Session:
        """Return a session that is protected as its class wants, past EHLO and AUTH. Raises `_TryNext`."""
        if (tired := self._resting.get((address, hop.port))) is not None:
            raise _TryNext(replace(tired, host=hop.host))
        local = hop.chosen and is_loopback(address)  # the octets do not leave this machine
        checked = tls_class == "proven" or (bool(hop.user) and not local)
        needed = checked or (tls_class == "plain" and not cleartext and not local)
        session = Session(self._settings.hostname, self._settings.timeouts, self._clock.monotonic)
        try:
            try:
                self._open(session, hop, address, self._checked if checked else self._unchecked, needed, tls_class)
            except ssl.SSLError as error:
                session.close()
                if needed:
                    raise _TryNext(_tls_failed(error, hop, tls_class)) from None
                if hop.implicit_tls:
                    raise SessionLost("TLS does not come about") from None
                # Opportunistic means that clear text is no worse than not trying at all (RFC 7435 §3).
                session = Session(self._settings.hostname, self._settings.timeouts, self._clock.monotonic)
                self._open(session, hop, address, None, needed, tls_class)
            if hop.user:
                self._log_in(session, hop)
        except SessionLost as error:
            session.close()
            outcome = Outcome("delayed", None, "4.4.1", one_line(str(error)), hop.host, session.tls)
            if not hop.chosen:
                self._resting.put((address, hop.port), outcome)
            raise _TryNext(outcome) from None
        except _TryNext:
            session.leave()
            raise
        except BaseException:
            session.close()
            raise
        return session

    def _open(
        self,
        session: Session,
        hop: Hop,
        address: str,
        context: ssl.SSLContext | None,
        needed: bool,
        tls_class: TlsClass,
    ) -> None:
        """Connect and get through greeting, EHLO and STARTTLS. Without a *context* TLS is not tried."""
        code, text = session.open(address, hop.port, context if hop.implicit_tls else None, hop.host)
        if code != 220:
            raise _TryNext(_answer(session, hop, (code, text)))
        self._hello(session, hop)
        if hop.implicit_tls:
            return
        if context is not None and session.offers("starttls"):
            code, text = session.start_tls(context, hop.host)
            if code == 220:
                self._hello(session, hop)
                return
            if needed:
                raise _TryNext(replace(_answer(session, hop, (code, text)), kind="delayed", final=False))
        elif needed:
            raise _TryNext(_tls_not_offered(session, hop, tls_class))

    def _hello(self, session: Session, hop: Hop) -> None:
        code, text = session.hello()
        if code != 250:
            raise _TryNext(_answer(session, hop, (code, text)))

    def _log_in(self, session: Session, hop: Hop) -> None:
        """Authenticate to the operator's relay. Whatever goes wrong is for the operator to mend, while mail waits."""
        try:
            if self._settings.password_file is None:
                raise OSError
            password = self._settings.password_file.read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeError):
            text = "the password file of the relay cannot be read"
            raise _TryNext(Outcome("delayed", None, "4.3.5", text, hop.host, session.tls)) from None
        try:
            session.login(hop.user, password)
        except (smtplib.SMTPException, ValueError):
            text = f"the relay {hop.host} does not let us sign in"
            raise _TryNext(Outcome("delayed", None, "4.7.8", text, hop.host, session.tls)) from None

    def _transact(self, session: Session, key: Key, outgoing: Outgoing) -> Outcome:
        """Run one transaction and give the session back or away. Raises `_TryNext` while no content has left."""
        try:
            outcome = self._dialogue(session, key[0], outgoing)
        except BaseException:
            session.close()
            raise
        self._pool.give(key, session)
        return outcome

    def _dialogue(self, session: Session, host: str, outgoing: Outgoing) -> Outcome:
        obstacle = _obstacle(session, host, outgoing)
        if obstacle is not None:
            return obstacle
        try:
            session.begin()
            for line in (
                f"MAIL FROM:<{outgoing.reverse_path}>{outgoing.mail_options(session.offers)}",
                f"RCPT TO:<{outgoing.recipient}>{outgoing.rcpt_options(session.offers)}",
            ):
                reply = session.command(line)
                if not 200 <= reply[0] < 300:
                    return self._refused(session, host, reply)
            reply = session.command("DATA", session.timeouts.data)
            if reply[0] != 354:
                return self._refused(session, host, reply)
        except SessionLost as error:
            raise _TryNext(Outcome("delayed", None, "4.4.2", one_line(str(error)), host, session.tls)) from None
        tls = session.tls
        try:
            reply = session.body(outgoing.pieces())
        except SessionLost as error:
            # The peer may or may not have it. It gets it again with the same Message-ID: twice rather than never.
            return Outcome("delayed", None, "4.4.2", one_line(str(error)), host, tls)
        return _judged(outcome_of(*reply, host=host, tls=tls, peer_size=session.size_limit))

    def _refused(self, session: Session, host: str, reply: Reply) -> Outcome:
        """Judge a refusal before any content left; 421 means that the host, not the mail, has a problem."""
        outcome = _judged(outcome_of(*reply, host=host, tls=session.tls, peer_size=session.size_limit), content=False)
        if outcome.kind == "delivered":  # a 2yz where 354 belongs: neither side knows where it is
            outcome = replace(outcome, kind="delayed", status="4.5.0", final=False)
            session.close()
        if outcome.code == 421:
            raise _TryNext(outcome)
        return outcome


def _obstacle(session: Session, host: str, outgoing: Outgoing) -> Outcome | None:
    """Return the failure that is certain from EHLO alone, if there is one."""
    limit = session.size_limit
    if limit is not None and outgoing.size > limit:
        return replace(_too_large(outgoing.size, limit), host=host, tls=session.tls, peer_size=limit)
    problem = Outcome("failed", None, "", "", host, session.tls, reason=Outcome.NOT_ASCII, peer_size=limit)
    if outgoing.smtputf8 and not session.offers("smtputf8"):
        return replace(problem, status="5.6.7", reply=f"{host} takes only addresses in ASCII letters (no SMTPUTF8)")
    if outgoing.eight_bit and not outgoing.smtputf8 and not session.offers("8bitmime"):
        return replace(problem, status="5.6.3", reply=f"{host} takes only 7-bit content (no 8BITMIME)")
    return None


def _judged(outcome: Outcome, content: bool = True) -> Outcome:
    """
    Add the reason that lets a caller do something else: the size, or the content that was seen and refused.

    5.7.20 to 5.7.29 (RFC 7372, RFC 7489) and one large provider's 5.7.509 are about who sends, so that the same mail
    without its content would fare no better.
    """
    if outcome.kind != "failed":
        return outcome
    if outcome.status in ("5.3.4", "5.2.3"):
        return replace(outcome, reason=Outcome.TOO_LARGE)
    if content and re.match(r"5\.(0\.0|6\.\d+|7\.(?!2\d|509)\d+)\Z", outcome.status):
        return replace(outcome, reason=Outcome.CONTENT)
    return outcome


def _answer(session: Session, hop: Hop, reply: Reply) -> Outcome:
    outcome = outcome_of(*reply, host=hop.host, tls=session.tls)
    # A 2yz that is not the code which belongs here is no consent.
    return replace(outcome, kind="delayed", status="4.5.0", final=False) if outcome.kind == "delivered" else outcome


def _too_large(size: int, limit: int) -> Outcome:
    text = f"the message has {size:,} bytes, at most {limit:,} are taken"
    return Outcome("failed", None, "5.3.4", text, reason=Outcome.TOO_LARGE)


def _unproven(text: str) -> Outcome:
    return Outcome("failed", None, "5.7.10", text, reason=Outcome.PROOF_MISSING)


def _tls_failed(error: ssl.SSLError, hop: Hop, tls_class: TlsClass) -> Outcome:
    text = f"TLS with {hop.host} does not come about"
    if tls_class == "proven" and isinstance(error, ssl.SSLCertVerificationError):
        return replace(_unproven(f"the certificate of {hop.host} does not prove who it is"), host=hop.host)
    return Outcome("delayed", None, "4.7.5", text, hop.host)


def _tls_not_offered(session: Session, hop: Hop, tls_class: TlsClass) -> Outcome:
    text = f"{hop.host} offers no TLS"
    if tls_class == "proven":
        return replace(_unproven(text), host=hop.host)
    if tls_class == "plain":
        return Outcome("failed", None, "5.7.10", text, hop.host, session.tls, reason=Outcome.TLS_MISSING)
    return Outcome("delayed", None, "4.7.10", text, hop.host, session.tls)

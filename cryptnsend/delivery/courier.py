"""Hand one message to one recipient's mail host and say how it ended. The client side of RFC 5321.

A courier is shared by all delivery threads. It knows envelopes, octets and peers, and nothing of vault or keeper.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random, SystemRandom

from cryptnsend.core.contracts import Clock
from cryptnsend.delivery.attempt import Attempt, Gear
from cryptnsend.delivery.dns import Resolver
from cryptnsend.delivery.https import HTTPS_PORT, Https, HttpsTrouble
from cryptnsend.delivery.mtasts import MemoryShelf, Policies, Shelf
from cryptnsend.delivery.outcome import Envelope, Kind, Outcome, one_line
from cryptnsend.delivery.outgoing import Message, Outgoing
from cryptnsend.delivery.pool import Pool, Resting
from cryptnsend.delivery.protection import Protection, Wanted
from cryptnsend.delivery.route import SMTP_PORT, Route, Router, Unroutable
from cryptnsend.delivery.session import Timeouts
from cryptnsend.delivery.tls import TlsClass, Vouched
from cryptnsend.delivery.tlsrpt import web
from cryptnsend.delivery.verdicts import too_large

__all__ = ["Courier", "CourierSettings", "Envelope", "Message", "Outcome", "Timeouts", "TlsClass"]


GONE = 410  # what was there will not be again (RFC 9110 §15.5.11)
_LATER = frozenset({408, 425, 429, *range(500, 600)})  # HTTP status codes after which another try may fare better


@dataclass(frozen=True, slots=True)
class CourierSettings:
    """How this installation sends. Sizes are octets, times seconds."""

    hostname: str = "localhost"  # said in EHLO
    smarthost: str = ""  # smtp://[user@]host[:port], smtps://…; empty looks up MX records
    password_file: Path | None = None  # for a smarthost with a user
    routes: Mapping[str, str] = field(default_factory=dict)  # domain or .domain to host:port
    private_hosts: Collection[str] = ()  # whose web servers may be told of events though their addresses are private
    allow_private: bool = False  # deliver to private addresses found by MX
    mx_port: int = SMTP_PORT
    proven_domains: Collection[str] | Mapping[str, Sequence[str]] = ()  # see tls.Vouched
    ca_file: Path | None = None  # authorities for checked certificates instead of the system's
    https_port: int = HTTPS_PORT  # of MTA-STS policies; another only where tests play the Internet
    https_seconds: float = 30.0  # for one policy or report
    max_size: int = 64 * 1024 * 1024
    per_domain: int = 2  # connections at a time; less than the threads, so that one slow domain does not hold them all
    per_relay: int = 20  # the same to a host that the operator named
    slot_wait: float = 1.0  # how long a delivery waits for one of them before it is put back
    rest: float = 30.0  # how long an address that did not answer is left alone
    reuse: int = 50  # messages over one connection
    idle: float = 10.0  # how long a connection waits for the next message
    timeouts: Timeouts = field(default_factory=Timeouts)


class Courier:
    """Sends; safe for many threads. `close` ends the connections that wait for more."""

    def __init__(
        self,
        resolver: Resolver,
        settings: CourierSettings,
        clock: Clock,
        rng: Random | None = None,
        shelf: Shelf | None = None,
    ):
        """*shelf* keeps what domains promise across restarts; without it a restart forgets."""
        self._settings = settings
        self._router = Router(
            resolver,
            rng or SystemRandom(),
            smarthost=settings.smarthost,
            routes=settings.routes,
            hostname=settings.hostname,
            allow_private=settings.allow_private,
            port=settings.mx_port,
        )
        self._https = Https(
            resolver,
            ca_file=settings.ca_file,
            allow_private=settings.allow_private,
            private_hosts=settings.private_hosts,
            port=settings.https_port,
            seconds=settings.https_seconds,
            monotonic=clock.monotonic,
        )
        self._pool = Pool(clock.monotonic, reuse=settings.reuse, idle=settings.idle)
        policies = Policies(resolver, self._https, shelf or MemoryShelf(), clock)
        self._gear = Gear(
            hostname=settings.hostname,
            timeouts=settings.timeouts,
            clock=clock,
            router=self._router,
            protection=Protection(resolver, policies, Vouched(settings.proven_domains)),
            pool=self._pool,
            resting=Resting(clock.monotonic, settings.rest),
            password_file=settings.password_file,
            ca_file=settings.ca_file,
        )
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
                return too_large(outgoing.size, self._settings.max_size)
            route = self._router.route(outgoing.domain)
        except Unroutable as error:
            return error.outcome
        with self._slot(route) as free:
            if not free:
                text = f"all connections to {outgoing.domain} are in use"
                return Outcome("delayed", None, "4.3.2", text, reason=Outcome.BUSY)
            wanted = Wanted(tls_class, cleartext, envelope.requiretls, envelope.tls_optional)
            return Attempt(self._gear, outgoing, route, wanted).run()

    def post(self, url: str, octets: bytes, headers: Mapping[str, str], *, patient: bool = False) -> Outcome:
        """
        Give *octets* to the web server of an https: *url*, and return how it ended. Nothing is redirected.

        With *patient* only 410 is a no for good: whatever else a program answers may be another one tomorrow.
        """
        place = web(url)
        if place is None:
            return Outcome("failed", None, "5.1.3", "that is no URL that anything can be sent to")
        host, port, path = place
        try:
            status = self._https.post(host, port, path, octets, headers)
        except HttpsTrouble as trouble:
            return Outcome("delayed", None, "4.4.1", one_line(str(trouble)), host, route="https")
        kind: Kind = (
            "delivered"
            if 200 <= status < 300
            else "delayed"
            if status in _LATER or (patient and status != GONE)
            else "failed"
        )
        digit = {"delivered": 2, "delayed": 4, "failed": 5}[kind]
        return Outcome(kind, status, f"{digit}.0.0", f"HTTP status {status}", host, route="https")

    def room(self, domain: str) -> int:
        """Return how many deliveries to *domain* (A-label) may be under way at the same time."""
        chosen = self._router.is_chosen(domain)
        return self._settings.per_relay if chosen else self._settings.per_domain

    def close(self) -> None:
        """End the connections that wait. Deliveries under way end by themselves."""
        self._pool.close()

    @contextmanager
    def _slot(self, route: Route) -> Iterator[bool]:
        """Count a delivery among those of its destination; yield False if there is no room for it."""
        hop, settings = route.hops[0], self._settings
        name, room = (hop.host, settings.per_relay) if hop.chosen else (route.domain, settings.per_domain)
        with self._freed:
            free = self._freed.wait_for(lambda: self._busy[name] < room, timeout=settings.slot_wait)
            self._busy[name] += free
        try:
            yield free
        finally:
            with self._freed:
                self._busy[name] -= free
                if self._busy[name] <= 0:
                    del self._busy[name]
                self._freed.notify_all()

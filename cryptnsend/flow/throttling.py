"""How many guesses may a source make? Counted per address and source, so that nobody is shut out, and per network.

Mail programs try the same wrong password again and again; one wrong password counts once.

Whoever guesses at many addresses, at each only a few times, is stopped by the count of their network. While that waits,
only those are looked at who have signed in from there before: a stranger beside them, at a hotel or behind the same
provider's address, shuts none of them out. All others get the answer of an address that nobody has, whatever they type,
so that neither the answer nor its time tells whose address it is, or that a password was right.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import threading
from collections import OrderedDict
from functools import lru_cache

from cryptnsend.core.contracts import Clock, Engine
from cryptnsend.core.errors import Sentence, Throttled
from cryptnsend.core.model import Random
from cryptnsend.store.records import throttle

REMEMBERED = 10_000  # wrong passwords of this process that would not count again
NOBODY = "nobody@invalid"  # an address that cannot be anybody's (RFC 6761 §6.4), for the same work
DAY = 86_400_000
KNOWN = 90 * DAY  # for which a network stays known as one that somebody signed in from
SEEN, ANYBODY = "known networks", "anybody at all"  # a door and a subject that no sign-in has


@lru_cache(maxsize=4096)
def network_of(source: str) -> str:
    """
    Return the network that a source is counted by where it asks for mail to others: IPv4 by /24, IPv6 by /64.

    Whoever has one address of these has most of them, or rents them by the dozen. Empty for what is no address.
    """
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 64), strict=False))


def counted_as(source: str) -> str:
    """
    Return what wrong secrets from a source are counted under: an IPv4 address itself, IPv6 by /64.

    Behind one IPv4 address there may be many people; of IPv6, whoever has one address has the other 2^64 as well.
    """
    network = network_of(source)
    return network if ":" in network else source


class Throttle:
    """Failures at one door (smtp, page). Thread-safe. *per_network* is of a day, None where networks do not count."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        random: Random,
        door: str,
        *,
        failures: int,
        pause_minutes: int,
        per_network: int | None = None,
    ):
        self._engine, self._clock, self._door = engine, clock, door
        self._free, self._pause, self._free_in_network = failures, pause_minutes * 60_000, per_network
        self._key = random(32)
        self._lock = threading.Lock()
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def check(self, subject: str, source: str) -> None:
        """Raise Throttled while this source must wait for this subject."""
        until = throttle.paused_until(self._engine, self._door, subject, counted_as(source))
        now = self._clock.now()
        if until > now:
            self._refuse(until - now)

    def knows(self, subject: str, source: str) -> bool:
        """Say whether a network is known as one that somebody came from before, all steps done."""
        return throttle.paused_until(self._engine, SEEN, subject, _network(source)) > self._clock.now()

    def judged(self, subject: str, source: str) -> str:
        """Return whose password is looked at: the subject's, or nobody's while its network waits and is new to it."""
        if not self._wait_of_network(source):
            return subject
        return subject if self.knows(subject, source) else NOBODY

    def failed(self, subject: str, source: str, secret: str | None = None) -> None:
        """
        Count a wrong *secret*, unless this very one was counted before; raise Throttled if it was one too many.

        Without a *secret* it counts each time: for what people type, and no program repeats by itself.
        """
        now, counted, wait = self._clock.now(), counted_as(source), self._wait_of_network(source)
        if secret is None or not self._is_known(subject, secret):
            until = self._engine.write(
                lambda rows: throttle.failed(rows, self._door, subject, counted, now, self._free, self._pause)
            ).result()
            # Whoever is made to wait already and asks in vain lets nobody wait longer.
            wait = max(wait or self._count_in_network(source, now), until - now)
        if wait > 0:
            self._refuse(wait)

    def welcome(self, subject: str, source: str) -> None:
        """Know a network from now on as one that somebody signed in from, all steps done."""
        now, network = self._clock.now(), _network(source)
        if throttle.paused_until(self._engine, SEEN, subject, network) < now + KNOWN - DAY:
            self._engine.write(lambda rows: throttle.known(rows, SEEN, subject, network, now, now + KNOWN)).result()

    def ask(self, subject: str, source: str, free: int) -> None:
        """
        Count something that makes work for others, such as a mail; raise Throttled once a source asks for too much.

        *free* of it a day cost nothing, then the pauses grow as for wrong passwords.
        """
        self.check(subject, source)
        now = self._clock.now()
        self._engine.write(
            lambda rows: throttle.asked(rows, self._door, subject, counted_as(source), now, free, self._pause)
        ).result()

    def forgive(self, subject: str, source: str) -> None:
        """Forget this source's failures after a success; costs nothing when there were none."""
        counted = counted_as(source)
        if throttle.has_failures(self._engine, self._door, subject, counted):
            self._engine.write(lambda rows: throttle.forgive(rows, self._door, subject, counted)).result()

    def _wait_of_network(self, source: str) -> int:
        """Return how long (ms) whoever is new has to wait in a network; 0 for not at all."""
        if self._free_in_network is None:
            return 0
        until = throttle.paused_until(self._engine, self._door, ANYBODY, _network(source))
        return max(0, until - self._clock.now())

    def _count_in_network(self, source: str, now: int) -> int:
        free = self._free_in_network
        if free is None:
            return 0
        until = self._engine.write(
            lambda rows: throttle.asked(rows, self._door, ANYBODY, _network(source), now, free, self._pause)
        ).result()
        return max(0, until - now)

    def _is_known(self, subject: str, secret: str) -> bool:
        mark = hmac.digest(self._key, f"{subject}\0{secret}".encode(), hashlib.sha256)
        with self._lock:
            known = mark in self._seen
            self._seen[mark] = None
            self._seen.move_to_end(mark)
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
        return known

    @staticmethod
    def _refuse(wait: int) -> None:
        minutes = max(1, -(-wait // 60_000))
        text = Sentence(
            "Too many wrong passwords from here. Wait %(minutes)s minutes, or use a device you used before.",
            minutes=minutes,
        )
        if minutes == 1:
            text = Sentence("Too many wrong passwords from here. Wait a minute, or use a device you used before.")
        raise Throttled(text, retry_after=-(-wait // 1000))


def _network(source: str) -> str:
    return network_of(source) or source

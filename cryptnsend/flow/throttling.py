"""How many guesses may a source make at one address? Counted per address and source, so that nobody is shut out.

Mail programs try the same wrong password again and again; one wrong password counts once.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import threading
from collections import OrderedDict

from cryptnsend.core.contracts import Clock, Engine
from cryptnsend.core.errors import Throttled
from cryptnsend.core.model import Random
from cryptnsend.store.records import throttle

REMEMBERED = 10_000  # wrong passwords of this process that would not count again


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
    """Failures at one door (smtp, page). Thread-safe."""

    def __init__(self, engine: Engine, clock: Clock, random: Random, door: str, *, failures: int, pause_minutes: int):
        self._engine, self._clock, self._door = engine, clock, door
        self._free, self._pause = failures, pause_minutes * 60_000
        self._key = random(32)
        self._lock = threading.Lock()
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def check(self, subject: str, source: str) -> None:
        """Raise Throttled while this source must wait for this subject."""
        until = throttle.paused_until(self._engine, self._door, subject, counted_as(source))
        now = self._clock.now()
        if until > now:
            self._refuse(until - now)

    def failed(self, subject: str, source: str, secret: str | None = None) -> None:
        """
        Count a wrong *secret*, unless this very one was counted before; raise Throttled if it was one too many.

        Without a *secret* it counts each time: for what people type, and no program repeats by itself.
        """
        if secret is not None and self._is_known(subject, secret):
            return
        now, counted = self._clock.now(), counted_as(source)
        until = self._engine.write(
            lambda rows: throttle.failed(rows, self._door, subject, counted, now, self._free, self._pause)
        ).result()
        if until > now:
            self._refuse(until - now)

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
        plural = "" if minutes == 1 else "s"
        text = f"Too many wrong passwords from here. Wait {minutes} minute{plural}, or use a device you used before."
        raise Throttled(text, retry_after=-(-wait // 1000))

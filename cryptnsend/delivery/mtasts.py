"""Which hosts does a domain promise, over HTTPS, to take its mail under checked TLS? MTA-STS, RFC 8461.

A TXT record says that there is a policy, and by its id when it changed; the policy itself is a file on a web server of
the domain. It is kept for as long as it says, also across restarts, so that whoever can forge DNS for a while can
neither hide it nor replace it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from cryptnsend.core.contracts import Clock
from cryptnsend.delivery.dns import DnsTrouble, Resolver
from cryptnsend.delivery.https import Https, HttpsTrouble

Mode = Literal["enforce", "testing", "none"]

MAX_POLICY = 64 * 1024  # octets (RFC 8461 §3.2 wants at least that much to be read)
MAX_AGE = 31_557_600  # seconds; one year is the most that a policy can ask for
MAX_HOSTS = 500  # patterns of one policy that are looked at
PATH = "/.well-known/mta-sts.txt"
DAY = 86_400_000  # milliseconds; a policy that is older is fetched again while it still holds
AGAIN = 300.0  # seconds after which a fetch that failed is tried again (RFC 8461 §3.3)

# RFC 8461 §3.1: the version comes first, the id anywhere behind it.
_RECORD = re.compile(r"v=STSv1[ \t]*;(.*)", re.DOTALL)
_ID = re.compile(r"id=([A-Za-z0-9]{1,32})")
_HOST = re.compile(r"(?:\*\.)?[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\Z")


class PolicyInvalid(Exception):
    """This is no policy. The text says why."""


@dataclass(frozen=True, slots=True)
class StsPolicy:
    """What a domain promises; `max_age` is seconds, `mx` its host names, some with a leading "*."."""

    mode: Mode
    max_age: int
    mx: tuple[str, ...]

    def allows(self, host: str) -> bool:
        """Say whether *host* is one of those; a star stands for exactly one label (RFC 8461 §4.1)."""
        above = host.partition(".")[2]
        return any(above == each[2:] if each.startswith("*.") else host == each for each in self.mx)


@dataclass(frozen=True, slots=True)
class Kept:
    """A policy as it is kept: its id, its text, and when it was fetched and ends (UTC milliseconds)."""

    id: str
    text: str
    fetched: int
    expires: int


class Shelf(Protocol):
    """Where policies rest across restarts; safe for many threads."""

    def load(self, domain: str) -> Kept | None:
        """Return what is kept for *domain*, also if it has ended."""

    def keep(self, domain: str, kept: Kept) -> None:
        """Keep this instead of what was there."""


@dataclass(frozen=True, slots=True)
class Found:
    """A domain's policy, or None; `trouble` is what kept us from a new one, as RFC 8460 §4.3 calls it."""

    policy: StsPolicy | None
    trouble: str = ""


NOTHING = Found(None)


class MemoryShelf:
    """A shelf that is empty after a restart: for commands, and for tests."""

    def __init__(self) -> None:
        self._kept: dict[str, Kept] = {}

    def load(self, domain: str) -> Kept | None:
        return self._kept.get(domain)

    def keep(self, domain: str, kept: Kept) -> None:
        self._kept[domain] = kept


class Policies:
    """Knows the policy of each domain; safe for many threads. Two that ask for one domain wait for one fetch."""

    def __init__(self, resolver: Resolver, https: Https, shelf: Shelf, clock: Clock):
        self._resolver, self._https, self._shelf, self._clock = resolver, https, shelf, clock
        self._failed: dict[str, tuple[float, str]] = {}  # (domain and id): until when it rests, and why
        self._fetching: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def of(self, domain: str) -> Found:
        """
        Return the policy that holds for *domain* (A-label) now.

        Never raises for what DNS or a web server do: without a policy there is nothing to hold to, and one that is kept
        holds to its end whatever DNS says meanwhile (RFC 8461 §5.1).
        """
        with self._guard:
            lock = self._fetching.setdefault(domain, threading.Lock())
        try:
            with lock:
                return self._found(domain)
        finally:
            with self._guard:
                if not lock.locked():
                    self._fetching.pop(domain, None)

    def _found(self, domain: str) -> Found:
        now = self._clock.now()
        kept = self._shelf.load(domain)
        if kept is not None and kept.expires <= now:
            kept = None
        try:
            ident = record_id(self._resolver.texts(f"_mta-sts.{domain}"))
        except DnsTrouble:
            ident = None
        if ident is None or (kept is not None and ident == kept.id and now - kept.fetched < _refresh(kept)):
            return Found(_read(kept))
        trouble = self._resting(f"{domain} {ident}")
        if not trouble:
            try:
                kept = self._fetch(domain, ident, now)
            except HttpsTrouble as error:
                trouble = "sts-webpki-invalid" if error.is_certificate else "sts-policy-fetch-error"
            except PolicyInvalid:
                trouble = "sts-policy-invalid"
            if trouble:
                self._rest(f"{domain} {ident}", trouble)
        return Found(_read(kept), trouble)

    def _fetch(self, domain: str, ident: str, now: int) -> Kept:
        octets = self._https.get(f"mta-sts.{domain}", PATH, media_type="text/plain", most=MAX_POLICY)
        policy = parse(octets)
        kept = Kept(ident, octets.decode("ascii"), now, now + policy.max_age * 1000)
        self._shelf.keep(domain, kept)
        return kept

    def _resting(self, what: str) -> str:
        until, trouble = self._failed.get(what, (0.0, ""))
        return trouble if until > self._clock.monotonic() else ""

    def _rest(self, what: str, trouble: str) -> None:
        now = self._clock.monotonic()
        with self._guard:
            self._failed = {key: value for key, value in self._failed.items() if value[0] > now}
            self._failed[what] = (now + AGAIN, trouble)


def record_id(texts: Iterable[str]) -> str | None:
    """Return the id that the TXT records at _mta-sts name, None unless exactly one is a policy's (RFC 8461 §3.1)."""
    bodies = [found[1] for text in texts if (found := _RECORD.match(text))]
    if len(bodies) != 1:
        return None
    fields = [field.strip(" \t") for field in bodies[0].split(";")]
    ids = [found[1] for field in fields if (found := _ID.fullmatch(field))]
    return ids[0] if len(ids) == 1 else None


def parse(octets: bytes) -> StsPolicy:
    """
    Read a policy file (RFC 8461 §3.2). Raises `PolicyInvalid`.

    Unknown fields are passed over, of fields that stand there twice the first counts, lines may end in LF alone.
    """
    try:
        text = octets.decode("ascii")
    except UnicodeDecodeError:
        raise PolicyInvalid("a policy is ASCII") from None
    fields: dict[str, str] = {}
    hosts: list[str] = []
    for line in re.split(r"\r?\n", text):
        name, colon, value = line.partition(":")
        name, value = name.strip(" \t"), value.strip(" \t")
        if not colon:
            if name:
                raise PolicyInvalid("a line without a colon")
        elif name == "mx":
            hosts.append(value.lower().removesuffix("."))
        else:
            fields.setdefault(name, value)
    return StsPolicy(_mode(fields), _max_age(fields), _hosts(hosts, fields["mode"]))


def _mode(fields: dict[str, str]) -> Mode:
    if fields.get("version") != "STSv1":
        raise PolicyInvalid("not a policy of version STSv1")
    modes: dict[str, Mode] = {"enforce": "enforce", "testing": "testing", "none": "none"}
    if fields.get("mode") not in modes:
        raise PolicyInvalid("no mode that is known")
    return modes[fields["mode"]]


def _max_age(fields: dict[str, str]) -> int:
    text = fields.get("max_age", "")
    if not re.fullmatch(r"[0-9]{1,10}", text):
        raise PolicyInvalid("no max_age")
    return min(int(text), MAX_AGE)


def _hosts(hosts: list[str], mode: str) -> tuple[str, ...]:
    if not hosts and mode != "none":
        raise PolicyInvalid("no mx")
    if len(hosts) > MAX_HOSTS or not all(len(each) <= 255 and _HOST.match(each) for each in hosts):
        raise PolicyInvalid("an mx that is no host name")
    return tuple(hosts)


def _read(kept: Kept | None) -> StsPolicy | None:
    if kept is None:
        return None
    try:
        return parse(kept.text.encode())
    except PolicyInvalid:
        return None  # kept by a version that read more


def _refresh(kept: Kept) -> int:
    """Return the age in milliseconds from which a policy is fetched again although its id is the same (§10.2)."""
    return min(DAY, (kept.expires - kept.fetched) // 2)

"""Which hosts take mail for a domain, and where are they? MX, A and AAAA through dnspython.

Three answers matter to a mail router and are kept apart: the records, "no such domain" for good, and "ask later".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import dns.exception
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA


class NoSuchDomain(Exception):
    """The name does not exist (NXDOMAIN), or can never be one."""


class DnsTrouble(Exception):
    """No usable answer now: SERVFAIL, a timeout, no name server. Ask again later."""


@dataclass(frozen=True, slots=True)
class Mx:
    """One MX record; `host` is a lower-case A-label name without final dot, "" in a null MX (RFC 7505)."""

    preference: int
    host: str


class Resolver(Protocol):
    """What routing needs to know about names. Both raise `NoSuchDomain` and `DnsTrouble`."""

    def mx(self, domain: str) -> list[Mx]:
        """Return the MX records of *domain* in any order; none if it exists without any."""

    def addresses(self, host: str) -> list[str]:
        """Return the addresses of *host* as text; none if it exists without any."""


class DnsResolver:
    """
    Resolve through the system's name servers, or those given as (address, port). Safe for many threads.

    `lifetime` is seconds for one question with all its repeats. Answers are kept as long as their TTL says.
    """

    def __init__(self, nameservers: Sequence[tuple[str, int]] = (), *, lifetime: float = 10.0):
        try:
            resolver = dns.resolver.Resolver(configure=not nameservers)
        except dns.resolver.NoResolverConfiguration:
            # A machine that hands everything to a smarthost may have no name servers; whoever asks is told to wait.
            resolver = dns.resolver.Resolver(configure=False)
        if nameservers:
            resolver.nameservers = [dns.nameserver.Do53Nameserver(address, port) for address, port in nameservers]
        resolver.lifetime = lifetime
        resolver.timeout = min(resolver.timeout, lifetime)
        resolver.cache = dns.resolver.LRUCache(10_000)
        self._resolver = resolver

    def mx(self, domain: str) -> list[Mx]:
        return [
            Mx(record.preference, record.exchange.to_text(omit_final_dot=True).lower().removesuffix("."))
            for record in self._ask(domain, dns.rdatatype.MX)
            if isinstance(record, MX)
        ]

    def addresses(self, host: str) -> list[str]:
        """
        Return IPv4 addresses first.

        Hosts whose IPv6 is half set up are many, and receivers are stricter with IPv6 senders; with both families
        present either is right (RFC 5321 §5.2).
        """
        found: list[str] = []
        trouble: DnsTrouble | None = None
        for kind in (dns.rdatatype.A, dns.rdatatype.AAAA):
            try:
                found += [record.address for record in self._ask(host, kind) if isinstance(record, A | AAAA)]
            except DnsTrouble as error:
                trouble = error
        if not found and trouble is not None:
            raise trouble
        return found

    def _ask(self, name: str, kind: dns.rdatatype.RdataType) -> list[object]:
        try:
            question = dns.name.from_text(name)
        except (dns.exception.DNSException, UnicodeError) as error:
            raise NoSuchDomain(f"{name!r} is not a domain name") from error
        try:
            answer = self._resolver.resolve(question, kind, raise_on_no_answer=False, search=False)
        except dns.resolver.NXDOMAIN as error:
            raise NoSuchDomain(f"{name} does not exist") from error
        except (dns.exception.DNSException, OSError) as error:
            # The library's text names our servers and timings, which is no reader's business.
            raise DnsTrouble(f"the name servers gave no answer for {name}") from error
        return list(answer.rrset or ())

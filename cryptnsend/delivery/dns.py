"""Which hosts take mail for a domain, where are they, and what do they promise? DNS through dnspython.

Three answers matter to a mail router and are kept apart: the records, "no such domain" for good, and "ask later". A
fourth thing matters to DANE: whether a validating resolver has checked the answer's signatures. It says so by the AD
bit (RFC 4035 §3.2.3), which counts only if it cannot have been changed on the way: from a resolver on this machine.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver
from dns.rdtypes.ANY.CNAME import CNAME
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.TLSA import TLSA
from dns.rdtypes.ANY.TXT import TXT
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA

T = TypeVar("T")

RESOLV_CONF = Path("/etc/resolv.conf")
UDP_PAYLOAD = 1232  # octets; larger answers come over TCP instead of in fragments
MAX_RECORDS = 1000  # of one answer that are looked at; somebody who publishes more means harm


class NoSuchDomain(Exception):
    """The name does not exist (NXDOMAIN), or can never be one. `secure`: a validating resolver says so."""

    def __init__(self, text: str = "", *, secure: bool = False):
        super().__init__(text)
        self.secure = secure


class DnsTrouble(Exception):
    """No usable answer now: SERVFAIL, a timeout, no name server. Ask again later."""


@dataclass(frozen=True, slots=True)
class Mx:
    """One MX record; `host` is a lower-case A-label name without final dot, "" in a null MX (RFC 7505)."""

    preference: int
    host: str


@dataclass(frozen=True, slots=True)
class Tlsa:
    """One TLSA record (RFC 6698 §2.1): what a server's certificate, or one above it, has to be."""

    usage: int
    selector: int
    matching: int
    data: bytes

    def __str__(self) -> str:
        """Write it as RFC 8460 §4.2 shows it in reports."""
        return f"{self.usage} {self.selector} {self.matching} {self.data.hex()}"


class Answer(list[T]):
    """
    The records of an answer, none if the name exists without any.

    `secure` says that a validating resolver on this machine checked every signature up to a trust anchor, aliases
    included; `name` is where the records stand, when aliases led there.
    """

    def __init__(self, records: Iterable[T] = (), *, secure: bool = False, name: str = ""):
        super().__init__(records)
        self.secure = secure
        self.name = name


class Resolver(Protocol):
    """
    What routing needs to know about names.

    All raise `DnsTrouble`, also for answers whose signatures are wrong; `mx` and `addresses` raise `NoSuchDomain`.
    """

    def mx(self, domain: str) -> Answer[Mx]:
        """Return the MX records of *domain* in any order."""

    def addresses(self, host: str) -> Answer[str]:
        """Return the addresses of *host* as text."""

    def alias_is_secure(self, host: str) -> bool:
        """Say whether *host* is an alias by a signed CNAME, wherever that leads."""

    def tlsa(self, name: str) -> Answer[Tlsa]:
        """Return the TLSA records at *name*, such as "_25._tcp.mx.example"; none if there is no such name."""

    def texts(self, name: str) -> Answer[str]:
        """Return the TXT records at *name*, each with its strings joined; none if there is no such name."""


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
        # With AD in the question a validating resolver says in the answer whether it is proven (RFC 6840 §5.7).
        resolver.set_flags(dns.flags.RD | dns.flags.AD)
        resolver.use_edns(0, 0, UDP_PAYLOAD)
        self._resolver = resolver
        near = bool(resolver.nameservers) and all(_is_loopback(each) for each in resolver.nameservers)
        # What the system names may be a forwarder that validates nothing (containers have one on loopback); like the C
        # library we take its word only where the operator says so.
        self.is_near = near and (bool(nameservers) or _trusts_ad(RESOLV_CONF))

    def mx(self, domain: str) -> Answer[Mx]:
        found = self._ask(domain, dns.rdatatype.MX)
        records = (
            Mx(record.preference, _text(record.exchange)) for record in found[:MAX_RECORDS] if isinstance(record, MX)
        )
        return Answer(records, secure=found.secure, name=found.name)

    def addresses(self, host: str) -> Answer[str]:
        """
        Return IPv4 and IPv6 addresses in turn, IPv4 first.

        Hosts whose IPv6 is half set up are many, and receivers are stricter with IPv6 senders; with both families
        present either is right (RFC 5321 §5.2). In turn, so that the few that are tried are of both families.
        """
        families: list[list[str]] = []
        secure, name, trouble = False, "", None
        for kind in (dns.rdatatype.A, dns.rdatatype.AAAA):
            try:
                found = self._ask(host, kind)
            except DnsTrouble as error:
                trouble = error
                continue
            families.append([record.address for record in found if isinstance(record, A | AAAA)])
            if found:
                secure, name = secure or found.secure, found.name
        if not any(families) and trouble is not None:
            raise trouble
        return Answer(_in_turn(families), secure=secure, name=name or host)

    def alias_is_secure(self, host: str) -> bool:
        try:
            found = self._ask(host, dns.rdatatype.CNAME)
        except NoSuchDomain:
            return False
        return found.secure and any(isinstance(record, CNAME) for record in found)

    def tlsa(self, name: str) -> Answer[Tlsa]:
        try:
            found = self._ask(name, dns.rdatatype.TLSA)
        except NoSuchDomain as none:
            return Answer(secure=none.secure, name=name)
        records = (
            Tlsa(record.usage, record.selector, record.mtype, bytes(record.cert))
            for record in found[:MAX_RECORDS]
            if isinstance(record, TLSA)
        )
        return Answer(records, secure=found.secure, name=found.name)

    def texts(self, name: str) -> Answer[str]:
        try:
            found = self._ask(name, dns.rdatatype.TXT)
        except NoSuchDomain as none:
            return Answer(secure=none.secure, name=name)
        records = (
            b"".join(record.strings).decode("utf-8", "replace")
            for record in found[:MAX_RECORDS]
            if isinstance(record, TXT)
        )
        return Answer(records, secure=found.secure, name=found.name)

    def validates(self) -> bool:
        """Ask about the root of all names, and say whether the answer is proven. Raises `DnsTrouble`."""
        return self._ask(".", dns.rdatatype.DNSKEY).secure

    def _ask(self, name: str, kind: dns.rdatatype.RdataType) -> Answer[object]:
        try:
            question = dns.name.from_text(name)
        except (dns.exception.DNSException, UnicodeError) as error:
            raise NoSuchDomain(f"{name!r} is not a domain name") from error
        try:
            answer = self._resolver.resolve(question, kind, raise_on_no_answer=False, search=False)
        except dns.resolver.NXDOMAIN as error:
            secure = any(self._is_secure(response) for response in error.responses().values())  # type: ignore[no-untyped-call]
            raise NoSuchDomain(f"{name} does not exist", secure=secure) from error
        except (dns.exception.DNSException, OSError) as error:
            # The library's text names our servers and timings, which is no reader's business.
            raise DnsTrouble(f"the name servers gave no answer for {name}") from error
        secure = self._is_secure(answer.response)
        return Answer(list(answer.rrset or ()), secure=secure, name=_text(answer.canonical_name))

    def _is_secure(self, response: dns.message.Message | None) -> bool:
        return self.is_near and response is not None and bool(response.flags & dns.flags.AD)


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower().removesuffix(".")


def _in_turn(families: Sequence[Sequence[str]]) -> list[str]:
    longest = max(map(len, families), default=0)
    return [family[place] for place in range(longest) for family in families if place < len(family)]


def _is_loopback(server: object) -> bool:
    address = getattr(server, "address", server)
    try:
        return ipaddress.ip_address(str(address)).is_loopback
    except ValueError:
        return False  # a URL of DNS over HTTPS


def _trusts_ad(file: Path) -> bool:
    """Say whether *file* has `options trust-ad` (resolv.conf(5)): the way to its resolvers is not to be changed."""
    try:
        lines = file.read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    return any("trust-ad" in line.split()[1:] for line in lines if line.split()[:1] == ["options"])

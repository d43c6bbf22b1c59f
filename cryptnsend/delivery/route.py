"""Which hosts shall we try for a domain, and in what order? RFC 5321 §5.1, RFC 7505.

An operator's route comes first, then the smarthost, then MX. Addresses learned from DNS must be public: an MX record is
a stranger's wish, and without this check it could aim us at services inside the operator's own network.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from random import Random
from urllib.parse import unquote, urlsplit

from cryptnsend.core.errors import ConfigError
from cryptnsend.delivery.dns import DnsTrouble, Mx, NoSuchDomain, Resolver
from cryptnsend.delivery.outcome import Outcome

MAX_HOSTS = 5  # of one domain that are tried in one attempt
MAX_ADDRESSES = 4  # of one host
SMTP_PORT = 25

# A-label host names, RFC 1123 §2.1; underscores never name a mail domain.
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*\Z")
# Exchanges with underscores are against the rules and in use.
_EXCHANGE = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\Z")
_SIX_TO_FOUR = ipaddress.ip_network("2002::/16")  # RFC 3056
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052
_GIVEN = ipaddress.ip_network("2000::/3")  # global unicast (RFC 4291 section 2.4), as far as IANA gives it out
_KEPT = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")))  # some Pythons let them pass


class Unroutable(Exception):
    """No host can be tried; `outcome` says why, for good or for now."""

    def __init__(self, outcome: Outcome):
        super().__init__(outcome.reply)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Hop:
    """
    One host to try.

    `chosen` says that the operator named it, so that it is no stranger's wish; `relay` that it passes mail on to hosts
    that we do not see.
    """

    host: str
    port: int = SMTP_PORT
    implicit_tls: bool = False
    chosen: bool = False
    relay: bool = False
    user: str = ""  # AUTH, for a smarthost that wants it


@dataclass(frozen=True, slots=True)
class Route:
    """
    The way to a domain: its hosts, best first, and how they were found (mx, implicit-mx, route, smarthost).

    `secure` says that DNSSEC proves the MX records, or that there are none; `alias` is where they stand.
    """

    domain: str
    how: str
    hops: list[Hop]
    secure: bool = False
    alias: str = ""


@dataclass(frozen=True, slots=True)
class Router:
    """
    Turns a domain into hops, and a hop into addresses.

    `routes` maps a domain, or ".domain" for everything below it, to "host:port". `hostname` is our own name: MX records
    that come back to it, and those behind them, would loop (RFC 5321 §5.1).
    """

    resolver: Resolver
    rng: Random
    smarthost: str = ""
    routes: Mapping[str, str] | None = None
    hostname: str = ""
    allow_private: bool = False
    port: int = SMTP_PORT  # of hosts found by MX; others only where tests play the Internet

    def route(self, domain: str) -> Route:
        """Return the way to *domain* (A- or U-label). Raises `Unroutable`."""
        name = a_label(domain)
        chosen = self._chosen(name)
        if chosen is not None:
            return Route(name, "smarthost" if chosen.relay else "route", [chosen])
        try:
            records = self.resolver.mx(name)
        except NoSuchDomain:
            raise Unroutable(_no_domain(name)) from None
        except DnsTrouble as error:
            raise Unroutable(_ask_later(str(error))) from None
        how = "mx" if records else "implicit-mx"
        hops = [Hop(host, self.port) for host in self._exchanges(name, records)[:MAX_HOSTS]]
        return Route(name, how, hops, records.secure, records.name or name)

    def hops(self, domain: str) -> list[Hop]:
        """Return the hosts to try for *domain*, best first. Raises `Unroutable`."""
        return self.route(domain).hops

    def is_chosen(self, domain: str) -> bool:
        """Say whether the operator named the host for *domain* (A-label), so that no MX records are looked up."""
        return bool(self.smarthost) or self._operators(domain) is not None

    def _operators(self, domain: str) -> str | None:
        routes = self.routes or {}
        above = domain
        while routes and above:
            key = domain if above == domain else f".{above}"
            if key in routes:
                return routes[key]
            above = above.partition(".")[2]
        return None

    def _chosen(self, domain: str) -> Hop | None:
        route = self._operators(domain)
        if route is not None:
            return _endpoint(route)
        return parse_smarthost(self.smarthost) if self.smarthost else None

    def _exchanges(self, domain: str, records: list[Mx]) -> list[str]:
        if not records:
            return [domain]  # the implicit MX
        if all(not record.host for record in records):
            raise Unroutable(Outcome("failed", None, "5.1.10", f"{domain} says that it takes no mail (null MX)"))
        usable = [record for record in records if _EXCHANGE.match(record.host)]
        if not usable:
            raise Unroutable(Outcome("failed", None, "5.4.4", f"the mail hosts of {domain} have no usable names"))
        return in_order(usable, self.rng, self.hostname.lower(), domain)

    def addresses(self, hop: Hop) -> list[str]:
        """Return the addresses of *hop* that we may connect to. Raises `Unroutable`."""
        try:
            literal = ipaddress.ip_address(hop.host)
        except ValueError:
            found = self._resolved(hop)
        else:
            found = [str(literal)]
        allowed = found if hop.chosen or self.allow_private else [text for text in found if is_public(text)]
        if found and not allowed:
            text = f"{hop.host} has no address on the public Internet"
            raise Unroutable(Outcome("failed", None, "5.4.4", text, hop.host))
        return allowed[:MAX_ADDRESSES]

    def _resolved(self, hop: Hop) -> list[str]:
        if hop.host == "localhost" and hop.chosen:
            return ["127.0.0.1", "::1"]  # RFC 6761 §6.3: not a question for name servers
        found: list[str] = []
        try:
            found = self.resolver.addresses(hop.host)
        except NoSuchDomain:
            pass  # told below, in words that fit who named the host
        except DnsTrouble as error:
            raise Unroutable(_ask_later(str(error), hop.host)) from None
        if found:
            return found
        if hop.chosen:
            # Our operator's mistake, to be mended while the mail waits; never the recipient's fault.
            raise Unroutable(_ask_later(f"the relay {hop.host} has no address", hop.host))
        raise Unroutable(_no_domain(hop.host))


def in_order(records: list[Mx], rng: Random, own_name: str, domain: str) -> list[str]:
    """
    Sort MX records by preference, shuffle equals, and cut off what leads back to ourselves.

    Raises `Unroutable` with 5.4.6 if nothing but ourselves is left.
    """
    ours = min((record.preference for record in records if record.host == own_name), default=None)
    ahead = [record for record in records if ours is None or record.preference < ours]
    if not ahead:
        text = f"mail for {domain} is to come to this server, which does not hold it"
        raise Unroutable(Outcome("failed", None, "5.4.6", text))
    hosts: list[str] = []
    for _, group in groupby(sorted(ahead, key=lambda record: record.preference), key=lambda record: record.preference):
        equals = sorted({record.host for record in group} - set(hosts))
        rng.shuffle(equals)
        hosts += equals
    return hosts


def is_public(address: str) -> bool:
    """
    Say whether *address* belongs to the public Internet.

    Addresses that carry another one inside (mapped, 6to4, NAT64) are judged by that one too.
    """
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped
        if inner is None and ip in _SIX_TO_FOUR:
            inner = ipaddress.IPv4Address(int(ip) >> 80 & 0xFFFFFFFF)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        # Outside of what is given to networks lie ways into one's own: a translator's local prefix (RFC 8215),
        # addresses of sites (RFC 3879), those that carry an IPv4 address in yet another way.
        if ip not in _GIVEN:
            return False
    return ip.is_global and not ip.is_multicast and not any(ip in each for each in _KEPT if each.version == ip.version)


def is_loopback(address: str) -> bool:
    """Say whether what is sent to *address* stays on this machine."""
    ip = ipaddress.ip_address(address)
    inner = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (inner or ip).is_loopback


def a_label(domain: str) -> str:
    """
    Return *domain* as a lower-case A-label name without final dot. Raises `Unroutable` with 5.1.2.

    Python maps names by IDNA 2003, under which a few characters (the sharp s, the final sigma, joiners) become others
    and could name somebody else's domain. A name that does not come back unchanged is refused; its owner's A-label
    form works.
    """
    name = unicodedata.normalize("NFC", domain.removesuffix(".")).lower()
    if not name.isascii():
        try:
            encoded = name.encode("idna")
            unchanged = encoded.decode("idna") == name
        except UnicodeError:
            unchanged = False
        name = encoded.decode("ascii") if unchanged else ""
    if not _HOST_NAME.match(name) or name.rpartition(".")[2].isdigit():
        raise Unroutable(Outcome("failed", None, "5.1.2", "the part after the @ is not a domain name"))
    return name


def parse_smarthost(url: str) -> Hop:
    """
    Read smtp://[user@]host[:port] or smtps://[user@]host[:port]; ports default to 25 (587 with a user) and 465.

    A password never stands in the URL. Raises ConfigError.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigError("smarthost: allowed is smtp://host:port or smtps://host:port.") from None
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or parts.path not in ("", "/") or parts.query:
        raise ConfigError("smarthost: allowed is smtp://host:port or smtps://host:port.")
    if parts.password is not None:
        raise ConfigError("smarthost: the password belongs in the password file, not in the URL.")
    user = unquote(parts.username or "")
    implicit = parts.scheme == "smtps"
    return Hop(parts.hostname, port or (465 if implicit else 587 if user else SMTP_PORT), implicit, True, True, user)


def _endpoint(text: str) -> Hop:
    host, _, port = text.rpartition(":")
    return Hop(host.strip("[]").lower(), int(port), chosen=True)


def _no_domain(name: str) -> Outcome:
    return Outcome("failed", None, "5.1.2", f"there is no mail domain {name}", name)


def _ask_later(text: str, host: str = "") -> Outcome:
    return Outcome("delayed", None, "4.4.3", text, host)

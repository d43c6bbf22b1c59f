"""A few domains in memory, for those who check whose mail it is; and mail as their hosts would send it."""

from __future__ import annotations

from functools import cache

from cryptnsend.delivery import dkim
from cryptnsend.delivery.dns import DnsTrouble, Mx, NoSuchDomain

GOOD_HOST, OTHER_HOST = "192.0.2.25", "203.0.113.66"  # may send for the domains here; may not


@cache
def key_of(domain: str) -> dkim.DkimKey:
    """Return the signing key of a domain."""
    return dkim.generate_key("s1", domain, dkim.ED25519)


class Domains:
    """Names of domains that publish SPF, DKIM and DMARC. `broken` ones give no answer, `bare` ones publish nothing."""

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.bare: set[str] = set()
        self.policies: dict[str, str] = {}
        self.asked: list[str] = []
        self.host = GOOD_HOST  # that may send for all of them

    def txt(self, name: str) -> list[bytes]:
        self.asked.append(name)
        domain = name.removeprefix("_dmarc.").removeprefix("s1._domainkey.")
        if domain in self.broken:
            raise DnsTrouble("the name servers gave no answer")
        if domain in self.bare:
            raise NoSuchDomain(name)
        if name.startswith("_dmarc."):
            return [self.policies.get(domain, "v=DMARC1; p=reject").encode()]
        if name.startswith("s1._domainkey."):
            return [dkim.dns_record(key_of(domain)).encode()]
        return [f"v=spf1 ip4:{self.host} -all".encode()]

    def mx(self, domain: str) -> list[Mx]:
        return []

    def addresses(self, host: str) -> list[str]:
        return []

    def ptr(self, name: str) -> list[str]:
        return []


def signed(octets: bytes, domain: str, now: int) -> bytes:
    """Return a mail signed by *domain*; *now* is UTC milliseconds."""
    return dkim.sign(octets, [key_of(domain)], now=now // 1000) + octets

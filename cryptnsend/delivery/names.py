"""What else do zones say about a domain? TXT, PTR and SRV, for SPF, DKIM, DMARC and mail programs, beyond routing."""

from __future__ import annotations

import copy

import dns.exception
import dns.flags
import dns.rdatatype
from dns.rdtypes.ANY.PTR import PTR
from dns.rdtypes.ANY.TXT import TXT
from dns.rdtypes.IN.SRV import SRV

from cryptnsend.delivery.dns import DnsResolver, DnsTrouble, NoSuchDomain


class DnsNames(DnsResolver):
    """A resolver that also knows texts, names of addresses, and services. Raises as `DnsResolver` does."""

    def txt(self, name: str) -> list[bytes]:
        """Return the texts of *name*, the strings of each joined (RFC 7208 §3.3); none if it exists without any."""
        return [b"".join(record.strings) for record in self._ask(name, dns.rdatatype.TXT) if isinstance(record, TXT)]

    def ptr(self, name: str) -> list[str]:
        """Return the host names that an address's name under in-addr.arpa or ip6.arpa points to."""
        return [
            record.target.to_text(omit_final_dot=True).lower()
            for record in self._ask(name, dns.rdatatype.PTR)
            if isinstance(record, PTR)
        ]

    def srv(self, name: str) -> list[tuple[str, int]]:
        """Return host and port of each record of a service (RFC 2782); "" as host says that there is none."""
        return [
            (record.target.to_text(omit_final_dot=True).lower().removeprefix("."), record.port)
            for record in self._ask(name, dns.rdatatype.SRV)
            if isinstance(record, SRV)
        ]

    def is_held_back(self, name: str) -> bool:
        """Say whether there is an answer for *name* that a validating resolver holds back, as its proof is wrong."""
        unchecked = copy.copy(self._resolver)
        unchecked.cache = None
        unchecked.lifetime = unchecked.timeout = min(1.0, unchecked.lifetime)  # it has just looked in vain
        unchecked.set_flags(dns.flags.RD | dns.flags.CD)  # RFC 4035 §3.2.2
        try:
            unchecked.resolve(name, dns.rdatatype.SOA, raise_on_no_answer=False, search=False)
            self._ask(name, dns.rdatatype.SOA)
        except (dns.exception.DNSException, OSError, NoSuchDomain):
            return False
        except DnsTrouble:
            return True
        return False

"""What else do zones say about a domain? TXT, PTR and SRV, for SPF, DKIM, DMARC and mail programs, beyond routing."""

from __future__ import annotations

import dns.rdatatype
from dns.rdtypes.ANY.PTR import PTR
from dns.rdtypes.ANY.TXT import TXT
from dns.rdtypes.IN.SRV import SRV

from cryptnsend.delivery.dns import DnsResolver


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

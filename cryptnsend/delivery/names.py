"""What else do zones say about a domain? TXT and PTR, for SPF, DKIM and DMARC, on top of what routing asks."""

from __future__ import annotations

import dns.rdatatype
from dns.rdtypes.ANY.PTR import PTR
from dns.rdtypes.ANY.TXT import TXT

from cryptnsend.delivery.dns import DnsResolver


class DnsNames(DnsResolver):
    """A resolver that also knows texts and names of addresses. Raises as `DnsResolver` does."""

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

"""Which classes of mail are there, and how does Python speak TLS for them? RFC 7435, RFC 3207.

opportunistic: notices and handoffs that are encrypted themselves. TLS if it works, else in clear.
plain: content that its author declared plain. TLS if offered; in clear only if the organisation allows it.
proven: protected content in clear. A host that is proven to be the recipient's, or nothing.
report: about TLS itself (RFC 8460 §3). TLS if it works, whatever the domain promises: the report may be about that.

What a domain promises (DANE, MTA-STS) is held to in all classes but the last; protection.py decides.
"""

from __future__ import annotations

import ssl
from _ssl import ENCODING_DER
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal

TlsClass = Literal["opportunistic", "plain", "proven", "report"]
Proof = Literal["none", "operator", "mta-sts", "dane"]
NO_TLS = "none"
_HOW = {"none": "not checked", "dane": "proven by DANE", "mta-sts": "checked for MTA-STS", "operator": "checked"}


def unchecked_context() -> ssl.SSLContext:
    """Return a context that encrypts to whoever answers: most mail hosts have certificates that prove nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def checked_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """Return a context that wants a certificate for the host's name from the system's authorities, or *ca_file*'s."""
    context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def describe(sock: ssl.SSLSocket | None, proof: Proof) -> str:
    """Say in words for people how this connection is protected."""
    return NO_TLS if sock is None else f"{sock.version()}, certificate {_HOW[proof]}"


def cipher_of(sock: ssl.SSLSocket) -> str:
    """Return the name of the cipher suite in use."""
    chosen = sock.cipher()
    return chosen[0] if chosen else ""


def peer_chain(sock: ssl.SSLSocket) -> list[bytes]:
    """Return the certificates that the peer showed (DER), its own first, whether or not they prove anything."""
    public = getattr(sock, "get_unverified_chain", None)  # from Python 3.13 on
    if public is not None:
        return list(public() or ())
    inner = sock._sslobj  # type: ignore[attr-defined]  # the same, not yet public
    return [each.public_bytes(ENCODING_DER) for each in inner.get_unverified_chain() or ()]


class Vouched:
    """
    The operator's list of domains whose mail hosts are proven by a certificate from a public authority.

    MX records come over unsigned DNS, so a valid certificate alone proves nothing: the host's name must also be one
    that belongs to the domain. By default that is the domain or anything below it; a mapping names others, as
    {"clinic.example": ("mx.provider.example", ".provider.example")}.
    """

    def __init__(self, domains: Collection[str] | Mapping[str, Sequence[str]] = ()):
        named = domains if isinstance(domains, Mapping) else {}
        self._patterns = {domain: tuple(named.get(domain, ())) or (domain, f".{domain}") for domain in domains}

    def __contains__(self, domain: str) -> bool:
        return domain in self._patterns

    def allows(self, domain: str, host: str) -> bool:
        """Say whether *host* may stand for *domain*; a pattern with a leading dot stands for every name below it."""
        return any(
            host.endswith(pattern) if pattern.startswith(".") else host == pattern
            for pattern in self._patterns.get(domain, ())
        )

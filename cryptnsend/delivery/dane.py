"""Is this the server that the domain's signed DNS records describe? DANE for SMTP: RFC 7672 over RFC 6698 and RFC 7671.

The judgement is pure: records, the certificates that the server showed, the names it may go by, and the time. Usages 0
and 1 ask for public authorities and mean nothing for SMTP (RFC 7672 §3.1.3); a record that cannot be used is passed
over, and where none is left, TLS is still asked for, though not proven.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from hmac import compare_digest

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy, PolicyBuilder, Store, VerificationError

from cryptnsend.delivery.dns import Tlsa

TRUST_ANCHOR, END_ENTITY = 2, 3  # usages DANE-TA and DANE-EE
WHOLE, KEY = 0, 1  # selectors: the certificate, its public key
EXACT, SHA256, SHA512 = 0, 1, 2  # matching types
_DIGEST = {SHA256: 32, SHA512: 64}  # octets
MAX_CHAIN = 10  # certificates that are looked at
# What cryptography raises for certificates that somebody made up or damaged.
_BROKEN = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
MAX_ANCHORS = 20  # records and certificates that are tried as the beginning of a path


class NotProven(Exception):
    """The server is not proven to be the one that DNS describes. The text is for people; `kind` is of RFC 8460 §4.3."""

    def __init__(self, text: str, kind: str = "validation-failure"):
        super().__init__(text)
        self.kind = kind


def is_usable(record: Tlsa) -> bool:
    """Say whether a record can decide anything: usage, selector and matching type known, and data that fit them."""
    if record.usage not in (TRUST_ANCHOR, END_ENTITY) or record.selector not in (WHOLE, KEY):
        return False
    if record.matching in _DIGEST:
        return len(record.data) == _DIGEST[record.matching]
    if record.matching != EXACT:
        return False
    try:
        if record.selector == WHOLE:
            x509.load_der_x509_certificate(record.data)
        else:
            load_der_public_key(record.data)
    except _BROKEN:
        return False
    return True


def verify(records: Collection[Tlsa], chain: Sequence[bytes], names: Collection[str], now: int) -> None:
    """
    Check what a server showed against TLSA records; any usable one that fits is enough. Raises `NotProven`.

    *chain* is DER, the server's own certificate first; *names* are those that a certificate of usage 2 may carry (RFC
    7672 §3.2.2); *now* is UTC milliseconds. Usage 3 looks at the key or certificate alone: DNS has said whose it is, so
    that neither names nor dates count (RFC 7672 §3.1.1).
    """
    if not chain:
        raise NotProven("the server showed no certificate", "tlsa-invalid")
    shown = [_loaded(octets) for octets in chain[:MAX_CHAIN]]
    leaf, usable = shown[0], [record for record in records if is_usable(record)]
    if leaf is None:
        raise NotProven("the server's certificate cannot be read")
    if any(record.usage == END_ENTITY and _fits(record, leaf) for record in usable):
        return
    anchors = _anchors([record for record in usable if record.usage == TRUST_ANCHOR], shown[1:])
    if not anchors:
        raise NotProven("the server's certificate is not one that the domain's TLSA records name")
    _path(leaf, [each for each in shown[1:] if each is not None], anchors, names, now)


def _anchors(records: Sequence[Tlsa], above: Sequence[x509.Certificate | None]) -> list[x509.Certificate]:
    """
    Return the certificates where a path may begin.

    They stand above the server's own in what it showed, or as a whole in the record (RFC 7671 §5.2). A bare key in the
    record is found only as the key of a certificate that was shown.
    """
    found = [each for each in above if each is not None and any(_fits(record, each) for record in records)]
    for record in records:
        if record.selector == WHOLE and record.matching == EXACT and (whole := _loaded(record.data)) is not None:
            found.append(whole)
    return list(dict.fromkeys(found))[:MAX_ANCHORS]


def _path(
    leaf: x509.Certificate,
    above: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    names: Collection[str],
    now: int,
) -> None:
    """Find a path from the server's certificate to an anchor, for one of the names. Raises `NotProven`."""
    when = datetime.fromtimestamp(now / 1000, UTC)
    last: Exception | None = None
    for name in names:
        try:
            builder = PolicyBuilder().store(Store(list(anchors))).time(when).max_chain_depth(MAX_CHAIN)
            policies = {"ca_policy": _authorities(), "ee_policy": _servers()}
            builder.extension_policies(**policies).build_server_verifier(x509.DNSName(name)).verify(leaf, list(above))
        except (VerificationError, *_BROKEN) as error:
            last = error
        else:
            return
    if not leaf.not_valid_before_utc <= when <= leaf.not_valid_after_utc:
        raise NotProven("the server's certificate is out of date", "certificate-expired")
    if not _carries(leaf, names):
        raise NotProven("the server's certificate is for another name", "certificate-host-mismatch")
    raise NotProven("the server's certificate does not lead to one that the domain's TLSA records name") from last


def _authorities() -> ExtensionPolicy:
    """Return what certificates above the server's own must have; private authorities leave out much of the rest."""
    policy = ExtensionPolicy.permit_all()
    policy = policy.require_present(x509.BasicConstraints, Criticality.AGNOSTIC, _is_authority)
    return policy.may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _may_sign)


def _servers() -> ExtensionPolicy:
    policy = ExtensionPolicy.permit_all()
    return policy.require_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None)


def _is_authority(_: Policy, __: x509.Certificate, extension: x509.BasicConstraints) -> None:
    if not extension.ca:
        raise ValueError("not an authority")


def _may_sign(_: Policy, __: x509.Certificate, extension: x509.KeyUsage | None) -> None:
    if extension is not None and not extension.key_cert_sign:
        raise ValueError("its key may not sign certificates")


def _carries(leaf: x509.Certificate, names: Collection[str]) -> bool:
    try:
        shown = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, *_BROKEN):
        return False
    carried = {name.lower() for name in shown.get_values_for_type(x509.DNSName)}
    return any(name in carried or f"*.{name.partition('.')[2]}" in carried for name in names)


def _fits(record: Tlsa, certificate: x509.Certificate) -> bool:
    try:
        whole = certificate.public_bytes(Encoding.DER)
        octets = (
            whole
            if record.selector == WHOLE
            else certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        )
    except _BROKEN:
        return False
    if record.matching == SHA256:
        octets = hashlib.sha256(octets).digest()
    elif record.matching == SHA512:
        octets = hashlib.sha512(octets).digest()
    return compare_digest(octets, record.data)


def _loaded(octets: bytes) -> x509.Certificate | None:
    try:
        return x509.load_der_x509_certificate(octets)
    except _BROKEN:
        return None

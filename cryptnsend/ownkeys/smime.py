"""What does an S/MIME certificate say, and how is mail encrypted to it? RFC 5280 and RFC 8551, with an RSA key.

What `cryptography` can make is EnvelopedData with AES-256 in CBC mode and RSA with PKCS #1 v1.5; that is what clients
of all ages open. Who signed the certificate is not looked at: its owner handed it in, or a sender compared its
fingerprint.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import PKCS7EnvelopeBuilder, PKCS7Options
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cryptnsend.core.addresses import canonical
from cryptnsend.ownkeys.reading import LEAST_RSA, MOST_NAMES, MOST_RSA, NAME, OwnKey, Unusable, check_time

_PEM = re.compile(
    rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----.*?-----END (?:X509 |TRUSTED )?CERTIFICATE-----", re.DOTALL
)


def pem(octets: bytes) -> list[bytes]:
    """Return the certificates in PEM that stand in *octets*."""
    return _PEM.findall(octets)


def read(octets: bytes, now: int) -> OwnKey:
    """Return what a certificate says, in PEM or DER; raise Unusable."""
    blocks = pem(octets)
    if len(blocks) > 1:
        raise Unusable("several")
    try:
        found = x509.load_pem_x509_certificate(blocks[0]) if blocks else x509.load_der_x509_certificate(octets)
        public = found.public_key()
    except Exception:  # whatever a parser says of a stranger's octets: there is no certificate in them
        raise Unusable("no-key") from None
    if not isinstance(public, RSAPublicKey):
        raise Unusable("not-rsa")
    if public.key_size < LEAST_RSA:
        raise Unusable("weak")
    if public.key_size > MOST_RSA or public.public_numbers().e.bit_length() > 64:
        raise Unusable("too-large")
    try:
        _check_use(found)
        names, addresses = _names(found)
    except (x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError, TypeError):
        raise Unusable("no-key") from None
    starts, ends = (int(each.timestamp() * 1000) for each in (found.not_valid_before_utc, found.not_valid_after_utc))
    check_time(starts, ends, now)
    return OwnKey(
        "smime", found.public_bytes(Encoding.DER), found.fingerprint(SHA256()).hex(), names, addresses,
        f"RSA {public.key_size}", starts, ends,
    )  # fmt: skip


def lock(key: bytes, content: bytes, now: int) -> bytes:
    """Return *content* as CMS EnvelopedData in DER, for the certificate *key*; raise Unusable."""
    read(key, now)
    builder = PKCS7EnvelopeBuilder().set_data(content).add_recipient(x509.load_der_x509_certificate(key))
    builder = builder.set_content_encryption_algorithm(algorithms.AES256)
    return builder.encrypt(Encoding.DER, [PKCS7Options.Binary])


def sample(now: int) -> bytes:
    """Return a certificate that nobody has the key of."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Nobody")])
    private, day = generate_private_key(65537, 2048), datetime.fromtimestamp(now // 1000, UTC)
    made = x509.CertificateBuilder(
        name, name, private.public_key(), x509.random_serial_number(), day, day + timedelta(9)
    )
    return made.sign(private, SHA256()).public_bytes(Encoding.PEM)


def _check_use(found: x509.Certificate) -> None:
    """Raise Unusable for a certificate that is not for encrypting mail (RFC 8550 §4.4)."""
    with suppress(x509.ExtensionNotFound):
        if found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            raise Unusable("authority")
    with suppress(x509.ExtensionNotFound):
        if not found.extensions.get_extension_for_class(x509.KeyUsage).value.key_encipherment:
            raise Unusable("no-encryption")
    with suppress(x509.ExtensionNotFound):
        uses = set(found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        if not uses & {ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}:
            raise Unusable("no-encryption")


def _names(found: x509.Certificate) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what a certificate says of its holder, and the addresses that it is for."""
    subject = found.subject
    mails = [str(each.value) for each in subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS)]
    with suppress(x509.ExtensionNotFound):
        alternative = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        mails += alternative.get_values_for_type(x509.RFC822Name)
    said = [str(each.value) for each in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if len(mails) + len(said) > MOST_NAMES:
        raise Unusable("many-names")
    addresses = []
    for each in mails:
        with suppress(ValueError):
            addresses.append(canonical(each))
    return tuple(each[:NAME] for each in dict.fromkeys((*said, *mails))), tuple(dict.fromkeys(addresses))

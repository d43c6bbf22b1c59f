"""DANE: which certificate fits which record, and one vector per way of being wrong (RFC 7672, RFC 7671, RFC 6698)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from hypothesis import assume, given
from hypothesis import strategies as st

from cryptnsend.delivery.dane import NotProven, is_usable, verify
from cryptnsend.delivery.dns import Tlsa

NOW = 1_795_000_000_000
TODAY = datetime.fromtimestamp(NOW / 1000, UTC)
HOST = "mx.peer.example"


@dataclass
class Made:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def spki(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def make(
    name: str,
    issuer: Made | None = None,
    *,
    authority: bool | None = None,
    hosts: tuple[str, ...] = (),
    days: tuple[int, int] = (-10, 10),
    may_sign: bool | None = None,
    signer: ec.EllipticCurvePrivateKey | None = None,
) -> Made:
    """Make a certificate; without an *issuer* it signs itself. *signer* is another key than the issuer's."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(TODAY + timedelta(days=days[0]))
        .not_valid_after(TODAY + timedelta(days=days[1]))
    )
    if authority is not None:
        builder = builder.add_extension(x509.BasicConstraints(authority, None), critical=True)
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), False)
    if may_sign is not None:
        usage = x509.KeyUsage(True, False, False, False, False, may_sign, False, False, False)
        builder = builder.add_extension(usage, critical=True)
    signed = builder.sign(signer or (issuer.key if issuer else key), hashes.SHA256())
    return Made(signed, key)


ROOT = make("Root", authority=True)
MIDDLE = make("Middle", ROOT, authority=True, may_sign=True)
LEAF = make("Leaf", MIDDLE, hosts=(HOST, "*.wild.example"))
CHAIN = [LEAF.der, MIDDLE.der, ROOT.der]


def record(usage: int, selector: int, matching: int, of: Made) -> Tlsa:
    octets = of.spki if selector else of.der
    data = {0: octets, 1: hashlib.sha256(octets).digest(), 2: hashlib.sha512(octets).digest()}[matching]
    return Tlsa(usage, selector, matching, data)


def refused(records: list[Tlsa], chain: list[bytes], names: tuple[str, ...] = (HOST,), now: int = NOW) -> NotProven:
    with pytest.raises(NotProven) as caught:
        verify(records, chain, names, now)
    return caught.value


def proven(records: list[Tlsa], chain: list[bytes], *names: str) -> bool:
    """Say whether the server is proven to be the one that these records describe."""
    try:
        verify(records, chain, names or (HOST,), NOW)
    except NotProven:
        return False
    return True


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
@pytest.mark.parametrize(("usage", "of"), [(3, LEAF), (2, MIDDLE), (2, ROOT)])
def test_every_kind_of_usable_record_proves(usage: int, of: Made, selector: int, matching: int) -> None:
    made = record(usage, selector, matching, of)
    assert is_usable(made)
    assert proven([made], CHAIN)


def test_one_record_that_fits_is_enough() -> None:
    """RFC 7672 §2.1.1: while keys roll over, one of several fits."""
    assert proven([Tlsa(3, 1, 1, bytes(32)), record(3, 1, 1, LEAF)], CHAIN)
    assert proven([Tlsa(3, 1, 1, bytes(32)), record(2, 0, 1, ROOT)], CHAIN)


def test_for_usage_3_neither_name_nor_dates_nor_issuers_count() -> None:
    """RFC 7672 §3.1.1."""
    old = make("Old", MIDDLE, hosts=("elsewhere.example",), days=(-100, -50))
    assert proven([record(3, 1, 1, old)], [old.der])
    assert proven([record(3, 0, 0, ROOT)], [ROOT.der])


def test_usage_3_looks_at_the_servers_own_certificate_only() -> None:
    assert "not one that" in str(refused([record(3, 0, 1, MIDDLE)], CHAIN))


def test_for_usage_2_any_of_the_reference_names_is_enough() -> None:
    """RFC 7672 §3.2.2: the host, and the recipient's domain."""
    assert proven([record(2, 0, 1, ROOT)], CHAIN, "peer.example", HOST)
    assert proven([record(2, 0, 1, ROOT)], CHAIN, "mx7.wild.example")


def test_usage_2_wants_the_name() -> None:
    assert refused([record(2, 0, 1, ROOT)], CHAIN, ("other.example",)).kind == "certificate-host-mismatch"
    assert refused([record(2, 0, 1, ROOT)], CHAIN, ("a.b.wild.example",)).kind == "certificate-host-mismatch"


def test_usage_2_wants_a_certificate_with_names() -> None:
    bare = make(HOST, MIDDLE)
    assert refused([record(2, 0, 1, MIDDLE)], [bare.der, MIDDLE.der]).kind == "certificate-host-mismatch"


@pytest.mark.parametrize("days", [(-20, -1), (1, 20)])
def test_usage_2_wants_a_certificate_in_its_time(days: tuple[int, int]) -> None:
    leaf = make("Leaf", MIDDLE, hosts=(HOST,), days=days)
    assert refused([record(2, 0, 1, MIDDLE)], [leaf.der, MIDDLE.der]).kind == "certificate-expired"


def test_usage_2_wants_every_authority_in_its_time() -> None:
    middle = make("Middle", ROOT, authority=True, days=(-20, -1))
    leaf = make("Leaf", middle, hosts=(HOST,))
    assert "does not lead" in str(refused([record(2, 0, 1, ROOT)], [leaf.der, middle.der, ROOT.der]))


def test_usage_2_wants_a_signature_of_the_authority() -> None:
    forged = make("Leaf", MIDDLE, hosts=(HOST,), signer=ec.generate_private_key(ec.SECP256R1()))
    assert "does not lead" in str(refused([record(2, 0, 1, MIDDLE)], [forged.der, MIDDLE.der]))


def test_an_authority_that_stands_there_without_having_signed_is_no_proof() -> None:
    """Anybody can send the certificate of somebody else's authority along."""
    stranger = make("Stranger", authority=True)
    leaf = make("Leaf", stranger, hosts=(HOST,))
    assert "does not lead" in str(refused([record(2, 1, 1, ROOT)], [leaf.der, stranger.der, ROOT.der]))


@pytest.mark.parametrize("authority", [None, False])
def test_a_servers_certificate_cannot_sign_others(authority: bool | None) -> None:
    middle = make("Middle", ROOT, authority=authority, hosts=("evil.example",))
    leaf = make("Leaf", middle, hosts=(HOST,))
    assert "does not lead" in str(refused([record(2, 0, 1, ROOT)], [leaf.der, middle.der, ROOT.der]))


def test_a_key_that_may_not_sign_certificates_cannot() -> None:
    middle = make("Middle", ROOT, authority=True, may_sign=False)
    leaf = make("Leaf", middle, hosts=(HOST,))
    assert "does not lead" in str(refused([record(2, 0, 1, ROOT)], [leaf.der, middle.der, ROOT.der]))


def test_a_missing_link_is_no_proof() -> None:
    assert "does not lead" in str(refused([record(2, 0, 1, ROOT)], [LEAF.der, ROOT.der]))


def test_an_authority_that_was_not_shown_is_no_proof_unless_dns_has_it_whole() -> None:
    """RFC 7671 §5.2.1: a digest cannot be turned back into a certificate."""
    assert not proven([record(2, 0, 1, ROOT)], [LEAF.der, MIDDLE.der])
    assert not proven([record(2, 1, 0, ROOT)], [LEAF.der, MIDDLE.der])
    assert proven([record(2, 0, 0, ROOT)], [LEAF.der, MIDDLE.der])


def test_a_server_that_is_its_own_authority_is_no_usage_2() -> None:
    alone = make("Alone", authority=True, hosts=(HOST,))
    assert "is not one that" in str(refused([record(2, 1, 1, alone)], [alone.der]))


def test_no_certificate_is_no_proof() -> None:
    assert refused([record(3, 1, 1, LEAF)], []).kind == "tlsa-invalid"
    assert "cannot be read" in str(refused([record(3, 1, 1, LEAF)], [b"nonsense"]))


def test_garbage_above_the_servers_certificate_does_no_harm() -> None:
    assert proven([record(3, 1, 1, LEAF)], [LEAF.der, b"nonsense"])
    assert proven([record(2, 1, 1, ROOT)], [LEAF.der, b"nonsense", MIDDLE.der, ROOT.der])


@pytest.mark.parametrize(
    ("garbage", "why"),
    [
        (Tlsa(0, 0, 1, bytes(32)), "usage 0 asks for public authorities"),
        (Tlsa(1, 1, 1, bytes(32)), "usage 1, too"),
        (Tlsa(4, 1, 1, bytes(32)), "unassigned usage"),
        (Tlsa(255, 1, 1, bytes(32)), "private usage"),
        (Tlsa(3, 2, 1, bytes(32)), "unassigned selector"),
        (Tlsa(3, 1, 3, bytes(32)), "unassigned matching type"),
        (Tlsa(3, 1, 1, b""), "no data"),
        (Tlsa(3, 1, 1, bytes(31)), "short digest"),
        (Tlsa(3, 1, 1, bytes(33)), "long digest"),
        (Tlsa(3, 1, 2, bytes(32)), "digest of the other kind"),
        (Tlsa(3, 0, 0, b"\x30\x03nope"), "no certificate"),
        (Tlsa(3, 1, 0, LEAF.der), "a certificate where a key belongs"),
        (Tlsa(3, 0, 0, LEAF.spki), "a key where a certificate belongs"),
        (Tlsa(2, 0, 0, LEAF.der[:-1]), "a certificate cut short"),
        (Tlsa(3, 0, 0, LEAF.der + b"\0"), "a certificate with something after it"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_garbage_is_not_usable(garbage: Tlsa, why: str) -> None:
    assert not is_usable(garbage), why
    assert not proven([garbage], CHAIN)


@given(st.builds(Tlsa, st.integers(0, 255), st.integers(0, 255), st.integers(0, 255), st.binary(max_size=200)))
def test_whatever_dns_says_is_judged_and_nothing_else_fits(made: Tlsa) -> None:
    assert is_usable(made) in (True, False)
    assert not proven([made], CHAIN)


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_whatever_a_server_shows_is_judged(chain: list[bytes]) -> None:
    assert not proven([record(3, 1, 1, LEAF), record(2, 0, 0, ROOT)], chain)


@given(st.integers(0, len(LEAF.der) - 1), st.integers(1, 255))
def test_a_changed_certificate_never_passes_by_usage_2(place: int, change: int) -> None:
    # How many bits of the signature's last octet are unused (X.690 §8.6.2) is not part of what is signed, nor of it.
    assume(place != LEAF.der.rindex(LEAF.certificate.signature) - 1)
    octets = bytearray(LEAF.der)
    octets[place] ^= change
    assert not proven([record(2, 0, 1, ROOT)], [bytes(octets), MIDDLE.der, ROOT.der])

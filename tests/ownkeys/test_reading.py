"""Which keys can be used, what is said of them, and what becomes of those that were made to hurt."""

from __future__ import annotations

import base64
import os
import zlib
from contextlib import suppress
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, PrivateFormat, pkcs12
from cryptography.x509 import load_pem_x509_certificate
from cryptography.x509.oid import ExtendedKeyUsageOID

from cryptnsend.ownkeys.locksmith import Locksmith
from cryptnsend.ownkeys.reading import DAY, MOST_INPUT, Unusable
from tests.support.house import START
from tests.support.ownkeys import BORN, Gnupg, certificate, private_pem, rsa_key

ANN = "ann@gmail.example"


def wrong(locksmith: Locksmith, octets: bytes, now: int = START) -> str:
    """Return the word for what is wrong with a key."""
    with pytest.raises(Unusable) as unusable:
        locksmith.read(octets, now)
    return unusable.value.word


def test_an_openpgp_key_is_read(gnupg: Gnupg, locksmith: Locksmith) -> None:
    armored = gnupg.make("Ann Ruiz <Ann@Gmail.example>", "Ann at work <ann@clinic.example>")
    found = locksmith.read(b"Here is my key:\r\n\r\n" + armored.replace(b"\n", b"\r\n") + b"\r\nAnn\r\n", START)
    listed = gnupg.run("--with-colons", "--list-keys", "Ann Ruiz").decode().splitlines()
    (fingerprint,) = [line.split(":")[9] for line in listed if line.startswith("fpr:")][:1]
    assert found.kind == "openpgp"
    assert found.fingerprint == fingerprint.lower()
    assert set(found.addresses) == {ANN, "ann@clinic.example"}
    assert set(found.names) == {"Ann Ruiz <Ann@Gmail.example>", "Ann at work <ann@clinic.example>"}
    assert found.starts == int(BORN.timestamp() * 1000)
    assert found.ends is not None
    assert abs(found.ends - found.starts - 3650 * DAY) < 5 * DAY
    binary = gnupg.run("--export", "Ann Ruiz")
    assert locksmith.read(binary, START) == found


def test_a_certificate_is_read(locksmith: Locksmith) -> None:
    pem = certificate("Ann@gmail.example", "ann@clinic.example")
    found = locksmith.read(b"Bag Attributes\n" + pem, START)
    assert (found.kind, found.algorithm) == ("smime", "RSA 2048")
    assert found.addresses == (ANN, "ann@clinic.example")
    assert found.names == ("Ann Ruiz", "Ann@gmail.example", "ann@clinic.example")
    assert (found.starts, found.ends) == (BORN.timestamp() * 1000, (BORN + timedelta(days=3650)).timestamp() * 1000)
    assert locksmith.read(found.octets, START) == found


@pytest.mark.parametrize(
    "make",
    [
        lambda gnupg: gnupg.run("--armor", "--export-secret-keys", "Secret"),
        lambda gnupg: gnupg.run("--export-secret-keys", "Secret"),
        lambda gnupg: gnupg.run("--export", "Secret") + gnupg.run("--export-secret-keys", "Secret"),
        lambda gnupg: private_pem(),
        lambda gnupg: private_pem(form=PrivateFormat.TraditionalOpenSSL),
        lambda gnupg: certificate(ANN) + private_pem(),
        lambda gnupg: pkcs12.serialize_key_and_certificates(
            b"x", rsa_key(), load_pem_x509_certificate(certificate(ANN)), None, BestAvailableEncryption(b"x")
        ),
    ],
    ids=["armored", "packets", "behind", "pkcs8", "pkcs1", "with-certificate", "pkcs12"],
)
def test_a_private_key_is_known_as_one(gnupg: Gnupg, locksmith: Locksmith, make: object) -> None:
    if not gnupg.run("--list-keys", "Secret", check=False):
        gnupg.make("Secret <secret@x.example>")
    assert wrong(locksmith, make(gnupg)) == "private"  # type: ignore[operator]


def test_what_is_no_key_or_more_than_one_is_refused(gnupg: Gnupg, locksmith: Locksmith) -> None:
    first, second = gnupg.make("One <one@x.example>"), gnupg.make("Two <two@x.example>")
    assert wrong(locksmith, b" \n") == "empty"
    assert wrong(locksmith, b"ann@gmail.example") == "no-key"
    assert wrong(locksmith, os.urandom(5000)[:0] + b"\x00" * 5000) == "no-key"
    assert wrong(locksmith, b"\x30\x82\xff\xff" + b"\x00" * 1000) == "no-key"
    assert wrong(locksmith, first[: len(first) // 2] + b"\n-----END PGP PUBLIC KEY BLOCK-----") == "no-key"
    assert wrong(locksmith, b"x" * (MOST_INPUT + 1)) == "too-large"
    assert wrong(locksmith, first + second) == "several"
    assert wrong(locksmith, gnupg.run("--export", "One") + gnupg.run("--export", "Two")) == "several"
    assert wrong(locksmith, certificate(ANN) + certificate(ANN)) == "several"
    assert wrong(locksmith, certificate(ANN) + first) == "several"
    assert wrong(locksmith, gnupg.run("--sign", octets=b"x", check=False) or b"\xa3\x01x") == "no-key"


def test_weak_keys_are_refused(gnupg: Gnupg, locksmith: Locksmith) -> None:
    assert wrong(locksmith, gnupg.make("Weak <weak@x.example>", algorithm="rsa1024", usage="encr,sign,cert")) == "weak"
    assert wrong(locksmith, certificate(ANN, key=rsa_key(1024))) == "weak"
    assert wrong(locksmith, certificate(ANN, key=ec.generate_private_key(ec.SECP256R1()))) == "not-rsa"


def test_keys_that_are_not_for_encrypting_mail_are_refused(gnupg: Gnupg, locksmith: Locksmith) -> None:
    only_signs = gnupg.make("Signs <signs@x.example>", algorithm="ed25519", usage="sign,cert")
    assert wrong(locksmith, only_signs) == "no-encryption"
    assert wrong(locksmith, certificate(ANN, enciphers=False)) == "no-encryption"
    assert wrong(locksmith, certificate(ANN, use=ExtendedKeyUsageOID.SERVER_AUTH)) == "no-encryption"
    assert wrong(locksmith, certificate(ANN, authority=True)) == "authority"
    assert locksmith.read(certificate(ANN, enciphers=None, use=None), START).kind == "smime"


def test_keys_outside_their_time_are_refused(gnupg: Gnupg, locksmith: Locksmith) -> None:
    key, pem = gnupg.make("Brief <brief@x.example>", ends="5y"), certificate(ANN)
    for octets in (key, pem):
        assert locksmith.read(octets, START)
        assert wrong(locksmith, octets, START + 3651 * DAY) == "expired"
        assert wrong(locksmith, octets, START - 300 * DAY) == "not-yet"
    assert wrong(locksmith, gnupg.make("Over <over@x.example>", ends="10d")) == "expired"


def test_a_part_that_encrypts_may_end_before_its_key(gnupg: Gnupg, locksmith: Locksmith) -> None:
    gnupg.make("Parts <parts@x.example>", ends="9y")
    fingerprint = gnupg.run("--with-colons", "--list-keys", "Parts").decode().split("fpr:")[1].split(":")[8]
    gnupg.run("--pinentry-mode", "loopback", "--passphrase", "", "--faked-system-time=20260602T000000",
              "--quick-set-expire", fingerprint, "2y", "*")  # fmt: skip
    found = locksmith.read(gnupg.public("Parts"), START)
    assert found.ends is not None
    assert found.ends - found.starts < 3 * 365 * DAY


def test_a_revoked_key_and_a_revoked_name_are_refused(gnupg: Gnupg, locksmith: Locksmith) -> None:
    gnupg.make("Gone <gone@x.example>", "Stays <stays@x.example>")
    loop = ("--pinentry-mode", "loopback", "--passphrase", "")
    gnupg.run(*loop, "--quick-revoke-uid", "Gone", "Gone <gone@x.example>")
    assert locksmith.read(gnupg.public("Stays"), START).addresses == ("stays@x.example",)
    assert wrong(locksmith, gnupg.revoke("Stays")) == "revoked"


def test_keys_with_very_many_names_are_refused(gnupg: Gnupg, locksmith: Locksmith) -> None:
    assert wrong(locksmith, certificate(*(f"a{n}@x.example" for n in range(400)))) == "many-names"
    octets = gnupg.run("--export", gnupg.make("Many <many@x.example>") and "Many")
    name = b"\xb4\x1bName <name@another.example>"
    assert wrong(locksmith, octets + name * 500) == "many-names"
    large = base64.encodebytes(octets + b"\xb9" + (110_000).to_bytes(4, "big") + b"x" * 110_000)
    armored = b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n" + large + b"-----END PGP PUBLIC KEY BLOCK-----\n"
    assert wrong(locksmith, armored) == "too-large"


def test_what_unpacks_into_something_larger_is_never_unpacked(gnupg: Gnupg, locksmith: Locksmith) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = b"\x01" + packer.compress(b"\x00" * (40 << 20)) + packer.flush()
    bomb = b"\xc8\xff" + len(packed).to_bytes(4, "big") + packed
    assert wrong(locksmith, bomb) == "no-key"
    key = gnupg.run("--export", gnupg.make("Bomb <bomb@x.example>") and "Bomb")
    assert wrong(locksmith, key + bomb) == "no-key"
    assert locksmith.read(key, START).kind == "openpgp", "others go on"


def test_broken_keys_never_break_whoever_reads_them(gnupg: Gnupg, locksmith: Locksmith) -> None:
    key = gnupg.run("--export", gnupg.make("Broken <broken@x.example>") and "Broken")
    der = locksmith.read(certificate(ANN), START).octets
    for octets in (key, der):
        for at in range(0, len(octets), max(1, len(octets) // 25)):
            changed = octets[:at] + bytes([octets[at] ^ 0x41]) + octets[at + 1 :]
            with suppress(Unusable):  # anything else would fail here
                assert locksmith.read(changed, START).kind in ("smime", "openpgp")

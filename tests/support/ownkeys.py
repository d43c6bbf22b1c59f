"""Keys of people, as their own programs make them: gpg with a folder of its own, and certificates for openssl."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cryptnsend.app import App
from cryptnsend.ownkeys.locksmith import Locksmith
from cryptnsend.ownkeys.reading import OwnKey

BORN = datetime(2026, 6, 1, tzinfo=UTC)  # before the time of `tests.support.house`


class Gnupg:
    """GnuPG with a key ring of its own, in a folder that is short enough for its sockets."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gpg-"))
        self.folder.chmod(0o700)

    def run(self, *arguments: str, octets: bytes = b"", check: bool = True) -> bytes:
        """Return what gpg writes."""
        command = ["gpg", "--batch", "--quiet", "--no-tty", "--trust-model", "always", *arguments]
        environment = {**os.environ, "GNUPGHOME": str(self.folder)}
        done = subprocess.run(command, input=octets, capture_output=True, env=environment, check=False)
        assert not check or done.returncode == 0, done.stderr.decode()
        return done.stdout

    def make(self, *names: str, algorithm: str = "future-default", usage: str = "default", ends: str = "10y") -> bytes:
        """Make a key with these user ids; return it as armored text."""
        made = ["--pinentry-mode", "loopback", "--passphrase", "", f"--faked-system-time={BORN:%Y%m%dT%H%M%S}"]
        self.run(*made, "--quick-gen-key", names[0], algorithm, usage, ends)
        for more in names[1:]:
            self.run(*made, "--quick-add-uid", names[0], more)
        return self.public(names[0])

    def public(self, name: str) -> bytes:
        """Return a key as armored text."""
        return self.run("--armor", "--export", name)

    def revoke(self, name: str) -> bytes:
        """Revoke a key by the certificate that gpg made with it; return it as armored text."""
        listed = self.run("--with-colons", "--list-keys", name).decode()
        fingerprint = listed.split("\nfpr:")[1].split("\n")[0].strip(":").upper()
        revocation = self.folder / "openpgp-revocs.d" / f"{fingerprint}.rev"
        self.run("--import", octets=revocation.read_bytes().replace(b"\n:-----", b"\n-----"))
        return self.public(name)

    def end(self) -> None:
        """End gpg's own servers, and forget the keys."""
        subprocess.run(["gpgconf", "--kill", "all"], env={**os.environ, "GNUPGHOME": str(self.folder)}, check=True)
        shutil.rmtree(self.folder)


@pytest.fixture(scope="session")
def gnupg() -> Iterator[Gnupg]:
    """Return gpg with an empty key ring."""
    made = Gnupg()
    yield made
    made.end()


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return a private key; making one takes a while, so all certificates of that size have the same."""
    return rsa.generate_private_key(65537, bits)


def certificate(
    *addresses: str,
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | None = None,
    starts: datetime = BORN,
    days: int = 3650,
    authority: bool = False,
    enciphers: bool | None = True,
    use: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.EMAIL_PROTECTION,
    name: str = "Ann Ruiz",
) -> bytes:
    """Return a certificate for these addresses in PEM, signed by itself."""
    key = key or rsa_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number()).not_valid_before(starts)
    made = made.not_valid_after(starts + timedelta(days=days))
    if addresses:
        names = x509.SubjectAlternativeName([x509.RFC822Name(each) for each in addresses])
        made = made.add_extension(names, critical=False)
    if authority:
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    if enciphers is not None:
        said = x509.KeyUsage(
            digital_signature=True, content_commitment=False, key_encipherment=enciphers, data_encipherment=False,
            key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        made = made.add_extension(said, critical=True)
    if use is not None:
        made = made.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
    return made.sign(key, SHA256()).public_bytes(Encoding.PEM)


def private_pem(key: rsa.RSAPrivateKey | None = None, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    """Return a private key in PEM."""
    return (key or rsa_key()).private_bytes(Encoding.PEM, form, NoEncryption())


def openssl_opens(mail: bytes, folder: Path, how: str = "cms") -> bytes:
    """Return what openssl finds in an S/MIME mail, with the key of `rsa_key`."""
    key = folder / "own.key"
    key.write_bytes(private_pem())
    done = subprocess.run(
        ["openssl", how, "-decrypt", "-inform", "SMIME", "-inkey", str(key)],
        input=mail,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture(scope="session")
def locksmith() -> Iterator[Locksmith]:
    """Return what reads keys and encrypts to them."""
    made = Locksmith()
    yield made
    made.close()


def lend(locksmith: Locksmith, *apps: App) -> None:
    """Let these read keys and encrypt to them with *locksmith*, which none of them closes."""
    for app in apps:
        vars(app).update(locksmith=Lent(locksmith))


class Lent(Locksmith):
    """A locksmith that whoever borrowed it cannot close."""

    def __init__(self, locksmith: Locksmith):
        self._locksmith = locksmith

    def read(self, octets: bytes, now: int) -> OwnKey:
        return self._locksmith.read(octets, now)

    def lock(self, kind: str, key: bytes, content: bytes, now: int) -> bytes:
        return self._locksmith.lock(kind, key, content, now)

    def close(self) -> None:
        pass

    def cut(self) -> None:
        pass

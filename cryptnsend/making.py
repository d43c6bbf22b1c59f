"""How is a home made? Folders, configuration, a certificate that signs itself, and the keys that sign mail."""

from __future__ import annotations

import datetime
import ipaddress
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from cryptnsend.config import FILE_NAME, Config, render
from cryptnsend.core.errors import ConfigError
from cryptnsend.home import FOLDERS, Home, sync_folder, write_private

SOCKET_ROOM = 70  # octets of the home's path: sun_path takes 107 (unix(7)), and run/keeper/ plus a socket's name follow
SELF_SIGNED_DAYS = 825  # the longest life that Apple's clients take from a certificate that is trusted by hand


def create(path: Path, values: Mapping[str, Mapping[str, Any]]) -> Config:
    """
    Make a home at *path* with the settings *values* (by section and key), and return its configuration.

    Makes a self-signed certificate and DKIM keys where there are none. Raises ConfigError if the home is there already,
    or if a value is not allowed (then nothing is made).
    """
    return finish(prepare(path, values))


def prepare(path: Path, values: Mapping[str, Mapping[str, Any]]) -> Config:
    """
    Do everything of `create` but the last step.

    The configuration comes from a draft file, so that a home that is being made can be worked on already. Until
    `finish`, preparing it again goes on with what is there.
    """
    path = path.resolve()
    home = Home(path)
    if home.config_file.exists():
        raise ConfigError(f"{home.config_file}: there is a home here already; choose another folder or remove it.")
    if len(os.fsencode(path)) > SOCKET_ROOM:
        raise ConfigError(
            f"--home {path}: allowed are paths of at most {SOCKET_ROOM} bytes, as sockets are made in it."
        )
    text = render(values)
    Config.parse(text, home.config_file)
    try:
        for folder in (path, *(path / name for name in FOLDERS)):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
    except OSError as error:
        raise ConfigError(
            f"--home {path}: {error.filename or path} cannot be made ({error.strerror}). Choose a folder you may write."
        ) from error
    draft = home.config_file.with_suffix(".draft")
    write_private(draft, text.encode())
    config = Config.parse(text, draft)
    if not config.tls.certificate.exists():
        make_certificate(config)
    make_dkim_keys(home)
    return config


def finish(config: Config) -> Config:
    """Make a prepared home one: its configuration gets its name."""
    file = config.source.with_name(FILE_NAME)
    config.source.rename(file)
    sync_folder(file.parent)
    return replace(config, source=file)


def make_certificate(config: Config) -> None:
    """Write a self-signed ECDSA P-256 certificate for host name, localhost and the loopback addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, config.server.hostname[:64])])
    hosts = dict.fromkeys([config.server.hostname, "localhost"])
    names: list[x509.GeneralName] = [x509.DNSName(host) for host in hosts]
    names += [x509.IPAddress(ipaddress.ip_address(loopback)) for loopback in ("127.0.0.1", "::1")]
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)  # clients' clocks differ from ours
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=SELF_SIGNED_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_signs_itself(), critical=True)  # RFC 5280 §4.2.1.3; strict verifiers ask for it
        .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    write_private(config.tls.key, _pem(key))
    write_private(config.tls.certificate, certificate.public_bytes(serialization.Encoding.PEM))


def carries(certificate: Path, host: str) -> bool:
    """Say whether the certificate in a PEM file is for that host; one that cannot be read is for none."""
    try:
        shown = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError):
        return False
    return is_for(shown, host)


def is_for(certificate: x509.Certificate, host: str) -> bool:
    """Say whether a certificate is for that host, by its name or by that of all hosts beside it (RFC 9525 §6.3)."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    hosts = names.get_values_for_type(x509.DNSName)
    return host in hosts or f"*.{host.partition('.')[2]}" in hosts


def make_dkim_keys(home: Home) -> None:
    """Write dkim/<selector>.pem: `rsa1` (2048 bits, what every receiver checks) and `ed1` (RFC 8463), where missing."""
    rsa_file, ed_file = home.dkim / "rsa1.pem", home.dkim / "ed1.pem"
    if not rsa_file.exists():
        write_private(rsa_file, _pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)))
    if not ed_file.exists():
        write_private(ed_file, _pem(ed25519.Ed25519PrivateKey.generate()))


def _signs_itself() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

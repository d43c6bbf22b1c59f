"""`dns`: what to publish so that others accept our mail and clients find us."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import NamedTuple

import click
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from cryptnsend.cli.options import home_option, json_option, show_json
from cryptnsend.config import Config
from cryptnsend.core.errors import ConfigError
from cryptnsend.home import Home


class Record(NamedTuple):
    """One resource record (RFC 1035 §3.2); *why* is for the person who has to enter it."""

    name: str
    type: str
    value: str
    why: str


def records(config: Config) -> Iterator[Record]:
    """Yield the records for the home's host name, domain and signing keys."""
    host, domain = config.server.hostname, config.server.domain
    yield Record(domain, "MX", f"10 {host}.", "where answers to our addresses go: the domain is the server's alone")
    sender = f"v=spf1 a:{host} -all"
    if config.delivery.smarthost:
        yield Record(domain, "TXT", sender, "who may send for us (SPF); add what your smarthost tells you to include")
    else:
        yield Record(domain, "TXT", sender, "who may send for us (SPF, RFC 7208)")
    for file in sorted(Home(config.server.home).dkim.glob("*.pem")):
        key = load_pem_private_key(file.read_bytes(), password=None)
        if isinstance(key, rsa.RSAPrivateKey):
            kind, octets = "rsa", key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        elif isinstance(key, ed25519.Ed25519PrivateKey):
            kind, octets = "ed25519", key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)  # RFC 8463 §3
        else:
            raise ConfigError(f"{file}: a DKIM key is RSA or Ed25519, this one is neither.")
        value = f"v=DKIM1; k={kind}; p={base64.b64encode(octets).decode()}"
        yield Record(f"{file.stem}._domainkey.{domain}", "TXT", value, "our signature on each mail (DKIM, RFC 6376)")
    yield Record(
        f"_dmarc.{domain}", "TXT", "v=DMARC1; p=reject; adkim=s; aspf=r", "nobody else may use our name (DMARC)"
    )
    for service, port in (("_submissions", config.ports.submissions), ("_submission", config.ports.submission)):
        if port:
            yield Record(
                f"{service}._tcp.{domain}", "SRV", f"0 1 {port} {host}.", "how clients find us (RFC 8314 §5.1)"
            )


def zone_line(record: Record) -> str:
    """Return *record* as a line of a zone file; a long text is cut into strings of 255 (RFC 1035 §3.3)."""
    value = record.value
    if record.type == "TXT":
        value = " ".join(f'"{value[start : start + 255]}"' for start in range(0, len(value), 255))
    return f"{record.name}. IN {record.type} {value}"


@click.command()
@home_option
@json_option
def dns(config: Config, as_json: bool) -> None:
    """Print the DNS records to publish, as lines of a zone file."""
    if as_json:
        show_json([record._asdict() for record in records(config)])
        return
    for record in records(config):
        click.echo(f"; {record.why}")
        click.echo(zone_line(record))

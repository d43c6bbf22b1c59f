"""An Internet of a few domains below test, all real: Knot's zones, Unbound, Postfix's hosts, a web server's policy."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.delivery.peers import Peer, Wire
from tests.support.mailhosts import MailHost, MailHosts
from tests.support.zones import Zones

POLICY = "version: STSv1\r\nmode: enforce\r\nmx: *.sts.test\r\nmax_age: 86400\r\n"
DOMAINS = ["dane", "xn--bcher-kva", "anchor", "wrong", "unusable", "via", "plain", "sts", "clear", "busy", "many"]


@dataclass
class World:
    """An Internet of a few domains below test, all real."""

    zones: Zones
    hosts: MailHosts
    policies: Peer
    ca_file: Path


def policy_host(context: ssl.SSLContext) -> Peer:
    def serve(wire: Wire) -> None:
        while wire.line():
            pass
        wire.sock.sendall(
            f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(POLICY)}\r\n\r\n{POLICY}".encode()
        )

    return Peer(serve=serve, context=context, implicit=True)


def files(folder: Path, name: str, leaf: trustme.LeafCert) -> tuple[Path, Path]:
    """Write a certificate with its chain and its key, as Postfix reads them."""
    chain, key = folder / f"{name}.pem", folder / f"{name}.key"
    chain.write_bytes(b"".join(each.bytes() for each in leaf.cert_chain_pems))
    leaf.private_key_pem.write_to_path(key)
    return chain, key


def tlsa(leaf: trustme.LeafCert) -> str:
    """Return "3 1 1 …" for a certificate."""
    certificate = x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"3 1 1 {hashlib.sha256(key).hexdigest()}"


@contextmanager
def real_world(folder: Path) -> Iterator[World]:
    """Start everything and yield it; certificates are kept in *folder*."""
    folder.chmod(0o755)
    public, private = trustme.CA(), trustme.CA()
    public.cert_pem.write_to_path(folder / "ca.pem")
    dane, sts = private.issue_cert("mx.dane.test"), public.issue_cert("mx.sts.test")
    anchor = x509.load_pem_x509_certificate(private.cert_pem.bytes()).public_bytes(Encoding.DER)
    web = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    public.issue_cert("mta-sts.sts.test").configure_cert(web)
    hosts = MailHosts(
        [
            MailHost("127.0.0.11", "mx.dane.test", files(folder, "dane", dane)),
            MailHost("127.0.0.12", "mx.sts.test", files(folder, "sts", sts)),
            MailHost("127.0.0.13", "mx.clear.test"),
            MailHost("127.0.0.14", "mx.busy.test", defers=True),
        ],
        [f"{name}.test" for name in DOMAINS],
    )
    with policy_host(web) as policies, hosts:
        at = f"_{hosts.port}._tcp"
        many = "".join(
            f"many MX {number} {'mx.clear' if number < 2 else f'mx{number}.many'}\n" for number in range(1000)
        )
        top = f"""
dane      MX 10 mx.dane
_smtp._tls.dane TXT "v=TLSRPTv1; rua=mailto:tls@dane.test"
mx.dane   A 127.0.0.11
{at}.mx.dane  TLSA {tlsa(dane)}
xn--bcher-kva  MX 10 mx.dane
anchor    MX 10 mx.anchor
mx.anchor A 127.0.0.11
{at}.mx.anchor TLSA 2 0 0 {anchor.hex()}
wrong     MX 10 mx.wrong
mx.wrong  A 127.0.0.11
{at}.mx.wrong TLSA 3 1 1 {"00" * 32}
unusable  MX 10 mx.unusable
mx.unusable A 127.0.0.11
{at}.mx.unusable TLSA 1 1 1 {"00" * 32}
via       MX 10 mx.via
mx.via    CNAME mx.dane
sts       MX 10 mx.sts
mx.sts    A 127.0.0.12
_mta-sts.sts TXT "v=STSv1; id=1;"
mta-sts.sts A 127.0.0.1
clear     MX 10 mx.clear
mx.clear  A 127.0.0.13
busy      MX 10 mx.busy
mx.busy   A 127.0.0.14
null      MX 0 .
loop      MX 10 our.test.
implicit  A 127.0.0.13
circle    MX 10 mx.circle
mx.circle CNAME mx2.circle
mx2.circle CNAME mx.circle
{many}"""
        zones = Zones(
            {
                "test.": top,
                "plain.test.": f"@ MX 10 mx\nmx A 127.0.0.11\n{at}.mx TLSA 3 1 1 {'00' * 32}\n",
                "bogus.test.": f"@ MX 10 mx.dane.test.\n{at}.mx TLSA 3 1 1 {'00' * 32}\n",
                "half.test.": f"mx A 127.0.0.11\n{at}.mx TLSA 3 1 1 {'00' * 32}\n",
            },
            unsigned=["plain.test."],
            bogus=["bogus.test.", "half.test."],
        )
        with zones:
            yield World(zones, hosts, policies, folder / "ca.pem")

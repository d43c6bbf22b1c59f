"""The courier against real programs: Knot's signed zones, Unbound's judgement, Postfix's hosts, a web server."""

from __future__ import annotations

import hashlib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cryptnsend.delivery.courier import Courier, CourierSettings, Envelope, Outcome
from cryptnsend.delivery.dns import DnsResolver
from tests.delivery.peers import MESSAGE, QUICK, Peer, WallClock, Wire
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

    def courier(self, **more: object) -> Courier:
        settings = {
            "hostname": "our.test",
            "timeouts": QUICK,
            "mx_port": self.hosts.port,
            "https_port": self.policies.port,
            "allow_private": True,
            "ca_file": self.ca_file,
            "rest": 0.0,
        }
        return Courier(DnsResolver([self.zones.resolver]), CourierSettings(**{**settings, **more}), WallClock())  # type: ignore[arg-type]

    def send(self, recipient: str, tls_class: str = "opportunistic", **more: object) -> Outcome:
        made = self.courier(**more)
        outcome = made.send(Envelope("b+1@our.test", recipient), tls_class, MESSAGE)  # type: ignore[arg-type]
        made.close()
        return outcome


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


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
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


@pytest.mark.parametrize("tls_class", ["opportunistic", "proven"])
@pytest.mark.parametrize(
    ("recipient", "proof"),
    [
        ("pat@dane.test", "dane"),
        ("pat@via.test", "dane"),
        ("pat@b\u00fccher.test", "dane"),
        ("pat@sts.test", "mta-sts"),
    ],
)
def test_proven_hosts_take_everything(world: World, recipient: str, proof: str, tls_class: str) -> None:
    outcome = world.send(recipient, tls_class)
    assert (outcome.kind, outcome.proof, outcome.tls[:7]) == ("delivered", proof, "TLSv1.3"), outcome


def test_a_private_authority_in_dns_is_proof_for_its_names_only(world: World) -> None:
    """The certificate says mx.dane.test, the record stands at mx.anchor.test."""
    assert world.send("pat@anchor.test").status == "4.7.5"


@pytest.mark.parametrize(
    ("recipient", "kind", "status"),
    [
        ("pat@wrong.test", "delayed", "4.7.5"),
        ("pat@unusable.test", "delivered", "2.0.0"),
        ("pat@plain.test", "delivered", "2.0.0"),
        ("pat@bogus.test", "delayed", "4.4.3"),
        ("pat@null.test", "failed", "5.1.10"),
        ("pat@gone.test", "failed", "5.1.2"),
        ("pat@loop.test", "failed", "5.4.6"),
        ("pat@clear.test", "delivered", "2.0.0"),
        ("pat@busy.test", "delayed", "4.7.1"),
        ("pat@many.test", "delivered", "2.0.0"),
    ],
)
def test_each_domain_has_its_outcome(world: World, recipient: str, kind: str, status: str) -> None:
    outcome = world.send(recipient)
    assert (outcome.kind, outcome.status) == (kind, status), outcome
    assert outcome.proof == "none"


@pytest.mark.parametrize("recipient", ["pat@clear.test", "pat@plain.test", "pat@wrong.test", "pat@unusable.test"])
def test_protected_mail_goes_to_none_of_the_others(world: World, recipient: str) -> None:
    before = len(world.hosts.held())
    outcome = world.send(recipient, "proven")
    assert (outcome.kind, outcome.reason) == ("failed", Outcome.PROOF_MISSING)
    assert len(world.hosts.held()) == before


def test_a_record_that_only_a_bogus_zone_has_is_never_believed(world: World) -> None:
    assert world.send("pat@half.test", "proven").kind == "delayed"


def test_private_addresses_are_not_connected_to_unless_configured(world: World) -> None:
    """S22: neither a mail host nor a policy host leads into our own network."""
    for recipient in ("pat@dane.test", "pat@sts.test", "pat@implicit.test"):
        outcome = world.send(recipient, allow_private=False)
        assert (outcome.kind, outcome.status) == ("failed", "5.4.4")


def test_addresses_beyond_ascii_need_a_host_that_takes_them(world: World) -> None:
    """RFC 6531 §3.6: a clear failure before anything is said."""
    outcome = world.send("b\u00fccher@dane.test")
    assert (outcome.kind, outcome.status, outcome.reason) == ("failed", "5.6.7", Outcome.NOT_ASCII)
    assert "SMTPUTF8" in outcome.reply


def test_without_a_validating_resolver_there_is_no_dane(world: World) -> None:
    """Knot itself answers without the AD bit, as any server of a zone does."""
    made = Courier(
        DnsResolver([world.zones.authority]),
        CourierSettings(hostname="our.test", timeouts=QUICK, mx_port=world.hosts.port, allow_private=True),
        WallClock(),
    )
    outcome = made.send(Envelope("b+1@our.test", "pat@wrong.test"), "opportunistic", MESSAGE)
    made.close()
    assert (outcome.kind, outcome.proof) == ("delivered", "none")


def test_a_host_that_is_down_is_a_delay(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    assert world.send("pat@clear.test", mx_port=port).kind == "delayed"

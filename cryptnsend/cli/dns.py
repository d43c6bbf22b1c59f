"""`dns`: what to publish so that others accept our mail, bring theirs safely, and clients find us."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import click
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from cryptnsend.cli.options import home_option, json_option, moment, show_json
from cryptnsend.config import Config
from cryptnsend.core import discovery, transport
from cryptnsend.core.discovery import Servers
from cryptnsend.core.errors import Refusal
from cryptnsend.core.places import is_ip
from cryptnsend.home import Home

if TYPE_CHECKING:
    from cryptnsend.delivery.keyring import Held, KeyRing

SMTP_PORT = 25
TTL = 3600  # seconds, in the zone snippet
ELSEWHERE = ("PTR", "file")  # what is not put into the domain's own zone


class Record(NamedTuple):
    """
    One thing to publish: a resource record (RFC 1035 §3.2), or, as type "file", what a web server has to show.

    *why* is for the person who has to enter it. A *value* or *name* that only they know is empty. *action* is what to
    do with it now: publish, announce (nothing depends on it yet), keep (nothing new does), remove.
    """

    name: str
    type: str
    value: str
    why: str
    action: str = "publish"


def records(config: Config, addresses: Sequence[str] = ()) -> Iterator[Record]:
    """Yield everything for the home's host name, domain and keys; *addresses* are those it has on the Internet."""
    domain = config.server.domain
    yield from _places(config, addresses)
    yield from _senders(config)
    yield from signing_records(config)
    yield Record(
        f"_dmarc.{domain}", "TXT", "v=DMARC1; p=reject; adkim=s; aspf=r", "nobody else may use our name (DMARC)"
    )
    if config.inbound.enabled:
        yield from _protected(config)
    yield from _services(Home(config.server.home).servers(config, {}), domain)
    for each in config.programs.domains:
        yield from leading(config, each)
    for name in own_hosts(config):
        yield Record(name, "CNAME", f"{config.server.hostname}.", "an organisation's pages; the certificate has to"
                     " carry this name too")  # fmt: skip


def own_hosts(config: Config) -> list[str]:
    """Return the hosts that organisations have for their pages; none before there is anything in the home."""
    if not Home(config.server.home).main_db.exists():
        return []
    from cryptnsend.cli.owner import opened  # brings the flow with it
    from cryptnsend.store.records import looks

    with opened(config) as app:
        return sorted({row["host"] for row in looks.hosts(app.engine)})


def _services(servers: Servers, domain: str) -> Iterator[Record]:
    """Yield at which host and port each service for addresses of *domain* is."""
    names = {("smtp", True): "_submission", ("smtp", False): "_submissions", ("imap", False): "_imaps"}
    for each in servers.services:
        name = names.get((each.kind, each.starttls), "_pop3s")
        why = "how mail programs find us (RFC 6186, RFC 8314 §5.1)"
        yield Record(f"{name}._tcp.{domain}", "SRV", f"0 1 {each.port} {servers.host}.", why)


def leading(config: Config, domain: str) -> Iterator[Record]:
    """
    Yield what leads the mail programs of *domain*'s people here when they type an address of it.

    Some programs look at the first that answers, so it is not for a domain whose people should find other servers.
    """
    servers = Home(config.server.home).servers(config, {})
    for name, why in discovery.hosts(servers, domain):
        yield Record(name, "CNAME", f"{servers.host}.", f"{why}; the certificate has to carry this name too")
    if servers.are_whole:
        port = urlsplit(servers.pages).port or 443
        why = "the same for programs that ask so: there our own name is the certificate's (Autodiscover)"
        yield Record(f"_autodiscover._tcp.{domain}", "SRV", f"0 0 {port} {servers.host}.", why)
    if (document := discovery.pacc(servers)) is not None:
        why = "the digest of what they find there: it changes with the server's name and ports (PACC)"
        yield Record(f"_ua-auto-config.{domain}", "TXT", discovery.pacc_record(document), why)
    if domain != config.server.domain:
        yield from _services(servers, domain)


def _places(config: Config, addresses: Sequence[str]) -> Iterator[Record]:
    """Yield where the host is, forwards and backwards, and that it takes the domain's mail."""
    host, domain = config.server.hostname, config.server.domain
    known = [ipaddress.ip_address(each) for each in addresses or _bound(config)]
    for each in known:
        yield Record(host, "A" if each.version == 4 else "AAAA", str(each), "where this machine is")
    if not known:
        yield Record(host, "A", "", "where this machine is: its public IPv4 address")
        yield Record(host, "AAAA", "", "where this machine is: its public IPv6 address, if it sends and answers there")
    if not config.delivery.smarthost:
        why = "the name that receivers look up for our address; set it where the address comes from, your provider"
        for each in known:
            yield Record(each.reverse_pointer, "PTR", f"{host}.", why)
        if not known:
            yield Record("", "PTR", f"{host}.", why)
    if config.inbound.enabled:
        yield Record(domain, "MX", f"10 {host}.", "where answers to our addresses go: the domain is the server's alone")


def _bound(config: Config) -> list[str]:
    """Return the address that the configuration names, if it names one that others can reach."""
    bound = ipaddress.ip_address(config.ports.bind)
    return [] if bound.is_unspecified or bound.is_loopback else [str(bound)]


def _senders(config: Config) -> Iterator[Record]:
    """Yield who may send with our names (SPF): the domain's, and the host's, which mail without a sender goes by."""
    host, domain = config.server.hostname, config.server.domain
    sender = f"v=spf1 a:{host} -all"
    if config.delivery.smarthost:
        yield Record(domain, "TXT", sender, "who may send for us (SPF); add what your smarthost tells you to include")
        return
    yield Record(domain, "TXT", sender, "who may send for us (SPF, RFC 7208)")
    if host != domain:
        yield Record(host, "TXT", sender, "the same for reports, which go by the host's name (RFC 7208 §2.4)")


def signing_records(config: Config) -> Iterator[Record]:
    """Yield the record of each key that signs mail, will, or did a short while ago (DKIM)."""
    from cryptnsend import app
    from cryptnsend.delivery.dkim import dns_record

    actions = {"announced": "announce", "signing": "publish", "retired": "keep", "over": "remove"}
    ring = app.build(config, "owner").keyring
    for held in ring.held():
        name = f"{held.selector}._domainkey.{config.server.domain}"
        value = dns_record(held.key) if held.key is not None else ""
        yield Record(name, "TXT", value, _why_signing(ring, held), actions[held.state])


def _why_signing(ring: KeyRing, held: Held) -> str:
    """Say in words for what a key's record stands in DNS, or why it does no more."""
    if held.state == "announced":
        return "our next signature (DKIM, RFC 6376): publish it now, it is used a day after it can be seen"
    if held.state == "retired":
        until = moment(ring.may_go(held))
        return f"our signature of before (DKIM): keep it until {until}, as mail that it signed may still be on its way"
    if held.state == "over":
        return f"may be removed since {moment(held.since)}: no mail with this signature is on its way any more"
    return "our signature on each mail (DKIM, RFC 6376)"


def delegation(config: Config, domain: str) -> Iterator[Record]:
    """
    Yield what *domain* publishes so that plain mail of its people keeps its author.

    And so that their mail programs find us, if the settings want that. Raises Refusal for no domain.
    """
    from cryptnsend.delivery.keyring import selectors
    from cryptnsend.delivery.route import Unroutable, a_label

    try:
        theirs = a_label(domain.rstrip("."))
    except Unroutable:
        raise Refusal(f"{domain!r} is no domain name. Give one as clinic.example.") from None
    for selector in selectors():
        ours = f"{selector}._domainkey.{config.server.domain}."
        yield Record(f"{selector}._domainkey.{theirs}", "CNAME", ours, "lets us sign plain mail of your people (DKIM)")
    if theirs in config.programs.domains:
        yield from leading(config, theirs)


def _protected(config: Config) -> Iterator[Record]:
    """Yield what promises others TLS to us: MTA-STS (RFC 8461), reports about it (RFC 8460), and TLSA (RFC 7672)."""
    host, domain = config.server.hostname, config.server.domain
    text, web = transport.policy_text(config.inbound.mta_sts, host), transport.policy_host(domain)
    why = "that mail to us goes over checked TLS (MTA-STS, RFC 8461)"
    yield Record(f"_mta-sts.{domain}", "TXT", transport.policy_record(text), why)
    yield Record(web, "CNAME", f"{host}.", "where the policy is: our portal serves it, if it answers at port 443")
    why = "the policy; the certificate has to carry this name too"
    yield Record(f"https://{web}{transport.POLICY_PATH}", "file", text, why)
    reports = f"v=TLSRPTv1; rua=mailto:postmaster@{domain}"
    yield Record(f"_smtp._tls.{domain}", "TXT", reports, "whom others tell how TLS to us went (RFC 8460)")
    place, following = f"_{SMTP_PORT}._tcp.{host}", next_digest(config)
    if (digest := key_digest(config)) is not None:
        why = "our key (DANE, RFC 7672): only if the zone is signed"
        if following is None:
            why += (
                f"; before the certificate gets another key, put that as {next_key(config)} and publish its record, too"
            )
        yield Record(place, "TLSA", f"3 1 1 {digest}", why)
    if following not in (None, digest):
        why = f"the key in {next_key(config)} (DANE): publish it beside the other a day before the certificate gets it"
        yield Record(place, "TLSA", f"3 1 1 {following}", why)


def next_key(config: Config) -> Path:
    """Return where the key, or the certificate, is put that will be used next."""
    return config.tls.key.with_name("next-key.pem")


def key_digest(config: Config) -> str | None:
    """Return SHA-256 of the certificate's public key as "3 1 1" wants it (RFC 6698 §2.1), None without certificate."""
    return _digest_of(config.tls.certificate)


def next_digest(config: Config) -> str | None:
    """Return the same of the key that will be used next, None where there is none."""
    return _digest_of(next_key(config))


def _digest_of(file: Path) -> str | None:
    """Return the digest of a PEM file's certificate or key; None for all else: `doctor` says what is wrong with it."""
    try:
        octets = file.read_bytes()
        is_certificate = b"-----BEGIN CERTIFICATE" in octets
        holder = x509.load_pem_x509_certificate(octets) if is_certificate else load_pem_private_key(octets, None)
        shown = holder.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return hashlib.sha256(shown).hexdigest()


def zone_line(record: Record) -> str:
    """
    Return *record* as a line of a zone file; a long text is cut into strings of 255 (RFC 1035 §3.3).

    What belongs elsewhere, or is not known, becomes a comment.
    """
    if record.type == "file":
        shown = "".join(f"\n;   {line}" for line in record.value.splitlines())
        return f"; {record.name} says:{shown}"
    if record.action == "remove":
        return f"; remove {record.name}. IN {record.type}"
    value = record.value or "<address>"
    if record.type == "TXT":
        value = " ".join(f'"{value[start : start + 255]}"' for start in range(0, len(value), 255))
    name = f"{record.name}." if record.name else "<reverse name of each address>"
    mark = "; " if record.type in ELSEWHERE or not record.value else ""
    return f"{mark}{name} {TTL} IN {record.type} {value}"


def _told(record: Record) -> str:
    """Return *record* for people who type it into a form."""
    value = record.value or ("(take it out)" if record.action == "remove" else "(only you know)")
    lines = value.splitlines() if record.type == "file" else [value]
    return "\n".join(
        [
            f"{record.type}  {record.name or '(the reverse name of each address)'}",
            *(f"  {line}" for line in lines),
            f"  -- {record.why}",
        ]
    )


@click.command()
@click.option("--zone", is_flag=True, help="Print a snippet for a zone file; what does not belong into it as comments.")
@click.option(
    "--address",
    "addresses",
    multiple=True,
    metavar="IP",
    callback=lambda _ctx, _param, given: _checked(given),
    help="A public address of this machine; may be repeated.",
)
@click.option(
    "--for",
    "domain",
    metavar="DOMAIN",
    help="Print what the owner of DOMAIN publishes instead: plain mail of its people keeps its author, and if"
    " [programs] domains has it, their mail programs find this server.",
)
@home_option
@json_option
def dns(config: Config, zone: bool, addresses: tuple[str, ...], domain: str | None, as_json: bool) -> None:
    """Print everything to publish in DNS. `doctor` then says whether it is there."""
    found = list(records(config, addresses) if domain is None else delegation(config, domain))
    if as_json:
        show_json([record._asdict() for record in found])
        return
    for record in found:
        click.echo(f"; {record.why}\n{zone_line(record)}" if zone else f"{_told(record)}\n")


def _checked(addresses: tuple[str, ...]) -> tuple[str, ...]:
    for each in addresses:
        if not is_ip(each):
            raise click.BadParameter(f"{each!r} is not an IPv4 or IPv6 address.")
    return addresses

"""What does `doctor` say of a zone that is right, and of one that is wrong in one way? Knot serves, Unbound judges."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import trustme
from click.testing import CliRunner

from cryptnsend.__main__ import main
from cryptnsend.cli import doctor, published
from cryptnsend.cli.dns import Record, next_key, records, zone_line
from cryptnsend.cli.findings import Finding
from cryptnsend.cli.published import Outside, compare
from cryptnsend.config import Config
from cryptnsend.core import transport
from cryptnsend.core.discovery import PREFIXES
from cryptnsend.delivery.https import Https
from cryptnsend.delivery.names import DnsNames
from tests.delivery.peers import Peer, Wire
from tests.support.homes import make_home
from tests.support.zones import Zones

HOST, DOMAIN, FIRM = "mail.clinic.test", "secure.clinic.test", "firm.clinic.test"
Change = Callable[[list[Record]], list[Record]]


def without(kind: str, part: str = "") -> Change:
    return lambda given: [each for each in given if each.type != kind or part not in each.name + each.value]


def edited(part: str, old: str, new: str) -> Change:
    """Replace *old* in the values of the records whose name or value has *part*."""
    return lambda given: [
        each._replace(value=each.value.replace(old, new)) if part in each.name + each.value else each for each in given
    ]


def also(name: str, kind: str, value: str) -> Change:
    return lambda given: [*given, Record(name, kind, value, "")]


def badly(each: Record) -> Record:
    """Return a TLSA record of another key."""
    return each._replace(value="3 1 1 " + "ab" * 32) if each.type == "TLSA" else each


@dataclass(frozen=True)
class Wrong:
    """A zone that differs from the right one by *change*, or a policy by *policy*; what `doctor` has to say of it."""

    name: str
    check: str
    level: str
    words: str
    change: Change = list
    policy: tuple[str, str] | None = None
    reverse: str | None = None  # the name of the address; "" for none


WRONG = [
    Wrong("nowhere", "address", "error", "has no address", without("A")),
    Wrong("nomx", "MX", "error", "has no MX record", without("MX")),
    Wrong("othermx", "MX", "error", "goes to mx.other.test", edited("10 mail", "10 mail.othermx", "10 mx.other")),
    Wrong("nullmx", "MX", "error", "goes to nobody", edited("10 mail", "10 mail.nullmx.test.", "0 .")),
    Wrong("twomx", "MX", "warning", "may go to mx.other.test too", also("secure.twomx.test", "MX", "5 mx.other.test.")),
    Wrong("noptr", "PTR", "error", "has no name", reverse=""),
    Wrong("lieptr", "PTR", "error", "does not lead back", reverse="mail.clinic.test."),
    Wrong("otherptr", "PTR", "warning", "and not mail.otherptr.test", reverse="otherptr.test."),
    Wrong("nospf", "SPF", "error", "has no SPF record", without("TXT", "spf1")),
    Wrong("twospf", "SPF", "error", "has 2 SPF records", also("secure.twospf.test", "TXT", "v=spf1 -all")),
    Wrong("failspf", "SPF", "error", "comes to “fail”", edited("v=spf1", "a:mail.failspf", "a:mail.clinic")),
    Wrong("softspf", "SPF", "error", "“softfail”", edited("v=spf1", "a:mail.softspf.test -all", "~all")),
    Wrong("brokenspf", "SPF", "error", "“permerror”", edited("v=spf1", "a:mail.brokenspf.test", "a:a:a")),
    Wrong("heloless", "SPF", "warning", "reports", lambda given: [
        each for each in given if not (each.name == "mail.heloless.test" and each.type == "TXT")
    ]),
    Wrong("nodkim", "DKIM", "error", "There is no key at ed1._domainkey", without("TXT", "ed1._domainkey")),
    Wrong("otherkey", "DKIM", "error", "is not the one that signs", edited("ed1._domainkey", "p=", "p=AAAA")),
    Wrong("revoked", "DKIM", "error", "was revoked", edited("rsa1._domainkey", "p=MII", "p=; n=MII")),
    Wrong("trying", "DKIM", "warning", "being tried", edited("rsa1._domainkey", "k=rsa", "k=rsa; t=s:y")),
    Wrong("twokeys", "DKIM", "error", "none counts", also("ed1._domainkey.secure.twokeys.test", "TXT", "v=DKIM1; p=A")),
    Wrong("nodmarc", "DMARC", "error", "no DMARC record", without("TXT", "_dmarc")),
    Wrong("twodmarc", "DMARC", "error", "no DMARC", also("_dmarc.secure.twodmarc.test", "TXT", "v=DMARC1; p=none")),
    Wrong("weakdmarc", "DMARC", "warning", "anybody may write", edited("_dmarc", "p=reject", "p=none")),
    Wrong("halfdmarc", "DMARC", "warning", "50 %", edited("_dmarc", "p=reject", "p=reject; pct=50")),
    Wrong("oddmarc", "DMARC", "error", "no policy (p=)", edited("_dmarc", "p=reject", "p=refuse")),
    Wrong("nosts", "MTA-STS", "warning", "Nothing is promised", without("TXT", "_mta-sts")),
    Wrong("badsts", "MTA-STS", "error", "not one record with one id", edited("_mta-sts", "id=", "id=_")),
    Wrong("oldsts", "MTA-STS", "warning", "id is not that of the policy", edited("_mta-sts", "id=", "id=0")),
    Wrong("nopolicy", "MTA-STS", "error", "cannot be fetched", policy=("404 Not Found", "")),
    Wrong("oddpolicy", "MTA-STS", "error", "is no policy", policy=("200 OK", "version: STSv9\r\n")),
    Wrong("wrongmx", "MTA-STS", "error", "so mail to us fails", policy=(
        "200 OK", "version: STSv1\r\nmode: enforce\r\nmx: mx.other.test\r\nmax_age: 86400\r\n"
    )),
    Wrong("mayfail", "MTA-STS", "warning", "would fail", policy=(
        "200 OK", "version: STSv1\r\nmode: testing\r\nmx: mx.other.test\r\nmax_age: 86400\r\n"
    )),
    Wrong("strict", "MTA-STS", "warning", "mode enforce", policy=(
        "200 OK", "version: STSv1\r\nmode: enforce\r\nmx: mail.strict.test\r\nmax_age: 86400\r\n"
    )),
    Wrong("elsewhere", "MTA-STS", "error", "certificate of mta-sts.secure.elsewhere.test"),
    Wrong("norpt", "TLS reports", "warning", "Nobody is told", without("TXT", "_smtp._tls")),
    Wrong("oddrpt", "TLS reports", "error", "names nobody", edited("_smtp._tls", "rua=", "ruf=")),
    Wrong("notlsa", "TLSA", "warning", "says nothing", without("TLSA")),
    Wrong("badtlsa", "TLSA", "error", "do not fit", lambda given: [badly(each) for each in given]),
    Wrong("nowhereto", "mail programs", "warning", "autoconfig.firm.nowhereto", without("CNAME", "autoconfig")),
    Wrong("otherimap", "mail programs", "warning", "_imaps._tcp.firm", edited("_imaps._tcp.firm", " 993 ", " 1993 ")),
    Wrong("oddpacc", "mail programs", "warning", "_ua-auto-config.firm", edited("_ua-auto", "d=", "d=AAAA")),
    Wrong("oddtlsa", "TLSA", "error", "no record can be used", edited("_25._tcp", "3 1 1", "1 1 1")),
]  # fmt: skip
CLINICS = {each.name: number for number, each in enumerate(WRONG, 20)}


def served(config: Config, policies: dict[str, tuple[str, str]]) -> Callable[[Wire], None]:
    """Serve each host's policy; ours where none is given."""

    def serve(wire: Wire) -> None:
        host = ""
        while line := wire.line():
            if line.lower().startswith("host:"):
                host = line.partition(":")[2].strip().partition(":")[0]
        mail = f"mail.{host.removeprefix('mta-sts.secure.')}"
        status, text = policies.get(host, ("200 OK", transport.policy_text("testing", mail)))
        head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(text)}\r\n\r\n"
        wire.sock.sendall((head + text).encode())

    return serve


@dataclass
class World:
    """The zones, the web server of the policies, the authority, and the configuration of the right clinic."""

    zones: Zones
    web: Peer
    ca_file: Path
    config: Config

    def of(self, name: str) -> Config:
        """Return the configuration of a clinic."""
        server = replace(self.config.server, hostname=f"mail.{name}.test", domain=f"secure.{name}.test")
        return replace(
            self.config, server=server, programs=replace(self.config.programs, domains=(f"firm.{name}.test",))
        )

    def look(self, config: Config) -> list[Finding]:
        names = DnsNames([self.zones.resolver])
        https = Https(names, ca_file=self.ca_file, allow_private=True, port=self.web.port)
        return list(compare(Outside(config, names, https)))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder, authority = tmp_path_factory.mktemp("ca"), trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    path = Path(tempfile.gettempdir(), f"cs-doctor-{folder.parent.name}-{time.monotonic_ns()}")
    config = make_home(
        path,
        {
            "server": {"hostname": HOST, "domain": DOMAIN},
            "delivery": {"allow_private": True},
            "programs": {"domains": [FIRM]},
            "ports": {"submissions": 465, "submission": 587, "imaps": 993, "pop3s": 995},
        },
    )
    leaf = authority.issue_cert(HOST, f"mta-sts.{DOMAIN}", *(f"{prefix}.{FIRM}" for prefix in PREFIXES))
    config.tls.certificate.write_bytes(b"".join(each.bytes() for each in leaf.cert_chain_pems))
    config.tls.key.write_bytes(leaf.private_key_pem.bytes())

    hosts = [f"mta-sts.secure.{name}.test" for name in ("clinic", *CLINICS) if name != "elsewhere"]
    web = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*hosts).configure_cert(web)
    policies = {f"mta-sts.secure.{each.name}.test": each.policy for each in WRONG if each.policy}

    snippet = CliRunner().invoke(main, ["dns", "--zone", "--address", "127.0.0.1", "--home", str(path)]).output
    reverse = f"1 PTR {HOST}.\n"
    with Peer(serve=served(config, policies), context=web, implicit=True) as peer:
        made = World(None, peer, folder / "ca.pem", config)  # type: ignore[arg-type]
        for each in WRONG:
            number = CLINICS[each.name]
            given = [
                record._replace(type="A", value="127.0.0.1") if record.name.startswith("mta-sts.") else record
                for record in records(made.of(each.name), [f"127.0.0.{number}"])
            ]
            snippet += "".join(f"{zone_line(record)}\n" for record in each.change(given))
            if each.reverse != "":
                reverse += f"{number} PTR {each.reverse or f'mail.{each.name}.test.'}\n"
        # The zone above otherptr's host leads back to its address, too.
        snippet += f"otherptr.test. IN A 127.0.0.{CLINICS['otherptr']}\n"
        snippet = "\n".join(line for line in snippet.splitlines() if not line.startswith(";"))
        texts = {".": "", "test.": snippet, "0.0.127.in-addr.arpa.": reverse}
        with Zones(texts, unsigned=["0.0.127.in-addr.arpa."]) as zones:
            made.zones = zones
            yield made
    shutil.rmtree(path)


def levels(findings: Sequence[Finding]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for each in findings:
        found.setdefault(each.check, set()).add(each.level)
    return found


def test_what_dns_prints_is_what_doctor_wants(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The circle closes: `dns --zone` → Knot → Unbound → `doctor`, which has nothing to say."""
    monkeypatch.setattr(doctor, "_is_kept", lambda: True)
    monkeypatch.setattr(published, "Https", lambda names, **given: Https(names, **{**given, "port": world.web.port}))
    environ = {
        "CRYPTNSEND_DELIVERY_NAMESERVERS": f"127.0.0.1:{world.zones.resolver[1]}",
        "CRYPTNSEND_DELIVERY_AUTHORITIES": str(world.ca_file),
    }
    command = ["doctor", "--json", "--home", str(world.config.server.home)]
    done = CliRunner(env=environ).invoke(main, command)
    said = [Finding(**each) for each in json.loads(done.stdout)]
    assert done.exit_code == 0, said
    assert {each.check for each in said if each.level != "ok"} == {"server", "users"}, said
    looked_at = {each.check for each in said}
    always = set(published.CHECKS) - {"organisations"}  # none has a host name of its own here
    assert looked_at >= {*always, "certificate", "clock", "disk", "name servers", "recovery files"}


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.name)
def test_each_wrong_record_is_told_with_what_to_do(world: World, wrong: Wrong) -> None:
    found = world.look(world.of(wrong.name))
    (told, *_) = [each for each in found if each.check == wrong.check and each.level != "ok"]
    assert (told.level, wrong.words in told.words) == (wrong.level, True), told
    assert told.remedy
    if wrong.name not in ("nowhere", "lieptr"):  # these two are wrong in what others depend on
        others = {check: found for check, found in levels(found).items() if check != wrong.check}
        assert all(each == {"ok"} for each in others.values()), found


def test_an_implicit_mx_is_only_a_warning(world: World) -> None:
    server = replace(world.config.server, hostname="otherptr.test", domain="otherptr.test")
    found = [each for each in world.look(replace(world.config, server=server)) if each.check == "MX"]
    assert [(each.level, "by its address only" in each.words) for each in found] == [("warning", True)]


def test_an_address_that_nobody_outside_reaches_is_told(world: World) -> None:
    config = replace(world.config, delivery=replace(world.config.delivery, allow_private=False))
    (told,) = [each for each in world.look(config) if each.check == "address"]
    assert (told.level, "not on the public Internet" in told.words) == ("error", True)


def test_behind_a_relay_the_relay_is_what_counts(world: World) -> None:
    config = replace(world.config, delivery=replace(world.config.delivery, smarthost="smtp://relay.test:25"))
    found = {each.check: each for each in world.look(config)}
    assert found["PTR"].level == "ok"
    assert (found["SPF"].level, "names this host only" in found["SPF"].words) == ("warning", True)
    assert published._spf_of_relay("v=spf1 a:mail.test include:relay.test -all").level == "ok"


def test_without_a_door_for_other_servers_nothing_is_promised(world: World) -> None:
    config = replace(world.config, inbound=replace(world.config.inbound, enabled=False))
    found = levels(world.look(config))
    assert found["MX"] == {"ok"}
    assert not found.keys() & {"MTA-STS", "TLS reports", "TLSA"}


def test_tlsa_records_that_nobody_vouches_for_do_not_count(world: World) -> None:
    """Knot itself answers without the AD bit, as for a zone that is not signed."""
    names = DnsNames([world.zones.authority])
    https = Https(names, ca_file=world.ca_file, allow_private=True, port=world.web.port)
    found = list(published.tlsa(Outside(world.config, names, https)))
    assert [(each.level, "do not count" in each.words) for each in found] == [("warning", True)]


def test_a_key_that_comes_next_has_to_be_announced(world: World) -> None:
    """Else mail from those who go by DANE stops with the new certificate."""
    following = next_key(world.config)
    trustme.CA().issue_cert("mail.test").private_key_pem.write_to_path(following)
    try:
        (told,) = [each for each in world.look(world.config) if each.check == "TLSA"]
    finally:
        following.unlink()
    assert (told.level, "none for the key in" in told.words) == ("warning", True)


def test_dead_name_servers_are_told_soon(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket that nobody reads from: questions vanish."""
    assert published.SECONDS * published.PATIENCE * 2 + doctor.ASK <= 15  # an address is two questions
    monkeypatch.setattr(published, "SECONDS", 0.2)
    monkeypatch.setattr(doctor, "ASK", 0.2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hole:
        hole.bind(("127.0.0.1", 0))
        config = replace(
            world.config,
            delivery=replace(world.config.delivery, nameservers=(f"127.0.0.1:{hole.getsockname()[1]}",)),
        )
        found = list(published.published(config))
        (resolver,) = doctor.name_servers(config)
    assert [each.level for each in found] == ["error"] * 3
    assert "gave no answer" in found[0].words
    assert found[-1] == Finding("DNS", "error", "Nothing more was looked up.", found[-1].remedy)
    assert (resolver.level, "no mail leaves" in resolver.words) == ("error", True)


def test_names_for_examples_are_not_looked_up(config: Config) -> None:
    nobody = replace(config, delivery=replace(config.delivery, nameservers=("127.0.0.1:1",)))
    (told,) = published.published(nobody)
    assert (told.level, "mail.clinic.example is a name for examples" in told.words) == ("warning", True)

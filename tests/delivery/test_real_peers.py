"""The courier against real programs: Knot's signed zones, Unbound's judgement, Postfix's hosts, a web server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from cryptnsend.cli.doctor import name_servers
from cryptnsend.config import Config
from cryptnsend.delivery.courier import Courier, CourierSettings, Envelope, Outcome
from cryptnsend.delivery.dns import DnsResolver
from tests.delivery.peers import MESSAGE, QUICK, WallClock
from tests.support.peers import World, real_world


def courier(world: World, **more: object) -> Courier:
    settings = {
        "hostname": "our.test",
        "timeouts": QUICK,
        "mx_port": world.hosts.port,
        "https_port": world.policies.port,
        "allow_private": True,
        "ca_file": world.ca_file,
        "rest": 0.0,
    }
    return Courier(DnsResolver([world.zones.resolver]), CourierSettings(**{**settings, **more}), WallClock())  # type: ignore[arg-type]


def send(world: World, recipient: str, tls_class: str = "opportunistic", **more: object) -> Outcome:
    made = courier(world, **more)
    outcome = made.send(Envelope("b+1@our.test", recipient), tls_class, MESSAGE)  # type: ignore[arg-type]
    made.close()
    return outcome


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with real_world(tmp_path_factory.mktemp("world")) as made:
        yield made


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
    outcome = send(world, recipient, tls_class)
    assert (outcome.kind, outcome.proof, outcome.tls[:7]) == ("delivered", proof, "TLSv1.3"), outcome


def test_a_private_authority_in_dns_is_proof_for_its_names_only(world: World) -> None:
    """The certificate says mx.dane.test, the record stands at mx.anchor.test."""
    assert send(world, "pat@anchor.test").status == "4.7.5"


@pytest.mark.parametrize(
    ("recipient", "kind", "status"),
    [
        ("pat@wrong.test", "delayed", "4.7.5"),
        ("pat@unusable.test", "delivered", "2.0.0"),
        ("pat@plain.test", "delivered", "2.0.0"),
        ("pat@bogus.test", "delayed", "4.4.3"),
        ("pat@null.test", "failed", "5.1.10"),
        ("pat@gone.test", "failed", "5.1.2"),
        ("pat@circle.test", "delayed", "4.7.5"),
        ("pat@loop.test", "failed", "5.4.6"),
        ("pat@clear.test", "delivered", "2.0.0"),
        ("pat@busy.test", "delayed", "4.7.1"),
        ("pat@many.test", "delivered", "2.0.0"),
    ],
)
def test_each_domain_has_its_outcome(world: World, recipient: str, kind: str, status: str) -> None:
    outcome = send(world, recipient)
    assert (outcome.kind, outcome.status) == (kind, status), outcome
    assert outcome.proof == "none"


@pytest.mark.parametrize("recipient", ["pat@clear.test", "pat@plain.test", "pat@wrong.test", "pat@unusable.test"])
def test_protected_mail_goes_to_none_of_the_others(world: World, recipient: str) -> None:
    before = len(world.hosts.held())
    outcome = send(world, recipient, "proven")
    assert (outcome.kind, outcome.reason) == ("failed", Outcome.PROOF_MISSING)
    assert len(world.hosts.held()) == before


def test_a_record_that_only_a_bogus_zone_has_is_never_believed(world: World) -> None:
    assert send(world, "pat@half.test", "proven").kind == "delayed"


def test_private_addresses_are_not_connected_to_unless_configured(world: World) -> None:
    """S22: neither a mail host nor a policy host leads into our own network."""
    for recipient in ("pat@dane.test", "pat@sts.test", "pat@implicit.test"):
        outcome = send(world, recipient, allow_private=False)
        assert (outcome.kind, outcome.status) == ("failed", "5.4.4")


def test_addresses_beyond_ascii_need_a_host_that_takes_them(world: World) -> None:
    """RFC 6531 §3.6: a clear failure before anything is said."""
    outcome = send(world, "b\u00fccher@dane.test")
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
    assert send(world, "pat@clear.test", mx_port=port).kind == "delayed"


def test_doctor_says_whether_the_resolver_validates(world: World) -> None:
    def found(*servers: tuple[str, int], **more: str) -> tuple[str, str]:
        names = tuple(f"{host}:{port}" for host, port in servers)
        config = replace(Config(), delivery=replace(Config().delivery, nameservers=names, **more))  # type: ignore[arg-type]
        (finding,) = name_servers(config)
        return finding.level, finding.words

    with socket.create_server(("127.0.0.1", 0)) as probe:
        nobody = probe.getsockname()[:2]
    assert found(("192.0.2.53", 53))[0] == "warning"
    assert found(nobody)[0] == "error"
    assert found(world.zones.resolver)[0] == "error", "it knows nothing but the zones of this test"
    assert found(smarthost="smtp://relay.example:25")[0] == "ok"

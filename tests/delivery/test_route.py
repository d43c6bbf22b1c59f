"""Which hosts are tried, in what order, and which never."""

from __future__ import annotations

from contextlib import suppress
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryptnsend.core.errors import ConfigError
from cryptnsend.delivery.dns import DnsTrouble, NoSuchDomain
from cryptnsend.delivery.route import Hop, Router, Unroutable, a_label, is_public, parse_smarthost
from tests.delivery.peers import Names


def router(mx: dict[str, Any] | None = None, hosts: dict[str, Any] | None = None, **more: Any) -> Router:
    return Router(Names(mx, hosts), Random(7), **more)


def refusal(**tables: Any) -> tuple[str, str]:
    """Return kind and status of what looking for peer.example and its addresses comes to."""
    made = router(**tables)
    with pytest.raises(Unroutable) as caught:
        made.addresses(made.hops("peer.example")[0])
    assert caught.value.outcome.reply
    return caught.value.outcome.kind, caught.value.outcome.status


def test_lower_preference_comes_first_and_equals_are_shuffled() -> None:
    records = [(20, "z.example")] + [(10, f"{letter}.example") for letter in "abc"]
    orders = set()
    for seed in range(40):
        made = Router(Names({"peer.example": records}), Random(seed))
        hosts = [hop.host for hop in made.hops("peer.example")]
        assert hosts[3] == "z.example"
        orders.add(tuple(hosts))
    assert len(orders) == 6


def test_a_domain_without_mx_is_its_own_host() -> None:
    """RFC 5321 §5.1."""
    made = router({"peer.example": []}, {"peer.example": ["198.51.100.7", "8.8.4.4"]})
    assert made.hops("peer.example") == [Hop("peer.example")]


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ({"mx": {"peer.example": [(0, "")]}}, ("failed", "5.1.10")),  # RFC 7505
        ({"mx": {}}, ("failed", "5.1.2")),
        ({"mx": {"peer.example": NoSuchDomain("x")}}, ("failed", "5.1.2")),
        ({"mx": {"peer.example": DnsTrouble("x")}}, ("delayed", "4.4.3")),
        ({"mx": {"peer.example": []}, "hosts": {"peer.example": []}}, ("failed", "5.1.2")),
        ({"mx": {"peer.example": [(1, "a.example")]}, "hosts": {"a.example": DnsTrouble("x")}}, ("delayed", "4.4.3")),
        ({"mx": {"peer.example": [(1, "a.example")]}, "hosts": {}}, ("failed", "5.1.2")),
        ({"mx": {"peer.example": [(1, "a.example")]}, "hosts": {"a.example": ["127.0.0.1"]}}, ("failed", "5.4.4")),
        ({"mx": {"peer.example": [(1, "127.0.0.1")]}}, ("failed", "5.4.4")),
        ({"mx": {"peer.example": [(1, "a b.example"), (2, "x\r\ny")]}}, ("failed", "5.4.4")),
        ({"mx": {"peer.example": [(1, "our.test")]}, "hostname": "our.test"}, ("failed", "5.4.6")),
    ],
)  # fmt: skip
def test_each_way_of_not_finding_a_host_has_its_status(tables: dict[str, Any], expected: tuple[str, str]) -> None:
    assert refusal(**tables) == expected


def test_hosts_at_and_behind_our_own_preference_would_loop() -> None:
    """RFC 5321 §5.1."""
    records = [(10, "a.example"), (20, "our.test"), (20, "b.example"), (30, "c.example")]
    made = router({"peer.example": records}, hostname="our.test")
    assert [hop.host for hop in made.hops("peer.example")] == ["a.example"]


def test_at_most_five_hosts_of_a_domain_are_tried() -> None:
    made = router({"peer.example": [(number, f"h{number}.example") for number in range(200)]})
    assert [hop.host for hop in made.hops("peer.example")] == [f"h{number}.example" for number in range(5)]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.9.10", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "fd12:3456::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::",
        "2002:c0a8:101::1", "2001:db8::1", "64:ff9b:1::a00:1", "::10.0.0.1", "::ffff:0:10.0.0.1", "fec0::1", "3fff::1",
        "5f00::1", "192.0.0.8", "192.88.99.1", "240.0.0.1", "198.18.0.1", "fd00:ec2::254",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public_are_never_tried(address: str) -> None:
    assert not is_public(address)
    made = router({"peer.example": [(1, "a.example")]}, {"a.example": [address, "8.8.8.8"]})
    assert made.addresses(made.hops("peer.example")[0]) == ["8.8.8.8"]
    allowed = router({"peer.example": [(1, "a.example")]}, {"a.example": [address]}, allow_private=True)
    assert allowed.addresses(allowed.hops("peer.example")[0]) == [address]


@pytest.mark.parametrize("address", ["8.8.8.8", "2a00:1450:4001:80b::1a", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_tried(address: str) -> None:
    assert is_public(address)


def test_the_operators_route_comes_before_smarthost_and_mx() -> None:
    names = Names({"peer.example": [(1, "a.example")]})
    made = Router(
        names, Random(1), "smtp://relay.our.test:2525", {"peer.example": "[::1]:26", ".lab.example": "lab:27"}
    )
    assert made.hops("peer.example") == [Hop("::1", 26, chosen=True)]
    assert made.hops("Deep.Down.LAB.example.") == [Hop("lab", 27, chosen=True)]
    assert made.hops("lab.example") == [Hop("relay.our.test", 2525, chosen=True, relay=True)]
    assert names.asked == []


def test_the_operators_hosts_may_be_private_and_their_absence_is_a_delay() -> None:
    made = router(None, {"relay.our.test": ["10.0.0.5"]}, smarthost="smtp://relay.our.test")
    assert made.addresses(made.hops("peer.example")[0]) == ["10.0.0.5"]
    gone = router(smarthost="smtp://relay.our.test")
    with pytest.raises(Unroutable) as caught:
        gone.addresses(gone.hops("peer.example")[0])
    assert (caught.value.outcome.kind, caught.value.outcome.status) == ("delayed", "4.4.3")


@pytest.mark.parametrize(
    ("url", "hop"),
    [
        ("smtp://relay.example", Hop("relay.example", 25, chosen=True, relay=True)),
        ("smtp://relay.example:2525/", Hop("relay.example", 2525, chosen=True, relay=True)),
        ("smtps://relay.example", Hop("relay.example", 465, True, True, True)),
        (
            "smtp://ann%40our.test@relay.example",
            Hop("relay.example", 587, chosen=True, relay=True, user="ann@our.test"),
        ),
        ("smtp://[::1]:2525", Hop("::1", 2525, chosen=True, relay=True)),
    ],
)
def test_smarthost_urls_are_understood(url: str, hop: Hop) -> None:
    assert parse_smarthost(url) == hop


@pytest.mark.parametrize(
    "url", ["relay.example:25", "http://x", "smtp://", "smtp://x:y", "smtp://x:99999", "smtp://x/y", "smtp://x?y"]
)
def test_other_smarthost_urls_are_errors_of_the_configuration(url: str) -> None:
    with pytest.raises(ConfigError, match="smarthost"):
        parse_smarthost(url)


def test_a_password_in_the_smarthost_url_is_an_error_that_does_not_repeat_it() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_smarthost("smtp://ann:s3cret@relay.example")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("domain", "name"),
    [
        ("Peer.Example.", "peer.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("xn--fa-hia.example", "xn--fa-hia.example"),
    ],
)
def test_domains_become_a_labels(domain: str, name: str) -> None:
    assert a_label(domain) == name


@pytest.mark.parametrize("domain", ["straße.example", "σας.example", "a\u200db.example", "a。example", "ｐeer.example"])
def test_a_domain_that_mapping_would_turn_into_another_is_refused(domain: str) -> None:
    """IDNA 2003 and 2008 disagree about these: mail could reach somebody else."""
    with pytest.raises(Unroutable):
        a_label(domain)


@settings(deadline=None)
@given(st.text(max_size=80))
def test_whatever_is_a_label_is_safe_in_a_command(domain: str) -> None:
    name = ""
    with suppress(Unroutable):
        name = a_label(domain)
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-")
    assert not name or a_label(name) == name

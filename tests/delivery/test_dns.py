"""The resolver against a name server of our own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset
import pytest

from cryptnsend.delivery.dns import DnsResolver, DnsTrouble, Mx, NoSuchDomain, Tlsa, _trusts_ad

ZONE = {
    ("peer.example.", "MX"): ["20 Mx2.Peer.Example.", "10 mx1.peer.example."],
    ("mx1.peer.example.", "A"): ["192.0.2.1", "192.0.2.2"],
    ("mx1.peer.example.", "AAAA"): ["2001:db8::1"],
    ("v6.example.", "AAAA"): ["2001:db8::6"],
    ("null.example.", "MX"): ["0 ."],
    ("alias.example.", "CNAME"): ["mx1.peer.example."],
    ("signed.example.", "MX"): ["10 mx.signed.example."],
    ("mx.signed.example.", "A"): ["192.0.2.9"],
    ("_25._tcp.mx.signed.example.", "TLSA"): ["3 1 1 " + "ab" * 32, "3 0 0 00"],
    ("_mta-sts.signed.example.", "TXT"): ['"v=STSv1; " "id=7;"', '"something else"'],
    ("named.signed.example.", "CNAME"): ["mx1.peer.example."],
}
NAMES = {name for name, _ in ZONE} | {"bare.example.", "."}


class NameServer:
    """Answers from ZONE over UDP; servfail.* fails, silent.* gets no answer, half.* has an A that fails."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._socket.getsockname()
        self.questions: list[str] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.address)
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            octets, client = self._socket.recvfrom(4096)
            if not octets:
                return
            query = dns.message.from_wire(octets)
            answer = self._answer(query)
            if answer is not None:
                self._socket.sendto(answer.to_wire(), client)

    def _answer(self, query: dns.message.Message) -> dns.message.Message | None:
        name, kind = query.question[0].name.to_text().lower(), dns.rdatatype.to_text(query.question[0].rdtype)
        self.questions.append(f"{name} {kind}")
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        if ("signed." in name or name == ".") and query.flags & dns.flags.AD:
            response.flags |= dns.flags.AD
        if name.startswith("silent."):
            return None
        if name.startswith("servfail.") or (name.startswith("half.") and kind == "A"):
            response.set_rcode(dns.rcode.SERVFAIL)
        elif name.startswith("half."):
            response.answer.append(dns.rrset.from_text(name, 60, "IN", kind, "2001:db8::9"))
        elif name not in NAMES:
            response.set_rcode(dns.rcode.NXDOMAIN)
        else:
            target = ZONE.get((name, "CNAME"))
            if target and kind == "CNAME":
                response.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *target))
                return response
            if target:
                response.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", *target))
                name = target[0]
            if (name, kind) in ZONE:
                response.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *ZONE[name, kind]))
        return response


@pytest.fixture
def server() -> Iterator[NameServer]:
    made = NameServer()
    yield made
    made.close()


@pytest.fixture
def resolver(server: NameServer) -> DnsResolver:
    return DnsResolver([server.address], lifetime=3.0)


def test_mx_records_come_in_lower_case_without_final_dot(resolver: DnsResolver) -> None:
    assert set(resolver.mx("peer.example")) == {Mx(10, "mx1.peer.example"), Mx(20, "mx2.peer.example")}


def test_a_null_mx_has_no_host(resolver: DnsResolver) -> None:
    """RFC 7505 §3."""
    assert resolver.mx("null.example") == [Mx(0, "")]


def test_a_domain_without_the_record_exists(resolver: DnsResolver) -> None:
    assert resolver.mx("bare.example") == []
    assert resolver.addresses("bare.example") == []


def test_both_families_are_found_in_turn_ipv4_first(resolver: DnsResolver) -> None:
    found = resolver.addresses("mx1.peer.example")
    assert (set(found), found[1]) == ({"192.0.2.1", "192.0.2.2", "2001:db8::1"}, "2001:db8::1")
    assert resolver.addresses("v6.example") == ["2001:db8::6"]


def test_aliases_are_followed(resolver: DnsResolver) -> None:
    assert "192.0.2.1" in resolver.addresses("alias.example")


def test_a_name_that_does_not_exist_is_told_from_trouble(resolver: DnsResolver) -> None:
    with pytest.raises(NoSuchDomain):
        resolver.mx("gone.example")
    with pytest.raises(NoSuchDomain):
        resolver.addresses("gone.example")
    with pytest.raises(DnsTrouble):
        resolver.mx("servfail.example")
    with pytest.raises(DnsTrouble):
        resolver.addresses("servfail.example")


def test_one_family_is_enough(resolver: DnsResolver) -> None:
    assert resolver.addresses("half.example") == ["2001:db8::9"]


def test_silence_is_trouble_and_ends_in_time(server: NameServer) -> None:
    with pytest.raises(DnsTrouble):
        DnsResolver([server.address], lifetime=0.3).mx("silent.example")


@pytest.mark.parametrize("name", ["a..example", "x" * 64 + ".example", "x." * 130 + "example"])
def test_what_cannot_be_a_name_does_not_exist(resolver: DnsResolver, server: NameServer, name: str) -> None:
    with pytest.raises(NoSuchDomain):
        resolver.mx(name)
    assert server.questions == []


def test_what_a_validating_resolver_on_this_machine_vouches_for_is_secure(resolver: DnsResolver) -> None:
    """RFC 4035 §3.2.3, RFC 6840 §5.7: the question has the AD bit, and so has the answer."""
    assert resolver.mx("signed.example").secure
    assert resolver.addresses("mx.signed.example").secure
    assert resolver.alias_is_secure("named.signed.example")
    assert not resolver.mx("peer.example").secure
    assert not resolver.addresses("mx1.peer.example").secure
    assert not resolver.alias_is_secure("alias.example")
    assert not resolver.alias_is_secure("gone.example")
    with pytest.raises(NoSuchDomain) as caught:
        resolver.mx("gone.signed.example")
    assert caught.value.secure


@pytest.mark.parametrize(
    ("servers", "near"),
    [
        ([("127.0.0.1", 53)], True),
        ([("127.0.0.53", 53), ("::1", 53)], True),
        ([("192.0.2.53", 53)], False),
        ([("127.0.0.1", 53), ("192.0.2.53", 53)], False),
        ([("10.0.0.1", 53)], False),
    ],
)
def test_the_ad_bit_counts_only_from_resolvers_on_this_machine(servers: list[tuple[str, int]], near: bool) -> None:
    assert DnsResolver(servers).is_near is near


def test_the_ad_bit_of_a_resolver_elsewhere_means_nothing(resolver: DnsResolver) -> None:
    resolver.is_near = False
    assert not resolver.mx("signed.example").secure


def test_tlsa_records_come_as_they_stand(resolver: DnsResolver) -> None:
    found = resolver.tlsa("_25._tcp.mx.signed.example")
    assert set(found) == {Tlsa(3, 1, 1, b"\xab" * 32), Tlsa(3, 0, 0, b"\0")}
    assert found.secure
    assert str(found[0]).startswith("3 ")


def test_a_name_without_records_has_none(resolver: DnsResolver) -> None:
    assert resolver.tlsa("_25._tcp.gone.example") == []
    assert resolver.texts("_mta-sts.gone.example") == []
    assert resolver.tlsa("_25._tcp.gone.signed.example").secure


def test_texts_come_in_one_piece_each(resolver: DnsResolver) -> None:
    assert set(resolver.texts("_mta-sts.signed.example")) == {"v=STSv1; id=7;", "something else"}


def test_trouble_with_records_is_trouble(resolver: DnsResolver) -> None:
    for ask in (resolver.tlsa, resolver.texts, resolver.alias_is_secure):
        with pytest.raises(DnsTrouble):
            ask("servfail.example")


def test_where_an_alias_leads_is_told(resolver: DnsResolver) -> None:
    assert resolver.addresses("alias.example").name == "mx1.peer.example"
    assert resolver.addresses("mx1.peer.example").name == "mx1.peer.example"


def test_answers_are_kept_for_their_time(resolver: DnsResolver, server: NameServer) -> None:
    resolver.mx("peer.example")
    resolver.mx("peer.example")
    assert server.questions == ["peer.example. MX"]


def test_trouble_does_not_name_our_servers(resolver: DnsResolver, server: NameServer) -> None:
    with pytest.raises(DnsTrouble) as caught:
        resolver.mx("servfail.example")
    assert str(server.address[1]) not in str(caught.value)


def test_a_machine_without_name_servers_starts_and_has_trouble_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(self: dns.resolver.Resolver, place: object) -> None:
        raise dns.resolver.NoResolverConfiguration

    monkeypatch.setattr(dns.resolver.Resolver, "read_resolv_conf", missing)
    resolver = DnsResolver(lifetime=1.0)
    with pytest.raises(DnsTrouble):
        resolver.mx("peer.example")


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("nameserver 127.0.0.1\noptions edns0 trust-ad\n", True),
        ("nameserver 127.0.0.1\n", False),
        ("nameserver 127.0.0.11\noptions ndots:0\n", False),
        ("nameserver 192.0.2.53\noptions trust-ad\n", False),
        ("nameserver 127.0.0.1\n# options trust-ad\n", False),
    ],
)
def test_the_systems_resolver_is_believed_only_if_the_operator_says_so(
    text: str, near: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """resolv.conf(5): containers have a forwarder on loopback that validates nothing."""
    (tmp_path / "resolv.conf").write_text(text)
    monkeypatch.setattr("cryptnsend.delivery.dns.RESOLV_CONF", tmp_path / "resolv.conf")
    read = dns.resolver.Resolver.read_resolv_conf
    monkeypatch.setattr(
        dns.resolver.Resolver, "read_resolv_conf", lambda self, _: read(self, str(tmp_path / "resolv.conf"))
    )
    assert DnsResolver().is_near is near


def test_without_a_file_of_the_system_nothing_is_believed(tmp_path: Path) -> None:
    assert not _trusts_ad(tmp_path / "none")


def test_a_resolver_is_asked_about_the_root(resolver: DnsResolver) -> None:
    assert resolver.validates()
    resolver.is_near = False
    assert not resolver.validates()

"""Which class of mail goes over which connection."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from cryptnsend.delivery.courier import Courier, Outcome
from cryptnsend.delivery.tls import Vouched, checked_context, unchecked_context
from tests.delivery.peers import EHLO, ENVELOPE, MESSAGE, Names, Peer, Wire, courier, server_context


@pytest.fixture
def peer(authority: trustme.CA) -> Iterator[Peer]:
    """A host at 127.0.0.1, called mx.peer.example, with STARTTLS."""
    with Peer(context=server_context(authority, "mx.peer.example", "127.0.0.1")) as host:
        yield host


def by_mx(peer: Peer, **settings: object) -> Courier:
    """Make a courier that finds *peer* as mx.peer.example through DNS."""
    names = Names({"peer.example": [(1, "mx.peer.example")]}, {"mx.peer.example": ["127.0.0.1"]})
    return courier(names=names, mx_port=peer.port, allow_private=True, **settings)


def sent(made: Courier, tls_class: str, cleartext: bool = False) -> Outcome:
    outcome = made.send(ENVELOPE, tls_class, MESSAGE, cleartext=cleartext)  # type: ignore[arg-type]
    made.close()
    return outcome


@pytest.mark.parametrize("tls_class", ["opportunistic", "plain"])
def test_tls_is_used_where_it_is_offered(peer: Peer, tls_class: str) -> None:
    outcome = sent(by_mx(peer), tls_class)
    assert (outcome.kind, outcome.tls) == ("delivered", "TLSv1.3, certificate not checked")
    assert peer.verbs()[:4] == ["EHLO", "STARTTLS", "EHLO", "MAIL"]


def test_notices_go_in_clear_where_there_is_no_tls() -> None:
    with Peer() as host:
        outcome = sent(by_mx(host), "opportunistic")
    assert (outcome.kind, outcome.tls) == ("delivered", "none")


def test_declared_plain_mail_goes_in_clear_only_if_allowed() -> None:
    with Peer() as host:
        refused = sent(by_mx(host), "plain")
        assert "MAIL" not in host.verbs()
        assert sent(by_mx(host), "plain", cleartext=True).kind == "delivered"
    assert (refused.kind, refused.status, refused.reason) == ("failed", "5.7.10", Outcome.TLS_MISSING)


def test_an_operators_relay_on_this_machine_needs_no_tls() -> None:
    with Peer() as host:
        assert sent(courier(smarthost=f"smtp://127.0.0.1:{host.port}"), "plain").kind == "delivered"


def test_a_connection_in_clear_is_not_reused_for_mail_that_needs_tls() -> None:
    with Peer() as host:
        made = by_mx(host)
        assert made.send(ENVELOPE, "opportunistic", MESSAGE).kind == "delivered"
        assert sent(made, "plain").reason == Outcome.TLS_MISSING


def refuse_handshake(wire: Wire) -> None:
    """Offer STARTTLS and then speak something else; in clear all is well."""
    wire.say("220 hello")
    while line := wire.line():
        verb = line.partition(" ")[0]
        if verb == "STARTTLS":
            wire.say("220 go")
            wire.sock.recv(10)
            wire.sock.sendall(b"this is not TLS\r\n")
            return
        wire.say({"EHLO": "250-x\r\n250 STARTTLS", "DATA": "354 go"}.get(verb, "250 ok"))
        if verb == "DATA":
            wire.body()
            wire.say("250 2.0.0 kept")


def test_a_failed_handshake_falls_back_only_for_what_may_go_in_clear() -> None:
    """RFC 7435 §3; a downgrade never reaches content."""
    with Peer(serve=refuse_handshake) as host:
        assert sent(by_mx(host), "opportunistic").tls == "none"
        outcome = sent(by_mx(host), "plain")
    assert (outcome.kind, outcome.status) == ("delayed", "4.7.5")


def test_a_starttls_refused_for_now_falls_back_only_for_what_may_go_in_clear(authority: trustme.CA) -> None:
    with Peer({"STARTTLS": "454 4.7.0 not now"}, context=server_context(authority, "mx.peer.example")) as host:
        assert sent(by_mx(host), "opportunistic").kind == "delivered"
        assert sent(by_mx(host), "plain").kind == "delayed"


def test_words_that_come_with_the_reply_to_starttls_are_not_believed(authority: trustme.CA) -> None:
    """Injected before the handshake, they would be read as if they had come under TLS."""
    context = server_context(authority, "mx.peer.example")

    def serve(wire: Wire) -> None:
        wire.say("220 hello")
        while line := wire.line():
            if line.startswith("STARTTLS"):
                wire.say("220 go\r\n250-injected\r\n250 SIZE 1")
                wire.start_tls(context)
            else:
                wire.say("250-x\r\n250 STARTTLS" if line.startswith("EHLO") else "250 ok")

    with Peer(serve=serve) as host:
        outcome = sent(by_mx(host), "plain")
    assert (outcome.kind, outcome.reply) == ("delayed", "the peer sent more than its reply to STARTTLS")


def test_what_the_peer_offered_before_tls_is_forgotten(authority: trustme.CA) -> None:
    replies: dict[str, str | list[str]] = {"EHLO": ["250-x\r\n250-STARTTLS\r\n250 SIZE 5", EHLO]}
    with Peer(replies, context=server_context(authority, "mx.peer.example")) as host:
        assert sent(by_mx(host), "opportunistic").peer_size == 10_000_000


def test_protected_mail_without_proof_says_so_without_a_connection(peer: Peer) -> None:
    outcome = sent(by_mx(peer), "proven")
    assert (outcome.kind, outcome.final, outcome.reason) == ("failed", True, Outcome.PROOF_MISSING)
    assert peer.connections == 0


def test_protected_mail_goes_to_a_host_that_is_vouched_for_and_proves_itself(peer: Peer, ca_file: Path) -> None:
    outcome = sent(by_mx(peer, proven_domains=("peer.example",), ca_file=ca_file), "proven")
    assert (outcome.kind, outcome.tls) == ("delivered", "TLSv1.3, certificate checked")


def test_protected_mail_goes_over_an_operators_route_with_proof(peer: Peer, ca_file: Path) -> None:
    assert sent(courier(peer, proven_domains=("peer.example",), ca_file=ca_file), "proven").kind == "delivered"


def test_a_certificate_from_elsewhere_is_no_proof(peer: Peer) -> None:
    outcome = sent(by_mx(peer, proven_domains=("peer.example",)), "proven")
    assert (outcome.kind, outcome.reason, outcome.host) == ("failed", Outcome.PROOF_MISSING, "mx.peer.example")
    assert "MAIL" not in peer.verbs()


def test_a_certificate_for_another_name_is_no_proof(authority: trustme.CA, ca_file: Path) -> None:
    with Peer(context=server_context(authority, "mx.evil.example")) as host:
        outcome = sent(by_mx(host, proven_domains=("peer.example",), ca_file=ca_file), "proven")
    assert outcome.reason == Outcome.PROOF_MISSING


def test_a_valid_certificate_of_a_host_that_dns_made_up_is_no_proof(authority: trustme.CA, ca_file: Path) -> None:
    """MX records come over unsigned DNS."""
    names = Names({"peer.example": [(1, "mx.evil.example")]}, {"mx.evil.example": ["127.0.0.1"]})
    with Peer(context=server_context(authority, "mx.evil.example")) as host:
        made = courier(
            names=names, mx_port=host.port, allow_private=True, proven_domains=("peer.example",), ca_file=ca_file
        )
        outcome = sent(made, "proven")
        assert host.connections == 0
    assert outcome.reason == Outcome.PROOF_MISSING


def test_a_host_without_starttls_is_no_proof(ca_file: Path) -> None:
    with Peer() as host:
        assert (
            sent(by_mx(host, proven_domains=("peer.example",), ca_file=ca_file), "proven").reason
            == Outcome.PROOF_MISSING
        )


def test_a_smarthost_is_no_proof_for_the_whole_way(peer: Peer, ca_file: Path) -> None:
    made = courier(smarthost=f"smtp://127.0.0.1:{peer.port}", proven_domains=("peer.example",), ca_file=ca_file)
    assert sent(made, "proven").reason == Outcome.PROOF_MISSING
    assert peer.connections == 0


def test_a_vouched_host_that_is_down_is_a_delay_and_no_lack_of_proof(ca_file: Path) -> None:
    with Peer() as host:
        port = host.port
    names = Names({"peer.example": [(1, "mx.peer.example")]}, {"mx.peer.example": ["127.0.0.1"]})
    made = courier(names=names, mx_port=port, allow_private=True, proven_domains=("peer.example",), ca_file=ca_file)
    assert sent(made, "proven").kind == "delayed"


def test_the_operator_may_vouch_for_a_providers_hosts() -> None:
    vouched = Vouched({"clinic.example": (".provider.example", "mx.other.example"), "lab.example": ()})
    assert vouched.allows("clinic.example", "mx1.provider.example")
    assert vouched.allows("clinic.example", "mx.other.example")
    assert not vouched.allows("clinic.example", "provider.example")
    assert not vouched.allows("clinic.example", "evilprovider.example")
    assert not vouched.allows("clinic.example", "mx.clinic.example")
    assert vouched.allows("lab.example", "lab.example")
    assert "elsewhere.example" not in vouched


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    path = tmp_path / "relay-password"
    path.write_text("wonder ful\n")
    return path


AUTH = "250-x\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN"


def test_a_relay_with_a_user_gets_the_password_over_checked_tls(
    authority: trustme.CA, ca_file: Path, password_file: Path
) -> None:
    context = server_context(authority, "localhost")
    with Peer({"EHLO": AUTH, "AUTH": "235 2.7.0 welcome"}, context=context) as host:
        made = courier(smarthost=f"smtp://ann@localhost:{host.port}", ca_file=ca_file, password_file=password_file)
        assert sent(made, "opportunistic").kind == "delivered"
    assert host.verbs()[:4] == ["EHLO", "STARTTLS", "EHLO", "AUTH"]
    assert host.commands[3] == "AUTH PLAIN AGFubgB3b25kZXIgZnVs"


def test_a_relay_that_refuses_the_password_is_a_delay_that_repeats_nothing(password_file: Path) -> None:
    replies: dict[str, str | list[str]] = {"EHLO": "250-x\r\n250 AUTH PLAIN", "AUTH": "535 5.7.8 AGFubgB3b25kZXIgZnVs"}
    with Peer(replies) as host:
        outcome = sent(
            courier(smarthost=f"smtp://ann@127.0.0.1:{host.port}", password_file=password_file), "opportunistic"
        )
    assert (outcome.kind, outcome.status) == ("delayed", "4.7.8")
    assert "AGFu" not in outcome.reply


def test_a_missing_password_file_is_a_delay(tmp_path: Path) -> None:
    with Peer() as host:
        made = courier(smarthost=f"smtp://ann@127.0.0.1:{host.port}", password_file=tmp_path / "none")
        outcome = sent(made, "opportunistic")
    assert (outcome.kind, outcome.status) == ("delayed", "4.3.5")


def test_smtps_speaks_tls_from_the_first_octet(authority: trustme.CA) -> None:
    """RFC 8314 §3.3."""
    with Peer(context=server_context(authority, "localhost"), implicit=True) as host:
        outcome = sent(courier(smarthost=f"smtps://localhost:{host.port}"), "plain")
    assert (outcome.kind, outcome.tls) == ("delivered", "TLSv1.3, certificate not checked")
    assert host.verbs()[:2] == ["EHLO", "MAIL"]


def test_smtps_to_a_host_without_tls_never_goes_on_in_clear() -> None:
    with Peer() as host:
        outcome = sent(courier(smarthost=f"smtps://localhost:{host.port}"), "opportunistic")
        assert host.bodies == []
    assert outcome.kind == "delayed"


def test_old_tls_is_not_spoken(authority: trustme.CA) -> None:
    """RFC 8996."""
    for context in (unchecked_context(), checked_context()):
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2

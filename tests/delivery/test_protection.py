"""What a connection has to show, and what happens where it does not: DANE, MTA-STS and REQUIRETLS in the courier."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cryptnsend.delivery.courier import Courier, CourierSettings, Envelope, Outcome
from cryptnsend.delivery.dns import DnsTrouble
from cryptnsend.delivery.mtasts import Kept, MemoryShelf
from tests.delivery.peers import EHLO, ENVELOPE, MESSAGE, QUICK, Names, Peer, WallClock, server_context

HOST = "mx.peer.example"
FOREVER = 2**53
TLS_FIRST = EHLO.replace("250-8BIT", "250-STARTTLS\r\n250-8BIT")


@pytest.fixture(scope="module")
def leaf(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert(HOST)


@pytest.fixture
def peer(leaf: trustme.LeafCert) -> Iterator[Peer]:
    with Peer(context=context_of(leaf)) as host:
        yield host


def context_of(leaf: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    return context


def spki(leaf: trustme.LeafCert) -> bytes:
    certificate = x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes())
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def names(peer: Peer, records: Any = (), *, unsigned: tuple[str, ...] = (), **more: Any) -> Names:
    """Return DNS that leads to *peer*, signed throughout but for *unsigned*, with these TLSA records."""
    at = f"_{peer.port}._tcp.{HOST}"
    secure = {"peer.example", HOST, at} - {at if each == "tlsa" else each for each in unsigned}
    return Names({"peer.example": [(1, HOST)]}, {HOST: ["127.0.0.1"]}, tlsa={at: records}, secure=secure, **more)


def made(found: Names, peer: Peer, shelf: MemoryShelf | None = None, **settings: Any) -> Courier:
    values = {"hostname": "our.test", "timeouts": QUICK, "mx_port": peer.port, "allow_private": True, "rest": 0.0}
    return Courier(found, CourierSettings(**{**values, **settings}), WallClock(), shelf=shelf)


def sent(courier: Courier, tls_class: str = "opportunistic", envelope: Envelope = ENVELOPE) -> Outcome:
    outcome = courier.send(envelope, tls_class, MESSAGE)  # type: ignore[arg-type]
    courier.close()
    return outcome


def fitting(leaf: trustme.LeafCert) -> list[tuple[int, int, int, bytes]]:
    return [(3, 1, 1, hashlib.sha256(spki(leaf)).digest())]


WRONG = [(3, 1, 1, bytes(32))]


# -- DANE -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls_class", ["opportunistic", "plain", "proven"])
def test_a_host_that_fits_its_signed_records_is_proven_to_all_classes(
    peer: Peer, leaf: trustme.LeafCert, tls_class: str
) -> None:
    outcome = sent(made(names(peer, fitting(leaf)), peer), tls_class)
    assert (outcome.kind, outcome.proof, outcome.tls) == (
        "delivered",
        "dane",
        "TLSv1.3, certificate proven by DANE",
    )
    assert (outcome.host, outcome.address, outcome.route) == (HOST, "127.0.0.1", "mx")
    assert outcome.cipher.startswith("TLS_")
    assert [(each.policy_type, each.result) for each in outcome.seen] == [("tlsa", "")]
    assert outcome.seen[0].policy == (f"3 1 1 {hashlib.sha256(spki(leaf)).hexdigest()}",)


@pytest.mark.parametrize("tls_class", ["opportunistic", "plain"])
def test_a_host_that_does_not_fit_gets_no_mail_and_no_clear_text(peer: Peer, tls_class: str) -> None:
    outcome = sent(made(names(peer, WRONG), peer), tls_class)
    assert (outcome.kind, outcome.status, outcome.proof) == ("delayed", "4.7.5", "none")
    assert "by DANE" in outcome.reply
    assert "MAIL" not in peer.verbs()
    assert peer.connections == 1
    assert [each.result for each in outcome.seen] == ["validation-failure"]


def test_protected_mail_for_a_host_that_does_not_fit_becomes_a_notice(peer: Peer) -> None:
    outcome = sent(made(names(peer, WRONG), peer), "proven")
    assert (outcome.kind, outcome.reason) == ("failed", Outcome.PROOF_MISSING)
    assert "MAIL" not in peer.verbs()


def test_signed_records_and_no_starttls_is_a_downgrade() -> None:
    """RFC 7672 §2.2: whoever cuts STARTTLS out gains nothing."""
    with Peer() as host:
        for tls_class in ("opportunistic", "plain"):
            outcome = sent(made(names(host, WRONG), host), tls_class)
            assert (outcome.kind, outcome.status) == ("delayed", "4.7.10")
            assert [each.result for each in outcome.seen] == ["starttls-not-supported"]
        assert "MAIL" not in host.verbs()


@pytest.mark.parametrize("records", [[(0, 0, 1, bytes(32))], [(3, 1, 1, b"short")], [(9, 9, 9, b"")]])
def test_records_that_nobody_can_use_still_ask_for_tls(peer: Peer, records: list[tuple[int, int, int, bytes]]) -> None:
    """RFC 7672 §2.2: encrypted, whoever it is."""
    outcome = sent(made(names(peer, records), peer))
    assert (outcome.kind, outcome.proof, outcome.tls) == ("delivered", "none", "TLSv1.3, certificate not checked")
    with Peer() as host:
        assert sent(made(names(host, records), host)).kind == "delayed"
        assert host.bodies == []
    assert sent(made(names(peer, records), peer), "proven").reason == Outcome.PROOF_MISSING


@pytest.mark.parametrize("unsigned", ["peer.example", HOST, "tlsa"])
def test_records_count_only_if_everything_on_the_way_to_them_is_signed(peer: Peer, unsigned: str) -> None:
    outcome = sent(made(names(peer, WRONG, unsigned=(unsigned,)), peer))
    assert (outcome.kind, outcome.proof) == ("delivered", "none")


def test_no_records_is_no_promise(peer: Peer) -> None:
    assert sent(made(names(peer), peer)).proof == "none"
    assert sent(made(names(peer), peer), "proven").reason == Outcome.PROOF_MISSING


@pytest.mark.parametrize("tls_class", ["opportunistic", "plain", "proven"])
def test_a_promise_that_cannot_be_looked_up_is_a_delay_and_never_a_downgrade(peer: Peer, tls_class: str) -> None:
    """S21: bogus signatures come as SERVFAIL."""
    outcome = sent(made(names(peer, DnsTrouble("bogus")), peer), tls_class)
    assert (outcome.kind, outcome.final, outcome.status) == ("delayed", False, "4.7.5")
    assert [each.result for each in outcome.seen] == ["dnssec-invalid"]
    assert peer.connections == 0


def test_a_bogus_mx_is_a_delay(peer: Peer) -> None:
    found = Names({"peer.example": DnsTrouble("bogus")})
    assert sent(made(found, peer)).kind == "delayed"


def test_the_next_host_may_have_what_the_first_lacks(peer: Peer, leaf: trustme.LeafCert) -> None:
    first, second = "mx1.peer.example", HOST
    at = f"_{peer.port}._tcp."
    found = Names(
        {"peer.example": [(1, first), (2, second)]},
        {first: ["127.0.0.1"], second: ["127.0.0.1"]},
        tlsa={at + first: WRONG, at + second: fitting(leaf)},
        secure={"peer.example", first, second, at + first, at + second},
    )
    outcome = sent(made(found, peer), "proven")
    assert (outcome.kind, outcome.host) == ("delivered", HOST)
    assert [each.result for each in outcome.seen] == ["validation-failure", ""]


@pytest.mark.parametrize("target_is_signed", [True, False])
def test_an_alias_is_followed_as_far_as_it_is_signed(
    peer: Peer, leaf: trustme.LeafCert, target_is_signed: bool
) -> None:
    """RFC 7672 §2.2.3: where a signed alias leads comes first; beyond the signatures only its own name counts."""
    real = "real.provider.example"
    at = f"_{peer.port}._tcp.{real if target_is_signed else HOST}"
    found = Names(
        {"peer.example": [(1, HOST)]},
        {real: ["127.0.0.1"]},
        aliases={HOST: real},
        tlsa={at: fitting(leaf)},
        secure={"peer.example", HOST, at} | ({real} if target_is_signed else set()),
    )
    assert sent(made(found, peer)).proof == "dane"


def test_usage_2_goes_by_the_recipients_domain_too(authority: trustme.CA) -> None:
    """RFC 7672 §3.2.2."""
    certificate = x509.load_pem_x509_certificate(authority.cert_pem.bytes()).public_bytes(Encoding.DER)
    records = [(2, 0, 0, certificate)]
    for carried, kind in ((HOST, "delivered"), ("peer.example", "delivered"), ("evil.example", "delayed")):
        with Peer(context=server_context(authority, carried)) as host:
            assert sent(made(names(host, records), host)).kind == kind


def test_the_base_domain_is_said_in_sni(leaf: trustme.LeafCert) -> None:
    """RFC 7672 §8.1."""
    asked: list[str | None] = []
    context = context_of(leaf)
    context.sni_callback = lambda sock, name, ctx: asked.append(name)
    with Peer(context=context) as host:
        sent(made(names(host, fitting(leaf)), host))
    assert asked == [HOST]


def test_a_connection_is_not_reused_once_the_domain_asks_for_more(peer: Peer, leaf: trustme.LeafCert) -> None:
    found = names(peer)
    courier = made(found, peer)
    assert courier.send(ENVELOPE, "opportunistic", MESSAGE).proof == "none"
    found.tlsa_records[f"_{peer.port}._tcp.{HOST}"] = fitting(leaf)
    assert sent(courier).proof == "dane"
    assert peer.connections == 2


def test_a_connection_is_reused_with_its_proof(peer: Peer, leaf: trustme.LeafCert) -> None:
    courier = made(names(peer, fitting(leaf)), peer)
    first, second = (courier.send(ENVELOPE, "proven", MESSAGE) for _ in range(2))
    courier.close()
    assert (first.proof, second.proof, peer.connections) == ("dane", "dane", 1)
    assert (len(first.seen), len(second.seen)) == (1, 0)  # sessions are counted, not messages


def test_reports_about_tls_go_whatever_the_domain_promises(peer: Peer) -> None:
    """RFC 8460 §3."""
    outcome = sent(made(names(peer, WRONG), peer), "report")
    assert (outcome.kind, outcome.seen) == ("delivered", ())


# -- MTA-STS ----------------------------------------------------------------------------------------------------------


def promising(mode: str, *hosts: str) -> MemoryShelf:
    """Return a shelf with a policy of peer.example."""
    shelf = MemoryShelf()
    lines = ["version: STSv1", f"mode: {mode}", *(f"mx: {host}" for host in hosts), "max_age: 86400"]
    shelf.keep("peer.example", Kept("1", "\n".join(lines), 0, FOREVER))
    return shelf


@pytest.mark.parametrize("tls_class", ["opportunistic", "plain", "proven"])
def test_a_host_that_the_policy_names_and_that_proves_its_name_is_proven(
    peer: Peer, ca_file: Path, tls_class: str
) -> None:
    found = names(peer, unsigned=("peer.example",))
    outcome = sent(made(found, peer, promising("enforce", "*.peer.example"), ca_file=ca_file), tls_class)
    assert (outcome.kind, outcome.proof, outcome.tls) == (
        "delivered",
        "mta-sts",
        "TLSv1.3, certificate checked for MTA-STS",
    )
    assert [(each.policy_type, each.result, each.hosts) for each in outcome.seen] == [("sts", "", ("*.peer.example",))]


@pytest.mark.parametrize(
    ("carried", "result"), [("mx.evil.example", "certificate-host-mismatch"), (HOST, "certificate-not-trusted")]
)
def test_a_certificate_that_proves_nothing_is_a_delay_under_an_enforced_policy(
    authority: trustme.CA, ca_file: Path, carried: str, result: str
) -> None:
    issuer = authority if carried != HOST else trustme.CA()
    with Peer(context=server_context(issuer, carried)) as host:
        outcome = sent(made(names(host), host, promising("enforce", HOST), ca_file=ca_file))
        assert "MAIL" not in host.verbs()
        strict = sent(made(names(host), host, promising("enforce", HOST), ca_file=ca_file), "proven")
    assert (outcome.kind, outcome.status) == ("delayed", "4.7.5")
    assert strict.reason == Outcome.PROOF_MISSING
    assert [(each.policy_type, each.result) for each in outcome.seen] == [("sts", result)]


def test_an_expired_certificate_is_a_delay_and_is_reported_as_that(authority: trustme.CA, ca_file: Path) -> None:
    over = datetime.now(UTC) - timedelta(days=1)
    with Peer(context=context_of(authority.issue_cert(HOST, not_after=over))) as host:
        outcome = sent(made(names(host), host, promising("enforce", HOST), ca_file=ca_file))
    assert (outcome.kind, [each.result for each in outcome.seen]) == ("delayed", ["certificate-expired"])


def test_a_host_without_starttls_gets_nothing_under_an_enforced_policy() -> None:
    with Peer() as host:
        assert sent(made(names(host), host, promising("enforce", HOST))).status == "4.7.10"
        assert "MAIL" not in host.verbs()


def test_a_host_that_the_policy_does_not_name_is_not_spoken_to(peer: Peer, ca_file: Path) -> None:
    outcome = sent(made(names(peer), peer, promising("enforce", "other.example"), ca_file=ca_file))
    assert (outcome.kind, outcome.status, peer.connections) == ("delayed", "4.7.5", 0)
    assert [each.result for each in outcome.seen] == ["validation-failure"]
    assert sent(made(names(peer), peer, promising("enforce", "other.example")), "proven").reason == (
        Outcome.PROOF_MISSING
    )


def test_a_policy_in_testing_changes_nothing_but_the_report(peer: Peer) -> None:
    """RFC 8461 §5: its failures are told, and mail goes on."""
    untrusted = sent(made(names(peer), peer, promising("testing", HOST)))
    assert (untrusted.kind, untrusted.tls) == ("delivered", "TLSv1.3, certificate not checked")
    assert [each.result for each in untrusted.seen] == ["certificate-not-trusted"]
    other = sent(made(names(peer), peer, promising("testing", "other.example")))
    assert (other.kind, [each.result for each in other.seen]) == ("delivered", ["validation-failure"])
    with Peer() as host:
        clear = sent(made(names(host), host, promising("testing", HOST)))
    assert (clear.kind, [each.result for each in clear.seen]) == ("delivered", ["starttls-not-supported"])


def test_a_policy_in_testing_that_is_kept_to_says_so_and_is_no_proof(peer: Peer, ca_file: Path) -> None:
    outcome = sent(made(names(peer), peer, promising("testing", HOST), ca_file=ca_file))
    assert (outcome.proof, [each.result for each in outcome.seen]) == ("none", [""])
    assert sent(made(names(peer), peer, promising("testing", HOST), ca_file=ca_file), "proven").reason == (
        Outcome.PROOF_MISSING
    )


def test_mode_none_is_no_policy(peer: Peer) -> None:
    outcome = sent(made(names(peer), peer, promising("none")))
    assert (outcome.kind, [each.policy_type for each in outcome.seen]) == ("delivered", ["no-policy-found"])


def test_signed_records_come_before_a_policy(peer: Peer, leaf: trustme.LeafCert) -> None:
    """RFC 8461 §2: MTA-STS must not weaken DANE."""
    shelf = promising("enforce", "other.example")
    assert sent(made(names(peer, fitting(leaf)), peer, shelf)).proof == "dane"
    assert sent(made(names(peer, WRONG), peer, promising("testing", HOST))).kind == "delayed"


def test_a_policy_that_cannot_be_had_is_reported_and_nothing_more(peer: Peer) -> None:
    found = names(peer, txt={"_mta-sts.peer.example": ["v=STSv1; id=1"]})
    outcome = sent(made(found, peer))
    assert outcome.kind == "delivered"
    assert [(each.policy_type, each.result) for each in outcome.seen] == [
        ("sts", "sts-policy-fetch-error"),
        ("no-policy-found", ""),
    ]


# -- the operator, and REQUIRETLS -------------------------------------------------------------------------------------


def test_the_operators_word_counts_where_the_domain_promises_nothing(peer: Peer, ca_file: Path) -> None:
    courier = made(names(peer), peer, proven_domains=("peer.example",), ca_file=ca_file)
    assert sent(courier, "proven").proof == "operator"


REQUIRED = Envelope("b+1@our.test", "pat@peer.example", requiretls=True)
OFFERED = EHLO.replace("250-DSN", "250-REQUIRETLS\r\n250-DSN")


@pytest.fixture
def requiring(leaf: trustme.LeafCert) -> Iterator[Peer]:
    with Peer({"EHLO": [TLS_FIRST, OFFERED]}, context=context_of(leaf)) as host:
        yield host


def test_requiretls_is_passed_on_to_a_proven_host_that_offers_it(requiring: Peer, leaf: trustme.LeafCert) -> None:
    """RFC 8689 §4.2.1."""
    outcome = sent(made(names(requiring, fitting(leaf)), requiring), "plain", REQUIRED)
    assert (outcome.kind, outcome.proof) == ("delivered", "dane")
    assert next(line for line in requiring.commands if line.startswith("MAIL")).endswith(" REQUIRETLS")


def test_requiretls_wants_proof(requiring: Peer) -> None:
    outcome = sent(made(names(requiring), requiring), "plain", REQUIRED)
    assert (outcome.kind, outcome.reason) == ("failed", Outcome.PROOF_MISSING)


def test_requiretls_wants_a_host_that_promises_it_for_the_rest_of_the_way(peer: Peer, leaf: trustme.LeafCert) -> None:
    outcome = sent(made(names(peer, fitting(leaf)), peer), "plain", REQUIRED)
    assert (outcome.kind, outcome.status, outcome.reason) == ("failed", "5.7.30", Outcome.PROOF_MISSING)
    assert "MAIL" not in peer.verbs()


def test_a_relay_gets_requiretls_only_if_it_offers_it_and_proves_its_name(ca_file: Path, authority: trustme.CA) -> None:
    context = server_context(authority, "localhost")
    for offer, kind in ((OFFERED, "delivered"), (EHLO, "failed")):
        with Peer({"EHLO": [TLS_FIRST, offer]}, context=context) as host:
            outcome = sent(
                made(Names(), host, smarthost=f"smtp://localhost:{host.port}", ca_file=ca_file), "plain", REQUIRED
            )
            assert outcome.kind == kind
    with Peer({"EHLO": OFFERED}) as host:
        clear = sent(made(Names(), host, smarthost=f"smtp://127.0.0.1:{host.port}"), "plain", REQUIRED)
    assert clear.reason == Outcome.PROOF_MISSING


# -- loops ------------------------------------------------------------------------------------------------------------


def test_a_host_that_turns_out_to_be_ourselves_would_loop(leaf: trustme.LeafCert) -> None:
    with Peer({"EHLO": EHLO.replace("peer.example", "OUR.test")}) as host:
        outcome = sent(made(names(host), host))
        assert "MAIL" not in host.verbs()
    assert (outcome.kind, outcome.status) == ("failed", "5.4.6")


# -- TLS-Required: No -------------------------------------------------------------------------------------------------

OPTIONAL = Envelope(ENVELOPE.reverse_path, ENVELOPE.recipient, tls_optional=True)


def test_plain_mail_whose_author_does_not_mind_goes_where_the_promise_is_not_kept(peer: Peer) -> None:
    """RFC 8689 §4.2.2: TLS all the same, without its proof."""
    courier = made(names(peer, WRONG), peer)
    outcome = courier.send(OPTIONAL, "plain", MESSAGE)
    courier.close()
    assert (outcome.kind, outcome.proof, outcome.tls.partition(",")[0]) == ("delivered", "none", "TLSv1.3")


def test_plain_mail_whose_author_does_not_mind_goes_unencrypted_only_if_that_was_allowed() -> None:
    with Peer() as host:
        courier = made(names(host, WRONG), host)
        refused = courier.send(OPTIONAL, "plain", MESSAGE)
        assert "MAIL" not in host.verbs()
        allowed = courier.send(OPTIONAL, "plain", MESSAGE, cleartext=True)
        courier.close()
    assert (refused.kind, refused.reason) == ("failed", Outcome.TLS_MISSING)
    assert (allowed.kind, allowed.tls) == ("delivered", "none")


@pytest.mark.parametrize("tls_class", ["opportunistic", "proven"])
def test_for_all_other_mail_that_counts_for_nothing(peer: Peer, tls_class: Any) -> None:
    courier = made(names(peer, WRONG), peer)
    outcome = courier.send(OPTIONAL, tls_class, MESSAGE)
    courier.close()
    assert outcome.kind == ("delayed" if tls_class == "opportunistic" else "failed")
    assert "MAIL" not in peer.verbs()


def test_requiretls_goes_before_it(requiring: Peer) -> None:
    """RFC 8689 §4.1."""
    both = Envelope(ENVELOPE.reverse_path, ENVELOPE.recipient, requiretls=True, tls_optional=True)
    courier = made(names(requiring, WRONG), requiring)
    outcome = courier.send(both, "plain", MESSAGE)
    courier.close()
    assert (outcome.kind, outcome.reason) == ("failed", Outcome.PROOF_MISSING)
    assert "MAIL" not in requiring.verbs()

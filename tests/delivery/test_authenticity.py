"""Who really sent a mail: our verdict beside that of other people's signers, and everything that must not count."""

from __future__ import annotations

from collections.abc import Sequence

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from cryptnsend.delivery import dkim
from cryptnsend.delivery.authenticity import Authenticity, evaluate, organisational
from cryptnsend.delivery.dkim_check import Signatures, Verdict
from cryptnsend.delivery.dns import DnsTrouble, Mx, NoSuchDomain
from cryptnsend.delivery.spf import check_spf

NOW = 1_795_000_000
HEADER = (
    b"Received: from a by b\r\nFrom: Pat <pat@yahoo.example>\r\nTo:  r+x@cryptnsend.example\r\n"
    b"Subject: Re:  A\r\n\t folded one \r\nDate: Thu, 1 May 2025 10:42:00 +0000\r\n\r\n"
)
BODY = b"Dear  Ann, \t \r\n\r\n\tthank you.\r\n\r\n\r\n"
OUR = dkim.generate_key("s1", "yahoo.example")
EDWARDS = dkim.generate_key("e1", "yahoo.example", dkim.ED25519)
THEIRS = rsa.generate_private_key(public_exponent=65537, key_size=2048)
THEIR_PEM = THEIRS.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
)


class Zones:
    """Names as a test wants them; *broken* ones get no answer."""

    def __init__(self, broken: Sequence[str] = (), **extra: str) -> None:
        record = dkim.dns_record(dkim.DkimKey("t1", "yahoo.example", THEIRS))
        self.texts = {
            dkim.dns_name(OUR): dkim.dns_record(OUR),
            dkim.dns_name(EDWARDS): dkim.dns_record(EDWARDS),
            "t1._domainkey.yahoo.example": record,
            "_dmarc.yahoo.example": "v=DMARC1; p=reject",
            "_dmarc.strict.example": "v=DMARC1; p=reject; adkim=s; aspf=s",
            "yahoo.example": "v=spf1 ip4:192.0.2.0/24 include:more.example -all",
            "more.example": "v=spf1 a:host.example mx ptr -all",
            "bare.example": "v=spf1 ip4:192.0.2.0/24 -all",
            "loop.example": "v=spf1 include:loop.example -all",
            "two.example": "v=spf1 -all",
        }
        self.texts |= {name.replace("__", ".").replace("_DOT_", "."): text for name, text in extra.items()}
        self.broken = frozenset(broken)
        self.asked: list[str] = []

    def txt(self, name: str) -> list[bytes]:
        self.asked.append(name)
        name = name.rstrip(".").lower()
        if name in self.broken:
            raise DnsTrouble("the name servers gave no answer")
        if name not in self.texts:
            raise NoSuchDomain(name)
        return [self.texts[name].encode()]

    def mx(self, domain: str) -> list[Mx]:
        return [Mx(10, "mx.more.example")] if domain == "more.example" else []

    def addresses(self, host: str) -> list[str]:
        return {"host.example": ["198.51.100.7", "2001:db8::7"], "mx.more.example": ["198.51.100.9"]}.get(host, [])

    def ptr(self, name: str) -> list[str]:
        return []


def verdicts(octets: bytes, zones: Zones | None = None, piece: int = 7, now: int = NOW) -> list[tuple[str, str]]:
    """Check a whole mail, its body in small pieces."""
    end = octets.index(b"\r\n\r\n") + 4
    signatures = Signatures(octets[:end])
    for at in range(end, len(octets), piece):
        signatures.body(octets[at : at + piece])
    return [(each.domain, each.result) for each in signatures.check((zones or Zones()).txt, now)]


def theirs(octets: bytes, canonical: bytes = b"relaxed/relaxed", **more: bool) -> bytes:
    """Let dkimpy sign."""
    signer = dkimpy.DKIM(octets)
    field = signer.sign(b"t1", b"yahoo.example", THEIR_PEM, canonicalize=tuple(canonical.split(b"/")), **more)
    return bytes(field)


PASS = [("yahoo.example", "pass")]
FAIL = [("yahoo.example", "fail")]


# -- DKIM -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [OUR, EDWARDS], ids=str)
def test_our_own_signatures_verify(key: dkim.DkimKey) -> None:
    assert verdicts(dkim.sign(HEADER + BODY, [key], now=NOW) + HEADER + BODY) == PASS


@pytest.mark.parametrize("canonical", [b"relaxed/relaxed", b"relaxed/simple", b"simple/relaxed", b"simple/simple"])
@pytest.mark.parametrize("body", [BODY, b"", b"\r\n", b"\r\n\r\n", b" \r\n", b"no end", b"a\r\n\r\nb  c\r\n"])
def test_another_signer_s_signatures_verify_in_every_form(canonical: bytes, body: bytes) -> None:
    signed = theirs(HEADER + body, canonical) + HEADER + body
    assert verdicts(signed, piece=1, now=NOW + 10**9) == PASS


_words = st.text(alphabet=" \tabc.:;=\r\n", max_size=60).map(
    lambda text: text.replace("\r", "").replace("\n", "\r\n").encode()
)


@settings(max_examples=60, deadline=None)
@given(
    body=_words,
    subject=_words,
    canonical=st.sampled_from([b"relaxed/relaxed", b"simple/simple"]),
    piece=st.integers(1, 9),
)
def test_we_agree_with_another_verifier_on_any_body(body: bytes, subject: bytes, canonical: bytes, piece: int) -> None:
    octets = (
        b"From: pat@yahoo.example\r\nSubject: "
        + subject.replace(b"\r\n", b"\r\n ")
        + b"x\r\n\r\n"
        + body
        + (b"\r\n" if body else b"")
    )
    signed = theirs(octets, canonical) + octets
    zones = Zones()
    other = dkimpy.DKIM(signed).verify(dnsfunc=lambda name, timeout=5: zones.txt(name.decode())[0])
    assert (verdicts(signed, piece=piece, now=NOW + 10**9) == PASS) is other


@pytest.mark.parametrize(
    ("change", "by"),
    [
        (b"thank you", b"thank  you, no"),
        (b"Pat <pat@", b"Pat <eve@"),
        (b"Re:  A", b"Re: B"),
        (b"\tthank", b"thank"),
    ],
)
def test_what_was_changed_on_the_way_fails(change: bytes, by: bytes) -> None:
    signed = dkim.sign(HEADER + BODY, [OUR], now=NOW) + HEADER + BODY
    assert verdicts(signed.replace(change, by)) == FAIL


def test_an_added_from_breaks_a_signature_that_guards_it() -> None:
    signed = dkim.sign(HEADER + BODY, [OUR], now=NOW) + HEADER + BODY
    assert verdicts(signed.replace(b"To: ", b"From: eve@evil.example\r\nTo: ", 1)) == FAIL


def test_a_body_signed_in_part_counts_as_not_signed() -> None:
    assert verdicts(theirs(HEADER + BODY, length=True) + HEADER + BODY, now=NOW + 10**9) == []


def _resigned(old: bytes, new: bytes) -> bytes:
    """Return a field with tags changed; what it then signs is its own business, for it must not get so far."""
    return dkim.sign(HEADER + BODY, [OUR], now=NOW).replace(old, new, 1) + HEADER + BODY


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"a=rsa-sha256", b"a=rsa-sha1"),
        (b"v=1", b"v=2"),
        (b"d=yahoo.example", b"d=yahoo.example; d=gmail.example"),
        (b"h=from:from:", b"h="),
        (b"s=s1", b"s=../s1"),
        (b"d=yahoo.example", b"d=yahoo.example; i=@gmail.example"),
        (b"c=relaxed/relaxed", b"c=loose/relaxed"),
        (b"bh=", b"bh=@@"),
        (b"v=1;", b"v=1; q=http;"),
    ],
)
def test_a_signature_of_a_kind_that_is_not_trusted_is_not_looked_at(old: bytes, new: bytes) -> None:
    assert verdicts(_resigned(old, new)) == []


@pytest.mark.parametrize(
    "record",
    [
        "v=DKIM1; k=rsa; p=",  # revoked
        "v=DKIM2; k=rsa; p=KEY",
        "v=DKIM1; k=ed25519; p=KEY",
        "v=DKIM1; t=y; p=KEY",
        "v=DKIM1; h=sha1; p=KEY",
        "v=DKIM1; s=other; p=KEY",
        "v=DKIM1; p=not base64",
        "v=DKIM1; p=AAAA",
        "nonsense",
    ],
)
def test_a_key_that_may_not_be_used_vouches_for_nothing(record: str) -> None:
    zones = Zones()
    key = zones.texts["s1._domainkey.yahoo.example"].partition("p=")[2]
    zones.texts["s1._domainkey.yahoo.example"] = record.replace("KEY", key)
    assert verdicts(dkim.sign(HEADER + BODY, [OUR], now=NOW) + HEADER + BODY, zones) == FAIL


def test_the_shortest_key_that_a_receiver_has_to_take_is_taken() -> None:
    short = dkim.DkimKey("s1", "yahoo.example", rsa.generate_private_key(public_exponent=65537, key_size=1024))  # noqa: S505
    zones = Zones()
    zones.texts[dkim.dns_name(short)] = dkim.dns_record(short)
    signed = dkim.sign(HEADER + BODY, [short], now=NOW) + HEADER + BODY
    assert verdicts(signed, zones) == PASS  # the least that RFC 8301 lets pass


def test_a_signature_from_the_future_fails_and_names_that_do_not_answer_are_told_apart() -> None:
    signed = dkim.sign(HEADER + BODY, [OUR], now=NOW + 7200) + HEADER + BODY
    assert verdicts(signed) == FAIL
    signed = dkim.sign(HEADER + BODY, [OUR], now=NOW) + HEADER + BODY
    assert verdicts(signed, Zones(broken=["s1._domainkey.yahoo.example"])) == [("yahoo.example", "temperror")]
    zones = Zones()
    del zones.texts["s1._domainkey.yahoo.example"]
    assert verdicts(signed, zones) == FAIL


def test_of_a_thousand_signatures_only_a_few_are_looked_at() -> None:
    signed = dkim.sign(HEADER + BODY, [OUR], now=NOW) * 1000 + HEADER + BODY
    zones = Zones()
    assert len(verdicts(signed, zones, piece=1000)) == 10
    assert len(zones.asked) == 10


@settings(max_examples=150, deadline=None)
@given(field=st.binary(max_size=200), body=st.binary(max_size=100))
def test_no_octets_make_the_check_raise(field: bytes, body: bytes) -> None:
    signatures = Signatures(b"DKIM-Signature: " + field + b"\r\nFrom: a@b\r\n\r\n")
    signatures.body(body)
    assert all(each.result != "pass" for each in signatures.check(Zones().txt, NOW))


@settings(max_examples=150, deadline=None)
@given(record=st.binary(max_size=120))
def test_no_key_record_makes_the_check_raise(record: bytes) -> None:
    class Odd(Zones):
        def txt(self, name: str) -> list[bytes]:
            return [record]

    assert verdicts(dkim.sign(HEADER + BODY, [OUR], now=NOW) + HEADER + BODY, Odd()) == FAIL


# -- SPF --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "sender", "result"),
    [
        ("192.0.2.9", "pat@yahoo.example", "pass"),
        ("198.51.100.7", "pat@yahoo.example", "pass"),  # by a: of an include
        ("2001:db8::7", "pat@yahoo.example", "pass"),
        ("198.51.100.9", "pat@yahoo.example", "pass"),  # by its mx
        ("203.0.113.1", "pat@yahoo.example", "fail"),
        ("203.0.113.1", "pat@nothing.example", "none"),
        ("203.0.113.1", "pat@loop.example", "permerror"),
        ("203.0.113.1", "pat@localhost", "none"),
        ("203.0.113.1", "pät@bücher.example", "none"),
    ],
)
def test_a_host_is_looked_for_in_the_domain_s_record(source: str, sender: str, result: str) -> None:
    assert check_spf(Zones(), source, sender, "mail.yahoo.example")[0] == result


def test_a_null_sender_is_looked_up_by_the_name_in_ehlo() -> None:
    assert check_spf(Zones(), "192.0.2.9", "", "bare.example") == ("pass", "bare.example")


def test_names_that_do_not_answer_are_a_matter_of_later() -> None:
    assert check_spf(Zones(broken=["yahoo.example"]), "192.0.2.9", "pat@yahoo.example", "x.example")[0] == "temperror"


# -- DMARC ------------------------------------------------------------------------------------------------------------


def judged(
    domain: str, spf: tuple[str, str] = ("fail", ""), *dkim: Verdict, zones: Zones | None = None
) -> Authenticity:
    return evaluate(domain, spf, dkim, zones or Zones())


def test_an_aligned_signature_or_host_passes() -> None:
    assert judged("yahoo.example", ("fail", "yahoo.example"), Verdict("yahoo.example", "pass")).by == "dkim"
    assert judged("yahoo.example", ("pass", "bounces.yahoo.example")).by == "spf"
    assert judged("mail.yahoo.example", ("pass", "yahoo.example")).is_proven  # the organisation's record


@pytest.mark.parametrize("spf", [("pass", "evil.example"), ("softfail", "yahoo.example"), ("neutral", "yahoo.example")])
def test_what_is_not_aligned_or_no_pass_proves_nothing(spf: tuple[str, str]) -> None:
    found = judged("yahoo.example", spf, Verdict("evil.example", "pass"), Verdict("yahoo.example", "fail"))
    assert found.result == "fail"


def test_a_domain_can_ask_for_strict_alignment() -> None:
    assert not judged("strict.example", ("pass", "m.strict.example"), Verdict("m.strict.example", "pass")).is_proven
    assert judged("strict.example", ("pass", "strict.example")).is_proven


def test_a_name_below_a_public_suffix_is_not_aligned_with_it() -> None:
    """Everybody can have a name under co.uk or github.io, and sign for it."""
    assert organisational("mail.hospital.co.uk") == "hospital.co.uk"
    for suffix in ("co.uk", "github.io"):
        assert not judged(suffix, ("pass", f"evil.{suffix}"), Verdict(f"evil.{suffix}", "pass")).is_proven
        assert not judged(f"victim.{suffix}", ("pass", f"evil.{suffix}"), Verdict(suffix, "pass")).is_proven


def test_without_a_record_a_signature_counts_and_a_host_does_not() -> None:
    assert judged("bare.example", ("pass", "bare.example")).result == "none"
    assert judged("bare.example", ("pass", "bare.example"), Verdict("bare.example", "pass")).by == "dkim"


def test_two_records_are_no_record() -> None:
    class Two(Zones):
        def txt(self, name: str) -> list[bytes]:
            return [b"v=DMARC1; p=none", b"v=DMARC1; p=reject"] if name.startswith("_dmarc") else super().txt(name)

    assert judged("yahoo.example", ("pass", "yahoo.example"), zones=Two()).result == "none"


def test_what_could_not_be_looked_up_is_no_verdict() -> None:
    broken = Zones(broken=["_dmarc.yahoo.example"])
    assert judged("yahoo.example", ("pass", "yahoo.example"), zones=broken).result == "temperror"
    assert judged("yahoo.example", ("temperror", "yahoo.example")).result == "temperror"
    assert judged("yahoo.example", ("fail", ""), Verdict("yahoo.example", "temperror")).result == "temperror"
    assert judged("yahoo.example", ("temperror", ""), Verdict("yahoo.example", "pass")).is_proven


def test_the_verdict_reads_like_an_authentication_results_field() -> None:
    found = judged("yahoo.example", ("softfail", "yahoo.example"), Verdict("yahoo.example", "fail"))
    assert str(found) == "spf=softfail dkim=fail dmarc=fail"

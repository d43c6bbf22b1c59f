"""Our signatures, judged by other people's verifier and by one of RFC 8463's own few steps."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator

import dkim as dkimpy
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from cryptnsend.core.errors import Malformed
from cryptnsend.delivery import dkim

MESSAGE = (
    b"Received: from x by y\r\nFrom: Ann <notice@our.test>\r\nTo: pat@peer.example\r\n"
    b"Subject:  A \t folded\r\n\tsubject \r\nDate: Thu, 1 May 2025 10:42:00 +0000\r\nMessage-ID: <d1@our.test>\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    b"Dear  Pat, \t \r\n\r\n  a secure message waits.\r\n\r\n\r\n"
)
RSA = dkim.generate_key("s1", "our.test")
EDWARDS = dkim.generate_key("e1", "our.test", dkim.ED25519)
ZONE = {dkim.dns_name(key): dkim.dns_record(key) for key in (RSA, EDWARDS)}


def look_up(name: bytes, timeout: int = 5) -> bytes | None:
    record = ZONE.get(name.decode().rstrip("."))
    return record.encode() if record else None


def verifies(octets: bytes) -> bool:
    """Ask dkimpy about the first signature."""
    return bool(dkimpy.DKIM(octets).verify(dnsfunc=look_up))


def test_an_rsa_signature_verifies() -> None:
    assert verifies(dkim.sign(MESSAGE, [RSA], now=1_746_096_120) + MESSAGE)


def test_each_key_signs_and_the_fields_are_lines_of_mail() -> None:
    fields = dkim.sign(MESSAGE, [RSA, EDWARDS], now=1_746_096_120)
    assert fields.count(b"DKIM-Signature:") == 2
    assert fields.endswith(b"\r\n")
    lines = fields.removesuffix(b"\r\n").split(b"\r\n")
    assert max(map(len, lines)) <= 78
    assert all(line.startswith((b"DKIM-Signature:", b"\t")) for line in lines)
    assert verifies(fields + MESSAGE)


def edwards_verifies(octets: bytes) -> bool:
    """Check the first field, an Ed25519 signature, by RFC 6376 §3.7 and RFC 8463 §3, knowing nothing of our code."""
    header, _, body = octets.partition(b"\r\n\r\n")
    fields = [part.partition(b":") for part in re.split(rb"\r\n(?![ \t])", header)]

    def relaxed(name: bytes, value: bytes) -> bytes:
        return name.lower() + b":" + re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b"")).strip()

    signature = fields[0][2]
    tags = {
        key.strip(): re.sub(rb"\s", b"", value) for key, _, value in (t.partition(b"=") for t in signature.split(b";"))
    }
    lines = [re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in body.split(b"\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    canonical = b"".join(line + b"\r\n" for line in lines)
    if base64.b64encode(hashlib.sha256(canonical).digest()) != tags[b"bh"]:
        return False
    left = fields[1:]
    covered = b""
    for wanted in tags[b"h"].split(b":"):
        for index in range(len(left) - 1, -1, -1):
            if left[index][0].lower() == wanted:
                covered += relaxed(wanted, left.pop(index)[2]) + b"\r\n"
                break
    covered += relaxed(b"dkim-signature", re.sub(rb"(b=)[^;]*$", rb"\1", signature))
    record = ZONE["e1._domainkey.our.test"]
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(record.rpartition("p=")[2]))
    try:
        public.verify(base64.b64decode(tags[b"b"]), hashlib.sha256(covered).digest())
    except InvalidSignature:
        return False
    return True


def test_an_ed25519_signature_verifies() -> None:
    """RFC 8463 §3."""
    signed = dkim.sign(MESSAGE, [EDWARDS], now=1_746_096_120) + MESSAGE
    assert edwards_verifies(signed)
    assert not edwards_verifies(signed.replace(b"Dear", b"dear"))
    assert not edwards_verifies(signed.replace(b"To: pat", b"To: eve"))


@pytest.mark.parametrize("name", ["From", "Reply-To", "Subject", "To", "Date"])
@pytest.mark.parametrize("place", ["top", "bottom"])
def test_a_second_field_of_the_guarded_kinds_breaks_the_signature(name: str, place: str) -> None:
    """RFC 6376 §8.15."""
    added = f"{name}: eve@evil.example\r\n".encode()
    signed = dkim.sign(MESSAGE, [RSA], now=1) + MESSAGE
    header, _, body = signed.partition(b"\r\n\r\n")
    forged = added + signed if place == "top" else header + b"\r\n" + added + b"\r\n" + body
    assert not verifies(forged)
    assert verifies(signed)


def test_what_relays_add_or_fold_does_not_matter() -> None:
    signed = dkim.sign(MESSAGE, [RSA], now=1) + MESSAGE
    relayed = b"Received: by relay\r\nX-Spam: no\r\n" + signed.replace(b"Dear  Pat, \t ", b"Dear Pat,").replace(
        b"A \t folded\r\n\t", b"A folded "
    )
    assert verifies(relayed)


body_pieces = st.lists(st.sampled_from([b"\r\n", b" ", b"\t", b"x", b"\r\n\r\n", b" \r\n", b"\r", b"\n"]), max_size=14)


@settings(deadline=None, max_examples=400)
@given(body_pieces, st.integers(1, 5))
def test_the_body_hash_does_not_depend_on_how_it_is_cut(parts: list[bytes], step: int) -> None:
    """RFC 6376 §3.4.4: blanks at the ends of lines and empty lines at the end do not count."""
    body = re.sub(rb"\r(?!\n)|(?<!\r)\n", b"y", b"".join(parts))
    whole = dkim.RelaxedBody()
    for at in range(0, len(body), step):
        whole.update(body[at : at + step])
    lines = [re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in body.split(b"\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    expected = b"".join(line + b"\r\n" for line in lines)
    assert whole.finish().digest() == hashlib.sha256(expected).digest()


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=300))
def test_any_body_verifies_at_other_peoples(noise: bytes) -> None:
    body = noise.replace(b"\r", b"").replace(b"\n", b"\r\n") + b"x\r\n"
    message = MESSAGE.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + body
    assert verifies(dkim.sign(message, [RSA], now=1) + message)


def test_a_message_in_pieces_gets_the_same_signature() -> None:
    def pieces() -> Iterator[bytes]:
        yield from (MESSAGE[at : at + 1] for at in range(len(MESSAGE)))

    assert dkim.sign(pieces(), [EDWARDS], now=7) == dkim.sign(MESSAGE, [EDWARDS], now=7)


def test_an_empty_body_verifies() -> None:
    message = b"From: a@our.test\r\n\r\n"
    assert verifies(dkim.sign(message, [RSA], now=1) + message)


def test_fields_that_stand_twice_are_signed_from_the_last_upwards() -> None:
    message = MESSAGE.replace(b"MIME-Version", b"Cc: one@x.example\r\nCc: two@x.example\r\nMIME-Version")
    signed = dkim.sign(message, [RSA], now=1) + message
    assert verifies(signed)
    assert not verifies(signed.replace(b"one@x", b"six@x"))


@pytest.mark.parametrize(
    "header",
    [b"To: a@b.example\r\n\r\n", b"", b"\r\nFrom: a@b.example\r\n", b"From a@b\r\n\r\n", b"Fr om: a@b\r\n\r\n"],
)
def test_what_has_no_header_with_from_cannot_be_signed(header: bytes) -> None:
    with pytest.raises(Malformed):
        dkim.sign(header + b"text\r\n", [RSA], now=1)


@pytest.mark.parametrize("key", [RSA, EDWARDS])
def test_a_key_survives_its_file(key: dkim.DkimKey) -> None:
    again = dkim.from_pem(key.selector, key.domain, dkim.to_pem(key))
    assert dkim.dns_record(again) == dkim.dns_record(key)
    assert again.algorithm == key.algorithm


def test_records_say_what_verifiers_need() -> None:
    assert dkim.dns_name(RSA) == "s1._domainkey.our.test"
    assert re.fullmatch(r"v=DKIM1; k=rsa; p=[A-Za-z0-9+/]{390,}={0,2}", dkim.dns_record(RSA))
    assert re.fullmatch(r"v=DKIM1; k=ed25519; p=[A-Za-z0-9+/]{43}=", dkim.dns_record(EDWARDS))


@pytest.mark.parametrize(
    ("selector", "domain"), [("a;b", "our.test"), ("a", "our.test; x=y"), ("", "our.test"), ("a", "a\r\nb")]
)
def test_selector_and_domain_cannot_carry_tags(selector: str, domain: str) -> None:
    with pytest.raises(ValueError, match="selector"):
        dkim.DkimKey(selector, domain, EDWARDS.private)


def test_a_key_never_shows_itself() -> None:
    assert repr(EDWARDS) == "DkimKey(e1._domainkey.our.test, ed25519-sha256)"


def test_other_algorithms_are_not_made() -> None:
    with pytest.raises(ValueError, match="rsa-sha1"):
        dkim.generate_key("a", "our.test", "rsa-sha1")

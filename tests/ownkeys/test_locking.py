"""Mail that only its reader's key opens, as their programs open it; and a header that says nothing."""

from __future__ import annotations

import email
import re
import subprocess
from email import policy
from pathlib import Path

import pytest

from cryptnsend.core import protected
from cryptnsend.core.addresses import Mailbox
from cryptnsend.core.mime_words import encode_field, encode_mailboxes
from cryptnsend.ownkeys.locksmith import Locksmith
from cryptnsend.ownkeys.reading import DAY, Unusable
from tests.support.house import START
from tests.support.ownkeys import Gnupg, certificate, openssl_opens

OUTER = [
    encode_mailboxes("From", [Mailbox("Secure reply", "r@x.example")]),
    encode_field("Subject", "You have a secure reply"),
]
INNER = [
    encode_mailboxes("From", [Mailbox("Pat", "r@x.example")]),
    encode_field("Subject", "Größe of the Canarytumour " * 5),
]
PART = (
    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nHämochromatosis, canary.\r\n"
).encode()


def made() -> bytes:
    return protected.payload(INNER, OUTER, "=_abc", [PART, PART])


def checked(opened: bytes) -> None:
    inside = email.message_from_bytes(opened, policy=policy.SMTP)
    assert str(inside["Subject"]).split() == ("Größe of the Canarytumour " * 5).split()
    assert dict(inside["Content-Type"].params) == {"boundary": "=_abc", "hp": "cipher", "protected-headers": "v1"}
    assert [str(each) for each in inside.get_all("HP-Outer", [])] == [
        "From: Secure reply <r@x.example>", "Subject: You have a secure reply",
    ]  # fmt: skip
    assert [part.get_content() for part in inside.iter_parts()] == ["Hämochromatosis, canary.\r\n"] * 2


def test_gpg_opens_pgp_mime(gnupg: Gnupg, locksmith: Locksmith) -> None:
    key = locksmith.read(gnupg.make("Reader <reader@x.example>"), START)
    mail = protected.pgp_mime(OUTER, locksmith.lock("openpgp", key.octets, made(), START), "=_out")
    assert b"\r\n" in mail
    assert not re.search(rb"(?<!\r)\n|[\x80-\xff]", mail), "DKIM and 7-bit ways need CRLF and ASCII"
    assert b"anary" not in mail
    parsed = email.message_from_bytes(mail, policy=policy.SMTP)
    assert parsed["Content-Type"].params["protocol"] == "application/pgp-encrypted"
    control, body = parsed.iter_parts()
    assert control.get_payload().strip() == "Version: 1"
    assert body.get_content_type() == "application/octet-stream"
    checked(gnupg.run("--decrypt", octets=body.get_payload(decode=True)))


@pytest.mark.parametrize("algorithm", ["rsa3072", "default"])
def test_gpg_opens_what_is_encrypted_to_keys_of_each_kind(gnupg: Gnupg, locksmith: Locksmith, algorithm: str) -> None:
    usage = "default" if algorithm == "default" else "encr,sign,cert"
    key = locksmith.read(gnupg.make(f"Of {algorithm} <{algorithm}@x.example>", algorithm=algorithm, usage=usage), START)
    assert gnupg.run("--decrypt", octets=locksmith.lock("openpgp", key.octets, made(), START)) == made()


@pytest.mark.parametrize("how", ["cms", "smime"])
def test_openssl_opens_smime(locksmith: Locksmith, tmp_path: Path, how: str) -> None:
    key = locksmith.read(certificate("reader@x.example"), START)
    mail = protected.smime(OUTER, locksmith.lock("smime", key.octets, made(), START))
    assert not re.search(rb"(?<!\r)\n|[\x80-\xff]", mail)
    assert max(map(len, mail.splitlines())) <= 200
    parsed = email.message_from_bytes(mail, policy=policy.SMTP)
    assert (parsed.get_content_type(), parsed["Content-Type"].params["smime-type"]) == (
        "application/pkcs7-mime", "enveloped-data",
    )  # fmt: skip
    assert openssl_opens(mail, tmp_path, how) == made()
    checked(made())
    shown = subprocess.run(
        ["openssl", "cms", "-cmsout", "-print", "-noout", "-inform", "SMIME"],
        input=mail,
        capture_output=True,
        check=True,
    ).stdout
    assert b"aes-256-cbc" in shown


def test_content_of_15_mib_is_encrypted(gnupg: Gnupg, locksmith: Locksmith, tmp_path: Path) -> None:
    content = b"0123456789abcdef" * (15 << 16)
    key = locksmith.read(gnupg.make("Large <large@x.example>"), START)
    assert gnupg.run("--decrypt", octets=locksmith.lock("openpgp", key.octets, content, START)) == content
    key = locksmith.read(certificate("reader@x.example"), START)
    assert (
        openssl_opens(protected.smime(OUTER, locksmith.lock("smime", key.octets, content, START)), tmp_path) == content
    )


def test_nothing_is_encrypted_to_a_key_whose_time_is_over(gnupg: Gnupg, locksmith: Locksmith) -> None:
    for octets in (gnupg.make("Ends <ends@x.example>", ends="5y"), certificate("reader@x.example")):
        key = locksmith.read(octets, START)
        with pytest.raises(Unusable, match="expired"):
            locksmith.lock(key.kind, key.octets, b"x", START + 3651 * DAY)


def test_nothing_but_armor_goes_into_pgp_mime() -> None:
    for octets in (b"", b"-----BEGIN PGP MESSAGE-----\n\nab\x00\n-----END PGP MESSAGE-----\n", b"plain text"):
        with pytest.raises(ValueError, match="armor"):
            protected.pgp_mime(OUTER, octets, "=_out")

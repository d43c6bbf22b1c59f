"""Is a profile what Apple's documents ask for, and does a verifier that is not ours believe its signature?"""

from __future__ import annotations

import plistlib
import subprocess
from pathlib import Path
from uuid import UUID

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.core.discovery import Servers
from cryptnsend.core.profile import CannotSign, mail_profile, sign
from tests.core.test_discovery import SENDS_ONLY, SERVERS

ANN, PASSWORD = "ann@gmail.example", "k7m2q-x9hd4-wz3rp-6tbn5-cv8jy-f2abc-d3efg-h4jkm"
TITLES = ("Secure mail", "Sends and reads secure mail.")


def profile(address: str = ANN, servers: Servers = SERVERS, password: str = PASSWORD, name: str = "Ann Ruiz") -> bytes:
    return mail_profile(servers, address, name, password, TITLES)


def test_the_profile_has_a_whole_account_and_its_password() -> None:
    read = plistlib.loads(profile())
    assert (read["PayloadType"], read["PayloadVersion"]) == ("Configuration", 1)
    (mail,) = read["PayloadContent"]
    assert mail["PayloadType"] == "com.apple.mail.managed"
    assert (mail["EmailAccountType"], mail["EmailAddress"], mail["EmailAccountName"]) == (
        "EmailTypeIMAP",
        ANN,
        "Ann Ruiz",
    )
    for side, port in (("Incoming", 993), ("Outgoing", 465)):
        assert mail[f"{side}MailServerHostName"] == "mail.clinic.test"
        assert mail[f"{side}MailServerPortNumber"] == port
        assert mail[f"{side}MailServerUseSSL"] is True
        assert mail[f"{side}MailServerUsername"] == ANN
        assert mail[f"{side}MailServerAuthentication"] == "EmailAuthPassword"
        assert mail[f"{side}Password"] == PASSWORD
    assert (mail["PreventMove"], mail["allowMailDrop"]) == (True, False)


def test_a_later_profile_of_the_same_address_takes_the_place_of_the_earlier_one() -> None:
    first, again = plistlib.loads(profile()), plistlib.loads(profile(address="Ann@Gmail.Example", password="another"))
    other = plistlib.loads(profile(address="ben@gmail.example"))
    elsewhere = plistlib.loads(profile(servers=Servers("mail.other.test", SERVERS.services, "https://mail.other.test")))
    for key in ("PayloadIdentifier", "PayloadUUID"):
        for found in (lambda each, key=key: each[key], lambda each, key=key: each["PayloadContent"][0][key]):
            assert found(first) == found(again)
            assert len({found(first), found(other), found(elsewhere)}) == 3
    assert first["PayloadIdentifier"].startswith("test.clinic.mail.mail.")
    assert UUID(first["PayloadUUID"]) != UUID(first["PayloadContent"][0]["PayloadUUID"])
    assert "ann" not in first["PayloadIdentifier"]


def test_there_is_no_profile_without_an_incoming_server() -> None:
    with pytest.raises(ValueError, match="incoming"):
        profile(servers=SENDS_ONLY)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="￾￿"), max_size=80))
def test_any_name_stands_in_the_profile_as_it_is(name: str) -> None:
    assert plistlib.loads(profile(name=name))["PayloadContent"][0]["EmailAccountName"] == name


@pytest.mark.parametrize("kind", ["RSA", "ECDSA"])
def test_openssl_verifies_the_signature_by_the_chain_and_gives_the_profile_back(tmp_path: Path, kind: str) -> None:
    root = trustme.CA(key_type=trustme.KeyType[kind])
    below = root.create_child_ca(key_type=trustme.KeyType[kind])
    leaf = below.issue_cert("mail.clinic.test", key_type=trustme.KeyType[kind])
    root.cert_pem.write_to_path(tmp_path / "root.pem")
    chain = b"".join(each.bytes() for each in leaf.cert_chain_pems)
    (tmp_path / "signed").write_bytes(sign(profile(), chain, leaf.private_key_pem.bytes()))
    command = ["openssl", "cms", "-verify", "-inform", "DER", "-in", "signed", "-CAfile", "root.pem", "-purpose", "any"]
    done = subprocess.run([*command, "-binary", "-out", "read"], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "read").read_bytes() == profile()
    signed = (tmp_path / "signed").read_bytes()
    (tmp_path / "signed").write_bytes(signed.replace(b"ann@gmail.example", b"eve@gmail.example"))
    assert subprocess.run([*command, "-out", "read"], cwd=tmp_path, capture_output=True, check=False).returncode != 0


def test_what_makes_no_signature_is_told() -> None:
    authority = trustme.CA()
    leaf, other = authority.issue_cert("mail.clinic.test"), authority.issue_cert("mail.clinic.test")
    chain, key = leaf.cert_chain_pems[0].bytes(), leaf.private_key_pem.bytes()
    edwards = ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for wrong in (
        (b"", key),
        (chain, b""),
        (chain, other.private_key_pem.bytes()),
        (chain, edwards),
        (key, chain),
    ):
        with pytest.raises(CannotSign):
            sign(profile(), *wrong)

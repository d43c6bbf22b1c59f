"""How replies come: keys pasted and as files, what is refused, a test whose end the page shows; and keys of others."""

from __future__ import annotations

import io
import re
from email.message import EmailMessage

import pytest

from cryptnsend.ownkeys.locksmith import Locksmith
from cryptnsend.portal import Portal
from tests.flow.conftest import Desk
from tests.portal.conftest import Visitor
from tests.portal.real import ANN, PAT, portal, signed_in, text
from tests.support.house import PASSWORD, House, MakeHouse
from tests.support.ownkeys import Gnupg, certificate, gnupg, lend, locksmith, private_pem

__all__ = ["gnupg", "locksmith"]


@pytest.fixture
def house(make_house: MakeHouse, locksmith: Locksmith) -> House:
    house = make_house(policy={"own_keys": "everybody"})
    lend(locksmith, house.portal, house.courier)
    house.add_subscriber(ANN, name="Dr. Ann Ruiz")
    return house


@pytest.fixture
def app(house: House) -> Portal:
    return portal(house)


def hand_in(visitor: Visitor, octets: bytes, password: str = PASSWORD) -> str:
    visitor.get("/account/replies")
    answer = visitor.post("/account/replies/key", {"key": octets.decode(), "password": password})
    return visitor.follow().text if answer.status_code == 303 else answer.text


def tried(desk: Desk) -> EmailMessage:
    """Return the one test that left; mails of the house tell of changed keys besides."""
    (mail,) = [each for each in desk.answers.mails(ANN) if str(each["Subject"]) == "You have a secure message"]
    return mail


def test_a_key_is_pasted_shown_chosen_and_tried_out(app: Portal, house: House, gnupg: Gnupg) -> None:
    desk = Desk(house)
    ann = signed_in(app, ANN)
    assert "OpenPGP key" not in re.sub(r"<p.*?</p>", "", ann.get("/account/replies").text)
    page = hand_in(ann, gnupg.make(f"Ann <{ANN}>"))
    (held,) = house.portal.ownkeys.own(house.session(ANN))
    assert "Your key is kept." in page
    assert held.grouped in page
    assert f"Ann &lt;{ANN}&gt;" in page
    assert ann.post("/account/replies", {"form": "openpgp"}).status_code == 303
    assert "Saved." in ann.follow().text
    assert ann.post("/account/replies/test").status_code == 303
    assert "is on its way." in ann.get("/account/replies").text
    assert "data-waits" in ann.get("/account/replies/test").text
    desk.deliver()
    mail = tried(desk)
    _, body = mail.iter_parts()
    inside = gnupg.run("--decrypt", octets=body.get_payload(decode=True))
    assert b"Subject: A test of how replies reach you" in inside
    assert b"replies reach you in the way that you chose" in inside
    assert b"A test of how" not in mail.as_bytes()
    page = ann.get("/account/replies/test").text
    assert "Accepted by mx.example." in page or "It was accepted." in page
    assert "data-waits" not in page
    desk.courier.close()


def test_a_certificate_comes_as_a_file_and_a_test_as_zip_works_too(app: Portal, house: House) -> None:
    desk = Desk(house)
    ann = signed_in(app, ANN)
    ann.get("/account/replies")
    form = {"file": (io.BytesIO(certificate(ANN)), "ann.pem", "application/x-pem-file"), "password": PASSWORD}
    assert ann.post("/account/replies/key", form).status_code == 303
    assert "RSA 2048" in ann.follow().text
    ann.post("/account/replies/test")
    desk.deliver()
    mail = tried(desk)
    assert [each.get_filename() for each in mail.iter_attachments()] == ["secure-message.zip"]
    ann.get("/account/replies")
    assert ann.post("/account/replies/key/smime/remove", {"password": "wrong"}).status_code == 422
    ann.get("/account/replies")
    assert ann.post("/account/replies/key/smime/remove", {"password": PASSWORD}).status_code == 303
    assert house.portal.ownkeys.own(house.session(ANN)) == []
    ann.get("/account/replies")
    assert ann.post("/account/replies/key/smime/remove", {"password": PASSWORD}).status_code == 404
    desk.courier.close()


def test_a_private_key_is_refused_loudly_and_stands_nowhere(
    app: Portal, house: House, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    ann = signed_in(app, ANN)
    written = private_pem()
    page = hand_in(ann, written)
    assert "This is a PRIVATE key" in page
    assert 'role="alert"' in page
    line = written.splitlines()[5].decode()
    assert line not in page, "it is not shown again"
    for _, row in house.rows():
        assert all(
            line.encode() not in (each if isinstance(each, bytes) else str(each).encode()) for each in row.values()
        )
    assert line not in caplog.text + "".join(capfd.readouterr())


def test_what_is_wrong_with_a_key_is_said_in_words(app: Portal, house: House) -> None:
    ann = signed_in(app, ANN)
    for octets, said in (
        (b"", "There is no key in it."),
        (b"hello", "cannot be read as a key"),
        (certificate(PAT), f"has to be for {ANN}"),
        (b"A" * 200_000, "too large for a key"),
    ):
        assert said in hand_in(ann, octets)
    assert "That is not your password." in hand_in(ann, certificate(ANN), "wrong")
    assert house.portal.ownkeys.own(house.session(ANN)) == []


def test_a_key_of_somebody_else_is_kept_after_its_fingerprint_was_compared(
    app: Portal, house: House, gnupg: Gnupg
) -> None:
    ann, key = signed_in(app, ANN), gnupg.make(f"Pat <{PAT}>")
    ann.get("/account/keys")
    page = ann.post("/account/keys", {"address": PAT, "key": key.decode()}).text
    assert f"Is this the key of {PAT}?" in page
    carried = dict(re.findall(r'name="(address|key|fingerprint)" value="([^"]*)"', page))
    refused = ann.post("/account/keys/keep", carried | {"password": PASSWORD})
    assert "First compare the fingerprint" in refused.text
    assert ann.post("/account/keys/keep", carried | {"compared": "on", "password": "wrong"}).status_code == 422
    assert ann.post("/account/keys/keep", carried | {"compared": "on", "password": PASSWORD}).status_code == 303
    assert "The key is kept." in ann.follow().text
    (held,) = house.portal.ownkeys.known(house.session(ANN))
    assert (held.address, held.fingerprint) == (PAT, carried["fingerprint"])
    ann.get("/account/keys")
    assert ann.post("/account/keys/remove", {"address": PAT, "password": PASSWORD}).status_code == 303
    assert house.portal.ownkeys.known(house.session(ANN)) == []
    ann.get("/account/keys")
    assert ann.post("/account/keys/remove", {"address": PAT, "password": PASSWORD}).status_code == 404


def test_where_the_rules_are_against_it_no_key_of_others_is_taken(make_house: MakeHouse, locksmith: Locksmith) -> None:
    house = make_house()
    lend(locksmith, house.portal)
    house.add_subscriber(ANN, name="Dr. Ann Ruiz")
    ann = signed_in(portal(house), ANN)
    assert "The rules here do not let mail leave this way" in ann.get("/account/keys").text
    assert "Look at it" not in text(ann)


def test_who_has_a_number_shows_it_for_a_key(app: Portal, house: House) -> None:
    house.second(ANN)
    keys, session = house.portal.ownkeys, house.session(ANN)
    with pytest.raises(Exception, match="number"):
        keys.set_own(session, certificate(ANN), PASSWORD, "192.0.2.7")
    house.clock.forward(60_000)
    keys.set_own(session, certificate(ANN), PASSWORD, "192.0.2.7", house.number(ANN))
    assert [each.kind for each in keys.own(session)] == ["smime"]

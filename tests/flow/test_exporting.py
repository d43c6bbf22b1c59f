"""Exports: the author's has every octet, the recipient's no Bcc, and neither comes without the password."""

from __future__ import annotations

import io

import pytest

from cryptnsend.core import export
from cryptnsend.core.errors import Ended, NoGrant, WrongSecret
from tests.support.house import OTHER, PASSWORD, House

ANN, PAT, CARL = "ann@gmail.example", "pat@yahoo.example", "carl@mail.example"
MAIL = (
    b"From: Ann <ann@gmail.example>\r\nTo: pat@yahoo.example\r\nbCC: carl@mail.example,\r\n\tann@gmail.example\r\n"
    b"Subject: Results\r\nX-Odd:no space \r\n\r\nAll is well.\r\n.leading dot\r\nBcc: not a header\r\n"
)


@pytest.fixture
def message(house: House) -> int:
    house.add_subscriber(ANN)
    return house.submit(ANN, [PAT, CARL, ANN], MAIL)


def octets(house: House, address: str, message: int, password: str = PASSWORD) -> bytes:
    exporting = house.owner.exporting
    return b"".join(exporting.mail(exporting.sign_in(address, password), message).chunks)


def test_the_author_gets_every_octet_also_when_they_wrote_to_themselves(house, message):
    assert octets(house, ANN, message) == MAIL


def test_a_recipient_gets_it_without_bcc(house, message):
    house.register(PAT, message)
    got = octets(house, PAT, message)
    assert b"carl" not in got
    assert got == MAIL.replace(b"bCC: carl@mail.example,\r\n\tann@gmail.example\r\n", b"")


def test_the_password_is_asked_for_each_time(house, message):
    with pytest.raises(WrongSecret):
        octets(house, ANN, message, OTHER)
    with pytest.raises(WrongSecret):
        octets(house, "nobody@gmail.example", message)


def test_nobody_exports_what_is_not_theirs(house, message):
    house.add_subscriber("eve@gmail.example")
    with pytest.raises(NoGrant):
        octets(house, "eve@gmail.example", message)
    exporting = house.owner.exporting
    with pytest.raises(NoGrant):
        exporting.sealed(exporting.sign_in("eve@gmail.example", PASSWORD), message, PASSWORD)


def test_what_was_taken_back_is_not_exported_by_its_recipient(house, message):
    house.register(PAT, message)
    house.pickup.expire(house.session(ANN), message)
    with pytest.raises(Ended):
        octets(house, PAT, message)
    assert octets(house, ANN, message) == MAIL


def test_a_sealed_export_opens_with_the_password_and_without_the_server(house, message):
    exporting = house.owner.exporting
    file = io.BytesIO(b"".join(exporting.sealed(exporting.sign_in(ANN, PASSWORD), message, PASSWORD)))
    assert b"All is well" not in file.getvalue()
    exported, stored = export.read_object(file)
    keys = exported.content_keys(PASSWORD)
    export.verify(exported, keys, stored)
    assert b"".join(export.open_message(exported, keys, stored)) == MAIL
    with pytest.raises(WrongSecret):
        exported.content_keys(OTHER)


def test_every_export_is_in_the_audit(house, message):
    octets(house, ANN, message)
    org = house.engine.query("SELECT org FROM messages WHERE id = :id", id=message)[0]["org"]
    assert [action for _, action in house.audited(org)].count("message.exported") == 1

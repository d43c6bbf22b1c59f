"""Which message is known again, and who stands behind an address of ours?"""

from __future__ import annotations

import os

import pytest

from cryptnsend.core.errors import Refusal
from tests.flow.admitting import submit
from tests.flow.conftest import DELIVERED, LATER, REFUSED, Desk
from tests.flow.rows import count, deliveries, everything, recipients
from tests.support.house import DAY, HOUR, MINUTE, House

ANN, PAT, BOB, CARL, EVE = (
    "ann@gmail.example", "pat@yahoo.example", "bob@clinic.example", "carl@mail.example", "eve@mail.example",
)  # fmt: skip


# -- the same again ---------------------------------------------------------------------------------------------------


def test_the_same_mail_again_gets_the_same_id_and_makes_nothing(house: House, ann: int) -> None:
    octets = house.mail()
    first = submit(house, octets)
    before = everything(house)
    house.clock.forward(23 * HOUR)
    again = submit(house, octets)
    assert (again.message, again.repeated, first.repeated) == (first.message, True, False)
    assert everything(house) == before


def test_a_repeated_large_mail_leaves_no_blob_behind(house: House, ann: int) -> None:
    octets = house.mail(text="x" * 100_000)
    submit(house, octets)
    assert submit(house, octets).repeated
    assert len(list(house.portal.blobs.keys())) == 1


def test_a_mail_is_known_again_over_midnight(house: House, ann: int) -> None:
    octets = house.mail()
    house.clock.forward(DAY - house.clock.now() % DAY - MINUTE)
    first = submit(house, octets)
    house.clock.forward(2 * MINUTE)
    assert submit(house, octets).message == first.message
    house.clock.forward(23 * HOUR)
    assert submit(house, octets).message == first.message


@pytest.mark.parametrize("change", ["octets", "recipient", "reverse path", "author", "time"])
def test_whatever_differs_is_another_message(house: House, ann: int, change: str) -> None:
    house.add_subscriber(BOB, name="Bob")
    octets = house.mail()
    first = submit(house, octets)
    if change == "octets":
        again = submit(house, octets + b"\r\n")
    elif change == "recipient":
        again = submit(house, octets, [PAT, CARL])
    elif change == "reverse path":
        again = submit(house, octets, reverse_path="")
    elif change == "author":
        again = submit(house, octets.replace(ANN.encode(), BOB.encode()), author=BOB)
    else:
        house.clock.forward(DAY + MINUTE)
        again = submit(house, octets)
    assert again.message != first.message
    assert not again.repeated


def test_the_order_of_recipients_makes_no_other_message(house: House, ann: int) -> None:
    octets = house.mail()
    first = submit(house, octets, [PAT, CARL])
    assert submit(house, octets, [CARL, PAT, "Pat@Yahoo.example"]).message == first.message


def test_a_mail_that_was_taken_back_can_be_sent_again(house: House, ann: int) -> None:
    octets = house.mail()
    first = submit(house, octets)
    house.pickup.expire(house.session(ANN), first.message)
    again = submit(house, octets)
    assert again.message != first.message
    assert house.pickup.show(house.register(PAT, again.message), again.message).subject == "Results"


def test_a_mail_whose_grant_was_shredded_can_be_sent_again(house: House, ann: int) -> None:
    octets = house.mail()
    first = submit(house, octets, [PAT, CARL])
    house.tamper("DELETE FROM grants WHERE message = :m AND holder = :h", m=first.message, h=f"address:{PAT}")
    assert submit(house, octets, [PAT, CARL]).message != first.message


@pytest.mark.parametrize("subject", ["Results", ":: Results"])
def test_a_mail_that_did_not_arrive_can_be_sent_again(desk: Desk, subject: str) -> None:
    desk.house.add_subscriber(ANN)
    octets = desk.house.mail(subject)
    first = submit(desk.house, octets)
    desk.say(REFUSED, DELIVERED)
    desk.deliver()
    again = submit(desk.house, octets)
    assert (again.message == first.message, again.repeated) == (False, False)
    desk.deliver()
    kind = "relay" if subject.startswith("::") else "notice"
    assert [row["state"] for row in desk.house.queued(kind)] == ["failed", "delivered"]
    assert submit(desk.house, octets).message == again.message


def test_a_mail_that_is_still_tried_is_known_again(desk: Desk) -> None:
    desk.house.add_subscriber(ANN)
    octets = desk.house.mail()
    first = submit(desk.house, octets)
    desk.say(LATER)
    desk.deliver()
    assert submit(desk.house, octets).message == first.message


def test_a_mail_is_known_again_after_its_recipient_registered(house: House, ann: int) -> None:
    octets = house.mail()
    first = submit(house, octets)
    house.register(PAT, first.message)
    assert submit(house, octets).message == first.message


def test_a_form_sent_twice_makes_one_message(house: House, ann: int) -> None:
    nonce = os.urandom(16)
    first = submit(house, house.mail(), origin="page", nonce=nonce)
    again = submit(house, house.mail("Another text"), origin="page", nonce=nonce)
    assert (again.message, again.repeated) == (first.message, True)
    assert submit(house, house.mail(), origin="page", nonce=os.urandom(16)).message != first.message
    assert count(house, "messages") == 2


def test_a_nonce_of_somebody_else_is_none_of_mine(house: House, ann: int) -> None:
    house.add_subscriber(BOB, name="Bob")
    nonce = os.urandom(16)
    first = submit(house, house.mail(), origin="page", nonce=nonce)
    other = submit(house, house.mail(author=BOB), author=BOB, origin="page", nonce=nonce)
    assert other.message != first.message


# -- tokens of ours ---------------------------------------------------------------------------------------------------


@pytest.fixture
def replied(house: House, ann: int) -> tuple[int, str]:
    """Ann's message, and the address of ours by which she answers Pat."""
    message = house.submit(ANN, [PAT], house.mail())
    house.register(PAT, message)
    return message, house.reply_token(message, PAT)


@pytest.mark.parametrize("kind", ["r+", "u-"])
def test_an_address_of_ours_stands_for_the_person_behind_it(house: House, replied: tuple[int, str], kind: str) -> None:
    address = kind + replied[1].removeprefix("r+")
    message = house.submit(ANN, [address], house.mail(to=[address]))
    row = recipients(house, message)[PAT]
    assert (row["decision"], row["disclosed"]) == ("vault", 1)
    assert deliveries(house, message) == [("notice", "", PAT)]


def test_an_address_of_ours_in_capitals_still_stands_for_them(house: House, replied: tuple[int, str]) -> None:
    message = house.submit(ANN, [replied[1].upper()], house.mail())
    assert set(recipients(house, message)) == {PAT}


def test_a_person_and_their_token_are_one_recipient(house: House, replied: tuple[int, str]) -> None:
    message = house.submit(ANN, [replied[1], PAT], house.mail(to=[replied[1], PAT]))
    assert deliveries(house, message) == [("notice", "", PAT)]


def test_addresses_of_ours_that_stand_for_nobody_look_alike(house: House, replied: tuple[int, str]) -> None:
    domain = house.config.server.domain
    token = replied[1].removeprefix("r+").partition("@")[0]
    forged = ("a" if token[-2] != "a" else "b").join((token[:-2], token[-1]))
    unknown = "aaaa" + token[4:]
    bounce = house.keeper("courier").bounce(1).token
    refusals = set()
    for local in (
        f"r+{forged}",
        f"r+{unknown}",
        f"r+{bounce}",
        f"b+{bounce}",
        "r+",
        "notice",
        "postmaster",
        f"x+{token}",
        token,
    ):
        before = everything(house)
        with pytest.raises(Refusal) as refused:
            house.submit(ANN, [PAT, f"{local}@{domain}"], house.mail())
        assert everything(house) == before
        refusals.add((refused.value.code, refused.value.status, str(refused.value).replace(f"{local}@{domain}", "…")))
    assert len(refusals) == 1
    assert next(iter(refusals))[:2] == (550, "5.1.1")


def test_an_expired_token_stands_for_nobody(house: House, replied: tuple[int, str]) -> None:
    house.tamper("UPDATE links SET expires = :at", at=house.clock.now())
    with pytest.raises(Refusal, match="Nobody can be reached"):
        house.submit(ANN, [replied[1]], house.mail())


@pytest.mark.parametrize("column", ["address", "subscriber", "message", "purpose"])
def test_an_edited_link_row_turns_no_mail_to_somebody_else(house: House, replied: tuple[int, str], column: str) -> None:
    value = {"address": EVE, "subscriber": 1, "message": 1, "purpose": "open"}[column]
    house.tamper(f"UPDATE links SET {column} = :value WHERE purpose = 'reply'", value=value)  # noqa: S608
    with pytest.raises(Refusal):
        house.submit(ANN, [replied[1]], house.mail())

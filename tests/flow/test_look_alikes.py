"""Can an author's mail program make its mail look as if somebody else had written it, or as if answers go elsewhere?"""

from __future__ import annotations

import pytest

from tests.flow.conftest import Desk
from tests.flow.letters import sent
from tests.flow.rows import recipients
from tests.support.house import House

ANN, PAT, EVE = "ann@gmail.example", "pat@yahoo.example", "eve@elsewhere.example"
ELSEWHERE = (
    f"Reply-To: Service <{EVE}>\r\nSender: {EVE}\r\nResent-From: {EVE}\r\nResent-To: {EVE}\r\nResent-Sender: {EVE}\r\n"
    f"Resent-Date: Fri, 20 Nov 2026 10:00:00 +0000\r\nResent-Message-ID: <1@elsewhere.example>\r\n"
    f"Return-Path: <{EVE}>\r\n"
)
BORROWED = ["paypal.com", "PayPal Service", "eve@elsewhere.example", "Account Security", "Gооgle", "www.bank.example"]


def mail(house: House, name: str, subject: str = "hello", more: str = ELSEWHERE) -> bytes:
    """Return a mail of Ann's, under the name that her program writes before her address."""
    octets = house.mail(subject, author=ANN, to=[PAT], more=more)
    start = octets.index(b"From: ")
    written = f'From: "{name}" <{ANN}>'.encode()
    return octets[:start] + written + octets[octets.index(b"\r\n", start) :]


@pytest.mark.parametrize("name", BORROWED)
@pytest.mark.parametrize("profile", ["Dr. Ann Ruiz", "", "PayPal"])
def test_a_recipient_sees_the_profile_or_the_address_never_a_borrowed_name(desk: Desk, profile: str, name: str) -> None:
    house = desk.house
    account = house.add_subscriber(ANN)
    house.tamper("UPDATE accounts SET name = :name WHERE id = :ann", name=profile, ann=account)
    message = house.submit(ANN, [PAT], mail(house, name))
    notice = sent(desk, PAT)
    honest = profile if profile.startswith("Dr.") else ""
    assert notice["From"].addresses[0].display_name == (f"{honest or 'Secure message'} via CryptnSend")
    assert notice["Reply-To"].addresses[0].addr_spec.startswith("r+")
    for word in (name, EVE, "paypal"):
        assert word.lower().encode() not in notice.as_bytes().lower()
    pat = house.register(PAT, message)
    shown, entry = house.pickup.show(pat, message), house.pickup.list(pat, limit=1)[0]
    assert (shown.sender_name, shown.sender_address) == (honest or ANN, ANN)
    assert (entry.sender_name, entry.sender_address) == (honest or ANN, ANN)


def test_an_answer_on_the_page_goes_to_the_author_whatever_reply_to_says(desk: Desk) -> None:
    house = desk.house
    house.add_subscriber(ANN)
    message = house.submit(ANN, [PAT], mail(house, "Ann"))
    pat = house.register(PAT, message)
    for everybody, nonce in ((False, b"1" * 16), (True, b"2" * 16)):
        reply = house.replies.send(pat, message, everybody=everybody, text="x", files=[], nonce=nonce)
        assert set(recipients(house, reply)) == {ANN}


def test_a_locked_file_says_neither_name_nor_where_answers_go(desk: Desk) -> None:
    house = desk.house
    clinic = house.organisation("Clinic")
    house.add_subscriber(PAT, organisation=clinic)
    house.add_subscriber(ANN, organisation=clinic)
    house.submit(ANN, [PAT], mail(house, "paypal.com"))
    handed = sent(desk, PAT)
    assert handed["From"].addresses[0].display_name == "Secure message via CryptnSend"
    assert (handed["Reply-To"], handed["Sender"]) == (None, None)
    assert EVE.encode() not in handed.as_bytes()
    assert b"paypal" not in handed.as_bytes()


@pytest.mark.parametrize("name", BORROWED)
def test_plain_mail_through_us_has_the_profiles_name_and_answers_go_to_its_author(desk: Desk, name: str) -> None:
    house = desk.house
    house.add_subscriber(ANN, name="Dr. Ann Ruiz")
    house.submit(ANN, [PAT], mail(house, name, ":: hello"))
    left = sent(desk, PAT)
    assert left["From"].addresses[0].display_name == "Dr. Ann Ruiz"
    assert left["From"].addresses[0].addr_spec.startswith("u-")
    assert [each.addr_spec for each in left["Reply-To"].addresses] == [ANN]
    assert_no_trace_of_eve(left.keys(), left.as_bytes())


@pytest.mark.parametrize(
    ("name", "shown"), [*((each, "Dr. Ann Ruiz") for each in BORROWED), ("Ruiz, Ann (ward 12)", "Ruiz, Ann (ward 12)")]
)
def test_where_a_domain_lets_us_sign_its_author_keeps_an_honest_name_and_where_answers_go(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str, shown: str
) -> None:
    house = desk.house
    house.add_subscriber(ANN, name="Dr. Ann Ruiz")
    signers = house.courier.letters._signers
    monkeypatch.setattr(signers, "of", lambda domain: signers.own())
    desk_of_ann = "desk@gmail.example"
    house.submit(ANN, [PAT], mail(house, name, ":: hello", ELSEWHERE.replace(f"Service <{EVE}>", desk_of_ann)))
    left = sent(desk, PAT)
    author = left["From"].addresses[0]
    assert (author.display_name, author.addr_spec) == (shown, ANN)
    assert str(left["Reply-To"]) == desk_of_ann, "their own choice, under their own domain"
    assert_no_trace_of_eve(left.keys(), left.as_bytes())


def assert_no_trace_of_eve(fields: list[str], octets: bytes) -> None:
    """Sender, Resent fields and Return-Path do not leave."""
    assert not [each for each in fields if each.lower().startswith(("sender", "resent-", "return-path"))]
    assert EVE.encode() not in octets

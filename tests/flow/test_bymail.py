"""How is a message opened whose sender lets a code by e-mail, or no code, stand in for theirs?"""

from __future__ import annotations

import pytest

from cryptnsend.core.errors import Denied, NoGrant, Refusal, WrongSecret
from cryptnsend.flow.newmail import NewMail
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.views import Wishes, Writing
from tests.flow.conftest import Desk, faces
from tests.support.house import MINUTE, PASSWORD, SOURCE, House, MakeHouse

ANN, PAT = "ann@gmail.example", "pat@yahoo.example"


def send(house: House, ann: Session, way: str, nonce: bytes = b"n" * 16) -> int:
    house.clock.forward(MINUTE)
    writing = Writing(subject="Results", text="All is well.", to=(PAT,), wishes=Wishes(way=way))
    newmail: NewMail = house.portal.newmail
    message = newmail.send(ann, writing, nonce=nonce)
    house.clock.forward(MINUTE)
    return message


@pytest.fixture
def ann(desk: Desk) -> Session:
    desk.house.add_subscriber(ANN, name="Dr. Ann Ruiz")
    return desk.house.session(ANN)


def read_code(desk: Desk) -> str:
    """Return the code of the newest mail to Pat, which has no link that opens anything."""
    desk.deliver()
    mail = desk.answers.mails(PAT)[-1]
    text = faces(mail)[0]
    assert "/m/" not in text
    assert "Results" not in text
    digits: list[str] = [line for line in map(str.strip, text.splitlines()) if line.replace(" ", "").isdigit()]
    return digits[0].replace(" ", "")


def test_a_newcomer_has_the_code_mailed_reads_that_message_and_no_other(desk: Desk, ann: Session) -> None:
    house = desk.house
    message, other = send(house, ann, "mail"), send(house, ann, "", b"o" * 16)
    token = house.link(message, PAT)
    assert house.pickup.waiting(token).way == "mail"
    assert house.pickup.waiting(house.link(other, PAT)).way == "code"
    started = house.pickup.mail_code(token, SOURCE)
    shown = house.pickup.prove_mailed(token, started.id, read_code(desk), SOURCE)
    entered = house.accounts.register(shown.ticket, PASSWORD, "", SOURCE, "browser", "en")
    pat = house.found(entered)
    assert house.pickup.show(pat, message).text == "All is well.\n"
    assert [each.state for each in house.pickup.list(pat)] == ["code", "open"]
    with pytest.raises(NoGrant):
        house.pickup.show(pat, other)
    # Ann sees that it was allowed by her, asked for, and by whom it was opened; Pat is no proven contact of hers.
    events = [each.action for each in house.portal.following.proof(ann, message).events]
    for action in ("code.allowed", "code.mailed", "code.proven", "message.opened"):
        assert action in events
    contacts = house.engine.query("SELECT state FROM contacts")
    assert {row["state"] for row in contacts} == {"new"}
    assert house.pickup.status(ann, message).instead == "mail"


def test_who_has_a_password_signs_in_first_and_has_the_code_mailed_then(desk: Desk, ann: Session) -> None:
    house = desk.house
    first = house.submit(ANN, [PAT], house.mail())
    house.register(PAT, first)
    house.add_subscriber("bob@law.example")
    bob = house.session("bob@law.example")
    message = send(house, bob, "mail")
    pat, token = house.session(PAT), house.link(message, PAT)
    started = house.pickup.mail_code(token, SOURCE)
    with pytest.raises(WrongSecret):
        house.pickup.prove_mailed_as(pat, token, started.id, "000000", SOURCE)
    house.pickup.prove_mailed_as(pat, token, started.id, read_code(desk), SOURCE)
    assert house.pickup.show(pat, message).subject == "Results"


def test_nothing_is_mailed_where_the_sender_did_not_allow_it_nor_twice_in_two_minutes(desk: Desk, ann: Session) -> None:
    house = desk.house
    locked, allowed = send(house, ann, "code"), send(house, ann, "mail", b"o" * 16)
    desk.deliver()
    before = len(desk.answers.mails(PAT))
    with pytest.raises(Denied):
        house.pickup.mail_code(house.link(locked, PAT), SOURCE)
    first = house.pickup.mail_code(house.link(allowed, PAT), SOURCE)
    assert house.pickup.mail_code(house.link(allowed, PAT), "198.51.100.7").id == first.id
    desk.deliver()
    assert len(desk.answers.mails(PAT)) == before + 1


def test_a_code_is_mailed_as_a_rule_once_a_subscriber_chose_so(desk: Desk, ann: Session) -> None:
    house = desk.house
    before = house.submit(ANN, [PAT], house.mail())
    house.clock.forward(MINUTE)
    house.accounts.set_usual_way(ann, "mail", PASSWORD, SOURCE)
    assert house.portal.newmail.instead_of_code(ann) == (("code", "mail"), "mail")
    after, locked = house.submit(ANN, [PAT], house.mail()), send(house, ann, "code")
    ways = [house.pickup.waiting(house.link(each, PAT)).way for each in (before, after, locked)]
    assert ways == ["code", "mail", "code"]


def test_no_code_is_the_operators_to_allow_and_opens_that_message_alone(make_house: MakeHouse) -> None:
    house = make_house(codes={"instead": "none"})
    house.add_subscriber(ANN)
    ann = house.session(ANN)
    message, other = send(house, ann, "none"), send(house, ann, "code", b"o" * 16)
    assert [each.needs_code for each in house.pickup.status(ann, message).recipients] == [False]
    assert [row["message"] for row in house.queued("receipt")] == [other]  # nothing is to be told for the first
    shown = house.pickup.prove(house.link(message, PAT), "", SOURCE)
    pat = house.found(house.accounts.register(shown.ticket, PASSWORD, "", SOURCE, "browser", "en"))
    assert house.pickup.show(pat, message).subject == "Results"
    with pytest.raises(WrongSecret):
        house.pickup.prove(house.link(other, PAT), "", SOURCE)
    again = send(house, ann, "none", b"p" * 16)
    later = house.session(PAT)
    assert house.pickup.show(later, again).subject == "Results"


def test_what_the_server_does_not_allow_is_refused_before_anything_is_sealed(desk: Desk, ann: Session) -> None:
    with pytest.raises(Refusal, match="Choose the code"):
        send(desk.house, ann, "none")
    assert desk.house.engine.query("SELECT id FROM messages") == []

"""Whose link opens nothing asks the sender: once a day, with nothing told that the notice did not tell."""

from __future__ import annotations

import pytest

from cryptnsend.core.errors import Ended, NoGrant, Throttled
from cryptnsend.flow.asking import DAY, MOST_ASKED
from tests.flow.admitting import sent
from tests.flow.conftest import Post, faces
from tests.support.house import SOURCE, House

OFFICE = "office@clinic.example"
ANN, PAT, BOB = "ann@gmail.example", "pat@yahoo.example", "bob@outlook.example"


def asked(house: House) -> list[str]:
    return [row["template"] for row in house.queued("alert") if row["template"].startswith("asked")]


def test_a_question_reaches_the_author_once_a_day(house: House, ann: int) -> None:
    token = house.link(sent(house), PAT)
    for _ in range(3):
        house.pickup.ask(token, SOURCE)
    assert asked(house) == ["asked-code"]
    house.clock.forward(DAY + 1)
    house.pickup.ask(token, SOURCE)
    assert asked(house) == ["asked-code", "asked-code"]


def test_asking_opens_and_changes_nothing(house: House, ann: int) -> None:
    token = house.link(sent(house), PAT)
    before = house.pickup.waiting(token)
    house.pickup.ask(token, SOURCE)
    assert house.pickup.waiting(token) == before


def test_what_was_taken_back_is_asked_for_again(house: House, ann: int) -> None:
    message = sent(house)
    pat = house.register(PAT, message)
    house.pickup.expire(house.session(ANN), message)
    house.pickup.ask_message(pat, message, SOURCE)
    assert asked(house) == ["asked-again"]


def test_nobody_asks_about_what_was_not_sent_to_them(house: House, ann: int) -> None:
    message = sent(house)
    bob = house.register(BOB, house.submit(ANN, [BOB], house.mail(to=[BOB])))
    for who in (bob, house.session(ANN)):
        with pytest.raises(NoGrant):
            house.pickup.ask_message(who, message, SOURCE)
    with pytest.raises(Ended):
        house.pickup.ask("a" * 40, SOURCE)
    assert asked(house) == []


def test_one_source_asks_a_limited_number_of_senders(house: House, ann: int) -> None:
    token = house.link(sent(house), PAT)
    for _ in range(MOST_ASKED):
        house.pickup.ask(token, SOURCE)
    with pytest.raises(Throttled):
        house.pickup.ask(token, SOURCE)
    house.pickup.ask(token, "198.51.100.9")


def test_the_mail_says_who_asks_and_leads_to_the_page_of_the_message(post: Post) -> None:
    house = post.house
    house.add_subscriber(ANN, name="Ann Ruiz")
    message = sent(house)
    house.pickup.ask(house.link(message, PAT), SOURCE)
    post.deliver()
    subject = "Somebody cannot open your message yet"
    (mail,) = [each.parsed for each in post.mails(ANN) if each.parsed["Subject"] == subject]
    text, page = faces(mail)
    assert PAT in text
    assert PAT in page
    assert f"/sent/{message}" in text
    assert "Results" not in text + page
    assert "/m/" not in text + page


def test_who_reads_a_shared_address_asks_to_be_written_to_at_their_own(post: Post) -> None:
    house = post.house
    house.add_subscriber(ANN, name="Dr. Ann Ruiz")
    bob = house.register(BOB, house.submit(ANN, [BOB], house.mail(to=[BOB])))
    token = house.link(house.submit(ANN, [OFFICE], house.mail(to=[OFFICE])), OFFICE)
    post.deliver()
    for _ in range(2):
        house.pickup.ask_own(bob, token, SOURCE)
    assert asked(house) == ["asked-own"]
    post.deliver()
    text, page = faces(post.last(ANN))
    for face in (text, page):
        assert BOB in face
        assert "Results" not in face
    with pytest.raises(Ended):
        house.pickup.ask_own(house.session(ANN), token, SOURCE)  # her own message
    assert house.pickup.waiting(token).state == "new"  # asking gave nobody anything

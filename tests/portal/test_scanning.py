"""A file with a virus does not leave by the pages, and what somebody typed beside it is still there."""

from __future__ import annotations

import io
import os

import pytest

from cryptnsend.portal import Portal
from tests.portal.conftest import Visitor
from tests.portal.test_real_flows import ANN, first_visit, nonce, portal
from tests.support.house import House, MakeHouse
from tests.support.scanners import EICAR, Clam, nowhere

WORDS = "Dear Dr. Ruiz, here is the picture."


@pytest.fixture
def house(make_house: MakeHouse, clamd: Clam) -> House:
    made = make_house(scan={"clamav": clamd.path})
    made.add_subscriber(ANN, name="Dr. Ann Ruiz")
    return made


@pytest.fixture
def app(house: House) -> Portal:
    return portal(house)


def replies(house: House) -> int:
    return len(house.engine.query("SELECT id FROM messages WHERE parent IS NOT NULL"))


def test_a_reply_with_a_virus_is_not_sent_and_its_words_are_kept(app: Portal, house: House) -> None:
    message = house.submit(ANN, ["pat@yahoo.example"], house.mail())
    pat = first_visit(app, house, message)
    files = [(io.BytesIO(EICAR), "holiday.bin", "application/octet-stream"), (io.BytesIO(os.urandom(90_000)), "x.jpg")]
    form = {"text": WORDS, "nonce": nonce(pat), "files": files}
    answer = pat.post(f"/messages/{message}/reply", form)
    assert answer.status_code == 422
    assert "The virus scanner found Test.Eicar.UNOFFICIAL in this reply, so it was not sent." in answer.text
    assert "take the file out, and send it again" in answer.text
    assert WORDS in answer.text
    assert replies(house) == 0

    kept = {"text": WORDS, "nonce": nonce(pat), "keeps": "1"}  # both files are taken out
    assert pat.post(f"/messages/{message}/reply", kept).status_code == 303
    assert "Your reply is with" in pat.follow().text
    assert replies(house) == 1


def test_a_reply_waits_as_a_draft_while_the_scanner_is_silent(app: Portal, house: House, make_house: MakeHouse) -> None:
    message = house.submit(ANN, ["pat@yahoo.example"], house.mail())
    pat = first_visit(app, house, message)
    looking = house.portal.admission.scanning
    house.portal.admission.scanning = make_house(scan={"clamav": nowhere()}).portal.scanning
    form = {"text": WORDS, "nonce": nonce(pat), "files": (io.BytesIO(os.urandom(90_000)), "x.jpg")}
    answer = pat.post(f"/messages/{message}/reply", form)
    assert answer.status_code == 503
    assert "cannot be sent at this moment. It is kept" in answer.text
    assert WORDS in answer.text
    assert "x.jpg" in answer.text
    assert replies(house) == 0

    house.portal.admission.scanning = looking
    assert pat.post(f"/messages/{message}/reply", {"text": WORDS, "nonce": nonce(pat)}).status_code == 303
    assert "Your reply is with" in pat.follow().text
    assert replies(house) == 1


def test_a_finding_has_a_page_that_says_what_to_do(app: Portal) -> None:
    page = Visitor(app).get("/help/virus").text
    assert "The virus scanner found something" in page
    assert "Send the message again without the file." in page

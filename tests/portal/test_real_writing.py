"""Writing on the pages over the real flows: replies and drafts, sent twice, too late, at a bad moment."""

from __future__ import annotations

import io
import re

import pytest

from cryptnsend.portal import Portal
from tests.portal.real import ANN, PAT, first_visit, nonce, portal, signed_in, text
from tests.support.house import DAY, PASSWORD, House


@pytest.fixture
def app(house: House) -> Portal:
    house.add_subscriber(ANN, name="Dr. Ann Ruiz")
    return portal(house)


def test_a_form_sent_twice_is_one_reply(app: Portal, house: House) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    pat = first_visit(app, house, message)
    pat.get(f"/messages/{message}")
    form = {"text": "Once.", "nonce": nonce(pat), "csrf_token": pat.form_token()}
    for _ in range(2):
        assert (
            pat.client.post(
                f"/messages/{message}/reply", base_url="https://open.cryptnsend.example", data=form
            ).status_code
            == 303
        )
    ann = signed_in(app, ANN)
    assert len(set(re.findall(r'href="(/messages/\d+)"', ann.get("/messages").text))) == 1


def test_what_is_written_past_the_end_of_the_session_is_kept_and_can_be_sent_later(app: Portal, house: House) -> None:
    message = house.submit(ANN, [PAT], house.mail("Results", "All is well."))
    pat = first_visit(app, house, message)
    form = {"text": "saved by a button", "nonce": nonce(pat), "files": [(io.BytesIO(b"one"), "one.txt", "text/plain")]}
    assert pat.post(f"/messages/{message}/draft", form).status_code == 303
    pat.follow()
    kept = re.search(r'name="kept" value="(\d+)"', text(pat))
    assert kept
    house.clock.forward(DAY // 24)  # an hour, in which the session ends
    late = {
        "text": "sent too late",
        "nonce": nonce(pat),
        "keeps": "1",
        "kept": kept[1],
        "files": [(io.BytesIO(b"two"), "two.txt", "text/plain")],
    }
    assert pat.post(f"/messages/{message}/reply", late).location == "/sign-in"
    assert "What you wrote is kept, locked, as a draft." in pat.follow().text
    pat.post("/sign-in", {"address": PAT, "password": PASSWORD})
    page = pat.follow().text
    assert "sent too late</textarea>" in page
    assert re.findall(r'class="file-name">(\w+\.txt)', page) == ["one.txt", "two.txt"]
    again = {
        "text": "in time",
        "nonce": nonce(pat),
        "keeps": "1",
        "kept": re.findall(r'name="kept" value="(\d+)"', page),
    }
    assert pat.post(f"/messages/{message}/reply", again).status_code == 303
    pat.follow()
    assert "No drafts" in pat.get("/drafts").text
    ann = house.session(ANN)
    reply = house.pickup.show(ann, house.pickup.list(ann)[0].message)
    assert reply.text is not None
    assert reply.text.strip() == "in time"
    assert [each.name for each in reply.files] == ["one.txt", "two.txt"]
    assert not [table for table, _ in house.rows() if table in ("drafts", "draft_files")]


def test_a_reply_that_cannot_be_sent_now_is_kept_with_its_files(app: Portal, house: House) -> None:
    message = house.submit(ANN, [PAT], house.mail("Results", "All is well."))
    pat = first_visit(app, house, message)
    form = {"text": "at a bad moment", "nonce": nonce(pat), "files": [(io.BytesIO(b"one"), "one.txt", "text/plain")]}
    house.stop_keeper()
    try:
        page = pat.post(f"/messages/{message}/reply", form)
    finally:
        house.start_keeper()
    assert page.status_code == 503
    assert "It is kept; try again in a minute." in page.text
    assert "at a bad moment</textarea>" in page.text
    again = {"text": "at a bad moment", "nonce": nonce(pat), "keeps": "1"}
    again |= {"kept": re.findall(r'name="kept" value="(\d+)"', page.text)}  # type: ignore[dict-item]
    assert pat.post(f"/messages/{message}/reply", again).status_code == 303
    ann = house.session(ANN)
    reply = house.pickup.show(ann, house.pickup.list(ann)[0].message)
    assert [each.name for each in reply.files] == ["one.txt"]
    assert "No drafts" in pat.get("/drafts").text

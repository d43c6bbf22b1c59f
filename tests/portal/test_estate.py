"""The pages about the account itself: what they say before a grave act, and that nothing happens without a button."""

from __future__ import annotations

import re

import pytest

from cryptnsend.core import qr
from cryptnsend.portal.estate import DOINGS, DONE_BY_OPERATOR, browser_name
from tests.portal.conftest import Visitor
from tests.portal.world import ANN, CODE, PASSWORD, World


@pytest.fixture
def officer(ann: Visitor, world: World) -> Visitor:
    """A subscriber with an organisation of one, who looks after its archive."""
    for each in world.sessions.values():
        if each.address == ANN:
            each.roles = ("subscriber", "officer")
    return ann


# ---- addresses ------------------------------------------------------------------------------------------------------


def test_an_address_is_added_by_a_mailed_code(pat: Visitor, world: World) -> None:
    assert "pat@yahoo.example" in pat.get("/account/addresses").text
    assert pat.post("/account/addresses", {"address": "nonsense"}).status_code == 422
    assert pat.post("/account/addresses", {"address": "pat.lee@work.example"}).status_code == 303
    assert "pat.lee@work.example" in pat.follow().text
    page = pat.post("/account/addresses/code", {"code": "000000"})
    assert (page.status_code, "You have 4 tries left." in page.text) == (422, True)
    pat.post("/account/addresses/code", {"code": CODE})
    assert "The address is yours." in pat.follow().text
    assert [call for call in world.calls if "alias" in call] == ["start_alias pat.lee@work.example", "finish_alias"]
    assert pat.get("/account/addresses/code").location == "/account/addresses"  # the code was used


# ---- senders --------------------------------------------------------------------------------------------------------


def test_a_sender_is_blocked_after_the_page_has_said_what_that_does(pat: Visitor, world: World) -> None:
    assert "/messages/11/block" in pat.get("/messages/11").text
    page = pat.get("/messages/11/block").text
    assert "What they send you through this service from now on is refused." in page
    assert not [call for call in world.calls if call.startswith("block")]
    assert pat.post("/messages/11/block", {"report": "1"}).location == "/account/blocked"
    assert "block 11 True" in world.calls
    pat.get("/messages/14/block")
    pat.post("/messages/14/block")
    assert "block 14 False" in world.calls


def test_nobody_blocks_themselves_or_the_answer_to_their_own_message(ann: Visitor) -> None:
    assert "/messages/21/block" not in ann.get("/messages/21").text
    assert ann.get("/messages/21/block").status_code == 404


def test_a_blocked_sender_is_let_in_again(pat: Visitor, world: World) -> None:
    assert "Weight Loss Wonders" in pat.get("/account/blocked").text
    assert pat.post("/account/blocked/5/unblock").status_code == 303
    assert "unblock 5" in world.calls
    pat.get("/account/blocked")
    assert pat.post("/account/blocked/6/unblock").status_code == 404
    world.blocked = []
    assert "Nobody is blocked" in pat.get("/account/blocked").text


# ---- who did what ---------------------------------------------------------------------------------------------------


def test_browsers_are_listed_and_signed_out_one_by_one(pat: Visitor, world: World) -> None:
    page = pat.get("/account/browsers").text
    assert re.findall(r"(Firefox on Windows|Safari on iPhone|A browser) <small>", page) == [
        "Firefox on Windows",
        "Safari on iPhone",
        "A browser",
    ]
    assert f"/account/browsers/{'a' * 64}/end" not in page  # this one has “Sign out”
    assert pat.post(f"/account/browsers/{'b' * 64}/end").status_code == 303
    assert f"end_browser {'b' * 64}" in world.calls
    pat.get("/account/browsers")
    assert pat.post("/account/browsers/zz/end").status_code == 404


def test_people_choose_to_be_signed_out_sooner(ann: Visitor, world: World) -> None:
    page = ann.get("/account/browsers").text
    assert 'data-idle="30"' in page
    assert re.findall(r'<option value="(\d+)"', page) == ["5", "10", "15", "20", "0"]
    assert ann.post("/account/browsers/rest", {"minutes": "10"}).location == "/account/browsers"
    page = ann.get("/account/browsers").text
    assert "Saved." in page
    assert '<option value="10" selected' in page
    assert 'data-idle="10"' in page
    for wrong in ("", "7", "-5", "1000000000", "ten", "٥"):
        assert ann.post("/account/browsers/rest", {"minutes": wrong}).status_code == 400
    ann.post("/account/browsers/rest", {"minutes": "0"})
    assert 'data-idle="30"' in ann.get("/account/browsers").text


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 Chrome/140.0 Safari/537.36",
            "Chrome on Mac",
        ),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile", "Chrome on Android"),
        ("curl/8.0", "A browser"),
        ("<script>alert(1)</script>", "A browser"),
    ],
)
def test_a_browser_is_called_what_people_call_it(pat: Visitor, agent: str, name: str) -> None:
    with pat.client.application.test_request_context():
        assert browser_name(agent) == name


def test_the_access_log_says_what_was_done_in_words(pat: Visitor) -> None:
    page = pat.get("/account/log").text
    assert "Opened a message" in page
    assert 'href="/messages/11"' in page
    assert "Firefox on Windows · from 2001:db8:1:2:3:4:5:6" in page
    assert "something.new" in page  # what has no words yet is shown as it is, never left out


def test_the_access_log_tells_what_the_operator_did_from_what_one_did_oneself(pat: Visitor) -> None:
    page = pat.get("/account/log").text
    assert "Set a new password without the old one" in page  # and nothing of an e-mail
    assert "By who runs this server, on its command line, as its user root" in page
    assert "On the server’s command line, as its user ann" in page
    assert "By who runs this server</small>" in page  # by a version that did not write down who it was
    assert "from command line" not in page


def test_every_action_of_people_has_words() -> None:
    from cryptnsend.flow import account, archiving, arrival, belongings, estate, glass, oversight, pickup, sent

    said = set()
    for module in (account, archiving, arrival, belongings, estate, glass, oversight, pickup, sent):
        with open(str(module.__file__)) as file:
            kinds = "account|recovery|device|passphrase|code|message|sender|glass|archive|hold"
            said |= set(re.findall(rf'"((?:{kinds})\.[a-z-]+)"', file.read()))
    # The server signs archives, and who runs it opens one by its recovery file: no account's doing.
    assert said - {"code.wrong", "account.closed", "archive.signed", "archive.recovered"} <= set(DOINGS)
    assert len(said) > 15


def test_every_action_of_the_operator_on_people_has_words() -> None:
    from cryptnsend.flow import filelinks, owner, ownerkeys, sent

    said = set()
    for module in (filelinks, owner, ownerkeys, sent):
        with open(str(module.__file__)) as file:
            said |= set(re.findall(r'"((?:account|device|delivery|grant|link|token)\.[a-z-]+)"', file.read()))
    # Who is invited has no account yet; links are made and used by others than who runs the server.
    assert said - {"account.invited", "link.made", "link.opened", "link.held"} == set(DONE_BY_OPERATOR)


# ---- the recovery file ----------------------------------------------------------------------------------------------


def test_who_has_an_archive_is_reminded_until_they_say_that_its_file_is_safe(officer: Visitor, world: World) -> None:
    for url in ("/messages", "/sent", "/setup"):
        assert "Is your recovery file in a safe place?" in officer.get(url).text
    assert "Not confirmed yet" in officer.get("/account").text
    officer.get("/account/recovery-file")
    officer.post("/account/recovery-file/safe")
    assert "confirm_recovery_file" in world.calls
    for url in ("/messages", "/sent", "/setup"):
        assert "Is your recovery file in a safe place?" not in officer.get(url).text


def test_another_recovery_file_asks_for_the_password_and_is_shown_once(officer: Visitor, world: World) -> None:
    officer.get("/account/recovery-file")
    page = officer.post("/account/recovery-file", {"password": "wrong"})
    assert (page.status_code, "That is not your password." in page.text) == (422, True)
    world.second_step = True
    for code, said in (("000000", "Password and number do not fit."), ("222222", "It takes two officers.")):
        page = officer.post("/account/recovery-file", {"password": PASSWORD, "code": code})
        assert (page.status_code, said in page.text) == (422, True)
    assert "Number from your phone" in page.text
    page = officer.post("/account/recovery-file", {"password": PASSWORD, "code": "123456"})
    assert "CRYPTNSEND RECOVERY" in page.text
    assert "1111-2222" in page.text
    assert qr.svg("CRYPTNSEND RECOVERY\nabcd efgh", scale=4) in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert "CRYPTNSEND RECOVERY" not in officer.get("/account/recovery-file").text


def test_the_archive_gets_a_new_key_by_password_and_its_file_is_shown_once(officer: Visitor, world: World) -> None:
    assert 'href="/account/archive-key"' in officer.get("/account/recovery-file").text
    officer.get("/account/archive-key")
    page = officer.post("/account/archive-key", {"password": "wrong"})
    assert (page.status_code, "That is not your password." in page.text) == (422, True)
    assert "replace_archive_key" not in world.calls
    world.second_step = True
    page = officer.post("/account/archive-key", {"password": PASSWORD, "code": "222222"})
    assert (page.status_code, "It takes two officers." in page.text) == (422, True)
    page = officer.post("/account/archive-key", {"password": PASSWORD, "code": "123456"})
    assert "CRYPTNSEND RECOVERY" in page.text
    assert page.headers["Cache-Control"] == "no-store"
    officer.get("/account/archive-key")
    assert officer.post("/account/archive-key", {"password": PASSWORD, "code": "333333"}).location == "/account"
    assert "because it takes two of you to open it" in officer.follow().text


def test_the_first_file_is_confirmed_on_the_page_that_shows_it(officer: Visitor, world: World) -> None:
    officer.get("/account")
    assert officer.post("/account/recovery-file/safe", {"first": "1"}).location == "/setup"
    officer.follow()
    assert officer.post("/account/recovery-file/safe").location == "/account"
    assert world.recovery_safe


def test_without_an_archive_there_is_no_recovery_file(ann: Visitor, pat: Visitor) -> None:
    for somebody in (ann, pat):
        assert somebody.get("/account/recovery-file").status_code == 404
        assert somebody.get("/account/archive-key").status_code == 404
        assert "Recovery file" not in somebody.get("/account").text
        assert "Is your recovery file" not in somebody.get("/messages").text


# ---- the end --------------------------------------------------------------------------------------------------------


def test_closing_says_what_happens_and_asks_for_a_tick_and_the_password(pat: Visitor, world: World) -> None:
    page = pat.get("/account/close").text
    assert "It cannot be undone" in page
    assert "/account/export" in page
    assert pat.post("/account/close", {"password": PASSWORD}).status_code == 422
    assert pat.post("/account/close", {"password": "wrong", "sure": "1"}).status_code == 422
    assert "close" not in world.calls
    answer = pat.post("/account/close", {"password": PASSWORD, "sure": "1"})
    assert answer.location == "/closed"
    assert "__Host-cryptnsend=;" in answer.headers["Set-Cookie"]
    assert "Your account is closed" in pat.follow().text
    assert pat.get("/messages").location == "/sign-in"


def test_a_subscriber_reads_what_becomes_of_what_they_sent(ann: Visitor, pat: Visitor) -> None:
    assert "Who has not opened one yet cannot any more." in ann.get("/account/close").text
    assert "Who has not opened one yet cannot any more." not in pat.get("/account/close").text


def test_everything_is_saved_under_words_that_are_shown_first(pat: Visitor, world: World) -> None:
    page = pat.get("/account/export").text
    words = re.search(r'id="zip-words"[^>]*>([^<]+)<', page)
    proof = re.search(r'name="proof" value="([^"]+)"', page)
    assert words
    assert proof
    answer = pat.post("/account/export", {"proof": proof[1]})
    assert answer.data == b"PK\x03\x04" + words[1].encode()
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="messages.zip"')
    pat.get("/account/export")
    assert pat.post("/account/export", {"proof": "mine"}).location == "/account/export"


# ---- "that was not me" ----------------------------------------------------------------------------------------------


def test_objecting_takes_the_address_and_no_password(visitor: Visitor, world: World) -> None:
    assert "Did somebody else replace your password?" in visitor.get("/answer/objects").text
    for typed in ({}, {"address": "mallory@evil.example"}):
        again = visitor.post("/answer/objects", typed)
        assert again.status_code == 422
        assert "Type the address that the mail with this link came to." in again.text
    assert world.calls == []
    assert "Whoever did it gets nothing by waiting" in visitor.post("/answer/objects", {"address": ANN}).text
    assert world.calls == ["object_to"]
    visitor.get("/answer/nonsense")
    assert visitor.post("/answer/nonsense", {"address": ANN}).status_code == 404

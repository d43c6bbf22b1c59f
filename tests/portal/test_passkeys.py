"""Passkeys on the pages: offered where they work, told nothing by, and never needed by who has a password."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from html import unescape

import pytest

from cryptnsend.keeper.credentials import PasskeyRow
from tests.portal.conftest import BASE, Visitor
from tests.portal.world import CODE, NOW, PASSWORD, PAT, World

OUTPUT = base64.urlsafe_b64encode(b"o" * 32).rstrip(b"=").decode()


@pytest.fixture
def keyed(world: World) -> World:
    world.passkeys = [
        PasskeyRow(1, 1, "Phone", "backed-up", True, NOW, NOW, None),
        PasskeyRow(2, 1, "<Key>", "device", False, NOW, None, NOW),
    ]
    return world


def test_the_sign_in_page_offers_passkeys_where_they_work(visitor: Visitor, world: World) -> None:
    page = visitor.get("/sign-in")
    assert 'autocomplete="username webauthn"' in page.text
    assert re.search(r'<form [^>]*action="/sign-in/passkey"[^>]* hidden data-needs-passkeys', page.text)
    assert "connect-src 'self'" in page.headers["Content-Security-Policy"]
    elsewhere = visitor.client.get("/sign-in", base_url="https://mail.clinic.example").text
    assert "passkey" not in elsewhere


def test_a_passkey_signs_in(visitor: Visitor, world: World) -> None:
    visitor.get("/sign-in")
    asked = visitor.client.post(
        "/sign-in/passkey/challenge",
        base_url=BASE,
        data={"csrf_token": visitor.form_token()},
    ).get_json()
    assert asked["rpId"] == "open.cryptnsend.example"
    assert asked["userVerification"] == "required"
    assert base64.urlsafe_b64decode(asked["challenge"] + "==") == b"c" * 56
    visitor.post("/sign-in/passkey", {"answer": "right", "output": OUTPUT})
    assert "Your messages" in visitor.follow().text


@pytest.mark.parametrize("answer", ["wrong", "", "{" * 1000])
def test_a_wrong_passkey_gets_the_page_again_with_words(visitor: Visitor, world: World, answer: str) -> None:
    visitor.get("/sign-in")
    page = visitor.post("/sign-in/passkey", {"answer": answer, "output": "no output"})
    assert page.status_code == 422
    assert "This passkey does not open anything here." in page.text
    assert not world.sessions


def test_no_request_about_passkeys_goes_without_its_form_token(pat: Visitor, keyed: World) -> None:
    for url in (
        *("/sign-in/passkey", "/sign-in/passkey/challenge", "/sign-in/number/passkey", "/account/passkeys"),
        *(
            "/account/passkeys/add",
            "/account/passkeys/open",
            "/account/passkeys/challenge",
            "/account/passkeys/1/remove",
        ),
        *("/account/passkeys/after-password", "/account/unlock/passkey"),
    ):
        assert pat.client.post(url, base_url=BASE).status_code == 400, url
    assert len(keyed.passkeys) == 2


def test_a_passkey_is_added_by_password_and_browser(pat: Visitor, world: World) -> None:
    pat.get("/account/passkeys")
    assert "None yet." in pat.page.text  # type: ignore[union-attr]
    assert pat.post("/account/passkeys", {"name": "Phone", "password": "wrong"}).status_code == 422
    page = pat.post("/account/passkeys", {"name": "Phone", "password": PASSWORD})
    found = re.search(r'data-options="([^"]+)"', page.text)
    assert found
    options = json.loads(unescape(found[1]))
    assert options["authenticatorSelection"]["residentKey"] == "required"
    assert options["attestation"] == "none"
    assert options["user"]["name"] == PAT
    assert options["excludeCredentials"] == [{"type": "public-key", "id": options["excludeCredentials"][0]["id"]}]
    assert pat.post("/account/passkeys/add", {"name": "Phone", "answer": "wrong"}).status_code == 422
    pat.get("/account/passkeys")
    pat.post("/account/passkeys/add", {"name": "Phone", "answer": "right", "output": OUTPUT, "sealed": "right"})
    assert "opens all your messages" in pat.follow().text
    assert [(each.name, each.opens) for each in world.passkeys] == [("Phone", True)]


def test_a_passkey_that_keeps_no_keys_is_one_all_the_same(pat: Visitor, world: World) -> None:
    pat.get("/account/passkeys")
    pat.post("/account/passkeys/add", {"name": "Key", "answer": "right", "output": OUTPUT, "sealed": "wrong"})
    assert "It signs you in.</p>" in pat.follow().text
    assert [each.opens for each in world.passkeys] == [False]


def test_the_list_says_what_each_is_and_whether_it_was_copied(pat: Visitor, keyed: World) -> None:
    page = pat.get("/account/passkeys").text
    assert "Copied to your other devices. Opens all messages. Used " in page
    assert "In one device only. Signs you in. Not used yet" in page
    assert "&lt;Key&gt;" in page
    assert "somebody may have a copy" in page


def test_removing_one_takes_the_password_or_a_passkey(pat: Visitor, keyed: World) -> None:
    assert "It is your last one" not in pat.get("/account/passkeys/1/remove").text
    assert pat.post("/account/passkeys/1/remove", {"password": "wrong"}).status_code == 422
    assert pat.post("/account/passkeys/1/remove", {"shown-password": "wrong"}).status_code == 422
    pat.post("/account/passkeys/1/remove", {"shown-password": "right"})
    assert "Removed." in pat.follow().text
    assert "It is your last one" in pat.get("/account/passkeys/2/remove").text
    pat.post("/account/passkeys/2/remove", {"password": PASSWORD})
    assert keyed.passkeys == []
    assert pat.get("/account/passkeys/7/remove").status_code == 404


def test_after_the_password_a_passkey_does(visitor: Visitor, keyed: World) -> None:
    keyed.second_step = keyed.passkey_step = True
    visitor.get("/sign-in")
    visitor.post("/sign-in", {"address": PAT, "password": PASSWORD})
    page = visitor.follow().text
    assert "Now a passkey of yours" in page
    assert 'name="code"' in page  # the recovery code, where there is no script or no passkey any more
    visitor.post("/sign-in/number/passkey", {"answer": "wrong"})
    assert "This passkey does not open anything here." in visitor.follow().text
    answer = visitor.post("/sign-in/number/passkey", {"answer": "right", "trust": "1"})
    assert any("trust=" in each for each in answer.headers.getlist("Set-Cookie"))
    assert "Your messages" in visitor.follow().text


def test_number_and_passkey_stand_beside_each_other(visitor: Visitor, keyed: World) -> None:
    keyed.second_step = True
    visitor.get("/sign-in")
    visitor.post("/sign-in", {"address": PAT, "password": PASSWORD})
    page = visitor.follow().text
    assert "The number on your phone" in page
    assert "Use a passkey" in page


def test_a_passkey_after_the_password_is_turned_on_and_off(pat: Visitor, keyed: World) -> None:
    pat.get("/account/passkeys")
    wrong = pat.post("/account/passkeys/after-password", {"step-password": PASSWORD, "shown-code": "wrong"})
    assert wrong.status_code == 422
    assert "Password and passkey do not fit" in wrong.text
    page = pat.post("/account/passkeys/after-password", {"step-password": PASSWORD, "shown-code": "right"})
    assert "abcd-efgh" in page.text
    assert "Whoever has your password still needs a passkey" in pat.get("/account/passkeys").text
    form = {"step-password": PASSWORD, "code": CODE, "end": "1"}
    assert pat.post("/account/passkeys/after-password", form).status_code == 303
    assert not keyed.passkey_step


def test_a_passkey_shows_the_delivery_passphrase(ann: Visitor, keyed: World) -> None:
    assert "Use a passkey instead" in ann.get("/account/passphrase").text
    assert ann.post("/account/passphrase", {"shown-password": "wrong"}).status_code == 422
    assert "For replies since" in ann.post("/account/passphrase", {"shown-password": "right"}).text
    keyed.passkeys.clear()
    assert "passkey" not in ann.get("/account/passphrase").text


def test_a_challenge_is_for_a_purpose_that_there_is(pat: Visitor, keyed: World) -> None:
    pat.get("/account/passkeys")
    assert pat.post("/account/passkeys/challenge", {"purpose": "add"}).status_code == 400
    pat.get("/account/passkeys")
    assert pat.post("/account/passkeys/challenge", {"purpose": "number"}).get_json()["allowCredentials"]


def test_what_a_reset_locked_opens_by_a_passkey_from_before(pat: Visitor, keyed: World) -> None:
    for cookie, session in keyed.sessions.items():
        keyed.sessions[cookie] = replace(session, weak=True)
    assert "One that you had before the password was replaced" in pat.get("/account/unlock").text
    pat.post("/account/unlock/passkey", {"password": PASSWORD, "answer": "wrong"})
    assert "This passkey does not open anything here." in pat.follow().text
    pat.post("/account/unlock/passkey", {"password": PASSWORD, "answer": "right"})
    assert "unlock_by_passkey" in keyed.calls
    pat.get("/account/passkeys")
    refused = pat.post("/account/passkeys", {"name": "Mine", "password": PASSWORD})
    assert refused.status_code == 422
    assert "Open what is locked first" in refused.text


def test_who_came_in_by_a_passkey_opens_the_rest_with_the_password(pat: Visitor, keyed: World) -> None:
    for cookie, session in keyed.sessions.items():
        keyed.sessions[cookie] = replace(session, closed=(7,))
    assert "You came in by a passkey that does not open everything" in pat.get("/account").text
    assert "What your passkey does not open" in pat.get("/account/unlock").text
    assert pat.post("/account/unlock", {"kind": "present", "password": "wrong"}).status_code == 422
    pat.post("/account/unlock", {"kind": "present", "password": PASSWORD})
    assert "That opened it." in pat.follow().text


def test_a_passkey_stands_for_a_number_where_one_is_asked_for(ann: Visitor, keyed: World) -> None:
    keyed.second_step = True
    assert "Use a passkey instead" in ann.get("/account/number").text
    wrong = ann.post("/account/number/end", {"password": PASSWORD, "shown-code": "wrong"})
    assert wrong.status_code == 422
    assert ann.post("/account/number/end", {"password": PASSWORD, "shown-code": "right"}).status_code == 303
    assert not keyed.second_step

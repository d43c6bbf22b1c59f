"""The link of a notice: what it shows, what it never does, and the ways that lead from it to the message."""

from __future__ import annotations

import re

import pytest

from tests.portal.conftest import Visitor
from tests.portal.world import ANN, CODE, PASSWORD, World


def test_first_time_leads_from_code_over_password_to_the_message(visitor: Visitor, world: World) -> None:
    page = visitor.get("/m/new")
    assert page.status_code == 200
    for words in ("Dr. Ann Ruiz sent you a secure message", "ann@gmail.example", "7Q2K-9H3M", "(555) 010-0142"):
        assert words in page.text
    assert visitor.post("/m/new/code", {"code": "482 913"}).status_code == 303
    chosen = visitor.follow()
    assert "Choose a password" in chosen.text
    assert "/m/" not in visitor.page.request.path  # the token has left the address bar
    visitor.post("/open/password", {"password": PASSWORD})
    read = visitor.follow()
    assert "Your blood test from Tuesday" in read.text
    assert "Show my recovery code" in read.text
    assert "Show my recovery code" not in visitor.get("/messages/11").text  # offered once


def test_a_code_is_taken_with_spaces_and_hyphens(visitor: Visitor) -> None:
    visitor.get("/m/new")
    assert visitor.post("/m/new/code", {"code": " 48-29 13 "}).status_code == 303


def test_a_wrong_code_says_how_many_tries_are_left(visitor: Visitor) -> None:
    visitor.get("/m/new")
    page = visitor.post("/m/new/code", {"code": "000000"})
    assert page.status_code == 422
    assert "That is not the code. You have 4 tries left." in page.text
    for _ in range(3):
        page = visitor.post("/m/new/code", {"code": "000000"})
    assert "You have 1 try left" in page.text
    page = visitor.post("/m/new/code", {"code": "000000"})
    assert page.status_code == 410
    assert "your message is safe" in page.text
    assert "Dr. Ruiz can make a new one" in page.text


def test_a_known_recipient_signs_in_and_reads(visitor: Visitor) -> None:
    page = visitor.get("/m/known")
    assert "green canoe" in page.text
    assert "Type your password to read it" in page.text
    visitor.post("/m/known/password", {"password": "not this one at all"})
    assert visitor.page is not None
    assert visitor.page.status_code == 422
    assert "not this one at all" not in visitor.page.text
    visitor.post("/m/known/password", {"password": PASSWORD})
    visitor.follow()
    assert "Your blood test from Tuesday" in visitor.follow().text


def test_a_second_sender_asks_for_password_then_code(visitor: Visitor, world: World) -> None:
    assert "Type your password" in visitor.get("/m/second").text
    visitor.post("/m/second/password", {"password": PASSWORD})
    page = visitor.follow()
    assert "Type the code Dr. Holm gave you" in page.text
    assert visitor.post("/m/second/code", {"code": "1"}).status_code == 422
    visitor.post("/m/second/code", {"code": CODE})
    assert "Echo and ECG" in visitor.follow().text
    assert "prove_as" in world.calls


def test_a_wrong_code_where_there_is_a_password_leaves_both_fields_on_the_page(visitor: Visitor) -> None:
    visitor.get("/m/second")
    page = visitor.post("/m/second/code", {"code": "11111111"})
    assert page.status_code == 422
    assert "That is not the code. You have 4 tries left." in page.text
    assert 'name="password"' in page.text
    assert re.search(r"<details[^>]* open>\s*<summary>I never chose a password here", page.text)


def test_a_code_for_an_address_with_a_proven_password_leads_to_that_password(visitor: Visitor, world: World) -> None:
    world.may_register = False
    visitor.get("/m/second")
    page = visitor.post("/m/second/code", {"code": CODE})
    assert "There is a password for this address already" in page.text
    assert "register" not in world.calls


@pytest.mark.parametrize(
    ("token", "status", "words"),
    [
        ("expired", 410, "This message was kept until"),
        ("suspended", 410, "took this message back"),
        ("left", 410, "has closed the account that sent this"),
        ("nobody", 404, "This link opens nothing"),
    ],
)
def test_dead_ends_have_pages_of_their_own(visitor: Visitor, token: str, status: int, words: str) -> None:
    page = visitor.get(f"/m/{token}")
    assert page.status_code == status
    assert words in page.text


@pytest.mark.parametrize("token", ["expired", "suspended", "left"])
def test_neither_code_nor_password_is_taken_for_what_has_ended(visitor: Visitor, world: World, token: str) -> None:
    visitor.get("/sign-in")
    assert visitor.post(f"/m/{token}/code", {"code": CODE}).status_code == 410
    visitor.get("/sign-in")
    assert visitor.post(f"/m/{token}/password", {"password": PASSWORD}).status_code == 410
    assert world.calls == []


def test_another_account_is_told_so_without_the_whole_address(ann: Visitor) -> None:
    page = ann.get("/m/known")
    assert page.status_code == 403
    assert "p…@yahoo.example" in page.text
    assert "pat@yahoo.example" not in page.text


def test_a_signed_in_recipient_goes_straight_to_a_proven_message(pat: Visitor) -> None:
    assert pat.get("/m/known").location == "/messages/11"


def test_the_password_page_is_nothing_without_a_proof(visitor: Visitor, world: World) -> None:
    assert visitor.get("/open/password").status_code == 410
    visitor.get("/sign-in")
    assert visitor.post("/open/password", {"password": PASSWORD}).status_code == 410
    assert "register" not in world.calls


def test_a_weak_password_is_refused_in_words_and_not_shown_again(visitor: Visitor, world: World) -> None:
    visitor.get("/m/new")
    visitor.post("/m/new/code", {"code": CODE})
    visitor.follow()
    page = visitor.post("/open/password", {"password": "kitten-pawprint"[:9]})
    assert page.status_code == 422
    assert "at least 15 characters" in page.text
    assert "kitten-pa" not in page.text
    assert visitor.post("/open/password", {"password": "password password"}).status_code == 422
    assert "register" not in world.calls


def test_a_suggested_passphrase_needs_no_script(visitor: Visitor, world: World) -> None:
    visitor.get("/m/new")
    visitor.post("/m/new/code", {"code": CODE})
    visitor.follow()
    first = visitor.post("/open/password", {"suggest": "1"}).text
    second = visitor.post("/open/password", {"suggest": "1"}).text
    words = [text.split('class="long-key">')[1].split("<")[0] for text in (first, second)]
    assert words[0] != words[1]
    assert all(len(each) >= 15 for each in words)
    assert f'value="{words[1]}"' in second
    assert visitor.post("/open/password", {"password": words[1]}).status_code == 303


def test_enter_in_the_password_field_saves_what_was_typed(visitor: Visitor, world: World) -> None:
    visitor.get("/m/new")
    visitor.post("/m/new/code", {"code": CODE})
    form = visitor.follow().text.split('autocomplete="username"')[1]
    first = form.split("<button", 1)[1].split(">", 1)[0]
    assert "suggest" not in first, "a browser presses the form's first button on Enter"


def test_a_scanner_that_follows_every_link_changes_nothing(visitor: Visitor, world: World) -> None:
    for token in world.waiting:
        for _ in range(10):
            visitor.client.get(f"/m/{token}", base_url="https://open.cryptnsend.example")
            visitor.client.head(f"/m/{token}", base_url="https://open.cryptnsend.example")
    assert world.calls == []


def test_a_scanner_that_presses_every_button_opens_nothing(visitor: Visitor, world: World) -> None:
    for token in ("new", "known", "second"):
        visitor.get(f"/m/{token}")
        visitor.post(f"/m/{token}/code", {"code": ""})
        visitor.get(f"/m/{token}")
        visitor.post(f"/m/{token}/password", {"password": ""})
    assert not {"register", "show", "prove", "prove_as"} & set(world.calls)
    assert world.sessions == {}
    assert world.tries == 5


@pytest.mark.parametrize(
    ("token", "words"), [("new", "Ask Dr. Ruiz for a code"), ("expired", "Ask Dr. Ruiz to send it again")]
)
def test_every_dead_end_leads_to_a_question_that_a_button_asks(
    visitor: Visitor, world: World, token: str, words: str
) -> None:
    visitor.get(f"/m/{token}")
    assert f"/m/{token}/ask" in visitor.page.text
    assert words in visitor.get(f"/m/{token}/ask").text
    assert f"ask {token}" not in world.calls
    assert "Dr. Ruiz gets a mail from us" in visitor.post(f"/m/{token}/ask").text
    assert f"ask {token}" in world.calls


def test_a_used_up_code_leads_to_a_question(visitor: Visitor, world: World) -> None:
    world.tries = 1
    visitor.get("/m/new")
    assert "/m/new/ask" in visitor.post("/m/new/code", {"code": "111111"}).text


def test_a_message_that_ended_while_its_page_was_open_says_so(visitor: Visitor, world: World) -> None:
    visitor.get("/m/new")
    world.waiting["new"] = world.waiting["expired"]
    page = visitor.post("/m/new/code", {"code": "111111"})
    assert page.status_code == 410
    assert "This message was kept until" in page.text
    assert "/m/new/ask" in page.text


def test_in_the_list_too_a_message_that_is_no_longer_kept_can_be_asked_for(pat: Visitor, world: World) -> None:
    pat.get("/messages/8")
    assert "/messages/8/ask" in pat.page.text
    pat.get("/messages/8/ask")
    assert "gets a mail from us" in pat.post("/messages/8/ask").text
    assert "ask 8" in world.calls
    assert pat.get("/messages/11/ask").status_code == 303


def test_another_address_of_mine_is_proven_from_its_own_link(ann: Visitor, world: World) -> None:
    page = ann.get("/m/known").text
    assert "p…@yahoo.example" in page
    ann.post("/m/known/mine")
    assert ann.page.location.endswith("/account/addresses/code")
    ann.follow()
    ann.post("/account/addresses/code", {"code": CODE})
    assert ann.page.location.endswith("/m/known")


@pytest.mark.parametrize("token", ["new", "known"])
def test_who_shares_an_address_learns_what_to_do(visitor: Visitor, world: World, token: str) -> None:
    assert f"/m/{token}/shared" in visitor.get(f"/m/{token}").text
    page = visitor.get(f"/m/{token}/shared")
    assert (page.status_code, "an address has one password" in page.text) == (200, True)
    assert visitor.post(f"/m/{token}/shared").location == "/sign-in"
    visitor.follow()
    visitor.post("/sign-in", {"address": ANN, "password": PASSWORD})
    assert visitor.page is not None
    assert visitor.page.location == f"/m/{token}/shared"  # back to where they were
    assert "ask_own" not in " ".join(world.calls)


def test_who_has_an_address_of_their_own_asks_to_be_written_to_there(ann: Visitor, world: World) -> None:
    assert "/m/known/shared" in ann.get("/m/known").text
    assert "ask_own known" not in world.calls
    ann.get("/m/known/shared")
    page = ann.post("/m/known/shared").text
    assert "you would like to have the message at ann" in page
    assert world.calls.count("ask_own known") == 1

"""What a sender lets stand in for the code: chosen on the page, offered to the recipient; and which mails they get."""

from __future__ import annotations

import re

import pytest

from tests.portal.conftest import Visitor
from tests.portal.test_compose import KNOWN, fill
from tests.portal.world import CODE, DAY, NOW, PASSWORD, World


def test_the_page_offers_what_the_server_allows_and_sends_what_was_chosen(ann: Visitor, world: World) -> None:
    page = ann.get("/write").text
    assert "Also with a code by e-mail, if they ask for it" in page
    assert "whoever can read their mail can then open this message" in page
    assert "Without a code" not in page
    fill(ann, KNOWN | {"instead": "mail"})
    assert world.mails[0]["writing"].wishes.way == "mail"


def test_where_the_server_allows_nothing_the_page_offers_nothing(ann: Visitor, world: World) -> None:
    world.instead = ("code",)
    page = ann.get("/write").text
    assert 'name="instead"' not in page
    assert "need the code that you tell them by phone" in page
    world.instead = ("code", "mail", "none")
    assert "whoever opens the link first can read this message" in ann.get("/write").text


def test_a_recipient_has_the_code_mailed_by_a_button_and_never_by_a_link(visitor: Visitor, world: World) -> None:
    assert "E-mail me a code instead" in visitor.get("/m/by-mail").text
    assert "E-mail me a code instead" not in visitor.get("/m/new").text
    assert visitor.get("/m/by-mail/mail").status_code == 405
    assert visitor.get("/m/by-mail/mailed").location == "/m/by-mail"
    visitor.get("/m/by-mail")
    assert visitor.post("/m/by-mail/mail").status_code == 303
    assert world.calls.count("mail_code by-mail") == 1
    page = visitor.follow()
    assert "It works for 10 minutes, and for this message only." in page.text
    assert visitor.post("/m/by-mail/mailed", {"code": "oops"}).status_code == 422
    assert "prove_mailed 81" not in world.calls
    wrong = visitor.post("/m/by-mail/mailed", {"code": "111111"})
    assert (wrong.status_code, "That is not the code." in wrong.text) == (422, True)
    assert visitor.post("/m/by-mail/mailed", {"code": f" {CODE[:3]}-{CODE[3:]} "}).location == "/open/password"
    assert visitor.follow().status_code == 200


def test_a_code_mailed_for_one_link_is_asked_for_on_no_other(visitor: Visitor, world: World) -> None:
    visitor.get("/m/by-mail")
    visitor.post("/m/by-mail/mail")
    assert visitor.get("/m/new/mailed").location == "/m/new"
    assert visitor.get("/m/second/mailed").location == "/m/second"
    assert "prove_mailed 81" not in world.calls


def test_where_no_code_is_asked_for_a_button_leads_on(visitor: Visitor) -> None:
    page = visitor.get("/m/free").text
    assert "asks for no code" in page
    assert 'name="code"' not in page


@pytest.mark.parametrize(("password", "status"), [("", 422), (PASSWORD, 303)])
def test_codes_by_mail_as_a_rule_take_the_password(ann: Visitor, world: World, password: str, status: int) -> None:
    ann.get("/account/mails")
    answer = ann.post("/account/mails", {"way": "mail", "mail": ["opened"], "password": password})
    assert answer.status_code == status
    assert world.usual_way == ("mail" if status == 303 else "code")
    assert world.mail_wishes.get("opened", False) is (status == 303)


def test_mails_are_chosen_and_the_choice_is_shown_again(ann: Visitor, world: World) -> None:
    page = ann.get("/account/mails").text
    assert page.count("checked") == 4  # all but openings, and the code by phone
    assert ann.post("/account/mails", {"mail": ["opened", "new-sign-in"], "way": "code"}).location == "/account"
    assert world.mail_wishes == {"opened": True, "bounced": False, "code-failed": False, "new-sign-in": True}
    assert "<b>Saved.</b>" in ann.follow().text
    assert 'value="opened" checked' in ann.get("/account/mails").text


def test_the_page_is_for_subscribers(pat: Visitor) -> None:
    assert pat.get("/account/mails").status_code == 404


def test_family_and_friends_are_named_with_the_password_and_what_it_means_is_said(ann: Visitor, world: World) -> None:
    page = ann.get("/account/friends").text
    assert "Never name patients or clients here." in page
    form = {"friends": "mum@home.example, joe@home.example"}
    wrong = ann.post("/account/friends", form | {"password": "no"})
    assert (wrong.status_code, world.friends) == (422, ())
    assert "mum@home.example" in wrong.text
    assert "This is no address" in ann.post("/account/friends", {"friends": "oops", "password": PASSWORD}).text
    assert ann.post("/account/friends", form | {"password": PASSWORD}).location == "/account"
    assert world.friends == ("mum@home.example", "joe@home.example")


def test_where_the_rules_let_nobody_have_friends_the_page_says_so(ann: Visitor, world: World) -> None:
    world.may_friends = False
    assert "You can take addresses out here, and add none." in ann.get("/account/friends").text


def test_where_no_ordinary_mail_is_allowed_the_page_of_friends_says_so(ann: Visitor, world: World) -> None:
    world.may_plain = False
    assert "do not let you send ordinary mail" in ann.get("/account/friends").text


def test_who_signed_up_a_few_days_ago_reads_from_when_they_may_send_ordinary_mail(ann: Visitor, world: World) -> None:
    world.plain_from = NOW + 3 * DAY
    assert "Your account is new: until" in ann.get("/account/friends").text
    page = ann.get("/write").text
    assert "a new account sends none in its first days" in page
    assert re.search(r'value="plain" disabled', page)

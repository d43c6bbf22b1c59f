"""A forgotten password on the pages, over the real flows: what locks, what opens it again, and by which way."""

from __future__ import annotations

import re

import pytest

from cryptnsend.core.errors import WrongSecret
from cryptnsend.portal import Portal
from tests.flow.test_second import enrolled, number
from tests.portal.conftest import Visitor
from tests.portal.real import ANN, PAT, first_visit, portal, signed_in
from tests.support.house import MINUTE, OTHER, PASSWORD, House


@pytest.fixture
def app(house: House) -> Portal:
    house.add_subscriber(ANN, name="Dr. Ann Ruiz")
    return portal(house)


def test_a_forgotten_password_loses_no_mail(app: Portal, house: House) -> None:
    message = house.submit(ANN, [PAT], house.mail("Results"))
    first_visit(app, house, message)
    visitor = Visitor(app)
    visitor.get("/forgot")
    visitor.post("/forgot", {"address": PAT})
    visitor.follow()
    visitor.post("/forgot/code", {"code": house.mailed_code(), "password": OTHER})
    assert "for now they are locked" in visitor.follow().text
    assert "Results" not in visitor.get("/messages").text
    token = house.link(message, PAT)
    assert "Type the code" in visitor.get(f"/m/{token}").text
    visitor.post(f"/m/{token}/code", {"code": house.code(ANN, PAT)})
    assert "Results" in visitor.follow().text


def test_the_earlier_password_opens_what_a_reset_locked(app: Portal, house: House) -> None:
    message = house.submit(ANN, [PAT], house.mail("Results"))
    first_visit(app, house, message)
    house.reset(PAT)
    pat = signed_in(app, PAT, OTHER)
    assert "Results" not in pat.get("/messages").text
    pat.get("/account/unlock")
    pat.post("/account/unlock", {"kind": "password", "secret": PASSWORD, "password": OTHER})
    assert "That opened it." in pat.follow().text


def test_a_recovery_code_opens_what_a_reset_locked(app: Portal, house: House) -> None:
    message = house.submit(ANN, [PAT], house.mail("Results"))
    pat = first_visit(app, house, message)
    pat.get("/account/recovery")
    shown = pat.post("/account/recovery", {"password": PASSWORD}).text
    code = re.search(r'id="recovery-code"[^>]*>([^<]+)<', shown)
    assert code
    house.reset(PAT)
    pat = signed_in(app, PAT, OTHER)
    pat.get("/account/unlock")
    pat.post("/account/unlock", {"kind": "recovery", "secret": code[1].lower(), "password": OTHER})
    assert "That opened it." in pat.follow().text


def test_after_a_reset_the_link_leads_by_the_new_password_and_the_new_code_to_the_message(
    app: Portal, house: House
) -> None:
    message = house.submit(ANN, [PAT], house.mail("Results"))
    token, old = house.link(message, PAT), house.code(ANN, PAT)
    first_visit(app, house, message)
    account = house.reset(PAT).account
    pat = Visitor(app)  # another browser, in which nobody is signed in
    pat.get(f"/m/{token}")
    page = pat.post(f"/m/{token}/code", {"code": old})
    assert page.status_code == 410
    assert "There is a password for pat@yahoo.example. Sign in with it first" in page.text
    new = house.code(ANN, PAT)
    pat.get(f"/m/{token}")
    page = pat.post(f"/m/{token}/code", {"code": new})
    assert "There is a password for this address already" in page.text
    assert f'href="/m/{token}"' in page.text
    pat.get(f"/m/{token}")
    pat.post(f"/m/{token}/password", {"password": OTHER})
    assert "Type the code Dr. Ruiz gave you" in pat.follow().text
    assert pat.post(f"/m/{token}/code", {"code": new}).status_code == 303
    assert "Results" in pat.follow().text
    assert house.account(PAT) == account


def test_who_never_chose_the_password_there_is_takes_the_address_back_with_the_code(app: Portal, house: House) -> None:
    message = house.submit(ANN, [PAT], house.mail("Results"))
    token = house.link(message, PAT)
    first_visit(app, house, message)
    intruder = house.reset(PAT)  # by somebody who reads the mailbox
    phrase = house.pickup.waiting(token).phrase
    pat = Visitor(app)
    pat.get(f"/m/{token}")
    pat.post(f"/m/{token}/code", {"code": house.code(ANN, PAT)})
    assert house.pickup.waiting(token).phrase == phrase  # nothing is agreed anew before she says so
    pat.post("/open/anew")
    page = pat.follow().text
    assert "Choose a password" in page
    assert phrase not in page
    pat.post("/open/password", {"password": PASSWORD})
    assert "Results" in pat.follow().text  # which was sealed to the account that was taken over
    assert house.account(PAT) != intruder.account
    with pytest.raises(WrongSecret):
        house.session(PAT, OTHER)


def test_a_password_page_that_somebody_forged_leads_nowhere(app: Portal, house: House) -> None:
    message = house.submit(ANN, [PAT], house.mail("Results"))
    first_visit(app, house, message)
    house.reset(PAT)
    stranger = Visitor(app)
    stranger.get(f"/m/{house.link(message, PAT)}")
    assert stranger.post("/open/anew").status_code == 410
    stranger.get("/sign-in")
    assert stranger.get("/open/password").status_code == 410


def test_a_password_that_appears_while_another_is_chosen_is_said_and_no_loop(app: Portal, house: House) -> None:
    message = house.submit(ANN, [PAT], house.mail("Results"))
    token = house.link(message, PAT)
    code = house.code(ANN, PAT)
    slow = Visitor(app)
    slow.get(f"/m/{token}")
    slow.post(f"/m/{token}/code", {"code": code})
    slow.follow()
    quick = first_visit(app, house, message)
    assert "Results" in (quick.page.text if quick.page else "")
    page = slow.post("/open/password", {"password": OTHER})
    assert "There is a password for this address already" in page.text
    assert f'href="/m/{token}"' in page.text


def test_the_phone_of_before_opens_what_a_reset_locked(app: Portal, house: House) -> None:
    ann = house.session(ANN)
    message = house.submit(ANN, [ANN], house.mail(to=[ANN]))
    secret, _ = enrolled(house, ann)
    house.reset(ANN, OTHER)
    house.clock.forward(MINUTE)
    visitor = signed_in(app, ANN, OTHER)
    visitor.follow()  # the page that asks for the number
    assert visitor.post("/sign-in/number", {"code": number(house, secret)}).status_code == 303
    page = visitor.get("/account/unlock").text
    assert "The number that your phone shows" in page
    house.clock.forward(MINUTE)
    form = {"kind": "second", "password": OTHER}
    assert "That is not the number" in visitor.post("/account/unlock", form | {"secret": "000000"}).text
    typed = number(house, secret)
    answer = visitor.post("/account/unlock", form | {"secret": f"{typed[:3]} {typed[3:]}"})
    assert answer.location == "/account"
    assert "That opened it." in visitor.follow().text
    assert "All is well." in visitor.get(f"/messages/{message}").text

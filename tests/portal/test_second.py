"""A number after the password: asked for wherever a password is typed, once per trusted device, set up by a picture."""

from __future__ import annotations

import pytest

from tests.portal.conftest import Visitor
from tests.portal.world import CODE, PASSWORD, PAT, World


@pytest.fixture
def stepped(world: World) -> World:
    world.second_step = True
    return world


def typed(visitor: Visitor) -> None:
    visitor.get("/sign-in")
    visitor.post("/sign-in", {"address": PAT, "password": PASSWORD})


def test_the_password_leads_to_the_number_and_the_number_in(visitor: Visitor, stepped: World) -> None:
    typed(visitor)
    assert not stepped.sessions
    assert "The number on your phone" in visitor.follow().text
    page = visitor.post("/sign-in/number", {"code": "111 111"})
    assert page.status_code == 422
    assert "That is not the number" in page.text
    visitor.post("/sign-in/number", {"code": f"{CODE[:3]} {CODE[3:]}"})
    assert "Your messages" in visitor.follow().text


def test_without_a_password_there_is_no_page_for_numbers(visitor: Visitor, stepped: World) -> None:
    assert visitor.get("/sign-in/number").location == "/sign-in"


def test_nothing_typed_costs_no_try(visitor: Visitor, stepped: World) -> None:
    typed(visitor)
    visitor.follow()
    assert "Type the number that your phone shows" in visitor.post("/sign-in/number", {"code": " "}).text


def test_the_link_of_a_notice_asks_too_and_leads_back_to_the_message(visitor: Visitor, stepped: World) -> None:
    visitor.get("/m/known")
    visitor.post("/m/known/password", {"password": PASSWORD})
    visitor.follow()
    visitor.post("/sign-in/number", {"code": CODE})
    assert visitor.page is not None
    assert visitor.page.location == "/m/known"


def test_a_trusted_device_is_not_asked_again(visitor: Visitor, stepped: World) -> None:
    typed(visitor)
    visitor.follow()
    answer = visitor.post("/sign-in/number", {"code": CODE, "trust": "1"})
    (set_cookie,) = [each for each in answer.headers.getlist("Set-Cookie") if "trust" in each]
    for word in ("__Host-cryptnsend-trust=", "Secure", "HttpOnly", "Path=/", "SameSite=Lax", "Max-Age=2592000"):
        assert word in set_cookie
    visitor.follow()
    visitor.post("/sign-out")
    typed(visitor)
    assert visitor.page is not None
    assert visitor.page.location == "/messages"
    visitor.follow()
    visitor.get("/account/number")
    visitor.post("/account/number/forget")
    assert "forget_browsers" in stepped.calls


def test_the_recovery_code_stands_in_for_a_lost_phone(visitor: Visitor, stepped: World) -> None:
    typed(visitor)
    visitor.follow()
    visitor.post("/sign-in/number", {"code": "recovery code of letters"})
    assert visitor.page is not None
    assert visitor.page.location == "/messages"


def test_it_is_set_up_with_a_picture_and_a_first_number(pat: Visitor, world: World) -> None:
    pat.get("/account/number")
    assert pat.post("/account/number", {"password": "wrong"}).status_code == 422
    page = pat.post("/account/number", {"password": PASSWORD}).text
    assert "<svg" in page
    assert "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" in page  # RFC 6238, appendix B: the key of its test vectors
    assert "otpauth" not in page
    assert pat.post("/account/number/first", {"code": "111111"}).status_code == 422
    assert "abcd-efgh" in pat.post("/account/number/first", {"code": CODE}).text
    assert "It is on." in pat.get("/account/number").text
    assert pat.post("/account/number/end", {"password": PASSWORD, "code": "1"}).status_code == 422
    pat.post("/account/number/end", {"password": PASSWORD, "code": CODE})
    assert not world.second_step

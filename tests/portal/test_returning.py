"""A page that a form brought is loaded anew by phones, and read in another language: neither is a dead end."""

from __future__ import annotations

import pytest

from cryptnsend.portal import Portal
from cryptnsend.portal.returning import PAGES
from tests.portal.conftest import Visitor
from tests.portal.world import World


def test_a_wrong_code_s_page_that_is_loaded_anew_is_the_page_of_the_link(visitor: Visitor, world: World) -> None:
    visitor.get("/m/new")
    assert visitor.post("/m/new/code", {"code": "111111"}).status_code == 422
    world.calls.clear()
    assert visitor.get("/m/new/code").status_code == 303
    assert "Type the code" in visitor.follow().text
    assert not [each for each in world.calls if each.startswith("prove")]


def test_another_language_is_chosen_on_a_page_that_a_form_brought(visitor: Visitor, ann: Visitor) -> None:
    visitor.get("/m/new")
    assert 'name="back" value="/m/new"' in visitor.post("/m/new/code", {"code": "111111"}).text
    visitor.get("/sign-in")
    wrong = visitor.post("/sign-in", {"address": "pat@yahoo.example", "password": "wrong"})
    assert 'name="back" value="/sign-in"' in wrong.text
    ann.get("/sent/21")
    assert 'name="back" value="/sent/21"' in ann.post("/sent/21/codes").text
    ann.get("/messages")
    assert 'name="back" value="/messages/search"' in ann.post("/messages/search", {"words": "blood"}).text


@pytest.mark.parametrize("form", sorted(PAGES))
def test_every_form_is_led_back_to_a_page_that_can_be_looked_at(app: Portal, form: str) -> None:
    forms, pages = list(app.url_map.iter_rules(form)), list(app.url_map.iter_rules(PAGES[form]))
    assert all("GET" not in (each.methods or ()) for each in forms)
    assert "GET" in (pages[0].methods or ())
    assert pages[0].arguments <= forms[0].arguments


def test_what_somebody_else_asks_for_leads_nowhere_they_may_not_go(visitor: Visitor, pat: Visitor) -> None:
    assert visitor.get("/sent/21/codes").location == "/sent/21"
    assert visitor.follow().location == "/sign-in"
    assert pat.get("/sent/21/codes").location == "/sent/21"
    assert pat.follow().status_code == 404

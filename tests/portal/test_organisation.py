"""What officers and managers see and do on their pages, and that nobody else does."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from werkzeug.test import TestResponse

from cryptnsend.core.organisation import SETTINGS
from tests.portal import fakes_organisation
from tests.portal.conftest import Visitor
from tests.portal.world import ANN, PASSWORD, FakeSession, World

GET = ["", "/policy", "/policy/history", "/policy/compare/1/2", "/people", "/people/11", "/domains"]
POST: dict[str, dict[str, str]] = {
    "/policy": {"life_days": "3", "password": PASSWORD},
    "/policy/revert/1": {"password": PASSWORD},
    "/people/invite": {"address": "eve@x.example"},
    "/people/list": {"list": "eve@x.example"},
    "/people/12/disable": {"password": PASSWORD},
    "/people/12/enable": {"password": PASSWORD},
    "/people/12/roles": {"password": PASSWORD, "role": "officer"},
    "/people/12/hand-over": {"password": PASSWORD, "to": ANN},
    "/domains": {"domain": "x.example"},
}
FOR_OFFICERS = {"/policy", "/policy/history", "/policy/compare/1/2", "/policy/revert/1", "/people/12/roles"}


@pytest.fixture
def people(world: World) -> World:
    world.sessions |= {
        "officer": FakeSession(3, ANN, ("subscriber", "officer"), "Dr. Ann Ruiz", organisation=7),
        "manager": FakeSession(11, "bea@clinic.example", ("manager",), "Bea", organisation=7),
        "subscriber": FakeSession(12, "carl@clinic.example", ("subscriber",), "Carl", organisation=7),
        "pat": FakeSession(13, "pat@yahoo.example"),
    }
    return world


class Browser(Visitor):
    """A browser that has a page with a form open whenever it sends one."""

    def post(self, url: str, data: dict[str, Any] | None = None, **values: Any) -> TestResponse:
        self.get("/account")
        return super().post(url, data, **values)


def visit(app: Any, who: str) -> Browser:
    visitor = Browser(app())
    visitor.carry(who)
    return visitor


@pytest.mark.parametrize("who", ["subscriber", "pat"])
@pytest.mark.parametrize("page", GET)
def test_to_who_looks_after_nothing_these_pages_do_not_exist(make_app: Any, people: World, who: str, page: str) -> None:
    visitor = visit(make_app, who)
    assert visitor.get(f"/organisation{page}").status_code == 404
    assert "/organisation" not in visitor.get("/account").text


@pytest.mark.parametrize("who", ["subscriber", "pat"])
@pytest.mark.parametrize("page", list(POST))
def test_a_tampered_form_of_who_looks_after_nothing_does_nothing(
    make_app: Any, people: World, who: str, page: str
) -> None:
    visitor = visit(make_app, who)
    visitor.get("/account")
    assert visitor.post(f"/organisation{page}", POST[page]).status_code == 404
    assert people.calls == []


@pytest.mark.parametrize("page", sorted(FOR_OFFICERS))
def test_a_manager_who_is_no_officer_finds_no_rules_and_gives_no_roles(make_app: Any, people: World, page: str) -> None:
    visitor = visit(make_app, "manager")
    visitor.get("/account")
    answers = [visitor.post(f"/organisation{page}", POST[page])] if page in POST else []
    answers += [visitor.get(f"/organisation{page}")] if page in GET else []
    assert [each.status_code for each in answers] == [404] * len(answers)
    assert people.calls == []
    assert "/organisation/policy" not in visitor.get("/organisation").text


@pytest.mark.parametrize("who", ["officer", "manager"])
def test_without_a_second_step_nothing_opens(
    make_app: Any, people: World, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    monkeypatch.setattr("tests.portal.fakes_organisation.FakeOrganisations.is_ready", lambda *_: False)
    visitor = visit(make_app, who)
    answer = visitor.get("/organisation/people")
    assert answer.status_code == 403
    assert "/account/number" in answer.text
    assert visitor.post("/organisation/people/12/disable", POST["/people/12/disable"]).status_code == 403
    assert people.calls == []


def test_an_officer_sees_rules_with_what_holds_and_changes_them_with_a_reason(make_app: Any, people: World) -> None:
    visitor = visit(make_app, "officer")
    page = visitor.get("/organisation/policy").text
    assert "The server allows less; what holds is: 1000." in page
    assert 'name="version" value="2"' in page
    form = {"version": "2", "life_days": "10", "plain_token": "no", "why": "shorter", "password": PASSWORD}
    assert visitor.post("/organisation/policy", form).status_code == 303
    assert people.calls == ["rules ['life_days', 'plain_token'] shorter"]
    assert "The next message goes by these rules" in visitor.get("/organisation/policy").text


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"life_days": "0"}, "life_days is a whole number from 1 to 2555"),
        ({"default": "pigeon"}, "default is one of"),
        ({"plain_people": "ann"}, "is no address"),
        ({"life_days": "2000", "life_most_days": "30"}, "Nothing was changed."),
        ({"life_days": "9", "password": "wrong"}, "That is not your password."),
        ({"life_days": "9", "why": ""}, "Say why the rules change."),
        ({"life_days": "9", "why": "\u2060 \u3164"}, "Say why the rules change."),
    ],
)
def test_what_cannot_be_says_why_beside_its_field_and_keeps_what_was_typed(
    make_app: Any, people: World, form: dict[str, str], said: str
) -> None:
    visitor = visit(make_app, "officer")
    visitor.get("/organisation/policy")
    answer = visitor.post("/organisation/policy", {"version": "2", "password": PASSWORD, "why": "so", **form})
    assert answer.status_code == 422
    assert said in answer.text
    assert form.get("why") is not None or 'value="so"' in answer.text
    assert 'value="9"' in answer.text or form.get("life_days") != "9"
    assert people.calls == []


def test_the_history_says_who_when_why_and_leads_back(make_app: Any, people: World) -> None:
    visitor = visit(make_app, "officer")
    page = visitor.get("/organisation/policy/history").text
    assert "Two weeks, since people are away." in page
    assert "the server&#39;s owner" in page
    compared = visitor.get("/organisation/policy/compare/1/2").text
    assert "Bring version 1 back" in compared
    assert "Bring version" not in visitor.get("/organisation/policy/compare/0/1").text
    assert visitor.get("/organisation/policy/compare/1/9").status_code == 404
    assert visitor.post("/organisation/policy/revert/1", {"password": "x"}).status_code == 422
    assert visitor.post("/organisation/policy/revert/1", {"password": PASSWORD}).status_code == 303
    assert people.calls == ["rules ['life_days'] back to version 1"]


def test_people_are_found_by_words_page_by_page(make_app: Any, people: World) -> None:
    visitor = visit(make_app, "manager")
    page = visitor.get("/organisation/people").text
    assert "250 people" in page
    assert "after=dora." in page
    found = visitor.get("/organisation/people?words=carl").text
    assert "carl@clinic.example" in found
    assert "bea@clinic.example" not in found.split("<main")[1]
    assert "Nobody is found" in visitor.get("/organisation/people?words=nobody").text


def test_a_list_with_a_bad_line_names_the_line_and_invites_nobody(make_app: Any, people: World) -> None:
    visitor = visit(make_app, "manager")
    visitor.get("/organisation/people")
    answer = visitor.post("/organisation/people/list", {"list": "eve@x.example\noops"})
    assert answer.status_code == 422
    assert "Nobody was invited." in answer.text
    assert "Line 2:" in answer.text
    assert visitor.post("/organisation/people/list", {"list": "eve@x.example"}).status_code == 303
    assert "1 person was invited" in visitor.get("/organisation/people").text


def test_who_is_stopped_let_in_or_handed_over_takes_the_password_each_time(make_app: Any, people: World) -> None:
    visitor = visit(make_app, "officer")
    visitor.get("/organisation/people/12")
    for order, form in (
        ("11/disable", {}), ("12/enable", {}), ("11/roles", {"role": "manager"}), ("11/hand-over", {"to": ANN}),
    ):  # fmt: skip
        wrong = visitor.post(f"/organisation/people/{order}", form | {"password": "x"})
        assert (wrong.status_code, "That is not your password." in wrong.text) == (422, True)
        assert visitor.post(f"/organisation/people/{order}", form | {"password": PASSWORD}).status_code == 303
    assert people.calls == ["disable 11", "enable 12", "roles 11 manager", f"hand over 11 {ANN}"]
    assert visitor.get("/organisation/people/99").status_code == 404


@pytest.mark.parametrize(
    ("person", "order", "fields"),
    [
        (11, "disable", {"password"}), (11, "roles", {"password", "code", "role"}),
        (11, "hand-over", {"password", "code", "to"}), (12, "enable", {"password"}),
    ],
)  # fmt: skip
def test_what_is_asked_about_somebody_is_sent_under_the_names_that_are_read(
    make_app: Any, people: World, person: int, order: str, fields: set[str]
) -> None:
    """Several forms of the page ask for the same: ids keep their labels apart, and browsers send what `name` says."""
    page = visit(make_app, "officer").get(f"/organisation/people/{person}").text
    form = re.search(rf'<form[^>]*action="/organisation/people/{person}/{order}".*?</form>', page, re.DOTALL)
    assert form is not None
    inputs = re.findall(r"<input [^>]*\bname=(\S+)", form[0])
    assert {each.strip('"') for each in inputs} - {"shown-code"} == {"csrf_token", "username"} | fields
    labelled = re.findall(r'<label class="label" for="(\S+)"', form[0])
    assert len(labelled) == len(fields - {"role"})
    assert [len(re.findall(rf'<input class="[\w ]+" id="{each}"', page)) for each in labelled] == [1] * len(labelled)


def test_an_officers_role_is_taken_away_beside_the_way_to_a_new_key_of_the_archive(
    make_app: Any, people: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    officer = replace(fakes_organisation.PEOPLE[1], id=14, roles=("subscriber", "officer"))
    monkeypatch.setattr(fakes_organisation, "PEOPLE", (*fakes_organisation.PEOPLE, officer))
    visitor = visit(make_app, "officer")
    assert "/account/archive-key" in visitor.get("/organisation/people/14").text
    assert "/account/archive-key" not in visitor.get("/organisation/people/11").text


def test_a_domain_shows_the_record_and_is_looked_for(make_app: Any, people: World) -> None:
    visitor = visit(make_app, "manager")
    assert "_cryptnsend.praxis.example" in visitor.get("/organisation/domains").text
    assert visitor.post("/organisation/domains", {"domain": "nodot"}).status_code == 422
    visitor.post("/organisation/domains", {"domain": "praxis.example", "check": "1"})
    assert "not there yet" in visitor.get("/organisation/domains").text
    visitor.post("/organisation/domains", {"domain": "praxis.example", "drop": "1"})
    assert "praxis.example" not in visitor.get("/organisation/domains").text


def test_orders_are_no_links(make_app: Any, people: World) -> None:
    visitor = visit(make_app, "officer")
    for page in set(POST) - {"/policy", "/domains"}:
        assert visitor.get(f"/organisation{page}").status_code in (303, 404, 405), page
    assert people.calls == []


def test_every_rule_has_words_of_its_own_and_a_place_on_the_page(make_app: Any, people: World) -> None:
    visitor = visit(make_app, "officer")
    page = visitor.get("/organisation/policy").text
    for name in SETTINGS:
        assert f'id="{name}"' in page, name
        assert f">{name.replace('_', ' ')}</label>" not in page, name
    for group in {each.metadata["group"] for each in SETTINGS.values()}:
        assert f">{group}</h2>" not in page, group

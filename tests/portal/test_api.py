"""The interface for programs, over the real flows, rows and keeper."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cryptnsend.flow.api_tokens import NewToken
from cryptnsend.portal import Portal
from tests.portal.conftest import BASE, Visitor
from tests.portal.real import ANN, HOLM, PAT, first_visit, portal, signed_in
from tests.support.house import DAY, PASSWORD, SOURCE, House

ALL = ("send", "status", "expire", "list")
LETTER = {"to": [PAT], "subject": "Your results", "text": "All is well."}


class Program:
    """A practice's system: a client without cookies that shows its token."""

    def __init__(self, app: Portal, token: str):
        self.client: FlaskClient = app.test_client(use_cookies=False)
        self.token, self.keys = token, 0

    def ask(self, method: str, path: str, **values: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.token}"} | values.pop("headers", {})
        return self.client.open(f"/api/v1{path}", method=method, base_url=BASE, headers=headers, **values)

    def send(self, letter: Any = None, key: str = "", **values: Any) -> TestResponse:
        self.keys += 1
        headers = {"Idempotency-Key": key or f"key-{self.keys}"} | values.pop("headers", {})
        if not values:
            values = {"json": LETTER if letter is None else letter}
        return self.ask("POST", "/messages", headers=headers, **values)


@pytest.fixture
def app(house: House) -> Portal:
    house.add_subscriber(ANN, name="Dr. Ann Ruiz")
    return portal(house)


def make(house: House, address: str = ANN, scopes: tuple[str, ...] = ALL, days: int = 30) -> NewToken:
    session = house.session(address)
    return house.portal.api_tokens.add(
        session, name="Practice", scopes=scopes, days=days, password=PASSWORD, source=SOURCE
    )


@pytest.fixture
def program(app: Portal, house: House) -> Program:
    return Program(app, make(house).text)


def refused(answer: TestResponse, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.json and answer.json["code"]) == (status, code), answer.text
    assert answer.mimetype == "application/problem+json"
    problem = answer.json
    assert isinstance(problem, dict)
    assert problem["type"] == f"urn:cryptnsend:problem:{code}"
    assert problem["status"] == status
    assert problem["detail"]
    return problem


def messages(house: House) -> int:
    return int(house.engine.query("SELECT count(*) AS n FROM messages")[0]["n"])


# -- what it is for ---------------------------------------------------------------------------------------------------


def test_what_a_program_sends_is_opened_by_its_recipient_and_the_program_sees_that(
    app: Portal, house: House, program: Program
) -> None:
    sent = program.send()
    assert sent.status_code == 201
    assert sent.json
    ident = sent.json["id"]
    assert sent.headers["Location"] == f"/api/v1/messages/{ident}"
    [pat] = sent.json["recipients"]
    assert (pat["address"], pat["decision"], pat["state"], pat["needs_code"]) == (PAT, "vault", "waiting", True)
    reader = first_visit(app, house, int(ident))
    assert "All is well." in reader.get(f"/messages/{ident}/letter").text + reader.get(f"/messages/{ident}").text
    status = program.ask("GET", f"/messages/{ident}")
    assert status.json
    assert [each["state"] for each in status.json["recipients"]] == ["opened"]
    assert "results" not in status.text
    assert "well" not in status.text


def test_files_go_along_and_the_form_carries_the_message_as_json(app: Portal, house: House, program: Program) -> None:
    octets = bytes(range(256)) * 1000
    form = {"message": json.dumps(LETTER), "file": [(io.BytesIO(octets), "../../lab.pdf", "application/pdf")]}
    sent = program.send(data=form)
    assert sent.status_code == 201, sent.text
    ann = signed_in(app, ANN)
    page = ann.get(f"/sent/{sent.json['id']}")  # type: ignore[index]
    assert page.status_code == 200
    reader = first_visit(app, house, int(sent.json["id"]))  # type: ignore[index]
    eml = reader.get(f"/messages/{sent.json['id']}/eml").data  # type: ignore[index]
    assert b"lab.pdf" in eml
    assert b"../" not in eml


def test_what_is_taken_back_opens_no_more_and_again_changes_nothing(
    app: Portal, house: House, program: Program
) -> None:
    ident = program.send({**LETTER, "cc": [HOLM]}).json["id"]  # type: ignore[index]
    reader = first_visit(app, house, int(ident))
    one = program.ask("POST", f"/messages/{ident}/expire", json={"recipient": PAT})
    assert {each["address"]: each["state"] for each in one.json["recipients"]}[HOLM] == "waiting"  # type: ignore[index]
    assert reader.get(f"/messages/{ident}/eml").status_code == 404
    everybody = program.ask("POST", f"/messages/{ident}/expire")
    assert everybody.json
    assert everybody.json["taken_back"]
    assert program.ask("POST", f"/messages/{ident}/expire").json == everybody.json
    refused(program.ask("POST", f"/messages/{ident}/expire", json={"recipient": "x@y.example"}), 422, "refused")


def test_a_list_has_the_newest_first_and_its_cursor_leads_on_to_the_last(house: House, program: Program) -> None:
    sent = []
    for number in range(5):
        sent.append(program.send({**LETTER, "subject": str(number)}).json["id"])  # type: ignore[index]
        house.clock.forward(1000)
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = program.ask("GET", "/messages", query_string=query).json
        assert page
        found += [each["id"] for each in page["messages"]]
        cursor = page["next"]
    assert found == sent[::-1]


def test_the_same_key_with_the_same_request_sends_once_and_with_another_is_refused(
    house: House, program: Program
) -> None:
    first, again = program.send(key="one"), program.send(key="one")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json
    assert again.json
    assert again.json["id"] == first.json["id"]
    assert messages(house) == 1
    refused(program.send({**LETTER, "text": "Another."}, key="one"), 422, "key-used")
    assert messages(house) == 1
    refused(program.ask("POST", "/messages", json=LETTER), 400, "key-missing")


def test_a_key_is_one_tokens_own(app: Portal, house: House, program: Program) -> None:
    other = Program(app, make(house).text)
    assert program.send(key="one").status_code == 201
    assert other.send({**LETTER, "text": "Another."}, key="one").status_code == 201


def test_rules_and_looks_at_what_leaves_plain_hold_as_on_the_page(house: House, program: Program) -> None:
    plain = program.send({**LETTER, "protection": "plain", "text": "SSN 123-45-6789, diagnosis: hypertension"})
    assert plain.json, plain.text
    assert plain.json["recipients"][0]["decision"] in ("relay", "hold")
    sealed = program.send({**LETTER, "subject": ":: Hello", "protection": "sealed"})
    assert sealed.json
    assert sealed.json["recipients"][0]["decision"] == "vault"


# -- who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shown", ["", "Bearer", "Bearer cns_" + "0" * 40, "Bearer x", "Basic YTpi", "Bearer \u00e9"])
def test_what_is_no_token_gets_one_answer(app: Portal, shown: str) -> None:
    client = app.test_client(use_cookies=False)
    answer = client.get("/api/v1/messages", base_url=BASE, headers={"Authorization": shown})
    problem = refused(answer, 401, "token-wrong")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert "revoked" not in problem["detail"]


def test_revoked_ended_disabled_and_changed_look_like_unknown(app: Portal, house: House) -> None:
    unknown = Program(app, "cns_" + "0" * 40).ask("GET", "/messages").data
    house.add_subscriber(HOLM)
    revoked, short, changed, disabled = make(house), make(house, days=1), make(house), make(house, HOLM)
    programs = [Program(app, each.text) for each in (revoked, short, changed, disabled)]
    assert [each.ask("GET", "/messages").status_code for each in programs] == [200] * 4
    house.portal.api_tokens.revoke(house.session(ANN), revoked.id)
    assert programs[0].ask("GET", "/messages").data == unknown
    house.clock.forward(DAY + 1)
    assert programs[1].ask("GET", "/messages").data == unknown
    house.accounts.change_password(house.session(ANN), PASSWORD, "gravel sunny pilot lemon basket", SOURCE, "Firefox")
    assert programs[2].ask("GET", "/messages").data == unknown
    house.owner.owner.disable(HOLM)
    answer = programs[3].ask("GET", "/messages")
    assert answer.status_code == 401
    assert answer.data == unknown


@pytest.mark.parametrize("lacking", ALL)
def test_each_act_takes_its_scope(app: Portal, house: House, program: Program, lacking: str) -> None:
    ident = program.send().json["id"]  # type: ignore[index]
    less = Program(app, make(house, scopes=tuple(each for each in ALL if each != lacking)).text)
    acts = {
        "send": lambda: less.send(),
        "status": lambda: less.ask("GET", f"/messages/{ident}"),
        "expire": lambda: less.ask("POST", f"/messages/{ident}/expire"),
        "list": lambda: less.ask("GET", "/messages"),
    }
    for scope, act in acts.items():
        answer = act()
        if scope == lacking:
            refused(answer, 403, "scope-missing")
            assert f'scope="{lacking}"' in answer.headers["WWW-Authenticate"]
        else:
            assert answer.status_code in (200, 201), answer.text


def test_what_others_sent_is_not_there(app: Portal, house: House, program: Program) -> None:
    house.add_subscriber(HOLM)
    theirs = house.submit(HOLM, [PAT], house.mail("Theirs", author=HOLM))
    for ident in (str(theirs), "1", "99999999999999999999", "x", "-1", "%00", "9" * 400):
        nothing = refused(program.ask("GET", f"/messages/{ident}"), 404, "not-found")
        assert nothing == refused(program.ask("POST", f"/messages/{ident}/expire"), 404, "not-found")
    assert program.ask("GET", "/messages").json == {"messages": [], "next": None}


def test_to_a_recipient_of_a_message_its_token_shows_nothing_of_it(app: Portal, house: House) -> None:
    house.add_subscriber(HOLM)
    message = house.submit(HOLM, [ANN], house.mail("To Ann", author=HOLM))
    program = Program(app, make(house).text)
    refused(program.ask("GET", f"/messages/{message}"), 404, "not-found")
    refused(program.ask("POST", f"/messages/{message}/expire"), 404, "not-found")
    assert program.ask("GET", "/messages").json == {"messages": [], "next": None}


def test_a_session_cookie_alone_is_nobody_and_another_site_gets_no_leave_to_read(app: Portal, house: House) -> None:
    ann = signed_in(app, ANN)
    refused(ann.get("/api/v1/messages"), 401, "token-wrong")
    answer = ann.client.post(
        "/api/v1/messages",
        base_url=BASE,
        json=LETTER,
        headers={"Origin": "https://evil.example", "Idempotency-Key": "k"},
    )
    refused(answer, 401, "token-wrong")
    asked = ann.client.options(
        "/api/v1/messages", base_url=BASE,
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
    )  # fmt: skip
    for each in (answer, asked, ann.get("/api/v1/openapi.json", headers={"Origin": "https://evil.example"})):
        assert not [name for name, _ in each.headers if name.lower().startswith("access-control")]
        assert "Set-Cookie" not in each.headers
    assert messages(house) == 0


def test_an_organisation_that_says_no_ends_all_tokens(app: Portal, house: House, program: Program) -> None:
    assert program.ask("GET", "/messages").status_code == 200
    house.owner.owner.set_rules(house.session(ANN).organisation, {"api": False}, "no programs here")
    refused(program.ask("GET", "/messages"), 403, "not-allowed")


def test_too_many_requests_are_told_when_to_come_again(house: House, program: Program) -> None:
    most = house.config.api.requests_per_minute
    first = program.ask("GET", "/messages")
    assert first.headers["RateLimit-Remaining"] == str(most - 1)
    for _ in range(most - 1):
        program.ask("GET", "/messages", query_string={"limit": "x"})
    answer = program.ask("GET", "/messages")
    refused(answer, 429, "too-many-requests")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    house.clock.forward(60_000)
    assert program.ask("GET", "/messages").status_code == 200


# -- what must not come in --------------------------------------------------------------------------------------------

BAD: dict[str, tuple[bytes, int, str]] = {
    "no JSON": (b"{", 400, ""),
    "another charset": ('{"to": ["é@x.example"]}'.encode("latin-1"), 400, ""),
    "a lone surrogate": (b'{"to": ["pat@yahoo.example"], "text": "\\ud800"}', 400, ""),
    "NUL": (b'{"to": ["pat@yahoo.example"], "subject": "a\\u0000b", "text": "x"}', 422, "subject"),
    "a field that is not known": (b'{"to": ["pat@yahoo.example"], "text": "x", "bccc": []}', 422, "bccc"),
    "a field twice": (b'{"to": ["pat@yahoo.example"], "text": "x", "text": "y"}', 422, "text"),
    "a number too large": (b'{"to": ["pat@yahoo.example"], "text": "x", "expires_days": 1e400}', 400, ""),
    "a number out of range": (
        b'{"to": ["pat@yahoo.example"], "text": "x", "expires_days": 99999}',
        422,
        "expires_days",
    ),
    "another kind": (b'{"to": "pat@yahoo.example", "text": "x"}', 422, "to"),
    "depth": (b'{"to": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 422, ""),
    "depth beside": (b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 422, "x"),
    "no recipient": (b'{"text": "x"}', 422, "to"),
    "nothing to send": (b'{"to": ["pat@yahoo.example"]}', 422, "text"),
    "no address": (b'{"to": ["pat"], "text": "x"}', 422, ""),
    "two addresses in one": (b'{"to": ["a@x.example, b@x.example"], "text": "x"}', 422, ""),
    "another author": (b'{"to": ["pat@yahoo.example"], "text": "x", "sender": "boss@clinic.example"}', 422, ""),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_read_is_refused_with_the_field_that_is_meant(house: House, program: Program, name: str) -> None:
    octets, status, field = BAD[name]
    answer = program.send(data=octets, content_type="application/json")
    assert answer.status_code in ({status} if status == 422 else {400, 422}), answer.text
    assert answer.mimetype == "application/problem+json"
    if field:
        assert answer.json
        assert answer.json["field"] == field
    assert messages(house) == 0


@pytest.mark.parametrize("field", ["subject", "to", "cc", "sender"])
def test_line_breaks_in_a_text_reach_no_header(app: Portal, house: House, program: Program, field: str) -> None:
    evil = "x\r\nBcc: thief@evil.example\r\n\r\nbody"
    value: Any = evil if field in ("subject", "sender") else [f"{evil} <{PAT}>"]
    letter = {**LETTER, field: value}
    answer = program.send(letter)
    people = house.engine.query("SELECT canonical FROM addresses WHERE canonical LIKE '%evil%'")
    assert people == []
    if answer.status_code == 201:
        reader = first_visit(app, house, int(answer.json["id"]))  # type: ignore[index]
        head = reader.get(f"/messages/{answer.json['id']}/eml").data.partition(b"\r\n\r\n")[0]  # type: ignore[index]
        assert b"\r\nBcc:" not in head
    else:
        assert answer.status_code == 422


def test_too_large_and_of_another_type_are_refused(house: House, program: Program) -> None:
    refused(program.send({**LETTER, "text": "x" * 1_100_000}), 413, "request-entity-too-large")
    refused(program.send(data=b"to=x", content_type="application/x-www-form-urlencoded"), 415, "type-wrong")
    octets = json.dumps(LETTER).encode("utf-16")
    refused(program.send(data=octets, content_type="application/json; charset=utf-16"), 415, "type-wrong")
    refused(
        program.send(data=b"{}", headers={"Content-Encoding": "gzip"}, content_type="application/json"),
        415,
        "type-wrong",
    )
    refused(
        program.send(data={"message": json.dumps(LETTER), "other": "x"}, content_type="multipart/form-data"),
        422,
        "invalid",
    )
    refused(program.ask("DELETE", "/messages"), 405, "method-not-allowed")
    refused(program.ask("GET", "/nothing"), 404, "not-found")
    refused(program.ask("GET", "/messages", query_string={"limits": "1"}), 422, "invalid")
    assert messages(house) == 0


# -- the page ---------------------------------------------------------------------------------------------------------


def test_a_token_is_made_with_the_password_shown_once_and_removed_at_once(app: Portal, house: House) -> None:
    ann = signed_in(app, ANN)
    ann.get("/account/programs")
    form = {"name": "Practice", "scope": ["send", "list"], "days": "90"}
    assert ann.post("/account/programs", form | {"password": "wrong"}).status_code == 422
    page = ann.post("/account/programs", form | {"password": PASSWORD}).text
    token = page[page.index("cns_") :][:44]
    program = Program(app, token)
    assert program.send().status_code == 201
    page = ann.get("/account/programs").text
    assert token not in page
    assert "Practice" in page
    [row] = [row for table, row in house.rows() if table == "api_tokens"]
    ann.post(f"/account/programs/{row['id']}/revoke")
    refused(program.send(), 401, "token-wrong")
    assert "None yet." in ann.follow().text
    assert "Made a token for a program" in ann.get("/account/log").text


def test_nobody_removes_tokens_of_others_or_has_any_who_only_reads(app: Portal, house: House) -> None:
    house.add_subscriber(HOLM)
    theirs = make(house, HOLM)
    ann = signed_in(app, ANN)
    ann.get("/account/programs")
    assert ann.post(f"/account/programs/{theirs.id}/revoke").status_code == 404
    assert Program(app, theirs.text).ask("GET", "/messages").status_code == 200
    message = house.submit(ANN, [PAT], house.mail())
    pat: Visitor = first_visit(app, house, message)
    assert pat.get("/account/programs").status_code == 404


def test_a_webhook_is_made_with_the_password_tried_and_removed_on_its_page(app: Portal, house: House) -> None:
    ann = signed_in(app, ANN)
    ann.get("/account/webhooks")
    form = {"url": "https://practice.example/hook", "event": ["opened"]}
    assert ann.post("/account/webhooks", form | {"password": "wrong"}).status_code == 422
    assert ann.post("/account/webhooks", form | {"url": "http://a.example/", "password": PASSWORD}).status_code == 422
    page = ann.post("/account/webhooks", form | {"password": PASSWORD}).text
    secret = page[page.index("whsec_") :][:50]
    [row] = [row for table, row in house.rows() if table == "hooks"]
    ann.post(f"/account/webhooks/{row['id']}/test")
    page = ann.follow().text
    assert secret not in page
    assert "on its way" in page
    assert ann.post(f"/account/webhooks/{row['id']}/test").status_code == 422
    ann.post(f"/account/webhooks/{row['id']}/remove")
    assert "None yet." in ann.follow().text
    assert ann.post(f"/account/webhooks/{row['id']}/remove").status_code == 404


def test_an_organisations_webhooks_have_a_page_that_only_those_who_look_after_it_see(house: House) -> None:
    clinic = house.organisation("Clinic")
    house.add_subscriber("max@clinic.example", organisation=clinic, name="Max", roles=("manager",))
    house.add_subscriber("carl@clinic.example", organisation=clinic, name="Carl")
    app, place = portal(house), "/organisation/webhooks"
    carl = signed_in(app, "carl@clinic.example")
    assert carl.get(place).status_code == 404
    unready = signed_in(app, "max@clinic.example")
    assert unready.get(place).status_code == 403, "without a second step"
    house.second("max@clinic.example")
    assert "Programs that are told" in unready.get("/organisation").text
    unready.get(place)
    form = {"url": "https://practice.example/hook", "event": ["opened"]}
    assert unready.post(place, form | {"password": "wrong"}).status_code == 422
    page = unready.post(place, form | {"password": PASSWORD}).text
    secret = page[page.index("whsec_") :][:50]
    [row] = [row for table, row in house.rows() if table == "hooks"]
    assert row["whole"] == 1
    unready.post(f"{place}/{row['id']}/test")
    page = unready.follow().text
    assert secret not in page
    assert "Made by max@clinic.example." in page
    part = unready.get(f"{place}/{row['id']}/tries").text
    assert "data-waits" in part
    assert "<html" not in part
    unready.get(place)
    again = unready.post(place, {"hook": row["id"], "password": PASSWORD}).text
    assert "whsec_" in again
    assert secret not in again
    for path in (f"{place}/{row['id']}/tries", f"/account/webhooks/{row['id']}/tries"):
        assert carl.get(path).status_code == 404
    carl.get("/account")
    for path in ("test", "remove"):
        assert carl.post(f"{place}/{row['id']}/{path}").status_code == 404
        assert carl.post(f"/account/webhooks/{row['id']}/{path}").status_code == 404
    unready.post(f"{place}/{row['id']}/remove")
    assert "None yet." in unready.follow().text

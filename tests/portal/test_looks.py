"""What officers and managers do to their organisation's look on pages, where it shows, and that nobody else does."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from typing import Any

import pytest
from werkzeug.test import EnvironBuilder, run_wsgi_app

from tests.portal.conftest import BASE, Visitor
from tests.portal.fakes_looks import CLINIC, DRAWN, HOST, SAID
from tests.portal.test_organisation import Browser, people, visit  # noqa: F401 - people is a fixture
from tests.portal.world import ANN, PASSWORD, World

PAGE = "/organisation/look"
POST = {PAGE: {"save": "1", "password": PASSWORD}, f"{PAGE}/back/1": {"password-1": PASSWORD}}
WRONG_NUMBER = {"code": "000000", "code-1": "000000"}
FORM = {"version": "2", "accent": "#0b5c73", "banner_en": "Closed today", "why": "so", "password": PASSWORD}
HOSTILE = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><script>1</script><path d="M0 0h9v9z"/></svg>'

pytestmark = pytest.mark.usefixtures("people")


def at(host: str) -> str:
    return f"https://{host}"


# -- rights -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["subscriber", "pat"])
def test_to_who_looks_after_nothing_the_look_does_not_exist(make_app: Any, world: World, who: str) -> None:
    visitor = visit(make_app, who)
    for page in (PAGE, f"{PAGE}/history"):
        assert visitor.get(page).status_code == 404
    for page, form in POST.items():
        assert visitor.post(page, form).status_code == 404
    assert world.calls == []


def test_without_a_second_step_it_does_not_open(make_app: Any, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.portal.fakes_organisation.FakeOrganisations.is_ready", lambda *_: False)
    visitor = visit(make_app, "manager")
    assert visitor.get(PAGE).status_code == 403
    assert [visitor.post(page, form).status_code for page, form in POST.items()] == [403, 403]
    assert world.calls == []


def test_a_form_without_its_token_changes_nothing(make_app: Any, world: World) -> None:
    visitor = visit(make_app, "manager")
    assert visitor.client.post(PAGE, base_url=BASE, data=FORM | {"save": "1"}).status_code == 400
    assert world.calls == []


# -- changing ---------------------------------------------------------------------------------------------------------


def test_what_was_typed_is_shown_and_nothing_is_saved_before_the_password(make_app: Any, world: World) -> None:
    visitor = visit(make_app, "manager")
    page = visitor.get(PAGE).text
    assert f"/look/{DRAWN.mark}" in page
    assert 'value="#8a2b6b"' in page
    tried = visitor.post(PAGE, FORM | {"logo": (io.BytesIO(HOSTILE), "logo.svg"), "host": HOST})
    assert tried.status_code == 200
    assert "/look/screen-0b5c73.css" in tried.text
    assert "data:image/svg+xml;base64," in tried.text
    assert "img-src &#39;self&#39; data:" not in tried.text
    assert "img-src 'self' data:;" in tried.headers["Content-Security-Policy"]
    assert "&lt;script&gt;" in tried.text, "what was taken out is named"
    assert "<script>1" not in tried.text
    assert "Not saved yet." in tried.text
    assert world.calls == []
    brought = base64.b64encode(HOSTILE).decode()
    wrong = visitor.post(PAGE, FORM | {"logo_brought": brought, "save": "1", "password": "x"})
    assert wrong.status_code == 422
    assert "That is not your password." in wrong.text
    assert visitor.post(PAGE, FORM | {"logo_brought": brought, "save": "1"}).status_code == 303
    assert world.calls == ["look ['accent', 'banner_en', 'logo'] 1 so"]
    assert "Pages and notices look like this from now on." in visitor.get(PAGE).text


def test_a_colour_that_fails_is_answered_with_the_nearest_in_one_press(make_app: Any, world: World) -> None:
    visitor = visit(make_app, "officer")
    visitor.get(PAGE)
    refused = visitor.post(PAGE, FORM | {"accent": "#ffcc00", "save": "1"})
    assert refused.status_code == 422
    assert "its contrast is 1.3 to 1" in refused.text
    assert 'name="shade" value="#846800"' in refused.text
    taken = visitor.post(PAGE, FORM | {"accent": "#ffcc00", "shade": "#846800"})
    assert taken.status_code == 200
    assert 'value="#846800"' in taken.text
    assert world.calls == []


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"banner_en": "Go to https://evil.example"}, "has a link"),
        ({"host": "clinic"}, "no host below a domain"),
        ({"host": "mail.rival.example"}, "below no domain that you have proven"),
        ({"logo": (io.BytesIO(b"GIF89a"), "x.gif")}, "no picture that we can show"),
        ({"logo_brought": "%%%"}, "This picture is damaged"),
        ({"logo": (io.BytesIO(b"\x89PNG\r\n\x1a\n" + bytes(300_000)), "x.png")}, "at most 200 KB"),
    ],
)
def test_what_cannot_be_is_said_beside_its_field(make_app: Any, world: World, form: Any, said: str) -> None:
    visitor = visit(make_app, "officer")
    visitor.get(PAGE)
    answer = visitor.post(PAGE, FORM | form | {"save": "1"})
    assert answer.status_code == 422
    assert said in answer.text
    assert world.calls == []


def test_a_form_larger_than_pictures_can_be_is_refused(make_app: Any, world: World) -> None:
    visitor = visit(make_app, "officer")
    visitor.get(PAGE)
    assert visitor.post(PAGE, FORM | {"logo_brought": "A" * 2_000_000}).status_code == 413


def test_the_history_brings_an_earlier_look_back_and_the_servers(make_app: Any, world: World) -> None:
    visitor = visit(make_app, "manager")
    page = visitor.get(f"{PAGE}/history").text
    assert "The new sign." in page
    assert "Bring version 1 back" in page
    assert visitor.post(f"{PAGE}/back/1", {"password-1": "wrong"}).status_code == 422
    assert visitor.post(f"{PAGE}/back/9", {"password-9": PASSWORD}).status_code == 404
    assert visitor.post(f"{PAGE}/back/1", {"password-1": PASSWORD}).status_code == 303
    visitor.get(f"{PAGE}/history")
    assert visitor.post(f"{PAGE}/back/0", {"password-0": PASSWORD}).status_code == 303
    assert world.calls == ["look ['accent'] 0 back to version 1", "look [] 0 back to the look of the server"]


# -- where it shows ---------------------------------------------------------------------------------------------------


def test_a_link_wears_its_senders_look_and_one_that_is_none_tells_nothing(
    make_app: Any, world: World, visitor: Visitor
) -> None:
    plain = visitor.get("/m/new").text
    assert "/look/" not in plain
    world.waiting["new"] = replace(world.waiting["new"], org=CLINIC)
    branded = visitor.get("/m/new").text
    assert f"/look/{DRAWN.mark}" in branded
    assert "/look/accent-8a2b6b.css" in branded
    assert SAID["banner_en"] in branded
    assert "Secure mail by CryptnSend · open.cryptnsend.example" in branded, "the true name is there"
    for page in ("/m/nobody", "/m/a.b", "/sign-in", "/"):
        assert "/look/" not in visitor.get(page).text


def test_a_host_of_an_organisation_wears_its_look_everywhere_and_others_are_turned_away(visitor: Visitor) -> None:
    for page in ("/", "/sign-in", "/m/nobody", "/real"):
        text = visitor.client.get(page, base_url=at(HOST)).text
        assert f"/look/{DRAWN.mark}" in text
        assert HOST in text
    for host in ("evil.example", "clinic.example", f"{HOST}.evil.example", "xn--mil-cpa.clinic.example"):
        answer = visitor.client.get("/sign-in", base_url=at(host))
        assert answer.status_code == 421
        assert "CryptnSend" not in answer.text
        assert visitor.client.get("/healthz", base_url=at(host)).status_code == 200
    for host in ("127.0.0.1:8443", "[::1]:8443", "localhost", "open.cryptnsend.example:443"):
        assert visitor.client.get("/sign-in", base_url=at(host)).status_code == 200
    named = ("a/b", "open.cryptnsend.example@evil.example", "evil.example#open.cryptnsend.example", "")
    for claimed in (*named, "[:::]", "[.]", "[1.2]:443"):
        # Not by the client, which reads the name itself and trips over some.
        environ = EnvironBuilder("/sign-in", base_url=BASE, headers={"Host": claimed}).get_environ()
        assert run_wsgi_app(visitor.client.application, environ)[1][:3] in ("400", "421"), claimed


def test_a_session_of_one_host_is_none_at_another(make_app: Any, world: World) -> None:
    visitor = visit(make_app, "officer")
    assert visitor.get("/messages").status_code == 200
    assert visitor.client.get("/messages", base_url=at(HOST)).status_code == 303


def test_people_of_the_organisation_see_its_look(make_app: Any, world: World) -> None:
    assert f"/look/{DRAWN.mark}" in visit(make_app, "subscriber").get("/messages").text
    assert "/look/" not in visit(make_app, "pat").get("/messages").text


def test_a_logo_can_do_nothing_and_is_kept_by_browsers(visitor: Visitor) -> None:
    answer = visitor.get(f"/look/{DRAWN.mark}")
    assert answer.data == DRAWN.octets
    assert answer.mimetype == "image/svg+xml"
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "Set-Cookie" not in answer.headers
    for mark in (DRAWN.mark.replace(".svg", ".png"), "0" * 64 + ".svg", "x", "..%2f..%2fetc%2fpasswd"):
        assert visitor.get(f"/look/{mark}").status_code == 404


def test_an_accent_is_a_style_sheet_of_its_own_that_holds_only_colours(visitor: Visitor) -> None:
    answer = visitor.get("/look/accent-8a2b6b.css")
    assert answer.mimetype == "text/css"
    assert "--accent-ink: #8a2b6b;" in answer.text
    assert "prefers-color-scheme: dark" in answer.text
    assert "#846800" in visitor.get("/look/accent-ffcc00.css").text, "nobody gets one that cannot be read"
    assert ".screen.dark" in visitor.get("/look/screen-8a2b6b.css").text
    for code in ("red", "8a2b6", "8a2b6b%7d", "8A2B6B", "%238a2b6b"):
        assert visitor.get(f"/look/accent-{code}.css").status_code == 404


def test_a_page_without_keeper_is_read_without_its_look(
    make_app: Any, world: World, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cryptnsend.core.errors import KeeperGone

    def gone(*_: object) -> None:
        raise KeeperGone("away")

    world.waiting["new"] = replace(world.waiting["new"], org=CLINIC)
    monkeypatch.setattr("tests.portal.fakes_looks.FakeLooks.worn", gone)
    answer = visitor.get("/m/new")
    assert answer.status_code == 200
    assert "/look/" not in answer.text
    assert ANN.partition("@")[0] in answer.text


@pytest.mark.parametrize("page", list(POST))
def test_saving_and_bringing_back_ask_for_the_number_and_say_when_it_is_wrong(
    make_app: Any, world: World, page: str
) -> None:
    visitor = visit(make_app, "officer")
    assert 'name="code"' in visitor.get(PAGE).text
    assert 'name="code-1"' in visitor.get(f"{PAGE}/history").text
    answer = visitor.post(page, FORM | POST[page] | WRONG_NUMBER)
    assert (answer.status_code, "That is not the number" in answer.text) == (422, True)
    assert not any(each.startswith("look ") for each in world.calls)
    assert visitor.post(page, FORM | POST[page]).status_code == 303
    assert any(each.startswith("look ") for each in world.calls)

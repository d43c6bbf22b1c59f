"""In which language does a page speak, and who decides?"""

from __future__ import annotations

from html import unescape

import pytest

from cryptnsend.core.errors import CryptnSendError, Denied, Refusal, Sentence
from cryptnsend.core.policy import Refuse
from cryptnsend.portal import Portal
from cryptnsend.portal.words import when
from tests.portal.conftest import BASE, Visitor
from tests.portal.fakes_accounts import FakeAccounts
from tests.portal.world import PASSWORD, World

SPANISH = {"Accept-Language": "es-MX,es;q=0.9,en;q=0.5"}


def spoken(visitor: Visitor, path: str = "/sign-in", asked: str = "") -> str:
    answer = visitor.client.get(path, headers={"Accept-Language": asked}, base_url=BASE)
    assert f'<html lang="{answer.headers["Content-Language"]}">' in answer.text
    return str(answer.headers["Content-Language"])


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        ("es-MX,es;q=0.9,en;q=0.5", "es"),
        ("en-GB,es;q=0.8", "en"),
        ("de, fr;q=0.5", "en"),
        ("de, es;q=0.1", "es"),
        ("*", "en"),
        ("", "en"),
        ("es;q=abc, \x7f", "en"),
    ],
)
def test_a_page_speaks_as_the_browser_asks(visitor: Visitor, asked: str, language: str) -> None:
    assert spoken(visitor, asked=asked) == language


def test_a_choice_outlives_what_the_browser_asks(visitor: Visitor) -> None:
    visitor.get("/sign-in")
    visitor.post("/language", {"language": "es", "back": "/sign-in"})
    assert visitor.page is not None
    assert visitor.page.status_code == 303
    assert visitor.page.headers["Location"] == "/sign-in"
    assert spoken(visitor, asked="en") == "es"
    visitor.get("/sign-in")
    visitor.post("/language", {"language": "en", "back": "/sign-in"})
    assert spoken(visitor, asked=SPANISH["Accept-Language"]) == "en"


def test_an_account_keeps_its_language_in_every_browser(ann: Visitor, app: Portal, world: World) -> None:
    ann.get("/account")
    ann.post("/language", {"language": "es", "back": "/account"})
    assert "set_language es" in world.calls
    other = Visitor(app)
    other.carry(ann.client.get_cookie("__Host-cryptnsend", domain="open.cryptnsend.example").value)  # type: ignore[union-attr]
    assert spoken(other, "/account", asked="en") == "es"


def test_a_language_that_we_do_not_speak_is_english(visitor: Visitor) -> None:
    visitor.get("/sign-in")
    visitor.post("/language", {"language": "../../etc", "back": "/sign-in"})
    assert spoken(visitor, asked=SPANISH["Accept-Language"]) == "en"


@pytest.mark.parametrize(
    "back",
    [
        "/help\r\nX: y",
        "/he\nlp",
        "/\x00",
        "//[x",
        "http://[",
        "/sign-in?a=\ud7ff\x7f",
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "\\\\evil.example",
        "javascript:alert(1)",
        "sign-in",
        "/no/such/page",
        "/language",
        "/sign-out",
        "",
        "/sign-in\r\nSet-Cookie: a=b",
    ],
)
def test_choosing_a_language_leads_only_to_pages_of_ours(visitor: Visitor, back: str) -> None:
    visitor.get("/sign-in")
    visitor.post("/language", {"language": "es", "back": back})
    assert visitor.page is not None
    assert visitor.page.headers["Location"] == "/"


def test_choosing_a_language_takes_the_token_of_the_page(visitor: Visitor) -> None:
    visitor.get("/sign-in")
    answer = visitor.client.post("/language", data={"language": "es"}, base_url=BASE)
    assert answer.status_code == 400
    assert spoken(visitor, asked="en") == "en"


def test_the_choice_leads_back_to_the_very_page(visitor: Visitor) -> None:
    page = visitor.get("/help?x=1")
    assert 'name="back" value="/help?x=1"' in page.text
    assert page.text.count('lang="es">Español</button>') == 1


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (Denied("Only subscribers may do this."), "Solo los suscriptores pueden hacer esto."),
        (Denied(Sentence("Name %(most)s addresses at most.", most=7)), "Indique como máximo 7 direcciones."),
        (
            Refusal(Refuse("blocked").explain("pat@example.org")),
            "Rechazado: este destinatario no acepta mensajes de este remitente: pat@example.org.",
        ),
    ],
)
def test_a_refusal_from_inside_the_house_speaks_the_language_of_the_page(
    ann: Visitor, world: World, monkeypatch: pytest.MonkeyPatch, refusal: CryptnSendError, words: str
) -> None:
    def refuse(*_: object) -> None:
        raise refusal

    monkeypatch.setattr(FakeAccounts, "set_friends", refuse)
    ann.get("/account/friends")
    page = ann.post("/account/friends", {"friends": "", "password": PASSWORD}, headers=SPANISH)
    assert words in unescape(page.text)
    assert str(refusal) not in unescape(page.text)


def test_times_are_written_in_the_language_of_the_page(ann: Visitor, app: Portal) -> None:
    with app.test_request_context(headers=SPANISH):
        assert "jueves 19 de noviembre de 2026, 17:42 UTC" in when(1_795_110_120_000, "long")
    with app.test_request_context():
        assert "Thursday 19 November 2026, 17:42 UTC" in when(1_795_110_120_000, "long")

"""Mail that is kept apart is shown as words, with the reason, and goes when its owner says so."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from cryptnsend.flow.keeping import REASONS
from cryptnsend.flow.views import KeptMail
from tests.portal.conftest import Visitor
from tests.portal.world import NOW, World

MAIL = KeptMail(31, "unproven", "eve@evil.example", NOW, 21, "Re: Results", 999, "Send money.", 1)
EVIL = '"><img src=x onerror=alert(1)><script>alert(1)</script>'


def test_without_any_nothing_is_said_of_it(ann: Visitor) -> None:
    assert "/kept" not in ann.get("/messages").text
    assert "Nothing is kept apart" in ann.get("/kept").text


def test_it_is_found_from_the_list_and_read_with_the_reason(ann: Visitor, world: World) -> None:
    world.kept = [MAIL]
    assert 'href="/kept"' in ann.get("/messages").text
    assert "Re: Results" in ann.get("/kept").text
    page = ann.get("/kept/31").text
    assert "It may be a trick" in page
    assert "Send money." in page
    assert "<iframe" not in page
    assert "/reply" not in page
    assert 'href="/sent/21"' in page


def test_every_state_in_the_list_is_a_word_of_its_own(ann: Visitor, world: World) -> None:
    world.kept = [replace(MAIL, reason=reason, message=number) for number, reason in enumerate(REASONS, 31)]
    chips = re.findall(r'class="chip[^>]*>.*?</svg>([^<]+)<', ann.get("/kept").text)
    assert len(chips) == len(REASONS)
    assert "Kept apart" not in chips
    assert len(set(chips)) > 6


def test_a_mail_that_names_no_author_is_said_to_be_from_nobody(ann: Visitor, world: World) -> None:
    world.kept = [replace(MAIL, reason="no-author", author="")]
    assert "No author" in ann.get("/kept").text
    page = ann.get("/kept/31").text
    assert "It does not say who it is from" in page
    assert "It says it is from" not in page


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_has_its_words(ann: Visitor, world: World, reason: str) -> None:
    world.kept = [replace(MAIL, reason=reason)]
    assert ann.get("/kept").status_code == 200
    assert ann.get("/kept/31").status_code == 200


def test_a_stranger_s_words_stay_words(ann: Visitor, world: World) -> None:
    world.kept = [replace(MAIL, subject=EVIL, author=EVIL, text=EVIL)]
    for url in ("/kept", "/kept/31"):
        text = ann.get(url).text
        assert "<script>alert" not in text
        assert "<img src=x" not in text


def test_what_cannot_be_shown_can_be_saved(ann: Visitor, world: World) -> None:
    world.kept = [replace(MAIL, text=None)]
    assert "does not understand" in ann.get("/kept/31").text
    saved = ann.get("/kept/31/eml")
    assert saved.data == b"abc"
    assert saved.headers["Content-Disposition"].startswith("attachment")


def test_a_button_throws_it_away_and_a_link_does_not(ann: Visitor, world: World) -> None:
    world.kept = [MAIL]
    assert ann.get("/kept/31/delete").status_code == 405
    assert world.kept
    ann.get("/kept/31")
    assert ann.post("/kept/31/delete").status_code == 303
    assert not world.kept
    assert ann.get("/kept/31").status_code == 404


def test_a_form_from_elsewhere_throws_nothing_away(ann: Visitor, world: World) -> None:
    world.kept = [MAIL]
    ann.get("/kept")
    assert ann.post("/kept/31/delete", {"csrf_token": "x"}).status_code == 400
    assert world.kept


def test_who_is_not_signed_in_sees_nothing(visitor: Visitor, world: World) -> None:
    world.kept = [MAIL]
    for url in ("/kept", "/kept/31", "/kept/31/eml"):
        assert visitor.get(url).status_code == 303

"""Answers and drafts: nothing that was typed is lost, and what is sent is gone from the drafts."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cryptnsend import settings
from cryptnsend.core.errors import Refusal
from cryptnsend.flow.views import Writing
from cryptnsend.portal import Portal
from cryptnsend.portal.desk import EXTENSION
from tests.portal.conftest import BASE, Visitor, config
from tests.portal.fakes import FakeDrafts
from tests.portal.world import PAT, World

SCRIPT = {"Accept": "text/plain"}


def scan(name: str = "scan.pdf", octets: bytes = b"%PDF scan") -> tuple[io.BytesIO, str, str]:
    return (io.BytesIO(octets), name, "application/pdf")


def time_is_over(visitor: Visitor, world: World) -> None:
    """End every session as time does."""
    world.away.update(world.sessions)
    world.sessions.clear()


def test_a_draft_is_saved_by_a_button_and_found_on_the_page_and_in_the_list(pat: Visitor, world: World) -> None:
    pat.get("/messages/14")
    form = {"text": "Thank you, but", "to": "all", "files": [scan()], "nonce": "ab" * 16}
    assert pat.post("/messages/14/draft", form).status_code == 303
    page = pat.follow().text
    assert "Your draft is saved." in page
    assert "\nThank you, but</textarea>" in page
    assert 'value="all" checked' in page
    assert "scan.pdf" in page
    assert f'value="{"ab" * 16}"' in page
    assert "Your draft from" in pat.get("/messages/14").text
    assert "You have 1 draft that is not sent" in pat.get("/messages").text
    listed = pat.get("/drafts").text
    assert "Reply to Dr. Holm" in listed
    assert "Thank you, but" in listed
    assert world.replies == []


def test_kept_files_go_with_the_reply_but_for_those_without_a_tick(pat: Visitor, world: World) -> None:
    pat.get("/messages/11")
    pat.post("/messages/11/draft", {"text": "a", "files": [scan("a.pdf"), scan("b.pdf", b"b")]})
    pat.follow()
    ticked = str(world.drafts[11].files[1].id)
    pat.post("/messages/11/reply", {"text": "a", "keeps": "1", "kept": ticked, "files": [scan("c.pdf", b"c")]})
    assert pat.page is not None
    assert pat.page.status_code == 303
    assert [(name, octets) for name, _, octets in world.replies[0]["files"]] == [("b.pdf", b"b"), ("c.pdf", b"c")]
    assert world.drafts == {}
    assert "2 files" in pat.follow().text
    assert "Your draft from" not in pat.get("/messages/11").text


def test_what_cannot_be_sent_as_it_is_is_kept_with_its_files(pat: Visitor, world: World) -> None:
    class Refusing:
        def send(self, *_: Any, **__: Any) -> int:
            raise Refusal("This goes to too many people.")

    pat.get("/messages/11")
    desk: Any = pat.client.application.extensions[EXTENSION]
    pieces = replace(desk.pieces, replies=Refusing())
    pat.client.application.extensions[EXTENSION] = replace(desk, pieces=pieces)
    page = pat.post("/messages/11/reply", {"text": "Long words", "files": [scan()]})
    assert page.status_code == 422
    assert "This goes to too many people." in page.text
    assert "\nLong words</textarea>" in page.text
    assert [each.name for each in world.drafts[11].files] == ["scan.pdf"]
    assert "scan.pdf" in page.text


def test_files_that_are_too_large_are_not_kept_but_the_words_are(make_app: Callable[..., Portal], world: World) -> None:
    pat = Visitor(make_app(config(limits=settings.Limits(reply_octets=1000))))
    pat.carry(world.sign_in(PAT))
    pat.get("/messages/11")
    large = b"x" * 1001
    page = pat.post("/messages/11/reply", {"text": "Words", "files": [scan("large.bin", large)]})
    assert page.status_code == 422
    assert "too large together" in page.text
    assert world.drafts[11].writing.text == "Words"
    assert world.drafts[11].files == ()
    assert pat.post("/messages/11/draft", {"text": "Words", "files": [scan("large.bin", large)]}).status_code == 422


@pytest.mark.parametrize("way", ["reply", "draft"])
def test_a_form_that_comes_after_the_time_is_over_is_kept_and_not_sent(pat: Visitor, world: World, way: str) -> None:
    pat.get("/messages/11")
    time_is_over(pat, world)
    answer = pat.post(f"/messages/11/{way}", {"text": "Written for an hour", "files": [scan()]})
    assert (answer.status_code, answer.location) == (303, "/sign-in")
    page = pat.follow().text
    assert "What you wrote is kept, locked, as a draft." in page
    assert world.replies == []
    assert world.drafts[11].writing.text == "Written for an hour"
    assert [each.name for each in world.drafts[11].files] == ["scan.pdf"]
    signed_in = pat.post("/sign-in", {"address": "pat@yahoo.example", "password": "velvet acorn harvest dune"})
    assert signed_in.location == "/messages/11"
    assert "\nWritten for an hour</textarea>" in pat.follow().text


def test_without_a_session_that_was_ours_no_form_is_read_and_nothing_is_kept(visitor: Visitor, world: World) -> None:
    visitor.get("/sign-in")
    for way in ("reply", "draft"):
        answer = visitor.post(f"/messages/11/{way}", {"text": "x"})
        assert (answer.status_code, answer.location) == (303, "/sign-in")
        assert "is kept" not in visitor.follow().text
    assert world.drafts == {}


def test_a_late_form_without_its_token_keeps_nothing(pat: Visitor, world: World) -> None:
    pat.get("/messages/11")
    time_is_over(pat, world)
    answer = pat.client.post("/messages/11/reply", base_url=BASE, data={"text": "forged"})
    assert answer.status_code == 400
    assert world.drafts == {}


def test_the_script_is_told_in_a_word_and_gets_no_page(pat: Visitor, world: World) -> None:
    pat.get("/messages/11")
    answer = pat.post("/messages/11/draft", {"text": "typed so far"}, headers=SCRIPT)
    assert (answer.status_code, answer.data) == (204, b"")
    assert world.drafts[11].writing.text == "typed so far"
    pat.get("/messages/11")
    world.refuse = "No room."
    assert pat.post("/messages/11/draft", {"text": "more"}, headers=SCRIPT).status_code == 422


def test_only_a_page_with_an_answer_on_it_may_be_saved_by_its_script(pat: Visitor) -> None:
    assert "connect-src 'self'" in pat.get("/messages/11").headers["Content-Security-Policy"]
    for url in ("/messages", "/messages/21", "/drafts", "/account", "/messages/14/letter"):
        assert "connect-src 'self'" not in pat.get(url).headers["Content-Security-Policy"], url


def test_a_draft_is_thrown_away_by_a_button(pat: Visitor, world: World) -> None:
    FakeDrafts(world).save(next(iter(world.sessions.values())), Writing("old"), parent=11)
    pat.get("/drafts")
    assert pat.post("/drafts/511/drop").status_code == 303
    assert "No drafts" in pat.follow().text
    assert pat.post("/drafts/511/drop").status_code == 404


def test_what_a_new_password_locked_is_listed_as_locked(pat: Visitor, world: World) -> None:
    FakeDrafts(world).save(next(iter(world.sessions.values())), Writing(""), parent=11)
    world.drafts[11] = replace(world.drafts[11], locked=True)
    page = pat.get("/drafts").text
    assert "Locked since your password was replaced." in page
    assert "/account/unlock" in page


def test_an_empty_reply_is_not_sent_and_makes_no_draft(pat: Visitor, world: World) -> None:
    pat.get("/messages/11")
    page = pat.post("/messages/11/reply", {"text": "  "})
    assert page.status_code == 422
    assert "nothing to send yet" in page.text
    assert (world.replies, world.drafts) == ([], {})


def test_a_script_brings_a_file_and_hears_what_goes_along(pat: Visitor, world: World) -> None:
    pat.get("/messages/11")
    asked = {"Accept": "application/json"}
    form = {"text": "Hello", "files": (io.BytesIO(b"%PDF"), "a.pdf", "application/pdf")}
    found = pat.post("/messages/11/draft", dict(form), headers=asked).json
    assert found == {"files": [{"id": "1", "name": "a.pdf", "said": "PDF · 4 bytes"}]}
    assert world.drafts[11].writing.text == "Hello"


def test_a_file_that_does_not_fit_is_refused_in_words_and_nothing_is_lost(make_app: Any, world: World) -> None:
    app = make_app(config(limits=settings.Limits(reply_octets=10_000)))
    pat = Visitor(app)
    pat.carry(world.sign_in(PAT))
    asked, file = {"Accept": "application/json"}, b"x" * 6_000
    pat.get("/messages/11")
    first = pat.page
    pat.post("/messages/11/draft", {"text": "a", "files": (io.BytesIO(file), "a.bin")}, headers=asked)
    pat.page = first
    more = {"text": "ab", "keeps": "1", "kept": "1", "files": (io.BytesIO(file), "b.bin")}
    found = pat.post("/messages/11/draft", more, headers=asked)
    assert found.status_code == 422
    assert "The files are too large together" in found.json["error"]
    assert [each.name for each in world.drafts[11].files] == ["a.bin"]

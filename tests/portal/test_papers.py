"""The key of a PDF, and saving one."""

from __future__ import annotations

from dataclasses import replace

from tests.portal.conftest import BASE, Visitor
from tests.portal.world import World

KEY = "k7m2-0x9a-03fw-ysw8-g41f"


def test_the_key_is_shown_to_be_copied_and_to_be_read_aloud(pat: Visitor) -> None:
    page = pat.get("/messages/11/key").text
    assert f'data-copy="the key" translate="no">{KEY}</p>' in page
    for group in ("Kilo 7 Mike 2", "0 X-ray 9 Alfa"):
        assert f"<li>{group}</li>" in page
    assert "secure-message.pdf" in page


def test_only_its_signed_in_reader_sees_it_and_no_head_does(app, pat: Visitor, world: World) -> None:  # type: ignore[no-untyped-def]
    stranger = Visitor(app).get("/messages/11/key")
    assert (stranger.status_code, KEY in stranger.text) == (303, False)
    assert pat.get("/messages/999/key").status_code == 404
    world.calls.clear()
    pat.client.head("/messages/11/key", base_url=BASE)
    assert "keys" not in world.calls


def test_the_reading_page_leads_to_it_where_there_is_one(pat: Visitor, world: World) -> None:
    assert "/messages/11/key" not in pat.get("/messages/11").text
    world.letters[11] = replace(world.letters[11], as_document=True)
    assert 'href="/messages/11/key"' in pat.get("/messages/11").text


def test_a_document_is_saved_by_its_button_alone(pat: Visitor, world: World) -> None:
    page = pat.get("/messages/11/pdf").text
    assert KEY in page
    assert not [each for each in world.calls if each.startswith("document")]
    answer = pat.post("/messages/11/pdf", {})
    assert (answer.data, answer.mimetype) == (b"%PDF-1.7", "application/pdf")
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="secure-message.pdf"')
    assert "document en" in world.calls


def test_where_none_can_be_made_the_page_says_why(app, pat: Visitor, world: World) -> None:  # type: ignore[no-untyped-def]
    app.extensions["cryptnsend"].pieces.pickup.papers.refuses = "The files of this message are too large for a PDF."
    pat.get("/messages/11/pdf")
    answer = pat.post("/messages/11/pdf", {})
    assert answer.status_code == 422
    assert "too large" in answer.text


def test_who_follows_the_link_of_a_pdf_comes_to_its_key(pat: Visitor, world: World) -> None:
    token = next(each for each, found in world.waiting.items() if found.state == "known")
    assert pat.get(f"/m/{token}?key").headers["Location"].endswith("/key")


def test_the_page_for_new_messages_sends_one(ann: Visitor, world: World) -> None:
    page = ann.get("/write").text
    assert 'name="way" value="pdf"' in page

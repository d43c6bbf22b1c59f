"""A subscriber makes a form on the pages, and a visitor fills it in: nothing typed is lost, nothing strange gets in."""

from __future__ import annotations

import io
import os
import re
from html import unescape
from typing import Any

import pytest

from cryptnsend.portal import Portal
from tests.portal.conftest import Visitor
from tests.portal.real import nonce, portal, signed_in, text
from tests.portal.test_answers import multipart
from tests.portal.test_visitors import ANN, begin, furnished, letters, proven
from tests.support.house import OTHER, House, MakeHouse
from tests.support.scanners import EICAR, Clam

NEW = "/account/visitors/forms/new"
QUESTIONS = {
    "q": ["q1", "q2", "q3"],
    "open": "1",
    "title-en": "First visit",
    "title-es": "Primera visita",
    "introduction-en": "Ten minutes.",
    "label-q1-en": "Which <medicine>?",
    "label-q1-es": "¿Qué medicina?",
    "kind-q1": "long",
    "required-q1": "1",
    "label-q2-en": "Side",
    "kind-q2": "choice",
    "choices-q2-en": "Left\nRight\n\n",
    "choices-q2-es": "Izquierda\nDerecha",
    "label-q3-en": "Born",
    "kind-q3": "date",
    "help-q3-en": "As on your passport.",
}


@pytest.fixture
def house(make_house: MakeHouse, clamd: Clam) -> House:
    return furnished(
        make_house(scan={"clamav": clamd.path}, visitors={"sum_size": 1000}, limits={"reply_octets": 300_000})
    )


@pytest.fixture
def app(house: House) -> Portal:
    return portal(house)


def made(app: Portal, **more: Any) -> tuple[Visitor, str]:
    """Make a form by the page, and return its subscriber with its number."""
    ann = signed_in(app, ANN)
    ann.get(NEW)
    answer = ann.post(NEW, {**QUESTIONS, **more, "do": "save"})
    assert answer.status_code == 303, answer.text
    ann.follow()
    found = re.search(r"/account/visitors/forms/(\d+)/delete", text(ann))
    assert found
    return ann, found[1]


def filled(visitor: Visitor, ident: str, **more: Any) -> dict[str, Any]:
    return {
        "form": ident, "version": "1", "subject": "First visit", "text": "", "nonce": nonce(visitor),
        "answer-q1": "Iron <b>100</b>", "answer-q2": "Right", "answer-q3": "1984-07-31",
        "asked-q1": "Which <medicine>?", "asked-q2": "Which side?", "asked-q3": "Born",
    } | more  # fmt: skip


def test_a_subscriber_makes_a_form_and_a_visitor_fills_it_in(app: Portal, house: House) -> None:
    ann, ident = made(app)
    assert f"/to/dr-ruiz?form={ident}" in text(ann)
    stranger = Visitor(app)
    first = stranger.get("/to/dr-ruiz").text
    assert "First visit" in first
    assert "Which &lt;medicine&gt;?" not in first  # what is asked is for who proved an address
    assert "Then you fill in “First visit”" in stranger.get(f"/to/dr-ruiz?form={ident}").text

    sofia = begin(app, form=ident)
    sofia.follow()
    sofia.post("/to/dr-ruiz/code", {"code": house.mailed_code(), "password": OTHER})
    page = sofia.follow().text
    assert "Which &lt;medicine&gt;?" in page
    assert "Ten minutes." in page
    assert "As on your passport." in page
    files = (io.BytesIO(b"four vaccinations"), "record.txt")
    answer = sofia.post("/to/dr-ruiz/write", filled(sofia, ident, files=files, phone="(555) 010-0177", text="Thanks."))
    assert answer.status_code == 303, answer.text
    done = sofia.follow().text
    assert "answers.csv" in done
    assert "record.txt" in done

    message = house.engine.query("SELECT id FROM messages")[0]["id"]
    assert letters(house) == 1
    read = ann.get(f"/messages/{message}").text
    assert "First visit" in read
    assert "answers.csv" in read
    frame = re.search(r'<iframe[^>]+src="([^"]+)"', read)
    assert frame
    table = ann.get(frame[1]).text
    assert "<table" in table
    assert "Iron &lt;b&gt;100&lt;/b&gt;" in table
    assert "(555) 010-0177" in table


def test_what_is_wrong_is_marked_and_nothing_typed_or_chosen_is_lost(app: Portal, house: House) -> None:
    _, ident = made(app)
    sofia = proven(app, house)
    sofia.get(f"/to/dr-ruiz/write?form={ident}")
    files = (io.BytesIO(b"four vaccinations"), "record.txt")
    wrong = {"answer-q1": " ", "answer-q2": "7", "answer-q3": "31/07/1984", "text": "And more."}
    answer = sofia.post("/to/dr-ruiz/write", filled(sofia, ident, files=files, **wrong))
    assert answer.status_code == 422
    for words in ("Answer this question.", "Choose one of these answers.", "such as 1984-07-31", "31/07/1984"):
        assert words in answer.text
    for words in ("record.txt", "And more.", "It is marked below"):
        assert words in answer.text
    assert answer.text.count('aria-invalid="true"') == 3
    assert letters(house) == 0
    draft = re.search(r'name="draft" value="(\d+)"', answer.text)
    assert draft
    kept = re.search(r'name="kept" value="(\d+)"', answer.text)
    assert kept
    again = filled(sofia, ident, draft=draft[1], keeps="1", kept=kept[1])
    assert sofia.post("/to/dr-ruiz/write", again).status_code == 303
    assert "record.txt" in sofia.follow().text
    assert "No drafts" in sofia.get("/drafts").text


def test_an_answer_that_is_too_long_comes_back_whole(app: Portal, house: House) -> None:
    _, ident = made(app)
    sofia = proven(app, house)
    sofia.get(f"/to/dr-ruiz/write?form={ident}")
    answer = sofia.post("/to/dr-ruiz/write", filled(sofia, ident, **{"answer-q1": "x" * 6000}))
    assert answer.status_code == 422
    assert "x" * 6000 in answer.text
    assert "5000 characters at most" in answer.text


def test_a_form_that_is_begun_is_a_draft_and_goes_on_in_the_version_in_which_it_was_begun(
    app: Portal, house: House
) -> None:
    ann, ident = made(app)
    sofia = proven(app, house)
    sofia.get(f"/to/dr-ruiz/write?form={ident}")
    assert sofia.post("/to/dr-ruiz/draft", filled(sofia, ident)).status_code == 303
    ann.get(f"/account/visitors/forms/{ident}")
    changed = {**QUESTIONS, "version": "1", "label-q2-en": "Which hand?", "do": "save"}
    assert ann.post(f"/account/visitors/forms/{ident}", changed).status_code == 303
    page = sofia.follow().text
    assert "Iron &lt;b&gt;100&lt;/b&gt;" in page
    assert 'name="version" value="1"' in page
    assert "Which hand?" not in page
    assert "Which hand?" in sofia.get(f"/to/dr-ruiz/write?form={ident}").text
    assert "First visit" in sofia.get("/drafts").text


@pytest.mark.parametrize("gone", ["deleted", "off"])
def test_who_fills_in_a_form_that_goes_meanwhile_finds_it_in_a_letter(app: Portal, house: House, gone: str) -> None:
    ann, ident = made(app)
    sofia = proven(app, house)
    sofia.get(f"/to/dr-ruiz/write?form={ident}")
    typed = filled(sofia, ident, text="And more.")
    sofia.post("/to/dr-ruiz/draft", typed)
    begun = sofia.follow().request.url
    if gone == "deleted":
        ann.post(f"/account/visitors/forms/{ident}/delete")
    else:
        ann.post(f"/account/visitors/forms/{ident}", {**QUESTIONS, "open": [], "version": "1", "do": "save"})
    answer = sofia.post("/to/dr-ruiz/write", typed)
    assert answer.status_code == 422
    assert "This form is not here any more" in answer.text
    assert "Which &lt;medicine&gt;?\nIron &lt;b&gt;100&lt;/b&gt;\n\nWhich side?\nRight\n\nBorn\n" in answer.text
    assert "And more." in answer.text
    assert 'name="form"' not in answer.text
    draft = sofia.get(begun[begun.index("/to/") :]).text
    assert "Which &lt;medicine&gt;?\nIron" in draft
    assert letters(house) == 0


def test_a_form_that_comes_after_the_session_ended_is_kept_for_its_writer(app: Portal, house: House) -> None:
    _, ident = made(app)
    sofia = proven(app, house)
    sofia.get(f"/to/dr-ruiz/write?form={ident}")
    typed = filled(sofia, ident)
    house.clock.forward(16 * 60_000)
    assert sofia.post("/to/dr-ruiz/write", typed).status_code == 303
    assert letters(house) == 0
    back = signed_in(app, "sofia@yahoo.example", OTHER)
    link = re.search(r'href="(/to/dr-ruiz/write\?draft=\d+)"', back.get("/drafts").text)
    assert link
    assert "Iron &lt;b&gt;100&lt;/b&gt;" in back.get(link[1]).text


def test_a_virus_beside_a_form_stops_it_and_everything_else_is_kept(app: Portal, house: House) -> None:
    _, ident = made(app)
    sofia = proven(app, house)
    sofia.get(f"/to/dr-ruiz/write?form={ident}")
    answer = sofia.post("/to/dr-ruiz/write", filled(sofia, ident, files=(io.BytesIO(EICAR), "record.txt")))
    assert answer.status_code == 422
    assert "The virus scanner found" in answer.text
    assert "Iron &lt;b&gt;100&lt;/b&gt;" in answer.text
    assert letters(house) == 0


def test_the_same_form_sent_twice_arrives_once(app: Portal, house: House) -> None:
    _, ident = made(app)
    sofia = proven(app, house)
    sofia.get(f"/to/dr-ruiz/write?form={ident}")
    typed = filled(sofia, ident)
    page = sofia.page
    for _ in range(2):
        sofia.page = page  # gone back to
        assert sofia.post("/to/dr-ruiz/write", typed).status_code == 303
    assert letters(house) == 1


def test_who_reads_spanish_is_asked_in_spanish(app: Portal, house: House) -> None:
    _, ident = made(app)
    assert "Primera visita" in Visitor(app).get(f"/to/dr-ruiz?form={ident}", headers={"Accept-Language": "es"}).text
    sofia = proven(app, house)
    sofia.post("/language", {"language": "es", "back": "/messages"})
    page = sofia.get(f"/to/dr-ruiz/write?form={ident}").text
    for words in ("Primera visita", "¿Qué medicina?", "Izquierda", "Born", "(si quiere)"):
        assert words in page


@pytest.mark.parametrize(
    "hostile",
    [
        {"form": "9" * 30}, {"form": "-1"}, {"form": "x"}, {"form": "1"}, {"version": "9" * 30}, {"version": "-1"},
        {"answer-q9": "x", "answer-": "y", "answer-q1\x00": "z"}, {"answer-q2": "٣"},
        {"asked-q1": "x" * 9000, "asked-": "y"},
    ],
    ids=str,
)  # fmt: skip
def test_hostile_answers_break_nothing(app: Portal, house: House, hostile: dict[str, str]) -> None:
    _, ident = made(app)
    sofia = proven(app, house)
    sofia.get(f"/to/dr-ruiz/write?form={ident}")
    assert sofia.post("/to/dr-ruiz/write", filled(sofia, ident, **hostile)).status_code in (303, 422)
    for url in ("/to/dr-ruiz?form=x", "/to/dr-ruiz?form=-1", "/to/dr-ruiz/write?form=9999999999999999999999"):
        assert sofia.get(url).status_code == 200


# -- the subscriber's side --------------------------------------------------------------------------------------------


def test_questions_are_added_moved_and_removed_without_a_script_and_nothing_is_kept_before_saving(
    app: Portal, house: House
) -> None:
    ann = signed_in(app, ANN)
    assert "Question 1" in ann.get(NEW).text

    def order(act: str) -> list[str]:
        answer = ann.post(NEW, {**QUESTIONS, "do": act})
        assert answer.status_code == 200, answer.text
        assert "Which &lt;medicine&gt;?" in answer.text or act == "remove-q1"
        return re.findall(r'name="q" value="(\w+)"', answer.text)

    assert order("add") == ["q1", "q2", "q3", "q4"]
    assert order("up-q2") == order("down-q1") == ["q2", "q1", "q3"]
    assert order("up-q1") == order("down-q3") == order("sideways-q1") == order("remove-q77") == ["q1", "q2", "q3"]
    assert order("remove-q1") == ["q2", "q3"]
    assert house.engine.query("SELECT id FROM visitor_forms") == []


def test_a_form_is_looked_at_before_it_is_saved(app: Portal, house: House) -> None:
    ann = signed_in(app, ANN)
    ann.get(NEW)
    shown = ann.post(NEW, {**QUESTIONS, "do": "preview"}).text
    assert 'lang="en"' in shown
    assert 'id="preview-es"' in shown
    assert "Izquierda" in shown
    assert "Which &lt;medicine&gt;?" in shown
    assert house.engine.query("SELECT id FROM visitor_forms") == []


@pytest.mark.parametrize("act", ["save", "preview"])
def test_a_form_that_cannot_be_put_is_told_beside_what_was_typed(app: Portal, house: House, act: str) -> None:
    ann = signed_in(app, ANN)
    ann.get(NEW)
    answer = ann.post(NEW, {**QUESTIONS, "choices-q2-en": "Only one", "choices-q2-es": "", "do": act})
    assert answer.status_code == 422
    assert "Question 2 has from 2 to 30 choices" in answer.text
    assert "Only one" in answer.text
    assert "As on your passport." in answer.text
    assert house.engine.query("SELECT id FROM visitor_forms") == []


@pytest.mark.parametrize(
    "hostile",
    [
        {"q": ["q1\"><script>alert(1)</script>"]}, {"q": [f"q{n}" for n in range(100)]}, {"q": []}, {"kind-q1": "file"},
        {"q": ["q1", "q1"], "title-en": ""}, {"title-en": "x\x00\u202ey"}, {"label-q1-en": "x" * 5000},
        {"choices-q2-en": "a\n" * 3000}, {"version": "x"},
    ],
    ids=lambda each: next(iter(each)),
)  # fmt: skip
def test_hostile_definitions_are_refused_in_words_and_break_nothing(
    app: Portal, house: House, hostile: dict[str, Any]
) -> None:
    ann = signed_in(app, ANN)
    ann.get(NEW)
    for act in ("save", "preview", "add", "up-q1"):
        answer = ann.post(NEW, {**QUESTIONS, **hostile, "do": act})
        assert answer.status_code in (200, 303, 422)
        assert "<script>alert" not in answer.text
        ann.get(NEW)


def test_a_form_for_making_forms_that_is_too_large_is_not_read(app: Portal, house: House) -> None:
    ann = signed_in(app, ANN)
    ann.get(NEW)
    assert ann.post(NEW, {**QUESTIONS, "introduction-en": "x" * 500_000, "do": "save"}).status_code == 413


def test_forms_of_others_are_not_there(app: Portal, house: House) -> None:
    _, ident = made(app)
    house.add_subscriber("bob@icloud.example", name="Bob")
    bob = signed_in(app, "bob@icloud.example")
    own = f"/account/visitors/forms/{ident}"
    bob.get(NEW)
    assert bob.get(own).status_code == 404
    bob.get(NEW)
    assert bob.post(own, {**QUESTIONS, "do": "save"}).status_code == 404
    bob.get(NEW)
    assert bob.post(f"{own}/delete").status_code == 404
    sofia = proven(app, house)
    assert sofia.get(own).status_code == 404
    assert Visitor(app).get(own).status_code == 303


def test_a_form_from_another_site_fills_in_nothing(app: Portal, house: House) -> None:
    _, ident = made(app)
    sofia = proven(app, house)
    sofia.get(f"/to/dr-ruiz/write?form={ident}")
    strange = multipart({**filled(sofia, ident), "csrf_token": os.urandom(8).hex()}, b"")
    answer = sofia.client.post("/to/dr-ruiz/write", **strange)
    assert answer.status_code in (400, 403)
    assert letters(house) == 0


# -- asking for a form in a message ------------------------------------------------------------------------------------


def writes(ann: Visitor, **more: Any) -> Any:
    ann.get("/write")
    return ann.post("/write", {"to": "pat@yahoo.example", "subject": "Hi", "text": "Dear Pat.", **more})


def test_one_button_puts_the_address_of_a_form_below_the_words_and_who_follows_it_finds_the_form(
    app: Portal, house: House
) -> None:
    ann, ident = made(app, **{"title-en": "First <visit>"})
    assert f'name="ask" value="{ident}"' in ann.get("/write").text
    page = writes(ann, ask=ident).text
    words = re.search(r'<textarea[^>]+id="text"[^>]*>\s*(.*?)</textarea>', page, re.DOTALL)
    assert words
    link = re.fullmatch(
        r"Dear Pat\.\n\nPlease fill in “First &lt;visit&gt;”:\nhttps://[^/\s]+(/to/dr-ruiz\?form=\d+)\n", words[1]
    )
    assert link
    assert "First &lt;visit&gt;" in Visitor(app).get(link[1]).text
    again = writes(ann, ask=ident, text=f"Dear Pat.\n{unescape(words[1])}").text
    assert again.count(link[1]) == page.count(link[1])
    rich = writes(ann, ask=ident, html="<p>Dear <b>Pat</b>.</p>").text
    html = re.search(r'data-html="([^"]*)"', rich)
    assert html
    assert re.search(r"</p><p>.*First &lt;visit&gt;.*<a href=\"https://[^\"]+/to/dr-ruiz", unescape(html[1]))


def test_a_form_that_nobody_could_fill_in_is_not_asked_for(app: Portal, house: House) -> None:
    ann, ident = made(app)
    house.add_subscriber("bob@icloud.example", name="Bob")
    bob = signed_in(app, "bob@icloud.example")
    for strange in (ident, "x", "-1", "9" * 30):  # another subscriber's, and none at all
        page = writes(bob, ask=strange)
        assert page.status_code == 200
        assert "form=" not in page.text
        assert 'name="ask"' not in page.text
    house.tamper("UPDATE visitor_pages SET is_open = 0")
    closed = writes(ann, ask=ident).text
    house.tamper("UPDATE visitor_pages SET is_open = 1")
    assert f"/to/dr-ruiz?form={ident}" in writes(ann, ask=ident).text
    ann.get(f"/account/visitors/forms/{ident}")
    ann.post(f"/account/visitors/forms/{ident}", {**QUESTIONS, "open": [], "version": "1", "do": "save"})
    for page in (closed, writes(ann, ask=ident).text):
        assert "/to/dr-ruiz" not in page
        assert 'name="ask"' not in page

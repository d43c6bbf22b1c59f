"""Forms on a page for visitors: whose they are, which version is answered, and what arrives."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import replace
from email import message_from_bytes, policy

import pytest
from msgspec.structs import replace as changed

from cryptnsend.core.errors import NoGrant, Refusal
from cryptnsend.core.forms import Form, Question, Said
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.views import Filled, Writing
from cryptnsend.flow.visitforms import MOST, VERSIONS, OwnForm
from tests.flow.conftest import Post
from tests.flow.test_visitors import ANN, BOB, OPEN, signed_in, subscriber, visitor
from tests.support.house import SOURCE, House, MakeHouse

ASKED = Question("q1", "short", Said("Which medicine?", "¿Qué medicina?"), required=True)
FORM = Form(Said("Intake", "Ingreso"), Said("Hello."), (ASKED, Question("q2", "yes", Said("Smoker?"))))
TYPED = {"q1": "=Ferro <b>100</b>", "q2": "yes"}


def made(house: House, session: Session, form: Form = FORM, *, is_open: bool = True) -> OwnForm:
    house.clock.forward(1)  # ids, and so the order of a list, go by the millisecond
    return house.portal.visitforms.save(session, 0, form, is_open=is_open)


def fill(house: House, session: Session, ident: int, version: int = 0, language: str = "en", text: str = "") -> int:
    pages, shelf = house.portal.visitors, house.portal.visitforms
    house.clock.forward(1)
    asked = shelf.asked("dr-ruiz", ident, version)
    letter, wrong = shelf.letter(session, pages.page("dr-ruiz"), asked, TYPED, text, language)
    assert not wrong
    return pages.send(session, "dr-ruiz", letter, nonce=os.urandom(16), source=SOURCE)


def table(house: House, session: Session, message: int) -> list[list[str]]:
    """Return the rows of the file for spreadsheets."""
    file = next(each for each in house.pickup.show(session, message).files if each.name == "answers.csv")
    octets = b"".join(house.pickup.part(session, message, file.part).chunks)
    return list(csv.reader(io.StringIO(octets.decode("utf-8-sig"), newline="")))


def test_answers_arrive_as_one_sealed_letter_with_a_table_and_a_file_for_spreadsheets(house: House) -> None:
    ann = subscriber(house)
    ident = made(house, ann).id
    message = fill(house, visitor(house), ident, text="Call me <i>late</i>.")
    assert [row["origin"] for row in house.engine.query("SELECT origin FROM messages")] == ["visitor"]
    shown = house.pickup.show(ann, message)
    assert shown.subject == "Intake"
    assert shown.html is not None
    assert "&lt;b&gt;100&lt;/b&gt;" in shown.html
    assert "Call me &lt;i&gt;late&lt;/i&gt;." in shown.html
    assert shown.text is not None
    assert "1. Which medicine?\n   =Ferro <b>100</b>" in shown.text
    assert "2. Smoker?\n   Yes" in shown.text
    headings, values = table(house, ann, message)
    assert headings == ["Sent (UTC)", "Name", "Address", "Form", "Version", "Which medicine?", "Smoker?"]
    assert values[1:] == ["Sofia Grant", "sofia@yahoo.example", "Intake", "1", "'=Ferro <b>100</b>", "Yes"]


def test_answers_rest_nowhere_but_sealed_and_leave_only_locked(post: Post) -> None:
    house = post.house
    ann = subscriber(house)
    sofia = visitor(house)
    filled = Filled(made(house, ann).id, 1, (("q1", "Which medicine?", "Ferro100"),))
    house.portal.drafts.save(sofia, Writing("", "Intake", visits="dr-ruiz", filled=filled), nonce=os.urandom(16))
    fill(house, sofia, filled.form)
    post.deliver()
    locked = post.last(ANN).as_bytes()
    resting = [path.read_bytes() for path in house.home.path.rglob("*") if path.is_file()]
    assert any(b"Which medicine?" in octets for octets in resting)  # the questions are the page's
    for octets in (locked, *resting):
        assert b"Ferro" not in octets
    names = [part.get_filename() or "" for part in message_from_bytes(locked, policy=policy.default).walk()]
    assert "answers.csv" not in names


def test_a_draft_keeps_what_was_filled_in(house: House) -> None:
    subscriber(house)
    sofia = visitor(house)
    filled = Filled(7, 2, (("q1", "Which medicine?", "Ferro"),))
    ident = house.portal.drafts.save(sofia, Writing("", "Intake", visits="dr-ruiz", filled=filled))
    assert house.portal.drafts.draft(sofia, ident).writing.filled == filled


def test_an_answer_has_the_questions_that_its_writer_saw(house: House) -> None:
    ann = subscriber(house)
    sofia, shelf = visitor(house), house.portal.visitforms
    first = made(house, ann)
    other = changed(FORM, questions=(changed(ASKED, label=Said("Which doctor?")),))
    assert shelf.save(ann, first.id, other, is_open=True, version=1).version == 2
    assert table(house, ann, fill(house, sofia, first.id, version=1))[0][-2:] == ["Which medicine?", "Smoker?"]
    assert table(house, ann, fill(house, sofia, first.id))[0][-2:] == ["Version", "Which doctor?"]
    assert shelf.offered("dr-ruiz")[0].version == 2


def test_versions_are_kept_for_a_while_and_an_older_one_is_answered_as_the_newest(house: House) -> None:
    ann = subscriber(house)
    shelf = house.portal.visitforms
    ident = made(house, ann).id
    for number in range(2, VERSIONS + 3):
        shelf.save(ann, ident, changed(FORM, title=Said(f"Intake {number}")), is_open=True)
    assert len(house.engine.query("SELECT version FROM visitor_form_versions")) == VERSIONS
    assert shelf.asked("dr-ruiz", ident, 3).version == 3
    assert shelf.asked("dr-ruiz", ident, 2).version == VERSIONS + 2


def test_a_form_that_did_not_change_keeps_its_version_and_is_switched_on_and_off(house: House) -> None:
    ann = subscriber(house)
    shelf = house.portal.visitforms
    ident = made(house, ann).id
    assert shelf.save(ann, ident, FORM, is_open=True).version == 1
    assert not shelf.save(ann, ident, FORM, is_open=False).is_open
    assert shelf.offered("dr-ruiz") == []
    with pytest.raises(NoGrant):
        shelf.asked("dr-ruiz", ident)
    assert shelf.save(ann, ident, FORM, is_open=True).version == 1
    rows = house.engine.query("SELECT action, detail FROM audit WHERE action LIKE 'visitors.form%' ORDER BY seq")
    assert [(row["action"], f'"form":"{ident}"' in row["detail"]) for row in rows] == [("visitors.form", True)] * 3
    assert not any("medicine" in row["detail"] for row in rows)


def test_who_changes_a_form_that_was_changed_elsewhere_meanwhile_is_told(house: House) -> None:
    ann = subscriber(house)
    shelf = house.portal.visitforms
    ident = made(house, ann).id
    shelf.save(ann, ident, changed(FORM, title=Said("One")), is_open=True, version=1)
    with pytest.raises(Refusal, match="changed elsewhere"):
        shelf.save(ann, ident, changed(FORM, title=Said("Two")), is_open=True, version=1)
    assert shelf.own(ann, ident).form.title == Said("One")


def test_a_form_is_its_subscribers_alone(house: House) -> None:
    ann, bob = subscriber(house), subscriber(house, BOB, own=replace(OPEN, handle="bob-smith"))
    shelf = house.portal.visitforms
    ident = made(house, ann).id
    for act in (
        lambda: shelf.own(bob, ident),
        lambda: shelf.save(bob, ident, FORM, is_open=True),
        lambda: shelf.drop(bob, ident),
        lambda: shelf.asked("bob-smith", ident),
        lambda: shelf.asked("dr-ruiz", ident + 1),
        lambda: shelf.asked("nobody-here", ident),
    ):
        with pytest.raises(NoGrant):
            act()
    assert shelf.listing(bob) == []
    assert shelf.own(ann, ident).form == FORM


def test_a_page_that_is_closed_or_forbidden_offers_no_form(make_house: MakeHouse) -> None:
    house = make_house()
    org = house.organisation("Clinic")
    house.add_subscriber(ANN, organisation=org)
    ann = signed_in(house, ANN)
    pages, shelf = house.portal.visitors, house.portal.visitforms
    ident = made(house, ann).id
    assert shelf.offered("dr-ruiz") == []
    pages.save(ann, OPEN)
    assert [each.id for each in shelf.offered("dr-ruiz")] == [ident]
    pages.save(ann, replace(OPEN, is_open=False))
    with pytest.raises(NoGrant):
        shelf.asked("dr-ruiz", ident)
    pages.save(ann, OPEN)
    house.owner.owner.set_rules(org, {"visitor_pages": False}, "as agreed")
    with pytest.raises(NoGrant):
        shelf.asked("dr-ruiz", ident)
    with pytest.raises(Refusal, match="do not let you"):
        shelf.save(ann, 0, FORM, is_open=True)
    assert not made(house, ann, is_open=False).is_open


def test_a_page_has_so_many_forms_and_a_deleted_one_makes_room(house: House) -> None:
    ann = subscriber(house)
    shelf = house.portal.visitforms
    idents = [made(house, ann).id for _ in range(MOST)]
    with pytest.raises(Refusal, match="at most 10 forms"):
        made(house, ann)
    shelf.drop(ann, idents[0])
    with pytest.raises(NoGrant):
        shelf.drop(ann, idents[0])
    made(house, ann)
    assert not house.engine.query("SELECT form FROM visitor_form_versions WHERE form = :id", id=idents[0])


def test_a_damaged_form_is_not_there_for_visitors_and_can_be_made_anew(house: House) -> None:
    ann = subscriber(house)
    shelf = house.portal.visitforms
    good, ident = made(house, ann).id, made(house, ann).id
    house.tamper("UPDATE visitor_form_versions SET questions = '{' WHERE form = :id", id=ident)
    assert [each.id for each in shelf.offered("dr-ruiz")] == [good]
    with pytest.raises(NoGrant):
        shelf.asked("dr-ruiz", ident)
    assert [each.form.questions for each in shelf.listing(ann)] == [FORM.questions, ()]
    assert shelf.save(ann, ident, FORM, is_open=True, version=1).form == FORM


def test_who_answers_in_another_language_is_read_in_both_and_the_file_stays_in_the_readers(house: House) -> None:
    ann = subscriber(house)
    message = fill(house, visitor(house), made(house, ann).id, language="es")
    shown = house.pickup.show(ann, message)
    assert shown.subject == "Ingreso"
    assert shown.text is not None
    assert "1. ¿Qué medicina?\n(Which medicine?)" in shown.text
    assert "Sí\n   (Yes)" in shown.text
    headings, values = table(house, ann, message)
    assert headings[-2:] == ["Which medicine?", "Smoker?"]
    assert values[-1] == "Yes"

"""Forms for visitors: which can be put to people, which answers are taken, and how they read."""

from __future__ import annotations

import csv
import io
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as changed

from cryptnsend.core import answer_sheet, forms
from cryptnsend.core.errors import Refusal, StoreBroken
from cryptnsend.core.forms import Answer, Form, Question, Said

ASKED = Question("q1", "short", Said("Name", "Nombre"))
SIDE = Question("q2", "choice", Said("Side", "Lado"), choices=(Said("Left", "Izquierda"), Said("Right", "Derecha")))
FORM = Form(
    Said("Intake", "Ingreso"),
    Said("Hello.\nTake your time."),
    (
        ASKED, SIDE, Question("q3", "date", Said("Born"), required=True), Question("q4", "yes", Said("Smoker?")),
        Question("q5", "long", Said("Medicines")), Question("q6", "phone", Said("Phone")),
    ),
)  # fmt: skip
ENGLISH = answer_sheet.Labels("en", "Yes", "No", "No answer", "Question", "Answer")
SPANISH = answer_sheet.Labels("es", "Sí", "No", "Sin respuesta", "Pregunta", "Respuesta")
BEFORE = answer_sheet.Columns(("Sent", "Name"), ("2026-11-23 02:00", "=Eve"))


def with_questions(*questions: Question) -> Form:
    return changed(FORM, questions=questions)


def rows(octets: bytes) -> list[list[str]]:
    text = octets.decode()
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text[1:], newline="")))


# -- definitions ------------------------------------------------------------------------------------------------------


def test_a_form_rests_as_it_was_made() -> None:
    assert forms.decode(forms.encode(FORM)) == forms.checked(FORM) == FORM


def test_words_of_a_form_are_tidied_and_those_of_one_language_stand_in_for_the_other() -> None:
    form = forms.checked(changed(FORM, title=Said("", "  Ficha\t de  ingreso ")))
    assert form.title == Said("", "Ficha de ingreso")
    assert form.title.to("en") == form.title.to("es") == "Ficha de ingreso"
    assert FORM.questions[2].label.to("es") == "Born"


@pytest.mark.parametrize(
    ("form", "why"),
    [
        (changed(FORM, title=Said()), "title"),
        (changed(FORM, title=Said("x" * 81)), "The title is too long: 80"),
        (changed(FORM, title=Said("x\u202ey")), "cannot be shown"),
        (changed(FORM, introduction=Said("", "x" * 1201)), "What is said first is too long"),
        (with_questions(), "at least one"),
        (with_questions(*(changed(ASKED, key=f"q{n}") for n in range(1, 42))), "at most 40"),
        (with_questions(ASKED, ASKED), "same key"),
        (with_questions(changed(ASKED, key="q1'\"><script>")), "Question 1 is of no kind"),
        (with_questions(ASKED, changed(SIDE, kind="file")), "Question 2 is of no kind"),
        (with_questions(changed(ASKED, label=Said(" ", "\n"))), "Question 1 says nothing"),
        (with_questions(changed(ASKED, label=Said("x\x00"))), "Question 1 has a character"),
        (with_questions(changed(ASKED, help=Said("x" * 401))), "The help for question 1 is too long"),
        (with_questions(changed(SIDE, choices=(Said("Left"),))), "from 2 to 30"),
        (with_questions(changed(SIDE, choices=tuple(Said(str(n)) for n in range(31)))), "from 2 to 30"),
        (with_questions(changed(SIDE, choices=(Said("Left", "Izquierda"), Said("Right")))), "as many choices"),
        (with_questions(changed(SIDE, choices=(Said("Left"), Said("Left ")))), "twice"),
        (with_questions(changed(SIDE, choices=(Said("Once", "Una vez"), Said("Eleven", "Once")))), "twice"),
        (with_questions(changed(SIDE, choices=(Said("Left"), Said("x" * 101)))), "A choice of question 1 is too long"),
    ],
)
def test_a_form_that_cannot_be_put_is_refused_in_words(form: Form, why: str) -> None:
    with pytest.raises(Refusal, match=why):
        forms.checked(form)


@pytest.mark.parametrize("rests", ["", "{}", "[]", '{"title":3}', forms.encode(FORM).replace('"short"', '"script"')])
def test_a_damaged_form_is_found_out(rests: str) -> None:
    with pytest.raises(StoreBroken):
        forms.decode(rests)


def test_a_new_question_gets_a_key_that_no_other_has() -> None:
    assert forms.next_key(()) == "q1"
    assert forms.next_key((changed(ASKED, key="q7"), ASKED)) == "q8"


# -- answers ----------------------------------------------------------------------------------------------------------


def answered(question: Question, typed: str) -> tuple[str, str]:
    found, wrong = forms.answers(with_questions(question), {question.key: typed})
    return found[0].value, wrong.get(question.key, "")


@pytest.mark.parametrize(
    ("kind", "typed", "value"),
    [
        ("short", "  Pat \t Lee\r\n", "Pat Lee"),
        ("short", "", ""),
        ("short", "x" * 300, "x" * 300),
        ("short", "a\x00b\x1b\x9b", "ab"),
        ("short", "=1+1", "=1+1"),
        ("long", "Iron \r\nAspirin\r\n\r\n", "Iron\nAspirin"),
        ("date", "1984-7-3", "1984-07-03"),
        ("date", "2024-02-29", "2024-02-29"),
        ("choice", "Right", "1"),
        ("choice", " Izquierda", "0"),
        ("yes", "no", "no"),
        ("phone", "+1 (555) 010-0142 ext 3", "+1 (555) 010-0142 ext 3"),
        ("phone", "112", "112"),
    ],
)
def test_answers_have_one_spelling(kind: str, typed: str, value: str) -> None:
    assert answered(changed(SIDE, kind=kind), typed) == (value, "")


@pytest.mark.parametrize(
    ("kind", "typed", "why"),
    [
        ("short", "x" * 301, "too long: 300"),
        ("long", "x" * 5001, "too long: 5000"),
        ("date", "31/07/1984", "year, month and day"),
        ("date", "2023-02-29", "year, month and day"),
        ("date", "1984-13-01", "year, month and day"),
        ("date", "１９８４-07-31", "year, month and day"),
        ("date", "1849-12-31", "from 1850 to 2200"),
        ("choice", "1", "Choose one"),
        ("choice", "left", "Choose one"),
        ("choice", "9" * 5000, "Choose one"),
        ("yes", "maybe", "Choose one"),
        ("phone", "call me", "in digits"),
        ("phone", "()() ---", "in digits"),
        ("phone", "٠١٢٣٤", "in digits"),
    ],
)
def test_an_answer_that_cannot_be_taken_is_told_in_words_and_is_none(kind: str, typed: str, why: str) -> None:
    value, wrong = answered(changed(SIDE, kind=kind), typed)
    assert value == ""
    assert why in wrong


def test_a_question_that_has_to_be_answered_is_missed_and_others_are_not() -> None:
    found, wrong = forms.answers(FORM, {"q9": "strange", "q1": " \t"})
    assert wrong == {"q3": "Answer this question."}
    assert [each.value for each in found] == [""] * 6


# -- how they read ----------------------------------------------------------------------------------------------------

TYPED = {"q1": "<b>Pat</b> & Lee", "q2": "Right", "q3": "1984-07-31", "q4": "yes", "q5": "Iron\n=Aspirin"}


class Cells(HTMLParser):
    """Which elements there are, and what stands in the cells of a table."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.elements: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.elements.add(tag)
        if tag in ("td", "th"):
            self.cells.append("")
        elif tag == "br" and self.cells:
            self.cells[-1] += "\n"

    def handle_data(self, data: str) -> None:
        if self.cells and data.strip():
            self.cells[-1] += data


def cells(html: str) -> Cells:
    found = Cells()
    found.feed(html)
    return found


def test_answers_are_read_as_text_below_their_questions() -> None:
    found, wrong = forms.answers(FORM, TYPED)
    assert not wrong
    assert answer_sheet.as_text(FORM, found, ENGLISH, ENGLISH) == (
        "Intake\n\n1. Name\n   <b>Pat</b> & Lee\n\n2. Side\n   Right\n\n3. Born\n   1984-07-31\n\n"
        "4. Smoker?\n   Yes\n\n5. Medicines\n   Iron\n   =Aspirin\n\n6. Phone\n   No answer\n"
    )


def test_answers_are_read_as_a_table_in_which_nothing_typed_is_markup() -> None:
    found, _ = forms.answers(FORM, TYPED)
    shown = cells(answer_sheet.as_html(FORM, found, ENGLISH, ENGLISH))
    assert shown.cells[:6] == ["Question", "Answer", "Name", "<b>Pat</b> & Lee", "Side", "Right"]
    assert shown.cells[-4:] == ["Medicines", "Iron\n=Aspirin", "Phone", "No answer"]
    assert shown.elements == {"h2", "table", "thead", "tbody", "tr", "th", "td", "br", "i"}


def test_what_was_asked_in_another_language_is_read_in_both() -> None:
    found, _ = forms.answers(FORM, TYPED)
    text = answer_sheet.as_text(FORM, found, SPANISH, ENGLISH)
    assert text.startswith("Ingreso\n(Intake)\n\n1. Nombre\n(Name)\n   <b>Pat</b>")
    assert "2. Lado\n(Side)\n   Derecha\n   (Right)" in text
    assert "3. Born\n   1984-07-31" in text


def test_the_file_for_spreadsheets_has_the_readers_own_headings_whoever_answered() -> None:
    found, _ = forms.answers(FORM, TYPED)
    headings, values = rows(answer_sheet.as_csv(found, ENGLISH, BEFORE))
    assert headings == ["Sent", "Name", "Name", "Side", "Born", "Smoker?", "Medicines", "Phone"]
    assert values == [
        "2026-11-23 02:00",
        "'=Eve",
        "<b>Pat</b> & Lee",
        "Right",
        "1984-07-31",
        "Yes",
        "Iron\n'=Aspirin",
        "",
    ]


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("=1+1", "'=1+1"), ("+1 555", "'+1 555"), ("-5", "'-5"), ("@SUM(A1)", "'@SUM(A1)"), ("\t=1", "'\t'=1"),
        ("\r=1", "'\r'=1"), ("  =1", "'  =1"), ("\u00a0=1", "'\u00a0=1"), ("＝1", "'＝1"), ("|calc", "'|calc"),
        ('a";=1', 'a";\'=1'), ("a; @b", "a; '@b"), ("a-b=c", "a-b=c"), ("", ""), ("'=1", "'=1"),
        ("1984-07-31", "1984-07-31"),
    ],
)  # fmt: skip
def test_no_cell_is_a_formula(typed: str, written: str) -> None:
    assert answer_sheet.cell(typed) == written


@given(st.lists(st.text(max_size=60), min_size=1, max_size=5))
def test_whatever_is_typed_the_file_has_two_rows_of_text_and_the_table_no_markup_of_it(typed: list[str]) -> None:
    questions = tuple(changed(ASKED, key=f"q{n}", kind="long") for n in range(1, len(typed) + 1))
    form = with_questions(*questions)
    found, _ = forms.answers(form, {each.key: said for each, said in zip(questions, typed, strict=True)})
    written = rows(answer_sheet.as_csv(found, ENGLISH, BEFORE))
    assert [len(row) for row in written] == [2 + len(typed)] * 2
    for cell in [part for row in written for each in row for part in each.split(";")]:
        assert cell.lstrip(" \u00a0\u3000\"'\n")[:1] not in answer_sheet.FORMULAS or "'" in cell
    assert cells(answer_sheet.as_html(form, found, ENGLISH, ENGLISH)).elements <= {
        "h2", "table", "thead", "tbody", "tr", "th", "td", "br", "i",
    }  # fmt: skip


def test_what_is_left_of_a_form_that_is_gone_reads_as_a_letter() -> None:
    assert answer_sheet.as_words([("Name", "Pat"), ("Side", " "), ("", "Iron")]) == "Name\nPat\n\n\nIron"
    assert Answer(SIDE, "").said("en") == ""

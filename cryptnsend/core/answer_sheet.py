"""How do the answers of a form read? As text, as a table in HTML, and as a file for spreadsheets.

The questions stand as the visitor saw them; where the subscriber reads another language and the form has its words in
that one too, these stand behind. The file has its questions in the subscriber's language whoever answered, so that the
rows of many can be put below each other.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from html import escape

import msgspec

from cryptnsend.core.forms import NO, YES, Answer, Form

# How the cells begin that spreadsheets take for formulas, with the wide forms that some of them take for the same, and
# the blanks that some of them skip before they look.
FORMULAS = frozenset("=+-@\t\r\n\x0b\x0c|%＝＋－＠")
# Where a spreadsheet that parts cells at something else than commas might see another one begin, inside of ours.
_INSIDE = re.compile(r"([;\t\n\r][\"'\s]*)(?=[=+\-@|%＝＋－＠])")
GUARD = "'"  # what spreadsheets take as the word that text follows
BOM = "\ufeff"  # without it spreadsheets take UTF-8 for the code page of the house

_TABLE = 'style="border-collapse: collapse; width: 100%"'
_CELL = 'style="border: 1px solid #b6c2c8; padding: 6px 10px; text-align: left; vertical-align: top"'


class Labels(msgspec.Struct, frozen=True):
    """The words of a sheet in one language."""

    language: str
    yes: str
    no: str
    nothing: str  # no answer
    question: str
    answer: str

    def of(self, answer: Answer) -> str:
        """Return what was answered in these words, "" for nothing."""
        said = answer.said(self.language)
        return {YES: self.yes, NO: self.no}.get(said, said) if answer.question.kind == "yes" else said


class Columns(msgspec.Struct, frozen=True):
    """What stands before the answers in the file: headings in the subscriber's language, and what is below them."""

    headings: tuple[str, ...]
    cells: tuple[str, ...]


def as_text(form: Form, found: Sequence[Answer], seen: Labels, own: Labels) -> str:
    """Return the answers as plain text, each below its question; *seen* are the visitor's words, *own* the reader's."""
    parts = [_both(form.title.to(seen.language), form.title.to(own.language))]
    for number, each in enumerate(found, 1):
        asked = _both(each.question.label.to(seen.language), each.question.label.to(own.language))
        said = _both(seen.of(each), own.of(each)) or seen.nothing
        parts.append(f"{number}. {asked}\n" + "\n".join(f"   {line}".rstrip() for line in said.split("\n")))
    return "\n\n".join(parts) + "\n"


def as_html(form: Form, found: Sequence[Answer], seen: Labels, own: Labels) -> str:
    """Return the answers as a table; nothing that anybody typed is markup."""
    rows = []
    for each in found:
        asked = _html(_both(each.question.label.to(seen.language), each.question.label.to(own.language)))
        said = _html(_both(seen.of(each), own.of(each))) or f"<i>{escape(seen.nothing)}</i>"
        rows.append(f'<tr><th scope="row" {_CELL}>{asked}</th><td {_CELL} dir="auto">{said}</td></tr>')
    title = _html(_both(form.title.to(seen.language), form.title.to(own.language)))
    head = "".join(f'<th scope="col" {_CELL}>{escape(each)}</th>' for each in (seen.question, seen.answer))
    return "\n".join(
        [
            f"<h2>{title}</h2>",
            f"<table {_TABLE}>",
            f"<thead><tr>{head}</tr></thead>",
            "<tbody>",
            *rows,
            "</tbody></table>\n",
        ]
    )


def as_csv(found: Sequence[Answer], own: Labels, before: Columns) -> bytes:
    """
    Return the answers as one row below its headings (RFC 4180), in UTF-8 with a mark for spreadsheets.

    Each cell that a spreadsheet would compute has an apostrophe before it.
    """
    written = io.StringIO(newline="")
    writer = csv.writer(written, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    headings = [*before.headings, *(each.question.label.to(own.language) for each in found)]
    cells = [*before.cells, *(own.of(each) for each in found)]
    writer.writerow([cell(each) for each in headings])
    writer.writerow([cell(each) for each in cells])
    return (BOM + written.getvalue()).encode()


def cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    guarded = _INSIDE.sub(rf"\1{GUARD}", text)
    return GUARD + guarded if guarded.lstrip(" \u00a0\u3000")[:1] in FORMULAS else guarded


def as_words(written: Sequence[tuple[str, str]]) -> str:
    """Return questions and what was typed to them as the words of a letter: what is left of a form that is gone."""
    return "\n\n".join(f"{label}\n{typed}" for label, typed in written if typed.strip())


def _both(seen: str, own: str) -> str:
    return seen if own == seen else f"{seen}\n({own})"


def _html(text: str) -> str:
    return escape(text).replace("\n", "<br>")

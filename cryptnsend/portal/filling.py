"""What did a visitor fill in, and in which form? Read from the request; a letter without a form has neither."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import request
from flask_babel import gettext

from cryptnsend.core.errors import NoGrant, Sentence
from cryptnsend.core.forms import LABEL, MOST_QUESTIONS
from cryptnsend.flow.views import Drafted, Filled
from cryptnsend.flow.visitforms import Asked, kept, without_form
from cryptnsend.portal.desk import desk
from cryptnsend.portal.language import say, spoken
from cryptnsend.portal.writing import number_of

FIELD, ASKED = "answer-", "asked-"  # before the key of a question, in names of fields: what is typed, what was asked


@dataclass(frozen=True, slots=True)
class Filling:
    """A form as a page shows it: what is asked, what was typed, and what is wrong with it."""

    asked: Asked | None = None
    typed: Mapping[str, str] = field(default_factory=dict, repr=False)
    lost: str = field(default="", repr=False)  # of a form that is not there any more, as the words of a letter
    wrong: Mapping[str, str] = field(default_factory=dict)

    def as_kept(self) -> Filled:
        """Return it as a draft keeps it."""
        if self.asked is None:
            return Filled()
        return Filled(self.asked.id, self.asked.version, kept(self.asked.form, self.typed, spoken()))


NOTHING = Filling()


def sent_along(handle: str) -> Filling:
    """Return what came with a form."""
    ident, version = number_of(request.form.get("form", "")), number_of(request.form.get("version", ""))
    if not ident:
        return NOTHING
    return _found(handle, ident, version, _fields(FIELD), {key: said[:LABEL] for key, said in _fields(ASKED).items()})


def _fields(before: str) -> dict[str, str]:
    names = [name for name in request.form if name.startswith(before)][: 2 * MOST_QUESTIONS]
    return {name.removeprefix(before): request.form[name] for name in names}


def of_draft(handle: str, draft: Drafted) -> Filling:
    """Return what a draft kept."""
    filled = draft.writing.filled
    if not filled.form:
        return NOTHING
    labels = {key: label for key, label, _ in filled.answers}
    return _found(handle, filled.form, filled.version, {key: said for key, _, said in filled.answers}, labels)


def chosen_form(handle: str, ident: int) -> Filling:
    """Return an empty form, or nothing where it is not there."""
    return _found(handle, ident, 0, {}, {}) if 0 < ident < 1 << 63 else NOTHING


def gone(filled: Filling) -> str:
    """Say that a form, or a question of it, is not there any more, and where its answers are now."""
    if filled.asked is not None:
        return gettext("The form has changed. What you answered to a question that is gone stands in the text below.")
    return gettext(
        "This form is not here any more. What you filled in stands in the letter below: look it over, then send that."
    )


def marked(wrong: Mapping[str, Sentence]) -> Mapping[str, str]:
    """Return what is wrong with which answer, in the reader's language."""
    return {key: say(said) for key, said in wrong.items()}


def _found(handle: str, ident: int, version: int, typed: dict[str, str], labels: dict[str, str]) -> Filling:
    try:
        asked = desk().visitforms.asked(handle, ident, version)
    except NoGrant:
        return Filling(lost=without_form([(key, labels.get(key, ""), said) for key, said in typed.items()]))
    known = {each.key for each in asked.form.questions}
    # Of a question that was taken out since: its words are not the form's any more, and must not be lost.
    astray = [(key, labels.get(key, ""), said) for key, said in typed.items() if key not in known]
    return Filling(asked, {key: said for key, said in typed.items() if key in known}, without_form(astray))


def shown(filling: Filling) -> dict[str, Any]:
    """Return what the page of a letter needs to show a form."""
    return {"asked": filling.asked, "answers": filling.typed, "wrong": filling.wrong, "prefix": FIELD, "carried": ASKED}

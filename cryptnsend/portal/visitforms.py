"""How does a subscriber make a form for visitors? One page: questions are added, moved and removed by buttons of it.

Nothing is kept before “Save” is pressed; until then the page itself carries what was typed from one step to the next,
so that it works without a script.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask_babel import gettext

from cryptnsend.core import forms
from cryptnsend.core.errors import NoGrant, Refusal
from cryptnsend.core.forms import MOST_QUESTIONS, Form, Question, Said
from cryptnsend.flow.visitforms import OwnForm
from cryptnsend.portal.desk import desk
from cryptnsend.portal.language import say
from cryptnsend.portal.security import WRONG, check_form
from cryptnsend.portal.visits import forget, needs_subscriber, recall, remember, signed_in
from cryptnsend.portal.writing import number_of

blueprint = Blueprint("visitforms", __name__)

ROOM = 400_000  # octets of the form in which a form is made: forty questions, each with all that it may have
LANGUAGES = ("en", "es")
FIRST = Question("q1", "short", Said())


@blueprint.before_request
def _check() -> None:
    request.max_content_length = request.max_form_memory_size = ROOM
    request.max_form_parts = 20 * MOST_QUESTIONS
    check_form()


@dataclass(frozen=True, slots=True)
class _Typed:
    """A form as it stands on the page, and which question was touched last."""

    form: Form
    is_open: bool
    version: int
    touched: str = ""


@blueprint.route("/account/visitors/forms/new", methods=["GET", "POST"])
@needs_subscriber
def new() -> Any:
    """Make a form."""
    if request.method != "POST":
        return _page(OwnForm(0, 0, True, Form()), _Typed(Form(questions=(FIRST,)), True, 0))
    return _done(OwnForm(0, 0, True, Form()))


@blueprint.route("/account/visitors/forms/<int:ident>", methods=["GET", "POST"])
@needs_subscriber
def change(ident: int) -> Any:
    """Show a form, and change it."""
    own = desk().visitforms.own(signed_in(), ident)
    if request.method != "POST":
        return _page(own, _Typed(own.form, own.is_open, own.version))
    return _done(own)


@blueprint.post("/account/visitors/forms/<int:ident>/delete")
@needs_subscriber
def delete(ident: int) -> Any:
    """Delete a form; letters that came by it stay."""
    desk().visitforms.drop(signed_in(), ident)
    return redirect(url_for("visitors.settings"), 303)


def _done(own: OwnForm) -> Any:
    """Do what the button says that was pressed."""
    typed, (act, _, about) = _typed(), request.form.get("do", "save").partition("-")
    if act == "preview":
        try:
            return _page(own, typed, preview=forms.checked(typed.form))
        except Refusal as refused:
            return _page(own, typed, say(refused)), WRONG
    if act != "save":
        return _page(own, _moved(typed, act, about))
    try:
        made = desk().visitforms.save(signed_in(), own.id, typed.form, is_open=typed.is_open, version=typed.version)
    except NoGrant:
        raise
    except Refusal as refused:
        return _page(own, typed, say(refused)), WRONG
    remember("saved", "form")
    return redirect(url_for("visitforms.change", ident=made.id), 303)


def _moved(typed: _Typed, act: str, key: str) -> _Typed:
    """Add, move or remove a question; what no button says changes nothing."""
    asked = list(typed.form.questions)
    at = next((place for place, each in enumerate(asked) if each.key == key), -1)
    touched = key
    if act == "add" and len(asked) < MOST_QUESTIONS:
        asked.append(Question(touched := forms.next_key(asked), "short", Said()))
    elif act == "remove" and at >= 0:
        del asked[at]
        touched = asked[min(at, len(asked) - 1)].key if asked else ""
    elif act in ("up", "down") and at >= 0:
        to = at + (1 if act == "down" else -1)
        if 0 <= to < len(asked):
            asked[at], asked[to] = asked[to], asked[at]
    form = Form(typed.form.title, typed.form.introduction, tuple(asked))
    return _Typed(form, typed.is_open, typed.version, touched)


def _typed() -> _Typed:
    form = request.form
    keys = list(dict.fromkeys(form.getlist("q")))[: MOST_QUESTIONS + 1]
    asked = tuple(
        Question(
            key, form.get(f"kind-{key}", "short"), _said(f"label-{key}"), f"required-{key}" in form,
            _said(f"help-{key}"), _choices(key) if form.get(f"kind-{key}") == "choice" else (),
        )
        for key in keys
    )  # fmt: skip
    return _Typed(
        Form(_said("title"), _said("introduction"), asked), "open" in form, number_of(form.get("version", ""))
    )


def _said(name: str) -> Said:
    return Said(*(request.form.get(f"{name}-{language}", "") for language in LANGUAGES))


def _choices(key: str) -> tuple[Said, ...]:
    lines = [
        [line for line in request.form.get(f"choices-{key}-{language}", "").splitlines() if line.strip()]
        for language in LANGUAGES
    ]
    return tuple(Said(en, es) for en, es in zip_longest(*lines, fillvalue=""))


def _page(own: OwnForm, typed: _Typed, error: str = "", preview: Form | None = None) -> str:
    saved = recall("saved") == "form"
    forget("saved")
    kinds = {
        "short": gettext("A short text"),
        "long": gettext("A long text"),
        "date": gettext("A date"),
        "choice": gettext("One of several choices"),
        "yes": gettext("Yes or no"),
        "phone": gettext("A telephone number"),
    }
    page = desk().visitors.own(signed_in())
    tongues = [tag for tag in LANGUAGES if preview is not None and getattr(preview.title, tag)] or [*LANGUAGES[:1]]
    return render_template(
        "visitor-form.html", own=own, typed=typed, form=typed.form, kinds=kinds, error=error, preview=preview,
        saved=saved, most=MOST_QUESTIONS, page=page, tongues=tongues,
    )  # fmt: skip

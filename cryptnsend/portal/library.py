"""How does a subscriber look after the files that they send again and again? Add, rename, delete; /write attaches."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask_babel import gettext

from cryptnsend.core.errors import Denied, NoGrant
from cryptnsend.flow.library import LARGEST
from cryptnsend.portal.desk import desk
from cryptnsend.portal.language import say
from cryptnsend.portal.security import WRONG, check_form
from cryptnsend.portal.visits import forget, is_subscriber, needs_subscriber, recall, remember, signed_in, visitor
from cryptnsend.portal.writing import FORM_EXTRA, chosen, nonce_of

blueprint = Blueprint("library", __name__, url_prefix="/library")


@blueprint.before_request
def _check() -> None:
    """Let a form be large before it is read, but only from whom we know."""
    if visitor() is not None and not is_subscriber(visitor()):
        abort(404)
    if request.endpoint == "library.add":
        if visitor() is None:
            return  # they are sent to the sign-in page, and no form is read
        request.max_content_length = LARGEST + FORM_EXTRA
    check_form()


@blueprint.get("")
@needs_subscriber
def listing() -> Any:
    """List the files, with what can be done about each."""
    return _page()


@blueprint.post("")
@needs_subscriber
def add() -> Any:
    """Keep the files that came with the form."""
    files = chosen()
    if not files:
        return _page(gettext("Choose a file first.")), WRONG
    try:
        for each in files:
            desk().library.add(signed_in(), each.name, each.media_type, each.size, each.chunks(), nonce_of(""))
    except NoGrant:
        raise
    except Denied as denied:
        return _page(say(denied)), WRONG
    remember("shelved", "added")
    return redirect(url_for("library.listing"), 303)


@blueprint.post("/<int:file>/rename")
@needs_subscriber
def rename(file: int) -> Any:
    """Call a file something else."""
    try:
        desk().library.rename(signed_in(), file, request.form.get("name", "")[:300])
    except NoGrant:
        raise
    except Denied as denied:
        return _page(say(denied)), WRONG
    remember("shelved", "renamed")
    return redirect(url_for("library.listing"), 303)


@blueprint.post("/<int:file>/delete")
@needs_subscriber
def delete(file: int) -> Any:
    """Delete a file; what was sent of it stays."""
    desk().library.drop(signed_in(), file)
    remember("shelved", "deleted")
    return redirect(url_for("library.listing"), 303)


def _page(problem: str = "") -> str:
    shelved = recall("shelved")
    forget("shelved")
    files = desk().library.listing(signed_in())
    return render_template("library.html", files=files, problem=problem, shelved=shelved, largest=LARGEST)

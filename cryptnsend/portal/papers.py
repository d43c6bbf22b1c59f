"""How does somebody who is signed in get the key of a PDF that came by mail, or save a message as one?

The key opens the message, so it is shown as the message is: to its proven reader alone, and not to HEAD.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, render_template, request

from cryptnsend.core.document_key import said
from cryptnsend.core.errors import Ended, NoGrant, Refusal
from cryptnsend.portal.desk import desk
from cryptnsend.portal.language import say, spoken
from cryptnsend.portal.letters import closed_page, download
from cryptnsend.portal.security import WRONG, check_form
from cryptnsend.portal.visits import needs_session, signed_in, visitor

blueprint = Blueprint("papers", __name__)


@blueprint.before_request
def _check() -> Response | None:
    """Answer HEAD with nothing, and check forms."""
    if visitor() is None:
        return None  # every view here sends them to the sign-in page, and reads no form
    if request.method == "HEAD":
        return Response()  # nobody has seen a key then
    check_form()
    return None


@blueprint.get("/messages/<int:message>/key")
@needs_session
def key(message: int) -> Any:
    """Show the key of the PDF that a message came as."""
    try:
        letter, keys = desk().pickup.papers.keys(signed_in(), message)
    except (NoGrant, Ended):
        return closed_page(message)
    return render_template("pdf-key.html", letter=letter, keys=keys, said=said)


@blueprint.route("/messages/<int:message>/pdf", methods=["GET", "POST"])
@needs_session
def pdf(message: int) -> Any:
    """Show the key of a PDF that is about to be made; the button then brings the file."""
    problem = None
    if request.method == "POST":
        try:
            return download(desk().pickup.papers.document(signed_in(), message, spoken()))
        except Refusal as refused:
            problem = say(refused)
    letter, keys = desk().pickup.papers.keys(signed_in(), message)
    page = render_template("pdf.html", letter=letter, keys=keys[:1], said=said, error=problem)
    return page, WRONG if problem else 200

"""What does somebody do with messages they have read: throw them away, put them back, keep them as unread?"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask_babel import gettext

from cryptnsend.portal.desk import desk
from cryptnsend.portal.letters import PAGE
from cryptnsend.portal.security import check_form
from cryptnsend.portal.subscriber import summary
from cryptnsend.portal.visits import forget, needs_session, recall, remember, row_number, signed_in

blueprint = Blueprint("folders", __name__)
blueprint.before_request(check_form)

LISTS = {"recipient": "letters.listing", "author": "subscriber.sent"}


@blueprint.get("/trash")
@needs_session
def trash() -> Any:
    """List what was thrown away, here or by a mail program, newest first."""
    before = request.args.get("before", type=row_number)
    found = desk().folders.trash(signed_in(), before=before, limit=PAGE + 1)
    said = recall("thrown")
    forget("thrown")
    return render_template(
        "trash.html",
        found=found[:PAGE],
        more=len(found) > PAGE,
        before=before,
        said=said,
        summary=summary,
        now=desk().now(),
    )


@blueprint.post("/messages/<int:message>/trash")
@needs_session
def throw_away(message: int) -> Any:
    """Throw a message away."""
    role = _role()
    desk().folders.throw_away(signed_in(), message, role)
    remember("thrown", [str(message), role])
    return redirect(url_for(LISTS[role]), 303)


@blueprint.post("/messages/<int:message>/put-back")
@needs_session
def put_back(message: int) -> Any:
    """Take a message out of Trash; lead back to where the button was, Trash or the list it was thrown away from."""
    role = _role()
    desk().folders.put_back(signed_in(), message, role)
    remember("thrown", gettext("It is back where it was."))
    return redirect(url_for(LISTS[role] if "undo" in request.form else "folders.trash"), 303)


@blueprint.post("/messages/<int:message>/unread")
@needs_session
def unread(message: int) -> Any:
    """Let a message stand as unread again."""
    desk().folders.mark_unread(signed_in(), message)
    return redirect(url_for("letters.listing"), 303)


def _role() -> str:
    return "author" if request.form.get("role") == "author" else "recipient"

"""What does a subscriber do about a message that went out? Notices again, another end, deleting for good, proof."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask_babel import gettext, ngettext

from cryptnsend.core.errors import Denied, NoGrant, Refusal
from cryptnsend.portal.desk import desk
from cryptnsend.portal.language import say
from cryptnsend.portal.security import WRONG, check_form
from cryptnsend.portal.subscriber import recipient_of, status_page
from cryptnsend.portal.visits import needs_subscriber, remember, signed_in

blueprint = Blueprint("following", __name__)
blueprint.before_request(check_form)


@blueprint.post("/sent/<int:message>/remind")
@needs_subscriber
def remind(message: int) -> Any:
    """Send the notice again, to one recipient or to all who have not opened the message."""
    found = desk().pickup.status(signed_in(), message)
    try:
        count = desk().following.remind(signed_in(), message, one_or_all(message))
    except NoGrant:
        raise
    except Denied as denied:
        return status_page(found, problem=say(denied)), WRONG
    words = ngettext("The notice is on its way again.", "%(num)d notices are on their way again.", count)
    remember("saved", ["said", words])
    return redirect(url_for("subscriber.status", message=message), 303)


@blueprint.post("/sent/<int:message>/again")
@needs_subscriber
def again(message: int) -> Any:
    """Begin a mail anew for somebody whom it did not get to as ordinary mail."""
    found = desk().pickup.status(signed_in(), message)
    try:
        draft = desk().newmail.write_again(signed_in(), message, recipient_of(found))
    except NoGrant:
        raise
    except (Denied, Refusal) as denied:
        return status_page(found, problem=say(denied)), WRONG
    return redirect(url_for("compose.edit", draft=draft), 303)


@blueprint.post("/sent/<int:message>/extend")
@needs_subscriber
def extend(message: int) -> Any:
    """Let a message be opened until another day."""
    found = desk().pickup.status(signed_in(), message)
    try:
        desk().following.extend(signed_in(), message, end_of(request.form.get("until", "")), one_or_all(message))
    except NoGrant:
        raise
    except Denied as denied:
        return status_page(found, problem=say(denied)), WRONG
    remember("saved", ["said", gettext("The new day holds from now on.")])
    return redirect(url_for("subscriber.status", message=message), 303)


@blueprint.post("/sent/<int:message>/delete")
@needs_subscriber
def delete(message: int) -> Any:
    """Ask whether a message is to be deleted for good, and do it when that was answered."""
    found, address = desk().pickup.status(signed_in(), message), one_or_all(message)
    if request.form.get("sure") != "yes":
        return render_template("delete-sent.html", status=found, address=address)
    desk().pickup.shred(signed_in(), message, address)
    remember("saved", ["said", gettext("It is deleted for good. You keep your own copy.")])
    return redirect(url_for("subscriber.status", message=message), 303)


@blueprint.get("/sent/<int:message>/proof")
@needs_subscriber
def proof(message: int) -> Any:
    """Show what the audit trail says of a message: who opened it and when, and who did not."""
    return render_template(
        "proof.html",
        status=desk().pickup.status(signed_in(), message),
        proof=desk().following.proof(signed_in(), message),
        now=desk().now(),
    )


def one_or_all(message: int) -> str | None:
    """Return the recipient that the form names, None if it names nobody; it must be one of this message."""
    return recipient_of(desk().pickup.status(signed_in(), message)) if request.form.get("address") else None


def end_of(day: str) -> int:
    """Return the end of a day as a form has it (UTC milliseconds), 0 for what is none."""
    try:
        at = datetime.fromisoformat(day[:10]).replace(tzinfo=UTC) + timedelta(days=1)
    except (ValueError, OverflowError):
        return 0
    return max(0, int(at.timestamp() * 1000) - 1)

"""What becomes of a mail that was held? Its author chooses here, by buttons; officers see what is held, and no content.

The link in the mail leads here and does nothing by itself: it asks who is there, and a button is a form of this page.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask_babel import gettext

from cryptnsend.core.errors import Denied, NoGrant
from cryptnsend.flow.heldmail import place_in_words, rule_in_words
from cryptnsend.flow.holding import LONGEST
from cryptnsend.portal.desk import desk
from cryptnsend.portal.language import say
from cryptnsend.portal.oversight import needs_officer
from cryptnsend.portal.security import WRONG, check_form
from cryptnsend.portal.visits import needs_subscriber, remember, row_number, signed_in

blueprint = Blueprint("held", __name__)
blueprint.before_request(check_form)

PAGE = 50


@blueprint.get("/held/<int:message>")
@needs_subscriber
def choose(message: int) -> Any:
    """Show what was found in a mail of one's own, and what can be done."""
    return _page(message)


@blueprint.post("/held/<int:message>")
@needs_subscriber
def chosen(message: int) -> Any:
    """Do what the author chose."""
    choice, reason = request.form.get("choice", ""), request.form.get("reason", "")[: 2 * LONGEST]
    try:
        if choice == "encrypt":
            desk().holding.decide(signed_in(), message, "encrypt")
            words = gettext("It is sent encrypted. Your recipients get a notice with a link.")
        elif choice == "plain":
            desk().holding.decide(signed_in(), message, "plain", reason)
            words = gettext("It leaves as it is. Your reason is kept.")
        elif choice == "discard":
            desk().holding.decide(signed_in(), message, "discard")
            words = gettext("It was thrown away and does not leave. You keep your own copy.")
        else:
            abort(400)
    except NoGrant:
        raise
    except Denied as denied:
        return _page(message, problem=say(denied), reason=reason), WRONG
    remember("saved", ["said", words])
    return redirect(url_for("subscriber.status", message=message), 303)


@blueprint.get("/quarantine")
@needs_officer
def quarantine() -> Any:
    """List what is held of the mail of an officer's organisation, or all that was."""
    before, everything = request.args.get("before", type=row_number), "all" in request.args
    found = desk().holding.quarantine(signed_in(), waiting=not everything, before=before, limit=PAGE + 1)
    return render_template(
        "quarantine.html",
        found=found[:PAGE],
        more=len(found) > PAGE,
        before=before,
        everything=everything,
        rule=lambda name: rule_in_words(name, gettext),
    )


def _page(message: int, problem: str | None = None, reason: str = "") -> str:
    held = desk().holding.show(signed_in(), message)
    return render_template(
        "held.html",
        held=held,
        found=[
            (rule_in_words(each.rule, gettext), each.masked, place_in_words(each.where, gettext)) for each in held.found
        ],
        problem=problem,
        reason=reason,
        longest=LONGEST,
    )

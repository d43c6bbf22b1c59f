"""Where does a subscriber say which programs are told what happened to their mail?"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask_babel import gettext

from cryptnsend.core.errors import Denied, NoGrant, Throttled, WrongSecret
from cryptnsend.core.hooks import EVENTS
from cryptnsend.flow.webhooks import NewWebhook
from cryptnsend.portal.api import flows
from cryptnsend.portal.language import say
from cryptnsend.portal.security import WRONG, check_form
from cryptnsend.portal.visits import forget, needs_subscriber, recall, remember, signed_in, source

blueprint = Blueprint("webhooks", __name__)
blueprint.before_request(check_form)


@blueprint.route("/account/webhooks", methods=["GET", "POST"])
@needs_subscriber
def overview() -> Any:
    """List the webhooks of this account with their latest tries, and make another one or another secret."""
    form, hook = request.form, request.form.get("hook", type=int)
    page: dict[str, Any] = {
        "url": form.get("url", "").strip()[:500],
        "chosen": [each for each in form.getlist("event") if each in EVENTS],
    }
    if request.method != "POST":
        page["chosen"] = list(EVENTS)
        return _page(page)
    password = form.get("password", "")
    try:
        if hook is not None:
            made = flows().webhooks.rotate(signed_in(), hook, password, source())
        else:
            made = flows().webhooks.add(
                signed_in(), url=page["url"], events=page["chosen"], password=password, source=source()
            )
    except WrongSecret:
        said = gettext("That is not your password.")
        return _page(page, problem=said) if hook is not None else _page(page, error=said), WRONG
    except (Throttled, NoGrant):
        raise
    except Denied as denied:
        return _page(page, problem=say(denied)), WRONG
    return _page({"url": "", "chosen": list(EVENTS)}, made=made)


@blueprint.post("/account/webhooks/<int:hook>/test")
@needs_subscriber
def test(hook: int) -> Any:
    """Send an event that is about nothing; the list shows how it went."""
    try:
        flows().webhooks.test(signed_in(), hook)
    except NoGrant:
        raise
    except Denied as denied:
        return _page({"url": "", "chosen": list(EVENTS)}, problem=say(denied)), WRONG
    remember("saved", "tested")
    return redirect(url_for("webhooks.overview"), 303)


@blueprint.post("/account/webhooks/<int:hook>/remove")
@needs_subscriber
def remove(hook: int) -> Any:
    """Tell this webhook nothing more."""
    flows().webhooks.remove(signed_in(), hook)
    remember("saved", "removed")
    return redirect(url_for("webhooks.overview"), 303)


def _page(page: dict[str, Any], *, made: NewWebhook | None = None, error: str = "", problem: str = "") -> str:
    saved = recall("saved")
    forget("saved")
    somebody = signed_in()
    return render_template(
        "webhooks.html",
        **page,
        made=made,
        error=error or None,
        problem=problem,
        saved=saved,
        allowed=flows().webhooks.allowed(somebody),
        hooks=flows().webhooks.listing(somebody),
        events=EVENTS,
    )

"""Where do people say which programs are told what happened to mail?

Subscribers have a page about their own mail, officers and managers one about that of everybody in the organisation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask_babel import gettext

from cryptnsend.core.errors import Denied, NoGrant, Throttled, WrongSecret
from cryptnsend.core.hooks import EVENTS
from cryptnsend.flow.webhooks import NewWebhook
from cryptnsend.portal.api import flows
from cryptnsend.portal.flows_programs import Webhooks
from cryptnsend.portal.language import say
from cryptnsend.portal.organisation import STAFF, needs, number
from cryptnsend.portal.passkeys import typed_password
from cryptnsend.portal.security import WRONG, allow_saving, check_form
from cryptnsend.portal.visits import forget, needs_subscriber, recall, remember, row_number, signed_in, source

Guard = Callable[[Callable[..., Any]], Callable[..., Any]]


def _page(page: dict[str, Any], *, made: NewWebhook | None = None, error: str = "", problem: str = "") -> str:
    saved = recall("saved")
    forget("saved")
    somebody = signed_in()
    hooks = _flow().listing(somebody)
    if any(each.waits for each in hooks):
        allow_saving()  # the script asks how it goes
    return render_template(
        "webhooks.html",
        **page,
        whole=request.blueprint == of_all.name,
        made=made,
        error=error or None,
        problem=problem,
        saved=saved,
        allowed=_flow().allowed(somebody),
        hooks=hooks,
        events=EVENTS,
    )


def _flow() -> Webhooks:
    return flows().organisation_webhooks if request.blueprint == of_all.name else flows().webhooks


def overview() -> Any:
    """List the webhooks with their latest tries, and make another one or another secret."""
    form, hook = request.form, request.form.get("hook", type=row_number)
    page: dict[str, Any] = {
        "url": form.get("url", "").strip()[:500],
        "chosen": [each for each in form.getlist("event") if each in EVENTS],
    }
    if request.method != "POST":
        page["chosen"] = list(EVENTS)
        return _page(page)
    try:
        password, code = typed_password(), number("code" if hook is None else f"code-{hook}")
        if hook is not None:
            made = _flow().rotate(signed_in(), hook, password, source(), code)
        else:
            asked = {"url": page["url"], "events": page["chosen"]}
            made = _flow().add(signed_in(), **asked, password=password, source=source(), code=code)
    except WrongSecret:
        said = gettext("That is not your password.")
        return _page(page, problem=said) if hook is not None else _page(page, error=said), WRONG
    except (Throttled, NoGrant):
        raise
    except Denied as denied:
        return _page(page, problem=say(denied)), WRONG
    return _page({"url": "", "chosen": list(EVENTS)}, made=made)


def test(hook: int) -> Any:
    """Send an event that is about nothing; the list shows how it went."""
    try:
        _flow().test(signed_in(), hook)
    except NoGrant:
        raise
    except Denied as denied:
        return _page({"url": "", "chosen": list(EVENTS)}, problem=say(denied)), WRONG
    remember("saved", "tested")
    return redirect(url_for(".overview") + f"#hook-{hook}", 303)


def tries(hook: int) -> Any:
    """Return the part of the page that says how telling goes."""
    return render_template("_webhook-tries.html", hook=_flow().one(signed_in(), hook))


def remove(hook: int) -> Any:
    """Tell this webhook nothing more."""
    _flow().remove(signed_in(), hook)
    remember("saved", "removed")
    return redirect(url_for(".overview"), 303)


def _pages(name: str, prefix: str, guard: Guard) -> Blueprint:
    """Return these pages at *prefix*, for those whom *guard* lets in."""
    made = Blueprint(name, __name__, url_prefix=prefix)
    made.before_request(check_form)
    made.add_url_rule("", "overview", guard(overview), methods=["GET", "POST"])
    made.add_url_rule("/<int:hook>/test", "test", guard(test), methods=["POST"])
    made.add_url_rule("/<int:hook>/tries", "tries", guard(tries), methods=["GET"])
    made.add_url_rule("/<int:hook>/remove", "remove", guard(remove), methods=["POST"])
    return made


blueprint = _pages("webhooks", "/account/webhooks", needs_subscriber)
of_all = _pages("organisation_webhooks", "/organisation/webhooks", needs(*STAFF))

"""Where does a subscriber let a program send for them? Tokens: made with the password, shown once, removed at once."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask_babel import gettext

from cryptnsend.core.api_tokens import LONGEST, SCOPES, USUAL
from cryptnsend.core.errors import Denied, Throttled, WrongSecret
from cryptnsend.flow.api_tokens import NewToken
from cryptnsend.portal.api import flows
from cryptnsend.portal.desk import desk
from cryptnsend.portal.language import say
from cryptnsend.portal.security import WRONG, check_form
from cryptnsend.portal.visits import forget, needs_subscriber, recall, remember, signed_in, source

blueprint = Blueprint("api_tokens", __name__)
blueprint.before_request(check_form)

LIVES = (7, 30, 90, 180, USUAL)  # days
NAME = 60  # characters


@blueprint.route("/account/programs", methods=["GET", "POST"])
@needs_subscriber
def overview() -> Any:
    """List the tokens of this account, and make another one, which is shown in the answer only."""
    form = request.form
    page: dict[str, Any] = {
        "name": " ".join(form.get("name", "").split())[:NAME],
        "chosen": [each for each in form.getlist("scope") if each in SCOPES],
        "days": _days(form.get("days", "")),
    }
    if request.method != "POST":
        page["chosen"] = ["send", "status"]
        return _page(page)
    try:
        made = flows().tokens.add(
            signed_in(), name=page["name"], scopes=page["chosen"], days=page["days"],
            password=form.get("password", ""), source=source(),
        )  # fmt: skip
    except WrongSecret:
        return _page(page, error=gettext("That is not your password.")), WRONG
    except Throttled:
        raise
    except Denied as denied:
        return _page(page, problem=say(denied)), WRONG
    return _page({"name": "", "chosen": [], "days": USUAL}, made=made)


@blueprint.post("/account/programs/<int:token>/revoke")
@needs_subscriber
def revoke(token: int) -> Any:
    """Stop a token at once."""
    flows().tokens.revoke(signed_in(), token)
    remember("saved", "revoked")
    return redirect(url_for("api_tokens.overview"), 303)


def _page(page: dict[str, Any], *, made: NewToken | None = None, error: str = "", problem: str = "") -> str:
    saved = recall("saved")
    forget("saved")
    somebody = signed_in()
    return render_template(
        "api-tokens.html",
        **page,
        made=made,
        error=error or None,
        problem=problem,
        saved=saved,
        allowed=flows().tokens.allowed(somebody),
        tokens=flows().tokens.listing(somebody),
        lives=LIVES,
        scopes=SCOPES,
        now=desk().now(),
    )


def _days(typed: str) -> int:
    return (
        int(typed) if typed.isascii() and typed.isdecimal() and len(typed) < 4 and 1 <= int(typed) <= LONGEST else USUAL
    )

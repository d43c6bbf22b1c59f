"""Where does a subscriber choose which mails they get about what they send, and how it may be opened?"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask_babel import gettext

from cryptnsend.core.errors import Denied, Refusal, Throttled, WrongSecret
from cryptnsend.portal.desk import desk
from cryptnsend.portal.language import say
from cryptnsend.portal.passkeys import typed_password
from cryptnsend.portal.security import WRONG, check_form
from cryptnsend.portal.visits import needs_subscriber, remember, signed_in, source

blueprint = Blueprint("wishes", __name__)
blueprint.before_request(check_form)

WAYS = ("code", "mail")


@blueprint.route("/account/mails", methods=["GET", "POST"])
@needs_subscriber
def overview() -> Any:
    """Show what was chosen, and take another choice."""
    somebody, accounts = signed_in(), desk().accounts
    usual = accounts.usual_way(somebody)
    allowed, _ = desk().newmail.instead_of_code(somebody)
    page: dict[str, Any] = {"mails": accounts.mails(somebody), "way": usual, "allowed": allowed, "error": None}
    page["problem"] = None
    if request.method != "POST":
        return render_template("mails.html", **page)
    wanted, way = request.form.getlist("mail"), request.form.get("way", usual)
    page |= {"mails": {mail: mail in wanted for mail in page["mails"]}, "way": way if way in WAYS else usual}
    try:
        accounts.set_usual_way(somebody, page["way"], typed_password(), source())
    except WrongSecret:
        page["error"] = gettext("Type your password to let codes be e-mailed.")
        return render_template("mails.html", **page), WRONG
    except Throttled:
        raise
    except Denied as denied:
        page["problem"] = say(denied)
        return render_template("mails.html", **page), WRONG
    accounts.set_mails(somebody, wanted)
    remember("saved", "wishes")
    return redirect(url_for("account.overview"), 303)


@blueprint.route("/account/friends", methods=["GET", "POST"])
@needs_subscriber
def friends() -> Any:
    """Show and take the list of people who get ordinary mail."""
    somebody, accounts = signed_in(), desk().accounts
    page: dict[str, Any] = {"typed": ", ".join(accounts.friends(somebody)), "error": None, "problem": None}
    page |= {
        "may_plain": desk().newmail.may_plain(somebody),
        "plain_from": desk().newmail.plain_from(somebody),
        "may_friends": accounts.may_have_friends(somebody),
    }
    if request.method != "POST":
        return render_template("friends.html", **page)
    page["typed"] = typed = request.form.get("friends", "")[:20_000]
    try:
        accounts.set_friends(somebody, " ".join(typed.split()), typed_password(), source())
    except WrongSecret:
        page["error"] = gettext("That is not your password.")
        return render_template("friends.html", **page), WRONG
    except Throttled:
        raise
    except (Refusal, Denied) as refused:
        page["problem"] = say(refused)
        return render_template("friends.html", **page), WRONG
    remember("saved", "wishes")
    return redirect(url_for("account.overview"), 303)

"""How does somebody become a subscriber?

By the installation's mode: `closed` (an officer adds them), `invite` (a mailed link), `open`. The address is proven by
a mailed code in every mode; the pages answer the same for addresses that have an account already.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask_babel import gettext

from cryptnsend.core import words
from cryptnsend.core.errors import Denied, Ended, Throttled, WrongSecret
from cryptnsend.flow.belongings import call_back_number
from cryptnsend.flow.views_accounts import SignedIn
from cryptnsend.portal.account import ADDRESS_LENGTH
from cryptnsend.portal.desk import desk
from cryptnsend.portal.estate import scannable
from cryptnsend.portal.language import say, spoken
from cryptnsend.portal.recipient import not_the_code, too_weak
from cryptnsend.portal.security import WRONG, check_form
from cryptnsend.portal.visits import (
    agent,
    forget,
    is_subscriber,
    mailed_again,
    mails_again,
    needs_session,
    recall,
    remember,
    session_of,
    signed_in,
    source,
    start_session,
    start_session_here,
    visitor,
)

blueprint = Blueprint("signup", __name__)
blueprint.before_request(check_form)

NAME_LENGTH, PHONE_LENGTH = 80, 40


@blueprint.route("/sign-up", methods=["GET", "POST"])
def start() -> Any:
    """Take name and address, and mail a code."""
    mode, invite = desk().config.signup.mode, recall("invite")
    if mode == "closed" or (mode == "invite" and not invite):
        return render_template("sign-up-closed.html", mode=mode), 200
    page = {"name": "", "address": "", "phone": "", "error": None, "name_error": None, "phone_error": None}
    if request.method != "POST":
        return render_template("sign-up.html", **page)
    page["name"] = name = " ".join(request.form.get("name", "").split())[:NAME_LENGTH]
    page["address"] = address = request.form.get("address", "").strip()[:ADDRESS_LENGTH]
    page["phone"] = " ".join(request.form.get("phone", "").split())[:PHONE_LENGTH]
    try:
        call_back_number(page["phone"] or "")
    except Denied as denied:
        page["phone_error"] = say(denied)
    if not name:
        page["name_error"] = gettext("Type the name that people know you by.")
    if "@" not in address:
        page["error"] = gettext("An address has an @ in it. Type the one you write from.")
    if page["error"] or page["name_error"] or page["phone_error"]:
        return render_template("sign-up.html", **page), WRONG
    try:
        started = desk().accounts.start_signup(address, source(), invite or "", spoken())
    except Throttled:
        raise
    except Denied as denied:
        page["error"] = say(denied)
        return render_template("sign-up.html", **page), WRONG
    mails_again("signup", address)
    begun = {"id": str(started.id), "address": address, "name": name, "phone": page["phone"]}
    remember("signup", {**begun, "expires": started.expires})
    return redirect(url_for("signup.finish"), 303)


@blueprint.get("/invite/<token>")
def invited(token: str) -> Any:
    """Take up an invitation: the browser remembers it, nothing else happens."""
    remember("invite", token[:100])
    somebody = visitor()
    known = somebody is not None and not is_subscriber(somebody)
    return redirect(url_for("signup.join" if known else "signup.start"), 303)


@blueprint.route("/subscribe", methods=["GET", "POST"])
@needs_session
def join() -> Any:
    """Let somebody who has an account, and only received so far, send too: by their password and the mailed code."""
    somebody, mode, invite = signed_in(), desk().config.signup.mode, recall("invite")
    if is_subscriber(somebody):
        return redirect(url_for("programs.setup"), 303)
    if mode != "open" and not invite:
        return render_template("sign-up-closed.html", mode=mode), 200
    page: dict[str, Any] = {"invited": bool(invite), "code": "", "error": None, "code_error": None}
    if request.method != "POST":
        return render_template("subscribe.html", **page)
    page["code"] = typed = "".join(request.form.get("code", "").split())[:20]
    typed_password = request.form.get("password", "")
    try:
        desk().accounts.confirm(somebody, typed_password, source())
    except WrongSecret:
        page["error"] = gettext("That is not your password.")
        return render_template("subscribe.html", **page), WRONG
    try:
        started = desk().accounts.start_signup(somebody.address, source(), invite, spoken()) if invite else None
        fresh = desk().accounts.subscribe(
            somebody, typed_password, source(), agent(), started.id if started else None, typed
        )
    except WrongSecret as wrong:
        page["code_error"] = not_the_code(wrong)
        return render_template("subscribe.html", **page), WRONG
    except Throttled:
        raise
    except Denied as denied:
        page["code_error"] = say(denied)
        return render_template("subscribe.html", **page), WRONG
    return welcome(fresh, somebody.address)


@blueprint.route("/sign-up/code", methods=["GET", "POST"])
def finish() -> Any:
    """Take the mailed code and a password; the account is there."""
    begun = recall("signup")
    if not isinstance(begun, dict):
        return redirect(url_for("signup.start"), 303)
    page: dict[str, Any] = {"begun": begun, "code": "", "error": None, "code_error": None, "suggestion": None}
    page["invited"] = bool(recall("invite"))
    page["again"] = request.method != "POST" and mailed_again("signup")
    if request.method != "POST":
        return render_template("sign-up-code.html", **page)
    page["code"] = typed = "".join(request.form.get("code", "").split())[:20]
    if "suggest" in request.form:
        page["suggestion"] = words.suggestion(desk().pieces.random, spoken())
        return render_template("sign-up-code.html", **page)
    chosen = request.form.get("password", "")
    page["error"] = too_weak(chosen, [begun["address"], begun["name"]])
    if page["error"]:
        return render_template("sign-up-code.html", **page), WRONG
    try:
        fresh = desk().accounts.finish_signup(
            int(begun["id"]), typed, chosen, begun["name"], source(), agent(), spoken(), recall("invite") or ""
        )
    except WrongSecret as wrong:
        page["code_error"] = not_the_code(wrong)
        return render_template("sign-up-code.html", **page), WRONG
    except Throttled:
        raise
    except Ended:
        page["code_error"] = gettext("This code no longer works. Have another one mailed.")
        return render_template("sign-up-code.html", **page), WRONG
    except Denied as denied:
        page["code_error"] = say(denied)
        return render_template("sign-up-code.html", **page), WRONG
    somebody = session_of(fresh.cookie) if begun.get("phone") else None
    if somebody is not None:
        desk().accounts.set_number(somebody, begun["phone"])
    return welcome(fresh, begun["address"])


def welcome(fresh: SignedIn, address: str) -> Any:
    """Lead a new subscriber to the set-up of their mail program, by way of the recovery file if they have one."""
    forget("invite")
    if fresh.recovery_file:
        # Shown in the answer itself: it goes nowhere else, and cannot be asked for again.
        file = fresh.recovery_file
        shown = {"file": file, "picture": scannable(file), "code": fresh.recovery_code, "address": address}
        return start_session_here(fresh, "recovery-file.html", **shown)
    return start_session(redirect(url_for("programs.setup"), 303), fresh)

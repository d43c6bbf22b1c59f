"""How does somebody sign in and out, replace a password, and get back what a forgotten one has locked?

One answer for known and unknown addresses, everywhere. A reset by mail is *weak*: the page says before it happens
what will be locked, and afterwards how it opens again.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask_babel import gettext, lazy_gettext

from cryptnsend.core import words
from cryptnsend.core.errors import Denied, Ended, SecondStep, Throttled, WrongSecret
from cryptnsend.flow.views_accounts import SignedIn
from cryptnsend.portal import second
from cryptnsend.portal.desk import desk
from cryptnsend.portal.language import spoken
from cryptnsend.portal.recipient import not_the_code, too_weak
from cryptnsend.portal.security import WRONG, check_form
from cryptnsend.portal.visits import (
    after_sign_in,
    agent,
    cookie,
    forget,
    forget_session,
    is_subscriber,
    mailed_again,
    mails_again,
    needs_session,
    recall,
    remember,
    signed_in,
    source,
    start_session,
    visitor,
)

blueprint = Blueprint("account", __name__)
blueprint.before_request(check_form)

ADDRESS_LENGTH = 254  # RFC 5321 §4.5.3.1.3
WRONG_KEY = {  # what may open locked messages, and what is said of a wrong one
    "recovery": lazy_gettext("That is not the recovery code. Check each group of four."),
    "password": lazy_gettext("That is not the earlier password."),
    "device": lazy_gettext("That is not a device password that works. Check each group of five."),
    "second": lazy_gettext("That is not the number, or it was used already. Wait for the next one."),
    "browser": lazy_gettext("This browser was not trusted when the password was replaced. Try another way."),
}


@blueprint.route("/sign-in", methods=["GET", "POST"])
def sign_in() -> Any:
    """Sign in with address and password."""
    if request.method != "POST":
        away, kept = bool(recall("away")), bool(recall("kept"))
        forget("away", "kept")
        return render_template("sign-in.html", address="", error=None, away=away, kept=kept)
    address = request.form.get("address", "").strip()[:ADDRESS_LENGTH]
    try:
        made = desk().accounts.sign_in(address, request.form.get("password", ""), source(), agent(), second.trust())
    except SecondStep as step:
        return second.asks(step, address)
    except WrongSecret:
        error = gettext("Address and password don’t belong together. The password is the one you chose on these pages.")
        return render_template("sign-in.html", address=address, error=error, away=False, kept=False), WRONG
    answer = after_sign_in()
    return start_session(answer, SignedIn(made))


@blueprint.post("/sign-out")
def sign_out() -> Any:
    """End the session, here and on the server."""
    if visitor() is not None:
        desk().accounts.sign_out(cookie())
    return forget_session(redirect(url_for("account.signed_out"), 303))


@blueprint.post("/account/sign-out-everywhere")
@needs_session
def sign_out_everywhere() -> Any:
    """End every session of this account, in this browser and in all others."""
    desk().accounts.sign_out_everywhere(signed_in())
    return forget_session(redirect(url_for("account.signed_out"), 303))


@blueprint.get("/signed-out")
def signed_out() -> Any:
    """Say that nobody can go on reading from this browser."""
    return render_template("signed-out.html")


@blueprint.route("/forgot", methods=["GET", "POST"])
def forgot() -> Any:
    """Explain what a new password by mail means, and mail a code."""
    if request.method != "POST":
        return render_template("forgot.html", address="", error=None)
    address = request.form.get("address", "").strip()[:ADDRESS_LENGTH]
    if "@" not in address:
        error = gettext("An address has an @ in it. Type the one our mails come to.")
        return render_template("forgot.html", address=address, error=error), WRONG
    started = desk().accounts.start_reset(address, source(), spoken())
    mails_again("reset", address)
    remember("reset", {"id": str(started.id), "address": address, "expires": started.expires})
    return redirect(url_for("account.forgot_code"), 303)


@blueprint.route("/forgot/code", methods=["GET", "POST"])
def forgot_code() -> Any:
    """Take the mailed code and the new password."""
    begun = recall("reset")
    if not isinstance(begun, dict):
        return redirect(url_for("account.forgot"), 303)
    page: dict[str, Any] = {"begun": begun, "code": "", "error": None, "code_error": None, "suggestion": None}
    page["again"] = request.method != "POST" and mailed_again("reset")
    if request.method != "POST":
        return render_template("forgot-code.html", **page)
    page["code"] = typed = "".join(request.form.get("code", "").split())[:20]
    if "suggest" in request.form:
        page["suggestion"] = words.suggestion(desk().pieces.random, spoken())
        return render_template("forgot-code.html", **page)
    chosen = request.form.get("password", "")
    page["error"] = too_weak(chosen, [begun["address"]])
    if page["error"]:
        return render_template("forgot-code.html", **page), WRONG
    try:
        fresh = desk().accounts.finish_reset(int(begun["id"]), typed, chosen, source(), agent(), begun["address"])
    except WrongSecret as wrong:
        page["code_error"] = not_the_code(wrong)
        return render_template("forgot-code.html", **page), WRONG
    except Ended:
        page["code_error"] = gettext("This code no longer works. Have another one mailed.")
        return render_template("forgot-code.html", **page), WRONG
    return start_session(redirect(url_for("account.forgot_done"), 303), fresh)


@blueprint.get("/forgot/done")
@needs_session
def forgot_done() -> Any:
    """Say what is locked now and how it comes back."""
    return render_template("forgot-done.html")


@blueprint.get("/account")
@needs_session
def overview() -> Any:
    """Show how this account is signed in to, and what can be changed."""
    somebody = signed_in()
    profile = desk().accounts.profile(somebody) if "subscriber" in somebody.roles else None
    saved = recall("saved")
    forget("saved")
    file = ""
    if "officer" in somebody.roles:
        file = "missing" if desk().accounts.recovery_file_is_missing(somebody) else "safe"
    return render_template("account.html", profile=profile, saved=saved, recovery_file=file)


@blueprint.route("/account/password", methods=["GET", "POST"])
@needs_session
def password() -> Any:
    """Change the password: everything stays open, other browsers are signed out."""
    if request.method != "POST":
        return render_template("change-password.html", error=None, old_error=None, suggestion=None)
    if "suggest" in request.form:
        suggestion = words.suggestion(desk().pieces.random, spoken())
        return render_template("change-password.html", error=None, old_error=None, suggestion=suggestion)
    somebody, chosen = signed_in(), request.form.get("password", "")
    weakness = too_weak(chosen, [somebody.address, somebody.name])
    if weakness:
        return render_template("change-password.html", error=weakness, old_error=None, suggestion=None), WRONG
    try:
        fresh = desk().accounts.change_password(somebody, request.form.get("old", ""), chosen, source(), agent())
    except WrongSecret:
        wrong = gettext("That is not your present password.")
        return render_template("change-password.html", error=None, old_error=wrong, suggestion=None), WRONG
    # Device passwords outlive a password: whoever changes it because somebody knew it looks at them now.
    has_devices = is_subscriber(somebody) and bool(desk().accounts.devices(somebody))
    answer = start_session(redirect(url_for("programs.devices" if has_devices else "account.overview"), 303), fresh)
    remember("saved", "password")
    return answer


@blueprint.route("/account/recovery", methods=["GET", "POST"])
@needs_session
def recovery() -> Any:
    """Make a recovery code and show it, this once."""
    if request.method != "POST":
        return render_template("recovery.html", code=None, error=None)
    try:
        code = desk().accounts.recovery_code(signed_in(), request.form.get("password", ""), source())
    except WrongSecret:
        return render_template("recovery.html", code=None, error=gettext("That is not your password.")), WRONG
    return render_template("recovery.html", code=code, error=None)


@blueprint.route("/account/unlock", methods=["GET", "POST"])
@needs_session
def unlock() -> Any:
    """Open what an earlier password or the recovery code still locks."""
    page: dict[str, Any] = {"error": None, "secret_error": None, "kind": "recovery"}
    asks = signed_in().weak and desk().accounts.has_second_step(signed_in())
    page["has_second"] = asks and desk().accounts.second_of(signed_in()).number
    page["is_trusted"] = asks and bool(second.trust())
    page["closed"] = not signed_in().weak and bool(signed_in().closed)
    page["has_passkeys"] = bool(desk().accounts.passkeys(signed_in()))
    page["passkey_error"] = recall("unlock-error")
    forget("unlock-error")
    if request.method != "POST":
        return render_template("unlock.html", **page)
    asked = request.form.get("kind", "")
    page["kind"] = kind = asked if asked in WRONG_KEY else "recovery"
    try:  # which opens what a passkey did not
        desk().accounts.confirm(signed_in(), request.form.get("password", ""), source())
    except WrongSecret:
        page["error"] = gettext("That is not your present password.")
        return render_template("unlock.html", **page), WRONG
    if asked == "present":
        remember("saved", "unlocked")
        return redirect(url_for("account.overview"), 303)
    try:
        typed = request.form.get("secret", "").strip()
        shown = "".join(each for each in typed if each not in " -.") if kind == "second" else typed
        desk().accounts.unlock(signed_in(), kind, shown, request.form.get("password", ""), source(), second.trust())
    except Throttled:
        raise
    except Denied:
        page["secret_error"] = WRONG_KEY[kind]
        return render_template("unlock.html", **page), WRONG
    remember("saved", "unlocked")
    return redirect(url_for("account.overview"), 303)

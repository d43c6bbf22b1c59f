"""How does a number after the password look on pages? Typing it, setting it up, trusting a browser, ending it.

Between password and number the browser carries a box that only the keeper opens, for five minutes. A trusted browser
has a cookie of its own, good with the password alone and for one account.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import quote, urlencode

from flask import Blueprint, redirect, render_template, request, url_for
from flask_babel import gettext
from markupsafe import Markup
from werkzeug.wrappers import Response as Answer

from cryptnsend.core import qr
from cryptnsend.core.errors import Denied, Ended, SecondStep, Throttled, WrongSecret
from cryptnsend.flow.views_accounts import SignedIn
from cryptnsend.portal import passkeys
from cryptnsend.portal.desk import desk
from cryptnsend.portal.language import say
from cryptnsend.portal.security import WRONG, check_form
from cryptnsend.portal.visits import (
    after_sign_in,
    agent,
    forget,
    needs_session,
    recall,
    remember,
    session_of,
    signed_in,
    source,
    start_session,
)

blueprint = Blueprint("second", __name__)
blueprint.before_request(check_form)

TRUST_COOKIE = "__Host-cryptnsend-trust"
DAY_SECONDS = 86_400


def asks(step: SecondStep, address: str) -> Answer:
    """Go on to the page that asks for the number, with what the password gave."""
    remember("second", {"held": base64.b64encode(step.held).decode(), "address": address})
    return redirect(url_for("second.number"), 303)


def trust() -> bytes:
    """Return what this browser shows in the place of a number, empty if nothing."""
    try:
        return base64.urlsafe_b64decode(request.cookies.get(TRUST_COOKIE, ""))
    except (binascii.Error, ValueError):
        return b""


@blueprint.route("/sign-in/number", methods=["GET", "POST"])
def number() -> Any:
    """Take the number after the password, or the recovery code where the phone is lost."""
    begun = recall("second")
    if not isinstance(begun, dict):
        return redirect(url_for("account.sign_in"), 303)
    page: dict[str, Any] = {"error": None, "days": desk().config.sessions.trusted_days}
    try:
        ways = desk().accounts.second_ways(base64.b64decode(begun["held"]))
    except Ended:
        return late()
    asked = passkeys.getting(ways.passkey) if ways.passkey and passkeys.passkeys_here() else None
    page |= {"ways": ways, "asked": asked, "passkey_error": recall("passkey-error")}
    forget("passkey-error")
    if request.method != "POST":
        return render_template("number.html", **page)
    typed = _typed()
    if not typed:
        page["error"] = gettext("Type the number that your phone shows.")
        return render_template("number.html", **page), WRONG
    try:
        cookie = desk().accounts.second_step(
            begun["address"], base64.b64decode(begun["held"]), typed, source(), agent()
        )
    except Ended:
        return late()
    except WrongSecret:
        page["error"] = (
            gettext("That is not the number, or it was used already. Wait for the next one.")
            if ways.number
            else gettext("That is not the recovery code. Check each group of four.")
        )
        return render_template("number.html", **page), WRONG
    return entered(cookie)


@blueprint.post("/sign-in/number/passkey")
def passkey() -> Any:
    """Take a passkey after the password."""
    begun = recall("second")
    if not isinstance(begun, dict):
        return redirect(url_for("account.sign_in"), 303)
    held = base64.b64decode(begun["held"])
    try:
        cookie = desk().accounts.second_passkey(begun["address"], held, passkeys.answer()[0], source(), agent())
    except Ended:
        return late()
    except WrongSecret as wrong:
        remember("passkey-error", say(wrong))
        return redirect(url_for("second.number"), 303)
    return entered(cookie)


def late() -> Answer:
    """Lead back to the password, which was typed too long ago."""
    forget("second")
    remember("away", True)
    return redirect(url_for("account.sign_in"), 303)


def entered(cookie: str) -> Answer:
    """Give the browser its session, and trust it from now on where that was asked for."""
    answer, days = start_session(after_sign_in(), SignedIn(cookie)), desk().config.sessions.trusted_days
    somebody = session_of(cookie)
    if "trust" in request.form and somebody is not None and days:
        shown = base64.urlsafe_b64encode(desk().accounts.trust(somebody)).decode()
        answer.set_cookie(
            TRUST_COOKIE, shown, max_age=days * DAY_SECONDS, secure=True, httponly=True, samesite="Lax", path="/"
        )
    return answer


@blueprint.route("/account/number", methods=["GET", "POST"])
@needs_session
def overview() -> Any:
    """Say what a number after the password does, and begin with the password; show what the phone photographs, once."""
    somebody = signed_in()
    page: dict[str, Any] = {"on": desk().accounts.second_of(somebody).number, "error": None, "code_error": None}
    page["days"] = desk().config.sessions.trusted_days
    if request.method != "POST":
        return render_template("second.html", **page)
    try:
        secret = desk().accounts.begin_second_step(somebody, request.form.get("password", ""), source())
    except WrongSecret:
        page["error"] = gettext("That is not your password.")
        return render_template("second.html", **page), WRONG
    except Throttled:
        raise
    except Denied as denied:
        page["error"] = say(denied)
        return render_template("second.html", **page), WRONG
    written = base64.b32encode(secret).decode().rstrip("=")
    return render_template("second-begin.html", picture=picture(written, somebody.address), secret=written, error=None)


@blueprint.post("/account/number/first")
@needs_session
def first() -> Any:
    """Take the first number; from now on the password alone opens nothing. The recovery code is shown, this once."""
    try:
        code = desk().accounts.begun_second_step(signed_in(), _typed())
    except Ended:
        return redirect(url_for("second.overview"), 303)
    except WrongSecret:
        error = gettext("That is not the number. Wait for the next one, and type it without delay.")
        return render_template("second-begin.html", picture="", secret="", error=error), WRONG
    return render_template("second-done.html", code=code)


@blueprint.post("/account/number/end")
@needs_session
def end() -> Any:
    """End the second step, by password and number."""
    page: dict[str, Any] = {"on": True, "error": None, "code_error": None, "days": desk().config.sessions.trusted_days}
    try:
        typed = passkeys.typed_number() if request.form.get("shown-code") else _typed()
        desk().accounts.end_second_step(signed_in(), request.form.get("password", ""), typed, source())
    except WrongSecret:
        page["error"] = gettext("Password and number do not fit. Each number counts once: wait for the next one.")
        return render_template("second.html", **page), WRONG
    return redirect(url_for("second.overview"), 303)


@blueprint.post("/account/number/forget")
@needs_session
def forget_browsers() -> Any:
    """Trust no browser any more."""
    desk().accounts.forget_browsers(signed_in())
    answer = redirect(url_for("second.overview"), 303)
    answer.delete_cookie(TRUST_COOKIE, secure=True, httponly=True, samesite="Lax", path="/")
    return answer


def _typed() -> str:
    """Return a number as somebody typed it, without what they put between its digits; a recovery code as it is."""
    typed = request.form.get("code", "").strip()[:100]
    bare = "".join(each for each in typed if each not in " -.")
    return bare if bare.isdecimal() else typed


def picture(secret: str, address: str) -> Markup:
    """Return the QR code of a secret as a drawing, in the form that programs for such numbers read."""
    label = quote(f"CryptnSend:{address}")
    uri = f"otpauth://totp/{label}?{urlencode({'secret': secret, 'issuer': 'CryptnSend'})}"
    return Markup(qr.svg(uri))  # noqa: S704 - a drawing, in which no character of what is drawn stands

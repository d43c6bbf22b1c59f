"""How do passkeys look on pages? A button beside every password, a list of one's own, one more way after the password.

The keeper makes the challenges and judges the answers; these pages carry both. Without a script, or in a browser
without passkeys, none of it is shown, and the password does all.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, abort, jsonify, redirect, render_template, request, session, url_for
from flask.sansio.blueprints import BlueprintSetupState
from flask_babel import gettext

from cryptnsend.core.errors import Denied, NoGrant, SecondStep, Throttled, WrongSecret
from cryptnsend.flow.views_accounts import SignedIn
from cryptnsend.keeper.credentials import PasskeyAsk
from cryptnsend.portal.desk import desk
from cryptnsend.portal.language import say
from cryptnsend.portal.recipient import digits
from cryptnsend.portal.security import WRONG, allow_saving, check_form
from cryptnsend.portal.visits import (
    after_sign_in,
    agent,
    forget,
    needs_session,
    recall,
    remember,
    signed_in,
    source,
    start_session,
    visitor,
)

blueprint = Blueprint("passkeys", __name__)
blueprint.before_request(check_form)

NAME_LENGTH = 60
PATIENCE = 300_000  # milliseconds for which the browser asks; a challenge lasts as long
ALGORITHMS = (-8, -7, -257)  # Ed25519, ECDSA with P-256, RSA (RFC 9053, RFC 8812), the best first
PURPOSES = ("password", "number", "seal", "unlock")


@blueprint.record_once
def offers(state: BlueprintSetupState) -> None:
    """Let templates ask whether passkeys are offered here."""
    state.app.jinja_env.globals.update(passkeys_here=passkeys_here, may_show_passkey=may_show_passkey)


def passkeys_here() -> bool:
    """Say whether this page is at the address that passkeys are bound to; its script may then ask for challenges."""
    here = urlsplit(desk().servers().pages).hostname == request.host.partition(":")[0]
    if here:
        allow_saving()
    return here


def may_show_passkey() -> bool:
    """Say whether who is signed in may show a passkey in the place of something typed."""
    found = visitor()
    return found is not None and not found.weak and bool(desk().accounts.passkeys(found)) and passkeys_here()


# -- signing in -------------------------------------------------------------------------------------------------------


@blueprint.post("/sign-in/passkey/challenge")
def ask_anybody() -> Any:
    """Hand over a challenge for whatever passkey the browser knows for this address."""
    return jsonify(getting(desk().accounts.ask_any_passkey(browser())))


@blueprint.post("/sign-in/passkey")
def sign_in() -> Any:
    """Sign in by a passkey. One answer for all that are not right, and for passkeys that nobody has here."""
    try:
        made = desk().accounts.passkey_sign_in(browser(), *answer(), source(), agent())
    except Throttled:
        raise
    except WrongSecret as wrong:
        return _sign_in_page(say(wrong))
    except Denied as denied:
        return _sign_in_page(say(denied))
    return start_session(after_sign_in(), SignedIn(made))


def _sign_in_page(error: str) -> Any:
    return render_template("sign-in.html", address="", error=error, away=False, kept=False), WRONG


# -- one's own --------------------------------------------------------------------------------------------------------


@blueprint.route("/account/passkeys", methods=["GET", "POST"])
@needs_session
def overview() -> Any:
    """List the passkeys of this account; with the password typed, begin another one."""
    if request.method != "POST":
        return page()
    somebody, name = signed_in(), request.form.get("name", "").strip()[:NAME_LENGTH]
    if somebody.weak:
        return page(error=gettext("Your password was replaced by e-mail. Open what is locked first.")), WRONG
    try:
        ask = desk().accounts.begin_passkey(somebody, _password(), source())
        seal = desk().accounts.ask_passkey(somebody, "seal")
    except WrongSecret:
        return page(name=name, error=gettext("That is not your password.")), WRONG
    except (NoGrant, Throttled):
        raise
    except Denied as denied:
        return page(name=name, error=say(denied)), WRONG
    return render_template("passkey-make.html", name=name, options=making(ask), seal=getting(seal))


@blueprint.post("/account/passkeys/add")
@needs_session
def add() -> Any:
    """Take the passkey that was made, and let it open messages by itself where it can."""
    somebody, name = signed_in(), request.form.get("name", "").strip()[:NAME_LENGTH]
    made, output = answer()
    sealed = request.form.get("sealed", "").encode()
    try:
        added = desk().accounts.add_passkey(somebody, name, made, b"" if sealed else output)
        opens = added.opens or bool(sealed and output and _sealed(somebody, sealed, output))
    except (NoGrant, Throttled):
        raise
    except Denied as denied:
        return page(name=name, error=say(denied)), WRONG
    remember("saved", "opens" if opens else "added")
    return redirect(url_for("passkeys.overview"), 303)


def _sealed(somebody: Any, sealed: bytes, output: bytes) -> bool:
    """Say whether a new passkey opens messages by itself from now on; it is one in any case."""
    try:
        return bool(desk().accounts.seal_passkey(somebody, sealed, output).opens)
    except Denied:
        return False


@blueprint.post("/account/passkeys/challenge")
@needs_session
def ask() -> Any:
    """Hand over a challenge for who is signed in."""
    purpose = request.form.get("purpose", "")
    if purpose not in PURPOSES:
        abort(400)
    return jsonify(getting(desk().accounts.ask_passkey(signed_in(), purpose)))


@blueprint.post("/account/passkeys/open")
@needs_session
def seal() -> Any:
    """Let a passkey open messages by itself from now on."""
    try:
        made = desk().accounts.seal_passkey(signed_in(), *answer())
    except (NoGrant, Throttled):
        raise
    except Denied as denied:
        return page(error=say(denied)), WRONG
    remember("saved", "opens" if made.opens else "added")
    return redirect(url_for("passkeys.overview"), 303)


@blueprint.route("/account/passkeys/<int:passkey>/remove", methods=["GET", "POST"])
@needs_session
def remove(passkey: int) -> Any:
    """Say what removing a passkey means, and remove it."""
    somebody = signed_in()
    listed = desk().accounts.passkeys(somebody)
    found = next((each for each in listed if each.id == passkey), None)
    if found is None:
        raise NoGrant("There is nothing here.")
    shown: dict[str, Any] = {"passkey": found, "is_last": len(listed) == 1, "error": None, "refused": None}
    if request.method != "POST":
        return render_template("passkey-remove.html", **shown)
    try:
        desk().accounts.remove_passkey(somebody, passkey, typed_password(), source())
    except WrongSecret:
        shown["error"] = gettext("That is not your password.")
        return render_template("passkey-remove.html", **shown), WRONG
    except (NoGrant, Throttled):
        raise
    except Denied as denied:
        shown["refused"] = say(denied)
        return render_template("passkey-remove.html", **shown), WRONG
    remember("saved", "removed")
    return redirect(url_for("passkeys.overview"), 303)


@blueprint.post("/account/passkeys/after-password")
@needs_session
def step() -> Any:
    """Ask for a passkey after the password from now on, or no more; a recovery code is shown with the first, once."""
    somebody, password = signed_in(), request.form.get("step-password", "")
    try:
        if "end" in request.form:
            desk().accounts.end_passkey_step(somebody, password, typed_number(), source())
            return redirect(url_for("passkeys.overview"), 303)
        code = desk().accounts.begin_passkey_step(somebody, password, typed_number(), source())
    except WrongSecret:
        wrong = gettext("Password and passkey do not fit. Type the password again, and show a passkey of this account.")
        return page(step_error=wrong), WRONG
    except SecondStep as asks:
        return page(step_error=say(asks)), WRONG
    return render_template("passkey-step.html", code=code)


@blueprint.post("/account/unlock/passkey")
@needs_session
def unlock() -> Any:
    """Open what a reset by mail has locked, by a passkey from before it."""
    try:
        desk().accounts.unlock_by_passkey(signed_in(), *answer(), _password(), source())
    except (NoGrant, Throttled):
        raise
    except Denied as denied:
        remember("unlock-error", say(denied))
        return redirect(url_for("account.unlock"), 303)
    remember("saved", "unlocked")
    return redirect(url_for("account.overview"), 303)


def page(*, name: str = "", error: str | None = None, step_error: str | None = None) -> str:
    """Render the list of passkeys."""
    somebody, saved = signed_in(), recall("saved")
    forget("saved")
    ways = desk().accounts.second_of(somebody)
    return render_template(
        "passkeys.html",
        passkeys=desk().accounts.passkeys(somebody),
        ways=ways,
        saved=saved,
        name=name,
        error=error,
        step_error=step_error,
    )


# -- in the place of something typed ----------------------------------------------------------------------------------


def typed_password() -> str:
    """Return the password of a form, or what stands for it where a passkey was shown; raise WrongSecret."""
    shown = request.form.get("shown-password", "")
    return desk().accounts.show_passkey(signed_in(), "password", shown.encode()) if shown else _password()


def _password() -> str:
    return request.form.get("password", "")


def typed_number(field: str = "code") -> str:
    """Return the number of a form, "" without one, or what stands for it where a passkey was shown."""
    shown = request.form.get(f"shown-{field}", "")
    if shown:
        return desk().accounts.show_passkey(signed_in(), "number", shown.encode())
    return digits(request.form.get(field, ""))


# -- what browsers are told -------------------------------------------------------------------------------------------


def browser() -> bytes:
    """Return what only this browser shows again: the random part of its form cookie."""
    return str(session.get("csrf_token", "")).encode()


def answer() -> tuple[bytes, bytes]:
    """Return what the browser says a passkey answered, and what the PRF extension gave, empty without."""
    try:
        output = octets(request.form.get("output", ""))
    except ValueError:
        output = b""
    return request.form.get("answer", "").encode(), output if len(output) == 32 else b""


def getting(ask: PasskeyAsk) -> Mapping[str, Any]:
    """Return how `navigator.credentials.get` asks for a passkey (WebAuthn level 3, section 5.5), as JSON."""
    return {
        "challenge": text(ask.challenge),
        "timeout": PATIENCE,
        "rpId": ask.host,
        "allowCredentials": [{"type": "public-key", "id": text(each)} for each in ask.credentials],
        "userVerification": "required",
        "extensions": {"prf": {"eval": {"first": text(ask.input)}}},
    }


def making(ask: PasskeyAsk) -> Mapping[str, Any]:
    """Return how `navigator.credentials.create` makes one (section 5.4): found without a name, its owner recognised."""
    somebody = signed_in()
    return {
        "challenge": text(ask.challenge),
        "timeout": PATIENCE,
        "rp": {"id": ask.host, "name": "CryptnSend"},
        "user": {"id": text(ask.user), "name": somebody.address, "displayName": somebody.name or somebody.address},
        "pubKeyCredParams": [{"type": "public-key", "alg": each} for each in ALGORITHMS],
        "excludeCredentials": [{"type": "public-key", "id": text(each)} for each in ask.credentials],
        "attestation": "none",
        "authenticatorSelection": {
            "residentKey": "required",
            "requireResidentKey": True,
            "userVerification": "required",
        },
        "extensions": {"prf": {"eval": {"first": text(ask.input)}}},
    }


def text(value: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def octets(value: str) -> bytes:
    """Return what base64url stands for; raise ValueError."""
    try:
        return base64.b64decode(value.encode("ascii") + b"=" * (-len(value) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError from error

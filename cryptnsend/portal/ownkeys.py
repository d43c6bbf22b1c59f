"""Where does a subscriber choose how replies come, hand in keys of their own and of others, and try it out?

A key comes pasted or as a file. What was pasted is never shown again: it may have been the wrong half.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask_babel import gettext

from cryptnsend.core.errors import Denied, Ended, NoGrant, Refusal, SecondStep, Throttled, WrongSecret
from cryptnsend.core.protected import KINDS
from cryptnsend.flow.trials import TRIAL
from cryptnsend.ownkeys.reading import MOST_INPUT
from cryptnsend.portal.desk import desk
from cryptnsend.portal.language import say, spoken
from cryptnsend.portal.passkeys import typed_number
from cryptnsend.portal.security import WRONG, allow_saving, check_form
from cryptnsend.portal.uploads import uploads
from cryptnsend.portal.visits import forget, needs_subscriber, recall, remember, signed_in, source

blueprint = Blueprint("ownkeys", __name__)
FORMS = ("zip", "pdf", "link", "tls", *KINDS)
SETTLED = ("handoff", "readable", "opened", "fetched", "bounced", "ended")
FORM_OCTETS = 4 * MOST_INPUT + 65_536  # a key pasted, one as a file, and the rest


@blueprint.before_request
def _check() -> None:
    request.max_content_length = request.max_form_memory_size = FORM_OCTETS
    check_form()


# ---- how replies come -----------------------------------------------------------------------------------------------


@blueprint.get("/account/replies")
@needs_subscriber
def overview() -> Any:
    """Show how replies come, the keys there are, and how the last test went."""
    return page()


def page(status: int = 200, **more: Any) -> Any:
    """Render the page, with what went wrong in *more*."""
    somebody, saved = signed_in(), recall("saved")
    forget("saved")
    known = desk().accounts.profile(somebody)
    shown: dict[str, Any] = {
        "form": known.form,
        "kept_form": known.form,
        "may_tls": known.may_tls,
        "keys": desk().ownkeys.own(somebody),
        "has_second": desk().accounts.has_second_step(somebody),
        "trial": trial(),
        "saved": saved,
        "wrong": "",
        "problem": None,
        "key_problem": None,
        "key_error": None,
        "dropping": "",
    }
    if shown["trial"] and not shown["trial"]["is_settled"]:
        allow_saving()
    return render_template("replies.html", **shown | more), status


@blueprint.post("/account/replies")
@needs_subscriber
def choose() -> Any:
    """Choose the form in which replies come from now on."""
    somebody, form = signed_in(), request.form.get("form", "")
    if form not in FORMS:
        abort(400)
    known = desk().accounts.profile(somebody)
    try:
        desk().accounts.set_profile(
            somebody, name=known.name, phone=known.phone, form=form,
            password=request.form.get("password", ""), source=source(),
        )  # fmt: skip
    except WrongSecret:
        return page(WRONG, form=form, wrong=gettext("Type your password to have replies arrive readable."))
    except Throttled:
        raise
    except Denied as denied:
        return page(WRONG, form=form, problem=say(denied))
    remember("saved", "form")
    return redirect(url_for("ownkeys.overview"), 303)


@blueprint.post("/account/replies/key")
@needs_subscriber
def hand_in() -> Any:
    """Take a key of the subscriber's own."""
    try:
        key = desk().ownkeys.set_own(signed_in(), handed_in(), password(), source(), number())
    except (SecondStep, WrongSecret):
        return page(WRONG, key_error=not_shown())
    except Throttled:
        raise
    except (Refusal, Denied) as refused:
        return page(WRONG, key_problem=say(refused))
    remember("saved", f"key-{key.kind}")
    return redirect(url_for("ownkeys.overview"), 303)


@blueprint.post("/account/replies/key/<kind>/remove")
@needs_subscriber
def take_away(kind: str) -> Any:
    """Lock nothing to a key of the subscriber's own any more."""
    try:
        desk().ownkeys.drop_own(signed_in(), kind, password(), source(), number())
    except (SecondStep, WrongSecret):
        return page(WRONG, dropping=kind, key_error=not_shown())
    except (Throttled, NoGrant):
        raise
    except Denied as denied:
        return page(WRONG, key_problem=say(denied))
    remember("saved", "key-removed")
    return redirect(url_for("ownkeys.overview"), 303)


# ---- a test ---------------------------------------------------------------------------------------------------------


@blueprint.post("/account/replies/test")
@needs_subscriber
def send_test() -> Any:
    """Send a real message to oneself in the form that was chosen."""
    try:
        sent = desk().trials.send(signed_in(), desk().pieces.random(16), spoken())
    except Throttled:
        raise
    except (Refusal, Denied) as refused:
        return page(WRONG, problem=say(refused))
    remember(TRIAL, str(sent))
    return redirect(url_for("ownkeys.overview") + "#test", 303)


@blueprint.get("/account/replies/test")
@needs_subscriber
def test_state() -> Any:
    """Return the part of the page that says how the test goes."""
    return render_template("_trial.html", trial=trial())


def trial() -> dict[str, Any] | None:
    """Return how the last test of this visit stands, None before the first."""
    sent = recall(TRIAL)
    if not sent:
        return None
    try:
        found = desk().pickup.status(signed_in(), int(sent))
    except (NoGrant, Ended, ValueError):
        forget(TRIAL)
        return None
    (one, *_) = found.recipients
    return {"one": one, "at": found.at, "message": found.message, "is_settled": one.state in SETTLED}


# ---- keys of others -------------------------------------------------------------------------------------------------


@blueprint.get("/account/keys")
@needs_subscriber
def others() -> Any:
    """Show the keys of others that this subscriber knows."""
    return others_page()


def others_page(status: int = 200, **more: Any) -> Any:
    """Render the page of others' keys, with what went wrong in *more*."""
    somebody, saved = signed_in(), recall("saved")
    forget("saved")
    shown: dict[str, Any] = {
        "keys": desk().ownkeys.known(somebody),
        "may": desk().ownkeys.may_use_others(somebody),
        "has_second": desk().accounts.has_second_step(somebody),
        "saved": saved,
        "address": "",
        "looked": None,
        "carried": "",
        "problem": None,
        "error": None,
        "dropping": "",
    }
    return render_template("keys-of-others.html", **shown | more), status


@blueprint.post("/account/keys")
@needs_subscriber
def look_at() -> Any:
    """Show what a key says, whose fingerprint is to be compared before it is kept."""
    address = request.form.get("address", "").strip()[:320]
    try:
        octets = handed_in()
        return others_page(looked=desk().ownkeys.look(address, octets), address=address, carried=carried(octets))
    except (Refusal, Denied) as refused:
        return others_page(WRONG, address=address, problem=say(refused))


@blueprint.post("/account/keys/keep")
@needs_subscriber
def keep() -> Any:
    """Keep the key that was looked at."""
    address, written = request.form.get("address", "")[:320], request.form.get("key", "")
    fingerprint = request.form.get("fingerprint", "")[:200]
    try:
        octets = base64.b64decode(written, validate=True)
        if "compared" not in request.form:
            error = gettext("First compare the fingerprint with them, by phone or face to face.")
            looked = desk().ownkeys.look(address, octets)
            return others_page(WRONG, looked=looked, address=address, carried=written, problem=error)
        desk().ownkeys.set_known(signed_in(), address, octets, fingerprint, password(), source(), number())
    except (SecondStep, WrongSecret):
        looked = desk().ownkeys.look(address, octets)
        return others_page(WRONG, looked=looked, address=address, carried=written, error=not_shown())
    except Throttled:
        raise
    except (Refusal, Denied) as refused:
        return others_page(WRONG, address=address, problem=say(refused))
    except (binascii.Error, ValueError):
        abort(400)
    remember("saved", "kept")
    return redirect(url_for("ownkeys.others"), 303)


@blueprint.post("/account/keys/remove")
@needs_subscriber
def forget_one() -> Any:
    """Lock nothing to somebody else's key any more."""
    address = request.form.get("address", "")[:320]
    try:
        desk().ownkeys.drop_known(signed_in(), address, password(), source(), number())
    except (SecondStep, WrongSecret):
        return others_page(WRONG, dropping=address, error=not_shown())
    except (Throttled, NoGrant):
        raise
    except (Refusal, Denied) as refused:
        return others_page(WRONG, problem=say(refused))
    remember("saved", "removed")
    return redirect(url_for("ownkeys.others"), 303)


# ---- what a form brings ---------------------------------------------------------------------------------------------


def handed_in() -> bytes:
    """Return the octets of the file that came, else what was pasted."""
    for each in uploads(request.files.getlist("file")):
        octets = b"".join(each.chunks())
        if octets:
            return octets
    return request.form.get("key", "").encode("utf-8", "replace")


def carried(octets: bytes) -> str:
    """Return a key as a form carries it along to the next page."""
    return base64.b64encode(octets).decode()


def password() -> str:
    """Return the password that was typed."""
    return request.form.get("password", "")


def number() -> str:
    """Return the number of the second step, if one was typed."""
    return typed_number()


def not_shown() -> str:
    """Say that password or number were not right."""
    if desk().accounts.has_second_step(signed_in()):
        return gettext("Password and number do not fit. Each number counts once: wait for the next one.")
    return gettext("That is not your password.")

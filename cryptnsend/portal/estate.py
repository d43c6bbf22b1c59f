"""Which pages are about the account itself? Its addresses, whose mail it refuses, who did what, and its end.

For everybody who has one, subscriber or not. Grave acts ask for the password and say before the button what happens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, abort, make_response, redirect, render_template, request, url_for
from flask_babel import gettext, lazy_gettext
from itsdangerous import BadSignature
from markupsafe import Markup

from cryptnsend.core import qr, words
from cryptnsend.core.errors import Denied, Ended, NoGrant, Throttled, WrongSecret
from cryptnsend.flow.views import Part
from cryptnsend.flow.views_accounts import Doing
from cryptnsend.keeper.recovery import without_hints
from cryptnsend.portal.account import ADDRESS_LENGTH
from cryptnsend.portal.desk import desk
from cryptnsend.portal.language import say, spoken
from cryptnsend.portal.letters import ZIP_SECONDS, download, signer
from cryptnsend.portal.passkeys import typed_number, typed_password
from cryptnsend.portal.recipient import digits, not_the_code
from cryptnsend.portal.security import WRONG, check_form
from cryptnsend.portal.visits import (
    forget,
    forget_session,
    is_subscriber,
    mailed_again,
    mails_again,
    needs_session,
    recall,
    remember,
    row_number,
    signed_in,
    source,
)

blueprint = Blueprint("estate", __name__)
blueprint.before_request(check_form)

PAGE = 50
RESTS = (5, 10, 15, 20, 30, 45, 60, 120)  # minutes without a tap that people may choose, where the rules let more
DOINGS = {  # what the access log says of an action of the audit trail
    "account.signed-in": lazy_gettext("Signed in"),
    "account.signed-out": lazy_gettext("Signed out other browsers"),
    "account.registered": lazy_gettext("Chose the first password"),
    "account.subscribed": lazy_gettext("Began to send secure mail"),
    "account.reset": lazy_gettext("Replaced a forgotten password by e-mail"),
    "account.password-changed": lazy_gettext("Changed the password"),
    "account.unlocked": lazy_gettext("Opened locked messages"),
    "account.keys-renewed": lazy_gettext("Got new keys, as whoever runs the server asked"),
    "account.recovery-made": lazy_gettext("Made a recovery code"),
    "account.second-begun": lazy_gettext("Began to sign in with a number, too"),
    "account.second-ended": lazy_gettext("Ended signing in with a number"),
    "account.browser-trusted": lazy_gettext("Trusted a browser"),
    "account.browsers-forgotten": lazy_gettext("Trusted no browser any more"),
    "account.passkey-step-begun": lazy_gettext("Began to sign in with a passkey, too"),
    "account.passkey-step-ended": lazy_gettext("Ended signing in with a passkey, too"),
    "passkey.added": lazy_gettext("Added a passkey"),
    "passkey.opens": lazy_gettext("Let a passkey open messages by itself"),
    "passkey.removed": lazy_gettext("Removed a passkey"),
    "passkey.shown": lazy_gettext("Showed a passkey instead of typing"),
    "account.objected": lazy_gettext("Objected to a new password"),
    "account.profile": lazy_gettext("Changed name or number on notices"),
    "account.friends": lazy_gettext("Chose whose mail is ordinary mail"),
    "key.added": lazy_gettext("Handed in a key"),
    "key.removed": lazy_gettext("Took a key away"),
    "account.rest": lazy_gettext("Chose when to be signed out"),
    "account.mails": lazy_gettext("Chose which mails to get"),
    "account.language": lazy_gettext("Chose a language"),
    "account.address-added": lazy_gettext("Added an address"),
    "recovery.made": lazy_gettext("Made a recovery file"),
    "archive.key-replaced": lazy_gettext("Gave the archive a new key"),
    "recovery.confirmed": lazy_gettext("Confirmed the recovery file"),
    "device.added": lazy_gettext("Made a device password"),
    "device.revoked": lazy_gettext("Removed a device password"),
    "token.added": lazy_gettext("Made a token for a program"),
    "token.revoked": lazy_gettext("Removed a token for a program"),
    "hook.added": lazy_gettext("Made a webhook"),
    "hook.rotated": lazy_gettext("Made a new secret of a webhook"),
    "hook.removed": lazy_gettext("Removed a webhook"),
    "organisation-hook.added": lazy_gettext("Made a webhook of the organisation"),
    "organisation-hook.rotated": lazy_gettext("Made a new secret of a webhook of the organisation"),
    "organisation-hook.removed": lazy_gettext("Removed a webhook of the organisation"),
    "token.sent": lazy_gettext("Sent a message by a program"),
    "passphrase.shown": lazy_gettext("Looked at the delivery passphrase"),
    "passphrase.changed": lazy_gettext("Made a new delivery passphrase"),
    "code.shown": lazy_gettext("Looked at codes"),
    "code.replaced": lazy_gettext("Made a new code"),
    "code.proven": lazy_gettext("Typed a sender’s code"),
    "code.allowed": lazy_gettext("Let a message be opened with less than a code"),
    "code.usual": lazy_gettext("Chose how people open what you send"),
    "message.opened": lazy_gettext("Opened a message"),
    "document.key-shown": lazy_gettext("Was shown the key of a PDF"),
    "message.exported": lazy_gettext("Saved a message as a file"),
    "grant.adopted": lazy_gettext("Received messages that had waited"),
    "grant.suspended": lazy_gettext("Took a message back"),
    "grant.restored": lazy_gettext("Gave a message back"),
    "sender.asked": lazy_gettext("Asked a sender for help"),
    "sender.blocked": lazy_gettext("Blocked a sender"),
    "sender.unblocked": lazy_gettext("Took mail of a sender again"),
    "sender.reported": lazy_gettext("Reported a sender"),
    "visitors.opened": lazy_gettext("Opened the page for visitors, or changed it"),
    "visitors.closed": lazy_gettext("Closed the page for visitors"),
    "visitors.form": lazy_gettext("Made or changed a form for visitors"),
    "visitors.form-deleted": lazy_gettext("Deleted a form for visitors"),
    "visitor.blocked": lazy_gettext("Blocked a visitor"),
    "visitor.unblocked": lazy_gettext("Took letters of a visitor again"),
    "glass.asked": lazy_gettext("Asked for a glass break"),
    "glass.agreed": lazy_gettext("Agreed to a glass break"),
    "glass.opened": lazy_gettext("Opened the archive"),
    "glass.ended": lazy_gettext("Ended a glass break"),
    "archive.listed": lazy_gettext("Looked through mail of the archive"),
    "archive.opened": lazy_gettext("Opened a message of the archive"),
    "archive.exported": lazy_gettext("Saved a message of the archive"),
    "file.downloaded": lazy_gettext("Downloaded a large file"),
    "link.made": lazy_gettext("Made a link for whoever has it"),
    "link.held": lazy_gettext("Asked for a link to files in which something was found"),
    "link.revoked": lazy_gettext("Ended a link for whoever has it"),
    "hold.placed": lazy_gettext("Kept mail for a case"),
    "hold.released": lazy_gettext("Ended a case"),
    "scan.found": lazy_gettext("Sent something that a scanner stopped"),
}

DONE_BY_OPERATOR = {  # the same, where whoever runs the server did it by a command
    "account.added": lazy_gettext("Made this account"),
    "account.disabled": lazy_gettext("Stopped this account from signing in"),
    "account.enabled": lazy_gettext("Let this account sign in again"),
    "account.password-changed": lazy_gettext("Changed the password, with the old one"),
    "account.reset": lazy_gettext("Set a new password without the old one"),
    "device.added": lazy_gettext("Made a device password"),
    "device.revoked": lazy_gettext("Removed a device password"),
    "token.revoked": lazy_gettext("Removed a token for a program"),
    "grant.suspended": lazy_gettext("Took one of your messages back"),
    "grant.restored": lazy_gettext("Gave one of your messages back"),
    "link.revoked": lazy_gettext("Ended one of your links for whoever has it"),
    "delivery.cancelled": lazy_gettext("Stopped a mail about one of your messages"),
    "delivery.held": lazy_gettext("Held a mail about one of your messages"),
    "delivery.released": lazy_gettext("Let a held mail about one of your messages leave"),
    "delivery.retried": lazy_gettext("Had a mail about one of your messages tried again"),
}


# ---- addresses ------------------------------------------------------------------------------------------------------


@blueprint.route("/account/addresses", methods=["GET", "POST"])
@needs_session
def addresses() -> Any:
    """List the addresses of this account, and mail a code to another one."""
    page: dict[str, Any] = {"address": "", "error": None, "saved": recall("saved") == "address"}
    forget("saved")
    if request.method != "POST":
        return render_template("addresses.html", **page)
    page["address"] = typed = request.form.get("address", "").strip()[:ADDRESS_LENGTH]
    try:
        started = desk().accounts.start_alias(signed_in(), typed, source())
    except Throttled:
        raise
    except Denied as denied:
        page["error"] = say(denied)
        return render_template("addresses.html", **page), WRONG
    mails_again("alias", typed)
    remember("alias", {"id": str(started.id), "address": typed, "expires": started.expires})
    return redirect(url_for("estate.address_code"), 303)


@blueprint.route("/account/addresses/code", methods=["GET", "POST"])
@needs_session
def address_code() -> Any:
    """Take the code that was mailed to another address."""
    begun = recall("alias")
    if not isinstance(begun, dict):
        return redirect(url_for("estate.addresses"), 303)
    if request.method != "POST":
        return render_template("address-code.html", begun=begun, error=None, again=mailed_again("alias"))
    try:
        desk().accounts.finish_alias(signed_in(), int(begun["id"]), digits(request.form.get("code", "")))
    except WrongSecret as wrong:
        return render_template("address-code.html", begun=begun, error=not_the_code(wrong), again=False), WRONG
    except Ended:
        error = gettext("This code no longer works. Have another one mailed.")
        return render_template("address-code.html", begun=begun, error=error, again=False), WRONG
    except Throttled:
        raise
    except Denied as denied:
        return render_template("address-code.html", begun=begun, error=say(denied), again=False), WRONG
    forget("alias")
    if begun.get("link"):  # it was claimed for a message that waits
        return redirect(url_for("recipient.waiting", token=begun["link"]), 303)
    remember("saved", "address")
    return redirect(url_for("estate.addresses"), 303)


# ---- senders one does not want --------------------------------------------------------------------------------------


@blueprint.route("/messages/<int:message>/block", methods=["GET", "POST"])
@needs_session
def block(message: int) -> Any:
    """Say what blocking a sender does, and do it."""
    letter = desk().pickup.show(signed_in(), message)
    if not letter.may_block:
        abort(404)
    if request.method != "POST":
        return render_template("block.html", letter=letter)
    desk().accounts.block(signed_in(), message, report="report" in request.form)
    return redirect(url_for("estate.blocked"), 303)


@blueprint.get("/account/blocked")
@needs_session
def blocked() -> Any:
    """List whose mail is refused."""
    return render_template("blocked.html", senders=desk().accounts.blocked(signed_in()))


@blueprint.post("/account/blocked/<int:contact>/unblock")
@needs_session
def unblock(contact: int) -> Any:
    """Take a sender's mail again."""
    desk().accounts.unblock(signed_in(), contact)
    return redirect(url_for("estate.blocked"), 303)


# ---- who did what ---------------------------------------------------------------------------------------------------


@blueprint.get("/account/browsers")
@needs_session
def browsers() -> Any:
    """List where this account is signed in."""
    somebody = signed_in()
    most = desk().most_idle_minutes(somebody)
    return render_template(
        "browsers.html",
        browsers=desk().accounts.browsers(somebody),
        browser_name=browser_name,
        rest=somebody.rest if somebody.rest < most else 0,
        rests=[each for each in RESTS if each < most],
        most=most,
        saved=recall("saved"),
    )


@blueprint.post("/account/browsers/rest")
@needs_session
def rest() -> Any:
    """Be signed out after so many minutes without a tap from now on."""
    typed = request.form.get("minutes", "")
    minutes = int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 5 else -1
    if minutes not in (0, *RESTS):
        abort(400)
    desk().accounts.set_rest(signed_in(), minutes)
    remember("saved", "rest")
    return redirect(url_for("estate.browsers"), 303)


@blueprint.post("/account/browsers/<ident>/end")
@needs_session
def end_browser(ident: str) -> Any:
    """Sign another browser out."""
    desk().accounts.end_browser(signed_in(), ident)
    return redirect(url_for("estate.browsers"), 303)


@blueprint.get("/account/log")
@needs_session
def log() -> Any:
    """List what was done as this account, the latest first."""
    before = request.args.get("before", type=row_number)
    found = desk().accounts.access_log(signed_in(), before, PAGE + 1)
    return render_template(
        "access-log.html", doings=found[:PAGE], more=len(found) > PAGE, before=before, words_for=words_for,
        browser_name=browser_name,
    )  # fmt: skip


def words_for(doing: Doing) -> str:
    """Return what was done in words; what has none yet is shown as the audit trail has it, never left out."""
    said = DONE_BY_OPERATOR if doing.by_operator else DOINGS
    return str(said.get(doing.action, doing.action))


def browser_name(agent: str) -> str:
    """Return what people call a browser, from what it calls itself: "Firefox on Windows"."""
    kinds = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Safari", "Safari"))
    systems = (
        ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("Mac OS", "Mac"),
        ("Linux", "Linux"),
    )  # fmt: skip
    kind = next((name for mark, name in kinds if mark in agent), "")
    system = next((name for mark, name in systems if mark in agent), "")
    if kind and system:
        return gettext("%(browser)s on %(system)s", browser=kind, system=system)
    return kind or system or gettext("A browser")


# ---- the archive's recovery file ------------------------------------------------------------------------------------


@blueprint.route("/account/recovery-file", methods=["GET", "POST"])
@needs_session
def recovery_file() -> Any:
    """Make another recovery file of the archive, and show it, this once."""
    if "officer" not in signed_in().roles:
        abort(404)
    page = _recovery_page()
    if request.method != "POST":
        return render_template("recovery-again.html", **page)
    return _made(page, "recovery-again.html", desk().accounts.recovery_file)


@blueprint.route("/account/archive-key", methods=["GET", "POST"])
@needs_session
def archive_key() -> Any:
    """Give the archive a new key, and show the recovery file that fits it, this once."""
    if "officer" not in signed_in().roles:
        abort(404)
    page = _recovery_page()
    if request.method != "POST":
        return render_template("archive-key.html", **page)
    return _made(page, "archive-key.html", desk().accounts.replace_archive_key)


def _recovery_page() -> dict[str, Any]:
    somebody, accounts = signed_in(), desk().accounts
    return {
        "missing": accounts.recovery_file_is_missing(somebody),
        "has_second": accounts.has_second_step(somebody),
        "refused": None,
        "error": None,
    }


def _made(page: dict[str, Any], template: str, make: Callable[[Any, str, str, str], Any]) -> Any:
    somebody = signed_in()
    try:
        made = make(somebody, request.form.get("password", ""), typed_number(), source())
    except Throttled:
        raise
    except WrongSecret:
        page["error"] = (
            gettext("Password and number do not fit. Each number counts once: wait for the next one.")
            if page["has_second"]
            else gettext("That is not your password.")
        )
        return render_template(template, **page), WRONG
    except Denied as denied:  # NoGrant too: this officer has no share in the archive
        page["refused"] = say(denied)
        return render_template(template, **page), WRONG
    if made is None:  # where it takes two officers, none of them gets what opens it alone
        remember("saved", "archive-key")
        return redirect(url_for("account.overview"), 303)
    shown = {"file": made.text, "picture": scannable(made.text), "code": made.code, "address": somebody.address}
    return make_response(render_template("recovery-file.html", **shown, again=True))


def scannable(file: str) -> Markup:
    """Return the drawing that a phone reads a recovery file from."""
    return Markup(qr.svg(without_hints(file), scale=4))  # noqa: S704 - a drawing, in which no character of what is drawn stands


@blueprint.post("/account/recovery-file/safe")
@needs_session
def recovery_file_is_safe() -> Any:
    """Note that the file is in a safe place; we ask no more."""
    if "officer" not in signed_in().roles:
        abort(404)
    desk().accounts.confirm_recovery_file(signed_in())
    return redirect(url_for("programs.setup" if "first" in request.form else "account.overview"), 303)


# ---- the end --------------------------------------------------------------------------------------------------------


@blueprint.route("/account/export", methods=["GET", "POST"])
@needs_session
def export() -> Any:
    """Show the password of a ZIP with all own messages; the button then brings the file."""
    if request.method != "POST":
        password = words.passphrase(desk().pieces.random, language=spoken())
        return render_template("export.html", password=password, proof=signer().dumps(password))
    try:
        password = signer().loads(request.form.get("proof", ""), max_age=ZIP_SECONDS)
    except BadSignature:
        return redirect(url_for("estate.export"), 303)
    chunks = desk().pickup.everything(signed_in(), password)
    return download(Part("messages.zip", "application/zip", None, chunks))


@blueprint.route("/account/close", methods=["GET", "POST"])
@needs_session
def close() -> Any:
    """Say what closing the account means, and close it."""
    page: dict[str, Any] = {"error": None, "unsure": None, "subscriber": is_subscriber(signed_in())}
    if request.method != "POST":
        return render_template("close.html", **page)
    if "sure" not in request.form:
        page["unsure"] = gettext("Tick the box if you want this; it cannot be undone.")
        return render_template("close.html", **page), WRONG
    try:
        desk().accounts.close(signed_in(), typed_password(), source())
    except WrongSecret:
        page["error"] = gettext("That is not your password.")
        return render_template("close.html", **page), WRONG
    except (NoGrant, Throttled):
        raise
    except Denied as denied:
        page["error"] = say(denied)
        return render_template("close.html", **page), WRONG
    return forget_session(redirect(url_for("estate.closed"), 303))


@blueprint.get("/closed")
def closed() -> Any:
    """Say that the account is closed."""
    return render_template("closed.html")


# ---- "that was not me" ----------------------------------------------------------------------------------------------


@blueprint.route("/answer/<token>", methods=["GET", "POST"])
def answer(token: str) -> Any:
    """
    Let an account's owner say, by a link of a warning, that a new password was not theirs.

    They type their address, which machines that press buttons do not; GET changes nothing.
    """
    page: dict[str, Any] = {"done": False, "address": "", "error": None}
    if request.method != "POST":
        return render_template("answer.html", **page)
    page["address"] = typed = request.form.get("address", "")[:254]
    try:
        desk().accounts.object_to(token, typed)
    except WrongSecret as wrong:
        page["error"] = say(wrong)
        return render_template("answer.html", **page), WRONG
    page["done"] = True
    return render_template("answer.html", **page)

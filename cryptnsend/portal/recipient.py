"""What does somebody see who opens the link of a notice?

GET shows only what the notice said already and changes nothing. The code or the password comes by POST; after it the
link's token leaves the address bar. First time: code, then a password of one's own. Later: the password. A sender who
writes for the first time to somebody with a password: that password, then the sender's code.
"""

from __future__ import annotations

import base64
import re
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask_babel import gettext

from cryptnsend.core import words
from cryptnsend.core.errors import Denied, Ended, SecondStep, WrongSecret
from cryptnsend.core.passwords import check_strength
from cryptnsend.flow.views import Waiting
from cryptnsend.flow.views_accounts import SignedIn
from cryptnsend.portal import second
from cryptnsend.portal.desk import desk
from cryptnsend.portal.flows_accounts import Proof
from cryptnsend.portal.language import say, spoken
from cryptnsend.portal.security import WRONG, check_form
from cryptnsend.portal.visits import (
    agent,
    forget,
    is_same_person,
    mailed_again,
    needs_session,
    recall,
    remember,
    signed_in,
    source,
    start_session,
    visitor,
)

blueprint = Blueprint("recipient", __name__)
blueprint.before_request(check_form)

OVER = ("expired", "suspended", "left", "closed")  # states of a message that no code opens any more
NOT_DIGITS = re.compile(r"[\s\-.]")


class Over(Ended):
    """The message of a link ended while somebody was on the way to it."""

    def __init__(self, waiting: Waiting, token: str):
        super().__init__("This message can no longer be opened.")
        self.waiting, self.token = waiting, token


@blueprint.get("/m/<token>")
def waiting(token: str) -> Any:
    """Show who wrote, and the one field that comes next for this visitor."""
    try:
        found = desk().pickup.waiting(token)
    except Denied:
        return render_template("unknown-link.html"), 404
    somebody = visitor()
    if found.state in OVER:
        return render_template("dead-end.html", waiting=found, token=token), 410
    if "key" in request.args:
        remember("landing", token)
    if somebody is None:
        return entrance(token, found)
    if not is_same_person(somebody, found.to):
        return render_template("other-account.html", waiting=found, masked=masked(found.to), token=token), 403
    if found.state == "known":
        return redirect(onward(token, found), 303)
    return render_template("code-new-sender.html", waiting=found, token=token, error=None)


@blueprint.post("/m/<token>/code")
def code(token: str) -> Any:
    """Take the sender's code: of a newcomer towards a password, of somebody signed in towards the message."""
    found = alive(token)
    typed = digits(request.form.get("code", ""))
    somebody = visitor()
    if not typed and found.way != "none":
        # A machine that presses buttons must not use up the tries of a person.
        return code_page(token, found, gettext("Type the digits of the code.")), WRONG
    try:
        if somebody is not None and is_same_person(somebody, found.to):
            desk().pickup.prove_as(somebody, token, typed, source())
            return redirect(onward(token, found), 303)
        proof = desk().pickup.prove(token, typed, source(), spoken())
    except WrongSecret as wrong:
        return code_page(token, found, not_the_code(wrong)), WRONG
    except Ended:
        return render_template("code-used-up.html", waiting=found, token=token), 410
    return proven(token, found, proof)


def proven(token: str, found: Waiting, proof: Proof) -> Any:
    """Lead a newcomer who showed a code on: to a password of their own, or to the one there is."""
    forget("proof", "anew", "mailed")
    remember("link", token)
    if proof.may_register:
        remember("proof", base64.b64encode(proof.ticket).decode())
    if proof.has_account:
        return account_there(token, found, may_register=proof.may_register)
    return redirect(url_for("recipient.choose"), 303)


@blueprint.post("/m/<token>/mail")
def mail(token: str) -> Any:
    """Mail a code for the message of a link, where its sender allows that."""
    alive(token)
    before, started = recall("mailed"), desk().pickup.mail_code(token, source(), spoken())
    if isinstance(before, dict) and before["link"] == token:
        remember("again", "same" if before["id"] == str(started.id) else "mailed")
    remember("mailed", {"id": str(started.id), "link": token})
    return redirect(url_for("recipient.mailed", token=token), 303)


@blueprint.route("/m/<token>/mailed", methods=["GET", "POST"])
def mailed(token: str) -> Any:
    """Take the code that was mailed."""
    found, begun, somebody = alive(token), recall("mailed"), visitor()
    if not isinstance(begun, dict) or begun.get("link") != token or found.way != "mail":
        return redirect(url_for("recipient.waiting", token=token), 303)
    page: dict[str, Any] = {"waiting": found, "token": token, "error": None, "again": None}
    if request.method != "POST":
        page["again"] = "same" if mailed_again("same") else "mailed" if mailed_again("mailed") else None
        return render_template("mailed-code.html", **page)
    typed = digits(request.form.get("code", ""))
    if not typed:
        page["error"] = gettext("Type the digits of the code.")
        return render_template("mailed-code.html", **page), WRONG
    try:
        if somebody is not None and is_same_person(somebody, found.to):
            desk().pickup.prove_mailed_as(somebody, token, int(begun["id"]), typed, source())
            forget("mailed")
            return redirect(onward(token, found), 303)
        proof = desk().pickup.prove_mailed(token, int(begun["id"]), typed, source(), spoken())
    except WrongSecret as wrong:
        page["error"] = not_the_code(wrong)
        return render_template("mailed-code.html", **page), WRONG
    except Ended:
        page["error"] = gettext("This code no longer works. Have another one mailed.")
        return render_template("mailed-code.html", **page), WRONG
    return proven(token, found, proof)


@blueprint.post("/m/<token>/password")
def password(token: str) -> Any:
    """Take the password of somebody who has one, and show the message, or ask for this sender's code."""
    found = alive(token)
    try:
        typed = request.form.get("password", "")
        fresh = SignedIn(desk().accounts.sign_in(found.to, typed, source(), agent(), second.trust()))
    except SecondStep as step:
        remember("next", ["recipient.waiting", {"token": token}])
        return second.asks(step, found.to)
    except WrongSecret:
        return entrance(token, found, error=gettext("That is not the password. It is the one you chose here.")), WRONG
    return start_session(redirect(url_for("recipient.waiting", token=token), 303), fresh)


@blueprint.route("/m/<token>/ask", methods=["GET", "POST"])
def ask(token: str) -> Any:
    """Say what the sender will be told, and tell them: one more page, so that machines which press buttons stay out."""
    if request.method != "POST":
        return render_template("ask.html", waiting=desk().pickup.waiting(token), back=f"/m/{token}", asked=False)
    return render_template("ask.html", waiting=desk().pickup.ask(token, source()), back=f"/m/{token}", asked=True)


@blueprint.route("/m/<token>/shared", methods=["GET", "POST"])
def shared(token: str) -> Any:
    """Say what an address means that several people read; have the sender write to one's own, which is proven."""
    found, somebody = desk().pickup.waiting(token), visitor()
    page: dict[str, Any] = {"waiting": found, "token": token, "asked": False}
    page["own"] = somebody.address if somebody is not None and not is_same_person(somebody, found.to) else ""
    if request.method == "POST":
        if somebody is None or not page["own"]:
            remember("next", ["recipient.shared", {"token": token}])
            return redirect(url_for("account.sign_in"), 303)
        desk().pickup.ask_own(somebody, token, source())
        page["asked"] = True
    return render_template("shared.html", **page)


@blueprint.post("/m/<token>/mine")
@needs_session
def mine(token: str) -> Any:
    """Mail a code to the address of a link, for somebody signed in who says that it is theirs, too."""
    found = desk().pickup.waiting(token)
    if is_same_person(signed_in(), found.to):
        return redirect(url_for("recipient.waiting", token=token), 303)
    started = desk().accounts.start_alias(signed_in(), found.to, source())
    remember("alias", {"id": str(started.id), "address": found.to, "expires": started.expires, "link": token})
    return redirect(url_for("estate.address_code"), 303)


@blueprint.post("/open/anew")
def anew() -> Any:
    """Hear that the password there is for this address is somebody else's; lead on to one of the visitor's own."""
    token, ticket = recall("link"), recall("proof")
    if not isinstance(token, str) or not isinstance(ticket, str):
        return render_template("start-again.html"), 410
    desk().pickup.agree(token, spoken())
    remember("anew", True)
    return redirect(url_for("recipient.choose"), 303)


@blueprint.route("/open/password", methods=["GET", "POST"])
def choose() -> Any:
    """Choose a password after the code was right; then the message."""
    token, ticket = recall("link"), recall("proof")
    if not isinstance(token, str) or not isinstance(ticket, str):
        return render_template("start-again.html"), 410
    found = alive(token)
    if found.has_account and not recall("anew"):
        return account_there(token, found, may_register=True)
    # Where no code was asked for, the password is the first thing to be typed; filled in, a machine that follows the
    # link and presses every button would have it saved, open the message, and leave a password that nobody knows.
    page: dict[str, Any] = {"waiting": found, "error": None, "suggestion": None, "to_type": found.way == "none"}
    if request.method != "POST":
        return render_template("choose-password.html", **page)
    if "suggest" in request.form:
        page["suggestion"] = words.suggestion(desk().pieces.random, spoken())
        return render_template("choose-password.html", **page)
    chosen = request.form.get("password", "")
    page["error"] = too_weak(chosen, [found.to, found.sender_name, found.sender_address])
    if page["error"]:
        return render_template("choose-password.html", **page), WRONG
    try:
        fresh = desk().accounts.register(base64.b64decode(ticket), chosen, "", source(), agent(), spoken())
    except Denied:
        forget("proof", "anew")
        if found.has_account:
            return account_there(token, found, may_register=False)
        return render_template("start-again.html"), 410
    answer = start_session(redirect(onward(token, found), 303), fresh)
    remember("offer", "recovery")  # the reading page offers the recovery code once
    return answer


def onward(token: str, found: Waiting) -> str:
    """Return where a link leads in the end: to the message, or to the key of the PDF that it came with."""
    page = "papers.key" if recall("landing") == token else "letters.read"
    return url_for(page, message=found.message)


def entrance(token: str, found: Waiting, error: str | None = None) -> str:
    """Render the first page for somebody who is not signed in: password if there is one, else the code."""
    page = "password.html" if found.has_account else "code.html"
    return render_template(page, waiting=found, token=token, error=error)


def account_there(token: str, found: Waiting, *, may_register: bool) -> str:
    """Render the page that leads to the password there is, as the first page of this link does, too."""
    return render_template("have-password.html", waiting=found, token=token, may_register=may_register)


def code_page(token: str, found: Waiting, error: str) -> str:
    """Render the code form again, as the visitor had it."""
    if visitor() is None and found.has_account:
        return render_template("password.html", waiting=found, token=token, error=None, code_error=error)
    page = "code-new-sender.html" if visitor() is not None else "code.html"
    return render_template(page, waiting=found, token=token, error=error)


def alive(token: str) -> Waiting:
    """Return what the link stands for; raise Over if that can no longer be opened, Ended if it is none."""
    found = desk().pickup.waiting(token)
    if found.state in OVER:
        raise Over(found, token)
    return found


@blueprint.errorhandler(Over)
def over(ended: Over) -> Any:
    """Say that a message ended while its page was open, as its link does."""
    return render_template("dead-end.html", waiting=ended.waiting, token=ended.token), 410


def digits(typed: str) -> str:
    """Return the digits of a code as somebody typed it, "" for what can be none."""
    plain = NOT_DIGITS.sub("", typed)[:20]
    return plain if plain.isascii() and plain.isdecimal() else ""


def too_weak(chosen: str, hints: list[str]) -> str | None:
    """Return what is wrong with a new password, in words, or None."""
    strength = check_strength(
        chosen, hints=hints, second_factor=False, shortest=desk().rules(visitor()).password_length
    )
    return None if strength.ok else say(strength.advice)


def not_the_code(wrong: WrongSecret) -> str:
    """Say how many tries are left, where they are counted."""
    if wrong.tries_left is None:
        return gettext("That is not the code.")
    if wrong.tries_left == 1:
        return gettext("That is not the code. You have 1 try left.")
    return gettext("That is not the code. You have %(tries)d tries left.", tries=wrong.tries_left)


def masked(address: str) -> str:
    """Return an address with all but the first character of its local part hidden."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}…@{domain}"

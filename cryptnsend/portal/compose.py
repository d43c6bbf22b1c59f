"""How does a subscriber write a new message?

The page is one form whose buttons send it, keep it, look at whom it is for, and take up a name; without a script each
of them brings the page again with everything that was typed. With one, the form is kept by itself, files go up one by
one into the sealed draft, and people are looked at while they are typed.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, abort, jsonify, redirect, render_template, request, url_for
from flask_babel import gettext

from cryptnsend.core.errors import Denied, Ended, Infected, NoGrant, Refusal, Temporary
from cryptnsend.flow.views import Upload, Writing
from cryptnsend.portal.beside import arranged, most_octets, shared_octets
from cryptnsend.portal.composed import Form, changed, drafted, number, typed
from cryptnsend.portal.desk import desk
from cryptnsend.portal.formlinks import askable
from cryptnsend.portal.language import say, say_infected
from cryptnsend.portal.security import WRONG, allow_saving, check_form
from cryptnsend.portal.subscriber import codes_of
from cryptnsend.portal.visits import (
    cookie,
    forget_session,
    is_subscriber,
    needs_subscriber,
    recall,
    remember,
    signed_in,
    visitor,
)
from cryptnsend.portal.visits import forget as forget_fact
from cryptnsend.portal.writing import FORM_EXTRA, arrived_files, chosen, kept_files, no_draft, nonce_of, told, too_long

blueprint = Blueprint("compose", __name__)

POSTS = ("compose.send", "compose.save", "compose.look")
LIVES = (1, 7, 30, 90, 365)  # days
LATER = (0, 60, 240, 1440, 4320, 10080)  # minutes
SUGGESTED = 12


@blueprint.before_request
def _check() -> Response | None:
    """Let a form be large before it is read, but only from whom we know."""
    if request.endpoint in POSTS:
        if visitor() is not None and not is_subscriber(visitor()):
            abort(404)  # to others such a page does not exist
        if visitor() is None and desk().accounts.away(cookie()) is None:
            return None  # they are sent to the sign-in page, and no form is read
        beside = shared_octets() if visitor() is not None else 0
        request.max_content_length = most_octets() + beside + FORM_EXTRA
        request.max_form_memory_size = FORM_EXTRA
    check_form()
    return None


@blueprint.get("/write")
@needs_subscriber
def new() -> Any:
    """Show an empty form."""
    return page(Form(Writing(""), nonce=secrets.token_hex(16)))


@blueprint.get("/write/shared/<any(here, lost):shared>")
@needs_subscriber
def take_over(shared: str) -> Any:
    """Show an empty form for what another app of the phone shared."""
    return page(Form(Writing(""), nonce=secrets.token_hex(16)), shared=shared)


@blueprint.get("/write/<int:draft>")
@needs_subscriber
def edit(draft: int) -> Any:
    """Go on with a draft. Who comes back to one after it was sent is told where it is now."""
    try:
        found = desk().drafts.draft(signed_in(), draft)
    except NoGrant:
        return no_draft()
    if found.parent:
        return redirect(url_for("letters.read", message=found.parent, _anchor="reply"), 303)
    return page(drafted(found))


@blueprint.post("/write")
def look() -> Any:
    """Bring the page again with what is known of its people; a button may have added or corrected one of them."""
    if visitor() is None:
        return keep_for_later()
    form, problem, status = changed(typed()), None, 200
    try:
        form = looked_at(form)
    except (Refusal, NoGrant) as refused:
        problem, status = say(refused), WRONG
    except Temporary as later:
        problem, status = _later(later), 503
    if request.headers.get("Accept") == "text/html;fragment=people":
        return render_template("_people.html", form=form), status
    files = _arranged(form, [*chosen(), *_from_library()])
    if not problem and (problem := _too_much(form, files)):
        status = WRONG
    return page(_kept(form, files) if files else _with_files(form), problem), status


@blueprint.post("/write/people")
@needs_subscriber
def people() -> Any:
    """Tell the script whom this subscriber wrote to before."""
    begun = request.form.get("typed", "")[:200]
    return jsonify([{"address": each.address, "name": each.name} for each in desk().newmail.known(signed_in(), begun)])


@blueprint.post("/write/draft")
def save() -> Any:
    """Keep what is written so far. A script asks for no page: it hears the draft's id, or 409 when it was sent."""
    if visitor() is None:
        return keep_for_later()
    asks = request.headers.get("Accept")
    form = typed()
    files = _arranged(form, [*chosen(), *arrived_files()])
    problem, status = _too_much(form, files), WRONG
    if not problem:
        try:
            draft = _keep(form, files)
        except Ended:
            problem, status = gettext("This message was sent already."), 409
        except Refusal as refused:
            problem = say(refused)
        else:
            return _saved(draft, asks)
    if asks == "text/plain":
        return "", status
    if asks == "application/json":
        return {"error": problem}, status
    return page(_with_files(form), problem), status


def _saved(draft: int, asks: str | None) -> Any:
    if asks == "text/plain":
        return Response(str(draft), mimetype="text/plain")
    if asks == "application/json":
        said = told(desk().drafts.draft(signed_in(), draft).files)
        return {"draft": str(draft), **said} if isinstance(said, dict) else said
    remember("saved", "draft")
    return redirect(url_for("compose.edit", draft=draft), 303)


@blueprint.post("/write/send")
def send() -> Any:
    """Send the message, once whatever the page has to say about its people was shown."""
    if visitor() is None:
        return keep_for_later()
    form, message = typed(), 0
    files, keep = _arranged(form, chosen()), kept_files()
    problem, status = _problem(form, files), WRONG
    if not problem:
        try:
            form = looked_at(form)
            if form.checked.wrong:
                problem = gettext("This is no address: %(what)s", what=form.checked.wrong[0])
            elif form.unseen:
                return page(_kept(form, files), stopped=True), WRONG
            else:
                large = [each for each in files if each.linked]
                if large:  # they are its draft's first, as those that a script brings
                    form, files = replace(form, draft=_keep(form, large)), [each for each in files if not each.linked]
                    keep = None if keep is None else [*keep, *(each.id for each in large)]
                message = desk().newmail.send(
                    signed_in(), form.writing, draft=form.draft, keep=keep, files=files, nonce=nonce_of(form.nonce),
                    beside_words=gettext("Too large for mail, to be downloaded on the page of this message:"),
                )  # fmt: skip
        except Infected as found:
            problem = say_infected(found)
        except (Refusal, Ended, NoGrant) as refused:
            problem = say(refused)
        except Temporary as later:
            problem, status = _later(later), 503
    return _sent(message) if message else (page(_kept(form, files), problem), status)


@blueprint.post("/messages/<int:message>/forward")
@needs_subscriber
def forward(message: int) -> Any:
    """Begin a message that passes on another one, with its files."""
    return redirect(url_for("compose.edit", draft=desk().newmail.pass_on(signed_in(), message)), 303)


@blueprint.post("/sent/<int:message>/unsend")
@needs_subscriber
def unsend(message: int) -> Any:
    """Have a message back that has not left yet."""
    try:
        draft = desk().newmail.take_up(signed_in(), message)
    except Ended:
        remember("saved", "too-late")
        return redirect(url_for("subscriber.status", message=message), 303)
    remember("saved", "unsent")
    return redirect(url_for("compose.edit", draft=draft), 303)


def _sent(message: int) -> Any:
    """Lead to the page of the message, which says the codes of those who need one."""
    with suppress(Temporary):  # it is sent: the page of the message says its codes, whenever they can be had
        needed = [each.address for each in desk().pickup.status(signed_in(), message).recipients if each.needs_code]
        codes_of(needed)  # their time begins with this button
    remember("sent", str(message))
    return redirect(url_for("subscriber.status", message=message), 303)


def page(form: Form, error: str | None = None, shared: str = "", *, stopped: bool = False) -> str:
    """
    Render the page.

    *shared* says whether what another app shared is "here", in the worker, or was "lost"; *stopped*: the message was to
    be sent, and waits until its author has looked at whom it is for.
    """
    saved = recall("saved")
    forget_fact("saved")
    allow_saving()
    rules = desk().rules(signed_in())
    instead, usual_way = desk().newmail.instead_of_code(signed_in())
    return render_template(
        "compose.html",
        form=form,
        error=error,
        saved=saved,
        shared=shared,
        stopped=stopped,
        lives=[days for days in LIVES if days <= rules.life_most_days],
        later=LATER,
        usual=rules.life_days,
        instead=instead,
        way=form.writing.wishes.way or usual_way,
        may_plain=desk().newmail.may_plain(signed_in()),
        plain_from=desk().newmail.plain_from(signed_in()),
        may_pdf=desk().newmail.may_pdf(signed_in()),
        senders=desk().newmail.senders(signed_in()),
        known=desk().newmail.known(signed_in(), limit=SUGGESTED),
        limit=most_octets(),
        library=desk().library.listing(signed_in()),
        askable=askable(),
        beside=shared_octets(),
        pause=desk().config.portal.undo_seconds,
        now=desk().now(),
    )


def looked_at(form: Form) -> Form:
    """Return the form with what is known of its people, and the codes that new ones need."""
    if not any((*form.writing.to, *form.writing.cc, *form.writing.bcc)):
        return form
    checked = desk().newmail.check(signed_in(), form.writing)
    needed = [each.address for each in checked.people if each.is_new and each.needs_code]
    return replace(form, checked=checked, codes=codes_of(needed))


def keep_for_later() -> Any:
    """Keep a message whose form came after the session had ended, for the one whose session it was; then sign in."""
    writer = desk().accounts.away(cookie())
    remember("next", ["writing.drafts", {}])
    if writer is not None:
        remember("away", True)
        form, files = typed(), chosen()
        if form.writing.text.strip() or form.writing.subject or files:
            try:
                desk().drafts.save_for_later(
                    writer, form.writing, draft=form.draft, files=[] if _too_much(form, files) else files,
                    keep=kept_files() or (), nonce=nonce_of(form.nonce),
                )  # fmt: skip
                remember("kept", True)
            except (Denied, Refusal):
                remember("kept", False)  # sent meanwhile, or no room: the sign-in page promises nothing
    return forget_session(redirect(url_for("account.sign_in"), 303))


# ---- draft and files ------------------------------------------------------------------------------------------------


def _keep(form: Form, files: list[Upload]) -> int:
    return desk().drafts.save(
        signed_in(), form.writing, draft=form.draft, files=files, keep=kept_files(), nonce=nonce_of(form.nonce)
    )


def _kept(form: Form, files: list[Upload]) -> Form:
    """Return the form as a draft, so that nothing of what was typed or chosen is lost when its page comes again."""
    writing = form.writing
    if not (form.draft or files or writing.text.strip() or writing.subject or writing.to):
        return form
    try:
        draft = _keep(form, [] if _too_much(form, files) else files)
        return _with_files(replace(form, draft=draft), kept=True)
    except (Refusal, NoGrant, Ended, Temporary):
        return _with_files(form)


def _from_library() -> list[Upload]:
    """Return the file whose button was pressed; the message gets a copy of it."""
    ident = number(request.form.get("library", ""))
    try:
        return [desk().library.upload(signed_in(), ident)] if 0 < ident < 1 << 63 else []
    except NoGrant:
        return []  # deleted meanwhile, on another page: the list shows that


def _with_files(form: Form, *, kept: bool = False) -> Form:
    """Return the form with its draft's files: all of them if what the form says was just *kept*."""
    if not form.draft:
        return form
    try:
        found = desk().drafts.draft(signed_in(), form.draft)
    except NoGrant:
        return form
    stay = kept_files()
    files = [each for each in found.files if kept or stay is None or each.id in stay]
    return replace(form, files=files, changed=found.changed)


def _problem(form: Form, files: list[Upload]) -> str | None:
    if not any((*form.writing.to, *form.writing.cc, *form.writing.bcc)):
        return gettext("Type the address of who is to get it.")
    if not form.writing.text.strip() and not form.writing.html and not files and not kept_files():
        return gettext("There is nothing to send yet. Write a line, or attach a file.")
    if request.form.get("at", "").strip() and form.writing.wishes.at <= desk().now():
        return gettext("The time at which it is to leave is over, or is none. Choose another one, or none.")
    return too_long(form.writing.text) or _too_much(form, files)


def _before(form: Form) -> int:
    """Return how many octets of files that stay are in the draft already and go along in the message."""
    if not form.draft or visitor() is None:
        return 0
    stay = kept_files()
    try:
        known = desk().drafts.draft(signed_in(), form.draft).files
    except NoGrant:
        return 0
    return sum(each.size for each in known if not each.linked and (stay is None or each.id in stay))


def _arranged(form: Form, files: list[Upload]) -> list[Upload]:
    """Return the files with those that are too large for the message beside it."""
    return arranged(_before(form), files, form.nonce) if files else files


def _too_much(form: Form, files: list[Upload]) -> str | None:
    limit = most_octets()
    if _before(form) + sum(each.size for each in files if not each.linked) <= limit:
        return None
    return gettext("The files are too large together. Up to %(size)d MB go with one message.", size=limit // 1_000_000)


def _later(error: Temporary) -> str:
    said = say(error)
    if said and error.status == "4.7.1":  # a limit of the day, in words
        return said
    return gettext("This cannot be sent at this moment. It is kept; try again in a minute.")

"""How does a stranger write first? The page of a subscriber, a mailed code, a letter with files.

Nothing here tells whether an address has an account: the pages are the same, and so is the time. What is mailed tells
it, to whoever reads that mailbox.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, abort, make_response, redirect, render_template, request, url_for
from flask_babel import gettext

from cryptnsend.core import words
from cryptnsend.core.errors import (
    Denied,
    Ended,
    Enough,
    Infected,
    NoGrant,
    NotYet,
    Refusal,
    Spam,
    Temporary,
    Throttled,
    WrongSecret,
)
from cryptnsend.flow.views import Drafted, KeptFile, Upload, Writing
from cryptnsend.flow.visitors import GREETING, Letter, Own, Page, writing_of
from cryptnsend.portal import filling, work
from cryptnsend.portal.account import ADDRESS_LENGTH
from cryptnsend.portal.desk import desk
from cryptnsend.portal.filling import Filling
from cryptnsend.portal.language import say, say_infected, spoken
from cryptnsend.portal.recipient import not_the_code, too_weak
from cryptnsend.portal.security import WRONG, allow_saving, check_form
from cryptnsend.portal.visits import (
    agent,
    cookie,
    forget,
    forget_session,
    mailed_again,
    mails_again,
    needs_session,
    needs_subscriber,
    recall,
    remember,
    row_number,
    signed_in,
    source,
    start_session,
    visitor,
)
from cryptnsend.portal.writing import (
    FORM_EXTRA,
    arrived_files,
    chosen,
    kept_files,
    no_draft,
    nonce_of,
    number_of,
    told,
    too_long,
)

blueprint = Blueprint("visitors", __name__)

NAME_LENGTH = 80
SUBJECT_LENGTH, PHONE_LENGTH = 200, 40
LARGE = ("visitors.send", "visitors.save")


@blueprint.before_request
def _check() -> None:
    """Let a letter be large before its form is read, but only from whom we know."""
    if request.endpoint in LARGE:
        if visitor() is None and desk().accounts.away(cookie()) is None:
            return  # they are sent to the sign-in page, and no form is read
        request.max_content_length = desk().config.limits.reply_octets + FORM_EXTRA
        request.max_form_memory_size = FORM_EXTRA
    check_form()


# ---- finding a page -------------------------------------------------------------------------------------------------


@blueprint.route("/to", methods=["GET", "POST"])
def search() -> Any:
    """Lead to the page of who has exactly the address that somebody typed, if they want to be found."""
    page: dict[str, Any] = {"address": "", "error": None}
    if request.method != "POST":
        return render_template("visit-search.html", **page)
    page["address"] = address = request.form.get("address", "").strip()[:ADDRESS_LENGTH]
    found = desk().visitors.find(address, source())
    if found is not None:
        return redirect(url_for("visitors.begin", handle=found.handle), 303)
    page["error"] = gettext("Nobody with a page for visitors is found by this address. Look whether it is spelt right.")
    return render_template("visit-search.html", **page), WRONG


# ---- proving an address ---------------------------------------------------------------------------------------------


@blueprint.route("/to/<handle>", methods=["GET", "POST"])
def begin(handle: str) -> Any:
    """Show whom one writes to, and mail a code to the address that is typed."""
    page = _page(handle)
    form = number_of((request.form if request.method == "POST" else request.args).get("form", ""))
    offered = desk().visitforms.offered(handle)
    chosen_one = next((each for each in offered if each.id == form), None)
    shown: dict[str, Any] = {"page": page, "name": "", "address": "", "error": None, "name_error": None}
    shown |= {"offered": offered, "chosen": chosen_one}
    if request.method != "POST":
        return _first(shown)
    shown["name"] = name = " ".join(request.form.get("name", "").split())[:NAME_LENGTH]
    shown["address"] = address = request.form.get("address", "").strip()[:ADDRESS_LENGTH]
    if not name:
        shown["name_error"] = gettext("Type your name.")
    if "@" not in address:
        shown["error"] = gettext("An address has an @ in it. Type the one where the answer is to come.")
    if shown["error"] or shown["name_error"]:
        return _first(shown), WRONG
    try:
        started = desk().visitors.start(
            handle, address, source(), spoken(), worked=work.is_done(request.form.get("sum", ""))
        )
    except (Throttled, NoGrant):
        raise
    except Denied as denied:
        shown["error"] = say(denied)
        return _first(shown), WRONG
    mails_again("visit", address)
    begun = {"id": str(started.id), "address": address, "name": name, "handle": handle}
    remember("visit", begun | ({"form": str(form)} if chosen_one else {}))
    return redirect(url_for("visitors.prove", handle=handle), 303)


def _first(shown: dict[str, Any]) -> str:
    return render_template("visit.html", greeting=shown["page"].greeting(spoken()), challenge=work.challenge(), **shown)


@blueprint.route("/to/<handle>/code", methods=["GET", "POST"])
def prove(handle: str) -> Any:
    """Take the mailed code and a password; then the letter can be written."""
    page, begun = _page(handle), recall("visit")
    if not isinstance(begun, dict) or begun.get("handle") != handle:
        return redirect(url_for("visitors.begin", handle=handle), 303)
    shown: dict[str, Any] = {"page": page, "begun": begun, "code": "", "error": None, "code_error": None}
    shown["suggestion"] = None
    shown["again"] = request.method != "POST" and mailed_again("visit")
    if request.method != "POST":
        return _second(shown)
    shown["code"] = typed = "".join(request.form.get("code", "").split())[:20]
    if "suggest" in request.form:
        shown["suggestion"] = words.suggestion(desk().pieces.random, spoken())
        return _second(shown)
    password = request.form.get("password", "")
    shown["error"] = too_weak(password, [begun["address"], begun["name"]])
    if shown["error"]:
        return _second(shown), WRONG
    try:
        fresh = desk().visitors.finish(int(begun["id"]), typed, password, begun["name"], source(), agent(), spoken())
    except WrongSecret as wrong:
        shown["code_error"] = not_the_code(wrong)
    except Throttled:
        raise
    except Ended:
        shown["code_error"] = gettext("This code no longer works. Have another one mailed.")
    except Denied as denied:
        shown["code_error"] = say(denied)
    else:
        return start_session(redirect(url_for("visitors.write", handle=handle, form=begun.get("form")), 303), fresh)
    return _second(shown), WRONG


def _second(shown: dict[str, Any]) -> str:
    return render_template("visit-code.html", challenge=work.challenge(), **shown)


# ---- the letter -----------------------------------------------------------------------------------------------------


@blueprint.get("/to/<handle>/write")
@needs_session
def write(handle: str) -> Any:
    """Show an empty letter or form, or the draft that is asked for."""
    page, ident = _welcome(handle), request.args.get("draft", 0, type=row_number)
    try:
        draft = desk().drafts.draft(signed_in(), ident) if 0 < ident < 1 << 63 else None
    except NoGrant:
        return no_draft()
    if draft is None:
        return _letter(page, filling.chosen_form(handle, request.args.get("form", 0, type=row_number)))
    filled = filling.of_draft(handle, draft)
    return _letter(page, filled, draft=draft, error=filling.gone(filled) if filled.lost else None)


@blueprint.post("/to/<handle>/write")
def send(handle: str) -> Any:
    """Send the letter."""
    if visitor() is None:
        return _keep_for_later(handle)
    page, typed, filled = _welcome(handle), _typed(), filling.sent_along(handle)
    files, kept = chosen(), kept_files()
    status, problem = WRONG, filling.gone(filled) if filled.lost else _problem(typed, files, kept, filled)
    text = typed["text"]
    if typed["phone"]:
        text = f"{text.rstrip()}\n\n{gettext('Phone: %(number)s', number=typed['phone'])}\n"
    letter = Letter(typed["subject"], text)
    if filled.asked is not None:
        letter, wrong = desk().visitforms.letter(signed_in(), page, filled.asked, filled.typed, text, spoken())
        filled = replace(filled, wrong=filling.marked(wrong))
        if wrong and not problem:
            problem = gettext("Something is missing, or cannot be taken. It is marked below; nothing else is lost.")
    tried = not problem
    if not problem:
        try:
            message = desk().visitors.send(
                signed_in(), handle, letter, files=files, draft=typed["draft"], keep=kept,
                nonce=nonce_of(typed["nonce"]), source=source(),
            )  # fmt: skip
        except Infected as found:
            problem = say_infected(found)
        except Spam:
            problem = gettext(
                "The spam filter takes this letter for spam, so it was not sent. What you wrote is kept: say it in "
                "other words, without links or files that are not needed, and send it again. If that does not help, "
                "call %(name)s.",
                name=page.name,
            )
        except (Refusal, NoGrant, Ended) as refused:
            problem = say(refused)
        except Enough as enough:
            problem, status = say(enough), 429
        except NotYet:
            problem = gettext(
                "The spam filter wants to see this letter again later. It is kept; send it again in some minutes."
            )
            status = 503
        except Temporary:
            problem, status = gettext("This cannot be sent at this moment. It is kept; try again in a minute."), 503
        else:
            remember("visited", {"message": str(message), "phone": typed["phone"]})
            return redirect(url_for("visitors.sent", handle=handle), 303)
    return _letter(page, filled, error=problem, draft=_kept(handle, typed, files, filled, tried), typed=typed), status


@blueprint.get("/to/<handle>/sent")
@needs_session
def sent(handle: str) -> Any:
    """Say that the letter is with the subscriber, and how the answer comes."""
    facts = recall("visited")
    if not isinstance(facts, dict):
        return redirect(url_for("visitors.begin", handle=handle), 303)
    letter = desk().pickup.show(signed_in(), int(facts["message"]))
    return render_template("visit-sent.html", page=_page(handle), letter=letter, facts=facts)


@blueprint.post("/to/<handle>/draft")
def save(handle: str) -> Any:
    """Keep what is written so far; scripts hear the draft's id, or what its files are now."""
    if visitor() is None:
        return _keep_for_later(handle)
    asks, typed = request.headers.get("Accept"), _typed()
    files = [*chosen(), *arrived_files()]
    problem, status, draft = _too_much(typed, files), WRONG, 0
    if not problem:
        try:
            draft = _keep(handle, typed, files, filling.sent_along(handle))
        except Ended:
            problem, status = gettext("This message was sent already."), 409
        except (Refusal, NoGrant) as refused:
            problem = say(refused)
    if asks == "text/plain":
        return Response(str(draft), mimetype="text/plain") if draft else ("", status)
    if asks == "application/json":
        if problem:
            return {"error": problem}, status
        said = told(desk().drafts.draft(signed_in(), draft).files)
        return {"draft": str(draft), **said} if isinstance(said, dict) else said
    if problem:
        return _letter(_page(handle), filling.sent_along(handle), error=problem, typed=typed), status
    remember("saved", "draft")
    return redirect(url_for("visitors.write", handle=handle, draft=draft), 303)


def _letter(
    page: Page,
    filled: Filling,
    *,
    error: str | None = None,
    draft: Drafted | None = None,
    typed: dict[str, Any] | None = None,
) -> str:
    saved = recall("saved") == "draft"
    forget("saved")
    allow_saving()
    if draft is not None and draft.parent:
        abort(404)
    text = typed["text"] if typed else draft.writing.text if draft else ""
    if filled.lost and filled.lost not in text:
        text = f"{filled.lost}\n\n{text}".strip()
    return render_template(
        "visit-write.html",
        page=page,
        error=error,
        saved=saved,
        draft=draft.id if draft else 0,
        files=draft.files if draft else (),
        subject=typed["subject"] if typed else draft.writing.subject if draft else "",
        text=text,
        phone=typed["phone"] if typed else "",
        nonce=typed["nonce"] if typed else draft.nonce.hex() if draft and draft.nonce else secrets.token_hex(16),
        limit=desk().config.limits.reply_octets,
        offered=() if filled.asked else desk().visitforms.offered(page.handle),
        **filling.shown(filled),
    )


def _typed() -> dict[str, Any]:
    form = request.form
    return {
        "subject": " ".join(form.get("subject", "").split())[:SUBJECT_LENGTH],
        "text": form.get("text", ""),
        "phone": "".join(c for c in form.get("phone", "")[:PHONE_LENGTH] if c.isprintable()).strip(),
        "draft": number_of(form.get("draft", "")),
        "nonce": form.get("nonce", "")[:32],
    }


def _problem(typed: dict[str, Any], files: list[Upload], kept: Sequence[int] | None, filled: Filling) -> str | None:
    if filled.asked is not None:
        return too_long(typed["text"]) or _too_much(typed, files)
    if not typed["subject"]:
        return gettext("Say in a few words what it is about.")
    if not typed["text"].strip() and not files and not kept:
        return gettext("There is nothing to send yet. Write a line, or attach a file.")
    return too_long(typed["text"]) or _too_much(typed, files)


def _too_much(typed: dict[str, Any], files: Sequence[Upload]) -> str | None:
    limit, stay = desk().config.limits.reply_octets, kept_files()
    before: Sequence[KeptFile] = ()
    if typed["draft"] and visitor() is not None:
        try:
            before = desk().drafts.draft(signed_in(), typed["draft"]).files
        except NoGrant:
            before = ()
    kept = sum(each.size for each in before if stay is None or each.id in stay)
    if kept + sum(each.size for each in files) <= limit:
        return None
    return gettext("The files are too large together. Up to %(size)d MB go with one message.", size=limit // 1_048_576)


def _writing(handle: str, typed: dict[str, Any], filled: Filling) -> Writing:
    text = f"{filled.lost}\n\n{typed['text']}".strip() if filled.lost else typed["text"]
    return writing_of(handle, typed["subject"], text, filled.as_kept())


def _keep(handle: str, typed: dict[str, Any], files: Sequence[Upload], filled: Filling) -> int:
    return desk().drafts.save(
        signed_in(), _writing(handle, typed, filled), draft=typed["draft"], files=files, keep=kept_files(),
        nonce=nonce_of(typed["nonce"]),
    )  # fmt: skip


def _kept(handle: str, typed: dict[str, Any], files: list[Upload], filled: Filling, tried: bool) -> Drafted | None:
    """Keep a letter that cannot be sent as it is: its files need not be chosen again, and what was *tried* waits."""
    if not (tried or files or typed["draft"]):
        return None
    try:
        ident = _keep(handle, typed, [] if _too_much(typed, files) else files, filled)
        return desk().drafts.draft(signed_in(), ident)
    except (Refusal, NoGrant, Ended, Temporary):
        return None


def _keep_for_later(handle: str) -> Any:
    """Keep a letter whose form came after the session had ended, for the one whose session it was; then sign in."""
    writer = desk().accounts.away(cookie())
    remember("next", ["writing.drafts", {}])
    if writer is not None:
        remember("away", True)
        typed, files = _typed(), chosen()
        size = sum(each.size for each in files)
        if typed["text"].strip() or typed["subject"] or files:
            try:
                desk().drafts.save_for_later(
                    writer, _writing(handle, typed, filling.sent_along(handle)), draft=typed["draft"],
                    files=[] if size > desk().config.limits.reply_octets else files, keep=kept_files() or (),
                    nonce=nonce_of(typed["nonce"]),
                )  # fmt: skip
                remember("kept", True)
            except (Denied, Refusal):
                remember("kept", False)
    return forget_session(redirect(url_for("account.sign_in"), 303))


def _page(handle: str) -> Page:
    try:
        return desk().visitors.page(handle)
    except NoGrant:
        abort(404)


def _welcome(handle: str) -> Page:
    """Return the page for who is about to write."""
    try:
        return desk().visitors.check(signed_in(), handle)
    except NoGrant:
        abort(404)
    except Refusal as refused:  # blocked, or their own page: said before they write a word
        abort(make_response(render_template("visit-closed.html", page=_page(handle), why=say(refused)), 403))


# ---- the subscriber's side ------------------------------------------------------------------------------------------


@blueprint.route("/account/visitors", methods=["GET", "POST"])
@needs_subscriber
def settings() -> Any:
    """Show and change one's page for visitors."""
    own, error, status = desk().visitors.own(signed_in()), None, 200
    if request.method == "POST":
        form = request.form
        wanted = Own(
            form.get("handle", "").strip()[:64],
            "open" in form,
            "findable" in form,
            form.get("greeting_en", "")[: 2 * GREETING],
            form.get("greeting_es", "")[: 2 * GREETING],
            own.allowed,
        )
        try:
            desk().visitors.save(signed_in(), wanted)
        except Refusal as refused:
            own, error, status = wanted, say(refused), WRONG
        else:
            remember("saved", "visitors")
            return redirect(url_for("visitors.settings"), 303)
    saved = recall("saved") == "visitors"
    forget("saved")
    blocked = desk().visitors.blocked(signed_in())
    page = {"own": own, "error": error, "saved": saved, "blocked": blocked, "most": GREETING}
    page["forms"] = desk().visitforms.listing(signed_in())
    return render_template("visitors.html", **page), status


@blueprint.route("/messages/<int:message>/block-visitor", methods=["GET", "POST"])
@needs_subscriber
def block(message: int) -> Any:
    """Ask whether nothing is to be taken from a visitor any more, and see to it."""
    wrote = desk().visitors.wrote(signed_in(), message)
    if wrote is None:
        abort(404)
    if request.method != "POST":
        return render_template("visitor-block.html", wrote=wrote, message=message)
    desk().visitors.block(signed_in(), wrote.id)
    return redirect(url_for("visitors.settings"), 303)


@blueprint.post("/account/visitors/<int:ident>/unblock")
@needs_subscriber
def unblock(ident: int) -> Any:
    """Take letters of a visitor again."""
    desk().visitors.unblock(signed_in(), ident)
    return redirect(url_for("visitors.settings"), 303)

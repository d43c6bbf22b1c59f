"""How does somebody answer, and what becomes of words that are not sent yet?

A reply is kept as a draft by a button, by the script while somebody types, when it cannot be sent as it is, and when
its form arrives after the session has ended. Whatever the way, it is found again on the page of the message and in the
list of drafts.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask_babel import gettext

from cryptnsend.core.errors import Denied, Ended, Enough, Infected, NoGrant, Refusal, Temporary
from cryptnsend.flow.views import KeptFile, Upload, Writing
from cryptnsend.portal.desk import desk
from cryptnsend.portal.language import say
from cryptnsend.portal.letters import letter_page, own_entry
from cryptnsend.portal.security import WRONG, check_form
from cryptnsend.portal.uploads import uploads
from cryptnsend.portal.visits import (
    cookie,
    forget_session,
    needs_session,
    needs_subscriber,
    recall,
    remember,
    signed_in,
    visitor,
)
from cryptnsend.portal.words import kind, size

blueprint = Blueprint("writing", __name__)

FORM_EXTRA = 1024 * 1024  # octets of a reply form besides its files
FORMS = ("writing.reply", "writing.save")
MOST_TEXT = 500_000  # characters


def no_draft() -> tuple[str, int]:
    """Return the answer to who comes back to a draft that was sent, or thrown away."""
    title = gettext("This draft is not here")
    meaning = gettext("It was sent, and stands under “Sent”, or it was thrown away.")
    return render_template("error.html", title=title, meaning=meaning, number="", waiting=""), 404


@blueprint.before_request
def _check() -> Response | None:
    """Answer HEAD with nothing; let a reply be large before its form is read, but only from whom we know."""
    if request.method == "HEAD" and visitor() is not None:
        return Response()  # what is shown here nobody has seen then
    if request.endpoint in FORMS:
        if visitor() is None and desk().accounts.away(cookie()) is None:
            return None  # they are sent to the sign-in page, and no form is read
        request.max_content_length = desk().config.limits.reply_octets + FORM_EXTRA
        request.max_form_memory_size = FORM_EXTRA
    check_form()
    return None


@blueprint.post("/messages/<int:message>/reply")
def reply(message: int) -> Any:
    """Send a reply, to the author or to everybody, with files."""
    if visitor() is None:
        return keep_for_later(message)
    letter = desk().pickup.show(signed_in(), message)
    text, fresh, kept, nonce = _typed(), chosen(), kept_files(), nonce_of(request.form.get("nonce", ""))
    files = [*desk().drafts.uploads(signed_in(), parent=message, keep=kept), *fresh]
    problem, status = _problem(text, bool(kept), files), WRONG
    if not problem:
        everybody = request.form.get("to") == "all" and bool(letter.others)
        try:
            desk().replies.send(
                signed_in(), message, everybody=everybody, text=text, files=fresh, nonce=nonce, kept=kept
            )
        except Infected as found:
            problem = gettext(
                "The virus scanner found %(finding)s in this reply, so it was not sent. What you wrote is kept: take "
                "the file out, and send it again.",
                finding=found.finding,
            )
        except Refusal as refused:
            problem = say(refused)
        except Enough as enough:
            problem, status = say(enough), 429
        except Temporary:
            problem, status = gettext("This cannot be sent at this moment. It is kept; try again in a minute."), 503
    if problem:
        return _refused(message, problem, fresh, status)
    remember("sent", {"message": str(message), "files": len(files), "all": everybody})
    return redirect(url_for("writing.reply_sent", message=message), 303)


@blueprint.get("/messages/<int:message>/sent")
@needs_session
def reply_sent(message: int) -> Any:
    """Say that the reply is on its way."""
    facts = recall("sent")
    if not isinstance(facts, dict) or facts.get("message") != str(message):
        return redirect(url_for("letters.read", message=message), 303)
    letter = desk().pickup.show(signed_in(), message)
    return render_template("reply-sent.html", letter=letter, facts=facts, now=desk().now())


@blueprint.post("/messages/<int:message>/draft")
def save(message: int) -> Any:
    """
    Keep what is written so far, and the files that came along.

    Scripts ask for no page: the one that saves while somebody types gets 204, or 409 when the reply was sent; the one
    that brings a file gets what the draft holds now, or what was wrong.
    """
    script = request.headers.get("Accept") == "text/plain"
    if visitor() is None:
        return keep_for_later(message)
    if request.headers.get("Accept") == "application/json":
        return _attached(message)
    problem = _too_much(chosen())
    if problem:
        return letter_page(desk().pickup.show(signed_in(), message), problem), 422
    try:
        _keep(message, chosen())
    except Ended:
        return ("", 409) if script else redirect(url_for("letters.read", message=message), 303)
    except Refusal as refused:
        if script:
            return "", 422
        return letter_page(desk().pickup.show(signed_in(), message), say(refused)), 422
    if script:
        return "", 204
    remember("saved", "draft")
    return redirect(url_for("letters.read", message=message, _anchor="reply"), 303)


def _attached(message: int) -> Any:
    """Keep a file that a script brings, and say what goes along now."""
    before, keep = desk().drafts.reply_to(signed_in(), message), kept_files()
    stays = [each for each in (before.files if before else ()) if keep is None or each.id in keep]
    fresh = [*chosen(), *arrived_files()]
    problem = _too_much([*stays, *fresh])
    if problem:
        return {"error": problem}, WRONG
    try:
        _keep(message, fresh)
    except Ended:
        return {"error": gettext("This reply was sent already.")}, 409
    except Refusal as refused:
        return {"error": say(refused)}, WRONG
    now = desk().drafts.reply_to(signed_in(), message)
    return told(now.files if now else ())


def told(files: Sequence[KeptFile]) -> Any:
    """Return the files of a draft as the script shows them, or that one which the form named is not among them."""
    if not {*named_files()} <= {each.id for each in files}:
        return {"error": gettext("This file is not here any more. Choose it once more.")}, WRONG
    return {
        "files": [
            {
                "id": str(each.id),
                "name": each.name,
                "said": f"{kind(each.media_type, each.name)} · {size(each.size)}"
                + (" · " + gettext("waits on the page of the message") if each.linked else ""),
            }
            for each in files
        ]
    }


@blueprint.get("/drafts")
@needs_session
def drafts() -> Any:
    """List what is written and not sent."""
    found = []
    for each in desk().drafts.listing(signed_in()):
        entry = own_entry(each.parent) if each.parent else None
        found.append((each, entry))
    begun = desk().begun.listing(signed_in())
    return render_template(
        "drafts.html", drafts=found, begun=begun, days=desk().config.life.draft_days, now=desk().now()
    )


@blueprint.post("/drafts/begun/<int:draft>")
@needs_subscriber
def take_up(draft: int) -> Any:
    """Go on with what was begun in a mail program."""
    return redirect(url_for("compose.edit", draft=desk().begun.take_up(signed_in(), draft)), 303)


@blueprint.post("/drafts/<int:draft>/drop")
@needs_session
def drop(draft: int) -> Any:
    """Throw a draft away."""
    desk().drafts.drop(signed_in(), draft)
    return redirect(url_for("writing.drafts"), 303)


def keep_for_later(message: int) -> Any:
    """Keep a reply whose form came after the session had ended, for the one whose session it was; then sign in."""
    writer = desk().accounts.away(cookie())
    remember("next", ["letters.read", {"message": message}])
    if writer is not None:
        remember("away", True)
        text, files = _typed(), chosen()
        if text.strip() or files:
            kept = kept_files() or ()
            try:
                desk().drafts.save_for_later(
                    writer, _writing(text), parent=message, files=[] if _too_much(files) else files, keep=kept,
                    nonce=nonce_of(request.form.get("nonce", "")),
                )  # fmt: skip
                remember("kept", True)
            except (Denied, Refusal):
                remember("kept", False)  # not theirs, sent meanwhile, or no room: the sign-in page promises nothing
    return forget_session(redirect(url_for("account.sign_in"), 303))


def _keep(message: int, files: list[Upload]) -> None:
    desk().drafts.save(
        signed_in(), _writing(_typed()), parent=message, files=files, keep=kept_files(),
        nonce=nonce_of(request.form.get("nonce", "")),
    )  # fmt: skip


def _refused(message: int, problem: str, files: list[Upload], status: int) -> Any:
    """Show the page again with what is wrong; nothing of what was typed or chosen is lost."""
    if _typed().strip() or files:
        try:
            desk().drafts.save(
                signed_in(), _writing(_typed()), parent=message, files=[] if _too_much(files) else files,
                keep=kept_files(), nonce=nonce_of(request.form.get("nonce", "")),
            )  # fmt: skip
        except (Refusal, NoGrant, Ended):
            return letter_page(desk().pickup.show(signed_in(), message), problem, text=_typed()), status
    return letter_page(desk().pickup.show(signed_in(), message), problem), status


def _writing(text: str) -> Writing:
    return Writing(text, everybody=request.form.get("to") == "all")


def _typed() -> str:
    return request.form.get("text", "")


def chosen() -> list[Upload]:
    """Return the files that came with the form, sealed while they wait."""
    return uploads(request.files.getlist("files"))


def named_files() -> list[int]:
    """Return which files that came in pieces the form wants in its draft."""
    return [ident for each in request.form.getlist("arrived") if (ident := number_of(each))]


def arrived_files() -> list[Upload]:
    """Return those of them that are not in a draft yet."""
    found = []
    for each in named_files():
        try:
            found.append(desk().uploads.upload(signed_in(), each))
        except NoGrant:
            continue  # this request came before, and the draft has it; or it is gone, and the draft's page shows that
    return found


def number_of(typed: str) -> int:
    """Return the id that was typed, 0 for none."""
    return int(typed) if typed.isascii() and typed.isdecimal() and len(typed) < 20 and int(typed) < 1 << 63 else 0


def kept_files() -> list[int] | None:
    """
    Return which kept files the form wants to stay; None if it shows none, and so says nothing about them.

    A file that came in pieces has the same id in the draft: a form that brings it a second time wants it to stay.
    """
    if "keeps" not in request.form:
        return None
    return [ident for each in request.form.getlist("kept") if (ident := number_of(each))] + named_files()


def _problem(text: str, names_files: bool, files: list[Upload]) -> str | None:
    # Files that the form names and that are gone were sent with it before, or the flow says that they are missing.
    if not text.strip() and not files and not names_files:
        return gettext("There is nothing to send yet. Write a line, or attach a file.")
    return too_long(text) or _too_much(files)


def too_long(text: str) -> str | None:
    """Return what is wrong with a text that is too long: cutting it would lose words that nobody misses."""
    if len(text) <= MOST_TEXT:
        return None
    return gettext("The text is too long. Shorten it, or attach it as a file.")


def _too_much(files: Sequence[Upload | KeptFile]) -> str | None:
    limit = desk().config.limits.reply_octets
    if sum(each.size for each in files) <= limit:
        return None
    return gettext("The files are too large together. Up to %(size)d MB go with one reply.", size=limit // 1_048_576)


def nonce_of(typed: str) -> bytes:
    """Return the form's nonce; a form without one is sent each time it comes."""
    try:
        octets = bytes.fromhex(typed)
    except ValueError:
        octets = b""
    return octets if len(octets) == 16 else secrets.token_bytes(16)

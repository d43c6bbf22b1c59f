"""How does somebody who is signed in list, read and save what was sent to them?

The same pages for recipients and for subscribers who got a reply. Showing a message of one's own after signing in is
what counts as opened; HEAD and speculative requests show nothing and count for nothing.
"""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import quote

from flask import (
    Blueprint,
    Response,
    current_app,
    redirect,
    render_template,
    request,
    stream_with_context,
    url_for,
)
from flask_babel import gettext
from itsdangerous import BadSignature, URLSafeTimedSerializer

from cryptnsend.core import words
from cryptnsend.core.errors import Ended, NoGrant, WrongSecret
from cryptnsend.flow.searching import LONGEST
from cryptnsend.flow.views import Entry, Letter, Part, Waiting
from cryptnsend.portal import framing
from cryptnsend.portal.desk import desk
from cryptnsend.portal.language import spoken
from cryptnsend.portal.looking import shown_as
from cryptnsend.portal.recipient import OVER, digits, not_the_code
from cryptnsend.portal.security import FILE_POLICY, WRONG, allow_saving, check_form
from cryptnsend.portal.uploads import safe_name
from cryptnsend.portal.visits import (
    cookie,
    forget,
    needs_session,
    recall,
    row_number,
    signed_in,
    source,
    thrown,
    visitor,
)

blueprint = Blueprint("letters", __name__)

PAGE = 50  # messages in one page of the list
ZIP_SECONDS = 3600  # how long the password on a ZIP page is good for


@blueprint.before_request
def _check() -> Response | None:
    """Answer HEAD with nothing, and check forms."""
    if visitor() is None:
        return None  # every view here sends them to the sign-in page, and reads no form
    if request.method == "HEAD":
        return Response()  # every view here opens a message, and nobody has seen it then
    check_form()
    return None


@blueprint.get("/messages")
@needs_session
def listing() -> Any:
    """List all own messages, or those that are unread, newest first, a page at a time."""
    before, unread = request.args.get("before", type=row_number), "unread" in request.args
    entries = desk().pickup.list(signed_in(), before=before, limit=PAGE + 1, unread=unread)
    return render_template(
        "messages.html",
        entries=entries[:PAGE],
        more=len(entries) > PAGE,
        before=before,
        only_unread=unread,
        now=desk().now(),
        drafts=desk().drafts.count(signed_in()),
        kept=desk().pickup.kept.any(signed_in()),
        letters=desk().visitors.letters(signed_in()) if before is None and not unread else (),
        found=None,
        typed="",
        thrown=thrown(),
    )


@blueprint.post("/messages/search")
@needs_session
def search() -> Any:
    """Find own messages by words. They come by POST, so that they stand in no address, history or log."""
    typed = " ".join(request.form.get("words", "").split())[:LONGEST]
    if not typed:
        return redirect(url_for("letters.listing"), 303)
    found = desk().pickup.search(signed_in(), typed)
    return render_template(
        "messages.html", entries=found.entries, more=False, before=None, only_unread=False, now=desk().now(),
        drafts=0, kept=False, letters=(), found=found, typed=typed, thrown=None,
    )  # fmt: skip


@blueprint.get("/messages/search")
@needs_session
def searched() -> Any:
    """Lead back to the list whoever comes without words, for example by signing in again."""
    return redirect(url_for("letters.listing"), 303)


@blueprint.get("/messages/<int:message>")
@needs_session
def read(message: int) -> Any:
    """Show one message."""
    try:
        letter = desk().pickup.show(signed_in(), message)
    except (NoGrant, Ended):
        return closed_page(message)
    return letter_page(letter)


@blueprint.route("/messages/<int:message>/code", methods=["GET", "POST"])
@needs_session
def needs_code(message: int) -> Any:
    """Ask for the code of a sender whose message waits in the list."""
    entry = own_entry(message)
    if entry is None or entry.state != "code":
        return redirect(url_for("letters.read", message=message), 303)
    page: dict[str, Any] = {"waiting": desk().pickup.awaited(signed_in(), message), "error": None, "token": None}
    if page["waiting"].state in OVER:
        return render_template("dead-end.html", waiting=page["waiting"]), 410
    if request.method != "POST":
        return render_template("code-new-sender.html", **page)
    typed = digits(request.form.get("code", ""))
    if not typed:
        # A machine that presses buttons must not use up the tries of a person.
        page["error"] = gettext("Type the digits of the code.")
        return render_template("code-new-sender.html", **page), WRONG
    try:
        desk().pickup.prove_message(signed_in(), message, typed, source())
    except WrongSecret as wrong:
        page["error"] = not_the_code(wrong)
        return render_template("code-new-sender.html", **page), WRONG
    except Ended:
        return render_template("code-used-up.html", waiting=page["waiting"], token=None), 410
    return redirect(url_for("letters.read", message=message), 303)


@blueprint.route("/messages/<int:message>/ask", methods=["GET", "POST"])
@needs_session
def ask(message: int) -> Any:
    """Ask the sender of a message in the list for its code, or to get it again."""
    entry = own_entry(message)
    if entry is None or entry.state not in ("code", "expired", "suspended"):
        return redirect(url_for("letters.read", message=message), 303)
    state = "new" if entry.state == "code" else entry.state
    waiting = Waiting(
        message, entry.sender_name, entry.sender_address, "", "", entry.at, signed_in().address, "", state,
        has_account=True,
    )  # fmt: skip
    if request.method == "POST":
        desk().pickup.ask_message(signed_in(), message, source())
    back = url_for("letters.listing") if entry.state != "code" else url_for("letters.needs_code", message=message)
    return render_template("ask.html", waiting=waiting, back=back, asked=request.method == "POST")


@blueprint.get("/messages/<int:message>/letter")
@needs_session
def frame(message: int) -> Any:
    """Serve the sanitised HTML of a message for its frame, under a policy that allows nothing."""
    return framing.framed(framing.document(desk().pickup.show(signed_in(), message)))


@blueprint.get("/messages/<int:message>/print")
@needs_session
def printed(message: int) -> Any:
    """Show a message alone on a page, whole, for a printer."""
    return framing.printed(desk().pickup.show(signed_in(), message))


@blueprint.get("/messages/<int:message>/files/<part>")
@needs_session
def file(message: int, part: str) -> Any:
    """Hand over one attachment."""
    return download(desk().pickup.part(signed_in(), message, part))


@blueprint.get("/messages/<int:message>/eml")
@needs_session
def eml(message: int) -> Any:
    """Hand over the message as a mail file, as this reader may see it."""
    return download(desk().pickup.eml(signed_in(), message))


@blueprint.route("/messages/<int:message>/zip", methods=["GET", "POST"])
@needs_session
def locked_zip(message: int) -> Any:
    """Show the password of a ZIP that is about to be made; the button then brings the file."""
    letter = desk().pickup.show(signed_in(), message)
    if request.method != "POST":
        password = words.passphrase(desk().pieces.random, language=spoken())
        return render_template("zip.html", letter=letter, password=password, proof=signer().dumps(password))
    try:
        password = signer().loads(request.form.get("proof", ""), max_age=ZIP_SECONDS)
    except BadSignature:
        return redirect(url_for("letters.locked_zip", message=message), 303)
    chunks = desk().pickup.zip(signed_in(), message, password)
    return download(Part("message.zip", "application/zip", None, chunks))


def own_entry(message: int) -> Entry | None:
    """Return the line that a message has in the list of who is signed in, or None if it has none."""
    return desk().pickup.entry(signed_in(), message)


def closed_page(message: int) -> Any:
    """Say why a message of one's own does not open; what is not one's own looks as if it were not there."""
    entry = own_entry(message)
    if entry is None or entry.state == "open":
        raise NoGrant("There is nothing here.")
    if entry.state == "code":
        return redirect(url_for("letters.needs_code", message=message), 303)
    if entry.state == "locked":
        return redirect(url_for("account.unlock"), 303)
    gone = Waiting(
        message, entry.sender_name, entry.sender_address, "", "", entry.at, "", "", entry.state, has_account=True
    )
    return render_template("dead-end.html", waiting=gone, token=None), 410


def letter_page(letter: Letter, error: str | None = None, text: str | None = None) -> str:
    """Render the reading page with the draft of an answer, if there is one, or with the *text* just typed."""
    offer, saved = recall("offer") == "recovery", recall("saved") == "draft"
    forget("offer", "saved")
    draft = desk().drafts.reply_to(signed_in(), letter.message) if letter.can_reply else None
    if letter.can_reply:
        allow_saving()
    plain = letter.html is None or request.args.get("view") == "text"
    wide, narrow = framing.heights_of(letter)
    return render_template(
        "read.html",
        letter=letter,
        visitor=None if letter.mine else desk().visitors.wrote(signed_in(), letter.message),
        in_trash=desk().folders.is_thrown_away(signed_in(), letter.message),
        plain=plain,
        turns=desk().pickup.thread(signed_in(), letter.message),
        words=framing.plain_words(letter) if plain else "",
        shown_as=shown_as,
        wide=wide,
        narrow=narrow,
        nonce=draft.nonce.hex() if draft and draft.nonce else secrets.token_hex(16),
        text=text if text is not None else draft.writing.text if draft else "",
        draft=draft,
        saved=saved,
        error=error,
        offer=offer,
        limit=desk().config.limits.reply_octets,
    )


def download(part: Part) -> Response:
    """Return a file as an attachment that no browser opens by itself."""
    response = Response(stream_with_context(part.chunks), mimetype=harmless(part.media_type))
    if part.size is not None:
        response.content_length = part.size
    return name_file(response, part.name)


def name_file(response: Response, name: str) -> Response:
    """Make an answer an attachment of this name, which nothing of ours takes for a page."""
    name = safe_name(name)
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name)
    response.headers["Content-Disposition"] = (
        f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    )
    response.headers["Content-Security-Policy"] = FILE_POLICY
    return response


def harmless(media_type: str) -> str:
    """Return the type for a download: types that a browser would run or show as a page become plain octets."""
    lower = media_type.lower()
    risky = ("html", "xml", "svg", "script")
    return "application/octet-stream" if any(word in lower for word in risky) else lower


def signer() -> URLSafeTimedSerializer:
    """Return what signs the password of a ZIP page for this browser, so that nobody makes us use a weak one."""
    return URLSafeTimedSerializer(str(current_app.secret_key), salt="zip:" + cookie())

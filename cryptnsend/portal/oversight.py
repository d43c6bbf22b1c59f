"""Which pages do officers have? The audit trail, recall over the organisation, the archive, and glass breaks.

To everybody who is no officer none of these exists. What opens the archive, or ends a glass break, is a form that asks
for the password; a page that shows a message was noted in the audit trail before it was made.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ParamSpec, cast

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from flask_babel import gettext
from itsdangerous import BadSignature

from cryptnsend.core import words
from cryptnsend.core.errors import Denied, NoGrant, Throttled, WrongSecret
from cryptnsend.core.model import account_holder
from cryptnsend.flow.archiving import EVER, Wanted
from cryptnsend.flow.recalling import Leak
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.views import Part
from cryptnsend.portal.desk import desk
from cryptnsend.portal.fetching import handed_over
from cryptnsend.portal.governing import Officers
from cryptnsend.portal.language import say, spoken
from cryptnsend.portal.letters import ZIP_SECONDS, download, signer
from cryptnsend.portal.organisation import is_staff
from cryptnsend.portal.passkeys import typed_number
from cryptnsend.portal.security import WRONG, check_form
from cryptnsend.portal.visits import forget as drop
from cryptnsend.portal.visits import needs_session, remember, row_number, signed_in, source, visitor
from cryptnsend.portal.visits import recall as recalled

blueprint = Blueprint("oversight", __name__, url_prefix="/organisation")

PAGE = 50
LONGEST = 300  # characters of what is typed
MINUTES = (15, 30, 60, 240)  # for which a glass break may be asked on the page

SOUGHT = ("message", "author", "number", "since", "reason")  # fields of the page of recalls

P = ParamSpec("P")


@blueprint.before_request
def _check() -> Response | None:
    """Answer HEAD with nothing, and check forms."""
    if visitor() is None:
        return None
    if request.method == "HEAD":
        return Response()  # some of these pages open a message, and nobody has seen it then
    check_form()
    return None


def needs_officer(view: Callable[P, Any]) -> Callable[P, Any]:
    """Let only officers in, with a second step. To others such a page does not exist."""

    @needs_session
    @functools.wraps(view)
    def guarded(*args: P.args, **values: P.kwargs) -> Any:
        if "officer" not in signed_in().roles or not signed_in().organisation:
            abort(404)
        # As for the other pages of an organisation; somebody alone looks after nobody else's mail.
        if is_staff(signed_in()) and not desk().organisations.is_ready(signed_in()):
            return render_template("organisation-second.html"), 403
        return view(*args, **values)

    return guarded


def officer() -> Session:
    """Return the session of an officer, whose seeds open what was shared with them."""
    return cast("Session", signed_in())


def officers() -> Officers:
    """Return the flows of officers; without them, as in tests of other pages, there are no such pages."""
    found = desk().pieces.officers
    if found is None:
        abort(404)
    return found


# ---- the audit trail ------------------------------------------------------------------------------------------------


@blueprint.route("/audit", methods=["GET", "POST"])
@needs_officer
def audit() -> Any:
    """Show the organisation's audit trail, all of it or what concerns one person or message, the latest first."""
    typed = " ".join(request.form.get("about", "").split())[:LONGEST]
    if request.method == "POST":
        if not typed:
            return redirect(url_for("oversight.audit"), 303)
        try:
            subject = _subject(typed)
        except NoGrant as missing:
            return _audit_page("", typed, str(missing)), WRONG
        return redirect(url_for("oversight.audit", about=subject), 303)
    return _audit_page(request.args.get("about", "")[:80], "", "")


@blueprint.post("/audit/check")
@needs_officer
def check_audit() -> Any:
    """Walk the organisation's chain and say whether it is whole."""
    found = officers().auditing.verify(signed_in().organisation)
    said = gettext("All %(count)d entries are as they were written.", count=found.entries)
    remember("checked", [bool(found.problem), found.problem or said])
    return redirect(url_for("oversight.audit"), 303)


def _audit_page(about: str, typed: str, error: str) -> str:
    before, checked = request.args.get("before", type=row_number), recalled("checked")
    drop("checked")
    rows = officers().auditing.officers_page(signed_in().organisation, before, PAGE + 1, about)
    shown = [{**row, "said": json.loads(row["detail"])} for row in rows[:PAGE]]
    return render_template(
        "audit.html", entries=shown, more=len(rows) > PAGE, before=before, about=about, typed=typed, error=error,
        checked=checked, who=_who(),
    )  # fmt: skip


def _subject(typed: str) -> str:
    """Return what an address or number stands for in the audit trail. Raises NoGrant."""
    if typed.isdecimal():
        return typed
    found = officers().auditing.account_of(signed_in().organisation, typed)
    if found is None:
        raise NoGrant(gettext("Nobody of this organisation has that address, and no message that number."))
    return account_holder(found)


def _who() -> Callable[[str], str]:
    """Return what says who an actor of the trail is."""
    people = officers().auditing.people(signed_in().organisation)

    def named(actor: str) -> str:
        return people.get(actor) or {"owner": gettext("who runs the server"), "upkeep": gettext("the server")}.get(
            actor, actor
        )

    return named


# ---- recall ---------------------------------------------------------------------------------------------------------


@blueprint.route("/recall", methods=["GET", "POST"])
@needs_officer
def recall() -> Any:
    """Find what leaks, and take it back when that was looked at."""
    page: dict[str, Any] = {"form": dict.fromkeys(SOUGHT, ""), "rows": None, "done": None, "error": None}
    if request.method != "POST":
        return render_template("recall.html", **page)
    page["form"] = form = {name: " ".join(request.form.get(name, "").split())[:LONGEST] for name in SOUGHT}
    try:
        leak = Leak(
            message=int(form["message"]) if form["message"].isdecimal() and len(form["message"]) < 20 else 0,
            author=form["author"].lower(),
            number=form["number"],
            since=_moment(form["since"]),
        )
        if "sure" in request.form:
            by: dict[str, object] = {"source": source()}
            org, actor = signed_in().organisation, account_holder(signed_in().account)
            page["done"] = officers().recalling.recall(org, leak, form["reason"], actor, by)
        else:
            page["rows"] = officers().recalling.find(signed_in().organisation, leak)
    except Throttled:
        raise
    except Denied as denied:  # NoGrant among them
        page["error"] = say(denied)
        return render_template("recall.html", **page), WRONG
    return render_template("recall.html", **page)


@blueprint.post("/recall/<int:message>/undo")
@needs_officer
def undo_recall(message: int) -> Any:
    """Give back a message that an officer took back, with the password: who has it can open it again."""
    page: dict[str, Any] = {"form": dict.fromkeys(SOUGHT, ""), "rows": None, "done": None, "error": None}
    by: dict[str, object] = {"source": source()}
    if "sure" not in request.form:
        return render_template("give-back.html", message=message, error="")
    if wrong := unproven():
        return render_template("give-back.html", message=message, error=wrong), WRONG
    try:
        officers().recalling.undo(signed_in().organisation, message, account_holder(signed_in().account), by)
    except Denied as denied:  # NoGrant among them
        return render_template("recall.html", **{**page, "error": say(denied)}), WRONG
    return render_template("recall.html", **page, undone=message)


# ---- the archive ----------------------------------------------------------------------------------------------------


@blueprint.route("/archive", methods=["GET", "POST"])
@needs_officer
def archive() -> Any:
    """Find messages of the archive by metadata, and see what cases keep."""
    return _archive_page()


def unproven() -> str:
    """Return why it is not shown that this is the officer, "" if password and number were right. Raises Throttled."""
    try:
        officers().glass.confirm(officer(), request.form.get("password", ""), _number(), source())
    except Throttled:
        raise
    except Denied as denied:  # WrongSecret among them
        return say(denied)
    return ""


def _archive_page(error: str | None = None) -> Any:
    org, archiving = signed_in().organisation, officers().archiving
    compared = recalled("compared")
    drop("compared")
    form = {name: " ".join(request.form.get(name, "").split())[:LONGEST] for name in ("address", "case", "from", "to")}
    until = _day(form["to"])
    wanted = Wanted(
        address=form["address"].lower(),
        case=form["case"],
        since=_day(form["from"]),
        until=until + 86_400_000 if until else EVER,
    )
    rows = archiving.search(org, wanted, limit=PAGE) if request.method == "POST" and error is None else None
    holds = [row for row in archiving.holds(org) if row["kind"] != "address"]
    copies = archiving.copies(org)
    return render_template(
        "archive.html", form=form, rows=rows, holds=holds, copies=copies, error=error, most=PAGE, compared=compared
    )


@blueprint.post("/archive/hold")
@needs_officer
def hold() -> Any:
    """Keep a message, or all of an account, for a case."""
    org, actor = signed_in().organisation, account_holder(signed_in().account)
    what = " ".join(request.form.get("what", "").split())[:LONGEST]
    case, reason = request.form.get("name", "")[:LONGEST], request.form.get("reason", "")[:LONGEST]
    by: dict[str, object] = {"source": source()}
    try:
        if what.isdecimal() and len(what) < 20:
            officers().archiving.hold_message(org, case, int(what), reason, actor, by)
        else:
            officers().archiving.hold_account(org, case, what.lower(), reason, actor, by)
    except Denied as denied:
        return _archive_page(say(denied)), WRONG
    return redirect(url_for("oversight.archive"), 303)


@blueprint.post("/archive/release")
@needs_officer
def release() -> Any:
    """End what a case keeps, when that was confirmed with the password: what it kept may go for good."""
    case = request.form.get("name", "")[:LONGEST]
    if "sure" not in request.form:
        return render_template("release.html", case=case, error="")
    if wrong := unproven():
        return render_template("release.html", case=case, error=wrong), WRONG
    by: dict[str, object] = {"source": source()}
    try:
        officers().archiving.release(signed_in().organisation, case, account_holder(signed_in().account), by)
    except Denied as denied:
        return _archive_page(say(denied)), WRONG
    return redirect(url_for("oversight.archive"), 303)


# ---- glass breaks ---------------------------------------------------------------------------------------------------


@blueprint.route("/glass", methods=["GET", "POST"])
@needs_officer
def glass() -> Any:
    """List glass breaks, and ask for one."""
    page: dict[str, Any] = {"form": {"mailbox": "", "reason": "", "second": ""}, "error": None, "password_error": None}
    if request.method != "POST":
        return _glass_page(**page)
    page["form"] = form = {
        name: request.form.get(name, "").strip()[:LONGEST] for name in ("mailbox", "reason", "second")
    }
    minutes = request.form.get("minutes", type=row_number) or 0
    try:
        ident = officers().glass.ask(
            officer(),
            request.form.get("password", ""),
            _number(),
            form["mailbox"],
            form["reason"],
            minutes,
            source(),
            form["second"],
        )
    except Throttled:
        raise
    except WrongSecret as wrong:
        page["password_error"] = say(wrong)
        return _glass_page(**page), WRONG
    except Denied as denied:
        page["error"] = say(denied)
        return _glass_page(**page), WRONG
    return redirect(url_for("oversight.broken", ident=ident), 303)


def _glass_page(**page: Any) -> str:
    rows, others = officers().glass.listing(officer()), officers().glass.others(officer())
    return render_template(
        "glass.html", rows=rows, others=others, now=desk().now(), minutes=MINUTES,
        takes_two=officers().glass.takes_two(officer()), **page,
    )  # fmt: skip


@blueprint.post("/glass/two")
@needs_officer
def glass_two() -> Any:
    """Let the archive open with two officers from now on, when that was confirmed with the password."""
    if "sure" not in request.form:
        return render_template("glass-two.html", error="")
    try:
        officers().glass.require_two(officer(), request.form.get("password", ""), _number(), source())
    except Throttled:
        raise
    except Denied as denied:  # WrongSecret among them
        return render_template("glass-two.html", error=say(denied)), WRONG
    return redirect(url_for("oversight.glass"), 303)


@blueprint.route("/glass/<int:ident>", methods=["GET", "POST"])
@needs_officer
def broken(ident: int) -> Any:
    """Show the mail that a glass break opens; a form agrees to it, or opens it with the password."""
    known = next((row for row in officers().glass.listing(officer()) if row["id"] == ident), None)
    if known is None:
        abort(404)
    error = None
    if request.method == "POST":
        act = officers().glass.agree if "agree" in request.form else officers().glass.open
        try:
            act(officer(), request.form.get("password", ""), _number(), ident, source())
        except Throttled:
            raise
        except Denied as denied:  # WrongSecret among them
            error = say(denied)
        else:
            return redirect(url_for("oversight.broken", ident=ident), 303)
    try:
        seen = officers().glass.broken(officer(), ident)
    except Denied as closed:
        me = officer().account
        return render_template(
            "glass-closed.html", row=known, why=say(closed), error=error, mine=known["officer"] == me,
            asked=known["second"] == me, now=desk().now(),
        ), (WRONG if error else 200)  # fmt: skip
    before = request.args.get("before", type=row_number)
    mails = officers().glass.mails(seen, before, PAGE + 1)
    return render_template(
        "glass-open.html", row=known, seen=seen, mails=mails[:PAGE], more=len(mails) > PAGE, before=before
    )


@blueprint.post("/glass/<int:ident>/end")
@needs_officer
def end_glass(ident: int) -> Any:
    """End a glass break before its time."""
    officers().glass.end(officer(), ident)
    return redirect(url_for("oversight.glass"), 303)


@blueprint.get("/glass/<int:ident>/messages/<int:message>")
@needs_officer
def archived(ident: int, message: int) -> Any:
    """Show one message of the archive."""
    seen = officers().glass.broken(officer(), ident)
    shown = officers().glass.show(seen, message)
    beside = officers().archivedfiles.beside(seen, message)
    return render_template("glass-read.html", seen=seen, shown=shown, beside=beside)


@blueprint.get("/glass/<int:ident>/messages/<int:message>/files/<int:file>")
@needs_officer
def archived_file(ident: int, message: int, file: int) -> Response:
    """Hand over a large file of the archive, or the range of it that is asked for; each time is noted."""
    seen = officers().glass.broken(officer(), ident)
    return handed_over(officers().archivedfiles.get(seen, message, file))


@blueprint.get("/glass/<int:ident>/messages/<int:message>/eml")
@needs_officer
def archived_eml(ident: int, message: int) -> Any:
    """Hand over one message of the archive as a mail file."""
    seen = officers().glass.broken(officer(), ident)
    return download(officers().glass.eml(seen, message))


@blueprint.route("/glass/<int:ident>/export", methods=["GET", "POST"])
@needs_officer
def export(ident: int) -> Any:
    """Show the password of a ZIP with all that the glass break opens; the button then brings the file."""
    seen = officers().glass.broken(officer(), ident)
    if request.method != "POST":
        password = words.passphrase(desk().pieces.random, language=spoken())
        count = len(officers().casework.found(seen))
        return render_template(
            "glass-export.html", seen=seen, password=password, proof=signer().dumps(password), count=count
        )
    try:
        password = signer().loads(request.form.get("proof", ""), max_age=ZIP_SECONDS)
    except BadSignature:
        return redirect(url_for("oversight.export", ident=ident), 303)
    chunks = officers().casework.export(seen, password)
    return download(Part(f"archive-{ident}.zip", "application/zip", None, chunks))


# ---- inside ---------------------------------------------------------------------------------------------------------


def _number() -> str:
    return typed_number()


def _day(typed: str) -> int:
    """Return the beginning of a day as a form has it (UTC milliseconds), 0 for what is none."""
    return _moment(typed[:10])


def _moment(typed: str) -> int:
    try:
        at = datetime.fromisoformat(typed)
    except ValueError:
        return 0
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return max(0, int(at.timestamp() * 1000))

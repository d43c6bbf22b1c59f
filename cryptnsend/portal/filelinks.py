"""How does an author share a file with whoever has a link, and how does somebody get it who has one?

Under /sent its author makes links, sees what became of them and ends them. Under /f stands what a link leads to: GET
says who shares and until when; one button opens the list with what stands behind the #, which a script brings, or with
the password; one button for each file counts its download. What a button made is good in that browser only.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, session, url_for
from flask_babel import gettext, ngettext

from cryptnsend.core.errors import Denied, Ended, NoGrant, SealBroken, Throttled, WrongSecret
from cryptnsend.flow.filelinks import MOST_DOWNLOADS, OPEN_DAYS, Face, Offered
from cryptnsend.flow.guessing import MOST, Shut
from cryptnsend.flow.heldmail import place_in_words, rule_in_words
from cryptnsend.flow.holding import LONGEST
from cryptnsend.flow.linklooks import Held
from cryptnsend.home import Home
from cryptnsend.portal.desk import desk
from cryptnsend.portal.fetching import handed_over
from cryptnsend.portal.language import say
from cryptnsend.portal.security import WRONG, check_form
from cryptnsend.portal.subscriber import beside_of
from cryptnsend.portal.visits import forget, needs_subscriber, recall, remember, signed_in, source

blueprint = Blueprint("filelinks", __name__)
blueprint.before_request(check_form)

DAY = 86_400_000  # milliseconds
GONE, BROKEN = 410, 500
PLACE = "/f/"  # short: it is read aloud, and typed


# ---- its author -------------------------------------------------------------------------------------------------


@blueprint.get("/sent/<int:message>/links")
@needs_subscriber
def of_message(message: int) -> Any:
    """Show the links of a message, and the form for another one."""
    return _page(message)


@blueprint.post("/sent/<int:message>/links")
@needs_subscriber
def make(message: int) -> Any:
    """Make a link, once its author said that whoever gets it may have the files."""
    form = request.form
    problem = gettext("Say that whoever gets the link may have the files.") if "sure" not in form else ""
    until, most = _moment(form.get("until", ""), form.get("zone", "")), _number(form.get("most", ""))
    if not problem and (not until or most < 0):
        problem = gettext("Choose a time to come.") if not until else gettext("Type how often as a number, or nothing.")
    if not problem:
        try:
            made = desk().filelinks.make(
                signed_in(), message, until=until, most=most, password=form.get("password", ""),
                reason=form.get("reason", "")[: 2 * LONGEST],
            )  # fmt: skip
        except NoGrant:
            raise
        except Held as held:
            return _page(message, say(held), held), WRONG
        except Denied as denied:
            problem = say(denied)
        else:
            remember("linked", str(made))
            return redirect(url_for("filelinks.of_message", message=message), 303)
    return _page(message, problem), WRONG


@blueprint.post("/sent/<int:message>/links/<int:link>/revoke")
@needs_subscriber
def revoke(message: int, link: int) -> Any:
    """End a link for good."""
    desk().filelinks.revoke(signed_in(), message, link)
    remember("linked", "revoked")
    return redirect(url_for("filelinks.of_message", message=message), 303)


def _page(message: int, problem: str = "", held: Held | None = None) -> str:
    linked = recall("linked")
    forget("linked")
    now = desk().now()
    return render_template(
        "file-links.html",
        status=desk().pickup.status(signed_in(), message),
        links=desk().filelinks.listing(signed_in(), message),
        may=desk().filelinks.allowed(signed_in()),
        files=beside_of(message),
        base=Home(desk().config.server.home).base_url(desk().config) + PLACE,
        problem=problem,
        found=[
            (rule_in_words(each.rule, gettext), each.masked, place_in_words(each.where, gettext))
            for each in (held.found if held else ())
        ],
        may_leave=held is not None and held.may_leave,
        longest=LONGEST,
        linked=linked,
        typed=request.form,
        until=_moment(request.form.get("until", ""), "") or now + OPEN_DAYS * DAY,
        days=OPEN_DAYS,
        most=MOST_DOWNLOADS,
        shut=MOST,
        now=now,
    )


def _moment(typed: str, zone: str) -> int:
    """Return a time as a form has it (UTC milliseconds), 0 for what is none; *zone*: minutes that UTC is ahead."""
    try:
        at = datetime.fromisoformat(typed[:16]).replace(tzinfo=UTC)
    except ValueError:
        return 0
    minutes = int(zone) if zone.isascii() and zone.lstrip("-").isdecimal() and len(zone) < 5 else 0
    return max(0, int(at.timestamp() * 1000) + minutes * 60_000)


def _number(typed: str) -> int:
    """Return how often, 0 for any number, -1 for what is no number."""
    typed = typed.strip()
    return 0 if not typed else int(typed) if typed.isascii() and typed.isdecimal() and len(typed) < 8 else -1


# ---- whoever has it ---------------------------------------------------------------------------------------------


@blueprint.get(f"{PLACE}<locator>")
def look(locator: str) -> Any:
    """Say who shares; nothing is opened, counted or written down."""
    try:
        return _face(locator, desk().filelinks.look(locator))
    except Ended:
        return _face(locator, None), GONE


@blueprint.post(f"{PLACE}<locator>")
def open_link(locator: str) -> Any:
    """Show the files to who has the secret or the password."""
    typed = request.form.get("secret") or request.form.get("password", "")
    try:
        return _offer(locator, desk().filelinks.open(locator, typed, source(), _browser()))
    except Ended:
        return _face(locator, None), GONE
    except SealBroken:
        said = gettext("What this link opens is damaged on our side. Ask who sent it for another one.")
        return _face(locator, desk().filelinks.look(locator), said), BROKEN
    except Shut as shut:
        return _face(locator, desk().filelinks.look(locator), say(shut)), 429, {"Retry-After": str(shut.retry_after)}
    except Throttled as wait:
        minutes = max(1, -(-wait.retry_after // 60))
        said = ngettext(
            "There were too many tries at this link. Wait %(num)d minute, or ask who sent it.",
            "There were too many tries at this link. Wait %(num)d minutes, or ask who sent it.",
            minutes,
        )
        return _face(locator, desk().filelinks.look(locator), said), 429, {"Retry-After": str(wait.retry_after)}
    except WrongSecret as wrong:
        return _face(locator, desk().filelinks.look(locator), say(wrong)), WRONG


@blueprint.post(f"{PLACE}<locator>/<int:file>")
def begin(locator: str, file: int) -> Any:
    """Count a download, and lead to it."""
    token = request.form.get("token", "")
    try:
        ticket = desk().filelinks.begin(locator, token, file, source(), _browser())
    except NoGrant:  # an hour has passed since the list was opened, or it is another browser's: from the start
        return redirect(url_for("filelinks.look", locator=locator), 303)
    except Ended as over:
        try:
            return _offer(locator, desk().filelinks.offered(locator, token, _browser()), say(over)), GONE
        except (Ended, NoGrant):
            return _face(locator, None), GONE
    return redirect(url_for("filelinks.fetch", ticket=ticket), 303)


@blueprint.get("/download/link/<ticket>")
def fetch(ticket: str) -> Response:
    """Hand over a file, or the range of it that is asked for."""
    return handed_over(desk().filelinks.get(ticket, _browser()))


def _face(locator: str, face: Face | None, problem: str = "") -> str:
    return render_template("file-link.html", locator=locator, face=face, problem=problem)


def _offer(locator: str, offered: Offered, problem: str = "") -> str:
    return render_template("file-link-open.html", locator=locator, offered=offered, problem=problem)


def _browser() -> bytes:
    """Return what only this browser knows, from its form cookie; it has one since its first page."""
    return hashlib.sha256(b"cryptnsend/v1 link browser\0" + str(session.get("csrf_token", "")).encode()).digest()

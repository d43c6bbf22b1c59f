"""What does somebody see when a request comes to nothing, and what does the log keep of it?

Every error has a page in plain words, and all but "nothing here" a number that stands in the log too: beside the kind
of refusal, or beside type and place of an exception where it is our fault. Never its text, never the path of the
request.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from typing import Any, NamedTuple

from flask import Flask, Response, g, render_template, request
from flask_babel import gettext, lazy_gettext
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from cryptnsend import logs
from cryptnsend.core.errors import CryptnSendError, Denied, Ended, NoGrant, Refusal, Temporary, Throttled, TooBig
from cryptnsend.portal import api_problems
from cryptnsend.portal.language import say
from cryptnsend.portal.returning import page_of_form
from cryptnsend.portal.security import WrongForm
from cryptnsend.portal.visits import visitor

log = logs.logger(__name__)


class Page(NamedTuple):
    """Title, what it means, and whether it is our fault."""

    title: Any  # words that are translated when they are shown
    meaning: Any
    ours: bool = False


PAGES = {
    400: Page(
        lazy_gettext("This page was open for too long"),
        lazy_gettext("Nothing was sent and nothing is lost. Go back, load the page again and repeat the last step."),
    ),
    403: Page(
        lazy_gettext("This cannot be done"),
        lazy_gettext("It is not for this account, or not possible any more. Nothing was changed."),
    ),
    404: Page(
        lazy_gettext("There is nothing at this address"),
        lazy_gettext(
            "A link in our mails is long: check that all of it came along, or copy it once more. "
            "What was sent to you stands in the list of your messages, too."
        ),
    ),
    405: Page(
        lazy_gettext("This step needs its page"),
        lazy_gettext("It was opened as a link, and works only from the button on our page. Nothing has happened."),
    ),
    413: Page(
        lazy_gettext("That is too much at once"),
        lazy_gettext("Nothing was sent. Take out a file or two and send them in a second message."),
    ),
    429: Page(
        lazy_gettext("Too many tries in a row"),
        lazy_gettext("Nothing is lost. Wait a little; then it works again."),
    ),
    500: Page(
        lazy_gettext("Something broke on our side"),
        lazy_gettext("What we had stored is safe. Try again in a minute, or tell us the number below."),
        ours=True,
    ),
    503: Page(
        lazy_gettext("We are away for a moment"),
        lazy_gettext("Your messages are safe. Try again in a minute."),
        ours=True,
    ),
}


def watch(app: Flask) -> None:
    """Give *app* these pages and one log line per request: the route's name, never the path."""
    app.before_request(_start_clock)
    app.after_request(_log_request)
    app.register_error_handler(Exception, show)


def show(error: Exception) -> Response | tuple[str, int] | tuple[str, int, dict[str, str]]:
    """Turn any exception into a page, or into a problem document for a program."""
    if api_problems.is_ours(request.path):
        return api_problems.problem(error)
    headers: dict[str, str] = {}
    if isinstance(error, CSRFError | WrongForm):
        status = 400
    elif isinstance(error, TooBig | RequestEntityTooLarge):
        status = 413
    elif isinstance(error, Throttled):
        status, headers = 429, {"Retry-After": str(error.retry_after)}
    elif isinstance(error, NoGrant | Ended):
        status = 404  # not yours and not there look alike
    elif isinstance(error, Temporary):
        status, headers = 503, {"Retry-After": "60"}
    elif isinstance(error, Refusal | Denied):
        status = 403  # its text says what to do, and is made to be shown
    elif isinstance(error, HTTPException):
        status = error.code or 500
        if status in (301, 302, 303, 304, 307, 308):
            return error.get_body(), status, dict(error.get_headers())
        if status == 405 and request.method == "GET" and (back := page_of_form()):
            return "", 303, {"Location": back}
        headers = {"Allow": ", ".join(sorted(methods))} if (methods := getattr(error, "valid_methods", None)) else {}
    else:
        status = 500
    return page(status, error, headers)


def page(status: int, error: Exception, headers: dict[str, str]) -> tuple[str, int, dict[str, str]]:
    """Render the page of *status*; log what is our fault."""
    words = PAGES.get(status) or PAGES[400 if status < 500 else 500]
    number = ""  # what is not there has none: it must look like what is not one's own
    if not words.ours and status != 404:
        number = reference()
        log.info("request refused", route=request.endpoint or "none", reference=number, why=type(error).__name__)
    if words.ours:
        number = reference()
        log.error("request failed", route=request.endpoint or "none", reference=number, exc_info=error)
    waiting = ""
    if isinstance(error, Throttled):
        waiting = gettext("You can try again in about %(minutes)s minutes.", minutes=-(-error.retry_after // 60))
    know_visitor(ours=words.ours)
    meaning = say(error) if status == 403 and isinstance(error, Refusal | Denied) else words.meaning
    text = render_template("error.html", title=words.title, meaning=meaning, number=number, waiting=waiting)
    return text, status, headers


def know_visitor(*, ours: bool) -> None:
    """Find out whose menu the page shows; where something of ours broke, only if it is known already."""
    g.failed = True  # from here on the page asks no flow who is looking
    if not ours:
        with contextlib.suppress(CryptnSendError):  # a page that says what was wrong comes without a menu, too
            visitor()


def reference() -> str:
    """Return a number to tell us by phone, such as 4F2-811: it names a line of the log and nothing else."""
    digits = secrets.token_hex(3).upper()
    return f"{digits[:3]}-{digits[3:]}"


def _start_clock() -> None:
    g.started = time.perf_counter()


def _log_request(response: Response) -> Response:
    log.info(
        "request",
        route=request.endpoint or "none",
        method=request.method,
        status=response.status_code,
        ms=round((time.perf_counter() - g.get("started", time.perf_counter())) * 1000, 1),
    )
    return response

"""In which language does a page speak?

First as its account chose, then as this browser chose, then as the browser asks (RFC 9110 §12.5.4), else English. The
choice is a form at the foot of every page; it changes nothing but words.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, current_app, g, has_request_context, redirect, request, session, url_for
from flask_babel import Babel, Domain, gettext
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from cryptnsend.config import web_root
from cryptnsend.core.errors import CryptnSendError, Infected, Sentence
from cryptnsend.languages import ENGLISH, LANGUAGES, catalogue, known
from cryptnsend.portal.desk import desk
from cryptnsend.portal.returning import page_of_form
from cryptnsend.portal.security import check_form
from cryptnsend.portal.visits import visitor

blueprint = Blueprint("language", __name__)
blueprint.before_request(check_form)

CHOICE = "language"  # in the form cookie


class _Catalogues(Domain):
    """Where flask_babel finds the words. Asked for each text of a page, so it looks for nothing twice."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._web = web_root()

    def get_translations(self) -> Any:
        """Return the words in the language of this request."""
        return catalogue(self._web, spoken())


def speak(app: Flask) -> None:
    """Give *app* its languages."""
    Babel(app, locale_selector=spoken, timezone_selector=lambda: "UTC")  # type: ignore[no-untyped-call]
    app.extensions["babel"].instance.domain_instance = _Catalogues()
    app.jinja_env.globals.update(language=spoken, languages=LANGUAGES, here=here)
    app.after_request(name_it)


def spoken() -> str:
    """Return the language of this request; looked up once."""
    if not has_request_context():
        return ENGLISH
    if "language" not in g:
        g.language = _asked_for()  # first, since looking for the session may end in an error page
        chosen = session.get(CHOICE)
        if chosen in LANGUAGES:
            g.language = chosen
        found = None if g.get("failed") else visitor()
        if found is not None and found.locale in LANGUAGES:
            g.language = found.locale
    return str(g.language)


def say(what: CryptnSendError | str) -> str:
    """Return what a refusal or a `Sentence` says in the language of this request, wherever in the house it was made."""
    text = what if isinstance(what, str) else what.text
    if isinstance(text, Sentence):
        values = {name: say(each) if isinstance(each, Sentence) else each for name, each in text.values.items()}
        return str(gettext(text.words) % values)
    return str(gettext(text)) if text else ""


def _asked_for() -> str:
    # The library's own match takes an exact "es" before "en-GB", however little it is wanted.
    for tag, quality in request.accept_languages:
        primary = tag.partition("-")[0].lower()
        if quality > 0 and primary in LANGUAGES:
            return primary
    return ENGLISH


def say_infected(found: Infected) -> str:
    """Say that a scanner found something in what somebody wrote, and what to do about it."""
    return gettext(
        "The virus scanner found %(finding)s in this message, so it was not sent. What you wrote is kept: take "
        "the file out, and send it again.",
        finding=found.finding,
    )


def here() -> str:
    """Return the page to come back to after choosing a language: this one, or the one whose form led to it."""
    return _looked_at() or page_of_form() or url_for("home")


def _looked_at() -> str | None:
    """Return the address of this page if it can be asked for as it is: of a form's answer, that it has a page, too."""
    if request.method == "GET":
        return request.full_path.rstrip("?")
    try:
        current_app.create_url_adapter(request).match(method="GET")  # type: ignore[union-attr]
    except (HTTPException, RequestRedirect):
        return None
    return request.path


@blueprint.post("/language")
def choose() -> Any:
    """Speak another language from now on; an account keeps it, for its mails too."""
    chosen = known(request.form.get("language"))
    session[CHOICE] = chosen
    somebody = visitor()
    if somebody is not None and somebody.locale != chosen:
        desk().accounts.set_language(somebody, chosen)
    return redirect(_page_of_ours(request.form.get("back", "")), 303)


def _page_of_ours(path: str) -> str:
    """Return *path* if it is a page of this application that can be looked at, else the first page."""
    # What cannot be printed has no place in a header, and is not what the form was sent with.
    if not path.isprintable() or not path.startswith("/") or path.startswith(("//", "/\\")):
        return url_for("home")
    try:
        parts = urlsplit(path)
        current_app.create_url_adapter(request).match(parts.path, method="GET")  # type: ignore[union-attr]
    except (ValueError, HTTPException, RequestRedirect):
        return url_for("home")
    return path


def name_it(response: Response) -> Response:
    """Say in which language the words are, so that screen readers and caches know."""
    if response.mimetype == "text/html" and "Content-Language" not in response.headers:
        response.headers["Content-Language"] = spoken()
        response.headers.add("Vary", "Accept-Language")
    return response

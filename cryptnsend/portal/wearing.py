"""Whose look does a page wear, and at which names do our pages answer?

Who belongs to an organisation sees its look everywhere. For others a page about a message wears the look of the
organisation that sent it, and tells nothing by that which the words on it do not: a link that is none looks as the host
does. Every other page wears the look of the organisation whose host was asked. What the browser claims decides nothing:
a host counts where the keeper vouches for it, and the name at the foot of each page is one that we answer to.

Logos and accents are files of our own origin, named by what they are, so that browsers keep them and no style has to
stand in a page.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Any, cast
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, abort, g, request
from jinja2 import pass_context
from jinja2.runtime import Context

from cryptnsend.core import colour, discovery
from cryptnsend.core.errors import CryptnSendError
from cryptnsend.core.transport import policy_host
from cryptnsend.flow.looks import Worn
from cryptnsend.logs import logger
from cryptnsend.portal import visits
from cryptnsend.portal.desk import desk
from cryptnsend.portal.security import FILE_POLICY

FOREVER = "public, max-age=31536000, immutable"
# A picture draws itself with what stands in it, and asks for nothing.
LOGO_POLICY = f"{FILE_POLICY}; style-src 'none'"

blueprint = Blueprint("wearing", __name__, url_prefix="/look")
log = logger(__name__)


def register(app: Flask) -> None:
    """Give *app* the look of its pages, and let it answer at its own names only."""
    app.before_request(turn_away_strangers)
    app.jinja_env.globals.update(worn=worn, host=host, accent_code=lambda accent: accent.removeprefix("#"))


# -- names ------------------------------------------------------------------------------------------------------------


def turn_away_strangers() -> Response | None:
    """Answer 421 at names that are not ours (RFC 9110 §15.5.20): they would be another's pages over our own."""
    if request.path == "/healthz" or is_ours(asked()):
        return None
    return Response("This server has no pages at this name.\n", 421, mimetype="text/plain")


def is_ours(name: str) -> bool:
    """Say whether our pages, or documents for other programs, are at that name."""
    config = desk().config
    if name in (house(), config.server.hostname, "localhost", policy_host(config.server.domain)) or _is_address(name):
        return True
    prefix, _, rest = name.partition(".")
    if prefix in discovery.PREFIXES and rest:  # `discovery` knows which of these have documents
        return True
    return at_host() is not None


def at_host() -> Worn | None:
    """Return whose pages are at the name that was asked, None for the house's own names; looked up once."""
    if "at_host" not in g:
        name = asked()
        g.at_host = None
        if name not in (house(), desk().config.server.hostname, "localhost") and not _is_address(name):
            try:
                g.at_host = desk().looks.at_host(name)
            except CryptnSendError as error:  # the keeper is away: nobody vouches for the name now
                log.warning("nobody vouches for a host", exc_info=error)
    return cast("Worn | None", g.at_host)


def asked() -> str:
    """Return the name that was asked, without port, in lower case."""
    try:
        return (urlsplit(f"//{request.host}").hostname or "").rstrip(".") if _is_sane(request.host) else ""
    except ValueError:  # brackets around what is no address
        return ""


def house() -> str:
    """Return the house's own host."""
    return urlsplit(desk().config.portal.base_url).hostname or desk().config.server.hostname


def host() -> str:
    """Return the host that the true page begins with here: one that is ours, never just what the request claims."""
    found = None if g.get("failed") else at_host()
    return found.look.host if found is not None else house()


def _is_sane(claimed: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?", claimed) is not None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


# -- looks ------------------------------------------------------------------------------------------------------------


@pass_context
def worn(context: Context) -> Worn:
    """Return the look of the page that is rendered; the house's where nothing says otherwise, or the store failed."""
    looks = desk().looks
    if g.get("failed"):
        return looks.house()
    try:
        somebody = visits.visitor()
        if somebody is not None and visits.is_staff_or_subscriber(somebody):
            return looks.worn(somebody.organisation)
        about: Any = context.get("waiting") or context.get("letter")
        if about is not None and about.org:
            return looks.worn(about.org)
        return at_host() or looks.house()
    except CryptnSendError as error:  # a page is read without its colours rather than not at all
        log.warning("a look cannot be told", exc_info=error)
        return looks.house()


@blueprint.get("/<mark>")
def logo(mark: str) -> Response:
    """Send a logo by its mark: a picture that can do nothing, wherever somebody opens it."""
    found = desk().looks.picture(mark)
    if found is None:
        abort(404)
    answer = Response(found[1], mimetype=found[0])
    return _kept(answer)


@blueprint.get("/accent-<code>.css")
def accent(code: str) -> Response:
    """Send the style sheet that gives a page an accent; it is the same for everybody who has that colour."""
    return _kept(Response(_sheet(_colour(code), False), mimetype="text/css"))


@blueprint.get("/screen-<code>.css")
def screen(code: str) -> Response:
    """Send the style sheet that gives the drawn screens of a page an accent."""
    return _kept(Response(_sheet(_colour(code), True), mimetype="text/css"))


def _colour(code: str) -> str:
    found = f"#{code}"
    if not colour.is_colour(found):
        abort(404)
    return colour.nearest(found)


@lru_cache(maxsize=256)
def _sheet(shade: str, is_preview: bool) -> str:
    return colour.preview(shade) if is_preview else colour.stylesheet(shade)


def _kept(answer: Response) -> Response:
    answer.headers["Cache-Control"] = FOREVER
    answer.headers["Content-Security-Policy"] = LOGO_POLICY
    return answer

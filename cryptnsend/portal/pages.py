"""Which pages belong to nobody in particular: the first page, help, privacy, "is this page real?", and the files."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import cast
from urllib.parse import urlsplit

from flask import Flask, Response, abort, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Answer

from cryptnsend import metrics
from cryptnsend.core.transport import POLICY_PATH, POLICY_TYPE, policy_text
from cryptnsend.languages import LANGUAGES
from cryptnsend.portal import organisation, visits
from cryptnsend.portal.desk import desk
from cryptnsend.portal.flows_accounts import Session
from cryptnsend.portal.wearing import FOREVER, house

SECURITY_DAYS = 90  # for which security.txt is good; RFC 9116 §2.5.5 wants less than a year
PACKED = ("text/css", "text/javascript", "application/javascript", "image/svg+xml")


def register(app: Flask) -> None:
    """Give *app* these pages and what every template may call."""
    app.add_url_rule("/", "home", home)
    app.add_url_rule("/help", "help", lambda: render_template("help.html"))
    app.add_url_rule("/privacy", "privacy", lambda: render_template("privacy.html"))
    app.add_url_rule("/real", "real", lambda: render_template("real.html"))
    app.add_url_rule("/healthz", "healthz", lambda: Response("ok\n", mimetype="text/plain"))
    app.add_url_rule(POLICY_PATH, "mta_sts", mta_sts)
    app.add_url_rule("/.well-known/security.txt", "security_txt", security_txt)
    app.add_url_rule("/robots.txt", "robots", lambda: Response("User-agent: *\nDisallow: /\n", mimetype="text/plain"))
    app.add_url_rule("/style", "style", style)
    app.add_url_rule("/received", "received", lambda: redirect(url_for("letters.listing"), 303))
    app.jinja_env.globals.update(
        somebody=somebody,
        asks_for_recovery_file=asks_for_recovery_file,
        is_subscriber=visits.is_subscriber,
        password_age=password_age,
        unread=unread,
        idle_minutes=idle_minutes,
        least_password=least_password,
        is_staff=organisation.is_staff,
        organisation_pages=organisation.pages,
        static_url=static_url,
        has_static=lambda name: name in desk().versions,
        settings=lambda: desk().config,
    )
    app.after_request(keep_static)
    app.after_request(pack_static)
    app.after_request(counted)


def home() -> Answer | str:
    """Lead those who are signed in to their messages; tell the others what this is."""
    if visits.visitor() is not None:
        return redirect(url_for("letters.listing"), 303)
    return render_template("home.html", mode=desk().config.signup.mode)


def mta_sts() -> Response:
    """Show other servers our policy (RFC 8461 §3.3); without a door for them there is none."""
    config = desk().config
    if not config.inbound.enabled:
        abort(404)
    return Response(policy_text(config.inbound.mta_sts, config.server.hostname), mimetype=POLICY_TYPE)


def security_txt() -> Response:
    """Say whom to tell about a weakness (RFC 9116); without an address that takes mail there is none."""
    config = desk().config
    contact = config.portal.security_contact
    if not contact and not config.inbound.enabled:
        abort(404)
    ends = datetime.fromtimestamp(desk().now() / 1000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    lines = (
        f"Contact: {contact or f'mailto:postmaster@{config.server.domain}'}",
        f"Expires: {ends + timedelta(days=SECURITY_DAYS):%Y-%m-%dT%H:%M:%SZ}",
        f"Preferred-Languages: {', '.join(LANGUAGES)}",
        f"Canonical: https://{urlsplit(desk().config.portal.base_url).netloc or house()}/.well-known/security.txt",
    )
    return Response("\n".join(lines) + "\n", mimetype="text/plain")


def counted(answer: Response) -> Response:
    """Count the answer by method and class of status; which page it was stays out."""
    method = request.method if request.method in ("GET", "HEAD", "POST") else "other"
    metrics.count("portal_responses", method=method, status=f"{answer.status_code // 100}xx")
    return answer


def style() -> str:
    """Show the components, where somebody works on them: only where that is asked for, as in the demo."""
    if not desk().config.portal.style_page:
        abort(404)
    return render_template("style.html")


def somebody() -> Session | None:
    """Return who is signed in; on an error page only if that is known, because the store may be what failed."""
    return cast("Session | None", g.get("visitor")) if g.get("failed") else visits.visitor()


def asks_for_recovery_file() -> bool:
    """Say whether this page reminds of the archive's recovery file: those a subscriber comes by every day."""
    found = somebody()
    daily = request.endpoint in ("letters.listing", "subscriber.sent", "programs.setup")
    return daily and not g.get("failed") and found is not None and desk().accounts.recovery_file_is_missing(found)


def password_age() -> int:
    """Return for how many days the visitor has had their password, if the page should remind of it, else 0."""
    found = somebody()
    if found is None or g.get("failed") or request.endpoint not in ("letters.listing", "account.overview"):
        return 0
    least = desk().rules(found).password_remind_days
    if not least:
        return 0
    age = desk().accounts.password_age(found)
    return age if age >= least else 0


def unread() -> int:
    """Return how many messages of the visitor are unread, for menu and title; counted once for each page."""
    found = somebody()
    if found is None or g.get("failed"):
        return 0
    if "unread" not in g:
        g.unread = desk().pickup.unread(found)
    return int(g.unread)


def idle_minutes() -> int:
    """Return how long the visitor stays signed in without a tap."""
    found = somebody()
    return desk().idle_minutes(None if g.get("failed") else found)


def least_password() -> int:
    """Return how long a new password of the visitor has to be."""
    return desk().rules(None if g.get("failed") else somebody()).password_length


def static_url(name: str) -> str:
    """Return the URL of a static file; it changes with the file, so browsers may keep it for ever."""
    return url_for("static", filename=name, v=desk().versions[name])


def keep_static(response: Response) -> Response:
    """Let browsers keep the files whose URL has their fingerprint."""
    if request.endpoint == "static" and response.status_code == 200 and request.args.get("v"):
        response.headers["Cache-Control"] = FOREVER
    return response


def pack_static(response: Response) -> Response:
    """Send scripts and style sheets packed. Pages never are: their size would tell of the secrets in them."""
    if request.endpoint != "static" or response.status_code != 200 or response.mimetype not in PACKED:
        return response
    response.vary.add("Accept-Encoding")
    if request.accept_encodings["gzip"] > 0:
        response.direct_passthrough = False
        response.set_data(_packed(response.get_data()))
        response.headers["Content-Encoding"] = "gzip"
        response.headers.pop("ETag", None)
    return response


@lru_cache(maxsize=32)
def _packed(octets: bytes) -> bytes:
    return gzip.compress(octets, mtime=0)

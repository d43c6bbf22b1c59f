"""Which headers does every answer carry, and which requests are turned away before a page sees them?

The pages load nothing from elsewhere and run one script of ours, named by a nonce. A stranger's letter has a policy of
its own (`LETTER_POLICY`): no script, no request, whatever the sanitiser might have missed.

No GET or HEAD changes anything; every POST carries a token that is bound to the browser's form cookie.
"""

from __future__ import annotations

import secrets

from flask import Flask, Response, abort, g, request
from flask_wtf.csrf import CSRFProtect

from cryptnsend.core.errors import Refusal

FORM_COOKIE = "__Host-cryptnsend-form"
SAFE = ("GET", "HEAD", "OPTIONS")
OPEN = ("phone.share",)  # reads and changes nothing; another app of the phone may post there
WRONG = 422  # a form that was understood and is not right: the page again, with words
FORM_OCTETS = 64 * 1024  # largest form without files
# `style-src 'unsafe-inline'` is for the styles that the sanitiser let stand; nothing can be fetched by them.
LETTER_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)
FILE_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; sandbox"
HEADERS = {
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",  # for browsers older than frame-ancestors
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()",
    "X-Robots-Tag": "noindex, nofollow",
    "X-Permitted-Cross-Domain-Policies": "none",
}

csrf = CSRFProtect()  # type: ignore[no-untyped-call]


class WrongForm(Refusal):
    """A form that did not come from one of our pages, or whose page is too old."""


def protect(app: Flask) -> None:
    """Give *app* the form tokens, the request checks and the headers of this module."""
    app.config.update(
        WTF_CSRF_CHECK_DEFAULT=False,  # `check_form` asks for it once the size of the form is known to be allowed
        WTF_CSRF_SSL_STRICT=False,  # it wants a Referer, which our own policy withholds
        WTF_CSRF_TIME_LIMIT=None,  # the token ends with its cookie; somebody who writes for an hour loses nothing
        SESSION_COOKIE_NAME=FORM_COOKIE,
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_PATH="/",
        MAX_CONTENT_LENGTH=FORM_OCTETS,
        MAX_FORM_MEMORY_SIZE=FORM_OCTETS,
        MAX_FORM_PARTS=200,
    )
    csrf.init_app(app)  # type: ignore[no-untyped-call]
    app.before_request(turn_away)
    app.after_request(add_headers)
    app.jinja_env.globals["csp_nonce"] = nonce


def nonce() -> str:
    """Return this answer's script nonce."""
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(16)
    return str(g.csp_nonce)


def turn_away() -> None:
    """Refuse speculative loads and forms that another site sent."""
    if "prefetch" in request.headers.get("Sec-Purpose", request.headers.get("Purpose", "")):
        abort(503)  # a page that nobody looks at yet must not count as opened
    if request.endpoint in OPEN:
        return
    if request.method not in SAFE and request.headers.get("Sec-Fetch-Site", "same-origin") not in (
        "same-origin",
        "none",
    ):
        raise WrongForm("")


def check_form() -> None:
    """Check the form token of a POST; raise flask_wtf's CSRFError. Reads the form, so size limits come first."""
    if request.method not in SAFE:
        csrf.protect()  # type: ignore[no-untyped-call]


def add_headers(response: Response) -> Response:
    """Set the headers that every answer has; what a view set itself stays."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("Content-Security-Policy", page_policy())
    return response


def allow_saving() -> None:
    """Let the script of this page send a draft to where the page came from."""
    g.may_save = True


def page_policy() -> str:
    """Return the policy of our own pages: one script by nonce, our style sheet, frames of our own letters."""
    connect = "'self'" if g.get("may_save") else "'none'"
    pictures = "'self' data:" if g.get("may_show_data") else "'self'"
    return (
        "default-src 'none'; "
        f"script-src 'nonce-{nonce()}'; style-src 'self'; img-src {pictures}; font-src 'none'; connect-src {connect}; "
        "frame-src 'self'; manifest-src 'self'; worker-src 'self'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
    )

"""What does a program get when a request comes to nothing? A problem document (RFC 9457), in English, with a code."""

from __future__ import annotations

import http

import msgspec
from flask import Response, g, request
from werkzeug.exceptions import HTTPException

from cryptnsend import logs
from cryptnsend.core.errors import (
    CryptnSendError,
    Denied,
    Ended,
    Enough,
    Infected,
    NoGrant,
    Refusal,
    StoreFull,
    Temporary,
    Throttled,
    TooBig,
    WrongSecret,
)
from cryptnsend.flow.api_mail import Repeated
from cryptnsend.flow.api_tokens import NotAllowed
from cryptnsend.portal.api_shapes import BadRequest, Problem
from cryptnsend.portal.security import WrongForm

log = logs.logger(__name__)
PREFIX = "/api/"
TYPE = "application/problem+json"
REALM = 'Bearer realm="CryptnSend"'
DAY_LIMIT = 3600  # seconds until it makes sense to try again

# Kind of error → status and code; the first that fits counts.
KINDS: tuple[tuple[type[Exception], int, str], ...] = (
    (WrongForm, 403, "cross-site"),
    (Repeated, 422, "key-used"),
    (Infected, 422, "virus"),
    (TooBig, 413, "too-large"),
    (Throttled, 429, "too-many-tries"),
    (WrongSecret, 401, "token-wrong"),
    (NotAllowed, 403, "not-allowed"),
    (NoGrant, 404, "not-found"),
    (Ended, 404, "not-found"),
    (Enough, 429, "day-limit"),
    (StoreFull, 507, "full"),
    (Temporary, 503, "later"),
    (Refusal, 422, "refused"),
    (Denied, 422, "refused"),
)
DETAILS = {
    401: "Show a token of this server in the header field Authorization: Bearer cns_... Cookies do not count here.",
    404: "There is nothing here for this token.",
    405: "Look into the OpenAPI document which methods there are.",
    413: "The request is too large. docs/api.md says what fits.",
    503: "This cannot be done at this moment. Nothing was sent; repeat the same request with the same key in a minute.",
}


def is_ours(path: str) -> bool:
    """Say whether a request is of a program."""
    return path.startswith(PREFIX)


def problem(error: Exception) -> Response:
    """Turn any exception into an answer; what is our fault is logged, with type and place only."""
    headers: dict[str, str] = {}
    field, status, code = "", 500, "broken"
    if isinstance(error, BadRequest):
        status, code, field = error.status, error.code, error.field
    elif isinstance(error, CryptnSendError):
        status, code = next(((found, word) for kind, found, word in KINDS if isinstance(error, kind)), (500, "broken"))
    elif isinstance(error, HTTPException):
        status = error.code or 500
        code = http.HTTPStatus(status).phrase.lower().replace(" ", "-")
        if methods := getattr(error, "valid_methods", None):
            headers["Allow"] = ", ".join(sorted(methods))
    if isinstance(error, NotAllowed) and error.scope:
        code = "scope-missing"
        headers["WWW-Authenticate"] = f'{REALM}, error="insufficient_scope", scope="{error.scope}"'
    elif status == 401:
        headers["WWW-Authenticate"] = REALM
    if isinstance(error, Throttled):
        headers["Retry-After"] = str(error.retry_after)
    elif status in (429, 503):
        headers["Retry-After"] = str(DAY_LIMIT if isinstance(error, Enough) else 60)
    if status >= 500:
        log.error("request failed", route=request.endpoint or "none", exc_info=error)
    own = isinstance(error, CryptnSendError) and status not in (401, 404, 503) and status < 500
    return answer(status, code, str(error) if own else "", field, headers)


def answer(
    status: int, code: str, detail: str = "", field: str = "", headers: dict[str, str] | None = None
) -> Response:
    """Return a problem document."""
    title = http.HTTPStatus(status).phrase
    said = detail or DETAILS.get(status) or f"{title}."
    body = Problem(
        type=f"urn:cryptnsend:problem:{code}", title=title, status=status, detail=said, code=code, field=field
    )
    made = Response(msgspec.json.encode(body), status, mimetype=TYPE)
    made.headers.update(headers or {})
    made.headers.update(g.get("rate_headers") or {})
    return made

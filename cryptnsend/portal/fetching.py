"""How does a reader get a file that rests beside a message? By a button, then with any program that goes on.

The button, a POST, counts the download and leads to an address with a ticket. From there the file comes whole or in
ranges (RFC 9110 §14), as often as a connection breaks; HEAD, ranges and tries again count nothing. The ticket of
somebody who is signed in is good in their session only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import structlog
from flask import Blueprint, Response, redirect, request, stream_with_context, url_for

from cryptnsend.core import ranges
from cryptnsend.core.errors import CryptnSendError
from cryptnsend.portal.desk import desk
from cryptnsend.portal.flows_files import Download
from cryptnsend.portal.letters import harmless, name_file
from cryptnsend.portal.security import check_form
from cryptnsend.portal.visits import needs_session, signed_in, visitor

blueprint = Blueprint("fetching", __name__)

log = structlog.stdlib.get_logger(__name__)


@blueprint.before_request
def _check() -> None:
    if visitor() is not None:
        check_form()


@blueprint.post("/messages/<int:message>/beside/<int:file>")
@needs_session
def begin(message: int, file: int) -> Any:
    """Count a download of a file beside a message, and lead to it."""
    return redirect(url_for("fetching.fetch", ticket=desk().downloads.begin(signed_in(), message, file)), 303)


@blueprint.get("/download/<ticket>")
def fetch(ticket: str) -> Response:
    """Hand over a file, or the range of it that is asked for."""
    return handed_over(desk().downloads.get(ticket, visitor()))


def handed_over(file: Download) -> Response:
    """Return a file, or the range of it that is asked for, as an attachment that no browser opens by itself."""
    is_head = request.method == "HEAD"
    try:
        # Range has a meaning for GET only (RFC 9110 §14.2).
        part = None if is_head else ranges.wanted(
            request.headers.get("Range"), file.size, if_range=request.headers.get("If-Range"), tag=file.tag
        )  # fmt: skip
    except ranges.Unsatisfiable:
        return Response(status=416, headers={"Content-Range": f"bytes */{file.size}"})
    start, end = part or (0, file.size)
    octets: Iterator[bytes] = iter(()) if is_head else _watched(file.octets(start, end))
    response = Response(stream_with_context(octets), 206 if part else 200, mimetype=harmless(file.media_type))
    response.content_length = end - start
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["ETag"] = file.tag
    if part:
        response.headers["Content-Range"] = part.told(file.size)
    return name_file(response, file.name)


def _watched(octets: Iterator[bytes]) -> Iterator[bytes]:
    """Pass on octets; what cannot be read any more ends short of its length, so that no program takes it for whole."""
    try:
        yield from octets
    except CryptnSendError as error:
        log.error("a download broke off", why=type(error).__name__)

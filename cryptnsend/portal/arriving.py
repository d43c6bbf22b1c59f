"""How does a large file come up from a page, over a connection that breaks? By tus 1.0 (https://tus.io/protocols).

`POST` begins a file, `HEAD` tells how much of it is here, `PATCH` adds what follows, `DELETE` forgets it; what nobody
goes on with ends after a day. What is said to be here is sealed and durable, whatever happens to the connection or to
this process. A file that is whole goes along with the form of a draft, which names it.

A script speaks to these addresses, and carries the form token in a header. To anybody but its owner a file is not
there.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from flask_babel import gettext
from werkzeug.exceptions import ClientDisconnected
from werkzeug.http import http_date

from cryptnsend.core.errors import NoGrant, Refusal
from cryptnsend.flow.uploading import Crowded, Moved
from cryptnsend.flow.views import Arriving
from cryptnsend.portal.beside import most_octets, shared_octets
from cryptnsend.portal.desk import desk
from cryptnsend.portal.language import say
from cryptnsend.portal.security import check_form
from cryptnsend.portal.uploads import safe_media_type, safe_name
from cryptnsend.portal.visits import is_subscriber, signed_in, visitor
from cryptnsend.portal.writing import nonce_of, number_of

blueprint = Blueprint("arriving", __name__)

VERSION = "1.0.0"
EXTENSIONS = "creation,termination,expiration"
OCTETS = "application/offset+octet-stream"
BLOCK = 256 * 1024  # octets of a body that are in hand at once
LONGEST = 8192  # characters of what is said about a file


@blueprint.before_request
def _check() -> Any:
    """Let in whoever speaks this protocol, is signed in and carries the form token."""
    if request.method == "OPTIONS":
        return None
    if request.headers.get("Tus-Resumable") != VERSION:
        return _answer(412, {"Tus-Version": VERSION})
    if visitor() is None:
        return redirect(url_for("account.sign_in"), 303)
    if request.method == "PATCH":
        request.max_content_length = _most()
    check_form()
    return None


@blueprint.after_request
def _say_version(response: Response) -> Response:
    response.headers["Tus-Resumable"] = VERSION
    return response


@blueprint.route("/uploads", methods=["OPTIONS"], provide_automatic_options=False)
def options() -> Response:
    """Say what is understood here."""
    figures = {"Tus-Version": VERSION, "Tus-Extension": EXTENSIONS}
    return _answer(204, figures | ({"Tus-Max-Size": str(_most())} if visitor() is not None else {}))


@blueprint.post("/uploads", provide_automatic_options=False)
def begin() -> Response:
    """Begin a file, or go on with the one that the same request began."""
    size, said = _number("Upload-Length"), _metadata()
    if size is None or said is None:
        return _refuse(400, gettext("It is not said how large this file is, or what it is."))
    parent = number_of(said.get("parent", ""))
    if size > _most(answers=bool(parent)):
        return _refuse(413, gettext("This file is too large."))
    try:
        found = desk().uploads.begin(
            signed_in(), safe_name(said.get("filename", "")), safe_media_type(said.get("filetype", "")), size,
            nonce=nonce_of(said.get("nonce", "")), parent=parent,
            may_share=not parent and shared_octets() > 0,
        )  # fmt: skip
    except Crowded as crowded:
        return _refuse(429, say(crowded))
    except Refusal as refused:
        return _refuse(409, say(refused))
    return _answer(201, {"Location": url_for("arriving.look", upload=found.id), **_told(found)})


@blueprint.route("/uploads/<int:upload>", methods=["HEAD"], provide_automatic_options=False)
def look(upload: int) -> Response:
    """Tell how much of a file is here."""
    found = _own(upload)
    if found is None:
        return _answer(404)
    return _answer(200, {**_told(found), "Upload-Length": str(found.size), "Cache-Control": "no-store"})


@blueprint.patch("/uploads/<int:upload>", provide_automatic_options=False)
def append(upload: int) -> Response:
    """Add what follows, and tell how much is here then; what came before a connection broke stays."""
    found, start = _own(upload), _number("Upload-Offset")
    if found is None:
        return _answer(404)
    if request.mimetype != OCTETS or start is None:
        return _answer(415 if request.mimetype != OCTETS else 400)
    if start != found.arrived:
        return _answer(409, _told(found))
    if start + (request.content_length or 0) > found.size:
        return _answer(413)
    try:
        found = desk().uploads.append(signed_in(), upload, start, _body())
    except Moved:
        return _answer(409)
    except NoGrant:
        return _answer(404)
    except Refusal:
        return _answer(413)
    return _answer(204, _told(found))


@blueprint.delete("/uploads/<int:upload>", provide_automatic_options=False)
def drop(upload: int) -> Response:
    """Forget a file."""
    try:
        desk().uploads.drop(signed_in(), upload)
    except NoGrant:
        return _answer(404)
    return _answer(204)


def _own(upload: int) -> Arriving | None:
    try:
        return desk().uploads.look(signed_in(), upload)
    except NoGrant:
        return None


def _body() -> Iterator[bytes]:
    while True:
        try:
            block = request.stream.read(BLOCK)
        except (ClientDisconnected, OSError):
            return  # nobody hears the answer; whoever comes back asks how much is here
        if not block:
            return
        yield block


def _most(*, answers: bool = False) -> int:
    """Return how many octets a file may have: as much as goes with a message or rests beside it, or with a reply."""
    replies = desk().config.limits.reply_octets
    if not is_subscriber(visitor()):
        return replies
    return max(replies, most_octets(), 0 if answers else shared_octets())


def _told(found: Arriving) -> dict[str, str]:
    return {"Upload-Offset": str(found.arrived), "Upload-Expires": http_date(found.ends // 1000)}


def _answer(status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(status=status, headers=headers)


def _refuse(status: int, words: str) -> Response:
    return Response(words, status, mimetype="text/plain")


def _number(header: str) -> int | None:
    typed = request.headers.get(header, "")
    return int(typed) if typed.isascii() and typed.isdecimal() and len(typed) < 16 else None


def _metadata() -> dict[str, str] | None:
    """Return what Upload-Metadata says, by its keys; None if it cannot be read."""
    said, found = request.headers.get("Upload-Metadata", ""), {}
    if len(said) > LONGEST:
        return None
    for each in said.split(","):
        key, _, value = each.strip().partition(" ")
        try:
            found[key] = base64.b64decode(value, validate=True).decode()
        except ValueError:  # no base64, not even ASCII, or no UTF-8
            return None
    return found

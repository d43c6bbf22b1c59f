"""How does a practice's own system send, look what became of it, and take it back? JSON over HTTPS, by a token.

No cookie counts here and no answer lets another site's script read it, so that a browser that is signed in can be led
to nothing. Errors are problem documents. Files come as multipart/form-data and stream into the sealer; JSON is small
and stays in memory, so that nothing readable touches the disk.
"""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Blueprint, Response, current_app, g, request
from werkzeug.exceptions import RequestEntityTooLarge

from cryptnsend.core.errors import NoGrant
from cryptnsend.flow.api_mail import Told
from cryptnsend.flow.api_tokens import Program
from cryptnsend.portal import api_document
from cryptnsend.portal.api_problems import answer, problem
from cryptnsend.portal.api_rates import Rates
from cryptnsend.portal.api_shapes import (
    JSON_OCTETS,
    LONGEST_PAGE,
    PAGE,
    BadRequest,
    Expiry,
    Message,
    MessagePage,
    MessageStatus,
    read,
)
from cryptnsend.portal.beside import most_octets
from cryptnsend.portal.desk import desk
from cryptnsend.portal.flows_programs import Api
from cryptnsend.portal.security import FILE_POLICY
from cryptnsend.portal.uploads import uploads
from cryptnsend.portal.visits import source

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")
blueprint.register_error_handler(Exception, problem)

FORM_EXTRA = 64 * 1024  # octets of a form besides its files and its JSON
KEY = 128  # characters
TOKENLESS = ("api.document",)
RATES = "cryptnsend-api-rates"


def flows() -> Api:
    """Return what is done for programs."""
    found = desk().pieces.api
    assert found is not None  # noqa: S101 - whoever serves these pages hands it over
    return found


@blueprint.before_request
def _admit() -> Response | None:
    """Let in who shows a token, and not too often."""
    request.max_content_length = JSON_OCTETS
    if request.endpoint in TOKENLESS:
        return None
    kind, _, shown = request.headers.get("Authorization", "").partition(" ")
    text = shown.strip() if kind.lower() == "bearer" else ""
    g.program = flows().tokens.authenticate(text, source())
    rates: Rates = current_app.extensions.setdefault(RATES, Rates())
    most = desk().config.api.requests_per_minute
    left, seconds = rates.count(g.program.token, desk().now(), most)
    g.rate_headers = {
        "RateLimit-Limit": str(most), "RateLimit-Remaining": str(max(left, 0)), "RateLimit-Reset": str(seconds)
    }  # fmt: skip
    if left < 0:
        return answer(
            429, "too-many-requests", f"A token may make {most} requests in a minute. Wait {seconds} seconds.",
            headers={"Retry-After": str(seconds)},
        )  # fmt: skip
    return None


@blueprint.get("/openapi.json")
def document() -> Response:
    """Describe what there is (OpenAPI 3.1)."""
    return _json(api_document.document(desk().config.portal.base_url or request.host_url.rstrip("/")))


@blueprint.post("/messages")
def send() -> Response:
    """Send a message."""
    program = _for("send")
    key = request.headers.get("Idempotency-Key", "")
    if not key.isprintable() or not key.isascii() or not 1 <= len(key) <= KEY:
        raise BadRequest(
            f"Send a header field Idempotency-Key of 1 to {KEY} characters, a new one for each message: what is "
            "repeated with the same one is sent once.", "key-missing", "Idempotency-Key",
        )  # fmt: skip
    files: list[Any] = []
    if request.mimetype == "multipart/form-data":
        written, files = _form()
    else:
        written = read(Message, _body())
    if not (written.to or written.cc or written.bcc):
        raise BadRequest("Name somebody who is to get it.", "invalid", "to", 422)
    if not (written.text.strip() or written.html.strip() or files):
        raise BadRequest("There is nothing to send: give a text, an HTML body or a file.", "invalid", "text", 422)
    told = flows().mail.send(program, written.letter(), files, key.encode())
    made = _message(told, 200 if told.repeated else 201)
    made.headers["Location"] = f"/api/v1/messages/{told.message}"
    return made


@blueprint.get("/messages")
def listing() -> Response:
    """List what the subscriber sent, newest first."""
    program = _for("list")
    _only("cursor", "limit")
    limit = _number("limit", PAGE, 1, LONGEST_PAGE)
    before = _number("cursor", 0, 1, (1 << 63) - 1) or None
    found = flows().mail.listing(program, before, limit + 1)
    shown = found[:limit]
    following = str(shown[-1].message) if len(found) > limit else None
    return _json(MessagePage(messages=[MessageStatus.of(each) for each in shown], next=following))


@blueprint.get("/messages/<ident>")
def status(ident: str) -> Response:
    """Say what became of a message."""
    return _message(flows().mail.status(_for("status"), _id(ident)))


@blueprint.post("/messages/<ident>/expire")
def expire(ident: str) -> Response:
    """Take a message back from one recipient or from everybody."""
    program = _for("expire")
    wanted = read(Expiry, _body()) if request.content_length or request.mimetype else Expiry()
    address = wanted.recipient if isinstance(wanted.recipient, str) else None
    return _message(flows().mail.expire(program, _id(ident), address))


# ---- what came ------------------------------------------------------------------------------------------------------


def _for(scope: str) -> Program:
    program: Program = g.program
    flows().tokens.check_scope(program, scope)
    return program


def _body() -> bytes:
    """Return the JSON text of a request; raise `BadRequest` for another type or charset."""
    if request.mimetype != "application/json":
        raise BadRequest("Send application/json, or multipart/form-data with files.", "type-wrong", "Content-Type", 415)
    if {name.lower(): value.lower() for name, value in request.mimetype_params.items()}.get("charset", "utf-8") not in (
        "utf-8",
        "utf8",
    ):
        raise BadRequest("JSON is written in UTF-8 (RFC 8259 section 8.1).", "type-wrong", "Content-Type", 415)
    if request.content_encoding:
        raise BadRequest("Send the content as it is, not compressed.", "type-wrong", "Content-Encoding", 415)
    return request.get_data(cache=False)


def _form() -> tuple[Message, list[Any]]:
    """Return the message and the files of a form; its parts are `message`, once, and `file`."""
    request.max_content_length = most_octets() + JSON_OCTETS + FORM_EXTRA
    request.max_form_memory_size = JSON_OCTETS + FORM_EXTRA
    fields, files = request.form, request.files
    for name in (*fields, *files):
        if name != ("message" if name in fields else "file"):
            raise BadRequest(f"There is no part {name[:64]!r}: send message, and files as file.", "invalid", name, 422)
    if len(fields.getlist("message")) != 1:
        raise BadRequest("Send the message as one part named message, in JSON.", "invalid", "message", 422)
    chosen = uploads(files.getlist("file"))
    if sum(each.size for each in chosen) > most_octets():
        raise RequestEntityTooLarge
    return read(Message, fields["message"].encode("utf-8", "surrogatepass")), chosen


def _only(*names: str) -> None:
    for name in request.args:
        if name not in names:
            raise BadRequest(f"There is no parameter {name[:64]!r}.", "invalid", name, 422)
        if len(request.args.getlist(name)) != 1:
            raise BadRequest(f"The parameter {name} stands there twice.", "invalid", name, 422)


def _number(name: str, usual: int, low: int, high: int) -> int:
    typed = request.args.get(name)
    if typed is None:
        return usual
    if not (typed.isascii() and typed.isdecimal() and len(typed) < 20 and low <= int(typed) <= high):
        raise BadRequest(f"{name} is a number from {low} to {high}.", "invalid", name, 422)
    return int(typed)


def _id(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and int(text) < 1 << 63):
        raise NoGrant("There is no such message.")
    return int(text)


# ---- what leaves ----------------------------------------------------------------------------------------------------


def _message(told: Told, status: int = 200) -> Response:
    return _json(MessageStatus.of(told), status)


def _json(value: Any, status: int = 200) -> Response:
    made = Response(msgspec.json.encode(value), status, mimetype="application/json")
    made.headers["Content-Security-Policy"] = FILE_POLICY
    made.headers.update(g.get("rate_headers") or {})
    return made

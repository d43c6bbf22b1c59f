"""How is an attachment looked at without saving it? Pictures, PDF and plain text, and nothing else.

What a file is, its first octets say; its name and type only offer the link. The octets go out under a policy that lets
nothing run and fetches nothing, so a file that lies about itself is a broken picture and no more. PDFs are shown by the
browser's own viewer, which is a sandbox besides.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from itertools import chain
from typing import Any

from flask import Blueprint, Response, abort, redirect, render_template, request, stream_with_context, url_for

from cryptnsend.core.errors import NoGrant
from cryptnsend.flow.views import File, Letter
from cryptnsend.portal.desk import desk
from cryptnsend.portal.security import FILE_POLICY
from cryptnsend.portal.visits import needs_session, signed_in, visitor

blueprint = Blueprint("looking", __name__)

MOST_OCTETS = 32 * 1024 * 1024  # larger files are saved, not shown
MOST_TEXT = 400_000  # octets of a text shown on a page
SHOWN_POLICY = FILE_POLICY.replace("frame-ancestors 'none'", "frame-ancestors 'self'")
MAGIC = (  # how a file of each shown type begins
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
)
LONGEST_MAGIC = 12
TEXTS = ("txt", "csv", "log", "md")


@blueprint.before_request
def _check() -> Response | None:
    """Answer HEAD with nothing: nobody has seen a file then."""
    return Response() if request.method == "HEAD" and visitor() is not None else None


@blueprint.get("/messages/<int:message>/files/<part>/look")
@needs_session
def look(message: int, part: str) -> Any:
    """Show one attachment on a page."""
    letter, file = _found(message, part)
    kind = shown_as(file)
    if not kind:
        return redirect(url_for("letters.read", message=message), 303)
    text, cut = _words(desk().pickup.part(signed_in(), message, part).chunks) if kind == "text" else ("", False)
    return render_template("look.html", letter=letter, file=file, kind=kind, text=text, cut=cut)


@blueprint.get("/messages/<int:message>/files/<part>/shown")
@needs_session
def shown(message: int, part: str) -> Any:
    """Hand over the octets of a picture or PDF for that page."""
    found = desk().pickup.part(signed_in(), message, part)
    chunks = found.chunks
    first = b""
    for chunk in chunks:
        first += chunk
        if len(first) >= LONGEST_MAGIC:
            break
    media_type = what_it_is(first)
    if not media_type:
        abort(404)
    response = Response(stream_with_context(chain([first], chunks)), mimetype=media_type)
    if found.size is not None:  # what breaks off is not taken for a whole picture then
        response.content_length = found.size
    response.headers["Content-Disposition"] = "inline"
    response.headers["Content-Security-Policy"] = SHOWN_POLICY
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response


def shown_as(file: File) -> str:
    """Return how an attachment is shown on a page, picture, pdf or text, "" if it can only be saved."""
    if file.dangerous or file.size > MOST_OCTETS:
        return ""
    kind, ending = file.media_type.lower(), file.name.rpartition(".")[2].lower()
    if kind in ("image/png", "image/jpeg", "image/gif", "image/webp"):
        return "picture"
    if kind == "application/pdf" or (kind == "application/octet-stream" and ending == "pdf"):
        return "pdf"
    return "text" if kind in ("text/plain", "text/csv") or (kind.startswith("text/") and ending in TEXTS) else ""


def what_it_is(octets: bytes) -> str:
    """Return the media type that the beginning of a file shows, "" for what is never shown."""
    if octets[:4] == b"RIFF" and octets[8:12] == b"WEBP":
        return "image/webp"
    return next((media_type for magic, media_type in MAGIC if octets.startswith(magic)), "")


def _found(message: int, part: str) -> tuple[Letter, File]:
    letter = desk().pickup.show(signed_in(), message)
    for each in letter.files:
        if each.part == part:
            return letter, each
    raise NoGrant("There is no such attachment here.")


def _words(chunks: Iterator[bytes]) -> tuple[str, bool]:
    """Return the beginning of a text file, and whether there is more of it."""
    gathered = bytearray()
    for chunk in chunks:
        gathered += chunk
        if len(gathered) > MOST_TEXT:
            break
    cut, octets = len(gathered) > MOST_TEXT, bytes(gathered[:MOST_TEXT])
    encoding = "utf-16" if octets[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(octets, final=not cut)
    except UnicodeDecodeError:
        text = octets.decode("cp1252", "replace")
    return text.replace("\r\n", "\n").replace("\x00", ""), cut

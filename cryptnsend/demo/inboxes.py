"""What is in the inboxes of the demo's Internet? A small webmail on loopback that shows them in the browser.

Everything shown was written by strangers, as far as this page is concerned: text is escaped, HTML runs in a sandboxed
frame without scripts and without the network, files are only ever downloaded. It changes nothing and has no sign-in,
so it answers on loopback and under loopback's names only.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import EmailMessage

from flask import Flask, Response, abort, jsonify, render_template, request, send_from_directory
from markupsafe import Markup, escape
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.wrappers import Response as AnyResponse

from cryptnsend.demo.internet import HOST, Internet, Mail

PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; frame-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# A mail's own HTML: its styles and its inline pictures, links that open a new tab, nothing else.
MAIL_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    "img-src data:; form-action 'none'; frame-ancestors 'self'"
)
_LINK = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)\]]")


@dataclass(frozen=True, slots=True)
class Attachment:
    """One file of a mail; `number` is its place among them from 0."""

    number: int
    name: str
    kind: str
    content: bytes

    @property
    def size(self) -> str:
        """The number of octets in words for people."""
        count = len(self.content)
        if count < 1024:
            return f"{count} bytes"
        return f"{count / 1024:.0f} KB" if count < 1 << 20 else f"{count / (1 << 20):.1f} MB"


@dataclass(frozen=True, slots=True)
class View:
    """What a page shows of one mail. What cannot be parsed is shown as its source."""

    mail: Mail
    author: str
    subject: str
    text: str | None
    html: str | None
    files: tuple[Attachment, ...]

    @property
    def fields(self) -> list[tuple[str, str]]:
        """Return the header fields that people look at."""
        wanted = ("From", "To", "Cc", "Reply-To", "Date", "Subject", "Message-ID", "In-Reply-To", "Auto-Submitted")
        return [(name, value) for name in wanted for value in _values(self.mail.octets, name)]

    @property
    def source(self) -> str:
        """Return the beginning of the octets as text."""
        return self.mail.octets[:200_000].decode("utf-8", "replace")


def view_of(mail: Mail) -> View:
    """Read a mail for showing; never raises, whatever is in it."""
    try:
        parsed = mail.parsed
        text, html = _body(parsed, "plain"), _body(parsed, "html")
        files = tuple(_files(parsed))
        author, subject = str(parsed.get("From", "")), str(parsed.get("Subject", ""))
    except Exception:  # the library's parser raises all kinds on one real mail in 200
        return View(mail, "(cannot be read)", "(cannot be displayed, see its source)", None, None, ())
    return View(mail, author or "(no sender)", subject or "(no subject)", text, html, files)


def _body(parsed: EmailMessage, kind: str) -> str | None:
    part = parsed.get_body((kind,))
    content = part.get_content() if part is not None else None
    return content if isinstance(content, str) else None


def _files(parsed: EmailMessage) -> Iterator[Attachment]:
    for number, part in enumerate(parsed.iter_attachments()):
        content = part.get_payload(decode=True)
        if not isinstance(content, bytes):  # an attached message
            content = b"".join(inner.as_bytes() for inner in part.iter_parts()) or part.as_bytes()
        yield Attachment(number, part.get_filename() or f"part-{number + 1}", part.get_content_type(), content)


def _values(octets: bytes, name: str) -> list[str]:
    """Return the values of a field, unfolded, and encoded-words decoded where that works."""
    header = octets.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
    found = re.findall(rf"^{name}:[ \t]*(.*(?:\r\n[ \t].*)*)", header, re.IGNORECASE | re.MULTILINE)
    return [_decoded(re.sub(r"\r\n[ \t]+", " ", value).strip()) for value in found]


def _decoded(value: str) -> str:
    try:
        return str(make_header(decode_header(value)))
    except (LookupError, ValueError, HeaderParseError):
        return value


def linked(text: str) -> Markup:
    """Escape text and make its web addresses clickable."""
    anchor = Markup('<a href="{0}" target="_blank" rel="noopener noreferrer">{0}</a>')
    parts: list[Markup] = []
    end = 0
    for found in _LINK.finditer(text):
        parts += [escape(text[end : found.start()]), anchor.format(found[0])]
        end = found.end()
    return Markup("").join([*parts, escape(text[end:])])


def framed(html: str) -> str:
    """Return a mail's HTML so that its links open in a tab of their own."""
    base = '<base target="_blank"><meta name="referrer" content="no-referrer">'
    head = re.search(r"<head[^>]*>", html, re.IGNORECASE)
    return html[: head.end()] + base + html[head.end() :] if head else base + html


def pages(internet: Internet) -> Flask:
    """Return the webmail as a WSGI application."""
    app = Flask(__name__, template_folder="pages", static_folder=None)
    app.jinja_env.filters.update(linked=linked, clock=_clock, provider=_provider)

    @app.before_request
    def own_name_only() -> AnyResponse | None:
        # A page in the same browser could otherwise read this one through a name of its own that means 127.0.0.1.
        if request.host.rpartition(":")[0] not in (HOST, "localhost"):
            return Response("This page answers on loopback only.\n", 421, mimetype="text/plain")
        return None

    @app.after_request
    def guarded(response: AnyResponse) -> AnyResponse:
        response.headers.setdefault("Content-Security-Policy", PAGE_POLICY)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-store"
        return response

    @app.context_processor
    def everywhere() -> dict[str, object]:
        boxes = [(address, len(internet.inbox(address))) for address in internet.addresses()]
        return {"boxes": boxes, "version": internet.version(), "refused": len(internet.refusals())}

    def mail_or_404(number: int) -> Mail:
        return internet.mail(number) or abort(404)

    @app.get("/")
    def start() -> str | AnyResponse:
        return render_template("start.html", address=None)

    @app.get("/inbox/<path:address>")
    def inbox(address: str) -> str:
        mails = [view_of(mail) for mail in reversed(internet.inbox(address))]
        return render_template("inbox.html", address=address, mails=mails)

    @app.get("/refused")
    def refused() -> str:
        return render_template("refused.html", address=None, refusals=internet.refusals()[::-1])

    @app.get("/mail/<int:number>")
    def mail(number: int) -> str:
        view = view_of(mail_or_404(number))
        shown = request.args.get("show", "")
        if shown not in ("html", "text", "source") or not getattr(view, shown):
            shown = "html" if view.html else "text" if view.text else "source"
        return render_template("mail.html", address=view.mail.recipient.lower(), view=view, shown=shown)

    @app.get("/mail/<int:number>/html")
    def html(number: int) -> AnyResponse:
        view = view_of(mail_or_404(number))
        if view.html is None:
            abort(404)
        return Response(framed(view.html), mimetype="text/html", headers={"Content-Security-Policy": MAIL_POLICY})

    @app.get("/mail/<int:number>.eml")
    def source(number: int) -> AnyResponse:
        return _download(mail_or_404(number).octets, f"mail-{number}.eml")

    @app.get("/mail/<int:number>/file/<int:place>")
    def file(number: int, place: int) -> AnyResponse:
        files = view_of(mail_or_404(number)).files
        if place >= len(files):
            abort(404)
        return _download(files[place].content, files[place].name)

    @app.get("/version")
    def version() -> AnyResponse:
        return jsonify(internet.version())

    @app.get("/favicon.ico")
    def icon() -> AnyResponse:
        # Browsers ask for it beside a page that is no HTML, as the source of a mail.
        return static_file("icon.svg")

    @app.get("/page/<name>")
    def static_file(name: str) -> AnyResponse:
        if name not in ("style.css", "live.js", "icon.svg"):
            abort(404)
        return send_from_directory(f"{app.root_path}/pages", name)

    return app


class InboxPages:
    """Serves the webmail on loopback from a thread of its own."""

    def __init__(self, internet: Internet, *, port: int = 0):
        self._server: BaseWSGIServer = make_server(
            HOST, port, pages(internet), threaded=True, request_handler=_QuietHandler
        )
        self._thread = threading.Thread(target=self._server.serve_forever, name="inboxes", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where the start page is."""
        return f"http://{HOST}:{self._server.port}/"

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _QuietHandler(WSGIRequestHandler):
    """Keeps addresses of pages, which name mail addresses, off the terminal."""

    def log(self, type: str, message: str, *args: object) -> None:
        """Drop the line."""


def _download(content: bytes, name: str) -> AnyResponse:
    """Offer octets as a file, whatever their sender says they are; the name keeps harmless characters only."""
    safe = re.sub(r"[^\w. -]", "_", name.replace("\\", "/").rpartition("/")[2]).strip(". ")[:120] or "file"
    response = Response(content, mimetype="application/octet-stream")
    response.headers.set("Content-Disposition", "attachment", filename=safe)
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


def _clock(milliseconds: int) -> str:
    """Show a time of today as people here read it."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone().strftime("%H:%M:%S")


def _provider(address: str) -> str:
    """Return the name by which the style sheet knows the provider of an address."""
    name = address.rpartition("@")[2].partition(".")[0].lower()
    return name if name in ("gmail", "yahoo", "outlook", "icloud", "hospital") else "other"

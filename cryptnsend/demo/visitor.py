"""How does the demo use the portal as a person does? A browser without scripts: cookies, links and forms.

It follows redirects, fills in the fields of forms as they stand on the page, and sends what a browser would send. What
is not on the page cannot be pressed.
"""

from __future__ import annotations

import http.client
import re
import secrets
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urljoin, urlsplit


class NotOnThePage(Exception):
    """What the story wants to press or read is not there; the text says on which page."""


@dataclass(slots=True)
class Form:
    """A form with the values it would send untouched."""

    action: str
    method: str
    kind: str
    values: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str, str]] = field(default_factory=list)  # name, value, words
    files: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Page:
    """What came back: status, final path, headers, octets, and the page as a reader meets it."""

    status: int
    path: str
    headers: Mapping[str, str]
    octets: bytes
    forms: list[Form] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)  # href, words
    frames: list[str] = field(default_factory=list)

    @property
    def html(self) -> str:
        return self.octets.decode("utf-8", "replace")

    @property
    def words(self) -> str:
        """Return the page's text, white space as single spaces."""
        reader = _Reader("")
        reader.feed(self.html)
        return " ".join(" ".join(reader.said).split())

    def form(self, *, with_field: str = "", action: str = "") -> Form:
        """Return the first form that has this field, or whose action contains *action*."""
        for each in self.forms:
            names = {name for name, _ in each.values} | set(each.files)
            if (with_field and with_field in names) or (action and action in each.action):
                return each
        raise NotOnThePage(f"{self.path} has no form with {with_field or action!r} (status {self.status})")

    def link(self, part: str) -> str:
        """Return the first link whose address contains *part*."""
        for href, _ in self.links:
            if part in href:
                return href
        raise NotOnThePage(f"{self.path} has no link to {part!r} (status {self.status})")


class Visitor:
    """One person's browser."""

    def __init__(self, base_url: str, context: ssl.SSLContext, *, agent: str = "Demo/1 (no script)"):
        self._base, self._context, self._agent = base_url, context, agent
        self._cookies: dict[str, str] = {}

    def get(self, path: str) -> Page:
        """Follow a link."""
        return self._go("GET", path, b"", "")

    def send(
        self,
        page: Page,
        form: Form,
        *,
        button: str = "",
        files: Sequence[tuple[str, str, str, bytes]] = (),
        **values: str,
    ) -> Page:
        """
        Fill in and send a form of *page*; *button* is the name of the button pressed.

        *files* are (field, file name, media type, octets).
        """
        filled = [(name, values.pop(name, value)) for name, value in form.values]
        filled += list(values.items())
        if button:
            filled += [(name, value) for name, value, _ in form.buttons if name == button][:1]
        target = urljoin(page.path, form.action or page.path)
        if form.method == "get":
            return self._go("GET", f"{target}?{urlencode(filled)}", b"", "")
        if form.kind == "multipart/form-data":
            boundary = secrets.token_hex(16)
            body = _multipart(boundary, filled, files)
            return self._go("POST", target, body, f"multipart/form-data; boundary={boundary}")
        return self._go("POST", target, urlencode(filled).encode(), "application/x-www-form-urlencoded")

    def _go(self, method: str, path: str, body: bytes, kind: str) -> Page:
        for _ in range(10):
            page = self._once(method, path, body, kind)
            if page.status not in (301, 302, 303, 307, 308):
                return page
            path = urljoin(page.path, page.headers["location"])
            method, body, kind = "GET", b"", ""
        raise NotOnThePage(f"{path} redirects without end")

    def _once(self, method: str, path: str, body: bytes, kind: str) -> Page:
        target = urlsplit(urljoin(self._base, path))
        home = urlsplit(self._base)
        if (target.hostname, target.port) != (home.hostname, home.port):
            raise NotOnThePage(f"{path} leads to another host")
        connection = http.client.HTTPSConnection(target.hostname or "", target.port, timeout=30, context=self._context)
        headers = {"User-Agent": self._agent, "Origin": self._base, "Referer": self._base + "/", "Accept": "text/html"}
        if self._cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        if kind:
            headers["Content-Type"] = kind
        where = target.path + (f"?{target.query}" if target.query else "")
        try:
            connection.request(method, where, body=body if method == "POST" else None, headers=headers)
            answer = connection.getresponse()
            octets = answer.read()
        finally:
            connection.close()
        self._remember(answer.headers.get_all("set-cookie") or [])
        page = Page(answer.status, where, {name.lower(): value for name, value in answer.getheaders()}, octets)
        if "html" in page.headers.get("content-type", ""):
            reader = _Reader(where)
            reader.feed(page.html)
            page.forms, page.links, page.frames = reader.forms, reader.links, reader.frames
        return page

    def _remember(self, headers: Sequence[str]) -> None:
        for header in headers:
            cookie: SimpleCookie = SimpleCookie()
            cookie.load(header)
            for name, morsel in cookie.items():
                if morsel["max-age"] == "0" or not morsel.value:
                    self._cookies.pop(name, None)
                else:
                    self._cookies[name] = morsel.value


def _multipart(boundary: str, values: Sequence[tuple[str, str]], files: Sequence[tuple[str, str, str, bytes]]) -> bytes:
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in values
    ]
    for name, file, kind, octets in files:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{file}"\r\n'
        parts.append(f"{head}Content-Type: {kind}\r\n\r\n".encode() + octets + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode()


class _Reader(HTMLParser):
    """Reads forms, links, frames and words off a page."""

    def __init__(self, path: str):
        super().__init__()
        self._path = path
        self.forms: list[Form] = []
        self.links: list[tuple[str, str]] = []
        self.frames: list[str] = []
        self.said: list[str] = []
        self._form: Form | None = None
        self._area: str | None = None
        self._select: tuple[str, bool] | None = None
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        own = {name: value or "" for name, value in attrs}
        if tag in ("script", "style", "title"):
            self._silent += 1
        if tag == "a" and "href" in own:
            self.links.append((own["href"], ""))
        elif tag == "iframe" and "src" in own:
            self.frames.append(own["src"])
        elif tag == "form":
            kind = own.get("enctype", "application/x-www-form-urlencoded")
            self._form = Form(own.get("action", self._path), own.get("method", "get").lower(), kind)
            self.forms.append(self._form)
        elif self._form is not None:
            self._field(self._form, tag, own)

    def _field(self, form: Form, tag: str, own: dict[str, str]) -> None:
        name, value, kind = own.get("name", ""), own.get("value", ""), own.get("type", "text")
        if tag == "button":
            form.buttons.append((name, value, ""))
        elif tag == "textarea":
            self._area = name
            form.values.append((name, ""))
        elif tag == "select":
            self._select = (name, False)
        elif tag == "option" and self._select is not None:
            chosen, done = self._select
            if not done or "selected" in own:
                form.values = [pair for pair in form.values if pair[0] != chosen]
                form.values.append((chosen, value))
                self._select = (chosen, True)
        elif tag == "input" and kind == "file":
            form.files.append(name)
        elif tag == "input" and name and (kind not in ("radio", "checkbox") or "checked" in own) and kind != "submit":
            form.values.append((name, value))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style", "title"):
            self._silent -= 1
        elif tag == "form":
            self._form = None
        elif tag == "textarea":
            self._area = None
        elif tag == "select":
            self._select = None

    def handle_data(self, data: str) -> None:
        if self._area is not None and self._form is not None:
            name = self._area
            self._form.values = [(key, data.lstrip("\n") if key == name else value) for key, value in self._form.values]
        elif not self._silent:
            self.said.append(data)


def first_link(text: str, part: str) -> str:
    """Return the path of the first https link in a mail's text that contains *part*."""
    for found in re.findall(r"https://[^\s<>\"]+", text):
        if part in found:
            target = urlsplit(str(found))
            return target.path + (f"?{target.query}" if target.query else "")
    raise NotOnThePage(f"the mail has no link with {part!r}")

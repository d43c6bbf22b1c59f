"""Does a stranger's markup do anything in a real browser, on any page of the real portal?

Mails with hostile bodies, subjects, names and file names are read in chromium, in the reading frame and, what is worse,
with that frame as the page itself. A vector that runs calls `ran`; one that fetches meets a wall that remembers it.
"""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Iterator
from email.header import Header
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Dialog, Page, Route
from werkzeug.serving import make_server

from cryptnsend.portal.visits import SESSION_COOKIE
from tests.support.house import PASSWORD, House

from .browser import portal
from .conftest import MakeWorld
from .vectors import BODIES, HTML, LINES
from .world import ANN, PAT, World

pytestmark = pytest.mark.browser
HARMFUL = "canary-mark, script:not([nonce]):not([src]), [onerror], [onload], form[action*=evil], base[href]"


class Trap:
    """A browser context in which everything that must not happen is written down."""

    def __init__(self, browser: Browser, base: str, house: House, **values: Any):
        self.seen: list[str] = []
        self.base = base
        self.context = browser.new_context(base_url=base, ignore_https_errors=True, **values)
        self.context.expose_function("ran", lambda what="": self.seen.append(f"ran {what}"))
        self.context.route("**/*", self._wall)
        self.house = house
        self.page = self._page()

    def _page(self) -> Page:
        page = self.context.new_page()
        page.on("dialog", self._dialog)
        return page

    def _dialog(self, dialog: Dialog) -> None:
        self.seen.append("dialog")
        dialog.dismiss()

    def _wall(self, route: Route) -> None:
        url = route.request.url
        if url.startswith(self.base):
            route.continue_()
            return
        self.seen.append(f"request {url}")
        route.abort()

    def sign_in(self, address: str) -> None:
        """Give the browser a session of somebody."""
        cookie = self.house.accounts.sign_in(address, PASSWORD, "127.0.0.1", "chromium")
        self.context.add_cookies(
            [{"name": SESSION_COOKIE, "value": cookie, "url": self.base, "secure": True, "httpOnly": True}]
        )

    def look(self, path: str) -> list[str]:
        """Open a page, wait for what it might do, and return what is wrong with it."""
        self.seen.clear()
        self.page.goto(self.base + path, wait_until="load")
        wrong = [] if self.page.url.startswith(self.base) else [f"went to {self.page.url}"]
        for frame in self.page.frames:
            if found := frame.locator(HARMFUL).count():
                where = "the page" if frame is self.page.main_frame else "the frame"
                wrong.append(
                    f"{found} in {where}: {frame.locator(HARMFUL).first.evaluate('each => each.outerHTML')[:200]}"
                )
        return wrong + self.seen


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world(limits={"messages_per_day": 1000})


@pytest.fixture
def base(world: World) -> Iterator[str]:
    """The portal of a house on a port of its own."""
    house = world.house
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(house.config.tls.certificate, house.config.tls.key)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, portal(house), threaded=True, ssl_context=context)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"https://localhost:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def body(world: World, octets: bytes, head: bytes = b"", recipients: tuple[str, ...] = (PAT,)) -> int:
    """Submit a mail of Ann's with this body (its own header fields first)."""
    start = f"From: Ann <{ANN}>\r\nTo: {PAT}\r\n".encode() + (head or b"Subject: s\r\n") + b"MIME-Version: 1.0\r\n"
    return world.house.submit(ANN, recipients, start + octets)


def html(text: str) -> bytes:
    """Return a body of HTML with the header field that says so."""
    return b"Content-Type: text/html; charset=utf-8\r\n\r\n" + text.encode("utf-8", "replace") + b"\r\n"


def test_no_body_runs_fetches_or_leaves_its_frame(world: World, base: str, browser: Browser) -> None:
    """The vectors in groups, on the reading page and with the frame as the page itself."""
    trap = Trap(browser, base, world.house)
    trap.sign_in(PAT)
    # Those that swallow what follows come last in their group.
    texts = sorted(HTML.values(), key=lambda each: each.startswith(("<!--", "<plain", "<textarea", "<xmp", "<title")))
    mails = [body(world, html("<hr>".join(texts[n::9]))) for n in range(9)]
    mails.append(body(world, BODIES["svg by content id"]))
    wrong = [trap.look(f"/messages/{message}{tail}") for message in mails for tail in ("", "/letter")]
    assert [each for each in wrong if each] == []


@pytest.mark.long
def test_no_body_alone_runs_fetches_or_leaves_its_frame(world: World, base: str, browser: Browser) -> None:
    """Each vector on its own with the frame as the page; whole pages for those that aim at what is around the frame."""
    trap = Trap(browser, base, world.house)
    trap.sign_in(PAT)
    mails = {name: body(world, html(text)) for name, text in HTML.items()}
    mails |= {name: body(world, octets) for name, octets in BODIES.items()}
    wrong = {}
    for name, message in mails.items():
        found = trap.look(f"/messages/{message}/letter")
        if name in BODIES or any(word in name for word in ("breaking", "covers", "frame", "base", "names", "words")):
            found += trap.look(f"/messages/{message}") + trap.look(f"/messages/{message}?view=text")
        if found:
            wrong[name] = found
    assert wrong == {}


def test_the_trap_springs(world: World, base: str, browser: Browser) -> None:
    """The same vectors without our cleaning, in the same browser: most of them run or fetch."""
    trap = Trap(browser, base, world.house)
    caught = 0
    for text in HTML.values():
        trap.seen.clear()
        trap.page.set_content(f"<!doctype html><body>{text}")
        trap.page.wait_for_timeout(5)
        caught += bool(trap.seen)
        if caught > 15:
            break
    assert caught > 15


@pytest.mark.parametrize("lines", [LINES[:1], pytest.param(LINES, marks=pytest.mark.long)], ids=["one", "all"])
def test_no_subject_name_or_file_name_becomes_markup(
    world: World, base: str, browser: Browser, lines: list[str]
) -> None:
    """Every page that shows them, for the reader, the sender, a stranger with the link, and after recall."""
    house, readers, senders, strangers = world.house, [], [], []
    for n, line in enumerate(lines):
        coded = Header(line, "utf-8", maxlinelen=60, continuation_ws=" ").encode(linesep="\r\n")
        quoted = (
            line.replace("\\", "").replace('"', "").replace("\u2028", "").replace("\u2029", "").replace("\u0085", "")
        )
        head = f'Subject: {coded}\r\nCc: =?utf-8?q?x?= <{ANN}>, "{quoted}" <c{n}@aol.example>\r\n'.encode()
        parts = (
            b'Content-Type: multipart/mixed; boundary="m"\r\n\r\n--m\r\n\r\n' + line.encode() + b"\r\n--m\r\n"
            b"Content-Type: text/html; name*=utf-8''" + _percent(line + ".html") + b"\r\n"
            b"Content-Disposition: attachment; filename*=utf-8''" + _percent(line + ".html") + b"\r\n\r\n"
            b"<script>ran(1)</script>\r\n--m--\r\n"
        )
        message = body(world, parts, head, (PAT, f"c{n}@aol.example"))
        readers += [f"/messages/{message}{tail}" for tail in ("", "?view=text", "/zip", "/letter")]
        senders += [f"/sent/{message}", f"/messages/{message}"]
        strangers.append(f"/m/{house.link(message, f'c{n}@aol.example')}")
        house.tamper(
            "UPDATE deliveries SET state = 'failed', reply = :said WHERE message = :message", said=line, message=message
        )
        for path in (f"/sign-in?address={_percent(line).decode()}", f"/messages?before={_percent(line).decode()}"):
            strangers.append(path)
        senders.append(f"/setup?program={_percent(line).decode()}")
    ann, pat, nobody = (Trap(browser, base, house) for _ in range(3))
    ann.sign_in(ANN)
    pat.sign_in(PAT)
    wrong = {}
    for trap, paths in ((pat, [*readers, "/messages"]), (ann, [*senders, "/sent", "/messages"]), (nobody, strangers)):
        for path in paths:
            found = trap.look(path)
            if found:
                wrong[path] = found
    assert wrong == {}


@pytest.mark.parametrize("lines", [LINES[:1], pytest.param(LINES, marks=pytest.mark.long)], ids=["one", "all"])
def test_no_word_typed_into_a_form_becomes_markup(world: World, base: str, browser: Browser, lines: list[str]) -> None:
    """What pages show again: addresses, names, device names, replies, phone numbers, searches."""
    house = world.house
    ann, pat, nobody = (Trap(browser, base, house) for _ in range(3))
    ann.sign_in(ANN)
    pat.sign_in(PAT)
    message = world.write(ANN, PAT)
    wrong = []
    for line in lines:
        for trap, path, field in (
            (nobody, "/sign-in", "address"), (nobody, "/forgot", "address"), (nobody, "/sign-up", "name"),
            (ann, "/setup?program=other", "name"), (ann, "/account/profile", "name"),
            (ann, "/account/profile", "phone"),
            (pat, f"/messages/{message}", "text"),
        ):  # fmt: skip
            wrong += trap.look(path)
            form = trap.page.locator(f"form:has([name={field}])").last
            for box in form.locator("input[type=text], input[type=email], input:not([type]), textarea").all():
                box.fill(f"{line}@x" if field == "address" else line)
            with trap.page.expect_navigation():
                form.evaluate("form => { form.noValidate = true; form.requestSubmit() }")
            wrong += [f"{line} after {path}"] * trap.page.locator(HARMFUL).count() + trap.seen
    for path in (
        "/setup",
        "/setup?program=other",
        "/account/devices",
        "/account",
        "/account/profile",
        "/messages",
        "/sent",
    ):
        wrong += ann.look(path)
    assert wrong == []
    back = house.pickup.list(house.session(ANN))
    assert len(back) == len(lines)
    for entry in back:
        wrong += ann.look(f"/messages/{entry.message}") + ann.look(f"/messages/{entry.message}/letter")
    assert wrong == []


def _percent(text: str) -> bytes:
    return quote(text, safe="").encode()

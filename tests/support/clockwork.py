"""A house whose time passes by hand, its pages in a real browser, its mails in a tray: for stories that take days."""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page
from werkzeug.serving import make_server

from cryptnsend.demo.visitor import first_link
from cryptnsend.making import make_certificate
from tests.flow.conftest import DELIVERED, Answers, faces
from tests.portal.real import portal
from tests.support.house import HOUR, MINUTE, PASSWORD, House

__all__ = ["PASSWORD", "Reader", "Sender", "Stage", "opened"]


class Stage:
    """The house, where its pages are, and whoever looks at them."""

    def __init__(self, house: House, base: str, browser: Browser):
        self.house, self.base, self._browser = house, base, browser
        self.tray = Answers(DELIVERED)
        vars(house.courier)["courier"] = self.tray
        self._contexts: list[BrowserContext] = []

    def page(self, *, width: int = 360, language: str = "en-GB", scripts: bool = False) -> Page:
        """Open an empty page in a browser of its own."""
        context = self._browser.new_context(
            base_url=self.base, ignore_https_errors=True, java_script_enabled=scripts, locale=language,
            viewport={"width": width, "height": 780},
        )  # fmt: skip
        self._contexts.append(context)
        context.set_default_timeout(20_000)
        return context.new_page()

    def deliver(self) -> None:
        """Let everything leave that is due."""
        self.house.courier.deliver.once()

    def live(self, milliseconds: int, step: int = 6 * HOUR) -> None:
        """Let time pass with upkeep and courier at work."""
        for _ in range(-(-milliseconds // step)):
            self.house.clock.forward(step)
            self.house.upkeep.once()
            self.deliver()

    def mails(self, address: str) -> list[EmailMessage]:
        """Return what was mailed to an address, oldest first."""
        return self.tray.mails(address)

    def words(self, address: str) -> str:
        """Return the newest mail's words as one line."""
        return " ".join(faces(self.mails(address)[-1])[0].split())

    def link(self, address: str, kind: str = "/m/") -> str:
        """Return the path that the newest mail leads to."""
        return first_link(faces(self.mails(address)[-1])[0], kind)

    def code(self, address: str) -> str:
        """Return the digits that stand alone on a line of the newest mail."""
        lines = [line.strip() for line in faces(self.mails(address)[-1])[0].splitlines()]
        return next(line.replace(" ", "") for line in lines if line.replace(" ", "").isdigit())

    def close(self) -> None:
        """Close the browsers, and what the courier holds."""
        for each in self._contexts:
            each.close()
        self.house.courier.deliver.close()


class Reader:
    """A recipient's pages, from the link on."""

    def __init__(self, stage: Stage, address: str, **values: Any):
        self.stage, self.address, self.page = stage, address, stage.page(**values)

    def follow(self) -> None:
        """Follow the link of the newest mail."""
        self.page.goto(self.stage.link(self.address))

    def tell(self, code: str) -> None:
        """Type the sender's code."""
        self.page.fill("input[name=code]", code)
        self.page.locator("form:has(input[name=code]) button").first.click()

    def choose(self, password: str = PASSWORD) -> None:
        """Choose a password, and read."""
        self.page.fill("input[name=password]", password)
        self.page.locator("form:has(input[name=password]) > .actions > button.button").last.click()

    @property
    def title(self) -> str:
        """Return the heading of the page."""
        return self.page.inner_text("h1")


class Sender:
    """A subscriber's pages."""

    def __init__(self, stage: Stage, address: str, password: str = PASSWORD, **values: Any):
        self.stage, self.address, self.page = stage, address, stage.page(**values)
        self.sign_in(password)

    def sign_in(self, password: str = PASSWORD) -> None:
        """Sign in, again if the session is over."""
        self.page.goto("/sign-in")
        self.page.fill("input[name=address]", self.address)
        self.page.fill("input[name=password]", password)
        self.page.locator("form.sheet button.button").first.click()

    def write(self, to: str, subject: str, words: str) -> None:
        """Begin a new message."""
        self.page.goto("/write")
        self.page.fill("#to", to)
        self.page.fill("#subject", subject)
        editor = self.page.locator("#editor")
        (editor if editor.count() else self.page.locator("#text")).fill(words)

    def send(self) -> int:
        """Press the button, a second time if the page has something to say first; return the message's id."""
        self.page.locator(".end .button").first.click()
        self.page.wait_for_load_state()
        if "/sent/" not in self.page.url:
            self.page.locator(".end .button").first.click()
        self.page.wait_for_url("**/sent/*")
        message = int(self.page.url.rpartition("/")[2])
        self.stage.house.clock.forward(MINUTE)  # it waits a moment, so that it can be had back
        return message

    def sent(self, message: int) -> str:
        """Look at what became of a message; return the words of the page."""
        self.page.goto(f"/sent/{message}")
        return self.page.inner_text("main")


@contextmanager
def opened(house: House, folder: Path, browser: Browser) -> Iterator[Stage]:
    """Serve the pages of a house over TLS; its host name has to be localhost."""
    app = portal(house)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(house, folder))
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, app, threaded=True, ssl_context=context)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    stage = Stage(house, f"https://localhost:{server.server_port}", browser)
    try:
        yield stage
    finally:
        stage.close()
        server.shutdown()
        thread.join()
        server.server_close()


def certificate(house: House, folder: Path) -> tuple[Path, Path]:
    """Make a certificate in *folder*, and return its file and its key's."""
    here = replace(house.config.tls, certificate=folder / "certificate.pem", key=folder / "key.pem")
    make_certificate(replace(house.config, tls=here))
    return here.certificate, here.key

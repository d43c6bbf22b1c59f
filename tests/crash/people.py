"""People at the portal and a program that go on whatever dies, and write down what they were promised."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from cryptnsend.demo.house import House
from cryptnsend.demo.visitor import Form, NotOnThePage, Page, Visitor
from tests.crash.programs import PAUSE, MailProgram

PIECE = 40_000  # octets of a file that go up in one request
GONE = (OSError, http.client.HTTPException, NotOnThePage)  # the server died, or signed us out
CHANGED = "/account/password"


class Browser(Visitor):
    """A browser with a script, as far as the script's requests go."""

    def ask(
        self, method: str, path: str, headers: Mapping[str, str], octets: bytes = b""
    ) -> tuple[int, Mapping[str, str]]:
        """Return status and header fields of the answer."""
        target = urlsplit(self._base)
        connection = http.client.HTTPSConnection(target.hostname or "", target.port, timeout=30, context=self._context)
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        own = {"Cookie": cookies, "Origin": self._base, "Referer": self._base + "/"}
        try:
            connection.request(method, path, octets or None, {**own, **headers})
            answer = connection.getresponse()
            answer.read()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}
        finally:
            connection.close()


@dataclass
class Person(ABC):
    """One at the portal; what was acknowledged is on their own disk, a line each."""

    house: House
    log: Path
    stop: threading.Event
    address: str = ""
    password: str = ""
    promised: list[str] = field(default_factory=list, kw_only=True)
    browser: Browser | None = field(default=None, kw_only=True)
    heard: str = field(default="", kw_only=True)

    def run(self) -> None:
        """Act until stopped; what was not answered is done again."""
        with self.log.open("ab", buffering=0) as log:
            count = 0
            while not self.stop.is_set():
                try:
                    promise = self.act(count)
                except GONE as problem:
                    self.heard, self.browser, promise = repr(problem), None, ""
                if promise:
                    log.write(f"{promise}\n".encode())
                    os.fsync(log.fileno())
                    self.promised.append(promise)
                    count += 1
                else:
                    self.stop.wait(PAUSE)

    @abstractmethod
    def act(self, count: int) -> str:
        """Do the next thing and return what was promised, "" for nothing."""

    def signed_in(self) -> Browser:
        """Return a browser with a session."""
        if self.browser is None:
            browser = Browser(self.house.base_url, self.house.context())
            page = browser.get("/sign-in")
            form = page.form(with_field="address")
            page = browser.send(page, form, address=self.address, password=self.password)
            if page.status != 200 or "/sign-in" in page.path:
                raise NotOnThePage(f"{self.address} was not let in: {page.status} {page.path}")
            self.browser = browser
        return self.browser


@dataclass
class Answerer(Person):
    """Replies to one message, every second time with a file that goes up in pieces."""

    path: str = ""  # of the page of the message
    goes: str = ""  # the reply whose file goes up, and where it goes
    upload: str = ""

    def act(self, count: int) -> str:
        tag, browser = f"reply-{count}.", self.signed_in()
        page, files = browser.get(self.path), {}
        form = page.form(with_field="text")
        if count % 2:
            page = self._attach(browser, page, form, tag)
            form = page.form(with_field="text")
            # What was chosen counts with the nonce: the same form again is one with the same file.
            files = {"keeps": "1", "kept": self.upload.rpartition("/")[2]}
        sent = browser.send(page, form, text=tag, nonce=nonce_of(tag), **files)
        if sent.status == 200 and sent.path.endswith("/sent"):
            return tag
        raise NotOnThePage(f"the reply led to {sent.path} ({sent.status})")

    def _attach(self, browser: Browser, page: Page, form: Form, tag: str) -> Page:
        """Send a file up, go on where that broke, and put it into the draft; return the page that shows it there."""
        octets, token = file_of(tag), dict(form.values)["csrf_token"]
        said = {"filename": f"{tag}bin", "nonce": nonce_of("file " + tag)}
        said["parent"] = self.path.rpartition("/")[2]
        about = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in said.items())
        own = {"Tus-Resumable": "1.0.0", "X-CSRFToken": token}
        begun = {"Upload-Length": str(len(octets)), "Upload-Metadata": about}
        if self.goes != tag:
            status, told = browser.ask("POST", "/uploads", own | begun)
            if status != 201:
                raise NotOnThePage(f"no upload: {status}")
            self.goes, self.upload = tag, told["location"]
        status, told = browser.ask("HEAD", self.upload, own)
        if status not in (200, 404):  # 404: the draft has it
            raise NotOnThePage(f"nobody knows how much is there: {status}")
        at = int(told["upload-offset"]) if status == 200 else len(octets)
        while at < len(octets):
            here = {"Upload-Offset": str(at), "Content-Type": "application/offset+octet-stream"}
            status, told = browser.ask("PATCH", self.upload, own | here, octets[at : at + PIECE])
            if status != 204:
                raise NotOnThePage(f"the upload broke off: {status}")
            at = int(told["upload-offset"])
        ident = self.upload.rpartition("/")[2]
        typed = {**dict(form.values), "text": tag, "nonce": nonce_of(tag), "arrived": ident}
        asking = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        status, _ = browser.ask("POST", self.path + "/draft", asking, urlencode(typed).encode())
        if status == 409:  # it was sent before the answer to that was lost
            return page
        kept = browser.get(self.path)
        if ("kept", ident) not in kept.form(with_field="text").values:
            raise NotOnThePage(f"the draft has no file: {status}")
        return kept


@dataclass
class Changer(Person):
    """Changes their password again and again."""

    asked: list[str] = field(default_factory=list)  # new ones of which nobody has said whether they count

    def act(self, count: int) -> str:
        if self.asked:
            self._find_out()
        browser = self.signed_in()
        page = browser.get(CHANGED)
        form = page.form(with_field="old")
        new = f"harbour violet tractor number {count} x{os.urandom(3).hex()}"
        self.asked.append(new)
        changed = browser.send(page, form, old=self.password, password=new)
        if changed.status != 200 or changed.path == CHANGED:
            raise NotOnThePage(f"the change led to {changed.path} ({changed.status})")
        self.password = new
        self.asked.clear()
        return new

    def _find_out(self) -> None:
        """
        Sign in with whichever counts now.

        The others stay asked for: a change whose asker was cut off may yet be made, as long as its old password counts.
        """
        was = self.password
        for each in (was, *reversed(self.asked)):
            self.browser, self.password = None, each
            try:
                self.signed_in()
            except GONE as problem:
                self.heard = repr(problem)
                continue
            if each != was:
                self.asked = [*(other for other in self.asked if other != each), was]
            return
        self.password = was
        raise NotOnThePage(self.heard)


@dataclass
class Recaller(Person):
    """A program that takes back every third message which a mail program was promised."""

    token: str = ""
    program: MailProgram | None = None
    asked: set[str] = field(default_factory=set)

    def act(self, count: int) -> str:
        assert self.program is not None
        there = list(self.program.acknowledged.values())
        if len(there) <= count * 3:
            return ""
        ident, target = there[count * 3], urlsplit(self.house.base_url)
        self.asked.add(ident)
        connection = http.client.HTTPSConnection(
            target.hostname or "", target.port, timeout=30, context=self.house.context()
        )
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            connection.request("POST", f"/api/v1/messages/{ident}/expire", json.dumps({}), headers)
            answer = connection.getresponse()
            octets = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise NotOnThePage(f"not taken back: {answer.status} {octets!r}")
        return ident


def nonce_of(tag: str) -> str:
    """Return what a form carries so that it counts once, however often it is sent."""
    return hashlib.sha256(tag.encode()).hexdigest()[:32]


def file_of(tag: str) -> bytes:
    """Return the octets of the file that goes with this reply."""
    return hashlib.shake_256(tag.encode()).digest(100_000)

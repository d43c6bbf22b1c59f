"""tus 1.0 over the real flows: broken off, at a wrong place, too large, somebody else's, without a form token."""

from __future__ import annotations

import base64
import io
import os
import re
from typing import Any

import pytest
from werkzeug.test import TestResponse

from cryptnsend.flow.uploading import MOST
from cryptnsend.portal import Portal
from cryptnsend.portal.visits import SESSION_COOKIE
from tests.portal.conftest import BASE, Visitor
from tests.portal.real import ANN, PAT, first_visit, nonce, portal, signed_in
from tests.support.house import DAY, PASSWORD, House

FILE = os.urandom(300_000)
BOB = "bob@gmail.example"


@pytest.fixture
def app(house: House) -> Portal:
    house.add_subscriber(ANN, name="Dr. Ann Ruiz")
    return portal(house)


class Sender:
    """A program that speaks tus for somebody who has a page open."""

    def __init__(self, visitor: Visitor, page: str = "/write"):
        self.visitor = visitor
        visitor.get(page)
        self.token = visitor.form_token()

    def ask(self, method: str, url: str, body: bytes | io.BytesIO = b"", **headers: str) -> TestResponse:
        said = {"Tus-Resumable": "1.0.0", "X-CSRFToken": self.token}
        said |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.visitor.client.open(
            url, method=method, base_url=BASE, data=body, headers={name: value for name, value in said.items() if value}
        )

    def begin(self, size: int = len(FILE), mark: str = "aa" * 16, **said: str) -> TestResponse:
        facts = {"filename": "scan.pdf", "filetype": "application/pdf", "nonce": mark, **said}
        pairs = ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in facts.items())
        return self.ask("POST", "/uploads", Upload_Length=str(size), Upload_Metadata=pairs)

    def add(self, url: str, start: int, octets: bytes | io.BytesIO, **headers: str) -> TestResponse:
        said = {"Upload_Offset": str(start), "Content_Type": "application/offset+octet-stream"}
        return self.ask("PATCH", url, octets, **(said | headers))

    def here(self, url: str) -> int:
        answer = self.ask("HEAD", url)
        assert answer.status_code == 200
        return int(answer.headers["Upload-Offset"])


@pytest.fixture
def ann(app: Portal) -> Sender:
    return Sender(signed_in(app, ANN))


class Broken(io.BytesIO):
    """A body whose connection breaks: it comes in small blocks, and then an error."""

    def readinto(self, into: Any) -> int:
        block = super().read(min(len(into), 50_000))
        if not block:
            raise ConnectionResetError
        into[: len(block)] = block
        return len(block)


def test_a_file_goes_up_in_steps_and_into_a_draft(ann: Sender) -> None:
    begun = ann.begin()
    assert begun.status_code == 201
    url = begun.location
    assert begun.headers["Upload-Offset"] == "0"
    assert begun.headers["Upload-Expires"].endswith("GMT")
    first = ann.add(url, 0, FILE[:100_000])
    assert (first.status_code, first.headers["Upload-Offset"]) == (204, "100000")
    look = ann.ask("HEAD", url)
    assert (look.headers["Upload-Offset"], look.headers["Upload-Length"]) == ("100000", str(len(FILE)))
    assert look.headers["Cache-Control"] == "no-store"
    assert ann.add(url, 100_000, FILE[100_000:]).headers["Upload-Offset"] == str(len(FILE))
    form = {"csrf_token": ann.token, "text": "a scan", "to": PAT, "arrived": url.rpartition("/")[2]}
    for _ in range(2):  # the answer to the first request was lost
        answer = ann.visitor.client.post(
            "/write/draft", base_url=BASE, data=form, headers={"Accept": "application/json"}
        )
        assert answer.status_code == 200, answer.text
        assert [each["name"] for each in answer.json["files"]] == ["scan.pdf"]
        form |= {"draft": answer.json["draft"], "keeps": "1"}
    assert ann.ask("HEAD", url).status_code == 404
    sent = form | {"kept": answer.json["files"][0]["id"], "nonce": "cc" * 16, "subject": "Scan"}
    del sent["arrived"]
    assert "for the first time" in ann.visitor.post("/write/send", sent).text
    assert ann.visitor.post("/write/send", sent | {"shown": PAT}).status_code == 303


def test_what_is_sent_is_what_came_in_pieces(app: Portal, house: House) -> None:
    message = house.submit(ANN, [PAT], house.mail())
    visitor = first_visit(app, house, message)
    pat = Sender(visitor, f"/messages/{message}")
    url = pat.begin(parent=str(message)).location
    pat.add(url, 0, FILE)
    form = {"csrf_token": pat.token, "text": "my scan", "arrived": url.rpartition("/")[2], "nonce": nonce(visitor)}
    visitor.client.post(f"/messages/{message}/draft", base_url=BASE, data=form, headers={"Accept": "application/json"})
    page = visitor.get(f"/messages/{message}").text
    kept = re.findall(r'name="kept" value="(\d+)"', page)
    visitor.post(f"/messages/{message}/reply", {"text": "my scan", "keeps": "1", "kept": kept, "nonce": nonce(visitor)})
    reader = house.session(ANN)
    reply = house.pickup.list(reader)[0].message
    found = house.pickup.show(reader, reply)
    assert [(each.name, each.media_type) for each in found.files] == [("scan.pdf", "application/pdf")]
    assert b"".join(house.pickup.part(reader, reply, found.files[0].part).chunks) == FILE


def test_after_a_broken_connection_and_a_new_start_the_true_place_is_told(ann: Sender, house: House) -> None:
    url = ann.begin().location
    cut = ann.add(url, 0, Broken(FILE[:150_000]), Content_Length=str(len(FILE)))
    assert cut.status_code == 204
    here = ann.here(url)
    assert here == 150_000
    assert ann.begin().location == url  # the page was loaded anew, and chooses the same file
    cookie = ann.visitor.client.get_cookie(SESSION_COOKIE, domain="open.cryptnsend.example")
    assert cookie is not None
    again = Visitor(portal(house))  # the portal was started anew
    again.carry(cookie.value)
    later = Sender(again)
    assert later.here(url) == here
    assert later.add(url, here, FILE[here:]).headers["Upload-Offset"] == str(len(FILE))
    session = house.session(ANN)
    assert b"".join(house.portal.uploads.upload(session, int(url.rpartition("/")[2])).chunks()) == FILE


def test_octets_for_another_place_are_a_conflict_and_change_nothing(ann: Sender) -> None:
    url = ann.begin().location
    ann.add(url, 0, FILE[:1000])
    for start in (0, 999, 1001):
        answer = ann.add(url, start, b"x")
        assert (answer.status_code, answer.headers["Upload-Offset"]) == (409, "1000")
    assert ann.here(url) == 1000


def test_what_is_no_step_of_the_protocol_is_refused(ann: Sender) -> None:
    url = ann.begin().location
    assert ann.add(url, 0, b"x", Content_Type="text/plain").status_code == 415
    assert ann.ask("PATCH", url, b"x", Content_Type="application/offset+octet-stream").status_code == 400
    assert ann.add(url, 0, b"x", Tus_Resumable="0.2.2").status_code == 412
    assert ann.ask("POST", "/uploads", Tus_Resumable="", Upload_Length="1").headers["Tus-Version"] == "1.0.0"
    assert ann.ask("POST", "/uploads").status_code == 400
    for wrong in ("-1", "1e3", "", "9" * 30):
        assert ann.ask("POST", "/uploads", Upload_Length=wrong).status_code == 400
    assert ann.ask("POST", "/uploads", Upload_Length="1", Upload_Metadata="filename =").status_code == 400
    assert ann.ask("POST", "/uploads", Upload_Length="1", Upload_Metadata="x" * 9000).status_code == 400
    assert ann.ask("POST", "/uploads", Upload_Length="1", Upload_Metadata="filename é").status_code == 400
    assert ann.ask("GET", url).status_code == 405
    assert ann.here(url) == 0


def test_options_say_what_is_understood(ann: Sender, app: Portal) -> None:
    said = ann.ask("OPTIONS", "/uploads", Tus_Resumable="")
    assert said.status_code == 204
    assert said.headers["Tus-Extension"] == "creation,termination,expiration"
    assert int(said.headers["Tus-Max-Size"]) > 25_000_000


def test_a_file_that_is_too_large_is_refused_before_it_comes(ann: Sender, app: Portal, house: House) -> None:
    most = int(ann.ask("OPTIONS", "/uploads").headers["Tus-Max-Size"])
    refused = ann.begin(most + 1)
    assert (refused.status_code, refused.text) == (413, "This file is too large.")
    url = ann.begin(100).location
    assert ann.add(url, 0, FILE[:101]).status_code == 413
    assert ann.add(url, 0, io.BytesIO(FILE[:101]), Content_Length="").status_code in (204, 413)
    assert ann.here(url) == 0
    message = house.submit(ANN, [PAT], house.mail())
    pat = Sender(first_visit(app, house, message), f"/messages/{message}")
    assert pat.begin(house.config.limits.reply_octets + 1).status_code == 413


def test_too_many_at_once_are_refused_in_words(ann: Sender) -> None:
    for number in range(MOST):
        assert ann.begin(10, f"{number:032x}").status_code == 201
    refused = ann.begin(10, "ff" * 16)
    assert (refused.status_code, refused.text[:39]) == (429, "Too many files are on their way at once")


def test_somebody_elses_file_is_not_there(ann: Sender, app: Portal, house: House) -> None:
    url = ann.begin().location
    house.add_subscriber(BOB)
    bob = Sender(signed_in(app, BOB))
    assert bob.ask("HEAD", url).status_code == 404
    assert bob.add(url, 0, b"x").status_code == 404
    assert bob.ask("DELETE", url).status_code == 404
    answer = bob.visitor.client.post(
        "/write/draft", base_url=BASE, headers={"Accept": "application/json"},
        data={"csrf_token": bob.token, "text": "x", "arrived": url.rpartition("/")[2]},
    )  # fmt: skip
    assert answer.status_code == 422
    assert "not here any more" in answer.json["error"]
    assert ann.here(url) == 0


def test_without_a_session_or_the_form_token_nothing_happens(ann: Sender, app: Portal) -> None:
    url = ann.begin().location
    token, ann.token = ann.token, ""
    assert ann.begin(mark="bb" * 16).status_code == 400
    assert ann.add(url, 0, FILE).status_code == 400
    assert ann.ask("DELETE", url).status_code == 400
    ann.token = token
    assert ann.add(url, 0, FILE, Sec_Fetch_Site="cross-site").status_code == 400
    assert ann.here(url) == 0
    stranger = Sender(Visitor(app), "/sign-in")
    for answer in (stranger.begin(), stranger.add(url, 0, FILE), stranger.ask("DELETE", url)):
        assert (answer.status_code, answer.location) == (303, "/sign-in")


def test_a_file_that_is_stopped_or_left_alone_is_gone(ann: Sender, house: House) -> None:
    url = ann.begin().location
    ann.add(url, 0, FILE)
    assert ann.ask("DELETE", url).status_code == 204
    assert ann.ask("HEAD", url).status_code == 404
    other = ann.begin().location
    assert other != url
    ann.add(other, 0, FILE)
    house.clock.forward(DAY + 1000)
    later = Sender(signed_in(portal(house), ANN, PASSWORD))
    assert later.ask("HEAD", other).status_code == 404
    house.upkeep.once()
    assert [table for table, _ in house.rows() if table.startswith("upload")] == []
    assert not list(house.portal.blobs.keys())


def test_a_name_that_lies_or_leads_elsewhere_is_made_harmless(ann: Sender, house: House) -> None:
    url = ann.begin(0, filename="../../etc/\u202efdp.exe\r\n", filetype="text/html; charset=x").location
    found = house.portal.uploads.upload(house.session(ANN), int(url.rpartition("/")[2]))
    assert (found.name, found.media_type) == ("fdp.exe", "application/octet-stream")

"""Files beside messages on the pages: too large for mail, they wait there; ranges, lies about them, foreign forms."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest
from werkzeug.test import TestResponse

from cryptnsend.portal.visits import SESSION_COOKIE
from tests.portal.conftest import BASE, Visitor
from tests.portal.real import ANN, JUNE, PAT, first_visit, portal, signed_in
from tests.portal.test_arriving import Sender
from tests.support.house import MINUTE, House, MakeHouse

FILE = os.urandom(600_001)
EVIL = 'x"\r\nSet-Cookie: a=b\r\n\r\n<script>\u202egpj.html'


class Scene:
    """Ann has sent Pat a message with a file that is too large for mail here."""

    def __init__(self, house: House, *, name: str = "scan.dcm", kind: str = "application/dicom"):
        house.add_subscriber(ANN, name="Dr. Ann Ruiz")
        self.house, self.app = house, portal(house)
        self.ann = Sender(signed_in(self.app, ANN))
        self.message = self.send(self.upload(name, kind))
        house.clock.forward(MINUTE)
        self.pat = first_visit(self.app, house, self.message)

    def upload(self, name: str, kind: str) -> str:
        url: str = self.ann.begin(len(FILE), mark=os.urandom(16).hex(), filename=name, filetype=kind).location
        assert self.ann.add(url, 0, FILE[:250_000]).status_code == 204
        assert self.ann.add(url, 250_000, FILE[250_000:]).status_code == 204
        return url.rpartition("/")[2]

    def send(self, *files: str, **values: Any) -> int:
        form = {"csrf_token": self.ann.token, "text": "a scan", "to": PAT, "nonce": os.urandom(16).hex()}
        said = {"headers": {"Accept": "application/json"}, "base_url": BASE}
        for each in files:
            kept = self.ann.visitor.client.post("/write/draft", data=form | {"arrived": each}, **said)
            assert kept.status_code == 200, kept.text
            assert "waits on the page of the message" in kept.json["files"][-1]["said"]
            form["draft"] = kept.json["draft"]
        answer = self.ann.visitor.post("/write/send", form | {"shown": PAT, "subject": "Scan"} | values)
        assert answer.status_code == 303, answer.text
        return int(answer.location.rpartition("/")[2])

    def button(self, visitor: Visitor) -> str:
        page = visitor.get(f"/messages/{self.message}").text
        found = re.search(rf'action="(/messages/{self.message}/beside/\d+)"', page)
        assert found, page
        return found[1]

    def ticket(self, visitor: Visitor | None = None) -> str:
        who = visitor or self.pat
        answer = who.post(self.button(who))
        assert answer.status_code == 303
        return answer.location

    def downloads(self) -> int:
        return len(self.house.portal.downloads.done(self.house.session(ANN), self.message))


def get(visitor: Visitor, url: str, method: str = "GET", **headers: str) -> TestResponse:
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    return visitor.client.open(url, method=method, base_url=BASE, headers=said)


@pytest.fixture
def scene(make_house: MakeHouse) -> Scene:
    return Scene(make_house(limits={"message_octets": 1_200_000}))


def test_what_is_too_large_for_mail_is_downloaded_from_the_page_of_the_message(scene: Scene) -> None:
    page = scene.pat.get(f"/messages/{scene.message}").text
    assert "1 large file" in page
    assert "601 KB" in page or "600 KB" in page
    url = scene.ticket()
    probe = get(scene.pat, url, "HEAD")
    assert (probe.status_code, probe.headers["Content-Length"], probe.data) == (200, str(len(FILE)), b"")
    assert probe.headers["Accept-Ranges"] == "bytes"
    answer = get(scene.pat, url)
    assert answer.data == FILE
    assert answer.headers["Content-Disposition"].startswith("attachment; ")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    status = scene.ann.visitor.get(f"/sent/{scene.message}").text
    assert "Downloaded 1 time." in status
    assert PAT in status
    assert "downloaded a large file" in scene.ann.visitor.get(f"/sent/{scene.message}/proof").text


def test_a_download_goes_on_where_it_broke_off_and_counts_once(scene: Scene) -> None:
    url = scene.ticket()
    tag = get(scene.pat, url, "HEAD").headers["ETag"]
    first = get(scene.pat, url, Range="bytes=0-299999")
    assert (first.status_code, first.headers["Content-Range"]) == (206, f"bytes 0-299999/{len(FILE)}")
    rest = get(scene.pat, url, Range="bytes=300000-", If_Range=tag)
    assert (rest.status_code, first.data + rest.data) == (206, FILE)
    assert get(scene.pat, url, Range="bytes=-1").data == FILE[-1:]
    other = get(scene.pat, url, Range="bytes=300000-", If_Range='"another file"')
    assert (other.status_code, other.data) == (200, FILE)
    assert scene.downloads() == 1


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (f"bytes={len(FILE)}-", 416),
        ("bytes=-0", 416),
        ("bytes=0-0,1-1", 200),
        ("bytes=9-1", 200),
        ("chunks=0-1", 200),
        ("bytes=" + "0-1," * 2000, 200),
    ],
)
def test_lies_about_ranges_get_all_or_nothing(scene: Scene, asked: str, status: int) -> None:
    answer = get(scene.pat, scene.ticket(), Range=asked)
    assert answer.status_code == status
    if status == 416:
        assert answer.headers["Content-Range"] == f"bytes */{len(FILE)}"
    else:
        assert answer.data == FILE
    assert get(scene.pat, scene.ticket(), "HEAD", Range=asked).status_code == 200


def test_names_and_kinds_of_files_say_nothing_to_a_browser(make_house: MakeHouse) -> None:
    scene = Scene(make_house(limits={"message_octets": 1_200_000}), name=EVIL, kind="text/html")
    answer = get(scene.pat, scene.ticket())
    assert answer.headers.getlist("Set-Cookie") == []
    assert answer.headers["Content-Type"] == "application/octet-stream"
    said = answer.headers["Content-Disposition"]
    assert said.isprintable()
    assert said.count('"') == 2
    assert "<script>" not in scene.pat.get(f"/messages/{scene.message}").text


def test_a_ticket_is_good_for_its_own_session_only(scene: Scene) -> None:
    url = scene.ticket()
    for other in (Visitor(scene.app), signed_in(scene.app, PAT), scene.ann.visitor):
        assert get(other, url).status_code == 404
    assert get(scene.pat, "/download/" + "0" * 64).status_code == 404
    scene.pat.get(f"/messages/{scene.message}")
    assert scene.pat.post("/sign-out").status_code == 303
    assert get(scene.pat, url).status_code == 404


def test_only_the_button_of_the_page_begins_a_download(scene: Scene) -> None:
    button = scene.button(scene.pat)
    assert get(scene.pat, button).status_code == 405
    assert scene.pat.client.post(button, base_url=BASE).status_code == 400
    scene.pat.get(f"/messages/{scene.message}")
    foreign = {"Sec-Fetch-Site": "cross-site"}
    token = {"csrf_token": scene.pat.form_token()}
    assert scene.pat.client.post(button, base_url=BASE, data=token, headers=foreign).status_code == 400
    assert Visitor(scene.app).client.post(button, base_url=BASE).status_code in (303, 400)
    assert scene.downloads() == 0


def test_other_peoples_files_are_not_there(scene: Scene) -> None:
    button = scene.button(scene.pat)
    scene.house.add_subscriber(JUNE)
    june = signed_in(scene.app, JUNE)
    june.get("/messages")
    assert june.post(button).status_code == 404
    assert scene.pat.post(re.sub(r"\d+$", "12345", button)).status_code == 404


def test_what_was_taken_back_is_not_there_any_more(scene: Scene) -> None:
    url = scene.ticket()
    scene.ann.visitor.get(f"/sent/{scene.message}")
    scene.ann.visitor.post(f"/sent/{scene.message}/expire")
    assert get(scene.pat, url).status_code == 404
    assert get(scene.pat, url, "HEAD").status_code == 404


def test_without_a_script_a_large_file_goes_with_the_form(scene: Scene) -> None:
    ann = scene.ann.visitor
    ann.get("/write")
    form = {"text": "another", "to": PAT, "shown": PAT, "subject": "Big", "nonce": os.urandom(16).hex()}
    fields = (form | {"csrf_token": ann.form_token()}).items()
    body = "".join(
        f'--part\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{said}\r\n' for name, said in fields
    )
    body += '--part\r\nContent-Disposition: form-data; name="files"; filename="big.bin"\r\n\r\n'
    whole = body.encode() + FILE + b"\r\n--part--\r\n"
    kind = "multipart/form-data; boundary=part"
    answer = ann.client.post("/write/send", base_url=BASE, data=whole, content_type=kind)
    assert answer.status_code == 303, answer.text
    message = int(answer.location.rpartition("/")[2])
    letter = scene.house.pickup.show(scene.house.session(ANN), message)
    assert [(each.name, each.size) for each in letter.beside] == [("big.bin", len(FILE))]


def test_what_an_organisation_does_not_allow_is_too_large(make_house: MakeHouse) -> None:
    house = make_house(limits={"message_octets": 1_200_000, "file_octets": 0})
    house.add_subscriber(ANN)
    ann = Sender(signed_in(portal(house), ANN))
    assert "Larger files" not in ann.visitor.get("/write").text
    assert ann.begin(30_000_000).status_code == 413
    assert SESSION_COOKIE.startswith("__Host-")

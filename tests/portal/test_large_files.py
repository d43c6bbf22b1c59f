"""A file far too large for mail, from page to page: broken off at half, gone on with, and had back in ranges."""

from __future__ import annotations

import hashlib
import io
import os
import re
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cryptnsend import reader
from tests.portal.conftest import BASE, Visitor
from tests.portal.real import ANN, PAT, first_visit, portal, signed_in
from tests.portal.test_arriving import Sender
from tests.support.house import DAY, MINUTE, PASSWORD, House, MakeHouse

MIB = 1024 * 1024
ROOM = 150 * MIB  # octets of memory that two gigabytes may need more than none
BASIS = os.urandom(MIB)


def octets(start: int, end: int) -> Iterator[bytes]:
    """Yield what stands at a place of the file; each mebibyte of it is another one."""
    while start < end:
        number, place = divmod(start, MIB)
        block = (number.to_bytes(8, "big") + BASIS[8:])[place : place + end - start]
        start += len(block)
        yield block


class Going(io.RawIOBase):
    """The body of a request, made while it is read; its connection breaks at `breaks`."""

    def __init__(self, start: int, end: int, breaks: int | None = None):
        super().__init__()
        self.blocks, self.held, self.broken = octets(start, breaks or end), b"", breaks is not None
        self.size, self.place = end - start, 0

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self.place = self.size if whence == os.SEEK_END else offset  # only to be asked how much there is
        return self.place

    def tell(self) -> int:
        return self.place

    def readinto(self, into: Any) -> int:
        self.held = self.held or next(self.blocks, b"")
        if not self.held and self.broken:
            raise ConnectionResetError
        taken = self.held[: len(into)]
        into[: len(taken)], self.held = taken, self.held[len(taken) :]
        return len(taken)


def memory() -> int:
    """Return the most octets that this process has had in memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def add(ann: Sender, url: str, place: int, body: Going) -> int:
    """Add to the file what a request brings; return the status."""
    said = {
        "Tus-Resumable": "1.0.0", "X-CSRFToken": ann.token, "Upload-Offset": str(place),
        "Content-Type": "application/offset+octet-stream",
    }  # fmt: skip
    stream: Any = body
    return ann.visitor.client.open(url, method="PATCH", base_url=BASE, input_stream=stream, headers=said).status_code


class Film:
    """Ann, who sends Pat a file that went up over a connection that broke at half."""

    def __init__(self, house: House, size: int):
        house.add_subscriber(ANN, name="Dr. Ann Ruiz")
        self.house, self.size, self.app = house, size, portal(house)
        self.ann = Sender(signed_in(self.app, ANN))
        self.pat = first_visit(self.app, house, house.submit(ANN, [PAT], house.mail()))

    def send(self) -> int:
        """Send the file; return the message."""
        url = self.ann.begin(self.size, filename="scan.dcm").location
        half = self.size // 2 + 12_345
        with Going(0, self.size, half) as body:
            add(self.ann, url, 0, body)
        here = self.ann.here(url)
        assert here == half, "what came before the connection broke is here"
        with Going(here, self.size) as body:
            assert add(self.ann, url, here, body) == 204
        form = {"csrf_token": self.ann.token, "text": "a scan", "to": PAT, "nonce": os.urandom(16).hex()}
        kept = self.ann.visitor.client.post(
            "/write/draft", base_url=BASE, data=form | {"arrived": url.rpartition("/")[2]},
            headers={"Accept": "application/json"},
        )  # fmt: skip
        answer = self.ann.visitor.post("/write/send", form | {"draft": kept.json["draft"], "shown": PAT})
        assert answer.status_code == 303, answer.text
        self.house.clock.forward(MINUTE)
        return int(answer.location.rpartition("/")[2])

    def had(self, visitor: Visitor, ticket: str) -> bool:
        """Have the file in two parts, and say whether it is what was sent."""
        half = self.size // 2
        found, expected = hashlib.sha256(), hashlib.sha256()
        for asked in (f"bytes=0-{half - 1}", f"bytes={half}-"):
            part = visitor.client.open(ticket, base_url=BASE, headers={"Range": asked}, buffered=False)
            assert part.status_code == 206
            for each in part.response:
                found.update(each)
            part.close()
        for each in octets(0, self.size):
            expected.update(each)
        return found.digest() == expected.digest()


def there_and_back(house: House, size: int) -> int:
    """Send a file of *size* octets, have it, compare it; return how much more memory that took."""
    film = Film(house, size)
    before = memory()
    message = film.send()
    button = re.search(rf'action="(/messages/{message}/beside/\d+)"', film.pat.get(f"/messages/{message}").text)
    assert button
    assert film.had(film.pat, film.pat.post(button[1]).location)
    assert len(house.portal.downloads.done(house.session(ANN), message)) == 1
    return memory() - before


def test_64_mib_go_there_and_back(house: House) -> None:
    assert there_and_back(house, 64 * MIB + 1) < ROOM


@pytest.mark.long
def test_2_gib_go_there_and_back_in_little_memory(house: House) -> None:
    assert there_and_back(house, house.config.limits.file_octets) < ROOM


@pytest.mark.long
def test_300_mib_leave_by_a_link_by_an_export_and_by_passing_on_in_little_memory(
    make_house: MakeHouse, tmp_path: Path
) -> None:
    house = make_house(policy={"file_links": "everybody"})
    film = Film(house, 300 * MIB + 7)
    before = memory()
    message = film.send()
    ann, links = house.session(ANN), house.portal.filelinks
    until = house.clock.now() + DAY
    links.make(ann, message, until=until, most=1, reason="too large to be looked into")
    [link] = links.listing(ann, message)
    path, _, secret = link.place.partition("#")
    anybody = Visitor(film.app)
    anybody.get(f"/f/{path}")
    opened = anybody.post(f"/f/{path}", {"secret": secret}).text
    button, token = re.search(rf'action="(/f/{path}/\d+)"', opened), re.search(r'name="token" value="(\w+)"', opened)
    assert button
    assert token
    ticket = anybody.post(button[1], {"token": token[1]}).location
    for method, asked in (("HEAD", "bytes=0-0"), ("GET", "bytes=0-0"), ("GET", "bytes=-1"), ("HEAD", "")):
        probe = anybody.client.open(ticket, method=method, base_url=BASE, headers={"Range": asked} if asked else {})
        assert probe.status_code == (206 if method == "GET" else 200)
        probe.close()
    assert film.had(anybody, ticket)
    [link] = links.listing(ann, message)
    assert (link.spent, link.most) == (1, 1)
    exporting = house.owner.exporting
    with (tmp_path / "sealed").open("wb") as file:
        for piece in exporting.sealed(exporting.sign_in(ANN, PASSWORD), message, PASSWORD):
            file.write(piece)
    words = [str(tmp_path / "sealed"), str(tmp_path / "mail"), "--files", str(tmp_path), "--password-stdin"]
    assert CliRunner().invoke(reader.main, words, input=PASSWORD).exit_code == 0
    (tmp_path / "sealed").unlink()
    expected = hashlib.sha256()
    for each in octets(0, film.size):
        expected.update(each)
    with (tmp_path / "scan.dcm").open("rb") as written:
        assert hashlib.file_digest(written, "sha256").digest() == expected.digest()
    [copy] = house.portal.drafts.draft(ann, house.portal.newmail.pass_on(ann, message)).files
    assert (copy.size, copy.linked) == (film.size, True)
    assert memory() - before < ROOM

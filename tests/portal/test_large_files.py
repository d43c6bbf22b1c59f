"""A file far too large for mail, from page to page: broken off at half, gone on with, and had back in ranges."""

from __future__ import annotations

import hashlib
import io
import os
import re
import resource
from collections.abc import Iterator
from typing import Any

import pytest

from tests.portal.conftest import BASE
from tests.portal.real import ANN, PAT, first_visit, portal, signed_in
from tests.portal.test_arriving import Sender
from tests.support.house import MINUTE, House

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


def there_and_back(house: House, size: int) -> int:
    """Send a file of *size* octets, have it, compare it; return how much more memory that took."""
    house.add_subscriber(ANN, name="Dr. Ann Ruiz")
    app = portal(house)
    ann = Sender(signed_in(app, ANN))
    pat = first_visit(app, house, house.submit(ANN, [PAT], house.mail()))
    before = memory()
    url = ann.begin(size, filename="scan.dcm").location
    half = size // 2 + 12_345
    with Going(0, size, half) as body:
        add(ann, url, 0, body)
    here = ann.here(url)
    assert here == half, "what came before the connection broke is here"
    with Going(here, size) as body:
        assert add(ann, url, here, body) == 204
    form = {"csrf_token": ann.token, "text": "a scan", "to": PAT, "nonce": os.urandom(16).hex()}
    kept = ann.visitor.client.post(
        "/write/draft", base_url=BASE, data=form | {"arrived": url.rpartition("/")[2]},
        headers={"Accept": "application/json"},
    )  # fmt: skip
    answer = ann.visitor.post("/write/send", form | {"draft": kept.json["draft"], "shown": PAT})
    assert answer.status_code == 303, answer.text
    message = int(answer.location.rpartition("/")[2])
    house.clock.forward(MINUTE)
    button = re.search(rf'action="(/messages/{message}/beside/\d+)"', pat.get(f"/messages/{message}").text)
    assert button
    ticket = pat.post(button[1]).location
    found, expected = hashlib.sha256(), hashlib.sha256()
    for asked in (f"bytes=0-{half - 1}", f"bytes={half}-"):
        part = pat.client.open(ticket, base_url=BASE, headers={"Range": asked}, buffered=False)
        assert part.status_code == 206
        for each in part.response:
            found.update(each)
        part.close()
    for each in octets(0, size):
        expected.update(each)
    assert found.digest() == expected.digest()
    assert len(house.portal.downloads.done(house.session(ANN), message)) == 1
    return memory() - before


def test_64_mib_go_there_and_back(house: House) -> None:
    assert there_and_back(house, 64 * MIB + 1) < ROOM


@pytest.mark.long
def test_2_gib_go_there_and_back_in_little_memory(house: House) -> None:
    assert there_and_back(house, house.config.limits.file_octets) < ROOM

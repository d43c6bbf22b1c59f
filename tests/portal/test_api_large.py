"""A large file through the interface for programs: memory stays flat, and nothing readable touches the disk."""

from __future__ import annotations

import io
import json
import os
import stat
import tracemalloc
from collections.abc import Iterator
from typing import Any

from tests.portal.real import ANN, PAT, first_visit, portal
from tests.portal.test_api import Program, make
from tests.support.house import House

MIB = 1024 * 1024
CANARY = b"Canaryvale-Haemochromatosis "
BLOCK = (CANARY * (MIB // len(CANARY) + 1))[:MIB]
BOUNDARY = "a1b2c3"
LETTER = {"to": [PAT], "subject": "Canaryvale", "text": "Haemochromatosis"}
MOST = MIB  # octets of memory that a large file may need more than a small one


class Upload(io.RawIOBase):
    """The body of a request, made while it is read; `looked` has what lay in open files when half was there."""

    def __init__(self, mebibytes: int):
        super().__init__()
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="message"\r\n\r\n{json.dumps(LETTER)}\r\n'
        head += (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="canaryvale.dcm"\r\n'
            "Content-Type: application/dicom\r\n\r\n"
        )
        tail = f"\r\n--{BOUNDARY}--\r\n"
        self.size = len(head) + mebibytes * MIB + len(tail)
        self.left = iter([head.encode(), *[BLOCK] * mebibytes, tail.encode()])
        self.held, self.read_so_far, self.place = b"", 0, 0
        self.looked: dict[str, int] = {}
        self.clear: list[str] = []

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self.place = self.size if whence == os.SEEK_END else offset  # only to be asked how much there is
        return self.place

    def tell(self) -> int:
        return self.place

    def readinto(self, into: Any) -> int:
        self.held = self.held or next(self.left, b"")
        if not self.looked and self.read_so_far > self.size // 2:
            self.look()
        taken = self.held[: len(into)]
        into[: len(taken)], self.held = taken, self.held[len(taken) :]
        self.read_so_far += len(taken)
        return len(taken)

    def look(self) -> None:
        """Note the regular files that this process has open, with or without a name, and those with clear words."""
        for number, place in regular_files():
            self.looked[place] = os.stat(f"/proc/self/fd/{number}").st_size
            with open(f"/proc/self/fd/{number}", "rb") as file:
                # In pieces, since memory is counted: of words that fill it, a piece has many.
                while octets := file.read(65536):
                    if any(each in octets for each in (CANARY.strip(), b"canaryvale", b"Haemochromatosis")):
                        self.clear.append(place)


def regular_files() -> Iterator[tuple[str, str]]:
    for number in os.listdir("/proc/self/fd"):
        try:
            place = os.readlink(f"/proc/self/fd/{number}")
            is_file = stat.S_ISREG(os.stat(f"/proc/self/fd/{number}").st_mode)
        except FileNotFoundError:
            continue
        if is_file and not place.endswith((".py", ".pyc", ".so")) and os.access(f"/proc/self/fd/{number}", os.R_OK):
            yield number, place


def sent(program: Program, mebibytes: int) -> tuple[int, Upload, int]:
    """Send a file; return the message, what the upload saw, and how much memory that took at most."""
    body = Upload(mebibytes)
    stream: Any = body
    tracemalloc.start()
    try:
        answer = program.send(
            input_stream=stream, content_length=body.size, content_type=f"multipart/form-data; boundary={BOUNDARY}"
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert answer.status_code == 201, answer.text
    assert answer.json
    return int(answer.json["id"]), body, peak


def test_a_large_file_takes_no_more_memory_than_a_small_one_and_rests_sealed_while_it_arrives(house: House) -> None:
    house.add_subscriber(ANN, name="Dr. Ann Ruiz")
    app = portal(house)
    program = Program(app, make(house).text)
    sent(program, 1)  # what is loaded once
    _, _, small = sent(program, 2)
    message, seen, large = sent(program, 8)
    assert large - small < MOST
    half = {place: size for place, size in seen.looked.items() if size > 3 * MIB}
    assert half, "what arrived waits in a file, not in memory"
    assert all(place.endswith("(deleted)") for place in half), "which has no name"
    assert seen.clear == []
    for folder, _, names in os.walk(house.home.path):
        for name in names:
            if os.path.isfile(place := os.path.join(folder, name)):
                with open(place, "rb") as file:
                    assert CANARY.strip() not in file.read(), name
    eml = first_visit(app, house, message).get(f"/messages/{message}/eml").data
    assert len(eml) > 8 * MIB


def test_an_upload_that_breaks_off_leaves_nothing_behind(house: House) -> None:
    house.add_subscriber(ANN, name="Dr. Ann Ruiz")
    program = Program(portal(house), make(house).text)
    before = set(regular_files())
    body = Upload(4)
    body.left = iter([next(body.left), BLOCK, BLOCK])  # and then the line is dead
    stream: Any = body
    answer = program.send(
        input_stream=stream, content_length=body.size, content_type=f"multipart/form-data; boundary={BOUNDARY}"
    )
    assert answer.status_code == 400, answer.text
    assert not [each for each in set(regular_files()) - before if "deleted" in each[1]]
    assert house.engine.query("SELECT count(*) AS n FROM messages")[0]["n"] == 0
    assert os.listdir(house.home.run) == [] or not any("upload" in each for each in os.listdir(house.home.run))

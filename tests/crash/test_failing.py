"""Whichever call fails while a message is taken: it is refused and absent, or acknowledged and durable.

In the manner of SQLite's own tests: the first call fails, then the second, and so on until a message came through
without meeting the fault.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import shutil
import smtplib
import ssl
import struct
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from cryptnsend.store.vault import INLINE
from tests.crash.house import find
from tests.crash.programs import ANN, MailProgram
from tests.crash.test_kill import PASSWORD, UNCAPPED, add_ann
from tests.support.homes import make_home
from tests.support.roles import Roles

SOURCE = Path(__file__).with_name("failing.c")
CONTROL = struct.Struct("=qqqq16s")
CALLS = (
    "open", "write", "writev", "pwrite", "pwrite64", "fsync", "fdatasync", "ftruncate", "ftruncate64", "linkat",
    "rename",
)  # fmt: skip
MOST = 400  # calls that a message may take, so that a loop ends


class Fault:
    """The shared page by which a role is told which call fails, and tells that it did."""

    def __init__(self, file: Path):
        file.write_bytes(bytes(CONTROL.size))
        with file.open("r+b") as opened:
            self._page = mmap.mmap(opened.fileno(), CONTROL.size)

    def set(self, call: str, turn: int, error: int) -> None:
        """Let the call of that name fail whose *turn* it is, the first being 1."""
        self._page[:] = CONTROL.pack(0, error, 0, 0, call.encode())
        self._page[:8] = struct.pack("=q", turn)

    def end(self) -> bool:
        """Let nothing fail any more, and say whether something did."""
        fired = CONTROL.unpack(self._page[:])[3]
        self._page[:8] = bytes(8)
        return bool(fired)

    def close(self) -> None:
        self._page.close()


@dataclass
class Door:
    """A submission role with a fault in it, and a program that sends."""

    roles: Roles
    fault: Fault
    program: MailProgram
    heard: dict[str, int]  # code by tag; 0 where the connection was cut

    def send(self, tag: str, size: int) -> int:
        try:
            with self.program.connect() as client:
                client.mail(ANN)
                code, _ = client.rcpt(f"{tag}@yahoo.example")
                if code == 250:
                    code, _ = client.data(mail(tag, size))
        except smtplib.SMTPResponseException as refused:
            code = refused.smtp_code
        except (OSError, smtplib.SMTPException):
            code = 0
        self.heard[tag] = code
        return code

    def send_together(self, tags: Sequence[str], size: int) -> None:
        """Send mails that end at the same moment, each on a session of its own."""
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(self.program.connect()) for _ in tags]
            for client, tag in zip(clients, tags, strict=True):
                client.mail(ANN)
                client.rcpt(f"{tag}@yahoo.example")
                assert client.docmd("DATA")[0] == 354
                client.send(mail(tag, size))
            for client in clients:
                client.send(b".\r\n")
            for client, tag in zip(clients, tags, strict=True):
                self.heard[tag] = client.getreply()[0]


def mail(tag: str, size: int) -> bytes:
    header = f"From: {ANN}\r\nTo: {tag}@yahoo.example\r\nSubject: {tag}\r\nMessage-ID: <{tag}@gmail.example>\r\n\r\n"
    return header.encode() + (b"z" * 70 + b"\r\n") * (size // 72 + 1)


@pytest.fixture
def door(short_folder: Path) -> Iterator[Door]:
    if shutil.which("gcc") is None:
        pytest.fail("gcc is missing. On Debian: sudo apt-get install gcc libc6-dev")
    library = short_folder / "failing.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, SOURCE, "-ldl"], check=True)
    config = make_home(short_folder / "home", UNCAPPED)
    device = add_ann(config)
    fault = Fault(short_folder / "control")
    preload = {
        "LD_PRELOAD": str(library),
        "FAILING_CONTROL": str(short_folder / "control"),
        "FAILING_UNDER": str(config.server.home),
    }
    roles = Roles(config, {"submission": preload})
    roles.home.announce({"portal": 443})
    for role in ("keeper", "submission"):
        roles.start(role)
    context = ssl.create_default_context(cafile=str(config.tls.certificate))
    program = MailProgram(1, roles, short_folder / "sent", threading.Event(), context=context, device=device)
    yield Door(roles, fault, program, {})
    roles.stop()
    fault.close()


FAULTS = [
    pytest.param(error, size, id=f"{errno.errorcode[error]}-{name}", marks=pytest.mark.long if is_long else ())
    for name, size in (("row", 300), ("file", 60_000))
    for error, is_long in ((errno.EIO, False), (errno.ENOSPC, True), (errno.EINTR, True), (errno.EMFILE, True))
]


@pytest.mark.parametrize(("error", "size"), FAULTS)
def test_whichever_call_fails_a_message_is_absent_or_durable(door: Door, error: int, size: int) -> None:
    assert door.send("before", size) == 250
    calls = ("open",) if error == errno.EMFILE else CALLS  # no descriptor is left, which only an opening can meet
    met = Counter({call: _until_none_fails(door, call, error, size) for call in calls})
    needed = {"open", "pwrite64", "fdatasync"} | ({"writev", "fsync"} if size > INLINE else set())
    needed &= set(calls)
    assert all(met[call] for call in needed), f"the fault met too little: {met}"
    absent_or_durable(door)
    print(os.strerror(error), {call: count for call, count in met.items() if count}, Counter(door.heard.values()))


@pytest.mark.parametrize("error", [errno.EIO, pytest.param(errno.ENOSPC, marks=pytest.mark.long)])
def test_whichever_call_fails_on_a_file_that_messages_share_each_of_them_is_absent_or_durable(
    door: Door, error: int
) -> None:
    for call, turn in (("linkat", 1), ("linkat", 2), ("writev", 1), ("fsync", 1), ("fsync", 2)):
        for attempt in range(MOST):  # until three of them met in one file
            tags = [f"{call}-{turn}-{attempt}-{one}" for one in range(3)]
            door.fault.set(call, turn, error)
            door.send_together(tags, 60_000)
            if door.fault.end():
                break
        else:
            raise AssertionError(f"{call} was never met")
        assert [code for code in map(door.heard.get, tags) if code != 250], "it failed, and nothing was refused"
        door.send_together([f"{tag}-after" for tag in tags], 60_000)
        assert {door.heard[f"{tag}-after"] for tag in tags} == {250}
    absent_or_durable(door)


def absent_or_durable(door: Door) -> None:
    door.roles.stop()
    found = find(door.roles.config, ANN, PASSWORD)
    yes = {tag for tag, code in door.heard.items() if code == 250}
    no = {tag for tag, code in door.heard.items() if code >= 400}
    assert yes <= found.ids.keys(), "acknowledged, and gone"
    assert not no & found.ids.keys(), "refused, and there all the same"
    assert not [ids for ids in found.ids.values() if len(ids) > 1]
    assert not found.unreadable
    assert not found.without_delivery
    assert all(code == 250 or 400 <= code < 500 for code in door.heard.values()), door.heard


def _until_none_fails(door: Door, call: str, error: int, size: int) -> int:
    """Send messages in which the first, the second ... of these calls fails; return how many did."""
    for turn in range(1, MOST):
        tag = f"{call}-{turn}"
        door.fault.set(call, turn, error)
        code = door.send(tag, size)
        fired = door.fault.end()
        assert door.send(f"{tag}-after", size) == 250, f"{call} failed once, and nothing is taken any more"
        if not fired:
            assert code == 250, "nothing failed, and it was refused"
            return turn - 1
    raise AssertionError(f"{call} fails for ever")

"""How much memory does the server need: for many large mails at once, files of gigabytes, idle people, many days?

Each part runs the roles it is about as processes of their own, over real sockets, and reads the kernel's books of the
whole tree: resident sets, memory that processes share counted for each.

    python benchmarks/memory.py                                all parts
    python benchmarks/memory.py --part submissions             a hundred mails of 25 MiB at once
    python benchmarks/memory.py --part file --size 2147483648  one file up and down, compared
    python benchmarks/memory.py --part idle --count 1000       so many signed-in connections that say nothing
    python benchmarks/memory.py --part day --count 12          so many days in fast motion: does it grow?
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import http.client
import json
import os
import random
import re
import resource
import shutil
import statistics
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import processes
import verify
from generator import KIB, MIB, Failed, Generator, Load
from imap_client import Client
from measuring import work_folder
from portal import Browser, sign_in
from server import ORGANISATIONS, PASSWORD, Server, colleague, outsider, sender_address

SUBMISSIONS_TARGET = 300 * MIB  # resident, at most
FILE_TARGET = 150 * MIB  # more than before
GROWTH_TARGET = 1.05  # the last days by those after the first quarter
PIECE = 8 * MIB  # of a file that goes up, as browsers send it
DAY = Load("day", 4 * KIB, sessions=8, messages=400, sampled=2)
DAY_LARGE = Load("day, large", MIB, sessions=4, messages=12, sampled=2)
PEOPLE = 100
PATIENCE = 120.0  # seconds


@contextmanager
def running(server: Server, *roles: str) -> Iterator[int]:
    """Keep these roles running; give the octets that they have resident when nothing was asked of them yet."""
    server.roles = roles
    try:
        server.start()
        yield processes.resident(server.roots)
    finally:
        server.stop()


def say(name: str, *facts: str) -> None:
    """Print a line of results."""
    print(f"{name}: {', '.join(facts)}", flush=True)


def mib(octets: float) -> str:
    """Write octets as MiB."""
    return f"{octets / MIB:.0f} MiB"


def submissions(server: Server, folder: Path, size: int, count: int) -> bool:
    """Submit *count* mails of *size* octets on as many sessions at once; open some and compare."""
    generator = Generator(folder)
    load = Load("large", size, sessions=count, messages=count, sampled=2)
    to = [outsider(9_000_000 + at) if at % 2 else colleague(at, len(server.senders)) for at in range(load.people)]
    with running(server, "keeper", "submission") as before, processes.Peak(server.roots) as peak:
        taken = generator.run(load, server.port, server.senders, to, 1, lambda _: None)
    batch = verify.Batch("large", generator.message(load), taken, load.sampled)
    report = verify.verify(server, [batch], random.Random(1))
    say(
        f"{count} submissions of {mib(size)} at once",
        f"resident at most {mib(peak.resident)}", f"{mib(before)} before", f"target {mib(SUBMISSIONS_TARGET)}",
        str(report),
    )  # fmt: skip
    return peak.resident <= SUBMISSIONS_TARGET


class Shipper(Browser):
    """A browser that sends files in pieces (tus 1.0) and takes them."""

    def send(self, size: int, to: str) -> tuple[str, str]:
        """Send a file of *size* octets beside a message; return the message's number and the file's SHA-256."""
        self.get("/write")
        token = re.search(r'name="csrf_token" value="([^"]+)"', self.page)
        if token is None:
            raise Failed("The page to write on has no form.")
        nonce = os.urandom(16).hex()
        facts = {"filename": "scan.dcm", "filetype": "application/dicom", "nonce": nonce}
        pairs = ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in facts.items())
        said = {"Tus-Resumable": "1.0.0", "X-CSRFToken": token[1], "Sec-Fetch-Site": "same-origin"}
        begun = self.raw("POST", "/uploads", b"", {**said, "Upload-Length": str(size), "Upload-Metadata": pairs})
        place = begun.getheader("Location") or ""
        upload = place.rpartition("/")[2]
        begun.read()
        if begun.status != 201:
            raise Failed(f"The file could not be begun: {begun.status}")
        sent = hashlib.sha256()
        for start in range(0, size, PIECE):
            piece = random.Random(start).randbytes(min(PIECE, size - start))
            sent.update(piece)
            headers = {"Upload-Offset": str(start), "Content-Type": "application/offset+octet-stream"}
            answer = self.raw("PATCH", f"/uploads/{upload}", piece, {**said, **headers})
            answer.read()
            if answer.status != 204:
                raise Failed(f"The file stopped at {start}: {answer.status}")
        fields = {"csrf_token": token[1], "text": "a scan", "to": to, "nonce": nonce}
        form = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json", **said}
        kept = self.raw("POST", "/write/draft", urllib.parse.urlencode(fields | {"arrived": upload}).encode(), form)
        draft = str(json.loads(kept.read())["draft"])
        self.get(f"/write/{draft}")
        fields = {"text": "a scan", "to": to, "shown": to, "sure": to, "nonce": nonce, "draft": draft}
        if self.post("/write/send", **fields) != 303:
            raise Failed(f"The message was not sent: {_alert(self.page)}")
        return self.location.rpartition("/")[2].partition("?")[0], sent.hexdigest()

    def take(self, message: str) -> str:
        """Download the file beside a message; return its SHA-256."""
        deadline = time.monotonic() + PATIENCE
        while not (button := re.search(rf'action="(/messages/{message}/beside/\d+)"', self.page)):
            if time.monotonic() > deadline:
                raise Failed("The file did not arrive.")
            time.sleep(0.5)  # its author may still take it back
            self.get(f"/messages/{message}")
        if self.post(button[1]) != 303:
            raise Failed("The file cannot be asked for.")
        answer = self.raw("GET", self.location, None, {})
        found = hashlib.sha256()
        while octets := answer.read(MIB):
            found.update(octets)
        return found.hexdigest()

    def raw(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> http.client.HTTPResponse:
        """Ask, and leave the answer's body to be read."""
        self._connection.request(method, path, body, {**self.headers(), **headers})
        return self._connection.getresponse()


def _alert(page: str) -> str:
    """Return what a page says is wrong."""
    said = re.search(r'role="alert".*?>(.*?)</(?:p|div)>', page, re.S)
    return re.sub(r"<[^>]*>|\s+", " ", said[1]).strip() if said else page[:200]


def file(server: Server, size: int) -> bool:
    """Send a file of *size* octets to a colleague, who takes it."""
    to = colleague(0, len(server.senders))
    with running(server, "keeper", "portal") as before:
        writer = sign_in(server, sender_address(0), Shipper)
        with processes.Peak(server.roots) as up:
            message, sent = writer.send(size, to)
        reader = sign_in(server, to, Shipper)
        with processes.Peak(server.roots) as down:
            found = reader.take(message)
    if found != sent:
        raise Failed("The file that came is not the one that went.")
    say(
        f"a file of {mib(size)}",
        f"resident {mib(before)} before", f"at most {mib(up.resident)} while it went up",
        f"{mib(down.resident)} while it came down", f"target {mib(FILE_TARGET)} more than before", "the same octets",
    )  # fmt: skip
    return max(up.resident, down.resident) - before <= FILE_TARGET


def idle(server: Server, folder: Path, count: int) -> bool:
    """Let *count* people sit at each of two doors, signed in, and then let a message through."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4 * count + 256)), hard))
    generator = Generator(folder)
    with running(server, "keeper", "submission", "mailbox") as before, ExitStack() as held:
        doors = {"submissions": _greeted, "imaps": _selected}
        found = {}
        for door, sits in doors.items():
            here = processes.resident(server.roots)
            for at in range(count):
                held.enter_context(sits(server, at))
            found[door] = (processes.resident(server.roots) - here) / count / KIB
        one = Load("one", 4 * KIB, sessions=1, messages=1)
        taken = generator.run(one, server.port, server.senders, [outsider(1)], 10**9, lambda _: None)
        after = processes.resident(server.roots)
    say(
        f"{count} idle at each door", *(f"{door} {octets:.0f} KiB each" for door, octets in found.items()),
        f"resident {mib(before)} before, {mib(after)} with all", f"{len(taken)} message taken meanwhile",
    )  # fmt: skip
    return True


def _greeted(server: Server, at: int) -> Client:
    sender = server.senders[at % len(server.senders)]
    plain = base64.b64encode(f"\0{sender.address}\0{sender.password}".encode()).decode()
    client = Client(server.port)
    for line, expected in (("EHLO client.example", b"250 "), (f"AUTH PLAIN {plain}", b"235 ")):
        client.line(line, expected)
    return client


def _selected(server: Server, at: int) -> Client:
    client = Client(server.home.ports()["imaps"])
    client.login(server.senders[at % len(server.senders)].address, PASSWORD)
    client.ask("SELECT INBOX")
    return client


def day(server: Server, folder: Path, count: int) -> bool:
    """Let *count* days go by: mail comes in, people sign in, read, write and leave; look at memory each evening."""
    generator = Generator(folder)
    evenings: list[int] = []
    number = 10**8
    with running(server, "keeper", "submission", "portal", "mailbox"):
        for each in range(count):
            for load in (DAY, DAY_LARGE):
                to = [colleague(at, len(server.senders)) for at in range(load.people)]
                generator.run(load, server.port, server.senders, to, number, lambda _: None)
                number += load.messages
            for at in range(ORGANISATIONS):
                _look(server, sender_address(ORGANISATIONS + at))
                _sync(server, sender_address(ORGANISATIONS + at))
            evenings.append(processes.resident(server.roots))
            print(f"  day {each + 1}: {mib(evenings[-1])}", flush=True)
    quarter = max(1, count // 4)
    early, late = evenings[quarter : 2 * quarter], evenings[-quarter:]
    growth = statistics.median(late) / statistics.median(early) if early else 1.0
    say(
        f"{count} days of {DAY.messages + DAY_LARGE.messages} messages and {2 * ORGANISATIONS} visits",
        f"resident {mib(evenings[0])} on the first evening, {mib(evenings[-1])} on the last",
        f"the last quarter by the second {growth:.3f}", f"target {GROWTH_TARGET}",
    )  # fmt: skip
    return growth <= GROWTH_TARGET


def _look(server: Server, address: str) -> None:
    browser = sign_in(server, address)
    browser.get("/messages")
    for message in re.findall(r'href="/messages/(\d+)"', browser.page)[:5]:
        if browser.get(f"/messages/{message}") != 200:
            raise Failed(f"Message {message} does not open.")
    browser.get("/sent")
    browser.get("/account")
    browser.close()


def _sync(server: Server, address: str) -> None:
    with Client(server.home.ports()["imaps"]) as client:
        client.login(address, PASSWORD)
        client.ask("SELECT INBOX")
        client.ask("FETCH 1:* (UID FLAGS ENVELOPE BODYSTRUCTURE)")
        client.ask("FETCH * (BODY.PEEK[])")


def main() -> int:
    """Run the parts that the command line asks for; 1 if something was wrong, or with --check a target missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=["submissions", "file", "idle", "day"], help="only this one")
    parser.add_argument("--size", type=int, help="octets of a mail or of the file")
    parser.add_argument("--count", type=int, help="sessions, connections or days")
    parser.add_argument("--check", action="store_true", help="fail if a target is missed")
    parser.add_argument("--folder", type=Path, help="where to work; default: under /tmp")
    asked = parser.parse_args()
    folder = work_folder(asked.folder)
    parts: dict[str, Callable[[Server], bool]] = {
        "submissions": lambda server: submissions(server, folder, asked.size or 25 * MIB, asked.count or 100),
        "file": lambda server: file(server, asked.size or 2048 * MIB),
        "idle": lambda server: idle(server, folder, asked.count or 1000),
        "day": lambda server: day(server, folder, asked.count or 12),
    }
    good = True
    try:
        for name in [asked.part] if asked.part else parts:
            server = Server(folder / "home")
            server.make(PEOPLE)
            good &= parts[name](server)
    except Failed as failed:
        print(f"FAILED: {failed}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if good or not asked.check else 1


if __name__ == "__main__":
    sys.exit(main())

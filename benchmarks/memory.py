"""How much memory does the server need: for many large mails at once, files of gigabytes, idle people, many days?

Each part runs the roles it is about as processes of their own, over real sockets, and reads the kernel's books of the
whole tree: resident sets, memory that processes share counted for each.

    python benchmarks/memory.py                                all parts
    python benchmarks/memory.py --part submissions             a hundred mails of 25 MiB at once
    python benchmarks/memory.py --part file --size 2147483648  one file up and down, compared
    python benchmarks/memory.py --part idle --count 1000       so many signed-in connections that say nothing
    python benchmarks/memory.py --part day --count 12          so many days in fast motion: does it grow?
    python benchmarks/memory.py --part day --hours 8           as many days as go into eight hours
    python benchmarks/memory.py --vault 1000000                beside a million messages
    python benchmarks/memory.py --publish                      table and picture are written into README.md
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import copying
import picture
import processes
import publishing
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


@dataclass(frozen=True, slots=True)
class Found:
    """What a part found: its words, a mark for each figure in MiB, with a target where there is one."""

    good: bool
    words: str
    figures: Mapping[str, tuple[float, float | None]]
    evenings: Sequence[float] = ()  # MiB, where days went by


@contextmanager
def running(server: Server, *roles: str) -> Iterator[int]:
    """Keep these roles running; give the octets that they have resident when nothing was asked of them yet."""
    server.roles = roles
    try:
        server.start()
        yield processes.resident(server.roots)
    finally:
        server.stop()


def say(name: str, *facts: str) -> str:
    """Print a line of results, and return it as a row of a table."""
    print(f"{name}: {', '.join(facts)}", flush=True)
    return f"| {name} | {'; '.join(facts)} |"


def mib(octets: float) -> str:
    """Write octets as MiB."""
    return f"{octets / MIB:.0f} MiB"


def submissions(server: Server, folder: Path, size: int, count: int) -> Found:
    """Submit *count* mails of *size* octets on as many sessions at once; open some and compare."""
    generator = Generator(folder)
    load = Load("large", size, sessions=count, messages=count, sampled=2)
    to = [outsider(9_000_000 + at) if at % 2 else colleague(at, len(server.senders)) for at in range(load.people)]
    with running(server, "keeper", "submission") as before, processes.Peak(server.roots) as peak:
        taken = generator.run(load, server.port, server.senders, to, 1, lambda _: None)
    batch = verify.Batch("large", generator.message(load), taken, load.sampled)
    report = verify.verify(server, [batch], random.Random(1))
    name = f"{count} submissions of {mib(size)} at once"
    words = say(
        name,
        f"resident at most {mib(peak.resident)}", f"{mib(before)} before", f"target {mib(SUBMISSIONS_TARGET)}",
        str(report),
    )  # fmt: skip
    figures = {name: (peak.resident / MIB, SUBMISSIONS_TARGET / MIB)}
    return Found(peak.resident <= SUBMISSIONS_TARGET, words, figures)


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


def file(server: Server, size: int) -> Found:
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
    name = f"a file of {mib(size)}"
    words = say(
        name,
        f"resident {mib(before)} before", f"at most {mib(up.resident)} while it went up",
        f"{mib(down.resident)} while it came down", f"target {mib(FILE_TARGET)} more than before", "the same octets",
    )  # fmt: skip
    more = {"goes up": up.resident - before, "comes down": down.resident - before}
    figures = {f"{name} {way}: more": (octets / MIB, FILE_TARGET / MIB) for way, octets in more.items()}
    return Found(max(more.values()) <= FILE_TARGET, words, figures)


def idle(server: Server, folder: Path, count: int) -> Found:
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
    words = say(
        f"{count} idle at each door", *(f"{door} {octets:.0f} KiB each" for door, octets in found.items()),
        f"resident {mib(before)} before, {mib(after)} with all", f"{len(taken)} message taken meanwhile",
    )  # fmt: skip
    more = {f"{count} idle at {door}: more": (octets * count * KIB / MIB, None) for door, octets in found.items()}
    return Found(True, words, more)


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


def day(server: Server, folder: Path, count: int, hours: float) -> Found:
    """
    Let *count* days go by, or as many as *hours* have room for.

    On each mail comes in, people sign in, read, write and leave; in the evening memory is looked at.
    """
    generator = Generator(folder)
    evenings: list[int] = []
    number = 10**8
    with running(server, "keeper", "submission", "portal", "mailbox"):
        ends = time.monotonic() + hours * 3600
        while len(evenings) < count or time.monotonic() < ends:
            for load in (DAY, DAY_LARGE):
                to = [colleague(at, len(server.senders)) for at in range(load.people)]
                generator.run(load, server.port, server.senders, to, number, lambda _: None)
                number += load.messages
            for at in range(ORGANISATIONS):
                _look(server, sender_address(ORGANISATIONS + at))
                _sync(server, sender_address(ORGANISATIONS + at))
            evenings.append(processes.resident(server.roots))
            print(f"  day {len(evenings)}: {mib(evenings[-1])}", flush=True)
    quarter = max(1, len(evenings) // 4)
    early, late = evenings[quarter : 2 * quarter], evenings[-quarter:]
    growth = statistics.median(late) / statistics.median(early) if early else 1.0
    words = say(
        f"{len(evenings)} days of {DAY.messages + DAY_LARGE.messages} messages and {2 * ORGANISATIONS} visits",
        f"resident {mib(evenings[0])} on the first evening, {mib(evenings[-1])} on the last",
        f"the last quarter by the second {growth:.3f}", f"target {GROWTH_TARGET}",
    )  # fmt: skip
    return Found(growth <= GROWTH_TARGET, words, {}, [octets / MIB for octets in evenings])


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
    parser.add_argument("--hours", type=float, default=0.0, help="let days go by for so long, --count of them at least")
    parser.add_argument("--vault", type=int, default=0, metavar="N", help="messages of others that are there before")
    parser.add_argument("--check", action="store_true", help="fail if a target is missed")
    parser.add_argument("--folder", type=Path, help="where to work; default: under /tmp")
    publishing.offer(parser, "memory")
    asked = parser.parse_args()
    folder = work_folder(asked.folder)
    parts: dict[str, Callable[[Server], Found]] = {
        "submissions": lambda server: submissions(server, folder, asked.size or 25 * MIB, asked.count or 100),
        "file": lambda server: file(server, asked.size or 2048 * MIB),
        "idle": lambda server: idle(server, folder, asked.count or 1000),
        "day": lambda server: day(server, folder, asked.count or 12, asked.hours),
    }
    found: list[Found] = []
    try:
        publishing.check(asked.publish)
        publishing.check(asked.publish and f"{asked.publish}-days")
        for name in [asked.part] if asked.part else parts:
            server = Server(folder / "home")
            server.make(PEOPLE)
            if asked.vault:
                copying.grow(server, asked.vault, reader=PEOPLE - ORGANISATIONS)
            found.append(parts[name](server))
        publish(asked.publish, found)
    except Failed as failed:
        print(f"FAILED: {failed}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if not asked.check or all(each.good for each in found) else 1


def publish(place: str | None, found: Sequence[Found]) -> None:
    """Write what was found into *place* of the README, and days, which have a picture of their own, into theirs."""
    days = [each for each in found if each.evenings]
    parts = [each for each in found if not each.evenings]
    heads = ["| what | memory |", "|---|---|"]
    if place is not None and parts:
        figures = {name: figure for each in parts for name, figure in each.figures.items()}
        drawn = {
            name: {"ratio": value, "least": value, "most": value, "target": target}
            for name, (value, target) in figures.items()
        }
        picture_ = publishing.bars("Memory, at most", drawn, "MiB")
        table = [*heads, *(each.words for each in parts)]
        publishing.publish(place, picture_, "MiB of memory in each part", table, rounds=1)
    if place is not None and days:
        picture_ = picture.line("Memory in the evening", days[0].evenings, "MiB", "day")
        table = [*heads, *(each.words for each in days)]
        publishing.publish(f"{place}-days", picture_, "MiB of memory in the evening of each day", table, rounds=1)


if __name__ == "__main__":
    sys.exit(main())

"""What does reading by IMAP cost, compared with Dovecot that has the same mails in a Maildir?

A vault is filled with mailboxes of some sizes, and Dovecot's with the same mails in the same order. Then, round by
round and operation by operation, both are asked the same over TLS: lists of header fields, ENVELOPE, BODYSTRUCTURE,
FLAGS, bodies, searches, a first sync, signing in. "cold" is the first time after Dovecot's caches were removed and both
have a new connection, "warm" is once more on the same one. CPU is that of the whole process tree, the keeper with it;
memory is the highest resident set of the process that serves. What both answered is compared, message by message.

    python benchmarks/mailbox.py                              1,000, 10,000 and 100,000 messages
    python benchmarks/mailbox.py --rounds 1 --size 200        a quick look
    python benchmarks/mailbox.py --vault 1000000              beside a million messages of others
"""

from __future__ import annotations

import argparse
import imaplib
import json
import os
import re
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import copying
import filling
import processes
import publishing
from dovecot import Dovecot, Maildir, argon2id
from generator import MIB, Failed, Sender
from imap_client import Client, fetched, normal
from measuring import conditions, note, spread, summary, work_folder
from server import ORGANISATIONS, PASSWORD, SETTINGS, Server, sender_address

from cryptnsend.cli.owner import owned
from cryptnsend.settings import Tls

SIZES = (1_000, 10_000, 100_000)
ROUNDS = 5
BODIES = 1_000  # of the newest messages
LOGINS = 10  # per measurement
HASHED = 2
HASHED_USER = "hashed@clinicx.example"  # whose password Dovecot has as a hash; ours is the main password of the reader
FAST = ", by Dovecot's fast logins"
FIELDS = (
    "From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To"
)
HEADERS = f"UID FETCH 1:* (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS ({FIELDS})])"
HEADER = "UID FETCH {} (UID RFC822.SIZE INTERNALDATE BODY.PEEK[HEADER.FIELDS (Message-ID Subject)])"
ITEMS = {"headers": HEADERS, "ENVELOPE": "UID FETCH 1:* (UID ENVELOPE)", "BODYSTRUCTURE": "UID FETCH 1:* BODYSTRUCTURE"}
# What ours may cost at most, as a part of what Dovecot costs.
TARGETS = {
    **{f"{name}, {when}": most for name in ITEMS for when, most in (("cold", 1.0), ("warm", 3.0))},
    "FLAGS": 4.0,
    "bodies": 1.2,
    "bodies, again": 1.2,
    "login": 0.3,
}
MEMORY = 100 * MIB  # that the serving process may have


@dataclass
class Side:
    """One server, and what was measured there."""

    name: str
    port: Callable[[], int]
    roots: Callable[[], list[int]]
    passwords: dict[str, str]
    is_fast: bool = False
    cpu: dict[tuple[int, str], list[float]] = field(default_factory=dict)
    memory: dict[tuple[int, str], list[float]] = field(default_factory=dict)
    answers: dict[str, bytes] = field(default_factory=dict)  # of this round

    def connect(self, user: str) -> Client:
        """Return a connection that is signed in."""
        client = Client(self.port())
        client.login(user, self.passwords[user])
        return client

    def measure(self, size: int, name: str, work: Callable[[], bytes], *, count: int = 1) -> None:
        """Do *work*, which stands for *count* operations, and note what it used."""
        lowered = processes.forget_peaks(self.roots())
        before = processes.used(self.roots())
        self.answers[name] = work()
        used = processes.used(self.roots()) - before
        self.cpu.setdefault((size, name), []).append(used.cpu / count)
        if lowered:
            self.memory.setdefault((size, name), []).append(processes.highest(self.roots()))


@dataclass(frozen=True, slots=True)
class Box:
    """One mailbox of both servers."""

    user: str
    size: int
    maildir: Maildir


def play(side: Side, box: Box, *, forget: Callable[[], None], lists_only: bool) -> None:
    """Ask one server everything once, or *lists_only*; *forget* removes caches where there are any."""
    size = box.size
    forget()
    with side.connect(box.user) as client:
        side.measure(size, "SELECT, cold", lambda: client.ask("SELECT INBOX"))
        side.measure(size, "SELECT", lambda: client.ask("SELECT INBOX"))
        side.measure(size, "FLAGS", lambda: client.ask("UID FETCH 1:* (FLAGS)"))
        side.measure(size, "STATUS", lambda: client.ask("STATUS INBOX (MESSAGES UIDNEXT UNSEEN)"))
        side.measure(size, "LIST", lambda: client.ask('LIST "" *'))
        client.ask("LOGOUT")
    for name, command in ITEMS.items():
        forget()
        with side.connect(box.user) as client:
            client.ask("SELECT INBOX")
            for when in ("cold", "warm"):
                side.measure(size, f"{name}, {when}", lambda command=command: client.ask(command))  # type: ignore[misc]
            client.ask("LOGOUT")
    if lists_only:
        return
    with side.connect(box.user) as client:
        client.ask("SELECT INBOX")
        newest = f"UID FETCH {max(1, size - BODIES + 1)}:{size} BODY.PEEK[]"
        for when in ("bodies", "bodies, again"):
            side.measure(size, when, lambda: client.ask(newest), count=min(BODIES, size))
        side.measure(size, "SEARCH SUBJECT", lambda: client.ask('UID SEARCH SUBJECT "discharge"'))
        side.measure(size, "SEARCH UNSEEN", lambda: client.ask("UID SEARCH UNSEEN"))
        some = f"UID SEARCH UID {max(1, size - BODIES + 1)}:{size} TEXT normal"
        side.measure(size, "SEARCH TEXT", lambda: client.ask(some), count=min(BODIES, size))
        side.measure(size, "STORE", lambda: client.ask(f"UID STORE {size} +FLAGS (\\Flagged)"))
        client.ask(f"UID STORE {size} -FLAGS (\\Flagged)")
        client.ask("LOGOUT")
    forget()
    side.measure(size, "first sync", lambda: _sync(side, box))


def _sync(side: Side, box: Box) -> bytes:
    """Do what a program does on its first day: list, flags and headers of all, and the newest bodies by the hundred."""
    said = []
    with side.connect(box.user) as client:
        for command in ("NAMESPACE", 'LIST "" *', "SELECT INBOX", "UID FETCH 1:* (FLAGS)", HEADERS):
            said.append(client.ask(command))
        for start in range(max(1, box.size - BODIES + 1), box.size + 1, 100):
            said.append(client.ask(f"UID FETCH {start}:{min(start + 99, box.size)} BODY.PEEK[]"))
        client.ask("LOGOUT")
    return said[3] + said[4] + b"".join(said[5:])


def sign_in(side: Side, user: str) -> None:
    """Connect, sign in and leave, some times, with a device's password and with one that is kept as a hash."""

    def repeat(name: str, password: str, times: int) -> bytes:
        for _ in range(times):
            with Client(side.port()) as client:
                client.login(name, password)
                client.ask("LOGOUT")
        return b""

    hashed = user if side.name == Server.name else HASHED_USER
    for mode in ("", FAST) if side.name == Server.name else (FAST,) if side.is_fast else ("",):
        side.measure(0, "login" + mode, lambda: repeat(user, side.passwords[user], LOGINS), count=LOGINS)
        side.measure(0, "login, hashed password" + mode, lambda: repeat(hashed, PASSWORD, HASHED), count=HASHED)
    side.answers.clear()


def compare(ours: Side, theirs: Side) -> int:
    """Raise Failed unless both gave the same answers; return how many responses were compared."""
    compared = 0
    for name, said in ours.answers.items():
        other = theirs.answers[name]
        if name.startswith("SEARCH"):
            # Between the lines Dovecot tells how far it has come.
            mine, yours = (b" ".join(sorted(re.findall(rb"^\* SEARCH(.*)", each, re.M))) for each in (said, other))
            _same(name, mine.strip(), yours.strip())
            compared += 1
            continue
        if not any(name.startswith(each) for each in (*ITEMS, "FLAGS", "bodies", "first sync")):
            continue
        count = 0
        for (number, mine), (number2, yours) in zip(fetched(said), fetched(other), strict=True):
            if number != number2:
                raise Failed(f"{name}: message {number} stands where Dovecot has {number2}.")
            _same(f"{name} of {number}", *(_reading(name, each) for each in (mine, yours)))
            count += 1
        if not count:
            raise Failed(f"{name}: no answers.")
        compared += count
    ours.answers.clear()
    theirs.answers.clear()
    return compared


def _reading(name: str, content: bytes) -> bytes:
    """Return what a response says, without what the two may write each in their way."""
    if name.startswith(("bodies", "headers", "first sync")):
        # Items may come in any order, Dovecot's UID first.
        items = re.match(rb"((?:UID \d+|RFC822.SIZE \d+|FLAGS \([^)]*\)| )*)(.*)", content, re.DOTALL)
        assert items is not None
        return b" ".join(sorted(re.findall(rb"UID \d+|RFC822.SIZE \d+|FLAGS \([^)]*\)", items[1]))) + items[2].lower()
    return normal(content)


def _same(what: str, mine: bytes, yours: bytes) -> None:
    if mine != yours:
        at = next(
            (at for at, (a, b) in enumerate(zip(mine, yours, strict=False)) if a != b), min(len(mine), len(yours))
        )
        near = slice(max(0, at - 60), at + 60)
        raise Failed(f"{what} differs at {at}: ours {mine[near]!r}, Dovecot's {yours[near]!r}")


class House:
    """Both servers with the same mailboxes, on one folder; what an earlier run left there is used again."""

    def __init__(self, folder: Path, sizes: Sequence[int], vault: int, stack: ExitStack):
        self.server = Server(
            folder / "home",
            # The hash of the main password as in service.
            CRYPTNSEND_ARGON2_MEMORY_KIB="65536",
            CRYPTNSEND_ARGON2_ITERATIONS="3",
            CRYPTNSEND_ARGON2_LANES="4",
        )
        self._folder, self._stack = folder, stack
        note = folder / f"filled-{vault}.json"
        if not note.exists():
            if others := list(folder.glob("filled-*.json")):
                raise Failed(f"{others[0]}: another vault was filled there; take another folder.")
            self._fill(sizes, vault, note)
        known = {int(size): Sender(*reader) for size, reader in json.loads(note.read_text()).items()}
        if missing := set(sizes) - known.keys():
            raise Failed(f"{folder} was filled earlier, and not with {sorted(missing)} messages; take another folder.")
        self.readers = [known[size] for size in sizes]
        self.boxes = [
            Box(reader.address, size, self._maildir(reader)) for reader, size in zip(self.readers, sizes, strict=True)
        ]

    def start(self) -> tuple[Side, Side, Side]:
        """Start everything; return ours, Dovecot, and Dovecot in its fast mode."""
        self.server.roles = ("keeper", "mailbox")
        self._stack.callback(self.server.stop)
        self.server.start()
        tls = self.server.config.tls
        users = [*self.readers, Sender(HASHED_USER, PASSWORD)]
        hashes = {HASHED_USER: argon2id(PASSWORD)}
        passwords = {each.address: each.password for each in self.readers}
        ports = self.server.home.ports
        ours = Side(Server.name, lambda: ports()["imaps"], lambda: self.server.roots, passwords)
        return ours, *(self._dovecot(users, hashes, tls, passwords, is_fast=is_fast) for is_fast in (False, True))

    def _dovecot(
        self, users: Sequence[Sender], hashes: dict[str, str], tls: Tls, passwords: dict[str, str], *, is_fast: bool
    ) -> Side:
        where = self._folder / ("fast" if is_fast else "dovecot")
        mail = self._folder / "mail"
        server = Dovecot(where, mail, tls.certificate, tls.key, users, hashes=hashes, is_fast=is_fast)
        self._stack.callback(server.stop)
        server.start()
        return Side(server.name, lambda: server.port, lambda: server.roots, passwords, is_fast)

    def _maildir(self, reader: Sender) -> Maildir:
        return Maildir(self._folder / "mail" / reader.address)

    def _fill(self, sizes: Sequence[int], vault: int, note: Path) -> None:
        self.server.make(ORGANISATIONS + len(sizes))
        if vault:
            copying.grow(self.server, vault)
        os.environ.update(SETTINGS)
        readers = []
        with owned(self.server.config) as app:
            for at in range(len(sizes)):
                device = app.owner.add_device(sender_address(at), PASSWORD, "Thunderbird", "read")
                readers.append(Sender(sender_address(at), device.password))
        self.server.roles = ("keeper", "mailbox")
        self.server.start()
        try:
            for at, size in enumerate(sizes):
                self._fill_box(at, size, readers[at])
        finally:
            self.server.stop()
        filled = zip(sizes, readers, strict=True)
        note.write_text(json.dumps({size: (reader.address, reader.password) for size, reader in filled}))

    def _fill_box(self, at: int, size: int, reader: Sender) -> None:
        """Fill one mailbox of ours, and Dovecot's with the same in the order that ours has."""
        author = sender_address(ORGANISATIONS + at)
        print(f"Filling a mailbox with {size:,} messages ...", flush=True)
        mails = (filling.mail(number, author, reader.address) for number in range(size))
        filling.fill(self.server, ORGANISATIONS + at, reader.address, mails)
        with Client(self.server.home.ports()["imaps"]) as client:
            client.login(reader.address, reader.password)
            client.ask("SELECT INBOX")
            order = []
            for start in range(1, size + 1, 1_000):
                for _, said in fetched(client.ask(HEADER.format(f"{start}:{start + 999}"))):
                    number, date = re.search(rb"<(\d{8})\.filled", said), re.search(rb'INTERNALDATE "([^"]+)"', said)
                    assert number is not None
                    assert date is not None
                    received = imaplib.Internaldate2tuple(b'INTERNALDATE "' + date[1] + b'"')
                    order.append((int(number[1]), time.mktime(received)))
        if sorted(number for number, _ in order) != list(range(size)):
            raise Failed(f"Of {size} messages that were filled in, {len(order)} came out.")
        self._maildir(reader).fill(
            (filling.mail(number, author, reader.address), received) for number, received in order
        )


def main() -> int:
    """Run what the command line asks for; 1 if answers differ, or with --check if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--size", type=int, action="append", help="messages in a mailbox; may be repeated")
    parser.add_argument("--folder", type=Path, help="where to work, on the disk to be measured; default: under /tmp")
    parser.add_argument("--keep", type=Path, help="work in this folder, use what was filled there, and leave it there")
    parser.add_argument("--vault", type=int, default=0, metavar="N", help="messages of others that are there besides")
    parser.add_argument("--lists", action="store_true", help="only what a list of messages needs: no bodies, searches")
    parser.add_argument("--check", action="store_true", help="fail if a median misses its target")
    parser.add_argument("--figures", type=Path, help="write the ratios of CPU to this file, as JSON")
    publishing.offer(parser, "mailbox")
    asked = parser.parse_args()
    sizes = tuple(asked.size or SIZES)
    folder = asked.keep or work_folder(asked.folder)
    folder.mkdir(parents=True, exist_ok=True)
    compared = 0
    try:
        publishing.check(asked.publish)
        with ExitStack() as stack:
            house = House(folder, sizes, asked.vault, stack)
            ours, theirs, fast = house.start()
            for turn in range(asked.rounds):
                for box in house.boxes:
                    for side in (ours, theirs) if turn % 2 else (theirs, ours):
                        forget = box.maildir.forget_caches if side is theirs else lambda: None
                        play(side, box, forget=forget, lists_only=asked.lists)
                    compared += compare(ours, theirs)
                    print(f"  round {turn + 1}, {box.size:,} messages: compared", flush=True)
                for side in (ours, theirs, fast):
                    sign_in(side, house.readers[0].address)
        print(f"\n{conditions(asked.rounds, 'Dovecot')}\n")
        missed, ratios, said = report(ours, theirs, fast, sizes)
        print("\n".join(said))
        targets = {name: TARGETS[what] for name in ratios if (what := _operation(name)) in TARGETS}
        note(asked.figures, ratios, targets)
        verified = f"Verified: {compared:,} answers of ours say what Dovecot's say."
        print(f"\n{verified}")
        judged = {name: each for name, each in ratios.items() if name in targets}
        drawn = publishing.bars("CPU of reading by IMAP, Dovecot = 1", summary(judged, targets))
        alt = "Ratios of CPU by operation"
        publishing.publish(asked.publish, drawn, alt, said, rounds=asked.rounds, peer="Dovecot", ends=verified)
        print(f"Again: python {' '.join(sys.argv)}")
    except Failed as failed:
        print(f"FAILED: {failed}", file=sys.stderr)
        return 1
    finally:
        if asked.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    return int(asked.check and missed)


def report(
    ours: Side, theirs: Side, fast: Side, sizes: Sequence[int]
) -> tuple[bool, dict[str, list[float]], list[str]]:
    """Return whether a target was missed, the ratios by name, and the results as a Markdown table."""
    missed = False
    found: dict[str, list[float]] = {}
    said = [
        "| messages | operation | CPU ratio | target | ours, ms | Dovecot, ms | MiB, ours | Dovecot |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for size in (*sizes, 0):
        for at, name in (each for each in ours.cpu if each[0] == size):
            key = (at, name)
            other = fast if name.endswith(FAST) else theirs
            mine, yours = ([value * 1e3 for value in side.cpu[key]] for side in (ours, other))
            ratios = [one / two for one, two in zip(mine, yours, strict=True) if two]
            found[f"{size:,} messages: {name}" if size else name] = ratios
            target = TARGETS.get(name)
            missed |= target is not None and statistics.median(ratios) > target
            memory = [max(side.memory.get(key, [0])) / MIB for side in (ours, other)]
            if "hashed" not in name:  # the hash of a main password takes 64 MiB by itself
                missed |= memory[0] * MIB > MEMORY
            said.append(
                f"| {size:,} | {name} | {spread(ratios)} | {'' if target is None else target} |"
                f" {spread(mine)} | {spread(yours)} | {memory[0]:.0f} | {memory[1]:.0f} |"
            )
    return missed, found, said


def _operation(name: str) -> str:
    """Return the operation of a name in the figures."""
    return name.rpartition(" messages: ")[2]


if __name__ == "__main__":
    sys.exit(main())

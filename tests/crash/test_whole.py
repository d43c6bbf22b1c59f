"""A whole server under load, whose supervisor and roles are killed at any moment: each promise is kept, once."""

from __future__ import annotations

import email
import email.policy
import json
import os
import random
import re
import signal
import smtplib
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

import pytest

from cryptnsend.app import build
from cryptnsend.cli.owner import owned
from cryptnsend.core.errors import WrongSecret
from cryptnsend.demo.house import House
from cryptnsend.demo.internet import Internet
from cryptnsend.demo.stage import text_of
from cryptnsend.demo.visitor import Visitor, first_link
from cryptnsend.rights import ROLES
from tests.crash.house import find, opened
from tests.crash.people import Answerer, Changer, Person, Recaller, file_of
from tests.crash.programs import ANN, MailProgram
from tests.crash.test_kill import PASSWORD, UNCAPPED
from tests.support.served import CHEAP
from tests.support.waiting import wait_for

CAROL, PAT = "carol@gmail.example", "pat@yahoo.example"
ROOT = Path(__file__).parents[2]
WEIGHTS = {"keeper": 2, "submission": 5, "inbound": 1, "mailbox": 1, "portal": 4, "courier": 3, "supervisor": 1}
VALUES = {
    **CHEAP,
    # Who does not know whether a change of password counted tries both, which is no guessing.
    "limits": {
        **UNCAPPED["limits"],
        "connections_per_ip": 100,
        "sign_in_failures": 1000,
        "sign_in_failures_per_network": 1_000_000,
    },
    "api": {"requests_per_minute": 100_000},
}


class Tormented(House):
    """A server of all roles, of which each can be killed."""

    device = ""

    def _make(self) -> None:
        super()._make()
        self._read, self._pids = 0, {role: [0][:0] for role in ROLES}
        with owned(self.config) as app:
            for address, name in ((ANN, "Ann Ruiz"), (CAROL, "Carol Wood")):
                app.owner.add(address, PASSWORD, organisation=None, roles=("subscriber",), name=name)
            self.device = app.owner.add_device(ANN, PASSWORD, "crash test", "submit").password

    def start(self) -> None:
        """Start all roles, under a supervisor that is quick to start them again."""
        self.told()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.crash.quick", "serve", "--home", str(self.path)],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip
        wait_for(lambda: "all roles are ready" in self.told(), "the server starts")

    def told(self) -> set[str]:
        """Read what was logged since the last time: return the events, and remember who plays which role."""
        with self.log.open("ab+") as log:
            log.seek(self._read)
            whole, _, _ = log.read().rpartition(b"\n")
        self._read += len(whole) + 1 if whole else 0
        events = set()
        for line in whole.splitlines():
            if b'"a role starts"' in line or b'"all roles are ready"' in line:
                told = json.loads(line)
                events.add(told["event"])
                if "pid" in told:
                    self._pids[told["name"]].append(told["pid"])
        return events

    def started(self, role: str) -> list[int]:
        """Return the processes that have played this role."""
        self.told()
        return self._pids[role]

    def kill(self, name: str) -> None:
        """Kill a role, or the supervisor over the others, and return when somebody plays it again."""
        if name == "supervisor":
            self.stop(signal.SIGKILL)
            self.start()
            return
        before = list(self.started(name))
        os.kill(before[-1], signal.SIGKILL)
        wait_for(lambda: len(self.started(name)) > len(before), f"{name} starts again")


@dataclass
class Crowd:
    """Who works with the server, each in a thread of its own."""

    programs: list[MailProgram]
    answerer: Answerer
    changer: Changer
    recaller: Recaller
    stop: threading.Event

    def people(self) -> list[Person]:
        return [self.answerer, self.changer, self.recaller]

    @contextmanager
    def at_work(self) -> Iterator[None]:
        threads = [threading.Thread(target=each.run) for each in (*self.programs, *self.people())]
        try:
            for thread in threads:
                thread.start()
            yield
        finally:
            self.stop.set()
            for thread in threads:
                thread.join(120)

    def wait_for_mail(self) -> None:
        """Return when another mail was taken, so that every kill meets a server at work."""
        before = sum(len(each.acknowledged) for each in self.programs)
        wait_for(
            lambda: sum(len(each.acknowledged) for each in self.programs) > before,
            f"mail is taken again: {[each.heard for each in self.programs]}",
        )


def crowd(house: Tormented, internet: Internet, folder: Path, senders: int) -> Crowd:
    """Let Pat register and Ann's system have a token; return everybody, ready to begin."""
    stop, context = threading.Event(), house.context()
    programs = [
        MailProgram(n, house, folder / f"sent-{n}.log", stop, context=context, device=house.device)
        for n in range(senders)
    ]
    mail = EmailMessage(policy=email.policy.SMTP)
    mail["From"], mail["To"], mail["Subject"], mail["Message-ID"] = ANN, PAT, "first", "<first@gmail.example>"
    mail.set_content("first\n")
    with programs[0].connect() as client:
        client.send_message(mail)
    with smtplib.SMTP_SSL("localhost", house.home.ports()["submissions"], context=context, timeout=30) as client:
        client.login(CAROL, PASSWORD)
        mail.replace_header("From", CAROL)
        mail.replace_header("Message-ID", "<carols@gmail.example>")
        client.send_message(mail, CAROL, [CAROL])
    receipt = text_of(internet.wait_for(ANN, predicate=lambda one: "code" in str(one.parsed["Subject"]).lower()).parsed)
    code = re.search(re.escape(PAT) + r".*?(\d{3} \d{3})", receipt, re.DOTALL)
    assert code is not None
    pat, notice = Visitor(house.base_url, context), internet.wait_for(PAT)
    page = pat.get(first_link(text_of(notice.parsed), "/m/"))
    page = pat.send(page, page.form(with_field="code"), code=code[1].replace(" ", ""))
    page = pat.send(page, page.form(with_field="password"), password=PASSWORD)
    assert page.path.startswith("/messages/")
    return Crowd(
        programs,
        Answerer(house, folder / "answers.log", stop, PAT, PASSWORD, path=page.path.partition("?")[0]),
        Changer(house, folder / "changes.log", stop, CAROL, PASSWORD),
        Recaller(house, folder / "recalls.log", stop, token=_token(house), program=programs[0]),
        stop,
    )


def _token(house: House) -> str:
    ann = Visitor(house.base_url, house.context())
    page = ann.get("/sign-in")
    ann.send(page, page.form(with_field="password"), address=ANN, password=PASSWORD)
    page = ann.get("/account/programs")
    form = page.form(with_field="days")
    form.values = [pair for pair in form.values if pair[0] != "scope"] + [("scope", "expire")]
    found = re.search(r"cns_[0-9a-z]{40}", ann.send(page, form, name="Practice", password=PASSWORD).html)
    assert found
    return found[0]


def check_whole(folder: Path, kills: int, senders: int, seed: int) -> str:
    """Kill at random moments, then look at each promise; return what was done, in words."""
    chance, pause = random.Random(seed), threading.Event()
    with Internet() as internet, Tormented(internet, values=VALUES, keep=folder) as house:
        everybody, killed = crowd(house, internet, folder, senders), Counter[str]()
        began = time.monotonic()
        with everybody.at_work():
            for number in range(kills):
                everybody.wait_for_mail()
                pause.wait(chance.uniform(0.0, 0.25))
                name = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
                house.kill(name)
                killed[name] += 1
                if number % 50 == 49:
                    print(f"{number + 1} kills, {time.monotonic() - began:.0f} s", flush=True)
            for each in everybody.people():
                before = len(each.promised)
                wait_for(lambda each=each, before=before: len(each.promised) > before, f"{each} is served again")
        seconds = time.monotonic() - began
        house.stop()
        sent = check_mail(house, everybody)
        check_recalls(house, everybody)
        check_answers(house, everybody)
        check_password(house, everybody)
        notices, repeated = check_notices(house, internet)
        house.run("vault", "verify")
        house.run("audit", "verify")
    done = ", ".join(f"{count} {name}" for name, count in sorted(killed.items()))
    people = ", ".join(f"{len(each.promised)} {type(each).__name__}" for each in everybody.people())
    return (
        f"{kills} kills ({done}) in {seconds:.0f} s; {sent} messages acknowledged; {people};"
        f" {notices} notices, {repeated} of them brought again as the same mail"
    )


def check_mail(house: Tormented, everybody: Crowd) -> int:
    """Nothing acknowledged is lost or doubled, and nothing is there that nobody sent."""
    found = find(house.config, ANN, PASSWORD)
    promised = {tag: ident for each in everybody.programs for tag, ident in each.acknowledged.items()}
    lost = [tag for tag, ident in promised.items() if int(ident) not in found.ids.get(tag, [])]
    assert not lost, f"{len(lost)} of {len(promised)} acknowledged messages are gone"
    assert not [ids for ids in found.ids.values() if len(ids) > 1], "a resend was taken for a new message"
    tried = {f"crash-{each.number}-{n}" for each in everybody.programs for n in range(len(each.acknowledged) + 1)}
    assert found.ids.keys() <= tried | {"first"}, "there is mail that nobody sent"
    assert set(found.unreadable) <= {"first"}, found.unreadable  # its fields stand in another order
    assert not found.without_delivery
    return len(promised)


def check_recalls(house: Tormented, everybody: Crowd) -> None:
    """What was taken back opens for no recipient, and nothing else was taken back."""
    app = build(house.config, "owner")
    try:
        rows = app.engine.query(
            "SELECT m.id, g.state FROM messages m JOIN addresses d ON d.account = m.author"
            " LEFT JOIN grants g ON g.message = m.id AND g.role = 'recipient' WHERE d.canonical = :ann",
            ann=ANN,
        )
    finally:
        app.engine.close()
        app.blobs.close()
    opens = {str(row["id"]) for row in rows if row["state"] == "active"}
    assert not opens & set(everybody.recaller.promised), "what was taken back can still be opened"
    assert {str(row["id"]) for row in rows} - opens <= everybody.recaller.asked, "what nobody took back is shut"


def check_answers(house: Tormented, everybody: Crowd) -> None:
    """Each reply is there once, its file with it."""
    mails = [
        email.message_from_bytes(octets, policy=email.policy.default)
        for _, octets in opened(house.config, PAT, PASSWORD)
    ]
    tags = Counter(str(mail.get_body(("plain",)).get_content()).strip() for mail in mails)
    promised = everybody.answerer.promised
    assert set(promised) <= set(tags), "a reply is gone"
    assert set(tags) <= {f"reply-{n}." for n in range(len(promised) + 1)}
    assert set(tags.values()) == {1}, f"a reply is there twice: {tags}"
    for mail in mails:
        tag = str(mail.get_body(("plain",)).get_content()).strip()
        files = [each.get_content() for each in mail.iter_attachments()]
        assert files == ([file_of(tag)] if int(tag[6:-1]) % 2 else []), f"{tag} has other files"


def check_password(house: Tormented, everybody: Crowd) -> None:
    """The password that was acknowledged last opens what is old, unless a change that nobody answered was made."""
    carol, opens = everybody.changer, 0
    for each in (carol.password, *carol.asked):
        try:
            found = find(house.config, CAROL, each)
        except WrongSecret:
            continue
        opens += 1
        assert found.ids.keys() == {"carols"}
    assert opens == 1, "no password opens, or two do"


def check_notices(house: Tormented, internet: Internet) -> tuple[int, int]:
    """Whoever was told got one mail, or the same one again; return how many came, and how many of them again."""
    came = repeated = 0
    for address in internet.addresses():
        if not address.startswith("crash-"):
            continue
        idents = [str(mail.parsed["Message-ID"]) for mail in internet.inbox(address)]
        assert len(set(idents)) == 1, f"{address} was told of one message by two mails"
        came += len(idents)
        repeated += len(idents) - 1
    assert came
    return came, repeated


@pytest.mark.long
def test_forty_killed_roles_and_supervisors_break_no_promise(short_folder: Path) -> None:
    print(check_whole(short_folder, 40, senders=4, seed=5))


@pytest.mark.torture
def test_a_thousand_killed_roles_and_supervisors_break_no_promise(short_folder: Path) -> None:
    print(check_whole(short_folder, int(os.environ.get("KILLS", "1000")), senders=10, seed=6))

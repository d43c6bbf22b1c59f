"""Does a word of anybody's mail, password or code rest anywhere in clear? A canary goes every way there is.

Words stand in subject, body, attachment, file name, header fields and the display names in them, in replies, drafts
and plain mail that waits to leave; roles are killed while the words pass through them. Then everything that the server
wrote is searched: databases with their logs, blobs, log lines, temporary folders, backups.
"""

from __future__ import annotations

import base64
import email.policy
import os
import re
import secrets
import shutil
import signal
import smtplib
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from cryptnsend.demo.house import House as Server
from cryptnsend.demo.internet import Internet
from cryptnsend.demo.visitor import Visitor, first_link
from tests.support.served import CHEAP
from tests.support.waiting import wait_for

from .thief import every_form
from .wire import Wire, pids

ANN, PAT, GHOST = "ann@gmail.example", "pat@yahoo.example", "ghost@nowhere.example"
PASSWORDS = {ANN: "harbour violet tractor ninety", PAT: "lantern otter gravel seventeen"}
LARGE = 400_000  # octets: more than rests inside the database, and more than a form keeps in memory


class Words:
    """Words that nobody else uses, one per place, so that a hit says where it came from."""

    def __init__(self) -> None:
        self.of: dict[str, str] = {}

    def __call__(self, place: str) -> str:
        return self.of.setdefault(place, f"Canary{secrets.token_hex(6)}x")


def found(folders: list[Path], words: dict[str, str]) -> list[tuple[str, str]]:
    """Return (place of the word, file) for each word that stands in a file of *folders*, in clear or encoded."""
    forms = [(place, form) for place, word in words.items() for form in every_form(word.encode())]
    hits = []
    for folder in folders:
        for path in sorted(folder.rglob("*")) if folder.is_dir() else [folder]:
            if path.is_file() and not path.is_symlink():
                octets = path.read_bytes()
                hits += [(place, path.name) for place, form in forms if form in octets]
                hits += [(place, "the name of a file") for place, form in forms if form in os.fsencode(path)]
    return hits


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, Path]]:
    """A server with a folder for temporary files of its own."""
    folder = Path(tempfile.mkdtemp(prefix="cs-"))
    scratch = folder / "tmp"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    with Internet() as internet, Server(internet, values=CHEAP, keep=folder) as house:
        yield house, scratch
    shutil.rmtree(folder)


def kill(server: Server, role: str) -> None:
    """End a role by SIGKILL and wait until its supervisor has brought another one up."""
    before = set(pids(server.home, role))
    assert before
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    back_up(server, role, before)


def back_up(server: Server, role: str, before: set[int]) -> None:
    """Wait until the supervisor has replaced the processes *before* of a role, which may answer until they are gone."""
    wait_for(lambda: set(pids(server.home, role)) - before, f"another {role}", seconds=60)
    if role == "portal":
        wait_for(lambda: _answers(server), "the portal to answer", seconds=60)
    elif role == "submission":
        wait_for(lambda: _greets(server), "the door to open", seconds=60)


def _answers(server: Server) -> bool:
    try:
        return Visitor(server.base_url, server.context()).get("/healthz").status == 200
    except OSError:
        return False


def _greets(server: Server) -> bool:
    try:
        with Wire(server.home.ports()["submissions"], server.context(), timeout=30) as wire:
            return wire.reply().startswith("220 ")
    except (OSError, KeyError):
        return False


def mail(words: Words, kind: str, *, to: str = PAT, token: str = "", size: int = 0) -> bytes:
    """Return a mail with a word of its own in every place there is."""
    made = EmailMessage(policy=email.policy.SMTP)
    made["From"] = f"{words(kind + ' author name')} <{ANN}>"
    made["To"] = f"{words(kind + ' recipient name')} <{to}>"
    made["Subject"] = f"{token}{words(kind + ' subject')}"
    made["X-Chart"] = words(kind + " header field")
    made["Message-ID"] = f"<{secrets.token_hex(8)}@gmail.example>"
    made.set_content(f"{words(kind + ' body')}\n")
    made.add_alternative(f"<p>{words(kind + ' html')}</p>", subtype="html")
    octets = words(kind + " attachment").encode() + b" " + os.urandom(size)
    name = words(kind + " file name") + ".pdf"
    made.add_attachment(octets, maintype="application", subtype="pdf", filename=name)
    return made.as_bytes()


def submit(server: Server, device: str, octets: bytes, to: str = PAT) -> str:
    with smtplib.SMTP_SSL(
        "localhost", server.home.ports()["submissions"], context=server.context(), timeout=60
    ) as client:
        client.login(ANN, device)
        client.mail(ANN)
        client.rcpt(to)
        code, said = client.data(octets)
    assert code == 250, said
    return said.decode().split()[3]


def cut_off(server: Server, device: str, octets: bytes, role: str) -> None:
    """Send most of a mail, kill a role in the middle of it, and never finish."""
    with Wire(server.home.ports()["submissions"], server.context()).sign_in(ANN, device) as wire:
        wire.envelope(ANN, PAT).send(octets[: len(octets) // 2])
        wait_for(lambda: any(server.home.blobs.iterdir()) or len(octets) < LARGE, "a blob to be begun")
        kill(server, role)


def cut_upload(server: Server, who: Visitor, path: str, words: Words) -> None:
    """Post half of a reply with a file, while the portal is killed."""
    page = who.get(path)
    form = page.form(with_field="text")
    files = [("files", words("cut reply file name") + ".txt", "text/plain", words("cut reply file").encode() * 40_000)]

    before = set(pids(server.home, "portal"))

    def strike() -> None:
        for pid in before:
            os.kill(pid, signal.SIGKILL)

    killer = threading.Timer(0.05, strike)
    killer.start()
    try:
        who.send(page, form, text=words("cut reply"), files=files)
    except OSError:
        pass  # the portal died under it, which is the point
    finally:
        killer.join()
    back_up(server, "portal", before)


@pytest.mark.long
def test_no_word_rests_in_clear_anywhere(server: tuple[Server, Path]) -> None:
    """Every way through the house with crashes in between; then not one hit, and planted words are found."""
    house, scratch = server
    words = Words()
    secret: dict[str, str] = {f"password of {who}": text for who, text in PASSWORDS.items()}
    house.run("subscriber", "add", ANN, "--name", "Dr. Ann", "--password-stdin", stdin=PASSWORDS[ANN] + "\n")
    made = house.run("device", "add", ANN, "--name", "x", "--password-stdin", stdin=PASSWORDS[ANN] + "\n")
    secret["device password"] = device = made.split()[-1]
    ann, pat = (Visitor(house.base_url, house.context()) for _ in range(2))
    page = ann.get("/sign-in")
    ann.send(page, page.form(with_field="address"), address=ANN, password=PASSWORDS[ANN])
    # In by SMTP, small and large; and cut off in the middle, with the door killed under it.
    message = submit(house, device, mail(words, "small"))
    large = submit(house, device, mail(words, "large", size=LARGE))
    cut_off(house, device, mail(words, "cut", size=2_000_000), "submission")
    # Through the link to Pat.
    notice = house.internet.wait_for(PAT, 2)
    link = first_link(str(notice.parsed.get_body(("plain",)).get_content()), "/m/")  # type: ignore[union-attr]
    secret["link"] = link.removeprefix("/m/")
    status = ann.get(f"/sent/{message}")
    shown = ann.send(status, status.form(action="/codes"))
    code = re.search(re.escape(PAT) + r".*?(\d{3} \d{3})", shown.words)
    assert code is not None
    page = pat.get(link)
    page = pat.send(page, page.form(with_field="code"), code=code[1])
    page = pat.send(page, page.form(with_field="password"), password=PASSWORDS[PAT])
    assert words.of["small subject"] in page.words or words.of["large subject"] in page.words
    kill(house, "keeper")
    # Read, saved as file, mail and ZIP; replied to, also with the portal killed in the middle of an upload.
    for each in (message, large):
        for tail in ("", "?view=text", "/eml"):
            assert pat.get(f"/messages/{each}{tail}").status == 200
        page = pat.get(f"/messages/{each}")
        assert words.of["small attachment" if each == message else "large attachment"].encode() in (
            pat.get(page.link("/files/").removesuffix("/look")).octets
        )
        page = pat.get(f"/messages/{each}/zip")
        assert pat.send(page, page.form(with_field="proof")).octets[:2] == b"PK"
    files = [
        ("files", words("reply file name") + ".txt", "text/plain", words("reply file").encode() + os.urandom(LARGE))
    ]
    wait_for(lambda: ann.get("/account").status == 200, "the keeper to be back", seconds=60)
    page = pat.get(f"/messages/{message}")
    sent = pat.send(page, page.form(with_field="text"), text=words("reply"), files=files)
    assert sent.path.endswith("/sent")
    kill(house, "courier")
    house.internet.wait_for(ANN, predicate=lambda one: "secure reply" in str(one.parsed["Subject"]), timeout=60)
    cut_upload(house, pat, f"/messages/{large}", words)
    # A reply that is not sent yet, with a file, kept over the end of the portal.
    files = [
        ("files", words("draft file name") + ".txt", "text/plain", words("draft file").encode() + os.urandom(LARGE))
    ]
    page = pat.get(f"/messages/{large}")
    form = page.form(with_field="text")
    form.action = f"/messages/{large}/draft"
    assert words("draft file name") in pat.send(page, form, text=words("draft"), files=files).html
    kill(house, "portal")
    assert words("draft") in pat.get("/drafts").html
    # Plain mail that leaves, plain mail that has to wait, and a report.
    submit(house, device, mail(words, "plain", token=":: "))
    submit(house, device, mail(words, "waiting", to="x@down.example", token=":: "), "x@down.example")
    submit(house, device, mail(words, "lost", to=GHOST), GHOST)
    house.internet.wait_for(ANN, predicate=lambda one: one.parsed.get_content_type() == "multipart/report", timeout=60)
    page = ann.get("/account/passphrase")
    page = ann.send(page, page.form(with_field="password"), password=PASSWORDS[ANN])
    phrase = re.search(r'id="now-key"[^>]*>([^<]+)<', page.html)
    assert phrase is not None
    secret["delivery passphrase"] = phrase[1].strip()
    exported = house.run("message", "export", message, "--account", ANN, "--password-stdin", "--output", "-",
                         stdin=PASSWORDS[ANN] + "\n")  # fmt: skip
    assert words.of["small body"] in exported
    house.run("backup", str(house.path.parent / "backup"))
    for role in ("portal", "submission"):
        kill(house, role)
    for who in (ann, pat):
        secret |= {f"cookie {name}": value for name, value in who._cookies.items() if name.startswith("__Host-")}
    looked_in = [house.path, house.log, scratch, house.path.parent / "backup"]
    assert found(looked_in, words.of | secret) == []
    assert not [path for path in scratch.rglob("*") if path.is_file()], "temporary files stay"
    # The search finds what was planted: in clear, encoded, in a database, in a name.
    word = words.of["small body"]
    (scratch / "clear").write_text(f"...{word}...")
    assert found([scratch], words.of) == [("small body", "clear")]
    (scratch / "clear").unlink()
    for offset in range(3):
        (scratch / "encoded").write_bytes(base64.b64encode(b"?" * offset + f" {word} ".encode()))
        assert ("small body", "encoded") in found([scratch], words.of)
    (scratch / "encoded").unlink()
    copy = sqlite3.connect(scratch / "rows.db")
    copy.execute("CREATE TABLE t(a)")
    copy.execute("INSERT INTO t VALUES (?)", (f"about {word}",))
    copy.commit()
    copy.close()
    (scratch / word).touch()
    assert {place for place, _ in found([scratch], words.of)} == {"small body"}
    assert len(found([scratch], words.of)) >= 2

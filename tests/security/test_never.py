"""DESIGN's list of what must never happen, tried as an attacker: header injection, paths in names, forms without a
token, requests that must change nothing, mail to people outside the thread, secrets where others can read them.

What stands elsewhere: plaintext at rest in test_canary, relaying and enumeration in test_doors and test_stories, markup
in test_pages, who opens what in test_who_may_open and test_rows.
"""

from __future__ import annotations

import email
import email.policy
import io
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from email.header import Header
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import pyzipper

from cryptnsend.core.contracts import Row
from cryptnsend.core.errors import CryptnSendError
from cryptnsend.delivery.outcome import Outcome
from cryptnsend.demo.house import House as Server
from cryptnsend.flow.composing import Letter
from cryptnsend.flow.parcels import Moot
from cryptnsend.flow.views import Upload
from cryptnsend.portal import Portal
from cryptnsend.store.records import deliveries
from tests.support.house import PASSWORD, House
from tests.support.served import DECOY

from .browser import Browser, changed, rows
from .wire import pids
from .world import ANN, EVE, PAT, World

ROOT = Path(__file__).resolve().parents[2]

# What our own mails may have in their header; anything else was brought in by a stranger.
OURS = {
    "date", "from", "to", "subject", "message-id", "reply-to", "in-reply-to", "references", "mime-version",
    "content-type", "content-transfer-encoding", "dkim-signature", "auto-submitted", "x-auto-response-suppress",
    "precedence", "cc",
}  # fmt: skip
MALLORY = "mallory@evil.example"  # nobody ever writes to them
BREAKS = ["\r\n", "\n", "\r", "\u2028", "\u0085", "\x0b", "\x0c", "\x1c", "%0d%0a", "=0D=0A", "\\r\\n"]


def letters(house: House) -> Iterator[tuple[str, Letter]]:
    """Compose everything that waits to leave, as the courier does."""
    now = house.clock.now()
    for row in house.engine.write(lambda rows: deliveries.claim(rows, "w", now, 60_000, 500)).result():
        try:
            letter = house.courier.letters.compose(row)
        except Moot:
            continue
        for link in letter.links:
            house.keep(link.row, row["org"])
        yield row["kind"], letter


def parsed(letter: Letter) -> EmailMessage:
    octets = letter.octets if isinstance(letter.octets, bytes) else b"".join(letter.octets())
    assert b"\n" not in octets.replace(b"\r\n", b"")
    assert b"\r" not in octets.replace(b"\r\n", b"")
    made = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(made, EmailMessage)
    return made


# -- CR and LF from a header or a form --------------------------------------------------------------------------------


@pytest.mark.parametrize("line_break", BREAKS, ids=ascii)
def test_no_line_break_of_a_strangers_reaches_a_header(world: World, line_break: str) -> None:
    """Subject, names and file names of the mail that is answered; name, text and file names of the answer."""
    house = world.house
    bad = f"x{line_break}Bcc: {MALLORY}{line_break}{line_break}<b>body"
    coded = Header(bad, "utf-8", maxlinelen=70, continuation_ws=" ").encode(linesep="\r\n", splitchars="")
    quoted = re.sub(r"[\r\n]", " ", bad).replace('"', "")
    head = (
        f'From: "{quoted}" <{ANN}>\r\nTo: {coded} <{PAT}>\r\nSubject: {coded}\r\n'
        f"Message-ID: <{'a' * 8}@x.example>\r\nReferences: {coded}\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/mixed; boundary="m"\r\n\r\n--m\r\n\r\ntext\r\n--m\r\n'
        f'Content-Type: text/plain; name="{quoted}.txt"\r\nContent-Disposition: attachment\r\n\r\nx\r\n--m--\r\n'
    )
    message = house.submit(ANN, [PAT], head.encode("utf-8", "replace"))
    pat = house.session(PAT)
    upload = Upload(f"{bad}.txt", f"text/plain{line_break}X-Evil: 1", 4, lambda: iter([b"file"]))
    answer = house.replies.send(pat, message, everybody=True, text=bad, files=(upload,), nonce=b"n" * 16)
    octets = b"".join(house.pickup.eml(house.session(ANN), answer).chunks)
    built = email.message_from_bytes(octets, policy=email.policy.default)
    for part in built.walk():
        names = {name.lower() for name, _ in part.items()}
        assert names <= OURS | {"content-disposition"}, names
    assert built["Bcc"] is None
    for name, value in (("name", bad), ("phone", f"+1 555{line_break}Bcc: x")):
        fields = {"name": "Ann Ruiz", "phone": "+1 555 010 020", "form": "zip"} | {name: value}
        try:
            house.accounts.set_profile(house.session(ANN), **fields)
        except CryptnSendError:
            continue
    world.write(ANN, PAT, "new@aol.example")
    made = [parsed(letter) for _, letter in letters(house)]
    assert len(made) >= 4
    for mail in made:
        assert {name.lower() for name, _ in mail.items()} <= OURS
        assert MALLORY not in str(mail["To"]) + str(mail["From"]) + str(mail["Reply-To"]) + str(mail["Cc"])


def test_no_line_break_reaches_an_envelope(world: World) -> None:
    """Addresses in rows that somebody changed come to nothing: no letter is made for them."""
    house = world.house
    for bad in (
        "pat@yahoo.example\r\nRCPT TO:<eve@evil.example>",
        "pat@yahoo.example>\nDATA",
        "<x>@y.example,z@y.example",
    ):
        world.write(ANN, PAT)
        for row in house.engine.write(
            lambda rows: deliveries.claim(rows, "w", house.clock.now(), 60_000, 500)
        ).result():
            if row["kind"] != "notice":
                continue
            try:
                letter = house.courier.letters.compose(dict(row, recipient_address=bad))
            except (CryptnSendError, ValueError):
                continue
            assert not set(letter.recipient) & set("\r\n")
            assert not set(letter.reverse_path) & set("\r\n")


# -- names that leave their folder ------------------------------------------------------------------------------------

NAMES = [
    "../../etc/passwd", "..\\..\\windows\\win.ini", "/etc/passwd", "C:\\boot.ini", "\\\\host\\share\\x", "..", ".", "",
    "....//....//x", "%2e%2e%2fx", "~root", "~/x", ".bashrc", "-rf", "CON", "nul.txt", "aux.pdf.exe", "a\u202egpj.exe",
    "a\u0000b.txt", "a\r\nb.txt", "x" * 500 + ".pdf", "message.eml", "MESSAGE.EML", "a:b", "a|b", "<a>", 'a"b', "a;b",
    "e\u0301.txt", "\u2044etc\u2044passwd", "\uff0e\uff0e\uff0fx", "file.txt:stream", "trailing. . ", "ünï.txt", "💌",
]  # fmt: skip


def test_attachment_names_stay_in_their_folder(world: World, pages: Portal, tmp_path: Path) -> None:
    """Downloads one by one, the ZIP unpacked by two programs' rules, and replies with such files."""
    house = world.house
    head = f"From: {ANN}\r\nTo: {PAT}\r\nSubject: names\r\nMIME-Version: 1.0\r\n".encode()
    parts = [head, b'Content-Type: multipart/mixed; boundary="m"\r\n\r\n']
    for n, name in enumerate(NAMES):
        encoded = "".join(f"%{byte:02x}" for byte in name.encode())
        raw = re.sub(r'["\\\r\n\0]', "_", name).encode()
        shown = b'filename="' + raw + b'"' if n % 2 else f"filename*=utf-8''{encoded}".encode()
        parts.append(b"--m\r\nContent-Type: text/html\r\nContent-Disposition: attachment; " + shown)
        parts.append(f"\r\n\r\ncontent {n}\r\n".encode())
    message = house.submit(ANN, [PAT], b"".join([*parts, b"--m--\r\n"]))
    reader = Browser(pages)
    reader.sign_in(PAT, PASSWORD)
    page = reader.get(f"/messages/{message}")
    files = [href for href, _ in page.links if "/files/" in href]
    assert len(files) == len(NAMES)
    for href in files:
        answer = reader.get(href)
        disposition = answer.headers["content-disposition"]
        found = re.fullmatch(r"attachment; filename=\"([^\"\\]*)\"; filename\*=UTF-8''(\S+)", disposition)
        assert found, disposition
        for name in (found[1], unquote(found[2])):
            assert_harmless(name)
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]
    page = reader.get(f"/messages/{message}/zip")
    words = re.search(r'id="zip-words"[^>]*>([^<]+)<', page.html)
    assert words is not None
    packed = reader.send(page, page.form(with_field="proof")).octets
    with pyzipper.AESZipFile(io.BytesIO(packed)) as archive:
        archive.setpassword(words[1].strip().encode())
        names = archive.namelist()
        assert len(names) == len(NAMES) + 1 == len({name.casefold() for name in names})
        for name in names:
            assert_harmless(name)
        archive.extractall(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def assert_harmless(name: str) -> None:
    """Fail if a file name means anything but a file in this folder, on any system."""
    assert name
    assert not set(name) & set('/\\\0\r\n:*?"<>|\u202e\u2044')
    assert name not in (".", "..")
    assert not name.startswith((".", "-", "~"))
    assert not name.endswith((".", " "))
    assert not re.match(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)", name)
    assert len(name.encode()) <= 255


# -- forms and methods ------------------------------------------------------------------------------------------------


def routes(app: Portal, method: str, world: World, message: int) -> list[str]:
    """Return every path of the portal that answers this method, with the ids of Ann's mail filled in."""
    token = world.house.link(message, PAT)
    found = []
    for rule in app.url_map.iter_rules():
        if method in (rule.methods or ()) and rule.endpoint != "static":
            path = re.sub(r"<(?:int:)?(message|device)>", str(message), rule.rule)
            path = re.sub(r"<token>", token, path)
            found.append(re.sub(r"<(?:\w+:)?\w+>", "1", path))
    return found


@pytest.mark.parametrize("who", [ANN, PAT])
def test_a_form_without_our_token_changes_nothing(world: World, pages: Portal, who: str) -> None:
    """Every POST there is: without a token, with somebody else's, and from another site with the right one."""
    house = world.house
    message = world.write(ANN, PAT)
    victim, other = Browser(pages), Browser(pages)
    victim.sign_in(who, PASSWORD)
    other.sign_in(EVE, PASSWORD)
    form = other.get("/sign-in").forms or other.get("/account").forms
    foreign = dict(form[0].values).get("csrf_token", "x")
    paths = routes(pages, "POST", world, message)
    before = rows(house)
    assert len(paths) > 15
    body = "address=x@y.example&password=long+enough+words+here&code=123456&text=hello&name=Eve&kind=password"
    for path in paths:
        for sent in (body, f"{body}&csrf_token={foreign}"):
            page = victim._once("POST", path, sent.encode(), "application/x-www-form-urlencoded")
            # Uploads hear only who speaks their protocol; what another app shares is led on and not read; programs
            # show a token of their own, and no cookie counts for them.
            is_led_on = path == "/share" and page.status == 303
            is_for_programs = path.startswith("/api/") and page.status == 401
            assert page.status in (400, 404, 412) or is_led_on or is_for_programs, path
        victim._once("POST", path, body.encode(), "application/x-www-form-urlencoded", {"Sec-Fetch-Site": "cross-site"})
        victim._once("POST", path, body.encode(), "application/json")
        victim._once("POST", path, b"{}", "text/plain")
    assert changed(house, before) == set()
    assert victim.get("/account").status == 200, "somebody was signed out"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"])
def test_no_method_but_post_changes_anything(world: World, pages: Portal, method: str) -> None:
    """
    Every path with every other method, as Ann: all that is noted, in the trail, is that she was shown a key of a PDF.

    What Pat opens by looking counts, and that is not Ann's look.
    """
    house = world.house
    message = world.write(ANN, PAT)
    ann = Browser(pages)
    ann.sign_in(ANN, PASSWORD)
    ann.get("/trash")  # who never saw their folders has none yet
    paths = {*routes(pages, "POST", world, message), *routes(pages, "GET", world, message)}
    before, trail = rows(house), len(house.audited(world.clinic))
    for path in paths:
        assert ann.raw(method, path).status < 500, path
    noted = house.audited(world.clinic)[trail:]
    assert {action for _, action in noted} <= {"document.key-shown"}
    assert changed(house, before) <= ({"main.db audit"} if noted else set())
    assert ann.get("/account").status == 200


def test_no_answer_believes_the_host_that_a_request_names(world: World, pages: Portal) -> None:
    """Redirects stay here, and what is mailed carries the configured host."""
    house = world.house
    browser = Browser(pages)
    for path in ("/", "/messages", "/account", "/sent", "/invite/x", "//evil.test/", "/\\evil.test"):
        for headers in ({"Host": "evil.test"}, {"X-Forwarded-Host": "evil.test"}, {"Forwarded": "host=evil.test"}):
            page = browser.raw("GET", path, headers)
            assert "evil.test" not in page.headers.get("location", "").replace(path, "")
            assert "evil.test" not in page.html.replace(path, "")
    page = browser.get("/forgot")
    browser.send(page, page.form(with_field="address"), address=PAT)
    for _, letter in letters(house):
        assert b"evil.test" not in (letter.octets if isinstance(letter.octets, bytes) else b"")


# -- nobody outside the thread ----------------------------------------------------------------------------------------


def test_a_reply_reaches_nobody_that_a_form_names(world: World, pages: Portal) -> None:
    """Whatever fields a reply's form is given, it goes to the author, or to those in To and Cc of the envelope."""
    house = world.house
    message = world.write(ANN, PAT)
    pat = Browser(pages)
    pat.sign_in(PAT, PASSWORD)
    page = pat.get(f"/messages/{message}")
    form = page.form(with_field="text")
    for extra in ("to", "cc", "bcc", "recipient", "recipients", "address", "everybody", "message", "parent"):
        form.values = [(name, value) for name, value in form.values if name not in (extra, "nonce")]
        form.values += [(extra, EVE), (extra, "all"), ("nonce", "")]
        pat.send(page, form, text=f"hello {extra}")
    reached = house.engine.query(
        "SELECT DISTINCT a.canonical FROM recipients r JOIN addresses a ON a.id = r.address"
        " JOIN messages m ON m.id = r.message WHERE m.author = :pat",
        pat=world.people[PAT],
    )
    assert [row["canonical"] for row in reached] == [ANN]


def test_a_header_only_address_is_never_reached(world: World) -> None:
    """Who stands in To or Cc without having been in the envelope gets nothing, neither first nor by a reply to all."""
    house = world.house
    mail = house.mail("x", "y", author=ANN, to=[PAT, "header-only@aol.example"], cc=["list@lists.example"])
    message = house.submit(ANN, [PAT], mail)
    pat = house.session(PAT)
    assert house.pickup.show(pat, message).others == ()
    house.replies.send(pat, message, everybody=True, text="z", files=(), nonce=b"n" * 16)
    known = {row["canonical"] for row in house.engine.query("SELECT canonical FROM addresses")}
    assert not known & {"header-only@aol.example", "list@lists.example"}


def test_what_fails_behind_a_report_or_a_code_makes_no_more_mail(world: World) -> None:
    """No report on a report, none on a code or a receipt: only those who submitted are told, at their own address."""
    house = world.house
    world.write(ANN, "new@aol.example")
    house.accounts.start_reset(PAT, "192.0.2.9")
    outcomes, now = house.courier.deliver._outcomes, house.clock.now()
    failed, nothing = Outcome("failed", None, "5.1.1", "550 5.1.1 no such user"), Letter("", "", b"")

    def fail(row: Row) -> None:
        house.engine.write(lambda rows: outcomes.write(rows, row, nothing, failed)).result()

    claimed = house.engine.write(lambda rows: deliveries.claim(rows, "w", now, 60_000, 500)).result()
    kinds = {row["kind"] for row in claimed}
    assert {"receipt", "code", "notice"} <= kinds

    def told() -> int:
        return len(house.engine.query("SELECT delivery FROM report_entries"))

    for row in claimed:
        before = told()
        fail(row)
        assert told() - before == (1 if row["kind"] in ("notice", "handoff", "relay") else 0), row["kind"]
    reports, again = house.engine.write(lambda rows: deliveries.claim(rows, "w", now, 60_000, 500)).result(), told()
    assert {row["kind"] for row in reports} == {"dsn"}
    for row in reports:
        letter = house.courier.letters.compose(row)
        assert letter.reverse_path == ""
        assert letter.recipient in (ANN, EVE)
        fail(row)
    assert (told(), len(house.queued("dsn"))) == (again, len(reports))


# -- secrets where others can read them -------------------------------------------------------------------------------


def test_no_process_has_a_secret_in_its_arguments_or_a_key_in_its_environment(served: Server) -> None:
    """What everybody on the machine can read of a running server, and what only its own user can; helpers included."""
    key = served.config.keeper.key_file.read_bytes().strip()
    for role in ("keeper", "submission", "inbound", "mailbox", "portal", "courier"):
        found = pids(served.home, role)
        assert found
        for pid in [*found, *children(found)]:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            assert not re.search(rb"(?i)passw|secret|token|key=", command)
            environment = Path(f"/proc/{pid}/environ").read_bytes()
            assert key not in environment
            assert (DECOY.encode() in environment) == (role == "keeper"), role
            if role != "keeper":
                assert served.config.keeper.key_variable.encode() not in environment


def children(parents: Iterable[int]) -> Iterator[int]:
    """Yield the processes that these have started, and theirs."""
    for pid in parents:
        for task in Path(f"/proc/{pid}/task").iterdir():
            own = [int(each) for each in (task / "children").read_text().split()]
            yield from own
            yield from children(own)


def test_no_process_leaves_its_memory_behind_when_it_dies(served: Server) -> None:
    """No core file, nor one for a program that the kernel pipes it to, which the limit does not bind (core(5))."""
    for role in ("keeper", "submission", "inbound", "mailbox", "portal", "courier"):
        found = pids(served.home, role)
        assert found
        for pid in found:
            assert re.search(r"Max core file size +0 +0 ", Path(f"/proc/{pid}/limits").read_text()), role
            assert re.search(r"NoNewPrivs:\s1\n", Path(f"/proc/{pid}/status").read_text()), role


@pytest.mark.parametrize("program", ["cryptnsend.__main__", "cryptnsend.reader"])
def test_no_command_leaves_its_memory_behind_when_it_dies(program: str) -> None:
    """Whoever exports or opens a message has it in clear for a while."""
    asked = (
        f"import ctypes, resource, sys; import {program} as program\n"
        "def look(**_): print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE))\n"
        "program.main = look; resource.setrlimit(resource.RLIMIT_CORE, (0, resource.RLIM_INFINITY)); program.run()"
    )
    said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "0 (0, 0)"  # PR_GET_DUMPABLE
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    assert f"{program}:run" in scripts.values()


def test_nobody_else_on_the_machine_can_read_the_home(served: Server) -> None:
    modes = {str(path): _mode(path) for path in (served.path, *served.path.rglob("*")) if not path.is_symlink()}
    assert len(modes) > 20
    assert {path: oct(mode) for path, mode in modes.items() if mode & 0o077} == {}


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except FileNotFoundError:  # the house is at work: what was a moment ago may be gone
        return 0


def test_no_address_of_ours_holds_a_secret_that_logs_would_keep(world: World, pages: Portal) -> None:
    """A browser that goes all the way never has a password, code, or proof in a URL, and no referrer leaks its link."""
    house = world.house
    message = world.write(ANN, "new@aol.example")
    browser = Browser(pages)
    page: Any = browser.get(f"/m/{house.link(message, 'new@aol.example')}")
    code = house.code(ANN, "new@aol.example")
    seen = [page]
    for values in ({"code": code}, {"password": "quilt saffron beacon eleven"}):
        name, value = next(iter(values.items()))
        form = page.form(with_field=name)
        form.values = [(each, value if each == name else old) for each, old in form.values]
        page = browser.send(page, form)
        seen.append(page)
    for each in seen:
        assert each.headers["referrer-policy"] == "no-referrer"
        assert each.headers["cache-control"] == "no-store"
        assert code not in each.path
        assert "quilt" not in each.path
    assert "/m/" not in seen[-1].path

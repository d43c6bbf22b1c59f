"""Every page of the portal with something on it, served as browsers see it: for tests and for pictures of pages."""

from __future__ import annotations

import base64
import logging
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from werkzeug.serving import make_server

from cryptnsend.config import Config
from cryptnsend.flow.filelinks import SharedLink
from cryptnsend.flow.holding import Quarantined
from cryptnsend.flow.ownkeys import Held
from cryptnsend.flow.views import Begun, Drafted, File, KeptFile, Turn, Wishes, Writing
from cryptnsend.keeper.credentials import PasskeyRow
from cryptnsend.making import make_certificate
from cryptnsend.portal import Portal, create_app
from cryptnsend.portal.programs import PROGRAMS
from tests.portal.conftest import config, pieces
from tests.portal.fakes_looks import CLINIC
from tests.portal.fakes_oversight import fake_officers
from tests.portal.furnished import furnished, kept_mails
from tests.portal.world import ANN, CODE, DAY, NOW, PASSWORD, PAT, FakeSession, World

PEOPLE = {
    "": None,
    "pat": FakeSession(1, PAT, name="Pat Lee"),
    "weak": FakeSession(2, PAT, weak=True),
    "ann": FakeSession(3, ANN, ("subscriber",), "Dr. Ann Ruiz"),
    "officer": FakeSession(4, ANN, ("subscriber", "officer"), "Dr. Ann Ruiz", organisation=7),
    "manager": FakeSession(11, "bea@clinic.example", ("manager",), "Bea Long", organisation=7),
}
MAIN = (  # what most people see
    ("", "/"),
    ("", "/m/new"),
    ("", "/m/known"),
    ("", "/sign-in"),
    ("", "/sign-up"),
    ("", "/help"),
    ("pat", "/messages"),
    ("pat", "/messages/11"),
    ("pat", "/messages/18"),
    ("pat", "/account"),
    ("ann", "/messages"),
    ("ann", "/write"),
    ("ann", "/sent"),
    ("ann", "/sent/21"),
    ("ann", "/drafts"),
    ("ann", "/setup"),
    ("ann", "/account"),
)
PAGES = [  # who looks, at what
    *(("", url) for url in ("/", "/m/new", "/m/known", "/m/second", "/m/expired", "/m/suspended", "/m/nobody")),
    *(
        ("", url)
        for url in (
            "/sign-in",
            "/forgot",
            "/sign-up",
            "/to",
            "/to/dr-ruiz",
            "/real",
            "/help",
            "/help/sending",
            "/help/too-large",
            "/privacy",
            "/nothing",
            "/style",
        )
    ),
    *(
        ("pat", url)
        for url in ("/messages", "/messages/11", "/messages/14", "/messages/15", "/messages/17", "/messages/16/code")
    ),
    ("pat", "/account/number"),
    *(("ann", url) for url in ("/account/passkeys", "/account/passkeys/1/remove")),
    ("pat", "/to/dr-ruiz/write"),
    ("", "/to/dr-ruiz?form=1"),
    ("pat", "/to/dr-ruiz/write?form=1"),
    *(("ann", f"/account/visitors{url}") for url in ("", "/forms/new", "/forms/1")),
    *(("", url) for url in ("/m/by-mail", "/m/free", "/m/known/shared")),
    ("ann", "/m/known/shared"),
    ("ann", "/account/mails"),
    ("ann", "/account/friends"),
    *(("", url) for url in ("/m/new/ask", "/m/expired/ask")),
    *(("pat", url) for url in ("/messages/18", "/messages/8", "/messages/8/ask")),
    *(("pat", f"/messages/18/files/{part}/look") for part in ("2", "3", "4")),
    *(("ann", url) for url in ("/messages/18", "/messages/18/files/2/look")),
    *(("pat", url) for url in ("/messages/11/zip", "/m/second", "/account", "/account/password", "/account/recovery")),
    *(("pat", url) for url in ("/drafts", "/account/addresses", "/messages/11/block", "/account/blocked")),
    *(("pat", url) for url in ("/account/browsers", "/account/log", "/account/export", "/account/close")),
    *(("ann", url) for url in ("/kept", *(f"/kept/{number}" for number in range(31, 36)), "/kept?before=33")),
    *(("pat", url) for url in ("/kept", "/kept/31")),
    *(
        ("officer", url)
        for url in (
            "/messages",
            "/account",
            "/account/recovery-file",
            "/account/archive-key",
            "/account/close",
            "/drafts",
        )
    ),
    *(("", url) for url in ("/answer/objects", "/closed")),
    *(("weak", url) for url in ("/messages", "/account", "/account/unlock", "/forgot/done")),
    *(("ann", url) for url in ("/messages", "/messages/11", "/sent", "/sent/21", "/sent/19", "/m/known", "/account")),
    *(
        ("ann", url)
        for url in (
            "/setup",
            *(f"/setup?program={program}" for program in PROGRAMS),
            "/account/devices",
            "/account/programs",
            "/account/webhooks",
        )
    ),
    *(("ann", url) for url in ("/account/profile", "/account/seen", "/account/passphrase")),
    *(
        ("officer", f"/organisation{url}")
        for url in ("", "/policy", "/policy/history", "/policy/compare/1/2", "/people", "/people/11", "/people/12")
    ),
    *(
        ("officer", f"/organisation{url}")
        for url in ("/audit", "/recall", "/archive", "/glass", "/glass/1", "/glass/2")
    ),
    *(("officer", f"/organisation/glass/{url}") for url in ("3", "4", "1/messages/50", "1/export")),
    *(("officer", url) for url in ("/quarantine", "/quarantine?all=1")),
    *(("manager", f"/organisation{url}") for url in ("", "/people", "/people/3", "/people/13", "/domains")),
    *(("", url) for url in ("/phone", "/offline")),
    *(("ann", url) for url in ("/phone", "/write/shared/lost")),
    *(("manager", f"/organisation/look{url}") for url in ("", "/history")),
    ("manager", "/organisation/webhooks"),
    ("", "/m/clinic"),
    *(("", f"/f/{which}") for which in ("secret", "password", "over")),
    ("ann", "/sent/21/links"),
    ("ann", "/library"),
    ("ann", "/account/replies"),
    ("ann", "/account/keys"),
    *(("ann", url) for url in ("/write", "/write/920", "/sent/21/proof", "/drafts", "/trash")),
]
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]/Contents 4 0 R"
    b"/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>endobj\n"
    b"4 0 obj<</Length 42>>stream\nBT /F1 24 Tf 50 100 Td (First visit) Tj ET\nendstream endobj\n"
    b"trailer<</Root 1 0 R>>\n"
)
EDITOR = "#editor, textarea#text:not([hidden])"  # without Squire the plain field
FORMS: list[tuple[str, str, dict[str, str], str]] = [  # who, page, what is typed, which button: another page answers
    ("", "/m/new", {"#code": "111111"}, "main form .button"),
    ("", "/m/new", {"#code": CODE}, "main form .button"),
    ("ann", "/m/known/shared", {}, "main form .button"),
    ("", "/m/by-mail", {}, "form[action$='/mail'] .button"),
    ("", "/forgot", {"#address": PAT}, "main form .button"),
    ("", "/sign-up", {"#name": "Dr. Ann Ruiz", "#address": ANN}, "main form .button"),
    ("pat", "/messages/11", {"#text": "Thank you."}, "main form .button"),
    ("pat", "/to/dr-ruiz/write?form=1", {"#answer-q1": "x", "#answer-q7": "call me"}, "main form .actions .button"),
    ("ann", "/account/visitors/forms/1", {}, "main form .actions .button.second[value='preview']"),
    ("ann", "/account/visitors/forms/new", {}, "main form .actions button:not(.second)"),
    ("pat", "/account/recovery", {"#password": PASSWORD}, "main form .button"),
    ("ann", "/sent/21", {}, ".person form .button"),
    ("ann", "/setup?program=outlook", {"#name": "Front desk"}, "main form .button"),
    ("ann", "/account/webhooks", {"#url": "https://a.example/", "#password": PASSWORD}, "#new-hook .button"),
    ("manager", "/organisation/webhooks", {"#url": "https://a.example/", "#password": PASSWORD}, "#new-hook .button"),
    ("ann", "/account/programs", {"#name": "Practice", "#password": PASSWORD}, "main form.stack .button"),
    ("ann", "/account/passphrase", {"#password": PASSWORD}, "main form .button"),
    ("pat", "/messages/16/code", {"#code": "11111111"}, "main form .button"),
    ("pat", "/account/addresses", {"#address": "pat.lee@work.example"}, "main form .button"),
    ("pat", "/account/close", {"#password": PASSWORD}, "main form .button"),
    ("officer", "/account/recovery-file", {"#password": PASSWORD}, "main form .button.second"),
    ("officer", "/account/archive-key", {"#password": "wrong"}, "main form .button:not(.second)"),
    ("", "/answer/objects", {"#address": ANN}, "main form .button"),
    ("", "/m/new/ask", {}, "main form .button"),
    ("pat", "/account/number", {"#password": PASSWORD}, "main form .button"),
    ("pat", "/messages", {"#words": "blood"}, ".search .button"),
    ("ann", "/write", {"#to": "w@lindgren.example, j@okafor-lind.co, oops", EDITOR: "Hello"}, ".end .button"),
    ("ann", "/write", {"#to": PAT, EDITOR: "Hello"}, ".end .button"),
    ("ann", "/sent/21", {}, "aside .button.quiet"),
    ("", "/f/secret#" + "A" * 43, {}, "main form .button"),
    ("", "/f/password", {"#password": "copper lantern seven violins"}, "main form .button"),
    ("manager", "/organisation/look", {"#accent": "#ffcc00"}, "main form button[name='try']"),
    ("manager", "/organisation/look", {"#accent": "#0b5c73"}, "main form button[name='try']"),
    (
        "officer",
        "/organisation/policy",
        {"#life_days": "0", "#why": "A week is enough", "#password": PASSWORD},
        "main form .button",
    ),
    ("officer", "/organisation/audit", {}, "main form .button.second"),
    ("officer", "/organisation/audit", {"#about": "nobody@x.example"}, "main form .button"),
    ("officer", "/organisation/recall", {"#message": "50"}, "main form .button"),
    ("officer", "/organisation/archive", {"#address": ANN}, "main form .button"),
    ("officer", "/organisation/archive", {}, "form[action$='/release'] .button"),
    ("officer", "/organisation/glass", {}, "form[action$='/two'] .button"),
    ("manager", "/organisation/people", {"#list": "eve@clinic.example oops"}, "main form:last-of-type .button"),
]


LONG = f"{'front.desk.and.appointments.' * 2}x@{'very-long-name-of-a-clinic.' * 2}example"
NEW = Writing(
    "Dear Walter,\n\nyour results are in.",
    "Your blood test " + "x" * 120,
    (f"Walter Lindgren <walter@lindgren.example>, {LONG}",),
    html="<p>Dear Walter,</p><ul><li>your results are <b>in</b></li></ul>",
    wishes=Wishes(plain=True, days=7, tell=True, at=NOW + DAY),
)


def inhabited() -> World:
    """Return a world in which every page has something to show, also what hardly fits."""
    made = furnished()
    scan = KeptFile(1, "Scan of the medicine box, both sides.pdf", "application/pdf", 214_000)
    words = Writing("I have one more question about the iron tablets.", everybody=True)
    made.drafts = {
        14: Drafted(514, 14, words, (scan,), NOW - 60_000, b"n" * 16),
        920: Drafted(920, 0, NEW, (scan,), NOW - 60_000, b"m" * 16),
        10: Drafted(510, 10, Writing(""), (), NOW - 20 * DAY, b"", locked=True),
    }
    made.begun = [
        Begun(930, "Begun in Thunderbird", ("Walter Lindgren",), NOW - DAY),
        Begun(931, "", (), NOW - 2 * DAY),
    ]
    place = f"{'A' * 27}#{'b' * 43}"
    made.file_links = [
        SharedLink(43, place, False, "active", 3, 1, NOW + DAY, NOW),
        SharedLink(42, place[:27], True, "active", 0, 0, NOW + 9 * DAY, NOW),
        SharedLink(41, "", False, "revoked", 0, 7, NOW + DAY, NOW - DAY),
        SharedLink(40, "", True, "ended", 1, 1, NOW - DAY, NOW - 9 * DAY),
        SharedLink(39, "", True, "damaged", 1, 0, NOW + DAY, NOW, 1000),
    ]
    digits = "2f5a9c11d0b84e7706aa41b3c9d2e8f417a05b6c"
    made.own_keys = [
        Held("openpgp", digits, (f"Dr. Ann Ruiz <{ANN}>",), "EdDSA", NOW + 900 * DAY, "", NOW, "good"),
        Held("smime", digits + digits[:24], ("Ann Ruiz", ANN), "RSA 3072", NOW + 9 * DAY, "", NOW, "ends"),
        Held("openpgp", digits, (f"{'x' * 80} <{PAT}>",), "EdDSA", None, PAT, NOW, "good"),
        Held("smime", digits + digits[:24], ("Joe",), "RSA 2048", NOW - DAY, "joe@x.example", NOW, "over"),
    ]
    made.library = [KeptFile(61, f"Iron in food {'x' * 90}.pdf", "application/pdf", 214_000), replace(scan, id=62)]
    made.kept = kept_mails()
    made.passkeys = [
        PasskeyRow(1, 3, "The phone", "backed-up", True, NOW - 9 * DAY, NOW, None),
        PasskeyRow(2, 3, "w" * 60, "device", False, NOW - DAY, None, NOW),
    ]
    made.trash = {(16, "recipient"), (8, "recipient"), (20, "author")}
    endless = replace(made.letters[11], message=17, subject="x" * 120, text="https://" + "y" * 200, html=None)
    others = ("june.lindgren.home@icloud.example",)
    made.letters[17] = replace(
        endless, sender_name="", sender_address=f"{'z' * 60}@{'clinic.' * 9}example", others=others
    )
    made.quarantined = [
        Quarantined(21, 7, LONG, 12, 2_000_000, ["ssn", "card", "unreadable"], NOW, NOW + DAY, "held", None, "", ""),
        Quarantined(22, 7, ANN, 1, 2000, ["icd"], NOW - DAY, NOW, "plain", NOW, ANN, "It is a made-up number."),
    ]
    made.sessions.update({name: each for name, each in PEOPLE.items() if each})
    conversation(made)
    made.waiting["clinic"] = replace(made.waiting["new"], organisation="Clinic", org=CLINIC)
    return made


def conversation(world: World) -> None:
    """Add message 18: links that lie, a quote, files of all kinds, and a conversation around it."""
    lies = '<p>Look: <a href="https://evil.example/">https://clinic.example/results</a> or <a href="https://maps.example/x">'
    quote = "<blockquote><p>" + "What should I eat, and what should I leave out? " * 8 + "</p></blockquote>"
    world.letters[18] = replace(
        world.letters[14],
        message=18,
        html=f"<p>Dear Pat, come on Tuesday at nine.</p>{lies}the map</a>.</p>{quote}",
        files=[
            File("2", "Way to the practice, from the station and by car.png", "image/png", 1_200),
            File("3", "Questions before the first visit.pdf", "application/pdf", 900),
            File("4", "notes.txt", "text/plain", 300),
            File("5", "Run me.html", "text/html", 300, dangerous=True),
        ],
    )
    world.threads[18] = (
        Turn(11, "Dr. Ann Ruiz", ANN, NOW - 3 * DAY, mine=False),
        Turn(12, "Pat Lee", PAT, NOW - 2 * DAY, mine=True),
        Turn(18, "Dr. Henrik Holm", "holm@holmcardio.example", NOW - DAY, mine=False),
        Turn(19, "June Lindgren", "june@example.org", NOW - 3_600_000, mine=False, opened=False),
    )
    world.files |= {(18, "2"): PIXEL, (18, "3"): PDF, (18, "4"): b"Take this along:\n - your card\n" * 9}


@contextmanager
def served(world: World, folder: Path) -> Iterator[str]:
    """Serve the pages over TLS on loopback and give their address; the certificate is written into *folder*."""
    app, settings = application(world, folder)
    with serving(app, folder, settings) as address:
        yield address


def application(world: World, folder: Path) -> tuple[Portal, Config]:
    """Return the pages as they are at https://localhost, and their settings; certificates are to lie in *folder*."""
    plain = config()
    settings = replace(
        plain,
        server=replace(plain.server, hostname="localhost"),
        portal=replace(plain.portal, style_page=True),
        tls=replace(plain.tls, certificate=folder / "certificate.pem", key=folder / "key.pem"),
    )
    return create_app(
        replace(pieces(world, settings), officers=fake_officers()),
        settings,
        ports=lambda: {"submissions": 465, "submission": 587},
    ), settings


@contextmanager
def serving(app: Portal, folder: Path, settings: Config | None = None) -> Iterator[str]:
    """Serve an application over TLS on loopback and give its address; the certificate is written into *folder*."""
    plain = settings or config()
    made = replace(
        plain,
        server=replace(plain.server, hostname="localhost"),
        tls=replace(plain.tls, certificate=folder / "certificate.pem", key=folder / "key.pem"),
    )
    make_certificate(made)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.tls.certificate, made.tls.key)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, app, threaded=True, ssl_context=context)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"https://localhost:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

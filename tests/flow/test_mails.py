"""Do all mails say the same in both faces, read well, and stay on the screen? And who gets what on the way back?"""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from typing import Any

import pytest
import pyzipper
from axe_playwright_python.sync_playwright import Axe
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser

from cryptnsend.config import web_root
from cryptnsend.flow.keeping import REASONS
from cryptnsend.flow.mailwords import WIDTH, Faces, day, moment, one_line, phone_number, usable_ids
from tests.flow.conftest import Post, faces, parsed
from tests.flow.letters import passphrase
from tests.support.house import House

FACES = Faces(web_root())
WHEN, UNTIL = "Thursday 19 November 2026 at 10:42 UTC", "Sunday 22 November 2026 at 10:42 UTC"
HOST = "mail.cryptnsend.example"
LINK = f"https://{HOST}/m/aaa3ezdaa26phngjuh3k7jzymx3ukkpjwxphkgbtziczi"
LONG = "m.featherstonehaugh-venkataraman@ruizpractice.example"

NOTICE = {
    "sender": "Dr. Ann Ruiz", "sender_address": "ann.ruiz@gmail.com", "phone": "+1 555 010 0142", "when": WHEN,
    "teller": "Dr. Ann Ruiz", "organisation": "Ruiz Family Practice", "recipient": "walter.lindgren@yahoo.com",
    "until": "19 December 2026", "is_known": True, "reminder": "", "note": "", "footer": "", "phrase": "green canoe",
    "has_account": True, "link": LINK, "host": HOST, "number": "7Q2K-9H3M", "file": "", "was_to_be_file": False,
}  # fmt: skip
ONE = {
    "what": "failed", "notice": True, "stopped": False, "parked": False, "is_unseen": False, "is_ours": False,
    "about": "desk@pinestreet.example", "reply": "desk@pinestreet.example: no such user",
    "advice": "This address does not seem to exist.", "attempts": 1, "since": WHEN, "until": UNTIL,
}  # fmt: skip


def report(*others: dict[str, Any], is_answer: bool = False, **one: Any) -> dict[str, Any]:
    """Return the values of a report about one recipient, or about several."""
    each = [ONE | one, *others]
    return {
        "what": each[0]["what"], "each": each, "recipient": "ann.ruiz@gmail.com", "sent": WHEN,
        "link": f"https://{HOST}/sent/7528775680005029366", "is_answer": is_answer,
    }  # fmt: skip


REPLY = {
    "is_reply": True, "is_locked": True, "is_readable": False, "is_pdf": False, "is_encrypted": False,
    "instead_of": "",
    "file": "secure-reply.zip", "when": WHEN, "link": LINK, "writer": "Walter Lindgren",
    "recipient": "ann.ruiz@gmail.com", "number": "9D5T-X3RB",
}  # fmt: skip
CODE = {"code": "731408", "until": UNTIL, "when": WHEN, "recipient": "walter.lindgren@yahoo.com", "host": HOST}
TOLD = {"address": "walter.lindgren@yahoo.com", "code": "482 913", "until": UNTIL, "tries": 5}
KEPT = {"address": LONG, "code": "", "until": "", "tries": 0}
RECEIPT = {"when": WHEN, "link": f"https://{HOST}/sent/1", "host": HOST, "recipient": "ann.ruiz@gmail.com"}
INVITED = {
    "organisation": "",
    "recipient": LONG,
    "link": LINK.replace("/m/", "/invite/"),
    "code": "48291307",
    "until": UNTIL,
}
SAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "notice": ("notice", NOTICE),
    "first notice": ("notice", NOTICE | {"is_known": False, "phrase": "", "has_account": False, "phone": ""}),
    "nameless notice": ("notice", NOTICE | {"sender": LONG, "sender_address": LONG, "organisation": ""}),
    "notice with words": ("notice", NOTICE | {"note": "We never text.", "footer": "410 Alder Street, Denver"}),
    "notice with a PDF": ("notice", NOTICE | {"file": "secure-message.pdf"}),
    "notice without its PDF": ("notice", NOTICE | {"was_to_be_file": True}),
    "first reminder": ("notice", NOTICE | {"reminder": "reminder"}),
    "last reminder": ("notice", NOTICE | {"reminder": "reminder-last", "is_known": False}),
    "receipt": ("receipt", RECEIPT | {"people": [TOLD, KEPT, TOLD | {"tries": 1}]}),
    "receipt of one": ("receipt", RECEIPT | {"people": [TOLD]}),
    "locked reply": ("reply", REPLY),
    "readable reply": ("reply", REPLY | {"is_locked": False, "is_readable": True}),
    "reply as a PDF": ("reply", REPLY | {"is_locked": False, "is_pdf": True, "file": "secure-reply.pdf"}),
    "encrypted reply": ("reply", REPLY | {"is_locked": False, "is_encrypted": True}),
    "linked, key over": ("reply", REPLY | {"is_locked": False, "instead_of": "smime"}),
    "linked reply": ("reply", REPLY | {"is_locked": False, "instead_of": "zip"}),
    "linked, not readable": ("reply", REPLY | {"is_locked": False, "instead_of": "tls"}),
    "linked message": ("reply", REPLY | {"is_locked": False, "is_reply": False}),
    **{
        f"{what} {'notice' if notice else 'mail'}": ("report", report(what=what, notice=notice, attempts=n))
        for n, what in enumerate(("failed", "delayed", "relayed"), 1)
        for notice in (True, False)
    },
    **{
        f"stopped mail, {what}": ("report", report(what=what, notice=False, stopped=True))
        for what in ("failed", "delayed")
    },
    "an answer that failed": ("report", report(is_answer=True)),
    "several that failed": (
        "report-of-several",
        report(ONE | {"what": "delayed", "about": LONG}, ONE | {"what": "relayed", "reply": ""}, notice=False),
    ),
    "stopped mail, unseen": ("report", report(notice=False, stopped=True, is_unseen=True)),
    **{
        f"parked, {what}": ("report", report(notice=what == "notice", parked=True, reply=""))
        for what in ("notice", "mail")
    },
    **{
        f"code for {each}": ("code", CODE | {"purpose": each})
        for each in ("reset", "signup", "visit", "alias", "exists", "exists-visit", "exists-alias", "open")
    },
    "invitation": ("invitation", INVITED),
    "invitation to an organisation": ("invitation", INVITED | {"organisation": "Ruiz Family Practice"}),
    "alert": ("alert", CODE | {"template": "new-sign-in", "link": ""}),
    "other friends": ("alert", CODE | {"template": "friends-changed", "link": ""}),
    "fewer mails": ("alert", CODE | {"template": "mails-fewer", "link": ""}),
    "other alert": ("alert", CODE | {"template": "contact-reset", "link": ""}),
    "alert with a link": ("alert", CODE | {"template": "reset-waiting", "link": LINK.replace("/m/", "/answer/")}),
    "report of a message": (
        "reported",
        {"sender": LONG, "sent": WHEN, "when": UNTIL, "message": "7528775680005029366", "recipient": LONG},
    ),
    "opened": ("opened", {"sent": WHEN, "when": UNTIL, "link": f"https://{HOST}/sent/1", "recipient": LONG}),
    "receipt of a visitor": (
        "visited",
        {"name": "Dr. Ann Ruiz", "sent": WHEN, "when": UNTIL, "link": f"https://{HOST}/messages/1", "recipient": LONG},
    ),
    **{
        f"a question, code {wants}": (
            "asked",
            {
                "wants_code": wants,
                "has_failed": False,
                "wants_own": False,
                "who": LONG,
                "sent": WHEN,
                "when": UNTIL,
                "link": LINK,
                "recipient": LONG,
            },
        )
        for wants in (True, False)
    },
    "a question, own address": (
        "asked",
        {
            "wants_code": False,
            "has_failed": False,
            "wants_own": True,
            "who": LONG,
            "sent": WHEN,
            "when": UNTIL,
            "link": LINK,
            "recipient": LONG,
        },
    ),
    "a code that failed": (
        "asked",
        {
            "wants_code": True,
            "has_failed": True,
            "wants_own": False,
            "who": LONG,
            "sent": WHEN,
            "when": UNTIL,
            "link": LINK,
            "recipient": LONG,
        },
    ),
    "closed account": ("alert", CODE | {"template": "account-closed", "link": ""}),
    **{
        f"kept: {reason}": (
            "kept",
            {"reason": reason, "when": WHEN, "link": f"https://{HOST}/kept/1", "recipient": LONG},
        )
        for reason in REASONS
    },
    **{
        f"by mail, {kept}": ("by-mail", {"is_kept": kept, "when": WHEN, "link": LINK, "recipient": LONG})
        for kept in (True, False)
    },
}


class Words(HTMLParser):
    """The words of a page in their order, and its tags."""

    def __init__(self, page: str):
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self._deaf = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._deaf = tag in ("style", "title")
        if tag in ("br", "td", "p", "h1"):
            self.words.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self._deaf = False

    def handle_data(self, data: str) -> None:
        if not self._deaf:
            self.words.append(data)

    def __str__(self) -> str:
        return " ".join("".join(self.words).split())


def rendered(name: str, **values: Any) -> tuple[str, str]:
    template, sample = SAMPLES[name]
    return FACES.render(template, "en", "A subject", sample | values)


@pytest.mark.parametrize("name", SAMPLES)
def test_both_faces_say_the_same(name: str) -> None:
    text, html = rendered(name)
    assert " ".join(text.replace("\n-- \n", "\n").split()) == str(Words(html))


@pytest.mark.parametrize("name", SAMPLES)
def test_the_plain_face_fits_a_narrow_window(name: str) -> None:
    text, _ = rendered(name)
    lines = text.splitlines()
    assert all(len(line) <= WIDTH or " " not in line for line in lines)
    assert "\n-- \n" in text
    assert "\n\n\n" not in text
    assert text == text.strip() + "\n"
    assert not re.search(r"\{[%{]|None|undefined", text)


@pytest.mark.parametrize("name", SAMPLES)
def test_mails_speak_as_the_pages_do(name: str) -> None:
    """No exclamation marks, no "please", no "click", and no words that recipients never see."""
    text = rendered(name)[0]
    assert not re.search(
        r"!|\b(please|click|oops|TLS|vault|encrypt\w*|decrypt\w*|token|session|credentials|invalid|authenticat\w+)\b",
        text,
        re.IGNORECASE,
    )


@pytest.mark.parametrize("name", ["notice", "receipt", "failed notice", "invitation"])
@settings(max_examples=30)
@given(said=st.text(max_size=40))
def test_what_others_said_makes_no_markup(name: str, said: str) -> None:
    _, usual = rendered(name)
    values: dict[str, Any] = {
        "notice": {"sender": said, "teller": said, "organisation": said or "-", "phrase": said or "-"},
        "receipt": {"people": [TOLD | {"address": said}, KEPT, TOLD | {"tries": 1}]},
        "failed notice": {"reply": said or "-", "about": said, "advice": said},
        "invitation": {"recipient": said},
    }[name]
    if name == "invitation":
        _, usual = rendered(name, recipient="x")
    _, html = rendered(name, **values)
    assert Words(html).tags == Words(usual).tags


def test_days_and_moments_are_written_for_people() -> None:
    assert day(1_797_592_000_001, "en") == "18 December 2026"
    assert moment(1_795_000_000_000, "en") == "Wednesday 18 November 2026 at 11:06 UTC"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("+1 (555) 010-0142", "+1\u00a0(555)\u00a0010-0142"),
        ("0800 123 ext. 45", "0800\u00a0123\u00a0ext.\u00a045"),
        ("  030/1234 ", "030/1234"),
        ("12", ""),
        ("ask for Ann", ""),
        ("555-https://evil.example", ""),
        ("555\u202e123", ""),
        ("٥٥٥٥٥", ""),
    ],
)
def test_a_call_back_number_is_a_number(said: str, shown: str) -> None:
    assert phone_number(said) == shown


def test_agreed_words_stay_on_one_line() -> None:
    assert one_line("green\r\n canoe " + "x" * 100) == ("green canoe " + "x" * 100)[:80]


def test_only_ids_that_fit_a_header_are_used() -> None:
    assert usable_ids(["<a@b>", "<a b@c>", "a@b", "<>", "<ü@b>", "<a@b>\r\n", f"<{'x' * 901}>"]) == ["<a@b>"]


# -- on a screen ------------------------------------------------------------------------------------------------------


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_mails_fit_the_screen_and_ask_for_nothing(browser: Browser, scheme: Any) -> None:
    asked: list[str] = []
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    page.route("**/*", lambda route: (asked.append(route.request.url), route.abort()))
    for width in (320, 360, 700):
        page.set_viewport_size({"width": width, "height": 700})
        for name in SAMPLES:
            page.set_content(rendered(name)[1])
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
    context.close()
    assert asked == []


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_mails_can_be_read_by_everybody(browser: Browser, scheme: Any) -> None:
    """Contrast, headings, language: what axe can tell."""
    context = browser.new_context(color_scheme=scheme, viewport={"width": 360, "height": 700})
    page = context.new_page()
    for name in ("notice", "receipt", "locked reply", "failed notice", "code for reset"):
        page.set_content(rendered(name)[1])
        found = Axe().run(page)
        assert found.violations_count == 0, (name, found.generate_report())
    context.close()


# -- the way back: To, Cc, Bcc, a list, and who stands in the header only ----------------------------------------------

ANN, PAT, CARL, DORA, EVE = (
    "ann@gmail.example", "pat@yahoo.example", "carl@icloud.example", "dora@aol.example", "eve@hospital.example",
)  # fmt: skip
LIST, ABSENT = "list@hospital.example", "absent@icloud.example"


@pytest.fixture
def wide(post: Post) -> tuple[Post, int]:
    """A message with everybody: To, Cc, Bcc, a list, one in the envelope only, one in the header only."""
    post.house.add_subscriber(ANN)
    octets = post.house.mail(to=[f"Pat Lee <{PAT}>", f"Not There <{ABSENT}>"], cc=[f"Carl <{CARL}>", LIST], bcc=[DORA])
    message = post.house.submit(ANN, [PAT, CARL, LIST, DORA, EVE], octets)
    post.deliver()
    return post, message


def inboxes(post: Post) -> dict[str, int]:
    return {address: len(post.mails(address)) for address in post.internet.addresses()}


def test_everybody_in_the_envelope_is_told_and_nobody_else(wide: tuple[Post, int]) -> None:
    post, _ = wide
    assert inboxes(post) == {PAT: 1, CARL: 1, LIST: 1, DORA: 1, EVE: 1, ANN: 1}


@pytest.mark.parametrize("reader", [PAT, CARL, LIST, DORA, EVE])
@pytest.mark.parametrize("everybody", [False, True], ids=["reply", "reply to all"])
def test_a_reply_reaches_who_may_hear_of_it(wide: tuple[Post, int], reader: str, everybody: bool) -> None:
    post, message = wide
    house: House = post.house
    before = inboxes(post)
    session = house.register(reader, message)
    replied = house.replies.send(session, message, everybody=everybody, text="x", files=[], nonce=b"1" * 16)
    post.deliver()
    after = inboxes(post)
    reached = {address for address in after if after[address] > before.get(address, 0)}
    others = {PAT, CARL, LIST} - {reader} if everybody else set()
    assert reached == {ANN} | others
    seen = [mail for address in reached for mail in post.mails(address)[before.get(address, 0) :]]
    eml = b"".join(house.pickup.eml(house.session(ANN), replied).chunks)
    for hidden in {DORA, EVE} - {reader}:
        assert hidden.encode() not in eml
        for mail in seen:
            # Ann learns the codes of those whom she wrote to herself; nobody else hears of them.
            assert hidden not in "".join(faces(mail.parsed)) + mail.octets.decode("latin-1")


def test_what_recipients_save_does_not_show_who_was_written_to_in_secret(wide: tuple[Post, int]) -> None:
    post, message = wide
    house = post.house
    for reader in (PAT, DORA):
        eml = b"".join(house.pickup.eml(house.register(reader, message), message).chunks)
        assert DORA.encode() not in eml
        assert EVE.encode() not in eml
    assert DORA.encode() in b"".join(house.pickup.eml(house.session(ANN), message).chunks)


def test_the_locked_file_that_ann_gets_does_not_show_them_either(wide: tuple[Post, int]) -> None:
    post, message = wide
    house = post.house
    session = house.register(PAT, message)
    house.replies.send(session, message, everybody=True, text="x", files=[], nonce=b"1" * 16)
    post.deliver()
    (part,) = post.last(ANN).iter_attachments()
    with pyzipper.AESZipFile(io.BytesIO(part.get_content())) as archive:
        archive.setpassword(passphrase(house))
        whole = archive.read("message.eml")
    assert str(parsed(whole)["Cc"]) == f"Carl <{CARL}>, {LIST}"
    assert DORA.encode() not in whole
    assert EVE.encode() not in whole


def test_a_report_about_one_of_them_goes_to_the_author_only(post: Post) -> None:
    house = post.house
    house.add_subscriber(ANN)
    hidden = "hidden@nowhere.example"
    house.submit(ANN, [PAT, hidden], house.mail(to=[PAT], bcc=[hidden]))
    post.deliver()
    for address in post.internet.addresses():
        for mail in post.mails(address):
            assert address == ANN or hidden.encode() not in mail.octets

"""As test_canary, by the ways that are taken less: what is held, answered by mail, written by strangers and programs,
copied, filed, linked to and read by officers leaves no word in clear, neither where things rest nor in a mail or line.
"""

from __future__ import annotations

import logging
import os
import quopri
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from cryptnsend.core.errors import CryptnSendError
from cryptnsend.core.forms import Form, Question, Said
from cryptnsend.flow.api_mail import Letter as ProgramLetter
from cryptnsend.flow.views import Filled, Upload, Writing
from cryptnsend.flow.visitors import Letter, Own
from cryptnsend.pdf.press import Press
from tests.flow.conftest import Desk
from tests.flow.talks import Talk
from tests.flow.test_canary import variants
from tests.flow.test_journals import prove
from tests.support.domains import OTHER_HOST
from tests.support.house import MINUTE, OTHER, PASSWORD, SOURCE, House, MakeHouse
from tests.support.press import lend

ANN, PAT, SOFIA, OLIVE = "ann@gmail.example", "pat@yahoo.example", "sofia@yahoo.example", "officer@clinic.example"
COPIES = "copies@clinic.example"
SSN = "219-44-1234"


class Words:
    """A word of its own for each place, so that a hit says where it came from."""

    def __init__(self) -> None:
        self.of: dict[str, str] = {}

    def __call__(self, place: str) -> str:
        return self.of.setdefault(place, f"Kanarie{os.urandom(6).hex()}q")

    def hits(self, octets: bytes) -> set[str]:
        return {place for place, word in self.of.items() if any(each in octets for each in variants(word))}


def file(words: Words, place: str, size: int = 1) -> Upload:
    """Return a file with a word in its name and one inside."""
    octets = f"{words(place)} ".encode() * size
    return Upload(f"{words(place + ' name')}.txt", "text/plain", len(octets), lambda: iter([octets]))


def is_held(desk: Desk, words: Words) -> None:
    """Plain mail in which something is found: held, seen by its author and an officer, sent sealed after all."""
    house = desk.house
    body = f"SSN {SSN} {words('held body')}"
    part = f'--b\r\nContent-Type: text/plain; name="{words("held file")}.txt"\r\n\r\n{body}\r\n--b--\r\n'
    mail = house.mail(f":: {words('held subject')}", part, more='Content-Type: multipart/mixed; boundary="b"\r\n')
    message = house.submit(ANN, [PAT], mail)
    desk.deliver()
    shown = house.portal.holding.show(house.session(ANN), message)
    assert [each.where for each in shown.found] == [f"{words('held file')}.txt"]
    assert house.portal.holding.quarantine(house.session(OLIVE))
    house.portal.holding.decide(house.session(ANN), message, "encrypt")


def is_answered_by_mail(desk: Desk, words: Words) -> None:
    """One answer that is proven, and joins its conversation, and one that is not, and is kept apart."""
    talk = Talk(desk, clinic_of(desk.house))
    assert talk.door.bring(talk.answer(talk.to_ann(), text=words("answer")), talk.to_ann()).startswith("250")
    forged = talk.answer(talk.to_ann(), text=words("forged"), sign=False, more=f"X-About: {words('forged header')}\r\n")
    assert talk.door.bring(forged, talk.to_ann(), source=OTHER_HOST).startswith("250")
    assert words("forged") in talk.kept_text()


def is_written_by_a_visitor(desk: Desk, words: Words) -> None:
    """A stranger's letter with a file, answers to a form, and the draft before."""
    house, ann = desk.house, desk.house.session(ANN)
    pages, asked = house.portal.visitors, Question("q1", "short", Said("Which medicine?"), required=True)
    pages.save(ann, Own("dr-ruiz", True, True, "Welcome.", ""))
    form = house.portal.visitforms.save(ann, 0, Form(Said("Intake"), Said("Hello."), (asked,)), is_open=True)
    started = pages.start("dr-ruiz", SOFIA, SOURCE, "en", worked=True)
    code = house.mailed_code()
    sofia = house.found(pages.finish(started.id, code, OTHER, "Sofia Grant", SOURCE, "x", "en"))
    filled = Filled(form.id, 1, (("q1", "Which medicine?", words("form draft")),))
    house.portal.drafts.save(sofia, Writing(words("letter draft"), "Intake", visits="dr-ruiz", filled=filled))
    letter = Letter(words("letter subject"), words("letter"))
    pages.send(sofia, "dr-ruiz", letter, files=[file(words, "letter file", 9000)], nonce=b"1" * 16, source=SOURCE)
    typed = {"q1": words("form answer")}
    offered = house.portal.visitforms.asked("dr-ruiz", form.id, 1)
    made, wrong = house.portal.visitforms.letter(sofia, pages.page("dr-ruiz"), offered, typed, words("form note"), "en")
    assert not wrong
    pages.send(sofia, "dr-ruiz", made, nonce=b"2" * 16, source=SOURCE)


def is_sent_by_a_program(desk: Desk, words: Words) -> None:
    """With a key, the same again, the key for another one, and to what is no address."""
    house = desk.house
    scopes = ("send", "status", "expire", "list")
    made = house.portal.api_tokens.add(
        house.session(ANN), name="Practice", scopes=scopes, days=30, password=PASSWORD, source=SOURCE
    )
    program = house.portal.api_tokens.authenticate(made.text, SOURCE)
    letter = ProgramLetter((PAT,), subject=words("program subject"), html=f"<p>{words('program')}</p>")
    key = words("program key").encode()
    for _ in range(2):
        house.clock.forward(1)
        house.portal.api_mail.send(program, letter, [file(words, "program file", 9000)], key)
    for to in (PAT, f"{words('program name')} <nobody"):
        with pytest.raises(CryptnSendError):
            house.portal.api_mail.send(program, ProgramLetter((to,), text=words("refused")), [], key)
    assert house.portal.api_mail.listing(program, None, 9)


def is_linked_to(desk: Desk, words: Words) -> None:
    """A large file beside a message, had by its reader and by whoever has a link."""
    house = desk.house
    ann, pat, uploads = house.session(ANN), house.session(PAT), house.portal.uploads
    octets, name = f"{words('large file')} ".encode() * 20_000, f"{words('large file name')}.dcm"
    large = uploads.begin(ann, name, "application/dicom", len(octets), nonce=b"1" * 16, may_share=True)
    uploads.append(ann, large.id, 0, [octets])
    writing = Writing("Look at this.", subject=words("share subject"), to=(PAT,))
    files = [replace(uploads.upload(ann, large.id), linked=True)]
    draft = house.portal.drafts.save(ann, writing, files=files)
    message = house.portal.newmail.send(ann, writing, draft=draft, nonce=b"2" * 16, beside_words="Large files:")
    house.clock.forward(MINUTE)
    downloads = house.portal.downloads
    assert downloads.get(downloads.begin(pat, message, large.id), pat).size == len(octets)
    links, until = house.portal.filelinks, house.clock.now() + 60 * MINUTE
    links.make(ann, message, until=until, most=3, password=words("password of the link"))
    (made,) = links.listing(ann, message)
    locator = made.place.split("/")[-1]
    offered = links.open(locator, words("password of the link"), SOURCE, b"m" * 32)
    ticket = links.begin(locator, offered.token, large.id, SOURCE, b"m" * 32)
    assert b"".join(links.get(ticket, b"m" * 32).octets(0, 30))


def is_filed_and_found(desk: Desk, words: Words) -> None:
    """A mail program files a copy, moves it, and looks for words in it."""
    boxes, ann = desk.house.mailbox.mailboxes, desk.house.session(ANN)
    boxes.create(ann, "Letters")
    into = boxes.named(ann, "Letters")
    incoming = desk.house.mailbox.filing.begin(ann, into, [], None)
    incoming.feed(f"Subject: {words('filed subject')}\r\n\r\n{words('filed')}\r\n".encode() * 4000)
    incoming.finish()
    desk.house.pickup.search(ann, words("looked for"))


def is_a_paper(desk: Desk, words: Words) -> None:
    """A locked PDF beside the notice, and one that somebody makes of what they read."""
    house = desk.house
    mail = house.mail(f"encrypt/ {words('paper subject')}", words("paper"))
    message = house.submit(ANN, [PAT], mail)
    desk.deliver()
    assert house.pickup.papers.keys(house.session(PAT), message)


def is_read_by_an_officer(desk: Desk, words: Words) -> None:
    """A mailbox of the archive is opened, looked through and saved."""
    house = desk.house
    house.second(OLIVE)
    glass, olive = house.portal.glass, house.session(OLIVE)
    ident = glass.ask(olive, PASSWORD, house.number(OLIVE), ANN, "Ann is ill and a patient asks.", 30, SOURCE, "")
    broken = glass.broken(olive, ident)
    found = list(glass.mails(broken))
    assert len(found) > 5
    for row, _ in found:
        glass.show(broken, row["id"])
        assert b"".join(glass.eml(broken, row["id"]).chunks)


WAYS: tuple[Callable[[Desk, Words], None], ...] = (
    is_answered_by_mail, is_held, is_written_by_a_visitor, is_sent_by_a_program, is_linked_to, is_filed_and_found,
    is_a_paper, is_read_by_an_officer,
)  # fmt: skip


def clinic_of(house: House) -> int:
    """Return the organisation that has its mail copied."""
    return int(house.engine.query("SELECT id FROM organisations WHERE name = 'Clinic'")[0]["id"])


def resting(house: House, words: Words) -> set[str]:
    """Return the places of the words that stand in any file of the home."""
    return {hit for path in house.home.path.rglob("*") if path.is_file() for hit in words.hits(path.read_bytes())}


@pytest.fixture
def clinic(make_house: MakeHouse, press: Press) -> Iterator[Desk]:
    """A clinic that has its mail copied, watches what leaves plain, and lets files be shared."""
    house = make_house(policy={"file_links": "everybody"})
    lend(press, house.courier, house.portal)
    org = house.organisation("Clinic")
    house.add_subscriber(COPIES, organisation=org, name="Copies")
    prove(house, org, "clinic.example")
    house.owner.owner.set_rules(org, {"journal_to": (f"clinic.example {COPIES}",)}, "as agreed")
    desk = Desk(house)
    yield desk
    desk.courier.close()


def test_no_word_rests_or_leaves_in_clear_by_the_ways_that_are_taken_less(
    clinic: Desk, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    desk, house, words = clinic, clinic.house, Words()
    for way in WAYS:
        way(desk, words)
        house.clock.forward(MINUTE)
        desk.deliver()
    assert len(words.of) > 25
    assert len(desk.answers.sent) > 15
    for _, _, octets in desk.answers.sent:
        assert words.hits(octets) | words.hits(quopri.decodestring(octets)) == set()
    house.upkeep.once()
    assert resting(house, words) == set()
    assert words.hits(repr(list(house.rows())).encode()) == set()
    said = capfd.readouterr()
    assert words.hits((said.out + said.err + caplog.text).encode()) == set()
    # A control, and what is told as not defended: names of folders and labels can be read.
    house.mailbox.mailboxes.create(house.session(ANN), words("folder"))
    assert resting(house, words) == {"folder"}

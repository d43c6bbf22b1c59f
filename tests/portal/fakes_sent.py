"""Flows of what a subscriber writes and sends, with everything in memory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cryptnsend.core.addresses import canonical
from cryptnsend.core.errors import Denied, Ended, NoGrant, Refusal, WrongSecret
from cryptnsend.core.forms import Form, Question, Said, answers, checked
from cryptnsend.core.typed import read_people
from cryptnsend.flow.holding import HeldMessage, Quarantined
from cryptnsend.flow.views import Addressed, Checked, Event, Evidence, Known, SentEntry, Thrown, Upload, Writing
from cryptnsend.flow.views_accounts import SignedIn, Started
from cryptnsend.flow.visitforms import Asked, OwnForm
from cryptnsend.flow.visitors import BlockedVisitor, Letter, Own, Page
from tests.portal.fakes import FakeDrafts
from tests.portal.world import NOW, PAT, World

KNOWN = (Known(PAT, "Pat Lee"), Known("j.okafor@okafor-lind.com", "Okafor & Lind"), Known("maria@outlook.example", ""))


class FakeNewMail:
    """Everybody but KNOWN is new; who is at okafor-lind.co is taken for a mistake."""

    def __init__(self, world: World):
        self.world = world

    def known(self, session: Any, typed: str = "", limit: int = 8) -> Sequence[Known]:
        return [each for each in KNOWN if typed.casefold() in f"{each.address} {each.name}".casefold()][:limit]

    def instead_of_code(self, session: Any) -> tuple[Sequence[str], str]:
        return self.world.instead, "code"

    def may_plain(self, session: Any) -> bool:
        return self.world.may_plain

    def plain_from(self, session: Any) -> int | None:
        return self.world.plain_from

    def may_pdf(self, session: Any) -> bool:
        return self.world.may_pdf

    def senders(self, session: Any) -> Sequence[str]:
        return session.addresses  # type: ignore[no-any-return]

    def check(self, session: Any, writing: Writing) -> Checked:
        self.world.calls.append("check")
        known = {each.address for each in KNOWN}
        people, wrong = [], list[str]()
        for field in (*writing.to, *writing.cc, *writing.bcc):
            typed = read_people(field)
            wrong += typed.wrong
            for each in typed.people:
                name = canonical(each.address)
                is_new = name not in known
                meant = name + "m" if name.endswith("okafor-lind.co") else ""
                way = "relay" if writing.wishes.plain else "vault"
                needs = is_new and way == "vault"
                people.append(Addressed(name, each.name, way, "", is_new, needs, meant, "domain" if meant else ""))
        return Checked(people, wrong)

    def send(
        self, session: Any, writing: Writing, *, draft: int = 0, keep: Collection[int] | None = None,
        files: Iterable[Upload] = (), nonce: bytes, beside_words: str = "",
    ) -> int:  # fmt: skip
        if self.world.refuse:
            raise Refusal(self.world.refuse)
        known = FakeDrafts(self.world).uploads(session, draft=draft, keep=keep) if draft else []
        sent = [(each.name, b"".join(each.chunks())) for each in (*known, *files)]
        self.world.mails.append({"writing": writing, "nonce": nonce, "files": sent})
        self.world.drafts.pop(draft, None)
        about = self.world.sent[21]
        self.world.sent[40] = replace(about, message=40, subject=writing.subject, at=NOW + self.world.pause)
        return 40

    def take_up(self, session: Any, message: int) -> int:
        if message not in self.world.sent:
            raise NoGrant("There is nothing here.")
        if self.world.sent[message].at <= NOW:
            raise Ended("It has left already. You can still take it back.")
        self.world.calls.append(f"take_up {message}")
        return FakeDrafts(self.world).save(session, self.world.mails[-1]["writing"])

    def pass_on(self, session: Any, message: int) -> int:
        letter = self.world.letters[message]
        return FakeDrafts(self.world).save(session, Writing(letter.text or "", f"Fwd: {letter.subject}", about=message))


class FakeFollowing:
    def __init__(self, world: World):
        self.world = world

    def remind(self, session: Any, message: int, address: str | None = None) -> int:
        if self.world.refuse:
            raise Denied(self.world.refuse)
        self.world.calls.append(f"remind {address or 'all'}")
        return 1

    def extend(self, session: Any, message: int, until: int, address: str | None = None) -> None:
        if until <= NOW:
            raise Denied("Choose a day to come. To end it now, take it back.")
        self.world.calls.append(f"extend {address or 'all'} {until}")

    def proof(self, session: Any, message: int) -> Evidence:
        if message not in self.world.sent:
            raise NoGrant("There is nothing here.")
        events = [
            Event(NOW - 4_000_000, "notice.sent", "server", 400, "1100223344556677"),
            Event(NOW - 3_500_000, "delivery.failed", "server", 401, "2200223344556677"),
            Event(NOW - 3_000_000, "message.opened", "maria@outlook.example", 412, "9f2c41aa03b7d5e8"),
            Event(NOW - 2_000_000, "message.fetched", PAT, 413, "0011223344556677", True),
            Event(NOW - 1_000_000, "grant.suspended", "you", 417, "7711223344556677"),
            Event(NOW - 900_000, "grant.shredded", "server", 418, "8811223344556677"),
        ]
        return Evidence(events, 420, "c0ffee0123456789")


class FakeFolders:
    def __init__(self, world: World):
        self.world = world

    def is_thrown_away(self, session: Any, message: int, role: str = "recipient") -> bool:
        return (message, role) in self.world.trash

    def trash(self, session: Any, before: int | None = None, limit: int = 50) -> Sequence[Thrown]:
        found = []
        for message, role in sorted(self.world.trash, reverse=True):
            if before is not None and message >= before:
                continue
            if role == "recipient":
                entry = next(each for each in self.world.entries if each.message == message)
                found.append(Thrown(message, received=entry))
            else:
                about = self.world.sent[message]
                found.append(Thrown(message, sent=SentEntry(message, about.subject, about.at, about.recipients)))
        return found[:limit]

    def throw_away(self, session: Any, message: int, role: str = "recipient") -> None:
        self._check(message, role)
        self.world.trash.add((message, role))

    def put_back(self, session: Any, message: int, role: str = "recipient") -> None:
        self._check(message, role)
        self.world.trash.discard((message, role))

    def mark_unread(self, session: Any, message: int) -> None:
        self._check(message, "recipient")
        self.world.calls.append(f"mark_unread {message}")

    def _check(self, message: int, role: str) -> None:
        if message not in (self.world.letters if role == "recipient" else self.world.sent):
            raise NoGrant("There is nothing here.")


class FakeHolding:
    def __init__(self, world: World):
        self.world = world

    def show(self, session: Any, message: int) -> HeldMessage:
        found = self.world.held.get(message)
        if found is None:
            raise NoGrant("There is nothing here.")
        return found

    def decide(self, session: Any, message: int, choice: str, reason: str = "") -> None:
        self.world.calls.append(f"decide {message} {choice} {reason}".strip())
        if choice == "plain" and len(reason) < 5:
            raise Denied("Say in a few words why it has to leave as it is: from 5 to 300 characters.")
        states = {"encrypt": "encrypt", "plain": "plain", "discard": "discarded"}
        self.world.held[message] = replace(self.show(session, message), state=states[choice])

    def quarantine(
        self, session: Any, *, waiting: bool = True, before: int | None = None, limit: int = 50
    ) -> list[Quarantined]:
        return [each for each in self.world.quarantined if not waiting or each.state == "held"][:limit]


INTAKE = Form(
    Said("Before your first visit", "Antes de su primera visita"),
    Said("Please take ten minutes.\nNothing here is urgent.", "Tome diez minutos."),
    (
        Question("q1", "short", Said("Which doctor sent you?", "¿Qué médico le envía?"), required=True),
        Question("q2", "date", Said("Date of birth", "Fecha de nacimiento"), help=Said("As on your passport.")),
        Question("q3", "choice", Said("Which side " + "x" * 90), choices=(Said("Left"), Said("Right " + "y" * 90))),
        Question("q4", "yes", Said("Do you smoke?", "¿Fuma?")),
        Question("q5", "yes", Said("Are you allergic to anything?")),
        Question("q6", "long", Said("Medicines that you take"), help=Said("One a line.")),
        Question("q7", "phone", Said("Whom to call in an emergency")),
    ),
)


class FakeVisitForms:
    """Dr. Ann Ruiz has two forms, one of them switched off."""

    def offered(self, handle: str) -> list[Asked]:
        return [Asked(1, 2, INTAKE)] if handle == "dr-ruiz" else []

    def asked(self, handle: str, ident: int, version: int = 0) -> Asked:
        if ident != 1:
            raise NoGrant("There is no such form here.")
        return Asked(1, 2, INTAKE)

    def letter(self, session: object, page: object, asked: Asked, typed: Mapping[str, str], *said: str) -> Any:
        return Letter("Before your first visit", ""), answers(asked.form, typed)[1]

    def listing(self, session: object) -> list[OwnForm]:
        return [OwnForm(1, 2, True, INTAKE, NOW), OwnForm(2, 1, False, Form(Said("", "Sólo en español")), NOW)]

    def own(self, session: object, ident: int) -> OwnForm:
        found = {each.id: each for each in self.listing(session)}.get(ident)
        if found is None:
            raise NoGrant("There is no such form here.")
        return found

    def save(self, session: object, ident: int, form: Form, *, is_open: bool, version: int = 0) -> OwnForm:
        return OwnForm(ident or 1, 3, is_open, checked(form), NOW)

    def drop(self, session: object, ident: int) -> None:
        self.own(session, ident)


class FakeVisitors:
    """Dr. Ann Ruiz has a page for visitors, somebody is blocked there, and nobody wrote by it yet."""

    def page(self, handle: str) -> Page:
        if handle != "dr-ruiz":
            raise NoGrant("There is no such page here.")
        greetings = {"en": "Welcome.\nI read letters at noon.", "es": "Bienvenidos."}
        return Page(handle, 1, "Dr. Ann Ruiz", "Ruiz Family Practice", "(555) 010-0142", greetings)

    def check(self, session: object, handle: str) -> Page:
        return self.page(handle)

    def own(self, session: object) -> Own:
        return Own("dr-ruiz", True, True, "Welcome.", "Bienvenidos.")

    def blocked(self, session: object) -> list[BlockedVisitor]:
        return [BlockedVisitor(7, "Sofia Grant", "sofia@proton.example", NOW)]

    def wrote(self, session: object, message: int) -> None:
        return None

    def letters(self, session: object) -> tuple[()]:
        return ()

    def find(self, typed: str, source: str) -> Page | None:
        return self.page("dr-ruiz") if typed == "ann@gmail.example" else None

    def start(self, handle: str, address: str, source: str, language: str, *, worked: bool) -> Started:
        self.page(handle)
        return Started(5, NOW)

    def use(self, challenge: bytes, ends: int) -> bool:
        return True

    def finish(self, ident: int, code: str, *given: str) -> SignedIn:
        raise WrongSecret("This is not the code. Look again.", tries_left=4)

    def send(self, session: object, handle: str, letter: object, **given: object) -> int:
        raise Refusal("This page takes no letters now. Reach the person in another way.")

    def save(self, session: object, wanted: Own) -> Own:
        return wanted

    def block(self, session: object, visitor: int) -> None:
        raise NoGrant("There is no such visitor here.")

    unblock = block

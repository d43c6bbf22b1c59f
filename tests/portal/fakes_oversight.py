"""What stands in for the flows of officers: a trail, an archive with a case and copies, glass breaks of every state."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from cryptnsend.core.addresses import Mailbox
from cryptnsend.core.errors import Denied, Ended
from cryptnsend.core.model import account_holder
from cryptnsend.flow.glass import Shown
from cryptnsend.flow.rendering import Rendered
from cryptnsend.flow.views import File, KeptFile
from cryptnsend.portal.governing import Officers
from tests.portal.world import ANN, DAY, NOW, PAT

LONG = f"{'front.desk.and.appointments.' * 2}x@{'very-long-name-of-a-clinic.' * 2}example"
WHY = "Ann is ill and a patient asks for what she wrote."
ME, OTHER = 4, 11  # the gallery's officer, and another one
OPEN, ASKED, MINE, OVER = 1, 2, 3, 4  # glass breaks
TRAIL: tuple[tuple[str, str, str, dict[str, object]], ...] = (
    (account_holder(ME), "glass.asked", str(OPEN), {"mailbox": LONG, "reason": WHY, "minutes": 30}),
    (
        "owner",
        "policy.changed",
        "7",
        {"version": 2, "reason": "A week is enough", "changes": {"life_days": ["7", "9"]}},
    ),
    ("upkeep", "grant.shredded", str(7528775680004496221), {"grants": 3}),
    (account_holder(OTHER), "message.sealed", str(7528775680004496221), {"size": 9000, "recipients": 12}),
)


class FakeAuditing:
    def officers_page(self, org: int, before: int | None, limit: int, about: str) -> list[dict[str, Any]]:
        return [
            {"seq": 900 - at, "at": NOW - at * DAY, "actor": actor, "action": action, "object": of,
             "detail": json.dumps(detail)}
            for at, (actor, action, of, detail) in enumerate(TRAIL * 3)
        ]  # fmt: skip

    def people(self, org: int) -> dict[str, str]:
        return {account_holder(ME): ANN, account_holder(OTHER): LONG}

    def account_of(self, org: int, address: str) -> int | None:
        return {ANN: ME}.get(address)

    def verify(self, org: int) -> Any:
        return SimpleNamespace(problem="", entries=900)


class FakeArchiving:
    def search(self, org: int, wanted: Any, limit: int) -> list[dict[str, Any]]:
        return [
            {"id": 7528775680004496221 + at, "created": NOW - at * DAY, "author": author, "recipients": at, "held": at}
            for at, author in enumerate((ANN, LONG))
        ]

    def holds(self, org: int) -> list[dict[str, Any]]:
        about = {"since": NOW - DAY, "reason": WHY}
        return [
            {"kind": "account", "name": "Smith v. Clinic", "address": LONG, "subject": 4, **about},
            {"kind": "message", "name": "x" * 80, "address": "", "subject": 7528775680004496221, **about},
        ]

    def copies(self, org: int) -> list[Any]:
        failures = [{"message": 7528775680004496221, "created": NOW, "reply": "552 5.3.4 " + "z" * 120}]
        return [
            SimpleNamespace(domain="clinic.example", mailbox=LONG, arrived=90, waiting=1, failed=1, failures=failures)
        ]


class FakeGlass:
    """Breaks of every state: open, asked of this officer, of another one, over."""

    def listing(self, session: Any) -> list[dict[str, Any]]:
        def row(ident: int, officer: int, **more: Any) -> dict[str, Any]:
            asked: dict[str, Any] = {
                "id": ident, "officer": officer, "mailbox": LONG, "reason": WHY, "minutes": 30, "asked": NOW - DAY // 9,
                "asker": ANN if officer == ME else LONG, "agreer": None, "named": None, "second": None, "agreed": None,
                "opened": None, "ends": None, "ended": None,
            }  # fmt: skip
            return asked | more

        return [
            row(OPEN, ME, opened=NOW, ends=NOW + DAY),
            row(ASKED, OTHER, second=ME, named=ANN),
            row(MINE, ME, second=OTHER, named=LONG),
            row(OVER, OTHER, agreer=ANN, second=ME, agreed=NOW, opened=NOW - 9, ends=NOW - 1, ended=NOW - 1),
        ]

    def others(self, session: Any) -> list[str]:
        return [LONG, "otto@clinic.example"]

    def takes_two(self, session: Any) -> bool:
        return False

    def broken(self, session: Any, ident: int) -> Any:
        if ident == OVER:
            raise Ended("This glass break is over.")
        if ident != OPEN:
            raise Denied("It was opened in another browser.")
        return SimpleNamespace(id=OPEN, mailbox=LONG, reason=WHY, ends=NOW + DAY)

    def mails(self, seen: Any, before: int | None, limit: int) -> list[tuple[dict[str, Any], str]]:
        return [
            ({"id": 50 + at, "author": author, "created": NOW - at}, subject)
            for at, (author, subject) in enumerate(((PAT, "Lab result"), (LONG, "x" * 120), (ANN, "")))
        ]

    def show(self, seen: Any, message: int) -> Shown:
        files = [File("2", f"Scan {'y' * 90}.pdf", "application/pdf", 900)]
        people = (Mailbox("Pat Lee", PAT), Mailbox("", LONG))
        return Shown(
            50, "Lab result", Mailbox("", LONG), people, (), people, NOW, Rendered("All is well.", None, files)
        )


class FakeRecalling:
    def find(self, org: int, leak: Any) -> list[dict[str, Any]]:
        return [{"author": LONG, "created": NOW, "recipients": 12, "opened": 1}]

    def recall(self, org: int, leak: Any, reason: str, actor: str, by: Any) -> list[Any]:
        states = ("unopened", "opened", "fetched", "left")
        reached = [SimpleNamespace(address=LONG, state=each, opened=NOW, entry=12) for each in states]
        answers = [{"id": 61, "author": LONG, "created": NOW}]
        return [
            SimpleNamespace(message=50, author=LONG, never_opened=False, entry=13, reached=reached, answers=answers)
        ]


class FakeCasework:
    def found(self, seen: Any) -> list[int]:
        return [50, 51, 52]


class FakeArchivedFiles:
    def beside(self, seen: Any, message: int) -> list[KeptFile]:
        return [KeptFile(7, f"MRI scan {'y' * 90}.dcm", "application/dicom", 612_000_000, linked=True)]


def fake_officers() -> Officers:
    """Return the flows of officers' pages, with something on each."""
    pieces: tuple[Any, ...] = (
        FakeAuditing(), FakeArchiving(), FakeGlass(), FakeCasework(), FakeRecalling(),
        FakeArchivedFiles(),
    )  # fmt: skip
    return Officers(*pieces)

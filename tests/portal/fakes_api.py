"""Tokens of programs, as the pages see them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from cryptnsend.core.errors import Denied, NoGrant, WrongSecret
from cryptnsend.flow.api_mail import Told
from cryptnsend.flow.api_tokens import NewToken, Program, Token
from cryptnsend.flow.webhooks import NewWebhook, Try, Webhook
from cryptnsend.portal.flows_programs import Api
from tests.portal.world import DAY, NOW, PASSWORD

TOKEN = "cns_0123456789abcdefghjkmnpqrstvwxyz01234567"


class FakeApiTokens:
    """Two tokens, one of which has ended."""

    def allowed(self, session: Any) -> bool:
        return True

    def listing(self, session: Any) -> Sequence[Token]:
        return [
            Token(2, "Practice system", ("send", "status"), NOW - DAY, NOW + 300 * DAY, NOW - 3_600_000),
            Token(1, "Laboratory interface", ("send", "status", "expire", "list"), NOW - 90 * DAY, NOW - DAY, None),
        ]

    def add(
        self, session: Any, *, name: str, scopes: Collection[str], days: int, password: str, source: str
    ) -> NewToken:
        if password != PASSWORD:
            raise WrongSecret("no")
        if not scopes:
            raise Denied("Choose at least one thing that the program may do.")
        return NewToken(3, name, tuple(scopes), NOW + days * DAY, TOKEN)

    def revoke(self, session: Any, token: int) -> None:
        pass

    def authenticate(self, text: str, source: str) -> Program:
        raise WrongSecret("no")

    def check_scope(self, program: Program, scope: str) -> None:
        pass


class FakeApiMail:
    """Nobody's mail."""

    def send(self, program: Program, letter: Any, files: Any, key: bytes) -> Told:
        raise Denied("no")

    def status(self, program: Program, message: int) -> Told:
        raise Denied("no")

    def listing(self, program: Program, before: int | None, limit: int) -> Sequence[Told]:
        return []

    def expire(self, program: Program, message: int, address: str | None) -> Told:
        raise Denied("no")


class FakeWebhooks:
    """One webhook that works, and one that does not."""

    def allowed(self, session: Any) -> bool:
        return True

    def listing(self, session: Any) -> Sequence[Webhook]:
        good = [Try("opened", NOW - 3_600_000, "delivered", 1, "HTTP status 204")]
        bad = [Try("test", NOW - 60_000, "due", 0, ""), Try("held", NOW - DAY, "delayed", 3, "it cannot be reached")]
        return [
            Webhook(2, "https://practice.example/hooks/secure-mail", ("opened", "replied"), NOW - DAY, good),
            Webhook(1, "https://old.practice.example/" + "x" * 60, ("opened", "held"), NOW - 9 * DAY, bad),
        ]

    def one(self, session: Any, hook: int) -> Webhook:
        for each in self.listing(session):
            if each.id == hook:
                return each
        raise NoGrant("There is no such webhook.")

    def add(
        self, session: Any, *, url: str, events: Collection[str], password: str, source: str, code: str = ""
    ) -> NewWebhook:
        if password != PASSWORD:
            raise WrongSecret("no")
        return NewWebhook(3, url, "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" * 2)

    def rotate(self, session: Any, hook: int, password: str, source: str, code: str = "") -> NewWebhook:
        return self.add(session, url="", events=(), password=password, source=source)

    def remove(self, session: Any, hook: int) -> None:
        pass

    def test(self, session: Any, hook: int) -> None:
        pass


def fake_api() -> Api:
    return Api(FakeApiTokens(), FakeApiMail(), FakeWebhooks(), FakeWebhooks())

"""Tokens of programs, as the pages see them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from cryptnsend.core.errors import Denied, WrongSecret
from cryptnsend.flow.api_mail import Told
from cryptnsend.flow.api_tokens import NewToken, Program, Token
from cryptnsend.portal.flows import Api
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


def fake_api() -> Api:
    return Api(FakeApiTokens(), FakeApiMail())

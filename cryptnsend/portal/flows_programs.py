"""What does the portal ask of the flows for programs that act for a subscriber, or for an organisation?

Part of flows.py, which says what holds for all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cryptnsend.flow.api_mail import Letter as ApiLetter
from cryptnsend.flow.api_mail import Told
from cryptnsend.flow.api_tokens import NewToken, Program, Token
from cryptnsend.flow.views import (
    Upload,
)
from cryptnsend.flow.webhooks import NewWebhook, Webhook


class ApiTokens(Protocol):
    """Tokens of programs that act for a subscriber."""

    def allowed(self, session: Any) -> bool: ...
    def listing(self, session: Any) -> Sequence[Token]: ...
    def add(
        self, session: Any, *, name: str, scopes: Collection[str], days: int, password: str, source: str
    ) -> NewToken: ...
    def revoke(self, session: Any, token: int) -> None: ...
    def authenticate(self, text: str, source: str) -> Program: ...
    def check_scope(self, program: Program, scope: str) -> None: ...


class ApiMail(Protocol):
    """What such a program does with mail."""

    def send(self, program: Program, letter: ApiLetter, files: Sequence[Upload], key: bytes) -> Told: ...
    def status(self, program: Program, message: int) -> Told: ...
    def listing(self, program: Program, before: int | None, limit: int) -> Sequence[Told]: ...
    def expire(self, program: Program, message: int, address: str | None) -> Told: ...


class Webhooks(Protocol):
    """Where such programs are told what happened."""

    def allowed(self, session: Any) -> bool: ...
    def listing(self, session: Any) -> Sequence[Webhook]: ...
    def one(self, session: Any, hook: int) -> Webhook: ...
    def add(
        self, session: Any, *, url: str, events: Collection[str], password: str, source: str, code: str = ""
    ) -> NewWebhook: ...
    def rotate(self, session: Any, hook: int, password: str, source: str, code: str = "") -> NewWebhook: ...
    def remove(self, session: Any, hook: int) -> None: ...
    def test(self, session: Any, hook: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Api:
    """What programs are served with."""

    tokens: ApiTokens
    mail: ApiMail
    webhooks: Webhooks
    organisation_webhooks: Webhooks

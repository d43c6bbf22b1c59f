"""Which program is asking, and may it? Tokens that subscribers make for their own systems, and what each may do.

The keeper says whether a token is right. The main rows have its name and when it was used, and may refuse one that the
keeper would let in, as after a backup came back, never the other way about. Rules are asked at each use, so that an
organisation that says no means all tokens there are.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from cryptnsend.core.api_tokens import LONGEST, SCOPES, format_token, parse_token, write_scopes
from cryptnsend.core.contracts import Rows
from cryptnsend.core.errors import Denied, NoGrant, Sentence, Throttled, WrongSecret
from cryptnsend.core.passwords import DEVICE_SECRET
from cryptnsend.flow.people import People
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.throttling import NOBODY
from cryptnsend.keeper.requests import Who
from cryptnsend.store.records import api

NAME = 60  # characters
DAY = 86_400_000  # milliseconds
USED_EVERY = 3_600_000  # milliseconds; a token that is used more often costs no write
WRONG = "This token is not known here, or it does not work any more."
FORBIDDEN = "The rules of this server or of your organisation let no program send for you."


@dataclass(frozen=True, slots=True)
class Program:
    """A program that showed a token, for one request. `secret` marks what it sends, so that repeats are known."""

    token: int
    account: int
    organisation: int
    addresses: tuple[str, ...]
    scopes: frozenset[str]
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Token:
    """A token as its owner sees it; times are UTC milliseconds."""

    id: int
    name: str
    scopes: tuple[str, ...]
    created: int
    ends: int
    used: int | None


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that was just made; *text* is shown this once."""

    id: int
    name: str
    scopes: tuple[str, ...]
    ends: int
    text: str = field(repr=False)


class NotAllowed(Denied):
    """A token that is right and not for this; `scope` is what it would need."""

    def __init__(self, text: str, scope: str = ""):
        super().__init__(text)
        self.scope = scope


class ApiTokens(People):
    """Makes, lists and checks the tokens of programs. Shared by all requests of a process."""

    def allowed(self, session: Session) -> bool:
        """Say whether this subscriber may have tokens, by the rules."""
        return self._policies.now(session.organisation).api

    def listing(self, session: Session) -> Sequence[Token]:
        """Return the tokens of this account that were not revoked, newest first."""
        return [_token(row) for row in api.listing(self._engine, session.account)]

    def add(
        self, session: Session, *, name: str, scopes: Collection[str], days: int, password: str, source: str
    ) -> NewToken:
        """
        Make a token and return it, this once. Raises WrongSecret or Throttled for the password, Denied.

        The owner is told by mail: whoever finds a browser open could have made it.
        """
        shown = " ".join("".join(each if each.isprintable() else " " for each in name).split())[:NAME]
        if not shown:
            raise Denied("Say which program it is for, so that you know it again in the list.")
        if not scopes or set(scopes) - set(SCOPES):
            raise Denied("Choose at least one thing that the program may do.")
        if not 1 <= days <= LONGEST:
            raise Denied(Sentence("A token works for %(most)s days at most.", most=LONGEST))
        if not self.allowed(session):
            raise Denied(FORBIDDEN)
        k = self._confirmed(session, password, source)
        now = self._clock.now()
        made = self._keeper.token_add(session.ticket, k, list(scopes), days)
        text, ends = write_scopes(scopes), now + days * DAY

        def write(rows: Rows) -> None:
            api.add(rows, made.id, session.organisation, session.account, shown, text, now, ends)
            detail: dict[str, object] = {"token": made.id, "scopes": text, "days": days}
            self._did(rows, session, "token.added", detail)

        self._engine.write(write).result()
        self._alert(session.account, "new-token")
        return NewToken(made.id, shown, tuple(text.split()), ends, format_token(made.id, made.secret))

    def revoke(self, session: Session, token: int) -> None:
        """Revoke a token; the keeper goes first, as with a device password. Raises NoGrant for one of others'."""
        row = api.named(self._engine, token)
        if row is None or row["account"] != session.account or row["revoked"] is not None:
            raise NoGrant("There is no such token.")
        self._keeper.token_revoke(session.ticket, token)
        now = self._clock.now()

        def write(rows: Rows) -> None:
            api.revoke(rows, token, now)
            self._did(rows, session, "token.revoked", {"token": token})

        self._engine.write(write).result()

    # -- a request of a program ---------------------------------------------------------------------------------------

    def authenticate(self, text: str, source: str) -> Program:
        """
        Return whose program shows this token. Raises WrongSecret, the same for whatever is none that works; Throttled.

        What is no token at all costs the same question to the keeper as one that never was.
        """
        ident, secret = parse_token(text) or (0, bytes(DEVICE_SECRET))
        subject = f"token {ident}" if ident else NOBODY
        self._throttle.check(subject, source)
        try:
            who = self._keeper.check_token(ident, secret)
            row = api.named(self._engine, ident)
            if row is not None and row["revoked"] is not None:
                raise WrongSecret(WRONG)
        except Throttled:
            raise
        except Denied:
            self._throttle.failed(subject, source, text)
            _wrong()
        if not self._policies.now(who.organisation).api:
            raise NotAllowed(FORBIDDEN)
        self._used(who, ident, row["used"] if row is not None else None)
        return Program(ident, who.account, who.organisation, who.addresses, frozenset(who.scope.split()), secret)

    @staticmethod
    def check_scope(program: Program, scope: str) -> None:
        """Raise NotAllowed unless the program's token is for this."""
        if scope not in program.scopes:
            raise NotAllowed("This token is not for that. Make one that is.", scope)

    def _used(self, who: Who, token: int, before: int | None) -> None:
        """Note when a token was used, hour by hour."""
        now = self._clock.now()
        if before is None or not 0 <= now - before < USED_EVERY:
            self._engine.write(lambda rows: api.used(rows, token, now)).result()


def _token(row: dict[str, object]) -> Token:
    values = {**row, "scopes": tuple(str(row["scopes"]).split())}
    return Token(**values)  # type: ignore[arg-type]


def _wrong() -> NoReturn:
    raise WrongSecret(WRONG)

"""What do the pages of those who govern an organisation ask of the flows?

Its rules, its look, its people and domains, what is held because of what was found in it, and what only officers see.
Times, ids, addresses and errors are as in `portal.flows`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cryptnsend.core.logo import Logo
from cryptnsend.core.organisation import Difference, Policy, Value
from cryptnsend.flow.archivedfiles import ArchivedFiles
from cryptnsend.flow.archiving import Archiving
from cryptnsend.flow.auditing import Auditing
from cryptnsend.flow.casework import Casework
from cryptnsend.flow.domains import Domain
from cryptnsend.flow.glass import GlassBreaks
from cryptnsend.flow.holding import Choice, HeldMessage, Quarantined
from cryptnsend.flow.looks import Version as LookVersion
from cryptnsend.flow.looks import Worn
from cryptnsend.flow.organisations import Crowd, Invited, Person
from cryptnsend.flow.policies import Standing as PolicyStanding
from cryptnsend.flow.policies import Version
from cryptnsend.flow.recalling import Recalling
from cryptnsend.flow.roster import Line


class Policies(Protocol):
    """What the rules of organisations say; see `flow.policies`."""

    @property
    def installation(self) -> Policy: ...
    def limits(self, org: int) -> Policy: ...
    def standing(self, org: int) -> PolicyStanding: ...
    def history(self, org: int, before: int = ..., limit: int = ...) -> Sequence[Version]: ...
    def compare(self, org: int, earlier: int, later: int) -> Sequence[Difference]: ...
    def said_in(self, org: int, number: int) -> Mapping[str, Value]: ...
    def actor(self, who: str) -> str: ...


class Looks(Protocol):
    """How organisations look; see `flow.looks`."""

    def house(self) -> Worn: ...
    def worn(self, org: int) -> Worn: ...
    def at_host(self, host: str) -> Worn | None: ...
    def picture(self, mark: str) -> tuple[str, bytes] | None: ...
    def said(self, org: int) -> tuple[int, Mapping[str, str]]: ...
    def said_in(self, org: int, number: int) -> Mapping[str, str]: ...
    def history(self, org: int, before: int = ..., limit: int = ...) -> Sequence[LookVersion]: ...


class Organisations(Protocol):
    """What officers and managers do; see `flow.organisations`."""

    def name(self, session: Any) -> str: ...
    def is_ready(self, session: Any) -> bool: ...
    def set_rules(
        self,
        session: Any,
        said: Mapping[str, Value],
        why: str,
        based_on: int | None,
        password: str,
        source: str,
        code: str = "",
    ) -> PolicyStanding: ...
    def check_look(self, session: Any, said: Mapping[str, str], pictures: Sequence[Logo]) -> Mapping[str, str]: ...
    def set_look(
        self,
        session: Any,
        said: Mapping[str, str],
        pictures: Sequence[Logo],
        why: str,
        based_on: int | None,
        password: str,
        source: str,
        code: str = "",
    ) -> int: ...
    def people(self, session: Any, wanted: str = "", after: str = "") -> Crowd: ...
    def invited(self, session: Any) -> Sequence[Invited]: ...
    def person(self, session: Any, ident: int) -> Person: ...
    def invite(self, session: Any, address: str, name: str) -> str: ...
    def invite_all(self, session: Any, octets: bytes) -> Sequence[Line]: ...
    def disable(self, session: Any, ident: int, password: str, source: str) -> None: ...
    def enable(self, session: Any, ident: int, password: str, source: str) -> None: ...
    def set_roles(
        self, session: Any, ident: int, roles: Sequence[str], password: str, source: str, code: str = ""
    ) -> None: ...
    def hand_over(self, session: Any, ident: int, to: str, password: str, source: str, code: str = "") -> None: ...
    def domains(self, session: Any) -> Sequence[Domain]: ...
    def ask_domain(self, session: Any, typed: str) -> Domain: ...
    def check_domain(self, session: Any, name: str) -> bool: ...
    def drop_domain(self, session: Any, name: str) -> None: ...


class Holding(Protocol):
    """What is held because of what was found in it (`flow.holding`)."""

    def show(self, session: Any, message: int) -> HeldMessage: ...
    def decide(self, session: Any, message: int, choice: Choice, reason: str = "") -> None: ...
    def quarantine(
        self, session: Any, *, waiting: bool = True, before: int | None = None, limit: int = 50
    ) -> Sequence[Quarantined]: ...


@dataclass(frozen=True, slots=True)
class Officers:
    """What officers' pages are built from."""

    auditing: Auditing
    archiving: Archiving
    glass: GlassBreaks
    casework: Casework
    recalling: Recalling
    archivedfiles: ArchivedFiles

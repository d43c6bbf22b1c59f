"""What do officers and managers do for their organisation? Rules, people, domains.

Each step asks the keeper, which looks who is signed in; nothing here makes anybody an officer. What the rows say of
roles decides only which pages exist for somebody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from cryptnsend.core.addresses import canonical
from cryptnsend.core.contracts import Row, Rows
from cryptnsend.core.errors import Denied, NoGrant
from cryptnsend.core.logo import Logo
from cryptnsend.core.model import account_holder
from cryptnsend.core.names import safe_display_name
from cryptnsend.core.organisation import Value
from cryptnsend.flow import roster
from cryptnsend.flow.domains import Domain, Domains
from cryptnsend.flow.looks import Looks
from cryptnsend.flow.mainrows import take_opened
from cryptnsend.flow.people import People, numbered
from cryptnsend.flow.policies import Standing
from cryptnsend.flow.roster import Line
from cryptnsend.flow.sessions import Session
from cryptnsend.keeper.requests import Opened
from cryptnsend.store.records import accounts, audit, invitations, members, messages, oversight

PAGE = 50
STAFF = frozenset({"officer", "manager"})
NOTHING_MORE: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the organisation, as its managers see them."""

    id: int
    address: str
    name: str
    roles: tuple[str, ...]
    state: str
    addresses: int
    seen: int | None  # on a page that is still signed in


@dataclass(frozen=True, slots=True)
class Invited:
    """Somebody who was asked to join, and has not yet."""

    address: str
    name: str
    created: int
    expires: int


@dataclass(frozen=True, slots=True)
class Crowd:
    """A page of people: those found, whether there are more behind them, and how many there are in all."""

    people: Sequence[Person]
    more: bool
    all: int


class Organisations(People):
    """The flows of officers and managers. Shared by all requests of a process; thread-safe."""

    def __init__(self, *, domains: Domains, looks: Looks, by: Mapping[str, object] = NOTHING_MORE, **pieces: Any):
        """*pieces* are those of `People`; *by* is what the audit says of who acts, besides whose password it was."""
        super().__init__(**pieces)
        self._domains, self._looks, self._by = domains, looks, by

    # -- who ----------------------------------------------------------------------------------------------------------

    def name(self, session: Session) -> str:
        """Return what the organisation is called; "" for an organisation of one, which has nobody to look after."""
        return accounts.organisation_name(self._engine, session.organisation)

    def is_ready(self, session: Session) -> bool:
        """Say whether somebody has the second step that these pages ask for."""
        return self._keeper.second_state(session.ticket)

    # -- rules --------------------------------------------------------------------------------------------------------

    def set_rules(
        self,
        session: Session,
        said: Mapping[str, Value],
        why: str,
        based_on: int | None,
        password: str,
        source: str,
        code: str = "",
    ) -> Standing:
        """
        Let the organisation say that of its rules; raise WrongSecret, Throttled, Denied, Ended.

        *code* is the number of the second step, here and below: SecondStep without one where the last is too old.
        """
        self._only(session, "officer")
        self._policies.check(said)
        k = self._confirmed(session, password, source)
        standing = self._policies.change(
            session.organisation,
            said,
            why=why,
            based_on=based_on,
            actor=account_holder(session.account),
            take=lambda text: numbered(lambda: self._keeper.set_policy(session.ticket, k, text, code)),
            detail={},
        )
        self._tell_officers(session, "rules-changed")
        return standing

    # -- look ---------------------------------------------------------------------------------------------------------

    def check_look(self, session: Session, said: Mapping[str, str], pictures: Sequence[Logo]) -> Mapping[str, str]:
        """Return what a look would say; raise Denied for what cannot hold. Nothing is saved."""
        self._only(session, *STAFF)
        return self._looks.check(session.organisation, said, pictures)

    def set_look(
        self,
        session: Session,
        said: Mapping[str, str],
        pictures: Sequence[Logo],
        why: str,
        based_on: int | None,
        password: str,
        source: str,
        code: str = "",
    ) -> int:
        """Let the organisation look like this; return the version. Raises WrongSecret, Throttled, Denied, Ended."""
        self._only(session, *STAFF)
        self._looks.check(session.organisation, said, pictures)
        k = self._confirmed(session, password, source)
        before = self._looks.said(session.organisation)[0]
        version = self._looks.change(
            session.organisation,
            said,
            pictures=pictures,
            why=why,
            based_on=based_on,
            actor=account_holder(session.account),
            take=lambda text: numbered(lambda: self._keeper.set_look(session.ticket, k, text, code)),
            detail={},
        )
        if version != before:
            self._tell_officers(session, "look-changed")
        return version

    # -- people -------------------------------------------------------------------------------------------------------

    def people(self, session: Session, wanted: str = "", after: str = "") -> Crowd:
        """Return a page of people by address; *wanted* has to stand in address or name."""
        self._only(session, *STAFF)
        wanted = " ".join(wanted.split()).casefold()[:100]
        found = members.page(self._engine, session.organisation, wanted, after, PAGE + 1)
        return Crowd(
            [_person(row) for row in found[:PAGE]],
            len(found) > PAGE,
            members.count(self._engine, session.organisation),
        )

    def invited(self, session: Session) -> Sequence[Invited]:
        """Return who was asked and has not joined yet."""
        self._only(session, *STAFF)
        rows = invitations.waiting(self._engine, session.organisation, self._clock.now())
        return [Invited(row["address"], row["name"], row["created"], row["expires"]) for row in rows]

    def person(self, session: Session, ident: int) -> Person:
        """Return one person; raise NoGrant for who is of another organisation, or nobody."""
        self._only(session, *STAFF)
        row = members.one(self._engine, session.organisation, ident)
        if row is None:
            raise NoGrant("There is no such person.")
        return _person(row)

    def invite(self, session: Session, address: str, name: str) -> str:
        """Mail an invitation; return the address in its one spelling. Raises Denied with what is wrong."""
        self._only(session, *STAFF)
        wrong = self._why_not(session, address)
        if wrong:
            raise Denied(wrong)
        self._ask(session, [(address, name)])
        return canonical(address)

    def read_list(self, session: Session, octets: bytes) -> list[Line]:
        """
        Return what a list of people (CSV: address, name) says line by line, with what is wrong; nobody is invited.

        Raises Denied for what is no such list.
        """
        self._only(session, *STAFF)
        return roster.lines(octets, lambda address: self._why_not(session, address))

    def invite_all(self, session: Session, octets: bytes) -> list[Line]:
        """Invite everybody of a list; with one bad line nobody is, and the lines say why. Raises as `read_list`."""
        lines = self.read_list(session, octets)
        if not any(each.wrong for each in lines):
            self._ask(session, [(each.address, each.name) for each in lines])
        return lines

    def _ask(self, session: Session, people: Sequence[tuple[str, str]]) -> None:
        """Mail invitations to people (address, name), to all of them or to nobody."""
        asked = []
        for address, name in people:
            who, shown = canonical(address), safe_display_name(" ".join(name.split()))
            asked.append((self._keeper.invite_member(session.ticket, who, shown), who, shown))
        now = self._clock.now()
        mails = [self._mail("code", "invitation", each.id) for each, _, _ in asked]

        def write(rows: Rows) -> None:
            for each, who, shown in asked:
                invitations.put(rows, each.id, session.organisation, who, shown, session.account, now, each.expires)
                self._did(rows, session, "account.invited", {"address": who})
            messages.add_deliveries(rows, mails)

        self._engine.write(write).result()
        self._wake()

    def _why_not(self, session: Session, address: str) -> str:
        return roster.why_not(self._engine, self._policies, self._domains.own, session.organisation, address)

    def disable(self, session: Session, ident: int, password: str, source: str) -> None:
        """Stop somebody from signing in anywhere, at once."""
        person, k = self._other(session, ident), self._confirmed(session, password, source)
        self._engine.write(lambda rows: accounts.bump(rows, person.id)).result()
        opened = self._keeper.disable_member(session.ticket, k, person.address)
        self._changed(session, opened, "account.disabled", {}, ends_sessions=True)

    def enable(self, session: Session, ident: int, password: str, source: str) -> None:
        """Let somebody sign in again."""
        person, k = self._other(session, ident), self._confirmed(session, password, source)
        opened = self._keeper.enable_member(session.ticket, k, person.address)
        self._changed(session, opened, "account.enabled", {})

    def set_roles(
        self, session: Session, ident: int, roles: Sequence[str], password: str, source: str, code: str = ""
    ) -> None:
        """Give somebody these roles; their sessions end, so that the next has the new ones."""
        self._only(session, "officer")
        person, k = self._other(session, ident), self._confirmed(session, password, source)
        opened = numbered(lambda: self._keeper.set_roles(session.ticket, k, person.address, roles, code))
        detail = {"roles": ",".join(opened.roles), "before": ",".join(person.roles)}
        self._changed(session, opened, "account.roles-changed", detail, ends_sessions=True)
        self._alert(opened.account, "roles-changed")
        if ("officer" in opened.roles) != ("officer" in person.roles):
            self._tell_officers(session, "officers-changed")

    def hand_over(self, session: Session, ident: int, to: str, password: str, source: str, code: str = "") -> None:
        """Give a leaver's addresses to a colleague, and stop the leaver from signing in."""
        person = self._other(session, ident)
        try:
            heir = canonical(to)
        except ValueError:
            raise Denied("Type the address of the colleague who takes this over.") from None
        k = self._confirmed(session, password, source)
        self._engine.write(lambda rows: accounts.bump(rows, person.id)).result()
        leaver, colleague = numbered(lambda: self._keeper.hand_over(session.ticket, k, person.address, heir, code))
        self._changed(session, leaver, "account.handed-over", {"to": colleague.account}, ends_sessions=True)
        self._changed(session, colleague, "account.took-over", {"from": leaver.account})
        self._alert(colleague.account, "took-over")

    def _other(self, session: Session, ident: int) -> Person:
        """Return somebody whom this person may do something to: not themselves, and no officer for a manager."""
        person = self.person(session, ident)
        if person.id == session.account:
            raise Denied("This cannot be done to oneself. Ask another officer.")
        if "officer" in person.roles and "officer" not in session.roles:
            raise Denied("Only an officer may do this to an officer.")
        return person

    def _tell_officers(self, session: Session, template: str) -> None:
        """Mail all officers, also who did it: a stolen password must not change an organisation in silence."""
        mails = [self._mail("alert", template, each) for each in oversight.officers(self._engine, session.organisation)]
        self._engine.write(lambda rows: messages.add_deliveries(rows, mails)).result()
        self._wake()

    def _changed(
        self,
        session: Session,
        opened: Opened,
        action: str,
        detail: Mapping[str, object],
        *,
        ends_sessions: bool = False,
    ) -> None:
        """Copy what the keeper says of somebody, with an audit row that names who ordered it."""

        def note(rows: Rows) -> None:
            actor, now = account_holder(session.account), self._clock.now()
            audit.append(rows, session.organisation, now, actor, action, str(opened.account), {**detail, **self._by})

        take_opened(self._engine, self._keeper, self._clock, self._random, opened, note, ends_sessions=ends_sessions)

    # -- domains ------------------------------------------------------------------------------------------------------

    def domains(self, session: Session) -> Sequence[Domain]:
        """Return the organisation's domains, proven and not, with what each has to publish."""
        self._only(session, *STAFF)
        return self._domains.of(session.organisation)

    def ask_domain(self, session: Session, typed: str) -> Domain:
        """Begin to prove a domain; return what has to be published. Raises Denied."""
        self._only(session, *STAFF)
        return self._domains.ask(session.organisation, typed, account_holder(session.account))

    def check_domain(self, session: Session, name: str) -> bool:
        """Look for a domain's record, and say whether it is proven. Raises NoGrant, Temporary, Denied."""
        self._only(session, *STAFF)
        return self._domains.check(session.organisation, name, account_holder(session.account))

    def drop_domain(self, session: Session, name: str) -> None:
        """Take a domain from the organisation."""
        self._only(session, *STAFF)
        self._domains.drop(session.organisation, name, account_holder(session.account))

    def _only(self, session: Session, *roles: str) -> None:
        """Raise NoGrant for everybody else, so that what is not theirs is not there."""
        if not set(roles) & set(session.roles) or not self.name(session):
            raise NoGrant("There is nothing here.")


def _person(row: Row) -> Person:
    return Person(
        row["id"], row["address"], row["name"], tuple(row["roles"].split(",")), row["state"], row["addresses"],
        row["seen"],
    )  # fmt: skip

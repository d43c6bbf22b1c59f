"""Which rules does an organisation have, who changed them, and what holds in the end?

`Policies` reads them for whoever acts by them, and changes them for officers and for the server's owner alike: the
keeper takes the new text first, then one transaction writes the version, the archive's card and the audit row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from cryptnsend.core import journals, organisation, organisation_typed, partners
from cryptnsend.core.contracts import Clock, Engine, Queries, Rows
from cryptnsend.core.errors import Denied, Ended, NoGrant, Sentence
from cryptnsend.core.model import INSTALLATION, Card, archive_holder
from cryptnsend.core.organisation import Difference, Leaves, Policy, Value
from cryptnsend.flow import versions
from cryptnsend.flow.holders import Committed, Holders
from cryptnsend.flow.versions import NEWEST, Book, Kind, needed
from cryptnsend.keeper.client import Keeper
from cryptnsend.keeper.requests import PolicyTaken
from cryptnsend.store.records import accounts, audit, domains, policies

Version = versions.Version[Mapping[str, Value], Difference]


def _spelt(each: Difference) -> tuple[str, list[str]]:
    return each.name, [organisation.spelt(each.before), organisation.spelt(each.after)]


def _add(rows: Rows, org: int, said: Mapping[str, Value], text: str, at: int, actor: str, why: str) -> int:
    return policies.add(rows, org, text, at, actor, why)


RULES = Kind[Mapping[str, Value], Difference](
    rows=policies.VERSIONS,
    read=organisation.read,
    write=organisation.write,
    differences=organisation.differences,
    spelt=_spelt,
    add=_add,
    action="policy.changed",
    none_such=lambda: NoGrant("There is no such version of the rules."),
    overtaken=lambda: Ended(
        "Somebody else has changed the rules meanwhile. Look at them again, then change what you want."
    ),
)


@dataclass(frozen=True, slots=True)
class Standing:
    """What an organisation says now, what holds, and what of its words the installation does not grant."""

    version: int  # 0 before the first
    said: Mapping[str, Value]
    held: Policy
    beyond: Sequence[str]
    partners: Mapping[str, str] = field(default_factory=dict)  # by domain, what organisations of this server are called


PARTNER_OVER = "the domain of a partner is not proven any more"


class Policies:
    """The rules of organisations, read and changed. Thread-safe; keeps nothing itself."""

    def __init__(
        self,
        *,
        engine: Engine,
        keeper: Keeper,
        holders: Holders,
        clock: Clock,
        installation: Policy,
        leaves: Leaves,
    ):
        self._engine, self._keeper, self._holders, self._clock = engine, keeper, holders, clock
        self.installation, self._leaves = installation, leaves
        self._book = Book(RULES, engine=engine, keeper=keeper, clock=clock)

    # -- what holds ---------------------------------------------------------------------------------------------------

    def of_text(self, text: str, archive: Card | None) -> Policy:
        """Return what holds where the rows say *text*, and the keeper's card of the archive is *archive*."""
        return organisation.holds(text, self.installation, self._leaves, vouched=archive.policy if archive else b"")

    def of(self, rows: Queries, org: int) -> Policy:
        """Return what holds for an organisation by the *rows* of a transaction; raise Unvouched, SealBroken."""
        if org == INSTALLATION:
            return self.installation
        archive = self._holders.card_or_none(rows, archive_holder(org))
        return self.of_text(accounts.policy(rows, org) or "{}", archive)

    def now(self, org: int) -> Policy:
        """Return what holds for an organisation, outside of any transaction; may ask the keeper."""
        return self._holders.settled(lambda: self.of(Committed(self._engine), org))

    def limits(self, org: int) -> Policy:
        """
        Return the limits of an organisation without asking anybody.

        For what a text can only make narrower than the installation does, such as session times; not for ways.
        """
        if org == INSTALLATION:
            return self.installation
        return organisation.holds(policies.text(self._engine, org), self.installation, self._leaves, vouched=None)

    def longer_retentions(self) -> dict[int, int]:
        """Return the organisations that keep messages for longer than the installation, with their days."""
        asked = {org: self.limits(org).retention_days for org in policies.organisations(self._engine, "retention_days")}
        return {org: days for org, days in asked.items() if days > self.installation.retention_days}

    def longest_password(self) -> int:
        """Return the characters that the strictest organisation here wants of a new password."""
        asked = [self.limits(org) for org in policies.organisations(self._engine, "password_length")]
        return max(each.password_length for each in (self.installation, *asked))

    # -- what was said ------------------------------------------------------------------------------------------------

    def standing(self, org: int) -> Standing:
        """Return what an organisation says now and what holds of it."""
        said, held = organisation.read(policies.text(self._engine, org)), self.now(org)
        named = partners.by_domain(said.get("member_domains"))
        called = {each: accounts.organisation_name(self._engine, number) for each, number in named.items() if number}
        beyond = organisation.beyond(said, held)
        return Standing(self._book.newest(org)[0], said, held, beyond, called)

    def history(self, org: int, before: int = NEWEST, limit: int = 50) -> Sequence[Version]:
        """Return the versions of an organisation, the newest first, each with what it changed."""
        return self._book.history(org, before, limit)

    def compare(self, org: int, earlier: int, later: int) -> Sequence[Difference]:
        """Return what two versions say differently; 0 is the time before the first. Raises NoGrant."""
        return self._book.compare(org, earlier, later)

    def said_in(self, org: int, number: int) -> Mapping[str, Value]:
        """Return what an organisation said in a version; nothing in 0, before the first. Raises NoGrant."""
        return self._book.said_in(org, number)

    def actor(self, who: str) -> str:
        """Return who that is in words: an address, or who acts from the command line."""
        number = who.removeprefix("account:")
        if number == who or not number.isdecimal():
            return "the server's owner" if who == audit.OPERATOR else "the server"
        found = accounts.addresses(self._engine, int(number))
        return found[0] if found else "an account that is closed"

    # -- changing -----------------------------------------------------------------------------------------------------

    def said_with(self, org: int, changes: Mapping[str, Value | None]) -> dict[str, Value]:
        """Return what an organisation would say with these *changes*; None leaves a setting to the installation."""
        said = organisation.read(policies.text(self._engine, org))
        for name, value in changes.items():
            said.pop(name, None)
            if value is not None:
                said[name] = value
        return said

    def check(self, said: Mapping[str, Value]) -> Policy:
        """Return what would hold; raise Denied, with a sentence, for what contradicts itself."""
        checked = organisation_typed.check(said)
        text = organisation.write(checked)
        held = organisation.holds(text, self.installation, self._leaves, vouched=organisation.digest(text))
        organisation_typed.check_together(checked, held)
        return held

    def change(
        self,
        org: int,
        said: Mapping[str, Value],
        *,
        why: str,
        based_on: int | None,
        actor: str,
        take: Callable[[str], PolicyTaken],
        detail: Mapping[str, object],
    ) -> Standing:
        """
        Let an organisation say something else from now on; *take* hands the text to the keeper.

        *based_on* is the version that was looked at. Raises Ended if somebody changed the rules since, Denied for what
        contradicts itself or comes without a reason, and whatever *take* raises.
        """
        before = self.standing(org)
        self._book.check_not_overtaken(before.version, based_on)
        said = self._with_partners(org, before.said, organisation_typed.check(said))
        self.check(said)
        self._check_journals(org, before.said, said)
        checked = organisation_typed.check(said)
        if not self._book.differ(before.said, checked):
            return before
        self._book.add(org, before.said, checked, why=needed(why), actor=actor, take=take, detail=detail)
        return self.standing(org)

    def end_partners(self) -> list[int]:
        """
        Let no partner count whose domain is another's now, or proven no more; return the organisations concerned.

        The domain stays in the rule, without the partner's number: an officer who means it says it anew.
        """
        ended = []
        for org in policies.organisations(self._engine, "member_domains"):
            said = organisation.read(policies.text(self._engine, org))
            named = partners.by_domain(said.get("member_domains"))
            left = {each: number * (domains.owner(self._engine, each) == number) for each, number in named.items()}
            if left == named:
                continue
            after = {**said, "member_domains": tuple(partners.spelt(*each) for each in left.items())}
            self._book.add(
                org, said, after, why=PARTNER_OVER, actor="upkeep", take=partial(self._keeper.end_partners, org),
                detail={},
            )  # fmt: skip
            ended.append(org)
        return ended

    def _with_partners(self, org: int, before: Mapping[str, Value], said: Mapping[str, Value]) -> Mapping[str, Value]:
        """
        Return what is *said* with the number of each partner here behind its domain, so that the keeper knows it.

        Raises Denied for the number of an organisation that has not proven the domain.
        """
        named = partners.by_domain(said.get("member_domains"))
        for domain, number in partners.added(before.get("member_domains"), said.get("member_domains")).items():
            owner = domains.owner(self._engine, domain)
            if number and number != owner:
                raise Denied(
                    Sentence(
                        "%(domain)s is not the proven domain of that organisation. Leave the number out: it is found"
                        " by itself.",
                        domain=domain,
                    )
                )
            named[domain] = owner if owner is not None and owner != org else partners.NOBODY_HERE
        if not named:
            return said
        return {**said, "member_domains": tuple(partners.spelt(*each) for each in named.items())}

    def _check_journals(self, org: int, before: Mapping[str, Value], said: Mapping[str, Value]) -> None:
        """Raise Denied for copies of a domain's mail that is not the organisation's own; the keeper sees to whom."""
        for domain in journals.added(before.get("journal_to"), said.get("journal_to")):
            if domains.owner(self._engine, domain) != org:
                raise Denied(
                    Sentence(
                        "Copies are made for domains that are proven, and %(domain)s is not. Prove it first.",
                        domain=domain,
                    )
                )

"""What may the owner of a home do about people? Add, invite, disable, reset; ownerkeys.py has what they sign in with.

The owner acts through commands on the machine itself, so their word is the proof of an address; opening anybody's mail
still needs that person's password.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from cryptnsend.core import passwords
from cryptnsend.core.addresses import canonical, check_elsewhere
from cryptnsend.core.contracts import Clock, Engine, Row, Rows
from cryptnsend.core.errors import Denied, NoGrant
from cryptnsend.core.model import INSTALLATION, MANAGED, Random, account_holder, new_id
from cryptnsend.core.names import safe_display_name
from cryptnsend.core.organisation import Value
from cryptnsend.flow import roster
from cryptnsend.flow.granting import Author
from cryptnsend.flow.mainrows import take_opened
from cryptnsend.flow.ownerkeys import OwnersKeys, canonical_or_denied
from cryptnsend.flow.policies import Policies
from cryptnsend.flow.policies import Standing as PolicyStanding
from cryptnsend.flow.roster import Line
from cryptnsend.keeper.client import Keeper
from cryptnsend.keeper.requests import MailProof, Opened, OrganisationRow, OwnKey, RecoveryFile
from cryptnsend.store.records import accounts, audit, deliveries, devices, invitations, messages, operator, oversight

INVITED_ALREADY = "was invited already"
BY_OWNER = oversight.OPERATOR  # who the audit says it was


class Owner(OwnersKeys):
    """The owner's flows. The keeper commits first, main rows follow in one transaction."""

    def __init__(
        self,
        *,
        engine: Engine,
        keeper: Keeper,
        clock: Clock,
        random: Random,
        argon: passwords.Argon,
        domain: str = "",
        custody: str = MANAGED,
        code_rule: str = "",
        policies: Policies,
        wake: Callable[[], None],
        by: Mapping[str, object],
    ):
        self._engine, self._keeper, self._clock, self._random = engine, keeper, clock, random
        self._domain = domain
        self._argon, self._custody, self._code_rule, self._wake = argon, custody, code_rule, wake
        self._policies = policies
        self._by = by  # what the audit says of who acts

    # -- organisations ------------------------------------------------------------------------------------------------

    def organisations(self) -> list[Row]:
        """Return the organisations of more than one (id, name), oldest first."""
        return operator.organisations(self._engine)

    def add_organisation(self, name: str) -> OrganisationRow:
        """Make an organisation. Its archive comes with its first officer."""
        made = self._keeper.organisation_add(name, self._custody, self._code_rule)
        now = self._clock.now()

        def write(rows: Rows) -> None:
            accounts.put_organisation(rows, made.id, made.name, made.single, now)
            self._audit(rows, made.id, "organisation.added", str(made.id), {})

        self._engine.write(write).result()
        return made

    def set_rules(self, org: int, said: Mapping[str, Value], why: str, based_on: int | None = None) -> PolicyStanding:
        """
        Let an organisation say that of its rules from now on.

        Raises Denied for what contradicts itself, or comes without a reason.
        """
        return self._policies.change(
            org,
            said,
            why=why,
            based_on=based_on,
            actor=BY_OWNER,
            take=lambda text: self._keeper.organisation_policy(org, text),
            detail=self._by,
        )

    def tell_officers(self, org: int, template: str) -> None:
        """Mail all officers of an organisation what was changed in it from the command line."""
        self._engine.write(lambda rows: self._tell_officers(rows, org, template)).result()
        self._wake()

    def _tell_officers(self, rows: Rows, org: int, template: str) -> None:
        now = self._clock.now()
        mails = [
            messages.Delivery(
                new_id(now, self._random), INSTALLATION, "alert", "", None, None, each, template, "", "{}",
                "opportunistic", now, None, None, now,
            )
            for each in oversight.officers(self._engine, org)
        ]  # fmt: skip
        messages.add_deliveries(rows, mails)

    def organisation(self, name: str | None) -> int | None:
        """
        Return the organisation called *name*; without one the only one there is, else None: an organisation of one.

        Raises Denied for a name nobody has, or where several could be meant.
        """
        there = self.organisations()
        if name is None:
            if len(there) > 1:
                raise Denied("There are several organisations. Name one with --organisation, or say --own.")
            return there[0]["id"] if there else None
        for row in there:
            if row["name"].casefold() == name.casefold():
                return int(row["id"])
        raise Denied(
            f"There is no organisation {name!r}. There are: {', '.join(row['name'] for row in there) or 'none'}."
        )

    def glass_rule(self, org: int, two: bool) -> None:
        """Set whether a glass break of an organisation takes two officers. Raises Denied where there are no two."""
        self._keeper.glass_rule(org, two)

        def write(rows: Rows) -> None:
            self._audit(rows, org, "policy.changed", str(org), {"glass-break": 2 if two else 1})
            self._tell_officers(rows, org, "glass-rule-changed")

        self._engine.write(write).result()
        self._wake()

    # -- people -------------------------------------------------------------------------------------------------------

    def add(
        self, address: str, password: str, *, organisation: int | None, roles: tuple[str, ...], name: str
    ) -> Opened:
        """
        Make an account with this password; without *organisation* it gets one of its own.

        `recovery` of the answer is the archive's file, where this made an archive. Raises Denied for an address that is
        somebody's, or a weak password.
        """
        who = canonical_or_denied(address)
        self.check_strength(password, [address, name], organisation or INSTALLATION)
        salt = self._random(passwords.SALT)
        k = passwords.derive(password, salt, self._argon)
        opened = self._keeper.add(who, organisation, roles, salt, self._argon.encode(), k, name)
        self._take(opened, "account.added", {"roles": ",".join(roles)})
        return opened

    def newcomer(self, address: str) -> str:
        """Return the canonical form of an address that may be added. Raises Denied, as `add` does later."""
        who = canonical_or_denied(address)
        check_elsewhere(who, self._domain)
        if accounts.by_address(self._engine, who) is not None:
            raise Denied(f"There is an account at {who} already.")
        return who

    def add_again(self, address: str, password: str) -> Opened:
        """Return what `add` returned, for an account that it made but whose answer was lost. Raises WrongSecret."""
        who = canonical_or_denied(address)
        k = self.k(who, password)
        opened = self._keeper.open(who, k)
        file = self._keeper.archive_recovery(opened.ticket, k)
        self._take(opened, "account.added", {"roles": ",".join(opened.roles), "again": True})
        return msgspec.structs.replace(opened, recovery=file)

    def invite(self, address: str, organisation: int | None, name: str) -> int:
        """Mail an invitation to subscribe, and return its number."""
        invited = self._keeper.invite(canonical_or_denied(address), organisation or INSTALLATION, name)
        who, now = canonical_or_denied(address), self._clock.now()
        self._engine.write(lambda rows: self._invited(rows, organisation, invited, who, name, now)).result()
        self._wake()
        return invited.id

    def _invited(
        self, rows: Rows, organisation: int | None, made: MailProof, address: str, name: str, now: int
    ) -> None:
        """Queue the mail of an invitation, and note it."""
        delivery = messages.Delivery(
            new_id(now, self._random), INSTALLATION, "code", "", None, None, made.id, "invitation",
            "", "{}", "opportunistic", now, None, None, now,
        )  # fmt: skip
        messages.add_deliveries(rows, [delivery])
        if organisation:
            invitations.put(rows, made.id, organisation, address, name, 0, now, made.expires)
        self._audit(rows, organisation or INSTALLATION, "account.invited", address, {})

    def read_list(self, organisation: int, octets: bytes) -> tuple[list[Line], list[Line]]:
        """
        Return what a list of people says line by line: who is new to an organisation, or wrong, and who is there.

        There is who belongs to it, or was invited and has not answered yet. Raises Denied for what is no such list.
        """
        waiting = {row["address"] for row in invitations.waiting(self._engine, organisation, self._clock.now())}

        def why_not(address: str) -> str:
            wrong = roster.why_not(self._engine, self._policies, self._domain, organisation, address, by_operator=True)
            return wrong or (INVITED_ALREADY if canonical(address) in waiting else "")

        found = roster.lines(octets, why_not)
        there = [each for each in found if each.wrong in (roster.SUBSCRIBER_ALREADY, INVITED_ALREADY)]
        return [each for each in found if each not in there], there

    def invite_all(self, organisation: int, people: Sequence[Line]) -> None:
        """Mail invitations to the people of a list, to all of them or to nobody. Raises Denied."""
        asked = []
        for each in people:
            shown = safe_display_name(each.name)
            asked.append(
                (self._keeper.invite(canonical_or_denied(each.address), organisation, shown), each.address, shown)
            )
        now = self._clock.now()

        def write(rows: Rows) -> None:
            for made, address, shown in asked:
                self._invited(rows, organisation, made, canonical_or_denied(address), shown, now)

        self._engine.write(write).result()
        self._wake()

    def disable(self, address: str) -> None:
        """Stop an account from signing in anywhere, now; its mail stays."""
        row = self._row(address)
        # Every process re-reads the version at each sign-in, so it rises before the keeper acts.
        self._engine.write(lambda rows: accounts.bump(rows, row["id"])).result()
        self._take(self._keeper.disable(canonical_or_denied(address)), "account.disabled", {}, ends_sessions=True)

    def enable(self, address: str) -> None:
        """Let a disabled account sign in again."""
        self._take(self._keeper.enable(canonical_or_denied(address)), "account.enabled", {})

    def set_password(self, address: str, new: str, old: str | None) -> Opened:
        """
        Set a password. Without the *old* one it is a weak reset: nothing is lost, but mail from before stays closed.

        Raises WrongSecret if *old* is not right.
        """
        who, row = canonical_or_denied(address), self._row(address)
        self.check_strength(new, [address, row["name"]], row["org"])
        old_k = self.k(who, old) if old is not None else None
        salt = self._random(passwords.SALT)
        k = passwords.derive(new, salt, self._argon)
        self._engine.write(lambda rows: accounts.bump(rows, row["id"])).result()
        opened = self._keeper.passwd(who, salt, self._argon.encode(), k, old_k)
        action = "account.password-changed" if old is not None else "account.reset"
        self._take(opened, action, {}, ends_sessions=True)
        return opened

    def subscribers(self) -> list[Row]:
        """Return everybody who may submit, without what is theirs."""
        rows = accounts.subscribers(self._engine)
        return [{**row, "roles": row["roles"].split(","), "single": bool(row["single"])} for row in rows]

    def show(self, address: str) -> Row:
        """Return one account with its devices. Raises NoGrant."""
        row = self._row(address)
        return {
            "address": canonical_or_denied(address),
            "account": row["id"],
            "name": row["name"],
            "phone": row["phone"],
            "roles": row["roles"].split(","),
            "state": row["state"],
            "organisation": accounts.organisation_name(self._engine, row["org"]) or None,
            "devices": devices.listing(self._engine, row["id"]),
        }

    def author(self, address: str) -> Author:
        """Return who would submit as *address*, for explaining what would happen. Raises Denied, NoGrant."""
        who, row = canonical_or_denied(address), self._row(address)
        if "subscriber" not in row["roles"].split(",") or row["state"] not in ("active", "weak"):
            raise Denied(f"{address} is no subscriber who may send.")
        return Author(row["id"], row["org"], who, frozenset(operator.addresses(self._engine, row["id"])), True)

    # -- what waits to leave ------------------------------------------------------------------------------------------

    def retry(self, delivery: int) -> str:
        """Let a delivery be tried again now, also one that failed or was parked; return its state. Raises NoGrant."""
        known = deliveries.standing(self._engine, delivery)
        if known is not None and known[1] == "held":
            raise NoGrant(f"Delivery {delivery} is held. `cryptnsend queue release {delivery}` lets it be tried.")
        state = self._steer(delivery, deliveries.retry, "delivery.retried", "that could be tried again")
        self._wake()
        return state

    def hold(self, delivery: int) -> str:
        """Keep a delivery that waits from being tried; return its state. Raises NoGrant."""
        return self._steer(delivery, deliveries.hold, "delivery.held", "that waits to be tried")

    def release(self, delivery: int) -> str:
        """Let a delivery that was held be tried now; return its state. Raises NoGrant."""
        state = self._steer(delivery, deliveries.release, "delivery.released", "that was held here")
        self._wake()
        return state

    def drop(self, delivery: int) -> str:
        """Cancel a delivery that has not left; return its state. Raises NoGrant."""
        known = deliveries.standing(self._engine, delivery)
        if known is not None and known[1] in deliveries.NOT_LEFT:
            self._keeper.ended("cancel", [delivery])  # or a backup that comes back would send it after all
        return self._steer(delivery, deliveries.drop, "delivery.cancelled", "that has not left yet")

    def _steer(self, delivery: int, change: Callable[[Rows, int, int], Row | None], action: str, what: str) -> str:
        now = self._clock.now()

        def write(rows: Rows) -> str:
            changed = change(rows, delivery, now)
            if changed is None:
                raise NoGrant(f"There is no delivery {delivery} {what}.")
            self._audit(rows, changed["org"], action, str(delivery), {})
            return str(changed["state"])

        return self._engine.write(write).result()

    # -- the installation ---------------------------------------------------------------------------------------------

    def recovery_file(self) -> RecoveryFile:
        """Make a recovery file of the master key."""
        made = self._keeper.recovery_file()
        self.note_recovery()
        return made

    def note_recovery(self) -> None:
        """Put into the audit trail that a recovery file of the master key was made."""
        self._engine.write(lambda rows: self._audit(rows, INSTALLATION, "recovery.made", "installation", {})).result()

    def keys(self) -> list[OwnKey]:
        """Return which keys of its own the keeper has, never the keys."""
        return self._keeper.keys()

    def rotate(self, name: str) -> list[OwnKey]:
        """Make a new key of the keeper's in the place of link, recovery, queue or pending."""
        made = self._keeper.keys_rotate(name)
        self._engine.write(lambda rows: self._audit(rows, INSTALLATION, "key.rotated", name, {})).result()
        return made

    def order_keys(self, address: str) -> int:
        """Let an account, or all with "", get new keys at the next sign-in; return how many will."""
        name = canonical_or_denied(address) if address else ""
        count = self._keeper.keys_order(name)
        self._engine.write(
            lambda rows: self._audit(rows, INSTALLATION, "keys.ordered", name or "all", {"accounts": count})
        ).result()
        return count

    def note_rotation(self, name: str) -> None:
        """Put into the audit trail that a key was replaced by a command that works on the ledger itself."""
        self._engine.write(lambda rows: self._audit(rows, INSTALLATION, "key.rotated", name, {})).result()

    def note_restore(self) -> None:
        """Put into the audit trail that its rows, and all others, came back from a backup."""
        self._engine.write(
            lambda rows: self._audit(rows, INSTALLATION, "installation.restored", "installation", {})
        ).result()

    # -- inside -------------------------------------------------------------------------------------------------------

    def k(self, address: str, password: str) -> bytes:
        """Return what the password of a canonical address becomes."""
        salt = self._keeper.salt(address)
        return passwords.derive(password, salt.salt, passwords.Argon.decode(salt.params))

    def check_strength(self, password: str, hints: list[str], org: int = INSTALLATION) -> None:
        """Raise Denied with advice for a password that would be guessed, or is shorter than *org* wants it."""
        least = self._policies.limits(org).password_length
        found = passwords.check_strength(password, hints=hints, second_factor=False, shortest=least)
        if not found.ok:
            raise Denied(found.advice)

    def _row(self, address: str) -> Row:
        row = accounts.by_address(self._engine, canonical_or_denied(address))
        if row is None:
            raise NoGrant(f"There is no account with the address {address}.")
        return row

    def _take(self, opened: Opened, action: str, detail: dict[str, object], *, ends_sessions: bool = False) -> None:
        def note(rows: Rows) -> None:
            self._append(rows, opened.organisation, opened.account, action, detail)

        take_opened(self._engine, self._keeper, self._clock, self._random, opened, note, ends_sessions=ends_sessions)

    def _append(self, rows: Rows, org: int, account: int, action: str, detail: dict[str, object]) -> None:
        self._audit(rows, org, action, account_holder(account), detail)

    def _audit(self, rows: Rows, org: int, action: str, about: str, detail: Mapping[str, object]) -> None:
        audit.append(rows, org, self._clock.now(), BY_OWNER, action, about, {**detail, **self._by})

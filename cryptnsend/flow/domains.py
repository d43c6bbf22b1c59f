"""Which domains are an organisation's? Those whose TXT record says so; asked for, looked for, and taken away again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from cryptnsend.core.addresses import display_domain
from cryptnsend.core.contracts import Clock, Engine, Row, Rows
from cryptnsend.core.errors import Denied, NoGrant, Temporary
from cryptnsend.core.model import Random, new_id
from cryptnsend.delivery.dns import DnsTrouble
from cryptnsend.store.records import audit, messages, oversight
from cryptnsend.store.records import domains as records

RECORD = "_cryptnsend"  # below the domain that is to be proven
DAY = 86_400_000  # milliseconds between two looks at the record of a proven domain
LAPSES = 7 * DAY  # after which a domain whose record is missing is proven no more
AT_ONCE = 50  # domains in one round
UPKEEP = "upkeep"
NOTHING: Mapping[str, object] = MappingProxyType({})
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+")


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain of an organisation, with the TXT record that proves it."""

    name: str
    record: str
    value: str
    proven: int | None
    checked: int | None
    missing: int | None = None  # since when the record of a proven domain is not there


class Domains:
    """
    The domains of organisations. Thread-safe; keeps nothing.

    *texts* returns the TXT records of a name, or raises DnsTrouble; *own* is the domain of the server's own addresses.
    """

    def __init__(
        self, *, engine: Engine, texts: Callable[[str], Iterable[str]], clock: Clock, random: Random, own: str
    ):
        self._engine, self._texts, self._clock, self._random, self.own = engine, texts, clock, random, own

    def of(self, org: int) -> Sequence[Domain]:
        """Return an organisation's domains, proven and not."""
        return [_domain(row) for row in records.of(self._engine, org)]

    def ask(self, org: int, typed: str, actor: str, detail: Mapping[str, object] = NOTHING) -> Domain:
        """Begin to prove a domain; return what has to be published. Asked again, it is the same. Raises Denied."""
        name = self._name(typed)
        challenge, now = self._random(16).hex(), self._clock.now()

        def write(rows: Rows) -> None:
            records.ask(rows, org, name, challenge, now)
            audit.append(rows, org, now, actor, "domain.asked", str(org), {"domain": name, **detail})

        known = self._known(org, name)
        if known is None:
            self._engine.write(write).result()
            known = self._known(org, name)
        if known is None:
            raise NoGrant("There is no such domain.")
        return known

    def check(self, org: int, name: str, actor: str, detail: Mapping[str, object] = NOTHING) -> bool:
        """
        Look for a domain's record, and say whether the domain is proven.

        Raises NoGrant for a domain nobody asked for, Temporary where nobody can tell now, and Denied where another
        organisation has proven it.
        """
        known = self._known(org, name)
        if known is None:
            raise NoGrant("There is no such domain.")
        try:
            is_there = any(each.strip() == known.value for each in self._texts(known.record))
        except DnsTrouble:
            raise Temporary("The name servers of this domain do not answer now. Try again in a minute.") from None
        if is_there and records.owner(self._engine, name) not in (None, org):
            raise Denied("Another organisation of this server has proven this domain. Ask who runs the server.")
        now = self._clock.now()

        def write(rows: Rows) -> None:
            records.checked(rows, org, name, now, is_there=is_there)
            if is_there and known.proven is None:
                audit.append(rows, org, now, actor, "domain.proven", str(org), {"domain": name, **detail})

        self._engine.write(write).result()
        return is_there or known.proven is not None

    def look_again(self) -> int:
        """
        Look for the records of proven domains that nobody has looked for today; return how many that were.

        Where one is missing the officers are told at once, and once more when the domain lapses, seven days later.
        Name servers that do not answer count for nothing: they are asked again in the next round.
        """
        now, looked = self._clock.now(), 0
        for row in records.stale(self._engine, now - DAY, AT_ONCE):
            org, name = row["org"], row["domain"]
            before = self._known(org, name)
            if before is None:
                continue
            try:
                self.check(org, name, UPKEEP)
            except (Temporary, Denied):
                continue
            looked, after = looked + 1, self._known(org, name)
            if after is None or after.missing is None:
                continue
            if now - after.missing >= LAPSES:
                self._lapse(org, name, now)
            elif before.missing is None:
                self._engine.write(partial(self._tell, org, "domain-missing", now)).result()
        return looked

    def _lapse(self, org: int, name: str, now: int) -> None:
        def write(rows: Rows) -> None:
            if records.lapse(rows, org, name):
                audit.append(rows, org, now, UPKEEP, "domain.lapsed", str(org), {"domain": name})
                self._tell(org, "domain-lapsed", now, rows)

        self._engine.write(write).result()

    def tell_officers(self, organisations: Iterable[int], template: str) -> None:
        """Mail the officers of each of these organisations."""
        for org in organisations:
            self._engine.write(partial(self._tell, org, template, self._clock.now())).result()

    def _tell(self, org: int, template: str, now: int, rows: Rows) -> None:
        mails = [
            messages.Delivery(
                new_id(now, self._random), org, "alert", "", None, None, each, template, "", "{}", "opportunistic", now,
                None, None, now,
            )
            for each in oversight.officers(self._engine, org)
        ]  # fmt: skip
        messages.add_deliveries(rows, mails)

    def drop(self, org: int, name: str, actor: str, detail: Mapping[str, object] = NOTHING) -> None:
        """Take a domain from an organisation; raise NoGrant where it has none of that name."""
        now = self._clock.now()

        def write(rows: Rows) -> None:
            if not records.drop(rows, org, name):
                raise NoGrant("There is no such domain.")
            audit.append(rows, org, now, actor, "domain.dropped", str(org), {"domain": name, **detail})

        self._engine.write(write).result()

    def _known(self, org: int, name: str) -> Domain | None:
        return next((each for each in self.of(org) if each.name == name), None)

    def _name(self, typed: str) -> str:
        try:
            name = display_domain(typed.strip().rstrip("."))
        except ValueError:
            name = ""
        if not _DOMAIN.fullmatch(name):
            raise Denied("This is no domain. Type it as it stands behind the @ of your addresses.")
        if name == self.own or name.endswith(f".{self.own}"):
            raise Denied("This is the domain of the server's own addresses.")
        return name


def _domain(row: Row) -> Domain:
    value = f"cryptnsend={row['challenge']}"
    return Domain(row["domain"], f"{RECORD}.{row['domain']}", value, row["proven"], row["checked"], row["missing"])

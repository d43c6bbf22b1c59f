"""What stands in for the flows of officers and managers: an organisation of a few people, its rules and domains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cryptnsend.app.foundation import house_rules
from cryptnsend.config import Config
from cryptnsend.core import organisation
from cryptnsend.core.errors import Denied, NoGrant, WrongSecret
from cryptnsend.core.logo import Logo
from cryptnsend.core.organisation import Difference, Policy, Value
from cryptnsend.flow.domains import Domain
from cryptnsend.flow.organisations import Crowd, Invited, Line, Person
from cryptnsend.flow.policies import Standing, Version
from tests.portal.world import DAY, NOW, PASSWORD, World

PEOPLE = (
    Person(3, "ann@gmail.example", "Dr. Ann Ruiz", ("subscriber", "officer"), "active", 2, NOW),
    Person(11, "bea@clinic.example", "Bea Long-Name of the Front Desk", ("subscriber", "manager"), "active", 1, NOW),
    Person(12, "carl@clinic.example", "Carl Young", ("subscriber",), "disabled", 1, None),
    Person(13, "dora.with-a-very-long-address.for-a-narrow-page@clinic.example", "", ("subscriber",), "weak", 1, None),
)
SAID: Mapping[str, Value] = {"life_days": 14, "secure_marks": ("[secure]",), "messages_per_day": 99_999}


class FakePolicies:
    """The installation's rules hold for everybody, but for the one organisation whose rules are looked at."""

    def __init__(self, settings: Config):
        self.installation, self._leaves = house_rules(settings)

    def limits(self, org: int) -> Policy:
        return self.installation

    def standing(self, org: int) -> Standing:
        held = organisation.holds(
            organisation.write(SAID),
            self.installation,
            self._leaves,
            vouched=organisation.digest(organisation.write(SAID)),
        )
        return Standing(2, SAID, held, organisation.beyond(SAID, held))

    def history(self, org: int, before: int = 0, limit: int = 50) -> Sequence[Version]:
        first = {"life_days": 7}
        return [
            Version(2, NOW - DAY, "account:3", "Two weeks, since people are away.", SAID,
                    organisation.differences(first, SAID)),
            Version(1, NOW - 9 * DAY, "owner", "", first, organisation.differences({}, first)),
        ]  # fmt: skip

    def compare(self, org: int, earlier: int, later: int) -> Sequence[Difference]:
        if max(earlier, later) > 2:
            raise NoGrant("There is no such version.")
        texts: tuple[Mapping[str, Value], ...] = ({}, {"life_days": 7}, SAID)
        return organisation.differences(texts[earlier], texts[later])

    def said_in(self, org: int, number: int) -> Mapping[str, Value]:
        return {"life_days": 7}

    def actor(self, who: str) -> str:
        return "ann@gmail.example" if who == "account:3" else "the server's owner"


class FakeOrganisations:
    """Everything is as in `PEOPLE`; what is done is noted."""

    def __init__(self, world: World):
        self.world, self.ready = world, True
        self.asked: list[Domain] = [
            Domain("clinic.example", "_cryptnsend.clinic.example", "cryptnsend=" + "a1" * 16, NOW - DAY, NOW - DAY),
            Domain("praxis.example", "_cryptnsend.praxis.example", "cryptnsend=" + "b2" * 16, None, None),
        ]

    def name(self, session: Any) -> str:
        return "Clinic" if session.organisation else ""

    def is_ready(self, session: Any) -> bool:
        return self.ready

    def _sure(self, password: str) -> None:
        if password != PASSWORD:
            raise WrongSecret("That is not your password.")

    def set_rules(
        self,
        session: Any,
        said: Mapping[str, Value],
        why: str,
        based_on: int | None,
        password: str,
        source: str,
        code: str = "",
    ) -> Standing:
        self._sure(password)
        if code == "000000":
            raise Denied("That is not the number, or it was used already. Wait for the next one.")
        if said.get("life_days") == 2000 and said.get("life_most_days") == 30:
            raise Denied("A message cannot live 2000 days.")
        self.world.calls.append(f"rules {sorted(said)} {why}")
        return Standing(3, said, Policy(), ())

    def check_look(self, session: Any, said: Mapping[str, str], pictures: Sequence[Logo]) -> Mapping[str, str]:
        if said.get("host", "").endswith(".rival.example"):
            raise Denied("mail.rival.example is below no domain that you have proven. Prove the domain first.")
        return said

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
    ) -> int:
        self._sure(password)
        if code == "000000":
            raise Denied("That is not the number, or it was used already. Wait for the next one.")
        self.world.calls.append(f"look {sorted(said)} {len(pictures)} {why}")
        return 3

    def people(self, session: Any, wanted: str = "", after: str = "") -> Crowd:
        found = [each for each in PEOPLE if wanted in each.address + each.name and each.address > after]
        return Crowd(found, more=wanted == "" and not after, all=250)

    def invited(self, session: Any) -> Sequence[Invited]:
        return [Invited("eve@clinic.example", "Eve", NOW - DAY, NOW + DAY)]

    def person(self, session: Any, ident: int) -> Person:
        for each in PEOPLE:
            if each.id == ident:
                return each
        raise NoGrant("There is no such person.")

    def invite(self, session: Any, address: str, name: str) -> str:
        if "@" not in address:
            raise Denied("is no mail address")
        self.world.calls.append(f"invite {address} {name}")
        return address

    def invite_all(self, session: Any, octets: bytes) -> Sequence[Line]:
        lines = octets.decode().split()
        return [
            Line(number, each, "", "" if "@" in each else "is no mail address") for number, each in enumerate(lines, 1)
        ]

    def disable(self, session: Any, ident: int, password: str, source: str) -> None:
        self._sure(password)
        self.world.calls.append(f"disable {ident}")

    def enable(self, session: Any, ident: int, password: str, source: str) -> None:
        self._sure(password)
        self.world.calls.append(f"enable {ident}")

    def set_roles(
        self, session: Any, ident: int, roles: Sequence[str], password: str, source: str, code: str = ""
    ) -> None:
        self._sure(password)
        self.world.calls.append(f"roles {ident} {' '.join(roles)}")

    def hand_over(self, session: Any, ident: int, to: str, password: str, source: str, code: str = "") -> None:
        self._sure(password)
        self.world.calls.append(f"hand over {ident} {to}")

    def domains(self, session: Any) -> Sequence[Domain]:
        return self.asked

    def ask_domain(self, session: Any, typed: str) -> Domain:
        if "." not in typed:
            raise Denied("This is no domain.")
        self.asked.append(replace(self.asked[1], name=typed, record=f"_cryptnsend.{typed}"))
        return self.asked[-1]

    def check_domain(self, session: Any, name: str) -> bool:
        return name == "clinic.example"

    def drop_domain(self, session: Any, name: str) -> None:
        self.asked = [each for each in self.asked if each.name != name]

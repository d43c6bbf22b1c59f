"""Two organisations to attack one from the other, everybody who may try, and every act of those who govern one.

`ACTS` has a row for each route of officers and managers: who may, with what it is called, and a form that would do
something. `test_governing` fails for a route without a row.
"""

from __future__ import annotations

import inspect
import re
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from cryptnsend.core.errors import SecondStep
from cryptnsend.flow.account import Accounts
from cryptnsend.flow.sessions import Session
from cryptnsend.portal import Portal
from tests.portal.conftest import Visitor
from tests.portal.real import portal
from tests.support.house import AGENT, PASSWORD, SOURCE, House

OLIVE, OTTO, MONA = "officer@clinicville.example", "otto@clinicville.example", "mona@clinicville.example"
ANN, NORA, PAT, QUIN = "ann@clinicville.example", "nora@clinicville.example", "pat@yahoo.example", "quin@aol.example"
RITA, MAX, BOB, EVE = "officer@rival.example", "max@rival.example", "bob@rival.example", "eve@evil.example"
SECRET, CASE = "Canaryvale haemochroma 7741", "Smithson"
WHY = "Ann is ill and a patient asks."
NAMES = (SECRET, CASE, "Clinicville", ANN, OLIVE, MONA, PAT)  # that no other organisation reads of this one
OFFICER, STAFF = "officer", "officer or manager"
BASE = "https://open.cryptnsend.example"

# What moves with every request, whoever sends it: it says nothing of anybody's organisation or mail.
MOVES = ("sessions", "throttle", "form_nonces", "counters", "networks", "marks", "_sqlite")


@dataclass(frozen=True)
class Act:
    """One route with one method, who may use it, and what would be sent there."""

    endpoint: str
    method: str
    who: str
    place: tuple[str, ...] = ()  # names of ids that stand in its path
    form: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""  # the field that has to say why
    alone: bool = False  # somebody who is an organisation of one has it, too

    @property
    def name(self) -> str:
        return f"{self.method} {self.endpoint}"


GET, POST = "GET", "POST"
PROVEN = {"password": PASSWORD}
HOOK = "https://practice.example/hook"
ACTS = (
    Act("organisation.overview", GET, STAFF),
    Act("organisation.policy", GET, OFFICER),
    Act("organisation.policy", POST, OFFICER, form=PROVEN | {"life_days": "3", "why": WHY, "version": "2"}),
    Act("organisation.history", GET, OFFICER),
    Act("organisation.compare", GET, OFFICER, ("earlier", "later")),
    Act("organisation.revert", POST, OFFICER, ("version",), PROVEN | {"why": WHY}),
    Act("organisation.people", GET, STAFF),
    Act("organisation.invite", POST, STAFF, form={"address": "new@aol.example", "name": "New"}),
    Act("organisation.bring_list", POST, STAFF, form={"list": "newer@aol.example, Newer"}),
    Act("organisation.person", GET, STAFF, ("ident",)),
    Act("organisation.disable", POST, STAFF, ("ident",), PROVEN),
    Act("organisation.enable", POST, STAFF, ("ident",), PROVEN),
    Act("organisation.roles", POST, OFFICER, ("ident",), PROVEN | {"role": "officer"}),
    Act("organisation.hand_over", POST, STAFF, ("ident",), PROVEN | {"to": NORA}),
    Act("organisation.domains", GET, STAFF),
    Act("organisation.change_domain", POST, STAFF, form={"domain": "clinicville.example", "drop": "yes"}),
    Act("looks.overview", GET, STAFF),
    Act("looks.overview", POST, STAFF, form=PROVEN | {"accent": "#335577", "save": "yes", "why": WHY, "version": "1"}),
    Act("looks.history", GET, STAFF),
    Act("looks.back", POST, STAFF, ("look",), {"password-0": PASSWORD}),
    Act("organisation_webhooks.overview", GET, STAFF),
    Act("organisation_webhooks.overview", POST, STAFF, form=PROVEN | {"url": HOOK, "event": "opened"}),
    Act("organisation_webhooks.tries", GET, STAFF, ("hook",)),
    Act("organisation_webhooks.test", POST, STAFF, ("hook",)),
    Act("organisation_webhooks.remove", POST, STAFF, ("hook",)),
    Act("oversight.audit", GET, OFFICER, alone=True),
    Act("oversight.audit", POST, OFFICER, form={"about": ANN}, alone=True),
    Act("oversight.check_audit", POST, OFFICER, alone=True),
    Act("oversight.recall", GET, OFFICER, alone=True),
    Act("oversight.recall", POST, OFFICER, form={"author": ANN, "reason": WHY, "sure": "yes"}, reason="reason",
        alone=True),
    Act("oversight.undo_recall", POST, OFFICER, ("message",), PROVEN | {"sure": "yes"}, alone=True),
    Act("oversight.archive", GET, OFFICER, alone=True),
    Act("oversight.archive", POST, OFFICER, form={"address": ANN}, alone=True),
    Act("oversight.hold", POST, OFFICER, form={"name": "Miller", "what": ANN, "reason": WHY}, reason="reason",
        alone=True),
    Act("oversight.release", POST, OFFICER, form=PROVEN | {"name": CASE, "sure": "yes"}, alone=True),
    Act("trails.export", POST, OFFICER, form={"csv": "yes"}, alone=True),
    Act("trails.checkpoint", POST, OFFICER, alone=True),
    Act("trails.check_archive", POST, OFFICER, alone=True),
    Act("oversight.glass_two", POST, OFFICER, form=PROVEN | {"sure": "yes"}, alone=True),
    Act("oversight.glass", GET, OFFICER, alone=True),
    Act("oversight.glass", POST, OFFICER, form=PROVEN | {"mailbox": ANN, "reason": WHY, "minutes": "15"},
        reason="reason", alone=True),
    Act("oversight.broken", GET, OFFICER, ("glass",), alone=True),
    Act("oversight.broken", POST, OFFICER, ("glass",), PROVEN | {"agree": "yes"}, alone=True),
    Act("oversight.end_glass", POST, OFFICER, ("glass",), alone=True),
    Act("oversight.archived", GET, OFFICER, ("glass", "message"), alone=True),
    Act("oversight.archived_file", GET, OFFICER, ("glass", "message", "file"), alone=True),
    Act("oversight.archived_eml", GET, OFFICER, ("glass", "message"), alone=True),
    Act("oversight.export", GET, OFFICER, ("glass",), alone=True),
    Act("oversight.export", POST, OFFICER, ("glass",), {"proof": "forged"}, alone=True),
    Act("held.quarantine", GET, OFFICER, alone=True),
    Act("estate.recovery_file", GET, OFFICER, alone=True),
    Act("estate.recovery_file", POST, OFFICER, form=PROVEN, alone=True),
    Act("estate.archive_key", GET, OFFICER, alone=True),
    Act("estate.archive_key", POST, OFFICER, form=PROVEN, alone=True),
    Act("estate.recovery_file_is_safe", POST, OFFICER, alone=True),
)  # fmt: skip


EVERYBODYS = {"account.overview"}  # leads officers to more than others, and is there for all


def governing(app: Portal) -> set[tuple[str, str]]:
    """Return (endpoint, method) of each route whose path or whose code asks for an officer or a manager."""
    found = set()
    for rule in app.url_map.iter_rules():
        code = inspect.getsource(inspect.unwrap(app.view_functions[rule.endpoint]))
        guarded = re.search(r"@needs\(|@needs_officer|\"officer\"|\"manager\"|is_staff\(", code)
        if rule.endpoint not in EVERYBODYS and (guarded or rule.rule.startswith("/organisation")):
            found |= {(rule.endpoint, method) for method in rule.methods or () if method in (GET, POST)}
    return found


class Governed:
    """
    Clinicville with everything an organisation has, Rival beside it, and everybody's browser.

    All who look after an organisation have a second step, shown this very minute: whatever is refused to them is not
    refused for want of a number.
    """

    def __init__(self, house: House):
        self.house = house
        self.clinic, self.rival = house.organisation("Clinicville"), house.organisation("Rival")
        house.add_subscriber(OTTO, organisation=self.clinic, name="Otto", roles=("officer",))
        house.add_subscriber(MONA, organisation=self.clinic, name="Mona", roles=("subscriber", "manager"))
        house.add_subscriber(ANN, organisation=self.clinic, name="Dr. Ann")
        house.add_subscriber(NORA, organisation=self.clinic, name="Nora")
        house.add_subscriber(MAX, organisation=self.rival, name="Max", roles=("manager",))
        house.add_subscriber(BOB, organisation=self.rival, name="Bob")
        house.add_subscriber(EVE, name="Eve")
        self.message = house.submit(ANN, [PAT], house.mail(SECRET, SECRET, author=ANN))
        house.register(PAT, self.message)
        house.register(QUIN, house.submit(ANN, [QUIN], house.mail("hello", "hello", author=ANN)))
        for each in (OLIVE, MONA, RITA, MAX):
            house.second(each)
        owner, archiving = house.owner.owner, house.portal.archiving
        for days in (30, 40):
            owner.set_rules(self.clinic, {"life_days": days}, f"{SECRET} {days}", None)
            owner.set_rules(self.rival, {"life_days": days}, "ours", None)
        archiving.hold_account(self.clinic, CASE, ANN, SECRET, "owner", {})
        house.portal.domains.ask(self.clinic, "clinicville.example", "owner")
        self.app = portal(house)
        self.carried = {each: cookie(house.accounts, house, each) for each in (OLIVE, OTTO, MONA, ANN, RITA, MAX)}
        self.carried |= {each: cookie(house.accounts, house, each) for each in (BOB, EVE, PAT, QUIN, NORA)}
        self.glass = house.portal.glass.ask(self.session(OLIVE), PASSWORD, house.number(OLIVE), ANN, WHY, 480, SOURCE)
        made = house.portal.organisation_webhooks.add(
            self.session(OLIVE), url=f"{HOOK}?of=Clinicville", events=("opened",), password=PASSWORD, source=SOURCE
        )
        self.ids = {
            "ident": house.account(ANN), "message": self.message, "glass": self.glass, "version": 1, "earlier": 1,
            "later": 2, "hook": made.id, "file": 1,
        }  # fmt: skip

    def session(self, address: str) -> Session:
        """Return the session that somebody's browser has."""
        found = self.house.accounts.session(self.carried[address])
        assert found is not None
        return found

    def browser(self, address: str) -> Visitor:
        """Return somebody's browser with a page of theirs open, so that its forms carry their own token."""
        visitor = Visitor(self.app)
        if address:
            if self.house.accounts.session(self.carried[address]) is None:  # it was idle for too long
                self.carried[address] = cookie(self.house.accounts, self.house, address)
            visitor.carry(self.carried[address])
        assert visitor.get("/account" if address else "/sign-in").status_code == 200
        return visitor

    def path(self, act: Act, other: Mapping[str, int] | None = None) -> str:
        """Return the path of an act, with Clinicville's ids but for *other*."""
        rule = next(each for each in self.app.url_map.iter_rules(act.endpoint) if act.method in (each.methods or ()))
        ids = {**self.ids, **(other or {})}
        ids["ident"] = ids["glass"] if "glass" in act.place else ids["ident"]
        ids["version"] = 0 if "look" in act.place else ids["version"]  # 0 is the look of the house
        return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(ids[found[1]]), rule.rule)

    def send(
        self,
        visitor: Visitor,
        act: Act,
        more: Mapping[str, Any] | None = None,
        more_path: str = "",
        ids: Mapping[str, int] | None = None,
    ) -> Any:
        """Send what an act sends, from a browser whose last page was its own; the page is not replaced."""
        page, path = visitor.page, self.path(act, ids) + more_path
        try:
            return visitor.get(path) if act.method == GET else visitor.post(path, {**act.form, **(more or {})})
        finally:
            visitor.page = page

    def rows(self, but: int = 0) -> dict[str, list[tuple[Any, ...]]]:
        """Return all that main database and ledger say, for comparing; without the rows of the organisation *but*."""
        found = {}
        for file in (self.house.home.main_db, self.house.home.ledger):
            database = sqlite3.connect(file)
            try:
                for table, keep in _tables(database, file, but).items():
                    found[f"{file.name} {table}"] = sorted(database.execute(keep), key=repr)
            finally:
                database.close()
        return found


def _tables(database: sqlite3.Connection, file: Path, but: int) -> dict[str, str]:
    """Return for each table the query of its rows, but for those of one organisation."""
    found = {}
    for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall():
        if table.startswith(MOVES):
            continue
        columns = {row[1] for row in database.execute(f"PRAGMA table_info({table})")}
        own = "id" if table == "organisations" else "org" if "org" in columns else ""
        where = f" WHERE {own} <> {but}" if own and but else ""
        if but and {"holder", "body"} <= columns:  # a card is an organisation's, or somebody's
            where = f" WHERE holder NOT LIKE '%:{but}'"
        found[table] = f"SELECT * FROM {table}{where}"  # noqa: S608 - names from the schema itself
    assert len(found) > 8, file
    return found


def changed(before: Mapping[str, object], after: Mapping[str, object]) -> set[str]:
    """Return the names of tables that differ."""
    return {table for table in before if before[table] != after[table]}


def cookie(accounts: Accounts, house: House, address: str) -> str:
    """Sign somebody in on the pages, with their number where they have one; return the cookie."""
    enter: Callable[[], Any] = partial(accounts.sign_in, address, PASSWORD, SOURCE, AGENT)
    try:
        entered = enter()
    except SecondStep as step:
        entered = accounts.second_step(address, step.held, house.number(address), SOURCE, AGENT)
    return entered if isinstance(entered, str) else str(entered.cookie)

"""Officers and managers over the real keeper: what they may do, and every attack on what they may."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from cryptnsend.__main__ import main
from cryptnsend.core.errors import Denied, Ended, NoGrant, Temporary, WrongSecret
from cryptnsend.core.model import account_holder
from cryptnsend.delivery.dns import DnsTrouble
from cryptnsend.flow.organisations import Organisations
from cryptnsend.flow.sessions import Session
from cryptnsend.store.records import accounts, members, trail
from tests.flow.rows import recipients
from tests.support.house import AGENT, DAY, MINUTE, PASSWORD, SOURCE, House

OLIVE, MAX, CARL, DORA = "officer@clinic.example", "max@clinic.example", "carl@clinic.example", "dora@clinic.example"
EVE, PAT = "officer@rival.example", "pat@yahoo.example"


class Staff:
    """Two organisations; everybody who looks after one has a second step."""

    def __init__(self, house: House):
        self.house = house
        self.clinic, self.rival = house.organisation("Clinic"), house.organisation("Rival")
        house.add_subscriber(MAX, organisation=self.clinic, name="Max", roles=("manager",))
        house.add_subscriber(CARL, organisation=self.clinic, name="Carl Young")
        house.add_subscriber(DORA, organisation=self.clinic, name="Dora")
        self.olive, self.max, self.eve = map(self.enter, (OLIVE, MAX, EVE))
        self.carl = house.session(CARL)

    def enter(self, address: str) -> Session:
        self.house.second(address)
        return self.house.session(address)

    @property
    def flow(self) -> Organisations:
        return self.house.portal.organisations

    def id(self, address: str) -> int:
        return self.house.account(address)

    def state(self, address: str) -> str:
        row = accounts.by_address(self.house.engine, address)
        assert row is not None
        return str(row["state"])


@pytest.fixture
def staff(house: House) -> Staff:
    return Staff(house)


# -- rights -----------------------------------------------------------------------------------------------------------

ORDERS: list[Callable[[Organisations, Session, Staff], Any]] = [
    lambda flow, who, staff: flow.people(who),
    lambda flow, who, staff: flow.person(who, staff.id(DORA)),
    lambda flow, who, staff: flow.invite(who, "new@x.example", ""),
    lambda flow, who, staff: flow.invite_all(who, b"new@x.example"),
    lambda flow, who, staff: flow.disable(who, staff.id(DORA), PASSWORD, SOURCE),
    lambda flow, who, staff: flow.enable(who, staff.id(DORA), PASSWORD, SOURCE),
    lambda flow, who, staff: flow.hand_over(who, staff.id(DORA), CARL, PASSWORD, SOURCE),
    lambda flow, who, staff: flow.set_roles(who, staff.id(DORA), ["officer"], PASSWORD, SOURCE),
    lambda flow, who, staff: flow.set_rules(who, {"life_days": 1}, "as agreed", None, PASSWORD, SOURCE),
    lambda flow, who, staff: flow.ask_domain(who, "clinic.example"),
]


@pytest.mark.parametrize("order", ORDERS)
def test_a_subscriber_may_none_of_it(staff: Staff, order: Callable[..., Any]) -> None:
    with pytest.raises(NoGrant):
        order(staff.flow, staff.carl, staff)


@pytest.mark.parametrize("order", [ORDERS[1], *ORDERS[4:8]])
def test_an_officer_of_another_organisation_finds_nobody(staff: Staff, order: Callable[..., Any]) -> None:
    with pytest.raises(NoGrant):
        order(staff.flow, staff.eve, staff)
    assert staff.state(DORA) == "active"


@pytest.mark.parametrize("order", ORDERS[7:9])
def test_a_manager_sets_no_rules_and_gives_no_roles(staff: Staff, order: Callable[..., Any]) -> None:
    with pytest.raises(NoGrant):
        order(staff.flow, staff.max, staff)


def test_a_manager_does_nothing_to_an_officer_nor_anybody_to_themselves(staff: Staff) -> None:
    flow = staff.flow
    for order in (flow.disable, flow.enable):
        with pytest.raises(Denied, match="officer"):
            order(staff.max, staff.id(OLIVE), PASSWORD, SOURCE)
        with pytest.raises(Denied, match="oneself"):
            order(staff.olive, staff.id(OLIVE), PASSWORD, SOURCE)
    with pytest.raises(Denied, match="officer"):
        flow.hand_over(staff.max, staff.id(OLIVE), CARL, PASSWORD, SOURCE)
    assert staff.state(OLIVE) == "active"
    assert staff.house.accounts.has_second_step(staff.olive), "and their sessions go on"


def test_the_keeper_asks_for_itself_whatever_rows_and_flows_say(staff: Staff) -> None:
    """A portal that was taken over has everybody's ticket who is signed in, and the rows in its hand."""
    keeper, house = staff.house.keeper("portal"), staff.house
    house.tamper("UPDATE accounts SET roles = 'subscriber,officer,manager' WHERE org = :org", org=staff.clinic)
    carl, k = house.session(CARL), house.owner.owner.k(CARL, PASSWORD)
    own = house.owner.owner.k(MAX, PASSWORD)
    for attack in (
        lambda: keeper.set_policy(carl.ticket, k, '{"life_days":1}'),
        lambda: keeper.set_policy(staff.max.ticket, own, '{"life_days":1}'),
        lambda: keeper.set_roles(carl.ticket, k, CARL, ["officer"]),
        lambda: keeper.set_roles(staff.max.ticket, own, CARL, ["manager"]),
        lambda: keeper.invite_member(carl.ticket, "new@x.example", ""),
        lambda: keeper.disable_member(carl.ticket, k, DORA),
        lambda: keeper.disable_member(staff.max.ticket, own, OLIVE),
        lambda: keeper.disable_member(staff.max.ticket, own, EVE),
        lambda: keeper.hand_over(carl.ticket, k, DORA, CARL),
        lambda: keeper.hand_over(staff.max.ticket, own, OLIVE, CARL),
        lambda: keeper.hand_over(staff.max.ticket, own, DORA, EVE),
        lambda: keeper.set_roles(staff.olive.ticket, k, OLIVE, ["subscriber"]),
        lambda: keeper.disable_member(staff.max.ticket, k, "nobody@x.example"),
    ):
        with pytest.raises(Denied):
            attack()
    assert [staff.state(each) for each in (OLIVE, DORA, CARL)] == ["active"] * 3


def test_without_a_second_step_the_keeper_does_nothing_for_an_officer(house: House) -> None:
    org = house.organisation("Clinic")
    house.add_subscriber(CARL, organisation=org)
    olive, flow = house.session(OLIVE), house.portal.organisations
    assert not flow.is_ready(olive)
    for order in (
        lambda: flow.set_rules(olive, {"life_days": 1}, "as agreed", None, PASSWORD, SOURCE),
        lambda: flow.invite(olive, "new@x.example", ""),
        lambda: flow.disable(olive, house.account(CARL), PASSWORD, SOURCE),
        lambda: flow.set_roles(olive, house.account(CARL), ["manager"], PASSWORD, SOURCE),
    ):
        with pytest.raises(Denied, match="second step"):
            order()


def test_what_changes_an_organisation_takes_a_number_shown_in_the_last_five_minutes(staff: Staff) -> None:
    """The keeper asks for it: neither a ticket with the password, nor a page that was taken over, is enough."""
    house, flow, olive = staff.house, staff.flow, staff.olive
    keeper, k = house.keeper("portal"), house.owner.owner.k(OLIVE, PASSWORD)
    orders: list[Callable[[str], object]] = [
        lambda code: flow.set_rules(olive, {"life_days": 9}, "as agreed", None, PASSWORD, SOURCE, code),
        lambda code: flow.set_roles(olive, staff.id(DORA), ["subscriber", "officer"], PASSWORD, SOURCE, code),
        lambda code: keeper.set_policy(olive.ticket, k, '{"life_days":9}', code),
        lambda code: flow.hand_over(olive, staff.id(CARL), DORA, PASSWORD, SOURCE, code),
    ]
    for order in orders:
        house.clock.forward(5 * MINUTE)
        with pytest.raises(Denied, match="number"):
            order("")
        with pytest.raises(Denied, match="not the number"):
            order("000000")
        order(house.number(OLIVE))
    house.clock.forward(4 * MINUTE)
    flow.set_rules(olive, {"life_days": 8}, "as agreed", None, PASSWORD, SOURCE)  # the last one was shown just now
    assert staff.house.portal.policies.standing(staff.clinic).said == {"life_days": 8}


def test_a_wrong_password_changes_nothing(staff: Staff) -> None:
    flow = staff.flow
    for order in (
        lambda: flow.set_rules(staff.olive, {"life_days": 1}, "", None, "wrong", SOURCE),
        lambda: flow.disable(staff.olive, staff.id(CARL), "wrong", SOURCE),
        lambda: flow.set_roles(staff.olive, staff.id(CARL), ["manager"], "wrong", SOURCE),
        lambda: flow.hand_over(staff.olive, staff.id(CARL), DORA, "wrong", SOURCE),
    ):
        with pytest.raises(WrongSecret):
            order()
    assert staff.house.accounts.has_second_step(staff.carl) is False, "Carl is signed in still"
    assert staff.house.portal.policies.standing(staff.clinic).version == 0


# -- rules ------------------------------------------------------------------------------------------------------------


def test_an_officer_changes_the_rules_and_is_named_for_it(staff: Staff) -> None:
    book = staff.house.portal.policies
    standing = staff.flow.set_rules(staff.olive, {"plain_token": False}, "no plain mail", 0, PASSWORD, SOURCE)
    assert (standing.version, standing.held.plain_token) == (1, False)
    (version,) = book.history(staff.clinic)
    assert (book.actor(version.actor), version.why) == (OLIVE, "no plain mail")
    message = staff.house.submit(CARL, [PAT], staff.house.mail(":: Lunch", author=CARL))
    assert recipients(staff.house, message)[PAT]["reason"] == "plain-not-allowed"
    with pytest.raises(Ended):
        staff.flow.set_rules(staff.olive, {}, "", 0, PASSWORD, SOURCE)
    assert (account_holder(staff.id(OLIVE)), "policy.changed") in staff.house.audited(staff.clinic)


# -- people -----------------------------------------------------------------------------------------------------------


def test_people_are_listed_and_found_within_the_organisation(staff: Staff) -> None:
    found = staff.flow.people(staff.max)
    assert [each.address for each in found.people] == sorted([OLIVE, MAX, CARL, DORA])
    assert (found.all, found.more) == (4, False)
    assert [each.address for each in staff.flow.people(staff.max, "YOUNG").people] == [CARL]
    assert [each.address for each in staff.flow.people(staff.max, after=DORA).people] == [MAX, OLIVE]
    assert members.page(staff.house.engine, staff.clinic, "", "", 2)[0]["address"] == CARL


def test_somebody_invited_chooses_a_password_and_belongs_to_the_organisation(staff: Staff) -> None:
    house = staff.house
    assert staff.flow.invite(staff.max, " New@X.example", "New One") == "new@x.example"
    assert [(each.address, each.name) for each in staff.flow.invited(staff.max)] == [("new@x.example", "New One")]
    ident = house.queued("code")[-1]["subject_id"]
    code = house.keeper("courier").invitation(ident).code
    house.accounts.finish_signup(ident, code, PASSWORD, "New One", SOURCE, AGENT, "en")
    assert staff.flow.invited(staff.max) == []
    assert "new@x.example" in [each.address for each in staff.flow.people(staff.max).people]


@pytest.mark.parametrize(
    ("address", "why"),
    [("", "no mail"), ("new", "no mail"), (CARL, "subscriber already")],
)
def test_who_cannot_be_invited_is_told_without_saying_more_than_is_known(staff: Staff, address: str, why: str) -> None:
    with pytest.raises(Denied, match=why):
        staff.flow.invite(staff.max, address, "")
    assert staff.house.queued("code") == []


def test_a_list_is_read_whatever_program_wrote_it(staff: Staff) -> None:
    for octets in (
        b'Address,Name\r\nnew@x.example,"New, One"\r\n\r\n',
        "\ufeffE-Mail;Name\nnew@x.example;Ana Núñez\n".encode(),
        "new@x.example\tAna Núñez".encode("cp1252"),
        b"new@x.example",
    ):
        (line,) = staff.flow.read_list(staff.max, octets)
        assert (line.address, line.wrong) == ("new@x.example", "")


def test_an_invitation_that_nobody_took_is_forgotten_after_its_time(staff: Staff) -> None:
    house = staff.house
    staff.flow.invite(staff.max, "new@x.example", "")
    (ends,) = (row["expires"] for row in house.engine.query("SELECT expires FROM invitations"))
    house.clock.forward(ends - house.clock.now())
    house.upkeep.once()
    assert len(house.engine.query("SELECT id FROM invitations")) == 1
    house.clock.forward(DAY + 1)
    house.upkeep.once()
    assert house.engine.query("SELECT id FROM invitations") == []


def test_a_list_with_a_bad_line_invites_nobody_and_names_each(staff: Staff) -> None:
    lines = staff.flow.invite_all(
        staff.max, f"a@x.example\noops\na@x.example\n{CARL},Carl\nb@x.example,http://evil.example\n".encode()
    )
    assert [(each.number, bool(each.wrong)) for each in lines] == [
        (1, False), (2, True), (3, True), (4, True), (5, True),
    ]  # fmt: skip
    assert staff.house.queued("code") == []
    assert staff.flow.invited(staff.max) == []
    staff.flow.invite_all(staff.max, b"a@x.example,Ana\nb@x.example")
    assert {each.address for each in staff.flow.invited(staff.max)} == {"a@x.example", "b@x.example"}


@pytest.mark.parametrize(
    "octets", [b"", b"\n\n", b"Address,Name", b'"unfinished', b"a@x.example\n" * 501, b"x" * 300_000]
)
def test_what_is_no_list_is_refused_with_a_sentence(staff: Staff, octets: bytes) -> None:
    with pytest.raises(Denied, match="list"):
        staff.flow.read_list(staff.max, octets)


def test_who_is_stopped_is_out_at_once_everywhere_and_comes_back_with_everything(staff: Staff) -> None:
    house = staff.house
    cookie = house.accounts.sign_in(CARL, PASSWORD, SOURCE, AGENT)
    signed = house.sign_in_smtp(CARL, PASSWORD)
    staff.flow.disable(staff.max, staff.id(CARL), PASSWORD, SOURCE)
    assert house.accounts.session(cookie) is None
    assert not house.gate.still_valid(signed)
    with pytest.raises(Denied, match="disabled"):
        house.accounts.sign_in(CARL, PASSWORD, SOURCE, AGENT)
    staff.flow.enable(staff.max, staff.id(CARL), PASSWORD, SOURCE)
    assert house.session(CARL).account == staff.id(CARL)
    about = [row for row in house.audited(staff.clinic) if row[1] in ("account.disabled", "account.enabled")]
    assert about == [
        (account_holder(staff.id(MAX)), "account.disabled"), (account_holder(staff.id(MAX)), "account.enabled"),
    ]  # fmt: skip
    assert trail.verify(house.engine, staff.clinic).broken is None


def test_a_new_officer_opens_the_archive_and_a_former_one_does_not(staff: Staff) -> None:
    house, keeper = staff.house, staff.house.keeper("portal")
    staff.flow.set_roles(staff.olive, staff.id(DORA), ["subscriber", "officer"], PASSWORD, SOURCE)
    dora = house.session(DORA)
    k = house.owner.owner.k(DORA, PASSWORD)
    assert house.keeper("owner").archive_recovery(dora.ticket, k).text
    with pytest.raises(Denied, match="second step"):
        keeper.archive_recovery(dora.ticket, k)
    house.second(DORA)
    with pytest.raises(WrongSecret):
        keeper.archive_recovery(dora.ticket, k)
    assert {(DORA, "roles-changed"), (OLIVE, "officers-changed"), (DORA, "officers-changed")} <= set(house.alerts())
    staff.flow.set_roles(staff.olive, staff.id(DORA), ["subscriber"], PASSWORD, SOURCE)
    with pytest.raises(Denied):
        house.found(house.accounts.second_step(DORA, b"", "", SOURCE, AGENT))
    rows = house._ledger.query("SELECT count(*) AS n FROM wraps WHERE kind = 'officer'")
    assert rows[0]["n"] == 2, "one for each organisation's first officer"


def test_an_organisation_keeps_one_officer(staff: Staff) -> None:
    staff.flow.set_roles(staff.olive, staff.id(DORA), ["officer"], PASSWORD, SOURCE)
    dora = staff.enter(DORA)
    staff.flow.set_roles(dora, staff.id(OLIVE), ["subscriber"], PASSWORD, SOURCE)
    k = staff.house.owner.owner.k(DORA, PASSWORD)
    with pytest.raises(Denied):
        staff.house.keeper("portal").set_roles(dora.ticket, k, DORA, ["subscriber"])


@pytest.mark.parametrize("roles", [[], ["recipient"], ["keeper"]])
def test_nobody_is_given_roles_that_there_are_not(staff: Staff, roles: list[str]) -> None:
    with pytest.raises(Denied, match="roles"):
        staff.flow.set_roles(staff.olive, staff.id(CARL), roles, PASSWORD, SOURCE)


def test_what_is_sent_to_a_leaver_reaches_the_colleague_who_takes_over(staff: Staff) -> None:
    house = staff.house
    before = house.submit(DORA, [CARL], house.mail("Before", author=DORA, to=[CARL]))
    staff.flow.hand_over(staff.max, staff.id(CARL), DORA, PASSWORD, SOURCE)
    dora = house.session(DORA)
    assert set(dora.addresses) == {DORA, CARL}
    with pytest.raises(WrongSecret):
        house.accounts.sign_in(CARL, "another " + PASSWORD, SOURCE, AGENT)
    house.add_subscriber("new@clinic.example", organisation=staff.clinic, name="New")
    message = house.submit("new@clinic.example", [CARL], house.mail("After", author="new@clinic.example", to=[CARL]))
    assert house.pickup.show(dora, message).subject == "After"
    assert house.pickup.show(dora, before).subject == "Before", "she wrote it"
    with pytest.raises(NoGrant):
        house.pickup.show(house.session("new@clinic.example"), before)
    assert (DORA, "took-over") in house.alerts()
    actions = [action for _, action in house.audited(staff.clinic)]
    assert {"account.handed-over", "account.took-over"} <= set(actions)


def test_what_was_sealed_for_the_leaver_stays_sealed_for_the_colleague(staff: Staff) -> None:
    house = staff.house
    house.add_subscriber("boss@clinic.example", organisation=staff.clinic, name="Boss")
    secret = house.submit("boss@clinic.example", [CARL], house.mail("x", author="boss@clinic.example", to=[CARL]))
    staff.flow.hand_over(staff.max, staff.id(CARL), DORA, PASSWORD, SOURCE)
    with pytest.raises((NoGrant, Ended, Denied)):
        house.pickup.show(house.session(DORA), secret)


@pytest.mark.parametrize("to", ["", "nobody@x.example", CARL, EVE, OLIVE])
def test_only_a_colleague_who_can_sign_in_and_send_takes_over(staff: Staff, to: str) -> None:
    with pytest.raises(Denied):
        staff.flow.hand_over(staff.max, staff.id(CARL), to, PASSWORD, SOURCE)
    assert staff.state(CARL) == "active"


# -- domains ----------------------------------------------------------------------------------------------------------


class Names:
    """TXT records by name."""

    def __init__(self) -> None:
        self.records: dict[str, list[str]] = {}
        self.broken = False

    def texts(self, name: str) -> list[str]:
        if self.broken:
            raise DnsTrouble
        return self.records.get(name, [])


@pytest.fixture
def names(staff: Staff, monkeypatch: pytest.MonkeyPatch) -> Names:
    made = Names()
    monkeypatch.setattr(staff.house.portal.domains, "_texts", made.texts)
    return made


def test_a_domain_is_proven_by_its_record_and_by_nothing_else(staff: Staff, names: Names) -> None:
    flow = staff.flow
    asked = flow.ask_domain(staff.max, " Clinic.Example. ")
    assert (asked.name, asked.record) == ("clinic.example", "_cryptnsend.clinic.example")
    assert flow.ask_domain(staff.max, "clinic.example").value == asked.value, "asked again, it is the same record"
    assert flow.check_domain(staff.max, "clinic.example") is False
    names.records[asked.record] = ["v=spf1 -all", asked.value + "x"]
    assert flow.check_domain(staff.max, "clinic.example") is False
    names.records[asked.record] = ["v=spf1 -all", asked.value]
    assert flow.check_domain(staff.max, "clinic.example") is True
    assert flow.domains(staff.olive)[0].proven
    assert flow.domains(staff.eve) == []
    names.broken = True
    with pytest.raises(Temporary):
        flow.check_domain(staff.max, "clinic.example")
    details = [
        json.loads(row["detail"])
        for row in staff.house.engine.query("SELECT detail FROM audit WHERE action = 'domain.proven'")
    ]
    assert details == [{"domain": "clinic.example"}]


def test_a_record_that_is_missing_for_seven_days_proves_nothing_any_more(staff: Staff, names: Names) -> None:
    house, flow = staff.house, staff.flow
    domains = house.portal.domains
    asked = flow.ask_domain(staff.olive, "clinic.example")
    names.records[asked.record] = [asked.value]
    assert flow.check_domain(staff.olive, "clinic.example")
    told = lambda: [template for _, template in house.alerts() if template.startswith("domain-")]  # noqa: E731
    assert domains.look_again() == 0, "it was looked for today"
    names.records.clear()
    names.broken = True
    for _ in range(9):
        house.clock.forward(DAY + 1)
        assert domains.look_again() == 0
    names.broken = False
    assert (domains.look_again(), told()) == (1, ["domain-missing"]), "name servers that are silent count for nothing"
    names.records[asked.record] = [asked.value]
    house.clock.forward(DAY + 1)
    assert (domains.look_again(), domains.of(staff.clinic)[0].missing) == (1, None)
    names.records.clear()
    for day in range(8):
        assert domains.of(staff.clinic)[0].proven, day
        house.clock.forward(DAY + 1)
        domains.look_again()
    assert domains.of(staff.clinic)[0].proven is None
    assert told() == ["domain-missing", "domain-missing", "domain-lapsed"]
    assert ("upkeep", "domain.lapsed") in house.audited(staff.clinic)


def test_a_proven_domain_is_one_organisations_and_keeps_others_from_inviting_there(staff: Staff, names: Names) -> None:
    flow = staff.flow
    for who in (staff.max, staff.eve):
        asked = flow.ask_domain(who, "clinic.example")
        names.records.setdefault(asked.record, []).append(asked.value)
    assert flow.check_domain(staff.max, "clinic.example")
    with pytest.raises(Denied, match="Another organisation"):
        flow.check_domain(staff.eve, "clinic.example")
    with pytest.raises(Denied, match="cannot be invited"):
        flow.invite(staff.eve, "nurse@clinic.example", "")
    flow.invite(staff.max, "nurse@clinic.example", "")
    with pytest.raises(NoGrant):
        flow.drop_domain(staff.eve, "praxis.example")
    flow.drop_domain(staff.max, "clinic.example")
    assert flow.check_domain(staff.eve, "clinic.example")


@pytest.mark.parametrize(
    "typed", ["", "clinic", "a b.example", "http://x.example", "mail.clinic.example", "x.mail.clinic.example"]
)
def test_what_is_no_domain_or_the_servers_own_is_refused(staff: Staff, typed: str) -> None:
    with pytest.raises(Denied, match="domain"):
        staff.flow.ask_domain(staff.max, typed)


def test_the_owner_of_the_server_proves_a_domain_by_command(staff: Staff) -> None:
    def run(*words: str, code: int = 0) -> str:
        done = CliRunner().invoke(main, ["domain", *words, "--home", str(staff.house.home.path)])
        assert done.exit_code == code, (done.output, done.exception)
        return done.output

    assert "none yet" in run("list", "--organisation", "Clinic")
    asked = json.loads(run("add", "clinic.example", "--organisation", "Clinic", "--json"))
    assert asked["record"] == "_cryptnsend.clinic.example"
    assert asked["value"] in run("list", "--organisation", "Clinic")
    assert "no such domain" in run("check", "other.example", "--organisation", "Clinic", code=4)
    assert "is no domain" in run("add", "nodot", "--organisation", "Clinic", code=4)
    assert "Name one with --organisation" in run("list", code=4)
    staff.house.tamper("UPDATE domains SET proven = 1")
    assert "clinic.example  yes" in run("list", "--organisation", "Clinic")
    assert "is not this organisation's any more" in run("drop", "clinic.example", "--organisation", "Clinic")
    assert staff.flow.domains(staff.olive) == []
    assert ("owner", "domain.dropped") in staff.house.audited(staff.clinic)


def test_new_rules_are_told_to_all_officers(staff: Staff) -> None:
    staff.flow.set_roles(staff.olive, staff.id(DORA), ["officer"], PASSWORD, SOURCE)
    staff.flow.set_rules(staff.olive, {"life_days": 30}, "shorter", None, PASSWORD, SOURCE)
    told = {who for who, template in staff.house.alerts() if template == "rules-changed"}
    assert told == {OLIVE, DORA}

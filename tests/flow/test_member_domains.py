"""Partners' domains, whose people count as members: no code, their own form, or readable over a proven way only."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from cryptnsend.__main__ import main
from cryptnsend.core.errors import Denied
from cryptnsend.core.model import INSTALLATION
from cryptnsend.core.organisation import Value
from cryptnsend.delivery.courier import Outcome
from cryptnsend.flow.views import Writing
from cryptnsend.portal.rules import described
from tests.flow.conftest import DELIVERED, Desk
from tests.flow.inbound_door import Door
from tests.flow.rows import deliveries, grants, recipients
from tests.flow.test_journals import prove
from tests.portal.real import portal
from tests.support.domains import signed
from tests.support.house import House, MakeHouse

ANN, OLIVE = "ann@clinic.example", "officer@clinic.example"
EVE, PAT, MIA = "eve@lab.example", "pat@lab.example", "mia@lab.example"
DAY = 86_400_000
NO_PROOF = Outcome("failed", None, "5.7.10", "mx.lab.example offers no TLS", "x", reason=Outcome.PROOF_MISSING)


class Partners:
    """A clinic, and a laboratory with a domain of its own on the same server."""

    def __init__(self, house: House):
        self.house = house
        self.clinic, self.lab = house.organisation("Clinic"), house.organisation("Lab")
        self.ann = house.add_subscriber(ANN, organisation=self.clinic)
        self.eve = house.add_subscriber(EVE, organisation=self.lab, name="Eve")
        prove(house, self.lab, "lab.example")

    def say(self, **said: Value) -> tuple[str, ...]:
        """Let the clinic say this of its rules; return its member domains as they are kept."""
        return self.house.owner.owner.set_rules(self.clinic, said, "as agreed").held.member_domains

    def decided(self, to: str, subject: str = "Results", author: str = ANN) -> str:
        message = self.house.submit(author, [to], self.house.mail(subject, author=author, to=[to]))
        row = recipients(self.house, message)[to]
        return " ".join(filter(None, (row["decision"], row["form"], row["reason"])))


@pytest.fixture
def partners(house: House) -> Partners:
    made = Partners(house)
    made.say(member_domains=("lab.example",))
    return made


# -- who counts -------------------------------------------------------------------------------------------------------


def test_a_partners_subscriber_gets_mail_in_the_form_they_chose_and_needs_no_code(partners: Partners) -> None:
    house = partners.house
    assert partners.decided(EVE) == "handoff zip member"
    message = house.submit(ANN, [EVE], house.mail("More", author=ANN, to=[EVE]))
    assert grants(house, message)[f"account:{partners.eve}", "recipient"]["sealed_for"] == f"account:{partners.eve}"
    assert deliveries(house, message) == [("handoff", "zip", EVE)]
    assert house.pickup.show(house.session(EVE), message).subject == "More"
    assert not house.pickup.status(house.session(ANN), message).recipients[0].needs_code


def test_it_is_the_word_of_one_organisation_and_binds_no_other(partners: Partners) -> None:
    """Eve's laboratory has not said that the clinic's people are members of theirs."""
    assert partners.decided(ANN, author=EVE) == "vault default-vault"


def test_the_number_of_the_partner_is_found_by_its_proven_domain_and_kept_with_it(partners: Partners) -> None:
    assert partners.say(member_domains=("lab.example", "hospital.example")) == (
        f"lab.example {partners.lab}",
        "hospital.example",
    )
    for wrong in (partners.clinic, 12345):
        with pytest.raises(Denied, match="not the proven domain"):
            partners.say(member_domains=(f"lab.example {wrong}",))
    assert partners.say() == ()


def test_the_page_of_rules_says_what_the_partner_is_called(partners: Partners) -> None:
    standing = partners.house.portal.policies.standing(partners.clinic)
    assert standing.partners == {"lab.example": "Lab"}
    with portal(partners.house).test_request_context():
        rule = described("member_domains", standing.said, standing, partners.house.portal.policies.installation, {}, {})
    assert "Now these: lab.example: Lab." in rule.hint


def test_the_keeper_takes_no_partner_that_is_no_other_organisation(partners: Partners) -> None:
    keeper = partners.house.keeper("owner")
    for number in (partners.clinic, 12345):
        with pytest.raises(Denied, match="another organisation with the number"):
            keeper.organisation_policy(partners.clinic, f'{{"member_domains":["lab.example {number}"]}}')


def test_whoever_reads_a_mailbox_there_and_signs_up_alone_is_no_member(partners: Partners) -> None:
    """Only who belongs to the partner: an account of one's own at the same domain needs the sender's code."""
    partners.say(member_domains=("lab.example",), members_in_clear=False)
    partners.house.add_subscriber(MIA, name="Mia")
    assert partners.decided(MIA) == "vault default-vault"


def test_an_address_elsewhere_of_a_partners_subscriber_counts_for_nothing(partners: Partners) -> None:
    partners.house.add_subscriber("dora@gmail.example", organisation=partners.lab, name="Dora")
    assert partners.decided("dora@gmail.example") == "vault default-vault"


def test_a_weak_account_is_no_member_and_nothing_readable_goes_there(partners: Partners) -> None:
    house = partners.house
    house.reset(EVE)
    message = house.submit(ANN, [EVE], house.mail(author=ANN, to=[EVE]))
    row = recipients(house, message)[EVE]
    assert (row["decision"], row["reason"]) == ("vault", "default-vault")
    assert grants(house, message)[f"address:{EVE}", "recipient"]["sealed_for"] == "pending"


def test_a_partner_whose_domain_is_proven_no_more_is_none(partners: Partners) -> None:
    partners.house.tamper("UPDATE domains SET proven = NULL WHERE domain = 'lab.example'")
    partners.say(member_domains=(f"lab.example {partners.lab}",), members_in_clear=False)
    assert partners.decided(EVE) == "vault default-vault"


def test_when_the_partners_domain_lapses_its_people_need_codes_again_by_themselves(partners: Partners) -> None:
    house, codes = partners.house, partners.house.keeper("portal").codes
    assert codes(house.session(ANN).ticket, [EVE])[0].state == "waived"
    house.portal.domains.drop(partners.lab, "lab.example", "owner")
    house.clock.forward(DAY)
    house.upkeep.once()
    standing = house.portal.policies.standing(partners.clinic)
    assert standing.held.member_domains == ("lab.example",)
    assert codes(house.session(ANN).ticket, [EVE])[0].state != "waived"
    assert (OLIVE, "partner-over") in house.alerts()
    assert house.portal.policies.history(partners.clinic)[0].why == "the domain of a partner is not proven any more"
    house.clock.forward(DAY)
    house.upkeep.once()
    assert house.portal.policies.standing(partners.clinic).version == standing.version, "once is enough"


def test_a_domain_that_is_anothers_now_makes_nobody_else_a_partner(partners: Partners) -> None:
    house = partners.house
    other = house.organisation("Other")
    house.portal.domains.drop(partners.lab, "lab.example", "owner")
    prove(house, other, "lab.example")
    house.clock.forward(DAY)
    house.upkeep.once()
    assert house.portal.policies.standing(partners.clinic).held.member_domains == ("lab.example",)


def test_who_ends_partnerships_at_the_keeper_changes_nothing_else(partners: Partners) -> None:
    keeper = partners.house.keeper("courier")
    for text in (
        "{}",
        '{"member_domains":["lab.example","gmail.example"]}',
        '{"member_domains":["lab.example 12345"]}',
        '{"code_rule":"never","member_domains":["lab.example"]}',
    ):
        with pytest.raises(Denied):
            keeper.end_partners(partners.clinic, text)
    assert partners.decided(EVE) == "handoff zip member"


def test_taking_the_domain_out_ends_it_at_once(partners: Partners) -> None:
    partners.say()
    message = partners.house.submit(ANN, [EVE], partners.house.mail(author=ANN, to=[EVE]))
    assert grants(partners.house, message)[f"address:{EVE}", "recipient"]["sealed_for"] == "pending"
    assert partners.house.keeper("portal").codes(partners.house.session(ANN).ticket, [EVE])[0].state != "waived"


def test_a_changed_row_makes_nobody_a_partner(partners: Partners) -> None:
    """The rule rests with the keeper, and who belongs to whom stands on its cards."""
    house = partners.house
    partners.say()
    text = json.dumps({"member_domains": [f"lab.example {partners.lab}"]}, separators=(",", ":"))
    house.tamper("UPDATE organisations SET policy = :text WHERE id = :org", text=text, org=partners.clinic)
    assert partners.decided(EVE).startswith("vault")
    assert partners.decided(PAT).startswith("vault")


# -- readable, over a proven way --------------------------------------------------------------------------------------


def test_who_has_no_account_there_gets_readable_mail_by_a_proven_way(desk: Desk) -> None:
    partners = Partners(desk.house)
    partners.say(member_domains=("lab.example", "hospital.example"))
    for to in (PAT, "sam@hospital.example"):
        assert partners.decided(to) == "relay member-domain"
    desk.say(DELIVERED)
    desk.deliver()
    assert [(each[0].recipient, each[1]) for each in desk.answers.sent] == [
        (PAT, "proven"), ("sam@hospital.example", "proven"),
    ]  # fmt: skip
    assert all(b"All is well." in each[2] for each in desk.answers.sent)


def test_without_a_proven_way_it_becomes_a_notice_with_nothing_in_it(desk: Desk) -> None:
    partners = Partners(desk.house)
    partners.say(member_domains=("lab.example",))
    house = desk.house
    message = house.submit(ANN, [PAT], house.mail("Canarysubject", "Canarybody", author=ANN, to=[PAT]))
    desk.say(NO_PROOF, DELIVERED)
    desk.deliver()
    assert [(each[0].recipient, each[1]) for each in desk.answers.sent[:2]] == [(PAT, "proven"), (PAT, "opportunistic")]
    assert b"Canary" not in desk.answers.sent[1][2]
    (reached,) = house.pickup.status(house.session(ANN), message).recipients
    assert reached.way is not None
    assert "none to the recipient's server" in reached.way.why
    pat = house.register(PAT, message)
    assert house.pickup.show(pat, message).subject == "Canarysubject"


@pytest.mark.parametrize(
    ("subject", "said", "decision"),
    [
        ("secure/ Results", {}, "vault secure-token"),
        ("encrypt/ Results", {}, "pdf pdf pdf-token"),
        (":: Results", {}, "relay member-domain"),
        ("Results", {"members_in_clear": False}, "vault default-vault"),
        ("Results", {"plain_people": ("manager",)}, "vault default-vault"),
    ],
    ids=["secure/", "encrypt/", "::", "not readable", "may not plain"],
)
def test_requests_and_rules_for_more_protection_go_first(
    partners: Partners, subject: str, said: dict[str, Value], decision: str
) -> None:
    partners.say(member_domains=("lab.example",), **said)
    assert partners.decided(PAT, subject) == decision


def test_a_conversation_that_was_sealed_goes_on_sealed(partners: Partners) -> None:
    house = partners.house
    first = house.submit(ANN, [PAT], house.mail("secure/ Results", author=ANN, to=[PAT]))
    (ident,) = house.engine.query("SELECT message_id FROM messages WHERE id = :id", id=first)
    more = f"In-Reply-To: {ident['message_id']}\r\n"
    again = house.submit(ANN, [PAT], house.mail("Re: Results", author=ANN, to=[PAT], more=more))
    assert recipients(house, again)[PAT]["decision"] == "vault"


def test_a_changed_row_lets_it_leave_by_no_worse_way(desk: Desk) -> None:
    partners = Partners(desk.house)
    partners.say(member_domains=("lab.example",))
    assert partners.decided(PAT) == "relay member-domain"
    desk.house.tamper("UPDATE deliveries SET tls_class = 'declared' WHERE kind = 'relay'")
    desk.say(DELIVERED)
    desk.deliver()
    assert desk.row("relay")["state"] == "parked"
    assert not any(b"All is well." in octets for _, _, octets in desk.answers.sent)


def test_what_runs_the_server_may_forbid_readable_mail_to_all_member_domains(make_house: MakeHouse) -> None:
    partners = Partners(make_house(policy={"members_in_clear": False}))
    partners.say(member_domains=("lab.example",), members_in_clear=True)
    assert partners.decided(PAT) == "vault default-vault"
    assert partners.decided(EVE) == "handoff zip member"


def test_who_writes_on_the_page_sees_that_it_goes_readable_over_a_proven_way(partners: Partners) -> None:
    newmail, ann = partners.house.portal.newmail, partners.house.session(ANN)
    checked = newmail.check(ann, Writing(subject="Results", text="All is well.", to=(f"{PAT}, {EVE}",)))
    told = {each.address: (each.way, each.is_proven, each.needs_code) for each in checked.people}
    assert told == {PAT: ("relay", True, False), EVE: ("handoff", False, False)}


# -- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_partner", [True, False])
def test_a_partners_answer_by_mail_joins_the_conversation_without_a_code(desk: Desk, is_partner: bool) -> None:
    partners, house = Partners(desk.house), desk.house
    partners.say(member_domains=("lab.example",))
    message = house.submit(ANN, [EVE], house.mail(author=ANN, to=[EVE]))
    if not is_partner:
        partners.say()
    to, door = house.reply_token(message, ANN), Door(house)
    octets = house.mail("Re: Results", "Thank you.", author=EVE, to=[to])
    assert door.bring(signed(octets, "lab.example", house.clock.now()), to, sender=EVE) == "250 2.0.0"
    assert door.kept() == ([] if is_partner else [("no-code", message)])


# -- by command, and in the trail -------------------------------------------------------------------------------------


def test_the_rule_is_set_shown_explained_and_audited_by_command(partners: Partners) -> None:
    home = str(partners.house.home.path)

    def run(*words: str, code: int = 0) -> str:
        done = CliRunner().invoke(main, [*words, "--home", home])
        assert done.exit_code == code, (done.output, done.exception)
        return done.output

    own = ("--organisation", "Clinic", "--why", "as agreed")
    assert f"lab.example {partners.lab}" in run("policy", "set", "member-domains", "Lab.example., x.example", *own)
    asked = ("policy", "explain", "--from", ANN, "--json", "--to")
    assert json.loads(run(*asked, "sam@x.example"))["reason"] == "member-domain"
    assert json.loads(run(*asked, EVE))["reason"] == "member"
    assert "no domain" in run("policy", "set", "member-domains", "lab", *own, code=4)
    assert "stands once" in run("policy", "set", "member-domains", "x.example, x.example 7", *own, code=4)
    rows = partners.house.engine.query(
        "SELECT org, detail FROM audit WHERE action = 'policy.changed' ORDER BY seq DESC LIMIT 1"
    )
    assert rows[0]["org"] == partners.clinic != INSTALLATION
    assert list(json.loads(rows[0]["detail"])["changes"]) == ["member_domains"]

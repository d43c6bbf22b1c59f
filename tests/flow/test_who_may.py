"""Who may do what, as an organisation says: locked PDFs, codes by e-mail, family and friends, plain mail, domains.

Each rule where it acts, whatever the pages show: a choice that is not offered is still asked for by a tampered form.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner, Result

from cryptnsend.__main__ import main
from cryptnsend.core.errors import Denied, Refusal
from cryptnsend.core.organisation import Value
from cryptnsend.flow.views import Wishes, Writing
from tests.flow.rows import recipients
from tests.support.house import MINUTE, PASSWORD, SOURCE, House, MakeHouse

OLIVE, ANN, BEA = "officer@clinic.example", "ann@clinic.example", "bea@gmail.example"
MUM, PAT = "mum@home.example", "pat@yahoo.example"


@pytest.fixture
def clinic(house: House) -> House:
    org = house.organisation("Clinic")
    house.add_subscriber(ANN, organisation=org)
    house.add_subscriber(BEA, organisation=org, name="Bea", roles=("subscriber", "manager"))
    return house


def org_of(house: House) -> int:
    return int(house.owner.owner.organisation("Clinic") or 0)


def say(house: House, **said: Value) -> None:
    """Let the clinic say exactly this of its rules."""
    house.owner.owner.set_rules(org_of(house), said, "as agreed")


def decided(house: House, subject: str = "Results", author: str = ANN, to: str = PAT) -> str:
    message = house.submit(author, [to], house.mail(subject, author=author, to=[to]))
    row = recipients(house, message)[to]
    return f"{row['decision']} {row['reason']}"


def written(**wishes: object) -> Writing:
    return Writing(subject="Results", text="All is well.", to=(PAT,), wishes=Wishes(**wishes))  # type: ignore[arg-type]


def run(house: House, *words: str, code: int = 0) -> Result:
    done = CliRunner().invoke(main, [*words, "--home", str(house.home.path)])
    assert done.exit_code == code, (done.output, done.exception)
    return done


# -- locked PDFs ------------------------------------------------------------------------------------------------------


def test_where_no_locked_pdf_leaves_it_is_sealed_and_says_why(clinic: House) -> None:
    ann, newmail = clinic.session(ANN), clinic.portal.newmail
    assert newmail.may_pdf(ann)
    assert decided(clinic, "encrypt/ Results") == "pdf pdf-token"
    say(clinic, pdf_token=False)
    assert not newmail.may_pdf(ann)
    assert decided(clinic, "encrypt/ Results") == "vault pdf-not-allowed"
    [told] = newmail.check(ann, written(pdf=True)).people
    assert (told.way, "lets no locked files leave" in told.why) == ("vault", True)
    message = newmail.send(ann, written(pdf=True), nonce=b"n" * 16)  # a tampered form
    assert recipients(clinic, message)[PAT]["decision"] == "vault"


def test_what_the_server_forbids_no_organisation_allows(make_house: MakeHouse) -> None:
    house = make_house(policy={"pdf_token": False, "friends": False})
    house.add_subscriber(ANN, organisation=house.organisation("Clinic"))
    say(house, pdf_token=True, friends=True)
    assert decided(house, "encrypt/ Results") == "vault pdf-not-allowed"
    with pytest.raises(Denied, match="family and friends"):
        house.accounts.set_friends(house.session(ANN), MUM, PASSWORD, SOURCE)


# -- codes by e-mail --------------------------------------------------------------------------------------------------


def test_a_code_is_mailed_only_where_the_organisation_lets_senders_choose_that(clinic: House) -> None:
    ann, newmail = clinic.session(ANN), clinic.portal.newmail
    asked = newmail.send(ann, written(way="mail"), nonce=b"a" * 16)
    clinic.accounts.set_usual_way(ann, "mail", PASSWORD, SOURCE)
    clinic.clock.forward(MINUTE)
    usual = clinic.submit(ANN, [PAT], clinic.mail(author=ANN))
    tokens = [clinic.link(each, PAT) for each in (asked, usual)]
    assert [clinic.pickup.waiting(each).way for each in tokens] == ["mail", "mail"]
    started = clinic.pickup.mail_code(tokens[0], SOURCE)
    code = clinic.mailed_code()

    say(clinic, code_instead="code")  # and from now on nothing of it counts, not even a code that was mailed
    assert [clinic.pickup.waiting(each).way for each in tokens] == ["code", "code"]
    assert newmail.instead_of_code(ann) == (("code",), "code")
    assert clinic.pickup.status(ann, asked).instead == "code"
    for token in tokens:
        with pytest.raises(Denied, match="has not allowed"):
            clinic.pickup.mail_code(token, SOURCE)
    with pytest.raises(Denied, match="has not allowed"):
        clinic.pickup.prove_mailed(tokens[0], started.id, code, SOURCE)
    with pytest.raises(Refusal, match="Choose the code that you tell"):
        newmail.send(ann, written(way="mail"), nonce=b"b" * 16)
    with pytest.raises(Denied, match="Your organisation does not let"):
        clinic.keeper("portal").allow(ann.ticket, asked, "mail")
    with pytest.raises(Denied, match="Your organisation does not let"):
        clinic.accounts.set_usual_way(ann, "mail", PASSWORD, SOURCE)

    say(clinic)
    assert clinic.pickup.waiting(tokens[0]).way == "mail"


def test_a_changed_row_brings_no_mailed_code_back(clinic: House) -> None:
    say(clinic, code_instead="code")
    clinic.tamper("UPDATE organisations SET policy = '{}' WHERE id = :org", org=org_of(clinic))
    ann = clinic.session(ANN)
    assert clinic.portal.newmail.instead_of_code(ann)[0] == ("code",)
    with pytest.raises(Denied):
        clinic.keeper("portal").allow(ann.ticket, 0, "mail")


# -- family and friends, and plain mail -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "anns", "beas"),
    [
        ({}, "relay friend", "relay friend"),
        ({"friends": False}, "vault friends-not-allowed", "vault friends-not-allowed"),
        ({"friends_people": ("manager",)}, "vault friends-not-allowed", "relay friend"),
        ({"friends_people": (ANN,)}, "relay friend", "vault friends-not-allowed"),
        ({"plain_people": ("manager",)}, "vault plain-not-theirs", "relay friend"),
        ({"plain_token": False}, "vault friends-not-allowed", "vault friends-not-allowed"),
    ],
    ids=["everybody", "nobody", "a role", "an account", "plain for a role", "no plain"],
)
def test_family_and_friends_of_those_whom_the_rule_names_get_ordinary_mail(
    clinic: House, said: dict[str, Value], anns: str, beas: str
) -> None:
    for each in (ANN, BEA):
        clinic.accounts.set_friends(clinic.session(each), MUM, PASSWORD, SOURCE)
    say(clinic, **said)
    assert [decided(clinic, author=each, to=MUM) for each in (ANN, BEA)] == [anns, beas]


def test_who_may_have_no_friends_takes_them_out_and_adds_none(clinic: House) -> None:
    ann = clinic.session(ANN)
    clinic.accounts.set_friends(ann, f"{MUM}, {PAT}", PASSWORD, SOURCE)
    say(clinic, friends_people=("officer",))
    assert not clinic.accounts.may_have_friends(ann)
    with pytest.raises(Denied, match="Ask an officer"):
        clinic.accounts.set_friends(ann, f"{MUM}, {PAT}, dad@home.example", PASSWORD, SOURCE)
    clinic.accounts.set_friends(ann, MUM, PASSWORD, SOURCE)
    assert clinic.accounts.friends(ann) == (MUM,)


def test_a_role_counts_by_the_keepers_card_and_not_by_a_row(clinic: House) -> None:
    say(clinic, plain_people=("manager",))
    clinic.tamper("UPDATE accounts SET roles = 'subscriber,manager' WHERE id = :ann", ann=clinic.account(ANN))
    assert decided(clinic, ":: Lunch") == "vault plain-not-theirs"
    assert decided(clinic, ":: Lunch", author=BEA) == "relay plain-token"


def test_plain_mail_is_theirs_at_each_of_their_addresses(clinic: House) -> None:
    started = clinic.accounts.start_alias(clinic.session(ANN), "office@clinic.example", SOURCE)
    clinic.accounts.finish_alias(clinic.session(ANN), started.id, clinic.mailed_code())
    say(clinic, plain_people=("office@clinic.example",))
    assert decided(clinic, ":: Lunch") == "relay plain-token"
    assert clinic.portal.newmail.may_plain(clinic.session(ANN))
    assert not clinic.portal.newmail.may_plain(clinic.session(BEA))


# -- domains of subscribers -------------------------------------------------------------------------------------------


def test_domains_of_subscribers_shut_nobody_out_who_is_one(clinic: House) -> None:
    with pytest.raises(Denied, match=BEA):
        say(clinic, subscriber_domains=("clinic.example",))
    assert clinic.portal.policies.standing(org_of(clinic)).version == 0
    say(clinic, subscriber_domains=("clinic.example", BEA))
    clinic.owner.owner.disable(BEA)
    say(clinic, subscriber_domains=("clinic.example",))
    with pytest.raises(Denied, match="let an officer change the rule"):
        clinic.owner.owner.enable(BEA)


def test_nobody_becomes_a_subscriber_elsewhere_by_any_door(clinic: House) -> None:
    org, owner = org_of(clinic), clinic.owner.owner
    invited = owner.invite("early@gmail.example", org, "Early")
    early = clinic.keeper("courier").invitation(invited).code
    clinic.add_subscriber("mia@gmail.example", organisation=org, roles=("manager",))
    alias = clinic.accounts.start_alias(clinic.session(ANN), "ann@gmail.example", SOURCE)
    aliased = clinic.keeper("courier").mail_code(alias.id).code
    say(clinic, subscriber_domains=("clinic.example", BEA))
    for door in (
        lambda: owner.invite("new@gmail.example", org, "New"),
        lambda: owner.add("new@gmail.example", PASSWORD, organisation=org, roles=("subscriber",), name="New"),
        lambda: clinic.accounts.finish_signup(invited, early, PASSWORD, "Early", SOURCE, "x", "en"),
        lambda: clinic.accounts.finish_alias(clinic.session(ANN), alias.id, aliased),
    ):
        with pytest.raises(Denied, match="has them only at"):
            door()
    clinic.second(OLIVE)
    olive, staff = clinic.session(OLIVE), clinic.portal.organisations
    with pytest.raises(Denied, match="where this organisation has no subscribers"):
        staff.invite(olive, "new@gmail.example", "")
    listed = staff.read_list(olive, b"a@clinic.example\na@gmail.example")
    assert [bool(each.wrong) for each in listed] == [False, True]
    mia, number = clinic.account("mia@gmail.example"), clinic.number(OLIVE)
    with pytest.raises(Denied, match="has them only at"):
        staff.set_roles(olive, mia, ["subscriber", "manager"], PASSWORD, SOURCE, number)
    staff.invite(olive, "new@clinic.example", "")
    owner.add("free@gmail.example", PASSWORD, organisation=None, roles=("subscriber",), name="Free")


def test_mail_from_an_address_elsewhere_is_refused_with_what_to_do(clinic: House) -> None:
    started = clinic.accounts.start_alias(clinic.session(ANN), "ann@gmail.example", SOURCE)
    clinic.accounts.finish_alias(clinic.session(ANN), started.id, clinic.mailed_code())
    say(clinic, subscriber_domains=("clinic.example", BEA))
    ann = clinic.session(ANN)
    assert clinic.portal.newmail.senders(ann) == [ANN]
    assert decided(clinic) == "vault default-vault"
    with pytest.raises(Refusal, match="Send from your address there, or ask an officer") as said:
        clinic.submit(ANN, [PAT], clinic.mail(author="ann@gmail.example"))
    assert (said.value.code, said.value.status) == (550, "5.7.1")
    tampered = replace(written(), sender="ann@gmail.example")
    with pytest.raises(Refusal, match="no senders at ann"):
        clinic.portal.newmail.send(ann, tampered, nonce=b"n" * 16)
    with pytest.raises(Refusal, match="no senders at ann"):
        clinic.portal.newmail.check(ann, tampered)
    assert clinic.engine.query("SELECT count(*) AS n FROM messages")[0]["n"] == 1


# -- commands and the trail -------------------------------------------------------------------------------------------


def test_each_rule_is_set_explained_and_audited_by_command(clinic: House) -> None:
    for rule, value in (
        ("pdf-token", "forbid"),
        ("code-instead", "code"),
        ("friends-people", f"officer, {BEA}"),
        ("plain-people", "manager"),
        ("subscriber-domains", f"Clinic.example, {BEA}"),
    ):
        run(clinic, "policy", "set", rule, value, "--why", "as agreed")
    asked = ["policy", "explain", "--from", ANN, "--to", PAT, "--json", "--subject"]
    assert json.loads(run(clinic, *asked, "encrypt/ x").output)["reason"] == "pdf-not-allowed"
    assert json.loads(run(clinic, *asked, ":: x").output)["reason"] == "plain-not-theirs"
    said = json.loads(run(clinic, "policy", "show", "--json").output)["said"]
    assert said["subscriber_domains"] == ["clinic.example", BEA]
    assert (
        "no address, and no role" in run(clinic, "policy", "set", "friends-people", "boss", "--why", "x", code=4).output
    )
    assert BEA in run(clinic, "policy", "set", "subscriber-domains", "clinic.example", "--why", "x", code=4).output
    rows = clinic.engine.query("SELECT detail FROM audit WHERE action = 'policy.changed' ORDER BY seq")
    changed = [list(json.loads(row["detail"])["changes"]) for row in rows]
    assert changed == [["pdf_token"], ["code_instead"], ["friends_people"], ["plain_people"], ["subscriber_domains"]]

"""Each rule of an organisation where it acts, its history, and what a changed row does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from email import message_from_bytes, policy

import pytest
from click.testing import CliRunner, Result

from cryptnsend.__main__ import main
from cryptnsend.core.errors import Denied, Ended, Enough, NoGrant, TooBig, WrongSecret
from cryptnsend.core.organisation import Value
from cryptnsend.flow.policies import Policies
from cryptnsend.store.records import trail
from tests.flow.conftest import DELIVERED, Desk
from tests.flow.rows import recipients
from tests.support.house import DAY, HOUR, MINUTE, OTHER, PASSWORD, House, MakeHouse

ANN, BOB, PAT = "ann@gmail.example", "bob@gmail.example", "pat@yahoo.example"


def say(house: House, org: int, **said: Value) -> None:
    """Let an organisation say exactly this of its rules."""
    house.owner.owner.set_rules(org, said, "as agreed")


def policies(house: House) -> Policies:
    return house.portal.policies


@pytest.fixture
def open_house(make_house: MakeHouse) -> House:
    """A house that leaves ways to its organisations; Ann is in one, Bob on his own."""
    return furnished(make_house(policy={"least": "plain", "cleartext": "organisations"}))


def furnished(house: House) -> House:
    org = house.organisation("Clinic")
    house.add_subscriber(ANN, organisation=org)
    house.add_subscriber(BOB, name="Bob")
    return house


@pytest.fixture
def clinic(house: House) -> House:
    return furnished(house)


@pytest.fixture
def org(request: pytest.FixtureRequest) -> int:
    name = "open_house" if "open_house" in request.fixturenames else "clinic"
    house = request.getfixturevalue(name)
    return int(house.owner.owner.organisation("Clinic"))


def decided(house: House, subject: str = "Results", author: str = ANN) -> str:
    message = house.submit(author, [PAT], house.mail(subject, author=author))
    row = recipients(house, message)[PAT]
    return f"{row['decision']} {row['reason']}"


# -- ways -------------------------------------------------------------------------------------------------------------


def test_a_plain_default_of_one_organisation_is_its_own_and_secure_still_seals(open_house: House, org: int) -> None:
    say(open_house, org, default="plain", secure_marks=("[secure]",))
    assert decided(open_house) == "relay default-plain"
    assert decided(open_house, "secure/ Results") == "vault secure-token"
    assert decided(open_house, "encrypt/ Results") == "pdf pdf-token"
    assert decided(open_house, "Re: [Secure] Results") == "vault secure-mark"
    assert decided(open_house, author=BOB) == "vault default-vault"


def test_only_those_who_may_send_plain_do(open_house: House, org: int) -> None:
    open_house.add_subscriber("carl@gmail.example", organisation=org)
    say(open_house, org, default="plain", plain_people=(ANN,))
    assert decided(open_house) == "relay default-plain"
    assert decided(open_house, author="carl@gmail.example") == "vault plain-not-theirs"
    assert decided(open_house, ":: Lunch", author="carl@gmail.example") == "vault plain-not-theirs"
    assert open_house.portal.newmail.may_plain(open_house.session(ANN))
    assert not open_house.portal.newmail.may_plain(open_house.session("carl@gmail.example"))


def test_a_row_that_was_changed_makes_everything_careful_and_nothing_plain(open_house: House, org: int) -> None:
    say(open_house, org, default="plain")
    assert decided(open_house) == "relay default-plain"
    for text in ('{"default":"plain","life_days":9}', "{}", '{"cleartext":true}', "not JSON"):
        open_house.tamper("UPDATE organisations SET policy = :text WHERE id = :org", text=text, org=org)
        assert decided(open_house) == "vault default-vault"
        assert decided(open_house, ":: Lunch") == "vault plain-not-allowed"


def test_a_row_cannot_be_put_back_to_what_was_said_before(open_house: House, org: int) -> None:
    say(open_house, org, default="plain")
    before = open_house.engine.query("SELECT policy FROM organisations WHERE id = :org", org=org)[0]["policy"]
    say(open_house, org, default="vault", plain_token=False)
    open_house.tamper("UPDATE organisations SET policy = :text WHERE id = :org", text=before, org=org)
    assert decided(open_house) == "vault default-vault"


def test_neither_words_nor_the_loss_of_the_archives_card_make_a_mail_plain(open_house: House, org: int) -> None:
    """Whoever writes in the main database could take the card away that has the fingerprint."""
    say(open_house, org, plain_token=False)
    open_house.tamper("DELETE FROM cards WHERE holder = :holder", holder=f"archive:{org}")
    open_house.tamper("UPDATE organisations SET policy = '{}' WHERE id = :org", org=org)
    assert decided(open_house, ":: Lunch") == "vault plain-not-allowed"


def test_what_was_said_before_the_keeper_was_asked_counts_where_it_asks_for_more(open_house: House, org: int) -> None:
    """As after an upgrade: the row is older than the keeper's knowledge of it."""
    for text, way in (('{"default":"plain"}', "vault default-vault"), ('{"plain_token":false}', "vault default-vault")):
        open_house.tamper("UPDATE organisations SET policy = :text WHERE id = :org", text=text, org=org)
        assert decided(open_house) == way
    assert decided(open_house, ":: Lunch") == "vault plain-not-allowed"


def test_a_change_whose_writer_died_is_written_at_the_next_sign_in(open_house: House, org: int) -> None:
    open_house.keeper("owner").organisation_policy(org, '{"life_days":9}')  # and then it died
    open_house.session(ANN)
    assert decided(open_house) == "vault default-vault"
    (version,) = policies(open_house).history(org)
    assert (version.number, version.said, version.actor) == (1, {"life_days": 9}, "keeper")


# -- codes and custody ------------------------------------------------------------------------------------------------


def test_the_code_rule_of_an_organisation_is_the_keepers_to_know(clinic: House, org: int) -> None:
    say(clinic, org, code_rule="never")
    token = clinic.link(clinic.submit(ANN, [PAT], clinic.mail()), PAT)
    assert clinic.pickup.prove(token, "", "192.0.2.7").ticket
    say(clinic, org)
    with pytest.raises(WrongSecret):
        clinic.pickup.prove(token, "", "192.0.2.7")


def test_codes_stay_on_the_portal_where_an_organisation_says_so(clinic: House, org: int) -> None:
    clinic.submit(ANN, [PAT], clinic.mail())
    assert clinic.keeper("courier").receipt(clinic.account(ANN), [PAT]).codes
    say(clinic, org, code_on_receipt=False)
    told = clinic.keeper("courier").receipt(clinic.account(ANN), [PAT])
    assert (told.codes, told.on_portal) == ((), True)
    assert clinic.keeper("courier").receipt(clinic.account(BOB), [PAT]).on_portal is False


def test_new_conversations_have_the_custody_that_was_said_last(clinic: House, org: int) -> None:
    say(clinic, org, custody="strict")
    strict = clinic.submit(ANN, [PAT], clinic.mail())
    say(clinic, org)
    managed = clinic.submit(ANN, [PAT], clinic.mail())
    rows = clinic.engine.query("SELECT m.id, t.custody FROM messages m JOIN threads t ON t.id = m.thread")
    assert {row["id"]: row["custody"] for row in rows} == {strict: "strict", managed: "managed"}


# -- keeping ----------------------------------------------------------------------------------------------------------


def test_messages_live_as_long_as_the_organisation_says_and_no_longer_than_it_allows(clinic: House, org: int) -> None:
    say(clinic, org, life_days=7, life_most_days=20)
    message = clinic.submit(ANN, [PAT], clinic.mail())
    ann, now = clinic.session(ANN), clinic.clock.now()
    assert clinic.pickup.status(ann, message).ends == now + 7 * DAY
    clinic.portal.following.extend(ann, message, now + 20 * DAY)
    with pytest.raises(Denied, match="longer than a message may be opened"):
        clinic.portal.following.extend(ann, message, now + 30 * DAY)
    other = clinic.submit(BOB, [PAT], clinic.mail(author=BOB))
    assert clinic.pickup.status(clinic.session(BOB), other).ends == clinic.clock.now() + 30 * DAY


def test_a_message_given_back_lives_as_long_as_a_new_one(clinic: House, org: int) -> None:
    say(clinic, org, life_days=3)
    message = clinic.submit(ANN, [PAT], clinic.mail())
    clinic.clock.forward(3 * DAY + HOUR)
    clinic.upkeep.once()
    ann = clinic.session(ANN)
    clinic.pickup.restore(ann, message)
    assert clinic.pickup.status(ann, message).ends == clinic.clock.now() + 3 * DAY


def test_an_organisation_keeps_its_messages_for_longer_than_the_others(make_house: MakeHouse) -> None:
    house = furnished(make_house(life={"retention_days": 40, "days": 5}))
    org = house.owner.owner.organisation("Clinic")
    assert org is not None
    say(house, org, retention_days=60)
    hers, his = house.submit(ANN, [PAT], house.mail()), house.submit(BOB, [PAT], house.mail(author=BOB))

    def active() -> set[int]:
        return {row["message"] for row in house.engine.query("SELECT message FROM grants WHERE state = 'active'")}

    for _ in range(45):
        house.clock.forward(DAY)
        house.upkeep.once()
    assert active() == {hers}
    assert his not in active()
    for _ in range(20):
        house.clock.forward(DAY)
        house.upkeep.once()
    assert active() == set()


# -- limits -----------------------------------------------------------------------------------------------------------


def test_an_organisation_takes_smaller_messages_and_fewer_of_them(clinic: House, org: int) -> None:
    say(clinic, org, message_octets=65_536, messages_per_day=2, new_recipients_per_day=1)
    with pytest.raises(TooBig, match="at most 65,536"):
        clinic.submit(ANN, [PAT], clinic.mail(text="x" * 70_000))
    clinic.submit(BOB, [PAT], clinic.mail(text="x" * 70_000, author=BOB))
    with pytest.raises(Enough, match="1 new people"):
        clinic.submit(ANN, [PAT, "new@x.example"], clinic.mail())
    clinic.submit(ANN, [PAT], clinic.mail())
    clinic.submit(ANN, [PAT], clinic.mail())
    with pytest.raises(Enough, match="2 messages"):
        clinic.submit(ANN, [PAT], clinic.mail())


# -- signing in -------------------------------------------------------------------------------------------------------


def test_pages_stay_signed_in_as_long_as_the_organisation_says(clinic: House, org: int) -> None:
    say(clinic, org, idle_minutes=5, absolute_hours=1)
    ann = clinic.accounts.sign_in(ANN, PASSWORD, "192.0.2.7", "x")
    bob = clinic.accounts.sign_in(BOB, PASSWORD, "192.0.2.7", "x")
    for minutes in range(4, 64, 4):
        clinic.clock.forward(4 * MINUTE)
        assert (clinic.accounts.session(ann) is not None) == (minutes < 60)
        assert clinic.accounts.session(bob) is not None
    again = clinic.accounts.sign_in(ANN, PASSWORD, "192.0.2.7", "x")
    clinic.clock.forward(6 * MINUTE)
    assert clinic.accounts.session(again) is None
    assert clinic.accounts.session(bob) is not None


def test_new_passwords_are_as_long_as_the_organisation_wants(clinic: House, org: int) -> None:
    say(clinic, org, password_length=40)
    ann = clinic.session(ANN)
    with pytest.raises(Denied, match="40"):
        clinic.accounts.change_password(ann, PASSWORD, OTHER, "192.0.2.7", "x")
    started = clinic.accounts.start_reset(ANN, "192.0.2.7")
    with pytest.raises(Denied, match="40"):
        clinic.accounts.finish_reset(started.id, clinic.mailed_code(), OTHER, "192.0.2.7", "x", ANN)
    with pytest.raises(Denied, match="40"):
        clinic.owner.owner.set_password(ANN, OTHER, None)
    with pytest.raises(Denied, match="40"):
        clinic.owner.owner.add("new@gmail.example", OTHER, organisation=org, roles=("subscriber",), name="New")
    invited = clinic.owner.owner.invite("guest@gmail.example", org, "Guest")
    with pytest.raises(Denied, match="40"):
        clinic.accounts.finish_signup(invited, "1", OTHER, "Guest", "192.0.2.7", "x", "en")
    bob = clinic.session(BOB)
    clinic.accounts.change_password(bob, PASSWORD, OTHER, "192.0.2.7", "x")


def test_how_long_a_forgotten_password_has_to_be_tells_nobody_whose_an_address_is(clinic: House, org: int) -> None:
    say(clinic, org, password_length=40)
    for typed in (ANN, BOB, "nobody@nowhere.example"):
        started = clinic.accounts.start_reset(typed, "192.0.2.7")
        with pytest.raises(Denied, match="40"):
            clinic.accounts.finish_reset(started.id, "1", OTHER, "192.0.2.7", "x", typed)


# -- words ------------------------------------------------------------------------------------------------------------


def test_notices_have_the_organisations_words_in_the_readers_language(clinic: House, org: int) -> None:
    say(clinic, org, notice_en="Call the front desk & ask.", notice_es="Llame a la clínica.")
    desk = Desk(clinic)
    with closing(desk.courier):
        clinic.submit(ANN, [PAT], clinic.mail())
        clinic.tamper("UPDATE deliveries SET language = 'es' WHERE kind = 'notice'")
        clinic.submit(ANN, ["june@yahoo.example"], clinic.mail(to=["june@yahoo.example"]))
        clinic.submit(BOB, ["june@yahoo.example"], clinic.mail(author=BOB, to=["june@yahoo.example"]))
        desk.say(*[DELIVERED] * 9)
        desk.deliver()
        notices = [
            message_from_bytes(octets, policy=policy.default) for envelope, _, octets in desk.answers.sent
            if envelope.recipient in (PAT, "june@yahoo.example")
        ]  # fmt: skip
    told = [" ".join(mail.get_body((kind,)).get_content().split()) for mail in notices for kind in ("plain", "html")]
    assert ["Llame a la clínica." in each for each in told] == [True, True, False, False, False, False]
    assert ["Call the front desk &" in each for each in told] == [False, False, True, True, False, False]
    assert "front desk &amp; ask." in told[3]


@pytest.mark.parametrize("said_before", [False, True], ids=["said nothing", "said other words"])
def test_notices_have_no_words_that_only_a_row_says(clinic: House, org: int, said_before: bool) -> None:
    """Else whoever writes into the main database puts a link of their own into mail that the house signs."""
    if said_before:
        say(clinic, org, notice_en="Call the front desk.")
    forged = '{"notice_en":"Sign in again at https://evil.example\\r\\nor lose your mail"}'
    clinic.tamper("UPDATE organisations SET policy = :said WHERE id = :org", said=forged, org=org)
    assert policies(clinic).limits(org).notice_words("en") == ""
    desk = Desk(clinic)
    with closing(desk.courier):
        clinic.submit(ANN, [PAT], clinic.mail())
        desk.say(*[DELIVERED] * 3)
        desk.deliver()
        told = [octets for envelope, _, octets in desk.answers.sent if envelope.recipient == PAT]
    assert told
    assert not any(b"evil" in octets for octets in told)


# -- history ----------------------------------------------------------------------------------------------------------


def test_every_change_is_a_version_and_an_audit_row_and_can_be_taken_back(clinic: House, org: int) -> None:
    book, owner = policies(clinic), clinic.owner.owner
    owner.set_rules(org, {"life_days": 7}, "a week is enough")
    owner.set_rules(org, {"life_days": 9, "plain_token": False}, "they were away")
    owner.set_rules(org, {"life_days": 9, "plain_token": False}, "says the same, so it is none")
    assert [(each.number, each.why) for each in book.history(org)] == [(2, "they were away"), (1, "a week is enough")]
    changes: Mapping[str, tuple[Value | None, Value | None]] = {
        each.name: (each.before, each.after) for each in book.history(org)[0].changes
    }
    assert changes == {"life_days": (7, 9), "plain_token": (None, False)}
    assert [each.name for each in book.compare(org, 0, 1)] == ["life_days"]
    with pytest.raises(NoGrant):
        book.compare(org, 1, 7)
    owner.set_rules(org, book.said_in(org, 1), "back to version 1")
    assert book.standing(org).said == {"life_days": 7}
    assert book.standing(org).version == 3
    rows = clinic.engine.query(
        "SELECT actor, detail FROM audit WHERE org = :org AND action = 'policy.changed' ORDER BY seq", org=org
    )
    assert [json.loads(row["detail"])["version"] for row in rows] == [1, 2, 3]
    assert json.loads(rows[1]["detail"])["changes"] == {"life_days": ["7", "9"], "plain_token": ["inherit", "no"]}
    assert {row["actor"] for row in rows} == {"owner"}
    assert [json.loads(row["detail"])["reason"] for row in rows] == [
        "a week is enough", "they were away", "back to version 1",
    ]  # fmt: skip
    assert trail.verify(clinic.engine, org).broken is None


@pytest.mark.parametrize("why", ["", "  \n", "\u2060\u3164"], ids=["none", "blank", "invisible"])
def test_no_rule_changes_without_a_reason(clinic: House, org: int, why: str) -> None:
    with pytest.raises(Denied, match="Say why the rules change"):
        clinic.owner.owner.set_rules(org, {"life_days": 7}, why)
    assert policies(clinic).standing(org).version == 0
    done = CliRunner().invoke(main, ["policy", "set", "life-days", "7", "--home", str(clinic.home.path)])
    assert (done.exit_code, "--why" in done.output) == (2, True)


def test_a_change_based_on_an_older_version_is_refused(clinic: House, org: int) -> None:
    clinic.owner.owner.set_rules(org, {"life_days": 7}, "as agreed")
    with pytest.raises(Ended, match="Somebody else"):
        clinic.owner.owner.set_rules(org, {"life_days": 8}, "as agreed", based_on=0)
    assert policies(clinic).standing(org).said == {"life_days": 7}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"life_days": 0}, "from 1"),
        ({"life_days": "7"}, "cannot be"),
        ({"unheard": 1}, "cannot be"),
        ({"life_days": 100, "life_most_days": 30}, "longest life"),
    ],
)
def test_what_contradicts_itself_or_is_no_rule_changes_nothing(
    clinic: House, org: int, said: dict[str, Value], why: str
) -> None:
    with pytest.raises(Denied, match=why):
        clinic.owner.owner.set_rules(org, said, "as agreed")
    assert policies(clinic).standing(org).version == 0


def test_the_keeper_takes_no_text_that_is_not_well_formed(clinic: House, org: int) -> None:
    keeper = clinic.keeper("owner")
    for text in ("", "[]", '{"life_days": 7}', '{"life_days":"x"}', '{"b":1}', '{"plain_token":false,"life_days":7}'):
        with pytest.raises(Denied):
            keeper.organisation_policy(org, text)
    with pytest.raises(Denied, match="no such organisation"):
        keeper.organisation_policy(0, '{"life_days":7}')


def test_a_reason_is_one_line_of_decent_length(clinic: House, org: int) -> None:
    with pytest.raises(Denied, match="reason"):
        clinic.owner.owner.set_rules(org, {"life_days": 7}, "x" * 301)
    clinic.owner.owner.set_rules(org, {"life_days": 7}, "  two\n lines ")
    assert policies(clinic).history(org)[0].why == "two lines"


# -- commands ---------------------------------------------------------------------------------------------------------


def run(house: House, *words: str, code: int = 0) -> Result:
    done = CliRunner().invoke(main, [*words, "--home", str(house.home.path)])
    assert done.exit_code == code, (done.output, done.exception)
    return done


def test_the_commands_tell_and_change_and_take_back(clinic: House, org: int) -> None:
    run(clinic, "policy", "set", "life-days", "7", "--why", "a week")
    run(clinic, "policy", "set", "plain-people", f"{ANN}, {BOB}", "--why", "as agreed")
    assert [template for _, template in clinic.alerts()].count("rules-changed") >= 2, "officers hear of both"
    shown = run(clinic, "policy", "show").output
    assert "life-days:              7  (the organisation's)" in shown
    told = run(clinic, "policy", "history").output
    assert "version 1, 2026-" in told
    assert "the server's owner: a week" in told
    assert "  life-days: inherit -> 7" in told
    assert json.loads(run(clinic, "policy", "history", "--json").output)[1]["changes"][0]["after"] == 7
    assert "life-days: 7 -> inherit" in run(clinic, "policy", "compare", "2", "0").output
    assert "They say the same" in run(clinic, "policy", "compare", "2", "2").output
    assert "as version 3" in run(clinic, "policy", "revert", "1").output
    assert json.loads(run(clinic, "policy", "show", "--json").output)["said"] == {"life_days": 7}
    assert "no such version" in run(clinic, "policy", "revert", "9", code=4).output
    assert "lists them" in run(clinic, "policy", "set", "colour", "red", "--why", "as agreed", code=2).output
    assert "from 1 to 2555" in run(clinic, "policy", "set", "life-days", "0", "--why", "as agreed", code=4).output
    assert "goes first" in run(clinic, "policy", "set", "messages-per-day", "99999", "--why", "as agreed").output
    assert "the organisation asked for 99999" in run(clinic, "policy", "show").output
    rules = CliRunner().invoke(main, ["policy", "rules"]).output
    assert "life-most-days" in rules
    assert "1 to 2555 days" in rules


def test_what_the_installation_gives_its_organisations_is_its_configuration(clinic: House) -> None:
    held = policies(clinic).installation
    config = clinic.config
    assert (held.life_days, held.retention_days) == (config.life.days, config.life.retention_days)
    assert replace(held, life_days=1).life_days == 1
    assert held.password_length == config.passwords.min_length

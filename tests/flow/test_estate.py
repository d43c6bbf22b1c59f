"""What an account's owner sees of it, adds to it, keeps away from it, and how it ends."""

from __future__ import annotations

import io
import json
import quopri

import pytest
import pyzipper

from cryptnsend.core.errors import CryptnSendError, Denied, Ended, NoGrant, Refusal, WrongSecret
from cryptnsend.core.tokens import split
from cryptnsend.flow import closing
from cryptnsend.flow.owner import BY_OWNER
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.views import Writing
from cryptnsend.store.records import deliveries, listing, operator, oversight
from cryptnsend.typist import typist
from tests.support.house import AGENT, DAY, HOUR, OTHER, PASSWORD, SOURCE, House, MakeHouse

ANN, PAT, BOB, WORK = "ann@gmail.example", "pat@yahoo.example", "bob@gmail.example", "pat.lee@work.example"


@pytest.fixture
def message(house: House) -> int:
    house.add_subscriber(ANN)
    return house.submit(ANN, [PAT], house.mail())


@pytest.fixture
def pat(house: House, message: int) -> Session:
    return house.register(PAT, message)


def whoami() -> str:
    found = typist()
    return str(found.get("login", found["user"]))


def add_address(house: House, session: Session, address: str = WORK) -> None:
    started = house.accounts.start_alias(session, address, SOURCE)
    house.accounts.finish_alias(session, started.id, house.mailed_code())


# ---- addresses ------------------------------------------------------------------------------------------------------


def test_a_further_address_takes_a_mailed_code_and_proves_no_contact(house: House, pat: Session) -> None:
    add_address(house, pat)
    again = house.session(PAT)
    assert set(again.addresses) == {PAT, WORK}
    assert (PAT, "address-added") in house.alerts()
    waits = house.submit(ANN, [WORK], house.mail(to=[WORK]))
    assert {each.message: each.state for each in house.pickup.list(again)}[waits] == "code"
    with pytest.raises(NoGrant):
        house.pickup.show(again, waits)
    house.pickup.prove_message(again, waits, house.code(ANN, WORK), SOURCE)
    assert house.pickup.show(again, waits).subject == "Results"


def test_a_subscriber_may_write_from_a_proven_address_and_from_no_other(house: House, message: int) -> None:
    with pytest.raises(Refusal):
        house.submit(ANN, [PAT], house.mail(author="ann@work.example"))
    add_address(house, house.session(ANN), "ann@work.example")
    assert house.submit(ANN, [PAT], house.mail(author="ann@work.example"))


def test_an_address_of_somebody_else_stays_theirs_and_the_page_says_nothing_of_it(house: House, pat: Session) -> None:
    house.add_subscriber(BOB)
    before = len(house.queued("code"))
    started = house.accounts.start_alias(pat, BOB, SOURCE)
    assert len(house.queued("code")) == before + 1  # as for any other; there is nothing to mail, or it says so
    with pytest.raises((WrongSecret, Ended, Denied)):
        house.accounts.finish_alias(pat, started.id, "000000")
    assert house.account(BOB) != pat.account
    for wrong in ("nonsense", "", PAT):
        with pytest.raises(Denied):
            house.accounts.start_alias(pat, wrong, SOURCE)


# ---- senders --------------------------------------------------------------------------------------------------------


def test_a_blocked_senders_mail_is_refused_until_it_is_taken_again(house: House, pat: Session, message: int) -> None:
    house.accounts.block(pat, message, report=True)
    with pytest.raises(Refusal, match="does not accept"):
        house.submit(ANN, [PAT], house.mail())
    assert house.pickup.show(pat, message).subject == "Results"  # what came before stays
    assert [(each.name, each.address, each.to) for each in house.accounts.blocked(pat)] == [("Ann Ruiz", ANN, PAT)]
    org = house.engine.query("SELECT org FROM messages")[0]["org"]
    assert (f"account:{pat.account}", "sender.reported") in house.audited(org)
    house.session(PAT)  # signing in repairs rows, and unblocks nobody
    assert house.accounts.blocked(pat)
    house.accounts.unblock(pat, house.accounts.blocked(pat)[0].contact)
    fresh = house.submit(ANN, [PAT], house.mail("Again"))
    assert house.pickup.show(pat, fresh).subject == "Again"  # the contact is as proven as it was


def test_only_who_got_a_message_blocks_its_sender(house: House, pat: Session, message: int) -> None:
    house.add_subscriber(BOB)
    reply = house.replies.send(pat, message, everybody=False, text="Hi", files=(), nonce=b"1" * 16)
    ann, bob = house.session(ANN), house.session(BOB)
    for somebody, about in ((ann, message), (bob, message), (ann, reply), (pat, reply), (pat, 7)):
        with pytest.raises(NoGrant):
            house.accounts.block(somebody, about, report=False)
    house.accounts.block(pat, message, report=False)
    contact = house.accounts.blocked(pat)[0].contact
    for somebody in (ann, bob):
        with pytest.raises(NoGrant):
            house.accounts.unblock(somebody, contact)
    assert [house.pickup.show(pat, message).may_block, house.pickup.show(ann, reply).may_block] == [True, False]


# ---- who did what ---------------------------------------------------------------------------------------------------


def test_browsers_are_seen_and_signed_out_each_by_itself(house: House, pat: Session) -> None:
    house.clock.forward(HOUR // 60)
    other = house.accounts.sign_in(PAT, PASSWORD, SOURCE, "Safari on a tablet")
    assert house.accounts.session(other) is not None
    found = house.accounts.browsers(pat)
    assert [(each.agent, each.is_this) for each in found] == [(AGENT, True), ("Safari on a tablet", False)]
    with pytest.raises(NoGrant):
        house.accounts.end_browser(house.session(ANN), found[1].id)
    for nonsense in ("", "zz", "0" * 64, found[1].id.upper()):
        with pytest.raises(NoGrant):
            house.accounts.end_browser(pat, nonsense)
    house.accounts.end_browser(pat, found[1].id)
    assert house.accounts.session(other) is None
    assert house.accounts.away(other) is None
    assert len(house.accounts.browsers(pat)) == 1


def test_the_access_log_has_ones_own_doings_with_when_what_and_from_where(
    house: House, pat: Session, message: int
) -> None:
    house.clock.forward(1000)
    house.pickup.show(pat, message)
    house.clock.forward(1000)
    again = house.session(PAT, source="198.51.100.9", agent="Firefox at work")
    log = house.accounts.access_log(again)
    assert [(each.action, each.message) for each in log[:2]] == [("account.signed-in", 0), ("message.opened", message)]
    assert (log[0].source, log[0].agent) == ("198.51.100.9", "Firefox at work")
    assert (log[1].source, log[1].agent) == (SOURCE, AGENT)
    earlier = house.accounts.access_log(again, before=log[0].at)
    assert [each.action for each in earlier] == [each.action for each in log[1:]]
    ann = house.session(ANN)
    assert not [each for each in house.accounts.access_log(ann) if each.action.startswith("message.")]
    assert house.accounts.access_log(ann, limit=1)


def test_the_audit_trail_of_a_senders_organisation_does_not_say_where_its_recipients_are(
    house: House, pat: Session, message: int
) -> None:
    house.pickup.show(pat, message)
    house.add_subscriber(BOB)
    house.prove(pat, PAT, house.submit(BOB, [PAT], house.mail(author=BOB)))
    chain = house.engine.query("SELECT action, detail FROM audit WHERE org <> :org", org=pat.organisation)
    opened = [json.loads(row["detail"]) for row in chain if row["action"] == "message.opened"]
    assert opened == [{"where": "withheld"}]
    assert SOURCE not in "".join(row["detail"] for row in chain if row["action"].startswith(("message.", "code.")))
    log = house.accounts.access_log(pat)
    assert [each.source for each in log if each.action == "message.opened"] == [SOURCE]
    assert SOURCE in [each.source for each in log if each.action == "code.proven"]


def test_who_reads_mail_of_their_own_organisation_does_not_do_it_twice(house: House) -> None:
    clinic = house.organisation("Clinic")
    for each in (ANN, BOB):
        house.add_subscriber(each, organisation=clinic)
    message = house.submit(ANN, [BOB], house.mail(to=[BOB]))
    house.pickup.show(house.session(BOB), message)
    rows = house.engine.query("SELECT org, detail FROM audit WHERE action = 'message.opened'")
    assert [(row["org"], json.loads(row["detail"])["source"]) for row in rows] == [(clinic, SOURCE)]


def test_the_access_log_has_what_the_operator_did_to_the_account_and_its_messages(house: House, message: int) -> None:
    """And to nobody else's; who it was is the user of the machine that typed the command."""
    owner, sent = house.owner.owner, house.owner.sent
    house.add_subscriber(BOB)
    theirs = house.submit(BOB, [PAT], house.mail(author=BOB))
    for about, somebody in ((message, ANN), (theirs, BOB)):
        house.clock.forward(1)
        row = listing.message(house.engine, about)
        assert row is not None
        sent.take_back(row, None, BY_OWNER, house.owner.typist)
        owner.disable(somebody)
        owner.enable(somebody)
        owner.hold(next(each["id"] for each in house.queued("receipt") if each["message"] == about))
    log = house.accounts.access_log(house.session(ANN))
    by_operator = [each for each in log if each.by_operator]
    assert sorted(each.action for each in by_operator) == [
        "account.added", "account.disabled", "account.enabled", "delivery.held", "grant.suspended",
    ]  # fmt: skip
    assert {(each.user, each.source) for each in by_operator} == {(whoami(), "command line")}
    assert [each.action for each in log if not each.by_operator] == ["account.signed-in"]
    assert [each.at for each in log] == sorted((each.at for each in log), reverse=True)
    assert len(house.accounts.access_log(house.session(ANN), limit=3)) == 3


def test_the_recovery_file_is_asked_for_until_it_is_said_to_be_safe(house: House, message: int) -> None:
    ann = house.session(ANN)
    assert house.accounts.recovery_file_is_missing(ann)
    with pytest.raises(WrongSecret):
        house.accounts.recovery_file(ann, "wrong", "", SOURCE)
    made = house.accounts.recovery_file(ann, PASSWORD, "", SOURCE)
    assert made.text
    assert made.code
    assert house.accounts.recovery_file_is_missing(ann)  # that it was made says nothing of where it is
    house.accounts.confirm_recovery_file(ann)
    assert not house.accounts.recovery_file_is_missing(ann)
    pat = house.register(PAT, message)
    assert not house.accounts.recovery_file_is_missing(pat)
    with pytest.raises(NoGrant):
        house.accounts.confirm_recovery_file(pat)


# ---- everything, and the end ----------------------------------------------------------------------------------------


def opened(octets: bytes, password: str) -> dict[str, bytes]:
    with pyzipper.AESZipFile(io.BytesIO(octets)) as archive:
        archive.setpassword(password.encode())
        return {name: archive.read(name) for name in archive.namelist()}


def test_everything_that_opens_is_in_the_export_as_mail_files(house: House, pat: Session, message: int) -> None:
    letter = house.mail("../../Results: <two>", "the second", bcc=["carl@mail.example"])
    house.submit(ANN, [PAT, "carl@mail.example"], letter)
    house.submit(ANN, [PAT], house.mail("../../Results: <two>", "the third"))
    taken_back = house.submit(ANN, [PAT], house.mail("Wrong person", "the fourth"))
    house.pickup.expire(house.session(ANN), taken_back)
    house.replies.send(pat, message, everybody=False, text="Thank you", files=(), nonce=b"1" * 16)
    of_pat = opened(b"".join(house.pickup.everything(pat, "gravel-sunny")), "gravel-sunny")
    assert sorted(name.split("/")[0] for name in of_pat) == ["received"] * 3 + ["sent"]
    assert not [name for name in of_pat if ".." in name or "<" in name]
    assert len({name.lower() for name in of_pat}) == 4
    assert not [octets for octets in of_pat.values() if b"carl@" in octets or b"the fourth" in octets]
    of_ann = opened(b"".join(house.pickup.everything(house.session(ANN), "gravel-sunny")), "gravel-sunny")
    assert letter in of_ann.values()  # as it was submitted, Bcc and all
    assert sorted(name.split("/")[0] for name in of_ann) == ["received"] + ["sent"] * 4


def test_a_closed_account_is_over_and_leaves_what_others_hold(house: House, pat: Session, message: int) -> None:
    house.portal.drafts.save(pat, Writing("x" * 60_000), parent=message)
    other = house.accounts.sign_in(PAT, PASSWORD, SOURCE, "")
    with pytest.raises(WrongSecret):
        house.accounts.close(pat, "wrong", SOURCE)
    house.accounts.close(pat, PASSWORD, SOURCE)
    assert house.accounts.session(other) is None
    assert house.accounts.away(other) is None
    with pytest.raises(WrongSecret):
        house.accounts.sign_in(PAT, PASSWORD, SOURCE, "")
    with pytest.raises(CryptnSendError):  # the seeds of a session that somebody kept open nothing new
        house.portal.keeper.own_digits(pat.ticket, PAT, house.account(ANN))
    house.upkeep.once()
    assert not house.engine.query("SELECT id FROM grants WHERE holder = :holder", holder=f"account:{pat.account}")
    assert not [table for table, _ in house.rows() if table == "drafts"]
    assert not list(house.portal.blobs.keys())
    assert house.pickup.show(house.session(ANN), message).subject == "Results"
    assert house.engine.query("SELECT count(*) AS n FROM grants WHERE role = 'archive'")[0]["n"] == 1


def test_a_closing_that_was_cut_short_is_finished_by_upkeep(
    house: House, pat: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The portal dies when the keeper has closed the account, and before the rows follow."""

    def dies(*_: object) -> None:
        raise RuntimeError("the process ends here")

    with monkeypatch.context() as cut:
        cut.setattr(closing, "follow", dies)
        with pytest.raises(RuntimeError):
            house.accounts.close(pat, PASSWORD, SOURCE)
    assert house.engine.query("SELECT state FROM accounts WHERE id = :id", id=pat.account) == [{"state": "active"}]
    house.clock.forward(DAY)
    house.upkeep.once()
    assert house.engine.query("SELECT state FROM accounts WHERE id = :id", id=pat.account) == [{"state": "closed"}]
    assert not house.engine.query("SELECT id FROM grants WHERE holder = :holder", holder=f"account:{pat.account}")
    (told,) = [row for row in house.queued("alert") if row["template"] == "account-closed"]
    assert house.keeper("courier").mail_code(told["subject_id"]).address == PAT
    house.clock.forward(DAY)
    house.upkeep.once()
    assert len([row for row in house.queued("alert") if row["template"] == "account-closed"]) == 1
    assert [action for _, action in house.audited(pat.organisation)].count("account.closed") == 1


def test_a_closing_that_the_keeper_refused_closes_nothing_later(house: House, pat: Session) -> None:
    house.engine.write(lambda rows: oversight.mark(rows, pat.organisation, pat.account, oversight.CLOSING, 1)).result()
    house.upkeep.once()
    assert house.accounts.session(house.accounts.sign_in(PAT, PASSWORD, SOURCE, "")) is not None
    assert oversight.closings(house.engine, house.clock.now() + DAY) == []


def test_who_closed_an_account_can_begin_anew_with_a_code(house: House, pat: Session) -> None:
    house.accounts.close(pat, PASSWORD, SOURCE)
    house.clock.forward(DAY)
    fresh = house.submit(ANN, [PAT], house.mail("After that"))
    again = house.register(PAT, fresh, OTHER)
    assert again.account != pat.account
    assert house.pickup.show(again, fresh).subject == "After that"
    assert [each.message for each in house.pickup.list(again)] == [fresh]


def test_after_a_subscriber_has_left_read_mail_stays_and_unread_mail_is_over(house: House, message: int) -> None:
    pat = house.register(PAT, message)
    unread = house.submit(ANN, [BOB], house.mail(to=[BOB]))
    link, code = house.link(unread, BOB), house.code(ANN, BOB)
    house.accounts.close(house.session(ANN), PASSWORD, SOURCE)
    house.upkeep.once()
    assert house.pickup.show(pat, message).subject == "Results"
    with pytest.raises(Ended):
        house.pickup.prove(link, code, SOURCE)
    with pytest.raises(CryptnSendError):
        house.sign_in_smtp(ANN, PASSWORD)


def test_who_reset_by_mail_only_closes_nothing(house: House, pat: Session) -> None:
    weak = house.reset(PAT)
    with pytest.raises(Denied):
        house.accounts.close(weak, OTHER, SOURCE)
    assert house.session(PAT, OTHER).account == pat.account


# ---- "that was not me" ----------------------------------------------------------------------------------------------


def test_the_daily_warning_carries_the_link_by_which_its_reader_objects(make_house: MakeHouse) -> None:
    house = make_house()
    house.add_subscriber(ANN)
    house.reset(ANN)
    house.upkeep.once()
    letters = house.courier.letters
    due = house.engine.write(lambda rows: deliveries.claim(rows, "test", house.clock.now(), DAY, 50)).result()
    composed = {row["template"]: letters.compose(row) for row in due if row["kind"] == "alert"}
    reminder = composed["reset-waiting"]
    text = reminder.octets if isinstance(reminder.octets, bytes) else b"".join(reminder.octets())
    token = quopri.decodestring(text).split(b"/answer/")[1].split()[0].decode()
    assert split(token)
    for link in reminder.links:
        house.keep(link.row, 0)
    house.accounts.object_to(token, ANN)
    house.clock.forward(8 * DAY)
    weak = house.session(ANN, OTHER)
    assert weak.weak  # waiting for seven days has opened nothing
    with pytest.raises(Denied):
        house.accounts.unlock(weak, "waited", "", OTHER, SOURCE)
    assert b"/answer/" not in b"".join(
        each.octets for name, each in composed.items() if name != "reset-waiting" and isinstance(each.octets, bytes)
    )


# ---- what is reported -----------------------------------------------------------------------------------------------


def test_a_report_is_mailed_once_to_who_answers_for_the_sender_and_for_the_server(house: House) -> None:
    org = house.organisation("Ruiz Family Practice")
    for address in (ANN, BOB):
        house.add_subscriber(address, organisation=org)
    message = house.submit(ANN, [PAT, WORK], house.mail(to=[PAT, WORK]))
    for reporter in (house.register(PAT, message), house.register(WORK, message)):
        house.accounts.block(reporter, message, report=True)
    told = [to for to, template in house.alerts() if template == "reported"]
    assert told == ["officer@ruizfamilypractice.example"]  # who is the first officer of all here, too
    row = house.queued("alert")[-1]
    due = house.engine.write(lambda rows: deliveries.claim(rows, "test", house.clock.now(), DAY, 50)).result()
    letter = house.courier.letters.compose(next(each for each in due if each["id"] == row["id"]))
    assert isinstance(letter.octets, bytes)
    text = quopri.decodestring(letter.octets)
    assert ANN.encode() in text
    assert str(message).encode() in text
    assert PAT.encode() not in text
    assert b"Results" not in text
    reports = operator.reports(house.engine, 10)
    assert [(each["message"], each["author"], each["reporter"]) for each in reports] == [
        (message, ANN, WORK),
        (message, ANN, PAT),
    ]


def test_a_sender_in_an_organisation_of_one_hears_nothing_of_a_report(house: House, pat: Session, message: int) -> None:
    house.accounts.block(pat, message, report=True)
    assert "reported" not in [template for _, template in house.alerts()]
    assert [each["reporter"] for each in operator.reports(house.engine, 10)] == [PAT]


def test_the_settings_name_who_else_is_told_of_reports(make_house: MakeHouse) -> None:
    house = make_house(inbound={"postmaster": BOB})
    house.add_subscriber(ANN)
    house.add_subscriber(BOB)
    message = house.submit(ANN, [PAT], house.mail())
    house.accounts.block(house.register(PAT, message), message, report=True)
    assert [to for to, template in house.alerts() if template == "reported"] == [BOB]


def test_a_password_grows_old_until_it_is_changed(house: House, pat: Session) -> None:
    assert house.accounts.password_age(pat) == 0
    house.clock.forward(85 * DAY)
    assert house.accounts.password_age(pat) == 85
    again = house.session(PAT)
    fresh = house.found(house.accounts.change_password(again, PASSWORD, OTHER, SOURCE, AGENT))
    assert house.accounts.password_age(fresh) == 0

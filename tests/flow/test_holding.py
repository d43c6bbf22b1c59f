"""Mail that was to leave plain, and in which something was found: who decides, what time decides, and who sees what."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from click.testing import CliRunner

from cryptnsend.__main__ import main
from cryptnsend.core.dlp.detect import Finding
from cryptnsend.core.errors import Denied, NoGrant, ScannerGone
from cryptnsend.core.organisation import Value
from cryptnsend.delivery.courier import Outcome
from cryptnsend.dlp.nursery import Job
from cryptnsend.flow.holding import Choice
from cryptnsend.flow.inspecting import FAILURES, is_looked_at
from cryptnsend.store.records import trail
from tests.flow.conftest import LATER, Desk, faces, links_in
from tests.flow.test_journals import prove
from tests.support.house import DAY, HOUR, PASSWORD, SOURCE, House, MakeHouse

ANN, BOB, PAT, KIM = "ann@gmail.example", "bob@gmail.example", "pat@yahoo.example", "kim@mail.example"
SSN = "219-44-1234"
SUBJECT = "Insurance"


def plain(house: House, text: str = f"His SSN is {SSN}.", *, to: tuple[str, ...] = (PAT,), author: str = ANN) -> int:
    """Send a mail in plain; return the message."""
    return house.submit(author, list(to), house.mail(f":: {SUBJECT}", text, author=author, to=to))


def states(house: House, message: int) -> list[tuple[str, str]]:
    """Return (kind, state) of what a message has to do with, but for words to its author."""
    rows = house.engine.query(
        "SELECT kind, state FROM deliveries WHERE message = :m AND kind IN ('relay', 'notice') ORDER BY id", m=message
    )
    return [(row["kind"], row["state"]) for row in rows]


def doings(house: House) -> list[tuple[str, dict[str, object]]]:
    """Return (action, detail) of what the audit trail says about held mail."""
    rows = house.engine.query("SELECT action, detail FROM audit ORDER BY org, seq")
    return [
        (row["action"], json.loads(row["detail"])) for row in rows if row["action"] in ("message.held", "hold.decided")
    ]


def to_pat(desk: Desk) -> list[str]:
    """Return the subjects of what left for Pat."""
    return [str(mail["Subject"]) for mail in desk.answers.mails(PAT)]


@pytest.fixture
def held(desk: Desk) -> tuple[Desk, int]:
    """A desk, and a message of Ann's that is held."""
    desk.house.add_subscriber(ANN)
    message = plain(desk.house)
    desk.deliver()
    return desk, message


def test_ordinary_mail_leaves_at_once(desk: Desk) -> None:
    desk.house.add_subscriber(ANN)
    message = plain(desk.house, "See you on Monday at 10:30.")
    desk.deliver()
    assert to_pat(desk) == [SUBJECT]
    assert states(desk.house, message) == [("relay", "delivered")]
    assert doings(desk.house) == []


def test_what_is_sealed_is_nobodys_business(desk: Desk) -> None:
    desk.house.add_subscriber(ANN)
    message = desk.house.submit(ANN, [PAT], desk.house.mail("Results", f"SSN {SSN}"))
    desk.deliver()
    assert states(desk.house, message) == [("notice", "delivered")]
    assert doings(desk.house) == []


def test_a_number_holds_the_mail_and_its_sender_is_told(held: tuple[Desk, int]) -> None:
    desk, message = held
    assert to_pat(desk) == []
    assert states(desk.house, message) == [("relay", "held")]
    assert [action for action, _ in doings(desk.house)] == ["message.held"]
    assert doings(desk.house)[0][1]["rules"] == ["ssn"]
    (told,) = desk.answers.mails(ANN)
    assert told["Subject"] == "A mail of yours waits for your word"
    for face in faces(told):
        assert "Social Security number" in face
        assert "***-**-**34" in face
        assert SSN not in face
        assert SUBJECT not in face
        assert PAT not in face
    assert links_in(faces(told)[0]) == [f"{desk.house.home.base_url(desk.house.config)}/held/{message}"]


def test_names_of_files_stay_out_of_the_mail(desk: Desk) -> None:
    from tests.dlp.documents import docx, mail

    desk.house.add_subscriber(ANN)
    octets = mail(":-)", files={"Pat-Doe-intake.docx": docx(f"SSN {SSN}")})
    octets = octets.replace(b"ann@clinic.example", ANN.encode()).replace(b"Subject: Hello", b"Subject: :: Hello")
    message = desk.house.submit(ANN, [PAT], octets)
    desk.deliver()
    text, page = faces(desk.answers.mails(ANN)[-1])
    assert "in a file" in text
    assert "intake" not in text + page
    shown = desk.house.courier and desk.house.portal.holding.show(desk.house.session(ANN), message)
    assert [(each.rule, each.where) for each in shown.found] == [("ssn", "Pat-Doe-intake.docx")]


def test_a_file_that_nobody_can_read_holds_it_too(desk: Desk) -> None:
    from tests.dlp.documents import mail

    desk.house.add_subscriber(ANN)
    octets = mail("see file", files={"a.doc": bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 504})
    octets = octets.replace(b"ann@clinic.example", ANN.encode()).replace(b"Subject: Hello", b"Subject: :: Hello")
    message = desk.house.submit(ANN, [PAT], octets)
    desk.deliver()
    assert states(desk.house, message) == [("relay", "held")]
    assert "a file that cannot be read here" in faces(desk.answers.mails(ANN)[-1])[0]


def test_sent_encrypted_it_goes_as_a_notice_with_a_code(held: tuple[Desk, int]) -> None:
    desk, message = held
    house = desk.house
    house.portal.holding.decide(house.session(ANN), message, "encrypt")
    desk.deliver()
    assert states(house, message) == [("notice", "delivered")]
    assert to_pat(desk) == ["Ann Ruiz sent you a secure message"]
    house.clock.forward(5000)
    desk.deliver()
    assert "One code to tell" in str(desk.answers.mails(ANN)[-1]["Subject"])
    assert SSN in house.pickup.show(house.register(PAT, message), message).text
    assert doings(house)[-1] == ("hold.decided", {"choice": "encrypt", "deliveries": 1})


def test_sent_as_it_is_it_leaves_with_a_reason_that_is_kept(held: tuple[Desk, int]) -> None:
    desk, message = held
    house = desk.house
    house.portal.holding.decide(house.session(ANN), message, "plain", "the  patient asked for it in writing")
    desk.deliver()
    assert to_pat(desk) == [SUBJECT]
    assert states(house, message) == [("relay", "delivered")]
    assert doings(house)[-1][1] == {
        "choice": "plain", "deliveries": 1, "reason": "the patient asked for it in writing",
    }  # fmt: skip


def test_thrown_away_it_never_leaves_and_its_key_is_gone(held: tuple[Desk, int]) -> None:
    desk, message = held
    house = desk.house
    house.portal.holding.decide(house.session(ANN), message, "discard")
    house.clock.forward(5 * HOUR)
    desk.deliver()
    assert to_pat(desk) == []
    assert states(house, message) == [("relay", "cancelled")]
    assert house.engine.query("SELECT queue_wrap FROM deliveries WHERE kind = 'relay'") == [{"queue_wrap": None}]
    reached = house.pickup.status(house.session(ANN), message).recipients[0]
    assert (reached.state, reached.never_left) == ("ended", True)


def test_if_nobody_decides_it_is_sent_encrypted_after_four_hours(held: tuple[Desk, int]) -> None:
    desk, message = held
    desk.house.clock.forward(4 * HOUR - 60_000)
    desk.deliver()
    assert states(desk.house, message) == [("relay", "held")]
    desk.house.clock.forward(60_000)
    desk.deliver()
    assert states(desk.house, message) == [("notice", "delivered")]
    assert to_pat(desk) == ["Ann Ruiz sent you a secure message"]
    assert doings(desk.house)[-1] == ("hold.decided", {"choice": "encrypt", "by": "time", "deliveries": 1})


def test_it_is_decided_once(held: tuple[Desk, int]) -> None:
    desk, message = held
    house, choices = desk.house, ("discard", "plain", "encrypt")
    house.portal.holding.decide(house.session(ANN), message, "encrypt")
    for choice in choices:
        with pytest.raises(Denied, match="decided already"):
            house.portal.holding.decide(house.session(ANN), message, choice, "for a good reason")
    desk.deliver()
    assert states(house, message) == [("notice", "delivered")]


@pytest.mark.parametrize("reason", ["", "why", "x" * 301, f"because of {SSN}", "patient born 03/04/1961"])
def test_a_reason_is_needed_and_says_nothing_that_would_hold_a_mail(held: tuple[Desk, int], reason: str) -> None:
    desk, message = held
    with pytest.raises(Denied, match="Say"):
        desk.house.portal.holding.decide(desk.house.session(ANN), message, "plain", reason)
    assert states(desk.house, message) == [("relay", "held")]


def test_a_reason_is_read_by_the_rules_of_the_authors_organisation(make_house: MakeHouse) -> None:
    desk = Desk(make_house())
    house = desk.house
    house.add_subscriber(ANN, organisation=house.organisation("Clinic"))
    _policy(house, "dlp_words", "Project Heron")
    message = plain(house)
    desk.deliver()
    with pytest.raises(Denied, match="officers read this reason"):
        house.portal.holding.decide(house.session(ANN), message, "plain", "all about project heron")
    house.portal.holding.decide(house.session(ANN), message, "plain", "the patient wants it")
    desk.courier.close()


def test_an_organisation_may_forbid_that_it_leaves_as_it_is(make_house: MakeHouse) -> None:
    desk = Desk(make_house())
    house = desk.house
    house.add_subscriber(ANN, organisation=house.organisation("Clinic"))
    _policy(house, "dlp_as_is", "no")
    message = plain(house)
    desk.deliver()
    assert not house.portal.holding.show(house.session(ANN), message).may_plain
    with pytest.raises(Denied, match="Your organisation"):
        house.portal.holding.decide(house.session(ANN), message, "plain", "for a good reason")
    desk.courier.close()


@pytest.mark.parametrize("choice", ["encrypt", "plain", "discard"])
def test_nobody_but_its_author_decides_or_sees_what_was_found(held: tuple[Desk, int], choice: Choice) -> None:
    desk, message = held
    desk.house.add_subscriber(BOB, name="Bob")
    bob = desk.house.session(BOB)
    with pytest.raises(NoGrant):
        desk.house.portal.holding.decide(bob, message, choice, "for a good reason")
    with pytest.raises(NoGrant):
        desk.house.portal.holding.show(bob, message)
    assert states(desk.house, message) == [("relay", "held")]


def test_officers_see_that_it_is_held_and_nothing_of_it(make_house: MakeHouse) -> None:
    desk = Desk(make_house())
    house = desk.house
    house.add_subscriber(ANN, organisation=house.organisation("Clinic"))
    house.add_subscriber(BOB, organisation=house.organisation("Other"))
    message = plain(house)
    desk.deliver()
    (seen,) = house.portal.holding.quarantine(house.session("officer@clinic.example"))
    assert (seen.message, seen.author, seen.rules, seen.state, seen.recipients) == (message, ANN, ["ssn"], "held", 1)
    for word in (SSN, "1234", SUBJECT, "***"):
        assert word not in repr(seen)
    assert house.portal.holding.quarantine(house.session("officer@other.example")) == []
    for address in (ANN, BOB):
        with pytest.raises(NoGrant):
            house.portal.holding.quarantine(house.session(address))
    with pytest.raises(NoGrant):
        house.portal.holding.decide(house.session("officer@clinic.example"), message, "plain", "for a good reason")
    desk.courier.close()


def test_what_was_found_rests_sealed(held: tuple[Desk, int]) -> None:
    desk, _ = held
    (row,) = desk.house.engine.query("SELECT * FROM holds")
    assert b"34" not in row["sealed"] or b"***" not in row["sealed"]
    assert "*" not in json.dumps({name: str(value) for name, value in row.items() if name != "sealed"})


def test_one_look_is_enough_for_all_recipients_and_each_choice_is_for_all(desk: Desk) -> None:
    house, looks = desk.house, list[int]()
    house.add_subscriber(ANN)
    inside = house.courier.inspector.inspect

    def counted(octets: Iterable[bytes], job: Job) -> list[Finding]:
        looks.append(1)
        return inside(octets, job)

    vars(house.courier.inspector)["inspect"] = counted
    message = plain(house, to=(PAT, KIM))
    desk.deliver()
    assert states(house, message) == [("relay", "held")] * 2
    assert len(desk.answers.mails(ANN)) == 1
    house.portal.holding.decide(house.session(ANN), message, "encrypt")
    desk.deliver()
    assert states(house, message) == [("notice", "delivered")] * 2
    assert len(looks) == 1


def test_a_try_that_was_put_off_is_not_looked_at_again(desk: Desk) -> None:
    desk.house.add_subscriber(ANN)
    message = plain(desk.house, "See you on Monday.")
    desk.say(LATER)
    desk.deliver()
    vars(desk.house.courier.inspector)["inspect"] = None  # would break whoever asks it
    desk.say(Outcome("delivered", 250, "2.0.0", "taken", "mx.example", "TLSv1.3"))
    desk.house.clock.forward(HOUR)
    desk.deliver()
    assert states(desk.house, message) == [("relay", "delivered")]


def test_mail_that_nobody_can_look_at_is_put_off_and_never_leaves_unread(desk: Desk) -> None:
    desk.house.add_subscriber(ANN)
    message = plain(desk.house, "See you on Monday.")

    def gone(octets: Iterable[bytes], job: Job) -> list[Finding]:
        raise ScannerGone("no process to read mail stays alive")

    vars(desk.house.courier.inspector)["inspect"] = gone
    desk.deliver()
    assert states(desk.house, message) == [("relay", "delayed")]
    assert to_pat(desk) == []
    del vars(desk.house.courier.inspector)["inspect"]
    desk.house.clock.forward(HOUR)
    desk.deliver()
    assert to_pat(desk) == [SUBJECT]


def test_officers_hear_once_a_day_that_nothing_reads_their_mail(desk: Desk) -> None:
    house = desk.house
    org = house.organisation("Clinic")
    house.add_subscriber(ANN, organisation=org)

    def gone(octets: Iterable[bytes], job: Job) -> list[Finding]:
        raise ScannerGone("no process to read mail stays alive")

    vars(house.courier.inspector)["inspect"] = gone
    for number in range(5):
        plain(house, f"See you on Monday {number}.")
        desk.deliver()
        told = [each for each in house.alerts() if each[1] == "mail-unread"]
        assert told == ([] if number < FAILURES - 1 else [("officer@clinic.example", "mail-unread")])
    assert house.audited(org).count(("keeper", "dlp.unavailable")) == 1
    (mail,) = desk.answers.mails("officer@clinic.example")
    assert "nothing leaves unread" in faces(mail)[0].replace("\n", " ")
    house.clock.forward(DAY)
    desk.deliver()
    assert len([each for each in house.alerts() if each[1] == "mail-unread"]) == 2


@pytest.mark.parametrize("whose", ["reader", "author", "nobody"])
def test_what_would_arrive_readable_is_looked_at_where_an_organisation_wants_even_that(desk: Desk, whose: str) -> None:
    """A hit takes the readable form away, and asks and holds nobody."""
    house = desk.house
    clinic, lab = house.organisation("Clinic"), house.organisation("Lab")
    house.add_subscriber(ANN, organisation=clinic)
    house.add_subscriber(BOB, organisation=lab, name="Bob")
    house.prove(house.session(BOB), BOB, house.submit(ANN, [BOB], house.mail(to=[BOB])))  # so that Bob is a member
    house.accounts.set_profile(house.session(BOB), name="Bob", phone="", form="tls", password=PASSWORD, source=SOURCE)
    desk.deliver()
    if whose != "nobody":
        org = {"reader": lab, "author": clinic}[whose]
        house.owner.owner.set_rules(org, {"dlp_proven": True}, "as agreed")
    for text in ("See you on Monday.", f"His SSN is {SSN}."):
        house.submit(ANN, [BOB], house.mail("Insurance", text, to=[BOB]))
        desk.deliver()
    readable = [octets for _, way, octets in desk.answers.sent if way == "proven"]
    assert any(b"See you on Monday." in octets for octets in readable)
    leaked = any(SSN.encode() in octets for _, _, octets in desk.answers.sent)
    assert leaked == (whose == "nobody")
    forms = [row["form"] for row in house.queued("handoff")]
    assert forms[-2:] == (["tls", "tls"] if whose == "nobody" else ["tls", "link"])
    assert [row["state"] for row in house.queued("handoff")[-2:]] == ["delivered", "delivered"]
    locked = [org for org in (clinic, lab) if ("keeper", "handoff.locked") in house.audited(org)]
    assert locked == {"reader": [lab], "author": [clinic], "nobody": []}[whose]


def test_a_readable_copy_in_which_something_is_found_arrives_locked(desk: Desk) -> None:
    house, copies = desk.house, "copies@clinic.example"
    org = house.organisation("Clinic")
    for address in ("ann@clinic.example", copies):
        house.add_subscriber(address, organisation=org)
    prove(house, org, "clinic.example")
    house.accounts.set_profile(
        house.session(copies), name="Copies", phone="", form="tls", password=PASSWORD, source=SOURCE
    )
    rules: dict[str, Value] = {"journal_to": (f"clinic.example {copies}",), "dlp_proven": True}
    house.owner.owner.set_rules(org, rules, "as agreed")
    desk.deliver()
    for text in ("See you on Monday.", f"His SSN is {SSN}."):
        house.submit("ann@clinic.example", [PAT], house.mail("Insurance", text, author="ann@clinic.example"))
        desk.deliver()
    came = [octets for envelope, _, octets in desk.answers.sent if envelope.recipient == copies]
    assert any(b"See you on Monday." in octets for octets in came)
    assert not any(SSN.encode() in octets for octets in came)
    assert [(row["form"], row["state"]) for row in house.queued("journal")] == [
        ("tls", "delivered"), ("zip", "delivered"),
    ]  # fmt: skip


def test_what_is_taken_back_while_it_is_held_does_not_leave(held: tuple[Desk, int]) -> None:
    desk, message = held
    house = desk.house
    house.pickup.expire(house.session(ANN), message)
    house.clock.forward(5 * HOUR)
    desk.deliver()
    assert to_pat(desk) == []
    assert house.portal.holding.show(house.session(ANN), message).state in ("discarded", "encrypt")


def test_an_organisations_own_words_hold_its_mail_and_nobody_elses(make_house: MakeHouse) -> None:
    desk = Desk(make_house())
    house = desk.house
    house.add_subscriber(ANN, organisation=house.organisation("Clinic"))
    house.add_subscriber(BOB, name="Bob")
    _policy(house, "dlp_words", "Project Heron")
    mine, theirs = plain(house, "on project heron"), plain(house, "on project heron", author=BOB)
    desk.deliver()
    assert states(house, mine) == [("relay", "held")]
    assert states(house, theirs) == [("relay", "delivered")]
    desk.courier.close()


def test_what_an_organisation_does_not_look_for_is_not_found(make_house: MakeHouse) -> None:
    desk = Desk(make_house())
    house = desk.house
    house.add_subscriber(ANN, organisation=house.organisation("Clinic"))
    _policy(house, "dlp_ignored", "ssn")
    message = plain(house)
    desk.deliver()
    assert states(house, message) == [("relay", "delivered")]
    desk.courier.close()


def test_where_the_installation_looks_at_nothing_an_organisation_may_still_want_it(make_house: MakeHouse) -> None:
    desk = Desk(make_house(dlp={"look": False}))
    house = desk.house
    house.add_subscriber(ANN, organisation=house.organisation("Clinic"))
    house.add_subscriber(BOB, name="Bob")
    _policy(house, "dlp_off", "no")
    mine, theirs = plain(house), plain(house, author=BOB)
    desk.deliver()
    assert states(house, mine) == [("relay", "held")]
    assert states(house, theirs) == [("relay", "delivered")]
    desk.courier.close()


def test_over_proven_tls_it_is_looked_at_where_that_is_asked_for(house: House) -> None:
    from dataclasses import replace

    held = house.portal.policies.installation
    assert is_looked_at(held, "declared")
    assert is_looked_at(held, "cleartext")
    assert not is_looked_at(held, "proven")
    assert is_looked_at(replace(held, dlp_proven=True), "proven")
    assert not is_looked_at(replace(held, dlp_off=True, dlp_proven=True), "declared")


def test_the_commands_list_held_mail_and_let_it_be_encrypted(held: tuple[Desk, int]) -> None:
    desk, message = held
    house = desk.house

    def run(*words: str, code: int = 0, **values: object) -> str:
        done = CliRunner().invoke(main, [*words, "--home", str(house.home.path)], **values)  # type: ignore[arg-type]
        assert done.exit_code == code, (done.output, done.exception)
        return done.output

    shown = json.loads(run("hold", "list", "--json"))
    assert [(int(row["message"]), row["rules"], row["state"]) for row in shown] == [(message, ["ssn"], "held")]
    assert SSN not in run("hold", "list")
    assert "held" in run("queue", "list")
    assert f"Message {message} is sent encrypted" in run("hold", "encrypt", str(message))
    assert "no held message" in run("hold", "encrypt", str(message), code=4)
    house.clock.forward(3650 * DAY)  # commands go by the machine's own clock
    desk.deliver()
    assert states(house, message) == [("notice", "delivered")]
    assert "Nothing is held" in run("hold", "list")
    assert json.loads(run("hold", "list", "--all", "--json"))[0]["decided_by"] == "owner"
    assert run("queue", "release", str(house.queued("notice")[-1]["id"]), code=4)


def test_the_command_says_what_would_be_found(house: House) -> None:
    def check(octets: bytes, code: int) -> str:
        words = ["hold", "check", "-", "--json", "--home", str(house.home.path)]
        done = CliRunner().invoke(main, words, input=octets)
        assert done.exit_code == code, (done.output, done.exception)
        return done.output

    assert json.loads(check(f"Subject: x\r\n\r\nSSN {SSN}\r\n".encode(), 1))[0]["rule"] == "ssn"
    assert json.loads(check(b"Subject: x\r\n\r\nHello\r\n", 0)) == []


def test_the_operator_cannot_release_what_waits_for_its_author(held: tuple[Desk, int]) -> None:
    desk, message = held
    (delivery,) = [row["id"] for row in desk.house.queued("relay")]
    with pytest.raises(NoGrant):
        desk.house.owner.owner.release(delivery)
    with pytest.raises(NoGrant):
        desk.house.owner.owner.retry(delivery)
    assert states(desk.house, message) == [("relay", "held")]


def test_the_audit_trail_stays_whole(held: tuple[Desk, int]) -> None:
    desk, message = held
    desk.house.portal.holding.decide(desk.house.session(ANN), message, "encrypt")
    desk.deliver()
    for row in desk.house.engine.query("SELECT id FROM organisations"):
        assert trail.verify(desk.house.engine, row["id"]).broken is None


def _policy(house: House, name: str, value: str) -> None:
    done = CliRunner().invoke(
        main, ["policy", "set", name, value, "--why", "as agreed", "--home", str(house.home.path)]
    )
    assert done.exit_code == 0, done.output

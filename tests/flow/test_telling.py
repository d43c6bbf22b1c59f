"""Is an author told once per message and moment, of everybody there is something to tell about?"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from email.message import EmailMessage

import pytest

from cryptnsend.core.contracts import Row, Rows
from cryptnsend.delivery.courier import Envelope, Outcome
from cryptnsend.flow.bounces import Bounces
from cryptnsend.flow.composing import Letter
from cryptnsend.flow.granting import Addressee
from cryptnsend.flow.telling import GATHERED
from cryptnsend.store.records import deliveries
from tests.flow.admitting import submit
from tests.flow.conftest import DELIVERED, LATER, REFUSED, Answers, Desk, faces
from tests.flow.test_reports import entry, read_all, report_on
from tests.support.house import HOUR, House

ANN, PAT, BOB, CAT = "ann@gmail.example", "pat@yahoo.example", "bob@icloud.example", "cat@aol.example"
FULL = Outcome("failed", 552, "5.2.2", "mailbox full", "mx.aol.example")


class Hosts(Answers):
    """A courier that sends nothing, and answers as each recipient's host does."""

    def __init__(self) -> None:
        super().__init__(DELIVERED)
        self.says: dict[str, Outcome] = {}

    def send(
        self, envelope: Envelope, tls_class: str, message: bytes | Callable[[], Iterator[bytes]], *, cleartext: bool
    ) -> Outcome:
        """Take one mail, and answer for its recipient."""
        self.outcomes = [self.says.get(envelope.recipient, DELIVERED)]
        return super().send(envelope, tls_class, message, cleartext=cleartext)


@pytest.fixture
def hosts(desk: Desk) -> Hosts:
    """What the hosts of the desk's recipients say."""
    desk.house.add_subscriber(ANN)
    desk.answers = Hosts()
    vars(desk.house.courier)["courier"] = desk.answers
    return desk.answers


def write(desk: Desk, *to: str | Addressee, subject: str = "hello") -> None:
    """Let Ann write to people."""
    submit(desk.house, desk.house.mail(subject), to)


def reports(desk: Desk) -> list[EmailMessage]:
    """Return the reports that Ann got, oldest first."""
    return [mail for mail in desk.answers.mails(ANN) if mail.get_content_type() == "multipart/report"]


def told(mail: EmailMessage) -> list[tuple[str, str]]:
    """Return (address, action) of each recipient that a report is about."""
    _, _, recipients = read_all(mail.as_bytes())
    return [(each["Final-Recipient"].partition(";")[2], each["Action"]) for each in recipients]


def words(mail: EmailMessage) -> str:
    """Return the plain text on one line."""
    return " ".join(faces(mail)[0].split())


def claimed(house: House, kind: str) -> Row:
    """Take up a delivery of a kind, as the worker of another process does."""

    def claim() -> list[Row]:
        return house.engine.write(lambda rows: deliveries.claim(rows, "w", house.clock.now(), 5 * 60_000, 1)).result()

    while (row := claim()[0])["kind"] != kind:
        pass
    return row


# -- one report -------------------------------------------------------------------------------------------------------


def test_all_who_could_not_be_reached_stand_in_one_report(desk: Desk, hosts: Hosts) -> None:
    hosts.says = {PAT: REFUSED, CAT: FULL}
    write(desk, PAT, BOB, CAT)
    desk.deliver()
    (mail,) = reports(desk)
    assert told(mail) == [(PAT, "failed"), (CAT, "failed")]
    assert mail["Subject"] == "Not delivered: your message to 2 people"
    for face in faces(mail):
        assert PAT in face
        assert CAT in face
        assert BOB not in face
    assert "does not seem to exist" in words(mail)
    assert "mailbox is full" in words(mail)


def test_one_who_could_not_be_reached_stands_in_the_subject(desk: Desk, hosts: Hosts) -> None:
    hosts.says = {PAT: REFUSED}
    write(desk, PAT, BOB)
    desk.deliver()
    (mail,) = reports(desk)
    assert mail["Subject"] == f"Not delivered: your message to {PAT}"


def test_two_messages_are_two_reports(desk: Desk, hosts: Hosts) -> None:
    hosts.says = {PAT: REFUSED}
    write(desk, PAT, subject="one")
    write(desk, PAT, subject="two")
    desk.deliver()
    assert [told(mail) for mail in reports(desk)] == [[(PAT, "failed")]] * 2


def test_who_is_not_to_be_told_of_is_not(desk: Desk, hosts: Hosts) -> None:
    hosts.says = dict.fromkeys((PAT, BOB, CAT), REFUSED)
    write(desk, PAT, Addressee(BOB, "NEVER"), Addressee(CAT, "DELAY"))
    desk.deliver()
    assert [told(mail) for mail in reports(desk)] == [[(PAT, "failed")]]


def test_what_failed_and_what_arrived_is_told_together_the_worst_first(desk: Desk, hosts: Hosts) -> None:
    hosts.says = {BOB: REFUSED}
    write(desk, Addressee(PAT, "SUCCESS,FAILURE"), Addressee(BOB, "SUCCESS,FAILURE"))
    desk.deliver()
    (mail,) = reports(desk)
    assert Counter(told(mail)) == {(PAT, "relayed"): 1, (BOB, "failed"): 1}
    assert mail["Subject"] == f"Not delivered: your message to {BOB}"
    assert words(mail).index(BOB) < words(mail).index(PAT)


def test_who_waits_as_long_is_told_of_with_the_first(desk: Desk, hosts: Hosts) -> None:
    """Each is tried at a time of its own, and their author still hears of the delay once."""
    hosts.says = dict.fromkeys((PAT, BOB, CAT), LATER)
    write(desk, PAT, BOB, Addressee(CAT, "FAILURE"))
    for _ in range(60):  # the try after two hours may be at 112 minutes, or only at 232
        desk.deliver()
        desk.house.clock.forward(HOUR // 12)
    assert [sorted(told(mail)) for mail in reports(desk)] == [[(BOB, "delayed"), (PAT, "delayed")]]
    assert reports(desk)[0]["Subject"] == "Delayed: your message to 2 people"


def test_what_is_given_up_at_the_same_hour_is_told_once(desk: Desk, hosts: Hosts) -> None:
    hosts.says = dict.fromkeys((PAT, BOB, CAT), LATER)
    write(desk, PAT, BOB, CAT)
    while any(row["state"] == "delayed" or row["attempts"] == 0 for row in desk.house.queued("notice")):
        desk.deliver()
        desk.house.clock.forward(HOUR // 4)
    assert [Counter(action for _, action in told(mail)) for mail in reports(desk)] == [{"delayed": 3}, {"failed": 3}]


# -- when it leaves ---------------------------------------------------------------------------------------------------


def test_a_report_waits_for_what_is_under_way_but_a_minute_at_most(desk: Desk, hosts: Hosts) -> None:
    house = desk.house
    hosts.says = {BOB: REFUSED}
    write(desk, PAT, BOB)
    slow = claimed(house, "notice")
    desk.deliver()
    assert desk.row("dsn")["due"] == house.clock.now() + GATHERED
    assert reports(desk) == []
    house.clock.forward(GATHERED)
    desk.deliver()
    assert [told(mail) for mail in reports(desk)] == [[(BOB, "failed")]]
    # What comes of the other one now is told by itself, at once.
    finish(house, slow, REFUSED)
    desk.deliver()
    assert [told(mail) for mail in reports(desk)] == [[(BOB, "failed")], [(PAT, "failed")]]


@pytest.mark.parametrize("outcome", [REFUSED, DELIVERED, LATER])
def test_a_report_leaves_as_soon_as_the_last_one_has_ended(desk: Desk, hosts: Hosts, outcome: Outcome) -> None:
    house = desk.house
    hosts.says = {BOB: REFUSED}
    write(desk, PAT, BOB)
    slow = claimed(house, "notice")
    desk.deliver()
    assert finish(house, slow, outcome), "something is due at once"
    assert desk.row("dsn")["due"] == house.clock.now()
    desk.deliver()
    assert [len(told(mail)) for mail in reports(desk)] == [2 if outcome is REFUSED else 1]


def test_a_report_that_was_taken_up_tells_what_it_told(desk: Desk, hosts: Hosts) -> None:
    """It may have arrived although nobody heard so: sent again it is the same mail, and what is new goes by itself."""
    house = desk.house
    hosts.says = {PAT: REFUSED, ANN: LATER}
    write(desk, PAT, BOB)
    desk.deliver()
    (first,) = reports(desk)
    bob = next(row["id"] for row in house.queued("notice") if row["state"] == "delivered")
    bounced = b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n" + (
        b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
        b"Final-Recipient: rfc822; bob@icloud.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b--\r\n"
    )
    bounces = Bounces(engine=house.engine, clock=house.clock, random=os.urandom, wake=lambda: None)
    assert bounces.take(bob, bounced) == "failed"
    hosts.says = {}
    house.clock.forward(HOUR)
    desk.deliver()
    again = [mail for mail in reports(desk) if mail["Message-ID"] == first["Message-ID"]]
    new = [mail for mail in reports(desk) if mail["Message-ID"] != first["Message-ID"]]
    assert [mail.as_bytes() for mail in again] == [first.as_bytes()] * 2
    assert [told(mail) for mail in new] == [[(BOB, "failed")]]


def test_what_was_not_committed_is_told_once_it_is(desk: Desk, hosts: Hosts) -> None:
    house = desk.house
    write(desk, PAT)
    row, outcomes = claimed(house, "notice"), desk.courier._outcomes

    def killed(rows: Rows) -> None:
        outcomes.write(rows, row, Letter("", "", b""), REFUSED)
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        house.engine.write(killed).result()
    assert house.queued("dsn") == []
    for _ in range(2):  # the second is of a worker who was thought dead
        finish(house, row, REFUSED)
    desk.deliver()
    assert [told(mail) for mail in reports(desk)] == [[(PAT, "failed")]]


def test_a_report_tells_of_its_own_message_only(desk: Desk, hosts: Hosts) -> None:
    """Whoever edits rows gets nothing of another message's recipients."""
    house = desk.house
    hosts.says = {PAT: REFUSED}
    write(desk, CAT)
    desk.deliver()
    write(desk, PAT)
    finish(house, claimed(house, "notice"), REFUSED)
    other, report = house.queued("notice")[0], desk.row("dsn")
    house.tamper(
        "INSERT INTO report_entries(report, delivery, org, action)"  # noqa: S608 - numbers
        f" VALUES ({report['id']}, {other['id']}, {other['org']}, 'failed')"
    )
    desk.deliver()
    assert [told(mail) for mail in reports(desk)] == [[(PAT, "failed")]]


def finish(house: House, row: Row, outcome: Outcome) -> bool:
    """Write what came of a delivery that was claimed."""
    nothing, outcomes = Letter("", "", b""), house.courier.deliver._outcomes
    return house.engine.write(lambda rows: outcomes.write(rows, row, nothing, outcome)).result()


# -- how it reads -----------------------------------------------------------------------------------------------------


def test_each_recipient_has_a_group_of_fields_of_their_own() -> None:
    octets = report_on(
        entry("delayed", state="delayed", address="later@a.example", outcome='{"status":"4.7.1"}', reply="later"),
        entry("failed", address="never@a.example", dsn='{"envid":"E1","orcpt":"rfc822;n@a.example"}'),
    )
    _, message, recipients = read_all(octets)
    assert "Final-Recipient" not in message
    assert [(each["Final-Recipient"], each["Action"], each["Status"]) for each in recipients] == [
        ("rfc822;later@a.example", "delayed", "4.7.1"),
        ("rfc822;never@a.example", "failed", "5.1.1"),
    ]
    assert [each["Original-Recipient"] for each in recipients] == [None, "rfc822;n@a.example"]
    assert recipients[0]["Will-Retry-Until"]


@pytest.mark.parametrize("action", ["failed", "delayed", "relayed"])
@pytest.mark.parametrize("kind", ["notice", "relay"])
def test_several_are_told_of_in_plain_words(action: str, kind: str) -> None:
    whole, _, _ = read_all(report_on(entry(action, kind=kind), entry(action, kind=kind, address=BOB)))
    text, html = faces(whole)
    for address in (PAT, BOB):
        assert address in text
        assert address in html
    assert not any(word in text for word in ("SMTP", "MTA", "DSN", "5.1.1", "550", "vault", "encrypt"))
    assert str(whole["Subject"]).endswith("your message to 2 people")

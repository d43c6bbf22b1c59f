"""A bounce changes the delivery whose token it came to, and nothing else changes it."""

from __future__ import annotations

import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cryptnsend.core import tokens
from cryptnsend.flow.views import Reached
from tests.flow.conftest import Desk
from tests.flow.inbound_door import Door
from tests.support.house import DAY

ANN, PAT = "ann@gmail.example", "pat@yahoo.example"
UNKNOWN = "550 5.1.1 Nobody can be reached at this address."


def report(fields: str = "Action: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 no such person") -> bytes:
    return (
        "From: MAILER-DAEMON@mx.yahoo.example\r\nSubject: Undelivered Mail Returned to Sender\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nIt could not be delivered.\r\n"
        f"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.yahoo.example\r\n\r\n{fields}\r\n"
        "\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: returned\r\n\r\nhttps://link\r\n--b--\r\n"
    ).encode()


@pytest.fixture
def sent(desk: Desk) -> Desk:
    """A house in which a notice to Pat was taken by the next host."""
    desk.house.add_subscriber(ANN)
    desk.house.submit(ANN, [PAT], desk.house.mail("Results"))
    desk.deliver()
    assert desk.row()["state"] == "delivered"
    return desk


@pytest.fixture
def door(sent: Desk) -> Door:
    return Door(sent.house)


def test_a_bounce_reaches_the_page_and_the_sender(sent: Desk, door: Door) -> None:
    house = sent.house
    assert door.bring(report(), door.bounce_address(), sender="") == "250 2.0.0"
    row = sent.row()
    assert (row["state"], row["reply"]) == ("failed", "no such person")
    ann = house.session(ANN)
    shown = house.pickup.status(ann, row["message"]).recipients[0]
    assert (shown.state, shown.reply) == ("bounced", "no such person")
    sent.deliver()
    mail = sent.answers.mails(ANN)[-1]
    assert mail.get_content_subtype() == "report"
    status = mail.as_string()
    assert "does not seem to exist" in " ".join(status.split())
    assert "Status: 5.1.1" in status
    assert "Remote-MTA: dns; mx.yahoo.example" in status
    assert "Diagnostic-Code: smtp; 550 5.1.1 no such person" in status
    assert ("inbound", "delivery.failed") in house.audited(row["org"])


def test_a_second_bounce_tells_nobody_again(sent: Desk, door: Door) -> None:
    where = door.bounce_address()
    assert door.bring(report(), where, sender="") == "250 2.0.0"
    assert door.bring(report("Action: failed\r\nStatus: 5.2.2"), where, sender="") == "250 2.0.0"
    assert len(sent.house.queued("dsn")) == 1
    assert "5.1.1" in sent.row()["outcome"]


@pytest.mark.parametrize("fields", ["Action: delayed\r\nStatus: 4.4.1", "Action: relayed\r\nStatus: 2.0.0"])
def test_a_report_that_is_not_final_changes_no_state_and_tells_nobody(sent: Desk, door: Door, fields: str) -> None:
    assert door.bring(report(fields), door.bounce_address(), sender="") == "250 2.0.0"
    assert sent.row()["state"] == "delivered"
    assert not sent.house.queued("dsn")


def shown(sent: Desk) -> Reached:
    """Return how Pat stands on Ann's page."""
    return sent.house.pickup.status(sent.house.session(ANN), sent.row()["message"]).recipients[0]


DELAYED = "Action: delayed\r\nStatus: 4.4.1\r\nDiagnostic-Code: smtp; 451 4.4.1 no answer from inside"


def test_a_delay_at_the_next_host_shows_beside_the_recipient(sent: Desk, door: Door) -> None:
    assert door.bring(report(DELAYED), door.bounce_address(), sender="") == "250 2.0.0"
    way = shown(sent).way
    assert way is not None
    assert (way.late_at, way.late_by, way.late) == (sent.house.clock.now(), "mx.yahoo.example", "no answer from inside")
    assert shown(sent).state == "notified"
    assert way.told == "250 2.0.0 taken", "what their server said before stays"


@pytest.mark.parametrize("fields", ["Action: delivered\r\nStatus: 2.0.0", "Action: failed\r\nStatus: 5.1.1"])
def test_a_delay_is_over_when_it_is_delivered_or_came_back(sent: Desk, door: Door, fields: str) -> None:
    where = door.bounce_address()
    for each in (DELAYED, fields):
        assert door.bring(report(each), where, sender="") == "250 2.0.0"
    way = shown(sent).way
    assert way is not None
    assert (way.late_at, way.late) == (None, "")
    assert "late" not in sent.row()["outcome"]


def test_a_delay_is_over_when_the_message_was_opened_or_days_have_gone_by(sent: Desk, door: Door) -> None:
    house = sent.house
    assert door.bring(report(DELAYED), door.bounce_address(), sender="") == "250 2.0.0"
    house.clock.forward(6 * DAY)
    way = shown(sent).way
    assert way is not None
    assert way.late_at is None
    assert door.bring(report(DELAYED), door.bounce_address(), sender="") == "250 2.0.0"
    pat = house.register(PAT, sent.row()["message"])
    house.pickup.show(pat, sent.row()["message"])
    assert shown(sent).state == "opened"
    way = shown(sent).way
    assert way is not None
    assert way.late_at is None


def test_a_delay_waits_while_the_delivery_is_under_way(sent: Desk, door: Door) -> None:
    where = door.bounce_address()
    sent.house.tamper("UPDATE deliveries SET state = 'leased' WHERE kind = 'notice'")
    assert door.bring(report(DELAYED), where, sender="").startswith("451 ")


@pytest.mark.parametrize("size", [10, 300_000], ids=["small", "larger than is kept"])
def test_an_automatic_answer_shows_beside_the_recipient(sent: Desk, door: Door, size: int) -> None:
    note = (
        b"From: Pat <pat@yahoo.example>\r\nAuto-Submitted: auto-replied\r\nSubject: Away\r\n\r\n"
        + b"x" * size
        + b"\r\n"
    )
    assert door.bring(note, door.bounce_address(), sender="") == "250 2.0.0"
    way = shown(sent).way
    assert way is not None
    assert way.automatic_at == sent.house.clock.now()
    assert (way.automatic is not None) is (size < 1000)
    assert shown(sent).state == "notified"
    if way.automatic is not None:
        ann = sent.house.session(ANN)
        assert sent.house.pickup.kept.show(ann, way.automatic).reason == "automatic"
        sent.house.pickup.kept.delete(ann, way.automatic)
        again = shown(sent).way
        assert again is not None
        assert (again.automatic_at, again.automatic) == (way.automatic_at, None), "no link to what is gone"


def test_an_automatic_answer_to_the_reply_address_is_shown_where_its_author_was_written_to(
    sent: Desk, door: Door
) -> None:
    """RFC 3834 §4 wants them at the envelope sender; many programs answer Reply-To all the same."""
    where = sent.house.reply_token(sent.row()["message"], ANN)
    for author in ("somebody@else.example", PAT):
        way = shown(sent).way
        assert way is not None
        assert way.automatic_at is None
        note = f"From: {author}\r\nAuto-Submitted: auto-replied\r\nSubject: Away\r\n\r\nx\r\n".encode()
        assert door.bring(note, where, sender="") == "250 2.0.0"
    way = shown(sent).way
    assert way is not None
    assert way.automatic_at == sent.house.clock.now()


def test_a_bounce_in_words_counts(sent: Desk, door: Door) -> None:
    octets = (
        b"From: MAILER-DAEMON@old.example\r\nSubject: failure notice\r\n\r\nHi. This is the qmail-send program at old."
        b"\r\n\r\n<pat@yahoo.example>:\r\nSorry, no mailbox here by that name. (#5.1.1)\r\n"
    )
    assert door.bring(octets, door.bounce_address(), sender="") == "250 2.0.0"
    assert sent.row()["state"] == "failed"


def test_forged_expired_and_made_up_tokens_are_refused_alike(sent: Desk, door: Door) -> None:
    real = door.bounce_address()
    local, _, domain = real.partition("@")
    other = ("a" if local[-1] != "a" else "e") + "@"
    forged = local[:-1] + other + domain
    as_reply = "r+" + local[2:] + "@" + domain
    for address in (forged, as_reply, f"b+aaaa@{domain}", f"b+@{domain}", f"ghost@{domain}", f"b+{'a' * 39}@{domain}"):
        assert door.bring(report(), address, sender="") == UNKNOWN, address
    sent.house.tamper("UPDATE links SET expires = 1")
    assert door.bring(report(), real, sender="") == UNKNOWN
    assert sent.row()["state"] == "delivered"


def test_a_row_that_was_tampered_with_makes_no_token_fit(sent: Desk, door: Door) -> None:
    """Whoever edits rows cannot turn one delivery's bounces into another's."""
    real = door.bounce_address()
    sent.house.tamper("UPDATE links SET message = message + 1 WHERE purpose = 'bounce'")
    assert door.bring(report(), real, sender="") == UNKNOWN


def test_every_answer_takes_one_row_and_one_mac(sent: Desk, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known and unknown differ in their answer only: not in what is done, so not in time."""
    keeper, asked = sent.house.inbound.keeper, []
    link = keeper.link

    def counted(token: str, claims: tokens.Claims) -> bool:
        asked.append(len(token))
        return link(token, claims)

    monkeypatch.setattr(keeper, "link", counted)
    real = door.bounce_address()
    domain = real.partition("@")[2]
    for address in (real, f"b+{'a' * 39}@{domain}", f"ghost@{domain}", f"b+x@{domain}", f"postmaster@{domain}"):
        asked.clear()
        door.bring(report(), address, sender="")
        assert asked == [39], address


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(local=st.text(alphabet=string.ascii_lowercase + "234567+-.%!", min_size=1, max_size=60))
def test_nobody_guesses_an_address(door: Door, local: str) -> None:
    if local in ("postmaster", "abuse", "notice"):
        return
    address = f"{local}@{door.house.config.server.domain}"
    assert door.bring(report(), address, sender="").startswith(UNKNOWN)


def test_a_bounce_that_overtakes_its_own_delivery_comes_again(sent: Desk, door: Door) -> None:
    where = door.bounce_address()
    sent.house.tamper("UPDATE deliveries SET state = 'leased', lease_until = 9999999999999")
    assert door.bring(report(), where, sender="").startswith("451 4.3.0")
    assert sent.row()["state"] == "leased"


def test_of_a_bounce_of_50_mib_only_the_beginning_is_held(sent: Desk, door: Door) -> None:
    octets = report() + b"x" * (50 << 20)
    assert door.bring(octets, door.bounce_address(), sender="", piece=1 << 20) == "250 2.0.0"
    assert sent.row()["state"] == "failed"
    late = report().replace(
        b"--b\r\nContent-Type: text/plain", b"y" * (1 << 20) + b"\r\n--b\r\nContent-Type: text/plain"
    )
    sent.house.tamper("UPDATE deliveries SET state = 'delivered' WHERE kind = 'notice'")
    assert door.bring(late, door.bounce_address(), sender="", piece=1 << 16) == "250 2.0.0"


def test_an_absence_note_is_kept_for_the_sender_and_changes_no_delivery(sent: Desk, door: Door) -> None:
    head = b"From: pat@yahoo.example\r\nSubject: Away\r\nAuto-Submitted: auto-replied\r\n\r\n"
    note = head + b"I am away. 550 5.1.1 user unknown\r\n"
    assert door.bring(note, door.bounce_address(), sender="") == "250 2.0.0"
    assert sent.row()["state"] == "delivered"
    assert door.kept() == [("automatic", sent.row()["message"])]
    before = len(sent.answers.sent)
    sent.deliver()
    told = [envelope.recipient for envelope, _, _ in sent.answers.sent[before:]]
    assert told == [ANN]  # and Pat's program gets no answer


def test_a_person_who_writes_to_a_bounce_address_is_told_so(sent: Desk, door: Door) -> None:
    said = door.bring(b"From: pat@yahoo.example\r\nSubject: hello\r\n\r\nx\r\n", door.bounce_address())
    assert said.startswith("550 5.7.1 Nobody reads this address.")


def test_who_asked_for_no_reports_gets_none(desk: Desk) -> None:
    house = desk.house
    house.add_subscriber(ANN)
    house.submit(ANN, [PAT], house.mail("Results"))
    house.tamper('UPDATE deliveries SET dsn = \'{"notify": "NEVER"}\'')
    desk.deliver()
    door = Door(house)
    assert door.bring(report(), door.bounce_address(), sender="") == "250 2.0.0"
    assert desk.row()["state"] == "failed"
    assert not house.queued("dsn")


def test_mail_of_the_house_itself_that_comes_back_is_told_to_nobody(sent: Desk, door: Door) -> None:
    receipts = sent.house.queued("receipt")
    assert receipts
    assert door.bring(report(), door.bounce_address("receipt"), sender="") == "250 2.0.0"
    assert sent.house.queued("receipt")[-1]["state"] == "failed"
    assert not sent.house.queued("dsn")


def test_a_token_of_a_month_ago_still_counts_and_of_later_no_more(sent: Desk, door: Door) -> None:
    """The courier gives each mail thirty days to come back."""
    link = sent.house.engine.query("SELECT * FROM links WHERE purpose = 'bounce' ORDER BY delivery DESC")[0]
    assert link["expires"] - sent.house.clock.now() > 29 * DAY


def test_mail_that_goes_in_circles_is_refused(door: Door) -> None:
    assert door.bring(b"Received: a\r\n" * 51 + report(), door.bounce_address(), sender="").startswith("554 5.4.6")

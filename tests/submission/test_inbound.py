"""The door for other servers: what it does when deciding is slow, impossible, or asked for too often."""

from __future__ import annotations

import smtplib
import threading
from collections.abc import Callable

import pytest

from cryptnsend.core.errors import KeeperGone, Refusal, Temporary
from tests.submission.doubles import Client
from tests.submission.inbound_doubles import DOMAIN, InboundDoors
from tests.support.waiting import wait_for

Open = Callable[..., InboundDoors]


def greeted(doors: InboundDoors) -> Client:
    client = Client(doors, tls=False)
    assert client.reply().startswith("220 ")
    assert client.say("EHLO mx.peer.example").startswith("250-")
    return client


def addressed(doors: InboundDoors, recipient: str = f"r+one@{DOMAIN}") -> Client:
    client = greeted(doors)
    assert client.say("MAIL FROM:<pat@yahoo.example>") == "250 2.1.0 OK"
    assert client.say(f"RCPT TO:<{recipient}>") == "250 2.1.5 OK"
    return client


def test_an_ordinary_client_delivers_over_tls(open_inbound: Open) -> None:
    doors = open_inbound()
    with smtplib.SMTP("127.0.0.1", doors.starttls, local_hostname="mx.peer.example", timeout=10) as client:
        client.starttls()
        client.sendmail("pat@yahoo.example", [f"r+one@{DOMAIN}"], b"From: pat@yahoo.example\r\n\r\nThank you.\r\n")
    kept = doors.intake.kept[0]
    assert kept.envelope.reverse_path == "pat@yahoo.example"
    assert kept.envelope.received_from.tls.startswith("TLSv1.")
    assert kept.header + kept.body == b"From: pat@yahoo.example\r\n\r\nThank you.\r\n"


def test_nothing_said_in_clear_behind_starttls_counts(open_inbound: Open) -> None:
    """Nor what was said before it: somebody on the way may have said either (CVE-2011-0411)."""
    doors = open_inbound()
    with greeted(doors) as client:
        assert client.say("MAIL FROM:<eve@evil.example>") == "250 2.1.0 OK"
        client.send(f"STARTTLS\r\nRCPT TO:<r+one@{DOMAIN}>\r\nDATA\r\nFrom: eve@evil.example\r\n\r\n.\r\n".encode())
        assert client.reply().startswith("220 ")
        client.upgrade()
        assert client.say(f"RCPT TO:<r+one@{DOMAIN}>").startswith("503 ")
        assert client.say("EHLO mx.peer.example").startswith("250-")
        assert client.say("DATA").startswith("503 ")
    assert not doors.reception.asked
    assert not doors.intake.begun


@pytest.mark.parametrize(
    "end", [b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\r", b"\r\n\0.\r\n", b"\r\n.\0\r\n"]
)
def test_no_other_end_of_a_mail_lets_a_second_one_in(open_inbound: Open, end: bytes) -> None:
    """What a server before us passed on as one mail is one mail here, or none ("SMTP smuggling")."""
    doors = open_inbound()
    with addressed(doors) as client:
        assert client.say("DATA").startswith("354 ")
        second = f"MAIL FROM:<eve@evil.example>\r\nRCPT TO:<r+one@{DOMAIN}>\r\nDATA\r\nsmuggled\r\n.\r\n".encode()
        client.send(b"From: pat@yahoo.example\r\n\r\nfirst" + end + second)
        assert client.reply().startswith("550 ")
    assert not doors.intake.kept
    assert len(doors.intake.begun) <= 1


def test_a_slow_decision_holds_up_nobody_else(open_inbound: Open) -> None:
    doors = open_inbound()
    doors.reception.pause = threading.Event()
    with greeted(doors) as slow, greeted(doors) as other:
        assert slow.say("MAIL FROM:<pat@yahoo.example>") == "250 2.1.0 OK"
        slow.send(f"RCPT TO:<r+one@{DOMAIN}>\r\n".encode())
        wait_for(lambda: doors.reception.asked, "the decision to begin")
        assert other.say("NOOP") == "250 2.0.0 OK"
        doors.reception.pause.set()
        assert slow.reply() == "250 2.1.5 OK"


@pytest.mark.parametrize("trouble", [KeeperGone("The keeper does not answer."), Temporary("Not now.")])
def test_what_cannot_be_decided_now_is_a_matter_of_later(open_inbound: Open, trouble: Exception) -> None:
    doors = open_inbound()
    doors.reception.trouble = trouble
    with greeted(doors) as client:
        client.say("MAIL FROM:<pat@yahoo.example>")
        assert client.say(f"RCPT TO:<r+one@{DOMAIN}>").startswith("451 4.3.0 ")


def test_a_fault_of_ours_never_shows_what_it_says(open_inbound: Open) -> None:
    doors = open_inbound()
    doors.reception.trouble = RuntimeError("secret words")
    with greeted(doors) as client:
        client.say("MAIL FROM:<pat@yahoo.example>")
        said = client.say(f"RCPT TO:<r+one@{DOMAIN}>")
    assert said.startswith("451 4.3.0 ")
    assert "secret" not in said
    assert "secret" not in str(doors.events)


def test_a_refusal_at_the_end_of_data_is_said_when_all_was_heard(open_inbound: Open) -> None:
    doors = open_inbound()
    doors.intake.trouble = Refusal("It goes in circles.", code=554, status="5.4.6")
    with addressed(doors) as client:
        client.data().send(b"From: a@b.example\r\n\r\n" + b"x" * 70 + b"\r\n.\r\nNOOP\r\n")
        assert client.reply().startswith("554 5.4.6 It goes in circles.")
        assert client.reply() == "250 2.0.0 OK"


def test_a_message_that_cannot_be_kept_now_is_deferred(open_inbound: Open) -> None:
    doors = open_inbound()
    doors.intake.trouble = Temporary("The disk does not answer.")
    with addressed(doors) as client:
        client.data().send(b"From: a@b.example\r\n\r\nx\r\n.\r\n")
        assert client.reply().startswith("451 4.3.0 ")
    assert not doors.intake.kept


def test_one_source_gets_a_few_connections_only(open_inbound: Open) -> None:
    doors = open_inbound(per_source=2)
    with greeted(doors), greeted(doors), Client(doors, tls=False) as third:
        assert third.reply().startswith("421 4.3.2 ")
        assert third.closed()


def test_who_says_nothing_is_sent_away(open_inbound: Open) -> None:
    doors = open_inbound(idle=0.2)
    with greeted(doors) as client:
        assert client.reply().startswith("421 4.4.2 ")


def test_who_sends_drop_by_drop_is_sent_away(open_inbound: Open) -> None:
    doors = open_inbound(data_idle=0.2)
    with addressed(doors) as client:
        client.data().send(b"Subject")
        assert client.reply().startswith("421 4.4.2 ")
    doors.settle()
    assert not doors.intake.kept


def test_the_log_names_no_address_and_no_token(open_inbound: Open) -> None:
    doors = open_inbound()
    with addressed(doors) as client:
        client.data().send(b"From: pat@yahoo.example\r\nSubject: Canaryvale\r\n\r\nx\r\n.\r\n")
        assert client.reply().startswith("250 2.0.0 ")
    doors.settle()
    said = str(doors.events)
    assert "mail taken" in said
    for secret in ("pat@", "r+one", "Canaryvale"):
        assert secret not in said


def test_a_large_message_passes_in_pieces(open_inbound: Open) -> None:
    doors = open_inbound()
    doors.intake.only_hash = True
    with addressed(doors, f"b+good@{DOMAIN}") as client:
        client.data()
        client.send(b"Subject: bounce\r\n\r\n")
        block = (b"x" * 70 + b"\r\n") * 4000
        for _ in range(20):
            client.send(block)
        client.send(b".\r\n")
        assert client.reply().startswith("250 2.0.0 ")
    assert doors.intake.kept[0].size == 19 + 20 * len(block)


def test_a_stop_lets_a_message_that_was_begun_finish(open_inbound: Open) -> None:
    doors = open_inbound()
    with addressed(doors) as client:
        client.data()
        doors.ask_to_stop()
        client.send(b"From: a@b.example\r\n\r\nx\r\n.\r\n")
        assert client.reply().startswith("250 2.0.0 ")

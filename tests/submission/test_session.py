"""What is said at the doors, over real TLS sockets."""

from __future__ import annotations

import logging
import re
import smtplib
from collections.abc import Callable
from email.message import EmailMessage

import pytest

from cryptnsend.core.errors import KeeperGone, Refusal, StoreBroken, StoreFull
from cryptnsend.submission.listener import Envelope, Peer, Rcpt
from tests.submission.doubles import PASSWORD, USER, Client, Doors, plain

MESSAGE = b"From: ann@gmail.example\r\nTo: pat@yahoo.example\r\nSubject: hello\r\n\r\nHow are you?\r\n"


def test_python_smtplib_sends_through_both_doors(doors: Doors) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = USER, "pat@yahoo.example", "hello"
    message.set_content("How are you?\n.\n..two dots\n")
    with smtplib.SMTP_SSL("127.0.0.1", doors.implicit, context=doors.trust) as client:
        client.login(USER, PASSWORD)
        client.send_message(message)
    with smtplib.SMTP("127.0.0.1", doors.starttls) as client:
        client.starttls(context=doors.trust)
        client.login(USER, PASSWORD)
        client.send_message(message)
    first, second = doors.intake.kept
    assert first.digest == second.digest
    assert first.body == b"How are you?\r\n.\r\n..two dots\r\n"
    assert first.envelope.recipients[0].address == "pat@yahoo.example"
    assert first.envelope.received_from.tls == "TLSv1.3"


def test_250_names_the_message(doors: Doors) -> None:
    with Client(doors) as client:
        client.sign_in().envelope().data()
        client.send(MESSAGE + b".\r\n")
        assert client.reply() == "250 2.0.0 Sealed as m0"
        assert client.say("QUIT") == "221 2.0.0 Bye."
        assert client.closed()
    assert doors.intake.kept[0].header + doors.intake.kept[0].body == MESSAGE


def test_every_reply_but_greeting_ehlo_and_3xx_has_an_enhanced_code(doors: Doors) -> None:
    """RFC 2034 §4."""
    lines = ["NOOP", "HELO", "WHAT", "VRFY x", "EXPN x", "HELP", "RSET", "MAIL", "RCPT", "DATA", "STARTTLS x", "AUTH x"]
    with Client(doors) as client:
        client.sign_in().envelope()
        for line in [*lines, "MAIL FROM:<x>", "RCPT TO:<pat@yahoo.example> A=b", "EHLO", "AUTH PLAIN", "QUIT"]:
            for part in client.say(line).split("\n"):
                assert re.fullmatch(r"([245])\d\d[- ]\1\.\d+\.\d+ .+", part), line


def test_envelope_has_what_the_client_said(doors: Doors) -> None:
    with Client(doors) as client:
        client.sign_in()
        assert (
            client.say(f"MAIL FROM:<{USER}> SIZE=99 RET=FULL ENVID=Qq BODY=8BITMIME SMTPUTF8 REQUIRETLS")[:3] == "250"
        )
        assert client.say("RCPT TO:<José@correo.example> NOTIFY=DELAY ORCPT=rfc822;j@x.example")[:3] == "250"
        client.data()
        client.send(MESSAGE + b".\r\n")
        assert client.reply()[:3] == "250"
    assert doors.intake.kept[0].envelope == Envelope(
        reverse_path=USER,
        recipients=(Rcpt("José@correo.example", frozenset({"DELAY"}), "rfc822;j@x.example"),),
        received_from=Peer("127.0.0.1", "test", "TLSv1.3"),
        size=99,
        ret="FULL",
        envid="Qq",
        body_8bit=True,
        smtputf8=True,
        requiretls=True,
    )


def test_pipelined_octets_behind_starttls_are_dropped(doors: Doors) -> None:
    """What somebody on the way puts behind STARTTLS must not be taken for the client's (CVE-2011-0411)."""
    with Client(doors, tls=False) as client:
        assert client.reply()[:3] == "220"
        client.send(b"EHLO evil\r\nSTARTTLS\r\nEHLO evil\r\nNOOP\r\nNOOP\r\n")
        assert client.reply()[:4] == "250-"
        assert client.reply() == "220 2.0.0 Ready to start TLS."
        client.upgrade()
        # The first word after the handshake is ours, and the greeting from before is forgotten.
        assert client.say(plain(USER, PASSWORD)) == "503 5.5.1 Say EHLO first."
        assert client.say("HELP")[:3] == "214"


def test_ten_messages_in_one_connection_and_rset_between(doors: Doors) -> None:
    with Client(doors) as client:
        client.sign_in()
        for number in range(10):
            client.envelope()
            if number % 3 == 0:
                assert client.say("RSET") == "250 2.0.0 OK"
                client.envelope()
            client.data()
            client.send(MESSAGE + b"%d\r\n.\r\n" % number)
            assert client.reply() == f"250 2.0.0 Sealed as m{number}"
    assert [kept.body for kept in doors.intake.kept] == [b"How are you?\r\n%d\r\n" % number for number in range(10)]


def test_a_hundred_recipients_and_no_more(doors: Doors) -> None:
    with Client(doors) as client:
        client.sign_in().envelope(*(f"r{number}@yahoo.example" for number in range(100)))
        for number in range(150):  # more than the junk limit: a client that splits lists is no attacker
            assert client.say(f"RCPT TO:<more{number}@yahoo.example>")[:10] == "452 4.5.3 "
        client.data()
        client.send(MESSAGE + b".\r\n")
        assert client.reply()[:3] == "250"
    assert len(doors.intake.kept[0].envelope.recipients) == 100


@pytest.mark.parametrize(
    ("trouble", "answer"),
    [
        (StoreBroken("The store is not available."), "451 4.3.0 The store is not available."),
        (StoreFull("There is no room left."), "452 4.3.1 There is no room left."),
        (KeeperGone("The keeper does not answer."), "451 4.3.0 The keeper does not answer."),
        (Refusal("Policy says no."), "550 5.7.1 Policy says no."),
    ],
)
def test_trouble_at_commit_or_begin_keeps_nothing_and_the_session_goes_on(
    doors: Doors, trouble: Exception, answer: str
) -> None:
    with Client(doors) as client:
        client.sign_in()
        doors.intake.trouble = trouble
        client.envelope().data()
        client.send(MESSAGE + b".\r\n")
        assert client.reply() == answer
        doors.intake.trouble, doors.intake.refuse_to_begin = None, trouble
        client.envelope()
        assert client.say("DATA") == answer
        doors.intake.refuse_to_begin = None
        client.envelope().data()
        client.send(MESSAGE + b".\r\n")
        assert client.reply() == "250 2.0.0 Sealed as m0"
    assert len(doors.intake.aborted) == 1


def test_a_fault_answers_451_and_tells_nobody_what_it_was(doors: Doors) -> None:
    secret = "the patient's name"
    doors.intake.trouble = RuntimeError(secret)
    with Client(doors) as client:
        client.sign_in().envelope().data()
        client.send(MESSAGE + b".\r\n")
        assert client.reply() == "451 4.3.0 Something went wrong here; nothing was kept. Try again later."
        assert client.closed()
    doors.settle()
    failed = [event for event in doors.events if event["level"] == "error"]
    assert [event["error"] for event in failed] == ["RuntimeError"]
    assert "doubles.py" in failed[0]["place"]
    assert secret not in str(doors.events)


def test_logs_have_no_content_and_no_credentials(doors: Doors, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("mail.log").setLevel(logging.DEBUG)
        with Client(doors) as client:
            client.sign_in()
            assert client.say(plain("somebody", "hunter2"))[:3] == "503"
            client.envelope("pat@yahoo.example").data()
            client.send(MESSAGE + b".\r\n")
            assert client.reply()[:3] == "250"
    doors.settle()
    everything = str(doors.events) + caplog.text
    words = ["How are you", "Subject", PASSWORD, "hunter2", "somebody", "pat@", plain(USER, PASSWORD)[11:]]
    assert [word for word in words if word in everything] == []
    assert {"message taken", "signed in"} <= {event["event"] for event in doors.events}


def test_refusals_say_where_to_read_more(open_doors: Callable[..., Doors]) -> None:
    doors = open_doors(help_url="https://portal.example/help/{}".format)
    with Client(doors) as client:
        assert client.reply()[:3] == "220"
        assert client.say("MAIL FROM:<a@b.example>") == ("530 5.7.0 Sign in first. https://portal.example/help/sign-in")

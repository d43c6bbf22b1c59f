"""What is said at the doors, over real TLS sockets."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage

from tests.submission.doubles import PASSWORD, USER, Client, Doors

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

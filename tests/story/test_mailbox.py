"""A whole server: a subscriber sends by SMTP, the answer is read by IMAP and POP, with device passwords alone."""

from __future__ import annotations

import imaplib
import json
import poplib
import smtplib

from cryptnsend.demo.house import House

PASSWORD = "velvet acorn harvest dune pickle"
ANN = "mailbox-ann@gmail.example"


def device(house: House, scope: str) -> str:
    """Make a device password by the command, and return it."""
    said = house.run(
        "device", "add", ANN, "--name", "Phone", "--scope", scope, "--password-stdin", "--json", stdin=PASSWORD + "\n"
    )
    return str(json.loads(said)["password"])


def test_what_one_sends_to_oneself_is_read_by_imap_and_pop(served: House) -> None:
    served.run("subscriber", "add", ANN, "--password-stdin", stdin=PASSWORD + "\n")
    sends, reads, ports = device(served, "send"), device(served, "read"), served.home.ports()
    with smtplib.SMTP_SSL("localhost", ports["submissions"], context=served.context(), timeout=60) as client:
        client.login(ANN, sends)
        client.sendmail(
            ANN, [ANN], f"From: {ANN}\r\nTo: {ANN}\r\nSubject: Myself\r\nMessage-ID: <m@x>\r\n\r\nFine.\r\n".encode()
        )
    imap = imaplib.IMAP4_SSL("localhost", ports["imaps"], ssl_context=served.context(), timeout=60)
    imap.login(ANN, reads)
    assert imap.select("INBOX") == ("OK", [b"1"])
    found = imap.fetch("1", "(BODY.PEEK[TEXT])")[1][0]
    assert found is not None
    assert found[1] == b"Fine.\r\n"
    assert imap.select("Sent") == ("OK", [b"1"])
    imap.logout()
    pop = poplib.POP3_SSL("localhost", ports["pop3s"], context=served.context(), timeout=60)
    pop.user(ANN)
    pop.pass_(reads)
    assert b"Subject: Myself" in pop.retr(1)[1]
    pop.quit()

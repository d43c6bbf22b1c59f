"""What does a subscriber read with a mail program? Replies opened on the way, over real TLS, with Python's imaplib."""

from __future__ import annotations

import email
import imaplib

from tests.mailbox.conftest import ANN, reply
from tests.support.house import House


def actions(house: House) -> list[str]:
    """Return what the audit trail says that Ann did."""
    holder = f"account:{house.account(ANN)}"
    org = house.session(ANN).organisation
    return [action for actor, action in house.audited(org) if actor == holder]


def test_a_reply_is_listed_and_read_and_that_is_in_the_audit_trail(house: House, client: imaplib.IMAP4_SSL) -> None:
    reply(house, "The new dose is fine.")
    assert client.select("INBOX") == ("OK", [b"1"])
    assert "message.fetched" not in actions(house)
    _, found = client.fetch("1", "(UID FLAGS BODY.PEEK[])")
    assert found[0] is not None
    read = email.message_from_bytes(found[0][1])
    assert read["Subject"] == "Re: Results"
    assert "The new dose is fine." in read.get_payload(decode=True).decode()
    assert actions(house).count("message.fetched") == 1
    assert "message.opened" not in actions(house)
    client.fetch("1", "(BODY[TEXT])")
    assert actions(house).count("message.opened") == 1
    assert client.fetch("1", "(FLAGS)")[1] == [b"1 (FLAGS (\\Seen))"]

"""What does a program get that fetches mail by POP3? Over real TLS, with Python's poplib."""

from __future__ import annotations

import email
import poplib
from collections.abc import Iterator

import pytest

from tests.mailbox.conftest import ANN, MailDoors, reply
from tests.mailbox.test_imap_story import actions
from tests.support.house import PASSWORD, House


@pytest.fixture
def pop(doors: MailDoors, ann: str) -> Iterator[poplib.POP3_SSL]:
    """A connection on which nobody is signed in yet."""
    made = doors.pop()
    yield made
    made.close()


def signed_in(pop: poplib.POP3_SSL) -> poplib.POP3_SSL:
    pop.user(ANN)
    pop.pass_(PASSWORD)
    return pop


def test_a_reply_is_fetched_and_is_not_opened_by_that(house: House, pop: poplib.POP3_SSL) -> None:
    reply(house, "The new dose is fine.\r\n.\r\nAnd a dot.")
    signed_in(pop)
    assert pop.stat()[0] == 1
    lines = pop.retr(1)[1]
    read = email.message_from_bytes(b"\r\n".join(lines))
    assert "And a dot." in read.get_payload(decode=True).decode()
    assert actions(house).count("message.fetched") == 1
    assert "message.opened" not in actions(house)


def test_the_header_alone_is_no_fetch(house: House, pop: poplib.POP3_SSL) -> None:
    reply(house, "First line.\r\nSecond line.")
    signed_in(pop)
    assert b"Subject: Re: Results" in pop.top(1, 0)[1]
    assert "message.fetched" not in actions(house)
    assert b"First line." in pop.top(1, 1)[1]
    assert "message.fetched" in actions(house)


def test_what_is_deleted_counts_as_opened_and_lies_in_trash(house: House, doors: MailDoors, ann: str) -> None:
    reply(house, "One.")
    reply(house, "Two.")
    first = signed_in(doors.pop())
    assert len(first.uidl()[1]) == 2
    kept = first.uidl(2).split()[2]
    first.dele(1)
    with pytest.raises(poplib.error_proto):
        first.retr(1)
    first.quit()
    second = signed_in(doors.pop())
    assert second.uidl()[1] == [b"1 " + kept]
    second.quit()
    assert actions(house).count("message.opened") == 1
    imap = doors.imap()
    imap.login(ann, PASSWORD)
    assert imap.select("Trash") == ("OK", [b"1"])
    imap.logout()


def test_marks_are_forgotten_by_rset_and_by_a_lost_connection(house: House, doors: MailDoors, ann: str) -> None:
    reply(house)
    first = signed_in(doors.pop())
    first.dele(1)
    first.rset()
    assert first.stat()[0] == 1
    first.dele(1)
    first.close()
    second = signed_in(doors.pop())
    assert second.stat()[0] == 1
    second.quit()


def test_what_is_announced_is_what_there_is(pop: poplib.POP3_SSL) -> None:
    assert set(pop.capa()) >= {"TOP", "UIDL", "USER", "SASL", "PIPELINING", "RESP-CODES"}
    with pytest.raises(poplib.error_proto, match="Sign in first"):
        pop.stat()


def test_a_wrong_password_is_told_as_one(pop: poplib.POP3_SSL) -> None:
    pop.user(ANN)
    with pytest.raises(poplib.error_proto, match=r"\[AUTH\]"):
        pop.pass_("no such thing")
    signed_in(pop)
    assert pop.stat() == (0, 0)

"""The page and mail programs show the same: what is seen, what is locked, what was put away."""

from __future__ import annotations

import imaplib

from tests.mailbox.conftest import ANN, MailDoors, reply
from tests.mailbox.test_imap_boxes import said, signed_in
from tests.mailbox.test_strange import device
from tests.support.house import DAY, OTHER, PASSWORD, SOURCE, House


def test_what_is_read_on_the_page_is_seen_in_a_program_that_looks_on(house: House, client: imaplib.IMAP4_SSL) -> None:
    message = reply(house)
    reply(house, "Another one.")
    client.select("INBOX")
    assert said(client.search(None, "UNSEEN")) == b"1 2"
    house.pickup.show(house.session(ANN), message)
    client.noop()
    assert b"\\Seen" in b"".join(client.response("FETCH")[1])
    assert said(client.search(None, "UNSEEN")) == b"2"


def test_what_was_read_on_the_page_before_is_placed_as_seen(house: House, doors: MailDoors, ann: str) -> None:
    house.pickup.show(house.session(ANN), reply(house))
    reply(house, "Another one.")
    client = signed_in(doors)
    client.select("INBOX")
    assert said(client.search(None, "UNSEEN")) == b"2"
    client.logout()


def test_what_was_marked_unread_is_seen_again_once_it_is_read_on_the_page(
    house: House, client: imaplib.IMAP4_SSL
) -> None:
    message = reply(house)
    client.select("INBOX")
    client.fetch("1", "(BODY[])")
    client.store("1", "-FLAGS", r"(\Seen)")
    house.pickup.show(house.session(ANN), message)
    assert said(client.search(None, "SEEN")) == b"1"
    assert len(house.engine.query("SELECT 1 AS one FROM audit WHERE action = 'message.opened'")) == 1


def test_what_is_seen_in_a_program_shows_as_read_on_the_page(house: House, client: imaplib.IMAP4_SSL) -> None:
    message = reply(house)
    client.select("INBOX")
    client.fetch("1", "(BODY[])")
    listed = {each.message: each.opened for each in house.pickup.list(house.session(ANN))}
    assert listed[message]


def test_what_a_reset_locks_is_a_note_that_says_so_and_comes_back(house: House, doors: MailDoors, ann: str) -> None:
    reply(house)
    client = signed_in(doors)
    client.select("INBOX")
    assert b"Thank you." in said(client.fetch("1", "(UID BODY.PEEK[])"))
    client.logout()
    session = house.reset(ANN)
    client = doors.imap()
    client.login(ANN, OTHER)
    client.select("INBOX")
    status, answer = client.fetch("1", "(BODY.PEEK[])")
    assert (status, b"EXPUNGEISSUED" in answer[0]) == ("NO", True)
    client.noop()
    fetched = said(client.fetch("1", "(UID BODY.PEEK[])"))
    assert b"UID 2 " in fetched
    assert b"is locked" in fetched
    assert b"Thank you." not in fetched
    house.accounts.unlock(session, "password", PASSWORD, OTHER, SOURCE)
    client.logout()
    house.clock.forward(10 * 60_000)
    client = doors.imap()
    client.login(ANN, OTHER)
    client.select("INBOX")
    fetched = said(client.fetch("1", "(UID BODY.PEEK[])"))
    assert b"UID 3 " in fetched
    assert b"Thank you." in fetched
    client.logout()


def test_a_reset_takes_nothing_from_a_device_that_still_opens_it(house: House, doors: MailDoors, ann: str) -> None:
    reply(house)
    password = device(house)[1]
    clients = [doors.imap(), doors.imap()]
    clients[0].login(ANN, password)
    clients[0].select("INBOX")
    house.reset(ANN)
    clients[0].shutdown()
    clients[0] = doors.imap()
    for client, secret in zip(clients, (password, OTHER), strict=True):
        client.login(ANN, secret)
        client.select("INBOX")
    status, answer = clients[1].fetch("1", "(BODY.PEEK[])")
    assert (status, b"NOPERM" in answer[0]) == ("NO", True)
    assert b"Thank you." in said(clients[0].fetch("1", "(UID BODY.PEEK[])"))
    for client in clients:
        client.logout()


def test_a_damaged_message_is_told_as_damaged(house: House, client: imaplib.IMAP4_SSL) -> None:
    damaged = reply(house)
    house.spoil("UPDATE contents SET body = zeroblob(length(body)) WHERE message = :m AND part = 'raw'", m=damaged)
    client.select("INBOX")
    status, answer = client.fetch("1", "(BODY.PEEK[TEXT])")
    assert (status, b"CORRUPTION" in answer[0]) == ("NO", True)


def test_what_was_put_away_is_forgotten_once_nobody_can_open_it(house: House, client: imaplib.IMAP4_SSL) -> None:
    house.add_subscriber("bob@gmail.example", name="Bob")
    mail = house.mail("Hello", author="bob@gmail.example", to=(ANN,))
    house.prove(house.session(ANN), ANN, house.submit("bob@gmail.example", [ANN], mail))
    client.select("INBOX")
    client.store("1", "+FLAGS", r"(\Deleted)")
    client.expunge()
    put_away = "SELECT count(*) AS n FROM put_away"
    house.upkeep.once()
    assert house.engine.query(put_away) == [{"n": 1}]
    for _ in range(4):
        house.clock.forward(20 * DAY)
        house.upkeep.once()
    assert house.engine.query(put_away) == [{"n": 0}]
    client.select("INBOX")
    assert said(client.search(None, "ALL")) == b""

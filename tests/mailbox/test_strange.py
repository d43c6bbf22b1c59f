"""What do the doors do when something is out of the ordinary? They answer or say BYE, and nothing is lost."""

from __future__ import annotations

import imaplib
import poplib
import resource
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cryptnsend.core.errors import Throttled
from tests.mailbox.conftest import ANN, PAT, MailDoors, reply
from tests.mailbox.test_imap_boxes import said, signed_in
from tests.support.house import MINUTE, OTHER, PASSWORD, House
from tests.support.imap_reading import check_body, read_value
from tests.support.waiting import wait_for

BOB = "bob@gmail.example"


def device(house: House, scope: str = "read") -> tuple[int, str]:
    """Make a device password for Ann; return its id and the password."""
    made = house.accounts.add_device(house.session(ANN), "Phone", scope)
    return made.id, made.password


def test_a_reading_device_password_opens_and_a_sending_one_does_not(house: House, doors: MailDoors, ann: str) -> None:
    reply(house)
    client = doors.imap()
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        client.login(ANN, device(house, "submit")[1])
    client.login(ANN, device(house)[1])
    client.select("INBOX")
    assert b"Thank you." in said(client.fetch("1", "(BODY.PEEK[])"))
    client.logout()


def test_strict_custody_is_read_by_password_and_by_device(make_house: Callable[..., House], authority: object) -> None:
    from tests.mailbox.conftest import QUICK

    house = make_house(policy={"custody": "strict"})
    house.add_subscriber(ANN)
    reply(house)
    doors = MailDoors(house, authority, QUICK).start()  # type: ignore[arg-type]
    try:
        for password in (PASSWORD, device(house)[1]):
            client = doors.imap()
            client.login(ANN, password)
            client.select("INBOX")
            assert b"Thank you." in said(client.fetch("1", "(BODY.PEEK[])"))
            client.logout()
    finally:
        doors.stop()


@pytest.mark.parametrize("scope", ["read", "mail"])
def test_old_and_new_mail_stay_readable_for_a_device_after_a_new_password(
    house: House, doors: MailDoors, ann: str, scope: str
) -> None:
    reply(house, "Before.")
    password = device(house, scope)[1]
    session = house.session(ANN)
    house.accounts.change_password(session, PASSWORD, OTHER, "192.0.2.7", "Firefox")
    message = house.submit(ANN, [PAT], house.mail("Later", author=ANN, to=(PAT,)))
    house.replies.send(house.session(PAT), message, everybody=False, text="After.", files=(), nonce=b"n" * 16)
    client = doors.imap()
    client.login(ANN, password)
    client.select("INBOX")
    assert b"Before." in said(client.fetch("1", "(BODY.PEEK[])"))
    assert b"After." in said(client.fetch("2", "(BODY.PEEK[])"))
    client.logout()


@pytest.mark.parametrize("scope", ["read", "mail"])
def test_a_revoked_device_is_sent_away_at_its_next_command(
    house: House, doors: MailDoors, ann: str, scope: str
) -> None:
    ident, password = device(house, scope)
    client = doors.imap()
    client.login(ANN, password)
    client.select("INBOX")
    house.accounts.revoke_device(house.session(ANN), ident)
    with pytest.raises((imaplib.IMAP4.abort, imaplib.IMAP4.error)):
        client.noop()
    client.shutdown()


def test_an_account_that_is_disabled_while_it_idles_is_sent_away(house: House, doors: MailDoors, ann: str) -> None:
    client = signed_in(doors)
    client.select("INBOX")
    client.send(b"a1 IDLE\r\n")
    assert client.readline().startswith(b"+")
    house.owner.owner.disable(ANN)
    assert client.readline().startswith(b"* BYE This sign-in has ended")
    client.shutdown()


def test_guesses_are_throttled_as_at_the_other_doors(house: House, open_doors: Callable[..., MailDoors]) -> None:
    house.add_subscriber(ANN)
    doors = open_doors(auth_failures=100)
    client = doors.imap()
    for number in range(house.config.limits.sign_in_failures + 1):
        with pytest.raises(imaplib.IMAP4.error):
            client.login(ANN, f"wrong {number}")
    with pytest.raises(imaplib.IMAP4.error, match="UNAVAILABLE"):
        client.login(ANN, PASSWORD)
    with pytest.raises(Throttled):
        house.mailbox.mail_gate.authenticate(ANN, PASSWORD, "127.0.0.1")
    house.clock.forward(60 * MINUTE)
    client.login(ANN, PASSWORD)
    client.logout()


def test_who_only_receives_reads_on_the_page(house: House, doors: MailDoors, ann: str) -> None:
    reply(house)
    client = doors.imap()
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        client.login(PAT, PASSWORD)
    client.shutdown()


def test_an_answer_does_not_tell_whether_an_address_has_an_account(house: House, doors: MailDoors, ann: str) -> None:
    """Nor whether its account only receives, nor whether it was disabled."""
    reply(house)
    house.add_subscriber("off@gmail.example")
    house.owner.owner.disable("off@gmail.example")
    answers = set()
    for name in (ANN, PAT, "off@gmail.example", "nobody@gmail.example", "nobody"):
        client, pop = doors.imap(), doors.pop()
        with pytest.raises(imaplib.IMAP4.error) as refused:
            client.login(name, "wrong")
        pop.user(name)
        with pytest.raises(poplib.error_proto) as turned_away:
            pop.pass_("wrong")
        answers.add((str(refused.value), str(turned_away.value)))
        client.shutdown()
        pop.close()
    assert len(answers) == 1


def test_without_the_keeper_nobody_is_told_a_wrong_password(house: House, doors: MailDoors, ann: str) -> None:
    client = doors.imap()
    house.stop_keeper()
    try:
        with pytest.raises(imaplib.IMAP4.error, match="UNAVAILABLE"):
            client.login(ANN, PASSWORD)
    finally:
        house.start_keeper()
    client.login(ANN, PASSWORD)
    client.logout()


def test_a_damaged_message_is_passed_over_and_the_others_are_read(house: House, doors: MailDoors, ann: str) -> None:
    damaged, _ = reply(house, "One."), reply(house, "Two.")
    house.spoil("UPDATE contents SET body = zeroblob(length(body)) WHERE message = :m AND part = 'raw'", m=damaged)
    client = signed_in(doors)
    client.select("INBOX")
    assert client.fetch("1:2", "(UID BODY.PEEK[TEXT])")[0] == "NO"
    assert b"Two." in said(client.fetch("2", "(BODY.PEEK[])"))
    client.logout()


def test_what_one_account_has_is_nobody_elses(house: House, doors: MailDoors, ann: str) -> None:
    reply(house)
    house.add_subscriber("eve@gmail.example")
    client = doors.imap()
    client.login("eve@gmail.example", PASSWORD)
    assert said(client.select("INBOX")) == b"0"
    assert said(client.select("Sent")) == b"0"
    client.logout()


def test_a_client_that_does_not_read_is_cut_off_and_costs_no_memory(
    house: House, open_doors: Callable[..., MailDoors], ann: str
) -> None:
    doors = open_doors(trickle=1.0)
    client = signed_in(doors)
    client.append("INBOX", "", None, b"Subject: large\r\n\r\n" + b"x" * 4_000_000)
    client.select("INBOX")
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    before, grown = memory(), [0]
    client.send(b"a1 FETCH 1 BODY.PEEK[]\r\n" * 40)

    def is_cut_off() -> bool:
        grown.append(memory() - before)
        return not doors.server.house.sessions

    wait_for(is_cut_off, 30)
    assert max(grown) < 80_000_000, "160 MB were asked for"
    client.shutdown()


def memory() -> int:
    """Return how many octets of memory this process has, the server's among them."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * resource.getpagesize()


def test_two_connections_place_each_message_once(house: House, doors: MailDoors, ann: str) -> None:
    for number in range(4):
        reply(house, f"Number {number}.")
    clients = [signed_in(doors) for _ in range(3)]
    threads = [threading.Thread(target=client.select, args=("INBOX",)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    rows = house.engine.query("SELECT message, count(*) AS n FROM placed WHERE role = 'recipient' GROUP BY message")
    assert [row["n"] for row in rows] == [1, 1, 1, 1]
    for client in clients:
        client.logout()


def test_ten_thousand_mailboxes_are_listed_and_no_more_are_made(house: House, doors: MailDoors, ann: str) -> None:
    client = signed_in(doors)
    assert len(said(client.list()).split(b"|")) == 4
    account = house.engine.query("SELECT account, org FROM mailboxes LIMIT 1")[0]
    house.engine.write(
        lambda rows: rows.many(
            "INSERT INTO mailboxes VALUES (?, ?, ?, ?, '', ?, 1, 1, 0, '', 1, 0, 0, 0, 0)",
            [(at, account["org"], account["account"], f"Level/{at // 100}/{at}", at) for at in range(1, 10_001)],
        )
    ).result()
    listed = said(client.list()).split(b"|")
    assert len(listed) == 10_004
    assert said(client.list('""', "Level/99/999%")).count(b"Level/99/999") == 10
    status, answer = client.create("More")
    assert (status, b"1000 mailboxes at most" in answer[0]) == ("NO", True)
    client.logout()


def test_a_message_that_was_taken_back_is_a_note_until_that_is_undone(house: House, doors: MailDoors, ann: str) -> None:
    house.add_subscriber(BOB, name="Bob")
    message = house.submit(BOB, [ANN], house.mail("Hello", author=BOB, to=(ANN,)))
    house.prove(house.session(ANN), ANN, message)
    client = signed_in(doors)
    client.select("INBOX")
    assert b"All is well." in said(client.fetch("1", "(UID BODY.PEEK[])"))
    house.pickup.expire(house.session(BOB), message)
    assert client.fetch("1", "(BODY.PEEK[])")[0] == "NO"
    client.noop()
    fetched = said(client.fetch("1", "(UID BODY.PEEK[])"))
    assert (b"UID 2 " in fetched, b"was taken back" in fetched, b"All is well." in fetched) == (True, True, False)
    house.pickup.restore(house.session(BOB), message)
    house.clock.forward(10 * MINUTE)
    client.noop()
    fetched = said(client.fetch("1", "(UID BODY.PEEK[])"))
    assert (b"UID 3 " in fetched, b"All is well." in fetched) == (True, True)
    client.logout()


def test_parts_within_parts_within_parts_have_a_structure_that_can_be_read(
    house: House, doors: MailDoors, ann: str
) -> None:
    lines = [b"Subject: deep", b"MIME-Version: 1.0"]
    for level in range(3_000):
        lines += [b'Content-Type: multipart/mixed; boundary="b%d"' % level, b"", b"--b%d" % level]
    client = signed_in(doors)
    client.append("INBOX", "", None, b"\r\n".join([*lines, b"", b"the end", b""]))
    client.append("INBOX", "", None, b"Content-Type: message/rfc822\r\n\r\n" * 3_000 + b"the end\r\n")
    client.select("INBOX")
    for number in ("1", "2"):
        answer = said(client.fetch(number, "(BODYSTRUCTURE)"))
        value = read_value(answer.partition(b"BODYSTRUCTURE ")[2].removesuffix(b")"))
        check_body(value, extended=True)
        assert b"the end" in said(client.fetch(number, "(BODY.PEEK[])"))
    client.logout()


def test_a_command_that_comes_octet_by_octet_is_waited_for_and_then_no_longer(
    house: House, open_doors: Callable[..., MailDoors], ann: str
) -> None:
    doors = open_doors(idle=2.0)
    client = signed_in(doors)
    for octet in b"a1 NOOP\r\n":
        client.send(bytes([octet]))
    assert client.readline() == b"a1 OK Done.\r\n"
    client.send(b"a2 NO")
    assert client.readline().startswith(b"* BYE Too slow")
    client.shutdown()


def test_an_account_that_is_disabled_between_two_commands_is_sent_away(
    house: House, doors: MailDoors, ann: str
) -> None:
    reply(house)
    client = signed_in(doors)
    client.select("INBOX")
    house.owner.owner.disable(ANN)
    client.send(b"a1 FETCH 1 BODY.PEEK[]\r\n")
    assert client.readline().startswith(b"* BYE This sign-in has ended")
    client.shutdown()


def test_nothing_of_a_message_is_in_the_log(house: House, doors: MailDoors, ann: str) -> None:
    reply(house, "The new dose is fine.", "Results of Tuesday")
    client = signed_in(doors)
    client.select("INBOX")
    client.fetch("1", "(BODY[])")
    client.search(None, "SUBJECT", "Tuesday")
    client.logout()
    logged = repr(doors.lines)
    assert "signed in" in logged
    for secret in ("dose", "Tuesday", PASSWORD, PAT):
        assert secret not in logged


def test_half_a_message_that_a_program_brought_is_nowhere(house: House, doors: MailDoors, ann: str) -> None:
    client = signed_in(doors)
    client.send(b"a1 APPEND INBOX {1000000}\r\n")
    assert client.readline().startswith(b"+")
    client.send(b"x" * 500_000)
    client.shutdown()
    wait_for(lambda: not doors.server.house.sessions, 30)
    client = signed_in(doors)
    assert said(client.select("INBOX")) == b"0"
    assert house.engine.query("SELECT count(*) AS n FROM filed") == [{"n": 0}]
    client.logout()


def test_one_account_holds_no_more_connections_than_it_may(
    house: House, open_doors: Callable[..., MailDoors], ann: str
) -> None:
    doors = open_doors(per_account=2)
    first, second, third = signed_in(doors), signed_in(doors), doors.imap()
    third.send(f'a1 LOGIN {ANN} "{PASSWORD}"\r\n'.encode())
    assert third.readline() == b"* BYE Too many connections of this account.\r\n"
    second.logout()
    wait_for(lambda: len(doors.server.house.sessions) == 1, 30)
    fourth = signed_in(doors)
    for client in (first, fourth):
        client.logout()
    third.shutdown()


def test_by_pop_an_account_that_is_disabled_is_sent_away_and_keeps_what_it_marked(
    house: House, doors: MailDoors, ann: str
) -> None:
    reply(house)
    client = signed_in_by_pop(doors)
    client.dele(1)
    house.owner.owner.disable(ANN)
    with pytest.raises(poplib.error_proto, match="AUTH"):
        client.quit()
    assert house.engine.query("SELECT flags FROM placed WHERE role = 'recipient'") == [{"flags": 0}]
    client.close()


def test_by_pop_a_message_that_was_taken_back_is_a_note(house: House, doors: MailDoors, ann: str) -> None:
    house.add_subscriber(BOB, name="Bob")
    message = house.submit(BOB, [ANN], house.mail("Hello", author=BOB, to=(ANN,)))
    house.prove(house.session(ANN), ANN, message)
    first = signed_in_by_pop(doors)
    before = first.uidl(1)
    house.pickup.expire(house.session(BOB), message)
    with pytest.raises(poplib.error_proto):
        first.retr(1)
    first.quit()
    house.clock.forward(10 * MINUTE)
    second = signed_in_by_pop(doors)
    assert b"was taken back" in b" ".join(second.retr(1)[1])
    assert second.uidl(1) != before
    second.quit()


def signed_in_by_pop(doors: MailDoors) -> poplib.POP3_SSL:
    client = doors.pop()
    client.user(ANN)
    client.pass_(PASSWORD)
    return client

"""What can be done with mailboxes and what lies in them: flags, copies, endings, drafts, and the copy in Sent."""

from __future__ import annotations

import email
import email.policy
import imaplib
import re

import pytest

from cryptnsend.core.model import first_id
from cryptnsend.flow.placing import NOTHING_NEW, PROMPT
from cryptnsend.store.records import mailboxes
from tests.mailbox.conftest import ANN, PAT, MailDoors, reply
from tests.support.house import DAY, PASSWORD, SOURCE, House

DRAFT = b"From: ann@gmail.example\r\nTo: pat@yahoo.example\r\nSubject: Not yet\r\n\r\nUnfinished\r\n"


def said(answer: tuple[str, list[object]]) -> bytes:
    """Return what came with an answer, as one line; fail for NO."""
    assert answer[0] == "OK", answer
    pieces = [b"".join(each) if isinstance(each, tuple) else each or b"" for each in answer[1]]
    return b"|".join(pieces)


def signed_in(doors: MailDoors) -> imaplib.IMAP4_SSL:
    made = doors.imap()
    made.login(ANN, PASSWORD)
    return made


def test_the_four_mailboxes_are_there_with_their_special_uses(client: imaplib.IMAP4_SSL) -> None:
    listed = said(client.list()).split(b"|")
    assert [each.rpartition(b" ")[2].strip(b'"') for each in listed] == [b"INBOX", b"Drafts", b"Sent", b"Trash"]
    assert rb"\Sent" in listed[2]
    assert rb"\Trash" in listed[3]


def test_a_draft_is_kept_sealed_and_read_again(house: House, client: imaplib.IMAP4_SSL) -> None:
    answer = client.append("Drafts", r"(\Draft \Seen)", None, DRAFT)
    code = re.search(rb"APPENDUID (\d+) (\d+)", answer[1][0])
    assert code is not None
    said(client.select("Drafts"))
    assert DRAFT in said(client.uid("FETCH", code[2].decode(), "(FLAGS BODY[])"))
    assert rb"\Seen \Draft" in said(client.fetch("1", "(FLAGS)"))
    assert b'"Not yet"' in said(client.fetch("1", "(ENVELOPE)"))
    for table, row in house.rows():
        assert all(b"Unfinished" not in value for value in row.values() if isinstance(value, bytes)), table


def test_an_expunged_draft_is_gone_for_good(house: House, client: imaplib.IMAP4_SSL) -> None:
    client.append("Drafts", "", None, b"Subject: Large\r\n\r\n" + b"x" * 100_000)
    said(client.select("Drafts"))
    assert len(list(house.portal.blobs.keys())) == 1
    client.store("1", "+FLAGS", r"(\Deleted)")
    assert said(client.expunge()) == b"1"
    assert house.engine.query("SELECT count(*) AS n FROM filed") == [{"n": 0}]
    assert list(house.portal.blobs.keys()) == []


def test_the_copy_of_what_was_submitted_is_recognised_and_kept_once(house: House, client: imaplib.IMAP4_SSL) -> None:
    octets = house.mail("Results", "All is well.", author=ANN, bcc=("eve@yahoo.example",))
    house.submit(ANN, [PAT, "eve@yahoo.example"], octets)
    copy = b"X-Mozilla-Status: 0001\r\n" + octets.replace(b"\r\n", b"\n") + b"\n\n"
    answer = client.append("Sent", r"(\Seen)", None, copy)
    assert b"APPENDUID" in answer[1][0]
    assert said(client.select("Sent")) == b"1"
    assert house.engine.query("SELECT count(*) AS n FROM filed") == [{"n": 0}]
    assert octets in said(client.fetch("1", "(BODY.PEEK[])"))  # with Bcc, which is the author's to see
    assert b"eve" in said(client.fetch("1", "(ENVELOPE)"))
    size = re.search(rb"RFC822.SIZE (\d+)", said(client.fetch("1", "(RFC822.SIZE)")))
    assert size is not None
    assert int(size[1]) == len(octets)


def test_another_text_under_the_same_message_id_is_kept_as_well(house: House, client: imaplib.IMAP4_SSL) -> None:
    octets = house.mail("Results", "All is well.", author=ANN)
    house.submit(ANN, [PAT], octets)
    client.append("Sent", "", None, octets.replace(b"well", b"ill"))
    assert said(client.select("Sent")) == b"2"


def test_a_copy_that_comes_before_its_message_makes_place_for_it(house: House, client: imaplib.IMAP4_SSL) -> None:
    octets = house.mail("Results", "All is well. " * 4000, author=ANN, bcc=("eve@yahoo.example",))
    client.append("Sent", r"(\Seen $Label1)", None, b"X-Mozilla-Status: 0001\r\n" + octets.replace(b"\r\n", b"\n"))
    client.append("Sent", "", None, house.mail("Other", "Not ours.", author=ANN))
    assert said(client.select("Sent")) == b"2"
    house.submit(ANN, [PAT, "eve@yahoo.example"], octets)
    said(client.noop())
    assert client.response("EXPUNGE")[1] == [b"1"]
    assert client.response("EXISTS")[1][-1] == b"2"
    assert rb"UID 3 FLAGS (\Seen $Label1)" in said(client.fetch("2", "(UID FLAGS)"))
    assert octets in said(client.fetch("2", "(BODY.PEEK[])"))  # with Bcc, and without what the program added
    assert house.engine.query("SELECT count(*) AS n FROM filed") == [{"n": 1}]
    assert len(list(house.portal.blobs.keys())) == 1  # the content of the copy is gone


def test_a_copy_that_differs_stays_beside_the_message_that_comes_later(house: House, client: imaplib.IMAP4_SSL) -> None:
    octets = house.mail("Results", "All is well.", author=ANN)
    client.append("Sent", "", None, octets.replace(b"well", b"ill"))
    client.append("Drafts", "", None, octets)
    house.submit(ANN, [PAT], octets)
    assert said(client.select("Sent")) == b"2"
    assert said(client.select("Drafts")) == b"1"


def test_flags_and_keywords_are_kept_and_told_to_others(house: House, doors: MailDoors, ann: str) -> None:
    reply(house)
    one, other = signed_in(doors), signed_in(doors)
    one.select("INBOX")
    other.select("INBOX")
    assert rb"\Flagged Work" in said(one.store("1", "+FLAGS", r"(\Flagged Work)"))
    assert said(one.store("1", "FLAGS.SILENT", r"(\Answered $Forwarded)")) == b""
    other.noop()
    assert b"1 (UID 1 FLAGS (\\Answered $Forwarded))" in other.response("FETCH")[1]
    assert rb"(\Answered)" in said(other.store("1", "-FLAGS", r"($FORWARDED)"))
    one.logout()
    other.logout()


def test_what_is_seen_counts_as_opened_once(house: House, client: imaplib.IMAP4_SSL) -> None:
    reply(house)
    client.select("INBOX")
    client.store("1", "+FLAGS", r"(\Seen)")
    client.store("1", "-FLAGS", r"(\Seen)")
    client.store("1", "+FLAGS", r"(\Seen)")
    opened = house.engine.query("SELECT action FROM audit WHERE action = 'message.opened'")
    assert len(opened) == 1
    assert house.engine.query("SELECT count(*) AS n FROM recipients WHERE first_opened IS NOT NULL") == [{"n": 1}]
    log = house.accounts.access_log(house.session(ANN))
    assert [each.source for each in log if each.action == "message.opened"] == ["127.0.0.1"]


def test_a_message_moves_and_does_not_come_back(house: House, client: imaplib.IMAP4_SSL) -> None:
    reply(house)
    client.select("INBOX")
    assert client.uid("MOVE", "1", "Trash")[0] == "OK"
    assert said(client.select("Trash")) == b"1"
    client.store("1", "+FLAGS", r"(\Deleted)")
    client.expunge()
    assert said(client.select("INBOX")) == b"0"
    assert len(house.portal.folders.trash(house.session(ANN))) == 1  # on the page it can be put back


def test_a_new_message_is_told_while_a_program_idles(house: House, client: imaplib.IMAP4_SSL) -> None:
    client.select("INBOX")
    client.send(b"a1 IDLE\r\n")
    assert client.readline().startswith(b"+")
    reply(house)
    assert client.readline() == b"* 1 EXISTS\r\n"
    client.send(b"DONE\r\n")
    assert client.readline().startswith(b"a1 OK")


def test_mailboxes_are_made_named_and_removed(client: imaplib.IMAP4_SSL) -> None:
    said(client.create("Patients/2026"))
    assert client.create("Patients/2026")[0] == "NO"
    said(client.append("Patients/2026", "", None, DRAFT))
    said(client.rename("Patients/2026", "Archive"))
    assert said(client.status("Archive", "(MESSAGES UIDNEXT UNSEEN)")) == b'"Archive" (MESSAGES 1 UIDNEXT 2 UNSEEN 1)'
    said(client.delete("Archive"))
    assert client.select("Archive")[0] == "NO"
    for name in ("INBOX", "Sent"):
        assert client.delete(name)[0] == "NO"
    said(client.create('"Sent Items"'))  # ours goes by that name too
    assert b"Sent Items" not in said(client.list())


def test_a_mailbox_takes_its_name_with_those_below_it_or_keeps_it(client: imaplib.IMAP4_SSL) -> None:
    for name in ("a", "a/b", "a/c/b", "z/b"):
        said(client.create(name))
    for name in ("z", "x" * 499, "/".join("x" * 20), "y//y", "../y", "z/b"):  # taken, too long, or no name
        kind, (text,) = client.rename("a", name)
        assert (kind, text[:8]) == ("NO", b"[CANNOT]"), name
    assert client.create("y/../..")[0] == "NO"
    said(client.rename("a", "a/c"))  # where a/b takes the name that a/c/b leaves
    names = {line.rpartition(b" ")[2].strip(b'"') for line in client.list('""', "*")[1]}
    assert names == {b"INBOX", b"Sent", b"Drafts", b"Trash", b"a/c", b"a/c/b", b"a/c/c/b", b"z/b"}


def test_an_expired_message_makes_place_for_a_notice_under_a_new_uid(house: House, doors: MailDoors, ann: str) -> None:
    """A member of Ann's: mail to another subscriber has a life, and ends."""
    house.add_subscriber("bob@gmail.example", name="Bob")
    message = house.submit("bob@gmail.example", [ANN], house.mail("Hello", author="bob@gmail.example", to=(ANN,)))
    house.prove(house.session(ANN), ANN, message)
    client = signed_in(doors)
    client.select("INBOX")
    assert b"All is well." in said(client.fetch("1", "(UID BODY.PEEK[])"))
    house.clock.forward(40 * DAY)
    assert client.fetch("1", "(BODY.PEEK[])")[0] == "NO"  # upkeep has not come by yet
    house.upkeep.once()
    assert client.fetch("1", "(BODY.PEEK[])")[0] == "NO"
    client.noop()
    fetched = said(client.fetch("1", "(UID BODY.PEEK[])"))
    assert b"UID 2 " in fetched
    assert b"All is well." not in fetched
    assert b"is over" in fetched
    client.logout()


def test_notices_speak_the_language_of_the_account(house: House, doors: MailDoors, ann: str) -> None:
    house.add_subscriber("bob@gmail.example", name="Bob")
    house.accounts.set_language(house.session(ANN), "es")

    def send() -> int:
        return house.submit("bob@gmail.example", [ANN], house.mail(author="bob@gmail.example", to=(ANN,)))

    gone, later, waits = send(), send(), send()
    bob = house.session("bob@gmail.example")
    house.pickup.expire(bob, gone)
    house.portal.following.extend(bob, later, house.clock.now() + DAY)
    house.clock.forward(2 * DAY)
    house.upkeep.once()
    client = signed_in(doors)
    client.select("INBOX")
    found = []
    for number in range(1, 4):
        octets = client.fetch(str(number), "(BODY.PEEK[])")[1][0][1]
        found.append(email.message_from_bytes(octets, policy=email.policy.default))
    assert {str(each["Subject"]) for each in found} == {
        "Un mensaje seguro fue retirado",
        "Un mensaje seguro ha caducado",
        "Un mensaje seguro espera su código",
    }
    texts = " ".join(" ".join(each.get_content().split()) for each in found)
    assert "El plazo de este mensaje de bob@gmail.example terminó" in texts
    assert waits
    client.logout()


def test_a_message_that_needs_its_code_is_a_notice_until_then(house: House, doors: MailDoors, ann: str) -> None:
    house.add_subscriber("bob@gmail.example", name="Bob")
    message = house.submit("bob@gmail.example", [ANN], house.mail("Hello", author="bob@gmail.example", to=(ANN,)))
    client = signed_in(doors)
    client.select("INBOX")
    fetched = said(client.fetch("1", "(UID BODY.PEEK[])"))
    assert b"UID 1 " in fetched
    assert b"waits for its code" in fetched
    assert b"Hello" not in fetched
    house.prove(house.session(ANN), ANN, message)
    house.clock.forward(10 * 60_000)
    client.noop()
    fetched = said(client.fetch("1", "(UID BODY.PEEK[])"))
    assert b"UID 2 " in fetched
    assert b"All is well." in fetched
    client.logout()


def test_uids_and_what_they_stand_for_stay_the_same_for_every_session(house: House, doors: MailDoors, ann: str) -> None:
    for number in range(3):
        reply(house, f"Number {number}.")
    first = signed_in(doors)
    first.select("INBOX")
    before = said(first.fetch("1:*", "(UID BODY.PEEK[TEXT])")), first.response("UIDVALIDITY")
    first.logout()
    second = signed_in(doors)
    second.select("INBOX")
    assert (said(second.fetch("1:*", "(UID BODY.PEEK[TEXT])")), second.response("UIDVALIDITY")) == before
    second.logout()


@pytest.mark.parametrize(
    ("criteria", "found"),
    [
        ("ALL", b"1 2 3"),
        ("UNSEEN", b"2 3"),
        ("SUBJECT second", b"2"),
        ("FROM pat", b"1 2 3"),
        ('TEXT "number three"', b"3"),
        ('NOT BODY "number one"', b"2 3"),
        ("OR SUBJECT first UID 3", b"1 3"),
        ("LARGER 100000", b""),
        ("SINCE 1-Jan-2026 KEYWORD Work", b"2"),
    ],
)
def test_searches_find_by_rows_headers_and_text(
    house: House, client: imaplib.IMAP4_SSL, criteria: str, found: bytes
) -> None:
    for subject, number in (("First", "one"), ("Second", "two"), ("Third", "three")):
        reply(house, f"This is number {number}.", subject)
    client.select("INBOX")
    client.store("1", "+FLAGS.SILENT", r"(\Seen)")
    client.store("2", "+FLAGS.SILENT", "(work)")
    assert said(client.search(None, *criteria.split(" ") if '"' not in criteria else (criteria,))) == found


def test_the_sender_sees_that_a_mail_program_fetched_and_later_that_it_was_opened(
    house: House, doors: MailDoors, ann: str
) -> None:
    house.add_subscriber("bob@gmail.example", name="Bob")
    message = house.submit("bob@gmail.example", [ANN], house.mail("Hello", author="bob@gmail.example", to=(ANN,)))
    house.prove(house.session(ANN), ANN, message)
    bob, client = house.session("bob@gmail.example"), signed_in(doors)
    client.select("INBOX")
    client.fetch("1", "(BODY.PEEK[])")
    assert house.pickup.status(bob, message).recipients[0].state == "fetched"
    client.store("1", "+FLAGS", r"(\Seen)")
    assert house.pickup.status(bob, message).recipients[0].state == "opened"
    client.logout()


def test_a_draft_that_is_saved_over_and_over_takes_the_room_of_one(house: House, client: imaplib.IMAP4_SSL) -> None:
    """Programs save what is being written every few minutes: the new draft, then the end of the one before."""
    said(client.select("Drafts"))
    trail = house.audited(house.engine.query("SELECT org FROM accounts WHERE roles LIKE '%subscriber%'")[0]["org"])
    used: list[int] = []
    for number in range(20):
        said(client.append("Drafts", r"(\Draft \Seen)", None, DRAFT + b"x" * 50_000))
        if number:
            said(client.uid("STORE", str(number), "+FLAGS.SILENT", r"(\Deleted)"))
            said(client.expunge())
        used += [row["n"] for row in house.engine.query("SELECT sum(octets) AS n FROM filed")]
    assert used == [used[0]] * 20
    assert len(list(house.portal.blobs.keys())) == 1
    assert (
        house.audited(house.engine.query("SELECT org FROM accounts WHERE roles LIKE '%subscriber%'")[0]["org"]) == trail
    )


def test_ten_connections_of_one_program_see_the_same(house: House, doors: MailDoors, ann: str) -> None:
    reply(house)
    several = [signed_in(doors) for _ in range(10)]
    assert [said(each.select("INBOX")) for each in several] == [b"1"] * 10
    several[0].store("1", "+FLAGS", r"(\Flagged)")
    for each in several:
        each.noop()
        assert rb"\Flagged" in said(each.fetch("1", "(FLAGS)"))
        each.logout()


@pytest.mark.parametrize("late", [10, 3_600], ids=["seconds", "an hour"])
def test_a_message_whose_commit_came_late_is_placed_a_moment_later(house: House, ann: str, late: int) -> None:
    session = house.mailbox.mail_gate.authenticate(ANN, PASSWORD, SOURCE).session
    boxes, engine = house.mailbox.mailboxes, house.engine
    reply(house, "On time.")
    box = boxes.look(session, boxes.named(session, "INBOX"))
    # As after a look that placed a message so much newer than the next.
    newest = first_id(house.clock.now() + 1_000 * late)
    engine.write(lambda rows: mailboxes.looked(rows, box.id, newest, box.holders)).result()
    assert boxes.look(session, box).messages == 1
    reply(house, "Late.")
    house.clock.forward(0 if 1_000 * late < PROMPT else int(1_000 * NOTHING_NEW))
    assert boxes.look(session, box).messages == 2


def test_a_search_looks_into_what_was_sent_filed_and_noted_too(house: House, client: imaplib.IMAP4_SSL) -> None:
    house.submit(ANN, [PAT], house.mail("A blue letter", "Sky and sea.", author=ANN, to=(PAT,)))
    client.append("Sent", "", None, b"X-Long: " + b"x" * 80_000 + b"\r\nSubject: A blue draft\r\n\r\nSky alone.\r\n")
    client.select("Sent")
    assert said(client.uid("SEARCH", "SUBJECT", "blue")) == b"1 2"
    sent = said(client.uid("SEARCH", "SUBJECT", "blue", "TEXT", "sea"))
    draft = said(client.uid("SEARCH", "TEXT", "sky", "NOT", "TEXT", "sea"))
    assert {sent, draft} == {b"1", b"2"}
    assert said(client.uid("SEARCH", "OR", "SUBJECT", "red", "KEYWORD", "none")) == b""

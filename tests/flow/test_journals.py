"""Copies of a domain's mail, in and out, to one mailbox: locked, for nobody else to see, and in nobody's way."""

from __future__ import annotations

import io
from email.message import EmailMessage

import pytest
import pyzipper

from cryptnsend.core.errors import Denied
from cryptnsend.core.model import account_holder
from cryptnsend.core.passwords import Argon, derive
from cryptnsend.delivery.courier import Outcome
from tests.flow.conftest import DELIVERED, REFUSED, Answers, Desk, faces, parsed
from tests.flow.inbound_door import Door
from tests.flow.letters import passphrase, words
from tests.support.house import DAY, PASSWORD, SOURCE, House

ANN, BOB, JOURNAL = "ann@clinic.example", "bob@clinic.example", "copies@clinic.example"
PAT, EVE, OLIVE = "pat@yahoo.example", "eve@lab.example", "officer@clinic.example"
RULE = (f"clinic.example {JOURNAL}",)


def prove(house: House, org: int, domain: str) -> None:
    """Let an organisation have proven a domain."""
    domains = house.portal.domains
    asked = domains.ask(org, domain, "owner")
    vars(domains)["_texts"] = lambda name: [asked.value] if name == asked.record else []
    assert domains.check(org, domain, "owner")


@pytest.fixture
def org(desk: Desk) -> int:
    """A clinic that has copies made of the mail of its domain, and a laboratory that has none."""
    house = desk.house
    clinic = house.organisation("Clinic")
    for address, name in ((ANN, "Dr. Ann Ruiz"), (BOB, "Bob"), (JOURNAL, "Copies")):
        house.add_subscriber(address, organisation=clinic, name=name)
    house.add_subscriber(EVE, organisation=house.organisation("Lab"), name="Eve")
    prove(house, clinic, "clinic.example")
    house.owner.owner.set_rules(clinic, {"journal_to": RULE}, "as agreed")
    return clinic


def copies(desk: Desk) -> list[EmailMessage]:
    """Return what came to the mailbox as copies."""
    subject = "A copy of a message, for your records"
    return [each for each in desk.answers.mails(JOURNAL) if each["Subject"] == subject]


def unlocked(desk: Desk, mail: EmailMessage) -> EmailMessage:
    (part,) = mail.iter_attachments()
    with pyzipper.AESZipFile(io.BytesIO(part.get_content())) as archive:
        assert archive.namelist() == ["message.eml"]
        archive.setpassword(passphrase(desk.house, JOURNAL))
        return parsed(archive.read("message.eml"))


def write(desk: Desk, author: str, *to: str, subject: str = "Canarysubject", bcc: tuple[str, ...] = ()) -> int:
    house = desk.house
    octets = house.mail(subject, "Canarybody", author=author, to=list(to))
    message = house.submit(author, [*to, *bcc], octets)
    desk.deliver()
    return message


# -- what is copied ---------------------------------------------------------------------------------------------------


def test_what_leaves_and_what_comes_is_copied_once_and_locked(desk: Desk, org: int) -> None:
    message = write(desk, ANN, PAT)
    (mail,) = copies(desk)
    assert b"Canary" not in mail.as_bytes()
    assert PAT.encode() not in mail.as_bytes()
    assert ANN.encode() not in mail.as_bytes()
    inside = unlocked(desk, mail)
    assert (inside["Subject"], inside["X-Envelope-From"], inside["X-Envelope-To"]) == ("Canarysubject", ANN, PAT)
    assert "Canarybody" in str(inside.get_content())
    pat = desk.house.register(PAT, message)
    desk.house.replies.send(pat, message, everybody=False, text="Thank you.", files=[], nonce=b"1" * 16)
    desk.deliver()
    assert len(copies(desk)) == 2
    assert unlocked(desk, copies(desk)[1])["X-Envelope-From"] == PAT
    write(desk, ANN, BOB)  # both are of the domain, and still there is one copy
    assert len(copies(desk)) == 3
    write(desk, EVE, PAT)
    assert len(copies(desk)) == 3
    assert desk.house.owner.archiving.copies(org)[0].arrived == 3
    write(desk, ANN, PAT, subject=":: Lunch")
    assert b"Canarybody" in desk.answers.mails(PAT)[-1].as_bytes()
    mail = copies(desk)[-1]
    assert b"Canarybody" not in mail.as_bytes()
    assert "Canarybody" in str(unlocked(desk, mail).get_content())
    text, page = faces(mail)
    assert "http" not in text
    assert "href" not in page


def test_the_authors_copies_alone_show_who_was_written_to_in_secret_and_no_page_shows_the_mailbox(
    desk: Desk, org: int
) -> None:
    house = desk.house
    message = write(desk, ANN, PAT, bcc=("secret@yahoo.example",))
    assert unlocked(desk, copies(desk)[-1]).get_all("X-Envelope-To") == [PAT, "secret@yahoo.example"]
    status = house.pickup.status(house.session(ANN), message)
    assert [each.address for each in status.recipients] == [PAT, "secret@yahoo.example"]
    # From the laboratory to the clinic: before Ann has shown Eve's code, no archive and no journal of hers has it.
    seen = len(copies(desk))
    house.prove(house.session(ANN), ANN, write(desk, EVE, ANN))
    assert len(copies(desk)) == seen
    house.submit(EVE, [ANN, "hidden@yahoo.example"], house.mail(author=EVE, to=[ANN]))
    desk.deliver()
    newest = unlocked(desk, copies(desk)[-1])
    assert (newest["X-Envelope-From"], newest.get_all("X-Envelope-To")) == (EVE, [ANN])
    holders = {row["holder"] for row in house.engine.query("SELECT holder FROM grants WHERE message = :m", m=message)}
    assert account_holder(house.session(JOURNAL).account) not in holders
    taken = house.submit(ANN, [PAT], house.mail(author=ANN))
    house.pickup.expire(house.session(ANN), taken)
    before = len(copies(desk))
    desk.deliver()
    assert len(copies(desk)) == before + 1  # what is taken back was written all the same


# -- failures ---------------------------------------------------------------------------------------------------------


class Picky(Answers):
    """Takes everything but mail to one address."""

    def __init__(self, address: str, outcome: Outcome):
        super().__init__(DELIVERED)
        self.address, self.bad = address, outcome

    def send(self, envelope, tls_class, message, *, cleartext):  # type: ignore[no-untyped-def]
        outcome = super().send(envelope, tls_class, message, cleartext=cleartext)
        return self.bad if envelope.recipient == self.address else outcome


def picky(desk: Desk, outcome: Outcome) -> None:
    desk.answers = Picky(JOURNAL, outcome)
    vars(desk.house.courier)["courier"] = desk.answers
    vars(desk.courier)["_courier"] = desk.answers


def test_a_copy_that_fails_is_the_officers_to_know_once_a_day_and_not_the_authors(desk: Desk, org: int) -> None:
    picky(desk, REFUSED)
    message = write(desk, ANN, PAT)
    write(desk, ANN, PAT)
    desk.deliver()
    assert desk.answers.mails(PAT)
    assert desk.house.queued("dsn") == []
    told = [each for each in desk.answers.mails(OLIVE) if each["Subject"] == "About your CryptnSend account"]
    assert "Copies of mail do not arrive" in words(told[-1])
    assert len([each for each in told if "Copies of mail do not arrive" in words(each)]) == 1
    (stands,) = desk.house.owner.archiving.copies(org)
    assert (stands.failed, stands.arrived) == (2, 0)
    assert message in [each["message"] for each in stands.failures]
    assert ("keeper", "journal.failed") in desk.house.audited(org)
    desk.house.clock.forward(DAY + 1)
    write(desk, ANN, PAT)
    desk.deliver()
    assert len([each for each in desk.answers.mails(OLIVE) if "Copies of mail do not arrive" in words(each)]) == 2


REPORT = (
    b"From: <>\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n"
    b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
    b"Final-Recipient: rfc822; copies@clinic.example\r\nAction: failed\r\nStatus: 5.2.2\r\n\r\n--b--\r\n"
)
AWAY = f"From: {JOURNAL}\r\nAuto-Submitted: auto-replied\r\nSubject: Away\r\n\r\nI am away.\r\n".encode()


def test_an_automatic_answer_to_a_copy_makes_no_mail_and_a_bounce_is_the_officers_to_know(desk: Desk, org: int) -> None:
    write(desk, ANN, PAT)
    door = Door(desk.house)
    path = next(each.reverse_path for each, _, octets in desk.answers.sent if b"message-copy.zip" in octets)
    before = len(desk.answers.sent)
    assert door.bring(AWAY, path, sender="") == "250 2.0.0"
    desk.deliver()
    assert len(desk.answers.sent) == before
    assert door.bring(REPORT, path, sender="") == "250 2.0.0"
    desk.deliver()
    assert any("Copies of mail do not arrive" in words(each) for each in desk.answers.mails(OLIVE))
    assert desk.house.queued("dsn") == []


def test_a_mailbox_that_is_gone_keeps_no_message_from_its_way(desk: Desk, org: int) -> None:
    house = desk.house
    house.accounts.close(house.session(JOURNAL), PASSWORD, SOURCE)
    message = write(desk, ANN, PAT)
    desk.deliver()
    assert house.pickup.show(house.register(PAT, message), message).subject == "Canarysubject"
    assert copies(desk) == []
    assert any("Copies of mail do not arrive" in words(each) for each in desk.answers.mails(OLIVE))


def test_what_is_too_large_for_the_mailbox_is_in_the_archive_and_the_officers_know(desk: Desk, org: int) -> None:
    house = desk.house
    house.submit(ANN, [PAT], house.mail(author=ANN))
    house.tamper("UPDATE messages SET size = 20000000")
    desk.deliver()
    assert copies(desk) == []
    assert house.owner.archiving.copies(org)[0].failed == 1
    desk.deliver()
    assert any("Copies of mail do not arrive" in words(each) for each in desk.answers.mails(OLIVE))


# -- readable, for archive programs -----------------------------------------------------------------------------------


def readable(desk: Desk) -> None:
    keeper, session = desk.house.keeper("portal"), desk.house.session(JOURNAL)
    salt = keeper.salt(JOURNAL)
    keeper.profile(session.ticket, form="tls", k=derive(PASSWORD, salt.salt, Argon.decode(salt.params)))
    desk.house.session(JOURNAL)


def test_a_mailbox_that_wants_them_readable_gets_the_whole_message_over_a_proven_way_else_locked(
    desk: Desk, org: int
) -> None:
    readable(desk)
    write(desk, ANN, PAT)
    (mail,) = copies(desk)
    _, tls_class, _ = next(each for each in desk.answers.sent if each[0].recipient == JOURNAL)
    assert tls_class == "proven"
    text, part = mail.iter_parts()
    inside = part.get_content()
    assert (part.get_content_type(), inside["X-Envelope-To"], inside["Subject"]) == (
        "message/rfc822", PAT, "Canarysubject",
    )  # fmt: skip
    assert "first lines of the copy" in " ".join(str(text.get_content()).split())
    house = desk.house
    house.submit(ANN, [PAT], house.mail("Canarysubject", "Canarybody", author=ANN))
    house.tamper("UPDATE deliveries SET due = due + 60000 WHERE kind <> 'journal' AND state = 'due'")
    assert desk.row("journal")["form"] == "tls"
    desk.say(Outcome("failed", None, "5.7.1", "no proof", reason=Outcome.PROOF_MISSING), DELIVERED)
    desk.deliver()
    newest = copies(desk)[-1]
    assert b"Canarybody" not in newest.as_bytes()
    assert "Canarybody" in str(unlocked(desk, newest).get_content())
    assert (desk.row("journal")["form"], desk.row("journal")["state"]) == ("zip", "delivered")


# -- who may say so ---------------------------------------------------------------------------------------------------


def test_a_row_alone_sends_copies_nowhere(desk: Desk, org: int) -> None:
    text = '{"journal_to":["clinic.example eve@lab.example"]}'
    desk.house.tamper("UPDATE organisations SET policy = :t WHERE id = :org", t=text, org=org)
    write(desk, ANN, PAT)
    assert desk.house.queued("journal") == []
    desk.house.tamper(
        "UPDATE organisations SET policy = :t WHERE id = (SELECT org FROM accounts WHERE name = 'Eve')", t=text
    )
    write(desk, EVE, PAT)
    assert desk.house.queued("journal") == []


def test_a_changed_delivery_takes_a_copy_to_nobody_else(desk: Desk, org: int) -> None:
    house = desk.house
    house.submit(ANN, [PAT], house.mail("Canarysubject", "Canarybody", author=ANN))
    house.tamper(
        "UPDATE deliveries SET recipient = (SELECT id FROM addresses WHERE canonical = :eve) WHERE kind = 'journal'",
        eve=EVE,
    )
    desk.deliver()
    assert copies(desk) == []
    assert not any(b"message-copy" in octets for _, _, octets in desk.answers.sent)
    assert desk.row("journal")["state"] == "parked"


WRONG = {
    "other.example copies@clinic.example": "other.example is not",
    f"clinic.example {EVE}": "eve@lab.example is none",
    "clinic.example nobody@clinic.example": "nobody@clinic.example is none",
    "clinic.example": "no domain with an address",
}


def test_copies_are_of_proven_domains_and_go_to_the_organisations_own_on_an_officers_word(desk: Desk, org: int) -> None:
    house = desk.house
    for entry, why in WRONG.items():
        with pytest.raises(Denied, match=why):
            house.owner.owner.set_rules(org, {"journal_to": (entry,)}, "as agreed")
    with pytest.raises(Denied, match="stands once"):
        house.owner.owner.set_rules(org, {"journal_to": (*RULE, f"clinic.example {BOB}")}, "as agreed")
    with pytest.raises(Denied, match="subscribers of this organisation only"):  # whoever asks the keeper
        house.keeper("owner").organisation_policy(org, f'{{"journal_to":["clinic.example {EVE}"]}}')
    with pytest.raises(Denied):
        house.portal.organisations.set_rules(house.session(ANN), {}, "", None, PASSWORD, SOURCE)

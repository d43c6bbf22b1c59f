"""Are our reports what RFC 3464 says, whatever a peer answered and a client sent?"""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage, Message
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptnsend.config import web_root
from cryptnsend.core.addresses import Mailbox, canonical, is_address
from cryptnsend.delivery.courier import Outcome
from cryptnsend.delivery.outcome import one_line
from cryptnsend.flow.granting import Addressee
from cryptnsend.flow.mailwords import Faces
from cryptnsend.flow.outcomes import _how
from cryptnsend.flow.reports import ACTIONS, Report, build_report
from tests.flow.admitting import submit
from tests.flow.conftest import DELIVERED, LATER, REFUSED, Desk, Post, faces
from tests.support.house import HOUR, House

ANN, PAT, BOB, NOBODY = "ann@gmail.example", "pat@yahoo.example", "bob@icloud.example", "x@nowhere.example"
FACES = Faces(web_root())
SENT = 1_795_000_000_000


def entry(what: str = "failed", **about: Any) -> dict[str, Any]:
    """Return what is told about one recipient."""
    return {
        "action": what, "kind": "notice", "state": "failed", "attempts": 1, "created": SENT, "dsn": "{}",
        "address": PAT, "outcome": _how(REFUSED), "reply": REFUSED.reply, **about,
    }  # fmt: skip


def report(what: str = "failed", message_id: str = "<c1@desk.example>", **about: Any) -> bytes:
    """Build a report on one recipient without a house."""
    return report_on(entry(what, **about), message_id=message_id)


def report_on(*about: dict[str, Any], message_id: str = "<c1@desk.example>") -> bytes:
    """Build a report without a house."""
    made = Report(
        about, ANN, message_id, "<d77@mail.clinic.example>", SENT, SENT + HOUR, 32 * HOUR,
        "https://mail.clinic.example/sent/1", False, Mailbox("CryptnSend", "notice@mail.clinic.example"),
        "mail.clinic.example",
    )  # fmt: skip
    return build_report(made, FACES, "en")


def read(octets: bytes) -> tuple[EmailMessage, Message, Message]:
    """Return a report on one recipient, and its fields per message and per recipient."""
    whole, message, (recipient,) = read_all(octets)
    return whole, message, recipient


def read_all(octets: bytes) -> tuple[EmailMessage, Message, list[Message]]:
    """Return the report, and its fields per message and per recipient, as the standard library reads them."""
    whole = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(whole, EmailMessage)
    assert whole.get_content_type() == "multipart/report"
    assert whole.get_param("report-type") == "delivery-status"
    human, status, original = whole.iter_parts()
    assert human.get_content_type() == "multipart/alternative"
    assert original.get_content_type() == "text/rfc822-headers"
    assert status.get_content_type() == "message/delivery-status"
    plain = email.message_from_bytes(octets)  # the old policy: these fields are no header fields of mail
    _, status_, _ = plain.get_payload()  # type: ignore[misc]
    message, *recipients = status_.get_payload()  # type: ignore[union-attr, misc]
    return whole, message, recipients  # type: ignore[return-value]


def test_a_failure_has_all_the_fields_it_must_have() -> None:
    dsn = msgspec.json.encode({"envid": "QQ 314", "orcpt": "rfc822;Pat@Old.example", "notify": "FAILURE"}).decode()
    whole, message, recipient = read(report(dsn=dsn))
    assert dict(message.items()) == {
        "Original-Envelope-Id": "QQ 314",
        "Reporting-MTA": "dns; mail.clinic.example",
        "Arrival-Date": "Wed, 18 Nov 2026 11:06:40 +0000",
    }
    assert dict(recipient.items()) == {
        "Original-Recipient": "rfc822;Pat@Old.example",
        "Final-Recipient": f"rfc822;{PAT}",
        "Action": "failed",
        "Status": "5.1.1",
        "Remote-MTA": "dns; mx.example",
        "Diagnostic-Code": "smtp; 550 5.1.1 no such person",
    }
    assert (whole["In-Reply-To"], whole["References"]) == ("<c1@desk.example>", "<c1@desk.example>")
    assert whole["Auto-Submitted"] == "auto-replied"
    assert (str(whole["From"]), str(whole["To"])) == ("CryptnSend <notice@mail.clinic.example>", ANN)


@pytest.mark.parametrize("what", ACTIONS)
@pytest.mark.parametrize("kind", ["notice", "relay", "handoff"])
def test_each_kind_is_told_in_plain_words(what: str, kind: str) -> None:
    whole, _, recipient = read(report(what, kind=kind, attempts=4))
    text, html = faces(whole)
    assert recipient["Action"] == what
    assert PAT in text
    assert "https://mail.clinic.example/sent/1" in text
    assert ("no such person" in text) == ("no such person" in html) == (what != "relayed")
    assert not any(word in text for word in ("SMTP", "MTA", "DSN", "5.1.1", "550", "vault", "encrypt"))


def test_a_delay_says_until_when_it_is_tried() -> None:
    _, _, recipient = read(report("delayed", state="delayed", outcome=_how(LATER), reply=LATER.reply))
    assert recipient["Will-Retry-Until"] == "Thu, 19 Nov 2026 19:06:40 +0000"
    assert recipient["Status"] == "4.7.1"


def test_a_success_of_sealed_mail_says_relayed_and_shows_no_reply() -> None:
    _, _, recipient = read(report("relayed", state="delivered", outcome=_how(DELIVERED), reply="taken"))
    assert (recipient["Action"], recipient["Status"], recipient["Diagnostic-Code"]) == ("relayed", "2.0.0", None)


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        ("5.1.1", "does not seem to exist"), ("5.2.2", "mailbox is full"), ("5.2.1", "takes no mail"),
        ("4.4.1", "could not be reached"), ("5.3.4", "could not be reached"), ("5.6.7", "cannot take this kind"),
        ("5.1.10", "takes no mail at all"),
        ("5.7.1", "does not accept mail from us"), ("5.0.0", "Try again later"), ("", "Try again later"),
    ],
)  # fmt: skip
def test_a_failure_says_what_can_be_done(status: str, advice: str) -> None:
    outcome = _how(Outcome("failed", 550, status, "no", "mx.example"))
    text, _ = faces(read(report(outcome=outcome))[0])
    assert advice in " ".join(text.split())


def test_what_no_other_server_said_is_told_as_what_we_found() -> None:
    """A null MX is in the DNS: nobody answered, and a program must not read it as an answer (RFC 3464 §2.3.6)."""
    ours = Outcome("failed", None, "5.1.10", "nowhere.example says that it takes no mail (null MX)")
    whole, _, recipient = read(report(outcome=_how(ours), reply=ours.reply))
    assert recipient["Diagnostic-Code"].startswith("x-cryptnsend; 5.1.10 nowhere.example")
    for face in faces(whole):
        assert "What we found:" in face
        assert "in its own words" not in face


def test_codes_of_a_refusal_can_be_read_by_programs_whatever_its_words() -> None:
    said = Outcome("failed", 550, "5.1.1", "Postfach gelöscht", "mx.example")
    _, _, recipient = read(report(outcome=_how(said), reply=said.reply))
    assert recipient["Diagnostic-Code"] == r"smtp; 550 5.1.1 Postfach gel\x{F6}scht"


def test_a_refusal_without_a_word_is_told_by_its_number() -> None:
    said = Outcome("failed", 550, "5.0.0", "", "mx.example")
    whole, _, recipient = read(report(outcome=_how(said), reply=""))
    assert recipient["Diagnostic-Code"] == "smtp; 550 5.0.0"
    assert "550" in faces(whole)[0]


def test_an_international_address_is_written_so_that_seven_bits_suffice() -> None:
    octets = report(address=canonical("päule@mail.example"))
    _, _, recipient = read(octets)
    assert recipient["Final-Recipient"] == r"utf-8;p\x{E4}ule@mail.example"
    assert octets.partition(b"\r\n\r\n")[0].isascii()


@pytest.mark.parametrize(
    "ident", ["", "<a b@c>", "<ü@c.example>", f"<{'x' * 985}@c>", "no-brackets", "<a>\r\nBcc: x@y.example"]
)
def test_an_id_that_cannot_stand_in_a_header_is_left_out(ident: str) -> None:
    octets = report(message_id=ident)
    whole, _, _ = read(octets)
    assert (whole["In-Reply-To"], whole["Bcc"]) == (None, None)
    assert all(len(line) <= 998 for line in octets.split(b"\r\n"))


@given(
    reply=st.text(max_size=600),
    host=st.text(max_size=80),
    status=st.text(max_size=12),
    envid=st.text(max_size=100),
    orcpt=st.text(max_size=200),
    ident=st.text(max_size=80),
    what=st.sampled_from(ACTIONS),
)
def test_whatever_others_said_a_report_stays_a_report(
    reply: str, host: str, status: str, envid: str, orcpt: str, ident: str, what: str
) -> None:
    octets = report(
        what,
        ident,
        reply=one_line(reply),
        outcome=_how(Outcome("failed", 550, one_line(status), one_line(reply), one_line(host))),
        dsn=msgspec.json.encode({"envid": one_line(envid), "orcpt": one_line(orcpt)}).decode(),
    )
    whole, message, recipient = read(octets)
    assert recipient["Action"] == what
    assert len(message.items()) in (2, 3)
    assert [name for name in whole if name.lower() in ("bcc", "cc", "sender")] == []
    assert b"\r" not in octets.replace(b"\r\n", b"")
    assert b"\n" not in octets.replace(b"\r\n", b"")
    assert all(len(line) <= 998 for line in octets.split(b"\r\n"))


@given(st.text(max_size=60))
def test_any_address_that_was_taken_can_be_reported(address: str) -> None:
    if is_address(address):
        _, _, recipient = read(report(address=canonical(address)))
        assert recipient["Final-Recipient"].isascii()


# -- in a house -------------------------------------------------------------------------------------------------------


def test_a_report_goes_to_the_author_and_names_nobody_but_who_was_not_reached(post: Post) -> None:
    house: House = post.house
    house.add_subscriber(ANN)
    octets = house.mail("Canarysubject", "Canarybody", to=[PAT], cc=[NOBODY], bcc=[BOB])
    submit(house, octets, [PAT, NOBODY, BOB])
    post.deliver()
    (mail,) = [each for each in post.mails(ANN) if each.parsed.get_content_type() == "multipart/report"]
    assert mail.reverse_path in ("", "<>")
    whole = mail.octets.decode() + "".join(faces(mail.parsed))
    for word in ("Canarysubject", "Canarybody", PAT, BOB):
        assert word not in whole
    assert NOBODY in whole
    ident = next(line for line in octets.split(b"\r\n") if line.startswith(b"Message-ID: "))[12:].decode()
    assert mail.parsed["In-Reply-To"] == ident
    read(mail.octets)


def test_a_failure_of_who_was_written_to_in_secret_is_told_to_the_author_alone(post: Post) -> None:
    house = post.house
    house.add_subscriber(ANN)
    submit(house, house.mail(to=[PAT], bcc=[NOBODY]), [PAT, NOBODY])
    post.deliver()
    told = [
        address
        for address in post.internet.addresses()
        for mail in post.mails(address)
        if NOBODY.encode() in mail.octets
    ]
    assert set(told) == {ANN}


def test_a_recipient_hears_of_a_reply_that_did_not_arrive(desk: Desk) -> None:
    house = desk.house
    house.add_subscriber(ANN)
    message = house.submit(ANN, [PAT], house.mail("Canarysubject"))
    desk.deliver()
    session = house.register(PAT, message)
    house.replies.send(session, message, everybody=False, text="Canarybody", files=[], nonce=b"1" * 16)
    desk.say(REFUSED, DELIVERED)
    desk.deliver()
    mail = desk.answers.mails(PAT)[-1]
    assert mail.get_content_type() == "multipart/report"
    assert ANN in faces(mail)[0]
    assert b"Canary" not in mail.as_bytes()
    # A recipient has no Sent page: the link leads to what they wrote.
    assert all("/messages/" in face and "/sent/" not in face for face in faces(mail))


def test_what_the_client_called_its_envelope_comes_back(desk: Desk) -> None:
    house = desk.house
    house.add_subscriber(ANN)
    submit(house, house.mail(), [Addressee(PAT, "SUCCESS", "rfc822;Pat.Lee@yahoo.example")])
    desk.deliver()
    (octets,) = [each for _, _, each in desk.answers.sent if b"multipart/report" in each]
    _, _, recipient = read(octets)
    assert recipient["Original-Recipient"] == "rfc822;Pat.Lee@yahoo.example"
    assert recipient["Action"] == "relayed"

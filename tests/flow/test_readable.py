"""Replies that arrive readable: only for whoever chose so with their password, and only over a way that is proven."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import pytest

from cryptnsend.core.errors import Denied, WrongSecret
from cryptnsend.core.mime import entity_header
from cryptnsend.core.policy import Handoff
from cryptnsend.delivery.courier import Outcome
from cryptnsend.flow.granting import Addressee, Envelope
from tests.flow.conftest import DELIVERED, LATER, Desk, faces, links_in, parsed
from tests.flow.letters import sent, upload, words
from tests.flow.test_plain_rules import run
from tests.support.house import PASSWORD, SOURCE, House, MakeHouse

ANN, BOB, PAT = "ann@gmail.example", "bob@gmail.example", "pat@yahoo.example"
NO_TLS = Outcome("failed", None, "5.7.10", "offers no TLS", "mx.example", reason=Outcome.TLS_MISSING)
NO_PROOF = Outcome("failed", None, "5.7.10", "nobody vouches", "mx.example", reason=Outcome.PROOF_MISSING)


def choose(house: House, form: str = "tls", password: str = PASSWORD, address: str = ANN) -> None:
    house.accounts.set_profile(
        house.session(address), name="Dr. Ann Ruiz", phone="", form=form, password=password, source=SOURCE
    )


def answered(desk: Desk, text: str = "Thank you.", files: tuple[object, ...] = ()) -> int:
    """Let Pat answer Ann on the page; return the answer."""
    house = desk.house
    message = house.submit(ANN, [PAT], house.mail("Canarysubject"))
    desk.deliver()
    pat = house.register(PAT, message)
    return house.replies.send(pat, message, everybody=False, text=text, files=list(files), nonce=b"1" * 16)  # type: ignore[arg-type]


@pytest.fixture
def ann(desk: Desk) -> int:
    made = desk.house.add_subscriber(ANN, name="Dr. Ann Ruiz")
    choose(desk.house)
    return made


# -- turning it on ----------------------------------------------------------------------------------------------------


def test_it_takes_the_password_and_is_told_by_mail(desk: Desk) -> None:
    house = desk.house
    house.add_subscriber(ANN)
    for wrong in ("", "not the password at all"):
        with pytest.raises(WrongSecret):
            choose(house, password=wrong)
    assert house.accounts.profile(house.session(ANN)).form == "zip"
    choose(house)
    assert house.accounts.profile(house.session(ANN)).form == "tls"
    assert (ANN, "replies-readable") in house.alerts()
    assert "Whoever can read that mailbox can read the replies from now on." in words(sent(desk, ANN))
    choose(house, password="")  # what is on already is not asked for again
    choose(house, form="zip", password="")


def test_the_keeper_asks_for_the_password_whatever_a_page_says(house: House) -> None:
    house.add_subscriber(ANN)
    with pytest.raises(WrongSecret):
        house.keeper("portal").profile(house.session(ANN).ticket, form="tls")
    with pytest.raises(WrongSecret):
        house.keeper("portal").profile(house.session(ANN).ticket, form="tls", k=bytes(32))


def test_an_installation_or_an_organisation_may_forbid_it(make_house: MakeHouse) -> None:
    forbids = make_house(policy={"tls_replies": False})
    forbids.add_subscriber(ANN)
    assert not forbids.accounts.profile(forbids.session(ANN)).may_tls
    with pytest.raises(Denied, match="forbid it"):
        choose(forbids)
    house = make_house()
    org = house.organisation("Clinic")
    house.add_subscriber(ANN, organisation=org)
    choose(house)
    run(house, "policy", "set", "tls-replies", "forbid", "--why", "as agreed")
    desk = Desk(house)
    with closing(desk.courier):
        answered(desk)
        mail = sent(desk, ANN)
        assert mail.get_content_type() == "multipart/alternative"
        assert b"Thank you." not in mail.as_bytes(), "from the moment it is forbidden"


# -- what arrives -----------------------------------------------------------------------------------------------------


def test_a_reply_arrives_readable_over_a_proven_way(desk: Desk, ann: int) -> None:
    octets = bytes(range(256)) * 400
    answered(desk, "Grüße\r\n--\r\nPat", (upload("Scan über.pdf", octets),))
    mail = sent(desk, ANN)
    envelope, tls_class, raw = next(each for each in desk.answers.sent if b"Scan" in each[2])
    assert (envelope.recipient, tls_class) == (ANN, "proven")
    note, content = mail.iter_parts()
    assert (note.get_content_type(), content.get_content_type()) == ("text/plain", "multipart/mixed")
    body, file = content.iter_parts()
    assert body.get_content().replace("\r\n", "\n") == "Grüße\n--\nPat\n"
    assert (file.get_filename(), file.get_payload(decode=True)) == ("Scan über.pdf", octets)
    said = note.get_content()
    assert said.startswith("You have a secure reply\r\n"), "what a locked screen shows"
    assert PAT in said
    (link,) = links_in(said)
    assert desk.house.pickup.waiting(link.rpartition("/")[2])
    header = raw.partition(b"\r\n\r\n")[0]
    assert PAT.encode() not in header
    assert b"Canarysubject" not in header
    assert str(mail["Subject"]) == "You have a secure reply"
    first = desk.house.engine.query("SELECT message_id FROM messages ORDER BY id")[0]["message_id"]
    assert (str(mail["In-Reply-To"]), str(mail["References"])) == (first, first)
    assert raw.count(b"DKIM-Signature: ") == 2


@pytest.mark.parametrize("refusal", [NO_TLS, NO_PROOF], ids=["no TLS", "no proof"])
def test_without_a_proven_way_it_is_a_link_at_once_and_says_so(desk: Desk, ann: int, refusal: Outcome) -> None:
    desk.deliver()
    answered(desk, "private words")
    desk.say(refusal, DELIVERED)
    desk.deliver()
    (_, first, _), (_, second, octets) = desk.answers.sent[-2:]
    assert (first, second) == ("proven", "opportunistic")
    mail = parsed(octets)
    assert "nothing proves that the way to your mail server is safe" in words(mail)
    assert "private words" not in words(mail)
    row = desk.row("handoff")
    assert (row["state"], row["form"], row["queue_wrap"]) == ("delivered", "link", None)


def test_a_message_larger_than_goes_to_an_inbox_is_a_link(make_house: MakeHouse) -> None:
    house = make_house(delivery={"handoff_octets": 65_536})
    house.add_subscriber(ANN)
    choose(house)
    desk = Desk(house)
    with closing(desk.courier):
        answered(desk, "x" * 80_000)
        assert "too large for your mailbox" in words(sent(desk, ANN))


def test_a_repeated_try_is_the_same_mail(desk: Desk, ann: int) -> None:
    desk.deliver()
    answered(desk, "private words")
    desk.say(LATER, DELIVERED)
    desk.deliver()
    desk.house.clock.forward(3_600_000)
    desk.deliver()
    first, second = (octets for _, tls_class, octets in desk.answers.sent if tls_class == "proven")
    assert first == second
    assert b"private words" in first


def test_what_the_sender_sees_is_not_called_locked(desk: Desk) -> None:
    house = desk.house
    org = house.organisation("Clinic")
    house.add_subscriber(ANN, organisation=org)
    house.add_subscriber(BOB, organisation=org, name="Bob")
    choose(house)
    message = house.submit(BOB, [ANN], house.mail("Rota", author=BOB, to=[ANN]))
    desk.deliver()
    (reached,) = house.pickup.status(house.session(BOB), message).recipients
    assert reached.state == "readable"
    mail = desk.answers.mails(ANN)[-1]
    assert "Bob wrote it on" in words_of(mail)


def words_of(mail: object) -> str:
    note, _ = mail.iter_parts()  # type: ignore[attr-defined]
    return " ".join(note.get_content().split())


def test_secure_at_the_start_of_a_subject_keeps_it_in_the_vault(desk: Desk) -> None:
    house = desk.house
    org = house.organisation("Clinic")
    house.add_subscriber(ANN, organisation=org)
    house.add_subscriber(BOB, organisation=org, name="Bob")
    choose(house)
    house.submit(BOB, [ANN], house.mail("secure/ Rota", author=BOB, to=[ANN]))
    mail = sent(desk, ANN)
    assert b"All is well." not in mail.as_bytes()


def lock(row: str) -> Callable[[House], None]:
    return lambda house: house.tamper(f"UPDATE deliveries SET {row} WHERE kind = 'handoff'")  # noqa: S608 - texts of this file


@pytest.mark.parametrize("change", [lock("form = 'zip'"), lock("kind = 'relay', form = ''")], ids=["zip", "relay"])
def test_a_changed_row_makes_nothing_readable_of_it(desk: Desk, ann: int, change: Callable[[House], None]) -> None:
    desk.deliver()
    answered(desk, "private words")
    change(desk.house)
    desk.deliver()
    assert not any(b"private words" in octets for _, _, octets in desk.answers.sent)


def test_a_changed_class_changes_nothing(desk: Desk, ann: int) -> None:
    """The way of a readable handoff follows from its form, which its key is bound to."""
    desk.deliver()
    answered(desk, "private words")
    desk.house.tamper("UPDATE deliveries SET tls_class = 'opportunistic' WHERE kind = 'handoff'")
    desk.deliver()
    assert [tls_class for _, tls_class, octets in desk.answers.sent if b"private words" in octets] == ["proven"]


def test_a_locked_file_cannot_be_made_readable_by_a_row(desk: Desk) -> None:
    desk.house.add_subscriber(ANN)
    answered(desk, "private words")
    desk.house.tamper("UPDATE deliveries SET form = 'tls' WHERE kind = 'handoff'")
    desk.deliver()
    assert desk.row("handoff")["state"] == "parked"
    assert not any(b"private words" in octets for _, _, octets in desk.answers.sent)


def test_requiretls_is_asked_for_on_the_whole_way(desk: Desk) -> None:
    house = desk.house
    org = house.organisation("Clinic")
    house.add_subscriber(ANN, organisation=org)
    house.add_subscriber(BOB, organisation=org, name="Bob")
    choose(house)
    draft = house.door.admission.begin(
        house.owner.owner.author(BOB), Envelope(BOB, (Addressee(ANN),), requiretls=True), "smtp"
    )
    octets = house.mail("Rota", author=BOB, to=[ANN])
    end = octets.index(b"\r\n\r\n") + 4
    draft.header(octets[:end])
    draft.body(octets[end:])
    draft.commit_now()
    desk.deliver()
    assert [envelope.requiretls for envelope, _, octets in desk.answers.sent if b"All is well." in octets] == [True]


# -- pieces -----------------------------------------------------------------------------------------------------------


def test_a_readable_form_protects_less_than_a_locked_one() -> None:
    assert Handoff("tls", "member").rank < Handoff("zip", "member").rank
    assert "readable, if the way there is proven" in Handoff("tls", "member").explain()


@pytest.mark.parametrize(
    ("header", "fields"),
    [
        (b"Subject: x\r\n\r\n", b""),
        (b"CONTENT-TYPE: a/b;\r\n\tc=d\r\nSubject: x\r\n\r\n", b"Content-Type: a/b;\r\n\tc=d\r\n"),
        (
            b"Content-Type: a/b\r\nContent-Type: c/d\r\nContent-Transfer-Encoding: 8bit\r\n\r\nContent-Type: e/f\r\n",
            b"Content-Type: a/b\r\nContent-Transfer-Encoding: 8bit\r\n",
        ),
        (b"X-Content-Type: a/b\r\nSubject:\r\n Content-Type: c/d\r\n\r\n", b""),
    ],
)  # fmt: skip
def test_a_body_keeps_the_fields_by_which_it_is_read(header: bytes, fields: bytes) -> None:
    assert entity_header(header) == fields


def test_who_chose_a_locked_file_is_told_nothing_else(desk: Desk) -> None:
    desk.house.add_subscriber(ANN)
    answered(desk)
    mail = sent(desk, ANN)
    assert "sent to you locked" in " ".join(faces(mail)[0].split())

"""Replies encrypted to a subscriber's own key, and mail to keys that a sender knows."""

from __future__ import annotations

import email
import logging
import tempfile
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from pathlib import Path

import dkim
import pytest

from cryptnsend.core.cards import read_card
from cryptnsend.core.errors import CryptnSendError, Denied, Refusal, WrongSecret
from cryptnsend.core.model import account_holder
from cryptnsend.delivery.dkim import dns_record
from cryptnsend.ownkeys.locksmith import Locksmith
from tests.flow.conftest import Desk, faces, links_in
from tests.flow.letters import sent, words
from tests.flow.rows import recipients
from tests.flow.test_canary import variants
from tests.support.house import DAY, PASSWORD, SOURCE, House, MakeHouse
from tests.support.ownkeys import Gnupg, certificate, gnupg, lend, locksmith, openssl_opens, private_pem

__all__ = ["gnupg", "locksmith"]

ANN, PAT = "ann@gmail.example", "pat@yahoo.example"
CANARY = "Canarychromatosis"


@pytest.fixture
def ann(desk: Desk, locksmith: Locksmith) -> int:
    lend(locksmith, desk.house.courier, desk.house.portal)
    return desk.house.add_subscriber(ANN, name="Dr. Ann Ruiz")


@pytest.fixture(scope="module")
def ann_key(gnupg: Gnupg) -> bytes:
    return gnupg.make(f"Ann <{ANN}>")


@pytest.fixture(scope="module")
def pat_key(gnupg: Gnupg) -> bytes:
    return gnupg.make(f"Pat <{PAT}>")


def has_key(house: House, octets: bytes, form: str) -> None:
    session = house.session(ANN)
    house.portal.ownkeys.set_own(session, octets, PASSWORD, SOURCE)
    house.accounts.set_profile(house.session(ANN), name="Dr. Ann Ruiz", phone="", form=form)


def replied(desk: Desk, text: str = CANARY) -> EmailMessage:
    house = desk.house
    message = house.submit(ANN, [PAT], house.mail("Results of Canarysubject", to=[PAT]))
    desk.deliver()
    is_known = any(
        row["account"] for row in house.engine.query("SELECT account FROM addresses WHERE canonical = :a", a=PAT)
    )
    session = house.session(PAT) if is_known else house.register(PAT, message)
    house.replies.send(session, message, everybody=False, text=text, files=(), nonce=b"1" * 16)
    return sent(desk, ANN)


def opened(gnupg: Gnupg, mail: EmailMessage) -> EmailMessage:
    """Return what gpg finds in PGP/MIME."""
    _, body = mail.iter_parts()
    inside = email.message_from_bytes(gnupg.run("--decrypt", octets=body.get_payload(decode=True)), policy=policy.SMTP)
    assert isinstance(inside, EmailMessage)
    return inside


def checked(mail: EmailMessage, inside: EmailMessage) -> None:
    """Nothing is outside, and everything inside."""
    assert str(mail["Subject"]) == "You have a secure reply"
    assert str(mail["From"]).startswith("Secure reply via CryptnSend <r+")
    for secret in (CANARY, "Canarysubject", PAT):
        assert secret not in mail.as_string()
    assert "Canarysubject" in str(inside["Subject"])
    assert str(inside["From"]).endswith(str(mail["From"]).partition("<")[2])
    assert inside["Message-ID"] == mail["Message-ID"]
    assert inside["In-Reply-To"] == mail["In-Reply-To"] is not None
    assert [str(each) for each in inside.get_all("HP-Outer", [])] == [
        f"{name}: {mail[name]}"
        for name in ("Date", "From", "To", "Subject", "Message-ID", "In-Reply-To", "References", "Auto-Submitted")
    ]
    about, whole = inside.iter_parts()
    assert "came locked to your own key" in " ".join(about.get_content().split())
    assert PAT in about.get_content()
    assert any("/m/" in each for each in links_in(about.get_content()))
    assert CANARY in "".join(part.get_content() for part in whole.walk() if part.get_content_type() == "text/plain")


def signed(desk: Desk) -> bool:
    """Say whether DKIM holds for the newest mail, as it left."""
    octets = next(each for _, _, each in reversed(desk.answers.sent) if b"Subject: You have a secure" in each)
    keys = desk.house.courier.signers.own()
    records = {f"{each.selector}._domainkey.{each.domain}.": dns_record(each).encode() for each in keys}
    assert octets.count(b"DKIM-Signature: ") == len(keys) == 2
    indexes = [n for n, each in enumerate(keys) if each.algorithm == "rsa-sha256"]
    verifier = dkim.DKIM(octets)
    return all(verifier.verify(n, dnsfunc=lambda name, timeout=5: records[name.decode()]) for n in indexes)


def test_gpg_opens_a_reply(desk: Desk, ann: int, gnupg: Gnupg, ann_key: bytes) -> None:
    has_key(desk.house, ann_key, "openpgp")
    mail = replied(desk)
    checked(mail, opened(gnupg, mail))
    assert signed(desk)


def test_openssl_opens_a_reply(desk: Desk, ann: int, tmp_path: Path) -> None:
    has_key(desk.house, certificate(ANN), "smime")
    mail = replied(desk)
    assert signed(desk)
    octets = desk.answers.sent[-1][2]
    inside = email.message_from_bytes(openssl_opens(octets, tmp_path), policy=policy.SMTP)
    assert isinstance(inside, EmailMessage)
    checked(mail, inside)


def test_a_key_that_has_ended_is_never_used_and_the_reply_says_so(desk: Desk, ann: int, gnupg: Gnupg) -> None:
    has_key(desk.house, certificate(ANN, days=200), "smime")
    desk.house.clock.forward(60 * DAY)
    mail = replied(desk)
    assert "did not come locked to your own key" in words(mail)
    assert any("/m/" in each for each in links_in(faces(mail)[0]))
    assert CANARY not in mail.as_string()


def test_an_edited_row_swaps_in_no_other_key(
    desk: Desk, ann: int, ann_key: bytes, gnupg: Gnupg, locksmith: Locksmith
) -> None:
    house = desk.house
    has_key(house, ann_key, "openpgp")
    other = locksmith.read(gnupg.make(f"Eve as Ann <{ANN}>"), house.clock.now()).octets
    house.engine.write(lambda rows: rows.execute("UPDATE own_keys SET octets = :other", {"other": other})).result()
    assert [each.state for each in house.portal.ownkeys.own(house.session(ANN))] == ["changed"]
    mail = replied(desk)
    assert mail.get_content_type() != "multipart/encrypted"
    assert "did not come locked to your own key" in words(mail)


def test_a_forged_card_or_a_row_alone_makes_no_key(desk: Desk, ann: int, ann_key: bytes, locksmith: Locksmith) -> None:
    house = desk.house
    has_key(house, ann_key, "openpgp")
    house.portal.ownkeys.drop_own(house.session(ANN), "openpgp", PASSWORD, SOURCE)
    assert house.accounts.profile(house.session(ANN)).form == "zip"
    with pytest.raises(Denied, match="in this form"):
        house.accounts.set_profile(house.session(ANN), name="Dr. Ann Ruiz", phone="", form="openpgp")
    mail = replied(desk)
    assert [each.get_filename() for each in mail.iter_attachments()] == ["secure-reply.zip"]


def test_it_takes_the_password_and_is_noted_and_told(desk: Desk, ann: int, ann_key: bytes) -> None:
    house = desk.house
    session = house.session(ANN)
    with pytest.raises(WrongSecret):
        house.portal.ownkeys.set_own(session, ann_key, "not the password", SOURCE)
    assert house.portal.ownkeys.own(session) == []
    key = house.portal.ownkeys.set_own(session, ann_key, PASSWORD, SOURCE)
    (held,) = house.portal.ownkeys.own(session)
    assert (held.kind, held.fingerprint, held.state, held.name) == ("openpgp", key.fingerprint, "good", "OpenPGP")
    assert (ANN, "own-key-changed") in house.alerts()
    assert "key.added" in [action for _, action in house.audited(session.organisation)]
    house.portal.ownkeys.set_own(session, certificate(ANN), PASSWORD, SOURCE)
    assert [each.kind for each in house.portal.ownkeys.own(session)] == ["openpgp", "smime"]


def test_a_key_of_somebody_else_is_refused_in_words(desk: Desk, ann: int, pat_key: bytes, gnupg: Gnupg) -> None:
    house = desk.house
    session = house.session(ANN)
    for octets, said in (
        (pat_key, r"for pat@yahoo.example, and has to be for ann@gmail.example"),
        (certificate(PAT), r"for pat@yahoo.example"),
        (certificate(), r"names no address"),
        (gnupg.make("Nobody at all"), r"names no address"),
        (private_pem(), r"PRIVATE key.*not kept"),
        (b"hello", r"cannot be read as a key"),
    ):
        with pytest.raises(Refusal, match=said):
            house.portal.ownkeys.set_own(session, octets, PASSWORD, SOURCE)
    assert house.engine.query("SELECT 1 AS one FROM own_keys") == []


def test_after_a_reset_by_mail_no_key_counts(desk: Desk, ann: int, ann_key: bytes) -> None:
    house = desk.house
    has_key(house, ann_key, "openpgp")
    house.reset(ANN)
    with pytest.raises(Denied):
        house.portal.ownkeys.set_own(house.session(ANN), ann_key, PASSWORD, SOURCE)


# -- keys of others ---------------------------------------------------------------------------------------------------


@pytest.fixture
def allowing(make_house: MakeHouse, locksmith: Locksmith) -> Iterator[Desk]:
    """A house whose rules let mail leave encrypted to keys of those who get it."""
    made = Desk(make_house(policy={"own_keys": "everybody"}))
    lend(locksmith, made.house.courier, made.house.portal)
    made.house.add_subscriber(ANN, name="Dr. Ann Ruiz")
    yield made
    made.courier.close()


def knows(house: House, octets: bytes, address: str = PAT) -> None:
    """Let Ann know a key, whose fingerprint was compared."""
    keys, session = house.portal.ownkeys, house.session(ANN)
    keys.set_known(session, address, octets, keys.look(address, octets).fingerprint, PASSWORD, SOURCE)


def test_mail_goes_encrypted_to_a_key_that_the_sender_knows(allowing: Desk, gnupg: Gnupg, pat_key: bytes) -> None:
    house = allowing.house
    knows(house, pat_key)
    message = house.submit(ANN, [PAT], house.mail("Canarysubject", to=[PAT], text=CANARY))
    decided = recipients(house, message)[PAT]
    assert (decided["decision"], decided["form"], decided["reason"]) == ("encrypt", "openpgp", "known-key")
    mail = sent(allowing, PAT)
    assert str(mail["From"]) == '"Dr. Ann Ruiz via CryptnSend" <notice@mail.clinic.example>'
    assert str(mail["Subject"]) == "You have a secure message"
    assert CANARY not in mail.as_string()
    inside = opened(gnupg, mail)
    assert str(inside["Subject"]) == "Canarysubject"
    assert inside["Reply-To"] == mail["Reply-To"] is not None
    _, whole = inside.iter_parts()
    assert CANARY in whole.get_content()
    assert not house.queued("receipt"), "who reads it with a key of their own needs no code"
    assert allowing.row()["queue_wrap"] is None
    pat = house.register(PAT, message)
    assert house.pickup.show(pat, message).subject == "Canarysubject", "it waits on the page, too"


def test_requests_for_more_protection_are_never_lowered(allowing: Desk, pat_key: bytes) -> None:
    house = allowing.house
    knows(house, pat_key)
    for subject, decision in (("secure/ x", "vault"), ("encrypt/ x", "pdf"), ("x", "encrypt"), (":: x", "relay")):
        message = house.submit(ANN, [PAT], house.mail(subject, to=[PAT]))
        assert recipients(house, message)[PAT]["decision"] == decision


def test_an_ended_key_brings_a_notice_and_a_code_for_its_sender(allowing: Desk, pat_key: bytes) -> None:
    house = allowing.house
    knows(house, certificate(PAT, days=200))
    house.clock.forward(60 * DAY)
    house.submit(ANN, [PAT], house.mail("Canarysubject", to=[PAT], text=CANARY))
    mail = sent(allowing, PAT)
    assert any("/m/" in each for each in links_in(faces(mail)[0]))
    assert CANARY not in mail.as_string()
    house.clock.forward(60_000)
    allowing.deliver()
    assert allowing.answers.mails(ANN), "the code that Pat needs now"


def test_a_key_of_others_needs_its_fingerprint_and_the_rules(
    desk: Desk, ann: int, pat_key: bytes, gnupg: Gnupg, ann_key: bytes
) -> None:
    house = desk.house
    with pytest.raises(Denied, match="rules"):
        knows(house, pat_key)
    message = house.submit(ANN, [PAT], house.mail("x", to=[PAT]))
    assert recipients(house, message)[PAT]["decision"] == "vault"


def test_only_the_compared_key_is_kept_and_it_can_be_taken_away(
    allowing: Desk, pat_key: bytes, gnupg: Gnupg, ann_key: bytes
) -> None:
    house = allowing.house
    keys, session = house.portal.ownkeys, house.session(ANN)
    with pytest.raises(Refusal, match="another key"):
        keys.set_known(session, PAT, pat_key, "00" * 20, PASSWORD, SOURCE)
    with pytest.raises(Refusal, match="has to be for"):
        keys.look("june@x.example", pat_key)
    with pytest.raises(Refusal, match="your own address"):
        knows(house, ann_key, ANN)
    knows(house, certificate(PAT))
    knows(house, pat_key)
    assert [(each.address, each.kind) for each in keys.known(session)] == [(PAT, "openpgp")]
    assert keys.own(session) == []
    keys.drop_known(session, PAT, PASSWORD, SOURCE)
    assert keys.known(session) == []
    message = house.submit(ANN, [PAT], house.mail("x", to=[PAT]))
    assert recipients(house, message)[PAT]["decision"] == "vault"


# -- their end --------------------------------------------------------------------------------------------------------


def test_owners_are_told_before_a_key_ends_and_when_it_has(allowing: Desk) -> None:
    house = allowing.house
    has_key(house, certificate(ANN, days=220), "smime")  # 1 June and 220 days: until 7 January
    knows(house, certificate(PAT, days=220))

    def told() -> list[str]:
        house.clock.forward(2 * 3_600_000)
        house.upkeep.once()
        return [template for who, template in house.alerts() if who == ANN and template.startswith("own-key-")]

    before = len(told())
    house.clock.forward(10 * DAY)
    assert len(told()) == before, "more than 30 days are left"
    house.clock.forward(20 * DAY)
    assert told()[before:] == ["own-key-ends"] * 2
    assert told()[before:] == ["own-key-ends"] * 2, "once is enough"
    assert {each.state for each in house.portal.ownkeys.own(house.session(ANN))} == {"ends"}
    house.clock.forward(30 * DAY)
    assert sorted(told()[before:]) == ["own-key-ends"] * 2 + ["own-key-over"] * 2
    session = house.session(ANN)
    assert {each.state for each in house.portal.ownkeys.own(session)} == {"over"}
    assert "key.ended" in [action for _, action in house.audited(session.organisation)]


def test_keys_go_with_their_account(desk: Desk, ann: int, ann_key: bytes) -> None:
    house = desk.house
    has_key(house, ann_key, "openpgp")
    house.accounts.close(house.session(ANN), PASSWORD, SOURCE)
    assert house.engine.query("SELECT 1 AS one FROM own_keys") == []


# -- what rests, and who may ask --------------------------------------------------------------------------------------


def test_nothing_clear_rests_or_is_logged_while_mail_is_encrypted(
    allowing: Desk,
    ann_key: bytes,
    pat_key: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    spool = tmp_path / "tmp"
    spool.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spool))
    caplog.set_level(logging.DEBUG)
    house, mails = allowing.house, []
    for key, form in ((ann_key, "openpgp"), (certificate(ANN), "smime")):
        has_key(house, key, form)
        mails.append(replied(allowing).as_bytes())
        house.clock.forward(DAY)
    knows(house, pat_key)
    house.submit(ANN, [PAT], house.mail("Canarysubject", to=[PAT], text=CANARY))
    mails.append(sent(allowing, PAT).as_bytes())
    said = caplog.text + "".join(capfd.readouterr())
    looked_at = [path for folder in (house.home.path, spool) for path in folder.rglob("*") if path.is_file()]
    assert len(looked_at) > 5
    for word in (CANARY, "Canarysubject"):
        for variant in variants(word):
            assert [path.name for path in looked_at if variant in path.read_bytes()] == []
            assert all(variant not in mail for mail in mails)
        assert word not in said


def test_no_role_but_the_portal_chooses_keys_and_none_without_the_password(desk: Desk, ann: int) -> None:
    """What a taken-over process may ask for: nothing that turns replies to a key of its own."""
    house = desk.house
    session = house.session(ANN)
    for role in ("submission", "courier", "mailbox", "inbound"):
        for ask in (
            lambda keeper: keeper.set_own_key(session.ticket, b"k" * 32, "", "openpgp", b"m" * 32),
            lambda keeper: keeper.set_known_key(session.ticket, b"k" * 32, "", PAT, "openpgp", b"m" * 32),
        ):
            with pytest.raises(CryptnSendError):
                ask(house.keeper(role))
    with pytest.raises(WrongSecret):
        house.keeper("portal").set_own_key(session.ticket, b"k" * 32, "", "openpgp", b"m" * 32)
    with pytest.raises(WrongSecret):
        house.keeper("portal").set_known_key(session.ticket, b"k" * 32, "", PAT, "openpgp", b"m" * 32)
    signed = house.card(account_holder(ann))
    assert signed is not None
    card = read_card(signed, house.keeper("portal").anchors().card_key)
    assert (card.own_keys, card.known_keys) == ((), ())


def test_a_card_that_was_edited_or_put_back_sends_nothing_to_another_key(
    desk: Desk, ann: int, ann_key: bytes, gnupg: Gnupg, locksmith: Locksmith
) -> None:
    house = desk.house
    has_key(house, gnupg.make(f"Ann of before <{ANN}>"), "openpgp")
    before = house.card(account_holder(ann))
    octets = house.engine.query("SELECT octets FROM own_keys")[0]["octets"]
    assert before is not None
    has_key(house, ann_key, "openpgp")
    message = house.submit(ANN, [PAT], house.mail("x", to=[PAT]))
    desk.deliver()
    pat = house.register(PAT, message)
    house.replies.send(pat, message, everybody=False, text=CANARY, files=(), nonce=b"1" * 16)
    house.tamper("UPDATE own_keys SET octets = :octets", octets=octets)
    house.tamper(
        "UPDATE cards SET body = :body, signature = :signature WHERE holder = :holder",
        body=before.body, signature=before.signature, holder=account_holder(ann),
    )  # fmt: skip
    desk.deliver()
    assert [each for each in desk.answers.mails(ANN) if each.get_content_type() == "multipart/encrypted"] == []


def test_the_revocation_of_a_key_takes_it_away(allowing: Desk, gnupg: Gnupg) -> None:
    house = allowing.house
    has_key(house, gnupg.make(f"Ann who revokes <{ANN}>"), "openpgp")
    knows(house, gnupg.make(f"Pat who revokes <{PAT}>"))
    keys, session = house.portal.ownkeys, house.session(ANN)
    for name, left in (("Pat who revokes", [ANN]), ("Ann who revokes", [])):
        with pytest.raises(Refusal, match="was revoked"):
            keys.set_own(session, gnupg.revoke(name), PASSWORD, SOURCE)
        assert [each.address or ANN for each in (*keys.own(session), *keys.known(session))] == left
    assert house.accounts.profile(session).form == "zip"
    with pytest.raises(Refusal, match="was revoked"):
        keys.set_own(session, gnupg.public("Ann who revokes"), PASSWORD, SOURCE)

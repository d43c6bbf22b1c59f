"""`encrypt/`: a notice with a locked PDF, whose key waits for its proven reader."""

from __future__ import annotations

import base64
from email.message import EmailMessage

import pytest

from cryptnsend.core.errors import Ended, NoGrant, Refusal
from cryptnsend.core.policy import why
from cryptnsend.delivery.courier import Outcome
from cryptnsend.flow.documents import FILE
from cryptnsend.flow.views import Wishes, Writing
from cryptnsend.pdf.press import NotMade, Press
from tests.flow.conftest import DELIVERED, LATER, Desk, faces, links_in
from tests.flow.rows import recipients
from tests.pdf.papers import opened, text_of
from tests.support.house import House
from tests.support.press import lend

ANN, PAT, JUNE, DORA = "ann@gmail.example", "pat@yahoo.example", "june@x.example", "dora@x.example"
LARGE = Outcome("failed", 552, "5.3.4", "too large", "mx.example", reason=Outcome.TOO_LARGE)


@pytest.fixture
def ann(desk: Desk, press: Press) -> int:
    lend(press, desk.house.courier, desk.house.portal)
    return desk.house.add_subscriber(ANN, name="Dr. Ann Ruiz")


def written(house: House, *to: str, subject: str = "encrypt/ Canarysubject", text: str = "Haemochromatosis") -> bytes:
    return house.mail(subject, to=list(to) or [PAT], text=text)


def paper(mail: EmailMessage) -> bytes:
    """Return the document in a mail."""
    (part,) = mail.iter_attachments()
    assert (part.get_filename(), part.get_content_type()) == (FILE, "application/pdf")
    octets = part.get_payload(decode=True)
    assert isinstance(octets, bytes)
    return octets


def key(house: House, address: str, message: int) -> str:
    """Return the key that somebody who is signed in is shown."""
    return house.pickup.papers.keys(house.session(address), message)[1][0].key


def test_the_document_comes_with_the_notice_and_its_key_waits(desk: Desk, ann: int) -> None:
    house = desk.house
    message = house.submit(ANN, [PAT], written(house))
    assert recipients(house, message)[PAT]["decision"] == "pdf"
    desk.deliver()
    (mail,) = desk.answers.mails(PAT)
    octets = paper(mail)
    text = " ".join(faces(mail)[0].split())
    assert f"It is attached, locked: {FILE}" in text
    assert "has no attachment" not in text
    (link,) = [each for each in links_in(faces(mail)[0]) if "/m/" in each]
    assert link.endswith("?key")
    house.register(PAT, message)
    found = key(house, PAT, message)
    assert "Haemochromatosis" in text_of(octets, found)
    assert "Canarysubject" in text_of(octets, found)
    assert "encrypt/" not in text_of(octets, found)
    assert str(opened(octets, found).get_metadata_dict()["Title"]) == "Secure message"
    whole = mail.as_bytes() + octets
    for secret in (found, found.replace("-", ""), "Canarysubject", "Haemochromatosis"):
        assert secret.encode() not in whole
        assert base64.b64encode(secret.encode()) not in whole
    org = house.engine.query("SELECT org FROM messages WHERE id = :id", id=message)[0]["org"]
    did = [action for _, action in house.audited(org)]
    assert did.index("message.opened") < did.index("document.key-shown")


def test_each_recipient_has_another_key_and_no_other_opens_it(desk: Desk, ann: int) -> None:
    house = desk.house
    message = house.submit(ANN, [PAT, JUNE, DORA], written(house, PAT, JUNE))
    desk.deliver()
    papers = {each: paper(desk.answers.mails(each)[0]) for each in (PAT, JUNE, DORA)}
    for each in papers:
        house.register(each, message)
    keys = {each: key(house, each, message) for each in papers}
    assert len(set(keys.values())) == 3
    for each, octets in papers.items():
        assert "Haemochromatosis" in text_of(octets, keys[each])
        for other in set(papers) - {each}:
            with pytest.raises(Exception, match=r"[Pp]assword"):
                opened(octets, keys[other])
    assert DORA not in text_of(papers[PAT], keys[PAT]), "who got it in secret is shown to nobody"


def test_a_later_try_has_the_same_key(desk: Desk, ann: int) -> None:
    house = desk.house
    desk.say(LATER, DELIVERED)
    message = house.submit(ANN, [PAT], written(house))
    desk.deliver()
    house.clock.forward(20 * 60_000)
    desk.deliver()
    first, second = map(paper, desk.answers.mails(PAT))
    house.register(PAT, message)
    found = key(house, PAT, message)
    assert text_of(first, found) == text_of(second, found)
    assert desk.row()["queue_wrap"] is None, "the key goes once it has left"


def test_without_the_senders_code_there_is_no_key(desk: Desk, ann: int) -> None:
    house = desk.house
    earlier = house.submit(ANN, [JUNE], house.mail(to=[JUNE]))
    house.register(JUNE, earlier)
    message = house.submit(ANN, [PAT], written(house))
    house.add_subscriber("bob@x.example")
    bob = house.submit("bob@x.example", [PAT], house.mail(author="bob@x.example"))
    desk.deliver()
    pat = house.register(PAT, bob)  # proven to Bob, not to Ann
    for session in (pat, house.session(JUNE)):
        with pytest.raises(NoGrant):
            house.pickup.papers.keys(session, message)
        with pytest.raises(NoGrant):
            house.pickup.papers.document(session, message, "en")
    assert recipients(house, message)[PAT]["first_opened"] is None
    house.prove(pat, PAT, message)
    assert house.pickup.papers.keys(house.session(PAT), message)[1]


def test_what_was_taken_back_has_no_key_and_does_not_leave(desk: Desk, ann: int) -> None:
    house, session = desk.house, desk.house.session(ANN)
    message, late = (house.submit(ANN, [PAT], written(house, text=each)) for each in ("Haemochromatosis", "later"))
    house.pickup.expire(session, late)
    desk.deliver()
    assert len(desk.answers.mails(PAT)) == 1
    pat = house.register(PAT, message)
    house.pickup.expire(session, message)
    with pytest.raises(Ended):
        house.pickup.papers.keys(pat, message)
    house.pickup.restore(session, late)
    desk.deliver()
    mail = desk.answers.mails(PAT)[-1]
    assert list(mail.iter_attachments()) == []
    assert "waits on our page" in " ".join(faces(mail)[0].split())
    assert links_in(faces(mail)[0])


@pytest.mark.parametrize("why_not", ["too large for us", "too large for them", "nobody can make it"])
def test_what_cannot_go_as_a_document_goes_as_a_notice_and_says_so(desk: Desk, ann: int, why_not: str) -> None:
    house = desk.house
    if why_not == "too large for them":
        desk.say(LARGE, DELIVERED)
    text = "Haemochromatosis " * (40 if why_not != "too large for us" else 1_200_000)
    if why_not == "nobody can make it":
        vars(house.courier.documents)["make"] = _refuse
    house.submit(ANN, [PAT], written(house, text=text))
    desk.deliver()
    mails = desk.answers.mails(PAT)
    assert list(mails[-1].iter_attachments()) == []
    assert "It was to come as a locked file too" in " ".join(faces(mails[-1])[0].split())
    assert (desk.row()["form"], desk.row()["state"]) == ("", "delivered")


def _refuse(*given: object) -> bytes:
    raise NotMade("nothing can be made of it")


def test_replies_come_as_documents_to_who_wants_that(desk: Desk, ann: int) -> None:
    house = desk.house
    house.keeper("portal").profile(house.session(ANN).ticket, form="pdf")
    session = house.session(ANN)
    message = house.submit(ANN, [PAT], house.mail())
    pat = house.register(PAT, message)
    reply = house.replies.send(pat, message, everybody=False, text="Is it Walrusine?", files=(), nonce=b"1" * 16)
    desk.deliver()
    mail = desk.answers.mails(ANN)[-1]
    assert "Its key waits on our page" in " ".join(faces(mail)[0].split())
    assert PAT.encode() not in mail.as_bytes()
    letter, keys = house.pickup.papers.keys(session, reply)
    assert letter.as_document
    assert "Walrusine" in text_of(paper(mail), keys[0].key)


def test_anybody_who_may_read_saves_a_document(desk: Desk, ann: int) -> None:
    house = desk.house
    message = house.submit(ANN, [PAT], house.mail("Plainsubject"))
    pat = house.register(PAT, message)
    assert not house.pickup.show(pat, message).as_document
    for session in (pat, house.session(ANN)):
        part = house.pickup.papers.document(session, message, "es")
        found = house.pickup.papers.keys(session, message)[1][0]
        assert found.address == session.address
        assert "Plainsubject" in text_of(b"".join(part.chunks), found.key)
    vars(house.portal.documents)["make"] = _refuse
    with pytest.raises(Refusal, match="No PDF could be made"):
        house.pickup.papers.document(pat, message, "en")


def test_the_page_for_new_messages_asks_for_it_too(desk: Desk, ann: int) -> None:
    house, session = desk.house, desk.house.session(ANN)
    writing = Writing("Haemochromatosis", "Canarysubject", (PAT,), wishes=Wishes(pdf=True))
    draft = house.portal.drafts.save(session, writing)
    assert house.portal.drafts.draft(session, draft).writing.wishes.pdf
    message = house.portal.newmail.send(session, writing, nonce=b"n" * 16)
    assert house.pickup.status(session, message).subject == "Canarysubject"
    again = house.portal.newmail.take_up(session, message)
    kept = house.portal.drafts.draft(session, again).writing
    assert (kept.subject, kept.wishes.pdf, kept.wishes.plain) == ("Canarysubject", True, False)


def test_its_author_hears_why_and_which_code_to_tell(desk: Desk, ann: int) -> None:
    house, session = desk.house, desk.house.session(ANN)
    message = house.submit(ANN, [PAT], written(house))
    desk.deliver()
    (one,) = house.pickup.status(session, message).recipients
    assert (one.state, one.needs_code) == ("notified", True)
    assert one.way is not None
    assert one.way.why == why("pdf-token") == "the subject begins with encrypt/"
    assert "1" in faces(desk.answers.mails(ANN)[-1])[0], "the receipt tells the code"
    assert house.code(ANN, PAT) in "".join(faces(desk.answers.mails(ANN)[-1])[0].split())

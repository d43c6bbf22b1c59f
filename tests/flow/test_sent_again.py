"""What can a sender do about ordinary mail that did not get there, also by a fault of ours? Send it again, as new."""

from __future__ import annotations

import pytest

from cryptnsend.core.errors import Denied, NoGrant
from cryptnsend.flow.deliver import PAUSE
from tests.flow.conftest import DELIVERED, LATER, REFUSED, Desk, parsed
from tests.portal.real import portal, signed_in
from tests.support.house import MINUTE

ANN, ZOE, PAT, JUNE = "ann@gmail.example", "zoe@gmail.example", "pat@yahoo.example", "june@mail.example"
N = b"n" * 16


@pytest.fixture
def ann(desk: Desk) -> int:
    return desk.house.add_subscriber(ANN)


def parked(desk: Desk, monkeypatch: pytest.MonkeyPatch, subject: str = ":: Menu") -> int:
    """Let a mail to Pat and June break the program three times; return its number."""
    message = desk.house.submit(ANN, [PAT, JUNE], desk.house.mail(subject, "Soup.", to=[PAT, JUNE]))
    with monkeypatch.context() as broken:
        broken.setattr(desk.house.courier.letters, "compose", lambda row: 1 // 0)
        for _ in range(3):
            desk.deliver()
            desk.house.clock.forward(PAUSE)
    return message


def reports(desk: Desk) -> list[str]:
    desk.house.clock.forward(MINUTE)
    desk.deliver()
    return [str(mail) for mail in desk.answers.mails(ANN) if mail.get_content_type() == "multipart/report"]


def test_what_was_parked_is_sent_again_by_its_sender(desk: Desk, ann: int, monkeypatch: pytest.MonkeyPatch) -> None:
    house = desk.house
    message = parked(desk, monkeypatch)
    (report,) = reports(desk)
    assert "You can send it again." in report
    session = house.session(ANN)
    draft = house.portal.newmail.write_again(session, message, JUNE)
    writing = house.portal.drafts.draft(session, draft).writing
    assert (writing.to, writing.cc, writing.bcc) == ((JUNE,), (), ())
    assert (writing.subject, writing.text.strip(), writing.wishes.plain) == ("Menu", "Soup.", True)
    house.portal.newmail.send(session, writing, draft=draft, nonce=N)
    house.clock.forward(MINUTE)
    desk.deliver()
    (came,) = [parsed(octets) for envelope, _, octets in desk.answers.sent if envelope.recipient == JUNE]
    assert came["Subject"] == "Menu"
    assert desk.answers.mails(PAT) == []


def test_the_same_octets_from_a_mail_program_are_sent_again_too(
    desk: Desk, ann: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What did not get there is nothing that a resend would double."""
    message = parked(desk, monkeypatch)
    again = desk.house.submit(ANN, [PAT, JUNE], desk.house.mail(":: Menu", "Soup.", to=[PAT, JUNE]))
    assert again != message
    desk.deliver()
    assert len(desk.answers.mails(PAT)) == len(desk.answers.mails(JUNE)) == 1


def test_a_notice_that_was_parked_is_sent_again_from_its_page(
    desk: Desk, ann: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = desk.house
    message = parked(desk, monkeypatch, "Results")
    house.clock.forward(10 * MINUTE)  # between two notices to one person
    session = house.session(ANN)
    with pytest.raises(Denied, match="notice"):
        house.portal.newmail.write_again(session, message, PAT)
    assert house.portal.following.remind(session, message, PAT) == 1
    desk.deliver()
    assert len(desk.answers.mails(PAT)) == 1


def test_only_what_came_back_as_ordinary_mail_and_is_ones_own_is_written_again(desk: Desk, ann: int) -> None:
    house = desk.house
    house.add_subscriber(ZOE)
    desk.say(REFUSED, DELIVERED)
    message = house.submit(ANN, [PAT, JUNE], house.mail(":: Menu", to=[PAT, JUNE]))
    desk.deliver()
    session = house.session(ANN)
    states = {each.address: each.came_back_plain for each in house.pickup.status(session, message).recipients}
    (failed,) = [address for address, came_back in states.items() if came_back]
    (there,) = {PAT, JUNE} - {failed}
    for address in (there, ZOE):
        with pytest.raises(Denied):
            house.portal.newmail.write_again(session, message, address)
    with pytest.raises(NoGrant):
        house.portal.newmail.write_again(house.session(ZOE), message, failed)
    desk.say(LATER)
    later = house.submit(ANN, [PAT], house.mail(":: Later"))
    desk.deliver()
    with pytest.raises(Denied):
        house.portal.newmail.write_again(session, later, PAT)
    assert house.portal.newmail.write_again(session, message, failed)


def test_the_page_of_the_mail_has_a_button_for_it_and_none_for_a_notice(
    desk: Desk, ann: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = parked(desk, monkeypatch)
    visitor = signed_in(portal(desk.house), ANN)
    page = visitor.get(f"/sent/{message}").text
    assert "Not delivered" in page
    assert "Notice came back" not in page
    assert "Send the notice again" not in page
    draft = visitor.post(f"/sent/{message}/again", {"address": JUNE})
    assert draft.status_code == 303
    assert JUNE in visitor.follow().text
    refused = visitor.post(f"/sent/{message}/again", {"address": ZOE})
    assert refused.status_code == 404

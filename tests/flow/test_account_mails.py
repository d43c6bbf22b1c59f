"""Codes, invitations and alerts: mail about accounts."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator

import pytest

from cryptnsend.flow import account, belongings, estate, oversight, resetting, upkeep
from cryptnsend.flow.parcels import Moot
from cryptnsend.flow.visitors import Own
from tests.flow.conftest import Desk, faces, links_in, parsed
from tests.flow.letters import sent, words
from tests.support.house import PASSWORD, SOURCE

ANN, PAT, EVE = "ann@gmail.example", "pat@yahoo.example", "eve@hospital.example"
DOMAIN = "mail.clinic.example"


@pytest.fixture
def ann(desk: Desk) -> int:
    return desk.house.add_subscriber(ANN, name="Dr. Ann Ruiz")


def test_a_mailed_code_goes_to_the_address_it_proves_and_is_not_for_telling(desk: Desk, ann: int) -> None:
    desk.house.accounts.start_reset(ANN, "192.0.2.1")
    mail = sent(desk, ANN)
    code = desk.house.keeper("courier").mail_code(desk.row("code")["subject_id"]).code
    assert re.search(rf"^ {{4}}{code}$", faces(mail)[0], re.MULTILINE)
    assert "Tell it to nobody, not even to us." in words(mail)
    assert code not in str(mail["Subject"])
    assert links_in(faces(mail)[0]) == []


def test_a_code_that_is_over_is_not_mailed(desk: Desk, ann: int) -> None:
    desk.house.accounts.start_reset(ANN, "192.0.2.1")
    desk.house.clock.forward(24 * 3_600_000)
    desk.deliver()
    assert desk.row("code")["state"] == "cancelled"
    assert desk.answers.sent == []


def test_an_unknown_address_gets_no_mail(desk: Desk, ann: int) -> None:
    desk.house.accounts.start_reset(EVE, "192.0.2.1")
    desk.deliver()
    assert desk.answers.sent == []


def test_who_has_an_address_is_told_in_their_own_language_that_somebody_wanted_to_add_it(desk: Desk, ann: int) -> None:
    house = desk.house
    house.accounts.set_language(house.register(PAT, house.submit(ANN, [PAT], house.mail())), "es")
    eve = house.register(EVE, house.submit(ANN, [EVE], house.mail()))
    desk.deliver()
    desk.answers.sent.clear()
    house.accounts.start_alias(eve, PAT, SOURCE)
    mail = sent(desk, PAT)
    assert str(mail["Subject"]) == "Acerca de su cuenta de CryptnSend"
    assert f"Alguien quiso añadir {PAT} a otra cuenta." in words(mail)
    assert EVE not in faces(mail)[0]


def test_who_writes_a_letter_and_has_an_account_is_led_to_it(desk: Desk, ann: int) -> None:
    house = desk.house
    house.register(PAT, house.submit(ANN, [PAT], house.mail()))
    house.portal.visitors.save(house.session(ANN), Own("dr-ruiz", True, True, "Welcome.", "Bienvenidos."))
    desk.deliver()
    desk.answers.sent.clear()
    house.portal.visitors.start("dr-ruiz", PAT, SOURCE, "en", worked=True)
    mail = sent(desk, PAT)
    assert "wanted to write a letter here" in words(mail)


def test_an_invitation_has_link_and_code_and_goes_to_the_invited_only(desk: Desk) -> None:
    house = desk.house
    clinic = house.organisation("Ruiz Family Practice")
    house.owner.owner.invite(EVE, organisation=clinic, name="Eve")
    mail = sent(desk, EVE)
    assert str(mail["Subject"]) == "You are invited to send secure mail"
    assert "There is a place for you at Ruiz Family Practice now" in words(mail)
    (link,) = links_in(faces(mail)[0])
    assert link.startswith(f"https://{DOMAIN}/invite/")
    assert re.search(r"^ {4}\d{8}$", faces(mail)[0], re.MULTILINE)
    (row,) = house.engine.query("SELECT * FROM links WHERE purpose = 'invite'")
    assert row["address"] == EVE
    assert row["expires"] > house.clock.now()


MAIL = {"id": 1, "org": 1, "created": 0, "language": ""}  # of a row of the queue, what all kinds have


def test_every_alert_has_its_words_and_no_link_but_the_one_to_object_by(desk: Desk, ann: int) -> None:
    """Each template that a flow names is there; a warning with a link is what tricksters send."""
    named = set()
    for each in (account, belongings, estate, oversight, resetting, upkeep):
        named |= set(re.findall(r'_alert\([^)]*?"([a-z-]+)"\)', inspect.getsource(each)))
        named |= set(re.findall(r'account\["id"\], "([a-z-]+)"', inspect.getsource(each)))
        named |= set(re.findall(r'\((?:account|each), "([a-z-]+)"\)', inspect.getsource(each)))
    assert {"new-device", "password-reset", "contact-reset", "reset-waiting"} <= named
    letters, row = (
        desk.house.courier.letters,
        MAIL | {"subject_id": ann, "kind": "alert"},
    )
    for template in named:
        mail = parsed(_octets(letters.compose({**row, "template": template})))
        text, html = faces(mail)
        if template == "reset-waiting":  # whoever reads it cannot sign in any more
            (link,) = links_in(text)
            assert re.fullmatch(rf"https://{DOMAIN}/answer/[a-z2-7]+", link)
            assert html.count("href") == 1
            assert "asks for no password, and opens nothing" in words(mail)
            continue
        assert links_in(text) == []
        assert "href" not in html
        assert "no link in this mail on purpose" in words(mail)


def _octets(letter: object) -> bytes:
    octets = letter.octets  # type: ignore[attr-defined]
    assert isinstance(octets, bytes)
    return octets


@pytest.mark.parametrize("kind", ["notice", "handoff", "relay"])
def test_what_is_over_is_moot(desk: Desk, ann: int, kind: str) -> None:
    house = desk.house
    subject = ":: x" if kind == "relay" else "x"
    message = house.submit(ANN, [PAT], house.mail(subject))
    if kind == "handoff":
        desk.deliver()
        session = house.register(PAT, message)
        house.replies.send(session, message, everybody=False, text="x", files=[], nonce=b"1" * 16)
    row = next(row for row in _claimed(desk) if row["kind"] == kind)
    if kind == "notice":
        house.pickup.expire(house.session(ANN), message)
    elif kind == "handoff":
        house.tamper("UPDATE addresses SET account = NULL WHERE canonical = :ann", ann=ANN)
        row = {**row, "recipient_account": None}
    else:
        row = {**row, "queue_wrap": None}
    with pytest.raises(Moot):
        house.courier.letters.compose(row)


def _claimed(desk: Desk) -> Iterator[dict[str, object]]:
    claim: Callable[[], dict[str, object] | None] = desk.courier._claim
    while (row := claim()) is not None:
        yield row


def test_whoever_closes_an_account_is_told_at_its_original_address(desk: Desk, ann: int) -> None:
    house = desk.house
    pat = house.register(PAT, house.submit(ANN, [PAT], house.mail()))
    started = house.accounts.start_alias(pat, EVE, SOURCE)
    house.accounts.finish_alias(pat, started.id, house.mailed_code())
    desk.deliver()
    desk.answers.sent.clear()
    house.accounts.close(house.session(PAT), PASSWORD, SOURCE)
    mail = sent(desk, PAT)
    assert [envelope.recipient for envelope, _, _ in desk.answers.sent] == [PAT]
    assert "Your account is closed" in words(mail)
    assert links_in(faces(mail)[0]) == []
    assert "sign in" not in words(mail).lower().split("it was not you?")[1]  # nobody can, any more


def test_the_last_word_reaches_nobody_by_an_edited_row(desk: Desk, ann: int) -> None:
    desk.house.accounts.start_reset(ANN, SOURCE)
    subject = desk.row("code")["subject_id"]
    letters, row = (
        desk.house.courier.letters,
        MAIL | {"kind": "alert", "template": "account-closed"},
    )
    for wrong in (subject, ann):
        with pytest.raises(Moot):
            letters.compose({**row, "subject_id": wrong})

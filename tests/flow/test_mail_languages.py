"""In which language is a mail written?"""

from __future__ import annotations

import pytest

from tests.flow.conftest import Desk, faces
from tests.flow.due import reply
from tests.flow.letters import sent, words
from tests.support.house import SOURCE

ANN, PAT, EVE = "ann@gmail.example", "pat@yahoo.example", "eve@hospital.example"


@pytest.fixture
def ann(desk: Desk) -> int:
    return desk.house.add_subscriber(ANN, name="Dr. Ann Ruiz")


def speaks(desk: Desk, address: str, language: str) -> None:
    desk.house.accounts.set_language(desk.house.session(address), language)


def test_a_newcomer_is_written_to_in_the_senders_language(desk: Desk, ann: int) -> None:
    speaks(desk, ANN, "es")
    desk.house.submit(ANN, [EVE], desk.house.mail(to=[EVE]))
    mail = sent(desk, EVE)
    assert str(mail["Subject"]) == "Dr. Ann Ruiz le ha enviado un mensaje seguro"
    assert str(mail["From"]).startswith('"Dr. Ann Ruiz por CryptnSend" <notice@')
    text, html = faces(mail)
    assert '<html lang="es">' in html
    assert "le escribió el miércoles 18 de noviembre de 2026 a las 11:06 UTC" in words(mail)
    assert "secure message" not in text


def test_whoever_chose_a_language_is_written_to_in_it(desk: Desk, ann: int) -> None:
    house = desk.house
    house.register(PAT, house.submit(ANN, [PAT], house.mail()))
    speaks(desk, PAT, "es")
    house.submit(ANN, [PAT], house.mail())
    assert str(sent(desk, PAT)["Subject"]) == "Dr. Ann Ruiz le ha enviado un mensaje seguro"
    speaks(desk, PAT, "en")
    speaks(desk, ANN, "es")
    house.submit(ANN, [PAT], house.mail())
    assert str(sent(desk, PAT)["Subject"]) == "Dr. Ann Ruiz sent you a secure message"


def test_receipt_and_reply_speak_the_subscribers_language(desk: Desk, ann: int) -> None:
    house = desk.house
    speaks(desk, ANN, "es")
    message = house.submit(ANN, [PAT], house.mail())
    assert str(sent(desk, ANN)["Subject"]) == "Su mensaje se envió. Un código que decir."

    reply(house, message)
    mail = sent(desk, ANN)
    assert str(mail["Subject"]) == "Tiene una respuesta segura"
    assert "Respuesta segura por CryptnSend" in str(mail["From"])


def test_a_mailed_code_speaks_as_the_page_it_was_asked_for_on(desk: Desk, ann: int) -> None:
    desk.house.accounts.start_reset(ANN, SOURCE, "es")
    mail = sent(desk, ANN)
    assert str(mail["Subject"]) == "Su código de CryptnSend"
    assert "No se lo diga a nadie, tampoco a nosotros." in words(mail)


def test_a_language_that_we_do_not_speak_is_english(desk: Desk, ann: int) -> None:
    speaks(desk, ANN, "de")
    desk.house.submit(ANN, [PAT], desk.house.mail())
    assert str(sent(desk, PAT)["Subject"]) == "Dr. Ann Ruiz sent you a secure message"


def test_choosing_a_language_is_in_the_log_of_the_account(desk: Desk, ann: int) -> None:
    speaks(desk, ANN, "es")
    log = desk.house.accounts.access_log(desk.house.session(ANN))
    assert "account.language" in {each.action for each in log}

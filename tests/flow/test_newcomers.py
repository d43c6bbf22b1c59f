"""What may those do who signed up by themselves, in their first days? Less than people somebody vouches for."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from cryptnsend.__main__ import main
from cryptnsend.core.cards import read_card
from cryptnsend.core.errors import Temporary
from cryptnsend.core.policy import Relay, Vault
from cryptnsend.flow.granting import Addressee, Envelope
from tests.flow.rows import recipients
from tests.support.house import AGENT, DAY, OTHER, PASSWORD, SOURCE, House, MakeHouse

ANN, BOB, PAT = "ann@gmail.example", "bob@gmail.example", "pat@yahoo.example"
STRANGERS = [f"stranger{number}@mail.example" for number in range(5)]


@pytest.fixture
def house(make_house: MakeHouse) -> House:
    """A house where anybody may sign up; newcomers have three new recipients a day."""
    return make_house(signup={"mode": "open", "newcomer_recipients_per_day": 3}, limits={"new_recipients_per_day": 4})


def sign_up(house: House, address: str = ANN) -> int:
    started = house.accounts.start_signup(address, SOURCE)
    entered = house.accounts.finish_signup(started.id, house.mailed_code(), PASSWORD, "Ann Ruiz", SOURCE, AGENT, "en")
    return house.found(entered).account


def write(house: House, to: list[str], subject: str = "hello", author: str = ANN) -> int:
    return house.submit(author, to, house.mail(subject, author=author, to=to))


def decision(house: House, message: int, to: str = PAT) -> tuple[str, str]:
    row = recipients(house, message)[to]
    return row["decision"], row["reason"]


def test_a_newcomer_sends_nothing_in_plain_for_a_week(house: House) -> None:
    since = house.clock.now()
    sign_up(house)
    assert decision(house, write(house, [PAT], ":: lunch")) == ("vault", "newcomer")
    until = house.portal.newmail.plain_from(house.session(ANN))
    assert until is not None
    assert since + 7 * DAY <= until <= house.clock.now() + 7 * DAY
    house.clock.forward(7 * DAY)
    assert house.portal.newmail.plain_from(house.session(ANN)) is None
    assert decision(house, write(house, [BOB], ":: lunch"), BOB) == ("relay", "plain-token")


def test_a_newcomer_writes_to_few_new_people_a_day_and_to_known_ones_as_they_like(house: House) -> None:
    sign_up(house)
    write(house, STRANGERS[:3])
    with pytest.raises(Temporary, match="3 new people today, as many as a new account may") as over:
        write(house, STRANGERS[3:4])
    assert over.value.code == 450
    assert write(house, STRANGERS[:3])
    house.clock.forward(DAY)
    write(house, STRANGERS[3:])
    house.clock.forward(6 * DAY)
    write(house, [f"later{number}@mail.example" for number in range(4)])
    with pytest.raises(Temporary, match=r"4 new people today\. Go on"):
        write(house, [PAT])


@pytest.mark.parametrize("vouched", ["invited", "owner"])
def test_who_was_invited_or_added_is_no_newcomer(house: House, vouched: str) -> None:
    if vouched == "owner":
        house.add_subscriber(ANN)
    else:
        proof = house.owner.owner.invite(ANN, None, "Ann")
        code = house.keeper("courier").invitation(proof).code
        house.accounts.finish_signup(proof, code, PASSWORD, "Ann Ruiz", SOURCE, AGENT, "en")
    assert decision(house, write(house, [PAT], ":: lunch")) == ("relay", "plain-token")
    assert write(house, STRANGERS[:3])


def test_a_recipient_who_subscribes_by_themselves_is_a_newcomer(house: House) -> None:
    house.add_subscriber(BOB)
    pat = house.register(PAT, write(house, [PAT], author=BOB))
    house.found(house.accounts.subscribe(pat, PASSWORD, SOURCE, AGENT))
    assert decision(house, write(house, [ANN], ":: lunch", author=PAT), ANN) == ("vault", "newcomer")


def test_a_reset_makes_nobody_vouched_for(house: House) -> None:
    sign_up(house)
    house.reset(ANN, OTHER)
    assert decision(house, write(house, [PAT], ":: lunch")) == ("vault", "newcomer")


def test_the_card_says_it_and_an_edited_account_row_changes_nothing(house: House) -> None:
    account = sign_up(house)
    signed = house.card(f"account:{account}")
    assert signed is not None
    assert read_card(signed, house.keeper("portal").anchors().card_key).open_since == house.clock.now()
    house.tamper("UPDATE accounts SET created = 0, roles = 'subscriber,officer,manager'")
    assert decision(house, write(house, [PAT], ":: lunch")) == ("vault", "newcomer")


def explained(house: House) -> tuple[object, int | None]:
    owner = house.owner
    draft = owner.admission.begin(owner.owner.author(ANN), Envelope(ANN, (Addressee(PAT),)), "page")
    draft.header(f"From: {ANN}\r\nTo: {PAT}\r\nSubject: :: lunch\r\n\r\n".encode())
    ((_, said),) = draft.explain().items()
    return said, draft.newcomer_until


def test_policy_explain_tells_what_a_newcomer_may(house: House) -> None:
    sign_up(house)
    until = house.clock.now() + 7 * DAY
    assert explained(house) == (Vault("newcomer"), until)
    house.clock.forward(7 * DAY)
    assert explained(house) == (Relay("opportunistic", "plain-token"), None)


def test_the_command_says_it_in_words(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    from contextlib import contextmanager

    from cryptnsend.cli import policy

    sign_up(house)
    monkeypatch.setattr(policy, "owned", contextmanager(lambda config: iter([house.owner])))
    asked = [
        "policy",
        "explain",
        "--from",
        ANN,
        "--to",
        PAT,
        "--subject",
        ":: lunch",
        "--home",
        str(house.home.config_file),
    ]
    # By the whole command line: a command remembers its help option from the first context that it ran in.
    said = CliRunner().invoke(main, asked, prog_name="cryptnsend").output
    assert "accounts that signed up by themselves send no plain mail in their first days" in said
    assert "at most 3 new recipients a day" in said

"""Is everybody told of a reset by mail, also if the portal dies between the keeper's work and the rows?"""

from __future__ import annotations

import pytest

from cryptnsend.core.errors import WrongSecret
from cryptnsend.flow import account as account_flow
from cryptnsend.flow import resetting
from cryptnsend.store.records import messages
from tests.support.house import AGENT, DAY, MINUTE, OTHER, PASSWORD, SOURCE, House

ANN, PAT = "ann@gmail.example", "pat@yahoo.example"
TOLD = [(ANN, "contact-reset"), (PAT, "password-reset")]


class Dies(Exception):
    """The process ends here."""


@pytest.fixture
def pat(house: House, ann: int) -> str:
    """Pat, who has shown Ann's code; returns the cookie of a session."""
    house.register(PAT, house.submit(ANN, [PAT], house.mail()))
    return house.accounts.sign_in(PAT, PASSWORD, SOURCE, AGENT)


def die(*_: object, **__: object) -> None:
    raise Dies


def cut_short(house: House, monkeypatch: pytest.MonkeyPatch, where: object, name: str) -> None:
    """Let the portal die in the middle of a reset."""
    house.clock.forward(1)
    started = house.accounts.start_reset(PAT, SOURCE)
    with monkeypatch.context() as cut:
        cut.setattr(where, name, die)
        with pytest.raises(Dies):
            house.accounts.finish_reset(started.id, house.mailed_code(), OTHER, SOURCE, AGENT)


def resets(house: House) -> list[tuple[str, str]]:
    return sorted(each for each in house.alerts() if each[1] in ("password-reset", "contact-reset"))


@pytest.mark.parametrize(
    ("where", "name"),
    [(account_flow, "take_opened"), (resetting, "follow"), (messages, "add_deliveries")],
    ids=["before the rows", "among the rows", "at the mails"],
)
def test_a_reset_that_was_cut_short_is_told_by_upkeep(
    house: House, pat: str, monkeypatch: pytest.MonkeyPatch, where: object, name: str
) -> None:
    cut_short(house, monkeypatch, where, name)
    assert resets(house) == []
    assert house.accounts.session(pat) is not None  # the rows know nothing yet
    house.clock.forward(2 * MINUTE)
    house.upkeep.once()
    assert resets(house) == TOLD
    assert house.accounts.session(pat) is None
    assert [action for _, action in house.audited(0)].count("account.reset") == 1
    house.clock.forward(2 * MINUTE)
    house.upkeep.once()
    assert resets(house) == TOLD
    assert ("pat@yahoo.example", "reset-waiting") not in house.alerts()  # Pat only receives: waiting brings nothing
    with pytest.raises(WrongSecret):
        house.session(PAT, PASSWORD)
    assert house.session(PAT, OTHER).weak


def test_what_died_after_the_rows_has_told_with_them(house: House, pat: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session of the new password is not made, but the rows stand, with the mails: all or none."""
    cut_short(house, monkeypatch, type(house.accounts), "_enter")
    assert resets(house) == TOLD
    house.clock.forward(2 * MINUTE)
    house.upkeep.once()
    assert resets(house) == TOLD


def test_a_reset_is_left_to_the_portal_while_that_may_be_at_it(
    house: House, pat: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_short(house, monkeypatch, resetting, "follow")
    house.upkeep.once()
    assert resets(house) == []


def test_whoever_got_in_again_meanwhile_is_told_all_the_same(
    house: House, pat: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a mail must not say that they are locked out: the rows say what the keeper does."""
    cut_short(house, monkeypatch, resetting, "follow")
    session = house.session(PAT, OTHER)
    house.accounts.unlock(session, "password", PASSWORD, OTHER, SOURCE)
    house.clock.forward(2 * MINUTE)
    house.upkeep.once()
    assert (PAT, "password-reset") in resets(house)
    assert house.session(PAT, OTHER).weak is house.keeper("courier").resets()[0].weak


def test_each_of_two_resets_is_told(house: House, pat: str, monkeypatch: pytest.MonkeyPatch) -> None:
    house.reset(PAT)
    house.clock.forward(MINUTE)
    cut_short(house, monkeypatch, resetting, "follow")
    house.clock.forward(2 * MINUTE)
    house.upkeep.once()
    assert [template for _, template in resets(house)].count("password-reset") == 2


def test_the_keeper_tells_of_a_reset_for_a_day(house: House, pat: str) -> None:
    assert house.keeper("courier").resets() == []
    house.reset(PAT)
    (reset,) = house.keeper("courier").resets()
    assert (reset.weak, reset.subscribers) == (True, (house.account(ANN),))
    house.clock.forward(DAY + MINUTE)
    assert house.keeper("courier").resets() == []

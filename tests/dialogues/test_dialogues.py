"""Every scenario of every *.dialogue file beside this one is spoken over a real socket."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.dialogues.script import Play, Scenario, scenarios
from tests.submission.doubles import Doors
from tests.submission.inbound_doubles import InboundDoors

ALL = list(scenarios(Path(__file__).parent))


@pytest.mark.parametrize("scenario", ALL, ids=lambda scenario: f"{scenario.place}: {scenario.name}")
def test_dialogue(
    scenario: Scenario, open_doors: Callable[..., Doors], open_inbound: Callable[..., InboundDoors]
) -> None:
    assert Play(scenario, open_doors, open_inbound).run() > 0, (
        "a dialogue in which the server says nothing shows nothing"
    )


def test_a_wrong_word_of_the_server_is_noticed(open_doors: Callable[..., Doors]) -> None:
    """The runner can fail."""
    wrong = Scenario("a wrong greeting", "nowhere", [(1, "S: /554 .*/")])
    with pytest.raises(AssertionError, match=r"nowhere\.dialogue:1: the server said '220 mail\.example"):
        Play(wrong, open_doors).run()


def test_names_of_scenarios_are_unique() -> None:
    names = [(scenario.place, scenario.name) for scenario in ALL]
    assert len(names) == len(set(names)) > 60

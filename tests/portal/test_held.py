"""The page of a held mail: what was found is shown masked, three buttons, and nothing happens without one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cryptnsend.core.dlp.detect import REASONS, RULES, Finding
from cryptnsend.flow.heldmail import rule_in_words
from cryptnsend.flow.holding import HeldMessage, Quarantined
from cryptnsend.flow.views import Reached
from cryptnsend.flow.ways import Way
from tests.portal.conftest import Visitor
from tests.portal.world import DAY, NOW, PAT, World

EVIL = '"><script>alert(1)</script>.pdf'
HELD = HeldMessage(
    21, "Papers", ["pat@yahoo.example"], [Finding("ssn", "***-**-**34", "text"), Finding("unreadable", "", EVIL)],
    NOW, NOW + DAY, "held", True,
)  # fmt: skip
SEEN = Quarantined(21, 7, "ann@gmail.example", 1, 2000, ["ssn", "card"], NOW, NOW + DAY, "held", None, "", "")


def test_what_was_found_is_shown_masked_and_names_stay_words(ann: Visitor, world: World) -> None:
    world.held[21] = HELD
    page = ann.get("/held/21").text
    assert "Social Security number" in page
    assert "***-**-**34" in page
    assert "<script>alert" not in page
    assert "Send it encrypted" in page
    assert world.calls == []


@pytest.mark.parametrize(("choice", "done"), [("encrypt", "encrypt"), ("discard", "discarded")])
def test_a_button_does_what_it_says(ann: Visitor, world: World, choice: str, done: str) -> None:
    world.held[21] = HELD
    ann.get("/held/21")
    answer = ann.post("/held/21", {"choice": choice})
    assert answer.status_code == 303
    assert answer.headers["Location"].endswith("/sent/21")
    assert world.held[21].state == done


def test_it_leaves_as_it_is_only_with_a_reason(ann: Visitor, world: World) -> None:
    world.held[21] = HELD
    ann.get("/held/21")
    refused = ann.post("/held/21", {"choice": "plain", "reason": "no"})
    assert refused.status_code == 422
    assert "from 5 to 300 characters" in refused.text
    assert world.held[21].state == "held"
    assert ann.post("/held/21", {"choice": "plain", "reason": "asked for in writing"}).status_code == 303
    assert world.held[21].state == "plain"


@pytest.mark.parametrize(("kind", "state", "said"), [
    ("relay", "cancelled", "Not sent"), ("relay", "delivered", "Time is up"), ("notice", "cancelled", "Not sent"),
    ("reminder", "cancelled", "Time is up"),
])  # fmt: skip
def test_what_was_called_off_before_it_left_says_that_it_was_not_sent(
    ann: Visitor, world: World, kind: str, state: str, said: str
) -> None:
    way = Way(kind.replace("reminder", "notice"), state, 1)
    one = Reached(PAT, "Pat Lee", "ended", NOW, "", False, way=way, told=kind == "reminder")
    world.sent[21] = replace(world.sent[21], recipients=(one,))
    page = ann.get("/sent/21").text
    assert [words for words in ("Not sent", "Time is up") if words in page] == [said]
    assert said in ann.get("/sent").text


def test_a_choice_that_is_none_changes_nothing(ann: Visitor, world: World) -> None:
    world.held[21] = HELD
    ann.get("/held/21")
    assert ann.post("/held/21", {"choice": "everything"}).status_code == 400
    assert world.held[21].state == "held"


def test_where_the_organisation_forbids_it_there_is_no_such_button(ann: Visitor, world: World) -> None:
    world.held[21] = replace(HELD, may_plain=False)
    assert 'value="plain"' not in ann.get("/held/21").text


def test_what_is_not_ones_own_is_not_there(ann: Visitor) -> None:
    assert ann.get("/held/99").status_code in (403, 404)


def test_only_officers_see_the_quarantine(ann: Visitor, world: World) -> None:
    world.quarantined = [SEEN]
    assert ann.get("/quarantine").status_code == 404
    for session in world.sessions.values():
        session.roles, session.organisation = ("subscriber", "officer"), 7
    page = ann.get("/quarantine").text
    assert "ann@gmail.example" in page
    assert "payment card number" in page
    assert "***" not in page


def test_every_rule_has_words() -> None:
    for rule in (*RULES, *REASONS):
        assert rule_in_words(rule, str) != rule

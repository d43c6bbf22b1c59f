"""Every attack on each right of those who govern an organisation, on every route that they have."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.house import House

from .governed import (
    ACTS,
    ANN,
    BOB,
    CASE,
    EVE,
    GET,
    MAX,
    MONA,
    NAMES,
    NORA,
    OFFICER,
    OLIVE,
    OTTO,
    PAT,
    POST,
    QUIN,
    RITA,
    SECRET,
    Governed,
    changed,
    cookie,
    governing,
)

OWN_VERSIONS = {"organisation.compare", "organisation.revert", "looks.back"}  # numbers that each organisation counts

ELSEWHERE = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
TRIED = {"ledger.db contacts", "main.db contacts", "main.db deliveries", "ledger.db mail_codes", "main.db audit"}


@pytest.fixture(scope="module")
def governed() -> Iterator[Governed]:
    folder = Path(tempfile.mkdtemp(prefix="cs-", dir="/tmp"))
    house = House(folder)
    yield Governed(house)
    house.close()
    shutil.rmtree(folder)


def test_every_route_of_those_who_govern_has_its_row_here(governed: Governed) -> None:
    rows = {(act.endpoint, act.method) for act in ACTS}
    assert governing(governed.app) - rows == set(), "a new route: say in governed.ACTS who may use it"
    assert rows - governing(governed.app) == set(), "a row for a route that is gone"


def test_who_may_gets_an_answer_so_that_the_refusals_below_say_something(governed: Governed) -> None:
    """Forms go without what proves them, so that none is carried out; what needs none would end things."""
    olive, mona = governed.browser(OLIVE), governed.browser(MONA)
    for act in ACTS:
        if act.endpoint in ("oversight.end_glass", "organisation_webhooks.remove", "oversight.archived_file"):
            continue  # of large files there is none here; tests/flow has them
        bare = replace(act, form={}) if act.method == POST else act
        for visitor in (olive, mona) if act.who != OFFICER else (olive,):
            assert governed.send(visitor, bare).status_code in (200, 303, 403, 410, 422), act.name


@pytest.mark.parametrize("who", ["", PAT, QUIN, ANN, BOB, EVE, MONA, MAX])
def test_whoever_may_not_finds_nothing_there_and_changes_nothing(governed: Governed, who: str) -> None:
    visitor, before = governed.browser(who), governed.rows()
    wrong = []
    for act in ACTS:
        if (who in (MONA, MAX) and act.who != OFFICER) or (who == EVE and act.alone):
            continue
        answer = governed.send(visitor, act)
        expected = 303 if not who else 404
        if answer.status_code != expected:
            wrong.append(f"{act.name}: {answer.status_code}")
    assert wrong == []
    assert changed(before, governed.rows()) == set()


# -- from another organisation ----------------------------------------------------------------------------------------

HIDDEN = ("org", "organisation", "organisation_id", "account", "actor", "officer", "tenant", "house", "session", "user")


@pytest.mark.parametrize("who", [RITA, MAX])
def test_ids_of_another_organisation_lead_nowhere(governed: Governed, who: str) -> None:
    """Rival's officer and manager, with password and second step, on paths with Clinicville's ids in them."""
    visitor, before = governed.browser(who), governed.rows(governed.rival)
    for act in ACTS:
        if not act.place or (who == MAX and act.who == OFFICER) or act.endpoint in OWN_VERSIONS:
            continue
        answer = governed.send(visitor, act)
        assert answer.status_code in (404, 403, 410, 422), act.name
        assert [each for each in NAMES if each in answer.text] == [], act.name
    assert changed(before, governed.rows(governed.rival)) == set()


@pytest.mark.parametrize("who", [RITA, MAX])
def test_hidden_fields_that_name_another_organisation_are_not_believed(governed: Governed, who: str) -> None:
    """Every form and page of their own, with fields and arguments that say it were Clinicville's."""
    visitor, before = governed.browser(who), governed.rows(governed.rival)
    told = Counter(governed.house.alerts())
    lies: dict[str, Any] = dict.fromkeys(HIDDEN, str(governed.clinic))
    ann = governed.ids["ident"]
    lies |= {"account": str(ann), "roles": "officer", "role": "officer", "ident": ann}
    for act in ACTS:
        if (act.place and act.endpoint not in OWN_VERSIONS) or (who == MAX and act.who == OFFICER):
            continue
        typed = {each for each in NAMES if each in " ".join(act.form.values())}
        for path in ("", "?" + "&".join(f"{name}={value}" for name, value in lies.items())):
            answer = governed.send(visitor, act, lies, more_path=path)
            # 429: each try has a number that was wrong, and of those there are few.
            assert answer.status_code in (200, 303, 403, 404, 410, 422, 429), act.name
            assert [each for each in NAMES if each in answer.text and each not in typed] == [], act.name
    # Numbers that were tried, and mails to Rival's own people, stand in rows that name no organisation.
    moved = changed(before, governed.rows(governed.rival))
    assert moved <= {"main.db deliveries", "ledger.db second_steps"}
    house = governed.house
    assert {address for address, _ in Counter(house.alerts()) - told} <= {RITA, MAX}
    assert {row["org"] for row in house.engine.query("SELECT org FROM invitations")} == {governed.rival}
    found = house.engine.query("SELECT roles FROM accounts WHERE org = :org", org=governed.rival)
    assert sorted(row["roles"] for row in found) == ["manager", "officer", "subscriber"]


# -- what an officer has to show --------------------------------------------------------------------------------------


def test_without_a_second_step_no_page_of_theirs_opens(governed: Governed) -> None:
    """Otto is an officer with his password, and nothing more: not even a file that opens the archive for good."""
    visitor, before = governed.browser(OTTO), governed.rows()
    for act in ACTS:
        if act.endpoint == "estate.recovery_file_is_safe":
            continue  # whoever was just given the file by the server's owner says so before anything else
        answer = governed.send(visitor, act)
        if act.endpoint in ("estate.recovery_file", "estate.archive_key"):
            assert answer.status_code == (200 if act.method == GET else 422)
            assert "Kind: archive" not in answer.text
        else:
            assert answer.status_code == 403, act.name
        assert [each for each in (SECRET, CASE, ANN, PAT) if each in answer.text] == [], act.name
    assert changed(before, governed.rows()) == set()


@pytest.mark.parametrize("reason", ["", "   \t ", "\u200b" * 20, "\u00a0" * 20, "\u2060 \u200d\ufeff" * 5, "because"])
def test_an_officer_without_a_reason_that_can_be_read_changes_nothing(governed: Governed, reason: str) -> None:
    visitor, before = governed.browser(OLIVE), governed.rows()
    acts = [act for act in ACTS if act.reason]
    assert len(acts) == 3
    for act in acts:
        more = {act.reason: reason, "code": governed.house.number(OLIVE)}
        answer = governed.send(visitor, act, more)
        assert answer.status_code == 422, act.name
        assert "in a sentence" in answer.text, act.name
    assert changed(before, governed.rows()) == set()


def test_without_the_password_again_nothing_is_done_that_asks_for_it(governed: Governed) -> None:
    """A browser left open, with everything else as it should be; Rival's, whose guesses then hold up nobody else."""
    visitor = governed.browser(RITA)
    before = governed.rows()
    own = {"ident": governed.house.account(BOB), "glass": governed.glass}
    asked = [act for act in ACTS if {"password", "password-0"} & set(act.form) and "glass" not in act.place]
    assert len(asked) == 15
    for act in asked:
        for typed in ("", "wrong horse battery"):
            governed.house.clock.forward(60_000)
            more = {name: typed for name in act.form if name.startswith("password")}
            answer = governed.send(visitor, act, more, ids=own)
            assert answer.status_code in (422, 429), act.name
    assert changed(before, governed.rows()) == set()


def test_a_form_of_anybody_else_does_nothing(governed: Governed) -> None:
    """Every form with no token, with another person's, and from another site with the right one."""
    olive, other, before = governed.browser(OLIVE), governed.browser(EVE), governed.rows()
    for act in ACTS:
        if act.method == POST:
            for more in ({"csrf_token": ""}, {"csrf_token": other.form_token()}, {"csrf_token": "x" * 90}):
                assert governed.send(olive, act, more).status_code == 400, act.name
            page = olive.page
            assert olive.post(governed.path(act), dict(act.form), headers=ELSEWHERE).status_code == 400, act.name
            olive.page = page
    assert changed(before, governed.rows()) == set()


# -- forms that say more than their page does -------------------------------------------------------------------------


def test_a_manager_does_nothing_to_an_officer_nor_anybody_to_themselves(governed: Governed) -> None:
    house, mona, olive = governed.house, governed.browser(MONA), governed.browser(OLIVE)
    before = governed.rows()
    for name in ("disable", "enable", "hand_over"):
        act = next(act for act in ACTS if act.endpoint == f"organisation.{name}")
        for visitor, whom in ((mona, OTTO), (mona, OLIVE), (mona, MONA), (olive, OLIVE)):
            answer = governed.send(visitor, act, ids={"ident": house.account(whom)})
            assert answer.status_code == 422, (name, whom)
    assert changed(before, governed.rows()) == set()


@pytest.mark.parametrize("roles", [[], ["owner"], ["operator", "installation"], ["archive"], ["subscriber,officer"]])
def test_a_role_that_there_is_not_is_given_to_nobody(governed: Governed, roles: list[str]) -> None:
    olive, before = governed.browser(OLIVE), governed.rows()
    act = next(act for act in ACTS if act.endpoint == "organisation.roles")
    assert governed.send(olive, act, {"role": roles}).status_code == 422
    assert changed(before, governed.rows()) == set()


@pytest.mark.parametrize("to", [BOB, EVE, PAT, ANN, RITA, "nobody@nowhere.example", "", "ann", f"{MONA}, {EVE}"])
def test_messages_are_handed_over_to_a_colleague_and_to_nobody_else(governed: Governed, to: str) -> None:
    olive, before = governed.browser(OLIVE), governed.rows()
    act = next(act for act in ACTS if act.endpoint == "organisation.hand_over")
    assert governed.send(olive, act, {"to": to}).status_code == 422
    after = governed.rows()
    assert changed(before, after) <= {"main.db accounts"}, "only Ann's version, counted up before the keeper is asked"
    state = {row["state"] for row in governed.house.engine.query("SELECT state FROM accounts")}
    assert state == {"active"}


def test_a_glass_break_is_for_who_asked_and_as_long_as_it_was_asked_for(governed: Governed) -> None:
    """Another officer of the same organisation, with a second step: listed for them, and closed."""
    house = governed.house
    house.second(OTTO)
    governed.carried[OTTO] = cookie(house.accounts, house, OTTO)
    otto, olive, before = governed.browser(OTTO), governed.browser(OLIVE), governed.rows()
    asked = {act.name: act for act in ACTS if act.endpoint in ("oversight.glass", "oversight.broken")}
    for act in ACTS:
        if act.place in (("glass",), ("glass", "message")) and act.endpoint != "oversight.end_glass":
            assert SECRET not in governed.send(otto, act, {"code": house.number(OTTO)}).text, act.name
    assert changed(before, governed.rows()) <= {"ledger.db second_steps"}
    governed.send(olive, asked["POST oversight.broken"], {"code": house.number(OLIVE)})  # her own yes is none
    for minutes in ("0", "-15", "100000", "1e9", "", "15 OR 1=1"):
        more = {"minutes": minutes, "code": house.number(OLIVE)}
        assert governed.send(olive, asked["POST oversight.glass"], more).status_code == 422, minutes
    moved = changed(before, governed.rows())
    assert moved <= {"ledger.db second_steps", "main.db audit"}, "what she opened before was listed once more"


# -- a recipient with somebody else's link ----------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["", QUIN, EVE, BOB, NORA, OLIVE])
def test_whoever_has_somebody_elses_number_or_link_reads_and_changes_nothing(governed: Governed, who: str) -> None:
    """
    Every route with a message or a link in it, with Pat's: another recipient, subscribers, the officer, nobody.

    What a link shows without its code is that a message waits, and from whom.
    """
    visitor = governed.browser(who)
    token, page = governed.house.link(governed.message, PAT), visitor.page
    names = {"message": governed.message, "token": token}
    before, count = governed.rows(), 0
    form = {
        "code": "000000",
        "password": "wrong horse battery staple",
        "text": "x",
        "nonce": "0" * 32,
        "sure": "yes",
        "choice": "discard",
    }
    for rule in governed.app.url_map.iter_rules():
        if not {"message", "token"} & rule.arguments or rule.rule.startswith(("/organisation", "/answer", "/invite")):
            continue
        path = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(names.get(found[1], 1)), rule.rule)
        for method in {GET, POST} & (rule.methods or set()):
            visitor.page = page
            answer = visitor.get(path) if method == GET else visitor.post(path, form)
            count += 1
            assert SECRET not in answer.text, f"{method} {rule.rule}"
            if answer.status_code == 303 and who and "message" in rule.arguments:
                answer = visitor.follow()  # to the message itself, which is not there
            if "message" in rule.arguments:
                assert answer.status_code in ((303, 404) if not who else (404, 403)), f"{method} {rule.rule}"
    assert count > 50
    moved = changed(before, governed.rows())
    assert moved <= TRIED, "a code was tried and mails were asked for: nothing else"

"""Webhooks of a whole organisation: who may make them, whose mail they hear of, and what a thief gets by them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cryptnsend.__main__ import main
from cryptnsend.core.errors import Denied, NoGrant, WrongSecret
from cryptnsend.core.hooks import MOST
from cryptnsend.core.model import account_holder
from cryptnsend.delivery.outcome import Outcome
from cryptnsend.flow.owner import BY_OWNER
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.webhooks import NewWebhook
from tests.support.house import MINUTE, PASSWORD, SOURCE

from .conftest import Desk
from .test_organisations import CARL, DORA, EVE, MAX, OLIVE, Staff
from .test_webhooks import GONE, TAKEN, is_signed

URL = "https://practice.example/hooks"
FRANK = "frank@rival.example"
EVENTS = ("opened", "replied", "bounced", "held")


class Listening(Staff):
    """Two organisations, and a courier that tells a program that notes what it hears."""

    def __init__(self, desk: Desk):
        super().__init__(desk.house)
        self.desk, self.answer = desk, TAKEN
        self.heard: list[tuple[str, bytes, Mapping[str, str]]] = []
        vars(desk.answers)["post"] = self._post
        self.house.add_subscriber(FRANK, organisation=self.rival)

    def _post(self, url: str, octets: bytes, headers: Mapping[str, str], *, patient: bool) -> Outcome:
        self.heard.append((url, octets, headers))
        return self.answer

    @property
    def hooks(self) -> Any:
        return self.house.portal.organisation_webhooks

    def make(self, who: Session, events: tuple[str, ...] = EVENTS, **given: Any) -> NewWebhook:
        facts = {"url": URL, "events": events, "password": PASSWORD, "source": SOURCE} | given
        made: NewWebhook = self.hooks.add(who, **facts)
        return made


@pytest.fixture
def clinic(desk: Desk) -> Listening:
    return Listening(desk)


def visited(clinic: Listening, author: str) -> int:
    """Return a message of *author* that its recipient, somebody else each time, has opened."""
    to = f"of-{author.partition('@')[0]}@home.example"
    message = clinic.house.submit(author, [to], clinic.house.mail("Canaryvale", author=author, to=[to]))
    clinic.house.pickup.show(clinic.house.register(to, message), message)
    return message


def test_a_manager_makes_one_that_hears_of_everybodys_mail_and_of_no_other_organisations(clinic: Listening) -> None:
    made = clinic.make(clinic.max)
    messages = {visited(clinic, each) for each in (CARL, DORA)}
    visited(clinic, FRANK)
    clinic.desk.deliver()
    bodies = [octets.decode() for _, octets, _ in clinic.heard]
    assert len(bodies) == 2
    assert all(any(str(each) in body for body in bodies) for each in messages)
    for url, octets, headers in clinic.heard:
        assert url == URL
        assert is_signed(made.secret, octets, headers)
        for secret in (CARL, DORA, "home.example", "Canaryvale", "Carl", "clinic"):
            assert secret not in octets.decode()
    assert (account_holder(clinic.id(MAX)), "organisation-hook.added") in clinic.house.audited(clinic.clinic)
    told = {who for who, template in clinic.house.alerts() if template == "new-hook-of-all"}
    assert told == {OLIVE, MAX}


def test_it_stays_when_who_made_it_leaves_and_the_others_see_test_and_end_it(clinic: Listening) -> None:
    made = clinic.make(clinic.max)
    clinic.flow.disable(clinic.olive, clinic.id(MAX), PASSWORD, SOURCE)
    visited(clinic, CARL)
    clinic.house.clock.forward(1000)
    clinic.hooks.test(clinic.olive, made.id)
    clinic.desk.deliver()
    assert len(clinic.heard) == 2
    [shown] = clinic.hooks.listing(clinic.olive)
    assert shown.by == MAX
    assert [(each.event, each.state, each.waits) for each in shown.tries] == [
        ("test", "delivered", False), ("opened", "delivered", False)
    ]  # fmt: skip
    fresh = clinic.hooks.rotate(clinic.olive, made.id, PASSWORD, SOURCE)
    assert fresh.secret != made.secret
    clinic.hooks.remove(clinic.olive, made.id)
    assert clinic.hooks.listing(clinic.olive) == []
    visited(clinic, DORA)
    clinic.desk.deliver()
    assert len(clinic.heard) == 2
    did = {action for _, action in clinic.house.audited(clinic.clinic)}
    assert {f"organisation-hook.{each}" for each in ("added", "rotated", "removed")} <= did


def test_subscribers_and_other_organisations_have_no_hand_in_it(clinic: Listening) -> None:
    made = clinic.make(clinic.olive)
    with pytest.raises(NoGrant):
        clinic.make(clinic.carl)
    for somebody in (clinic.carl, clinic.eve):
        with pytest.raises(NoGrant):
            clinic.hooks.remove(somebody, made.id)
        with pytest.raises(NoGrant):
            clinic.hooks.test(somebody, made.id)
        with pytest.raises(NoGrant):
            clinic.hooks.one(somebody, made.id)
        with pytest.raises(NoGrant):
            clinic.hooks.rotate(somebody, made.id, PASSWORD, SOURCE)
    for own in (clinic.house.portal.webhooks.listing(clinic.olive), clinic.hooks.listing(clinic.eve)):
        assert own == []


def test_it_takes_the_password_and_a_fresh_number(clinic: Listening) -> None:
    with pytest.raises(WrongSecret):
        clinic.make(clinic.max, password="wrong")
    clinic.house.clock.forward(6 * MINUTE)
    with pytest.raises(Denied, match="number from your phone"):
        clinic.make(clinic.max)
    with pytest.raises(Denied, match="not the number"):
        clinic.make(clinic.max, code="000000")


def test_the_keeper_asks_for_itself_whatever_the_rows_say(clinic: Listening) -> None:
    keeper, k = clinic.house.keeper("portal"), clinic.house.owner.owner.k
    made = clinic.make(clinic.max)
    clinic.house.tamper("UPDATE accounts SET roles = 'subscriber,officer,manager'")
    carl = clinic.house.session(CARL)
    for attack in (
        lambda: keeper.hook_add(carl.ticket, k(CARL, PASSWORD), URL, ["opened"], whole=True),
        lambda: keeper.hook_rotate(carl.ticket, k(CARL, PASSWORD), made.id),
        lambda: keeper.hook_end(carl.ticket, made.id),
        lambda: keeper.hook_rotate(clinic.eve.ticket, k(EVE, PASSWORD), made.id),
        lambda: keeper.hook_end(clinic.eve.ticket, made.id),
    ):
        with pytest.raises(Denied):
            attack()
    assert clinic.house.keeper("courier").hook(made.id).secrets == (made.secret,)


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE hooks SET whole = 1",  # a subscriber's own would hear of everybody
        "UPDATE hooks SET whole = 1, org = :rival",
        "UPDATE hooks SET account = (SELECT account FROM addresses WHERE canonical = 'dora@clinic.example')",
    ],
)
def test_a_row_that_was_edited_hears_of_nobody_elses_mail(clinic: Listening, edit: str) -> None:
    own = clinic.house.portal.webhooks
    own.add(clinic.carl, url=URL, events=EVENTS, password=PASSWORD, source=SOURCE)
    clinic.house.tamper(edit, **({"rival": clinic.rival} if ":rival" in edit else {}))
    for author in (DORA, FRANK):
        visited(clinic, author)
    clinic.desk.deliver()
    assert clinic.heard == []


def test_no_secret_of_it_rests_readable(clinic: Listening) -> None:
    made = clinic.make(clinic.max)
    for octets in (base64.b64decode(made.secret.removeprefix("whsec_")), made.secret.encode()):
        assert all(octets not in repr(row).encode() for _, row in clinic.house.rows())


def test_what_is_given_up_is_told_to_who_looks_after_it_once_a_day(clinic: Listening) -> None:
    made = clinic.make(clinic.max)
    clinic.answer = GONE
    for _ in range(2):
        clinic.hooks.test(clinic.max, made.id)
        clinic.desk.deliver()
        clinic.house.clock.forward(MINUTE)
    told = [who for who, template in clinic.house.alerts() if template == "hook-failed-of-all"]
    assert sorted(told) == sorted([OLIVE, MAX])


def test_there_are_only_so_many_and_those_of_people_do_not_count(clinic: Listening) -> None:
    clinic.house.add_subscriber("both@clinic.example", organisation=clinic.clinic, roles=("subscriber", "manager"))
    both, own = clinic.enter("both@clinic.example"), clinic.house.portal.webhooks
    own.add(both, url=URL, events=EVENTS, password=PASSWORD, source=SOURCE)
    for _ in range(MOST):
        clinic.make(both)
    with pytest.raises(Denied, match="webhooks already"):
        clinic.make(clinic.olive)
    assert len(own.listing(both)) == 1


def test_rules_that_forbid_programs_forbid_these_too(clinic: Listening) -> None:
    made = clinic.make(clinic.max)
    clinic.hooks.test(clinic.max, made.id)
    clinic.house.owner.owner.set_rules(clinic.clinic, {"api": False}, "no programs here")
    clinic.desk.deliver()
    assert clinic.heard == []
    with pytest.raises(Denied):
        clinic.make(clinic.max)


# -- at the command line ----------------------------------------------------------------------------------------------


def run(clinic: Listening, *words: str) -> Result:
    return CliRunner().invoke(main, ["webhook", *words, "--home", str(clinic.house.home.path)])


def told(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_command_lists_an_organisations_and_a_subscribers_own_and_shows_how_telling_went(clinic: Listening) -> None:
    made = clinic.make(clinic.max)
    own = clinic.house.portal.webhooks.add(clinic.carl, url=URL, events=["opened"], password=PASSWORD, source=SOURCE)
    visited(clinic, DORA)
    clinic.desk.deliver()
    [whole] = told(run(clinic, "list", "--organisation", "clinic", "--json"))
    assert (whole["id"], whole["url"], whole["events"], whole["by"]) == (str(made.id), URL, list(EVENTS), MAX)
    assert (whole["state"], whole["tried"] is not None) == ("delivered", True)
    [single] = told(run(clinic, "list", CARL, "--json"))
    assert (single["id"], single["events"], single["tried"]) == (str(own.id), ["opened"], None)
    assert f"{FRANK} has no webhook." in run(clinic, "list", FRANK).stdout
    shown = run(clinic, "list", "--organisation", "clinic").stdout
    for secret in (made.secret, own.secret):
        assert secret not in shown
    assert run(clinic, "list").exit_code == 2
    assert run(clinic, "list", CARL, "--organisation", "clinic").exit_code == 2


def test_a_command_ends_any_webhook_at_once_and_the_trail_says_that_the_operator_did(clinic: Listening) -> None:
    whole = clinic.make(clinic.max)
    own = clinic.house.portal.webhooks.add(clinic.carl, url=URL, events=["opened"], password=PASSWORD, source=SOURCE)
    visited(clinic, CARL)  # two events wait to be told
    for each in (whole, own):
        assert told(run(clinic, "end", str(each.id), "--json"))["id"] == str(each.id)
        with pytest.raises(NoGrant):
            clinic.house.courier.keeper.hook(each.id)
    clinic.desk.deliver()
    assert clinic.heard == []
    assert clinic.hooks.listing(clinic.olive) == []
    trail = [each for each in clinic.house.audited(clinic.clinic) if each[1].endswith("hook.removed")]
    assert trail == [(BY_OWNER, "organisation-hook.removed"), (BY_OWNER, "hook.removed")]

    again = run(clinic, "end", str(own.id))
    assert again.exit_code != 0
    assert "has ended already" in again.output
    assert "There is no webhook 5." in run(clinic, "end", "5").output
    assert run(clinic, "end", "0").exit_code == 2


def test_a_webhook_whose_row_was_changed_back_stays_ended(clinic: Listening) -> None:
    made = clinic.make(clinic.max)
    assert run(clinic, "end", str(made.id)).exit_code == 0
    clinic.house.tamper("UPDATE hooks SET ended = NULL")
    visited(clinic, CARL)
    clinic.desk.deliver()
    assert clinic.heard == []
    assert run(clinic, "end", str(made.id)).exit_code == 0  # the row follows
    assert clinic.hooks.listing(clinic.olive) == []

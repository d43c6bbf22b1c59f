"""Webhooks: who is told what, signed how, and what follows when nobody listens."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping
from typing import Any

import pytest

from cryptnsend.core.errors import Denied, NoGrant, WrongSecret
from cryptnsend.core.hooks import BOTH, MOST
from cryptnsend.delivery.outcome import Outcome
from cryptnsend.flow.sessions import Session
from cryptnsend.flow.webhooks import NewWebhook
from tests.support.house import DAY, PASSWORD, SOURCE, House, MakeHouse

from .conftest import REFUSED, Desk

ANN, PAT, HOLM = "ann@gmail.example", "pat@yahoo.example", "holm@cardio.example"
URL = "https://practice.example/hooks?of=ann"
TAKEN = Outcome("delivered", 204, "2.0.0", "HTTP status 204", "practice.example", route="https")
BROKEN = Outcome("delayed", 500, "4.0.0", "HTTP status 500", "practice.example", route="https")
GONE = Outcome("failed", 410, "5.0.0", "HTTP status 410", "practice.example", route="https")
EVENTS = ("opened", "replied", "bounced", "held")


class Listening:
    """A house whose courier tells a program that notes what it hears."""

    def __init__(self, desk: Desk):
        self.desk, self.house = desk, desk.house
        self.heard: list[tuple[str, bytes, Mapping[str, str]]] = []
        self.answer = TAKEN
        vars(desk.answers)["post"] = self._post
        self.house.add_subscriber(ANN)

    def _post(self, url: str, octets: bytes, headers: Mapping[str, str], *, patient: bool) -> Outcome:
        assert patient
        self.heard.append((url, octets, headers))
        return self.answer

    @property
    def ann(self) -> Session:
        return self.house.session(ANN)

    def make(self, events: tuple[str, ...] = EVENTS) -> NewWebhook:
        return self.house.portal.webhooks.add(self.ann, url=URL, events=events, password=PASSWORD, source=SOURCE)

    def said(self) -> list[dict[str, Any]]:
        """Make every attempt that is due; return what was heard in all."""
        self.desk.deliver()
        return [json.loads(octets) for _, octets, _ in self.heard]


@pytest.fixture
def listening(desk: Desk) -> Listening:
    return Listening(desk)


def is_signed(secret: str, octets: bytes, headers: Mapping[str, str]) -> bool:
    """Check as a program does it, by the words of Standard Webhooks."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    said = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + octets
    own = "v1," + base64.b64encode(hmac.digest(key, said, "sha256")).decode()
    return own in headers["webhook-signature"].split(" ")


def test_an_opened_message_is_told_with_its_number_and_nothing_else(listening: Listening) -> None:
    house, made = listening.house, listening.make()
    message = house.submit(ANN, [PAT], house.mail("Your blood test", "All is well."))
    pat = house.register(PAT, message)
    house.pickup.show(pat, message)
    house.pickup.show(pat, message)
    [said] = listening.said()
    assert said["type"] == "message.opened"
    assert said["data"] == {"message": str(message)}
    url, octets, headers = listening.heard[0]
    assert url == URL
    assert headers["Content-Type"] == "application/json"
    assert int(headers["webhook-timestamp"]) == house.clock.now() // 1000
    assert is_signed(made.secret, octets, headers)
    for secret in (PAT, ANN, "blood"):
        assert secret not in octets.decode() + str(headers)


def test_a_reply_is_told_to_whose_conversation_it_is(listening: Listening) -> None:
    house = listening.house
    listening.make(("replied",))
    message = house.submit(ANN, [PAT], house.mail())
    pat = house.register(PAT, message)
    house.replies.send(pat, message, everybody=False, text="Thanks", files=(), nonce=b"n" * 16, kept=None)
    assert [(each["type"], each["data"]) for each in listening.said()] == [
        ("message.replied", {"message": str(message)})
    ]


def test_what_did_not_arrive_is_told(listening: Listening) -> None:
    listening.make(("bounced",))
    listening.desk.say(REFUSED)
    message = listening.house.submit(ANN, [PAT], listening.house.mail())
    assert [each["data"] for each in listening.said() if each["type"] == "message.bounced"] == [
        {"message": str(message)}
    ]


def test_what_is_held_is_told(listening: Listening) -> None:
    listening.make(("held",))
    mail = listening.house.mail(":: Hello", "SSN 123-45-6789, diagnosis: hypertension, MRN 12345678")
    message = listening.house.submit(ANN, [PAT], mail)
    said = [each for each in listening.said() if each["type"] == "message.held"]
    assert [each["data"] for each in said] == [{"message": str(message)}]


def test_others_hear_nothing_of_it(listening: Listening) -> None:
    house = listening.house
    listening.make()
    house.add_subscriber(HOLM)
    message = house.submit(HOLM, [PAT], house.mail(author=HOLM))
    house.pickup.show(house.register(PAT, message), message)
    assert listening.said() == []


def test_a_program_that_does_not_listen_hears_the_same_later_with_a_fresh_time(listening: Listening) -> None:
    house, made = listening.house, listening.make()
    house.portal.webhooks.test(listening.ann, made.id)
    listening.answer = BROKEN
    listening.said()
    house.clock.forward(DAY // 24)
    listening.answer = TAKEN
    first, second = listening.said()
    assert first == second
    (_, octets, before), (_, _, after) = listening.heard
    assert before["webhook-id"] == after["webhook-id"]
    assert int(after["webhook-timestamp"]) > int(before["webhook-timestamp"])
    assert is_signed(made.secret, octets, after)
    [shown] = house.portal.webhooks.listing(listening.ann)
    assert [(each.event, each.state, each.attempts) for each in shown.tries] == [("test", "delivered", 2)]


def test_what_is_given_up_is_told_to_its_owner_once_a_day(listening: Listening) -> None:
    house, made = listening.house, listening.make()
    listening.answer = GONE
    for _ in range(3):
        house.portal.webhooks.test(listening.ann, made.id)
        listening.said()
        house.clock.forward(60_000)
    told = [each for each in house.queued("alert") if each["template"] == "hook-failed"]
    assert [each["subject_id"] for each in told] == [house.account(ANN)]


def test_two_secrets_sign_for_seven_days_and_then_the_new_one_alone(listening: Listening) -> None:
    house, made = listening.house, listening.make()
    with pytest.raises(WrongSecret):
        house.portal.webhooks.rotate(listening.ann, made.id, "wrong", SOURCE)
    fresh = house.portal.webhooks.rotate(listening.ann, made.id, PASSWORD, SOURCE)
    house.portal.webhooks.test(listening.ann, made.id)
    listening.said()
    _, octets, headers = listening.heard[-1]
    assert is_signed(made.secret, octets, headers)
    assert is_signed(fresh.secret, octets, headers)
    house.clock.forward(BOTH + 1)
    house.portal.webhooks.test(listening.ann, made.id)
    listening.said()
    _, octets, headers = listening.heard[-1]
    assert not is_signed(made.secret, octets, headers)
    assert is_signed(fresh.secret, octets, headers)


def test_a_row_that_was_edited_sends_events_nowhere_else(listening: Listening) -> None:
    made = listening.make()
    listening.house.tamper("UPDATE hooks SET url = 'https://evil.example/'")
    listening.house.portal.webhooks.test(listening.ann, made.id)
    listening.said()
    assert [url for url, _, _ in listening.heard] == [URL]


def test_no_secret_rests_readable_and_none_after_the_end(listening: Listening) -> None:
    house, made = listening.house, listening.make()
    for octets in (base64.b64decode(made.secret.removeprefix("whsec_")), made.secret.encode()):
        assert all(octets not in repr(row).encode() for _, row in house.rows())
    house.portal.webhooks.test(listening.ann, made.id)
    house.portal.webhooks.remove(listening.ann, made.id)
    assert listening.said() == []
    assert house.portal.webhooks.listing(listening.ann) == []
    assert {row["state"] for row in house.queued("hook")} == {"cancelled"}


def test_rules_that_forbid_programs_forbid_this_too(listening: Listening) -> None:
    made = listening.make()
    listening.house.portal.webhooks.test(listening.ann, made.id)
    listening.house.owner.owner.set_rules(listening.ann.organisation, {"api": False}, "no programs here")
    assert listening.said() == []
    with pytest.raises(Denied):
        listening.make()


@pytest.mark.parametrize(
    "url",
    [
        "http://practice.example/", "https://10.0.0.1/", "https://[::1]/", "https://localhost/", "https://a@b.example/",
        "https://x.example/\r\nHost: y", "https://é.example/", "ftp://x.example/", "", "https://x.example:99999/",
        "https://x.example/" + "x" * 600, "https://2130706433/", "https://x.example/#part",
    ],
)  # fmt: skip
def test_events_go_to_hosts_with_a_name_by_https_only(listening: Listening, url: str) -> None:
    with pytest.raises(Denied):
        listening.house.portal.webhooks.add(
            listening.ann, url=url, events=("opened",), password=PASSWORD, source=SOURCE
        )


def test_there_are_only_so_many_and_others_have_no_hand_in_them(listening: Listening) -> None:
    hooks = listening.house.portal.webhooks
    made = [listening.make() for _ in range(MOST)]
    with pytest.raises(Denied):
        listening.make()
    listening.house.add_subscriber(HOLM)
    holm = listening.house.session(HOLM)
    for act in (hooks.remove, hooks.test):
        with pytest.raises(NoGrant):
            act(holm, made[0].id)
    with pytest.raises(NoGrant):
        hooks.rotate(holm, made[0].id, PASSWORD, SOURCE)


def test_a_closed_or_disabled_account_tells_nothing(listening: Listening) -> None:
    made = listening.make()
    listening.house.portal.webhooks.test(listening.ann, made.id)
    listening.house.owner.owner.disable(ANN)
    assert listening.said() == []


def test_a_house_of_its_own_may_be_named_by_who_runs_the_server(make_house: MakeHouse) -> None:
    house: House = make_house(api={"private_hosts": ["practice.lan.example"]})
    https = house.courier.courier._https
    assert https._private_hosts == {"practice.lan.example"}

"""Who may send plain, over which ways, and that no changed row makes the way worse."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cryptnsend.__main__ import main
from cryptnsend.core import policy
from cryptnsend.delivery.courier import Outcome
from cryptnsend.flow.granting import Addressee, Envelope
from tests.flow.admitting import submit
from tests.flow.conftest import DELIVERED, Desk
from tests.flow.rows import recipients
from tests.support.house import House, MakeHouse

ANN, BOB, PAT = "ann@gmail.example", "bob@gmail.example", "pat@yahoo.example"


def run(house: House, *words: str, code: int = 0) -> Result:
    done = CliRunner().invoke(main, [*words, "--home", str(house.home.path)])
    assert done.exit_code == code, (done.output, done.exception)
    return done


def test_the_commands_say_what_holds(make_house: MakeHouse) -> None:
    house = make_house(policy={"cleartext": "organisations"})
    house.organisation("Clinic")
    assert "cleartext is allowed" in run(house, "policy", "set", "cleartext", "allow", "--why", "as agreed").output
    refused = run(house, "policy", "set", "plain", "forbid", "--why", "as agreed", code=4).output
    assert "cannot go unencrypted where nothing leaves plain" in refused
    shown = json.loads(run(house, "policy", "show", "--json").output)
    assert {name: shown[name] for name in ("default", "plain", "cleartext", "tls-replies")} == {
        "default": "vault", "plain": True, "cleartext": True, "tls-replies": True,
    }  # fmt: skip
    assert "cleartext is forbidden" in run(house, "policy", "set", "cleartext", "inherit", "--why", "as agreed").output
    assert "plain is forbidden" in run(house, "policy", "set", "plain", "forbid", "--why", "as agreed").output


def test_what_the_installation_forbids_no_organisation_allows(house: House) -> None:
    house.organisation("Clinic")
    assert (
        "the installation forbids it" in run(house, "policy", "set", "cleartext", "allow", "--why", "as agreed").output
    )


def test_without_an_organisation_there_is_nothing_to_set(house: House) -> None:
    assert "[policy] decides" in run(house, "policy", "set", "plain", "forbid", "--why", "as agreed", code=4).output
    assert "plain: allowed" in run(house, "policy", "show").output


@pytest.fixture
def clinic(make_house: MakeHouse) -> House:
    """A house in which Clinic's people may send in clear; Bob is on his own."""
    house = make_house(policy={"cleartext": "organisations"})
    org = house.organisation("Clinic")
    house.add_subscriber(ANN, organisation=org)
    house.add_subscriber(BOB, name="Bob")
    run(house, "policy", "set", "cleartext", "allow", "--why", "as agreed")
    return house


def sent(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """Let everything leave, and return (class, whether clear text will do) of what went to Pat."""
    seen: list[tuple[str, bool]] = []
    plain = desk.answers.send

    def watched(envelope: Any, tls_class: str, message: Any, *, cleartext: bool) -> Outcome:
        if envelope.recipient == PAT:
            seen.append((tls_class, cleartext))
        return plain(envelope, tls_class, message, cleartext=cleartext)

    monkeypatch.setattr(desk.answers, "send", watched)
    desk.deliver()
    return seen


def test_only_plain_mail_of_those_who_may_goes_in_clear(clinic: House, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(clinic)
    with closing(desk.courier):
        clinic.submit(ANN, [PAT], clinic.mail(":: Lunch"))
        clinic.submit(BOB, [PAT], clinic.mail(":: Lunch", author=BOB))
        clinic.submit(ANN, [PAT], clinic.mail("Results"))
        assert sent(desk, monkeypatch) == [("plain", True), ("plain", False), ("opportunistic", False)]


def test_who_may_not_send_plain_has_it_sealed(clinic: House) -> None:
    run(clinic, "policy", "set", "cleartext", "inherit", "--why", "as agreed")
    run(clinic, "policy", "set", "plain", "forbid", "--why", "as agreed")
    message = clinic.submit(ANN, [PAT], clinic.mail(":: Results"))
    assert recipients(clinic, message)[PAT]["reason"] == "plain-not-allowed"


def plain(house: House) -> None:
    house.submit(ANN, [PAT], house.mail(":: Results", text="private words"))


def proven(house: House) -> None:
    house.tamper("UPDATE organisations SET policy = '{}'")
    submit(house, house.mail("Results", text="private words"))


def required(house: House) -> None:
    author = house.owner.owner.author(ANN)
    draft = house.door.admission.begin(author, Envelope(ANN, (Addressee(PAT),), requiretls=True), "smtp")
    octets = house.mail(":: Results", text="private words")
    end = octets.index(b"\r\n\r\n") + 4
    draft.header(octets[:end])
    draft.body(octets[end:])
    draft.commit_now()


@pytest.mark.parametrize(
    ("default", "make", "change"),
    [
        ("vault", plain, "tls_class = 'cleartext'"),
        ("tls-or-vault", proven, "tls_class = 'declared'"),
        ("tls-or-vault", proven, "tls_class = 'cleartext'"),
        ("vault", required, "dsn = '{}'"),
    ],
    ids=["declared to cleartext", "proven to declared", "proven to cleartext", "REQUIRETLS away"],
)
def test_a_changed_row_sends_nothing_over_a_worse_way(
    make_house: MakeHouse, default: str, make: Callable[[House], None], change: str
) -> None:
    house = make_house(policy={"default": default, "cleartext": "organisations"})
    house.add_subscriber(ANN)
    desk = Desk(house)
    with closing(desk.courier):
        make(house)
        house.tamper(f"UPDATE deliveries SET {change} WHERE kind = 'relay'")  # noqa: S608 - the texts are above
        desk.say(DELIVERED)
        desk.deliver()
        assert desk.row("relay")["state"] == "parked"
        assert not any(b"private words" in octets for _, _, octets in desk.answers.sent)


def test_a_decision_has_one_reason_whatever_the_way() -> None:
    facts = policy.RecipientFacts(PAT)
    submission = policy.Submission(ANN, True, ":: x", (facts,))
    ways = [policy.decide(submission, policy.Rules(cleartext=each))[PAT] for each in (False, True)]
    assert ways == [policy.Relay("opportunistic", "plain-token"), policy.Relay("cleartext", "plain-token")]


# -- TLS-Required: No -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "optional"),
    [
        ("TLS-Required: No\r\n", True),
        ("tls-required:\r\n  NO \r\n", True),
        ("", False),
        ("TLS-Required: Yes\r\n", False),
        ("TLS-Required: No, but\r\n", False),
        ("TLS-Required: No\r\nTLS-Required: No\r\n", False),
        ("X-TLS-Required: No\r\n", False),
        ("Comments: x\r\n TLS-Required: No\r\n", False),
    ],
)
def test_an_author_may_not_mind_what_the_recipients_domain_promises(house: House, more: str, optional: bool) -> None:
    house.add_subscriber(ANN)
    desk = Desk(house)
    with closing(desk.courier):
        house.submit(ANN, [PAT], house.mail(":: Lunch", more=more))
        house.submit(ANN, [PAT], house.mail("Results", more=more))
        desk.deliver()
        ways = {octets.count(b"All is well."): envelope for envelope, _, octets in desk.answers.sent
                if envelope.recipient == PAT}  # fmt: skip
        assert ways[1].tls_optional is optional
        assert ways[0].tls_optional is False, "a notice about sealed mail keeps to every promise"
        (plain,) = [octets for _, _, octets in desk.answers.sent if b"All is well." in octets]
        assert more.encode() in plain, "it goes on with the mail"

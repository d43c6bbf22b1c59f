"""What can the operator find in the queue, count, and steer by filters?"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cryptnsend.__main__ import main
from tests.support.house import House

ANN = "ann@gmail.example"
PAT, CARL, ZOE = "pat@yahoo.example", "carl@mail.example", "zoe@mail.example"
HOUR = 3600_000


class Queue:
    """`cryptnsend queue` at the terminal of a home."""

    def __init__(self, house: House):
        self.house = house

    def run(self, *words: object, code: int = 0, typed: str = "") -> Result:
        options = ["--home", str(self.house.home.config_file)]
        done = CliRunner().invoke(main, ["queue", *map(str, words), *options], input=typed, prog_name="cryptnsend")
        assert done.exit_code == code, (done.output, done.exception)
        return done

    def json(self, *words: object) -> Any:
        return json.loads(self.run(*words, "--json").stdout)

    def found(self, *words: object) -> set[tuple[str, str]]:
        """Return (recipient, kind) of what `list` finds."""
        return {(row["recipient"], row["kind"]) for row in self.json("list", *words)}

    def states(self) -> dict[str, str]:
        """Return the states of notices by recipient."""
        rows = self.house.engine.query(
            "SELECT a.canonical AS who, d.state FROM deliveries d JOIN addresses a ON a.id = d.recipient"
            " WHERE d.kind = 'notice'"
        )
        return {row["who"]: row["state"] for row in rows}

    def delay(self, who: str, status: str, reply: str) -> None:
        """Let the notice to somebody have been tried in vain."""
        self.house.tamper(
            "UPDATE deliveries SET state = 'delayed', outcome = :outcome, reply = :reply"
            " WHERE kind = 'notice' AND recipient = (SELECT id FROM addresses WHERE canonical = :who)",
            outcome=f'{{"host":"mx","status":"{status}","code":"451"}}',
            reply=reply,
            who=who,
        )


@pytest.fixture
def queue(house: House) -> Queue:
    """Three notices: Pat's just made, Carl's and Zoe's delayed for different reasons; and Ann's receipt."""
    house.add_subscriber(ANN)
    house.submit(ANN, [PAT, CARL, ZOE], house.mail(to=[PAT, CARL, ZOE]))
    made = Queue(house)
    made.delay(CARL, "4.7.5", "the host is not proven")
    made.delay(ZOE, "4.2.2", "Mailbox 100% full")
    return made


def test_what_waits_is_found_by_domain_reason_age_and_state(queue: Queue) -> None:
    assert queue.found("--domain", "MAIL.example") == {(CARL, "notice"), (ZOE, "notice")}
    assert queue.found("--reason", "4.7") == {(CARL, "notice")}
    assert queue.found("--reason", "FULL") == {(ZOE, "notice")}
    assert queue.found("--reason", "100%") == {(ZOE, "notice")}
    assert queue.found("--reason", "4%2") == queue.found("--domain", "mail_example") == set(), "no wildcards"
    assert queue.found("--state", "delayed", "--kind", "notice") == {(CARL, "notice"), (ZOE, "notice")}
    assert queue.found("--state", "due") == {(PAT, "notice"), (ANN, "receipt")}
    assert len(queue.json("list", "--limit", 1)) == 1


def test_age_is_from_when_it_was_made(queue: Queue, house: House) -> None:
    """The command goes by the machine's clock, so the rows are moved to it."""
    now = int(time.time() * 1000)
    for who, hours in ((ANN, 0.5), (PAT, 0.5), (CARL, 3), (ZOE, 50)):
        house.tamper(
            "UPDATE deliveries SET created = :made WHERE recipient = (SELECT id FROM addresses WHERE canonical = :who)",
            made=now - int(hours * HOUR),
            who=who,
        )
    assert queue.found("--older", "2h") == {(CARL, "notice"), (ZOE, "notice")}
    assert queue.found("--older", "2d") == {(ZOE, "notice")}
    assert queue.found("--older", "90m", "--newer", "1d") == {(CARL, "notice")}
    assert queue.found("--newer", "3600s") == {(PAT, "notice"), (ANN, "receipt")}


@pytest.mark.parametrize("text", ["", "2", "h", "-2h", "2w", "1.5h", "²h", "9" * 30 + "d"])
def test_a_length_of_time_that_is_none_is_told(house: House, text: str) -> None:
    assert "is no length of time" in Queue(house).run("list", "--older", text, code=2).output


def test_one_organisation_s_is_found_by_name_and_number(queue: Queue, house: House) -> None:
    (number,) = {row["org"] for row in queue.json("list")}
    assert queue.found("--organisation", number) == queue.found()
    assert "There is no organisation" in queue.run("list", "--organisation", 99, code=4).output
    house.organisation("Clinic")
    assert queue.found("--organisation", "clinic") == set()
    assert "There is no organisation" in queue.run("list", "--organisation", "Nobody", code=4).output


def test_deliveries_are_counted_by_what_is_asked_for(queue: Queue) -> None:
    assert {(row["domain"], row["state"], row["status"]): row["count"] for row in queue.json("count")} == {
        ("mail.example", "delayed", "4.7.5"): 1,
        ("mail.example", "delayed", "4.2.2"): 1,
        ("yahoo.example", "due", ""): 1,
        ("gmail.example", "due", ""): 1,
    }
    by_domain = queue.json("count", "--by", "domain")
    assert by_domain[0]["domain"] == "mail.example"
    assert by_domain[0]["count"] == 2
    assert by_domain[0].keys() == {"domain", "count", "oldest", "example"}
    assert {(row["kind"], row["count"]) for row in queue.json("count", "--by", "kind")} == {
        ("notice", 3),
        ("receipt", 1),
    }
    assert queue.json("count", "--domain", "yahoo.example")[0]["count"] == 1
    assert queue.json("count") == queue.json("list", "--counts")
    assert "mail.example" in queue.run("count", "--by", "organisation", "--by", "domain").output


def test_filters_steer_many_at_once(queue: Queue) -> None:
    held = queue.json("hold", "--domain", "mail.example")
    assert [row["state"] for row in held] == ["held", "held"]
    assert queue.states() == {PAT: "due", CARL: "held", ZOE: "held"}
    queue.run("release", "--reason", "4.7")
    assert queue.states() == {PAT: "due", CARL: "delayed", ZOE: "held"}
    queue.run("retry", "--domain", "mail.example")
    assert queue.states() == {PAT: "due", CARL: "due", ZOE: "held"}, "what is held waits to be released"
    assert "None was found" in queue.run("retry", "--domain", "nowhere.example").output
    assert queue.json("retry", "--domain", "nowhere.example") == []


def test_cancelling_many_is_asked_about(queue: Queue) -> None:
    assert "Cancel 2 deliveries" in queue.run("drop", "--domain", "mail.example", typed="n\n", code=1).output
    assert set(queue.states().values()) == {"due", "delayed"}
    queue.run("drop", "--domain", "mail.example", "--yes")
    assert queue.states() == {PAT: "due", CARL: "cancelled", ZOE: "cancelled"}


def test_several_are_named_and_one_that_is_not_there_is_told(queue: Queue) -> None:
    some = [row["id"] for row in queue.json("list", "--domain", "mail.example")]
    assert {row["id"] for row in queue.json("hold", *some)} == set(some)
    assert "There is no delivery 1 " in queue.run("hold", 1, 2, code=4).output


@pytest.mark.parametrize("command", ["retry", "hold", "release", "drop"])
def test_nothing_is_steered_without_saying_what_or_by_saying_it_twice(queue: Queue, command: str) -> None:
    before = queue.states()
    assert "Name deliveries" in queue.run(command, code=2).output
    assert "Name deliveries" in queue.run(command, 1, "--domain", "mail.example", code=2).output
    assert queue.states() == before

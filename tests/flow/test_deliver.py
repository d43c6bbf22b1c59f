"""What happens to what is due: who tries, how often, what follows, and what never happens?"""

from __future__ import annotations

import os
import socket

import pytest

from cryptnsend.core.errors import StoreBroken
from cryptnsend.delivery.courier import Outcome
from cryptnsend.flow.deliver import LEASE, PAUSE
from cryptnsend.store.records import deliveries as records
from tests.flow.conftest import DELIVERED, LATER, REFUSED, Desk
from tests.flow.due import notice, reply
from tests.flow.rows import deliveries, grants, recipients
from tests.support.house import MINUTE, House

ANN, PAT, BOB = "ann@gmail.example", "pat@yahoo.example", "bob@icloud.example"
TOO_LARGE = Outcome("failed", 552, "5.3.4", "too large", "mx.example", reason=Outcome.TOO_LARGE)
NO_TLS = Outcome("failed", None, "5.7.10", "offers no TLS", "mx.example", reason=Outcome.TLS_MISSING)
BUSY = Outcome("delayed", None, "4.3.2", "all in use", reason=Outcome.BUSY)


@pytest.fixture
def ann(desk: Desk) -> int:
    return desk.house.add_subscriber(ANN)


# -- claims -----------------------------------------------------------------------------------------------------------


def test_the_attempt_counts_before_it_is_made(desk: Desk, ann: int, monkeypatch: pytest.MonkeyPatch) -> None:
    message = notice(desk)
    seen: list[tuple[int, str]] = []

    def look(*_: object, **__: object) -> Outcome:
        row = desk.row()
        seen.append((row["attempts"], row["state"]))
        return DELIVERED

    monkeypatch.setattr(desk.answers, "send", look)
    desk.deliver()
    assert seen == [(1, "leased")]
    assert (desk.row()["state"], desk.row()["message"]) == ("delivered", message)


def test_links_are_durable_before_the_mail_leaves(desk: Desk, ann: int, monkeypatch: pytest.MonkeyPatch) -> None:
    notice(desk)
    known = desk.house.engine.query("SELECT count(*) AS n FROM links")[0]["n"]
    seen: list[int] = []

    def look(*_: object, **__: object) -> Outcome:
        seen.append(desk.house.engine.query("SELECT count(*) AS n FROM links")[0]["n"])
        return DELIVERED

    monkeypatch.setattr(desk.answers, "send", look)
    desk.deliver()
    assert seen == [known + 3]  # to open, to answer, for bounces


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        ("notice", DELIVERED),
        ("notice", LATER),
        ("notice", BUSY),
        ("relay", REFUSED),
        ("relay", NO_TLS),
        ("handoff", TOO_LARGE),
    ],
    ids=lambda each: each if isinstance(each, str) else each.reason or each.kind,
)
def test_a_worker_that_was_thought_dead_changes_nothing(desk: Desk, ann: int, kind: str, outcome: Outcome) -> None:
    house = desk.house
    if kind == "handoff":
        message = reply(house, house.submit(ANN, [PAT], house.mail()))
    else:
        message = house.submit(ANN, [PAT], house.mail(":: hello" if kind == "relay" else "hello"))
    row = _lease(desk, kind)
    letter = house.courier.letters.compose(row)
    house.clock.forward(LEASE + 1)
    again = _lease(desk, kind)
    assert (again["id"], again["fence"]) == (row["id"], row["fence"] + 1)
    before = (desk.row(kind), grants(house, message), recipients(house, message), deliveries(house, message))
    outcomes = house.courier.deliver._outcomes
    house.engine.write(lambda rows: outcomes.write(rows, row, letter, outcome)).result()
    assert (desk.row(kind), grants(house, message), recipients(house, message), deliveries(house, message)) == before


def _lease(desk: Desk, kind: str) -> dict[str, object]:
    """Claim the delivery of a kind, as a worker does, and leave the others alone."""
    while True:
        row = desk.courier._claim()
        assert row is not None
        if row["kind"] == kind:
            return row


def test_three_crashes_park_a_delivery_and_the_others_flow(desk: Desk, ann: int) -> None:
    """The worker dies without a word: only the lease tells."""
    house = desk.house
    notice(desk)
    for _ in range(3):
        assert _lease(desk, "notice")["kind"] == "notice"
        house.clock.forward(LEASE + 1)
    other = house.submit(ANN, [PAT], house.mail("Another"))
    desk.deliver()
    rows = house.queued("notice")
    assert [(row["state"], row["crashes"]) for row in rows[-2:]] == [("parked", 3), ("delivered", 0)]
    assert rows[-1]["message"] == other
    (report,) = reported(desk)
    assert "by a fault of its own" in report
    assert "They have not seen your message." in report


def reported(desk: Desk) -> list[str]:
    """Return what Ann is told about what did not leave, in words and as programs read it."""
    desk.house.clock.forward(MINUTE)
    desk.deliver()
    return [str(mail) for mail in desk.answers.mails(ANN) if mail.get_content_type() == "multipart/report"]


def test_a_defect_is_counted_like_a_crash_and_takes_no_thread_away(
    desk: Desk, ann: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = desk.house
    message = notice(desk)
    compose = house.courier.letters.compose

    def defective(row: dict[str, object]) -> object:
        if row["message"] == message:
            raise ZeroDivisionError
        return compose(row)

    monkeypatch.setattr(house.courier.letters, "compose", defective)
    other = house.submit(ANN, [PAT], house.mail("Another"))
    for _ in range(3):
        desk.deliver()
        house.clock.forward(PAUSE)
    states = {row["message"]: row["state"] for row in house.queued("notice")}
    assert (states[message], states[other]) == ("parked", "delivered")
    monkeypatch.undo()
    (report,) = reported(desk)
    assert "Action: failed\nStatus: 5.3.0\nDiagnostic-Code: x-cryptnsend; parked after three crashes" in report
    assert house.engine.write(lambda rows: records.retry(rows, _of(house, message), house.clock.now())).result()
    desk.deliver()
    assert {row["message"]: row["state"] for row in house.queued("notice")}[message] == "delivered"


def _of(house: House, message: int) -> int:
    return next(int(row["id"]) for row in house.queued("notice") if row["message"] == message)


def test_a_long_attempt_keeps_its_lease(desk: Desk, ann: int, monkeypatch: pytest.MonkeyPatch) -> None:
    house = desk.house
    notice(desk)
    others: list[object] = []

    def slow(*_: object, **__: object) -> Outcome:
        for _ in range(10):
            house.clock.forward(LEASE // 2)
            desk.courier._renew()
            others.append(desk.courier._claim())
        return DELIVERED

    monkeypatch.setattr(desk.answers, "send", slow)
    desk.deliver()
    assert set(others) == {None}
    assert (desk.row()["state"], desk.row()["crashes"], desk.row()["attempts"]) == ("delivered", 0, 1)


@pytest.mark.parametrize("owner", ["{machine}:1999999999:abcd", "{machine}:{pid}:abcd"])
def test_what_a_dead_process_held_is_tried_at_once(desk: Desk, ann: int, owner: str) -> None:
    house = desk.house
    notice(desk)
    _lease(desk, "notice")
    gone = owner.format(machine=socket.gethostname(), pid=os.getpid())
    house.tamper("UPDATE deliveries SET lease_owner = :gone WHERE state = 'leased'", gone=gone)
    desk.courier._bury_the_dead()
    assert desk.deliver() == 1
    assert (desk.row()["state"], desk.row()["crashes"]) == ("delivered", 1)


def test_what_a_living_process_holds_is_left_to_it(desk: Desk, ann: int) -> None:
    notice(desk)
    _lease(desk, "notice")
    desk.courier._bury_the_dead()
    desk.house.tamper("UPDATE deliveries SET lease_owner = 'another-machine:1:abcd' WHERE state = 'leased'")
    desk.courier._bury_the_dead()
    assert desk.deliver() == 0
    assert desk.row()["state"] == "leased"


# -- ours to mend -----------------------------------------------------------------------------------------------------


def test_without_the_keeper_mail_waits_and_no_attempt_counts(desk: Desk, ann: int) -> None:
    house = desk.house
    notice(desk)
    house.stop_keeper()
    for _ in range(5):
        desk.deliver()
        house.clock.forward(PAUSE)
    row = desk.row()
    assert (row["state"], row["attempts"], row["crashes"]) == ("due", 0, 0)
    house.start_keeper()
    desk.deliver()
    assert desk.row()["state"] == "delivered"


def test_a_store_that_fails_in_between_costs_nothing(desk: Desk, ann: int, monkeypatch: pytest.MonkeyPatch) -> None:
    house = desk.house
    notice(desk)
    real, before = house.courier.engine.write, len(desk.answers.sent)
    failed = False

    def sometimes(fn: object, **more: object) -> object:
        nonlocal failed
        if len(desk.answers.sent) > before and not failed:  # the mail has left: its outcome cannot be written
            failed = True
            raise StoreBroken("the disk")
        return real(fn, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(house.courier.engine, "write", sometimes)
    desk.deliver()
    monkeypatch.undo()
    assert desk.row()["state"] in ("due", "leased")
    house.clock.forward(LEASE + PAUSE)
    desk.deliver()
    assert desk.row()["state"] == "delivered"
    assert failed
    first, second = desk.answers.mails(PAT)[-2:]
    assert first["Message-ID"] == second["Message-ID"]  # twice rather than never, and the same mail


@pytest.mark.parametrize("change", ["recipient", "form", "message", "wrap"])
def test_an_edited_delivery_is_parked_and_gives_content_to_nobody(desk: Desk, ann: int, change: str) -> None:
    house = desk.house
    first = house.submit(ANN, [PAT, BOB], house.mail(to=[PAT, BOB]))
    other = house.submit(ANN, [BOB], house.mail("Another", to=[BOB]))
    desk.deliver()
    before = len(desk.answers.sent)
    house.submit(ANN, [PAT], house.mail(":: Results", text="private words"))
    ident = desk.row("relay")["id"]
    if change == "recipient":
        house.tamper(
            "UPDATE deliveries SET recipient = (SELECT id FROM addresses WHERE canonical = :b) WHERE id = :i",
            b=BOB,
            i=ident,
        )
    elif change == "form":
        house.tamper("UPDATE deliveries SET kind = 'handoff', form = 'zip' WHERE id = :i", i=ident)
    elif change == "message":
        house.tamper("UPDATE deliveries SET message = :m WHERE id = :i", m=other, i=ident)
    else:
        house.tamper("UPDATE deliveries SET queue_wrap = zeroblob(60) WHERE id = :i", i=ident)
    good = house.submit(ANN, [BOB], house.mail("A third", to=[BOB]))
    desk.deliver()
    state = house.engine.query("SELECT state FROM deliveries WHERE id = :i", i=ident)[0]["state"]
    assert state in ("parked", "cancelled")
    assert not any(b"private words" in octets for _, _, octets in desk.answers.sent[before:])
    assert {row["message"]: row["state"] for row in house.queued("notice")}[good] == "delivered"
    assert first != good


def test_a_damaged_blob_is_parked(desk: Desk, ann: int) -> None:
    house = desk.house
    house.submit(ANN, [PAT], house.mail(":: Results", text="x" * 60_000))
    ((key, _),) = list(house.portal.blobs.keys())
    path = next(path for path in house.home.blobs.rglob("*") if path.name == key)
    octets = bytearray(path.read_bytes())
    octets[-30] ^= 1
    path.write_bytes(bytes(octets))
    desk.deliver()
    assert desk.row("relay")["state"] == "parked"
    assert not any(b"xxxx" in octets for _, _, octets in desk.answers.sent)
    (report,) = reported(desk)
    assert "This server could not send it, by a fault of" in report

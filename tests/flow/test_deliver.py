"""What happens to what is due: who tries, how often, what follows, and what never happens?"""

from __future__ import annotations

import io
import os
import socket
import threading
import tracemalloc
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from cryptnsend.core.errors import StoreBroken
from cryptnsend.delivery.courier import Outcome
from cryptnsend.delivery.retry import DEFAULT
from cryptnsend.delivery.session import Session
from cryptnsend.demo.internet import Internet
from cryptnsend.flow import deliver as module
from cryptnsend.flow.deliver import LEASE, PAUSE, Deliver, Ringer
from cryptnsend.flow.granting import Addressee, Author
from cryptnsend.flow.granting import Envelope as Submitted
from cryptnsend.flow.views import Upload
from cryptnsend.store.records import deliveries as records
from tests.flow.conftest import DELIVERED, LATER, REFUSED, Desk, Post, faces, links_in, parsed
from tests.flow.rows import deliveries, grants, recipients
from tests.flow.test_admit import submit
from tests.support.house import DAY, HOUR, MINUTE, House, MakeHouse
from tests.support.waiting import wait_for

ANN, PAT, BOB, CARL = "ann@gmail.example", "pat@yahoo.example", "bob@icloud.example", "carl@aol.example"
TOO_LARGE = Outcome("failed", 552, "5.3.4", "too large", "mx.example", reason=Outcome.TOO_LARGE)
CONTENT = Outcome("failed", 552, "5.7.0", "a possible danger", "mx.example", reason=Outcome.CONTENT)
NO_TLS = Outcome("failed", None, "5.7.10", "offers no TLS", "mx.example", reason=Outcome.TLS_MISSING)
NO_PROOF = Outcome("failed", None, "5.7.10", "nobody vouches", "mx.example", reason=Outcome.PROOF_MISSING)
BUSY = Outcome("delayed", None, "4.3.2", "all in use", reason=Outcome.BUSY)
NOT_ASCII = Outcome("failed", None, "5.6.7", "takes only ASCII", "mx.example", reason=Outcome.NOT_ASCII)


@pytest.fixture
def ann(desk: Desk) -> int:
    return desk.house.add_subscriber(ANN)


def notice(desk: Desk, to: str = PAT) -> int:
    """Let Ann write to somebody who knows her code, so that a notice is all that is due."""
    desk.house.register(to, desk.house.submit(ANN, [to], desk.house.mail(to=[to])))
    desk.say(DELIVERED)
    desk.deliver()
    return desk.house.submit(ANN, [to], desk.house.mail("Again", to=[to]))


def reply(house: House, message: int, text: str = "Thank you.") -> int:
    """Let Pat answer on the page, so that a locked file is due for Ann."""
    session = house.register(PAT, message)
    return house.replies.send(session, message, everybody=False, text=text, files=[], nonce=text.encode()[:16])


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


# -- later, and at last -----------------------------------------------------------------------------------------------


def test_a_delay_is_tried_again_told_after_two_hours_and_given_up_after_thirty_two(desk: Desk, ann: int) -> None:
    house = desk.house
    notice(desk)
    made, told = house.clock.now(), []
    desk.say(LATER)
    tries = []
    while desk.row()["state"] != "failed":
        tries.append(house.clock.now() - made)
        desk.deliver()
        told += [(row["template"], house.clock.now() - made) for row in house.queued("dsn")[len(told) :]]
        if desk.row()["state"] == "delayed":
            house.clock.forward(desk.row()["due"] - house.clock.now())
    waits = [after - before for before, after in pairwise(tries)]
    assert 8 <= len(waits) <= 10
    assert waits[0] == pytest.approx(DEFAULT.first, rel=0.11)
    assert all(1.5 < after / before < 2.6 for before, after in pairwise(waits[:-1]))
    assert tries[-1] == 32 * HOUR
    assert [what for what, _ in told] == ["delayed", "failed"]
    assert 2 * HOUR <= told[0][1] < 5 * HOUR
    assert told[1][1] == 32 * HOUR


def test_a_jump_of_the_clock_gives_up_nothing_that_was_not_tried(desk: Desk, ann: int) -> None:
    house = desk.house
    notice(desk)
    desk.say(LATER)
    desk.deliver()
    house.clock.jump(400 * DAY)
    tries = 1
    while desk.row()["state"] == "delayed":
        desk.deliver()
        tries += 1
        house.clock.forward(max(0, desk.row()["due"] - house.clock.now()))
    assert (desk.row()["state"], tries) == ("failed", 4)


def test_what_comes_back_is_told_to_its_sender_once(desk: Desk, ann: int) -> None:
    notice(desk)
    desk.say(REFUSED, DELIVERED)
    desk.deliver()
    assert desk.row()["state"] == "failed"
    reports = [mail for mail in desk.answers.mails(ANN) if mail.get_content_type() == "multipart/report"]
    assert len(reports) == 1
    assert desk.deliver() == 0


@pytest.mark.parametrize(
    ("subject", "asked", "outcome", "told"),
    [
        ("hello", "", DELIVERED, []),
        ("hello", "SUCCESS", DELIVERED, ["relayed"]),
        (":: hello", "SUCCESS", DELIVERED, ["relayed"]),
        ("hello", "SUCCESS,FAILURE", REFUSED, ["failed"]),
        (":: hello", "SUCCESS", REFUSED, []),
        ("hello", "NEVER", REFUSED, []),
        ("hello", "DELAY", REFUSED, []),
    ],
)
def test_the_sender_is_told_what_they_asked_for(
    desk: Desk, ann: int, subject: str, asked: str, outcome: Outcome, told: list[str]
) -> None:
    submit(desk.house, desk.house.mail(subject), [Addressee(PAT, asked)])
    desk.say(outcome)
    desk.deliver()
    assert [row["template"] for row in desk.house.queued("dsn")] == told


@pytest.mark.parametrize(("asked", "told"), [("FAILURE", 0), ("DELAY", 1), ("", 1), ("NEVER", 0)])
def test_delays_are_told_unless_something_else_was_asked_for(desk: Desk, ann: int, asked: str, told: int) -> None:
    submit(desk.house, desk.house.mail(), [Addressee(PAT, asked)])
    desk.say(LATER)
    for _ in range(4):
        desk.deliver()
        desk.house.clock.forward(2 * HOUR)
    assert [row["template"] for row in desk.house.queued("dsn")] == ["delayed"] * told


def test_a_notice_that_left_is_noted_with_its_time_and_in_the_audit(desk: Desk, ann: int) -> None:
    message = notice(desk)
    desk.house.clock.forward(MINUTE)
    desk.deliver()
    assert recipients(desk.house, message)[PAT]["notified"] == desk.house.clock.now()
    assert ("keeper", "notice.sent") in desk.house.audited(desk.house.session(ANN).organisation)


def test_own_mail_that_fails_is_told_to_nobody(desk: Desk, ann: int) -> None:
    desk.house.submit(ANN, [PAT], desk.house.mail())
    desk.say(REFUSED)
    desk.deliver()
    assert desk.row("receipt")["state"] == "failed"
    assert [row["subject_id"] for row in desk.house.queued("dsn")] == [desk.row("notice")["id"]]
    assert desk.row("dsn")["state"] == "failed"  # a report about a report is never made


def test_no_free_connection_is_no_attempt(desk: Desk, ann: int) -> None:
    notice(desk)
    desk.say(BUSY)
    desk.deliver()
    row = desk.row()
    assert (row["state"], row["attempts"], row["due"]) == ("due", 0, desk.house.clock.now() + 1000)


def test_a_host_that_knows_no_international_mail_is_told_in_words(desk: Desk, ann: int) -> None:
    notice(desk)
    desk.say(NOT_ASCII, DELIVERED)
    desk.deliver()
    text, _ = faces(desk.answers.mails(ANN)[-1])
    assert "cannot take this kind of mail" in " ".join(text.split())


# -- another form -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("refusal", [TOO_LARGE, CONTENT], ids=["too large", "content"])
def test_a_refused_file_goes_once_as_a_link_and_says_so(desk: Desk, ann: int, refusal: Outcome) -> None:
    house = desk.house
    first = house.submit(ANN, [PAT], house.mail())
    desk.deliver()
    reply(house, first)
    desk.say(refusal, DELIVERED)
    desk.deliver()
    locked, link = desk.answers.mails(ANN)[-2:]
    assert [part.get_content_type() for part in locked.iter_attachments()] == ["application/zip"]
    assert link.get_content_type() == "multipart/alternative"
    assert "did not take the locked file" in " ".join(faces(link)[0].split())
    assert links_in(faces(link)[0]) == links_in(faces(locked)[0])
    row = desk.row("handoff")
    assert (row["state"], row["form"], row["queue_wrap"]) == ("delivered", "link", None)
    assert locked["Message-ID"] == link["Message-ID"]


def test_a_refused_link_comes_back_to_its_writer(desk: Desk, ann: int) -> None:
    house = desk.house
    first = house.submit(ANN, [PAT], house.mail())
    desk.deliver()
    reply(house, first)
    desk.say(CONTENT)
    desk.deliver()
    assert (desk.row("handoff")["state"], desk.row("handoff")["form"]) == ("failed", "link")
    assert desk.answers.sent[-1][0].recipient == PAT  # the report goes to who wrote it


def test_a_file_too_large_for_an_inbox_is_never_made(make_house: MakeHouse) -> None:
    house = make_house(delivery={"handoff_octets": 65_536})
    house.add_subscriber(ANN)
    desk = Desk(house)
    with closing(desk.courier):
        first = house.submit(ANN, [PAT], house.mail())
        desk.deliver()
        reply(house, first, "x" * 80_000)
        desk.deliver()
        (mail,) = [each for each in desk.answers.mails(ANN) if each["In-Reply-To"]]
        assert mail.get_content_type() == "multipart/alternative"
        assert "too large for your mailbox" in " ".join(faces(mail)[0].split())


@pytest.mark.parametrize("refusal", [NO_TLS, NO_PROOF], ids=["no TLS", "no proof"])
def test_plain_mail_without_a_protected_way_waits_in_the_vault_instead(desk: Desk, ann: int, refusal: Outcome) -> None:
    house = desk.house
    message = house.submit(ANN, [PAT], house.mail(":: Results"))
    desk.say(refusal, DELIVERED)
    desk.deliver()
    assert recipients(house, message)[PAT]["decision"] == "vault"
    assert house.queued("relay") == []
    assert (desk.row("notice")["state"], desk.row("notice")["queue_wrap"]) == ("delivered", None)
    (mail,) = [each for each in desk.answers.mails(PAT) if each["Auto-Submitted"]]
    assert "secure message" in str(mail["Subject"])
    (told,) = desk.answers.mails(ANN)
    assert house.code(ANN, PAT) in faces(told)[0].replace(" ", "")  # the sender did not expect to need a code
    pat = house.register(PAT, message)
    assert house.pickup.show(pat, message).subject == "Results"


def test_plain_mail_to_a_known_recipient_needs_no_new_code_in_the_vault(desk: Desk, ann: int) -> None:
    house = desk.house
    notice(desk)
    desk.deliver()
    message = house.submit(ANN, [PAT], house.mail(":: Results"))
    receipts = len(house.queued("receipt"))
    desk.say(NO_TLS, DELIVERED)
    desk.deliver()
    assert len(house.queued("receipt")) == receipts
    assert house.pickup.show(house.session(PAT), message).subject == "Results"


def test_plain_mail_that_was_taken_back_meanwhile_does_not_turn_up_in_the_vault(
    desk: Desk, ann: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = desk.house
    message = house.submit(ANN, [PAT], house.mail(":: Results"))

    def taken_back(*_: object, **__: object) -> Outcome:
        house.pickup.expire(house.session(ANN), message)
        return NO_TLS

    monkeypatch.setattr(desk.answers, "send", taken_back)
    desk.deliver()
    assert desk.row("relay")["state"] == "cancelled"
    assert f"address:{PAT}" not in {holder for holder, _ in grants(house, message)}


def test_plain_mail_that_is_refused_comes_back_and_its_key_is_destroyed(desk: Desk, ann: int) -> None:
    house = desk.house
    house.submit(ANN, [PAT], house.mail(":: Results"))
    desk.say(REFUSED, DELIVERED)
    desk.deliver()
    row = desk.row("relay")
    assert (row["state"], row["queue_epoch"], row["queue_wrap"]) == ("failed", None, None)
    assert desk.row("dsn")["template"] == "failed"


def test_a_header_that_is_too_long_to_relay_comes_back_to_its_sender(desk: Desk, ann: int) -> None:
    house = desk.house
    more = "".join(f"X-Field-{n}: {'y' * 900}\r\n" for n in range(1300))
    submit(house, house.mail(":: Results", more=more))
    desk.deliver()
    assert desk.row("relay")["state"] == "failed"
    assert "too long" in faces(desk.answers.mails(ANN)[-1])[0]


def test_relayed_mail_never_stands_in_memory_as_a_whole(desk: Desk, ann: int, monkeypatch: pytest.MonkeyPatch) -> None:
    house = desk.house
    submit(house, house.mail(":: Results", text=("x" * 998 + "\r\n") * 12_000))
    sizes: list[int] = []

    def stream(_: object, __: object, message: Callable[[], Iterator[bytes]], **___: object) -> Outcome:
        sizes.append(sum(map(len, message())))
        return DELIVERED

    monkeypatch.setattr(desk.answers, "send", stream)
    tracemalloc.start()
    try:
        desk.deliver()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sizes[0] > 12_000_000
    assert peak < 3 * 1024 * 1024


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
    real = house.courier.engine.write
    calls = 0

    def sometimes(fn: object, **more: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 3:  # after claim and links: the outcome cannot be written
            raise StoreBroken("the disk")
        return real(fn, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(house.courier.engine, "write", sometimes)
    desk.deliver()
    monkeypatch.undo()
    assert desk.row()["state"] in ("due", "leased")
    house.clock.forward(LEASE + PAUSE)
    desk.deliver()
    assert desk.row()["state"] == "delivered"
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


# -- taken back -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("subject", ["Results", ":: Results"])
def test_what_was_taken_back_before_it_left_does_not_leave(desk: Desk, ann: int, subject: str) -> None:
    house = desk.house
    message = house.submit(ANN, [PAT], house.mail(subject))
    house.pickup.expire(house.session(ANN), message)
    desk.deliver()
    assert not desk.answers.mails(PAT)
    kind = "relay" if subject.startswith("::") else "notice"
    assert (desk.row(kind)["state"], desk.row(kind)["queue_wrap"]) == ("cancelled", None)


def test_what_was_taken_back_between_two_tries_does_not_leave(desk: Desk, ann: int) -> None:
    house = desk.house
    message = notice(desk)
    desk.say(LATER)
    desk.deliver()
    sent = len(desk.answers.mails(PAT))
    house.pickup.expire(house.session(ANN), message)
    house.clock.forward(DAY)
    desk.deliver()
    assert len(desk.answers.mails(PAT)) == sent
    assert desk.row()["state"] == "cancelled"


def test_an_expired_message_is_not_announced_any_more(desk: Desk, ann: int) -> None:
    house = desk.house
    notice(desk)
    house.clock.forward(31 * DAY)
    house.upkeep.once()
    desk.deliver()
    assert desk.row()["state"] == "cancelled"


# -- the same mail again ----------------------------------------------------------------------------------------------


def test_a_repeated_mail_is_the_same_octet_for_octet(desk: Desk, ann: int) -> None:
    house = desk.house
    notice(desk)
    desk.say(LATER, DELIVERED)
    desk.deliver()
    house.clock.forward(HOUR)
    desk.deliver()
    (_, _, first), (_, _, second) = desk.answers.sent[-2:]
    assert first == second


def test_a_repeated_relay_is_the_same_octet_for_octet(desk: Desk, ann: int) -> None:
    house = desk.house
    house.submit(ANN, [PAT], house.mail(":: Results", text="x" * 100_000))
    desk.say(LATER, DELIVERED)
    desk.deliver()
    house.clock.forward(HOUR)
    desk.deliver()
    (_, _, first), (_, _, second) = desk.answers.sent[-2:]
    assert first == second


def test_a_repeated_handoff_differs_in_its_salt_only(desk: Desk, ann: int) -> None:
    house = desk.house
    first = house.submit(ANN, [PAT], house.mail())
    desk.deliver()
    reply(house, first)
    desk.say(LATER, DELIVERED)
    desk.deliver()
    house.clock.forward(HOUR)
    desk.deliver()
    one, two = (parsed(octets) for _, _, octets in desk.answers.sent[-2:])
    assert faces(one) == faces(two)
    assert [one[name] for name in ("Message-ID", "Date", "From", "Subject")] == [
        two[name] for name in ("Message-ID", "Date", "From", "Subject")
    ]


# -- envelopes --------------------------------------------------------------------------------------------------------


def test_what_the_next_host_is_asked_is_written_as_it_must_be(desk: Desk, ann: int) -> None:
    house = desk.house
    session = house.session(ANN)
    for notify, orcpt, envid in (
        ("SUCCESS", "rfc822;p at+x=y@old.example", "a+b=c d"),
        ("NEVER", "utf-8;pät@old.example", "ä"),
        ("", "rfc822;" + "x" * 600, "y" * 101),
    ):
        draft = house.door.admission.begin(
            Author(session.account, session.organisation, ANN, frozenset({ANN}), True),
            Submitted(ANN, (Addressee(PAT, notify, orcpt),), "HDRS", envid),
            "smtp",
        )
        draft.header(house.mail(":: hello"))
        draft.commit_now()
    desk.deliver()
    asked = [each for each, _, _ in desk.answers.sent if each.recipient == PAT]
    assert {(each.notify, each.orcpt, each.envid, each.ret) for each in asked} == {
        (None, "rfc822;p+20at+2Bx+3Dy@old.example", "a+2Bb+3Dc+20d", "HDRS"),
        ("NEVER", None, None, "HDRS"),
        (None, None, None, "HDRS"),
    }


def test_reports_about_sealed_mail_are_asked_of_nobody(desk: Desk, ann: int) -> None:
    submit(desk.house, desk.house.mail(), [Addressee(PAT, "SUCCESS", "rfc822;p@old.example")])
    desk.deliver()
    envelope = next(each for each, _, _ in desk.answers.sent if each.recipient == PAT)
    assert (envelope.notify, envelope.orcpt, envelope.ret, envelope.envid) == (None, None, None, None)


# -- real threads, real sockets ---------------------------------------------------------------------------------------


@contextmanager
def running(courier: Deliver, wake: Path) -> Iterator[None]:
    """Let a courier work in the background, and end it whatever happens."""
    stop = threading.Event()
    thread = threading.Thread(target=courier.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        Ringer(wake)()
        thread.join(60)
        assert not thread.is_alive()


@pytest.fixture
def busy(make_house: MakeHouse, internet: Internet, routes: dict[str, object]) -> Post:
    """A house whose courier is run by the test."""
    house = make_house(delivery=routes)
    for each in (house.door, house.portal):
        vars(each)["wake"] = Ringer(house.home.courier_wake)
    house.add_subscriber(ANN)
    return Post(house, internet)


def test_a_notice_leaves_when_the_bell_rings(busy: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """The threads look by themselves once a minute here, so only the bell brings them."""
    monkeypatch.setattr(module, "POLL", 60.0)
    wake = busy.house.home.courier_wake
    with running(busy.courier, wake):
        for number in range(1, 4):
            busy.house.submit(ANN, [PAT], busy.house.mail(f"number {number}"))
            assert busy.internet.wait_for(PAT, number, timeout=60)
    assert not wake.exists()


def test_a_report_leaves_as_soon_as_its_cause(busy: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL", 60.0)
    with running(busy.courier, busy.house.home.courier_wake):
        busy.house.submit(ANN, ["nobody@nowhere.example"], busy.house.mail())
        mail = busy.internet.wait_for(ANN, 1, lambda one: one.parsed.get_content_type() == "multipart/report", 30)
    assert mail.reverse_path in ("", "<>")


def test_without_a_bell_the_courier_looks_by_itself(busy: Post) -> None:
    with running(busy.courier, busy.house.home.courier_wake):
        busy.house.home.courier_wake.unlink()
        busy.house.submit(ANN, [PAT], busy.house.mail())
        assert busy.internet.wait_for(PAT, timeout=60)


def test_ringing_harms_nobody(tmp_path: Path) -> None:
    """There may be no courier, or something else in its place."""
    Ringer(tmp_path / "absent")()
    (tmp_path / "file").touch()
    Ringer(tmp_path / "file")()
    Ringer(tmp_path / ("x" * 200))()
    assert not (tmp_path / "absent").exists()


def test_several_couriers_share_the_work_and_nothing_leaves_twice(busy: Post) -> None:
    house = busy.house
    house.register(PAT, house.submit(ANN, [PAT], house.mail()))
    app = house.process("courier")
    other = Deliver(
        engine=app.engine,
        letters=app.letters,
        courier=app.courier,
        outcomes=house.courier.deliver._outcomes,
        clock=house.clock,
        random=os.urandom,
        threads=2,
        wake_socket=house.home.run / "other.wake",
    )
    for number in range(20):
        house.submit(ANN, [PAT], house.mail(f"number {number}"))
    with (
        closing(app.keeper),
        running(busy.courier, house.home.courier_wake),
        running(other, house.home.run / "other.wake"),
    ):
        wait_for(
            lambda: not house.engine.query("SELECT 1 AS one FROM deliveries WHERE state IN ('due', 'leased')"),
            "all mail gone",
        )
    idents = [str(mail.parsed["Message-ID"]) for mail in busy.mails(PAT)]
    assert len(idents) == len(set(idents)) == 21


def test_a_peer_that_drops_every_connection_delays_its_own_mail_only(busy: Post) -> None:
    house = busy.house
    house.submit(ANN, ["x@down.example", PAT, "y@outlook.example"], house.mail())
    busy.deliver()
    states = {row["recipient"]: row["state"] for row in house.queued("notice")}
    assert sorted(states.values()) == ["delayed", "delayed", "delivered"]
    house.clock.forward(10 * MINUTE)
    busy.deliver()
    assert len(busy.mails("y@outlook.example")) == 1
    busy.courier.close()


def test_gmail_takes_the_locked_file_with_archives_in_it_since_they_stay_inside(post: Post) -> None:
    house = post.house
    house.add_subscriber(ANN)
    message = house.submit(ANN, [PAT], house.mail())
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("tool.exe", b"MZ")
    octets = inner.getvalue()
    file = Upload("scan.zip", "application/zip", len(octets), lambda: iter([octets]))
    house.replies.send(house.register(PAT, message), message, everybody=False, text="x", files=[file], nonce=b"1" * 16)
    post.deliver()
    assert post.internet.refusals() == []
    assert post.last(ANN)["In-Reply-To"]


# -- an attempt under way ---------------------------------------------------------------------------------------------


@pytest.fixture
def held(post: Post, monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """What happens while a peer waits for the body: [at its start, before its last block]."""
    meanwhile: list[Callable[[], None]] = [lambda: None, lambda: None]
    whole = Session.body

    def body(session: Session, chunks: Iterable[bytes]) -> tuple[int, bytes]:
        def passing() -> Iterator[bytes]:
            chunk = next(waiting := iter(chunks))
            meanwhile[1]()
            yield chunk
            yield from waiting

        meanwhile[0]()
        return whole(session, passing())

    monkeypatch.setattr(Session, "body", body)
    return meanwhile


def leaving(post: Post, kind: str) -> tuple[int, str]:
    """Let Ann write something that leaves as *kind*, everything of before delivered; return message and address."""
    house = post.house
    house.add_subscriber(ANN)
    if kind == "handoff":
        house.add_subscriber(BOB)
        house.prove(house.session(BOB), BOB, house.submit(ANN, [BOB], house.mail(to=[BOB])))
    post.deliver()
    to = BOB if kind == "handoff" else PAT
    text = ("x" * 998 + "\r\n") * 200
    subject = ":: Results" if kind == "relay" else "Results"
    message = house.submit(ANN, [to], house.mail(subject, text, to=[to]))
    assert deliveries(house, message)[0][0] == kind
    return message, to


@pytest.mark.parametrize("moment", [0, 1], ids=["before the first octet", "before the last"])
@pytest.mark.parametrize("kind", ["notice", "relay", "handoff"])
def test_what_is_taken_back_while_it_is_leaving_arrives_nowhere(
    post: Post, held: list[Callable[[], None]], kind: str, moment: int
) -> None:
    message, to = leaving(post, kind)
    before = len(post.mails(to))
    session = post.house.session(ANN)
    held[moment] = lambda: post.house.pickup.expire(session, message)
    post.deliver()
    held[moment] = lambda: None
    assert len(post.mails(to)) == before
    row = post.delivery(kind)
    assert (row["state"], row["queue_wrap"]) == ("cancelled", None)
    post.house.clock.forward(HOUR)
    post.deliver()
    assert len(post.mails(to)) == before


@pytest.mark.parametrize("kind", ["notice", "handoff"])
def test_what_is_taken_back_and_given_back_while_it_is_leaving_is_told_all_the_same(
    post: Post, held: list[Callable[[], None]], kind: str
) -> None:
    message, to = leaving(post, kind)
    before = len(post.mails(to))
    session = post.house.session(ANN)

    def think_twice() -> None:
        held[0] = lambda: None
        post.house.pickup.expire(session, message)
        post.house.pickup.restore(session, message)

    held[0] = think_twice
    post.deliver()
    assert len(post.mails(to)) == before + 1
    assert post.delivery(kind)["state"] == "delivered"
    assert post.delivery(kind)["form"] == ("link" if kind == "handoff" else "")


def test_a_handoff_that_was_taken_back_between_two_tries_and_given_back_goes_as_a_link(desk: Desk, ann: int) -> None:
    house = desk.house
    house.add_subscriber(BOB)
    house.prove(house.session(BOB), BOB, house.submit(ANN, [BOB], house.mail(to=[BOB])))
    desk.deliver()
    message = house.submit(ANN, [BOB], house.mail(to=[BOB]))
    session, sent = house.session(ANN), len(desk.answers.sent)

    def meanwhile(*_: object, **__: object) -> Outcome:
        house.pickup.expire(session, message)
        house.pickup.restore(session, message)
        return LATER

    send = desk.answers.send
    desk.answers.send = meanwhile  # type: ignore[method-assign]
    desk.deliver()
    desk.answers.send = send  # type: ignore[method-assign]
    house.clock.forward(DAY)
    desk.deliver()
    assert (desk.row("handoff")["state"], desk.row("handoff")["form"]) == ("delivered", "link")
    assert len(desk.answers.sent) == sent + 1


@pytest.mark.parametrize("kind", ["notice", "relay", "handoff"])
def test_what_is_not_taken_back_arrives_all_the_same(post: Post, held: list[Callable[[], None]], kind: str) -> None:
    """The control of the tests around it."""
    _, to = leaving(post, kind)
    before = len(post.mails(to))
    post.deliver()
    assert len(post.mails(to)) == before + 1


def test_a_worker_that_lost_its_lease_in_the_middle_sends_nothing(post: Post, held: list[Callable[[], None]]) -> None:
    leaving(post, "relay")
    house = post.house

    def taken_up_elsewhere() -> None:
        house.tamper("UPDATE deliveries SET fence = fence + 1 WHERE kind = 'relay'")

    held[1] = taken_up_elsewhere
    post.deliver()
    assert post.mails(PAT) == []
    assert post.delivery("relay")["state"] == "leased"  # it is the other's now
    held[1] = lambda: None
    house.clock.forward(LEASE + 1)
    post.deliver()
    assert len(post.mails(PAT)) == 1

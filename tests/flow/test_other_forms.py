"""In which other form does mail go that was refused in the first?"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing

import pytest

from cryptnsend.core.dlp.detect import Finding
from cryptnsend.delivery.courier import Outcome
from cryptnsend.dlp.nursery import Job
from cryptnsend.flow.outcomes import GATHERED
from tests.flow.admitting import submit
from tests.flow.conftest import DELIVERED, REFUSED, Desk, faces, links_in
from tests.flow.due import notice, reply
from tests.flow.rows import grants, recipients
from tests.support.house import MakeHouse

ANN, PAT = "ann@gmail.example", "pat@yahoo.example"
TOO_LARGE = Outcome("failed", 552, "5.3.4", "too large", "mx.example", reason=Outcome.TOO_LARGE)
CONTENT = Outcome("failed", 552, "5.7.0", "a possible danger", "mx.example", reason=Outcome.CONTENT)
NO_TLS = Outcome("failed", None, "5.7.10", "offers no TLS", "mx.example", reason=Outcome.TLS_MISSING)
NO_PROOF = Outcome("failed", None, "5.7.10", "nobody vouches", "mx.example", reason=Outcome.PROOF_MISSING)


@pytest.fixture
def ann(desk: Desk) -> int:
    return desk.house.add_subscriber(ANN)


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
    house.clock.forward(GATHERED)
    desk.deliver()
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


def test_plain_mail_that_is_too_large_for_the_recipients_server_waits_as_a_link_and_says_why(
    desk: Desk, ann: int
) -> None:
    house = desk.house
    message = house.submit(ANN, [PAT], house.mail(":: Results"))
    desk.say(TOO_LARGE, DELIVERED)
    desk.deliver()
    said = recipients(house, message)[PAT]
    assert (said["decision"], said["reason"]) == ("vault", "too-large: too large")
    assert (house.queued("relay"), house.queued("dsn")) == ([], [])
    house.clock.forward(GATHERED)
    desk.deliver()
    assert house.code(ANN, PAT) in faces(desk.answers.mails(ANN)[-1])[0].replace(" ", "")
    assert house.pickup.show(house.register(PAT, message), message).subject == "Results"


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


@pytest.mark.parametrize("length", [998, 9_980])
def test_relayed_mail_never_stands_in_memory_as_a_whole(
    desk: Desk, ann: int, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    house = desk.house
    submit(house, house.mail(":: Results", text=("x" * length + "\r\n") * (11_976_000 // length)))
    sizes: list[int] = []

    def stream(_: object, __: object, message: Callable[[], Iterator[bytes]], **___: object) -> Outcome:
        sizes.append(sum(map(len, message())))
        return DELIVERED

    monkeypatch.setattr(desk.answers, "send", stream)
    read: list[int] = []

    class Elsewhere:
        """Whoever looks into it is another process, which is handed one piece after the other."""

        def inspect(self, octets: Iterable[bytes], job: Job) -> list[Finding]:
            read.append(sum(map(len, octets)))
            return []

    monkeypatch.setattr(desk.house.courier.inspecting, "_looks", Elsewhere())
    tracemalloc.start()
    try:
        desk.deliver()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sizes[0] > 12_000_000
    assert read[0] > 12_000_000
    assert peak < 3 * 1024 * 1024
